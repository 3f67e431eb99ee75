-- Readable downs, part 5: the plan as a whole.
CREATE FUNCTION upg.down_alter(a jsonb, b jsonb)
    RETURNS TABLE (phase integer, statements text[])
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
DECLARE
    kind CONSTANT text := b ->> 'kind';
    id CONSTANT text := b ->> 'id';
    x jsonb;
    head text;
    owner CONSTANT text := CASE WHEN b ->> 'on' LIKE 'DOMAIN %' THEN b ->> 'on' ELSE 'TABLE ' || (b ->> 'on') END;
BEGIN
    CASE
    WHEN kind IN ('VIEW', 'MATERIALIZED VIEW') THEN
        IF kind = 'VIEW' AND a ->> 'definition' <> b ->> 'definition' THEN
            RETURN QUERY SELECT m.phase, ARRAY[regexp_replace(m.statements[1], '^CREATE VIEW', 'CREATE OR REPLACE VIEW')] FROM upg.down_make(b, NULL, false) m;
        END IF;
        IF kind <> 'VIEW' AND (a ->> 'populated')::boolean IS DISTINCT FROM (b ->> 'populated')::boolean THEN
            RETURN QUERY SELECT 65, ARRAY[format('REFRESH MATERIALIZED VIEW %s%s', id, CASE WHEN (b ->> 'populated')::boolean THEN '' ELSE ' WITH NO DATA' END)];
        END IF;
    WHEN kind IN ('FUNCTION', 'PROCEDURE') THEN
        IF a #>> '{create,0}' <> b #>> '{create,0}' THEN
            RETURN QUERY SELECT 40, ARRAY[b #>> '{create,0}'];
        END IF;
    WHEN kind = 'TRIGGER' AND a ->> 'enabled' <> b ->> 'enabled' OR kind = 'RULE' AND a ->> 'enabled' <> b ->> 'enabled' THEN
        RETURN QUERY SELECT 64, ARRAY[format('ALTER TABLE %s %s %s %I', b ->> 'on',
            CASE b ->> 'enabled' WHEN 'O' THEN 'ENABLE' WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, kind, b ->> 'name')];
    WHEN kind = 'STATISTICS' AND a -> 'target' IS DISTINCT FROM b -> 'target' THEN
        RETURN QUERY SELECT 64, ARRAY[format('ALTER STATISTICS %s SET STATISTICS %s', id, coalesce(b ->> 'target', '-1'))];
    WHEN kind IN ('INDEX', 'CONSTRAINT') THEN
        IF a ->> 'definition' LIKE '% NOT VALID' AND b ->> 'definition' NOT LIKE '% NOT VALID' THEN
            RETURN QUERY SELECT 64, ARRAY[format('ALTER %s VALIDATE CONSTRAINT %I', owner, b ->> 'name')];
        END IF;
        IF b ->> 'contype' = 'f' AND (a ->> 'definition' ~ ' DEFERRABLE', a ->> 'definition' ~ ' INITIALLY DEFERRED')
                                      <> (b ->> 'definition' ~ ' DEFERRABLE', b ->> 'definition' ~ ' INITIALLY DEFERRED') THEN
            RETURN QUERY SELECT 64, ARRAY[format('ALTER %s ALTER CONSTRAINT %I%s', owner, b ->> 'name', coalesce(nullif(concat(
                substring(b ->> 'definition' FROM ' DEFERRABLE'), substring(b ->> 'definition' FROM ' INITIALLY DEFERRED')), ''), ' NOT DEFERRABLE'))];
        END IF;
        RETURN QUERY SELECT 64, ARRAY[s] FROM upg.down_index_changes(a, b) s WHERE b ? 'index';
        IF b ? 'parent index' AND NOT a ? 'parent index' THEN
            RETURN QUERY SELECT 61, ARRAY[format('ALTER INDEX %s ATTACH PARTITION %s', b ->> 'parent index', b ->> 'index')];
        END IF;
    WHEN b ->> 'typtype' = 'e' THEN
        -- labels change places by way of a third one
        RETURN QUERY SELECT s.phase, ARRAY[s.text] FROM (
            SELECT p ->> 1 AS was, q ->> 1 AS wanted, EXISTS (SELECT FROM jsonb_array_elements(a -> 'enum') o WHERE o -> 1 = q -> 1) AS taken
            FROM jsonb_array_elements(a -> 'enum') p JOIN jsonb_array_elements(b -> 'enum') q ON p -> 0 = q -> 0 WHERE p -> 1 <> q -> 1) l,
        LATERAL (SELECT 29, format('ALTER TYPE %s RENAME VALUE %L TO %L', a ->> 'id', l.was, CASE WHEN l.taken THEN 'upg_down ' || left(l.was, 40) ELSE l.wanted END)
                 UNION ALL SELECT 30, format('ALTER TYPE %s RENAME VALUE %L TO %L', a ->> 'id', 'upg_down ' || left(l.was, 40), l.wanted) WHERE l.taken) s (phase, text);
    WHEN b ->> 'typtype' = 'c' THEN
        head := format('ALTER TYPE %s ', id);
        RETURN QUERY SELECT 29, ARRAY[format('ALTER TYPE %s DROP ATTRIBUTE %I CASCADE', a ->> 'id', p ->> 'name')] FROM jsonb_array_elements(a -> 'attributes') p
            WHERE NOT EXISTS (SELECT FROM jsonb_array_elements(b -> 'attributes') q WHERE q -> 'n' = p -> 'n');
        RETURN QUERY SELECT 30, ARRAY[format('ALTER TYPE %s RENAME ATTRIBUTE %I TO %I CASCADE', a ->> 'id', p ->> 'name', q ->> 'name')]
            FROM jsonb_array_elements(a -> 'attributes') p JOIN jsonb_array_elements(b -> 'attributes') q ON p -> 'n' = q -> 'n' WHERE p -> 'name' <> q -> 'name';
        RETURN QUERY SELECT 40, ARRAY[concat_ws(' ', head || 'ADD ATTRIBUTE', quote_ident(q ->> 'name'), q ->> 'type', 'COLLATE ' || (q ->> 'collation'), 'CASCADE')]
            FROM jsonb_array_elements(b -> 'attributes') q WHERE NOT EXISTS (SELECT FROM jsonb_array_elements(a -> 'attributes') p WHERE q -> 'n' = p -> 'n');
        RETURN QUERY SELECT 40, ARRAY[concat_ws(' ', head || 'ALTER ATTRIBUTE', quote_ident(q ->> 'name'), 'TYPE', q ->> 'type', 'COLLATE ' || (q ->> 'collation'), 'CASCADE')]
            FROM jsonb_array_elements(b -> 'attributes') q JOIN jsonb_array_elements(a -> 'attributes') p ON q -> 'n' = p -> 'n'
            WHERE (p ->> 'type', p ->> 'collation') IS DISTINCT FROM (q ->> 'type', q ->> 'collation');
        FOR x IN SELECT jsonb_build_array(p, q) FROM jsonb_array_elements(b -> 'attributes') q LEFT JOIN jsonb_array_elements(a -> 'attributes') p ON q -> 'n' = p -> 'n'
                 WHERE p ->> 'comment' IS DISTINCT FROM q ->> 'comment' LOOP
            RETURN QUERY SELECT 68, ARRAY[format('COMMENT ON COLUMN %s.%I IS %s', id, x -> 1 ->> 'name', coalesce(quote_literal(x -> 1 ->> 'comment'), 'NULL'))];
        END LOOP;
    WHEN kind = 'DOMAIN' THEN
        IF a -> 'default' IS DISTINCT FROM b -> 'default' THEN
            RETURN QUERY SELECT 40, ARRAY[format('ALTER DOMAIN %s %s', id, coalesce('SET DEFAULT ' || (b ->> 'default'), 'DROP DEFAULT'))];
        END IF;
        IF a -> 'notnull' <> b -> 'notnull' THEN
            RETURN QUERY SELECT CASE WHEN (b ->> 'notnull')::boolean THEN 57 ELSE 40 END,
                ARRAY[format('ALTER DOMAIN %s %s NOT NULL', id, CASE WHEN (b ->> 'notnull')::boolean THEN 'SET' ELSE 'DROP' END)];
        END IF;
    WHEN kind = 'EXTENSION' AND a #>> '{create,0}' <> b #>> '{create,0}' THEN
        RETURN QUERY SELECT 40, ARRAY[format('ALTER EXTENSION %s SET SCHEMA %s', id, substring(b #>> '{create,0}' FROM ' SCHEMA (.*) VERSION '))]
        WHERE substring(a #>> '{create,0}' FROM ' SCHEMA (.*) VERSION ') <> substring(b #>> '{create,0}' FROM ' SCHEMA (.*) VERSION ');
        RETURN QUERY SELECT 40, ARRAY[format('ALTER EXTENSION %s UPDATE TO %s', id, substring(b #>> '{create,0}' FROM ' VERSION (.*)$'))]
        WHERE substring(a #>> '{create,0}' FROM ' VERSION (.*)$') <> substring(b #>> '{create,0}' FROM ' VERSION (.*)$');
    WHEN kind = 'ROLE' AND a #>> '{create,1}' IS DISTINCT FROM b #>> '{create,1}' THEN
        RETURN QUERY SELECT 40, ARRAY[b #>> '{create,1}'];
    ELSE
        NULL;
    END CASE;
END
$function$;
COMMENT ON FUNCTION upg.down_alter(jsonb, jsonb) IS 'statements that turn an object of a kind other than tables into what it was';
REVOKE ALL ON FUNCTION upg.down_alter(jsonb, jsonb) FROM PUBLIC;

-- Settings and default privileges have no objects of their own: a or b may be null.
CREATE FUNCTION upg.down_settings(a jsonb, b jsonb)
    RETURNS TABLE (phase integer, statements text[])
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
DECLARE
    d CONSTANT jsonb := coalesce(b, a);
    who text;
BEGIN
    IF d ->> 'kind' = 'SETTINGS' THEN
        who := CASE WHEN d ->> 'id' = 'DATABASE' AND d ->> 'name' = 'everywhere' THEN 'ALTER ROLE ALL'
                    WHEN d ->> 'id' = 'DATABASE' THEN 'ALTER DATABASE ' || quote_ident(current_database())
                    ELSE 'ALTER ROLE ' || (d ->> 'id') || CASE WHEN d ->> 'name' = 'here' THEN ' IN DATABASE ' || quote_ident(current_database()) ELSE '' END END;
        RETURN QUERY SELECT 69, ARRAY[CASE WHEN q.value IS NULL THEN format('%s RESET %s', who, p.key)
            ELSE format('%s SET %s TO %s', who, q.key, CASE WHEN q.key IN ('search_path', 'temp_tablespaces', 'session_preload_libraries', 'local_preload_libraries')
                                                            THEN nullif(q.value, '') ELSE quote_literal(q.value) END) END]
        FROM jsonb_each_text(upg.down_set(a -> 'acl', '')) p FULL JOIN jsonb_each_text(upg.down_set(b -> 'acl', '')) q USING (key) WHERE p.value IS DISTINCT FROM q.value;
    ELSE
        RETURN QUERY SELECT 69, ARRAY[format('ALTER DEFAULT PRIVILEGES %s %s', d ->> 'id', replace(g, ' CASCADE', ''))]
        FROM upg.down_grants(d #>> '{acl,on}', coalesce(a #> '{acl,acl}', '[]'), coalesce(b #> '{acl,acl}', nullif(d #> '{acl,natural}', 'null')), '', '{}') g;
    END IF;
END
$function$;
COMMENT ON FUNCTION upg.down_settings(jsonb, jsonb) IS 'statements about settings of roles and of the database, and default privileges';
REVOKE ALL ON FUNCTION upg.down_settings(jsonb, jsonb) FROM PUBLIC;

-- Renames and moves to other schemas.  "taken": the new name is held by something else.
CREATE FUNCTION upg.down_renames(a jsonb, b jsonb, all_a jsonb, all_b jsonb, taken boolean, serial integer)
    RETURNS TABLE (phase integer, statements text[])
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
DECLARE
    kind CONSTANT text := a ->> 'kind';
    temp CONSTANT text := 'upg_down_' || serial;
    head CONSTANT text := CASE WHEN kind = 'CONSTRAINT' THEN 'ALTER ' || CASE WHEN a ->> 'on' LIKE 'DOMAIN %' THEN a ->> 'on' ELSE 'TABLE ' || (a ->> 'on') END || ' RENAME CONSTRAINT '
                               WHEN kind IN ('TRIGGER', 'RULE', 'POLICY') THEN format('ALTER %s %%s ON %s RENAME', kind, a ->> 'on')
                               ELSE format('ALTER %s ', kind) END;
    space text;
    args text := '';
BEGIN
    IF a ->> 'name' <> b ->> 'name' THEN
        IF kind = 'CONSTRAINT' THEN
            RETURN QUERY SELECT 30, ARRAY[head || format('%I TO %I', a ->> 'name', CASE WHEN taken THEN temp ELSE b ->> 'name' END)];
            IF taken THEN
                RETURN QUERY SELECT 34, ARRAY[format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I', b ->> 'on', temp, b ->> 'name')];
            END IF;
        ELSIF kind IN ('TRIGGER', 'RULE', 'POLICY') THEN
            RETURN QUERY SELECT 30, ARRAY[format('ALTER %s %I ON %s RENAME TO %I', kind, a ->> 'name', a ->> 'on', b ->> 'name')];
        ELSE
            args := CASE WHEN kind IN ('FUNCTION', 'PROCEDURE', 'AGGREGATE') THEN substr(a ->> 'id', length(regexp_replace(a ->> 'id', '\((?:[^()"]|"(?:[^"]|"")*"|\([^()]*\))*\)$', '')) + 1) ELSE '' END;
            RETURN QUERY SELECT CASE kind WHEN 'SCHEMA' THEN 32 ELSE 31 END,
                ARRAY[format('ALTER %s %s RENAME TO %I', kind, a ->> 'id', CASE WHEN taken THEN temp ELSE b ->> 'name' END)];
            IF taken THEN
                SELECT coalesce(all_b -> ('2615:' || (a ->> 'ns')), all_a -> ('2615:' || (a ->> 'ns'))) ->> 'id' INTO space;
                RETURN QUERY SELECT 34, ARRAY[format('ALTER %s %s%I%s RENAME TO %I', kind, CASE WHEN (a ->> 'ns')::oid <> 0 THEN space || '.' ELSE '' END, temp, args, b ->> 'name')];
            END IF;
        END IF;
    END IF;
    IF a ->> 'ns' <> b ->> 'ns' AND kind NOT IN ('INDEX') THEN
        SELECT coalesce(all_b -> ('2615:' || (a ->> 'ns')), all_a -> ('2615:' || (a ->> 'ns'))) ->> 'id' INTO space;
        args := CASE WHEN kind IN ('FUNCTION', 'PROCEDURE', 'AGGREGATE') THEN substr(a ->> 'id', length(regexp_replace(a ->> 'id', '\((?:[^()"]|"(?:[^"]|"")*"|\([^()]*\))*\)$', '')) + 1) ELSE '' END;
        -- sequences of columns go with their table
        IF NOT (kind = 'SEQUENCE' AND a ? 'owned by' AND b ? 'owned by') THEN
            RETURN QUERY SELECT 36, ARRAY[format('ALTER %s %s.%I%s SET SCHEMA %s', kind, space, b ->> 'name', args, all_b -> ('2615:' || (b ->> 'ns')) ->> 'id')];
        END IF;
    END IF;
    IF kind IN ('TABLE', 'FOREIGN TABLE', 'VIEW', 'MATERIALIZED VIEW') THEN
        -- names change places by way of a third one
        RETURN QUERY SELECT 29, ARRAY[format('ALTER %s %s RENAME COLUMN %I TO %I', kind, a ->> 'id', p ->> 'name', CASE WHEN x.taken THEN temp || '_' || (p ->> 'n') ELSE q ->> 'name' END)]
        FROM jsonb_array_elements(a -> 'columns') p JOIN jsonb_array_elements(b -> 'columns') q ON p -> 'n' = q -> 'n',
             LATERAL (SELECT EXISTS (SELECT FROM jsonb_array_elements(a -> 'columns') o JOIN jsonb_array_elements(b -> 'columns') r ON o -> 'n' = r -> 'n'
                                     WHERE o -> 'name' = q -> 'name')) x (taken)
        WHERE p -> 'name' <> q -> 'name' AND (p ->> 'inherited')::int = 0;
        RETURN QUERY SELECT 30, ARRAY[format('ALTER %s %s RENAME COLUMN %I TO %I', kind, a ->> 'id', temp || '_' || (p ->> 'n'), q ->> 'name')]
        FROM jsonb_array_elements(a -> 'columns') p JOIN jsonb_array_elements(b -> 'columns') q ON p -> 'n' = q -> 'n'
        WHERE p -> 'name' <> q -> 'name' AND (p ->> 'inherited')::int = 0
          AND EXISTS (SELECT FROM jsonb_array_elements(a -> 'columns') o JOIN jsonb_array_elements(b -> 'columns') r ON o -> 'n' = r -> 'n' WHERE o -> 'name' = q -> 'name');
    END IF;
END
$function$;
COMMENT ON FUNCTION upg.down_renames(jsonb, jsonb, jsonb, jsonb, boolean, integer) IS 'statements that give an object its name, schema and names of columns again';
REVOKE ALL ON FUNCTION upg.down_renames(jsonb, jsonb, jsonb, jsonb, boolean, integer) FROM PUBLIC;

-- A relation that has lost some indexes.
CREATE FUNCTION upg.down_without_indexes(def jsonb, indexes text[])
    RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT CASE WHEN indexes IS NULL THEN def
            ELSE def - CASE WHEN def ->> 'clustered' = ANY (x.names) THEN '{clustered}'::text[] ELSE '{}' END
                     - CASE WHEN def ->> 'replica index' = ANY (x.names) THEN '{replica index}'::text[] ELSE '{}' END END
FROM (SELECT ARRAY(SELECT quote_ident((parse_ident(i))[2]) FROM unnest(indexes) i)) x (names)
$function$;
COMMENT ON FUNCTION upg.down_without_indexes(jsonb, text[]) IS 'a relation without what it says of some indexes';
REVOKE ALL ON FUNCTION upg.down_without_indexes(jsonb, text[]) FROM PUBLIC;

-- Everything about one object that is there in the end, from how it is (x; null: it is
-- made) to how it was (y).  Of a table: "filled" columns, and "cols" what happens to them
-- (upg.down_actions()); "whole": no rows follow; "remade": parents that are made anew.
CREATE FUNCTION upg.down_object(k text, x jsonb, y jsonb, filled jsonb, whole boolean, cols jsonb, remade jsonb, strangers text[])
    RETURNS TABLE (part text, phase integer, seq bigint, image text, statements text[])
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
DECLARE
    kind CONSTANT text := y ->> 'kind';
    table_like CONSTANT boolean := kind IN ('TABLE', 'FOREIGN TABLE');
    self CONSTANT text := y ->> 'image';
    head CONSTANT text := format('ALTER %s %s ', kind, x ->> 'id');
    -- REVOKE on a table takes the privileges on its columns along
    few CONSTANT boolean := strangers IS NULL AND NOT EXISTS (SELECT * FROM upg.down_privileges(x -> 'acl') EXCEPT SELECT * FROM upg.down_privileges(y -> 'acl'));
    about jsonb;
    i bigint;
    c jsonb;
    o jsonb;
    n text;
BEGIN
    IF x IS NULL THEN
        RETURN QUERY SELECT 'made', m.phase, row_number() OVER (), self, m.statements FROM upg.down_make(y, filled, whole) m;
    ELSE
        RETURN QUERY SELECT 'altered', m.phase, row_number() OVER (), self, m.statements FROM upg.down_alter(x, y) m;
    END IF;
    IF kind IN ('TABLE', 'FOREIGN TABLE', 'VIEW', 'MATERIALIZED VIEW', 'SEQUENCE') THEN
        IF x IS NOT NULL AND table_like THEN
            -- parents and partitions that it has no more
            FOR o, c IN SELECT q.n, p FROM jsonb_array_elements(x -> 'parents') WITH ORDINALITY u (p, i) JOIN jsonb_array_elements(x -> 'parent names') WITH ORDINALITY q (n, i) USING (i)
                        WHERE NOT coalesce(y -> 'parents' @> p, false) OR (x ->> 'bound') IS DISTINCT FROM (y ->> 'bound') OR remade @> p LOOP
                RETURN QUERY SELECT 'let go', 16, 1::bigint, self, ARRAY[CASE WHEN x ? 'bound' THEN format('ALTER TABLE %s DETACH PARTITION %s', o #>> '{}', x ->> 'id')
                                                                             ELSE format('ALTER TABLE %s NO INHERIT %s', x ->> 'id', o #>> '{}') END];
            END LOOP;
            RETURN QUERY SELECT 'let go', CASE WHEN (e ->> 'inherited')::int = 0 THEN 25 ELSE 26 END, row_number() OVER (), format('column %s.%I', y ->> 'id', e ->> 'name'),
                                ARRAY[format('%sDROP COLUMN %I', head, e ->> 'name')]
            FROM jsonb_array_elements(x -> 'columns') e
            WHERE ((e ->> 'inherited')::int = 0 OR (e ->> 'local')::boolean) AND NOT EXISTS (SELECT FROM jsonb_array_elements(y -> 'columns') f WHERE f -> 'n' = e -> 'n');
        END IF;
        IF kind = 'SEQUENCE' AND x ? 'owned by key' AND (x -> 'owned by key', x -> 'owned by column') IS DISTINCT FROM (y -> 'owned by key', y -> 'owned by column') THEN
            RETURN QUERY SELECT 'let go', 16, 1::bigint, self, ARRAY[head || 'OWNED BY NONE'];
        END IF;
        RETURN QUERY SELECT 'relation', r.phase, 1000 + row_number() OVER (), self, r.statements FROM upg.down_relation_changes(x, y) r;
        about := y || CASE WHEN few THEN '{"only differing": true}'::jsonb ELSE '{}' END;
        FOR c, i IN SELECT e.c, e.i FROM jsonb_array_elements(y -> 'columns') WITH ORDINALITY e (c, i) ORDER BY e.i LOOP
            n := format('column %s.%I', y ->> 'id', c ->> 'name');
            SELECT e INTO o FROM jsonb_array_elements(x -> 'columns') e WHERE e -> 'n' = c -> 'n';
            IF o IS NULL AND table_like THEN
                IF x IS NOT NULL AND (c ->> 'inherited')::int = 0 THEN
                    RETURN QUERY SELECT 'added', 40, 10 + i, n, ARRAY[format('%sADD COLUMN %s', format('ALTER %s %s ', kind, y ->> 'id'), upg.down_column(c, whole, NOT whole))];
                END IF;
                o := upg.down_column_made(c, whole, CASE WHEN x IS NULL THEN filled IS NOT NULL AND NOT filled @> (c -> 'n') ELSE NOT whole END,
                                          CASE WHEN x IS NULL THEN upg.down_is_part(y) OR NOT ((c ->> 'local')::boolean OR y ? 'bound') ELSE (c ->> 'inherited')::int > 0 END);
            END IF;
            IF cols ->> (k || '.' || (c ->> 'n')) = 'emptied' AND x IS NOT NULL AND o ? 'default' THEN
                RETURN QUERY SELECT 'let go', 18, 1::bigint, n, ARRAY[format('%sALTER COLUMN %I DROP DEFAULT', head, o ->> 'name')];
            END IF;
            RETURN QUERY SELECT 'column', s.phase, 2000 + 100 * i + row_number() OVER (), n, s.statements
            FROM upg.down_column_changes(about, o, c, coalesce(cols ->> (k || '.' || (c ->> 'n')) = 'converted', false), coalesce(cols ->> (k || '.' || (c ->> 'n')) = 'emptied', false)) s;
        END LOOP;
    END IF;
    IF x IS NOT NULL AND NOT few AND x -> 'acl' IS DISTINCT FROM y -> 'acl' AND y ? 'columns' THEN
        RETURN QUERY SELECT 'column', 67, 400000 + row_number() OVER (), format('column %s.%I', y ->> 'id', e ->> 'name'), ARRAY[g]
        FROM jsonb_array_elements(y -> 'columns') e JOIN jsonb_array_elements(x -> 'columns') f ON f -> 'n' = e -> 'n' AND f -> 'acl' = e -> 'acl',
             upg.down_grants('TABLE ' || (y ->> 'id'), e -> 'acl', e -> 'acl', ' (' || quote_ident(e ->> 'name') || ')', '{}') g;
    END IF;
    IF x IS NULL AND kind IN ('TRIGGER', 'RULE') AND y ->> 'enabled' <> 'O' THEN
        RETURN QUERY SELECT 'altered', r.phase, 3000::bigint, self, r.statements FROM upg.down_alter(y || '{"enabled": "O"}', y) r;
    END IF;
    RETURN QUERY SELECT 'decor', d.phase, 300000 + row_number() OVER (), self, d.statements FROM upg.down_decor(x, y, strangers) d;
END
$function$;
COMMENT ON FUNCTION upg.down_object(text, jsonb, jsonb, jsonb, boolean, jsonb, jsonb, text[]) IS 'statements that make one object what it was';
REVOKE ALL ON FUNCTION upg.down_object(text, jsonb, jsonb, jsonb, boolean, jsonb, jsonb, text[]) FROM PUBLIC;

CREATE FUNCTION upg.down_plan(a jsonb, b jsonb, adeps jsonb, bdeps jsonb, touched text[])
    RETURNS TABLE (phase integer, rank integer, seq bigint, key text, image text, statements text[])
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
    AS $function$
DECLARE
    actions jsonb;
    act jsonb;
    cols jsonb;
    branks jsonb;
    aranks jsonb;
    strangers text[];
    k text;
    what text;
    c jsonb;
    x jsonb;
    y jsonb;
    serial integer := 0;
    implied boolean;
    early boolean;
    taken boolean;
    late integer;
    lift jsonb := '{}';
    shells jsonb := '{}';
    spaces jsonb;
    space text;
BEGIN
    IF a #>> '{}' IS NULL OR b #>> '{}' IS NULL THEN
        RETURN;
    END IF;
    actions := upg.down_actions(a, b, adeps, bdeps, (SELECT coalesce(array_agg(DISTINCT t ORDER BY t), '{}') FROM unnest(touched) t WHERE a ? t OR b ? t));
    act := actions -> 'act';
    cols := actions -> 'cols';
    branks := upg.down_ranks(ARRAY(SELECT e.key FROM jsonb_each_text(act) e WHERE b ? e.key ORDER BY 1), bdeps, b);
    aranks := upg.down_ranks(ARRAY(SELECT e.key FROM jsonb_each_text(act) e WHERE e.value IN ('drop', 'anew') ORDER BY 1), adeps, a);
    SELECT coalesce(array_agg(DISTINCT g ->> 0), '{}') INTO strangers FROM (SELECT * FROM jsonb_each(a) UNION ALL SELECT * FROM jsonb_each(b)) e (key, value),
        jsonb_array_elements(e.value #> '{acl,acl}') g WHERE e.key LIKE '826:%';
    -- schemas that go and leave their name to one that comes back are called otherwise meanwhile
    SELECT coalesce(jsonb_object_agg(substr(e.key, 6), 'upg_down_schema_' || s.n), '{}') INTO spaces
    FROM (SELECT d.key, row_number() OVER (ORDER BY a -> d.key ->> 'name' COLLATE "C") AS n FROM jsonb_each_text(act) d WHERE d.value = 'drop' AND d.key LIKE '2615:%') s, jsonb_each_text(act) e
    WHERE e.key = s.key AND EXISTS (SELECT FROM jsonb_each_text(act) f WHERE f.key LIKE '2615:%' AND f.value <> 'drop' AND b -> f.key -> 'name' = a -> e.key -> 'name');
    -- what needs a view that comes late comes later
    FOR k IN SELECT e.key FROM jsonb_each(branks) e ORDER BY e.value::int LOOP
        IF (b -> k ->> 'key dependent')::boolean OR b -> k ->> 'kind' IN ('VIEW', 'MATERIALIZED VIEW', 'FUNCTION', 'PROCEDURE') AND EXISTS (
               SELECT FROM jsonb_array_elements(bdeps) d WHERE d ->> 0 = k AND lift ? (d ->> 1)) THEN
            lift := lift || jsonb_build_object(k, 62);
        END IF;
    END LOOP;

    -- a type and the functions that it is made of need each other: the type begins as a shell
    FOR k, c IN SELECT e.key, to_jsonb(d.f) FROM jsonb_each_text(act) e,
                LATERAL (SELECT t ->> 1 AS f FROM jsonb_array_elements(bdeps) t WHERE t ->> 0 = e.key) d
                WHERE b -> e.key ->> 'typtype' IN ('b', 'r') AND (e.value = 'anew' OR NOT a ? e.key) AND b -> d.f ->> 'kind' = 'FUNCTION' AND act ? d.f AND NOT a ? d.f
                  AND NOT act ? ('2615:' || (b -> d.f ->> 'ns')) LOOP
        lift := lift || jsonb_build_object(c #>> '{}', 39);
        IF NOT shells ? k THEN
            shells := shells || jsonb_build_object(k, true);
            RETURN QUERY SELECT 38, 0, 1::bigint, k, b -> k ->> 'image', ARRAY['CREATE TYPE ' || (b -> k ->> 'id')];
        END IF;
    END LOOP;

    FOR k, what IN SELECT e.key, e.value FROM jsonb_each_text(act) e ORDER BY coalesce(b -> e.key, a -> e.key) ->> 'image' COLLATE "C", 1 LOOP
        serial := serial + 1;
        x := a -> k;
        y := b -> k;
        key := k;
        image := coalesce(y, x) ->> 'image';
        -- comes and goes with the one on the parent
        CONTINUE WHEN what <> 'alter' AND coalesce(y, x) ? 'inherited';

        -- settings and default privileges
        IF coalesce(y, x) ->> 'kind' IN ('SETTINGS', 'DEFAULT PRIVILEGES') THEN
            RETURN QUERY SELECT s.phase, 0, row_number() OVER (), k, coalesce(y, x) ->> 'image', s.statements FROM upg.down_settings(x, y) s;
            CONTINUE;
        END IF;

        -- away with it
        IF what IN ('drop', 'anew') THEN
            rank := -coalesce((aranks ->> k)::int, 0);
            implied := x ? 'of' AND act ->> (x ->> 'of') IN ('drop', 'anew') AND x ->> 'kind' NOT IN ('STATISTICS') AND NOT (x ? 'target' AND act ->> (x ->> 'target') IN ('drop', 'anew'))
                OR x ->> 'kind' = 'SEQUENCE' AND x ? 'owned by key' AND (act ->> (x ->> 'owned by key') IN ('drop', 'anew')
                    OR NOT EXISTS (SELECT FROM jsonb_array_elements(b -> (x ->> 'owned by key') -> 'columns') e WHERE e -> 'n' = x -> 'owned by column'))
                OR x ->> 'kind' IN ('INDEX', 'CONSTRAINT') AND x ? 'parent index' AND EXISTS (
                    SELECT FROM jsonb_each_text(act) e WHERE e.value IN ('drop', 'anew') AND a -> e.key ->> 'index' = x ->> 'parent index');
            -- a function of a table's row goes before the table, and what needs such a function before it
            early := upg.down_early(x) OR what = 'drop' AND x ->> 'kind' = 'FUNCTION' AND EXISTS (
                SELECT FROM jsonb_array_elements(adeps) d WHERE d ->> 0 = k AND act ->> (d ->> 1) = 'drop' AND a -> (d ->> 1) ->> 'kind' IN ('TABLE', 'VIEW', 'MATERIALIZED VIEW', 'FOREIGN TABLE'));
            implied := implied AND NOT (x ->> 'kind' = 'CONSTRAINT' AND act ->> (x ->> 'of') = 'drop' AND EXISTS (
                SELECT FROM jsonb_array_elements(adeps) d JOIN jsonb_array_elements(adeps) e ON e ->> 0 = d ->> 1
                WHERE d ->> 0 = k AND act ->> (d ->> 1) = 'drop' AND a -> (d ->> 1) ->> 'kind' = 'FUNCTION' AND e ->> 1 = x ->> 'of'));
            IF x ->> 'kind' IN ('TABLE', 'MATERIALIZED VIEW') AND what = 'anew' AND x ->> 'relkind' = 'r' AND y ->> 'relkind' = 'r' THEN
                -- its rows are put aside
                RETURN QUERY SELECT 15, 0, 1::bigint, k, x ->> 'image', ARRAY[format('CREATE TEMPORARY TABLE upg_down_rows_%s AS SELECT %s FROM ONLY %s', serial,
                    coalesce((SELECT string_agg(quote_ident(e ->> 'name') || CASE WHEN cols ->> (k || '.' || (e ->> 'n')) = 'converted' THEN '::text AS ' || quote_ident(e ->> 'name') ELSE '' END, ', ' ORDER BY p)
                              FROM jsonb_array_elements(x -> 'columns') WITH ORDINALITY u (e, p)
                              WHERE NOT e ? 'generated' AND EXISTS (SELECT FROM jsonb_array_elements(y -> 'columns') f WHERE f -> 'n' = e -> 'n' AND NOT f ? 'generated')), ''), x ->> 'id')];
                RETURN QUERY SELECT 50, 0, 1::bigint, k, x ->> 'image', ARRAY[format('INSERT INTO %s (%s) SELECT %s FROM upg_down_rows_%s', y ->> 'id',
                        string_agg(quote_ident(f ->> 'name'), ', ' ORDER BY p),
                        string_agg(quote_ident(e ->> 'name') || CASE WHEN e -> 'typid' <> f -> 'typid' OR cols ->> (k || '.' || (e ->> 'n')) = 'converted' THEN '::text::' || (f ->> 'type') ELSE '' END, ', ' ORDER BY p), serial),
                        format('INSERT INTO %s (%s) SELECT %s FROM upg_down_rows_%s', y ->> 'id',
                        string_agg(quote_ident(f ->> 'name'), ', ' ORDER BY p) FILTER (WHERE e -> 'typid' = f -> 'typid'),
                        string_agg(quote_ident(e ->> 'name'), ', ' ORDER BY p) FILTER (WHERE e -> 'typid' = f -> 'typid'), serial)]
                FROM jsonb_array_elements(x -> 'columns') WITH ORDINALITY u (e, p) JOIN jsonb_array_elements(y -> 'columns') f ON f -> 'n' = e -> 'n'
                WHERE NOT e ? 'generated' AND NOT f ? 'generated';
                RETURN QUERY SELECT 69, 0, 1::bigint, k, x ->> 'image', ARRAY[format('DROP TABLE upg_down_rows_%s', serial)];
            END IF;
            taken := NOT early AND x ->> 'kind' NOT IN ('EXTENSION', 'ROLE', 'SCHEMA') AND NOT spaces ? (x ->> 'ns') AND (what = 'anew' OR EXISTS (
                SELECT FROM jsonb_each_text(act) e WHERE e.value <> 'drop' AND e.key <> k AND b -> e.key ->> 'kind' = x ->> 'kind' AND b -> e.key ->> 'id' = x ->> 'id'));
            IF x ? 'bound' AND NOT implied AND EXISTS (SELECT FROM jsonb_each(a) e WHERE e.value ->> 'target' = '1259:' || (x -> 'parents' ->> 0))
               AND coalesce(act ->> ('1259:' || (x -> 'parents' ->> 0)), '') NOT IN ('drop', 'anew') THEN
                -- what a foreign key points to can only be dropped when it is a partition no more
                RETURN QUERY SELECT 16, 0, 1::bigint, k, x ->> 'image', ARRAY[format('ALTER TABLE %s DETACH PARTITION %s', x -> 'parent names' ->> 0, x ->> 'id')];
            END IF;
            IF implied THEN
                NULL;
            ELSIF early THEN
                RETURN QUERY SELECT CASE WHEN x ->> 'kind' = 'EVENT TRIGGER' THEN 12 WHEN x ? 'target' THEN 19 WHEN x ->> 'kind' = 'MEMBERSHIP' THEN 74 ELSE 20 END,
                                    -coalesce((aranks ->> k)::int, 0), 1::bigint, k, x ->> 'image', ARRAY[upg.down_drop(x)];
            ELSE
                late := CASE x ->> 'kind' WHEN 'SCHEMA' THEN 75 WHEN 'ROLE' THEN 77 WHEN 'EXTENSION' THEN 73 ELSE 70 END;
                -- where it will be by then
                space := CASE WHEN (x ->> 'ns')::oid = 0 THEN '' ELSE
                    coalesce(b -> ('2615:' || (x ->> 'ns')) ->> 'id', spaces ->> (x ->> 'ns'), a -> ('2615:' || (x ->> 'ns')) ->> 'id') || '.' END;
                IF x ->> 'kind' = 'SCHEMA' AND spaces ? substr(k, 6) THEN
                    RETURN QUERY SELECT 32, 0, 1::bigint, k, x ->> 'image', ARRAY[format('ALTER SCHEMA %s RENAME TO %s', x ->> 'id', spaces ->> substr(k, 6))];
                    RETURN QUERY SELECT late, 0, 1::bigint, k, x ->> 'image', ARRAY['DROP SCHEMA ' || (spaces ->> substr(k, 6))];
                ELSE
                    IF taken THEN
                        RETURN QUERY SELECT 31, 0, 1::bigint, k, x ->> 'image', ARRAY[format('ALTER %s %s RENAME TO upg_down_%s', x ->> 'kind', x ->> 'id', serial)];
                    END IF;
                    RETURN QUERY SELECT late, -coalesce((aranks ->> k)::int, 0), 1::bigint, k, x ->> 'image', ARRAY[format('DROP %s %s%s%s', x ->> 'kind', space,
                        CASE WHEN taken THEN 'upg_down_' || serial ELSE quote_ident(x ->> 'name') END,
                        CASE WHEN x ->> 'kind' IN ('FUNCTION', 'PROCEDURE', 'AGGREGATE') THEN
                             substr(x ->> 'id', length(format('%s.%I', a -> ('2615:' || (x ->> 'ns')) ->> 'id', x ->> 'name')) + 1) ELSE '' END)];
                END IF;
            END IF;
            IF what = 'drop' THEN
                CONTINUE;
            END IF;
            x := NULL;
        END IF;

        -- names
        IF x IS NOT NULL AND what = 'alter' THEN
            taken := EXISTS (SELECT FROM jsonb_each(a) e WHERE e.key <> k AND e.value ->> 'name' = y ->> 'name' AND e.value ->> 'ns' = x ->> 'ns'
                             AND e.value -> 'of' IS NOT DISTINCT FROM x -> 'of' AND split_part(e.key, ':', 1) = split_part(k, ':', 1)
                             AND NOT (act ->> e.key IN ('drop', 'anew') AND upg.down_early(e.value)))
                     OR EXISTS (SELECT FROM jsonb_each(a) e WHERE (x ? 'index' OR split_part(k, ':', 1) = '1259') AND e.key <> k AND e.value ->> 'name' = y ->> 'name'
                                AND (e.value ? 'index' OR split_part(e.key, ':', 1) = '1259') AND NOT (act ->> e.key IN ('drop', 'anew') AND upg.down_early(e.value)));
            RETURN QUERY SELECT r.phase, 0, row_number() OVER (), k, y ->> 'image', r.statements FROM upg.down_renames(x, y, a, b, taken, serial) r;
        END IF;

        -- the thing itself; what its index has to do with it goes with that
        IF x IS NULL AND y ? 'parent index' AND act ->> (y ->> 'of') IN ('create', 'anew')
           AND NOT EXISTS (SELECT FROM jsonb_each_text(act) e WHERE e.value IN ('create', 'anew') AND b -> e.key ->> 'index' = y ->> 'parent index') THEN
            -- a new partition gets the indexes of its table
            x := y - '{comment,index comment}'::text[];
        END IF;
        IF x ?| '{clustered,replica index}' THEN
            x := upg.down_without_indexes(x, (SELECT array_agg(a -> e.key ->> 'index') FROM jsonb_each_text(act) e
                                              WHERE e.value IN ('drop', 'anew') AND a -> e.key ->> 'of' = k AND a -> e.key ? 'index'));
        END IF;
        RETURN QUERY SELECT CASE WHEN o.phase = 40 AND o.part IN ('made', 'altered') THEN coalesce((lift ->> k)::int, 40) ELSE o.phase END,
                            CASE WHEN o.part = 'let go' THEN 0 ELSE (branks ->> k)::int END, o.seq, k, o.image, o.statements
        FROM upg.down_object(k, x, y, (SELECT jsonb_agg(e -> 'n') FROM jsonb_array_elements(a -> k -> 'columns') e WHERE NOT e ? 'generated'), false, cols,
                             coalesce((SELECT jsonb_agg(to_jsonb(p)) FROM jsonb_array_elements(x -> 'parents') p WHERE act ->> ('1259:' || (p #>> '{}')) = 'anew'), '[]'), strangers) o;
    END LOOP;

    -- sequences whose table is made anew must not go with it
    FOR k IN SELECT e.key FROM jsonb_each(a) e WHERE e.value ->> 'kind' = 'SEQUENCE' AND act ->> (e.value ->> 'owned by key') = 'anew' AND b ? e.key
             AND coalesce(act ->> e.key, '') <> 'anew' AND (e.value -> 'owned by key', e.value -> 'owned by column') = (b -> e.key -> 'owned by key', b -> e.key -> 'owned by column') LOOP
        RETURN QUERY SELECT 16, 0, 1::bigint, k, a -> k ->> 'image', ARRAY[format('ALTER SEQUENCE %s OWNED BY NONE', a -> k ->> 'id')];
        RETURN QUERY SELECT 59, 0, 1::bigint, k, a -> k ->> 'image', ARRAY[format('ALTER SEQUENCE %s OWNED BY %s', b -> k ->> 'id', b -> k ->> 'owned by')];
    END LOOP;
END
$function$;
COMMENT ON FUNCTION upg.down_plan(jsonb, jsonb, jsonb, jsonb, text[]) IS 'statements that take the schema from how it is to how it was';
REVOKE ALL ON FUNCTION upg.down_plan(jsonb, jsonb, jsonb, jsonb, text[]) FROM PUBLIC;
