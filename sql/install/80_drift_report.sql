-- Drift, part 4: what differs from what was recorded, in rows and as a script.
-- Both sides of the drift: what was recorded, under the names of now, and what is there.
CREATE FUNCTION upg.drift_sides(OUT recorded jsonb, OUT live jsonb, OUT renames jsonb, OUT ids jsonb, OUT anchors oid[])
    RETURNS record
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
BEGIN
    IF NOT EXISTS (SELECT FROM upg.schema_record r WHERE upg.drift_is_here(r)) THEN
        RAISE EXCEPTION 'the state of the schema is not recorded'
            USING ERRCODE = 'UP019', HINT = 'Set upg.drift to "warn" or "refuse", or call upg_drift_record(): what is there then is what later changes are compared with.';
    END IF;
    WITH pairs AS MATERIALIZED (
        SELECT * FROM upg.drift_pairs()
    ), moved AS (
        SELECT r.object AS old, l.object AS new, l.live ->> 'of' AS of, l.sub, l.id,
               CASE WHEN upg.ddl_kind(r.object) IN ('schema') THEN 1 WHEN l.live ? 'of' THEN 3 ELSE 2 END AS n
        FROM pairs r JOIN pairs l ON r.id = l.id AND r.sub = l.sub AND upg.ddl_kind(r.object) = upg.ddl_kind(l.object)
        WHERE r.id <> 0 AND r.live IS NULL AND l.recorded IS NULL
    )
    SELECT coalesce((SELECT jsonb_object_agg(p.object, p.recorded) FROM pairs p WHERE p.recorded IS NOT NULL), '{}'),
           coalesce((SELECT jsonb_object_agg(p.object, p.live) FROM pairs p WHERE p.live IS NOT NULL), '{}'),
           coalesce((SELECT jsonb_agg(jsonb_build_object('old', m.old, 'new', m.new, 'of', m.of, 'id', m.id) ORDER BY m.n, m.id, m.sub) FROM moved m), '[]'),
           coalesce((SELECT jsonb_object_agg(p.object, p.id) FROM pairs p), '{}'),
           coalesce((SELECT array_agg(DISTINCT p.anchor) FROM pairs p WHERE p.anchor <> 0), '{}')
    INTO recorded, live, renames, ids, anchors;
    IF renames <> '[]' THEN
        SELECT x.* INTO recorded, renames FROM upg.drift_apply_renames(recorded, renames) x;
        -- From 18 on NOT NULL has a name, which is shown when it is not made of those of
        -- table and column.  Where one of these was renamed, that says nothing new.
        SELECT coalesce(jsonb_object_agg(l.key, l.value), '{}') INTO live FROM jsonb_each(live) l
        WHERE recorded ? l.key OR coalesce(l.value ->> 'definition', '') NOT LIKE 'NOT NULL %'
           OR NOT EXISTS (SELECT FROM jsonb_array_elements(renames) r WHERE l.value ->> 'of' IN (r ->> 'new', r ->> 'of'));
    END IF;
END
$function$;
COMMENT ON FUNCTION upg.drift_sides() IS 'objects that have drifted: as recorded but for their names, and as they are';
REVOKE ALL ON FUNCTION upg.drift_sides() FROM PUBLIC;

