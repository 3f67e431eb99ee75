-- What "upg lint --downs" puts beside the extension in its scratch database:
-- rows made from the types of the columns, a copy of all rows before a migration,
-- and the comparison with what its down leaves.  Never run anywhere else.
CREATE UNLOGGED TABLE upg.lint_recipe (relation text PRIMARY KEY, signature text, statements text[]);
-- Empty but within a trial, whose transaction is given up or whose copy is dropped.
CREATE UNLOGGED TABLE upg.lint_table (relation text, columns text[], keys text[], sum text, sequence boolean, schema jsonb) WITH (autovacuum_enabled = off);
CREATE UNLOGGED TABLE upg.lint_before (no bigint, vals jsonb) WITH (autovacuum_enabled = off);
CREATE UNLOGGED TABLE upg.lint_after (no bigint, vals jsonb, taken boolean) WITH (autovacuum_enabled = off);
CREATE UNLOGGED TABLE upg.lint_row (relation text, no bigint, vals jsonb) WITH (autovacuum_enabled = off);

-- An SQL expression for the n-th value of a type, in the k-th row.
CREATE FUNCTION upg.lint_value(type oid, typmod int, n int, k int) RETURNS text LANGUAGE plpgsql AS $function$
DECLARE
    t record;
    digits int;
    scale int;
    size int;
BEGIN
    SELECT y.*, s.nspname INTO t FROM pg_catalog.pg_type y JOIN pg_catalog.pg_namespace s ON s.oid = y.typnamespace WHERE y.oid = type;
    IF t.typtype = 'd' THEN
        RETURN upg.lint_value(t.typbasetype, CASE WHEN t.typtypmod <> -1 THEN t.typtypmod ELSE typmod END, n, k);
    ELSIF t.typtype = 'e' THEN
        RETURN (SELECT quote_literal((array_agg(enumlabel ORDER BY enumsortorder))[1 + k % count(*)]) FROM pg_catalog.pg_enum WHERE enumtypid = type);
    ELSIF t.typcategory = 'A' AND t.typelem <> 0 THEN
        RETURN format('ARRAY[%s]::%s', upg.lint_value(t.typelem, typmod, n, k), format_type(type, NULL));
    ELSIF t.typtype = 'c' THEN
        RETURN (SELECT format('ROW(%s)::%s', string_agg(upg.lint_value(a.atttypid, a.atttypmod, n, k), ', ' ORDER BY a.attnum), format_type(type, NULL))
                FROM pg_catalog.pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped);
    ELSIF t.typtype = 'r' THEN
        RETURN (SELECT format('%I.%I(%s, %s)', t.nspname, t.typname, upg.lint_value(r.rngsubtype, -1, n * 10, k),
                              upg.lint_value(r.rngsubtype, -1, n * 10 + 3, k)) FROM pg_catalog.pg_range r WHERE r.rngtypid = type);
    ELSIF t.typtype = 'm' THEN
        RETURN (SELECT format('%I.%I(%s)', t.nspname, t.typname, upg.lint_value(r.rngtypid, -1, n, k)) FROM pg_catalog.pg_range r WHERE r.rngmultitypid = type);
    END IF;
    CASE t.typname
        WHEN 'int2', 'int4', 'int8', 'oid', 'xid', 'xid8', 'cid' THEN RETURN n::text;
        WHEN 'float4', 'float8', 'money' THEN RETURN quote_literal(n || '.5');
        WHEN 'numeric' THEN
            digits := CASE WHEN typmod = -1 THEN 20 ELSE ((typmod - 4) >> 16) & 65535 END;
            scale := CASE WHEN typmod = -1 THEN 2 ELSE (typmod - 4) & 2047 END;
            RETURN CASE WHEN digits - scale >= 9 THEN n WHEN digits <= scale THEN 0 ELSE mod(n, (10 ^ (digits - scale))::int) END
                   || CASE WHEN scale > 0 THEN '.5' ELSE '' END;
        WHEN 'bool' THEN RETURN (k % 2 = 1)::text;
        WHEN 'uuid' THEN RETURN quote_literal(md5(n::text)::uuid);
        WHEN 'json', 'jsonb' THEN RETURN quote_literal(format('{"n": %s}', n));
        WHEN 'jsonpath' THEN RETURN quote_literal('$.n' || n);
        WHEN 'date' THEN RETURN quote_literal(date '2024-01-02' + n);
        WHEN 'timestamp' THEN RETURN quote_literal(timestamp '2024-01-02 03:04:05.678' + n * interval '1 day');
        WHEN 'timestamptz' THEN RETURN quote_literal((timestamp '2024-01-02 03:04:05.678' + n * interval '1 day')::text || '+00');
        WHEN 'time', 'timetz' THEN RETURN quote_literal(time '10:00:00' + n * interval '1 second');
        WHEN 'interval' THEN RETURN quote_literal(n || ' minutes');
        WHEN 'bytea' THEN RETURN format('%L::bytea', '\x' || left(md5(n::text), 16));
        WHEN 'inet', 'cidr' THEN RETURN quote_literal(format('10.%s.%s.%s', n / 65536 % 256, n / 256 % 256, n % 256));
        WHEN 'macaddr' THEN RETURN quote_literal('08:00:2b:' || regexp_replace(left(md5(n::text), 6), '(..)(..)(..)', '\1:\2:\3'));
        WHEN 'macaddr8' THEN RETURN quote_literal('08:00:2b:01:02:' || regexp_replace(left(md5(n::text), 6), '(..)(..)(..)', '\1:\2:\3'));
        WHEN 'bit' THEN RETURN format('B%L', lpad(n::bit(16)::text, greatest(typmod, 1), '0'));
        WHEN 'varbit' THEN RETURN 'B''1''';
        WHEN 'tsvector', 'tsquery' THEN RETURN quote_literal('word' || n);
        WHEN 'xml' THEN RETURN quote_literal(format('<n>%s</n>', n));
        WHEN 'point' THEN RETURN quote_literal(format('(%s,1)', n));
        WHEN 'box', 'lseg' THEN RETURN quote_literal(format('((%s,1),(0,0))', n));
        WHEN 'path', 'polygon' THEN RETURN quote_literal(format('((0,0),(%s,1),(1,0))', n));
        WHEN 'line' THEN RETURN quote_literal(format('{1,1,%s}', n));
        WHEN 'circle' THEN RETURN quote_literal(format('<(%s,1),2>', n));
        WHEN 'pg_lsn' THEN RETURN quote_literal('0/' || n);
        WHEN 'regclass' THEN RETURN '''pg_catalog.pg_class''';
        WHEN 'hstore' THEN RETURN quote_literal('k=>' || n);
        WHEN 'ltree' THEN RETURN quote_literal('top.n' || n);
        WHEN 'geometry', 'geography' THEN RETURN quote_literal(format('SRID=4326;POINT(%s 1)', n % 90));
        WHEN 'vector', 'halfvec' THEN
            RETURN quote_literal('[' || (SELECT string_agg((n + i)::text, ',') FROM generate_series(1, greatest(typmod, 1)) i) || ']');
        WHEN 'char' THEN RETURN quote_literal(chr(97 + n % 26));
        ELSE
            size := CASE WHEN typmod > 4 AND t.typname IN ('varchar', 'bpchar') THEN typmod - 4 WHEN t.typname = 'name' THEN 63 ELSE 1000 END;
            RETURN quote_literal(CASE WHEN size >= 8 THEN 'V' || n ELSE right(n::text, size) END);
    END CASE;
