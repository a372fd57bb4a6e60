//! Creates and drops the databases of the tests: each test has its own.

use std::sync::Arc;

use voelgoed_scan_core::store::{OpenError, OpenMode, Opening, Pooler, Store, open_with};

/// Executes statements on a connection, and returns a text column of the last one's rows.
macro_rules! read_texts {
    ($connection:expr, $column:expr, $statements:expr) => {{
        use sqlx::{Connection as _, Executor as _, Row as _};

        let mut connection = $connection;
        let mut texts = Vec::new();
        for sql in $statements {
            let sql = sqlx::AssertSqlSafe((*sql).to_owned());
            let rows = connection
                .fetch_all(sqlx::raw_sql(sql))
                .await
                .expect("the database executes the statement");
            texts = rows.iter().map(|row| row.get::<String, _>($column)).collect();
        }
        connection.close().await.expect("the connection closes");
        texts
    }};
}

/// A database that one test uses; new databases are empty.
pub(crate) struct Database {
    pub(crate) url: String,
    /// The URL of the same database without a pooler.
    pub(crate) direct_url: String,
    backend: Backend,
}

enum Backend {
    #[cfg(feature = "sqlite")]
    SqliteFile(tempfile::TempDir),
    #[cfg(feature = "postgres")]
    PostgresServer { name: String, pooler: Pooler },
}

/// A SQLite database in a temporary folder. The file is created when the database is opened.
#[cfg(feature = "sqlite")]
pub(crate) async fn sqlite() -> Database {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = format!("sqlite://{}", folder.path().join("gate.db").display());
    Database {
        direct_url: url.clone(),
        url,
        backend: Backend::SqliteFile(folder),
    }
}

/// A new PostgreSQL database on the server that the environment names.
#[cfg(feature = "postgres")]
pub(crate) async fn postgres() -> Database {
    let name = format!("test_{}", uuid::Uuid::new_v4().simple());
    let server = server_url();
    execute(&server, &format!("create database {name}")).await;
    let (base, _) = server.rsplit_once('/').expect("the URL of a database");
    let url = format!("{base}/{name}");
    let pooler = Pooler::None;
    Database {
        direct_url: url.clone(),
        url,
        backend: Backend::PostgresServer { name, pooler },
    }
}

/// A new database on the same server, through a pooler that serves each transaction from another session.
#[cfg(feature = "postgres")]
pub(crate) async fn pooled() -> Database {
    let Database {
        direct_url, backend, ..
    } = postgres().await;
    let (_, name) = direct_url.rsplit_once('/').expect("the URL of a database");
    let url = format!("{}/{name}", variable("VOELGOED_SCAN_TEST_PGBOUNCER_URL"));
    let Backend::PostgresServer { name, .. } = backend else {
        unreachable!("a database of PostgreSQL")
    };
    let pooler = Pooler::Transaction;
    Database {
        url,
        direct_url,
        backend: Backend::PostgresServer { name, pooler },
    }
}

#[cfg(feature = "postgres")]
fn server_url() -> String {
    variable("VOELGOED_SCAN_TEST_POSTGRES_URL")
}

/// The value of a variable that names a service.
#[cfg(feature = "postgres")]
#[expect(
    clippy::disallowed_methods,
    reason = "the only place where the tests read the addresses of the services"
)]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: scripts/services run sets it"))
}

/// The program that prepares each PostgreSQL database, for a server that needs more than `create database`.
#[cfg(feature = "postgres")]
fn preparation() -> Option<std::ffi::OsString> {
    std::env::var_os("VOELGOED_SCAN_TEST_PREPARE_DATABASE")
}

#[cfg(feature = "postgres")]
async fn execute(server: &str, sql: &str) {
    use sqlx::{Connection as _, Executor as _};

    let mut connection = sqlx::PgConnection::connect(server)
        .await
        .expect("the server accepts the connection");
    let sql = sqlx::AssertSqlSafe(sql.to_owned());
    connection
        .execute(sqlx::raw_sql(sql))
        .await
        .expect("the server executes the statement");
    connection.close().await.expect("the connection closes");
}

