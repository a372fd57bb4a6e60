//! Several nodes on one database, and programs that can be killed.

use std::future::ready;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::time::sleep;
use voelgoed_scan_server::{Config, Running, start};

use crate::Client;
use crate::services::{LONG, free_port, signal};
use crate::world::Tenant;

/// How often what is waited for is asked.
const PACE: Duration = Duration::from_millis(10);

/// Asks until it is so; how long that took. Ends the test where it does not become so.
pub async fn until<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) -> Duration {
    let started = Instant::now();
    while !is_so().await {
        assert!(started.elapsed() < LONG, "{what}: not within {LONG:?}");
        sleep(PACE).await;
    }
    started.elapsed()
}

/// Says what was measured: shown with `--nocapture`, and where a test fails.
#[expect(clippy::print_stderr, reason = "measurements are for people")]
pub fn report(what: &str, took: Duration) {
    eprintln!("{what}: {took:?}");
}

/// Several nodes on one database.
pub struct Cluster {
    /// Their configuration.
    pub config: Config,
    /// The nodes; one that was taken down is `None`.
    pub nodes: Vec<Option<Running>>,
    folder: TempDir,
}

impl Cluster {
    /// Starts nodes in this process.
    pub async fn start(nodes: usize, database: String, redis: Option<String>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let secret = folder.path().join("secret");
        std::fs::write(&secret, "5e".repeat(32)).expect("written");
        only_mine(&secret);
        let mut config = Config::on_free_port(database);
        config.redis_url = redis;
        config.rate_limit = 0;
        config.secrets.secret_key_file = Some(secret);
        let mut cluster = Self {
            config,
            nodes: Vec::new(),
            folder,
        };
        for _ in 0..nodes {
            cluster.add(0).await;
        }
        cluster
    }

    /// Starts one more node, with a clock that is off by so much.
    pub async fn add(&mut self, clock_offset_millis: i64) {
        let config = Config {
            clock_offset_millis,
            ..self.config.clone()
        };
        self.nodes.push(Some(start(config).await.expect("a node")));
    }

    /// A node that is there.
    pub fn node(&self, at: usize) -> &Running {
        self.nodes.get(at).and_then(Option::as_ref).expect("a node")
    }

    /// The address of a node.
    pub fn address(&self, at: usize) -> SocketAddr {
        self.node(at).address()
    }

    /// A new tenant, made at the first node.
    pub async fn tenant(&self, name: &str) -> Tenant {
        Tenant::new(self.node(0), &Client::new(self.address(0)), name).await
    }

    /// The same caller at another node.
    pub fn at(&self, node: usize, caller: &Client) -> Client {
        caller.at(self.address(node))
    }

    /// Stops all nodes in good order.
    pub async fn stop(&mut self) {
        for node in &mut self.nodes {
            if let Some(node) = node.take() {
                node.stop().await;
            }
        }
    }

    /// Starts a node as a program of its own, on a port of its own.
    pub async fn program(&self, port: u16) -> Program {
        self.spawn(port, "error", Stdio::null()).await
    }

    /// The same, with a log that says much and that nobody reads.
    pub async fn unread_program(&self, port: u16) -> Program {
        self.spawn(port, "info", Stdio::piped()).await
    }

    async fn spawn(&self, port: u16, log: &str, stderr: Stdio) -> Program {
        let test = std::env::current_exe().expect("a test has a path");
        let profile = test.parent().and_then(std::path::Path::parent);
        let binary: PathBuf = profile
            .expect("a test lies in target/PROFILE/deps")
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
            .arg("--dedup-window")
            .arg(format!("{}ms", self.config.dedup_window.as_millis()))
            .arg("--secret-key-file")
            .arg(self.folder.path().join("secret"))
            .env_remove("VOELGOED_SCAN_REDIS_URL")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr);
        if let Some(redis) = &self.config.redis_url {
            command.args(["--redis-url", redis]);
        }
        let child = command.spawn().expect("the server starts");
        let program = Program { child, address };
        let health = Client::new(address);
        until("the server answers", || async {
            let reply = health.try_call("GET", "/readyz", None).await;
            reply.is_some_and(|reply| reply.status == 200)
        })
        .await;
        program
    }

    /// A port for a program, the same after each of its starts.
    pub fn port() -> u16 {
        free_port()
    }
}

#[cfg(unix)]
fn only_mine(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let mine = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, mine).expect("set");
}

#[cfg(not(unix))]
fn only_mine(_: &std::path::Path) {}

/// A node as a program of its own.
pub struct Program {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Program {
    /// Kills it as `kill -9` does.
    pub fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("it ends");
    }

    /// Tells it to end, and waits until it has; whether it ended well.
    pub async fn end(&mut self) -> bool {
        signal(self.child.id(), "TERM");
        let mut status = None;
        until("the server ends", || {
            status = self.child.try_wait().expect("asked");
            ready(status.is_some())
        })
        .await;
        status.is_some_and(|status| status.success())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
