//! How the databases read lists: by an index, and a bounded part of it.

use std::fs;
use std::path::Path;

use uuid::Uuid;
use voelgoed_scan_core::model::{Reason, ScanRecord, ScanResult, TicketCode};
use voelgoed_scan_core::store::{Cursor, Order, Page, PageRequest, ScanFilter};

use crate::attempts::entry;
use crate::fixture::{Fixture, START, after, live, open_gate, put_device, put_event, put_gate};

/// The scans of a large audit trail. One scan in 10,000 is of the ticket.
const SCANS: i64 = 30_000;

macro_rules! list {
    ($name:literal) => {
        include_str!(concat!(
            "../../src/store/sql/statements/scans/list_",
            $name,
            ".sql"
        ))
    };
}

/// The statements that read pages of the audit trail, each with the index that it reads by and the parameter that it always has.
const LISTS: [(&str, &str, Option<usize>); 8] = [
    (list!("newest"), "scans_time", None),
    (list!("oldest"), "scans_time", None),
    (list!("newest_of_ticket"), "scans_of_ticket", Some(TICKET)),
    (list!("oldest_of_ticket"), "scans_of_ticket", Some(TICKET)),
    (list!("newest_of_device"), "scans_device", Some(DEVICE)),
    (list!("oldest_of_device"), "scans_device", Some(DEVICE)),
    (list!("newest_of_result"), "scans_result", Some(RESULT)),
    (list!("oldest_of_result"), "scans_result", Some(RESULT)),
];

/// The numbers of parameters that filter.
const DEVICE: usize = 8;
const TICKET: usize = 9;
const RESULT: usize = 10;

const CONFLICTS: &str = include_str!("../../src/store/sql/statements/sync/conflicts.sql");
const PRESENTATIONS: &str = include_str!("../../src/store/sql/statements/signals/presentations.sql");
const HISTORY: &str = include_str!("../../src/store/sql/statements/scans/history_of_ticket.sql");
const FEED: &str = include_str!("../../src/store/sql/statements/feed/batches.sql");

impl Fixture {
    /// Fills the audit trail.
    async fn record_many(&self, ticket: TicketCode) {
        let id = |id: &Uuid| {
            if self.database.is_postgresql() {
                format!("'{id}'")
            } else {
                format!("x'{}'", id.simple())
            }
        };
        let (random, empty, numbers) = if self.database.is_postgresql() {
            (
                "gen_random_uuid()",
                r"'\x'",
                format!("select n from generate_series(1, {SCANS}) n"),
            )
        } else {
            (
                "randomblob(16)",
                "x''",
                format!(
                    "with recursive r(n) as (select 1 union all select n + 1 from r where n < {SCANS}) select n from r"
                ),
            )
        };
        self.database
            .execute(&format!(
                "insert into scans (
                    organization_id, scan_id, ticket_code, event_id, gate_id, device_id, session_id,
                    result, reason, direction, scanned_at, received_at, source, decided_by,
                    payload_sha256, shown
                )
                select
                    {organization}, {random}, case when n % 10000 = 0 then '{ticket}' end, {event}, {gate},
                    case when n % 10 = 0 then {device}{cast} else {random} end, {session}, 'refused', 'gate_closed', 'entry', {start} + n, {start} + n,
                    'online', 'database', {empty}, '{{}}'
                from ({numbers}) numbers",
                organization = id(self.organization.as_uuid()),
                event = id(self.event.as_uuid()),
                gate = id(self.main_gate.as_uuid()),
                device = id(self.main_session.device.as_uuid()),
                cast = if self.database.is_postgresql() { "::uuid" } else { "" },
                session = id(self.main_session.id.as_uuid()),
                start = START.as_millis(),
            ))
            .await;
        self.database
            .execute(
                "insert into arrivals (organization_id, event_id, slot, scans)
                 select organization_id, event_id, scanned_at / 5000, count(*) from scans where true group by 1, 2, 3
                 on conflict (organization_id, event_id, slot) do update set scans = excluded.scans",
            )
            .await;
        self.database.execute("analyze scans").await;
    }

    /// How the database executes a statement, for each kind of plan that it may choose. `types` are those of the
    /// parameters, `values` their values.
    async fn plans(&self, sql: &str, types: &str, values: &str) -> Vec<String> {
        if !self.database.is_postgresql() {
            return self
                .database
                .read_texts("detail", &[&format!("explain query plan {sql}")])
                .await;
        }
        let mut plans = Vec::new();
        for mode in ["force_generic_plan", "force_custom_plan"] {
            let plan = self
                .database
                .read_texts(
                    "QUERY PLAN",
                    &[
                        &format!("set plan_cache_mode = {mode}"),
                        &format!("prepare list({types}) as {sql}"),
                        &format!("explain execute list({values})"),
                    ],
                )
                .await;
            plans.extend(plan);
        }
        plans
    }

    async fn page(&self, filter: &ScanFilter, order: Order, after: Option<Cursor>) -> Page<ScanRecord> {
        let page = PageRequest { limit: 50, after };
        self.store
            .scans(self.organization, filter, order, &page)
            .await
            .expect("a page")
    }
}

