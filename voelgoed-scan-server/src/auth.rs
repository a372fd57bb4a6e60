//! Authentication of callers by their tokens, and authorization by permissions.
//!
//! Invariants: the organization comes from the credential alone; tokens are compared by their SHA-256, so that the time of a
//! comparison does not reveal how much of a guess is correct.

use std::sync::Arc;

use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use voelgoed_scan_core::model::{
    ApiKey, ApiKeySecret, AuthenticatedDevice, DeviceStatus, DeviceToken, OrganizationId, Role, TokenHash,
};
use voelgoed_scan_core::node::{Admin, Scanner};

use crate::problem::{Code, Problem};

/// An authenticated caller.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    /// A scanner device.
    Device(Arc<AuthenticatedDevice>),
    /// A member of an organization, by API key.
    Member(Arc<ApiKey>),
}

impl Caller {
    /// The organization of the caller.
    pub(crate) fn organization(&self) -> OrganizationId {
        match self {
            Self::Device(authenticated) => authenticated.device.organization_id,
            Self::Member(key) => key.organization_id,
        }
    }

    /// Whether the caller may see ticket codes. A code admits its bearer, so that members with read access alone do not
    /// see any.
    pub(crate) fn may_see_codes(&self) -> bool {
        match self {
            Self::Device(_) => true,
            Self::Member(key) => Permission::Search.admits_role(key.role),
        }
    }

    /// The role of a member; `None` for a device.
    pub(crate) fn role(&self) -> Option<Role> {
        match self {
            Self::Device(_) => None,
            Self::Member(key) => Some(key.role),
        }
    }
}

/// The hash of a token. Streams keep it to authenticate their caller again.
#[derive(Clone, Copy)]
pub(crate) enum Credential {
    /// The token of a device.
    Device(TokenHash),
    /// An API key.
    Member(TokenHash),
}

impl Credential {
    /// Reads the header `Authorization`.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(if headers.contains_key(AUTHORIZATION) {
                Code::InvalidToken.into()
            } else {
                Code::MissingToken.into()
            });
        };
        let text = value.to_str().map_err(|_| Code::InvalidToken)?;
        let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
        let token = token.trim();
        if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
            return Err(Code::MissingToken.into());
        }
        if let Ok(hash) = DeviceToken::hash_of(token) {
            Ok(Self::Device(hash))
        } else if let Ok(hash) = ApiKeySecret::hash_of(token) {
            Ok(Self::Member(hash))
        } else {
            Err(Code::InvalidToken.into())
        }
    }

    /// The hash of the token.
    pub(crate) fn token(&self) -> TokenHash {
        match self {
            Self::Device(hash) | Self::Member(hash) => *hash,
        }
    }

    /// The caller, if the identity cache knows the token as that of an active device. Does not wait for the database.
    pub(crate) fn cached_caller(&self, scanner: &Scanner) -> Option<Caller> {
        match self {
            Self::Device(hash) => {
                let authenticated = scanner.cached_device(hash)?;
                (authenticated.device.status == DeviceStatus::Active).then_some(Caller::Device(authenticated))
            }
            Self::Member(_) => None,
        }
    }

    /// The caller that the token belongs to. An inactive device is an error, except a revoked one where `allow_revoked` is set.
    pub(crate) async fn caller(
        &self,
        scanner: &Scanner,
        admin: &Admin,
        allow_revoked: bool,
    ) -> Result<Caller, Problem> {
        match self {
            Self::Device(hash) => {
                let authenticated = scanner.authenticate(hash).await?.ok_or(Code::InvalidToken)?;
                match authenticated.device.status {
                    DeviceStatus::Active => Ok(Caller::Device(authenticated)),
                    DeviceStatus::Inactive if allow_revoked && authenticated.is_revoked => {
                        Ok(Caller::Device(authenticated))
                    }
                    DeviceStatus::Inactive => Err(Code::DeviceInactive.into()),
                }
            }
            Self::Member(hash) => {
                let key = admin.authenticate(hash).await?.ok_or(Code::InvalidToken)?;
                Ok(Caller::Member(key))
            }
        }
    }
}

/// The permission that a route requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Permission {
    /// Scanner devices.
    Device,
    /// Scanner devices, even revoked ones.
    DeviceEvenRevoked,
    /// Scanner devices, and members who may end sessions and undo scans.
    DeviceOrStaff,
    /// Scanner devices, and members with read access.
    DeviceOrViewer,
    /// Members with read access.
    Viewer,
    /// Members who may see signals.
    Staff,
    /// Members who may search tickets, and devices with the setting `can_search`.
    Search,
    /// Members with write access.
    Admin,
    /// Members who may manage API keys.
    Owner,
}

