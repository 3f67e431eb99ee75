#!/bin/sh
# The 111 tricky cases of rollbacks: each is listed once, and each test that the list
# names for it says its number; and the same for the cases of verification.
. "$(dirname "$0")/lib.sh"

list=test/roundtrip/README.md
n=0
while [ "$n" -lt 111 ]; do
    n=$((n + 1))
    times=$(grep -c "^| $n | [^|]* | \`[^|]* |\$" "$list")
    [ "$times" = 1 ] || complain "$list: case $n is listed $times times, not once"
    for test in $(sed -n "s/^| $n | [^|]* | \(.*\) |\$/\1/p" "$list" | tr -d '\`,'); do
        file=
        for try in test/roundtrip/cases/$test.sql test/sql/$test.sql test/specs/$test.spec test/t/$test.pl; do
            [ ! -f "$try" ] || file=$try
        done
        if [ -z "$file" ]; then
            complain "$list: there is no test $test for case $n"
        elif ! grep -qE "^(-- case: |-- |# |\\\\echo # )([0-9]+, )*$n(,| )" "$file"; then
            complain "$file: does not say where it tests case $n"
        fi
    done
done

map=test/verification.tsv
tab=$(printf '\t')
for n in $(seq -w 1 15) $(seq 20 27) $(seq 30 34) $(seq 40 64) $(seq 70 77) $(seq 80 95); do
    times=$(grep -c "^T$n${tab}[^$tab]*$tab." "$map")
    [ "$times" = 1 ] || complain "$map: case T$n is listed $times times, not once"
    tests=$(grep "^T$n$tab" "$map" | cut -f 2)
    for test in $tests; do
        if [ ! -f "$test" ]; then
            complain "$map: T$n: $test does not exist"
        elif ! grep -qw "T$n" "$test"; then
            complain "$test: does not say where it tests case T$n"
        fi
    done
done
finish
