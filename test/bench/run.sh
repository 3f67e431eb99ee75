#!/bin/sh
# test/bench/run.sh [NAME]...: run all benchmarks, or those named (bench_NAME.pl).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
if [ $# = 0 ]; then
    for script in "$here"/bench_*.pl; do
        name=$(basename "$script" .pl)
        set -- "$@" "${name#bench_}"
    done
fi
for name in "$@"; do
    script=$here/bench_$name.pl
    if [ ! -f "$script" ]; then
        echo "there is no benchmark \"$name\"; there are:" >&2
        for script in "$here"/bench_*.pl; do basename "$script" .pl | sed 's/^bench_/  /' >&2; done
        exit 2
    fi
    echo "== $name"
    perl "$script"
done
