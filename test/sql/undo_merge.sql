-- Rolling back after the application went on writing: nothing is lost, nothing invented.
-- The numbers are those of a list of tricky cases.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS upg;
CREATE SCHEMA um;
SET search_path = um;
CREATE FUNCTION account(report jsonb) RETURNS SETOF text LANGUAGE sql AS $$
  SELECT t->>'table' || ': ' || (SELECT string_agg(k || ' ' || v, ', ' ORDER BY k) FROM jsonb_each_text(t) x(k, v)
                                 WHERE v ~ '^[1-9]') FROM jsonb_array_elements(report->'tables') t
  UNION ALL
  SELECT concat_ws(' | ', '  ' || (c->>'key'), c->>'column', 'before ' || (c->>'before'), 'now ' || (c->>'application'), c->>'what')
  FROM jsonb_array_elements(report->'conflicts') c $$;
CREATE FUNCTION try(name text, options jsonb DEFAULT '{}') RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE m text; d text; c text;
BEGIN
  RETURN QUERY SELECT account(upg.capture_merge(name, options));
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS c = RETURNED_SQLSTATE, m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL;
  RETURN NEXT c || ' ' || m || E'\n' || d;
END $$;
CREATE FUNCTION up(name text, script text) RETURNS text LANGUAGE sql AS
  'SELECT verdict FROM upg.capture_run(name, ''SET LOCAL search_path = um; '' || script)';
\t on
\pset format unaligned

\echo # rows that the migration updated, deleted and inserted
CREATE TABLE t (id int PRIMARY KEY, a text, b int);
INSERT INTO t SELECT i, 'a' || i, i FROM generate_series(1, 10) i;
SELECT up('m1', 'UPDATE t SET a = ''m'' || id WHERE id <= 6; DELETE FROM t WHERE id IN (8, 9); INSERT INTO t VALUES (11, ''new'', 1), (12, ''new'', 2), (13, ''new'', 3)');
UPDATE t SET b = 100 WHERE id = 1;
UPDATE t SET a = 'app' WHERE id = 2;
DELETE FROM t WHERE id IN (3, 11);
INSERT INTO t VALUES (20, 'app', 20), (9, 'again', 9);
UPDATE t SET b = 7 WHERE id = 12;
SELECT try('m1', '{"on_conflict": "strict"}');
SELECT try('m1', '{"dry_run": true}');
SELECT try('m1');
TABLE t ORDER BY id;
\echo # the same, with the rows from before winning
SELECT up('m2', 'UPDATE t SET a = ''m'' || id WHERE id IN (4, 5, 6); DELETE FROM t WHERE id = 7; INSERT INTO t VALUES (30, ''new'', 1)');
UPDATE t SET a = 'lost' WHERE id IN (4, 30);
DELETE FROM t WHERE id = 5;
INSERT INTO t VALUES (7, 'lost', 7);
SELECT try('m2', '{"on_conflict": {"um.t": "discard"}}');
TABLE t ORDER BY id;

\echo # 106 a key that the migration moved, and what the application did to both
SELECT up('m3', 'UPDATE t SET id = id + 100 WHERE id < 6');
UPDATE t SET b = -1 WHERE id = 101;
DELETE FROM t WHERE id = 102;
SELECT try('m3');
SELECT up('m4', 'UPDATE t SET id = 200 WHERE id = 6');
INSERT INTO t VALUES (6, 'taken', 0);
SELECT try('m4');
DELETE FROM t WHERE id = 6;
SELECT try('m4');
TABLE t ORDER BY id;

\echo # 64 a sequence that others used goes on; 13 identity columns
CREATE TABLE i (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text, w text GENERATED ALWAYS AS (upper(v)) STORED);
INSERT INTO i (v) VALUES ('one'), ('two'), ('three');
SELECT up('m5', 'INSERT INTO i (v) VALUES (''m''); UPDATE i SET v = ''m2'' WHERE id = 2; UPDATE i SET v = ''m3'' WHERE id = 3');
INSERT INTO i (v) VALUES ('app');
UPDATE i SET v = 'app' WHERE id = 3;
SELECT try('m5');
INSERT INTO i (v) VALUES ('after');
TABLE i ORDER BY id;

\echo # 14 a generated column is computed anew in a merged row
CREATE TABLE g (id int PRIMARY KEY, x int, y int, s int GENERATED ALWAYS AS (x + y) STORED);
INSERT INTO g VALUES (1, 1, 1), (2, 2, 2);
SELECT up('m6', 'UPDATE g SET x = x * 10');
UPDATE g SET y = 5 WHERE id = 1;
SELECT try('m6');
TABLE g ORDER BY id;

