-- Readable downs, part 6: what upg_down() asks the database before and after the
-- undo, and after it has run its own script.  All with the caller's rights.
CREATE FUNCTION upg.down_state(addresses text[], OUT objects jsonb, OUT depends jsonb, OUT image jsonb, OUT keys text[], OUT sequences jsonb)
    RETURNS record
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET jit = off
    AS $function$
SELECT upg.down_objects(), upg.down_depends(), @extschema@.upg_schema_image(), upg.down_keys(addresses),
       (SELECT coalesce(jsonb_object_agg(c.oid, format('%I.%I', n.nspname, c.relname)), '{}') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind = 'S' AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'upg'))
$function$;
COMMENT ON FUNCTION upg.down_state(text[]) IS 'the schema as upg_down() sees it, and keys of the objects at some addresses';
REVOKE ALL ON FUNCTION upg.down_state(text[]) FROM PUBLIC;

-- Tables whose rows may have to be put right, once the undo has run: how they are read,
-- and by which columns a row is found ("key", else the whole row).
CREATE FUNCTION upg.down_tables(a jsonb, b jsonb, actions jsonb, written oid[], switched oid[])
    RETURNS TABLE (relation oid, image text, id text, mode text, columns text[], types text[], numbers integer[], key text[])
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET jit = off
    AS $function$
SELECT c.oid, d.def ->> 'image', d.def ->> 'id', m.mode, k.names, k.types, k.numbers,
       coalesce((SELECT array_agg(t.attname::text ORDER BY t.attnum) FROM pg_attribute t
                 WHERE t.attrelid = c.oid AND t.attnum = ANY ((SELECT i.indkey::int2[] FROM pg_index i
                     WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
                       AND NOT EXISTS (SELECT FROM pg_attribute n WHERE n.attrelid = c.oid AND n.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]) AND NOT n.attnotnull)
                     ORDER BY i.indisprimary DESC, i.indexrelid LIMIT 1)::int2[])), '{}')
FROM pg_class c, LATERAL (SELECT b -> ('1259:' || c.oid), a -> ('1259:' || c.oid), actions -> 'act' ->> ('1259:' || c.oid)) d (def, was, act),
LATERAL (SELECT array_agg(t.attname::text ORDER BY t.attnum), array_agg(format_type(t.atttypid, t.atttypmod) ORDER BY t.attnum), array_agg(t.attnum::int ORDER BY t.attnum)
         FROM pg_attribute t WHERE t.attrelid = c.oid AND t.attnum > 0 AND NOT t.attisdropped AND t.attgenerated = '') k (names, types, numbers),
LATERAL (SELECT CASE
    WHEN c.relkind = 'm' THEN CASE WHEN d.act IN ('create', 'anew') AND c.relispopulated THEN 'check' END
    WHEN d.act = 'create' OR d.was IS NULL THEN 'new'
    WHEN d.act = 'anew' OR EXISTS (SELECT FROM jsonb_object_keys(actions -> 'cols') x WHERE x LIKE '1259:' || c.oid || '.%') THEN 'whole'
    WHEN EXISTS (SELECT FROM jsonb_array_elements(d.def -> 'columns') q LEFT JOIN jsonb_array_elements(d.was -> 'columns') p ON p -> 'n' = q -> 'n'
                 WHERE p IS NULL OR p -> 'type' <> q -> 'type' OR p -> 'generated' IS DISTINCT FROM q -> 'generated') THEN 'whole'
    WHEN c.oid = ANY (switched) THEN 'whole'
    WHEN c.oid = ANY (written) THEN 'rows' END) m (mode)
WHERE c.relkind IN ('r', 'm') AND d.def IS NOT NULL AND m.mode IS NOT NULL AND k.names IS NOT NULL
ORDER BY 3
$function$;
COMMENT ON FUNCTION upg.down_tables(jsonb, jsonb, jsonb, oid[], oid[]) IS 'tables whose rows a down has to put right, and how';
REVOKE ALL ON FUNCTION upg.down_tables(jsonb, jsonb, jsonb, oid[], oid[]) FROM PUBLIC;

