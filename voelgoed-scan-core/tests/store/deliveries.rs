//! Webhook deliveries: which are due, leases, the order of a ticket's, and results.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;
use voelgoed_scan_core::model::{
    DeliveryStatus, DisabledReason, Timestamp, Webhook, WebhookDelivery, WebhookId, WebhookStatus,
};
use voelgoed_scan_core::store::{
    ClaimedDeliveries, ClaimedDelivery, DeliveryTurn, SettledDelivery, Settlement, Store, WebhookKey,
};
use voelgoed_scan_core::token::SealedSecret;

use crate::fixture::{ALL, Fixture, START, audit};

const NODES: [Uuid; 2] = [Uuid::from_u128(1), Uuid::from_u128(2)];
const LEASE: Duration = Duration::from_secs(45);
/// 2999-01-01.
const LATER: Timestamp = Timestamp::from_seconds(32_472_144_000);

/// A delivery to insert.
#[derive(Clone, Copy)]
struct Row {
    id: u128,
    ticket: Option<u128>,
    sequence: i64,
    /// Milliseconds until it is due.
    due_in: i64,
}

const fn row(id: u128) -> Row {
    Row {
        id,
        ticket: None,
        sequence: 0,
        due_in: -1000,
    }
}

const fn of_ticket(id: u128, ticket: u128, sequence: i64) -> Row {
    Row {
        ticket: Some(ticket),
        sequence,
        ..row(id)
    }
}

impl Fixture {
    async fn webhook(&self, id: u128) -> WebhookKey {
        let webhook = serde_json::json!({
            "id": Uuid::from_u128(id), "url": "https://example.com/hook", "types": ["scan.*"], "event_ids": null,
            "codes": false, "description": null, "status": "active", "disabled_reason": null,
            "inserted_at": START, "updated_at": START,
        });
        let webhook: Webhook = serde_json::from_value(webhook).expect("a webhook");
        let secret = SealedSecret::from(vec![1; 40]);
        self.store
            .create_webhook(self.organization, &webhook, &secret, audit())
            .await
            .expect("the webhook is created");
        WebhookKey {
            organization_id: self.organization,
            webhook_id: webhook.id,
        }
    }

    fn id_text(&self, id: Uuid) -> String {
        if self.database.is_postgresql() {
            format!("'{id}'")
        } else {
            format!("x'{}'", id.simple())
        }
    }

