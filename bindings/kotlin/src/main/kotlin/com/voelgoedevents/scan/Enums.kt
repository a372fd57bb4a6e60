package com.voelgoedevents.scan

/** The shared code, such as `invalid_token`: as in HTTP, in logs and in exports. */
val ScanResult.code: String get() = resultCode(this)

/** The shared code, such as `already_scanned`: as in HTTP, in logs and in exports. */
val Reason.code: String get() = reasonCode(this)

/** A short English sentence for the steward. */
val Reason.message: String get() = reasonMessage(this)

/** What the gate does for this reason. */
val Reason.result: ScanResult get() = reasonResult(this)

/** The shared code, such as `not_in_manifest`. */
val Warning.code: String get() = warningCode(this)

/** The shared code, such as `vg2`. */
val Format.code: String get() = formatCode(this)
