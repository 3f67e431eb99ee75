#!/bin/sh
# demo/parts/20_automatic_down.sh: no down scripts at all, and everything comes back.
set -eu
. "$(dirname "$0")/../lib.sh"

cd "$DEMO_DIR"
mkdir -p no_downs
cat >no_downs/0001_drop_filler.sql <<'SQL'
-- Nobody reads it, surely.
ALTER TABLE pgbench_accounts DROP COLUMN filler;
SQL
cat >no_downs/0002_bigger_balances.sql <<'SQL'
ALTER TABLE pgbench_branches ALTER COLUMN bbalance TYPE numeric(20, 4);
UPDATE pgbench_branches SET bbalance = round(bbalance / 3, 4);
SQL
cat >no_downs/0003_moods.sql <<'SQL'
CREATE TYPE mood AS ENUM ('calm', 'busy');
ALTER TABLE pgbench_tellers ADD COLUMN mood mood NOT NULL DEFAULT 'calm';
SQL
cat >no_downs/0004_new_mood.sql <<'SQL'
ALTER TYPE mood ADD VALUE 'closed' BEFORE 'busy';
SQL
cat >no_downs/0005_forget_tellers.sql <<'SQL'
DELETE FROM pgbench_tellers WHERE tid > 50;
TRUNCATE pgbench_history;
DROP TABLE pgbench_branches CASCADE;
SQL

say "Five migrations: a dropped column, a changed type, an enum value, a rewrite, rows deleted,"
say "a table dropped. Nobody wrote a down script for any of them."
show upg init
show tail -n +1 no_downs/*.sql

say "upg records how to take them back while they run, and refuses what it cannot prove it can:"
show psql -Xc "SELECT upg_library_version()" -c "SHOW upg.undo"
show upg plan no_downs
fingerprint="SELECT upg_schema_fingerprint()"
rows="SELECT md5(string_agg(t::text, '|' ORDER BY aid)) FROM pgbench_accounts t
 UNION ALL SELECT md5(string_agg(t::text, '|' ORDER BY bid)) FROM pgbench_branches t
 UNION ALL SELECT md5(string_agg(t::text, '|' ORDER BY tid)) FROM pgbench_tellers t"
psql -XAtc "$fingerprint" -c "$rows" >before.sums

show upg up no_downs
show psql -Xc "SELECT migration, undo, duration FROM upg_status()"
show psql -Xc '\d pgbench_tellers'

say "What would a rollback of the last one do?"
show psql -Xc "SELECT migration, state, cardinality(warnings) AS actions, warnings[1:3] AS the_first
  FROM upg_rollback(options => '{\"dry_run\": true}')"

say "And back. A million accounts get their dropped column again, in its old place:"
show_timed upg down --all --yes
show psql -Xc '\d pgbench_accounts'

psql -XAtc "$fingerprint" -c "$rows" >after.sums
say "The schema's fingerprint and the checksums of all rows, before and after:"
show cmp before.sums after.sums
echo "schema and data are what they were"
show upg audit verify
