-- Sets of rows: nothing cancels, parts add up, headers are kept apart.
SET client_min_messages = warning;
CREATE EXTENSION upg;
CREATE SCHEMA checksum_sets;
SET search_path = checksum_sets, public;

CREATE FUNCTION same(a text, b text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    x upg_checksum_value;
    y upg_checksum_value;
BEGIN
    EXECUTE format('SELECT upg_checksum_agg(q) FROM (%s) q', a) INTO x;
    EXECUTE format('SELECT upg_checksum_agg(q) FROM (%s) q', b) INTO y;
    RETURN CASE WHEN x = y THEN 'EQ' ELSE 'NE' END;
EXCEPTION WHEN SQLSTATE 'UP041' THEN RETURN 'NC';
END $$;

SELECT id, same(a, b) FROM (VALUES
    ('T20 twice and never', 'SELECT 1 AS a UNION ALL SELECT 1', 'SELECT 1 AS a WHERE false'),
    ('T20 twice and four times', 'SELECT 1 AS a FROM generate_series(1, 2)', 'SELECT 1 AS a FROM generate_series(1, 4)'),
    ('T20 once and three times', 'SELECT 1 AS a', 'SELECT 1 AS a FROM generate_series(1, 3)'),
    ('T21 aab and abb', 'SELECT unnest(ARRAY[1, 1, 2]) AS a', 'SELECT unnest(ARRAY[1, 2, 2]) AS a'),
    ('T22 values swapped between rows', $q$SELECT * FROM (VALUES (1, 'x'), (2, 'y')) AS v (a, b)$q$, $q$SELECT * FROM (VALUES (1, 'y'), (2, 'x')) AS v (a, b)$q$),
    ('T23 the same added to 2^k rows', 'SELECT g AS a FROM generate_series(1, 1024) g', 'SELECT g + 65536 AS a FROM generate_series(1, 1024) g'),
    ('T23 columns exchanged in all rows', 'SELECT g AS x, g + 1 AS y FROM generate_series(1, 1000) g', 'SELECT g + 1 AS x, g AS y FROM generate_series(1, 1000) g'),
    ('T24 65536 equal rows and none', 'SELECT 7 AS a FROM generate_series(1, 65536)', 'SELECT 7 AS a WHERE false'),
    ('T25 equal column sums', 'SELECT * FROM (VALUES (1, 4), (2, 3)) AS v (a, b)', 'SELECT * FROM (VALUES (1, 3), (2, 4)) AS v (a, b)'),
    ('T32 width', 'SELECT NULL::integer AS a, 1 AS b', 'SELECT 1 AS b'),
    ('T63 renamed column', 'SELECT 1 AS a', 'SELECT 1 AS b'),
    ('T63 order of columns', 'SELECT 1 AS a, 2 AS b', 'SELECT 2 AS b, 1 AS a'),
    ('no rows and no rows', 'SELECT 1 AS a WHERE false', 'SELECT 1 AS b WHERE false')) AS v (id, a, b);

-- T26: under XOR, among any 129 rows some subset cancels to nothing, and who
-- picks rows finds it by linear algebra.  Sums do not have that structure; here
-- all subsets of ten rows differ.
CREATE TABLE r20 AS SELECT g AS a FROM generate_series(1, 10) g;
SELECT count(DISTINCT (SELECT upg_checksum_agg(r)::text FROM r20 r WHERE (mask >> (a - 1)) & 1 = 1)) AS t26_distinct_subsets
FROM generate_series(0, 1023) mask;

-- T90, T92: header and seed.
SELECT upg_checksum(ROW(1)) = upg_checksum(ROW(1), 'semantic');
SELECT upg_checksum(ROW(1)) = upg_checksum(ROW(1), 'strict', 1);
SELECT upg_checksum(ROW(1), 'strict', 1) = upg_checksum(ROW(1), 'strict', 2);
SELECT upg_checksum(ROW(1)) <> upg_checksum(ROW('a'::text));
SELECT upg_checksum(ROW(1)) + upg_checksum(ROW(1), 'semantic');
SELECT upg_checksum(ROW(1)) - upg_checksum(ROW(1), 'semantic');
SELECT upg_checksum(ROW(1), 'strict', 5) = upg_checksum(ROW(1), 'strict', 5) AS t92_same_seed,
       upg_checksum(ROW(1), 'strict', 0) = upg_checksum(ROW(1)) AS t92_default,
       (upg_checksum_info(upg_checksum(ROW(1), 'strict', 5))).sum <> (upg_checksum_info(upg_checksum(ROW(1), 'strict', 6))).sum AS t92_other_seed;
SELECT upg_checksum(ROW(1), 'lax');
SELECT * FROM upg_checksum_info(upg_checksum(ROW(1)));

-- T93, T94: arithmetic.
CREATE TABLE numbers AS SELECT g AS id, g::text AS t FROM generate_series(1, 1000) g;
SELECT upg_checksum_merge(upg_checksum(s)) = upg_checksum_agg(s) AS t93_rows_to_table FROM numbers s;
SELECT (SELECT upg_checksum_agg(s) FROM numbers s WHERE id <= 300) + (SELECT upg_checksum_agg(s) FROM numbers s WHERE id > 300) = upg_checksum_agg(s) AS t93_union FROM numbers s;
SELECT upg_checksum_agg(s) - (SELECT upg_checksum_agg(s) FROM numbers s WHERE id <= 300) = (SELECT upg_checksum_agg(s) FROM numbers s WHERE id > 300) AS t93_difference FROM numbers s;
SELECT upg_checksum_agg(s) = upg_table_checksum('numbers') AS t93_table, upg_checksum_agg(ARRAY['t', 'id'], t, id) = upg_table_checksum('numbers') AS t93_columns,
       upg_checksum_agg_as('semantic', 9, s) = upg_checksum_agg_as('semantic', 9, ARRAY['id', 't'], id, t) AS t93_as FROM numbers s;
SELECT upg_checksum_merge(c) = (SELECT upg_checksum_agg(s) FROM numbers s) AS t93_groups FROM (SELECT id % 7, upg_checksum_agg(s) AS c FROM numbers s GROUP BY 1) g;
SELECT 'upg1:strict:0000000000000001:00000000:1:ffffffffffffffffffffffffffffffff'::upg_checksum_value +
       'upg1:strict:0000000000000001:00000000:2:00000000000000000000000000000002'::upg_checksum_value AS t94_wraps;
SELECT 'upg1:strict:0000000000000001:00000000:2:00000000000000010000000000000000'::upg_checksum_value -
       'upg1:strict:0000000000000001:00000000:3:00000000000000000000000000000001'::upg_checksum_value AS t94_borrows;
SELECT upg_checksum_agg(s) AS no_rows FROM numbers s WHERE false;
SELECT upg_checksum_agg(s) FILTER (WHERE id = 1) = upg_checksum(ROW(1, '1'::text)::numbers) AS filtered FROM numbers s;
SELECT count(DISTINCT c::text) AS windowed FROM (SELECT upg_checksum_agg(s) OVER (ORDER BY id) AS c FROM numbers s) x;
SELECT (upg_checksum_info(upg_checksum_agg(l))).row_count AS outer_join_without_nulls FROM numbers s LEFT JOIN numbers l ON l.id = s.id + 500;
SELECT upg_checksum(NULL::numbers) IS NULL AS null_row;

-- T91: the text form is read back, anything else is refused.
SELECT c::text::upg_checksum_value = c AS read_back FROM (SELECT upg_table_checksum('numbers') AS c) x;
SELECT ''::upg_checksum_value;
SELECT 'upg1:strict:0000000000000001:00000000:1:ffffffffffffffffffffffffffffffff0'::upg_checksum_value;
SELECT 'upg1:strict:0000000000000001:00000000:99999999999999999999:ffffffffffffffffffffffffffffffff'::upg_checksum_value;
SELECT 'upg1:none:0000000000000001:00000000:1:ffffffffffffffffffffffffffffffff'::upg_checksum_value;
SELECT 'upg1:strict:FF00000000000001:00000000:1:ffffffffffffffffffffffffffffffff'::upg_checksum_value;
CREATE TABLE kept (c upg_checksum_value);
INSERT INTO kept SELECT upg_table_checksum('numbers');
COPY kept TO '/dev/null' (FORMAT binary);
SELECT upg_checksum_value_send(c) = upg_checksum_value_send(c::text::upg_checksum_value) AS binary_form, length(upg_checksum_value_send(c)) FROM kept;
-- T89: a value of a later version of the encoding is not comparable.
SELECT c = replace(c::text, 'upg1:', 'upg2:')::upg_checksum_value FROM kept;

-- Arguments of the column form.
SELECT upg_checksum_agg(ARRAY['a'], id, t) FROM numbers;
SELECT upg_checksum_agg(ARRAY['a', 'a'], id, t) FROM numbers;
SELECT upg_checksum_agg(ARRAY['a', NULL], id, t) FROM numbers;
SELECT upg_checksum_agg(NULL::text[], id, t) FROM numbers;
SELECT upg_checksum_agg(ARRAY['a'], VARIADIC ARRAY[id]) FROM numbers;
SELECT upg_checksum_agg(ARRAY['n' || id % 2], id) FROM numbers;
SELECT upg_checksum_agg_as('lax', 0, s) FROM numbers s;

-- T95: a changed row is found though statistics and hints say nothing.
CREATE TABLE quiet AS SELECT g AS id, g AS v FROM generate_series(1, 10000) g;
CREATE TABLE before AS SELECT upg_table_checksum('quiet') AS c;
VACUUM (FREEZE, ANALYZE) quiet;
SELECT upg_table_checksum('quiet') = c AS t95_frozen FROM before;
SET track_counts = off;
UPDATE quiet SET v = -1 WHERE id = 5000;
SELECT upg_table_checksum('quiet') = c AS t95_changed FROM before;
UPDATE quiet SET v = 5000 WHERE id = 5000;
SELECT upg_table_checksum('quiet') = c AS t95_back FROM before;

DROP SCHEMA checksum_sets CASCADE;
DROP EXTENSION upg;
