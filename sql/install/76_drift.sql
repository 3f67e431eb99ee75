-- Drift: what differs between the schema as it is and as the last migration left it.
-- What was left is recorded object by object, and kept up to date with what each
-- migration touched.  Which objects may have changed is told by stamps
-- (extension/src/drift_scan.c), of which only pages are counted that somebody has written
-- since (extension/src/drift_pages.c); only the definitions of these are compared.
CREATE TABLE upg.schema_record (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    recorded_at timestamptz NOT NULL,
    recorded_by text NOT NULL,
    system_identifier bigint NOT NULL,
    database oid NOT NULL,
    catalog_version integer NOT NULL
);
COMMENT ON TABLE upg.schema_record IS 'when and where the whole schema was recorded';

CREATE TABLE upg.schema_objects (
    object text PRIMARY KEY,
    anchor oid NOT NULL,
    id oid NOT NULL,
    sub integer NOT NULL,
    attributes jsonb NOT NULL
);
COMMENT ON TABLE upg.schema_objects IS 'objects of the schema as the last migration left them';
CREATE INDEX schema_objects_anchor ON upg.schema_objects (anchor);

CREATE TABLE upg.schema_pages (
    catalog oid NOT NULL,
    block bigint NOT NULL,
    objects bytea NOT NULL
);
COMMENT ON TABLE upg.schema_pages IS 'number and sum of the rows that objects have on a page of a catalog; several rows add up';
CREATE INDEX schema_pages_place ON upg.schema_pages (catalog, block);

CREATE TABLE upg.schema_looks (
    lsn pg_lsn NOT NULL,
    files bigint[] NOT NULL,
    pages bigint[] NOT NULL
);
COMMENT ON TABLE upg.schema_looks IS 'where in the WAL a look for drift began, the files of catalogs it found, and pages to be looked at again';

-- OIDs and xids of one database mean nothing in another, so a record is not dumped;
-- a copy of the files with another identity has none either.
CREATE FUNCTION upg.drift_is_here(r upg.schema_record)
    RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT r.system_identifier = s.system_identifier AND r.catalog_version = s.catalog_version_no
       AND r.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
FROM pg_control_system() s
$function$;
COMMENT ON FUNCTION upg.drift_is_here(upg.schema_record) IS 'was this recorded in this very database?';
REVOKE ALL ON FUNCTION upg.drift_is_here(upg.schema_record) FROM PUBLIC;

CREATE FUNCTION upg.drift_stamps(OUT anchor oid, OUT rows bigint, OUT sum bigint)
    RETURNS SETOF record
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_drift_stamps';
COMMENT ON FUNCTION upg.drift_stamps() IS 'objects with other rows of catalogs than recorded: how many more, and the difference of their sums';
REVOKE ALL ON FUNCTION upg.drift_stamps() FROM PUBLIC;

CREATE FUNCTION upg.drift_take_stamps(anchors oid[])
    RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_drift_take_stamps';
COMMENT ON FUNCTION upg.drift_take_stamps(oid[]) IS 'record the rows of catalogs that some objects have now; null: of all';
REVOKE ALL ON FUNCTION upg.drift_take_stamps(oid[]) FROM PUBLIC;

-- Stamps count a row for the object that it names, which may be a part of one.
CREATE FUNCTION upg.drift_resolve(parts oid[])
    RETURNS oid[]
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_generic_plan
    AS $function$
SELECT coalesce(array_agg(DISTINCT a), '{}') FROM (
    SELECT unnest(parts)
    UNION ALL SELECT indrelid FROM pg_index WHERE indexrelid = ANY (parts)
    UNION ALL SELECT substring(c.relname FROM '^pg_toast_(\d+)')::oid FROM pg_class c
              WHERE c.oid = ANY (parts) AND c.relkind = 't' AND c.relname ~ '^pg_toast_\d+$'
    UNION ALL SELECT CASE WHEN conrelid <> 0 THEN conrelid ELSE contypid END FROM pg_constraint WHERE oid = ANY (parts)
    UNION ALL SELECT tgrelid FROM pg_trigger WHERE oid = ANY (parts)
    UNION ALL SELECT ev_class FROM pg_rewrite WHERE oid = ANY (parts)
    UNION ALL SELECT polrelid FROM pg_policy WHERE oid = ANY (parts)
    UNION ALL SELECT adrelid FROM pg_attrdef WHERE oid = ANY (parts)
    UNION ALL SELECT stxrelid FROM pg_statistic_ext WHERE oid = ANY (parts)
    UNION ALL SELECT typrelid FROM pg_type WHERE oid = ANY (parts) AND typrelid <> 0
    -- "public" came with the server, but is described like any other
    UNION ALL SELECT oid FROM pg_namespace WHERE 0 = ANY (parts) AND oid < 16384 AND nspname !~ '^pg_' AND nspname <> 'information_schema') x (a)
