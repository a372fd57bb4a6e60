package com.voelgoedevents.scan

import java.io.File
import java.time.Duration
import kotlin.io.path.createTempDirectory
import kotlin.test.assertEquals
import kotlin.test.assertNotNull

/** Controls bindings/examples/test_server.rs: the real server with an event, behind a network that can be interrupted. */
class TestServer : AutoCloseable {
    private val process = System.getenv("VOELGOED_SCAN_PROGRAMS").let { programs ->
        ProcessBuilder(File(programs, "test_server").path, programs).redirectError(ProcessBuilder.Redirect.INHERIT).start()
    }
    private val output = process.inputStream.bufferedReader()
    private val input = process.outputStream.bufferedWriter()
    private val values = generateSequence { output.readLine().ifEmpty { null } }
        .map { it.split('\t') }.associate { it[0] to it[1] }

    operator fun get(name: String): String = values.getValue(name)

    fun qr(name: String): TicketReading = TicketReading.Qr(this[name])

    fun ask(line: String): String {
        input.write(line + "\n")
        input.flush()
        return checkNotNull(output.readLine()) { "the test server has ended" }
    }

    override fun close() {
        input.close()
        process.waitFor()
    }
}

/** A server, and phones that have enrolled there. */
class Phones : AutoCloseable {
    val server = TestServer()
    private val folder = createTempDirectory("voelgoed-scan").toFile()
    val secretStores = mutableMapOf<String, MemorySecretStore>()

    override fun close() {
        server.close()
        folder.deleteRecursively()
    }

    fun setup(name: String) = ClientSetup(
        directory = folder.resolve(name).apply { mkdirs() }.path,
        app = App(name = "Gate", version = "1.0", platform = "jvm"),
        secrets = secretStores.getOrPut(name) { MemorySecretStore() },
        settings = testSettings().copy(
            allowPlainHttp = true,
            initialBackoff = Duration.ofMillis(20),
            maxBackoff = Duration.ofMillis(20),
        ),
    )

    suspend fun enroll(name: String) = ScannerClient.enroll(setup(name), server.ask("enroll $name"))

    suspend fun phone(name: String) = enroll(name).also {
        startSession(it)
        assertEquals(7uL, assertNotNull(it.refreshManifest()).tickets)
    }

    suspend fun startSession(phone: ScannerClient, gate: String = "gate_main") {
        assertEquals(server[gate], phone.startSession(server["event"], server[gate], replace = true)?.gateId)
    }
}
