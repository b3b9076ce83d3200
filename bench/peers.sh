#!/usr/bin/env bash
# The demo's load on Synod and on its peers, in turn, on this machine: three coordinator nodes (a WebAssembly component for each
# part, then one for each node, then the native build), etcd with three nodes, Redis with two asynchronous replicas, one Redis that syncs each write.
#
#   bench/peers.sh                    everything
#   bench/peers.sh synod etcd         only these (synod, node, native, etcd, replicas, always)
#   REQUESTS=20000 ROUNDS=3 bench/peers.sh
#
# What makes the figures comparable, and where they are not:
# - One load generator (`synod bench`), same clients, values and closed loop for all; all data in one folder on one disk.
# - Synod and etcd answer when a majority has synced. `always` syncs but has no replica; `replicas` promises neither: what
#   it answered can be lost. They are there as the two halves of what Synod does.
# - etcd is reached through its JSON gateway over HTTP, since the generator does not speak gRPC. That costs etcd CPU time:
#   its throughput with a gRPC client is higher. Taken with REQUESTS/ETCD_SHARE requests, since it takes longer.
# - Server CPU is that of all server processes, per answered request, from /proc.
set -euo pipefail
cd "$(dirname "$0")/.."

SYNOD=${SYNOD:-build/bin/synod}
REQUESTS=${REQUESTS:-200000}
CLIENTS=${CLIENTS:-500}
PROCESSES=${PROCESSES:-10}
VALUE_SIZE=${VALUE_SIZE:-64}
ROUNDS=${ROUNDS:-1}
ETCD_SHARE=${ETCD_SHARE:-5}
systems=("$@")
[ ${#systems[@]} -gt 0 ] || systems=(synod node native etcd replicas always)

fail() { echo "bench/peers.sh: $*" >&2; exit 1; }
[ -x "$SYNOD" ] || fail "$SYNOD is not there: run make build"

folder=$(mktemp -d "${TMPDIR:-/var/tmp}/synod-peers-XXXXXX")
results=$folder/results
pids=()

# Ends what `launch` started, and nothing else.
stop_all() {
    local pid
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do
        for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
        kill -9 "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    pids=()
}
trap 'stop_all; rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM

# launch LOG COMMAND...: in the background
launch() {
    local log=$1
    shift
    "$@" >"$log" 2>&1 &
    pids+=($!)
}

# wait_for SECONDS COMMAND...: until it succeeds
wait_for() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $deadline ] || fail "not ready in time: $* (logs: $(tail -n 3 "$folder"/*.log 2>/dev/null | tr '\n' ' '))"
        sleep 0.1
    done
}

