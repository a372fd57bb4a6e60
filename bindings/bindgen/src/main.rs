//! Generates the Kotlin, Swift and Python code for a built library: uniffi's own generator in the library's version.

fn main() {
    uniffi::uniffi_bindgen_main();
}
