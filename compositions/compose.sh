#!/usr/bin/env bash
# compose.sh ROLE [NETWORK [STORAGE [SERIALIZER [LEADER-RULE [HOST]]]]]: makes one node from components.
#
#   ROLE         coordinator-node (all roles), proposer-node, acceptor-node, learner-node
#   NETWORK      host-tcp (default), host-udp, grpc: frames and clients' commands come and go through imports, which the host
#                serves; the component is the same for all three
#                guest-tcp, guest-udp: the network and the client port are components over WASI, and one more is the loop
#   STORAGE      host (default): the journal's records go through imports; guest: a component over WASI
#   SERIALIZER   guest (default): the serializer component is part of the node; host: whole messages go through an import
#   LEADER-RULE  sticky (default) or highest: the component that the name synod:leader-detector stands for
#   HOST         synod (default): settings, logging and control are imports that Synod's host serves; wasi: a component does
#                it with WASI alone, so that any WASI host can run the node (needs a guest network, guest storage and the
#                guest serializer)
#
# Writes $BUILD/nodes/<key>.wac, which says how the node is put together, and $BUILD/nodes/<key>.wasm, whose path it prints;
# the key is the role, and every choice that is not the default. BUILD is the folder that holds components/ and nodes/,
# build/ by default. With PARTS=list it writes nothing, and prints the names of the components that it would take, one a
# line. synod:state-machine is the kv-store, or the component that $STATE_MACHINE names. With FAULTY=yes all parts but those
# over WASI are the ones that break on demand (wit/faults.wit), and the node is written to $BUILD/faulty/nodes/.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=${BUILD:-$here/../build}

fail() { echo "compose.sh: $*" >&2; exit 1; }
choice() { # NAME VALUE ALLOWED...
  local name=$1 value=$2; shift 2
  case " $* " in *" $value "*) ;; *) fail "$name can be: $*; not $value" ;; esac
}

role=${1:?a role, for instance coordinator-node} network=${2:-host-tcp} storage=${3:-host} serializer=${4:-guest} rule=${5:-sticky} host=${6:-synod}
choice ROLE "$role" coordinator-node proposer-node acceptor-node learner-node
choice NETWORK "$network" host-tcp host-udp grpc guest-tcp guest-udp
choice STORAGE "$storage" host guest
choice SERIALIZER "$serializer" guest host
choice LEADER-RULE "$rule" sticky highest
choice HOST "$host" synod wasi
case $role in acceptor-node | learner-node) rule=sticky ;; esac # they have no leader detector
[ "$host" = synod ] || [ "${network%%-*}-$storage-$serializer" = guest-guest-guest ] ||
  fail "a node for any WASI host needs a guest network, guest storage and the guest serializer"

key=$role
[ "${network%%-*}" != guest ] || key+=-$network
[ "$storage" = host ] || key+=-guest-storage
[ "$serializer" = guest ] || key+=-host-serializer
[ "$rule" = sticky ] || key+=-highest
[ "$host" = synod ] || key+=-wasi

# ---- The composition. What a part imports and no part here exports (`...`) stays an import of the node. ----

# feed INTERFACE PART [EXPORT]: a line that feeds an import from a part's export, by default of the same name.
feed() { echo "  \"synod:paxos/$1@0.1.0\": $2[\"synod:paxos/${3:-$1}@0.1.0\"],"; }
# part NAME [COMPONENT]: instantiates it; standard input has what feeds it.
part() { printf 'let %s = new synod:%s {\n' "$1" "${2:-$1}"; cat; printf '  ...\n};\n\n'; }
# of_host INTERFACES...: what the host gives, where that is a component.
of_host() { [ "$host" = synod ] || for i; do feed "$i" wasi-host; done; }
# of_storage: whose node this is, which storage knows.
of_storage() { [ "$storage" = host ] || feed identity storage; }

proposer_parts() {
  part proposer </dev/null
  part failure-detector </dev/null
  part leader-detector </dev/null
  { feed proposer proposer; feed failure-detector failure-detector; feed leader-detector leader-detector; } | part proposer-agent
}
acceptor_parts() {
  part acceptor </dev/null
  feed acceptor acceptor | part acceptor-agent
}
learner_parts() {
  part learner </dev/null
  { feed learner learner; feed state-machine state-machine; } | part learner-agent
}

