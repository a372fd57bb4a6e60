//! What the operator does: makes the fixture, and changes it when a test asks.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use voelgoed_scan_core::client::{HttpHeader, HttpMethod, HttpRequest, HttpTransport, Transport as _};
use voelgoed_scan_core::model::{EnrollmentUri, EventId, GateId, TicketCode, Timestamp};

use crate::{Failure, text};

/// The tickets of the event. Each has its name as the holder's name.
const TICKETS: &[&str] = &[
    "first",
    "second",
    "third",
    "fourth",
    "answer_lost",
    "both",
    "voided",
];

/// The time at which the ids of the fixture are generated.
pub(crate) const ID_TIME: Timestamp = Timestamp::from_millis(1_790_000_000_000);

/// Returns the name under which the fixture has the code of a ticket.
fn code_name(ticket: &str) -> Option<&'static str> {
    match ticket {
        "first" => Some("first_code"),
        "second" => Some("second_code"),
        _ => None,
    }
}

/// The operator's API client. It calls the server directly and not through the proxy.
pub(crate) struct Operator {
    pub(crate) server_address: String,
    pub(crate) proxy_address: String,
    pub(crate) api_key: String,
    pub(crate) http: HttpTransport,
    pub(crate) event: EventId,
}

impl Operator {
    /// Creates an event with two gates, several tickets and two devices. Returns the fixture's names and values.
    pub(crate) async fn create_fixture(&self) -> Result<Vec<(&'static str, String)>, Failure> {
        let event = self.event.to_string();
        let (main, vip) = (
            GateId::generate(ID_TIME).to_string(),
            GateId::generate(ID_TIME).to_string(),
        );
        let show = json!({ "name": "Opening night", "status": "live", "ticket_classes": ["Day", "VIP"] });
        let gate =
            |name: &str, classes: Value| json!({ "name": name, "status": "open", "ticket_classes": classes });
        let path = format!("events/{event}");
        self.put(&path, &show).await?;
        self.put(&format!("{path}/gates/{main}"), &gate("Main", Value::Null))
            .await?;
        self.put(&format!("{path}/gates/{vip}"), &gate("VIP", json!(["VIP"])))
            .await?;
        let mut fixture = vec![
            ("server", format!("http://{}", self.proxy_address)),
            ("event", event.clone()),
            ("gate_main", main),
            ("gate_vip", vip),
        ];
        fixture.extend(self.create_tickets(&event, TICKETS).await?);
        let other = EventId::generate(ID_TIME).to_string();
        self.put(&format!("events/{other}"), &show).await?;
        fixture.extend(self.create_tickets(&other, &["other_event"]).await?);
        for device in ["gate-a", "gate-b"] {
            let new = json!({ "device_id": device, "name": device, "device_type": "mobile" });
            self.call(
                HttpMethod::Post,
                "scanning/devices",
                "application/json",
                new.to_string(),
            )
            .await?;
        }
        Ok(fixture)
    }

