package com.voelgoedevents.scan

import java.io.File

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
