//! A phone that is enrolled as another device, or forgotten, while scans wait for upload.

use super::server::{Network, problem};
use super::*;

const ENROLLMENT: &str = "voelgoed-scan.enrollment";
const EARLIER: &str = "voelgoed-scan.earlier-enrollments";

/// Enrols device 7 and admits two tickets without a network. Then the network is back, and codes are for device 8.
async fn phone_with_waiting_scans(fixture: &Fixture) -> ScannerClient {
    let phone = fixture.phone().await;
    fixture.server.set(Network::Down);
    for number in [1, 2] {
        let scan = ScanInput::entry(fixture.server.vg2(number));
        phone.scan(scan).await.expect("the phone decides");
        fixture.later();
    }
    fixture.server.set(Network::Up);
    fixture.server.set_device(8);
    phone
}

async fn enroll(fixture: &Fixture) -> ScannerClient {
    ScannerClient::enroll(fixture.setup.clone(), &Fixture::uri())
        .await
        .expect("a device")
}

async fn open(fixture: &Fixture) -> ScannerClient {
    let opened = ScannerClient::open(fixture.setup.clone()).await;
    opened.expect("it opens").expect("it is enrolled")
}

/// The scans of the present device and of the earlier ones that wait.
async fn waiting(phone: &ScannerClient) -> (u64, u64) {
    let state = phone.state().await.expect("a state");
    (state.waiting, state.earlier_waiting)
}

fn secrets(fixture: &Fixture) -> Vec<String> {
    let mut names: Vec<_> = fixture.secrets.0.lock().keys().cloned().collect();
    names.sort();
    names
}

#[tokio::test]
async fn scans_that_wait_are_uploaded_after_the_phone_became_another_device() {
    let fixture = Fixture::new(TestEvent::new());
    let earlier = phone_with_waiting_scans(&fixture).await;
    let token = format!("Bearer {}", earlier.credentials.token.reveal());
    drop(earlier);
    drop(enroll(&fixture).await);
    assert_eq!(secrets(&fixture), [EARLIER, ENROLLMENT]);
    let phone = open(&fixture).await;
    assert_eq!(waiting(&phone).await, (0, 2));
    fixture.server.set(Network::Down);
    phone.sync().await.expect_err("there is no network");
    assert_eq!(waiting(&phone).await, (0, 2));
    fixture.server.set(Network::Up);
    fixture.later();
    phone.sync().await.expect("the server answers");
    assert_eq!(fixture.server.uploaded().len(), 2);
    assert_eq!(fixture.server.header("Authorization"), Some(token));
    assert_eq!(waiting(&phone).await, (0, 0));
    assert_eq!(secrets(&fixture), [ENROLLMENT]);
}

#[tokio::test]
async fn a_phone_in_use_uploads_them_by_itself() {
    let fixture = Fixture::new(TestEvent::new());
    drop(phone_with_waiting_scans(&fixture).await);
    let phone = enroll(&fixture).await;
    assert!(phone.maintain(true).await);
    assert_eq!(fixture.server.uploaded().len(), 2);
    assert_eq!(waiting(&phone).await, (0, 0));
}

#[tokio::test]
async fn credentials_are_forgotten_when_no_scan_waits_and_else_serve_the_upload_alone() {
    let fixture = Fixture::new(TestEvent::new());
    let phone = phone_with_waiting_scans(&fixture).await;
    phone.forget().await.expect("they are deleted");
    drop(phone);
    assert_eq!(secrets(&fixture), [EARLIER]);
    let opened = ScannerClient::open(fixture.setup.clone()).await;
    assert!(opened.expect("nothing fails").is_none());
    let phone = enroll(&fixture).await;
    phone.sync().await.expect("the server answers");
    assert_eq!(fixture.server.uploaded().len(), 2);
    phone.forget().await.expect("they are deleted");
    assert!(secrets(&fixture).is_empty());
}

#[tokio::test]
async fn nothing_is_kept_of_a_device_without_waiting_scans() {
    let fixture = Fixture::new(TestEvent::new());
    let phone = phone_with_waiting_scans(&fixture).await;
    fixture.server.set_device(7);
    phone.sync().await.expect("the server answers");
    drop(phone);
    fixture.server.set_device(8);
    let phone = enroll(&fixture).await;
    assert_eq!(secrets(&fixture), [ENROLLMENT]);
    assert_eq!(waiting(&phone).await, (0, 0));
}

#[tokio::test]
async fn a_device_that_is_enrolled_again_has_its_own_scans() {
    let fixture = Fixture::new(TestEvent::new());
    drop(phone_with_waiting_scans(&fixture).await);
    drop(enroll(&fixture).await);
    fixture.server.set_device(7);
    let phone = enroll(&fixture).await;
    assert_eq!(secrets(&fixture), [ENROLLMENT]);
    assert_eq!(waiting(&phone).await, (2, 0));
}

#[tokio::test]
async fn a_refusal_of_the_earlier_device_is_none_of_the_present_one() {
    let fixture = Fixture::new(TestEvent::new());
    drop(phone_with_waiting_scans(&fixture).await);
    let phone = enroll(&fixture).await;
    fixture.server.tamper(Some(|call, answer| match call {
        "POST sync" => problem(401, "invalid_token"),
        _ => answer,
    }));
    phone.sync().await.expect("the present device is accepted");
    assert_eq!(phone.offline.device_refusal().await, None);
    assert_eq!(waiting(&phone).await, (0, 2));
    assert_eq!(secrets(&fixture), [EARLIER, ENROLLMENT]);
}

/// The app has not closed the client of the earlier device.
#[tokio::test]
async fn scans_that_cannot_be_counted_are_uploaded_later() {
    let fixture = Fixture::new(TestEvent::new());
    let earlier = phone_with_waiting_scans(&fixture).await;
    let phone = enroll(&fixture).await;
    phone.sync().await.expect("the present device goes on");
    assert_eq!(fixture.server.uploaded().len(), 0);
    drop(earlier);
    phone.sync().await.expect("the server answers");
    assert_eq!(fixture.server.uploaded().len(), 2);
    assert_eq!(secrets(&fixture), [ENROLLMENT]);
}

/// The app ends after the credentials were kept, and before those of the next device replaced them.
#[tokio::test]
async fn an_enrolment_that_was_not_finished_leaves_the_device_as_it_was() {
    let fixture = Fixture::new(TestEvent::new());
    drop(phone_with_waiting_scans(&fixture).await);
    let before = fixture.secrets.get(ENROLLMENT).expect("it is read");
    drop(enroll(&fixture).await);
    let before = before.expect("the phone was enrolled");
    fixture.secrets.set(ENROLLMENT, before).expect("it is stored");
    fixture.server.set_device(7);
    let phone = open(&fixture).await;
    assert_eq!(waiting(&phone).await, (2, 0));
    phone.sync().await.expect("the server answers");
    assert_eq!(fixture.server.uploaded().len(), 2);
    assert_eq!(waiting(&phone).await, (0, 0));
}