-- What has not drifted and is needed all the same to say how the rest becomes what it is
-- to be: other parts of the same relations, their parents, and what needs them.
CREATE FUNCTION upg.drift_context(recorded jsonb, live jsonb, ids jsonb, anchors oid[], OUT objects jsonb, OUT depends jsonb)
    RETURNS record
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
WITH RECURSIVE relations (oid) AS MATERIALIZED (
    SELECT c.oid FROM pg_class c WHERE c.oid = ANY (anchors)
    UNION SELECT d.refobjid FROM pg_depend d
          WHERE d.classid = 'pg_class'::regclass AND d.objid = ANY (anchors) AND d.objsubid = 0 AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'i' AND d.refobjsubid > 0
    UNION SELECT to_regclass(p)::oid FROM (SELECT value FROM jsonb_each(recorded) UNION ALL SELECT value FROM jsonb_each(live)) e (value),
                 jsonb_array_elements_text(upg.ddl_list(e.value ->> 'inherits')) p
), around (oid) AS (
    SELECT r.oid FROM relations r WHERE r.oid IS NOT NULL
    UNION SELECT w.ev_class
          FROM around n JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = n.oid AND d.classid = 'pg_rewrite'::regclass
          JOIN pg_rewrite w ON w.oid = d.objid AND w.rulename = '_RETURN' 
)
SELECT (SELECT coalesce(jsonb_object_agg(o.object, o.attributes), '{}') FROM upg.drift_objects(ARRAY(SELECT a.oid FROM around a)) o WHERE NOT ids ? o.object),
       (SELECT coalesce(jsonb_agg(DISTINCT jsonb_build_array(x.object, upg.image_relation(d.refobjid), t.attname)), '[]')
        FROM around a JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = a.oid AND d.classid IN ('pg_rewrite'::regclass, 'pg_policy'::regclass, 'pg_trigger'::regclass)
        LEFT JOIN pg_attribute t ON t.attrelid = d.refobjid AND t.attnum = d.refobjsubid,
             LATERAL (SELECT CASE WHEN w.rulename = '_RETURN' THEN upg.image_relation(w.ev_class) ELSE format('rule %I on %s', w.rulename, upg.image_relation(w.ev_class)) END
                      FROM pg_rewrite w WHERE d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid
                      UNION ALL SELECT format('policy %I on %s', p.polname, upg.image_relation(p.polrelid)) FROM pg_policy p WHERE d.classid = 'pg_policy'::regclass AND p.oid = d.objid
                      UNION ALL SELECT format('trigger %I on %s', g.tgname, upg.image_relation(g.tgrelid)) FROM pg_trigger g
                                WHERE d.classid = 'pg_trigger'::regclass AND g.oid = d.objid AND NOT g.tgisinternal AND d.refobjsubid > 0) x (object)
        WHERE x.object <> upg.image_relation(d.refobjid))
$function$;
COMMENT ON FUNCTION upg.drift_context(jsonb, jsonb, jsonb, oid[]) IS 'objects around those that have drifted, and what needs what';
REVOKE ALL ON FUNCTION upg.drift_context(jsonb, jsonb, jsonb, oid[]) FROM PUBLIC;

CREATE FUNCTION upg.drift_shown(image jsonb)
    RETURNS jsonb
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT coalesce(jsonb_object_agg(e.key, e.value - 'ddl'), '{}') FROM jsonb_each(image) e
$function$;
COMMENT ON FUNCTION upg.drift_shown(jsonb) IS 'objects without what only makes them';
REVOKE ALL ON FUNCTION upg.drift_shown(jsonb) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_drift(OUT object text, OUT change text, OUT attribute text, OUT recorded text, OUT live text)
    RETURNS SETOF record
    LANGUAGE sql VOLATILE SECURITY DEFINER PARALLEL UNSAFE ROWS 20
    SET search_path = pg_catalog, pg_temp
    AS $function$
WITH sides AS MATERIALIZED (
    SELECT * FROM upg.drift_sides()
)
SELECT * FROM (
    SELECT r ->> 'new', 'renamed', NULL::text, r ->> 'old', r ->> 'new' FROM sides, jsonb_array_elements(renames) r
    UNION ALL
    SELECT d.object, d.change, d.attribute, d.was, d.is_now FROM sides, @extschema@.upg_schema_differences(upg.drift_shown(sides.recorded), upg.drift_shown(sides.live)) d
) x (object, change, attribute, recorded, live) ORDER BY 1, 2, 3
$function$;
COMMENT ON FUNCTION @extschema@.upg_drift() IS 'what differs between the schema as it is and as the last migration left it';
REVOKE ALL ON FUNCTION @extschema@.upg_drift() FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_drift_statements(direction text DEFAULT 'adopt', OUT ord integer, OUT object text, OUT statement text, OUT note text)
    RETURNS SETOF record
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER PARALLEL UNSAFE ROWS 20
    SET search_path = pg_catalog, pg_temp
    AS $function$
DECLARE
    s record;
    x record;
    places jsonb;
    adopt boolean := upg_drift_statements.direction = 'adopt';
