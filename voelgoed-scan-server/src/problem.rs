//! What does a caller read when something goes wrong? One table of codes, one document (RFC 9457).
//!
//! Invariants: a document carries nothing that the caller did not send or may not know: no SQL, no path, no token, no
//! other tenant's data. The same code is always the same status and title, so that every 404 is the same bytes but for
//! its request id.

use std::borrow::Cow;
use std::time::Duration;

use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;
use voelgoed_scan_core::model::SessionId;
use voelgoed_scan_core::store::StoreError;

use crate::reply::{self, Body};

/// Where `type` of every problem document starts.
const TYPE_PREFIX: &str = "urn:voelgoed-scan:problem:";

macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident = $word:literal, $status:ident, $title:literal, $detail:literal;)+) => {
        /// What went wrong, as programs read it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[$doc])* $code,)+
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$code),+];

            /// The word that stands in `code`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$code => $word,)+
                }
            }

            /// The HTTP status that it comes with.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self {
                    $(Self::$code => StatusCode::$status,)+
                }
            }

            /// What it means in general.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self {
                    $(Self::$code => $title,)+
                }
            }

            /// What it means here, where nothing better is known.
            const fn detail(self) -> &'static str {
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
    /// No credential came with the call.
    MissingToken = "missing_token", UNAUTHORIZED, "Missing token",
        "This call needs the header Authorization: Bearer.";
    /// A credential that nobody has, or has any more.
    InvalidToken = "invalid_token", UNAUTHORIZED, "Invalid token", "The token is not valid.";
    /// The device was set inactive or revoked.
    DeviceInactive = "device_inactive", UNAUTHORIZED, "Device inactive", "The device is not active.";
    /// The caller may not do this.
    Forbidden = "forbidden", FORBIDDEN, "Forbidden", "The caller may not do this.";
    /// No such call, or no such thing in the caller's organization.
    NotFound = "not_found", NOT_FOUND, "Not found", "There is nothing here.";
    /// The path is known, the method is not.
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "Method not allowed",
        "The header Allow names the methods of this resource.";
    /// The device has an active session.
    SessionAlreadyActive = "session_already_active", CONFLICT, "Session already active",
        "The device has an active session; end it first, or start with replace.";
    /// The device has no active session.
    NoActiveSession = "no_active_session", CONFLICT, "No active session",
        "The device has no active session; start one first.";
    /// The scan id names another attempt.
    ScanIdReused = "scan_id_reused", CONFLICT, "Scan id reused",
        "This scan_id names another payload, another direction or another device's scan.";
    /// The scan id names an undone scan.
    ScanUndone = "scan_undone", CONFLICT, "Scan undone", "This scan_id names a scan that was undone.";
    /// The thing is not in a state for this.
    Conflict = "conflict", CONFLICT, "Conflict", "The call does not go with the state of the thing.";
    /// More bytes than are taken.
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE, "Body too large",
        "The request body is larger than this call takes.";
    /// A body of a kind that is not taken.
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "Unsupported media type",
        "The header Content-Type does not name a media type that this call takes.";
    /// JSON with fields that are missing or wrong.
    ValidationFailed = "validation_failed", UNPROCESSABLE_ENTITY, "Validation failed",
        "Some fields are missing or wrong; errors names each.";
    /// More calls than a device or an address may make.
    RateLimited = "rate_limited", TOO_MANY_REQUESTS, "Rate limited",
        "Too many calls; the header Retry-After says when to call again.";
    /// A fault of the server.
    Internal = "internal", INTERNAL_SERVER_ERROR, "Internal error", "The server failed at this call.";
    /// The database does not answer.
    StorageUnavailable = "storage_unavailable", SERVICE_UNAVAILABLE, "Storage unavailable",
        "The storage does not answer; the call may be tried again.";
    /// More scans wait than the server takes on.
    Overloaded = "overloaded", SERVICE_UNAVAILABLE, "Overloaded",
        "Too many scans are waiting; the call may be tried again.";
}

/// A field that is missing or wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub(crate) struct Fault {
    /// Where, as a JSON pointer (RFC 6901) into the body; a query parameter stands as `/name`.
    pub(crate) pointer: String,
    /// What is wrong, in words.
    pub(crate) message: Cow<'static, str>,
}

/// Something that went wrong with a call.
#[derive(Debug)]
pub(crate) struct Problem(Box<Parts>);

#[derive(Debug)]
struct Parts {
    code: Code,
    detail: Option<&'static str>,
    errors: Vec<Fault>,
    session_id: Option<SessionId>,
    checks: Option<serde_json::Value>,
    allow: Option<String>,
    retry_after: Option<Duration>,
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        Self(Box::new(Parts {
            code,
            detail: None,
            errors: Vec::new(),
            session_id: None,
            checks: None,
            allow: None,
            retry_after: match code.status() {
                StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                    Some(Duration::from_secs(1))
                }
                _ => None,
            },
        }))
    }
}

/// It is logged here, once: behind this line nobody sees what the driver said.
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::storage(&error)
    }
}

