//! What a phone decides by when it is alone: the manifest of an event.

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
use crate::call::Call;
use crate::problem::{Code, Problem};
use crate::query::Query;
use crate::reply::{self, Body};
use crate::route::{Answer, Route};
use crate::thing::Thing;

/// Smaller ones are sent as they are: a delta is mostly signature and hashes.
const WORTH_PACKING: usize = 1024;

/// Of which version a phone wants the changes.
#[derive(Debug, Deserialize, JsonSchema)]
struct Since {
    /// The version that the phone holds: the answer may then be a delta onto it.
    #[serde(default)]
    since: Option<u64>,
}

impl Query for Since {}

/// `GET /api/v1/scanning/events/{id}/manifest`
pub(crate) fn show() -> Route {
    Route::get(
        "/api/v1/scanning/events/{id}/manifest",
        "showManifest",
        "Gives the manifest of an event, signed: what a phone needs to decide alone. With `since`, what changed after that \
         version, where the server knows it. Its bytes are described in docs/manifest.md.",
    )
    .asks::<Since>()
    .takes_its_time()
    .answers_as(
        "The manifest, or a delta onto the version that was named.",
        vec![(MANIFEST_MEDIA_TYPE, None)],
    )
    .answers_unchanged("The version of If-None-Match is the newest.")
    .may_fail(&[Code::Conflict])
    .names(|call| Ok(Thing::Event(call.event_id()?)))
    .by(Permission::Device, run)
}

async fn run(call: Call<(), Since>) -> Answer {
    let held = Precondition {
        delta_base: call.query.since,
        none_match: held_version(&call.headers),
    };
    let issued = call
        .admin()
        .manifest(call.organization(), call.event_id()?, held, call.now)
        .await
        .map_err(|failure| match failure {
            ManifestFailure::Store(error) => Problem::storage(&error),
            ManifestFailure::TooLarge(_) => {
                Problem::conflict("the event has more classes, gates or tickets than a manifest has room for")
            }
        })?;
    match issued.ok_or(Code::NotFound)? {
        ManifestResponse::NotModified(version) => Ok(tagged(reply::empty(StatusCode::NOT_MODIFIED), version)),
        ManifestResponse::Manifest(issue) => give(issue, takes_gzip(&call.headers)).await,
    }
}

async fn give(issue: Arc<SignedManifest>, packed: bool) -> Answer {
    let version = issue.version;
    let packed = packed && issue.bytes.len() >= WORTH_PACKING;
    if packed && issue.compressed.get().is_none() {
        let issue = Arc::clone(&issue);
        // The first phone's call packs, the others' wait for it.
        let done = tokio::task::spawn_blocking(move || {
            issue.compressed.get_or_init(|| pack(&issue.bytes));
        });
        done.await.map_err(|_| Code::Internal)?;
    }
    let bytes = Bytes::from_owner(Whole { issue, packed });
    let mut response = tagged(reply::whole(StatusCode::OK, MANIFEST_MEDIA_TYPE, bytes), version);
    if packed {
        response
            .headers_mut()
            .insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}

/// A manifest on its way out: every phone's answer is the same bytes in memory.
struct Whole {
    issue: Arc<SignedManifest>,
    packed: bool,
}

impl AsRef<[u8]> for Whole {
    fn as_ref(&self) -> &[u8] {
        match self.issue.compressed.get() {
            Some(packed) if self.packed => packed,
            _ => &self.issue.bytes,
        }
    }
}

/// Hashes do not shrink, and everything else does at once: the fastest level packs as well as the best one.
#[expect(clippy::expect_used, reason = "memory takes every byte")]
fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::with_capacity(bytes.len() / 2), Compression::fast());
    gzip.write_all(bytes)
        .and_then(|()| gzip.finish())
        .expect("memory takes every byte")
}

/// With what a phone gives back as If-None-Match. Weak: the same version is made anew with another time.
fn tagged(mut response: Response<Body>, version: u64) -> Response<Body> {
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::try_from(format!("W/\"{version}\"")) {
        headers.insert(ETAG, tag);
    }
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    response
}

/// The items of a header that is a list.
fn items<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .map(str::trim)
}

/// The newest version of which a phone wants to be told nothing.
fn held_version(headers: &HeaderMap) -> Option<u64> {
    let version = |tag: &str| {
        let tag = tag.strip_prefix("W/").unwrap_or(tag);
        tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok()
    };
    items(headers, &IF_NONE_MATCH).filter_map(version).max()
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    items(headers, &ACCEPT_ENCODING).any(|item| {
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
    fn gzip_is_for_those_who_name_it() {
        for (value, takes) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("gzip; q=1.0", true),
            ("gzip;q=0", false),
            ("gzip; q=0.000", false),
            ("identity", false),
            ("*", false),
            ("", false),
        ] {
            assert_eq!(takes_gzip(&headers(ACCEPT_ENCODING, value)), takes, "{value}");
        }
    }

    #[test]
    fn a_tag_is_the_version_that_a_phone_holds() {
        for (value, version) in [
            ("W/\"17\"", Some(17)),
            ("\"17\"", Some(17)),
            ("W/\"3\", W/\"17\"", Some(17)),
            ("*", None),
            ("17", None),
            ("W/\"x\"", None),
        ] {
            assert_eq!(held_version(&headers(IF_NONE_MATCH, value)), version, "{value}");
        }
    }
}
