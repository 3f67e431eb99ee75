-- Values of dropped columns come back from their copy: after UPDATE, VACUUM FULL,
-- CLUSTER and a rewrite; with a primary key and without.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS upg;
CREATE SCHEMA undo_columns;
SET search_path = undo_columns, public;
CREATE TABLE keyed (id int PRIMARY KEY, a text NOT NULL, b numeric, c text);
INSERT INTO keyed SELECT g, 'a' || g, CASE WHEN g % 3 > 0 THEN g / 7.0 END, repeat('c' || g, 1000) FROM generate_series(1, 300) g;
ALTER TABLE keyed ADD d int NOT NULL DEFAULT 42;
INSERT INTO keyed SELECT g, 'a' || g, g, 'c', g FROM generate_series(301, 400) g;
ALTER TABLE keyed ALTER c SET STORAGE EXTERNAL;
UPDATE keyed SET c = repeat('x', 5000) WHERE id = 17;
CREATE INDEX keyed_a ON keyed (a);
CREATE TABLE plain (x int, y text, z text);
INSERT INTO plain SELECT g % 50, 'y' || g % 50, CASE WHEN g % 4 = 0 THEN 'z' || g % 50 END FROM generate_series(1, 200) g;
CREATE FUNCTION sums() RETURNS text LANGUAGE sql AS $$
    SELECT (SELECT md5(string_agg(keyed::text, '|' ORDER BY id)) FROM undo_columns.keyed) ||
           (SELECT md5(string_agg(plain::text, '|' ORDER BY plain::text)) FROM undo_columns.plain) $$;
