import Foundation
import XCTest

@testable import VoelgoedScan

/// Phones at the door of the real server, by the library's own way to call it.
final class StoryTests: XCTestCase {
    private var folder = URL(fileURLWithPath: "/")
    private var vaults: [String: Vault] = [:]
    private var opened: Door?
    private var door: Door { get throws { try XCTUnwrap(opened) } }

    override func setUpWithError() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("voelgoed-scan-" + UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        opened = try Door()
    }

    override func tearDownWithError() throws {
        try opened?.close()
        try FileManager.default.removeItem(at: folder)
    }

    private func setup(_ name: String) throws -> ClientSetup {
        let own = folder.appendingPathComponent(name)
        try FileManager.default.createDirectory(at: own, withIntermediateDirectories: true)
        let vault = vaults[name] ?? Vault()
        vaults[name] = vault
        return ClientSetup(
            directory: own.path, app: App(name: "Gate", version: "1.0", platform: "linux"), secrets: vault,
            settings: Stage.patient(retry: 0.02, allowPlainHttp: true))
    }

    private func phone(_ name: String) async throws -> ScannerClient {
        let phone = try await ScannerClient.enroll(setup: setup(name), uri: door.ask("pair \(name)"))
        try await stand(phone)
        let manifest = try await phone.refreshManifest()
        XCTAssertEqual(manifest?.tickets, 7)
        return phone
    }

    private func stand(_ phone: ScannerClient, at gate: String = "gate_main") async throws {
        let session = try await phone.startSession(eventId: door["event"], gateId: door[gate], replace: true)
        XCTAssertEqual(session?.gateId, try door[gate])
    }

    private func ask(_ question: String) throws -> String { try door.ask(question) }

    func testACodeEnrolsOnePhoneOnce() async throws {
        let uri = try ask("pair gate-a")
        let phone = try await ScannerClient.enroll(setup: setup("gate-a"), uri: uri)
        XCTAssertEqual(phone.device().deviceId, "gate-a")
        do {
            _ = try await ScannerClient.enroll(setup: setup("gate-b"), uri: uri)
            XCTFail("a code is good once")
        } catch GateError.Refused(let status, let code, _, _, _) {
            XCTAssertEqual(status, 404)
            XCTAssertEqual(code, "not_found")
        }
        do {
            _ = try await ScannerClient.open(setup: setup("gate-b"))
            XCTFail("nobody enrolled here")
        } catch GateError.NotEnrolled {}
    }

    func testTheServerDecidesEveryResultWhileItIsThere() async throws {
        let (a, b) = (try await phone("gate-a"), try await phone("gate-b"))
        let admitted = try await a.scan(reading: door.camera("first"))
        XCTAssertEqual(admitted.result, .valid)
        XCTAssertEqual(admitted.decidedBy, .server)
        XCTAssertEqual(admitted.occupancy?.gate.inside, 1)
        let again = try await b.scan(reading: door.camera("first"))
        XCTAssertEqual(again.reason, .alreadyScanned)
        XCTAssertEqual(again.previousScan?.scanId, admitted.scanId)
        XCTAssertEqual(again.previousScan?.sameDevice, false)
        try await stand(b, at: "gate_vip")
        var seen: Set<ScanResult> = [admitted.result, again.result]
        for (phone, reading, reason) in [
            (a, TicketReading.qr(text: "https://example.org"), Reason.malformed),
            (a, try door.camera("elsewhere"), .otherEvent),
            (b, try door.camera("second"), .gateNotAllowed),
            (a, try door.camera("voided"), .ticketVoided),
        ] {
            let verdict = try await phone.scan(reading: reading)
            XCTAssertEqual(verdict.reason, reason)
            XCTAssertEqual(verdict.decidedBy, .server)
            seen.insert(verdict.result)
        }
        XCTAssertEqual(seen, Set(ScanResult.allCases))
        let exit = try await a.scan(reading: door.camera("first"), direction: .exit)
        XCTAssertEqual(exit.reason, .exited)
        XCTAssertEqual(try ask("inside"), "0")
    }

