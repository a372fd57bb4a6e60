//! Several nodes on one database: nodes in the test's process, and server processes that a test can kill.

use std::future::ready;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use voelgoed_scan_server::config::DatabasePooler;
use voelgoed_scan_server::{Config, Running, start};

use crate::Client;
use crate::fixture::Tenant;
use crate::services::signal;
use crate::wait::wait_until;

/// Several nodes on one database.
pub struct Cluster {
    /// The configuration of every node.
    pub config: Config,
    /// The nodes in this process. A stopped node is `None`.
    pub nodes: Vec<Option<Running>>,
    directory: TempDir,
}

impl Cluster {
    /// Starts nodes in this process.
    pub async fn start(nodes: usize, database_url: String, redis_url: Option<String>) -> Self {
        Self::start_behind(DatabasePooler::None, nodes, database_url, redis_url).await
    }

    /// Starts nodes in this process whose database is behind a pooler.
    pub async fn start_behind(
        pooler: DatabasePooler,
        nodes: usize,
        database_url: String,
        redis_url: Option<String>,
    ) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let secret = directory.path().join("secret");
        std::fs::write(&secret, "5e".repeat(32)).expect("written");
        restrict_to_owner(&secret);
        let mut config = Config::on_free_port(database_url);
        config.database_pooler = pooler;
        config.redis_url = redis_url;
        config.rate_limit = 0;
        config.secrets.secret_key_file = Some(secret);
        let mut cluster = Self {
            config,
            nodes: Vec::new(),
            directory,
        };
        for _ in 0..nodes {
            cluster.add_node(0).await;
        }
        cluster
    }

    /// Starts one more node in this process, with a clock that is ahead by this many milliseconds.
    pub async fn add_node(&mut self, clock_offset_millis: i64) {
        let config = Config {
            clock_offset_millis,
            ..self.config.clone()
        };
        self.nodes.push(Some(start(config).await.expect("a node")));
    }

    /// A running node.
    pub fn node(&self, index: usize) -> &Running {
        self.nodes
            .get(index)
            .and_then(Option::as_ref)
            .expect("a running node")
    }

    /// The address of a node.
    pub fn address(&self, index: usize) -> SocketAddr {
        self.node(index).address()
    }

    /// Creates a tenant through the first node.
    pub async fn tenant(&self, name: &str) -> Tenant {
        Tenant::new(self.node(0), &Client::new(self.address(0)), name).await
    }

    /// The same client for another node.
    pub fn client_at(&self, node: usize, client: &Client) -> Client {
        client.at(self.address(node))
    }

    /// Stops all nodes gracefully.
    pub async fn stop(&mut self) {
        for node in &mut self.nodes {
            if let Some(node) = node.take() {
                node.stop().await;
            }
        }
    }

    /// Starts a node as a process of its own on this port.
    pub async fn spawn_server(&self, port: u16) -> ServerProcess {
        self.spawn(port, "error", Stdio::null()).await
    }

    /// Starts a node as a process of its own that logs a lot into a pipe without a reader.
    pub async fn spawn_server_with_unread_log(&self, port: u16) -> ServerProcess {
        self.spawn(port, "info", Stdio::piped()).await
    }

    async fn spawn(&self, port: u16, log: &str, stderr: Stdio) -> ServerProcess {
        let test = std::env::current_exe().expect("a test has a path");
        let profile = test.parent().and_then(std::path::Path::parent);
        let binary: PathBuf = profile
            .expect("a test is in target/PROFILE/deps")
            .join(format!("voelgoed-scan-server{}", std::env::consts::EXE_SUFFIX));
        assert!(
            binary.exists(),
            "{} is missing: run `cargo build -p voelgoed-scan-server`, or `scripts/test`, which builds it",
            binary.display()
        );
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut command = Command::new(binary);
        command
            .args([
                "--listen",
                &address.to_string(),
                "--rate-limit",
                "0",
                "--log",
                log,
            ])
            .args(["--database-url", &self.config.database_url])
            .args(["--database-pooler", &self.config.database_pooler.to_string()])
            .arg("--dedup-window")
            .arg(format!("{}ms", self.config.dedup_window.as_millis()))
            .arg("--secret-key-file")
            .arg(self.directory.path().join("secret"))
            .env_remove("VOELGOED_SCAN_REDIS_URL")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr);
        if self.config.webhook_allow_private {
            command.arg("--webhook-allow-private");
        }
        if let Some(redis_url) = &self.config.redis_url {
            command.args(["--redis-url", redis_url]);
        }
        let child = command.spawn().expect("the server starts");
        let server = ServerProcess { child, address };
        let client = Client::new(address);
        wait_until("the server is ready", || async {
            let response = client.try_call("GET", "/readyz", None).await;
            response.is_some_and(|response| response.status == 200)
        })
        .await;
        server
    }
}

#[cfg(unix)]
fn restrict_to_owner(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let permissions = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, permissions).expect("the permissions change");
}

#[cfg(not(unix))]
fn restrict_to_owner(_: &std::path::Path) {}

/// A node that runs as a process of its own. It is killed when this value is dropped.
pub struct ServerProcess {
    child: Child,
    /// The address that it listens on.
    pub address: SocketAddr,
}

impl ServerProcess {
    /// Kills the process with SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("the process ends");
    }

    /// Sends SIGTERM, waits for the end of the process and returns whether its exit status is 0.
    pub async fn terminate(&mut self) -> bool {
        signal(self.child.id(), "TERM");
        let mut status = None;
        wait_until("the server ends", || {
            status = self.child.try_wait().expect("the state of the process");
            ready(status.is_some())
        })
        .await;
        status.is_some_and(|status| status.success())
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
