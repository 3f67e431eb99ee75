-- What is not part of a value must not change a checksum: how and where rows
-- are stored.  And what is must: row function, aggregate and scan agree.
SET client_min_messages = warning;
CREATE EXTENSION upg;
CREATE SCHEMA checksum_storage;
SET search_path = checksum_storage, public;

-- T01: order of rows.
CREATE TABLE plain (id integer PRIMARY KEY, a text, b numeric(12,2), c timestamptz);
INSERT INTO plain SELECT g, 'row ' || g, g * 1.25, '2020-01-01'::timestamptz + g * interval '1 min' FROM generate_series(1, 5000) g;
CREATE TABLE shuffled (LIKE plain);
INSERT INTO shuffled SELECT * FROM plain ORDER BY md5(id::text);
CREATE TABLE sums (what text, c upg_checksum_value);
INSERT INTO sums SELECT 'plain', upg_table_checksum('plain');
SELECT upg_table_checksum('shuffled') = c AS t01_order FROM sums;
CREATE INDEX ON plain (a);
CLUSTER plain USING plain_a_idx;
SELECT upg_table_checksum('plain') = c AS t01_cluster FROM sums;
VACUUM FULL plain;
SELECT upg_table_checksum('plain') = c AS t01_vacuum_full FROM sums;
ALTER TABLE plain SET (fillfactor = 20);
VACUUM FULL plain;
SELECT upg_table_checksum('plain') = c AS t01_fillfactor FROM sums;
VACUUM (FREEZE) plain;
SELECT upg_table_checksum('plain') = c AS t15_all_visible FROM sums;

-- T02: exactly the rows that the snapshot sees.
UPDATE plain SET b = b + 1 WHERE id % 3 = 0;
UPDATE plain SET b = b - 1 WHERE id % 3 = 0;
SELECT upg_table_checksum('plain') = c AS t02_hot FROM sums;
BEGIN;
DELETE FROM plain WHERE id < 100;
SELECT upg_table_checksum('plain') = (SELECT upg_checksum_agg(p) FROM plain p) AS t02_own_changes FROM sums;
ROLLBACK;
SELECT upg_table_checksum('plain') = c AS t02_aborted FROM sums;
BEGIN;
INSERT INTO plain VALUES (100001, 'kept', 1, NULL);
SAVEPOINT s;
INSERT INTO plain VALUES (100002, 'gone', 1, NULL);
ROLLBACK TO s;
SELECT * FROM plain WHERE id = 5 FOR SHARE;
SELECT * FROM plain WHERE id = 6 FOR UPDATE;
SELECT upg_table_checksum('plain') = (SELECT upg_checksum_agg(p) FROM plain p) AS t02_subtransactions,
       upg_table_checksum('plain') - upg_checksum(ROW(100001, 'kept'::text, 1.00, NULL::timestamptz)::plain) = c AS t93_minus FROM sums;
SELECT upg_table_checksum('plain', workers => 2) = upg_table_checksum('plain', workers => 0) AS t02_own_changes_in_workers;
ROLLBACK;

-- T03: packing, compression, out of line.
CREATE TABLE packed (id integer, v text);
INSERT INTO packed SELECT g, repeat(chr(97 + g % 26), g * 37) || md5(g::text) FROM generate_series(1, 300) g;
CREATE TABLE external (id integer, v text);
ALTER TABLE external ALTER v SET STORAGE EXTERNAL;
INSERT INTO external SELECT * FROM packed;
CREATE TABLE inline (id integer, v text);
ALTER TABLE inline ALTER v SET STORAGE MAIN;
INSERT INTO inline SELECT * FROM packed;
CREATE TABLE lz4ed (id integer, v text COMPRESSION lz4);
INSERT INTO lz4ed SELECT id, v || '' FROM packed;
CREATE TABLE squeezed (id integer, v text) WITH (toast_tuple_target = 128);
INSERT INTO squeezed SELECT id, v || '' FROM packed;
SELECT count(DISTINCT upg_table_checksum(t)::text) AS t03_forms
FROM unnest('{packed,external,inline,lz4ed,squeezed}'::regclass[]) t;
SELECT count(DISTINCT c::text) FROM (SELECT upg_checksum_agg(t) AS c FROM packed t UNION ALL SELECT upg_checksum_agg(t) FROM external t) x;

