-- Readable downs, part 4: from all objects as they are (a) and as they were (b) to
-- statements in an order in which they run.  Phases:
--   12 event triggers go            15 tables that are made anew are put aside
--   16 sequences, parents let go    20 drops, dependents first
--   25 columns go                   30-36 renames, other schemas
--   40 objects made and altered     48 partitions attached
--   50 rows                         57 NOT NULL, defaults, identities, sequences' owners
--   60 indexes and constraints      62 views that need keys
--   63 parents                      64 foreign keys, triggers, rules, policies
--   65 materialized views filled    66-68 owners, privileges, comments
--   70 what could not go earlier    75 schemas, roles
--   85 event triggers
CREATE FUNCTION upg.down_early(def jsonb)
    RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT def ->> 'kind' NOT IN ('FUNCTION', 'PROCEDURE', 'AGGREGATE', 'TYPE', 'DOMAIN', 'SEQUENCE', 'COLLATION', 'EXTENSION', 'SCHEMA', 'ROLE', 'LANGUAGE',
    'FOREIGN DATA WRAPPER', 'SERVER', 'ACCESS METHOD', 'TEXT SEARCH DICTIONARY', 'TEXT SEARCH CONFIGURATION', 'TEXT SEARCH PARSER', 'TEXT SEARCH TEMPLATE')
$function$;
COMMENT ON FUNCTION upg.down_early(jsonb) IS 'is such an object dropped before others are changed back?';
REVOKE ALL ON FUNCTION upg.down_early(jsonb) FROM PUBLIC;

-- An expression with the columns that were renamed under their other names.
CREATE FUNCTION upg.down_renamed(expression text, a jsonb, b jsonb)
    RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
DECLARE
    was text;
    wanted text;
