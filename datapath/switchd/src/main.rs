//! `weft-datapath`: the native datapath daemon.
fn main() {}
