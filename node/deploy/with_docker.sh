#!/usr/bin/env bash
# Runs a command with a Docker daemon of its own, in network, mount and process namespaces of its own: bridges, firewall rules, published
# ports, mounts and containers are seen by nobody else and end with it, whatever happens. Needs root, dockerd (docker.io) and iptables.
#
#   node/deploy/with_docker.sh node/deploy/test.sh
set -euo pipefail
if [ "${1:-}" != --inside ]; then
    [ $# -gt 0 ] || { echo "usage: $0 COMMAND [ARGUMENT ...]" >&2; exit 2; }
    [ "$(id -u)" = 0 ] || { echo "a Docker daemon needs root" >&2; exit 1; }
    for program in dockerd docker containerd runc iptables unshare ip; do
        command -v $program > /dev/null || { echo "$program is not here (apt install docker.io iptables iproute2)" >&2; exit 1; }
    done
    place=$(mktemp -d)
    group=dsbench-docker-$$
    inside=
    end() {
        [ -z "$inside" ] || { kill "$inside" 2> /dev/null || true; wait "$inside" 2> /dev/null || true; }
        # What is killed may take a moment to be gone. Its control groups are in no namespace.
        for _ in {1..100}; do
            rm -rf "$place" 2> /dev/null && find /sys/fs/cgroup -depth -type d -path "*/$group*" -exec rmdir {} + 2> /dev/null && return
            sleep 0.1
        done
        echo "left behind: $place, or control groups $group" >&2
    }
    trap end EXIT
    trap 'exit 143' TERM INT HUP
    # In the background, so that a signal is heeded at once.
    unshare --net --mount --pid --fork --kill-child --mount-proc "$0" --inside "$place" "$group" "$@" <&0 &
    inside=$!
    wait "$inside" && code=0 || code=$?
    inside=
    exit $code
fi

place=$2 group=$3
shift 3
ip link set lo up
# The daemon's key and sockets have fixed places.
mount -t tmpfs none /run
mount -t tmpfs none /etc/docker
dockerd --data-root "$place/data" --exec-root "$place/exec" --host "unix://$place/socket" --pidfile "$place/pid" \
    --cgroup-parent "/$group" > "$place/log" 2>&1 &
daemon=$!
export DOCKER_HOST=unix://$place/socket DOCKER_CONFIG=$place/config
trap 'kill $daemon 2> /dev/null || true; wait $daemon 2> /dev/null || true' EXIT
until docker version > /dev/null 2>&1; do
    kill -0 $daemon 2> /dev/null || { echo "the Docker daemon does not start:" >&2; tail -n 20 "$place/log" >&2; exit 1; }
    [ $SECONDS -lt 60 ] || { echo "the Docker daemon does not answer:" >&2; tail -n 20 "$place/log" >&2; exit 1; }
    sleep 0.1
done
"$@"
