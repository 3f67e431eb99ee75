-- Migrations: functions that change something are C; those that only read are
-- SQL, run with the rights of the books' owner, and are granted to roles in
-- 90_privileges.sql.

CREATE FUNCTION @extschema@.upg_library_version()
    RETURNS text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'upg_library_version';
COMMENT ON FUNCTION @extschema@.upg_library_version() IS
    'version of the loaded library';
REVOKE ALL ON FUNCTION @extschema@.upg_library_version() FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_apply(name text, up text DEFAULT NULL, down text DEFAULT NULL, requires text[] DEFAULT '{}',
    options jsonb DEFAULT '{}',
    OUT migration text, OUT state text, OUT statements integer, OUT steps integer,
    OUT undo text, OUT duration interval, OUT warnings text[])
    RETURNS record
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_apply';
COMMENT ON FUNCTION @extschema@.upg_apply(text, text, text, text[], jsonb) IS
    'apply a migration, or one registered before, and keep the books in the same transaction';
REVOKE ALL ON FUNCTION @extschema@.upg_apply(text, text, text, text[], jsonb) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_register(name text, up text DEFAULT NULL, down text DEFAULT NULL, requires text[] DEFAULT '{}',
    options jsonb DEFAULT '{}',
    OUT migration text, OUT state text, OUT statements integer, OUT steps integer,
    OUT undo text, OUT duration interval, OUT warnings text[])
    RETURNS record
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_register';
COMMENT ON FUNCTION @extschema@.upg_register(text, text, text, text[], jsonb) IS
    'record a migration without applying it';
REVOKE ALL ON FUNCTION @extschema@.upg_register(text, text, text, text[], jsonb) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_adopt(name text, up text DEFAULT NULL, down text DEFAULT NULL, requires text[] DEFAULT '{}',
    options jsonb DEFAULT '{}',
    OUT migration text, OUT state text, OUT statements integer, OUT steps integer,
    OUT undo text, OUT duration interval, OUT warnings text[])
    RETURNS record
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_adopt';
COMMENT ON FUNCTION @extschema@.upg_adopt(text, text, text, text[], jsonb) IS
    'record a migration as applied without running it, for databases that have its effect already';
REVOKE ALL ON FUNCTION @extschema@.upg_adopt(text, text, text, text[], jsonb) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_rollback(name text DEFAULT NULL, to_name text DEFAULT NULL,
    options jsonb DEFAULT '{}', OUT migration text, OUT state text, OUT statements integer, OUT steps integer,
    OUT undo text, OUT duration interval, OUT warnings text[])
    RETURNS SETOF record
    LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 10
    AS 'MODULE_PATHNAME', 'upg_rollback';
COMMENT ON FUNCTION @extschema@.upg_rollback(text, text, jsonb) IS
    'take back the latest migration, one, or all after a point';
REVOKE ALL ON FUNCTION @extschema@.upg_rollback(text, text, jsonb) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_begin(name text, up text DEFAULT NULL, down text DEFAULT NULL, requires text[] DEFAULT '{}',
    options jsonb DEFAULT '{}')
    RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_begin';
COMMENT ON FUNCTION @extschema@.upg_begin(text, text, text, text[], jsonb) IS
    'open a migration whose statements the client sends itself, in this transaction';
REVOKE ALL ON FUNCTION @extschema@.upg_begin(text, text, text, text[], jsonb) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_finish(OUT migration text, OUT state text, OUT statements integer, OUT steps integer,
    OUT undo text, OUT duration interval, OUT warnings text[])
    RETURNS record
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_finish';
COMMENT ON FUNCTION @extschema@.upg_finish() IS
    'complete the migration that upg_begin() opened';
REVOKE ALL ON FUNCTION @extschema@.upg_finish() FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_record_attempt(name text, attempt jsonb)
    RETURNS void
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_record_attempt';
COMMENT ON FUNCTION @extschema@.upg_record_attempt(text, jsonb) IS
    'report how a migration that the client drove itself failed';
REVOKE ALL ON FUNCTION @extschema@.upg_record_attempt(text, jsonb) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_repair(name text, mark text, reason text,
    OUT migration text, OUT state text, OUT statements integer, OUT steps integer,
    OUT undo text, OUT duration interval, OUT warnings text[])
    RETURNS record
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_repair';
COMMENT ON FUNCTION @extschema@.upg_repair(text, text, text) IS
    'say what became of an interrupted statement (applied or absent), and go on';
