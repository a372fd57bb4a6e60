//! Traces, as a collector gets them.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::json;
use voelgoed_scan_suite::fixture::new_id;
use voelgoed_scan_suite::program::{Launch, Program, StoppedFixture};
use voelgoed_scan_suite::services::free_port;
use voelgoed_scan_suite::webhook_receiver::Received;
use voelgoed_scan_suite::{Client, Fixture, Reply, WebhookReceiver, wait_until};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// A span as a test reads it.
#[derive(Debug, Clone)]
struct SeenSpan {
    name: String,
    trace: String,
    id: String,
    parent: String,
    links: Vec<String>,
    attributes: BTreeMap<String, String>,
}

impl SeenSpan {
    fn of(span: &Span) -> Self {
        let attributes = span.attributes.iter().map(|attribute| {
            let value = attribute.value.as_ref().and_then(|value| value.value.as_ref());
            let text = match value {
                Some(AnyValue::StringValue(text)) => text.clone(),
                Some(AnyValue::IntValue(number)) => number.to_string(),
                other => format!("{other:?}"),
            };
            (attribute.key.clone(), text)
        });
        Self {
            name: span.name.clone(),
            trace: hex(&span.trace_id),
            id: hex(&span.span_id),
            parent: hex(&span.parent_span_id),
            links: span.links.iter().map(|link| hex(&link.span_id)).collect(),
            attributes: attributes.collect(),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<Vec<_>>()
        .concat()
}

fn spans_of(requests: &[Received]) -> Vec<SeenSpan> {
    let mut spans = Vec::new();
    for request in requests {
        assert_eq!(request.path(), "/v1/traces");
        assert_eq!(request.header("content-type"), "application/x-protobuf");
        let decoded = ExportTraceServiceRequest::decode(&*request.body).expect("OTLP");
        for resource in &decoded.resource_spans {
            let attributes = &resource.resource.as_ref().expect("a resource").attributes;
            assert!(attributes.iter().any(|attribute| attribute.key == "service.name"));
            for scope in &resource.scope_spans {
                spans.extend(scope.spans.iter().map(SeenSpan::of));
            }
        }
    }
    spans
}

/// Waits until the collector has a span of this name, and returns all.
async fn spans_with(collector: &WebhookReceiver, is: impl Fn(&SeenSpan) -> bool) -> Vec<SeenSpan> {
    wait_until("the collector gets the span", || {
        std::future::ready(spans_of(&collector.received()).iter().any(&is))
    })
    .await;
    spans_of(&collector.received())
}

fn only<'a>(spans: &'a [SeenSpan], trace: &str, name: &str) -> &'a SeenSpan {
    let found: Vec<_> = spans
        .iter()
        .filter(|span| span.trace == trace && span.name == name)
        .collect();
    let [span] = found[..] else {
        panic!("{name} in {trace}: {found:?} of {spans:?}")
    };
    span
}

/// A server that exports to a collector, with the data and the payloads of its tickets.
struct Traced {
    collector: WebhookReceiver,
    server: Program,
    stopped: StoppedFixture,
    qr: Vec<String>,
}

impl Traced {
    async fn start() -> Self {
        Self::start_at("").await
    }

    /// Starts a server whose endpoint has this path.
    async fn start_at(path: &str) -> Self {
        let collector = WebhookReceiver::start(|_| Reply::head("200 OK")).await;
        let endpoint = format!("http://{}{path}", collector.address());
        let (server, stopped, qr) = program(&endpoint).await;
        Self {
            collector,
            server,
            stopped,
            qr,
        }
    }

    fn device(&self) -> Client {
        self.stopped.tenant.device.at(self.server.address())
    }

    fn owner(&self) -> Client {
        self.stopped.tenant.owner.at(self.server.address())
    }
}

async fn program(endpoint: &str) -> (Program, StoppedFixture, Vec<String>) {
    let fixture = Fixture::new().await;
    let mut qr = Vec::new();
    for index in 0..fixture.tenant.codes.len() {
        qr.push(fixture.tenant.qr(index).await);
    }
    let (launch, stopped) = Launch::instead_of(fixture).await;
    let launch = launch
        .with(["--otlp-endpoint", endpoint])
        .with(["--webhook-allow-private"]);
    (launch.start().await, stopped, qr)
}

#[tokio::test]
async fn the_steps_of_a_scan_are_spans_of_the_callers_trace() {
    let traced = Traced::start().await;
    let device = traced
        .device()
        .with_header("traceparent", &format!("00-{TRACE}-{CALLER}-01"));
    let body = json!({ "qr": traced.qr[0], "scan_id": new_id() });
    let answer = device.scan(&body).await.expect(200);
    assert_eq!(answer.json()["reason"], "admitted");
    let returned = answer.header("traceparent").expect("a header").to_owned();

    let request_is = |span: &SeenSpan| span.name == "POST /api/v1/scanning/scan";
    let spans = spans_with(&traced.collector, request_is).await;
    let request = only(&spans, TRACE, "POST /api/v1/scanning/scan");
    assert_eq!(request.parent, CALLER);
    assert_eq!(returned, format!("00-{TRACE}-{}-01", request.id));
    assert_eq!(request.attributes["http.route"], "/api/v1/scanning/scan");
    assert_eq!(request.attributes["http.response.status_code"], "200");
    let parent_of = |name: &str| only(&spans, TRACE, name).parent.clone();
    assert_eq!(parent_of("authenticate"), request.id);
    assert_eq!(
        parent_of("db.find_device"),
        only(&spans, TRACE, "authenticate").id
    );
    let scan = only(&spans, TRACE, "scan");
    assert_eq!(scan.parent, request.id);
    assert_eq!(
        [&scan.attributes["result"], &scan.attributes["decided_by"]],
        ["valid", "database"]
    );
    for step in ["scan.verify", "scan.cache", "scan.decide"] {
        assert_eq!(parent_of(step), scan.id, "{step}");
    }
    let wait = only(&spans, TRACE, "scan.record");
    assert_eq!(wait.parent, only(&spans, TRACE, "scan.decide").id);
    // The write holds many scans, so it is a trace of its own that refers to them.
    let write = spans
        .iter()
        .find(|span| span.name == "db.write" && span.links.contains(&wait.id))
        .unwrap_or_else(|| panic!("no write refers to the scan: {spans:?}"));
    assert_eq!(write.attributes["scans"], "1");
    let below: BTreeSet<_> = spans
        .iter()
        .filter(|span| span.parent == write.id)
        .map(|span| &*span.name)
        .collect();
    assert!(
        below.contains("db.admit_first") || below.contains("db.decide"),
        "{below:?}"
    );
}

