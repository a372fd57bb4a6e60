"""Ticket codes and payloads without a scan."""

import base64
import os
import pathlib
import unittest
from datetime import datetime, timezone

import voelgoed_scan as scan


class Ticket(unittest.TestCase):
    def test_a_typed_code_may_be_grouped_but_not_otherwise_changed(self):
        self.assertEqual(scan.parse_ticket_code("3KQR-7F92 4M1X-aB0z"), "3KQR7F924M1XaB0z")
        self.assertEqual(scan.grouped_ticket_code("3KQR7F924M1XaB0z"), "3KQR-7F92-4M1X-aB0z")
        for text in ["", "3KQR", "3KQR--7F92-4M1X-aB0z", "3KQR7F924M1XaB0é", "3KQR7F924M1XaB0z "]:
            with self.subTest(text), self.assertRaises(scan.ScannerError.InvalidText) as caught:
                scan.parse_ticket_code(text)
            self.assertEqual(caught.exception.kind, "ticket code")
        with self.assertRaises(scan.ScannerError.InvalidText):
            scan.grouped_ticket_code("short")

    def test_the_shape_of_a_payload_determines_its_format(self):
        shape = scan.payload_format
        self.assertEqual(shape("VG1.1.fO7PQD0HtpbJu1DB.VGtaswiiCdSvrK4-qZ36BQ\r\n"), scan.Format.VG1)
        self.assertEqual(scan.format_code(shape("3KQR7F924M1XaB0z")), "bare")
        self.assertIsNone(shape("https://example.org"))
        self.assertIsNone(shape("A" * 3000))

    def test_every_reason_has_a_result_a_code_and_a_message(self):
        reasons = scan.all_reasons()
        self.assertEqual(reasons, list(scan.Reason))
        self.assertEqual({scan.reason_result(reason) for reason in reasons}, set(scan.ScanResult))
        self.assertEqual(scan.reason_message(scan.Reason.ALREADY_SCANNED), "Already scanned")
        self.assertEqual(scan.result_code(scan.reason_result(scan.Reason.BAD_SIGNATURE)), "invalid_token")
        for reason in reasons:
            self.assertEqual(scan.reason_code(reason), reason.name.lower())
            self.assertTrue(scan.reason_message(reason))
        for warning in scan.ScanWarning:
            self.assertEqual(scan.warning_code(warning), warning.name.lower())

    def test_public_keys_verify_every_payload_of_the_shared_vectors_as_the_reference_does(self):
        lines = [line.split("\t") for line in pathlib.Path(os.environ["VOELGOED_SCAN_VECTORS"]).read_text().splitlines()]
        keys = {line[1]: base64.b64decode(line[2]) for line in lines if line[0] == "key"}
        (organization,) = [line[1] for line in lines if line[0] == "organization"]
        cases = [line[1:] for line in lines if line[0] == "case"]
        verifier = scan.TicketVerifier(organization, keys)
        for name, token, now, outcome, code in cases:
            with self.subTest(name):
                at = datetime.fromtimestamp(int(now), timezone.utc)
                verification = verifier.verify(base64.b64decode(token).decode(), at)
                if verification.is_GENUINE():
                    self.assertEqual((outcome, code), ("valid", verification.ticket.ticket_code))
                else:
                    self.assertEqual(outcome, scan.reason_code(verification.reason))
        self.assertGreater(len(cases), 50)
        self.assertGreaterEqual(sum(case[3] == "valid" for case in cases), 8)

    def test_this_build_makes_every_decision_of_the_shared_vectors(self):
        report = scan.check_decisions(pathlib.Path(os.environ["VOELGOED_SCAN_DECISIONS"]).read_text())
        self.assertEqual(report.differences, [])
        self.assertGreater(report.cases, 70)
        self.assertGreater(report.cases + report.skipped, 90)
        with self.assertRaises(scan.ScannerError.InvalidText):
            scan.check_decisions("{}")

    def test_an_invalid_key_or_organization_id_is_an_error(self):
        with self.assertRaises(scan.ScannerError.InvalidText) as caught:
            scan.TicketVerifier("nobody", {})
        self.assertEqual(caught.exception.kind, "organization id")
        id = "ea8ed02a-82a1-4593-8f23-37cd3794c522"
        for keys in [{"1": bytes(31)}, {"not a kid": bytes(32)}]:
            with self.assertRaises(scan.ScannerError.InvalidText):
                scan.TicketVerifier(id, keys)
        none = scan.TicketVerifier(id, {}).verify("", datetime(9999, 1, 1, tzinfo=timezone.utc))
        self.assertEqual(none.reason, scan.Reason.MALFORMED)


if __name__ == "__main__":
    unittest.main()
