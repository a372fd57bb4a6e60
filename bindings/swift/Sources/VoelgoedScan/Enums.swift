extension ScanResult {
    /// The shared code, such as `invalid_token`: as in HTTP, in logs and in exports.
    public var code: String { resultCode(value: self) }
}

extension Reason {
    /// The shared code, such as `already_scanned`: as in HTTP, in logs and in exports.
    public var code: String { reasonCode(value: self) }

    /// A short English sentence for the steward.
    public var message: String { reasonMessage(reason: self) }

    /// What the gate does for this reason.
    public var result: ScanResult { reasonResult(reason: self) }
}

extension Warning {
    /// The shared code, such as `not_in_manifest`.
    public var code: String { warningCode(value: self) }
}

extension Format {
    /// The shared code, such as `vg2`.
    public var code: String { formatCode(value: self) }
}
