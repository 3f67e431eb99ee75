-- Foreign tables: the aggregate over columns is computed where the rows are.
SET client_min_messages = warning;
CREATE EXTENSION upg;
CREATE EXTENSION postgres_fdw;
CREATE SCHEMA checksum_fdw;
SET search_path = checksum_fdw, public;
DO $$
BEGIN
    EXECUTE format('CREATE SERVER loop FOREIGN DATA WRAPPER postgres_fdw OPTIONS (extensions %L, host %L, port %L, dbname %L)',
        'upg', split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'), current_database());
    EXECUTE format('CREATE USER MAPPING FOR CURRENT_USER SERVER loop OPTIONS (user %L)', current_user);
END $$;
CREATE TABLE here (id integer PRIMARY KEY, a text, b numeric, c timestamptz, d float8[]);
INSERT INTO here SELECT g, 'row ' || g, g / 3.0, '2020-01-01'::timestamptz + g * interval '1 hour', ARRAY[g / 7.0, NULL] FROM generate_series(1, 2000) g;
CREATE FOREIGN TABLE there (id integer, a text, b numeric, c timestamptz, d float8[]) SERVER loop OPTIONS (schema_name 'checksum_fdw', table_name 'here');
CREATE FOREIGN TABLE there2 (d float8[], c timestamptz, b numeric, a text, id integer) SERVER loop OPTIONS (schema_name 'checksum_fdw', table_name 'here');

EXPLAIN (VERBOSE, COSTS OFF) SELECT upg_checksum_agg(ARRAY['id', 'a', 'b', 'c', 'd'], id, a, b, c, d) FROM there;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id % 3, upg_checksum_agg_as('semantic', 5, ARRAY['id', 'a'], id, a) FROM there WHERE id < 100 GROUP BY 1;
SELECT upg_checksum_agg(ARRAY['id', 'a', 'b', 'c', 'd'], id, a, b, c, d) = upg_table_checksum('here') AS pushed_down FROM there;
SELECT upg_table_checksum('there') = upg_table_checksum('here') AS t12_foreign,
       upg_table_checksum('there2') = upg_table_checksum('here') AS other_order,
       upg_table_checksum('there', filter => 'id % 2 = 0') = upg_table_checksum('here', filter => 'id % 2 = 0') AS filtered;

-- Partitions on several servers: partial results are merged by hand.
EXPLAIN (VERBOSE, COSTS OFF) SELECT upg_checksum_merge(c) FROM (
    SELECT upg_checksum_agg(ARRAY['id', 'a'], id, a) AS c FROM there WHERE id <= 1000
    UNION ALL SELECT upg_checksum_agg(ARRAY['id', 'a'], id, a) FROM there2 WHERE id > 1000) x;
SELECT upg_checksum_merge(c) = upg_table_checksum('here', columns => '{id,a}') AS merged FROM (
    SELECT upg_checksum_agg(ARRAY['id', 'a'], id, a) AS c FROM there WHERE id <= 1000
    UNION ALL SELECT upg_checksum_agg(ARRAY['id', 'a'], id, a) FROM there2 WHERE id > 1000) x;

-- Local against foreign.
CREATE TABLE local_copy (LIKE here INCLUDING ALL);
INSERT INTO local_copy SELECT * FROM here;
UPDATE local_copy SET a = 'changed' WHERE id = 77;
DELETE FROM local_copy WHERE id = 78;
SELECT * FROM upg_compare('there', 'local_copy');
SELECT difference, row_key FROM upg_compare('local_copy', 'there', key => '{a}');

DROP SCHEMA checksum_fdw CASCADE;
DROP EXTENSION postgres_fdw CASCADE;
DROP EXTENSION upg;
