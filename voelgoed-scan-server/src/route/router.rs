//! The router: it finds the route for a method and a path, or answers 404, or 405 with the methods that the path has.

use std::collections::BTreeMap;

use hyper::Method;
use percent_encoding::percent_decode_str;

use super::Route;
use crate::cors::PathHeaders;
use crate::problem::{Code, Problem};
use crate::request::PathValues;

/// A path with its routes.
struct Path {
    /// The indices of its routes.
    routes: Vec<usize>,
    /// The value of `Allow`.
    methods: String,
    cors: PathHeaders,
}

/// The route table.
pub(crate) struct Router {
    routes: Vec<Route>,
    paths: matchit::Router<Path>,
}

impl Router {
    /// Builds the table.
    #[expect(
        clippy::expect_used,
        reason = "the paths are constants of this program, which every test and every start inserts"
    )]
    pub(crate) fn new(routes: Vec<Route>) -> Self {
        let mut by_path: BTreeMap<&'static str, Vec<usize>> = BTreeMap::new();
        for (index, route) in routes.iter().enumerate() {
            by_path.entry(route.path).or_default().push(index);
        }
        let mut paths = matchit::Router::new();
        for (path, indices) in by_path {
            let of_path = || indices.iter().filter_map(|&index| routes.get(index));
            let methods = methods(of_path());
            let cors = PathHeaders::new(&methods, of_path());
            let entry = Path {
                routes: indices.clone(),
                methods,
                cors,
            };
            paths.insert(path, entry).expect("paths do not conflict");
        }
        Self { routes, paths }
    }

    /// All routes.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter()
    }

    /// The route for a request, for `HEAD` that of `GET`, and the values of its path variables. A value that is not UTF-8
    /// is decoded lossily, so
    /// that it is the id of nothing.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Result<(&Route, PathValues), Problem> {
        let matched = self.paths.at(path).map_err(|_| Code::NotFound)?;
        let routes = || {
            matched
                .value
                .routes
                .iter()
                .filter_map(|&index| self.routes.get(index))
        };
        let wanted = if *method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        if let Some(route) = routes().find(|route| route.method == *wanted) {
            let values = matched.params.iter();
            let values = values.map(|(name, text)| {
                let value = percent_decode_str(text).decode_utf8_lossy().into_owned();
                (name.to_owned(), value)
            });
            return Ok((route, values.collect()));
        }
        Err(Problem::method_not_allowed(matched.value.methods.clone()))
    }

    /// What pages of other origins may send to a path and read of it; `None` where no route has the path.
    pub(crate) fn cors(&self, path: &str) -> Option<&PathHeaders> {
        self.paths.at(path).ok().map(|matched| &matched.value.cors)
    }
}

/// The methods of a path: those of its routes, and `HEAD` where there is a `GET`.
fn methods<'a>(routes: impl Iterator<Item = &'a Route>) -> String {
    let mut methods: Vec<_> = routes.map(|route| route.method.as_str()).collect();
    if let Some(get) = methods.iter().position(|method| *method == "GET") {
        methods.insert(get + 1, "HEAD");
    }
    methods.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::RouteBuilder;

    fn router() -> Router {
        let public = |route: RouteBuilder| route.public(|_| async { Ok(crate::response::no_content()) });
        Router::new(vec![
            public(Route::get("/", "home", "")),
            public(Route::get("/items", "list", "")),
            public(Route::post("/items", "make", "")),
            public(Route::get("/items/{id}", "show", "")),
            public(Route::put("/items/{id}/parts/{part}", "put", "")),
            public(Route::get("/items/{id}/parts/{part}", "part", "")),
        ])
    }

    #[test]
    fn a_method_and_a_path_find_one_route() {
        let router = router();
        for (method, path, name) in [
            (Method::GET, "/", "home"),
            (Method::HEAD, "/", "home"),
            (Method::HEAD, "/items/1", "show"),
            (Method::POST, "/items", "make"),
            (Method::GET, "/items/1", "show"),
            (Method::PUT, "/items/1/parts/2", "put"),
        ] {
            let found = router.find(&method, path).map(|(route, _)| route.operation_id);
            assert_eq!(found.ok(), Some(name), "{path}");
        }
        let Ok((_, values)) = router.find(&Method::GET, "/items/a%2Fb/parts/%ff") else {
            panic!("the route exists");
        };
        assert_eq!(
            values,
            [("id", "a/b"), ("part", "\u{fffd}")].map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn unknown_paths_are_404_and_unknown_methods_are_405_with_allow() {
        let router = router();
        for path in [
            "",
            "*",
            "/nothing",
            "/items/1/2",
            "//",
            "/items/1/parts/2/",
            "/items/",
            "/ITEMS",
        ] {
            let code = router
                .find(&Method::GET, path)
                .err()
                .map(|problem| problem.code());
            assert_eq!(code, Some(Code::NotFound), "{path:?}");
        }
        let problem = router
            .find(&Method::DELETE, "/items")
            .err()
            .expect("the path has no such method");
        assert_eq!(problem.code(), Code::MethodNotAllowed);
        let response = problem.into_response("r");
        assert_eq!(response.headers()[hyper::header::ALLOW], "GET, HEAD, POST");
    }
}
