package com.voelgoedevents.scan

import java.time.Duration
import kotlin.io.path.createTempDirectory
import kotlin.test.AfterTest
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertNotNull
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking

/** Phones at the door of the real server, by the library's own way to call it. */
class StoryTest {
    private val folder = createTempDirectory("voelgoed-scan").toFile()
    private val door = Door()
    private val vaults = mutableMapOf<String, Vault>()

    @AfterTest
    fun cleanUp() {
        door.close()
        folder.deleteRecursively()
    }

    private fun setup(name: String) = ClientSetup(
        directory = folder.resolve(name).apply { mkdirs() }.path,
        app = App(name = "Gate", version = "1.0", platform = "jvm"),
        secrets = vaults.getOrPut(name) { Vault() },
        settings = patient().copy(
            allowPlainHttp = true,
            firstRetry = Duration.ofMillis(20),
            longestRetry = Duration.ofMillis(20),
        ),
    )

    private suspend fun phone(name: String) = ScannerClient.enroll(setup(name), door.ask("pair $name")).also {
        it.stand()
        assertEquals(7uL, assertNotNull(it.refreshManifest()).tickets)
    }

    private suspend fun ScannerClient.stand(gate: String = "gate_main") {
        assertEquals(door[gate], startSession(door["event"], door[gate], replace = true)?.gateId)
    }

    @Test
    fun `a code enrols one phone once`() = runBlocking {
        val uri = door.ask("pair gate-a")
        assertEquals("gate-a", ScannerClient.enroll(setup("gate-a"), uri).device().deviceId)
        val refused = assertFailsWith<GateException.Refused> { ScannerClient.enroll(setup("gate-b"), uri) }
        assertEquals(404.toUShort() to "not_found", refused.status to refused.code)
        assertFailsWith<GateException.NotEnrolled> { ScannerClient.open(setup("gate-b")) }
        Unit
    }

    @Test
    fun `the server decides every result while it is there`() = runBlocking {
        val (a, b) = phone("gate-a") to phone("gate-b")
        val admitted = a.scan(door.camera("first"))
        assertEquals(ScanResult.VALID to VerdictBy.SERVER, admitted.result to admitted.decidedBy)
        assertEquals(1L, admitted.occupancy?.gate?.inside)
        val again = b.scan(door.camera("first"))
        assertEquals(ScanResult.DUPLICATE to Reason.ALREADY_SCANNED, again.result to again.reason)
        assertEquals(admitted.scanId to false, again.previousScan?.scanId to again.previousScan?.sameDevice)
        b.stand("gate_vip")
        val others = listOf(
            Triple(a, TicketReading.Qr("https://example.org"), Reason.MALFORMED),
            Triple(a, door.camera("elsewhere"), Reason.OTHER_EVENT),
            Triple(b, door.camera("second"), Reason.GATE_NOT_ALLOWED),
            Triple(a, door.camera("voided"), Reason.TICKET_VOIDED),
        ).map { (phone, reading, reason) ->
            val verdict = phone.scan(reading)
            assertEquals(reason to VerdictBy.SERVER, verdict.reason to verdict.decidedBy)
            verdict.result
        }
        assertEquals(ScanResult.entries.toSet(), setOf(admitted.result, again.result) + others)
        assertEquals(Reason.EXITED, a.scan(door.camera("first"), Direction.EXIT).reason)
        assertEquals("0", door.ask("inside"))
    }

    @Test
    fun `an admission whose answer was lost is one admission`() = runBlocking {
        val phone = phone("gate-a")
        door.ask("deafen")
        val alone = phone.scan(door.camera("unheard"))
        assertEquals(Reason.ADMITTED to VerdictBy.DEVICE, alone.reason to alone.decidedBy)
        assertEquals("1", door.ask("inside"))
        door.ask("mend")
        val report = phone.sync()
        assertEquals(listOf(0uL, 1uL, 0uL), listOf(report.recorded, report.replayed, report.conflicts))
        assertEquals("1", door.ask("inside"))
    }

    @Test
    fun `two phones without a network let one ticket in and the server tells of it`() = runBlocking {
        val (a, b) = phone("gate-a") to phone("gate-b")
        door.ask("cut")
        val verdicts = listOf(a, b).map { it.scan(door.camera("both")) }
        assertEquals(listOf(Reason.ADMITTED, Reason.ADMITTED), verdicts.map { it.reason })
        assertEquals(listOf(VerdictBy.DEVICE, VerdictBy.DEVICE), verdicts.map { it.decidedBy })
        assertFailsWith<GateException.Offline> { a.sync() }
        val state = a.state()
        assertEquals(listOf(false, 1uL, "offline"), listOf(state.online, state.waiting, state.lastError))
        a.close()

        val reopened = ScannerClient.open(setup("gate-a"))
        val second = reopened.scan(door.camera("both"))
        assertEquals(Reason.ALREADY_SCANNED to true, second.reason to second.previousScan?.sameDevice)
        assertEquals(Reason.ADMITTED, reopened.scan(door.camera("third")).reason)
        assertEquals(3uL, reopened.state().waiting)
        assertEquals("0", door.ask("inside"))

        door.ask("mend")
        val first = reopened.sync()
        assertEquals(listOf(3uL, 0uL, 0uL), listOf(first.recorded, first.rejected, first.conflicts))
        val then = b.sync()
        assertEquals(1uL to 1uL, then.recorded to then.conflicts)
        assertEquals(1uL, b.state().conflicts)
        val conflict = b.conflicts().single()
        assertEquals(ConflictKind.DOUBLE_ENTRY, conflict.kind)
        assertEquals(verdicts.map { it.scanId }.toSet(), setOf(conflict.winnerScanId, conflict.otherScanId))
        assertEquals(listOf("gate-a", "gate-b"), conflict.devices.map { it.name }.sorted())
        assertEquals("1", door.ask("conflicts"))
        assertEquals("3", door.ask("inside"), "people are counted, not rights")
        assertEquals(VerdictBy.SERVER, reopened.scan(door.camera("fourth")).decidedBy)
    }

    @Test
    fun `run finds back to the server and hands in by itself`() = runBlocking {
        val phone = phone("gate-a")
        val running = launch { phone.run() }
        door.ask("cut")
        assertEquals(VerdictBy.DEVICE, phone.scan(door.camera("second")).decidedBy)
        door.ask("mend")
        var revision = 0uL
        while (phone.state().run { !online || waiting > 0uL }) revision = phone.changedSince(revision)
        phone.stop()
        running.join()
        assertEquals("1", door.ask("inside"))
    }
}
