-- Fingerprint of the schema: sensitive to what pg_dump shows and to nothing
-- else.  One hash a catalog, made from the catalogs themselves: OIDs become
-- identities, column numbers become ranks, stored expressions become text.  A
-- catalog of a newer server needs no line here.
CREATE FUNCTION upg.fp_identity(class oid, object oid)
    RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT CASE WHEN object IS NULL OR object = 0 THEN '-'
            ELSE coalesce((SELECT identity FROM pg_identify_object(class, object, 0)), '?') END
$function$;
COMMENT ON FUNCTION upg.fp_identity(oid, oid) IS 'identity of an object, for the fingerprint';
REVOKE ALL ON FUNCTION upg.fp_identity(oid, oid) FROM PUBLIC;

CREATE FUNCTION upg.fp_identities(class oid, objects oid[])
    RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT string_agg(upg.fp_identity(class, o), ',' ORDER BY n) FROM unnest(objects) WITH ORDINALITY AS u (o, n)
$function$;
COMMENT ON FUNCTION upg.fp_identities(oid, oid[]) IS 'identities of objects, for the fingerprint';
REVOKE ALL ON FUNCTION upg.fp_identities(oid, oid[]) FROM PUBLIC;

CREATE FUNCTION upg.fp_columns(relation oid, columns int2[])
    RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT string_agg(CASE WHEN c = 0 THEN '0' ELSE coalesce((SELECT attname::text FROM pg_attribute
                                                          WHERE attrelid = relation AND attnum = c), '?') END, ',' ORDER BY n)
FROM unnest(columns) WITH ORDINALITY AS u (c, n)
$function$;
COMMENT ON FUNCTION upg.fp_columns(oid, int2[]) IS 'names of columns, for the fingerprint';
REVOKE ALL ON FUNCTION upg.fp_columns(oid, int2[]) FROM PUBLIC;

CREATE FUNCTION upg.fp_query(catalog regclass, single boolean DEFAULT false)
    RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE STRICT
    SET search_path = pg_catalog, pg_temp
    AS $function$
DECLARE
    -- what the server keeps for itself, or what another column says better
    derived CONSTANT text[] := '{pg_class.relfilenode,pg_class.relpages,pg_class.reltuples,pg_class.relallvisible,
        pg_class.relallfrozen,pg_class.reltoastrelid,pg_class.relhasindex,pg_class.relhasrules,pg_class.relhastriggers,
        pg_class.relhassubclass,pg_class.relfrozenxid,pg_class.relminmxid,pg_class.relrewrite,pg_class.relnatts,
        pg_attribute.attcacheoff,pg_attribute.attlen,pg_attribute.attbyval,pg_attribute.attalign,
        pg_attribute.atthasmissing,pg_attribute.attmissingval,pg_index.indcheckxmin,pg_type.typarray,
        pg_trigger.tgargs,pg_trigger.tgqual,pg_rewrite.ev_qual,pg_rewrite.ev_action,pg_index.indpred,
        pg_attrdef.oid,pg_default_acl.oid,pg_user_mapping.oid}';
    acls CONSTANT jsonb := '{"pg_class": "CASE x.relkind WHEN ''S'' THEN ''s'' ELSE ''r'' END", "pg_proc": "''f''", "pg_type": "''T''",
        "pg_namespace": "''n''", "pg_language": "''l''", "pg_foreign_data_wrapper": "''F''", "pg_foreign_server": "''S''"}';
    name CONSTANT text := catalog::text;
    c record;
    fk record;
    expr text;
    cols text := '';
    source text := name;
    condition text := 'true';
    namespace text;
