extension ScanResult {
    /// The code, such as `invalid_token`, which HTTP, logs and exports use too.
    public var code: String { resultCode(value: self) }
}

extension Reason {
    /// The code, such as `already_scanned`, which HTTP, logs and exports use too.
    public var code: String { reasonCode(value: self) }

    /// The library's message for the steward in English. A verdict has it in the language of the client.
    public var message: String { reasonMessage(reason: self) }

    /// The library's message for the steward in the first of these languages that it has, such as `af-ZA,en`.
    public func message(in language: String) -> String { reasonMessage(reason: self, language: language) }

    /// The result of this reason.
    public var result: ScanResult { reasonResult(reason: self) }
}

extension ScanWarning {
    /// The code, such as `not_in_manifest`.
    public var code: String { warningCode(value: self) }
}

extension Format {
    /// The code, such as `vg2`.
    public var code: String { formatCode(value: self) }
}

extension ProblemCode {
    /// The code, such as `device_inactive`.
    public var code: String { problemCode(value: self) }
}
