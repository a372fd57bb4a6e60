//! The route table: the router, the 405 answer with its `Allow` header, the checks before each handler and the OpenAPI
//! document all derive from it.
//!
//! Invariants: the checks run in the order of `docs/http-api.md`: route and method, credential, rate, media type,
//! size, JSON, fields, existence of the resource in the path, permission; then the handler.

mod body;
mod builder;
mod router;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use hyper::{HeaderMap, Method, Response, StatusCode};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::auth::Permission;
use crate::body::{BodyStream, ClientGone};
use crate::problem::{Code, Problem};
use crate::request::{AnonymousRequest, PathValues, Request};
use crate::response::ResponseBody;
use crate::state::ServerState;
pub(crate) use body::{FromBody, Json};
pub(crate) use builder::RouteBuilder;
pub(crate) use router::Router;

/// Why a request gets no successful response.
#[derive(Debug)]
pub(crate) enum RequestError {
    /// The response is a problem document.
    Problem(Problem),
    /// The client broke off: there is no response, and the connection is closed.
    ClientGone,
}

impl<P: Into<Problem>> From<P> for RequestError {
    fn from(problem: P) -> Self {
        Self::Problem(problem.into())
    }
}

impl From<ClientGone> for RequestError {
    fn from(ClientGone: ClientGone) -> Self {
        Self::ClientGone
    }
}

/// What a handler returns.
pub(crate) type HandlerResult = Result<Response<ResponseBody>, RequestError>;

/// A handler at work.
pub(crate) type HandlerFuture = Pin<Box<dyn Future<Output = HandlerResult> + Send>>;

/// The request body before it is parsed.
pub(crate) enum RawBody {
    /// The complete body; empty where the route takes none.
    Full(Bytes),
    /// An unread body, which the handler reads line by line.
    Stream(BodyStream),
}

type PublicHandler = Box<dyn Fn(Arc<ServerState>, &HeaderMap, &PathValues) -> HandlerFuture + Send + Sync>;
type AnonymousHandler = Box<dyn Fn(AnonymousRequest<RawBody>) -> HandlerFuture + Send + Sync>;
type AuthenticatedHandler = Box<dyn Fn(Request<RawBody>, Option<&str>) -> HandlerFuture + Send + Sync>;

/// Who may call a route, with the handler for that kind of caller.
pub(crate) enum Access {
    /// Everyone, without a credential and without a body.
    Public(PublicHandler),
    /// Everyone, without a credential but with a body; limited by the rate of the client's address.
    Anonymous(AnonymousHandler),
    /// Callers with a credential and this permission.
    Authenticated(Permission, AuthenticatedHandler),
}

/// Adds the schema of a type to a document and returns it, or a reference to it.
pub(crate) type SchemaFn = fn(&mut SchemaGenerator) -> Schema;

pub(crate) fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// The kind of body that a route takes.
#[derive(Clone, Copy)]
pub(crate) enum BodyKind {
    /// No body.
    Empty,
    /// A JSON object with this schema, of at most this many bytes.
    Json(SchemaFn, usize),
    /// A stream of JSON objects with this schema, one per line.
    Lines(SchemaFn),
}

/// A successful response of a route, for the OpenAPI document.
pub(crate) struct ResponseSpec {
    pub(crate) status: StatusCode,
    pub(crate) description: &'static str,
    /// The headers that matter to a client, each with its description.
    pub(crate) headers: &'static [(&'static str, &'static str)],
    /// Media types, each with its schema where the body is JSON.
    pub(crate) bodies: Vec<(&'static str, Option<SchemaFn>)>,
}

/// A route: method, path, documentation and handler.
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    /// The OpenAPI operation id, in `camelCase`.
    pub(crate) operation_id: &'static str,
    /// The OpenAPI summary.
    pub(crate) summary: &'static str,
    pub(crate) body: BodyKind,
    pub(crate) query: SchemaFn,
    /// The request headers that the handler reads, each with its description.
    pub(crate) headers: &'static [(&'static str, &'static str)],
    pub(crate) responses: Vec<ResponseSpec>,
    /// Problem codes in addition to those that follow from the body, the query and the access.
    pub(crate) codes: Vec<Code>,
    pub(crate) access: Access,
    /// Whether a GET is cancelled after the read timeout. Routes that read a lot of data have none.
    pub(crate) has_read_timeout: bool,
    /// Whether a device has at most one request of this route under way. A second one gets 429.
    pub(crate) one_per_device: bool,
}

impl Route {
    /// Starts the declaration of a GET route.
    pub(crate) fn get(path: &'static str, operation_id: &'static str, summary: &'static str) -> RouteBuilder {
        RouteBuilder::new(Method::GET, path, operation_id, summary)
    }

    /// Starts the declaration of a POST route.
    pub(crate) fn post(
        path: &'static str,
        operation_id: &'static str,
        summary: &'static str,
    ) -> RouteBuilder {
        RouteBuilder::new(Method::POST, path, operation_id, summary)
    }

    /// Starts the declaration of a PUT route.
    pub(crate) fn put(path: &'static str, operation_id: &'static str, summary: &'static str) -> RouteBuilder {
        RouteBuilder::new(Method::PUT, path, operation_id, summary)
    }

    /// Starts the declaration of a PATCH route.
    pub(crate) fn patch(
        path: &'static str,
        operation_id: &'static str,
        summary: &'static str,
    ) -> RouteBuilder {
        RouteBuilder::new(Method::PATCH, path, operation_id, summary)
    }

    /// Starts the declaration of a DELETE route.
    pub(crate) fn delete(
        path: &'static str,
        operation_id: &'static str,
        summary: &'static str,
    ) -> RouteBuilder {
        RouteBuilder::new(Method::DELETE, path, operation_id, summary)
    }
}
