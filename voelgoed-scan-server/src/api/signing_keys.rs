//! Signing keys: list them, add one, retire one.

use hyper::StatusCode;
use schemars::JsonSchema;
use serde::Deserialize;
use voelgoed_scan_core::model::{KeyFormat, KeyId, KeyStatus, SigningKey};
use voelgoed_scan_core::store::{Cursor, Page, PageRequest};

use crate::auth::Permission;
use crate::call::Call;
use crate::json::Request;
use crate::problem::Code;
use crate::query::Paging;
use crate::reply::{self, List};
use crate::route::{Answer, Json, Route};
use crate::thing::Thing;

const PATH: &str = "/api/v1/signing-keys";

/// A signing key to be added.
#[derive(Debug, Deserialize, JsonSchema)]
struct SigningKeyAdd {
    /// Its name within the format.
    kid: KeyId,
    /// What it signs.
    format: KeyFormat,
}

impl Request for SigningKeyAdd {
    type Shape = Self;
}

/// What becomes of a signing key.
#[derive(Debug, Deserialize, JsonSchema)]
struct SigningKeyPatch {
    /// What it may still do; `revoked` is for good.
    status: KeyStatus,
}

impl Request for SigningKeyPatch {
    type Shape = Self;
}

/// `GET /api/v1/signing-keys`
pub(crate) fn list() -> Route {
    Route::get(PATH, "listSigningKeys", "Lists signing keys, oldest first.")
        .asks::<Paging>()
        .answers::<List<SigningKey>>(StatusCode::OK, "A page of keys.")
        .by(Permission::Viewer, run_list)
}

async fn run_list(call: Call<(), Paging>) -> Answer {
    let keys = call.store().signing_keys(call.organization()).await?;
    Ok(reply::ok(&List::from(page_of(keys, &call.query.into()))))
}

/// A page of a list that is all there; its cursors count.
fn page_of<T>(all: Vec<T>, page: &PageRequest) -> Page<T> {
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
        PATH,
        "addSigningKey",
        "Adds a signing key; from then on it signs.",
    )
    .takes::<SigningKeyAdd>()
    .answers::<SigningKey>(StatusCode::CREATED, "The key.")
    .may_fail(&[Code::Conflict])
    .by(Permission::Admin, run_add)
}

async fn run_add(call: Call<Json<SigningKeyAdd>>) -> Answer {
    let SigningKeyAdd { kid, format } = call.body.0;
    let put = call
        .admin()
        .add_signing_key(call.organization(), format, kid, call.now)
        .await?;
    Ok(super::put(put, |key| {
        format!("{PATH}/{}/{}", key.format, key.kid)
    })?)
}

/// `PATCH /api/v1/signing-keys/{format}/{kid}`
pub(crate) fn change() -> Route {
    Route::patch(
        "/api/v1/signing-keys/{format}/{kid}",
        "changeSigningKey",
        "Changes what a signing key may still do. Leaving revoked is a conflict.",
    )
    .takes::<SigningKeyPatch>()
    .answers::<SigningKey>(StatusCode::OK, "The key as it is now.")
    .may_fail(&[Code::Conflict])
    .names(|call| Ok(Thing::SigningKey(call.named("format")?, call.named("kid")?)))
    .by(Permission::Admin, run_change)
}

async fn run_change(call: Call<Json<SigningKeyPatch>>) -> Answer {
    let (format, kid) = (call.named("format")?, call.named("kid")?);
    let status = call.body.0.status;
    let put = call
        .admin()
        .set_signing_key_status(call.organization(), format, kid, status)
        .await?;
    Ok(super::put(put, |_| String::new())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_is_all_there_comes_in_pages() {
        let mut page = PageRequest {
            limit: 2,
            after: None,
        };
        let mut seen = Vec::new();
        loop {
            let part = page_of(vec![1, 2, 3, 4, 5], &page);
            seen.push(part.data);
            if part.next.is_none() {
                break;
            }
            page.after = part.next;
        }
        assert_eq!(seen, [vec![1, 2], vec![3, 4], vec![5]]);
    }
}
