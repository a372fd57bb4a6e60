import Foundation
import XCTest

@testable import VoelgoedScan

final class ClientTests: XCTestCase {
    private var folder = URL(fileURLWithPath: "/")
    private let wire = Wire()
    private let vault = Vault()

    override func setUpWithError() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("voelgoed-scan-" + UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    override func tearDownWithError() throws {
        try FileManager.default.removeItem(at: folder)
    }

    private var setup: ClientSetup {
        ClientSetup(
            directory: folder.path, app: App(name: "Gate", version: "1.0", platform: "linux"), secrets: vault,
            transport: wire, settings: Stage.patient())
    }

    private func phone() async throws -> ScannerClient {
        let phone = try await ScannerClient.enroll(setup: setup, uri: Stage.fact("enrollment"))
        _ = try await phone.startSession(eventId: Stage.fact("event"), gateId: Stage.fact("gate_main"))
        let manifest = try await phone.refreshManifest()
        XCTAssertEqual(manifest?.tickets, 7)
        return phone
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

    func testAnEnrolmentIsKeptInTheAppsSecretStoreAndOpensWithoutANetwork() async throws {
        var found = await code { _ = try await ScannerClient.open(setup: self.setup) }
        XCTAssertEqual(found, "not_enrolled")
        for (uri, expected) in [
            ("https://example.org", "invalid_text"), (Stage.fact("enrollment_plain"), "insecure_server"),
        ] {
            found = await code { _ = try await ScannerClient.enroll(setup: self.setup, uri: uri) }
            XCTAssertEqual(found, expected)
        }
        XCTAssertEqual(wire.calls, [])
        let first = try await phone()
        XCTAssertEqual(first.device().deviceId, "gate-1")
        XCTAssertEqual(first.device().id, Stage.fact("device_a"))
        XCTAssertEqual(vault.names, ["voelgoed-scan.enrollment"])
        wire.cut()
        let again = try await ScannerClient.open(setup: setup)
        let state = try await again.state()
        XCTAssertEqual(state.station?.gateId, Stage.fact("gate_main"))
        let verdict = try await again.scan(reading: Stage.camera("first"))
        XCTAssertEqual(verdict.reason, .admitted)
        vault.locked = true
        found = await code { try again.forget() }
        XCTAssertEqual(found, "secret_store_failed")
        vault.locked = false
        try again.forget()
        XCTAssertEqual(vault.names, [])
    }

    func testTheServerDecidesWhileItIsThereAndThePhoneWhenItIsNot() async throws {
        let phone = try await ScannerClient.enroll(setup: setup, uri: Stage.fact("enrollment"))
        var found = await code { _ = try await phone.scan(reading: Stage.camera("first")) }
        XCTAssertEqual(found, "no_active_session")
        _ = try await phone.startSession(eventId: Stage.fact("event"), gateId: Stage.fact("gate_main"))
        _ = try await phone.refreshManifest()
        let online = try await phone.scan(reading: Stage.camera("first"))
        XCTAssertEqual(online.decidedBy, .server)
        XCTAssertEqual(online.occupancy?.gate.inside, 0)

        wire.cut()
        let alone = try await phone.scan(reading: Stage.camera("second"))
        XCTAssertEqual(alone.decidedBy, .device)
        XCTAssertEqual(alone.reason, .admitted)
        let state = try await phone.state()
        XCTAssertFalse(state.online)
        XCTAssertEqual(state.waiting, 1)
        XCTAssertEqual(state.lastError, "offline")
        found = await code { _ = try await phone.sync() }
        XCTAssertEqual(found, "offline")
        let reopened = try await ScannerClient.open(setup: setup)
        let second = try await reopened.scan(reading: Stage.camera("second"))
        XCTAssertEqual(second.reason, .alreadyScanned)
        XCTAssertEqual(second.previousScan?.sameDevice, true)
    }

    func testWhateverTheAppsOwnCodeThrowsIsOnlyALostNetwork() async throws {
        let phone = try await phone()
        wire.fault = CocoaError(.userCancelled)
        let verdict = try await phone.scan(reading: Stage.camera("third"))
        XCTAssertEqual(verdict.decidedBy, .device)
        wire.fault = nil
        do {
            _ = try await phone.sync()
            XCTFail("the server is busy")
        } catch GateError.Refused(let status, _, _, _, let retryAfterS) {
            XCTAssertEqual(status, 503)
            XCTAssertEqual(retryAfterS, 1)
        }
    }

    func testRunRenewsTheManifestByItselfAndEndsWhenItIsToldTo() async throws {
        let phone = try await ScannerClient.enroll(setup: setup, uri: Stage.fact("enrollment"))
        _ = try await phone.startSession(eventId: Stage.fact("event"), gateId: Stage.fact("gate_main"))
        let running = Task { await phone.run() }
        var revision: UInt64 = 0
        while try await phone.state().manifest == nil { revision = await phone.changedSince(revision: revision) }
        phone.setBattery(level: 0.5)
        phone.stop()
        await running.value
        let gates = await phone.gates()
        XCTAssertEqual(gates.map(\.name).sorted(), ["Main", "VIP"])
        XCTAssertTrue(wire.calls.contains { $0.contains("/manifest") })
    }
}
