#!/bin/sh
# demo/parts/25_after_a_day.sh: a rollback after a day of life: what is merged, kept, in conflict.
set -eu
. "$(dirname "$0")/../lib.sh"

cd "$DEMO_DIR"
mkdir -p service
cat >service/0001_service.sql <<'SQL'
-- The tellers get moods, the older ones a remark, and customers a place to complain.
ALTER TABLE pgbench_tellers ADD COLUMN mood text NOT NULL DEFAULT 'calm';
UPDATE pgbench_tellers SET filler = 'senior' WHERE tid <= 20;
CREATE TABLE complaints (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tid int NOT NULL REFERENCES pgbench_tellers,
    words text NOT NULL
);
SQL

say "A small migration, without a down script; its undo is proven while it is applied:"
show upg init
show upg drift --record
show cat service/0001_service.sql
show upg up --undo=required service

say "A day goes by (in eight seconds): customers come and go, tellers are busy, a DBA helps herself to an index."
customers_start
sleep 4
show psql -Xq -c "UPDATE pgbench_tellers SET mood = 'busy' WHERE tid IN (3, 4)" \
    -c "UPDATE pgbench_tellers SET filler = 'on leave' WHERE tid = 7" \
    -c "INSERT INTO complaints (tid, words) VALUES (7, 'nobody there'), (3, 'in a hurry')" \
    -c "CREATE INDEX tellers_by_balance ON pgbench_tellers (tbalance)"
sleep 4

say "Who changed the schema, besides the migration?"
show_failing upg drift
show_failing upg drift --script adopt

say "The new version has to go. What would a rollback do to the rows of this day?"
show upg down --dry-run

say "Then take it back, while the customers are still there:"
show_timed upg down --yes

say "Rows of the migration that nobody touched are as before, the others are merged column by column."
say "Teller 7 is the one that both had changed, so a person should look:"
show psql -Xxc "SELECT table_name, key, column_name, rtrim(application) AS application, what FROM upg_rollback_conflicts('0001_service')"
say "What has no place in the old schema is set aside, not lost:"
show psql -Xc "SELECT table_name, key, data FROM upg_kept_rows('0001_service') WHERE table_name LIKE '%complaints' OR data <> '{\"mood\": \"calm\"}'"
say "The index of the DBA is still there, and the money adds up:"
show psql -Xc '\d pgbench_tellers'
customers_stop
show psql -Xc "SELECT (SELECT sum(tbalance) FROM pgbench_tellers) AS tellers, (SELECT sum(abalance) FROM pgbench_accounts) AS accounts,
  (SELECT sum(bbalance) FROM pgbench_branches) AS branches, (SELECT sum(delta) FROM pgbench_history) AS history"
test "$(psql -XAtc "SELECT (SELECT sum(tbalance) FROM pgbench_tellers) = (SELECT sum(delta) FROM pgbench_history)")" = t

say "Next week it goes up again, and what was set aside comes back:"
show upg up --undo=required service
show upg put-back 0001_service
show psql -Xc "SELECT c.id, c.tid, t.mood, c.words FROM complaints c JOIN pgbench_tellers t USING (tid) ORDER BY 1"
