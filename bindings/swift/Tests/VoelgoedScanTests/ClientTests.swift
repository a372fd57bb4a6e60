import Foundation
import XCTest

@testable import VoelgoedScan

final class ClientTests: XCTestCase {
    private var folder = URL(fileURLWithPath: "/")
    private let transport = FakeTransport()
    private let secretStore = MemorySecretStore()

    override func setUpWithError() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("voelgoed-scan-" + UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    override func tearDownWithError() throws { try removeFolder(folder) }

    private var setup: ClientSetup {
        ClientSetup(
            directory: folder.path, app: App(name: "Gate", version: "1.0", platform: "linux"), secrets: secretStore,
            transport: transport, settings: Fixture.testSettings())
    }

    private func phone() async throws -> ScannerClient {
        let phone = try await ScannerClient.enroll(setup: setup, uri: Fixture.value("enrollment"))
        _ = try await phone.startSession(eventId: Fixture.value("event"), gateId: Fixture.value("gate_main"))
        let manifest = try await phone.refreshManifest()
        XCTAssertEqual(manifest?.tickets, 7)
        return phone
    }

    func testTheCredentialsAreInTheAppsSecretStoreAndOpenWithoutANetwork() async throws {
        var found = await code { _ = try await ScannerClient.open(setup: self.setup) }
        XCTAssertEqual(found, "not_enrolled")
        for (uri, expected) in [
            ("https://example.org", "invalid_text"), (Fixture.value("enrollment_plain"), "insecure_server"),
        ] {
            found = await code { _ = try await ScannerClient.enroll(setup: self.setup, uri: uri) }
            XCTAssertEqual(found, expected)
        }
        XCTAssertEqual(transport.calls, [])
        // The phone's database is closed at the end of the block.
        do {
            let first = try await phone()
            XCTAssertEqual(first.device().deviceId, "gate-1")
            XCTAssertEqual(first.device().id, Fixture.value("device_a"))
            XCTAssertEqual(secretStore.names, ["voelgoed-scan.enrollment"])
        }
        transport.disconnect()
        let again = try await ScannerClient.open(setup: setup)
        let state = try await again.state()
        XCTAssertEqual(state.session?.gateId, Fixture.value("gate_main"))
        let verdict = try await again.scan(reading: Fixture.qr("first"))
        XCTAssertEqual(verdict.reason, .admitted)
        secretStore.locked = true
        found = await code { try await again.forget() }
        XCTAssertEqual(found, "secret_store_failed")
        secretStore.locked = false
        try await again.forget()
        // A scan waits: the credentials serve its upload.
        XCTAssertEqual(secretStore.names, ["voelgoed-scan.earlier-enrollments"])
    }

    func testTheServerDecidesWhileItIsAvailableAndOtherwiseThePhone() async throws {
        do {
            let phone = try await ScannerClient.enroll(setup: setup, uri: Fixture.value("enrollment"))
            var found = await code { _ = try await phone.scan(reading: Fixture.qr("first")) }
            XCTAssertEqual(found, "no_active_session")
            _ = try await phone.startSession(eventId: Fixture.value("event"), gateId: Fixture.value("gate_main"))
            _ = try await phone.refreshManifest()
            let online = try await phone.scan(reading: Fixture.qr("first"))
            XCTAssertEqual(online.decidedBy, .server)
            XCTAssertEqual(online.occupancy?.gate.inside, 0)

            transport.disconnect()
            let alone = try await phone.scan(reading: Fixture.qr("second"))
            XCTAssertEqual(alone.decidedBy, .device)
            XCTAssertEqual(alone.reason, .admitted)
            let state = try await phone.state()
            XCTAssertFalse(state.online)
            XCTAssertEqual(state.waiting, 1)
            XCTAssertEqual(state.lastError, "offline")
            found = await code { _ = try await phone.sync() }
            XCTAssertEqual(found, "offline")
        }
        let reopened = try await ScannerClient.open(setup: setup)
        let second = try await reopened.scan(reading: Fixture.qr("second"))
        XCTAssertEqual(second.reason, .alreadyScanned)
        XCTAssertEqual(second.previousScan?.sameDevice, true)
    }

    func testAnyErrorOfTheAppsTransportCountsAsAnUnreachableServer() async throws {
        let phone = try await phone()
        transport.fault = CocoaError(.userCancelled)
        let verdict = try await phone.scan(reading: Fixture.qr("third"))
        XCTAssertEqual(verdict.decidedBy, .device)
        transport.fault = nil
        do {
            _ = try await phone.sync()
            XCTFail("the server is busy")
        } catch ScannerError.Refused(let status, _, _, _, let retryAfterS) {
            XCTAssertEqual(status, 503)
            XCTAssertEqual(retryAfterS, 1)
        }
    }

    func testRunRefreshesTheManifestAndReturnsAfterStop() async throws {
        let phone = try await ScannerClient.enroll(setup: setup, uri: Fixture.value("enrollment"))
        _ = try await phone.startSession(eventId: Fixture.value("event"), gateId: Fixture.value("gate_main"))
        let running = Task { await phone.run() }
        var revision: UInt64 = 0
        while try await phone.state().manifest == nil { revision = await phone.changedSince(revision: revision) }
        phone.setBattery(level: 0.5)
        phone.stop()
        await running.value
        let gates = await phone.gates()
        XCTAssertEqual(gates.map(\.name).sorted(), ["Main", "VIP"])
        XCTAssertTrue(transport.calls.contains { $0.contains("/manifest") })
    }
}
