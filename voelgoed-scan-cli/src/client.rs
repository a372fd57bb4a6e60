//! The HTTP client of the commands. Requests and responses have the core's types; every response without a success
//! status becomes a [`Failure`].

mod connect;
mod lines;
mod query;
mod response;
mod upload;

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Response, Uri};
use serde::Serialize;
use serde::de::DeserializeOwned;
use voelgoed_scan_core::model::Timestamp;
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::output::ResultStream;

pub(crate) use connect::{Connector, Transport, connector};
pub(crate) use lines::lines;
pub(crate) use query::Query;
pub(crate) use upload::Upload;

/// The limit for the head of a response, and again for its body. Uploads and streams have none.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// The largest page of a list that the server returns.
const MAX_PAGE: usize = 500;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Body = UnsyncBoxBody<Bytes, BoxError>;

/// A client of one server with one credential.
#[derive(Clone)]
pub(crate) struct Client {
    http: connect::Http,
    server: String,
    authorization: Option<HeaderValue>,
}

/// A page of a list.
#[derive(serde::Deserialize)]
struct Page<T> {
    data: Vec<T>,
    next_cursor: Option<String>,
}

impl Client {
    /// A client of the server at `server` with the credential `token`.
    ///
    /// Fails where `server` is no `http` or `https` URL, or `tls_ca` is no file of certificates.
    pub(crate) fn new(
        server: &str,
        token: Option<Zeroizing<String>>,
        tls_ca: Option<&Path>,
    ) -> Result<Self, Failure> {
        let authorization = token.map(|token| bearer(&token)).transpose()?;
        let server = server.trim_end_matches('/');
        let uri: Uri = server.parse().map_err(|_| invalid_server(server))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.query().is_some() {
            return Err(invalid_server(server));
        }
        Ok(Self {
            http: connect::http(tls_ca)?,
            server: server.to_owned(),
            authorization,
        })
    }

    /// A client of the same server with another credential.
    pub(crate) fn with_token(&self, token: &str) -> Result<Self, Failure> {
        Ok(Self {
            authorization: Some(bearer(token)?),
            ..self.clone()
        })
    }

