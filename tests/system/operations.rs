//! The endpoints for operators of a server: health, readiness, front page and metrics.

use voelgoed_scan_suite::Fixture;

#[tokio::test]
async fn health_readiness_page_and_metrics_need_no_credential() {
    let fixture = Fixture::new().await;
    assert_eq!(
        fixture.anonymous.get("/healthz").await.expect(200).json()["status"],
        "ok"
    );
    let ready = fixture.anonymous.get("/readyz").await.expect(200).json();
    assert_eq!(ready["checks"]["database"], "ok");
    let page = fixture.anonymous.get("/").await.expect(200);
    assert!(page.text().contains(env!("CARGO_PKG_VERSION")) && page.text().contains("/openapi.json"));
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(
        policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    let metrics = fixture.anonymous.get("/metrics").await.expect(200);
    for name in [
        "voelgoed_scan_http_requests_total",
        "voelgoed_scan_scans_total",
        "voelgoed_scan_http_connections",
    ] {
        assert!(metrics.text().contains(&format!("# HELP {name} ")), "{name}");
        assert!(metrics.text().contains(&format!("# TYPE {name} ")), "{name}");
    }
    assert!(
        metrics
            .text()
            .contains(r#"voelgoed_scan_scans_total{result="valid",decided_by="database"}"#)
    );
}
