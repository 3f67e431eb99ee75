-- Drift, part 2: objects under new names.
CREATE FUNCTION upg.ddl_rename(old text, new text, of text)
    RETURNS SETOF text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
DECLARE
    kind text := upg.ddl_kind(old);
    word CONSTANT text := '("(?:[^"]|"")+"|[^".( ]+)';
    o text[] := regexp_match(upg.ddl_name(old), '^' || word || '\.' || word || '((?:\(| USING ).*)?$');
    n text[] := regexp_match(upg.ddl_name(new), '^' || word || '\.' || word || '((?:\(| USING ).*)?$');
BEGIN
    IF kind IN ('column', 'constraint') THEN
        RETURN NEXT format('ALTER %s %s RENAME %s %s TO %s', CASE WHEN of NOT LIKE 'type %' THEN 'TABLE' WHEN kind = 'column' THEN 'TYPE' ELSE 'DOMAIN' END,
                           upg.ddl_name(of), CASE WHEN kind = 'column' AND of LIKE 'type %' THEN 'ATTRIBUTE' ELSE upper(kind) END, upg.ddl_part(old), upg.ddl_part(new));
    ELSIF kind IN ('trigger', 'rule', 'policy') THEN
        RETURN NEXT format('ALTER %s %s ON %s RENAME TO %s', upper(kind), upg.ddl_part(old), upg.ddl_name(of), upg.ddl_part(new));
    ELSIF kind IN ('schema', 'server', 'language', 'publication', 'event trigger', 'foreign-data wrapper') THEN
        RETURN NEXT format('ALTER %s %s RENAME TO %s', upper(replace(kind, '-', ' ')), upg.ddl_name(old), upg.ddl_name(new));
    ELSE
        IF kind = 'aggregate' AND o[3] = '()' THEN
            o[3] := '(*)';
        END IF;
        -- an index and a sequence of a column move with their table
        IF o[1] <> n[1] AND kind <> 'index' AND NOT (kind = 'sequence' AND of IS NOT NULL) THEN
            RETURN NEXT format('ALTER %s %s.%s%s SET SCHEMA %s', upper(kind), o[1], o[2], coalesce(o[3], ''), n[1]);
        END IF;
        IF o[2] <> n[2] THEN
            RETURN NEXT format('ALTER %s %s.%s%s RENAME TO %s', upper(kind), n[1], o[2], coalesce(o[3], ''), n[2]);
        END IF;
    END IF;
END
$function$;
COMMENT ON FUNCTION upg.ddl_rename(text, text, text) IS 'the statements that give an object another name or schema';
REVOKE ALL ON FUNCTION upg.ddl_rename(text, text, text) FROM PUBLIC;

CREATE FUNCTION upg.ddl_attribute_renamed(def jsonb, old text, new text)
    RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT CASE WHEN def ? 'attributes' THEN jsonb_build_object('ddl', jsonb_set(def, '{attributes}',
                (SELECT jsonb_agg(CASE WHEN quote_ident(c ->> 'name') = old THEN c || jsonb_build_object('name', (parse_ident(new))[1]) ELSE c END ORDER BY n)
                 FROM jsonb_array_elements(def -> 'attributes') WITH ORDINALITY u (c, n))))
            WHEN def IS NOT NULL THEN jsonb_build_object('ddl', def) ELSE '{}' END
$function$;
COMMENT ON FUNCTION upg.ddl_attribute_renamed(jsonb, text, text) IS 'what makes a composite type, with an attribute under another name';
REVOKE ALL ON FUNCTION upg.ddl_attribute_renamed(jsonb, text, text) FROM PUBLIC;

-- An image as it would be under new names: {"old key": "new key"}.  "sides" are the keys
-- in the order in which they are to be replaced.
CREATE FUNCTION upg.ddl_under_new_names(image jsonb, renames jsonb)
    RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
DECLARE
    r record;
    lines text := image::text;
    old_name text;
    new_name text;
    result jsonb;
