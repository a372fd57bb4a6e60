//! The messages of stewards that an organization replaced.

use serde_json::{Value, json};
use voelgoed_scan_core::model::{CustomMessages, CustomMessagesPatch, Reason};
use voelgoed_scan_core::store::{AuditFilter, Order};

use crate::fixture::{ALL, Fixture, audit};

impl Fixture {
    async fn change_messages(&self, patch: Value) -> Value {
        let patch: CustomMessagesPatch = serde_json::from_value(patch).expect("a patch");
        let changed = self
            .store
            .change_custom_messages(self.organization, &patch, audit())
            .await
            .expect("the messages are changed");
        assert_eq!(
            self.messages().await,
            changed,
            "what is returned is what is stored"
        );
        json!(changed)
    }

    async fn messages(&self) -> CustomMessages {
        let read = self.store.custom_messages(self.organization).await;
        read.expect("the messages are read")
    }

    /// The changes of the entries in the audit log about messages, oldest first.
    async fn entries_about_messages(&self) -> Vec<Value> {
        let filter = AuditFilter::default();
        let log = self
            .store
            .audit_entries(self.organization, &filter, Order::Oldest, &ALL)
            .await
            .expect("the log is read");
        let changes = log.data.into_iter().map(|entry| {
            assert!(
                !json!(entry).to_string().contains("Welkom"),
                "no text is in the log"
            );
            json!(entry.changes)
        });
        changes
            .filter(|changes| changes.to_string().contains("messages."))
            .collect()
    }

    async fn facts_counter(&self) -> i64 {
        let all = self.store.change_counters().await.expect("the counters are read");
        let own = all.iter().find(|one| one.organization_id == self.organization);
        own.expect("the organization exists").facts
    }
}

pub(crate) async fn messages_are_merged_and_each_change_leaves_an_entry(fixture: Fixture) {
    assert_eq!(fixture.messages().await, CustomMessages::default());
    let counter = fixture.facts_counter().await;
    let first = json!({ "nl": { "admitted": "Welkom", "gate_full": "Vol, ga naar hek 2" } });
    assert_eq!(fixture.change_messages(first.clone()).await, first);
    let raised = fixture.facts_counter().await;
    assert!(raised > counter, "other nodes have to notice");
    assert_eq!(
        fixture.change_messages(first.clone()).await,
        first,
        "nothing changes"
    );
    assert_eq!(
        fixture
            .change_messages(json!({ "fr": { "admitted": null } }))
            .await,
        first
    );
    assert_eq!(fixture.facts_counter().await, raised);
    let second =
        json!({ "nl": { "admitted": "Welkom!", "gate_full": null }, "de": { "admitted": "Willkommen" } });
    assert_eq!(
        fixture.change_messages(second).await,
        json!({ "nl": { "admitted": "Welkom!" }, "de": { "admitted": "Willkommen" } })
    );
    assert_eq!(
        fixture.entries_about_messages().await,
        [
            json!({ "messages.nl.admitted": [false, true], "messages.nl.gate_full": [false, true] }),
            json!({
                "messages.nl.admitted": [true, true],
                "messages.nl.gate_full": [true, false],
                "messages.de.admitted": [false, true],
            }),
        ]
    );
    let reading = fixture
        .store
        .read_manifest(fixture.organization, fixture.event, &|_| None)
        .await
        .expect("the manifest is read");
    assert_eq!(
        reading.expect("the event exists").messages,
        fixture.messages().await
    );
}

pub(crate) async fn concurrent_changes_of_messages_lose_nothing(fixture: Fixture) {
    let changes = Reason::ALL.iter().take(12).map(|reason| {
        let text = format!("Text for {reason}");
        fixture.change_messages_of(json!({ "en": { reason.as_str(): text } }))
    });
    futures_util::future::join_all(changes).await;
    assert_eq!(fixture.messages().await.iter().count(), 12);
    assert_eq!(fixture.entries_about_messages().await.len(), 12);
}

impl Fixture {
    async fn change_messages_of(&self, patch: Value) {
        let patch: CustomMessagesPatch = serde_json::from_value(patch).expect("a patch");
        let changed = self
            .store
            .change_custom_messages(self.organization, &patch, audit())
            .await;
        changed.expect("the messages are changed");
    }
}

pub(crate) async fn messages_stay_within_their_organization(fixture: Fixture) {
    let other = fixture.another().await;
    let own = json!({ "en": { "admitted": "Come in" } });
    fixture.change_messages(own.clone()).await;
    assert_eq!(other.messages().await, CustomMessages::default());
    other
        .change_messages(json!({ "en": { "admitted": "Hello", "gate_full": "Wait" } }))
        .await;
    assert_eq!(json!(fixture.messages().await), own);
    other
        .change_messages(json!({ "en": { "admitted": null, "gate_full": null } }))
        .await;
    assert_eq!(json!(fixture.messages().await), own);
}
