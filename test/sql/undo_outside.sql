-- Functions whose effect is outside of the database, wherever they are called;
-- servers that were not tested; what keeping an undo costs.
CREATE EXTENSION upg;
SET client_min_messages = error;
\set VERBOSITY terse
CREATE SCHEMA uo;
SET search_path = uo, public;
CREATE TABLE t (i integer PRIMARY KEY, v text);
SELECT lo_create(424242);
-- a language that is not trusted, without any other package
CREATE LANGUAGE untrusted HANDLER plpgsql_call_handler INLINE plpgsql_inline_handler VALIDATOR plpgsql_validator;
CREATE FUNCTION harmless() RETURNS integer LANGUAGE untrusted AS 'BEGIN RETURN 1; END';
CREATE FUNCTION trigger_harmless() RETURNS trigger LANGUAGE untrusted AS 'BEGIN RETURN new; END';
CREATE FUNCTION trigger_definer() RETURNS trigger LANGUAGE untrusted SECURITY DEFINER AS 'BEGIN RETURN new; END';
CREATE FUNCTION exports() RETURNS integer LANGUAGE plpgsql AS $$BEGIN RETURN lo_export(424242, '/nonexistent/x'); END$$;
CREATE TABLE with_default (i integer, d integer DEFAULT harmless());
CREATE TABLE with_trigger (i integer);
CREATE TRIGGER t BEFORE INSERT ON with_trigger FOR EACH ROW EXECUTE FUNCTION trigger_harmless();
CREATE TABLE with_definer (i integer);
CREATE TRIGGER t BEFORE INSERT ON with_definer FOR EACH ROW EXECUTE FUNCTION trigger_definer();
-- one that only has the name of another
CREATE FUNCTION lo_export(text) RETURNS text LANGUAGE sql AS 'SELECT $1';

-- named in the script: nothing of it runs
\set VERBOSITY default
SELECT state FROM upg_apply('file', E'INSERT INTO uo.t VALUES (1);\nSELECT lo_export(424242, ''/nonexistent/x'')');
\set VERBOSITY terse
SELECT state FROM upg_apply('where', $$UPDATE uo.t SET v = 'x' WHERE pg_catalog.pg_notify('a', 'b') IS NOT NULL$$);
SELECT state FROM upg_apply('slot', $$WITH s AS (SELECT * FROM pg_create_physical_replication_slot('upg')) INSERT INTO uo.t SELECT 1 FROM s$$);
SELECT irreversible FROM upg_script_info($$SELECT 1; SELECT dblink_exec('dbname=x', 'DELETE FROM x'); SELECT x.pg_file_write('f', 'x', true); DELETE FROM uo.t WHERE dblink_exec('x') = 'y'$$);
SELECT irreversible FROM upg_script_info($$SELECT uo.lo_export('x'); SELECT lo_import('/nonexistent')$$);

-- called from elsewhere: when it would be called
SELECT state FROM upg_apply('do', $m$DO $$BEGIN INSERT INTO uo.t VALUES (1); PERFORM lo_export(424242, '/nonexistent/x'); END$$$m$);
SELECT state FROM upg_apply('function', 'INSERT INTO uo.t VALUES (1); SELECT uo.exports()');
SELECT state FROM upg_apply('language', 'SELECT uo.harmless()');
SELECT state FROM upg_apply('default', 'INSERT INTO uo.with_default VALUES (1)');
SELECT state FROM upg_apply('trigger', 'INSERT INTO uo.with_trigger VALUES (1)');
SELECT state FROM upg_apply('definer', 'INSERT INTO uo.with_definer VALUES (1)');
SELECT state FROM upg_apply('rewrite', 'ALTER TABLE uo.t ADD h integer DEFAULT uo.harmless()');
SELECT state FROM upg_apply('index', 'CREATE TABLE uo.n AS SELECT g, pg_notify(''a'', ''b'') FROM generate_series(1, 2) g');
CREATE FUNCTION tells() RETURNS integer LANGUAGE plpgsql AS 'BEGIN PERFORM pg_notify(''a'', ''b''); RETURN 1; END';
SELECT state FROM upg_apply('tells', 'SELECT uo.tells()');
SELECT count(*) AS nothing FROM t;
-- a trigger that tells the application of changed rows is only noted
CREATE TABLE with_news (i integer);
CREATE FUNCTION trigger_tells() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_notify(''a'', ''b''); RETURN new; END';
CREATE TRIGGER t AFTER INSERT ON with_news FOR EACH ROW EXECUTE FUNCTION trigger_tells();
SELECT state, undo, warnings FROM upg_apply('news', 'INSERT INTO uo.with_news VALUES (1), (2)');
SELECT state, undo FROM upg_rollback('news');
SELECT count(*) AS nothing FROM with_news;
-- so is one that tells of DDL, as API servers have it to read the schema again
CREATE FUNCTION event_tells() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN NOTIFY a, ''b''; PERFORM pg_notify(''a'', ''c'');
    IF current_setting(''own.fail'', true) = ''on'' THEN RAISE ''no''; END IF; END';
