-- fuzz.sql: what exists, for the generator of fuzz.py, and how it acts.
CREATE SCHEMA IF NOT EXISTS rt;
GRANT USAGE ON SCHEMA rt TO PUBLIC;
-- a rewrite by VACUUM FULL writes the values of new columns into the rows
TRUNCATE rt.oracle;
DROP FUNCTION rt.catalogs();
SELECT rt.build('{pg_attribute.atthasmissing,pg_attribute.attmissingval}');

-- What a statement could be about, in the order in which it was made.
CREATE FUNCTION rt.model() RETURNS json LANGUAGE sql STABLE SET search_path = pg_catalog AS $model$
WITH ns AS (
    SELECT oid, quote_ident(nspname) AS q FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema$|upg$|rt$|amchk$)'
), member AS MATERIALIZED (
    SELECT classid, objid FROM pg_depend WHERE deptype = 'e' AND objid >= 16384
), rel AS MATERIALIZED (
    SELECT c.*, ns.q || '.' || quote_ident(c.relname) AS q, ns.q AS s FROM pg_class c JOIN ns ON ns.oid = c.relnamespace
    WHERE (c.oid) NOT IN (SELECT objid FROM member WHERE classid = 'pg_class'::regclass)
)
SELECT json_build_object(
 'schemas', (SELECT json_agg(q ORDER BY oid) FROM ns),
 'roles', (SELECT json_agg(quote_ident(rolname) ORDER BY oid) FROM pg_roles WHERE rolname ~ '^fz_'),
 'tables', (SELECT json_agg(json_build_object('oid', r.oid::bigint, 'q', r.q, 's', r.s, 'name', quote_ident(r.relname),
        'kind', r.relkind, 'pers', r.relpersistence, 'part', r.relispartition, 'of', r.reloftype <> 0, 'rls', r.relrowsecurity,
        'method', p.partstrat, 'key', pg_get_partkeydef(r.oid), 'owner', pg_get_userbyid(r.relowner),
        'parents', (SELECT json_agg(inhparent::bigint ORDER BY inhseqno) FROM pg_inherits WHERE inhrelid = r.oid),
        'children', (SELECT count(*) FROM pg_inherits WHERE inhparent = r.oid),
        'cols', (SELECT json_agg(json_build_object('n', quote_ident(a.attname), 't', format_type(a.atttypid, a.atttypmod),
                    'b', format_type(a.atttypid, NULL), 'nn', a.attnotnull, 'def', a.atthasdef, 'id', a.attidentity,
                    'gen', a.attgenerated, 'inh', a.attinhcount > 0, 'tt', t.typtype, 'cat', t.typcategory) ORDER BY a.attnum)
                 FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid WHERE a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped))
        ORDER BY r.oid)
    FROM rel r LEFT JOIN pg_partitioned_table p ON p.partrelid = r.oid WHERE r.relkind IN ('r', 'p', 'v', 'm')),
 'indexes', (SELECT json_agg(json_build_object('q', r.q, 'name', quote_ident(r.relname), 't', i.indrelid::bigint, 'am', a.amname,
        'uniq', i.indisunique, 'kind', r.relkind, 'part', r.relispartition, 'imm', i.indimmediate, 'pred', i.indpred IS NOT NULL,
        'expr', i.indexprs IS NOT NULL, 'valid', i.indisvalid, 'def', pg_get_indexdef(r.oid),
        'con', (SELECT quote_ident(conname) FROM pg_constraint k WHERE k.conindid = r.oid AND k.contype IN ('p', 'u', 'x') LIMIT 1)) ORDER BY r.oid)
    FROM rel r JOIN pg_index i ON i.indexrelid = r.oid JOIN pg_am a ON a.oid = r.relam),
 'sequences', (SELECT json_agg(json_build_object('q', q, 'name', quote_ident(relname)) ORDER BY oid) FROM rel WHERE relkind = 'S'),
 'constraints', (SELECT json_agg(json_build_object('n', quote_ident(conname), 't', conrelid::bigint, 'd', contypid::bigint, 'type', contype, 'valid', convalidated,
        'defer', condeferrable, 'inh', coninhcount > 0, 'ref', confrelid::bigint,
        'cols', (SELECT json_agg(quote_ident(a.attname)) FROM pg_attribute a WHERE a.attrelid = conrelid AND a.attnum = ANY (conkey))) ORDER BY k.oid)
    FROM pg_constraint k JOIN ns ON ns.oid = connamespace),
 'types', (SELECT json_agg(json_build_object('oid', t.oid::bigint, 'q', ns.q || '.' || quote_ident(t.typname), 'name', quote_ident(t.typname), 'tt', t.typtype,
        'base', nullif(format_type(t.typbasetype, t.typtypmod), '-'), 'notnull', t.typnotnull,
        'sub', (SELECT format_type(rngsubtype, NULL) FROM pg_range WHERE rngtypid = t.oid),
        'labels', (SELECT json_agg(enumlabel ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid),
        'attrs', (SELECT json_agg(json_build_object('n', quote_ident(attname), 't', format_type(atttypid, atttypmod)) ORDER BY attnum) FROM pg_attribute WHERE attrelid = t.typrelid
                    AND attnum > 0 AND NOT attisdropped)) ORDER BY t.oid)
    FROM pg_type t JOIN ns ON ns.oid = t.typnamespace
    WHERE (t.typtype IN ('e', 'd', 'r') OR t.typtype = 'c' AND EXISTS (SELECT FROM pg_class WHERE oid = t.typrelid AND relkind = 'c'))
      AND t.oid NOT IN (SELECT objid FROM member WHERE classid = 'pg_type'::regclass)),
 'functions', (SELECT json_agg(json_build_object('q', f.oid::regprocedure::text, 'n', ns.q || '.' || quote_ident(f.proname), 'name', quote_ident(f.proname),
        'kind', f.prokind, 'nargs', f.pronargs, 'ret', format_type(f.prorettype, NULL), 'vol', f.provolatile,
        'args', pg_get_function_identity_arguments(f.oid), 'types', (SELECT json_agg(format_type(x, NULL)) FROM unnest(f.proargtypes) x), 'lang', l.lanname) ORDER BY f.oid)
    FROM pg_proc f JOIN ns ON ns.oid = f.pronamespace JOIN pg_language l ON l.oid = f.prolang
    WHERE f.oid NOT IN (SELECT objid FROM member WHERE classid = 'pg_proc'::regclass)),
 'triggers', (SELECT json_agg(json_build_object('n', quote_ident(tgname), 't', tgrelid::bigint, 'con', tgconstraint <> 0) ORDER BY oid)
    FROM pg_trigger WHERE NOT tgisinternal AND tgrelid IN (SELECT oid FROM rel)),
 'rules', (SELECT json_agg(json_build_object('n', quote_ident(rulename), 't', ev_class::bigint) ORDER BY oid)
    FROM pg_rewrite WHERE rulename <> '_RETURN' AND ev_class IN (SELECT oid FROM rel)),
 'policies', (SELECT json_agg(json_build_object('n', quote_ident(polname), 't', polrelid::bigint) ORDER BY oid) FROM pg_policy),
 'stats', (SELECT json_agg(ns.q || '.' || quote_ident(stxname) ORDER BY e.oid) FROM pg_statistic_ext e JOIN ns ON ns.oid = stxnamespace),
 'pubs', (SELECT json_agg(json_build_object('n', quote_ident(pubname), 'all', puballtables) ORDER BY oid) FROM pg_publication),
 'extensions', (SELECT json_agg(extname ORDER BY oid) FROM pg_extension WHERE extname !~ '^(upg|amcheck|plpgsql)$'),
 'event_triggers', (SELECT json_agg(quote_ident(evtname) ORDER BY oid) FROM pg_event_trigger),
 'operators', (SELECT json_agg(json_build_object('q', ns.q || '.' || o.oprname, 'l', coalesce(nullif(format_type(oprleft, NULL), '-'), 'NONE'), 'r', format_type(oprright, NULL)) ORDER BY o.oid)
    FROM pg_operator o JOIN ns ON ns.oid = o.oprnamespace WHERE o.oid NOT IN (SELECT objid FROM member WHERE classid = 'pg_operator'::regclass)),
 'casts', (SELECT json_agg(format('(%s AS %s)', format_type(castsource, NULL), format_type(casttarget, NULL)) ORDER BY oid) FROM pg_cast WHERE oid >= 16384
    AND oid NOT IN (SELECT objid FROM member WHERE classid = 'pg_cast'::regclass)),
 'collations', (SELECT json_agg(ns.q || '.' || quote_ident(collname) ORDER BY c.oid) FROM pg_collation c JOIN ns ON ns.oid = c.collnamespace),
 'ts', (SELECT json_agg(json_build_object('k', k, 'q', q) ORDER BY oid) FROM (
    SELECT 'CONFIGURATION' k, ns.q || '.' || quote_ident(cfgname) q, c.oid FROM pg_ts_config c JOIN ns ON ns.oid = cfgnamespace
    UNION ALL SELECT 'DICTIONARY', ns.q || '.' || quote_ident(dictname), d.oid FROM pg_ts_dict d JOIN ns ON ns.oid = dictnamespace) x),
 'lobs', (SELECT json_agg(oid::bigint ORDER BY oid) FROM pg_largeobject_metadata)
)
$model$;

-- Values of all sequences, and how they are put back.
CREATE FUNCTION rt.sequences() RETURNS jsonb LANGUAGE plpgsql SET search_path = pg_catalog AS $sequences$
DECLARE
    s record;
    out jsonb := '{}';
BEGIN
    FOR s IN SELECT c.oid::regclass::text AS q FROM pg_class c JOIN pg_namespace ns ON ns.oid = relnamespace
             WHERE relkind = 'S' AND relpersistence <> 't' AND nspname !~ '^(pg_|information_schema$|upg$|rt$|amchk$)' LOOP
        EXECUTE format('SELECT %L::jsonb || jsonb_build_object(%L, jsonb_build_array(last_value, is_called)) FROM %s', out, s.q, s.q) INTO out;
    END LOOP;
    RETURN out;
END
$sequences$;
CREATE FUNCTION rt.put_sequences(was jsonb) RETURNS void LANGUAGE sql SET search_path = pg_catalog AS $put$
    SELECT setval(key::regclass, (value ->> 0)::bigint, (value ->> 1)::boolean) FROM jsonb_each(was) WHERE value <> rt.sequences() -> key
$put$;

-- What every table does when it is written to, and every view when it is read.  Nothing of it stays;
-- sequences are put back.
CREATE FUNCTION rt.act() RETURNS SETOF text LANGUAGE plpgsql SET search_path = pg_catalog SET client_min_messages = error AS $act$
DECLARE
    r record;
    values_were jsonb := rt.sequences();
    all_rows text;
    action text;
    n bigint := 0;
BEGIN
    SELECT string_agg(format('SELECT %L, count(*) FROM ONLY %s', c.oid::regclass, c.oid::regclass), ' UNION ALL ' ORDER BY c.oid::regclass::text) INTO all_rows
    FROM pg_class c JOIN pg_namespace ns ON ns.oid = relnamespace
    WHERE relkind = 'r' AND relpersistence <> 't' AND nspname !~ '^(pg_|information_schema$|upg$|rt$|amchk$)';
    FOR r IN SELECT c.oid::regclass::text AS q, c.relkind AS kind,
                (SELECT string_agg(format('%1$I = %1$I', attname), ', ' ORDER BY attnum) FROM pg_attribute
                 WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '' AND attidentity <> 'a') AS set
             FROM pg_class c JOIN pg_namespace ns ON ns.oid = relnamespace
             WHERE relkind IN ('r', 'p', 'v', 'm') AND relpersistence <> 't' AND nspname !~ '^(pg_|information_schema$|upg$|rt$|amchk$)'
             ORDER BY c.oid::regclass::text LOOP
        FOREACH action IN ARRAY CASE WHEN r.kind IN ('v', 'm') THEN '{SELECT}' ELSE '{INSERT,UPDATE,DELETE}' END::text[] LOOP
            CONTINUE WHEN action = 'UPDATE' AND r.set IS NULL;
            DECLARE
                found text;
                counted text;
            BEGIN
                IF action = 'SELECT' THEN
                    EXECUTE format('SELECT count(*) || ''/'' || coalesce(sum(hashtextextended(x::text, 0)::numeric), 0) FROM %s x', r.q) INTO found;
                ELSE
                    EXECUTE format(CASE action WHEN 'INSERT' THEN 'INSERT INTO %s DEFAULT VALUES' WHEN 'UPDATE' THEN 'UPDATE %s SET ' || replace(r.set, '%', '%%')
                        ELSE 'DELETE FROM %s' END, r.q);
                    GET DIAGNOSTICS n = ROW_COUNT;
                    SET CONSTRAINTS ALL IMMEDIATE;
                    EXECUTE format('SELECT md5(string_agg(x::text, '' '')) FROM (%s) x', all_rows) INTO counted;
                    found := n || ' ' || counted;
                END IF;
                RAISE EXCEPTION USING errcode = 'FZ000', message = found;
            EXCEPTION WHEN SQLSTATE 'FZ000' THEN
                RETURN NEXT format('%s %s: %s', action, r.q, sqlerrm);
            WHEN OTHERS OR ASSERT_FAILURE THEN
                -- which of several rows fails first is chance
                RETURN NEXT format('%s %s: %s', action, r.q, sqlstate);
            END;
        END LOOP;
    END LOOP;
    PERFORM rt.put_sequences(values_were);
END
$act$;

-- Rows of all tables: by the table's OID its name, the columns' numbers and types, and each row's values as texts.
CREATE FUNCTION rt.rows() RETURNS SETOF jsonb LANGUAGE plpgsql SET search_path = pg_catalog SET datestyle = iso SET extra_float_digits = 3
SET session_replication_role = replica SET row_security = off AS $rows$
DECLARE
    r record;
    found jsonb;
BEGIN
    FOR r IN SELECT c.oid, c.oid::regclass::text AS q, coalesce(string_agg(quote_ident(attname) || '::text', ', ' ORDER BY attnum), '') AS list,
                coalesce(jsonb_agg(attnum || ' ' || format_type(atttypid, atttypmod) ORDER BY attnum) FILTER (WHERE attnum > 0), '[]') AS cols,
                coalesce(jsonb_agg(attnum ORDER BY attnum) FILTER (WHERE attgenerated <> ''), '[]') AS made
             FROM pg_class c JOIN pg_namespace ns ON ns.oid = relnamespace
             LEFT JOIN pg_attribute a ON attrelid = c.oid AND attnum > 0 AND NOT attisdropped
             WHERE relkind = 'r' AND relpersistence <> 't' AND nspname !~ '^(pg_|information_schema$|upg$|rt$|amchk$)'
             GROUP BY 1 ORDER BY 1 LOOP
        EXECUTE format('SELECT coalesce(jsonb_agg(ARRAY[%s]::text[]), ''[]'') FROM ONLY %s', r.list, r.q) INTO found;
        RETURN NEXT jsonb_build_object('oid', r.oid::bigint, 'q', r.q, 'cols', r.cols, 'made', r.made, 'rows', found);
    END LOOP;
END
$rows$;
