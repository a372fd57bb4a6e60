//! The routes: unknown paths and methods, the OpenAPI document, request ids.

use voelgoed_scan_suite::Fixture;
use voelgoed_scan_suite::fixture::new_id;

#[tokio::test]
async fn an_unknown_path_is_404_and_an_unknown_method_405_with_allow() {
    let fixture = Fixture::new().await;
    for path in [
        "/nothing",
        "/api/v1",
        "/api/v1/events/",
        "//",
        "/api/v1/scanning/rumours",
        "/api/v1/scanning/enrol",
        "/api/v2/events",
        "/healthz/",
    ] {
        fixture.anonymous.get(path).await.expect_problem(404, "not_found");
    }
    for (method, path, allow) in [
        ("DELETE", "/api/v1/events", "GET, HEAD"),
        ("PATCH", "/healthz", "GET, HEAD"),
        ("OPTIONS", "/api/v1/scanning/scan", "POST"),
        ("TRACE", "/api/v1/scanning/sessions", "POST, GET, HEAD"),
        ("BREW", "/", "GET, HEAD"),
        (
            "POST",
            &format!("/api/v1/scanning/devices/{}", new_id()),
            "GET, HEAD, PATCH, DELETE",
        ),
    ] {
        let response = fixture
            .anonymous
            .call(method, path)
            .await
            .expect_problem(405, "method_not_allowed");
        assert_eq!(response.header("allow"), Some(allow), "{method} {path}");
    }
}

#[tokio::test]
async fn the_openapi_document_lists_exactly_the_served_operations() {
    let fixture = Fixture::new().await;
    let document = fixture.openapi.document();
    assert_eq!(document["openapi"], "3.1.0");
    for operation in fixture.openapi.operations() {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let path = operation.path.replace(['{', '}'], "x");
            let documented = document["paths"][&operation.path]
                .get(method.to_lowercase())
                .is_some();
            let response = fixture.anonymous.call(method, &path).await;
            assert_eq!(
                response.status == 405,
                !documented,
                "{method} {path}: {response:?}"
            );
            if documented && operation.requires_credential {
                response.expect_problem(401, "missing_token");
            }
        }
    }
}

#[tokio::test]
async fn a_valid_request_id_is_returned_and_an_invalid_one_replaced() {
    let fixture = Fixture::new().await;
    let valid = fixture
        .anonymous
        .with_header("x-request-id", "abc/123")
        .get("/nothing")
        .await;
    assert_eq!(valid.header("x-request-id"), Some("abc/123"));
    assert_eq!(valid.json()["request_id"], "abc/123");
    let long = "x".repeat(65);
    for invalid in ["a b", long.as_str()] {
        let response = fixture
            .anonymous
            .with_header("x-request-id", invalid)
            .get("/healthz")
            .await
            .expect(200);
        assert_ne!(response.header("x-request-id"), Some(invalid));
    }
}
