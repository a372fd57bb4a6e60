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
import kotlinx.coroutines.delay
import kotlinx.coroutines.runBlocking

class OfflineTest {
    private val folder = createTempDirectory("voelgoed-scan").toFile()
    private val main = Fixture["gate_main"]

    @AfterTest
    fun cleanUp() {
        folder.deleteRecursively()
    }

    private suspend fun phone(name: String = "a", device: String = "device_a", canOverride: Boolean = false): OfflineScanner {
        val scanner = OfflineScanner.open(Fixture.setup(File(folder, "$name.db"), device, canOverride))
        scanner.install(Fixture["event"], Fixture.manifest("good"))
        return scanner
    }

    @Test
    fun `without a manifest a decision fails`() = runBlocking {
        val scanner = OfflineScanner.open(Fixture.setup(File(folder, "a.db")))
        val error = assertFailsWith<ScannerException.NoManifest> { scanner.decide(Fixture.qr("first"), main) }
        assertEquals("no_manifest", errorCode(error))
        assertEquals(OfflineState(null, 0u, 0u, 0u, clockOffsetMs = 0, isDiskFull = false, replaced = emptyList()), scanner.state())
        assertFailsWith<ScannerException.InvalidText> { scanner.decide(Fixture.qr("first"), "not an id") }
        assertFailsWith<ScannerException.InvalidText> {
            OfflineScanner.open(Fixture.setup(File(folder, "b.db")).copy(manifestKey = ByteArray(3)))
        }
        assertFailsWith<ScannerException.StorageUnavailable> { OfflineScanner.open(Fixture.setup(File("/nowhere/a.db"))) }
        Unit
    }

    @Test
    fun `a damaged database is set aside and the phone says so`() = runBlocking {
        val file = File(folder, "a.db")
        phone().use { it.decide(Fixture.qr("first"), main) }
        // The database is closed in the background, which writes its file once more.
        while (File(folder, "a.db-wal").exists()) delay(10)
        file.writeText("what a failing flash card returns".repeat(1000))
        val scanner = OfflineScanner.open(Fixture.setup(file))
        val replaced = scanner.state().replaced.single()
        assertEquals("damaged_database" to false, replaced.code to replaced.complete)
        assertTrue(File(replaced.path).readText().startsWith("what a failing flash card"))
        assertFailsWith<ScannerException.NoManifest> { scanner.decide(Fixture.qr("first"), main) }
        scanner.install(Fixture["event"], Fixture.manifest("good"))
        val again = scanner.decide(Fixture.qr("first"), main)
        assertEquals(listOf(ScanWarning.STORAGE_REPLACED), again.warnings, "it may have admitted it before")
    }

    @Test
    fun `every invalid manifest is refused with its own code and the previous one stays in use`() = runBlocking {
        val scanner = phone()
        val refused = mapOf(
            "older" to "manifest_older",
            "other-event" to "manifest_other_event",
            "other-organization" to "manifest_other_organization",
            "expired" to "manifest_expired",
            "changed" to "manifest_bad_signature",
        )
        for ((name, code) in refused) {
            val error = assertFailsWith<ScannerException>(name) { scanner.install(Fixture["event"], Fixture.manifest(name)) }
            assertEquals(code, errorCode(error), name)
        }
        val state = assertNotNull(scanner.state().manifest)
        assertEquals(2uL, state.version)
        assertEquals(7uL, state.tickets)
        assertEquals(listOf("Main", "VIP"), scanner.gates().map { it.name }.sorted())
    }

