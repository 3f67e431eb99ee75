-- The parts that a client puts together to compare two databases.
SET client_min_messages = warning;
CREATE EXTENSION upg;
CREATE SCHEMA compare_sketches;
SET search_path = compare_sketches, public;
CREATE TABLE a (id integer PRIMARY KEY, v text);
INSERT INTO a SELECT g, 'v' || g FROM generate_series(1, 10000) g;
CREATE TABLE b (id integer PRIMARY KEY, v text);
INSERT INTO b SELECT * FROM a;
UPDATE b SET v = 'x' WHERE id = 5;
DELETE FROM b WHERE id = 6;

CREATE TABLE sketches AS SELECT upg_table_sketch('a', key => '{id}', seed => 42) AS s, upg_table_sketch('b', key => '{id}', seed => 42, workers => 2) AS t;
SELECT length(s) AS bytes, (upg_sketch_info(s)).* FROM sketches;
SELECT (upg_sketch_info(s)).checksum = upg_table_checksum('a', seed => 42) AS same_checksum FROM sketches;
SELECT (upg_sketch_estimate(s, t)).* FROM sketches;
CREATE TABLE diff AS SELECT d.* FROM sketches, upg_sketch_diff(s, t) d;
SELECT copies, count(*) FROM diff GROUP BY 1 ORDER BY 1;
SELECT x.row_key, x."row" AS source, y."row" AS target, x.column_prints ->> 'id' = y.column_prints ->> 'id' AS same_id, x.column_prints ->> 'v' = y.column_prints ->> 'v' AS same_v
FROM upg_table_rows('a', (SELECT array_agg(DISTINCT print) FROM diff), key => '{id}', seed => 42) x
LEFT JOIN upg_table_rows('b', (SELECT array_agg(DISTINCT print) FROM diff), key => '{id}', seed => 42) y USING (print);
SELECT bool_and(row_print IN (SELECT row_print FROM diff)) AS prints_match
FROM upg_table_rows('a', (SELECT array_agg(DISTINCT print) FROM diff), key => '{id}', seed => 42);
SELECT count(*) FROM upg_table_rows('a', '{}', key => '{id}');

