//! Traces: the spans of requests, of the steps of a scan and of deliveries, for a collector that takes OTLP over HTTP.
//!
//! Invariants:
//! - Without a collector no subscriber takes the spans. Each costs a check.
//! - The export holds up no request and fails none. Spans wait in a queue of a fixed size; those beyond it are dropped, and so
//!   are those that the collector does not take.
//! - A trace of a caller (`traceparent`, W3C Trace Context) goes on here, if the caller records it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{
    ExporterBuildError, Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider};
use tokio::runtime::Handle;
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::{OpenTelemetryLayer, OpenTelemetrySpanExt as _};
use tracing_subscriber::registry::LookupSpan;
use voelgoed_scan_core::SPAN_TARGET;

/// The path of the collector that takes spans.
const PATH: &str = "/v1/traces";

/// How many spans wait for the export.
const MAX_QUEUED_SPANS: usize = 16_384;

/// How many spans one request to the collector has.
const MAX_BATCH: usize = 512;

/// How long spans wait for more.
const EXPORT_INTERVAL: Duration = Duration::from_secs(1);

/// How long the collector may take for a request, and a process that ends for its last spans.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(3);

/// How much of an answer of the collector is read.
const MAX_ANSWER: usize = 64 * 1024;

/// The header of W3C Trace Context.
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The address of a collector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtlpEndpoint(String);

/// The text is not the address of a collector.
#[derive(Debug, thiserror::Error)]
#[error("it is not the URL of a collector such as http://127.0.0.1:4318")]
pub struct InvalidEndpoint;

impl FromStr for OtlpEndpoint {
    type Err = InvalidEndpoint;

    /// Reads the base URL of a collector, or the URL that takes its spans, which ends with `/v1/traces`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uri: Uri = text.parse().map_err(|_| InvalidEndpoint)?;
        let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
        if !is_http || uri.host().is_none_or(str::is_empty) || uri.query().is_some() {
            return Err(InvalidEndpoint);
        }
        let base = text.trim_end_matches('/');
        Ok(Self(if base.ends_with(PATH) {
            base.to_owned()
        } else {
            format!("{base}{PATH}")
        }))
    }
}

/// The export of spans. When it is dropped, it sends those that wait, within a few seconds.
#[must_use = "the export stops when it is dropped"]
pub struct Traces {
    provider: SdkTracerProvider,
}

impl fmt::Debug for Traces {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Traces").finish_non_exhaustive()
    }
}

impl Traces {
    /// Starts the export to a collector. `runtime` runs the requests to it.
    pub fn start(endpoint: &OtlpEndpoint, runtime: Handle) -> Result<Self, ExporterBuildError> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(CollectorClient::new(runtime))
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(EXPORT_TIMEOUT)
            .with_endpoint(&endpoint.0)
            .build()?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(MAX_QUEUED_SPANS)
            .with_max_export_batch_size(MAX_BATCH)
            .with_scheduled_delay(EXPORT_INTERVAL)
            .build();
        let processor = BatchSpanProcessor::builder(exporter)
            .with_batch_config(batches)
            .build();
        let resource = Resource::builder_empty()
            .with_service_name("voelgoed-scan")
            .with_attribute(opentelemetry::KeyValue::new(
                "service.version",
                env!("CARGO_PKG_VERSION"),
            ))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_resource(resource)
            // A caller says whether its trace is recorded.
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)))
            .build();
        Ok(Self { provider })
    }

    /// The layer of a subscriber that takes the spans.
    pub(crate) fn layer<S>(&self) -> OpenTelemetryLayer<S, opentelemetry_sdk::trace::SdkTracer>
    where
        S: tracing::Subscriber + for<'span> LookupSpan<'span>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("voelgoed-scan"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        // The spans that the collector does not take now are lost, as at any other time.
        let _ = self.provider.shutdown_with_timeout(EXPORT_TIMEOUT);
    }
}

/// Calls the collector on the server's runtime. The exporter itself has a thread without one.
#[derive(Debug)]
struct CollectorClient {
    runtime: Handle,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl CollectorClient {
    fn new(runtime: Handle) -> Self {
        let connector = HttpsConnectorBuilder::new()
            .with_webpki_roots()
            .https_or_http()
            .enable_http1()
            .build();
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .build(connector);
        Self { runtime, client }
    }
}

#[async_trait::async_trait]
impl HttpClient for CollectorClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let call = async move {
            let response = client.request(request.map(Full::new)).await?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await?.to_bytes();
            Ok::<_, HttpError>(Response::from_parts(head, body))
        };
        let bounded = self.runtime.spawn(tokio::time::timeout(EXPORT_TIMEOUT, call));
        bounded.await??
    }
}

/// The span of a request. It has no path, because paths contain ticket codes.
pub(crate) fn request_span(method: &Method, headers: &HeaderMap) -> Span {
    let span = tracing::trace_span!(
        target: SPAN_TARGET,
        "request",
        otel.kind = "server",
        otel.name = Empty,
        otel.status_code = Empty,
        http.request.method = method.as_str(),
        http.route = Empty,
        http.response.status_code = Empty,
        request_id = Empty,
        organization = Empty,
        device = Empty,
    );
    if !span.is_disabled() && headers.contains_key(TRACEPARENT) {
        let parent = TraceContextPropagator::new().extract(&HeaderFields(headers));
        // Fails only without a collector.
        let _ = span.set_parent(parent);
    }
    span
}

/// Notes what is known of a request at its end.
pub(crate) fn end_request(span: &Span, method: &Method, route: &'static str, status: StatusCode) {
    if span.is_disabled() {
        return;
    }
    span.record("otel.name", format!("{method} {route}"));
    span.record("http.route", route);
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
}

/// The value of `traceparent` that continues a span. `None` if the span is not exported.
pub(crate) fn traceparent(span: &Span) -> Option<HeaderValue> {
    if span.is_disabled() {
        return None;
    }
    let context = span.context();
    let span = context.span();
    let context = span.span_context();
    if !context.is_valid() {
        return None;
    }
    let flags = context.trace_flags().to_u8();
    let text = format!("00-{}-{}-{flags:02x}", context.trace_id(), context.span_id());
    HeaderValue::try_from(text).ok()
}

/// The headers of a request, as the propagator reads them.
struct HeaderFields<'a>(&'a HeaderMap);

impl Extractor for HeaderFields<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::OtlpEndpoint;

    #[test]
    fn an_endpoint_is_the_base_url_of_a_collector_or_the_url_of_its_traces() {
        let address = |text: &str| text.parse::<OtlpEndpoint>().map(|endpoint| endpoint.0).ok();
        for text in [
            "http://collector:4318",
            "http://collector:4318/",
            "http://collector:4318/v1/traces",
        ] {
            assert_eq!(address(text).as_deref(), Some("http://collector:4318/v1/traces"));
        }
        let below = "https://collector.example.org/otlp/v1/traces";
        assert_eq!(
            address("https://collector.example.org/otlp").as_deref(),
            Some(below)
        );
        for text in [
            "",
            "collector:4318",
            "grpc://collector:4317",
            "http://",
            "http://a/?b=c",
        ] {
            assert_eq!(address(text), None, "{text}");
        }
    }
}
