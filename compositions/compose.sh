#!/usr/bin/env bash
# compose.sh ROLE [NETWORK [STORAGE [SERIALIZER [LEADER-RULE]]]]: makes one node from components.
#
#   ROLE         a file of this folder without .wac: coordinator-node, proposer-node, acceptor-node, learner-node
#   NETWORK      host-tcp (default): the frames come and go through imports, which the host serves
#   STORAGE      host (default): so do the journal's records
#   SERIALIZER   guest (default): the serializer component is part of the node
#   LEADER-RULE  sticky (default) or highest: the component that stands behind the name synod:leader-detector
#                (synod:state-machine is the kv-store)
#
# Writes $BUILD/nodes/<key>.wasm and prints its path; the key is the role, and every choice that is not the default.
# BUILD is the folder that holds components/ and nodes/, build/ by default.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=${BUILD:-$here/../build}

fail() { echo "compose.sh: $*" >&2; exit 1; }
choice() { # NAME VALUE ALLOWED...
  local name=$1 value=$2; shift 2
  case " $* " in *" $value "*) ;; *) fail "$name can be: $*; not $value" ;; esac
}

role=${1:?a role, for instance coordinator-node} network=${2:-host-tcp} storage=${3:-host} serializer=${4:-guest} rule=${5:-sticky}
[ -e "$here/$role.wac" ] || fail "there is no composition $role.wac"
choice NETWORK "$network" host-tcp
choice STORAGE "$storage" host
choice SERIALIZER "$serializer" guest
choice LEADER-RULE "$rule" sticky highest
key=$role
[ "$rule" = sticky ] || key+=-$rule

parts=("synod:leader-detector=$build/components/leader-detector-$rule.wasm"
  "synod:state-machine=$build/components/kv-store.wasm")
for component in "$build"/components/*.wasm; do
  name=${component##*/}
  parts+=("synod:${name%.wasm}=$component")
done
"$build/bin/wasm-build" compose "$here/$role.wac" "$build/nodes/$key.wasm" "${parts[@]}"
echo "$build/nodes/$key.wasm"
