#!/usr/bin/env bash
# What a run costs beside its programs: three programs that are ready at once and exit, by dsbench and by a shell script that starts and
# waits for the same three, alternating in one series. Prints both medians and their ratio.
#
#   bench/benches/overhead.sh [ROUNDS]
set -euo pipefail
cd "$(dirname "$0")/../.."
rounds=${1:-41}
. bench/benches/place.sh

cat > three.toml <<'TOML'
schema  = 1
name    = "three"
timeout = "10s"

[nodes]
count   = 3
command = ["sh", "-c", "echo ready"]

[events]
ready = { log = 'ready' }

[[steps]]
expect = { event = "ready", at_least = 3 }
within = "5s"

[[invariants]]
process = { exit = "any" }
TOML
cat > three.sh <<'SH'
#!/bin/sh
for i in 1 2 3; do sh -c "echo ready" > "$i.log" & done
wait
SH
chmod +x three.sh

microseconds() { # command...
  local begun=${EPOCHREALTIME/./} ended
  "$@" > /dev/null 2>&1
  ended=${EPOCHREALTIME/./}
  echo $((ended - begun))
}
median() { sort -n | sed -n "$(((rounds + 1) / 2))p"; }

"$dsbench" run three.toml > /dev/null 2>&1 # fails here, loudly, if the scenario does not pass
for _ in $(seq "$rounds"); do
  microseconds ./three.sh >> shell
  microseconds "$dsbench" run three.toml >> dsbench
done
shell=$(median < shell) bench=$(median < dsbench)
printf 'shell script %d us, dsbench %d us (medians of %d): %d.%02d times\n' "$shell" "$bench" "$rounds" $((bench / shell)) $((bench * 100 / shell % 100))
