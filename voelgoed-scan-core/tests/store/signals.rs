//! Signals: one is open for a kind and a subject, changes are read in their order, and what holds now is read by organization.

use std::collections::HashMap;

use uuid::Uuid;
use voelgoed_scan_core::model::{
    DeviceHealth, EventStatus, ScanResult, Signal, SignalDetails, SignalId, SignalKind, SignalSettings,
    SignalSettingsPatch, Source, Timestamp,
};
use voelgoed_scan_core::rules::signals::{DeviceScan, DeviceWindow, OrganizationState, Place};
use voelgoed_scan_core::store::{
    ReadEntries, SearchedScan, SignalFilter, SignalWatch, SignalWrite, UndoPermission,
};

use crate::attempts::entry;
use crate::fixture::{ALL, Fixture, START, after, audit};
use crate::sync::{item, scan, sync_batch};

impl Fixture {
    fn signal(&self, kind: SignalKind, seconds: i64) -> Signal {
        Signal {
            id: SignalId::generate(after(seconds)),
            kind,
            event_id: Some(self.event),
            gate_id: Some(self.main_gate),
            device_id: Some(self.main_session.device),
            ticket_id: None,
            opened_at: after(seconds),
            closed_at: None,
            details: SignalDetails {
                scans: Some(61),
                ..SignalDetails::default()
            },
        }
    }

    fn signal_write(&self, opened: &[Signal], closed: &[Signal]) -> SignalWrite {
        SignalWrite {
            organization_id: self.organization,
            read: None,
            windows: Vec::new(),
            opened: opened.to_vec(),
            closed: closed.to_vec(),
            grown: Vec::new(),
        }
    }

    async fn write_signals(&self, opened: &[Signal], closed: &[Signal]) -> Vec<Signal> {
        let write = self.signal_write(opened, closed);
        let written = self.store.record_signals(&write).await;
        written
            .expect("the signals are written")
            .expect("no cursor moved")
    }

    async fn all_signals(&self) -> Vec<Signal> {
        let any = SignalFilter::default();
        let all = self.store.signals(self.organization, &any, &ALL).await;
        all.expect("the signals are read").data
    }

    async fn state_at(&self, now: Timestamp) -> OrganizationState {
        let states = self.store.signal_states(&HashMap::new(), now).await;
        let mut states = states.expect("the states are read");
        states.remove(&self.organization).unwrap_or_default()
    }
}

fn closed(signal: &Signal, seconds: i64) -> Signal {
    Signal {
        closed_at: Some(after(seconds)),
        ..signal.clone()
    }
}

pub(crate) async fn one_signal_of_a_kind_is_open_for_a_subject(fixture: Fixture) {
    let first = fixture.signal(SignalKind::HighVelocity, 0);
    let again = fixture.signal(SignalKind::HighVelocity, 1);
    let other_kind = fixture.signal(SignalKind::DeviceErrors, 1);
    assert_eq!(
        fixture.write_signals(std::slice::from_ref(&first), &[]).await,
        std::slice::from_ref(&first)
    );
    let opened = fixture
        .write_signals(&[again.clone(), other_kind.clone()], &[])
        .await;
    assert_eq!(opened, std::slice::from_ref(&other_kind), "one is open");
    let ended = closed(&first, 600);
    assert_eq!(
        fixture.write_signals(&[], std::slice::from_ref(&ended)).await,
        std::slice::from_ref(&ended)
    );
    assert_eq!(
        fixture.write_signals(&[], &[closed(&first, 700)]).await,
        [],
        "it has ended"
    );
    assert_eq!(
        fixture.write_signals(std::slice::from_ref(&again), &[]).await,
        std::slice::from_ref(&again)
    );
    let mut all = fixture.all_signals().await;
    all.sort_by_key(|signal| signal.id);
    let mut expected = vec![ended, again, other_kind];
    expected.sort_by_key(|signal| signal.id);
    assert_eq!(all, expected);
}

pub(crate) async fn of_concurrent_searches_one_opens_a_signal(fixture: Fixture) {
    let mut searches = tokio::task::JoinSet::new();
    for number in 0..8 {
        let store = std::sync::Arc::clone(&fixture.store);
        let write = fixture.signal_write(&[fixture.signal(SignalKind::HighVelocity, number)], &[]);
        searches.spawn(async move { store.record_signals(&write).await });
    }
    let mut opened = 0;
    while let Some(done) = searches.join_next().await {
        let changed = done.expect("the search ends").expect("it is written");
        opened += changed.expect("no cursor moved").len();
    }
    assert_eq!((opened, fixture.all_signals().await.len()), (1, 1));
}

