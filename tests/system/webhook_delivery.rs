//! Deliveries of webhooks to receivers that answer, fail, hang, redirect, or are where they must not be.

use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tokio_rustls::TlsAcceptor;
use voelgoed_scan_core::delivery::signature_header;
use voelgoed_scan_core::model::{Timestamp, WebhookSecret};
use voelgoed_scan_server::start;
use voelgoed_scan_suite::fixture::{Tenant, new_id};
use voelgoed_scan_suite::services::{free_port, query_sql, shared_database};
use voelgoed_scan_suite::{Client, Cluster, Fixture, Reply, WebhookReceiver, wait_until};

const WEBHOOKS: &str = "/api/v1/webhooks";

async fn fixture() -> Fixture {
    Fixture::with_config(|config| config.webhook_allow_private = true).await
}

fn accepted() -> Reply {
    Reply::head("204 No Content")
}

/// Creates a webhook that wants admissions and denials. Returns its path and its secret.
async fn create(client: &Client, url: &str) -> (String, Vec<u8>) {
    let body = json!({ "url": url, "types": ["scan.*"] });
    let created = client.post(WEBHOOKS, &body).await.expect(201).json();
    let path = format!("{WEBHOOKS}/{}", created["id"].as_str().expect("an id"));
    (path, secret(&created))
}

fn secret(answer: &Value) -> Vec<u8> {
    let text = answer["secret"].as_str().expect("a secret");
    text.parse::<WebhookSecret>()
        .expect("a secret")
        .as_bytes()
        .to_vec()
}

/// Admits a ticket and returns the id of the scan.
async fn admit(tenant: &Tenant, index: usize) -> String {
    let scan_id = new_id();
    let body = json!({ "qr": tenant.qr(index).await, "scan_id": scan_id });
    let scanned = tenant.device.scan(&body).await.expect(200).json();
    assert_eq!(scanned["reason"], "admitted");
    scan_id
}

async fn send_test(client: &Client, path: &str) -> String {
    let sent = client
        .call("POST", &format!("{path}/test"))
        .await
        .expect(202)
        .json();
    sent["delivery_id"].as_str().expect("an id").to_owned()
}

async fn deliveries(client: &Client, path: &str) -> Vec<Value> {
    let list = client.get(&format!("{path}/deliveries")).await.expect(200).json();
    list["data"].as_array().expect("a list").clone()
}

/// Waits until all deliveries of a webhook satisfy a condition, and returns them.
async fn wait_for_all(client: &Client, path: &str, what: &str, is: impl Fn(&Value) -> bool) -> Vec<Value> {
    wait_until(what, || async {
        let all = deliveries(client, path).await;
        !all.is_empty() && all.iter().all(&is)
    })
    .await;
    deliveries(client, path).await
}

fn is_delivered(delivery: &Value) -> bool {
    delivery["status"] == "delivered"
}

fn was_attempted(delivery: &Value) -> bool {
    delivery["attempts"] == 1
}

fn seconds(value: &Value) -> i64 {
    let text = value.as_str().expect("a time");
    text.parse::<Timestamp>().expect("a time").as_seconds()
}

#[tokio::test]
async fn an_admission_is_delivered_once_and_signed_by_the_secret() {
    let fixture = fixture().await;
    let tenant = &fixture.tenant;
    let receiver = WebhookReceiver::start(|_| accepted()).await;
    let (path, secret) = create(&tenant.owner, &receiver.url()).await;
    let scan_id = admit(tenant, 1).await;
    let delivered = wait_for_all(&tenant.owner, &path, "it is delivered", is_delivered).await;
    let [delivery] = delivered.as_slice() else {
        panic!("one delivery: {delivered:?}");
    };
    assert_eq!(
        (
            &delivery["attempts"],
            &delivery["last_status"],
            &delivery["last_error"]
        ),
        (&json!(1), &json!(204), &Value::Null)
    );
    let received = receiver.received();
    let [request] = received.as_slice() else {
        panic!("one request: {received:?}");
    };
    let body = request.json();
    assert_eq!(
        (&body["type"], &body["data"]["scan_id"]),
        (&json!("scan.admitted"), &json!(scan_id))
    );
    assert_eq!(request.header("content-type"), "application/json");
    let id = request.header("webhook-id");
    assert_eq!(id, delivery["id"]);
    let at: i64 = request.header("webhook-timestamp").parse().expect("seconds");
    let expected = signature_header([&*secret], id, at, request.text.as_bytes());
    assert_eq!(request.header("webhook-signature"), expected);
    assert!((at - seconds(&delivery["inserted_at"])).abs() < 60);
}

