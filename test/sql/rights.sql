-- A migration runs with the rights of who applies it; only the books are written
-- with more.
\set VERBOSITY terse
CREATE EXTENSION upg;
SELECT current_user AS superuser \gset
SET client_min_messages = error;
CREATE ROLE rights_op LOGIN;
CREATE ROLE rights_other LOGIN;
CREATE ROLE rights_owner NOLOGIN;
GRANT upg_operator TO rights_op, rights_other;
GRANT rights_owner TO rights_op;
CREATE SCHEMA rights_own AUTHORIZATION rights_owner;
CREATE SCHEMA rights_op AUTHORIZATION rights_op;
CREATE TABLE rights_secret (i int);
INSERT INTO rights_secret VALUES (42);

\c - rights_op
SET client_min_messages = error;
-- Rights of the caller, and no others
SELECT state FROM upg_apply('own', 'CREATE TABLE rights_op.t AS SELECT current_user::text AS who', 'DROP TABLE rights_op.t');
SELECT who FROM rights_op.t;
SELECT state FROM upg_apply('read', 'CREATE TABLE rights_op.leak AS SELECT * FROM public.rights_secret');
SELECT state FROM upg_apply('books', $$UPDATE upg.migrations SET state = 'rolled_back'$$);
SELECT state FROM upg_apply('trail', $$DELETE FROM upg.audit_log$$);
SELECT state FROM upg_apply('role', 'CREATE ROLE rights_new');
SELECT state FROM upg_apply('ext', 'DROP EXTENSION upg');
SELECT state FROM upg_apply('ext', 'DROP EXTENSION upg', options => '{"undo": "none"}');
\set VERBOSITY sqlstate
SELECT state FROM upg_apply('grant', 'GRANT upg_admin TO rights_op');
\set VERBOSITY terse
SELECT state FROM upg_apply('auth', format('SET SESSION AUTHORIZATION %I', :'superuser'));
SELECT state FROM upg_apply('reset', 'RESET SESSION AUTHORIZATION; RESET ROLE; CREATE TABLE rights_op.leak AS SELECT * FROM public.rights_secret');
SELECT state FROM upg_apply('setrole', format('SET ROLE %I', :'superuser'));
\set VERBOSITY sqlstate
SELECT state FROM upg_apply('dofile', $$COPY (SELECT 1) TO '/tmp/upg_rights_no'$$);
SELECT state FROM upg_apply('dofile', $$COPY (SELECT 1) TO '/tmp/upg_rights_no'$$, options => '{"undo": "none"}');
\set VERBOSITY terse
-- SET ROLE to a role that the caller has
SELECT state FROM upg_apply('setrole own', 'SET ROLE rights_owner; CREATE TABLE rights_own.t AS SELECT current_user::text AS who; GRANT SELECT ON rights_own.t TO rights_op', 'SET ROLE rights_owner; DROP TABLE rights_own.t');
SELECT who, current_user AS me_again FROM rights_own.t;
SELECT tableowner FROM pg_tables WHERE schemaname = 'rights_own';
-- What runs later must not run with more: triggers, deferred ones, defaults
SELECT state FROM upg_apply('deferred', $m$
    CREATE TABLE rights_op.log (who text);
    CREATE FUNCTION rights_op.note() RETURNS trigger LANGUAGE plpgsql AS
        $$BEGIN INSERT INTO rights_op.log VALUES (current_user); RETURN NULL; END$$;
    CREATE TABLE rights_op.d (i int);
    CREATE CONSTRAINT TRIGGER note AFTER INSERT ON rights_op.d DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION rights_op.note();
    INSERT INTO rights_op.d VALUES (1);
$m$);
SELECT DISTINCT who FROM rights_op.log;
-- The same in a background worker
SELECT state FROM upg_apply('worker', $$CREATE TABLE rights_op.w AS SELECT current_user::text AS who, session_user::text AS login;
    CREATE INDEX CONCURRENTLY ON rights_op.w (who); INSERT INTO rights_op.w VALUES (current_user, session_user)$$);
