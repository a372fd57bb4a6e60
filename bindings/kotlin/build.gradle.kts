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

// What a repository of Maven artifacts asks of every publication: a complete POM and signatures. The address and the keys
// are properties of the one who publishes, and are in no file of this project:
//   ./gradlew publish -PpublishUrl=... -PpublishUser=... -PpublishPassword=... \
//       -PsigningKey="$(cat key.asc)" -PsigningPassword=...
subprojects {
    plugins.withId("maven-publish") {
        apply(plugin = "signing")
        extensions.configure<PublishingExtension> {
            publications.withType<MavenPublication>().configureEach {
                pom {
                    name = "voelgoed-scan"
                    description = "Scans event tickets, online and offline: the client of a scanner app."
                    url = "https://github.com/voelgoedevents/voelgoed-scan"
                    inceptionYear = "2026"
                    licenses {
                        license {
                            name = "MIT"
                            url = "https://opensource.org/license/mit"
                        }
                        license {
                            name = "Apache-2.0"
                            url = "https://www.apache.org/licenses/LICENSE-2.0.txt"
                        }
                    }
                    developers {
                        developer {
                            organization = "Voelgoed Events"
                            organizationUrl = "https://github.com/voelgoedevents"
                        }
                    }
                    scm {
                        connection = "scm:git:https://github.com/voelgoedevents/voelgoed-scan.git"
                        url = "https://github.com/voelgoedevents/voelgoed-scan"
                    }
                }
            }
            val publishUrl = findProperty("publishUrl") as String?
            if (publishUrl != null) {
                repositories {
                    maven {
                        url = uri(publishUrl)
                        credentials {
                            username = findProperty("publishUser") as String?
                            password = findProperty("publishPassword") as String?
                        }
                    }
                }
            }
        }
        extensions.configure<SigningExtension> {
            val key = findProperty("signingKey") as String?
            isRequired = key != null
            if (key != null) {
                useInMemoryPgpKeys(key, findProperty("signingPassword") as String?)
                sign(extensions.getByType<PublishingExtension>().publications)
            }
        }
    }
}
