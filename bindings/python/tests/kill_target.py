"""A scanner app that admits one ticket, prints the verdict and waits until it is killed."""

import asyncio
import signal
import sys

import fixture
import voelgoed_scan as scan


async def main(file):
    scanner = await scan.OfflineScanner.open(fixture.setup(file))
    verdict = await scanner.decide(fixture.qr("kill_test"), fixture.VALUES["gate_main"])
    print(scan.reason_code(verdict.reason), flush=True)
    signal.pause()


asyncio.run(main(sys.argv[1]))