#[tokio::test]
async fn a_receiver_that_hangs_delays_no_other_webhook_and_no_scan() {
    let fixture = fixture().await;
    let tenant = &fixture.tenant;
    let hanging = WebhookReceiver::start(|_| Reply::Hang).await;
    let other = WebhookReceiver::start(|_| accepted()).await;
    let (hanging_path, _) = create(&tenant.owner, &hanging.url()).await;
    let (other_path, _) = create(&tenant.owner, &other.url()).await;
    admit(tenant, 1).await;
    hanging.wait_for(1).await;
    for index in 2..10 {
        admit(tenant, index).await;
    }
    wait_until("the other one has all", || async {
        let all = deliveries(&tenant.owner, &other_path).await;
        all.len() == 9 && all.iter().all(is_delivered)
    })
    .await;
    // The attempt ends after 15 s.
    wait_until("the attempt ends", || async {
        let all = deliveries(&tenant.owner, &hanging_path).await;
        all.iter().any(|delivery| delivery["last_error"] == "timed_out")
    })
    .await;
    let all = deliveries(&tenant.owner, &hanging_path).await;
    assert_eq!(all.len(), 9);
    assert!(all.iter().all(|delivery| delivery["status"] == "pending"));
}

#[tokio::test]
async fn a_receiver_says_when_a_delivery_is_sent_again() {
    let fixture = fixture().await;
    let owner = &fixture.tenant.owner;
    let soon = WebhookReceiver::start(|number| match number {
        1 => Reply::head("503 Busy\r\nretry-after: 0"),
        _ => accepted(),
    })
    .await;
    let later = WebhookReceiver::start(|_| Reply::head("429 Too Many Requests\r\nretry-after: 7200")).await;
    let never = WebhookReceiver::start(|_| Reply::head("500 Broken\r\nretry-after: 9999999")).await;
    let schedule = WebhookReceiver::start(|_| Reply::head("500 Broken")).await;
    let (soon_path, _) = create(owner, &soon.url()).await;
    send_test(owner, &soon_path).await;
    let delivered = wait_for_all(owner, &soon_path, "it is delivered", is_delivered).await;
    assert_eq!(
        (&delivered[0]["attempts"], &delivered[0]["last_status"]),
        (&json!(2), &json!(204))
    );
    let received = soon.received();
    assert_eq!(received[0].header("webhook-id"), received[1].header("webhook-id"));
    for (receiver, shortest, longest) in [(&later, 7200, 7200), (&never, 86_400, 86_400), (&schedule, 5, 6)] {
        let (path, _) = create(owner, &receiver.url()).await;
        send_test(owner, &path).await;
        let failed = wait_for_all(owner, &path, "the attempt fails", was_attempted).await;
        assert_eq!(
            (&failed[0]["status"], &failed[0]["last_error"]),
            (&json!("pending"), &json!("unexpected_status"))
        );
        let wait = seconds(&failed[0]["next_attempt_at"]) - seconds(&failed[0]["inserted_at"]);
        // Between the two the attempt was made.
        assert!((shortest..=longest + 60).contains(&wait), "{wait}");
    }
}

