//! Transfers of manifests that break off and are resumed: `Range`, `If-Range`, 206 and 416.

use serde_json::json;
use voelgoed_scan_core::manifest::{Manifest, VerifiedManifest};
use voelgoed_scan_core::model::DeviceSelf;
use voelgoed_scan_suite::fixture::Tenant;
use voelgoed_scan_suite::services::shared_database;
use voelgoed_scan_suite::{Client, Cluster, Fixture, Response, wait_until};

const FILE: &str = "application/vnd.voelgoed-scan.manifest+gzip";

fn path(tenant: &Tenant) -> String {
    format!("/api/v1/scanning/events/{}/manifest", tenant.event)
}

/// A change of the event's tickets, after which the present manifest is another one.
async fn change(tenant: &Tenant, ticket: usize) {
    let path = format!("/api/v1/events/{}/tickets/{}", tenant.event, tenant.codes[ticket]);
    let voided = json!({ "status": "voided" });
    tenant.owner.call_with("PATCH", &path, &voided).await.expect(200);
}

/// The client with the three headers of a form of the manifest.
fn forms(client: &Client) -> [(&'static str, Client); 3] {
    [
        ("plain", client.clone()),
        ("coding", client.with_header("accept-encoding", "gzip")),
        ("file", client.with_header("accept", FILE)),
    ]
}

async fn part(client: &Client, tenant: &Tenant, range: &str, if_range: &str) -> Response {
    let client = client
        .with_header("range", range)
        .with_header("if-range", if_range);
    client.get(&path(tenant)).await
}

/// The manifest in the body of a response in any form.
async fn read(tenant: &Tenant, body: &[u8]) -> Manifest {
    use std::io::Read as _;

    let mut bytes = body.to_vec();
    if body.starts_with(&[0x1f, 0x8b]) {
        bytes.clear();
        let mut gzip = flate2::read::GzDecoder::new(body);
        gzip.read_to_end(&mut bytes).expect("gzip");
    }
    let own = tenant
        .device
        .get("/api/v1/scanning/device")
        .await
        .expect(200)
        .json();
    let own: DeviceSelf = serde_json::from_value(own).expect("the state of the device");
    VerifiedManifest::verify(bytes, own.device.organization_id, own.manifest_key.as_bytes())
        .and_then(|verified| verified.into_manifest(None))
        .expect("a full manifest of this organization")
}

#[tokio::test]
async fn a_transfer_is_resumed_with_the_bytes_that_it_began_with_whatever_has_changed() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    tenant
        .owner
        .import(&tenant.event, "{}\n".repeat(500))
        .await
        .expect(200);
    for (at, (form, client)) in forms(&tenant.device).into_iter().enumerate() {
        let whole = client.get(&path(tenant)).await.expect(200);
        assert_eq!(whole.header("accept-ranges"), Some("bytes"), "{form}");
        let tag = whole.header("etag").expect("a tag").to_owned();
        assert!(tag.starts_with('"'), "a strong tag: {tag}");
        let (length, middle) = (whole.body.len(), whole.body.len() / 2);
        change(tenant, at).await;
        let rest = part(&client, tenant, &format!("bytes={middle}-"), &tag)
            .await
            .expect(206);
        assert_eq!(
            rest.header("content-range"),
            Some(format!("bytes {middle}-{}/{length}", length - 1).as_str()),
            "{form}"
        );
        for name in ["etag", "content-type", "content-encoding", "vary"] {
            assert_eq!(rest.header(name), whole.header(name), "{form}: {name}");
        }
        let joined = [&whole.body[..middle], &rest.body[..]].concat();
        assert!(joined == whole.body, "{form}");
        assert_eq!(read(tenant, &joined).await.len(), 510, "{form}");
        let some = part(&client, tenant, "bytes=3-9", &tag).await.expect(206);
        assert_eq!(some.body, whole.body[3..10]);
        let last = part(&client, tenant, "bytes=-5", &tag).await.expect(206);
        assert_eq!(last.body, whole.body[length - 5..]);
        let behind = part(&client, tenant, &format!("bytes={length}-"), &tag).await;
        let behind = behind.expect_problem(416, "range_not_satisfiable");
        assert_eq!(
            behind.header("content-range"),
            Some(format!("bytes */{length}").as_str())
        );
        let present = client.get(&path(tenant)).await.expect(200);
        assert_ne!(
            present.header("etag"),
            Some(tag.as_str()),
            "the manifest has changed"
        );
    }
}

