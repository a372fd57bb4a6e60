//! Problem documents (RFC 9457) and the table of their codes.
//!
//! Invariants: a document contains nothing that the client did not send or may not know: no SQL, file path, token or data of
//! another organization. A code has one status and one title, so that all 404 responses are identical except for the request
//! id.

use std::borrow::Cow;
use std::time::Duration;

use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;
use voelgoed_scan_core::model::SessionId;
use voelgoed_scan_core::store::StoreError;

use crate::response::{self, ResponseBody};

/// The prefix of `type` in every problem document.
pub(crate) const TYPE_PREFIX: &str = "urn:voelgoed-scan:problem:";

macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident = $word:literal, $status:ident, $title:literal, $detail:literal;)+) => {
        /// The machine-readable kind of a problem.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[$doc])* $code,)+
        }

        impl Code {
            /// All codes.
            pub const ALL: &'static [Self] = &[$(Self::$code),+];

            /// The value of the field `code`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$code => $word,)+
                }
            }

            /// The HTTP status of the response.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self {
                    $(Self::$code => StatusCode::$status,)+
                }
            }

            /// The general description, for the field `title`.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self {
                    $(Self::$code => $title,)+
                }
            }

            /// The default of the field `detail`.
            pub(crate) const fn detail(self) -> &'static str {
                match self {
                    $(Self::$code => $detail,)+
                }
            }
        }
    };
}

codes! {
    /// The body is not JSON.
    MalformedJson = "malformed_json", BAD_REQUEST, "Malformed JSON", "The request body is not JSON.";
    /// The request has no host, or several.
    BadRequest = "bad_request", BAD_REQUEST, "Bad request",
        "An HTTP/1.1 request needs exactly one header Host with a valid name.";
    /// The request has no credential.
    MissingToken = "missing_token", UNAUTHORIZED, "Missing token",
        "This operation requires the header Authorization: Bearer.";
    /// The credential is unknown or no longer valid.
    InvalidToken = "invalid_token", UNAUTHORIZED, "Invalid token", "The token is not valid.";
    /// The device is inactive or revoked.
    DeviceInactive = "device_inactive", UNAUTHORIZED, "Device inactive", "The device is not active.";
    /// The caller lacks the permission.
    Forbidden = "forbidden", FORBIDDEN, "Forbidden", "The caller may not do this.";
    /// The event or the gate is outside the device's scope.
    OutOfScope = "out_of_scope", FORBIDDEN, "Out of scope",
        "The device may not work at this event or gate.";
    /// The path is unknown, or the resource does not exist in the caller's organization.
    NotFound = "not_found", NOT_FOUND, "Not found", "The resource does not exist.";
    /// The path is known, but not the method.
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "Method not allowed",
        "The header Allow lists the methods of this resource.";
    /// The device has an active session.
    SessionAlreadyActive = "session_already_active", CONFLICT, "Session already active",
        "The device has an active session; end it first, or start with replace.";
    /// The device has no active session.
    NoActiveSession = "no_active_session", CONFLICT, "No active session",
        "The device has no active session; start one first.";
    /// The scan id belongs to another attempt.
    ScanIdReused = "scan_id_reused", CONFLICT, "Scan id reused",
        "This scan_id belongs to a scan of another payload, another direction or another device.";
    /// The scan id belongs to an undone scan.
    ScanUndone = "scan_undone", CONFLICT, "Scan undone", "This scan_id belongs to a scan that was undone.";
    /// The state of the resource does not allow the operation.
    Conflict = "conflict", CONFLICT, "Conflict", "The state of the resource does not allow this operation.";
    /// The body exceeds the limit.
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE, "Body too large",
        "The request body exceeds the limit of this operation.";
    /// The media type of the body is not supported.
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "Unsupported media type",
        "The header Content-Type is not a media type of this operation.";
    /// The app of the device is older than the server admits.
    UpgradeRequired = "upgrade_required", UPGRADE_REQUIRED, "Upgrade required",
        "This version of the app is no longer served; update it. Uploads are still accepted.";
    /// The range begins behind the end of what is sent.
    RangeNotSatisfiable = "range_not_satisfiable", RANGE_NOT_SATISFIABLE, "Range not satisfiable",
        "The range begins behind the end; the header Content-Range has the length.";
    /// Fields or parameters are missing or invalid.
    ValidationFailed = "validation_failed", UNPROCESSABLE_ENTITY, "Validation failed",
        "Some fields are missing or invalid; errors lists each of them.";
    /// The device or the address exceeds its rate limit.
    RateLimited = "rate_limited", TOO_MANY_REQUESTS, "Rate limited",
        "Too many requests; the header Retry-After says when to try again.";
    /// The server failed.
    Internal = "internal_error", INTERNAL_SERVER_ERROR, "Internal error",
        "The server failed to process this request. Do not repeat it as it is.";
    /// The database does not respond.
    StorageUnavailable = "storage_unavailable", SERVICE_UNAVAILABLE, "Storage unavailable",
        "The storage does not respond; the request may be repeated.";
    /// The queue of scans is full.
    Overloaded = "overloaded", SERVICE_UNAVAILABLE, "Overloaded",
        "Too many scans are waiting; the request may be repeated.";
}

/// A field that is missing or invalid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "Fault")]
pub(crate) struct FieldError {
    /// The field, as a JSON pointer (RFC 6901) into the body; a query parameter is `/name`.
    pub(crate) pointer: String,
    /// What is wrong with the field.
    pub(crate) message: Cow<'static, str>,
}

