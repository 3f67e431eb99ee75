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

CREATE FUNCTION rt.build() RETURNS void LANGUAGE plpgsql AS $build$
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
        pg_attribute.attcacheoff,pg_database.datfrozenxid,pg_database.datminmxid}';
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

-- What oracle.py asks in order not to read again what is the same.  A stamp changes whenever rows
-- may differ without a write to a page; of a table of types that are made here, or name things, it is null.
CREATE FUNCTION rt.stamps(most int) RETURNS TABLE (kind text, name text, stamp text, id text)
LANGUAGE plpgsql SET search_path = pg_catalog AS $stamps$
DECLARE
    locked oid[] := rt.locked();
BEGIN
    RETURN QUERY SELECT 'now', pg_current_wal_flush_lsn()::text,
        (NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'transactionid'))::text, oid::text
        FROM pg_database WHERE datname = current_database();
    RETURN QUERY SELECT 'catalog', o.catalog, pg_relation_filenode(c.oid)::text, (pg_relation_size(c.oid) / 8192)::text
        FROM rt.oracle o JOIN pg_class c ON c.relname = o.catalog AND c.relnamespace = 'pg_catalog'::regnamespace;
    RETURN QUERY SELECT 'table', format('%I.%I', n.nspname, c.relname),
        CASE WHEN c.relkind IN ('r', 'm') AND c.relpersistence = 'p' AND NOT EXISTS
                (SELECT FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid WHERE a.attrelid = c.oid AND a.attnum > 0
                 AND (t.oid >= 16384 OR t.typtype <> 'b' OR t.typname ~ '^_?(reg|aclitem)')) THEN
            concat_ws('/', pg_relation_filenode(c.oid), pg_relation_filenode(nullif(c.reltoastrelid, 0)), pg_relation_size(c.oid),
                (SELECT md5(string_agg(a.attisdropped::text || a.atttypid || coalesce(a.attmissingval::text, ''), ',' ORDER BY a.attnum))
                 FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0))
        END, c.oid::text
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE (c.relkind IN ('r', 'S') OR c.relkind = 'm' AND c.relispopulated)
          AND c.relpersistence <> 't' AND n.nspname !~ '^(pg_|information_schema$|upg$|rt$|amchk$)'
          AND CASE WHEN c.oid = ANY (locked) THEN false WHEN c.relkind = 'S' THEN true
                   ELSE pg_relation_size(c.oid) <= most * 8192::bigint END;
END
$stamps$;
