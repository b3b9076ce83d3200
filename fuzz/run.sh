#!/usr/bin/env bash
# Runs the fuzzers that a build folder holds (BUILD/bin/fuzz_*), as many at a time as there are cores, or JOBS of them.
#
#   fuzz/run.sh BUILD SECONDS [FUZZER...]
#
# Each starts from the inputs in fuzz/corpus and those it found before in BUILD/corpus, where new ones go, and gets a line. If one
# finds something, its log and the command that shows it again are named, and the exit code is not 0.
set -euo pipefail
cd "$(dirname "$0")/.."

# fuzz BUILD SECONDS NAME
fuzz() {
  local build=$1 seconds=$2 name=$3 status=0
  local log=$build/$name.log found=$build/corpus/$name kept=fuzz/corpus/$name
  mkdir -p "$found" "$kept"
  "$build/bin/$name" -max_total_time="$seconds" -timeout=60 -print_final_stats=1 -artifact_prefix="$build/$name-" \
    "$found" "$kept" >"$log" 2>&1 || status=$?
  awk -v name="$name" -v inputs="$(find "$found" "$kept" -type f | wc -l)" '
    { for (i = 1; i < NF; i++) if ($i == "cov:") places = $(i + 1) }
    $1 == "stat::number_of_executed_units:" { executions = $2 }
    END { printf "%-18s %9d executions %6d places reached %6d inputs\n", name, executions, places, inputs }' "$log"
  [ "$status" -ne 0 ] || return 0
  echo "$name: FAILED with exit code $status, see $log"
  sed -n "s|.*Test unit written to |$name: again: $build/bin/$name |p" "$log"
  return 1
}

export -f fuzz
build=$1 seconds=$2
shift 2
[ $# -gt 0 ] || mapfile -t names < <(find "$build/bin" -name 'fuzz_*' -printf '%f\n' | sort)
printf '%s\n' "${@:-${names[@]}}" | xargs -P "${JOBS:-$(nproc)}" -I{} bash -c "fuzz '$build' '$seconds' {}"