#[tokio::test]
async fn a_trace_without_the_sampled_flag_is_not_exported_and_others_begin_here() {
    let traced = Traced::start_at("/v1/traces").await;
    let device = traced.device();
    let unsampled = device.with_header("traceparent", &format!("00-{TRACE}-{CALLER}-00"));
    unsampled.get("/api/v1/scanning/device").await.expect(200);
    // A header that is none is ignored.
    let malformed = device.with_header("traceparent", "00-nothing-01");
    malformed.get("/api/v1/scanning/device").await.expect(200);
    let spans = spans_with(&traced.collector, |span| {
        span.name == "GET /api/v1/scanning/device"
    })
    .await;
    assert!(spans.iter().all(|span| span.trace != TRACE), "{spans:?}");
    let request = spans
        .iter()
        .find(|span| span.name == "GET /api/v1/scanning/device");
    assert_eq!(request.expect("found").parent, "");
}

#[tokio::test]
async fn no_span_contains_a_code_a_token_or_a_name() {
    let traced = Traced::start().await;
    let (device, owner, qr) = (traced.device(), traced.owner(), &traced.qr[0]);
    let tenant = &traced.stopped.tenant;
    let code = &tenant.codes[0];
    for _ in 0..2 {
        device
            .scan(&json!({ "qr": qr, "scan_id": new_id() }))
            .await
            .expect(200);
    }
    let ticket = format!("/api/v1/events/{}/tickets/{code}", tenant.event);
    owner.get(&ticket).await;
    owner
        .get(&format!("/api/v1/events/{}/tickets?search={code}", tenant.event))
        .await;
    let last = |span: &SeenSpan| span.name.starts_with("GET ");
    spans_with(&traced.collector, last).await;
    let sent: Vec<u8> = traced
        .collector
        .received()
        .iter()
        .flat_map(|request| request.body.clone())
        .collect();
    for secret in [code, qr, device.token(), owner.token()] {
        let found = sent.windows(secret.len()).any(|part| part == secret.as_bytes());
        assert!(!found, "{secret} was exported");
    }
}

#[tokio::test]
async fn a_collector_that_is_away_fails_no_request_and_the_server_ends() {
    let endpoint = format!("http://127.0.0.1:{}", free_port());
    let (mut server, stopped, payloads) = program(&endpoint).await;
    let device = stopped.tenant.device.at(server.address());
    for qr in payloads {
        let body = json!({ "qr": qr, "scan_id": new_id() });
        assert_eq!(device.scan(&body).await.expect(200).json()["reason"], "admitted");
    }
    server.signal("TERM");
    assert!(server.wait().await.success());
}

#[tokio::test]
async fn the_spans_of_the_last_requests_are_sent_before_the_server_ends() {
    let mut traced = Traced::start().await;
    traced.device().get("/api/v1/scanning/device").await.expect(200);
    traced.server.signal("TERM");
    assert!(traced.server.wait().await.success());
    let spans = spans_of(&traced.collector.received());
    assert!(
        spans
            .iter()
            .any(|span| span.name == "GET /api/v1/scanning/device"),
        "{spans:?}"
    );
}

#[tokio::test]
async fn a_delivery_continues_in_the_receiver() {
    let traced = Traced::start().await;
    let receiver = WebhookReceiver::start(|_| Reply::head("204 No Content")).await;
    let owner = traced.owner();
    let body = json!({ "url": receiver.url(), "types": ["scan.*"] });
    let created = owner.post("/api/v1/webhooks", &body).await.expect(201).json();
    let path = format!("/api/v1/webhooks/{}/test", created["id"].as_str().expect("an id"));
    owner.call("POST", &path).await.expect(202);
    let delivery = receiver.wait_for(1).await.remove(0);
    let traceparent = delivery.header("traceparent").to_owned();
    let spans = spans_with(&traced.collector, |span| span.name == "webhook.deliver").await;
    let span = spans
        .iter()
        .find(|span| span.name == "webhook.deliver")
        .expect("found");
    assert_eq!(traceparent, format!("00-{}-{}-01", span.trace, span.id));
    assert_eq!(span.attributes["delivery"], delivery.header("webhook-id"));
}

#[tokio::test]
async fn without_a_collector_no_header_comes_back() {
    let fixture = Fixture::new().await;
    let traced = fixture
        .tenant
        .device
        .with_header("traceparent", &format!("00-{TRACE}-{CALLER}-01"));
    let answer = traced.get("/api/v1/scanning/device").await.expect(200);
    assert_eq!(answer.header("traceparent"), None);
}

#[tokio::test]
async fn an_endpoint_that_is_no_url_is_refused() {
    let error = Launch::new("sqlite::memory:")
        .with(["--otlp-endpoint", "collector:4318"])
        .fail();
    assert!(
        error.contains("--otlp-endpoint") && error.contains("http://127.0.0.1:4318"),
        "{error}"
    );
}
