"""A scanner on a terminal: it reads payloads from stdin instead of a camera.

    gate.py FOLDER enroll URI        URI is the text of the QR code that `voelgoed-scan device enroll` shows
    gate.py FOLDER events            lists the events and their gates
    gate.py FOLDER start EVENT GATE  starts a session at a gate
    gate.py FOLDER test              tests this phone before the doors open
    gate.py FOLDER scan              reads lines from stdin: a payload is an entry, `exit PAYLOAD` an exit,
                                     `undo` takes the last admission back, `search NAME` finds guests,
                                     `inside` counts the people inside
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


class StatusLine(scan.StateListener):
    """Shows the state on stderr whenever it changes. Called on a thread of the library."""

    def state_changed(self, state):
        network = "online" if state.online else f"alone ({state.last_error or 'not connected yet'})"
        print(f"[{network}, {state.waiting} waiting, {state.conflicts} conflicts]", file=sys.stderr, flush=True)


def setup(folder):
    settings = scan.ClientSettings(**{**vars(scan.default_client_settings()), "allow_plain_http": True})
    return scan.ClientSetup(
        directory=str(folder),
        app=scan.App(name="Terminal scanner", version="1.0", platform="python"),
        secrets=FileSecretStore(folder / "secrets"),
        settings=settings,  # allows a server on this machine without TLS; an app omits the settings
    )


async def list_events(client):
    for event in await client.events():
        print(event.id, event.name, event.status.name.lower() if event.status else "?", sep="\t")
        for gate in await client.event_gates(event.id):
            print("", gate.id, gate.name, gate.status.name.lower() if gate.status else "?", sep="\t")


async def self_test(client):
    for check in await client.self_test():
        print(check.subject.name.lower(), check.problem or "ok", check.advice, sep="\t")


class Gate:
    """Scans the frames of a camera, here the lines of stdin."""

    def __init__(self, client):
        self.client = client
        self.last_admission = None

    async def read(self, line):
        """Handles a line. A denial is a verdict; an error means that there is none."""
        command, _, rest = line.partition(" ")
        try:
            if command == "undo" and self.last_admission:
                undone = await self.client.undo(self.last_admission, "undone by the steward")
                print("undone", undone.reason, flush=True)
            elif command == "search":
                for ticket in (await self.client.search(rest)).tickets:
                    print(scan.grouped_ticket_code(ticket.code), ticket.holder_name, sep="\t", flush=True)
            elif command == "inside":
                print("inside", (await self.client.occupancy()).event.inside, flush=True)
            elif command == "exit":
                self.show(await self.client.scan(scan.TicketReading.QR(rest), scan.Direction.EXIT))
            else:
                self.show(await self.client.scan(scan.TicketReading.QR(line)))
        except scan.ScannerError as error:
            print(scan.error_code(error), flush=True)

    def show(self, verdict):
        if verdict.repeated:
            return  # another frame of the same ticket: the verdict is on the screen already
        if verdict.result == scan.ScanResult.VALID and verdict.direction == scan.Direction.ENTRY:
            self.last_admission = verdict.scan_id
        colour = "\033[42m" if verdict.result == scan.ScanResult.VALID else "\033[41m"
        details = [scan.warning_code(warning) for warning in verdict.warnings]
        if verdict.previous_scan:
            details.append(f"{verdict.previous_scan.seconds_ago} s ago")
        if verdict.decided_by == scan.VerdictSource.DEVICE:
            details.append("offline")
        print(f"{colour} {verdict.message} \033[0m {scan.reason_code(verdict.reason)} {', '.join(details)}", flush=True)


async def read_frames(client):
    """The frame loop. It does not wait for a verdict before it takes the next frame: frames of one ticket share one."""
    gate, frames = Gate(client), set()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        frame = asyncio.create_task(gate.read(line.strip()))
        frames.add(frame)
        frame.add_done_callback(frames.discard)
    await asyncio.gather(*frames)  # a scan that has begun is awaited to its end


async def main(folder, command, *arguments):
    folder = pathlib.Path(folder)
    if command == "enroll":
        client = await scan.ScannerClient.enroll(setup(folder), *arguments)
        print("enrolled as", client.device().name)
        return
    client = await scan.ScannerClient.open(setup(folder))
    if command == "events":
        return await list_events(client)
    if command == "test":
        return await self_test(client)
    if command == "start":
        await client.start_session(*arguments, replace=True)
        await client.refresh_manifest()
        print("session started at", *arguments)
    elif command == "scan":
        try:
            await client.sync()  # connects to the server and uploads the scans of an earlier run
        except scan.ScannerError as error:
            print("offline:", scan.error_code(error), file=sys.stderr)
        status = client.subscribe(StatusLine())
        running = asyncio.create_task(client.run())
        await read_frames(client)
        client.stop()
        await running
        await client.sync()  # the end of the shift: no scan must wait on this machine
        status.cancel()
    print(await client.state())


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    try:
        asyncio.run(main(*sys.argv[1:]))
    except scan.ScannerError as error:
        sys.exit(f"{scan.error_code(error)}: {error}")
