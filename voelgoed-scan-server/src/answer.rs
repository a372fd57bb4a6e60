//! How is a request answered? Each check in the order of the contract, then the endpoint; and whatever happens, an
//! answer with a request id and one line in the log.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use hyper::body::{Body as _, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use hyper::{Method, Request, Response, StatusCode};
use tokio::time::timeout;

use voelgoed_scan_core::model::random;

use crate::auth::{Caller, Credential};
use crate::call::{Call, PathValues, Visit};
use crate::clock;
use crate::intake::{self, Hangup, Whole};
use crate::measure::{self, Measures};
use crate::node::Node;
use crate::problem::{Code, Problem};
use crate::reply::Body;
use crate::route::{Entrance, Route, Stop, Taken, Takes};

/// How long the database may take to say who calls, and what was asked for: one that says nothing at all is told of
/// within two seconds.
const PATIENCE: Duration = Duration::from_millis(1800);

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What the log tells of a request, gathered on its way.
#[derive(Default)]
struct Trace {
    route: Option<&'static str>,
    caller: Option<Caller>,
}

/// Answers a request; an error closes the connection without an answer.
pub(crate) async fn answer(
    node: Arc<Node>,
    peer: IpAddr,
    request: Request<Incoming>,
) -> Result<Response<Body>, Hangup> {
    let started = clock::stopwatch();
    let (mut parts, body) = request.into_parts();
    name_host(&mut parts);
    let mut body = Some(body);
    let request_id = request_id(&parts.headers);
    let method = parts.method.clone();
    // Whoever waits for `100 Continue` has not sent a body that would have to be read away.
    let waits = parts.headers.contains_key(header::EXPECT);
    let mut trace = Trace::default();
    let outcome = AssertUnwindSafe(serve(&node, peer, parts, &mut body, &mut trace))
        .catch_unwind()
        .await
        .unwrap_or_else(|_| Err(Problem::from(Code::Internal).into()));
    let mut response = match outcome {
        Ok(response) => response,
        Err(Stop::Hangup) => {
            let request_id = text(&request_id);
            tracing::debug!(%method, route = trace.route, request_id, "request broke off");
            return Err(Hangup);
        }
        Err(Stop::Problem(problem)) => problem.into_response(text(&request_id)),
    };
    if let Some(body) = body.as_mut().filter(|_| !waits) {
        intake::discard(body).await;
    }
    let id = text(&request_id);
    tell(&node.measures, &trace, &method, response.status(), id, started);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_REQUEST_ID, request_id);
    Ok(response)
}

/// HTTP/2 names the host in the address, HTTP/1.1 in a header: the header it is from here on.
fn name_host(parts: &mut Parts) {
    let named = parts.uri.authority().map(Authority::as_str);
    if let Some(host) = named.and_then(|host| HeaderValue::from_str(host).ok()) {
        parts.headers.insert(header::HOST, host);
    }
}

fn tell(
    measures: &Measures,
    trace: &Trace,
    method: &Method,
    status: StatusCode,
    request_id: &str,
    started: Instant,
) {
    let elapsed = started.elapsed();
    let route = trace.route.unwrap_or("none");
    measures.answered(method, route, status, elapsed);
    let (organization, device) = match &trace.caller {
        Some(Caller::Device(authenticated)) => (
            Some(authenticated.device.organization_id),
            Some(authenticated.device.id),
        ),
        Some(Caller::Member(key)) => (Some(key.organization_id), None),
        None => (None, None),
    };
    tracing::info!(
        %method,
        route,
        status = status.as_u16(),
        ms = measure::millis(elapsed),
        request_id,
        organization = organization.map(tracing::field::display),
        device = device.map(tracing::field::display),
        "request"
    );
}

/// The caller's own request id, where it is one; else a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let own = headers.get(&X_REQUEST_ID).filter(|id| {
        let id = id.as_bytes();
        (1..=64).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
    });
    own.cloned().unwrap_or_else(new_request_id)
}

fn new_request_id() -> HeaderValue {
    let mut bytes = [0; 16];
    random::fill_buffered(&mut bytes);
    let id = uuid::Builder::from_random_bytes(bytes).into_uuid();
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    HeaderValue::from_str(id.hyphenated().encode_lower(&mut text)).unwrap_or(HeaderValue::from_static("none"))
}

/// A request id as text: all of it is visible ASCII.
fn text(request_id: &HeaderValue) -> &str {
    request_id.to_str().unwrap_or_default()
}

