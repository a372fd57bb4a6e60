//! What does the back office keep?

use uuid::Uuid;
use voelgoed_scan_core::model::{
    ApiKey, ApiKeyId, EventId, EventPut, EventStatus, GateId, KeyFormat, KeyId, KeyStatus, Reentry, Role,
    SigningKey,
};
use voelgoed_scan_core::store::{PageRequest, PutOutcome};

use crate::world::{ALL, START, World, after, live, name, open_gate, put_event, put_gate, token};

fn with_classes(classes: &[&str]) -> EventPut {
    let classes = classes
        .iter()
        .map(|class| class.parse().expect("a class"))
        .collect();
    EventPut {
        ticket_classes: Some(classes),
        ..live()
    }
}

pub(crate) async fn an_event_is_put_whole(world: World) {
    let (store, organization) = (&world.store, world.organization);
    let id = EventId::from_uuid(Uuid::new_v4());
    let full = r#"{"name":"Fest","status":"draft","starts_at":"2026-11-22T18:00:00Z","ends_at":null,"capacity":2000,
        "reentry":"after_exit","allow_unsigned":true,"ticket_classes":["VIP"],"stale_manifest":"refuse","manifest_max_age_s":60}"#;
    let put = store
        .put_event(
            organization,
            id,
            &serde_json::from_str(full).expect("an event"),
            START,
        )
        .await;
    let Ok(PutOutcome::Created(created)) = put else {
        panic!("{put:?}")
    };
    assert_eq!(
        store.event(organization, id).await.expect("read").as_ref(),
        Some(&created)
    );
    assert_eq!(
        (created.capacity, created.reentry, created.allow_unsigned),
        (Some(2000), Reentry::AfterExit, true)
    );
    let put = store.put_event(organization, id, &live(), after(5)).await;
    let Ok(PutOutcome::Replaced(replaced)) = put else {
        panic!("{put:?}")
    };
    assert_eq!(
        store.event(organization, id).await.expect("read").as_ref(),
        Some(&replaced)
    );
    assert_eq!(
        (replaced.status, replaced.capacity, replaced.starts_at),
        (EventStatus::Live, None, None)
    );
    assert_eq!((replaced.inserted_at, replaced.updated_at), (START, after(5)));
    assert_eq!(
        replaced.ticket_classes, created.ticket_classes,
        "absent classes stay"
    );
}

pub(crate) async fn ticket_classes_are_only_added_at_the_end(world: World) {
    let (store, organization, event) = (&world.store, world.organization, world.event);
    let put = async |classes: &[&str]| {
        store
            .put_event(organization, event, &with_classes(classes), START)
            .await
    };
    assert!(matches!(put(&["A", "B"]).await, Ok(PutOutcome::Replaced(_))));
    assert!(matches!(put(&["A", "B", "C"]).await, Ok(PutOutcome::Replaced(_))));
    for wrong in [&[][..], &["A"], &["A", "C", "B"], &["B", "A", "C"]] {
        let put = put(wrong).await;
        assert!(matches!(put, Ok(PutOutcome::Conflict(_))), "{wrong:?}: {put:?}");
    }
    let stored = store
        .event(organization, event)
        .await
        .expect("read")
        .expect("there");
    assert_eq!(stored.ticket_classes.len(), 3);
}

pub(crate) async fn a_gate_belongs_to_one_event(world: World) {
    let (store, organization) = (&world.store, world.organization);
    let other = put_event(&**store, organization, &live()).await;
    let put = store
        .put_gate(organization, other, world.main, &open_gate("Main"), START)
        .await;
    assert!(matches!(put, Ok(PutOutcome::Conflict(_))), "{put:?}");
    let nowhere = EventId::from_uuid(Uuid::new_v4());
    let gate = GateId::from_uuid(Uuid::new_v4());
    let put = store
        .put_gate(organization, nowhere, gate, &open_gate("Main"), START)
        .await;
    assert_eq!(put.expect("read"), PutOutcome::Missing);
    assert_eq!(
        store.gate(organization, other, world.main).await.expect("read"),
        None
    );
    let full = r#"{"name":"Back","code":"B2","status":"closed","capacity":7,"ticket_classes":["VIP"]}"#;
    let full = serde_json::from_str(full).expect("a gate");
    let put = store
        .put_gate(organization, world.event, world.main, &full, after(3))
        .await;
    let Ok(PutOutcome::Replaced(gate)) = put else {
        panic!("{put:?}")
    };
    assert_eq!((gate.inserted_at, gate.updated_at), (START, after(3)));
    assert_eq!(
        store
            .gate(organization, world.event, world.main)
            .await
            .expect("read"),
        Some(gate)
    );
    assert_eq!(world.occupancy().await.gates.len(), 2);
}

