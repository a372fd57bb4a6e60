//! Organizations and their API keys. An organization is a tenant; each API key has a role.

use serde::{Deserialize, Serialize};

use crate::model::text::string_enum;
use crate::model::{ApiKeyId, Name, OrganizationId, Timestamp};

/// An organization: a tenant of the platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organization {
    /// The organization.
    pub id: OrganizationId,
    /// Its display name.
    pub name: Name,
    /// When it was created.
    pub inserted_at: Timestamp,
}

string_enum! {
    /// What an API key permits.
    pub enum Role {
        /// Everything, including API keys.
        Owner = "owner",
        /// Everything except API keys.
        Admin = "admin",
        /// To read, to end sessions and to undo scans.
        Staff = "staff",
        /// To read.
        Viewer = "viewer",
        /// Nothing in the organization's API.
        ScannerOnly = "scanner_only",
    }
}

/// An API key of an organization, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ApiKey {
    /// The key.
    pub id: ApiKeyId,
    /// Its organization.
    pub organization_id: OrganizationId,
    /// Its display name.
    pub name: Name,
    /// What it permits.
    pub role: Role,
    /// When it was created.
    pub inserted_at: Timestamp,
}

/// The request of `POST /api/v1/api-keys`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ApiKeyCreate {
    /// Its display name.
    pub name: Name,
    /// What it permits.
    pub role: Role,
}
