package com.voelgoedevents.scan

import kotlin.io.path.createTempDirectory
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlinx.coroutines.async
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.delay
import kotlinx.coroutines.runBlocking

/** A camera reads one ticket in many frames: one scan, one verdict, however slow the network is. */
class FramesTest {
    private val frames = 5

    /** Scans a reading in overlapping calls, as a camera does that does not wait for the verdict. */
    private suspend fun readFrames(phone: ScannerClient, reading: TicketReading) = coroutineScope {
        List(frames) {
            // The time between two frames of a camera.
            async { phone.scan(reading) }.also { delay(33) }
        }.map { it.await() }
    }

    private fun check(verdicts: List<Verdict>) {
        assertEquals(setOf(Reason.ADMITTED), verdicts.map { it.reason }.toSet())
        assertEquals(1, verdicts.map { it.scanId }.toSet().size)
        assertEquals(1, verdicts.count { !it.repeated }, "the app beeps once")
    }

    @Test
    fun `five overlapping frames are one scan at every round trip time`() = runBlocking {
        Phones().use { phones ->
            val phone = phones.phone("gate-a")
            for ((delay, ticket) in listOf(0 to "first", 50 to "second", 200 to "third", 1000 to "fourth")) {
                val before = phones.server.ask("scans").toInt()
                phones.server.ask("delay $delay")
                check(readFrames(phone, phones.server.qr(ticket)))
                assertEquals(before + 1, phones.server.ask("scans").toInt(), "$delay ms")
            }
            assertEquals("4", phones.server.ask("inside"))
        }
    }

    @Test
    fun `answers that overtake each other give one verdict`() = runBlocking {
        for (delay in listOf(0L, 50L, 200L, 1000L)) {
            val transport = FakeTransport()
            // A later request is answered earlier.
            for (number in 0 until frames) transport.delays += delay * (frames - number) / frames
            val folder = createTempDirectory("voelgoed-scan").toFile()
            val setup = ClientSetup(
                directory = folder.path,
                app = App(name = "Gate", version = "1.0", platform = "jvm"),
                secrets = MemorySecretStore(),
                transport = transport,
                settings = testSettings(),
            )
            ScannerClient.enroll(setup, Fixture["enrollment"]).use { phone ->
                phone.startSession(Fixture["event"], Fixture["gate_main"])
                phone.refreshManifest()
                check(readFrames(phone, Fixture.qr("first")))
            }
            assertEquals(1, transport.scans.size, "$delay ms")
            folder.deleteRecursively()
        }
    }
}