$function$;
COMMENT ON FUNCTION upg.drift_resolve(oid[]) IS 'objects, and those that they are parts of';
REVOKE ALL ON FUNCTION upg.drift_resolve(oid[]) FROM PUBLIC;

-- What is needed to make objects that are not relations, as upg_down() knows it.  User
-- mappings hold passwords, roles belong to the cluster.
CREATE FUNCTION upg.drift_definitions(anchors oid[])
    RETURNS TABLE (object text, id oid, def jsonb)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
DECLARE
    routines boolean;
    types boolean;
    others boolean;
BEGIN
    SELECT anchors IS NULL OR EXISTS (SELECT FROM pg_proc p WHERE p.oid = ANY (anchors)),
           anchors IS NULL OR EXISTS (SELECT FROM pg_type t WHERE t.oid = ANY (anchors)) OR EXISTS (SELECT FROM pg_class c WHERE c.oid = ANY (anchors) AND c.relkind = 'c'),
           anchors IS NULL OR 0 = ANY (anchors) OR EXISTS (SELECT FROM pg_namespace n WHERE n.oid = ANY (anchors))
    INTO routines, types, others;
    IF routines THEN
        RETURN QUERY SELECT f.def ->> 'image', split_part(f.key, ':', 2)::oid, f.def
        FROM upg.down_routines_of(coalesce(anchors, ARRAY(SELECT p.oid FROM pg_proc p WHERE p.oid >= 16384))) f;
    END IF;
    IF types THEN
        RETURN QUERY SELECT t.def ->> 'image', split_part(t.key, ':', 2)::oid, t.def
        FROM upg.down_types_of(coalesce(anchors, ARRAY(SELECT t.oid FROM pg_type t WHERE t.oid >= 16384))) t;
    END IF;
    IF others THEN
        RETURN QUERY SELECT o.def ->> 'image', split_part(o.key, ':', 2)::oid, o.def FROM upg.down_named_others() o
        WHERE o.def ->> 'kind' NOT IN ('USER MAPPING', 'ROLE', 'MEMBERSHIP') AND NOT (o.def ->> 'kind' = 'SETTINGS' AND o.def ->> 'name' = 'everywhere')
          AND (anchors IS NULL OR CASE o.def ->> 'kind' WHEN 'SCHEMA' THEN split_part(o.key, ':', 2)::oid ELSE 0 END = ANY (anchors));
    END IF;
END
$function$;
COMMENT ON FUNCTION upg.drift_definitions(oid[]) IS 'what is needed to make objects that are not relations; null: of all';
REVOKE ALL ON FUNCTION upg.drift_definitions(oid[]) FROM PUBLIC;

-- What may be seen of an object.  What is needed to make it, "ddl", is not compared;
-- but of kinds without attributes of their own the statements are what is compared.
-- upg itself is no drift.
CREATE FUNCTION upg.drift_objects(anchors oid[])
    RETURNS TABLE (object text, attributes jsonb, anchor oid, id oid, sub integer)
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
WITH defs AS MATERIALIZED (
    SELECT * FROM upg.drift_definitions(anchors)
), objects AS (
    SELECT * FROM upg.image_objects(NULL) i WHERE anchors IS NULL
    UNION ALL SELECT * FROM upg.image_objects_of(NULL, anchors) i WHERE anchors IS NOT NULL
)
SELECT DISTINCT ON (o.object) o.object,
       CASE WHEN o.object LIKE 'user mapping of %' THEN '{}'
            WHEN o.attributes ? 'definition' AND d.def ? 'create' THEN jsonb_strip_nulls(jsonb_build_object(
                'definition', (SELECT string_agg(s, E';\n' ORDER BY n) FROM jsonb_array_elements_text(d.def -> 'create') WITH ORDINALITY u (s, n)),
                'owner', d.def -> 'owner', 'privileges', CASE WHEN (d.def ->> 'acl set')::boolean AND upg.down_usual_acl(d.def) <> d.def -> 'acl' THEN (
                    SELECT string_agg(concat_ws(' ', g ->> 3, 'to', g ->> 0, CASE WHEN g ->> 2 = 'true' THEN 'with grant option' END), ', ' ORDER BY g ->> 0, g ->> 3)
                    FROM jsonb_array_elements(d.def -> 'acl') g) END,
                'comment', d.def -> 'comment'))
            ELSE jsonb_strip_nulls(o.attributes) END || CASE WHEN d.def IS NULL THEN '{}' ELSE jsonb_build_object('ddl', jsonb_strip_nulls(d.def)) END,
       o.anchor, coalesce(nullif(o.id, 0), d.id, 0), o.sub
