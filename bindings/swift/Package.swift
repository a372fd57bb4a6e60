// swift-tools-version:5.9
import PackageDescription

// On Apple's systems the library comes as an XCFramework (`make-xcframework` beside this file). On Linux it is the
// shared library that Cargo built: that is how `bindings/test` compiles and runs this very package.
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
        .executableTarget(name: "Victim", dependencies: ["VoelgoedScan"], path: "Tests/Victim"),
        .testTarget(name: "VoelgoedScanTests", dependencies: ["VoelgoedScan", "Victim"]),
    ],
    // Swift 6 mode does not compile an async trait that the app implements.
    swiftLanguageVersions: [.v5]
)
