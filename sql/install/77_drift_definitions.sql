-- Drift, part 1: objects of an image (66_schema_image.sql) as the functions for readable
-- downs want them (70_down_objects.sql), so that the same statements are made of both.
-- What is not a relation is recorded in that form anyway ("ddl").
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

-- Names or options with commas between, of which one in quotes may hold more commas.
CREATE FUNCTION upg.ddl_list(names text)
    RETURNS jsonb
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT jsonb_agg(ltrim(m[1]) ORDER BY n) FROM regexp_matches(names, '((?:"(?:[^"]|"")*"|[^",])+)', 'g') WITH ORDINALITY u (m, n)
$function$;
COMMENT ON FUNCTION upg.ddl_list(text) IS 'names of an image as an array';
REVOKE ALL ON FUNCTION upg.ddl_list(text) FROM PUBLIC;

CREATE FUNCTION upg.ddl_sequence(options text)
    RETURNS jsonb
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT jsonb_build_object('type', m[1], 'options', format('INCREMENT BY %s MINVALUE %s MAXVALUE %s START WITH %s CACHE %s %s', m[3], m[4], m[5], m[2], m[6],
              CASE WHEN m[7] IS NULL THEN 'NO CYCLE' ELSE 'CYCLE' END))
FROM regexp_match(options, '^(.*) start (\S+) increment (\S+) min (\S+) max (\S+) cache (\S+)( cycle)?$') m
$function$;
COMMENT ON FUNCTION upg.ddl_sequence(text) IS 'type and options of a sequence as a statement takes them';
REVOKE ALL ON FUNCTION upg.ddl_sequence(text) FROM PUBLIC;

CREATE FUNCTION upg.ddl_aclitems(privileges text)
    RETURNS aclitem[]
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT array_agg(p::aclitem) FROM jsonb_array_elements_text(upg.ddl_list(privileges)) p
$function$;
COMMENT ON FUNCTION upg.ddl_aclitems(text) IS 'privileges of an image as the server keeps them';
REVOKE ALL ON FUNCTION upg.ddl_aclitems(text) FROM PUBLIC;

-- Privileges as the functions for readable downs want them, without who granted them.
CREATE FUNCTION upg.ddl_acl(privileges text)
    RETURNS jsonb
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT jsonb_agg(jsonb_build_array(x.grantee, NULL, x.is_grantable, x.privileges) ORDER BY x.grantee, x.is_grantable)
FROM (SELECT CASE WHEN e.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(e.grantee)) END AS grantee, e.is_grantable,
             string_agg(e.privilege_type, ', ' ORDER BY e.privilege_type) AS privileges
      FROM aclexplode(upg.ddl_aclitems(nullif(privileges, 'none'))) e GROUP BY 1, 2) x
$function$;
COMMENT ON FUNCTION upg.ddl_acl(text) IS 'privileges of an image as arrays of grantee, null, grant option, privileges';
REVOKE ALL ON FUNCTION upg.ddl_acl(text) FROM PUBLIC;

CREATE FUNCTION upg.ddl_options(options text)
    RETURNS jsonb
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT jsonb_agg(CASE WHEN o LIKE '"%' THEN replace(substr(o, 2, length(o) - 2), '""', '"') ELSE o END) FROM jsonb_array_elements_text(upg.ddl_list(options)) o
$function$;
COMMENT ON FUNCTION upg.ddl_options(text) IS 'options of an image as an array';
REVOKE ALL ON FUNCTION upg.ddl_options(text) FROM PUBLIC;

-- The objects of an image by what they belong to.
CREATE FUNCTION upg.ddl_parts(image jsonb)
    RETURNS jsonb
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT coalesce(jsonb_object_agg(x.owner, x.parts), '{}')
FROM (SELECT e.value ->> 'of' AS owner, jsonb_object_agg(e.key, e.value) AS parts FROM jsonb_each(image) e WHERE e.value ? 'of' GROUP BY 1) x
$function$;
COMMENT ON FUNCTION upg.ddl_parts(jsonb) IS 'objects of an image by what they belong to';
REVOKE ALL ON FUNCTION upg.ddl_parts(jsonb) FROM PUBLIC;

