-- Single mutations, seeded: each must be found, its key and column named, none
-- invented.  UPG_MUTATIONS sets how many are tried (default 1000).
SET client_min_messages = warning;
CREATE EXTENSION upg;
CREATE SCHEMA compare_mutations;
SET search_path = compare_mutations, public;
\set n 1000
\getenv n UPG_MUTATIONS

CREATE TABLE original (
    id integer PRIMARY KEY, i2 smallint, i8 bigint, b boolean, f4 real, f8 float8, n numeric, t text, c char(20), big text,
    raw bytea, ts timestamptz, d date, iv interval, u uuid, j jsonb, a integer[], ta text[], r int4range, ip inet, bits varbit);
INSERT INTO original SELECT g, g, g * 1000003::bigint, g % 2 = 0, g / 3.0, g / 7.0, g / 11.0, 'text ' || g, 'c' || g, repeat(md5(g::text), 40 + g % 60),
    sha256(g::text::bytea), '2020-01-01'::timestamptz + g * interval '1 hour', '2020-01-01'::date + g, g * interval '1 min', md5(g::text)::uuid,
    jsonb_build_object('k', g, 'list', jsonb_build_array(g, 'x', null)), ARRAY[g, g + 1, NULL], ARRAY['a' || g, ''], int4range(g, g + 10), '10.0.0.0'::inet + g,
    g::bit(16)::varbit
FROM generate_series(1, 150) g;
CREATE TABLE mutant (LIKE original);
ALTER TABLE mutant ALTER big SET STORAGE EXTERNAL;
INSERT INTO mutant SELECT * FROM original;
CREATE INDEX ON mutant (id);

-- How to change the least of a value of each column.
CREATE TABLE flips (col text, expr text);
INSERT INTO flips VALUES
    ('i2', '(i2::integer # (1 << @ % 15))::smallint'), ('i8', 'i8 # (1::bigint << @ % 62)'), ('b', 'NOT b'),
    ('f4', '(f4::float8 * (1 + 1.5e-7))::real'), ('f8', 'f8 * (1 + 3e-16::float8)'), ('n', 'n + power(10::numeric, -(@ % 16))'),
    ('n', 'trim_scale(n) + 0.' || repeat('0', 30)), ('t', 't || chr(32)'), ('t', 'overlay(t placing chr(ascii(substr(t, 1 + @ % length(t), 1)) # 1) from 1 + @ % length(t) for 1)'),
    ('c', 'overlay(c::text placing ''!'' from 1 + @ % 2 for 1)::char(20)'), ('big', 'overlay(big placing ''!'' from 1 + @ % length(big) for 1)'),
    ('big', 'left(big, -1)'), ('raw', 'set_bit(raw, @ % 256, 1 - get_bit(raw, @ % 256))'), ('raw', 'raw || ''\x00'''),
    ('ts', 'ts + interval ''1 microsecond'''), ('d', 'd - 1'), ('iv', 'iv + interval ''1 microsecond'''),
    ('u', 'overlay(u::text placing translate(substr(u::text, 1, 1), ''0123456789abcdef'', ''1032547698badcfe'') from 1 for 1)::uuid'),
    ('j', 'jsonb_set(j, ''{k}'', to_jsonb((j ->> ''k'')::integer # 1))'), ('j', 'jsonb_set(j, ''{list,2}'', ''false'')'), ('j', 'j || ''{"z": null}'''),
    ('a', 'array_append(a, NULL)'), ('a', 'ARRAY[a[1], a[2] # 1, NULL]'), ('a', '(''[0:2]={'' || a[1] || '','' || a[2] || '',NULL}'')::integer[]'),
    ('ta', 'ARRAY[ta[1] || ta[2], NULL]'), ('r', 'int4range(lower(r), upper(r) + 1)'), ('ip', 'set_masklen(ip, 31)'), ('bits', 'bits || B''0'''), ('bits', 'set_bit(bits, @ % 16, 1 - get_bit(bits, @ % 16))');

-- Mutate one row, compare, take the mutation back; returns what went wrong.
CREATE FUNCTION try(no integer, OUT what text, OUT wrong text) LANGUAGE plpgsql AS $$
DECLARE
    k integer := 1 + floor(random() * 150);
    kind integer := floor(random() * 10);
    flip flips;
    bit integer := floor(random() * 1000000);
    r record;
    rows integer := 0;
    expect_kind text;
    expect_columns text[];
BEGIN
    BEGIN
        IF kind = 0 THEN
            what := 'delete'; expect_kind := 'missing';
            DELETE FROM mutant WHERE id = k;
        ELSIF kind = 1 THEN
            what := 'insert'; expect_kind := 'extra'; k := k + 1000;
            INSERT INTO mutant (id, t) VALUES (k, 'new');
        ELSIF kind = 2 THEN
            what := 'twice'; expect_kind := 'extra';
            INSERT INTO mutant SELECT * FROM original WHERE id = k;
        ELSE
            SELECT * INTO flip FROM flips OFFSET floor(random() * (SELECT count(*) FROM flips)) LIMIT 1;
            IF kind = 3 THEN flip.expr := 'NULL'; END IF;
            what := flip.col || ' := ' || flip.expr; expect_kind := 'changed'; expect_columns := ARRAY[flip.col];
            EXECUTE format('UPDATE mutant SET %I = %s WHERE id = %s', flip.col, replace(flip.expr, '@', bit::text), k);
        END IF;
        FOR r IN SELECT * FROM upg_compare('original', 'mutant', key => '{id}') LOOP
            rows := rows + 1;
            IF r.difference <> expect_kind OR r.row_key ->> 'id' <> k::text OR r.changed_columns IS DISTINCT FROM expect_columns THEN
                wrong := format('id %s bit %s: %s %s %s', k, bit, r.difference, r.row_key, r.changed_columns);
            END IF;
        END LOOP;
        IF rows <> 1 THEN wrong := format('id %s bit %s: %s rows', k, bit, rows); END IF;
        IF upg_table_checksum('original') = upg_table_checksum('mutant') THEN wrong := 'equal checksum'; END IF;
        RAISE EXCEPTION USING ERRCODE = 'P9999';
    EXCEPTION WHEN SQLSTATE 'P9999' THEN NULL;
    END;
END $$;
SELECT count(*) FROM upg_compare('original', 'mutant', key => '{id}');
SELECT setseed(0.4711);
CREATE TABLE tried AS SELECT t.* FROM generate_series(1, :n) g, LATERAL try(g) t;
SELECT count(*) = :n AS all_tried, count(DISTINCT what) >= 40 AS all_kinds, count(wrong) AS missed_or_invented FROM tried;
SELECT what, min(wrong) FROM tried WHERE wrong IS NOT NULL GROUP BY 1 ORDER BY 1 LIMIT 10;
SELECT upg_table_checksum('original') = upg_table_checksum('mutant') AS undone;

DROP SCHEMA compare_mutations CASCADE;
DROP EXTENSION upg;
