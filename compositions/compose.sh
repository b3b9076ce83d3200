#!/usr/bin/env bash
# compose.sh ROLE [NETWORK [STORAGE [SERIALIZER [LEADER-RULE [HOST [GRANULARITY]]]]]]: makes one node from components.
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
#   GRANULARITY  parts (default): each part is a component; agents: each agent is one, with all that it calls; node: all that is
#                not I/O is one, the same for every role (needs the guest serializer, which it has inside). Where the leader
#                detector is inside, the node's configuration says which rule it follows
#
# Writes $BUILD/nodes/<key>.wac, which says how the node is put together, and $BUILD/nodes/<key>.wasm, whose path it prints;
# the key is the role (`node` for the granularity node), and every choice that is not the default. BUILD is the folder that holds components/ and nodes/,
# build/ by default. With PARTS=list it writes nothing, and prints the names of the components that it would take, one a
# line. synod:state-machine is the kv-store, or the component that $STATE_MACHINE names, and synod:leader-detector that of the
# rule, or the one that $LEADER_DETECTOR names. With FAULTY=yes all parts but those over WASI are the ones that break on demand
# (wit/faults.wit), and the node is written to $BUILD/faulty/nodes/. These three need the granularity parts.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=${BUILD:-$here/../build}

fail() { echo "compose.sh: $*" >&2; exit 1; }
choice() { # NAME VALUE ALLOWED...
  local name=$1 value=$2; shift 2
  case " $* " in *" $value "*) ;; *) fail "$name can be: $*; not $value" ;; esac
}

role=${1:?a role, for instance coordinator-node} network=${2:-host-tcp} storage=${3:-host} serializer=${4:-guest} rule=${5:-sticky} host=${6:-synod}
granularity=${7:-parts}
choice ROLE "$role" coordinator-node proposer-node acceptor-node learner-node
choice NETWORK "$network" host-tcp host-udp grpc guest-tcp guest-udp
choice STORAGE "$storage" host guest
choice SERIALIZER "$serializer" guest host
choice LEADER-RULE "$rule" sticky highest
choice HOST "$host" synod wasi
choice GRANULARITY "$granularity" parts agents node
case $role-$granularity in acceptor-node-* | learner-node-* | *-agents | *-node) rule=sticky ;; esac # no leader detector to choose
[ "$host" = synod ] || [ "${network%%-*}-$storage-$serializer" = guest-guest-guest ] ||
  fail "a node for any WASI host needs a guest network, guest storage and the guest serializer"
[ "$granularity-$serializer" != node-host ] ||
  fail "GRANULARITY node has the serializer inside; SERIALIZER host needs the granularity parts or agents"
for replaced in STATE_MACHINE LEADER_DETECTOR FAULTY; do
  [ -z "${!replaced:-}" ] || [ "$granularity" = parts ] ||
    fail "$replaced: with GRANULARITY $granularity that part is inside a larger component; to replace it takes the granularity parts"
done

key=$role
[ "$granularity" != node ] || key=node
[ "${network%%-*}" != guest ] || key+=-$network
[ "$storage" = host ] || key+=-guest-storage
[ "$serializer" = guest ] || key+=-host-serializer
[ "$rule" = sticky ] || key+=-highest
[ "$host" = synod ] || key+=-wasi
[ "$granularity" != agents ] || key+=-agents

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

# agent NAME: with its parts inside, or composed of them.
agent() { if [ "$granularity" = agents ]; then part "$1-agent" "whole-$1-agent" </dev/null; else "$1_parts"; fi; }

# What tells the runner which commands there are. Where nothing is executed, the client port still tells them.
case $granularity-$role in
  agents-coordinator-node | agents-learner-node) machine=learner-agent ;;
  *) machine=state-machine ;;
esac

# The roles. The runner's `node` is the coordinator, or the one agent, whose interface has the same shape under another name.
node_parts() {
  [ "$machine" != state-machine ] || part state-machine </dev/null
  case $role in
    proposer-node) agent proposer ;;
    acceptor-node) agent acceptor ;;
    learner-node) agent learner ;;
    coordinator-node)
      agent proposer
      agent acceptor
      agent learner
      { feed proposer-agent proposer-agent; feed acceptor-agent acceptor-agent; feed learner-agent learner-agent; } | part coordinator
      ;;
  esac
}
feed_node() {
  if [ "$role" = coordinator-node ]; then feed node coordinator; else feed node "${role%-node}-agent" "${role%-node}-agent"; fi
}

runner=runner
[ "$granularity" != node ] || runner=whole-node

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
  [ "$serializer" = host ] || [ "$granularity" = node ] || part serializer </dev/null
}
feed_network() { # INTERFACES...: from the part that has this end of the network
  for i; do
    case $network in
      guest-tcp) feed "$i" "${i%-waits}" ;;
      guest-udp) feed "$i" udp-network ;;
    esac
  done
}
# What is in one component with the runner at the granularity node.
feed_inside() {
  feed_node
  feed state-machine "$machine"
  [ "$serializer" = host ] || feed serializer serializer
}
feed_runner() {
  [ "$granularity" = node ] || feed_inside
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
  printf '// Written by compositions/compose.sh %s %s %s %s %s %s %s.\npackage synod:%s;\n\n' "$role" "$network" "$storage" "$serializer" \
    "$rule" "$host" "$granularity" "$key"
  [ "$granularity" = node ] || node_parts
  io_parts
  feed_runner | part runner "$runner"
  if [ "${network%%-*}" = guest ]; then
    feed_loop | part wasi-loop
    echo 'export wasi-loop["wasi:cli/run@0.2.12"];'
  else
    echo 'export runner["synod:paxos/runner@0.1.0"];'
    [ "$storage" = host ] || echo 'export storage["synod:paxos/identity@0.1.0"];'
  fi
}

# The components that the composition takes, by the names that it has for them.
names() { write_composition | sed -n "s/^let .* = new synod:\([a-z-]*\) {$/\1/p" | sort -u; }
if [ "${PARTS:-}" = list ]; then
  names | sed "s/^leader-detector$/leader-detector-$rule/; s/^state-machine$/kv-store/"
  exit
fi

# component NAME: its file.
component() {
  if [ -n "${FAULTY:-}" ] && [ -e "$build/faulty/$1-faulty.wasm" ]; then echo "$build/faulty/$1-faulty.wasm"; else echo "$build/components/$1.wasm"; fi
}
nodes=$build/${FAULTY:+faulty/}nodes
mkdir -p "$nodes"
write_composition >"$nodes/$key.wac"
parts=()
for name in $(names); do
  case $name in
    leader-detector) file=${LEADER_DETECTOR:-$(component "leader-detector-$rule")} ;;
    state-machine) file=${STATE_MACHINE:-$(component kv-store)} ;;
    *) file=$(component "$name") ;;
  esac
  parts+=("synod:$name=$file")
done
"$build/bin/wasm-build" compose "$nodes/$key.wac" "$nodes/$key.wasm" "${parts[@]}"
echo "$nodes/$key.wasm"