FROM objects o LEFT JOIN defs d ON d.object = o.object
WHERE o.object IS NOT NULL AND o.object <> 'extension upg'
  -- with the server, or told by what they belong to
  AND NOT (o.anchor = 0 AND d.object IS NULL AND (o.object ~ '^((operator|function) of access method |cast |language (c|internal|sql)$)' OR o.object ~ '^publication .* of (table|foreign table) '
           OR EXISTS (SELECT FROM defs x WHERE o.object = 'comment on ' || x.object)))
$function$;
COMMENT ON FUNCTION upg.drift_objects(oid[]) IS 'objects of the schema as they are now; null: all';
REVOKE ALL ON FUNCTION upg.drift_objects(oid[]) FROM PUBLIC;

CREATE FUNCTION upg.drift_forget()
    RETURNS void
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
-- nobody sums up rows of these at the same time (extension/src/drift_pages.c)
LOCK TABLE upg.schema_pages, upg.schema_looks IN SHARE UPDATE EXCLUSIVE MODE;
DELETE FROM upg.schema_record;
DELETE FROM upg.schema_objects;
DELETE FROM upg.schema_pages;
DELETE FROM upg.schema_looks;
$function$;
COMMENT ON FUNCTION upg.drift_forget() IS 'give up the record of the schema';
REVOKE ALL ON FUNCTION upg.drift_forget() FROM PUBLIC;

CREATE FUNCTION upg.drift_record()
    RETURNS bigint
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
DECLARE
    objects bigint;
BEGIN
    LOCK TABLE upg.schema_record IN SHARE ROW EXCLUSIVE MODE;
    IF NOT EXISTS (SELECT FROM upg.schema_record r WHERE upg.drift_is_here(r)) THEN
        PERFORM upg.drift_forget();
    END IF;
    DELETE FROM upg.schema_record;
    DELETE FROM upg.schema_objects;
    -- what differs from the record is added to it: a migration that commits meanwhile
    -- adds its own
    PERFORM upg.drift_take_stamps(NULL);
    INSERT INTO upg.schema_objects (object, anchor, id, sub, attributes)
    SELECT o.object, o.anchor, o.id, o.sub, o.attributes FROM upg.drift_objects(NULL) o;
    GET DIAGNOSTICS objects = ROW_COUNT;
    INSERT INTO upg.schema_record (recorded_at, recorded_by, system_identifier, database, catalog_version)
    SELECT clock_timestamp(), session_user, s.system_identifier,
           (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()), s.catalog_version_no
    FROM pg_control_system() s;
    RETURN objects;
END
$function$;
COMMENT ON FUNCTION upg.drift_record() IS 'record the schema as it is';
REVOKE ALL ON FUNCTION upg.drift_record() FROM PUBLIC;

-- The objects whose definition is not the recorded one, both ways, without saying
-- yet what differs.
CREATE FUNCTION upg.drift_pairs(OUT object text, OUT anchor oid, OUT id oid, OUT sub integer, OUT recorded jsonb, OUT live jsonb)
    RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
DECLARE
    parts oid[];
BEGIN
    SELECT array_agg(s.anchor) INTO parts FROM upg.drift_stamps() s;
    IF parts IS NULL THEN
        RETURN;
    END IF;
    parts := upg.drift_resolve(parts);
    RETURN QUERY
    SELECT coalesce(r.object, l.object), coalesce(l.anchor, r.anchor), coalesce(l.id, r.id), coalesce(l.sub, r.sub), r.attributes, l.attributes
    FROM (SELECT * FROM upg.schema_objects o WHERE o.anchor = ANY (parts)) r
    FULL JOIN upg.drift_objects(parts) l ON r.object = l.object
    WHERE r.attributes - 'ddl' IS DISTINCT FROM l.attributes - 'ddl' OR r.attributes #> '{ddl,attributes}' IS DISTINCT FROM l.attributes #> '{ddl,attributes}';
END
$function$;
COMMENT ON FUNCTION upg.drift_pairs() IS 'objects whose definition is not the recorded one';
REVOKE ALL ON FUNCTION upg.drift_pairs() FROM PUBLIC;

-- Before a migration: the objects that have drifted, in words, and as they are now.
CREATE FUNCTION upg.drift_check(shown integer, OUT objects bigint, OUT words text, OUT drifted oid[], OUT live jsonb)
    RETURNS record
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
DECLARE
    parts oid[];
