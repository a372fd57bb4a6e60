"""Phones at the door of the real server, by the library's own way to call it."""

import asyncio
import pathlib
import tempfile
import unittest
from datetime import timedelta

import stage
import voelgoed_scan as scan
from door import Door

Error, Reason, Result = scan.GateError, scan.Reason, scan.ScanResult
SERVER, DEVICE = scan.VerdictBy.SERVER, scan.VerdictBy.DEVICE


class Story(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.door = Door()
        self.addCleanup(self.door.close)
        self.vaults = {}

    def setup_of(self, name):
        (self.folder / name).mkdir(exist_ok=True)
        soon = timedelta(milliseconds=20)
        return scan.ClientSetup(
            directory=str(self.folder / name),
            app=scan.App(name="Gate", version="1.0", platform="python"),
            secrets=self.vaults.setdefault(name, stage.Vault()),
            settings=stage.patient(allow_plain_http=True, first_retry=soon, longest_retry=soon),
        )

    async def phone(self, name):
        phone = await scan.ScannerClient.enroll(self.setup_of(name), self.door.ask(f"pair {name}"))
        await self.stand(phone)
        self.assertEqual((await phone.refresh_manifest()).tickets, 7)
        return phone

    async def stand(self, phone, gate="gate_main"):
        session = await phone.start_session(self.door["event"], self.door[gate], replace=True)
        self.assertEqual(session.gate_id, self.door[gate])

    async def test_a_code_enrols_one_phone_once(self):
        uri = self.door.ask("pair gate-a")
        phone = await scan.ScannerClient.enroll(self.setup_of("gate-a"), uri)
        self.assertEqual(phone.device().device_id, "gate-a")
        with self.assertRaises(Error.Refused) as caught:
            await scan.ScannerClient.enroll(self.setup_of("gate-b"), uri)
        self.assertEqual((caught.exception.status, caught.exception.code), (404, "not_found"))
        with self.assertRaises(Error.NotEnrolled):
            await scan.ScannerClient.open(self.setup_of("gate-b"))

    async def test_the_server_decides_every_result_while_it_is_there(self):
        a, b = await self.phone("gate-a"), await self.phone("gate-b")
        admitted = await a.scan(self.door.camera("first"))
        self.assertEqual((admitted.result, admitted.decided_by), (Result.VALID, SERVER))
        self.assertEqual(admitted.occupancy.gate.inside, 1)
        again = await b.scan(self.door.camera("first"))
        self.assertEqual((again.result, again.reason), (Result.DUPLICATE, Reason.ALREADY_SCANNED))
        self.assertEqual(again.previous_scan.scan_id, admitted.scan_id)
        self.assertFalse(again.previous_scan.same_device)
        await self.stand(b, "gate_vip")
        seen = {again.result, admitted.result}
        for phone, reading, reason in [
            (a, scan.TicketReading.QR("https://example.org"), Reason.MALFORMED),
            (a, self.door.camera("elsewhere"), Reason.OTHER_EVENT),
            (b, self.door.camera("second"), Reason.GATE_NOT_ALLOWED),
            (a, self.door.camera("voided"), Reason.TICKET_VOIDED),
        ]:
            verdict = await phone.scan(reading)
            self.assertEqual((verdict.reason, verdict.decided_by), (reason, SERVER))
            seen.add(verdict.result)
        self.assertEqual(seen, set(Result))
        self.assertEqual((await a.scan(self.door.camera("first"), scan.Direction.EXIT)).reason, Reason.EXITED)
        self.assertEqual(self.door.ask("inside"), "0")

    async def test_an_admission_whose_answer_was_lost_is_one_admission(self):
        phone = await self.phone("gate-a")
        self.door.ask("deafen")
        alone = await phone.scan(self.door.camera("unheard"))
        self.assertEqual((alone.reason, alone.decided_by), (Reason.ADMITTED, DEVICE))
        self.assertEqual(self.door.ask("inside"), "1")
        self.door.ask("mend")
        report = await phone.sync()
        self.assertEqual((report.recorded, report.replayed, report.conflicts), (0, 1, 0))
        self.assertEqual(self.door.ask("inside"), "1")

    async def test_two_phones_without_a_network_let_one_ticket_in_and_the_server_tells_of_it(self):
        a, b = await self.phone("gate-a"), await self.phone("gate-b")
        self.door.ask("cut")
        verdicts = [await phone.scan(self.door.camera("both")) for phone in (a, b)]
        self.assertEqual([one.reason for one in verdicts], [Reason.ADMITTED] * 2)
        self.assertEqual([one.decided_by for one in verdicts], [DEVICE] * 2)
        with self.assertRaises(Error.Offline):
            await a.sync()
        state = await a.state()
        self.assertEqual((state.online, state.waiting, state.last_error), (False, 1, "offline"))

        a = await scan.ScannerClient.open(self.setup_of("gate-a"))
        second = await a.scan(self.door.camera("both"))
        self.assertEqual((second.reason, second.previous_scan.same_device), (Reason.ALREADY_SCANNED, True))
        self.assertEqual((await a.scan(self.door.camera("third"))).reason, Reason.ADMITTED)
        self.assertEqual((await a.state()).waiting, 3)
        self.assertEqual(self.door.ask("inside"), "0")

        self.door.ask("mend")
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
        self.assertEqual(self.door.ask("conflicts"), "1")
        self.assertEqual(self.door.ask("inside"), "3", "people are counted, not rights")
        self.assertEqual((await a.scan(self.door.camera("fourth"))).decided_by, SERVER)

    async def test_run_finds_back_to_the_server_and_hands_in_by_itself(self):
        phone = await self.phone("gate-a")
        running = asyncio.create_task(phone.run())
        self.door.ask("cut")
        self.assertEqual((await phone.scan(self.door.camera("second"))).decided_by, DEVICE)
        self.door.ask("mend")
        revision = 0
        while not (state := await phone.state()).online or state.waiting:
            revision = await phone.changed_since(revision)
        phone.stop()
        await running
        self.assertEqual(self.door.ask("inside"), "1")


if __name__ == "__main__":
    unittest.main()
