//! Events, gates, devices, signing keys, API keys and organizations.

use uuid::Uuid;
use voelgoed_scan_core::model::{
    ApiKey, ApiKeyId, DeviceId, DevicePatch, DeviceRegister, DeviceStatus, EventId, EventPut, EventStatus,
    GateId, KeyFormat, KeyId, KeyStatus, Reentry, Role, SigningKey,
};
use voelgoed_scan_core::store::{DeleteOutcome, PageRequest, PutOutcome};

use crate::fixture::{
    ALL, Fixture, START, after, audit, live, name, open_gate, put_event, put_gate, register, token,
};

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

pub(crate) async fn putting_an_event_replaces_every_field_but_its_classes(fixture: Fixture) {
    let (store, organization) = (&fixture.store, fixture.organization);
    let id = EventId::from_uuid(Uuid::new_v4());
    let full = r#"{"name":"Fest","status":"draft","starts_at":"2026-11-22T18:00:00Z","ends_at":null,"capacity":2000,
        "reentry":"after_exit","allow_unsigned":true,"ticket_classes":["VIP"],"stale_manifest":"refuse","manifest_max_age_s":60,
        "doors_open_at":"0001-01-01T00:00:00.000Z","doors_close_at":"9999-12-31T23:59:59.999Z",
        "rescheduled_at":"2026-11-29T18:00:00Z","time_zone":"Africa/Johannesburg","day_starts_at":"06:30",
        "allow_media":true}"#;
    let put = store
        .put_event(
            organization,
            id,
            &serde_json::from_str(full).expect("an event"),
            START,
            audit(),
        )
        .await;
    let Ok(PutOutcome::Created(created)) = put else {
        panic!("{put:?}")
    };
    assert_eq!(
        store
            .event(organization, id)
            .await
            .expect("the read succeeds")
            .as_ref(),
        Some(&created)
    );
    assert_eq!(
        (created.capacity, created.reentry, created.allow_unsigned),
        (Some(2000), Reentry::AfterExit, true)
    );
    let texts = [
        created.doors_open_at,
        created.doors_close_at,
        created.rescheduled_at,
    ]
    .map(|time| time.expect("a time").to_string());
    assert_eq!(
        texts,
        [
            "0001-01-01T00:00:00.000Z",
            "9999-12-31T23:59:59.999Z",
            "2026-11-29T18:00:00.000Z"
        ]
    );
    assert_eq!(created.time_zone.as_str(), "Africa/Johannesburg");
    assert_eq!(created.day_starts_at.to_string(), "06:30");
    assert!(created.allow_media);
    let put = store
        .put_event(organization, id, &live(), after(5), audit())
        .await;
    let Ok(PutOutcome::Replaced(replaced)) = put else {
        panic!("{put:?}")
    };
    assert_eq!(
        store
            .event(organization, id)
            .await
            .expect("the read succeeds")
            .as_ref(),
        Some(&replaced)
    );
    assert_eq!(
        (replaced.status, replaced.capacity, replaced.starts_at),
        (EventStatus::Live, None, None)
    );
    assert_eq!(
        (
            replaced.doors_open_at,
            replaced.doors_close_at,
            replaced.rescheduled_at
        ),
        (None, None, None)
    );
    assert_eq!(replaced.time_zone.as_str(), "UTC");
    assert_eq!(replaced.day_starts_at.to_string(), "00:00");
    assert!(!replaced.allow_media);
    assert_eq!((replaced.inserted_at, replaced.updated_at), (START, after(5)));
    assert_eq!(
        replaced.ticket_classes, created.ticket_classes,
        "absent classes are kept"
    );
}

