//! The tickets of an event: list or search, show, change the status, show the QR code, import.

mod import;
mod ticket_export;

use hyper::StatusCode;
use hyper::header::ACCEPT;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use voelgoed_scan_core::model::{
    KeyFormat, Media, Ticket, TicketListing, TicketPatch, TicketStatus, TicketWithMedia,
};
use voelgoed_scan_core::store::Page;

use self::ticket_export::{TicketExport, TicketFilter};
use super::{NDJSON, export, ok_or_not_found};
use crate::auth::Permission;
use crate::head::accepts;
use crate::problem::{Code, Problem};
use crate::qr::{self, QrError};
use crate::query::{PageParams, Query};
use crate::request::Request;
use crate::resource::Resource;
use crate::response::{self, List};
use crate::route::{HandlerResult, Json, Route};
pub(crate) use import::import;

const TICKETS_PATH: &str = "/api/v1/events/{id}/tickets";
const TICKET_PATH: &str = "/api/v1/events/{id}/tickets/{code}";

/// A text to search for: two characters or more, or one that is not of the Latin script.
const SEARCH_PATTERN: &str = r"^\s*(\S[\s\S]*\S|[^\s!-ɏḀ-ỿ])\s*$";

/// The filter of a list of tickets.
#[derive(Debug, Deserialize, JsonSchema)]
struct TicketListParams {
    /// The start of a code, of any word of a holder's name or of an order reference, without case, accents and kinds of
    /// apostrophe: two characters, or one that is not of the Latin script. Without it all tickets are listed, for the roles
    /// owner and admin only.
    #[serde(default)]
    #[schemars(length(max = 200), regex(pattern = SEARCH_PATTERN))]
    q: Option<String>,
    /// Only tickets with this status.
    #[serde(default)]
    status: Option<TicketStatus>,
    #[serde(flatten)]
    page: PageParams,
}

impl Query for TicketListParams {}

/// `GET /api/v1/events/{id}/tickets`
pub(crate) fn list() -> Route {
    Route::get(
        TICKETS_PATH,
        "listTickets",
        "Searches the tickets of an event, or lists them all. With Accept: application/x-ndjson it streams all of them, one \
         per line, as the import takes them. This is the only operation that shows personal data.",
    )
    .query::<TicketListParams>()
    .responds_with(
        "A page of tickets, or a stream of lines, in the order of their codes.",
        vec![
            ("application/json", Some(SchemaGenerator::subschema_for::<List<TicketListing>>)),
            (NDJSON, Some(SchemaGenerator::subschema_for::<TicketListing>)),
        ],
    )
    .resource(|request| Ok(Resource::Event(request.event_id()?)))
    .permission(|request| match request.query.q {
        Some(_) => Permission::Search,
        None => Permission::Admin,
    })
    .authenticated(Permission::Search, run_list)
}

async fn run_list(request: Request<(), TicketListParams>) -> HandlerResult {
    let event = request.event_id()?;
    let (store, organization) = (request.store(), request.organization());
    let is_in_scope = request.scope().is_none_or(|scope| scope.admits_event(event));
    let shows_media = request.caller.role().is_some();
    if accepts(&request.headers, &ACCEPT, NDJSON) {
        if store.event(organization, event).await?.is_none() {
            return Err(Code::NotFound.into());
        }
        let filter = TicketFilter {
            organization,
            event,
            search: request.query.q,
            status: request.query.status,
        };
        let export = TicketExport::new(request.state, filter, shows_media);
        return export::respond(if is_in_scope {
            export
        } else {
            export.without_tickets()
        })
        .await;
    }
    let TicketListParams { q, status, page } = &request.query;
    let mut tickets = if is_in_scope {
        store
            .tickets(organization, event, q.as_deref(), *status, &(*page).into())
            .await?
    } else {
        Page::empty()
    };
    // An empty page does not show whether the event exists.
    if tickets.data.is_empty() && store.event(organization, event).await?.is_none() {
        return Err(Code::NotFound.into());
    }
    if !shows_media {
        tickets.data.iter_mut().for_each(|listing| listing.media = None);
    }
    Ok(response::ok(&List::from(tickets)))
}

/// A ticket as the caller may see it.
#[derive(Serialize)]
#[serde(untagged)]
enum ShownTicket {
    WithCode(Box<TicketWithMedia>),
    WithoutCode(Value),
}

impl JsonSchema for ShownTicket {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ShownTicket".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = TicketWithMedia::json_schema(generator);
        if let Some(code) = schema.pointer_mut("/properties/code") {
            *code = json!({
                "type": ["string", "null"],
                "pattern": "^[0-9A-Za-z]{16}$",
                "description": "Its code, unique in the organization; null for the role viewer, because it admits its bearer.",
            });
        }
        schema
    }
}

