-- Drift as statements, from two images of objects: what makes the second of the first.
-- What is not a relation is rendered as for upg_down() (71 to 74).
CREATE FUNCTION upg.ddl_name(object text)
    RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT regexp_replace(object, '^(materialized view|foreign table|event trigger|foreign-data wrapper|text search (?:configuration|dictionary|parser|template)|operator (?:class|family)|[a-z]+) ', '')
$function$;
COMMENT ON FUNCTION upg.ddl_name(text) IS 'the name in what an image calls an object';
REVOKE ALL ON FUNCTION upg.ddl_name(text) FROM PUBLIC;

CREATE FUNCTION upg.ddl_kind(object text)
    RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT substring(object FROM '^(materialized view|foreign table|event trigger|foreign-data wrapper|text search (?:configuration|dictionary|parser|template)|operator (?:class|family)|column|constraint|trigger|rule|policy|table|view|sequence|index|function|procedure|aggregate|type|statistics|schema|extension'
                   '|collation|conversion|language|server|publication) ')
$function$;
COMMENT ON FUNCTION upg.ddl_kind(text) IS 'the kind in what an image calls an object, null if statements cannot be written for it';
REVOKE ALL ON FUNCTION upg.ddl_kind(text) FROM PUBLIC;

-- 'column s.t.c' has the table s.t and the column c; 'trigger g on table s.t' likewise.
CREATE FUNCTION upg.ddl_part(object text)
    RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT CASE WHEN object LIKE 'column %' THEN substring(object FROM '\.("(?:[^"]|"")+"|[^".]+)$')
            ELSE substring(object FROM '^[a-z]+ ("(?:[^"]|"")+"|\S+) on ') END
$function$;
COMMENT ON FUNCTION upg.ddl_part(text) IS 'name of a column, constraint, trigger, rule or policy';
REVOKE ALL ON FUNCTION upg.ddl_part(text) FROM PUBLIC;

CREATE FUNCTION upg.ddl_sequence(options text)
    RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT format('AS %s START WITH %s INCREMENT BY %s MINVALUE %s MAXVALUE %s CACHE %s%s', m[1], m[2], m[3], m[4], m[5], m[6],
              CASE WHEN m[7] IS NULL THEN ' NO CYCLE' ELSE ' CYCLE' END)
FROM regexp_match(options, '^(.*) start (\S+) increment (\S+) min (\S+) max (\S+) cache (\S+)( cycle)?$') m
$function$;
COMMENT ON FUNCTION upg.ddl_sequence(text) IS 'options of a sequence as a statement takes them';
REVOKE ALL ON FUNCTION upg.ddl_sequence(text) FROM PUBLIC;

-- Privileges as the functions for readable downs want them, without who granted them.
CREATE FUNCTION upg.ddl_acl(privileges text)
    RETURNS jsonb
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT jsonb_agg(jsonb_build_array(x.grantee, NULL, x.is_grantable, x.privileges) ORDER BY x.grantee, x.is_grantable)
FROM (SELECT CASE WHEN e.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(e.grantee)) END AS grantee, e.is_grantable,
             string_agg(e.privilege_type, ', ' ORDER BY e.privilege_type) AS privileges
      FROM aclexplode(string_to_array(nullif(privileges, 'none'), ', ')::aclitem[]) e GROUP BY 1, 2) x
$function$;
COMMENT ON FUNCTION upg.ddl_acl(text) IS 'privileges of an image as arrays of grantee, null, grant option, privileges';
REVOKE ALL ON FUNCTION upg.ddl_acl(text) FROM PUBLIC;

CREATE FUNCTION upg.ddl_options(options text)
    RETURNS jsonb
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT jsonb_object_agg(split_part(o, '=', 1), substr(o, strpos(o, '=') + 1)) FROM regexp_split_to_table(options, ', (?=[\w.]+=)') o WHERE o <> ''
$function$;
COMMENT ON FUNCTION upg.ddl_options(text) IS 'options of an image as an object';
REVOKE ALL ON FUNCTION upg.ddl_options(text) FROM PUBLIC;

-- A column of an image as the functions for readable downs want it.
CREATE FUNCTION upg.ddl_column_definition(object text, image jsonb)
    RETURNS jsonb
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT jsonb_strip_nulls(jsonb_build_object(
    'name', (parse_ident(upg.ddl_part(object)))[1], 'type', a -> 'type', 'collation', a -> 'collation',
    'notnull', CASE WHEN a ? 'not null' THEN true END,
    'default', coalesce(a -> 'default', a -> 'generated'), 'generated', CASE WHEN a ? 'generated' THEN 's' END,
    'identity', CASE a ->> 'identity' WHEN 'always' THEN 'a' WHEN 'by default' THEN 'd' END,
    -- one that is not as the server makes it
    'sequence', (SELECT jsonb_build_object('id', upg.ddl_name(e.key), 'options', regexp_replace(upg.ddl_sequence(e.value ->> 'sequence'), '^AS \w+ ', ''))
                 FROM jsonb_each(image) e WHERE a ? 'identity' AND e.key LIKE 'sequence %' AND e.value ->> 'of' = object
                   AND e.value ->> 'sequence' !~ '^(smallint start 1 increment 1 min 1 max 32767|integer start 1 increment 1 min 1 max 2147483647|bigint start 1 increment 1 min 1 max 9223372036854775807) cache 1$'),
    'storage', CASE a ->> 'storage' WHEN 'plain' THEN 'p' WHEN 'external' THEN 'e' WHEN 'main' THEN 'm' WHEN 'extended' THEN 'x' END,
    'natural storage', coalesce((SELECT t.typstorage FROM pg_type t WHERE t.oid = to_regtype(a ->> 'type')), 'x'),
    'compression', CASE a ->> 'compression' WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END, 'statistics', a -> 'statistics target',
    'options', a -> 'options', 'fdw', upg.ddl_options(a ->> 'foreign options'), 'acl', upg.ddl_acl(a ->> 'privileges'),
    'local', a ->> 'inherited' IS DISTINCT FROM 'only', 'inherited', CASE WHEN a ? 'inherited' THEN 1 ELSE 0 END, 'comment', a -> 'comment'))
