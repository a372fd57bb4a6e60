//! The messages of stewards: their language, and the texts by which an organization replaces them.

use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};
use voelgoed_scan_core::model::{CustomMessages, CustomMessagesPatch, Language, ScanAnswer};

use crate::auth::Permission;
use crate::request::Request;
use crate::response::{self, ResponseBody};
use crate::route::{HandlerResult, Json, Route};

const PATH: &str = "/api/v1/organization/messages";

/// The request header that chooses the language of a message, for the declaration of a route.
pub(crate) const ACCEPT_LANGUAGE: &[(&str, &str)] = &[(
    "Accept-Language",
    "The languages that the steward reads (RFC 9110). The message is in the one with the highest q that is supported: en, af, \
     nl, de, fr, es or pt. A region falls back to its language, q=0 excludes one, and en is the default.",
)];

/// The response header that tells the language of a message.
pub(crate) const CONTENT_LANGUAGE: &[(&str, &str)] = &[("Content-Language", "The language of message.")];

/// The response with the answer to a scan, its message in a language and in the words of the organization.
pub(crate) fn worded(
    mut answer: ScanAnswer,
    messages: &CustomMessages,
    language: Language,
) -> Response<ResponseBody> {
    let message = messages.message(language, answer.reason);
    if answer.message != message {
        message.clone_into(&mut answer.message);
    }
    let mut response = response::full(StatusCode::OK, "application/json", answer.to_json());
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_LANGUAGE,
        HeaderValue::from_static(language.as_str()),
    );
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Language"));
    response
}

/// `GET /api/v1/organization/messages`
pub(crate) fn show() -> Route {
    Route::get(
        PATH,
        "showMessages",
        "Shows the messages for stewards that the organization replaced by its own texts.",
    )
    .responds::<CustomMessages>(StatusCode::OK, "The texts, by language and reason.")
    .authenticated(Permission::DeviceOrViewer, run_show)
}

async fn run_show(request: Request) -> HandlerResult {
    let messages = request.store().custom_messages(request.organization()).await?;
    Ok(response::ok(&messages))
}

/// `PUT /api/v1/organization/messages`
pub(crate) fn change() -> Route {
    Route::put(
        PATH,
        "changeMessages",
        "Replaces messages for stewards by the organization's own texts. Absent languages and reasons stay; null takes a text \
         back. The texts count for online scans at once, and offline with a phone's next manifest. The codes stay.",
    )
    .json_body::<CustomMessagesPatch>()
    .responds::<CustomMessages>(StatusCode::OK, "All texts of the organization, by language and reason.")
    .authenticated(Permission::Admin, run_change)
}

async fn run_change(request: Request<Json<CustomMessagesPatch>>) -> HandlerResult {
    let messages = request
        .admin()
        .change_custom_messages(
            request.organization(),
            &request.body.0,
            &request.audit_context(),
            request.now,
        )
        .await?;
    Ok(response::ok(&messages))
}
