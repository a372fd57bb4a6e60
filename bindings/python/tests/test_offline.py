"""A phone without a network."""

import asyncio
import pathlib
import subprocess
import sys
import tempfile
import unittest

import fixture
import voelgoed_scan as scan

MAIN = fixture.VALUES["gate_main"]
Error = scan.ScannerError


class Offline(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    async def phone(self, name="a", device="device_a", can_override=False):
        scanner = await scan.OfflineScanner.open(fixture.setup(self.folder / f"{name}.db", device, can_override))
        await scanner.install(fixture.VALUES["event"], fixture.manifest("good"))
        return scanner

    async def test_without_a_manifest_a_decision_fails(self):
        scanner = await scan.OfflineScanner.open(fixture.setup(self.folder / "a.db"))
        with self.assertRaises(Error.NoManifest) as caught:
            await scanner.decide(fixture.qr("first"), MAIN)
        self.assertEqual(scan.error_code(caught.exception), "no_manifest")
        empty = scan.OfflineState(
            manifest=None, waiting=0, rejected=0, conflicts=0, clock_offset_ms=0, is_disk_full=False, replaced=[]
        )
        self.assertEqual(await scanner.state(), empty)
        with self.assertRaises(Error.InvalidText):
            await scanner.decide(fixture.qr("first"), "not an id")
        with self.assertRaises(Error.StorageUnavailable):
            await scan.OfflineScanner.open(fixture.setup("/nowhere/a.db"))

    async def test_every_invalid_manifest_is_refused_with_its_own_code_and_the_previous_one_stays_in_use(self):
        scanner = await self.phone()
        refused = {
            "older": "manifest_older",
            "other-event": "manifest_other_event",
            "other-organization": "manifest_other_organization",
            "expired": "manifest_expired",
            "changed": "manifest_bad_signature",
        }
        for name, code in refused.items():
            with self.subTest(name), self.assertRaises(Error) as caught:
                await scanner.install(fixture.VALUES["event"], fixture.manifest(name))
            self.assertEqual(scan.error_code(caught.exception), code)
        manifest = (await scanner.state()).manifest
        self.assertEqual((manifest.version, manifest.tickets), (2, 7))
        self.assertEqual(sorted(one.name for one in await scanner.gates()), ["Main", "VIP"])

    async def test_the_phone_decides_every_result_offline(self):
        scanner = await self.phone()
        admitted = await scanner.decide(fixture.qr("first"), MAIN)
        self.assertEqual(admitted.reason, scan.Reason.ADMITTED)
        self.assertEqual(admitted.result, scan.ScanResult.VALID)
        self.assertEqual(admitted.decided_by, scan.VerdictSource.DEVICE)
        self.assertEqual(admitted.ticket.code, fixture.VALUES["first_code"])
        self.assertIsNone(admitted.occupancy)
        vip, typed = fixture.VALUES["gate_vip"], scan.TicketReading.TYPED(fixture.VALUES["second_code"])
        expected = [
            ("already_scanned", fixture.qr("used_online"), {}),
            ("other_event", fixture.qr("other_event"), {}),
            ("gate_not_allowed", fixture.qr("second"), {"gate_id": vip}),
            ("ticket_voided", fixture.qr("voided"), {}),
            ("token_expired", fixture.qr("expired"), {}),
            ("bad_signature", fixture.qr("forged"), {}),
            ("malformed", scan.TicketReading.QR("https://example.org"), {}),
            ("unsigned_not_allowed", typed, {}),
            ("unsigned_not_allowed", scan.TicketReading.NAMED("nfc:04A1B2C3D4E5F6"), {}),
            ("not_inside", fixture.qr("second"), {"direction": scan.Direction.EXIT}),
        ]
        for reason, reading, more in expected:
            with self.subTest(reason):
                verdict = await scanner.decide(reading, **{"gate_id": MAIN, **more})
                self.assertEqual(scan.reason_code(verdict.reason), reason)
        unchecked = await scanner.decide(fixture.qr("server_format"), MAIN)
        self.assertEqual(unchecked.warnings, [scan.ScanWarning.SIGNATURE_UNCHECKED])
        later = await scanner.decide(fixture.qr("sold_later"), MAIN)
        self.assertEqual(later.warnings, [scan.ScanWarning.NOT_IN_MANIFEST])
        with self.assertRaises(Error.UnknownGate):
            await scanner.decide(fixture.qr("second"), fixture.VALUES["gate_unknown"])
        self.assertEqual((await scanner.state()).waiting, 13)

    async def test_a_scan_id_belongs_to_one_scan_and_an_override_needs_permission(self):
        plain, trusted = await self.phone(), await self.phone("b", "device_b", can_override=True)
        scan_id = scan.new_scan_id()
        first = await plain.decide(fixture.qr("first"), MAIN, scan_id=scan_id)
        self.assertEqual(first.scan_id, scan_id)
        self.assertTrue((await plain.decide(fixture.qr("first"), MAIN, scan_id=scan_id)).repeated)
        with self.assertRaises(Error.ScanIdReused):
            await plain.decide(fixture.qr("second"), MAIN, scan_id=scan_id)
        with self.assertRaises(Error.Forbidden):
            await plain.decide(fixture.qr("voided"), MAIN, override_reason="guest of the band")
        forced = await trusted.decide(fixture.qr("voided"), MAIN, override_reason="guest of the band")
        self.assertEqual(forced.reason, scan.Reason.OVERRIDDEN)

    async def test_a_stale_manifest_is_refused_if_the_event_is_configured_so(self):
        scanner = await self.phone()
        await scanner.install(fixture.VALUES["event"], fixture.manifest("stale"))
        with self.assertRaises(Error.StaleManifest) as caught:
            await scanner.decide(fixture.qr("first"), MAIN)
        self.assertTrue(caught.exception.reason)

    async def test_a_shown_verdict_survives_a_kill(self):
        await self.phone()
        file = self.folder / "a.db"
        command = [sys.executable, str(pathlib.Path(__file__).with_name("kill_target.py")), str(file)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            self.assertEqual(process.stdout.readline(), "admitted\n")
            process.kill()

        scanner = await scan.OfflineScanner.open(fixture.setup(file))
        self.assertEqual((await scanner.state()).waiting, 1)
        second = await scanner.decide(fixture.qr("kill_test"), MAIN)
        self.assertEqual(second.reason, scan.Reason.ALREADY_SCANNED)
        self.assertTrue(second.previous_scan.same_device)
        with self.assertRaises(Error.DatabaseInUse):
            await scan.OfflineScanner.open(fixture.setup(file))
        del scanner  # closes the database
        with self.assertRaises(Error.OtherDevice):
            await scan.OfflineScanner.open(fixture.setup(file, "device_b"))

    async def test_two_phones_without_a_connection_both_admit_a_ticket_and_both_record_it(self):
        phones = [await self.phone(), await self.phone("b", "device_b")]
        verdicts = await asyncio.gather(*(scanner.decide(fixture.qr("third"), MAIN) for scanner in phones))
        self.assertEqual([verdict.reason for verdict in verdicts], [scan.Reason.ADMITTED] * 2)
        self.assertEqual(len({verdict.scan_id for verdict in verdicts}), 2)
        self.assertEqual([(await scanner.state()).waiting for scanner in phones], [1, 1])


if __name__ == "__main__":
    unittest.main()
