"""A phone with an unreliable network."""

import asyncio
import tempfile
import unittest

import fixture
import voelgoed_scan as scan

EVENT, MAIN = fixture.VALUES["event"], fixture.VALUES["gate_main"]
Error = scan.ScannerError


class Client(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.transport, self.secret_store = fixture.FakeTransport(), fixture.MemorySecretStore()
        self.setup = scan.ClientSetup(
            directory=folder.name,
            app=scan.App(name="Gate", version="1.0", platform="python"),
            secrets=self.secret_store,
            transport=self.transport,
            settings=fixture.client_settings(),
        )

    async def phone(self):
        phone = await scan.ScannerClient.enroll(self.setup, fixture.VALUES["enrollment"])
        await phone.start_session(EVENT, MAIN)
        self.assertEqual((await phone.refresh_manifest()).tickets, 7)
        return phone

    async def test_the_credentials_are_in_the_apps_secret_store_and_open_without_a_network(self):
        with self.assertRaises(Error.NotEnrolled):
            await scan.ScannerClient.open(self.setup)
        with self.assertRaises(Error.InvalidText):
            await scan.ScannerClient.enroll(self.setup, "https://example.org")
        with self.assertRaises(Error.InsecureServer):
            await scan.ScannerClient.enroll(self.setup, fixture.VALUES["enrollment_plain"])
        self.assertEqual(self.transport.calls, [])
        phone = await self.phone()
        self.assertEqual(phone.device().device_id, "gate-1")
        self.assertEqual(phone.device().id, fixture.VALUES["device_a"])
        self.assertEqual(list(self.secret_store.secrets), ["voelgoed-scan.enrollment"])
        self.transport.disconnect()
        del phone  # closes the database
        again = await scan.ScannerClient.open(self.setup)
        self.assertEqual((await again.state()).session.gate_id, MAIN)
        self.assertEqual((await again.scan(fixture.qr("first"))).reason, scan.Reason.ADMITTED)
        self.secret_store.locked = True
        with self.assertRaises(Error.SecretStoreFailed) as caught:
            await again.forget()
        self.assertIn("the kiosk is locked", caught.exception.reason)
        self.secret_store.locked = False
        await again.forget()
        # A scan waits: the credentials serve its upload.
        self.assertEqual(list(self.secret_store.secrets), ["voelgoed-scan.earlier-enrollments"])

    async def test_the_server_decides_while_it_is_available_and_otherwise_the_phone(self):
        phone = await scan.ScannerClient.enroll(self.setup, fixture.VALUES["enrollment"])
        with self.assertRaises(Error.NoActiveSession):
            await phone.scan(fixture.qr("first"))
        await phone.start_session(EVENT, MAIN)
        await phone.refresh_manifest()
        online = await phone.scan(fixture.qr("first"))
        self.assertEqual(online.decided_by, scan.VerdictSource.SERVER)
        self.assertEqual(online.occupancy.gate.inside, 0)

        self.transport.disconnect()
        alone = await phone.scan(fixture.qr("second"))
        self.assertEqual((alone.decided_by, alone.reason), (scan.VerdictSource.DEVICE, scan.Reason.ADMITTED))
        state = await phone.state()
        self.assertEqual((state.online, state.waiting, state.last_error), (False, 1, "offline"))
        with self.assertRaises(Error.Offline):
            await phone.sync()
        del phone  # closes the database
        reopened = await scan.ScannerClient.open(self.setup)
        second = await reopened.scan(fixture.qr("second"))
        self.assertEqual(second.reason, scan.Reason.ALREADY_SCANNED)
        self.assertTrue(second.previous_scan.same_device)

    async def test_any_error_of_the_apps_transport_counts_as_an_unreachable_server(self):
        phone = await self.phone()
        self.transport.fault = KeyError("a bug in the app")
        self.assertEqual((await phone.scan(fixture.qr("third"))).decided_by, scan.VerdictSource.DEVICE)
        self.transport.fault = None
        with self.assertRaises(Error.Refused) as caught:
            await phone.sync()
        self.assertEqual((caught.exception.status, caught.exception.retry_after_s), (503, 1))

    async def test_run_refreshes_the_manifest_and_returns_after_stop(self):
        phone = await scan.ScannerClient.enroll(self.setup, fixture.VALUES["enrollment"])
        await phone.start_session(EVENT, MAIN)
        running = asyncio.create_task(phone.run())
        revision = 0
        while (await phone.state()).manifest is None:
            revision = await phone.changed_since(revision)
        phone.set_battery(0.5)
        phone.stop()
        await running
        self.assertEqual(sorted(gate.name for gate in await phone.gates()), ["Main", "VIP"])
        self.assertTrue(any("/manifest" in call for call in self.transport.calls))


if __name__ == "__main__":
    unittest.main()
