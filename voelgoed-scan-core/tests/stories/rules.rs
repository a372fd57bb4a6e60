//! What must hold in every story.

use voelgoed_scan_core::model::ScanResult;

/// A rule of the stories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    /// All callers of one reading get one verdict.
    OneReadingOneVerdict,
    /// A scan in the other direction ends a reading.
    OtherDirectionEndsReading,
    /// Every call ends, whatever the network does.
    EveryCallEnds,
    /// A verdict of the server is what the server answered to this scan.
    ServerVerdictIsTheServers,
    /// No phone admits what its own facts forbid.
    NothingForbiddenEnters,
    /// No phone admits a ticket more often than the rules allow by what it knows.
    NoAdmissionTooMany,
    /// What the server told a phone of a ticket holds until something newer is known.
    NothingToldIsForgotten,
    /// A phone that was told that its device is revoked shows no more verdicts.
    RevokedPhoneStops,
    /// A phone that was told that its session has ended shows no more verdicts until it starts another.
    EndedSessionStops,
    /// A ticket that nobody scanned or changed enters at its first reading.
    GoodTicketEnters,
    /// A reading whose callers all went away keeps its verdict for the next caller.
    CancelledReadingKeepsItsVerdict,
    /// The state of a phone says what is wrong with it.
    StateSaysWhatIsWrong,
    /// The phone's storage fails only while its disk is full.
    StorageRecovers,
    /// The app opens, whatever state its files are in.
    AppOpens,
    /// Nothing waits for ever: after the network is back, everything is uploaded.
    EverythingIsHandedIn,
    /// Every verdict shown is on the server's record as it was shown.
    EveryVerdictIsOnRecord,
    /// One reading is at most one scan on record.
    OneReadingOneRecord,
    /// One phone alone causes no double entry.
    NoConflictWithItself,
}

/// A rule that a story broke.
#[derive(Debug, Clone)]
pub(crate) struct Violation {
    pub(crate) rule: Rule,
    pub(crate) what: String,
}

/// Whether this result lets a person pass.
pub(crate) fn is_green(result: ScanResult) -> bool {
    result == ScanResult::Valid
}
