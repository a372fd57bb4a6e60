//! The manifest of an event, by which phones decide offline.
//!
//! A manifest is sent in one of three forms: as it is, with the content coding gzip, or as a gzip file with a media type of
//! its own. Each form has a strong tag, because a tag names one sequence of bytes. The version comes first in the tag, so
//! that `If-None-Match` with the tag of any form of a version is answered for the version.

use std::sync::Arc;

use bytes::Bytes;
use hyper::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH, VARY,
};
use hyper::{Response, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;
use voelgoed_scan_core::manifest::{MANIFEST_GZIP_MEDIA_TYPE, MANIFEST_MEDIA_TYPE};
use voelgoed_scan_core::node::{ManifestFailure, ManifestResponse, Precondition, SignedManifest};

use crate::auth::Permission;
use crate::head::{accepts, list_items};
use crate::problem::{Code, Problem};
use crate::query::Query;
use crate::ranges::{self, RangeRequest};
use crate::request::Request;
use crate::resource::Resource;
use crate::response::{self, ResponseBody};
use crate::route::{HandlerResult, RequestError, Route};

/// The minimum size for compression, in bytes. A smaller delta is mostly signature and hashes.
const MIN_COMPRESSED_BYTES: usize = 1024;

/// The version that the client has.
#[derive(Debug, Deserialize, JsonSchema)]
struct ManifestParams {
    /// The version that the phone has. The response may then be a delta to it.
    #[serde(default)]
    #[schemars(range(max = 9_007_199_254_740_991_u64))]
    since: Option<u64>,
}

impl Query for ManifestParams {}

/// `GET /api/v1/scanning/events/{id}/manifest`
pub(crate) fn show() -> Route {
    Route::get(
        "/api/v1/scanning/events/{id}/manifest",
        "showManifest",
        "Returns the signed manifest of an event, by which phones decide offline. With `since` it returns the changes \
         after that version, if the server knows them. A transfer that broke off is resumed with `Range` and `If-Range`. \
         docs/manifest.md describes the format.",
    )
    .query::<ManifestParams>()
    .request_headers(&[
        ("If-None-Match", "The tag of the manifest that the client has."),
        ("Range", "One range of bytes. Any other value is ignored."),
        (
            "If-Range",
            "The tag of the response that the client has a part of. With another tag, `Range` is ignored.",
        ),
    ])
    .without_read_timeout()
    .responds_with(
        "The manifest, or a delta to the version in `since`.",
        vec![(MANIFEST_MEDIA_TYPE, None), (MANIFEST_GZIP_MEDIA_TYPE, None)],
    )
    .response_headers(&[
        ("ETag", "The version, and what names these bytes."),
        ("Accept-Ranges", "bytes"),
    ])
    .responds_partly("The requested range of the manifest or the delta.")
    .response_headers(&[
        ("ETag", "The tag of the whole."),
        ("Content-Range", "Which bytes these are, and the length of the whole."),
    ])
    .responds_not_modified("The version in If-None-Match is the newest.")
    .problems(&[Code::Conflict, Code::RangeNotSatisfiable])
    .resource(|request| Ok(Resource::Event(request.event_id()?)))
    .within_scope()
    .authenticated(Permission::Device, run_show)
}

async fn run_show(request: Request<(), ManifestParams>) -> HandlerResult {
    let range = RangeRequest::read(&request.headers);
    if let Some(range) = &range
        && let Some(representation) = resumed(&request, range).await?
    {
        return respond(representation, Some(range)).await;
    }
    let none_match = newest_of_if_none_match(&request.headers);
    let precondition = Precondition {
        delta_base: request.query.since,
        none_match: none_match.map(|(version, _)| version),
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
            let tag = none_match.map_or_else(|| format!("W/\"{version}\""), |(_, tag)| tag.to_owned());
            Ok(with_tag(response::empty(StatusCode::NOT_MODIFIED), &tag))
        }
        ManifestResponse::Manifest(manifest) => {
            let form = Form::of(&request.headers, &manifest);
            respond(Representation { manifest, form }, range.as_ref()).await
        }
    }
}

/// What a client has a part of, if it is still kept. `If-None-Match` is evaluated first (RFC 9110, 13.2.2), so a request
/// with both is answered for the present version.
async fn resumed(
    request: &Request<(), ManifestParams>,
    range: &RangeRequest<'_>,
) -> Result<Option<Representation>, RequestError> {
    let Some(tag) = range.tag() else { return Ok(None) };
    if request.headers.contains_key(IF_NONE_MATCH) {
        return Ok(None);
    }
    let (tag, form) = Form::split_tag(tag);
    let found = request
        .admin()
        .issued_manifest(request.organization(), request.event_id()?, tag, request.now)
        .await;
    let found = found.map_err(|error| Problem::storage(&error))?;
    let representation = found.map(|manifest| Representation { manifest, form });
    Ok(representation.filter(|one| Form::of(&request.headers, &one.manifest) == form))
}

/// The form in which a manifest is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As it is.
    Plain,
    /// With the content coding gzip.
    GzipCoding,
    /// As a gzip file. HTTP clients do not decode it, so that a part of it stays a part of it.
    GzipFile,
}