BEGIN
    IF upg_drift_statements.direction IS NULL OR upg_drift_statements.direction NOT IN ('adopt', 'restore') THEN
        RAISE EXCEPTION 'invalid direction "%"', upg_drift_statements.direction
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = '"adopt" makes what is there of what was recorded, "restore" the other way round.';
    END IF;
    SELECT * INTO s FROM upg.drift_sides();
    SELECT * INTO x FROM upg.drift_context(s.recorded, s.live, s.ids, s.anchors);
    s.recorded := x.objects || s.recorded;
    s.live := x.objects || s.live;
    -- as they were made; what has been made again has two places
    SELECT jsonb_build_object('recorded', coalesce(jsonb_object_agg(o.object, o.id), '{}')) INTO places
    FROM upg.schema_objects o WHERE s.recorded ? o.object;
    places := places || jsonb_build_object('live', s.ids, 'views', jsonb_build_object('recorded', upg.ddl_depths(s.recorded), 'live', upg.ddl_depths(s.live)));
    ord := 0;
    FOR object, statement, note IN
        SELECT z.object, z.statement, z.note FROM (
            SELECT CASE WHEN adopt THEN 5 ELSE 95 END AS phase, CASE WHEN adopt THEN n ELSE -n END AS place, r ->> 'new' AS object, q AS statement, NULL AS note, 0 AS line
            FROM jsonb_array_elements(s.renames) WITH ORDINALITY u (r, n),
                 LATERAL upg.ddl_rename(CASE WHEN adopt THEN r ->> 'old' ELSE r ->> 'new' END, CASE WHEN adopt THEN r ->> 'new' ELSE r ->> 'old' END, r ->> 'of') q
            -- what a parent hands down gets its name with the parent's
            WHERE NOT (r ->> 'new' ~ '^(column|trigger) ' AND s.live -> (r ->> 'new') ? 'inherited'
                       OR r ->> 'new' LIKE 'constraint %' AND s.live -> (r ->> 'new') ? 'inherited' AND s.live #>> ARRAY[r ->> 'new', 'definition'] ~ '^(CHECK|NOT NULL)')
            UNION ALL
            -- what was made last, or lies on others, goes first
            SELECT t.phase, (coalesce((places #>> ARRAY[t.side, t.object])::bigint, (s.ids ->> t.object)::bigint, 0) + coalesce((places #>> ARRAY['views', t.side, t.object])::bigint, 0) * 4294967296)
                            * CASE WHEN t.phase < 40 THEN -1 ELSE 1 END, t.object, t.statement, t.note, t.line
            FROM (SELECT y.*, row_number() OVER () AS line, CASE WHEN (y.phase < 40) = adopt THEN 'recorded' ELSE 'live' END AS side
                  FROM upg.ddl_statements(CASE WHEN adopt THEN s.recorded ELSE s.live END, CASE WHEN adopt THEN s.live ELSE s.recorded END, x.depends) y) t
        ) z ORDER BY z.phase, z.place, z.object, z.line
    LOOP
        ord := ord + 1;
        RETURN NEXT;
    END LOOP;
END
$function$;
COMMENT ON FUNCTION @extschema@.upg_drift_statements(text) IS 'drift as statements: "adopt" makes what is there of what was recorded, "restore" the other way round';
REVOKE ALL ON FUNCTION @extschema@.upg_drift_statements(text) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_drift_script(direction text DEFAULT 'adopt')
    RETURNS text
    LANGUAGE sql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT coalesce(string_agg(coalesce('-- ' || replace(s.note, E'\n', E'\n-- ') || E'\n', '') || coalesce(s.statement || E';\n', ''), '' ORDER BY s.ord), '')
FROM @extschema@.upg_drift_statements(direction) s
$function$;
COMMENT ON FUNCTION @extschema@.upg_drift_script(text) IS 'drift as a script; comments name what is lost and what is left to a person';
REVOKE ALL ON FUNCTION @extschema@.upg_drift_script(text) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_drift_record()
    RETURNS bigint
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_drift_record';
COMMENT ON FUNCTION @extschema@.upg_drift_record() IS 'accept the schema as it is: later changes are compared with it; returns the number of objects';
REVOKE ALL ON FUNCTION @extschema@.upg_drift_record() FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_drift_forget()
    RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_drift_forget';
COMMENT ON FUNCTION @extschema@.upg_drift_forget() IS 'give up the record of the schema';
REVOKE ALL ON FUNCTION @extschema@.upg_drift_forget() FROM PUBLIC;
