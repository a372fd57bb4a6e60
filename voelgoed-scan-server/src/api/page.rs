//! The live monitor: a page for the browser that asks for an API key and watches an event.
//!
//! Invariants: the page loads nothing from other hosts, runs only its own script and calls only this server. The API key
//! stays in the browser tab.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::header::{
    CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};
use sha2::{Digest, Sha256};

use crate::response::{self, ResponseBody};
use crate::route::Route;

const MEDIA_TYPE: &str = "text/html; charset=utf-8";

/// The page, and the Content-Security-Policy that allows its own style and script by their hashes.
static PAGE: LazyLock<(Bytes, HeaderValue)> = LazyLock::new(|| {
    let page = include_str!("page.html").replace("{version}", env!("CARGO_PKG_VERSION"));
    let policy = content_security_policy(&page);
    (Bytes::from(page), policy)
});

/// `GET /`
pub(crate) fn show() -> Route {
    Route::get(
        "/",
        "home",
        "Shows the live monitor: a page that asks for an API key and watches an event.",
    )
    .responds_with("The page.", vec![(MEDIA_TYPE, None)])
    .public(|_| async { Ok(page()) })
}

fn page() -> Response<ResponseBody> {
    let (page, policy) = &*PAGE;
    let mut response = response::full(StatusCode::OK, MEDIA_TYPE, page.clone());
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, policy.clone());
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn content_security_policy(page: &str) -> HeaderValue {
    let hash = |tag: &str| {
        let content = between(page, &format!("<{tag}>"), &format!("</{tag}>"));
        STANDARD.encode(Sha256::digest(content.as_bytes()))
    };
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; img-src 'none'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash("style"),
        hash("script"),
    );
    // The policy is ASCII and therefore a valid header value.
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let rest = text.split_once(start).map_or("", |(_, rest)| rest);
    rest.split_once(end).map_or("", |(between, _)| between)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_loads_nothing_and_has_a_strict_policy() {
        let (page, policy) = &*PAGE;
        let page = std::str::from_utf8(page).expect("UTF-8");
        for tag in ["<style>", "</style>", "<script>", "</script>"] {
            assert_eq!(page.matches(tag).count(), 1, "{tag}");
        }
        for foreign in [
            "src=",
            "@import",
            "url(",
            "style=",
            "onclick",
            "innerHTML",
            "http://",
            "https://",
            "{version}",
        ] {
            assert!(!page.contains(foreign), "{foreign}");
        }
        let policy = policy.to_str().expect("UTF-8");
        assert!(
            policy.starts_with("default-src 'none'; style-src 'sha256-"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
    }
}
