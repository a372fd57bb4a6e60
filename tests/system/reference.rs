//! The API reference at `/docs`.

use voelgoed_scan_suite::Fixture;

#[tokio::test]
async fn the_reference_shows_every_operation_and_loads_nothing() {
    let fixture = Fixture::new().await;
    let page = fixture.anonymous.get("/docs").await.expect(200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-"),
        "{policy}"
    );
    assert!(
        !policy.contains("script-src") && !policy.contains("unsafe"),
        "{policy}"
    );
    let text = page.text();
    let operations = fixture.openapi.operations();
    assert!(operations.len() > 50);
    for operation in operations {
        assert!(
            text.contains(&format!("id=\"{}\"", operation.name)),
            "{}",
            operation.name
        );
        assert!(
            text.contains(&format!("<code>{}</code>", operation.path)),
            "{}",
            operation.path
        );
    }
    for foreign in [
        "<script",
        "<link",
        "<img",
        "src=",
        "@import",
        "url(",
        "href=\"http",
    ] {
        assert!(!text.contains(foreign), "{foreign}");
    }
    assert!(text.contains("prefers-color-scheme: dark"));
}
