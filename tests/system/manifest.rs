//! The manifest: the facts that a phone needs to decide scans offline.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use voelgoed_scan_core::manifest::{Manifest, ManifestTicket, TicketKey, VerifiedManifest};
use voelgoed_scan_core::model::{DeviceSelf, EventId, OrganizationId, TicketCode, TicketStatus};
use voelgoed_scan_suite::fixture::Tenant;
use voelgoed_scan_suite::services::shared_database;
use voelgoed_scan_suite::{Client, Cluster, Fixture, Response, wait_until};

fn path(tenant: &Tenant) -> String {
    format!("/api/v1/scanning/events/{}/manifest", tenant.event)
}

/// Downloads and reads manifests with the credential of the tenant's device.
struct ManifestReader<'a> {
    tenant: &'a Tenant,
    organization: OrganizationId,
    key: [u8; 32],
    event: EventId,
}

impl<'a> ManifestReader<'a> {
    async fn new(tenant: &'a Tenant) -> Self {
        let own = tenant
            .device
            .get("/api/v1/scanning/device")
            .await
            .expect(200)
            .json();
        let own: DeviceSelf = serde_json::from_value(own).expect("the state of the device");
        Self {
            tenant,
            organization: own.device.organization_id,
            key: *own.manifest_key.as_bytes(),
            event: tenant.event.parse().expect("an id"),
        }
    }

    fn parse(&self, response: &Response) -> VerifiedManifest {
        VerifiedManifest::verify(response.body.to_vec(), self.organization, &self.key)
            .expect("a manifest of this organization")
    }

    async fn get(&self, query: &str) -> VerifiedManifest {
        let response = self
            .tenant
            .device
            .get(&format!("{}{query}", path(self.tenant)))
            .await;
        self.parse(&response.expect(200))
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

fn tickets_by_key(manifest: &Manifest) -> BTreeMap<[u8; 16], ManifestTicket> {
    manifest
        .tickets()
        .map(|ticket| (*ticket.key.as_bytes(), ticket))
        .collect()
}

#[tokio::test]
async fn a_manifest_holds_the_facts_of_the_event_and_no_personal_data() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let line = r#"{"code":"3KQR7F924M1XaB0z","ticket_class":"VIP","holder_name":"Annemarie Botha","order_ref":"ORD-778"}"#;
    tenant.owner.import(&tenant.event, line).await.expect(200);
    let response = tenant.device.get(&path(tenant)).await.expect(200);
    assert_eq!(
        response.header("content-type"),
        Some("application/vnd.voelgoed-scan.manifest")
    );
    assert_eq!(response.header("content-encoding"), None);
    let reader = ManifestReader::new(tenant).await;
    let manifest = reader
        .parse(&response)
        .into_manifest(None)
        .expect("a full manifest");
    assert_eq!(manifest.len(), 11);
    let head = manifest.head();
    assert_eq!(
        (head.event.name.as_str(), head.gates.len(), head.has_capacity),
        ("Show", 2, true)
    );
    let scanned = reader.find(&manifest, &tenant.codes[0]).expect("listed");
    assert_eq!((scanned.admissions, scanned.status), (1, TicketStatus::Scanned));
    let listed = reader.find(&manifest, "3KQR7F924M1XaB0z").expect("listed");
    assert_eq!(
        listed.ticket_class.map(|class| class.to_string()),
        Some("VIP".to_owned())
    );
    for secret in ["Annemarie", "ORD-778", "3KQR7F924M1XaB0z", &tenant.codes[0]] {
        let found = response
            .body
            .windows(secret.len())
            .any(|window| window == secret.as_bytes());
        assert!(!found, "{secret}");
    }
}

#[tokio::test]
async fn a_delta_holds_the_changes_and_includes_an_operators_change_at_once() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let reader = ManifestReader::new(tenant).await;
    let first = reader.get("").await.into_manifest(None).expect("a full manifest");
    let version = first.head().version;
    let ticket = format!("/api/v1/events/{}/tickets/{}", tenant.event, tenant.codes[3]);
    tenant
        .owner
        .call_with("PATCH", &ticket, &json!({ "status": "voided" }))
        .await
        .expect(200);
    let delta = reader.get(&format!("?since={version}")).await;
    assert_eq!(delta.head().base, Some(version));
    assert!(delta.head().version > version);
    let second = delta.into_manifest(Some(&first)).expect("the base fits");
    let voided = reader.find(&second, &tenant.codes[3]).expect("listed");
    assert_eq!(voided.status, TicketStatus::Voided);
    let full = reader.get("").await.into_manifest(None).expect("a full manifest");
    assert_eq!(tickets_by_key(&second), tickets_by_key(&full));
    // Nothing has changed since: a delta of the same version with a newer time.
    let version = second.head().version;
    let renewed = reader.get(&format!("?since={version}")).await;
    assert_eq!(
        (renewed.head().version, renewed.head().base),
        (version, Some(version))
    );
    assert!(renewed.head().made_at >= second.head().made_at);
    assert_eq!(
        tickets_by_key(&renewed.into_manifest(Some(&second)).expect("the base fits")),
        tickets_by_key(&second)
    );
    // A version that the server never made is no base for a delta: the answer is a full manifest.
    for since in ["0", "999999999999"] {
        let part = reader.get(&format!("?since={since}")).await;
        assert_eq!(part.head().base, None, "{since}");
    }
    let gate = format!("/api/v1/events/{}/gates/{}", tenant.event, tenant.gate);
    tenant
        .owner
        .put(&gate, &json!({ "name": "Main", "status": "closed" }))
        .await
        .expect(200);
    let closed = reader.get(&format!("?since={version}")).await;
    let gate = closed.head().gate(tenant.gate.parse().expect("an id")).cloned();
    assert_eq!(
        gate.map(|one| one.gate.status),
        Some(voelgoed_scan_core::model::GateStatus::Closed)
    );
    for wrong in ["?since=-1", "?since=x", "?since="] {
        let response = tenant.device.get(&format!("{}{wrong}", path(tenant))).await;
        response.expect_problem(422, "validation_failed");
    }
}