-- T33: lengths around every boundary; equal EQ, one byte off NE.
CREATE TABLE lengths AS SELECT l, repeat('x', l) AS v
FROM unnest('{0,1,2,125,126,127,128,255,256,257,1023,1024,1025,1995,1996,1997,2000,8191,20000,1048575,1048576,1048577,3000001}'::integer[]) l;
CREATE TABLE lengths2 (l integer, v text);
ALTER TABLE lengths2 ALTER v SET STORAGE EXTERNAL;
INSERT INTO lengths2 SELECT l, v || '' FROM lengths;
SELECT upg_table_checksum('lengths') = upg_table_checksum('lengths2') AS t33_equal;
UPDATE lengths2 SET v = overlay(v PLACING 'y' FROM l) WHERE l > 0;
SELECT count(*) AS t33_last_byte FROM upg_compare('lengths', 'lengths2', key => '{l}') WHERE changed_columns = '{v}';
SELECT upg_checksum(ROW(repeat('x', 5000))) <> upg_checksum(ROW(convert_from('\x31'::bytea, 'UTF8'))) AS t33_digest;

-- T34: one byte of a value that is stored out of line.
CREATE TABLE toasted (id integer, v bytea);
ALTER TABLE toasted ALTER v SET STORAGE EXTERNAL;
INSERT INTO toasted SELECT g, decode(string_agg(md5(g::text || i::text), ''), 'hex') FROM generate_series(1, 20) g, generate_series(1, 1248) i GROUP BY g;
INSERT INTO toasted VALUES (99, decode(repeat('ab', 1996 * 3 + 1), 'hex'));
CREATE TABLE toasted2 (LIKE toasted INCLUDING ALL);
INSERT INTO toasted2 SELECT id, CASE id WHEN 3 THEN set_byte(v, 0, 255 - get_byte(v, 0)) WHEN 7 THEN set_byte(v, 10000, 255 - get_byte(v, 10000))
    WHEN 11 THEN set_byte(v, length(v) - 1, 255 - get_byte(v, length(v) - 1)) WHEN 99 THEN set_byte(v, length(v) - 1, 0) ELSE v END FROM toasted;
SELECT row_key ->> 'id' AS t34, changed_columns FROM upg_compare('toasted', 'toasted2', key => '{id}');

-- T04: dropped columns, first, middle, last; one that came back.
CREATE TABLE dropped (gone1 integer, id integer, gone2 text, a text, b integer, gone3 bytea);
INSERT INTO dropped SELECT g, g, 'x', 'row ' || g, g, '\x00' FROM generate_series(1, 100) g;
ALTER TABLE dropped DROP gone1, DROP gone2, DROP gone3, DROP b, ADD b integer;
UPDATE dropped SET b = id;
CREATE TABLE clean (b integer, a text, id integer);
INSERT INTO clean SELECT g, 'row ' || g, g FROM generate_series(1, 100) g;
SELECT upg_table_checksum('dropped') = upg_table_checksum('clean') AS t04_scan,
       (SELECT upg_checksum_agg(d) FROM dropped d) = upg_table_checksum('clean') AS t04_rows;

-- T05: columns added with a default, which then changes.
CREATE TABLE grown (id integer);
INSERT INTO grown SELECT generate_series(1, 50);
ALTER TABLE grown ADD n integer DEFAULT 7, ADD t text DEFAULT 'seven', ADD k bigint NOT NULL DEFAULT 9, ADD e text;
ALTER TABLE grown ALTER n SET DEFAULT 8, ALTER t SET DEFAULT 'eight';
INSERT INTO grown (id) VALUES (51);
CREATE TABLE stored AS SELECT id, 7 AS n, 'seven'::text AS t, 9::bigint AS k, NULL::text AS e FROM generate_series(1, 50) id
    UNION ALL SELECT 51, 8, 'eight', 9, NULL;
SELECT upg_table_checksum('grown') = upg_table_checksum('stored') AS t05_scan,
       (SELECT upg_checksum_agg(g) FROM grown g) = upg_table_checksum('stored') AS t05_rows;
ALTER TABLE grown DROP n;
ALTER TABLE grown ADD n integer DEFAULT 7;
UPDATE grown SET n = 8 WHERE id = 51;
SELECT upg_table_checksum('grown') = upg_table_checksum('stored') AS t05_again;

