import Foundation
import XCTest

@testable import VoelgoedScan

final class OfflineTests: XCTestCase {
    private let main = Stage.fact("gate_main")
    private var folder = URL(fileURLWithPath: "/")

    override func setUpWithError() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("voelgoed-scan-" + UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    override func tearDownWithError() throws {
        try FileManager.default.removeItem(at: folder)
    }

    private func file(_ name: String) -> String { folder.appendingPathComponent("\(name).db").path }

    private func phone(
        _ name: String = "a", device: String = "device_a", canOverride: Bool = false
    ) async throws -> OfflineGate {
        let gate = try await OfflineGate.open(setup: Stage.setup(file(name), device: device, canOverride: canOverride))
        _ = try await gate.install(eventId: Stage.fact("event"), manifest: Stage.manifest("good"))
        return gate
    }

    /// The code of the error that this must end with.
    private func code(of work: () async throws -> Void) async -> String {
        do {
            try await work()
            return "no error"
        } catch let error as GateError {
            return errorCode(error: error)
        } catch {
            return "\(error)"
        }
    }

    func testWithoutAManifestNothingIsDecided() async throws {
        let gate = try await OfflineGate.open(setup: Stage.setup(file("a")))
        var found = await code { _ = try await gate.decide(reading: Stage.camera("first"), gateId: self.main) }
        XCTAssertEqual(found, "no_manifest")
        let state = try await gate.state()
        XCTAssertEqual(state, OfflineState(manifest: nil, waiting: 0, conflicts: 0, clockOffsetMs: 0))
        found = await code { _ = try await gate.decide(reading: Stage.camera("first"), gateId: "the main gate") }
        XCTAssertEqual(found, "invalid_text")
        found = await code { _ = try await OfflineGate.open(setup: Stage.setup("/nowhere/a.db")) }
        XCTAssertEqual(found, "storage_unavailable")
    }

    func testEveryWrongManifestIsRefusedByItsOwnCodeAndTheGoodOneStays() async throws {
        let gate = try await phone()
        let refused = [
            "older": "manifest_older",
            "other-event": "manifest_other_event",
            "other-organization": "manifest_other_organization",
            "expired": "manifest_expired",
            "changed": "manifest_bad_signature",
        ]
        for (name, expected) in refused {
            let found = await code {
                _ = try await gate.install(eventId: Stage.fact("event"), manifest: Stage.manifest(name))
            }
            XCTAssertEqual(found, expected, name)
        }
        let state = try await gate.state()
        XCTAssertEqual(state.manifest?.version, 2)
        XCTAssertEqual(state.manifest?.tickets, 7)
        let gates = await gate.gates()
        XCTAssertEqual(gates.map(\.name).sorted(), ["Main", "VIP"])
    }

    func testEveryResultIsDecidedOffline() async throws {
        let gate = try await phone()
        func scan(_ name: String, at: String? = nil) async throws -> Verdict {
            try await gate.decide(reading: Stage.camera(name), gateId: at ?? main)
        }
        let admitted = try await scan("first")
        XCTAssertEqual(admitted.reason, .admitted)
        XCTAssertEqual(admitted.result, .valid)
        XCTAssertEqual(admitted.decidedBy, .device)
        XCTAssertEqual(admitted.ticket?.code, Stage.fact("first_code"))
        XCTAssertEqual(admitted.ticket?.ticketClass, "Day")
        XCTAssertNil(admitted.occupancy)
        let expected: [(String, Reason)] = [
            ("used_online", .alreadyScanned), ("other_event", .otherEvent), ("voided", .ticketVoided),
            ("expired", .tokenExpired), ("forged", .badSignature),
        ]
        for (name, reason) in expected {
            let verdict = try await scan(name)
            XCTAssertEqual(verdict.reason, reason, name)
        }
        let elsewhere = try await scan("second", at: Stage.fact("gate_vip"))
        XCTAssertEqual(elsewhere.reason, .gateNotAllowed)
        let address = try await gate.decide(reading: .qr(text: "https://example.org"), gateId: main)
        XCTAssertEqual(address.reason, .malformed)
        let typed = try await gate.decide(reading: .typed(text: Stage.fact("second_code")), gateId: main)
        XCTAssertEqual(typed.reason, .unsignedNotAllowed)
        let exit = try await gate.decide(reading: Stage.camera("second"), gateId: main, direction: .exit)
        XCTAssertEqual(exit.reason, .notInside)
        let unchecked = try await scan("server_format")
        XCTAssertEqual(unchecked.warnings, [.signatureUnchecked])
        let later = try await scan("sold_later")
        XCTAssertEqual(later.warnings, [.notInManifest])
        let found = await code { _ = try await scan("second", at: Stage.fact("gate_unknown")) }
        XCTAssertEqual(found, "unknown_gate")
        let state = try await gate.state()
        XCTAssertEqual(state.waiting, 12)
    }

    func testAScanIdIsOneScanAndAnOverrideNeedsTheRightToIt() async throws {
        let plain = try await phone()
        let trusted = try await phone("b", device: "device_b", canOverride: true)
        let id = newScanId()
        let first = try await plain.decide(reading: Stage.camera("first"), gateId: main, scanId: id)
        XCTAssertEqual(first.scanId, id)
        let again = try await plain.decide(reading: Stage.camera("first"), gateId: main, scanId: id)
        XCTAssertTrue(again.repeated)
        var found = await code {
            _ = try await plain.decide(reading: Stage.camera("second"), gateId: self.main, scanId: id)
        }
        XCTAssertEqual(found, "scan_id_reused")
        let why = "guest of the band"
        found = await code {
            _ = try await plain.decide(reading: Stage.camera("voided"), gateId: self.main, overrideReason: why)
        }
        XCTAssertEqual(found, "forbidden")
        let forced = try await trusted.decide(reading: Stage.camera("voided"), gateId: main, overrideReason: why)
        XCTAssertEqual(forced.reason, .overridden)
    }

    func testAManifestTooOldIsRefusedWhereTheEventSaysSo() async throws {
        let gate = try await phone()
        _ = try await gate.install(eventId: Stage.fact("event"), manifest: Stage.manifest("stale"))
        let found = await code { _ = try await gate.decide(reading: Stage.camera("first"), gateId: self.main) }
        XCTAssertEqual(found, "stale_manifest")
    }

    func testAVerdictThatWasShownSurvivesAKill() async throws {
        _ = try await phone()
        let setup = Stage.setup(file("a"))
        let victim = Process()
        victim.executableURL = URL(fileURLWithPath: CommandLine.arguments[0])
            .deletingLastPathComponent().appendingPathComponent("Victim")
        victim.arguments = [
            setup.file, setup.organizationId, setup.deviceId, setup.manifestKey.base64EncodedString(), main,
            Stage.fact("victim"),
        ]
        let output = Pipe()
        victim.standardOutput = output
        try victim.run()
        XCTAssertEqual(String(decoding: output.fileHandleForReading.availableData, as: UTF8.self), "admitted\n")
        kill(victim.processIdentifier, SIGKILL)
        victim.waitUntilExit()

        let gate = try await OfflineGate.open(setup: setup)
        let state = try await gate.state()
        XCTAssertEqual(state.waiting, 1)
        let second = try await gate.decide(reading: Stage.camera("victim"), gateId: main)
        XCTAssertEqual(second.reason, .alreadyScanned)
        XCTAssertEqual(second.previousScan?.sameDevice, true)
        let found = await code { _ = try await OfflineGate.open(setup: Stage.setup(setup.file, device: "device_b")) }
        XCTAssertEqual(found, "other_device")
    }

    func testTwoPhonesThatCannotTalkBothLetOneTicketInAndBothRememberIt() async throws {
        let (a, b) = (try await phone(), try await phone("b", device: "device_b"))
        async let atA = a.decide(reading: Stage.camera("third"), gateId: main)
        async let atB = b.decide(reading: Stage.camera("third"), gateId: main)
        let verdicts = try await [atA, atB]
        XCTAssertEqual(verdicts.map(\.reason), [.admitted, .admitted])
        XCTAssertNotEqual(verdicts[0].scanId, verdicts[1].scanId)
        for gate in [a, b] {
            let state = try await gate.state()
            XCTAssertEqual(state.waiting, 1)
        }
    }
}
