#!/bin/sh
# test/lint/run.sh [--no-tools]: run every lint, print a TAP line for each.
#
# --no-tools leaves out those that need a program beyond what building and testing
# need (their second line says "# needs: PROGRAM"); without it a missing program
# is a failure that names it.
set -u

here=$(cd "$(dirname "$0")" && pwd)
no_tools=
[ "${1:-}" != --no-tools ] || no_tools=1
n=0 bad=0
for lint in "$here"/*.sh; do
    name=$(basename "$lint" .sh)
    case $name in lib | run) continue ;; esac
    tool=$(sed -n '2s/^# needs: //p' "$lint")
    if [ -n "$tool" ] && [ -n "$no_tools" ]; then
        continue
    fi
    n=$((n + 1))
    if [ -n "$tool" ] && ! command -v "$tool" >/dev/null; then
        output="$tool is missing: make deps SETS=dev"
    elif output=$("$lint" 2>&1); then
        echo "ok $n - $name"
        continue
    fi
    echo "not ok $n - $name"
    printf '%s\n' "$output" | sed 's/^/# /'
    bad=1
done
echo "1..$n"
exit $bad