    /// The server's address.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// `GET`.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.json(Method::GET, path, empty()).await
    }

    /// `GET` of what the server takes its time to compute.
    pub(crate) async fn get_patiently<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let request = self.request(Method::GET, path, empty(), None)?;
        let response = self
            .http
            .request(request)
            .await
            .map_err(|error| self.connection_failure(&error))?;
        let response = self.checked(response).await?;
        self.parsed(response).await
    }

    /// `GET`; `None` on status 404.
    pub(crate) async fn find<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Failure> {
        match self.get(path).await {
            Ok(value) => Ok(Some(value)),
            Err(Failure::Problem(problem)) if problem.status == 404 => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// `GET` of a whole list, page by page.
    pub(crate) async fn all<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, Failure> {
        self.first(path, usize::MAX).await
    }

    /// `GET` of the first `limit` rows of a list, page by page.
    pub(crate) async fn first<T: DeserializeOwned>(
        &self,
        path: &str,
        limit: usize,
    ) -> Result<Vec<T>, Failure> {
        let mut rows = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let size = (limit - rows.len()).clamp(1, MAX_PAGE);
            let page: Page<T> = self.get(&page_path(path, size, cursor.as_ref())).await?;
            rows.extend(page.data);
            cursor = page.next_cursor;
            if cursor.is_none() || rows.len() >= limit {
                rows.truncate(limit);
                return Ok(rows);
            }
        }
    }

    /// `GET` of a whole list. `receive` takes each page.
    pub(crate) async fn pages<T: DeserializeOwned>(
        &self,
        path: &str,
        mut receive: impl FnMut(Vec<T>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut cursor: Option<String> = None;
        loop {
            let path = {
                let mut query = Query::new(path);
                query.add("limit", Some(MAX_PAGE));
                query.add("cursor", cursor.as_ref());
                query.path()
            };
            let page: Page<T> = self.get(&path).await?;
            receive(page.data)?;
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(());
            }
        }
    }

    /// The server's clock, to the second.
    pub(crate) async fn server_time(&self) -> Result<Timestamp, Failure> {
        let response = self.send(Method::GET, "/healthz", empty(), None).await?;
        let date = response.headers().get(DATE).and_then(|date| date.to_str().ok());
        date.and_then(parse_date)
            .ok_or_else(|| self.unexpected_answer("no date".to_owned()))
    }

    /// `POST` with a JSON body.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        value: &impl Serialize,
    ) -> Result<T, Failure> {
        self.json(Method::POST, path, full(value)?).await
    }

    /// `POST` without a body.
    pub(crate) async fn post_empty<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.json(Method::POST, path, empty()).await
    }

    /// `PUT` with a JSON body.
    pub(crate) async fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        value: &impl Serialize,
    ) -> Result<T, Failure> {
        self.json(Method::PUT, path, full(value)?).await
    }

    /// `PUT` without a body.
    pub(crate) async fn put_empty<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.json(Method::PUT, path, empty()).await
    }

    /// `PATCH` with a JSON body.
    pub(crate) async fn patch<T: DeserializeOwned>(
        &self,
        path: &str,
        value: &impl Serialize,
    ) -> Result<T, Failure> {
        self.json(Method::PATCH, path, full(value)?).await
    }

    /// `DELETE`.
    pub(crate) async fn delete(&self, path: &str) -> Result<(), Failure> {
        self.send(Method::DELETE, path, empty(), None).await.map(drop)
    }

    /// `DELETE` that may take long, without a timeout.
    pub(crate) async fn delete_patiently<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let request = self.request(Method::DELETE, path, empty(), None)?;
        let response = self
            .http
            .request(request)
            .await
            .map_err(|error| self.connection_failure(&error))?;
        let response = self.checked(response).await?;
        let bytes = self.collect(response).await?;
        serde_json::from_slice(&bytes)
            .map_err(|error| self.unexpected_answer(format!("JSON of another form ({error})")))
    }

    /// `GET` of a body that is not JSON, as a whole.
    pub(crate) async fn get_bytes(&self, path: &str) -> Result<Bytes, Failure> {
        let response = self.send(Method::GET, path, empty(), None).await?;
        self.collect(response).await
    }

    /// `GET` of a streamed body in the media type `accept`.
    pub(crate) async fn stream(
        &self,
        path: &str,
        accept: &'static str,
    ) -> Result<ResultStream<Bytes>, Failure> {
        let accept = (ACCEPT, HeaderValue::from_static(accept));
        let response = self.send(Method::GET, path, empty(), Some(accept)).await?;
        Ok(self.body_stream(response))
    }

    /// `GET` of a stream of server-sent events. With `last_event_id` the stream begins after that event.
    pub(crate) async fn events(
        &self,
        path: &str,
        last_event_id: Option<&str>,
    ) -> Result<ResultStream<Bytes>, Failure> {
        let last = last_event_id.and_then(|id| HeaderValue::from_str(id).ok());
        let header = last.map(|last| (HeaderName::from_static("last-event-id"), last));
        let response = self.send(Method::GET, path, empty(), header).await?;
        Ok(self.body_stream(response))
    }

    /// The first four characters of the credential, which tell its kind: `vgk_` or `vgd_`.
    pub(crate) fn token_prefix(&self) -> Option<&str> {
        self.authorization
            .as_ref()?
            .to_str()
            .ok()?
            .strip_prefix("Bearer ")?
            .get(..4)
    }

    /// `POST` of NDJSON without a timeout. Returns the response body as a stream.
    pub(crate) async fn upload(&self, path: &str, upload: Upload) -> Result<ResultStream<Bytes>, Failure> {
        let content_type = (CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
        let request = self.request(Method::POST, path, upload.into_body(), Some(content_type))?;
        let response = self
            .http
            .request(request)
            .await
            .map_err(|error| self.connection_failure(&error))?;
        let response = self.checked(response).await?;
        Ok(self.body_stream(response))
    }

    async fn json<T: DeserializeOwned>(&self, method: Method, path: &str, body: Body) -> Result<T, Failure> {
        let content_type = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let has_body = !hyper::body::Body::is_end_stream(&body);
        let response = self
            .send(method, path, body, has_body.then_some(content_type))
            .await?;
        self.parsed(response).await
    }

    async fn parsed<T: DeserializeOwned>(&self, response: Response<Incoming>) -> Result<T, Failure> {
        let bytes = self.collect(response).await?;
        serde_json::from_slice(&bytes)
            .map_err(|error| self.unexpected_answer(format!("JSON of another form ({error})")))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Body,
        header: Option<(HeaderName, HeaderValue)>,
    ) -> Result<Response<Incoming>, Failure> {
        let request = self.request(method, path, body, header)?;
        let response = tokio::time::timeout(RESPONSE_TIMEOUT, self.http.request(request))
            .await
            .map_err(|_| {
                self.unreachable_server(format!("no answer within {} s", RESPONSE_TIMEOUT.as_secs()))
            })?
            .map_err(|error| self.connection_failure(&error))?;
        self.checked(response).await
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Body,
        header: Option<(HeaderName, HeaderValue)>,
    ) -> Result<Request<Body>, Failure> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.server))
            .header(USER_AGENT, concat!("voelgoed-scan/", env!("CARGO_PKG_VERSION")))
            .body(body)
            .map_err(|_| invalid_server(&self.server))?;
        let headers = request.headers_mut();
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        if let Some((name, value)) = header {
            headers.insert(name, value);
        }
        Ok(request)
    }
}

/// The path of a page of a list.
fn page_path(path: &str, limit: usize, cursor: Option<&String>) -> String {
    let mut query = Query::new(path);
    query.add("limit", Some(limit));
    query.add("cursor", cursor);
    query.path()
}

fn bearer(token: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::try_from(format!("Bearer {token}"))
        .map_err(|_| Failure::invalid("the token", "has characters that no token has"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Parses the value of a header `Date` (RFC 9110, 5.6.7).
fn parse_date(text: &str) -> Option<Timestamp> {
    let parser = jiff::fmt::rfc2822::DateTimeParser::new();
    let at = parser.parse_timestamp(text).ok()?;
    Some(Timestamp::from_millis(at.as_millisecond()))
}

fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

fn full(value: &impl Serialize) -> Result<Body, Failure> {
    let json = serde_json::to_vec(value).map_err(|error| Failure::invalid("the request", error))?;
    Ok(Full::new(Bytes::from(json))
        .map_err(|never| match never {})
        .boxed_unsync())
}

fn invalid_server(server: &str) -> Failure {
    Failure::Usage {
        reason: format!("--server {server} is not an address"),
        hint: "give it as http://HOST:PORT or https://HOST",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_of_a_response_is_the_servers_time() {
        let at = parse_date("Sun, 29 Nov 2026 12:15:10 GMT").map(|at| at.to_string());
        assert_eq!(at.as_deref(), Some("2026-11-29T12:15:10.000Z"));
        assert_eq!(parse_date("today"), None);
    }

    #[test]
    fn only_an_http_url_is_a_server_address() {
        for address in ["", "localhost", "127.0.0.1:80", "ftp://x", "/x", "http://x?y"] {
            assert!(Client::new(address, None, None).is_err(), "{address:?}");
        }
        assert!(Client::new("http://127.0.0.1:8080/", None, None).is_ok());
    }
}
