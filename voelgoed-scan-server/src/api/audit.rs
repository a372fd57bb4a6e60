//! The audit log: list, export.

use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::ACCEPT;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;
use voelgoed_scan_core::model::{
    AuditAction, AuditActorKind, AuditEntry, AuditSubjectKind, OrganizationId, Timestamp, hex,
};
use voelgoed_scan_core::store::{AuditFilter, Order, PageRequest, StoreError};

use super::{NDJSON, export};
use crate::auth::Permission;
use crate::head::accepts;
use crate::json::backwards;
use crate::problem::FieldError;
use crate::query::{PageParams, Query};
use crate::request::Request;
use crate::response::{self, List};
use crate::route::{HandlerResult, Route};
use crate::state::ServerState;

/// How many entries an export reads at once.
const EXPORT_PAGE_SIZE: u16 = 500;

/// The maximum length of the id of a subject.
const MAX_SUBJECT: usize = 200;

/// The text is not a filter of this kind.
#[derive(Debug, thiserror::Error)]
#[error("is not a filter of the audit log")]
struct InvalidFilter;

/// Deserializes a filter with its `FromStr`.
fn parsed<'de, T: FromStr<Err = InvalidFilter>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

/// An actor: a kind, an id, or a kind and an id.
#[derive(Debug, Clone, Copy)]
struct ActorFilter {
    kind: Option<AuditActorKind>,
    id: Option<Uuid>,
}

impl FromStr for ActorFilter {
    type Err = InvalidFilter;

    fn from_str(text: &str) -> Result<Self, InvalidFilter> {
        let id = |text: &str| Uuid::try_parse(text).map_err(|_| InvalidFilter);
        if let Some((kind, of_kind)) = text.split_once(':') {
            return Ok(Self {
                kind: Some(kind.parse().map_err(|_| InvalidFilter)?),
                id: Some(id(of_kind)?),
            });
        }
        Ok(match text.parse() {
            Ok(kind) => Self {
                kind: Some(kind),
                id: None,
            },
            Err(_) => Self {
                kind: None,
                id: Some(id(text)?),
            },
        })
    }
}

impl<'de> Deserialize<'de> for ActorFilter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

/// A pattern of one of these words.
fn one_of(words: &[&str]) -> String {
    format!("({})", words.join("|"))
}

impl JsonSchema for ActorFilter {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "AuditActorFilter".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let kind = one_of(AuditActorKind::STRINGS);
        let id = "[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}";
        json_schema!({ "type": "string", "pattern": format!("^({kind}|({kind}:)?{id})$") })
    }
}

/// An action, or all actions on a kind of subject: `device.*`.
#[derive(Debug, Clone, Copy)]
enum ActionFilter {
    One(AuditAction),
    AllOn(AuditSubjectKind),
}

impl FromStr for ActionFilter {
    type Err = InvalidFilter;

    fn from_str(text: &str) -> Result<Self, InvalidFilter> {
        match text.strip_suffix(".*") {
            Some(subject) => subject.parse().map(Self::AllOn).map_err(|_| InvalidFilter),
            None => text.parse().map(Self::One).map_err(|_| InvalidFilter),
        }
    }
}

impl<'de> Deserialize<'de> for ActionFilter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

impl JsonSchema for ActionFilter {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "AuditActionFilter".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let actions = AuditAction::STRINGS.iter().map(|action| (*action).to_owned());
        let subjects = AuditSubjectKind::STRINGS
            .iter()
            .map(|subject| format!("{subject}.*"));
        json_schema!({ "type": "string", "enum": actions.chain(subjects).collect::<Vec<_>>() })
    }
}

/// A subject: a kind, an id, or a kind and an id.
#[derive(Debug, Clone)]
struct SubjectFilter {
    kind: Option<AuditSubjectKind>,
    id: Option<String>,
}

impl FromStr for SubjectFilter {
    type Err = InvalidFilter;

    fn from_str(text: &str) -> Result<Self, InvalidFilter> {
        if text.is_empty() || text.chars().count() > MAX_SUBJECT || text.contains('\0') {
            return Err(InvalidFilter);
        }
        let (kind, id) = match text.split_once(':') {
            Some((kind, id)) => (kind.parse().ok(), Some(id)),
            None => (text.parse().ok(), None),
        };
        Ok(match (kind, id) {
            (Some(_), id) => Self {
                kind,
                id: id.map(str::to_owned),
            },
            (None, _) => Self {
                kind: None,
                id: Some(text.to_owned()),
            },
        })
    }
}

impl<'de> Deserialize<'de> for SubjectFilter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer)
    }
}

impl JsonSchema for SubjectFilter {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "AuditSubjectFilter".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": MAX_SUBJECT, "pattern": "^[^\\u0000]+$" })
    }
}

/// The filter of a list of entries.
#[derive(Debug, Deserialize, JsonSchema)]
struct AuditListParams {
    /// Only entries of this actor: a kind (`api_key`), an id, or both (`api_key:ID`).
    #[serde(default)]
    actor: Option<ActorFilter>,
    /// Only entries with this action, or with all actions on a kind of subject (`device.*`).
    #[serde(default)]
    action: Option<ActionFilter>,
    /// Only entries about this subject: a kind (`event`), an id, or both (`event:ID`).
    #[serde(default)]
    subject: Option<SubjectFilter>,
    /// Only entries at or after this time.
    #[serde(default)]
    from: Option<Timestamp>,
    /// Only entries at or before this time.
    #[serde(default)]
    to: Option<Timestamp>,
    #[serde(flatten)]
    page: PageParams,
}

