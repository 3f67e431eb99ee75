-- Two images of a schema: what differs is named, and nothing else.
\set VERBOSITY terse
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS upg;
CREATE SCHEMA im;
CREATE TABLE im.image (v jsonb);
CREATE TABLE im.t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a text DEFAULT 'x' NOT NULL, b varchar(5), c int CHECK (c > 0));
CREATE INDEX t_a ON im.t (a);
CREATE VIEW im.v AS SELECT a, b FROM im.t;
CREATE TYPE im.e AS ENUM ('p', 'q');
CREATE DOMAIN im.d AS int NOT NULL CHECK (VALUE <> 1);
CREATE TYPE im.pair AS (x int, y int);
CREATE SEQUENCE im.s;
CREATE FUNCTION im.f(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION im.g() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER tr AFTER INSERT ON im.t EXECUTE FUNCTION im.g();
CREATE TABLE im.u (id int REFERENCES im.t, serial serial);
CREATE POLICY pol ON im.u USING (true);
CREATE RULE r AS ON DELETE TO im.u DO INSTEAD NOTHING;
CREATE STATISTICS im.st ON a, b FROM im.t;
CREATE COLLATION im.c (locale = 'C');
CREATE OPERATOR im.=== (leftarg = int, rightarg = int, procedure = int4eq);
CREATE AGGREGATE im.agg (int) (sfunc = int4pl, stype = int, initcond = '0');
CREATE TABLE im.parts (k int, v text) PARTITION BY LIST (k);
CREATE TABLE im.part1 PARTITION OF im.parts FOR VALUES IN (1);
CREATE FUNCTION im.keep() RETURNS void LANGUAGE sql AS $$ DELETE FROM im.image; INSERT INTO im.image SELECT public.upg_schema_image('{im}') $$;
CREATE FUNCTION im.seen() RETURNS TABLE (object text, change text, attribute text, was text, is_now text) LANGUAGE sql AS $$
  SELECT d.* FROM im.image i, public.upg_schema_differences(i.v, public.upg_schema_image('{im}')) d $$;

SELECT im.keep();
INSERT INTO im.t (a) SELECT 'x' FROM generate_series(1, 100); ANALYZE im.t; VACUUM FULL im.t; REINDEX TABLE im.t;
SELECT count(*) AS no_differences FROM im.seen();

-- attributes
ALTER TABLE im.t ALTER a DROP DEFAULT, ALTER a DROP NOT NULL, ALTER c TYPE bigint, ALTER b SET STATISTICS 7, ALTER b SET STORAGE PLAIN;
COMMENT ON TABLE im.t IS 'a comment';
COMMENT ON COLUMN im.t.a IS 'another';
GRANT SELECT ON im.t TO PUBLIC;
ALTER TABLE im.t SET (fillfactor = 70);
ALTER TABLE im.t DISABLE TRIGGER tr;
ALTER TABLE im.u ENABLE ROW LEVEL SECURITY;
ALTER TYPE im.e ADD VALUE 'o' BEFORE 'p';
ALTER DOMAIN im.d SET DEFAULT 5;
ALTER SEQUENCE im.s INCREMENT 2;
CREATE OR REPLACE FUNCTION im.f(int) RETURNS int LANGUAGE sql STABLE AS 'SELECT 2';
CREATE OR REPLACE VIEW im.v AS SELECT a, b, 1 AS one FROM im.t;
ALTER STATISTICS im.st SET STATISTICS 9;
ALTER POLICY pol ON im.u USING (false);
ALTER OPERATOR im.=== (int, int) SET (restrict = eqsel);
ALTER TABLE im.parts DETACH PARTITION im.part1;
SELECT object, change, attribute, left(was, 40) AS was, regexp_replace(left(is_now, 40), 'arw\w+', '...') AS is_now FROM im.seen()
WHERE object !~ '^(operator|view)';
-- servers word these differently
SELECT object, change, attribute, was <> is_now AS another FROM im.seen() WHERE object ~ '^(operator|view)';

-- what is missing, and what is too much; what belongs to it is not named again
SELECT im.keep();
DROP INDEX im.t_a;
ALTER TABLE im.t DROP CONSTRAINT t_c_check;
DROP TRIGGER tr ON im.t;
DROP TABLE im.u;
DROP VIEW im.v;
DROP TYPE im.e, im.pair;
DROP FUNCTION im.f(int);
DROP AGGREGATE im.agg (int);
DROP COLLATION im.c;
CREATE TABLE im.w (id serial PRIMARY KEY, x text UNIQUE);
CREATE FUNCTION im.f(text) RETURNS int LANGUAGE sql AS 'SELECT 1';
ALTER TABLE im.t ADD CONSTRAINT again CHECK (c > 1);
SELECT object, change FROM im.seen();

-- the order of columns, over those that both have
SELECT im.keep();
ALTER TABLE im.t DROP COLUMN a CASCADE;
SELECT object, change, attribute FROM im.seen();
ALTER TABLE im.t ADD COLUMN a text;
SELECT object, change, attribute, was, is_now FROM im.seen();

-- an identity column and its sequence; a primary key and its index
SELECT im.keep();
ALTER TABLE im.t ALTER id DROP IDENTITY;
ALTER TABLE im.t DROP CONSTRAINT t_pkey;
SELECT object, change, attribute, was, is_now FROM im.seen();

-- passwords are not shown
CREATE FOREIGN DATA WRAPPER im_wrapper;
CREATE SERVER im_server FOREIGN DATA WRAPPER im_wrapper;
CREATE USER MAPPING FOR PUBLIC SERVER im_server OPTIONS (password 'hush');
CREATE TEMP TABLE mapped AS SELECT public.upg_schema_image() AS v;
SELECT v ? 'user mapping of public for server im_server' AS there, v::text LIKE '%hush%' AS shown FROM mapped;
ALTER USER MAPPING FOR PUBLIC SERVER im_server OPTIONS (SET password 'hush hush');
SELECT object, change, attribute FROM mapped, public.upg_schema_differences(v, public.upg_schema_image());
DROP FOREIGN DATA WRAPPER im_wrapper CASCADE;
GRANT EXECUTE ON FUNCTION pg_read_file(text) TO pg_monitor;
SELECT object, change, attribute FROM mapped, public.upg_schema_differences(v, public.upg_schema_image()) WHERE object !~ '^user mapping';
REVOKE EXECUTE ON FUNCTION pg_read_file(text) FROM pg_monitor;
SELECT object, change, attribute FROM mapped, public.upg_schema_differences(v, public.upg_schema_image()) WHERE object !~ '^user mapping';

-- as pure functions
SELECT count(*) FROM public.upg_schema_differences('{}', '{}');
SELECT object, change FROM public.upg_schema_differences('{}', '{"table a": {}, "column a.b": {"of": "table a"}, "column c.d": {"of": "table c"}}');
SELECT public.upg_schema_differences(NULL, '{"table a": {}}');
SELECT public.upg_schema_image() ? 'schema im' AS whole_database, public.upg_schema_image() ? 'extension upg' AS extensions,
       public.upg_schema_image() ? 'function public.upg_schema_image(text[])' AS members_of_extensions, public.upg_schema_image() ? 'schema upg' AS books;
DROP SCHEMA im CASCADE;