-- T06, T07: numbers of columns, and nulls among them.
CREATE FUNCTION width(n integer, nulls text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    ok boolean;
BEGIN
    EXECUTE format('CREATE TABLE wide AS SELECT g AS id, %s FROM generate_series(1, 3) g',
        (SELECT string_agg(CASE WHEN nulls = 'all' OR nulls = 'last' AND i = n OR nulls = 'odd' AND i % 2 = 1
                           THEN 'NULL::integer' ELSE 'g' END || ' AS c' || i, ', ') FROM generate_series(1, n) i));
    EXECUTE 'SELECT upg_table_checksum(''wide'') = upg_checksum_agg(w) FROM wide w' INTO ok;
    DROP TABLE wide;
    RETURN ok;
END $$;
SELECT bool_and(width(n, nulls)) AS t06 FROM unnest('{6,7,8,14,15,16,17,31,32,63,64,65}'::integer[]) n, unnest('{none,all,last,odd}'::text[]) nulls;
SELECT width(1590, 'odd') AS t07_wide;
CREATE TABLE zero2 ();
CREATE TABLE zero3 ();
INSERT INTO zero2 DEFAULT VALUES; INSERT INTO zero2 DEFAULT VALUES;
INSERT INTO zero3 SELECT FROM generate_series(1, 3);
SELECT upg_table_checksum('zero2') = upg_table_checksum('zero3') AS t07_zero_columns,
       upg_table_checksum('zero2') = (SELECT upg_checksum_agg(z) FROM zero2 z) AS t07_rows;

-- T08: padding.
CREATE TABLE padded (a bool, b int8, c bool, d int2, e "char", f text, g float8);
INSERT INTO padded SELECT i % 2 = 0, i, i % 3 = 0, i, chr(65 + i % 26)::"char", repeat('x', i % 5), i FROM generate_series(1, 100) i;
CREATE TABLE unpadded (g float8, f text, e "char", d int2, c bool, b int8, a bool);
INSERT INTO unpadded (a, b, c, d, e, f, g) SELECT * FROM padded;
SELECT upg_table_checksum('padded') = upg_table_checksum('unpadded') AS t08;

-- T09: an empty table has a checksum; a missing one has none.
CREATE TABLE empty (LIKE plain);
SELECT (upg_checksum_info(upg_table_checksum('empty'))).row_count AS t09_rows, upg_table_checksum('empty') = (SELECT upg_checksum_agg(e) FROM empty e) AS t09_equal;
SELECT upg_table_checksum('no_such_table');
SELECT upg_table_checksum(4294967295::oid::regclass);

-- T10: rows that fill a page.
CREATE TABLE full_pages (id integer, v text);
ALTER TABLE full_pages ALTER v SET STORAGE PLAIN;
INSERT INTO full_pages SELECT g, repeat('f', 8100) FROM generate_series(1, 50) g;
SELECT upg_table_checksum('full_pages') = (SELECT upg_checksum_agg(f) FROM full_pages f) AS t10;

-- T11: partitions, whose columns lie in another order, and children.
CREATE TABLE parts (id integer, a text, b numeric(12,2), c timestamptz) PARTITION BY RANGE (id);
CREATE TABLE part1 (c timestamptz, gone integer, b numeric(12,2), a text, id integer);
ALTER TABLE part1 DROP gone;
ALTER TABLE parts ATTACH PARTITION part1 FOR VALUES FROM (0) TO (1000);
CREATE TABLE part2 PARTITION OF parts FOR VALUES FROM (1000) TO (3000) PARTITION BY HASH (id);
CREATE TABLE part2a PARTITION OF part2 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE part2b PARTITION OF part2 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE part3 PARTITION OF parts DEFAULT;
INSERT INTO parts SELECT * FROM plain;
SELECT upg_table_checksum('parts') = c AS t11_partitioned, upg_table_checksum('part1') + upg_table_checksum('part2') + upg_table_checksum('part3') = c AS t11_sum,
       upg_table_checksum('parts', workers => 2) = c AS t11_workers FROM sums;
CREATE TABLE parent (id integer, a text);
CREATE TABLE child (extra integer) INHERITS (parent);
INSERT INTO parent VALUES (1, 'p');
INSERT INTO child VALUES (2, 'c', 3);
SELECT upg_table_checksum('parent') = (SELECT upg_checksum_agg(p) FROM parent p) AS t11_children,
       upg_table_checksum('parent', only_this => true) = (SELECT upg_checksum_agg(p) FROM ONLY parent p) AS t11_only;
CREATE TABLE no_parts (id integer) PARTITION BY LIST (id);
SELECT (upg_checksum_info(upg_table_checksum('no_parts'))).row_count AS t11_none;

-- T12: what is not a plain table.
CREATE VIEW as_view AS SELECT * FROM plain;
CREATE MATERIALIZED VIEW as_matview AS SELECT * FROM plain;
CREATE TEMP TABLE as_temp AS SELECT * FROM plain;
CREATE UNLOGGED TABLE as_unlogged AS SELECT * FROM plain;
SELECT r, upg_table_checksum(r) = c AS t12, upg_table_checksum(r, workers => 2) = c AS t12_workers FROM sums, unnest('{as_view,as_matview,as_temp,as_unlogged}'::regclass[]) r;
CREATE ACCESS METHOD checksum_storage_heap TYPE TABLE HANDLER heap_tableam_handler;
CREATE TABLE as_other_method USING checksum_storage_heap AS SELECT * FROM plain;
SELECT upg_table_checksum('as_other_method') = c AS t12_other_method FROM sums;
DROP TABLE as_other_method;
DROP ACCESS METHOD checksum_storage_heap;
CREATE MATERIALIZED VIEW unfilled AS SELECT 1 AS a WITH NO DATA;
SELECT upg_table_checksum('unfilled');
SELECT upg_table_checksum('plain_pkey');
CREATE SEQUENCE seq;
SELECT upg_table_checksum('seq');

-- T13: plans and callers.
SET min_parallel_table_scan_size = 0;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SELECT bool_and(upg_table_checksum('plain', workers => w) = c) AS t13_workers FROM sums, generate_series(0, 8) w;
SET parallel_leader_participation = off;
SELECT upg_table_checksum('plain', workers => 2) = c AS t13_leader_off FROM sums;
SET max_parallel_workers = 0;
SELECT upg_table_checksum('plain', workers => 2) = c AS t13_no_worker FROM sums;
RESET max_parallel_workers;
RESET parallel_leader_participation;
SELECT set_config(name, 'on', false) AS forced FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
SELECT upg_table_checksum('plain') = c AS t13_forced FROM sums;
SELECT (SELECT upg_checksum_agg(p) FROM plain p) = c AS t13_forced FROM sums;
SELECT set_config(name, 'off', false) AS forced FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
EXPLAIN (COSTS OFF) SELECT upg_checksum_agg(ARRAY['id', 'a', 'b', 'c'], id, a, b, c) FROM plain;
SELECT (SELECT upg_checksum_agg(ARRAY['id', 'a', 'b', 'c'], id, a, b, c) FROM plain) = c AS t13_partial FROM sums;
EXPLAIN (COSTS OFF) SELECT upg_checksum_agg(p) FROM plain p;
SELECT (SELECT upg_checksum_agg(p) FROM plain p) = c AS t13_partial_rows FROM sums;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
SET enable_seqscan = off;
SELECT (SELECT upg_checksum_agg(p) FROM plain p WHERE id > 0) = c AS t13_index FROM sums;
SET enable_indexscan = off;
SET enable_indexonlyscan = off;
SELECT (SELECT upg_checksum_agg(p) FROM plain p WHERE id > 0) = c AS t13_bitmap FROM sums;
SELECT (SELECT upg_checksum_agg(p) FROM plain p WHERE ctid >= '(0,0)') = c AS t13_tid FROM sums;
RESET enable_indexscan;
RESET enable_indexonlyscan;
RESET enable_seqscan;
PREPARE again AS SELECT upg_table_checksum('plain') = c AS t13_prepared FROM sums;
EXECUTE again; EXECUTE again;
BEGIN;
DECLARE cur CURSOR FOR SELECT upg_table_checksum('plain') = c AS t13_cursor FROM sums;
FETCH cur;
COMMIT;

DROP SCHEMA checksum_storage CASCADE;
DROP EXTENSION upg;