#[tokio::test]
async fn a_receiver_that_is_gone_disables_its_webhook() {
    let fixture = fixture().await;
    let tenant = &fixture.tenant;
    let gone = WebhookReceiver::start(|_| Reply::head("410 Gone")).await;
    let (path, _) = create(&tenant.owner, &gone.url()).await;
    admit(tenant, 1).await;
    wait_until("the webhook is disabled", || async {
        let webhook = tenant.owner.get(&path).await.expect(200).json();
        webhook["status"] == "disabled" && webhook["disabled_reason"] == "gone"
    })
    .await;
    let failed = wait_for_all(&tenant.owner, &path, "it has failed", |delivery| {
        delivery["status"] == "failed"
    })
    .await;
    assert_eq!(
        (&failed[0]["attempts"], &failed[0]["last_status"]),
        (&json!(1), &json!(410))
    );
    assert_eq!(gone.received().len(), 1);
}

#[tokio::test]
async fn after_a_rotation_both_secrets_sign() {
    let fixture = fixture().await;
    let owner = &fixture.tenant.owner;
    let receiver = WebhookReceiver::start(|_| accepted()).await;
    let (path, former) = create(owner, &receiver.url()).await;
    let rotated = owner
        .call("POST", &format!("{path}/rotate"))
        .await
        .expect(200)
        .json();
    let present = secret(&rotated);
    assert_ne!(present, former);
    send_test(owner, &path).await;
    let request = receiver.wait_for(1).await.remove(0);
    let at = request.header("webhook-timestamp").parse().expect("seconds");
    let id = request.header("webhook-id");
    let expected = signature_header([&*present, &former], id, at, request.text.as_bytes());
    assert_eq!(request.header("webhook-signature"), expected);
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let fixture = fixture().await;
    let owner = &fixture.tenant.owner;
    let inside = WebhookReceiver::start(|_| accepted()).await;
    let target = inside.url();
    let redirecting =
        WebhookReceiver::start(move |_| Reply::Head(format!("307 Temporary Redirect\r\nlocation: {target}")))
            .await;
    let (path, _) = create(owner, &redirecting.url()).await;
    send_test(owner, &path).await;
    let failed = wait_for_all(owner, &path, "the attempt fails", was_attempted).await;
    assert_eq!(
        (&failed[0]["last_status"], &failed[0]["last_error"]),
        (&json!(307), &json!("redirect_not_followed"))
    );
    assert_eq!(inside.received().len(), 0);
}

#[tokio::test]
async fn a_private_address_is_refused_by_literal_by_name_and_in_its_ipv6_form() {
    // A webhook with a literal address is created only where such addresses are allowed. Another node may not allow them.
    let mut cluster = Cluster::start(0, shared_database(), None).await;
    cluster.config.webhook_allow_private = true;
    cluster.add_node(0).await;
    let tenant = cluster.tenant("Here").await;
    let receiver = WebhookReceiver::start(|_| accepted()).await;
    let port = receiver.address().port();
    let mut webhooks = Vec::new();
    for host in [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::1]",
        "169.254.169.254",
        "10.0.0.1",
    ] {
        let (path, _) = create(&tenant.owner, &format!("https://{host}:{port}/hook")).await;
        webhooks.push((host, path));
    }
    let (plain, _) = create(&tenant.owner, &receiver.url()).await;
    cluster.stop().await;
    cluster.config.webhook_allow_private = false;
    cluster.add_node(0).await;
    let owner = tenant.owner.at(cluster.address(1));
    for (host, path) in &webhooks {
        send_test(&owner, path).await;
        let failed = wait_for_all(&owner, path, "the attempt fails", was_attempted).await;
        assert_eq!(failed[0]["last_error"], "address_not_allowed", "{host}");
        assert_eq!(failed[0]["last_status"], Value::Null, "{host}");
    }
    send_test(&owner, &plain).await;
    let failed = wait_for_all(&owner, &plain, "the attempt fails", was_attempted).await;
    assert_eq!(failed[0]["last_error"], "https_required");
    assert_eq!(receiver.received().len(), 0);
    cluster.stop().await;
}

