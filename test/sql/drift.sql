-- What others changed in the schema: upg_drift(), its statements, the policy.
-- drift_1.out: from 16 on a view of one table is written without its name.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS upg;
CREATE SCHEMA drift;
CREATE ROLE drift_reader;
SELECT upg_drift_forget();
RESET client_min_messages;

-- nothing is recorded until somebody asks for it
SELECT * FROM upg_drift();
SELECT upg_drift_script();
SELECT * FROM upg_drift_statements('sideways');
SELECT upg_apply('drift_bad', 'SELECT 1', options => '{"drift": "perhaps"}');
SET upg.drift = 'perhaps';

SET upg.drift = 'warn';
SELECT state, warnings FROM upg_apply('drift_1', $$
CREATE TABLE drift.t (id int PRIMARY KEY, a text NOT NULL DEFAULT 'x', b int, old int);
CREATE INDEX t_b ON drift.t (b);
CREATE TABLE drift.u (id bigserial PRIMARY KEY, t_id int REFERENCES drift.t (id), v numeric(5,2));
CREATE VIEW drift.v AS SELECT id, a FROM drift.t;
CREATE TYPE drift.color AS ENUM ('red', 'green');
CREATE TYPE drift.pair AS (x int, y text);
CREATE DOMAIN drift.pos AS int CHECK (value > 0);
CREATE FUNCTION drift.f(x int) RETURNS int LANGUAGE sql AS 'SELECT x + 1';
CREATE SEQUENCE drift.q;
CREATE TABLE drift.gone (x int UNIQUE, t_id int REFERENCES drift.t (id));
CREATE TABLE drift.p (k int) PARTITION BY RANGE (k);
CREATE TABLE drift.p1 PARTITION OF drift.p FOR VALUES FROM (0) TO (10);
$$);
SELECT * FROM upg_drift();
SELECT upg_drift_script() = '';

-- what the server does by itself, and what only sessions see, is none
VACUUM FULL drift.t;
ANALYZE drift.t;
REINDEX TABLE drift.t;
CREATE TEMP TABLE mine (x int PRIMARY KEY, y text);
CREATE FUNCTION pg_temp.mine() RETURNS int LANGUAGE sql AS 'SELECT 1';
GRANT SELECT ON drift.t TO drift_reader;
REVOKE SELECT ON drift.t FROM drift_reader;
SELECT * FROM upg_drift();
SELECT state, warnings FROM upg_apply('drift_2', 'ALTER TABLE drift.t ADD n int');
SELECT * FROM upg_drift();

-- what others do
CREATE PROCEDURE drift.others() LANGUAGE plpgsql AS $others$
BEGIN
    ALTER TABLE drift.t ADD COLUMN c varchar(10) DEFAULT 'q';
    ALTER TABLE drift.t ALTER a DROP NOT NULL, ALTER a SET DEFAULT 'y';
    ALTER TABLE drift.t RENAME COLUMN b TO bb;
    ALTER TABLE drift.t DROP COLUMN old;
    ALTER TABLE drift.u ALTER v TYPE numeric(8,3);
    ALTER TABLE drift.u RENAME TO uu;
    CREATE INDEX t_c ON drift.t (c);
    CREATE OR REPLACE FUNCTION drift.f(x int) RETURNS int LANGUAGE sql IMMUTABLE SET search_path = drift, pg_temp AS 'SELECT x + 2';
    ALTER TYPE drift.pair ADD ATTRIBUTE z date;
    ALTER DOMAIN drift.pos SET DEFAULT 7;
    ALTER SEQUENCE drift.q INCREMENT 5;
    CREATE TABLE drift.neu (i int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n text NOT NULL,
                            twice int GENERATED ALWAYS AS (2) STORED, r int REFERENCES drift.t (id), CHECK (n <> ''));
    COMMENT ON TABLE drift.neu IS 'it''s new';
    COMMENT ON COLUMN drift.neu.n IS 'n';
    GRANT SELECT ON drift.neu, drift.t TO drift_reader;
    GRANT UPDATE (a) ON drift.t TO drift_reader;
    DROP TABLE drift.gone;
    CREATE OR REPLACE VIEW drift.v AS SELECT id, a, 1 AS one FROM drift.t;
    CREATE FUNCTION drift.trg() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
    CREATE TRIGGER tr BEFORE INSERT ON drift.t FOR EACH ROW EXECUTE FUNCTION drift.trg();
    ALTER TABLE drift.t DISABLE TRIGGER tr;
    ALTER TABLE drift.t ENABLE ROW LEVEL SECURITY;
    CREATE POLICY p ON drift.t FOR SELECT TO drift_reader USING (id > 0);
    CREATE MATERIALIZED VIEW drift.mv AS SELECT count(*) AS n FROM drift.neu;
    CREATE RULE r AS ON DELETE TO drift.neu DO INSTEAD NOTHING;
    CREATE TABLE drift.p2 PARTITION OF drift.p FOR VALUES FROM (10) TO (20);
    CREATE SCHEMA drift_too;
    CREATE TABLE drift_too."Odd name" ("a b" int, PRIMARY KEY ("a b"));
    ALTER TABLE drift.t SET (fillfactor = 70);
    CREATE STATISTICS drift.st ON id, a FROM drift.t;
