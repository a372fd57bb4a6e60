//! Which call does a request make? A path and a method find one route, or a 404, or a 405 with what would be allowed.

use foldhash::HashMap;
use hyper::Method;
use percent_encoding::percent_decode_str;

use super::Route;
use crate::call::PathValues;
use crate::problem::{Code, Problem};

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
    /// The routes of each path without a variable, by their place in the table.
    fixed: HashMap<&'static str, Vec<usize>>,
    /// Paths by their number of segments.
    patterns: HashMap<usize, Vec<Pattern>>,
}

impl Routes {
    /// Builds the table.
    pub(crate) fn new(routes: Vec<Route>) -> Self {
        let mut patterns: HashMap<usize, Vec<Pattern>> = HashMap::default();
        let mut fixed: HashMap<&'static str, Vec<usize>> = HashMap::default();
        let mut places: HashMap<&'static str, (usize, usize)> = HashMap::default();
        for (at, route) in routes.iter().enumerate() {
            if !route.path.contains('{') {
                fixed.entry(route.path).or_default().push(at);
                continue;
            }
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
        Self {
            routes,
            fixed,
            patterns,
        }
    }

    /// Every route.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter()
    }

    /// The route of a call and the values of its path.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Result<(&Route, PathValues), Problem> {
        let (places, values) = match self.fixed.get(path) {
            Some(places) => (places, PathValues::new()),
            None => self.fit(path).ok_or(Code::NotFound)?,
        };
        let here = || places.iter().filter_map(|&at| self.routes.get(at));
        if let Some(route) = here().find(|route| route.method == *method) {
            return Ok((route, values));
        }
        let methods: Vec<_> = here().map(|route| route.method.as_str()).collect();
        Err(Problem::method_not_allowed(methods.join(", ")))
    }

    /// The routes of a path with variables, and their values.
    fn fit(&self, path: &str) -> Option<(&Vec<usize>, PathValues)> {
        let given = path.strip_prefix('/')?.split('/');
        let alike = self.patterns.get(&given.clone().count())?;
        alike
            .iter()
            .find_map(|pattern| Some((&pattern.routes, fit(&pattern.segments, given.clone())?)))
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
    use crate::route::Declaration;

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
        let Ok((_, values)) = table.find(&Method::GET, "/things/a%2Fb/parts/%ff") else {
            panic!("a part is found");
        };
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
