//! The upkeep of webhooks on a node.

use sqlx::{Connection as _, Executor as _, SqliteConnection};
use tempfile::TempDir;

use super::reader::{PENDING_WHILE_BUSY, PageRead};
use super::upkeep::{MAX_PENDING, RUNS_PER_COUNT};
use super::*;
use crate::model::{
    AuditContext, DeliveryStatus, DisabledReason, Name, OrganizationId, Timestamp, WebhookId, WebhookStatus,
};
use crate::node::{Admin, Scanner, Setup};
use crate::store::{PageRequest, PutOutcome, WebhookKey};
use crate::token::MasterSecret;

const NOW: Timestamp = Timestamp::from_millis(1_795_370_400_000);

struct Node {
    scanner: Scanner,
    admin: Admin,
    organization: OrganizationId,
    database: SqliteConnection,
    _directory: TempDir,
}

impl Node {
    async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let url = format!("sqlite://{}", directory.path().join("gate.db").display());
        let setup = Setup {
            store: crate::store::open(&url, true).await.expect("a database"),
            master: MasterSecret::from_bytes(&[7; 32]).expect("a master secret"),
            phoenix: None,
            window: std::time::Duration::from_mins(5),
            #[cfg(feature = "redis")]
            redis: None,
        };
        let (scanner, admin) = setup.open().await.expect("a node");
        let name = Name::new("Club").expect("a name");
        let (organization, ..) = admin
            .create_organization(name, &AuditContext::cli(), NOW)
            .await
            .expect("an organization");
        Self {
            scanner,
            admin,
            organization: organization.id,
            database: SqliteConnection::connect(&url).await.expect("the file opens"),
            _directory: directory,
        }
    }

    async fn webhook(&self) -> WebhookKey {
        let create = serde_json::from_str(r#"{"url":"https://hook.invalid/","types":["session.*"]}"#);
        let created = self
            .admin
            .create_webhook(
                self.organization,
                &create.expect("a webhook"),
                &AuditContext::cli(),
                NOW,
            )
            .await;
        let Ok(PutOutcome::Created((webhook, _))) = created else {
            panic!("{created:?}");
        };
        WebhookKey {
            organization_id: self.organization,
            webhook_id: webhook.id,
        }
    }

    /// Inserts pending deliveries.
    async fn insert(&mut self, webhook: WebhookKey, count: i64) {
        let id = |id: &uuid::Uuid| format!("x'{}'", id.simple());
        let sql = format!(
            "with recursive r(n) as (select 1 union all select n + 1 from r where n < {count})
            insert into webhook_deliveries (
                organization_id, id, webhook_id, type, body, sequence, status, next_attempt_at, inserted_at
            )
            select {}, randomblob(16), {}, 'session.ended', '{{}}', 0, 'pending', 0, n from r",
            id(webhook.organization_id.as_uuid()),
            id(webhook.webhook_id.as_uuid()),
        );
        self.database
            .execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql)))
            .await
            .expect("they are inserted");
    }

    async fn status(&self, id: WebhookId) -> (WebhookStatus, Option<DisabledReason>) {
        let webhook = self.scanner.store().webhook(self.organization, id).await;
        let webhook = webhook.expect("it is read").expect("it exists");
        (webhook.status, webhook.disabled_reason)
    }

    async fn pending(&self, webhook: WebhookKey) -> i64 {
        let counted = self
            .scanner
            .store()
            .count_pending_deliveries(webhook, i64::MAX)
            .await;
        counted.expect("they are counted")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_with_more_than_100_000_pending_deliveries_is_disabled() {
    assert_eq!(MAX_PENDING, 100_000);
    let mut node = Node::start().await;
    let (behind, other) = (node.webhook().await, node.webhook().await);
    node.insert(behind, MAX_PENDING).await;
    node.insert(other, 1).await;
    let webhooks = Arc::clone(node.scanner.webhooks());
    webhooks.keep_up(RUNS_PER_COUNT).await.expect("it is kept up");
    assert_eq!(
        node.status(behind.webhook_id).await,
        (WebhookStatus::Active, None)
    );
    node.insert(behind, 1).await;
    webhooks.keep_up(RUNS_PER_COUNT).await.expect("it is kept up");
    let backlog = (WebhookStatus::Disabled, Some(DisabledReason::Backlog));
    assert_eq!(node.status(behind.webhook_id).await, backlog);
    assert_eq!(node.pending(behind).await, 0, "what was pending has failed");
    assert_eq!(node.status(other.webhook_id).await, (WebhookStatus::Active, None));
    assert_eq!(node.pending(other).await, 1);
    node.scanner.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_deleted_and_a_disabled_webhook_left_is_cleaned_up() {
    let mut node = Node::start().await;
    let (deleted, disabled) = (node.webhook().await, node.webhook().await);
    for webhook in [deleted, disabled] {
        node.insert(webhook, 300).await;
    }
    let (organization, store) = (node.organization, node.scanner.store());
    let reason = DisabledReason::Gone;
    let id = disabled.webhook_id;
    assert!(
        store
            .disable_webhook(organization, id, reason)
            .await
            .expect("it is disabled")
    );
    let id = deleted.webhook_id;
    assert!(
        node.admin
            .delete_webhook(organization, id, &AuditContext::cli(), NOW)
            .await
            .expect("it is deleted")
    );
    node.scanner.webhooks().keep_up(1).await.expect("it is kept up");
    let states = store.webhook_states().await.expect("they are read");
    assert_eq!(states.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [disabled]);
    assert_eq!(
        (node.pending(deleted).await, node.pending(disabled).await),
        (0, 0)
    );
    let page = PageRequest {
        limit: 500,
        after: None,
    };
    let failed = Some(DeliveryStatus::Failed);
    let failed = store
        .webhook_deliveries(organization, disabled.webhook_id, failed, &page)
        .await;
    assert_eq!(failed.expect("they are read").data.len(), 300);
    let gone = store
        .webhook_deliveries(organization, deleted.webhook_id, None, &page)
        .await;
    assert!(gone.expect("they are read").data.is_empty());
    node.scanner.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_whose_upkeep_fails_keeps_no_other_waiting() {
    let mut node = Node::start().await;
    for webhook in [node.webhook().await, node.webhook().await] {
        let reason = DisabledReason::Gone;
        let store = node.scanner.store();
        let disabled = store.disable_webhook(node.organization, webhook.webhook_id, reason);
        assert!(disabled.await.expect("it is disabled"));
    }
    let states = node.scanner.store().webhook_states().await;
    let states = states.expect("they are read");
    let [failing, other] = [states[0].0, states[1].0];
    let sql = format!(
        "create trigger stays before update on webhook_deliveries when old.webhook_id = x'{}'
        begin select raise(abort, 'it stays'); end",
        failing.webhook_id.as_uuid().simple()
    );
    let trigger = node
        .database
        .execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql)))
        .await;
    trigger.expect("the trigger is created");
    for webhook in [failing, other] {
        node.insert(webhook, 1).await;
    }
    assert!(node.scanner.webhooks().keep_up(1).await.is_err());
    assert_eq!((node.pending(failing).await, node.pending(other).await), (1, 0));
    node.scanner.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn feeds_of_a_webhook_with_much_pending_are_not_read_while_scans_wait() {
    let mut node = Node::start().await;
    let webhook = node.webhook().await;
    let webhooks = Arc::clone(node.scanner.webhooks());
    let event = uuid::Uuid::from_u128(1).into();
    let organization = node.organization;
    let busy = async || {
        let read = webhooks.read_page(webhook, event);
        let read = webhooks.bulk_writes.run_among_scans(organization, read).await;
        read.expect("the feed is read")
    };
    node.insert(webhook, PENDING_WHILE_BUSY - 1).await;
    assert_eq!(busy().await, PageRead::End);
    node.insert(webhook, 1).await;
    assert_eq!(busy().await, PageRead::Postponed);
    let read = async || {
        let read = webhooks.read_page(webhook, event).await;
        read.expect("the feed is read")
    };
    while read().await == PageRead::Postponed {
        tokio::task::yield_now().await;
    }
    assert_eq!(read().await, PageRead::End);
    node.scanner.shutdown().await;
}