END
$others$;
SELECT upg_drift_record() > 0;
CALL drift.others();
SELECT object, change, attribute FROM upg_drift();
SELECT upg_drift_script() AS adopt, upg_drift_script('restore') AS restore \gset
\pset format unaligned
\pset tuples_only on
SELECT :'adopt';
SELECT :'restore';
\pset format aligned
\pset tuples_only off

-- both ways they do what they say
BEGIN;
SELECT upg_schema_image() AS live \gset
:restore
SELECT * FROM upg_drift();
:adopt
SELECT count(*) FROM upg_schema_differences(:'live', upg_schema_image()) WHERE attribute IS DISTINCT FROM 'column order';
ROLLBACK;

-- a policy warns or refuses; nothing that had drifted before is taken for the migration's
SELECT state, warnings FROM upg_apply('drift_3', 'ALTER TABLE drift.t ADD mine int; COMMENT ON TABLE drift.neu IS $$ours$$');
SELECT object, change, attribute, recorded, live FROM upg_drift() WHERE object LIKE '%drift.t' OR object LIKE '%drift.t.%' OR object LIKE '%drift.neu';
SELECT upg_apply('drift_4', 'CREATE TABLE drift.never ()', options => '{"drift": "refuse"}');
SELECT state, warnings FROM upg_apply('drift_4', 'CREATE TABLE drift.x ()', options => '{"drift": "off"}');
SELECT count(*) FROM upg_drift() WHERE object = 'table drift.x';
SELECT upg_drift_record() > 0;
SELECT * FROM upg_drift();
SET upg.drift = 'refuse';
SELECT state, warnings FROM upg_apply('drift_5', 'DROP TABLE drift.x');

-- a new name shows in what refers to the object
SELECT state, warnings FROM upg_apply('drift_6', 'ALTER TABLE drift.t RENAME TO tt; ALTER SCHEMA drift_too RENAME TO drift_more');
SELECT * FROM upg_drift();
ALTER SCHEMA drift_more RENAME TO drift_too;
SELECT * FROM upg_drift();
SELECT upg_drift_script('restore');
ALTER SCHEMA drift_too RENAME TO drift_more;
SELECT * FROM upg_drift();

-- rollbacks, by a down and by what was captured, and a migration that fails
SELECT state FROM upg_apply('drift_7', 'CREATE TABLE drift.seven ()', 'DROP TABLE drift.seven');
SELECT state FROM upg_apply('drift_8', 'DROP VIEW drift.v; ALTER TABLE drift.tt DROP COLUMN bb', options => '{"undo": "required"}');
SELECT state FROM upg_rollback('drift_8');
SELECT state FROM upg_rollback('drift_7');
SELECT upg_apply('drift_9', 'CREATE TABLE drift.nine (); SELECT 1 / 0');
SELECT * FROM upg_drift();

-- several steps, in a background worker
SET client_min_messages = warning;
SELECT state FROM upg_apply('drift_10', 'BEGIN; CREATE TABLE drift.ten (i int); COMMIT; CREATE INDEX CONCURRENTLY ten_i ON drift.ten (i); VACUUM drift.ten; BEGIN; ALTER TABLE drift.ten ADD j int; COMMIT');
CALL upg_wait('drift_10');
RESET client_min_messages;
SELECT * FROM upg_drift();

-- driven by a client
BEGIN;
SELECT upg_begin('drift_11', 'CREATE TABLE drift.eleven (i int)');
CREATE TABLE drift.eleven (i int);
SELECT state FROM upg_finish();
COMMIT;
SELECT * FROM upg_drift();
CREATE TABLE drift.foreign_one ();
BEGIN;
SELECT upg_begin('drift_12', 'SELECT 1');
ROLLBACK;
DROP TABLE drift.foreign_one;

