//! The nodes and services of a run, and the faults that a schedule injects into them.

use std::net::SocketAddr;
use std::time::Duration;

use voelgoed_scan_server::Running;
use voelgoed_scan_suite::cluster::ServerProcess;
use voelgoed_scan_suite::services::{ShutdownMode, execute_sql, free_port, preparation, shared_database};
use voelgoed_scan_suite::{Cluster, Postgres, Proxy, Redis};

use super::rng::Rng;

/// The index of the node whose clock is ahead, where there are several.
const NODE_AHEAD: usize = 1;

/// How far its clock is ahead.
const CLOCK_OFFSET_MILLIS: i64 = 7 * 60_000;

/// For how long a node is cut off from Redis: long enough that the others notice.
const CUT_OFF_FOR: Duration = Duration::from_millis(2500);

/// Ends the sessions of the nodes on a server that the test cannot stop.
const END_OTHER_SESSIONS: &str = "select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'";

/// The services of several nodes.
struct Services {
    /// `None` for a shared server, which a test cannot stop.
    postgres: Option<Postgres>,
    redis: Redis,
    /// Between the second node and Redis.
    proxy: Proxy,
}

/// The nodes of a run. The last one is a server process that can be killed.
pub(super) struct Deployment {
    pub(super) cluster: Cluster,
    /// `None` for one node on SQLite.
    services: Option<Services>,
    /// `None` on SQLite until [`Self::start_nodes`]: the file belongs to one process.
    server: Option<ServerProcess>,
    port: u16,
    _directory: tempfile::TempDir,
}

impl Deployment {
    /// Three nodes on one PostgreSQL and one Redis: two nodes in this process, and a server process. The second node reaches
    /// Redis through a proxy. The PostgreSQL is one of this run, unless the environment names a server that prepares its
    /// databases.
    pub(super) async fn start(reentry_window: Duration) -> Self {
        let postgres = match preparation() {
            None => Some(Postgres::start().await),
            Some(_) => None,
        };
        let database = postgres
            .as_ref()
            .map_or_else(shared_database, Postgres::create_database);
        let redis = Redis::start().await;
        let url = redis.url();
        let target = url.trim_start_matches("redis://").trim_end_matches("/0");
        let proxy = Proxy::start(target.to_owned()).await;
        let mut cluster = Cluster::start(0, database, Some(redis.url())).await;
        cluster.config.dedup_window = reentry_window;
        cluster.add_node(0).await;
        cluster.config.redis_url = Some(format!("redis://{}/0", proxy.address()));
        cluster.add_node(CLOCK_OFFSET_MILLIS).await;
        cluster.config.redis_url = Some(redis.url());
        Self {
            cluster,
            services: Some(Services {
                postgres,
                redis,
                proxy,
            }),
            server: None,
            port: free_port(),
            _directory: tempfile::tempdir().expect("a directory"),
        }
    }

    /// One node on SQLite.
    pub(super) async fn start_on_sqlite(reentry_window: Duration) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let url = format!("sqlite://{}", directory.path().join("gate.db").display());
        let mut cluster = Cluster::start(0, url, None).await;
        cluster.config.dedup_window = reentry_window;
        cluster.add_node(0).await;
        Self {
            cluster,
            services: None,
            server: None,
            port: free_port(),
            _directory: directory,
        }
    }

    /// Starts the server process, after the tenants were created at a node in this process.
    pub(super) async fn start_nodes(&mut self) {
        if self.services.is_none() {
            self.cluster.stop().await;
        }
        if self.server.is_none() {
            self.server = Some(self.cluster.spawn_server(self.port).await);
        }
    }

    /// The addresses of the nodes.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        let nodes = self.cluster.nodes.iter().flatten();
        let server = self.server.as_ref().map(|server| server.address);
        nodes.map(Running::address).chain(server).collect()
    }

    /// The addresses of the nodes whose clocks are right. A stream resumes for five minutes, by the clock of the node.
    pub(super) fn addresses_with_right_clocks(&self) -> Vec<SocketAddr> {
        let addresses = self.addresses().into_iter().enumerate();
        let right = addresses.filter(|(node, _)| *node != NODE_AHEAD);
        right.map(|(_, address)| address).collect()
    }

    /// The index of the node that is killed.
    pub(super) fn killed_node(&self) -> usize {
        self.cluster.nodes.iter().flatten().count()
    }

    async fn kill_server(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill();
        }
        self.server = Some(self.cluster.spawn_server(self.port).await);
    }

    /// Injects a random fault, waits until the service runs again, and returns the name of the fault.
    pub(super) async fn inject_fault(&mut self, rng: &mut Rng) -> &'static str {
        let fault = rng.below(5);
        let Some(services) = self.services.as_mut().filter(|_| fault > 0) else {
            self.kill_server().await;
            return "node killed";
        };
        match fault {
            1 => {
                services.redis.execute(&["flushall"]);
                "Redis flushed"
            }
            2 => {
                services.redis.kill();
                services.redis.start_process().await;
                "Redis killed"
            }
            3 => {
                services.proxy.cut();
                // The fault lasts this long. Nothing is waited for.
                tokio::time::sleep(CUT_OFF_FOR).await;
                services.proxy.restore();
                "node cut off from Redis"
            }
            _ => {
                let Some(postgres) = services.postgres.as_mut() else {
                    execute_sql(&self.cluster.config.database_url, END_OTHER_SESSIONS);
                    return "sessions of PostgreSQL ended";
                };
                postgres.stop(ShutdownMode::Immediate);
                postgres.start_process().await;
                "PostgreSQL restarted"
            }
        }
    }
}