impl Problem {
    /// The database failed.
    pub(crate) fn storage(error: &StoreError) -> Self {
        tracing::error!(%error, "storage failed");
        Code::StorageUnavailable.into()
    }

    /// Whether the same call may do better later.
    pub(crate) fn is_unavailable(&self) -> bool {
        self.0.code.status() == StatusCode::SERVICE_UNAVAILABLE
    }

    /// A field or more that are missing or wrong.
    pub(crate) fn invalid(errors: Vec<Fault>) -> Self {
        let mut problem = Self::from(Code::ValidationFailed);
        problem.0.errors = errors;
        problem
    }

    /// A conflict with a rule, in words.
    pub(crate) fn conflict(rule: &'static str) -> Self {
        let mut problem = Self::from(Code::Conflict);
        problem.0.detail = Some(rule);
        problem
    }

    /// The device has this session.
    pub(crate) fn session_already_active(session: SessionId) -> Self {
        let mut problem = Self::from(Code::SessionAlreadyActive);
        problem.0.session_id = Some(session);
        problem
    }

    /// A method that the path does not have; `allow` names those that it has.
    pub(crate) fn method_not_allowed(allow: String) -> Self {
        let mut problem = Self::from(Code::MethodNotAllowed);
        problem.0.allow = Some(allow);
        problem
    }

    /// Too many calls; `wait` until the next may come.
    pub(crate) fn rate_limited(wait: Duration) -> Self {
        let mut problem = Self::from(Code::RateLimited);
        problem.0.retry_after = Some(wait);
        problem
    }

    /// The server cannot serve; `checks` says by name which of its parts answer.
    pub(crate) fn not_ready(checks: serde_json::Value) -> Self {
        let mut problem = Self::from(Code::StorageUnavailable);
        problem.0.checks = Some(checks);
        problem
    }

    /// What went wrong, as programs read it.
    #[cfg(test)]
    pub(crate) fn code(&self) -> Code {
        self.0.code
    }

    /// The fields that are missing or wrong.
    #[cfg(test)]
    pub(crate) fn faults(&self) -> &[Fault] {
        &self.0.errors
    }

    /// The document and its headers.
    pub(crate) fn into_response(self, request_id: &str) -> Response<Body> {
        let parts = *self.0;
        let code = parts.code;
        let document = Document {
            kind: format!("{TYPE_PREFIX}{}", code.as_str()),
            title: code.title(),
            status: code.status().as_u16(),
            detail: parts.detail.unwrap_or(code.detail()),
            code: code.as_str(),
            request_id,
            errors: (code == Code::ValidationFailed).then_some(parts.errors),
            session_id: parts.session_id,
            checks: parts.checks,
        };
        let mut response = reply::json(code.status(), &document);
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if code.status() == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(allow) = parts.allow.and_then(|allow| HeaderValue::try_from(allow).ok()) {
            headers.insert(header::ALLOW, allow);
        }
        if let Some(wait) = parts.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
        }
        response
    }
}

/// Rounded up, because a caller that comes back too early is refused again.
fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// A problem document (RFC 9457).
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "Problem")]
pub(crate) struct Document<'a> {
    /// `urn:voelgoed-scan:problem:` and the code.
    #[serde(rename = "type")]
    kind: String,
    /// What the code means in general.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// What it means here.
    detail: &'a str,
    /// What went wrong, as programs read it.
    code: &'a str,
    /// The header `X-Request-Id` of this answer.
    request_id: &'a str,
    /// On `validation_failed`: the fields that are missing or wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<Fault>>,
    /// On `session_already_active`: the session that is active.
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<SessionId>,
    /// Of `/readyz`: which part of the server answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<serde_json::Value>,
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_code_has_its_own_word_in_the_contract() {
        let words: HashSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(words.len(), Code::ALL.len());
        for word in [
            "malformed_json",
            "missing_token",
            "invalid_token",
            "device_inactive",
            "forbidden",
            "not_found",
            "method_not_allowed",
            "session_already_active",
            "no_active_session",
            "scan_id_reused",
            "scan_undone",
            "conflict",
            "body_too_large",
            "unsupported_media_type",
            "validation_failed",
            "rate_limited",
            "storage_unavailable",
            "overloaded",
        ] {
            assert!(words.contains(word), "{word}");
        }
    }

    #[test]
    fn retry_after_is_rounded_up_to_whole_seconds() {
        for (millis, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (19_999, 20)] {
            assert_eq!(
                whole_seconds(Duration::from_millis(millis)),
                seconds,
                "{millis} ms"
            );
        }
    }

    #[test]
    fn a_503_says_when_to_come_back_and_a_401_how_to_identify() {
        let unavailable = Problem::from(Code::StorageUnavailable).into_response("r");
        assert_eq!(unavailable.headers()[header::RETRY_AFTER], "1");
        let missing = Problem::from(Code::MissingToken).into_response("r");
        assert_eq!(missing.headers()[header::WWW_AUTHENTICATE], "Bearer");
        assert_eq!(
            missing.headers()[header::CONTENT_TYPE],
            "application/problem+json"
        );
    }
}