FROM (SELECT image -> object) x (a) WHERE a IS NOT NULL
$function$;
COMMENT ON FUNCTION upg.ddl_column_definition(text, jsonb) IS 'a column with everything that DDL can say about it';
REVOKE ALL ON FUNCTION upg.ddl_column_definition(text, jsonb) FROM PUBLIC;

CREATE FUNCTION upg.ddl_column(object text, image jsonb)
    RETURNS text
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT concat_ws(' ', upg.down_column(c - 'compression'), 'GENERATED ' || upper(image #>> ARRAY[object, 'identity']) || ' AS IDENTITY',
                 '(SEQUENCE NAME ' || (c #>> '{sequence,id}') || ' ' || (c #>> '{sequence,options}') || ')',
                 CASE WHEN c ? 'notnull' AND NOT c ? 'identity' THEN 'NOT NULL' END)
FROM (SELECT upg.ddl_column_definition(object, image)) x (c)
$function$;
COMMENT ON FUNCTION upg.ddl_column(text, jsonb) IS 'a column as the statement that makes its table has it';
REVOKE ALL ON FUNCTION upg.ddl_column(text, jsonb) FROM PUBLIC;

-- From how a column is (in "before") to how it is to be (in "after"); of one that was
-- just made only what the statement that made it does not say.
CREATE FUNCTION upg.ddl_column_changes(object text, before jsonb, after jsonb)
    RETURNS TABLE (phase integer, statement text, note text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
DECLARE
    b CONSTANT jsonb := upg.ddl_column_definition(object, after);
    a CONSTANT jsonb := coalesce(upg.ddl_column_definition(object, before),
                                 b - '{storage,compression,statistics,options,fdw,acl,comment}'::text[]);
    rel CONSTANT text := after -> object ->> 'of';
BEGIN
    RETURN QUERY
    SELECT CASE WHEN c.phase = 39 THEN 51 WHEN c.phase < 57 THEN 52 WHEN c.phase < 60 THEN 53 WHEN c.phase = 67 THEN 81 ELSE 82 END, c.statements[1],
           CASE WHEN a -> 'type' <> b -> 'type' AND c.statements[1] LIKE '% TYPE %' THEN 'rewrites the table; values are cast' END
    FROM upg.down_column_changes(jsonb_build_object('kind', upper(upg.ddl_kind(rel)), 'id', upg.ddl_name(rel), 'only differing', true), a, b, false, false, false) c;
    IF a ? 'generated' AND NOT b ? 'generated' THEN
        RETURN QUERY SELECT 51, format('ALTER TABLE %s ALTER COLUMN %I DROP EXPRESSION', upg.ddl_name(rel), b ->> 'name'), NULL::text;
    ELSIF (a ->> 'generated', a ->> 'default') IS DISTINCT FROM (b ->> 'generated', b ->> 'default') AND b ? 'generated' THEN
        RETURN QUERY SELECT 90, NULL::text, format('%s is to be generated as %s, which only a new column can be', object, b ->> 'default');
    END IF;
    IF (a -> 'inherited', a -> 'local') IS DISTINCT FROM (b -> 'inherited', b -> 'local') AND before -> rel ->> 'inherits' IS NOT DISTINCT FROM after -> rel ->> 'inherits' THEN
        RETURN QUERY SELECT 90, NULL::text, format('inherited of %s was %s, is to be %s', object, coalesce(before -> object ->> 'inherited', 'not set'), coalesce(after -> object ->> 'inherited', 'not set'));
    END IF;
END
$function$;
COMMENT ON FUNCTION upg.ddl_column_changes(text, jsonb, jsonb) IS 'statements about one column';
REVOKE ALL ON FUNCTION upg.ddl_column_changes(text, jsonb, jsonb) FROM PUBLIC;

CREATE FUNCTION upg.ddl_create_table(name text, a jsonb, image jsonb)
    RETURNS text
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT concat_ws(' ', CASE WHEN a ? 'persistence' THEN 'CREATE UNLOGGED TABLE' ELSE 'CREATE TABLE' END, name,
    CASE WHEN a ? 'partition bound' THEN format('PARTITION OF %s %s', a ->> 'inherits', a ->> 'partition bound')
         ELSE concat_ws(' ', coalesce((SELECT E'(\n    ' || string_agg(upg.ddl_column(k, image), E',\n    ' ORDER BY n) || E'\n)'
              FROM jsonb_array_elements_text(a -> 'columns') WITH ORDINALITY u (c, n), LATERAL (SELECT 'column ' || name || '.' || quote_ident(c)) l (k)
              WHERE image ? k AND image #>> ARRAY[k, 'inherited'] IS DISTINCT FROM 'only'), '()'), 'INHERITS (' || (a ->> 'inherits') || ')') END,
    'PARTITION BY ' || (a ->> 'partition key'), 'USING ' || quote_ident(a ->> 'access method'), 'WITH (' || (a ->> 'options') || ')',
    'TABLESPACE ' || quote_ident(a ->> 'tablespace'))
$function$;
COMMENT ON FUNCTION upg.ddl_create_table(text, jsonb, jsonb) IS 'the statement that makes a table with its columns';
REVOKE ALL ON FUNCTION upg.ddl_create_table(text, jsonb, jsonb) FROM PUBLIC;

-- Everything that makes an object of the kinds that statements can be written for.
CREATE FUNCTION upg.ddl_create(object text, image jsonb, OUT phase integer, OUT statement text)
    RETURNS record
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
DECLARE
    a jsonb := image -> object;
    name text := upg.ddl_name(object);
    part text := upg.ddl_part(object);
    rel text := upg.ddl_name(a ->> 'of');
BEGIN
    CASE upg.ddl_kind(object)
        WHEN 'sequence' THEN
            phase := 44; statement := 'CREATE SEQUENCE ' || name || ' ' || upg.ddl_sequence(a ->> 'sequence');
        WHEN 'table' THEN
            phase := 48; statement := upg.ddl_create_table(name, a, image);
        WHEN 'foreign table' THEN
            phase := 49;
            statement := format('CREATE FOREIGN TABLE %s (%s) SERVER %I %s', name,
                (SELECT string_agg(upg.ddl_column(k, image), ', ' ORDER BY n)
                 FROM jsonb_array_elements_text(a -> 'columns') WITH ORDINALITY u (c, n), LATERAL (SELECT 'column ' || name || '.' || quote_ident(c)) l (k) WHERE image ? k),
                split_part(a ->> 'foreign table', ' ', 1), upg.ddl_foreign_options(nullif(substr(a ->> 'foreign table', strpos(a ->> 'foreign table' || ' ', ' ') + 1), ''), NULL));
        WHEN 'column' THEN
            phase := 50;
            statement := format('ALTER TABLE %s ADD COLUMN %s', rel, upg.ddl_column(object, image));
        WHEN 'index' THEN
            phase := CASE WHEN a ->> 'of' LIKE 'materialized%' THEN 63 ELSE 54 END; statement := a ->> 'definition';
        WHEN 'constraint' THEN
            phase := CASE WHEN a ->> 'definition' LIKE 'FOREIGN KEY%' THEN 58 ELSE 56 END;
            statement := format('ALTER %s %s ADD CONSTRAINT %s %s', CASE WHEN a ->> 'of' LIKE 'type %' THEN 'DOMAIN' ELSE 'TABLE' END, rel, part, a ->> 'definition');
        WHEN 'view', 'materialized view' THEN
            phase := 60;
            statement := concat_ws(' ', 'CREATE', CASE upg.ddl_kind(object) WHEN 'view' THEN 'OR REPLACE VIEW' ELSE 'MATERIALIZED VIEW' END, name,
                                   '(' || (SELECT string_agg(quote_ident(c), ', ' ORDER BY n) FROM jsonb_array_elements_text(a -> 'columns') WITH ORDINALITY u (c, n)) || ')',
                                   'WITH (' || (a ->> 'options') || ')', 'AS', E'\n' || rtrim(a ->> 'definition', ';'),
                                   CASE WHEN a ? 'populated' THEN 'WITH NO DATA' END);
        WHEN 'trigger', 'rule' THEN
            phase := 64; statement := rtrim(a ->> 'definition', ';');
        WHEN 'policy' THEN
            phase := 64;
            statement := concat_ws(' ', 'CREATE POLICY', part, 'ON', rel, CASE WHEN a ? 'permissive' THEN 'AS RESTRICTIVE' END,
                                   'FOR ' || CASE a ->> 'command' WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
                                   'TO ' || (a ->> 'roles'), 'USING (' || (a ->> 'using') || ')', 'WITH CHECK (' || (a ->> 'with check') || ')');
        WHEN 'statistics' THEN
            phase := 55; statement := a ->> 'definition';
        ELSE
            phase := 90;
    END CASE;
END
$function$;
COMMENT ON FUNCTION upg.ddl_create(text, jsonb) IS 'the statement that makes an object, null if it is made by hand';
REVOKE ALL ON FUNCTION upg.ddl_create(text, jsonb) FROM PUBLIC;

CREATE FUNCTION upg.ddl_drop(object text, a jsonb, OUT phase integer, OUT statement text, OUT note text)
    RETURNS record
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
DECLARE
    name text := upg.ddl_name(object);
    part text := upg.ddl_part(object);
    rel text := upg.ddl_name(a ->> 'of');
    kind text := upg.ddl_kind(object);
BEGIN
    CASE
        WHEN kind IN ('trigger', 'rule', 'policy') THEN
            phase := 10; statement := format('DROP %s %s ON %s', upper(kind), part, rel);
        WHEN kind IN ('view', 'materialized view') THEN
            phase := 12; statement := format('DROP %s %s', upper(kind), name);
        WHEN kind = 'constraint' THEN
            phase := CASE WHEN a ->> 'definition' LIKE 'FOREIGN KEY%' THEN 14 ELSE 16 END;
            statement := format('ALTER %s %s DROP CONSTRAINT %s', CASE WHEN a ->> 'of' LIKE 'type %' THEN 'DOMAIN' ELSE 'TABLE' END, rel, part);
        WHEN kind IN ('index', 'statistics') THEN
            phase := 18; statement := format('DROP %s %s', upper(kind), name);
        WHEN kind = 'column' AND a ->> 'of' LIKE 'type %' THEN
            phase := 22; statement := format('ALTER TYPE %s DROP ATTRIBUTE %s', rel, part);
        WHEN kind = 'column' THEN
            phase := 22; statement := format('ALTER TABLE %s DROP COLUMN %s', rel, part); note := 'the values of the column are lost';
        WHEN kind = 'table' THEN
            phase := 24; statement := 'DROP TABLE ' || name; note := 'the rows of the table are lost';
        WHEN kind = 'foreign table' THEN
            phase := 24; statement := 'DROP FOREIGN TABLE ' || name;
        WHEN kind = 'sequence' THEN
            phase := 26; statement := 'DROP SEQUENCE ' || name; note := 'the value of the sequence is lost';
        ELSE
            phase := 90;
    END CASE;
END
$function$;
COMMENT ON FUNCTION upg.ddl_drop(text, jsonb) IS 'the statement that takes an object away, and what is lost by it';
REVOKE ALL ON FUNCTION upg.ddl_drop(text, jsonb) FROM PUBLIC;

-- How ALTER, GRANT and COMMENT name an object.
CREATE FUNCTION upg.ddl_target(object text, a jsonb)
    RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT CASE WHEN upg.ddl_kind(object) IN ('trigger', 'rule', 'policy') THEN format('%s %s ON %s', upper(upg.ddl_kind(object)), upg.ddl_part(object), upg.ddl_name(a ->> 'of'))
            WHEN upg.ddl_kind(object) = 'constraint' THEN format('CONSTRAINT %s ON %s%s', upg.ddl_part(object),
                 CASE WHEN a ->> 'of' LIKE 'type %' THEN 'DOMAIN ' ELSE '' END, upg.ddl_name(a ->> 'of'))
            ELSE upper(upg.ddl_kind(object)) || ' ' || upg.ddl_name(object) END
$function$;
COMMENT ON FUNCTION upg.ddl_target(text, jsonb) IS 'kind and name of an object in a statement';
REVOKE ALL ON FUNCTION upg.ddl_target(text, jsonb) FROM PUBLIC;

-- OPTIONS of a foreign object; with the earlier ones, what makes these of them.
CREATE FUNCTION upg.ddl_foreign_options(options text, earlier text)
    RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
WITH now AS (
    SELECT e.key AS name, e.value FROM jsonb_each_text(upg.ddl_options(options)) e
), was AS (
    SELECT e.key AS name, e.value FROM jsonb_each_text(upg.ddl_options(earlier)) e
)
SELECT 'OPTIONS (' || string_agg(x, ', ') || ')' FROM (
    SELECT CASE WHEN w.name IS NULL THEN CASE WHEN earlier IS NULL THEN '' ELSE 'ADD ' END || quote_ident(n.name) || ' ' || quote_literal(n.value)
                WHEN n.name IS NULL THEN 'DROP ' || quote_ident(w.name)
                ELSE 'SET ' || quote_ident(n.name) || ' ' || quote_literal(n.value) END
    FROM now n FULL JOIN was w USING (name) WHERE n.value IS DISTINCT FROM w.value) o (x)
$function$;
COMMENT ON FUNCTION upg.ddl_foreign_options(text, text) IS 'OPTIONS clause of a foreign table or column';
REVOKE ALL ON FUNCTION upg.ddl_foreign_options(text, text) FROM PUBLIC;

-- One attribute that is other than before.
CREATE FUNCTION upg.ddl_change(object text, attribute text, was text, is_now text, before jsonb, after jsonb,
                               OUT phase integer, OUT statement text, OUT note text)
    RETURNS SETOF record
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
DECLARE
    kind text := upg.ddl_kind(object);
    target text := upg.ddl_target(object, after);
    alter_it text := CASE WHEN kind IN ('table', 'view', 'materialized view', 'sequence', 'index', 'foreign table', 'statistics') THEN 'ALTER ' || target END;
    part_of_name text := substring(upg.ddl_name(object) FROM '\.("(?:[^"]|"")+"|[^".]+)$');
    rel text := upg.ddl_name(after ->> 'of');
    part text := upg.ddl_part(object);
    gone text[];
    usual jsonb;
BEGIN
    phase := 52;
    CASE
        WHEN attribute = 'comment' THEN
            phase := 82; statement := format('COMMENT ON %s IS %s', target, coalesce(quote_literal(is_now), 'NULL'));
        WHEN attribute = 'owner' AND alter_it IS NOT NULL THEN
            phase := 80; statement := format('%s OWNER TO %I', alter_it, is_now);
        WHEN attribute = 'privileges' AND kind IS NOT NULL THEN
            phase := 81;
            usual := upg.down_usual_acl(jsonb_build_object('kind', upper(kind), 'owner', quote_ident(after ->> 'owner')));
            FOR statement IN SELECT * FROM upg.down_grants(CASE WHEN kind IN ('view', 'materialized view', 'foreign table') THEN 'TABLE ' || upg.ddl_name(object) ELSE target END,
                    CASE WHEN was IS NULL THEN usual ELSE upg.ddl_acl(was) END, CASE WHEN is_now IS NULL THEN usual ELSE upg.ddl_acl(is_now) END, '', NULL) LOOP
                RETURN NEXT;
            END LOOP;
            RETURN;
        WHEN attribute = 'options' AND kind IN ('table', 'view', 'materialized view', 'index') THEN
            SELECT array_agg(split_part(o, '=', 1)) INTO gone FROM regexp_split_to_table(was, ', ') o
            WHERE split_part(o, '=', 1) NOT IN (SELECT split_part(x, '=', 1) FROM regexp_split_to_table(coalesce(is_now, ''), ', ') x);
            IF gone IS NOT NULL THEN
                statement := format('%s RESET (%s)', alter_it, array_to_string(gone, ', '));
                RETURN NEXT;
            END IF;
            IF is_now IS NULL THEN
                RETURN;
            END IF;
            statement := format('%s SET (%s)', alter_it, is_now);
        WHEN kind = 'table' AND attribute = 'persistence' THEN
            statement := alter_it || CASE WHEN is_now IS NULL THEN ' SET LOGGED' ELSE ' SET UNLOGGED' END;
            note := 'rewrites the table';
        WHEN attribute = 'tablespace' AND kind IN ('table', 'index', 'materialized view') THEN
            statement := format('%s SET TABLESPACE %I', alter_it, coalesce(is_now, 'pg_default'));
        WHEN kind = 'table' AND attribute = 'row security' THEN
            statement := alter_it || CASE WHEN is_now IS NULL THEN ' DISABLE ROW LEVEL SECURITY' ELSE ' ENABLE ROW LEVEL SECURITY' END;
        WHEN kind = 'table' AND attribute = 'forced row security' THEN
            statement := alter_it || CASE WHEN is_now IS NULL THEN ' NO FORCE ROW LEVEL SECURITY' ELSE ' FORCE ROW LEVEL SECURITY' END;
        WHEN kind = 'table' AND attribute = 'replica identity' THEN
            statement := alter_it || ' REPLICA IDENTITY ' || CASE is_now WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING' ELSE 'DEFAULT' END;
        WHEN kind = 'sequence' AND attribute = 'sequence' THEN
            statement := alter_it || ' ' || upg.ddl_sequence(is_now);
        WHEN kind = 'sequence' AND attribute = 'owned by' AND NOT coalesce(after ? 'identity of', false) THEN
            phase := 57; statement := alter_it || ' OWNED BY ' || coalesce(is_now, 'NONE');
        WHEN kind IN ('trigger', 'rule') AND attribute = 'enabled' THEN
            phase := 65;
            statement := format('ALTER TABLE %s %s %s %s', rel, CASE is_now WHEN 'D' THEN 'DISABLE' WHEN 'A' THEN 'ENABLE ALWAYS' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE' END,
                                upper(kind), part);
        WHEN attribute = 'foreign table' AND split_part(was, ' ', 1) = split_part(is_now, ' ', 1) THEN
            statement := alter_it || ' ' || upg.ddl_foreign_options(nullif(substr(is_now, strpos(is_now || ' ', ' ') + 1), ''), coalesce(substr(was, strpos(was || ' ', ' ') + 1), ''));
        WHEN kind = 'index' AND attribute = 'clustered' THEN
            statement := format('ALTER TABLE %s %s', regexp_replace(after ->> 'of', '^(constraint .* on )?(table|materialized view) ', ''),
                                CASE WHEN is_now IS NULL THEN 'SET WITHOUT CLUSTER' ELSE 'CLUSTER ON ' || part_of_name END);
            phase := 57;
        WHEN kind = 'index' AND attribute = 'replica identity' THEN
            IF is_now IS NULL THEN
                RETURN; -- the table gets another
            END IF;
            statement := format('ALTER TABLE %s REPLICA IDENTITY USING INDEX %s', regexp_replace(after ->> 'of', '^(constraint .* on )?(table|materialized view) ', ''), part_of_name);
            phase := 57;
        WHEN kind = 'table' AND attribute = 'replica identity' AND is_now = 'i' THEN
            RETURN; -- with the index
        WHEN kind = 'table' AND attribute IN ('inherits', 'partition bound') AND (before ? 'partition bound' OR after ? 'partition bound') THEN
            -- one statement says both
            IF attribute = 'inherits' AND before ->> 'partition bound' IS DISTINCT FROM after ->> 'partition bound' THEN
                RETURN;
            END IF;
            IF before ? 'partition bound' THEN
                phase := 11; statement := format('ALTER TABLE %s DETACH PARTITION %s', before ->> 'inherits', upg.ddl_name(object));
                RETURN NEXT;
            END IF;
            IF NOT after ? 'partition bound' THEN
                RETURN;
            END IF;
            phase := 57; statement := format('ALTER TABLE %s ATTACH PARTITION %s %s', after ->> 'inherits', upg.ddl_name(object), after ->> 'partition bound');
        WHEN kind = 'table' AND attribute = 'inherits' THEN
            FOR phase, statement IN
                SELECT 11, alter_it || ' NO INHERIT ' || x FROM (SELECT regexp_split_to_table(was, ', ') EXCEPT SELECT regexp_split_to_table(is_now, ', ')) w (x)
                UNION ALL SELECT 57, alter_it || ' INHERIT ' || x FROM (SELECT regexp_split_to_table(is_now, ', ') EXCEPT SELECT regexp_split_to_table(was, ', ')) n (x)
            LOOP
                RETURN NEXT;
            END LOOP;
            RETURN;
        WHEN attribute = 'column order' THEN
            RETURN; -- follows from columns that come and go
        ELSE
            phase := 90;
            note := format('%s of %s was %s, is to be %s', attribute, object, coalesce(was, 'not set'), coalesce(is_now, 'not set'));
    END CASE;
    RETURN NEXT;
END
$function$;
COMMENT ON FUNCTION upg.ddl_change(text, text, text, text, jsonb, jsonb) IS 'the statements that change one attribute of an object';
REVOKE ALL ON FUNCTION upg.ddl_change(text, text, text, text, jsonb, jsonb) FROM PUBLIC;

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
            old_name := regexp_replace(regexp_replace(r.old_name, ' USING \w+$', ''), '([^\w])', '\\\1', 'g');
            new_name := replace(regexp_replace(r.new_name, ' USING \w+$', ''), '\', '\\');
            lines := regexp_replace(lines, '(?<![\w$."\\])' || old_name || CASE WHEN r.kind = 'schema' THEN '(?=\.|")' ELSE '(?![\w$])' END, new_name, 'g');
            -- at the beginning of a value, which a key is not
            lines := regexp_replace(lines, '(?<=[^\\]")' || old_name || CASE WHEN r.kind = 'schema' THEN '(?=\.)' ELSE '(?![\w$]|":)' END, new_name, 'g');
        ELSE
            result := '{}';
            SELECT jsonb_object_agg(CASE WHEN e.key = r.old THEN r.new ELSE e.key END,
                       CASE WHEN e.value ->> 'of' = r.of OR e.key = r.of
                            THEN upg.ddl_attribute_renamed(e.value -> 'ddl', upg.ddl_part(r.old), upg.ddl_part(r.new)) || regexp_replace((e.value - 'ddl')::text, '(?<![\w$.])' || regexp_replace(trim(BOTH '"' FROM to_jsonb(upg.ddl_part(r.old))::text), '([^\w])', '\\\1', 'g') || '(?![\w$])',
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

-- What came with the server; null: the privileges that it came with.
CREATE FUNCTION upg.ddl_server_privileges(object text, was text, is_now text)
    RETURNS SETOF text
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT upg.down_grants(x.what, upg.down_acl(coalesce(string_to_array(was, ', ')::aclitem[], x.initial), x.kind, x.owner),
                       upg.down_acl(coalesce(string_to_array(is_now, ', ')::aclitem[], x.initial), x.kind, x.owner), x.columns, NULL)
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
        RETURN QUERY SELECT made, image, m.statements[1], NULL::text FROM upg.down_make(b, NULL) m;
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

CREATE FUNCTION upg.ddl_statements(before jsonb, after jsonb, ids jsonb)
    RETURNS TABLE (phase integer, object text, statement text, note text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
DECLARE
    d record;
    c record;
    again text[] := '{}';
    kind text;
BEGIN
    FOR d IN
        SELECT k AS object, before -> k AS was, after -> k AS is_now, coalesce((ids ->> k)::bigint, 0) AS id
        FROM (SELECT jsonb_object_keys(before) UNION SELECT jsonb_object_keys(after)) u (k)
        WHERE before -> k IS DISTINCT FROM after -> k
        ORDER BY id, k
    LOOP
        kind := upg.ddl_kind(d.object);
        object := d.object;
        IF d.was ? 'ddl' OR d.is_now ? 'ddl' THEN
            -- a schema is called as its key says
            RETURN QUERY SELECT x.* FROM (SELECT CASE WHEN kind = 'schema' THEN jsonb_build_object('id', upg.ddl_name(d.object)) ELSE '{}' END) name (also),
                LATERAL upg.ddl_by_definition(d.object, (d.was -> 'ddl') || name.also, (d.is_now -> 'ddl') || name.also) x;
            CONTINUE;
        ELSIF d.object LIKE 'comment on large object %' THEN
            RETURN QUERY SELECT 82, d.object, format('COMMENT ON LARGE OBJECT %s IS %s', substr(d.object, 25), coalesce(quote_literal(d.is_now ->> 'comment'), 'NULL')), NULL::text;
            CONTINUE;
        END IF;
        IF d.object LIKE 'security label of %' THEN
            -- it goes with what it is on
            CONTINUE WHEN d.is_now IS NULL AND before ? (d.was ->> 'of') AND NOT after ? (d.was ->> 'of');
            RETURN QUERY
            SELECT 82, d.object, format('SECURITY LABEL FOR %s ON %s %s IS %s', m[1], CASE WHEN m[3] IS NULL THEN upper(m[2]) ELSE 'COLUMN' END, m[4],
                                        coalesce(quote_literal(d.is_now ->> 'label'), 'NULL')), NULL::text
            FROM regexp_match(d.object, '^security label of ("(?:[^"]|"")*"|\S+) on ((?:foreign |materialized )?(?:table|view)|composite type|sequence|function|procedure'
                              '|aggregate|schema|type|language|event trigger|publication|subscription|large object)( column)? (.*)$') m;
            CONTINUE;
        END IF;
        IF d.object LIKE 'privileges on %' THEN
            RETURN QUERY SELECT 81, d.object, g, NULL::text FROM upg.ddl_server_privileges(substr(d.object, 15), d.was ->> 'privileges', d.is_now ->> 'privileges') g;
            CONTINUE;
        END IF;
        IF d.object LIKE 'user mapping of %' THEN
            SELECT CASE WHEN d.is_now IS NULL THEN 30 ELSE 48 END, d.object,
                   format('%s USER MAPPING FOR %s SERVER %s', CASE WHEN d.is_now IS NULL THEN 'DROP' ELSE 'CREATE' END, m[1], m[2]),
                   CASE WHEN d.was IS NULL THEN 'its options are to be added: they may hold a password and are not recorded' END
            INTO phase, object, statement, note FROM regexp_match(d.object, '^user mapping of (.*) for server (.*)$') m;
            RETURN NEXT;
            CONTINUE;
        END IF;
        CONTINUE WHEN kind = 'column' AND coalesce(d.was, d.is_now) ->> 'of' LIKE 'type %';
        -- what belongs to something that comes or goes as a whole
        IF d.is_now IS NULL THEN
            CONTINUE WHEN kind IN ('column', 'index', 'trigger', 'rule', 'policy', 'constraint', 'statistics', 'sequence') AND d.was ? 'of'
                          AND before ? (d.was ->> 'of') AND NOT after ? (d.was ->> 'of') AND coalesce(d.was ->> 'definition', '') NOT LIKE 'FOREIGN KEY%';
            CONTINUE WHEN kind = 'column' AND (d.was ->> 'inherited' = 'only' OR d.was ->> 'of' ~ '^(view|materialized view) ');
            CONTINUE WHEN kind = 'sequence' AND before #> ARRAY[d.was ->> 'of', 'identity'] IS NOT NULL;
            CONTINUE WHEN kind IN ('constraint', 'index') AND (d.was ->> 'inherited' = 'only' OR d.was ? 'partition of');
            CONTINUE WHEN kind = 'index' AND d.was ->> 'of' LIKE 'constraint %';
            SELECT x.* INTO phase, statement, note FROM upg.ddl_drop(d.object, d.was) x;
            note := coalesce(note, CASE WHEN statement IS NULL THEN d.object || ' is to go' END);
            RETURN NEXT;
        ELSIF d.was IS NULL THEN
            CONTINUE WHEN kind = 'column' AND (after ? (d.is_now ->> 'of') AND NOT before ? (d.is_now ->> 'of') OR d.is_now ->> 'inherited' = 'only'
                                               OR d.is_now ->> 'of' ~ '^(view|materialized view) ');
            CONTINUE WHEN kind = 'index' AND d.is_now ->> 'of' LIKE 'constraint %';
            CONTINUE WHEN kind IN ('constraint', 'index') AND (d.is_now ->> 'inherited' = 'only' OR d.is_now ? 'partition of');
            CONTINUE WHEN kind = 'sequence' AND after #> ARRAY[d.is_now ->> 'of', 'identity'] IS NOT NULL;
            SELECT x.* INTO phase, statement FROM upg.ddl_create(d.object, after) x;
            note := CASE WHEN statement IS NULL THEN d.object || ' is to be made: ' || d.is_now::text
                         WHEN kind = 'column' AND d.is_now ? 'not null' AND NOT d.is_now ?| ARRAY['default', 'identity', 'generated']
                              AND d.is_now ->> 'of' LIKE 'table %' THEN 'fails if the table has rows' END;
            RETURN NEXT;
            again := again || d.object;
        ELSIF kind IN ('view', 'materialized view', 'index', 'constraint', 'trigger', 'rule', 'policy', 'statistics')
              AND d.was - '{owner,privileges,comment,enabled,options,tablespace,target,clustered,columns}'::text[]
                  IS DISTINCT FROM d.is_now - '{owner,privileges,comment,enabled,options,tablespace,target,clustered,columns}'::text[] THEN
            CONTINUE WHEN kind = 'index' AND d.is_now ->> 'of' LIKE 'constraint %';
            -- a view that only gets more columns can be replaced
            IF NOT (kind = 'view' AND (SELECT bool_and(coalesce(x = d.is_now -> 'columns' -> (n::integer - 1), false))
                                       FROM jsonb_array_elements(d.was -> 'columns') WITH ORDINALITY u (x, n))) THEN
                SELECT x.* INTO phase, statement, note FROM upg.ddl_drop(d.object, d.was) x;
                RETURN NEXT;
                again := again || d.object;
            END IF;
            SELECT x.*, NULL INTO phase, statement, note FROM upg.ddl_create(d.object, after) x;
            RETURN NEXT;
        END IF;
        IF kind = 'column' AND d.is_now IS NOT NULL THEN
            FOR phase, statement, note IN SELECT x.phase, x.statement, x.note FROM upg.ddl_column_changes(d.object, before, after) x LOOP
                RETURN NEXT;
            END LOOP;
            CONTINUE;
        END IF;
        -- attributes: of what is made anew, those that its statement does not set
        FOR c IN
            SELECT k AS attribute, CASE WHEN d.object = ANY (again) AND k NOT IN ('owner') THEN NULL ELSE d.was ->> k END AS was, d.is_now ->> k AS is_now
            FROM (SELECT jsonb_object_keys(d.was) UNION SELECT jsonb_object_keys(d.is_now)) u (k)
            WHERE d.is_now IS NOT NULL AND k NOT IN ('of', 'columns')
              AND CASE WHEN d.object = ANY (again)
                       THEN (k IN ('owner', 'privileges', 'comment', 'enabled', 'row security', 'forced row security', 'replica identity', 'clustered', 'owned by') AND d.is_now ? k
                             AND NOT (k = 'owner' AND kind = 'index'))
                       WHEN kind IN ('view', 'materialized view', 'index', 'constraint', 'trigger', 'rule', 'policy', 'statistics')
                       THEN k NOT IN ('definition', 'using', 'with check', 'roles', 'command', 'permissive', 'validity', 'inherited', 'populated', 'sequence')
                       ELSE true END
        LOOP
            CONTINUE WHEN c.was IS NOT DISTINCT FROM c.is_now;
            -- follows from what its table is a partition of
            CONTINUE WHEN kind = 'index' AND c.attribute = 'partition of' AND EXISTS (
                SELECT FROM regexp_replace(d.is_now ->> 'of', '^constraint .* on (?=table )', '') t
                WHERE before -> t ->> 'partition bound' IS DISTINCT FROM after -> t ->> 'partition bound');
            FOR phase, statement, note IN SELECT x.phase, x.statement, x.note FROM upg.ddl_change(d.object, c.attribute, c.was, c.is_now, coalesce(d.was, '{}'), d.is_now) x LOOP
                object := d.object;
                RETURN NEXT;
            END LOOP;
        END LOOP;
        -- columns of a table that is made anew
        IF d.was IS NULL AND kind IN ('table', 'view', 'materialized view', 'foreign table') THEN
            FOR object, phase, statement, note IN
                SELECT e.key, x.phase, x.statement, x.note FROM jsonb_each(after) e, LATERAL upg.ddl_column_changes(e.key, before, after) x
                WHERE e.key LIKE 'column %' AND e.value ->> 'of' = d.object AND NOT before ? e.key
            LOOP
                RETURN NEXT;
            END LOOP;
        END IF;
    END LOOP;
END
$function$;
COMMENT ON FUNCTION upg.ddl_statements(jsonb, jsonb, jsonb) IS 'statements that make the second of two images of the first, by phase; a note alone is work for a person';
REVOKE ALL ON FUNCTION upg.ddl_statements(jsonb, jsonb, jsonb) FROM PUBLIC;

-- Both sides of the drift: what was recorded, under the names of now, and what is there.
CREATE FUNCTION upg.drift_sides(OUT recorded jsonb, OUT live jsonb, OUT renames jsonb, OUT ids jsonb)
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
           coalesce((SELECT jsonb_object_agg(p.object, p.id) FROM pairs p), '{}')
    INTO recorded, live, renames, ids;
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
    adopt boolean := upg_drift_statements.direction = 'adopt';
BEGIN
    IF upg_drift_statements.direction IS NULL OR upg_drift_statements.direction NOT IN ('adopt', 'restore') THEN
        RAISE EXCEPTION 'invalid direction "%"', upg_drift_statements.direction
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = '"adopt" makes what is there of what was recorded, "restore" the other way round.';
    END IF;
    SELECT * INTO s FROM upg.drift_sides();
    ord := 0;
    FOR object, statement, note IN
        SELECT x.object, x.statement, x.note FROM (
            SELECT CASE WHEN adopt THEN 5 ELSE 95 END AS phase, CASE WHEN adopt THEN n ELSE -n END AS place, r ->> 'new' AS object, q AS statement, NULL AS note, 0 AS line
            FROM jsonb_array_elements(s.renames) WITH ORDINALITY u (r, n),
                 LATERAL upg.ddl_rename(CASE WHEN adopt THEN r ->> 'old' ELSE r ->> 'new' END, CASE WHEN adopt THEN r ->> 'new' ELSE r ->> 'old' END, r ->> 'of') q
            UNION ALL
            -- what was made last goes first
            SELECT t.phase, coalesce((s.ids ->> t.object)::bigint, 0) * CASE WHEN t.phase < 40 THEN -1 ELSE 1 END, t.object, t.statement, t.note, t.line
            FROM (SELECT y.*, row_number() OVER () AS line
                  FROM upg.ddl_statements(CASE WHEN adopt THEN s.recorded ELSE s.live END, CASE WHEN adopt THEN s.live ELSE s.recorded END, s.ids) y) t
        ) x ORDER BY x.phase, x.place, x.object, x.line
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
