-- Whatever is evaluated while a superuser takes something back runs as the owner of the
-- table, in a security-restricted operation, with pg_catalog before all else in its search_path: an
-- owner cannot borrow his rights by an index, a check, a default or a type.
\set VERBOSITY terse
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS upg;
CREATE ROLE upg_test_mallory;
CREATE SCHEMA uo AUTHORIZATION upg_test_mallory;
SELECT current_user AS superuser \gset
SET ROLE upg_test_mallory;
-- what an attacker tries; advisory locks of the session outlive any subtransaction
CREATE FUNCTION uo.attack() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('SET ROLE %I', (SELECT rolname FROM pg_catalog.pg_roles WHERE oid OPERATOR(pg_catalog.=) 10));
  PERFORM pg_catalog.pg_advisory_lock(4711, 1);
EXCEPTION WHEN OTHERS THEN
  IF sqlerrm NOT LIKE '%within security-restricted operation%' THEN
    PERFORM pg_catalog.pg_advisory_lock(4711, 2);
  END IF;
END $$;
CREATE FUNCTION uo.spy(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF pg_catalog.current_setting('uo.armed', true) = 'on' THEN
    IF current_user <> 'upg_test_mallory' THEN
      PERFORM pg_catalog.pg_advisory_lock(4711, 3);
    END IF;
    IF pg_catalog.current_setting('search_path') !~ '^pg_catalog\y' THEN
      PERFORM pg_catalog.pg_advisory_lock(4711, 4);
    END IF;
    PERFORM uo.attack();
    PERFORM pg_catalog.pg_advisory_lock(4712, 1);
  END IF;
  RETURN i;
END $$;
CREATE FUNCTION uo.spy(t text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT CASE WHEN uo.spy(1) = 1 THEN t END';
CREATE FUNCTION uo.fired() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_catalog.pg_advisory_lock(4711, 5) WHERE pg_catalog.current_setting('uo.armed', true) = 'on';
  RETURN NEW;
END $$;
RESET ROLE;
-- what was seen: evaluated at all, and as somebody else, or unrestricted
CREATE FUNCTION uo.seen() RETURNS text LANGUAGE sql AS $$
  SELECT CASE WHEN count(*) FILTER (WHERE classid = 4712) > 0 THEN 'evaluated' ELSE 'not evaluated' END ||
         coalesce(string_agg(CASE WHEN classid = 4711 THEN CASE objid WHEN 1 THEN ', ROLE SET' WHEN 2 THEN ', UNRESTRICTED'
           WHEN 3 THEN ', NOT AS THE OWNER' WHEN 4 THEN ', WITH A PATH' WHEN 5 THEN ', TRIGGER FIRED' END END, '' ORDER BY objid), '')
  FROM pg_locks WHERE locktype = 'advisory' AND classid IN (4711, 4712) AND objsubid = 2 AND pid = pg_backend_pid() $$;
CREATE FUNCTION uo.tables() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  DROP TABLE IF EXISTS uo.t, uo.child, uo.parted CASCADE;
  DROP DOMAIN IF EXISTS uo.dom CASCADE;
  SET LOCAL ROLE upg_test_mallory;
  CREATE TABLE uo.t (id int PRIMARY KEY, a int DEFAULT uo.spy(7), b text, g int GENERATED ALWAYS AS (uo.spy(id)) STORED,
                     CONSTRAINT looked CHECK (uo.spy(id) > 0));
  CREATE INDEX t_spied ON uo.t (uo.spy(id));
  CREATE UNIQUE INDEX t_some ON uo.t (a) WHERE uo.spy(id) > 100;
  ALTER TABLE uo.t ADD CONSTRAINT apart EXCLUDE USING btree ((uo.spy(id)) WITH =);
  CREATE STATISTICS uo.stats ON (uo.spy(id)), a FROM uo.t;
  CREATE TRIGGER fire BEFORE INSERT OR UPDATE ON uo.t FOR EACH ROW EXECUTE FUNCTION uo.fired();
  ALTER TABLE uo.t ENABLE ALWAYS TRIGGER fire;
  CREATE DOMAIN uo.dom AS text CHECK (uo.spy(value) IS NOT NULL);
  ALTER TABLE uo.t ADD d uo.dom DEFAULT 'd';
  CREATE TABLE uo.child (id int PRIMARY KEY, t int REFERENCES uo.t);
  CREATE TABLE uo.parted (i int, v text) PARTITION BY RANGE (uo.spy(i));
  CREATE TABLE uo.part PARTITION OF uo.parted FOR VALUES FROM (1) TO (100);
  ALTER TABLE uo.t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
  CREATE POLICY p ON uo.t USING (uo.spy(id) > 0);
  RESET ROLE;
  INSERT INTO uo.t (id, b) SELECT i, i FROM generate_series(1, 20) i;
  INSERT INTO uo.child SELECT i, i FROM generate_series(1, 20) i;
  INSERT INTO uo.parted SELECT i, i FROM generate_series(1, 20) i;
END $$;
CREATE TABLE uo.cases (n serial, script text, since text);
INSERT INTO uo.cases (script, since) VALUES
  ('UPDATE uo.t SET b = ''m''; DELETE FROM uo.child WHERE id = 5; DELETE FROM uo.t WHERE id = 5; INSERT INTO uo.t (id) VALUES (30)', 'UPDATE uo.t SET a = 9 WHERE id = 2; INSERT INTO uo.t (id) VALUES (31)'),
  ('DELETE FROM uo.parted', 'INSERT INTO uo.parted VALUES (50, ''app'')'),
  ('UPDATE uo.parted SET v = ''m'' WHERE i < 4', 'UPDATE uo.parted SET i = 60 WHERE i = 9'),
  ('DROP INDEX uo.t_spied, uo.t_some', 'INSERT INTO uo.t (id) VALUES (31)'),
  ('ALTER TABLE uo.t DROP CONSTRAINT looked, DROP CONSTRAINT apart', 'INSERT INTO uo.t (id) VALUES (31)'),
  ('ALTER TABLE uo.t DROP a, DROP g', 'INSERT INTO uo.t (id) VALUES (31)'),
  ('ALTER TABLE uo.t DROP g, DROP d', 'UPDATE uo.t SET b = ''x'' WHERE id = 1; INSERT INTO uo.t (id) VALUES (31)'),
  ('ALTER TABLE uo.t ALTER b TYPE varchar(20), ALTER d TYPE text', 'UPDATE uo.t SET d = ''other'' WHERE id = 1; INSERT INTO uo.t (id) VALUES (31)'),
  ('ALTER TABLE uo.t DROP CONSTRAINT looked, ALTER a TYPE bigint', 'UPDATE uo.t SET a = 8 WHERE id = 1; INSERT INTO uo.t (id) VALUES (31)'),
  ('ALTER TABLE uo.child DROP CONSTRAINT child_t_fkey', 'INSERT INTO uo.child VALUES (21, 3)'),
  ('TRUNCATE uo.child; ALTER DOMAIN uo.dom DROP CONSTRAINT dom_check', 'INSERT INTO uo.t (id, d) VALUES (31, ''free'')'),
  ('TRUNCATE uo.t CASCADE', 'INSERT INTO uo.t (id) VALUES (31)'),
  ('DROP TABLE uo.child; DROP TABLE uo.t', 'SELECT 1');
\pset format unaligned
\t on
CREATE PROCEDURE uo.try(what text, options jsonb) LANGUAGE plpgsql AS $$
DECLARE
  c record;
  outcome text;
BEGIN
  FOR c IN SELECT * FROM uo.cases ORDER BY n LOOP
    PERFORM pg_advisory_unlock_all();
    PERFORM uo.tables();
    COMMIT;
    PERFORM upg_apply(concat_ws(' ', 'uo', what, options, c.n), c.script);
    COMMIT;
    EXECUTE c.since;
    COMMIT;
    PERFORM set_config('uo.armed', 'on', false);
    BEGIN
      IF what = 'preview' THEN
        PERFORM upg_rollback_preview(concat_ws(' ', 'uo', what, options, c.n), options);
      ELSE
        PERFORM upg_rollback(concat_ws(' ', 'uo', what, options, c.n), options => options);
      END IF;
      outcome := 'done';
    EXCEPTION WHEN SQLSTATE 'UP022' THEN
      outcome := 'refused';
    END;
    PERFORM set_config('uo.armed', 'off', false);
    INSERT INTO uo.outcomes VALUES (what, options ->> 'on_conflict', c.n, outcome, uo.seen());
    COMMIT;
  END LOOP;
  PERFORM pg_advisory_unlock_all();
END $$;
CREATE TABLE uo.outcomes (what text, policy text, n int, outcome text, seen text);
SET search_path = uo, pg_catalog, public;
CALL uo.try('rollback', '{"on_conflict": "keep"}');
CALL uo.try('rollback', '{"on_conflict": "discard"}');
CALL uo.try('preview', '{"on_conflict": "keep"}');
SELECT what, policy, outcome, count(*), bool_or(seen LIKE 'evaluated%') AS evaluated FROM uo.outcomes GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
SELECT * FROM uo.outcomes WHERE seen NOT IN ('evaluated', 'not evaluated') ORDER BY what, policy, n;
RESET search_path;
\echo # rows that are put back
SELECT uo.tables();
SELECT undo FROM upg_apply('uo aside', 'SET ROLE upg_test_mallory; CREATE TABLE uo.n (id int PRIMARY KEY CHECK (uo.spy(id) > 0), d uo.dom, g int GENERATED ALWAYS AS (uo.spy(id)) STORED); CREATE INDEX ON uo.n (uo.spy(id))');
INSERT INTO uo.n VALUES (1, 'x');
SELECT state FROM upg_rollback('uo aside');
SELECT state FROM upg_apply('uo aside');
SET uo.armed = on;
SELECT upg_put_back('uo aside');
SELECT uo.seen();
SELECT pg_advisory_unlock_all();
\echo # the traps work
INSERT INTO uo.n VALUES (2, 'y');
SELECT uo.seen();
SELECT pg_advisory_unlock_all();
RESET uo.armed;
SELECT current_user = :'superuser' AS still_superuser;
DROP SCHEMA uo CASCADE;
DROP OWNED BY upg_test_mallory;
DROP ROLE upg_test_mallory;
-- a function in an index, a check or a generated column may name another without a schema, as many do that wrap
-- what is not immutable; the application's rows went through it with the application's path
CREATE SCHEMA uo_path;
SET search_path = uo_path, public;
CREATE FUNCTION plain(t text) RETURNS text LANGUAGE sql AS 'SELECT lower(t)';
CREATE FUNCTION wrapped(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN plain(t); END';
CREATE TABLE named (id int PRIMARY KEY, name text CONSTRAINT c CHECK (wrapped(name) <> ''), g text GENERATED ALWAYS AS (wrapped(name)) STORED);
CREATE INDEX named_name ON named (wrapped(name)); -- of no row: since 17 the server itself leaves the path out here
INSERT INTO named SELECT i, 'N' || i FROM generate_series(1, 5) i;
SELECT undo FROM upg_apply('uo path rows', 'UPDATE named SET name = name || ''x'' WHERE id < 3; DELETE FROM named WHERE id = 4');
SELECT undo FROM upg_apply('uo path check', 'ALTER TABLE named DROP CONSTRAINT c');
INSERT INTO named VALUES (6, 'new');
SELECT undo FROM upg_apply('uo path generated', 'ALTER TABLE named DROP g');
UPDATE named SET name = 'U' WHERE id = 5;
SELECT state FROM upg_rollback('uo path generated');
SELECT state FROM upg_rollback('uo path check');
SELECT state FROM upg_rollback('uo path rows');
TABLE named ORDER BY id;
RESET search_path;
DROP SCHEMA uo_path CASCADE;