\echo # 67 foreign keys both ways: a row that is referred to stays, a row without its parent stands in the way
CREATE TABLE child (id int PRIMARY KEY, t int REFERENCES t, v text);
SELECT up('m7', 'INSERT INTO t VALUES (50, ''parent'', 0), (51, ''parent'', 0)');
INSERT INTO child VALUES (1, 50, 'x');
SELECT try('m7');
SELECT id FROM t WHERE id >= 50 ORDER BY id;
SELECT up('m8', 'UPDATE child SET t = 10');
DELETE FROM t WHERE id = 50;
SELECT try('m8');
INSERT INTO t VALUES (50, 'again', 0);
SELECT try('m8');
TABLE child;

\echo # 68 triggers do not fire: what they did is there
CREATE TABLE side (n serial, what text);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql SET search_path = um AS $$ BEGIN INSERT INTO side (what) VALUES (TG_OP); RETURN NULL; END $$;
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON g FOR EACH ROW EXECUTE FUNCTION note();
SELECT up('m9', 'UPDATE g SET x = 0');
UPDATE g SET y = 6 WHERE id = 2;
SELECT try('m9');
SELECT what FROM side ORDER BY n;
TABLE g ORDER BY id;
DROP TRIGGER note ON g;

\echo # 74 no key, equal rows
CREATE TABLE k (a int, b text);
INSERT INTO k VALUES (1, 'x'), (1, 'x'), (2, 'y');
SELECT up('m10', 'UPDATE k SET b = ''m'' WHERE a = 1; DELETE FROM k WHERE a = 2; INSERT INTO k VALUES (3, ''m'')');
INSERT INTO k VALUES (4, 'app');
UPDATE k SET b = 'app' WHERE ctid = (SELECT min(ctid) FROM k WHERE a = 1);
SELECT try('m10');
TABLE k ORDER BY a, b;

\echo # 56 partitions: rows that the migration moved, rows that the application moved
CREATE TABLE p (id int, r int, v text, PRIMARY KEY (id, r)) PARTITION BY RANGE (r);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20);
INSERT INTO p VALUES (1, 1, 'a'), (2, 2, 'b'), (3, 11, 'c');
SELECT up('m11', 'UPDATE p SET r = 12 WHERE id = 1; UPDATE p SET v = ''m'' WHERE id = 3');
INSERT INTO p VALUES (4, 13, 'app');
UPDATE p SET v = 'app' WHERE id = 2;
SELECT try('m11');
SELECT tableoid::regclass, * FROM p ORDER BY id;

\echo # 9, 10, 11 types that go back: rows keep what the application wrote
CREATE TABLE f (id int PRIMARY KEY, a text, c numeric(10,2));
CREATE INDEX ON f (c) WHERE c > 2;
INSERT INTO f SELECT i, 'a' || i, i + 0.25 FROM generate_series(1, 6) i;
SELECT up('m12', 'ALTER TABLE f ALTER id TYPE bigint, ALTER c TYPE int');
UPDATE f SET a = 'app' WHERE id = 1;
UPDATE f SET c = 40 WHERE id = 2;
DELETE FROM f WHERE id = 3;
INSERT INTO f VALUES (7, 'app', 7);
SELECT try('m12', '{"on_conflict": "strict"}');
SELECT try('m12');
TABLE f ORDER BY id;
\echo # a value that the old type cannot hold is named
SELECT up('m13', 'ALTER TABLE f ALTER id TYPE bigint');
INSERT INTO f VALUES (3000000000, 'big', 1);
SELECT try('m13');
DELETE FROM f WHERE id = 3000000000;
SELECT try('m13');
\echo # a conversion whose reverse is not known: rows that the application touched are named
SELECT up('m14', 'ALTER TABLE f ALTER c TYPE int USING c * 100');
UPDATE f SET a = 'x' WHERE id = 1;
SELECT try('m14');
SELECT try('m14', '{"on_conflict": "discard"}');
TABLE f ORDER BY id;

\echo # 78 TRUNCATE ... CASCADE, then rows of the application
SELECT up('m15', 'TRUNCATE t CASCADE');
INSERT INTO t VALUES (1, 'app', 1), (99, 'app', 99);
SELECT try('m15');
SELECT id, a FROM t ORDER BY id;
TABLE child;

\echo # 76 large values, changed and not
CREATE TABLE big (id int PRIMARY KEY, v text, w text);
ALTER TABLE big ALTER v SET STORAGE EXTERNAL, ALTER w SET STORAGE EXTERNAL;
INSERT INTO big SELECT i, repeat('v' || i, 5000), repeat('w', 5000) FROM generate_series(1, 4) i;
SELECT up('m16', 'UPDATE big SET v = repeat(''m'', 9000)');
UPDATE big SET w = 'app' WHERE id = 1;
UPDATE big SET v = repeat('app', 3000) WHERE id = 2;
SELECT left(try('m16'), 40);
SELECT id, length(v), left(v, 4), length(w) FROM big ORDER BY id;
SELECT up('m17', 'ALTER TABLE big ALTER id TYPE bigint');
UPDATE big SET w = repeat('z', 6000) WHERE id = 3;
SELECT try('m17');
SELECT id, length(v), left(v, 4), length(w) FROM big ORDER BY id;

