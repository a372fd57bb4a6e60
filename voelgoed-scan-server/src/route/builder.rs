//! The builder of routes. Each step fixes a type that the next steps and the handler use.

use std::future::{Future, ready};
use std::marker::PhantomData;
use std::sync::Arc;

use hyper::{HeaderMap, Method, StatusCode};
use schemars::JsonSchema;

use super::body::{FromBody, Json};
use super::{
    Access, AuthenticatedHandler, HandlerFuture, HandlerResult, RawBody, ResponseSpec, Route, SchemaFn,
    schema_of,
};
use crate::auth::Permission;
use crate::body::Lines;
use crate::json::{JsonBody, SchemaValidator};
use crate::problem::{Code, Problem};
use crate::query::{self, NoQuery, Query};
use crate::request::{AnonymousRequest, PathValues, Request};
use crate::resource::Resource;
use crate::state::ServerState;

type ResourceFn<B, Q> = fn(&Request<B, Q>) -> Result<Resource, Problem>;
type PermissionFn<B, Q> = fn(&Request<B, Q>) -> Permission;

/// A route under construction, with the body type `B` and the query type `Q`.
pub(crate) struct RouteBuilder<B = (), Q = NoQuery> {
    method: Method,
    path: &'static str,
    operation_id: &'static str,
    summary: &'static str,
    headers: &'static [(&'static str, &'static str)],
    responses: Vec<ResponseSpec>,
    codes: Vec<Code>,
    resource: Option<ResourceFn<B, Q>>,
    permission: Option<PermissionFn<B, Q>>,
    is_scoped: bool,
    has_read_timeout: bool,
    one_per_device: bool,
    types: PhantomData<fn() -> (B, Q)>,
}

impl RouteBuilder {
    pub(super) fn new(
        method: Method,
        path: &'static str,
        operation_id: &'static str,
        summary: &'static str,
    ) -> Self {
        Self {
            method,
            path,
            operation_id,
            summary,
            headers: &[],
            responses: Vec::new(),
            codes: Vec::new(),
            resource: None,
            permission: None,
            is_scoped: false,
            has_read_timeout: true,
            one_per_device: false,
            types: PhantomData,
        }
    }

    /// Declares a JSON body.
    pub(crate) fn json_body<T: JsonBody>(self) -> RouteBuilder<Json<T>> {
        self.with_types()
    }

    /// Declares a body of the type `B`.
    pub(crate) fn body<B: FromBody>(self) -> RouteBuilder<B> {
        self.with_types()
    }

    /// Declares a stream of NDJSON lines with the schema `S`, and query parameters.
    pub(crate) fn ndjson_body<S: JsonSchema + 'static, Q: Query>(self) -> RouteBuilder<Lines<S>, Q> {
        self.with_types()
    }

    /// Declares query parameters.
    pub(crate) fn query<Q: Query>(self) -> RouteBuilder<(), Q> {
        self.with_types()
    }

    fn with_types<B, Q>(self) -> RouteBuilder<B, Q> {
        RouteBuilder {
            method: self.method,
            path: self.path,
            operation_id: self.operation_id,
            summary: self.summary,
            headers: self.headers,
            responses: self.responses,
            codes: self.codes,
            resource: None,
            permission: None,
            is_scoped: self.is_scoped,
            has_read_timeout: self.has_read_timeout,
            one_per_device: self.one_per_device,
            types: PhantomData,
        }
    }

    /// Finishes a route that needs no credential; the handler gets the server state only.
    pub(crate) fn public<F>(self, handler: impl Fn(Arc<ServerState>) -> F + Send + Sync + 'static) -> Route
    where
        F: Future<Output = HandlerResult> + Send + 'static,
    {
        self.into_route::<(), NoQuery>(Access::Public(Box::new(move |state, _, _| {
            Box::pin(handler(state))
        })))
    }

    /// Finishes a route that needs no credential and serves a file of the program: the handler gets the request's headers
    /// and the values of its path.
    pub(crate) fn file(
        self,
        handler: impl Fn(&HeaderMap, &PathValues) -> HandlerResult + Send + Sync + 'static,
    ) -> Route {
        let handler = move |_: Arc<ServerState>, headers: &HeaderMap, path: &PathValues| -> HandlerFuture {
            Box::pin(ready(handler(headers, path)))
        };
        self.into_route::<(), NoQuery>(Access::Public(Box::new(handler)))
    }

    /// Finishes a route whose credential is none of an organization: `check` refuses the others.
    pub(crate) fn operator<F>(
        self,
        check: impl Fn(&ServerState, &HeaderMap) -> Result<(), Problem> + Send + Sync + 'static,
        handler: impl Fn(Arc<ServerState>) -> F + Send + Sync + 'static,
    ) -> Route
    where
        F: Future<Output = HandlerResult> + Send + 'static,
    {
        let handler = move |state: Arc<ServerState>, headers: &HeaderMap, _: &PathValues| -> HandlerFuture {
            match check(&state, headers) {
                Ok(()) => Box::pin(handler(state)),
                Err(problem) => Box::pin(ready(Err(problem.into()))),
            }
        };
        self.into_route::<(), NoQuery>(Access::Public(Box::new(handler)))
    }
}

