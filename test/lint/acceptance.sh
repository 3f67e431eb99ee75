#!/bin/sh
# test/acceptance.tsv names the script of every acceptance scenario, or says "none yet".
. "$(dirname "$0")/lib.sh"

map=test/acceptance.tsv
tab=$(printf '\t')
for n in $(seq -w 1 50); do
    times=$(grep -c "^AT$n$tab" "$map")
    [ "$times" = 1 ] || complain "$map: AT$n stands there $times times"
done
grep -v '^#' "$map" | while IFS="$tab" read -r id script what; do
    [ -n "$what" ] || echo "$map: $id: no third column"
    [ "$script" != "none yet" ] || continue
    for file in $script; do
        [ -f "$file" ] || echo "$map: $id: $file does not exist"
    done
done | complain_each
finish
