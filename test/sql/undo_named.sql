-- Tricky cases of long lists, by their numbers in test/roundtrip/README.md: many rounds,
-- parallel plans, columns that must have values, plans that know the old shape.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS upg;
CREATE SCHEMA undo_named;
SET search_path = undo_named, public;
\t on
\pset format unaligned
CREATE FUNCTION up(name text, script text) RETURNS text LANGUAGE sql AS
  'SELECT verdict FROM upg.capture_run(name, ''SET LOCAL search_path = undo_named; '' || script)';
CREATE FUNCTION try(name text, options jsonb DEFAULT '{}') RETURNS text LANGUAGE plpgsql AS $$
DECLARE d text;
BEGIN
  PERFORM upg.capture_merge(name, options);
  RETURN 'rolled back';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS d = PG_EXCEPTION_DETAIL;
  RETURN SQLSTATE || ' ' || SQLERRM || E'\n' || d;
END $$;

\echo # 5 ten times up and down: rows that were put back, each time with one default more
CREATE TABLE again (id int PRIMARY KEY, v text, extra int DEFAULT 3);
INSERT INTO again SELECT g, 'v' || g FROM generate_series(1, 200) g;
CREATE TABLE again_before AS SELECT * FROM again;
DO $$
BEGIN
  FOR i IN 1..10 LOOP
    PERFORM undo_named.up('n5', 'UPDATE again SET v = upper(v) WHERE id % 2 = 0; DELETE FROM again WHERE id % 5 = 0; ALTER TABLE again DROP extra, ADD fresh text DEFAULT ''f''');
    PERFORM upg.capture_undo('n5');
    UPDATE undo_named.again SET v = v WHERE id = i;
  END LOOP;
END $$;
SELECT count(*), count(b) AS same FROM again a LEFT JOIN again_before b ON a.* = b.*;

\echo # 5 a default that rows lack, and a value that lies outside of its row
CREATE TABLE toasted (id int PRIMARY KEY, note text);
INSERT INTO toasted SELECT g, (SELECT string_agg(md5((g * i)::text), '') FROM generate_series(1, 400) i) FROM generate_series(1, 4) g;
SELECT md5(string_agg(id || note, ',' ORDER BY id)) AS before FROM toasted \gset
SELECT undo_named.up('n5t', 'ALTER TABLE toasted ADD fresh int DEFAULT 4; UPDATE toasted SET note = ''n'' WHERE id < 3');
SELECT upg.capture_undo('n5t');
SELECT md5(string_agg(id || note, ',' ORDER BY id)) = :'before' AS same, count(*) FROM toasted;

\echo # 7 a dropped column, VACUUM FULL since
CREATE TABLE t (id int PRIMARY KEY, a text, b int);
INSERT INTO t SELECT g, 'a' || g, g FROM generate_series(1, 4) g;
SELECT up('n7', 'ALTER TABLE t DROP a');
VACUUM FULL t;
SELECT try('n7');
TABLE t ORDER BY id;

\echo # 8 a column without nulls is dropped, the application inserts rows without it
ALTER TABLE t ALTER a SET NOT NULL;
SELECT up('n8', 'ALTER TABLE t DROP a');
INSERT INTO t VALUES (5, 5);
SELECT try('n8');
DELETE FROM t WHERE id = 5;
SELECT try('n8');
ALTER TABLE t ALTER a SET DEFAULT 'none';
SELECT up('n8 default', 'ALTER TABLE t DROP a');
INSERT INTO t VALUES (5, 5);
SELECT try('n8 default');
TABLE t ORDER BY id;

\echo # 21 relations of the server itself that got a new file keep it
SELECT up('n21', 'CLUSTER pg_toast.pg_toast_2619 USING pg_toast_2619_index; REINDEX TABLE pg_statistic; REINDEX INDEX pg_rewrite_rel_rulename_index');
CREATE TABLE files AS SELECT oid, relfilenode FROM pg_class WHERE relfilenode > 16384 AND oid < 16384;
SELECT count(*) > 3 AS files FROM files;
SELECT try('n21');
SELECT count(*) FROM files f JOIN pg_class c USING (oid) WHERE c.relfilenode <> f.relfilenode;
ANALYZE t;
SET enable_seqscan = off;
SELECT staattnum, stanullfrac FROM pg_statistic WHERE starelid = 't'::regclass ORDER BY staattnum;
RESET enable_seqscan;
REINDEX TABLE pg_statistic;

