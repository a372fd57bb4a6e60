package com.voelgoedevents.scan

import java.io.File
import kotlinx.coroutines.awaitCancellation
import kotlinx.coroutines.runBlocking

/** A scanner app that lets one person in, says so, and then waits to be killed. */
fun main(args: Array<String>): Unit = runBlocking {
    val gate = OfflineGate.open(Stage.setup(File(args.single())))
    println(gate.decide(Stage.camera("victim"), Stage["gate_main"]).reason.code)
    System.out.flush()
    awaitCancellation()
}
