import Foundation

@testable import VoelgoedScan

/// The fixture that bindings/examples/test_manifest.rs writes: an event, payloads by name, manifests.
enum Fixture {
    private static let folder = URL(fileURLWithPath: ProcessInfo.processInfo.environment["VOELGOED_SCAN_FIXTURE"] ?? "")

    private static let values: [String: String] = {
        let text = (try? String(contentsOf: folder.appendingPathComponent("values.tsv"), encoding: .utf8)) ?? ""
        let lines = text.split(separator: "\n").map { $0.split(separator: "\t") }
        return Dictionary(uniqueKeysWithValues: lines.map { (String($0[0]), String($0[1])) })
    }()

    static func value(_ name: String) -> String { values[name] ?? "no fixture value \(name)" }

    static func file(_ name: String) throws -> Data { try Data(contentsOf: folder.appendingPathComponent(name)) }

    static func manifest(_ name: String) throws -> Data { try file("\(name).manifest") }

    static func setup(_ file: String, device: String = "device_a", canOverride: Bool = false) -> OfflineScannerSetup {
        let digits = Array(value("manifest_key"))
        let bytes = stride(from: 0, to: digits.count, by: 2).map { UInt8(String(digits[$0...$0 + 1]), radix: 16) ?? 0 }
        return OfflineScannerSetup(
            file: file, organizationId: value("organization"), deviceId: value(device), deviceName: device,
            canOverride: canOverride, manifestKey: Data(bytes))
    }

    /// A long scan timeout: only the state of the network decides who decides, not the speed of the machine.
    static func testSettings(retry: TimeInterval = 1, allowPlainHttp: Bool = false) -> ClientSettings {
        let usual = defaultClientSettings()
        return ClientSettings(
            scanTimeout: 60, callTimeout: usual.callTimeout, transferTimeout: usual.transferTimeout,
            initialBackoff: retry, maxBackoff: retry, refreshInterval: usual.refreshInterval, batchSize: usual.batchSize,
            manifestsHeld: usual.manifestsHeld, allowPlainHttp: allowPlainHttp)
    }

    static func qr(_ name: String) -> TicketReading { .qr(text: value(name)) }
}

/// A refusal of the server.
func problem(_ status: UInt16, _ code: String, headers: [HttpHeader] = []) -> HttpResponse {
    let body =
        "{\"type\":\"urn:voelgoed-scan:problem:\(code)\",\"title\":\"\(code)\",\"status\":\(status),"
        + "\"detail\":\"no\",\"code\":\"\(code)\"}"
    let type = HttpHeader(name: "Content-Type", value: "application/problem+json")
    return HttpResponse(status: status, headers: [type] + headers, body: Data(body.utf8))
}

/// A transport without a network: it returns the responses of a server, or fails.
final class FakeTransport: Transport, @unchecked Sendable {
    private let lock = NSLock()
    private var broken: Error?
    private var made: [String] = []
    private var asked: [String] = []
    private var waits: [TimeInterval] = []

    var fault: Error? {
        get { lock.withLock { broken } }
        set { lock.withLock { broken = newValue } }
    }

    var calls: [String] { lock.withLock { made } }

    /// The ids of the scans that the server was asked for.
    var scans: [String] { lock.withLock { asked } }

    /// How long the answer to each scan takes in seconds, in the order of the requests. After the last one, none.
    var delays: [TimeInterval] {
        get { lock.withLock { waits } }
        set { lock.withLock { waits = newValue } }
    }

    func disconnect() { fault = TransportError.Unreachable(reason: "no network") }

    func send(request: HttpRequest) async throws -> HttpResponse {
        lock.withLock { made.append(request.url) }
        if let fault { throw fault }
        let path = request.url.split(separator: "?")[0]
        let answers: [(String, UInt16, String)] = [
            ("/enroll", 201, "enroll.json"), ("/sessions", 201, "session.json"), ("/device", 200, "device.json"),
            ("/scan", 200, "scan.json"), ("/manifest", 200, "good.manifest"),
        ]
        guard let (_, status, file) = answers.first(where: { path.hasSuffix($0.0) }) else {
            return problem(503, "overloaded", headers: [HttpHeader(name: "Retry-After", value: "1")])
        }
        var body = try Fixture.file(file)
        if file == "scan.json" {
            // The server answers the scan that it was asked for.
            let question = try JSONSerialization.jsonObject(with: request.body) as? [String: Any]
            let id = question?["scan_id"] as? String ?? "no id"
            let text = String(decoding: body, as: UTF8.self)
            body = Data(text.replacingOccurrences(of: "\"scan_id\":null", with: "\"scan_id\":\"\(id)\"").utf8)
            let wait = lock.withLock {
                asked.append(id)
                return waits.isEmpty ? 0 : waits.removeFirst()
            }
            try await Task.sleep(nanoseconds: UInt64(wait * 1e9))
        }
        let type = file.hasSuffix(".json") ? "application/json" : "application/octet-stream"
        return HttpResponse(status: status, headers: [HttpHeader(name: "Content-Type", value: type)], body: body)
    }
}

/// A secret store in memory.
final class MemorySecretStore: SecretStore, @unchecked Sendable {
    private let lock = NSLock()
    private var secrets: [String: Data] = [:]
    var locked = false

    var names: [String] { lock.withLock { Array(secrets.keys) } }

    private func check() throws {
        if locked { throw SecretStoreError.Failed(reason: "the phone is locked") }
    }

    func get(name: String) throws -> Data? {
        try check()
        return lock.withLock { secrets[name] }
    }

    func set(name: String, secret: Data) throws {
        try check()
        lock.withLock { secrets[name] = secret }
    }

    func delete(name: String) throws {
        try check()
        lock.withLock { secrets[name] = nil }
    }
}

/// Removes a folder of databases. They are closed in the background, which removes files of their own meanwhile.
func removeFolder(_ folder: URL) throws {
    while FileManager.default.fileExists(atPath: folder.path) {
        do { try FileManager.default.removeItem(at: folder) } catch let error as CocoaError where error.code == .fileNoSuchFile {}
    }
}
