-- Scripts that one transaction cannot hold: how they are cut, run and resumed.
CREATE EXTENSION upg;
SET upg.undo = none;
SET client_min_messages = warning;
CREATE TABLE st (a int, b int);
INSERT INTO st SELECT g, g FROM generate_series(1, 100) g;

-- how scripts are cut
SELECT no, line, col, step, kind, transactional FROM upg_script_statements($$
CREATE TABLE a ();
CREATE INDEX CONCURRENTLY i ON a (x);
  INSERT INTO a DEFAULT VALUES; VACUUM a;
ALTER SYSTEM SET work_mem = '1MB'; CREATE TABLE b (); CREATE TABLE c ()$$);
SELECT no, step, kind FROM upg_script_statements('BEGIN; CREATE TABLE a (); COMMIT; BEGIN; CREATE TABLE b (); END; CREATE TABLE c ()');
SELECT statements, steps, transactional FROM upg_script_info('BEGIN; CREATE TABLE a (); INSERT INTO a DEFAULT VALUES; COMMIT;');
SELECT s AS mark, steps FROM unnest(ARRAY['-- +goose NO TRANSACTION', '-- migrate:up transaction:false',
    '-- atlas:txmode none', '-- no-transaction', '--changeset a:b runInTransaction:false', '-- run_in_transaction = false', '-- plain']) AS s,
    upg_script_info(s || chr(10) || 'SELECT 1; SELECT 2; SELECT 3');

-- an isolation level wants a transaction of its own, unless this one has it
SELECT statements, steps, transactional FROM upg_script_info('BEGIN; SET LOCAL work_mem = ''1MB''; SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT 1; COMMIT');
SELECT statements, steps, transactional FROM upg_script_info('BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT 1; COMMIT');
SELECT statements, steps, transactional FROM upg_script_info('BEGIN ISOLATION LEVEL READ COMMITTED; SELECT 1; COMMIT');
SELECT statements, steps, transactional FROM upg_script_info('SELECT 1; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE');
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT statements, steps, transactional FROM upg_script_info('BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT 1; COMMIT');
COMMIT;

-- transaction control that psql warns of, and what cannot be honoured
SELECT statements, steps, transactional, notes FROM upg_script_info('BEGIN; SELECT 1');
SELECT statements, steps, transactional, notes FROM upg_script_info('SELECT 1; COMMIT; SELECT 2');
SELECT statements, steps, transactional, notes FROM upg_script_info(E'SELECT 1;\nBEGIN ISOLATION LEVEL SERIALIZABLE; SELECT 2');
SELECT statements, steps, transactional, notes FROM upg_script_info(E'BEGIN; SELECT 1; COMMIT AND CHAIN;\nSELECT 2');
SELECT statements, steps, transactional, notes FROM upg_script_info('SELECT 1; BEGIN; VACUUM');
SELECT statements, steps, transactional, notes FROM upg_script_info(E'BEGIN;\nBEGIN; COMMIT');
SELECT statements, steps, transactional, notes FROM upg_script_info('SELECT 1; ROLLBACK');
SELECT * FROM upg_script_info(E'BEGIN;\nBEGIN ISOLATION LEVEL SERIALIZABLE; COMMIT');
SELECT * FROM upg_script_info(E'BEGIN;\nVACUUM; COMMIT');
SELECT * FROM upg_script_info('PREPARE TRANSACTION ''x''');
SELECT * FROM upg_script_info('COPY st FROM stdin');

-- written for a tool that begins a transaction around the file: ended in it, and begun anew for the tool to commit
SELECT statements, steps, transactional, notes FROM upg_script_info(E'SELECT 1;\nCOMMIT;\nBEGIN; SELECT 2');
SELECT no, step, kind FROM upg_script_statements('SELECT 1; COMMIT; VACUUM st; BEGIN;');
SELECT state, steps FROM upg_apply('n0', 'CREATE TABLE st_own (a int); COMMIT; CREATE INDEX CONCURRENTLY ON st_own (a); BEGIN; INSERT INTO st_own VALUES (1)');
CALL upg_wait('n0');
SELECT state FROM upg_migration_state('n0');
SELECT state, steps FROM upg_apply('n00', 'BEGIN; BEGIN; INSERT INTO st_own VALUES (2); COMMIT; COMMIT; BEGIN');
SELECT a FROM st_own ORDER BY a;
DROP TABLE st_own;

-- handed over, waited for
SELECT state, statements, steps FROM upg_apply('n1',
    'CREATE INDEX CONCURRENTLY st_a ON st (a); VACUUM st; UPDATE st SET b = b + 1; REINDEX INDEX CONCURRENTLY st_a',
    'DROP INDEX CONCURRENTLY st_a; UPDATE st SET b = b - 1');
CALL upg_wait('n1');
SELECT indexrelid::regclass, indisvalid FROM pg_index WHERE indrelid = 'st'::regclass;
SELECT sum(b) FROM st;
SELECT direction, state, step, statement_no, statement FROM upg_history('n1') ORDER BY attempt_id;
SELECT state FROM upg_apply('n1');
SELECT state FROM upg_rollback('n1');
CALL upg_wait('n1');
SELECT count(*) FROM pg_index WHERE indrelid = 'st'::regclass;
SELECT sum(b) FROM st;
SELECT state FROM upg_migration_state('n1');

