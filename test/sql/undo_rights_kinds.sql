-- A role takes back only what it could have changed itself: what others own, what only a
-- superuser may change, and what it might not make anew is refused; its own is not.
\set VERBOSITY terse
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS upg;
CREATE ROLE upg_test_alice;
CREATE ROLE upg_test_bob;
GRANT upg_operator TO upg_test_alice, upg_test_bob;
CREATE SCHEMA ur AUTHORIZATION upg_test_alice;
GRANT USAGE, CREATE ON SCHEMA ur TO upg_test_bob;
CREATE SCHEMA closed;
GRANT USAGE ON SCHEMA closed TO upg_test_bob;
SET ROLE upg_test_alice;
CREATE TYPE ur.e AS ENUM ('x');
CREATE DOMAIN ur.d AS int;
CREATE FUNCTION ur.f() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TABLE ur.pk (id int PRIMARY KEY, v int);
CREATE VIEW ur.view AS SELECT id FROM ur.pk;
CREATE SEQUENCE ur.s;
GRANT REFERENCES ON ur.pk TO upg_test_bob;
GRANT SELECT, INSERT, UPDATE, DELETE ON ur.pk TO upg_test_bob;
CREATE TABLE ur.parts (i int) PARTITION BY LIST (i);
CREATE TEXT SEARCH CONFIGURATION ur.ts (COPY = simple);
SELECT lo_from_bytea(7701, 'secret');
RESET ROLE;
CREATE FOREIGN DATA WRAPPER ur_wrapper;
CREATE SERVER ur_server FOREIGN DATA WRAPPER ur_wrapper;
GRANT USAGE ON FOREIGN SERVER ur_server TO upg_test_bob;
CREATE SERVER ur_closed FOREIGN DATA WRAPPER ur_wrapper;
CREATE USER MAPPING FOR upg_test_bob SERVER ur_closed OPTIONS (password 'x');
CREATE FOREIGN TABLE ur.ft (i int) SERVER ur_closed;
ALTER FOREIGN TABLE ur.ft OWNER TO upg_test_bob;
-- what a superuser made and gave away
CREATE FUNCTION ur.c() RETURNS text LANGUAGE internal AS 'pg_current_logfile';
ALTER FUNCTION ur.c() OWNER TO upg_test_bob;
CREATE FUNCTION ur.leak() RETURNS int LANGUAGE sql LEAKPROOF AS 'SELECT 1';
ALTER FUNCTION ur.leak() OWNER TO upg_test_bob;
CREATE FUNCTION closed.g() RETURNS int LANGUAGE sql AS 'SELECT 1';
ALTER FUNCTION closed.g() OWNER TO upg_test_bob;
CREATE TYPE ur.base;
CREATE FUNCTION ur.base_in(cstring) RETURNS ur.base LANGUAGE internal IMMUTABLE STRICT AS 'textin';
CREATE FUNCTION ur.base_out(ur.base) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
CREATE TYPE ur.base (INPUT = ur.base_in, OUTPUT = ur.base_out, LIKE = text);
ALTER TYPE ur.base OWNER TO upg_test_bob;
CREATE PUBLICATION ur_pub;
CREATE PUBLICATION ur_all FOR ALL TABLES;
CREATE TABLE ur.bobs (i int, p int);
ALTER TABLE ur.bobs OWNER TO upg_test_bob;
CREATE TABLE ur.secret (id int PRIMARY KEY);
ALTER TABLE ur.bobs ADD CONSTRAINT to_secret FOREIGN KEY (p) REFERENCES ur.secret;
CREATE TABLE ur.given (i int);
ALTER TABLE ur.parts OWNER TO upg_test_alice;
CREATE FUNCTION ur.ev() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE FUNCTION ur.back(name text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  PERFORM upg_rollback(name);
  RETURN 'taken back';
EXCEPTION WHEN insufficient_privilege THEN
  RETURN 'refused';
END $$;
CREATE TABLE ur.theirs (n serial, script text);
GRANT SELECT ON ur.theirs TO PUBLIC;
\pset format unaligned
\t on

\echo # what others did: nothing of it is his
INSERT INTO ur.theirs (script) VALUES
  ('ALTER TYPE ur.e ADD VALUE ''y'''),
  ('ALTER DOMAIN ur.d ADD CONSTRAINT positive CHECK (value > 0)'),
  ('COMMENT ON FUNCTION ur.f() IS ''x'''),
  ('COMMENT ON SCHEMA ur IS ''x'''),
  ('COMMENT ON CONSTRAINT pk_pkey ON ur.pk IS ''x'''),
  ('ALTER DEFAULT PRIVILEGES FOR ROLE upg_test_alice GRANT SELECT ON TABLES TO upg_test_bob'),
  ('ALTER DEFAULT PRIVILEGES IN SCHEMA ur GRANT SELECT ON TABLES TO upg_test_bob'),
  ('CREATE CAST (ur.e AS int) WITH INOUT'),
  ('CREATE CAST (ur.base AS text) WITHOUT FUNCTION'),
  ('CREATE TRANSFORM FOR ur.e LANGUAGE sql (FROM SQL WITH FUNCTION prsd_lextype(internal))'),
  ('ALTER TEXT SEARCH CONFIGURATION ur.ts DROP MAPPING FOR word'),
  ('SELECT lo_put(7701, 0, ''public'')'),
  ('SELECT lo_create(7702)'),
  ('ALTER OPERATOR FAMILY integer_ops USING btree ADD OPERATOR 1 < (float8, float4)'),
  ('CREATE ACCESS METHOD ur_am TYPE INDEX HANDLER bthandler'),
  ('CREATE TEXT SEARCH PARSER ur.p (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype)'),
  ('CREATE TRUSTED LANGUAGE ur_lang HANDLER plpgsql_call_handler'),
  ('CREATE EVENT TRIGGER ur_trigger ON sql_drop EXECUTE FUNCTION ur.ev()'),
  ('ALTER FOREIGN DATA WRAPPER ur_wrapper OPTIONS (a ''b'')'),
  ('ALTER SERVER ur_server OPTIONS (a ''b'')'),
  ('CREATE USER MAPPING FOR upg_test_alice SERVER ur_server'),
  ('DROP USER MAPPING FOR upg_test_bob SERVER ur_closed'),
  ('ALTER PUBLICATION ur_pub ADD TABLE ur.bobs'),
  ('ALTER PUBLICATION ur_pub ADD TABLES IN SCHEMA ur'),
  ('ALTER PUBLICATION ur_all SET (publish = ''insert'')'),
  ('REVOKE ALL ON ur.pk FROM upg_test_bob'),
  ('GRANT SELECT (id) ON ur.pk TO upg_test_bob'),
  ('INSERT INTO ur.pk VALUES (1, 1)'),
  ('SELECT nextval(''ur.s'')'),
  ('CREATE OR REPLACE VIEW ur.view AS SELECT id, v FROM ur.pk'),
  ('CREATE POLICY p ON ur.pk USING (true)'),
  ('CREATE STATISTICS ur.st ON id, v FROM ur.pk'),
  ('CREATE TABLE ur.p1 PARTITION OF ur.parts FOR VALUES IN (1); ALTER TABLE ur.p1 OWNER TO upg_test_bob'),
  ('ALTER FUNCTION ur.f() SECURITY DEFINER'),
  ('ALTER TABLE ur.given OWNER TO upg_test_bob'),
  ('ALTER SCHEMA ur RENAME TO ur2; ALTER SCHEMA ur2 RENAME TO ur; GRANT USAGE ON SCHEMA ur TO PUBLIC'),
  ('ALTER ROLE upg_test_bob CREATEDB'),
  ('GRANT upg_test_alice TO upg_test_bob; REVOKE upg_test_alice FROM upg_test_bob; COMMENT ON ROLE upg_test_bob IS ''x'''),
  -- his own, but not his to make
  ('DROP FUNCTION ur.c()'),
  ('ALTER FUNCTION ur.leak() NOT LEAKPROOF'),
  ('DROP FUNCTION closed.g()'),
  ('DROP TYPE ur.base CASCADE'),
  ('DROP FOREIGN TABLE ur.ft'),
  ('ALTER TABLE ur.bobs DISABLE TRIGGER ALL'),
  ('ALTER TABLE ur.bobs DROP CONSTRAINT to_secret');
SELECT string_agg(r.state, ' ') FROM (SELECT * FROM ur.theirs ORDER BY n) t, upg_apply('theirs ' || t.n, t.script) r WHERE r.state <> 'applied';
SET ROLE upg_test_bob;
SELECT t.script, ur.back('theirs ' || t.n) FROM (SELECT * FROM ur.theirs ORDER BY n DESC) t;
RESET ROLE;
SELECT count(*) = (SELECT count(*) FROM ur.theirs) FROM upg_status() WHERE migration LIKE 'theirs %' AND state = 'applied';
\echo # nor by way of others: previews, rehearsals, a batch, a run
SET ROLE upg_test_bob;
\set VERBOSITY default
SELECT upg_rollback('theirs 2');
SELECT upg_rollback('theirs 9');
SELECT upg_rollback('theirs 29');
\set VERBOSITY terse
SELECT upg_rollback_preview('theirs 28');
SELECT upg_rollback('theirs 28', options => '{"dry_run": true}');
SELECT upg_rollback('theirs 27', options => '{"dry_run": true, "cascade": true}');
SELECT upg_rollback(to_name => 'theirs 20');
RESET ROLE;
\echo # a superuser takes back all of it
SELECT t.n, b FROM (SELECT * FROM ur.theirs ORDER BY n DESC) t, ur.back('theirs ' || t.n) b WHERE b <> 'taken back';
SELECT count(*) FROM upg_status() WHERE migration LIKE 'theirs %' AND state = 'applied';

\echo # what he did himself, with the rights that he has: all of it
SET ROLE upg_test_bob;
CREATE TABLE ur.own (id int PRIMARY KEY, v text DEFAULT 'd', p int);
INSERT INTO ur.own SELECT i, i, i FROM generate_series(1, 10) i;
CREATE TYPE ur.mine AS ENUM ('a');
CREATE TEMP TABLE his (n serial, script text);
INSERT INTO his (script) VALUES
  ('CREATE TABLE ur.fk (p int REFERENCES ur.pk, v text DEFAULT ''x'' CHECK (v <> ''''), s serial); CREATE INDEX ON ur.fk (v)'),
  ('ALTER TABLE ur.fk ALTER CONSTRAINT fk_p_fkey DEFERRABLE'),
  ('ALTER TABLE ur.fk DROP CONSTRAINT fk_p_fkey'),
  ('UPDATE ur.own SET v = ''w''; DELETE FROM ur.own WHERE id = 3; INSERT INTO ur.own VALUES (11)'),
  ('ALTER TABLE ur.own ADD c int DEFAULT 1, ALTER v TYPE varchar(9), DROP p'),
  ('TRUNCATE ur.own; VALUES (1)'),
  ('ALTER TYPE ur.mine RENAME VALUE ''a'' TO ''b''; CREATE TYPE ur.r AS RANGE (SUBTYPE = int); CREATE TYPE ur.c2 AS (a int); CREATE DOMAIN ur.dm AS int CHECK (value > 0)'),
  ('ALTER DOMAIN ur.dm DROP CONSTRAINT dm_check; COMMENT ON DOMAIN ur.dm IS ''x'''),
  ('CREATE FUNCTION ur.fn(int) RETURNS int LANGUAGE sql AS ''SELECT $1''; CREATE AGGREGATE ur.agg (int) (SFUNC = int4pl, STYPE = int); CREATE OPERATOR ur.@+ (FUNCTION = int4pl, LEFTARG = int, RIGHTARG = int); CREATE CAST (ur.mine AS int) WITH INOUT'),
  ('DROP AGGREGATE ur.agg (int); DROP OPERATOR ur.@+ (int, int); DROP CAST (ur.mine AS int); CREATE OR REPLACE FUNCTION ur.fn(int) RETURNS int LANGUAGE plpgsql AS ''BEGIN RETURN 1; END'''),
  ('CREATE VIEW ur.vw AS SELECT id, v FROM ur.own; CREATE MATERIALIZED VIEW ur.mv AS SELECT 1 AS a; CREATE RULE r AS ON INSERT TO ur.vw DO INSTEAD NOTHING; GRANT SELECT ON ur.vw TO PUBLIC; COMMENT ON COLUMN ur.vw.v IS ''x'''),
  ('DROP VIEW ur.vw; DROP MATERIALIZED VIEW ur.mv'),
  ('CREATE POLICY p ON ur.own USING (true); ALTER TABLE ur.own ENABLE ROW LEVEL SECURITY; CREATE STATISTICS ur.stx ON id, v FROM ur.own'),
  ('CREATE FUNCTION ur.tf() RETURNS trigger LANGUAGE plpgsql AS ''BEGIN RETURN NEW; END''; CREATE TRIGGER t BEFORE INSERT ON ur.own FOR EACH ROW EXECUTE FUNCTION ur.tf(); ALTER TABLE ur.own DISABLE TRIGGER t'),
  ('CREATE TABLE ur.pt (i int PRIMARY KEY, j int GENERATED ALWAYS AS IDENTITY) PARTITION BY RANGE (i); CREATE TABLE ur.pt1 PARTITION OF ur.pt FOR VALUES FROM (1) TO (9); INSERT INTO ur.pt VALUES (1); CREATE TABLE ur.pref (i int REFERENCES ur.pt)'),
  ('ALTER TABLE ur.pref DROP CONSTRAINT pref_i_fkey; ALTER TABLE ur.pt DETACH PARTITION ur.pt1'),
  ('ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC; ALTER DEFAULT PRIVILEGES IN SCHEMA ur GRANT EXECUTE ON FUNCTIONS TO upg_test_alice'),
  ('CREATE TEXT SEARCH CONFIGURATION ur.tsc (COPY = simple); CREATE TEXT SEARCH DICTIONARY ur.tsd (TEMPLATE = simple); ALTER TEXT SEARCH CONFIGURATION ur.tsc ALTER MAPPING FOR word WITH ur.tsd'),
  ('SELECT lo_from_bytea(7703, ''x''); GRANT SELECT ON LARGE OBJECT 7703 TO PUBLIC; COMMENT ON LARGE OBJECT 7703 IS ''x'''),
  ('SELECT lo_unlink(7703)'),
  ('CREATE USER MAPPING FOR upg_test_bob SERVER ur_server; CREATE FOREIGN TABLE ur.ft2 (i int DEFAULT 1) SERVER ur_server'),
  ('DROP FOREIGN TABLE ur.ft2; DROP USER MAPPING FOR upg_test_bob SERVER ur_server'),
  ('CREATE COLLATION ur.co FROM "C"; CREATE CONVERSION ur.cv FOR ''LATIN1'' TO ''UTF8'' FROM iso8859_1_to_utf8; CREATE SEQUENCE ur.sq; ALTER SEQUENCE ur.sq OWNED BY ur.own.id'),
  ('CREATE TABLE ur.child () INHERITS (ur.own); ALTER TABLE ur.child NO INHERIT ur.own; CREATE TABLE ur.child2 () INHERITS (ur.own)'),
  ('ALTER FUNCTION ur.fn(int) DEPENDS ON EXTENSION plpgsql; ALTER TABLE ur.own RENAME TO owned; ALTER TABLE ur.owned CLUSTER ON own_pkey');
SELECT t.n, r.undo FROM (SELECT * FROM his ORDER BY n) t, upg_apply('his ' || t.n, t.script) r WHERE r.undo <> 'exact';
SELECT n, ur.back('his ' || n) FROM his ORDER BY n DESC;
RESET ROLE;
DROP PUBLICATION ur_pub, ur_all;
DROP SERVER ur_server, ur_closed CASCADE;
DROP FOREIGN DATA WRAPPER ur_wrapper;
SELECT lo_unlink(7701);
DROP SCHEMA ur, closed CASCADE;
DROP OWNED BY upg_test_alice, upg_test_bob;
DROP ROLE upg_test_alice, upg_test_bob;