BEGIN
    objects := 0;
    SELECT array_agg(s.anchor) INTO parts FROM upg.drift_stamps() s;
    IF parts IS NULL THEN
        RETURN;
    END IF;
    SELECT array_agg(DISTINCT p.anchor) INTO drifted FROM upg.drift_pairs() p;
    IF drifted IS NULL THEN
        -- new rows, the same definitions: VACUUM FULL, a grant that was revoked
        PERFORM upg.drift_take_stamps(parts);
        RETURN;
    END IF;
    SELECT count(DISTINCT d.object), string_agg(d.object || ' is ' || d.change, ', ' ORDER BY d.object) FILTER (WHERE d.n <= shown)
           || CASE WHEN count(*) > shown THEN ' and more' ELSE '' END INTO objects, words
    FROM (SELECT x.object, x.change, row_number() OVER (ORDER BY x.object) AS n
          FROM (SELECT DISTINCT y.object, y.change FROM @extschema@.upg_drift() y) x) d;
    SELECT coalesce(jsonb_object_agg(o.object, o.attributes), '{}') INTO live FROM upg.drift_objects(drifted) o;
END
$function$;
COMMENT ON FUNCTION upg.drift_check(integer) IS 'what has drifted: number, words for a message, and the objects as they are';
REVOKE ALL ON FUNCTION upg.drift_check(integer) FROM PUBLIC;

-- Record objects as they are.  Of those that had drifted before only what has changed
-- since "before" is recorded.  A new name shows in the definitions of what refers to
-- the object, so those are recorded, too.
CREATE FUNCTION upg.drift_take_objects(parts oid[], drifted oid[], before jsonb)
    RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_generic_plan
    AS $function$
DECLARE
    todo oid[] := upg.drift_resolve(parts);
    done oid[] := '{}';
    renamed oid[];
BEGIN
    WHILE cardinality(todo) > 0 LOOP
        done := done || todo;
        WITH now AS MATERIALIZED (
            SELECT * FROM upg.drift_objects(todo)
        ), gone AS (
            DELETE FROM upg.schema_objects s
            WHERE s.anchor = ANY (todo) AND NOT EXISTS (SELECT FROM now n WHERE n.object = s.object)
              AND NOT (s.anchor = ANY (drifted) AND NOT before ? s.object)
            RETURNING s.id, s.sub
        ), put AS (
            INSERT INTO upg.schema_objects AS s (object, anchor, id, sub, attributes)
            SELECT n.object, n.anchor, n.id, n.sub, n.attributes FROM now n
            WHERE NOT (n.anchor = ANY (drifted) AND before -> n.object IS NOT DISTINCT FROM n.attributes)
            ON CONFLICT (object) DO UPDATE
            SET anchor = excluded.anchor, id = excluded.id, sub = excluded.sub, attributes = excluded.attributes
            WHERE (s.anchor, s.id, s.sub, s.attributes) IS DISTINCT FROM (excluded.anchor, excluded.id, excluded.sub, excluded.attributes)
        )
        SELECT array_agg(DISTINCT g.id) INTO renamed FROM gone g JOIN now n USING (id, sub) WHERE g.id <> 0;
        EXIT WHEN renamed IS NULL;
        SELECT coalesce(array_agg(a), '{}') INTO todo
        FROM unnest(upg.drift_resolve(ARRAY(SELECT DISTINCT d.objid FROM pg_depend d WHERE d.refobjid = ANY (renamed)))) a
        WHERE a <> ALL (done);
    END LOOP;
END
$function$;
COMMENT ON FUNCTION upg.drift_take_objects(oid[], oid[], jsonb) IS 'record objects as they are, but for what others had changed in them';
REVOKE ALL ON FUNCTION upg.drift_take_objects(oid[], oid[], jsonb) FROM PUBLIC;

CREATE FUNCTION upg.drift_differing()
    RETURNS jsonb
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT coalesce(jsonb_object_agg(s.anchor, s.rows || ' ' || s.sum), '{}') FROM upg.drift_stamps() s
$function$;
COMMENT ON FUNCTION upg.drift_differing() IS 'stamps that are not the recorded ones';
REVOKE ALL ON FUNCTION upg.drift_differing() FROM PUBLIC;

CREATE FUNCTION upg.drift_take(before jsonb)
    RETURNS void
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
DECLARE
    parts oid[];
BEGIN
    SELECT array_agg(s.anchor) INTO parts FROM upg.drift_stamps() s
    WHERE before ->> s.anchor::text IS DISTINCT FROM s.rows || ' ' || s.sum;
    IF parts IS NOT NULL THEN
        PERFORM upg.drift_take_objects(parts, '{}', '{}');
        PERFORM upg.drift_take_stamps(parts);
    END IF;
END
$function$;
COMMENT ON FUNCTION upg.drift_take(jsonb) IS 'record what has come to differ since "before"';
REVOKE ALL ON FUNCTION upg.drift_take(jsonb) FROM PUBLIC;
