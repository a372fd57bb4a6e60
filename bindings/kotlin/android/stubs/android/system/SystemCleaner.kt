package android.system

object SystemCleaner {
    fun cleaner(): java.lang.ref.Cleaner = error("only compiled")
}
