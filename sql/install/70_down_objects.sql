-- Readable downs, part 1: every object of the schema as it is now, with the DDL that
-- makes it and the DDL that takes it away, written by the server's own deparsers.
-- upg_down() calls this twice, once as things are and once after the undo has run
-- in a subtransaction, and makes statements of what differs (74_down_order.sql).
-- An object's key is CATALOG:OID; a rollback keeps OIDs, so a rename is seen as one.
CREATE FUNCTION upg.down_acl(acl aclitem[], kind "char", owner oid)
    RETURNS jsonb
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT jsonb_agg(jsonb_build_array(
           CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END,
           CASE WHEN x.grantor <> owner THEN quote_ident(pg_get_userbyid(x.grantor)) END,
           x.is_grantable, x.privileges) ORDER BY x.n)
FROM (SELECT e.grantee, e.grantor, e.is_grantable, min(e.n) AS n, string_agg(e.privilege_type, ', ' ORDER BY e.n) AS privileges
      FROM aclexplode(coalesce(acl, acldefault(kind, owner))) WITH ORDINALITY e (grantor, grantee, privilege_type, is_grantable, n)
      GROUP BY 1, 2, 3) x
$function$;
COMMENT ON FUNCTION upg.down_acl(aclitem[], "char", oid) IS 'privileges as arrays of grantee, grantor if it is not the owner, grant option, privileges';
REVOKE ALL ON FUNCTION upg.down_acl(aclitem[], "char", oid) FROM PUBLIC;

CREATE FUNCTION upg.down_labels(class oid, object oid, sub integer)
    RETURNS jsonb
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT jsonb_object_agg(provider, label) FROM pg_seclabel WHERE classoid = class AND objoid = object AND objsubid = sub
$function$;
COMMENT ON FUNCTION upg.down_labels(oid, oid, integer) IS 'security labels of an object';
REVOKE ALL ON FUNCTION upg.down_labels(oid, oid, integer) FROM PUBLIC;

-- A text as a regular expression that matches it and nothing else.
CREATE FUNCTION upg.ddl_pattern(words text)
    RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
    SELECT regexp_replace(words, '(\W)', '\\\1', 'g');
END;
COMMENT ON FUNCTION upg.ddl_pattern(text) IS 'a regular expression that matches this text and nothing else';
REVOKE ALL ON FUNCTION upg.ddl_pattern(text) FROM PUBLIC;

