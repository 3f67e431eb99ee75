-- A script's savepoints end with it, also when it fails inside them.
\set VERBOSITY terse
CREATE EXTENSION upg;
SET upg.undo = none;
SET client_min_messages = error;
-- The caller catches the error: nothing of the script is left.
BEGIN;
DO $$
BEGIN
    PERFORM upg_apply('inside', 'CREATE TABLE savepoints_1 (i int); SAVEPOINT a; CREATE TABLE savepoints_2 (i int); SAVEPOINT b; SELECT 1 / 0');
EXCEPTION WHEN division_by_zero THEN
    NULL;
END $$;
CREATE TABLE savepoints_after (i int);
COMMIT;
SELECT to_regclass('savepoints_1') AS one, to_regclass('savepoints_2') AS two,
       to_regclass('savepoints_after') AS after;
SELECT state FROM upg_migration_state('inside');
-- Left open, released, rolled back to
SELECT state FROM upg_apply('open', 'CREATE TABLE savepoints_1 (i int); SAVEPOINT a; INSERT INTO savepoints_1 VALUES (1); SAVEPOINT a; INSERT INTO savepoints_1 VALUES (2); ROLLBACK TO a; INSERT INTO savepoints_1 VALUES (3); RELEASE a; SAVEPOINT c',
    'SAVEPOINT x; DROP TABLE savepoints_1; SELECT 1 / 0');
SELECT * FROM savepoints_1 ORDER BY i;
BEGIN;
DO $$
BEGIN
    PERFORM upg_rollback('open');
EXCEPTION WHEN division_by_zero THEN
    NULL;
END $$;
COMMIT;
SELECT count(*) FROM savepoints_1;
SELECT state FROM upg_migration_state('open');
SELECT upg_apply('unknown savepoint', 'SAVEPOINT a; ROLLBACK TO b');
SELECT name, direction, state, statement_no, sqlstate FROM upg_history() WHERE state <> 'succeeded' ORDER BY attempt_id;
DROP TABLE savepoints_1, savepoints_after;
DROP EXTENSION upg;
