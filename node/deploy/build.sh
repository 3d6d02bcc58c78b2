#!/usr/bin/env bash
# Builds the executable that the image is made of, and the image: dsnode. Needs Rust and a C library to link statically (libc6-dev on
# Debian; musl's targets have their own).
#
#   node/deploy/build.sh            TARGET=x86_64-unknown-linux-musl for another target than this machine's,
#                                   DSNODE=/path/to/dsnode for one that is built already
set -euo pipefail
cd "$(dirname "$0")"
for program in docker:docker.io readelf:binutils strip:binutils; do
    command -v "${program%:*}" > /dev/null || { echo "${program%:*} is not here (apt install ${program#*:})" >&2; exit 1; }
done
if [ -z "${DSNODE:-}" ]; then
    target=${TARGET:-$(rustc -vV | sed -n 's/^host: //p')}
    [[ $target == *-linux-* ]] || { echo "a container's executable is one for Linux: set TARGET" >&2; exit 1; }
    RUSTFLAGS="-C target-feature=+crt-static" cargo build --release --locked --quiet --manifest-path ../Cargo.toml --bin dsnode --target "$target"
    DSNODE=${CARGO_TARGET_DIR:-../../target}/$target/release/dsnode
fi
[ -x "$DSNODE" ] || { echo "DSNODE=$DSNODE is no executable" >&2; exit 1; }
[[ $(readelf --program-headers "$DSNODE") != *INTERP* ]] || { echo "$DSNODE needs a dynamic loader, which the image does not have" >&2; exit 1; }
rm -rf image
mkdir -p image/data/logs    # the node's own, and so are the volumes that are made from it
strip -o image/dsnode "$DSNODE"
docker build --quiet --tag dsnode .
