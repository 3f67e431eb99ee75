-- Random schemas of every built-in type, with values from the edges of each:
-- whatever the order of columns and rows, whatever was dropped and added, the
-- checksum is the same by every way, and survives text and binary COPY.
-- UPG_SCHEMAS sets how many are tried (default 60).
SET client_min_messages = warning;
CREATE EXTENSION upg;
CREATE SCHEMA checksum_schemas;
SET search_path = checksum_schemas, public;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
\set n 60
\getenv n UPG_SCHEMAS
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE pair AS (a integer, b text);
CREATE DOMAIN posint AS integer CHECK (VALUE > 0);

CREATE TABLE edges (type text, vals text[]);
INSERT INTO edges VALUES
    ('boolean', '{t,f}'), ('smallint', '{-32768,-1,0,1,32767}'), ('integer', '{-2147483648,-1,0,1,2147483647}'),
    ('bigint', '{-9223372036854775808,-1,0,1,9223372036854775807}'), ('oid', '{0,1,4294967295}'), ('"char"', '{a,Z}'),
    ('real', '{-0,0,1.1754944e-38,3.4028235e38,NaN,Infinity,-Infinity,1e-45}'), ('float8', '{-0,0,2.2250738585072014e-308,1.7976931348623157e308,NaN,Infinity,-Infinity,5e-324}'),
    ('numeric', '{0,0.0,0.000,-1,1.10,1e100,1e-100,NaN,Infinity,-Infinity,9999,10000,99990000,0.00010000}'), ('numeric(20,5)', '{0,1.5,-99999.99999}'),
    ('text', ARRAY['', ' ', 'a', E'\t\n\r\\', 'NULL', 'é', '漢字', repeat('x', 126), repeat('x', 127), repeat('y', 1024), repeat('y', 1025), repeat('z', 2100)]),
    ('varchar(50)', ARRAY['', 'a ', 'b']), ('char(10)', ARRAY['', 'a', 'abcdefghij']), ('name', ARRAY['', 'n', repeat('n', 63)]),
    ('bytea', ARRAY['', '\x00', '\xff', '\x' || repeat('00', 3000)]), ('date', '{infinity,-infinity,"4713-01-01 BC",2000-01-01,5874897-12-31}'),
    ('time', '{00:00,24:00,23:59:59.999999}'), ('timetz', '{00:00+15:59,24:00-15:59,12:00Z}'), ('timestamp', '{infinity,-infinity,"4713-01-01 00:00:00 BC",2000-01-01,"294276-12-31 23:59:59.999999"}'),
    ('timestamptz', '{infinity,-infinity,"4713-01-02 00:00:00+00 BC",2000-01-01 00:00+00}'), ('interval', '{0,"1 mon","30 days","-1 mon 1 day","178000000 years","00:00:00.000001"}'),
    ('uuid', '{00000000-0000-0000-0000-000000000000,ffffffff-ffff-ffff-ffff-ffffffffffff}'), ('macaddr', '{00:00:00:00:00:00,ff:ff:ff:ff:ff:ff}'), ('macaddr8', '{00:00:00:00:00:00:00:00,ff:ff:ff:ff:ff:ff:ff:ff}'),
    ('inet', '{0.0.0.0,255.255.255.255/32,10.1.2.3/8,::,ffff::1/64}'), ('cidr', '{0.0.0.0/0,10.0.0.0/8,::/0}'), ('bit(5)', '{00000,11111,10101}'), ('varbit', '{"",0,1,101010101}'),
    ('json', ARRAY['{}', '[]', 'null', '{"a": 1,"a":2}', '" "']), ('jsonb', ARRAY['{}', '[]', 'null', '1', '1.0', '"x"', '{"a": {"b": [1, null, "", {}]}}', '[[], {}]']),
    ('xml', ARRAY['<a/>', 'text', '<a>é</a>']), ('point', '{"(0,0)","(-0,1e300)"}'), ('line', '{"{1,2,3}"}'), ('lseg', '{"[(0,0),(1,1)]"}'), ('box', '{"(1,1),(0,0)"}'),
    ('path', '{"[(0,0),(1,1)]","((0,0),(1,1),(2,0))"}'), ('polygon', '{"((0,0),(1,1),(2,0))"}'), ('circle', '{"<(0,0),1>"}'), ('money', '{-1.00,0,92233720368547758.07}'),
    ('pg_lsn', '{0/0,FFFFFFFF/FFFFFFFF}'), ('tsvector', ARRAY['', 'a:1A b:2,3C', 'x']), ('tsquery', ARRAY['', 'a & !b', 'a <-> b']), ('regclass', '{pg_class,pg_type}'), ('regtype', '{integer,text[]}'),
    ('int4range', '{empty,"[1,5)","(,)","[1,)"}'), ('numrange', '{empty,"[1.0,2.00]","(,5]"}'), ('tstzrange', '{"[2000-01-01 00:00+00,)"}'), ('int4multirange', ARRAY['{}', '{[1,3),[5,9)}']),
    ('integer[]', ARRAY['{}', '{NULL}', '{1,2,NULL}', '[0:1]={1,2}', '{{1,2},{3,4}}']), ('text[]', ARRAY['{}', '{""}', '{NULL,"NULL"}', '{a,b}']), ('numeric[]', ARRAY['{1.0,1.00}']), ('uuid[]', ARRAY['{}']),
    ('mood', '{sad,ok,happy}'), ('mood[]', ARRAY['{sad,NULL}']), ('pair', ARRAY['(1,x)', '(,)', '(,"")']), ('pair[]', ARRAY['{"(1,x)",NULL}', '{}']), ('posint', '{1,2147483647}'), ('posint[]', ARRAY['{1,2}']),
    ('xid8', '{0,18446744073709551615}'), ('pg_snapshot', '{10:20:10}'), ('int2vector', ARRAY['1 2', '']), ('jsonpath', ARRAY['$.a[*]']);
