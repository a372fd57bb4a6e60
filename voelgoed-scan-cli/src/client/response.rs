//! Reads responses. A response without a success status and a broken connection become a [`Failure`].

use std::error::Error;

use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::{Response, StatusCode};

use super::{Client, RESPONSE_TIMEOUT};
use crate::failure::{Failure, Problem};
use crate::output::ResultStream;

/// The largest problem document that is read, in bytes.
const MAX_PROBLEM: usize = 1024 * 1024;

impl Client {
    /// The response itself where its status is a success, else its problem document as a failure.
    pub(super) async fn checked(&self, response: Response<Incoming>) -> Result<Response<Incoming>, Failure> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let is_problem = response
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|media_type| media_type.as_bytes().starts_with(b"application/problem+json"));
        let body = Limited::new(response.into_body(), MAX_PROBLEM).collect().await;
        if is_problem
            && let Ok(body) = body
            && let Ok(problem) = serde_json::from_slice::<Problem>(&body.to_bytes())
        {
            return Err(Failure::Problem(Box::new(problem)));
        }
        Err(match status {
            // A reverse proxy in front of the server reports that the server does not answer.
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                self.unreachable_server(format!("a proxy in front of it answered {status}"))
            }
            _ => self.unexpected_answer(status.to_string()),
        })
    }

    /// The whole body of a response.
    pub(super) async fn collect(&self, response: Response<Incoming>) -> Result<Bytes, Failure> {
        let body = tokio::time::timeout(RESPONSE_TIMEOUT, response.into_body().collect())
            .await
            .map_err(|_| self.unreachable_server("the answer stopped half-way".to_owned()))?
            .map_err(|error| self.connection_failure(&error))?;
        Ok(body.to_bytes())
    }

    /// The body of a response as a stream.
    pub(super) fn body_stream(&self, response: Response<Incoming>) -> ResultStream<Bytes> {
        let client = self.clone();
        let chunks = response.into_body().into_data_stream();
        Box::pin(chunks.map(move |chunk| chunk.map_err(|error| client.connection_failure(&error))))
    }

    /// The failure of a connection.
    pub(super) fn connection_failure(&self, error: &(dyn Error + 'static)) -> Failure {
        let mut reason = error.to_string();
        let mut source = error.source();
        while let Some(inner) = source {
            // The innermost error is the clearest: "Connection refused" instead of "client error (Connect)".
            reason = inner.to_string();
            source = inner.source();
        }
        self.unreachable_server(reason)
    }

    pub(super) fn unreachable_server(&self, reason: String) -> Failure {
        Failure::Unreachable {
            server: self.server.clone(),
            reason,
        }
    }

    pub(super) fn unexpected_answer(&self, answer: String) -> Failure {
        Failure::UnexpectedAnswer {
            server: self.server.clone(),
            answer,
        }
    }
}
