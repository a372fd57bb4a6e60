"""A phone whose disk is full for a time. Run by test_faults.py on a small disk of its own."""

import asyncio
import pathlib
import sys

import fixture
import voelgoed_scan as scan

MAIN = fixture.VALUES["gate_main"]


def fill(disk):
    """Takes all room on the disk. Returns the file to delete."""
    ballast = disk / "ballast"
    size = 64 * 1024
    with open(ballast, "wb", buffering=0) as file:
        while size > 0:
            try:
                file.write(bytes(size))
            except OSError:
                size //= 2
    return ballast


async def main(disk):
    scanner = await scan.OfflineScanner.open(fixture.setup(disk / "a.db"))
    await scanner.install(fixture.VALUES["event"], fixture.manifest("good"))
    first = await scanner.decide(fixture.qr("first"), MAIN)
    assert first.reason == scan.Reason.ADMITTED, first
    ballast = fill(disk)
    for _ in range(2):
        try:
            shown = await scanner.decide(fixture.qr("second"), MAIN)
        except scan.ScannerError.StorageFull as error:
            assert scan.error_code(error) == "storage_full"
        else:
            raise AssertionError(f"shown, and not on disk: {shown}")
    state = await scanner.state()
    assert (state.is_disk_full, state.waiting) == (True, 1), state
    ballast.unlink()
    second = await scanner.decide(fixture.qr("second"), MAIN)
    assert second.reason == scan.Reason.ADMITTED, second
    state = await scanner.state()
    assert (state.is_disk_full, state.waiting) == (False, 2), state
    del scanner  # closes the database
    scanner = await scan.OfflineScanner.open(fixture.setup(disk / "a.db"))
    for ticket in ["first", "second"]:
        again = await scanner.decide(fixture.qr(ticket), MAIN)
        assert again.reason == scan.Reason.ALREADY_SCANNED, again
    print("done", flush=True)


asyncio.run(main(pathlib.Path(sys.argv[1])))
