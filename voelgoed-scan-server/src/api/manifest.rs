//! The manifest of an event, by which phones decide offline.

use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, ETAG, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH, VARY,
};
use hyper::{Response, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;
use voelgoed_scan_core::manifest::MANIFEST_MEDIA_TYPE;
use voelgoed_scan_core::node::{ManifestFailure, ManifestResponse, Precondition, SignedManifest};

use crate::auth::Permission;
use crate::problem::{Code, Problem};
use crate::query::Query;
use crate::request::Request;
use crate::resource::Resource;
use crate::response::{self, ResponseBody};
use crate::route::{HandlerResult, Route};

/// The minimum size for compression, in bytes. A smaller delta is mostly signature and hashes.
const MIN_COMPRESSED_BYTES: usize = 1024;

/// The version that the client has.
#[derive(Debug, Deserialize, JsonSchema)]
struct ManifestParams {
    /// The version that the phone has. The response may then be a delta to it.
    #[serde(default)]
    since: Option<u64>,
}

impl Query for ManifestParams {}

/// `GET /api/v1/scanning/events/{id}/manifest`
pub(crate) fn show() -> Route {
    Route::get(
        "/api/v1/scanning/events/{id}/manifest",
        "showManifest",
        "Returns the signed manifest of an event, by which phones decide offline. With `since` it returns the changes \
         after that version, if the server knows them. docs/manifest.md describes the format.",
    )
    .query::<ManifestParams>()
    .without_read_timeout()
    .responds_with(
        "The manifest, or a delta to the version in `since`.",
        vec![(MANIFEST_MEDIA_TYPE, None)],
    )
    .responds_not_modified("The version in If-None-Match is the newest.")
    .problems(&[Code::Conflict])
    .resource(|request| Ok(Resource::Event(request.event_id()?)))
    .authenticated(Permission::Device, run_show)
}

async fn run_show(request: Request<(), ManifestParams>) -> HandlerResult {
    let precondition = Precondition {
        delta_base: request.query.since,
        none_match: version_of_if_none_match(&request.headers),
    };
    let manifest = request
        .admin()
        .manifest(
            request.organization(),
            request.event_id()?,
            precondition,
            request.now,
        )
        .await
        .map_err(|failure| match failure {
            ManifestFailure::Store(error) => Problem::storage(&error),
            ManifestFailure::TooLarge(_) => {
                Problem::conflict("the event has more classes, gates or tickets than a manifest has room for")
            }
        })?;
    match manifest.ok_or(Code::NotFound)? {
        ManifestResponse::NotModified(version) => {
            Ok(with_etag(response::empty(StatusCode::NOT_MODIFIED), version))
        }
        ManifestResponse::Manifest(issue) => respond(issue, accepts_gzip(&request.headers)).await,
    }
}

async fn respond(issue: Arc<SignedManifest>, accepts_gzip: bool) -> HandlerResult {
    let version = issue.version;
    let compressed = accepts_gzip && issue.bytes.len() >= MIN_COMPRESSED_BYTES;
    if compressed && issue.compressed.get().is_none() {
        let issue = Arc::clone(&issue);
        // The first request compresses; concurrent ones wait for its result.
        let done = tokio::task::spawn_blocking(move || {
            issue.compressed.get_or_init(|| compress(&issue.bytes));
        });
        done.await.map_err(|_| Code::Internal)?;
    }
    let bytes = Bytes::from_owner(SharedManifest { issue, compressed });
    let mut response = with_etag(
        response::full(StatusCode::OK, MANIFEST_MEDIA_TYPE, bytes),
        version,
    );
    if compressed {
        response
            .headers_mut()
            .insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}

/// The bytes of a manifest. All responses share the same memory.
struct SharedManifest {
    issue: Arc<SignedManifest>,
    compressed: bool,
}

impl AsRef<[u8]> for SharedManifest {
    fn as_ref(&self) -> &[u8] {
        match self.issue.compressed.get() {
            Some(compressed) if self.compressed => compressed,
            _ => &self.issue.bytes,
        }
    }
}

/// Compresses a manifest. Hashes do not compress and the rest compresses well at any level, so that the fastest level
/// gives the same size as the best one.
#[expect(clippy::expect_used, reason = "writing to memory does not fail")]
fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::with_capacity(bytes.len() / 2), Compression::fast());
    gzip.write_all(bytes)
        .and_then(|()| gzip.finish())
        .expect("writing to memory does not fail")
}

/// Adds the `ETag` that phones return as `If-None-Match`. It is weak: the same version may be rendered again with another
/// time.
fn with_etag(mut response: Response<ResponseBody>, version: u64) -> Response<ResponseBody> {
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::try_from(format!("W/\"{version}\"")) {
        headers.insert(ETAG, tag);
    }
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    response
}

/// The items of a header that contains a list.
fn list_items<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .map(str::trim)
}

/// The newest version in `If-None-Match`, which the client has already.
fn version_of_if_none_match(headers: &HeaderMap) -> Option<u64> {
    let version = |tag: &str| {
        let tag = tag.strip_prefix("W/").unwrap_or(tag);
        tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok()
    };
    list_items(headers, &IF_NONE_MATCH).filter_map(version).max()
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    list_items(headers, &ACCEPT_ENCODING).any(|item| {
        let (coding, weight) = item.split_once(';').unwrap_or((item, "q=1"));
        let is_zero = |weight: &str| weight.bytes().all(|byte| matches!(byte, b'0' | b'.'));
        let refused = weight.trim().strip_prefix("q=").is_some_and(is_zero);
        coding.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn gzip_is_used_only_if_accept_encoding_names_it() {
        for (value, accepted) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("gzip; q=1.0", true),
            ("gzip;q=0", false),
            ("gzip; q=0.000", false),
            ("identity", false),
            ("*", false),
            ("", false),
        ] {
            assert_eq!(
                accepts_gzip(&headers(ACCEPT_ENCODING, value)),
                accepted,
                "{value}"
            );
        }
    }

    #[test]
    fn the_version_is_read_from_if_none_match() {
        for (value, version) in [
            ("W/\"17\"", Some(17)),
            ("\"17\"", Some(17)),
            ("W/\"3\", W/\"17\"", Some(17)),
            ("*", None),
            ("17", None),
            ("W/\"x\"", None),
        ] {
            assert_eq!(
                version_of_if_none_match(&headers(IF_NONE_MATCH, value)),
                version,
                "{value}"
            );
        }
    }
}
