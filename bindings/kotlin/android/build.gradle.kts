// The Android module: an AAR with the libraries that `bindings/kotlin/make-android` builds.
plugins {
    id("com.android.library")
    kotlin("android")
    `maven-publish`
}

android {
    namespace = "com.voelgoedevents.scan"
    compileSdk = 36
    defaultConfig {
        minSdk = 26
        consumerProguardFiles("consumer-rules.pro")
        testInstrumentationRunner = "androidx.test.runner.AndroidJUnitRunner"
    }
    // The generated code for Android differs from that for the JVM: it frees objects with Android's own cleaner.
    sourceSets["main"].kotlin.srcDirs("../src/main/kotlin", "../generated-android")
    sourceSets["main"].jniLibs.srcDir("../jniLibs")
    // The manifest and the tickets of the tests on a device, and the databases of earlier versions.
    sourceSets["androidTest"].assets.srcDir("../android-assets")
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }
    publishing {
        singleVariant("release") {
            withSourcesJar()
            withJavadocJar()
        }
    }
}

kotlin {
    jvmToolchain(17)
}

dependencies {
    api("org.jetbrains.kotlinx:kotlinx-coroutines-android:1.10.2")
    implementation("net.java.dev.jna:jna:5.17.0@aar")
    implementation("androidx.annotation:annotation:1.9.1")
    androidTestImplementation("androidx.test:runner:1.6.2")
    androidTestImplementation("androidx.test.ext:junit:1.2.1")
    androidTestImplementation(kotlin("test-junit"))
}

publishing {
    publications {
        register<MavenPublication>("release") {
            artifactId = "voelgoed-scan-android"
            afterEvaluate { from(components["release"]) }
        }
    }
}
