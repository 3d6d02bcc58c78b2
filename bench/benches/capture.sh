#!/usr/bin/env bash
# How fast output is captured: one node that writes BYTES of log lines, with four event patterns, against `cat` through a pipe into a file;
# alternating in one series. Prints both rates, their ratio, and the peak memory of dsbench.
#
#   bench/benches/capture.sh [BYTES] [ROUNDS]
set -euo pipefail
cd "$(dirname "$0")/../.."
bytes=${1:-2000000000} rounds=${2:-3}
. bench/benches/place.sh
# A pipe into `head` ends with a signal to its writer, which is no failure here.
set +o pipefail
line='2026-11-21T10:00:00.123Z peer1 INFO applied entry index=123456 term=7 bytes=512 from=peer3'

cat > flood.toml <<TOML
schema  = 1
name    = "flood"
timeout = "10m"

[nodes]
count   = 1
command = ["sh", "-c", '''yes "$line" | head -c $bytes; echo; echo the flood is over''']

[events]
over     = { log = 'the flood is over' }
leader   = { log = 'became the Group Leader via election.* term=(?<term>\d+)', fields = { term = "int" } }
follows  = { log = 'Received COORDINATOR announcement: (?<leader>\w+)', fields = { leader = "text" } }
failed   = { log = 'FAILED peer=(?<peer>\w+)', fields = { peer = "text" } }

[[steps]]
expect = { event = "over" }
within = "10m"

[[invariants]]
process = { exit = "any" }
TOML

for _ in $(seq "$rounds"); do
  begun=${EPOCHREALTIME/./}
  yes "$line" | head -c "$bytes" | cat > cat.out
  cat_us=$((${EPOCHREALTIME/./} - begun))
  rm cat.out
  begun=${EPOCHREALTIME/./}
  "$dsbench" run -q flood.toml 2> said || { cat said; exit 1; }
  run_us=$((${EPOCHREALTIME/./} - begun))
  memory=$(sed -n 's/.*"bench_rss_bytes_max": \([0-9]*\).*/\1/p' logs/runs/latest/run.json)
  rm -rf logs
  printf 'cat %d MB/s, dsbench %d MB/s: %d.%02d of cat; peak memory of dsbench %d MB\n' \
    $((bytes / cat_us)) $((bytes / run_us)) $((cat_us / run_us)) $((cat_us * 100 / run_us % 100)) $((memory >> 20))
done
