//! How does the command line talk to the server? Over HTTP, in the core's own types; whatever is not a good answer
//! becomes a [`Failure`].

mod connect;
mod refusal;
mod upload;

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Response, Uri};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::output::Coming;

pub(crate) use connect::{Connector, Wire, connector};
pub(crate) use upload::Upload;

/// How long an answer may take to begin. Uploads have no limit.
const PATIENCE: Duration = Duration::from_secs(30);

/// The rows of a page, as many as a server gives.
const PAGE: usize = 500;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Body = UnsyncBoxBody<Bytes, BoxError>;

/// A server as this command line calls it.
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
    /// A client of the server at `server`, which calls with `token`.
    pub(crate) fn new(
        server: &str,
        token: Option<Zeroizing<String>>,
        tls_ca: Option<&Path>,
    ) -> Result<Self, Failure> {
        let authorization = token
            .map(|token| {
                let mut value = HeaderValue::try_from(format!("Bearer {}", *token))
                    .map_err(|_| Failure::unfit("the token", "has characters that no token has"))?;
                value.set_sensitive(true);
                Ok::<_, Failure>(value)
            })
            .transpose()?;
        let server = server.trim_end_matches('/');
        let uri: Uri = server.parse().map_err(|_| not_a_server(server))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.query().is_some() {
            return Err(not_a_server(server));
        }
        Ok(Self {
            http: connect::http(tls_ca)?,
            server: server.to_owned(),
            authorization,
        })
    }

    /// The same server, called with another token.
    pub(crate) fn with_token(&self, token: &str) -> Result<Self, Failure> {
        let mut other = self.clone();
        let mut value = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| Failure::unfit("the token", "has characters that no token has"))?;
        value.set_sensitive(true);
        other.authorization = Some(value);
        Ok(other)
    }

    /// The server's address.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// `GET`.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.value(Method::GET, path, empty()).await
    }

    /// `GET`; `None` where the thing is not there.
    pub(crate) async fn find<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Failure> {
        match self.get(path).await {
            Ok(value) => Ok(Some(value)),
            Err(Failure::Refused(problem)) if problem.status == 404 => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// `GET` of a whole list, page by page.
    pub(crate) async fn all<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, Failure> {
        self.some(path, usize::MAX).await
    }

    /// `GET` of the first rows of a list, page by page.
    pub(crate) async fn some<T: DeserializeOwned>(&self, path: &str, most: usize) -> Result<Vec<T>, Failure> {
        let mut rows = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mut query = Query::new(path);
            query.add("limit", Some((most - rows.len()).clamp(1, PAGE)));
            query.add("cursor", cursor.as_ref());
            let page: Page<T> = self.get(&query.path()).await?;
            rows.extend(page.data);
            cursor = page.next_cursor;
            if cursor.is_none() || rows.len() >= most {
                rows.truncate(most);
                return Ok(rows);
            }
        }
    }

    /// `POST` of a value.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        value: &impl Serialize,
    ) -> Result<T, Failure> {
        self.value(Method::POST, path, full(value)?).await
    }

    /// `POST` of nothing.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.value(Method::POST, path, empty()).await
    }

    /// `PUT` of a value.
    pub(crate) async fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        value: &impl Serialize,
    ) -> Result<T, Failure> {
        self.value(Method::PUT, path, full(value)?).await
    }

    /// `PUT` of nothing.
    pub(crate) async fn end<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.value(Method::PUT, path, empty()).await
    }

    /// `PATCH` with a value.
    pub(crate) async fn patch<T: DeserializeOwned>(
        &self,
        path: &str,
        value: &impl Serialize,
    ) -> Result<T, Failure> {
        self.value(Method::PATCH, path, full(value)?).await
    }

    /// `DELETE`.
    pub(crate) async fn delete(&self, path: &str) -> Result<(), Failure> {
        self.send(Method::DELETE, path, empty(), None).await.map(drop)
    }

    /// `GET` of something that is not JSON, whole.
    pub(crate) async fn file(&self, path: &str) -> Result<Bytes, Failure> {
        let response = self.send(Method::GET, path, empty(), None).await?;
        self.collect(response).await
    }

    /// `GET` of a stream in this form, as it comes.
    pub(crate) async fn stream(&self, path: &str, form: &'static str) -> Result<Coming<Bytes>, Failure> {
        let accept = (ACCEPT, HeaderValue::from_static(form));
        let response = self.send(Method::GET, path, empty(), Some(accept)).await?;
        Ok(self.coming(response))
    }

    /// `GET` of a stream of server-sent events, from after `last` on.
    pub(crate) async fn events(&self, path: &str, last: Option<&str>) -> Result<Coming<Bytes>, Failure> {
        let last = last.and_then(|last| HeaderValue::from_str(last).ok());
        let header = last.map(|last| (HeaderName::from_static("last-event-id"), last));
        let response = self.send(Method::GET, path, empty(), header).await?;
        Ok(self.coming(response))
    }

    /// What the credential begins with, if there is one.
    pub(crate) fn kind(&self) -> Option<&str> {
        self.authorization
            .as_ref()?
            .to_str()
            .ok()?
            .strip_prefix("Bearer ")?
            .get(..4)
    }

    /// `POST` of an NDJSON upload; the answer as it comes.
    pub(crate) async fn upload(&self, path: &str, upload: Upload) -> Result<Coming<Bytes>, Failure> {
        let form = (CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
        let request = self.request(Method::POST, path, upload.into_body(), Some(form))?;
        let response = self
            .http
            .request(request)
            .await
            .map_err(|error| self.broken(&error))?;
        let response = self.checked(response).await?;
        Ok(self.coming(response))
    }

    async fn value<T: DeserializeOwned>(&self, method: Method, path: &str, body: Body) -> Result<T, Failure> {
        let json = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let has_body = !hyper::body::Body::is_end_stream(&body);
        let response = self.send(method, path, body, has_body.then_some(json)).await?;
        let bytes = self.collect(response).await?;
        serde_json::from_slice(&bytes).map_err(|error| self.not_ours(format!("what cannot be read: {error}")))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Body,
        header: Option<(HeaderName, HeaderValue)>,
    ) -> Result<Response<Incoming>, Failure> {
        let request = self.request(method, path, body, header)?;
        let response = tokio::time::timeout(PATIENCE, self.http.request(request))
            .await
            .map_err(|_| self.out_of_reach(format!("no answer within {} s", PATIENCE.as_secs())))?
            .map_err(|error| self.broken(&error))?;
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
            .map_err(|_| not_a_server(&self.server))?;
        let headers = request.headers_mut();
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        if let Some((name, value)) = header {
            headers.insert(name, value);
        }
        Ok(request)
    }

    async fn collect(&self, response: Response<Incoming>) -> Result<Bytes, Failure> {
        let body = tokio::time::timeout(PATIENCE, response.into_body().collect())
            .await
            .map_err(|_| self.out_of_reach("the answer stopped half-way".to_owned()))?
            .map_err(|error| self.broken(&error))?;
        Ok(body.to_bytes())
    }

    fn coming(&self, response: Response<Incoming>) -> Coming<Bytes> {
        let client = self.clone();
        let pieces = response.into_body().into_data_stream();
        Box::pin(pieces.map(move |piece| piece.map_err(|error| client.broken(&error))))
    }
}

