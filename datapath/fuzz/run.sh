#!/bin/sh
# Fuzzes every target for SECONDS each (60), starting from the corpus that is kept in corpus/.
#
#   datapath/fuzz/run.sh [SECONDS] [TARGET...]
#   KEEP=1 datapath/fuzz/run.sh ...    adds what was found to corpus/, reduced to what adds coverage
#   ASAN=1 datapath/fuzz/run.sh ...    with the address sanitizer, for which the nightly compiler is needed
#
# Needs cargo (stable) and a C++ compiler. Exits non-zero on the first crash, hang (10 s) or excess of memory;
# the input is then in artifacts/TARGET/.
set -eu

cd "$(dirname "$0")"
seconds=${1:-60}
[ $# -gt 0 ] && shift
targets=${*:-$(ls fuzz_targets | sed 's/\.rs$//')}

# What cargo-fuzz passes too, as far as the stable compiler takes it. With --target the flags stay away from build scripts.
host=$(rustc -vV | sed -n 's/^host: //p')
target_dir=${CARGO_TARGET_DIR:-$PWD/target}
flags='-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters'
flags="$flags -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"
cargo=cargo
if [ -n "${ASAN:-}" ]; then
    cargo='cargo +nightly'
    flags="$flags -Zsanitizer=address"
    target_dir=$target_dir/asan
fi
RUSTFLAGS="$flags" CARGO_TARGET_DIR="$target_dir" $cargo build --quiet --release --locked --bins --target "$host"

for target in $targets; do
    binary=$target_dir/$host/release/$target
    work=$target_dir/corpus/$target
    mkdir -p "corpus/$target" "artifacts/$target" "$work"
    echo "== $target: $seconds s from $(ls "corpus/$target" | wc -l) inputs"
    log=$target_dir/$target.log
    if ! "$binary" "$work" "corpus/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -artifact_prefix="artifacts/$target/" -print_final_stats=1 -verbosity=0 >"$log" 2>&1; then
        cat "$log"
        echo "== $target: FAILED"
        exit 1
    fi
    grep '^stat::\(number_of_executed_units\|new_units_added\)' "$log"
    if [ -n "${KEEP:-}" ]; then
        fresh=$target_dir/corpus/$target.merged
        rm -rf "$fresh" && mkdir -p "$fresh"
        "$binary" -set_cover_merge=1 -max_len=512 -verbosity=0 "$fresh" "corpus/$target" "$work" >"$log" 2>&1
        rm -rf "corpus/$target" && mv "$fresh" "corpus/$target"
        echo "== $target: $(ls "corpus/$target" | wc -l) inputs kept"
    fi
done