-- 'ARRAY[...]::text[]' of a deparsed IN list reads back as other casts; without the
-- cast it reads back as it was.
CREATE FUNCTION upg.down_reparse(definition text)
    RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT regexp_replace(definition, '\(ARRAY\[((?:''(?:[^''\\]|'''')*''::character varying(?:, )?)+)\]\)::text\[\]', 'ARRAY[\1]', 'g')
$function$;
COMMENT ON FUNCTION upg.down_reparse(text) IS 'a deparsed expression in a form that deparses to the same again';
REVOKE ALL ON FUNCTION upg.down_reparse(text) FROM PUBLIC;

CREATE FUNCTION upg.down_sequence_options(sequence oid)
    RETURNS text
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT format('INCREMENT BY %s MINVALUE %s MAXVALUE %s START WITH %s CACHE %s %s', s.seqincrement, s.seqmin, s.seqmax,
              s.seqstart, s.seqcache, CASE WHEN s.seqcycle THEN 'CYCLE' ELSE 'NO CYCLE' END)
FROM pg_sequence s WHERE s.seqrelid = sequence
$function$;
COMMENT ON FUNCTION upg.down_sequence_options(oid) IS 'options of a sequence, as ALTER SEQUENCE takes them';
REVOKE ALL ON FUNCTION upg.down_sequence_options(oid) FROM PUBLIC;

CREATE FUNCTION upg.down_columns(relation oid)
    RETURNS jsonb
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
           'n', a.attnum, 'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'typid', a.atttypid,
           'collation', CASE WHEN a.attcollation <> t.typcollation THEN
               (SELECT format('%I.%I', cn.nspname, co.collname) FROM pg_collation co
                JOIN pg_namespace cn ON cn.oid = co.collnamespace WHERE co.oid = a.attcollation) END,
           'notnull', CASE WHEN a.attnotnull THEN true END,
           -- from 18 on NOT NULL is a constraint
           'null constraint', (SELECT jsonb_strip_nulls(jsonb_build_object('name', k.conname,
                                       'usual', CASE WHEN k.conname = c.relname || '_' || a.attname || '_not_null' THEN true END, 'no inherit', CASE WHEN k.connoinherit THEN true END,
                                       'not valid', CASE WHEN NOT k.convalidated THEN true END,
                                       'inherited', CASE WHEN NOT k.conislocal THEN true END, 'comment', obj_description(k.oid, 'pg_constraint')))
                               FROM pg_constraint k WHERE current_setting('server_version_num')::integer >= 180000 AND a.attnotnull
                                 AND k.conrelid = a.attrelid AND k.contype = 'n' AND k.conkey = ARRAY[a.attnum]),
           -- what comes with the column from its parents
           'handed down', (SELECT jsonb_strip_nulls(jsonb_build_object('default', (array_agg(pg_get_expr(d.adbin, d.adrelid) ORDER BY i.inhseqno) FILTER (WHERE d.oid IS NOT NULL))[1],
                                  'notnull', nullif(bool_or(p.attnotnull), false), 'storage', nullif(min(p.attstorage), t.typstorage),
                                  'compression', CASE min(p.attcompression) WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END,
                                  'identity', CASE WHEN c.relispartition AND current_setting('server_version_num')::integer >= 170000 THEN nullif(a.attidentity, '') END))
                           FROM pg_inherits i JOIN pg_attribute p ON p.attrelid = i.inhparent AND p.attname = a.attname AND NOT p.attisdropped
                           LEFT JOIN pg_attrdef d ON d.adrelid = p.attrelid AND d.adnum = p.attnum
                           WHERE a.attinhcount > 0 AND i.inhrelid = a.attrelid HAVING count(*) > 0),
           'default', (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d
                       WHERE a.atthasdef AND d.adrelid = a.attrelid AND d.adnum = a.attnum),
           'generated', nullif(a.attgenerated, ''), 'identity', nullif(a.attidentity, ''),
           'sequence', (SELECT jsonb_build_object('oid', s.oid, 'id', format('%I.%I', sn.nspname, s.relname), 'options', upg.down_sequence_options(s.oid),
                                                    'acl', upg.down_acl(s.relacl, 's', s.relowner), 'acl set', s.relacl IS NOT NULL,
                                                    'comment', obj_description(s.oid, 'pg_class'))
                        FROM pg_depend d JOIN pg_class s ON s.oid = d.objid JOIN pg_namespace sn ON sn.oid = s.relnamespace
                        WHERE a.attidentity <> '' AND d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
                          AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum AND d.deptype = 'i' AND s.relkind = 'S'),
           'storage', CASE WHEN a.attstorage <> t.typstorage THEN a.attstorage END, 'natural storage', t.typstorage,
           'compression', CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END,
           'statistics', nullif(a.attstattarget, -1),
           'options', upg.image_options(a.attoptions), 'fdw', (SELECT jsonb_object_agg(o.option_name, o.option_value) FROM pg_options_to_table(a.attfdwoptions) o),
           'acl', CASE WHEN a.attacl IS NOT NULL THEN upg.down_acl(a.attacl, 'c', c.relowner) END,
           'local', a.attislocal, 'inherited', a.attinhcount, 'comment', col_description(a.attrelid, a.attnum),
           'labels', upg.down_labels(1259, a.attrelid, a.attnum))) ORDER BY a.attnum)
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped
$function$;
COMMENT ON FUNCTION upg.down_columns(oid) IS 'columns of a relation with everything that DDL can say about them';
REVOKE ALL ON FUNCTION upg.down_columns(oid) FROM PUBLIC;

-- How a column is that counts up by itself; "usual": by a sequence as the server makes it.
CREATE FUNCTION upg.down_identity(col jsonb)
    RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT concat_ws(' ', 'GENERATED', CASE col ->> 'identity' WHEN 'a' THEN 'ALWAYS' WHEN 'd' THEN 'BY DEFAULT' END, 'AS IDENTITY',
                 CASE WHEN NOT col -> 'sequence' ? 'usual' THEN '(SEQUENCE NAME ' || (col #>> '{sequence,id}') || ' ' || (col #>> '{sequence,options}') || ')' END)
$function$;
COMMENT ON FUNCTION upg.down_identity(jsonb) IS 'an identity as it stands in DDL';
REVOKE ALL ON FUNCTION upg.down_identity(jsonb) FROM PUBLIC;

-- Partitions have the identity of their table from 17 on.
CREATE FUNCTION upg.down_own_identity(col jsonb)
    RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT coalesce(col ? 'identity', false) AND NOT coalesce(col -> 'handed down' ? 'identity', false)
$function$;
COMMENT ON FUNCTION upg.down_own_identity(jsonb) IS 'is a column an identity by itself?';
REVOKE ALL ON FUNCTION upg.down_own_identity(jsonb) FROM PUBLIC;

-- NOT NULL is a constraint from 18 on; null if it must be added to a table that is there.
CREATE FUNCTION upg.down_not_null(col jsonb)
    RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT CASE WHEN NOT coalesce(c ? 'not valid', false)
            THEN concat_ws(' ', CASE WHEN NOT c ? 'usual' OR c ? 'comment' THEN 'CONSTRAINT ' || quote_ident(c ->> 'name') END, 'NOT NULL', CASE WHEN c ? 'no inherit' THEN 'NO INHERIT' END) END
FROM (SELECT col -> 'null constraint') x (c) WHERE col ? 'notnull'
$function$;
COMMENT ON FUNCTION upg.down_not_null(jsonb) IS 'NOT NULL as it stands in the definition of a column';
REVOKE ALL ON FUNCTION upg.down_not_null(jsonb) FROM PUBLIC;

-- One column as it stands in CREATE TABLE and ADD COLUMN.  Where rows are put in
-- afterwards, identity ("whole") and NOT NULL ("nulls") come later.
CREATE FUNCTION upg.down_column(col jsonb, whole boolean, nulls boolean)
    RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT concat_ws(' ', quote_ident(col ->> 'name'), col ->> 'type', 'COMPRESSION ' || (col ->> 'compression'), 'COLLATE ' || (col ->> 'collation'),
                 CASE WHEN col ? 'generated' THEN 'GENERATED ALWAYS AS (' || (col ->> 'default') || CASE col ->> 'generated' WHEN 'v' THEN ') VIRTUAL' ELSE ') STORED' END
                      WHEN col ? 'default' THEN 'DEFAULT ' || upg.down_reparse(col ->> 'default') END,
                 CASE WHEN whole AND upg.down_own_identity(col) THEN upg.down_identity(col) END,
                 CASE WHEN NOT nulls AND NOT (whole AND upg.down_own_identity(col) AND upg.down_not_null(col) = 'NOT NULL') THEN upg.down_not_null(col) END)
$function$;
COMMENT ON FUNCTION upg.down_column(jsonb, boolean, boolean) IS 'a column as it stands in CREATE TABLE';
REVOKE ALL ON FUNCTION upg.down_column(jsonb, boolean, boolean) FROM PUBLIC;

-- What of a column is there as soon as upg.down_column() has made it, or, if "handed",
-- as it came from the parents of its table.
CREATE FUNCTION upg.down_column_made(col jsonb, whole boolean, nulls boolean, handed boolean)
    RETURNS jsonb
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT CASE WHEN handed THEN x.made - '{default,notnull,compression,identity}'::text[]
                             || CASE WHEN col ? 'generated' THEN jsonb_build_object('default', col -> 'default') ELSE '{}' END || coalesce(col -> 'handed down', '{}')
            ELSE x.made - CASE WHEN whole OR NOT upg.down_own_identity(col) THEN '{}'::text[] ELSE '{identity}' END
                        - CASE WHEN nulls OR upg.down_not_null(col) IS NULL THEN '{notnull}'::text[] ELSE '{}' END
                        || CASE WHEN NOT nulls AND col ? 'null constraint' THEN jsonb_build_object('null constraint', (col -> 'null constraint') - 'comment') ELSE '{}' END END
FROM (SELECT col - '{null constraint,sequence,storage,statistics,options,fdw,acl,comment,labels}'::text[]) x (made)
$function$;
COMMENT ON FUNCTION upg.down_column_made(jsonb, boolean, boolean, boolean) IS 'a column as it is when it has just been made';
REVOKE ALL ON FUNCTION upg.down_column_made(jsonb, boolean, boolean, boolean) FROM PUBLIC;

CREATE FUNCTION upg.down_fdw_options(options text[])
    RETURNS text
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT 'OPTIONS (' || string_agg(quote_ident(option_name) || ' ' || quote_literal(option_value), ', ') || ')' FROM pg_options_to_table(options)
$function$;
COMMENT ON FUNCTION upg.down_fdw_options(text[]) IS 'OPTIONS clause of foreign objects';
REVOKE ALL ON FUNCTION upg.down_fdw_options(text[]) FROM PUBLIC;

CREATE FUNCTION upg.down_foreign_keys_last(contype "char")
    RETURNS integer
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT CASE contype WHEN 'f' THEN 64 ELSE 60 END
$function$;
COMMENT ON FUNCTION upg.down_foreign_keys_last("char") IS 'the phase in which a constraint is made';
REVOKE ALL ON FUNCTION upg.down_foreign_keys_last("char") FROM PUBLIC;

CREATE FUNCTION upg.down_policy(restrictive boolean, command text, roles text, condition text, check_condition text)
    RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT concat_ws(' ', CASE WHEN restrictive THEN 'AS RESTRICTIVE' END,
                 CASE command WHEN 'r' THEN 'FOR SELECT' WHEN 'a' THEN 'FOR INSERT' WHEN 'w' THEN 'FOR UPDATE' WHEN 'd' THEN 'FOR DELETE' END, 'TO ' || roles,
                 'USING (' || upg.down_reparse(condition) || ')', 'WITH CHECK (' || upg.down_reparse(check_condition) || ')')
$function$;
COMMENT ON FUNCTION upg.down_policy(boolean, text, text, text, text) IS 'a policy after its name and table';
REVOKE ALL ON FUNCTION upg.down_policy(boolean, text, text, text, text) FROM PUBLIC;

CREATE FUNCTION upg.down_relations()
    RETURNS TABLE (key text, def jsonb)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
    AS $function$
DECLARE
    spaces oid[];
    members oid[];
BEGIN
    SELECT array_agg(n.oid) INTO spaces FROM pg_namespace n
    WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'upg');
    SELECT coalesce(array_agg(d.objid), '{}') INTO members FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.deptype = 'e';

    -- tables, views, foreign tables, sequences that are not an identity's
    RETURN QUERY
    SELECT '1259:' || c.oid, jsonb_build_object(
        'kind', CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END,
        'image', CASE c.relkind WHEN 'v' THEN 'view ' WHEN 'm' THEN 'materialized view ' WHEN 'S' THEN 'sequence ' WHEN 'f' THEN 'foreign table '
                                ELSE 'table ' END || format('%I.%I', n.nspname, c.relname),
        'id', format('%I.%I', n.nspname, c.relname), 'name', c.relname, 'ns', n.oid, 'relkind', c.relkind,
        'owner', quote_ident(pg_get_userbyid(c.relowner)),
        'acl', upg.down_acl(c.relacl, CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner), 'acl set', c.relacl IS NOT NULL,
        'comment', obj_description(c.oid, 'pg_class'), 'labels', upg.down_labels(1259, c.oid, 0),
        'columns', CASE WHEN c.relkind <> 'S' THEN upg.down_columns(c.oid) END,
        'persistence', c.relpersistence, 'am', (SELECT quote_ident(am.amname) FROM pg_am am WHERE am.oid = c.relam),
        'tablespace', (SELECT quote_ident(t.spcname) FROM pg_tablespace t WHERE t.oid = c.reltablespace),
        'options', to_jsonb(c.reloptions), 'toast options', (SELECT to_jsonb(t.reloptions) FROM pg_class t WHERE t.oid = c.reltoastrelid),
        'parents', (SELECT jsonb_agg(i.inhparent ORDER BY i.inhseqno) FROM pg_inherits i WHERE i.inhrelid = c.oid),
        'parent names', (SELECT jsonb_agg(format('%I.%I', pn.nspname, p.relname) ORDER BY i.inhseqno) FROM pg_inherits i
                         JOIN pg_class p ON p.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace WHERE i.inhrelid = c.oid),
        'parent columns', CASE WHEN c.relispartition THEN (SELECT jsonb_agg(a.attname ORDER BY a.attnum) FROM pg_inherits i JOIN pg_attribute a ON a.attrelid = i.inhparent
                           WHERE i.inhrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) END,
        'bound', CASE WHEN c.relispartition THEN pg_get_expr(c.relpartbound, c.oid) END,
        'partition key', CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END,
        'rls', c.relrowsecurity, 'force rls', c.relforcerowsecurity,
        'replica', CASE WHEN c.relkind IN ('r', 'p', 'm') THEN c.relreplident END,
        'replica index', (SELECT quote_ident(x.relname) FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid AND i.indisreplident),
        'clustered', (SELECT quote_ident(x.relname) FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid AND i.indisclustered),
        'of type', CASE WHEN c.reloftype <> 0 THEN format_type(c.reloftype, NULL) END,
        'definition', CASE WHEN c.relkind IN ('v', 'm') THEN upg.down_reparse(rtrim(pg_get_viewdef(c.oid), ';')) END,
        'populated', c.relispopulated,
        'key dependent', EXISTS (SELECT FROM pg_rewrite w JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
                                 WHERE w.ev_class = c.oid AND d.refclassid = 'pg_constraint'::regclass),
        'server', (SELECT quote_ident(s.srvname) FROM pg_foreign_table f JOIN pg_foreign_server s ON s.oid = f.ftserver WHERE f.ftrelid = c.oid),
        'fdw', (SELECT jsonb_object_agg(o.option_name, o.option_value) FROM pg_foreign_table f, pg_options_to_table(f.ftoptions) o WHERE f.ftrelid = c.oid),
        'sequence', (SELECT jsonb_build_object('type', format_type(s.seqtypid, NULL), 'options', upg.down_sequence_options(s.seqrelid))
                     FROM pg_sequence s WHERE s.seqrelid = c.oid),
        'owned by', (SELECT format('%I.%I.%I', pn.nspname, p.relname, a.attname)
                     FROM pg_depend d JOIN pg_class p ON p.oid = d.refobjid JOIN pg_namespace pn ON pn.oid = p.relnamespace
                     JOIN pg_attribute a ON a.attrelid = p.oid AND a.attnum = d.refobjsubid
                     WHERE c.relkind = 'S' AND d.classid = 'pg_class'::regclass AND d.objid = c.oid
                       AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'a' AND d.refobjsubid > 0),
        'owned by key', (SELECT '1259:' || d.refobjid FROM pg_depend d WHERE c.relkind = 'S' AND d.classid = 'pg_class'::regclass AND d.objid = c.oid
                         AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'a' AND d.refobjsubid > 0),
        'owned by column', (SELECT d.refobjsubid FROM pg_depend d WHERE c.relkind = 'S' AND d.classid = 'pg_class'::regclass AND d.objid = c.oid
                         AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'a' AND d.refobjsubid > 0))
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relnamespace = ANY (spaces) AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND c.oid <> ALL (members)
      AND NOT (c.relkind = 'S' AND EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'i'));

    -- indexes that are not a constraint's
    RETURN QUERY
    SELECT '1259:' || c.oid, jsonb_build_object(
        'kind', 'INDEX', 'image', format('index %I.%I', n.nspname, c.relname), 'id', format('%I.%I', n.nspname, c.relname), 'name', c.relname, 'ns', n.oid,
        'of', '1259:' || i.indrelid, 'definition', upg.down_reparse(pg_get_indexdef(c.oid)), 'plain', i.indexprs IS NULL AND i.indpred IS NULL,
        'valid', i.indisvalid, 'index', format('%I.%I', n.nspname, c.relname), 'options', to_jsonb(c.reloptions),
        'tablespace', (SELECT quote_ident(t.spcname) FROM pg_tablespace t WHERE t.oid = c.reltablespace),
        'parent index', (SELECT format('%I.%I', pn.nspname, p.relname) FROM pg_inherits h JOIN pg_class p ON p.oid = h.inhparent
                         JOIN pg_namespace pn ON pn.oid = p.relnamespace WHERE h.inhrelid = c.oid),
        'targets', (SELECT jsonb_object_agg(a.attnum, a.attstattarget) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attstattarget >= 0),
        'comment', obj_description(c.oid, 'pg_class'))
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relnamespace = ANY (spaces) AND i.indrelid <> ALL (members)
      AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = c.oid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u', 'x'));

    -- constraints; what a parent hands down comes with the parent's
    RETURN QUERY
    SELECT '2606:' || k.oid, jsonb_build_object(
        'kind', 'CONSTRAINT', 'name', k.conname, 'ns', 0, 'contype', k.contype, 'of', CASE WHEN k.conrelid <> 0 THEN '1259:' || k.conrelid ELSE '1247:' || k.contypid END,
        'image', format('constraint %I on %s', k.conname,
                        coalesce((SELECT CASE c.relkind WHEN 'f' THEN 'foreign table ' ELSE 'table ' END || format('%I.%I', n.nspname, c.relname)
                                  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = k.conrelid),
                                 'type ' || format_type(nullif(k.contypid, 0), NULL))),
        'on', coalesce((SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = k.conrelid),
                       'DOMAIN ' || format_type(nullif(k.contypid, 0), NULL)),
        'target', (SELECT '1259:' || k.confrelid WHERE k.contype = 'f'),
        'definition', upg.down_reparse(pg_get_constraintdef(k.oid)), 'no inherit', k.connoinherit, 'phase', upg.down_foreign_keys_last(k.contype),
        'partitioned', (SELECT c.relkind = 'p' FROM pg_class c WHERE c.oid = k.conrelid),
        'plain', k.contype IN ('p', 'u', 'f'),
        'index', (SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                  WHERE c.oid = k.conindid AND k.contype IN ('p', 'u', 'x')),
        'parent index', (SELECT format('%I.%I', pn.nspname, p.relname) FROM pg_inherits h JOIN pg_class p ON p.oid = h.inhparent
                         JOIN pg_namespace pn ON pn.oid = p.relnamespace WHERE h.inhrelid = k.conindid AND k.contype IN ('p', 'u', 'x')),
        'index comment', CASE WHEN k.contype IN ('p', 'u', 'x') THEN obj_description(k.conindid, 'pg_class') END,
        'options', to_jsonb(x.reloptions), 'tablespace', (SELECT quote_ident(t.spcname) FROM pg_tablespace t WHERE t.oid = x.reltablespace),
        'targets', CASE WHEN x.oid IS NOT NULL THEN (SELECT jsonb_object_agg(a.attnum, a.attstattarget) FROM pg_attribute a WHERE a.attrelid = x.oid AND a.attstattarget >= 0) END,
        'comment', obj_description(k.oid, 'pg_constraint'))
    FROM pg_constraint k LEFT JOIN pg_class x ON x.oid = k.conindid AND k.contype IN ('p', 'u', 'x')
    WHERE k.connamespace = ANY (spaces) AND k.contype IN ('c', 'f', 'p', 'u', 'x') AND k.conrelid <> ALL (members)
      AND (k.conislocal OR k.contype IN ('p', 'u', 'x')) AND NOT (k.contype = 'f' AND k.conparentid <> 0)
      AND (k.conrelid = 0 OR NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = k.conrelid AND c.relkind IN ('i', 'I', 'c')));

    RETURN QUERY
    SELECT '2620:' || t.oid, jsonb_build_object(
        'kind', 'TRIGGER', 'name', t.tgname, 'ns', 0, 'of', '1259:' || c.oid, 'on', format('%I.%I', n.nspname, c.relname),
        'image', format('trigger %I on %s', t.tgname, CASE c.relkind WHEN 'v' THEN 'view ' WHEN 'f' THEN 'foreign table ' ELSE 'table ' END
                                                      || format('%I.%I', n.nspname, c.relname)),
        'definition', upg.down_reparse(pg_get_triggerdef(t.oid)), 'enabled', t.tgenabled, 'inherited', CASE WHEN t.tgparentid <> 0 THEN true END, 'comment', obj_description(t.oid, 'pg_trigger'))
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relnamespace = ANY (spaces) AND NOT t.tgisinternal AND c.oid <> ALL (members);

    RETURN QUERY
    SELECT '2618:' || w.oid, jsonb_build_object(
        'kind', 'RULE', 'name', w.rulename, 'ns', 0, 'of', '1259:' || c.oid, 'on', format('%I.%I', n.nspname, c.relname),
        'image', format('rule %I on %s', w.rulename, CASE c.relkind WHEN 'v' THEN 'view ' WHEN 'f' THEN 'foreign table ' ELSE 'table ' END
                                                     || format('%I.%I', n.nspname, c.relname)),
        'definition', upg.down_reparse(rtrim(pg_get_ruledef(w.oid), ';')), 'enabled', w.ev_enabled, 'comment', obj_description(w.oid, 'pg_rewrite'))
    FROM pg_rewrite w JOIN pg_class c ON c.oid = w.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relnamespace = ANY (spaces) AND w.rulename <> '_RETURN' AND c.oid <> ALL (members);

    RETURN QUERY
    SELECT '3256:' || p.oid, jsonb_build_object(
        'kind', 'POLICY', 'name', p.polname, 'ns', 0, 'of', '1259:' || c.oid, 'on', format('%I.%I', n.nspname, c.relname),
        'image', format('policy %I on table %I.%I', p.polname, n.nspname, c.relname),
        'definition', upg.down_policy(NOT p.polpermissive, p.polcmd::text, (SELECT string_agg(CASE WHEN o = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(o)) END, ', ') FROM unnest(p.polroles) o),
                                      pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)),
        'comment', obj_description(p.oid, 'pg_policy'))
    FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relnamespace = ANY (spaces) AND c.oid <> ALL (members);

    RETURN QUERY
    SELECT '3381:' || s.oid, jsonb_build_object(
        'kind', 'STATISTICS', 'id', format('%I.%I', n.nspname, s.stxname), 'name', s.stxname, 'ns', n.oid, 'of', '1259:' || s.stxrelid,
        'image', format('statistics %I.%I', n.nspname, s.stxname), 'owner', quote_ident(pg_get_userbyid(s.stxowner)),
        'definition', pg_get_statisticsobjdef(s.oid), 'target', nullif(s.stxstattarget, -1), 'comment', obj_description(s.oid, 'pg_statistic_ext'))
    FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace
    WHERE s.stxnamespace = ANY (spaces) AND s.stxrelid <> ALL (members);
END
$function$;
COMMENT ON FUNCTION upg.down_relations() IS 'tables, views, sequences and what belongs to them, with what is needed to make them';
REVOKE ALL ON FUNCTION upg.down_relations() FROM PUBLIC;