REVOKE ALL ON FUNCTION @extschema@.upg_repair(text, text, text) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_upgrade_start(direction text, plan text[], target text DEFAULT NULL,
    client jsonb DEFAULT '{}')
    RETURNS bigint
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_upgrade_start';
COMMENT ON FUNCTION @extschema@.upg_upgrade_start(text, text[], text, jsonb) IS
    'begin a run: write down its plan, settle runs that were killed';
REVOKE ALL ON FUNCTION @extschema@.upg_upgrade_start(text, text[], text, jsonb) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_upgrade_finish(upgrade bigint, state text, detail text DEFAULT NULL,
    version text DEFAULT NULL)
    RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_upgrade_finish';
COMMENT ON FUNCTION @extschema@.upg_upgrade_finish(bigint, text, text, text) IS
    'end a run, and name the version it brought the database to';
REVOKE ALL ON FUNCTION @extschema@.upg_upgrade_finish(bigint, text, text, text) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_script_info(script text, OUT statements integer, OUT steps integer,
    OUT transactional boolean, OUT sha256 text, OUT meaning text, OUT meaning_version integer,
    OUT notes text[], OUT irreversible text[])
    RETURNS record
    LANGUAGE C STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'upg_script_info';
COMMENT ON FUNCTION @extschema@.upg_script_info(text) IS
    'parse a script without running it: statements, steps, checksums, what cannot be taken back';
REVOKE ALL ON FUNCTION @extschema@.upg_script_info(text) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_script_statements(script text, OUT no integer, OUT line integer, OUT col integer,
    OUT step integer, OUT kind text, OUT transactional boolean, OUT statement text)
    RETURNS SETOF record
    LANGUAGE C STABLE STRICT PARALLEL SAFE ROWS 20
    AS 'MODULE_PATHNAME', 'upg_script_statements';
COMMENT ON FUNCTION @extschema@.upg_script_statements(text) IS
    'statements of a script, their places and steps, without running it';
REVOKE ALL ON FUNCTION @extschema@.upg_script_statements(text) FROM PUBLIC;

CREATE FUNCTION upg.lock_key(object text)
    RETURNS bigint
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'upg_lock_key';
COMMENT ON FUNCTION upg.lock_key(text) IS
    'number of an object in pg_locks: classid and objid are its halves, objsubid is 85';
REVOKE ALL ON FUNCTION upg.lock_key(text) FROM PUBLIC;

-- Reading the books.

-- A view, so that a caller reads with the rights of its owner and the server
-- computes only the columns that are asked for.
CREATE VIEW upg.status AS
    SELECT m.migration_id, m.applied_order AS ord, m.name AS migration, m.state, m.applied_at, m.applied_by,
           m.duration,
           -- What was taken back has no way back; a log stays behind in the database that
           -- it was written in.
           CASE WHEN m.state = 'rolled_back' THEN NULL
                WHEN m.undo IN ('exact', 'inexact') AND m.state = 'applied' AND NOT EXISTS (
                     SELECT FROM upg.undo_log l WHERE l.migration = m.migration_id)
                THEN CASE WHEN m.down_sha256 IS NULL THEN 'expired' ELSE 'given' END
                ELSE m.undo END AS undo,
           encode(m.up_sha256, 'hex') AS sha256, encode(m.up_meaning, 'hex') AS meaning,
           encode(m.down_sha256, 'hex') AS down_sha256,
           m.requires, m.upgrade_id AS upgrade, m.statements
      FROM upg.migrations m;
COMMENT ON VIEW upg.status IS 'what upg_status() shows';

CREATE FUNCTION @extschema@.upg_status(OUT ord bigint, OUT migration text, OUT state text,
    OUT applied_at timestamptz, OUT applied_by text, OUT duration interval, OUT undo text,
    OUT sha256 text, OUT meaning text, OUT down_sha256 text, OUT requires text[],
    OUT upgrade bigint, OUT statements integer)
    RETURNS SETOF record
    LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 500
BEGIN ATOMIC
    SELECT s.ord, s.migration, s.state, s.applied_at, s.applied_by, s.duration, s.undo, s.sha256,
           s.meaning, s.down_sha256, s.requires, s.upgrade, s.statements
      FROM upg.status s
     ORDER BY s.ord NULLS LAST, s.migration_id;
END;
COMMENT ON FUNCTION @extschema@.upg_status() IS
    'every migration in the books, in the order of application';