BEGIN
    FOR was, wanted IN SELECT quote_ident(x ->> 'name'), quote_ident(y ->> 'name') FROM jsonb_array_elements(a) x JOIN jsonb_array_elements(b) y ON y -> 'n' = x -> 'n'
                       WHERE x -> 'name' <> y -> 'name' LOOP
        expression := CASE WHEN was ~ '^\w+$' THEN regexp_replace(expression, '\m' || was || '\M', replace(wanted, '\', '\\'), 'g')
                           ELSE replace(expression, was, wanted) END;
    END LOOP;
    RETURN expression;
END
$function$;
COMMENT ON FUNCTION upg.down_renamed(text, jsonb, jsonb) IS 'an expression with renamed columns under their other names';
REVOKE ALL ON FUNCTION upg.down_renamed(text, jsonb, jsonb) FROM PUBLIC;

-- A statement without the name of the object that it makes; a longer name that begins
-- with it, like that of a multirange, stays.
CREATE FUNCTION upg.down_nameless(statement text, def jsonb)
    RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT regexp_replace(regexp_replace(statement, upg.ddl_pattern(coalesce(nullif(def ->> 'id', ''), '?')) || '(?![\w$])', '@', 'g'),
                      upg.ddl_pattern(quote_ident(coalesce(nullif(def ->> 'name', ''), '?'))) || '(?![\w$])', '#', 'g')
$function$;
COMMENT ON FUNCTION upg.down_nameless(text, jsonb) IS 'a statement with marks in place of the name of what it makes';
REVOKE ALL ON FUNCTION upg.down_nameless(text, jsonb) FROM PUBLIC;

-- The definition of an index or a constraint without what ALTER can change.
CREATE FUNCTION upg.down_firm(def jsonb)
    RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT CASE WHEN def ->> 'kind' = 'INDEX' OR def ->> 'contype' = 'x' THEN replace(def ->> 'definition', ' WITH (' || coalesce((
                SELECT string_agg(split_part(o, '=', 1) || '=' || CASE WHEN quote_ident(v.value) = v.value THEN v.value ELSE quote_literal(v.value) END, ', ' ORDER BY n)
                FROM jsonb_array_elements_text(def -> 'options') WITH ORDINALITY u (o, n), LATERAL substr(o, strpos(o, '=') + 1) v (value)), '') || ')', '')
            WHEN def ->> 'contype' = 'f' THEN regexp_replace(regexp_replace(def ->> 'definition', '( NOT VALID)$', ''), '( DEFERRABLE)?( INITIALLY DEFERRED)?$', '')
            ELSE def ->> 'definition' END
$function$;
COMMENT ON FUNCTION upg.down_firm(jsonb) IS 'what of a definition ALTER cannot change';
REVOKE ALL ON FUNCTION upg.down_firm(jsonb) FROM PUBLIC;

-- Must it be made anew?  Else ALTER or CREATE OR REPLACE will do.
CREATE FUNCTION upg.down_anew(a jsonb, b jsonb)
    RETURNS boolean
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT CASE
    WHEN a ->> 'kind' <> b ->> 'kind' OR a ->> 'relkind' <> b ->> 'relkind' THEN true
    WHEN a ->> 'kind' IN ('CONSTRAINT', 'TRIGGER', 'INDEX', 'RULE', 'POLICY', 'STATISTICS')
        THEN (a ->> 'definition') <> (b ->> 'definition') AND (a ->> 'definition') <> (b ->> 'definition') || ' NOT VALID' AND
             -- a name in it may have changed, not the thing
             replace(replace(upg.down_firm(a), coalesce(a ->> 'on', '?'), '@'), quote_ident(a ->> 'name'), '#')
             <> replace(replace(upg.down_firm(b), coalesce(b ->> 'on', '?'), '@'), quote_ident(b ->> 'name'), '#')
             OR b ->> 'definition' LIKE '% NOT VALID' AND a ->> 'definition' NOT LIKE '% NOT VALID' AND a ->> 'kind' = 'CONSTRAINT'
             OR a -> 'parent index' IS DISTINCT FROM b -> 'parent index' AND a ? 'parent index'
             OR a -> 'of' <> b -> 'of'
    WHEN a ->> 'kind' = 'VIEW' THEN
        -- columns can only be added at the end
        (SELECT jsonb_agg(jsonb_build_array(c -> 'n', c -> 'name', c -> 'type', c -> 'collation') ORDER BY o) FROM jsonb_array_elements(a -> 'columns') WITH ORDINALITY u (c, o))
        IS DISTINCT FROM (SELECT jsonb_agg(jsonb_build_array(c -> 'n', c -> 'name', c -> 'type', c -> 'collation') ORDER BY o)
            FROM jsonb_array_elements(b -> 'columns') WITH ORDINALITY u (c, o) WHERE o <= jsonb_array_length(a -> 'columns'))
    WHEN a ->> 'kind' = 'MATERIALIZED VIEW' THEN a ->> 'definition' <> b ->> 'definition'
    WHEN a ->> 'kind' IN ('TABLE', 'FOREIGN TABLE') THEN
        (a ->> 'partition key' IS DISTINCT FROM b ->> 'partition key')
        OR (a -> 'server' IS DISTINCT FROM b -> 'server')
        OR EXISTS (SELECT FROM jsonb_array_elements(b -> 'columns') x WHERE
                   NOT EXISTS (SELECT FROM jsonb_array_elements(a -> 'columns') y WHERE y -> 'n' = x -> 'n')
                   AND EXISTS (SELECT FROM jsonb_array_elements(b -> 'columns') z JOIN jsonb_array_elements(a -> 'columns') y ON y -> 'n' = z -> 'n'
                               WHERE (z ->> 'n')::int > (x ->> 'n')::int))
        OR EXISTS (SELECT FROM jsonb_array_elements(b -> 'columns') x JOIN jsonb_array_elements(a -> 'columns') y ON y -> 'n' = x -> 'n'
                   WHERE (x -> 'generated' IS DISTINCT FROM y -> 'generated')
                      OR x ? 'generated' AND ((x ->> 'default') <> upg.down_renamed(y ->> 'default', a -> 'columns', b -> 'columns') AND NOT upg.down_can_set_expression()
                                              OR (x -> 'type') <> (y -> 'type')))
    WHEN a ->> 'kind' IN ('FUNCTION', 'PROCEDURE') THEN
        (a ->> 'signature') <> (b ->> 'signature') OR (a ->> 'defaults')::int > (b ->> 'defaults')::int
    WHEN a ->> 'kind' = 'AGGREGATE' THEN a -> 'create' <> b -> 'create' AND
        replace(a #>> '{create,0}', quote_ident(a ->> 'name'), '@') <> replace(b #>> '{create,0}', quote_ident(b ->> 'name'), '@')
    WHEN a ->> 'typtype' = 'e' THEN
        (SELECT jsonb_agg(e -> 0) FROM jsonb_array_elements(a -> 'enum') e) <> (SELECT jsonb_agg(e -> 0) FROM jsonb_array_elements(b -> 'enum') e)
    WHEN a ->> 'typtype' = 'c' THEN
        (SELECT jsonb_agg(e -> 'n') FROM jsonb_array_elements(a -> 'attributes') e) <> (SELECT jsonb_agg(e -> 'n') FROM jsonb_array_elements(b -> 'attributes') e)
        AND EXISTS (SELECT FROM jsonb_array_elements(b -> 'attributes') x WHERE
                   NOT EXISTS (SELECT FROM jsonb_array_elements(a -> 'attributes') y WHERE y -> 'n' = x -> 'n')
                   AND EXISTS (SELECT FROM jsonb_array_elements(b -> 'attributes') z JOIN jsonb_array_elements(a -> 'attributes') y ON y -> 'n' = z -> 'n'
                               WHERE (z ->> 'n')::int > (x ->> 'n')::int))
    WHEN a ->> 'kind' = 'DOMAIN' THEN a -> 'base' <> b -> 'base'
    WHEN a ->> 'kind' IN ('TYPE', 'CAST', 'OPERATOR', 'OPERATOR CLASS', 'OPERATOR FAMILY', 'COLLATION', 'CONVERSION', 'TEXT SEARCH DICTIONARY', 'TEXT SEARCH CONFIGURATION',
                          'TEXT SEARCH PARSER', 'TEXT SEARCH TEMPLATE', 'TRANSFORM', 'EVENT TRIGGER', 'PUBLICATION', 'USER MAPPING', 'SERVER', 'FOREIGN DATA WRAPPER',
                          'LANGUAGE', 'ACCESS METHOD', 'MEMBERSHIP')
        THEN (SELECT coalesce(string_agg(upg.down_nameless(x, a), ';' ORDER BY o), '') FROM jsonb_array_elements_text(a -> 'create') WITH ORDINALITY u (x, o))
             <> (SELECT coalesce(string_agg(upg.down_nameless(x, b), ';' ORDER BY o), '') FROM jsonb_array_elements_text(b -> 'create') WITH ORDINALITY u (x, o))
    ELSE false END
$function$;
COMMENT ON FUNCTION upg.down_anew(jsonb, jsonb) IS 'must an object be dropped and made again to become what it was?';
REVOKE ALL ON FUNCTION upg.down_anew(jsonb, jsonb) FROM PUBLIC;

-- What happens to which object: drop, create, alter, anew; and which columns of
-- tables get their type ("converted") or default ("emptied") again.
CREATE FUNCTION upg.down_actions(a jsonb, b jsonb, adeps jsonb, bdeps jsonb, touched text[])
    RETURNS jsonb
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
DECLARE
    act jsonb := '{}';
    cols jsonb := '{}';
    k text;
    d jsonb;
    x text;
    y text;
    col jsonb;
    y_col boolean;
    more boolean := true;
    deps jsonb;
BEGIN
    FOREACH k IN ARRAY touched LOOP
        IF a ? k AND NOT b ? k THEN
            act := act || jsonb_build_object(k, 'drop');
        ELSIF b ? k AND NOT a ? k THEN
            act := act || jsonb_build_object(k, 'create');
        ELSIF a -> k IS DISTINCT FROM b -> k THEN
            act := act || jsonb_build_object(k, CASE WHEN upg.down_anew(a -> k, b -> k) THEN 'anew' ELSE 'alter' END);
            -- columns that go or get another type
            FOR col IN SELECT o FROM jsonb_array_elements(CASE WHEN a -> k ->> 'kind' IN ('TABLE', 'FOREIGN TABLE') THEN a -> k -> 'columns' ELSE '[]' END) o
                       LEFT JOIN jsonb_array_elements(b -> k -> 'columns') n ON n -> 'n' = o -> 'n'
                       WHERE n IS NULL OR (n ->> 'type', n ->> 'collation', n -> 'typid') IS DISTINCT FROM (o ->> 'type', o ->> 'collation', o -> 'typid') LOOP
                -- another type of the same name?
                cols := cols || jsonb_build_object(k || '.' || (col ->> 'n'), CASE WHEN EXISTS (
                    SELECT FROM jsonb_array_elements(b -> k -> 'columns') n WHERE n -> 'n' = col -> 'n' AND n -> 'type' = col -> 'type' AND n -> 'typid' <> col -> 'typid')
                    THEN 'converted' ELSE 'changed' END);
            END LOOP;
        END IF;
    END LOOP;
    -- values of a row type whose columns come and go change with it, wherever they are stored
    SELECT coalesce(jsonb_object_agg('v:' || t.key, 'values'), '{}') || cols INTO cols FROM jsonb_each_text(act) t
    WHERE t.value = 'alter' AND (a -> t.key ->> 'typtype' = 'c' OR a -> t.key ->> 'kind' = 'TABLE'
        AND (SELECT jsonb_agg(c -> 'n') FROM jsonb_array_elements(a -> t.key -> 'columns') c) IS DISTINCT FROM (SELECT jsonb_agg(c -> 'n') FROM jsonb_array_elements(b -> t.key -> 'columns') c));
    -- only what can matter: dependencies between objects that we know
    SELECT jsonb_agg(e) INTO deps FROM (SELECT e FROM jsonb_array_elements(adeps) e UNION SELECT e FROM jsonb_array_elements(bdeps) e) u (e)
    WHERE (a ? (e ->> 0) OR b ? (e ->> 0));
    WHILE more LOOP
        more := false;
        FOR d IN SELECT e FROM jsonb_array_elements(deps) e WHERE cols ? ('v:' || (e ->> 1)) AND (e ->> 2)::int = 0 AND a ? (e ->> 0) AND b ? (e ->> 0) LOOP
            x := d ->> 0;
            IF a -> x ->> 'kind' IN ('TYPE', 'DOMAIN') AND NOT cols ? ('v:' || x) THEN
                cols := cols || jsonb_build_object('v:' || x, 'values');
                more := true;
            ELSIF a -> x ->> 'kind' = 'TABLE' AND (d ->> 4)::int > 0 AND NOT cols ? (x || '.' || (d ->> 4)) THEN
                cols := cols || jsonb_build_object(x || '.' || (d ->> 4), 'values');
            END IF;
        END LOOP;
        FOR d IN SELECT e FROM jsonb_array_elements(deps) e
                 WHERE act ->> (e ->> 1) IN ('anew', 'drop', 'create') OR cols ->> ((e ->> 1) || '.' || (e ->> 2)) <> 'values' LOOP
            x := d ->> 0;
            y := d ->> 1;
            CONTINUE WHEN NOT (a ? x AND b ? x) OR act ->> x = 'anew';
            y_col := coalesce(act ->> y, '') NOT IN ('anew', 'drop', 'create');
            -- a default may name the same as before and mean another sequence or function
            CONTINUE WHEN (act ->> y = 'create' OR act ->> y = 'drop' AND NOT upg.down_early(a -> y))
                AND NOT (a -> x ->> 'kind' = 'TABLE' AND coalesce(a -> y, b -> y) ->> 'kind' IN ('SEQUENCE', 'FUNCTION') AND (d ->> 4)::int > 0);
            IF a -> x ->> 'kind' IN ('TABLE', 'FOREIGN TABLE') THEN
                IF y_col THEN
                    CONTINUE; -- a partition or child: the column's change reaches it
                ELSIF act ->> y = 'drop' AND upg.down_early(a -> y) THEN
                    CONTINUE;
                ELSIF (coalesce(a -> y, b -> y)) ->> 'kind' IN ('TYPE', 'DOMAIN') THEN
                    CONTINUE WHEN (d ->> 4)::int = 0 OR cols ->> (x || '.' || (d ->> 4)) = 'converted';
                    cols := cols || jsonb_build_object(x || '.' || (d ->> 4), 'converted');
                    IF NOT act ? x THEN
                        act := act || jsonb_build_object(x, 'alter');
                    END IF;
                    IF EXISTS (SELECT FROM jsonb_array_elements(a -> x -> 'columns') c WHERE c ? 'generated') THEN
                        act := act || jsonb_build_object(x, 'anew');
                    END IF;
                    more := true;
                    CONTINUE;
                ELSIF (coalesce(a -> y, b -> y)) ->> 'kind' IN ('FUNCTION', 'OPERATOR', 'TABLE', 'VIEW', 'SEQUENCE') AND (d ->> 4)::int > 0
                      AND NOT EXISTS (SELECT FROM jsonb_array_elements(a -> x -> 'columns') c WHERE c -> 'n' = d -> 4 AND c ? 'generated') THEN
                    CONTINUE WHEN cols ? (x || '.' || (d ->> 4));
                    cols := cols || jsonb_build_object(x || '.' || (d ->> 4), 'emptied');
                    IF NOT act ? x THEN
                        act := act || jsonb_build_object(x, 'alter');
                    END IF;
                    more := true;
                    CONTINUE;
                END IF;
            ELSIF a -> x ->> 'kind' = 'SEQUENCE' OR a -> x ->> 'kind' = 'EXTENSION' THEN
                CONTINUE;
            ELSIF y_col AND (a -> x ->> 'kind' = 'PUBLICATION' OR coalesce((a -> x ->> 'plain')::boolean, false)) THEN
                CONTINUE; -- the server brings these along
            END IF;
            act := act || jsonb_build_object(x, 'anew');
            more := true;
        END LOOP;
    END LOOP;
    -- what a table says of an index that is made is said again
    FOR k IN SELECT DISTINCT b -> e.key ->> 'of' FROM jsonb_each_text(act) e
             WHERE e.value IN ('anew', 'create') AND b -> e.key ? 'index' AND quote_ident((parse_ident(b -> e.key ->> 'index'))[2]) IN (b -> (b -> e.key ->> 'of') ->> 'clustered', b -> (b -> e.key ->> 'of') ->> 'replica index') LOOP
        IF NOT act ? k THEN
            act := act || jsonb_build_object(k, 'alter');
        END IF;
    END LOOP;
    RETURN jsonb_build_object('act', act, 'cols', cols);
END
$function$;
COMMENT ON FUNCTION upg.down_actions(jsonb, jsonb, jsonb, jsonb, text[]) IS 'which objects are dropped, made, altered or made anew';
REVOKE ALL ON FUNCTION upg.down_actions(jsonb, jsonb, jsonb, jsonb, text[]) FROM PUBLIC;

-- Places of objects in an order in which each comes after what it needs.
CREATE FUNCTION upg.down_ranks(keys text[], deps jsonb, objects jsonb)
    RETURNS jsonb
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
DECLARE
    ranks jsonb := '{}';
    n integer := 0;
    edges jsonb;
    ready text[];
BEGIN
    SELECT jsonb_object_agg(x, needs) INTO edges FROM (
        SELECT e ->> 0 AS x, jsonb_object_agg(e ->> 1, 1) AS needs FROM jsonb_array_elements(deps) e
        WHERE e ->> 0 = ANY (keys) AND e ->> 1 = ANY (keys)
          -- a sequence belongs to a column whose default needs it
          AND NOT (objects -> (e ->> 0) ->> 'kind' = 'SEQUENCE' AND e ->> 3 IN ('a', 'i')) GROUP BY 1) s;
    edges := coalesce(edges, '{}');
    WHILE cardinality(keys) > 0 LOOP
        SELECT array_agg(k ORDER BY objects -> k ->> 'id' COLLATE "C", objects -> k ->> 'image' COLLATE "C", k) INTO ready FROM unnest(keys) k
        WHERE NOT edges ? k OR NOT EXISTS (SELECT FROM jsonb_object_keys(edges -> k) r WHERE NOT ranks ? r);
        IF ready IS NULL THEN
            -- a circle: begin anywhere
            SELECT ARRAY[min(k)] INTO ready FROM unnest(keys) k;
        END IF;
        n := n + 1;
        SELECT ranks || jsonb_object_agg(k, n) INTO ranks FROM unnest(ready) k;
        SELECT coalesce(array_agg(k), '{}') INTO keys FROM unnest(keys) k WHERE k <> ALL (ready);
    END LOOP;
    RETURN ranks;
END
$function$;
COMMENT ON FUNCTION upg.down_ranks(text[], jsonb, jsonb) IS 'an order of objects by their dependencies';
REVOKE ALL ON FUNCTION upg.down_ranks(text[], jsonb, jsonb) FROM PUBLIC;

-- What makes an object that is not there, with its phase.
CREATE FUNCTION upg.down_make(b jsonb, filled jsonb, whole boolean)
    RETURNS TABLE (phase integer, statements text[])
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
DECLARE
    kind CONSTANT text := b ->> 'kind';
    name CONSTANT text := quote_ident(b ->> 'name');
    owner CONSTANT text := b ->> 'on';
    options text;
BEGIN
    CASE
    WHEN kind IN ('TABLE', 'FOREIGN TABLE') THEN
        RETURN QUERY SELECT 40, ARRAY[upg.down_create_table(b, filled, whole)];
    WHEN kind = 'SEQUENCE' THEN
        RETURN QUERY SELECT 40, ARRAY[format('CREATE %sSEQUENCE %s AS %s %s', CASE b ->> 'persistence' WHEN 'u' THEN 'UNLOGGED ' ELSE '' END,
                                             b ->> 'id', b #>> '{sequence,type}', b #>> '{sequence,options}')];
    WHEN kind IN ('VIEW', 'MATERIALIZED VIEW') THEN
        SELECT ' WITH (' || string_agg(key || ' = ' || quote_literal(value), ', ') || ')' INTO options
        FROM jsonb_each_text(upg.down_set(b -> 'options', '') || upg.down_set(b -> 'toast options', 'toast.'));
        RETURN QUERY SELECT CASE WHEN (b ->> 'key dependent')::boolean THEN 62 ELSE 40 END, ARRAY[concat_ws(' ',
            'CREATE', kind, b ->> 'id', '(' || (SELECT string_agg(quote_ident(c ->> 'name'), ', ' ORDER BY o) FROM jsonb_array_elements(b -> 'columns') WITH ORDINALITY u (c, o)) || ')')
            || CASE WHEN kind = 'VIEW' THEN '' ELSE coalesce(' USING ' || nullif(b ->> 'am', 'heap'), '') END || coalesce(options, '')
            || coalesce(' TABLESPACE ' || (b ->> 'tablespace'), '') || E' AS\n' || (b ->> 'definition') || CASE WHEN kind = 'VIEW' OR whole AND (b ->> 'populated')::boolean THEN '' ELSE E'\n WITH NO DATA' END];
        IF kind <> 'VIEW' AND NOT whole AND (b ->> 'populated')::boolean THEN
            RETURN QUERY SELECT 65, ARRAY['REFRESH MATERIALIZED VIEW ' || (b ->> 'id')];
        END IF;
    WHEN kind IN ('INDEX', 'CONSTRAINT') THEN
        IF kind = 'INDEX' THEN
            RETURN QUERY SELECT 60, ARRAY[b ->> 'definition'];
        ELSE
            RETURN QUERY SELECT (b ->> 'phase')::int, ARRAY[CASE WHEN owner LIKE 'DOMAIN %' THEN format('ALTER %s ADD CONSTRAINT %s %s', owner, name, b ->> 'definition')
                ELSE format('ALTER TABLE %s%s ADD CONSTRAINT %s %s', CASE WHEN b ->> 'contype' IN ('p', 'u', 'x') AND (b ->> 'partitioned')::boolean THEN 'ONLY ' ELSE '' END,
                            owner, name, b ->> 'definition') END];
        END IF;
        RETURN QUERY SELECT 60, ARRAY[s] FROM upg.down_index_changes(CASE WHEN kind = 'INDEX' OR b ->> 'contype' = 'x' THEN jsonb_build_object('options', b -> 'options') END, b) s;
        IF b ? 'parent index' THEN
            RETURN QUERY SELECT 61, ARRAY[format('ALTER INDEX %s ATTACH PARTITION %s', b ->> 'parent index', b ->> 'index')];
        END IF;
    WHEN kind = 'TRIGGER' THEN
        RETURN QUERY SELECT 64, ARRAY[b ->> 'definition'];
    WHEN kind = 'RULE' THEN
        RETURN QUERY SELECT 64, ARRAY[b ->> 'definition'];
    WHEN kind = 'POLICY' THEN
        RETURN QUERY SELECT 64, ARRAY[format('CREATE POLICY %s ON %s %s', name, owner, b ->> 'definition')];
    WHEN kind = 'STATISTICS' THEN
        RETURN QUERY SELECT 64, ARRAY[b ->> 'definition'];
        IF b ? 'target' THEN
            RETURN QUERY SELECT 64, ARRAY[format('ALTER STATISTICS %s SET STATISTICS %s', b ->> 'id', b ->> 'target')];
        END IF;
    ELSE
        RETURN QUERY SELECT CASE kind WHEN 'EVENT TRIGGER' THEN 85 WHEN 'PUBLICATION' THEN 64 WHEN 'ROLE' THEN 37 WHEN 'MEMBERSHIP' THEN 38 ELSE 40 END, ARRAY[s]
        FROM jsonb_array_elements_text(b -> 'create') WITH ORDINALITY u (s, o) ORDER BY o;
    END CASE;
END
$function$;
COMMENT ON FUNCTION upg.down_make(jsonb, jsonb, boolean) IS 'statements that make an object as it was';
REVOKE ALL ON FUNCTION upg.down_make(jsonb, jsonb, boolean) FROM PUBLIC;

-- How a thing is taken away.
CREATE FUNCTION upg.down_drop(a jsonb)
    RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT CASE
    WHEN a ->> 'kind' = 'CONSTRAINT' THEN format('ALTER %s DROP CONSTRAINT %I', CASE WHEN a ->> 'on' LIKE 'DOMAIN %' THEN a ->> 'on' ELSE 'TABLE ' || (a ->> 'on') END, a ->> 'name')
    WHEN a ->> 'kind' IN ('TRIGGER', 'RULE', 'POLICY') THEN format('DROP %s %I ON %s', a ->> 'kind', a ->> 'name', a ->> 'on')
    WHEN a ->> 'kind' = 'MEMBERSHIP' THEN 'REVOKE ' || replace(a ->> 'id', ' TO ', ' FROM ')
    ELSE format('DROP %s %s', a ->> 'kind', a ->> 'id') END
$function$;
COMMENT ON FUNCTION upg.down_drop(jsonb) IS 'the statement that drops an object';
REVOKE ALL ON FUNCTION upg.down_drop(jsonb) FROM PUBLIC;
