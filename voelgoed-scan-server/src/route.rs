//! Which calls are there? One table: the router, the 405 with its `Allow`, the checks before an endpoint and the OpenAPI
//! document all read it.
//!
//! The order of the checks is the contract's: route and method, credential, rate, media type, size, JSON, fields, the
//! thing that the path names, permission; then the endpoint.

mod declare;
mod table;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::{Method, Response, StatusCode};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::auth::Permission;
use crate::call::{Call, Visit};
use crate::intake::Hangup;
use crate::node::Node;
use crate::problem::{Code, Problem};
use crate::reply::Body;
pub(crate) use declare::{Declaration, Json};
pub(crate) use table::Routes;

/// Why a call is not answered as it wished.
#[derive(Debug)]
pub(crate) enum Stop {
    /// With a problem document.
    Problem(Problem),
    /// Not at all: the connection is closed.
    Hangup,
}

impl<P: Into<Problem>> From<P> for Stop {
    fn from(problem: P) -> Self {
        Self::Problem(problem.into())
    }
}

impl From<Hangup> for Stop {
    fn from(Hangup: Hangup) -> Self {
        Self::Hangup
    }
}

/// What an endpoint answers.
pub(crate) type Answer = Result<Response<Body>, Stop>;

type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// The body of a request as far as it was read before the endpoint.
pub(crate) enum Taken {
    /// All of it; empty where the call takes none.
    Whole(Bytes),
    /// None of it: the endpoint reads it line by line.
    Stream(Incoming),
}

type Run = Box<dyn Fn(Call<Taken>, Option<&str>) -> Answering + Send + Sync>;
type Receive = Box<dyn Fn(Visit<Taken>) -> Answering + Send + Sync>;
type Open = Box<dyn Fn(Arc<Node>) -> Answering + Send + Sync>;

/// How a call comes to its endpoint.
pub(crate) enum Entrance {
    /// Without a credential.
    Open(Open),
    /// Without a credential and with a body, so often from each address.
    Visitor(Receive),
    /// With one.
    Guarded(Permission, Run),
}

/// A schema that can be put into any document.
pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// What a call takes as its body.
#[derive(Clone, Copy)]
pub(crate) enum Takes {
    /// None.
    Nothing,
    /// A JSON object of at most so many bytes.
    Json(SchemaOf, usize),
    /// A stream of JSON objects, one a line.
    Lines(SchemaOf),
}

/// What a call may answer, for the document.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) means: &'static str,
    /// Media types and, where it is JSON, the schema.
    pub(crate) bodies: Vec<(&'static str, Option<SchemaOf>)>,
}

/// A call that is served.
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    /// What it is called in the document, in `camelCase`.
    pub(crate) name: &'static str,
    /// What it does.
    pub(crate) summary: &'static str,
    pub(crate) takes: Takes,
    pub(crate) query: SchemaOf,
    pub(crate) replies: Vec<Reply>,
    /// The codes beside those that follow from the rest.
    pub(crate) codes: Vec<Code>,
    pub(crate) entrance: Entrance,
    /// Whether it may read so much that it takes its time, where others are given up after a moment.
    pub(crate) takes_its_time: bool,
}

impl Route {
    /// Starts the declaration of a GET.
    pub(crate) fn get(path: &'static str, name: &'static str, summary: &'static str) -> Declaration {
        Declaration::new(Method::GET, path, name, summary)
    }

    /// Starts the declaration of a POST.
    pub(crate) fn post(path: &'static str, name: &'static str, summary: &'static str) -> Declaration {
        Declaration::new(Method::POST, path, name, summary)
    }

    /// Starts the declaration of a PUT.
    pub(crate) fn put(path: &'static str, name: &'static str, summary: &'static str) -> Declaration {
        Declaration::new(Method::PUT, path, name, summary)
    }

    /// Starts the declaration of a PATCH.
    pub(crate) fn patch(path: &'static str, name: &'static str, summary: &'static str) -> Declaration {
        Declaration::new(Method::PATCH, path, name, summary)
    }

    /// Starts the declaration of a DELETE.
    pub(crate) fn delete(path: &'static str, name: &'static str, summary: &'static str) -> Declaration {
        Declaration::new(Method::DELETE, path, name, summary)
    }
}