#[tokio::test]
async fn an_admission_reaches_a_later_manifest() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let reader = ManifestReader::new(tenant).await;
    let first = reader.get("").await.into_manifest(None).expect("a full manifest");
    let qr = tenant.qr(1).await;
    tenant.device.scan(&json!({ "qr": qr })).await.expect(200);
    let query = format!("?since={}", first.head().version);
    wait_until("the manifest holds the admission", || async {
        let delta = reader.get(&query).await;
        let current = delta.into_manifest(Some(&first)).expect("the base fits");
        reader
            .find(&current, &tenant.codes[1])
            .is_some_and(|ticket| ticket.admissions == 1)
    })
    .await;
}

#[tokio::test]
async fn a_current_etag_answers_304_and_gzip_is_sent_on_request() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let lines = "{}\n".repeat(500);
    tenant.owner.import(&tenant.event, lines).await.expect(200);
    let full = tenant.device.get(&path(tenant)).await.expect(200);
    let tag = full.header("etag").expect("a tag").to_owned();
    let conditional = tenant.device.with_header("if-none-match", &tag);
    let unchanged = conditional.get(&path(tenant)).await.expect(304);
    assert_eq!(unchanged.header("etag"), Some(tag.as_str()));
    assert!(unchanged.body.is_empty());
    let accepts_gzip = tenant.device.with_header("accept-encoding", "gzip");
    let compressed = accepts_gzip.get(&path(tenant)).await.expect(200);
    assert_eq!(compressed.header("content-encoding"), Some("gzip"));
    assert_eq!(compressed.header("vary"), Some("accept, accept-encoding"));
    assert!(
        compressed.body.starts_with(&[0x1f, 0x8b]) && compressed.body.len() < full.body.len() / 2 + 500 * 16,
        "{} of {}",
        compressed.body.len(),
        full.body.len()
    );
    tenant.owner.import(&tenant.event, "{}").await.expect(200);
    conditional.get(&path(tenant)).await.expect(200);
}

