#!/usr/bin/env bash
# What a repetition costs beside what it waits for: a scenario of one second again and again in one `dsbench run --repeat`, and a shell loop
# that starts the same program, sleeps as long, and ends it. In turns of ten, because machines are noisy; prints the difference per run.
#
#   bench/benches/repeat.sh [TURNS]
set -euo pipefail
cd "$(dirname "$0")/../.."
turns=${1:-10}
. bench/benches/place.sh

cat > second.toml <<'TOML'
schema  = 1
name    = "second"
timeout = "20s"

[nodes]
count   = 1
command = ["sh", "-c", "echo ready; exec sleep 10"]
ready   = { log = 'ready', within = "5s" }

[events]
ready = { log = 'ready' }

[[steps]]
expect = { event = "ready" }

[[steps]]
after = "1s"
mark  = "a second later"
TOML
cat > second.sh <<'SH'
#!/bin/sh
for i in 1 2 3 4 5 6 7 8 9 10; do
  sh -c "echo ready; exec sleep 10" > "$i.log" &
  sleep 1
  kill $!
  wait
done
SH
chmod +x second.sh

microseconds() { # command...
  local begun=${EPOCHREALTIME/./} ended
  "$@" > /dev/null 2>&1
  ended=${EPOCHREALTIME/./}
  echo $((ended - begun))
}

shell=0 bench=0
for _ in $(seq "$turns"); do
  shell=$((shell + $(microseconds ./second.sh)))
  bench=$((bench + $(microseconds "$dsbench" run -q second.toml --repeat 10)))
done
runs=$((turns * 10))
printf 'shell loop %d ms, dsbench %d ms per run of a second (%d of each): %d.%d ms more\n' \
  $((shell / runs / 1000)) $((bench / runs / 1000)) "$runs" $(((bench - shell) / runs / 1000)) $(((bench - shell) / runs / 100 % 10))
