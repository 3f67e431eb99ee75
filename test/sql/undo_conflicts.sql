-- What stands in the way of a rollback is named, and nothing is changed.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS upg;
CREATE SCHEMA undo_conflicts;
SET search_path = undo_conflicts;
CREATE TABLE t (id int PRIMARY KEY, a text NOT NULL, b varchar(20));
INSERT INTO t SELECT i, 'a' || i, 'b' FROM generate_series(1, 5) i;
CREATE FUNCTION try(name text, discard boolean DEFAULT false) RETURNS text LANGUAGE plpgsql AS $$
DECLARE m text; d text; c text;
BEGIN
  PERFORM upg.capture_undo(name, false, discard);
  RETURN 'rolled back';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS c = RETURNED_SQLSTATE, m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL;
  -- From 18 on, NOT NULL is a constraint of its own as well.
  RETURN c || ' ' || m || E'\n' || regexp_replace(d, '\nconstraint [^\n]*_not_null on [^\n]*', '');
END $$;
\t on
\pset format unaligned

\echo # a table of ours that others wrote to, altered, or hung things on
SELECT verdict FROM upg.capture_run('c1', 'CREATE TABLE undo_conflicts.n (id int PRIMARY KEY, x int)');
CREATE VIEW later AS SELECT * FROM n;
SELECT try('c1');
DROP VIEW later;
INSERT INTO n VALUES (1, 1);
SELECT try('c1');
DELETE FROM n;
ALTER TABLE n ADD COLUMN y int;
SELECT try('c1');
ALTER TABLE n DROP COLUMN y;
ALTER TABLE n ALTER x SET NOT NULL;
SELECT try('c1');
ALTER TABLE n ALTER x DROP NOT NULL;
SELECT try('c1');

\echo # values in a column that would go away
SELECT verdict FROM upg.capture_run('c2', 'ALTER TABLE undo_conflicts.t ADD COLUMN n int DEFAULT 1');
UPDATE t SET n = 2 WHERE id = 1;
SELECT try('c2');
UPDATE t SET n = 1 WHERE id = 1;
SELECT try('c2');

\echo # values of a column that would come back
SELECT verdict FROM upg.capture_run('c3', 'ALTER TABLE undo_conflicts.t DROP COLUMN a');
INSERT INTO t VALUES (6, 'b');
SELECT try('c3');
SELECT try('c3', true);
DELETE FROM t WHERE id = 6;
SELECT try('c3');
SET upg.undo_copy_limit = 0;
SELECT verdict FROM upg.capture_run('c4', 'ALTER TABLE undo_conflicts.t DROP COLUMN a');
VACUUM FULL t;
SELECT try('c4');
RESET upg.undo_copy_limit;
SELECT upg.capture_finalize('c4');
ALTER TABLE t ADD COLUMN a text;

\echo # rows of ours that others changed, keys that are taken
SELECT verdict FROM upg.capture_run('c5', 'UPDATE undo_conflicts.t SET b = ''m'' WHERE id < 3; DELETE FROM undo_conflicts.t WHERE id = 5');
UPDATE t SET b = 'app' WHERE id = 1;
SELECT try('c5');
SELECT upg.capture_finalize('c5');
SELECT verdict FROM upg.capture_run('c6', 'DELETE FROM undo_conflicts.t WHERE id = 4');
INSERT INTO t (id, b) VALUES (4, 'taken');
SELECT try('c6');
DELETE FROM t WHERE id = 4;
SELECT try('c6');

\echo # constraints that came back must hold
SELECT verdict FROM upg.capture_run('c7', 'ALTER TABLE undo_conflicts.t ALTER b TYPE text');
INSERT INTO t (id, b) VALUES (7, repeat('long', 20));
SELECT try('c7');
DELETE FROM t WHERE id = 7;
SELECT try('c7');
ALTER TABLE t ADD CONSTRAINT small CHECK (id < 100);
SELECT verdict FROM upg.capture_run('c8', 'ALTER TABLE undo_conflicts.t DROP CONSTRAINT small');
INSERT INTO t (id) VALUES (1000);
SELECT try('c8');
DELETE FROM t WHERE id = 1000;
SELECT try('c8');

CREATE TABLE must (v int NOT NULL CHECK (v > 0));
SELECT verdict FROM upg.capture_run('c14', 'ALTER TABLE undo_conflicts.must ALTER v DROP NOT NULL');
INSERT INTO must VALUES (NULL);
SELECT try('c14');
DELETE FROM must;
SELECT try('c14');
SELECT verdict FROM upg.capture_run('c15', 'ALTER TABLE undo_conflicts.must DROP CONSTRAINT must_v_check');
INSERT INTO must VALUES (-1);
SET constraint_exclusion = on;
SELECT try('c15');
DELETE FROM must;
SELECT try('c15');
RESET constraint_exclusion;

\echo # an enum value in use
CREATE TYPE e AS ENUM ('x');
CREATE TABLE u (e e, es e[]);
SELECT verdict FROM upg.capture_run('c9', 'ALTER TYPE undo_conflicts.e ADD VALUE ''y''');
INSERT INTO u (es) VALUES ('{x,y}');
SELECT try('c9');
DELETE FROM u;
SELECT try('c9');

\echo # 104, 105 a name that is taken, an object that is gone, rows after a rewrite
SELECT verdict FROM upg.capture_run('c10', 'DROP TABLE undo_conflicts.u');
CREATE TABLE u (z int);
SELECT try('c10');
DROP TABLE u;
SELECT try('c10');
CREATE ROLE upg_test_gone;
CREATE TABLE w (a int);
ALTER TABLE w OWNER TO upg_test_gone;
SELECT verdict FROM upg.capture_run('c11', 'DROP TABLE undo_conflicts.w');
DROP ROLE upg_test_gone;
SELECT regexp_replace(try('c11'), 'OID \d+', 'OID n');
SELECT upg.capture_finalize('c11');
SELECT verdict FROM upg.capture_run('c12', 'ALTER TABLE undo_conflicts.t ALTER id TYPE bigint');
INSERT INTO t (id) VALUES (50);
SELECT try('c12');
DELETE FROM t WHERE id IN (1, 50);
SELECT try('c12');
SELECT try('c12', true);
SELECT count(*) FROM t;

\echo # others may change what the step left alone
SELECT verdict FROM upg.capture_run('c13', 'ALTER TABLE undo_conflicts.t ALTER a SET NOT NULL');
UPDATE t SET a = 'z';
SELECT try('c13');
SELECT verdict FROM upg.capture_run('c13', 'UPDATE undo_conflicts.t SET a = ''q''; ALTER TABLE undo_conflicts.t ALTER a SET NOT NULL');
ALTER TABLE t RENAME TO t2;
SELECT try('c13');
SELECT count(*) FROM t2;
DROP SCHEMA undo_conflicts CASCADE;
