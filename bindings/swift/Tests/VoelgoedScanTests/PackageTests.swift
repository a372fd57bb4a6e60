import Foundation
import XCTest

@testable import VoelgoedScan

/// The package as an app sees it: texts and log.
final class PackageTests: XCTestCase {
    func testTheTextsShowTheFieldsAndNoSecret() {
        let code = "3KQR7F924M1XaB0z"
        let token = "vgd_0123456789"
        let header = HttpHeader(name: "Authorization", value: "Bearer \(token)")
        let request = HttpRequest(
            method: .get, url: "https://example.org/tickets?q=Smith", headers: [header], body: Data(code.utf8), timeout: 1)
        let response = HttpResponse(status: 200, headers: [header], body: Data(token.utf8))
        let ticket = VerdictTicket(
            id: nil, code: code, status: .active, ticketClass: "Day", seat: nil, entryLimit: 1, scanCount: 0, note: nil)
        let reading = TicketReading.typed(text: code)
        for text in [
            "\(header) \(request) \(response) \(ticket) \(reading)", String(reflecting: ticket),
            "\([reading])", "\([request])", String(reflecting: response),
        ] {
            for secret in [code, token, "Smith"] { XCTAssertFalse(text.contains(secret), text) }
        }
        XCTAssertEqual("\(request)", "GET https://example.org/tickets, 16 bytes")
        XCTAssertTrue("\(ticket)".contains("ticket_class"))
    }

    func testTheLogHookGetsMessagesWithoutSecrets() async throws {
        let (records, continuation) = AsyncStream.makeStream(of: LogRecord.self)
        try setLogHook(hook: Hook(continuation), level: .trace)
        defer { clearLogHook() }
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("voelgoed-scan-" + UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let transport = FakeTransport()
        let setup = ClientSetup(
            directory: folder.path, app: App(name: "Gate", version: "1.0", platform: "linux"),
            secrets: MemorySecretStore(), transport: transport, settings: Fixture.testSettings())
        let phone = try await ScannerClient.enroll(setup: setup, uri: Fixture.value("enrollment"))
        XCTAssertEqual("\(phone)", "ScannerClient(gate-1)")
        _ = try await phone.startSession(eventId: Fixture.value("event"), gateId: Fixture.value("gate_main"))
        let verdict = try await phone.scan(reading: Fixture.qr("first"))
        XCTAssertEqual("\(verdict)", "valid: admitted, entry at Main, decided by server")
        transport.disconnect()
        let found = await code { _ = try await phone.sync() }
        XCTAssertEqual(found, "offline")
        for await record in records {
            XCTAssertFalse(record.text.contains(Fixture.value("first")))
            XCTAssertFalse(record.text.contains(Fixture.value("enrollment")))
            if record.text.contains("could not be used") { break }
        }
        try removeFolder(folder)
    }
}

/// Passes messages to a test, and fails each time, which changes nothing.
private final class Hook: LogHook {
    private let continuation: AsyncStream<LogRecord>.Continuation

    init(_ continuation: AsyncStream<LogRecord>.Continuation) { self.continuation = continuation }

    func log(record: LogRecord) throws {
        continuation.yield(record)
        throw CocoaError(.userCancelled)
    }
}
