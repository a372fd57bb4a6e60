//! The network between a phone and the server, with faults.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;
use voelgoed_scan_core::client::{HttpHeader, HttpRequest, HttpResponse, Transport, TransportError};
use voelgoed_scan_core::model::{ScanId, Timestamp};

use crate::clock::TrueClock;
use crate::rng::Rng;
use crate::server::{Server, problem};

/// What happens to the requests of a phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    /// Every request is answered after some milliseconds.
    Clear,
    /// Every request is answered, after up to three seconds.
    Slow,
    /// The server cannot be reached.
    Down,
    /// Requests are lost.
    LosesRequests,
    /// The server handles requests, and its answers are lost.
    LosesAnswers,
    /// Requests and answers stop under way and go on when the weather changes.
    Frozen,
    /// A proxy answers that the server is overloaded.
    Busy,
    /// A captive portal answers with its page.
    Portal,
    /// A proxy answers with errors of its own, some of which look like the server's.
    ForeignErrors,
    /// Answers belong to other questions.
    WrongIds,
    /// Answers are cut off.
    Cut,
    /// Each request meets one of the others.
    Changeable,
}

impl Weather {
    pub(crate) const FAULTS: [Self; 11] = [
        Self::Slow,
        Self::Down,
        Self::LosesRequests,
        Self::LosesAnswers,
        Self::Frozen,
        Self::Busy,
        Self::Portal,
        Self::ForeignErrors,
        Self::WrongIds,
        Self::Cut,
        Self::Changeable,
    ];

    /// Whether no answer of the server arrives.
    pub(crate) fn cuts_off(self) -> bool {
        !matches!(self, Self::Clear | Self::Slow | Self::Changeable | Self::WrongIds)
    }
}

/// An exchange whose answer the phone got.
#[derive(Debug, Clone)]
pub(crate) struct Delivered {
    /// Such as `POST scanning/scan`.
    pub(crate) call: String,
    pub(crate) status: u16,
    /// When the server answered.
    pub(crate) answered_at: Timestamp,
    /// When the phone got the answer.
    pub(crate) delivered_at: Timestamp,
    /// The JSON body, or null.
    pub(crate) body: Value,
    /// The JSON body of the request.
    pub(crate) request: Value,
    /// Whether it is the server's answer, unchanged.
    pub(crate) genuine: bool,
}

/// The connection of one life of an app to the server.
pub(crate) struct Link {
    server: Arc<Server>,
    clock: TrueClock,
    alive: AtomicBool,
    weather: watch::Sender<Weather>,
    rng: Mutex<Rng>,
    delivered: Mutex<Vec<Delivered>>,
    /// The server's answers to scans, whether or not they arrived.
    given: Mutex<Vec<Value>>,
    /// Scans whose requests were held up on their way to the server.
    held_up: Mutex<Vec<ScanId>>,
}

impl Link {
    pub(crate) fn new(server: Arc<Server>, clock: TrueClock, weather: Weather, seed: u64) -> Arc<Self> {
        Arc::new(Self {
            server,
            clock,
            alive: AtomicBool::new(true),
            weather: watch::Sender::new(weather),
            rng: Mutex::new(Rng::new(seed)),
            delivered: Mutex::new(Vec::new()),
            given: Mutex::new(Vec::new()),
            held_up: Mutex::new(Vec::new()),
        })
    }

    pub(crate) fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    pub(crate) fn weather(&self) -> Weather {
        *self.weather.borrow()
    }

    pub(crate) fn server(&self) -> Arc<Server> {
        Arc::clone(&self.server)
    }

    pub(crate) fn clock(&self) -> TrueClock {
        self.clock
    }

    /// Ends the life of the app: nothing of it reaches the server any more, and no answer reaches it.
    pub(crate) fn kill(&self) {
        self.alive.store(false, Ordering::SeqCst);
    }

    /// The exchanges since the last call.
    pub(crate) fn take_delivered(&self) -> Vec<Delivered> {
        std::mem::take(&mut *self.delivered.lock())
    }

    /// The server's answers to scans since the last call.
    pub(crate) fn take_given(&self) -> Vec<Value> {
        std::mem::take(&mut *self.given.lock())
    }

    /// The scans whose requests were held up since the last call.
    pub(crate) fn take_held_up(&self) -> Vec<ScanId> {
        std::mem::take(&mut *self.held_up.lock())
    }

    /// What happens to the next request, and its delays on the way there and back.
    fn draw(&self) -> (Weather, Duration, Duration) {
        let mut rng = self.rng.lock();
        let weather = match self.weather() {
            Weather::Changeable if rng.percent(50) => Weather::Clear,
            Weather::Changeable => rng.pick(&Weather::FAULTS[..10]),
            weather => weather,
        };
        let longest = if weather == Weather::Slow { 1500 } else { 120 };
        let mut delay = || Duration::from_millis(rng.below(longest));
        (weather, delay(), delay())
    }

    /// Fails if the app has ended.
    fn check_alive(&self) -> Result<(), TransportError> {
        if self.alive.load(Ordering::SeqCst) {
            return Ok(());
        }
        Err(TransportError::Unreachable {
            reason: "the app has ended".to_owned(),
        })
    }

    async fn thaw(&self) {
        let mut weather = self.weather.subscribe();
        // The sender lives as long as `self`.
        let _ = weather
            .wait_for(|weather| !matches!(weather, Weather::Frozen | Weather::Changeable))
            .await;
    }

