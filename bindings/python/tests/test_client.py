"""A phone with a network that comes and goes."""

import asyncio
import tempfile
import unittest

import stage
import voelgoed_scan as scan

EVENT, MAIN = stage.FACTS["event"], stage.FACTS["gate_main"]
Error = scan.GateError


class Client(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.wire, self.vault = stage.Wire(), stage.Vault()
        self.setup = scan.ClientSetup(
            directory=folder.name,
            app=scan.App(name="Gate", version="1.0", platform="python"),
            secrets=self.vault,
            transport=self.wire,
            settings=stage.patient(),
        )

    async def phone(self):
        phone = await scan.ScannerClient.enroll(self.setup, stage.FACTS["enrollment"])
        await phone.start_session(EVENT, MAIN)
        self.assertEqual((await phone.refresh_manifest()).tickets, 7)
        return phone

    async def test_an_enrolment_is_kept_in_the_apps_secret_store_and_opens_without_a_network(self):
        with self.assertRaises(Error.NotEnrolled):
            await scan.ScannerClient.open(self.setup)
        with self.assertRaises(Error.InvalidText):
            await scan.ScannerClient.enroll(self.setup, "https://example.org")
        with self.assertRaises(Error.InsecureServer):
            await scan.ScannerClient.enroll(self.setup, stage.FACTS["enrollment_plain"])
        self.assertEqual(self.wire.calls, [])
        phone = await self.phone()
        self.assertEqual(phone.device().device_id, "gate-1")
        self.assertEqual(phone.device().id, stage.FACTS["device_a"])
        self.assertEqual(list(self.vault.secrets), ["voelgoed-scan.enrollment"])
        self.wire.cut()
        again = await scan.ScannerClient.open(self.setup)
        self.assertEqual((await again.state()).station.gate_id, MAIN)
        self.assertEqual((await again.scan(stage.camera("first"))).reason, scan.Reason.ADMITTED)
        self.vault.locked = True
        with self.assertRaises(Error.SecretStoreFailed) as caught:
            again.forget()
        self.assertIn("the kiosk is locked", caught.exception.reason)
        self.vault.locked = False
        again.forget()
        self.assertEqual(self.vault.secrets, {})

    async def test_the_server_decides_while_it_is_there_and_the_phone_when_it_is_not(self):
        phone = await scan.ScannerClient.enroll(self.setup, stage.FACTS["enrollment"])
        with self.assertRaises(Error.NoActiveSession):
            await phone.scan(stage.camera("first"))
        await phone.start_session(EVENT, MAIN)
        await phone.refresh_manifest()
        online = await phone.scan(stage.camera("first"))
        self.assertEqual(online.decided_by, scan.VerdictBy.SERVER)
        self.assertEqual(online.occupancy.gate.inside, 0)

        self.wire.cut()
        alone = await phone.scan(stage.camera("second"))
        self.assertEqual((alone.decided_by, alone.reason), (scan.VerdictBy.DEVICE, scan.Reason.ADMITTED))
        state = await phone.state()
        self.assertEqual((state.online, state.waiting, state.last_error), (False, 1, "offline"))
        with self.assertRaises(Error.Offline):
            await phone.sync()
        reopened = await scan.ScannerClient.open(self.setup)
        second = await reopened.scan(stage.camera("second"))
        self.assertEqual(second.reason, scan.Reason.ALREADY_SCANNED)
        self.assertTrue(second.previous_scan.same_device)

    async def test_whatever_the_apps_own_code_throws_is_only_a_lost_network(self):
        phone = await self.phone()
        self.wire.fault = KeyError("a mistake of the app's")
        self.assertEqual((await phone.scan(stage.camera("third"))).decided_by, scan.VerdictBy.DEVICE)
        self.wire.fault = None
        with self.assertRaises(Error.Refused) as caught:
            await phone.sync()
        self.assertEqual((caught.exception.status, caught.exception.retry_after_s), (503, 1))

    async def test_run_renews_the_manifest_by_itself_and_ends_when_it_is_told_to(self):
        phone = await scan.ScannerClient.enroll(self.setup, stage.FACTS["enrollment"])
        await phone.start_session(EVENT, MAIN)
        running = asyncio.create_task(phone.run())
        revision = 0
        while (await phone.state()).manifest is None:
            revision = await phone.changed_since(revision)
        phone.set_battery(0.5)
        phone.stop()
        await running
        self.assertEqual(sorted(gate.name for gate in await phone.gates()), ["Main", "VIP"])
        self.assertTrue(any("/manifest" in call for call in self.wire.calls))


if __name__ == "__main__":
    unittest.main()
