#!/bin/sh
# uv_names.sh LIBRARY OBJECTS...: fails when the objects define a function that the library defines, too, or call libuv.
library=$1
shift
defined=$(mktemp)
trap 'rm -f "$defined"' EXIT
nm -g --defined-only "$library" | awk 'NF == 3 && $3 !~ /^_/ { print $3 }' | sort -u >"$defined"
twice=$(nm -g --defined-only "$@" | awk 'NF == 3 && $3 !~ /^_/ { print $3 }' | sort -u | comm -12 - "$defined")
calls=$(nm -u "$@" | awk '$2 ~ /^uv_/ || $2 == "logger_log" { print $2 }' | sort -u)
[ -z "$twice$calls" ] && exit 0
echo "sim/uv_names.h or sim/include/uv.h lacks:" $twice $calls >&2
exit 1
