//! Browser pages of other origins: only configured ones may call, on every response.

use hyper::body::Bytes;
use serde_json::json;
use voelgoed_scan_server::config::Config;
use voelgoed_scan_suite::{Client, Fixture, Response};

const ORIGIN: &str = "https://app.example.org";
const OTHER: &str = "http://localhost:5173";
const FOREIGN: &str = "https://evil.example.org";

fn allow_origins(config: &mut Config) {
    config.cors_origins = [ORIGIN, OTHER]
        .map(|text| text.parse().expect("an origin"))
        .to_vec();
}

/// A page of this origin with the credential of a client. The document describes no preflights and no `HEAD`, so the
/// responses are not compared with it.
fn from(client: &Client, origin: &str) -> Client {
    unchecked(client).with_header("origin", origin)
}

fn unchecked(client: &Client) -> Client {
    let page = Client::new(client.address());
    match client.token() {
        "" => page,
        token => page.with_token(token),
    }
}

async fn preflight(client: &Client, origin: &str, path: &str, method: &str) -> Response {
    from(client, origin)
        .with_header("access-control-request-method", method)
        .with_header("access-control-request-headers", "authorization")
        .call("OPTIONS", path)
        .await
}

fn vary(response: &Response) -> Vec<String> {
    let values = response.headers.get_all("vary").iter();
    values
        .flat_map(|value| value.to_str().expect("text").split(','))
        .map(|name| name.trim().to_lowercase())
        .collect()
}

fn cors_headers(response: &Response) -> Vec<&str> {
    let names = response.headers.keys().map(hyper::header::HeaderName::as_str);
    names.filter(|name| name.starts_with("access-control-")).collect()
}

#[tokio::test]
async fn a_preflight_gets_the_origin_the_methods_of_the_path_and_the_headers() {
    let fixture = Fixture::with_config(allow_origins).await;
    let base = "Authorization, Content-Type, If-None-Match, Last-Event-ID, X-Request-Id";
    let device = format!("/api/v1/scanning/devices/{}", fixture.tenant.device_id);
    let manifest = format!("/api/v1/scanning/events/{}/manifest", fixture.tenant.event);
    let with_ranges = format!("{base}, Range, If-Range");
    let with_language = format!("{base}, Accept-Language");
    for (path, methods, headers) in [
        ("/api/v1/scanning/scan", "POST", with_language.as_str()),
        ("/api/v1/scanning/sessions", "POST, GET, HEAD", base),
        (&device, "GET, HEAD, PATCH, DELETE", base),
        ("/healthz", "GET, HEAD", base),
        (&manifest, "GET, HEAD", &with_ranges),
    ] {
        for origin in [ORIGIN, OTHER] {
            let response = preflight(&fixture.anonymous, origin, path, "GET")
                .await
                .expect(204);
            assert_eq!(
                response.header("access-control-allow-origin"),
                Some(origin),
                "{path}"
            );
            assert_eq!(
                response.header("access-control-allow-methods"),
                Some(methods),
                "{path}"
            );
            assert_eq!(
                response.header("access-control-allow-headers"),
                Some(headers),
                "{path}"
            );
            assert_eq!(response.header("access-control-allow-credentials"), None);
            assert!(response.body.is_empty());
            assert_eq!(vary(&response), ["origin"]);
            assert_eq!(response.header("cache-control"), Some("no-store"));
        }
        for origin in [
            FOREIGN,
            "null",
            "https://app.example.org:8443",
            "https://APP.example.org",
        ] {
            let response = preflight(&fixture.anonymous, origin, path, "GET")
                .await
                .expect(204);
            assert_eq!(cors_headers(&response), [""; 0], "{origin}");
            assert_eq!(vary(&response), ["origin"]);
        }
    }
    let unknown = preflight(&fixture.anonymous, ORIGIN, "/nothing", "GET").await;
    unknown.expect_problem(404, "not_found");
    // Without the header of a preflight it is a method like any other.
    let plain = from(&fixture.anonymous, ORIGIN).call("OPTIONS", "/healthz").await;
    let plain = plain.expect_problem(405, "method_not_allowed");
    assert_eq!(plain.header("access-control-allow-origin"), Some(ORIGIN));
}

