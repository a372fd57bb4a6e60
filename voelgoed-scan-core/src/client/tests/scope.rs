//! A phone keeps to the scope of its device: online the server says so, offline the phone obeys what it last knew.

use super::server::Network;
use super::*;
use crate::client::ProblemCode;
use crate::model::Reason;

async fn scan(fixture: &Fixture, phone: &ScannerClient, number: u8) -> Result<Reason, String> {
    let verdict = phone.scan(ScanInput::entry(fixture.server.vg2(number))).await;
    verdict
        .map(|verdict| verdict.reason)
        .map_err(|error| error.code().to_owned())
}

async fn problem(phone: &ScannerClient) -> Option<ProblemCode> {
    let state = phone.state().await.expect("the state");
    state.problem.map(|problem| problem.code)
}

#[tokio::test]
async fn a_phone_outside_its_scope_tells_its_steward_and_decides_nothing_also_offline_and_after_a_restart() {
    let fixture = Fixture::new(TestEvent::new());
    let phone = fixture.phone().await;
    assert_eq!(scan(&fixture, &phone, 1).await, Ok(Reason::Admitted));
    fixture.server.narrow_scope(true);
    let outside = || Err("out_of_scope".to_owned());
    assert_eq!(scan(&fixture, &phone, 2).await, outside());
    assert_eq!(problem(&phone).await, Some(ProblemCode::OutOfScope));
    fixture.server.set(Network::Down);
    fixture.later();
    assert_eq!(scan(&fixture, &phone, 3).await, outside(), "offline");
    drop(phone);
    let phone = ScannerClient::open(fixture.setup.clone())
        .await
        .expect("the database opens")
        .expect("it is enrolled");
    assert_eq!(scan(&fixture, &phone, 4).await, outside(), "after a restart");
    assert_eq!(
        phone.state().await.expect("the state").waiting,
        0,
        "nothing was decided"
    );
    let (event, gate) = fixture.server.event_and_gate();
    let started = phone.start_session(event, gate, true).await;
    assert_eq!(
        started.err().map(|error| error.code().to_owned()),
        Some("out_of_scope".to_owned())
    );
    fixture.server.narrow_scope(false);
    fixture.server.set(Network::Up);
    fixture.later();
    phone.maintain(true).await;
    assert_ne!(problem(&phone).await, Some(ProblemCode::OutOfScope));
    assert_eq!(scan(&fixture, &phone, 5).await, Ok(Reason::Admitted));
}
