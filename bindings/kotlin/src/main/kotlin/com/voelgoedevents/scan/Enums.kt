package com.voelgoedevents.scan

/** The code, such as `invalid_token`, which HTTP, logs and exports use too. */
val ScanResult.code: String get() = resultCode(this)

/** The code, such as `already_scanned`, which HTTP, logs and exports use too. */
val Reason.code: String get() = reasonCode(this)

/** A short English sentence for the steward. */
val Reason.message: String get() = reasonMessage(this)

/** The result of this reason. */
val Reason.result: ScanResult get() = reasonResult(this)

/** The code, such as `not_in_manifest`. */
val ScanWarning.code: String get() = warningCode(this)

/** The code, such as `vg2`. */
val Format.code: String get() = formatCode(this)

/** The code, such as `device_inactive`. */
val ProblemCode.code: String get() = problemCode(this)