\echo # 22 columns that come and go use up numbers, as with DROP COLUMN; reaching the limit loses nothing
SELECT format('CREATE TABLE wide (%s)', string_agg(format('c%s int', c), ', ')) AS wide_table FROM generate_series(1, 1580) c \gset
\set ECHO none
:wide_table;
\set ECHO all
INSERT INTO wide (c6) VALUES (6);
SELECT up('n22', 'ALTER TABLE wide ADD x int DEFAULT 1, ADD y int, ADD z int');
SELECT try('n22');
SELECT up('n22', format('ALTER TABLE wide %s', string_agg(format('ADD x%s int', x), ', '))) FROM generate_series(1, 18) x;
SELECT up('n22', format('ALTER TABLE wide %s', string_agg(format('ADD x%s int', x), ', '))) FROM generate_series(1, 17) x;
UPDATE wide SET x7 = 7, c7 = 7;
SELECT try('n22');
SELECT count(*) FROM pg_attribute WHERE attrelid = 'wide'::regclass AND attnum > 0 AND NOT attisdropped;
SELECT c6, c7, c8 FROM wide;
DROP TABLE wide;

\echo # 35 a new label, used by the application
CREATE TYPE mood AS ENUM ('low', 'high');
CREATE TABLE feel (id int PRIMARY KEY, m mood);
SELECT up('n35', 'ALTER TYPE mood ADD VALUE ''best''');
INSERT INTO feel VALUES (1, 'best');
SELECT try('n35');
DELETE FROM feel;
SELECT try('n35');
SELECT enum_range(NULL::mood);

\echo # 64 a sequence whose column holds a key far ahead of it, and one that others used meanwhile
CREATE TABLE keys (id serial PRIMARY KEY, v text);
INSERT INTO keys (v) VALUES ('one');
INSERT INTO keys VALUES (1000, 'chosen');
SELECT up('n64', 'INSERT INTO keys (v) VALUES (''ours''), (''ours'')');
SELECT try('n64');
SELECT last_value, is_called FROM keys_id_seq;
SELECT up('n64 shared', 'INSERT INTO keys (v) VALUES (''ours''); SELECT nextval(''keys_id_seq'')');
INSERT INTO keys VALUES (3, 'of a number that the sequence gave out meanwhile');
SELECT try('n64 shared');
SELECT last_value, is_called FROM keys_id_seq;

\echo # 89 a subscription, which reaches out
SELECT up('n89', 'CREATE SUBSCRIPTION never CONNECTION ''dbname=nowhere'' PUBLICATION p WITH (connect = false)');
SELECT count(*) FROM pg_subscription;

\echo # 104 the name is taken meanwhile
SELECT up('n104', 'DROP TABLE feel');
CREATE VIEW feel AS SELECT 1 AS one;
SELECT try('n104');
DROP VIEW feel;
SELECT try('n104');

\echo # 109 parallel workers read and build while the migration runs, and while it is taken back
CREATE TABLE many (id int PRIMARY KEY, v text, w int);
INSERT INTO many SELECT g, 'v' || g, g % 10 FROM generate_series(1, 20000) g;
CREATE INDEX many_v ON many (v);
ANALYZE many;
SELECT md5(string_agg(many::text, '|' ORDER BY id)) AS rows, upg_schema_fingerprint('{undo_named}') AS schema FROM many \gset
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET min_parallel_index_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
SET max_parallel_maintenance_workers = 2;
SELECT up('n109', $$
  CREATE TABLE sums AS SELECT w, count(*) AS n FROM many GROUP BY w;
  UPDATE many SET w = w + 1 WHERE id % 100 = 0;
  CREATE INDEX many_w ON many (w, v);
  ALTER TABLE many ALTER id TYPE bigint;
  CREATE MATERIALIZED VIEW big AS SELECT max(id) AS top FROM many WHERE v LIKE '%7%';
  DELETE FROM many WHERE id IN (SELECT max(id) FROM many GROUP BY w)$$);
SELECT try('n109');
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET min_parallel_index_scan_size;
RESET max_parallel_workers_per_gather;
RESET max_parallel_maintenance_workers;
SELECT md5(string_agg(many::text, '|' ORDER BY id)) = :'rows' AS rows, upg_schema_fingerprint('{undo_named}') = :'schema' AS schema FROM many;

\echo # 111 what was kept is gone when it is given up
SELECT up('n111', 'TRUNCATE many; DROP TABLE keys; ALTER TABLE t DROP a');
SELECT count(*) > 0 AS kept FROM pg_class WHERE relname ~ '^upg_kept_';
SELECT pg_relation_filenode('t') IS NOT NULL AS there, upg.capture_finalize('n111') IS NOT NULL AS finalized;
SELECT count(*) FROM pg_class WHERE relname ~ '^upg_kept_';
SELECT count(*) FROM upg.undo_chunks c JOIN upg.undo_log l ON l.id = c.log WHERE l.state <> 'kept';
DROP SCHEMA undo_named CASCADE;
