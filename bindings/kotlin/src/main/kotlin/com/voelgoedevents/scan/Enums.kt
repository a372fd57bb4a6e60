package com.voelgoedevents.scan

/** The code, such as `invalid_token`, which HTTP, logs and exports use too. */
val ScanResult.code: String get() = resultCode(this)

/** The code, such as `already_scanned`, which HTTP, logs and exports use too. */
val Reason.code: String get() = reasonCode(this)

/** The library's message for the steward in English. A verdict has it in the language of the client. */
val Reason.message: String get() = reasonMessage(this)

/** The library's message for the steward in the first of these languages that it has, such as `af-ZA,en`. */
fun Reason.message(language: String): String = reasonMessage(this, language)

/** The result of this reason. */
val Reason.result: ScanResult get() = reasonResult(this)

/** The code, such as `not_in_manifest`. */
val ScanWarning.code: String get() = warningCode(this)

/** The code, such as `vg2`. */
val Format.code: String get() = formatCode(this)

/** The code, such as `device_inactive`. */
val ProblemCode.code: String get() = problemCode(this)