-- A column, as upg.down_columns() says it; known by its name.
CREATE FUNCTION upg.ddl_column_definition(object text, image jsonb, parts jsonb)
    RETURNS jsonb
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT jsonb_strip_nulls(jsonb_build_object(
    'n', c.name, 'name', c.name, 'type', a -> 'type', 'collation', a -> 'collation',
    'notnull', CASE WHEN a ? 'not null' THEN true END,
    -- one with the name that the server gives is not in the image
    'null constraint', CASE WHEN current_setting('server_version_num')::integer >= 180000 AND a ? 'not null' THEN coalesce(
        (SELECT jsonb_build_object('name', (parse_ident(upg.ddl_part(k.key)))[1], 'usual', CASE WHEN (parse_ident(upg.ddl_part(k.key)))[1] = c.usual THEN true END,
                                   'no inherit', CASE WHEN k.value ->> 'definition' LIKE '% NO INHERIT%' THEN true END,
                                   'not valid', CASE WHEN k.value ->> 'definition' LIKE '% NOT VALID' THEN true END,
                                   'inherited', CASE WHEN k.value ->> 'inherited' = 'only' THEN true END, 'comment', k.value -> 'comment')
         FROM jsonb_each(parts -> (a ->> 'of')) k
         WHERE k.key LIKE 'constraint %' AND regexp_replace(k.value ->> 'definition', '( NO INHERIT)?( NOT VALID)?$', '') = 'NOT NULL ' || upg.ddl_part(object)),
        jsonb_build_object('name', c.usual, 'usual', true, 'inherited', CASE WHEN a ->> 'inherited' = 'only' AND h.down ? 'notnull' THEN true END)) END,
    'handed down', h.down,
    'default', coalesce(a -> 'default', a -> 'generated', a -> 'virtual'), 'generated', CASE WHEN a ? 'generated' THEN 's' WHEN a ? 'virtual' THEN 'v' END,
    'identity', CASE a ->> 'identity' WHEN 'always' THEN 'a' WHEN 'by default' THEN 'd' END,
    'sequence', (SELECT jsonb_build_object('id', upg.ddl_name(e.key), 'options', upg.ddl_sequence(e.value ->> 'sequence') -> 'options',
                     'usual', CASE WHEN (parse_ident(upg.ddl_name(e.key)))[2] = c.relation || '_' || c.name || '_seq' AND e.value ->> 'sequence'
                         ~ '^(smallint start 1 increment 1 min 1 max 32767|integer start 1 increment 1 min 1 max 2147483647|bigint start 1 increment 1 min 1 max 9223372036854775807) cache 1$'
                         THEN true END,
                     'acl', CASE WHEN e.value ? 'privileges' THEN coalesce(upg.ddl_acl(e.value ->> 'privileges'), '[]')
                                 ELSE upg.down_usual_acl(jsonb_build_object('kind', 'SEQUENCE', 'owner', quote_ident(e.value ->> 'owner'))) END,
                     'acl set', e.value ? 'privileges', 'comment', e.value -> 'comment')
                 FROM jsonb_each(parts -> object) e WHERE a ? 'identity' AND e.key LIKE 'sequence %'),
    'storage', CASE a ->> 'storage' WHEN 'plain' THEN 'p' WHEN 'external' THEN 'e' WHEN 'main' THEN 'm' WHEN 'extended' THEN 'x' END,
    'natural storage', coalesce((SELECT t.typstorage FROM pg_type t WHERE t.oid = to_regtype(a ->> 'type')), 'x'),
    'compression', CASE a ->> 'compression' WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END, 'statistics', a -> 'statistics target',
    'options', a -> 'options', 'fdw', nullif(upg.down_set(upg.ddl_options(a ->> 'foreign options'), ''), '{}'), 'acl', upg.ddl_acl(a ->> 'privileges'),
    'local', a ->> 'inherited' IS DISTINCT FROM 'only', 'inherited', CASE WHEN a ? 'inherited' THEN 1 ELSE 0 END, 'comment', a -> 'comment'))
