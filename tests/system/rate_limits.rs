//! The rate limit of a device.

use voelgoed_scan_suite::Fixture;

#[tokio::test]
async fn a_device_over_its_rate_limit_gets_429_with_retry_after_and_others_do_not() {
    let fixture = Fixture::with_config(|config| config.rate_limit = 5).await;
    let tenant = &fixture.tenant;
    let mut limited = None;
    for _ in 0..50 {
        let response = tenant.device.get("/api/v1/events").await;
        if response.status == 429 {
            limited = Some(response);
            break;
        }
    }
    let limited = limited.expect("a limit").expect_problem(429, "rate_limited");
    assert_eq!(limited.header("retry-after"), Some("1"));
    // The rate limit is checked before the body. A token of the limit may be free again by now, hence the 415.
    let too_large = tenant
        .device
        .send("POST", "/api/v1/scanning/scan", None, "x".repeat(70_000))
        .await;
    assert!(matches!(too_large.status, 429 | 415), "{too_large:?}");
    fixture
        .other_tenant
        .device
        .get("/api/v1/events")
        .await
        .expect(200);
    for _ in 0..50 {
        tenant.owner.get("/api/v1/events").await.expect(200);
    }
}