/// A problem with a request, as a response.
#[derive(Debug)]
pub(crate) struct Problem(Box<Fields>);

#[derive(Debug)]
struct Fields {
    code: Code,
    detail: Option<&'static str>,
    errors: Vec<FieldError>,
    session_id: Option<SessionId>,
    checks: Option<serde_json::Value>,
    allow: Option<String>,
    retry_after: Option<Duration>,
    complete_length: Option<usize>,
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        Self(Box::new(Fields {
            code,
            detail: None,
            errors: Vec::new(),
            session_id: None,
            checks: None,
            allow: None,
            complete_length: None,
            retry_after: match code.status() {
                StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                    Some(Duration::from_secs(1))
                }
                _ => None,
            },
        }))
    }
}

/// Logs the error, because the response does not contain it.
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::storage(&error)
    }
}

/// Logs the error, because the response does not contain it.
impl From<serde_json::Error> for Problem {
    fn from(error: serde_json::Error) -> Self {
        tracing::error!(%error, "a value could not be serialised as JSON");
        Code::Internal.into()
    }
}

impl Problem {
    /// The database failed. Logs the error.
    pub(crate) fn storage(error: &StoreError) -> Self {
        tracing::error!(%error, "storage failed");
        if error.is_temporary() {
            Code::StorageUnavailable.into()
        } else {
            Code::Internal.into()
        }
    }

    /// Whether the same request may succeed later.
    pub(crate) fn is_unavailable(&self) -> bool {
        self.0.code.status() == StatusCode::SERVICE_UNAVAILABLE
    }

    /// Whether the request was wrong, rather than the server unable to process it.
    pub(crate) fn is_fault_of_client(&self) -> bool {
        self.0.code.status().is_client_error()
    }

    /// Fields are missing or invalid.
    pub(crate) fn invalid(errors: Vec<FieldError>) -> Self {
        let mut problem = Self::from(Code::ValidationFailed);
        problem.0.errors = errors;
        problem
    }

    /// A conflict with a rule, which becomes the `detail`.
    pub(crate) fn conflict(rule: &'static str) -> Self {
        let mut problem = Self::from(Code::Conflict);
        problem.0.detail = Some(rule);
        problem
    }

    /// The device has this active session.
    pub(crate) fn session_already_active(session: SessionId) -> Self {
        let mut problem = Self::from(Code::SessionAlreadyActive);
        problem.0.session_id = Some(session);
        problem
    }

    /// The path does not have the method; `allow` lists those that it has.
    pub(crate) fn method_not_allowed(allow: String) -> Self {
        let mut problem = Self::from(Code::MethodNotAllowed);
        problem.0.allow = Some(allow);
        problem
    }

    /// The range begins behind the end of a representation of this length.
    pub(crate) fn range_not_satisfiable(complete_length: usize) -> Self {
        let mut problem = Self::from(Code::RangeNotSatisfiable);
        problem.0.complete_length = Some(complete_length);
        problem
    }

    /// The caller exceeds its rate limit; `wait` is the time until the next request is allowed.
    pub(crate) fn rate_limited(wait: Duration) -> Self {
        let mut problem = Self::from(Code::RateLimited);
        problem.0.retry_after = Some(wait);
        problem
    }

    /// The server is not ready; `checks` is the status of each dependency.
    pub(crate) fn not_ready(checks: serde_json::Value) -> Self {
        let mut problem = Self::from(Code::StorageUnavailable);
        problem.0.checks = Some(checks);
        problem
    }

    /// The code of the problem.
    #[cfg(test)]
    pub(crate) fn code(&self) -> Code {
        self.0.code
    }

    /// The missing and invalid fields.
    #[cfg(test)]
    pub(crate) fn field_errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    /// The response with the document and its headers.
    pub(crate) fn into_response(self, request_id: &str) -> Response<ResponseBody> {
        let fields = *self.0;
        let code = fields.code;
        let document = ProblemDocument {
            kind: format!("{TYPE_PREFIX}{}", code.as_str()),
            title: code.title(),
            status: code.status().as_u16(),
            detail: fields.detail.unwrap_or(code.detail()),
            code: code.as_str(),
            request_id,
            errors: (code == Code::ValidationFailed).then_some(fields.errors),
            session_id: fields.session_id,
            checks: fields.checks,
        };
        let mut response = response::json(code.status(), &document);
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if code.status() == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(allow) = fields.allow.and_then(|allow| HeaderValue::try_from(allow).ok()) {
            headers.insert(header::ALLOW, allow);
        }
        let length = fields.complete_length.map(|length| format!("bytes */{length}"));
        if let Some(length) = length.and_then(|length| HeaderValue::try_from(length).ok()) {
            headers.insert(header::CONTENT_RANGE, length);
            headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        }
        if let Some(wait) = fields.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
        }
        response
    }
}

/// Whole seconds, rounded up, because a client that repeats too early is refused again.
fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// A problem document (RFC 9457).
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "Problem")]
pub(crate) struct ProblemDocument<'a> {
    /// `urn:voelgoed-scan:problem:` and the code.
    #[serde(rename = "type")]
    kind: String,
    /// The general meaning of the code.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// What the problem is in this case.
    detail: &'a str,
    /// The machine-readable kind of the problem.
    code: &'a str,
    /// The value of the header `X-Request-Id` of this response.
    request_id: &'a str,
    /// For `validation_failed`: the missing and invalid fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<FieldError>>,
    /// For `session_already_active`: the active session.
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<SessionId>,
    /// For `/readyz`: the status of each dependency.
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<serde_json::Value>,
}

#[cfg(test)]
mod tests;
