import Foundation

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