CREATE EVENT TRIGGER uo_tells ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'ALTER TABLE') EXECUTE FUNCTION event_tells();
CREATE EVENT TRIGGER uo_tells_of_drops ON sql_drop EXECUTE FUNCTION event_tells();
SELECT state, undo, warnings FROM upg_apply('told', 'CREATE TABLE uo.told (i integer)');
SELECT state, undo, warnings FROM upg_apply('untold', 'DROP TABLE uo.told');
SELECT state, undo FROM upg_rollback('untold');
SELECT state, undo FROM upg_rollback('told');
-- what the migration itself tells is not, also after a trigger that failed
SELECT state FROM upg_apply('tells', 'CREATE TABLE uo.told (i integer); SELECT uo.tells()');
SELECT state FROM upg_apply('tells', $m$SET own.fail = on; DO $$BEGIN CREATE TABLE uo.told (i integer); EXCEPTION WHEN OTHERS THEN NOTIFY a; END$$$m$);
DROP EVENT TRIGGER uo_tells;
DROP EVENT TRIGGER uo_tells_of_drops;
SELECT to_regclass('uo.told');
-- another function of that name is none of them
SELECT state, undo FROM upg_apply('namesake', $$INSERT INTO uo.t SELECT 7, uo.lo_export('v'::text)$$);
-- outside of a migration nobody looks
SELECT harmless();

-- accepted: once by name, however often it is called
SELECT state, undo, warnings FROM upg_apply('accepted', 'INSERT INTO uo.with_trigger SELECT uo.harmless() FROM generate_series(1, 3)', options => '{"undo": "best_effort"}');
SELECT state FROM upg_rollback('accepted');
SELECT count(*) AS nothing FROM with_trigger;
SELECT state, undo FROM upg_apply('accepted', options => '{"undo": "none"}');

-- with the extension that has it
CREATE EXTENSION dblink SCHEMA uo;
SELECT state FROM upg_apply('dblink', $m$DO $$BEGIN PERFORM uo.dblink_exec('dbname=nonexistent', 'SELECT 1'); END$$$m$);
SELECT state FROM upg_apply('dblink', $$SELECT * FROM uo.dblink('dbname=nonexistent', 'SELECT 1') AS x (i int)$$);
-- what of it sends no statement may be called
SELECT state, undo FROM upg_apply('dblink asks', $m$DO $$BEGIN PERFORM uo.dblink_get_connections(); END$$$m$);
DROP EXTENSION dblink;

-- the server
SELECT upg_server_untested() IS NULL AS tested;
SELECT upg_server_untested(current_setting('server_version_num')::integer / 10000 * 10000 + 9999) ~ '^the server is PostgreSQL \d+\.9999, upg was tested up to \d+\.\d+: ' AS newer;
SELECT upg_server_untested(current_setting('server_version_num')::integer / 10000 * 10000) AS older;

-- what copying dropped columns reads
CREATE TABLE parent (i integer, v text) PARTITION BY RANGE (i);
CREATE TABLE child PARTITION OF parent FOR VALUES FROM (0) TO (1000);
INSERT INTO parent SELECT g, repeat('x', 1000) FROM generate_series(1, 100) g;
ANALYZE parent;
SELECT line, "table", bytes > 0 AS some, rows, copied FROM upg_undo_cost(E'ALTER TABLE uo.t DROP v;\nALTER TABLE uo.parent ADD x int, DROP COLUMN v;\nALTER TABLE uo.nowhere DROP v; ALTER TABLE uo.t ADD x int');
SET upg.undo_copy_limit = 8;
SELECT line, "table", copied FROM upg_undo_cost('ALTER TABLE uo.parent DROP COLUMN v');
SELECT count(*) FROM upg_undo_cost('DROP TABLE uo.parent');

SELECT lo_unlink(424242);
DROP SCHEMA uo CASCADE;
DROP LANGUAGE untrusted;
DROP EXTENSION upg;