SELECT count(*) >= 60 AS types FROM edges;

CREATE FUNCTION try_schema(no integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    ncols integer := 1 + floor(random() * 20);
    nrows integer := floor(random() * 60);
    cols text[] := '{}';
    defs text[] := '{}';
    exprs text[] := '{}';
    e edges;
    shuffled text;
    a upg_checksum_value;
    b upg_checksum_value;
    late text := NULL;
BEGIN
    DROP TABLE IF EXISTS one, two, three;
    FOR i IN 1 .. ncols LOOP
        SELECT * INTO e FROM edges OFFSET floor(random() * (SELECT count(*) FROM edges)) LIMIT 1;
        cols := cols || format('%I', CASE WHEN random() < 0.1 THEN 'Col "' || i ELSE 'c' || i END);
        defs := defs || format('%s %s', cols[i], e.type);
        exprs := exprs || format('CASE WHEN random() < 0.2 THEN NULL ELSE (%L::text[])[1 + floor(random() * %s)] END::%s', e.vals, cardinality(e.vals), e.type);
    END LOOP;
    EXECUTE format('CREATE TABLE one (gone0 text, %s)', (SELECT string_agg(format('%s, gone%s integer', d, o), ', ' ORDER BY o) FROM unnest(defs) WITH ORDINALITY u (d, o)));
    EXECUTE format('INSERT INTO one (%s) SELECT %s FROM generate_series(1, %s)', array_to_string(cols, ', '), array_to_string(exprs, ', '), nrows);
    -- a column that comes later, with a value for the rows that are there
    IF random() < 0.5 THEN
        SELECT * INTO e FROM edges OFFSET floor(random() * (SELECT count(*) FROM edges)) LIMIT 1;
        EXECUTE format('ALTER TABLE one ADD late %s DEFAULT %L', e.type, e.vals[1]);
        EXECUTE format('INSERT INTO one (%s) SELECT %s FROM generate_series(1, %s)', array_to_string(cols, ', '), array_to_string(exprs, ', '), nrows / 3);
        cols := cols || 'late'::text;
        defs := defs || format('late %s', e.type);
    END IF;
    FOR i IN 0 .. ncols LOOP
        EXECUTE format('ALTER TABLE one DROP gone%s', i);
    END LOOP;
    -- the same rows, columns and rows in another order
    SELECT string_agg(d, ', ' ORDER BY random()) INTO shuffled FROM unnest(defs) d;
    EXECUTE format('CREATE TABLE two (%s)', shuffled);
    EXECUTE format('INSERT INTO two (%1$s) SELECT %1$s FROM one ORDER BY random()', array_to_string(cols, ', '));
    -- and once more by way of text
    EXECUTE format('CREATE TABLE three (%s)', array_to_string(defs, ', '));
    EXECUTE format('INSERT INTO three SELECT %s FROM one', (SELECT string_agg(format('%s::text::%s', c, substr(d, length(c) + 2)), ', ' ORDER BY o) FROM unnest(cols, defs) WITH ORDINALITY u (c, d, o)));

    FOR i IN 0 .. 1 LOOP
        a := upg_table_checksum('one', mode => (ARRAY['strict', 'semantic'])[1 + i], seed => i * no);
        IF a::text <> upg_table_checksum('two', mode => (ARRAY['strict', 'semantic'])[1 + i], seed => i * no)::text THEN RETURN 'other order: ' || array_to_string(defs, ', '); END IF;
        IF a::text <> upg_table_checksum('three', mode => (ARRAY['strict', 'semantic'])[1 + i], seed => i * no)::text THEN RETURN 'by text: ' || array_to_string(defs, ', '); END IF;
        IF a::text <> upg_table_checksum('one', filter => 'true', mode => (ARRAY['strict', 'semantic'])[1 + i], seed => i * no)::text THEN RETURN 'columns: ' || array_to_string(defs, ', '); END IF;
        SELECT upg_checksum_agg_as((ARRAY['strict', 'semantic'])[1 + i], i * no, o) INTO b FROM one o;
        IF nrows > 0 AND a::text <> b::text THEN RETURN 'records: ' || array_to_string(defs, ', '); END IF;
        SELECT upg_checksum_merge(upg_checksum(t, (ARRAY['strict', 'semantic'])[1 + i], i * no)) INTO b FROM two t;
        IF nrows > 0 AND a::text <> b::text THEN RETURN 'rows: ' || array_to_string(defs, ', '); END IF;
    END LOOP;
    IF EXISTS (SELECT FROM upg_compare('one', 'two', key => '{}')) THEN RETURN 'invented: ' || array_to_string(defs, ', '); END IF;
    IF nrows > 0 THEN
        DELETE FROM two WHERE ctid = (SELECT min(ctid) FROM two);
        IF (SELECT sum(source_copies - target_copies) FROM upg_compare('one', 'two', key => '{}')) IS DISTINCT FROM 1 THEN RETURN 'missed: ' || array_to_string(defs, ', '); END IF;
    END IF;
    RETURN NULL;
END $$;
SELECT setseed(0.1234);
CREATE TABLE tried AS SELECT g, try_schema(g) AS wrong FROM generate_series(1, :n) g;
SELECT count(*) = :n AS all_tried, count(wrong) AS wrong FROM tried;
SELECT * FROM tried WHERE wrong IS NOT NULL LIMIT 5;

DROP SCHEMA checksum_schemas CASCADE;
DROP EXTENSION upg;
