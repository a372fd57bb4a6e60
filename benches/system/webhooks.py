"""Target 13: first-time scans beside a webhook that takes everything, and beside one whose receiver hangs."""

import socket

from server import Echo

CLIENTS = 32
MAX_RATE = 12_000


class Hanging:
    """A receiver that accepts connections and never answers."""

    def __enter__(self):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        return self

    def __exit__(self, *_):
        self.socket.close()


def target_13(bench):
    bench.log("13: first-time valid scans beside a webhook, against none")
    server, sql = bench.server_on_postgres()

    def fresh():
        return bench.fresh(server, sql, CLIENTS, max_rate=MAX_RATE)

    def beside(receiver):
        with receiver() as running:
            server.cli("webhook", "create", "--url", f"{running.url}/hook", "--types", "scan.*")
            try:
                result = fresh()
                # How many of the scans were told meanwhile. The rest follows when the load ends.
                result["delivered"] = int(sql.postgres.psql(
                    sql.database, "select count(*) from webhook_deliveries where status = 'delivered'"))
                result["scans"] = result["rate"] * (bench.seconds + 1)  # with the warm-up
                return result
            finally:
                server.stop()
                sql.postgres.psql(
                    sql.database,
                    "truncate webhooks, webhook_deliveries; delete from feed_cursors where consumer like 'webhook:%'",
                )
                server.start()

    try:
        bench.rows[13] = bench.turns({
            "none": fresh,
            "taking": lambda: beside(Echo),
            "hanging": lambda: beside(Hanging),
        })
    finally:
        server.stop()
