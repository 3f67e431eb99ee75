-- What the migrations of real projects have brought up.
--
-- Relations that get a new file and are dropped in the same migration: until the
-- transaction ends the relation cache calls them dropped, while the proof has brought
-- their catalog rows back.  Rows that several migrations wrote, with foreign keys among
-- them.  Scripts that do nothing and have a down script that does something.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS upg;
CREATE SCHEMA undo_real;
SET search_path = undo_real, public;
\t on
\pset format unaligned
CREATE FUNCTION up(name text, script text) RETURNS text LANGUAGE sql AS
  'SELECT verdict FROM upg.capture_run(name, ''SET LOCAL search_path = undo_real; '' || script)';
CREATE TABLE target (id int PRIMARY KEY, n int);
CREATE TABLE t (id int PRIMARY KEY, target int REFERENCES target ON DELETE CASCADE, long text);
CREATE INDEX t_target ON t (target);
INSERT INTO target SELECT g, g FROM generate_series(1, 3) g;
INSERT INTO t SELECT g, g, (SELECT string_agg(md5(g || '.' || h), '') FROM generate_series(1, 200) h)
  FROM generate_series(1, 3) g;
CREATE TABLE before AS SELECT id, target, md5(long) AS long FROM t;
CREATE FUNCTION back(name text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE n int;
BEGIN
  PERFORM upg.capture_undo(name);
  SELECT count(*) INTO n FROM t JOIN before b ON b.id = t.id AND b.target = t.target AND b.long = md5(t.long);
  RETURN n || ' rows as before, ' || (SELECT count(*) FROM pg_index WHERE indrelid = 't'::regclass AND indisvalid) || ' indexes';
END $$;

\echo # truncated, then an index or its column dropped, under a foreign key
SELECT up('index', 'TRUNCATE t; DROP INDEX t_target');
SELECT back('index');
SELECT up('column', 'TRUNCATE t; ALTER TABLE t ADD fresh int NOT NULL REFERENCES target, DROP target; CREATE INDEX ON t (fresh)');
SELECT back('column');
SELECT up('key', 'TRUNCATE target CASCADE; ALTER TABLE t DROP CONSTRAINT t_target_fkey; ALTER TABLE target DROP CONSTRAINT target_pkey');
SELECT back('key');
SELECT up('reindexed', 'REINDEX INDEX t_target; DROP INDEX t_target; UPDATE t SET target = 1');
SELECT back('reindexed');

\echo # truncated, filled, written anew: the TOAST table of before has a new file, and goes
SELECT up('toast', $$TRUNCATE t; INSERT INTO t SELECT 9, 1, repeat('x', 100000);
  ALTER TABLE t ALTER long TYPE varchar; UPDATE t SET long = long || 'y'; DELETE FROM t WHERE id = 9$$);
SELECT back('toast');
SELECT up('toast and rows', $$ALTER TABLE t ADD w float DEFAULT random(); UPDATE t SET long = long || 'y' WHERE id = 1;
  ALTER TABLE t ALTER w TYPE text; DELETE FROM t WHERE id = 2; DROP INDEX t_target$$);
SELECT back('toast and rows');
SELECT up('all of it', 'TRUNCATE t; DROP TABLE t; DROP TABLE target');
SELECT back('all of it');

\echo # what came back works
SET enable_seqscan = off;
SELECT id FROM t WHERE target = 2;
\set VERBOSITY sqlstate
INSERT INTO t VALUES (4, 4);
\set VERBOSITY terse
DELETE FROM target WHERE id = 3;
SELECT count(*) FROM t;
RESET enable_seqscan;

\echo # rows that a later migration changed, and that came back, still belong to the earlier one
CREATE TABLE model (id text PRIMARY KEY, name text);
CREATE TABLE price (id int PRIMARY KEY, model text REFERENCES model);
INSERT INTO model VALUES ('old', 'old');
SELECT up('models', $$INSERT INTO model VALUES ('new', 'new'), ('newer', 'newer'); INSERT INTO price VALUES (1, 'new'), (2, 'newer')$$);
SELECT up('prices', 'ALTER TABLE price ADD tier text; UPDATE price SET tier = model');
SELECT up('names', 'UPDATE model SET name = upper(name)');
SELECT rolled FROM (SELECT upg.capture_undo(name)::text AS undone, name || ' back' AS rolled FROM unnest('{names,prices}'::text[]) name) x;
SELECT upg.capture_merge('models', '{}') IS NOT NULL;
SELECT (SELECT count(*) FROM price) AS prices, (SELECT string_agg(id || name, ' ') FROM model) AS models,
  (SELECT count(*) FROM upg.rollback_conflicts WHERE table_name LIKE 'undo_real.%') AS conflicts;
SELECT up('models', $$INSERT INTO model VALUES ('new', 'new'), ('newer', 'newer'); INSERT INTO price VALUES (1, 'new')$$);
SELECT up('names', 'UPDATE model SET name = upper(name)');
SELECT upg.capture_undo('names') IS NOT NULL;
INSERT INTO price VALUES (3, 'newer');
SELECT upg.capture_merge('models', '{}') IS NOT NULL;
SELECT (SELECT count(*) FROM price) AS prices, (SELECT string_agg(id || name, ' ' ORDER BY id) FROM model) AS models,
  (SELECT string_agg(what, ' ') FROM upg.rollback_conflicts WHERE table_name LIKE 'undo_real.%') AS conflicts;

\echo # a script without a statement is taken back by doing nothing, not by its down script
SELECT state, undo FROM upg_apply('undo_real empty', '-- moved to the next one', down => 'DROP TABLE undo_real.model CASCADE');
SELECT state, undo FROM upg_rollback('undo_real empty');
SELECT state, undo FROM upg_apply('undo_real no undo', '', down => 'DROP TABLE undo_real.model CASCADE', options => '{"undo": "none"}');
SELECT state, undo FROM upg_rollback('undo_real no undo');
SELECT to_regclass('undo_real.model') IS NULL AS by_the_down_script;

\echo # privileges that somebody gave since on what the migration made go with it
CREATE ROLE undo_real_app;
CREATE TABLE older (i int);
SELECT up('made', $$CREATE TYPE mood AS ENUM ('a'); CREATE TABLE made (i serial, m mood); CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';
  ALTER TABLE older ADD j int; GRANT SELECT (j) ON older TO undo_real_app$$);
GRANT ALL ON ALL TABLES IN SCHEMA undo_real TO undo_real_app;
GRANT EXECUTE ON FUNCTION f() TO undo_real_app;
GRANT USAGE ON TYPE mood TO undo_real_app;
GRANT SELECT (i), UPDATE (i) ON made TO undo_real_app;
GRANT UPDATE (j) ON older TO undo_real_app;
SELECT upg.capture_merge('made', '{}') IS NOT NULL;
SELECT pg_describe_object(classid, objid, objsubid) FROM pg_shdepend WHERE refobjid = 'undo_real_app'::regrole ORDER BY 1;

\echo # a column that old rows lack is dropped while another such one comes
CREATE TABLE flags (id int PRIMARY KEY);
INSERT INTO flags VALUES (1), (2);
ALTER TABLE flags ADD young boolean NOT NULL DEFAULT true;
ALTER TABLE flags ADD why text DEFAULT 'was not asked';
INSERT INTO flags VALUES (3, false, NULL);
SELECT up('policy', $$ALTER TABLE flags ADD policy text NOT NULL DEFAULT 'none';
  UPDATE flags SET policy = young::text WHERE id <> 2; ALTER TABLE flags DROP young$$);
VACUUM FULL flags;
SELECT upg.capture_undo('policy') IS NOT NULL;
SELECT * FROM flags ORDER BY id;
-- only what was dropped had a default of this kind, and the table is written anew by others
CREATE TABLE single (id int PRIMARY KEY);
INSERT INTO single VALUES (1), (2);
ALTER TABLE single ADD young boolean DEFAULT true;
SELECT up('single', 'UPDATE single SET id = id + 10 WHERE id = 1; ALTER TABLE single DROP young');
VACUUM FULL single;
SELECT upg.capture_undo('single') IS NOT NULL;
SELECT * FROM single ORDER BY id;

\echo # a dropped column comes back to rows that later rollbacks have put back
CREATE TABLE shorter (id int PRIMARY KEY);
INSERT INTO shorter VALUES (1), (2);
ALTER TABLE shorter ADD young boolean NOT NULL DEFAULT true;
INSERT INTO shorter VALUES (3, false);
SELECT up('shorter 1', 'ALTER TABLE shorter DROP young');
SELECT up('shorter 2', 'ALTER TABLE shorter ADD why text DEFAULT ''x''');
SELECT up('shorter 3', 'UPDATE shorter SET why = ''y''');
SELECT name FROM unnest('{shorter 3,shorter 2,shorter 1}'::text[]) name WHERE upg.capture_undo(name) IS NOT NULL;
SELECT * FROM shorter ORDER BY id;
-- with no copy of its values
SET upg.undo_copy_limit = 0;
SELECT up('shorter 1', 'ALTER TABLE shorter DROP young');
RESET upg.undo_copy_limit;
SELECT up('shorter 2', 'ALTER TABLE shorter ADD why text DEFAULT ''x''');
SELECT up('shorter 3', 'UPDATE shorter SET why = ''y'' WHERE id <> 2; DELETE FROM shorter WHERE id = 2');
SELECT name FROM unnest('{shorter 3,shorter 2,shorter 1}'::text[]) name WHERE upg.capture_undo(name) IS NOT NULL;
SELECT * FROM shorter ORDER BY id;
-- written anew by others: the row gets what it had, as the table gives it no more
SELECT up('shorter 1', 'ALTER TABLE shorter ADD why text DEFAULT ''x''');
SELECT up('shorter 2', 'UPDATE shorter SET why = ''y'' WHERE id <> 2');
VACUUM FULL shorter;
SELECT upg.capture_undo('shorter 2') IS NOT NULL;
SELECT * FROM shorter ORDER BY id;
SELECT upg.capture_undo('shorter 1') IS NOT NULL;
SELECT * FROM shorter ORDER BY id;

\echo # an extension keeps the number of a table whose rows it has dumped when that is dropped
CREATE EXTENSION citext SCHEMA undo_real VERSION '1.4';
CREATE TABLE configured ();
UPDATE pg_extension SET extconfig = ARRAY['configured'::regclass::oid], extcondition = '{""}' WHERE extname = 'citext';
DROP TABLE configured;
SELECT up('extension', 'ALTER EXTENSION citext UPDATE TO ''1.5''');
SELECT upg.capture_undo('extension') IS NOT NULL;
SELECT extversion, cardinality(extconfig) FROM pg_extension WHERE extname = 'citext';
-- the same for a row of which a part is stored elsewhere
CREATE TABLE longer (id int PRIMARY KEY, text text);
ALTER TABLE longer ALTER text SET STORAGE EXTERNAL;
INSERT INTO longer VALUES (1, repeat('x', 9000));
ALTER TABLE longer ADD young boolean DEFAULT true;
INSERT INTO longer VALUES (2, repeat('y', 9000), false), (3, repeat('z', 9000), NULL);
SELECT up('longer 1', 'ALTER TABLE longer DROP young');
SELECT up('longer 2', 'ALTER TABLE longer ADD why text DEFAULT ''x''');
SELECT up('longer 3', 'UPDATE longer SET why = ''y'', text = text || why');
SELECT name FROM unnest('{longer 3,longer 2,longer 1}'::text[]) name WHERE upg.capture_undo(name) IS NOT NULL;
SELECT id, left(text, 1), length(text), young FROM longer ORDER BY id;
SET search_path = public;
DROP SCHEMA undo_real CASCADE;
DROP ROLE undo_real_app;