#[tokio::test]
async fn a_range_of_other_bytes_is_answered_with_the_whole_present_manifest() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    tenant
        .owner
        .import(&tenant.event, "{}\n".repeat(500))
        .await
        .expect(200);
    let [(_, plain), (_, coding), (_, file)] = forms(&tenant.device);
    let tag_of = async |client: &Client| {
        let whole = client.get(&path(tenant)).await.expect(200);
        whole.header("etag").expect("a tag").to_owned()
    };
    let tags = [tag_of(&plain).await, tag_of(&coding).await, tag_of(&file).await];
    for (at, client) in [&plain, &coding, &file].into_iter().enumerate() {
        for (other, tag) in tags.iter().enumerate() {
            let answer = part(client, tenant, "bytes=7-", tag).await;
            let expected = if at == other { 206 } else { 200 };
            assert_eq!(answer.status, expected, "form {at} with the tag of form {other}");
        }
    }
    let weak = format!("W/{}", tags[0]);
    for if_range in ["\"1-00\"", weak.as_str(), "Sun, 29 Nov 2026 18:00:00 GMT"] {
        let whole = part(&plain, tenant, "bytes=7-", if_range).await.expect(200);
        assert_eq!(read(tenant, &whole.body).await.len(), 510, "{if_range}");
    }
    for ignored in ["bytes=0-1,5-6", "bytes=9-3", "tickets=0-1"] {
        part(&plain, tenant, ignored, &tags[0]).await.expect(200);
    }
    let without_condition = plain.with_header("range", "bytes=0-2");
    let start = without_condition.get(&path(tenant)).await.expect(206);
    assert_eq!(start.body[..], *b"VGM");
    // The OpenAPI document has no HEAD.
    let any = Client::new(fixture.server.address()).with_token(tenant.device.token());
    let head = any
        .with_header("range", "bytes=0-2")
        .call("HEAD", &path(tenant))
        .await;
    let head = head.expect(200);
    assert_eq!(head.header("content-range"), None, "only GET has ranges");
    // If-None-Match comes first.
    let unchanged = plain
        .with_header("if-none-match", &tags[0])
        .with_header("range", "bytes=7-")
        .with_header("if-range", &tags[0]);
    unchanged.get(&path(tenant)).await.expect(304);
}

#[tokio::test]
async fn a_tag_of_one_organization_gives_nothing_to_another() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let other = Tenant::new(&fixture.server, &fixture.anonymous, "Other").await;
    let whole = tenant.device.get(&path(tenant)).await.expect(200);
    let tag = whole.header("etag").expect("a tag").to_owned();
    let foreign = part(&other.device, tenant, "bytes=7-", &tag).await;
    foreign.expect_problem(404, "not_found");
    let own = part(&other.device, &other, "bytes=7-", &tag).await.expect(200);
    assert_ne!(own.header("etag"), Some(tag.as_str()));
}

#[tokio::test]
async fn a_transfer_is_resumed_at_another_node() {
    let mut cluster = Cluster::start(2, shared_database(), None).await;
    let tenant = cluster.tenant("Here").await;
    tenant
        .owner
        .import(&tenant.event, "{}\n".repeat(500))
        .await
        .expect(200);
    let first = cluster.client_at(0, &tenant.device).with_header("accept", FILE);
    let whole = first.get(&path(&tenant)).await.expect(200);
    let tag = whole.header("etag").expect("a tag").to_owned();
    // The other node must not be able to make the same manifest again.
    change(&tenant, 3).await;
    let second = cluster.client_at(1, &tenant.device).with_header("accept", FILE);
    wait_until("the other node has the copy", || async {
        part(&second, &tenant, "bytes=100-", &tag).await.status == 206
    })
    .await;
    let rest = part(&second, &tenant, "bytes=100-", &tag).await.expect(206);
    assert!([&whole.body[..100], &rest.body[..]].concat() == whole.body);
    cluster.stop().await;
}
