//! TLS to PostgreSQL: the database URL decides which certificates the server trusts.

use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::json;
use voelgoed_scan_core::store::open;
use voelgoed_scan_suite::fixture::new_id;
use voelgoed_scan_suite::program::Launch;
use voelgoed_scan_suite::services::ShutdownMode;
use voelgoed_scan_suite::{Cluster, Postgres};

#[tokio::test]
async fn the_sslmode_of_the_url_decides_which_tls_server_is_trusted() {
    let folder = tempfile::tempdir().expect("a folder");
    let certificate = || generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let CertifiedKey { cert, signing_key } = certificate();
    let (trusted_ca, other_ca) = (folder.path().join("ours.pem"), folder.path().join("another.pem"));
    std::fs::write(&trusted_ca, cert.pem()).expect("written");
    std::fs::write(&other_ca, certificate().cert.pem()).expect("written");
    let mut postgres = Postgres::start().await;
    postgres.stop(ShutdownMode::Fast);
    postgres.require_tls(&cert.pem(), &signing_key.serialize_pem());
    postgres.start_process().await;
    let database = postgres.create_database();
    let (_, name) = database.rsplit_once('/').expect("the URL of a database");
    let url = |host: &str, sslmode: &str| {
        let port = postgres.port();
        format!("postgres://postgres@{host}:{port}/{name}?sslmode={sslmode}")
    };
    let verify_full = format!("verify-full&sslrootcert={}", trusted_ca.display());

    for sslmode in ["require", &verify_full] {
        let mut cluster = Cluster::start(1, url("localhost", sslmode), None).await;
        let tenant = cluster.tenant(sslmode).await;
        let body = json!({ "qr": tenant.qr(1).await, "scan_id": new_id() });
        let answer = tenant.device.scan(&body).await.expect(200).json();
        assert_eq!(answer["reason"], "admitted", "{sslmode}: {answer}");
        cluster.stop().await;
    }
    // Rejected: no TLS, an unknown certificate authority, another authority, and a host name that the certificate lacks.
    let verify_other = format!("verify-full&sslrootcert={}", other_ca.display());
    for (host, sslmode) in [
        ("localhost", "disable"),
        ("localhost", "verify-full"),
        ("localhost", &verify_other),
        ("127.0.0.1", &verify_full),
    ] {
        let opened = open(&url(host, sslmode), true).await;
        assert!(opened.is_err(), "{host} with {sslmode} was trusted");
    }
}

/// A certificate of version 1, as Citus makes it for itself, and its key. Valid until 2126.
const VERSION_1: (&str, &str) = (
    "\
-----BEGIN CERTIFICATE-----
MIIBIzCBywIUBt5lTfVjekPIgSvfdtHHmJ4vsj0wCgYIKoZIzj0EAwIwFDESMBAG
A1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyOTE1NTQwN1oYDzIxMjYxMTA1MTU1NDA3
WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AAQkOEHNj1ndb2ECUjUi4JP08f110+1dvQ4kIYIlssUXe0KUM6qTesVRnRyRRMix
6zZ2A7VU9vwm2wpwjUqlhTijMAoGCCqGSM49BAMCA0cAMEQCIA3UaTTL6WjxmiYt
C+/xHZJAk8GQlRzVXOlShlB8r2sjAiBwv/Qk5Lc755MPj8omsKs+ExqMlA75CZpj
SCMbTAAvZA==
-----END CERTIFICATE-----
",
    "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgm/VC5oR+U/2HA4rT
7LQABbzUN3nMBDBba3Kh/+FIjDOhRANCAAQkOEHNj1ndb2ECUjUi4JP08f110+1d
vQ4kIYIlssUXe0KUM6qTesVRnRyRRMix6zZ2A7VU9vwm2wpwjUqlhTij
-----END PRIVATE KEY-----
",
);

#[tokio::test]
async fn a_certificate_of_version_1_is_refused_with_what_to_do() {
    let mut postgres = Postgres::start().await;
    let database = postgres.create_database();
    postgres.stop(ShutdownMode::Fast);
    postgres.require_tls(VERSION_1.0, VERSION_1.1);
    postgres.start_process().await;
    for sslmode in ["", "?sslmode=require"] {
        let message = Launch::new(&format!("{database}{sslmode}"))
            .with(["--migrate-only"])
            .fail();
        for part in [
            "the TLS certificate of the database cannot be used",
            "version 3",
            "sslmode=verify-full&sslrootcert=FILE",
            "sslmode=require",
            "Citus",
        ] {
            assert!(message.contains(part), "{part}: {message}");
        }
    }
}