#[tokio::test]
async fn tls_is_verified_by_the_configured_authority() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let directory = tempfile::tempdir().expect("a directory");
    let authority = directory.path().join("ca.pem");
    std::fs::write(&authority, cert.pem()).expect("written");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
    let tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .expect("a certificate");
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let receiver = WebhookReceiver::start_with(
        |_| accepted(),
        move |stream| {
            let accepted = acceptor.accept(stream);
            async move { accepted.await.ok() }
        },
    )
    .await;
    let url = format!("https://localhost:{}/hook", receiver.address().port());
    let trusting = Fixture::with_config(|config| {
        config.webhook_allow_private = true;
        config.webhook_tls_ca = Some(authority);
    })
    .await;
    let suspicious = fixture().await;
    let (path, _) = create(&suspicious.tenant.owner, &url).await;
    send_test(&suspicious.tenant.owner, &path).await;
    let failed = wait_for_all(
        &suspicious.tenant.owner,
        &path,
        "the attempt fails",
        was_attempted,
    )
    .await;
    assert_eq!(failed[0]["last_error"], "tls_failed");
    assert_eq!(receiver.received().len(), 0);
    let (path, _) = create(&trusting.tenant.owner, &url).await;
    send_test(&trusting.tenant.owner, &path).await;
    wait_for_all(&trusting.tenant.owner, &path, "it is delivered", is_delivered).await;
}

#[tokio::test]
async fn a_node_that_stops_gives_its_leases_up() {
    let mut cluster = Cluster::start(0, shared_database(), None).await;
    cluster.config.webhook_allow_private = true;
    cluster.add_node(0).await;
    let tenant = cluster.tenant("Here").await;
    let receiver = WebhookReceiver::start(|number| if number == 1 { Reply::Hang } else { accepted() }).await;
    let (path, _) = create(&tenant.owner, &receiver.url()).await;
    send_test(&tenant.owner, &path).await;
    receiver.wait_for(1).await;
    cluster.stop().await;
    let leases = "select count(*) from webhook_deliveries where leased_until is not null";
    assert_eq!(query_sql(&cluster.config.database_url, leases), "0");
    let node = start(cluster.config.clone()).await.expect("a node");
    receiver.wait_for(2).await;
    let owner = tenant.owner.at(node.address());
    let delivered = wait_for_all(&owner, &path, "it is delivered", is_delivered).await;
    assert_eq!(delivered[0]["attempts"], 1, "the broken off one does not count");
    node.stop().await;
}

#[tokio::test]
async fn another_node_sends_what_a_killed_one_had_leased() {
    let mut cluster = Cluster::start(0, shared_database(), None).await;
    cluster.config.webhook_allow_private = true;
    cluster.add_node(0).await;
    let tenant = cluster.tenant("Here").await;
    let port = free_port();
    cluster.stop().await;
    let mut killed = cluster.spawn_server(port).await;
    let receiver = WebhookReceiver::start(|number| if number == 1 { Reply::Hang } else { accepted() }).await;
    let owner = tenant.owner.at(killed.address);
    let (path, _) = create(&owner, &receiver.url()).await;
    send_test(&owner, &path).await;
    receiver.wait_for(1).await;
    killed.kill();
    let leases = "select count(*) from webhook_deliveries where leased_until is not null";
    assert_eq!(query_sql(&cluster.config.database_url, leases), "1");
    cluster.add_node(0).await;
    // Within 60 s, which is what `wait_for` waits.
    let received = receiver.wait_for(2).await;
    assert_eq!(received[0].header("webhook-id"), received[1].header("webhook-id"));
    let owner = tenant.owner.at(cluster.node(cluster.nodes.len() - 1).address());
    wait_for_all(&owner, &path, "it is delivered", is_delivered).await;
    cluster.stop().await;
}
