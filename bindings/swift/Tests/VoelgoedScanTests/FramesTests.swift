import Foundation
import XCTest

@testable import VoelgoedScan

private let frames = 5

/// Scans a reading in overlapping calls, as a camera does that does not wait for the verdict.
private func readFrames(_ phone: ScannerClient, _ reading: TicketReading) async throws -> [Verdict] {
    try await withThrowingTaskGroup(of: Verdict.self) { group in
        for _ in 0..<frames {
            group.addTask { try await phone.scan(reading: reading) }
            // The time between two frames of a camera.
            try await Task.sleep(nanoseconds: 33_000_000)
        }
        return try await group.reduce(into: []) { $0.append($1) }
    }
}

private func check(_ verdicts: [Verdict]) {
    XCTAssertEqual(verdicts.count, frames)
    XCTAssertEqual(Set(verdicts.map(\.reason)), [.admitted])
    XCTAssertEqual(Set(verdicts.map(\.scanId)).count, 1)
    XCTAssertEqual(verdicts.filter { !$0.repeated }.count, 1, "the app beeps once")
}

/// A camera reads one ticket in many frames: one scan, one verdict, however slow the network is.
final class FramesTests: ServerTestCase {
    func testFiveOverlappingFramesAreOneScanAtEveryRoundTripTime() async throws {
        let phone = try await phone("gate-a")
        for (delay, ticket) in [(0, "first"), (50, "second"), (200, "third"), (1000, "fourth")] {
            let before = try XCTUnwrap(Int(ask("scans")))
            try server.ask("delay \(delay)")
            check(try await readFrames(phone, server.qr(ticket)))
            XCTAssertEqual(Int(try ask("scans")), before + 1, "\(delay) ms")
        }
        XCTAssertEqual(try ask("inside"), "4")
    }
}

final class ReorderedAnswersTests: XCTestCase {
    func testAnswersThatOvertakeEachOtherGiveOneVerdict() async throws {
        for delay in [0, 0.05, 0.2, 1.0] {
            let transport = FakeTransport()
            // A later request is answered earlier.
            transport.delays = (0..<frames).map { delay * Double(frames - $0) / Double(frames) }
            let folder = FileManager.default.temporaryDirectory
                .appendingPathComponent("voelgoed-scan-" + UUID().uuidString)
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            let setup = ClientSetup(
                directory: folder.path, app: App(name: "Gate", version: "1.0", platform: "linux"),
                secrets: MemorySecretStore(), transport: transport, settings: Fixture.testSettings())
            let phone = try await ScannerClient.enroll(setup: setup, uri: Fixture.value("enrollment"))
            _ = try await phone.startSession(eventId: Fixture.value("event"), gateId: Fixture.value("gate_main"))
            _ = try await phone.refreshManifest()
            check(try await readFrames(phone, Fixture.qr("first")))
            XCTAssertEqual(transport.scans.count, 1, "\(delay) s")
            try removeFolder(folder)
        }
    }
}
