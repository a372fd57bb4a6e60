// swift-tools-version:5.9
import PackageDescription

let package = Package(
    name: "Gate",
    platforms: [.macOS(.v12)],
    dependencies: [.package(name: "voelgoed-scan", path: "../../..")],
    targets: [.executableTarget(name: "Gate", dependencies: [.product(name: "VoelgoedScan", package: "voelgoed-scan")])],
    swiftLanguageVersions: [.v5]
)
