#!/usr/bin/env bash
# A chat of many clients on three nodes, on Redis, and on Redis with two replicas: on the same machine and disk, in turns, under the same
# load (node/examples/chat_load.rs: a closed loop, each client has one message of 100 bytes under way and reads what all say; a message
# counts when the last client has it). Prints all, with the processor time that the servers took, and that the load took, and the ratios
# of the medians. What is seen by whom when, in each:
#
#   dsnode    durable (fsync) at a majority of three nodes before anybody sees it; clients read at all three
#   redis     durable (`appendfsync always`) at the one server, and nowhere else, before anybody sees it
#   replicas  the same with two replicas that fsync too, and clients read at all three; who sends waits (WAIT 1) until one replica has the
#             message, in its memory; clients may see it before any replica has it
#
#   node/benches/against_redis.sh [CLIENTS ...]       100 unless told; ROUNDS=3, SECONDS_EACH=5, APPENDFSYNC=always|everysec|no,
#                                                     RATE=1000 for so many messages a second (an open loop) instead of as many as
#                                                     there can be
set -euo pipefail
cd "$(dirname "$0")/../.."
[ $# -gt 0 ] || set -- 100
rounds=${ROUNDS:-3} seconds=${SECONDS_EACH:-5} fsync=${APPENDFSYNC:-always}
for program in redis-server:redis-server redis-cli:redis-tools; do
    command -v "${program%:*}" > /dev/null || { echo "${program%:*} is not here (apt install ${program#*:})" >&2; exit 1; }
done
[ -n "${DSNODE_BUILT:-}" ] || cargo build --release --quiet -p dsbench-node --bins --example chat_load
built=${DSNODE_BUILT:-${CARGO_TARGET_DIR:-target}/release}
dsnode=$(readlink -f "$built/dsnode") load=$(readlink -f "$built/examples/chat_load")
place=$(mktemp -d)
pids=()
stop() { [ ${#pids[@]} = 0 ] || { kill "${pids[@]}" 2> /dev/null || true; wait "${pids[@]}" 2> /dev/null || true; }; pids=(); }
trap 'stop; rm -rf "$place"' EXIT
until_true() { local n; for n in {1..300}; do "$@" > /dev/null 2>&1 && return; sleep 0.1; done; echo "not within 30 s: $*" >&2; exit 1; }

start_dsnode() {
    local seeds=(--seed 1:127.0.0.1:27041 --seed 2:127.0.0.1:27042 --seed 3:127.0.0.1:27043) n
    for n in 1 2 3; do
        "$dsnode" chat --id $n --host 127.0.0.1 "${seeds[@]}" --log-dir "$place/dsnode" < /dev/null > "$place/dsnode$n.log" 2>&1 &
        pids+=($!)
    done
    nodes=127.0.0.1:27041,127.0.0.1:27042,127.0.0.1:27043
    for n in 1 2 3; do until_true "$dsnode" health --port 2704$n; done
}

redis() { # port option...
    mkdir "$place/redis$1"
    redis-server --bind 127.0.0.1 --port "$1" --dir "$place/redis$1" --save '' --appendonly yes --appendfsync "$fsync" \
        --repl-diskless-sync-delay 0 "${@:2}" > "$place/redis$1.log" 2>&1 &
    pids+=($!)
    until_true redis-cli -p "$1" ping
}
start_redis() { redis 27044; nodes=127.0.0.1:27044; }
is_in_sync() { redis-cli -p "$1" info replication | grep -q master_link_status:up; }
start_replicas() {
    local port
    redis 27044
    for port in 27045 27046; do
        redis $port --replicaof 127.0.0.1 27044
        until_true is_in_sync $port
    done
    nodes=127.0.0.1:27044,127.0.0.1:27045,127.0.0.1:27046
}

# Hundredths of a second, of all servers together.
processor() { for pid in "${pids[@]}"; do sed 's/.*) //' "/proc/$pid/stat"; done | awk '{ all += $12 + $13 } END { print all }'; }
median() { sort -n | awk '{ line[NR] = $1 } END { print line[int((NR + 1) / 2)] }'; }
of() { grep -o " $1=[0-9.]*" "$2" | cut -d= -f2 | median; }
ratio() { awk "BEGIN { printf \"%.2f\", $1 / $2 }"; }

for clients in "$@"; do
    for round in $(seq "$rounds"); do
        for system in dsnode redis replicas; do
            rm -rf "${place:?}"/{dsnode,redis}*
            start_$system
            before=$(processor)
            told=$("$load" "${system/replicas/redis}" $nodes --clients "$clients" --for "${seconds}s" ${RATE:+--rate "$RATE"})
            echo "$told servers=$(awk "BEGIN { print ($(processor) - $before) / 100 }")s" | tee -a "$place/$clients.$system"
            stop
        done
    done
    for what in rate p50 p99 servers; do
        for other in redis replicas; do
            ours=$(of $what "$place/$clients.dsnode") theirs=$(of $what "$place/$clients.$other")
            echo "clients=$clients $what dsnode=$ours $other=$theirs (appendfsync $fsync) ratio=$(ratio "$ours" "$theirs")"
        done
    done
done
