#!/bin/sh
# Every SQL test is scheduled once, every expected file belongs to a test.
. "$(dirname "$0")/lib.sh"

scheduled=$(sed -n 's/^test://p' test/schedule | tr -s '[:blank:]' '\n' | grep .)
for file in $(files 'test/sql/*.sql'); do
    name=$(basename "$file" .sql)
    times=$(printf '%s\n' "$scheduled" | grep -cx "$name")
    [ "$times" = 1 ] || complain "$file: $times times in test/schedule, not once"
    [ -f "expected/$name.out" ] || complain "$file: expected/$name.out is missing"
done
for name in $scheduled; do
    [ -f "test/sql/$name.sql" ] || complain "test/schedule: there is no test/sql/$name.sql"
done
for file in $(files 'test/specs/*.spec'); do
    name=$(basename "$file" .spec)
    case $name in iso_*) ;; *) complain "$file: its name does not begin with iso_" ;; esac
    [ -f "expected/$name.out" ] || complain "$file: expected/$name.out is missing"
done
for file in $(files 'expected/*'); do
    name=$(basename "$file" .out)
    if [ -f "test/sql/$name.sql" ] || [ -f "test/specs/$name.spec" ]; then continue; fi
    # An alternative output needs its reason in the test's header.
    base=${name%_[0-9]}
    source=test/sql/$base.sql
    [ -f "$source" ] || source=test/specs/$base.spec
    if [ "$base" = "$name" ] || [ ! -f "$source" ]; then
        complain "$file: no test uses it"
    elif ! head -n 20 "$source" | grep -q "$name.out"; then
        complain "$file: an alternative output whose reason is not in the header of $source"
    fi
done
# Tests that neither make nor prove would find.
files 'test/t/*' | grep -vE '^test/t/([0-9]{3}_[a-z0-9_]+\.pl|full/[0-9]{3}_[a-z0-9_]+\.pl|[A-Za-z]+\.pm$|lib/|data/|.*\.md$)' |
    sed 's/$/: not named NNN_topic.pl, so no suite runs it/' | complain_each
finish