FROM (SELECT image -> object) x (a),
     LATERAL (SELECT n.name, n.relation, n.relation || '_' || n.name || '_not_null' AS usual
              FROM (SELECT (parse_ident(upg.ddl_part(object)))[1] AS name, (parse_ident(upg.ddl_name(a ->> 'of')))[2] AS relation) n) c,
     LATERAL (SELECT CASE WHEN a ? 'inherited' THEN coalesce(
             (SELECT jsonb_strip_nulls(jsonb_build_object('default', (array_agg(p_col.value -> 'default' ORDER BY p.n) FILTER (WHERE p_col.value ? 'default'))[1],
                                                          'notnull', nullif(bool_or(p_col.value ? 'not null'), false), 'storage', min(p_col.value ->> 'storage'), 'compression', min(p_col.value ->> 'compression')))
              FROM jsonb_array_elements_text(upg.ddl_list(image #>> ARRAY[a ->> 'of', 'inherits'])) WITH ORDINALITY p (name, n),
                   LATERAL (SELECT image -> ('column ' || p.name || '.' || upg.ddl_part(object)) AS value) p_col
              HAVING count(p_col.value) > 0),
             -- parents that are not known
             jsonb_build_object('default', CASE WHEN NOT a ? 'generated' THEN a -> 'default' END, 'notnull', CASE WHEN a ? 'not null' THEN true END))
             || jsonb_build_object('identity', CASE WHEN image #> ARRAY[a ->> 'of', 'partition bound'] IS NOT NULL AND current_setting('server_version_num')::integer >= 170000
                                                    THEN CASE a ->> 'identity' WHEN 'always' THEN 'a' WHEN 'by default' THEN 'd' END END) END) h (down)
WHERE a IS NOT NULL
$function$;
COMMENT ON FUNCTION upg.ddl_column_definition(text, jsonb, jsonb) IS 'a column of an image with everything that DDL can say about it';
REVOKE ALL ON FUNCTION upg.ddl_column_definition(text, jsonb, jsonb) FROM PUBLIC;

-- What an index says of itself, and of the constraint that it is there for.
CREATE FUNCTION upg.ddl_index_definition(object text, a jsonb)
    RETURNS jsonb
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT jsonb_build_object('index', upg.ddl_name(object), 'options', upg.ddl_options(a ->> 'options'), 'tablespace', quote_ident(a ->> 'tablespace'),
                          'targets', nullif(upg.down_set(upg.ddl_options(a ->> 'statistics targets'), ''), '{}'), 'parent index', a -> 'partition of')
$function$;
COMMENT ON FUNCTION upg.ddl_index_definition(text, jsonb) IS 'an index of an image: name, storage, statistics targets, parent';
REVOKE ALL ON FUNCTION upg.ddl_index_definition(text, jsonb) FROM PUBLIC;

-- A relation, or what belongs to one, as upg.down_relations() says it; what others are
-- needed for it is named as in the image.
CREATE FUNCTION upg.ddl_definition(object text, image jsonb, parts jsonb)
    RETURNS jsonb
    LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
DECLARE
    a CONSTANT jsonb := image -> object;
    kind CONSTANT text := upper(upg.ddl_kind(object));
    id CONSTANT text := upg.ddl_name(object);
    name CONSTANT text := CASE WHEN kind IN ('CONSTRAINT', 'TRIGGER', 'RULE', 'POLICY') THEN (parse_ident(upg.ddl_part(object)))[1] END;
    rel CONSTANT text := CASE WHEN a ->> 'of' LIKE 'type %' THEN 'DOMAIN ' ELSE '' END || upg.ddl_name(a ->> 'of');
    def jsonb := jsonb_build_object('kind', kind, 'image', object, 'owner', quote_ident(a ->> 'owner'), 'comment', a -> 'comment', 'definition', upg.down_reparse(rtrim(a ->> 'definition', ';')));
    x jsonb;
    m text[];
BEGIN
    IF a IS NULL THEN
        RETURN NULL;
    END IF;
    CASE
    WHEN kind IN ('TABLE', 'FOREIGN TABLE', 'VIEW', 'MATERIALIZED VIEW', 'SEQUENCE') THEN
        m := regexp_match(a ->> 'foreign table', '^("(?:[^"]|"")+"|[^ ]+)(?: (.*))?$');
        x := upg.ddl_list(a ->> 'inherits');
        def := def || jsonb_build_object('id', id, 'name', (parse_ident(id))[2],
            'relkind', CASE kind WHEN 'TABLE' THEN CASE WHEN a ? 'partition key' THEN 'p' ELSE 'r' END WHEN 'VIEW' THEN 'v' WHEN 'MATERIALIZED VIEW' THEN 'm' WHEN 'SEQUENCE' THEN 'S' ELSE 'f' END,
            'acl', CASE WHEN a ? 'privileges' THEN coalesce(upg.ddl_acl(a ->> 'privileges'), '[]') ELSE upg.down_usual_acl(def) END, 'acl set', a ? 'privileges',
            'columns', (SELECT jsonb_agg(upg.ddl_column_definition('column ' || id || '.' || quote_ident(c), image, parts) ORDER BY n)
                        FROM jsonb_array_elements_text(a -> 'columns') WITH ORDINALITY u (c, n)),
            'persistence', CASE WHEN a ? 'persistence' THEN 'u' ELSE 'p' END,
            'am', coalesce(quote_ident(a ->> 'access method'), CASE WHEN kind = 'TABLE' AND NOT a ? 'partition key' OR kind = 'MATERIALIZED VIEW' THEN 'heap' END),
            'tablespace', quote_ident(a ->> 'tablespace'), 'options', upg.ddl_options(a ->> 'options'), 'toast options', upg.ddl_options(a ->> 'options of the toast table'),
            'parents', x, 'parent names', x, 'bound', a -> 'partition bound', 'partition key', a -> 'partition key',
            'parent columns', CASE WHEN a ? 'partition bound' THEN coalesce(image #> ARRAY['table ' || (x ->> 0), 'columns'], a -> 'columns') END,
            'rls', a ? 'row security', 'force rls', a ? 'forced row security',
            'replica', CASE WHEN kind IN ('TABLE', 'MATERIALIZED VIEW') THEN coalesce(a ->> 'replica identity', 'd') END, 'of type', a -> 'type', 'populated', NOT a ? 'populated',
            'server', m[1], 'fdw', nullif(upg.down_set(upg.ddl_options(m[2]), ''), '{}'), 'sequence', upg.ddl_sequence(a ->> 'sequence'),
            'owned by', a -> 'owned by', 'owned by key', a -> 'owned by');
        IF kind IN ('TABLE', 'MATERIALIZED VIEW') THEN
            def := def || (SELECT jsonb_build_object('clustered', min(i.name) FILTER (WHERE i.value ? 'clustered'), 'replica index', min(i.name) FILTER (WHERE i.value ? 'replica identity'))
                           FROM (SELECT quote_ident((parse_ident(upg.ddl_name(e.key)))[2]) AS name, e.value
                                 FROM (SELECT p.* FROM jsonb_each(parts -> object) p
                                       UNION ALL SELECT q.* FROM jsonb_each(parts -> object) p, jsonb_each(parts -> p.key) q WHERE p.key LIKE 'constraint %') e WHERE e.key LIKE 'index %') i);
        END IF;
    WHEN kind = 'INDEX' THEN
        def := def || upg.ddl_index_definition(object, a) || jsonb_build_object('id', id, 'name', (parse_ident(id))[2], 'valid', NOT a ? 'validity');
    WHEN kind = 'CONSTRAINT' THEN
        def := def || jsonb_build_object('name', name, 'on', rel, 'partitioned', image #> ARRAY[a ->> 'of', 'partition key'] IS NOT NULL,
            'contype', CASE WHEN a ->> 'definition' LIKE 'FOREIGN KEY%' THEN 'f' WHEN a ->> 'definition' LIKE 'PRIMARY KEY%' THEN 'p' WHEN a ->> 'definition' LIKE 'UNIQUE%' THEN 'u'
                            WHEN a ->> 'definition' LIKE 'EXCLUDE%' THEN 'x' WHEN a ->> 'definition' LIKE 'NOT NULL%' THEN 'n' ELSE 'c' END,
            'inherited', CASE WHEN a ->> 'inherited' = 'only' THEN true END);
        def := def || jsonb_build_object('phase', upg.down_foreign_keys_last((def ->> 'contype')::"char"))
               || coalesce((SELECT upg.ddl_index_definition(e.key, e.value) || jsonb_build_object('index comment', e.value -> 'comment') FROM jsonb_each(parts -> object) e WHERE e.key LIKE 'index %'), '{}');
    WHEN kind IN ('TRIGGER', 'RULE') THEN
        def := def || jsonb_build_object('name', name, 'on', rel, 'enabled', coalesce(a ->> 'enabled', 'O'), 'inherited', CASE WHEN a ? 'inherited' THEN true END);
    WHEN kind = 'POLICY' THEN
        def := def || jsonb_build_object('name', name, 'on', rel,
            'definition', upg.down_policy(a ? 'permissive', a ->> 'command', a ->> 'roles', a ->> 'using', a ->> 'with check'));
    WHEN kind = 'STATISTICS' THEN
        def := def || jsonb_build_object('id', id, 'name', (parse_ident(id))[2], 'target', a -> 'target');
    ELSE
        RETURN NULL;
    END CASE;
    RETURN jsonb_strip_nulls(def);
END
$function$;
COMMENT ON FUNCTION upg.ddl_definition(text, jsonb, jsonb) IS 'a relation of an image, or what belongs to one, with what is needed to make it';
REVOKE ALL ON FUNCTION upg.ddl_definition(text, jsonb, jsonb) FROM PUBLIC;
