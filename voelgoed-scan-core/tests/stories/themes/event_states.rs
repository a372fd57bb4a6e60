//! Check 6 on every path: an event's state, its doors and its new date decide the same online, from a cache, on a phone
//! without network, for a scan that is uploaded undecided, and in a dry run.
//!
//! The expected reasons are those of `docs/results.md`, written out. Nothing here computes them.

use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;
use voelgoed_scan_core::client::VerdictSource;
use voelgoed_scan_core::model::{
    AuditContext, DecidedBy, DeviceRegister, DeviceToken, EventPut, EventStatus, Name, Reason, Reentry,
    ScanAnswer, ScanRequest, ScanResult, SessionStart, Timestamp, Warning,
};
use voelgoed_scan_core::sync::{ReceivedScan, SyncRequest, SyncResult};

use super::{Network, Scene, later};
use crate::office::{Kind, Office};
use crate::run;
use crate::server::Server;

use EventStatus::{Archived, Cancelled, Draft, Ended, Live, Postponed, Published};
use Reason::{
    Admitted, AlreadyScanned, DoorsClosed, DoorsNotOpen, EventCancelled, EventNotLive, EventPostponed,
};

/// Where a scan stands in relation to the doors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doors {
    None,
    Before,
    Within,
    After,
}

/// The reasons of a first entry online, of a second entry from the cache, of a first entry on a phone without network, of one
/// that is uploaded undecided, and of a dry run.
type Reasons = [Reason; 5];

const ADMITTED: Reasons = [Admitted, AlreadyScanned, Admitted, Admitted, Admitted];
const PUBLISHED: Reasons = [EventNotLive, EventNotLive, EventNotLive, EventNotLive, Admitted];

/// The seven states, each without doors and before, within and after them. A postponed event here has no new date.
const STATES: [(EventStatus, Doors, Reasons); 28] = [
    (Draft, Doors::None, [EventNotLive; 5]),
    (Draft, Doors::Before, [EventNotLive; 5]),
    (Draft, Doors::Within, [EventNotLive; 5]),
    (Draft, Doors::After, [EventNotLive; 5]),
    (Published, Doors::None, PUBLISHED),
    (Published, Doors::Before, PUBLISHED),
    (Published, Doors::Within, PUBLISHED),
    (Published, Doors::After, PUBLISHED),
    (Live, Doors::None, ADMITTED),
    (Live, Doors::Before, [DoorsNotOpen; 5]),
    (Live, Doors::Within, ADMITTED),
    (Live, Doors::After, [DoorsClosed; 5]),
    (Ended, Doors::None, [EventNotLive; 5]),
    (Ended, Doors::Before, [EventNotLive; 5]),
    (Ended, Doors::Within, [EventNotLive; 5]),
    (Ended, Doors::After, [EventNotLive; 5]),
    (Cancelled, Doors::None, [EventCancelled; 5]),
    (Cancelled, Doors::Before, [EventCancelled; 5]),
    (Cancelled, Doors::Within, [EventCancelled; 5]),
    (Cancelled, Doors::After, [EventCancelled; 5]),
    (Postponed, Doors::None, [EventPostponed; 5]),
    (Postponed, Doors::Before, [EventPostponed; 5]),
    (Postponed, Doors::Within, [EventPostponed; 5]),
    (Postponed, Doors::After, [EventPostponed; 5]),
    (Archived, Doors::None, [EventNotLive; 5]),
    (Archived, Doors::Before, [EventNotLive; 5]),
    (Archived, Doors::Within, [EventNotLive; 5]),
    (Archived, Doors::After, [EventNotLive; 5]),
];

/// A postponed event of three hours: hours from the scan to its new start, its doors, and the reasons.
const NEW_DATES: [(i64, Doors, Reasons); 8] = [
    (1, Doors::None, [EventPostponed; 5]),
    (1, Doors::Within, [EventPostponed; 5]),
    (-1, Doors::None, ADMITTED),
    (-1, Doors::Before, ADMITTED),
    (-1, Doors::Within, ADMITTED),
    (-1, Doors::After, ADMITTED),
    (-4, Doors::None, [EventNotLive; 5]),
    (-4, Doors::Within, [EventNotLive; 5]),
];

/// The tickets of a row, each for a path of its own.
const TICKETS: usize = 5;

