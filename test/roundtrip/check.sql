-- check.sql: what pg_dump cannot see.  One row per finding.
CREATE SCHEMA IF NOT EXISTS rt;

-- The catalogs' references to each other, as one query that a session plans once.
-- Objects below 12000 are pinned: they cannot go, so references to them cannot dangle.
CREATE OR REPLACE FUNCTION rt.build_dangling() RETURNS void LANGUAGE plpgsql AS $build$
DECLARE
    fk record;
    q text;
    one text;
    queries text[];
BEGIN
    FOR fk IN SELECT * FROM pg_get_catalog_foreign_keys() LOOP
        CONTINUE WHEN fk.fktable::text IN ('pg_depend', 'pg_shdepend', 'pg_description', 'pg_statistic', 'pg_statistic_ext_data');
        -- up to 15 nothing keeps who granted a membership
        CONTINUE WHEN fk.fkcols = '{grantor}' AND current_setting('server_version_num')::int < 160000;
        -- the server leaves OIDs of dropped tables there
        CONTINUE WHEN fk.fkcols = '{extconfig}';
        IF fk.is_array AND cardinality(fk.fkcols) = 1 THEN
            q := format('(SELECT unnest(%I) k FROM %s) f WHERE k >= 12000 AND NOT EXISTS (SELECT FROM %s p WHERE p.%I = f.k)',
                        fk.fkcols[1], fk.fktable, fk.pktable, fk.pkcols[1]);
        ELSIF fk.is_array THEN
            q := format('(SELECT %I a, unnest(%I) k FROM %s WHERE %I >= 12000) f WHERE k <> 0 AND NOT EXISTS (SELECT FROM %s p WHERE p.%I = f.a AND p.%I = f.k)',
                        fk.fkcols[1], fk.fkcols[2], fk.fktable, fk.fkcols[1], fk.pktable, fk.pkcols[1], fk.pkcols[2]);
        ELSIF cardinality(fk.fkcols) = 1 THEN
            q := format('%s f WHERE %I::oid >= 12000 AND NOT EXISTS (SELECT FROM %s p WHERE p.%I = f.%I)',
                        fk.fktable, fk.fkcols[1], fk.pktable, fk.pkcols[1], fk.fkcols[1]);
        ELSE
            q := format('%s f WHERE %I <> 0 AND %I >= 12000 AND NOT EXISTS (SELECT FROM %s p WHERE p.%I = f.%I AND p.%I = f.%I)',
                        fk.fktable, fk.fkcols[2], fk.fkcols[1], fk.pktable, fk.pkcols[1], fk.fkcols[1], fk.pkcols[2], fk.fkcols[2]);
        END IF;
        IF fk.fktable = 'pg_attribute'::regclass AND fk.fkcols[1] = 'attcollation' THEN
            -- a dropped column keeps the OID of a collation that may go as well
            q := q || ' AND NOT f.attisdropped';
        END IF;
        one := format('SELECT %L::text AS what, count(*) AS n FROM %s', format('%s %s -> %s', fk.fktable, fk.fkcols, fk.pktable), q);
        BEGIN
            EXECUTE one;
            queries := queries || one;
        EXCEPTION WHEN datatype_mismatch OR undefined_function THEN
            NULL;
        END;
    END LOOP;
    EXECUTE format('CREATE OR REPLACE FUNCTION rt.dangling() RETURNS SETOF text LANGUAGE plpgsql SET enable_hashjoin = off SET enable_mergejoin = off AS %L',
        'BEGIN RETURN QUERY SELECT format(''%s: %s dangling'', what, n) FROM (' || array_to_string(queries, ' UNION ALL ') || ') x WHERE n > 0; END');
END
$build$;
SELECT rt.build_dangling();

CREATE OR REPLACE FUNCTION rt.check(heap boolean DEFAULT true, catalogs boolean DEFAULT true) RETURNS SETOF text LANGUAGE plpgsql AS $check$
DECLARE
    r record;
    q text;
