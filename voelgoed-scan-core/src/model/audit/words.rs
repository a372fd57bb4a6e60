//! The words of the audit log. A published word is never renamed: copies of the log hold it for ever.

use crate::model::text::string_enum;

string_enum! {
    /// The kind of an actor of the audit log.
    pub enum AuditActorKind {
        /// A member or an integration, by its API key.
        ApiKey = "api_key",
        /// A scanner device.
        Device = "device",
        /// The command line, which writes to the database itself.
        Cli = "cli",
        /// The server, in the background.
        System = "system",
    }

    /// The kind of a subject of the audit log.
    pub enum AuditSubjectKind {
        /// The organization, with its settings.
        Organization = "organization",
        /// An API key.
        ApiKey = "api_key",
        /// A signing key. Its id is its format and its key id: `vg2/1`.
        SigningKey = "signing_key",
        /// An event.
        Event = "event",
        /// A gate.
        Gate = "gate",
        /// A ticket. Its id is not its code, which would admit its bearer.
        Ticket = "ticket",
        /// A device.
        Device = "device",
        /// A session.
        Session = "session",
        /// A scan.
        Scan = "scan",
        /// A webhook.
        Webhook = "webhook",
    }

    /// What an entry of the audit log tells.
    pub enum AuditAction {
        /// The organization was created, with its first signing keys.
        OrganizationCreate = "organization.create",
        /// Settings of the organization were changed.
        OrganizationUpdate = "organization.update",
        /// An API key was created.
        ApiKeyCreate = "api_key.create",
        /// An API key was deleted.
        ApiKeyDelete = "api_key.delete",
        /// A signing key was added.
        SigningKeyCreate = "signing_key.create",
        /// The status of a signing key was changed.
        SigningKeyUpdate = "signing_key.update",
        /// An event was created.
        EventCreate = "event.create",
        /// An event was changed.
        EventUpdate = "event.update",
        /// An event was deleted.
        EventDelete = "event.delete",
        /// The personal data of an event's tickets and scans were deleted.
        EventDeletePersonalData = "event.delete_personal_data",
        /// A gate was created.
        GateCreate = "gate.create",
        /// A gate was changed.
        GateUpdate = "gate.update",
        /// An import of tickets began.
        TicketImportBegin = "ticket.import_begin",
        /// An import of tickets ended.
        TicketImportEnd = "ticket.import_end",
        /// The status of a ticket was changed.
        TicketUpdate = "ticket.update",
        /// A device was registered.
        DeviceCreate = "device.create",
        /// A device was changed.
        DeviceUpdate = "device.update",
        /// A device was revoked.
        DeviceRevoke = "device.revoke",
        /// A device got a new token.
        DeviceRotateToken = "device.rotate_token",
        /// A code was created that enrols a phone as the device.
        DeviceBeginEnrollment = "device.begin_enrollment",
        /// A phone was enrolled as the device.
        DeviceEnroll = "device.enroll",
        /// Somebody else than its device ended a session.
        SessionEnd = "session.end",
        /// A quarantined scan was accepted.
        ScanAccept = "scan.accept",
        /// A person was admitted by an override.
        ScanOverride = "scan.override",
        /// An admission was undone.
        ScanUndo = "scan.undo",
        /// A ticket was checked in by hand.
        ScanCheckIn = "scan.check_in",
        /// A webhook was created.
        WebhookCreate = "webhook.create",
        /// A webhook was changed.
        WebhookUpdate = "webhook.update",
        /// The secret of a webhook was replaced.
        WebhookRotate = "webhook.rotate",
        /// A test was sent to a webhook.
        WebhookTest = "webhook.test",
        /// A delivery was requested again.
        WebhookRedeliver = "webhook.redeliver",
        /// A webhook was deleted.
        WebhookDelete = "webhook.delete",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_names_its_subject_and_a_verb() {
        for action in AuditAction::ALL {
            let (subject, verb) = action.as_str().split_once('.').expect("a subject and a verb");
            assert!(subject.parse::<AuditSubjectKind>().is_ok(), "{action}");
            assert!(!verb.is_empty(), "{action}");
        }
    }
}
