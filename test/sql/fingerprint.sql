-- The fingerprint moves with the schema and with nothing else.
\set VERBOSITY terse
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS upg;
CREATE SCHEMA fp;
CREATE TABLE fp.t (id int PRIMARY KEY, a text);
CREATE TABLE fp.seen (what text, fp text);
CREATE FUNCTION fp.see(what text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE now text := public.upg_schema_fingerprint('{fp}'); last text;
BEGIN
  SELECT s.fp INTO last FROM fp.seen s ORDER BY ctid DESC LIMIT 1;
  INSERT INTO fp.seen VALUES (what, now);
  RETURN what || ': ' || CASE WHEN last IS NULL THEN 'first' WHEN last = now THEN 'same' ELSE 'changed' END;
END $$;
SELECT fp.see('start');
INSERT INTO fp.t SELECT i, 'x' FROM generate_series(1, 100) i; ANALYZE fp.t;
SELECT fp.see('rows and statistics');
VACUUM FULL fp.t; REINDEX TABLE fp.t;
SELECT fp.see('new files');
ALTER TABLE fp.t ADD COLUMN b int; SELECT fp.see('column');
ALTER TABLE fp.t DROP COLUMN b; SELECT fp.see('column dropped');
SELECT (SELECT fp FROM fp.seen WHERE what = 'column dropped') = (SELECT fp FROM fp.seen WHERE what = 'start') AS as_at_the_start;
ALTER TABLE fp.t ALTER a SET DEFAULT 'q'; SELECT fp.see('default');
ALTER TABLE fp.t ALTER a SET NOT NULL; SELECT fp.see('not null');
CREATE INDEX i ON fp.t (lower(a)); SELECT fp.see('index');
ALTER TABLE fp.t ADD CHECK (id > 0); SELECT fp.see('check');
COMMENT ON TABLE fp.t IS 'x'; SELECT fp.see('comment');
COMMENT ON COLUMN fp.t.a IS 'x'; SELECT fp.see('column comment');
GRANT SELECT ON fp.t TO PUBLIC; SELECT fp.see('grant');
CREATE VIEW fp.v AS SELECT a FROM fp.t; SELECT fp.see('view');
ALTER TABLE fp.t RENAME a TO aa; SELECT fp.see('rename');
CREATE TYPE fp.e AS ENUM ('a', 'b'); SELECT fp.see('enum');
ALTER TYPE fp.e ADD VALUE 'c' BEFORE 'b'; SELECT fp.see('enum value');
CREATE SEQUENCE fp.s; SELECT fp.see('sequence');
ALTER SEQUENCE fp.s OWNED BY fp.t.id; SELECT fp.see('owned by');
SELECT nextval('fp.s'); SELECT fp.see('sequence value');
CREATE FUNCTION fp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; SELECT fp.see('function');
CREATE OR REPLACE FUNCTION fp.f() RETURNS int LANGUAGE sql AS 'SELECT 2'; SELECT fp.see('function body');
ALTER TABLE fp.t ENABLE ROW LEVEL SECURITY; SELECT fp.see('row security');
CREATE POLICY p ON fp.t USING (id = 1); SELECT fp.see('policy');
ALTER TABLE fp.t SET (fillfactor = 50); SELECT fp.see('option');
ALTER TABLE fp.t ALTER aa SET STATISTICS 5; SELECT fp.see('statistics target');
CREATE TABLE public.fp_elsewhere (a int); SELECT fp.see('another schema');
SELECT count(DISTINCT public.upg_schema_fingerprint()) FROM generate_series(1, 2);
DROP TABLE public.fp_elsewhere;
DROP SCHEMA fp CASCADE;
