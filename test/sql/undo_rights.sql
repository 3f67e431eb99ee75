-- Whoever could have done it may take it back, and nobody else: members of a trusted
-- extension, the far side of a foreign key, and rows that have no owner of their own.
\set VERBOSITY terse
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS upg;
CREATE ROLE undo_rights_app;
CREATE ROLE undo_rights_other;
GRANT upg_operator TO undo_rights_app, undo_rights_other;
CREATE SCHEMA undo_rights;
GRANT CREATE, USAGE ON SCHEMA undo_rights TO undo_rights_app, undo_rights_other;
SELECT format('GRANT CREATE ON DATABASE %I TO undo_rights_app, undo_rights_other', current_database()) \gexec
CREATE TABLE undo_rights.users (id int PRIMARY KEY);
INSERT INTO undo_rights.users VALUES (1);
GRANT SELECT, REFERENCES ON undo_rights.users TO undo_rights_app;

-- an extension that its maker owns and whose members belong to a superuser
SET ROLE undo_rights_app;
SELECT state FROM upg_apply('trusted', $$CREATE EXTENSION pg_trgm SCHEMA undo_rights;
    CREATE TABLE undo_rights.words (word text);
    CREATE INDEX words_trgm ON undo_rights.words USING gin (word undo_rights.gin_trgm_ops)$$);
SELECT extowner::regrole FROM pg_extension WHERE extname = 'pg_trgm';
SELECT proowner::regrole = 'undo_rights_app'::regrole AS mine FROM pg_proc WHERE oid = 'undo_rights.show_limit()'::regprocedure;
SET ROLE undo_rights_other;
SELECT state FROM upg_rollback('trusted');
SET ROLE undo_rights_app;
SELECT state FROM upg_rollback('trusted');
SELECT count(*) FROM pg_extension WHERE extname = 'pg_trgm';
-- dropped, and back again; updated, and down again
CREATE EXTENSION citext SCHEMA undo_rights VERSION '1.4';
SELECT state FROM upg_apply('update', 'ALTER EXTENSION citext UPDATE');
SELECT state FROM upg_apply('drop', 'DROP EXTENSION citext');
SET ROLE undo_rights_other;
SELECT state FROM upg_rollback('drop');
SET ROLE undo_rights_app;
SELECT state FROM upg_rollback('drop');
SELECT undo_rights.citext 'A' OPERATOR(undo_rights.=) undo_rights.citext 'a' AS works;
SELECT state FROM upg_rollback('update');
SELECT extversion FROM pg_extension WHERE extname = 'citext';
DROP EXTENSION citext;
RESET ROLE;
-- a member is nobody's but the extension owner's, and only where the extension itself changed
SET ROLE undo_rights_app;
CREATE EXTENSION pg_trgm SCHEMA undo_rights;
RESET ROLE;
SELECT state FROM upg_apply('member', 'ALTER FUNCTION undo_rights.show_limit() COST 7');
SET ROLE undo_rights_app;
SELECT state FROM upg_rollback('member');
RESET ROLE;
SELECT state FROM upg_rollback('member');
DROP EXTENSION pg_trgm;

-- a foreign key to a table of somebody else puts triggers on that one
SET ROLE undo_rights_app;
SELECT state FROM upg_apply('key', $$CREATE TABLE undo_rights.orders (id int PRIMARY KEY, who int REFERENCES undo_rights.users ON DELETE CASCADE);
    INSERT INTO undo_rights.orders VALUES (1, 1)$$);
SELECT state FROM upg_apply('no key', 'ALTER TABLE undo_rights.orders DROP CONSTRAINT orders_who_fkey');
SELECT state FROM upg_rollback('no key');
RESET ROLE;
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'undo_rights.users'::regclass;
INSERT INTO undo_rights.orders VALUES (2, 2);
SET ROLE undo_rights_other;
SELECT state FROM upg_rollback('key');
SET ROLE undo_rights_app;
SELECT state FROM upg_rollback('key');
RESET ROLE;
SELECT count(*) FROM pg_trigger WHERE tgrelid = 'undo_rights.users'::regclass;
SELECT to_regclass('undo_rights.orders') IS NULL AS gone, (SELECT count(*) FROM undo_rights.users);

