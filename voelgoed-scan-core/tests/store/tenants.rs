//! Isolation of organizations: one organization sees and changes nothing of another.

use std::collections::BTreeSet;

use voelgoed_scan_core::model::{
    ApiKey, ApiKeyId, Attempt, DecidedBy, Denial, KeyFormat, KeyId, KeyStatus, Reason, Recorded, Role,
    SessionId, SessionStart, SettableStatus, SigningKey,
};
use voelgoed_scan_core::rules::NewScan;
use voelgoed_scan_core::store::{
    DeleteOutcome, ImportOutcome, Order, PutOutcome, ScanFilter, StartOutcome, UndoPermission,
};

use crate::attempts::{entry, reasons};
use crate::fixture::{
    ALL, Fixture, RULES, START, after, audit, live, name, numbered, open_gate, reason_text, token,
};

#[expect(
    clippy::too_many_lines,
    reason = "one assertion for every method of the store"
)]
pub(crate) async fn ids_of_another_organization_are_unknown(fixture: Fixture) {
    let store = &fixture.store;
    let code = fixture.ticket("{}").await;
    let scan = fixture
        .decided(entry(&fixture.main_session, code, 0))
        .await
        .record
        .scan_id;
    let key = SigningKey {
        format: KeyFormat::Vg1,
        kid: KeyId::FIRST,
        status: KeyStatus::Active,
        public_key: None,
        inserted_at: START,
    };
    store
        .add_signing_key(fixture.organization, &key, audit())
        .await
        .expect("the write succeeds");
    let api_key = ApiKey {
        id: ApiKeyId::from_uuid(uuid::Uuid::new_v4()),
        organization_id: fixture.organization,
        name: name("Key"),
        role: Role::Owner,
        inserted_at: START,
    };
    store
        .create_api_key(&api_key, &token("key"), audit())
        .await
        .expect("the write succeeds");
    let own_trail = fixture.audit_trail().await;

    let other = fixture.another().await;
    let o = other.organization;
    let (event, gate, device, session) = (
        fixture.event,
        fixture.main_gate,
        fixture.main_session.device,
        fixture.main_session.id,
    );
    assert_eq!(store.event(o, event).await.expect("the read succeeds"), None);
    assert_eq!(store.gate(o, event, gate).await.expect("the read succeeds"), None);
    assert_eq!(
        store.gates(o, event, &ALL).await.expect("the read succeeds").data,
        []
    );
    assert_eq!(
        store.events(o, &ALL).await.expect("the read succeeds").data.len(),
        1
    );
    assert_eq!(
        store
            .put_gate(o, event, gate, &open_gate("Main"), START, audit())
            .await
            .expect("the read succeeds"),
        PutOutcome::Missing
    );
    assert_eq!(store.device(o, device).await.expect("the read succeeds"), None);
    assert_eq!(
        store
            .devices(o, None, None, &ALL)
            .await
            .expect("the read succeeds")
            .data
            .len(),
        2
    );
    let patch = serde_json::from_str(r#"{"status":"inactive"}"#).expect("a patch");
    assert_eq!(
        store
            .patch_device(o, device, &patch, START, audit())
            .await
            .expect("the read succeeds"),
        PutOutcome::Missing
    );
    assert_eq!(
        store
            .rotate_device_token(o, device, &token("x"), START, audit())
            .await
            .expect("the read succeeds"),
        PutOutcome::Missing
    );
    assert_eq!(
        store
            .report_device(o, device, None, START)
            .await
            .expect("the read succeeds"),
        None
    );
    assert!(
        !store
            .revoke_device(o, device, START, audit())
            .await
            .expect("the read succeeds")
    );
    assert_eq!(store.session(o, session).await.expect("the read succeeds"), None);
    assert_eq!(
        store
            .end_session(o, session, START, None)
            .await
            .expect("the read succeeds"),
        None
    );
    assert_eq!(
        store
            .sessions(o, None, None, None, &ALL)
            .await
            .expect("the read succeeds")
            .data
            .len(),
        2
    );
    assert_eq!(
        store
            .sessions(o, Some(device), None, None, &ALL)
            .await
            .expect("the read succeeds")
            .data,
        []
    );
    let start = SessionStart {
        event_id: event,
        gate_id: gate,
        replace: true,
    };
    let id = SessionId::from_uuid(uuid::Uuid::new_v4());
    let started = store
        .start_session(o, other.main_session.device, id, &start, START)
        .await;
    assert_eq!(started.expect("the read succeeds"), StartOutcome::Missing);
    let started = store.start_session(o, device, id, &start, START).await;
    assert_eq!(started.expect("the read succeeds"), StartOutcome::DeviceInactive);
    assert_eq!(store.signing_keys(o).await.expect("the read succeeds"), []);
    let set = store
        .set_signing_key_status(o, KeyFormat::Vg1, KeyId::FIRST, KeyStatus::Revoked, audit())
        .await;
    assert_eq!(set.expect("the read succeeds"), PutOutcome::Missing);
    assert_eq!(store.api_keys(o, &ALL).await.expect("the read succeeds").data, []);
    assert_eq!(
        store
            .delete_api_key(o, api_key.id, audit())
            .await
            .expect("the read succeeds"),
        DeleteOutcome::Missing
    );
    assert_eq!(
        store
            .import(o, event, &numbered(&["{}"]), START, None)
            .await
            .expect("the read succeeds"),
        None
    );
    assert_eq!(
        store.ticket(o, event, code).await.expect("the read succeeds"),
        None
    );
    assert_eq!(
        store
            .ticket(o, other.event, code)
            .await
            .expect("the read succeeds"),
        None
    );
    assert_eq!(
        store
            .tickets(o, event, None, None, &ALL)
            .await
            .expect("the read succeeds")
            .data,
        []
    );
    assert_eq!(
        store
            .set_ticket_status(o, event, code, SettableStatus::Used, START, audit())
            .await
            .expect("the read succeeds"),
        None
    );
    assert_eq!(
        store
            .find_scan_for_retry(o, scan)
            .await
            .expect("the read succeeds"),
        None
    );
    assert_eq!(
        store
            .undo(
                o,
                scan,
                UndoPermission::Member,
                &reason_text("x"),
                audit().context,
                START,
                &RULES
            )
            .await
            .expect("the read succeeds"),
        None
    );
    let mine = ScanFilter {
        event_id: Some(event),
        ..ScanFilter::default()
    };
    for filter in [ScanFilter::default(), mine] {
        assert_eq!(
            store
                .scans(o, &filter, Order::Oldest, &ALL)
                .await
                .expect("the read succeeds")
                .data,
            []
        );
    }
    assert_eq!(
        store.occupancy(o, event, START).await.expect("the read succeeds"),
        None
    );
    let by_session = Attempt {
        organization_id: o,
        ..entry(&fixture.main_session, code, 1)
    };
    assert_eq!(other.record_one(by_session).await, Recorded::NoActiveSession);
    assert_eq!(
        other.enter(code, 1).await,
        Reason::TicketNotFound,
        "the answer does not reveal the ticket"
    );

    assert_eq!(
        fixture.audit_trail().await,
        own_trail,
        "the first organization is unchanged"
    );
    assert_eq!(
        store
            .signing_keys(fixture.organization)
            .await
            .expect("the read succeeds"),
        [key]
    );
    assert_eq!(
        store.api_key(&token("key")).await.expect("the read succeeds"),
        Some(api_key)
    );
    assert_eq!(fixture.enter(code, 2).await, Reason::AlreadyScanned);
}

pub(crate) async fn two_organizations_can_use_the_same_ids(fixture: Fixture) {
    let other = fixture.another().await;
    let (store, o) = (&fixture.store, other.organization);
    assert!(matches!(
        store.put_event(o, fixture.event, &live(), START, audit()).await,
        Ok(PutOutcome::Created(_))
    ));
    let gate = store
        .put_gate(
            o,
            fixture.event,
            fixture.main_gate,
            &open_gate("Main"),
            START,
            audit(),
        )
        .await;
    assert!(matches!(gate, Ok(PutOutcome::Created(_))), "{gate:?}");
    let line = r#"{"code":"3KQR7F924M1XaB0z","id":"0192f0c1-7a4e-7000-8000-000000000001"}"#;
    for outcome in [fixture.import(&[line]).await, other.import(&[line]).await] {
        assert!(
            matches!(outcome[..], [ImportOutcome::Inserted(..)]),
            "{outcome:?}"
        );
    }
    let code = "3KQR7F924M1XaB0z".parse().expect("a code");
    let here = entry(&fixture.main_session, code, 0);
    let there = Attempt {
        scan_id: here.scan_id,
        ..entry(&other.main_session, code, 0)
    };
    let scan = here.scan_id;
    let recorded = fixture.record(&[here, there]).await;
    assert_eq!(
        reasons(&recorded),
        [Reason::Admitted, Reason::Admitted],
        "in one batch"
    );
    fixture.undo(scan, UndoPermission::Member, 1).await;
    assert_eq!(fixture.ticket_facts(code).await.ticket.scan_count, 0);
    assert_eq!(other.ticket_facts(code).await.ticket.scan_count, 1);
    assert_eq!(
        (fixture.inside().await, other.inside().await),
        ((0, 0, 0), (1, 0, 1))
    );
    assert_eq!(other.audit_trail().await[0].undone, None);
    store
        .revoke_device(o, other.main_session.device, after(2), audit())
        .await
        .expect("the device is revoked");
    assert_eq!(fixture.enter(code, 3).await, Reason::Admitted);
}

/// The scans of several organizations in turn, of which some are decided by the fast path and others are not.
pub(crate) async fn a_batch_of_several_organizations_keeps_its_order(fixture: Fixture) {
    let others = [fixture.another().await, fixture.another().await];
    let [second, third] = &others;
    let here = fixture.ticket("{}").await;
    let there = second.ticket("{}").await;
    let batch = [
        entry(&second.main_session, here, 0),
        entry(&fixture.main_session, here, 0),
        entry(&third.main_session, here, 0),
        entry(&second.main_session, there, 0),
        entry(&fixture.main_session, here, 1),
        entry(&fixture.main_session, there, 1),
    ];
    let recorded = fixture.record(&batch).await;
    let ids: Vec<_> = recorded
        .iter()
        .map(|one| match one {
            Recorded::Decided(decided) => (decided.record.organization_id, decided.record.scan_id),
            other => panic!("not decided: {other:?}"),
        })
        .collect();
    let sent: Vec<_> = batch
        .iter()
        .map(|attempt| (attempt.organization_id, attempt.scan_id))
        .collect();
    assert_eq!(ids, sent);
    assert_eq!(
        reasons(&recorded),
        [
            Reason::TicketNotFound,
            Reason::Admitted,
            Reason::TicketNotFound,
            Reason::Admitted,
            Reason::AlreadyScanned,
            Reason::TicketNotFound,
        ]
    );
    assert_eq!(
        (
            fixture.inside().await.2,
            second.inside().await.2,
            third.inside().await.2
        ),
        (1, 1, 0)
    );
    for (fixture, scans) in [(&fixture, 3), (second, 2), (third, 1)] {
        assert_eq!(fixture.audit_trail().await.len(), scans);
    }
}

pub(crate) async fn denials_of_several_organizations_are_recorded(fixture: Fixture) {
    let other = fixture.another().await;
    let code = fixture.ticket("{}").await;
    let denials: Vec<NewScan> = [&fixture, &other, &fixture]
        .into_iter()
        .map(|of| {
            let denial = Denial {
                reason: Reason::TicketNotFound,
                decided_by: DecidedBy::Memory,
                claims: None,
                ticket: None,
                previous_scan: None,
            };
            NewScan::denied(entry(&of.main_session, code, 0), denial)
        })
        .collect();
    // The last batch repeats an id, and has one that is recorded already.
    let repeated = vec![denials[2].clone(), denials[2].clone(), denials[0].clone()];
    for batch in [&denials[..2], &denials[..2], &repeated] {
        fixture
            .store
            .record_denials(batch)
            .await
            .expect("the denials are recorded");
    }
    for (of, scans) in [(&fixture, 2), (&other, 1)] {
        assert_eq!(of.audit_trail().await.len(), scans);
        let results = of.occupancy().await.results;
        assert_eq!(
            results.invalid_token,
            i64::try_from(scans).expect("a small number")
        );
        let mut feed = BTreeSet::new();
        for entry in of.feed_after(0).await {
            assert!(feed.insert(entry.record.scan_id), "the feed has a scan twice");
        }
        assert_eq!(feed.len(), scans);
    }
}
