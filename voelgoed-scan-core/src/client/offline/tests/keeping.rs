use super::*;

#[tokio::test]
async fn what_was_let_in_here_stays_let_in_here() {
    let mut world = World::new();
    let mut phone = world.phone().await;
    let vg2 = world.vg2(1);
    assert_eq!(phone.reasons([entry(&vg2, 0)]).await, [Reason::Admitted]);
    phone = phone.reopened(&world).await;
    assert_eq!(
        phone.reasons([entry(&vg2, 10)]).await,
        [Reason::AlreadyScanned],
        "after a restart"
    );
    // A newer manifest that does not know of it.
    let bytes = world.later(20);
    phone.install(&world, bytes, 20).await.expect("it is taken");
    assert_eq!(
        phone.reasons([entry(&vg2, 30)]).await,
        [Reason::AlreadyScanned],
        "under a newer manifest"
    );
    hand_in_all(&phone, after(40)).await;
    assert_eq!(
        phone.reasons([entry(&vg2, 50)]).await,
        [Reason::AlreadyScanned],
        "once handed in"
    );
    // One made after the server had it, and yet without it: undone, or lost.
    let bytes = world.later(60);
    phone.install(&world, bytes, 60).await.expect("it is taken");
    phone = phone.reopened(&world).await;
    assert_eq!(
        phone.reasons([entry(&vg2, 70)]).await,
        [Reason::AlreadyScanned],
        "whatever the manifest says"
    );
    world.tickets[0].admissions = 1;
    let bytes = world.later(80);
    phone.install(&world, bytes, 80).await.expect("it is taken");
    assert_eq!(phone.reasons([entry(&vg2, 90)]).await, [Reason::AlreadyScanned]);
}

async fn hand_in_all(phone: &Phone, server_time: Timestamp) {
    while let Some(batch) = phone.gate.next_batch(1000, server_time).await.expect("a batch") {
        let answer = upload::recorded(&batch, server_time);
        phone.gate.acknowledge(&answer).await.expect("it is kept");
    }
}

#[tokio::test]
async fn an_admission_is_counted_once_before_and_after_the_server_knows_it() {
    let mut world = World::new();
    world.tickets[0].entry_limit = 3;
    let phone = world.phone().await;
    let vg2 = world.vg2(1);
    assert_eq!(phone.reasons([entry(&vg2, 0)]).await, [Reason::Admitted]);
    hand_in_all(&phone, after(10)).await;
    // Our one and another phone's.
    world.tickets[0].admissions = 2;
    let bytes = world.later(60);
    phone.install(&world, bytes, 60).await.expect("it is taken");
    let reasons = phone.reasons([entry(&vg2, 70), entry(&vg2, 80)]).await;
    assert_eq!(reasons, [Reason::Admitted, Reason::EntryLimitReached]);
}

#[tokio::test]
async fn what_the_server_let_in_here_is_known_here_alone() {
    let world = World::new();
    let phone = world.phone().await;
    let online = Verdict {
        decided_by: VerdictBy::Server,
        ..phone.scan(entry(world.vg2(2), 0)).await
    };
    let ticket = online.ticket.clone().map(|ticket| SeenTicket {
        code: code(1),
        ..ticket
    });
    let scan_id = ScanId::from_uuid(uuid(500));
    let online = Verdict {
        scan_id,
        ticket,
        ..online
    };
    phone.gate.note(&online).await.expect("it is kept");
    phone.gate.note(&online).await.expect("twice is once");
    let verdict = phone.scan(entry(world.vg2(1), 60)).await;
    assert_eq!(verdict.reason, Reason::AlreadyScanned);
    assert_eq!(verdict.previous_scan.and_then(|seen| seen.scan_id), Some(scan_id));
}

#[tokio::test]
async fn deltas_are_kept_with_their_base() {
    let mut world = World::new();
    let mut phone = world.phone().await;
    world.version = 2;
    world.made_at = after(5);
    world.tickets[0].status = TicketStatus::Voided;
    let state = phone
        .install(&world, world.delta(1, &[1]), 5)
        .await
        .expect("it is taken");
    assert_eq!((state.version, state.made_at, state.tickets), (2, after(5), 9));
    phone = phone.reopened(&world).await;
    let held = phone
        .gate
        .state()
        .await
        .expect("it answers")
        .manifest
        .expect("one");
    assert_eq!((held.version, held.tickets), (2, 9));
    assert!(held.wants_whole, "half as large as so small a manifest");
    let reasons = phone
        .reasons([entry(world.vg2(1), 6), entry(world.vg2(2), 7)])
        .await;
    assert_eq!(reasons, [Reason::TicketVoided, Reason::Admitted]);
    let error = phone
        .install(&world, world.delta(1, &[1]), 8)
        .await
        .expect_err("its base is gone");
    assert_eq!(error.code(), "manifest_other_base");
}

#[tokio::test]
async fn a_refused_manifest_leaves_the_one_in_use() {
    let mut world = World::new();
    let phone = world.phone().await;
    let mut bytes = world.later(5);
    bytes[200] ^= 1;
    let error = phone
        .install(&world, bytes, 5)
        .await
        .expect_err("a byte was changed");
    assert_eq!(error.code(), "manifest_bad_signature");
    let error = phone
        .install(&world, world.manifest(), 5 + 3601)
        .await
        .expect_err("too late");
    assert_eq!(error.code(), "manifest_expired");
    let held = phone
        .gate
        .state()
        .await
        .expect("it answers")
        .manifest
        .expect("one");
    assert_eq!(held.version, 1);
    let other = EventId::from_uuid(uuid(99));
    let error = phone
        .gate
        .install(other, world.manifest(), after(5))
        .await
        .expect_err("not asked for");
    assert_eq!(error.code(), "manifest_other_event");
}

#[tokio::test]
async fn a_manifest_of_a_key_that_is_no_longer_pinned_is_left_out_and_the_log_stays() {
    let world = World::new();
    let phone = world.phone().await;
    phone.scan(entry(world.vg2(1), 0)).await;
    let Phone { gate, directory } = phone;
    gate.close().await.expect("it closes");
    let mut setup = world.setup(&directory.path().join("device.db"));
    setup.manifest_key = [3; 32];
    let gate = OfflineGate::open(setup.clone()).await.expect("it opens");
    let state = gate.state().await.expect("it answers");
    assert_eq!((state.manifest, state.waiting), (None, 1));
    let error = gate.decide(entry(world.vg2(2), 1)).await.expect_err("by what?");
    assert_eq!(error.code(), "no_manifest");
    setup.device_id = DeviceId::from_uuid(uuid(8));
    let error = OfflineGate::open(setup).await.expect_err("another device's log");
    assert_eq!(error.code(), "other_device");
}

#[tokio::test]
async fn the_clock_is_corrected_by_what_the_server_says() {
    let world = World::new();
    let mut phone = world.phone().await;
    let offset = async |phone: &Phone| phone.gate.state().await.expect("it answers").clock_offset_ms;
    let learn = async |phone: &Phone, server: i64| {
        phone
            .gate
            .learn_clock(after(0), after(2), after(1).plus_millis(server))
            .await
            .expect("it is kept");
    };
    learn(&phone, 2000).await;
    assert_eq!(offset(&phone).await, 0, "within two seconds");
    learn(&phone, -3_600_000).await;
    assert_eq!(offset(&phone).await, -3_600_000);
    phone = phone.reopened(&world).await;
    let verdict = phone.scan(entry(world.vg2(1), 3600)).await;
    assert_eq!(verdict.scanned_at, MADE);
}
