//! What went wrong, what can be done about it, and which exit code says so? The one table of failures.

use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;

use serde::Deserialize;

use voelgoed_scan_core::node::SetupError;
use voelgoed_scan_core::store::{OpenError, StoreError};
use voelgoed_scan_server::StartError;
use voelgoed_scan_server::problem::Code;
use voelgoed_scan_server::secret::SecretError;

use crate::world;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// Wrong usage.
    Usage = 2,
    /// A scan was denied.
    Denied = 3,
    /// Not allowed.
    NotAllowed = 4,
    /// The server is out of reach.
    OutOfReach = 5,
}

impl Exit {
    /// The end of a program that did this and then that: the first that is not [`Exit::Done`].
    #[must_use]
    pub(crate) fn and(self, later: Self) -> Self {
        if self == Self::Done { later } else { self }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An answer that says no: RFC 9457, as far as a person needs it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Problem {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The problem's short name.
    pub(crate) code: String,
    /// What it is, in a few words.
    pub(crate) title: String,
    /// What it is this time.
    #[serde(default)]
    pub(crate) detail: Option<String>,
    /// The fields that are wrong.
    #[serde(default)]
    pub(crate) errors: Vec<FieldError>,
    /// The session that is in the way.
    #[serde(default)]
    pub(crate) session_id: Option<String>,
    /// What the server's log calls the request.
    #[serde(default)]
    pub(crate) request_id: Option<String>,
}

/// A field that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct FieldError {
    /// Where it stands: a JSON pointer.
    pub(crate) pointer: String,
    /// What is wrong with it.
    pub(crate) message: String,
}

/// Whatever keeps a command from its result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// No connection, or it broke.
    #[error("{server} is out of reach: {reason}")]
    OutOfReach {
        /// The server.
        server: String,
        /// What the connection said.
        reason: String,
    },
    /// The server said no.
    #[error("{}", describe(.0))]
    Refused(Box<Problem>),
    /// An answer that no server of this kind gives.
    #[error("{server} answered {what}: it does not seem to be a voelgoed-scan-server")]
    NotOurs {
        /// The server.
        server: String,
        /// What it answered.
        what: String,
    },
    /// A file or a stream that cannot be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// Standard output that cannot be written.
    #[error("the output cannot be written: {0}")]
    Output(#[from] std::io::Error),
    /// A master secret that is missing or none.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A database that cannot be opened or does not answer.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// A gate that cannot be put together.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// A server that cannot be started in this process.
    #[error("the server does not start: {0}")]
    Start(#[from] StartError),
    /// Something that is given is not what it should be.
    #[error("{what} {reason}")]
    Unfit {
        /// What is given.
        what: String,
        /// What is wrong with it.
        reason: String,
        /// What to do instead.
        hint: Option<&'static str>,
    },
    /// A command line that clap cannot see the fault of.
    #[error("{reason}")]
    Usage {
        /// What is wrong.
        reason: String,
        /// What to do instead.
        hint: &'static str,
    },
    /// The thing that is named by a text is not there.
    #[error("no {kind} {name:?}")]
    Unknown {
        /// What kind of thing.
        kind: &'static str,
        /// What it was called.
        name: String,
        /// How to find the right one.
        hint: &'static str,
    },
    /// There already is a thing of that name.
    #[error("there already is an {kind} {name}")]
    Taken {
        /// What kind of thing.
        kind: &'static str,
        /// What it is called.
        name: String,
        /// What to do instead.
        hint: &'static str,
    },
}

impl Failure {
    /// Something given that is not what it should be.
    pub(crate) fn unfit(what: impl Into<String>, reason: impl Display) -> Self {
        Self::Unfit {
            what: what.into(),
            reason: reason.to_string(),
            hint: None,
        }
    }

    /// The exit code that says so.
    #[must_use]
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Refused(problem) if matches!(problem.status, 401 | 403) => Exit::NotAllowed,
            Self::OutOfReach { .. }
            | Self::Store(OpenError::Store(StoreError::Unavailable { .. }))
            | Self::Setup(SetupError::Store(StoreError::Unavailable { .. })) => Exit::OutOfReach,
            Self::Usage { .. } | Self::Secret(SecretError::Missing | SecretError::Twice { .. }) => {
                Exit::Usage
            }
            Self::Refused(_)
            | Self::NotOurs { .. }
            | Self::File { .. }
            | Self::Output(_)
            | Self::Secret(_)
            | Self::Store(_)
            | Self::Setup(_)
            | Self::Start(_)
            | Self::Unfit { .. }
            | Self::Unknown { .. }
            | Self::Taken { .. } => Exit::Failed,
        }
    }

