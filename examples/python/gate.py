"""A scanner on a terminal: it reads payloads from stdin instead of a camera.

    gate.py FOLDER enroll URI        URI is the text of the QR code that `voelgoed-scan device enroll` shows
    gate.py FOLDER start EVENT GATE  starts a session at a gate
    gate.py FOLDER scan              reads one payload per line from stdin; `exit PAYLOAD` is an exit
    gate.py FOLDER state             prints the state
"""

import asyncio
import os
import pathlib
import sys

import voelgoed_scan as scan


class FileSecretStore(scan.SecretStore):
    """Stores secrets in files that only their owner can read. A kiosk with a keyring uses the keyring instead."""

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
        app=scan.App(name="Terminal scanner", version="1.0", platform="python"),
        secrets=FileSecretStore(folder / "secrets"),
        settings=settings,  # allows a server on this machine without TLS; an app omits the settings
    )


def show(verdict):
    is_valid = verdict.result == scan.ScanResult.VALID
    colour = "\033[42m" if is_valid else "\033[41m"
    details = [scan.warning_code(warning) for warning in verdict.warnings]
    if verdict.previous_scan:
        details.append(f"{verdict.previous_scan.seconds_ago} s ago")
    if verdict.decided_by == scan.VerdictSource.DEVICE:
        details.append("offline")
    print(f"{colour} {verdict.message} \033[0m {scan.reason_code(verdict.reason)} {', '.join(details)}", flush=True)


async def read_tickets(client):
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        first, _, rest = line.strip().partition(" ")
        text, direction = (rest, scan.Direction.EXIT) if first == "exit" else (line.strip(), scan.Direction.ENTRY)
        try:
            show(await client.scan(scan.TicketReading.QR(text), direction))
        except scan.ScannerError as error:
            print(scan.error_code(error), flush=True)


async def main(folder, command, *arguments):
    folder = pathlib.Path(folder)
    if command == "enroll":
        client = await scan.ScannerClient.enroll(setup(folder), *arguments)
        print("enrolled as", client.device().name)
        return
    client = await scan.ScannerClient.open(setup(folder))
    if command == "start":
        await client.start_session(*arguments, replace=True)
        await client.refresh_manifest()
        print("session started at", *arguments)
    elif command == "scan":
        try:
            await client.sync()  # connects to the server and uploads the scans of an earlier run
        except scan.ScannerError as error:
            print("offline:", scan.error_code(error), file=sys.stderr)
        running = asyncio.create_task(client.run())
        await read_tickets(client)
        client.stop()
        await running
        await client.sync()  # the end of the shift: no scan must wait on this machine
    print(await client.state())


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    try:
        asyncio.run(main(*sys.argv[1:]))
    except scan.ScannerError as error:
        sys.exit(f"{scan.error_code(error)}: {error}")