BEGIN
    FOR c IN
        SELECT attname::text AS attname, atttypid::regtype::text AS type
        FROM pg_attribute WHERE attrelid = catalog AND attnum > 0 AND NOT attisdropped ORDER BY attnum
    LOOP
        CONTINUE WHEN name || '.' || c.attname = ANY (derived);
        expr := NULL;
        IF c.attname = 'oid' THEN
            expr := CASE name
                WHEN 'pg_constraint' THEN 'upg.fp_identity(1259, conrelid) || ''|'' || upg.fp_identity(1247, contypid)'
                WHEN 'pg_rewrite' THEN 'pg_get_ruledef(x.oid)'
                WHEN 'pg_trigger' THEN 'pg_get_triggerdef(x.oid)'
                WHEN 'pg_enum' THEN '''label'''
                WHEN 'pg_largeobject_metadata' THEN 'x.oid::text'
                ELSE format('upg.fp_identity(%s, x.oid)', catalog::oid) END;
        ELSIF name IN ('pg_description', 'pg_seclabel', 'pg_init_privs', 'pg_depend') AND c.attname ~ '(obj|class)' THEN
            expr := CASE c.attname
                WHEN 'objoid' THEN '(SELECT identity FROM pg_identify_object(classoid, x.objoid, x.objsubid))'
                WHEN 'objid' THEN '(SELECT identity FROM pg_identify_object(classid, x.objid, x.objsubid))'
                WHEN 'refobjid' THEN '(SELECT identity FROM pg_identify_object(refclassid, x.refobjid, x.refobjsubid))'
                ELSE '''''' END;
        ELSIF c.type = 'pg_node_tree' THEN
            expr := CASE name || '.' || c.attname
                WHEN 'pg_attrdef.adbin' THEN 'pg_get_expr(adbin, adrelid)'
                WHEN 'pg_constraint.conbin' THEN 'pg_get_constraintdef(x.oid)'
                WHEN 'pg_index.indexprs' THEN 'pg_get_indexdef(indexrelid)'
                WHEN 'pg_proc.proargdefaults' THEN 'pg_get_function_arguments(x.oid)'
                WHEN 'pg_proc.prosqlbody' THEN 'pg_get_function_sqlbody(x.oid)'
                WHEN 'pg_class.relpartbound' THEN 'pg_get_expr(relpartbound, x.oid)'
                WHEN 'pg_partitioned_table.partexprs' THEN 'pg_get_partkeydef(partrelid)'
                WHEN 'pg_policy.polqual' THEN 'pg_get_expr(polqual, polrelid)'
                WHEN 'pg_policy.polwithcheck' THEN 'pg_get_expr(polwithcheck, polrelid)'
                WHEN 'pg_statistic_ext.stxexprs' THEN 'pg_get_statisticsobjdef(x.oid)'
                WHEN 'pg_type.typdefaultbin' THEN 'pg_get_expr(typdefaultbin, 0)'
                WHEN 'pg_publication_rel.prqual' THEN 'pg_get_expr(prqual, prrelid)'
                ELSE '''''' END;
        ELSIF name = 'pg_attribute' AND c.attname = 'attnum' THEN
            expr := 'x.fp_rank';
        ELSIF name = 'pg_enum' AND c.attname = 'enumsortorder' THEN
            expr := 'x.fp_rank';
        ELSIF c.type = 'aclitem[]' AND acls ? name THEN
            -- a grant that is revoked again leaves the usual privileges, written out
            expr := format('CASE WHEN upg.image_acl(x.%I, %s::"char", x.%I) IS NOT NULL THEN x.%I::text END',
                           c.attname, acls ->> name, regexp_replace(c.attname, 'acl$', 'owner'), c.attname);
        ELSIF name = 'pg_attribute' AND c.attname = 'attoptions' THEN
            expr := '(SELECT array_agg(o) FROM unnest(attoptions) o WHERE o NOT LIKE ''pg\_attver=%'')';
        ELSE
            SELECT * INTO fk FROM pg_get_catalog_foreign_keys() f
            WHERE f.fktable = catalog AND f.fkcols[cardinality(f.fkcols)] = c.attname
            ORDER BY cardinality(f.fkcols) DESC LIMIT 1;
            IF NOT FOUND THEN
                expr := format('x.%I::text', c.attname);
            ELSIF cardinality(fk.fkcols) = 2 THEN
                expr := format(CASE WHEN fk.is_array THEN 'upg.fp_columns(x.%I, x.%I::int2[])'
                                    ELSE 'upg.fp_columns(x.%I, ARRAY[x.%I]::int2[])' END, fk.fkcols[1], c.attname);
            ELSIF fk.pktable = 'pg_authid'::regclass THEN
                expr := format(CASE WHEN fk.is_array
                                    THEN '(SELECT array_agg(CASE WHEN o = 0 THEN ''public'' ELSE pg_get_userbyid(o)::text END) FROM unnest(x.%1$I) o)'
                                    ELSE 'CASE WHEN x.%1$I = 0 THEN ''public'' ELSE pg_get_userbyid(x.%1$I)::text END' END, c.attname);
            ELSE
                expr := format(CASE WHEN fk.is_array THEN 'upg.fp_identities(%s, x.%I::oid[])'
                                    ELSE 'upg.fp_identity(%s, x.%I)' END, fk.pktable::oid, c.attname);
            END IF;
        END IF;
        cols := cols || CASE WHEN cols = '' THEN '' ELSE ', ' END || format('coalesce((%s)::text, ''~'')', expr);
        IF c.attname ~ 'namespace$' AND c.type = 'oid' AND name <> 'pg_default_acl' THEN
            namespace := format('x.%I', c.attname);
        END IF;
    END LOOP;

    IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = catalog AND attname = 'oid') THEN
        condition := 'x.oid >= 16384';
    END IF;
    CASE name
        WHEN 'pg_attribute' THEN
            source := '(SELECT y.*, row_number() OVER (PARTITION BY attrelid ORDER BY attnum) AS fp_rank'
                      ' FROM pg_attribute y WHERE NOT attisdropped AND attnum > 0)';
            condition := 'x.attrelid >= 16384';
            namespace := '(SELECT k.relnamespace FROM pg_class k WHERE k.oid = x.attrelid)';
        WHEN 'pg_enum' THEN
            source := '(SELECT y.*, row_number() OVER (PARTITION BY enumtypid ORDER BY enumsortorder) AS fp_rank FROM pg_enum y)';
            namespace := '(SELECT t.typnamespace FROM pg_type t WHERE t.oid = x.enumtypid)';
        WHEN 'pg_depend' THEN
            condition := 'x.objid >= 16384 AND (x.deptype IN (''e'', ''x'') OR (x.deptype IN (''a'', ''i'') AND x.refobjsubid <> 0'
                         ' AND EXISTS (SELECT FROM pg_class s WHERE s.oid = x.objid AND s.relkind = ''S'')))';
            namespace := '(SELECT k.relnamespace FROM pg_class k WHERE k.oid = x.objid AND x.classid = 1259)';
        WHEN 'pg_index' THEN
            condition := 'x.indexrelid >= 16384';
            namespace := '(SELECT k.relnamespace FROM pg_class k WHERE k.oid = x.indrelid)';
        WHEN 'pg_trigger' THEN
            condition := 'NOT x.tgisinternal AND x.oid >= 16384';
            namespace := '(SELECT k.relnamespace FROM pg_class k WHERE k.oid = x.tgrelid)';
        WHEN 'pg_rewrite' THEN
            namespace := '(SELECT k.relnamespace FROM pg_class k WHERE k.oid = x.ev_class)';
        WHEN 'pg_policy' THEN
            namespace := '(SELECT k.relnamespace FROM pg_class k WHERE k.oid = x.polrelid)';
        WHEN 'pg_attrdef' THEN
            namespace := '(SELECT k.relnamespace FROM pg_class k WHERE k.oid = x.adrelid)';
        WHEN 'pg_inherits' THEN
            namespace := '(SELECT k.relnamespace FROM pg_class k WHERE k.oid = x.inhrelid)';
        WHEN 'pg_partitioned_table' THEN
            namespace := '(SELECT k.relnamespace FROM pg_class k WHERE k.oid = x.partrelid)';
        WHEN 'pg_sequence' THEN
            namespace := '(SELECT k.relnamespace FROM pg_class k WHERE k.oid = x.seqrelid)';
        WHEN 'pg_description', 'pg_seclabel', 'pg_init_privs' THEN
            -- the server comes without labels, and pg_dump shows comments on schemas
            condition := CASE name WHEN 'pg_seclabel' THEN 'true' WHEN 'pg_description' THEN
                '(x.objoid >= 16384 OR x.classoid = ''pg_namespace''::regclass)' ELSE 'x.objoid >= 16384' END;
            namespace := '(SELECT n.oid FROM pg_identify_object(x.classoid, x.objoid, x.objsubid) i'
                         ' JOIN pg_namespace n ON n.nspname = coalesce(i.schema, i.name))';
        WHEN 'pg_db_role_setting' THEN
            condition := 'x.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())';
        WHEN 'pg_namespace' THEN
            condition := 'true';
            namespace := 'x.oid';
        WHEN 'pg_largeobject_metadata', 'pg_language' THEN
            condition := 'true';
        ELSE
            NULL;
    END CASE;
    IF single THEN
        RETURN format('SELECT i.type || '' '' || i.identity, concat_ws(E''\x1f'', %s)'
                      ' FROM %s x, pg_identify_object(%s, x.oid, 0) i'
                      ' WHERE %s AND ($1 IS NULL OR %s IN (SELECT n.oid FROM pg_namespace n WHERE n.nspname = ANY ($1)))'
                      ' AND coalesce(%s <> ''upg''::regnamespace, true) AND NOT EXISTS'
                      ' (SELECT FROM pg_depend d WHERE d.classid = %s AND d.objid = x.oid AND d.deptype = ''e'')',
                      cols, source, catalog::oid, condition, coalesce(namespace, 'NULL::oid'),
                      coalesce(namespace, 'NULL::oid'), catalog::oid);
    END IF;
    RETURN format('SELECT string_agg(line, E''\n'' ORDER BY line COLLATE "C") FROM (SELECT concat_ws(E''\x1f'', %s) AS line'
                  ' FROM %s x WHERE %s AND ($1 IS NULL AND coalesce(%s NOT IN (SELECT n.oid FROM pg_namespace n'
                  ' WHERE n.nspname ~ ''^pg_(toast|temp)|^upg$''), true) OR %s IN (SELECT n.oid FROM pg_namespace n'
                  ' WHERE n.nspname = ANY ($1)))) lines',
                  cols, source, condition, coalesce(namespace, 'NULL::oid'), coalesce(namespace, 'NULL::oid'));
