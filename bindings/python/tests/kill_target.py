"""A scanner app that lets one person in, says so, and then waits to be killed."""

import asyncio
import signal
import sys

import stage
import voelgoed_scan as scan


async def main(file):
    gate = await scan.OfflineGate.open(stage.setup(file))
    verdict = await gate.decide(stage.camera("victim"), stage.FACTS["gate_main"])
    print(scan.reason_code(verdict.reason), flush=True)
    signal.pause()


asyncio.run(main(sys.argv[1]))
