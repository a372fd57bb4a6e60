//! Gates that serve several events: each event has its own facts and counts of the gate.

use std::sync::Arc;

use uuid::Uuid;
use voelgoed_scan_core::model::{
    EventId, GateId, GatePut, GateStatus, Reason, ScanId, ScanResult, SessionStart, TicketCode,
};
use voelgoed_scan_core::rules::ConflictKind;
use voelgoed_scan_core::store::{
    AcceptOutcome, Acceptance, ImportOutcome, Order, PutOutcome, ScanFilter, StartOutcome,
};
use voelgoed_scan_core::sync::{SyncResult, SyncScan, SyncStatus};

use crate::attempts::{entry, reasons, record_until_answered};
use crate::fixture::{
    ALL, Fixture, RULES, START, TestSession, after, audit, live, open_gate, put_device, put_event, put_gate,
    reason_text, with_identities,
};
use crate::sync::{item, outcome_of, scan, sync_batch};

impl Fixture {
    /// Another event of the organization, whose gates have the ids of this one's. Its devices work at its own gates.
    async fn event_at_the_same_gates(&self) -> Self {
        let event = put_event(&*self.store, self.organization, &live()).await;
        for (gate, name) in [(self.main_gate, "Main"), (self.side_gate, "Side")] {
            let put = self.put_gate_of(event, gate, &open_gate(name)).await;
            assert!(matches!(put, PutOutcome::Created(_)), "{put:?}");
        }
        let device = async |gate| {
            let label = Uuid::new_v4().to_string();
            put_device(&*self.store, self.organization, event, gate, &label).await
        };
        Self {
            database: Arc::clone(&self.database),
            store: Arc::clone(&self.store),
            organization: self.organization,
            event,
            main_gate: self.main_gate,
            side_gate: self.side_gate,
            main_session: device(self.main_gate).await,
            side_session: device(self.side_gate).await,
        }
    }

    async fn put_gate_of(
        &self,
        event: EventId,
        gate: GateId,
        put: &GatePut,
    ) -> PutOutcome<voelgoed_scan_core::model::Gate> {
        let put = self
            .store
            .put_gate(self.organization, event, gate, put, START, audit())
            .await;
        put.expect("the write succeeds")
    }

    /// Moves the device of a session to another event and gate, `seconds` after the start.
    async fn move_device(&self, from: &TestSession, event: EventId, gate: GateId, seconds: i64) {
        let start = SessionStart {
            event_id: event,
            gate_id: gate,
            replace: true,
        };
        let id = Uuid::new_v4().into();
        let started = self
            .store
            .start_session(self.organization, from.device, id, &start, after(seconds))
            .await;
        assert!(matches!(started, Ok(StartOutcome::Started(_))), "{started:?}");
    }

    /// The event and the session of a recorded scan.
    async fn event_and_session(&self, scan: ScanId) -> (EventId, Option<Uuid>) {
        let trail = self.audit_trail().await;
        let record = trail
            .iter()
            .find(|record| record.scan_id == scan)
            .expect("a record");
        (record.event_id, record.scan_session_id.map(|id| *id.as_uuid()))
    }
}

fn gate(json: &str) -> GatePut {
    serde_json::from_str(json).expect("a gate")
}

/// The status of a result, and the field that its first error names.
fn fault_of(result: &SyncResult) -> (SyncStatus, Option<&str>) {
    let pointer = result.errors.first().map(|fault| fault.pointer.as_str());
    (result.status, pointer)
}