const HOUR: i64 = 3_600_000;

fn event(status: EventStatus) -> EventPut {
    EventPut::new(Name::new("Kirkwood Fees").expect("a name"), status)
}

fn event_with_doors(status: EventStatus, doors: Doors, now: Timestamp) -> EventPut {
    let hours = |from: i64, until: i64| {
        let at = |hours: i64| Some(now.plus_millis(hours * HOUR));
        (at(from), at(until))
    };
    let (doors_open_at, doors_close_at) = match doors {
        Doors::None => (None, None),
        Doors::Before => hours(1, 2),
        Doors::Within => hours(-1, 1),
        Doors::After => hours(-2, -1),
    };
    EventPut {
        doors_open_at,
        doors_close_at,
        ..event(status)
    }
}

/// A device at the main gate that calls the node directly, at times of the test's choice.
pub(super) struct Door<'a> {
    office: &'a Office,
    token: Arc<DeviceToken>,
}

impl<'a> Door<'a> {
    pub(super) async fn open(office: &'a Office) -> Self {
        let (organization, place, now) = (office.organization, office.places[0], office.clock.now());
        let register: DeviceRegister =
            serde_json::from_value(json!({ "device_id": "door", "name": "Door", "device_type": "scanner" }))
                .expect("a device");
        let token = office
            .server
            .run(move |server| async move {
                let registered = server
                    .admin
                    .register_device(organization, &register, &AuditContext::cli(), now)
                    .await;
                let (_, token) = registered.expect("it is registered").row().expect("a new label");
                let device = server
                    .scanner
                    .authenticate(&token.hash())
                    .await
                    .expect("an answer");
                let start = SessionStart {
                    event_id: place.event,
                    gate_id: place.main,
                    replace: false,
                };
                let device = device.expect("a device");
                let started = server.scanner.start_session(&device, &start, now).await;
                started.expect("a session");
                token
            })
            .await;
        Self {
            office,
            token: Arc::new(token),
        }
    }

    pub(super) async fn put(&self, event: EventPut, now: Timestamp) {
        let (organization, id) = (self.office.organization, self.office.places[0].event);
        let put = move |server: Arc<Server>| async move {
            let put = server
                .admin
                .put_event(organization, id, &event, &AuditContext::cli(), now)
                .await;
            put.expect("an event").row().expect("it is replaced");
        };
        self.office.server.run(put).await;
    }

    pub(super) async fn request(&self, ticket: usize, now: Timestamp, dry_run: bool) -> ScanAnswer {
        self.send(
            json!({ "qr": self.office.tickets[ticket].qr, "dry_run": dry_run }),
            now,
        )
        .await
    }

    /// Scans an exit.
    pub(super) async fn leave(&self, ticket: usize, now: Timestamp) -> ScanAnswer {
        self.send(
            json!({ "qr": self.office.tickets[ticket].qr, "direction": "exit" }),
            now,
        )
        .await
    }

    async fn send(&self, request: Value, now: Timestamp) -> ScanAnswer {
        let token = Arc::clone(&self.token);
        let request: ScanRequest = serde_json::from_value(request).expect("a request");
        let scan = move |server: Arc<Server>| async move {
            let device = server
                .scanner
                .authenticate(&token.hash())
                .await
                .expect("an answer");
            let answer = server
                .scanner
                .scan(&device.expect("a device"), request, now)
                .await;
            answer.expect("an answer")
        };
        self.office.server.run(scan).await
    }

    pub(super) async fn scan(&self, ticket: usize, now: Timestamp) -> ScanAnswer {
        self.request(ticket, now, false).await
    }

    /// An item of an upload. `local_result` is the decision of the device, null if it made none.
    pub(super) fn item(
        &self,
        ticket: usize,
        scanned_at: Timestamp,
        local_result: Option<ScanResult>,
    ) -> Value {
        json!({
            "scan_id": Uuid::new_v4(), "qr": self.office.tickets[ticket].qr, "gate_id": self.office.places[0].main,
            "scanned_at": scanned_at, "local_result": local_result,
            "local_reason": local_result.map(|_| "admitted")
        })
    }

