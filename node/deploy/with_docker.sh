#!/usr/bin/env bash
# Runs a command with a Docker daemon of its own, in network, mount and process namespaces of its own: bridges, firewall rules, published
# ports, mounts, images and containers are seen by nobody else and end with it, whatever happens. Needs root, dockerd (docker.io) and iptables.
#
#   node/deploy/with_docker.sh node/deploy/test.sh
set -euo pipefail
if [ "${1:-}" != --inside ]; then
    [ $# -gt 0 ] || { echo "usage: $0 COMMAND [ARGUMENT ...]" >&2; exit 2; }
    [ "$(id -u)" = 0 ] || { echo "a Docker daemon needs root" >&2; exit 1; }
    for program in dockerd:docker.io docker:docker.io containerd:containerd runc:runc iptables:iptables ip:iproute2; do
        command -v "${program%:*}" > /dev/null || { echo "${program%:*} is not here (apt install ${program#*:})" >&2; exit 1; }
    done
    place=$(mktemp -d)
    group=dsbench-docker-$$
    inside= made=()
    end() {
        # Not SIGTERM: unshare waits for its child before it heeds that. With it goes the first process of the namespace, and so all.
        [ -z "$inside" ] || { kill -KILL "$inside" 2> /dev/null || true; wait "$inside" 2> /dev/null || true; }
        # What is killed may take a moment to be gone. Its control groups are in no namespace.
        for _ in {1..100}; do
            find /sys/fs/cgroup -depth -type d -path "*/$group*" -exec rmdir {} + 2> /dev/null && break
            sleep 0.1
        done || true
        rmdir "${made[@]}" "$place" || true
        [ -z "$(find /sys/fs/cgroup -type d -name "$group*" -print -quit)" ] || echo "left behind: control groups $group" >&2
    }
    trap end EXIT
    trap 'exit 143' TERM INT HUP
    # Where something is mounted, inside.
    for directory in /etc/docker /opt/containerd; do
        [ -d $directory ] || { mkdir $directory; made+=($directory); }
    done
    # In the background, so that a signal is heeded at once; and not left alone by a script that is killed.
    setpriv --pdeathsig KILL unshare --net --mount --pid --fork --kill-child --mount-proc "$0" --inside "$place" "$group" "$@" <&0 &
    inside=$!
    wait "$inside" && code=0 || code=$?
    inside=
    exit $code
fi

place=$2 group=$3
shift 3
ip link set lo up
# The daemon's key and sockets and what containerd looks for have fixed places; the rest is here, and in memory: it ends with the namespace.
for directory in /run /etc/docker /opt/containerd "$place"; do mount -t tmpfs none "$directory"; done
mkdir "$place/tmp"
dockerd --data-root "$place/data" --exec-root "$place/exec" --host "unix://$place/socket" --pidfile "$place/pid" \
    --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent "/$group" > "$place/log" 2>&1 &
daemon=$!
export DOCKER_HOST=unix://$place/socket DOCKER_CONFIG=$place/config TMPDIR=$place/tmp
trap 'kill $daemon 2> /dev/null || true; wait $daemon 2> /dev/null || true' EXIT
until docker version > /dev/null 2>&1; do
    kill -0 $daemon 2> /dev/null || { echo "the Docker daemon does not start:" >&2; tail -n 20 "$place/log" >&2; exit 1; }
    [ $SECONDS -lt 60 ] || { echo "the Docker daemon does not answer:" >&2; tail -n 20 "$place/log" >&2; exit 1; }
    sleep 0.1
done
"$@"
