-- The undo log can be neither written nor forged by SQL, and a damaged one is refused.
\set VERBOSITY terse
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS upg;
CREATE SCHEMA undo_guard;
CREATE TABLE undo_guard.t (id int);
INSERT INTO undo_guard.t VALUES (1), (2);
CREATE ROLE upg_test_writer;
GRANT pg_write_all_data, pg_read_all_data TO upg_test_writer;
SELECT verdict FROM upg.capture_run('g1', 'UPDATE undo_guard.t SET id = id + 1');

SET ROLE upg_test_writer;
INSERT INTO upg.undo_aliases VALUES ('3', '4', now(), 1);
DELETE FROM upg.undo_chunks;
SELECT upg.capture_run('x', 'SELECT 1');
RESET ROLE;
-- a superuser too, with triggers switched off as far as a session can
SET session_replication_role = replica;
UPDATE upg.undo_log SET verdict = 'exact';
TRUNCATE upg.undo_files;
INSERT INTO upg.undo_chunks VALUES (1, 0, 0, '');
COPY upg.undo_sequences FROM stdin;
\.
RESET session_replication_role;

-- damage behind the triggers' back is found
ALTER TABLE upg.undo_chunks DISABLE TRIGGER refuse_dml;
CREATE TABLE undo_guard.saved AS SELECT * FROM upg.undo_chunks;
UPDATE upg.undo_chunks SET data = set_byte(data, 60, (get_byte(data, 60) + 1) % 256);
SELECT upg.capture_undo('g1');
DELETE FROM upg.undo_chunks;
SELECT upg.capture_undo('g1');
INSERT INTO upg.undo_chunks SELECT * FROM undo_guard.saved;
ALTER TABLE upg.undo_chunks ENABLE ALWAYS TRIGGER refuse_dml;
SELECT data_rows FROM upg.capture_undo('g1');
SELECT * FROM undo_guard.t ORDER BY 1;

-- a log of another cluster, database or catalog version
SELECT verdict FROM upg.capture_run('g2', 'UPDATE undo_guard.t SET id = id + 1');
ALTER TABLE upg.undo_log DISABLE TRIGGER refuse_dml;
UPDATE upg.undo_log SET system_identifier = system_identifier + 1 WHERE state = 'kept';
SELECT upg.capture_undo('g2') IS NULL;
UPDATE upg.undo_log SET system_identifier = system_identifier - 1, catalog_version = 1 WHERE state = 'kept';
SELECT upg.capture_undo('g2') IS NULL;
ALTER TABLE upg.undo_log ENABLE ALWAYS TRIGGER refuse_dml;
SELECT upg.capture_finalize('g2');

-- a role takes back only what it could have changed itself
CREATE ROLE upg_test_other;
GRANT USAGE ON SCHEMA upg TO upg_test_other, upg_test_writer;
GRANT EXECUTE ON FUNCTION upg.capture_undo(text, boolean, boolean), upg.capture_run(text, text, text) TO upg_test_other, upg_test_writer;
GRANT CREATE, USAGE ON SCHEMA undo_guard TO upg_test_writer;
SET ROLE upg_test_writer;
SELECT verdict FROM upg.capture_run('g3', 'CREATE TABLE undo_guard.mine (a int); INSERT INTO undo_guard.mine VALUES (1)');
SET ROLE upg_test_other;
SELECT upg.capture_undo('g3') IS NULL;
SET ROLE upg_test_writer;
SELECT upg.capture_undo('g3') IS NULL;
-- the server gives the functions of a range type to the superuser; they go and come with the type
SELECT verdict FROM upg.capture_run('g3', 'CREATE TYPE undo_guard.span AS RANGE (SUBTYPE = int)');
SELECT upg.capture_undo('g3') IS NULL;
CREATE TYPE undo_guard.span AS RANGE (SUBTYPE = int);
SELECT verdict FROM upg.capture_run('g3', 'DROP TYPE undo_guard.span');
SELECT upg.capture_undo('g3') IS NULL;
SELECT undo_guard.span(1, 3), '{[1,3)}'::undo_guard.span_multirange;
DROP TYPE undo_guard.span;
RESET ROLE;

-- expressions run as the table's owner, without its rights leaking
SELECT verdict FROM upg.capture_run('g4', 'DELETE FROM undo_guard.t');
SELECT count(*) FROM undo_guard.t;
SELECT actions FROM upg.capture_undo('g4', true);
SELECT count(*) FROM undo_guard.t;
SELECT notes FROM upg.capture_undo('g4');
SELECT count(*) FROM undo_guard.t;

-- refused before they run
SELECT upg.capture_run('r1', 'NOTIFY a');
SELECT upg.capture_run('r2', 'DO $$ BEGIN EXECUTE ''ALTER SYSTEM SET work_mem = 1''; END $$');
SELECT upg.capture_run('r3', 'COPY undo_guard.t TO PROGRAM ''true''');
SELECT upg.capture_run('r4', 'CREATE SUBSCRIPTION s CONNECTION ''dbname=x'' PUBLICATION p WITH (connect = false)');
SELECT upg.capture_run('r5', 'DROP EXTENSION upg');
SELECT upg.capture_run('r6', 'SELECT upg.capture_run(''inner'', ''SELECT 1'')');
SELECT verdict, differences FROM upg.capture_run('r7', 'NOTIFY a', 'best_effort');
SELECT verdict, log FROM upg.capture_run('r8', 'NOTIFY a', 'none');
SELECT upg.capture_finalize('r7');
DROP SCHEMA undo_guard CASCADE;
REVOKE ALL ON SCHEMA upg FROM upg_test_other, upg_test_writer;
REVOKE ALL ON FUNCTION upg.capture_undo(text, boolean, boolean), upg.capture_run(text, text, text) FROM upg_test_other, upg_test_writer;
DROP ROLE upg_test_writer, upg_test_other;
