-- What a migration does to temporary tables that were there before is not captured:
-- they belong to a session, and no rollback, from another session perhaps, touches them.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS upg;
CREATE SCHEMA undo_temporary;
CREATE TABLE undo_temporary.perm (id int);
CREATE TEMP TABLE tmp (id int, a text, b int);
CREATE TEMP TABLE child () INHERITS (undo_temporary.perm);
\t on
\pset format unaligned
SELECT verdict, catalog_rows FROM upg.capture_run('t1', 'ALTER TABLE tmp ADD PRIMARY KEY (id)');
SELECT verdict, catalog_rows FROM upg.capture_run('t2', 'ALTER TABLE tmp ALTER a SET DEFAULT ''x'', ALTER b SET STATISTICS 7');
SELECT verdict, catalog_rows FROM upg.capture_run('t3', 'COMMENT ON TABLE tmp IS ''mine''; COMMENT ON COLUMN tmp.a IS ''its''');
SELECT verdict, catalog_rows FROM upg.capture_run('t4', 'ALTER TABLE tmp ADD CHECK (b > 0), ADD UNIQUE (a); CREATE POLICY p ON tmp USING (true); CREATE STATISTICS s ON a, b FROM tmp');
SELECT verdict, catalog_rows FROM upg.capture_run('t5', 'ALTER TABLE tmp RENAME b TO c; ALTER TABLE tmp DROP COLUMN c CASCADE');
-- with something that stays
SELECT verdict, catalog_rows > 0 FROM upg.capture_run('t6', 'ALTER TABLE undo_temporary.perm ALTER id SET NOT NULL; ALTER TABLE tmp ALTER a SET NOT NULL');

SELECT catalog_rows > 0 AS something FROM upg.capture_undo('t6');
SELECT count(*) FROM upg.capture_undo('t5');
SELECT count(*) FROM upg.capture_undo('t4');
SELECT count(*) FROM upg.capture_undo('t3');
SELECT count(*) FROM upg.capture_undo('t2');
SELECT count(*) FROM upg.capture_undo('t1');
-- back is what is permanent, as it was left what is temporary
SELECT attrelid::regclass, attname, attnotnull, atthasdef, col_description(attrelid, attnum)
FROM pg_attribute WHERE attrelid IN ('tmp'::regclass, 'undo_temporary.perm'::regclass) AND attnum > 0 AND NOT attisdropped
ORDER BY 1, 2;
SELECT conname FROM pg_constraint WHERE conrelid = 'tmp'::regclass AND contype <> 'n' ORDER BY 1;
SELECT obj_description('tmp'::regclass, 'pg_class');
INSERT INTO tmp VALUES (1);
TABLE tmp;
INSERT INTO tmp VALUES (1, 'y');
DROP TABLE tmp, child;
DROP SCHEMA undo_temporary CASCADE;