pub(crate) async fn lists_come_in_pages_in_the_order_of_ids(world: World) {
    let (store, organization) = (&world.store, world.organization);
    for _ in 0..4 {
        put_event(&**store, organization, &live()).await;
        put_gate(&**store, organization, world.event, &open_gate("More")).await;
        world.device_at(world.main, &Uuid::new_v4().to_string()).await;
    }
    macro_rules! walk {
        (|$page:ident| $list:expr) => {{
            let mut ids = Vec::new();
            let mut after = None;
            loop {
                let $page = PageRequest { limit: 2, after };
                let page = $list.await.expect("a page");
                assert!(page.data.len() <= 2);
                ids.extend(page.data.into_iter().map(|one| one.id));
                after = page.next;
                if after.is_none() {
                    break ids;
                }
            }
        }};
    }
    let events = walk!(|page| store.events(organization, &page));
    assert_eq!(events.len(), 5);
    assert!(events.is_sorted());
    let gates = walk!(|page| store.gates(organization, world.event, &page));
    assert_eq!(gates.len(), 6, "no empty page after the last");
    assert!(gates.is_sorted());
    let devices = walk!(|page| store.devices(organization, None, None, &page));
    assert_eq!(devices.len(), 6);
    assert!(devices.is_sorted());
    let mut sessions = walk!(|page| store.sessions(organization, None, None, None, &page));
    assert!(
        sessions.is_sorted_by(|one, next| one > next),
        "newest first, then by id"
    );
    sessions.dedup();
    assert_eq!(sessions.len(), 6);
}

fn signing_key(format: KeyFormat, kid: &str, seconds: i64) -> SigningKey {
    SigningKey {
        format,
        kid: kid.parse().expect("a key id"),
        status: KeyStatus::Active,
        public_key: (format == KeyFormat::Vg2).then_some([7; 32]),
        inserted_at: after(seconds),
    }
}

pub(crate) async fn a_signing_key_is_added_once_and_leaves_revoked_never(world: World) {
    let (store, organization) = (&world.store, world.organization);
    let (old, new) = (
        signing_key(KeyFormat::Vg2, "1", 0),
        signing_key(KeyFormat::Vg1, "1", 1),
    );
    assert!(store.add_signing_key(organization, &new).await.expect("written"));
    assert!(store.add_signing_key(organization, &old).await.expect("written"));
    assert!(
        !store.add_signing_key(organization, &new).await.expect("read"),
        "(format, kid) is taken"
    );
    assert_eq!(
        store.signing_keys(organization).await.expect("read"),
        [old, new],
        "oldest first"
    );
    let set = async |kid: KeyId, status| {
        store
            .set_signing_key_status(organization, KeyFormat::Vg1, kid, status)
            .await
            .expect("written")
    };
    for status in [
        KeyStatus::VerifyOnly,
        KeyStatus::Active,
        KeyStatus::Revoked,
        KeyStatus::Revoked,
    ] {
        assert_eq!(
            set(KeyId::FIRST, status).await,
            PutOutcome::Replaced(SigningKey { status, ..new })
        );
    }
    for status in [KeyStatus::Active, KeyStatus::VerifyOnly] {
        assert!(matches!(set(KeyId::FIRST, status).await, PutOutcome::Conflict(_)));
    }
    assert_eq!(
        set("other".parse().expect("a key id"), KeyStatus::Active).await,
        PutOutcome::Missing
    );
    assert_eq!(
        store.signing_keys(organization).await.expect("read")[0].status,
        KeyStatus::Active
    );
}

pub(crate) async fn a_deleted_api_key_opens_nothing(world: World) {
    let (store, organization) = (&world.store, world.organization);
    let key = ApiKey {
        id: ApiKeyId::from_uuid(Uuid::new_v4()),
        organization_id: organization,
        name: name("Box office"),
        role: Role::Admin,
        inserted_at: START,
    };
    store
        .create_api_key(&key, &token("secret"))
        .await
        .expect("written");
    assert_eq!(
        store.api_key(&token("secret")).await.expect("read"),
        Some(key.clone())
    );
    assert_eq!(store.api_key(&token("Secret")).await.expect("read"), None);
    assert_eq!(
        store.find_device_by_token(&token("secret")).await.expect("read"),
        None,
        "a member is no device"
    );
    assert_eq!(
        store.api_keys(organization, &ALL).await.expect("read").data,
        std::slice::from_ref(&key)
    );
    assert!(store.delete_api_key(organization, key.id).await.expect("deleted"));
    assert!(!store.delete_api_key(organization, key.id).await.expect("read"));
    assert_eq!(store.api_key(&token("secret")).await.expect("read"), None);
    assert_eq!(store.api_keys(organization, &ALL).await.expect("read").data, []);
}

pub(crate) async fn an_organization_starts_with_its_signing_keys(world: World) {
    let tenant = voelgoed_scan_core::model::Organization {
        id: voelgoed_scan_core::model::OrganizationId::from_uuid(Uuid::new_v4()),
        name: name("Tweede"),
        inserted_at: after(1),
    };
    let keys = [
        signing_key(KeyFormat::Vg1, "1", 1),
        signing_key(KeyFormat::Vg2, "1", 1),
    ];
    world
        .store
        .create_organization(&tenant, &keys)
        .await
        .expect("written");
    assert_eq!(
        world.store.organization(tenant.id).await.expect("read").as_ref(),
        Some(&tenant)
    );
    assert_eq!(world.store.signing_keys(tenant.id).await.expect("read"), keys);
    let mut all = vec![tenant.id, world.organization];
    all.sort();
    assert_eq!(world.store.organizations().await.expect("read"), all);
    world.store.ping().await.expect("it answers");
}
