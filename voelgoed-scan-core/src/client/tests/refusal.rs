//! A phone that the server refuses stops, online, offline and after a restart, until the server accepts it again.

use super::server::Network;
use super::*;
use crate::client::VerdictSource;
use crate::model::Reason;

async fn scan(
    fixture: &Fixture,
    phone: &ScannerClient,
    number: u8,
) -> Result<(Reason, VerdictSource), String> {
    let verdict = phone.scan(ScanInput::entry(fixture.server.vg2(number))).await;
    verdict
        .map(|verdict| (verdict.reason, verdict.decided_by))
        .map_err(|error| error.code().to_owned())
}

async fn open(fixture: &Fixture) -> ScannerClient {
    ScannerClient::open(fixture.setup.clone())
        .await
        .expect("the database opens")
        .expect("it is enrolled")
}

fn refused() -> Result<(Reason, VerdictSource), String> {
    Err("device_inactive".to_owned())
}

#[tokio::test]
async fn a_revoked_phone_admits_nobody_offline_or_after_a_restart() {
    let fixture = Fixture::new(TestEvent::new());
    let phone = fixture.phone().await;
    fixture.server.revoke();
    assert_eq!(scan(&fixture, &phone, 1).await, refused());
    fixture.server.set(Network::Down);
    fixture.later();
    assert_eq!(scan(&fixture, &phone, 2).await, refused(), "offline");
    drop(phone);
    let phone = open(&fixture).await;
    assert_eq!(scan(&fixture, &phone, 3).await, refused(), "after a restart");
    fixture.server.set(Network::Up);
    fixture.server.calls();
    fixture.later();
    assert_eq!(scan(&fixture, &phone, 4).await, refused(), "online again");
    assert_eq!(fixture.server.admissions(), 0);
}

#[tokio::test]
async fn a_refusal_is_heeded_whatever_the_phone_asked_and_uploads_go_on() {
    for (asked, refresh) in [("sync", false), ("maintenance", true)] {
        let fixture = Fixture::new(TestEvent::new());
        let phone = fixture.phone().await;
        fixture.server.set(Network::Down);
        assert_eq!(
            scan(&fixture, &phone, 1).await,
            Ok((Reason::Admitted, VerdictSource::Device))
        );
        fixture.server.set(Network::Up);
        fixture.server.revoke();
        fixture.later();
        if refresh {
            phone.maintain(true).await;
        } else {
            phone.sync().await.expect_err("the health report is refused");
        }
        assert_eq!(fixture.server.uploaded().len(), 1, "{asked}: it was uploaded");
        fixture.server.set(Network::Down);
        fixture.later();
        assert_eq!(scan(&fixture, &phone, 2).await, refused(), "{asked}");
    }
}

#[tokio::test]
async fn a_phone_that_the_server_accepts_again_goes_on() {
    let fixture = Fixture::new(TestEvent::new());
    let phone = fixture.phone().await;
    fixture.server.revoke();
    assert_eq!(scan(&fixture, &phone, 1).await, refused());
    fixture.server.reactivate();
    fixture.later();
    phone.sync().await.expect("the server accepts it");
    assert_eq!(
        scan(&fixture, &phone, 1).await,
        Ok((Reason::Admitted, VerdictSource::Server))
    );
    drop(phone);
    let phone = open(&fixture).await;
    fixture.later();
    assert!(scan(&fixture, &phone, 2).await.is_ok(), "after a restart too");
}

#[tokio::test]
async fn a_phone_that_is_enrolled_again_goes_on() {
    let fixture = Fixture::new(TestEvent::new());
    let phone = fixture.phone().await;
    fixture.server.revoke();
    assert_eq!(scan(&fixture, &phone, 1).await, refused());
    drop(phone);
    fixture.server.reactivate();
    let phone = fixture.phone().await;
    assert_eq!(
        scan(&fixture, &phone, 1).await,
        Ok((Reason::Admitted, VerdictSource::Server))
    );
}

#[tokio::test]
async fn another_refusal_does_not_stop_the_phone() {
    let fixture = Fixture::new(TestEvent::new());
    let phone = fixture.phone().await;
    phone.end_session().await.expect("the session ends");
    let (event, gate) = fixture.server.event_and_gate();
    fixture.server.set(Network::Down);
    phone
        .start_session(event, gate, false)
        .await
        .expect("an offline session");
    assert_eq!(
        scan(&fixture, &phone, 1).await,
        Ok((Reason::Admitted, VerdictSource::Device))
    );
    assert_eq!(phone.offline().device_refusal().await, None);
}
