//! PostgreSQL, for several nodes: one pool on each, rows locked in one order on all.
//!
//! Under READ COMMITTED a statement sees what was committed when it began, not when it got its locks: whatever is
//! read under a lock is read by a later statement than the one that took it.

use std::str::FromStr;
use std::sync::LazyLock;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Arguments as _, Connection as _, PgConnection, Postgres, Row as _};

use crate::bus::postgres::PostgresBus;
use crate::store::StoreError;
use crate::store::open::OpenError;
use crate::store::row::{event_columns, gate_columns, scan_columns, ticket_columns};
use crate::store::sql::{Dialect, Sql, Statements, dialect_basics};

/// A newer version may have migrated further: its migrations only add, and this one runs beside it.
static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrations = sqlx::migrate!("../migrations/postgres");
    migrations.set_ignore_missing(true);
    migrations
});

/// How many connections a node opens at most.
const CONNECTIONS: u32 = 16;

/// How long a call waits for one of them, a new one included: a database that is away is told of within two seconds.
const PATIENCE: Duration = Duration::from_millis(1500);

/// What the server puts an end to by itself, so that a node that hangs or is cut off holds up no other: a statement,
/// the wait for a lock, a transaction whose node says nothing more.
const LIMITS: [(&str, &str); 3] = [
    ("statement_timeout", "10s"),
    ("lock_timeout", "5s"),
    ("idle_in_transaction_session_timeout", "10s"),
];

/// Opens a database by its URL.
pub(crate) async fn open(url: &str, migrate: bool) -> Result<Sql<Postgres>, OpenError> {
    let options = PgConnectOptions::from_str(url)
        .map_err(StoreError::from)?
        .application_name("voelgoed-scan");
    if migrate {
        // On a connection of its own, without limits: a migration may take its time. The migrator holds an advisory
        // lock, so that of several nodes that start at once one migrates and the others wait.
        let mut connection = PgConnection::connect_with(&options)
            .await
            .map_err(StoreError::from)?;
        super::open::migrate(&MIGRATIONS, &mut connection).await?;
        connection.close().await.map_err(StoreError::from)?;
    }
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(PATIENCE)
        .connect_with(options.options(LIMITS))
        .await
        .map_err(StoreError::from)?;
    if !migrate {
        super::open::check_migrated(&pool, &MIGRATIONS).await?;
    }
    Ok(Sql {
        writers: pool.clone(),
        readers: pool,
    })
}

impl Dialect for Postgres {
    // Said in full: what a batch reads after its locks must be the latest, whatever the server's default is.
    const BEGIN_WRITE: &'static str = "begin isolation level read committed";

    const SHARED: bool = true;

