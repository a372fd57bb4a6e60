//! The request pipeline: it runs the checks in the order that `docs/http-api.md` states, then the handler.
//!
//! Invariants: every response carries a request id and is logged and counted once, also after a panic; only a client
//! that broke off gets no response.

use std::future::ready;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode, Version};
use tokio::time::timeout;
use tracing::{Instrument as _, Span};
use voelgoed_scan_core::SPAN_TARGET;
use voelgoed_scan_core::model::{AuditActorKind, AuditContext, DeviceStatus};

use crate::app_version;
use crate::auth::{Caller, Credential};
use crate::body::{self, BodyMemory, ClientGone, MAX_BODY_BYTES, ReadOutcome};
use crate::clock;
use crate::head::{X_REQUEST_ID, as_text, check_media_type, has_valid_host, request_id, set_host_header};
use crate::metrics::{self, Metrics};
use crate::problem::{Code, Problem};
use crate::query::NoQuery;
use crate::request::{AnonymousRequest, PathValues, Request};
use crate::response::{self, ResponseBody};
use crate::route::{Access, BodyKind, HandlerFuture, HandlerResult, RawBody, RequestError, Route};
use crate::state::ServerState;
use crate::traces::{self, TRACEPARENT};

/// The time limit for database reads, those of authentication and those of GET handlers. It is a little less than the
/// two seconds within which a client learns that the database does not respond.
const READ_TIMEOUT: Duration = Duration::from_millis(1800);

/// How long a device waits that has a request under way where it may have one.
const BUSY_DEVICE_RETRY: Duration = Duration::from_secs(1);

/// Fields of the log line that are known only after a step of the pipeline.
#[derive(Default)]
struct LogFields {
    route: Option<&'static str>,
    caller: Option<Caller>,
}

/// A response under way. It is boxed because its callers cannot prove that the unboxed future is `Send`.
pub(crate) type Responding = Pin<Box<dyn Future<Output = Result<Response<ResponseBody>, ClientGone>> + Send>>;

/// Handles a request. An error closes the connection without a response.
pub(crate) fn handle(state: Arc<ServerState>, peer: IpAddr, request: hyper::Request<Incoming>) -> Responding {
    let span = traces::request_span(request.method(), request.headers());
    Box::pin(respond(state, peer, request, span.clone()).instrument(span))
}

