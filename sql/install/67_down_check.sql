-- Is a given down script worth its name?  What upg.down_check compares: the schema
-- object by object, and the rows of the tables that the scripts can reach, by sums
-- of hashes that do not depend on the order of rows or columns.  These functions
-- run with the caller's rights, as the scripts do.
CREATE FUNCTION upg.down_check_tables(scripts text)
    RETURNS SETOF regclass
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    AS $function$
WITH RECURSIVE words AS MATERIALIZED (
    SELECT DISTINCT lower(m[1]) AS word FROM regexp_matches(scripts, '[[:alpha:]_\u0080-\uffff][\w$]*', 'g') m
), reached (rel) AS (
    SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'm', 'p') AND c.relpersistence <> 't' AND n.nspname !~ '^(pg_|information_schema$|upg$)'
      AND (lower(c.relname) IN (SELECT word FROM words) OR strpos(scripts, c.relname) > 0 AND c.relname !~ '^\w+$')
    UNION
    -- partitions, and what foreign keys change along
    SELECT x.rel FROM reached r, LATERAL (
        SELECT i.inhrelid FROM pg_inherits i WHERE i.inhparent = r.rel
        UNION ALL
        SELECT k.conrelid FROM pg_constraint k WHERE k.contype = 'f' AND k.confrelid = r.rel
          AND (k.confdeltype IN ('c', 'n', 'd') OR k.confupdtype IN ('c', 'n', 'd'))) x (rel)
)
SELECT r.rel::regclass FROM reached r JOIN pg_class c ON c.oid = r.rel WHERE c.relkind IN ('r', 'm')
$function$;
COMMENT ON FUNCTION upg.down_check_tables(text) IS 'tables whose names scripts hold, and those that foreign keys change along';
REVOKE ALL ON FUNCTION upg.down_check_tables(text) FROM PUBLIC;

CREATE FUNCTION upg.down_check_rows(relation regclass, row_limit bigint)
    RETURNS jsonb
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET datestyle = 'ISO'
    SET extra_float_digits = 1
    SET bytea_output = 'hex'
    AS $function$
DECLARE
    cols text[];
    expressions text;
    sums numeric[];
    n bigint;
BEGIN
    SELECT coalesce(array_agg(attname::text ORDER BY attname COLLATE "C"), '{}') INTO cols
    FROM pg_attribute WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped;
    EXECUTE format('SELECT count(*) FROM (SELECT FROM ONLY %s LIMIT %s) t', relation, row_limit + 1) INTO n;
    IF n > row_limit THEN
        RETURN jsonb_build_object('too large', true);
    END IF;
    SELECT string_agg(format('coalesce(sum(hashtextextended(t.%I::text, 85)), 0)', c), ', ' ORDER BY o) INTO expressions
    FROM unnest(cols) WITH ORDINALITY u (c, o);
    -- the last sum is over whole rows, so that values which change places are seen
    EXECUTE format('SELECT count(*), ARRAY[%s coalesce(sum(hashtextextended(jsonb_build_array(%s)::text, 85)), 0)] FROM ONLY %s t',
                   expressions || ',', CASE WHEN cardinality(cols) > 90 THEN 'to_jsonb(t)'
                                            ELSE (SELECT string_agg(format('t.%I::text', c), ', ' ORDER BY o) FROM unnest(cols) WITH ORDINALITY u (c, o)) END,
                   relation) INTO n, sums;
    RETURN jsonb_build_object('rows', n, 'sum', sums[cardinality(sums)]::text, 'columns',
                              (SELECT coalesce(jsonb_object_agg(c, sums[o]::text), '{}') FROM unnest(cols) WITH ORDINALITY u (c, o)));
END
$function$;
COMMENT ON FUNCTION upg.down_check_rows(regclass, bigint) IS 'number of rows of a table, and sums of hashes over rows and columns';
REVOKE ALL ON FUNCTION upg.down_check_rows(regclass, bigint) FROM PUBLIC;

CREATE FUNCTION upg.down_check_state(scripts text, before jsonb, row_limit bigint)
    RETURNS jsonb
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    AS $function$
DECLARE
    t record;
    tables jsonb := '{}';
    sums jsonb;
