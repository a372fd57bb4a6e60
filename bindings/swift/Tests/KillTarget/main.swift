import Foundation
import VoelgoedScan

/// A scanner app that lets one person in, says so, and then waits to be killed.
/// Arguments: the database, the organization, the device, the manifest key in base64, the gate, the payload.
let arguments = CommandLine.arguments
let setup = OfflineGateSetup(
    file: arguments[1], organizationId: arguments[2], deviceId: arguments[3], deviceName: "device_a",
    canOverride: false, manifestKey: Data(base64Encoded: arguments[4]) ?? Data())
let gate = try await OfflineGate.open(setup: setup)
let verdict = try await gate.decide(reading: .qr(text: arguments[6]), gateId: arguments[5])
FileHandle.standardOutput.write(Data((verdict.reason.code + "\n").utf8))
try await Task.sleep(nanoseconds: .max / 2)