REVOKE ALL ON FUNCTION @extschema@.upg_status() FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_digest(OUT migrations bigint, OUT applied bigint, OUT pending bigint,
    OUT unfinished bigint, OUT names_sha256 text, OUT head text)
    RETURNS record
    LANGUAGE C STABLE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_digest';
COMMENT ON FUNCTION @extschema@.upg_digest() IS
    'one row that tells whether anything is left to do';
REVOKE ALL ON FUNCTION @extschema@.upg_digest() FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_migration_state(name text, OUT state text, OUT steps_done integer,
    OUT steps integer, OUT statement text, OUT attempt jsonb, OUT worker_pid integer)
    RETURNS record
    LANGUAGE sql STABLE SECURITY DEFINER PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp STRICT
    AS $sql$
    SELECT m.state,
           (SELECT count(*)::integer FROM upg.steps s WHERE s.migration_id = m.migration_id
               AND s.direction = m.direction AND s.state = 'done'),
           m.steps, w.query,
           (SELECT to_jsonb(a) FROM upg.attempts a WHERE a.migration = m.name
             ORDER BY a.attempt_id DESC LIMIT 1),
           w.pid
      FROM upg.migrations m
      LEFT JOIN LATERAL (
           SELECT l.pid, a.query FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
            WHERE l.locktype = 'advisory' AND l.objsubid = 85 AND l.granted
              AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
              AND ((l.classid::bigint << 32) | l.objid::bigint)
                  = upg.lock_key('migration:' || m.name)
              AND l.mode = 'ExclusiveLock' AND a.backend_type = 'upg migration'
            UNION ALL
           -- One that has not got its locks yet; which migration it is for cannot be seen.
           SELECT a.pid, a.query FROM pg_stat_activity a
            WHERE a.backend_type = 'upg migration' AND m.state IN ('queued', 'running')
              AND a.datname = current_database()
            LIMIT 1) w ON true
     WHERE m.name = upg_migration_state.name
$sql$;
COMMENT ON FUNCTION @extschema@.upg_migration_state(text) IS
    'where one migration stands, for clients that wait for it';
REVOKE ALL ON FUNCTION @extschema@.upg_migration_state(text) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_history(migration text DEFAULT NULL, max_rows integer DEFAULT 100,
    OUT at timestamptz, OUT name text, OUT direction text, OUT state text, OUT step integer,
    OUT statement_no integer, OUT line integer, OUT col integer, OUT statement text,
    OUT sqlstate text, OUT message text, OUT detail text, OUT hint text, OUT context text,
    OUT duration interval, OUT lock_waits jsonb, OUT actor text, OUT pid integer,
    OUT upgrade bigint, OUT attempt_id bigint)
    RETURNS SETOF record
    LANGUAGE sql STABLE SECURITY DEFINER PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp ROWS 100
    AS $sql$
    SELECT a.finished_at, a.migration, a.direction, a.state, a.step, a.statement_no, a.line,
           a.col, a.statement, a.sqlstate, a.message, a.detail, a.hint, a.context,
           a.finished_at - a.started_at, a.lock_waits, a.actor, a.backend_pid, a.upgrade_id,
           a.attempt_id
      FROM upg.attempts a
     WHERE upg_history.migration IS NULL OR a.migration = upg_history.migration
     ORDER BY a.attempt_id DESC
     LIMIT upg_history.max_rows
$sql$;
COMMENT ON FUNCTION @extschema@.upg_history(text, integer) IS
    'every try that ever was, failures included, newest first';
REVOKE ALL ON FUNCTION @extschema@.upg_history(text, integer) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_progress(OUT migration text, OUT direction text, OUT state text, OUT step integer,
    OUT steps integer, OUT statement_no integer, OUT statements integer, OUT statement text,
    OUT pid integer, OUT since timestamptz, OUT upgrade bigint)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE SECURITY DEFINER PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp ROWS 10
    AS $sql$
    SELECT m.name, m.direction, m.state,
           (SELECT min(s.step) FROM upg.steps s WHERE s.migration_id = m.migration_id
               AND s.direction = m.direction AND s.state <> 'done'),
           m.steps, NULL::integer, m.statements, w.query, w.pid, w.query_start, m.upgrade_id
      FROM upg.migrations m
      LEFT JOIN pg_stat_activity w ON w.backend_type = 'upg migration'
       AND w.pid = (m.run->>'pid')::integer
     WHERE m.state IN ('queued', 'running')
    UNION ALL
    SELECT p[2], p[1], 'running', 1, 1, p[3]::integer, p[4]::integer, a.query, a.pid,
           a.xact_start, NULL::bigint
      FROM pg_stat_activity a
     CROSS JOIN LATERAL regexp_match(a.application_name, '^upg (up|down) (.*) (\d+)/(\d+)$') AS p
     WHERE a.datname = current_database() AND a.backend_type = 'client backend'
       AND p IS NOT NULL
