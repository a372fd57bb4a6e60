package com.voelgoedevents.scan

import java.io.File

/** The fixture that bindings/examples/test_manifest.rs writes: an event, payloads by name, manifests. */
object Fixture {
    private val folder = File(System.getenv("VOELGOED_SCAN_FIXTURE"))
    private val values = folder.resolve("values.tsv").readLines().map { it.split('\t') }.associate { it[0] to it[1] }

    operator fun get(name: String): String = values.getValue(name)

    fun file(name: String): ByteArray = folder.resolve(name).readBytes()

    fun manifest(name: String): ByteArray = file("$name.manifest")

    fun setup(file: File, device: String = "device_a", canOverride: Boolean = false) = OfflineScannerSetup(
        file = file.path,
        organizationId = Fixture["organization"],
        deviceId = Fixture[device],
        deviceName = device,
        canOverride = canOverride,
        manifestKey = Fixture["manifest_key"].chunked(2).map { it.toInt(16).toByte() }.toByteArray(),
    )

    fun qr(name: String): TicketReading = TicketReading.Qr(Fixture[name])
}

/** A long scan timeout: only the state of the network decides who decides, not the speed of the machine. */
fun testSettings() = defaultClientSettings().copy(scanTimeout = java.time.Duration.ofMinutes(1))

private fun header(name: String, value: String) = HttpHeader(name, value)

/** A refusal of the server. */
fun problem(status: Int, code: String, vararg headers: HttpHeader) = HttpResponse(
    status.toUShort(),
    listOf(header("Content-Type", "application/problem+json"), *headers),
    """{"type":"urn:voelgoed-scan:problem:$code","title":"$code","status":$status,"detail":"no","code":"$code"}"""
        .toByteArray(),
)

/** A transport without a network: it returns the responses of a server, or fails. */
class FakeTransport : Transport {
    @Volatile var fault: (() -> Nothing)? = null
    val calls = java.util.concurrent.CopyOnWriteArrayList<String>()

    /** The ids of the scans that the server was asked for. */
    val scans = java.util.concurrent.CopyOnWriteArrayList<String>()

    /** How long the answer to each scan takes in milliseconds, in the order of the requests. After the last one, none. */
    val delays = java.util.concurrent.ConcurrentLinkedQueue<Long>()

    fun disconnect() {
        fault = { throw TransportException.Unreachable("no network") }
    }

    override suspend fun send(request: HttpRequest): HttpResponse {
        calls += request.url.substringAfter("example.org")
        fault?.invoke()
        val path = request.url.substringBefore('?')
        val (status, file) = when {
            path.endsWith("/enroll") -> 201 to "enroll.json"
            path.endsWith("/sessions") -> 201 to "session.json"
            path.endsWith("/device") -> 200 to "device.json"
            path.endsWith("/scan") -> 200 to "scan.json"
            path.endsWith("/manifest") -> 200 to "good.manifest"
            else -> return problem(503, "overloaded", header("Retry-After", "1"))
        }
        var body = Fixture.file(file)
        if (file == "scan.json") {
            // The server answers the scan that it was asked for.
            val id = checkNotNull(SCAN_ID.find(request.body.decodeToString())).groupValues[1]
            scans += id
            body = body.decodeToString().replace(""""scan_id":null""", """"scan_id":"$id"""").toByteArray()
            delays.poll()?.let { kotlinx.coroutines.delay(it) }
        }
        val type = if (file.endsWith(".json")) "application/json" else "application/octet-stream"
        return HttpResponse(status.toUShort(), listOf(header("Content-Type", type)), body)
    }

    private companion object {
        val SCAN_ID = Regex(""""scan_id":"([^"]+)"""")
    }
}

/** A secret store in memory. */
class MemorySecretStore : SecretStore {
    val secrets = java.util.concurrent.ConcurrentHashMap<String, ByteArray>()
    @Volatile var locked = false

    private fun check() {
        if (locked) throw SecretStoreException.Failed("the phone is locked")
    }

    override fun get(name: String): ByteArray? {
        check()
        return secrets[name]
    }

    override fun set(name: String, secret: ByteArray) {
        check()
        secrets[name] = secret
    }

    override fun delete(name: String) {
        check()
        secrets.remove(name)
    }
}
