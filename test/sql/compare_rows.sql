-- upg_compare: which rows differ, by key, and that none is invented or left out.
SET client_min_messages = warning;
CREATE EXTENSION upg;
CREATE SCHEMA compare_rows;
SET search_path = compare_rows, public;

CREATE TABLE a (id integer PRIMARY KEY, v text, n numeric);
INSERT INTO a SELECT g, 'v' || g, g FROM generate_series(1, 3000) g;
CREATE TABLE b (n numeric, id integer PRIMARY KEY, v text);
INSERT INTO b SELECT n, id, v FROM a;

-- T70: numbers of differences, from none to all.
SELECT count(*) AS t70_none FROM upg_compare('a', 'b');
UPDATE b SET v = 'other' WHERE id = 1;
UPDATE b SET n = NULL, v = NULL WHERE id = 3000;
DELETE FROM b WHERE id BETWEEN 100 AND 102;
INSERT INTO b VALUES (1, -5, 'new'), (NULL, 9000, NULL);
UPDATE b SET id = 7777 WHERE id = 50;
SELECT * FROM upg_compare('a', 'b');
SELECT difference, count(*) FROM upg_compare('b', 'a') GROUP BY 1 ORDER BY 1;
TRUNCATE b;
INSERT INTO b SELECT n, id, v FROM a;
UPDATE b SET v = v || '!' WHERE id % 3 = 0;
SELECT difference, count(*), count(DISTINCT row_key) FROM upg_compare('a', 'b') GROUP BY 1;
UPDATE b SET v = v || '!' WHERE id % 3 <> 0;
SELECT difference, count(*), count(DISTINCT row_key), bool_and(changed_columns = '{v}') FROM upg_compare('a', 'b') GROUP BY 1;
TRUNCATE b;
SELECT difference, count(*) FROM upg_compare('a', 'b') GROUP BY 1;
SELECT difference, count(*) FROM upg_compare('b', 'a') GROUP BY 1;
SELECT count(*) AS t70_both_empty FROM upg_compare('b', 'b');

-- T70: more than one round.
CREATE TABLE many (id integer PRIMARY KEY, v integer);
CREATE TABLE many2 (id integer PRIMARY KEY, v integer);
INSERT INTO many SELECT g, g FROM generate_series(1, 120000) g;
INSERT INTO many2 SELECT g + 60000, g + 60000 + (g % 2) FROM generate_series(1, 120000) g;
SELECT difference, count(*), count(DISTINCT row_key), min((row_key ->> 'id')::integer), max((row_key ->> 'id')::integer)
FROM upg_compare('many', 'many2') GROUP BY 1 ORDER BY 1;

