//! The deletion of personal data and of events.

use uuid::Uuid;
use voelgoed_scan_core::model::{
    EventId, EventStatus, Metadata, OrganizationId, Reason, Recorded, ScanId, TicketCode, TicketFacts,
};
use voelgoed_scan_core::store::{
    Acceptance, Cursor, DeleteEventOutcome, ExpectedCounts, PageRequest, PurgeProgress, PutOutcome,
    StartOutcome, Store, UndoPermission,
};
use voelgoed_scan_core::sync::SyncStatus;

use crate::attempts::{entry, overriding_entry};
use crate::database::Database;
use crate::fixture::{ALL, Fixture, RULES, START, TestSession, after, audit, live, reason_text};
use crate::sync::{item, outcome_of, scan, sync_batch};

/// A text that stands in every field that is cleared.
const MARKER: &str = "Qworbachi";
/// A wristband, which belongs to a person, and a barcode, which is a ticket of another system.
const WRISTBAND: &str = "nfc:04A1B2C3D4E5F6";
const BARCODE: &str = "barcode:4006381333931";

fn marked_line() -> String {
    format!(
        r#"{{"holder_name":"{MARKER} Ann","order_ref":"{MARKER}-1","note":"{MARKER} sits","ticket_class":"VIP",
            "seat":{{"block":"{MARKER}"}},"media":["{WRISTBAND}","{BARCODE}"]}}"#
    )
}

