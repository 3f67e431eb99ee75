-- Around a rollback by undo: what it would do, what it set aside, what its
-- possibility costs.  Functions that only read run with the rights of the books'
-- owner.

CREATE FUNCTION @extschema@.upg_rollback_preview(name text, options jsonb DEFAULT '{}')
    RETURNS jsonb
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_rollback_preview';
COMMENT ON FUNCTION @extschema@.upg_rollback_preview(text, jsonb) IS
    'what a rollback would do, table by table: restored, merged, kept, set aside, in conflict, how long, which locks';
REVOKE ALL ON FUNCTION @extschema@.upg_rollback_preview(text, jsonb) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_rollback_order(to_name text DEFAULT NULL)
    RETURNS SETOF text
    LANGUAGE C STABLE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_rollback_order';
COMMENT ON FUNCTION @extschema@.upg_rollback_order(text) IS
    'names of the migrations that a rollback to a point takes back, or of all, what goes first first';
REVOKE ALL ON FUNCTION @extschema@.upg_rollback_order(text) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_rollback_locks(name text, OUT relation text, OUT mode text, OUT against text)
    RETURNS SETOF record
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_rollback_locks';
COMMENT ON FUNCTION @extschema@.upg_rollback_locks(text) IS
    'what the rollback of a migration locks, in which mode, and whether against readers or only against writers';
REVOKE ALL ON FUNCTION @extschema@.upg_rollback_locks(text) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_put_back(name text, options jsonb DEFAULT '{}')
    RETURNS bigint
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_put_back';
COMMENT ON FUNCTION @extschema@.upg_put_back(text, jsonb) IS
    'put back the rows that rollbacks of a migration set aside, after it was applied again';
REVOKE ALL ON FUNCTION @extschema@.upg_put_back(text, jsonb) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_kept_rows(name text DEFAULT NULL, OUT migration text, OUT table_name text,
    OUT whole boolean, OUT key jsonb, OUT data jsonb, OUT kept_at timestamptz)
    RETURNS SETOF record
    LANGUAGE sql STABLE SECURITY DEFINER PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
    AS $function$
    SELECT m.name, k.table_name, k.kind = 'r', k.key, k.data, k.kept_at
    FROM upg.kept_rows k JOIN upg.migrations m ON m.migration_id = k.migration
    WHERE $1 IS NULL OR m.name = $1
    ORDER BY k.kept_at, k.table_name, k.key
$function$;
COMMENT ON FUNCTION @extschema@.upg_kept_rows(text) IS
    'rows, and values of rows, that rollbacks set aside because their table or column went away';
REVOKE ALL ON FUNCTION @extschema@.upg_kept_rows(text) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_rollback_conflicts(name text DEFAULT NULL, OUT migration text, OUT table_name text,
    OUT key jsonb, OUT column_name text, OUT before text, OUT application text, OUT what text,
    OUT found_at timestamptz)
    RETURNS SETOF record
    LANGUAGE sql STABLE SECURITY DEFINER PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
    AS $function$
    SELECT m.name, c.table_name, c.key, c.column_name, c.before, c.application, c.what, c.found_at
    FROM upg.rollback_conflicts c JOIN upg.migrations m ON m.migration_id = c.migration
    WHERE $1 IS NULL OR m.name = $1
    ORDER BY c.found_at, c.table_name, c.key, c.column_name
$function$;
COMMENT ON FUNCTION @extschema@.upg_rollback_conflicts(text) IS
    'rows and values that a migration and the application had both changed, as rollbacks found them';