-- T71: keys of many types.
CREATE FUNCTION with_key(type text, expr text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    DROP TABLE IF EXISTS k1, k2;
    EXECUTE format('CREATE TABLE k1 AS SELECT (%s)::%s AS k, g AS v FROM generate_series(1, 500) g', expr, type);
    ALTER TABLE k1 ADD UNIQUE (k);
    CREATE TABLE k2 (LIKE k1 INCLUDING ALL);
    INSERT INTO k2 SELECT * FROM k1;
    UPDATE k2 SET v = -1 WHERE v = 77;
    DELETE FROM k2 WHERE v = 78;
    DELETE FROM k1 WHERE v = 79;
    SELECT string_agg(difference || ' ' || COALESCE(source_row ->> 'v', target_row ->> 'v'), ', ' ORDER BY difference)
        INTO result FROM upg_compare('k1', 'k2', key => '{k}');
    RETURN result;
END $$;
SELECT type, with_key(type, expr) AS t71 FROM (VALUES
    ('smallint', 'g - 250'), ('integer', '(g - 250) * 8589934'), ('bigint', '(g - 250) * 36893488147419103::bigint'),
    ('uuid', 'md5(g::text)'), ('text', $$'ключ ' || g$$), ('text COLLATE "C"', $$'k' || g$$), ('bytea', 'sha256(g::text::bytea)'),
    ('numeric', 'g / 7.0'), ('float8', 'g / 7.0'), ('timestamptz', $$'2020-01-01'::timestamptz + g * interval '1 s'$$), ('date', $$'2000-01-01'::date + g$$),
    ('text', $$repeat('long', 500) || g$$), ('int4range', 'int4range(g, g + 5)'), ('integer[]', 'ARRAY[g, g]'), ('inet', $$'10.0.0.0'::inet + g$$), ('oid', 'g::bigint'),
    ('smallint', 'CASE g WHEN 77 THEN -32768 WHEN 78 THEN 32767 WHEN 79 THEN -1 ELSE g END'), ('integer', 'CASE g WHEN 77 THEN -2147483648 WHEN 78 THEN 2147483647 WHEN 79 THEN -1 ELSE g END'),
    ('bigint', 'CASE g WHEN 77 THEN -9223372036854775808 WHEN 78 THEN 9223372036854775807 WHEN 79 THEN 0 ELSE g END'),
    ('numeric', $$CASE g WHEN 77 THEN 1.00 WHEN 78 THEN 'NaN' WHEN 79 THEN 'Infinity' ELSE g + 1 END$$), ('float8', $$CASE g WHEN 77 THEN 'NaN'::float8 WHEN 78 THEN '-0' WHEN 79 THEN '-Infinity' ELSE g END$$),
    ('text COLLATE "en-x-icu"', $$CASE WHEN g % 2 = 0 THEN 'a' ELSE 'B' END || g$$), ('jsonb', $$jsonb_build_object('k', g)$$), ('"char"', 'g::text'), ('name', $$'n' || g$$)) AS t (type, expr) WHERE type <> '"char"';
CREATE TABLE composite (a integer, b text, c timestamptz, v integer, PRIMARY KEY (c, a, b));
INSERT INTO composite SELECT g % 10, 'b' || g, '2020-01-01', g FROM generate_series(1, 200) g;
CREATE TABLE composite2 AS SELECT * FROM composite;
ALTER TABLE composite2 ADD PRIMARY KEY (a, b, c);
UPDATE composite2 SET v = 0 WHERE b = 'b7';
SELECT row_key, source_row FROM upg_compare('composite', 'composite2');
CREATE TABLE two_ints (a integer, b bigint, v text, PRIMARY KEY (a, b));
INSERT INTO two_ints SELECT g % 10, -g, 'v' FROM generate_series(1, 200) g;
CREATE TABLE two_ints2 (LIKE two_ints INCLUDING ALL);
INSERT INTO two_ints2 SELECT * FROM two_ints;
UPDATE two_ints2 SET v = 'w' WHERE b IN (-7, -100);
SELECT row_key FROM upg_compare('two_ints', 'two_ints2');
-- nullable unique keys identify no row for certain, so they are not chosen; named, they serve
CREATE TABLE nullable (k integer UNIQUE, v text);
INSERT INTO nullable VALUES (1, 'a'), (NULL, 'b'), (NULL, 'c');
CREATE TABLE nullable2 AS SELECT * FROM nullable;
UPDATE nullable2 SET v = 'd' WHERE v = 'c';
SET client_min_messages = notice;
SELECT difference, row_key, source_row, target_row FROM upg_compare('nullable', 'nullable2');
SET client_min_messages = warning;
SELECT difference, row_key, source_row, target_row FROM upg_compare('nullable', 'nullable2', key => '{k}');
CREATE INDEX ON nullable2 (k);
SELECT difference, row_key, source_row, target_row FROM upg_compare('nullable', 'nullable2', key => '{k}');

-- T71: indexes that do not identify rows at all times are not chosen.
CREATE TABLE unsure (a integer NOT NULL, b text NOT NULL, c integer NOT NULL, v integer);
INSERT INTO unsure SELECT g, 'b' || g, g, g FROM generate_series(1, 20) g;
CREATE TABLE unsure2 AS SELECT * FROM unsure;
UPDATE unsure2 SET v = 0 WHERE a = 7;
CREATE UNIQUE INDEX ON unsure2 (a) WHERE a > 3;
CREATE UNIQUE INDEX ON unsure2 (lower(b));
ALTER TABLE unsure2 ADD UNIQUE (c) DEFERRABLE;
SET client_min_messages = notice;
SELECT difference, row_key, source_row ->> 'a' AS source, target_row ->> 'a' AS target FROM upg_compare('unsure', 'unsure2');
SET client_min_messages = warning;
SELECT difference, row_key, changed_columns FROM upg_compare('unsure', 'unsure2', key => '{c}');
-- in semantic mode 1.0 and 1.00 are one key, in strict mode two
CREATE TABLE scale1 AS SELECT 1.0 AS k, 'x' AS v;
CREATE TABLE scale2 AS SELECT 1.00 AS k, 'x' AS v;
SELECT difference, row_key FROM upg_compare('scale1', 'scale2', key => '{k}');
SELECT count(*) FROM upg_compare('scale1', 'scale2', key => '{k}', mode => 'semantic');

-- T27, T76, T77: copies.
CREATE TABLE bag (k integer, v text);
INSERT INTO bag SELECT 1, 'x' FROM generate_series(1, 3);
INSERT INTO bag SELECT 2, 'x' FROM generate_series(1, 16);
INSERT INTO bag VALUES (3, 'same content'), (4, 'same content'), (5, NULL), (5, NULL), (6, 'one'), (6, 'two');
CREATE TABLE bag2 (k integer, v text);
INSERT INTO bag2 SELECT 1, 'x' FROM generate_series(1, 2);
INSERT INTO bag2 SELECT 2, 'x' FROM generate_series(1, 4096);
INSERT INTO bag2 VALUES (3, 'same content'), (7, 'same content'), (5, NULL), (6, 'two'), (6, 'three');
SELECT * FROM upg_compare('bag', 'bag2', key => '{}');
SELECT * FROM upg_compare('bag', 'bag2', key => '{k}');
SELECT difference, source_copies, target_copies FROM upg_compare('bag', 'bag2', key => '{}', columns => '{v}');

-- T74: keys with anything in them.
CREATE TABLE odd (k text PRIMARY KEY, v integer);
CREATE TABLE odd2 (k text PRIMARY KEY, v integer);
INSERT INTO odd VALUES (E'new\nline', 1), ('quo"te''', 2), ('', 3), ('NULL', 4), (E'back\\slash', 5), ('{"json": 1}', 6);
SELECT row_key FROM upg_compare('odd', 'odd2');

-- T75, redaction, columns, filters.
UPDATE bag2 SET v = 'secret' WHERE k = 3;
SELECT difference, changed_columns, source_row ->> 'v' ~ '^\(hidden [0-9a-f]{16}\)$' AS hidden, target_row ->> 'v' <> source_row ->> 'v' AS differ
FROM upg_compare('bag', 'bag2', key => '{k}', filter => 'k = 3', redact => '{v}');
SELECT count(*) FROM upg_compare('bag', 'bag2', key => '{k}', filter => 'k = 999');
SELECT count(*) FROM upg_compare('a', 'b', key => '{id}', filter => 'id < 0');

-- T63, mapping: what was renamed, split, widened.
CREATE TABLE old_people (id integer PRIMARY KEY, first text, last text, mail text, born date);
CREATE TABLE new_people (id bigint PRIMARY KEY, full_name text, email text, born date);
INSERT INTO old_people SELECT g, 'F' || g, 'L' || g, 'Mail' || g || '@X', '1990-01-01' FROM generate_series(1, 50) g;
INSERT INTO new_people SELECT id, first || ' ' || last, lower(mail), born FROM old_people;
UPDATE new_people SET email = 'wrong' WHERE id = 7;
UPDATE new_people SET full_name = 'F9  L9' WHERE id = 9;
SELECT * FROM upg_compare('old_people', 'new_people');
SELECT * FROM upg_compare('old_people', 'new_people', except_columns => '{first,last,mail,full_name,email}');
SELECT row_key, changed_columns, source_row, target_row FROM upg_compare('old_people', 'new_people', except_columns => '{first,last,mail}',
    mapping => '{"full_name": "first || '' '' || last", "email": "lower(mail)", "id": "id::bigint"}');
SELECT count(*) FROM upg_compare('old_people', 'new_people', columns => '{id,born}', mode => 'semantic');
ALTER TABLE new_people RENAME born TO birthday;
SELECT row_key, changed_columns FROM upg_compare('old_people', 'new_people', columns => '{id,birthday,email}', mapping => '{"birthday": "born", "email": "mail"}', mode => 'semantic', filter => 'id = 1');
SELECT * FROM upg_compare('old_people', 'new_people', columns => '{id,email}', mapping => '{"email": "lower(mail"}');
SELECT * FROM upg_compare('old_people', 'new_people', columns => '{id,email}', mapping => '{"email": 5}');
SELECT * FROM upg_compare('old_people', 'new_people', mapping => '[]');
SELECT * FROM upg_compare('a', 'b', key => '{nope}');
SELECT * FROM upg_compare('a', 'b', except_columns => '{nope}');
SELECT * FROM upg_compare('a', 'b', except_columns => '{id}', key => '{id}');
SELECT * FROM upg_compare('a', NULL);

-- Partitioned against plain, other order of columns, views.
CREATE TABLE sliced (v text, n numeric, id integer PRIMARY KEY) PARTITION BY HASH (id);
CREATE TABLE slice0 PARTITION OF sliced FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE slice1 (id integer NOT NULL, n numeric, v text);
ALTER TABLE sliced ATTACH PARTITION slice1 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO sliced (id, v, n) SELECT id, v, n FROM a;
UPDATE sliced SET v = 'moved' WHERE id = 5;
DELETE FROM sliced WHERE id = 6;
SELECT difference, row_key, changed_columns FROM upg_compare('a', 'sliced');
CREATE VIEW a_view AS SELECT * FROM a WHERE id <> 12;
SELECT difference, row_key, changed_columns FROM upg_compare('a_view', 'sliced');
SELECT difference, row_key, changed_columns FROM upg_compare('a_view', 'sliced', workers => 2);

DROP SCHEMA compare_rows CASCADE;
DROP EXTENSION upg;
