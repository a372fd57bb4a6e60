//! The failures of all commands, with their exit codes and hints. This is the only table of them.

mod problem;

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use voelgoed_scan_core::node::SetupError;
use voelgoed_scan_core::store::{OpenError, StoreError};
use voelgoed_scan_server::StartError;
use voelgoed_scan_server::secret::SecretError;

use crate::env;

pub(crate) use problem::Problem;

/// The exit codes of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The command did what it should.
    Done = 0,
    /// The command failed.
    Failed = 1,
    /// The command line was wrong.
    Usage = 2,
    /// A scan was denied.
    Denied = 3,
    /// The server did not accept the credential (401, 403).
    NotAllowed = 4,
    /// The server or the database could not be reached.
    Unreachable = 5,
}

impl Exit {
    /// This exit code, or `later` where this one is [`Exit::Done`].
    #[must_use]
    pub(crate) fn or(self, later: Self) -> Self {
        if self == Self::Done { later } else { self }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error that ends a command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The connection could not be made, or it broke.
    #[error("{server} is out of reach: {reason}")]
    Unreachable {
        /// The server's address.
        server: String,
        /// The innermost error of the connection.
        reason: String,
    },
    /// The server answered with a problem document.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// The server's answer is none that a voelgoed-scan-server gives.
    #[error("{server} answered {answer}: it does not seem to be a voelgoed-scan-server")]
    UnexpectedAnswer {
        /// The server's address.
        server: String,
        /// A description of the answer.
        answer: String,
    },
    /// A file or a stream cannot be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        error: std::io::Error,
    },
    /// Standard output cannot be written.
    #[error("the output cannot be written: {0}")]
    Output(#[from] std::io::Error),
    /// The master secret is missing or invalid.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The database cannot be opened or does not answer.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The scanner cannot be set up on this database.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The server of this process cannot be started.
    #[error("the server does not start: {0}")]
    Start(#[from] StartError),
    /// An input or an answer is invalid.
    #[error("{what} {reason}")]
    Invalid {
        /// The input.
        what: String,
        /// What is wrong with it, as the rest of a sentence that begins with `what`.
        reason: String,
        /// What to do instead.
        hint: Option<&'static str>,
    },
    /// The command line is wrong in a way that clap does not check.
    #[error("{reason}")]
    Usage {
        /// What is wrong.
        reason: String,
        /// What to do instead.
        hint: &'static str,
    },
    /// There is no resource of this name.
    #[error("no {kind} {name:?}")]
    NotFound {
        /// The kind of the resource.
        kind: &'static str,
        /// The name that was looked up.
        name: String,
        /// How to find the right one.
        hint: &'static str,
    },
    /// Nothing has this name.
    #[error("no {kind} is called {name:?}")]
    NoSuchName {
        /// The kind of what was looked for.
        kind: &'static str,
        /// The name that was typed.
        name: String,
        /// The names that are most like it.
        near: Vec<String>,
        /// How to see them all.
        hint: &'static str,
    },
    /// Several have this name.
    #[error("{name:?} may be one of {} {kind}s:\n  {}", found.len(), found.join("\n  "))]
    Ambiguous {
        /// The kind of what was looked for.
        kind: &'static str,
        /// The name that was typed.
        name: String,
        /// A line for each that has it, with its id.
        found: Vec<String>,
    },
    /// There already is a resource of this name.
    #[error("there already is an {kind} {name}")]
    AlreadyExists {
        /// The kind of the resource.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What to do instead.
        hint: &'static str,
    },
}

impl Failure {
    /// An invalid input, without a hint. `reason` continues a sentence that begins with `what`.
    pub(crate) fn invalid(what: impl Into<String>, reason: impl Display) -> Self {
        Self::Invalid {
            what: what.into(),
            reason: reason.to_string(),
            hint: None,
        }
    }

    /// A file that cannot be read or written.
    pub(crate) fn file(path: &Path, error: std::io::Error) -> Self {
        Self::File {
            path: path.to_owned(),
            error,
        }
    }

    /// The exit code.
    #[must_use]
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Problem(problem) if matches!(problem.status, 401 | 403) => Exit::NotAllowed,
            Self::Unreachable { .. }
            | Self::Store(OpenError::Store(StoreError::Unavailable { .. }))
            | Self::Setup(SetupError::Store(StoreError::Unavailable { .. })) => Exit::Unreachable,
            Self::Usage { .. }
            | Self::NoSuchName { .. }
            | Self::Ambiguous { .. }
            | Self::Secret(
                SecretError::Missing | SecretError::Twice { .. } | SecretError::NotADatabase { .. },
            ) => Exit::Usage,
            Self::Problem(_)
            | Self::UnexpectedAnswer { .. }
            | Self::File { .. }
            | Self::Output(_)
            | Self::Secret(_)
            | Self::Store(_)
            | Self::Setup(_)
            | Self::Start(_)
            | Self::Invalid { .. }
            | Self::NotFound { .. }
            | Self::AlreadyExists { .. } => Exit::Failed,
        }
    }