impl ShownTicket {
    /// `media` are `None` for a caller that may not see codes.
    fn new(ticket: Ticket, media: Option<Media>) -> Result<Self, serde_json::Error> {
        let ticket = TicketWithMedia { ticket, media };
        if ticket.media.is_some() {
            return Ok(Self::WithCode(Box::new(ticket)));
        }
        let mut value = serde_json::to_value(ticket)?;
        if let Some(code) = value.get_mut("code") {
            *code = Value::Null;
        }
        Ok(Self::WithoutCode(value))
    }
}

/// `GET /api/v1/events/{id}/tickets/{code}`
pub(crate) fn show() -> Route {
    Route::get(
        TICKET_PATH,
        "showTicket",
        "Shows a ticket, without personal data.",
    )
    .responds::<ShownTicket>(StatusCode::OK, "The ticket.")
    .resource(Request::ticket_resource)
    .authenticated(Permission::Viewer, run_show)
}

async fn run_show(request: Request) -> HandlerResult {
    let (event, code) = (request.event_id()?, request.verified_ticket_code().await?);
    let facts = request
        .store()
        .ticket(request.organization(), event, code)
        .await?;
    let media = if request.caller.may_see_codes() {
        let store = request.store();
        Some(store.media_of(request.organization(), event, code).await?)
    } else {
        None
    };
    let ticket = facts.map(|facts| ShownTicket::new(facts.ticket, media));
    ok_or_not_found(ticket.transpose()?)
}

/// `PATCH /api/v1/events/{id}/tickets/{code}`
pub(crate) fn change() -> Route {
    Route::patch(
        TICKET_PATH,
        "changeTicket",
        "Voids, refunds, uses up or reactivates a ticket.",
    )
    .json_body::<TicketPatch>()
    .responds::<TicketWithMedia>(StatusCode::OK, "The changed ticket.")
    .resource(Request::ticket_resource)
    .authenticated(Permission::Admin, run_change)
}

async fn run_change(request: Request<Json<TicketPatch>>) -> HandlerResult {
    let (event, code) = (request.event_id()?, request.verified_ticket_code().await?);
    let (status, by) = (request.body.0.status, request.audit_context());
    let facts = request
        .admin()
        .set_ticket_status(request.organization(), event, code, status, &by, request.now)
        .await?;
    let media = request
        .store()
        .media_of(request.organization(), event, code)
        .await?;
    ok_or_not_found(facts.map(|facts| TicketWithMedia {
        ticket: facts.ticket,
        media: Some(media),
    }))
}

const TEXT: &str = "text/plain; charset=utf-8";
const SVG: &str = "image/svg+xml";
const PNG: &str = "image/png";

/// The media type of a QR code: the payload as text, or an image.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum QrRendering {
    // No doc comments: with them the schema would be a oneOf of constants, not an enum.
    #[default]
    Text,
    Svg,
    Png,
}

/// The format and the rendering of a QR code.
#[derive(Debug, Deserialize, JsonSchema)]
struct QrParams {
    /// The format of the payload.
    #[serde(default = "vg1")]
    format: KeyFormat,
    /// The media type of the response.
    #[serde(default, rename = "as")]
    rendering: QrRendering,
}

const fn vg1() -> KeyFormat {
    KeyFormat::Vg1
}

impl Query for QrParams {}

/// `GET /api/v1/events/{id}/tickets/{code}/qr`
pub(crate) fn show_qr() -> Route {
    Route::get(
        "/api/v1/events/{id}/tickets/{code}/qr",
        "showTicketQr",
        "Signs the payload of a ticket with the newest active key and shows it. The payload admits its bearer.",
    )
    .query::<QrParams>()
    .responds_with("The payload.", vec![(TEXT, None), (SVG, None), (PNG, None)])
    .problems(&[Code::Conflict])
    .resource(Request::ticket_resource)
    .authenticated(Permission::Admin, run_show_qr)
}

async fn run_show_qr(request: Request<(), QrParams>) -> HandlerResult {
    let (event, code) = (request.event_id()?, request.verified_ticket_code().await?);
    let payload = request
        .admin()
        .qr_payload(request.organization(), event, code, request.query.format)
        .await?
        .ok_or(Code::NotFound)?
        .ok_or_else(|| Problem::conflict("No key of this format is active."))?;
    Ok(match request.query.rendering {
        QrRendering::Text => response::full(StatusCode::OK, TEXT, payload),
        QrRendering::Svg => response::full(StatusCode::OK, SVG, qr::svg(&payload)?),
        QrRendering::Png => response::full(StatusCode::OK, PNG, qr::png(&payload)?),
    })
}

impl From<QrError> for Problem {
    fn from(error: QrError) -> Self {
        tracing::error!(%error, "a payload could not be rendered as a QR code");
        Code::Internal.into()
    }
}
