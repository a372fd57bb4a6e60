//! The SQLite file of a server: who may open it, and what callers get when it is gone.

use serde_json::json;
use voelgoed_scan_server::config::Config;
use voelgoed_scan_server::{StartError, start};
use voelgoed_scan_suite::Client;
use voelgoed_scan_suite::fixture::Tenant;

fn config(folder: &tempfile::TempDir) -> Config {
    Config::on_free_port(format!("sqlite://{}", folder.path().join("gate.db").display()))
}

#[tokio::test]
async fn a_second_server_on_one_sqlite_file_does_not_start_until_the_first_has_stopped() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = start(config(&folder)).await.expect("a server");
    let Err(StartError::Open(refused)) = start(config(&folder)).await else {
        panic!("the second server must not start");
    };
    let process = std::process::id().to_string();
    assert!(refused.to_string().contains(&process), "{refused}");
    first.stop().await;
    start(config(&folder))
        .await
        .expect("the file is free")
        .stop()
        .await;
}

#[tokio::test]
async fn a_database_that_vanishes_makes_scans_and_readiness_503_and_is_not_made_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(config(&folder)).await.expect("a server");
    let anonymous = Client::new(server.address());
    let tenant = Tenant::new(&server, &anonymous, "Here").await;
    let (qr, path) = (tenant.qr(1).await, folder.path().join("gate.db"));
    let ready = anonymous.get("/readyz").await.expect(200).json();
    assert!(ready["checks"]["durability"].is_null(), "{ready}");
    let away = folder.path().join("away.db");
    std::fs::rename(&path, &away).expect("moved");
    let scan = json!({ "qr": qr });
    tenant
        .device
        .scan(&scan)
        .await
        .expect_problem(503, "storage_unavailable");
    // A result of a moment ago may be used again.
    voelgoed_scan_suite::wait_until("the server is not ready", || async {
        anonymous.get("/readyz").await.status == 503
    })
    .await;
    let event = format!("/api/v1/events/{}", tenant.event);
    tenant
        .owner
        .put(&event, &json!({ "name": "Other", "status": "live" }))
        .await
        .expect_problem(503, "storage_unavailable");
    std::fs::rename(&away, &path).expect("moved back");
    assert_eq!(
        tenant.device.scan(&scan).await.expect(200).json()["reason"],
        "admitted"
    );
    server.stop().await;

    for name in ["gate.db", "gate.db-wal", "gate.db-shm"] {
        let _ = std::fs::remove_file(folder.path().join(name));
    }
    let Err(StartError::Secret(refused)) = start(config(&folder)).await else {
        panic!("the server must not start with an empty database");
    };
    assert!(refused.to_string().contains("--create"), "{refused}");
    assert!(!path.exists());
    let create = Config {
        create: true,
        ..config(&folder)
    };
    start(create).await.expect("a new database").stop().await;
    start(config(&folder))
        .await
        .expect("the new database")
        .stop()
        .await;
}