END
$function$;

-- Expressions worth a try for a column whose value a check refused.
CREATE FUNCTION upg.lint_candidates(def text, type oid, typmod int, nullable boolean, n int, several boolean) RETURNS text[] LANGUAGE plpgsql AS $function$
DECLARE
    base oid := type;
    category text;
    name text;
    literals text[];
    numbers int[];
    result text[];
BEGIN
    LOOP
        SELECT CASE WHEN typtype = 'd' THEN typbasetype END, typcategory, typname INTO base, category, name FROM pg_catalog.pg_type WHERE oid = type;
        EXIT WHEN base IS NULL;
        type := base;
    END LOOP;
    SELECT array_agg(m[1]) INTO literals FROM (SELECT DISTINCT m FROM regexp_matches(def, '''((?:[^'']|'''')*)''', 'g') m) x WHERE length(m[1]) < 200;
    SELECT array_agg(DISTINCT v) INTO numbers FROM (SELECT m[1]::int AS v FROM regexp_matches(regexp_replace(def, '''(?:[^'']|'''')*''', ' ', 'g'), '(?<![\w.])(\d{1,6})(?![\w.])', 'g') m) x;
    result := ARRAY[upg.lint_value(type, typmod, n, 1)];
    IF several AND nullable THEN
        result := result || 'NULL'::text;
    END IF;
    IF category = 'S' THEN
        result := result || coalesce((SELECT array_agg('''' || l || '''') FROM unnest(literals) l), '{}')
                  || coalesce((SELECT array_agg(quote_literal(rpad(md5(n::text), greatest(v + d, 0), 'a'))) FROM unnest(numbers) v, unnest('{0,-1,1}'::int[]) d WHERE v < 5000), '{}')
                  || ARRAY[quote_literal('a' || n), quote_literal('A' || n), quote_literal(n), quote_literal(md5(n::text)),
                           quote_literal('n' || n || '@example.org'), quote_literal('https://example.org/' || n), quote_literal('#' || left(md5(n::text), 6)),
                           quote_literal('a'), '''''', quote_literal(md5(n::text)::uuid)];
    ELSIF category = 'N' THEN
        result := result || coalesce((SELECT array_agg((v + d)::text) FROM unnest(numbers) v, unnest('{0,1,-1}'::int[]) d), '{}') || ARRAY[(n + 1000)::text, '1', '0', '-1', '0.5'];
    ELSIF category = 'B' THEN
        result := result || ARRAY['true', 'false'];
    ELSIF category = 'D' THEN
        result := result || ARRAY[upg.lint_value(type, typmod, n + 5000, 1), '''1990-01-01''', '''2100-01-01'''];
    ELSIF category = 'E' THEN
        result := result || coalesce((SELECT array_agg(quote_literal(enumlabel) ORDER BY enumsortorder) FROM pg_catalog.pg_enum WHERE enumtypid = type), '{}');
    ELSIF name IN ('json', 'jsonb') THEN
        result := result || ARRAY['''{}''', '''[]''', '''[1]''', '''"a"''', '''1''', '''null'''];
    ELSIF category = 'A' THEN
        result := result || ARRAY['''{}'''] || coalesce((SELECT array_agg(format('''{%s}''', l)) FROM unnest(literals) l), '{}');
    ELSIF name = 'bytea' THEN
        result := result || coalesce((SELECT array_agg(format('decode(%L, ''hex'')', repeat(lpad(to_hex(n % 256), 2, '0'), v))) FROM unnest(numbers) v WHERE v < 5000), '{}');
    ELSE
        result := result || coalesce((SELECT array_agg('''' || l || '''') FROM unnest(literals) l), '{}');
    END IF;
    IF nullable AND NOT several THEN
        result := result || 'NULL'::text;
    END IF;
    RETURN CASE WHEN several THEN result[1:7] ELSE result END;
END
$function$;

-- Rows for one table, as statements that did insert; null if none did.  "bare": foreign keys that may be null are.
CREATE FUNCTION upg.lint_fill(rel oid, name text, want int, sparse boolean, bare boolean) RETURNS text[] LANGUAGE plpgsql AS $function$
DECLARE
    statements text[];
    refused jsonb := '{}';      -- constraint -> which combination is tried
    never_null text[] := '{}';
    replica boolean := false;
    overrides jsonb;
    fk record;
    c record;
    con record;
    shared text;
    fk_values jsonb;
    cols text;
    vals text;
    v text;
    n int;
    bump int;
    stmt text;
    state text;
    violated text;
    colname text;
    typename text;
    rest int;
    width int;
    candidates text[];
BEGIN
    FOR k IN 1..want LOOP
        bump := 0;
        FOR attempt IN 1..60 LOOP
            n := 10 + k + bump * 7 + ('x' || left(md5(name), 4))::bit(16)::int % 89;
            -- what violated checks made us try
            overrides := '{}';
            FOR con IN SELECT key, value::int AS value FROM jsonb_each_text(refused) LOOP
                rest := con.value + k - 1; -- another one in each row
                -- of several columns first one alone has a value, as num_nonnulls() = 1 wants it
                SELECT cardinality(x.conkey) INTO width FROM pg_catalog.pg_constraint x WHERE x.oid = con.key::oid;
                IF width > 1 AND rest <= width THEN
                    overrides := overrides || coalesce((
                        SELECT jsonb_object_agg(a.attname, 'NULL'::text) FROM pg_catalog.pg_constraint x JOIN pg_catalog.pg_attribute a ON a.attrelid = rel
                        WHERE x.oid = con.key::oid AND a.attnum = ANY (x.conkey) AND a.attnum <> x.conkey[rest] AND NOT a.attnotnull AND a.attgenerated = ''), '{}');
                    CONTINUE;
                END IF;
                rest := rest - CASE WHEN width > 1 THEN width ELSE 0 END;
                FOR c IN
                    SELECT a.attname, a.atttypid, a.atttypmod, a.attnotnull, o.def, o.several
                    FROM pg_catalog.pg_attribute a,
                         (SELECT pg_get_constraintdef(x.oid) AS def, x.conkey, x.contypid, cardinality(x.conkey) > 1 AS several
                          FROM pg_catalog.pg_constraint x WHERE x.oid = con.key::oid) o
                    WHERE a.attrelid = rel AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
                      AND (a.attnum = ANY (o.conkey) OR a.atttypid = o.contypid)
                    ORDER BY a.attnum
                LOOP
                    candidates := upg.lint_candidates(c.def, c.atttypid, c.atttypmod, NOT c.attnotnull, n, c.several);
                    overrides := overrides || jsonb_build_object(c.attname, candidates[1 + rest % cardinality(candidates)]);
                    rest := rest / cardinality(candidates);
                END LOOP;
            END LOOP;
            -- foreign keys: a row that is there; shared columns agree
            fk_values := '{}';
            FOR fk IN
                SELECT f.confrelid::regclass::text AS target, f.confrelid = f.conrelid AS self,
                       (SELECT array_agg(a.attname::text ORDER BY u.o) FROM unnest(f.conkey) WITH ORDINALITY u (k, o)
                        JOIN pg_catalog.pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = u.k) AS mine,
                       (SELECT array_agg(a.attname::text ORDER BY u.o) FROM unnest(f.confkey) WITH ORDINALITY u (k, o)
                        JOIN pg_catalog.pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = u.k) AS theirs
                FROM pg_catalog.pg_constraint f WHERE f.conrelid = rel AND f.contype = 'f' AND f.conparentid = 0
                ORDER BY cardinality(f.conkey) DESC, f.conname
            LOOP
                SELECT string_agg(format('x.%I = %s', fk.theirs[i], fk_values ->> fk.mine[i]), ' AND ') INTO shared
                FROM generate_subscripts(fk.mine, 1) i WHERE fk_values ? fk.mine[i];
                FOR i IN 1..cardinality(fk.mine) LOOP
                    CONTINUE WHEN fk_values ? fk.mine[i];
                    fk_values := fk_values || jsonb_build_object(fk.mine[i], format(
                        '(SELECT x.%I FROM %s x%s ORDER BY %s OFFSET (SELECT %s %% greatest(count(*), 1) FROM %s x%s) LIMIT 1)',
                        fk.theirs[i], fk.target, ' WHERE ' || shared,
                        (SELECT string_agg(format('x.%I', t), ', ') FROM unnest(fk.theirs) t), k - 1 + bump, fk.target, ' WHERE ' || shared));
                END LOOP;
            END LOOP;
            cols := NULL;
            vals := NULL;
            FOR c IN
                SELECT a.attname::text AS attname, a.atttypid, a.atttypmod, a.attnotnull, a.atthasdef,
                       a.atthasdef AND pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%' AS serial
                FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
                WHERE a.attrelid = rel AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attidentity = ''
                ORDER BY a.attnum
            LOOP
                CONTINUE WHEN c.serial;
                IF overrides ? c.attname THEN
                    v := overrides ->> c.attname;
                ELSIF sparse AND k = want AND c.atthasdef THEN
                    CONTINUE;
                ELSIF sparse AND k = want AND NOT c.attnotnull AND c.attname <> ALL (never_null) THEN
                    v := 'NULL';
                ELSIF bare AND fk_values ? c.attname AND NOT c.attnotnull THEN
                    v := 'NULL';
                ELSIF fk_values ? c.attname THEN
                    v := fk_values ->> c.attname;
                ELSE
                    v := upg.lint_value(c.atttypid, c.atttypmod, n, k);
                END IF;
                cols := concat_ws(', ', cols, quote_ident(c.attname));
                vals := concat_ws(', ', vals, coalesce(v, 'NULL'));
            END LOOP;
            stmt := CASE WHEN replica THEN '/* without triggers */ ' ELSE '' END || 'INSERT INTO ' || name
                    || CASE WHEN cols IS NULL THEN ' DEFAULT VALUES' ELSE format(' (%s) VALUES (%s)', cols, vals) END;
            BEGIN
                PERFORM upg.lint_insert(stmt);
                statements := statements || stmt;
                EXIT;
            EXCEPTION WHEN OTHERS THEN
                GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, violated = CONSTRAINT_NAME, colname = COLUMN_NAME, typename = PG_DATATYPE_NAME;
            END;
            IF state = '23514' THEN
                SELECT x.oid, x.conname INTO con FROM pg_catalog.pg_constraint x
                WHERE x.conname = violated AND x.contype = 'c'
                  AND (x.conrelid = rel OR EXISTS (SELECT FROM pg_catalog.pg_type t WHERE t.oid = x.contypid AND t.typname = typename));
                EXIT WHEN NOT FOUND;
                refused := refused || jsonb_build_object(con.oid::text, coalesce((refused ->> con.oid::text)::int + 1, 1));
            ELSIF state IN ('23505', '23P01', '23503') THEN
                EXIT WHEN bump >= 8;
                bump := bump + 1;
            ELSIF state = '23502' THEN
                EXIT WHEN colname = ANY (never_null) OR NOT (sparse AND k = want);
                never_null := never_null || colname;
            ELSIF state = '22P02' AND refused <> '{}' THEN
                -- a candidate that is no value of the type: the next one
                refused := (SELECT jsonb_object_agg(key, value::int + 1) FROM jsonb_each_text(refused));
            ELSE
                EXIT WHEN replica;
                replica := true;
            END IF;
        END LOOP;
        EXIT WHEN statements IS NULL; -- what refuses the first row refuses the others
    END LOOP;
    RETURN statements;
END
$function$;

CREATE FUNCTION upg.lint_insert(stmt text) RETURNS void LANGUAGE plpgsql AS $function$
BEGIN
    IF stmt LIKE '/* without triggers */%' THEN
        PERFORM set_config('session_replication_role', 'replica', true);
        EXECUTE stmt;
        PERFORM set_config('session_replication_role', 'origin', true);
    ELSE
        EXECUTE stmt;
    END IF;
END
$function$;

CREATE FUNCTION upg.lint_tables() RETURNS TABLE (rel oid, name text) LANGUAGE sql STABLE AS $function$
SELECT c.oid, format('%I.%I', n.nspname, c.relname)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^(pg_|information_schema$|upg$)'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY c.oid
$function$;

-- The same, a table after those that its foreign keys refer to; where they go round in a circle, those that
-- may be null do not count, and then the oldest table comes first.
CREATE FUNCTION upg.lint_order() RETURNS text[] LANGUAGE plpgsql STABLE AS $function$
DECLARE
    rest oid[] := ARRAY(SELECT t.rel FROM upg.lint_tables() t);
    ready oid[];
    result oid[] := '{}';
BEGIN
    WHILE cardinality(rest) > 0 LOOP
        FOR hard IN 0..1 LOOP
            ready := ARRAY(
                SELECT r FROM unnest(rest) WITH ORDINALITY u (r, o)
                WHERE NOT EXISTS (
                    SELECT FROM pg_catalog.pg_constraint f
                    WHERE f.conrelid = r AND f.contype = 'f' AND f.confrelid <> r AND f.confrelid = ANY (rest)
                      AND (hard = 0 OR NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = r AND a.attnum = ANY (f.conkey) AND NOT a.attnotnull)))
                ORDER BY o);
            EXIT WHEN ready <> '{}';
        END LOOP;
        IF ready = '{}' THEN
            ready := rest[1:1];
        END IF;
        result := result || ready;
        rest := ARRAY(SELECT r FROM unnest(rest) WITH ORDINALITY u (r, o) WHERE r <> ALL (ready) ORDER BY o);
    END LOOP;
    RETURN ARRAY(SELECT t.name FROM upg.lint_tables() t ORDER BY array_position(result, t.rel));
END
$function$;

-- Rows for every table, one for those in "few", none for those in "skip"; what worked is returned, so that
-- it can be kept when the transaction is given up.
CREATE FUNCTION upg.lint_seed(want int, sparse boolean, few text[], skip text[]) RETURNS TABLE (tables int, filled int, empty text[], learned jsonb) LANGUAGE plpgsql AS $function$
DECLARE
    pending text[];
    left_over text[];
    t record;
    r record;
    stmts text[];
    sig text;
    ok boolean;
    done text[] := '{}';
    in_vain jsonb := '{}';
    deferred text;
    round int := 0;
BEGIN
    learned := '{}';
    pending := upg.lint_order();
    tables := cardinality(pending);
    left_over := (SELECT coalesce(array_agg(p ORDER BY o), '{}') FROM unnest(pending) WITH ORDINALITY u (p, o) WHERE p <> ALL (skip));
    filled := 0;
    WHILE want > 0 AND cardinality(left_over) > 0 LOOP
        round := round + 1;
        pending := left_over;
        left_over := '{}';
        FOR t IN SELECT p AS name, p::regclass::oid AS rel, CASE WHEN p = ANY (few) THEN 1 ELSE want END AS want,
                        sparse AND p <> ALL (few) AS sparse FROM unnest(pending) p LOOP
            SELECT md5(concat_ws('|', t.want, t.sparse,
                (SELECT string_agg(concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attidentity), ',' ORDER BY a.attnum)
                 FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
                 WHERE a.attrelid = t.rel AND a.attnum > 0 AND NOT a.attisdropped),
                (SELECT string_agg(pg_get_constraintdef(k.oid), ',' ORDER BY k.conname) FROM pg_catalog.pg_constraint k WHERE k.conrelid = t.rel))) INTO sig;
            -- in vain once, with the same tables around it: in vain again
            CONTINUE WHEN EXISTS (SELECT FROM upg.lint_recipe WHERE relation = t.name AND signature = sig || ' ' || tables AND statements = '{}');
            SELECT statements INTO stmts FROM upg.lint_recipe WHERE relation = t.name AND signature = sig;
            ok := FOUND;
            IF ok THEN
                BEGIN
                    FOR r IN SELECT s FROM unnest(stmts) s LOOP
                        PERFORM upg.lint_insert(r.s);
                    END LOOP;
                EXCEPTION WHEN OTHERS THEN
                    ok := false;
                END;
            END IF;
            -- what worked once may only have to wait for another table
            IF NOT ok AND stmts <> '{}' AND round = 1 THEN
                left_over := left_over || t.name;
                CONTINUE;
            END IF;
            IF NOT ok THEN
                stmts := coalesce(upg.lint_fill(t.rel, t.name, t.want, t.sparse, false), upg.lint_fill(t.rel, t.name, t.want, t.sparse, true));
                ok := stmts IS NOT NULL;
                IF ok THEN
                    learned := learned || jsonb_build_object(t.name, jsonb_build_object('signature', sig, 'statements', stmts));
                END IF;
            END IF;
            IF ok THEN
                filled := filled + 1;
                done := done || t.name;
            ELSE
                left_over := left_over || t.name;
                in_vain := in_vain || jsonb_build_object(t.name, jsonb_build_object('signature', sig || ' ' || tables, 'statements', '[]'::jsonb));
            END IF;
        END LOOP;
        EXIT WHEN cardinality(left_over) = cardinality(pending) AND round > 1;
    END LOOP;
    learned := (SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each(in_vain) WHERE key = ANY (left_over)) || learned;
    empty := (SELECT coalesce(array_agg(x.name), '{}') FROM upg.lint_tables() x
              WHERE want = 0 OR NOT EXISTS (SELECT FROM unnest(done) d WHERE d = x.name));
    -- as after a commit: deferred checks are done, and deferred again
    SET CONSTRAINTS ALL IMMEDIATE;
    SELECT string_agg(DISTINCT format('%I.%I', n.nspname, k.conname), ', ') INTO deferred
    FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_namespace n ON n.oid = k.connamespace WHERE k.condeferred AND k.conparentid = 0;
    IF deferred IS NOT NULL THEN
        EXECUTE format('SET CONSTRAINTS %s DEFERRED', deferred);
    END IF;
    RETURN NEXT;
END
$function$;

CREATE FUNCTION upg.lint_learn(learned jsonb) RETURNS void LANGUAGE sql AS $function$
INSERT INTO upg.lint_recipe
SELECT key, value ->> 'signature', ARRAY(SELECT jsonb_array_elements_text(value -> 'statements')) FROM jsonb_each(learned)
ON CONFLICT (relation) DO UPDATE SET signature = excluded.signature, statements = excluded.statements
$function$;

-- A query for the rows of a table, values as text.
CREATE FUNCTION upg.lint_rows(rel oid, cols text[]) RETURNS text LANGUAGE sql STABLE AS $function$
SELECT format('SELECT jsonb_object(%L::text[], ARRAY[%s]::text[]) AS vals FROM %s %s t', cols,
              (SELECT string_agg(format('t.%I::text', u), ', ') FROM unnest(cols) u), CASE WHEN c.relkind = 'r' THEN 'ONLY' ELSE '' END, rel::regclass)
FROM pg_catalog.pg_class c WHERE c.oid = rel
$function$;

-- A copy of all rows, values as text.
CREATE FUNCTION upg.lint_remember(image jsonb) RETURNS void LANGUAGE plpgsql AS $function$
DECLARE
    t record;
    cols text[];
    keys text[];
BEGIN
    INSERT INTO upg.lint_table (relation, schema) VALUES ('', image);
    FOR t IN SELECT * FROM upg.lint_tables() LOOP
        SELECT array_agg(attname::text ORDER BY attnum) INTO cols FROM pg_catalog.pg_attribute WHERE attrelid = t.rel AND attnum > 0 AND NOT attisdropped;
        SELECT array_agg(a.attname::text) INTO keys
        FROM (SELECT i.indkey FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
              WHERE i.indrelid = t.rel AND i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL
              ORDER BY i.indisprimary DESC, i.indnkeyatts, c.relname LIMIT 1) i
        JOIN pg_catalog.pg_attribute a ON a.attrelid = t.rel AND a.attnum = ANY (i.indkey::int2[]);
        EXECUTE format('INSERT INTO upg.lint_row SELECT %L, row_number() OVER (), x.vals FROM (%s) x',
                       t.name, upg.lint_rows(t.rel, coalesce(cols, '{}')));
        INSERT INTO upg.lint_table (relation, columns, keys, sum, sequence)
        SELECT t.name, coalesce(cols, '{}'), keys, md5(string_agg(r.vals::text, ',' ORDER BY r.vals::text)), false FROM upg.lint_row r WHERE r.relation = t.name;
    END LOOP;
    FOR t IN
        SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind = 'S' AND n.nspname !~ '^(pg_|upg$)'
    LOOP
        INSERT INTO upg.lint_table (relation, sequence) VALUES (t.name, true);
        EXECUTE format('INSERT INTO upg.lint_row SELECT %L, 1, jsonb_build_object(''next'', last_value + is_called::int) FROM %s', t.name, t.name);
    END LOOP;
END
$function$;

-- What the rows are now, against what they were: one row for each table that differs.
CREATE FUNCTION upg.lint_data() RETURNS TABLE (relation text, kind text, was bigint, lost bigint, added bigint, changed bigint, columns jsonb) LANGUAGE plpgsql AS $function$
DECLARE
    t record;
    b record;
    a record;
    gone text[];
    now_cols text[];
    details jsonb;
BEGIN
    FOR t IN SELECT x.* FROM upg.lint_table x WHERE NOT x.sequence AND x.columns IS NOT NULL ORDER BY x.relation LOOP
        relation := t.relation;
        kind := 'rows';
        SELECT count(*) INTO was FROM upg.lint_row r WHERE r.relation = t.relation;
        lost := 0;
        added := 0;
        changed := 0;
        columns := '{}';
        IF to_regclass(t.relation) IS NULL OR (SELECT c.relkind NOT IN ('r', 'p', 'f', 'm', 'v') FROM pg_catalog.pg_class c WHERE c.oid = to_regclass(t.relation)) THEN
            kind := 'table';
            lost := was;
            IF was > 0 THEN
                RETURN NEXT;
            END IF;
            CONTINUE;
        END IF;
        SELECT coalesce(array_agg(attname::text ORDER BY attnum), '{}') INTO now_cols FROM pg_catalog.pg_attribute
        WHERE attrelid = t.relation::regclass AND attnum > 0 AND NOT attisdropped AND attname = ANY (t.columns);
        gone := ARRAY(SELECT c FROM unnest(t.columns) c WHERE c <> ALL (now_cols));
        IF gone = '{}' THEN
            EXECUTE format('SELECT md5(string_agg(x.vals::text, '','' ORDER BY x.vals::text)) AS sum FROM (%s) x', upg.lint_rows(t.relation::regclass, now_cols)) INTO a;
            CONTINUE WHEN a.sum IS NOT DISTINCT FROM t.sum;
        END IF;
        DELETE FROM upg.lint_before;
        DELETE FROM upg.lint_after;
        EXECUTE format('INSERT INTO upg.lint_after SELECT row_number() OVER (), x.vals, false FROM (%s) x', upg.lint_rows(t.relation::regclass, now_cols));
        INSERT INTO upg.lint_before SELECT r.no, r.vals - gone FROM upg.lint_row r WHERE r.relation = t.relation;
        -- equal rows, one against one
        WITH e AS (
            SELECT x.no AS bno, y.no AS ano
            FROM (SELECT q.*, row_number() OVER (PARTITION BY q.vals ORDER BY q.no) AS d FROM upg.lint_before q) x
            JOIN (SELECT q.*, row_number() OVER (PARTITION BY q.vals ORDER BY q.no) AS d FROM upg.lint_after q) y USING (vals, d)
        ), m AS (
            DELETE FROM upg.lint_before q USING e WHERE q.no = e.bno
        )
        DELETE FROM upg.lint_after q USING e WHERE q.no = e.ano;
        details := '{}';
        -- the others: by key, else by likeness
        FOR b IN SELECT * FROM upg.lint_before ORDER BY no LIMIT 1000 LOOP
            a := NULL;
            SELECT y.* INTO a FROM upg.lint_after y
            WHERE NOT y.taken
              AND CASE WHEN t.keys IS NOT NULL AND t.keys <@ now_cols THEN (SELECT bool_and(y.vals ->> c IS NOT DISTINCT FROM b.vals ->> c) FROM unnest(t.keys) c)
                       ELSE (SELECT count(*) FROM unnest(now_cols) c WHERE y.vals ->> c IS NOT DISTINCT FROM b.vals ->> c AND b.vals ->> c IS NOT NULL) > 0 END
            ORDER BY (SELECT count(*) FROM unnest(now_cols) c WHERE y.vals ->> c IS NOT DISTINCT FROM b.vals ->> c) DESC, y.no LIMIT 1;
            IF a.no IS NULL THEN
                lost := lost + 1;
                CONTINUE;
            END IF;
            UPDATE upg.lint_after SET taken = true WHERE no = a.no;
            changed := changed + 1;
            details := details || (
                SELECT jsonb_object_agg(c, jsonb_build_object('rows', coalesce((details #>> ARRAY[c, 'rows'])::int, 0) + 1,
                                                              'was', CASE WHEN details ? c THEN details -> c -> 'was' ELSE to_jsonb(left(b.vals ->> c, 80)) END,
                                                              'now', CASE WHEN details ? c THEN details -> c -> 'now' ELSE to_jsonb(left(a.vals ->> c, 80)) END,
                                                              'to', CASE WHEN details ? c AND details #>> ARRAY[c, 'now'] IS DISTINCT FROM left(a.vals ->> c, 80) THEN 'several values'
                                                                         WHEN a.vals ->> c IS NULL THEN 'null' ELSE 'one value' END))
                FROM unnest(now_cols) c WHERE a.vals ->> c IS DISTINCT FROM b.vals ->> c);
        END LOOP;
        SELECT count(*) INTO added FROM upg.lint_after y WHERE NOT y.taken;
        columns := details || coalesce((
            SELECT jsonb_object_agg(g.c, jsonb_build_object('rows', g.n, 'to', 'gone'))
            FROM (SELECT c, (SELECT count(*) FROM upg.lint_row r WHERE r.relation = t.relation AND r.vals ->> c IS NOT NULL) AS n FROM unnest(gone) c) g WHERE g.n > 0), '{}');
        IF lost > 0 OR added > 0 OR changed > 0 OR columns <> '{}' THEN
            RETURN NEXT;
        END IF;
    END LOOP;
    DELETE FROM upg.lint_before;
    DELETE FROM upg.lint_after;
    -- sequences that would give out again what is in use
    FOR t IN SELECT x.relation, (r.vals ->> 'next')::bigint AS next FROM upg.lint_table x JOIN upg.lint_row r USING (relation) WHERE x.sequence ORDER BY 1 LOOP
        CONTINUE WHEN coalesce((SELECT c.relkind FROM pg_catalog.pg_class c WHERE c.oid = to_regclass(t.relation)), 'x') <> 'S';
        EXECUTE format('SELECT last_value + is_called::int AS next FROM %s', t.relation) INTO a;
        IF a.next < t.next THEN
            relation := t.relation;
            kind := 'sequence';
            was := t.next;
            lost := 0;
            added := 0;
            changed := 1;
            columns := jsonb_build_object('next', jsonb_build_object('rows', 1, 'was', t.next, 'now', a.next, 'to', 'one value'));
            RETURN NEXT;
        END IF;
    END LOOP;
END
$function$;

-- Rows in, a copy of everything kept: the state before a migration.
CREATE FUNCTION upg.lint_begin(want int, sparse boolean, few text[], skip text[]) RETURNS TABLE (tables int, filled int, empty text[], learned jsonb) LANGUAGE plpgsql AS $function$
BEGIN
    -- they are empty, but for what trials that were given up have left in their files
    TRUNCATE upg.lint_table, upg.lint_before, upg.lint_after, upg.lint_row;
    SELECT s.* INTO tables, filled, empty, learned FROM upg.lint_seed(want, sparse, few, skip) s;
    PERFORM upg.lint_remember(upg_ext.upg_schema_image());
    RETURN NEXT;
END
$function$;

-- The end of a script, as if it were committed: deferred checks are made,
-- temporary tables that would be gone are dropped.
CREATE FUNCTION upg.lint_settle() RETURNS void LANGUAGE plpgsql AS $function$
DECLARE
    names text;
BEGIN
    SET CONSTRAINTS ALL IMMEDIATE;
    SELECT string_agg(DISTINCT format('%I.%I', n.nspname, k.conname), ', ') INTO names
    FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_namespace n ON n.oid = k.connamespace WHERE k.condeferred AND k.conparentid = 0;
    IF names IS NOT NULL THEN
        EXECUTE format('SET CONSTRAINTS %s DEFERRED', names);
    END IF;
    SELECT string_agg(format('%I.%I', n.nspname, c.relname), ', ') INTO names
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relnamespace = pg_my_temp_schema() AND c.relkind = 'r';
    IF names IS NOT NULL THEN
        EXECUTE 'DROP TABLE ' || names || ' CASCADE';
    END IF;
END
$function$;

-- What an object was that is missing, as far as one line can say it.
CREATE FUNCTION upg.lint_words(object text, attributes jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $function$
SELECT CASE WHEN object LIKE 'column %' THEN
           concat_ws(' ', attributes ->> 'type', 'COLLATE ' || (attributes ->> 'collation'), CASE WHEN attributes ? 'not null' THEN 'NOT NULL' END,
                     'DEFAULT ' || (attributes ->> 'default'), 'GENERATED ALWAYS AS (' || (attributes ->> 'generated') || ') STORED',
                     'GENERATED ' || upper(attributes ->> 'identity') || ' AS IDENTITY')
       ELSE attributes ->> 'definition' END
$function$;

-- Everything that is not as it was: objects, and rows by table and column.
CREATE FUNCTION upg.lint_found(of_schema boolean)
RETURNS TABLE (part text, object text, change text, attribute text, was text, is_now text, turned text,
               rows_was bigint, lost bigint, added bigint, changed bigint, in_column bigint) LANGUAGE sql AS $function$
SELECT 'schema', d.object, d.change, d.attribute, CASE WHEN d.change = 'missing' THEN upg.lint_words(d.object, b.schema -> d.object) ELSE d.was END,
       d.is_now, NULL, 0, 0, 0, 0, 0
FROM upg.lint_table b, upg_ext.upg_schema_differences(b.schema, upg_ext.upg_schema_image()) d
WHERE of_schema AND b.relation = ''
UNION ALL
SELECT 'data', d.relation, d.kind, c.key, c.value ->> 'was', c.value ->> 'now', c.value ->> 'to',
       d.was, d.lost, d.added, d.changed, (c.value ->> 'rows')::bigint
FROM upg.lint_data() d LEFT JOIN LATERAL jsonb_each(d.columns) c ON true
$function$;