#[tokio::test]
async fn many_phones_at_once_share_one_rendered_manifest() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let lines = "{}\n".repeat(4500);
    tenant.owner.import(&tenant.event, lines).await.expect(200);
    let requests: Vec<_> = (0..50)
        .map(|_| {
            let (device, path) = (tenant.device.clone(), path(tenant));
            tokio::spawn(async move { device.get(&path).await.expect(200).body })
        })
        .collect();
    let mut bodies = Vec::new();
    for request in requests {
        bodies.push(request.await.expect("a response"));
    }
    bodies.sort();
    bodies.dedup();
    assert!(bodies.len() < 5, "rendered {} times", bodies.len());
    let reader = ManifestReader::new(tenant).await;
    assert_eq!(
        reader
            .get("")
            .await
            .into_manifest(None)
            .expect("a full manifest")
            .len(),
        4510
    );
}

#[tokio::test]
async fn phones_that_name_a_later_version_do_not_make_a_node_read_scans_more_often() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let reader = ManifestReader::new(tenant).await;
    reader.get("").await;
    let mut requests = Vec::new();
    for ticket in 0..6 {
        let qr = tenant.qr(ticket).await;
        tenant.device.scan(&json!({ "qr": qr })).await.expect(200);
        let device = tenant.device.clone();
        let path = format!("{}?since=4000000000", path(tenant));
        requests.push(tokio::spawn(async move { device.get(&path).await }));
    }
    let mut versions = BTreeSet::new();
    for request in requests {
        let response = request.await.expect("no panic").expect(200);
        let manifest = reader
            .parse(&response)
            .into_manifest(None)
            .expect("a full manifest");
        let first = reader.find(&manifest, &tenant.codes[0]).expect("listed");
        assert_eq!(first.admissions, 1, "the manifest is newer than the request");
        versions.insert(manifest.head().version);
    }
    // One, or two where the machine is so slow that an interval ends in between.
    assert!(versions.len() <= 2, "{versions:?}");
}

#[tokio::test]
async fn a_node_makes_a_delta_from_another_nodes_version() {
    let mut cluster = Cluster::start(2, shared_database(), None).await;
    let tenant = cluster.tenant("Here").await;
    let reader = ManifestReader::new(&tenant).await;
    let download = async |node: usize, since: Option<u64>| {
        let device: Client = cluster.client_at(node, &tenant.device);
        let query = since.map_or_else(String::new, |since| format!("?since={since}"));
        reader.parse(&device.get(&format!("{}{query}", path(&tenant))).await.expect(200))
    };
    let first = download(0, None)
        .await
        .into_manifest(None)
        .expect("a full manifest");
    assert_eq!(download(1, None).await.head().version, first.head().version);
    let void = async |ticket: usize| {
        let path = format!("/api/v1/events/{}/tickets/{}", tenant.event, tenant.codes[ticket]);
        tenant
            .owner
            .call_with("PATCH", &path, &json!({ "status": "voided" }))
            .await
            .expect(200);
    };
    void(4).await;
    let second = download(0, Some(first.head().version)).await;
    let second = second.into_manifest(Some(&first)).expect("the base fits");
    void(5).await;
    let third = download(1, Some(second.head().version)).await;
    assert_eq!(third.head().base, Some(second.head().version));
    let third = third.into_manifest(Some(&second)).expect("the base fits");
    for ticket in [4, 5] {
        let voided = reader.find(&third, &tenant.codes[ticket]).expect("listed");
        assert_eq!(voided.status, TicketStatus::Voided);
    }
    cluster.add_node(0).await;
    let device = cluster.client_at(2, &tenant.device);
    let query = format!("?since={}", first.head().version);
    let full = device.get(&format!("{}{query}", path(&tenant))).await.expect(200);
    let full = reader.parse(&full);
    assert_eq!(
        full.head().base,
        None,
        "a node that has just started has no earlier version"
    );
    assert_eq!(
        tickets_by_key(&full.into_manifest(None).expect("a full manifest")),
        tickets_by_key(&third)
    );
    cluster.stop().await;
}
