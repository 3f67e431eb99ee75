-- A migration that stands for several older ones, and what upg_ledger_verify() finds.
CREATE EXTENSION upg;
SET client_min_messages = warning;
CREATE SCHEMA rep;
SELECT state FROM upg_apply('rep_1', 'CREATE TABLE rep.a ()', 'DROP TABLE rep.a');
SELECT state FROM upg_apply('rep_2', 'CREATE TABLE rep.b ()', 'DROP TABLE rep.b');
SELECT state FROM upg_apply('rep_3', 'CREATE TABLE rep.c ()', 'DROP TABLE rep.c', ARRAY['rep_2']);

-- only some are applied
\set VERBOSITY terse
SELECT upg_apply('rep_s', 'CREATE TABLE rep.a (); CREATE TABLE rep.b ()', options => '{"replaces": ["rep_1", "rep_9"]}');
\set VERBOSITY default
SELECT upg_apply('rep_s', 'CREATE TABLE rep.a (); CREATE TABLE rep.b ()',
                 options => '{"replaces": ["rep_0", "rep_1", "rep_9"]}');
SELECT upg_apply('rep_s', 'SELECT 1', options => '{"replaces": ["rep_s"]}');
SELECT upg_apply('rep_s', 'SELECT 1', options => '{"replaces": "rep_1"}');

-- all are: it counts as applied, in the place of the last of them
SELECT state FROM upg_apply('rep_s', 'CREATE TABLE rep.a (); CREATE TABLE rep.b ()', 'DROP TABLE rep.b; DROP TABLE rep.a',
                            options => '{"replaces": ["rep_1", "rep_2"]}');
SELECT migration, state FROM upg_status() WHERE migration LIKE 'rep%';
SELECT state FROM upg_apply('rep_s', 'CREATE TABLE rep.a (); CREATE TABLE rep.b ()');
SELECT state FROM upg_apply('rep_1', 'CREATE TABLE rep.a ()');
SELECT upg_rollback('rep_1');
SELECT migration FROM upg_plan() WHERE migration LIKE 'rep%';
SELECT migration, fault FROM upg_ledger_verify() WHERE migration LIKE 'rep%';

-- what requires a replaced one requires it
SELECT upg_rollback('rep_s');
SELECT state FROM upg_apply('rep_4', 'SELECT 1', 'SELECT 1', ARRAY['rep_1']);
SELECT migration, state FROM upg_rollback('rep_s', options => '{"cascade": true}');

-- none is applied: it is run
SELECT state FROM upg_apply('rep_s', 'CREATE TABLE rep.a (); CREATE TABLE rep.b ()', 'DROP TABLE rep.b; DROP TABLE rep.a',
                            options => '{"replaces": ["rep_1", "rep_2"]}');
SELECT state FROM upg_adopt('rep_5', 'CREATE TABLE rep.a (); CREATE TABLE rep.b ()', options => '{"replaces": ["rep_s"], "adopted_from": "a test"}');
SELECT migration, state FROM upg_status() WHERE migration LIKE 'rep%';
SELECT options->>'adopted_from' AS adopted_from FROM upg.migrations WHERE name = 'rep_5';

-- captured ones give up what was kept
SELECT state, undo FROM upg_apply('rep_u', 'CREATE TABLE rep.u ()', options => '{"undo": "required"}');
SELECT state FROM upg_apply('rep_v', 'CREATE TABLE rep.u ()', options => '{"replaces": ["rep_u"]}');
SELECT migration, state, undo FROM upg_status() WHERE migration IN ('rep_u', 'rep_v');
SELECT count(*) FROM upg.audit_log WHERE action = 'migration.replaced' AND object LIKE 'rep%';

-- records that were changed by hand
BEGIN;
UPDATE upg.migrations SET up_sql = 'SELECT 2' WHERE name = 'rep_5';
UPDATE upg.migrations SET down_sql = 'SELECT 2' WHERE name = 'rep_1';
UPDATE upg.migrations SET state = 'odd' WHERE name = 'rep_3';
UPDATE upg.migrations SET applied_at = NULL WHERE name = 'rep_v';
INSERT INTO upg.migrations (name, state, up_size, up_sha256, meaning_version, registered_at, registered_by, applied_order, applied_at, requires)
VALUES ('rep_x', 'applied', 0, '\x00', 1, now(), 'me', 1000000, now(), '{rep_4}');
SELECT migration, fault, fix FROM upg_ledger_verify() WHERE migration LIKE 'rep%' ORDER BY migration COLLATE "C", fault COLLATE "C";
ROLLBACK;
DROP SCHEMA rep CASCADE;
DROP EXTENSION upg;
