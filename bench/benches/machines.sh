#!/usr/bin/env bash
# The machines of a laboratory, built and cleared away, against the fewest calls that make the same namespaces, devices and addresses.
# Needs root for the latter. Usage: machines.sh [count...]
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo build --quiet --release --package dsbench-world --example machines
machines=${CARGO_TARGET_DIR:-target}/release/examples/machines
[ $# -gt 0 ] || set -- 10 100 200

python3 - "$machines" "$@" << 'PYTHON'
import re, statistics, subprocess, sys

def seconds(word):
    number, unit = re.fullmatch(r"([\d.]+)(\D+)", word).groups()
    return float(number) * {"s": 1, "ms": 1e-3, "µs": 1e-6}[unit]

def measure(*arguments):
    said = subprocess.run([machines, *arguments], check=True, capture_output=True, text=True).stdout
    return [seconds(word) for word in re.search(r"built in (\S+), cleared away in (\S+)", said).groups()]

machines, *counts = sys.argv[1:]
for count in counts:
    # Side by side, for what else runs on the machine weighs on both.
    pairs = [(measure(count), measure(count, "--bare")) for _ in range(5)]
    for what, index in (("built", 0), ("cleared away", 1)):
        ours, bare = (statistics.median(pair[side][index] for pair in pairs) for side in (0, 1))
        print(f"{count} machines {what}: {ours * 1000:.0f} ms, {ours / bare:.2f} of the {bare * 1000:.0f} ms of the bare calls")
PYTHON
