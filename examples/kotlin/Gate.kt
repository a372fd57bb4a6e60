// A scanner on a terminal: it reads payloads from stdin instead of a camera. README.md explains the use in an Android app.
//
//     gate FOLDER enroll URI        URI is the text of the QR code that `voelgoed-scan device enroll` shows
//     gate FOLDER events            lists the events and their gates
//     gate FOLDER start EVENT GATE  starts a session at a gate
//     gate FOLDER test              tests this phone before the doors open
//     gate FOLDER scan              reads lines from stdin: a payload is an entry, `exit PAYLOAD` an exit,
//                                   `undo` takes the last admission back, `search NAME` finds guests,
//                                   `inside` counts the people inside
//     gate FOLDER state             prints the state
package com.voelgoedevents.scan.example

import com.voelgoedevents.scan.App
import com.voelgoedevents.scan.ClientSetup
import com.voelgoedevents.scan.ClientState
import com.voelgoedevents.scan.Direction
import com.voelgoedevents.scan.ScannerException
import com.voelgoedevents.scan.ScanResult
import com.voelgoedevents.scan.ScannerClient
import com.voelgoedevents.scan.SecretStore
import com.voelgoedevents.scan.SecretStoreException
import com.voelgoedevents.scan.StateListener
import com.voelgoedevents.scan.TicketReading
import com.voelgoedevents.scan.Verdict
import com.voelgoedevents.scan.VerdictSource
import com.voelgoedevents.scan.code
import com.voelgoedevents.scan.defaultClientSettings
import com.voelgoedevents.scan.errorCode
import com.voelgoedevents.scan.groupedTicketCode
import java.io.File
import java.io.IOException
import java.nio.file.Files
import java.nio.file.StandardCopyOption.ATOMIC_MOVE
import java.nio.file.attribute.PosixFilePermissions
import kotlin.system.exitProcess
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withContext

/** Stores secrets in files that only their owner can read. On Android, encrypt them with a key of the Keystore. */
class FileSecretStore(private val folder: File) : SecretStore {
    private fun <T> io(work: () -> T): T = try {
        work()
    } catch (error: IOException) {
        throw SecretStoreException.Failed(error.toString())
    }

    override fun get(name: String): ByteArray? = io { folder.resolve(name).takeIf { it.exists() }?.readBytes() }

    override fun set(name: String, secret: ByteArray) = io {
        folder.mkdirs()
        val ownerOnly = PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"))
        val new = Files.createTempFile(folder.toPath(), name, ".new", ownerOnly)
        Files.write(new, secret)
        Files.move(new, folder.resolve(name).toPath(), ATOMIC_MOVE)
        Unit
    }

    override fun delete(name: String) = io {
        Files.deleteIfExists(folder.resolve(name).toPath())
        Unit
    }
}

private fun setup(folder: File) = ClientSetup(
    directory = folder.apply { mkdirs() }.path,
    app = App(name = "Terminal scanner", version = "1.0", platform = "jvm"),
    secrets = FileSecretStore(folder.resolve("secrets")),
    // Allows a server on this machine without TLS. An app omits the settings.
    settings = defaultClientSettings().copy(allowPlainHttp = true),
)

/** Shows the state on stderr whenever it changes. Called on a thread of the library. */
private object StatusLine : StateListener {
    override fun stateChanged(state: ClientState) {
        val network = if (state.online) "online" else "alone (${state.lastError ?: "not connected yet"})"
        System.err.println("[$network, ${state.waiting} waiting, ${state.conflicts} conflicts]")
    }
}

private suspend fun listEvents(client: ScannerClient) {
    for (event in client.events()) {
        println("${event.id}\t${event.name}\t${event.status?.name?.lowercase() ?: "?"}")
        for (gate in client.eventGates(event.id)) {
            println("\t${gate.id}\t${gate.name}\t${gate.status?.name?.lowercase() ?: "?"}")
        }
    }
}

private suspend fun selfTest(client: ScannerClient) {
    for (check in client.selfTest()) {
        println("${check.subject.name.lowercase()}\t${check.problem ?: "ok"}\t${check.advice}")
    }
}

/** Scans the frames of a camera, here the lines of stdin. */
private class Gate(private val client: ScannerClient) {
    @Volatile private var lastAdmission: String? = null

    /** Handles a line. A denial is a verdict; an error means that there is none. */
    suspend fun read(line: String) {
        val command = line.substringBefore(' ')
        val rest = line.substringAfter(' ', "")
        try {
            when (command) {
                "undo" -> lastAdmission?.let { println("undone ${client.undo(it, "undone by the steward").reason}") }
                "search" -> for (ticket in client.search(rest).tickets) {
                    println("${groupedTicketCode(ticket.code)}\t${ticket.holderName}")
                }
                "inside" -> println("inside ${client.occupancy().event.inside}")
                "exit" -> show(client.scan(TicketReading.Qr(rest), Direction.EXIT))
                else -> show(client.scan(TicketReading.Qr(line)))
            }
        } catch (error: ScannerException) {
            println(errorCode(error))
        }
        System.out.flush()
    }

    private fun show(verdict: Verdict) {
        if (verdict.repeated) return // another frame of the same ticket: the verdict is on the screen already
        val valid = verdict.result == ScanResult.VALID
        if (valid && verdict.direction == Direction.ENTRY) lastAdmission = verdict.scanId
        val details = buildList {
            addAll(verdict.warnings.map { it.code })
            verdict.previousScan?.let { add("${it.secondsAgo} s ago") }
            if (verdict.decidedBy == VerdictSource.DEVICE) add("offline")
        }
        val colour = if (valid) 42 else 41
        println("\u001b[${colour}m ${verdict.message} \u001b[0m ${verdict.reason.code} ${details.joinToString()}")
    }
}

/** The frame loop. It does not wait for a verdict before it takes the next frame: frames of one ticket share one. */
private suspend fun readFrames(client: ScannerClient) = coroutineScope {
    val gate = Gate(client)
    while (true) {
        val line = withContext(Dispatchers.IO) { readlnOrNull() }?.trim() ?: break
        launch { gate.read(line) }
    }
    // The scope waits for the scans that have begun.
}

fun main(arguments: Array<String>) = runBlocking {
    if (arguments.size < 2) {
        System.err.println("usage: gate FOLDER enroll URI | events | start EVENT GATE | test | scan | state")
        exitProcess(2)
    }
    val folder = File(arguments[0])
    try {
        if (arguments[1] == "enroll") {
            println("enrolled as ${ScannerClient.enroll(setup(folder), arguments[2]).device().name}")
            return@runBlocking
        }
        val client = ScannerClient.open(setup(folder))
        when (arguments[1]) {
            "events" -> return@runBlocking listEvents(client)
            "test" -> return@runBlocking selfTest(client)
            "start" -> {
                client.startSession(arguments[2], arguments[3], replace = true)
                client.refreshManifest()
            }
            "scan" -> {
                try {
                    client.sync() // connects to the server and uploads the scans of an earlier run
                } catch (error: ScannerException) {
                    System.err.println("offline: ${errorCode(error)}")
                }
                val status = client.subscribe(StatusLine)
                val running = launch { client.run() }
                readFrames(client)
                client.stop()
                running.join()
                client.sync() // the end of the shift: no scan must wait on this machine
                status.cancel()
            }
        }
        println(client.state())
    } catch (error: ScannerException) {
        System.err.println(errorCode(error))
        exitProcess(1)
    }
}
