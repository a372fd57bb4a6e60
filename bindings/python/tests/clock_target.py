"""A phone whose clock somebody sets six hours ahead and back. Run by test_faults.py with clock_shift.c preloaded."""

import asyncio
import ctypes
import sys
import time

import fixture
import voelgoed_scan as scan

HOURS_6 = 6 * 3600
shift = ctypes.c_long.in_dll(ctypes.CDLL(sys.argv[2]), "clock_shift_s")


def set_clock(ahead_s):
    before = time.time()
    shift.value = ahead_s
    assert abs(time.time() - before) > HOURS_6 / 2, "the clock of this process is set"


def is_same_hour(first, second):
    return abs((second.scanned_at - first.scanned_at).total_seconds()) < 3600


async def main(folder):
    transport = fixture.FakeTransport()
    setup = scan.ClientSetup(
        directory=folder, app=scan.App(name="Gate", version="1.0", platform="python"),
        secrets=fixture.MemorySecretStore(), transport=transport, settings=fixture.client_settings(),
    )
    phone = await scan.ScannerClient.enroll(setup, fixture.VALUES["enrollment"])
    await phone.start_session(fixture.VALUES["event"], fixture.VALUES["gate_main"])
    await phone.refresh_manifest()
    transport.disconnect()
    moved = scan.ScanWarning.CLOCK_MOVED
    right = await phone.scan(fixture.qr("first"))
    assert right.reason == scan.Reason.ADMITTED and moved not in right.warnings, right
    set_clock(HOURS_6)
    ahead = await phone.scan(fixture.qr("second"))
    assert ahead.reason == scan.Reason.ADMITTED and moved in ahead.warnings, ahead
    assert is_same_hour(right, ahead), (right.scanned_at, ahead.scanned_at)
    again = await phone.scan(fixture.qr("first"))
    assert (again.scan_id, again.repeated) == (right.scan_id, True) or again.reason == scan.Reason.ALREADY_SCANNED, again
    problem = (await phone.state()).problem
    assert problem.code == scan.ProblemCode.CLOCK_MOVED and problem.advice, problem
    set_clock(0)
    back = await phone.scan(fixture.qr("third"))
    assert back.reason == scan.Reason.ADMITTED and moved not in back.warnings, back
    assert is_same_hour(right, back), (right.scanned_at, back.scanned_at)
    problem = (await phone.state()).problem
    assert problem is None or problem.code != scan.ProblemCode.CLOCK_MOVED, problem
    assert (await phone.state()).waiting == 3
    print("done", flush=True)


asyncio.run(main(sys.argv[1]))
