//! Builds request paths with query parameters.

/// A path and its query parameters.
pub(crate) struct Query {
    path: String,
    pairs: form_urlencoded::Serializer<'static, String>,
}

impl Query {
    /// A query on `path`, which may have parameters already.
    pub(crate) fn new(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            pairs: form_urlencoded::Serializer::new(String::new()),
        }
    }

    /// Adds a parameter where there is a value.
    pub(crate) fn add(&mut self, name: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.pairs.append_pair(name, &value.to_string());
        }
    }

    /// The path with all parameters, percent-encoded.
    pub(crate) fn path(mut self) -> String {
        let query = self.pairs.finish();
        if query.is_empty() {
            return self.path;
        }
        let separator = if self.path.contains('?') { '&' } else { '?' };
        format!("{}{separator}{query}", self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_encoded_and_appended_to_those_of_the_path() {
        let mut query = Query::new("/x?limit=1");
        query.add("q", Some("Ann & Bé"));
        query.add("none", None::<u8>);
        assert_eq!(query.path(), "/x?limit=1&q=Ann+%26+B%C3%A9");
        assert_eq!(Query::new("/x").path(), "/x");
    }
}
