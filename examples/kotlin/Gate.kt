// A scanner on a terminal: it reads payloads from stdin instead of a camera. README.md explains the use in an Android app.
//
//     gate FOLDER enroll URI        URI is the text of the QR code that `voelgoed-scan device enroll` shows
//     gate FOLDER start EVENT GATE  starts a session at a gate
//     gate FOLDER scan              reads one payload per line from stdin; `exit PAYLOAD` is an exit
//     gate FOLDER state             prints the state
package com.voelgoedevents.scan.example

import com.voelgoedevents.scan.App
import com.voelgoedevents.scan.ClientSetup
import com.voelgoedevents.scan.Direction
import com.voelgoedevents.scan.ScannerException
import com.voelgoedevents.scan.ScanResult
import com.voelgoedevents.scan.ScannerClient
import com.voelgoedevents.scan.SecretStore
import com.voelgoedevents.scan.SecretStoreException
import com.voelgoedevents.scan.TicketReading
import com.voelgoedevents.scan.Verdict
import com.voelgoedevents.scan.VerdictSource
import com.voelgoedevents.scan.code
import com.voelgoedevents.scan.defaultClientSettings
import com.voelgoedevents.scan.errorCode
import java.io.File
import java.io.IOException
import java.nio.file.Files
import java.nio.file.StandardCopyOption.ATOMIC_MOVE
import java.nio.file.attribute.PosixFilePermissions
import kotlin.system.exitProcess
import kotlinx.coroutines.Dispatchers
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

private fun show(verdict: Verdict) {
    val colour = if (verdict.result == ScanResult.VALID) 42 else 41
    val details = buildList {
        addAll(verdict.warnings.map { it.code })
        verdict.previousScan?.let { add("${it.secondsAgo} s ago") }
        if (verdict.decidedBy == VerdictSource.DEVICE) add("offline")
    }
    println("\u001b[${colour}m ${verdict.message} \u001b[0m ${verdict.reason.code} ${details.joinToString()}")
    System.out.flush()
}

private suspend fun readTickets(client: ScannerClient) {
    while (true) {
        val line = withContext(Dispatchers.IO) { readlnOrNull() }?.trim() ?: return
        val direction = if (line.startsWith("exit ")) Direction.EXIT else Direction.ENTRY
        try {
            show(client.scan(TicketReading.Qr(line.removePrefix("exit ")), direction))
        } catch (error: ScannerException) {
            println(errorCode(error))
        }
    }
}

fun main(arguments: Array<String>) = runBlocking {
    if (arguments.size < 2) {
        System.err.println("usage: gate FOLDER enroll URI | start EVENT GATE | scan | state")
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
                val running = launch { client.run() }
                readTickets(client)
                client.stop()
                running.join()
                client.sync() // the end of the shift: no scan must wait on this machine
            }
        }
        println(client.state())
    } catch (error: ScannerException) {
        System.err.println(errorCode(error))
        exitProcess(1)
    }
}
