//! Problem documents of the server (RFC 9457), as far as people need them, and the hint for each problem code.

use std::fmt;

use serde::Deserialize;
use voelgoed_scan_server::problem::Code;

use crate::env;

/// A problem document.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Problem {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The problem code.
    pub(crate) code: String,
    /// The summary of the problem type.
    title: String,
    /// The explanation of this occurrence.
    #[serde(default)]
    detail: Option<String>,
    /// The invalid fields of the request.
    #[serde(default)]
    errors: Vec<FieldError>,
    /// The active session that prevents a new one.
    #[serde(default)]
    session_id: Option<String>,
    /// The id of the request in the server's log.
    #[serde(default)]
    request_id: Option<String>,
}

/// An invalid field.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct FieldError {
    /// The field, as a JSON pointer (RFC 6901).
    pointer: String,
    /// What is wrong with it.
    message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail.as_ref().unwrap_or(&self.title))?;
        for FieldError { pointer, message } in &self.errors {
            let pointer = if pointer.is_empty() { "/" } else { pointer };
            write!(f, "\n  {pointer}: {message}")?;
        }
        write!(f, " ({}", self.code)?;
        if let (500.., Some(id)) = (self.status, &self.request_id) {
            write!(f, ", request {id}")?;
        }
        f.write_str(")")
    }
}

impl Problem {
    /// What to do about the problem. `None` for codes without advice and for codes of a later version.
    ///
    /// The match is exhaustive: a new code breaks the build here.
    pub(super) fn hint(&self) -> Option<String> {
        let code = Code::ALL.iter().find(|code| code.as_str() == self.code)?;
        let hint = match code {
            Code::MissingToken => {
                return Some(format!(
                    "put an API key or a device token in {} or in --token-file FILE",
                    env::TOKEN
                ));
            }
            Code::SessionAlreadyActive => {
                let id = self.session_id.as_deref().unwrap_or("ID");
                return Some(format!(
                    "end it with `voelgoed-scan session end {id}`, or add --replace"
                ));
            }
            Code::InvalidToken => {
                "the token is wrong, was replaced or was revoked; `device rotate` and `apikey create` make new ones"
            }
            Code::DeviceInactive => {
                "the device is inactive or revoked; `voelgoed-scan device set DEVICE --active` takes an inactive one back"
            }
            Code::Forbidden => {
                "scanning needs a device token (vgd_...); all other calls need an API key (vgk_...) whose role allows them"
            }
            Code::OutOfScope => {
                "the device may not work there; `voelgoed-scan device show DEVICE` lists where it may, `device set` changes it"
            }
            Code::NotFound => {
                "look it up: `voelgoed-scan event list`, `gate list --event EVENT`, `device list`"
            }
            Code::NoActiveSession => "start one: `voelgoed-scan session start --event EVENT --gate GATE`",
            Code::RateLimited | Code::Overloaded => "try again in a moment",
            Code::UpgradeRequired => "update the app; the server's --min-app-version refuses this version",
            Code::StorageUnavailable => {
                "the server is up but its database is not; see `voelgoed-scan doctor`"
            }
            Code::Internal => "the server's log says more, under the request's id",
            Code::MethodNotAllowed | Code::UnsupportedMediaType | Code::MalformedJson | Code::BadRequest => {
                "server and command line may be of different versions; see `voelgoed-scan doctor`"
            }
            Code::ScanIdReused
            | Code::ScanUndone
            | Code::Conflict
            | Code::BodyTooLarge
            | Code::RangeNotSatisfiable
            | Code::ValidationFailed => {
                return None;
            }
        };
        Some(hint.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_names_the_invalid_fields() {
        let json = r#"{"status":422,"code":"validation_failed","title":"Wrong fields","errors":[{"pointer":"/name","message":"must not be empty"}]}"#;
        let problem: Problem = serde_json::from_str(json).expect("a problem");
        assert_eq!(
            problem.to_string(),
            "Wrong fields\n  /name: must not be empty (validation_failed)"
        );
    }
}
