#!/bin/sh
# demo/parts/30_lint_downs.sh: down scripts that look fine, and what they lose.
set -eu
. "$(dirname "$0")/../lib.sh"

shop=$(cd "$(dirname "$0")/../shop" && pwd)
cd "$DEMO_DIR"
cp -R "$shop" shop

say "A small shop with five migrations. Each has a down, each passed review:"
show tail -n +1 shop/*_drop_nick.*.sql shop/*_states.*.sql shop/*_cheaper.*.sql

say "Every tool calls that reversible. upg runs them, on tables with rows, and looks:"
show_failing upg lint --downs shop --html downs.html --junit downs.xml

say "CI gets a page, a JUnit file and an exit status: the build is red before the night of the rollback."
show wc -c downs.html downs.xml
show upg lint --downs shop --fail-on=never --quiet --json >downs.json
echo "$(grep -o '"lossy":[0-9]*' downs.json) down scripts would have lost rows or values"

say "It all happened in a scratch database of its own, which is gone; the bank's is untouched."
show psql -XAtc "SELECT count(*) FROM pg_database WHERE datname LIKE 'upg_lint%'"
