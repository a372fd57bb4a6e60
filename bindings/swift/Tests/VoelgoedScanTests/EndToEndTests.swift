import Foundation
import XCTest

@testable import VoelgoedScan

/// Phones with the real server and the library's own transport.
final class EndToEndTests: ServerTestCase {
    func testAnEnrolmentCodeWorksOnce() async throws {
        let uri = try ask("enroll gate-a")
        let phone = try await ScannerClient.enroll(setup: setup("gate-a"), uri: uri)
        XCTAssertEqual(phone.device().deviceId, "gate-a")
        do {
            _ = try await ScannerClient.enroll(setup: setup("gate-b"), uri: uri)
            XCTFail("a code works once")
        } catch ScannerError.Refused(let status, let code, _, _, _) {
            XCTAssertEqual(status, 404)
            XCTAssertEqual(code, "not_found")
        }
        do {
            _ = try await ScannerClient.open(setup: setup("gate-b"))
            XCTFail("not enrolled")
        } catch ScannerError.NotEnrolled {}
    }

    func testTheMessageIsInTheLanguageOfTheStewardAndInTheWordsOfTheOrganization() async throws {
        _ = try ask(#"messages {"af": {"admitted": "Welkom!"}, "de": {"ticket_voided": "Zur Kasse, bitte"}}"#)
        let setup = try setup("gate-a", language: "xh-ZA,af_ZA")
        let phone = try await ScannerClient.enroll(setup: setup, uri: ask("enroll gate-a"))
        try await startSession(phone)
        _ = try await phone.refreshManifest()
        XCTAssertEqual(phone.language(), "af")
        let online = try await phone.scan(reading: server.qr("first"))
        XCTAssertEqual(online.decidedBy, .server)
        XCTAssertEqual(online.message, "Welkom!")
        phone.setLanguage(language: "fr-CH, de;q=0.5")
        let second = try await phone.scan(reading: server.qr("second"))
        XCTAssertEqual(phone.language(), "fr")
        XCTAssertEqual(second.message, "Entrée autorisée")
        _ = try ask("disconnect")
        phone.setLanguage(language: "de")
        let offline = try await phone.scan(reading: server.qr("third"))
        XCTAssertEqual(offline.decidedBy, .device)
        XCTAssertEqual(offline.message, "Einlass gewährt")
        let again = try await phone.scan(reading: server.qr("voided"))
        XCTAssertEqual(again.message, "Zur Kasse, bitte")
        phone.setLanguage(language: "zu")
        let fourth = try await phone.scan(reading: server.qr("fourth"))
        XCTAssertEqual(fourth.message, "Admitted")
        XCTAssertEqual(phone.language(), "en")
        XCTAssertEqual(allLanguages(), ["en", "af", "nl", "de", "fr", "es", "pt"])
        XCTAssertEqual(Reason.alreadyScanned.message(in: "fr"), "Déjà scanné")
    }

    func testTheServerDecidesEveryResultWhileItIsAvailable() async throws {
        let (a, b) = (try await phone("gate-a"), try await phone("gate-b"))
        let admitted = try await a.scan(reading: server.qr("first"))
        XCTAssertEqual(admitted.result, .valid)
        XCTAssertEqual(admitted.decidedBy, .server)
        XCTAssertEqual(admitted.occupancy?.gate.inside, 1)
        let again = try await b.scan(reading: server.qr("first"))
        XCTAssertEqual(again.reason, .alreadyScanned)
        XCTAssertEqual(again.previousScan?.scanId, admitted.scanId)
        XCTAssertEqual(again.previousScan?.sameDevice, false)
        try await startSession(b, at: "gate_vip")
        var seen: Set<ScanResult> = [admitted.result, again.result]
        for (phone, reading, reason) in [
            (a, TicketReading.qr(text: "https://example.org"), Reason.malformed),
            (a, try server.qr("other_event"), .otherEvent),
            (b, try server.qr("second"), .gateNotAllowed),
            (a, try server.qr("voided"), .ticketVoided),
        ] {
            let verdict = try await phone.scan(reading: reading)
            XCTAssertEqual(verdict.reason, reason)
            XCTAssertEqual(verdict.decidedBy, .server)
            seen.insert(verdict.result)
        }
        XCTAssertEqual(seen, Set(ScanResult.allCases))
        let exit = try await a.scan(reading: server.qr("first"), direction: .exit)
        XCTAssertEqual(exit.reason, .exited)
        XCTAssertEqual(try ask("inside"), "0")
    }

    func testALostAnswerDoesNotAdmitTwice() async throws {
        let phone = try await phone("gate-a")
        try server.ask("drop_responses")
        let alone = try await phone.scan(reading: server.qr("answer_lost"))
        XCTAssertEqual(alone.reason, .admitted)
        XCTAssertEqual(alone.decidedBy, .device)
        XCTAssertEqual(try ask("inside"), "1")
        try server.ask("reconnect")
        let report = try await phone.sync()
        XCTAssertEqual([report.recorded, report.replayed, report.conflicts], [0, 1, 0])
        XCTAssertEqual(try ask("inside"), "1")
    }

    func testATicketAdmittedByTwoOfflinePhonesIsReportedAsAConflict() async throws {
        let b = try await phone("gate-b")
        var verdicts: [Verdict] = []
        // The database of the first phone is closed at the end of the block.
        do {
            let a = try await phone("gate-a")
            try server.ask("disconnect")
            verdicts = [
                try await a.scan(reading: server.qr("both")), try await b.scan(reading: server.qr("both")),
            ]
            XCTAssertEqual(verdicts.map(\.reason), [.admitted, .admitted])
            XCTAssertEqual(verdicts.map(\.decidedBy), [.device, .device])
            do {
                _ = try await a.sync()
                XCTFail("there is no network")
            } catch ScannerError.Offline {}
            let state = try await a.state()
            XCTAssertFalse(state.online)
            XCTAssertEqual(state.waiting, 1)
            XCTAssertEqual(state.lastError, "offline")
        }

        let reopened = try await ScannerClient.open(setup: setup("gate-a"))
        let second = try await reopened.scan(reading: server.qr("both"))
        XCTAssertEqual(second.reason, .alreadyScanned)
        XCTAssertEqual(second.previousScan?.sameDevice, true)
        let third = try await reopened.scan(reading: server.qr("third"))
        XCTAssertEqual(third.reason, .admitted)
        var state = try await reopened.state()
        XCTAssertEqual(state.waiting, 3)
        XCTAssertEqual(try ask("inside"), "0")

        try server.ask("reconnect")
        let first = try await reopened.sync()
        XCTAssertEqual([first.recorded, first.rejected, first.conflicts], [3, 0, 0])
        let then = try await b.sync()
        XCTAssertEqual([then.recorded, then.conflicts], [1, 1])
        state = try await b.state()
        XCTAssertEqual(state.conflicts, 1)
        let conflicts = try await b.conflicts()
        XCTAssertEqual(conflicts.map(\.kind), [.doubleEntry])
        let conflict = try XCTUnwrap(conflicts.first)
        XCTAssertEqual(Set([conflict.winnerScanId, conflict.otherScanId]), Set(verdicts.map { $0.scanId }))
        XCTAssertEqual(conflict.devices.map(\.name).sorted(), ["gate-a", "gate-b"])
        XCTAssertEqual(try ask("conflicts"), "1")
        XCTAssertEqual(try ask("inside"), "3", "people are counted, not tickets")
        let fourth = try await reopened.scan(reading: server.qr("fourth"))
        XCTAssertEqual(fourth.decidedBy, .server)
    }

    func testRunReconnectsToTheServerAndUploads() async throws {
        let phone = try await phone("gate-a")
        let running = Task { await phone.run() }
        try server.ask("disconnect")
        let alone = try await phone.scan(reading: server.qr("second"))
        XCTAssertEqual(alone.decidedBy, .device)
        try server.ask("reconnect")
        var revision: UInt64 = 0
        var state = try await phone.state()
        while !state.online || state.waiting > 0 {
            revision = await phone.changedSince(revision: revision)
            state = try await phone.state()
        }
        phone.stop()
        await running.value
        XCTAssertEqual(try ask("inside"), "1")
    }
}