#[tokio::test]
async fn every_response_to_an_allowed_origin_is_readable_also_errors() {
    let fixture = Fixture::with_config(|config| {
        allow_origins(config);
        config.rate_limit = 1;
    })
    .await;
    let tenant = &fixture.tenant;
    let exposed = "ETag, Location, Retry-After, X-Request-Id";
    let bad_token = fixture
        .anonymous
        .with_token("vgd_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    let show = format!("/api/v1/events/{}", tenant.event);
    let mut seen = Vec::new();
    for (client, method, path, body) in [
        (&tenant.owner, "GET", &*show, None),
        (&tenant.owner, "HEAD", &show, None),
        (
            &tenant.owner,
            "POST",
            "/api/v1/scanning/devices",
            Some(json!({ "device_id": "x", "name": "X" })),
        ),
        (
            &tenant.owner,
            "POST",
            "/api/v1/scanning/devices",
            Some(json!({ "device_id": "x", "name": "X" })),
        ),
        (&tenant.owner, "POST", "/api/v1/scanning/devices", Some(json!({}))),
        (&tenant.owner, "GET", "/api/v1/events/x", None),
        (&tenant.owner, "GET", "/nothing", None),
        (&tenant.owner, "DELETE", "/healthz", None),
        (&tenant.owner, "GET", "/api/v1/scanning/device", None),
        (&fixture.anonymous, "GET", "/api/v1/events", None),
        (&bad_token, "GET", "/api/v1/events", None),
        (&fixture.anonymous, "GET", "/", None),
    ] {
        for origin in [ORIGIN, FOREIGN] {
            let client = from(client, origin);
            let response = match &body {
                Some(body) => client.call_with(method, path, body).await,
                None => client.call(method, path).await,
            };
            seen.push(response.status);
            assert_eq!(vary(&response), ["origin"], "{method} {path}");
            if origin == FOREIGN {
                assert_eq!(cors_headers(&response), [""; 0], "{method} {path}");
                continue;
            }
            assert_eq!(
                response.header("access-control-allow-origin"),
                Some(ORIGIN),
                "{method} {path}"
            );
            assert_eq!(
                response.header("access-control-expose-headers"),
                Some(exposed),
                "{method} {path}"
            );
            assert_eq!(cors_headers(&response).len(), 2, "{response:?}");
        }
    }
    // More requests than the limit of the device allows.
    let device = from(&tenant.device, ORIGIN);
    let mut limited = device.get(&show).await;
    for _ in 0..50 {
        if limited.status == 429 {
            break;
        }
        limited = device.get(&show).await;
    }
    assert_eq!(limited.header("access-control-allow-origin"), Some(ORIGIN));
    let limited = limited.expect_problem(429, "rate_limited");
    seen.push(limited.status);
    for status in [200, 201, 401, 403, 404, 405, 409, 422, 429] {
        assert!(seen.contains(&status), "{status} in {seen:?}");
    }
}

#[tokio::test]
async fn a_page_reads_the_ranges_of_a_manifest() {
    let fixture = Fixture::with_config(allow_origins).await;
    let tenant = &fixture.tenant;
    let path = format!("/api/v1/scanning/events/{}/manifest", tenant.event);
    let device = from(&tenant.device, ORIGIN);
    let whole = device.get(&path).await.expect(200);
    let tag = whole.header("etag").expect("a tag").to_owned();
    let part = device
        .with_header("range", "bytes=0-9")
        .with_header("if-range", &tag);
    let unsatisfiable = device
        .with_header("range", "bytes=99999999-")
        .with_header("if-range", &tag);
    let refused = unsatisfiable
        .get(&path)
        .await
        .expect_problem(416, "range_not_satisfiable");
    let unchanged = device
        .with_header("if-none-match", &tag)
        .get(&path)
        .await
        .expect(304);
    for response in [whole, part.get(&path).await.expect(206), refused, unchanged] {
        assert_eq!(
            response.header("access-control-expose-headers"),
            Some("ETag, Location, Retry-After, X-Request-Id, Accept-Ranges, Content-Range")
        );
        assert!(vary(&response).contains(&"origin".to_owned()));
        if response.status != 416 {
            assert!(
                vary(&response).contains(&"accept-encoding".to_owned()),
                "{response:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_response_without_a_valid_host_is_readable_too() {
    let fixture = Fixture::with_config(allow_origins).await;
    let twice = from(&fixture.anonymous, ORIGIN).with_header("host", "other.test");
    let response = twice.get("/healthz").await.expect_problem(400, "bad_request");
    assert_eq!(response.header("access-control-allow-origin"), Some(ORIGIN));
}

#[tokio::test]
async fn without_configured_origins_nothing_changes() {
    let fixture = Fixture::new().await;
    let response = from(&fixture.anonymous, ORIGIN).get("/healthz").await.expect(200);
    assert_eq!(cors_headers(&response), [""; 0]);
    assert_eq!(vary(&response), [""; 0]);
    let response = preflight(&fixture.anonymous, ORIGIN, "/healthz", "GET").await;
    response.expect_problem(405, "method_not_allowed");
}

#[tokio::test]
async fn a_head_of_a_stream_holds_no_stream() {
    let fixture = Fixture::new().await;
    let tenant = &fixture.tenant;
    let stream = format!("/api/v1/scanning/events/{}/stream", tenant.event);
    // More than the 64 that a credential may have.
    for _ in 0..70 {
        let response = unchecked(&tenant.owner).call("HEAD", &stream).await.expect(200);
        assert_eq!(response.header("content-type"), Some("text/event-stream"));
        assert!(response.body.is_empty());
    }
    let open = tenant.owner.open("GET", &stream, None, Bytes::new()).await;
    assert_eq!(open.status(), 200);
}
