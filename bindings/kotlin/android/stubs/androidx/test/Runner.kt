package androidx.test.ext.junit.runners

class AndroidJUnit4(test: Class<*>) : org.junit.runners.BlockJUnit4ClassRunner(test)
