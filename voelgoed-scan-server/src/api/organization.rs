//! The organization of the caller.

use hyper::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use voelgoed_scan_core::model::{ApiKey, Name, OrganizationId};

use crate::auth::{Caller, Permission};
use crate::problem::Code;
use crate::request::Request;
use crate::response;
use crate::route::{HandlerResult, Route};

/// An organization, as the caller belongs to it.
#[derive(Serialize, JsonSchema)]
struct OwnOrganization {
    /// The organization.
    id: OrganizationId,
    /// Its display name.
    name: Name,
    /// The key that the caller used, without its secret.
    api_key: ApiKey,
}

/// `GET /api/v1/organization`
pub(crate) fn show() -> Route {
    Route::get(
        "/api/v1/organization",
        "showOrganization",
        "Shows the organization of the caller, and the API key with its role.",
    )
    .responds::<OwnOrganization>(StatusCode::OK, "The organization and the key.")
    .authenticated(Permission::Viewer, run_show)
}

async fn run_show(request: Request) -> HandlerResult {
    let Caller::Member(key) = &request.caller else {
        return Err(Code::Forbidden.into());
    };
    let organization = request
        .store()
        .organization(request.organization())
        .await?
        .ok_or(Code::NotFound)?;
    Ok(response::ok(&OwnOrganization {
        id: organization.id,
        name: organization.name,
        api_key: ApiKey::clone(key),
    }))
}
