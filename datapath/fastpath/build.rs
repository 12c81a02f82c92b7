//! Compiles the BPF program with clang. Without clang the crate builds all the same, and says at run time that there is
//! no fast path in it.

use std::path::PathBuf;
use std::process::Command;

const SOURCES: [&str; 5] = [
    "bpf/fastpath.bpf.c",
    "bpf/observe.h",
    "bpf/meter.h",
    "bpf/layout.h",
    "bpf/bpf.h",
];

fn main() {
    for source in SOURCES {
        println!("cargo:rerun-if-changed={source}");
    }
    println!("cargo:rerun-if-env-changed=CLANG");
    let Some(out) = std::env::var_os("OUT_DIR") else {
        return;
    };
    let object = PathBuf::from(out).join("fastpath.bpf.o");
    if let Err(error) = compile(&object) {
        println!("cargo:warning=no fast path in this build: {error}");
        if let Err(error) = std::fs::write(&object, []) {
            println!("cargo:warning={}: {error}", object.display());
        }
    }
}

fn compile(object: &PathBuf) -> Result<(), String> {
    let clang = std::env::var("CLANG").unwrap_or_else(|_| "clang".to_owned());
    let output = Command::new(&clang)
        // v3: 32-bit operations and compares, known to every kernel from 5.1 on.
        .args([
            "-O2", "-g", "-target", "bpf", "-mcpu=v3", "-Wall", "-Werror", "-c", SOURCES[0], "-o",
        ])
        .arg(object)
        .output()
        .map_err(|error| format!("{clang}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(format!(
        "{clang}: {}",
        text.lines().next().unwrap_or("failed")
    ))
}
