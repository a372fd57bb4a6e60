//! PostgreSQL, for several nodes: one pool on each, rows locked in one order on all.
//!
//! Under READ COMMITTED a statement sees what was committed when it began, not when it got its locks: whatever is
//! read under a lock is read by a later statement than the one that took it.

use std::str::FromStr;
use std::sync::LazyLock;
use std::time::Duration;

use sqlx::error::BoxDynError;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Arguments as _, Connection as _, PgConnection, Postgres, Row as _};

use crate::bus::postgres::PostgresBus;
use crate::migrations;
use crate::store::StoreError;
use crate::store::sql::columns::{Column, Columns};
use crate::store::sql::open::OpenError;
use crate::store::sql::row::{event_columns, gate_columns, scan_columns, ticket_columns};
use crate::store::sql::writer_connection::{FRESH, WriterConnection};
use crate::store::sql::{Dialect, Sql, Statements, dialect_basics};

static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(migrations::postgres);

/// How many connections a node opens at most, but for those that record scans.
const CONNECTIONS: u32 = 14;

/// How many connections record scans. There is one such write at a time, and a connection that made one a moment ago has
/// all at hand, in its server process and in the processor, that the next one needs; a second is there for the moment in
/// which the first is on its way back.
const RECORDERS: u32 = 2;

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
    let options = options.options(LIMITS);
    let pool = pool_of(CONNECTIONS)
        .connect_with(options.clone())
        .await
        .map_err(StoreError::from)?;
    if !migrate {
        super::open::check_migrated(&pool, &MIGRATIONS).await?;
    }
    Ok(Sql {
        recorders: pool_of(RECORDERS).connect_lazy_with(options),
        hand: WriterConnection::empty(),
        writers: pool.clone(),
        readers: pool,
    })
}

