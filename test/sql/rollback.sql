-- Take migrations back: the latest, one, to a point, with dependents; and what is refused.
CREATE EXTENSION upg;
SET upg.undo = none;
SET client_min_messages = warning;
SELECT state FROM upg_rollback();
SELECT state FROM upg_apply('1', 'CREATE TABLE rb (a int)', 'DROP TABLE rb');
SELECT state FROM upg_apply('2', 'ALTER TABLE rb ADD b int', 'ALTER TABLE rb DROP b', '{1}');
SELECT state FROM upg_apply('3', 'ALTER TABLE rb ADD c int', 'ALTER TABLE rb DROP c', '{2}');
SELECT state FROM upg_apply('4', 'ALTER TABLE rb ADD d int');

SELECT migration, state FROM upg_rollback();
SELECT migration, state FROM upg_rollback('nosuch');
SELECT migration, state FROM upg_rollback('1');
SELECT migration, state FROM upg_rollback('3', '1');
SELECT migration, state FROM upg_rollback(to_name => 'nosuch');
SELECT state, undo FROM upg_apply('4', NULL, 'ALTER TABLE rb DROP d');
SELECT migration, state, undo FROM upg_rollback(options => '{"dry_run": true}');
SELECT migration, state, undo FROM upg_rollback();
SELECT migration, state FROM upg_rollback('4');
SELECT migration, state FROM upg_rollback(to_name => '4');
SELECT migration, state FROM upg_rollback('1', options => '{"cascade": true, "dry_run": true}');
SELECT migration, state FROM upg_rollback(to_name => '1', options => '{"reason": "as agreed"}');
SELECT attname FROM pg_attribute WHERE attrelid = 'rb'::regclass AND attnum > 0 AND NOT attisdropped;
SELECT migration, state FROM upg_rollback('1', options => '{"cascade": true}');
SELECT to_regclass('rb');
SELECT migration, method, was_order, statements, reason FROM upg.rollback_records ORDER BY rollback_id;

-- forward again, and a down that fails leaves everything as it was
SELECT state FROM upg_apply('1');
SELECT state FROM upg_apply('bad', 'CREATE TABLE keepme (a int)', 'DROP TABLE keepme; SELECT 1/0');
SELECT migration, state FROM upg_rollback();
SELECT to_regclass('keepme') IS NOT NULL AS still_there, state FROM upg_migration_state('bad');
SELECT name, direction, state, statement_no, sqlstate FROM upg_history('bad') ORDER BY attempt_id;

-- runs and versions
SELECT upg_upgrade_start('up', '{v1,v2}', 'v2') AS run \gset
SELECT state FROM upg_apply('v1', 'SELECT 1', options => jsonb_build_object('upgrade', :run));
SELECT upg_upgrade_finish(:run, 'completed', NULL, '1.0.0');
SELECT upg_upgrade_finish(:run, 'completed');
SELECT upg_upgrade_finish(:run, 'nonsense');
SELECT upg_upgrade_start('sideways', '{}');
SELECT version, state, head FROM upg.versions;
SELECT direction, state, plan, target, version FROM upg.upgrades;
SELECT state FROM upg_apply('v1', NULL, 'SELECT 2');
SELECT migration, state FROM upg_rollback('v1');
SELECT version, state, head FROM upg.versions;

SELECT migrations, applied, pending, unfinished, head FROM upg_digest();
SELECT names_sha256 = (SELECT encode(sha256(convert_to(string_agg(migration || E'\n' || sha256 || E'\n', '' ORDER BY migration COLLATE "C"), 'UTF8')), 'hex')
    FROM upg_status() WHERE state = 'applied') AS digest_is_right FROM upg_digest();
SELECT ok FROM upg_audit_verify();
DROP TABLE rb, keepme;
DROP EXTENSION upg;
DROP SCHEMA IF EXISTS upg CASCADE;
