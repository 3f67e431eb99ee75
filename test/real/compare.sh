#!/bin/sh
# test/real/compare.sh: does a directory of migrations go up with upg as it does with psql?
#
#   test/real/compare.sh DIR...
#
# For each directory two databases are made, side by side on one private server.
# "upg up DIR" migrates the first, psql runs the same files in the same order in
# the second, each file as its author wrote it.  Then pg_dump of both must be
# equal.  A file that psql itself cannot run on this server ends the comparison
# there; upg must stop at the same file.  Nothing is fetched.
#
# Layouts that psql can run as they are: a file or folder for each migration.
# Exit status: 0 if every directory came out equal.
set -u

top=$(cd "$(dirname "$0")/../.." && pwd)
[ $# -gt 0 ] || { echo "usage: compare.sh DIR..." >&2; exit 2; }

server=$(mktemp -d /tmp/upg.XXXXXX)
work=$(mktemp -d /tmp/upg.XXXXXX)
trap '"$top/scripts/server.sh" destroy "$server"; rm -rf "$work"' EXIT
make -s -C "$top" all >"$work/build.log" 2>&1 || { cat "$work/build.log" >&2; exit 1; }
"$top/scripts/server.sh" start "$server" fsync=off || exit 1
eval "$("$top/scripts/server.sh" env "$server")"
upg=$top/cli/upg

dump() {
    pg_dump -d "$1" --schema-only --exclude-schema=upg |
        grep -v -e '^\\restrict' -e '^\\unrestrict' -e '^-- Dumped'
}

passed=0 failed=0
for dir; do
    psql -qX -d postgres -c 'DROP DATABASE IF EXISTS by_upg' -c 'DROP DATABASE IF EXISTS by_psql' \
        -c 'CREATE DATABASE by_upg' -c 'CREATE DATABASE by_psql' 2>/dev/null
    "$upg" -q -d by_upg init >/dev/null
    psql -qX -d by_psql -c 'CREATE EXTENSION upg' 2>/dev/null
    if ! "$upg" -d by_upg plan --json "$dir" >"$work/plan.json" 2>"$work/plan.err"; then
        echo "not ok - $dir: no plan"; sed 's/^/#   /' "$work/plan.err"
        failed=$((failed + 1)); continue
    fi
    "$upg" -d by_upg up "$dir" >"$work/up.out" 2>"$work/up.err"
    status=$?
    stopped=$(sed -n 's/.*stopped at "\(.*\)"$/\1/p' "$work/up.err")

    perl -MJSON::PP -0777 -ne '
        print "$_->{name}\t$_->{file}\n" for @{decode_json($_)->{plan}}' \
        "$work/plan.json" >"$work/files"
    total=$(wc -l <"$work/files") at=
    while IFS="$(printf '\t')" read -r name file; do
        psql -qX -v ON_ERROR_STOP=1 -d by_psql -f "$file" >/dev/null 2>"$work/psql.err" </dev/null ||
            { at=$name; break; }
    done <"$work/files"

    applied=$(psql -AtX -d by_upg -c "SELECT count(*) FROM upg_status() WHERE state = 'applied'")
    if [ "$at" != "$stopped" ]; then
        echo "not ok - $dir: upg stopped at \"$stopped\" (exit $status), psql at \"$at\""
        grep -h error "$work/up.err" "$work/psql.err" | head -3 | sed 's/^/#   /'
        failed=$((failed + 1)); continue
    fi
    if [ -n "$at" ]; then
        # psql leaves the part of the file before the error where the file opens no transaction.
        echo "ok - $dir: $applied of $total, then both stop at \"$at\": $(grep -h -m1 ERROR "$work/psql.err" | sed 's/.*ERROR:  *//')"
        passed=$((passed + 1)); continue
    fi
    dump by_upg >"$work/a.sql"; dump by_psql >"$work/b.sql"
    if cmp -s "$work/a.sql" "$work/b.sql"; then
        echo "ok - $dir: $applied of $total applied, pg_dump equal"
        passed=$((passed + 1))
    else
        echo "not ok - $dir: $applied of $total applied, pg_dump differs"
        diff "$work/b.sql" "$work/a.sql" | head -10 | sed 's/^/#   /'
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
