package com.voelgoedevents.scan

import java.time.Duration
import java.util.concurrent.LinkedBlockingQueue
import kotlin.io.path.createTempDirectory
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertTrue
import kotlinx.coroutines.runBlocking

/** The package as an app sees it: texts and log. */
class PackageTest {
    @Test
    fun `the texts show the fields and no secret`() {
        val code = "3KQR7F924M1XaB0z"
        val token = "vgd_0123456789"
        val reading = TicketReading.Typed(code)
        val header = HttpHeader("Authorization", "Bearer $token")
        val request = HttpRequest(
            HttpMethod.GET, "https://example.org/tickets?q=Smith", listOf(header), code.toByteArray(), Duration.ZERO)
        val response = HttpResponse(200u, listOf(header), token.toByteArray())
        val ticket = VerdictTicket(null, code, TicketStatus.ACTIVE, "Day", null, 1u, 0u, null)
        val text = listOf(reading, header, request, response, ticket).toString()
        for (secret in listOf(code, token, "Smith")) assertFalse(secret in text, text)
        assertEquals("GET https://example.org/tickets, 16 bytes", request.toString())
        assertTrue("ticket_class" in ticket.toString())
    }

    @Test
    fun `the log hook gets messages without secrets`() = runBlocking {
        val records = LinkedBlockingQueue<LogRecord>()
        setLogHook(object : LogHook {
            override fun log(record: LogRecord) {
                records.put(record)
                error("an error of the hook changes nothing")
            }
        }, LogLevel.TRACE)
        val folder = createTempDirectory("voelgoed-scan").toFile()
        val transport = FakeTransport()
        val setup = ClientSetup(
            folder.path, App("Gate", "1.0", "jvm"), MemorySecretStore(), transport, testSettings())
        ScannerClient.enroll(setup, Fixture["enrollment"]).use { phone ->
            assertEquals("ScannerClient(gate-1)", phone.toString())
            phone.startSession(Fixture["event"], Fixture["gate_main"])
            val verdict = phone.scan(Fixture.qr("first"))
            assertEquals("valid: admitted, entry at Main, decided by server", verdict.toString())
            transport.disconnect()
            assertFailsWith<ScannerException.Offline> { phone.sync() }
        }
        val seen = generateSequence { records.take() }.takeWhile { "could not be used" !in it.text }.toList()
        clearLogHook()
        for (record in seen) assertFalse(Fixture["first"] in record.text || Fixture["enrollment"] in record.text)
        folder.deleteRecursively()
        Unit
    }
}
