-- Migrations of several steps: each step is captured and proven for itself, and
-- all of them are taken back, the latest first.
\set VERBOSITY terse
SET client_min_messages = error;
CREATE EXTENSION upg;
SET upg.undo = required;
CREATE TABLE acc (id int PRIMARY KEY, kind text, bal int);
INSERT INTO acc SELECT g, 'k' || g % 3, g FROM generate_series(1, 500) g;
CREATE INDEX acc_kind ON acc (kind);
CREATE TYPE mood AS ENUM ('good');
CREATE TABLE parted (id int, v text) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (10) TO (20);
INSERT INTO parted SELECT g, 'v' FROM generate_series(0, 19) g;
CREATE VIEW now_is AS SELECT upg_schema_fingerprint(ARRAY['public']) AS schema,
    (SELECT md5(string_agg(acc::text, '|' ORDER BY id)) FROM acc) ||
    (SELECT md5(string_agg(parted::text, '|' ORDER BY id)) FROM parted) AS data,
    'acc_kind'::regclass::oid || ' ' || (SELECT string_agg(c.relname || i.indisvalid, ' ' ORDER BY c.relname)
        FROM pg_index i JOIN pg_class c ON c.oid = indexrelid WHERE indrelid IN ('acc'::regclass)) AS indexes;
CREATE TABLE was AS SELECT * FROM now_is;
DROP VIEW now_is;
CREATE FUNCTION is_back() RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' ', CASE WHEN schema = upg_schema_fingerprint(ARRAY['public']) THEN 'schema' END,
    CASE WHEN data = (SELECT md5(string_agg(acc::text, '|' ORDER BY id)) FROM acc) ||
    (SELECT md5(string_agg(parted::text, '|' ORDER BY id)) FROM parted) THEN 'data' END,
    CASE WHEN indexes = to_regclass('acc_kind')::oid || ' ' || (SELECT string_agg(c.relname || i.indisvalid, ' ' ORDER BY c.relname)
        FROM pg_index i JOIN pg_class c ON c.oid = indexrelid WHERE indrelid IN ('acc'::regclass)) THEN 'indexes' END) FROM was $$;
-- the helpers belong to what was
UPDATE was SET schema = upg_schema_fingerprint(ARRAY['public']);
SELECT is_back();

-- an index built beside the traffic
SELECT state FROM upg_apply('cic', 'CREATE INDEX CONCURRENTLY acc_bal ON acc (bal)');
CALL upg_wait('cic');
SELECT migration, state, undo FROM upg_status() WHERE migration = 'cic';
SELECT verdict, count(*) > 0 AS there FROM upg.undo_log WHERE state = 'kept' GROUP BY 1 ORDER BY 1;
SELECT state, undo FROM upg_rollback('cic');
SELECT is_back(), to_regclass('acc_bal');

-- 31 dropped beside the traffic: it comes back with its OID, and with all rows
SELECT state FROM upg_apply('dic', 'DROP INDEX CONCURRENTLY acc_kind');
CALL upg_wait('dic');
SELECT migration, state, undo, to_regclass('acc_kind') FROM upg_status() WHERE migration = 'dic';
INSERT INTO acc VALUES (501, 'since', 1);
SELECT state, undo FROM upg_rollback('dic');
SET enable_seqscan = off;
SELECT id FROM acc WHERE kind = 'since';
RESET enable_seqscan;
DELETE FROM acc WHERE id = 501;
SELECT is_back();

-- 51 built anew, as one step among others
SELECT state FROM upg_apply('mixed', $$
    ALTER TABLE acc ADD c int DEFAULT 7;
    REINDEX INDEX CONCURRENTLY acc_kind;
    UPDATE acc SET bal = bal + 1;
    VACUUM acc;
    CREATE INDEX CONCURRENTLY ON acc (c);
    DELETE FROM acc WHERE id > 400$$);
CALL upg_wait('mixed');
SELECT migration, state, undo FROM upg_status() WHERE migration = 'mixed';
SELECT migration, state, undo, cardinality(warnings) > 3 AS plan FROM upg_rollback('mixed', options => '{"dry_run": true}');
SELECT state, undo FROM upg_rollback('mixed');
SELECT is_back();

-- several transactions of the script's own
SELECT state FROM upg_apply('transactions', $$
    BEGIN; CREATE TABLE one (a int); INSERT INTO one VALUES (1); UPDATE acc SET kind = 'x' WHERE id < 10; COMMIT;
    BEGIN; ALTER TABLE one ADD b int; UPDATE one SET b = 2; UPDATE acc SET kind = 'y' WHERE id < 20; COMMIT;
    BEGIN; DROP TABLE one; DELETE FROM acc WHERE kind = 'y'; COMMIT$$);
CALL upg_wait('transactions');
SELECT migration, state, undo FROM upg_status() WHERE migration = 'transactions';
SELECT state, undo FROM upg_rollback('transactions');
SELECT is_back();

-- a value of an enum that is used at once
SELECT state FROM upg_apply('enum', $$ALTER TYPE mood ADD VALUE 'bad'; CREATE TABLE feel (m mood DEFAULT 'bad'); INSERT INTO feel VALUES ('bad')$$);
CALL upg_wait('enum');
SELECT migration, state, undo FROM upg_status() WHERE migration = 'enum';
SELECT state, undo FROM upg_rollback('enum');
SELECT is_back(), enum_range(NULL::mood);