    @Test
    fun `the phone decides every result offline`() = runBlocking {
        val scanner = phone()
        suspend fun scan(name: String, at: String = main) = scanner.decide(Fixture.qr(name), at)
        val admitted = scan("first")
        assertEquals(Reason.ADMITTED, admitted.reason)
        assertEquals(ScanResult.VALID, admitted.result)
        assertEquals(VerdictSource.DEVICE, admitted.decidedBy)
        assertEquals(Fixture["first_code"], admitted.ticket?.code)
        assertEquals("Day", admitted.ticket?.ticketClass)
        assertNull(admitted.occupancy)
        assertEquals("Admitted", admitted.message)
        assertEquals(Reason.ALREADY_SCANNED, scan("used_online").reason)
        assertEquals(Reason.OTHER_EVENT, scan("other_event").reason)
        assertEquals(Reason.GATE_NOT_ALLOWED, scan("second", Fixture["gate_vip"]).reason)
        assertEquals(Reason.TICKET_VOIDED, scan("voided").reason)
        assertEquals(Reason.TOKEN_EXPIRED, scan("expired").reason)
        assertEquals(Reason.BAD_SIGNATURE, scan("forged").reason)
        assertEquals(Reason.MALFORMED, scanner.decide(TicketReading.Qr("https://example.org"), main).reason)
        assertEquals(Reason.UNSIGNED_NOT_ALLOWED, scanner.decide(TicketReading.Typed(Fixture["second_code"]), main).reason)
        assertEquals(Reason.UNSIGNED_NOT_ALLOWED, scanner.decide(TicketReading.Named("nfc:04A1B2C3D4E5F6"), main).reason)
        assertEquals(Reason.NOT_INSIDE, scanner.decide(Fixture.qr("second"), main, Direction.EXIT).reason)
        assertEquals(listOf(ScanWarning.SIGNATURE_UNCHECKED), scan("server_format").warnings)
        assertEquals(listOf(ScanWarning.NOT_IN_MANIFEST), scan("sold_later").warnings)
        assertFailsWith<ScannerException.UnknownGate> { scan("second", Fixture["gate_unknown"]) }
        assertEquals(13uL, scanner.state().waiting)
    }

    @Test
    fun `a scan id belongs to one scan and an override needs permission`() = runBlocking {
        val (plain, trusted) = phone() to phone("b", "device_b", canOverride = true)
        val id = newScanId()
        val first = plain.decide(Fixture.qr("first"), main, scanId = id)
        assertEquals(id, first.scanId)
        assertTrue(plain.decide(Fixture.qr("first"), main, scanId = id).repeated)
        assertFailsWith<ScannerException.ScanIdReused> { plain.decide(Fixture.qr("second"), main, scanId = id) }
        val error = assertFailsWith<ScannerException.Forbidden> {
            plain.decide(Fixture.qr("voided"), main, overrideReason = "guest of the band")
        }
        assertEquals("forbidden", errorCode(error))
        val forced = trusted.decide(Fixture.qr("voided"), main, overrideReason = "guest of the band")
        assertEquals(Reason.OVERRIDDEN, forced.reason)
    }

    @Test
    fun `a stale manifest is refused if the event is configured so`() = runBlocking {
        val scanner = phone()
        scanner.install(Fixture["event"], Fixture.manifest("stale"))
        val error = assertFailsWith<ScannerException.StaleManifest> { scanner.decide(Fixture.qr("first"), main) }
        assertTrue(error.reason.isNotBlank())
    }

    @Test
    fun `a shown verdict survives a kill`() = runBlocking {
        val file = File(folder, "a.db")
        phone().close()
        val java = File(System.getProperty("java.home"), "bin/java").path
        val libraries = System.getProperty("jna.library.path")
        val process = ProcessBuilder(
            java, "-Djna.library.path=$libraries", "-cp", System.getProperty("java.class.path"),
            "com.voelgoedevents.scan.KillTargetKt", file.path,
        ).redirectError(ProcessBuilder.Redirect.INHERIT).start()
        assertEquals("admitted", process.inputStream.bufferedReader().readLine())
        process.destroyForcibly().waitFor()

        val scanner = OfflineScanner.open(Fixture.setup(file))
        assertEquals(1uL, scanner.state().waiting)
        val second = scanner.decide(Fixture.qr("kill_test"), main, scanId = newScanId())
        assertEquals(Reason.ALREADY_SCANNED, second.reason)
        assertEquals(true, second.previousScan?.sameDevice)
        assertFailsWith<ScannerException.DatabaseInUse> { OfflineScanner.open(Fixture.setup(file)) }
        scanner.close()
        assertFailsWith<ScannerException.OtherDevice> { OfflineScanner.open(Fixture.setup(file, "device_b")) }
        Unit
    }

    @Test
    fun `two phones without a connection both admit a ticket and both record it`() = runBlocking {
        val (a, b) = phone() to phone("b", "device_b")
        val verdicts = listOf(a, b).map { async { it.decide(Fixture.qr("third"), main) } }.awaitAll()
        assertEquals(listOf(Reason.ADMITTED, Reason.ADMITTED), verdicts.map { it.reason })
        assertNotEquals(verdicts[0].scanId, verdicts[1].scanId)
        assertEquals(listOf(1uL, 1uL), listOf(a.state().waiting, b.state().waiting))
    }
}