pub(crate) async fn every_filter_of_the_audit_trail_reads_by_an_index(fixture: Fixture) {
    let ticket = fixture.ticket("{}").await;
    fixture.record_many(ticket).await;
    let types =
        "uuid, bigint, bigint, bigint, uuid, uuid, uuid, uuid, text, text, uuid, bigint, uuid, bigint";
    let id = |id: &Uuid| format!("'{id}'");
    let (zero, max) = (id(&Uuid::nil()), id(&Uuid::max()));
    let organization = id(fixture.organization.as_uuid());
    // Each filter alone, by the parameter that it sets.
    let filters = [
        (6, id(fixture.event.as_uuid())),
        (7, id(fixture.main_gate.as_uuid())),
        (DEVICE, id(fixture.main_session.device.as_uuid())),
        (TICKET, format!("'{ticket}'")),
        (RESULT, "'duplicate'".to_owned()),
        (11, id(fixture.main_session.id.as_uuid())),
    ];
    for (sql, index, fixed) in LISTS {
        for (number, _) in &filters {
            let values = filters.iter().map(|(parameter, value)| {
                let is_set = parameter == number || Some(*parameter) == fixed;
                if is_set { value.as_str() } else { "null" }
            });
            let parameters: Vec<_> = values.collect();
            let newest = sql.contains("newest first");
            // The last part of the trail, as the store reads it.
            let (first_at, last_at) = (START.as_millis(), START.as_millis() + SCANS);
            let bounds = if newest {
                let bound_at = last_at - 5_000;
                (bound_at, last_at, last_at, &max, bound_at, &zero)
            } else {
                let bound_at = first_at + 5_000;
                (first_at, bound_at, first_at, &zero, bound_at, &max)
            };
            let (from, to, after_at, after, bound_at, bound) = bounds;
            let values = format!(
                "{organization}, {from}, {to}, {after_at}, {after}, {}, {bound_at}, {bound}, 51",
                parameters.join(", ")
            );
            let plans = fixture.plans(sql, types, &values).await;
            if *number == RESULT {
                assert_reads_by_index(&plans, &[index, "scans_result"]);
            } else {
                assert_reads_by_index(&plans, &[index]);
            }
        }
    }
    let conflicts = "uuid, bigint, uuid, uuid, text, bigint, uuid, bigint";
    for filter in ["null, null", "null, 'double_entry'"] {
        let values = format!("{organization}, 9000000000000, {max}, {filter}, 0, {zero}, 51");
        let plans = fixture.plans(CONFLICTS, conflicts, &values).await;
        assert_reads_by_index(&plans, &["scans_conflict"]);
    }
    let some_ticket = id(&Uuid::from_u128(1));
    let values = format!("{organization}, {some_ticket}, 0, 9000000000000, 100");
    let plans = fixture
        .plans(PRESENTATIONS, "uuid, uuid, bigint, bigint, bigint", &values)
        .await;
    assert_reads_by_index(&plans, &["scans_of_ticket"]);
    let values = format!("{organization}, {some_ticket}");
    let plans = fixture.plans(HISTORY, "uuid, uuid", &values).await;
    assert_reads_by_index(&plans, &["scans_of_ticket"]);
    let values = format!("{organization}, {}, 100, 100", id(fixture.event.as_uuid()));
    let plans = fixture.plans(FEED, "uuid, uuid, bigint, bigint", &values).await;
    let key = if fixture.database.is_postgresql() {
        "feed_batches_pkey"
    } else {
        "PRIMARY KEY (organization_id=? AND event_id=? AND last_position>?)"
    };
    assert_reads_by_index(&plans, &[key]);
}

