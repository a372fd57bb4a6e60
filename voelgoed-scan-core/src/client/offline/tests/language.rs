//! The language of the messages on a phone without a network.

use serde_json::json;

use super::*;
use crate::model::Language;

#[tokio::test]
async fn the_message_is_in_the_language_of_the_phone_and_in_the_words_of_the_organization() {
    let mut test_event = TestEvent::new();
    let welcome = json!({ "nl": { "admitted": "Welkom!" }, "en": { "already_scanned": "Send to the desk" } });
    test_event.messages = serde_json::from_value(welcome).expect("messages");
    let phone = test_event.phone().await;
    let mut messages = Vec::new();
    for (number, language) in (1..).zip([Language::English, Language::Dutch, Language::German]) {
        phone.scanner.set_language(language);
        assert_eq!(phone.scanner.language(), language);
        let seconds = i64::from(number) * 10;
        for scan in [
            entry(test_event.vg2(number), seconds),
            entry(test_event.vg2(number), seconds + 5),
        ] {
            messages.push(phone.scan(scan).await.message);
        }
    }
    assert_eq!(
        messages,
        [
            "Admitted",
            "Send to the desk",
            "Welkom!",
            "Al gescand",
            "Einlass gewährt",
            "Bereits gescannt"
        ]
    );
}

#[tokio::test]
async fn an_earlier_verdict_is_shown_in_the_present_language() {
    let test_event = TestEvent::new();
    let phone = test_event.phone().await;
    let scan = entry(test_event.vg2(1), 1);
    assert_eq!(phone.scan(scan.clone()).await.message, "Admitted");
    for (language, message) in [
        (Language::French, "Entrée autorisée"),
        (Language::Afrikaans, "Toegelaat"),
    ] {
        phone.scanner.set_language(language);
        let again = phone.scan(scan.clone()).await;
        assert_eq!((again.repeated, again.message.as_str()), (true, message));
        // The same reading within 2.5 s has another id.
        let reading = OfflineScan {
            scan_id: ScanId::from_uuid(Uuid::new_v4()),
            ..scan.clone()
        };
        assert_eq!(phone.scan(reading).await.message, message);
        let earlier = phone.scanner.earlier_verdict(&scan).await.expect("read");
        assert_eq!(earlier.map(|verdict| verdict.message).as_deref(), Some(message));
    }
    // The language is the app's: a new start begins with that of its options.
    let phone = phone.reopened(&test_event).await;
    assert_eq!(phone.scan(scan).await.message, "Admitted");
}

#[tokio::test]
async fn a_new_manifest_brings_the_new_words() {
    let mut test_event = TestEvent::new();
    let phone = test_event.phone().await;
    let scan = entry(test_event.vg2(1), 1);
    assert_eq!(phone.scan(scan.clone()).await.message, "Admitted");
    test_event.messages =
        serde_json::from_value(json!({ "en": { "admitted": "Walk in" } })).expect("messages");
    let newer = test_event.later(5);
    phone
        .install(&test_event, newer, 6)
        .await
        .expect("it is installed");
    assert_eq!(phone.scan(scan).await.message, "Walk in");
}