    /// The clock of the database in SQL.
    fn now_text(&self) -> &'static str {
        if self.database.is_postgresql() {
            "(extract(epoch from now()) * 1000)::bigint"
        } else {
            "cast(unixepoch('subsec') * 1000 as integer)"
        }
    }

    async fn insert(&self, webhook: WebhookKey, rows: &[Row]) {
        let now = self.now_text();
        let values: Vec<_> = rows
            .iter()
            .map(|row| {
                let [organization, webhook, id] = [
                    *webhook.organization_id.as_uuid(),
                    *webhook.webhook_id.as_uuid(),
                    Uuid::from_u128(row.id),
                ]
                .map(|id| self.id_text(id));
                let ticket = row.ticket.map_or("null".to_owned(), |ticket| self.id_text(Uuid::from_u128(ticket)));
                format!(
                    "({organization}, {id}, {webhook}, 'scan.admitted', 'body {}', {ticket}, {}, 'pending', {now} + {}, \
                     {now})",
                    row.id, row.sequence, row.due_in
                )
            })
            .collect();
        let sql = format!(
            "insert into webhook_deliveries (organization_id, id, webhook_id, type, body, ticket_id, sequence, status, \
             next_attempt_at, inserted_at) values {}",
            values.join(", ")
        );
        self.database.execute(&sql).await;
    }

    async fn make_due(&self) {
        self.database
            .execute("update webhook_deliveries set next_attempt_at = 0 where status = 'pending'")
            .await;
    }

    async fn turn(
        &self,
        webhook: WebhookKey,
        node: usize,
        settled: &[SettledDelivery],
        limit: u16,
    ) -> Option<ClaimedDeliveries> {
        self.turn_with_lease(webhook, node, settled, limit, LEASE).await
    }

    async fn turn_with_lease(
        &self,
        webhook: WebhookKey,
        node: usize,
        settled: &[SettledDelivery],
        limit: u16,
        lease: Duration,
    ) -> Option<ClaimedDeliveries> {
        let turn = DeliveryTurn {
            node: NODES[node],
            settled,
            limit,
            lease,
        };
        let claimed = self.store.take_delivery_turn(webhook, turn).await;
        claimed.expect("the turn is written")
    }

    /// Leases deliveries and returns their ids in order.
    async fn claim(&self, webhook: WebhookKey, node: usize, limit: u16) -> Vec<ClaimedDelivery> {
        let claimed = self.turn(webhook, node, &[], limit).await;
        sorted(claimed.expect("the webhook is active"))
    }

    async fn due(&self) -> BTreeSet<WebhookKey> {
        let due = self.store.due_webhooks(100).await;
        due.expect("due webhooks are read").into_iter().collect()
    }

    async fn delivery(&self, webhook: WebhookKey, id: u128) -> WebhookDelivery {
        let page = self
            .store
            .webhook_deliveries(self.organization, webhook.webhook_id, None, &ALL)
            .await
            .expect("deliveries are read");
        let mut all = page.data.into_iter();
        all.find(|delivery| *delivery.id.as_uuid() == Uuid::from_u128(id))
            .expect("the delivery exists")
    }

    async fn status(&self, id: WebhookId) -> (WebhookStatus, Option<DisabledReason>) {
        let webhook = self.store.webhook(self.organization, id).await;
        let webhook = webhook.expect("the webhook is read").expect("the webhook exists");
        (webhook.status, webhook.disabled_reason)
    }
}

fn sorted(claimed: ClaimedDeliveries) -> Vec<ClaimedDelivery> {
    let mut deliveries = claimed.deliveries;
    deliveries.sort_by_key(|delivery| delivery.id);
    deliveries
}

fn ids(deliveries: &[ClaimedDelivery]) -> Vec<u128> {
    deliveries
        .iter()
        .map(|delivery| delivery.id.as_uuid().as_u128())
        .collect()
}

fn settled(delivery: &ClaimedDelivery, settlement: Settlement) -> SettledDelivery {
    let (status, error) = match settlement {
        Settlement::Delivered => (Some(204), None),
        Settlement::Released => (None, None),
        _ => (Some(500), Some("unexpected_status")),
    };
    SettledDelivery {
        id: delivery.id,
        place: delivery.place,
        settlement,
        status,
        error,
    }
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_mins(minutes)
}

pub(crate) async fn a_due_delivery_is_leased_by_one_node(fixture: Fixture) {
    let webhook = fixture.webhook(10).await;
    let idle = fixture.webhook(11).await;
    let another = fixture.another().await;
    let foreign = another.webhook(12).await;
    let later = Row {
        due_in: 60_000,
        ..row(4)
    };
    fixture.insert(webhook, &[row(1), row(2), row(3), later]).await;
    fixture.insert(idle, &[Row { id: 5, ..later }]).await;
    another.insert(foreign, &[row(1)]).await;
    assert_eq!(fixture.due().await, BTreeSet::from([webhook, foreign]));
    assert_eq!(fixture.store.all_pending_deliveries().await.expect("a count"), 6);
    let first = fixture.claim(webhook, 0, 2).await;
    assert_eq!(first.len(), 2);
    assert_eq!(first[0].body, format!("body {}", ids(&first)[0]));
    assert_eq!((first[0].attempts, first[0].place), (0, None));
    let second = fixture.claim(webhook, 1, 100).await;
    let all: BTreeSet<_> = ids(&first).into_iter().chain(ids(&second)).collect();
    assert_eq!((second.len(), all), (1, BTreeSet::from([1, 2, 3])));
    for node in [0, 1] {
        assert_eq!(fixture.claim(webhook, node, 100).await, []);
    }
    assert_eq!(ids(&fixture.claim(foreign, 1, 100).await), [1]);
}

