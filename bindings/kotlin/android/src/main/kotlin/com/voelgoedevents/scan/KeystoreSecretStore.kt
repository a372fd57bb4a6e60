package com.voelgoedevents.scan

import android.content.Context
import android.security.keystore.KeyGenParameterSpec
import android.security.keystore.KeyProperties
import java.io.File
import java.io.IOException
import java.security.GeneralSecurityException
import java.security.KeyStore
import javax.crypto.Cipher
import javax.crypto.KeyGenerator
import javax.crypto.SecretKey
import javax.crypto.spec.GCMParameterSpec

/**
 * Stores the credentials in files that a key of the Android Keystore encrypts.
 *
 * The key needs no authentication of the user, so that scans continue while the screen is locked. It never leaves the
 * device, so a backup of the files is of no use elsewhere; they are in `noBackupFilesDir` all the same.
 */
class KeystoreSecretStore(context: Context) : SecretStore {
    private val folder = File(context.noBackupFilesDir, "voelgoed-scan-secrets")

    private fun <T> guarded(work: () -> T): T = try {
        work()
    } catch (error: IOException) {
        throw SecretStoreException.Failed(error.toString())
    } catch (error: GeneralSecurityException) {
        throw SecretStoreException.Failed(error.toString())
    }

    override fun get(name: String): ByteArray? = guarded {
        val stored = folder.resolve(name).takeIf { it.exists() }?.readBytes()
        stored?.let {
            if (it.size <= NONCE_BYTES) throw IOException("the stored secret is too short")
            val cipher = Cipher.getInstance(TRANSFORMATION)
            cipher.init(Cipher.DECRYPT_MODE, key(), GCMParameterSpec(TAG_BITS, it, 0, NONCE_BYTES))
            cipher.doFinal(it, NONCE_BYTES, it.size - NONCE_BYTES)
        }
    }

    override fun set(name: String, secret: ByteArray) = guarded {
        val cipher = Cipher.getInstance(TRANSFORMATION)
        cipher.init(Cipher.ENCRYPT_MODE, key())
        check(cipher.iv.size == NONCE_BYTES) { "AES-GCM has a nonce of 12 bytes" }
        val sealed = cipher.iv + cipher.doFinal(secret)
        folder.mkdirs()
        val new = File.createTempFile(name, ".new", folder)
        new.outputStream().use {
            it.write(sealed)
            it.fd.sync()
        }
        if (!new.renameTo(folder.resolve(name))) throw IOException("the secret could not be replaced")
    }

    override fun delete(name: String) = guarded {
        val file = folder.resolve(name)
        if (file.exists() && !file.delete()) throw IOException("the secret could not be deleted")
    }

    private fun key(): SecretKey {
        val store = KeyStore.getInstance(PROVIDER).apply { load(null) }
        (store.getKey(ALIAS, null) as SecretKey?)?.let { return it }
        val purposes = KeyProperties.PURPOSE_ENCRYPT or KeyProperties.PURPOSE_DECRYPT
        val spec = KeyGenParameterSpec.Builder(ALIAS, purposes)
            .setBlockModes(KeyProperties.BLOCK_MODE_GCM)
            .setEncryptionPaddings(KeyProperties.ENCRYPTION_PADDING_NONE)
            .setKeySize(256)
            .build()
        val generator = KeyGenerator.getInstance(KeyProperties.KEY_ALGORITHM_AES, PROVIDER)
        generator.init(spec)
        return generator.generateKey()
    }

    private companion object {
        const val PROVIDER = "AndroidKeyStore"
        const val ALIAS = "voelgoed-scan"
        const val TRANSFORMATION = "AES/GCM/NoPadding"
        const val NONCE_BYTES = 12
        const val TAG_BITS = 128
    }
}
