//! Which calls are there? One table: the router, the 405 with its `Allow`, the checks before an endpoint and the OpenAPI
//! document all read it.
//!
//! The order of the checks is the contract's: route and method, credential, rate, media type, size, JSON, fields, the
//! thing that the path names, permission; then the endpoint.

use std::collections::HashMap;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::{Method, Response, StatusCode};
use percent_encoding::percent_decode_str;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::auth::Permission;
use crate::call::{Call, PathValues};
use crate::intake::{Hangup, Lines};
use crate::json::{Form, Request};
use crate::node::Node;
use crate::problem::{Code, Problem};
use crate::query::{self, NoQuery, Query};
use crate::reply::Body;
use crate::thing::Thing;

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

type Run = Box<dyn Fn(Call<Taken>, Option<String>) -> Answering + Send + Sync>;
type Open = Box<dyn Fn(Arc<Node>) -> Answering + Send + Sync>;

/// How a call comes to its endpoint.
pub(crate) enum Entrance {
    /// Without a credential.
    Open(Open),
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
    /// A JSON object.
    Json(SchemaOf),
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

/// What may stand as the body of a call.
pub(crate) trait Intake: Sized + Send + Sync + 'static {
    /// What the document says of it.
    const TAKES: Takes;

    /// Reads what was taken.
    fn read(taken: Taken, form: &Form) -> Result<Self, Problem>;

    /// Reads away what is left of the body, so that the caller gets to read the answer.
    fn discard(self) -> impl Future<Output = ()> + Send {
        async {}
    }
}

impl Intake for () {
    const TAKES: Takes = Takes::Nothing;

    fn read(_: Taken, _: &Form) -> Result<Self, Problem> {
        Ok(())
    }
}

/// A JSON body.
pub(crate) struct Json<R>(pub(crate) R);

impl<R: Request> Intake for Json<R> {
    const TAKES: Takes = Takes::Json(schema_of::<R::Shape>);

    fn read(taken: Taken, form: &Form) -> Result<Self, Problem> {
        match taken {
            Taken::Whole(bytes) => form.read(&bytes).map(Self),
            Taken::Stream(_) => Err(Code::Internal.into()),
        }
    }
}

impl<S: JsonSchema + 'static> Intake for Lines<S> {
    const TAKES: Takes = Takes::Lines(schema_of::<S>);

    fn read(taken: Taken, _: &Form) -> Result<Self, Problem> {
        match taken {
            Taken::Whole(_) => Err(Code::Internal.into()),
            Taken::Stream(body) => Ok(Self::new(body)),
        }
    }

    async fn discard(self) {
        self.into_rest().await;
    }
}

type Names<B, Q> = fn(&Call<B, Q>) -> Result<Thing, Problem>;
type Permits<B, Q> = fn(&Call<B, Q>) -> Permission;

/// A route on its way into the table.
pub(crate) struct Declaration<B = (), Q = NoQuery> {
    method: Method,
    path: &'static str,
    name: &'static str,
    summary: &'static str,
    replies: Vec<Reply>,
    codes: Vec<Code>,
    names: Option<Names<B, Q>>,
    permits: Option<Permits<B, Q>>,
    asks: PhantomData<fn() -> (B, Q)>,
}

impl Declaration {
    fn new(method: Method, path: &'static str, name: &'static str, summary: &'static str) -> Self {
        Self {
            method,
            path,
            name,
            summary,
            replies: Vec::new(),
            codes: Vec::new(),
            names: None,
            permits: None,
            asks: PhantomData,
        }
    }

    /// The call takes a JSON body.
    pub(crate) fn takes<R: Request>(self) -> Declaration<Json<R>> {
        self.retype()
    }

    /// The call takes a stream of lines of the shape `S`, and query parameters.
    pub(crate) fn takes_lines<S: JsonSchema + 'static, Q: Query>(self) -> Declaration<Lines<S>, Q> {
        self.retype()
    }

    /// The call takes query parameters.
    pub(crate) fn asks<Q: Query>(self) -> Declaration<(), Q> {
        self.retype()
    }

    fn retype<B, Q>(self) -> Declaration<B, Q> {
        Declaration {
            method: self.method,
            path: self.path,
            name: self.name,
            summary: self.summary,
            replies: self.replies,
            codes: self.codes,
            names: None,
            permits: None,
            asks: PhantomData,
        }
    }

    /// Anybody may call it, without a credential; what an endpoint then gets is the server itself.
    pub(crate) fn open<F>(self, endpoint: impl Fn(Arc<Node>) -> F + Send + Sync + 'static) -> Route
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        self.into_route::<(), NoQuery>(Entrance::Open(Box::new(move |node| Box::pin(endpoint(node)))))
    }
}

