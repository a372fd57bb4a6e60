import Foundation

@testable import VoelgoedScan

/// The real server's door, which bindings/examples/door.rs keeps: an event, two devices, a network that can be cut.
final class Door {
    private let process = Process()
    private let told = Pipe()
    private let said = Pipe()
    private var rest = Data()
    private var facts: [String: String] = [:]

    init() throws {
        let programs = ProcessInfo.processInfo.environment["VOELGOED_SCAN_PROGRAMS"] ?? ""
        process.executableURL = URL(fileURLWithPath: programs).appendingPathComponent("door")
        process.arguments = [programs]
        process.standardInput = told
        process.standardOutput = said
        try process.run()
        while case let line = line(), !line.isEmpty {
            let parts = line.split(separator: "\t").map(String.init)
            facts[parts[0]] = parts[1]
        }
    }

    /// The next line; empty as well where the door is gone.
    private func line() -> String {
        while true {
            if let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                defer { rest = Data(rest[(end + 1)...]) }
                return String(decoding: rest[..<end], as: UTF8.self)
            }
            let more = said.fileHandleForReading.availableData
            if more.isEmpty { return "" }
            rest.append(more)
        }
    }

    subscript(name: String) -> String { facts[name] ?? "the door has no \(name)" }

    func camera(_ name: String) -> TicketReading { .qr(text: self[name]) }

    @discardableResult
    func ask(_ question: String) -> String {
        told.fileHandleForWriting.write(Data((question + "\n").utf8))
        return line()
    }

    func close() throws {
        try told.fileHandleForWriting.close()
        process.waitUntilExit()
    }
}