async fn respond(
    state: Arc<ServerState>,
    peer: IpAddr,
    request: hyper::Request<Incoming>,
    span: Span,
) -> Result<Response<ResponseBody>, ClientGone> {
    let started = clock::stopwatch();
    let (mut parts, body) = request.into_parts();
    let version = parts.version;
    let has_valid_host = has_valid_host(&parts);
    set_host_header(&mut parts);
    let mut body = Some(body);
    let request_id = request_id(&parts.headers);
    let method = parts.method.clone();
    // A client that waits for `100 Continue` has not sent the body yet.
    let expects_continue = parts.headers.contains_key(header::EXPECT);
    let mut fields = LogFields::default();
    let cors = state.cors.for_request(&method, &parts.headers);
    let path_headers = cors.as_ref().and_then(|_| state.router.cors(parts.uri.path()));
    let outcome = if has_valid_host {
        AssertUnwindSafe(dispatch(&state, peer, parts, &mut body, &request_id, &mut fields))
            .catch_unwind()
            .await
            .unwrap_or_else(|_| Err(Problem::from(Code::Internal).into()))
    } else {
        Err(Problem::from(Code::BadRequest).into())
    };
    let mut response = match outcome {
        Ok(response) => response,
        Err(RequestError::ClientGone) => {
            let request_id = as_text(&request_id);
            tracing::debug!(%method, route = fields.route, request_id, "request broke off");
            return Err(ClientGone);
        }
        Err(RequestError::Problem(problem)) => problem.into_response(as_text(&request_id)),
    };
    if let Some(body) = body.as_mut().filter(|_| !expects_continue) {
        body::discard(body).await;
    }
    let id = as_text(&request_id);
    record(
        &state.metrics,
        &fields,
        &method,
        response.status(),
        id,
        started,
        &span,
    );
    let headers = response.headers_mut();
    if let Some(traceparent) = traces::traceparent(&span) {
        headers.insert(TRACEPARENT, traceparent);
    }
    if let Some(cors) = cors {
        cors.add_to(headers, path_headers);
    }
    // Only the files of the program say otherwise.
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    headers.insert(X_REQUEST_ID, request_id);
    // HTTP/2 has GOAWAY instead.
    if state.drain.has_begun() && version < Version::HTTP_2 {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(if method == Method::HEAD {
        response::without_body(response)
    } else {
        response
    })
}

/// Counts and logs a response.
fn record(
    metrics: &Metrics,
    fields: &LogFields,
    method: &Method,
    status: StatusCode,
    request_id: &str,
    started: Instant,
    span: &Span,
) {
    let elapsed = started.elapsed();
    let route = fields.route.unwrap_or("none");
    metrics.record_request(method, route, status, elapsed);
    traces::end_request(span, method, route, status);
    let (organization, device, actor) = match &fields.caller {
        Some(Caller::Device(authenticated)) => (
            Some(authenticated.device.organization_id),
            Some(authenticated.device.id),
            Some((AuditActorKind::Device, *authenticated.device.id.as_uuid())),
        ),
        Some(Caller::Member(key)) => (
            Some(key.organization_id),
            None,
            Some((AuditActorKind::ApiKey, *key.id.as_uuid())),
        ),
        None => (None, None, None),
    };
    if !span.is_disabled() {
        span.record("request_id", request_id);
        span.record("organization", organization.map(tracing::field::display));
        span.record("device", device.map(tracing::field::display));
    }
    tracing::info!(
        %method,
        route,
        status = status.as_u16(),
        ms = metrics::as_millis(elapsed),
        request_id,
        organization = organization.map(tracing::field::display),
        device = device.map(tracing::field::display),
        actor = actor.map(|(kind, id)| tracing::field::display(format!("{kind}:{id}"))),
        "request"
    );
}

async fn dispatch(
    state: &Arc<ServerState>,
    peer: IpAddr,
    parts: Parts,
    body: &mut Option<Incoming>,
    request_id: &HeaderValue,
    fields: &mut LogFields,
) -> Result<Response<ResponseBody>, RequestError> {
    let Parts {
        method,
        uri,
        mut headers,
        ..
    } = parts;
    if method == Method::HEAD {
        // Only a GET has ranges (RFC 9110, 14.2).
        headers.remove(header::RANGE);
    }
    if state.cors.is_preflight(&method, &headers) {
        state.router.cors(uri.path()).ok_or(Code::NotFound)?;
        return Ok(response::no_content());
    }
    let (route, path) = state.router.find(&method, uri.path())?;
    fields.route = Some(route.path);
    match &route.access {
        Access::Public(handler) => handler(Arc::clone(state), &headers, &path).await,
        Access::Anonymous(handler) => {
            let address = state.trusted_proxies.client(peer, &headers);
            let begun = state.address_limit.begin(address, clock::stopwatch()).await;
            // Released while the body arrives, so that a slow client holds up no other of its address.
            drop(check_rate(state, begun)?);
            let body = read_body(state, None, route.body, &headers, body).await;
            let begun = state.address_limit.begin(address, clock::stopwatch()).await;
            let attempt = check_rate(state, begun)?;
            let response: HandlerFuture = match body {
                Ok((body, _)) => handler(AnonymousRequest {
                    state: Arc::clone(state),
                    audit_context: AuditContext {
                        address: Some(address),
                        request_id: Some(as_text(request_id).to_owned()),
                        ..AuditContext::system()
                    },
                    now: state.clock.now(),
                    body,
                }),
                Err(error) => Box::pin(ready(Err(error))),
            };
            // The attempt counts even if its client does not wait for the response.
            let counted = async move {
                let outcome = response.await;
                if is_fault_of_client(&outcome) {
                    attempt.failed(clock::stopwatch());
                }
                outcome
            };
            let (operation, request_id) = (route.operation_id, as_text(request_id));
            state.changes.complete(operation, request_id, counted).await
        }
        Access::Authenticated(_, handler) => {
            let call = Call {
                path,
                headers,
                peer,
                request_id: request_id.clone(),
            };
            let span = tracing::trace_span!(target: SPAN_TARGET, "authenticate");
            let request = authenticate(state, route, call, body, fields)
                .instrument(span)
                .await?;
            let response = handler(request, uri.query());
            let (operation, request_id) = (route.operation_id, as_text(request_id));
            if route.method != Method::GET {
                state.changes.complete(operation, request_id, response).await
            } else if route.has_read_timeout {
                // Whoever gives a read up keeps its shares until its connections to the database are free again.
                with_read_timeout(state.reads.complete(operation, request_id, response)).await
            } else {
                response.await
            }
        }
    }
}

fn check_rate<T>(state: &ServerState, allowed: Result<T, Duration>) -> Result<T, Problem> {
    allowed.map_err(|wait| {
        state.metrics.count_rate_limited();
        Problem::rate_limited(wait)
    })
}

/// Whether an attempt failed because of what the client sent, rather than of the server.
fn is_fault_of_client(outcome: &HandlerResult) -> bool {
    match outcome {
        Ok(response) => response.status().is_client_error(),
        Err(RequestError::Problem(problem)) => problem.is_fault_of_client(),
        Err(RequestError::ClientGone) => false,
    }
}

/// Stops waiting for a read after [`READ_TIMEOUT`].
async fn with_read_timeout<T, E: From<Code>>(read: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    timeout(READ_TIMEOUT, read).await.unwrap_or_else(|_| {
        tracing::warn!("the database did not answer in time");
        Err(Code::StorageUnavailable.into())
    })
}

/// What the pipeline knows of a request before its caller.
struct Call {
    path: PathValues,
    headers: HeaderMap,
    peer: IpAddr,
    request_id: HeaderValue,
}

/// Runs the checks that need no parsed body: credential, rate, media type and size.
async fn authenticate(
    state: &Arc<ServerState>,
    route: &Route,
    call: Call,
    body: &mut Option<Incoming>,
    fields: &mut LogFields,
) -> Result<Request<RawBody>, RequestError> {
    let Call {
        path,
        headers,
        peer,
        request_id,
    } = call;
    let credential = Credential::read(&headers)?;
    let allow_revoked = matches!(
        &route.access,
        Access::Authenticated(permission, _) if permission.admits_revoked_devices()
    );
    let caller = if let Some(caller) = credential.cached_caller(&state.scanner) {
        caller
    } else {
        let caller = credential.caller(&state.scanner, &state.admin, allow_revoked);
        Box::pin(with_read_timeout(caller)).await?
    };
    fields.caller = Some(caller.clone());
    if let Caller::Device(authenticated) = &caller {
        state.last_seen.note(&authenticated.device, state.clock.now());
        check_rate(state, state.device_limit.check(&authenticated.device))?;
        if !allow_revoked {
            app_version::check(state.min_app_version.as_ref(), &headers)?;
        }
    }
    let turn = match &caller {
        Caller::Device(authenticated) if route.one_per_device => {
            let turn = state.device_turns.begin(&authenticated.device);
            check_rate(state, turn.as_ref().map(|_| ()).ok_or(BUSY_DEVICE_RETRY))?;
            turn
        }
        _ => None,
    };
    let (body, memory) = read_body(state, Some(&caller), route.body, &headers, body).await?;
    let share = match (&caller, &body) {
        (Caller::Member(key), RawBody::Full(_)) => {
            Some(check_rate(state, state.member_shares.begin(key).await)?)
        }
        _ => None,
    };
    Ok(Request {
        state: Arc::clone(state),
        caller,
        credential,
        path,
        headers,
        peer,
        request_id,
        now: state.clock.now(),
        turn,
        share,
        memory,
        query: NoQuery {},
        body,
    })
}

/// The kind of body that a caller may send. Only an active device may send a large one.
fn body_for(kind: BodyKind, caller: Option<&Caller>) -> BodyKind {
    match (kind, caller) {
        (BodyKind::Json(..), Some(Caller::Device(authenticated)))
            if authenticated.device.status == DeviceStatus::Active =>
        {
            kind
        }
        (BodyKind::Json(schema, limit), _) => BodyKind::Json(schema, limit.min(MAX_BODY_BYTES)),
        _ => kind,
    }
}

/// Reads the body that the route takes, and returns it with the memory that it takes. A body that the route does not take
/// stays in `slot`.
async fn read_body(
    state: &ServerState,
    caller: Option<&Caller>,
    kind: BodyKind,
    headers: &HeaderMap,
    slot: &mut Option<Incoming>,
) -> Result<(RawBody, Option<BodyMemory>), RequestError> {
    let empty = RawBody::Full(Bytes::new());
    let Some(body) = slot.as_mut() else {
        return Ok((empty, None));
    };
    match body_for(kind, caller) {
        BodyKind::Empty => Ok((empty, None)),
        BodyKind::Json(_, limit) => {
            check_media_type(headers, body, "application/json")?;
            let organization = caller.map(Caller::organization);
            match state.body_reader.read_all(organization, body, limit).await? {
                ReadOutcome::Complete(bytes, memory) => Ok((RawBody::Full(bytes), memory)),
                ReadOutcome::TooLarge => Err(Code::BodyTooLarge.into()),
                ReadOutcome::NoMemory => Err(Code::Overloaded.into()),
            }
        }
        BodyKind::Lines(_) => {
            check_media_type(headers, body, "application/x-ndjson")?;
            let stream = slot
                .take()
                .map(|body| RawBody::Stream(state.body_reader.stream(body)));
            Ok((stream.unwrap_or(empty), None))
        }
    }
}