-- several transactions are several steps; each commits for itself
SELECT state, steps FROM upg_apply('n2', 'BEGIN; UPDATE st SET b = b + 1; COMMIT; BEGIN; UPDATE st SET b = b + 1; SELECT 1/0; COMMIT');
CALL upg_wait('n2');
SELECT sum(b) FROM st;
SELECT state, steps_done, steps, attempt->>'sqlstate' AS sqlstate, attempt->>'statement_no' AS statement FROM upg_migration_state('n2');
-- what has run must stay as it was; what comes after may be mended
SELECT state FROM upg_apply('n2', 'BEGIN; UPDATE st SET b = b + 7; COMMIT; BEGIN; UPDATE st SET b = b + 1; COMMIT');
SELECT state FROM upg_apply('n2', 'BEGIN; UPDATE st SET b = b + 1; COMMIT; BEGIN; UPDATE st SET b = b + 1; COMMIT');
CALL upg_wait('n2');
SELECT sum(b) FROM st;

-- a failed CREATE INDEX CONCURRENTLY leaves nothing behind
INSERT INTO st VALUES (1, 0);
SELECT state FROM upg_apply('n3', 'CREATE UNIQUE INDEX CONCURRENTLY st_u ON st (a)');
CALL upg_wait('n3');
SELECT count(*) FROM pg_index WHERE indrelid = 'st'::regclass;
SELECT state, sqlstate, statement_no, line, col FROM upg_history('n3');
DELETE FROM st WHERE b = 0;
SELECT state FROM upg_apply('n3');
CALL upg_wait('n3');
SELECT indexrelid::regclass, indisvalid FROM pg_index WHERE indrelid = 'st'::regclass;

-- a new enum value used in the same script; code that commits
SELECT state, steps, warnings FROM upg_apply('n4',
    $$CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE moods (m mood); ALTER TYPE mood ADD VALUE 'happy'; INSERT INTO moods VALUES ('happy'); ALTER TYPE mood ADD VALUE 'calm'; INSERT INTO moods VALUES ('calm')$$);
CALL upg_wait('n4');
TABLE moods;
SELECT state, steps FROM upg_apply('n5', $$CREATE TABLE cnt (n int); DO 'BEGIN INSERT INTO cnt VALUES (1); COMMIT; INSERT INTO cnt VALUES (2); END'; INSERT INTO cnt VALUES (3)$$);
CALL upg_wait('n5');
SELECT array_agg(n ORDER BY n) FROM cnt;

-- role and settings go along, and SET lasts over the steps
CREATE ROLE regress_upg_steps;
GRANT upg_operator TO regress_upg_steps;
GRANT CREATE ON SCHEMA public TO regress_upg_steps;
CREATE SCHEMA elsewhere AUTHORIZATION regress_upg_steps;
SET ROLE regress_upg_steps;
SET search_path = elsewhere, public;
SELECT state FROM upg_apply('n6', 'CREATE TABLE mine (a int); CREATE INDEX CONCURRENTLY ON mine (a); SET search_path = public; VACUUM elsewhere.mine; CREATE TABLE second ()');
CALL upg_wait('n6');
RESET ROLE;
RESET search_path;
SELECT c.oid::regclass, r.rolname FROM pg_class c JOIN pg_roles r ON r.oid = relowner WHERE relname IN ('mine', 'second') ORDER BY 1;

-- each step at the level that it asks for
CREATE TABLE levels (level text);
SELECT state FROM upg_apply('n8', $$BEGIN; SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET LOCAL statement_timeout = 0;
    INSERT INTO levels VALUES (current_setting('transaction_isolation')); COMMIT;$$);
CALL upg_wait('n8');
SELECT state FROM upg_apply('n9', $$BEGIN; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; INSERT INTO levels VALUES (current_setting('transaction_isolation')); COMMIT;
    INSERT INTO levels VALUES (current_setting('transaction_isolation'));
    START TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; INSERT INTO levels VALUES (current_setting('transaction_isolation')); COMMIT;
    SELECT 1/count(*) FROM st WHERE b = -1$$);
CALL upg_wait('n9');
INSERT INTO st VALUES (0, -1);
-- goes on after the steps that are done
SELECT state FROM upg_apply('n9');
CALL upg_wait('n9');
TABLE levels;
-- where the transaction has it, at once
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT state FROM upg_apply('n10', $$SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; DELETE FROM levels$$);
COMMIT;
-- too late, as the server says
SELECT state FROM upg_apply('n11', $$INSERT INTO levels VALUES ('x'); SET TRANSACTION ISOLATION LEVEL REPEATABLE READ$$);
TABLE levels;

-- the handover happens at commit only
BEGIN;
SELECT state FROM upg_apply('n7', 'VACUUM st');
ROLLBACK;
SELECT state FROM upg_migration_state('n7');
CALL upg_wait('n7');
BEGIN;
SELECT state FROM upg_apply('n7', 'VACUUM st');
SELECT state FROM upg_migration_state('n7');
COMMIT;
CALL upg_wait('n7');
CALL upg_wait('n7', '0');

SELECT ok FROM upg_audit_verify();
DROP TABLE st, moods, cnt, levels, elsewhere.mine, second;
DROP TYPE mood;
DROP SCHEMA elsewhere;
DROP EXTENSION upg;
DROP SCHEMA IF EXISTS upg CASCADE;
REVOKE CREATE ON SCHEMA public FROM regress_upg_steps;
DROP ROLE regress_upg_steps;
