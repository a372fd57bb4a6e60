// swift-tools-version:5.9
import PackageDescription

// On Apple's platforms the library is an XCFramework, built by `make-xcframework`. On Linux it is the shared library that
// Cargo builds: `bindings/test` compiles and runs this package with it.
#if os(Linux)
    let library = Target.systemLibrary(name: "VoelgoedScanFFI", path: "Sources/VoelgoedScanFFI")
#else
    let library = Target.binaryTarget(name: "VoelgoedScanFFI", path: "VoelgoedScanFFI.xcframework")
#endif

let package = Package(
    name: "VoelgoedScan",
    platforms: [.iOS(.v15), .macOS(.v12)],
    products: [.library(name: "VoelgoedScan", targets: ["VoelgoedScan"])],
    targets: [
        library,
        .target(name: "VoelgoedScan", dependencies: ["VoelgoedScanFFI"]),
        .executableTarget(name: "KillTarget", dependencies: ["VoelgoedScan"], path: "Tests/KillTarget"),
        .testTarget(name: "VoelgoedScanTests", dependencies: ["VoelgoedScan", "KillTarget"]),
    ],
    // The Swift 6 language mode does not compile an async protocol that the app implements.
    swiftLanguageVersions: [.v5]
)
