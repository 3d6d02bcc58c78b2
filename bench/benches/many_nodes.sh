#!/usr/bin/env bash
# What many nodes cost: N programs that do nothing are started, become ready (a line of their log) and are stopped, by dsbench and by a
# shell loop that does the same, alternating in one series. Prints both medians, their ratio, and the memory of
# dsbench with all its helpers (one small process per node).
#
#   bench/benches/many_nodes.sh [NODES] [ROUNDS]
set -euo pipefail
cd "$(dirname "$0")/../.."
nodes=${1:-200} rounds=${2:-5}
. bench/benches/place.sh

cat > many.toml <<TOML
schema  = 1
name    = "many"
timeout = "60s"

[nodes]
count   = $nodes
command = ["sh", "-c", "echo ready; exec sleep 60"]
ready   = { log = 'ready', within = "30s" }

[events]
ready = { log = 'ready' }

[[invariants]]
sometimes = { event = "ready", at_least = $nodes }
TOML
cat > many.sh <<SH
#!/usr/bin/env bash
# Started, ready (a line of the log), stopped.
for i in \$(seq $nodes); do sh -c "echo ready; exec sleep 60" > "\$i.log" & pids+=(\$!); done
for i in \$(seq $nodes); do until [ -s "\$i.log" ]; do :; done; done
kill -TERM "\${pids[@]}"
wait "\${pids[@]}" 2> /dev/null || true
rm -f *.log
SH

microseconds() { # command...
  local begun=${EPOCHREALTIME/./} ended
  "$@" > /dev/null 2>&1
  ended=${EPOCHREALTIME/./}
  echo $((ended - begun))
}
median() { sort -n | sed -n "$(((rounds + 1) / 2))p"; }

"$dsbench" run many.toml > /dev/null 2>&1 # fails here, loudly, if the scenario does not pass
for _ in $(seq "$rounds"); do
  microseconds bash many.sh >> shell
  microseconds "$dsbench" run many.toml >> dsbench
done
shell=$(median < shell) bench=$(median < dsbench)
printf '%d nodes: shell loop %d ms, dsbench %d ms (medians of %d): %d.%02d times\n' \
  "$nodes" $((shell / 1000)) $((bench / 1000)) "$rounds" $((bench / shell)) $((bench * 100 / shell % 100))

# The whole of dsbench: itself, the guardian and one keeper per node. Proportional set size, as they share most of their pages.
memory() {
  local exe total=0 part
  for exe in /proc/[0-9]*/exe; do
    [ "$(readlink "$exe" 2> /dev/null)" = "$dsbench" ] || continue
    part=$(sed -n 's/^Pss: *\([0-9]*\) kB/\1/p' "${exe%exe}smaps_rollup" 2> /dev/null || true)
    total=$((total + ${part:-0}))
  done
  echo "$total"
}
"$dsbench" run many.toml > /dev/null 2>&1 &
run=$! most=0
while kill -0 "$run" 2> /dev/null; do
  now=$(memory)
  [ "$now" -le "$most" ] || most=$now
done
wait "$run"
printf 'all processes of dsbench together: %d.%d MB at most\n' $((most / 1000)) $((most / 100 % 10))