# The roles. The runner's `node` is the coordinator, or the one agent, whose interface has the same shape under another name.
node_parts() {
  part state-machine </dev/null # where nothing is executed, the client port still tells what its commands are
  case $role in
    proposer-node) proposer_parts ;;
    acceptor-node) acceptor_parts ;;
    learner-node) learner_parts ;;
    coordinator-node)
      proposer_parts
      acceptor_parts
      learner_parts
      { feed proposer-agent proposer-agent; feed acceptor-agent acceptor-agent; feed learner-agent learner-agent; } | part coordinator
      ;;
  esac
}
feed_node() {
  if [ "$role" = coordinator-node ]; then feed node coordinator; else feed node "${role%-node}-agent" "${role%-node}-agent"; fi
}

# The parts that do I/O, where they are components.
io_parts() {
  [ "$host" = synod ] || part wasi-host </dev/null
  [ "$storage" = host ] || of_host settings logger host-control | part storage wasi-storage
  case $network in
    guest-tcp)
      { of_host settings logger host-control; of_storage; } | part network-server tcp-network-server
      { of_host settings logger host-control; of_storage; } | part network-client tcp-network-client
      ;;
    guest-udp) { of_host settings logger host-control; of_storage; } | part udp-network ;;
  esac
  [ "${network%%-*}" != guest ] || of_host settings logger host-control | part client-server
  [ "$serializer" = host ] || part serializer </dev/null
}
feed_network() { # INTERFACES...: from the part that has this end of the network
  for i; do
    case $network in
      guest-tcp) feed "$i" "${i%-waits}" ;;
      guest-udp) feed "$i" udp-network ;;
    esac
  done
}
feed_runner() {
  feed_node
  feed state-machine state-machine
  [ "$serializer" = host ] || feed serializer serializer
  [ "$storage" = host ] || { feed storage storage; feed snapshots storage; }
  feed_network network-server network-client
  [ "${network%%-*}" != guest ] || feed client-server client-server
  of_host logger host-control
}
feed_loop() {
  feed runner runner
  feed_network network-server-waits network-client-waits
  feed client-server-waits client-server
  of_storage
  of_host host-loop settings logger host-control
}

write_composition() {
  printf '// Written by compositions/compose.sh %s %s %s %s %s %s.\npackage synod:%s;\n\n' "$role" "$network" "$storage" "$serializer" \
    "$rule" "$host" "$key"
  node_parts
  io_parts
  feed_runner | part runner
  if [ "${network%%-*}" = guest ]; then
    feed_loop | part wasi-loop
    echo 'export wasi-loop["wasi:cli/run@0.2.12"];'
  else
    echo 'export runner["synod:paxos/runner@0.1.0"];'
    [ "$storage" = host ] || echo 'export storage["synod:paxos/identity@0.1.0"];'
  fi
}

# The components that the composition takes, by file.
part_names() {
  write_composition | sed -n "s/^let .* = new synod:\([a-z-]*\) {$/\1/p" | sort -u |
    sed "s/^leader-detector$/leader-detector-$rule/; s/^state-machine$/kv-store/"
}
if [ "${PARTS:-}" = list ]; then part_names; exit; fi

# component NAME: its file.
component() {
  if [ -n "${FAULTY:-}" ] && [ -e "$build/faulty/$1-faulty.wasm" ]; then echo "$build/faulty/$1-faulty.wasm"; else echo "$build/components/$1.wasm"; fi
}
nodes=$build/${FAULTY:+faulty/}nodes
mkdir -p "$nodes"
write_composition >"$nodes/$key.wac"
parts=("synod:leader-detector=$(component "leader-detector-$rule")" "synod:state-machine=${STATE_MACHINE:-$(component kv-store)}")
for name in $(part_names); do parts+=("synod:$name=$(component "$name")"); done
"$build/bin/wasm-build" compose "$nodes/$key.wac" "$nodes/$key.wasm" "${parts[@]}"
echo "$nodes/$key.wasm"
