//! Codes that make a phone a device.

use std::sync::Arc;

use uuid::Uuid;
use voelgoed_scan_core::client::DeviceSecret;
use voelgoed_scan_core::model::{
    App, Device, DeviceHealth, DeviceId, DeviceKey, DeviceStatus, EnrollRequest, EnrollmentCode, Timestamp,
};
use voelgoed_scan_core::store::{PutOutcome, StoreError};
use voelgoed_scan_core::sync::SyncStatus;

use crate::sync::{intake, item, scan};
use crate::world::{START, World, after, name, token};

fn app() -> App {
    App {
        name: name("Gate"),
        version: name("1.0"),
        platform: name("android"),
    }
}

fn request(code: &EnrollmentCode, device_key: Option<DeviceKey>) -> EnrollRequest {
    EnrollRequest {
        code: code.clone(),
        app: app(),
        device_key,
    }
}

/// A code of the same enrolment with another secret.
fn guess(code: &EnrollmentCode) -> EnrollmentCode {
    let other = EnrollmentCode::generate();
    let secret = other.reveal().split_once('.').expect("two parts").1.to_owned();
    format!("{}.{secret}", code.id()).parse().expect("a code")
}

impl World {
    async fn code(&self) -> EnrollmentCode {
        let code = EnrollmentCode::generate();
        let put = self
            .store
            .put_enrollment(self.organization, self.post.device, &code, after(300))
            .await;
        assert_eq!(put.expect("written"), PutOutcome::Created(()));
        code
    }

    async fn try_enroll(&self, code: &EnrollmentCode, now: Timestamp) -> Option<Device> {
        let enrolled = self
            .store
            .enroll(&request(code, None), &token("phone"), now)
            .await;
        enrolled.expect("written")
    }
}

pub(crate) async fn a_code_enrols_its_device_once_and_the_old_token_dies(world: World) {
    let (store, organization, device) = (&world.store, world.organization, world.post.device);
    let old = token(&format!("{organization} scanner-1"));
    let health = DeviceHealth {
        app: None,
        battery: Some(0.1),
        waiting: Some(7),
    };
    store
        .report_device(organization, device, Some(&health), START)
        .await
        .expect("written");
    let code = world.code().await;
    let key = DeviceSecret::generate().public();
    let enrolled = store
        .enroll(&request(&code, Some(key)), &token("phone"), after(300))
        .await
        .expect("written")
        .expect("at the last moment");
    assert_eq!((enrolled.id, enrolled.organization_id), (device, organization));
    assert_eq!(
        (&enrolled.app, enrolled.battery, enrolled.waiting),
        (&Some(app()), None, None)
    );
    assert_eq!(
        (enrolled.last_seen_at, enrolled.updated_at),
        (Some(after(300)), after(300))
    );
    assert_eq!(store.find_device_by_token(&old).await.expect("read"), None);
    let authenticated = store
        .find_device_by_token(&token("phone"))
        .await
        .expect("read")
        .expect("its own");
    assert_eq!(authenticated.device, enrolled);
    assert_eq!(
        authenticated
            .active_session
            .map(|active_session| active_session.session.id),
        Some(world.post.session)
    );
    assert_eq!(world.try_enroll(&code, after(1)).await, None, "used");
}

pub(crate) async fn of_calls_at_once_with_one_code_one_enrols(world: World) {
    for _ in 0..4 {
        let code = world.code().await;
        let calls: Vec<_> = (0..12)
            .map(|number| {
                let (store, request) = (Arc::clone(&world.store), request(&code, None));
                tokio::spawn(async move {
                    // Whoever is in another's way asks again, as a caller would.
                    loop {
                        let token = token(&format!("phone {number}"));
                        match store.enroll(&request, &token, after(1)).await {
                            Err(StoreError::Contended { .. }) => {}
                            done => return done.expect("written"),
                        }
                    }
                })
            })
            .collect();
        let mut enrolled = 0;
        for call in calls {
            enrolled += usize::from(call.await.expect("the call ends").is_some());
        }
        assert_eq!(enrolled, 1);
    }
}

