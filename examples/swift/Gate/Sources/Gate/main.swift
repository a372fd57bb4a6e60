// A scanner on a terminal: it reads payloads from stdin instead of a camera. README.md explains the use in an iOS app.
//
//     Gate FOLDER enroll URI        URI is the text of the QR code that `voelgoed-scan device enroll` shows
//     Gate FOLDER start EVENT GATE  starts a session at a gate
//     Gate FOLDER scan              reads one payload per line from stdin; `exit PAYLOAD` is an exit
//     Gate FOLDER state             prints the state
import Foundation
import VoelgoedScan

/// Stores secrets in files that only their owner can read. On a phone, use the Keychain.
final class FileSecretStore: SecretStore, @unchecked Sendable {
    private let folder: URL

    init(folder: URL) { self.folder = folder }

    private func io<T>(_ work: () throws -> T) throws -> T {
        do { return try work() } catch { throw SecretStoreError.Failed(reason: "\(error)") }
    }

    func get(name: String) throws -> Data? {
        let file = folder.appendingPathComponent(name)
        return try io { FileManager.default.fileExists(atPath: file.path) ? try Data(contentsOf: file) : nil }
    }

    func set(name: String, secret: Data) throws {
        try io {
            let ownerOnly: [FileAttributeKey: Any] = [.posixPermissions: 0o700]
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true, attributes: ownerOnly)
            try secret.write(to: folder.appendingPathComponent(name), options: .atomic)
        }
    }

    func delete(name: String) throws {
        let file = folder.appendingPathComponent(name)
        try io { if FileManager.default.fileExists(atPath: file.path) { try FileManager.default.removeItem(at: file) } }
    }
}

func setup(_ folder: URL) throws -> ClientSetup {
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let standard = defaultClientSettings()
    // Allows a server on this machine without TLS. An app omits the settings.
    let settings = ClientSettings(
        scanTimeout: standard.scanTimeout, callTimeout: standard.callTimeout,
        transferTimeout: standard.transferTimeout, initialBackoff: standard.initialBackoff,
        maxBackoff: standard.maxBackoff, refreshInterval: standard.refreshInterval, batchSize: standard.batchSize,
        allowPlainHttp: true)
    return ClientSetup(
        directory: folder.path, app: App(name: "Terminal scanner", version: "1.0", platform: "swift"),
        secrets: FileSecretStore(folder: folder.appendingPathComponent("secrets")), settings: settings)
}

func show(_ verdict: Verdict) {
    var details = verdict.warnings.map(\.code)
    if let previous = verdict.previousScan { details.append("\(previous.secondsAgo) s ago") }
    if verdict.decidedBy == .device { details.append("offline") }
    let colour = verdict.result == .valid ? 42 : 41
    print("\u{1b}[\(colour)m \(verdict.message) \u{1b}[0m \(verdict.reason.code) \(details.joined(separator: ", "))")
}

func readTickets(_ client: ScannerClient) async {
    while let line = readLine() {
        let isExit = line.hasPrefix("exit ")
        do {
            let text = isExit ? String(line.dropFirst(5)) : line
            show(try await client.scan(reading: .qr(text: text), direction: isExit ? .exit : .entry))
        } catch let error as ScannerError {
            print(errorCode(error: error))
        } catch {
            print(error)
        }
    }
}

func main(_ arguments: [String]) async throws {
    let setup = try setup(URL(fileURLWithPath: arguments[1]))
    if arguments[2] == "enroll" {
        let client = try await ScannerClient.enroll(setup: setup, uri: arguments[3])
        return print("enrolled as", client.device().name)
    }
    let client = try await ScannerClient.open(setup: setup)
    switch arguments[2] {
    case "start":
        _ = try await client.startSession(eventId: arguments[3], gateId: arguments[4], replace: true)
        _ = try await client.refreshManifest()
    case "scan":
        do {
            _ = try await client.sync()  // connects to the server and uploads the scans of an earlier run
        } catch let error as ScannerError {
            FileHandle.standardError.write(Data("offline: \(errorCode(error: error))\n".utf8))
        }
        let running = Task { await client.run() }
        await readTickets(client)
        client.stop()
        await running.value
        _ = try await client.sync()  // the end of the shift: no scan must wait on this machine
    default: break
    }
    print(try await client.state())
}

// Line buffering, even into a pipe.
setvbuf(stdout, nil, _IOLBF, 0)
guard CommandLine.arguments.count > 2 else {
    FileHandle.standardError.write(Data("usage: Gate FOLDER enroll URI | start EVENT GATE | scan | state\n".utf8))
    exit(2)
}
do {
    try await main(CommandLine.arguments)
} catch let error as ScannerError {
    FileHandle.standardError.write(Data((errorCode(error: error) + "\n").utf8))
    exit(1)
}
