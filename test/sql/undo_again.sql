-- Forward again, as often as one likes; what is kept, for how long, and what is put back.
\set SHOW_CONTEXT never
SET client_min_messages = error;
DROP EXTENSION IF EXISTS upg;
CREATE EXTENSION upg;
CREATE SCHEMA ua;
SET upg.undo = 'required';
CREATE TABLE ua.t (id int PRIMARY KEY, a int, b text);
INSERT INTO ua.t SELECT i, i, repeat('b', 100) FROM generate_series(1, 200) i;
VACUUM ua.t;
CREATE FUNCTION ua.census() RETURNS TABLE (what text, n bigint) LANGUAGE sql AS $$
  SELECT 'relations', count(*) FROM pg_class WHERE relname !~ '^pg_toast'
  UNION ALL SELECT 'toast tables', count(*) FROM pg_class WHERE relname ~ '^pg_toast'
  UNION ALL SELECT 'living columns', count(*) FROM pg_attribute WHERE NOT attisdropped
  UNION ALL SELECT 'types', count(*) FROM pg_type
  UNION ALL SELECT 'functions', count(*) FROM pg_proc
  UNION ALL SELECT 'constraints', count(*) FROM pg_constraint
  UNION ALL SELECT 'dependencies', count(*) FROM pg_depend
  UNION ALL SELECT 'row images', count(*) FROM upg.undo_chunks
  UNION ALL SELECT 'files', count(*) FROM upg.undo_files
  UNION ALL SELECT 'tables in logs', count(*) FROM upg.undo_relations
  UNION ALL SELECT 'sequences in logs', count(*) FROM upg.undo_sequences
  UNION ALL SELECT 'copied values', count(*) FROM upg.undo_values
  UNION ALL SELECT 'aside', count(*) FROM upg.kept_rows
  UNION ALL SELECT 'conflicts', count(*) FROM upg.rollback_conflicts
$$;
CREATE PROCEDURE ua.round(n int) LANGUAGE plpgsql AS $round$
BEGIN
    FOR i IN 1 .. n LOOP
        PERFORM public.upg_apply('ua round', $up$
            ALTER TABLE ua.t ADD COLUMN c int DEFAULT 1;
            UPDATE ua.t SET a = a + 1 WHERE id <= 20;
            ALTER TABLE ua.t DROP COLUMN b;
            CREATE TABLE ua.n (id serial PRIMARY KEY, v text);
            INSERT INTO ua.n (v) SELECT 'v' FROM generate_series(1, 10);
            CREATE INDEX t_a ON ua.t (a);
            CREATE VIEW ua.v AS SELECT id, a FROM ua.t;
            CREATE FUNCTION ua.f() RETURNS int LANGUAGE sql AS 'SELECT 1';
            CREATE TYPE ua.mood AS ENUM ('calm', 'busy')$up$);
        COMMIT;
        PERFORM public.upg_rollback('ua round');
        COMMIT;
    END LOOP;
END
$round$;
SELECT md5(string_agg(t::text, ',' ORDER BY id)) AS rows, upg_schema_fingerprint('{ua}') AS schema FROM ua.t t \gset
CALL ua.round(1);
CREATE TEMP TABLE before (what text, n bigint);
INSERT INTO before SELECT * FROM ua.census();
SELECT (SELECT count(*) FROM upg.undo_aliases) AS aliases, (SELECT count(*) FROM upg.undo_log) AS heads \gset
CALL ua.round(10);
SELECT what, b.n, c.n AS after FROM before b JOIN ua.census() c USING (what) WHERE c.n <> b.n;
SELECT md5(string_agg(t::text, ',' ORDER BY id)) = :'rows' AS rows, upg_schema_fingerprint('{ua}') = :'schema' AS schema FROM ua.t t;
-- the tombstones: a dropped column, the head of the log, and whose rows were put back
SELECT count(*) FROM pg_attribute WHERE attrelid = 'ua.t'::regclass AND attisdropped;
SELECT count(*) - :heads AS heads FROM upg.undo_log;
SELECT count(*) - :aliases <= 10 AS aliases FROM upg.undo_aliases;
VACUUM FULL ua.t;
SELECT pg_relation_size('ua.t') <= 5 * 8192 AS size;
CALL ua.round(2);
SELECT md5(string_agg(t::text, ',' ORDER BY id)) = :'rows' AS rows FROM ua.t t;

