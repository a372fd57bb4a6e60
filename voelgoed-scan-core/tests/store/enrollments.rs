//! Enrollment codes: a phone exchanges one for the token of a device.

use std::sync::Arc;

use uuid::Uuid;
use voelgoed_scan_core::client::DeviceSecret;
use voelgoed_scan_core::model::{
    App, Device, DeviceHealth, DeviceId, DeviceKey, DeviceStatus, EnrollRequest, EnrollmentCode, Timestamp,
};
use voelgoed_scan_core::store::{PutOutcome, StoreError};
use voelgoed_scan_core::sync::SyncStatus;

use crate::fixture::{Fixture, START, after, audit, name, token};
use crate::sync::{item, scan, sync_batch};

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

/// A code for the same enrollment with a wrong secret.
fn wrong_secret(code: &EnrollmentCode) -> EnrollmentCode {
    let other = EnrollmentCode::generate();
    let secret = other.reveal().split_once('.').expect("two parts").1.to_owned();
    format!("{}.{secret}", code.id()).parse().expect("a code")
}

impl Fixture {
    /// Creates an enrollment code for the device at the gate `Main`, valid for 300 seconds.
    async fn enrollment_code(&self) -> EnrollmentCode {
        let code = EnrollmentCode::generate();
        let put = self
            .store
            .put_enrollment(
                self.organization,
                self.main_session.device,
                &code,
                after(300),
                audit(),
            )
            .await;
        assert_eq!(put.expect("the write succeeds"), PutOutcome::Created(()));
        code
    }

    async fn try_enroll(&self, code: &EnrollmentCode, now: Timestamp) -> Option<Device> {
        let enrolled = self
            .store
            .enroll(&request(code, None), &token("phone"), now, audit())
            .await;
        enrolled.expect("the write succeeds")
    }
}

pub(crate) async fn a_code_enrolls_once_and_invalidates_the_old_token(fixture: Fixture) {
    let (store, organization, device) = (&fixture.store, fixture.organization, fixture.main_session.device);
    let old = token(&format!("{organization} scanner-1"));
    let health = DeviceHealth {
        app: None,
        battery: Some(0.1),
        waiting: Some(7),
    };
    store
        .report_device(organization, device, Some(&health), START)
        .await
        .expect("the write succeeds");
    let code = fixture.enrollment_code().await;
    let key = DeviceSecret::generate().public();
    let enrolled = store
        .enroll(&request(&code, Some(key)), &token("phone"), after(300), audit())
        .await
        .expect("the write succeeds")
        .expect("a code is valid until it expires");
    assert_eq!((enrolled.id, enrolled.organization_id), (device, organization));
    assert_eq!(
        (&enrolled.app, enrolled.battery, enrolled.waiting),
        (&Some(app()), None, None)
    );
    assert_eq!(
        (enrolled.last_seen_at, enrolled.updated_at),
        (Some(after(300)), after(300))
    );
    assert_eq!(
        store.find_device_by_token(&old).await.expect("the read succeeds"),
        None
    );
    let authenticated = store
        .find_device_by_token(&token("phone"))
        .await
        .expect("the read succeeds")
        .expect("the new token is known");
    assert_eq!(authenticated.device, enrolled);
    assert_eq!(
        authenticated
            .active_session
            .map(|active_session| active_session.session.id),
        Some(fixture.main_session.id)
    );
    assert_eq!(
        fixture.try_enroll(&code, after(1)).await,
        None,
        "the code is used"
    );
}

pub(crate) async fn of_concurrent_enrollments_with_one_code_one_succeeds(fixture: Fixture) {
    for _ in 0..4 {
        let code = fixture.enrollment_code().await;
        let calls: Vec<_> = (0..12)
            .map(|number| {
                let (store, request) = (Arc::clone(&fixture.store), request(&code, None));
                tokio::spawn(async move {
                    // A caller retries after contention.
                    loop {
                        let token = token(&format!("phone {number}"));
                        match store.enroll(&request, &token, after(1), audit()).await {
                            Err(StoreError::Contended { .. }) => {}
                            done => return done.expect("the write succeeds"),
                        }
                    }
                })
            })
            .collect();
        let mut enrolled = 0;
        for call in calls {
            enrolled += usize::from(call.await.expect("the task completes").is_some());
        }
        assert_eq!(enrolled, 1);
    }
}

