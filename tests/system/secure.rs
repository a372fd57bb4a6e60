//! A PostgreSQL that speaks TLS alone, and a gate that is told how far to trust it.

use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::json;
use voelgoed_scan_core::store::open;
use voelgoed_scan_suite::services::Stop;
use voelgoed_scan_suite::world::new_id;
use voelgoed_scan_suite::{Cluster, Postgres};

#[tokio::test]
async fn a_gate_reaches_its_database_over_tls_as_far_as_its_url_trusts_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let certificate = || generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let CertifiedKey { cert, signing_key } = certificate();
    let (ours, another) = (folder.path().join("ours.pem"), folder.path().join("another.pem"));
    std::fs::write(&ours, cert.pem()).expect("written");
    std::fs::write(&another, certificate().cert.pem()).expect("written");
    let mut postgres = Postgres::start().await;
    postgres.stop(Stop::Fast);
    postgres.ask_for_tls(&cert.pem(), &signing_key.serialize_pem());
    postgres.start_again().await;
    let database = postgres.database();
    let (_, name) = database.rsplit_once('/').expect("the URL of a database");
    let url = |host: &str, how: &str| {
        let port = postgres.port();
        format!("postgres://postgres@{host}:{port}/{name}?sslmode={how}")
    };
    let trusted = format!("verify-full&sslrootcert={}", ours.display());

    for how in ["require", &trusted] {
        let mut cluster = Cluster::start(1, url("localhost", how), None).await;
        let tenant = cluster.tenant(how).await;
        let body = json!({ "qr": tenant.qr(1).await, "scan_id": new_id() });
        let answer = tenant.device.scan(&body).await.expect(200).json();
        assert_eq!(answer["reason"], "admitted", "{how}: {answer}");
        cluster.stop().await;
    }
    // Not in the clear, not with a certificate that nobody vouches for, not under another name.
    let other = format!("verify-full&sslrootcert={}", another.display());
    for (host, how) in [
        ("localhost", "disable"),
        ("localhost", "verify-full"),
        ("localhost", &other),
        ("127.0.0.1", &trusted),
    ] {
        let opened = open(&url(host, how), true).await;
        assert!(opened.is_err(), "{host} with {how} was reached");
    }
}
