//! The migration of a database that the first edition filled.

use std::path::Path;

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use voelgoed_scan_core::model::{Reason, ScanRecord};
use voelgoed_scan_core::rules::ConflictKind;
use voelgoed_scan_core::store::PutOutcome;

use crate::attempts::entry;
use crate::database::Database;
use crate::fixture::{ALL, Fixture, START, audit, open_gate};
use crate::sync::scan;

/// The last migration of the first edition.
const LAST: i64 = 9;

/// The tables that the first edition fills, each after those that name its rows.
const TABLES: [&str; 13] = [
    "organizations",
    "credentials",
    "events",
    "gates",
    "occupancy",
    "arrivals",
    "devices",
    "sessions",
    "tickets",
    "scans",
    "quarantine",
    "feed_positions",
    "feed_batches",
];

/// The migrations of the first edition.
fn first_edition(is_postgresql: bool) -> Migrator {
    let folder = if is_postgresql { "postgres" } else { "sqlite" };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../migrations")
        .join(folder);
    let mut migrations = Vec::new();
    for file in std::fs::read_dir(folder).expect("the folder is there") {
        let path = file.expect("a file").path();
        let name = path.file_stem().and_then(|name| name.to_str()).expect("a name");
        let (number, name) = name.split_once('_').expect("a number and a name");
        let number: i64 = number.parse().expect("a number");
        if number <= LAST {
            let sql = std::fs::read_to_string(&path).expect("the file is read");
            let sql = sqlx::AssertSqlSafe(sql).into_sql_str();
            let name = name.to_owned().into();
            migrations.push(Migration::new(number, name, MigrationType::Simple, sql, false));
        }
    }
    migrations.sort_by_key(|migration| migration.version);
    Migrator::with_migrations(migrations)
}

/// A database as the first edition left it, with the rows of `filled` in the columns that the first edition knew.
async fn fill(filled: &Database) -> Database {
    let old = filled.another().await;
    if old.is_postgresql() {
        migrate_postgres(&old).await;
    } else {
        migrate_sqlite(&old).await;
    }
    for table in TABLES {
        let columns = columns(&old, table).await;
        let rows = rows_as_text(filled, table, &columns).await;
        assert!(!rows.is_empty() || table == "credentials", "{table} is filled");
        for row in rows {
            old.execute(&format!(
                "insert into {table} ({}) values ({row})",
                columns.join(", ")
            ))
            .await;
        }
    }
    old
}

#[cfg(feature = "sqlite")]
async fn migrate_sqlite(database: &Database) {
    use sqlx::Connection as _;

    let url = format!("{}?mode=rwc", database.url);
    let mut connection = sqlx::SqliteConnection::connect(&url)
        .await
        .expect("the file opens");
    first_edition(false)
        .run_direct(None, &mut connection, false)
        .await
        .expect("it migrates");
    connection.close().await.expect("the connection closes");
}

#[cfg(not(feature = "sqlite"))]
async fn migrate_sqlite(_: &Database) {
    unreachable!("the tests of SQLite need its feature")
}

#[cfg(feature = "postgres")]
async fn migrate_postgres(database: &Database) {
    use sqlx::Connection as _;

    let mut connection = sqlx::PgConnection::connect(&database.direct_url)
        .await
        .expect("a connection");
    first_edition(true)
        .run_direct(None, &mut connection, false)
        .await
        .expect("it migrates");
    connection.close().await.expect("the connection closes");
}

#[cfg(not(feature = "postgres"))]
async fn migrate_postgres(_: &Database) {
    unreachable!("the tests of PostgreSQL need its feature")
}

/// The names of the columns of a table.
async fn columns(database: &Database, table: &str) -> Vec<String> {
    let sql = if database.is_postgresql() {
        format!(
            "select column_name::text as name from information_schema.columns where table_name = '{table}'"
        )
    } else {
        format!("select name from pragma_table_info('{table}')")
    };
    database.read_texts("name", &[&sql]).await
}

/// The rows of a table, each as SQL literals of these columns.
async fn rows_as_text(database: &Database, table: &str, columns: &[String]) -> Vec<String> {
    let literal = |column: &String| {
        if database.is_postgresql() {
            format!("coalesce(quote_literal({column}), 'null')")
        } else {
            format!("quote({column})")
        }
    };
    let row: Vec<_> = columns.iter().map(literal).collect();
    let sql = format!("select {} as row from {table}", row.join(" || ', ' || "));
    let mut rows = database.read_texts("row", &[&sql]).await;
    rows.sort_unstable();
    rows
}

