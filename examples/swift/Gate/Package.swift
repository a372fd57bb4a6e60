// swift-tools-version:5.9
import PackageDescription

let package = Package(
    name: "Gate",
    platforms: [.macOS(.v12)],
    dependencies: [.package(path: "../../../bindings/swift")],
    targets: [.executableTarget(name: "Gate", dependencies: [.product(name: "VoelgoedScan", package: "swift")])],
    swiftLanguageVersions: [.v5]
)