-- what is set aside comes back when it is told to, once
SELECT state FROM upg_apply('ua aside', 'CREATE TABLE ua.n (id int PRIMARY KEY, v text); ALTER TABLE ua.t ADD c int DEFAULT 1');
INSERT INTO ua.n VALUES (1, 'one'), (2, 'two');
UPDATE ua.t SET c = 7 WHERE id = 3;
SELECT migration, state, file_bytes, aside_bytes > 0 AS aside, bytes > 0 AS bytes, age >= '0' AS age, kept_by FROM upg_retention();
SELECT upg_put_back('ua aside');
SELECT state FROM upg_rollback('ua aside');
SELECT upg_put_back('ua aside');
SELECT migration, state, log_bytes, aside_bytes > 0 AS aside, kept_by FROM upg_retention();
SELECT state FROM upg_apply('ua aside', NULL);
SELECT upg_put_back('ua aside');
SELECT * FROM ua.n ORDER BY id;
SELECT id, c FROM ua.t WHERE c <> 1;
SELECT upg_put_back('ua aside'), (SELECT count(*) FROM upg_kept_rows('ua aside'));
SELECT upg_put_back('ua nothing');
-- a column that came meanwhile and must have a value: the person says which
SELECT state FROM upg_rollback('ua aside');
SELECT state FROM upg_apply('ua aside', NULL);
ALTER TABLE ua.n ADD must int NOT NULL, ADD "May Be" text NOT NULL DEFAULT 'd', ADD twice int GENERATED ALWAYS AS (id * 2) STORED;
SELECT upg_put_back('ua aside');
SELECT upg_put_back('ua aside', '{"fill": {"ua.n.must": "many"}}');
SELECT upg_put_back('ua aside', '{"fill": {"ua.n.nowhere": "1"}}');
SELECT upg_put_back('ua aside', '{"fill": {"ua.n.twice": "1"}}');
SELECT upg_put_back('ua aside', '{"fill": {"ua.t.c": "1"}}');
SELECT upg_put_back('ua aside', '{"fill": {"n": "1"}}');
SELECT upg_put_back('ua aside', '{"fill": "1"}');
SELECT upg_put_back('ua aside', '{"dry_run": true}');
SELECT count(*) FROM ua.n;
SELECT upg_put_back('ua aside', '{"fill": {"ua.n.must": "5", "ua.n.\"May Be\"": "it''s"}}');
SELECT * FROM ua.n ORDER BY id;

-- the limits warn, the policy expires, each audited
SET upg.retention_bytes = '0';
SELECT regexp_replace(w, '^\d+ \S+', 'so much') FROM upg_apply('ua more', 'DROP TABLE ua.n'), unnest(warnings) w;
SET upg.retention_bytes = '1GB';
SET upg.retention_age = '0';
SELECT w LIKE 'the way back of migration "ua aside" is kept for %' FROM upg_apply('ua yet more', 'CREATE TABLE ua.m ()'), unnest(warnings) w LIMIT 1;
RESET upg.retention_age;
\set VERBOSITY sqlstate
SET upg.expire_after = -2;
\set VERBOSITY default
SET upg.expire_after = '30d';
SELECT cardinality(warnings) FROM upg_apply('ua young', 'CREATE TABLE ua.young ()');
SELECT migration FROM upg_retention() ORDER BY 1;
SELECT upg_expire('-1 day');
SELECT upg_expire('1 day');
SELECT * FROM upg_expire('0', true);
SET upg.expire_after = 0;
SELECT cardinality(warnings) FROM upg_apply('ua last', 'CREATE TABLE ua.last ()');
SELECT migration FROM upg_retention();
SELECT count(*), (SELECT count(*) FROM upg.undo_chunks c JOIN upg.undo_log l ON l.id = c.log JOIN upg.migrations m ON m.migration_id = l.migration WHERE m.name <> 'ua last'),
       (SELECT count(*) FROM upg.undo_files) FROM upg.audit_log WHERE action = 'migration.finalized' AND object LIKE 'ua %';
SELECT upg_rollback('ua young');
SELECT state FROM upg_rollback('ua last');
RESET upg.expire_after;
DROP SCHEMA ua CASCADE;