pub(crate) async fn what_follows_from_an_entry_is_written_once(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    fixture.record(&[entry(&fixture.main_session, code, 0)]).await;
    let feeds = fixture
        .store
        .feeds_ahead("signals", 10)
        .await
        .expect("the feeds are read");
    let device = fixture.main_session.device;
    let mut write = fixture.signal_write(&[fixture.signal(SignalKind::HighVelocity, 0)], &[]);
    write.read = Some(ReadEntries {
        event_id: fixture.event,
        from: feeds[0].position,
        to: feeds[0].last,
    });
    write.windows.push((device, DeviceWindow::default()));
    let written = fixture.store.record_signals(&write).await.expect("it is written");
    assert_eq!(written.map(|changed| changed.len()), Some(1));
    write.opened = vec![fixture.signal(SignalKind::DeviceErrors, 0)];
    let again = fixture.store.record_signals(&write).await.expect("it is refused");
    assert_eq!(again, None, "another node was faster");
    assert_eq!(fixture.all_signals().await.len(), 1);
    let ahead = fixture
        .store
        .feeds_ahead("signals", 10)
        .await
        .expect("the feeds are read");
    assert_eq!(ahead, []);
}

/// A search reads the entries that the feed has, without those of undone scans.
pub(crate) async fn a_search_reads_each_scan_once_and_as_it_is_now(fixture: Fixture) {
    let (one, two) = (fixture.ticket("{}").await, fixture.ticket("{}").await);
    let offline = fixture.ticket("{}").await;
    let batch = [
        entry(&fixture.main_session, one, 100),
        entry(&fixture.side_session, two, 100),
        entry(&fixture.main_session, two, 101),
    ];
    fixture.record(&batch).await;
    // Two devices admitted the ticket offline. The undo of the first scan admits by the second one.
    let (winner, loser) = (
        scan(&fixture.main_session, offline, 10),
        scan(&fixture.side_session, offline, 20),
    );
    for (session, scan) in [(&fixture.main_session, &winner), (&fixture.side_session, &loser)] {
        let items = vec![item(scan.clone(), Some(offline))];
        fixture.ingest(&sync_batch(session, items, 3600)).await;
    }
    let store = &fixture.store;
    let page_after = async |position: i64, limit: u16| {
        let page = store.searched_page(fixture.organization, fixture.event, position, limit);
        page.await.expect("the feed is read")
    };
    // Before the undo and after it.
    for is_undone in [false, true] {
        if is_undone {
            fixture.undo(winner.scan_id, UndoPermission::Member, 4000).await;
            fixture.undo(batch[0].scan_id, UndoPermission::Member, 4001).await;
        }
        let feed = fixture.feed_after(0).await;
        let records = feed.iter().map(|entry| &entry.record);
        let expected: Vec<_> = records
            .filter(|record| record.undone.is_none())
            .map(|record| SearchedScan {
                scan: DeviceScan {
                    scan_id: record.scan_id,
                    event_id: record.event_id,
                    gate_id: record.gate_id,
                    at: record.scanned_at,
                    received_at: record.received_at,
                    is_upload: record.source == Source::Sync,
                    is_invalid: false,
                },
                device_id: record.device_id,
                ticket_id: record.ticket_id,
                is_duplicate: record.result == ScanResult::Duplicate,
            })
            .collect();
        assert_eq!(expected.len(), 5);
        let all = page_after(0, 100).await;
        assert_eq!(all.scans, expected);
        assert_eq!(
            (all.last, all.is_full),
            (feed.last().map(|entry| entry.position), false)
        );
        // In pages, each entry is read once.
        let (mut position, mut paged) = (0, Vec::new());
        loop {
            let page = page_after(position, 2).await;
            assert_eq!(page.is_full, page.last.is_some_and(|last| last == position + 2));
            paged.extend(page.scans);
            let Some(last) = page.last else { break };
            position = last;
        }
        assert_eq!(paged, expected);
    }
    let other = fixture.another().await;
    let elsewhere = store
        .searched_page(other.organization, fixture.event, 0, 100)
        .await;
    let elsewhere = elsewhere.expect("the feed is read");
    assert_eq!((elsewhere.last, elsewhere.scans), (None, Vec::new()));
}

