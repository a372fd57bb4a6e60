//! Start and stop of a server.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use voelgoed_scan_server::config::Config;
use voelgoed_scan_server::{StartError, start};
use voelgoed_scan_suite::wait::READ_TIMEOUT;
use voelgoed_scan_suite::{Fixture, socket, wait_until};

#[tokio::test]
async fn a_stop_completes_requests_in_progress_and_frees_the_port() {
    let fixture = Fixture::new().await;
    let address = fixture.server.address();
    let head = format!(
        "POST /api/v1/scanning/scan HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer {}\r\nexpect: 100-continue\r\n\
         content-type: application/json\r\ncontent-length: 10\r\n\r\n",
        fixture.tenant.device.token()
    );
    let mut in_progress = socket::send_and_keep_open(address, head.as_bytes()).await;
    // The server asks for the body, so the request is in progress.
    socket::read_continue(&mut in_progress).await;
    in_progress.write_all(br#"{"qr""#).await.expect("written");
    let idle = socket::send_and_keep_open(address, b"").await;
    let stop = tokio::spawn(fixture.server.stop());
    wait_until("the port is free", || async {
        TcpStream::connect(address).await.is_err()
    })
    .await;
    in_progress.write_all(br#":"x"}"#).await.expect("written");
    let response = socket::read_to_end(&mut in_progress).await;
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    timeout(READ_TIMEOUT, stop)
        .await
        .expect("the server stops")
        .expect("without a panic");
    drop(idle);
}

#[tokio::test]
async fn a_failed_start_returns_the_reason() {
    let fixture = Fixture::new().await;
    let directory = tempfile::tempdir().expect("a directory");
    let url = |name: &str| format!("sqlite://{}", directory.path().join(name).display());
    let mut used_port = Config::on_free_port(url("a.db"));
    used_port.listen = fixture.server.address().to_string();
    assert!(matches!(start(used_port).await, Err(StartError::Listen { .. })));
    assert!(matches!(
        start(Config::on_free_port("mysql://x")).await,
        Err(StartError::Secret(_) | StartError::Open(_))
    ));
    let missing_directory = Config::on_free_port("sqlite:///nowhere/at/all.db");
    assert!(matches!(
        start(missing_directory).await,
        Err(StartError::Secret(_) | StartError::Open(_))
    ));
    // The stored keys are derived from another master secret.
    let secret = directory.path().join("other.secret");
    std::fs::write(&secret, "ab".repeat(32)).expect("written");
    let mut wrong_secret = Config::on_free_port(&fixture.database_url);
    // Two servers never share a SQLite file.
    fixture.server.stop().await;
    wrong_secret.secrets.secret_key_file = Some(secret);
    assert!(matches!(start(wrong_secret).await, Err(StartError::Setup(_))));
    let mut not_migrated = Config::on_free_port(url("new.db"));
    not_migrated.no_migrate = true;
    assert!(matches!(start(not_migrated).await, Err(StartError::Open(_))));
}
