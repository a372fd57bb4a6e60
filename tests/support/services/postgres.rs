//! A PostgreSQL server of one test.

use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::{
    change_owner_to_server, create_database, execute_sql, free_port, postgres_program, query_sql,
    server_command, server_directory, signal,
};
use crate::wait::wait_until;

/// A shutdown mode of PostgreSQL.
#[derive(Debug, Clone, Copy)]
pub enum ShutdownMode {
    /// Rolls transactions back and flushes the data.
    Fast,
    /// Stops as if the power had failed.
    Immediate,
}

/// A PostgreSQL server of one test. It is stopped when this value is dropped.
pub struct Postgres {
    directory: TempDir,
    port: u16,
    running: Option<Child>,
}

impl Postgres {
    /// Initialises a data directory and starts a server on it.
    pub async fn start() -> Self {
        let directory = server_directory();
        let status = server_command(&postgres_program("initdb"))
            .arg("--pgdata")
            .arg(directory.path().join("data"))
            .args([
                "--username=postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
            ])
            .args(["--no-sync", "--no-instructions"])
            .current_dir(directory.path())
            .status()
            .expect("initdb runs");
        assert!(status.success(), "initdb");
        let mut postgres = Self {
            directory,
            port: free_port(),
            running: None,
        };
        postgres.start_process().await;
        postgres
    }

    /// Starts a standby of this server, which receives every commit before this server acknowledges it.
    pub async fn start_synchronous_standby(&self) -> Self {
        let directory = server_directory();
        let status = server_command(&postgres_program("pg_basebackup"))
            .arg("--pgdata")
            .arg(directory.path().join("data"))
            .args(["--host=127.0.0.1", "--username=postgres", "--write-recovery-conf"])
            .args(["--checkpoint=fast", "--no-sync", "--port", &self.port.to_string()])
            .current_dir(directory.path())
            .status()
            .expect("pg_basebackup runs");
        assert!(status.success(), "pg_basebackup");
        let mut standby = Self {
            directory,
            port: free_port(),
            running: None,
        };
        standby.start_process().await;
        let database = self.url("postgres");
        execute_sql(&database, "alter system set synchronous_standby_names = '*'");
        execute_sql(&database, "select pg_reload_conf()");
        wait_until("the standby is synchronous", || {
            let states = "select count(*) from pg_stat_replication where sync_state = 'sync'";
            std::future::ready(query_sql(&database, states) == "1")
        })
        .await;
        standby
    }

    /// Makes a standby the primary.
    pub fn promote(&self) {
        execute_sql(&self.url("postgres"), "select pg_promote(wait => false)");
    }

    /// Ends all processes of the server with SIGKILL, as a machine that loses its power.
    pub fn kill(&mut self) {
        // Suspended first, so that it starts no further process.
        signal(self.process_id(), "STOP");
        self.signal_children("KILL");
        let mut child = self.running.take().expect("it runs");
        child.kill().expect("killed");
        child.wait().expect("the process ends");
    }

    /// The URL of a database of this name.
    pub fn url(&self, name: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }

    /// Makes the server accept only TLS connections from its next start on. The certificate and its key are PEM.
    pub fn require_tls(&self, certificate: &str, key: &str) {
        let data = self.directory.path().join("data");
        for (file, text) in [
            ("server.crt", certificate),
            ("server.key", key),
            ("postgresql.auto.conf", "ssl = on\n"),
            ("pg_hba.conf", "hostssl all all 127.0.0.1/32 trust\n"),
        ] {
            let path = data.join(file);
            std::fs::write(&path, text).expect("written");
            change_owner_to_server(&path);
            let status = Command::new("chmod").arg("600").arg(&path).status();
            assert!(status.expect("chmod runs").success());
        }
    }

    /// Starts the server process again after [`Postgres::stop`], on the same port.
    pub async fn start_process(&mut self) {
        let mut child = server_command(&postgres_program("postgres"))
            .arg("-D")
            .arg(self.directory.path().join("data"))
            .args(["-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "max_connections=200", "-c"])
            .arg(format!(
                "unix_socket_directories={}",
                self.directory.path().display()
            ))
            .current_dir(self.directory.path())
            .spawn()
            .expect("postgres starts");
        let pg_isready = postgres_program("pg_isready");
        let port = self.port.to_string();
        wait_until("PostgreSQL accepts connections", || {
            let ended = child.try_wait().expect("the state of the process");
            assert!(ended.is_none(), "PostgreSQL ends as soon as it starts");
            let status = Command::new(&pg_isready)
                .args(["--quiet", "--host=127.0.0.1", "--port", &port])
                .status();
            std::future::ready(status.expect("pg_isready runs").success())
        })
        .await;
        self.running = Some(child);
    }

    /// The port that the server listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Creates a database on the server and returns its URL.
    pub fn create_database(&self) -> String {
        create_database(&self.url("postgres"))
    }

    fn process_id(&self) -> u32 {
        self.running.as_ref().expect("it runs").id()
    }

    /// Stops the server and waits for its end.
    pub fn stop(&mut self, mode: ShutdownMode) {
        let name = match mode {
            ShutdownMode::Fast => "INT",
            ShutdownMode::Immediate => "QUIT",
        };
        signal(self.process_id(), name);
        let mut child = self.running.take().expect("it runs");
        child.wait().expect("the process ends");
    }

    /// Executes SQL in a transaction that stays open until the returned process is killed.
    pub fn open_transaction(&self, database_url: &str, sql: &str) -> Child {
        let mut psql = Command::new(postgres_program("psql"))
            .args(["--no-psqlrc", "--quiet", "--dbname", database_url])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("psql runs");
        let input = psql.stdin.as_mut().expect("it is piped");
        writeln!(input, "begin; {sql};\n\\echo ready").expect("psql reads");
        let output = psql.stdout.as_mut().expect("it is piped");
        let mut line = [0; 6];
        output.read_exact(&mut line).expect("the statement was executed");
        psql
    }

    /// Waits until a query of a client waits for a lock.
    pub async fn wait_for_blocked_query(&self, database_url: &str) {
        let psql = postgres_program("psql");
        let count = "select count(*) from pg_stat_activity \
                     where datname = current_database() and wait_event_type = 'Lock'";
        wait_until("a query waits for a lock", || {
            let output = Command::new(&psql)
                .args(["--no-psqlrc", "--tuples-only", "--no-align"])
                .args(["--dbname", database_url, "--command", count])
                .output()
                .expect("psql runs");
            std::future::ready(output.stdout.trim_ascii() != b"0")
        })
        .await;
    }

    /// Suspends all processes of the server. Connections stay open, and nothing is answered.
    pub fn suspend(&self) {
        self.signal_all("STOP");
    }

    /// Continues all processes of the server after [`Postgres::suspend`].
    pub fn resume(&self) {
        self.signal_all("CONT");
    }

    fn signal_all(&self, name: &str) {
        self.signal_children(name);
        signal(self.process_id(), name);
    }

    fn signal_children(&self, name: &str) {
        let status = Command::new("pkill")
            .arg(format!("-{name}"))
            .args(["--parent", &self.process_id().to_string()])
            .status();
        assert!(status.expect("pkill runs").success());
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(child) = &mut self.running {
            // The other processes end when the postmaster is gone.
            signal(child.id(), "CONT");
            signal(child.id(), "QUIT");
            let _ = child.wait();
        }
    }
}
