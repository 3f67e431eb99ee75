-- Drift, part 3: statements that make the second of two images of the first.
-- What came with the server; null: the privileges that it came with.
CREATE FUNCTION upg.ddl_server_privileges(object text, was text, is_now text)
    RETURNS SETOF text
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT upg.down_grants(x.what, upg.down_acl(coalesce(upg.ddl_aclitems(was), x.initial), x.kind, x.owner),
                       upg.down_acl(coalesce(upg.ddl_aclitems(is_now), x.initial), x.kind, x.owner), x.columns, NULL)
FROM (SELECT CASE p.prokind WHEN 'p' THEN 'PROCEDURE ' ELSE 'FUNCTION ' END || p.oid::regprocedure, '', p.proowner, 'f'::"char", 'pg_proc'::regclass, p.oid, 0
      FROM pg_proc p WHERE p.oid = to_regprocedure(substring(object FROM '^(?:function|procedure|aggregate) (.*)$'))
      UNION ALL
      SELECT 'TABLE ' || format('%I.%I', n.nspname, c.relname), '', c.relowner, 'r', 'pg_class'::regclass, c.oid, 0
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass(substring(object FROM '^(?:table|view) (?!column )(.*)$'))
      UNION ALL
      SELECT 'TABLE ' || format('%I.%I', n.nspname, c.relname), format(' (%I)', t.attname), c.relowner, 'c', 'pg_class'::regclass, c.oid, t.attnum
      FROM regexp_match(object, '^(?:table|view) column (.*)\.([^.]+)$') m JOIN pg_class c ON c.oid = to_regclass(m[1]) JOIN pg_namespace n ON n.oid = c.relnamespace
           JOIN pg_attribute t ON t.attrelid = c.oid AND quote_ident(t.attname) = m[2]
      UNION ALL
      SELECT 'TYPE ' || format('%I.%I', n.nspname, t.typname), '', t.typowner, 'T', 'pg_type'::regclass, t.oid, 0 FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.oid = to_regtype(substring(object FROM '^type (.*)$'))
      UNION ALL
      SELECT 'SCHEMA ' || quote_ident(n.nspname), '', n.nspowner, 'n', 'pg_namespace'::regclass, n.oid, 0 FROM pg_namespace n WHERE object = 'schema ' || quote_ident(n.nspname)
      UNION ALL
      SELECT 'LANGUAGE ' || quote_ident(l.lanname), '', l.lanowner, 'l', 'pg_language'::regclass, l.oid, 0
      FROM pg_language l WHERE object = 'language ' || quote_ident(l.lanname)) y (what, columns, owner, kind, class, oid, sub),
     LATERAL (SELECT y.what, y.columns, y.owner, y.kind, (SELECT i.initprivs FROM pg_init_privs i WHERE i.classoid = y.class AND i.objoid = y.oid AND i.objsubid = y.sub) AS initial) x
$function$;
COMMENT ON FUNCTION upg.ddl_server_privileges(text, text, text) IS 'statements that make privileges on what came with the server what they are to be';
REVOKE ALL ON FUNCTION upg.ddl_server_privileges(text, text, text) FROM PUBLIC;

CREATE FUNCTION upg.ddl_label(object text, label text)
    RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT format('SECURITY LABEL FOR %s ON %s %s IS %s', m[1], CASE WHEN m[3] IS NULL THEN upper(m[2]) ELSE 'COLUMN' END, m[4], coalesce(quote_literal(label), 'NULL'))
FROM regexp_match(object, '^security label of ("(?:[^"]|"")*"|\S+) on ((?:foreign |materialized )?(?:table|view)|composite type|sequence|function|procedure'
                          '|aggregate|schema|type|language|event trigger|publication|subscription|large object)( column)? (.*)$') m
$function$;
COMMENT ON FUNCTION upg.ddl_label(text, text) IS 'the statement that gives a security label, null: takes it away';
REVOKE ALL ON FUNCTION upg.ddl_label(text, text) FROM PUBLIC;

