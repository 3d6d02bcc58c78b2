#!/usr/bin/env bash
# Three nodes of the sensor network against three members of etcd: on the same disk, in turns, each with fsync before it acknowledges,
# under the same client (node/examples/load.rs: connections with one open request of 100 bytes each, to the leader; etcd through its
# JSON gateway, which costs etcd time that its gRPC clients do not spend). Prints both, and the ratios of the medians.
#
#   node/benches/against_etcd.sh [CLIENTS ...]        ETCD=/path/to/etcd if it is not on PATH; ROUNDS=3, SECONDS_EACH=5,
#                                                     DSNODE_OPTIONS="--multicast off"
set -euo pipefail
cd "$(dirname "$0")/../.."
[ $# -gt 0 ] || set -- 1 16 64 256
rounds=${ROUNDS:-3} seconds=${SECONDS_EACH:-5} etcd=${ETCD:-etcd}
[ -n "${DSNODE_BUILT:-}" ] || cargo build --release --quiet -p dsbench-node --bins --example load
built=${DSNODE_BUILT:-${CARGO_TARGET_DIR:-target}/release}
dsnode=$(readlink -f "$built/dsnode") load=$(readlink -f "$built/examples/load")
command -v "$etcd" > /dev/null || { echo "etcd is not here (apt install etcd-server, or set ETCD)" >&2; exit 1; }
place=$(mktemp -d)
pids=()
stop() { [ ${#pids[@]} = 0 ] || { kill "${pids[@]}" 2> /dev/null || true; wait "${pids[@]}" 2> /dev/null || true; }; pids=(); }
trap 'stop; rm -rf "$place"' EXIT

start_dsnode() {
    local peers=n1=127.0.0.1:27001,n2=127.0.0.1:27002,n3=127.0.0.1:27003
    for n in 1 2 3; do
        "$dsnode" sensor --id n$n --peers $peers --data "$place/dsnode$n" --heartbeat-interval 100ms --heartbeat-timeout 1s \
            --election-timeout 300ms ${DSNODE_OPTIONS:-} < /dev/null > "$place/dsnode$n.log" 2>&1 &
        pids+=($!)
    done
    nodes=127.0.0.1:27001,127.0.0.1:27002,127.0.0.1:27003
}

start_etcd() {
    local members=m1=http://127.0.0.1:27011,m2=http://127.0.0.1:27012,m3=http://127.0.0.1:27013
    for n in 1 2 3; do
        "$etcd" --name m$n --data-dir "$place/etcd$n" --initial-cluster $members --initial-advertise-peer-urls http://127.0.0.1:2701$n \
            --listen-peer-urls http://127.0.0.1:2701$n --listen-client-urls http://127.0.0.1:2702$n \
            --advertise-client-urls http://127.0.0.1:2702$n > "$place/etcd$n.log" 2>&1 &
        pids+=($!)
    done
    nodes=127.0.0.1:27021,127.0.0.1:27022,127.0.0.1:27023
}

median() { sort -n | awk '{ line[NR] = $1 } END { print line[int((NR + 1) / 2)] }'; }
of() { grep -o " $1=[0-9.]*" "$2" | cut -d= -f2 | median; }

for clients in "$@"; do
    for round in $(seq "$rounds"); do
        for system in dsnode etcd; do
            rm -rf "${place:?}/$system"*
            start_$system
            "$load" "$system" "$nodes" --clients "$clients" --for "${seconds}s" | tee -a "$place/$clients.$system"
            stop
        done
    done
    for what in rate p50 p99; do
        ours=$(of $what "$place/$clients.dsnode") theirs=$(of $what "$place/$clients.etcd")
        echo "clients=$clients $what dsnode=$ours etcd=$theirs ratio=$(awk "BEGIN { printf \"%.2f\", $ours / $theirs }")"
    done
done