impl Query for AuditListParams {
    fn field_errors(&self) -> Vec<FieldError> {
        backwards(self.from, self.to)
            .then(|| FieldError {
                pointer: "/to".to_owned(),
                message: "must not be before from".into(),
            })
            .into_iter()
            .collect()
    }
}

impl AuditListParams {
    fn filter(&self) -> AuditFilter {
        let subject = self.subject.as_ref();
        AuditFilter {
            actor_kind: self.actor.and_then(|actor| actor.kind),
            actor_id: self.actor.and_then(|actor| actor.id),
            action: match self.action {
                Some(ActionFilter::One(action)) => Some(action),
                Some(ActionFilter::AllOn(_)) | None => None,
            },
            action_on: match self.action {
                Some(ActionFilter::AllOn(subject)) => Some(subject),
                Some(ActionFilter::One(_)) | None => None,
            },
            subject_kind: subject.and_then(|subject| subject.kind),
            subject_id: subject.and_then(|subject| subject.id.clone()),
            from: self.from,
            to: self.to,
        }
    }
}

/// `GET /api/v1/audit`
pub(crate) fn list() -> Route {
    Route::get(
        "/api/v1/audit",
        "listAuditEntries",
        "Lists the audit log, newest first. With Accept: application/x-ndjson it streams all entries, oldest first, one per \
         line, as `voelgoed-scan audit verify` reads them. A page reads a bounded part of the log: it may hold fewer entries \
         than the limit, even none, and still have a next_cursor.",
    )
    .query::<AuditListParams>()
    .responds_with(
        "A page of entries, or a stream of lines.",
        vec![
            ("application/json", Some(SchemaGenerator::subschema_for::<List<AuditEntry>>)),
            (NDJSON, Some(SchemaGenerator::subschema_for::<AuditEntry>)),
        ],
    )
    .authenticated(Permission::Admin, run_list)
}

async fn run_list(request: Request<(), AuditListParams>) -> HandlerResult {
    let (organization, filter) = (request.organization(), request.query.filter());
    if accepts(&request.headers, &ACCEPT, NDJSON) {
        let export = Export {
            state: request.state,
            organization,
            filter,
            next_page: Some(PageRequest {
                limit: EXPORT_PAGE_SIZE,
                after: None,
            }),
        };
        return export::respond(export).await;
    }
    let entries = request
        .store()
        .audit_entries(organization, &filter, Order::Newest, &request.query.page.into())
        .await?;
    Ok(response::ok(&List::from(entries)))
}

/// The key of the audit log.
#[derive(Serialize, JsonSchema)]
struct AuditKey {
    /// The organization's manifest key, an Ed25519 public key, which verifies the signatures of the entries.
    #[schemars(regex(pattern = "^[0-9a-f]{64}$"))]
    public_key: String,
}

/// `GET /api/v1/audit/key`
pub(crate) fn show_key() -> Route {
    Route::get(
        "/api/v1/audit/key",
        "showAuditKey",
        "Shows the public key that verifies the entries of the audit log.",
    )
    .responds::<AuditKey>(StatusCode::OK, "The key.")
    .authenticated(Permission::Admin, |request: Request| async move {
        let key = request.admin().manifest_key(request.organization()).await?;
        Ok(response::ok(&AuditKey {
            public_key: hex::encode(&key),
        }))
    })
}

/// An export in progress.
struct Export {
    state: Arc<ServerState>,
    organization: OrganizationId,
    filter: AuditFilter,
    /// The page to read next; `None` after the last.
    next_page: Option<PageRequest>,
}

impl export::Export for Export {
    async fn read_page(&mut self) -> Result<Option<Bytes>, StoreError> {
        let Some(page) = self.next_page.take() else {
            return Ok(None);
        };
        let store = self.state.scanner.store();
        let entries = store
            .audit_entries(self.organization, &self.filter, Order::Oldest, &page)
            .await?;
        self.next_page = entries.next.map(|after| PageRequest {
            limit: EXPORT_PAGE_SIZE,
            after: Some(after),
        });
        let mut lines = Vec::new();
        for entry in &entries.data {
            serde_json::to_writer(&mut lines, entry)
                .map_err(|error| StoreError::failed(error.to_string()))?;
            lines.push(b'\n');
        }
        Ok(Some(lines.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_a_kind_an_id_or_both() {
        let filter = |text: &str| {
            let SubjectFilter { kind, id } = text.parse().expect("a filter");
            (kind, id)
        };
        let id = || Some("vg2/1".to_owned());
        assert_eq!(filter("signing_key"), (Some(AuditSubjectKind::SigningKey), None));
        assert_eq!(filter("vg2/1"), (None, id()));
        assert_eq!(
            filter("signing_key:vg2/1"),
            (Some(AuditSubjectKind::SigningKey), id())
        );
        assert!("".parse::<SubjectFilter>().is_err());
    }
}
