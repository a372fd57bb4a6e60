//! How is a call written and its answer read? JSON out, JSON or a problem document in.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::client::{
    ClientError, HttpHeader, HttpMethod, HttpRequest, HttpResponse, Transport, TransportError,
};
use crate::model::{DeviceToken, SessionId};

/// Where and as whom calls are made.
#[derive(Clone, Copy)]
pub(super) struct Caller<'a> {
    pub(super) transport: &'a dyn Transport,
    pub(super) server: &'a str,
    pub(super) token: Option<&'a DeviceToken>,
}

/// A call on its way to being sent.
pub(super) struct Call {
    method: HttpMethod,
    path: String,
    body: Vec<u8>,
    headers: Vec<HttpHeader>,
    timeout: Duration,
}

/// What is read of a problem document.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    code: String,
    detail: String,
    session_id: Option<SessionId>,
}

impl Call {
    pub(super) fn get(path: impl Into<String>, timeout: Duration) -> Self {
        Self {
            method: HttpMethod::Get,
            path: path.into(),
            body: Vec::new(),
            headers: Vec::new(),
            timeout,
        }
    }

    pub(super) fn post(path: impl Into<String>, body: Vec<u8>, timeout: Duration) -> Self {
        Self {
            method: HttpMethod::Post,
            body,
            ..Self::get(path, timeout)
        }
        .header("Content-Type", "application/json")
    }

    pub(super) fn put(path: impl Into<String>, body: Vec<u8>, timeout: Duration) -> Self {
        Self {
            method: HttpMethod::Put,
            ..Self::post(path, body, timeout)
        }
    }

    pub(super) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push(HttpHeader {
            name: name.to_owned(),
            value: value.into(),
        });
        self
    }
}

/// A value as the body of a call.
pub(super) fn json<T: Serialize>(value: &T) -> Result<Vec<u8>, ClientError> {
    serde_json::to_vec(value).map_err(|_| ClientError::UnexpectedAnswer)
}

impl Caller<'_> {
    /// Makes a call; any status is an answer. Waits no longer than the call's timeout, whatever the transport does.
    pub(super) async fn send(&self, call: Call) -> Result<HttpResponse, ClientError> {
        let mut request = HttpRequest {
            method: call.method,
            url: format!("{}{}", self.server, call.path),
            headers: call.headers,
            body: call.body,
            timeout: call.timeout,
        };
        if let Some(token) = self.token {
            request.headers.push(HttpHeader {
                name: "Authorization".to_owned(),
                value: format!("Bearer {}", token.reveal()),
            });
        }
        let answer = tokio::time::timeout(call.timeout, self.transport.send(request)).await;
        Ok(answer.unwrap_or(Err(TransportError::TimedOut))?)
    }

    /// Makes a call whose answer is JSON.
    pub(super) async fn ask<T: DeserializeOwned>(&self, call: Call) -> Result<T, ClientError> {
        let answer = self.send(call).await?;
        read(&answer)
    }
}

/// Reads an answer of JSON, or the refusal that it is.
pub(super) fn read<T: DeserializeOwned>(answer: &HttpResponse) -> Result<T, ClientError> {
    if (200..300).contains(&answer.status) {
        serde_json::from_slice(&answer.body).map_err(|_| ClientError::UnexpectedAnswer)
    } else {
        Err(refusal(answer))
    }
}

/// The refusal that an answer is.
pub(super) fn refusal(answer: &HttpResponse) -> ClientError {
    // Not everything on the way to the server speaks in problem documents: a proxy's page has no code.
    let problem: Problem = serde_json::from_slice(&answer.body).unwrap_or_default();
    if problem.code.is_empty() && answer.status < 400 {
        return ClientError::UnexpectedAnswer;
    }
    ClientError::Refused {
        status: answer.status,
        code: if problem.code.is_empty() {
            format!("http_{}", answer.status)
        } else {
            problem.code
        },
        detail: problem.detail,
        session_id: problem.session_id,
        retry_after_s: answer.header("Retry-After").and_then(|value| value.parse().ok()),
    }
}
