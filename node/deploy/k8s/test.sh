#!/usr/bin/env bash
# Checks the manifests: against the schemas of the Kubernetes API (a pinned kubernetes-validate from PyPI, which brings them along; nothing
# that the API does not know is let through), and against the node, which must understand the configuration in them.
#
#   node/deploy/k8s/test.sh         DSNODE=/path/to/dsnode
set -euo pipefail
cd "$(dirname "$0")"
fail() { echo "k8s: FAILED: $*" >&2; exit 1; }
[ -x "${DSNODE:-}" ] || fail "DSNODE names no executable"
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/python"
"$place/python/bin/pip" install --quiet kubernetes-validate==1.34.1 PyYAML==6.0.3
is_valid() { "$place/python/bin/kubernetes-validate" --strict --kubernetes-version "$1" "$2" > "$place/told" 2>&1; }
for version in 1.28 1.34; do
    is_valid $version chat.yaml || { cat "$place/told" >&2; fail "chat.yaml is not valid in Kubernetes $version"; }
    # It must be able to say no.
    sed 's/podManagementPolicy/podManagmentPolicy/' chat.yaml > "$place/wrong.yaml"
    ! is_valid $version "$place/wrong.yaml" || fail "a misspelt key is not noticed"
done
"$place/python/bin/python" - "$place" << 'END'
import sys, tomllib, yaml
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
open(f"{sys.argv[1]}/chat.toml", "w").write(text)
open(f"{sys.argv[1]}/args", "w").write("\n".join(container["args"]) + "\n")
END
# A pod as Kubernetes would start it, except for the places on the disk and the port.
mapfile -t args < "$place/args"
args=("${args[@]//'$(NODE_ID)'/2}")
args=("${args[@]//'/etc/dsnode'/$place}")
"$DSNODE" "${args[@]}" --host 127.0.0.1 --log-dir "$place/logs" < /dev/null > "$place/log" 2>&1 &
node=$!
trap 'kill $node 2> /dev/null || true; wait $node 2> /dev/null || true; rm -rf "$place"' EXIT
for _ in {1..300}; do
    kill -0 $node 2> /dev/null || { cat "$place/log" >&2; fail "the node does not take its configuration"; }
    ! "$DSNODE" health --port 5000 --alive > "$place/health" 2>&1 || break
    sleep 0.1
done
# Alone of three it lives, and is not ready.
"$DSNODE" health --port 5000 --alive > /dev/null || fail "the node does not answer"
! "$DSNODE" health --port 5000 2> "$place/health" || fail "one of three nodes calls itself ready"
grep -q 'not ready' "$place/health" || fail "$(cat "$place/health")"
grep -q 'expect=3' "$place/log" || { cat "$place/log" >&2; fail "the node does not expect three"; }
echo "k8s: the manifests are valid, and the node takes its configuration from them"
