package android.os

object Build {
    object VERSION {
        const val SDK_INT = 0
    }

    object VERSION_CODES {
        const val UPSIDE_DOWN_CAKE = 34
    }
}
