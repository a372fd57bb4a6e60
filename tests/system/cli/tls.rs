//! A server with TLS, and the certificate authority that the command line trusts.

use rcgen::{CertifiedKey, generate_simple_self_signed};
use voelgoed_scan_server::Config;

use super::fixture::Cli;

#[test]
fn the_command_line_connects_over_tls_with_a_trusted_certificate_only() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    std::fs::write(path("cert.pem"), cert.pem()).expect("written");
    std::fs::write(path("key.pem"), signing_key.serialize_pem()).expect("written");
    let url = format!("sqlite://{}", path("gate.db").display());
    let mut config = Config::on_free_port(&url);
    config.tls_cert = Some(path("cert.pem"));
    config.tls_key = Some(path("key.pem"));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let running = runtime
        .block_on(voelgoed_scan_server::start(config))
        .expect("a server");
    let server = format!("https://localhost:{}", running.address().port());

    let anonymous = Cli::for_server(&server);
    let created = anonymous.json(&["init", "--database-url", &url, "--organization", "Voelgoed"]);
    let owner = anonymous.with_token(created["api_key"].as_str().expect("a key"));
    let ca = path("cert.pem").display().to_string();
    let keys = owner.list(&["--tls-ca", &ca, "key", "list"]);
    assert_eq!(keys.len(), 2);
    // Without `--tls-ca` the certificate is not trusted, and the host name must be the one in the certificate.
    let refused = owner.run(&["key", "list"]).expect(5);
    assert!(refused.stderr.contains("certificate"), "{refused:?}");
    let by_ip_address = Cli::for_server(&format!("https://127.0.0.1:{}", running.address().port()));
    by_ip_address
        .with_token(created["api_key"].as_str().expect("a key"))
        .run(&["--tls-ca", &ca, "key", "list"])
        .expect(5);
    // A request over plain HTTP fails.
    Cli::for_server(&server.replacen("https", "http", 1))
        .with_token("no-token")
        .run(&["key", "list"])
        .expect(5);
}