/// A path with a query.
pub(crate) struct Query {
    path: String,
    pairs: form_urlencoded::Serializer<'static, String>,
    started: bool,
}

impl Query {
    /// A path that may have a query already.
    pub(crate) fn new(path: &str) -> Self {
        Self {
            started: path.contains('?'),
            path: path.to_owned(),
            pairs: form_urlencoded::Serializer::new(String::new()),
        }
    }

    /// Adds a pair where there is a value.
    pub(crate) fn add(&mut self, name: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.pairs.append_pair(name, &value.to_string());
        }
    }

    /// The path and its query.
    pub(crate) fn path(mut self) -> String {
        let query = self.pairs.finish();
        if query.is_empty() {
            return self.path;
        }
        let mark = if self.started { '&' } else { '?' };
        format!("{}{mark}{query}", self.path)
    }
}

/// The lines of a stream, whatever pieces they come in.
pub(crate) fn lines(mut pieces: Coming<Bytes>) -> Coming<String> {
    let mut waiting: Vec<u8> = Vec::new();
    let mut ended = false;
    Box::pin(futures_util::stream::poll_fn(move |context| {
        use std::task::Poll;
        loop {
            if let Some(end) = waiting.iter().position(|&byte| byte == b'\n') {
                let rest = waiting.split_off(end + 1);
                let mut line = std::mem::replace(&mut waiting, rest);
                line.pop();
                return Poll::Ready(Some(Ok(String::from_utf8_lossy(&line).into_owned())));
            }
            if ended {
                let rest = std::mem::take(&mut waiting);
                let rest = (!rest.is_empty()).then(|| Ok(String::from_utf8_lossy(&rest).into_owned()));
                return Poll::Ready(rest);
            }
            match pieces.poll_next_unpin(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(bytes))) => waiting.extend_from_slice(&bytes),
                Poll::Ready(Some(Err(failure))) => return Poll::Ready(Some(Err(failure))),
                Poll::Ready(None) => ended = true,
            }
        }
    }))
}

fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

fn full(value: &impl Serialize) -> Result<Body, Failure> {
    let json = serde_json::to_vec(value).map_err(|error| Failure::unfit("the request", error))?;
    Ok(Full::new(Bytes::from(json))
        .map_err(|never| match never {})
        .boxed_unsync())
}

fn not_a_server(server: &str) -> Failure {
    Failure::Usage {
        reason: format!("--server {server} is not an address"),
        hint: "give it as http://HOST:PORT or https://HOST",
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{TryStreamExt, stream};

    use super::*;

    #[tokio::test]
    async fn lines_are_the_same_whatever_pieces_they_come_in() {
        let pieces = ["a\nb", "", "b\n", "\nc"].map(|piece| Ok(Bytes::from_static(piece.as_bytes())));
        let lines: Vec<_> = lines(Box::pin(stream::iter(pieces)))
            .try_collect()
            .await
            .expect("lines");
        assert_eq!(lines, ["a", "bb", "", "c"]);
    }

    #[test]
    fn a_query_is_encoded_and_joins_the_one_that_is_there() {
        let mut query = Query::new("/x?limit=1");
        query.add("q", Some("Ann & Bé"));
        query.add("none", None::<u8>);
        assert_eq!(query.path(), "/x?limit=1&q=Ann+%26+B%C3%A9");
        assert_eq!(Query::new("/x").path(), "/x");
    }

    #[test]
    fn only_an_http_address_is_a_server() {
        for address in ["", "localhost", "127.0.0.1:80", "ftp://x", "/x", "http://x?y"] {
            assert!(Client::new(address, None, None).is_err(), "{address:?}");
        }
        assert!(Client::new("http://127.0.0.1:8080/", None, None).is_ok());
    }
}
