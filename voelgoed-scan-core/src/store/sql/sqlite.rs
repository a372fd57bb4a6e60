//! SQLite: the embedded default. One writer connection; WAL; every commit synced to disk before it is answered.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use sqlx::error::BoxDynError;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Arguments as _, Row as _, Sqlite, SqliteConnection, SqlitePool};

use crate::migrations;
use crate::store::StoreError;
use crate::store::sql::columns::Columns;
use crate::store::sql::open::OpenError;
use crate::store::sql::row::{event_columns, gate_columns, scan_columns, ticket_columns};
use crate::store::sql::writer_connection::WriterConnection;
use crate::store::sql::{Dialect, Sql, Statements, dialect_basics};

static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(migrations::sqlite);

/// How many connections read beside the one that writes.
const READERS: u32 = 4;

/// How often opening or migrating is tried while another process may be at the same.
const OPENING_TRIES: u32 = 20;

/// How long what failed so rests.
const OPENING_REST: Duration = Duration::from_millis(50);

/// Opens a database file, made where it is missing.
pub(crate) async fn open(file: &Path, migrate: bool) -> Result<Sql<Sqlite>, OpenError> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(migrate)
        .journal_mode(SqliteJournalMode::Wal)
        // WAL with `full` syncs at every commit: an acknowledged admission survives power loss.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(5))
        .foreign_keys(false);
    let writers = open_beside_others(&options).await?;
    if migrate {
        let mut connection = writers.acquire().await.map_err(StoreError::from)?;
        migrate_beside_others(&mut connection).await?;
    } else {
        super::open::check_migrated(&writers, &MIGRATIONS).await?;
    }
    let readers = SqlitePoolOptions::new()
        .max_connections(READERS)
        .min_connections(0)
        .acquire_timeout(Duration::from_secs(5))
        .connect_with(options.read_only(true))
        .await
        .map_err(StoreError::from)?;
    Ok(Sql {
        recorders: writers.clone(),
        hand: WriterConnection::empty(),
        writers,
        readers,
    })
}

/// Turning a new file's log on takes all of the file, and SQLite does not wait for that where two want it.
async fn open_beside_others(options: &SqliteConnectOptions) -> Result<SqlitePool, StoreError> {
    let mut tries = 1;
    loop {
        let opened = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(Duration::from_secs(5))
            .connect_with(options.clone())
            .await;
        match opened.map_err(StoreError::from) {
            Err(StoreError::Unavailable { reason }) if tries < OPENING_TRIES => {
                tracing::debug!(reason, tries, "opening again");
                tokio::time::sleep(OPENING_REST).await;
            }
            done => return done,
        }
        tries += 1;
    }
}

/// The migrator has no lock for SQLite, and several processes may start on a new file at once. Each migration is one
/// transaction: whoever is second fails, and finds it done when looking again.
async fn migrate_beside_others(connection: &mut SqliteConnection) -> Result<(), MigrateError> {
    let mut tries = 1;
    loop {
        match super::open::migrate(&MIGRATIONS, connection).await {
            Err(error) if tries < OPENING_TRIES => {
                tracing::debug!(%error, tries, "migrating again");
                tokio::time::sleep(OPENING_REST).await;
            }
            done => return done,
        }
        tries += 1;
    }
}

impl Dialect for Sqlite {
    const SHARES_POOL: bool = false;

    // Takes the write lock at once: what a batch reads cannot change before it writes.
    const BEGIN_WRITE: &'static str = "begin immediate";

    const SHARED: bool = false;