/// Set-based statements get their rows as a JSON array. The organization is a parameter of its own, so PostgreSQL could read all
/// rows of the organization and compare them with the array. (A unit test of the statements checks the plans of SQLite.)
pub(crate) async fn set_based_statements_find_each_scan_by_its_key(fixture: Fixture) {
    if !fixture.database.is_postgresql() {
        return;
    }
    let ticket = fixture.ticket("{}").await;
    fixture.record_many(ticket).await;
    let mut checked = 0;
    for (name, sql) in set_based_statements() {
        let parameters = (1..100)
            .take_while(|number| sql.contains(&format!("${number}")))
            .count();
        let values = vec!["null"; parameters].join(", ");
        let plan = fixture
            .database
            .read_texts(
                "QUERY PLAN",
                &[
                    "set plan_cache_mode = force_generic_plan",
                    &format!("prepare statement as {sql}"),
                    &format!("explain execute statement({values})"),
                ],
            )
            .await;
        for (step, condition) in plan.iter().zip(plan.iter().skip(1)) {
            let is_on_scans = step.contains(" on scans") || step.contains("Scan on scans_");
            let reads_organization =
                condition.contains("Index Cond: (organization_id = $") && !condition.contains(" AND ");
            let reads_all = step.contains("Seq Scan on scans") || (is_on_scans && reads_organization);
            assert!(!reads_all, "{name}:\n{}", plan.join("\n"));
            checked += u32::from(is_on_scans);
        }
    }
    assert!(checked > 5, "only {checked} steps read scans");
}

/// The statements for PostgreSQL that get their rows as a JSON array and name the table `scans`, with their names.
fn set_based_statements() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/sql/statements");
    let mut folders = vec![folder];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("the folder can be read") {
            let path = entry.expect("the entry can be read").path();
            let name = path.to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".postgres.sql") {
                let sql = fs::read_to_string(&path).expect("the file can be read");
                if sql.contains("to_recordset") && sql.contains(" scans") {
                    found.push((name, sql));
                }
            }
        }
    }
    found
}

/// Panics if a plan reads the table without an index, or uses none of these.
fn assert_reads_by_index(plans: &[String], indexes: &[&str]) {
    let plan = plans.join("\n");
    assert!(
        indexes.iter().any(|index| plan.contains(index)),
        "{indexes:?} are not used:\n{plan}"
    );
    for whole in ["Seq Scan on scans", "SCAN x\n", "SCAN scans", "SCAN s\n"] {
        assert!(
            !format!("{plan}\n").contains(whole),
            "the whole table is read:\n{plan}"
        );
    }
}