-- a partition detached beside the traffic
SELECT state FROM upg_apply('detach', 'ALTER TABLE parted DETACH PARTITION parted_2 CONCURRENTLY');
CALL upg_wait('detach');
SELECT migration, state, undo, (SELECT count(*) FROM parted) FROM upg_status() WHERE migration = 'detach';
SELECT state, undo FROM upg_rollback('detach');
SELECT is_back();

-- code that commits: each of its transactions is captured
SELECT state FROM upg_apply('commits', $$DO $do$ BEGIN
    FOR i IN 1..3 LOOP
        UPDATE acc SET bal = bal * 2 WHERE id % 3 = i - 1;
        EXECUTE format('CREATE TABLE part_%s (a int)', i);
        COMMIT;
    END LOOP;
    DROP TABLE part_2;
END $do$; $$);
CALL upg_wait('commits');
SELECT migration, state, undo FROM upg_status() WHERE migration = 'commits';
SELECT count(*) AS logs FROM upg.undo_log l JOIN upg.migrations m ON m.migration_id = l.migration WHERE m.name = 'commits' AND l.state = 'kept';
SELECT state, undo FROM upg_rollback('commits');

-- and if none of them changes anything, nothing is the way back
SELECT state FROM upg_apply('commits nothing', $$DO $do$ BEGIN
    PERFORM count(*) FROM acc; COMMIT; PERFORM 1; COMMIT; END $do$; $$);
CALL upg_wait('commits nothing');
SELECT migration, state, undo FROM upg_status() WHERE migration = 'commits nothing';
SELECT state, undo FROM upg_rollback('commits nothing');
SELECT is_back();

-- a step that fails leaves the others, which can be taken back
SELECT state FROM upg_apply('half', $$
    BEGIN; CREATE TABLE half (a int); UPDATE acc SET bal = 0; COMMIT;
    BEGIN; SELECT 1 / 0; COMMIT$$);
CALL upg_wait('half');
SELECT migration, state, undo FROM upg_status() WHERE migration = 'half';
SELECT state, undo FROM upg_rollback('half');
SELECT is_back();

-- a step that cannot be taken back takes those before it back, too
SELECT state FROM upg_apply('refused', $$
    BEGIN; UPDATE acc SET bal = 0; COMMIT;
    CREATE INDEX CONCURRENTLY acc_bal ON acc (bal);
    DO $do$ BEGIN EXECUTE 'COPY acc TO PROGRAM ''cat >/dev/null'''; END $do$; $$);
CALL upg_wait('refused');
SELECT migration, state, undo FROM upg_status() WHERE migration = 'refused';
SELECT sqlstate, detail ~ 'the steps done were taken back' FROM upg.attempts WHERE migration = 'refused' AND state = 'failed';
SELECT is_back();

-- what no step can take back is refused before anything runs
SELECT state FROM upg_apply('sys', 'CREATE TABLE never (); ALTER SYSTEM SET work_mem = 1000');
SELECT state FROM upg_apply('db', 'CREATE TABLE never (); CREATE DATABASE never');
SELECT to_regclass('never');
SELECT count(*) FROM upg_status() WHERE migration IN ('sys', 'db');

-- 50 an index that cannot be built leaves nothing, and is built when it can be
UPDATE acc SET bal = 1;
SELECT state FROM upg_apply('unique', 'CREATE UNIQUE INDEX CONCURRENTLY acc_bal ON acc (bal)');
CALL upg_wait('unique');
SELECT migration, state, undo, to_regclass('acc_bal') FROM upg_status() WHERE migration = 'unique';
UPDATE acc SET bal = id;
SELECT is_back();
SELECT state FROM upg_apply('unique');
CALL upg_wait('unique');
SELECT migration, state, undo FROM upg_status() WHERE migration = 'unique';
SELECT state, undo FROM upg_rollback('unique');
SELECT is_back();

-- at an isolation level of its own
SELECT state FROM upg_apply('level', 'BEGIN; SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; ALTER TABLE acc DROP COLUMN kind; UPDATE acc SET bal = 3; CREATE TABLE made AS SELECT * FROM acc; COMMIT');
CALL upg_wait('level');
SELECT state, undo FROM upg_status() WHERE migration = 'level';
SELECT state, undo FROM upg_rollback('level');
SELECT is_back();

-- statements that a client sends itself
BEGIN;
SELECT upg_begin('client', NULL, NULL, NULL, '{"sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}');
ALTER TABLE acc DROP COLUMN kind;
UPDATE acc SET bal = 3;
SAVEPOINT a;
TRUNCATE acc;
ROLLBACK TO a;
RELEASE a;
SELECT state, undo FROM upg_finish();
COMMIT;
SELECT state, undo FROM upg_rollback('client');
SELECT is_back();
BEGIN;
CREATE TABLE before_it ();
SELECT upg_begin('client', NULL, NULL, NULL, '{"sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}');
ROLLBACK;
BEGIN;
SELECT upg_begin('client', NULL, NULL, NULL, '{"sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}');
NOTIFY somebody;
ROLLBACK;
BEGIN;
SELECT upg_begin('client', NULL, NULL, NULL, '{"sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}');
SAVEPOINT a;
SELECT upg_finish();
ROLLBACK;

-- finalized, all of its logs go
SELECT state FROM upg_apply('mixed');
CALL upg_wait('mixed');
SELECT upg_finalize('mixed');
SELECT count(*) FROM upg.undo_log WHERE state = 'kept';
SELECT ok FROM upg_audit_verify();
DROP EXTENSION upg;
DROP SCHEMA IF EXISTS upg CASCADE;
DROP TABLE acc, parted, was;
DROP FUNCTION is_back();
DROP TYPE mood;