    const SQL: Statements = Statements {
        lock_occupancy: None,
        lock_tickets: None,
        // One process, no round trips: the ordinary way is as fast.
        admit_fresh: None,
        any_ticket: None,
        lock_event: None,
        lock_doors: None,
        known_scans: concat!(
            "select ",
            scan_columns!(),
            ", x.payload_sha256, x.shown from json_each($1) k \
             cross join scans x on x.organization_id = unhex(k.value ->> 'o') and x.scan_id = unhex(k.value ->> 'k')"
        ),
        posts: concat!(
            "select ",
            event_columns!(),
            ", ",
            gate_columns!(),
            ", s.id as session_id, s.status as session_status, \
             d.status as device_status, d.name as device_name from json_each($1) k \
             cross join sessions s on s.organization_id = unhex(k.value ->> 'o') and s.id = unhex(k.value ->> 'k') \
             join devices d on d.organization_id = s.organization_id and d.id = s.device_id \
             join events e on e.organization_id = s.organization_id and e.id = s.event_id \
             join gates g on g.organization_id = s.organization_id and g.id = s.gate_id"
        ),
        tickets: concat!(
            "select ",
            ticket_columns!(),
            " from json_each($1) k \
             cross join tickets t on t.organization_id = unhex(k.value ->> 'o') and t.code = k.value ->> 'c' \
             union all select ",
            ticket_columns!(),
            " from json_each($1) k \
             cross join tickets t on t.organization_id = unhex(k.value ->> 'o') and t.id = unhex(k.value ->> 'i')"
        ),
        occupancy: "select o.organization_id, o.event_id, o.gate_id, o.entries, o.exits from json_each($1) k \
             cross join occupancy o on o.organization_id = unhex(k.value ->> 'o') \
             and o.event_id = unhex(k.value ->> 'k')",
        insert_scans: "insert into scans (organization_id, scan_id, ticket_id, ticket_code, event_id, gate_id, device_id, \
             session_id, result, reason, would_have_been, direction, scanned_at, device_scanned_at, received_at, \
             source, decided_by, override_reason, local_result, metadata, payload_sha256, payload_format, \
             payload_kid, shown) \
             select unhex(value ->> 'organization_id'), unhex(value ->> 'scan_id'), unhex(value ->> 'ticket_id'), \
             value ->> 'ticket_code', unhex(value ->> 'event_id'), unhex(value ->> 'gate_id'), \
             unhex(value ->> 'device_id'), unhex(value ->> 'session_id'), value ->> 'result', value ->> 'reason', \
             value ->> 'would_have_been', value ->> 'direction', value ->> 'scanned_at', \
             value ->> 'device_scanned_at', value ->> 'received_at', value ->> 'source', value ->> 'decided_by', \
             value ->> 'override_reason', value ->> 'local_result', value ->> 'metadata', \
             unhex(value ->> 'payload_sha256'), value ->> 'payload_format', value ->> 'payload_kid', \
             value ->> 'shown' from json_each($1) where true \
             on conflict (organization_id, scan_id) do nothing returning organization_id, scan_id",
        update_tickets: "update tickets set status = r.value ->> 'status', scan_count = r.value ->> 'scan_count', \
             ledger = r.value ->> 'ledger', version = r.value ->> 'version', \
             updated_at = r.value ->> 'updated_at' from json_each($1) r \
             where tickets.organization_id = unhex(r.value ->> 'o') and tickets.id = unhex(r.value ->> 'i')",
        add_counts: "update occupancy set entries = entries + (r.value ->> 'entries'), exits = exits + (r.value ->> 'exits'), \
             valid = valid + (r.value ->> 'valid'), duplicate = duplicate + (r.value ->> 'duplicate'), \
             invalid_token = invalid_token + (r.value ->> 'invalid_token'), \
             wrong_event = wrong_event + (r.value ->> 'wrong_event'), \
             wrong_gate = wrong_gate + (r.value ->> 'wrong_gate'), refused = refused + (r.value ->> 'refused') \
             from json_each($1) r where occupancy.organization_id = unhex(r.value ->> 'o') \
             and occupancy.event_id = unhex(r.value ->> 'e') and occupancy.gate_id = unhex(r.value ->> 'g')",
        add_arrivals: "insert into arrivals (organization_id, event_id, slot, scans) \
             select unhex(value ->> 'o'), unhex(value ->> 'e'), value ->> 'slot', value ->> 'n' from json_each($1) \
             where true on conflict (organization_id, event_id, slot) do update \
             set scans = arrivals.scans + excluded.scans",
        add_session_counts: "update sessions set scan_count = scan_count + (r.value ->> 'n') from json_each($1) r \
             where sessions.organization_id = unhex(r.value ->> 'o') and sessions.id = unhex(r.value ->> 's')",
        listings: concat!(
            "select ",
            ticket_columns!(),
            ", t.holder_name, t.order_ref from json_each($1) k \
             cross join tickets t on t.organization_id = unhex(k.value ->> 'o') and t.code = k.value ->> 'c' \
             union all select ",
            ticket_columns!(),
            ", t.holder_name, t.order_ref from json_each($1) k \
             cross join tickets t on t.organization_id = unhex(k.value ->> 'o') and t.id = unhex(k.value ->> 'i')"
        ),
        insert_tickets: "insert into tickets (organization_id, id, event_id, code, status, ticket_class, gate_ids, seat, \
             valid_from, valid_until, entry_limit, version, note, holder_name, holder_folded, order_ref, \
             order_folded, inserted_at, updated_at) \
             select unhex(value ->> 'o'), unhex(value ->> 'i'), unhex(value ->> 'e'), value ->> 'code', \
             value ->> 'status', value ->> 'ticket_class', value ->> 'gate_ids', value ->> 'seat', \
             value ->> 'valid_from', value ->> 'valid_until', value ->> 'entry_limit', value ->> 'version', \
             value ->> 'note', value ->> 'holder_name', value ->> 'holder_folded', value ->> 'order_ref', \
             value ->> 'order_folded', value ->> 'updated_at', value ->> 'updated_at' \
             from json_each($1)",
        change_tickets: "update tickets set status = r.value ->> 'status', ticket_class = r.value ->> 'ticket_class', \
             gate_ids = r.value ->> 'gate_ids', seat = r.value ->> 'seat', valid_from = r.value ->> 'valid_from', \
             valid_until = r.value ->> 'valid_until', entry_limit = r.value ->> 'entry_limit', \
             version = r.value ->> 'version', note = r.value ->> 'note', holder_name = r.value ->> 'holder_name', \
             holder_folded = r.value ->> 'holder_folded', order_ref = r.value ->> 'order_ref', \
             order_folded = r.value ->> 'order_folded', updated_at = r.value ->> 'updated_at' \
             from json_each($1) r \
             where tickets.organization_id = unhex(r.value ->> 'o') and tickets.id = unhex(r.value ->> 'i')",
    };

    /// A file is one process's.
    fn bus(_: &sqlx::Pool<Self>) -> Option<std::sync::Arc<dyn crate::bus::Bus>> {
        None
    }

    fn bind_rows<R: Columns>(arguments: &mut Self::Arguments, rows: &[R]) -> Result<(), BoxDynError> {
        arguments.add(serde_json::to_string(rows)?)
    }

    dialect_basics!();
}
