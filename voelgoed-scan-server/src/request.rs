//! The request that a handler gets: the caller, the path values, the query and the body, all parsed.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use hyper::HeaderMap;
use hyper::header::HeaderValue;
use voelgoed_scan_core::model::{
    AuditActor, AuditContext, AuthenticatedDevice, DeviceId, DeviceScope, EventId, Format, GateId,
    OrganizationId, TicketCode, Timestamp,
};
use voelgoed_scan_core::node::{Admin, Scanner};
use voelgoed_scan_core::store::Store;
use voelgoed_scan_core::token::Payload;

use crate::auth::{Caller, Credential};
use crate::body::BodyMemory;
use crate::head::as_text;
use crate::limit::{DeviceTurn, MemberShare};
use crate::problem::{Code, Problem};
use crate::query::NoQuery;
use crate::resource::Resource;
use crate::state::ServerState;

/// Names and values of a path's variables; the values are percent-decoded.
pub(crate) type PathValues = Vec<(String, String)>;

/// A request with the body `B` and the query parameters `Q`. Its caller is authenticated and has the permission that
/// the route requires.
pub(crate) struct Request<B = (), Q = NoQuery> {
    pub(crate) state: Arc<ServerState>,
    pub(crate) caller: Caller,
    pub(crate) credential: Credential,
    pub(crate) path: PathValues,
    pub(crate) headers: HeaderMap,
    /// The other end of the connection.
    pub(crate) peer: IpAddr,
    pub(crate) request_id: HeaderValue,
    pub(crate) now: Timestamp,
    /// Keeps other requests of the device away from a route that a device calls one at a time.
    pub(crate) turn: Option<DeviceTurn>,
    /// What the request takes of what its API key and its organization may do at once.
    pub(crate) share: Option<MemberShare>,
    /// The memory that a big body takes until its request ends.
    pub(crate) memory: Option<BodyMemory>,
    pub(crate) query: Q,
    pub(crate) body: B,
}

impl<B, Q> Request<B, Q> {
    /// The organization that the caller belongs to.
    pub(crate) fn organization(&self) -> OrganizationId {
        self.caller.organization()
    }

    /// The scanner of this node.
    pub(crate) fn scanner(&self) -> &Scanner {
        &self.state.scanner
    }

    /// The administration of this node.
    pub(crate) fn admin(&self) -> &Admin {
        &self.state.admin
    }

    /// The database, for reading.
    pub(crate) fn store(&self) -> &dyn Store {
        self.state.scanner.store()
    }

    /// The device that calls; `forbidden` for members.
    pub(crate) fn authenticated_device(&self) -> Result<&Arc<AuthenticatedDevice>, Problem> {
        match &self.caller {
            Caller::Device(device) => Ok(device),
            Caller::Member(_) => Err(Code::Forbidden.into()),
        }
    }

    /// The scope of the device that calls; `None` for members, and for a device that may work anywhere.
    pub(crate) fn scope(&self) -> Option<&DeviceScope> {
        match &self.caller {
            Caller::Device(authenticated) => {
                Some(&authenticated.device.scope).filter(|scope| !scope.is_any())
            }
            Caller::Member(_) => None,
        }
    }

    /// Who calls, for the audit log.
    pub(crate) fn audit_context(&self) -> AuditContext {
        let actor = match &self.caller {
            Caller::Device(authenticated) => AuditActor::from(&authenticated.device),
            Caller::Member(key) => AuditActor::from(&**key),
        };
        AuditContext {
            actor,
            address: Some(self.state.trusted_proxies.client(self.peer, &self.headers)),
            request_id: Some(as_text(&self.request_id).to_owned()),
        }
    }

    /// The value of a path variable; `not_found` if the text does not parse.
    pub(crate) fn path_value<T: FromStr>(&self, variable: &str) -> Result<T, Problem> {
        let text = self
            .path
            .iter()
            .find(|(name, _)| name == variable)
            .map(|(_, text)| text.as_str())
            .ok_or(Code::NotFound)?;
        text.parse().map_err(|_| Code::NotFound.into())
    }

    /// The id in a path variable; `not_found` unless it is a UUID in hyphenated form.
    pub(crate) fn id<T: From<uuid::Uuid>>(&self, variable: &str) -> Result<T, Problem> {
        let HyphenatedUuid(uuid) = self.path_value(variable)?;
        Ok(uuid.into())
    }

    /// The event id in the path.
    pub(crate) fn event_id(&self) -> Result<EventId, Problem> {
        self.id("id")
    }

    /// The gate id in the path.
    pub(crate) fn gate_id(&self) -> Result<GateId, Problem> {
        self.id("gate_id")
    }

    /// The device id in the path.
    pub(crate) fn device_id(&self) -> Result<DeviceId, Problem> {
        self.id("id")
    }

    /// The ticket in the path, or its event if the path has a payload that names no code. Nothing of a payload is verified: a
    /// handler uses [`Self::verified_ticket_code`].
    pub(crate) fn ticket_resource(&self) -> Result<Resource, Problem> {
        let event = self.event_id()?;
        let code = match self.path_value("code")? {
            TicketInPath::Code(code) => Some(code),
            TicketInPath::Payload { claimed_code, .. } => claimed_code,
        };
        Ok(code.map_or(Resource::Event(event), |code| Resource::Ticket(event, code)))
    }

    /// The ticket code in the path, or that of a payload of the organization's in the path.
    pub(crate) async fn verified_ticket_code(&self) -> Result<TicketCode, Problem> {
        let payload = match self.path_value("code")? {
            TicketInPath::Code(code) => return Ok(code),
            TicketInPath::Payload { text, .. } => text,
        };
        let verified = self
            .admin()
            .code_of_payload(self.organization(), &payload)
            .await?;
        verified.ok_or_else(|| Code::NotFound.into())
    }
}

/// A ticket in a path: its code, or a payload, of which only the shape is checked.
enum TicketInPath {
    Code(TicketCode),
    Payload {
        text: String,
        /// `None` if the payload names the ticket by its id alone.
        claimed_code: Option<TicketCode>,
    },
}

impl FromStr for TicketInPath {
    type Err = Code;

    fn from_str(text: &str) -> Result<Self, Code> {
        if let Ok(code) = text.parse() {
            return Ok(Self::Code(code));
        }
        let payload = Payload::parse(text).map_err(|_| Code::NotFound)?;
        // A code in another form than that of the ticket object has no path of its own.
        let is_signed = payload.format() != Format::Bare;
        let claims = payload.unverified_claims().ok().filter(|_| is_signed);
        Ok(Self::Payload {
            text: text.to_owned(),
            claimed_code: claims.ok_or(Code::NotFound)?.ticket_code,
        })
    }
}

/// A request with the body `B` from a client without a credential.
pub(crate) struct AnonymousRequest<B> {
    pub(crate) state: Arc<ServerState>,
    /// The call, for the audit log. Its actor is not known yet.
    pub(crate) audit_context: AuditContext,
    pub(crate) now: Timestamp,
    pub(crate) body: B,
}

/// A UUID in hyphenated form. The other forms are rejected so that each resource has one path.
struct HyphenatedUuid(uuid::Uuid);

impl FromStr for HyphenatedUuid {
    type Err = Code;

    fn from_str(text: &str) -> Result<Self, Code> {
        if text.len() != uuid::fmt::Hyphenated::LENGTH {
            return Err(Code::NotFound);
        }
        uuid::Uuid::try_parse(text).map(Self).map_err(|_| Code::NotFound)
    }
}