pub(crate) async fn changes_of_signals_are_read_in_their_order(fixture: Fixture) {
    let first = fixture.signal(SignalKind::HighVelocity, 0);
    let second = fixture.signal(SignalKind::DeviceErrors, 1);
    let at_once = closed(&fixture.signal(SignalKind::LateBatch, 2), 2);
    fixture.write_signals(&[first.clone(), second.clone()], &[]).await;
    fixture
        .write_signals(std::slice::from_ref(&at_once), &[closed(&first, 600)])
        .await;
    let store = &fixture.store;
    let read = async |after: i64, limit: u16| {
        let changes = store.signal_changes(fixture.organization, after, limit).await;
        changes.expect("the changes are read")
    };
    let all = read(0, 10).await;
    let signals: Vec<Signal> = all.iter().map(|change| change.signal.clone()).collect();
    assert_eq!(
        signals,
        [
            first.clone(),
            second.clone(),
            closed(&first, 600),
            at_once.clone()
        ]
    );
    assert!(all.windows(2).all(|pair| pair[0].position < pair[1].position));
    assert_eq!(read(0, 2).await, all[..2]);
    assert_eq!(read(all[1].position, 10).await, all[2..]);
    let last = store
        .signal_position(fixture.organization)
        .await
        .expect("a position");
    assert_eq!(last, all[3].position);
    let positions = store.signal_positions().await.expect("the positions");
    assert!(positions.contains(&(fixture.organization, last)));
    let since = async |seconds: i64| {
        let changed = store
            .signals_changed_since(fixture.organization, fixture.event, after(seconds), 10)
            .await
            .expect("the signals are read");
        changed
            .into_iter()
            .map(|change| change.signal)
            .collect::<Vec<_>>()
    };
    assert_eq!(since(0).await, [closed(&first, 600), second, at_once]);
    assert_eq!(since(600).await, [closed(&first, 600)]);
    assert_eq!(since(601).await, []);
}

pub(crate) async fn signals_stay_within_their_organization(fixture: Fixture) {
    let other = fixture.another().await;
    let signal = fixture.signal(SignalKind::HighVelocity, 0);
    fixture.write_signals(std::slice::from_ref(&signal), &[]).await;
    assert_eq!(other.all_signals().await, []);
    assert_eq!(
        other.write_signals(&[], &[closed(&signal, 1)]).await,
        [],
        "it is not theirs"
    );
    assert_eq!(fixture.all_signals().await, std::slice::from_ref(&signal));
    let store = &fixture.store;
    let changes = store.signal_changes(other.organization, 0, 10).await;
    assert_eq!(changes.expect("the changes are read"), []);
    let since = store.signals_changed_since(other.organization, fixture.event, START, 10);
    assert_eq!(since.await.expect("the signals are read"), []);
    let windows = store
        .device_windows(other.organization, &[fixture.main_session.device])
        .await;
    assert_eq!(windows.expect("the windows are read"), []);

    let patch = serde_json::from_value::<SignalSettingsPatch>(
        serde_json::json!({ "duplicate_spam": { "limit": 9 } }),
    )
    .expect("a patch");
    let changed = store
        .change_signal_settings(fixture.organization, &patch, audit())
        .await
        .expect("the settings are changed");
    assert_eq!(changed.rule(SignalKind::DuplicateSpam).limit, Some(9));
    let read = store
        .signal_settings(fixture.organization)
        .await
        .expect("the settings");
    assert_eq!(read, changed);
    let others = store
        .signal_settings(other.organization)
        .await
        .expect("the settings");
    assert_eq!(others, SignalSettings::default());
    let all = store.changed_signal_settings().await.expect("the settings");
    assert_eq!(all.get(&fixture.organization), Some(&changed));
    assert_eq!(all.get(&other.organization), None);

    // The same device id and ticket id at another organization are others.
    let code = fixture.ticket("{}").await;
    fixture.record(&[entry(&fixture.main_session, code, 5)]).await;
    let ticket = fixture.ticket_facts(code).await.ticket.id;
    let presentations = async |organization, from: i64| {
        let read = store
            .presentations(organization, ticket, after(from), after(60), 10)
            .await;
        read.expect("the scans are read")
    };
    let own = presentations(fixture.organization, 5).await;
    assert_eq!((own.len(), own[0].result), (1, ScanResult::Valid));
    assert_eq!(presentations(fixture.organization, 6).await, []);
    assert_eq!(presentations(other.organization, 0).await, []);
}