impl<B, Q> Declaration<B, Q> {
    /// It may answer `T` as JSON.
    pub(crate) fn answers<T: JsonSchema>(mut self, status: StatusCode, means: &'static str) -> Self {
        let bodies = vec![("application/json", Some(schema_of::<T> as SchemaOf))];
        self.replies.push(Reply {
            status,
            means,
            bodies,
        });
        self
    }

    /// It may answer 200 in one of several media types.
    pub(crate) fn answers_as(
        mut self,
        means: &'static str,
        bodies: Vec<(&'static str, Option<SchemaOf>)>,
    ) -> Self {
        self.replies.push(Reply {
            status: StatusCode::OK,
            means,
            bodies,
        });
        self
    }

    /// It may answer 204.
    pub(crate) fn answers_nothing(mut self, means: &'static str) -> Self {
        self.replies.push(Reply {
            status: StatusCode::NO_CONTENT,
            means,
            bodies: Vec::new(),
        });
        self
    }

    /// It may answer these codes, beside those that follow from the rest.
    pub(crate) fn may_fail(mut self, codes: &[Code]) -> Self {
        self.codes.extend_from_slice(codes);
        self
    }

    /// What the path names: a caller who may not make the call is told so only where that is there.
    pub(crate) fn names(mut self, names: Names<B, Q>) -> Self {
        self.names = Some(names);
        self
    }

    /// The permission depends on what is asked; [`Declaration::by`] then gives the one that the document names.
    pub(crate) fn permits(mut self, permits: Permits<B, Q>) -> Self {
        self.permits = Some(permits);
        self
    }

    fn into_route<Body: Intake, Asked: Query>(self, entrance: Entrance) -> Route {
        Route {
            method: self.method,
            path: self.path,
            name: self.name,
            summary: self.summary,
            takes: Body::TAKES,
            query: schema_of::<Asked>,
            replies: self.replies,
            codes: self.codes,
            entrance,
        }
    }
}

impl<B: Intake, Q: Query> Declaration<B, Q> {
    /// Who may call it, and what then happens.
    pub(crate) fn by<F>(
        self,
        permission: Permission,
        endpoint: impl Fn(Call<B, Q>) -> F + Send + Sync + 'static,
    ) -> Route
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let (names, permits) = (self.names, self.permits);
        let forms = Arc::new((Form::default(), Form::default()));
        let endpoint = Arc::new(endpoint);
        let run: Run = Box::new(move |call, query| {
            let (forms, endpoint) = (Arc::clone(&forms), Arc::clone(&endpoint));
            Box::pin(async move {
                let call = read::<B, Q>(call, query.as_deref(), &forms)?;
                let due = permits.map_or(permission, |permits| permits(&call));
                if due.admits(&call.caller) {
                    return endpoint(call).await;
                }
                let refusal = refuse(&call, names).await;
                call.body.discard().await;
                Err(refusal.into())
            })
        });
        self.into_route::<B, Q>(Entrance::Guarded(permission, run))
    }
}

fn read<B: Intake, Q: Query>(
    call: Call<Taken>,
    asked: Option<&str>,
    (body_form, query_form): &(Form, Form),
) -> Result<Call<B, Q>, Problem> {
    let body = B::read(call.body, body_form)?;
    let query = query::read(query_form, asked)?;
    Ok(Call {
        node: call.node,
        caller: call.caller,
        credential: call.credential,
        path: call.path,
        headers: call.headers,
        now: call.now,
        query,
        body,
    })
}

/// 404 where the call names nothing that is there, else 403.
async fn refuse<B, Q>(call: &Call<B, Q>, names: Option<Names<B, Q>>) -> Problem {
    let Some(names) = names else {
        return Code::Forbidden.into();
    };
    let there = match names(call) {
        Ok(thing) => thing.exists(call.store(), call.organization()).await,
        Err(problem) => return problem,
    };
    match there {
        Ok(true) => Code::Forbidden.into(),
        Ok(false) => Code::NotFound.into(),
        Err(error) => error.into(),
    }
}

