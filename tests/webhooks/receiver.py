"""A receiver of webhooks that verifies each delivery and fails some at random.

    receiver.py SEED FAILURES SECRET [PSQL DATABASE_URL]

FAILURES is the share of attempts that fail, such as 0.3. Half of the failures are an answer 503 with a `Retry-After`; the
others close the connection without an answer, once for a delivery. With a database, the receiver looks up whether a scan is
on record when it is told of it.

It prints its port, and then a JSON object for each attempt: "id", "type", "data", "verified", "recorded" and "accepted".
"""

import json
import random
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

# A delivery has ten attempts.
MAX_FAILURES = 6

seed, failures, secret, *database = sys.argv[1:]
webhook = Webhook(secret)
chance = random.Random(int(seed))
failed = {}
lock = threading.Lock()


class Records:
    """Looks scans up in the database, through one psql."""

    def __init__(self, psql, url):
        self.lock = threading.Lock()
        self.psql = subprocess.Popen(
            [psql, "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--dbname", url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def has(self, scan_id):
        if not scan_id.replace("-", "").isalnum():
            return False
        with self.lock:
            self.psql.stdin.write(f"select count(*) from scans where scan_id = '{scan_id}';\n")
            self.psql.stdin.flush()
            return self.psql.stdout.readline().strip() == "1"


records = Records(*database) if database else None


def plan(delivery_id):
    """What happens to an attempt: None if it is accepted, else "close" or "busy"."""
    with lock:
        times = failed.get(delivery_id, 0)
        if times >= MAX_FAILURES or chance.random() >= float(failures):
            return None
        failed[delivery_id] = times + 1
        return "close" if times == 0 and chance.random() < 0.5 else "busy"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        delivery_id = self.headers.get("webhook-id", "")
        failure = plan(delivery_id)
        try:
            message = webhook.verify(body, dict(self.headers))
            verified = True
        except WebhookVerificationError:
            message, verified = {"type": "", "data": {}}, False
        data = message["data"]
        recorded = records.has(data["scan_id"]) if records and "scan_id" in data else None
        attempt = {
            "id": delivery_id,
            "type": message["type"],
            "data": data,
            "verified": verified,
            "recorded": recorded,
            "accepted": failure is None,
        }
        with lock:
            print(json.dumps(attempt), flush=True)
        if failure == "close":
            self.close_connection = True
            self.connection.close()
            return
        self.send_response(204 if failure is None else 503)
        if failure is not None:
            self.send_header("retry-after", "1")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        """Attempts are printed."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        """A killed server breaks its connections."""


server = Server(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
