//! What does an endpoint get? A call: who makes it, what it names, what it says and asks.

use std::str::FromStr;
use std::sync::Arc;

use hyper::HeaderMap;
use voelgoed_scan_core::model::{
    AuthenticatedDevice, DeviceId, EventId, GateId, OrganizationId, TicketCode, Timestamp,
};
use voelgoed_scan_core::node::{Admin, Scanner};
use voelgoed_scan_core::store::Store;

use crate::auth::{Caller, Credential};
use crate::node::Node;
use crate::problem::{Code, Problem};
use crate::query::NoQuery;

/// The values of a path's variables, percent-decoded.
pub(crate) type PathValues = Vec<(&'static str, String)>;

/// A call with the body `B` and the query parameters `Q`, from a caller who identified itself and may make it.
pub(crate) struct Call<B = (), Q = NoQuery> {
    pub(crate) node: Arc<Node>,
    pub(crate) caller: Caller,
    pub(crate) credential: Credential,
    pub(crate) path: PathValues,
    pub(crate) headers: HeaderMap,
    pub(crate) now: Timestamp,
    pub(crate) query: Q,
    pub(crate) body: B,
}

impl<B, Q> Call<B, Q> {
    /// Whose data the call is about.
    pub(crate) fn organization(&self) -> OrganizationId {
        self.caller.organization()
    }

    /// The scanner.
    pub(crate) fn scanner(&self) -> &Scanner {
        &self.node.scanner
    }

    /// The back office.
    pub(crate) fn admin(&self) -> &Admin {
        &self.node.admin
    }

    /// The database, to read from.
    pub(crate) fn store(&self) -> &dyn Store {
        self.node.scanner.store()
    }

    /// The device that calls; members may not.
    pub(crate) fn authenticated(&self) -> Result<&Arc<AuthenticatedDevice>, Problem> {
        match &self.caller {
            Caller::Device(authenticated) => Ok(authenticated),
            Caller::Member(_) => Err(Code::Forbidden.into()),
        }
    }

    /// The value of a variable of the path; a text that cannot be one names nothing.
    pub(crate) fn named<T: FromStr>(&self, variable: &str) -> Result<T, Problem> {
        let text = self
            .path
            .iter()
            .find(|(name, _)| *name == variable)
            .map(|(_, text)| text.as_str())
            .ok_or(Code::NotFound)?;
        text.parse().map_err(|_| Code::NotFound.into())
    }

    /// The id that a variable of the path is, in the one form that ids are written in.
    pub(crate) fn id<T: From<uuid::Uuid>>(&self, variable: &str) -> Result<T, Problem> {
        let Hyphenated(uuid) = self.named(variable)?;
        Ok(uuid.into())
    }

    /// The event that the path names.
    pub(crate) fn event_id(&self) -> Result<EventId, Problem> {
        self.id("id")
    }

    /// The gate that the path names.
    pub(crate) fn gate_id(&self) -> Result<GateId, Problem> {
        self.id("gate_id")
    }

    /// The device that the path names.
    pub(crate) fn device_id(&self) -> Result<DeviceId, Problem> {
        self.id("id")
    }

    /// The ticket code that the path names.
    pub(crate) fn code(&self) -> Result<TicketCode, Problem> {
        self.named("code")
    }
}

/// A call with the body `B` from somebody who has no credential yet.
pub(crate) struct Visit<B> {
    pub(crate) node: Arc<Node>,
    pub(crate) now: Timestamp,
    pub(crate) body: B,
}

/// A UUID in its hyphenated form and no other, so that a thing has one path.
struct Hyphenated(uuid::Uuid);

impl FromStr for Hyphenated {
    type Err = Code;

    fn from_str(text: &str) -> Result<Self, Code> {
        if text.len() != uuid::fmt::Hyphenated::LENGTH {
            return Err(Code::NotFound);
        }
        uuid::Uuid::try_parse(text).map(Self).map_err(|_| Code::NotFound)
    }
}