    pub(super) async fn upload(&self, items: &[Value], now: Timestamp) -> Vec<SyncResult> {
        let token = Arc::clone(&self.token);
        let batch = json!({ "batch_id": Uuid::new_v4(), "sent_at": now, "scans": items });
        let upload = move |server: Arc<Server>| async move {
            let device = server
                .scanner
                .authenticate(&token.hash())
                .await
                .expect("an answer");
            let batch = SyncRequest::<ReceivedScan>::read(batch.to_string().as_bytes()).expect("a batch");
            let answer = server
                .scanner
                .sync(&device.expect("a device"), batch, None, now)
                .await;
            answer.expect("an answer").results
        };
        self.office.server.run(upload).await
    }
}

/// Checks every path of a row. `put` makes the event from the time of the scans.
async fn check(
    scene: &Scene,
    door: &Door<'_>,
    row: usize,
    what: &str,
    expected: Reasons,
    put: impl Fn(Timestamp) -> EventPut,
) {
    let [online, cached, offline, uploaded, dry] = expected;
    let first = row * TICKETS;
    let [used, new, at_phone, undecided, let_in] = [first, first + 1, first + 2, first + 3, first + 4];
    let now = scene.office.clock.now();
    door.put(event(Live), now).await;
    assert_eq!(
        door.scan(used, now).await.reason,
        Admitted,
        "{what}: the ticket of the cache"
    );

    door.put(put(now), now).await;
    let answer = door.scan(used, now).await;
    assert_eq!(
        (answer.reason, answer.decided_by),
        (cached, DecidedBy::Memory),
        "{what}: cache"
    );

    let answer = door.request(new, now, true).await;
    assert_eq!(answer.reason, dry, "{what}: dry run");
    let warns = answer.warnings.contains(&Warning::EventNotLive);
    assert_eq!(warns, expected == PUBLISHED, "{what}: the warning of the dry run");
    let answer = door.scan(new, now).await;
    assert_eq!(
        (answer.reason, answer.decided_by),
        (online, DecidedBy::Database),
        "{what}: online"
    );
    assert!(
        !answer.warnings.contains(&Warning::EventNotLive),
        "{what}: only a dry run warns"
    );

    let items = [
        door.item(undecided, now, None),
        door.item(let_in, now, Some(ScanResult::Valid)),
    ];
    let results = door.upload(&items, now).await;
    assert_eq!(
        results[0].reason,
        Some(uploaded),
        "{what}: upload without a decision"
    );
    assert_eq!(
        results[1].reason,
        Some(Admitted),
        "{what}: the device let the person in"
    );
    assert_eq!(results[1].conflict, None, "{what}: the device let the person in");

    scene.refresh(0).await;
    scene.set(0, Network::Offline);
    let verdict = scene
        .scan(0, at_phone, voelgoed_scan_core::model::Direction::Entry)
        .await;
    assert_eq!(
        (verdict.reason, verdict.decided_by),
        (offline, VerdictSource::Device),
        "{what}: phone"
    );
    scene.set(0, Network::Online);
    later(60).await;
}

#[test]
fn every_state_with_and_without_doors_decides_the_same_on_every_path() {
    run(async |server, clock| {
        let kinds = vec![Kind::Plain; STATES.len() * TICKETS];
        let scene = Scene::new(&server, clock, Reentry::Never, &kinds).await;
        let door = Door::open(&scene.office).await;
        for (row, (status, doors, expected)) in STATES.into_iter().enumerate() {
            let what = format!("{status}, {doors:?}");
            let put = |now| event_with_doors(status, doors, now);
            check(&scene, &door, row, &what, expected, put).await;
        }
        let report = scene.sync(0).await;
        assert_eq!((report.recorded, report.conflicts), (STATES.len() as u64, 0));
    });
}

#[test]
fn a_postponed_event_takes_entries_at_its_new_date_on_every_path() {
    run(async |server, clock| {
        let kinds = vec![Kind::Plain; NEW_DATES.len() * TICKETS];
        let scene = Scene::new(&server, clock, Reentry::Never, &kinds).await;
        let door = Door::open(&scene.office).await;
        for (row, (hours, doors, expected)) in NEW_DATES.into_iter().enumerate() {
            let what = format!("new start in {hours} h, {doors:?}");
            let put = |now: Timestamp| EventPut {
                starts_at: Some(now.plus_millis(-100 * HOUR)),
                ends_at: Some(now.plus_millis(-97 * HOUR)),
                rescheduled_at: Some(now.plus_millis(hours * HOUR)),
                ..event_with_doors(Postponed, doors, now)
            };
            check(&scene, &door, row, &what, expected, put).await;
        }
    });
}

