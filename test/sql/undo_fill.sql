-- Values for columns that come back: which are taken, which are refused before anything
-- is changed, which were not needed; and what the policy "strict" says.
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS upg;
CREATE SCHEMA uf;
CREATE TABLE uf.t (id int PRIMARY KEY, v int NOT NULL, w text, twice int GENERATED ALWAYS AS (id * 2) STORED);
INSERT INTO uf.t VALUES (1, 10, 'a');
CREATE FUNCTION uf.ups() RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(r.undo, ' ') FROM (VALUES
    (1, 'ALTER TABLE uf.t DROP COLUMN v, DROP COLUMN twice'),
    (2, 'ALTER TABLE uf.t RENAME TO u'),
    (3, 'CREATE TABLE uf.other (id int)')) s (n, script), upg_apply('uf ' || n, script) r $$;
SELECT uf.ups();
INSERT INTO uf.u VALUES (2, 'b');
RESET client_min_messages;

-- refused at once, whatever comes first, and in a dry run, too
SELECT upg_rollback('uf 1', options => '{"fill": {"uf.nowhere.v": "1"}}');
SELECT upg_rollback('uf 1', options => '{"fill": {"uf.t.v": "1"}}');
SELECT upg_rollback('uf 1', options => '{"fill": {"uf.u.nope": "1"}}');
SELECT upg_rollback('uf 1', options => '{"fill": {"uf.u.twice": "1"}}');
SELECT upg_rollback('uf 1', options => '{"fill": {"uf.u.ctid": "(0,1)"}}');
SELECT upg_rollback(options => '{"fill": {"uf.u.v": "1", "uf.u.nope": "1"}}');
SELECT upg_rollback('uf 1', options => '{"fill": {"uf.u.nope": "1"}, "dry_run": true}');
SELECT upg_rollback_preview('uf 1', '{"fill": {"uf.u.nope": "1"}}');
SELECT count(*) FROM upg_status() WHERE migration LIKE 'uf %' AND state = 'applied';
-- not of its type
\set SHOW_CONTEXT errors
SELECT upg_rollback('uf 1', options => '{"fill": {"uf.u.v": "many"}}');
\set SHOW_CONTEXT never

-- taken, under the name of now, whatever the table is called then; not needed: noted
SELECT w FROM upg_rollback(options => '{"fill": {"uf.u.v": "7"}, "dry_run": true}'), unnest(warnings) w WHERE w LIKE 'option%';
SELECT migration, state, warnings FROM upg_rollback(options => '{"fill": {"uf.u.v": "7"}}');
SELECT migration, state, warnings FROM upg_rollback('uf 1', options => '{"fill": {"uf.u.v": "7", "uf.u.w": "x"}}');
SELECT id, v, twice FROM uf.u ORDER BY id;
SELECT migration, state FROM upg_rollback('uf 2');
SELECT migration, undo FROM upg_status() WHERE migration LIKE 'uf %' ORDER BY migration;
SET client_min_messages = error;
SELECT uf.ups();
RESET client_min_messages;
SELECT migration, state, warnings FROM upg_rollback('uf 1', options => '{"cascade": true, "fill": {"uf.u.v": "7"}}');

-- the migration itself renames the table, and one rewrites it
SET client_min_messages = error;
SELECT undo FROM upg_apply('uf 4', 'ALTER TABLE uf.u DROP COLUMN v; ALTER TABLE uf.u RENAME TO t; ALTER SCHEMA uf RENAME TO ug');
INSERT INTO ug.t (id) VALUES (3);
SELECT state FROM upg_rollback('uf 4', options => '{"fill": {"ug.t.v": "8"}, "on_conflict": {"ug.t": "keep"}}');
SELECT undo FROM upg_apply('uf 5', 'ALTER TABLE uf.u DROP COLUMN v, DROP COLUMN twice; ALTER TABLE uf.u ALTER COLUMN id TYPE bigint');
INSERT INTO uf.u (id) VALUES (4);
RESET client_min_messages;
SELECT w FROM upg_rollback('uf 5', options => '{"fill": {"uf.u.v": "9", "uf.u.w": "9"}, "dry_run": true}'), unnest(warnings) w WHERE w LIKE 'option%';
SELECT state, warnings FROM upg_rollback('uf 5', options => '{"fill": {"uf.u.v": "9"}}');
SELECT id, v FROM uf.u ORDER BY id;

-- a run of several: the value is for one of them, and said to be in vain only once
SET client_min_messages = error;
SELECT undo FROM upg_apply('uf 6', 'ALTER TABLE uf.u DROP COLUMN v');
SELECT undo FROM upg_apply('uf 7', 'CREATE TABLE uf.more ()');
INSERT INTO uf.u (id) VALUES (5);
SELECT upg_upgrade_start('down', '{uf 7,uf 6}') AS run \gset
SELECT migration, cardinality(warnings) FROM upg_rollback('uf 7', options => format('{"upgrade": %s, "fill": {"uf.u.v": "10", "uf.u.w": "x"}}', :run)::jsonb);
SELECT migration, cardinality(warnings) FROM upg_rollback('uf 6', options => format('{"upgrade": %s, "fill": {"uf.u.v": "10", "uf.u.w": "x"}}', :run)::jsonb);
SELECT upg_upgrade_finish(:run, 'completed');

-- the policy "strict" alone stands in the way, or something else, too
SELECT undo FROM upg_apply('uf 8', 'UPDATE uf.u SET w = ''m''');
UPDATE uf.u SET w = 'app' WHERE id = 1;
SELECT undo FROM upg_apply('uf 9', 'CREATE TABLE uf.strict (id int)');
INSERT INTO uf.strict VALUES (1);
RESET client_min_messages;
SELECT upg_rollback('uf 8', options => '{"on_conflict": "strict"}');
SELECT upg_rollback('uf 9', options => '{"on_conflict": {"uf.strict": "strict"}}');
CREATE VIEW uf.v AS TABLE uf.strict;
SELECT upg_rollback('uf 9', options => '{"on_conflict": "strict"}');
DROP VIEW uf.v;
SELECT state FROM upg_rollback('uf 9', options => '{"on_conflict": "keep"}');
SELECT state FROM upg_rollback('uf 8', options => '{"on_conflict": {"": "strict", "uf.u": "keep"}}');

-- the order of a rollback
SELECT upg_rollback_order('uf nowhere');
SELECT upg_rollback_order('uf 8');
SET client_min_messages = error;
SELECT r.undo FROM generate_series(10, 12) n, upg_apply('uf ' || n, format('CREATE TABLE uf.t%s ()', n)) r;
SELECT * FROM upg_rollback_order('uf 10');
SELECT * FROM upg_rollback_order() WHERE upg_rollback_order LIKE 'uf %';
SELECT state FROM upg_rollback(to_name => 'uf 10');
SELECT state FROM upg_rollback('uf 10');
DROP SCHEMA uf CASCADE;
