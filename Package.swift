// swift-tools-version:5.9
// The Swift package of this repository, for SwiftPM by URL: `.package(url: "<this repository>", from: "0.1.0")`.
//
// `bindings/swift/make-release` makes the commit that a version's tag points to: it contains the generated Swift code, and
// the archive and checksum of that version stand below. In a work tree, `bindings/swift/make-xcframework` builds the
// library, which then takes the place of the archive.
import Foundation
import PackageDescription

/// The library of a release, and its checksum. Empty in a work tree.
let archive = ""
let checksum = ""

/// The library that `bindings/swift/make-xcframework` built here.
let built = "bindings/swift/VoelgoedScanFFI.xcframework"

// On Apple's platforms the library is an XCFramework. On Linux it is the shared library that Cargo builds:
// `bindings/test` compiles and runs this package with it.
#if os(Linux)
    let library = Target.systemLibrary(name: "VoelgoedScanFFI", path: "bindings/swift/Sources/VoelgoedScanFFI")
#else
    let isBuilt = FileManager.default.fileExists(atPath: Context.packageDirectory + "/" + built)
    let library =
        isBuilt || archive.isEmpty
        ? Target.binaryTarget(name: "VoelgoedScanFFI", path: built)
        : Target.binaryTarget(name: "VoelgoedScanFFI", url: archive, checksum: checksum)
#endif

let package = Package(
    name: "voelgoed-scan",
    platforms: [.iOS(.v15), .macOS(.v12)],
    products: [.library(name: "VoelgoedScan", targets: ["VoelgoedScan"])],
    targets: [
        library,
        .target(
            name: "VoelgoedScan", dependencies: ["VoelgoedScanFFI"], path: "bindings/swift/Sources/VoelgoedScan",
            resources: [.copy("PrivacyInfo.xcprivacy")]),
        .executableTarget(name: "KillTarget", dependencies: ["VoelgoedScan"], path: "bindings/swift/Tests/KillTarget"),
        .testTarget(
            name: "VoelgoedScanTests", dependencies: ["VoelgoedScan", "KillTarget"],
            path: "bindings/swift/Tests/VoelgoedScanTests"),
    ],
    // The Swift 6 language mode does not compile an async protocol that the app implements.
    swiftLanguageVersions: [.v5]
)
