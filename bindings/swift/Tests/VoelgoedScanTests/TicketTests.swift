import Foundation
import XCTest

@testable import VoelgoedScan

final class TicketTests: XCTestCase {
    func testATypedCodeMayBeGroupedButNotOtherwiseChanged() throws {
        XCTAssertEqual(try parseTicketCode(text: "3KQR-7F92 4M1X-aB0z"), "3KQR7F924M1XaB0z")
        XCTAssertEqual(try groupedTicketCode(code: "3KQR7F924M1XaB0z"), "3KQR-7F92-4M1X-aB0z")
        for text in ["", "3KQR", "3KQR--7F92-4M1X-aB0z", "3KQR7F924M1XaB0é", "3KQR7F924M1XaB0z "] {
            XCTAssertThrowsError(try parseTicketCode(text: text), text) { error in
                guard case ScannerError.InvalidText(let kind, _) = error else { return XCTFail("\(error)") }
                XCTAssertEqual(kind, "ticket code")
            }
        }
        XCTAssertThrowsError(try groupedTicketCode(code: "short"))
    }

    func testTheShapeOfAPayloadDeterminesItsFormat() {
        XCTAssertEqual(payloadFormat(payload: "VG1.1.fO7PQD0HtpbJu1DB.VGtaswiiCdSvrK4-qZ36BQ\r\n"), .vg1)
        XCTAssertEqual(payloadFormat(payload: "3KQR7F924M1XaB0z")?.code, "bare")
        XCTAssertNil(payloadFormat(payload: "https://example.org"))
        XCTAssertNil(payloadFormat(payload: String(repeating: "A", count: 3000)))
    }

    func testEveryReasonHasAResultACodeAndAMessage() {
        let reasons = allReasons()
        XCTAssertEqual(reasons, Reason.allCases)
        XCTAssertEqual(Set(reasons.map(\.result)), Set(ScanResult.allCases))
        XCTAssertEqual(Reason.alreadyScanned.code, "already_scanned")
        XCTAssertEqual(Reason.badSignature.result.code, "invalid_token")
        XCTAssertEqual(Reason.alreadyScanned.message, "Already scanned")
        XCTAssertEqual(Set(reasons.map(\.code)).count, reasons.count)
        XCTAssertTrue(reasons.allSatisfy { !$0.message.isEmpty })
        XCTAssertEqual(ScanWarning.allCases.map(\.code).first, "clock_skew")
    }

    func testPublicKeysVerifyEveryPayloadOfTheSharedVectorsAsTheReferenceDoes() throws {
        let (organization, keys, cases) = try Vector.all()
        let verifier = try TicketVerifier(organizationId: organization, publicKeys: keys)
        for vector in cases {
            switch verifier.verify(payload: vector.token, now: vector.now) {
            case .genuine(let ticket):
                XCTAssertEqual(vector.outcome, "valid", vector.name)
                XCTAssertEqual(vector.code, ticket.ticketCode, vector.name)
            case .refused(let reason):
                XCTAssertEqual(vector.outcome, reason.code, vector.name)
            }
        }
        XCTAssertGreaterThan(cases.count, 50)
        XCTAssertGreaterThanOrEqual(cases.filter { $0.outcome == "valid" }.count, 8)
    }

    func testThisBuildMakesEveryDecisionOfTheSharedVectors() throws {
        let path = try XCTUnwrap(ProcessInfo.processInfo.environment["VOELGOED_SCAN_DECISIONS"])
        let report = try checkDecisions(json: String(contentsOfFile: path, encoding: .utf8))
        XCTAssertEqual(report.differences, [])
        XCTAssertGreaterThan(report.cases, 70)
        XCTAssertGreaterThan(report.cases + report.skipped, 90)
        XCTAssertThrowsError(try checkDecisions(json: "{}"))
    }

    func testAnInvalidKeyOrOrganizationIdIsAnError() throws {
        XCTAssertThrowsError(try TicketVerifier(organizationId: "nobody", publicKeys: [:])) { error in
            guard case ScannerError.InvalidText(let kind, _) = error else { return XCTFail("\(error)") }
            XCTAssertEqual(kind, "organization id")
        }
        let id = "ea8ed02a-82a1-4593-8f23-37cd3794c522"
        XCTAssertThrowsError(try TicketVerifier(organizationId: id, publicKeys: ["1": Data(count: 31)]))
        XCTAssertThrowsError(try TicketVerifier(organizationId: id, publicKeys: ["not a kid": Data(count: 32)]))
        let none = try TicketVerifier(organizationId: id, publicKeys: [:])
        XCTAssertEqual(none.verify(payload: "", now: .distantFuture), .refused(reason: .malformed))
    }
}

/// A line of the shared vectors, which `bindings/test` writes as tab-separated columns.
private struct Vector {
    let name, token, outcome, code: String
    let now: Date

    static func all() throws -> (organization: String, keys: [String: Data], cases: [Vector]) {
        let path = try XCTUnwrap(ProcessInfo.processInfo.environment["VOELGOED_SCAN_VECTORS"])
        let lines = try String(contentsOfFile: path, encoding: .utf8)
            .split(separator: "\n").map { $0.split(separator: "\t", omittingEmptySubsequences: false).map(String.init) }
        var keys: [String: Data] = [:]
        for line in lines where line[0] == "key" { keys[line[1]] = Data(base64Encoded: line[2]) }
        let cases = try lines.filter { $0[0] == "case" }.map { line in
            let token = try XCTUnwrap(Data(base64Encoded: line[2]).flatMap { String(data: $0, encoding: .utf8) })
            let seconds = try XCTUnwrap(TimeInterval(line[3]))
            return Vector(
                name: line[1], token: token, outcome: line[4], code: line[5], now: Date(timeIntervalSince1970: seconds))
        }
        return (try XCTUnwrap(lines.first { $0[0] == "organization" })[1], keys, cases)
    }
}
