// A gate on a terminal: a scanner that types instead of filming. README.md tells how it goes into an iOS app.
//
//     Gate FOLDER enroll URI        the URI that the QR code of `voelgoed-scan device enroll` says
//     Gate FOLDER stand EVENT GATE
//     Gate FOLDER scan              a payload a line from stdin; `exit PAYLOAD` lets somebody out
//     Gate FOLDER state
import Foundation
import VoelgoedScan

/// Secrets as files that their owner alone may read. On a phone: the Keychain.
final class SecretFile: SecretStore, @unchecked Sendable {
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
            let own: [FileAttributeKey: Any] = [.posixPermissions: 0o700]
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true, attributes: own)
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
    // A server on this machine may be called without TLS; an app leaves the settings out.
    let settings = ClientSettings(
        scanDeadline: standard.scanDeadline, callTimeout: standard.callTimeout,
        transferTimeout: standard.transferTimeout, firstRetry: standard.firstRetry,
        longestRetry: standard.longestRetry, refreshEvery: standard.refreshEvery, batch: standard.batch,
        allowPlainHttp: true)
    return ClientSetup(
        directory: folder.path, app: App(name: "Terminal gate", version: "1.0", platform: "swift"),
        secrets: SecretFile(folder: folder.appendingPathComponent("secrets")), settings: settings)
}

func show(_ verdict: Verdict) {
    var more = verdict.warnings.map(\.code)
    if let before = verdict.previousScan { more.append("\(before.secondsAgo) s ago") }
    if verdict.decidedBy == .device { more.append("offline") }
    let colour = verdict.result == .valid ? 42 : 41
    print("\u{1b}[\(colour)m \(verdict.message) \u{1b}[0m \(verdict.reason.code) \(more.joined(separator: ", "))")
}

func readTickets(_ gate: ScannerClient) async {
    while let line = readLine() {
        let out = line.hasPrefix("exit ")
        do {
            let text = out ? String(line.dropFirst(5)) : line
            show(try await gate.scan(reading: .qr(text: text), direction: out ? .exit : .entry))
        } catch let error as GateError {
            print(errorCode(error: error))
        } catch {
            print(error)
        }
    }
}

func main(_ arguments: [String]) async throws {
    let setup = try setup(URL(fileURLWithPath: arguments[1]))
    if arguments[2] == "enroll" {
        let gate = try await ScannerClient.enroll(setup: setup, uri: arguments[3])
        return print("enrolled as", gate.device().name)
    }
    let gate = try await ScannerClient.open(setup: setup)
    switch arguments[2] {
    case "stand":
        _ = try await gate.startSession(eventId: arguments[3], gateId: arguments[4], replace: true)
        _ = try await gate.refreshManifest()
    case "scan":
        do {
            _ = try await gate.sync()  // finds the server, and hands in what a shift before left
        } catch let error as GateError {
            FileHandle.standardError.write(Data("on its own: \(errorCode(error: error))\n".utf8))
        }
        let running = Task { await gate.run() }
        await readTickets(gate)
        gate.stop()
        await running.value
        _ = try await gate.sync()  // the end of the shift: nothing is to wait on this machine
    default: break
    }
    print(try await gate.state())
}

// A line at a time, into a pipe too.
setvbuf(stdout, nil, _IOLBF, 0)
guard CommandLine.arguments.count > 2 else {
    FileHandle.standardError.write(Data("usage: Gate FOLDER enroll URI | stand EVENT GATE | scan | state\n".utf8))
    exit(2)
}
do {
    try await main(CommandLine.arguments)
} catch let error as GateError {
    FileHandle.standardError.write(Data((errorCode(error: error) + "\n").utf8))
    exit(1)
}