# User and system time of all launched processes, in clock ticks.
cpu_ticks() {
    local pid sum=0 stat
    for pid in "${pids[@]}"; do
        stat=$(<"/proc/$pid/stat")
        stat=${stat##*) }
        # shellcheck disable=SC2086
        set -- $stat
        sum=$((sum + ${12} + ${13}))
    done
    echo $sum
}

# field NAME: a figure out of the statistics on standard input
field() { awk -v name="$1" '$1 == name { print $2; exit }'; }

# record SYSTEM STATISTICS CPU: one line of results
record() {
    printf '%s %s %s %s %s\n' "$1" "$(field Throughput <<<"$2")" "$(field Median <<<"$2")" "$(field P99 <<<"$2")" "$3" >>"$results"
    tail -n 1 "$results" | awk '{ printf "%-9s %8d requests/s  P50 %8.3f ms  P99 %8.3f ms  server CPU %7.2f us/request\n", $1, $2, $3, $4, $5 }'
}

# run_bench SYSTEM REQUESTS OPTIONS...: load on what was launched
run_bench() {
    local system=$1 requests=$2 before after statistics
    shift 2
    before=$(cpu_ticks)
    statistics=$("$SYNOD" bench --quiet --requests "$requests" --connections "$CLIENTS" --processes "$PROCESSES" \
        --value-size "$VALUE_SIZE" "$@") || fail "$system: the load failed: $statistics"
    after=$(cpu_ticks)
    record "$system" "$statistics" \
        "$(awk -v t=$((after - before)) -v hz="$(getconf CLK_TCK)" -v n="$requests" 'BEGIN { print t * 1e6 / hz / n }')"
    stop_all
}

run_demo() { # SYSTEM OPTIONS...
    local system=$1 output
    shift
    output=$(TMPDIR=$folder "$SYNOD" demo --clients "$CLIENTS" --processes "$PROCESSES" --requests "$REQUESTS" \
        --value-size "$VALUE_SIZE" "$@" 2>"$folder/demo.log") || fail "$system: the demo failed: $(cat "$folder/demo.log")"
    record "$system" "$output" "$(awk '$1 == "Server" { print $3 }' <<<"$output")"
}

run_synod() { run_demo synod; }
run_node() { run_demo node --granularity node; }
run_native() { run_demo native --native; }

run_etcd() {
    command -v etcd >/dev/null || fail "etcd is missing: apt-get install etcd-server etcd-client"
    local ports client=() peer=() cluster="" i endpoints="" leader=""
    read -r -a ports <<<"$(bench/free_ports.py 6)"
    for i in 0 1 2; do
        client[i]=127.0.0.1:${ports[i]}
        peer[i]=http://127.0.0.1:${ports[i + 3]}
        cluster+=${cluster:+,}node$i=${peer[i]}
        endpoints+=${endpoints:+,}${client[i]}
    done
    for i in 0 1 2; do
        launch "$folder/etcd-$i.log" env ETCD_UNSUPPORTED_ARCH="$(dpkg --print-architecture 2>/dev/null || true)" \
            etcd --name "node$i" --data-dir "$folder/etcd-$i" --listen-client-urls "http://${client[i]}" \
            --advertise-client-urls "http://${client[i]}" --listen-peer-urls "${peer[i]}" \
            --initial-advertise-peer-urls "${peer[i]}" --initial-cluster "$cluster" --initial-cluster-state new \
            --logger zap --log-level error
    done
    export ETCDCTL_API=3
    wait_for 30 etcdctl --endpoints "$endpoints" endpoint health
    leader=$(etcdctl --endpoints "$endpoints" endpoint status -w simple | awk -F', ' '$5 == "true" { print $1 }')
    run_bench etcd $((REQUESTS / ETCD_SHARE)) --protocol etcd-http --address "${leader:-${client[0]}}"
    rm -rf "$folder"/etcd-*
}

redis_ready() { redis-cli -p "$1" ping | grep -q PONG; }
replica_ready() { redis-cli -p "$1" info replication | grep -q 'master_link_status:up'; }

# redis NAME PORT OPTIONS...
redis() {
    command -v redis-server >/dev/null || fail "redis-server is missing: apt-get install redis-server"
    local name=$1 port=$2
    shift 2
    mkdir -p "$folder/$name"
    launch "$folder/$name.log" redis-server --port "$port" --bind 127.0.0.1 --dir "$folder/$name" --save "" --appendonly yes "$@"
    wait_for 10 redis_ready "$port"
}

run_replicas() {
    local ports i
    read -r -a ports <<<"$(bench/free_ports.py 3)"
    redis redis-0 "${ports[0]}" --appendfsync everysec
    for i in 1 2; do
        redis "redis-$i" "${ports[i]}" --appendfsync everysec --replicaof 127.0.0.1 "${ports[0]}"
        wait_for 30 replica_ready "${ports[i]}"
    done
    run_bench replicas "$REQUESTS" --address "127.0.0.1:${ports[0]}"
    rm -rf "$folder"/redis-*
}

run_always() {
    local port
    port=$(bench/free_ports.py 1)
    redis redis-0 "$port" --appendfsync always
    run_bench always "$REQUESTS" --address "127.0.0.1:$port"
    rm -rf "$folder"/redis-*
}

# Per system the medians over all rounds, and how many times the first one's.
summary() {
    awk '
        function median(list, n,    i, j, t) {
            for (i = 2; i <= n; i++)
                for (j = i; j > 1 && list[j] < list[j - 1]; j--) { t = list[j]; list[j] = list[j - 1]; list[j - 1] = t }
            return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
        }
        !($1 in runs) { order[++systems] = $1 }
        { n = ++runs[$1]; for (f = 2; f <= 5; f++) all[$1, f, n] = $f }
        END {
            printf "\n%-9s %12s %10s %10s %14s   ratio to %s: throughput  P50  P99  CPU\n", "system", "requests/s", "P50 ms", "P99 ms", "CPU us/request", order[1]
            for (s = 1; s <= systems; s++) {
                name = order[s]
                for (f = 2; f <= 5; f++) {
                    delete list
                    for (i = 1; i <= runs[name]; i++) list[i] = all[name, f, i] + 0
                    m[s, f] = median(list, runs[name])
                }
                printf "%-9s %12.0f %10.3f %10.3f %14.2f  ", name, m[s, 2], m[s, 3], m[s, 4], m[s, 5]
                for (f = 2; f <= 5; f++) printf " %6.2f", (m[1, f] > 0 ? m[s, f] / m[1, f] : 0)
                print ""
            }
        }' "$results"
}

for system in "${systems[@]}"; do
    declare -F "run_$system" >/dev/null || fail "unknown system '$system': synod, node, native, etcd, replicas, always"
done
echo "$REQUESTS SET requests of $VALUE_SIZE bytes, $CLIENTS clients in $PROCESSES processes, $(nproc) processors, data in $folder ($(stat -f -c %T "$folder"))"
for round in $(seq "$ROUNDS"); do
    [ "$ROUNDS" -eq 1 ] || echo "round $round"
    for system in "${systems[@]}"; do "run_$system"; done
done
summary
