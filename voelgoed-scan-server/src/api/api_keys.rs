//! API keys: create, list, delete.

use hyper::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use voelgoed_scan_core::model::{ApiKey, ApiKeyCreate, ApiKeyId};
use voelgoed_scan_core::store::DeleteOutcome;

use crate::auth::Permission;
use crate::problem::{Code, Problem};
use crate::query::PageParams;
use crate::request::Request;
use crate::resource::Resource;
use crate::response::{self, List};
use crate::route::{HandlerResult, Json, Route};

const API_KEYS_PATH: &str = "/api/v1/api-keys";

/// A new API key with its secret.
#[derive(Serialize, JsonSchema)]
struct ApiKeyWithSecret {
    #[serde(flatten)]
    api_key: ApiKey,
    /// The credential. Only its hash is stored, so that it cannot be shown again.
    key: String,
}

/// `POST /api/v1/api-keys`
pub(crate) fn create() -> Route {
    Route::post(API_KEYS_PATH, "createApiKey", "Creates an API key.")
        .json_body::<ApiKeyCreate>()
        .responds::<ApiKeyWithSecret>(
            StatusCode::CREATED,
            "The API key and its secret, which is shown only once.",
        )
        .authenticated(Permission::Owner, run_create)
}

async fn run_create(request: Request<Json<ApiKeyCreate>>) -> HandlerResult {
    let (api_key, secret) = request
        .admin()
        .create_api_key(
            request.organization(),
            &request.body.0,
            &request.audit_context(),
            request.now,
        )
        .await?;
    let location = format!("{API_KEYS_PATH}/{}", api_key.id);
    let created = ApiKeyWithSecret {
        api_key,
        key: secret.reveal().to_owned(),
    };
    Ok(response::created(&created, &location))
}

/// `GET /api/v1/api-keys`
pub(crate) fn list() -> Route {
    Route::get(
        API_KEYS_PATH,
        "listApiKeys",
        "Lists API keys in the order of their ids, without their secrets.",
    )
    .query::<PageParams>()
    .responds::<List<ApiKey>>(StatusCode::OK, "A page of API keys.")
    .authenticated(Permission::Owner, run_list)
}

async fn run_list(request: Request<(), PageParams>) -> HandlerResult {
    let keys = request
        .store()
        .api_keys(request.organization(), &request.query.into())
        .await?;
    Ok(response::ok(&List::from(keys)))
}

/// `DELETE /api/v1/api-keys/{id}`
pub(crate) fn delete() -> Route {
    Route::delete(
        "/api/v1/api-keys/{id}",
        "deleteApiKey",
        "Deletes an API key, which becomes invalid. The last key with the role owner cannot be deleted.",
    )
    .responds_no_content("The API key is deleted.")
    .problems(&[Code::Conflict])
    .resource(|request| Ok(Resource::ApiKey(request.id("id")?)))
    .authenticated(Permission::Owner, run_delete)
}

async fn run_delete(request: Request) -> HandlerResult {
    let id: ApiKeyId = request.id("id")?;
    let by = request.audit_context();
    match request
        .admin()
        .delete_api_key(request.organization(), id, &by, request.now)
        .await?
    {
        DeleteOutcome::Deleted => Ok(response::no_content()),
        DeleteOutcome::Conflict(rule) => Err(Problem::conflict(rule).into()),
        DeleteOutcome::Missing => Err(Code::NotFound.into()),
    }
}