REVOKE ALL ON FUNCTION @extschema@.upg_rollback_conflicts(text) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_retention(OUT migration text, OUT state text, OUT bytes bigint,
    OUT log_bytes bigint, OUT file_bytes bigint, OUT aside_bytes bigint, OUT age interval,
    OUT xid_age integer, OUT kept_by text)
    RETURNS SETOF record
    LANGUAGE sql STABLE SECURITY DEFINER PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp
    AS $function$
    WITH log AS (
        SELECT l.migration, min(l.captured_at) AS since,
               sum((SELECT COALESCE(sum(octet_length(c.data)), 0) FROM upg.undo_chunks c
                    WHERE c.log = l.id)
                   + (SELECT COALESCE(sum(octet_length(v.data)), 0) FROM upg.undo_values v
                      WHERE v.log = l.id)) AS bytes
        FROM upg.undo_log l WHERE l.state = 'kept' GROUP BY l.migration
    ), file AS (
        SELECT l.migration, sum(pg_relation_size(c.oid)) AS bytes,
               max(CASE WHEN c.relfrozenxid <> '0'::xid THEN age(c.relfrozenxid) END) AS xid_age
        FROM upg.undo_files f JOIN upg.undo_log l ON l.id = f.log AND l.state = 'kept'
             JOIN pg_class c ON c.oid = f.caretaker
        GROUP BY l.migration
    ), aside AS (
        SELECT k.migration, min(k.kept_at) AS since, sum(pg_column_size(k.*)) AS bytes, count(*) AS n
        FROM upg.kept_rows k GROUP BY k.migration
    )
    SELECT m.name, m.state,
           (COALESCE(log.bytes, 0) + COALESCE(file.bytes, 0) + COALESCE(aside.bytes, 0))::bigint,
           COALESCE(log.bytes, 0)::bigint, COALESCE(file.bytes, 0)::bigint,
           COALESCE(aside.bytes, 0)::bigint,
           now() - LEAST(log.since, aside.since), file.xid_age,
           concat_ws('; ',
               CASE WHEN log.migration IS NOT NULL
                    THEN 'its rollback, until upg_finalize() or the rollback itself' END,
               CASE WHEN aside.n > 0
                    THEN format('%s rows set aside, until upg_put_back() or upg_finalize()', aside.n) END)
    FROM upg.migrations m
         LEFT JOIN log ON log.migration = m.migration_id
         LEFT JOIN file ON file.migration = m.migration_id
         LEFT JOIN aside ON aside.migration = m.migration_id
    WHERE log.migration IS NOT NULL OR aside.migration IS NOT NULL
    ORDER BY m.migration_id
$function$;
COMMENT ON FUNCTION @extschema@.upg_retention() IS
    'what is kept for rollbacks: bytes, age, age in transactions, and what keeps it';
REVOKE ALL ON FUNCTION @extschema@.upg_retention() FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_expire(older_than interval, dry_run boolean DEFAULT false)
    RETURNS SETOF text
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
DECLARE
    old text;
BEGIN
    IF older_than IS NULL OR older_than < '0'::interval THEN
        RAISE EXCEPTION 'invalid age for upg_expire()'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give an interval such as ''30 days''.';
    END IF;
    FOR old IN SELECT r.migration FROM @extschema@.upg_retention() r WHERE r.age >= older_than
    LOOP
        IF NOT dry_run THEN
            PERFORM @extschema@.upg_finalize(old);
        END IF;
        RETURN NEXT old;
    END LOOP;
END
$function$;
COMMENT ON FUNCTION @extschema@.upg_expire(interval, boolean) IS
    'finalize every migration whose undo is older than this; each is audited';
REVOKE ALL ON FUNCTION @extschema@.upg_expire(interval, boolean) FROM PUBLIC;

-- After each migration, if a setting asks for it.  Seconds, seconds and kilobytes; -1 is
-- none.
CREATE FUNCTION upg.retention_policy(expire_after bigint, max_age bigint, max_kilobytes bigint)
    RETURNS SETOF text
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
DECLARE
    r record;
    total bigint := 0;
BEGIN
    FOR r IN SELECT * FROM @extschema@.upg_retention() x ORDER BY x.age DESC LOOP
        IF expire_after >= 0 AND r.age > make_interval(secs => expire_after) THEN
            BEGIN
                PERFORM @extschema@.upg_finalize(r.migration);
                CONTINUE;
            EXCEPTION WHEN OTHERS THEN
                RETURN NEXT format('the way back of migration "%s" has expired, but could not be given up: %s', r.migration, sqlerrm);
            END;
        ELSIF max_age >= 0 AND r.age > make_interval(secs => max_age) THEN
            RETURN NEXT format('the way back of migration "%s" is kept for %s', r.migration, date_trunc('second', r.age));
        END IF;
        total := total + r.bytes;
    END LOOP;
    IF max_kilobytes >= 0 AND total > max_kilobytes * 1024 THEN
        RETURN NEXT format('%s are kept to take migrations back; upg_retention() lists them', pg_size_pretty(total));
    END IF;
END
$function$;
COMMENT ON FUNCTION upg.retention_policy(bigint, bigint, bigint) IS
    'give up what has expired, and say what is over a limit';
REVOKE ALL ON FUNCTION upg.retention_policy(bigint, bigint, bigint) FROM PUBLIC;
