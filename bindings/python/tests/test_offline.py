"""A phone without a network."""

import asyncio
import pathlib
import subprocess
import sys
import tempfile
import unittest

import stage
import voelgoed_scan as scan

MAIN = stage.FACTS["gate_main"]
Error = scan.GateError


class Offline(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    async def phone(self, name="a", device="device_a", can_override=False):
        gate = await scan.OfflineGate.open(stage.setup(self.folder / f"{name}.db", device, can_override))
        await gate.install(stage.FACTS["event"], stage.manifest("good"))
        return gate

    async def test_without_a_manifest_nothing_is_decided(self):
        gate = await scan.OfflineGate.open(stage.setup(self.folder / "a.db"))
        with self.assertRaises(Error.NoManifest) as caught:
            await gate.decide(stage.camera("first"), MAIN)
        self.assertEqual(scan.error_code(caught.exception), "no_manifest")
        empty = scan.OfflineState(manifest=None, waiting=0, conflicts=0, clock_offset_ms=0)
        self.assertEqual(await gate.state(), empty)
        with self.assertRaises(Error.InvalidText):
            await gate.decide(stage.camera("first"), "the main gate")
        with self.assertRaises(Error.StorageUnavailable):
            await scan.OfflineGate.open(stage.setup("/nowhere/a.db"))

    async def test_every_wrong_manifest_is_refused_by_its_own_code_and_the_good_one_stays(self):
        gate = await self.phone()
        refused = {
            "older": "manifest_older",
            "other-event": "manifest_other_event",
            "other-organization": "manifest_other_organization",
            "expired": "manifest_expired",
            "changed": "manifest_bad_signature",
        }
        for name, code in refused.items():
            with self.subTest(name), self.assertRaises(Error) as caught:
                await gate.install(stage.FACTS["event"], stage.manifest(name))
            self.assertEqual(scan.error_code(caught.exception), code)
        manifest = (await gate.state()).manifest
        self.assertEqual((manifest.version, manifest.tickets), (2, 7))
        self.assertEqual(sorted(one.name for one in await gate.gates()), ["Main", "VIP"])

    async def test_every_result_is_decided_offline(self):
        gate = await self.phone()
        admitted = await gate.decide(stage.camera("first"), MAIN)
        self.assertEqual(admitted.reason, scan.Reason.ADMITTED)
        self.assertEqual(admitted.result, scan.ScanResult.VALID)
        self.assertEqual(admitted.decided_by, scan.VerdictBy.DEVICE)
        self.assertEqual(admitted.ticket.code, stage.FACTS["first_code"])
        self.assertIsNone(admitted.occupancy)
        vip, typed = stage.FACTS["gate_vip"], scan.TicketReading.TYPED(stage.FACTS["second_code"])
        expected = [
            ("already_scanned", stage.camera("used_online"), {}),
            ("other_event", stage.camera("other_event"), {}),
            ("gate_not_allowed", stage.camera("second"), {"gate_id": vip}),
            ("ticket_voided", stage.camera("voided"), {}),
            ("token_expired", stage.camera("expired"), {}),
            ("bad_signature", stage.camera("forged"), {}),
            ("malformed", scan.TicketReading.QR("https://example.org"), {}),
            ("unsigned_not_allowed", typed, {}),
            ("not_inside", stage.camera("second"), {"direction": scan.Direction.EXIT}),
        ]
        for reason, reading, more in expected:
            with self.subTest(reason):
                verdict = await gate.decide(reading, **{"gate_id": MAIN, **more})
                self.assertEqual(scan.reason_code(verdict.reason), reason)
        unchecked = await gate.decide(stage.camera("server_format"), MAIN)
        self.assertEqual(unchecked.warnings, [scan.Warning.SIGNATURE_UNCHECKED])
        later = await gate.decide(stage.camera("sold_later"), MAIN)
        self.assertEqual(later.warnings, [scan.Warning.NOT_IN_MANIFEST])
        with self.assertRaises(Error.UnknownGate):
            await gate.decide(stage.camera("second"), stage.FACTS["gate_unknown"])
        self.assertEqual((await gate.state()).waiting, 12)

    async def test_a_scan_id_is_one_scan_and_an_override_needs_the_right_to_it(self):
        plain, trusted = await self.phone(), await self.phone("b", "device_b", can_override=True)
        scan_id = scan.new_scan_id()
        first = await plain.decide(stage.camera("first"), MAIN, scan_id=scan_id)
        self.assertEqual(first.scan_id, scan_id)
        self.assertTrue((await plain.decide(stage.camera("first"), MAIN, scan_id=scan_id)).repeated)
        with self.assertRaises(Error.ScanIdReused):
            await plain.decide(stage.camera("second"), MAIN, scan_id=scan_id)
        with self.assertRaises(Error.Forbidden):
            await plain.decide(stage.camera("voided"), MAIN, override_reason="guest of the band")
        forced = await trusted.decide(stage.camera("voided"), MAIN, override_reason="guest of the band")
        self.assertEqual(forced.reason, scan.Reason.OVERRIDDEN)

    async def test_a_manifest_too_old_is_refused_where_the_event_says_so(self):
        gate = await self.phone()
        await gate.install(stage.FACTS["event"], stage.manifest("stale"))
        with self.assertRaises(Error.StaleManifest) as caught:
            await gate.decide(stage.camera("first"), MAIN)
        self.assertTrue(caught.exception.reason)

    async def test_a_verdict_that_was_shown_survives_a_kill(self):
        await self.phone()
        file = self.folder / "a.db"
        command = [sys.executable, str(pathlib.Path(__file__).with_name("victim.py")), str(file)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as victim:
            self.assertEqual(victim.stdout.readline(), "admitted\n")
            victim.kill()

        gate = await scan.OfflineGate.open(stage.setup(file))
        self.assertEqual((await gate.state()).waiting, 1)
        second = await gate.decide(stage.camera("victim"), MAIN)
        self.assertEqual(second.reason, scan.Reason.ALREADY_SCANNED)
        self.assertTrue(second.previous_scan.same_device)
        with self.assertRaises(Error.OtherDevice):
            await scan.OfflineGate.open(stage.setup(file, "device_b"))

    async def test_two_phones_that_cannot_talk_both_let_one_ticket_in_and_both_remember_it(self):
        phones = [await self.phone(), await self.phone("b", "device_b")]
        verdicts = await asyncio.gather(*(gate.decide(stage.camera("third"), MAIN) for gate in phones))
        self.assertEqual([verdict.reason for verdict in verdicts], [scan.Reason.ADMITTED] * 2)
        self.assertEqual(len({verdict.scan_id for verdict in verdicts}), 2)
        self.assertEqual([(await gate.state()).waiting for gate in phones], [1, 1])


if __name__ == "__main__":
    unittest.main()
