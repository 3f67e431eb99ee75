-- seed.sql: two rows into every table that takes them, made from the column types.
-- Tables are tried several times, because a foreign key wants its target first.
DO $seed$
DECLARE
    t record;
    c record;
    cols text;
    vals text;
    v text;
    n int;
    round int;
BEGIN
    PERFORM set_config('session_replication_role', 'origin', true);
    FOR round IN 1..2 LOOP
        FOR t IN
            SELECT cl.oid, format('%I.%I', ns.nspname, cl.relname) AS name
            FROM pg_class cl JOIN pg_namespace ns ON ns.oid = cl.relnamespace
            WHERE cl.relkind = 'r' AND cl.relpersistence <> 't'
              AND ns.nspname !~ '^(pg_|information_schema$|upg$|amchk$|rt$)'
              AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = cl.oid AND d.deptype = 'e')
            ORDER BY cl.oid
        LOOP
            EXECUTE format('SELECT count(*) FROM (SELECT 1 FROM ONLY %s LIMIT 4) x', t.name) INTO n;
            CONTINUE WHEN n >= 3;
            n := n + 1 + round * 10 + (t.oid::bigint % 97)::int;
            cols := '';
            vals := '';
            FOR c IN
                SELECT a.attname, a.atttypid, a.atttypmod, ty.typtype, ty.typcategory, ty.typelem,
                       ty.typname, a.atthasdef, a.attidentity, a.attgenerated, a.attnum, a.attnotnull,
                       (SELECT format('(SELECT %I FROM %s ORDER BY 1 DESC LIMIT 1)', fa.attname, k.confrelid::regclass)
                        FROM pg_constraint k JOIN pg_attribute fa
                          ON fa.attrelid = k.confrelid AND fa.attnum = k.confkey[1]
                        WHERE k.conrelid = t.oid AND k.contype = 'f' AND k.conkey = ARRAY[a.attnum] LIMIT 1) AS fk
                FROM pg_attribute a JOIN pg_type ty ON ty.oid = a.atttypid
                WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
                ORDER BY a.attnum
            LOOP
                CONTINUE WHEN c.attgenerated <> '' OR c.attidentity <> '';
                CONTINUE WHEN c.atthasdef AND (n + c.attnum) % 2 = 0;
                CONTINUE WHEN c.atthasdef AND pg_get_serial_sequence(t.name, c.attname) IS NOT NULL;
                IF c.fk IS NOT NULL THEN
                    v := c.fk;
                ELSIF NOT c.attnotnull AND (n + c.attnum) % 5 = 0 THEN
                    v := 'NULL';
                ELSIF c.typtype = 'e' THEN
                    v := format('(SELECT min(enumlabel::text) FROM pg_enum WHERE enumtypid = %s)::%s', c.atttypid, format_type(c.atttypid, NULL));
                    SELECT quote_literal(enumlabel) || '::' || format_type(c.atttypid, NULL) INTO v
                    FROM pg_enum WHERE enumtypid = c.atttypid ORDER BY enumsortorder LIMIT 1;
                ELSE
                    v := CASE
                        WHEN c.typname IN ('int2', 'int4', 'int8', 'float4', 'float8', 'numeric', 'oid') THEN n::text
                        WHEN c.typname = 'bool' THEN 'true'
                        WHEN c.typname = 'uuid' THEN quote_literal(md5(n::text || t.oid)) || '::uuid'
                        WHEN c.typname IN ('json', 'jsonb') THEN quote_literal('{"n": ' || n || '}')
                        WHEN c.typname IN ('date', 'timestamp', 'timestamptz') THEN quote_literal((date '2024-01-01' + n)::text)
                        WHEN c.typname IN ('time', 'timetz') THEN quote_literal('10:00:00')
                        WHEN c.typname = 'interval' THEN quote_literal(n || ' minutes')
                        WHEN c.typname = 'bytea' THEN quote_literal('\x0' || n % 10)
                        WHEN c.typname IN ('inet', 'cidr') THEN quote_literal('10.0.0.' || n % 250)
                        WHEN c.typname = 'tsvector' THEN quote_literal('word' || n)
                        WHEN c.typcategory = 'A' THEN quote_literal('{}')
                        ELSE quote_literal(left('v' || n || '-' || t.oid || CASE WHEN n % 7 = 0 THEN repeat('long ', 900) ELSE '' END,
                                                CASE WHEN c.atttypmod > 4 AND c.typname IN ('varchar', 'bpchar') THEN c.atttypmod - 4 ELSE 5000 END))
                    END;
                END IF;
                cols := cols || CASE WHEN cols = '' THEN '' ELSE ', ' END || quote_ident(c.attname);
                vals := vals || CASE WHEN vals = '' THEN '' ELSE ', ' END || v;
            END LOOP;
            BEGIN
                IF cols = '' THEN
                    EXECUTE format('INSERT INTO %s DEFAULT VALUES', t.name);
                ELSE
                    EXECUTE format('INSERT INTO %s (%s) VALUES (%s)', t.name, cols, vals);
                END IF;
                -- a deferred check refuses this row, not all of them at the end
                SET CONSTRAINTS ALL IMMEDIATE;
                SET CONSTRAINTS ALL DEFERRED;
            EXCEPTION WHEN OTHERS THEN
                NULL;
            END;
        END LOOP;
    END LOOP;
END
$seed$;
