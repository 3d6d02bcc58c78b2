#!/usr/bin/env bash
# What a node that was away costs when it returns: one of three is killed, the other two go on for so many messages of 100 bytes, the
# third starts again on what it had. Prints how many messages a second it caught up with, delivered and written to its log, and the most
# memory that it and its leader ever had. All entries stay in the log here (--retain), so none come in a snapshot.
#
#   node/benches/catch_up.sh [MESSAGES]        1000000 unless told; CLIENTS=256
set -euo pipefail
cd "$(dirname "$0")/../.."
messages=${1:-1000000} clients=${CLIENTS:-256}
[ -n "${DSNODE_BUILT:-}" ] || cargo build --release --quiet -p dsbench-node --bins --example load
built=${DSNODE_BUILT:-${CARGO_TARGET_DIR:-target}/release}
dsnode=$(readlink -f "$built/dsnode") load=$(readlink -f "$built/examples/load")
place=$(mktemp -d)
pids=()
trap '[ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2> /dev/null || true; wait 2> /dev/null || true; rm -rf "$place"' EXIT

start() {
    "$dsnode" sensor --id "n$1" --peers n1=127.0.0.1:27031,n2=127.0.0.1:27032,n3=127.0.0.1:27033 --data "$place/$1" \
        --retain "$((messages + 1000))" < /dev/null >> "$place/$1.log" 2>&1 &
    pids[$1]=$!
}
now() { date +%s.%N; }
per_second() { awk "BEGIN { printf \"%.0f\", $messages / ($2 - $1) }"; }
memory() { awk '/VmHWM/ { printf "%.1f MB", $2 / 1024 }' "/proc/$1/status"; }
until_in() { # pattern file line: it may be there already, at that line or after it
    local tail
    exec 3< <(exec tail -n "+${3:-1}" -F "$2" 2> /dev/null)
    tail=$!
    grep -q -m 1 -e "$1" <&3
    exec 3<&-
    kill "$tail" 2> /dev/null || true
}

for n in 1 2 3; do start $n; done
until_in 'became the Group Leader' "$place/3.log"     # the highest leads, and is not the one that goes
kill -9 "${pids[1]}"; wait "${pids[1]}" 2> /dev/null || true

begin=$(now)
"$load" dsnode 127.0.0.1:27033 --clients "$clients" --messages "$messages" --for 1h
echo "written at two: $messages messages, $(per_second "$begin" "$(now)")/s; leader's peak $(memory "${pids[3]}"), log $(du -sm "$place/3" | cut -f1) MB on disk"

before=$(wc -l < "$place/1.log")
begin=$(now)
start 1
until_in " seq=$messages " "$place/1.log"
end=$(now)
echo "caught up: $messages messages, $(per_second "$begin" "$end")/s; peak of the returned $(memory "${pids[1]}"), of its leader $(memory "${pids[3]}"); $(($(wc -l < "$place/1.log") - before)) lines told"

kill -9 "${pids[1]}"; wait "${pids[1]}" 2> /dev/null || true
begin=$(now)
before=$(wc -l < "$place/1.log")
start 1
until_in recovered "$place/1.log" "$((before + 1))"
echo "started again with $messages in its log: $(awk "BEGIN { printf \"%.2f\", $(now) - $begin }") s, $(memory "${pids[1]}")"
