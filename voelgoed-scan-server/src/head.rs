//! What the head of a request says: its host, its id, its media types and its languages.

use hyper::Version;
use hyper::body::{Body as _, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use voelgoed_scan_core::model::{Language, random};

use crate::problem::{Code, Problem};

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Whether the request has exactly one valid host (RFC 9112, 3.2). HTTP/1.0 may have none, and HTTP/2 has it in the URI.
pub(crate) fn has_valid_host(parts: &Parts) -> bool {
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => parts.version != Version::HTTP_11,
        (Some(host), None) => is_host(host.as_bytes()),
        (Some(_), Some(_)) => false,
    }
}

/// Whether a text is a host with an optional port. An empty one is valid for a URI without an authority.
fn is_host(text: &[u8]) -> bool {
    text.is_empty() || (!text.contains(&b'@') && Authority::try_from(text).is_ok())
}

/// Copies the host of an HTTP/2 request from the URI to the header `Host`, where HTTP/1.1 has it.
pub(crate) fn set_host_header(parts: &mut Parts) {
    let authority = parts.uri.authority().map(Authority::as_str);
    if let Some(host) = authority.and_then(|host| HeaderValue::from_str(host).ok()) {
        parts.headers.insert(header::HOST, host);
    }
}

/// The request id of the client if it is valid, else a new one.
pub(crate) fn request_id(headers: &HeaderMap) -> HeaderValue {
    let given = headers.get(&X_REQUEST_ID).filter(|id| {
        let id = id.as_bytes();
        (1..=64).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
    });
    given.cloned().unwrap_or_else(new_request_id)
}

fn new_request_id() -> HeaderValue {
    let mut bytes = [0; 16];
    random::fill_buffered(&mut bytes);
    let id = uuid::Builder::from_random_bytes(bytes).into_uuid();
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    HeaderValue::from_str(id.hyphenated().encode_lower(&mut text)).unwrap_or(HeaderValue::from_static("none"))
}

/// A request id as text. It consists of visible ASCII characters.
pub(crate) fn as_text(request_id: &HeaderValue) -> &str {
    request_id.to_str().unwrap_or_default()
}

/// Checks `Content-Type`. Only a request without a body may omit it.
pub(crate) fn check_media_type(headers: &HeaderMap, body: &Incoming, expected: &str) -> Result<(), Problem> {
    let matches = match headers.get(header::CONTENT_TYPE) {
        Some(value) => value
            .to_str()
            .is_ok_and(|text| essence(text).eq_ignore_ascii_case(expected)),
        None => body.is_end_stream(),
    };
    if matches {
        Ok(())
    } else {
        Err(Code::UnsupportedMediaType.into())
    }
}

/// A media type without its parameters.
fn essence(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or_default().trim()
}

/// The items of a header that contains a list.
pub(crate) fn list_items<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .map(str::trim)
}

/// Whether a header names this media type or content coding, with a weight above 0. Wildcards do not count.
pub(crate) fn accepts(headers: &HeaderMap, name: &HeaderName, accepted: &str) -> bool {
    list_items(headers, name).any(|item| {
        let (named, weight) = item.split_once(';').unwrap_or((item, "q=1"));
        let is_zero = |weight: &str| weight.bytes().all(|byte| matches!(byte, b'0' | b'.'));
        let refused = weight.trim().strip_prefix("q=").is_some_and(is_zero);
        named.trim().eq_ignore_ascii_case(accepted) && !refused
    })
}

/// The language that the reader prefers, by the header `Accept-Language`. English without one.
pub(crate) fn language(headers: &HeaderMap) -> Language {
    let mut values = headers.get_all(header::ACCEPT_LANGUAGE).iter();
    match (values.next(), values.next()) {
        (None, _) => Language::English,
        (Some(value), None) => Language::preferred(value.to_str().unwrap_or_default()),
        // Several lines are one list (RFC 9110, 5.3).
        (Some(_), Some(_)) => {
            let lines = headers.get_all(header::ACCEPT_LANGUAGE).iter();
            let lines: Vec<_> = lines.filter_map(|value| value.to_str().ok()).collect();
            Language::preferred(&lines.join(","))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_for(value: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(
            X_REQUEST_ID,
            HeaderValue::from_str(value).expect("a valid header value"),
        );
        as_text(&request_id(&headers)).to_owned()
    }

    #[test]
    fn a_request_id_of_1_to_64_visible_characters_is_used_and_any_other_is_replaced() {
        for valid in ["1", "abc-DEF/~!", &"x".repeat(64)] {
            assert_eq!(id_for(valid), valid);
        }
        for invalid in ["", "a b", "a\tb", &"x".repeat(65)] {
            let id = id_for(invalid);
            assert_ne!(id, invalid);
            assert_eq!(id.len(), 36, "{invalid:?}");
        }
    }

    #[test]
    fn several_lines_of_languages_are_one_list() {
        let mut headers = HeaderMap::new();
        assert_eq!(language(&headers), Language::English);
        for (line, expected) in [("nl;q=0.5", Language::Dutch), ("de", Language::German)] {
            headers.append(header::ACCEPT_LANGUAGE, HeaderValue::from_static(line));
            assert_eq!(language(&headers), expected);
        }
        let not_ascii = HeaderValue::from_bytes(b"\xff").expect("a header value");
        headers.append(header::ACCEPT_LANGUAGE, not_ascii.clone());
        assert_eq!(language(&headers), Language::German);
        headers.insert(header::ACCEPT_LANGUAGE, not_ascii);
        assert_eq!(language(&headers), Language::English);
    }

    #[test]
    fn a_media_type_is_compared_without_its_parameters() {
        assert_eq!(essence("application/json; charset=utf-8"), "application/json");
        let mut headers = HeaderMap::new();
        headers.insert(
            header::ACCEPT,
            HeaderValue::from_static("text/html, application/x-ndjson;q=0.5"),
        );
        assert!(accepts(&headers, &header::ACCEPT, "application/x-ndjson"));
        assert!(!accepts(&headers, &header::ACCEPT, "application/json"));
    }
}