pub(crate) async fn concurrent_nodes_lease_each_delivery_once(fixture: Fixture) {
    let webhook = fixture.webhook(10).await;
    let rows: Vec<_> = (1..=200).map(row).collect();
    fixture.insert(webhook, &rows).await;
    let mut calls = Vec::new();
    for (number, store) in (1..).zip(fixture.open_nodes().await) {
        calls.push(tokio::spawn(claim_all(store, webhook, Uuid::from_u128(number))));
    }
    let mut all = Vec::new();
    for call in calls {
        all.extend(call.await.expect("the task completes"));
    }
    all.sort_unstable();
    assert_eq!(all, (1..=200).collect::<Vec<_>>());
}

async fn claim_all(store: Arc<dyn Store>, webhook: WebhookKey, node: Uuid) -> Vec<u128> {
    let mut all = Vec::new();
    let mut empty = 0;
    // A node skips what another one is leasing, so that it may find nothing although something is left.
    while empty < 3 {
        let turn = DeliveryTurn {
            node,
            settled: &[],
            limit: 7,
            lease: LEASE,
        };
        let claimed = store.take_delivery_turn(webhook, turn).await.expect("a turn");
        let claimed = ids(&claimed.expect("the webhook is active").deliveries);
        empty = if claimed.is_empty() { empty + 1 } else { 0 };
        all.extend(claimed);
    }
    all
}

pub(crate) async fn a_lease_that_has_run_out_is_taken_over_and_its_late_result_does_not_count(
    fixture: Fixture,
) {
    let webhook = fixture.webhook(10).await;
    fixture.insert(webhook, &[row(1)]).await;
    let claimed = fixture.turn_with_lease(webhook, 0, &[], 1, Duration::ZERO).await;
    let lost = sorted(claimed.expect("the webhook is active"));
    assert_eq!(ids(&lost), [1]);
    let taken_over = fixture.claim(webhook, 1, 1).await;
    assert_eq!(ids(&taken_over), [1]);
    fixture
        .turn(webhook, 0, &[settled(&lost[0], Settlement::Delivered)], 0)
        .await;
    let delivery = fixture.delivery(webhook, 1).await;
    assert_eq!((delivery.status, delivery.attempts), (DeliveryStatus::Pending, 0));
    fixture
        .turn(webhook, 1, &[settled(&taken_over[0], Settlement::Delivered)], 0)
        .await;
    let delivery = fixture.delivery(webhook, 1).await;
    assert_eq!(
        (delivery.status, delivery.attempts),
        (DeliveryStatus::Delivered, 1)
    );
}

pub(crate) async fn deliveries_of_a_ticket_are_sent_one_at_a_time_in_their_order(fixture: Fixture) {
    let webhook = fixture.webhook(10).await;
    let other = fixture.webhook(11).await;
    let rows = [
        of_ticket(1, 77, 9),
        of_ticket(2, 77, 3),
        of_ticket(3, 77, 5),
        of_ticket(4, 78, 4),
        row(5),
    ];
    fixture.insert(webhook, &rows).await;
    fixture.insert(other, &[of_ticket(6, 77, 1)]).await;
    let first = fixture.claim(webhook, 0, 100).await;
    assert_eq!(ids(&first), [2, 4, 5]);
    assert_eq!(
        ids(&fixture.claim(other, 0, 100).await),
        [6],
        "another webhook has its own order"
    );
    assert_eq!(
        fixture.claim(webhook, 1, 100).await,
        [],
        "the first one is under way"
    );

    let wait = Settlement::Retry(minutes(5));
    let claimed = fixture.turn(webhook, 0, &[settled(&first[0], wait)], 100).await;
    assert_eq!(
        sorted(claimed.expect("active")),
        [],
        "the first one waits, and the others for it"
    );
    let next = |id| fixture.delivery(webhook, id);
    let (one, two, three) = (next(1).await, next(2).await, next(3).await);
    assert_eq!(one.next_attempt_at, two.next_attempt_at);
    assert_eq!(three.next_attempt_at, two.next_attempt_at);

    fixture.make_due().await;
    let again = fixture.claim(webhook, 1, 100).await;
    assert_eq!(ids(&again), [2]);
    assert_eq!(again[0].attempts, 1);
    let after_success = fixture
        .turn(webhook, 1, &[settled(&again[0], Settlement::Delivered)], 100)
        .await;
    let after_success = sorted(after_success.expect("active"));
    assert_eq!(ids(&after_success), [3], "the next one follows in the same turn");
    let after_failure = fixture
        .turn(webhook, 1, &[settled(&after_success[0], Settlement::Failed)], 100)
        .await;
    assert_eq!(ids(&sorted(after_failure.expect("active"))), [1]);
}

