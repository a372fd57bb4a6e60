"""What a steward asks the office for: events and gates, guests, undo, occupancy, the self-test. With the real server."""

import asyncio
import threading
import unittest

import voelgoed_scan as scan
from server import ServerTestCase

Error, Reason, Subject = scan.ScannerError, scan.Reason, scan.SelfTestSubject


class Listener(scan.StateListener):
    """Collects the states and wakes a test when one fits."""

    def __init__(self):
        self.changed = threading.Condition()
        self.states = []

    def state_changed(self, state):
        with self.changed:
            self.states.append(state)
            self.changed.notify_all()

    def wait_for(self, fits):
        with self.changed:
            self.changed.wait_for(lambda: any(fits(state) for state in self.states))


class Office(ServerTestCase):
    async def test_a_steward_chooses_event_and_gate_before_a_session(self):
        phone = await scan.ScannerClient.enroll(self.setup_of("gate-a"), self.server.ask("enroll gate-a"))
        events = await phone.events()
        self.assertEqual({event.name for event in events}, {"Opening night"})
        self.assertEqual(len(events), 2)
        self.assertIn(self.server["event"], [event.id for event in events])
        self.assertEqual({event.status for event in events}, {scan.EventStatus.LIVE})
        self.assertEqual([event.has_manifest for event in events], [False, False])
        gates = await phone.event_gates(self.server["event"])
        self.assertEqual([(gate.name, gate.status) for gate in gates],
                         [("Main", scan.GateStatus.OPEN), ("VIP", scan.GateStatus.OPEN)])
        self.assertEqual([gate.ticket_classes for gate in gates], [None, ["VIP"]])
        await phone.start_session(events[0].id if events[0].id == self.server["event"] else events[1].id, gates[0].id)
        await phone.refresh_manifest()
        self.server.ask("disconnect")
        (held,) = await phone.events()
        self.assertEqual((held.id, held.has_manifest), (self.server["event"], True))
        self.assertEqual([gate.name for gate in await phone.event_gates(held.id)], ["Main", "VIP"])
        with self.assertRaises(Error.Offline):
            await phone.event_gates("ea8ed02a-82a1-4593-8f23-37cd3794c522")

    async def test_an_undone_admission_admits_again_online_and_offline(self):
        phone = await self.phone("gate-a")
        admitted = await phone.scan(self.server.qr("first"))
        self.assertEqual(self.server.ask("inside"), "1")
        undone = await phone.undo(admitted.scan_id, "wrong person")
        self.assertEqual((undone.scan_id, undone.reason), (admitted.scan_id, "wrong person"))
        self.assertEqual(self.server.ask("inside"), "0")
        self.assertEqual(await phone.undo(admitted.scan_id, "again"), undone, "a repetition gives the same answer")
        again = await phone.scan(self.server.qr("first"))
        self.assertEqual((again.reason, again.repeated), (Reason.ADMITTED, False))
        self.assertNotEqual(again.scan_id, admitted.scan_id)
        await phone.undo(again.scan_id, "wrong person")
        self.server.ask("disconnect")
        alone = await phone.scan(self.server.qr("first"))
        self.assertEqual((alone.reason, alone.decided_by), (Reason.ADMITTED, scan.VerdictSource.DEVICE))
        with self.assertRaises(Error.Offline):
            await phone.undo(alone.scan_id, "no network")
        self.server.ask("reconnect")
        await phone.undo(alone.scan_id, "uploaded first")
        self.assertEqual(((await phone.state()).waiting, self.server.ask("inside")), (0, "0"))
        with self.assertRaises(Error.Refused) as caught:
            await phone.undo(scan.new_scan_id(), "unknown")
        self.assertEqual(caught.exception.code, "not_found")

    async def test_a_search_needs_permission_and_finds_guests_by_name(self):
        phone = await self.phone("gate-a")
        with self.assertRaises(Error.Refused) as caught:
            await phone.search("Guest")
        self.assertEqual(caught.exception.code, "forbidden")
        self.assertFalse(phone.device_settings().can_search)
        self.server.ask('settings gate-a {"can_search": true, "lane": 3}')
        found = await phone.search("Guest f")
        names = sorted(ticket.holder_name for ticket in found.tickets)
        self.assertEqual((names, found.next_cursor), (["Guest first", "Guest fourth"], None))
        first = next(ticket for ticket in found.tickets if ticket.holder_name == "Guest first")
        self.assertEqual((first.code, first.order_ref, first.status),
                         (self.server["first_code"], "order-1", scan.TicketStatus.ACTIVE))
        for text in [repr(found), str(first), repr(first)]:
            self.assertNotIn("Guest", text)
            self.assertNotIn(first.code, text)
        await phone.sync()
        settings = phone.device_settings()
        self.assertEqual((settings.can_search, settings.other), (True, '{"lane":3}'))

    async def test_own_scans_are_the_servers_and_without_it_what_the_phone_recorded(self):
        phone = await self.phone("gate-a")
        admitted = await phone.scan(self.server.qr("first"))
        denied = await phone.scan(self.server.qr("voided"))
        listed = await phone.own_scans()
        self.assertEqual((listed.from_server, listed.next_cursor), (True, None))
        self.assertEqual([(one.scan_id, one.reason, one.gate_name, one.undone) for one in listed.scans],
                         [(denied.scan_id, Reason.TICKET_VOIDED, "Main", False),
                          (admitted.scan_id, Reason.ADMITTED, "Main", False)])
        self.assertEqual(listed.scans[1].ticket_code, self.server["first_code"])
        for text in [repr(listed), str(listed.scans[1])]:
            self.assertNotIn(self.server["first_code"], text)
        self.server.ask("disconnect")
        alone = await phone.scan(self.server.qr("second"))
        listed = await phone.own_scans()
        self.assertFalse(listed.from_server)
        self.assertEqual([(one.scan_id, one.is_waiting) for one in listed.scans],
                         [(alone.scan_id, True), (admitted.scan_id, False)])
        with self.assertRaises(Error.Offline):
            await phone.own_scans("a cursor of the server")
        self.server.ask("reconnect")
        await phone.sync()
        await phone.undo(alone.scan_id, "wrong person")
        listed = await phone.own_scans()
        self.assertTrue(listed.from_server)
        self.assertEqual([one.scan_id for one in listed.scans if one.undone], [alone.scan_id])

    async def test_the_occupancy_counts_people_at_the_event_and_its_gates(self):
        phone = await self.phone("gate-a")
        await phone.scan(self.server.qr("first"))
        await phone.scan(self.server.qr("voided"))
        occupancy = await phone.occupancy()
        self.assertEqual((occupancy.event.inside, occupancy.event.entries, occupancy.event.capacity), (1, 1, None))
        self.assertEqual([(gate.name, gate.count.inside) for gate in occupancy.gates], [("Main", 1), ("VIP", 0)])
        self.assertEqual((occupancy.results.valid, occupancy.results.refused), (1, 1))

    async def test_outside_its_scope_a_phone_starts_no_session_and_decides_nothing_online_and_offline(self):
        phone = await self.phone("gate-a")
        event, gate = self.server["event"], self.server["gate_vip"]
        self.assertEqual(await phone.device_scope(), scan.DeviceScope(event_ids=None, gate_ids=None))
        self.server.ask(f'scope gate-a {{"event_ids": ["{event}"], "gate_ids": ["{gate}"]}}')
        with self.assertRaises(Error.Refused) as caught:
            await phone.scan(self.server.qr("first"))
        self.assertEqual(caught.exception.code, "out_of_scope")
        with self.assertRaises(Error.Refused) as caught:
            await phone.start_session(event, self.server["gate_main"], replace=True)
        self.assertEqual(caught.exception.code, "out_of_scope")
        await phone.sync()
        self.assertEqual(await phone.device_scope(), scan.DeviceScope(event_ids=[event], gate_ids=[gate]))
        self.assertEqual((await phone.state()).problem.code, scan.ProblemCode.OUT_OF_SCOPE)
        self.assertEqual([one.name for one in await phone.event_gates(event)], ["VIP"])
        self.server.ask("disconnect")
        with self.assertRaises(Error.OutOfScope) as caught:
            await phone.scan(self.server.qr("first"))
        self.assertEqual(scan.error_code(caught.exception), "out_of_scope")
        with self.assertRaises(Error.OutOfScope):
            await phone.start_session(event, self.server["gate_main"], replace=True)
        self.assertEqual((await phone.state()).waiting, 0, "nothing was decided")
        self.server.ask("reconnect")
        self.server.ask("scope gate-a {}")
        await phone.sync()
        self.assertEqual((await phone.scan(self.server.qr("first"))).reason, Reason.ADMITTED)

    async def test_metadata_is_an_object_of_at_most_4_kib(self):
        phone = await self.phone("gate-a")
        verdict = await phone.scan(self.server.qr("first"), metadata={"lane": 3, "wristband": "blåu"})
        self.assertEqual(verdict.reason, Reason.ADMITTED)
        with self.assertRaises(Error.InvalidText) as caught:
            await phone.scan(self.server.qr("second"), metadata={"much": "x" * 5000})
        self.assertEqual(caught.exception.kind, "metadata")
        self.server.ask("disconnect")
        self.assertEqual((await phone.scan(self.server.qr("second"), metadata={"lane": 4})).reason, Reason.ADMITTED)
        self.server.ask("reconnect")
        self.assertEqual((await phone.sync()).recorded, 1)
        self.assertEqual(self.server.ask("metadata lane"), "3,4")

    async def test_the_self_test_says_what_is_wrong_and_what_to_do(self):
        phone = await scan.ScannerClient.enroll(self.setup_of("gate-a"), self.server.ask("enroll gate-a"))

        async def problems():
            checks = await phone.self_test()
            self.assertEqual([check.subject for check in checks], list(Subject))
            for check in checks:
                self.assertEqual(bool(check.problem), bool(check.advice))
            return {check.subject: check.problem for check in checks if check.problem}

        self.assertEqual(await problems(), {Subject.MANIFEST: "no_active_session"})
        await self.start_session(phone)
        self.assertEqual(await problems(), {Subject.MANIFEST: "no_manifest"})
        await phone.refresh_manifest()
        self.assertEqual(await problems(), {})
        self.server.ask("captive_portal")
        self.assertEqual(
            await problems(), {Subject.CLOCK: "clock_unknown", Subject.NETWORK: "unexpected_answer"}
        )
        self.server.ask("disconnect")
        self.assertEqual(await problems(), {Subject.CLOCK: "clock_unknown", Subject.NETWORK: "offline"})
        self.server.ask("reconnect")
        self.server.ask("revoke gate-a")
        self.assertEqual((await problems())[Subject.NETWORK], "device_inactive")
        self.secret_stores["gate-a"].locked = True
        self.assertEqual((await problems())[Subject.KEY], "secret_store_failed")

    async def test_a_listener_is_called_at_once_and_after_each_change_until_it_is_cancelled(self):
        phone = await self.phone("gate-a")
        listener, other = Listener(), Listener()
        subscription = phone.subscribe(listener)
        phone.subscribe(other)
        wait = asyncio.get_running_loop().run_in_executor
        await wait(None, listener.wait_for, lambda state: state.online and state.waiting == 0)
        self.server.ask("disconnect")
        await phone.scan(self.server.qr("first"))
        await wait(None, listener.wait_for, lambda state: not state.online and state.waiting == 1)
        subscription.cancel()
        seen = len(listener.states)
        self.server.ask("reconnect")
        await phone.sync()
        await wait(None, other.wait_for, lambda state: state.online and state.waiting == 0)
        self.assertEqual(len(listener.states), seen)

    async def test_a_listener_that_fails_is_called_again(self):
        phone = await self.phone("gate-a")

        class Broken(Listener):
            def state_changed(self, state):
                super().state_changed(state)
                raise KeyError("a bug in the app")

        listener = Broken()
        phone.subscribe(listener)
        wait = asyncio.get_running_loop().run_in_executor
        await wait(None, listener.wait_for, lambda state: state.waiting == 0)
        self.server.ask("disconnect")
        await phone.scan(self.server.qr("first"))
        await wait(None, listener.wait_for, lambda state: state.waiting == 1)


if __name__ == "__main__":
    unittest.main()
