//! Compiles the BPF program of `weft-loadgen inject` with clang. Without clang the rest is built all the same.

use std::path::PathBuf;
use std::process::Command;

const SOURCE: &str = "bpf/inject.bpf.c";
/// The kernel's BPF interface, as the fast path writes it down.
const INTERFACE: &str = "../fastpath/bpf";

fn main() {
    println!("cargo:rerun-if-changed={SOURCE}");
    println!("cargo:rerun-if-changed={INTERFACE}/bpf.h");
    println!("cargo:rerun-if-env-changed=CLANG");
    let Some(out) = std::env::var_os("OUT_DIR") else {
        return;
    };
    let object = PathBuf::from(out).join("inject.bpf.o");
    let clang = std::env::var("CLANG").unwrap_or_else(|_| "clang".to_owned());
    let output = Command::new(&clang)
        .args([
            "-O2", "-g", "-target", "bpf", "-mcpu=v3", "-Wall", "-Werror",
        ])
        .args(["-I", INTERFACE, "-c", SOURCE, "-o"])
        .arg(&object)
        .output();
    let fault = match output {
        Ok(output) if output.status.success() => return,
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    let fault = fault.lines().next().unwrap_or("failed");
    println!("cargo:warning=no `weft-loadgen inject` in this build: {clang}: {fault}");
    if let Err(error) = std::fs::write(&object, []) {
        println!("cargo:warning={}: {error}", object.display());
    }
}