$sql$;
COMMENT ON FUNCTION @extschema@.upg_progress() IS
    'what is running now, in other sessions and in background workers';
REVOKE ALL ON FUNCTION @extschema@.upg_progress() FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_locks(OUT object text, OUT mode text, OUT pid integer, OUT usename text,
    OUT application text, OUT since timestamptz, OUT migration text, OUT state text)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE SECURITY DEFINER PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp ROWS 10
    AS $sql$
    WITH held AS (
        SELECT l.pid, l.mode, (l.classid::bigint << 32) | l.objid::bigint AS key
          FROM pg_locks l
         WHERE l.locktype = 'advisory' AND l.objsubid = 85 AND l.granted
           AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    ), known(object) AS (
        SELECT 'database'
        UNION ALL SELECT 'migration:' || m.name FROM upg.migrations m
        UNION ALL SELECT 'schema:' || n.nspname FROM pg_namespace n
        UNION ALL SELECT 'relation:' || quote_ident(n.nspname) || '.' || quote_ident(c.relname)
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
        UNION ALL SELECT DISTINCT jsonb_array_elements_text(m.options->'footprint')
          FROM upg.migrations m WHERE m.options ? 'footprint'
    )
    SELECT coalesce(k.object, '(not in the books yet)'),
           CASE h.mode WHEN 'ExclusiveLock' THEN 'exclusive' ELSE 'shared' END,
           h.pid, a.usename::text, a.application_name, coalesce(a.xact_start, a.backend_start),
           (SELECT substr(k2.object, 11) FROM held h2 JOIN known k2
               ON upg.lock_key(k2.object) = h2.key AND k2.object LIKE 'migration:%'
             WHERE h2.pid = h.pid LIMIT 1),
           a.state
      FROM held h
      LEFT JOIN known k ON upg.lock_key(k.object) = h.key
      LEFT JOIN pg_stat_activity a ON a.pid = h.pid
     ORDER BY h.pid, 1
$sql$;
COMMENT ON FUNCTION @extschema@.upg_locks() IS
    'who holds which object of which footprint';
REVOKE ALL ON FUNCTION @extschema@.upg_locks() FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_plan(target text DEFAULT NULL, OUT ord integer, OUT migration text, OUT action text,
    OUT requires text[], OUT statements integer, OUT transactional boolean, OUT state text,
    OUT notes text[])
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE SECURITY DEFINER PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
    ROWS 100
    AS $plan$
#variable_conflict use_column
DECLARE
    done text[] := ARRAY(SELECT m.name FROM upg.migrations m WHERE m.state IN ('applied', 'replaced'));
    wanted text[];
    r record;
BEGIN
    IF upg_plan.target IS NULL THEN
        wanted := ARRAY(SELECT m.name FROM upg.migrations m WHERE m.state NOT IN ('applied', 'replaced'));
    ELSE
        -- The target and everything it needs.
        wanted := ARRAY(
            WITH RECURSIVE need(name) AS (
                SELECT upg_plan.target
                UNION
                SELECT q FROM need JOIN upg.migrations m ON m.name = need.name
                 CROSS JOIN unnest(m.requires) AS q)
            SELECT n.name FROM need n WHERE n.name <> ALL (done));
        IF NOT EXISTS (SELECT FROM upg.migrations m WHERE m.name = upg_plan.target) THEN
            RAISE EXCEPTION 'migration "%" is not in the books', upg_plan.target
                USING ERRCODE = 'UP001', HINT = 'upg_status() lists what is.';
        END IF;
    END IF;
    ord := 0;
    -- Requirements first; among those that are ready, the order of the books.
    WHILE cardinality(wanted) > 0 LOOP
        SELECT m.*, i.transactional AS one, i.notes || i.irreversible AS remarks INTO r
          FROM upg.migrations m
          LEFT JOIN LATERAL @extschema@.upg_script_info(m.up_sql) i ON m.up_sql IS NOT NULL
         WHERE m.name = ANY (wanted)
           AND NOT EXISTS (SELECT FROM unnest(m.requires) q WHERE q = ANY (wanted))
         ORDER BY m.order_key NULLS LAST, m.migration_id LIMIT 1;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'the requirements of the migrations left form a cycle'
                USING ERRCODE = 'UP003', DETAIL = array_to_string(wanted, ', ');
        END IF;
        ord := ord + 1;
        migration := r.name;
        action := CASE WHEN r.state IN ('partial', 'queued', 'running') THEN 'resume'
                       WHEN r.state = 'unknown' THEN 'repair' ELSE 'apply' END;
        requires := r.requires;
        statements := r.statements;
        transactional := r.one;
        state := r.state;
        notes := r.remarks;
        RETURN NEXT;
        wanted := array_remove(wanted, r.name);
    END LOOP;
