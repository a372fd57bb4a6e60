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
    private val transport = FakeTransport()
    private val secretStore = MemorySecretStore()

    private val setup = ClientSetup(
        directory = folder.path,
        app = App(name = "Gate", version = "1.0", platform = "jvm"),
        secrets = secretStore,
        transport = transport,
        settings = testSettings(),
    )

    @AfterTest
    fun cleanUp() {
        folder.deleteRecursively()
    }

    private suspend fun phone() = ScannerClient.enroll(setup, Fixture["enrollment"]).also {
        it.startSession(Fixture["event"], Fixture["gate_main"])
        assertEquals(7uL, assertNotNull(it.refreshManifest()).tickets)
    }

    @Test
    fun `the credentials are in the app's secret store and open without a network`() = runBlocking {
        assertFailsWith<ScannerException.NotEnrolled> { ScannerClient.open(setup) }
        assertFailsWith<ScannerException.InvalidText> { ScannerClient.enroll(setup, "https://example.org") }
        assertFailsWith<ScannerException.InsecureServer> { ScannerClient.enroll(setup, Fixture["enrollment_plain"]) }
        assertTrue(transport.calls.isEmpty())
        val phone = phone()
        assertEquals("gate-1", phone.device().deviceId)
        assertEquals(Fixture["device_a"], phone.device().id)
        assertEquals(setOf("voelgoed-scan.enrollment"), secretStore.secrets.keys)
        phone.close()
        transport.disconnect()
        val again = ScannerClient.open(setup)
        assertEquals(Fixture["gate_main"], again.state().session?.gateId)
        assertEquals(Reason.ADMITTED, again.scan(Fixture.qr("first")).reason)
        secretStore.locked = true
        val error = assertFailsWith<ScannerException.SecretStoreFailed> { again.forget() }
        assertTrue("the phone is locked" in error.reason)
        secretStore.locked = false
        again.forget()
        // A scan waits: the credentials serve its upload.
        assertEquals(setOf("voelgoed-scan.earlier-enrollments"), secretStore.secrets.keys)
    }

    @Test
    fun `the server decides while it is available and otherwise the phone`() = runBlocking {
        val phone = ScannerClient.enroll(setup, Fixture["enrollment"])
        assertFailsWith<ScannerException.NoActiveSession> { phone.scan(Fixture.qr("first")) }
        phone.startSession(Fixture["event"], Fixture["gate_main"])
        phone.refreshManifest()
        val online = phone.scan(Fixture.qr("first"))
        assertEquals(VerdictSource.SERVER, online.decidedBy)
        assertEquals(0L, online.occupancy?.gate?.inside)
        assertTrue(phone.state().online)

        transport.disconnect()
        val alone = phone.scan(Fixture.qr("second"))
        assertEquals(VerdictSource.DEVICE to Reason.ADMITTED, alone.decidedBy to alone.reason)
        val state = phone.state()
        assertEquals(listOf(false, 1uL, "offline"), listOf(state.online, state.waiting, state.lastError))
        assertFailsWith<ScannerException.Offline> { phone.sync() }
        phone.close()
        val reopened = ScannerClient.open(setup)
        val second = reopened.scan(Fixture.qr("second"))
        assertEquals(Reason.ALREADY_SCANNED, second.reason)
        assertEquals(true, second.previousScan?.sameDevice)
    }

    @Test
    fun `any error of the app's transport counts as an unreachable server`() = runBlocking {
        val phone = phone()
        transport.fault = { throw IllegalStateException("a bug in the app") }
        assertEquals(VerdictSource.DEVICE, phone.scan(Fixture.qr("third")).decidedBy)
        transport.fault = null
        val refused = assertFailsWith<ScannerException.Refused> { phone.sync() }
        assertEquals(503.toUShort() to 1u, refused.status to refused.retryAfterS)
    }

    @Test
    fun `run refreshes the manifest and returns after stop`() = runBlocking {
        val phone = ScannerClient.enroll(setup, Fixture["enrollment"])
        phone.startSession(Fixture["event"], Fixture["gate_main"])
        val running = launch { phone.run() }
        var revision = 0uL
        while (phone.state().manifest == null) revision = phone.changedSince(revision)
        phone.setBattery(0.5)
        phone.stop()
        running.join()
        assertEquals(listOf("Main", "VIP"), phone.gates().map { it.name }.sorted())
        assertTrue(transport.calls.any { "/manifest" in it })
    }
}
