#!/bin/sh
# demo/parts/10_upgrade.sh: a bank's next version, under load, there and back.
set -eu
. "$(dirname "$0")/../lib.sh"

cp -r "$(dirname "$0")/../bank" "$DEMO_DIR/bank"
cd "$DEMO_DIR"

say "A bank with a million accounts (pgbench, scale 10). Its customers come and go all the while:"
customers_start
show psql -Xc '\dt+'

say "Its next version is a directory of plain SQL files, none of which says how to go back. Nothing"
say "has to be prepared but this:"
show upg init
schema_of bank >before.sql
show ls bank

say "What would run, and how?"
show upg plan bank

say "Up. The files hold their own transactions, a concurrent index, an enum value used at once."
say "One of them is wrong, so this fails:"
show_failing upg up bank

say "What came before it stays, nothing of the failed one does, and its record survived its rollback:"
show upg status bank
show psql -Xxc "SELECT name, state, statement_no, line, sqlstate, message, hint
  FROM upg_history('0013_interest', 1)"

say "The column is called bid. Repair the file, and go on:"
show sed -i 's/SELECT branch,/SELECT bid,/' bank/0013_interest.sql
show upg up bank
show psql -Xc "SELECT status, count(*) FROM pgbench_accounts GROUP BY status ORDER BY 1"

say "What happened last, the failure too:"
show upg history --limit=5

say "And back, all of it, while the customers are still at work. Nobody wrote a down script; what the"
say "customers did since is kept, or set aside where its table goes away:"
show_timed upg down --all --yes
schema_of bank >after.sql
show cmp before.sql after.sql
echo "the schema is what it was"

say "The audit trail of all this, each entry chained to the one before:"
show upg audit verify

say "And the customers?"
customers_stop
