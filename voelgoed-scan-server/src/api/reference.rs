//! The API reference: a page that shows `/openapi.json` to people.

use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{CONTENT_SECURITY_POLICY, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use sha2::{Digest, Sha256};

use crate::route::{HandlerResult, Route};
use crate::state::ServerState;
use crate::{openapi, reference, response};

const MEDIA_TYPE: &str = "text/html; charset=utf-8";

/// The policy of the page: its own style and nothing else.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        STANDARD.encode(Sha256::digest(reference::STYLE.as_bytes()))
    );
    // The policy is ASCII and therefore a valid header value.
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// `GET /docs`
pub(crate) fn show() -> Route {
    Route::get(
        "/docs",
        "reference",
        "Shows the reference of this API: the operations of /openapi.json as a page, without a script.",
    )
    .responds_with("The page.", vec![(MEDIA_TYPE, None)])
    .public(run_show)
}

async fn run_show(state: Arc<ServerState>) -> HandlerResult {
    let page = state.reference.get_or_init(|| {
        let document = openapi::document(&state.router, state.public_url.as_deref());
        Bytes::from(reference::page(&document))
    });
    let mut response = response::full(StatusCode::OK, MEDIA_TYPE, page.clone());
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, POLICY.clone());
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(response)
}
