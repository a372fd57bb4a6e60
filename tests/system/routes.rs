//! The routes: unknown paths and methods, the OpenAPI document, request ids.

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::HeaderMap;
use voelgoed_scan_suite::Fixture;
use voelgoed_scan_suite::fixture::new_id;

use crate::operation_calls::{path_value, path_variables};

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

#[tokio::test]
async fn head_is_answered_wherever_get_is_with_the_same_headers_and_no_body() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let mut streams = Vec::new();
    for operation in fixture.openapi.operations() {
        if operation.method != "GET" {
            continue;
        }
        let mut path = operation.path.clone();
        for variable in path_variables(&operation.path) {
            let value = path_value(&operation, &variable, tenant).await;
            path = path.replace(&format!("{{{variable}}}"), &value);
        }
        let is_for_devices = ["showOwnDevice", "showManifest"].contains(&operation.name.as_str());
        let client = if is_for_devices {
            &tenant.device
        } else {
            &tenant.owner
        };
        // The values of these differ from one response to the next.
        let comparable = |headers: &HeaderMap| {
            let mut headers = headers.clone();
            for name in ["date", "x-request-id"] {
                assert!(headers.remove(name).is_some(), "{path}: {name}");
            }
            if ["/metrics", "/api/v1/scanning/device"].contains(&path.as_str()) {
                assert!(headers.remove("content-length").is_some(), "{path}");
            }
            headers
        };
        let get = client.open("GET", &path, None, Bytes::new()).await;
        let head = client.open("HEAD", &path, None, Bytes::new()).await;
        assert_eq!(get.status(), 200, "{path}");
        assert_eq!(head.status(), 200, "{path}");
        let (mut of_get, of_head) = (comparable(get.headers()), comparable(head.headers()));
        if of_get.remove("transfer-encoding").is_some() {
            // The length of a stream is unknown. `HEAD` may leave this header out (RFC 9110, 9.3.2).
            streams.push(operation.name.clone());
            assert!(!of_head.contains_key("content-length"), "{path}: {of_head:?}");
            let mut of_head = of_head;
            of_head.remove("transfer-encoding");
            assert_eq!(of_get, of_head, "{path}");
        } else {
            assert_eq!(of_get, of_head, "{path}");
        }
        assert!(
            head.into_body()
                .collect()
                .await
                .expect("complete")
                .to_bytes()
                .is_empty(),
            "{path}"
        );
    }
    assert!(!streams.is_empty());
    for (path, status) in [
        ("/nothing", 404),
        ("/api/v1/scanning/scan", 405),
        ("/api/v1/events", 401),
    ] {
        let response = fixture.anonymous.open("HEAD", path, None, Bytes::new()).await;
        assert_eq!(response.status(), status, "{path}");
        let length = response.headers()["content-length"]
            .to_str()
            .expect("text")
            .to_owned();
        assert_ne!(length, "0", "{path}: the length of the problem document");
        assert!(
            response
                .into_body()
                .collect()
                .await
                .expect("complete")
                .to_bytes()
                .is_empty(),
            "{path}"
        );
    }
}