pub(crate) async fn an_event_keeps_whether_a_rehearsal_made_it(fixture: Fixture) {
    let (store, organization) = (&fixture.store, fixture.organization);
    for made_as in [true, false] {
        let id = EventId::from_uuid(Uuid::new_v4());
        for (rehearsal, status) in [(made_as, EventStatus::Live), (!made_as, EventStatus::Archived)] {
            let event = EventPut {
                rehearsal,
                status,
                ..live()
            };
            let put = store.put_event(organization, id, &event, START, audit()).await;
            let Ok(PutOutcome::Created(answer) | PutOutcome::Replaced(answer)) = put else {
                panic!("{put:?}")
            };
            assert_eq!(answer.rehearsal, made_as);
            let stored = store.event(organization, id).await.expect("the read succeeds");
            assert_eq!(stored, Some(answer.clone()));
            let all = store
                .events(
                    organization,
                    &PageRequest {
                        limit: 500,
                        after: None,
                    },
                )
                .await;
            assert!(all.expect("the read succeeds").data.contains(&answer));
        }
    }
}

pub(crate) async fn ticket_classes_are_append_only(fixture: Fixture) {
    let (store, organization, event) = (&fixture.store, fixture.organization, fixture.event);
    let put = async |classes: &[&str]| {
        store
            .put_event(organization, event, &with_classes(classes), START, audit())
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
        .expect("the read succeeds")
        .expect("it exists");
    assert_eq!(stored.ticket_classes.len(), 3);
}

pub(crate) async fn a_gate_is_created_and_replaced_at_its_event(fixture: Fixture) {
    let (store, organization) = (&fixture.store, fixture.organization);
    let other = put_event(&**store, organization, &live()).await;
    let unknown_event = EventId::from_uuid(Uuid::new_v4());
    let gate = GateId::from_uuid(Uuid::new_v4());
    let put = store
        .put_gate(
            organization,
            unknown_event,
            gate,
            &open_gate("Main"),
            START,
            audit(),
        )
        .await;
    assert_eq!(put.expect("the read succeeds"), PutOutcome::Missing);
    assert_eq!(
        store
            .gate(organization, other, fixture.main_gate)
            .await
            .expect("the read succeeds"),
        None
    );
    let full = r#"{"name":"Back","code":"B2","status":"closed","capacity":7,"ticket_classes":["VIP"]}"#;
    let full = serde_json::from_str(full).expect("a gate");
    let put = store
        .put_gate(
            organization,
            fixture.event,
            fixture.main_gate,
            &full,
            after(3),
            audit(),
        )
        .await;
    let Ok(PutOutcome::Replaced(gate)) = put else {
        panic!("{put:?}")
    };
    assert_eq!((gate.inserted_at, gate.updated_at), (START, after(3)));
    assert_eq!(
        store
            .gate(organization, fixture.event, fixture.main_gate)
            .await
            .expect("the read succeeds"),
        Some(gate)
    );
    assert_eq!(fixture.occupancy().await.gates.len(), 2);
}

pub(crate) async fn lists_are_paged_in_id_order(fixture: Fixture) {
    let (store, organization) = (&fixture.store, fixture.organization);
    for _ in 0..4 {
        put_event(&**store, organization, &live()).await;
        put_gate(&**store, organization, fixture.event, &open_gate("More")).await;
        fixture
            .device_at(fixture.main_gate, &Uuid::new_v4().to_string())
            .await;
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
    let gates = walk!(|page| store.gates(organization, fixture.event, &page));
    assert_eq!(gates.len(), 6, "the last page is not followed by an empty one");
    assert!(gates.is_sorted());
    let devices = walk!(|page| store.devices(organization, None, None, &page));
    assert_eq!(devices.len(), 6);
    assert!(devices.is_sorted());
    let mut sessions = walk!(|page| store.sessions(organization, None, None, None, &page));
    assert!(
        sessions.is_sorted_by(|one, next| one > next),
        "newest first, then by descending id"
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

pub(crate) async fn a_signing_key_is_added_once_and_stays_revoked(fixture: Fixture) {
    let (store, organization) = (&fixture.store, fixture.organization);
    let (old, new) = (
        signing_key(KeyFormat::Vg2, "1", 0),
        signing_key(KeyFormat::Vg1, "1", 1),
    );
    assert!(
        store
            .add_signing_key(organization, &new, audit())
            .await
            .expect("the write succeeds")
    );
    assert!(
        store
            .add_signing_key(organization, &old, audit())
            .await
            .expect("the write succeeds")
    );
    assert!(
        !store
            .add_signing_key(organization, &new, audit())
            .await
            .expect("the read succeeds"),
        "(format, kid) is unique"
    );
    assert_eq!(
        store.signing_keys(organization).await.expect("the read succeeds"),
        [old, new],
        "oldest first"
    );
    let set = async |kid: KeyId, status| {
        store
            .set_signing_key_status(organization, KeyFormat::Vg1, kid, status, audit())
            .await
            .expect("the write succeeds")
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
        store.signing_keys(organization).await.expect("the read succeeds")[0].status,
        KeyStatus::Active
    );
}

pub(crate) async fn a_deleted_api_key_no_longer_authenticates(fixture: Fixture) {
    let (store, organization) = (&fixture.store, fixture.organization);
    let key = ApiKey {
        id: ApiKeyId::from_uuid(Uuid::new_v4()),
        organization_id: organization,
        name: name("Box office"),
        role: Role::Admin,
        inserted_at: START,
    };
    store
        .create_api_key(&key, &token("secret"), audit())
        .await
        .expect("the write succeeds");
    assert_eq!(
        store.api_key(&token("secret")).await.expect("the read succeeds"),
        Some(key.clone())
    );
    assert_eq!(
        store.api_key(&token("Secret")).await.expect("the read succeeds"),
        None
    );
    assert_eq!(
        store
            .find_device_by_token(&token("secret"))
            .await
            .expect("the read succeeds"),
        None,
        "an API key is not a device token"
    );
    assert_eq!(
        store
            .api_keys(organization, &ALL)
            .await
            .expect("the read succeeds")
            .data,
        std::slice::from_ref(&key)
    );
    assert_eq!(
        store
            .delete_api_key(organization, key.id, audit())
            .await
            .expect("the key is deleted"),
        DeleteOutcome::Deleted
    );
    assert_eq!(
        store
            .delete_api_key(organization, key.id, audit())
            .await
            .expect("the read succeeds"),
        DeleteOutcome::Missing
    );
    assert_eq!(
        store.api_key(&token("secret")).await.expect("the read succeeds"),
        None
    );
    assert_eq!(
        store
            .api_keys(organization, &ALL)
            .await
            .expect("the read succeeds")
            .data,
        []
    );
}

pub(crate) async fn an_organization_is_created_with_its_signing_keys(fixture: Fixture) {
    let organization = voelgoed_scan_core::model::Organization {
        id: voelgoed_scan_core::model::OrganizationId::from_uuid(Uuid::new_v4()),
        name: name("Tweede"),
        inserted_at: after(1),
    };
    let keys = [
        signing_key(KeyFormat::Vg1, "1", 1),
        signing_key(KeyFormat::Vg2, "1", 1),
    ];
    fixture
        .store
        .create_organization(&organization, &keys, audit())
        .await
        .expect("the write succeeds");
    assert_eq!(
        fixture
            .store
            .organization(organization.id)
            .await
            .expect("the read succeeds")
            .as_ref(),
        Some(&organization)
    );
    assert_eq!(
        fixture
            .store
            .signing_keys(organization.id)
            .await
            .expect("the read succeeds"),
        keys
    );
    let mut all = vec![organization.id, fixture.organization];
    all.sort();
    assert_eq!(
        fixture.store.organizations().await.expect("the read succeeds"),
        all
    );
    fixture.store.ping().await.expect("the ping succeeds");
}

pub(crate) async fn the_last_key_of_an_owner_cannot_be_deleted(fixture: Fixture) {
    let (store, organization) = (&fixture.store, fixture.organization);
    let mut owners = Vec::new();
    for (number, role) in [Role::Owner, Role::Admin, Role::Owner, Role::Owner]
        .into_iter()
        .enumerate()
    {
        let key = ApiKey {
            id: ApiKeyId::from_uuid(Uuid::new_v4()),
            organization_id: organization,
            name: name("Key"),
            role,
            inserted_at: START,
        };
        let hash = token(&format!("{organization} {number}"));
        store
            .create_api_key(&key, &hash, audit())
            .await
            .expect("the write succeeds");
        if role == Role::Owner {
            owners.push(key.id);
        } else {
            let deleted = store.delete_api_key(organization, key.id, audit()).await;
            assert_eq!(deleted.expect("the key is deleted"), DeleteOutcome::Deleted);
        }
    }
    // All at once: exactly one stays, whichever it is.
    let calls: Vec<_> = owners
        .iter()
        .map(|id| {
            let (store, id) = (std::sync::Arc::clone(store), *id);
            tokio::spawn(async move {
                store
                    .delete_api_key(organization, id, audit())
                    .await
                    .expect("an outcome")
            })
        })
        .collect();
    let mut kept = 0;
    for call in calls {
        match call.await.expect("the task completes") {
            DeleteOutcome::Deleted => {}
            DeleteOutcome::Conflict(_) => kept += 1,
            DeleteOutcome::Missing => panic!("the key exists"),
        }
    }
    assert_eq!(kept, 1);
    let left = store
        .api_keys(organization, &ALL)
        .await
        .expect("the read succeeds")
        .data;
    assert_eq!(left.len(), 1);
    let refused = store.delete_api_key(organization, left[0].id, audit()).await;
    assert!(matches!(refused, Ok(DeleteOutcome::Conflict(_))), "{refused:?}");
}

pub(crate) async fn the_textual_id_of_a_revoked_device_may_be_used_again(fixture: Fixture) {
    let (store, organization) = (&fixture.store, fixture.organization);
    let revoked = register(&**store, organization, "door-7").await;
    let device = DeviceRegister {
        device_id: revoked.device_id.clone(),
        name: revoked.name.clone(),
        device_type: revoked.device_type,
        settings: revoked.settings.clone(),
        scope: voelgoed_scan_core::model::DeviceScope::default(),
    };
    let again = |number: u32| {
        let (id, hash) = (
            DeviceId::from_uuid(Uuid::new_v4()),
            token(&format!("{organization} door {number}")),
        );
        let device = device.clone();
        async move {
            store
                .register_device(organization, id, &device, &hash, START, audit())
                .await
                .expect("an outcome")
        }
    };
    assert!(matches!(again(0).await, PutOutcome::Conflict(_)), "it is in use");
    // An inactive device may become active again: its id is in use.
    let patch = DevicePatch {
        status: Some(DeviceStatus::Inactive),
        ..DevicePatch::default()
    };
    store
        .patch_device(organization, revoked.id, &patch, START, audit())
        .await
        .expect("the device is switched off");
    assert!(
        matches!(again(1).await, PutOutcome::Conflict(_)),
        "it is only inactive"
    );
    assert!(
        store
            .revoke_device(organization, revoked.id, START, audit())
            .await
            .expect("revoked")
    );
    let PutOutcome::Created(second) = again(2).await else {
        panic!("the id is free");
    };
    assert!(
        matches!(again(3).await, PutOutcome::Conflict(_)),
        "it is in use again"
    );
    assert!(
        store
            .revoke_device(organization, second.id, START, audit())
            .await
            .expect("revoked")
    );
    assert!(matches!(again(4).await, PutOutcome::Created(_)), "free again");
    let all = store
        .devices(organization, Some("door-7"), None, &ALL)
        .await
        .expect("the read succeeds");
    assert_eq!(all.data.len(), 3, "the records of revoked devices stay");
}
