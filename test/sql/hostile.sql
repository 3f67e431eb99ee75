-- Hostile surroundings: objects made before the extension, a search_path full of
-- traps, and names with every special character.
\set VERBOSITY terse

-- What somebody made before is not adopted.
CREATE SCHEMA upg;
CREATE EXTENSION upg;
DROP SCHEMA upg;
CREATE FUNCTION upg_library_version() RETURNS text LANGUAGE sql AS $$SELECT 'trap'$$;
CREATE EXTENSION upg;
DROP FUNCTION upg_library_version();
CREATE FUNCTION upg_status() RETURNS SETOF int LANGUAGE sql AS $$SELECT 1$$;
CREATE EXTENSION upg;
DROP FUNCTION upg_status();

-- A trap for everything that might be called without its schema.
CREATE SCHEMA hostile_trap;
CREATE TABLE hostile_trap.sprung (who text, what text);
GRANT ALL ON SCHEMA hostile_trap TO PUBLIC;
GRANT ALL ON hostile_trap.sprung TO PUBLIC;
DO $$
DECLARE
    f record;
BEGIN
    -- functions of pg_catalog with one or two arguments of common types
    FOR f IN SELECT p.proname, pg_get_function_identity_arguments(p.oid) AS arguments,
                    p.prorettype::regtype AS result, p.proretset
               FROM pg_proc p
              WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f'
                AND p.prorettype::regtype::text NOT IN ('internal', 'anyarray', 'anyelement', 'record', 'trigger')
                AND p.proname IN ('quote_ident', 'quote_literal', 'format', 'left', 'lower', 'length',
                                  'octet_length', 'now', 'clock_timestamp', 'current_database',
                                  'nextval', 'setval', 'encode', 'decode', 'sha256', 'set_config',
                                  'current_setting', 'pg_backend_pid', 'to_jsonb', 'convert_to',
                                  'jsonb_array_length', 'jsonb_typeof', 'jsonb_build_object', 'cardinality',
                                  'texteq', 'textcat', 'int4eq', 'int8eq', 'age', 'replace', 'concat',
                                  'array_length', 'unnest', 'generate_series', 'jsonb_each_text',
                                  'jsonb_array_elements_text', 'pg_blocking_pids', 'date_part')
                AND pg_get_function_identity_arguments(p.oid) !~ 'any'
    LOOP
        EXECUTE format('CREATE FUNCTION hostile_trap.%I(%s) RETURNS %s%s LANGUAGE plpgsql AS %L',
            f.proname, f.arguments, CASE WHEN f.proretset THEN 'SETOF ' ELSE '' END, f.result,
            format('BEGIN INSERT INTO hostile_trap.sprung VALUES (current_user, %L); RAISE EXCEPTION %L; END',
                   f.proname, 'trap ' || f.proname));
    END LOOP;
END $$;
CREATE FUNCTION hostile_trap.op_text(text, text) RETURNS boolean LANGUAGE plpgsql AS
    $$BEGIN INSERT INTO hostile_trap.sprung VALUES (current_user, '= text'); RAISE EXCEPTION 'trap ='; END$$;
CREATE FUNCTION hostile_trap.op_int8(bigint, bigint) RETURNS boolean LANGUAGE plpgsql AS
    $$BEGIN INSERT INTO hostile_trap.sprung VALUES (current_user, '= bigint'); RAISE EXCEPTION 'trap ='; END$$;
CREATE FUNCTION hostile_trap.op_jsonb(jsonb, text) RETURNS text LANGUAGE plpgsql AS
    $$BEGIN INSERT INTO hostile_trap.sprung VALUES (current_user, '->>'); RAISE EXCEPTION 'trap ->>'; END$$;
CREATE FUNCTION hostile_trap.op_cat(text, text) RETURNS text LANGUAGE plpgsql AS
    $$BEGIN INSERT INTO hostile_trap.sprung VALUES (current_user, '||'); RAISE EXCEPTION 'trap ||'; END$$;
CREATE OPERATOR hostile_trap.= (FUNCTION = hostile_trap.op_text, LEFTARG = text, RIGHTARG = text);
CREATE OPERATOR hostile_trap.= (FUNCTION = hostile_trap.op_int8, LEFTARG = bigint, RIGHTARG = bigint);
CREATE OPERATOR hostile_trap.->> (FUNCTION = hostile_trap.op_jsonb, LEFTARG = jsonb, RIGHTARG = text);
CREATE OPERATOR hostile_trap.|| (FUNCTION = hostile_trap.op_cat, LEFTARG = text, RIGHTARG = text);
CREATE TABLE hostile_trap.migrations (name text, state text);
CREATE TABLE hostile_trap.pg_class (oid oid, relname text);
CREATE TABLE hostile_trap.pg_stat_activity (pid int);
CREATE TABLE hostile_trap.pg_index (indexrelid oid);
CREATE DOMAIN hostile_trap.text AS pg_catalog.text CHECK (false);
CREATE DOMAIN hostile_trap.jsonb AS pg_catalog.jsonb CHECK (false);
CREATE DOMAIN hostile_trap.int8 AS pg_catalog.int8 CHECK (false);

