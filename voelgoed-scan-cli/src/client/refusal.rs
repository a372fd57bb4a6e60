//! What becomes of an answer that is not a good one?

use std::error::Error;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::{Response, StatusCode};

use super::Client;
use super::upload::Unreadable;
use crate::failure::{Failure, Problem};

/// The longest problem document that is read, in bytes.
const LONGEST: usize = 1024 * 1024;

impl Client {
    /// The response where it is a good one; else the problem that it tells of.
    pub(super) async fn checked(&self, response: Response<Incoming>) -> Result<Response<Incoming>, Failure> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let is_problem = response
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|form| form.as_bytes().starts_with(b"application/problem+json"));
        let body = Limited::new(response.into_body(), LONGEST).collect().await;
        if is_problem
            && let Ok(body) = body
            && let Ok(problem) = serde_json::from_slice::<Problem>(&body.to_bytes())
        {
            return Err(Failure::Refused(Box::new(problem)));
        }
        Err(match status {
            // What stands before the server says that the server does not answer.
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                self.out_of_reach(format!("a gateway before it answered {status}"))
            }
            _ => self.not_ours(status.to_string()),
        })
    }

    /// A connection that could not be made, or broke; or the upload's own file.
    pub(super) fn broken(&self, error: &(dyn Error + 'static)) -> Failure {
        let mut reason = error.to_string();
        let mut source = error.source();
        while let Some(inner) = source {
            if let Some(Unreadable { path, kind, reason }) = inner.downcast_ref::<Unreadable>() {
                let error = std::io::Error::new(*kind, reason.clone());
                return Failure::File {
                    path: path.clone(),
                    error,
                };
            }
            // The innermost says it best: "Connection refused", not "client error (Connect)".
            reason = inner.to_string();
            source = inner.source();
        }
        self.out_of_reach(reason)
    }

    pub(super) fn out_of_reach(&self, reason: String) -> Failure {
        Failure::OutOfReach {
            server: self.server.clone(),
            reason,
        }
    }

    pub(super) fn not_ours(&self, what: String) -> Failure {
        Failure::NotOurs {
            server: self.server.clone(),
            what,
        }
    }
}