impl Permission {
    /// Whether a caller has the permission.
    pub(crate) fn admits(self, caller: &Caller) -> bool {
        match caller {
            Caller::Device(authenticated) => self.admits_device(authenticated.device.settings.can_search),
            Caller::Member(key) => self.admits_role(key.role),
        }
    }

    fn admits_device(self, can_search: bool) -> bool {
        match self {
            Self::Device | Self::DeviceEvenRevoked | Self::DeviceOrStaff | Self::DeviceOrViewer => true,
            Self::Search => can_search,
            Self::Viewer | Self::Staff | Self::Admin | Self::Owner => false,
        }
    }

    /// Whether an API key with this role has the permission.
    pub(crate) fn admits_role(self, role: Role) -> bool {
        use Role::{Admin, Owner, ScannerOnly, Staff, Viewer};
        match self {
            Self::Device | Self::DeviceEvenRevoked => false,
            Self::DeviceOrStaff | Self::Staff | Self::Search => matches!(role, Owner | Admin | Staff),
            Self::DeviceOrViewer | Self::Viewer => match role {
                Owner | Admin | Staff | Viewer => true,
                ScannerOnly => false,
            },
            Self::Admin => matches!(role, Owner | Admin),
            Self::Owner => matches!(role, Owner),
        }
    }

    /// A description of the permitted callers, for the OpenAPI document.
    pub(crate) const fn description(self) -> &'static str {
        match self {
            Self::Device => "Scanner devices.",
            Self::DeviceEvenRevoked => "Scanner devices, even revoked ones.",
            Self::DeviceOrStaff => "Scanner devices; API keys with the role owner, admin or staff.",
            Self::DeviceOrViewer => "Scanner devices; API keys with the role owner, admin, staff or viewer.",
            Self::Viewer => "API keys with the role owner, admin, staff or viewer.",
            Self::Staff => "API keys with the role owner, admin or staff.",
            Self::Search => {
                "API keys with the role owner, admin or staff; scanner devices with the setting can_search."
            }
            Self::Admin => "API keys with the role owner or admin.",
            Self::Owner => "API keys with the role owner.",
        }
    }

    /// Whether scanner devices can have the permission.
    pub(crate) const fn admits_devices(self) -> bool {
        match self {
            Self::Device
            | Self::DeviceEvenRevoked
            | Self::DeviceOrStaff
            | Self::DeviceOrViewer
            | Self::Search => true,
            Self::Viewer | Self::Staff | Self::Admin | Self::Owner => false,
        }
    }

    /// Whether members can have the permission.
    pub(crate) const fn admits_members(self) -> bool {
        !matches!(self, Self::Device | Self::DeviceEvenRevoked)
    }

    /// Whether revoked devices, which have no other permission, have this one.
    pub(crate) const fn admits_revoked_devices(self) -> bool {
        matches!(self, Self::DeviceEvenRevoked)
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn code_of(value: &'static str) -> Option<Code> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
        Credential::read(&headers).err().map(|problem| problem.code())
    }

    #[test]
    fn only_bearer_tokens_of_this_system_are_credentials() {
        let missing = Credential::read(&HeaderMap::new())
            .err()
            .map(|problem| problem.code());
        assert_eq!(missing, Some(Code::MissingToken));
        for value in ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "bearer   "] {
            assert_eq!(code_of(value), Some(Code::MissingToken), "{value:?}");
        }
        for value in [
            "Bearer x",
            "Bearer vgd_",
            "Bearer vgx_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ] {
            assert_eq!(code_of(value), Some(Code::InvalidToken), "{value:?}");
        }
        for value in [
            "Bearer vgd_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "bearer vgk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ] {
            assert_eq!(code_of(value), None, "{value:?}");
        }
    }

    #[test]
    fn each_role_has_the_permissions_of_the_contract() {
        use Permission as P;
        use Role::{Admin, Owner, ScannerOnly, Staff, Viewer};
        for (permission, roles, device) in [
            (P::Device, &[][..], true),
            (P::DeviceEvenRevoked, &[][..], true),
            (P::DeviceOrStaff, &[Owner, Admin, Staff], true),
            (P::DeviceOrViewer, &[Owner, Admin, Staff, Viewer], true),
            (P::Viewer, &[Owner, Admin, Staff, Viewer], false),
            (P::Staff, &[Owner, Admin, Staff], false),
            (P::Search, &[Owner, Admin, Staff], false),
            (P::Admin, &[Owner, Admin], false),
            (P::Owner, &[Owner], false),
        ] {
            for role in [Owner, Admin, Staff, Viewer, ScannerOnly] {
                assert_eq!(
                    permission.admits_role(role),
                    roles.contains(&role),
                    "{permission:?} {role}"
                );
            }
            assert_eq!(permission.admits_device(false), device, "{permission:?}");
        }
        assert!(P::Search.admits_device(true));
    }
}
