//! API keys: create one, list them, delete one.

use hyper::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use voelgoed_scan_core::model::{ApiKey, ApiKeyCreate, ApiKeyId};

use crate::auth::Permission;
use crate::call::Call;
use crate::problem::Code;
use crate::query::Paging;
use crate::reply::{self, List};
use crate::route::{Answer, Json, Route};
use crate::thing::Thing;

const PATH: &str = "/api/v1/api-keys";

/// An API key with its secret, which is shown this once.
#[derive(Serialize, JsonSchema)]
struct ApiKeyWithSecret {
    #[serde(flatten)]
    api_key: ApiKey,
    /// The credential. It is not stored and cannot be shown again.
    key: String,
}

/// `POST /api/v1/api-keys`
pub(crate) fn create() -> Route {
    Route::post(PATH, "createApiKey", "Creates an API key.")
        .takes::<ApiKeyCreate>()
        .answers::<ApiKeyWithSecret>(StatusCode::CREATED, "The API key and, this once, its secret.")
        .by(Permission::Owner, run_create)
}

async fn run_create(call: Call<Json<ApiKeyCreate>>) -> Answer {
    let (api_key, secret) = call
        .admin()
        .create_api_key(call.organization(), &call.body.0, call.now)
        .await?;
    let location = format!("{PATH}/{}", api_key.id);
    let made = ApiKeyWithSecret {
        api_key,
        key: secret.reveal().to_owned(),
    };
    Ok(reply::created(&made, &location))
}

/// `GET /api/v1/api-keys`
pub(crate) fn list() -> Route {
    Route::get(
        PATH,
        "listApiKeys",
        "Lists API keys in the order of their ids, without their secrets.",
    )
    .asks::<Paging>()
    .answers::<List<ApiKey>>(StatusCode::OK, "A page of API keys.")
    .by(Permission::Owner, run_list)
}

async fn run_list(call: Call<(), Paging>) -> Answer {
    let keys = call
        .store()
        .api_keys(call.organization(), &call.query.into())
        .await?;
    Ok(reply::ok(&List::from(keys)))
}

/// `DELETE /api/v1/api-keys/{id}`
pub(crate) fn delete() -> Route {
    Route::delete(
        "/api/v1/api-keys/{id}",
        "deleteApiKey",
        "Deletes an API key; nobody can call with it any more.",
    )
    .answers_nothing("It is gone.")
    .names(|call| Ok(Thing::ApiKey(call.id("id")?)))
    .by(Permission::Owner, run_delete)
}

async fn run_delete(call: Call) -> Answer {
    let id: ApiKeyId = call.id("id")?;
    if call.admin().delete_api_key(call.organization(), id).await? {
        Ok(reply::nothing())
    } else {
        Err(Code::NotFound.into())
    }
}
