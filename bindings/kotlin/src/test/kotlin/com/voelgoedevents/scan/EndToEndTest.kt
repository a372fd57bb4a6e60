package com.voelgoedevents.scan

import kotlin.test.AfterTest
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking

/** Phones with the real server and the library's own transport. */
class EndToEndTest {
    private val phones = Phones()
    private val server = phones.server

    @AfterTest
    fun cleanUp() = phones.close()

    private fun setup(name: String) = phones.setup(name)

    private suspend fun phone(name: String) = phones.phone(name)

    @Test
    fun `an enrolment code works once`() = runBlocking {
        val uri = server.ask("enroll gate-a")
        assertEquals("gate-a", ScannerClient.enroll(setup("gate-a"), uri).device().deviceId)
        val refused = assertFailsWith<ScannerException.Refused> { ScannerClient.enroll(setup("gate-b"), uri) }
        assertEquals(404.toUShort() to "not_found", refused.status to refused.code)
        assertFailsWith<ScannerException.NotEnrolled> { ScannerClient.open(setup("gate-b")) }
        Unit
    }

    @Test
    fun `the message is in the language of the steward and in the words of the organization`() = runBlocking {
        server.ask("""messages {"af": {"admitted": "Welkom!"}, "de": {"ticket_voided": "Zur Kasse, bitte"}}""")
        val phone = ScannerClient.enroll(setup("gate-a").copy(language = "xh-ZA,af_ZA"), server.ask("enroll gate-a"))
        phones.startSession(phone)
        phone.refreshManifest()
        assertEquals("af", phone.language())
        val online = phone.scan(server.qr("first"))
        assertEquals(VerdictSource.SERVER to "Welkom!", online.decidedBy to online.message)
        phone.setLanguage("fr-CH, de;q=0.5")
        assertEquals("fr" to "Entrée autorisée", phone.language() to phone.scan(server.qr("second")).message)
        server.ask("disconnect")
        phone.setLanguage("de")
        val offline = phone.scan(server.qr("third"))
        assertEquals(VerdictSource.DEVICE to "Einlass gewährt", offline.decidedBy to offline.message)
        assertEquals("Zur Kasse, bitte", phone.scan(server.qr("voided")).message)
        phone.setLanguage("zu")
        assertEquals("Admitted" to "en", phone.scan(server.qr("fourth")).message to phone.language())
        assertEquals(listOf("en", "af", "nl", "de", "fr", "es", "pt"), allLanguages())
        assertEquals("Déjà scanné" to "Already scanned", Reason.ALREADY_SCANNED.run { message("fr") to message })
    }

    @Test
    fun `the server decides every result while it is available`() = runBlocking {
        val (a, b) = phone("gate-a") to phone("gate-b")
        val admitted = a.scan(server.qr("first"))
        assertEquals(ScanResult.VALID to VerdictSource.SERVER, admitted.result to admitted.decidedBy)
        assertEquals(1L, admitted.occupancy?.gate?.inside)
        val again = b.scan(server.qr("first"))
        assertEquals(ScanResult.DUPLICATE to Reason.ALREADY_SCANNED, again.result to again.reason)
        assertEquals(admitted.scanId to false, again.previousScan?.scanId to again.previousScan?.sameDevice)
        phones.startSession(b, "gate_vip")
        val others = listOf(
            Triple(a, TicketReading.Qr("https://example.org"), Reason.MALFORMED),
            Triple(a, server.qr("other_event"), Reason.OTHER_EVENT),
            Triple(b, server.qr("second"), Reason.GATE_NOT_ALLOWED),
            Triple(a, server.qr("voided"), Reason.TICKET_VOIDED),
        ).map { (phone, reading, reason) ->
            val verdict = phone.scan(reading)
            assertEquals(reason to VerdictSource.SERVER, verdict.reason to verdict.decidedBy)
            verdict.result
        }
        assertEquals(ScanResult.entries.toSet(), setOf(admitted.result, again.result) + others)
        assertEquals(Reason.EXITED, a.scan(server.qr("first"), Direction.EXIT).reason)
        assertEquals("0", server.ask("inside"))
    }

    @Test
    fun `a lost answer does not admit twice`() = runBlocking {
        val phone = phone("gate-a")
        server.ask("drop_responses")
        val alone = phone.scan(server.qr("answer_lost"))
        assertEquals(Reason.ADMITTED to VerdictSource.DEVICE, alone.reason to alone.decidedBy)
        assertEquals("1", server.ask("inside"))
        server.ask("reconnect")
        val report = phone.sync()
        assertEquals(listOf(0uL, 1uL, 0uL), listOf(report.recorded, report.replayed, report.conflicts))
        assertEquals("1", server.ask("inside"))
    }

    @Test
    fun `a ticket admitted by two offline phones is reported as a conflict`() = runBlocking {
        val (a, b) = phone("gate-a") to phone("gate-b")
        server.ask("disconnect")
        val verdicts = listOf(a, b).map { it.scan(server.qr("both")) }
        assertEquals(listOf(Reason.ADMITTED, Reason.ADMITTED), verdicts.map { it.reason })
        assertEquals(listOf(VerdictSource.DEVICE, VerdictSource.DEVICE), verdicts.map { it.decidedBy })
        assertFailsWith<ScannerException.Offline> { a.sync() }
        val state = a.state()
        assertEquals(listOf(false, 1uL, "offline"), listOf(state.online, state.waiting, state.lastError))
        a.close()

        val reopened = ScannerClient.open(setup("gate-a"))
        val second = reopened.scan(server.qr("both"))
        assertEquals(Reason.ALREADY_SCANNED to true, second.reason to second.previousScan?.sameDevice)
        assertEquals(Reason.ADMITTED, reopened.scan(server.qr("third")).reason)
        assertEquals(3uL, reopened.state().waiting)
        assertEquals("0", server.ask("inside"))

        server.ask("reconnect")
        val first = reopened.sync()
        assertEquals(listOf(3uL, 0uL, 0uL), listOf(first.recorded, first.rejected, first.conflicts))
        val then = b.sync()
        assertEquals(1uL to 1uL, then.recorded to then.conflicts)
        assertEquals(1uL, b.state().conflicts)
        val conflict = b.conflicts().single()
        assertEquals(ConflictKind.DOUBLE_ENTRY, conflict.kind)
        assertEquals(verdicts.map { it.scanId }.toSet(), setOf(conflict.winnerScanId, conflict.otherScanId))
        assertEquals(listOf("gate-a", "gate-b"), conflict.devices.map { it.name }.sorted())
        assertEquals("1", server.ask("conflicts"))
        assertEquals("3", server.ask("inside"), "people are counted, not tickets")
        assertEquals(VerdictSource.SERVER, reopened.scan(server.qr("fourth")).decidedBy)
    }

    @Test
    fun `run reconnects to the server and uploads`() = runBlocking {
        val phone = phone("gate-a")
        val running = launch { phone.run() }
        server.ask("disconnect")
        assertEquals(VerdictSource.DEVICE, phone.scan(server.qr("second")).decidedBy)
        server.ask("reconnect")
        var revision = 0uL
        while (phone.state().run { !online || waiting > 0uL }) revision = phone.changedSince(revision)
        phone.stop()
        running.join()
        assertEquals("1", server.ask("inside"))
    }
}
