import Foundation
import XCTest

@testable import VoelgoedScan

/// Controls bindings/examples/test_server.rs: the real server with an event, behind a network that can be interrupted.
final class TestServer {
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()
    private var rest = Data()
    private var values: [String: String] = [:]

    init() throws {
        let programs = ProcessInfo.processInfo.environment["VOELGOED_SCAN_PROGRAMS"] ?? ""
        process.executableURL = URL(fileURLWithPath: programs).appendingPathComponent("test_server")
        process.arguments = [programs]
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        while case let line = line(), !line.isEmpty {
            let parts = line.split(separator: "\t").map(String.init)
            values[parts[0]] = parts[1]
        }
    }

    /// Returns the next line. Empty after the end of the output.
    private func line() -> String {
        while true {
            if let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                defer { rest = Data(rest[(end + 1)...]) }
                return String(decoding: rest[..<end], as: UTF8.self)
            }
            let more = output.fileHandleForReading.availableData
            if more.isEmpty { return "" }
            rest.append(more)
        }
    }

    subscript(name: String) -> String { values[name] ?? "no fixture value \(name)" }

    func qr(_ name: String) -> TicketReading { .qr(text: self[name]) }

    @discardableResult
    func ask(_ question: String) -> String {
        input.fileHandleForWriting.write(Data((question + "\n").utf8))
        return line()
    }

    func close() throws {
        try input.fileHandleForWriting.close()
        process.waitUntilExit()
    }
}

/// Tests with a server of their own, and phones that have enrolled there.
class ServerTestCase: XCTestCase {
    private var folder = URL(fileURLWithPath: "/")
    private(set) var secretStores: [String: MemorySecretStore] = [:]
    private var opened: TestServer?
    var server: TestServer { get throws { try XCTUnwrap(opened) } }

    override func setUpWithError() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("voelgoed-scan-" + UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        opened = try TestServer()
    }

    override func tearDownWithError() throws {
        try opened?.close()
        try removeFolder(folder)
    }

    func setup(_ name: String, language: String? = nil) throws -> ClientSetup {
        let own = folder.appendingPathComponent(name)
        try FileManager.default.createDirectory(at: own, withIntermediateDirectories: true)
        let secretStore = secretStores[name] ?? MemorySecretStore()
        secretStores[name] = secretStore
        return ClientSetup(
            directory: own.path, app: App(name: "Gate", version: "1.0", platform: "linux"), secrets: secretStore,
            settings: Fixture.testSettings(retry: 0.02, allowPlainHttp: true), language: language)
    }

    func enroll(_ name: String) async throws -> ScannerClient {
        try await ScannerClient.enroll(setup: setup(name), uri: server.ask("enroll \(name)"))
    }

    func phone(_ name: String) async throws -> ScannerClient {
        let phone = try await enroll(name)
        try await startSession(phone)
        let manifest = try await phone.refreshManifest()
        XCTAssertEqual(manifest?.tickets, 7)
        return phone
    }

    func startSession(_ phone: ScannerClient, at gate: String = "gate_main") async throws {
        let session = try await phone.startSession(eventId: server["event"], gateId: server[gate], replace: true)
        XCTAssertEqual(session?.gateId, try server[gate])
    }

    func ask(_ question: String) throws -> String { try server.ask(question) }
}

/// Returns the code of the error that `work` throws.
func code(of work: () async throws -> Void) async -> String {
    do {
        try await work()
        return "no error"
    } catch let error as ScannerError {
        return errorCode(error: error)
    } catch {
        return "\(error)"
    }
}
