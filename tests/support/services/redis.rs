//! A Redis server of one test.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{
    change_owner_to_server, free_port, is_ready, redis_program, server_command, server_directory, signal,
};

/// A Redis server of one test. It is killed when this value is dropped.
pub struct Redis {
    directory: TempDir,
    port: u16,
    arguments: Vec<String>,
    running: Option<Child>,
}

impl Redis {
    /// Starts a server.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts a server with further arguments.
    pub async fn start_with(arguments: &[&str]) -> Self {
        let mut redis = Self {
            directory: server_directory(),
            port: free_port(),
            arguments: arguments.iter().map(|&one| one.to_owned()).collect(),
            running: None,
        };
        // Somebody may take the port, or the one above it that cluster mode needs, before the server does.
        for _ in 0..5 {
            if redis.try_start_process().await {
                return redis;
            }
            redis.port = free_port();
        }
        panic!("Redis ends as soon as it starts: {arguments:?}");
    }

    /// Starts a replica of this server.
    pub async fn replica(&self) -> Self {
        Self::start_with(&["--replicaof", "127.0.0.1", &self.port.to_string()]).await
    }

    /// Starts the server process again after [`Redis::kill`], empty, on the same port.
    pub async fn start_process(&mut self) {
        assert!(self.try_start_process().await, "Redis ends as soon as it starts");
    }

    /// Starts the server process. Returns whether it accepts connections; otherwise it has ended.
    async fn try_start_process(&mut self) -> bool {
        let mut child = server_command(&redis_program("redis-server"))
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(self.directory.path())
            .args(&self.arguments)
            .spawn()
            .expect("redis-server starts");
        let runs = is_ready(&mut child, || answers_ping(self.port)).await;
        self.running = runs.then_some(child);
        runs
    }

    /// The URL of database 0.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    fn process_id(&self) -> u32 {
        self.running.as_ref().expect("it runs").id()
    }

    /// Kills the server process.
    pub fn kill(&mut self) {
        let mut child = self.running.take().expect("it runs");
        child.kill().expect("killed");
        child.wait().expect("the process ends");
    }

    /// Suspends the server process. Connections stay open, and nothing is answered.
    pub fn suspend(&self) {
        signal(self.process_id(), "STOP");
    }

    /// Continues the server process after [`Redis::suspend`].
    pub fn resume(&self) {
        signal(self.process_id(), "CONT");
    }

    /// Subscribes to the channels that match a pattern. The subscription is active when this returns.
    pub fn subscribe(&self, pattern: &str) -> Subscriber {
        let mut child = Command::new(redis_program("redis-cli"))
            .args(["-e", "-h", "127.0.0.1", "-p", &self.port.to_string()])
            .args(["psubscribe", pattern])
            .stdout(Stdio::piped())
            .spawn()
            .expect("redis-cli runs");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let mut subscriber = Subscriber { child, output };
        // Redis confirms the subscription with the number of subscriptions.
        subscriber.wait_for(|line| line == "1");
        subscriber
    }

    /// Executes a command and returns its output.
    pub fn execute(&self, words: &[&str]) -> String {
        execute(self.port, words)
    }

    /// Whether a command prints this as its last line. A server that a sentinel promotes closes connections meanwhile.
    pub fn answers(&self, words: &[&str], expected: &str) -> bool {
        let output = command_output(self.port, words);
        output.status.success() && String::from_utf8_lossy(&output.stdout).lines().last() == Some(expected)
    }
}

/// Whether a server answers. It accepts connections a moment before: one that cannot have the second port of cluster mode still
/// ends then.
async fn answers_ping(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await else {
        return false;
    };
    let mut answer = [0; 1];
    stream.write_all(b"PING\r\n").await.is_ok() && stream.read_exact(&mut answer).await.is_ok()
}

fn command_output(port: u16, words: &[&str]) -> Output {
    Command::new(redis_program("redis-cli"))
        .args(["-e", "-h", "127.0.0.1", "-p", &port.to_string()])
        .args(words)
        .output()
        .expect("redis-cli runs")
}

fn execute(port: u16, words: &[&str]) -> String {
    let output = command_output(port, words);
    assert!(output.status.success(), "{words:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The name under which the sentinels of a test know their Redis.
pub const MASTER: &str = "gate";

/// A sentinel of one test. It is killed when this value is dropped.
pub struct Sentinel {
    directory: TempDir,
    port: u16,
    running: Option<Child>,
}

impl Sentinel {
    /// Starts a sentinel that watches a Redis. Two sentinels have to agree that it is down.
    pub async fn watching(redis: &Redis) -> Self {
        let master = format!(
            "sentinel monitor {MASTER} 127.0.0.1 {} 2\nsentinel down-after-milliseconds {MASTER} 1000\n\
             sentinel failover-timeout {MASTER} 5000\n",
            redis.port
        );
        Self::configured(&master).await
    }

    /// Starts a sentinel with these lines of configuration.
    pub async fn configured(lines: &str) -> Self {
        let directory = server_directory();
        let port = free_port();
        let file = directory.path().join("sentinel.conf");
        let folder = directory.path().display();
        let configuration = format!("port {port}\nbind 127.0.0.1\ndir {folder}\n{lines}");
        std::fs::write(&file, configuration).expect("written");
        // The sentinel writes what it learns into its configuration.
        change_owner_to_server(&file);
        let mut sentinel = Self {
            directory,
            port,
            running: None,
        };
        sentinel.start_process().await;
        sentinel
    }

    /// Starts the process again after [`Sentinel::kill`], with what it had learned.
    pub async fn start_process(&mut self) {
        let mut child = server_command(&redis_program("redis-server"))
            .arg(self.directory.path().join("sentinel.conf"))
            .arg("--sentinel")
            .spawn()
            .expect("redis-server starts");
        let runs = is_ready(&mut child, || answers_ping(self.port)).await;
        assert!(runs, "the sentinel ends as soon as it starts");
        self.running = Some(child);
    }

    /// Kills the process.
    pub fn kill(&mut self) {
        let mut child = self.running.take().expect("it runs");
        child.kill().expect("killed");
        child.wait().expect("the process ends");
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Executes a command and returns its output.
    pub fn execute(&self, words: &[&str]) -> String {
        execute(self.port, words)
    }

    /// The value of a field of what the sentinel knows of the master.
    pub fn field(&self, name: &str) -> String {
        // The name of each field is followed by its value.
        let fields = self.execute(&["sentinel", "master", MASTER]);
        let mut lines = fields.lines().skip_while(|line| *line != name);
        lines.nth(1).unwrap_or_default().to_owned()
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        if let Some(child) = &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(child) = &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A subscriber to channels of a [`Redis`]. Each message is a line of its output, between lines of the protocol.
pub struct Subscriber {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Subscriber {
    /// Reads lines until one matches.
    pub fn wait_for(&mut self, matches: impl Fn(&str) -> bool) {
        loop {
            let mut line = String::new();
            let length = self.output.read_line(&mut line).expect("a line");
            assert_ne!(length, 0, "redis-cli ended");
            if matches(line.trim_end()) {
                return;
            }
        }
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
