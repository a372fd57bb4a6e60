//! Reads the server's paged lists: `?limit=` and `?cursor=`, `{"data":[...],"next_cursor":null}`.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::client::api::ApiRequest;
use crate::client::{ClientError, ScannerClient};

/// The largest page that the server gives.
const PAGE_SIZE: &str = "500";

/// The most pages that one call reads. A server that sends more is not ours, or sends the same cursor again and again.
const MAX_PAGES: usize = 100;

/// A page of a list.
#[derive(Debug, Deserialize)]
pub(super) struct ListPage<T> {
    pub(super) data: Vec<T>,
    pub(super) next_cursor: Option<String>,
}

impl ScannerClient {
    /// Sends a GET request and parses the JSON of its response.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: String) -> Result<T, ClientError> {
        let request = ApiRequest::get(path, self.setup.settings.call_timeout);
        self.api().call(request).await
    }

    /// Reads one page of a list. `parameters` are the names and values of the query.
    pub(super) async fn get_page<T: DeserializeOwned>(
        &self,
        path: &str,
        parameters: &[(&str, &str)],
    ) -> Result<ListPage<T>, ClientError> {
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(parameters)
            .finish();
        self.get(format!("{path}?{query}")).await
    }

    /// Reads all pages of a list.
    pub(super) async fn get_list<T: DeserializeOwned>(&self, path: &str) -> Result<Vec<T>, ClientError> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let mut parameters = vec![("limit", PAGE_SIZE)];
            if let Some(cursor) = &cursor {
                parameters.push(("cursor", cursor));
            }
            let page: ListPage<T> = self.get_page(path, &parameters).await?;
            items.extend(page.data);
            match page.next_cursor {
                Some(next) => cursor = Some(next),
                None => return Ok(items),
            }
        }
        Err(ClientError::UnexpectedAnswer)
    }
}

/// Returns whether a read failed because the server could not be asked, so that what the phone holds may answer instead.
pub(super) fn server_was_not_asked(error: &ClientError) -> bool {
    error.is_transient() || matches!(error, ClientError::UnexpectedAnswer)
}