    /// Creates tickets and returns the payload of each by name.
    async fn create_tickets(
        &self,
        event: &str,
        names: &[&'static str],
    ) -> Result<Vec<(&'static str, String)>, Failure> {
        let mut payloads = Vec::new();
        for name in names {
            let code = TicketCode::generate().to_string();
            let status = if *name == "voided" { "voided" } else { "active" };
            let line = json!({
                "code": code, "ticket_class": "Day", "status": status, "holder_name": format!("Guest {name}"),
                "order_ref": "order-1"
            });
            let path = format!("events/{event}/tickets");
            self.call(HttpMethod::Post, &path, "application/x-ndjson", line.to_string())
                .await?;
            let path = format!("{path}/{code}/qr?format=vg2&as=text");
            let payload = self
                .call(HttpMethod::Get, &path, "text/plain", String::new())
                .await?;
            payloads.push((*name, payload.trim().to_owned()));
            if let Some(name) = code_name(name) {
                payloads.push((name, code));
            }
        }
        Ok(payloads)
    }

    /// Returns the id of a device.
    async fn device_id(&self, device: &str) -> Result<String, Failure> {
        let found = self.get(&format!("scanning/devices?device_id={device}")).await?;
        text(&serde_json::from_str(&found)?, "/data/0/id")
    }

    pub(crate) async fn change_messages(&self, messages: &str) -> Result<String, Failure> {
        self.call_by_name(
            "PUT",
            "organization/messages",
            "application/json",
            messages.to_owned(),
        )
        .await?;
        Ok("done".to_owned())
    }

    pub(crate) async fn change_device(&self, field: &str, device_and_value: &str) -> Result<String, Failure> {
        let (device, value) = device_and_value.split_once(' ').ok_or("DEVICE JSON")?;
        let body = json!({ (field): serde_json::from_str::<Value>(value)? });
        let path = format!("scanning/devices/{}", self.device_id(device).await?);
        self.call_by_name("PATCH", &path, "application/json", body.to_string())
            .await?;
        Ok("done".to_owned())
    }

    pub(crate) async fn revoke(&self, device: &str) -> Result<String, Failure> {
        let path = format!("scanning/devices/{}", self.device_id(device).await?);
        self.call_by_name("DELETE", &path, "application/json", String::new())
            .await?;
        Ok("done".to_owned())
    }

    pub(crate) async fn set_status(&self, ticket_and_status: &str) -> Result<String, Failure> {
        let (code, status) = ticket_and_status.split_once(' ').ok_or("status TICKET STATUS")?;
        let path = format!("events/{}/tickets/{code}", self.event);
        let body = json!({ "status": status });
        self.call_by_name("PATCH", &path, "application/json", body.to_string())
            .await?;
        Ok("done".to_owned())
    }

    pub(crate) async fn end_session(&self, device: &str) -> Result<String, Failure> {
        let device = self.device_id(device).await?;
        let found = self
            .get(&format!("scanning/sessions?device_id={device}&status=active"))
            .await?;
        let session = text(&serde_json::from_str(&found)?, "/data/0/id")?;
        self.call(
            HttpMethod::Put,
            &format!("scanning/sessions/{session}/end"),
            "application/json",
            String::new(),
        )
        .await?;
        Ok("done".to_owned())
    }

    /// Returns the scans on record.
    pub(crate) async fn scans(&self) -> Result<Vec<Value>, Failure> {
        let path = format!("scanning/scans?event_id={}&limit=500", self.event);
        let page: Value = serde_json::from_str(&self.get(&path).await?)?;
        let scans = page.pointer("/data").and_then(Value::as_array).ok_or("no list")?;
        Ok(scans.clone())
    }

    pub(crate) async fn metadata(&self, field: &str) -> Result<String, Failure> {
        let scans = self.scans().await?;
        let mut values: Vec<_> = scans
            .iter()
            .filter_map(|scan| Some(scan.get("metadata")?.get(field)?.to_string()))
            .collect();
        values.sort();
        Ok(values.join(","))
    }

    /// Issues an enrolment code and returns its URI.
    pub(crate) async fn issue_enrollment(&self, device: &str) -> Result<String, Failure> {
        let path = format!("scanning/devices/{}/enrollment", self.device_id(device).await?);
        let issued = self
            .call(HttpMethod::Post, &path, "application/json", String::new())
            .await?;
        // The URI contains the address that the operator used. A phone must use the proxy.
        let mut uri: EnrollmentUri = text(&serde_json::from_str(&issued)?, "/uri")?.parse()?;
        uri.server = format!("http://{}", self.proxy_address);
        Ok(uri.reveal())
    }

    pub(crate) async fn count_conflicts(&self) -> Result<String, Failure> {
        let path = format!("scanning/conflicts?event_id={}", self.event);
        let page: Value = serde_json::from_str(&self.get(&path).await?)?;
        let conflicts = page.pointer("/data").and_then(Value::as_array).ok_or("no list")?;
        Ok(conflicts.len().to_string())
    }

    pub(crate) async fn people_inside(&self) -> Result<String, Failure> {
        let path = format!("scanning/events/{}/occupancy", self.event);
        let occupancy: Value = serde_json::from_str(&self.get(&path).await?)?;
        occupancy
            .pointer("/event/inside")
            .map(Value::to_string)
            .ok_or_else(|| "no occupancy".into())
    }

    async fn get(&self, path: &str) -> Result<String, Failure> {
        self.call(HttpMethod::Get, path, "application/json", String::new())
            .await
    }

    async fn put(&self, path: &str, body: &Value) -> Result<String, Failure> {
        self.call(HttpMethod::Put, path, "application/json", body.to_string())
            .await
    }

    /// Calls with a method that phones do not use.
    async fn call_by_name(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: String,
    ) -> Result<String, Failure> {
        let mut server = TcpStream::connect(&self.server_address).await?;
        let head = format!(
            "{method} /api/v1/{path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: {content_type}\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.server_address,
            self.api_key,
            body.len()
        );
        server.write_all(head.as_bytes()).await?;
        let mut answer = String::new();
        server.read_to_string(&mut answer).await?;
        match answer.split(' ').nth(1) {
            Some(status) if status.starts_with('2') => Ok(answer),
            _ => Err(format!("{method} {path}: {answer}").into()),
        }
    }

    async fn call(
        &self,
        method: HttpMethod,
        path: &str,
        content_type: &str,
        body: String,
    ) -> Result<String, Failure> {
        let header = |name: &str, value: String| HttpHeader {
            name: name.to_owned(),
            value,
        };
        let request = HttpRequest {
            method,
            url: format!("http://{}/api/v1/{path}", self.server_address),
            headers: vec![
                header("Authorization", format!("Bearer {}", self.api_key)),
                header("Content-Type", content_type.to_owned()),
            ],
            body: body.into_bytes(),
            timeout: Duration::from_mins(1),
        };
        let response = self.http.send(request).await?;
        let body = String::from_utf8(response.body)?;
        if (200..300).contains(&response.status) {
            Ok(body)
        } else {
            Err(format!("{path}: {} {body}", response.status).into())
        }
    }
}
