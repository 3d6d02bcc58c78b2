#!/usr/bin/env bash
# Proves the deployment: the image is built, three nodes come up healthy, two clients on this machine chat by the published ports while the
# leader's container is stopped and started again. Everything acknowledged is in every node's log once, in one order, and each client's
# messages in the order in which it sent them. Uses the Docker daemon that `docker` finds; removes its containers and volumes at the end.
#
#   node/deploy/test.sh             with_docker.sh gives it a daemon of its own
set -euo pipefail
cd "$(dirname "$0")"
say() { printf 'deploy: %s (after %ss)\n' "$*" "$SECONDS"; }
fail() { failure=$*; exit 1; }
failure=
trap 'echo "deploy: FAILED: $failure" >&2' EXIT
for program in docker:docker.io python3:python3 tar:tar readelf:binutils strip:binutils; do
    command -v "${program%:*}" > /dev/null || fail "${program%:*} is not here (apt install ${program#*:})"
done
docker version > /dev/null || fail "no Docker daemon answers (with_docker.sh runs this with one of its own)"
if docker compose version > /dev/null 2>&1; then compose() { docker compose "$@"; }
elif command -v docker-compose > /dev/null; then compose() { docker-compose --ansi never "$@"; }
else fail "neither docker compose nor docker-compose is here (apt install docker-compose)"; fi