-- what has no owner of its own belongs to what it is part of
CREATE TYPE undo_rights.mood AS ENUM ('sad');
CREATE TYPE undo_rights.pair AS (a int, b int);
CREATE DOMAIN undo_rights.small AS int;
CREATE FUNCTION undo_rights.pair(undo_rights.mood) RETURNS undo_rights.pair LANGUAGE sql IMMUTABLE AS 'SELECT ROW(1, 2)::undo_rights.pair';
CREATE TEXT SEARCH CONFIGURATION undo_rights.words (COPY = simple);
CREATE FOREIGN DATA WRAPPER undo_rights_wrapper;
CREATE SERVER undo_rights_server FOREIGN DATA WRAPPER undo_rights_wrapper;
CREATE PUBLICATION undo_rights_pub;
SELECT lo_create(77001);
CREATE TEMP TABLE done (n int, name text);
GRANT SELECT ON done TO undo_rights_other;
INSERT INTO done VALUES
    (1, 'ALTER TYPE undo_rights.mood ADD VALUE ''glad'''),
    (2, 'ALTER DOMAIN undo_rights.small ADD CONSTRAINT c CHECK (VALUE < 10)'),
    (3, 'CREATE CAST (undo_rights.mood AS undo_rights.pair) WITH FUNCTION undo_rights.pair(undo_rights.mood)'),
    (4, 'COMMENT ON TYPE undo_rights.mood IS ''m'''),
    (5, 'COMMENT ON CONSTRAINT users_pkey ON undo_rights.users IS ''k'''),
    (6, 'ALTER TEXT SEARCH CONFIGURATION undo_rights.words DROP MAPPING FOR url'),
    (7, 'ALTER DEFAULT PRIVILEGES IN SCHEMA undo_rights GRANT SELECT ON TABLES TO undo_rights_app'),
    (8, 'CREATE USER MAPPING FOR undo_rights_app SERVER undo_rights_server'),
    (9, 'ALTER PUBLICATION undo_rights_pub ADD TABLES IN SCHEMA undo_rights'),
    (10, 'SELECT lo_put(77001, 0, ''\x01'')'),
    (11, 'CREATE ACCESS METHOD undo_rights_am TYPE TABLE HANDLER heap_tableam_handler'),
    (12, 'COMMENT ON ROLE undo_rights_app IS ''r''');
SELECT n, (SELECT state FROM upg_apply('m' || n, name)) FROM done ORDER BY n;
SET client_min_messages = warning;
SET ROLE undo_rights_other;
DO $$
DECLARE
    m record;
BEGIN
    FOR m IN SELECT * FROM done ORDER BY n DESC LOOP
        BEGIN
            PERFORM upg_rollback('m' || m.n);
            RAISE EXCEPTION 'taken back by a stranger: %', m.name USING ERRCODE = 'XX000';
        EXCEPTION
            WHEN insufficient_privilege THEN
                RAISE WARNING '% %: %', m.n, m.name, SQLERRM;
        END;
    END LOOP;
END $$;
RESET ROLE;
SET client_min_messages = error;
SELECT n, (SELECT state FROM upg_rollback('m' || n)) FROM done ORDER BY n DESC;

