-- Readable downs, part 3: statements about one object, from how it is (a) and how it
-- was (b); either may be null.  A statement is an array of texts: ways to say it, of
-- which the first that works is taken.  Phases: 73_down_plan.sql.
CREATE FUNCTION upg.down_set(options jsonb, prefix text)
    RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT coalesce(jsonb_object_agg(prefix || split_part(o, '=', 1), substr(o, strpos(o, '=') + 1)), '{}')
FROM jsonb_array_elements_text(CASE jsonb_typeof(options) WHEN 'array' THEN options ELSE '[]' END) o
$function$;
COMMENT ON FUNCTION upg.down_set(jsonb, text) IS 'storage options as an object';
REVOKE ALL ON FUNCTION upg.down_set(jsonb, text) FROM PUBLIC;

-- SET and RESET of options, each as a clause.
CREATE FUNCTION upg.down_set_clauses(a jsonb, b jsonb)
    RETURNS SETOF text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT 'RESET (' || string_agg(k, ', ') || ')' FROM jsonb_object_keys(a) k WHERE NOT b ? k HAVING count(*) > 0
UNION ALL
SELECT 'SET (' || string_agg(e.key || ' = ' || quote_literal(e.value), ', ') || ')' FROM jsonb_each_text(b) e
WHERE a ->> e.key IS DISTINCT FROM e.value HAVING count(*) > 0
$function$;
COMMENT ON FUNCTION upg.down_set_clauses(jsonb, jsonb) IS 'SET and RESET clauses that turn some storage options into others';
REVOKE ALL ON FUNCTION upg.down_set_clauses(jsonb, jsonb) FROM PUBLIC;

