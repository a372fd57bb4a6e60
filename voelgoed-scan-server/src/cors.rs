//! Cross-origin requests: which browser pages of other origins may call the API (the CORS protocol of the Fetch standard).
//!
//! Invariants: only the configured origins get the headers of the protocol, each its own, and never credentials; every
//! response names `Origin` in `Vary` as soon as an origin is configured, so that no cache mixes the responses up.

use hyper::Method;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::route::Route;

/// The request headers that a page may send to every route.
const REQUEST_HEADERS: &[&str] = &[
    "Authorization",
    "Content-Type",
    "If-None-Match",
    "Last-Event-ID",
    "X-Request-Id",
];

/// The response headers that a page may read of every route, besides those that it may always read.
const RESPONSE_HEADERS: &[&str] = &["ETag", "Location", "Retry-After", "X-Request-Id"];

/// The text is not an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOrigin {
    /// It is not one exact origin.
    #[error(
        "is not an origin such as https://app.example.org: scheme and host, and the port unless it is the default"
    )]
    NotAnOrigin,
    /// Every origin would be allowed.
    #[error("names no origin: * and null would let every page call; name each origin")]
    Wildcard,
}

/// An origin, exactly as browsers send it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(HeaderValue);

impl std::str::FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let text = text.trim();
        if text.contains('*') || text == "null" {
            return Err(InvalidOrigin::Wildcard);
        }
        let (scheme, host) = text.split_once("://").ok_or(InvalidOrigin::NotAnOrigin)?;
        let is_scheme = scheme.starts_with(|first: char| first.is_ascii_lowercase())
            && scheme.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.')
            });
        if !is_scheme || !is_host(scheme, host) {
            return Err(InvalidOrigin::NotAnOrigin);
        }
        HeaderValue::from_str(text)
            .map(Self)
            .map_err(|_| InvalidOrigin::NotAnOrigin)
    }
}

/// Whether a text is a host, with a port unless it is the default, as browsers write it: in lower case, without a path.
fn is_host(scheme: &str, text: &str) -> bool {
    if text
        .bytes()
        .any(|byte| byte.is_ascii_uppercase() || matches!(byte, b'/' | b'?' | b'#' | b'@'))
    {
        return false;
    }
    let Ok(authority) = text.parse::<hyper::http::uri::Authority>() else {
        return false;
    };
    let port = authority.port_u16();
    let has_port = text.len() > authority.host().len();
    let is_default = matches!((scheme, port), ("http", Some(80)) | ("https", Some(443)));
    let is_written_plainly = port.is_some_and(|port| text.ends_with(&format!(":{port}")));
    !authority.host().is_empty() && !is_default && has_port == is_written_plainly
}

/// What a page may send to a path and read of its responses.
pub(crate) struct PathHeaders {
    methods: HeaderValue,
    allowed: HeaderValue,
    exposed: HeaderValue,
}

impl PathHeaders {
    /// Those of a path with these routes. `methods` is the value of its `Allow`.
    pub(crate) fn new<'a>(methods: &str, routes: impl Iterator<Item = &'a Route> + Clone) -> Self {
        let sent = routes.clone().flat_map(|route| route.headers);
        let received = routes
            .flat_map(|route| &route.responses)
            .flat_map(|response| response.headers);
        Self {
            methods: HeaderValue::from_str(methods).unwrap_or(HeaderValue::from_static("GET")),
            allowed: list(REQUEST_HEADERS, sent.map(|(name, _)| *name)),
            exposed: list(RESPONSE_HEADERS, received.map(|(name, _)| *name)),
        }
    }
}

/// The names of both lists, each once.
fn list(always: &[&'static str], declared: impl Iterator<Item = &'static str>) -> HeaderValue {
    let mut names = always.to_vec();
    for name in declared {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    HeaderValue::from_str(&names.join(", ")).unwrap_or(HeaderValue::from_static(""))
}

/// The origins whose pages may call.
#[derive(Debug, Default)]
pub(crate) struct Cors(Vec<Origin>);

impl Cors {
    pub(crate) fn new(origins: Vec<Origin>) -> Self {
        Self(origins)
    }

    /// Whether the request is one by which a browser asks whether a page may call.
    pub(crate) fn is_preflight(&self, method: &Method, headers: &HeaderMap) -> bool {
        !self.0.is_empty()
            && *method == Method::OPTIONS
            && headers.contains_key(header::ORIGIN)
            && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
    }

    /// What the responses to a request get; `None` without configured origins.
    pub(crate) fn for_request(&self, method: &Method, headers: &HeaderMap) -> Option<CorsResponse> {
        if self.0.is_empty() {
            return None;
        }
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let origin = match (origins.next(), origins.next()) {
            (Some(origin), None) => self.0.iter().find(|allowed| allowed.0 == *origin),
            _ => None,
        };
        Some(CorsResponse {
            origin: origin.cloned(),
            is_preflight: self.is_preflight(method, headers),
        })
    }
}

/// The headers of the protocol for the response to one request.
pub(crate) struct CorsResponse {
    /// The origin of the page, if it may call.
    origin: Option<Origin>,
    is_preflight: bool,
}

impl CorsResponse {
    /// Adds the headers to a response. `path` is `None` where no route has the path.
    pub(crate) fn add_to(self, headers: &mut HeaderMap, path: Option<&PathHeaders>) {
        // A second line, because a response may vary by other headers, too.
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        let Some(Origin(origin)) = self.origin else {
            return;
        };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let mut insert = |name: HeaderName, value: &HeaderValue| headers.insert(name, value.clone());
        match path {
            Some(path) if self.is_preflight => {
                insert(header::ACCESS_CONTROL_ALLOW_METHODS, &path.methods);
                insert(header::ACCESS_CONTROL_ALLOW_HEADERS, &path.allowed);
            }
            Some(path) => {
                insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, &path.exposed);
            }
            None => {
                let exposed = list(RESPONSE_HEADERS, std::iter::empty());
                insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, &exposed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        for text in [
            "https://app.example.org",
            "http://localhost:5173",
            "https://10.0.0.7:8443",
            "http://[::1]:3000",
            "https://[2001:db8::1]",
            "capacitor://localhost",
            "chrome-extension://abcdefghijklmnop",
            "https://app.example.org:80",
            " https://app.example.org ",
        ] {
            let origin = text.parse::<Origin>().map(|Origin(value)| value);
            assert_eq!(
                origin,
                Ok(HeaderValue::from_str(text.trim()).expect("ASCII")),
                "{text}"
            );
        }
        for text in [
            "",
            "app.example.org",
            "https://",
            "://app.example.org",
            "https://app.example.org/",
            "https://app.example.org/gate",
            "https://app.example.org?x",
            "https://app.example.org#x",
            "https://user@app.example.org",
            "https://App.example.org",
            "HTTPS://app.example.org",
            "https://app.example.org:443",
            "http://app.example.org:80",
            "https://app.example.org:",
            "https://app.example.org:08443",
            "https://app.example.org:99999",
            "https://app.example.org,https://b.example.org",
            "https://a b",
            "https://bücher.example",
        ] {
            assert_eq!(text.parse::<Origin>(), Err(InvalidOrigin::NotAnOrigin), "{text}");
        }
        for text in ["*", "null", "https://*.example.org"] {
            assert_eq!(text.parse::<Origin>(), Err(InvalidOrigin::Wildcard), "{text}");
        }
    }
}