END
$plan$;
COMMENT ON FUNCTION @extschema@.upg_plan(text) IS
    'what would be applied, in order: everything registered, or a target with what it needs';
REVOKE ALL ON FUNCTION @extschema@.upg_plan(text) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_forget_registration(name text)
    RETURNS void
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_forget_registration';
COMMENT ON FUNCTION @extschema@.upg_forget_registration(text) IS
    'remove a registration that was never applied';
REVOKE ALL ON FUNCTION @extschema@.upg_forget_registration(text) FROM PUBLIC;

CREATE PROCEDURE @extschema@.upg_wait(name text, timeout interval DEFAULT NULL)
    LANGUAGE plpgsql
    AS $wait$
DECLARE
    started timestamptz := pg_catalog.clock_timestamp();
    pause double precision := 0.01;
    now_at record;
    seen_at timestamptz := pg_catalog.clock_timestamp();
BEGIN
    -- Each look is a transaction of its own: the worker may be waiting for every
    -- older snapshot to go away.
    LOOP
        SELECT s.state, s.attempt, s.worker_pid INTO now_at FROM @extschema@.upg_migration_state(name) AS s;
        IF now_at.state IS NULL THEN
            RAISE EXCEPTION 'migration "%" is not in the books', name
                USING ERRCODE = 'UP001', HINT = 'upg_status() lists what is.';
        ELSIF now_at.state OPERATOR(pg_catalog.=) ANY ('{applied,rolled_back,registered,replaced}'::pg_catalog.text[]) THEN
            RETURN;
        ELSIF now_at.state OPERATOR(pg_catalog.=) ANY ('{failed,partial,unknown}'::pg_catalog.text[]) THEN
            RAISE EXCEPTION 'migration "%" ended in state "%"', name, now_at.state
                USING ERRCODE = CASE now_at.state WHEN 'unknown' THEN 'UP011' ELSE 'UP009' END,
                      DETAIL = pg_catalog.concat_ws(': ', now_at.attempt OPERATOR(pg_catalog.->>) 'sqlstate'::pg_catalog.text,
                                                    now_at.attempt OPERATOR(pg_catalog.->>) 'message'::pg_catalog.text),
                      HINT = 'upg_history() has the whole story; applying it again goes on where it stopped.';
        ELSIF pg_catalog.clock_timestamp() OPERATOR(pg_catalog.>) (started OPERATOR(pg_catalog.+) timeout) THEN
            RAISE EXCEPTION 'migration "%" is still %', name, now_at.state
                USING ERRCODE = 'query_canceled',
                      HINT = 'It goes on in the background; call upg_wait() again.';
        ELSIF now_at.worker_pid IS NOT NULL THEN
            seen_at := pg_catalog.clock_timestamp();
        ELSIF pg_catalog.clock_timestamp() OPERATOR(pg_catalog.>) (seen_at OPERATOR(pg_catalog.+) '10 seconds'::pg_catalog.interval) THEN
            RAISE EXCEPTION 'no background worker is at migration "%"', name
                USING ERRCODE = 'UP010',
                      DETAIL = pg_catalog.format('Its state is "%s".', now_at.state),
                      HINT = 'The server may have been restarted.  Apply the migration again; it goes on where it stopped.';
        END IF;
        COMMIT;
        PERFORM pg_catalog.pg_sleep(pause);
        COMMIT;
        pause := CASE WHEN pause OPERATOR(pg_catalog.<) 0.2::double precision
                      THEN pause OPERATOR(pg_catalog.*) 2::double precision ELSE pause END;
    END LOOP;
END
$wait$;
COMMENT ON PROCEDURE @extschema@.upg_wait(text, interval) IS
    'wait until a background worker is done with a migration';
REVOKE ALL ON PROCEDURE @extschema@.upg_wait(text, interval) FROM PUBLIC;
