-- Migrations without a down script, applied and taken back through the ledger.
CREATE EXTENSION upg;
SET client_min_messages = warning;
CREATE TABLE bank (id int PRIMARY KEY, name text NOT NULL, bal numeric(10,2), kind text DEFAULT 'x');
INSERT INTO bank SELECT g, 'n' || g, g * 1.5, 'k' || (g % 3) FROM generate_series(1, 1000) g;
CREATE INDEX bank_kind ON bank (kind);
CREATE VIEW bank_kinds AS SELECT id, kind FROM bank;
CREATE VIEW data AS SELECT md5(string_agg(bank::text, '|' ORDER BY id)) FROM bank;
SELECT upg_schema_fingerprint(ARRAY['public']) AS schema0 \gset
SELECT md5 AS data0 FROM data \gset

-- without it there is no way back
SET upg.undo = none;
SELECT state, undo FROM upg_apply('0', 'COMMENT ON TABLE bank IS ''nothing''');
SELECT state FROM upg_rollback('0');
SELECT state, undo FROM upg_apply('0', NULL, 'COMMENT ON TABLE bank IS NULL');
SELECT state, undo FROM upg_rollback('0');

SET upg.undo = required;
SELECT state, undo, warnings FROM upg_apply('1', $$
    DROP VIEW data; DROP VIEW bank_kinds;
    ALTER TABLE bank DROP COLUMN name;
    UPDATE bank SET bal = bal + 1 WHERE id % 10 = 0;
    DELETE FROM bank WHERE id % 7 = 0;
    CREATE TABLE other (a serial PRIMARY KEY); INSERT INTO other DEFAULT VALUES$$);
SELECT state, undo, warnings FROM upg_apply('2', $$
    ALTER TABLE bank ALTER bal TYPE bigint USING bal::bigint;
    CREATE TYPE letter AS ENUM ('a', 'b');
    ALTER TABLE bank ADD letter letter DEFAULT 'a'$$);
SELECT state, undo, warnings FROM upg_apply('3', 'TRUNCATE bank; DROP TABLE other');
SELECT migration, state, undo FROM upg_status();
SELECT count(*) FROM bank;

-- from another session
\c -
SET client_min_messages = warning;
SELECT migration, state, undo, cardinality(warnings) > 0 AS plan_shown FROM upg_rollback(options => '{"dry_run": true}');
SELECT count(*) FROM bank;
SELECT migration, state, undo FROM upg_rollback(to_name => '0');
SELECT migration, state, undo FROM upg_rollback('3');
SELECT migration, state, undo FROM upg_rollback('2');
SELECT migration, state, undo FROM upg_rollback('1');
SELECT upg_schema_fingerprint(ARRAY['public']) = :'schema0' AS schema_is_back, md5 = :'data0' AS data_is_back FROM data;
SELECT migration, method FROM upg.rollback_records ORDER BY rollback_id;

-- forward again, and back again
SET upg.undo = required;
SELECT state, undo FROM upg_apply('1');
SELECT state, undo FROM upg_rollback();
SELECT upg_schema_fingerprint(ARRAY['public']) = :'schema0' AS schema_is_back, md5 = :'data0' AS data_is_back FROM data;

-- what cannot be taken back is refused before it runs, or said
SELECT state FROM upg_apply('copy', 'CREATE TABLE never (); COPY bank TO PROGRAM ''cat >/dev/null''');
SELECT to_regclass('never');
SELECT state, undo, warnings FROM upg_apply('copy', 'COPY bank TO PROGRAM ''cat >/dev/null''', options => '{"undo": "best_effort"}');
SELECT state FROM upg_apply('x', 'SELECT 1', options => '{"undo": "perhaps"}');
SELECT state, undo FROM upg_apply('off', 'SELECT 1', options => '{"undo": "none"}');

-- rows written since, and later changes, stand in the way by name
SELECT state, undo FROM upg_apply('drop', 'ALTER TABLE bank DROP COLUMN kind CASCADE');
INSERT INTO bank VALUES (5000, 'since', 1);
SELECT state FROM upg_rollback('drop');
DELETE FROM bank WHERE id = 5000;

-- finalized: what was kept is gone
SELECT state, undo FROM upg_apply('gone', 'CREATE TABLE gone (a int); DROP TABLE gone; TRUNCATE bank');
SELECT upg_finalize('gone');
SELECT upg_finalize('gone');
SELECT upg_finalize('nosuch');
SELECT undo FROM upg_status() WHERE migration = 'gone';
SELECT state FROM upg_rollback('gone');
SELECT count(*) FROM upg.undo_files f JOIN upg.undo_log l ON l.id = f.log JOIN upg.migrations m ON m.migration_id = l.migration WHERE m.name = 'gone';

-- a given down script beside the undo
SELECT state, undo FROM upg_apply('both', 'CREATE TABLE both_ways ()', 'DROP TABLE both_ways');
SELECT state FROM upg_rollback('both', options => '{"method": "given"}');
SELECT state, undo FROM upg_apply('both');
SELECT state FROM upg_rollback('both', options => '{"method": "undo"}');
SELECT to_regclass('both_ways');
SELECT ok FROM upg_audit_verify();
DROP TABLE bank CASCADE;
DROP EXTENSION upg;
DROP SCHEMA IF EXISTS upg CASCADE;