impl<B, Q> RouteBuilder<B, Q> {
    /// Declares a JSON response.
    pub(crate) fn responds<T: JsonSchema>(mut self, status: StatusCode, description: &'static str) -> Self {
        let bodies = vec![("application/json", Some(schema_of::<T> as SchemaFn))];
        self.responses.push(ResponseSpec {
            status,
            description,
            headers: &[],
            bodies,
        });
        self
    }

    /// Declares a 200 response in one of several media types.
    pub(crate) fn responds_with(
        mut self,
        description: &'static str,
        bodies: Vec<(&'static str, Option<SchemaFn>)>,
    ) -> Self {
        self.responses.push(ResponseSpec {
            status: StatusCode::OK,
            description,
            headers: &[],
            bodies,
        });
        self
    }

    /// Declares a 204 response.
    pub(crate) fn responds_no_content(self, description: &'static str) -> Self {
        self.responds_without_body(StatusCode::NO_CONTENT, description)
    }

    /// Declares a response without a body.
    pub(crate) fn responds_without_body(mut self, status: StatusCode, description: &'static str) -> Self {
        self.responses.push(ResponseSpec {
            status,
            description,
            headers: &[],
            bodies: Vec::new(),
        });
        self
    }

    /// Declares a 304 response.
    pub(crate) fn responds_not_modified(mut self, description: &'static str) -> Self {
        self.responses.push(ResponseSpec {
            status: StatusCode::NOT_MODIFIED,
            description,
            headers: &[],
            bodies: Vec::new(),
        });
        self
    }

    /// Declares a 206 response in the media types of the 200 response.
    pub(crate) fn responds_partly(mut self, description: &'static str) -> Self {
        let bodies = self.responses.first().map(|whole| whole.bodies.clone());
        self.responses.push(ResponseSpec {
            status: StatusCode::PARTIAL_CONTENT,
            description,
            headers: &[],
            bodies: bodies.unwrap_or_default(),
        });
        self
    }

    /// Declares request headers that the handler reads.
    pub(crate) fn request_headers(mut self, headers: &'static [(&'static str, &'static str)]) -> Self {
        self.headers = headers;
        self
    }

    /// Declares headers of the response that was declared last.
    pub(crate) fn response_headers(mut self, headers: &'static [(&'static str, &'static str)]) -> Self {
        if let Some(response) = self.responses.last_mut() {
            response.headers = headers;
        }
        self
    }

    /// Declares problem codes in addition to those that follow from the rest of the declaration.
    pub(crate) fn problems(mut self, codes: &[Code]) -> Self {
        self.codes.extend_from_slice(codes);
        self
    }

    /// Removes the timeout of GET requests, for a route that reads a lot of data.
    pub(crate) fn without_read_timeout(mut self) -> Self {
        self.has_read_timeout = false;
        self
    }

    /// Declares that a device has at most one request of this route under way.
    pub(crate) fn one_per_device(mut self) -> Self {
        self.one_per_device = true;
        self
    }

    /// Declares the resource that the request addresses. A caller without permission gets 403 only if the resource
    /// exists, and 404 otherwise.
    pub(crate) fn resource(mut self, resource: ResourceFn<B, Q>) -> Self {
        self.resource = Some(resource);
        self
    }

    /// Declares that a device gets 403 `out_of_scope` where the resource is outside its scope. Members have no scope.
    pub(crate) fn within_scope(mut self) -> Self {
        self.is_scoped = true;
        self.problems(&[Code::OutOfScope])
    }

    /// Declares that the permission depends on the request. The OpenAPI document shows the permission given to
    /// [`RouteBuilder::authenticated`].
    pub(crate) fn permission(mut self, permission: PermissionFn<B, Q>) -> Self {
        self.permission = Some(permission);
        self
    }

    fn into_route<Body: FromBody, Params: Query>(self, access: Access) -> Route {
        Route {
            method: self.method,
            path: self.path,
            operation_id: self.operation_id,
            summary: self.summary,
            body: Body::KIND,
            query: schema_of::<Params>,
            headers: self.headers,
            responses: self.responses,
            codes: self.codes,
            access,
            has_read_timeout: self.has_read_timeout,
            one_per_device: self.one_per_device,
        }
    }
}

impl<B: FromBody> RouteBuilder<B> {
    /// Finishes a route that needs no credential and is limited by the rate of the client's address.
    pub(crate) fn anonymous<F>(
        self,
        handler: impl Fn(AnonymousRequest<B>) -> F + Send + Sync + 'static,
    ) -> Route
    where
        F: Future<Output = HandlerResult> + Send + 'static,
    {
        let validator = SchemaValidator::default();
        self.into_route::<B, NoQuery>(Access::Anonymous(Box::new(move |request| {
            match B::from_body(request.body, &validator) {
                Ok(body) => Box::pin(handler(AnonymousRequest {
                    state: request.state,
                    audit_context: request.audit_context,
                    now: request.now,
                    body,
                })),
                Err(problem) => Box::pin(ready(Err(problem.into()))),
            }
        })))
    }
}

impl<B: FromBody, Q: Query> RouteBuilder<B, Q> {
    /// Finishes a route that needs a credential with this permission.
    pub(crate) fn authenticated<F>(
        self,
        permission: Permission,
        handler: impl Fn(Request<B, Q>) -> F + Send + Sync + 'static,
    ) -> Route
    where
        F: Future<Output = HandlerResult> + Send + 'static,
    {
        let (resource, permission_of, is_scoped) = (self.resource, self.permission, self.is_scoped);
        let validators = Validators::default();
        let run: AuthenticatedHandler = Box::new(move |request, query| {
            let request = match parse::<B, Q>(request, query, &validators) {
                Ok(request) => request,
                Err(problem) => return Box::pin(ready(Err(problem.into()))),
            };
            let required = permission_of.map_or(permission, |permission_of| permission_of(&request));
            let refusal = if !required.admits(&request.caller) {
                Code::Forbidden
            } else if is_scoped && is_out_of_scope(&request, resource) {
                Code::OutOfScope
            } else {
                return Box::pin(handler(request));
            };
            Box::pin(async move {
                let problem = refused_or_not_found(&request, resource, refusal).await;
                request.body.discard().await;
                Err(problem.into())
            })
        });
        self.into_route::<B, Q>(Access::Authenticated(permission, run))
    }
}

/// The schema validators of a route.
#[derive(Default)]
struct Validators {
    body: SchemaValidator,
    query: SchemaValidator,
}

fn parse<B: FromBody, Q: Query>(
    request: Request<RawBody>,
    query: Option<&str>,
    validators: &Validators,
) -> Result<Request<B, Q>, Problem> {
    let body = B::from_body(request.body, &validators.body)?;
    let query = query::parse(&validators.query, query)?;
    Ok(Request {
        state: request.state,
        caller: request.caller,
        credential: request.credential,
        path: request.path,
        headers: request.headers,
        peer: request.peer,
        request_id: request.request_id,
        now: request.now,
        turn: request.turn,
        share: request.share,
        memory: request.memory,
        query,
        body,
    })
}

/// Whether the caller is a device that may not work at the addressed resource.
fn is_out_of_scope<B, Q>(request: &Request<B, Q>, resource: Option<ResourceFn<B, Q>>) -> bool {
    let (Some(scope), Some(resource)) = (request.scope(), resource) else {
        return false;
    };
    // A text that is not an id is the id of nothing, which the handler answers.
    resource(request).is_ok_and(|resource| !resource.is_within(scope))
}

/// 404 if the request addresses a resource that does not exist, else the refusal, a 403.
async fn refused_or_not_found<B, Q>(
    request: &Request<B, Q>,
    resource: Option<ResourceFn<B, Q>>,
    refusal: Code,
) -> Problem {
    let Some(resource) = resource else {
        return refusal.into();
    };
    let exists = match resource(request) {
        Ok(resource) => resource.exists(request.store(), request.organization()).await,
        Err(problem) => return problem,
    };
    match exists {
        Ok(true) => refusal.into(),
        Ok(false) => Code::NotFound.into(),
        Err(error) => error.into(),
    }
}
