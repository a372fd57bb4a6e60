package androidx.test.platform.app

import android.content.Context

abstract class Instrumentation {
    abstract val targetContext: Context
    abstract val context: Context
}

object InstrumentationRegistry {
    fun getInstrumentation(): Instrumentation = error("only compiled")
}