impl Form {
    fn of(headers: &HeaderMap, manifest: &SignedManifest) -> Self {
        if manifest.bytes().len() < MIN_COMPRESSED_BYTES {
            Self::Plain
        } else if accepts(headers, &ACCEPT, MANIFEST_GZIP_MEDIA_TYPE) {
            Self::GzipFile
        } else if accepts(headers, &ACCEPT_ENCODING, "gzip") {
            Self::GzipCoding
        } else {
            Self::Plain
        }
    }

    const fn tag_suffix(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::GzipCoding => "-gzip",
            Self::GzipFile => "-file",
        }
    }

    /// The tag of the manifest and the form in the tag of a representation.
    fn split_tag(tag: &str) -> (&str, Self) {
        [Self::GzipCoding, Self::GzipFile]
            .into_iter()
            .find_map(|form| Some((tag.strip_suffix(form.tag_suffix())?, form)))
            .unwrap_or((tag, Self::Plain))
    }
}

/// A manifest in the form in which it is sent.
#[derive(Debug, Clone)]
struct Representation {
    manifest: Arc<SignedManifest>,
    form: Form,
}

impl Representation {
    fn tag(&self) -> String {
        format!("{}{}", self.manifest.tag(), self.form.tag_suffix())
    }

    const fn media_type(&self) -> &'static str {
        match self.form {
            Form::Plain | Form::GzipCoding => MANIFEST_MEDIA_TYPE,
            Form::GzipFile => MANIFEST_GZIP_MEDIA_TYPE,
        }
    }
}

/// The bytes. All responses share the same memory.
impl AsRef<[u8]> for Representation {
    fn as_ref(&self) -> &[u8] {
        match self.form {
            Form::Plain => self.manifest.bytes(),
            Form::GzipCoding | Form::GzipFile => self.manifest.compressed(),
        }
    }
}

async fn respond(representation: Representation, range: Option<&RangeRequest<'_>>) -> HandlerResult {
    if representation.form != Form::Plain && representation.manifest.compressed_before().is_none() {
        let manifest = Arc::clone(&representation.manifest);
        // The first request compresses; concurrent ones wait for its result.
        let done = tokio::task::spawn_blocking(move || manifest.compressed().len());
        done.await.map_err(|_| Code::Internal)?;
    }
    let (tag, form) = (representation.tag(), representation.form);
    let media_type = representation.media_type();
    let whole = Bytes::from_owner(representation);
    let length = whole.len();
    let part = range.map_or(Ok(None), |range| range.part(&tag, length))?;
    let bytes = part
        .clone()
        .map_or_else(|| whole.clone(), |part| whole.slice(part));
    let mut response = with_tag(
        response::full(StatusCode::OK, media_type, bytes),
        &format!("\"{tag}\""),
    );
    ranges::accept_ranges(&mut response);
    if form == Form::GzipCoding {
        response
            .headers_mut()
            .insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    if let Some(part) = part {
        ranges::mark_partial(&mut response, &part, length);
    }
    Ok(response)
}

/// Adds the `ETag` that phones return as `If-None-Match` and `If-Range`.
fn with_tag(mut response: Response<ResponseBody>, tag: &str) -> Response<ResponseBody> {
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(ETAG, tag);
    }
    headers.insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
    response
}

/// The newest version in `If-None-Match`, which the client has already, with its tag.
fn newest_of_if_none_match(headers: &HeaderMap) -> Option<(u64, &str)> {
    let version = |item: &str| {
        let tag = item.strip_prefix("W/").unwrap_or(item);
        SignedManifest::version_of_tag(tag.strip_prefix('"')?.strip_suffix('"')?)
    };
    list_items(headers, &IF_NONE_MATCH)
        .filter_map(|item| Some((version(item)?, item)))
        .max_by_key(|(version, _)| *version)
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderName;

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
                accepts(&headers(ACCEPT_ENCODING, value), &ACCEPT_ENCODING, "gzip"),
                accepted,
                "{value}"
            );
        }
    }

    #[test]
    fn the_version_is_read_from_if_none_match() {
        for (value, version) in [
            ("W/\"17\"", Some((17, "W/\"17\""))),
            ("\"17\"", Some((17, "\"17\""))),
            ("\"17-ab-gzip\"", Some((17, "\"17-ab-gzip\""))),
            ("\"3-ab\", \"17-cd-file\"", Some((17, "\"17-cd-file\""))),
            ("*", None),
            ("17", None),
            ("W/\"x\"", None),
        ] {
            assert_eq!(
                newest_of_if_none_match(&headers(IF_NONE_MATCH, value)),
                version,
                "{value}"
            );
        }
    }

    #[test]
    fn the_tag_of_a_representation_names_the_manifest_and_the_form() {
        for form in [Form::Plain, Form::GzipCoding, Form::GzipFile] {
            let tag = format!("17-ab{}", form.tag_suffix());
            assert_eq!(Form::split_tag(&tag), ("17-ab", form));
        }
    }
}