pub(crate) async fn a_result_says_what_became_of_a_delivery(fixture: Fixture) {
    let webhook = fixture.webhook(10).await;
    fixture.insert(webhook, &[row(1), row(2), row(3), row(4)]).await;
    let claimed = fixture.claim(webhook, 0, 100).await;
    let settlements = [
        Settlement::Delivered,
        Settlement::Retry(minutes(5)),
        Settlement::Failed,
        Settlement::Released,
    ];
    let results: Vec<_> = claimed
        .iter()
        .zip(settlements)
        .map(|(delivery, settlement)| settled(delivery, settlement))
        .collect();
    fixture.turn(webhook, 0, &results, 0).await;

    let delivered = fixture.delivery(webhook, 1).await;
    assert_eq!(
        (delivered.status, delivered.attempts),
        (DeliveryStatus::Delivered, 1)
    );
    assert_eq!((delivered.last_status, delivered.last_error), (Some(204), None));
    let at = delivered.delivered_at.expect("it was delivered");
    assert!(at >= delivered.inserted_at && delivered.next_attempt_at.is_none());

    let retried = fixture.delivery(webhook, 2).await;
    assert_eq!((retried.status, retried.attempts), (DeliveryStatus::Pending, 1));
    assert_eq!((retried.last_status, retried.delivered_at), (Some(500), None));
    assert_eq!(retried.last_error.as_deref(), Some("unexpected_status"));
    assert_eq!(retried.next_attempt_at, Some(at.plus(minutes(5))));

    let failed = fixture.delivery(webhook, 3).await;
    assert_eq!((failed.status, failed.attempts), (DeliveryStatus::Failed, 1));
    assert_eq!((failed.next_attempt_at, failed.delivered_at), (None, None));

    let released = fixture.delivery(webhook, 4).await;
    assert_eq!((released.status, released.attempts), (DeliveryStatus::Pending, 0));
    assert_eq!((released.last_status, released.last_error), (None, None));
    assert_eq!(
        ids(&fixture.claim(webhook, 1, 100).await),
        [4],
        "another node sends it at once"
    );
    assert_eq!(
        fixture.status(webhook.webhook_id).await,
        (WebhookStatus::Active, None)
    );
}

pub(crate) async fn a_receiver_that_is_gone_disables_its_webhook(fixture: Fixture) {
    let webhook = fixture.webhook(10).await;
    let other = fixture.webhook(11).await;
    fixture.insert(webhook, &[row(1), row(2), row(3)]).await;
    fixture.insert(other, &[row(4)]).await;
    let claimed = fixture.claim(webhook, 0, 2).await;
    let results = [
        settled(&claimed[0], Settlement::Delivered),
        settled(&claimed[1], Settlement::Gone),
    ];
    assert!(
        fixture.turn(webhook, 0, &results, 100).await.is_none(),
        "nothing more is sent"
    );
    let gone = (WebhookStatus::Disabled, Some(DisabledReason::Gone));
    assert_eq!(fixture.status(webhook.webhook_id).await, gone);
    assert_eq!(
        fixture.delivery(webhook, ids(&claimed)[1]).await.status,
        DeliveryStatus::Failed
    );
    assert_eq!(fixture.due().await, BTreeSet::from([other]));
    assert_eq!(
        fixture.status(other.webhook_id).await,
        (WebhookStatus::Active, None)
    );
}

