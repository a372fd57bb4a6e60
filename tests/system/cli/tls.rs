//! A server with TLS, and the certificate authority that the command line trusts.

use std::path::Path;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, CertifiedKey, KeyPair, date_time_ymd, generate_simple_self_signed};
use serde_json::Value;
use tempfile::TempDir;
use voelgoed_scan_server::{Config, Running};

use super::fixture::{Cli, text};

const DAY: Duration = Duration::from_secs(86_400);

/// A server with a certificate for `localhost` that was made a year ago and ends this long after then.
struct TlsServer {
    directory: TempDir,
    owner: Cli,
    // Fields are dropped in this order: the server before its runtime.
    _running: Running,
    _runtime: tokio::runtime::Runtime,
}

impl TlsServer {
    fn start(age: Duration) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        write_certificate(directory.path(), age);
        let url = format!("sqlite://{}", directory.path().join("gate.db").display());
        let mut config = Config::on_free_port(&url);
        config.tls_cert = Some(directory.path().join("cert.pem"));
        config.tls_key = Some(directory.path().join("key.pem"));
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let running = runtime
            .block_on(voelgoed_scan_server::start(config))
            .expect("a server");
        let address = format!("https://localhost:{}", running.address().port());
        let anonymous = Cli::for_server(&address);
        let created = anonymous.json(&["init", "--database-url", &url, "--organization", "Voelgoed"]);
        Self {
            directory,
            owner: anonymous.with_token(text(&created, "api_key")),
            _running: running,
            _runtime: runtime,
        }
    }

    /// What doctor says of the certificate, with its exit code.
    fn certificate(&self, more: &[&str]) -> (i32, Value) {
        let output = self.owner.run(&[&["doctor", "--output", "json"], more].concat());
        let mut found = output.values();
        found.retain(|finding| finding["check"] == "certificate");
        assert_eq!(found.len(), 1, "{output:?}");
        (output.exit_code, found.remove(0))
    }

    fn ca(&self) -> String {
        self.directory.path().join("cert.pem").display().to_string()
    }
}

/// Writes a certificate that began a year ago and ends `age` after that.
#[expect(
    clippy::disallowed_methods,
    reason = "a certificate is valid at the time of the machine"
)]
fn write_certificate(folder: &Path, age: Duration) {
    let a_year_ago = (SystemTime::now() - 365 * DAY)
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("after 1970");
    let mut params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
    params.not_before = date_time_ymd(1970, 1, 1) + a_year_ago;
    params.not_after = params.not_before + age;
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    std::fs::write(folder.join("cert.pem"), certificate.pem()).expect("written");
    std::fs::write(folder.join("key.pem"), key.serialize_pem()).expect("written");
}

#[test]
fn doctor_tells_how_long_the_certificate_is_valid() {
    // Half a day more, so that the whole days are the same however long the test takes.
    let server = TlsServer::start(365 * DAY + 100 * DAY + DAY / 2);
    let (exit, found) = server.certificate(&["--tls-ca", &server.ca()]);
    assert_eq!(
        (exit, &found["ok"], found.get("hint")),
        (0, &Value::Bool(true), None)
    );
    assert!(
        text(&found, "detail").starts_with("localhost: 100 days left"),
        "{found}"
    );

    let (exit, found) = server.certificate(&[]);
    assert_eq!(
        (exit, &found["ok"]),
        (5, &Value::Bool(false)),
        "nobody trusts it: {found}"
    );
    assert!(text(&found, "detail").contains("do not trust"), "{found}");
    assert!(text(&found, "hint").contains("--tls-ca"), "{found}");

    let server = TlsServer::start(365 * DAY + 10 * DAY + DAY / 2);
    let (exit, found) = server.certificate(&["--tls-ca", &server.ca()]);
    assert_eq!(
        (exit, &found["ok"]),
        (0, &Value::Bool(true)),
        "it is a warning: {found}"
    );
    assert!(
        text(&found, "detail").starts_with("localhost: 10 days left"),
        "{found}"
    );
    assert!(text(&found, "hint").contains("renew"), "{found}");

    let server = TlsServer::start(364 * DAY);
    let (exit, found) = server.certificate(&["--tls-ca", &server.ca()]);
    assert_eq!((exit, &found["ok"]), (5, &Value::Bool(false)), "{found}");
    assert!(text(&found, "detail").contains("xpired"), "{found}");
}

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
