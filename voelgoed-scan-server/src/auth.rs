//! Who calls, and may they? The one place where tokens become callers and callers are let through.
//!
//! Invariants: the organization comes from the credential alone; a token is compared by its SHA-256, which says nothing
//! about how much of a guess was right.

use std::sync::Arc;

use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use voelgoed_scan_core::model::{
    ApiKey, ApiKeySecret, AuthenticatedDevice, DeviceStatus, DeviceToken, OrganizationId, Role, TokenHash,
};
use voelgoed_scan_core::node::{Admin, Scanner};

use crate::problem::{Code, Problem};

/// A caller that identified itself.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    /// A scanner device.
    Device(Arc<AuthenticatedDevice>),
    /// The holder of an API key.
    Member(Arc<ApiKey>),
}

impl Caller {
    /// Whose data the caller sees.
    pub(crate) fn organization(&self) -> OrganizationId {
        match self {
            Self::Device(authenticated) => authenticated.device.organization_id,
            Self::Member(key) => key.organization_id,
        }
    }

    /// The role of a member; a device has none.
    pub(crate) fn role(&self) -> Option<Role> {
        match self {
            Self::Device(_) => None,
            Self::Member(key) => Some(key.role),
        }
    }
}

/// A token as it came, so that it can be looked up again.
#[derive(Clone, Copy)]
pub(crate) enum Credential {
    /// Of a device.
    Device(TokenHash),
    /// Of an API key.
    Member(TokenHash),
}

impl Credential {
    /// Reads the header `Authorization`.
    pub(crate) fn read(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut given = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (given.next(), given.next()) else {
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

    /// Whose token it is, where memory knows that it is an active device's: then nothing is waited for.
    pub(crate) fn remembered(&self, scanner: &Scanner) -> Option<Caller> {
        match self {
            Self::Device(hash) => {
                let authenticated = scanner.cached_device(hash)?;
                (authenticated.device.status == DeviceStatus::Active).then_some(Caller::Device(authenticated))
            }
            Self::Member(_) => None,
        }
    }

    /// Whose token it is now. An inactive device is nobody, unless the call is for such ones too.
    pub(crate) async fn caller(
        &self,
        scanner: &Scanner,
        admin: &Admin,
        inactive_too: bool,
    ) -> Result<Caller, Problem> {
        match self {
            Self::Device(hash) => {
                let authenticated = scanner.authenticate(hash).await?.ok_or(Code::InvalidToken)?;
                match authenticated.device.status {
                    DeviceStatus::Active => Ok(Caller::Device(authenticated)),
                    DeviceStatus::Inactive if inactive_too => Ok(Caller::Device(authenticated)),
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

/// Who may make a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Permission {
    /// Scanner devices.
    Device,
    /// Scanner devices, even revoked ones.
    DeviceEvenRevoked,
    /// Scanner devices, and members who may end sessions and undo.
    DeviceOrStaff,
    /// Scanner devices, and members who may read.
    DeviceOrViewer,
    /// Members who may read.
    Viewer,
    /// Members who may search tickets, and devices whose settings carry `can_search`.
    Search,
    /// Members who may change things.
    Admin,
    /// Members who may change API keys.
    Owner,
}

impl Permission {
    /// Whether a caller may.
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
            Self::Viewer | Self::Admin | Self::Owner => false,
        }
    }

    /// Whether the holder of an API key of this role may.
    pub(crate) fn admits_role(self, role: Role) -> bool {
        use Role::{Admin, Owner, ScannerOnly, Staff, Viewer};
        match self {
            Self::Device | Self::DeviceEvenRevoked => false,
            Self::DeviceOrStaff | Self::Search => matches!(role, Owner | Admin | Staff),
            Self::DeviceOrViewer | Self::Viewer => match role {
                Owner | Admin | Staff | Viewer => true,
                ScannerOnly => false,
            },
            Self::Admin => matches!(role, Owner | Admin),
            Self::Owner => matches!(role, Owner),
        }
    }

    /// Who may, in words, for the documentation.
    pub(crate) const fn in_words(self) -> &'static str {
        match self {
            Self::Device => "Scanner devices.",
            Self::DeviceEvenRevoked => "Scanner devices, even revoked ones.",
            Self::DeviceOrStaff => "Scanner devices; API keys with the role owner, admin or staff.",
            Self::DeviceOrViewer => "Scanner devices; API keys with the role owner, admin, staff or viewer.",
            Self::Viewer => "API keys with the role owner, admin, staff or viewer.",
            Self::Search => {
                "API keys with the role owner, admin or staff; scanner devices whose settings carry can_search."
            }
            Self::Admin => "API keys with the role owner or admin.",
            Self::Owner => "API keys with the role owner.",
        }
    }

    /// Whether scanner devices are among them.
    pub(crate) const fn is_for_devices(self) -> bool {
        match self {
            Self::Device
            | Self::DeviceEvenRevoked
            | Self::DeviceOrStaff
            | Self::DeviceOrViewer
            | Self::Search => true,
            Self::Viewer | Self::Admin | Self::Owner => false,
        }
    }

    /// Whether members are among them.
    pub(crate) const fn is_for_members(self) -> bool {
        !matches!(self, Self::Device | Self::DeviceEvenRevoked)
    }

    /// Whether devices are among them that may make no other call.
    pub(crate) const fn is_for_inactive(self) -> bool {
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
    fn only_a_bearer_token_of_ours_is_a_credential() {
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
    fn each_role_may_what_the_contract_says() {
        use Permission as P;
        use Role::{Admin, Owner, ScannerOnly, Staff, Viewer};
        for (permission, roles, device) in [
            (P::Device, &[][..], true),
            (P::DeviceEvenRevoked, &[][..], true),
            (P::DeviceOrStaff, &[Owner, Admin, Staff], true),
            (P::DeviceOrViewer, &[Owner, Admin, Staff, Viewer], true),
            (P::Viewer, &[Owner, Admin, Staff, Viewer], false),
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