async fn serve(
    node: &Arc<Node>,
    peer: IpAddr,
    parts: Parts,
    body: &mut Option<Incoming>,
    trace: &mut Trace,
) -> Result<Response<Body>, Stop> {
    let Parts {
        method, uri, headers, ..
    } = parts;
    let (route, path) = node.routes.find(&method, uri.path())?;
    trace.route = Some(route.path);
    match &route.entrance {
        Entrance::Open(endpoint) => endpoint(Arc::clone(node)).await,
        Entrance::Visitor(receive) => {
            node.tries.take(peer).map_err(|wait| {
                node.measures.limited();
                Problem::rate_limited(wait)
            })?;
            let body = take(route.takes, &headers, body).await?;
            receive(Visit {
                node: Arc::clone(node),
                now: node.clock.now(),
                body,
            })
            .await
        }
        Entrance::Guarded(_, run) => {
            let done = run(
                receive(node, route, path, headers, body, trace).await?,
                uri.query(),
            );
            if method == Method::GET && !route.takes_its_time {
                within_patience(done).await
            } else {
                done.await
            }
        }
    }
}

/// What only reads ends when the database says nothing. What it asked stays with a connection of its own, which the pool
/// takes back once it is alive.
async fn within_patience<T, E: From<Code>>(reads: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    timeout(PATIENCE, reads).await.unwrap_or_else(|_| {
        tracing::warn!("the database did not answer in time");
        Err(Code::StorageUnavailable.into())
    })
}

/// Everything that is checked without knowing what the call says.
async fn receive(
    node: &Arc<Node>,
    route: &Route,
    path: PathValues,
    headers: HeaderMap,
    body: &mut Option<Incoming>,
    trace: &mut Trace,
) -> Result<Call<Taken>, Stop> {
    let credential = Credential::read(&headers)?;
    let inactive_too =
        matches!(&route.entrance, Entrance::Guarded(permission, _) if permission.is_for_inactive());
    let caller = if let Some(caller) = credential.remembered(&node.scanner) {
        caller
    } else {
        let caller = credential.caller(&node.scanner, &node.admin, inactive_too);
        Box::pin(within_patience(caller)).await?
    };
    trace.caller = Some(caller.clone());
    if let Caller::Device(authenticated) = &caller {
        node.limit.take(&authenticated.device).map_err(|wait| {
            node.measures.limited();
            Problem::rate_limited(wait)
        })?;
    }
    let taken = take(route.takes, &headers, body).await?;
    Ok(Call {
        node: Arc::clone(node),
        caller,
        credential,
        path,
        headers,
        now: node.clock.now(),
        query: crate::query::NoQuery {},
        body: taken,
    })
}

/// The body of a call that takes one; of another it is left where it is.
async fn take(takes: Takes, headers: &HeaderMap, place: &mut Option<Incoming>) -> Result<Taken, Stop> {
    let nothing = Taken::Whole(Bytes::new());
    let Some(body) = place.as_mut() else {
        return Ok(nothing);
    };
    match takes {
        Takes::Nothing => Ok(nothing),
        Takes::Json(_, most) => {
            check_media_type(headers, body, "application/json")?;
            match intake::whole(body, most).await? {
                Whole::Bytes(bytes) => Ok(Taken::Whole(bytes)),
                Whole::TooLarge => Err(Code::BodyTooLarge.into()),
            }
        }
        Takes::Lines(_) => {
            check_media_type(headers, body, "application/x-ndjson")?;
            Ok(place.take().map_or(nothing, Taken::Stream))
        }
    }
}

/// A body has to say that it is what the call takes; no body has to say nothing.
fn check_media_type(headers: &HeaderMap, body: &Incoming, due: &str) -> Result<(), Problem> {
    let given = headers.get(header::CONTENT_TYPE);
    let fits = match given {
        Some(value) => value
            .to_str()
            .is_ok_and(|text| essence(text).eq_ignore_ascii_case(due)),
        None => body.is_end_stream(),
    };
    if fits {
        Ok(())
    } else {
        Err(Code::UnsupportedMediaType.into())
    }
}

/// A media type without its parameters.
fn essence(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or_default().trim()
}

/// Whether the header `Accept` names a media type; a wildcard does not.
pub(crate) fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|one| essence(one).eq_ignore_ascii_case(media_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_for(value: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(X_REQUEST_ID, HeaderValue::from_str(value).expect("a header"));
        text(&request_id(&headers)).to_owned()
    }

    #[test]
    fn a_request_id_of_at_most_64_visible_characters_is_kept() {
        for kept in ["1", "abc-DEF/~!", &"x".repeat(64)] {
            assert_eq!(id_for(kept), kept);
        }
        for replaced in ["", "a b", "a\tb", &"x".repeat(65)] {
            let id = id_for(replaced);
            assert_ne!(id, replaced);
            assert_eq!(id.len(), 36, "{replaced:?}");
        }
    }

    #[test]
    fn a_media_type_is_compared_without_its_parameters() {
        assert_eq!(essence("application/json; charset=utf-8"), "application/json");
        let mut headers = HeaderMap::new();
        headers.insert(
            header::ACCEPT,
            HeaderValue::from_static("text/html, application/x-ndjson;q=0.5"),
        );
        assert!(accepts(&headers, "application/x-ndjson"));
        assert!(!accepts(&headers, "application/json"));
    }
}
