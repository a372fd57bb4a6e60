//! Whose data is it? An organization is a tenant; its members and integrations call with API keys, each with a role.

use serde::{Deserialize, Serialize};

use crate::model::text::string_enum;
use crate::model::{ApiKeyId, Name, OrganizationId, Timestamp};

/// An organization: a tenant of the platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organization {
    /// The organization.
    pub id: OrganizationId,
    /// What it is called.
    pub name: Name,
    /// When it was made.
    pub inserted_at: Timestamp,
}

string_enum! {
    /// What the holder of an API key may do.
    pub enum Role {
        /// Everything, API keys too.
        Owner = "owner",
        /// Everything but API keys.
        Admin = "admin",
        /// Read, end sessions, undo.
        Staff = "staff",
        /// Read.
        Viewer = "viewer",
        /// Nothing under *Organization*.
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
    /// What it is called.
    pub name: Name,
    /// What its holder may do.
    pub role: Role,
    /// When it was made.
    pub inserted_at: Timestamp,
}

/// What `POST /api/v1/api-keys` takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ApiKeyCreate {
    /// What it is called.
    pub name: Name,
    /// What its holder may do.
    pub role: Role,
}
