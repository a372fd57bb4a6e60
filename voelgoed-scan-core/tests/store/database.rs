//! Creates and drops the databases of the tests: each test has its own.

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
    backend: Backend,
}

enum Backend {
    #[cfg(feature = "sqlite")]
    SqliteFile(tempfile::TempDir),
    #[cfg(feature = "postgres")]
    PostgresServer { name: String },
}

/// A SQLite database in a temporary folder. The file is created when the database is opened.
#[cfg(feature = "sqlite")]
pub(crate) async fn sqlite() -> Database {
    let folder = tempfile::tempdir().expect("a temporary folder");
    Database {
        url: format!("sqlite://{}", folder.path().join("gate.db").display()),
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
    Database {
        url: format!("{base}/{name}"),
        backend: Backend::PostgresServer { name },
    }
}

#[cfg(feature = "postgres")]
#[expect(
    clippy::disallowed_methods,
    reason = "the only place where the tests read the server's URL"
)]
fn server_url() -> String {
    std::env::var("VOELGOED_SCAN_TEST_POSTGRES_URL").expect(
        "VOELGOED_SCAN_TEST_POSTGRES_URL is the URL of a PostgreSQL superuser; scripts/services run sets it",
    )
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
    /// Executes SQL on the database, as an operator could.
    pub(crate) async fn execute(&self, sql: &str) {
        match self.backend {
            #[cfg(feature = "sqlite")]
            Backend::SqliteFile(_) => {
                use sqlx::{Connection as _, Executor as _};

                let mut connection = sqlx::SqliteConnection::connect(&self.url)
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
            Backend::PostgresServer { .. } => execute(&self.url, sql).await,
        }
    }

    /// Executes statements on one connection, and returns a text column of the last one's rows.
    pub(crate) async fn read_texts(&self, column: &str, statements: &[&str]) -> Vec<String> {
        use sqlx::Connection as _;

        match self.backend {
            #[cfg(feature = "sqlite")]
            Backend::SqliteFile(_) => {
                let connection = sqlx::SqliteConnection::connect(&self.url).await;
                read_texts!(connection.expect("the file opens"), column, statements)
            }
            #[cfg(feature = "postgres")]
            Backend::PostgresServer { .. } => {
                let connection = sqlx::PgConnection::connect(&self.url).await;
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
            Backend::PostgresServer { .. } => postgres().await,
        }
    }

    /// Drops the database. When a test fails, the temporary folder removes itself, and a PostgreSQL database is removed
    /// with its server.
    pub(crate) async fn drop(self) {
        match self.backend {
            #[cfg(feature = "sqlite")]
            Backend::SqliteFile(folder) => folder.close().expect("the folder is removed"),
            #[cfg(feature = "postgres")]
            Backend::PostgresServer { name } => {
                execute(&server_url(), &format!("drop database {name} with (force)")).await;
            }
        }
    }
}