fn marked_metadata() -> Option<Metadata> {
    serde_json::from_str(&format!(r#"{{"guest":"{MARKER}"}}"#)).ok()
}

/// What a fixture has after [`fill`].
struct Filled {
    code: TicketCode,
    overridden: ScanId,
    undone: ScanId,
    accepted: ScanId,
    uploaded: ScanId,
}

/// Writes the marker wherever a caller can.
async fn fill(fixture: &Fixture) -> Filled {
    let code = fixture.ticket(&marked_line()).await;
    let mut admitted = entry(&fixture.main_session, code, 1);
    admitted.metadata = marked_metadata();
    fixture.decided(admitted).await;
    let mut forced = overriding_entry(&fixture.side_session, code, 2);
    forced.override_ = Some(voelgoed_scan_core::model::Override {
        reason: reason_text(MARKER),
    });
    let overridden = forced.scan_id;
    assert_eq!(fixture.reason(forced).await, Reason::Overridden);
    let other = fixture.ticket(r#"{"ticket_class":"VIP"}"#).await;
    let undone = entry(&fixture.main_session, other, 3);
    let undone_id = undone.scan_id;
    fixture.decided(undone).await;
    fixture
        .store
        .undo(
            fixture.organization,
            undone_id,
            UndoPermission::Member,
            &reason_text(MARKER),
            audit().context,
            after(4),
            &RULES,
        )
        .await
        .expect("the undo is written");
    let mut uploaded = scan(&fixture.side_session, code, 5);
    uploaded.metadata = marked_metadata();
    let uploaded_id = uploaded.scan_id;
    let results = fixture.sync(&fixture.side_session, code, &[uploaded]).await;
    assert_eq!(results[0].status, SyncStatus::Recorded);
    let accepted = quarantine(fixture, other).await;
    insert_delivery(fixture, overridden).await;
    Filled {
        code,
        overridden,
        undone: undone_id,
        accepted,
        uploaded: uploaded_id,
    }
}

/// Puts two scans into quarantine and accepts one of them, which it returns.
async fn quarantine(fixture: &Fixture, code: TicketCode) -> ScanId {
    let session = fixture.device_at(fixture.main_gate, "lost").await;
    fixture
        .store
        .revoke_device(fixture.organization, session.device, after(6), audit())
        .await
        .expect("the device is revoked");
    let quarantined = [7, 8].map(|seconds| {
        let mut one = scan(&session, code, seconds);
        one.metadata = marked_metadata();
        one.override_ = Some(voelgoed_scan_core::model::Override {
            reason: reason_text(MARKER),
        });
        one
    });
    fixture.sync(&session, code, &quarantined).await;
    let acceptance = Acceptance {
        reason: reason_text(MARKER),
        api_key_id: Uuid::from_u128(1).into(),
        at: after(3700),
    };
    let accepted = quarantined[0].scan_id;
    fixture
        .store
        .accept(fixture.organization, accepted, &acceptance, &RULES, audit())
        .await
        .expect("the scan is accepted")
        .expect("the scan is in quarantine");
    accepted
}

/// A pending delivery of a scan, as an earlier version may have written it.
async fn insert_delivery(fixture: &Fixture, scan: ScanId) {
    let id = |id: &Uuid| {
        if fixture.database.is_postgresql() {
            format!("'{id}'")
        } else {
            format!("x'{}'", id.simple())
        }
    };
    let body = format!(
        r#"{{"type":"scan.admitted","data":{{"metadata":{{"guest":"{MARKER}"}},"override":{{"reason":"{MARKER}"}}}}}}"#
    );
    fixture
        .database
        .execute(&format!(
            "insert into webhook_deliveries (organization_id, id, webhook_id, type, body, event_id, scan_id, sequence, \
             status, inserted_at) values ({}, {}, {}, 'scan.admitted', '{body}', {}, {}, 1, 'pending', 1)",
            id(fixture.organization.as_uuid()),
            id(&Uuid::new_v4()),
            id(&Uuid::new_v4()),
            id(fixture.event.as_uuid()),
            id(scan.as_uuid()),
        ))
        .await;
}

/// Clears the personal data of an event in chunks of `limit`, as a node does. Returns how many tickets held some.
pub(crate) async fn clear(
    store: &dyn Store,
    organization: OrganizationId,
    event: EventId,
    limit: usize,
) -> usize {
    let mut quarantined = None;
    loop {
        let page = store
            .clear_quarantine(organization, event, quarantined, limit)
            .await;
        quarantined = page.expect("the quarantine is cleared").next;
        if quarantined.is_none() {
            break;
        }
    }
    let (mut tickets, mut after_code) = (0, None);
    loop {
        let page = store
            .tickets_with_personal_data(organization, event, after_code, limit)
            .await
            .expect("the tickets are read");
        let cleared = store
            .clear_tickets(organization, event, &page.found, after(9000))
            .await
            .expect("the tickets are cleared");
        tickets += cleared.expect("the event exists").len();
        after_code = page.next;
        if after_code.is_none() {
            break;
        }
    }
    let mut after_scan = None;
    loop {
        let page = store
            .scans_with_personal_data(organization, event, after_scan, limit)
            .await
            .expect("the scans are read");
        store
            .clear_scans(organization, event, &page.found)
            .await
            .expect("the scans are cleared");
        after_scan = page.next;
        if after_scan.is_none() {
            break;
        }
    }
    let mut delivery = None;
    loop {
        let page = store.clear_deliveries(organization, event, delivery, limit).await;
        delivery = page.expect("the deliveries are cleared").next;
        if delivery.is_none() {
            break;
        }
    }
    store
        .delete_manifest_copies(organization, event)
        .await
        .expect("the copies are deleted");
    let mut page = 1;
    while let Some(next) = store.clean_pages(page, limit).await.expect("pages are cleaned") {
        page = next;
    }
    while !store
        .remove_deleted_content()
        .await
        .expect("the files are cleaned")
    {
        tokio::task::yield_now().await;
    }
    tickets
}

/// Deletes the rows of a deleted event in chunks, as a node does.
async fn purge(store: &dyn Store, organization: OrganizationId, event: EventId) {
    let mut after_scan: Option<Cursor> = None;
    loop {
        let progress = store.purge_chunk(organization, event, after_scan, 3).await;
        match progress.expect("rows are deleted") {
            PurgeProgress::More(_) => {}
            PurgeProgress::ScansUpTo(last, _) => after_scan = Some(last),
            PurgeProgress::Done => break,
        }
    }
    store
        .mark_purged(organization, event)
        .await
        .expect("the event is marked");
}

/// Every row of every table as `table: text`. Ids of SQLite are hexadecimal.
async fn dump(database: &Database) -> Vec<String> {
    let (tables, columns) = if database.is_postgresql() {
        (
            "select tablename::text as name from pg_tables where schemaname = 'public'",
            None,
        )
    } else {
        (
            "select name from sqlite_master where type = 'table'",
            Some("select name from pragma_table_info("),
        )
    };
    let mut rows = Vec::new();
    for table in database.read_texts("name", &[tables]).await {
        let select = match columns {
            None => format!("select t::text as row from \"{table}\" t"),
            Some(columns) => {
                let columns = format!("{columns}'{table}')");
                let columns = database.read_texts("name", &[&columns]).await;
                let quoted: Vec<_> = columns.iter().map(|name| format!("quote(\"{name}\")")).collect();
                format!("select {} as row from \"{table}\"", quoted.join(" || ',' || "))
            }
        };
        for row in database.read_texts("row", &[&select]).await {
            rows.push(format!("{table}: {row}"));
        }
    }
    // A table has no order.
    rows.sort_unstable();
    rows
}

/// The tables of rows that hold a text, whatever its case.
fn tables_with(rows: &[String], text: &str) -> Vec<String> {
    let text = text.to_lowercase();
    let found = rows.iter().filter(|row| row.to_lowercase().contains(&text));
    let mut tables: Vec<_> = found
        .filter_map(|row| Some(row.split_once(':')?.0.to_owned()))
        .collect();
    tables.sort();
    tables.dedup();
    tables
}

/// The forms in which a dump shows an id.
fn forms(id: &Uuid) -> [String; 2] {
    [id.to_string(), id.simple().to_string()]
}

fn sha256_of(medium: &str) -> String {
    use std::fmt::Write as _;
    let medium: voelgoed_scan_core::model::Medium = medium.parse().expect("a medium");
    medium.sha256().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

async fn find_answer(fixture: &Fixture, scan: ScanId) -> voelgoed_scan_core::model::ScanAnswer {
    let known = fixture
        .store
        .find_scan_for_retry(fixture.organization, scan)
        .await;
    known
        .expect("the scan is read")
        .expect("the scan is known")
        .answer
}

pub(crate) async fn personal_data_are_cleared_everywhere_and_decisions_stay(fixture: Fixture) {
    let filled = fill(&fixture).await;
    let before = dump(&fixture.database).await;
    assert_eq!(
        tables_with(&before, MARKER),
        [
            "acceptances",
            "quarantine",
            "scans",
            "tickets",
            "webhook_deliveries"
        ],
        "the marker is everywhere"
    );
    assert_eq!(tables_with(&before, &sha256_of(WRISTBAND)), ["ticket_media"]);
    let occupancy = fixture.occupancy_at(9000).await;
    let facts = fixture.ticket_facts(filled.code).await;

    assert_eq!(
        clear(&*fixture.store, fixture.organization, fixture.event, 2).await,
        1
    );
    let rows = dump(&fixture.database).await;
    assert_eq!(tables_with(&rows, MARKER), [""; 0], "{rows:#?}");
    assert_eq!(tables_with(&rows, WRISTBAND), [""; 0]);
    assert_eq!(tables_with(&rows, &sha256_of(WRISTBAND)), [""; 0]);
    assert_eq!(
        rows.len() + 1,
        before.len(),
        "only the row of the wristband is gone"
    );

    // What decides and counts is as before.
    let cleared = fixture.ticket_facts(filled.code).await;
    assert_eq!((&cleared.ticket.note, &cleared.ticket.seat), (&None, &None));
    assert!(cleared.version > facts.version, "no cache keeps the ticket");
    let as_before = TicketFacts {
        version: facts.version,
        ledger: cleared.ledger,
        ticket: voelgoed_scan_core::model::Ticket {
            note: facts.ticket.note.clone(),
            seat: facts.ticket.seat.clone(),
            updated_at: facts.ticket.updated_at,
            ..cleared.ticket
        },
    };
    assert_eq!(as_before, facts);
    assert_eq!(fixture.occupancy_at(9000).await, occupancy);
    let media = fixture
        .store
        .media_of(fixture.organization, fixture.event, filled.code)
        .await
        .expect("the media are read");
    assert_eq!(
        media.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [BARCODE]
    );
    let answer = find_answer(&fixture, filled.overridden).await;
    assert_eq!(answer.reason, Reason::Overridden);
    let ticket = answer.ticket.expect("the ticket is shown");
    assert_eq!((ticket.seat, ticket.note), (None, None));
    assert_eq!(ticket.ticket_class.expect("the class stays").as_str(), "VIP");
    let trail = fixture.audit_trail().await;
    let record = |id: ScanId| {
        trail
            .iter()
            .find(|record| record.scan_id == id)
            .expect("a record")
    };
    let overridden = record(filled.overridden);
    assert_eq!(
        overridden.override_.as_ref().map(|one| one.reason.is_none()),
        Some(true)
    );
    assert_eq!(
        overridden.would_have_been.map(|one| one.reason),
        Some(Reason::AlreadyScanned)
    );
    let undone = record(filled.undone)
        .undone
        .as_ref()
        .expect("the scan stays undone");
    assert_eq!((undone.at, &undone.reason), (after(4), &None));
    assert_eq!(record(filled.accepted).metadata, None);
    assert_eq!(record(filled.uploaded).metadata, None);

    assert_eq!(
        clear(&*fixture.store, fixture.organization, fixture.event, 2).await,
        0,
        "a repeated call finds nothing"
    );
    let again = fixture.ticket_facts(filled.code).await;
    assert_eq!(again.version, cleared.version);
    // The history of the ticket is still complete: an undo folds it.
    let undone = fixture
        .undo(filled.overridden, UndoPermission::Member, 9001)
        .await;
    assert!(matches!(
        undone,
        Some(voelgoed_scan_core::store::UndoOutcome::Undone { .. })
    ));
}

pub(crate) async fn other_events_and_organizations_keep_their_personal_data(fixture: Fixture) {
    let other = fixture.another().await;
    let kept = fill(&other).await;
    let sibling = crate::fixture::put_event(&*fixture.store, fixture.organization, &live()).await;
    let line = marked_line();
    let imported = fixture
        .store
        .import(
            fixture.organization,
            sibling,
            &crate::fixture::numbered(&[&line]),
            START,
            None,
        )
        .await
        .expect("the import is written");
    assert!(imported.is_some());
    let before = dump(&fixture.database).await;
    assert_eq!(
        clear(&*fixture.store, fixture.organization, fixture.event, 100).await,
        0
    );
    // Neither may another organization clear what it names.
    let foreign = fixture
        .store
        .clear_tickets(fixture.organization, other.event, &[kept.code], START)
        .await;
    assert_eq!(foreign.expect("the call succeeds"), None);
    fixture
        .store
        .clear_scans(fixture.organization, other.event, &[kept.overridden])
        .await
        .expect("the call succeeds");
    fixture
        .store
        .clear_scans(other.organization, sibling, &[kept.overridden])
        .await
        .expect("the call succeeds");
    assert_eq!(dump(&fixture.database).await, before);
}

async fn archive(fixture: &Fixture) {
    fixture
        .change_event(|event| event.status = EventStatus::Archived)
        .await;
}

async fn delete(fixture: &Fixture, expected: ExpectedCounts) -> Option<DeleteEventOutcome> {
    let deleted = fixture
        .store
        .delete_event(
            fixture.organization,
            fixture.event,
            expected,
            after(9000),
            audit(),
        )
        .await;
    deleted.expect("the call succeeds")
}

pub(crate) async fn nothing_of_a_deleted_event_is_left_but_its_tombstone(fixture: Fixture) {
    let other = fixture.another().await;
    let filled = fill(&fixture).await;
    fill(&other).await;
    fixture
        .set_status_at(filled.code, voelgoed_scan_core::model::SettableStatus::Voided, 50)
        .await;
    fixture
        .change_event_at(60, |event| {
            event.reentry = voelgoed_scan_core::model::Reentry::AfterExit;
        })
        .await;
    fixture
        .import_at(
            &[&format!(r#"{{"code":"{}","entry_limit":3}}"#, filled.code)],
            after(70),
        )
        .await;
    fixture
        .store
        .advance_cursor(fixture.organization, "test", fixture.event, 0, 1)
        .await
        .expect("the cursor is written");
    let of_other = |rows: &[String]| {
        let ids = forms(other.organization.as_uuid());
        let mut rows: Vec<_> = rows
            .iter()
            .filter(|row| ids.iter().any(|id| row.to_lowercase().contains(id)))
            .cloned()
            .collect();
        rows.sort();
        rows
    };
    archive(&fixture).await;
    let before = dump(&fixture.database).await;
    let ticket = fixture.ticket_facts(filled.code).await.ticket.id;
    assert_eq!(
        delete(&fixture, ExpectedCounts::default()).await,
        Some(DeleteEventOutcome::Deleted)
    );
    let first = (Uuid::nil().into(), Uuid::nil().into());
    let pending = async |after| fixture.store.events_to_purge(after).await;
    let deleted = (fixture.organization, fixture.event);
    assert_eq!(pending(first).await.expect("they are read"), [deleted]);
    assert_eq!(pending(deleted).await.expect("they are read"), []);
    purge(&*fixture.store, fixture.organization, fixture.event).await;
    assert_eq!(pending(first).await.expect("they are read"), []);
    let mut rows = dump(&fixture.database).await;
    assert!(
        of_other(&rows) == of_other(&before),
        "another organization keeps everything"
    );
    // The audit log stays: it says who did what, also to an event that is gone.
    rows.retain(|row| !row.starts_with("audit_entries:") && !row.starts_with("pending_audit_acts:"));
    for id in forms(fixture.event.as_uuid()) {
        let tables = tables_with(&rows, &id);
        assert!(tables.iter().all(|table| table == "deleted_events"), "{tables:?}");
    }
    let ids = [filled.overridden, filled.undone, filled.accepted, filled.uploaded];
    let ids = ids.iter().map(ScanId::as_uuid).chain([ticket.as_uuid()]);
    for id in ids.flat_map(forms).chain([filled.code.to_string()]) {
        assert_eq!(tables_with(&rows, &id), [""; 0], "{id}");
    }
}

pub(crate) async fn a_deleted_event_is_unknown_and_its_id_is_not_used_again(fixture: Fixture) {
    let filled = fill(&fixture).await;
    archive(&fixture).await;
    assert_eq!(
        delete(&fixture, ExpectedCounts::default()).await,
        Some(DeleteEventOutcome::Deleted)
    );
    // The rows are still there.
    let (store, organization, event) = (&*fixture.store, fixture.organization, fixture.event);
    assert_eq!(delete(&fixture, ExpectedCounts::default()).await, None);
    assert_eq!(store.event(organization, event).await.expect("read"), None);
    assert_eq!(
        store
            .ticket(organization, event, filled.code)
            .await
            .expect("read"),
        None
    );
    let page = store.tickets(organization, event, None, None, &ALL).await;
    assert_eq!(page.expect("read").data, []);
    assert_eq!(
        store
            .gate(organization, event, fixture.main_gate)
            .await
            .expect("read"),
        None
    );
    assert_eq!(
        store
            .occupancy(organization, event, after(9001))
            .await
            .expect("read"),
        None
    );
    assert_eq!(
        store.manifest_mark(organization, event).await.expect("read"),
        None
    );
    let put = store
        .put_event(organization, event, &live(), after(9001), audit())
        .await;
    assert!(matches!(put, Ok(PutOutcome::Conflict(_))), "{put:?}");
    let imported = store
        .import(
            organization,
            event,
            &crate::fixture::numbered(&["{}"]),
            after(9001),
            None,
        )
        .await;
    assert!(matches!(imported, Ok(None)));
    assert!(
        fixture
            .undo(filled.overridden, UndoPermission::Member, 9001)
            .await
            .is_none(),
        "no scan of the event exists"
    );
    // The devices are free for other events.
    let scanned = fixture
        .record_one(entry(&fixture.main_session, filled.code, 9001))
        .await;
    assert!(matches!(scanned, Recorded::NoActiveSession), "{scanned:?}");
    let next = crate::fixture::put_event(store, organization, &live()).await;
    let gate = crate::fixture::put_gate(store, organization, next, &crate::fixture::open_gate("Main")).await;
    let start = voelgoed_scan_core::model::SessionStart {
        event_id: next,
        gate_id: gate,
        replace: false,
    };
    let session = Uuid::new_v4().into();
    let started = store
        .start_session(
            organization,
            fixture.main_session.device,
            session,
            &start,
            after(9002),
        )
        .await;
    assert!(matches!(started, Ok(StartOutcome::Started(_))), "{started:?}");
    let missing = voelgoed_scan_core::model::SessionStart {
        event_id: event,
        gate_id: fixture.main_gate,
        replace: true,
    };
    let refused = store
        .start_session(
            organization,
            fixture.side_session.device,
            Uuid::new_v4().into(),
            &missing,
            after(9002),
        )
        .await;
    assert!(matches!(refused, Ok(StartOutcome::Missing)), "{refused:?}");
    upload_is_rejected(&fixture, &filled).await;
    purge(store, organization, event).await;
    upload_is_rejected(&fixture, &filled).await;
}

/// New scans, recorded ones and quarantined ones of the deleted event are rejected with a reason.
async fn upload_is_rejected(fixture: &Fixture, filled: &Filled) {
    let session: &TestSession = &fixture.side_session;
    let mut known = scan(session, filled.code, 5);
    known.scan_id = filled.uploaded;
    let mut named = scan(session, filled.code, 6);
    named.event_id = Some(fixture.event);
    let unnamed = scan(session, filled.code, 7);
    let items = [known, named, unnamed].map(|one| item(one, Some(filled.code)));
    let results = fixture
        .ingest(&sync_batch(session, items.to_vec(), 9003))
        .await
        .results;
    for result in &results {
        assert_eq!(outcome_of(result).0, SyncStatus::Rejected, "{result:?}");
        assert!(!result.errors.is_empty(), "{result:?}");
    }
}

pub(crate) async fn an_event_is_deleted_only_if_it_is_archived_and_has_the_expected_counts(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    fixture.ticket("{}").await;
    fixture.enter(code, 1).await;
    let counts = |scans, tickets| ExpectedCounts { scans, tickets };
    assert_eq!(
        delete(&fixture, ExpectedCounts::default()).await,
        Some(DeleteEventOutcome::NotArchived)
    );
    archive(&fixture).await;
    let differ = Some(DeleteEventOutcome::CountsDiffer { scans: 1, tickets: 2 });
    assert_eq!(delete(&fixture, counts(Some(0), Some(2))).await, differ);
    assert_eq!(delete(&fixture, counts(Some(1), Some(1))).await, differ);
    assert_eq!(delete(&fixture, counts(Some(1), Some(3))).await, differ);
    // A scan that came since the export keeps the event.
    assert_eq!(fixture.enter(code, 2).await, Reason::EventNotLive);
    let differ = Some(DeleteEventOutcome::CountsDiffer { scans: 2, tickets: 2 });
    assert_eq!(delete(&fixture, counts(Some(1), Some(2))).await, differ);
    assert!(
        fixture
            .store
            .event(fixture.organization, fixture.event)
            .await
            .expect("read")
            .is_some()
    );
    let other = fixture.another().await;
    let foreign = fixture
        .store
        .delete_event(
            other.organization,
            fixture.event,
            ExpectedCounts::default(),
            after(9000),
            audit(),
        )
        .await;
    assert_eq!(foreign.expect("the call succeeds"), None);
    assert_eq!(
        delete(&fixture, counts(Some(2), None)).await,
        Some(DeleteEventOutcome::Deleted)
    );
}

pub(crate) async fn events_are_found_by_how_long_they_are_archived(fixture: Fixture) {
    let archived = async |before: i64| -> Vec<EventId> {
        let page: &PageRequest = &ALL;
        let events = fixture
            .store
            .archived_events(fixture.organization, after(before), page)
            .await;
        events
            .expect("the events are read")
            .data
            .iter()
            .map(|event| event.id)
            .collect()
    };
    fixture
        .change_event_at(10, |event| event.status = EventStatus::Archived)
        .await;
    // A later change of an archived event does not make it younger.
    fixture
        .change_event_at(20, |event| {
            event.status = EventStatus::Archived;
            event.capacity = Some(5);
        })
        .await;
    assert_eq!(archived(9).await, []);
    assert_eq!(archived(10).await, [fixture.event]);
    fixture
        .change_event_at(30, |event| event.status = EventStatus::Ended)
        .await;
    assert_eq!(archived(40).await, []);
    fixture
        .change_event_at(50, |event| event.status = EventStatus::Archived)
        .await;
    assert_eq!(archived(49).await, []);
    assert_eq!(archived(50).await, [fixture.event]);
}
