//! What phones get to decide by when they are alone.

use std::collections::BTreeMap;

use serde_json::json;
use voelgoed_scan_core::manifest::{Manifest, ManifestTicket, TicketKey, VerifiedManifest};
use voelgoed_scan_core::model::{DeviceSelf, EventId, OrganizationId, TicketCode, TicketStatus};
use voelgoed_scan_suite::services::shared_database;
use voelgoed_scan_suite::world::Tenant;
use voelgoed_scan_suite::{Client, Cluster, Reply, World, until};

fn path(tenant: &Tenant) -> String {
    format!("/api/v1/scanning/events/{}/manifest", tenant.event)
}

/// Reads manifests as the tenant's phone does.
struct Phone<'a> {
    tenant: &'a Tenant,
    organization: OrganizationId,
    key: [u8; 32],
    event: EventId,
}

impl<'a> Phone<'a> {
    async fn of(tenant: &'a Tenant) -> Self {
        let own = tenant
            .device
            .get("/api/v1/scanning/device")
            .await
            .expect(200)
            .json();
        let own: DeviceSelf = serde_json::from_value(own).expect("what a device reads of itself");
        Self {
            tenant,
            organization: own.device.organization_id,
            key: *own.manifest_key.as_bytes(),
            event: tenant.event.parse().expect("an id"),
        }
    }

    fn read(&self, reply: &Reply) -> VerifiedManifest {
        VerifiedManifest::verify(reply.body.to_vec(), self.organization, &self.key)
            .expect("a manifest of this organization")
    }

    async fn get(&self, query: &str) -> VerifiedManifest {
        let reply = self
            .tenant
            .device
            .get(&format!("{}{query}", path(self.tenant)))
            .await;
        self.read(&reply.expect(200))
    }

    fn find(&self, manifest: &Manifest, code: &str) -> Option<ManifestTicket> {
        let code: TicketCode = code.parse().expect("a code");
        assert_eq!(
            manifest.key(code),
            TicketKey::of(manifest.head().event.organization_id, self.event, code)
        );
        manifest.find(manifest.key(code)).listed()
    }
}

fn all(manifest: &Manifest) -> BTreeMap<[u8; 16], ManifestTicket> {
    manifest
        .tickets()
        .map(|ticket| (*ticket.key.as_bytes(), ticket))
        .collect()
}

#[tokio::test]
async fn a_manifest_says_what_the_server_knows_and_names_nobody() {
    let world = World::new().await;
    let tenant = &world.here;
    let line = r#"{"code":"3KQR7F924M1XaB0z","ticket_class":"VIP","holder_name":"Annemarie Botha","order_ref":"ORD-778"}"#;
    tenant.owner.import(&tenant.event, line).await.expect(200);
    let reply = tenant.device.get(&path(tenant)).await.expect(200);
    assert_eq!(
        reply.header("content-type"),
        Some("application/vnd.voelgoed-scan.manifest")
    );
    assert_eq!(reply.header("content-encoding"), None);
    let phone = Phone::of(tenant).await;
    let manifest = phone.read(&reply).into_manifest(None).expect("a whole one");
    assert_eq!(manifest.len(), 11);
    let head = manifest.head();
    assert_eq!(
        (head.event.name.as_str(), head.gates.len(), head.has_capacity),
        ("Show", 2, true)
    );
    let scanned = phone.find(&manifest, &tenant.codes[0]).expect("listed");
    assert_eq!((scanned.admissions, scanned.status), (1, TicketStatus::Scanned));
    let listed = phone.find(&manifest, "3KQR7F924M1XaB0z").expect("listed");
    assert_eq!(
        listed.ticket_class.map(|class| class.to_string()),
        Some("VIP".to_owned())
    );
    for secret in ["Annemarie", "ORD-778", "3KQR7F924M1XaB0z", &tenant.codes[0]] {
        let found = reply
            .body
            .windows(secret.len())
            .any(|window| window == secret.as_bytes());
        assert!(!found, "{secret}");
    }
}

#[tokio::test]
async fn a_delta_holds_what_changed_and_an_operator_s_change_is_in_it_at_once() {
    let world = World::new().await;
    let tenant = &world.here;
    let phone = Phone::of(tenant).await;
    let first = phone.get("").await.into_manifest(None).expect("a whole one");
    let version = first.head().version;
    let ticket = format!("/api/v1/events/{}/tickets/{}", tenant.event, tenant.codes[3]);
    tenant
        .owner
        .call_with("PATCH", &ticket, &json!({ "status": "voided" }))
        .await
        .expect(200);
    let delta = phone.get(&format!("?since={version}")).await;
    assert_eq!(delta.head().base, Some(version));
    assert!(delta.head().version > version);
    let second = delta.into_manifest(Some(&first)).expect("it fits");
    let voided = phone.find(&second, &tenant.codes[3]).expect("listed");
    assert_eq!(voided.status, TicketStatus::Voided);
    let whole = phone.get("").await.into_manifest(None).expect("a whole one");
    assert_eq!(all(&second), all(&whole));
    // Nothing changed since: a young one of the same version.
    let version = second.head().version;
    let young = phone.get(&format!("?since={version}")).await;
    assert_eq!(
        (young.head().version, young.head().base),
        (version, Some(version))
    );
    assert!(young.head().made_at >= second.head().made_at);
    assert_eq!(
        all(&young.into_manifest(Some(&second)).expect("it fits")),
        all(&second)
    );
    // A version that nobody made is none to lay a delta onto.
    for since in ["0", "999999999999"] {
        let part = phone.get(&format!("?since={since}")).await;
        assert_eq!(part.head().base, None, "{since}");
    }
    let gate = format!("/api/v1/events/{}/gates/{}", tenant.event, tenant.gate);
    tenant
        .owner
        .put(&gate, &json!({ "name": "Main", "status": "closed" }))
        .await
        .expect(200);
    let closed = phone.get(&format!("?since={version}")).await;
    let gate = closed.head().gate(tenant.gate.parse().expect("an id")).cloned();
    assert_eq!(
        gate.map(|one| one.gate.status),
        Some(voelgoed_scan_core::model::GateStatus::Closed)
    );
    for wrong in ["?since=-1", "?since=x", "?since="] {
        let reply = tenant.device.get(&format!("{}{wrong}", path(tenant))).await;
        reply.expect_problem(422, "validation_failed");
    }
}

