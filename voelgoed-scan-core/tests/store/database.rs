//! Where does a rule's own database come from?

/// A database that nobody else uses; empty at first.
pub(crate) struct Database {
    pub(crate) url: String,
    place: Place,
}

enum Place {
    #[cfg(feature = "sqlite")]
    Folder(tempfile::TempDir),
    #[cfg(feature = "postgres")]
    Server { name: String },
}

/// A SQLite file of its own, to be made.
#[cfg(feature = "sqlite")]
pub(crate) async fn sqlite() -> Database {
    let folder = tempfile::tempdir().expect("a folder for the database");
    Database {
        url: format!("sqlite://{}", folder.path().join("gate.db").display()),
        place: Place::Folder(folder),
    }
}

/// A PostgreSQL database of its own, on the server that the environment names.
#[cfg(feature = "postgres")]
pub(crate) async fn postgres() -> Database {
    let name = format!("rule_{}", uuid::Uuid::new_v4().simple());
    let server = server();
    on_server(&server, &format!("create database {name}")).await;
    let (host, _) = server.rsplit_once('/').expect("the URL of a database");
    Database {
        url: format!("{host}/{name}"),
        place: Place::Server { name },
    }
}

#[cfg(feature = "postgres")]
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where a rule learns of the server"
)]
fn server() -> String {
    std::env::var("VOELGOED_SCAN_TEST_POSTGRES_URL").expect(
        "VOELGOED_SCAN_TEST_POSTGRES_URL is the URL of a PostgreSQL superuser; scripts/services run sets it",
    )
}

#[cfg(feature = "postgres")]
async fn on_server(server: &str, sql: &str) {
    use sqlx::{Connection as _, Executor as _};

    let mut connection = sqlx::PgConnection::connect(server)
        .await
        .expect("the server answers");
    let sql = sqlx::AssertSqlSafe(sql.to_owned());
    connection
        .execute(sqlx::raw_sql(sql))
        .await
        .expect("the server obeys");
    connection.close().await.expect("the connection ends");
}

impl Database {
    /// Another one of the same kind.
    pub(crate) async fn another(&self) -> Self {
        match self.place {
            #[cfg(feature = "sqlite")]
            Place::Folder(_) => sqlite().await,
            #[cfg(feature = "postgres")]
            Place::Server { .. } => postgres().await,
        }
    }

    /// Ends it. After a rule that failed its file goes by itself; a server's goes with the server.
    pub(crate) async fn drop(self) {
        match self.place {
            #[cfg(feature = "sqlite")]
            Place::Folder(folder) => folder.close().expect("the folder goes"),
            #[cfg(feature = "postgres")]
            Place::Server { name } => {
                on_server(&server(), &format!("drop database {name} with (force)")).await;
            }
        }
    }
}
