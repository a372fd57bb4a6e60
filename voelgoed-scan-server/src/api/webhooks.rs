//! Webhooks: create, list, show, change, delete; rotate the secret, send a test; list deliveries and send one again.

use hyper::{Response, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;
use voelgoed_scan_core::model::{
    AcceptedDelivery, CreatedWebhook, DeliveryId, DeliveryStatus, RotatedSecret, Webhook, WebhookCreate,
    WebhookDelivery, WebhookHost, WebhookId, WebhookPatch, WebhookUrl,
};
use voelgoed_scan_core::net::is_globally_reachable;
use voelgoed_scan_core::store::EnqueueOutcome;

use super::{ok_or_not_found, put_response};
use crate::auth::Permission;
use crate::problem::{Code, FieldError, Problem};
use crate::query::{PageParams, Query};
use crate::request::Request;
use crate::resource::Resource;
use crate::response::{self, List, ResponseBody};
use crate::route::{HandlerResult, Json, Route};
use crate::state::ServerState;

const WEBHOOKS_PATH: &str = "/api/v1/webhooks";
const WEBHOOK_PATH: &str = "/api/v1/webhooks/{id}";

/// Refuses a URL that this server never sends to. Names are looked up when something is sent.
fn check_url(url: &WebhookUrl, state: &ServerState) -> Result<(), Problem> {
    if state.webhook_allow_private {
        return Ok(());
    }
    let message = match url.host() {
        _ if !url.is_https() => "must begin with https://",
        WebhookHost::Address(address) if !is_globally_reachable(address) => {
            "must not have an address of a private network"
        }
        _ => return Ok(()),
    };
    Err(Problem::invalid(vec![FieldError {
        pointer: "/url".to_owned(),
        message: message.into(),
    }]))
}

/// `POST /api/v1/webhooks`
pub(crate) fn create() -> Route {
    Route::post(
        WEBHOOKS_PATH,
        "createWebhook",
        "Creates a webhook: the server sends what is recorded from now on to its URL, signed as Standard Webhooks says. An \
         organization may have 20. The URL is https, and its address belongs to the public Internet.",
    )
    .json_body::<WebhookCreate>()
    .responds::<CreatedWebhook>(
        StatusCode::CREATED,
        "The webhook and its secret, which is shown only once.",
    )
    .problems(&[Code::Conflict])
    .authenticated(Permission::Admin, run_create)
}

async fn run_create(request: Request<Json<WebhookCreate>>) -> HandlerResult {
    check_url(&request.body.0.url, &request.state)?;
    let put = request
        .admin()
        .create_webhook(
            request.organization(),
            &request.body.0,
            &request.audit_context(),
            request.now,
        )
        .await?
        .map(|(webhook, secret)| CreatedWebhook { webhook, secret });
    Ok(put_response(put, |created| {
        format!("{WEBHOOKS_PATH}/{}", created.webhook.id)
    })?)
}

/// `GET /api/v1/webhooks`
pub(crate) fn list() -> Route {
    Route::get(
        WEBHOOKS_PATH,
        "listWebhooks",
        "Lists webhooks in the order of their ids, without their secrets.",
    )
    .query::<PageParams>()
    .responds::<List<Webhook>>(StatusCode::OK, "A page of webhooks.")
    .authenticated(Permission::Admin, run_list)
}

async fn run_list(request: Request<(), PageParams>) -> HandlerResult {
    let webhooks = request
        .store()
        .webhooks(request.organization(), &request.query.into())
        .await?;
    Ok(response::ok(&List::from(webhooks)))
}

/// `GET /api/v1/webhooks/{id}`
pub(crate) fn show() -> Route {
    Route::get(
        WEBHOOK_PATH,
        "showWebhook",
        "Shows a webhook, without its secret.",
    )
    .responds::<Webhook>(StatusCode::OK, "The webhook.")
    .resource(|request| Ok(Resource::Webhook(request.id("id")?)))
    .authenticated(Permission::Admin, run_show)
}

async fn run_show(request: Request) -> HandlerResult {
    let id: WebhookId = request.id("id")?;
    ok_or_not_found(request.store().webhook(request.organization(), id).await?)
}

/// `PATCH /api/v1/webhooks/{id}`
pub(crate) fn change() -> Route {
    Route::patch(
        WEBHOOK_PATH,
        "changeWebhook",
        "Changes a webhook; absent fields stay. One that becomes disabled is told nothing, and what was pending has failed. \
         One that becomes active is told what is recorded from then on.",
    )
    .json_body::<WebhookPatch>()
    .responds::<Webhook>(StatusCode::OK, "The changed webhook.")
    .resource(|request| Ok(Resource::Webhook(request.id("id")?)))
    .authenticated(Permission::Admin, run_change)
}

async fn run_change(request: Request<Json<WebhookPatch>>) -> HandlerResult {
    let id: WebhookId = request.id("id")?;
    if let Some(url) = &request.body.0.url {
        check_url(url, &request.state)?;
    }
    let webhook = request
        .admin()
        .patch_webhook(
            request.organization(),
            id,
            &request.body.0,
            &request.audit_context(),
            request.now,
        )
        .await?;
    ok_or_not_found(webhook)
}

/// `DELETE /api/v1/webhooks/{id}`
pub(crate) fn delete() -> Route {
    Route::delete(
        WEBHOOK_PATH,
        "deleteWebhook",
        "Deletes a webhook with its deliveries, also the pending ones.",
    )
    .responds_no_content("The webhook is deleted.")
    .resource(|request| Ok(Resource::Webhook(request.id("id")?)))
    .authenticated(Permission::Admin, run_delete)
}

async fn run_delete(request: Request) -> HandlerResult {
    let id: WebhookId = request.id("id")?;
    let admin = request.admin();
    if admin
        .delete_webhook(request.organization(), id, &request.audit_context(), request.now)
        .await?
    {
        Ok(response::no_content())
    } else {
        Err(Code::NotFound.into())
    }
}

/// `POST /api/v1/webhooks/{id}/rotate`
pub(crate) fn rotate() -> Route {
    Route::post(
        "/api/v1/webhooks/{id}/rotate",
        "rotateWebhookSecret",
        "Gives a webhook a new secret. The old one signs as well for 24 hours: deliveries have two signatures.",
    )
    .responds::<RotatedSecret>(StatusCode::OK, "The new secret, which is shown only once.")
    .resource(|request| Ok(Resource::Webhook(request.id("id")?)))
    .authenticated(Permission::Admin, run_rotate)
}

async fn run_rotate(request: Request) -> HandlerResult {
    let id: WebhookId = request.id("id")?;
    let rotated = request
        .admin()
        .rotate_webhook_secret(request.organization(), id, &request.audit_context(), request.now)
        .await?;
    ok_or_not_found(rotated.map(|secret| RotatedSecret { secret }))
}

/// `POST /api/v1/webhooks/{id}/test`
pub(crate) fn test() -> Route {
    Route::post(
        "/api/v1/webhooks/{id}/test",
        "testWebhook",
        "Sends a delivery of the type webhook.test to this webhook alone, whatever its types. A disabled webhook gives 409.",
    )
    .responds::<AcceptedDelivery>(StatusCode::ACCEPTED, "The delivery, which is sent at once.")
    .problems(&[Code::Conflict])
    .resource(|request| Ok(Resource::Webhook(request.id("id")?)))
    .authenticated(Permission::Admin, run_test)
}

async fn run_test(request: Request) -> HandlerResult {
    let id: WebhookId = request.id("id")?;
    let (outcome, delivery) = request
        .admin()
        .test_webhook(request.organization(), id, &request.audit_context(), request.now)
        .await?;
    Ok(enqueued(outcome, delivery)?)
}

/// The filter of a list of deliveries.
#[derive(Debug, Deserialize, JsonSchema)]
struct DeliveryListParams {
    /// Only deliveries with this status.
    #[serde(default)]
    status: Option<DeliveryStatus>,
    #[serde(flatten)]
    page: PageParams,
}

impl Query for DeliveryListParams {}

/// `GET /api/v1/webhooks/{id}/deliveries`
pub(crate) fn list_deliveries() -> Route {
    Route::get(
        "/api/v1/webhooks/{id}/deliveries",
        "listWebhookDeliveries",
        "Lists the deliveries of a webhook, newest first. Delivered ones are kept for 3 days, failed ones for 30. A page \
         may have fewer rows than its limit, or none, and still have a next_cursor.",
    )
    .query::<DeliveryListParams>()
    .responds::<List<WebhookDelivery>>(StatusCode::OK, "A page of deliveries.")
    .resource(|request| Ok(Resource::Webhook(request.id("id")?)))
    .authenticated(Permission::Admin, run_list_deliveries)
}

async fn run_list_deliveries(request: Request<(), DeliveryListParams>) -> HandlerResult {
    let id: WebhookId = request.id("id")?;
    let DeliveryListParams { status, page } = &request.query;
    let (store, organization) = (request.store(), request.organization());
    store.webhook(organization, id).await?.ok_or(Code::NotFound)?;
    let deliveries = store
        .webhook_deliveries(organization, id, *status, &(*page).into())
        .await?;
    Ok(response::ok(&List::from(deliveries)))
}

/// `POST /api/v1/webhooks/{id}/deliveries/{delivery}/redeliver`
pub(crate) fn redeliver() -> Route {
    Route::post(
        "/api/v1/webhooks/{id}/deliveries/{delivery}/redeliver",
        "redeliverWebhookDelivery",
        "Sends a delivery again, under the same webhook-id and with all attempts. One that is pending is sent at once. A \
         disabled webhook gives 409.",
    )
    .responds::<AcceptedDelivery>(StatusCode::ACCEPTED, "The delivery, which is sent at once.")
    .problems(&[Code::Conflict])
    .resource(|request| Ok(Resource::WebhookDelivery(request.id("id")?, request.id("delivery")?)))
    .authenticated(Permission::Admin, run_redeliver)
}

async fn run_redeliver(request: Request) -> HandlerResult {
    let (id, delivery): (WebhookId, DeliveryId) = (request.id("id")?, request.id("delivery")?);
    let outcome = request
        .admin()
        .redeliver(
            request.organization(),
            id,
            delivery,
            &request.audit_context(),
            request.now,
        )
        .await?;
    Ok(enqueued(outcome, delivery)?)
}

/// The response to a request to send something.
fn enqueued(outcome: EnqueueOutcome, delivery_id: DeliveryId) -> Result<Response<ResponseBody>, Problem> {
    match outcome {
        EnqueueOutcome::Accepted => Ok(response::json(
            StatusCode::ACCEPTED,
            &AcceptedDelivery { delivery_id },
        )),
        EnqueueOutcome::Disabled => Err(Problem::conflict("The webhook is disabled.")),
        EnqueueOutcome::Missing => Err(Code::NotFound.into()),
    }
}