#[tokio::test]
async fn an_admission_is_in_the_next_but_one() {
    let world = World::new().await;
    let tenant = &world.here;
    let phone = Phone::of(tenant).await;
    let first = phone.get("").await.into_manifest(None).expect("a whole one");
    let qr = tenant.qr(1).await;
    tenant.device.scan(&json!({ "qr": qr })).await.expect(200);
    let query = format!("?since={}", first.head().version);
    until("the admission is told", || async {
        let delta = phone.get(&query).await;
        let now = delta.into_manifest(Some(&first)).expect("it fits");
        phone
            .find(&now, &tenant.codes[1])
            .is_some_and(|ticket| ticket.admissions == 1)
    })
    .await;
}

#[tokio::test]
async fn a_phone_that_has_the_newest_is_told_so_and_one_that_unpacks_gets_it_packed() {
    let world = World::new().await;
    let tenant = &world.here;
    let lines = "{}\n".repeat(500);
    tenant.owner.import(&tenant.event, lines).await.expect(200);
    let whole = tenant.device.get(&path(tenant)).await.expect(200);
    let tag = whole.header("etag").expect("a tag").to_owned();
    let again = tenant.device.with_header("if-none-match", &tag);
    let unchanged = again.get(&path(tenant)).await.expect(304);
    assert_eq!(unchanged.header("etag"), Some(tag.as_str()));
    assert!(unchanged.body.is_empty());
    let unpacking = tenant.device.with_header("accept-encoding", "gzip");
    let packed = unpacking.get(&path(tenant)).await.expect(200);
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert_eq!(packed.header("vary"), Some("accept-encoding"));
    assert!(
        packed.body.starts_with(&[0x1f, 0x8b]) && packed.body.len() < whole.body.len() / 2 + 500 * 16,
        "{} of {}",
        packed.body.len(),
        whole.body.len()
    );
    tenant.owner.import(&tenant.event, "{}").await.expect(200);
    again.get(&path(tenant)).await.expect(200);
}

#[tokio::test]
async fn many_phones_at_once_get_one_manifest_made_for_all() {
    let world = World::new().await;
    let tenant = &world.here;
    let lines = "{}\n".repeat(4500);
    tenant.owner.import(&tenant.event, lines).await.expect(200);
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let (device, path) = (tenant.device.clone(), path(tenant));
            tokio::spawn(async move { device.get(&path).await.expect(200).body })
        })
        .collect();
    let mut bodies = Vec::new();
    for call in calls {
        bodies.push(call.await.expect("the call ends"));
    }
    bodies.sort();
    bodies.dedup();
    assert!(bodies.len() < 5, "made {} times", bodies.len());
    let phone = Phone::of(tenant).await;
    assert_eq!(
        phone.get("").await.into_manifest(None).expect("whole").len(),
        4510
    );
}

#[tokio::test]
async fn nodes_go_on_from_one_another_s_manifests() {
    let mut cluster = Cluster::start(2, shared_database(), None).await;
    let tenant = cluster.tenant("Here").await;
    let phone = Phone::of(&tenant).await;
    let at = async |node: usize, since: Option<u64>| {
        let device: Client = cluster.at(node, &tenant.device);
        let query = since.map_or_else(String::new, |since| format!("?since={since}"));
        phone.read(&device.get(&format!("{}{query}", path(&tenant))).await.expect(200))
    };
    let first = at(0, None).await.into_manifest(None).expect("whole");
    assert_eq!(at(1, None).await.head().version, first.head().version);
    let void = async |ticket: usize| {
        let path = format!("/api/v1/events/{}/tickets/{}", tenant.event, tenant.codes[ticket]);
        tenant
            .owner
            .call_with("PATCH", &path, &json!({ "status": "voided" }))
            .await
            .expect(200);
    };
    void(4).await;
    let second = at(0, Some(first.head().version)).await;
    let second = second.into_manifest(Some(&first)).expect("it fits");
    void(5).await;
    let third = at(1, Some(second.head().version)).await;
    assert_eq!(third.head().base, Some(second.head().version));
    let third = third.into_manifest(Some(&second)).expect("it fits");
    for ticket in [4, 5] {
        let voided = phone.find(&third, &tenant.codes[ticket]).expect("listed");
        assert_eq!(voided.status, TicketStatus::Voided);
    }
    cluster.add(0).await;
    let device = cluster.at(2, &tenant.device);
    let query = format!("?since={}", first.head().version);
    let whole = device.get(&format!("{}{query}", path(&tenant))).await.expect(200);
    let whole = phone.read(&whole);
    assert_eq!(
        whole.head().base,
        None,
        "a node that just started knows no older one"
    );
    assert_eq!(all(&whole.into_manifest(None).expect("whole")), all(&third));
    cluster.stop().await;
}