pub(crate) async fn five_wrong_secrets_burn_a_code_however_they_come(world: World) {
    let code = world.code().await;
    for _ in 0..4 {
        assert_eq!(world.try_enroll(&guess(&code), after(1)).await, None);
    }
    assert!(world.try_enroll(&code, after(1)).await.is_some(), "four do not");
    let code = world.code().await;
    let calls: Vec<_> = (0..5)
        .map(|_| {
            let (store, request) = (Arc::clone(&world.store), request(&guess(&code), None));
            tokio::spawn(async move { store.enroll(&request, &token("guessed"), after(1)).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.expect("the call ends").expect("written"), None);
    }
    assert_eq!(world.try_enroll(&code, after(1)).await, None, "burnt");
    let anew = world.code().await;
    assert!(
        world.try_enroll(&anew, after(1)).await.is_some(),
        "the next one is not"
    );
}

pub(crate) async fn an_expired_replaced_or_unknown_code_enrols_nobody(world: World) {
    let late = world.code().await;
    assert_eq!(
        world.try_enroll(&late, after(300).plus_millis(1)).await,
        None,
        "late"
    );
    let first = world.code().await;
    let second = world.code().await;
    assert_eq!(world.try_enroll(&first, after(1)).await, None, "replaced");
    assert_eq!(
        world.try_enroll(&EnrollmentCode::generate(), after(1)).await,
        None,
        "unknown"
    );
    assert!(world.try_enroll(&second, after(1)).await.is_some());
}

pub(crate) async fn a_revoked_device_is_enrolled_no_more_and_an_inactive_one_stays_so(world: World) {
    let (store, organization, device) = (&world.store, world.organization, world.post.device);
    let patch = serde_json::from_str(r#"{"status":"inactive"}"#).expect("a patch");
    store
        .patch_device(organization, device, &patch, START)
        .await
        .expect("written");
    let code = world.code().await;
    let enrolled = world.try_enroll(&code, after(1)).await.expect("enrolled");
    assert_eq!(enrolled.status, DeviceStatus::Inactive);
    let code = world.code().await;
    store
        .revoke_device(organization, device, after(2))
        .await
        .expect("revoked");
    assert_eq!(world.try_enroll(&code, after(3)).await, None, "revoked since");
    let put = async |organization, device| {
        let code = EnrollmentCode::generate();
        world
            .store
            .put_enrollment(organization, device, &code, after(9))
            .await
            .expect("read")
    };
    assert!(matches!(put(organization, device).await, PutOutcome::Conflict(_)));
}

pub(crate) async fn a_code_is_made_for_a_device_of_one_s_own(world: World) {
    let other = world.another().await;
    for device in [DeviceId::from_uuid(Uuid::new_v4()), other.post.device] {
        let code = EnrollmentCode::generate();
        let put = world
            .store
            .put_enrollment(world.organization, device, &code, after(300))
            .await;
        assert_eq!(put.expect("read"), PutOutcome::Missing);
        assert_eq!(world.try_enroll(&code, after(1)).await, None);
    }
}

pub(crate) async fn a_phone_enrolled_anew_begins_its_log_anew_or_goes_on_with_it(world: World) {
    let ticket = world.ticket(r#"{"entry_limit":200}"#).await;
    let hand_in = async |numbers: &[u64], arrival| {
        let items = numbers.iter().map(|&number| {
            let mut one = scan(&world.post, ticket, arrival);
            one.sequence = Some(number);
            item(one, Some(ticket))
        });
        let synced = world
            .hand_in(&intake(&world.post, items.collect(), arrival))
            .await;
        assert!(
            synced
                .results
                .iter()
                .all(|one| one.status == SyncStatus::Recorded)
        );
        synced.writes.received.missing()
    };
    assert_eq!(hand_in(&[1, 2, 3, 6], 10).await, [(4, 5)]);
    assert!(world.try_enroll(&world.code().await, after(11)).await.is_some());
    assert_eq!(
        hand_in(&[1, 2], 12).await,
        [],
        "another phone counts from 1: what the last one lacked is not its own"
    );
    assert_eq!(hand_in(&[5], 13).await, [(3, 4)]);
    assert!(world.try_enroll(&world.code().await, after(14)).await.is_some());
    assert_eq!(hand_in(&[6, 7], 15).await, [(3, 4)], "the same phone goes on");
    assert_eq!(hand_in(&[3, 4], 16).await, []);
}