fn pool_of(connections: u32) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(PATIENCE)
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for > FRESH {
                    connection.ping().await?;
                }
                Ok(true)
            })
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
             order by t.organization_id, t.code for update of t",
        ),
        any_ticket: Some(
            "(select 1 from unnest($1::uuid[], $2::text[]) as k(o, c) \
             join tickets t on t.organization_id = k.o and t.code = k.c limit 1) union all \
             (select 1 from unnest($1::uuid[], $3::uuid[]) as k(o, i) \
             join tickets t on t.organization_id = k.o and t.id = k.i limit 1)",
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
        // What whoever changes an event or a gate writes into its counters (`doors`) is read under their lock. The change
        // counter is locked only against its end: sessions and devices may change meanwhile. The tickets are found by what
        // stands in one row with their organization, so that the index of both is used however few there were at planning.
        admit_fresh: Some(
            "with p as materialized (\
             select * from json_to_recordset($2::json) as p(k bigint, o uuid, generation bigint, doors bigint, e uuid, g uuid, \
             low uuid, high uuid, entries bigint, entries_at_event bigint, gate_capacity bigint, event_capacity bigint, \
             classes jsonb, gate_name text)\
             ), locked as materialized (\
             select p.k, c.gate_id = p.g as here, c.entries - c.exits as inside, c.doors = p.doors as same from p \
             join organizations n on n.id = p.o and n.generation = p.generation \
             join occupancy c on c.organization_id = p.o and c.event_id = p.e and c.gate_id between p.low and p.high \
             order by c.organization_id, c.event_id, c.gate_id for update of c for key share of n\
             ), held as materialized (\
             select p.k, p.e, p.g, p.classes, p.gate_name from p join (\
             select k, bool_and(same) as same, cast(sum(inside) filter (where here) as bigint) as at_gate, \
             cast(sum(inside) as bigint) as at_event from locked group by k\
             ) l on l.k = p.k where l.same \
             and (p.gate_capacity is null or l.at_gate + p.entries <= p.gate_capacity) \
             and (p.event_capacity is null or l.at_event + p.entries_at_event <= p.event_capacity)\
             ), admitted as (\
             update tickets t set status = 'scanned', scan_count = 1, version = t.version + 1, updated_at = r.now, \
             ledger = r.ledger \
             from held h join json_to_recordset($1::json) as r(i bigint, k bigint, o uuid, scan uuid, code text, d uuid, \
             s uuid, now bigint, slot bigint, device_at bigint, metadata text, sha256 text, format text, kid text, ledger text, warnings text) \
             on r.k = h.k \
             where t.organization_id = r.o and t.code = r.code and t.event_id = h.e \
             and t.status = 'active' and t.ledger = '{\"n\":0,\"a\":[]}' \
             and (t.valid_from is null or t.valid_from <= r.now) \
             and (t.valid_until is null or t.valid_until >= r.now) \
             and (t.gate_ids is null or t.gate_ids::jsonb ? h.g::text) \
             and (h.classes is null or h.classes ? t.ticket_class) \
             returning r.i, r.k, r.o, h.e, h.g, h.gate_name, r.scan, r.code, r.d, r.s, r.now, r.slot, r.device_at, \
             r.metadata, r.sha256, r.format, r.kid, r.warnings, t.id as t_id, t.ticket_class as t_ticket_class, \
             t.gate_ids as t_gate_ids, t.seat as t_seat, t.valid_from as t_valid_from, t.valid_until as t_valid_until, \
             t.entry_limit as t_entry_limit, t.version as t_version, t.note as t_note, t.inserted_at as t_inserted_at\
             ), recorded as (\
             insert into scans (organization_id, scan_id, ticket_id, ticket_code, event_id, gate_id, device_id, \
             session_id, result, reason, direction, scanned_at, device_scanned_at, received_at, source, \
             decided_by, metadata, payload_sha256, payload_format, payload_kid, shown) \
             select o, scan, t_id, code, e, g, d, s, 'valid', 'admitted', 'entry', now, device_at, now, 'online', \
             'database', metadata, decode(sha256, 'hex'), format, kid, \
             '{\"g\":' || gate_name || ',\"t\":{\"id\":\"' || t_id || '\",\"code\":\"' || code \
             || '\",\"status\":\"scanned\",\"ticket_class\":' || coalesce(to_json(t_ticket_class)::text, 'null') \
             || ',\"seat\":' || coalesce(t_seat, 'null') || ',\"entry_limit\":' || t_entry_limit \
             || ',\"scan_count\":1,\"note\":' || coalesce(to_json(t_note)::text, 'null') \
             || '},\"w\":' || warnings || '}' from admitted\
             ), counted as (\
             update occupancy c set entries = c.entries + a.new, valid = c.valid + a.new \
             from (select k, o, e, g, count(*) as new from admitted group by k, o, e, g) a \
             where c.organization_id = a.o and c.event_id = a.e and c.gate_id = a.g \
             returning a.k, c.entries - c.exits as inside, cast(coalesce((select sum(x.entries - x.exits) \
             from occupancy x where x.organization_id = c.organization_id and x.event_id = c.event_id \
             and x.gate_id <> c.gate_id), 0) as bigint) as elsewhere\
             ), arrived as (\
             insert into arrivals (organization_id, event_id, slot, scans) \
             select o, e, slot, count(*) from admitted group by o, e, slot order by o, e, slot \
             on conflict (organization_id, event_id, slot) do update set scans = arrivals.scans + excluded.scans\
             ), noted as (\
             update sessions s set scan_count = s.scan_count + a.new \
             from (select o, s, count(*) as new from admitted group by o, s) a \
             where s.organization_id = a.o and s.id = a.s\
             ) select a.i, c.inside, c.elsewhere, a.t_id, a.t_ticket_class, a.t_gate_ids, a.t_seat, a.t_valid_from, \
             a.t_valid_until, a.t_entry_limit, a.t_version, a.t_note, a.t_inserted_at \
             from admitted a join counted c on c.k = a.k",
        ),
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
             source, decided_by, override_reason, local_result, metadata, payload_sha256, payload_format, payload_kid, \
             shown) select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::uuid[], $6::uuid[], \
             $7::uuid[], $8::uuid[], $9::text[], $10::text[], $11::text[], $12::text[], $13::bigint[], $14::bigint[], \
             $15::bigint[], $16::text[], $17::text[], $18::text[], $19::text[], $20::text[], $21::bytea[], \
             $22::text[], $23::text[], $24::text[]) on conflict (organization_id, scan_id) do nothing returning \
             organization_id, scan_id",
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
        insert_tickets: "insert into tickets (updated_at, organization_id, id, event_id, code, status, ticket_class, gate_ids, \
             seat, valid_from, valid_until, entry_limit, version, note, holder_name, holder_folded, order_ref, \
             order_folded, inserted_at) select r.*, r.updated_at from unnest($1::bigint[], $2::uuid[], $3::uuid[], \
             $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::bigint[], $11::bigint[], \
             $12::bigint[], $13::bigint[], $14::text[], $15::text[], $16::text[], $17::text[], $18::text[]) as \
             r(updated_at)",
        change_tickets: "update tickets t set status = r.status, ticket_class = r.ticket_class, gate_ids = r.gate_ids, \
             seat = r.seat, valid_from = r.valid_from, valid_until = r.valid_until, entry_limit = r.entry_limit, \
             version = r.version, note = r.note, holder_name = r.holder_name, holder_folded = r.holder_folded, \
             order_ref = r.order_ref, order_folded = r.order_folded, updated_at = r.updated_at \
             from unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], \
             $8::text[], $9::text[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::text[], \
             $15::text[], $16::text[], $17::text[], $18::text[]) \
             as r(updated_at, o, i, e, code, status, ticket_class, gate_ids, seat, valid_from, valid_until, \
             entry_limit, version, note, holder_name, holder_folded, order_ref, order_folded) \
             where t.organization_id = r.o and t.id = r.i",
    };

    fn bus(pool: &sqlx::Pool<Self>) -> Option<std::sync::Arc<dyn crate::bus::Bus>> {
        Some(std::sync::Arc::new(PostgresBus::new(pool.clone())))
    }

    fn bind_rows<R: Columns>(arguments: &mut Self::Arguments, rows: &[R]) -> Result<(), BoxDynError> {
        for column in R::columns(rows) {
            match column {
                Column::Id(values) => arguments.add(values),
                Column::MaybeId(values) => arguments.add(values),
                Column::Int(values) => arguments.add(values),
                Column::MaybeInt(values) => arguments.add(values),
                Column::Text(values) => arguments.add(values),
                Column::MaybeText(values) => arguments.add(values),
                Column::Bytes(values) => arguments.add(values),
            }?;
        }
        Ok(())
    }

    dialect_basics!();
}
