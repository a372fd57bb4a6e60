// A scanner on a terminal: it reads payloads from stdin instead of a camera. README.md explains the use in an iOS app.
//
//     Gate FOLDER enroll URI        URI is the text of the QR code that `voelgoed-scan device enroll` shows
//     Gate FOLDER events            lists the events and their gates
//     Gate FOLDER start EVENT GATE  starts a session at a gate
//     Gate FOLDER test              tests this phone before the doors open
//     Gate FOLDER scan              reads lines from stdin: a payload is an entry, `exit PAYLOAD` an exit,
//                                   `undo` takes the last admission back, `search NAME` finds guests,
//                                   `inside` counts the people inside
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
        manifestsHeld: standard.manifestsHeld, allowPlainHttp: true)
    return ClientSetup(
        directory: folder.path, app: App(name: "Terminal scanner", version: "1.0", platform: "swift"),
        secrets: FileSecretStore(folder: folder.appendingPathComponent("secrets")), settings: settings)
}

func printError(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }

/// Shows the state on stderr whenever it changes. Called on a thread of the library.
final class StatusLine: StateListener {
    func stateChanged(state: ClientState) throws {
        let network = state.online ? "online" : "alone (\(state.lastError ?? "not connected yet"))"
        printError("[\(network), \(state.waiting) waiting, \(state.conflicts) conflicts]")
    }
}

func listEvents(_ client: ScannerClient) async throws {
    for event in try await client.events() {
        print(event.id, event.name, event.status.map { "\($0)" } ?? "?", separator: "\t")
        for gate in try await client.eventGates(eventId: event.id) {
            print("", gate.id, gate.name, gate.status.map { "\($0)" } ?? "?", separator: "\t")
        }
    }
}

func selfTest(_ client: ScannerClient) async {
    for check in await client.selfTest() {
        print(check.subject, check.problem ?? "ok", check.advice, separator: "\t")
    }
}

/// Scans the frames of a camera, here the lines of stdin.
actor Gate {
    private let client: ScannerClient
    private var lastAdmission: ScanId?

    init(_ client: ScannerClient) { self.client = client }

    /// Handles a line. A denial is a verdict; an error means that there is none.
    func read(_ line: String) async {
        let parts = line.split(separator: " ", maxSplits: 1).map(String.init)
        let rest = parts.count > 1 ? parts[1] : ""
        do {
            switch parts.first {
            case "undo":
                guard let scan = lastAdmission else { return }
                print("undone", try await client.undo(scanId: scan, reason: "undone by the steward").reason)
            case "search":
                for ticket in try await client.search(text: rest).tickets {
                    print(try groupedTicketCode(code: ticket.code), ticket.holderName ?? "", separator: "\t")
                }
            case "inside": print("inside", try await client.occupancy().event.inside)
            case "exit": show(try await client.scan(reading: .qr(text: rest), direction: .exit))
            default: show(try await client.scan(reading: .qr(text: line)))
            }
        } catch let error as ScannerError {
            print(errorCode(error: error))
        } catch {
            print(error)
        }
    }

    private func show(_ verdict: Verdict) {
        if verdict.repeated { return }  // another frame of the same ticket: the verdict is on the screen already
        let valid = verdict.result == .valid
        if valid && verdict.direction == .entry { lastAdmission = verdict.scanId }
        var details = verdict.warnings.map(\.code)
        if let previous = verdict.previousScan { details.append("\(previous.secondsAgo) s ago") }
        if verdict.decidedBy == .device { details.append("offline") }
        let colour = valid ? 42 : 41
        print("\u{1b}[\(colour)m \(verdict.message) \u{1b}[0m \(verdict.reason.code) \(details.joined(separator: ", "))")
    }
}

/// The lines of stdin. A thread reads them, because `readLine` blocks.
func lines() -> AsyncStream<String> {
    AsyncStream { continuation in
        Thread.detachNewThread {
            while let line = readLine() { continuation.yield(line) }
            continuation.finish()
        }
    }
}

/// The frame loop. It does not wait for a verdict before it takes the next frame: frames of one ticket share one.
func readFrames(_ client: ScannerClient) async {
    let gate = Gate(client)
    await withTaskGroup(of: Void.self) { group in
        for await line in lines() {
            group.addTask { await gate.read(line) }
        }
        // The group waits for the scans that have begun.
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
    case "events": return try await listEvents(client)
    case "test": return await selfTest(client)
    case "start":
        _ = try await client.startSession(eventId: arguments[3], gateId: arguments[4], replace: true)
        _ = try await client.refreshManifest()
    case "scan":
        do {
            _ = try await client.sync()  // connects to the server and uploads the scans of an earlier run
        } catch let error as ScannerError {
            printError("offline: \(errorCode(error: error))")
        }
        let status = try client.subscribe(listener: StatusLine())
        let running = Task { await client.run() }
        await readFrames(client)
        client.stop()
        await running.value
        _ = try await client.sync()  // the end of the shift: no scan must wait on this machine
        status.cancel()
    default: break
    }
    print(try await client.state())
}

// Line buffering, even into a pipe.
setvbuf(stdout, nil, _IOLBF, 0)
guard CommandLine.arguments.count > 2 else {
    printError("usage: Gate FOLDER enroll URI | events | start EVENT GATE | test | scan | state")
    exit(2)
}
do {
    try await main(CommandLine.arguments)
} catch let error as ScannerError {
    printError(errorCode(error: error))
    exit(1)
}