-- T72: more differences than fit are detected and estimated, never cut off.
CREATE FUNCTION fits(differences integer, cells integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    s bytea;
    t bytea;
    e record;
    found bigint;
BEGIN
    s := upg_table_sketch('a', key => '{id}', cells => cells, seed => 7);
    t := upg_table_sketch('a', key => '{id}', cells => cells, seed => 7, filter => 'id > ' || differences);
    e := upg_sketch_estimate(s, t);
    IF abs(e.differences - differences) > 10 + differences / 4 THEN
        RETURN 'wrong estimate ' || e.differences;
    END IF;
    BEGIN
        SELECT count(*) INTO found FROM upg_sketch_diff(s, t);
    EXCEPTION WHEN program_limit_exceeded THEN
        RETURN CASE WHEN e.complete THEN 'contradiction' ELSE 'refused' END;
    END;
    RETURN CASE WHEN found = differences AND e.complete THEN 'complete' ELSE 'wrong ' || found END;
END $$;
SELECT load, fits((load * 900)::integer, 900) AS t72 FROM unnest(ARRAY[0, 0.1, 0.5, 0.7, 0.9, 1, 2, 10]) load;
DO $$ BEGIN PERFORM upg_sketch_diff(upg_table_sketch('a', key => '{id}', cells => 48), upg_table_sketch('a', key => '{id}', cells => 48, filter => 'false')); EXCEPTION WHEN program_limit_exceeded THEN RAISE WARNING '%', SQLERRM; END $$;

-- Buckets are disjoint and complete.
SELECT sum(n) AS in_buckets, upg_checksum_merge(c) = upg_table_checksum('a') AS add_up FROM (
    SELECT (upg_checksum_info((upg_sketch_info(s)).checksum)).row_count AS n, (upg_sketch_info(s)).checksum AS c
    FROM (SELECT upg_table_sketch('a', key => '{id}', bucket => i, buckets => 5) AS s FROM generate_series(0, 4) i) x) y;

-- T89: what cannot be compared is not called different.
SELECT upg_sketch_diff(s, upg_table_sketch('b', key => '{id}', seed => 43)) FROM sketches;
SELECT upg_sketch_diff(s, upg_table_sketch('b', key => '{id}', seed => 42, cells => 48)) FROM sketches;
SELECT upg_sketch_diff(s, upg_table_sketch('b', key => '{v}', seed => 42)) FROM sketches;
SELECT upg_sketch_diff(s, upg_table_sketch('b', seed => 42)) FROM sketches;
SELECT upg_sketch_diff(s, upg_table_sketch('b', key => '{id}', columns => '{id}', seed => 42)) FROM sketches;
SELECT upg_sketch_diff(s, upg_table_sketch('b', key => '{id}', mode => 'semantic', seed => 42)) FROM sketches;
SELECT upg_sketch_diff(s, upg_table_sketch('b', key => '{id}', seed => 42, bucket => 1, buckets => 2)) FROM sketches;
SELECT upg_sketch_diff(s, '\x00') FROM sketches;
SELECT upg_sketch_diff(s, substr(s, 1, length(s) - 1)) FROM sketches;
SELECT upg_sketch_diff(s, set_byte(s, 42, 255)) FROM sketches;
SELECT upg_table_sketch('a', cells => 0);
SELECT upg_table_sketch('a', bucket => 3, buckets => 3);
SELECT upg_table_rows('a', '{"\\x00"}');
-- T73: a damaged cell is noticed.
SELECT complete FROM sketches, upg_sketch_estimate(set_byte(s, 5000, 255 - get_byte(s, 5000)), t);

-- The forms that send less: the sketch that is kept, rows that are packed, samples.
SELECT upg_sketch_take(s) FROM sketches;
BEGIN READ ONLY;
SELECT upg_sketch_keep('b', key => '{id}', seed => 42) AS rows_kept;
SAVEPOINT keep;
SELECT upg_sketch_keep('b', key => '{nonesuch}', seed => 42);
ROLLBACK TO keep;
SELECT upg_sketch_take(s) FROM sketches;
ROLLBACK TO keep;
SELECT upg_sketch_keep('b', key => '{id}', seed => 42) AS rows_kept;
SELECT t.complete, t.prints = (SELECT string_agg(DISTINCT print, '' ORDER BY print) FROM diff) AS same_prints FROM sketches, upg_sketch_take(s) t;
SELECT upg_sketch_take(s) FROM sketches;
ROLLBACK;
BEGIN;
SELECT upg_sketch_keep('b', key => '{id}', seed => 43) AS rows_kept;
SELECT upg_sketch_take(s) FROM sketches;
ROLLBACK;
SELECT upg_sketch_take(s) FROM sketches;
BEGIN;
SELECT upg_sketch_keep('b', key => '{id}', filter => 'false', cells => 48, seed => 42) AS rows_kept;
SELECT complete, cells_needed > 10000 AS many_needed, prints FROM upg_sketch_take(upg_table_sketch('a', key => '{id}', cells => 48, seed => 42));
COMMIT;
-- One row: columns, key, name of each column, number of the key's, prints, values.
SELECT p AS packed FROM upg_rows_packed('a', '\x00000000000000000000000000000007', key => '{id}', shown => '{id}') p;
SELECT length(upg_rows_packed('a', '\x00000000000000000000000000000007', key => '{id}', longest => l)) AS bytes FROM generate_series(0, 3) l;
SELECT length(upg_rows_packed('a', '\xffffffffffffffffffffffffffffffff', key => '{id}')) AS nothing_found;
SELECT length(upg_rows_packed('a', '', key => '{id}')) AS nothing_wanted;
SELECT upg_rows_packed('a', '\x00', key => '{id}');
SELECT upg_rows_packed('a', NULL, key => '{id}');
SELECT upg_rows_packed('a', '', key => '{id}', longest => -1);
SELECT upg_table_sample('a', key => '{id}') IS NULL AS too_small;
CREATE TABLE large (id integer, pad text) WITH (fillfactor = 10);
INSERT INTO large SELECT g, repeat('x', 700) FROM generate_series(1, 4000) g;
SELECT upg_table_sample('large', key => '{id}') IS NULL AS no_index;
ALTER TABLE large ADD PRIMARY KEY (id);
VACUUM ANALYZE large;
CREATE TABLE less AS SELECT * FROM large WHERE id % 4 <> 0;
SELECT upg_sample_missing('less', upg_table_sample('large', key => '{id}'), key => '{id}');
ALTER TABLE less ADD PRIMARY KEY (id);
SELECT m.missing BETWEEN 1 AND 62 AS some_missing, m.rows BETWEEN 63 AND 4000 AS stand_for_more FROM upg_sample_missing('less', upg_table_sample('large', key => '{id}'), key => '{id}') m;
SELECT m.missing, m.rows FROM upg_sample_missing('large', upg_table_sample('large', key => '{id}'), key => '{id}') m;
SELECT upg_sample_missing('large', '\x00', key => '{id}');
SELECT upg_table_sample('large', key => '{id}', filter => 'id > 5') IS NULL AS not_with_a_filter;

DROP SCHEMA compare_sketches CASCADE;
DROP EXTENSION upg;
