# Sourced at the root of the repository by the scripts beside it: `$dsbench` is a release build, or the executable that DSBENCH_BUILT names,
# and the current directory an empty one that goes with the script.
[ -n "${DSBENCH_BUILT:-}" ] || cargo build --release --quiet
dsbench=$(readlink -f "${DSBENCH_BUILT:-target/release/dsbench}")
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
