-- Taking back a migration that is not the last: allowed where what later ones and
-- others did is disjoint; otherwise refused, with names.
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS upg;
CREATE SCHEMA uo;
SET upg.undo = 'required';
CREATE FUNCTION uo.up(name text, script text) RETURNS text LANGUAGE sql AS $$ SELECT state FROM public.upg_apply('uo ' || name, script) $$;
CREATE FUNCTION uo.down(name text, options jsonb DEFAULT '{}') RETURNS TABLE (migration text, state text) LANGUAGE sql AS
$$ SELECT migration, state FROM public.upg_rollback('uo ' || name, options => options) $$;
CREATE FUNCTION uo.schema() RETURNS text LANGUAGE sql AS $$ SELECT public.upg_schema_fingerprint(ARRAY['uo']) $$;
CREATE TABLE uo.t (id int PRIMARY KEY, a int, b int, c text);
INSERT INTO uo.t SELECT i, i, i, 'c' || i FROM generate_series(1, 10) i;
CREATE TABLE uo.s (id int PRIMARY KEY, v text);
INSERT INTO uo.s SELECT i, 's' || i FROM generate_series(1, 3) i;

-- disjoint objects, columns of one table, and rows of one table
SELECT uo.schema() AS before \gset
SELECT uo.up('1 column', 'ALTER TABLE uo.t ADD x int DEFAULT 1');
SELECT uo.up('2 column', 'ALTER TABLE uo.t ADD y int DEFAULT 2; CREATE INDEX t_y ON uo.t (y)');
SELECT uo.up('3 object', 'CREATE VIEW uo.v AS SELECT id, v FROM uo.s');
SELECT uo.up('4 attribute', 'ALTER TABLE uo.t ALTER a SET NOT NULL, ALTER b SET DEFAULT 9');
CREATE INDEX by_others ON uo.t (c);
SELECT * FROM uo.down('1 column', '{"dry_run": true}');
SELECT * FROM uo.down('1 column');
SELECT * FROM uo.t ORDER BY id LIMIT 2;
SELECT * FROM uo.down('4 attribute');
SELECT * FROM uo.down('3 object');
SELECT * FROM uo.down('2 column');
DROP INDEX uo.by_others;
SELECT uo.schema() = :'before';
SELECT uo.up('1 column', 'ALTER TABLE uo.t ADD x int DEFAULT 1');
SELECT * FROM uo.down('1 column');

SELECT uo.up('5 rows', 'UPDATE uo.t SET a = a + 100 WHERE id <= 3; INSERT INTO uo.t VALUES (11, 11, 11, $$c11$$); DELETE FROM uo.t WHERE id = 10');
SELECT uo.up('6 other rows', 'UPDATE uo.t SET a = a + 1000 WHERE id IN (5, 6); INSERT INTO uo.t VALUES (12, 12, 12, $$c12$$); DELETE FROM uo.t WHERE id = 9');
SELECT * FROM uo.down('5 rows');
SELECT id, a FROM uo.t WHERE a <> id ORDER BY id;
SELECT array_agg(id ORDER BY id) FROM uo.t;
SELECT * FROM uo.down('6 other rows');
SELECT count(*), sum(a) FROM uo.t;

-- the same rows, or a column that goes away
SELECT uo.up('7 rows', 'UPDATE uo.t SET a = a + 100 WHERE id <= 3');
SELECT uo.up('8 same rows', 'UPDATE uo.t SET b = b + 1 WHERE id = 3');
SELECT * FROM uo.down('7 rows');
SELECT * FROM uo.down('7 rows', '{"cascade": true, "dry_run": true}');
SELECT * FROM uo.down('7 rows', '{"cascade": true}');
SELECT count(*), sum(a), sum(b) FROM uo.t;
SELECT uo.up('9 column', 'ALTER TABLE uo.t ADD z int');
SELECT uo.up('10 its values', 'UPDATE uo.t SET z = id');
SELECT * FROM uo.down('9 column');
SELECT uo.up('11 not its values', 'UPDATE uo.t SET a = a + 1 WHERE id = 4');
SELECT * FROM uo.down('10 its values');
SELECT * FROM uo.down('11 not its values');
SELECT * FROM uo.down('10 its values');
SELECT uo.up('12 not its values', 'UPDATE uo.t SET a = a + 1 WHERE id = 4');
SELECT * FROM uo.down('9 column');
SELECT * FROM uo.t WHERE id = 4;
SELECT * FROM uo.down('12 not its values');
SELECT * FROM uo.t WHERE id = 4;
SELECT uo.schema() = :'before';

-- the same object, and what depends on it; each is named, the latest first
SELECT uo.up('13 name', 'ALTER TABLE uo.s RENAME TO r');
SELECT uo.up('14 name', 'ALTER TABLE uo.r RENAME TO q');
SELECT * FROM uo.down('13 name');
SELECT uo.up('15 table', 'CREATE TABLE uo.n (id int PRIMARY KEY)');
SELECT uo.up('16 key', 'CREATE TABLE uo.m (id int REFERENCES uo.n)');
SELECT uo.up('17 view', 'CREATE VIEW uo.nv AS SELECT * FROM uo.n');
SELECT uo.up('18 apart', 'CREATE TABLE uo.apart ()');
SELECT * FROM uo.down('15 table');
CREATE VIEW uo.others AS SELECT * FROM uo.m;
SELECT * FROM uo.down('16 key');
SELECT * FROM uo.down('15 table', '{"cascade": true}');
DROP VIEW uo.others;
SELECT * FROM uo.down('15 table', '{"cascade": true}');
SELECT * FROM uo.down('13 name', '{"cascade": true}');
SELECT state FROM upg_status() WHERE migration = 'uo 18 apart';

-- rows of a table that goes away, is rewritten or truncated
SELECT uo.up('19 table', 'CREATE TABLE uo.n (id int PRIMARY KEY)');
SELECT uo.up('20 its rows', 'INSERT INTO uo.n VALUES (1)');
SELECT * FROM uo.down('19 table');
SELECT uo.up('21 rewrite', 'ALTER TABLE uo.t ALTER b TYPE bigint');
SELECT uo.up('22 rows', 'UPDATE uo.t SET a = 0 WHERE id = 1');
SELECT * FROM uo.down('21 rewrite');
SELECT uo.up('23 truncate', 'TRUNCATE uo.t');
SELECT * FROM uo.down('22 rows');
SELECT * FROM uo.down('21 rewrite', '{"cascade": true}');
SELECT * FROM uo.down('19 table', '{"cascade": true}');
SELECT * FROM uo.down('18 apart');
SELECT uo.schema() = :'before', (SELECT sum(a) FROM uo.t);

-- what is required stays in the way, whatever it changed
SELECT uo.up('24 first', 'CREATE TABLE uo.first ()');
SELECT state FROM upg_apply('uo 25 second', 'CREATE TABLE uo.second ()', requires => '{uo 24 first}');
SELECT * FROM uo.down('24 first');
SELECT * FROM uo.down('24 first', '{"cascade": true}');
DROP SCHEMA uo CASCADE;
