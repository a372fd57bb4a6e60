//! The QR code of a ticket.

use hyper::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use voelgoed_scan_core::model::KeyFormat;

use crate::auth::Permission;
use crate::call::Call;
use crate::problem::{Code, Problem};
use crate::qr::{self, QrError};
use crate::query::Query;
use crate::reply;
use crate::route::{Answer, Route};
use crate::thing::Thing;

const TEXT: &str = "text/plain; charset=utf-8";
const SVG: &str = "image/svg+xml";
const PNG: &str = "image/png";

/// How a QR code is shown.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum AnswerSnapshot {
    /// The payload itself.
    #[default]
    Text,
    /// A drawing.
    Svg,
    /// A picture.
    Png,
}

/// Which QR code is asked for.
#[derive(Debug, Deserialize, JsonSchema)]
struct Wanted {
    /// The format of the payload.
    #[serde(default = "vg1")]
    format: KeyFormat,
    /// How it is shown.
    #[serde(default, rename = "as")]
    shown: AnswerSnapshot,
}

const fn vg1() -> KeyFormat {
    KeyFormat::Vg1
}

impl Query for Wanted {}

/// `GET /api/v1/events/{id}/tickets/{code}/qr`
pub(crate) fn show() -> Route {
    Route::get(
        "/api/v1/events/{id}/tickets/{code}/qr",
        "showTicketQr",
        "Signs a ticket's payload with the newest active key and shows it. Whoever holds it holds the ticket.",
    )
    .asks::<Wanted>()
    .answers_as("The payload.", vec![(TEXT, None), (SVG, None), (PNG, None)])
    .may_fail(&[Code::Conflict])
    .names(|call| Ok(Thing::Ticket(call.event_id()?, call.code()?)))
    .by(Permission::Viewer, run)
}

async fn run(call: Call<(), Wanted>) -> Answer {
    let (event, code) = (call.event_id()?, call.code()?);
    let payload = call
        .admin()
        .qr_payload(call.organization(), event, code, call.query.format)
        .await?
        .ok_or(Code::NotFound)?
        .ok_or_else(|| Problem::conflict("No key of this format is active."))?;
    Ok(match call.query.shown {
        AnswerSnapshot::Text => reply::whole(StatusCode::OK, TEXT, payload),
        AnswerSnapshot::Svg => reply::whole(StatusCode::OK, SVG, qr::svg(&payload)?),
        AnswerSnapshot::Png => reply::whole(StatusCode::OK, PNG, qr::png(&payload)?),
    })
}

impl From<QrError> for Problem {
    fn from(error: QrError) -> Self {
        tracing::error!(%error, "a payload could not be shown as a QR code");
        Code::Internal.into()
    }
}
