//! What does an operator see in a browser? The live monitor: one page, which asks for an API key and watches an event.
//!
//! The page holds nothing and may nothing: it loads nothing from elsewhere, runs no script but its own, and calls no
//! server but this one. The key stays in the tab.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::header::{
    CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};
use sha2::{Digest, Sha256};

use crate::reply::{self, Body};
use crate::route::Route;

const MEDIA_TYPE: &str = "text/html; charset=utf-8";

/// The page, and the policy that lets its own style and script be, by their hashes.
static PAGE: LazyLock<(Bytes, HeaderValue)> = LazyLock::new(|| {
    let page = include_str!("monitor.html").replace("{version}", env!("CARGO_PKG_VERSION"));
    let policy = policy(&page);
    (Bytes::from(page), policy)
});

/// `GET /`
pub(crate) fn show() -> Route {
    Route::get(
        "/",
        "home",
        "Shows the live monitor: a page that watches an event with an API key, which it asks for.",
    )
    .answers_as("The page.", vec![(MEDIA_TYPE, None)])
    .open(|_| async { Ok(page()) })
}

fn page() -> Response<Body> {
    let (page, policy) = &*PAGE;
    let mut response = reply::whole(StatusCode::OK, MEDIA_TYPE, page.clone());
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

fn policy(page: &str) -> HeaderValue {
    let hash = |tag: &str| {
        let within = between(page, &format!("<{tag}>"), &format!("</{tag}>"));
        STANDARD.encode(Sha256::digest(within.as_bytes()))
    };
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; img-src 'none'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash("style"),
        hash("script"),
    );
    // Letters, digits and punctuation of base64: always a header.
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let rest = text.split_once(start).map_or("", |(_, rest)| rest);
    rest.split_once(end).map_or("", |(within, _)| within)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_stands_on_its_own_under_a_strict_policy() {
        let (page, policy) = &*PAGE;
        let page = std::str::from_utf8(page).expect("text");
        for one in ["<style>", "</style>", "<script>", "</script>"] {
            assert_eq!(page.matches(one).count(), 1, "{one}");
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
        let policy = policy.to_str().expect("text");
        assert!(
            policy.starts_with("default-src 'none'; style-src 'sha256-"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
    }
}
