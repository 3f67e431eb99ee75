-- oracle.sql: what the catalogs and tables hold, row by row, as hashes.
--
-- A rollback restores rows with their OIDs, so rows of catalogs are compared as
-- they are, without looking up names: one hash a catalog.  Left out is what the
-- server moves by itself, what temporary objects leave, and TOAST tables (one
-- that a table got meanwhile stays).
CREATE SCHEMA IF NOT EXISTS rt;
CREATE TABLE rt.oracle (catalog text PRIMARY KEY, query text NOT NULL, hash text, filter text);

-- TOAST tables and what belongs to temporary objects
CREATE VIEW rt.hidden AS
    SELECT k.oid FROM pg_class k WHERE k.relkind = 't' OR k.relpersistence = 't' OR k.relnamespace = 'pg_toast'::regnamespace
    UNION ALL SELECT k.reltype FROM pg_class k WHERE k.relpersistence = 't'
    UNION ALL SELECT y.typarray FROM pg_type y JOIN pg_class k ON k.reltype = y.oid WHERE k.relpersistence = 't'
    UNION ALL SELECT r.oid FROM pg_rewrite r JOIN pg_class k ON k.oid = r.ev_class WHERE k.relpersistence = 't'
    UNION ALL SELECT r.oid FROM pg_attrdef r JOIN pg_class k ON k.oid = r.adrelid WHERE k.relpersistence = 't'
    UNION ALL SELECT r.oid FROM pg_trigger r JOIN pg_class k ON k.oid = r.tgrelid WHERE k.relpersistence = 't'
    UNION ALL SELECT r.oid FROM pg_constraint r JOIN pg_class k ON k.oid = r.conrelid WHERE k.relpersistence = 't'
    UNION ALL SELECT r.oid FROM pg_policy r JOIN pg_class k ON k.oid = r.polrelid WHERE k.relpersistence = 't'
    UNION ALL SELECT n.oid FROM pg_namespace n WHERE n.nspname ~ '^pg_(toast_)?temp_';

CREATE FUNCTION rt.build(more text[] DEFAULT '{}') RETURNS void LANGUAGE plpgsql AS $build$
DECLARE
    t record;
    c record;
    cols text;
    filter text;
    first_oid text;
    expr text;
    skip text[] := '{pg_class.relfilenode,pg_class.relpages,pg_class.reltuples,pg_class.relallvisible,pg_class.relallfrozen,
        pg_class.reltoastrelid,pg_class.relhasindex,pg_class.relhasrules,pg_class.relhastriggers,pg_class.relhassubclass,
        pg_class.relfrozenxid,pg_class.relminmxid,pg_class.relrewrite,pg_class.relnatts,pg_index.indcheckxmin,
        pg_attribute.attcacheoff,pg_database.datfrozenxid,pg_database.datminmxid}' || more;
