package com.voelgoedevents.scan

import java.io.File
import kotlin.io.path.createTempDirectory
import kotlin.test.AfterTest
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertNotEquals
import kotlin.test.assertNotNull
import kotlin.test.assertNull
import kotlin.test.assertTrue
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.runBlocking

class OfflineTest {
    private val folder = createTempDirectory("voelgoed-scan").toFile()
    private val main = Stage["gate_main"]

    @AfterTest
    fun cleanUp() {
        folder.deleteRecursively()
    }

    private suspend fun phone(name: String = "a", device: String = "device_a", canOverride: Boolean = false): OfflineGate {
        val gate = OfflineGate.open(Stage.setup(File(folder, "$name.db"), device, canOverride))
        gate.install(Stage["event"], Stage.manifest("good"))
        return gate
    }

    @Test
    fun `without a manifest nothing is decided`() = runBlocking {
        val gate = OfflineGate.open(Stage.setup(File(folder, "a.db")))
        val error = assertFailsWith<GateException.NoManifest> { gate.decide(Stage.camera("first"), main) }
        assertEquals("no_manifest", errorCode(error))
        assertEquals(OfflineState(null, waiting = 0u, conflicts = 0u, clockOffsetMs = 0), gate.state())
        assertFailsWith<GateException.InvalidText> { gate.decide(Stage.camera("first"), "the main gate") }
        assertFailsWith<GateException.InvalidText> {
            OfflineGate.open(Stage.setup(File(folder, "b.db")).copy(manifestKey = ByteArray(3)))
        }
        assertFailsWith<GateException.StorageUnavailable> { OfflineGate.open(Stage.setup(File("/nowhere/a.db"))) }
        Unit
    }

    @Test
    fun `every wrong manifest is refused by its own code and the good one stays`() = runBlocking {
        val gate = phone()
        val refused = mapOf(
            "older" to "manifest_older",
            "other-event" to "manifest_other_event",
            "other-organization" to "manifest_other_organization",
            "expired" to "manifest_expired",
            "changed" to "manifest_bad_signature",
        )
        for ((name, code) in refused) {
            val error = assertFailsWith<GateException>(name) { gate.install(Stage["event"], Stage.manifest(name)) }
            assertEquals(code, errorCode(error), name)
        }
        val state = assertNotNull(gate.state().manifest)
        assertEquals(2uL, state.version)
        assertEquals(7uL, state.tickets)
        assertEquals(listOf("Main", "VIP"), gate.gates().map { it.name }.sorted())
    }

    @Test
    fun `every result is decided offline`() = runBlocking {
        val gate = phone()
        suspend fun scan(name: String, at: String = main) = gate.decide(Stage.camera(name), at)
        val admitted = scan("first")
        assertEquals(Reason.ADMITTED, admitted.reason)
        assertEquals(ScanResult.VALID, admitted.result)
        assertEquals(VerdictBy.DEVICE, admitted.decidedBy)
        assertEquals(Stage["first_code"], admitted.ticket?.code)
        assertEquals("Day", admitted.ticket?.ticketClass)
        assertNull(admitted.occupancy)
        assertEquals("Admitted", admitted.message)
        assertEquals(Reason.ALREADY_SCANNED, scan("used_online").reason)
        assertEquals(Reason.OTHER_EVENT, scan("other_event").reason)
        assertEquals(Reason.GATE_NOT_ALLOWED, scan("second", Stage["gate_vip"]).reason)
        assertEquals(Reason.TICKET_VOIDED, scan("voided").reason)
        assertEquals(Reason.TOKEN_EXPIRED, scan("expired").reason)
        assertEquals(Reason.BAD_SIGNATURE, scan("forged").reason)
        assertEquals(Reason.MALFORMED, gate.decide(TicketReading.Qr("https://example.org"), main).reason)
        assertEquals(Reason.UNSIGNED_NOT_ALLOWED, gate.decide(TicketReading.Typed(Stage["second_code"]), main).reason)
        assertEquals(Reason.NOT_INSIDE, gate.decide(Stage.camera("second"), main, Direction.EXIT).reason)
        assertEquals(listOf(Warning.SIGNATURE_UNCHECKED), scan("server_format").warnings)
        assertEquals(listOf(Warning.NOT_IN_MANIFEST), scan("sold_later").warnings)
        assertFailsWith<GateException.UnknownGate> { scan("second", Stage["gate_unknown"]) }
        assertEquals(12uL, gate.state().waiting)
    }

    @Test
    fun `a scan id is one scan and an override needs the right to it`() = runBlocking {
        val (plain, trusted) = phone() to phone("b", "device_b", canOverride = true)
        val id = newScanId()
        val first = plain.decide(Stage.camera("first"), main, scanId = id)
        assertEquals(id, first.scanId)
        assertTrue(plain.decide(Stage.camera("first"), main, scanId = id).repeated)
        assertFailsWith<GateException.ScanIdReused> { plain.decide(Stage.camera("second"), main, scanId = id) }
        val error = assertFailsWith<GateException.Forbidden> {
            plain.decide(Stage.camera("voided"), main, overrideReason = "guest of the band")
        }
        assertEquals("forbidden", errorCode(error))
        val forced = trusted.decide(Stage.camera("voided"), main, overrideReason = "guest of the band")
        assertEquals(Reason.OVERRIDDEN, forced.reason)
    }

    @Test
    fun `a manifest too old is refused where the event says so`() = runBlocking {
        val gate = phone()
        gate.install(Stage["event"], Stage.manifest("stale"))
        val error = assertFailsWith<GateException.StaleManifest> { gate.decide(Stage.camera("first"), main) }
        assertTrue(error.reason.isNotBlank())
    }

    @Test
    fun `a verdict that was shown survives a kill`() = runBlocking {
        val file = File(folder, "a.db")
        phone().close()
        val java = File(System.getProperty("java.home"), "bin/java").path
        val libraries = System.getProperty("jna.library.path")
        val process = ProcessBuilder(
            java, "-Djna.library.path=$libraries", "-cp", System.getProperty("java.class.path"),
            "com.voelgoedevents.scan.VictimKt", file.path,
        ).redirectError(ProcessBuilder.Redirect.INHERIT).start()
        assertEquals("admitted", process.inputStream.bufferedReader().readLine())
        process.destroyForcibly().waitFor()

        val gate = OfflineGate.open(Stage.setup(file))
        assertEquals(1uL, gate.state().waiting)
        val second = gate.decide(Stage.camera("victim"), main, scanId = newScanId())
        assertEquals(Reason.ALREADY_SCANNED, second.reason)
        assertEquals(true, second.previousScan?.sameDevice)
        assertFailsWith<GateException.OtherDevice> { OfflineGate.open(Stage.setup(file, "device_b")) }
        Unit
    }

    @Test
    fun `two phones that cannot talk both let one ticket in and both remember it`() = runBlocking {
        val (a, b) = phone() to phone("b", "device_b")
        val verdicts = listOf(a, b).map { async { it.decide(Stage.camera("third"), main) } }.awaitAll()
        assertEquals(listOf(Reason.ADMITTED, Reason.ADMITTED), verdicts.map { it.reason })
        assertNotEquals(verdicts[0].scanId, verdicts[1].scanId)
        assertEquals(listOf(1uL, 1uL), listOf(a.state().waiting, b.state().waiting))
    }
}
