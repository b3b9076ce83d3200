# Shared by the scripts here: where things are. Sourced, not run.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/versions.env
. "$root/scripts/versions.env"
cache_root=${XDG_CACHE_HOME:-$HOME/.cache}/synod

die() { echo "synod: $*" >&2; exit 1; }

# find_rust: exports CARGO and RUSTC, the first pair that is new enough, from PATH or from Debian; sets rust_version.
find_rust() {
  local candidate version
  for candidate in "$(command -v cargo || true)" "$HOME/.cargo/bin/cargo" /usr/bin/cargo; do
    [ -x "$candidate" ] || continue
    version=$("${candidate%cargo}rustc" --version 2>/dev/null) || continue
    if printf '%s\n' "$RUST_MINIMUM" "$(cut -d' ' -f2 <<<"$version")" | sort -CV; then
      export CARGO=$candidate RUSTC=${candidate%cargo}rustc
      rust_version=$version
      return 0
    fi
  done
  return 1
}

# cache_folder: prints the folder of exactly these tools. The digest covers the pins and the Rust that compiles them.
cache_folder() {
  local digest
  digest=$(cd "$root" && { cat scripts/versions.env {host/wasmtime-typed,scripts/wasm-build}/Cargo.{toml,lock} \
    scripts/python-packages.txt tests/e2e/wasi_host/package-lock.json
    echo "$rust_version"; } | sha256sum)
  echo "$cache_root/${digest:0:16}"
}