BEGIN
    FOR t IN SELECT oid, relname::text FROM pg_class
             WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r'
               AND relname !~ '^pg_statistic(_ext_data)?$|^pg_(replication_origin|subscription_rel|largeobject)$' LOOP
        cols := '';
        first_oid := NULL;
        filter := 'true';
        FOR c IN SELECT attname::text, atttypid FROM pg_attribute WHERE attrelid = t.oid AND attnum > 0 ORDER BY attnum LOOP
            IF c.atttypid IN ('oid'::regtype, 'regproc'::regtype) AND first_oid IS NULL THEN
                first_oid := c.attname;
            END IF;
            CONTINUE WHEN t.relname || '.' || c.attname = ANY (skip);
            expr := 'x.' || quote_ident(c.attname);
            IF t.relname = 'pg_attribute' AND c.attname = 'attoptions' THEN
                -- versions of columns only grow
                expr := 'nullif((SELECT array_agg(o) FROM unnest(x.attoptions) o WHERE o !~ ''^pg_attver=''), ''{}'')';
            END IF;
            IF c.atttypid = 'regproc'::regtype THEN
                -- looking up the name costs more than all the rest
                expr := expr || '::oid';
            END IF;
            cols := cols || CASE WHEN cols = '' THEN '' ELSE ', ' END || expr;
            IF c.atttypid = 'aclitem[]'::regtype THEN
                filter := format('x.%I IS NOT NULL', c.attname);
            END IF;
        END LOOP;
        IF t.relname IN ('pg_authid', 'pg_auth_members', 'pg_tablespace', 'pg_largeobject_metadata', 'pg_language', 'pg_parameter_acl') THEN
            filter := 'true';
        ELSIF t.relname = 'pg_namespace' THEN
            filter := 'x.nspname !~ ''^pg_(toast_)?temp_''';
        ELSIF t.relname = 'pg_database' THEN
            filter := 'x.datname = current_database()';
        ELSIF t.relname IN ('pg_shdepend', 'pg_db_role_setting') THEN
            filter := format('x.%I IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))',
                             CASE t.relname WHEN 'pg_shdepend' THEN 'dbid' ELSE 'setdatabase' END);
        ELSIF t.relname = 'pg_depend' THEN
            filter := 'x.objid >= 16384 OR x.refobjid >= 16384';
        ELSIF filter = 'true' THEN
            filter := format('x.%I::oid >= 16384', first_oid);
        ELSE
            filter := format('(x.%I >= 16384 OR %s)', first_oid, filter);
        END IF;
        IF t.relname = 'pg_attribute' THEN
            filter := filter || ' AND NOT x.attisdropped';
        END IF;
        IF t.relname IN ('pg_depend', 'pg_shdepend') THEN
            filter := format('(%s) AND x.objid NOT IN (SELECT oid FROM hidden)', filter)
                || CASE t.relname WHEN 'pg_depend' THEN ' AND x.refobjid NOT IN (SELECT oid FROM hidden)' ELSE '' END;
        ELSIF t.relname = 'pg_type' THEN
            filter := filter || ' AND x.typnamespace NOT IN (SELECT oid FROM hidden)';
        ELSIF t.relname IN ('pg_proc', 'pg_operator', 'pg_collation', 'pg_constraint') THEN
            filter := filter || format(' AND x.%s NOT IN (SELECT oid FROM hidden)',
                CASE t.relname WHEN 'pg_proc' THEN 'pronamespace' WHEN 'pg_operator' THEN 'oprnamespace'
                    WHEN 'pg_collation' THEN 'collnamespace' ELSE 'connamespace' END);
        ELSIF first_oid IS NOT NULL AND t.relname NOT IN ('pg_namespace', 'pg_database', 'pg_authid', 'pg_db_role_setting') THEN
            filter := filter || format(' AND x.%I NOT IN (SELECT oid FROM hidden)', first_oid);
            IF t.relname IN ('pg_trigger', 'pg_attrdef', 'pg_rewrite', 'pg_policy') THEN
                filter := filter || format(' AND x.%s NOT IN (SELECT oid FROM hidden)',
                    CASE t.relname WHEN 'pg_trigger' THEN 'tgrelid' WHEN 'pg_attrdef' THEN 'adrelid'
                        WHEN 'pg_rewrite' THEN 'ev_class' ELSE 'polrelid' END);
            END IF;
        END IF;
        INSERT INTO rt.oracle VALUES (t.relname, format(
            'SELECT %L, coalesce(sum(hashtextextended(ROW(%s)::text, 0)::numeric), 0)::text || ''/'' || count(*) FROM pg_catalog.%I x WHERE %s',
            t.relname, cols, t.relname, filter),
            format('hashtextextended(ROW(%s)::text, 0)', cols), filter);
    END LOOP;
    INSERT INTO rt.oracle VALUES ('large objects',
        'SELECT ''large objects'', coalesce(sum(hashtextextended(ROW(loid, pageno, data)::text, 0)::numeric), 0)::text FROM pg_largeobject');
    -- flags that the server may clear, so that they differ without harm, but never so
    INSERT INTO rt.oracle VALUES ('dead triggers', 'SELECT ''dead triggers'', count(*)::text FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid WHERE NOT relhastriggers'),
        ('dead rules', 'SELECT ''dead rules'', count(*)::text FROM pg_rewrite JOIN pg_class c ON c.oid = ev_class WHERE NOT relhasrules'),
        ('unseen indexes', 'SELECT ''unseen indexes'', count(*)::text FROM pg_index JOIN pg_class c ON c.oid = indrelid WHERE NOT relhasindex'),
        ('unseen children', 'SELECT ''unseen children'', count(*)::text FROM pg_inherits JOIN pg_class c ON c.oid = inhparent WHERE NOT relhassubclass AND c.relkind <> ''I'''),
        ('columns', 'SELECT ''columns'', count(*)::text FROM pg_class c WHERE c.oid >= 16384 AND relnatts <> (SELECT count(*) FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0)');
    -- PL/pgSQL plans it once a session
    EXECUTE 'CREATE FUNCTION rt.catalogs() RETURNS TABLE (what text, hash text) LANGUAGE plpgsql SET datestyle = iso SET search_path = pg_catalog AS '
        || quote_literal('BEGIN RETURN QUERY WITH hidden AS MATERIALIZED (TABLE rt.hidden) '
            || (SELECT string_agg(query, E'\nUNION ALL ' ORDER BY catalog) FROM rt.oracle) || '; END');
