//! The nodes and services of a run, and the faults that a schedule injects into them.

use std::net::SocketAddr;
use std::time::Duration;

use voelgoed_scan_suite::cluster::ServerProcess;
use voelgoed_scan_suite::services::{ShutdownMode, free_port};
use voelgoed_scan_suite::{Cluster, Postgres, Redis};

use super::rng::Rng;

/// How far the clock of the second node is ahead.
const CLOCK_OFFSET_MILLIS: i64 = 7 * 60_000;

/// Three nodes on one PostgreSQL and one Redis: two nodes in this process, and a server process that can be killed.
pub(super) struct Deployment {
    pub(super) cluster: Cluster,
    postgres: Postgres,
    redis: Redis,
    /// The node with the index [`super::checker::KILLED_NODE`].
    server: ServerProcess,
    port: u16,
}

impl Deployment {
    pub(super) async fn start(reentry_window: Duration) -> Self {
        let postgres = Postgres::start().await;
        let redis = Redis::start().await;
        let mut cluster = Cluster::start(0, postgres.create_database(), Some(redis.url())).await;
        cluster.config.dedup_window = reentry_window;
        cluster.add_node(0).await;
        cluster.add_node(CLOCK_OFFSET_MILLIS).await;
        let port = free_port();
        let server = cluster.spawn_server(port).await;
        Self {
            cluster,
            postgres,
            redis,
            server,
            port,
        }
    }

    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        vec![
            self.cluster.address(0),
            self.cluster.address(1),
            self.server.address,
        ]
    }

    /// Injects a random fault, waits until the service runs again, and returns the name of the fault.
    pub(super) async fn inject_fault(&mut self, rng: &mut Rng) -> &'static str {
        match rng.below(4) {
            0 => {
                self.server.kill();
                self.server = self.cluster.spawn_server(self.port).await;
                "node killed"
            }
            1 => {
                self.redis.execute(&["flushall"]);
                "Redis flushed"
            }
            2 => {
                self.redis.kill();
                self.redis.start_process().await;
                "Redis killed"
            }
            _ => {
                self.postgres.stop(ShutdownMode::Immediate);
                self.postgres.start_process().await;
                "PostgreSQL restarted"
            }
        }
    }
}
