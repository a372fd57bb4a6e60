//! Requests to the server's HTTP API: JSON in requests, JSON or problem documents (RFC 9457) in responses.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::client::{
    ClientError, HttpHeader, HttpMethod, HttpRequest, HttpResponse, ScannerClient, Transport, TransportError,
};
use crate::model::{App, DeviceToken, SessionId};

/// Sends requests to one server with one device token.
#[derive(Clone, Copy)]
pub(super) struct ApiClient<'a> {
    pub(super) transport: &'a dyn Transport,
    pub(super) server: &'a str,
    pub(super) token: Option<&'a DeviceToken>,
    /// Learns of refusals.
    pub(super) client: Option<&'a ScannerClient>,
}

/// A request without the server's address and the token.
pub(super) struct ApiRequest {
    method: HttpMethod,
    path: String,
    body: Vec<u8>,
    headers: Vec<HttpHeader>,
    timeout: Duration,
}

/// The beginning of the `type` of every problem document of the server.
const PROBLEM_TYPE: &str = "urn:voelgoed-scan:problem:";

/// The members of a problem document that the client uses.
#[derive(Deserialize)]
struct Problem {
    r#type: String,
    code: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    session_id: Option<SessionId>,
}

impl ApiRequest {
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

/// Serialises a request body.
pub(super) fn to_json<T: Serialize>(value: &T) -> Result<Vec<u8>, ClientError> {
    serde_json::to_vec(value).map_err(|_| ClientError::UnexpectedAnswer)
}

impl ApiClient<'_> {
    /// Sends a request and returns the response, whatever its status. Enforces the request's timeout even if the
    /// transport does not.
    pub(super) async fn send(&self, request: ApiRequest) -> Result<HttpResponse, ClientError> {
        let timeout = request.timeout;
        let mut http_request = HttpRequest {
            method: request.method,
            url: format!("{}{}", self.server, request.path),
            headers: request.headers,
            body: request.body,
            timeout,
        };
        if let Some(token) = self.token {
            http_request.headers.push(HttpHeader {
                name: "Authorization".to_owned(),
                value: format!("Bearer {}", token.reveal()),
            });
        }
        if let Some(client) = self.client {
            http_request.headers.extend(app_version(&client.setup.app));
            http_request.headers.push(HttpHeader {
                name: "Accept-Language".to_owned(),
                value: client.language().as_str().to_owned(),
            });
        }
        let response = tokio::time::timeout(timeout, self.transport.send(http_request)).await;
        let response = response.unwrap_or(Err(TransportError::TimedOut))?;
        if let Some(client) = self.client
            && response.status >= 400
        {
            client.note_refusal(&refusal(&response)).await;
        }
        Ok(response)
    }

    /// Sends a request and parses the JSON of its response.
    pub(super) async fn call<T: DeserializeOwned>(&self, request: ApiRequest) -> Result<T, ClientError> {
        let response = self.send(request).await?;
        parse_response(&response)
    }
}

/// Returns the header by which the server knows an app that is too old. A header cannot contain every name of a version.
fn app_version(app: &App) -> Option<HttpHeader> {
    let value = app.version.to_string();
    let is_ascii = value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    is_ascii.then(|| HttpHeader {
        name: "X-App-Version".to_owned(),
        value,
    })
}

/// Parses the JSON of a successful response. Returns any other response as an error.
pub(super) fn parse_response<T: DeserializeOwned>(response: &HttpResponse) -> Result<T, ClientError> {
    if (200..300).contains(&response.status) {
        serde_json::from_slice(&response.body).map_err(|_| ClientError::UnexpectedAnswer)
    } else {
        Err(refusal(response))
    }
}

/// Converts a response that is not a success into an error. Only a problem document of the server is a refusal. A proxy and
/// a captive portal send pages, redirects and JSON of their own.
pub(super) fn refusal(response: &HttpResponse) -> ClientError {
    let problem = match serde_json::from_slice::<Problem>(&response.body) {
        Ok(problem)
            if response.status >= 400
                && problem.r#type.strip_prefix(PROBLEM_TYPE) == Some(&*problem.code) =>
        {
            problem
        }
        _ => return ClientError::UnexpectedAnswer,
    };
    ClientError::Refused {
        status: response.status,
        code: problem.code,
        detail: problem.detail,
        session_id: problem.session_id,
        retry_after_s: response
            .header("Retry-After")
            .and_then(|value| value.parse().ok()),
    }
}