END
$build$;
SELECT rt.build();

-- What prepared transactions have locked so that nobody can read it.
CREATE FUNCTION rt.locked() RETURNS oid[] LANGUAGE sql SET search_path = pg_catalog AS
    $$SELECT array_agg(relation) FROM pg_locks WHERE pid IS NULL AND mode = 'AccessExclusiveLock'
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())$$;

-- Rows of tables and values of sequences; tables larger than "most" pages are left to pg_dump;
-- with -1 all tables are; "which" looks at some of them.  So are those that a prepared transaction has locked.
CREATE FUNCTION rt.data(most int, which oid[] DEFAULT NULL) RETURNS TABLE (what text, hash text) LANGUAGE plpgsql
SET search_path = pg_catalog SET datestyle = iso SET extra_float_digits = 3 SET bytea_output = hex
SET session_replication_role = replica SET row_security = off AS $data$
DECLARE
    r record;
    locked oid[] := rt.locked();
BEGIN
    FOR r IN SELECT format('%I.%I', n.nspname, c.relname) q, c.relkind, c.oid
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE (c.relkind IN ('r', 'S') OR c.relkind = 'm' AND c.relispopulated)
               AND c.relpersistence <> 't' AND n.nspname !~ '^(pg_|information_schema$|upg$|rt$|amchk$)'
               AND (which IS NULL OR c.oid = ANY (which)) LOOP
        what := r.q;
        CONTINUE WHEN coalesce(r.oid = ANY (locked), false) OR r.relkind <> 'S' AND pg_relation_size(r.oid) > most * 8192::bigint;
        BEGIN
            IF r.relkind = 'S' THEN
                EXECUTE format('SELECT last_value || ''/'' || is_called FROM %s', r.q) INTO hash;
            ELSE
                EXECUTE format('SELECT count(*) || ''/'' || coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) FROM ONLY %s t', r.q) INTO hash;
            END IF;
        EXCEPTION WHEN OTHERS OR ASSERT_FAILURE THEN
            hash := sqlerrm;
        END;
        RETURN NEXT;
    END LOOP;
END
$data$;

-- What oracle.py asks in order not to read again what is the same: hashes of the pages of catalogs that
-- were written since, of tables likewise, and the derived ones.  "known" has stamps of tables, which change
-- whenever rows may differ without a write to a page; a table of types that are made here, or name things,
-- has none, nor one with an index of expressions.  Without "since" everything is read.
--   kind, name, file or stamp, blocks or hash, block, sum, count
CREATE FUNCTION rt.changed(since pg_lsn, most int, known jsonb) RETURNS TABLE
    (kind text, name text, what text, extent text, block text, total text, n text)
LANGUAGE plpgsql SET search_path = pg_catalog SET datestyle = iso SET jit = off AS $changed$
DECLARE
    locked oid[] := rt.locked();
    till pg_lsn := pg_current_wal_flush_lsn();
    files jsonb := '{}';
    touched text[] := '{}';
    queries text[] := '{}';
    read oid[] := '{}';
    r record;
