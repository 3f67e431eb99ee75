-- Constraints that come back: those that were violated before the migration come
-- back as they were, others must hold.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS upg;
CREATE SCHEMA undo_constraints;
SET search_path = undo_constraints;
CREATE TABLE p (id int PRIMARY KEY);
CREATE TABLE c (id int CHECK (id > 0), p int REFERENCES p);
INSERT INTO p VALUES (1);
INSERT INTO c VALUES (1, 1), (2, 1);
SET session_replication_role = replica;
INSERT INTO c VALUES (3, 99);
RESET session_replication_role;

-- violated before: neither dropping the table, nor the constraint, nor a change of rows minds
SELECT verdict FROM upg.capture_run('v1', 'DROP TABLE undo_constraints.c');
SELECT notes FROM upg.capture_undo('v1');
SELECT count(*) FROM c;
SELECT verdict FROM upg.capture_run('v2', 'ALTER TABLE undo_constraints.c DROP CONSTRAINT c_p_fkey');
SELECT notes FROM upg.capture_undo('v2');
SELECT verdict FROM upg.capture_run('v3', 'UPDATE undo_constraints.c SET id = id + 1');
SELECT notes FROM upg.capture_undo('v3');
-- and it fires
INSERT INTO c VALUES (4, 98);

-- held before: must hold
DELETE FROM c WHERE p = 99;
SELECT verdict FROM upg.capture_run('v4', 'ALTER TABLE undo_constraints.c DROP CONSTRAINT c_p_fkey');
DELETE FROM p;
SELECT upg.capture_undo('v4') IS NULL;
INSERT INTO p VALUES (1);
SELECT notes FROM upg.capture_undo('v4');

-- a check that its own function has outgrown
CREATE FUNCTION ok(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
ALTER TABLE c ADD CONSTRAINT c_ok CHECK (undo_constraints.ok(id));
CREATE OR REPLACE FUNCTION ok(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 > 1';
SELECT verdict FROM upg.capture_run('v5', 'ALTER TABLE undo_constraints.c DROP CONSTRAINT c_ok');
SELECT notes FROM upg.capture_undo('v5');

-- a foreign key of a role that may not read the table referred to: applied by it, taken back by others
CREATE ROLE upg_test_keys;
GRANT USAGE ON SCHEMA upg TO upg_test_keys;
GRANT USAGE, CREATE ON SCHEMA undo_constraints TO upg_test_keys;
GRANT EXECUTE ON FUNCTION upg.capture_undo(text, boolean, boolean), upg.capture_run(text, text, text) TO upg_test_keys;
GRANT REFERENCES ON p TO upg_test_keys;
SET ROLE upg_test_keys;
CREATE TABLE parts (p int REFERENCES p) PARTITION BY LIST (p);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
CREATE TABLE plain (p int REFERENCES p);
INSERT INTO parts VALUES (1);
INSERT INTO plain VALUES (1);
SELECT verdict FROM upg.capture_run('k1', 'DROP TABLE undo_constraints.parts, undo_constraints.plain');
\set VERBOSITY sqlstate
SELECT notes FROM upg.capture_undo('k1');
\set VERBOSITY terse
RESET ROLE;
SELECT notes FROM upg.capture_undo('k1');
SELECT tableoid::regclass, p FROM parts UNION ALL SELECT tableoid::regclass, p FROM plain ORDER BY 1;
-- and it fires
INSERT INTO plain VALUES (7);
DROP TABLE parts, plain;
DROP OWNED BY upg_test_keys;
DROP ROLE upg_test_keys;

-- how much the proof compares, and that it says so
CREATE TABLE many AS SELECT g AS id FROM generate_series(1, 50) g;
SET upg.undo_proof_rows = 99;
SELECT verdict, coverage FROM upg.capture_run('n1', 'UPDATE undo_constraints.many SET id = -id');
SELECT data_rows FROM upg.capture_undo('n1');
SET upg.undo_proof_rows = 100;
SELECT verdict, coverage FROM upg.capture_run('n2', 'UPDATE undo_constraints.many SET id = -id');
SELECT data_rows FROM upg.capture_undo('n2');
SET upg.undo_proof_rows = -1;
SELECT verdict, coverage FROM upg.capture_run('n3', 'UPDATE undo_constraints.many SET id = -id');
SELECT data_rows FROM upg.capture_undo('n3');
RESET upg.undo_proof_rows;
SELECT count(*), min(id) FROM many;
DROP SCHEMA undo_constraints CASCADE;
