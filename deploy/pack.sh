#!/usr/bin/env bash
# pack.sh BUILD CONFIG FILE: packs what a host needs into FILE (.tar.gz), and writes its digest to FILE.sha256.
#
#   bin/        synod, synod-daemon
#   lib/        the libraries that synod is linked with, except the C library: nothing has to be installed on the hosts
#   nodes/      the composed nodes
#   cluster.yaml, synod@.service
#
# `patchelf` must be on PATH. The same contents give the same bytes, so that what is on a host already is not copied again.
set -euo pipefail
build=$1 config=$2 file=$3
here=$(cd "$(dirname "$0")" && pwd)

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
mkdir "$stage/bin" "$stage/lib" "$stage/nodes"
cp "$build/bin/synod" "$here/synod-daemon" "$stage/bin"
cp "$build"/nodes/*.wasm "$stage/nodes"
cp "$here/synod@.service" "$stage"
cp "$config" "$stage/cluster.yaml"
ldd "$build/bin/synod" | awk '$2 == "=>" && $1 !~ /^lib(c|m|dl|rt|pthread)\.so/ { print $3 }' | xargs cp -Lt "$stage/lib"
patchelf --force-rpath --set-rpath '$ORIGIN/../lib' "$stage/bin/synod"

tar -C "$stage" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=go=rX -cf - . | gzip -n -1 >"$file.new"
mv "$file.new" "$file"
sha256sum <"$file" >"$file.sha256"
