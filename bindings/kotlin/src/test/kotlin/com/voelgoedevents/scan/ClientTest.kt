package com.voelgoedevents.scan

import kotlin.io.path.createTempDirectory
import kotlin.test.AfterTest
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertNotNull
import kotlin.test.assertTrue
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking

class ClientTest {
    private val folder = createTempDirectory("voelgoed-scan").toFile()
    private val wire = Wire()
    private val vault = Vault()

    private val setup = ClientSetup(
        directory = folder.path,
        app = App(name = "Gate", version = "1.0", platform = "jvm"),
        secrets = vault,
        transport = wire,
        settings = patient(),
    )

    @AfterTest
    fun cleanUp() {
        folder.deleteRecursively()
    }

    private suspend fun phone() = ScannerClient.enroll(setup, Stage["enrollment"]).also {
        it.startSession(Stage["event"], Stage["gate_main"])
        assertEquals(7uL, assertNotNull(it.refreshManifest()).tickets)
    }

    @Test
    fun `an enrolment is kept in the app's secret store and opens without a network`() = runBlocking {
        assertFailsWith<GateException.NotEnrolled> { ScannerClient.open(setup) }
        assertFailsWith<GateException.InvalidText> { ScannerClient.enroll(setup, "https://example.org") }
        assertFailsWith<GateException.InsecureServer> { ScannerClient.enroll(setup, Stage["enrollment_plain"]) }
        assertTrue(wire.calls.isEmpty())
        val phone = phone()
        assertEquals("gate-1", phone.device().deviceId)
        assertEquals(Stage["device_a"], phone.device().id)
        assertEquals(setOf("voelgoed-scan.enrollment"), vault.secrets.keys)
        phone.close()
        wire.cut()
        val again = ScannerClient.open(setup)
        assertEquals(Stage["gate_main"], again.state().station?.gateId)
        assertEquals(Reason.ADMITTED, again.scan(Stage.camera("first")).reason)
        vault.locked = true
        val error = assertFailsWith<GateException.SecretStoreFailed> { again.forget() }
        assertTrue("the phone is locked" in error.reason)
        vault.locked = false
        again.forget()
        assertTrue(vault.secrets.isEmpty())
    }

    @Test
    fun `the server decides while it is there and the phone when it is not`() = runBlocking {
        val phone = ScannerClient.enroll(setup, Stage["enrollment"])
        assertFailsWith<GateException.NoActiveSession> { phone.scan(Stage.camera("first")) }
        phone.startSession(Stage["event"], Stage["gate_main"])
        phone.refreshManifest()
        val online = phone.scan(Stage.camera("first"))
        assertEquals(VerdictBy.SERVER, online.decidedBy)
        assertEquals(0L, online.occupancy?.gate?.inside)
        assertTrue(phone.state().online)

        wire.cut()
        val alone = phone.scan(Stage.camera("second"))
        assertEquals(VerdictBy.DEVICE to Reason.ADMITTED, alone.decidedBy to alone.reason)
        val state = phone.state()
        assertEquals(listOf(false, 1uL, "offline"), listOf(state.online, state.waiting, state.lastError))
        assertFailsWith<GateException.Offline> { phone.sync() }
        phone.close()
        val reopened = ScannerClient.open(setup)
        val second = reopened.scan(Stage.camera("second"))
        assertEquals(Reason.ALREADY_SCANNED, second.reason)
        assertEquals(true, second.previousScan?.sameDevice)
    }

    @Test
    fun `whatever the app's own code throws is only a lost network`() = runBlocking {
        val phone = phone()
        wire.fault = { throw IllegalStateException("a mistake of the app's") }
        assertEquals(VerdictBy.DEVICE, phone.scan(Stage.camera("third")).decidedBy)
        wire.fault = null
        val refused = assertFailsWith<GateException.Refused> { phone.sync() }
        assertEquals(503.toUShort() to 1u, refused.status to refused.retryAfterS)
    }

    @Test
    fun `run renews the manifest by itself and ends when it is told to`() = runBlocking {
        val phone = ScannerClient.enroll(setup, Stage["enrollment"])
        phone.startSession(Stage["event"], Stage["gate_main"])
        val running = launch { phone.run() }
        var revision = 0uL
        while (phone.state().manifest == null) revision = phone.changedSince(revision)
        phone.setBattery(0.5)
        phone.stop()
        running.join()
        assertEquals(listOf("Main", "VIP"), phone.gates().map { it.name }.sorted())
        assertTrue(wire.calls.any { "/manifest" in it })
    }
}
