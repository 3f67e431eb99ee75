-- A captured step is proven and taken back: schema, rows, files.
\set VERBOSITY terse
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS upg;
CREATE SCHEMA undo_basic;
SET search_path = undo_basic;
CREATE TYPE mood AS ENUM ('low', 'high');
CREATE TABLE t (id serial PRIMARY KEY, a int NOT NULL, b text, m mood DEFAULT 'low');
INSERT INTO t (a, b) SELECT i, repeat('x', i * 300) FROM generate_series(1, 20) i;
CREATE INDEX ON t (a);
CREATE TABLE side (what text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO undo_basic.side VALUES (TG_OP); RETURN NULL; END $$;
CREATE TRIGGER noted AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION note();
CREATE VIEW v AS SELECT id, a FROM t;
CREATE TEMP TABLE before AS SELECT public.upg_schema_fingerprint('{undo_basic}') AS fp,
  (SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM t) AS rows;

-- one step with a bit of everything
SELECT verdict, differences FROM upg.capture_run('basic 1', $$
  UPDATE undo_basic.t SET a = a + 1;
  ALTER TABLE undo_basic.t DROP COLUMN b;
  ALTER TABLE undo_basic.t ADD COLUMN c int DEFAULT 7;
  ALTER TYPE undo_basic.mood ADD VALUE 'mid' BEFORE 'high';
  DROP VIEW undo_basic.v;
  DELETE FROM undo_basic.t WHERE id > 15;
  CREATE TABLE undo_basic.other AS SELECT * FROM undo_basic.t;
$$);
SELECT count(*), sum(a), sum(c) FROM t;
-- VACUUM clears hint flags and dead rows in between
VACUUM t;
SELECT notes FROM upg.capture_undo('basic 1');
SELECT fp = public.upg_schema_fingerprint('{undo_basic}') AS schema,
  rows = (SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM t) AS rows FROM before;
SELECT attname, attnum FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum;
SELECT count(*) FROM v;

-- a dropped table comes back with the rows that it had before the step changed them
SELECT verdict FROM upg.capture_run('basic 2', $$
  UPDATE undo_basic.t SET b = 'gone' WHERE id < 3;
  DROP TABLE undo_basic.t CASCADE;
$$);
SELECT count(*) FROM pg_class WHERE relname LIKE 'upg\_kept\_%';
VACUUM FREEZE;
SELECT notes FROM upg.capture_undo('basic 2');
SELECT rows = (SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM t) AS rows FROM before;
SELECT count(*) FROM pg_class WHERE relname LIKE 'upg\_kept\_%';
-- the trigger fires, the index is used, the sequence goes on
DELETE FROM side;
UPDATE t SET a = a WHERE id = 4;
SELECT * FROM side;
SET enable_seqscan = off;
SELECT id FROM t WHERE a = 4;
RESET enable_seqscan;

-- TRUNCATE and a rewrite
SELECT verdict FROM upg.capture_run('basic 3', $$
  TRUNCATE undo_basic.t RESTART IDENTITY;
  INSERT INTO undo_basic.t (a) VALUES (100);
  ALTER TABLE undo_basic.t ALTER COLUMN a TYPE bigint;
$$);
SELECT verdict FROM upg.capture_run('basic 3', $$
  DROP VIEW undo_basic.v;
  TRUNCATE undo_basic.t RESTART IDENTITY;
  INSERT INTO undo_basic.t (a) VALUES (100);
  ALTER TABLE undo_basic.t ALTER COLUMN a TYPE bigint;
$$);
SELECT * FROM t;
SELECT notes FROM upg.capture_undo('basic 3');
SELECT rows = (SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM t) AS rows FROM before;
INSERT INTO t (a) VALUES (0) RETURNING id;

-- a step that goes back half
SELECT verdict FROM upg.capture_run('basic 4', $$
  DO $do$
  BEGIN
    UPDATE undo_basic.t SET a = 5 WHERE id = 1;
    BEGIN
      DELETE FROM undo_basic.t;
      ALTER TABLE undo_basic.t ADD COLUMN z int;
      RAISE EXCEPTION 'no';
    EXCEPTION WHEN raise_exception THEN
      UPDATE undo_basic.t SET a = 6 WHERE id = 2;
    END;
  END
  $do$;
$$);
SELECT data_rows FROM upg.capture_undo('basic 4');
SELECT a FROM t WHERE id < 3 ORDER BY id;

-- nothing is left of an undo that was given up
SELECT verdict FROM upg.capture_run('basic 5', 'DROP TABLE undo_basic.t CASCADE');
SELECT upg.capture_finalize('basic 5');
SELECT count(*) FROM pg_class WHERE relname LIKE 'upg\_kept\_%';
SELECT upg.capture_undo('basic 5');
SELECT count(*) FROM upg.undo_chunks;
DROP SCHEMA undo_basic CASCADE;
