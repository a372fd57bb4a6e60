package com.voelgoedevents.scan

import androidx.test.ext.junit.runners.AndroidJUnit4
import androidx.test.platform.app.InstrumentationRegistry
import java.io.File
import kotlin.test.AfterTest
import kotlin.test.BeforeTest
import kotlin.test.Test
import kotlin.test.assertContentEquals
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertNull
import kotlinx.coroutines.runBlocking
import org.junit.runner.RunWith

/** What differs on a device: the native library, the Keystore, the file system, the cleaner. */
@RunWith(AndroidJUnit4::class)
class OnDeviceTest {
    private val instrumentation = InstrumentationRegistry.getInstrumentation()
    private val context = instrumentation.targetContext
    private val folder = File(context.noBackupFilesDir, "test")

    private fun asset(name: String) = instrumentation.context.assets.open(name).use { it.readBytes() }

    private val values = asset("values.tsv").decodeToString().lines()
        .filter { it.isNotEmpty() }.map { it.split('\t') }.associate { it[0] to it[1] }

    private fun setup(file: String) = OfflineScannerSetup(
        file = folder.resolve(file).path,
        organizationId = values.getValue("organization"),
        deviceId = values.getValue("device_a"),
        deviceName = "phone",
        canOverride = false,
        manifestKey = values.getValue("manifest_key").chunked(2).map { it.toInt(16).toByte() }.toByteArray(),
    )

    @BeforeTest
    fun makeFolder() {
        folder.mkdirs()
    }

    @AfterTest
    fun cleanUp() {
        folder.deleteRecursively()
    }

    @Test
    fun theKeystoreKeepsASecret() {
        val store = KeystoreSecretStore(context)
        assertNull(store.get("test"))
        store.set("test", byteArrayOf(1, 2, 3))
        store.set("test", byteArrayOf(4, 5))
        assertContentEquals(byteArrayOf(4, 5), KeystoreSecretStore(context).get("test"))
        val file = File(context.noBackupFilesDir, "voelgoed-scan-secrets/test")
        val sealed = file.readBytes()
        sealed[sealed.size - 1] = (sealed.last() + 1).toByte()
        file.writeBytes(sealed)
        assertFailsWith<SecretStoreException.Failed> { store.get("test") }
        store.delete("test")
        assertNull(store.get("test"))
    }

    @Test
    fun aPhoneDecidesAloneAndRemembersAcrossARestart() = runBlocking {
        val gate = values.getValue("gate_main")
        val reading = TicketReading.Qr(values.getValue("first"))
        OfflineScanner.open(setup("a.db")).use { scanner ->
            scanner.install(values.getValue("event"), asset("good.manifest"))
            assertEquals(Reason.ADMITTED, scanner.decide(reading, gate).reason)
        }
        OfflineScanner.open(setup("a.db")).use { scanner ->
            val second = scanner.decide(reading, gate)
            assertEquals(Reason.ALREADY_SCANNED, second.reason)
            assertFalse(second.repeated)
        }
    }

    @Test
    fun objectsThatTheAppForgetsAreFreed() = runBlocking {
        repeat(200) { number ->
            OfflineScanner.open(setup("$number.db")).install(values.getValue("event"), asset("good.manifest"))
            Runtime.getRuntime().gc()
        }
    }
}
