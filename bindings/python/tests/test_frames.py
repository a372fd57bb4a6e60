"""A camera reads one ticket in many frames: one scan, one verdict, however slow the network is."""

import asyncio
import tempfile
import unittest

import fixture
import voelgoed_scan as scan
from server import ServerTestCase

FRAMES = 5
#: The time between two frames of a camera, in seconds.
FRAME_INTERVAL = 0.033


async def read_frames(phone, reading):
    """Scans a reading in overlapping calls, as a camera does that does not wait for the verdict."""
    calls = []
    for _ in range(FRAMES):
        calls.append(asyncio.create_task(phone.scan(reading)))
        await asyncio.sleep(FRAME_INTERVAL)
    return await asyncio.gather(*calls)


class Frames(ServerTestCase):
    def check(self, verdicts):
        self.assertEqual({(one.result, one.reason) for one in verdicts}, {(scan.ScanResult.VALID, scan.Reason.ADMITTED)})
        self.assertEqual(len({one.scan_id for one in verdicts}), 1)
        self.assertEqual([one.repeated for one in verdicts].count(False), 1, "the app beeps once")

    async def test_five_overlapping_frames_are_one_scan_at_every_round_trip_time(self):
        phone = await self.phone("gate-a")
        for delay, ticket in [(0, "first"), (50, "second"), (200, "third"), (1000, "fourth")]:
            with self.subTest(delay=delay):
                before = int(self.server.ask("scans"))
                self.server.ask(f"delay {delay}")
                self.check(await read_frames(phone, self.server.qr(ticket)))
                self.assertEqual(int(self.server.ask("scans")), before + 1)
        self.assertEqual(self.server.ask("inside"), "4")

    async def test_a_frame_whose_task_is_cancelled_changes_nothing_for_the_next_one(self):
        phone = await self.phone("gate-a")
        self.server.ask("delay 200")
        left = asyncio.create_task(phone.scan(self.server.qr("first")))
        await asyncio.sleep(FRAME_INTERVAL)
        left.cancel()
        verdict = await phone.scan(self.server.qr("first"))
        self.assertEqual(verdict.reason, scan.Reason.ADMITTED)
        self.assertEqual((self.server.ask("scans"), self.server.ask("inside")), ("1", "1"))


class ReorderedAnswers(unittest.IsolatedAsyncioTestCase):
    async def test_answers_that_overtake_each_other_give_one_verdict(self):
        for delay in [0, 0.05, 0.2, 1.0]:
            with self.subTest(delay=delay), tempfile.TemporaryDirectory() as folder:
                transport = fixture.FakeTransport()
                # A later request is answered earlier.
                transport.delays = [delay * (FRAMES - number) / FRAMES for number in range(FRAMES)]
                setup = scan.ClientSetup(
                    directory=folder,
                    app=scan.App(name="Gate", version="1.0", platform="python"),
                    secrets=fixture.MemorySecretStore(),
                    transport=transport,
                    settings=fixture.client_settings(),
                )
                phone = await scan.ScannerClient.enroll(setup, fixture.VALUES["enrollment"])
                await phone.start_session(fixture.VALUES["event"], fixture.VALUES["gate_main"])
                await phone.refresh_manifest()
                verdicts = await read_frames(phone, fixture.qr("first"))
                self.assertEqual(len({one.scan_id for one in verdicts}), 1)
                self.assertEqual({one.reason for one in verdicts}, {scan.Reason.ADMITTED})
                self.assertEqual(len({request["scan_id"] for request in transport.scans}), 1)
                self.assertEqual(len(transport.scans), 1)


if __name__ == "__main__":
    unittest.main()
