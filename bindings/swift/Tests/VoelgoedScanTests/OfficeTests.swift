import Foundation
import XCTest

@testable import VoelgoedScan

/// What a steward asks the office for: events and gates, guests, undo, occupancy, the self-test. With the real server.
final class OfficeTests: ServerTestCase {
    func testAStewardChoosesEventAndGateBeforeASession() async throws {
        let phone = try await enroll("gate-a")
        let events = try await phone.events()
        XCTAssertEqual(events.map(\.name), ["Opening night", "Opening night"])
        XCTAssertTrue(events.allSatisfy { $0.status == .live && !$0.hasManifest })
        XCTAssertTrue(events.map(\.id).contains(try server["event"]))
        let gates = try await phone.eventGates(eventId: server["event"])
        XCTAssertEqual(gates.map(\.name), ["Main", "VIP"])
        XCTAssertEqual(gates.map(\.status), [.open, .open])
        XCTAssertEqual(gates.map(\.ticketClasses), [nil, ["VIP"]])
        try await startSession(phone)
        _ = try await phone.refreshManifest()
        try server.ask("disconnect")
        let held = try await phone.events()
        XCTAssertEqual(held.map(\.id), [try server["event"]])
        XCTAssertEqual(held.map(\.hasManifest), [true])
        let known = try await phone.eventGates(eventId: server["event"])
        XCTAssertEqual(known.map(\.name), ["Main", "VIP"])
    }

    func testAnUndoneAdmissionAdmitsAgainOnlineAndOffline() async throws {
        let phone = try await phone("gate-a")
        let admitted = try await phone.scan(reading: server.qr("first"))
        let undone = try await phone.undo(scanId: admitted.scanId, reason: "wrong person")
        XCTAssertEqual(undone.scanId, admitted.scanId)
        XCTAssertEqual(try ask("inside"), "0")
        let repeated = try await phone.undo(scanId: admitted.scanId, reason: "again")
        XCTAssertEqual(repeated, undone, "a repetition gives the same answer")
        let again = try await phone.scan(reading: server.qr("first"))
        XCTAssertEqual(again.reason, .admitted)
        XCTAssertFalse(again.repeated)
        _ = try await phone.undo(scanId: again.scanId, reason: "wrong person")
        try server.ask("disconnect")
        let alone = try await phone.scan(reading: server.qr("first"))
        XCTAssertEqual(alone.reason, .admitted)
        XCTAssertEqual(alone.decidedBy, .device)
        let found = await code { _ = try await phone.undo(scanId: alone.scanId, reason: "no network") }
        XCTAssertEqual(found, "offline")
        try server.ask("reconnect")
        _ = try await phone.undo(scanId: alone.scanId, reason: "uploaded first")
        let state = try await phone.state()
        XCTAssertEqual(state.waiting, 0)
        XCTAssertEqual(try ask("inside"), "0")
    }

    func testWhatTheServerDeniedStaysDeniedOfflineAndAfterARestart() async throws {
        func denyOnline() async throws {
            let phone = try await self.phone("gate-a")
            // The manifest of the phone lists the ticket as active.
            try server.ask("status \(server["second_code"]) voided")
            let denied = try await phone.scan(reading: server.qr("second"))
            XCTAssertEqual(denied.reason, .ticketVoided)
            XCTAssertEqual(denied.decidedBy, .server)
            try server.ask("disconnect")
        }
        try await denyOnline()
        let phone = try await ScannerClient.open(setup: setup("gate-a"))
        let alone = try await phone.scan(reading: server.qr("second"))
        XCTAssertEqual(alone.reason, .ticketVoided)
        XCTAssertEqual(alone.decidedBy, .device)
    }

    func testASearchNeedsPermissionAndFindsGuestsByName() async throws {
        let phone = try await phone("gate-a")
        let refused = await code { _ = try await phone.search(text: "Guest") }
        XCTAssertEqual(refused, "forbidden")
        XCTAssertFalse(phone.deviceSettings().canSearch)
        try server.ask("settings gate-a {\"can_search\": true, \"lane\": 3}")
        let found = try await phone.search(text: "Guest f")
        XCTAssertEqual(found.tickets.compactMap(\.holderName).sorted(), ["Guest first", "Guest fourth"])
        let first = try XCTUnwrap(found.tickets.first { $0.holderName == "Guest first" })
        XCTAssertEqual(first.code, try server["first_code"])
        for text in ["\(found)", "\(first)", String(reflecting: first)] {
            XCTAssertFalse(text.contains("Guest") || text.contains(first.code), text)
        }
        _ = try await phone.sync()
        XCTAssertEqual(
            phone.deviceSettings(), DeviceSettings(canOverride: false, canSearch: true, other: "{\"lane\":3}"))
    }

    func testOwnScansAreTheServersAndWithoutItWhatThePhoneRecorded() async throws {
        let phone = try await phone("gate-a")
        let admitted = try await phone.scan(reading: server.qr("first"))
        let denied = try await phone.scan(reading: server.qr("voided"))
        let listed = try await phone.ownScans()
        XCTAssertTrue(listed.fromServer)
        XCTAssertNil(listed.nextCursor)
        XCTAssertEqual(listed.scans.map(\.scanId), [denied.scanId, admitted.scanId])
        XCTAssertEqual(listed.scans.map(\.reason), [.ticketVoided, .admitted])
        let firstCode = try server["first_code"]
        XCTAssertEqual(listed.scans[1].ticketCode, firstCode)
        for text in ["\(listed)", String(reflecting: listed.scans[1])] { XCTAssertFalse(text.contains(firstCode), text) }
        try server.ask("disconnect")
        let alone = try await phone.scan(reading: server.qr("second"))
        let recorded = try await phone.ownScans()
        XCTAssertFalse(recorded.fromServer)
        XCTAssertEqual(recorded.scans.map(\.scanId), [alone.scanId, admitted.scanId])
        XCTAssertEqual(recorded.scans.map(\.isWaiting), [true, false])
        let found = await code { _ = try await phone.ownScans(cursor: "a cursor of the server") }
        XCTAssertEqual(found, "offline")
        try server.ask("reconnect")
        _ = try await phone.sync()
        _ = try await phone.undo(scanId: alone.scanId, reason: "wrong person")
        let undone = try await phone.ownScans().scans.filter(\.undone)
        XCTAssertEqual(undone.map(\.scanId), [alone.scanId])
    }

