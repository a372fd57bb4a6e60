import Foundation

@testable import VoelgoedScan

/// The stage that `bindings/test` sets: one event, its payloads by name, its manifests.
enum Stage {
    private static let folder = URL(fileURLWithPath: ProcessInfo.processInfo.environment["VOELGOED_SCAN_STAGE"] ?? "")

    private static let facts: [String: String] = {
        let text = (try? String(contentsOf: folder.appendingPathComponent("facts.tsv"), encoding: .utf8)) ?? ""
        let lines = text.split(separator: "\n").map { $0.split(separator: "\t") }
        return Dictionary(uniqueKeysWithValues: lines.map { (String($0[0]), String($0[1])) })
    }()

    static func fact(_ name: String) -> String { facts[name] ?? "the stage has no \(name)" }

    static func file(_ name: String) throws -> Data { try Data(contentsOf: folder.appendingPathComponent(name)) }

    static func manifest(_ name: String) throws -> Data { try file("\(name).manifest") }

    static func setup(_ file: String, device: String = "device_a", canOverride: Bool = false) -> OfflineGateSetup {
        let digits = Array(fact("manifest_key"))
        let bytes = stride(from: 0, to: digits.count, by: 2).map { UInt8(String(digits[$0...$0 + 1]), radix: 16) ?? 0 }
        return OfflineGateSetup(
            file: file, organizationId: fact("organization"), deviceId: fact(device), deviceName: device,
            canOverride: canOverride, manifestKey: Data(bytes))
    }

    /// However slow the machine is: whether the phone decides is for the network to say, not for the clock.
    static func patient(retry: TimeInterval = 1, allowPlainHttp: Bool = false) -> ClientSettings {
        let usual = defaultClientSettings()
        return ClientSettings(
            scanDeadline: 60, callTimeout: usual.callTimeout, transferTimeout: usual.transferTimeout,
            firstRetry: retry, longestRetry: retry, refreshEvery: usual.refreshEvery, batch: usual.batch,
            allowPlainHttp: allowPlainHttp)
    }

    static func camera(_ name: String) -> TicketReading { .qr(text: fact(name)) }
}

/// A network of the test's own: it answers what a server would, or is cut.
final class Wire: Transport, @unchecked Sendable {
    private let lock = NSLock()
    private var broken: Error?
    private var made: [String] = []

    var fault: Error? {
        get { lock.withLock { broken } }
        set { lock.withLock { broken = newValue } }
    }

    var calls: [String] { lock.withLock { made } }

    func cut() { fault = TransportError.Unreachable(reason: "the cable is out") }

    func send(request: HttpRequest) async throws -> HttpResponse {
        lock.withLock { made.append(request.url) }
        if let fault { throw fault }
        let path = request.url.split(separator: "?")[0]
        let answers: [(String, UInt16, String)] = [
            ("/enroll", 201, "enroll.json"), ("/sessions", 201, "session.json"), ("/device", 200, "device.json"),
            ("/scan", 200, "scan.json"), ("/manifest", 200, "good.manifest"),
        ]
        guard let (_, status, file) = answers.first(where: { path.hasSuffix($0.0) }) else {
            return HttpResponse(status: 503, headers: [HttpHeader(name: "Retry-After", value: "1")], body: Data())
        }
        return HttpResponse(status: status, headers: [], body: try Stage.file(file))
    }
}

/// What the Keychain is on a phone.
final class Vault: SecretStore, @unchecked Sendable {
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
