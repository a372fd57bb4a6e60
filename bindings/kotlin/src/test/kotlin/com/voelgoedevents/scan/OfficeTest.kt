package com.voelgoedevents.scan

import java.util.concurrent.LinkedBlockingQueue
import kotlin.test.AfterTest
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertNotEquals
import kotlin.test.assertTrue
import kotlinx.coroutines.runBlocking

/** What a steward asks the office for: events and gates, guests, undo, occupancy, the self-test. With the real server. */
class OfficeTest {
    private val phones = Phones()
    private val server = phones.server

    @AfterTest
    fun cleanUp() = phones.close()

    @Test
    fun `a steward chooses event and gate before a session`() = runBlocking {
        val phone = phones.enroll("gate-a")
        val events = phone.events()
        assertEquals(listOf("Opening night", "Opening night"), events.map { it.name })
        assertEquals(setOf<EventStatus?>(EventStatus.LIVE), events.map { it.status }.toSet())
        assertTrue(events.none { it.hasManifest } && events.any { it.id == server["event"] })
        val gates = phone.eventGates(server["event"])
        assertEquals(listOf("Main" to GateStatus.OPEN, "VIP" to GateStatus.OPEN), gates.map { it.name to it.status })
        assertEquals(listOf(null, listOf("VIP")), gates.map { it.ticketClasses })
        phones.startSession(phone)
        phone.refreshManifest()
        server.ask("disconnect")
        assertEquals(listOf(server["event"] to true), phone.events().map { it.id to it.hasManifest })
        assertEquals(listOf("Main", "VIP"), phone.eventGates(server["event"]).map { it.name })
    }

    @Test
    fun `an undone admission admits again online and offline`() = runBlocking {
        val phone = phones.phone("gate-a")
        val admitted = phone.scan(server.qr("first"))
        val undone = phone.undo(admitted.scanId, "wrong person")
        assertEquals(admitted.scanId to "wrong person", undone.scanId to undone.reason)
        assertEquals("0", server.ask("inside"))
        assertEquals(undone, phone.undo(admitted.scanId, "again"), "a repetition gives the same answer")
        val again = phone.scan(server.qr("first"))
        assertEquals(Reason.ADMITTED to false, again.reason to again.repeated)
        assertNotEquals(admitted.scanId, again.scanId)
        phone.undo(again.scanId, "wrong person")
        server.ask("disconnect")
        val alone = phone.scan(server.qr("first"))
        assertEquals(Reason.ADMITTED to VerdictSource.DEVICE, alone.reason to alone.decidedBy)
        assertFailsWith<ScannerException.Offline> { phone.undo(alone.scanId, "no network") }
        server.ask("reconnect")
        phone.undo(alone.scanId, "uploaded first")
        assertEquals(0uL to "0", phone.state().waiting to server.ask("inside"))
    }

    @Test
    fun `what the server denied stays denied offline and after a restart`() = runBlocking {
        phones.phone("gate-a").use { phone ->
            // The manifest of the phone lists the ticket as active.
            server.ask("status ${server["second_code"]} voided")
            val denied = phone.scan(server.qr("second"))
            assertEquals(Reason.TICKET_VOIDED to VerdictSource.SERVER, denied.reason to denied.decidedBy)
            server.ask("disconnect")
        }
        val alone = ScannerClient.open(phones.setup("gate-a")).scan(server.qr("second"))
        assertEquals(Reason.TICKET_VOIDED to VerdictSource.DEVICE, alone.reason to alone.decidedBy)
    }

    @Test
    fun `a search needs permission and finds guests by name`() = runBlocking {
        val phone = phones.phone("gate-a")
        assertEquals("forbidden", assertFailsWith<ScannerException.Refused> { phone.search("Guest") }.code)
        assertFalse(phone.deviceSettings().canSearch)
        server.ask("""settings gate-a {"can_search": true, "lane": 3}""")
        val found = phone.search("Guest f")
        assertEquals(listOf("Guest first", "Guest fourth"), found.tickets.mapNotNull { it.holderName }.sorted())
        val first = found.tickets.single { it.holderName == "Guest first" }
        assertEquals(server["first_code"] to TicketStatus.ACTIVE, first.code to first.status)
        for (text in listOf(found.toString(), first.toString())) {
            assertFalse("Guest" in text || first.code in text, text)
        }
        phone.sync()
        assertEquals(DeviceSettings(canOverride = false, canSearch = true, other = """{"lane":3}"""), phone.deviceSettings())
    }