-- what is not a table: extensions, settings, other kinds
CREATE OPERATOR drift.=== (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq);
SELECT object, change FROM upg_drift();
SELECT upg_drift_script(), upg_drift_script('restore');
DROP OPERATOR drift.=== (int, int);
SELECT * FROM upg_drift();

-- what came with the server: its schemas, languages, types, columns
SELECT upg_drift_record() > 0;
GRANT USAGE ON LANGUAGE sql TO drift_reader;
REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC;
GRANT USAGE ON TYPE int4 TO drift_reader;
GRANT USAGE ON SCHEMA pg_catalog TO drift_reader;
GRANT SELECT (relname) ON pg_class TO drift_reader;
GRANT CREATE ON SCHEMA public TO drift_reader;
COMMENT ON SCHEMA public IS 'mine';
SELECT object, change, attribute FROM upg_drift();
SELECT upg_drift_script() AS adopt \gset
SELECT upg_drift_script('restore') AS restore \gset
\echo :adopt
:restore
SELECT * FROM upg_drift();
:adopt
SELECT count(*) FROM upg_drift();
:restore
SELECT * FROM upg_drift();

-- security labels, written as the server writes them: no provider is installed everywhere
CREATE SCHEMA drift_labels;
CREATE TABLE drift_labels.t (id int, a text);
CREATE VIEW drift_labels.v AS SELECT 1 AS one;
CREATE FUNCTION drift_labels.f(int, text) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TYPE drift_labels.color AS ENUM ('red');
CREATE TYPE drift_labels.pair AS (x int, y text);
SELECT upg_drift_record() > 0;
SET allow_system_table_mods = on;
INSERT INTO pg_seclabel (objoid, classoid, objsubid, provider, label)
SELECT o.oid, o.class, o.sub, 'dummy', 'secret' FROM (
	VALUES ('drift_labels.t'::regclass::oid, 'pg_class'::regclass::oid, 0), ('drift_labels.t'::regclass, 'pg_class'::regclass, 2), ('drift_labels.v'::regclass, 'pg_class'::regclass, 1),
		('drift_labels'::regnamespace, 'pg_namespace'::regclass, 0), ('drift_labels.color'::regtype, 'pg_type'::regclass, 0),
		('drift_labels.pair'::regtype, 'pg_type'::regclass, 0), ('public'::regnamespace, 'pg_namespace'::regclass, 0)) o (oid, class, sub);
INSERT INTO pg_seclabel SELECT 'drift_labels.f'::regproc, 'pg_proc'::regclass, 0, 'Dummy', 'it''s';
SELECT object, change, attribute FROM upg_drift();
SELECT upg_drift_script(), upg_drift_script('restore');
SELECT count(*) FROM (SELECT jsonb_object_keys(upg_schema_image('{drift_labels}'))) k (o) WHERE o LIKE 'security label%';
SELECT upg_drift_record() > 0;
UPDATE pg_seclabel SET label = 'public' WHERE objoid = 'drift_labels.t'::regclass AND objsubid = 2;
ALTER TABLE drift_labels.t RENAME TO renamed;
SELECT * FROM upg_drift();
SELECT statement FROM upg_drift_statements('restore') WHERE object LIKE 'security%';
ALTER TABLE drift_labels.renamed RENAME TO t;
UPDATE pg_seclabel SET label = 'secret' WHERE label = 'public';
SELECT * FROM upg_drift();
-- a label goes with what it is on, and what a migration does to one is no drift
SELECT state FROM upg_apply('drift_labels', $$DROP VIEW drift_labels.v; DELETE FROM pg_seclabel WHERE objoid = 'drift_labels.t'::regclass$$);
SELECT * FROM upg_drift();
SELECT state FROM upg_rollback('drift_labels');
SELECT * FROM upg_drift();
SELECT count(*) FROM pg_seclabel WHERE provider = 'dummy';
DROP FUNCTION drift_labels.f;
SELECT object, change FROM upg_drift();
DELETE FROM pg_seclabel WHERE provider = 'dummy';
RESET allow_system_table_mods;
SELECT upg_drift_record() > 0;

-- looking changes nothing
BEGIN READ ONLY;
SELECT count(*) FROM upg_drift();
SELECT upg_drift_record();
ROLLBACK;

SELECT upg_drift_forget();
SELECT * FROM upg_drift();
SET client_min_messages = warning;
DROP SCHEMA drift, drift_more, drift_labels CASCADE;
COMMENT ON SCHEMA public IS 'standard public schema';
DROP ROLE drift_reader;
