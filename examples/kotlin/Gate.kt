// A gate on a terminal: a scanner that types instead of filming. README.md tells how it goes into an Android app.
//
//     gate FOLDER enroll URI        the URI that the QR code of `voelgoed-scan device enroll` says
//     gate FOLDER stand EVENT GATE
//     gate FOLDER scan              a payload a line from stdin; `exit PAYLOAD` lets somebody out
//     gate FOLDER state
package com.voelgoedevents.scan.example

import com.voelgoedevents.scan.App
import com.voelgoedevents.scan.ClientSetup
import com.voelgoedevents.scan.Direction
import com.voelgoedevents.scan.GateException
import com.voelgoedevents.scan.ScanResult
import com.voelgoedevents.scan.ScannerClient
import com.voelgoedevents.scan.SecretStore
import com.voelgoedevents.scan.SecretStoreException
import com.voelgoedevents.scan.TicketReading
import com.voelgoedevents.scan.Verdict
import com.voelgoedevents.scan.VerdictBy
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

/** Secrets as files that their owner alone may read. On Android: encrypted by a key of the Keystore. */
class SecretFile(private val folder: File) : SecretStore {
    private fun <T> io(work: () -> T): T = try {
        work()
    } catch (error: IOException) {
        throw SecretStoreException.Failed(error.toString())
    }

    override fun get(name: String): ByteArray? = io { folder.resolve(name).takeIf { it.exists() }?.readBytes() }

    override fun set(name: String, secret: ByteArray) = io {
        folder.mkdirs()
        val own = PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"))
        val new = Files.createTempFile(folder.toPath(), name, ".new", own)
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
    app = App(name = "Terminal gate", version = "1.0", platform = "jvm"),
    secrets = SecretFile(folder.resolve("secrets")),
    // A server on this machine may be called without TLS; an app leaves this out.
    settings = defaultClientSettings().copy(allowPlainHttp = true),
)

private fun show(verdict: Verdict) {
    val colour = if (verdict.result == ScanResult.VALID) 42 else 41
    val more = buildList {
        addAll(verdict.warnings.map { it.code })
        verdict.previousScan?.let { add("${it.secondsAgo} s ago") }
        if (verdict.decidedBy == VerdictBy.DEVICE) add("offline")
    }
    println("\u001b[${colour}m ${verdict.message} \u001b[0m ${verdict.reason.code} ${more.joinToString()}")
    System.out.flush()
}

private suspend fun readTickets(gate: ScannerClient) {
    while (true) {
        val line = withContext(Dispatchers.IO) { readlnOrNull() }?.trim() ?: return
        val direction = if (line.startsWith("exit ")) Direction.EXIT else Direction.ENTRY
        try {
            show(gate.scan(TicketReading.Qr(line.removePrefix("exit ")), direction))
        } catch (error: GateException) {
            println(errorCode(error))
        }
    }
}

fun main(arguments: Array<String>) = runBlocking {
    if (arguments.size < 2) {
        System.err.println("usage: gate FOLDER enroll URI | stand EVENT GATE | scan | state")
        exitProcess(2)
    }
    val folder = File(arguments[0])
    try {
        if (arguments[1] == "enroll") {
            println("enrolled as ${ScannerClient.enroll(setup(folder), arguments[2]).device().name}")
            return@runBlocking
        }
        val gate = ScannerClient.open(setup(folder))
        when (arguments[1]) {
            "stand" -> {
                gate.startSession(arguments[2], arguments[3], replace = true)
                gate.refreshManifest()
            }
            "scan" -> {
                try {
                    gate.sync() // finds the server, and hands in what a shift before left
                } catch (error: GateException) {
                    System.err.println("on its own: ${errorCode(error)}")
                }
                val running = launch { gate.run() }
                readTickets(gate)
                gate.stop()
                running.join()
                gate.sync() // the end of the shift: nothing is to wait on this machine
            }
        }
        println(gate.state())
    } catch (error: GateException) {
        System.err.println(errorCode(error))
        exitProcess(1)
    }
}