BEGIN
    IF till - since > 4 * 1024 * 1024 THEN
        -- to read so much log takes longer than to read everything
        since := NULL;
    END IF;
    IF since < till THEN
        SELECT coalesce(jsonb_object_agg(f.file, f.blocks), '{}') INTO files FROM (
            SELECT m[2] AS file, jsonb_agg(DISTINCT m[3]::bigint) AS blocks
            FROM amchk.pg_get_wal_records_info(since, till) w,
                 regexp_matches(w.block_ref, 'rel \d+/(\d+)/(\d+) fork main blk (\d+)', 'g') m
            WHERE w.resource_manager NOT IN ('Btree', 'Hash', 'Gin', 'Gist', 'SPGist') AND w.block_ref <> ''
              AND m[1] IN ('0', (SELECT d.oid::text FROM pg_database d WHERE d.datname = current_database()))
            GROUP BY m[2]) f;
    END IF;
    kind := 'catalog';
    FOR r IN SELECT o.*, c.oid AS rel, pg_relation_filenode(c.oid)::text AS file
             FROM rt.oracle o JOIN pg_class c ON c.relname = o.catalog AND c.relnamespace = 'pg_catalog'::regnamespace LOOP
        name := r.catalog;
        what := r.file;
        extent := pg_relation_size(r.rel) / 8192;
        RETURN NEXT;
        IF since IS NULL OR jsonb_array_length(files -> r.file) > 20 THEN
            block := '';
        ELSIF files ? r.file THEN
            block := format('AND (%s)', (SELECT string_agg(format('x.ctid >= %L AND x.ctid < %L', '(' || b || ',0)', '(' || b::bigint + 1 || ',0)'), ' OR ')
                                         FROM jsonb_array_elements_text(files -> r.file) b));
        ELSE
            CONTINUE;
        END IF;
        touched := touched || r.catalog;
        queries := queries || format('SELECT ''page'', %L, NULL, NULL, (x.ctid::text::point)[0]::int::text, sum((%s)::numeric)::text, count(*)::text '
            'FROM pg_catalog.%I x WHERE (%s) %s GROUP BY 5', r.catalog, r.hash, r.catalog, r.filter, block);
        IF block <> '' THEN
            kind := 'written';
            what := (SELECT string_agg(b, ',') FROM jsonb_array_elements_text(files -> r.file) b);
            RETURN NEXT;
            kind := 'catalog';
        ELSE
            kind := 'whole';
            RETURN NEXT;
            kind := 'catalog';
        END IF;
    END LOOP;
    block := NULL;
    FOR r IN SELECT o.catalog, o.query FROM rt.oracle o WHERE o.hash IS NULL
                AND (o.catalog = 'large objects' OR since IS NULL OR touched && '{pg_class,pg_trigger,pg_rewrite,pg_index,pg_inherits,pg_attribute}') LOOP
        queries := queries || format('SELECT ''derived'', q.*, NULL, NULL, NULL, NULL FROM (%s) q', r.query);
    END LOOP;
    RETURN QUERY EXECUTE 'WITH hidden AS MATERIALIZED (TABLE rt.hidden) ' || array_to_string(queries, ' UNION ALL ');
    kind := 'table';
    FOR r IN SELECT c.oid AS rel, format('%I.%I', ns.nspname, c.relname) AS q,
                CASE WHEN c.relkind IN ('r', 'm') AND c.relpersistence = 'p' AND NOT EXISTS
                        (SELECT FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid WHERE a.attrelid = c.oid AND a.attnum > 0
                         AND (t.oid >= 16384 OR t.typtype <> 'b' OR t.typname ~ '^_?(reg|aclitem)'))
                    -- planning may call functions of an index, which may say anything
                    AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL)) THEN
                    concat_ws('/', pg_relation_filenode(c.oid), pg_relation_filenode(nullif(c.reltoastrelid, 0)), pg_relation_size(c.oid),
                        (SELECT md5(string_agg(a.attisdropped::text || a.atttypid || coalesce(a.attmissingval::text, ''), ',' ORDER BY a.attnum))
                         FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0))
                END AS stamp
             FROM pg_class c JOIN pg_namespace ns ON ns.oid = c.relnamespace
             WHERE (c.relkind IN ('r', 'S') OR c.relkind = 'm' AND c.relispopulated)
               AND c.relpersistence <> 't' AND ns.nspname !~ '^(pg_|information_schema$|upg$|rt$|amchk$)'
               AND CASE WHEN c.oid = ANY (locked) THEN false WHEN c.relkind = 'S' THEN true
                        ELSE pg_relation_size(c.oid) <= most * 8192::bigint END LOOP
        name := r.q;
        what := r.stamp;
        RETURN NEXT;
        IF since IS NULL OR r.stamp IS NULL OR known ->> r.q IS DISTINCT FROM r.stamp
            OR files ?| (string_to_array(r.stamp, '/'))[1:2] THEN
            read := read || r.rel;
        END IF;
    END LOOP;
    RETURN QUERY SELECT 'row', d.what, d.hash, NULL, NULL, NULL, NULL FROM rt.data(most, read) d;
    RETURN QUERY SELECT 'now', till::text, (NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'transactionid' AND pid IS DISTINCT FROM pg_backend_pid()))::text,
        NULL, NULL, NULL, NULL;
END
$changed$;