BEGIN
    -- afterwards: the same tables by name, whether they are the same or made anew
    FOR t IN
        SELECT format('%I.%I', n.nspname, c.relname) AS name, c.oid::regclass AS rel
        FROM upg.down_check_tables(scripts) d JOIN pg_class c ON c.oid = d JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE before IS NULL
        UNION ALL
        SELECT k, to_regclass(k) FROM jsonb_object_keys(before -> 'tables') k WHERE to_regclass(k) IS NOT NULL
    LOOP
        BEGIN
            sums := upg.down_check_rows(t.rel, row_limit);
        EXCEPTION WHEN insufficient_privilege OR undefined_function OR wrong_object_type THEN
            sums := jsonb_build_object('unread', sqlerrm);
        END;
        tables := tables || jsonb_build_object(t.name, sums);
    END LOOP;
    RETURN jsonb_build_object('schema', @extschema@.upg_schema_image(), 'tables', tables);
END
$function$;
COMMENT ON FUNCTION upg.down_check_state(text, jsonb, bigint) IS 'schema and rows that a down script must give back';
REVOKE ALL ON FUNCTION upg.down_check_state(text, jsonb, bigint) FROM PUBLIC;

CREATE FUNCTION upg.down_check_differences(before jsonb, after jsonb)
    RETURNS TABLE (difference text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT d.object || CASE d.change WHEN 'missing' THEN ' is not restored' WHEN 'extra' THEN ' is left behind'
                   ELSE ': ' || d.attribute || CASE WHEN d.is_now IS NULL THEN ' is lost'
                                                    WHEN d.was IS NULL THEN ' is new'
                                                    WHEN length(d.was) > 80 OR length(d.is_now) > 80 OR d.was ~ '\n' THEN ' is not as before'
                                                    ELSE format(' was %s, is %s', d.was, d.is_now) END END
FROM @extschema@.upg_schema_differences(before -> 'schema', after -> 'schema') d
UNION ALL
SELECT CASE WHEN a.value IS NULL THEN format('table %s is gone with its %s rows', b.key, b.value ->> 'rows')
            WHEN (a.value ->> 'rows')::bigint < (b.value ->> 'rows')::bigint
            THEN format('table %s: %s of %s rows are lost', b.key, (b.value ->> 'rows')::bigint - (a.value ->> 'rows')::bigint, b.value ->> 'rows')
            WHEN (a.value ->> 'rows')::bigint > (b.value ->> 'rows')::bigint
            THEN format('table %s: %s rows are left behind', b.key, (a.value ->> 'rows')::bigint - (b.value ->> 'rows')::bigint)
            ELSE format('table %s: %s', b.key, coalesce((
                SELECT 'other values in column ' || string_agg(c.key, ', ' ORDER BY c.key) FROM jsonb_each_text(b.value -> 'columns') c
                WHERE a.value #>> ARRAY['columns', c.key] IS DISTINCT FROM c.value), 'values are in other rows than before')) END
FROM jsonb_each(before -> 'tables') b LEFT JOIN jsonb_each(after -> 'tables') a USING (key)
WHERE b.value ? 'rows' AND (b.value ->> 'rows')::bigint + coalesce((a.value ->> 'rows')::bigint, 0) > 0
  AND ((a.value IS NULL) OR (a.value ? 'rows' AND (a.value ->> 'rows' <> b.value ->> 'rows' OR a.value ->> 'sum' <> b.value ->> 'sum')))
$function$;
COMMENT ON FUNCTION upg.down_check_differences(jsonb, jsonb) IS 'what a down script did not give back';
REVOKE ALL ON FUNCTION upg.down_check_differences(jsonb, jsonb) FROM PUBLIC;

CREATE FUNCTION upg.down_check_unseen(before jsonb)
    RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT string_agg(t.key || CASE WHEN t.value ? 'too large' THEN ' (too large)' ELSE ' (' || (t.value ->> 'unread') || ')' END, ', ' ORDER BY t.key)
FROM jsonb_each(before -> 'tables') t WHERE NOT t.value ? 'rows'
$function$;
COMMENT ON FUNCTION upg.down_check_unseen(jsonb) IS 'tables whose rows the check of a down script could not compare';
REVOKE ALL ON FUNCTION upg.down_check_unseen(jsonb) FROM PUBLIC;
