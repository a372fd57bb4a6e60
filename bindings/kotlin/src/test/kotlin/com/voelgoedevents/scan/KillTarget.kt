package com.voelgoedevents.scan

import java.io.File
import kotlinx.coroutines.awaitCancellation
import kotlinx.coroutines.runBlocking

/** A scanner app that admits one ticket, prints the verdict and waits until it is killed. */
fun main(args: Array<String>): Unit = runBlocking {
    val scanner = OfflineScanner.open(Fixture.setup(File(args.single())))
    println(scanner.decide(Fixture.qr("kill_test"), Fixture["gate_main"]).reason.code)
    System.out.flush()
    awaitCancellation()
}
