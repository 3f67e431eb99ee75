-- The undo that nobody has to ask for: what is captured, what is refused and
-- why, and by what a migration is taken back that has a down script, too.
CREATE EXTENSION upg;
SET client_min_messages = error;
CREATE SCHEMA ud;
SET search_path = ud, public;
CREATE TABLE keep (id integer PRIMARY KEY, v text);
INSERT INTO keep VALUES (1, 'one'), (2, 'two');
SHOW upg.undo;

-- no down script, and back
SELECT state, undo FROM upg_apply('plain', 'ALTER TABLE ud.keep DROP v');
SELECT state, undo FROM upg_rollback('plain');
SELECT * FROM keep ORDER BY id;

-- both: what was proven is run, unless somebody says otherwise
SELECT state, undo FROM upg_apply('both', 'ALTER TABLE ud.keep ADD w int; CREATE TABLE ud.more ()',
    'DROP TABLE ud.more');
SELECT state, undo, warnings FROM upg_rollback('both', options => '{"dry_run": true, "method": "given"}');
SELECT state, undo FROM upg_rollback('both', options => '{"dry_run": true}');
SELECT state, undo FROM upg_rollback('both');
SELECT count(*) AS columns FROM pg_attribute WHERE attrelid = 'keep'::regclass AND attnum > 0 AND NOT attisdropped;
SELECT state FROM upg_apply('both');
SELECT state, undo FROM upg_rollback('both', options => '{"method": "given"}');
SELECT count(*) AS columns FROM pg_attribute WHERE attrelid = 'keep'::regclass AND attnum > 0 AND NOT attisdropped;
SELECT migration, method FROM upg.rollback_records ORDER BY rollback_id;
ALTER TABLE keep DROP w;

-- by undo alone is refused where there is none
SELECT state, undo FROM upg_apply('given', 'CREATE TABLE ud.g ()', 'DROP TABLE ud.g', options => '{"undo": "none"}');
SELECT state FROM upg_rollback('given', options => '{"method": "undo"}');
SELECT state, undo FROM upg_rollback('given');
SELECT state, undo FROM upg_apply('neither', 'CREATE TABLE ud.n ()', options => '{"undo": "none"}');
SELECT state FROM upg_rollback('neither', options => '{"method": "undo"}');
SELECT state FROM upg_rollback('neither');

-- a conflict names the down script as the other way
SELECT state FROM upg_apply('conflict', 'CREATE TABLE ud.c (i int)', 'DROP TABLE ud.c CASCADE');
CREATE VIEW onto AS SELECT i FROM c;
SELECT state FROM upg_rollback('conflict');
SELECT state, undo FROM upg_rollback('conflict', options => '{"method": "given"}');

-- what cannot be taken back is refused before anything runs, with reason and way out
SELECT state FROM upg_apply('tells', E'CREATE TABLE ud.t ();\n\nNOTIFY ud;');
SELECT to_regclass('ud.t') AS nothing;
SELECT state FROM upg_apply('system', E'ALTER SYSTEM SET work_mem = ''4MB''');
SELECT state, undo, warnings FROM upg_apply('tells', E'CREATE TABLE ud.t ();\n\nNOTIFY ud;', options => '{"undo": "best_effort"}');
SELECT state, undo FROM upg_rollback('tells');
SELECT state, undo FROM upg_apply('tells', E'CREATE TABLE ud.t ();\n\nNOTIFY ud;', options => '{"undo": "none"}');
DROP TABLE t;
SELECT statements, irreversible FROM upg_script_info(E'SELECT 1;\nNOTIFY a; COPY (SELECT 1) TO PROGRAM ''true'';\nALTER SYSTEM SET work_mem = 64');
SELECT irreversible FROM upg_script_info('CREATE INDEX CONCURRENTLY i ON ud.keep (v); VACUUM ud.keep');
SELECT state FROM upg_register('later', 'NOTIFY a');
SELECT migration, notes FROM upg_plan('later');

-- what no transaction can hold is captured all the same
SELECT state FROM upg_apply('index', 'CREATE INDEX CONCURRENTLY keep_v ON ud.keep (v); VACUUM ud.keep; REINDEX INDEX CONCURRENTLY ud.keep_v');
CALL upg_wait('index', '60 s');
SELECT state, undo FROM upg_status() WHERE migration = 'index';
SELECT state, undo FROM upg_rollback('index');
SELECT to_regclass('ud.keep_v') AS gone;

-- several that a client drives, in one transaction: each in a savepoint
BEGIN;
INSERT INTO keep VALUES (3, 'three');
SAVEPOINT a;
SELECT upg_begin('client one', 'ALTER TABLE keep ADD one int DEFAULT 1');
ALTER TABLE keep ADD one int DEFAULT 1;
SELECT state, undo FROM upg_finish();
RELEASE SAVEPOINT a;
SAVEPOINT b;
-- a script that only the client can read
SELECT upg_begin('client two', E'COPY keep FROM stdin;\n5\tfive\n\\.\n');
SAVEPOINT inner_one;
UPDATE keep SET v = upper(v);
RELEASE SAVEPOINT inner_one;
SELECT state, undo FROM upg_finish();
RELEASE SAVEPOINT b;
COMMIT;
SELECT * FROM keep ORDER BY id;
SELECT state FROM upg_rollback('client two');
SELECT state FROM upg_rollback('client one');
SELECT * FROM keep ORDER BY id;
-- but not what the transaction has changed before, and not across a savepoint
BEGIN;
INSERT INTO keep VALUES (4, 'four');
SELECT upg_begin('client three', 'x');
ROLLBACK;
BEGIN;
SELECT upg_begin('client four', 'x');
SAVEPOINT a;
SELECT state FROM upg_finish();
ROLLBACK;
-- one that its savepoint took along is a failed try
BEGIN;
SAVEPOINT a;
SELECT upg_begin('client five', 'x');
ROLLBACK TO SAVEPOINT a;
COMMIT;
SELECT state FROM upg_apply('flush', 'SELECT 1');
SELECT name, state, message FROM upg_history('client five');

-- in a copy of the database the log is missing: the down script is the way
SELECT state, undo FROM upg_apply('copied', 'CREATE TABLE ud.copied ()', 'DROP TABLE ud.copied');
SELECT state, undo FROM upg_apply('copied without', 'CREATE TABLE ud.without ()');
ALTER TABLE upg.undo_log DISABLE TRIGGER ALL;
DELETE FROM upg.undo_log WHERE migration IN (SELECT migration_id FROM upg.migrations WHERE name LIKE 'copied%');
ALTER TABLE upg.undo_log ENABLE TRIGGER ALL;
SELECT migration, undo FROM upg_status() WHERE migration LIKE 'copied%';
SELECT state, undo, warnings FROM upg_rollback('copied');
SELECT state FROM upg_rollback('copied without');

DROP SCHEMA ud CASCADE;
DROP EXTENSION upg;
