//! The web page at `/` and its files.

use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};

use crate::console::{self, File};
use crate::problem::Code;
use crate::response::{self, ResponseBody};
use crate::route::Route;

const HEADERS: &[(&str, &str)] = &[("If-None-Match", "The ETag of the copy that the client has.")];

/// `GET /`
pub(crate) fn page() -> Route {
    Route::get(
        "/",
        "home",
        "Shows the console: a page that asks for an API key, shows an event live and lets staff steer it.",
    )
    .request_headers(HEADERS)
    .responds_with("The page.", vec![("text/html; charset=utf-8", None)])
    .response_headers(&[("ETag", "Names these bytes.")])
    .responds_not_modified("The copy of the client is current.")
    .file(|headers, _| Ok(respond(&console::PAGE, headers)))
}

/// `GET /console/{file}`
pub(crate) fn file() -> Route {
    Route::get(
        "/console/{file}",
        "showConsoleFile",
        "Shows a script, a style or a picture of the console.",
    )
    .request_headers(HEADERS)
    .responds_with(
        "The file.",
        vec![
            (console::SCRIPT, None),
            (console::CSS, None),
            (console::SVG, None),
        ],
    )
    .response_headers(&[("ETag", "Names these bytes.")])
    .responds_not_modified("The copy of the client is current.")
    .problems(&[Code::NotFound])
    .file(|headers, path| {
        let name = path.first().map_or("", |(_, name)| name.as_str());
        let file = console::file(name).ok_or(Code::NotFound)?;
        Ok(respond(file, headers))
    })
}

fn respond(file: &File, request: &HeaderMap) -> Response<ResponseBody> {
    let mut response = if matches(request, &file.tag) {
        response::empty(StatusCode::NOT_MODIFIED)
    } else {
        response::full(StatusCode::OK, file.media_type, file.content.clone())
    };
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::try_from(&file.tag) {
        headers.insert(ETAG, tag);
    }
    for (name, value) in [
        // Browsers keep a copy and ask whether it is current, so that a new version shows at once.
        (CACHE_CONTROL, "no-cache"),
        (CONTENT_SECURITY_POLICY, console::CONTENT_SECURITY_POLICY),
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

/// Whether the client has a copy with this tag (RFC 9110, 13.1.2).
fn matches(request: &HeaderMap, tag: &str) -> bool {
    request
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_current_if_one_of_its_tags_is_that_of_the_file() {
        for (value, current) in [
            ("\"a1\"", true),
            ("W/\"a1\"", true),
            ("\"b\", \"a1\"", true),
            ("*", true),
            ("\"b\"", false),
            ("a1", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(IF_NONE_MATCH, HeaderValue::from_static(value));
            assert_eq!(matches(&headers, "\"a1\""), current, "{value}");
        }
        assert!(!matches(&HeaderMap::new(), "\"a1\""));
    }
}