pub(crate) async fn five_wrong_secrets_invalidate_a_code(fixture: Fixture) {
    let code = fixture.enrollment_code().await;
    for _ in 0..4 {
        assert_eq!(fixture.try_enroll(&wrong_secret(&code), after(1)).await, None);
    }
    assert!(
        fixture.try_enroll(&code, after(1)).await.is_some(),
        "four wrong secrets do not invalidate it"
    );
    let code = fixture.enrollment_code().await;
    let calls: Vec<_> = (0..5)
        .map(|_| {
            let (store, request) = (Arc::clone(&fixture.store), request(&wrong_secret(&code), None));
            tokio::spawn(async move { store.enroll(&request, &token("guessed"), after(1), audit()).await })
        })
        .collect();
    for call in calls {
        assert_eq!(
            call.await
                .expect("the task completes")
                .expect("the write succeeds"),
            None
        );
    }
    assert_eq!(
        fixture.try_enroll(&code, after(1)).await,
        None,
        "five wrong secrets invalidate it"
    );
    let next = fixture.enrollment_code().await;
    assert!(
        fixture.try_enroll(&next, after(1)).await.is_some(),
        "a new code works"
    );
}

pub(crate) async fn an_expired_replaced_or_unknown_code_is_rejected(fixture: Fixture) {
    let late = fixture.enrollment_code().await;
    assert_eq!(
        fixture.try_enroll(&late, after(300).plus_millis(1)).await,
        None,
        "expired"
    );
    let first = fixture.enrollment_code().await;
    let second = fixture.enrollment_code().await;
    assert_eq!(fixture.try_enroll(&first, after(1)).await, None, "replaced");
    assert_eq!(
        fixture.try_enroll(&EnrollmentCode::generate(), after(1)).await,
        None,
        "unknown"
    );
    assert!(fixture.try_enroll(&second, after(1)).await.is_some());
}

pub(crate) async fn a_revoked_device_cannot_enroll_and_an_inactive_one_stays_inactive(fixture: Fixture) {
    let (store, organization, device) = (&fixture.store, fixture.organization, fixture.main_session.device);
    let patch = serde_json::from_str(r#"{"status":"inactive"}"#).expect("a patch");
    store
        .patch_device(organization, device, &patch, START, audit())
        .await
        .expect("the write succeeds");
    let code = fixture.enrollment_code().await;
    let enrolled = fixture
        .try_enroll(&code, after(1))
        .await
        .expect("the device is enrolled");
    assert_eq!(enrolled.status, DeviceStatus::Inactive);
    let code = fixture.enrollment_code().await;
    store
        .revoke_device(organization, device, after(2), audit())
        .await
        .expect("the device is revoked");
    assert_eq!(
        fixture.try_enroll(&code, after(3)).await,
        None,
        "revoked after the code was created"
    );
    let put = async |organization, device| {
        let code = EnrollmentCode::generate();
        fixture
            .store
            .put_enrollment(organization, device, &code, after(9), audit())
            .await
            .expect("the read succeeds")
    };
    assert!(matches!(put(organization, device).await, PutOutcome::Conflict(_)));
}

pub(crate) async fn a_code_is_issued_only_for_a_device_of_the_same_organization(fixture: Fixture) {
    let other = fixture.another().await;
    for device in [DeviceId::from_uuid(Uuid::new_v4()), other.main_session.device] {
        let code = EnrollmentCode::generate();
        let put = fixture
            .store
            .put_enrollment(fixture.organization, device, &code, after(300), audit())
            .await;
        assert_eq!(put.expect("the read succeeds"), PutOutcome::Missing);
        assert_eq!(fixture.try_enroll(&code, after(1)).await, None);
    }
}

pub(crate) async fn after_reenrollment_a_device_log_restarts_or_continues(fixture: Fixture) {
    let ticket = fixture.ticket(r#"{"entry_limit":200}"#).await;
    let upload = async |numbers: &[u64], arrival| {
        let items = numbers.iter().map(|&number| {
            let mut scan = scan(&fixture.main_session, ticket, arrival);
            scan.sequence = Some(number);
            item(scan, Some(ticket))
        });
        let synced = fixture
            .ingest(&sync_batch(&fixture.main_session, items.collect(), arrival))
            .await;
        assert!(
            synced
                .results
                .iter()
                .all(|one| one.status == SyncStatus::Recorded)
        );
        synced.writes.received.missing()
    };
    assert_eq!(upload(&[1, 2, 3, 6], 10).await, [(4, 5)]);
    assert!(
        fixture
            .try_enroll(&fixture.enrollment_code().await, after(11))
            .await
            .is_some()
    );
    assert_eq!(
        upload(&[1, 2], 12).await,
        [],
        "a new phone starts at 1: the gaps of the old phone are not its own"
    );
    assert_eq!(upload(&[5], 13).await, [(3, 4)]);
    assert!(
        fixture
            .try_enroll(&fixture.enrollment_code().await, after(14))
            .await
            .is_some()
    );
    assert_eq!(
        upload(&[6, 7], 15).await,
        [(3, 4)],
        "the same phone continues its log"
    );
    assert_eq!(upload(&[3, 4], 16).await, []);
}
