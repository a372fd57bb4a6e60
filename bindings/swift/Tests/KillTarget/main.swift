import Foundation
import VoelgoedScan

/// A scanner app that admits one ticket, prints the verdict and waits until it is killed.
/// Arguments: the database, the organization, the device, the manifest key in base64, the gate, the payload.
let arguments = CommandLine.arguments
let setup = OfflineScannerSetup(
    file: arguments[1], organizationId: arguments[2], deviceId: arguments[3], deviceName: "device_a",
    canOverride: false, manifestKey: Data(base64Encoded: arguments[4]) ?? Data())
let scanner = try await OfflineScanner.open(setup: setup)
let verdict = try await scanner.decide(reading: .qr(text: arguments[6]), gateId: arguments[5])
FileHandle.standardOutput.write(Data((verdict.reason.code + "\n").utf8))
try await Task.sleep(nanoseconds: .max / 2)
