package android.content

abstract class Context {
    abstract val noBackupFilesDir: java.io.File
    abstract val assets: android.content.res.AssetManager
}