-- of shared catalogs, what its database has and its own settings; of those of superusers, what its extension has
SELECT current_database() AS db, rolname AS owner FROM pg_database JOIN pg_roles r ON r.oid = datdba WHERE datname = current_database() \gset
ALTER DATABASE :"db" OWNER TO undo_rights_app;
SET ROLE undo_rights_app;
SELECT state, undo FROM upg_apply('m30', format('COMMENT ON DATABASE %I IS ''x''', :'db'));
SELECT state, undo FROM upg_apply('m31', format('ALTER DATABASE %I SET work_mem = ''5MB''', :'db'));
SELECT state, undo FROM upg_apply('m32', format('GRANT TEMP ON DATABASE %I TO undo_rights_other', :'db'));
SELECT state, undo FROM upg_apply('m33', 'ALTER ROLE undo_rights_app SET work_mem = ''6MB''');
SELECT state, undo FROM upg_apply('m34', 'CREATE EXTENSION unaccent SCHEMA undo_rights');
SET ROLE undo_rights_other;
SELECT state FROM upg_rollback('m34');
SELECT state FROM upg_rollback('m33');
SELECT state FROM upg_rollback('m32');
SELECT state FROM upg_rollback('m31');
SELECT state FROM upg_rollback('m30');
SET ROLE undo_rights_app;
SELECT state FROM upg_rollback('m34');
SELECT state FROM upg_rollback('m33');
SELECT state FROM upg_rollback('m32');
SELECT state FROM upg_rollback('m31');
SELECT state FROM upg_rollback('m30');
RESET ROLE;
SELECT shobj_description(oid, 'pg_database'), datacl::text ~ 'rights_other=T' AS granted,
    (SELECT count(*) FROM pg_db_role_setting WHERE setrole = 'undo_rights_app'::regrole OR setconfig::text ~ 'work_mem') AS settings
FROM pg_database WHERE datname = current_database();
ALTER DATABASE :"db" OWNER TO :"owner";

SELECT lo_unlink(77001);
DROP TABLE done;
DROP PUBLICATION undo_rights_pub;
DROP FOREIGN DATA WRAPPER undo_rights_wrapper CASCADE;
DROP SCHEMA undo_rights CASCADE;
SELECT format('REVOKE CREATE ON DATABASE %I FROM undo_rights_app, undo_rights_other', current_database()) \gexec
DROP ROLE undo_rights_app, undo_rights_other;

-- rows that refer to those of the migration are looked for by whoever may read both tables
CREATE ROLE undo_rights_parent;
CREATE ROLE undo_rights_child;
GRANT upg_operator TO undo_rights_parent;
CREATE SCHEMA undo_rights;
GRANT USAGE, CREATE ON SCHEMA undo_rights TO undo_rights_parent, undo_rights_child;
SET ROLE undo_rights_parent;
CREATE TABLE undo_rights.parent (id int PRIMARY KEY);
GRANT REFERENCES ON undo_rights.parent TO undo_rights_child;
SET ROLE undo_rights_child;
CREATE TABLE undo_rights.child (id int REFERENCES undo_rights.parent);
SET ROLE undo_rights_parent;
SELECT undo FROM upg_apply('referred', 'INSERT INTO undo_rights.parent VALUES (1), (2)');
SET ROLE undo_rights_child;
INSERT INTO undo_rights.child VALUES (2);
SET ROLE undo_rights_parent;
SELECT state FROM upg_rollback('referred');
RESET ROLE;
SELECT state FROM upg_rollback('referred', options => '{"dry_run": true}');
ALTER TABLE undo_rights.child ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON undo_rights.child TO undo_rights_parent;
SET ROLE undo_rights_parent;
SELECT state FROM upg_rollback('referred');
RESET ROLE;
ALTER TABLE undo_rights.child DISABLE ROW LEVEL SECURITY;
REVOKE SELECT ON undo_rights.parent FROM undo_rights_parent;
SET ROLE undo_rights_parent;
SELECT state FROM upg_rollback('referred'); -- an owner may be without rights, too
RESET ROLE;
GRANT SELECT ON undo_rights.parent TO undo_rights_parent;
SET ROLE undo_rights_parent;
SELECT state FROM upg_rollback('referred');
TABLE undo_rights.parent;
RESET ROLE;
DROP SCHEMA undo_rights CASCADE;
DROP OWNED BY undo_rights_parent, undo_rights_child;
DROP ROLE undo_rights_parent, undo_rights_child;