    func testAnAdmissionWhoseAnswerWasLostIsOneAdmission() async throws {
        let phone = try await phone("gate-a")
        try door.ask("deafen")
        let alone = try await phone.scan(reading: door.camera("unheard"))
        XCTAssertEqual(alone.reason, .admitted)
        XCTAssertEqual(alone.decidedBy, .device)
        XCTAssertEqual(try ask("inside"), "1")
        try door.ask("mend")
        let report = try await phone.sync()
        XCTAssertEqual([report.recorded, report.replayed, report.conflicts], [0, 1, 0])
        XCTAssertEqual(try ask("inside"), "1")
    }

    func testTwoPhonesWithoutANetworkLetOneTicketInAndTheServerTellsOfIt() async throws {
        let (a, b) = (try await phone("gate-a"), try await phone("gate-b"))
        try door.ask("cut")
        let verdicts = [
            try await a.scan(reading: door.camera("both")), try await b.scan(reading: door.camera("both")),
        ]
        XCTAssertEqual(verdicts.map(\.reason), [.admitted, .admitted])
        XCTAssertEqual(verdicts.map(\.decidedBy), [.device, .device])
        do {
            _ = try await a.sync()
            XCTFail("there is no network")
        } catch GateError.Offline {}
        var state = try await a.state()
        XCTAssertFalse(state.online)
        XCTAssertEqual(state.waiting, 1)
        XCTAssertEqual(state.lastError, "offline")

        let reopened = try await ScannerClient.open(setup: setup("gate-a"))
        let second = try await reopened.scan(reading: door.camera("both"))
        XCTAssertEqual(second.reason, .alreadyScanned)
        XCTAssertEqual(second.previousScan?.sameDevice, true)
        let third = try await reopened.scan(reading: door.camera("third"))
        XCTAssertEqual(third.reason, .admitted)
        state = try await reopened.state()
        XCTAssertEqual(state.waiting, 3)
        XCTAssertEqual(try ask("inside"), "0")

        try door.ask("mend")
        let first = try await reopened.sync()
        XCTAssertEqual([first.recorded, first.rejected, first.conflicts], [3, 0, 0])
        let then = try await b.sync()
        XCTAssertEqual([then.recorded, then.conflicts], [1, 1])
        state = try await b.state()
        XCTAssertEqual(state.conflicts, 1)
        let conflicts = try await b.conflicts()
        XCTAssertEqual(conflicts.map(\.kind), [.doubleEntry])
        let conflict = try XCTUnwrap(conflicts.first)
        XCTAssertEqual(Set([conflict.winnerScanId, conflict.otherScanId]), Set(verdicts.map { $0.scanId }))
        XCTAssertEqual(conflict.devices.map(\.name).sorted(), ["gate-a", "gate-b"])
        XCTAssertEqual(try ask("conflicts"), "1")
        XCTAssertEqual(try ask("inside"), "3", "people are counted, not rights")
        let fourth = try await reopened.scan(reading: door.camera("fourth"))
        XCTAssertEqual(fourth.decidedBy, .server)
    }

    func testRunFindsBackToTheServerAndHandsInByItself() async throws {
        let phone = try await phone("gate-a")
        let running = Task { await phone.run() }
        try door.ask("cut")
        let alone = try await phone.scan(reading: door.camera("second"))
        XCTAssertEqual(alone.decidedBy, .device)
        try door.ask("mend")
        var revision: UInt64 = 0
        var state = try await phone.state()
        while !state.online || state.waiting > 0 {
            revision = await phone.changedSince(revision: revision)
            state = try await phone.state()
        }
        phone.stop()
        await running.value
        XCTAssertEqual(try ask("inside"), "1")
    }
}