pub(crate) async fn what_holds_now_is_that_of_live_events_and_active_devices(fixture: Fixture) {
    fixture.change_event(|event| event.capacity = Some(10)).await;
    fixture
        .change_gate(fixture.main_gate, |gate| gate.capacity = Some(5))
        .await;
    let code = fixture.ticket("{}").await;
    fixture.record(&[entry(&fixture.main_session, code, 0)]).await;
    let device = fixture.main_session.device;
    let health = DeviceHealth {
        waiting: Some(7),
        ..DeviceHealth::default()
    };
    fixture
        .store
        .report_device(fixture.organization, device, Some(&health), after(9))
        .await
        .expect("the health is written");
    let open = fixture.signal(SignalKind::HighVelocity, 0);
    fixture.write_signals(std::slice::from_ref(&open), &[]).await;

    let state = fixture.state_at(after(10)).await;
    assert_eq!(state.open, std::slice::from_ref(&open));
    let working = state
        .working
        .iter()
        .find(|one| one.device_id == device)
        .expect("it works");
    assert_eq!(
        (working.gate_id, working.last_seen_at),
        (fixture.main_gate, Some(after(9)))
    );
    assert_eq!(state.working.len(), 2);
    assert_eq!(state.waiting.len(), 1);
    assert_eq!(
        (state.waiting[0].device_id, state.waiting[0].waiting),
        (device, 7)
    );
    assert_eq!(state.waiting[0].place, Some((fixture.event, fixture.main_gate)));
    let place = |gate_id, capacity| Place {
        event_id: fixture.event,
        gate_id,
        inside: 1,
        capacity,
    };
    let mut places = state.places.clone();
    places.sort_by_key(|place| place.gate_id.is_some());
    assert_eq!(places, [place(None, 10), place(Some(fixture.main_gate), 5)]);

    let ended = fixture
        .store
        .end_session(fixture.organization, fixture.side_session.id, after(20), None)
        .await;
    ended.expect("the session ends");
    assert_eq!(fixture.state_at(after(21)).await.working.len(), 1);
    fixture
        .change_event_at(30, |event| event.status = EventStatus::Ended)
        .await;
    let state = fixture.state_at(after(31)).await;
    assert_eq!((state.working.len(), state.places.len()), (0, 0));
    assert_eq!((state.waiting.len(), state.open), (1, vec![open]));
    let new_date = |seconds| {
        move |event: &mut voelgoed_scan_core::model::EventPut| {
            event.status = EventStatus::Postponed;
            event.rescheduled_at = Some(after(seconds));
        }
    };
    fixture.change_event_at(40, new_date(50)).await;
    assert_eq!(fixture.state_at(after(49)).await.working.len(), 0);
    assert_eq!(fixture.state_at(after(50)).await.working.len(), 1);
}

pub(crate) async fn the_time_since_which_servers_listen_is_kept(fixture: Fixture) {
    let store = &fixture.store;
    assert_eq!(store.signal_watch().await.expect("it is read"), None);
    for seen_at in [10, 20] {
        let watch = SignalWatch {
            listening_since: START,
            seen_at: after(seen_at),
        };
        store.put_signal_watch(watch).await.expect("it is written");
        assert_eq!(store.signal_watch().await.expect("it is read"), Some(watch));
    }
}

pub(crate) async fn the_window_of_a_device_is_kept(fixture: Fixture) {
    let device = fixture.main_session.device;
    let unknown = voelgoed_scan_core::model::DeviceId::from_uuid(Uuid::from_u128(1));
    let window: DeviceWindow =
        serde_json::from_str(r#"{"scans":[[5,true,7]],"late":null}"#).expect("a window");
    let mut write = fixture.signal_write(&[], &[]);
    write.windows.push((device, window.clone()));
    for _ in 0..2 {
        fixture.store.record_signals(&write).await.expect("it is written");
    }
    let loaded = fixture
        .store
        .device_windows(
            fixture.organization,
            &[device, fixture.side_session.device, unknown],
        )
        .await
        .expect("the windows are read");
    let of = |device| {
        let found = loaded.iter().find(|loaded| loaded.device_id == device);
        found.map(|loaded| (loaded.window.clone(), loaded.is_rehearsal))
    };
    assert_eq!(of(device), Some((window, false)));
    assert_eq!(
        of(fixture.side_session.device),
        Some((DeviceWindow::default(), false))
    );
    assert_eq!(of(unknown), None);
}