-- What a script left other than it was, as sentences, with what it belongs to.
CREATE FUNCTION upg.down_differences(before jsonb, after jsonb, objects_before jsonb, objects_after jsonb)
    RETURNS TABLE (object text, parents text[], difference text)
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    AS $function$
WITH RECURSIVE d AS MATERIALIZED (
    SELECT x.object, CASE x.change WHEN 'missing' THEN x.object || ' is not restored' WHEN 'extra' THEN x.object || ' is left behind'
           ELSE x.object || ': ' || x.attribute || CASE WHEN x.is_now IS NULL THEN ' is lost' WHEN x.was IS NULL THEN ' is new'
                WHEN length(x.was) > 80 OR length(x.is_now) > 80 OR x.was ~ '\n' THEN ' is not as before'
                ELSE format(' was %s, is %s', x.was, x.is_now) END END AS difference
    FROM @extschema@.upg_schema_differences(before, after) x
), up (object, parent, depth) AS (
    SELECT d.object, coalesce(before -> d.object, after -> d.object) ->> 'of', 1 FROM d
    UNION
    SELECT up.object, coalesce(before -> up.parent, after -> up.parent) ->> 'of', up.depth + 1 FROM up WHERE up.parent IS NOT NULL AND up.depth < 4
)
SELECT d.object, (SELECT array_agg(up.parent ORDER BY up.depth) FROM up WHERE up.object = d.object AND up.parent IS NOT NULL), d.difference FROM d
UNION ALL
-- what the image leaves out
SELECT coalesce(x.def, y.def) ->> 'image', NULL, (coalesce(x.def, y.def) ->> 'image') || CASE WHEN y.def IS NULL THEN ' is not restored' WHEN x.def IS NULL THEN ' is left behind' ELSE ' is not as before' END
FROM (SELECT e.value ->> 'image' AS name, e.value AS def FROM jsonb_each(objects_before) e WHERE e.value ->> 'kind' IN ('ROLE', 'MEMBERSHIP', 'SETTINGS', 'USER MAPPING')) x
FULL JOIN (SELECT e.value ->> 'image' AS name, e.value AS def FROM jsonb_each(objects_after) e WHERE e.value ->> 'kind' IN ('ROLE', 'MEMBERSHIP', 'SETTINGS', 'USER MAPPING')) y USING (name)
WHERE x.def IS DISTINCT FROM y.def
UNION ALL
-- the order of privileges, which pg_dump shows
SELECT x.name, NULL, x.name || ': order of privileges is not as before'
FROM (SELECT e.value ->> 'image' AS name, e.value -> 'acl' AS acl FROM jsonb_each(objects_before) e WHERE jsonb_typeof(e.value -> 'acl') = 'array') x
JOIN (SELECT e.value ->> 'image' AS name, e.value -> 'acl' AS acl FROM jsonb_each(objects_after) e WHERE jsonb_typeof(e.value -> 'acl') = 'array') y USING (name)
WHERE x.acl <> y.acl AND NOT EXISTS (SELECT FROM d WHERE d.object = x.name)
$function$;
COMMENT ON FUNCTION upg.down_differences(jsonb, jsonb, jsonb, jsonb) IS 'what differs between two states of the schema, in words, with the objects that it belongs to';
REVOKE ALL ON FUNCTION upg.down_differences(jsonb, jsonb, jsonb, jsonb) FROM PUBLIC;

-- What the rollback itself will do, for a person to read.
CREATE FUNCTION upg.down_summary(now jsonb, before jsonb)
    RETURNS TABLE (object text, line text)
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT x.object, CASE x.change WHEN 'missing' THEN x.object || ' goes away' WHEN 'extra' THEN x.object || ' comes back'
       ELSE x.object || ': ' || x.attribute || CASE WHEN x.is_now IS NULL THEN ' goes away' WHEN x.was IS NULL THEN format(' is %s again', left(x.is_now, 200))
            WHEN length(x.was) > 80 OR length(x.is_now) > 80 OR x.was ~ '\n' THEN ' is what it was'
            ELSE format(' is %s again, not %s', x.is_now, x.was) END END
FROM @extschema@.upg_schema_differences(now, before) x
$function$;
COMMENT ON FUNCTION upg.down_summary(jsonb, jsonb) IS 'what a rollback changes in the schema, in words';
REVOKE ALL ON FUNCTION upg.down_summary(jsonb, jsonb) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_down(name text, portable boolean DEFAULT false)
    RETURNS text
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_down';
COMMENT ON FUNCTION @extschema@.upg_down(text, boolean) IS
    'the way back of a migration as a script for psql: for a server with upg, or portable as plain DDL and DML';
REVOKE ALL ON FUNCTION @extschema@.upg_down(text, boolean) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_down_statements(name text, portable boolean DEFAULT false, OUT n integer, OUT object text,
    OUT statement text, OUT tag text, OUT reason text)
    RETURNS SETOF record
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE ROWS 100
    AS 'MODULE_PATHNAME', 'upg_down_statements';
COMMENT ON FUNCTION @extschema@.upg_down_statements(text, boolean) IS
    'the same, statement by statement, each exact, inexact or impossible, and why';
REVOKE ALL ON FUNCTION @extschema@.upg_down_statements(text, boolean) FROM PUBLIC;