SELECT sums() AS before \gset
SELECT upg_schema_fingerprint(ARRAY['undo_columns']) AS schema \gset
CREATE FUNCTION try(name text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE d text;
BEGIN
    PERFORM upg.capture_undo(name);
    RETURN 'rolled back';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS d = PG_EXCEPTION_DETAIL;
    RETURN SQLSTATE || ' ' || SQLERRM || E'\n' || d;
END $$;
SELECT upg_schema_fingerprint(ARRAY['undo_columns']) AS schema \gset

-- untouched since
SELECT verdict FROM upg.capture_run('c1', 'ALTER TABLE undo_columns.keyed DROP a, DROP b, DROP c, DROP d; ALTER TABLE undo_columns.plain DROP z');
SELECT relation::regclass, (SELECT array_agg(c ORDER BY c) FROM unnest(columns) c) AS columns, key, is_primary, rows FROM upg.undo_columns ORDER BY 1;
SELECT try('c1');
SELECT sums() = :'before' AS data_is_back, upg_schema_fingerprint(ARRAY['undo_columns']) = :'schema' AS schema_is_back;

-- every row updated since, then vacuumed
SELECT verdict FROM upg.capture_run('c2', 'ALTER TABLE undo_columns.keyed DROP a, DROP c, DROP d');
UPDATE keyed SET b = b;
VACUUM keyed;
SELECT a FROM upg.capture_undo('c2', dry_run => true), unnest(actions) a WHERE a ~ 'copy';
SELECT try('c2');
SELECT sums() = :'before' AS data_is_back, upg_schema_fingerprint(ARRAY['undo_columns']) = :'schema' AS schema_is_back;
SET enable_seqscan = off;
SELECT id, b FROM keyed WHERE a = 'a99';
RESET enable_seqscan;

-- 7 rewritten since, in three ways
SELECT verdict FROM upg.capture_run('c3', 'ALTER TABLE undo_columns.keyed DROP a, DROP d; ALTER TABLE undo_columns.plain DROP z');
VACUUM FULL keyed;
VACUUM FULL plain;
CLUSTER keyed USING keyed_pkey;
ALTER TABLE keyed SET UNLOGGED;
ALTER TABLE keyed SET LOGGED;
ALTER TABLE keyed SET WITHOUT CLUSTER;
SELECT try('c3');
SELECT sums() = :'before' AS data_is_back, upg_schema_fingerprint(ARRAY['undo_columns']) = :'schema' AS schema_is_back;

-- the step itself changes rows, too
SELECT verdict FROM upg.capture_run('c4', $$
    UPDATE undo_columns.keyed SET a = 'new', b = 0 WHERE id % 5 = 0;
    ALTER TABLE undo_columns.keyed DROP a;
    UPDATE undo_columns.keyed SET b = 1 WHERE id % 7 = 0;
    DELETE FROM undo_columns.keyed WHERE id % 11 = 0$$);
UPDATE keyed SET b = b WHERE id % 5 <> 0 AND id % 7 <> 0;
VACUUM FULL keyed;
SELECT try('c4');
SELECT sums() = :'before' AS data_is_back, upg_schema_fingerprint(ARRAY['undo_columns']) = :'schema' AS schema_is_back;

-- a chain: the rows put back are those that the first one knows
SELECT verdict FROM upg.capture_run('c5', $$UPDATE undo_columns.keyed SET b = -1 WHERE id <= 50$$);
SELECT verdict FROM upg.capture_run('c6', $$ALTER TABLE undo_columns.keyed DROP a$$);
SELECT verdict FROM upg.capture_run('c7', $$ALTER TABLE undo_columns.keyed DROP d$$);
VACUUM FULL keyed;
SELECT try('c7');
VACUUM FULL keyed;
SELECT try('c6');
SELECT try('c5');
SELECT sums() = :'before' AS data_is_back, upg_schema_fingerprint(ARRAY['undo_columns']) = :'schema' AS schema_is_back;

-- rows that the copy does not know are named
SELECT verdict FROM upg.capture_run('c8', 'ALTER TABLE undo_columns.keyed DROP a; ALTER TABLE undo_columns.plain DROP z');
INSERT INTO keyed VALUES (1000, 1, 'since');
UPDATE keyed SET id = id + 5000 WHERE id = 1;
UPDATE plain SET y = 'other' WHERE x = 1;
SELECT try('c8');
DELETE FROM keyed WHERE id = 1000;
UPDATE keyed SET id = 1 WHERE id = 5001;
UPDATE plain SET y = 'y1' WHERE x = 1;
SELECT try('c8');
SELECT sums() = :'before' AS data_is_back;
-- and without the key it is of no use
SELECT verdict FROM upg.capture_run('c9', 'ALTER TABLE undo_columns.keyed DROP a');
ALTER TABLE keyed DROP CONSTRAINT keyed_pkey;
UPDATE keyed SET b = b WHERE id = 3;
SELECT try('c9');
UPDATE keyed SET id = id WHERE id = 3;
ALTER TABLE keyed ADD PRIMARY KEY (id);
SELECT try('c9');
SELECT sums() = :'before' AS data_is_back;

-- above the limit values stay in place, and it is said
SET upg.undo_copy_limit = '8kB';
CREATE TABLE migration_target (id int PRIMARY KEY, v text);
INSERT INTO migration_target SELECT g, 'v' FROM generate_series(1, 2000) g;
SELECT verdict FROM upg.capture_run('c10', 'ALTER TABLE undo_columns.migration_target DROP v');
SELECT count(*) FROM upg.undo_columns;
UPDATE migration_target SET id = id + 10000 WHERE id = 1;
SELECT try('c10');
DELETE FROM migration_target WHERE id = 10001;
SELECT try('c10');
SET upg.undo_copy_limit = 0;
SELECT verdict FROM upg.capture_run('c11', 'ALTER TABLE undo_columns.plain DROP z');
VACUUM FULL plain;
SELECT try('c11');
SELECT upg.capture_finalize('c11');
RESET upg.undo_copy_limit;
SELECT count(*) FROM upg.undo_values;

-- generated columns are computed for rows that were written since, and for all after a rewrite
CREATE TABLE computed (id int PRIMARY KEY, name text, g text NOT NULL GENERATED ALWAYS AS (lower(name)) STORED, h text GENERATED ALWAYS AS (upper(name)) STORED);
INSERT INTO computed SELECT i, 'N' || i FROM generate_series(1, 5) i;
SELECT undo FROM public.upg_apply('c21', 'UPDATE undo_columns.computed SET name = name || ''m'' WHERE id IN (1, 5); ALTER TABLE undo_columns.computed DROP g, DROP h');
UPDATE computed SET name = 'U' WHERE id = 5;
INSERT INTO computed VALUES (8, 'x');
SELECT state FROM public.upg_rollback('c21');
SELECT * FROM computed ORDER BY id;
SELECT undo FROM public.upg_apply('c22', 'UPDATE undo_columns.computed SET name = name || ''m'' WHERE id = 1; ALTER TABLE undo_columns.computed DROP g, DROP h');
UPDATE computed SET name = 'V' WHERE id = 3;
DELETE FROM computed WHERE id = 4;
INSERT INTO computed VALUES (9, 'X');
VACUUM FULL computed;
SELECT state FROM public.upg_rollback('c22');
SELECT * FROM computed ORDER BY id;
DROP TABLE computed;

-- a dropped column outlives its collation
CREATE TABLE had (id int, x text);
CREATE COLLATION gone FROM "C";
ALTER TABLE had ADD y text COLLATE gone;
INSERT INTO had VALUES (1, 'x', 'y');
SELECT verdict FROM upg.capture_run('c12', 'DROP COLLATION undo_columns.gone CASCADE');
SELECT try('c12');
SELECT y COLLATE gone AS y FROM had;
DROP COLLATION gone CASCADE;
SELECT verdict FROM upg.capture_run('c13', 'DROP TABLE undo_columns.had');
SELECT try('c13');
TABLE had;

-- VACUUM FULL drops a TOAST table that is not needed any more: long values come back
-- all the same, may be written again, and the migration that made the table goes
CREATE TABLE long (id int PRIMARY KEY, v text);
INSERT INTO long SELECT i, (SELECT string_agg(md5(g::text || i), '') FROM generate_series(1, 1000) g) FROM generate_series(1, 3) i;
SELECT verdict FROM upg.capture_run('c14', 'CREATE TABLE undo_columns.other (id int PRIMARY KEY, v text)');
SELECT verdict FROM upg.capture_run('c15', 'ALTER TABLE undo_columns.long DROP v; ALTER TABLE undo_columns.other DROP v');
VACUUM FULL long;
VACUUM FULL other;
SELECT relname, reltoastrelid <> 0 AS toast FROM pg_class WHERE relname IN ('long', 'other') ORDER BY 1;
SELECT try('c15');
SELECT relname, reltoastrelid <> 0 AS toast FROM pg_class WHERE relname IN ('long', 'other') ORDER BY 1;
SELECT id, length(v) FROM long ORDER BY id;
INSERT INTO other SELECT * FROM long;
DELETE FROM other;
VACUUM other;
SELECT try('c14');
-- nor does a change of something else bring back one that is gone
SELECT verdict FROM upg.capture_run('c16', 'ALTER TABLE undo_columns.long SET (fillfactor = 50)');
ALTER TABLE long DROP v;
VACUUM FULL long;
SELECT try('c16');
SELECT count(*) FROM pg_class c WHERE reltoastrelid <> 0 AND NOT EXISTS (SELECT FROM pg_class t WHERE t.oid = c.reltoastrelid);
DROP SCHEMA undo_columns CASCADE;