    /// Carries a request to the server and its answer back. Goes on when the phone no longer waits.
    async fn exchange(
        &self,
        request: HttpRequest,
    ) -> Result<(HttpResponse, Timestamp, bool), TransportError> {
        let (weather, there, back) = self.draw();
        tokio::time::sleep(there).await;
        self.check_alive()?;
        let unreachable = || TransportError::Unreachable {
            reason: format!("{weather:?}"),
        };
        let foreign = match weather {
            Weather::Down => return Err(unreachable()),
            Weather::LosesRequests => return lost().await,
            Weather::Busy => Some(problem(503, "overloaded")),
            Weather::Portal => Some(portal()),
            Weather::ForeignErrors => Some(foreign_error(&mut self.rng.lock())),
            _ => None,
        };
        if weather == Weather::Frozen {
            self.thaw().await;
            self.check_alive()?;
            self.held_up.lock().extend(scans_of(&request));
        }
        let now = self.clock.now();
        let (mut answer, mut genuine) = match foreign {
            Some(foreign) => (foreign, false),
            None => (self.ask(request, now).await, true),
        };
        tokio::time::sleep(back).await;
        self.check_alive()?;
        match weather {
            Weather::LosesAnswers => return lost().await,
            Weather::WrongIds => {
                genuine = false;
                answer.body = with_wrong_ids(&answer.body, &mut self.rng.lock());
            }
            Weather::Cut if self.rng.lock().percent(50) => return Err(unreachable()),
            Weather::Cut => {
                genuine = false;
                answer.body.truncate(answer.body.len() / 2);
            }
            _ => {}
        }
        Ok((answer, now, genuine))
    }

    async fn ask(&self, request: HttpRequest, now: Timestamp) -> HttpResponse {
        let is_scan = request.url.ends_with("/scanning/scan");
        let answer = self
            .server
            .run(move |server| async move { server.answer(&request, now).await })
            .await;
        if is_scan && answer.status == 200 {
            let given = serde_json::from_slice(&answer.body).expect("the server answers JSON");
            self.given.lock().push(given);
        }
        answer
    }
}

/// The transport of one life of an app.
pub(crate) struct LinkTransport(pub(crate) Arc<Link>);

#[async_trait]
impl Transport for LinkTransport {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let link = Arc::clone(&self.0);
        let path = request.url.split("/api/v1/").nth(1).unwrap_or_default();
        let call = format!("{} {path}", request.method.as_str());
        let sent = serde_json::from_slice(&request.body).unwrap_or_default();
        let exchange = tokio::spawn(async move { link.exchange(request).await });
        let exchanged = exchange.await.expect("an exchange does not panic");
        let (response, answered_at, genuine) = exchanged?;
        self.0.delivered.lock().push(Delivered {
            call,
            status: response.status,
            answered_at,
            delivered_at: self.0.clock.now(),
            body: serde_json::from_slice(&response.body).unwrap_or_default(),
            request: sent,
            genuine,
        });
        Ok(response)
    }
}

/// The scans of a request: one to be decided, or those of an upload.
fn scans_of(request: &HttpRequest) -> Vec<ScanId> {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let uploaded = body["scans"].as_array().into_iter().flatten();
    let scans = uploaded.chain([&body]);
    scans
        .filter_map(|scan| scan["scan_id"].as_str()?.parse().ok())
        .collect()
}

/// Nothing arrives for longer than any phone waits.
async fn lost<T>() -> Result<T, TransportError> {
    tokio::time::sleep(Duration::from_hours(1)).await;
    Err(TransportError::TimedOut)
}

fn page(status: u16, content_type: &str, body: &str) -> HttpResponse {
    HttpResponse {
        status,
        headers: vec![HttpHeader {
            name: "content-type".to_owned(),
            value: content_type.to_owned(),
        }],
        body: body.as_bytes().to_vec(),
    }
}

fn portal() -> HttpResponse {
    page(200, "text/html", "<html><h1>Your room number?</h1></html>")
}

/// An error that a proxy, a firewall or a captive portal gives.
fn foreign_error(rng: &mut Rng) -> HttpResponse {
    let (status, body) = rng.pick(&[
        (401, r#"{"error":"login_required"}"#),
        (401, r#"{"code":"device_inactive","detail":"a proxy says so"}"#),
        (
            401,
            r#"{"type":"about:blank","title":"Unauthorized","status":401,"code":"device_inactive"}"#,
        ),
        (
            403,
            r#"{"type":"https://portal.example/blocked","code":"forbidden"}"#,
        ),
        (403, r#"{"code":"blocked_by_policy"}"#),
        (404, "not here"),
        (409, r#"{"code":"no_active_session"}"#),
        (302, ""),
        (502, "<html>Bad Gateway</html>"),
        (511, "<html>Network Authentication Required</html>"),
        (200, "{}"),
        (200, "null"),
        (204, ""),
    ]);
    page(status, "application/json", body)
}

/// The answer to another question: one of its ids is another.
fn with_wrong_ids(body: &[u8], rng: &mut Rng) -> Vec<u8> {
    let Ok(mut answer) = serde_json::from_slice::<Value>(body) else {
        return body.to_vec();
    };
    let other = json!("0192f0c1-7a4e-7000-8000-0000000000ff");
    let fields: &[&str] = match &answer {
        // The answer to a scan, to an upload, about the device, about a session.
        answer if answer.get("ticket").is_some() => &["/scan_id", "/event_id", "/gate/id"],
        answer if answer.get("batch_id").is_some() => &["/batch_id"],
        answer if answer.get("device").is_some() => &["/device/id"],
        answer if answer.get("started_at").is_some() => &["/event_id", "/gate_id", "/device_id"],
        _ => return body.to_vec(),
    };
    if let Some(field) = answer.pointer_mut(rng.pick(fields)) {
        *field = other;
    }
    // An answer to another question may be green.
    if answer.get("ticket").is_some() {
        answer["result"] = json!("valid");
        answer["reason"] = json!("admitted");
    }
    serde_json::to_vec(&answer).expect("JSON")
}