pub(crate) async fn a_page_of_the_audit_trail_reads_a_bounded_part_of_it(fixture: Fixture) {
    let ticket = fixture.ticket("{}").await;
    fixture.record_many(ticket).await;
    let nothing = ScanFilter {
        result: Some(ScanResult::Valid),
        ..ScanFilter::default()
    };
    for order in [Order::Newest, Order::Oldest] {
        let first = fixture.page(&nothing, order, None).await;
        assert_eq!(first.data, []);
        assert!(first.next.is_some(), "{order:?}: the page reads the whole trail");
        let second = fixture.page(&nothing, order, first.next).await;
        assert_eq!((second.data, second.next), (vec![], None), "{order:?}");
    }
    // What has an index is found on the first page, from wherever it is.
    let of_ticket = ScanFilter {
        ticket_code: Some(ticket),
        ..ScanFilter::default()
    };
    let newest_first = [30_000, 20_000, 10_000].map(|millis| START.plus_millis(millis));
    for order in [Order::Newest, Order::Oldest] {
        let found = fixture.page(&of_ticket, order, None).await;
        let mut times: Vec<_> = found.data.iter().map(|scan| scan.scanned_at).collect();
        if order == Order::Oldest {
            times.reverse();
        }
        assert_eq!((times, found.next), (newest_first.to_vec(), None), "{order:?}");
    }
    let unused = fixture.device_at(fixture.main_gate, "scanner-3").await;
    let none = [
        ScanFilter {
            result: Some(ScanResult::Duplicate),
            ..ScanFilter::default()
        },
        ScanFilter {
            device_id: Some(unused.device),
            ..ScanFilter::default()
        },
        ScanFilter {
            session_id: Some(unused.id),
            ..ScanFilter::default()
        },
    ];
    for filter in &none {
        for order in [Order::Newest, Order::Oldest] {
            let page = fixture.page(filter, order, None).await;
            assert_eq!((page.data, page.next), (vec![], None), "{order:?} {filter:?}");
        }
    }
    // Every scan is on one page, whatever the filter leaves out.
    for filter in [
        ScanFilter {
            ticket_code: Some(ticket),
            event_id: Some(fixture.event),
            ..ScanFilter::default()
        },
        ScanFilter {
            ticket_code: Some(ticket),
            session_id: Some(fixture.main_session.id),
            result: Some(ScanResult::Refused),
            from: Some(after(0)),
            ..ScanFilter::default()
        },
    ] {
        for order in [Order::Newest, Order::Oldest] {
            let (mut read, mut cursor) = (0, None);
            loop {
                let page = fixture.page(&filter, order, cursor).await;
                read += page.data.len();
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!(read, 3, "{order:?} {filter:?}");
        }
    }
}

pub(crate) async fn the_scans_of_an_event_or_a_gate_are_found_whatever_other_events_have_scanned(
    fixture: Fixture,
) {
    let (store, organization) = (&*fixture.store, fixture.organization);
    let (mut filters, mut recorded) = (Vec::new(), Vec::new());
    for at in [-3600, 3600] {
        let event = put_event(store, organization, &live()).await;
        let gate = put_gate(store, organization, event, &open_gate("Main")).await;
        let session = put_device(store, organization, event, gate, &format!("scanner{at}")).await;
        let ticket = fixture.ticket("{}").await;
        let scan = entry(&session, ticket, at);
        recorded.push(scan.scan_id);
        assert_eq!(fixture.reason(scan).await, Reason::OtherEvent);
        let of_event = ScanFilter {
            event_id: Some(event),
            ..ScanFilter::default()
        };
        let of_gate = ScanFilter {
            gate_id: Some(gate),
            ..ScanFilter::default()
        };
        filters.push([of_event, of_gate]);
    }
    // More scans in between than a page reads.
    fixture.record_many(fixture.ticket("{}").await).await;
    for order in [Order::Newest, Order::Oldest] {
        for (filters, scan) in filters.iter().zip(&recorded) {
            for filter in filters {
                let page = fixture.page(filter, order, None).await;
                let found: Vec<_> = page.data.iter().map(|record| record.scan_id).collect();
                assert_eq!((found, page.next), (vec![*scan], None), "{order:?} {filter:?}");
            }
        }
    }
}
