package com.voelgoedevents.scan

import java.io.File

/** The real server's door, which bindings/examples/door.rs keeps: an event, two devices, a network that can be cut. */
class Door : AutoCloseable {
    private val process = System.getenv("VOELGOED_SCAN_PROGRAMS").let { programs ->
        ProcessBuilder(File(programs, "door").path, programs).redirectError(ProcessBuilder.Redirect.INHERIT).start()
    }
    private val said = process.inputStream.bufferedReader()
    private val told = process.outputStream.bufferedWriter()
    private val facts = generateSequence { said.readLine().ifEmpty { null } }
        .map { it.split('\t') }.associate { it[0] to it[1] }

    operator fun get(name: String): String = facts.getValue(name)

    fun camera(name: String): TicketReading = TicketReading.Qr(this[name])

    fun ask(line: String): String {
        told.write(line + "\n")
        told.flush()
        return checkNotNull(said.readLine()) { "the door is gone" }
    }

    override fun close() {
        told.close()
        process.waitFor()
    }
}