END
$function$;
COMMENT ON FUNCTION upg.fp_query(regclass, boolean) IS 'query that makes the fingerprinted text of one catalog, or of each of its objects';
REVOKE ALL ON FUNCTION upg.fp_query(regclass, boolean) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_schema_fingerprint_parts(schemas text[] DEFAULT NULL)
    RETURNS TABLE (part text, hash text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
    AS $function$
DECLARE
    r record;
    lines text;
BEGIN
    FOR r IN
        SELECT c.oid::regclass AS catalog, c.relname::text AS relname
        FROM pg_class c
        WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind = 'r' AND c.oid < 12000
          AND c.relname NOT IN ('pg_statistic', 'pg_statistic_ext_data', 'pg_shdepend', 'pg_database', 'pg_tablespace',
                                'pg_authid', 'pg_auth_members', 'pg_replication_origin', 'pg_shseclabel',
                                'pg_shdescription', 'pg_parameter_acl', 'pg_subscription', 'pg_subscription_rel', 'pg_largeobject')
        ORDER BY c.relname COLLATE "C"
    LOOP
        EXECUTE upg.fp_query(r.catalog) INTO lines USING schemas;
        part := r.relname;
        hash := encode(sha256(convert_to(coalesce(lines, ''), 'UTF8')), 'hex');
        RETURN NEXT;
    END LOOP;
    IF schemas IS NULL THEN
        part := 'system privileges';
        SELECT encode(sha256(convert_to(coalesce(string_agg(x.line, E'\n' ORDER BY x.line COLLATE "C"), ''), 'UTF8')), 'hex') INTO hash
        FROM (SELECT upg.fp_identity(1259, oid) || relacl::text AS line FROM pg_class WHERE oid < 16384 AND relacl IS NOT NULL
              UNION ALL SELECT upg.fp_identity(1255, oid) || proacl::text FROM pg_proc WHERE oid < 16384 AND proacl IS NOT NULL
              UNION ALL SELECT upg.fp_identity(1247, oid) || typacl::text FROM pg_type WHERE oid < 16384 AND typacl IS NOT NULL
              UNION ALL SELECT upg.fp_identity(1259, attrelid) || attname || attacl::text FROM pg_attribute WHERE attrelid < 16384 AND attacl IS NOT NULL) x;
        RETURN NEXT;
        part := 'database';
        SELECT encode(sha256(convert_to(concat_ws('|', pg_get_userbyid(datdba), encoding, datcollate, datctype, datacl::text,
                                                  datconnlimit, datistemplate, datallowconn,
                                                  shobj_description(oid, 'pg_database'),
                                                  (SELECT string_agg(concat_ws(' ', l.provider, l.label), E'\n' ORDER BY l.provider COLLATE "C")
                                                   FROM pg_shseclabel l WHERE l.classoid = 'pg_database'::regclass AND l.objoid = d.oid)), 'UTF8')), 'hex') INTO hash
        FROM pg_database d WHERE datname = current_database();
        RETURN NEXT;
    END IF;
END
$function$;
COMMENT ON FUNCTION @extschema@.upg_schema_fingerprint_parts(text[]) IS 'fingerprint of the schema, one hash a catalog';
REVOKE ALL ON FUNCTION @extschema@.upg_schema_fingerprint_parts(text[]) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_schema_fingerprint(schemas text[] DEFAULT NULL)
    RETURNS text
    LANGUAGE sql STABLE SECURITY DEFINER PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT encode(sha256(convert_to(string_agg(part || ' ' || hash, E'\n' ORDER BY part COLLATE "C"), 'UTF8')), 'hex')
FROM @extschema@.upg_schema_fingerprint_parts(schemas)
$function$;
COMMENT ON FUNCTION @extschema@.upg_schema_fingerprint(text[]) IS 'hash of the schema as pg_dump shows it, of the whole database or of some schemas';
REVOKE ALL ON FUNCTION @extschema@.upg_schema_fingerprint(text[]) FROM PUBLIC;