pub(crate) async fn a_gate_serves_several_events_each_with_its_own_facts(fixture: Fixture) {
    let second = fixture.event_at_the_same_gates().await;
    let (store, organization, id) = (&fixture.store, fixture.organization, fixture.main_gate);
    let of_first = gate(r#"{"name":"North","code":"N","status":"open","capacity":5}"#);
    let of_second =
        gate(r#"{"name":"Backstage","code":"B","status":"closed","capacity":7,"ticket_classes":["Crew"]}"#);
    for (event, put) in [(fixture.event, &of_first), (second.event, &of_second)] {
        let put = fixture.put_gate_of(event, id, put).await;
        assert!(matches!(put, PutOutcome::Replaced(_)), "{put:?}");
    }
    for (event, put) in [(fixture.event, &of_first), (second.event, &of_second)] {
        let stored = store
            .gate(organization, event, id)
            .await
            .expect("the read succeeds");
        let stored = stored.expect("the gate");
        assert_eq!((stored.id, stored.event_id), (id, event));
        assert_eq!(
            (
                &stored.name,
                &stored.code,
                stored.status,
                stored.capacity,
                &stored.ticket_classes
            ),
            (
                &put.name,
                &put.code,
                put.status,
                put.capacity,
                &put.ticket_classes
            )
        );
        let listed = store.gates(organization, event, &ALL).await.expect("a page").data;
        assert_eq!(listed.len(), 2);
        assert!(listed.contains(&stored));
        let counts = store.occupancy(organization, event, START).await;
        let counts = counts.expect("the read succeeds").expect("the event");
        let names: Vec<_> = counts
            .gates
            .iter()
            .map(|gate| (gate.name.as_str(), gate.count.capacity))
            .collect();
        let side = ("Side", None);
        let mut expected = [(put.name.as_str(), put.capacity), side];
        expected.sort_unstable();
        assert_eq!(names, expected);
        let manifest = store.read_manifest(organization, event, &|_| None).await;
        let manifest = manifest.expect("the read succeeds").expect("the event");
        assert!(manifest.gates.contains(&stored));
        assert_eq!(manifest.gates.len(), 2);
    }
}

pub(crate) async fn a_scan_is_decided_by_the_gate_of_its_own_event(fixture: Fixture) {
    let second = fixture.event_at_the_same_gates().await;
    // One batch has scans of both events at one gate.
    let scans = async |seconds| {
        let batch = [
            entry(&fixture.main_session, fixture.ticket("{}").await, seconds),
            entry(&second.main_session, second.ticket("{}").await, seconds),
            entry(&fixture.main_session, second.ticket("{}").await, seconds),
        ];
        let recorded = fixture.record(&batch).await;
        (
            reasons(&recorded)[0],
            reasons(&recorded)[1],
            reasons(&recorded)[2],
        )
    };
    assert_eq!(
        scans(0).await,
        (Reason::Admitted, Reason::Admitted, Reason::OtherEvent)
    );
    second
        .change_gate(second.main_gate, |gate| gate.capacity = Some(1))
        .await;
    assert_eq!(
        scans(1).await,
        (Reason::Admitted, Reason::GateFull, Reason::OtherEvent)
    );
    second
        .change_gate(second.main_gate, |gate| gate.status = GateStatus::Closed)
        .await;
    assert_eq!(
        scans(2).await,
        (Reason::Admitted, Reason::GateClosed, Reason::OtherEvent)
    );
    fixture.change_event(|event| event.capacity = Some(3)).await;
    second.change_gate(second.main_gate, |_| {}).await;
    assert_eq!(
        scans(3).await,
        (Reason::EventFull, Reason::Admitted, Reason::OtherEvent)
    );
    assert_eq!(fixture.inside().await, (3, 0, 3));
    assert_eq!(second.inside().await, (2, 0, 2));
    let results = (
        fixture.occupancy().await.results,
        second.occupancy().await.results,
    );
    assert_eq!(
        (results.0.valid, results.0.wrong_event, results.0.refused),
        (3, 4, 1)
    );
    assert_eq!(
        (results.1.valid, results.1.wrong_event, results.1.refused),
        (2, 0, 2)
    );
}

pub(crate) async fn two_events_at_one_gate_are_counted_apart_under_load(fixture: Fixture) {
    let second = fixture.event_at_the_same_gates().await;
    let nodes = fixture.open_nodes().await;
    second.change_event(|event| event.capacity = Some(10)).await;
    let (mut first_codes, mut second_codes) = (Vec::new(), Vec::new());
    for _ in 0..16 {
        first_codes.push(fixture.ticket("{}").await);
        second_codes.push(second.ticket("{}").await);
    }
    // Every node scans every ticket, the events in turn, each node in another order.
    let calls: Vec<_> = (0..8)
        .map(|number| {
            let node = Arc::clone(&nodes[number % nodes.len()]);
            let both = first_codes.iter().zip(&second_codes);
            let mut batch: Vec<_> = both
                .flat_map(|(first, other)| {
                    [
                        entry(&fixture.main_session, *first, 0),
                        entry(&second.main_session, *other, 0),
                    ]
                })
                .collect();
            batch.rotate_left(number * 3);
            let store = Arc::clone(&fixture.store);
            tokio::spawn(async move {
                for scans in batch.chunks(8) {
                    let scans = with_identities(&*store, scans).await;
                    record_until_answered(&*node, &scans).await;
                }
            })
        })
        .collect();
    for call in calls {
        call.await.expect("the task completes");
    }
    assert_eq!(fixture.inside().await, (16, 0, 16));
    assert_eq!(second.inside().await, (10, 0, 10));
    for (fixture, valid) in [(&fixture, 16), (&second, 10)] {
        let results = fixture.occupancy().await.results;
        let all = results.valid + results.duplicate + results.refused;
        assert_eq!((results.valid, all), (valid, 8 * 16));
    }
}

pub(crate) async fn a_code_is_unique_in_its_event(fixture: Fixture) {
    let second = fixture.event_at_the_same_gates().await;
    let north = gate(r#"{"name":"North","code":"N1","status":"open"}"#);
    let is_taken = |put: PutOutcome<_>| match put {
        PutOutcome::Conflict(reason) => {
            assert_eq!(reason, "another gate of this event has this code");
            true
        }
        PutOutcome::Created(_) | PutOutcome::Replaced(_) => false,
        PutOutcome::Missing => panic!("the event exists"),
    };
    let put = async |event, gate| is_taken(fixture.put_gate_of(event, gate, &north).await);
    let new = GateId::from_uuid(Uuid::new_v4());
    assert!(!put(fixture.event, fixture.main_gate).await, "the first");
    assert!(!put(fixture.event, fixture.main_gate).await, "its own code");
    assert!(put(fixture.event, fixture.side_gate).await, "a gate that exists");
    assert!(put(fixture.event, new).await, "a new gate");
    assert!(!put(second.event, fixture.side_gate).await, "another event");
    let gates = fixture
        .store
        .gates(fixture.organization, fixture.event, &ALL)
        .await;
    assert_eq!(gates.expect("a page").data.len(), 2, "nothing was written");
    fixture
        .change_gate(fixture.main_gate, |gate| gate.code = None)
        .await;
    assert!(
        !put(fixture.event, fixture.side_gate).await,
        "the code is free again"
    );
    // Of concurrent calls one gets a code.
    let other = gate(r#"{"name":"East","code":"E1","status":"open"}"#);
    let calls: Vec<_> = fixture
        .open_nodes()
        .await
        .into_iter()
        .map(|node| {
            let (organization, event, other) = (fixture.organization, fixture.event, other.clone());
            let id = GateId::from_uuid(Uuid::new_v4());
            tokio::spawn(async move {
                node.put_gate(organization, event, id, &other, START, audit())
                    .await
            })
        })
        .collect();
    let mut created = 0;
    for call in calls {
        let put = call
            .await
            .expect("the task completes")
            .expect("the write succeeds");
        created += usize::from(!is_taken(put));
    }
    assert_eq!(created, 1);
}

pub(crate) async fn a_ticket_is_limited_to_gates_of_its_own_event(fixture: Fixture) {
    let second = fixture.event_at_the_same_gates().await;
    let only_first = put_gate(
        &*fixture.store,
        fixture.organization,
        fixture.event,
        &open_gate("Old"),
    )
    .await;
    let line = |gate: GateId| format!(r#"{{"gate_ids":["{gate}"]}}"#);
    let rejected = second.import(&[&line(only_first)]).await;
    assert!(
        matches!(rejected[..], [ImportOutcome::Rejected(_)]),
        "{rejected:?}"
    );
    let code = second.ticket(&line(fixture.side_gate)).await;
    assert_eq!(second.enter(code, 0).await, Reason::GateNotAllowed);
    let at_side = entry(&second.side_session, code, 1);
    assert_eq!(second.reason(at_side).await, Reason::Admitted);
}

/// A scan without an event at a gate, by the device of a session.
fn at_gate(session: &TestSession, gate: GateId, code: TicketCode, seconds: i64) -> SyncScan {
    SyncScan {
        gate_id: gate,
        ..scan(session, code, seconds)
    }
}

pub(crate) async fn an_uploaded_scan_finds_its_event(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let only = put_gate(
        &*fixture.store,
        fixture.organization,
        fixture.event,
        &open_gate("Only"),
    )
    .await;
    let second = fixture.event_at_the_same_gates().await;
    let device = &fixture.main_session;
    // The device is at the first event until 100 s, at another gate of the second until 200 s, then nowhere.
    fixture
        .move_device(device, second.event, second.side_gate, 100)
        .await;
    let token = crate::fixture::token(&format!("{} scanner-1", fixture.organization));
    let moved = fixture.store.find_device_by_token(&token).await;
    let moved = moved.expect("the read succeeds").expect("the device");
    let moved = moved.active_session.expect("a session").session.id;
    let ended = fixture
        .store
        .end_session(fixture.organization, moved, after(200), None)
        .await;
    assert!(ended.expect("the write succeeds").is_some());
    let named = |event: EventId, seconds| SyncScan {
        event_id: Some(event),
        ..at_gate(device, fixture.main_gate, code, seconds)
    };
    let unnamed = |gate: GateId, seconds| at_gate(device, gate, code, seconds);
    let cases = [
        (
            "the event that it names",
            named(fixture.event, 300),
            fixture.event,
        ),
        (
            "the other one that it names",
            named(second.event, 10),
            second.event,
        ),
        ("the only event with the gate", unnamed(only, 300), fixture.event),
        (
            "the only event, not that of the session",
            unnamed(only, 150),
            fixture.event,
        ),
        (
            "that of the session",
            unnamed(fixture.main_gate, 50),
            fixture.event,
        ),
        (
            "that of the later session",
            unnamed(fixture.main_gate, 150),
            second.event,
        ),
        (
            "that of the session that starts",
            unnamed(fixture.side_gate, 100),
            second.event,
        ),
    ];
    for (name, scan, event) in cases {
        let id = scan.scan_id;
        let results = fixture.sync(device, code, &[scan]).await;
        assert_eq!(results[0].status, SyncStatus::Recorded, "{name}: {results:?}");
        assert_eq!(fixture.event_and_session(id).await.0, event, "{name}");
    }
    // The ticket of the first event is known at the second, and the person counts there.
    assert_eq!((fixture.inside().await.2, second.inside().await.2), (4, 3));
    assert_eq!(fixture.ticket_facts(code).await.ticket.scan_count, 1);
}

pub(crate) async fn a_scan_that_finds_no_event_is_rejected(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let second = fixture.event_at_the_same_gates().await;
    let elsewhere = fixture.another().await;
    let third = put_event(&*fixture.store, fixture.organization, &live()).await;
    let of_third = put_gate(&*fixture.store, fixture.organization, third, &open_gate("Third")).await;
    let device = &fixture.main_session;
    fixture.move_device(device, third, of_third, 100).await;
    let named = |event: EventId| SyncScan {
        event_id: Some(event),
        ..scan(device, code, 10)
    };
    let unnamed = |gate: GateId, seconds| at_gate(device, gate, code, seconds);
    let scans = [
        (
            "no session at its time",
            unnamed(fixture.main_gate, -10),
            "/event_id",
        ),
        (
            "the session's event has not the gate",
            unnamed(fixture.main_gate, 150),
            "/event_id",
        ),
        ("a named event without the gate", named(third), "/event_id"),
        (
            "another organization's event",
            named(elsewhere.event),
            "/event_id",
        ),
        (
            "another organization's gate",
            unnamed(elsewhere.main_gate, 10),
            "/gate_id",
        ),
        ("no gate at all", unnamed(Uuid::new_v4().into(), 10), "/gate_id"),
    ];
    let good = scan(device, code, 20);
    let all: Vec<_> = scans
        .iter()
        .map(|(_, scan, _)| scan.clone())
        .chain([good.clone()])
        .collect();
    let results = fixture.sync(device, code, &all).await;
    for (result, (name, _, pointer)) in results.iter().zip(&scans) {
        assert_eq!(fault_of(result), (SyncStatus::Rejected, Some(*pointer)), "{name}");
    }
    assert_eq!(
        results.last().map(|result| result.status),
        Some(SyncStatus::Recorded)
    );
    assert_eq!(fixture.audit_trail().await.len(), 1);
    assert_eq!((fixture.inside().await.2, second.inside().await.2), (1, 0));
    // A rejected scan is sent again with its event.
    let mut again = all[0].clone();
    again.event_id = Some(second.event);
    let results = fixture.sync(device, code, &[again]).await;
    assert_eq!(fault_of(&results[0]), (SyncStatus::Recorded, None));
    assert_eq!((fixture.inside().await.2, second.inside().await.2), (1, 1));
}

pub(crate) async fn an_uploaded_scan_has_the_session_of_its_event_and_gate(fixture: Fixture) {
    let second = fixture.event_at_the_same_gates().await;
    let code = fixture.ticket("{}").await;
    let device = &fixture.main_session;
    let at = |event: EventId, gate: GateId| SyncScan {
        event_id: Some(event),
        ..at_gate(device, gate, code, 10)
    };
    let own = Some(*device.id.as_uuid());
    for (event, gate, session) in [
        (fixture.event, fixture.main_gate, own),
        (fixture.event, fixture.side_gate, None),
        (second.event, fixture.main_gate, None),
        (second.event, fixture.side_gate, None),
    ] {
        let scan = at(event, gate);
        let id = scan.scan_id;
        fixture.sync(device, code, &[scan]).await;
        assert_eq!(fixture.event_and_session(id).await, (event, session));
    }
    let session = fixture.store.session(fixture.organization, device.id).await;
    assert_eq!(
        session.expect("the read succeeds").expect("a session").scan_count,
        1
    );
}

pub(crate) async fn a_quarantined_scan_keeps_its_event(fixture: Fixture) {
    let second = fixture.event_at_the_same_gates().await;
    let code = second.ticket("{}").await;
    let device = &second.main_session;
    let revoked = second
        .store
        .revoke_device(second.organization, device.device, after(100), audit())
        .await;
    assert!(revoked.expect("the write succeeds"));
    // The event is that of the session at the time. A later copy of the clock is outside of it.
    let one = scan(device, code, 10);
    let results = second.sync(device, code, std::slice::from_ref(&one)).await;
    assert_eq!(outcome_of(&results[0]), (SyncStatus::Quarantined, None, None));
    let mut later = one.clone();
    later.scanned_at = after(500);
    let results = second.sync(device, code, &[later]).await;
    assert_eq!(fault_of(&results[0]), (SyncStatus::Quarantined, None));
    second
        .change_gate(second.main_gate, |gate| {
            gate.name = "Second's".parse().expect("a name");
        })
        .await;
    let conflicts = fixture.conflicts().await;
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].gates[0].name, "Second's");
    let acceptance = Acceptance {
        reason: reason_text("seen at the gate"),
        api_key_id: Uuid::from_u128(1).into(),
        at: after(5000),
    };
    let accepted = second
        .store
        .accept(second.organization, one.scan_id, &acceptance, &RULES, audit())
        .await;
    let Ok(Some(AcceptOutcome::Accepted { record, .. })) = accepted else {
        panic!("{accepted:?}")
    };
    assert_eq!(
        (record.event_id, record.gate_id),
        (second.event, second.main_gate)
    );
    assert_eq!(
        (record.result, record.reason),
        (ScanResult::Valid, Reason::Admitted)
    );
    assert_eq!((fixture.inside().await.2, second.inside().await), (0, (1, 0, 1)));
}

pub(crate) async fn a_conflict_names_the_gate_of_its_own_event(fixture: Fixture) {
    let second = fixture.event_at_the_same_gates().await;
    second
        .change_gate(second.main_gate, |gate| {
            gate.name = "Yard".parse().expect("a name");
        })
        .await;
    let code = second.ticket("{}").await;
    let scans = [
        scan(&second.main_session, code, 10),
        scan(&second.main_session, code, 20),
    ];
    second.sync(&second.main_session, code, &scans).await;
    let conflicts = fixture.conflicts().await;
    assert_eq!(
        conflicts.len(),
        1,
        "a row for the scan, not one for each gate with its id"
    );
    assert_eq!(conflicts[0].kind, ConflictKind::DoubleEntry);
    let names: Vec<_> = conflicts[0].gates.iter().map(|gate| gate.name.as_str()).collect();
    assert_eq!(names, ["Yard", "Yard"]);
}

pub(crate) async fn the_audit_trail_filters_by_gate_and_by_event(fixture: Fixture) {
    let second = fixture.event_at_the_same_gates().await;
    for (fixture, seconds) in [(&fixture, 1), (&second, 2)] {
        for session in [&fixture.main_session, &fixture.side_session] {
            let code = fixture.ticket("{}").await;
            fixture.decided(entry(session, code, seconds)).await;
        }
    }
    let seconds = async |event_id, gate_id| {
        let filter = ScanFilter {
            event_id,
            gate_id,
            ..ScanFilter::default()
        };
        let page = fixture
            .store
            .scans(fixture.organization, &filter, Order::Oldest, &ALL)
            .await;
        let at = |scan: &voelgoed_scan_core::model::ScanRecord| scan.scanned_at.millis_since(START) / 1000;
        page.expect("a page").data.iter().map(at).collect::<Vec<_>>()
    };
    let gate = Some(fixture.main_gate);
    assert_eq!(seconds(None, gate).await, [1, 2]);
    assert_eq!(seconds(Some(fixture.event), gate).await, [1]);
    assert_eq!(seconds(Some(second.event), gate).await, [2]);
    assert_eq!(seconds(Some(second.event), None).await, [2, 2]);
}

pub(crate) async fn a_gate_of_another_organization_changes_nothing(fixture: Fixture) {
    let other = fixture.another().await;
    // The other organization uses the same ids of an event and of a gate.
    let put = other
        .store
        .put_event(other.organization, fixture.event, &live(), START, audit())
        .await;
    assert!(matches!(put, Ok(PutOutcome::Created(_))), "{put:?}");
    for event in [fixture.event, other.event] {
        let put = gate(r#"{"name":"Theirs","code":"T","status":"closed","capacity":0}"#);
        let put = other.put_gate_of(event, fixture.main_gate, &put).await;
        assert!(matches!(put, PutOutcome::Created(_)), "{put:?}");
    }
    // Its events do not count: the only event with the gate is the first organization's.
    let code = fixture.ticket("{}").await;
    let before = scan(&fixture.main_session, code, -10);
    let id = before.scan_id;
    let results = fixture.sync(&fixture.main_session, code, &[before]).await;
    assert_eq!(fault_of(&results[0]), (SyncStatus::Recorded, None));
    assert_eq!(fixture.event_and_session(id).await, (fixture.event, None));
    let online = fixture.ticket("{}").await;
    assert_eq!(fixture.enter(online, 20).await, Reason::Admitted);
    let own = gate(r#"{"name":"Main","code":"T","status":"open"}"#);
    let put = fixture.put_gate_of(fixture.event, fixture.main_gate, &own).await;
    assert!(matches!(put, PutOutcome::Replaced(_)), "{put:?}");
    assert_eq!(fixture.inside().await, (2, 0, 2));
    let counts = other
        .store
        .occupancy(other.organization, fixture.event, START)
        .await;
    let counts = counts.expect("the read succeeds").expect("the event");
    assert_eq!((counts.event.inside, counts.event.entries), (0, 0));
    // A device of the other organization scans for its own event with this gate, and for none of this one's.
    let device = &other.main_session;
    let results = other
        .sync(device, code, &[at_gate(device, fixture.side_gate, code, 10)])
        .await;
    assert_eq!(fault_of(&results[0]), (SyncStatus::Rejected, Some("/gate_id")));
    let items = vec![item(at_gate(device, other.main_gate, code, 10), Some(code))];
    let results = other.ingest(&sync_batch(device, items, 3600)).await.results;
    assert_eq!(
        (results[0].status, results[0].reason),
        (SyncStatus::Recorded, Some(Reason::TicketNotFound))
    );
    let of_its_own = SyncScan {
        event_id: Some(fixture.event),
        ..at_gate(device, fixture.main_gate, code, 11)
    };
    let id = of_its_own.scan_id;
    let results = other.sync(device, code, &[of_its_own]).await;
    assert_eq!(results[0].reason, Some(Reason::TicketNotFound));
    assert_eq!(other.event_and_session(id).await.0, fixture.event);
    assert_eq!(fixture.audit_trail().await.len(), 2);
    assert_eq!(fixture.inside().await, (2, 0, 2));
    assert_eq!(fixture.ticket_facts(code).await.ticket.scan_count, 1);
}