    const SQL: Statements = Statements {
        lock_occupancy: Some(
            "select o.gate_id from jsonb_to_recordset($1::jsonb) as k(o uuid, k uuid) \
             join occupancy o on o.organization_id = k.o and o.event_id = k.k \
             order by o.organization_id, o.event_id, o.gate_id for update of o",
        ),
        lock_tickets: Some(
            "select t.id from (\
             select b.organization_id, b.id from jsonb_to_recordset($1::jsonb) as k(o uuid, c text) \
             join tickets b on b.organization_id = k.o and b.code = k.c \
             union select k.o, k.i from jsonb_to_recordset($1::jsonb) as k(o uuid, i uuid) where k.i is not null\
             ) k join tickets t on t.organization_id = k.organization_id and t.id = k.id \
             order by t.organization_id, t.id for update of t",
        ),
        lock_event: Some("select id from events where organization_id = $1 and id = $2 for no key update"),
        lock_doors: Some(
            "with e as materialized (\
             select id from events where organization_id = $1 and id = $2 for update\
             ), g as materialized (\
             select id from gates where organization_id = $1 and event_id = $2 and (select count(*) from e) > 0 \
             order by id for update\
             ) select o.gate_id from occupancy o \
             where (select count(*) from g) > 0 and o.organization_id = $1 and o.event_id = $2 \
             order by o.gate_id for update of o",
        ),
        admit_fresh: Some(concat!(
            "with r as materialized (\
             select * from jsonb_to_recordset($1::jsonb) as r(n bigint, o uuid, scan uuid, code text, e uuid, g uuid, \
             d uuid, s uuid, now bigint, slot bigint, claimed uuid, bare boolean, device_at bigint, metadata text, \
             sha256 text, format text, kid text, warnings json)\
             ), stand as materialized (\
             select r.*, g.name as gate_name, d.name as device_name, g.ticket_classes as gate_classes from r \
             join sessions s on s.organization_id = r.o and s.id = r.s and s.status = 'active' \
             and s.device_id = r.d and s.event_id = r.e and s.gate_id = r.g \
             join devices d on d.organization_id = r.o and d.id = r.d and d.status = 'active' \
             join events e on e.organization_id = r.o and e.id = r.e and e.status = 'live' \
             and e.capacity is null and (e.allow_unsigned or not r.bare) \
             join gates g on g.organization_id = r.o and g.id = r.g and g.status = 'open' and g.capacity is null \
             for key share of e, g\
             ), held as materialized (\
             select o.gate_id from (select distinct o, e, g from stand) k \
             join occupancy o on o.organization_id = k.o and o.event_id = k.e and o.gate_id = k.g \
             order by o.organization_id, o.event_id, o.gate_id for update of o\
             ), locked as materialized (\
             select t.organization_id, t.id, k.n from stand k \
             join tickets t on t.organization_id = k.o and t.code = k.code and t.event_id = k.e \
             where (select count(*) from held) > 0 and t.status = 'active' and t.ledger = '{\"n\":0,\"a\":[]}' \
             and (t.valid_from is null or t.valid_from <= k.now) \
             and (t.valid_until is null or t.valid_until >= k.now) \
             and (k.claimed is null or k.claimed = k.e) \
             and (t.gate_ids is null or t.gate_ids::jsonb ? k.g::text) \
             and (k.gate_classes is null or k.gate_classes::jsonb ? t.ticket_class) \
             order by t.organization_id, t.id for update of t\
             ), admitted as (\
             update tickets t set status = 'scanned', scan_count = 1, version = t.version + 1, updated_at = k.now, \
             ledger = json_build_object('n', 1, 'a', json_build_array(json_build_object('e', json_build_object(\
             's', k.scan, 't', k.now, 'g', k.g, 'n', k.gate_name, 'd', k.d, 'm', k.device_name))))::text \
             from locked l join stand k on k.n = l.n \
             where t.organization_id = l.organization_id and t.id = l.id and t.status = 'active' \
             and t.ledger = '{\"n\":0,\"a\":[]}' returning k.n, k.o, k.e, k.g, k.s, k.slot, k.gate_name, ",
            ticket_columns!(),
            "), recorded as (\
             insert into scans (organization_id, scan_id, ticket_id, ticket_code, event_id, gate_id, device_id, \
             session_id, result, reason, direction, scanned_at, device_scanned_at, received_at, source, \
             decided_by, metadata, payload_sha256, payload_format, payload_kid, shown) \
             select k.o, k.scan, a.t_id, a.t_code, k.e, k.g, k.d, k.s, 'valid', 'admitted', 'entry', k.now, \
             k.device_at, k.now, 'online', 'database', k.metadata, decode(k.sha256, 'hex'), k.format, k.kid, \
             json_build_object('g', k.gate_name, 't', json_build_object('id', a.t_id, 'code', a.t_code, \
             'status', a.t_status, 'ticket_class', a.t_ticket_class, 'seat', a.t_seat::json, \
             'entry_limit', a.t_entry_limit, 'scan_count', a.t_scan_count, 'note', a.t_note), \
             'w', k.warnings)::text from admitted a join stand k on k.n = a.n\
             ), counted as (\
             update occupancy c set entries = c.entries + k.new, valid = c.valid + k.new \
             from (select o, e, g, count(*) as new from admitted group by o, e, g) k \
             where c.organization_id = k.o and c.event_id = k.e and c.gate_id = k.g \
             returning c.organization_id, c.event_id, c.gate_id, c.entries - c.exits as inside, k.new\
             ), arrived as (\
             insert into arrivals (organization_id, event_id, slot, scans) \
             select o, e, slot, count(*) from admitted group by o, e, slot order by o, e, slot \
             on conflict (organization_id, event_id, slot) do update set scans = arrivals.scans + excluded.scans\
             ), noted as (\
             update sessions s set scan_count = s.scan_count + k.new \
             from (select o, s, count(*) as new from admitted group by o, s) k \
             where s.organization_id = k.o and s.id = k.s\
             ) select a.*, c.inside as gate_inside, cast(\
             (select coalesce(sum(x.entries - x.exits), 0) from occupancy x \
             where x.organization_id = a.o and x.event_id = a.e) \
             + (select sum(y.new) from counted y where y.organization_id = a.o and y.event_id = a.e) as bigint) \
             as event_inside from admitted a \
             join counted c on c.organization_id = a.o and c.event_id = a.e and c.gate_id = a.g"
        )),
        known_scans: concat!(
            "select ",
            scan_columns!(),
            ", x.payload_sha256, x.shown from jsonb_to_recordset($1::jsonb) as k(o uuid, k uuid) \
             join scans x on x.organization_id = k.o and x.scan_id = k.k"
        ),
        posts: concat!(
            "select ",
            event_columns!(),
            ", ",
            gate_columns!(),
            ", s.id as session_id, s.status as session_status, d.status as device_status, d.name as device_name \
             from jsonb_to_recordset($1::jsonb) as k(o uuid, k uuid) \
             join sessions s on s.organization_id = k.o and s.id = k.k \
             join devices d on d.organization_id = s.organization_id and d.id = s.device_id \
             join events e on e.organization_id = s.organization_id and e.id = s.event_id \
             join gates g on g.organization_id = s.organization_id and g.id = s.gate_id"
        ),
        tickets: concat!(
            "select ",
            ticket_columns!(),
            " from jsonb_to_recordset($1::jsonb) as k(o uuid, c text) \
             join tickets t on t.organization_id = k.o and t.code = k.c \
             union all select ",
            ticket_columns!(),
            " from jsonb_to_recordset($1::jsonb) as k(o uuid, i uuid) \
             join tickets t on t.organization_id = k.o and t.id = k.i"
        ),
        occupancy: "select o.organization_id, o.event_id, o.gate_id, o.entries, o.exits \
             from jsonb_to_recordset($1::jsonb) as k(o uuid, k uuid) \
             join occupancy o on o.organization_id = k.o and o.event_id = k.k",
        insert_scans: "insert into scans (organization_id, scan_id, ticket_id, ticket_code, event_id, gate_id, device_id, \
             session_id, result, reason, would_have_been, direction, scanned_at, device_scanned_at, received_at, \
             source, decided_by, override_reason, local_result, metadata, payload_sha256, payload_format, \
             payload_kid, shown) \
             select organization_id, scan_id, ticket_id, ticket_code, event_id, gate_id, device_id, session_id, \
             result, reason, would_have_been, direction, scanned_at, device_scanned_at, received_at, source, \
             decided_by, override_reason, local_result, metadata, decode(payload_sha256, 'hex'), payload_format, \
             payload_kid, shown \
             from jsonb_to_recordset($1::jsonb) as r(organization_id uuid, scan_id uuid, ticket_id uuid, \
             ticket_code text, event_id uuid, gate_id uuid, device_id uuid, session_id uuid, result text, \
             reason text, would_have_been text, direction text, scanned_at bigint, device_scanned_at bigint, \
             received_at bigint, source text, decided_by text, override_reason text, local_result text, \
             metadata text, payload_sha256 text, payload_format text, payload_kid text, shown text) \
             on conflict (organization_id, scan_id) do nothing",
        update_tickets: "update tickets t set status = r.status, scan_count = r.scan_count, ledger = r.ledger, \
             version = r.version, updated_at = r.updated_at \
             from jsonb_to_recordset($1::jsonb) as r(o uuid, i uuid, status text, scan_count bigint, ledger text, \
             version bigint, updated_at bigint) where t.organization_id = r.o and t.id = r.i",
        add_counts: "update occupancy c set entries = c.entries + r.entries, exits = c.exits + r.exits, \
             valid = c.valid + r.valid, duplicate = c.duplicate + r.duplicate, \
             invalid_token = c.invalid_token + r.invalid_token, wrong_event = c.wrong_event + r.wrong_event, \
             wrong_gate = c.wrong_gate + r.wrong_gate, refused = c.refused + r.refused \
             from jsonb_to_recordset($1::jsonb) as r(o uuid, e uuid, g uuid, entries bigint, exits bigint, \
             valid bigint, duplicate bigint, invalid_token bigint, wrong_event bigint, wrong_gate bigint, \
             refused bigint) where c.organization_id = r.o and c.event_id = r.e and c.gate_id = r.g",
        add_arrivals: "insert into arrivals (organization_id, event_id, slot, scans) \
             select o, e, slot, n from jsonb_to_recordset($1::jsonb) as r(o uuid, e uuid, slot bigint, n bigint) \
             on conflict (organization_id, event_id, slot) do update set scans = arrivals.scans + excluded.scans",
        add_session_counts: "update sessions s set scan_count = s.scan_count + r.n \
             from jsonb_to_recordset($1::jsonb) as r(o uuid, s uuid, n bigint) \
             where s.organization_id = r.o and s.id = r.s",
        listings: concat!(
            "select ",
            ticket_columns!(),
            ", t.holder_name, t.order_ref from jsonb_to_recordset($1::jsonb) as k(o uuid, c text) \
             join tickets t on t.organization_id = k.o and t.code = k.c \
             union all select ",
            ticket_columns!(),
            ", t.holder_name, t.order_ref from jsonb_to_recordset($1::jsonb) as k(o uuid, i uuid) \
             join tickets t on t.organization_id = k.o and t.id = k.i"
        ),
        insert_tickets: "insert into tickets (organization_id, id, event_id, code, status, ticket_class, gate_ids, seat, \
             valid_from, valid_until, entry_limit, version, note, holder_name, holder_folded, order_ref, \
             order_folded, inserted_at, updated_at) \
             select o, i, e, code, status, ticket_class, gate_ids, seat, valid_from, valid_until, entry_limit, \
             version, note, holder_name, holder_folded, order_ref, order_folded, updated_at, updated_at \
             from jsonb_to_recordset($1::jsonb) as r(o uuid, i uuid, e uuid, code text, status text, \
             ticket_class text, gate_ids text, seat text, valid_from bigint, valid_until bigint, \
             entry_limit bigint, version bigint, note text, holder_name text, holder_folded text, \
             order_ref text, order_folded text, updated_at bigint) on conflict do nothing",
        change_tickets: "update tickets t set status = r.status, ticket_class = r.ticket_class, gate_ids = r.gate_ids, \
             seat = r.seat, valid_from = r.valid_from, valid_until = r.valid_until, entry_limit = r.entry_limit, \
             version = r.version, note = r.note, holder_name = r.holder_name, holder_folded = r.holder_folded, \
             order_ref = r.order_ref, order_folded = r.order_folded, updated_at = r.updated_at \
             from jsonb_to_recordset($1::jsonb) as r(o uuid, i uuid, status text, ticket_class text, \
             gate_ids text, seat text, valid_from bigint, valid_until bigint, entry_limit bigint, \
             version bigint, note text, holder_name text, holder_folded text, order_ref text, \
             order_folded text, updated_at bigint) where t.organization_id = r.o and t.id = r.i",
    };

    fn bus(pool: &sqlx::Pool<Self>) -> Option<std::sync::Arc<dyn crate::bus::Bus>> {
        Some(std::sync::Arc::new(PostgresBus::new(pool.clone())))
    }

    dialect_basics!();
}