-- Installing with it first in the path
SET search_path = hostile_trap, pg_catalog, public;
CREATE EXTENSION upg SCHEMA public;
SELECT pg_catalog.count(*) AS sprung FROM hostile_trap.sprung;

-- A superuser and an operator call everything with it first in the path.
CREATE ROLE "hostile ""op'er\ator ✓" LOGIN;
GRANT upg_operator, upg_viewer, upg_auditor, upg_admin TO "hostile ""op'er\ator ✓";
GRANT CREATE ON SCHEMA public TO "hostile ""op'er\ator ✓";
CREATE FUNCTION public.hostile_calls(prefix pg_catalog.text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    run pg_catalog.int8;
BEGIN
    PERFORM public.upg_script_info('SELECT 1');
    PERFORM public.upg_script_statements('SELECT 1; SELECT 2');
    run := public.upg_upgrade_start('up', ARRAY[prefix OPERATOR(pg_catalog.||) '1']);
    PERFORM public.upg_register(prefix OPERATOR(pg_catalog.||) '2', 'SELECT 1', 'SELECT 2', ARRAY[prefix OPERATOR(pg_catalog.||) '1']::pg_catalog.text[]);
EXCEPTION WHEN SQLSTATE 'UP003' THEN
    run := public.upg_upgrade_start('up', ARRAY[prefix OPERATOR(pg_catalog.||) '1']);
    PERFORM public.upg_apply(prefix OPERATOR(pg_catalog.||) '1', 'SET search_path = public; CREATE TABLE hostile_t (i int)', 'DROP TABLE public.hostile_t');
    PERFORM public.upg_apply(prefix OPERATOR(pg_catalog.||) '1', 'SET search_path = public; CREATE TABLE hostile_t (i int) -- layout');
    PERFORM public.upg_register(prefix OPERATOR(pg_catalog.||) '2', 'SELECT 1', 'SELECT 2', ARRAY[prefix OPERATOR(pg_catalog.||) '1']::pg_catalog.text[]);
    PERFORM public.upg_plan();
    PERFORM public.upg_apply(prefix OPERATOR(pg_catalog.||) '2');
    PERFORM public.upg_adopt(prefix OPERATOR(pg_catalog.||) '3', 'SELECT 3', 'SELECT 4');
    PERFORM public.upg_status();
    PERFORM public.upg_digest();
    PERFORM public.upg_history();
    PERFORM public.upg_progress();
    PERFORM public.upg_locks();
    PERFORM public.upg_migration_state(prefix OPERATOR(pg_catalog.||) '1');
    PERFORM public.upg_down(prefix OPERATOR(pg_catalog.||) '1');
    PERFORM public.upg_record_attempt(prefix OPERATOR(pg_catalog.||) '9', '{"state": "failed", "direction": "up"}');
    PERFORM public.upg_upgrade_finish(run, 'completed', NULL, prefix);
    PERFORM public.upg_audit_note('hostile', prefix);
    PERFORM public.upg_audit_checkpoint();
    PERFORM public.upg_audit_verify();
    PERFORM public.upg_audit_export();
    PERFORM public.upg_rollback(to_name => prefix OPERATOR(pg_catalog.||) '1', options => '{"dry_run": true}');
    PERFORM public.upg_rollback(prefix OPERATOR(pg_catalog.||) '3');
    PERFORM public.upg_rollback(prefix OPERATOR(pg_catalog.||) '2');
    PERFORM public.upg_rollback(prefix OPERATOR(pg_catalog.||) '1');
END $$;
SET client_min_messages = error;
SELECT public.hostile_calls('super');
SELECT migration, state FROM public.upg_status() ORDER BY 1;
SET SESSION AUTHORIZATION "hostile ""op'er\ator ✓";
SET search_path = hostile_trap, pg_temp, pg_catalog, public;
CREATE TEMP TABLE pg_namespace (oid pg_catalog.oid, nspname pg_catalog.name);
CREATE TEMP TABLE pg_settings (name pg_catalog.text, setting pg_catalog.text);
SELECT public.hostile_calls('operator');
-- Two steps, so that a background worker runs them with this very path.
SELECT state, steps FROM public.upg_apply('operator steps', 'CREATE TABLE public.hostile_s (i pg_catalog.int4); CREATE INDEX CONCURRENTLY hostile_i ON public.hostile_s (i); DROP INDEX CONCURRENTLY public.hostile_i; DROP TABLE public.hostile_s;');
CALL public.upg_wait('operator steps', '30 s');
SELECT state FROM public.upg_migration_state('operator steps');
RESET SESSION AUTHORIZATION;
RESET client_min_messages;
SET search_path = pg_catalog, public;
SELECT who, what FROM hostile_trap.sprung ORDER BY 1, 2;
SELECT ok, reason FROM upg_audit_verify();
SELECT string_agg(DISTINCT actor, ', ' ORDER BY actor) = 'hostile "op''er\ator ✓, ' || current_user AS actors
  FROM upg.audit_log;
DROP FUNCTION public.hostile_calls;
SET client_min_messages = error;
DROP SCHEMA hostile_trap CASCADE;
RESET client_min_messages;
RESET search_path;

-- Names of migrations, of what they make, and of who makes it
CREATE TABLE hostile_names (n int, name text);
INSERT INTO hostile_names VALUES
    (1, 'quote '' single'), (2, 'quote " double'), (3, 'back\slash \n'), (4, '%s %d %n'),
    (5, '$1 $$ $a$'), (6, '../../etc/passwd'), (7, ''');DROP TABLE hostile_names;--'),
    (8, 'ünïcödé ✓ 😀 ‮'), (9, ' leading and trailing '), (10, '{"json": [1]}'),
    (11, '--comment /* x */'), (12, 'a,b;c:d|e&f<g>'), (13, 'NULL'), (14, '%'), (15, '_'),
    (16, repeat('x', 63)), (17, repeat('y', 64)), (18, repeat('é', 255));
SET client_min_messages = error;
CREATE SCHEMA "hostile ""sch'ema\ ✓";
SELECT n, a.state
  FROM hostile_names h, upg_apply(h.name,
       format('CREATE TABLE "hostile ""sch''ema\ ✓".%1$I (%1$I int CONSTRAINT %1$I CHECK (%1$I > 0))', h.name),
       format('DROP TABLE "hostile ""sch''ema\ ✓".%I', h.name)) a
 ORDER BY n;
SELECT n, s.state, m.state AS one, substring(upg_down(h.name) FROM 'DROP') AS down,
       (SELECT count(*) FROM upg_history(h.name)) AS attempts
  FROM hostile_names h JOIN upg_status() s ON s.migration = h.name, upg_migration_state(h.name) m
 ORDER BY n;
SELECT n, e.seq IS NOT NULL AS audited FROM hostile_names h
  LEFT JOIN upg.audit_log e ON e.object = h.name AND e.action = 'migration.applied' ORDER BY n;
-- with steps, in the worker, an index that was left INVALID included
CREATE TABLE "hostile ""sch'ema\ ✓"."t '"" ✓" (i int);
INSERT INTO "hostile ""sch'ema\ ✓"."t '"" ✓" VALUES (1), (1);
SELECT state FROM upg_apply('in', $$CREATE UNIQUE INDEX CONCURRENTLY "i '"" ✓" ON "hostile ""sch'ema\ ✓"."t '"" ✓" (i)$$);
CALL upg_wait('in', '30 s');
SELECT state FROM upg_migration_state('in');
SELECT count(*) AS invalid_left FROM pg_index WHERE NOT indisvalid;
DELETE FROM "hostile ""sch'ema\ ✓"."t '"" ✓";
SELECT state FROM upg_apply('in');
CALL upg_wait('in', '30 s');
SELECT state FROM upg_migration_state('in');
SELECT n, r.state FROM hostile_names h, upg_rollback(h.name) r ORDER BY n;
SELECT ok, reason FROM upg_audit_verify();

-- Names that are no names
SELECT upg_apply('', 'SELECT 1');
SELECT upg_apply(NULL, 'SELECT 1');
SELECT upg_apply(repeat('x', 256), 'SELECT 1');
SELECT upg_apply(repeat('x', 10000), 'SELECT 1');
SELECT upg_apply(E'new\nline', 'SELECT 1');
SELECT upg_apply(E'tab\t', 'SELECT 1');
SELECT upg_apply(E'\x7f', 'SELECT 1');
DROP SCHEMA "hostile ""sch'ema\ ✓" CASCADE;
DROP TABLE hostile_names;
DROP OWNED BY "hostile ""op'er\ator ✓";
DROP EXTENSION upg;
DROP ROLE "hostile ""op'er\ator ✓";
