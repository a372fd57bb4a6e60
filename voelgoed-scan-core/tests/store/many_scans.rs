//! Very many scans of one ticket.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use uuid::Uuid;
use voelgoed_scan_core::model::{Reason, TicketCode};
use voelgoed_scan_core::rules::ConflictKind;
use voelgoed_scan_core::store::{AcceptOutcome, Acceptance, UndoPermission};
use voelgoed_scan_core::sync::SyncStatus;

use crate::attempts::exit;
use crate::database;
use crate::fixture::{Fixture, RULES, TestSession, after, audit, reason_text};
use crate::sync::{item, scan, sync_batch};

impl Fixture {
    /// Uploads entries of one ticket, one a second.
    async fn upload_entries(
        &self,
        session: &TestSession,
        code: TicketCode,
        seconds: std::ops::Range<i64>,
    ) -> BTreeMap<SyncStatus, usize> {
        let entries = seconds.map(|at| item(scan(session, code, at), Some(code)));
        let batch = sync_batch(session, entries.collect(), 3600);
        let mut statuses = BTreeMap::new();
        for result in self.ingest(&batch).await.results {
            *statuses.entry(result.status).or_default() += 1;
        }
        statuses
    }
}

pub(crate) async fn a_scan_past_the_limit_of_a_ticket_is_recorded_when_staff_accept_it(fixture: Fixture) {
    let code = fixture.ticket("{}").await;
    let recorded = fixture.upload_entries(&fixture.main_session, code, 0..1000).await;
    assert_eq!(recorded, BTreeMap::from([(SyncStatus::Recorded, 1000)]));
    let late = scan(&fixture.main_session, code, 2000);
    for _ in 0..2 {
        let results = fixture
            .sync(&fixture.main_session, code, std::slice::from_ref(&late))
            .await;
        assert_eq!(results[0].status, SyncStatus::Quarantined);
    }
    assert_eq!(fixture.inside().await.2, 1000);
    let newest = fixture.conflicts().await.swap_remove(0);
    assert_eq!(
        (newest.kind, newest.other_scan_id),
        (ConflictKind::Unverified, late.scan_id)
    );
    let of_other = fixture
        .upload_entries(&fixture.side_session, code, 2000..2001)
        .await;
    assert_eq!(of_other, BTreeMap::from([(SyncStatus::Recorded, 1)]));
    let acceptance = Acceptance {
        reason: reason_text("seen at the gate"),
        api_key_id: Uuid::from_u128(1).into(),
        at: after(5000),
    };
    let accepted = fixture
        .store
        .accept(fixture.organization, late.scan_id, &acceptance, &RULES, audit())
        .await
        .expect("the call succeeds");
    let Some(AcceptOutcome::Accepted { record, .. }) = accepted else {
        panic!("{accepted:?}");
    };
    assert_eq!(record.reason, Reason::AlreadyScanned);
    assert_eq!(fixture.inside().await.2, 1002);
    let exit = exit(&fixture.main_session, code, 6000);
    assert_eq!(fixture.reason(exit).await, Reason::Exited);
}

/// An upload or an undo that folds a long history needs a thread for blocking work. All present ones are
/// occupied, so it starts a new one.
#[test]
fn long_histories_are_folded_outside_the_async_worker() {
    let started = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&started);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .on_thread_start(move || {
            count.fetch_add(1, Ordering::SeqCst);
        })
        .build()
        .expect("a runtime");
    let release = std::cell::RefCell::new(Vec::new());
    let threads = || started.load(Ordering::SeqCst);
    let occupy = async || {
        while release.borrow().len() < threads() || release.borrow().is_empty() {
            let (sender, receiver) = mpsc::channel::<()>();
            let (ready, is_ready) = tokio::sync::oneshot::channel();
            drop(tokio::task::spawn_blocking(move || {
                let _ = ready.send(());
                let _ = receiver.recv();
            }));
            is_ready.await.expect("it runs");
            release.borrow_mut().push(sender);
        }
        threads()
    };
    runtime.block_on(async {
        let database = Arc::new(database::sqlite().await);
        let fixture = Fixture::new(Arc::clone(&database)).await;
        let code = fixture.ticket("{}").await;
        let (main, side) = (&fixture.main_session, &fixture.side_session);
        let before = occupy().await;
        fixture.upload_entries(main, code, 0..501).await;
        assert_eq!(threads(), before, "a short history");
        fixture.upload_entries(main, code, 501..502).await;
        assert_eq!(threads(), before + 1, "a long history");
        let before = occupy().await;
        let last = scan(side, code, 1000);
        fixture.sync(side, code, std::slice::from_ref(&last)).await;
        assert_eq!(threads(), before + 1, "another device");
        let first = fixture.conflicts().await[0].winner_scan_id.expect("a winner");
        let before = occupy().await;
        let undone = fixture.undo(first, UndoPermission::Member, 4000).await;
        assert!(undone.is_some());
        assert_eq!(threads(), before + 1, "an undo");
    });
    drop(release);
}
