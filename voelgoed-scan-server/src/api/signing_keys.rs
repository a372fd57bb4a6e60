//! Signing keys: list, add, change the status.

use hyper::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use voelgoed_scan_core::model::{KeyFormat, KeyId, KeyStatus, SigningKey};
use voelgoed_scan_core::store::{Cursor, Page, PageRequest};

use super::put_response;
use crate::auth::Permission;
use crate::json::JsonBody;
use crate::problem::Code;
use crate::query::PageParams;
use crate::request::Request;
use crate::resource::Resource;
use crate::response::{self, List};
use crate::route::{HandlerResult, Json, Route};

const SIGNING_KEYS_PATH: &str = "/api/v1/signing-keys";

/// A new signing key.
#[derive(Debug, Deserialize, JsonSchema)]
struct SigningKeyAdd {
    /// The name of the key, unique within its format.
    kid: KeyId,
    /// The format of the payloads that the key signs.
    format: KeyFormat,
}

impl JsonBody for SigningKeyAdd {
    type Schema = Self;
}

/// A change of a signing key.
#[derive(Debug, Deserialize, JsonSchema)]
struct SigningKeyPatch {
    /// The new status; `revoked` is final.
    status: KeyStatus,
}

impl JsonBody for SigningKeyPatch {
    type Schema = Self;
}

/// `GET /api/v1/signing-keys`
pub(crate) fn list() -> Route {
    Route::get(
        SIGNING_KEYS_PATH,
        "listSigningKeys",
        "Lists signing keys, oldest first.",
    )
    .query::<PageParams>()
    .responds::<List<SigningKey>>(StatusCode::OK, "A page of keys.")
    .authenticated(Permission::Viewer, run_list)
}

async fn run_list(request: Request<(), PageParams>) -> HandlerResult {
    let keys = request.store().signing_keys(request.organization()).await?;
    Ok(response::ok(&List::from(paginate(keys, &request.query.into()))))
}

/// A page of a complete list. The time field of its cursors is the index of the next item.
fn paginate<T>(all: Vec<T>, page: &PageRequest) -> Page<T> {
    let first = page
        .after
        .map_or(0, |after| usize::try_from(after.at).unwrap_or(usize::MAX));
    let total = all.len();
    let data: Vec<T> = all.into_iter().skip(first).take(page.limit.into()).collect();
    let end = first.saturating_add(data.len());
    let next = (end < total).then(|| Cursor {
        at: i64::try_from(end).unwrap_or(i64::MAX),
        id: uuid::Uuid::nil(),
    });
    Page { data, next }
}

/// `POST /api/v1/signing-keys`
pub(crate) fn add() -> Route {
    Route::post(
        SIGNING_KEYS_PATH,
        "addSigningKey",
        "Adds a signing key, which signs from then on.",
    )
    .json_body::<SigningKeyAdd>()
    .responds::<SigningKey>(StatusCode::CREATED, "The key.")
    .problems(&[Code::Conflict])
    .authenticated(Permission::Admin, run_add)
}

async fn run_add(request: Request<Json<SigningKeyAdd>>) -> HandlerResult {
    let SigningKeyAdd { kid, format } = request.body.0;
    let by = request.audit_context();
    let put = request
        .admin()
        .add_signing_key(request.organization(), format, kid, &by, request.now)
        .await?;
    Ok(put_response(put, |key| {
        format!("{SIGNING_KEYS_PATH}/{}/{}", key.format, key.kid)
    })?)
}

/// `PATCH /api/v1/signing-keys/{format}/{kid}`
pub(crate) fn change() -> Route {
    Route::patch(
        "/api/v1/signing-keys/{format}/{kid}",
        "changeSigningKey",
        "Changes the status of a signing key. A revoked key cannot be changed: the response is 409.",
    )
    .json_body::<SigningKeyPatch>()
    .responds::<SigningKey>(StatusCode::OK, "The changed key.")
    .problems(&[Code::Conflict])
    .resource(|request| {
        Ok(Resource::SigningKey(
            request.path_value("format")?,
            request.path_value("kid")?,
        ))
    })
    .authenticated(Permission::Admin, run_change)
}

async fn run_change(request: Request<Json<SigningKeyPatch>>) -> HandlerResult {
    let (format, kid) = (request.path_value("format")?, request.path_value("kid")?);
    let (status, by) = (request.body.0.status, request.audit_context());
    let put = request
        .admin()
        .set_signing_key_status(request.organization(), format, kid, status, &by, request.now)
        .await?;
    Ok(put_response(put, |_| String::new())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complete_list_is_paginated() {
        let mut page = PageRequest {
            limit: 2,
            after: None,
        };
        let mut seen = Vec::new();
        loop {
            let result = paginate(vec![1, 2, 3, 4, 5], &page);
            seen.push(result.data);
            if result.next.is_none() {
                break;
            }
            page.after = result.next;
        }
        assert_eq!(seen, [vec![1, 2], vec![3, 4], vec![5]]);
    }
}
