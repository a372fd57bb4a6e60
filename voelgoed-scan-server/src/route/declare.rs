//! How is a call declared? Step by step, each with the types that the next one and the endpoint go by.

use std::future::{Future, ready};
use std::marker::PhantomData;
use std::sync::Arc;

use hyper::{Method, StatusCode};
use schemars::JsonSchema;

use super::{Answer, Entrance, Reply, Route, Run, SchemaOf, Taken, Takes, schema_of};
use crate::auth::Permission;
use crate::call::{Call, Visit};
use crate::intake::Lines;
use crate::json::{Form, Request};
use crate::node::Node;
use crate::problem::{Code, Problem};
use crate::query::{self, NoQuery, Query};
use crate::thing::Thing;

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
    const TAKES: Takes = Takes::Json(schema_of::<R::Shape>, R::MAX_BYTES);

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
    takes_its_time: bool,
    asks: PhantomData<fn() -> (B, Q)>,
}

impl Declaration {
    pub(super) fn new(method: Method, path: &'static str, name: &'static str, summary: &'static str) -> Self {
        Self {
            method,
            path,
            name,
            summary,
            replies: Vec::new(),
            codes: Vec::new(),
            names: None,
            permits: None,
            takes_its_time: false,
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
            takes_its_time: self.takes_its_time,
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

    /// It may answer 304.
    pub(crate) fn answers_unchanged(mut self, means: &'static str) -> Self {
        self.replies.push(Reply {
            status: StatusCode::NOT_MODIFIED,
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

    /// It may read so much that it takes its time.
    pub(crate) fn takes_its_time(mut self) -> Self {
        self.takes_its_time = true;
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
            takes_its_time: self.takes_its_time,
        }
    }
}

impl<B: Intake> Declaration<B> {
    /// Anybody may call it, so often from each address, without a credential: what happens then.
    pub(crate) fn by_visitors<F>(self, endpoint: impl Fn(Visit<B>) -> F + Send + Sync + 'static) -> Route
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let form = Form::default();
        self.into_route::<B, NoQuery>(Entrance::Visitor(Box::new(move |visit| {
            match B::read(visit.body, &form) {
                Ok(body) => Box::pin(endpoint(Visit {
                    node: visit.node,
                    now: visit.now,
                    body,
                })),
                Err(problem) => Box::pin(ready(Err(problem.into()))),
            }
        })))
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
        let forms = (Form::default(), Form::default());
        let run: Run = Box::new(move |call, asked| {
            let call = match read::<B, Q>(call, asked, &forms) {
                Ok(call) => call,
                Err(problem) => return Box::pin(ready(Err(problem.into()))),
            };
            let due = permits.map_or(permission, |permits| permits(&call));
            if due.admits(&call.caller) {
                return Box::pin(endpoint(call));
            }
            Box::pin(async move {
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