place=$(mktemp -d)
clients=()
end() {
    local code=$?
    [ ${#clients[@]} = 0 ] || kill "${clients[@]}" 2> /dev/null || true
    [ $code = 0 ] || { compose logs --tail 15 || true; tail -n 3 "$place"/client* 2> /dev/null || true; }
    compose down --volumes --timeout 5 > /dev/null 2>&1 || true
    rm -rf "$place"
    [ $code = 0 ] || echo "deploy: FAILED: ${failure:-a command, see above}" >&2
}
trap end EXIT

quietly() { "$@" > "$place/quiet" 2>&1 || { cat "$place/quiet" >&2; fail "$*"; }; }
until_true() { # seconds what command...
    local deadline=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        [ $SECONDS -lt $deadline ] || fail "$what: not within the time"
        sleep 0.2
    done
}
health() { docker inspect --format '{{.State.Health.Status}}' "chat_node$1"; }
is_healthy() { for n in "$@"; do [ "$(health "$n")" = healthy ] || return 1; done; }
status() { image/dsnode health --port "500$1" 2> /dev/null; }
leader() { sed -n 's/.* leader=\([0-9]*\) .*/\1/p' <<< "$(status "$1")"; }
is_led() { old=$(leader 1); [ -n "$old" ]; }
leads_now() { for n in "$@"; do [ "$n" != "$old" ] || continue; now=$(leader "$n"); [ -n "$now" ] && [ "$now" != "$old" ] && return; done; return 1; }
follows() { [[ "$(status "$1")" == role=follower* ]]; }
acknowledged() { grep -c '"type":"ACKNOWLEDGED"' "$place/client$1" || true; }
has_acknowledged() { [ "$(acknowledged "$1")" -ge "$2" ]; }
log_of() { docker cp "chat_node$1:/data/logs/node$1.jsonl" - | tar -xO; }
has_all() { [ "$(log_of "$1" | wc -l)" -ge "$2" ]; }

quietly ./build.sh
say "the image has $(docker image inspect --format '{{.Size}}' dsnode | awk '{ printf "%.1f MB", $1 / 1e6 }')"
compose config --quiet
quietly compose up -d
until_true 90 "three healthy nodes" is_healthy 1 2 3
say "three nodes are healthy"
[ "$(docker inspect --format '{{.Config.User}}' chat_node1)" = 65532:65532 ] || fail "the node runs as root"

# As the README says: from inside a container to another one.
echo "hello from inside" | docker exec -i chat_node1 /dsnode chat-client --host chat_node2 --port 5002 > "$place/inside"
grep -q '^acknowledged ' "$place/inside" || fail "a client inside has no acknowledgement"

# Each client sends a line every 20 ms, until its file of messages is told to end.
chat() { # number, first node
    local n=$1 nodes=()
    for port in "${@:2}"; do nodes+=(--node "127.0.0.1:$port"); done
    ( i=0; while [ ! -e "$place/enough" ]; do i=$((i + 1)); echo "{\"payload\":\"client $n message $i\"}"; sleep 0.02; done ) |
        image/dsnode chat-client --json --name "client$n" --wait 60s "${nodes[@]}" > "$place/client$n" &
    clients+=($!)
}
chat 1 5001 5002 5003
chat 2 5003 5002 5001
until_true 30 "messages are acknowledged" has_acknowledged 1 50
until_true 30 "messages are acknowledged" has_acknowledged 2 50

until_true 30 "node 1 knows who leads" is_led
compose logs --no-color "chat_node$old" > "$place/log"    # grep -q would close the pipe
grep -q 'LEADER' "$place/log" || fail "the leader's log does not say LEADER"
docker stop -t 5 "chat_node$old" > /dev/null
code=$(docker inspect --format '{{.State.ExitCode}}' "chat_node$old")
[ "$code" = 0 ] || fail "docker stop ended the leader with exit code $code"
until_true 30 "another node leads" leads_now 1 2 3
say "node $old was stopped, node $now leads"
for client in 1 2; do until_true 60 "client $client goes on" has_acknowledged $client $(($(acknowledged $client) + 50)); done
docker start "chat_node$old" > /dev/null
until_true 60 "the stopped node is healthy again" is_healthy 1 2 3
follows "$old" || fail "the stopped node does not come back as a follower: $(status "$old")"
for client in 1 2; do until_true 60 "client $client goes on" has_acknowledged $client $(($(acknowledged $client) + 50)); done

# The same without a farewell, and of the one that leads now.
until_true 30 "node 1 knows who leads" is_led
docker kill "chat_node$old" > /dev/null
until_true 60 "another node leads" leads_now 1 2 3
say "node $old was killed, node $now leads"
for client in 1 2; do until_true 60 "client $client goes on" has_acknowledged $client $(($(acknowledged $client) + 50)); done
docker start "chat_node$old" > /dev/null
until_true 60 "the killed node is healthy again" is_healthy 1 2 3
follows "$old" || fail "the killed node does not come back as a follower: $(status "$old")"

touch "$place/enough"
for client in "${clients[@]}"; do wait "$client" || fail "a client ended without all acknowledgements"; done
clients=()
most=$(for n in 1 2 3; do log_of $n | wc -l; done | sort -n | tail -1)
for n in 1 2 3; do
    until_true 30 "node $n has everything" has_all $n "$most"
    log_of $n > "$place/node$n"
done
python3 - "$place" << 'END'
import json, sys
place = sys.argv[1]
def lines(name):
    with open(f"{place}/{name}") as file:
        return [json.loads(line) for line in file]
nodes = [lines(f"node{n}") for n in (1, 2, 3)]
assert nodes[0] == nodes[1] == nodes[2], "the nodes' logs differ"
log = nodes[0]
assert [line["seq_no"] for line in log] == list(range(1, len(log) + 1)), "numbers are missing or double"
for client in (1, 2):
    told = lines(f"client{client}")
    sent = {line["msg"]: line["payload"] for line in told if line["type"] == "SENT"}
    acknowledged = {line["msg"]: line["seq_no"] for line in told if line["type"] == "ACKNOWLEDGED"}
    assert len(sent) > 200 and sent.keys() == acknowledged.keys(), f"{len(sent)} sent, {len(acknowledged)} acknowledged"
    delivered = [line for line in log if line["payload"].startswith(f"client {client} ")]
    assert [line["payload"] for line in delivered] == list(sent.values()), f"client {client}: lost, double or out of order"
    by_payload = {line["payload"]: line["seq_no"] for line in delivered}
    assert all(by_payload[sent[msg]] == seq for msg, seq in acknowledged.items()), f"client {client}: acknowledged as another"
    seen = [line["index"] for line in told if line["type"] == "SEQ_CHAT"]
    assert seen == [line["index"] for line in log][: len(seen)], f"client {client} saw another order"
    print(f"deploy: client {client}: {len(sent)} sent, acknowledged, and in all three logs once and in order")
END

quietly compose down --volumes --timeout 5
for what in "ps --all" "volume ls" "network ls"; do
    # shellcheck disable=SC2086
    [ -z "$(docker $what --quiet --filter name=chat)" ] || fail "something is left: docker $what"
done
say "done"
