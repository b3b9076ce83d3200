#!/usr/bin/env bash
# build-crate.sh TOOLS CRATE [FILE OUT]: compiles the crate in the folder CRATE (from the top of the project), without
# touching the network if that can be, and copies FILE of its release folder to OUT.
# Its dependencies stay compiled in the tools' cache folder: after a change to the crate, only the crate is compiled.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
tools=$1 crate=$2 file=${3:-} out=${4:-}
find_rust || die "no Rust $RUST_MINIMUM or newer; try: make setup"
export CARGO_TARGET_DIR=$tools/target/${crate##*/}
mkdir -p "$CARGO_TARGET_DIR"
cd "$root/$crate"

# Checkouts share the target folder, and FILE's place in it: so no other may build between build and copy.
exec 8>"$CARGO_TARGET_DIR/synod.lock"
flock 8
host=$("$RUSTC" -vV | sed -n 's/^host: //p')
"$CARGO" fetch --locked --offline --target "$host" >/dev/null 2>&1 || "$CARGO" fetch --locked --target "$host"
"$CARGO" build --locked --offline --release
if [ -n "$out" ]; then
  mkdir -p "$(dirname "$out")"
  cp "$CARGO_TARGET_DIR/release/$file" "$out.new"
  mv "$out.new" "$out"
fi