    @Test
    fun `own scans are the server's and without it what the phone recorded`() = runBlocking {
        val phone = phones.phone("gate-a")
        val admitted = phone.scan(server.qr("first"))
        val denied = phone.scan(server.qr("voided"))
        val listed = phone.ownScans()
        assertTrue(listed.fromServer && listed.nextCursor == null)
        assertEquals(
            listOf(denied.scanId to Reason.TICKET_VOIDED, admitted.scanId to Reason.ADMITTED),
            listed.scans.map { it.scanId to it.reason },
        )
        assertEquals("Main" to server["first_code"], listed.scans[1].gateName to listed.scans[1].ticketCode)
        for (text in listOf(listed.toString(), listed.scans[1].toString())) assertFalse(server["first_code"] in text, text)
        server.ask("disconnect")
        val alone = phone.scan(server.qr("second"))
        val recorded = phone.ownScans()
        assertFalse(recorded.fromServer)
        assertEquals(
            listOf(alone.scanId to true, admitted.scanId to false),
            recorded.scans.map { it.scanId to it.isWaiting },
        )
        assertFailsWith<ScannerException.Offline> { phone.ownScans("a cursor of the server") }
        server.ask("reconnect")
        phone.sync()
        phone.undo(alone.scanId, "wrong person")
        assertEquals(listOf(alone.scanId), phone.ownScans().scans.filter { it.undone }.map { it.scanId })
    }

    @Test
    fun `the occupancy counts people at the event and its gates`() = runBlocking {
        val phone = phones.phone("gate-a")
        phone.scan(server.qr("first"))
        phone.scan(server.qr("voided"))
        val occupancy = phone.occupancy()
        assertEquals(1L to 1L, occupancy.event.inside to occupancy.event.entries)
        assertEquals(listOf("Main" to 1L, "VIP" to 0L), occupancy.gates.map { it.name to it.count.inside })
        assertEquals(1L to 1L, occupancy.results.valid to occupancy.results.refused)
    }

    @Test
    fun `outside its scope a phone decides nothing online and offline`() = runBlocking {
        val phone = phones.phone("gate-a")
        val (event, gate) = server["event"] to server["gate_vip"]
        assertEquals(DeviceScope(eventIds = null, gateIds = null), phone.deviceScope())
        server.ask("""scope gate-a {"event_ids": ["$event"], "gate_ids": ["$gate"]}""")
        assertEquals("out_of_scope", assertFailsWith<ScannerException.Refused> { phone.scan(server.qr("first")) }.code)
        phone.sync()
        assertEquals(DeviceScope(eventIds = listOf(event), gateIds = listOf(gate)), phone.deviceScope())
        assertEquals(ProblemCode.OUT_OF_SCOPE, phone.state().problem?.code)
        server.ask("disconnect")
        val alone = assertFailsWith<ScannerException.OutOfScope> { phone.scan(server.qr("first")) }
        assertEquals("out_of_scope", errorCode(alone))
        assertFailsWith<ScannerException.OutOfScope> { phone.startSession(event, server["gate_main"], replace = true) }
        assertEquals(0uL, phone.state().waiting, "nothing was decided")
        server.ask("reconnect")
        server.ask("scope gate-a {}")
        phone.sync()
        assertEquals(Reason.ADMITTED, phone.scan(server.qr("first")).reason)
    }

    @Test
    fun `metadata is a JSON object`() = runBlocking {
        val phone = phones.phone("gate-a")
        phone.scan(server.qr("first"), metadata = """{"lane":3}""")
        val invalid = assertFailsWith<ScannerException.InvalidText> { phone.scan(server.qr("second"), metadata = "lane 3") }
        assertEquals("metadata", invalid.kind)
        assertEquals("3", server.ask("metadata lane"))
    }

    @Test
    fun `the self-test says what is wrong and what to do`() = runBlocking {
        val phone = phones.enroll("gate-a")
        suspend fun problems() = phone.selfTest().also { checks ->
            assertEquals(SelfTestSubject.entries, checks.map { it.subject })
            for (check in checks) assertEquals(check.problem == null, check.advice.isEmpty())
        }.filter { it.problem != null }.associate { it.subject to it.problem }
        assertEquals(mapOf(SelfTestSubject.MANIFEST to "no_active_session"), problems())
        phones.startSession(phone)
        phone.refreshManifest()
        assertTrue(problems().isEmpty())
        server.ask("captive_portal")
        assertEquals("unexpected_answer", problems()[SelfTestSubject.NETWORK])
        server.ask("reconnect")
        server.ask("revoke gate-a")
        assertEquals("device_inactive", problems()[SelfTestSubject.NETWORK])
    }

    @Test
    fun `a listener is called after each change until it is cancelled`() = runBlocking {
        val states = LinkedBlockingQueue<ClientState>()
        val phone = phones.phone("gate-a")
        val subscription = phone.subscribe(object : StateListener {
            override fun stateChanged(state: ClientState) {
                states.put(state)
                error("an error of the listener changes nothing")
            }
        })
        fun await(fits: (ClientState) -> Boolean) = generateSequence { states.take() }.first(fits)
        await { it.online }
        server.ask("disconnect")
        phone.scan(server.qr("first"))
        await { !it.online && it.waiting == 1uL }
        subscription.cancel()
        states.clear()
        server.ask("reconnect")
        phone.sync()
        phone.close()
        assertTrue(states.isEmpty())
    }
}
