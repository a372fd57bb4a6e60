//! A `PgBouncer` of one test, in front of the PostgreSQL that all tests share.

use std::path::Path;
use std::process::Child;

use tempfile::TempDir;
use tokio::net::TcpStream;

use super::{
    change_owner_to_server, free_port, is_ready, server_command, server_directory, signal, variable,
};

/// When a connection of a client gets a session of PostgreSQL.
#[derive(Debug, Clone, Copy)]
pub enum PoolMode {
    /// For as long as it is open.
    Session,
    /// For each transaction. The flag says whether the pooler takes its idle sessions in turn, instead of the one that was
    /// used last.
    Transaction {
        /// Whether it takes them in turn.
        round_robin: bool,
    },
}

/// A pooler of one test. It ends when this value is dropped.
pub struct PgBouncer {
    process: Child,
    port: u16,
    _directory: TempDir,
}

impl PgBouncer {
    /// Starts a pooler that has this many sessions of a database at most.
    pub async fn start(mode: PoolMode, pool_size: u16) -> Self {
        let server = variable("VOELGOED_SCAN_TEST_POSTGRES_URL");
        let server = server.strip_prefix("postgres://").expect("a URL");
        let (login, rest) = server.split_once('@').expect("a user");
        let (user, password) = login.split_once(':').expect("a password");
        let (address, _) = rest.split_once('/').expect("a database");
        let (host, server_port) = address.split_once(':').expect("a port");
        let (mode, round_robin) = match mode {
            PoolMode::Session => ("session", false),
            PoolMode::Transaction { round_robin } => ("transaction", round_robin),
        };
        let port = free_port();
        let directory = server_directory();
        let path = directory.path().join("pgbouncer.ini");
        let configuration = format!(
            "[databases]\n\
             * = host={host} port={server_port} user={user} password={password}\n\
             [pgbouncer]\n\
             listen_addr = 127.0.0.1\n\
             listen_port = {port}\n\
             unix_socket_dir =\n\
             auth_type = any\n\
             pool_mode = {mode}\n\
             server_round_robin = {round_robin}\n\
             default_pool_size = {pool_size}\n",
            round_robin = u8::from(round_robin),
        );
        std::fs::write(&path, configuration).expect("written");
        change_owner_to_server(&path);
        let program = Path::new("/usr/sbin/pgbouncer");
        assert!(
            program.exists(),
            "PgBouncer is missing: scripts/services installs it"
        );
        let mut process = server_command(program)
            .arg(&path)
            .spawn()
            .expect("PgBouncer starts");
        let runs = is_ready(&mut process, || async move {
            TcpStream::connect(("127.0.0.1", port)).await.is_ok()
        })
        .await;
        assert!(runs, "PgBouncer ends as soon as it starts");
        Self {
            process,
            port,
            _directory: directory,
        }
    }

    /// The URL by which a database of the shared PostgreSQL is reached through this pooler.
    pub fn url_of(&self, database_url: &str) -> String {
        let (_, name) = database_url.rsplit_once('/').expect("the URL of a database");
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        signal(self.process.id(), "TERM");
        let _ = self.process.wait();
    }
}

/// The URL by which a database of the shared PostgreSQL is reached through the pooler that all tests share, which gives each
/// transaction another session.
pub fn pooled(database_url: &str) -> String {
    let (_, name) = database_url.rsplit_once('/').expect("the URL of a database");
    format!("{}/{name}", variable("VOELGOED_SCAN_TEST_PGBOUNCER_URL"))
}