CALL upg_wait('worker', '30 s');
SELECT DISTINCT who, login FROM rights_op.w;
SELECT state FROM upg_apply('worker reads', 'VACUUM rights_op.w; CREATE TABLE rights_op.leak AS SELECT * FROM public.rights_secret');
CALL upg_wait('worker reads', '30 s');
SELECT state, sqlstate, message FROM upg_history('worker reads') WHERE state = 'failed';
SELECT state FROM upg_apply('worker reset', 'VACUUM rights_op.w; RESET SESSION AUTHORIZATION; RESET ROLE; CREATE TABLE rights_op.leak AS SELECT * FROM public.rights_secret');
CALL upg_wait('worker reset', '30 s');
SELECT state, sqlstate, message FROM upg_history('worker reset') WHERE state = 'failed';
SELECT to_regclass('rights_op.leak') AS nothing_leaked;
-- In the role that was set when it was queued; it needs the right to call, too.
SET ROLE rights_owner;
SELECT state FROM upg_apply('worker role', 'CREATE TABLE rights_own.w AS SELECT current_user::text AS who; VACUUM rights_own.w');
\c - :superuser
SET client_min_messages = error;
GRANT upg_operator TO rights_owner;
\c - rights_op
SET client_min_messages = error;
SET ROLE rights_owner;
SELECT state FROM upg_apply('worker role', 'CREATE TABLE rights_own.w AS SELECT current_user::text AS who, session_user::text AS login; VACUUM rights_own.w');
CALL upg_wait('worker role', '30 s');
SELECT who, login FROM rights_own.w;
\c - :superuser
SET client_min_messages = error;

-- Whoever settles an outcome does not lend his rights to the rest of the script.
\c - rights_op
SET client_min_messages = error;
SELECT state FROM upg_apply('opaque', $m$
    DO $$BEGIN COMMIT; PERFORM pg_sleep(60); END$$;
    RESET SESSION AUTHORIZATION; RESET ROLE;
    CREATE TABLE rights_op.leak AS SELECT * FROM public.rights_secret$m$, NULL, '{}', '{"no_transaction": true}');
\c - :superuser
SET client_min_messages = error;
DO $$
BEGIN
    -- the worker is inside its second transaction
    FOR i IN 1 .. 600 LOOP
        PERFORM pg_stat_clear_snapshot();
        EXIT WHEN EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'upg migration' AND wait_event = 'PgSleep');
        PERFORM pg_sleep(0.05);
    END LOOP;
    PERFORM pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE backend_type = 'upg migration';
END $$;
SELECT state FROM upg_migration_state('opaque');
\c - rights_op
SET client_min_messages = error;
SELECT state FROM upg_apply('opaque');
CALL upg_wait('opaque', '30 s');
SELECT state FROM upg_migration_state('opaque');
SELECT state FROM upg_repair('opaque', 'applied', 'an operator may not');
\c - :superuser
SET client_min_messages = error;
SELECT state FROM upg_repair('opaque', 'applied', 'looked at it');
CALL upg_wait('opaque', '30 s');
SELECT state FROM upg_migration_state('opaque');
SELECT state, sqlstate, message, actor FROM upg_history('opaque') WHERE state = 'failed';
SELECT to_regclass('rights_op.leak') AS nothing_leaked;

-- Another operator may roll back what he has the rights for, and nothing else.
\c - rights_other
SET client_min_messages = error;
SELECT upg_rollback('own');
\c - :superuser
SET client_min_messages = error;
SELECT state FROM upg_migration_state('own');

-- The trail names who acted, whoever wrote the books.
SELECT DISTINCT actor FROM upg.audit_log WHERE object LIKE 'worker%' ORDER BY actor;
SELECT action, actor, role, after ->> 'message' AS message FROM upg.audit_log
 WHERE object = 'read' AND action LIKE 'attempt.%';
SELECT name, direction, state, actor FROM upg_history() WHERE name IN ('read', 'own', 'worker')
   AND step IS NULL ORDER BY attempt_id;

-- Called from a SECURITY DEFINER function: with that function's rights, as SQL has it.
CREATE FUNCTION rights_definer() RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$SELECT state FROM public.upg_apply('definer', 'CREATE TABLE public.rights_d AS SELECT current_user::text AS who', 'DROP TABLE public.rights_d')$$;
\c - rights_op
SET client_min_messages = error;
SELECT rights_definer();
\c - :superuser
SET client_min_messages = error;
SELECT who = current_user AS definers_rights FROM rights_d;

DROP FUNCTION rights_definer;
DROP TABLE rights_d, rights_secret;
DROP SCHEMA rights_own, rights_op CASCADE;
DROP EXTENSION upg;
DROP ROLE rights_op, rights_other, rights_owner;
