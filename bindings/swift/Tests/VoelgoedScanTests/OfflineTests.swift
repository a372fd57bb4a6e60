import Foundation
import XCTest

@testable import VoelgoedScan

final class OfflineTests: XCTestCase {
    private let main = Fixture.value("gate_main")
    private var folder = URL(fileURLWithPath: "/")

    override func setUpWithError() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("voelgoed-scan-" + UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    override func tearDownWithError() throws { try removeFolder(folder) }

    private func file(_ name: String) -> String { folder.appendingPathComponent("\(name).db").path }

    private func phone(
        _ name: String = "a", device: String = "device_a", canOverride: Bool = false
    ) async throws -> OfflineScanner {
        let scanner = try await OfflineScanner.open(setup: Fixture.setup(file(name), device: device, canOverride: canOverride))
        _ = try await scanner.install(eventId: Fixture.value("event"), manifest: Fixture.manifest("good"))
        return scanner
    }

    func testWithoutAManifestADecisionFails() async throws {
        let scanner = try await OfflineScanner.open(setup: Fixture.setup(file("a")))
        var found = await code { _ = try await scanner.decide(reading: Fixture.qr("first"), gateId: self.main) }
        XCTAssertEqual(found, "no_manifest")
        let state = try await scanner.state()
        XCTAssertEqual(state, OfflineState(
            manifest: nil, waiting: 0, rejected: 0, conflicts: 0, clockOffsetMs: 0, isDiskFull: false, replaced: []))
        found = await code { _ = try await scanner.decide(reading: Fixture.qr("first"), gateId: "not an id") }
        XCTAssertEqual(found, "invalid_text")
        found = await code { _ = try await OfflineScanner.open(setup: Fixture.setup("/nowhere/a.db")) }
        XCTAssertEqual(found, "storage_unavailable")
    }

    func testADamagedDatabaseIsSetAsideAndThePhoneSaysSo() async throws {
        func record() async throws { _ = try await phone().decide(reading: Fixture.qr("first"), gateId: main) }
        try await record()
        // The database is closed in the background, which writes its file once more.
        while FileManager.default.fileExists(atPath: file("a") + "-wal") { try await Task.sleep(nanoseconds: 10_000_000) }
        let damage = String(repeating: "what a failing flash card returns", count: 1000)
        try damage.write(toFile: file("a"), atomically: false, encoding: .utf8)
        let scanner = try await OfflineScanner.open(setup: Fixture.setup(file("a")))
        let replaced = try await scanner.state().replaced
        XCTAssertEqual(replaced.map(\.code), ["damaged_database"])
        XCTAssertEqual(replaced.map(\.complete), [false])
        XCTAssertEqual(try String(contentsOfFile: XCTUnwrap(replaced.first).path, encoding: .utf8), damage)
        let found = await code { _ = try await scanner.decide(reading: Fixture.qr("first"), gateId: self.main) }
        XCTAssertEqual(found, "no_manifest")
        _ = try await scanner.install(eventId: Fixture.value("event"), manifest: Fixture.manifest("good"))
        let again = try await scanner.decide(reading: Fixture.qr("first"), gateId: main)
        XCTAssertEqual(again.warnings, [.storageReplaced], "it may have admitted it before")
    }

    func testEveryInvalidManifestIsRefusedWithItsOwnCodeAndThePreviousOneStaysInUse() async throws {
        let scanner = try await phone()
        let refused = [
            "older": "manifest_older",
            "other-event": "manifest_other_event",
            "other-organization": "manifest_other_organization",
            "expired": "manifest_expired",
            "changed": "manifest_bad_signature",
        ]
        for (name, expected) in refused {
            let found = await code {
                _ = try await scanner.install(eventId: Fixture.value("event"), manifest: Fixture.manifest(name))
            }
            XCTAssertEqual(found, expected, name)
        }
        let state = try await scanner.state()
        XCTAssertEqual(state.manifest?.version, 2)
        XCTAssertEqual(state.manifest?.tickets, 7)
        let gates = await scanner.gates()
        XCTAssertEqual(gates.map(\.name).sorted(), ["Main", "VIP"])
    }

    func testThePhoneDecidesEveryResultOffline() async throws {
        let scanner = try await phone()
        func scan(_ name: String, at: String? = nil) async throws -> Verdict {
            try await scanner.decide(reading: Fixture.qr(name), gateId: at ?? main)
        }
        let admitted = try await scan("first")
        XCTAssertEqual(admitted.reason, .admitted)
        XCTAssertEqual(admitted.result, .valid)
        XCTAssertEqual(admitted.decidedBy, .device)
        XCTAssertEqual(admitted.ticket?.code, Fixture.value("first_code"))
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
        let elsewhere = try await scan("second", at: Fixture.value("gate_vip"))
        XCTAssertEqual(elsewhere.reason, .gateNotAllowed)
        let address = try await scanner.decide(reading: .qr(text: "https://example.org"), gateId: main)
        XCTAssertEqual(address.reason, .malformed)
        let typed = try await scanner.decide(reading: .typed(text: Fixture.value("second_code")), gateId: main)
        XCTAssertEqual(typed.reason, .unsignedNotAllowed)
        let named = try await scanner.decide(reading: .named(medium: "nfc:04A1B2C3D4E5F6"), gateId: main)
        XCTAssertEqual(named.reason, .unsignedNotAllowed)
        let exit = try await scanner.decide(reading: Fixture.qr("second"), gateId: main, direction: .exit)
        XCTAssertEqual(exit.reason, .notInside)
        let unchecked = try await scan("server_format")
        XCTAssertEqual(unchecked.warnings, [.signatureUnchecked])
        let later = try await scan("sold_later")
        XCTAssertEqual(later.warnings, [.notInManifest])
        let found = await code { _ = try await scan("second", at: Fixture.value("gate_unknown")) }
        XCTAssertEqual(found, "unknown_gate")
        let state = try await scanner.state()
        XCTAssertEqual(state.waiting, 13)
    }

    func testAScanIdBelongsToOneScanAndAnOverrideNeedsPermission() async throws {
        let plain = try await phone()
        let trusted = try await phone("b", device: "device_b", canOverride: true)
        let id = newScanId()
        let first = try await plain.decide(reading: Fixture.qr("first"), gateId: main, scanId: id)
        XCTAssertEqual(first.scanId, id)
        let again = try await plain.decide(reading: Fixture.qr("first"), gateId: main, scanId: id)
        XCTAssertTrue(again.repeated)
        var found = await code {
            _ = try await plain.decide(reading: Fixture.qr("second"), gateId: self.main, scanId: id)
        }
        XCTAssertEqual(found, "scan_id_reused")
        let why = "guest of the band"
        found = await code {
            _ = try await plain.decide(reading: Fixture.qr("voided"), gateId: self.main, overrideReason: why)
        }
        XCTAssertEqual(found, "forbidden")
        let forced = try await trusted.decide(reading: Fixture.qr("voided"), gateId: main, overrideReason: why)
        XCTAssertEqual(forced.reason, .overridden)
    }

    func testAStaleManifestIsRefusedIfTheEventIsConfiguredSo() async throws {
        let scanner = try await phone()
        _ = try await scanner.install(eventId: Fixture.value("event"), manifest: Fixture.manifest("stale"))
        let found = await code { _ = try await scanner.decide(reading: Fixture.qr("first"), gateId: self.main) }
        XCTAssertEqual(found, "stale_manifest")
    }

    func testAShownVerdictSurvivesAKill() async throws {
        _ = try await phone()
        let setup = Fixture.setup(file("a"))
        let process = Process()
        process.executableURL = URL(fileURLWithPath: CommandLine.arguments[0])
            .deletingLastPathComponent().appendingPathComponent("KillTarget")
        process.arguments = [
            setup.file, setup.organizationId, setup.deviceId, setup.manifestKey.base64EncodedString(), main,
            Fixture.value("kill_test"),
        ]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        XCTAssertEqual(String(decoding: output.fileHandleForReading.availableData, as: UTF8.self), "admitted\n")
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()

        do {
            let scanner = try await OfflineScanner.open(setup: setup)
            let state = try await scanner.state()
            XCTAssertEqual(state.waiting, 1)
            let second = try await scanner.decide(reading: Fixture.qr("kill_test"), gateId: main)
            XCTAssertEqual(second.reason, .alreadyScanned)
            XCTAssertEqual(second.previousScan?.sameDevice, true)
            let busy = await code { _ = try await OfflineScanner.open(setup: setup) }
            XCTAssertEqual(busy, "database_in_use")
        }
        let found = await code { _ = try await OfflineScanner.open(setup: Fixture.setup(setup.file, device: "device_b")) }
        XCTAssertEqual(found, "other_device")
    }

    func testTwoPhonesWithoutAConnectionBothAdmitATicketAndBothRecordIt() async throws {
        let (a, b) = (try await phone(), try await phone("b", device: "device_b"))
        async let atA = a.decide(reading: Fixture.qr("third"), gateId: main)
        async let atB = b.decide(reading: Fixture.qr("third"), gateId: main)
        let verdicts = try await [atA, atB]
        XCTAssertEqual(verdicts.map(\.reason), [.admitted, .admitted])
        XCTAssertNotEqual(verdicts[0].scanId, verdicts[1].scanId)
        for scanner in [a, b] {
            let state = try await scanner.state()
            XCTAssertEqual(state.waiting, 1)
        }
    }
}
