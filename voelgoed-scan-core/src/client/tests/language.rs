//! The language of the messages, online and offline.

use super::server::Network;
use super::*;
use crate::client::VerdictSource;
use crate::model::Language;

async fn scan(fixture: &Fixture, phone: &ScannerClient, number: u8) -> (VerdictSource, String) {
    fixture.later();
    let verdict = phone.scan(ScanInput::entry(fixture.server.vg2(number))).await;
    let verdict = verdict.expect("a verdict");
    (verdict.decided_by, verdict.message)
}

#[tokio::test]
async fn the_server_is_asked_for_the_language_of_the_phone() {
    let mut fixture = Fixture::new(TestEvent::new());
    fixture.setup.language = Language::Spanish;
    let phone = fixture.phone().await;
    assert_eq!(phone.language(), Language::Spanish);
    let server = (VerdictSource::Server, "…".to_owned());
    assert_eq!(scan(&fixture, &phone, 1).await, server, "the words of the server");
    assert_eq!(fixture.server.header("Accept-Language").as_deref(), Some("es"));
    phone.set_language(Language::Portuguese);
    assert_eq!(scan(&fixture, &phone, 2).await, server);
    assert_eq!(fixture.server.header("Accept-Language").as_deref(), Some("pt"));
    fixture.server.set(Network::Down);
    assert_eq!(
        scan(&fixture, &phone, 3).await,
        (VerdictSource::Device, "Acesso autorizado".to_owned())
    );
    phone.set_language(Language::German);
    assert_eq!(
        scan(&fixture, &phone, 3).await,
        (VerdictSource::Device, "Bereits gescannt".to_owned())
    );
}