BEGIN
    IF catalogs THEN
        RETURN QUERY SELECT * FROM rt.dangling();
        FOR r IN SELECT classid::regclass c, objid FROM (SELECT classid, objid FROM pg_depend UNION SELECT refclassid, refobjid FROM pg_depend) d
                 WHERE classid <> 0 AND objid >= 12000 AND (pg_identify_object(classid, objid, 0)).identity IS NULL LIMIT 20 LOOP
            RETURN NEXT format('pg_depend dangling: %s %s', r.c, r.objid);
        END LOOP;
        FOR r IN SELECT c.oid::regclass AS rel, relnatts, (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid AND attnum > 0) k
                 FROM pg_class c WHERE relkind IN ('r','v','m','p','f','c','i','I','t') LOOP
            IF r.relnatts <> r.k THEN
                RETURN NEXT format('relnatts of %s: %s, columns: %s', r.rel, r.relnatts, r.k);
            END IF;
        END LOOP;
        FOR r IN SELECT a.attrelid, count(*) FROM pg_attribute a WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = a.attrelid) GROUP BY 1 LOOP
            RETURN NEXT format('columns without relation %s', r.attrelid);
        END LOOP;
        FOR r IN SELECT tgrelid::regclass t FROM pg_trigger g JOIN pg_class c ON c.oid = tgrelid WHERE NOT relhastriggers LOOP
            RETURN NEXT format('triggers of %s would not fire', r.t);
        END LOOP;
        FOR r IN SELECT ev_class::regclass t FROM pg_rewrite g JOIN pg_class c ON c.oid = ev_class WHERE NOT relhasrules LOOP
            RETURN NEXT format('rules of %s would not fire', r.t);
        END LOOP;
        FOR r IN SELECT indrelid::regclass t FROM pg_index g JOIN pg_class c ON c.oid = indrelid WHERE NOT relhasindex LOOP
            RETURN NEXT format('indexes of %s would not be seen', r.t);
        END LOOP;
        FOR r IN SELECT inhparent::regclass t FROM pg_inherits g JOIN pg_class c ON c.oid = inhparent WHERE NOT relhassubclass AND c.relkind <> 'I' LOOP
            RETURN NEXT format('children of %s would not be seen', r.t);
        END LOOP;
        FOR r IN SELECT c.oid::regclass t FROM pg_class c WHERE relchecks <> (SELECT count(*) FROM pg_constraint k WHERE k.conrelid = c.oid AND contype = 'c') LOOP
            RETURN NEXT format('relchecks of %s is wrong', r.t);
        END LOOP;
    END IF;
    IF heap THEN
        -- an expression over a function of one's own may lie about being immutable
        FOR r IN SELECT i.indexrelid,
                        NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid
                                    AND d.refclassid = 'pg_proc'::regclass) AS plain FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
                 WHERE a.amname = 'btree' AND c.relkind = 'i' AND i.indisvalid AND i.indisready AND c.relpersistence = 'p' LOOP
            BEGIN
                PERFORM amchk.bt_index_check(r.indexrelid, r.plain);
            EXCEPTION WHEN OTHERS THEN
                RETURN NEXT format('index %s: %s', r.indexrelid::regclass, sqlerrm);
            END;
        END LOOP;
        FOR r IN SELECT c.oid FROM pg_class c JOIN pg_am a ON a.oid = c.relam
                 WHERE relkind IN ('r','m','t') AND relpersistence = 'p' AND a.amname = 'heap' AND relname !~ '^upg_kept_'
                   AND (c.oid >= 16384 OR c.relname IN ('pg_class', 'pg_attribute', 'pg_depend', 'pg_type', 'pg_constraint')) LOOP
            BEGIN
                FOR q IN SELECT msg FROM amchk.verify_heapam(r.oid) LIMIT 1 LOOP
                    RETURN NEXT format('table %s: %s', r.oid::regclass, q);
                END LOOP;
            EXCEPTION WHEN OTHERS THEN
                RETURN NEXT format('table %s: %s', r.oid::regclass, sqlerrm);
            END;
        END LOOP;
    END IF;
END
$check$;
