#!/usr/bin/env bash
# Checks the manifests: against the schemas of the Kubernetes API (a pinned kubernetes-validate from PyPI, which brings them along; nothing
# that the API does not know is let through), and against the node, which must understand the configuration in them.
#
#   node/deploy/k8s/test.sh         DSNODE=/path/to/dsnode
set -euo pipefail
cd "$(dirname "$0")"
fail() { echo "k8s: FAILED: $*" >&2; exit 1; }
say() { printf 'k8s: %s (after %ss)\n' "$*" "$SECONDS"; }
[ -x "${DSNODE:-}" ] || fail "DSNODE names no executable (cargo build -p dsbench-node --bin dsnode, and its path)"
python3 -c 'import ensurepip, tomllib, venv' 2> /dev/null || fail "no python3 of 3.11 or newer that makes environments (apt install python3-venv)"
place=$(mktemp -d)
node=
end() {
    [ -z "$node" ] || { kill "$node" 2> /dev/null || true; wait "$node" 2> /dev/null || true; }
    rm -rf "$place"
}
trap end EXIT
trap 'exit 143' TERM INT HUP
python3 -m venv "$place/python"
"$place/python/bin/pip" install --quiet --no-compile kubernetes-validate==1.34.1 PyYAML==6.0.3 ||
    fail "no kubernetes-validate from PyPI (is the network there?)"
is_valid() { "$place/python/bin/kubernetes-validate" --strict --kubernetes-version "$1" "$2" > "$place/told" 2>&1; }
for version in 1.28 1.34; do
    is_valid $version chat.yaml || { cat "$place/told" >&2; fail "chat.yaml is not valid in Kubernetes $version"; }
    # It must be able to say no.
    sed 's/podManagementPolicy/podManagmentPolicy/' chat.yaml > "$place/wrong.yaml"
    ! is_valid $version "$place/wrong.yaml" || fail "a misspelt key is not noticed"
done
say "the manifests are valid in Kubernetes 1.28 and 1.34"
"$place/python/bin/python" - "$place" << 'END'
import random, socket, sys, tomllib, yaml
parts = {part["kind"]: part for part in yaml.safe_load_all(open("chat.yaml")) if part["kind"] != "Service"}
services = {part["metadata"]["name"]: part for part in yaml.safe_load_all(open("chat.yaml")) if part["kind"] == "Service"}
chat, text = parts["StatefulSet"], parts["ConfigMap"]["data"]["chat.toml"]
spec, config = chat["spec"], tomllib.loads(text)
name, service = chat["metadata"]["name"], spec["serviceName"]
container = spec["template"]["spec"]["containers"][0]
port = container["ports"][0]["containerPort"]
first = spec["ordinals"]["start"]
pods = [(n, f"{name}-{n}.{service}", port) for n in range(first, first + spec["replicas"])]
assert [(seed["node_id"], seed["host"], seed["port"]) for seed in config["seed_nodes"]] == pods, "the list is not that of the pods"
assert services[service]["spec"]["clusterIP"] == "None" and services[service]["spec"]["publishNotReadyAddresses"]
labels = spec["template"]["metadata"]["labels"]
for selector in [spec["selector"]["matchLabels"], parts["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"]] + \
        [service["spec"]["selector"] for service in services.values()]:
    assert selector.items() <= labels.items(), selector
assert all(entry["port"] == port for service in services.values() for entry in service["spec"]["ports"])
for probe in ("readinessProbe", "livenessProbe"):
    command = container[probe]["exec"]["command"]
    assert command[:4] == ["/dsnode", "health", "--port", str(port)], command
mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
assert any(config["log_dir"].startswith(f"{mount}/") for mount in mounts) and "/etc/dsnode" in mounts
def is_free(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) != 0
# Not one that the system gives out by itself: another program could get it meanwhile.
here = next(port for port in random.sample(range(15000, 32000), 100) if is_free(port))
open(f"{sys.argv[1]}/port", "w").write(f"{here}\n")
open(f"{sys.argv[1]}/chat.toml", "w").write(text.replace(f"port = {port}", f"port = {here}"))
open(f"{sys.argv[1]}/args", "w").write("\n".join(container["args"]) + "\n")
END
# A pod as Kubernetes would start it, except for the places on the disk and the port.
mapfile -t args < "$place/args"
args=("${args[@]//'$(NODE_ID)'/2}")
args=("${args[@]//'/etc/dsnode'/$place}")
port=$(< "$place/port")
"$DSNODE" "${args[@]}" --host 127.0.0.1 --log-dir "$place/logs" < /dev/null > "$place/log" 2>&1 &
node=$!
is_alive() { "$DSNODE" health --port "$port" --alive > /dev/null 2>&1; }
deadline=$((SECONDS + 30))
until is_alive; do
    kill -0 $node 2> /dev/null || { cat "$place/log" >&2; fail "the node does not take its configuration"; }
    [ $SECONDS -lt $deadline ] || { cat "$place/log" >&2; fail "the node does not answer"; }
    sleep 0.1
done
# Alone of three it lives, and is not ready.
! "$DSNODE" health --port "$port" 2> "$place/health" || fail "one of three nodes calls itself ready"
grep -q 'not ready' "$place/health" || fail "$(< "$place/health")"
grep -q ' together=3 ' "$place/log" || { cat "$place/log" >&2; fail "the node does not expect three"; }
say "the node takes its configuration from them"
