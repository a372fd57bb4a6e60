// The JVM module for desktops and servers, with the libraries that `bindings/kotlin/make-jvm` builds.
plugins {
    kotlin("jvm")
    `maven-publish`
}

kotlin {
    jvmToolchain(17)
}

java {
    withSourcesJar()
    withJavadocJar()
}

sourceSets {
    main {
        kotlin.srcDirs("../src/main/kotlin", "../generated")
        // JNA looks for the library in the jar in a folder with JNA's platform name: linux-x86-64, darwin-aarch64, ...
        resources.srcDir("../natives")
    }
    test {
        kotlin.srcDir("../src/test/kotlin")
    }
}

dependencies {
    api("org.jetbrains.kotlinx:kotlinx-coroutines-core:1.10.2")
    implementation("net.java.dev.jna:jna:5.17.0")
    testImplementation(kotlin("test-junit"))
}

publishing {
    publications {
        create<MavenPublication>("library") {
            artifactId = "voelgoed-scan-jvm"
            from(components["java"])
        }
    }
}