    /// What to do next, where there is a general advice.
    #[must_use]
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Unreachable { reason, server } if is_wrong_scheme(reason) => {
                let other = match server.strip_prefix("https://") {
                    Some(rest) => format!("http://{rest}"),
                    None => format!("https://{}", server.trim_start_matches("http://")),
                };
                Some(format!(
                    "this port seems to speak the other protocol: try --server {other}"
                ))
            }
            Self::Unreachable { .. } => Some(format!(
                "is it running, and is this its address? Choose another with --server URL or {}",
                env::SERVER
            )),
            Self::NoSuchName { near, hint, .. } => Some(if near.is_empty() {
                (*hint).to_owned()
            } else {
                format!("did you mean {}? {hint}", near.join(", "))
            }),
            Self::Ambiguous { .. } => Some("give the id, or its start or end".to_owned()),
            Self::UnexpectedAnswer { .. } => Some("check the address: --server URL".to_owned()),
            Self::Problem(problem) => problem.hint(),
            Self::Invalid { hint, .. } => hint.map(str::to_owned),
            Self::Usage { hint, .. } | Self::NotFound { hint, .. } | Self::AlreadyExists { hint, .. } => {
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

    /// Whether the reader of standard output closed it, as in `voelgoed-scan ... | head`.
    #[must_use]
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
    }

    /// Whether the same request may succeed when it is sent again.
    #[must_use]
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Problem(problem) => matches!(problem.status, 429 | 503),
            _ => false,
        }
    }
}

/// Whether a connection failed as one with TLS does at a port without, or the other way round.
fn is_wrong_scheme(reason: &str) -> bool {
    [
        "InvalidContentType",
        "corrupt message",
        "invalid HTTP version parsed",
        "invalid HTTP status-code parsed",
    ]
    .iter()
    .any(|sign| reason.contains(sign))
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(OpenError::Store(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(status: u16, code: &str) -> Failure {
        let json = format!(r#"{{"status":{status},"code":"{code}","title":"T","type":"t"}}"#);
        Failure::Problem(Box::new(serde_json::from_str(&json).expect("a problem")))
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
                Failure::Unreachable {
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
    fn the_wrong_scheme_is_told_the_right_one() {
        for (server, reason, hint) in [
            (
                "https://gate:8080",
                "received corrupt message of type InvalidContentType",
                "--server http://gate:8080",
            ),
            (
                "http://gate:8443",
                "invalid HTTP version parsed",
                "--server https://gate:8443",
            ),
            (
                "http://gate:8443",
                "Connection refused (os error 111)",
                "is it running",
            ),
        ] {
            let failure = Failure::Unreachable {
                server: server.to_owned(),
                reason: reason.to_owned(),
            };
            let text = failure.hint().expect("a hint");
            assert!(text.contains(hint), "{text}");
        }
    }

    #[test]
    fn the_first_exit_code_other_than_done_wins() {
        assert_eq!(Exit::Done.or(Exit::Denied).or(Exit::Done), Exit::Denied);
        assert_eq!(Exit::Done.or(Exit::Done), Exit::Done);
    }
}
