"""A phone under faults: a full disk, a clock that is set, a damaged database, a network that is lost after a denial."""

import asyncio
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import fixture
import voelgoed_scan as scan
from server import ServerTestCase

HERE = pathlib.Path(__file__).parent
MAIN = fixture.VALUES["gate_main"]
Reason = scan.Reason


class Disk(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def run_target(self, command, **environment):
        result = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})
        self.assertEqual((result.returncode, result.stdout), (0, "done\n"), result.stderr)

    def test_a_full_disk_shows_nothing_that_is_not_recorded_and_needs_no_restart(self):
        # A mount namespace of its own needs no special rights where the system allows user namespaces.
        mount = 'mount -t tmpfs -o size=2m tmpfs "$1" && exec "$2" "$3" "$1"'
        self.run_target([
            "unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh", str(self.folder),
            sys.executable, str(HERE / "full_disk_target.py"),
        ])

    def test_a_clock_that_is_set_six_hours_ahead_and_back_dates_no_scan_wrong(self):
        library = self.folder / "clock_shift.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, HERE / "clock_shift.c"], check=True)
        target = str(HERE / "clock_target.py")
        self.run_target([sys.executable, target, str(self.folder), str(library)], LD_PRELOAD=str(library))

    async def test_a_damaged_database_is_set_aside_and_the_phone_says_so(self):
        file = self.folder / "a.db"
        scanner = await scan.OfflineScanner.open(fixture.setup(file))
        await scanner.install(fixture.VALUES["event"], fixture.manifest("good"))
        await scanner.decide(fixture.qr("first"), MAIN)
        del scanner
        # The database is closed in the background, which writes its file once more.
        while file.with_name("a.db-wal").exists():
            await asyncio.sleep(0.01)
        file.write_bytes(b"what a failing flash card returns" * 1000)
        scanner = await scan.OfflineScanner.open(fixture.setup(file))
        (replaced,) = (await scanner.state()).replaced
        self.assertEqual((replaced.code, replaced.complete), ("damaged_database", False))
        self.assertTrue(pathlib.Path(replaced.path).read_bytes().startswith(b"what a failing flash card"))
        with self.assertRaises(scan.ScannerError.NoManifest):
            await scanner.decide(fixture.qr("first"), MAIN)
        await scanner.install(fixture.VALUES["event"], fixture.manifest("good"))
        again = await scanner.decide(fixture.qr("first"), MAIN)
        self.assertEqual(again.warnings, [scan.ScanWarning.STORAGE_REPLACED], "it may have admitted it before")


class Network(ServerTestCase):
    async def test_what_the_server_denied_stays_denied_offline_and_after_a_restart(self):
        phone = await self.phone("gate-a")
        # The manifest of the phone lists the ticket as active.
        self.server.ask(f"status {self.server['second_code']} voided")
        denied = await phone.scan(self.server.qr("second"))
        self.assertEqual((denied.reason, denied.decided_by), (Reason.TICKET_VOIDED, scan.VerdictSource.SERVER))
        self.server.ask("disconnect")
        del phone  # closes the database
        phone = await scan.ScannerClient.open(self.setup_of("gate-a"))
        alone = await phone.scan(self.server.qr("second"))
        self.assertEqual((alone.reason, alone.decided_by), (Reason.TICKET_VOIDED, scan.VerdictSource.DEVICE))


if __name__ == "__main__":
    unittest.main()