#[test]
fn a_bound_that_passes_changes_the_answer_of_a_cache_at_that_moment() {
    run(async |server, clock| {
        let scene = Scene::new(&server, clock, Reentry::Never, &[Kind::Plain; 2]).await;
        let door = Door::open(&scene.office).await;
        let now = clock.now();
        assert_eq!(door.scan(0, now).await.reason, Admitted);
        let (open, close) = (now.plus_millis(10), now.plus_millis(20));
        let doors = EventPut {
            doors_open_at: Some(open),
            doors_close_at: Some(close),
            ..event(Live)
        };
        let postponed = EventPut {
            starts_at: Some(now.plus_millis(-10)),
            ends_at: Some(now),
            rescheduled_at: Some(open),
            ..event(Postponed)
        };
        for (put, before, after) in [
            (doors, DoorsNotOpen, DoorsClosed),
            (postponed, EventPostponed, EventNotLive),
        ] {
            door.put(put, now).await;
            for (at, expected) in [
                (open.plus_millis(-1), before),
                (open, AlreadyScanned),
                (close, AlreadyScanned),
                (close.plus_millis(1), after),
            ] {
                let answer = door.scan(0, at).await;
                assert_eq!(
                    (answer.reason, answer.decided_by),
                    (expected, DecidedBy::Memory),
                    "{at}"
                );
                if expected != AlreadyScanned {
                    assert_eq!(door.scan(1, at).await.reason, expected, "{at}");
                }
            }
        }
        door.put(event(Live), now).await;
        assert_eq!(door.scan(1, close).await.reason, Admitted, "no denial stays");
    });
}

#[test]
fn an_undecided_scan_is_judged_by_the_doors_at_its_time_and_by_the_present_status() {
    run(async |server, clock| {
        let scene = Scene::new(&server, clock, Reentry::Never, &[Kind::Plain; 6]).await;
        let door = Door::open(&scene.office).await;
        let now = clock.now();
        let (open, close) = (now.plus_millis(-2 * HOUR), now.plus_millis(-HOUR));
        let doors = EventPut {
            doors_open_at: Some(open),
            doors_close_at: Some(close),
            ..event(Live)
        };
        door.put(doors.clone(), now).await;
        let scans = [
            (open.plus_millis(-1), DoorsNotOpen),
            (open, Admitted),
            (close, Admitted),
            (close.plus_millis(1), DoorsClosed),
        ];
        let items: Vec<_> = (0..)
            .zip(scans)
            .map(|(ticket, (at, _))| door.item(ticket, at, None))
            .collect();
        let found: Vec<_> = door
            .upload(&items, now)
            .await
            .into_iter()
            .map(|one| one.reason)
            .collect();
        assert_eq!(found, scans.map(|(_, reason)| Some(reason)));

        let cancelled = EventPut {
            status: Cancelled,
            ..doors
        };
        door.put(cancelled, now).await;
        let items = [
            door.item(4, open, None),
            door.item(5, close.plus_millis(1), Some(ScanResult::Valid)),
        ];
        let results = door.upload(&items, now).await;
        assert_eq!(results[0].reason, Some(EventCancelled));
        assert_eq!(
            (results[1].reason, results[1].conflict.is_some()),
            (Some(Admitted), false)
        );
    });
}

#[test]
fn an_exit_is_possible_in_every_state() {
    run(async |server, clock| {
        let kinds = vec![Kind::Plain; EventStatus::ALL.len()];
        let scene = Scene::new(&server, clock, Reentry::Never, &kinds).await;
        let door = Door::open(&scene.office).await;
        for (ticket, &status) in EventStatus::ALL.iter().enumerate() {
            let now = scene.office.clock.now();
            door.put(event(Live), now).await;
            assert_eq!(scene.enter(0, ticket).await, Admitted);
            let now = scene.office.clock.now();
            door.put(event_with_doors(status, Doors::After, now), now).await;
            assert_eq!(scene.leave(0, ticket).await, Reason::Exited, "{status}");
        }
    });
}