-- Objects that are not relations: from how one is (a) to how it is to be (b), by what
-- upg_down() says about them.
CREATE FUNCTION upg.ddl_by_definition(image text, a jsonb, b jsonb)
    RETURNS TABLE (phase integer, object text, statement text, note text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
DECLARE
    kind CONSTANT text := coalesce(b, a) ->> 'kind';
    made CONSTANT integer := CASE kind WHEN 'SCHEMA' THEN 40 WHEN 'EXTENSION' THEN 41 WHEN 'COLLATION' THEN 41 WHEN 'DOMAIN' THEN 42
        -- a body that is parsed when it is made needs the tables
        WHEN 'FUNCTION' THEN CASE WHEN b #>> '{create,0}' ~ E'\n(BEGIN ATOMIC|RETURN )' THEN 62 ELSE 46 END
        WHEN 'PROCEDURE' THEN CASE WHEN b #>> '{create,0}' ~ E'\nBEGIN ATOMIC' THEN 62 ELSE 46 END
        WHEN 'TYPE' THEN CASE WHEN b #>> '{create,0}' ~ '(SUBTYPE_DIFF|CANONICAL|INPUT) = ' THEN 47 ELSE 42 END
        WHEN 'PUBLICATION' THEN 66 WHEN 'EVENT TRIGGER' THEN 85 ELSE 47 END;
    gone CONSTANT integer := CASE kind WHEN 'EVENT TRIGGER' THEN 8 WHEN 'PUBLICATION' THEN 9 WHEN 'FUNCTION' THEN 28 WHEN 'PROCEDURE' THEN 28 WHEN 'AGGREGATE' THEN 27
        WHEN 'TYPE' THEN 30 WHEN 'DOMAIN' THEN 30 WHEN 'SCHEMA' THEN 32 WHEN 'EXTENSION' THEN 32 WHEN 'LANGUAGE' THEN 31 WHEN 'SERVER' THEN 31
        WHEN 'FOREIGN DATA WRAPPER' THEN 31 WHEN 'ACCESS METHOD' THEN 31 WHEN 'COLLATION' THEN 31 ELSE 27 END;
    anew boolean := a IS NOT NULL AND b IS NOT NULL AND upg.down_anew(a || jsonb_build_object('id', b -> 'id', 'name', b -> 'name'), b);
    again CONSTANT text := '^(CREATE OR REPLACE \w+ )[^(]*\(';
    was jsonb := a;
    label text;
    previous text;
BEGIN
    object := image;
    IF kind IN ('SETTINGS', 'DEFAULT PRIVILEGES') THEN
        -- the database may have another name where this is run
        RETURN QUERY SELECT CASE WHEN b IS NULL THEN 9 ELSE 83 END, image, CASE WHEN kind = 'SETTINGS' THEN format('DO $do$BEGIN EXECUTE format(%L, current_database()); END$do$',
            replace(replace(s.statements[1], '%', '%%'), ' DATABASE ' || quote_ident(current_database()) || ' ', ' DATABASE %I ')) ELSE s.statements[1] END, NULL::text
        FROM upg.down_settings(a, b) s;
        RETURN;
    END IF;
    IF a IS NOT NULL AND b IS NOT NULL THEN
        -- under the name that it has by then
        was := a || jsonb_build_object('id', b -> 'id', 'name', b -> 'name');
        IF kind IN ('FUNCTION', 'PROCEDURE') AND regexp_replace(a #>> '{create,0}', again, '\1(') = regexp_replace(b #>> '{create,0}', again, '\1(') THEN
            was := was || jsonb_build_object('create', b -> 'create');
        END IF;
        IF b ->> 'typtype' = 'e' THEN
            IF EXISTS (SELECT FROM jsonb_array_elements(a -> 'enum') e WHERE NOT EXISTS (SELECT FROM jsonb_array_elements(b -> 'enum') f WHERE f -> 0 = e -> 0))
               OR (SELECT jsonb_agg(e -> 0 ORDER BY n) FROM jsonb_array_elements(a -> 'enum') WITH ORDINALITY u (e, n))
                  <> (SELECT jsonb_agg(f -> 0 ORDER BY n) FROM jsonb_array_elements(b -> 'enum') WITH ORDINALITY u (f, n)
                      WHERE EXISTS (SELECT FROM jsonb_array_elements(a -> 'enum') e WHERE f -> 0 = e -> 0)) THEN
                RETURN QUERY SELECT 90, image, NULL::text, format('labels of an enum cannot be taken away or moved: was %s, is to be %s',
                    (SELECT string_agg(quote_literal(e ->> 1), ', ' ORDER BY n) FROM jsonb_array_elements(a -> 'enum') WITH ORDINALITY u (e, n)),
                    (SELECT string_agg(quote_literal(e ->> 1), ', ' ORDER BY n) FROM jsonb_array_elements(b -> 'enum') WITH ORDINALITY u (e, n)));
            END IF;
            FOR label IN SELECT quote_literal(e ->> 1) FROM jsonb_array_elements(b -> 'enum') WITH ORDINALITY u (e, n) ORDER BY n LOOP
                IF NOT EXISTS (SELECT FROM jsonb_array_elements(a -> 'enum') e JOIN jsonb_array_elements(b -> 'enum') f ON f -> 0 = e -> 0 WHERE quote_literal(f ->> 1) = label) THEN
                    RETURN QUERY SELECT 44, image, format('ALTER TYPE %s ADD VALUE %s%s', b ->> 'id', label,
                        coalesce(' AFTER ' || previous, ' BEFORE ' || (SELECT quote_literal(f ->> 1) FROM jsonb_array_elements(b -> 'enum') WITH ORDINALITY u (f, n)
                            WHERE EXISTS (SELECT FROM jsonb_array_elements(a -> 'enum') e WHERE e -> 0 = f -> 0) ORDER BY n LIMIT 1), '')), NULL::text;
                END IF;
                previous := label;
            END LOOP;
            anew := false;
        ELSIF b ->> 'typtype' = 'c' THEN
            anew := false;
        END IF;
    END IF;
    IF b IS NULL OR anew THEN
        RETURN QUERY SELECT gone, image, upg.down_drop(CASE WHEN anew THEN was ELSE a END), CASE WHEN anew THEN 'is made anew, which fails while anything needs it' END;
    END IF;
    IF a IS NULL OR anew THEN
        RETURN QUERY SELECT made, image, m.statements[1], NULL::text FROM upg.down_make(b, NULL, true) m;
        was := NULL;
    ELSIF b IS NOT NULL THEN
        RETURN QUERY SELECT CASE WHEN kind IN ('FUNCTION', 'PROCEDURE') THEN made WHEN m.phase < 40 THEN 43 WHEN m.phase = 57 THEN 53 WHEN m.phase >= 66 THEN 82
                                 WHEN kind = 'EXTENSION' THEN 41 WHEN b ->> 'typtype' = 'c' THEN 45 ELSE 52 END, image, m.statements[1], NULL::text FROM upg.down_alter(was, b) m;
    END IF;
    IF b IS NOT NULL THEN
        RETURN QUERY SELECT CASE m.phase WHEN 86 THEN 86 WHEN 66 THEN 80 ELSE 82 END, image, m.statements[1], NULL::text FROM upg.down_decor(was, b, NULL) m;
    END IF;
END
$function$;
COMMENT ON FUNCTION upg.ddl_by_definition(text, jsonb, jsonb) IS 'statements that make the second of two definitions of an object the first';
REVOKE ALL ON FUNCTION upg.ddl_by_definition(text, jsonb, jsonb) FROM PUBLIC;

-- Does a text name an object?  Names are qualified in all of them.
CREATE FUNCTION upg.ddl_mentions(definition text, name text)
    RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT CASE WHEN strpos(definition, name) > 0 THEN definition ~ ('(?<![\w$."])' || upg.ddl_pattern(name) || '(?![\w$"])') ELSE false END
$function$;
COMMENT ON FUNCTION upg.ddl_mentions(text, text) IS 'does a definition name an object?';
REVOKE ALL ON FUNCTION upg.ddl_mentions(text, text) FROM PUBLIC;

-- Where in the order a statement about a relation stands, by the phase that it has in a
-- readable down.
CREATE FUNCTION upg.ddl_phase(def jsonb, part text, phase integer)
    RETURNS integer
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT CASE
    WHEN part = 'let go' THEN CASE WHEN phase < 20 THEN 11 ELSE 22 END
    WHEN phase >= 66 THEN CASE phase WHEN 66 THEN 80 WHEN 67 THEN 81 ELSE 82 END
    WHEN def ->> 'kind' = 'SEQUENCE' THEN CASE phase WHEN 59 THEN 58 ELSE 44 END
    WHEN def ->> 'kind' IN ('VIEW', 'MATERIALIZED VIEW') THEN CASE WHEN phase = 65 THEN 63 WHEN part IN ('made', 'altered') THEN 60 ELSE 61 END
    WHEN def ->> 'kind' IN ('INDEX', 'STATISTICS') AND def ->> 'of' LIKE 'materialized view %' THEN 64
    WHEN def ->> 'kind' = 'INDEX' THEN CASE phase WHEN 60 THEN 55 WHEN 61 THEN 57 ELSE 59 END
    WHEN def ->> 'kind' = 'CONSTRAINT' THEN CASE WHEN phase = 61 THEN 57 WHEN part = 'altered' THEN 59 WHEN phase = 64 THEN 58 ELSE 56 END
    WHEN def ->> 'kind' = 'STATISTICS' THEN 56
    WHEN def ->> 'kind' IN ('TRIGGER', 'RULE', 'POLICY') THEN CASE WHEN def ? 'inherited' THEN 66 ELSE 65 END
    WHEN part = 'made' THEN CASE def ->> 'kind' WHEN 'TABLE' THEN 48 ELSE 49 END
    WHEN part = 'added' THEN 50
    ELSE CASE phase WHEN 39 THEN 51 WHEN 48 THEN 54 WHEN 49 THEN 54 WHEN 57 THEN 53 WHEN 58 THEN 53 WHEN 63 THEN 57 ELSE 52 END END
$function$;
COMMENT ON FUNCTION upg.ddl_phase(jsonb, text, integer) IS 'place of a statement about a relation among others';
REVOKE ALL ON FUNCTION upg.ddl_phase(jsonb, text, integer) FROM PUBLIC;

-- How deep views lie on each other, by their texts: what was recorded has no dependencies.
CREATE FUNCTION upg.ddl_depths(image jsonb)
    RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
DECLARE
    edges jsonb;
    depths jsonb := '{}';
    more jsonb;
BEGIN
    WITH views AS MATERIALIZED (
        SELECT e.key, upg.ddl_name(e.key) AS name, e.value ->> 'definition' AS definition FROM jsonb_each(image) e WHERE e.key ~ '^(materialized )?view '
    )
    SELECT jsonb_agg(jsonb_build_array(a.key, b.key)) INTO edges FROM views a JOIN views b ON a.key <> b.key AND upg.ddl_mentions(a.definition, b.name);
    FOR i IN 1 .. 64 LOOP
        SELECT coalesce(jsonb_object_agg(d.key, d.depth), '{}') INTO more
        FROM (SELECT e ->> 0 AS key, 1 + max(coalesce((depths ->> (e ->> 1))::integer, 0)) AS depth FROM jsonb_array_elements(edges) e GROUP BY 1) d;
        EXIT WHEN more = depths;
        depths := more;
    END LOOP;
    RETURN depths;
END
$function$;
COMMENT ON FUNCTION upg.ddl_depths(jsonb) IS 'how deep views lie on each other';
REVOKE ALL ON FUNCTION upg.ddl_depths(jsonb) FROM PUBLIC;

-- The object whose statements make what differs in another: a table for its columns, a
-- constraint for its index.
CREATE FUNCTION upg.ddl_subjects(object text, before jsonb, after jsonb)
    RETURNS SETOF text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
DECLARE
    was CONSTANT jsonb := before -> object;
    is_now CONSTANT jsonb := after -> object;
    any_one CONSTANT jsonb := coalesce(is_now, was);
    kind CONSTANT text := upg.ddl_kind(object);
    of CONSTANT text := any_one ->> 'of';
BEGIN
    IF kind = 'column' OR kind = 'constraint' AND any_one ->> 'definition' LIKE 'NOT NULL%' THEN
        RETURN NEXT of;
    ELSIF kind = 'sequence' AND (before #> ARRAY[of, 'identity'] IS NOT NULL OR after #> ARRAY[of, 'identity'] IS NOT NULL) THEN
        RETURN NEXT coalesce(after, before) #>> ARRAY[of, 'of'];
        RETURN NEXT before #>> ARRAY[of, 'of'];
    ELSIF kind = 'index' THEN
        RETURN NEXT CASE WHEN of LIKE 'constraint %' THEN of ELSE object END;
        IF (was -> 'clustered', was -> 'replica identity') IS DISTINCT FROM (is_now -> 'clustered', is_now -> 'replica identity') THEN
            RETURN NEXT regexp_replace(of, '^constraint ("(?:[^"]|"")+"|\S+) on ', '');
        END IF;
    ELSE
        RETURN NEXT object;
    END IF;
END
$function$;
COMMENT ON FUNCTION upg.ddl_subjects(text, jsonb, jsonb) IS 'the object that statements about a differing one are about';
REVOKE ALL ON FUNCTION upg.ddl_subjects(text, jsonb, jsonb) FROM PUBLIC;

-- Does an object come and go with another: a constraint of a parent, the trigger of a
-- partitioned table?  NOT NULL is said by a domain itself.
CREATE FUNCTION upg.ddl_inherited(object text, image jsonb)
    RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT CASE WHEN object LIKE 'trigger %' THEN a ? 'inherited'
            WHEN object LIKE 'constraint %' THEN a ->> 'definition' LIKE 'NOT NULL%' OR a ->> 'inherited' = 'only' AND a ->> 'definition' !~ '^(PRIMARY KEY|UNIQUE|EXCLUDE)'
            ELSE false END
FROM (SELECT image -> object) x (a)
$function$;
COMMENT ON FUNCTION upg.ddl_inherited(text, jsonb) IS 'does an object come and go with that of a parent?';
REVOKE ALL ON FUNCTION upg.ddl_inherited(text, jsonb) FROM PUBLIC;

-- ATTACH and DETACH PARTITION bring the indexes along: "def" of one as it is after that.
CREATE FUNCTION upg.ddl_attached(def jsonb, object text, before jsonb, after jsonb)
    RETURNS jsonb
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT CASE WHEN def ->> 'kind' IN ('INDEX', 'CONSTRAINT') AND before #> ARRAY[o.of, 'partition bound'] IS DISTINCT FROM after #> ARRAY[o.of, 'partition bound']
            THEN def - 'parent index' || CASE WHEN o.parent IS NULL THEN '{}' ELSE jsonb_build_object('parent index', o.parent) END ELSE def END
FROM (SELECT after #>> ARRAY[object, 'of'] AS of,
             coalesce(after #> ARRAY[object, 'partition of'],
                      (SELECT e.value -> 'partition of' FROM jsonb_each(after) e WHERE object LIKE 'constraint %' AND e.value ->> 'of' = object AND e.key LIKE 'index %' LIMIT 1)) AS parent) o
$function$;
COMMENT ON FUNCTION upg.ddl_attached(jsonb, text, jsonb, jsonb) IS 'an index or its constraint after its table was attached or detached';
REVOKE ALL ON FUNCTION upg.ddl_attached(jsonb, text, jsonb, jsonb) FROM PUBLIC;

-- What happens to each relation and to what belongs to one: drop, create, alter or, if
-- ALTER will not do, anew.  "depends": views, rules, policies and triggers with the
-- relations and columns that they need.
CREATE FUNCTION upg.ddl_actions(before jsonb, after jsonb, old jsonb, new jsonb, depends jsonb)
    RETURNS jsonb
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
DECLARE
    acts jsonb;
    more jsonb;
    retyped jsonb;
BEGIN
    SELECT coalesce(jsonb_object_agg(s.name, CASE WHEN NOT after ? s.name THEN 'drop' WHEN NOT before ? s.name THEN 'create' ELSE 'alter' END), '{}') INTO acts
    FROM (SELECT DISTINCT x.name FROM (SELECT jsonb_object_keys(before) UNION SELECT jsonb_object_keys(after)) k (object), LATERAL upg.ddl_subjects(k.object, before, after) x (name)
          WHERE before -> k.object IS DISTINCT FROM after -> k.object) s
    WHERE upg.ddl_kind(s.name) IN ('table', 'foreign table', 'view', 'materialized view', 'sequence', 'index', 'constraint', 'trigger', 'rule', 'policy', 'statistics')
      AND (before ? s.name OR after ? s.name);
    SELECT acts || coalesce(jsonb_object_agg(e.key, 'anew'), '{}') INTO acts FROM jsonb_each_text(acts) e
    WHERE e.value = 'alter' AND upg.ddl_kind(e.key) NOT IN ('table', 'foreign table', 'sequence')
      AND upg.down_anew(upg.ddl_attached(upg.ddl_definition(e.key, before, old), e.key, before, after), upg.ddl_definition(e.key, after, new));
    SELECT coalesce(jsonb_object_agg(k, 1), '{}') INTO retyped FROM jsonb_object_keys(after) k
    WHERE k LIKE 'column %' AND before ? k AND (before #> ARRAY[k, 'type'], before #> ARRAY[k, 'collation']) IS DISTINCT FROM (after #> ARRAY[k, 'type'], after #> ARRAY[k, 'collation']);
    LOOP
        SELECT jsonb_object_agg(d.object, 'anew') INTO more FROM (
            -- what needs a view that is made anew or a column that gets another type
            SELECT e ->> 0 FROM jsonb_array_elements(depends) e
            WHERE acts ->> (e ->> 1) = 'anew' OR acts ->> (e ->> 1) = 'alter' AND e ->> 1 ~ '^(foreign )?table ' AND retyped ? ('column ' || upg.ddl_name(e ->> 1) || '.' || (e ->> 2))
            UNION
            -- what goes with it
            SELECT p FROM jsonb_each_text(acts) e, jsonb_object_keys(new -> e.key) p
            WHERE e.value = 'anew' AND e.key ~ '^(materialized )?view ' AND p ~ '^(index|trigger|rule|policy|statistics) ') d (object)
        WHERE before ? d.object AND after ? d.object AND acts ->> d.object IS DISTINCT FROM 'anew' AND NOT upg.ddl_inherited(d.object, after);
        EXIT WHEN more IS NULL;
        acts := acts || more;
    END LOOP;
    -- what a table says of an index is said again
    SELECT jsonb_object_agg(t.name, 'alter') INTO more
    FROM jsonb_each_text(acts) e, LATERAL (SELECT i.key, i.value FROM jsonb_each(jsonb_build_object(e.key, before -> e.key) || coalesce(old -> e.key, '{}')) i WHERE i.key LIKE 'index %') i,
         LATERAL (SELECT before #>> ARRAY[CASE WHEN e.key LIKE 'constraint %' THEN e.key ELSE i.key END, 'of']) t (name)
    WHERE e.value = 'anew' AND e.key ~ '^(index|constraint) ' AND i.value ?| '{clustered,replica identity}' AND before ? t.name AND after ? t.name AND NOT acts ? t.name;
    RETURN acts || coalesce(more, '{}');
END
$function$;
COMMENT ON FUNCTION upg.ddl_actions(jsonb, jsonb, jsonb, jsonb, jsonb) IS 'which relations and parts of them are dropped, made, altered or made anew';
REVOKE ALL ON FUNCTION upg.ddl_actions(jsonb, jsonb, jsonb, jsonb, jsonb) FROM PUBLIC;

-- Is an index made by the script, itself or with its constraint?
CREATE FUNCTION upg.ddl_is_made(object text, before jsonb, after jsonb, acts jsonb)
    RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT coalesce(acts ->> object, acts ->> (after #>> ARRAY[object, 'of']), '') IN ('create', 'anew') AND NOT (before ? object AND acts ->> object = 'create')
$function$;
COMMENT ON FUNCTION upg.ddl_is_made(text, jsonb, jsonb, jsonb) IS 'is an index made by the script?';
REVOKE ALL ON FUNCTION upg.ddl_is_made(text, jsonb, jsonb, jsonb) FROM PUBLIC;

-- What is left to a person, of a table that is there before and after.
CREATE FUNCTION upg.ddl_left_over(k text, x jsonb, y jsonb, before jsonb, after jsonb)
    RETURNS TABLE (object text, note text)
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT k, format('%s of %s was %s, is to be %s', a.name, k, coalesce(x ->> a.name, 'not set'), coalesce(y ->> a.name, 'not set'))
FROM (VALUES ('partition key'), ('server')) a (name) WHERE x IS NOT NULL AND y ? 'columns' AND x -> a.name IS DISTINCT FROM y -> a.name
UNION ALL
SELECT c.name, n.note
FROM jsonb_array_elements(x -> 'columns') o JOIN jsonb_array_elements(y -> 'columns') p ON o -> 'n' = p -> 'n',
     LATERAL (SELECT format('column %s.%I', y ->> 'id', p ->> 'name')) c (name),
     LATERAL (SELECT format('%s is to be generated as %s, which only a new column can be', c.name, p ->> 'default')
              WHERE p ? 'generated' AND (o -> 'generated' IS DISTINCT FROM p -> 'generated' OR o -> 'default' <> p -> 'default' AND NOT upg.down_can_set_expression())
              UNION ALL SELECT format('%s is to be generated no more, which only a new column can be', c.name) WHERE o ->> 'generated' = 'v' AND NOT p ? 'generated'
              UNION ALL SELECT format('inherited of %s was %s, is to be %s', c.name, coalesce(before #>> ARRAY[c.name, 'inherited'], 'not set'), coalesce(after #>> ARRAY[c.name, 'inherited'], 'not set'))
              WHERE (o -> 'inherited', o -> 'local') IS DISTINCT FROM (p -> 'inherited', p -> 'local') AND (x -> 'parents' IS NOT DISTINCT FROM y -> 'parents' OR NOT (p ->> 'local')::boolean AND NOT y ? 'bound' AND (o ->> 'local')::boolean)) n (note)
$function$;
COMMENT ON FUNCTION upg.ddl_left_over(text, jsonb, jsonb, jsonb, jsonb) IS 'what no statement can change in a table';
REVOKE ALL ON FUNCTION upg.ddl_left_over(text, jsonb, jsonb, jsonb, jsonb) FROM PUBLIC;

-- Relations and what belongs to them.
CREATE FUNCTION upg.ddl_relations(before jsonb, after jsonb, depends jsonb)
    RETURNS TABLE (phase integer, object text, statement text, note text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
DECLARE
    old CONSTANT jsonb := upg.ddl_parts(before);
    new CONSTANT jsonb := upg.ddl_parts(after);
    acts CONSTANT jsonb := upg.ddl_actions(before, after, old, new, depends);
    k text;
    act text;
    of text;
    x jsonb;
    y jsonb;
BEGIN
    FOR k, act IN SELECT e.key, e.value FROM jsonb_each_text(acts) e LOOP
        x := upg.ddl_definition(k, before, old);
        y := upg.ddl_definition(k, after, new);
        IF act IN ('drop', 'anew') THEN
            of := before #>> ARRAY[k, 'of'];
            IF upg.ddl_inherited(k, before) OR x ? 'parent index' AND before #> ARRAY[of, 'partition bound'] IS NOT DISTINCT FROM after #> ARRAY[of, 'partition bound']
               OR (before ? of AND NOT after ? of OR acts ->> of = 'anew') AND coalesce(x ->> 'contype', '') <> 'f' THEN
                NULL; -- goes with what it belongs to
            ELSE
                IF x ? 'bound' AND acts ->> ('table ' || (x -> 'parent names' ->> 0)) IS DISTINCT FROM 'drop'
                   AND EXISTS (SELECT FROM pg_constraint f WHERE f.contype = 'f' AND f.confrelid = to_regclass(x -> 'parent names' ->> 0)) THEN
                    -- what a foreign key points to can only be dropped when it is a partition no more
                    RETURN QUERY SELECT 11, k, format('ALTER TABLE %s DETACH PARTITION %s', x -> 'parent names' ->> 0, x ->> 'id'), NULL::text;
                END IF;
                RETURN QUERY SELECT CASE WHEN x ->> 'kind' IN ('TRIGGER', 'RULE', 'POLICY') THEN 10 WHEN x ->> 'kind' IN ('VIEW', 'MATERIALIZED VIEW') THEN 12
                                         WHEN x ->> 'contype' = 'f' THEN 14 WHEN x ->> 'kind' = 'CONSTRAINT' THEN 16 WHEN x ->> 'kind' IN ('INDEX', 'STATISTICS') THEN 18
                                         WHEN x ->> 'kind' = 'SEQUENCE' THEN 26 ELSE 24 END, k, upg.down_drop(x),
                                    CASE WHEN act = 'anew' THEN NULL WHEN x ->> 'kind' = 'TABLE' THEN 'the rows of the table are lost' WHEN x ->> 'kind' = 'SEQUENCE' THEN 'the value of the sequence is lost' END;
            END IF;
            x := NULL;
        END IF;
        CONTINUE WHEN act = 'drop';
        of := after #>> ARRAY[k, 'of'];
        IF x IS NULL AND y ->> 'kind' = 'TRIGGER' AND y ? 'inherited' THEN
            -- made with that of the parent, in the same state
            x := y || jsonb_build_object('enabled', coalesce(after #>> ARRAY[regexp_replace(k, ' on .*$', ' on table ' || coalesce(upg.ddl_list(after #>> ARRAY[of, 'inherits']) ->> 0, '')), 'enabled'], 'O'));
        ELSIF x IS NULL AND y ? 'parent index' AND NOT upg.ddl_is_made('index ' || (y ->> 'parent index'), before, after, acts) THEN
            -- a new partition gets the indexes of its table
            x := y - '{comment,index comment}'::text[];
        ELSIF x IS NULL AND upg.ddl_inherited(k, after) THEN
            CONTINUE; -- comes with the parent's
        END IF;
        x := upg.ddl_attached(x, k, before, after);
        IF x ?| '{clustered,replica index}' THEN
            x := upg.down_without_indexes(x, (SELECT array_agg(upg.ddl_name(i.name)) FROM (
                SELECT p.key, p.key FROM jsonb_each(old -> k) p
                UNION ALL SELECT q.key, p.key FROM jsonb_each(old -> k) p, jsonb_each(old -> p.key) q) i (name, subject)
                WHERE i.name LIKE 'index %' AND acts ->> i.subject IN ('drop', 'anew')));
        END IF;
        RETURN QUERY
        SELECT upg.ddl_phase(y || jsonb_build_object('of', of), o.part, o.phase), o.image, o.statements[1],
               CASE WHEN o.part = 'let go' AND o.phase > 20 THEN 'the values of the column are lost'
                    WHEN o.part = 'added' AND y ->> 'kind' = 'TABLE' AND after -> o.image ? 'not null' AND NOT after -> o.image ?| '{default,identity,generated,virtual}' THEN 'fails if the table has rows'
                    WHEN o.part = 'column' AND o.phase = 40 AND o.statements[1] ~ ' TYPE ' AND y ->> 'kind' = 'TABLE' THEN 'rewrites the table; values are cast'
                    WHEN o.part = 'relation' AND y ->> 'kind' = 'TABLE' AND o.statements[1] ~ ' SET (LOGGED|UNLOGGED|ACCESS METHOD )' THEN 'rewrites the table'
                    WHEN o.part = 'made' AND y ->> 'kind' = 'INDEX' AND NOT (y ->> 'valid')::boolean AND y ->> 'definition' NOT LIKE '% ON ONLY %' THEN 'the index that is to be is invalid; this makes a valid one' END
        FROM upg.down_object(k, x, y, NULL, true, '{}', '[]', NULL) o;
        IF act = 'anew' THEN
            RETURN QUERY SELECT 82, e.key, upg.ddl_label(e.key, e.value ->> 'label'), NULL::text FROM jsonb_each(new -> k) e
                WHERE e.key LIKE 'security label of %' AND before -> e.key = e.value;
        END IF;
        RETURN QUERY SELECT 90, n.object, NULL::text, n.note FROM upg.ddl_left_over(k, x, y, before, after) n;
    END LOOP;
END
$function$;
COMMENT ON FUNCTION upg.ddl_relations(jsonb, jsonb, jsonb) IS 'statements that make the relations of the second of two images of those of the first';
REVOKE ALL ON FUNCTION upg.ddl_relations(jsonb, jsonb, jsonb) FROM PUBLIC;

-- A routine is made before the tables, because defaults and checks call it, and dropped
-- after them; but not if it takes or returns rows of one that is made or dropped as well.
CREATE FUNCTION upg.ddl_routine_phase(phase integer, object text, image jsonb, other jsonb)
    RETURNS integer
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT CASE WHEN EXISTS (SELECT FROM jsonb_each(image) e
                         WHERE e.key !~ '^((materialized )?view|trigger|rule|policy|function|procedure|event trigger|publication) ' AND e.value IS DISTINCT FROM other -> e.key
                           AND upg.ddl_mentions(e.value::text, regexp_replace(upg.ddl_name(object), '\(.*$', '')))
            THEN CASE WHEN phase < 40 THEN phase ELSE 46 END
            WHEN r.views THEN CASE WHEN phase < 40 THEN 11 ELSE 62 END WHEN r.tables THEN CASE WHEN phase < 40 THEN 13 ELSE 59 END ELSE phase END
FROM (SELECT bool_or(k ~ 'view ') AS views, count(*) > 0 AS tables FROM jsonb_object_keys(image) k
      WHERE k ~ '^((foreign )?table|(materialized )?view) ' AND image -> k IS DISTINCT FROM other -> k
        AND upg.ddl_mentions(image #>> ARRAY[object, 'ddl', 'create', '0'], upg.ddl_name(k))) r
$function$;
COMMENT ON FUNCTION upg.ddl_routine_phase(integer, text, jsonb, jsonb) IS 'place of the statement that makes or drops a routine';
REVOKE ALL ON FUNCTION upg.ddl_routine_phase(integer, text, jsonb, jsonb) FROM PUBLIC;

CREATE FUNCTION upg.ddl_statements(before jsonb, after jsonb, depends jsonb)
    RETURNS TABLE (phase integer, object text, statement text, note text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
DECLARE
    d record;
BEGIN
    FOR d IN
        SELECT k AS object, before -> k AS was, after -> k AS is_now
        FROM (SELECT jsonb_object_keys(before) UNION SELECT jsonb_object_keys(after)) u (k)
        WHERE before -> k IS DISTINCT FROM after -> k
        ORDER BY k
    LOOP
        IF d.was ? 'ddl' OR d.is_now ? 'ddl' THEN
            -- a schema is called as its key says
            RETURN QUERY SELECT CASE WHEN d.object !~ '^(function|procedure) ' THEN x.phase WHEN x.phase IN (46, 62) THEN upg.ddl_routine_phase(x.phase, d.object, after, before)
                                     WHEN x.phase = 28 THEN upg.ddl_routine_phase(28, d.object, before, after) ELSE x.phase END, x.object, x.statement, x.note FROM (SELECT CASE WHEN upg.ddl_kind(d.object) = 'schema' THEN jsonb_build_object('id', upg.ddl_name(d.object)) ELSE '{}' END) name (also),
                LATERAL upg.ddl_by_definition(d.object, (d.was -> 'ddl') || name.also, (d.is_now -> 'ddl') || name.also) x;
        ELSIF d.object LIKE 'comment on large object %' THEN
            RETURN QUERY SELECT 82, d.object, format('COMMENT ON LARGE OBJECT %s IS %s', substr(d.object, 25), coalesce(quote_literal(d.is_now ->> 'comment'), 'NULL')), NULL::text;
        ELSIF d.object LIKE 'security label of %' THEN
            -- it goes with what it is on
            CONTINUE WHEN d.is_now IS NULL AND before ? (d.was ->> 'of') AND NOT after ? (d.was ->> 'of');
            RETURN QUERY SELECT 82, d.object, upg.ddl_label(d.object, d.is_now ->> 'label'), NULL::text;
        ELSIF d.object LIKE 'privileges on %' THEN
            RETURN QUERY SELECT 81, d.object, g, NULL::text FROM upg.ddl_server_privileges(substr(d.object, 15), d.was ->> 'privileges', d.is_now ->> 'privileges') g;
        ELSIF d.object LIKE 'user mapping of %' THEN
            RETURN QUERY SELECT CASE WHEN d.is_now IS NULL THEN 30 ELSE 48 END, d.object,
                                format('%s USER MAPPING FOR %s SERVER %s', CASE WHEN d.is_now IS NULL THEN 'DROP' ELSE 'CREATE' END, m[1], m[2]),
                                CASE WHEN d.was IS NULL THEN 'its options are to be added: they may hold a password and are not recorded' END
            FROM regexp_match(d.object, '^user mapping of (.*) for server (.*)$') m;
        ELSIF upg.ddl_kind(d.object) IS NULL THEN
            RETURN QUERY SELECT 90, d.object, NULL::text, CASE WHEN d.is_now IS NULL THEN d.object || ' is to go' ELSE d.object || ' is to be made: ' || d.is_now::text END;
        END IF;
    END LOOP;
    RETURN QUERY SELECT r.* FROM upg.ddl_relations(before, after, depends) r;
    -- a body in SQL is looked at when it is made, before what it names may be there
    RETURN QUERY SELECT 1, k, 'SET LOCAL check_function_bodies = off', NULL::text FROM jsonb_object_keys(after) k
        WHERE k ~ '^(function|procedure) ' AND after -> k IS DISTINCT FROM before -> k AND after #>> ARRAY[k, 'language'] = 'sql' AND EXISTS (
            SELECT FROM jsonb_object_keys(after) r WHERE r ~ '^((foreign )?table|(materialized )?view) ' AND after -> r IS DISTINCT FROM before -> r
               AND strpos(after #>> ARRAY[k, 'body'], (parse_ident(upg.ddl_name(r)))[2]) > 0)
        ORDER BY k LIMIT 1;
END
$function$;
COMMENT ON FUNCTION upg.ddl_statements(jsonb, jsonb, jsonb) IS 'statements that make the second of two images of the first, by phase; a note alone is work for a person';
REVOKE ALL ON FUNCTION upg.ddl_statements(jsonb, jsonb, jsonb) FROM PUBLIC;
