package com.voelgoedevents.scan

import java.io.File
import java.time.Instant
import java.util.Base64
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertIs
import kotlin.test.assertNull
import kotlin.test.assertTrue

class TicketTest {
    @Test
    fun `a typed code may be grouped but not otherwise changed`() {
        assertEquals("3KQR7F924M1XaB0z", parseTicketCode("3KQR-7F92 4M1X-aB0z"))
        assertEquals("3KQR-7F92-4M1X-aB0z", groupedTicketCode("3KQR7F924M1XaB0z"))
        for (text in listOf("", "3KQR", "3KQR--7F92-4M1X-aB0z", "3KQR7F924M1XaB0é", "3KQR7F924M1XaB0z ")) {
            val error = assertFailsWith<ScannerException.InvalidText>(text) { parseTicketCode(text) }
            assertEquals("ticket code", error.kind)
        }
        assertFailsWith<ScannerException.InvalidText> { groupedTicketCode("short") }
    }

    @Test
    fun `the shape of a payload determines its format`() {
        assertEquals(Format.VG1, payloadFormat("VG1.1.fO7PQD0HtpbJu1DB.VGtaswiiCdSvrK4-qZ36BQ\r\n"))
        assertEquals("bare", payloadFormat("3KQR7F924M1XaB0z")?.code)
        assertNull(payloadFormat("https://example.org"))
        assertNull(payloadFormat("A".repeat(3000)))
    }

    @Test
    fun `every reason has a result, a code and a message`() {
        val reasons = allReasons()
        assertEquals(Reason.entries.toList(), reasons)
        assertEquals(ScanResult.entries.toSet(), reasons.map { it.result }.toSet())
        assertEquals("already_scanned", Reason.ALREADY_SCANNED.code)
        assertEquals("invalid_token", Reason.BAD_SIGNATURE.result.code)
        assertEquals("Already scanned", Reason.ALREADY_SCANNED.message)
        assertTrue(reasons.all { it.code == it.name.lowercase() && it.message.isNotBlank() })
        assertTrue(ScanWarning.entries.all { it.code == it.name.lowercase() })
    }

    @Test
    fun `public keys verify every payload of the shared vectors as the reference does`() {
        val (head, cases) = Vector.all()
        TicketVerifier(head.organization, head.keys).use { verifier ->
            for (case in cases) {
                when (val verification = verifier.verify(case.token, case.now)) {
                    is VerificationResult.Genuine -> {
                        assertEquals(case.outcome, "valid", case.name)
                        assertEquals(case.code, verification.ticket.ticketCode, case.name)
                    }
                    is VerificationResult.Refused -> assertEquals(case.outcome, verification.reason.code, case.name)
                }
            }
        }
        assertTrue(cases.size > 50)
        assertTrue(cases.count { it.outcome == "valid" } >= 8)
    }

    @Test
    fun `this build makes every decision of the shared vectors`() {
        val report = checkDecisions(File(System.getenv("VOELGOED_SCAN_DECISIONS")).readText())
        assertEquals(emptyList(), report.differences)
        assertTrue(report.cases > 70u && report.cases + report.skipped > 90u)
        assertFailsWith<ScannerException.InvalidText> { checkDecisions("{}") }
    }

    @Test
    fun `an invalid key or organization id is an error`() {
        val error = assertFailsWith<ScannerException.InvalidText> { TicketVerifier("nobody", emptyMap()) }
        assertEquals("organization id", error.kind)
        val id = "ea8ed02a-82a1-4593-8f23-37cd3794c522"
        assertFailsWith<ScannerException.InvalidText> { TicketVerifier(id, mapOf("1" to ByteArray(31))) }
        assertFailsWith<ScannerException.InvalidText> { TicketVerifier(id, mapOf("not a kid" to ByteArray(32))) }
        val none = assertIs<VerificationResult.Refused>(TicketVerifier(id, emptyMap()).verify("", Instant.MAX))
        assertEquals(Reason.MALFORMED, none.reason)
    }
}

/** A line of the shared vectors, which `bindings/test` writes as tab-separated columns. */
private data class Vector(val name: String, val token: String, val now: Instant, val outcome: String, val code: String) {
    data class Head(val organization: String, val keys: Map<String, ByteArray>)

    companion object {
        fun all(): Pair<Head, List<Vector>> {
            val lines = File(System.getenv("VOELGOED_SCAN_VECTORS")).readLines().map { it.split('\t') }
            val keys = lines.filter { it[0] == "key" }.associate { it[1] to Base64.getDecoder().decode(it[2]) }
            val cases = lines.filter { it[0] == "case" }.map {
                val token = String(Base64.getDecoder().decode(it[2]))
                Vector(it[1], token, Instant.ofEpochSecond(it[3].toLong()), it[4], it[5])
            }
            return Head(lines.single { it[0] == "organization" }[1], keys) to cases
        }
    }
}
