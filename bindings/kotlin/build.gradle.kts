// This project's tests do not run Gradle. `bindings/test` compiles the same sources and runs the same tests with kotlinc
// and JUnit. See README.md.
plugins {
    kotlin("jvm") version "2.2.0" apply false
    kotlin("android") version "2.2.0" apply false
    id("com.android.library") version "8.11.0" apply false
}

allprojects {
    group = "com.voelgoedevents"
    version = "0.1.0"
}