pub(crate) async fn five_days_of_nothing_but_failures_disable_a_webhook(fixture: Fixture) {
    let webhook = fixture.webhook(10).await;
    let other = fixture.webhook(11).await;
    fixture.insert(webhook, &[row(1), row(2), row(3)]).await;
    fixture.insert(other, &[row(4)]).await;
    let [one, two, three] = &fixture.claim(webhook, 0, 100).await[..] else {
        panic!("three deliveries are due");
    };
    let [four] = &fixture.claim(other, 0, 100).await[..] else {
        panic!("one delivery is due");
    };
    let retry = Settlement::Retry(minutes(5));
    let active = (WebhookStatus::Active, None);
    let back_by = async |hours: i64| {
        let now = fixture.now_text();
        let sql = format!(
            "update webhooks set failing_since = {now} - {hours} * 3600000 where failing_since is not null"
        );
        fixture.database.execute(&sql).await;
    };
    fixture.turn(webhook, 0, &[settled(one, retry)], 0).await;
    fixture.turn(other, 0, &[settled(four, retry)], 0).await;
    back_by(5 * 24 - 1).await;
    fixture.turn(webhook, 0, &[settled(two, retry)], 0).await;
    assert_eq!(
        fixture.status(webhook.webhook_id).await,
        active,
        "less than five days"
    );

    // A success in between: the failures begin again.
    fixture.insert(other, &[row(5), row(6)]).await;
    let [five, six] = &fixture.claim(other, 0, 100).await[..] else {
        panic!("two deliveries are due");
    };
    fixture
        .turn(other, 0, &[settled(five, Settlement::Delivered)], 0)
        .await;
    back_by(5 * 24 + 1).await;
    fixture.turn(other, 0, &[settled(six, retry)], 0).await;
    assert_eq!(fixture.status(other.webhook_id).await, active, "it has answered");

    fixture.turn(webhook, 0, &[settled(three, retry)], 0).await;
    let failing = (WebhookStatus::Disabled, Some(DisabledReason::Failing));
    assert_eq!(fixture.status(webhook.webhook_id).await, failing);
}

pub(crate) async fn a_disabled_webhook_is_sent_nothing_and_what_it_got_counts(fixture: Fixture) {
    let webhook = fixture.webhook(10).await;
    fixture.insert(webhook, &[row(1), row(2), row(3)]).await;
    let claimed = fixture.claim(webhook, 0, 2).await;
    let disabled = fixture
        .store
        .disable_webhook(fixture.organization, webhook.webhook_id, DisabledReason::Backlog)
        .await;
    assert!(disabled.expect("the webhook is disabled"));
    assert_eq!(fixture.due().await, BTreeSet::new());
    let result = settled(&claimed[0], Settlement::Delivered);
    assert!(fixture.turn(webhook, 0, &[result], 100).await.is_none());
    let delivery = fixture.delivery(webhook, ids(&claimed)[0]).await;
    assert_eq!(delivery.status, DeliveryStatus::Delivered);
}

pub(crate) async fn the_former_secret_is_leased_until_its_time(fixture: Fixture) {
    let webhook = fixture.webhook(10).await;
    let rotate = async |until| {
        let secret = SealedSecret::from(vec![2; 40]);
        let rotated = fixture
            .store
            .rotate_webhook_secret(
                fixture.organization,
                webhook.webhook_id,
                &secret,
                until,
                START,
                audit(),
            )
            .await;
        assert!(rotated.expect("the secret is rotated"));
    };
    let secrets = async || {
        let claimed = fixture
            .turn(webhook, 0, &[], 1)
            .await
            .expect("the webhook is active");
        assert_eq!(claimed.url, "https://example.com/hook");
        (claimed.secret[0], claimed.former_secret.map(|secret| secret[0]))
    };
    assert_eq!(secrets().await, (1, None));
    rotate(LATER).await;
    assert_eq!(secrets().await, (2, Some(1)));
    rotate(START).await;
    assert_eq!(secrets().await, (2, None), "its time is over");
}
