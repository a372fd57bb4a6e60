"""Phones with the real server and the library's own transport."""

import asyncio
import unittest

import voelgoed_scan as scan
from server import ServerTestCase

Error, Reason, Result = scan.ScannerError, scan.Reason, scan.ScanResult
SERVER, DEVICE = scan.VerdictSource.SERVER, scan.VerdictSource.DEVICE


class EndToEnd(ServerTestCase):
    async def test_an_enrolment_code_works_once(self):
        uri = self.server.ask("enroll gate-a")
        phone = await scan.ScannerClient.enroll(self.setup_of("gate-a"), uri)
        self.assertEqual(phone.device().device_id, "gate-a")
        with self.assertRaises(Error.Refused) as caught:
            await scan.ScannerClient.enroll(self.setup_of("gate-b"), uri)
        self.assertEqual((caught.exception.status, caught.exception.code), (404, "not_found"))
        with self.assertRaises(Error.NotEnrolled):
            await scan.ScannerClient.open(self.setup_of("gate-b"))

    async def test_the_message_is_in_the_language_of_the_steward_and_in_the_words_of_the_organization(self):
        self.server.ask('messages {"af": {"admitted": "Welkom!"}, "de": {"ticket_voided": "Zur Kasse, bitte"}}')
        setup = self.setup_of("gate-a")
        setup.language = "xh-ZA,af_ZA"
        phone = await scan.ScannerClient.enroll(setup, self.server.ask("enroll gate-a"))
        await self.start_session(phone)
        await phone.refresh_manifest()
        self.assertEqual(phone.language(), "af")
        online = await phone.scan(self.server.qr("first"))
        self.assertEqual((online.decided_by, online.message), (SERVER, "Welkom!"))
        phone.set_language("fr-CH, de;q=0.5")
        second = await phone.scan(self.server.qr("second"))
        self.assertEqual((phone.language(), second.message), ("fr", "Entrée autorisée"))
        self.server.ask("disconnect")
        phone.set_language("de")
        offline = await phone.scan(self.server.qr("third"))
        self.assertEqual((offline.decided_by, offline.message), (DEVICE, "Einlass gewährt"))
        self.assertEqual((await phone.scan(self.server.qr("voided"))).message, "Zur Kasse, bitte")
        phone.set_language("zu")
        self.assertEqual((await phone.scan(self.server.qr("fourth"))).message, "Admitted")
        self.assertEqual(phone.language(), "en")
        self.assertEqual(scan.all_languages(), ["en", "af", "nl", "de", "fr", "es", "pt"])
        self.assertEqual(scan.reason_message(Reason.ALREADY_SCANNED, "fr"), "Déjà scanné")

    async def test_the_server_decides_every_result_while_it_is_available(self):
        a, b = await self.phone("gate-a"), await self.phone("gate-b")
        admitted = await a.scan(self.server.qr("first"))
        self.assertEqual((admitted.result, admitted.decided_by), (Result.VALID, SERVER))
        self.assertEqual(admitted.occupancy.gate.inside, 1)
        again = await b.scan(self.server.qr("first"))
        self.assertEqual((again.result, again.reason), (Result.DUPLICATE, Reason.ALREADY_SCANNED))
        self.assertEqual(again.previous_scan.scan_id, admitted.scan_id)
        self.assertFalse(again.previous_scan.same_device)
        await self.start_session(b, "gate_vip")
        seen = {again.result, admitted.result}
        for phone, reading, reason in [
            (a, scan.TicketReading.QR("https://example.org"), Reason.MALFORMED),
            (a, self.server.qr("other_event"), Reason.OTHER_EVENT),
            (b, self.server.qr("second"), Reason.GATE_NOT_ALLOWED),
            (a, self.server.qr("voided"), Reason.TICKET_VOIDED),
        ]:
            verdict = await phone.scan(reading)
            self.assertEqual((verdict.reason, verdict.decided_by), (reason, SERVER))
            seen.add(verdict.result)
        self.assertEqual(seen, set(Result))
        self.assertEqual((await a.scan(self.server.qr("first"), scan.Direction.EXIT)).reason, Reason.EXITED)
        self.assertEqual(self.server.ask("inside"), "0")

    async def test_a_lost_answer_does_not_admit_twice(self):
        phone = await self.phone("gate-a")
        self.server.ask("drop_responses")
        alone = await phone.scan(self.server.qr("answer_lost"))
        self.assertEqual((alone.reason, alone.decided_by), (Reason.ADMITTED, DEVICE))
        self.assertEqual(self.server.ask("inside"), "1")
        self.server.ask("reconnect")
        report = await phone.sync()
        self.assertEqual((report.recorded, report.replayed, report.conflicts), (0, 1, 0))
        self.assertEqual(self.server.ask("inside"), "1")

    async def test_a_ticket_admitted_by_two_offline_phones_is_reported_as_a_conflict(self):
        a, b = await self.phone("gate-a"), await self.phone("gate-b")
        self.server.ask("disconnect")
        verdicts = [await phone.scan(self.server.qr("both")) for phone in (a, b)]
        self.assertEqual([one.reason for one in verdicts], [Reason.ADMITTED] * 2)
        self.assertEqual([one.decided_by for one in verdicts], [DEVICE] * 2)
        with self.assertRaises(Error.Offline):
            await a.sync()
        state = await a.state()
        self.assertEqual((state.online, state.waiting, state.last_error), (False, 1, "offline"))

        del a  # closes the database
        a = await scan.ScannerClient.open(self.setup_of("gate-a"))
        second = await a.scan(self.server.qr("both"))
        self.assertEqual((second.reason, second.previous_scan.same_device), (Reason.ALREADY_SCANNED, True))
        self.assertEqual((await a.scan(self.server.qr("third"))).reason, Reason.ADMITTED)
        self.assertEqual((await a.state()).waiting, 3)
        self.assertEqual(self.server.ask("inside"), "0")

        self.server.ask("reconnect")
        first = await a.sync()
        self.assertEqual((first.recorded, first.rejected, first.conflicts), (3, 0, 0))
        then = await b.sync()
        self.assertEqual((then.recorded, then.conflicts), (1, 1))
        self.assertEqual((await b.state()).conflicts, 1)
        (conflict,) = await b.conflicts()
        self.assertEqual(conflict.kind, scan.ConflictKind.DOUBLE_ENTRY)
        found = {conflict.winner_scan_id, conflict.other_scan_id}
        self.assertEqual(found, {one.scan_id for one in verdicts})
        self.assertEqual(sorted(device.name for device in conflict.devices), ["gate-a", "gate-b"])
        self.assertEqual(self.server.ask("conflicts"), "1")
        self.assertEqual(self.server.ask("inside"), "3", "people are counted, not tickets")
        self.assertEqual((await a.scan(self.server.qr("fourth"))).decided_by, SERVER)

    async def test_run_reconnects_to_the_server_and_uploads(self):
        phone = await self.phone("gate-a")
        running = asyncio.create_task(phone.run())
        self.server.ask("disconnect")
        self.assertEqual((await phone.scan(self.server.qr("second"))).decided_by, DEVICE)
        self.server.ask("reconnect")
        revision = 0
        while not (state := await phone.state()).online or state.waiting:
            revision = await phone.changed_since(revision)
        phone.stop()
        await running
        self.assertEqual(self.server.ask("inside"), "1")


if __name__ == "__main__":
    unittest.main()
