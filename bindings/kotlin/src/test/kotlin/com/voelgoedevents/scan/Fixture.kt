package com.voelgoedevents.scan

import java.io.File

/** The stage that `bindings/test` sets: one event, its payloads by name, its manifests. */
object Stage {
    private val folder = File(System.getenv("VOELGOED_SCAN_STAGE"))
    private val facts = folder.resolve("facts.tsv").readLines().map { it.split('\t') }.associate { it[0] to it[1] }

    operator fun get(name: String): String = facts.getValue(name)

    fun file(name: String): ByteArray = folder.resolve(name).readBytes()

    fun manifest(name: String): ByteArray = file("$name.manifest")

    fun setup(file: File, device: String = "device_a", canOverride: Boolean = false) = OfflineGateSetup(
        file = file.path,
        organizationId = Stage["organization"],
        deviceId = Stage[device],
        deviceName = device,
        canOverride = canOverride,
        manifestKey = Stage["manifest_key"].chunked(2).map { it.toInt(16).toByte() }.toByteArray(),
    )

    fun camera(name: String): TicketReading = TicketReading.Qr(Stage[name])
}

/** However slow the machine is: whether the phone decides is for the network to say, not for the clock. */
fun patient() = defaultClientSettings().copy(scanDeadline = java.time.Duration.ofMinutes(1))

/** A network of the test's own: it answers what a server would, or is cut. */
class Wire : Transport {
    @Volatile var fault: (() -> Nothing)? = null
    val calls = java.util.concurrent.CopyOnWriteArrayList<String>()

    fun cut() {
        fault = { throw TransportException.Unreachable("the cable is out") }
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
            else -> return HttpResponse(503u, listOf(HttpHeader("Retry-After", "1")), ByteArray(0))
        }
        return HttpResponse(status.toUShort(), emptyList(), Stage.file(file))
    }
}

/** What Keystore is on a phone. */
class Vault : SecretStore {
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
