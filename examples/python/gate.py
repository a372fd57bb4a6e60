"""A gate on a terminal: a scanner that types instead of filming.

    gate.py FOLDER enroll URI        the URI that the QR code of `voelgoed-scan device enroll` says
    gate.py FOLDER stand EVENT GATE
    gate.py FOLDER scan              a payload a line from stdin; `exit PAYLOAD` lets somebody out
    gate.py FOLDER state
"""

import asyncio
import os
import pathlib
import sys

import voelgoed_scan as scan


class SecretFile(scan.SecretStore):
    """Secrets as files that their owner alone may read. A kiosk with a keyring uses that instead."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def get(self, name):
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise scan.SecretStoreError.Failed(str(error)) from error

    def set(self, name, secret):
        new = self.folder / f"{name}.new"
        try:
            with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(secret)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self.folder / name)
        except OSError as error:
            raise scan.SecretStoreError.Failed(str(error)) from error

    def delete(self, name):
        try:
            (self.folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise scan.SecretStoreError.Failed(str(error)) from error


def setup(folder):
    settings = scan.ClientSettings(**{**vars(scan.default_client_settings()), "allow_plain_http": True})
    return scan.ClientSetup(
        directory=str(folder),
        app=scan.App(name="Terminal gate", version="1.0", platform="python"),
        secrets=SecretFile(folder / "secrets"),
        settings=settings,  # a server on this machine may be called without TLS; an app leaves this out
    )


def show(verdict):
    green = verdict.result == scan.ScanResult.VALID
    colour = "\033[42m" if green else "\033[41m"
    more = [scan.warning_code(warning) for warning in verdict.warnings]
    if verdict.previous_scan:
        more.append(f"{verdict.previous_scan.seconds_ago} s ago")
    if verdict.decided_by == scan.VerdictBy.DEVICE:
        more.append("offline")
    print(f"{colour} {verdict.message} \033[0m {scan.reason_code(verdict.reason)} {', '.join(more)}", flush=True)


async def read_tickets(gate):
    lines = asyncio.get_running_loop()
    while line := await lines.run_in_executor(None, sys.stdin.readline):
        out, _, rest = line.strip().partition(" ")
        text, direction = (rest, scan.Direction.EXIT) if out == "exit" else (line.strip(), scan.Direction.ENTRY)
        try:
            show(await gate.scan(scan.TicketReading.QR(text), direction))
        except scan.GateError as error:
            print(scan.error_code(error), flush=True)


async def main(folder, command, *arguments):
    folder = pathlib.Path(folder)
    if command == "enroll":
        gate = await scan.ScannerClient.enroll(setup(folder), *arguments)
        print("enrolled as", gate.device().name)
        return
    gate = await scan.ScannerClient.open(setup(folder))
    if command == "stand":
        await gate.start_session(*arguments, replace=True)
        await gate.refresh_manifest()
        print("standing at", *arguments)
    elif command == "scan":
        try:
            await gate.sync()  # finds the server, and hands in what a shift before left
        except scan.GateError as error:
            print("on its own:", scan.error_code(error), file=sys.stderr)
        running = asyncio.create_task(gate.run())
        await read_tickets(gate)
        gate.stop()
        await running
        await gate.sync()  # the end of the shift: nothing is to wait on this machine
    print(await gate.state())


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    try:
        asyncio.run(main(*sys.argv[1:]))
    except scan.GateError as error:
        sys.exit(f"{scan.error_code(error)}: {error}")