    func testTheOccupancyCountsPeopleAtTheEventAndItsGates() async throws {
        let phone = try await phone("gate-a")
        _ = try await phone.scan(reading: server.qr("first"))
        _ = try await phone.scan(reading: server.qr("voided"))
        let occupancy = try await phone.occupancy()
        XCTAssertEqual(occupancy.event.inside, 1)
        XCTAssertEqual(occupancy.gates.map(\.name), ["Main", "VIP"])
        XCTAssertEqual(occupancy.gates.map(\.count.inside), [1, 0])
        XCTAssertEqual([occupancy.results.valid, occupancy.results.refused], [1, 1])
    }

    func testOutsideItsScopeAPhoneDecidesNothingOnlineAndOffline() async throws {
        let phone = try await phone("gate-a")
        let (event, gate) = (try server["event"], try server["gate_vip"])
        var scope = await phone.deviceScope()
        XCTAssertEqual(scope, DeviceScope(eventIds: nil, gateIds: nil))
        try server.ask("scope gate-a {\"event_ids\": [\"\(event)\"], \"gate_ids\": [\"\(gate)\"]}")
        var found = await code { _ = try await phone.scan(reading: self.server.qr("first")) }
        XCTAssertEqual(found, "out_of_scope")
        _ = try await phone.sync()
        scope = await phone.deviceScope()
        XCTAssertEqual(scope, DeviceScope(eventIds: [event], gateIds: [gate]))
        var state = try await phone.state()
        XCTAssertEqual(state.problem?.code, .outOfScope)
        try server.ask("disconnect")
        found = await code { _ = try await phone.scan(reading: self.server.qr("first")) }
        XCTAssertEqual(found, "out_of_scope")
        state = try await phone.state()
        XCTAssertEqual(state.waiting, 0, "nothing was decided")
        try server.ask("reconnect")
        try server.ask("scope gate-a {}")
        _ = try await phone.sync()
        let admitted = try await phone.scan(reading: server.qr("first"))
        XCTAssertEqual(admitted.reason, .admitted)
    }

    func testMetadataIsAJsonObject() async throws {
        let phone = try await phone("gate-a")
        _ = try await phone.scan(reading: server.qr("first"), metadata: "{\"lane\":3}")
        let found = await code { _ = try await phone.scan(reading: self.server.qr("second"), metadata: "lane 3") }
        XCTAssertEqual(found, "invalid_text")
        XCTAssertEqual(try ask("metadata lane"), "3")
    }

    func testTheSelfTestSaysWhatIsWrongAndWhatToDo() async throws {
        let phone = try await enroll("gate-a")
        func problems() async -> [SelfTestSubject: String] {
            let checks = await phone.selfTest()
            XCTAssertEqual(checks.map(\.subject), SelfTestSubject.allCases)
            for check in checks { XCTAssertEqual(check.problem == nil, check.advice.isEmpty) }
            return Dictionary(uniqueKeysWithValues: checks.compactMap { check in check.problem.map { (check.subject, $0) } })
        }
        var found = await problems()
        XCTAssertEqual(found, [.manifest: "no_active_session"])
        try await startSession(phone)
        _ = try await phone.refreshManifest()
        found = await problems()
        XCTAssertEqual(found, [:])
        try server.ask("captive_portal")
        found = await problems()
        XCTAssertEqual(found[.network], "unexpected_answer")
        try server.ask("reconnect")
        try server.ask("revoke gate-a")
        found = await problems()
        XCTAssertEqual(found[.network], "device_inactive")
    }

    func testAListenerIsCalledAfterEachChangeUntilItIsCancelled() async throws {
        let phone = try await phone("gate-a")
        let (states, continuation) = AsyncStream.makeStream(of: ClientState.self)
        let listener = Listener(continuation)
        let subscription = try phone.subscribe(listener: listener)
        var iterator = states.makeAsyncIterator()
        while let state = await iterator.next(), !state.online {}
        try server.ask("disconnect")
        _ = try await phone.scan(reading: server.qr("first"))
        while let state = await iterator.next(), state.online || state.waiting != 1 {}
        subscription.cancel()
        let seen = listener.calls
        try server.ask("reconnect")
        _ = try await phone.sync()
        XCTAssertEqual(listener.calls, seen)
    }
}

/// Passes states to a test, and fails each time, which changes nothing.
private final class Listener: StateListener, @unchecked Sendable {
    private let continuation: AsyncStream<ClientState>.Continuation
    private let lock = NSLock()
    private var count = 0

    init(_ continuation: AsyncStream<ClientState>.Continuation) { self.continuation = continuation }

    var calls: Int { lock.withLock { count } }

    func stateChanged(state: ClientState) throws {
        lock.withLock { count += 1 }
        continuation.yield(state)
        throw CocoaError(.userCancelled)
    }
}