    /// What to do next.
    #[must_use]
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::OutOfReach { .. } => Some(format!(
                "is it running, and is this its address? Choose another with --server URL or {}",
                world::SERVER
            )),
            Self::NotOurs { .. } => Some("check the address: --server URL".to_owned()),
            Self::Refused(problem) => problem_hint(problem),
            Self::Unfit { hint, .. } => hint.map(str::to_owned),
            Self::Usage { hint, .. } | Self::Unknown { hint, .. } | Self::Taken { hint, .. } => {
                Some((*hint).to_owned())
            }
            Self::Secret(SecretError::Missing) => Some("it must be the servers' own".to_owned()),
            Self::Setup(SetupError::Keys { .. }) => {
                Some("give the secret settings of the servers that use this database".to_owned())
            }
            Self::Store(_) | Self::Setup(_) => Some("check --database-url".to_owned()),
            Self::File { .. } | Self::Output(_) | Self::Secret(_) | Self::Start(_) => None,
        }
    }

    /// Whether whoever reads the output went away: `voelgoed-scan ... | head`.
    #[must_use]
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
    }

    /// Whether the same request may be answered if it is sent again.
    #[must_use]
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::OutOfReach { .. } => true,
            Self::Refused(problem) => matches!(problem.status, 429 | 503),
            _ => false,
        }
    }
}

fn describe(problem: &Problem) -> String {
    let mut text = problem.detail.clone().unwrap_or_else(|| problem.title.clone());
    for FieldError { pointer, message } in &problem.errors {
        text.push_str("\n  ");
        text.push_str(if pointer.is_empty() { "/" } else { pointer });
        text.push_str(": ");
        text.push_str(message);
    }
    text.push_str(" (");
    text.push_str(&problem.code);
    if let (500.., Some(id)) = (problem.status, &problem.request_id) {
        text.push_str(", request ");
        text.push_str(id);
    }
    text.push(')');
    text
}

/// What to do about a problem. A code that this version does not know has no hint; one that it does know stands here,
/// or the build breaks.
fn problem_hint(problem: &Problem) -> Option<String> {
    let code = Code::ALL.iter().find(|code| code.as_str() == problem.code)?;
    let hint = match code {
        Code::MissingToken => {
            return Some(format!(
                "put an API key or a device token in {} or in --token-file FILE",
                world::TOKEN
            ));
        }
        Code::SessionAlreadyActive => {
            let id = problem.session_id.as_deref().unwrap_or("ID");
            return Some(format!(
                "end it with `voelgoed-scan session end {id}`, or add --replace"
            ));
        }
        Code::InvalidToken => {
            "the token is wrong, was replaced or was revoked; `device rotate` and `apikey create` make new ones"
        }
        Code::DeviceInactive => "the device was switched off; `voelgoed-scan device list` shows its status",
        Code::Forbidden => {
            "scanning takes a device token (vgd_...); all else takes an API key (vgk_...) whose role allows it"
        }
        Code::NotFound => "look it up: `voelgoed-scan event list`, `gate list --event EVENT`, `device list`",
        Code::NoActiveSession => "start one: `voelgoed-scan session start --event EVENT --gate GATE`",
        Code::RateLimited | Code::Overloaded => "try again in a moment",
        Code::StorageUnavailable => "the server is up but its database is not; see `voelgoed-scan doctor`",
        Code::Internal => "the server's log says more, under the request's id",
        Code::MethodNotAllowed | Code::UnsupportedMediaType | Code::MalformedJson => {
            "server and command line may be of different versions; see `voelgoed-scan doctor`"
        }
        Code::ScanIdReused
        | Code::ScanUndone
        | Code::Conflict
        | Code::BodyTooLarge
        | Code::ValidationFailed => {
            return None;
        }
    };
    Some(hint.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(status: u16, code: &str) -> Failure {
        let json = format!(r#"{{"status":{status},"code":"{code}","title":"T","type":"t"}}"#);
        Failure::Refused(Box::new(serde_json::from_str(&json).expect("a problem")))
    }

    #[test]
    fn exit_codes_are_those_of_the_contract() {
        for (failure, code) in [
            (problem(401, "missing_token"), 4),
            (problem(403, "forbidden"), 4),
            (problem(404, "not_found"), 1),
            (problem(422, "validation_failed"), 1),
            (problem(503, "storage_unavailable"), 1),
            (
                Failure::OutOfReach {
                    server: String::new(),
                    reason: String::new(),
                },
                5,
            ),
            (
                Failure::Usage {
                    reason: String::new(),
                    hint: "",
                },
                2,
            ),
        ] {
            assert_eq!(failure.exit() as u8, code, "{failure:?}");
        }
    }

    #[test]
    fn the_first_end_that_is_not_done_stays() {
        assert_eq!(Exit::Done.and(Exit::Denied).and(Exit::Done), Exit::Denied);
        assert_eq!(Exit::Done.and(Exit::Done), Exit::Done);
    }

    #[test]
    fn wrong_fields_are_named() {
        let json = r#"{"status":422,"code":"validation_failed","title":"Wrong fields","errors":[{"pointer":"/name","message":"must not be empty"}]}"#;
        let failure = Failure::Refused(Box::new(serde_json::from_str(json).expect("a problem")));
        assert_eq!(
            failure.to_string(),
            "Wrong fields\n  /name: must not be empty (validation_failed)"
        );
    }
}
