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
SET allow_system_table_mods = on;
INSERT INTO pg_seclabel VALUES ('fp.t'::regclass, 'pg_class'::regclass, 2, 'dummy', 'x'); SELECT fp.see('security label');
UPDATE pg_seclabel SET label = 'y' WHERE objoid = 'fp.t'::regclass; SELECT fp.see('another label');
INSERT INTO pg_seclabel VALUES ('fp'::regnamespace, 'pg_namespace'::regclass, 0, 'dummy', 'x'); SELECT fp.see('label of the schema');
DELETE FROM pg_seclabel WHERE provider = 'dummy'; SELECT fp.see('no label');
GRANT SELECT ON fp.v TO PUBLIC; SELECT fp.see('grant on the view');
REVOKE SELECT ON fp.v FROM PUBLIC; SELECT fp.see('revoked');
SELECT (SELECT fp FROM fp.seen WHERE what = 'revoked') = (SELECT fp FROM fp.seen WHERE what = 'no label') AS as_before_the_grant;
-- what came with the server, and the database
CREATE TEMP TABLE parts (what text, parts jsonb);
CREATE FUNCTION pg_temp.parts(what text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE now jsonb := (SELECT jsonb_object_agg(part, hash) FROM public.upg_schema_fingerprint_parts()); last jsonb;
BEGIN
  SELECT p.parts INTO last FROM pg_temp.parts p ORDER BY ctid DESC LIMIT 1;
  INSERT INTO pg_temp.parts VALUES (what, now);
  RETURN what || ': ' || coalesce((SELECT string_agg(key, ', ' ORDER BY key) FROM jsonb_each(now) n JOIN jsonb_each(last) l USING (key) WHERE n.value <> l.value), 'nothing');
END $$;
SELECT pg_temp.parts('start');
CREATE ROLE fp_role; GRANT USAGE ON LANGUAGE sql TO fp_role; SELECT pg_temp.parts('language');
REVOKE USAGE ON LANGUAGE sql FROM fp_role; GRANT USAGE ON TYPE int4 TO fp_role; COMMENT ON SCHEMA public IS 'mine'; SELECT pg_temp.parts('type, comment on public');
INSERT INTO pg_seclabel VALUES ('public'::regnamespace, 'pg_namespace'::regclass, 0, 'dummy', 'x');
INSERT INTO pg_shseclabel SELECT oid, 'pg_database'::regclass, 'dummy', 'x' FROM pg_database WHERE datname = current_database(); SELECT pg_temp.parts('labels of public and the database');
SELECT a.parts -> 'pg_language' = b.parts -> 'pg_language' AS language_as_before FROM parts a, parts b WHERE a.what = 'start' AND b.what = 'type, comment on public';
DELETE FROM pg_seclabel WHERE provider = 'dummy'; DELETE FROM pg_shseclabel WHERE provider = 'dummy';
RESET allow_system_table_mods;
COMMENT ON SCHEMA public IS 'standard public schema';
REVOKE USAGE ON TYPE int4 FROM fp_role; DROP ROLE fp_role;
CREATE TABLE public.fp_elsewhere (a int); SELECT fp.see('another schema');
SELECT count(DISTINCT public.upg_schema_fingerprint()) FROM generate_series(1, 2);
DROP TABLE public.fp_elsewhere;
DROP SCHEMA fp CASCADE;