impl Database {
    /// Opens the database as a node does.
    pub(crate) async fn open(&self, migrate: bool) -> Result<Arc<dyn Store>, OpenError> {
        open_with(&self.url, self.opening(migrate)).await
    }

    /// How a node opens the database.
    pub(crate) fn opening(&self, migrate: bool) -> Opening {
        let pooler = match self.backend {
            #[cfg(feature = "sqlite")]
            Backend::SqliteFile(_) => Pooler::None,
            #[cfg(feature = "postgres")]
            Backend::PostgresServer { pooler, .. } => pooler,
        };
        Opening {
            mode: OpenMode::Beside,
            migrate,
            pooler,
        }
    }

    /// Prepares a new PostgreSQL database with the program that the environment names, if it names one.
    pub(crate) fn prepare(&self) {
        #[cfg(feature = "postgres")]
        if let (Backend::PostgresServer { .. }, Some(program)) = (&self.backend, preparation()) {
            let status = std::process::Command::new(program).arg(&self.direct_url).status();
            assert!(status.expect("the program runs").success(), "{}", self.direct_url);
        }
    }

    /// Executes SQL on the database, as an operator could.
    pub(crate) async fn execute(&self, sql: &str) {
        match self.backend {
            #[cfg(feature = "sqlite")]
            Backend::SqliteFile(_) => {
                use sqlx::{Connection as _, Executor as _};

                let mut connection = sqlx::SqliteConnection::connect(&self.direct_url)
                    .await
                    .expect("the file opens");
                let sql = sqlx::AssertSqlSafe(sql.to_owned());
                connection
                    .execute(sqlx::raw_sql(sql))
                    .await
                    .expect("SQLite executes the statement");
                connection.close().await.expect("the connection closes");
            }
            #[cfg(feature = "postgres")]
            Backend::PostgresServer { .. } => execute(&self.direct_url, sql).await,
        }
    }

    /// Executes statements on one connection, and returns a text column of the last one's rows.
    pub(crate) async fn read_texts(&self, column: &str, statements: &[&str]) -> Vec<String> {
        use sqlx::Connection as _;

        match self.backend {
            #[cfg(feature = "sqlite")]
            Backend::SqliteFile(_) => {
                let connection = sqlx::SqliteConnection::connect(&self.direct_url).await;
                read_texts!(connection.expect("the file opens"), column, statements)
            }
            #[cfg(feature = "postgres")]
            Backend::PostgresServer { .. } => {
                let connection = sqlx::PgConnection::connect(&self.direct_url).await;
                read_texts!(connection.expect("a connection"), column, statements)
            }
        }
    }

    /// Whether it is a PostgreSQL database.
    pub(crate) fn is_postgresql(&self) -> bool {
        self.url.starts_with("postgres")
    }

    /// Creates another database on the same backend.
    pub(crate) async fn another(&self) -> Self {
        match self.backend {
            #[cfg(feature = "sqlite")]
            Backend::SqliteFile(_) => sqlite().await,
            #[cfg(feature = "postgres")]
            Backend::PostgresServer { pooler, .. } => match pooler {
                Pooler::None => postgres().await,
                Pooler::Transaction => pooled().await,
            },
        }
    }

    /// Drops the database. When a test fails, the temporary folder removes itself, and a PostgreSQL database is removed
    /// with its server.
    pub(crate) async fn drop(self) {
        match self.backend {
            #[cfg(feature = "sqlite")]
            Backend::SqliteFile(folder) => folder.close().expect("the folder is removed"),
            #[cfg(feature = "postgres")]
            Backend::PostgresServer { name, .. } => {
                execute(&server_url(), &format!("drop database {name} with (force)")).await;
            }
        }
    }
}