pub(crate) async fn a_filled_database_of_the_first_edition_keeps_everything(fixture: Fixture) {
    // Two organizations with scans online and uploaded, a conflict and a quarantined scan.
    let other = fixture.another().await;
    let mut kept: Vec<(Vec<ScanRecord>, _)> = Vec::new();
    let mut codes = Vec::new();
    for fixture in [&fixture, &other] {
        let code = fixture.ticket("{}").await;
        assert_eq!(fixture.enter(code, 10).await, Reason::Admitted);
        assert_eq!(fixture.enter(code, 11).await, Reason::AlreadyScanned);
        let early = scan(&fixture.side_session, code, 5);
        fixture.sync(&fixture.side_session, code, &[early]).await;
        let gone = fixture.device_at(fixture.main_gate, "gone").await;
        let revoked = fixture
            .store
            .revoke_device(fixture.organization, gone.device, START, audit())
            .await;
        assert!(revoked.expect("the write succeeds"));
        fixture.sync(&gone, code, &[scan(&gone, code, 20)]).await;
        kept.push((fixture.audit_trail().await, fixture.occupancy().await));
        codes.push(code);
    }
    let old = std::sync::Arc::new(fill(&fixture.database).await);
    // Two gates of one event have the same code, which the first edition allowed.
    old.execute("update gates set code = 'DOOR'").await;
    let mut before = Vec::new();
    for table in TABLES {
        let columns = columns(&old, table).await;
        before.push((table, rows_as_text(&old, table, &columns).await, columns));
    }
    let store = old.open(true).await.expect("it migrates");
    for (table, rows, columns) in before {
        assert_eq!(rows_as_text(&old, table, &columns).await, rows, "{table}");
    }
    let in_old = |of: Fixture| Fixture {
        database: std::sync::Arc::clone(&old),
        store: std::sync::Arc::clone(&store),
        ..of
    };
    let (fixture, other) = (in_old(fixture), in_old(other));
    for (fixture, (trail, occupancy)) in [&fixture, &other].into_iter().zip(kept) {
        assert_eq!(fixture.audit_trail().await, trail);
        assert_eq!(fixture.occupancy().await, occupancy);
        assert_eq!(occupancy.event.inside, 2);
        let kinds: Vec<_> = fixture
            .conflicts()
            .await
            .iter()
            .map(|conflict| conflict.kind)
            .collect();
        assert_eq!(kinds, [ConflictKind::Unverified, ConflictKind::DoubleEntry]);
    }
    // Scans, sessions and gates of before work on.
    assert_eq!(fixture.enter(codes[0], 30).await, Reason::AlreadyScanned);
    assert_eq!(other.enter(codes[0], 30).await, Reason::TicketNotFound);
    let new = fixture.ticket("{}").await;
    assert_eq!(
        fixture.reason(entry(&fixture.side_session, new, 30)).await,
        Reason::Admitted
    );
    // A code that two gates have stays with both, and no third gate gets it.
    fixture
        .change_gate(fixture.main_gate, |gate| gate.code = "DOOR".parse().ok())
        .await;
    let mut put = open_gate("New");
    put.code = "DOOR".parse().ok();
    let (organization, event) = (fixture.organization, fixture.event);
    let third = store
        .put_gate(
            organization,
            event,
            uuid::Uuid::new_v4().into(),
            &put,
            START,
            audit(),
        )
        .await;
    assert!(matches!(third, Ok(PutOutcome::Conflict(_))), "{third:?}");
    let gates = store.gates(organization, event, &ALL).await.expect("a page").data;
    assert_eq!(gates.iter().filter(|gate| gate.code == put.code).count(), 2);
    // A gate of the first edition may serve a second event now.
    let second = crate::fixture::put_event(&*store, organization, &crate::fixture::live()).await;
    let put = store
        .put_gate(
            organization,
            second,
            fixture.main_gate,
            &open_gate("Main"),
            START,
            audit(),
        )
        .await;
    assert!(matches!(put, Ok(PutOutcome::Created(_))), "{put:?}");
    assert_eq!(fixture.enter(codes[0], 40).await, Reason::AlreadyScanned);
    drop((fixture, other, store));
    std::sync::Arc::into_inner(old)
        .expect("nobody else uses it")
        .drop()
        .await;
}
