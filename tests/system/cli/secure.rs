//! A server that speaks TLS, and a prompt that is told whom to trust.

use rcgen::{CertifiedKey, generate_simple_self_signed};
use voelgoed_scan_server::Config;

use super::prompt::Prompt;

#[test]
fn a_prompt_speaks_tls_to_a_server_whose_certificate_it_is_told_to_trust() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
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

    let alone = Prompt::at(&server);
    let made = alone.json(&["init", "--database-url", &url, "--organization", "Voelgoed"]);
    let owner = alone.with_token(made["api_key"].as_str().expect("a key"));
    let ca = path("cert.pem").display().to_string();
    let keys = owner.list(&["--tls-ca", &ca, "key", "list"]);
    assert_eq!(keys.len(), 2);
    // Nobody vouches for it otherwise, and the name must be the one in the certificate.
    let refused = owner.run(&["key", "list"]).expect(5);
    assert!(refused.err.contains("certificate"), "{refused:?}");
    let by_number = Prompt::at(&format!("https://127.0.0.1:{}", running.address().port()));
    by_number
        .with_token(made["api_key"].as_str().expect("a key"))
        .run(&["--tls-ca", &ca, "key", "list"])
        .expect(5);
    // Plain HTTP gets no answer that could be taken for one.
    Prompt::at(&server.replacen("https", "http", 1))
        .with_token("nobody's")
        .run(&["key", "list"])
        .expect(5);
}