enum Segment {
    Word(&'static str),
    Variable(&'static str),
}

struct Pattern {
    segments: Vec<Segment>,
    /// The routes of this path, by their place in the table.
    routes: Vec<usize>,
}

/// The table of routes.
pub(crate) struct Routes {
    routes: Vec<Route>,
    /// Paths by their number of segments.
    patterns: HashMap<usize, Vec<Pattern>>,
}

impl Routes {
    /// Builds the table.
    pub(crate) fn new(routes: Vec<Route>) -> Self {
        let mut patterns: HashMap<usize, Vec<Pattern>> = HashMap::new();
        let mut places: HashMap<&'static str, (usize, usize)> = HashMap::new();
        for (at, route) in routes.iter().enumerate() {
            let segments: Vec<_> = route.path.split('/').skip(1).map(segment).collect();
            let length = segments.len();
            let alike = patterns.entry(length).or_default();
            let (_, place) = *places.entry(route.path).or_insert((length, alike.len()));
            match alike.get_mut(place) {
                Some(pattern) => pattern.routes.push(at),
                None => alike.push(Pattern {
                    segments,
                    routes: vec![at],
                }),
            }
        }
        Self { routes, patterns }
    }

    /// Every route.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter()
    }

    /// The route of a call and the values of its path.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Result<(&Route, PathValues), Problem> {
        let mut given = path.split('/');
        if given.next() != Some("") {
            return Err(Code::NotFound.into());
        }
        let length = given.clone().count();
        let (pattern, values) = self
            .patterns
            .get(&length)
            .into_iter()
            .flatten()
            .find_map(|pattern| Some((pattern, fit(&pattern.segments, given.clone())?)))
            .ok_or(Code::NotFound)?;
        let here = || pattern.routes.iter().filter_map(|&at| self.routes.get(at));
        match here().find(|route| route.method == *method) {
            Some(route) => Ok((route, values)),
            None => {
                let methods: Vec<_> = here().map(|route| route.method.as_str()).collect();
                Err(Problem::method_not_allowed(methods.join(", ")))
            }
        }
    }
}

fn segment(text: &'static str) -> Segment {
    match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
        Some(variable) => Segment::Variable(variable),
        None => Segment::Word(text),
    }
}

/// The values that make the path fit; a value that is no UTF-8 is one that names nothing.
fn fit<'a>(segments: &[Segment], given: impl Iterator<Item = &'a str>) -> Option<PathValues> {
    let mut values = Vec::new();
    for (segment, text) in segments.iter().zip(given) {
        match segment {
            Segment::Word(word) if *word == text => {}
            Segment::Word(_) => return None,
            // A path that leaves a name out is another path.
            Segment::Variable(_) if text.is_empty() => return None,
            Segment::Variable(name) => {
                values.push((*name, percent_decode_str(text).decode_utf8_lossy().into_owned()));
            }
        }
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Routes {
        let open = |route: Declaration| route.open(|_| async { Ok(crate::reply::nothing()) });
        Routes::new(vec![
            open(Route::get("/", "home", "")),
            open(Route::get("/things", "list", "")),
            open(Route::post("/things", "make", "")),
            open(Route::get("/things/{id}", "show", "")),
            open(Route::put("/things/{id}/parts/{part}", "put", "")),
            open(Route::get("/things/{id}/parts/{part}", "part", "")),
        ])
    }

    #[test]
    fn a_path_and_a_method_find_one_route() {
        let table = table();
        for (method, path, name) in [
            (Method::GET, "/", "home"),
            (Method::POST, "/things", "make"),
            (Method::GET, "/things/1", "show"),
            (Method::PUT, "/things/1/parts/2", "put"),
        ] {
            let found = table.find(&method, path).map(|(route, _)| route.name);
            assert_eq!(found.ok(), Some(name), "{path}");
        }
        let (_, values) = table
            .find(&Method::GET, "/things/a%2Fb/parts/%ff")
            .ok()
            .expect("a part");
        assert_eq!(
            values,
            [("id", "a/b".to_owned()), ("part", "\u{fffd}".to_owned())]
        );
    }

    #[test]
    fn what_is_not_in_the_table_is_not_found_and_a_method_not_there_not_allowed() {
        let table = table();
        for path in [
            "",
            "*",
            "/nothing",
            "/things/1/2",
            "//",
            "/things/1/parts/2/",
            "/things/",
            "/THINGS",
        ] {
            let code = table.find(&Method::GET, path).err().map(|problem| problem.code());
            assert_eq!(code, Some(Code::NotFound), "{path:?}");
        }
        let problem = table
            .find(&Method::DELETE, "/things")
            .err()
            .expect("no such method");
        assert_eq!(problem.code(), Code::MethodNotAllowed);
        let response = problem.into_response("r");
        assert_eq!(response.headers()[hyper::header::ALLOW], "GET, POST");
    }
}