BEGIN
    FOR r IN
        SELECT upg.ddl_kind(x ->> 'old') AS kind, x ->> 'old' AS old, x ->> 'new' AS new, x ->> 'of' AS of,
               trim(BOTH '"' FROM to_jsonb(upg.ddl_name(x ->> 'old'))::text) AS old_name, trim(BOTH '"' FROM to_jsonb(upg.ddl_name(x ->> 'new'))::text) AS new_name
        FROM jsonb_array_elements(renames) WITH ORDINALITY u (x, n) ORDER BY n
    LOOP
        IF r.kind NOT IN ('column', 'constraint', 'trigger', 'rule', 'policy') THEN
            old_name := upg.ddl_pattern(regexp_replace(r.old_name, ' USING \w+$', ''));
            new_name := replace(regexp_replace(r.new_name, ' USING \w+$', ''), '\', '\\');
            lines := regexp_replace(lines, '(?<![\w$."\\])' || old_name || CASE WHEN r.kind = 'schema' THEN '(?=\.|")' ELSE '(?![\w$])' END, new_name, 'g');
            -- at the beginning of a value, which a key is not
            lines := regexp_replace(lines, '(?<=[^\\]")' || old_name || CASE WHEN r.kind = 'schema' THEN '(?=\.)' ELSE '(?![\w$]|":)' END, new_name, 'g');
        ELSE
            result := '{}';
            SELECT jsonb_object_agg(CASE WHEN e.key = r.old THEN r.new ELSE e.key END,
                       CASE WHEN e.value ->> 'of' = r.of OR e.key = r.of
                            THEN upg.ddl_attribute_renamed(e.value -> 'ddl', upg.ddl_part(r.old), upg.ddl_part(r.new)) || regexp_replace((e.value - 'ddl')::text, '(?<![\w$.])' || upg.ddl_pattern(trim(BOTH '"' FROM to_jsonb(upg.ddl_part(r.old))::text)) || '(?![\w$])',
                                                replace(trim(BOTH '"' FROM to_jsonb(upg.ddl_part(r.new))::text), '\', '\\'), 'g')::jsonb
                            ELSE e.value END) INTO result
            FROM jsonb_each(lines::jsonb) e;
            lines := result::text;
        END IF;
    END LOOP;
    RETURN lines::jsonb;
END
$function$;
COMMENT ON FUNCTION upg.ddl_under_new_names(jsonb, jsonb) IS 'an image of objects as it would be had they got new names';
REVOKE ALL ON FUNCTION upg.ddl_under_new_names(jsonb, jsonb) FROM PUBLIC;

-- The names of parts follow the name of their table; only what differs beyond that is a
-- rename of its own.
CREATE FUNCTION upg.drift_apply_renames(INOUT image jsonb, INOUT renames jsonb)
    RETURNS record
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
DECLARE
    r record;
    old text;
    done jsonb := '[]';
BEGIN
    FOR r IN SELECT x ->> 'old' AS old, x ->> 'new' AS new, x ->> 'of' AS of, x ->> 'id' AS id, n FROM jsonb_array_elements(renames) WITH ORDINALITY u (x, n) ORDER BY n LOOP
        old := r.old;
        -- under the names that were given so far
        SELECT coalesce(max(k), old) INTO old FROM jsonb_object_keys(upg.ddl_under_new_names(jsonb_build_object(r.old, '{}'::jsonb), done)) k;
        IF old <> r.new THEN
            image := upg.ddl_under_new_names(image, jsonb_build_array(jsonb_build_object('old', old, 'new', r.new, 'of', r.of)));
            done := done || jsonb_build_object('old', old, 'new', r.new, 'of', r.of);
        END IF;
    END LOOP;
    renames := done;
END
$function$;
COMMENT ON FUNCTION upg.drift_apply_renames(jsonb, jsonb) IS 'an image under new names, and the renames that are not another''s consequence';
REVOKE ALL ON FUNCTION upg.drift_apply_renames(jsonb, jsonb) FROM PUBLIC;
