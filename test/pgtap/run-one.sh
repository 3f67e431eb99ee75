#!/bin/sh
# test/pgtap/run-one.sh FILE: run one pgTAP file in a database of its own.
#
# The database is made empty and dropped afterwards; the file creates the
# extensions that it needs.  An SQL error ends the file with a non-zero status,
# so that prove counts it as failed even when every case before it passed.
set -eu

db=pgtap_$(basename "$1" .sql)
psql -XAtq -d postgres -c "DROP DATABASE IF EXISTS \"$db\"" -c "CREATE DATABASE \"$db\"" >/dev/null 2>&1
status=0
psql -XAtq -v ON_ERROR_STOP=1 -d "$db" -f "$1" || status=$?
psql -XAtq -d postgres -c "DROP DATABASE \"$db\"" >/dev/null
exit $status
