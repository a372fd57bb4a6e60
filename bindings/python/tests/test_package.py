"""The package as an app sees it: types, names, texts, log."""

import builtins
import importlib.metadata
import importlib.resources
import pathlib
import queue
import re
import tempfile
import unittest

import fixture
import voelgoed_scan as scan


class Hook(scan.LogHook):
    """Collects the messages of the library."""

    def __init__(self):
        self.records = queue.Queue()

    def log(self, record):
        self.records.put(record)


class Package(unittest.IsolatedAsyncioTestCase):
    def test_the_package_is_installed_from_a_wheel_and_has_types(self):
        package = pathlib.Path(scan.__file__).parent
        self.assertIn("site-packages", package.parts)
        self.assertTrue((package / "py.typed").is_file())
        (tag,) = re.findall("^Tag: (.*)$", importlib.metadata.distribution("voelgoed-scan").read_text("WHEEL"), re.M)
        self.assertRegex(tag, "^py3-none-")

    def test_no_name_of_the_package_shadows_a_builtin(self):
        self.assertEqual(set(scan.__all__) & set(dir(builtins)), set())
        namespace = {}
        exec("from voelgoed_scan import *", namespace)
        self.assertNotIn("Warning", namespace)
        self.assertIs(namespace["ScannerClient"], scan.ScannerClient)
        self.assertEqual({name for name in namespace if name.startswith("_")}, {"__builtins__"})

    def test_the_texts_show_the_fields_and_no_secret(self):
        report = scan.SyncReport(recorded=1, replayed=2, rejected=0, quarantined=0, conflicts=0)
        self.assertEqual(repr(report), "SyncReport(recorded=1, replayed=2, rejected=0, quarantined=0, conflicts=0)")
        code, token = "3KQR7F924M1XaB0z", "vgd_0123456789"
        reading = scan.TicketReading.TYPED(code)
        header = scan.HttpHeader(name="Authorization", value=f"Bearer {token}")
        request = scan.HttpRequest(
            method=scan.HttpMethod.GET, url="https://example.org/tickets?q=Smith", headers=[header],
            body=code.encode(), timeout=fixture.client_settings().scan_timeout,
        )
        response = scan.HttpResponse(status=200, headers=[header], body=token.encode())
        ticket = scan.VerdictTicket(
            id=None, code=code, status=scan.TicketStatus.ACTIVE, ticket_class="Day", seat=None, entry_limit=1,
            scan_count=0, note=None,
        )
        for value in [reading, header, request, response, ticket, [reading, header, ticket]]:
            for text in [str(value), repr(value), f"{value}"]:
                for secret in [code, token, "Smith"]:
                    self.assertNotIn(secret, text)
        self.assertIn("ticket_class", repr(ticket))
        self.assertEqual(repr(request), "GET https://example.org/tickets, 16 bytes")
        self.assertEqual(repr(header), "Authorization")

    async def test_a_client_and_a_verdict_have_readable_texts(self):
        with tempfile.TemporaryDirectory() as folder:
            setup = scan.ClientSetup(
                directory=folder, app=scan.App(name="Gate", version="1.0", platform="python"),
                secrets=fixture.MemorySecretStore(), transport=fixture.FakeTransport(),
                settings=fixture.client_settings(),
            )
            phone = await scan.ScannerClient.enroll(setup, fixture.VALUES["enrollment"])
            self.assertEqual(repr(phone), "ScannerClient(gate-1)")
            await phone.start_session(fixture.VALUES["event"], fixture.VALUES["gate_main"])
            verdict = await phone.scan(fixture.qr("first"))
            self.assertEqual(str(verdict), "valid: admitted, entry at Main, decided by server")
            self.assertIn("admitted", str(await phone.state()) + repr(verdict).lower())
            error = scan.ScannerError.Refused(401, "device_inactive", "no", None, None)
            self.assertIn("device_inactive", repr(error))

    async def test_the_log_hook_gets_messages_without_secrets(self):
        hook = Hook()
        scan.set_log_hook(hook, scan.LogLevel.TRACE)
        self.addCleanup(scan.clear_log_hook)
        secrets, transport = fixture.MemorySecretStore(), fixture.FakeTransport()
        with tempfile.TemporaryDirectory() as folder:
            setup = scan.ClientSetup(
                directory=folder, app=scan.App(name="Gate", version="1.0", platform="python"),
                secrets=secrets, transport=transport, settings=fixture.client_settings(),
            )
            phone = await scan.ScannerClient.enroll(setup, fixture.VALUES["enrollment"])
            await phone.start_session(fixture.VALUES["event"], fixture.VALUES["gate_main"])
            await phone.refresh_manifest()
            await phone.scan(fixture.qr("first"))
            transport.disconnect()
            await phone.scan(fixture.qr("second"))
            with self.assertRaises(scan.ScannerError.Offline):
                await phone.sync()
        record = hook.records.get()
        records = [record]
        while "unavailable" not in record.text and "could not be used" not in record.text:
            record = hook.records.get()
            records.append(record)
        self.assertTrue(all(one.target.startswith("voelgoed_scan") for one in records))
        (credentials,) = secrets.secrets.values()
        hidden = re.findall(r'"(?:token|device_seed)":"([^"]+)"', credentials.decode())
        hidden += [fixture.VALUES[name] for name in ["first", "second", "first_code", "second_code", "enrollment"]]
        self.assertEqual(len(hidden), 7)
        for one in records:
            for secret in hidden:
                self.assertNotIn(secret, one.text)
        scan.clear_log_hook()
        seen = hook.records.qsize()
        with self.assertRaises(scan.ScannerError.Offline):
            await phone.sync()
        self.assertEqual(hook.records.qsize(), seen, "a hook that was removed is not called again")


if __name__ == "__main__":
    unittest.main()
