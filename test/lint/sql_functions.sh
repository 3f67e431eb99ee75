#!/bin/sh
# Install scripts: each function has COMMENT, REVOKE, volatility and a safe path.
. "$(dirname "$0")/lib.sh"

# shellcheck disable=SC2046 # no blanks in our file names
perl test/lint/sql_functions.pl $(files 'sql/install/*.sql') | complain_each
finish