\echo # 4 a column that goes away: what the application wrote there is set aside
SELECT up('m18', 'ALTER TABLE f ADD z text, ADD y int DEFAULT 5');
UPDATE f SET z = 'app' WHERE id = 1;
UPDATE f SET y = 6 WHERE id = 2;
INSERT INTO f (id) VALUES (8);
SELECT try('m18');
SELECT table_name, kind, key, data FROM upg.kept_rows WHERE table_name = 'um.f' ORDER BY key;
\echo # a table that goes away
SELECT up('m19', 'CREATE TABLE n (id int PRIMARY KEY, v text[], d date); INSERT INTO n VALUES (1, ''{a}'', ''2020-01-01'')');
INSERT INTO n VALUES (2, '{"x y",NULL}', 'infinity');
SELECT try('m19', '{"on_conflict": "strict"}');
SELECT try('m19');
SELECT table_name, kind, key, data FROM upg.kept_rows WHERE table_name = 'um.n';

\echo # 101, 102 a later migration that changed the same rows goes first
SELECT up('c1', 'UPDATE t SET b = 1'), up('c2', 'UPDATE t SET b = 2 WHERE id > 5'), up('c3', 'UPDATE g SET x = 9');
SELECT regexp_replace(try('c1'), 'a migration', 'a migration');
SELECT try('c3');
UPDATE t SET a = 'between' WHERE id = 10;
SELECT try('c2');
SELECT try('c1');
SELECT id, a, b FROM t ORDER BY id;

\echo # 103 DDL of others on other columns and objects is merged
SELECT up('m20', 'ALTER TABLE g ADD q int; UPDATE g SET x = 1');
ALTER TABLE g ADD z int DEFAULT 3;
CREATE INDEX later ON g (y);
UPDATE g SET z = 4 WHERE id = 1;
SELECT try('m20');
TABLE g ORDER BY id;
\echo # 5 rows older than a column with a constant default, in a table without a key that is rewritten
CREATE TABLE d (a int);
INSERT INTO d VALUES (1), (2), (3);
ALTER TABLE d ADD q text DEFAULT 'dflt';
SELECT up('m21', 'ALTER TABLE d ALTER a TYPE bigint');
UPDATE d SET a = 20 WHERE a = 2;
SELECT try('m21');
TABLE d ORDER BY a;
\echo # rows that a later rollback put back, one of them where another one was
CREATE TABLE slots (id int PRIMARY KEY, a text, b int);
INSERT INTO slots SELECT i, 'a' || i, i FROM generate_series(1, 3) i;
SELECT up('slots 1', 'UPDATE slots SET a = ''m'' || id');
UPDATE slots SET b = 22 WHERE id = 2;
SELECT up('slots 2', 'UPDATE slots SET a = ''n'' || id WHERE id <> 2');
VACUUM slots;
SELECT try('slots 2');
SELECT try('slots 1');
TABLE slots ORDER BY id;
\echo # and one that rows written since refer to
CREATE TABLE parents (id int PRIMARY KEY, a text);
CREATE TABLE children (id int PRIMARY KEY, parent int REFERENCES parents);
SELECT up('parents 1', 'INSERT INTO parents VALUES (1, ''m''), (2, ''m'')');
SELECT up('parents 2', 'UPDATE parents SET a = ''n''');
INSERT INTO children VALUES (10, 1);
SELECT try('parents 2');
SELECT try('parents 1');
SELECT p, c FROM parents p LEFT JOIN children c ON c.parent = p.id ORDER BY 1;
\echo # a column dropped from a table that was empty then
CREATE TABLE empty (id int PRIMARY KEY, a text, b int DEFAULT 5);
SELECT up('empty', 'ALTER TABLE empty DROP b');
INSERT INTO empty VALUES (1, 'app');
UPDATE empty SET a = 'changed';
SELECT try('empty');
TABLE empty;
\echo # a constraint comes back that rows written since do not satisfy: what to do about it
CREATE TABLE target (id int PRIMARY KEY);
CREATE TABLE refers (id int PRIMARY KEY, a int CONSTRAINT key REFERENCES target);
\set VERBOSITY default
SELECT up('no key', 'ALTER TABLE refers DROP CONSTRAINT key');
INSERT INTO refers VALUES (1, 77);
SELECT upg.capture_merge('no key', '{}');
DELETE FROM refers;
SELECT upg.capture_merge('no key', '{}') IS NOT NULL;
SELECT up('no unique', 'ALTER TABLE refers DROP CONSTRAINT refers_pkey');
INSERT INTO refers VALUES (1, NULL), (1, NULL);
SELECT upg.capture_merge('no unique', '{}');
DELETE FROM refers;
SELECT upg.capture_merge('no unique', '{}') IS NOT NULL;
\set VERBOSITY terse
\echo # unknown options and tables
SELECT try('m20', '{"on_conflict": "maybe"}');
SELECT try('m20', '{"on_conflict": {"um.nowhere": "keep"}}');
DROP SCHEMA um CASCADE;