-- Privileges, one line for each.
CREATE FUNCTION upg.down_privileges(acl jsonb)
    RETURNS TABLE (grantee text, grantor text, grantable text, privilege text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT e ->> 0, coalesce(e ->> 1, ''), e ->> 2, p FROM jsonb_array_elements(coalesce(acl, '[]')) e, unnest(string_to_array(e ->> 3, ', ')) p
$function$;
COMMENT ON FUNCTION upg.down_privileges(jsonb) IS 'privileges, one by one';
REVOKE ALL ON FUNCTION upg.down_privileges(jsonb) FROM PUBLIC;

-- Privileges, from scratch and in their order, which pg_dump shows; but if "strangers"
-- is null, only what differs, in no order.
CREATE FUNCTION upg.down_grants(what text, kept jsonb, wanted jsonb, columns text, strangers text[])
    RETURNS SETOF text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
DECLARE
    names text[];
    g jsonb;
BEGIN
    IF strangers IS NULL THEN
        -- other grantors: as they are
        IF coalesce(kept, '[]') @? '$[*][1] ? (@ != null)' OR coalesce(wanted, '[]') @? '$[*][1] ? (@ != null)' THEN
            strangers := '{}';
        ELSE
            RETURN QUERY
            SELECT CASE d.verb WHEN 1 THEN format('REVOKE %s ON %s FROM %s', d.privileges, what, d.grantee)
                               ELSE format('GRANT %s ON %s TO %s%s', d.privileges, what, d.grantee, CASE WHEN d.grantable = 'true' THEN ' WITH GRANT OPTION' ELSE '' END) END
            FROM (SELECT x.verb, x.grantee, x.grantable, string_agg(x.privilege || columns, ', ' ORDER BY x.privilege) AS privileges
                  FROM (SELECT 1 AS verb, r.* FROM (SELECT * FROM upg.down_privileges(kept) EXCEPT SELECT * FROM upg.down_privileges(wanted)) r
                        UNION ALL SELECT 2, w.* FROM (SELECT * FROM upg.down_privileges(wanted) EXCEPT SELECT * FROM upg.down_privileges(kept)) w) x
                  GROUP BY 1, 2, 3) d ORDER BY d.verb, d.grantee, d.grantable;
            RETURN;
        END IF;
    END IF;
    SELECT array_agg(DISTINCT x) INTO names FROM (
        SELECT e ->> 0 FROM jsonb_array_elements(coalesce(kept, '[]') || coalesce(wanted, '[]')) e UNION SELECT unnest(strangers)) n (x) WHERE x IS NOT NULL;
    IF names IS NOT NULL THEN
        RETURN NEXT format('REVOKE ALL%s ON %s FROM %s CASCADE', columns, what, array_to_string(names, ', '));
    END IF;
    FOR g IN SELECT e FROM jsonb_array_elements(coalesce(wanted, '[]')) WITH ORDINALITY u (e, o) ORDER BY o LOOP
        IF g ->> 1 IS NOT NULL THEN
            RETURN NEXT 'SET ROLE ' || (g ->> 1);
        END IF;
        RETURN NEXT format('GRANT %s ON %s TO %s%s', CASE WHEN columns = '' THEN g ->> 3 ELSE
                           (SELECT string_agg(p || columns, ', ') FROM unnest(string_to_array(g ->> 3, ', ')) p) END, what, g ->> 0,
                           CASE WHEN (g ->> 2)::boolean THEN ' WITH GRANT OPTION' ELSE '' END);
        IF g ->> 1 IS NOT NULL THEN
            RETURN NEXT 'RESET ROLE';
        END IF;
    END LOOP;
END
$function$;
COMMENT ON FUNCTION upg.down_grants(text, jsonb, jsonb, text, text[]) IS 'statements that make the privileges on an object what they were';
REVOKE ALL ON FUNCTION upg.down_grants(text, jsonb, jsonb, text, text[]) FROM PUBLIC;

-- Of what has just been made.
CREATE FUNCTION upg.down_usual_acl(b jsonb)
    RETURNS jsonb
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT upg.down_acl(NULL, CASE b ->> 'kind' WHEN 'SEQUENCE' THEN 's' WHEN 'SCHEMA' THEN 'n' WHEN 'FUNCTION' THEN 'f' WHEN 'PROCEDURE' THEN 'f' WHEN 'AGGREGATE' THEN 'f'
                              WHEN 'TYPE' THEN 'T' WHEN 'DOMAIN' THEN 'T' WHEN 'LANGUAGE' THEN 'l' WHEN 'SERVER' THEN 'S' WHEN 'FOREIGN DATA WRAPPER' THEN 'F'
                              ELSE 'r' END::"char", r.oid)
FROM pg_roles r WHERE quote_ident(r.rolname) = b ->> 'owner'
$function$;
COMMENT ON FUNCTION upg.down_usual_acl(jsonb) IS 'the privileges on an object that nobody has granted or revoked any on';
REVOKE ALL ON FUNCTION upg.down_usual_acl(jsonb) FROM PUBLIC;

-- OPTIONS of a foreign table or column: of one that is made (a is null), or what makes the
-- second of the first.
CREATE FUNCTION upg.down_fdw_changes(a jsonb, b jsonb)
    RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT 'OPTIONS (' || string_agg(o, ', ' ORDER BY n, o) || ')' FROM (
    SELECT 0, 'DROP ' || quote_ident(k) FROM jsonb_object_keys(a) k WHERE NOT coalesce(b ? k, false)
    UNION ALL SELECT 1, CASE WHEN a IS NULL THEN '' WHEN a ? e.key THEN 'SET ' ELSE 'ADD ' END || quote_ident(e.key) || ' ' || quote_literal(e.value)
    FROM jsonb_each_text(b) e WHERE a ->> e.key IS DISTINCT FROM e.value) x (n, o)
$function$;
COMMENT ON FUNCTION upg.down_fdw_changes(jsonb, jsonb) IS 'OPTIONS clause of a foreign table or column';
REVOKE ALL ON FUNCTION upg.down_fdw_changes(jsonb, jsonb) FROM PUBLIC;

-- Owner, privileges, comment and labels of any object.
CREATE FUNCTION upg.down_decor(a jsonb, b jsonb, strangers text[])
    RETURNS TABLE (phase integer, statements text[])
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
DECLARE
    kind CONSTANT text := b ->> 'kind';
    id CONSTANT text := coalesce(b ->> 'id', quote_ident(b ->> 'name'));
    named text;
    label record;
BEGIN
    named := kind || ' ' || CASE WHEN kind IN ('CONSTRAINT', 'TRIGGER', 'RULE', 'POLICY') THEN quote_ident(b ->> 'name') || ' ON ' || (b ->> 'on') ELSE id END;
    IF b ? 'owner' AND a ->> 'owner' IS DISTINCT FROM b ->> 'owner' AND kind NOT IN ('CAST', 'USER MAPPING') THEN
        RETURN QUERY SELECT CASE kind WHEN 'EVENT TRIGGER' THEN 86 ELSE 66 END, ARRAY[format('ALTER %s %s OWNER TO %s', kind, id, b ->> 'owner')];
    END IF;
    IF b ? 'acl' AND kind <> 'DEFAULT PRIVILEGES' AND kind <> 'SETTINGS'
        AND (CASE WHEN a IS NULL THEN (b ->> 'acl set')::boolean OR strangers <> '{}' ELSE a -> 'acl' IS DISTINCT FROM b -> 'acl' END) THEN
        -- before those on columns, which a REVOKE on the table takes along
        RETURN QUERY SELECT 66, ARRAY[g] FROM upg.down_grants(
            CASE kind WHEN 'VIEW' THEN 'TABLE' WHEN 'MATERIALIZED VIEW' THEN 'TABLE' WHEN 'FOREIGN TABLE' THEN 'TABLE' WHEN 'AGGREGATE' THEN 'FUNCTION'
                      WHEN 'SERVER' THEN 'FOREIGN SERVER' ELSE kind END || ' ' || CASE WHEN kind = 'AGGREGATE' THEN regexp_replace(id, '\(\*\)$', '()') ELSE id END,
            CASE WHEN a IS NULL AND strangers IS NULL THEN upg.down_usual_acl(b)
                 -- the owner's own have followed him
                 WHEN strangers IS NULL AND a -> 'owner' <> b -> 'owner' THEN
                     (SELECT jsonb_agg(CASE WHEN e -> 0 = a -> 'owner' THEN jsonb_set(e, '{0}', b -> 'owner') ELSE e END ORDER BY o) FROM jsonb_array_elements(a -> 'acl') WITH ORDINALITY u (e, o))
                 ELSE a -> 'acl' END, b -> 'acl', '', strangers) g;
    END IF;
    IF a ->> 'comment' IS DISTINCT FROM b ->> 'comment' THEN
        RETURN QUERY SELECT CASE kind WHEN 'EVENT TRIGGER' THEN 86 ELSE 68 END, ARRAY[format('COMMENT ON %s IS %s', named, coalesce(quote_literal(b ->> 'comment'), 'NULL'))];
    END IF;
    IF a ->> 'index comment' IS DISTINCT FROM b ->> 'index comment' THEN
        RETURN QUERY SELECT 68, ARRAY[format('COMMENT ON INDEX %s IS %s', b ->> 'index', coalesce(quote_literal(b ->> 'index comment'), 'NULL'))];
    END IF;
    FOR label IN SELECT coalesce(x.key, y.key) AS provider, y.value FROM jsonb_each_text(a -> 'labels') x FULL JOIN jsonb_each_text(b -> 'labels') y USING (key)
                 WHERE x.value IS DISTINCT FROM y.value LOOP
        RETURN QUERY SELECT 68, ARRAY[format('SECURITY LABEL FOR %I ON %s IS %s', label.provider, named, coalesce(quote_literal(label.value), 'NULL'))];
    END LOOP;
END
$function$;
COMMENT ON FUNCTION upg.down_decor(jsonb, jsonb, text[]) IS 'statements about owner, privileges, comment and labels of an object';
REVOKE ALL ON FUNCTION upg.down_decor(jsonb, jsonb, text[]) FROM PUBLIC;

-- Does it come with all of its columns from what it is a partition of?
CREATE FUNCTION upg.down_is_part(b jsonb)
    RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT b ? 'bound' AND NOT EXISTS (SELECT FROM jsonb_array_elements(b -> 'columns') c WHERE (c ->> 'local')::boolean OR (c ->> 'inherited')::int = 0)
       AND (SELECT jsonb_agg(c -> 'name' ORDER BY o) FROM jsonb_array_elements(b -> 'columns') WITH ORDINALITY u (c, o)) = b -> 'parent columns'
$function$;
COMMENT ON FUNCTION upg.down_is_part(jsonb) IS 'is a table made as PARTITION OF another?';
REVOKE ALL ON FUNCTION upg.down_is_part(jsonb) FROM PUBLIC;

-- CREATE TABLE.  Columns that have to be filled first get NOT NULL afterwards: those that
-- are not in "filled", none if that is null.
CREATE FUNCTION upg.down_create_table(b jsonb, filled jsonb, whole boolean)
    RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
DECLARE
    kind CONSTANT text := CASE b ->> 'persistence' WHEN 'u' THEN 'UNLOGGED ' ELSE '' END || (b ->> 'kind');
    columns text;
    tail text;
BEGIN
    tail := concat_ws(E'\n', 'PARTITION BY ' || (b ->> 'partition key'), 'USING ' || nullif(b ->> 'am', 'heap'),
        'WITH (' || (SELECT string_agg(key || ' = ' || quote_literal(value), ', ')
                     FROM jsonb_each_text(upg.down_set(b -> 'options', '') || upg.down_set(b -> 'toast options', 'toast.'))) || ')',
        'TABLESPACE ' || (b ->> 'tablespace'), 'SERVER ' || (b ->> 'server'), upg.down_fdw_changes(NULL, b -> 'fdw'));
    IF upg.down_is_part(b) THEN
        RETURN concat_ws(E'\n', format('CREATE %s %s PARTITION OF %s %s', kind, b ->> 'id', b -> 'parent names' ->> 0, b ->> 'bound'), nullif(tail, ''));
    END IF;
    SELECT string_agg(E'\n\t' || upg.down_column(c, whole, filled IS NOT NULL AND NOT filled @> (c -> 'n')), ',' ORDER BY o) INTO columns
    FROM jsonb_array_elements(b -> 'columns') WITH ORDINALITY u (c, o) WHERE (c ->> 'local')::boolean OR b ? 'bound';
    RETURN concat_ws(E'\n', format('CREATE %s %s (%s)', kind, b ->> 'id', coalesce(columns || E'\n', '')),
                     'INHERITS (' || CASE WHEN NOT b ? 'bound' AND EXISTS (SELECT FROM jsonb_array_elements(b -> 'columns') c WHERE NOT (c ->> 'local')::boolean)
                                          THEN (SELECT string_agg(p, ', ') FROM jsonb_array_elements_text(b -> 'parent names') p) END || ')', nullif(tail, ''));
END
$function$;
COMMENT ON FUNCTION upg.down_create_table(jsonb, jsonb, boolean) IS 'the statement that makes a table as it was';
REVOKE ALL ON FUNCTION upg.down_create_table(jsonb, jsonb, boolean) FROM PUBLIC;

CREATE FUNCTION upg.down_can_set_expression()
    RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT current_setting('server_version_num')::integer >= 170000
$function$;
COMMENT ON FUNCTION upg.down_can_set_expression() IS 'can ALTER TABLE give a generated column another expression?';
REVOKE ALL ON FUNCTION upg.down_can_set_expression() FROM PUBLIC;

-- One column of a relation that is there: from a to b; of a view that was just made, from
-- nothing.  "converted": its type is made anew; "emptied": its default went before a
-- function is made anew.
CREATE FUNCTION upg.down_column_changes(t jsonb, a jsonb, b jsonb, converted boolean, emptied boolean)
    RETURNS TABLE (phase integer, statements text[])
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
DECLARE
    kind CONSTANT text := CASE t ->> 'kind' WHEN 'FOREIGN TABLE' THEN 'FOREIGN TABLE' WHEN 'VIEW' THEN 'VIEW' WHEN 'MATERIALIZED VIEW' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END;
    head CONSTANT text := format('ALTER %s %s ALTER COLUMN %I ', kind, t ->> 'id', b ->> 'name');
    ours CONSTANT boolean := (b ->> 'inherited')::int = 0 OR (b ->> 'local')::boolean;
    table_like CONSTANT boolean := t ->> 'kind' IN ('TABLE', 'FOREIGN TABLE');
    retyped CONSTANT boolean := a IS NOT NULL AND table_like AND ours AND (b ->> 'inherited')::int = 0
        AND (converted OR (a ->> 'type', a ->> 'collation') IS DISTINCT FROM (b ->> 'type', b ->> 'collation'));
    typ CONSTANT text := (b ->> 'type') || coalesce(' COLLATE ' || (b ->> 'collation'), '');
    col CONSTANT text := quote_ident(b ->> 'name');
    -- a NOT NULL that was valid cannot be so no more
    again CONSTANT boolean := coalesce(a ? 'null constraint' AND b -> 'null constraint' ? 'not valid' AND NOT a -> 'null constraint' ? 'not valid' AND NOT b -> 'null constraint' ? 'inherited', false);
    was CONSTANT text := CASE WHEN NOT a ? 'generated' THEN a ->> 'default' END;
BEGIN
    IF retyped THEN
        IF a ? 'default' AND NOT a ? 'generated' THEN
            RETURN QUERY SELECT 40, ARRAY[head || 'DROP DEFAULT'];
        END IF;
        -- rows that do not fit get their values with the data
        RETURN QUERY SELECT 40, CASE WHEN kind = 'FOREIGN TABLE' THEN ARRAY[head || 'TYPE ' || typ] ELSE ARRAY[
            format('%sTYPE %s USING %s::%s', head, typ, CASE WHEN converted THEN col || '::text' ELSE col END, b ->> 'type'),
            format('%sTYPE %s USING %s::text::%s', head, typ, col, b ->> 'type'),
            format('ALTER TABLE %s ALTER COLUMN %s DROP NOT NULL, ALTER COLUMN %s TYPE %s USING NULL', t ->> 'id', col, col, typ)] END;
    END IF;
    IF a ->> 'generated' = 's' AND NOT b ? 'generated' THEN
        RETURN QUERY SELECT 39, ARRAY[head || 'DROP EXPRESSION'];
    ELSIF b ? 'generated' AND b -> 'generated' = a -> 'generated' AND b -> 'default' <> a -> 'default' AND upg.down_can_set_expression() THEN
        RETURN QUERY SELECT 58, ARRAY[format('%sSET EXPRESSION AS (%s)', head, b ->> 'default')];
    END IF;
    IF NOT b ? 'generated' AND (retyped AND b ? 'default' OR emptied AND b ? 'default' OR was IS DISTINCT FROM (b ->> 'default')
                                AND NOT (retyped AND NOT b ? 'default')) AND (a IS NOT NULL OR b ? 'default') THEN
        RETURN QUERY SELECT 58, ARRAY[head || coalesce('SET DEFAULT ' || upg.down_reparse(b ->> 'default'), 'DROP DEFAULT')];
    END IF;
    IF a ? 'notnull' AND (NOT b ? 'notnull' OR again) AND (ours OR a #> '{handed down,notnull}' IS NULL) THEN
        RETURN QUERY SELECT 40, ARRAY[head || 'DROP NOT NULL'];
    END IF;
    IF b ? 'notnull' AND (retyped OR again OR NOT coalesce(a ? 'notnull', false)) AND NOT coalesce(b -> 'null constraint' ? 'inherited', false) THEN
        RETURN QUERY SELECT 57, ARRAY[CASE WHEN retyped OR coalesce(upg.down_not_null(b), '') = 'NOT NULL' THEN head || 'SET NOT NULL'
            ELSE format('ALTER TABLE %s ADD CONSTRAINT %I NOT NULL %s%s%s', t ->> 'id', b #>> '{null constraint,name}', col,
                        CASE WHEN b -> 'null constraint' ? 'no inherit' THEN ' NO INHERIT' ELSE '' END, CASE WHEN b -> 'null constraint' ? 'not valid' THEN ' NOT VALID' ELSE '' END) END];
    ELSIF a ? 'null constraint' AND b ? 'null constraint' AND NOT b -> 'null constraint' ? 'inherited' THEN
        -- it follows neither table nor column to another name
        IF a #> '{null constraint,name}' <> b #> '{null constraint,name}' THEN
            RETURN QUERY SELECT 40, ARRAY[format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I', t ->> 'id', a #>> '{null constraint,name}', b #>> '{null constraint,name}')];
        END IF;
        IF a -> 'null constraint' ? 'no inherit' <> (b -> 'null constraint' ? 'no inherit') THEN
            RETURN QUERY SELECT 57, ARRAY[format('ALTER TABLE %s ALTER CONSTRAINT %I %sINHERIT', t ->> 'id', b #>> '{null constraint,name}', CASE WHEN b -> 'null constraint' ? 'no inherit' THEN 'NO ' ELSE '' END)];
        END IF;
        IF a -> 'null constraint' ? 'not valid' AND NOT b -> 'null constraint' ? 'not valid' THEN
            RETURN QUERY SELECT 57, ARRAY[format('ALTER TABLE %s VALIDATE CONSTRAINT %I', t ->> 'id', b #>> '{null constraint,name}')];
        END IF;
    END IF;
    IF b ? 'null constraint' AND a #>> '{null constraint,comment}' IS DISTINCT FROM b #>> '{null constraint,comment}' THEN
        RETURN QUERY SELECT 68, ARRAY[format('COMMENT ON CONSTRAINT %I ON %s IS %s', b #>> '{null constraint,name}', t ->> 'id', coalesce(quote_literal(b #>> '{null constraint,comment}'), 'NULL'))];
    END IF;
    IF upg.down_own_identity(a) AND NOT b ? 'identity' THEN
        RETURN QUERY SELECT 39, ARRAY[head || 'DROP IDENTITY'];
    ELSIF upg.down_own_identity(b) AND NOT coalesce(a ? 'identity', false) THEN
        RETURN QUERY SELECT 58, ARRAY[head || 'ADD ' || upg.down_identity(b)];
    ELSIF upg.down_own_identity(b) THEN
        IF a ->> 'identity' IS DISTINCT FROM b ->> 'identity' THEN
            RETURN QUERY SELECT 58, ARRAY[head || 'SET GENERATED ' || CASE b ->> 'identity' WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END];
        END IF;
        IF a #>> '{sequence,id}' <> b #>> '{sequence,id}' THEN
            RETURN QUERY SELECT 34, ARRAY[format('ALTER SEQUENCE %s RENAME TO %s', a #>> '{sequence,id}', (parse_ident(b #>> '{sequence,id}'))[2])];
        END IF;
        IF a #>> '{sequence,options}' <> b #>> '{sequence,options}' THEN
            RETURN QUERY SELECT 58, ARRAY[format('ALTER SEQUENCE %s %s', b #>> '{sequence,id}', b #>> '{sequence,options}')];
        END IF;
    END IF;
    IF b ? 'sequence' AND (CASE WHEN a ? 'sequence' THEN a #> '{sequence,acl}' <> b #> '{sequence,acl}' ELSE (b #>> '{sequence,acl set}')::boolean END) THEN
        RETURN QUERY SELECT 67, ARRAY[g] FROM upg.down_grants('SEQUENCE ' || (b #>> '{sequence,id}'), a #> '{sequence,acl}', b #> '{sequence,acl}', '', '{}') g;
    END IF;
    IF b ? 'sequence' AND a #>> '{sequence,comment}' IS DISTINCT FROM b #>> '{sequence,comment}' THEN
        RETURN QUERY SELECT 68, ARRAY[format('COMMENT ON SEQUENCE %s IS %s', b #>> '{sequence,id}', coalesce(quote_literal(b #>> '{sequence,comment}'), 'NULL'))];
    END IF;
    IF table_like OR kind = 'MATERIALIZED VIEW' THEN
        IF coalesce(b ->> 'storage', b ->> 'natural storage') <> coalesce(CASE WHEN a IS NOT NULL AND NOT retyped THEN coalesce(a ->> 'storage', a ->> 'natural storage') END, b ->> 'natural storage') THEN
            RETURN QUERY SELECT 40, ARRAY[head || 'SET STORAGE ' || CASE coalesce(b ->> 'storage', b ->> 'natural storage') WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL'
                                                 WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END];
        END IF;
        IF a IS NOT NULL AND a ->> 'compression' IS DISTINCT FROM b ->> 'compression' THEN
            RETURN QUERY SELECT 40, ARRAY[head || 'SET COMPRESSION ' || coalesce(b ->> 'compression', 'DEFAULT')];
        END IF;
        IF coalesce(a ->> 'statistics', '-1') <> coalesce(b ->> 'statistics', '-1') THEN
            RETURN QUERY SELECT 40, ARRAY[head || 'SET STATISTICS ' || coalesce(b ->> 'statistics', '-1')];
        END IF;
        RETURN QUERY SELECT 40, ARRAY[head || s] FROM upg.down_set_clauses(
            upg.down_set(to_jsonb(string_to_array(a ->> 'options', ', ')), ''), upg.down_set(to_jsonb(string_to_array(b ->> 'options', ', ')), '')) s;
    END IF;
    IF a -> 'fdw' IS DISTINCT FROM b -> 'fdw' THEN
        RETURN QUERY SELECT 40, ARRAY[head || upg.down_fdw_changes(coalesce(a -> 'fdw', '{}'), b -> 'fdw')];
    END IF;
    IF a -> 'acl' IS DISTINCT FROM b -> 'acl' THEN
        RETURN QUERY SELECT 67, ARRAY[g] FROM upg.down_grants('TABLE ' || (t ->> 'id'), a -> 'acl', b -> 'acl', ' (' || quote_ident(b ->> 'name') || ')',
                                                                 CASE WHEN t ? 'only differing' THEN NULL ELSE '{}'::text[] END) g;
    END IF;
    IF a ->> 'comment' IS DISTINCT FROM b ->> 'comment' THEN
        RETURN QUERY SELECT 68, ARRAY[format('COMMENT ON COLUMN %s.%I IS %s', t ->> 'id', b ->> 'name', coalesce(quote_literal(b ->> 'comment'), 'NULL'))];
    END IF;
    RETURN QUERY SELECT 68, ARRAY[format('SECURITY LABEL FOR %I ON COLUMN %s.%I IS %s', coalesce(x.key, y.key), t ->> 'id', b ->> 'name', coalesce(quote_literal(y.value), 'NULL'))]
    FROM jsonb_each_text(a -> 'labels') x FULL JOIN jsonb_each_text(b -> 'labels') y USING (key) WHERE x.value IS DISTINCT FROM y.value;
END
$function$;
COMMENT ON FUNCTION upg.down_column_changes(jsonb, jsonb, jsonb, boolean, boolean) IS 'statements about one column';
REVOKE ALL ON FUNCTION upg.down_column_changes(jsonb, jsonb, jsonb, boolean, boolean) FROM PUBLIC;

-- The index of an INDEX or of a CONSTRAINT, which may have just been made (a is null).
CREATE FUNCTION upg.down_index_changes(a jsonb, b jsonb)
    RETURNS SETOF text
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT format('ALTER INDEX %s SET TABLESPACE %s', b ->> 'index', coalesce(b ->> 'tablespace', 'pg_default')) WHERE a -> 'tablespace' IS DISTINCT FROM b -> 'tablespace'
UNION ALL
SELECT format('ALTER INDEX %s %s', b ->> 'index', s) FROM upg.down_set_clauses(upg.down_set(a -> 'options', ''), upg.down_set(b -> 'options', '')) s
UNION ALL
SELECT format('ALTER INDEX %s ALTER COLUMN %s SET STATISTICS %s', b ->> 'index', coalesce(p.key, q.key), coalesce(q.value, '-1'))
FROM jsonb_each_text(a -> 'targets') p FULL JOIN jsonb_each_text(b -> 'targets') q USING (key) WHERE p.value IS DISTINCT FROM q.value
$function$;
COMMENT ON FUNCTION upg.down_index_changes(jsonb, jsonb) IS 'statements about an index: tablespace, storage options, statistics targets';
REVOKE ALL ON FUNCTION upg.down_index_changes(jsonb, jsonb) FROM PUBLIC;

-- A relation that is there, or has just been made (a is null): all but its columns.
CREATE FUNCTION upg.down_relation_changes(a jsonb, b jsonb)
    RETURNS TABLE (phase integer, statements text[])
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
DECLARE
    head CONSTANT text := format('ALTER %s %s ', b ->> 'kind', b ->> 'id');
    made CONSTANT text := CASE WHEN a IS NULL AND b ->> 'kind' IN ('TABLE', 'FOREIGN TABLE') THEN upg.down_create_table(b, NULL, false) END;
    c text;
BEGIN
    IF b ->> 'kind' = 'SEQUENCE' THEN
        IF a IS NOT NULL AND a -> 'sequence' <> b -> 'sequence' THEN
            RETURN QUERY SELECT 40, ARRAY[format('ALTER SEQUENCE %s AS %s %s', b ->> 'id', b #>> '{sequence,type}', b #>> '{sequence,options}')];
        END IF;
        IF (a -> 'owned by key', a -> 'owned by column') IS DISTINCT FROM (b -> 'owned by key', b -> 'owned by column') AND (a IS NOT NULL OR b ? 'owned by') THEN
            RETURN QUERY SELECT 59, ARRAY[format('ALTER SEQUENCE %s OWNED BY %s', b ->> 'id', coalesce(b ->> 'owned by', 'NONE'))];
        END IF;
    END IF;
    IF b ->> 'relkind' IN ('r', 'm', 'S') AND a ->> 'persistence' <> b ->> 'persistence' THEN
        RETURN QUERY SELECT 42, ARRAY[head || CASE b ->> 'persistence' WHEN 'u' THEN 'SET UNLOGGED' ELSE 'SET LOGGED' END];
    END IF;
    IF a IS NOT NULL AND a ->> 'am' IS DISTINCT FROM b ->> 'am' THEN
        RETURN QUERY SELECT 42, ARRAY[head || 'SET ACCESS METHOD ' || coalesce(b ->> 'am', 'DEFAULT')];
    END IF;
    IF a IS NOT NULL AND b ->> 'kind' = 'FOREIGN TABLE' AND a -> 'fdw' IS DISTINCT FROM b -> 'fdw' THEN
        RETURN QUERY SELECT 42, ARRAY[head || upg.down_fdw_changes(coalesce(a -> 'fdw', '{}'), b -> 'fdw')];
    END IF;
    IF a IS NOT NULL AND b ->> 'kind' IN ('TABLE', 'MATERIALIZED VIEW') AND a ->> 'tablespace' IS DISTINCT FROM b ->> 'tablespace' THEN
        RETURN QUERY SELECT 42, ARRAY[head || 'SET TABLESPACE ' || coalesce(b ->> 'tablespace', 'pg_default')];
    END IF;
    IF a IS NOT NULL THEN
        RETURN QUERY SELECT 42, ARRAY[head || s] FROM upg.down_set_clauses(
            upg.down_set(a -> 'options', '') || upg.down_set(a -> 'toast options', 'toast.'), upg.down_set(b -> 'options', '') || upg.down_set(b -> 'toast options', 'toast.')) s;
        IF a ->> 'of type' IS DISTINCT FROM b ->> 'of type' THEN
            RETURN QUERY SELECT 42, ARRAY[head || coalesce('OF ' || (b ->> 'of type'), 'NOT OF')];
        END IF;
    ELSIF b ? 'of type' THEN
        RETURN QUERY SELECT 42, ARRAY[head || 'OF ' || (b ->> 'of type')];
    END IF;
    -- parents: of a partition one, with its bound
    IF b ? 'bound' THEN
        IF (a IS NULL AND NOT upg.down_is_part(b)) OR a IS NOT NULL AND (a -> 'parents' IS DISTINCT FROM b -> 'parents' OR a ->> 'bound' IS DISTINCT FROM b ->> 'bound') THEN
            RETURN QUERY SELECT CASE WHEN b ? 'partition key' THEN 48 ELSE 49 END, ARRAY[format('ALTER TABLE %s ATTACH PARTITION %s %s', b -> 'parent names' ->> 0, b ->> 'id', b ->> 'bound')];
        END IF;
    ELSIF a IS NOT NULL OR made !~ 'INHERITS \(' THEN
        FOR c IN SELECT n FROM jsonb_array_elements(b -> 'parents') WITH ORDINALITY p (o, i) JOIN jsonb_array_elements_text(b -> 'parent names') WITH ORDINALITY q (n, i) USING (i)
                 WHERE a IS NULL OR NOT coalesce(a -> 'parents' @> o, false) ORDER BY i LOOP
            RETURN QUERY SELECT 63, ARRAY[head || 'INHERIT ' || c];
        END LOOP;
    END IF;
    IF (a ->> 'rls')::boolean IS DISTINCT FROM (b ->> 'rls')::boolean AND ((b ->> 'rls')::boolean OR a IS NOT NULL) THEN
        RETURN QUERY SELECT 66, ARRAY[head || CASE WHEN (b ->> 'rls')::boolean THEN 'ENABLE' ELSE 'DISABLE' END || ' ROW LEVEL SECURITY'];
    END IF;
    IF (a ->> 'force rls')::boolean IS DISTINCT FROM (b ->> 'force rls')::boolean AND ((b ->> 'force rls')::boolean OR a IS NOT NULL) THEN
        RETURN QUERY SELECT 66, ARRAY[head || CASE WHEN (b ->> 'force rls')::boolean THEN '' ELSE 'NO ' END || 'FORCE ROW LEVEL SECURITY'];
    END IF;
    IF b ? 'replica' AND (coalesce(a ->> 'replica', 'd'), a ->> 'replica index') IS DISTINCT FROM (b ->> 'replica', b ->> 'replica index') THEN
        RETURN QUERY SELECT 66, ARRAY[head || 'REPLICA IDENTITY ' || CASE b ->> 'replica' WHEN 'd' THEN 'DEFAULT' WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING'
                                              ELSE 'USING INDEX ' || coalesce(b ->> 'replica index', '') END];
    END IF;
    IF a ->> 'clustered' IS DISTINCT FROM b ->> 'clustered' THEN
        RETURN QUERY SELECT 66, ARRAY[head || coalesce('CLUSTER ON ' || (b ->> 'clustered'), 'SET WITHOUT CLUSTER')];
    END IF;
END
$function$;
COMMENT ON FUNCTION upg.down_relation_changes(jsonb, jsonb) IS 'statements about a relation besides its columns';
REVOKE ALL ON FUNCTION upg.down_relation_changes(jsonb, jsonb) FROM PUBLIC;
