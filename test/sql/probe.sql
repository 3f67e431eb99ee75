-- What becomes of statements that no transaction can hold, when they fail: nothing is
-- left behind, the failure is in the history, and mended it goes on.
CREATE EXTENSION upg;
SET upg.undo = none;
SET client_min_messages = error;
\set VERBOSITY terse
CREATE TABLE probe_t (i int);
INSERT INTO probe_t VALUES (1), (1);
CREATE TABLE probe_p (i int) PARTITION BY RANGE (i);
CREATE TABLE probe_p1 PARTITION OF probe_p FOR VALUES FROM (0) TO (10);
CREATE FUNCTION probe_run(name text, script text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM upg_apply(name, script);
    RETURN 'queued';
END $$;
CREATE FUNCTION probe_end(probe text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    FOR i IN 1 .. 200 LOOP
        SELECT state INTO answer FROM upg_migration_state(probe);
        EXIT WHEN answer NOT IN ('queued', 'running');
        PERFORM pg_sleep(0.05);
    END LOOP;
    RETURN answer || coalesce((SELECT ': ' || concat_ws(' ', h.sqlstate, h.message, h.detail) FROM upg_history(probe) h
        WHERE h.state = 'failed' ORDER BY h.attempt_id DESC LIMIT 1), '');
END $$;

SELECT probe_run('unique', 'CREATE UNIQUE INDEX CONCURRENTLY probe_u ON probe_t (i)');
SELECT probe_end('unique');
SELECT count(*) FROM pg_index WHERE indrelid = 'probe_t'::regclass;
SELECT probe_run('no name', 'CREATE UNIQUE INDEX CONCURRENTLY ON probe_t (i)');
SELECT probe_end('no name');
SELECT count(*) FROM pg_index WHERE indrelid = 'probe_t'::regclass;
SELECT probe_run('drop', 'DROP INDEX CONCURRENTLY probe_missing');
SELECT probe_end('drop');
CREATE INDEX probe_i ON probe_t (i);
SELECT probe_run('drop', 'DROP INDEX CONCURRENTLY probe_i');
CALL upg_wait('drop', '30 s');
SELECT state FROM upg_migration_state('drop');
SELECT probe_run('reindex', 'REINDEX INDEX CONCURRENTLY probe_missing');
SELECT probe_end('reindex');
SELECT probe_run('detach', 'ALTER TABLE probe_p DETACH PARTITION probe_missing CONCURRENTLY');
SELECT probe_end('detach');
SELECT probe_run('detach', 'ALTER TABLE probe_p DETACH PARTITION probe_p1 CONCURRENTLY');
CALL upg_wait('detach', '30 s');
SELECT state FROM upg_migration_state('detach');
SELECT probe_run('database', 'CREATE DATABASE template1');
SELECT probe_end('database');
SELECT probe_run('drop database', 'DROP DATABASE probe_missing');
SELECT probe_end('drop database');
SELECT probe_run('tablespace', 'CREATE TABLESPACE probe_space LOCATION ''/nonexistent/probe''');
SELECT probe_end('tablespace') ~ '^failed: 58P01';
SELECT probe_run('drop tablespace', 'DROP TABLESPACE probe_missing');
SELECT probe_end('drop tablespace');
SELECT probe_run('drop subscription', 'DROP SUBSCRIPTION probe_missing');
SELECT probe_end('drop subscription');
SELECT probe_run('subscription', 'CREATE SUBSCRIPTION probe_s CONNECTION ''host=/nonexistent'' PUBLICATION p');
SELECT split_part(probe_end('subscription'), ' ', 2);
SELECT probe_run('vacuum', 'VACUUM probe_missing');
SELECT probe_end('vacuum');
SELECT probe_run('system', 'ALTER SYSTEM SET probe_missing = 1');
SELECT probe_end('system');

-- Interrupted after it had done all: the books say so, and it is not run again.
SELECT probe_run('done', 'CREATE INDEX CONCURRENTLY probe_done ON probe_t (i); VACUUM probe_absent');
CALL upg_wait('done', '30 s');
SELECT state FROM upg_migration_state('done');
UPDATE upg.steps SET state = 'running' WHERE step = 1 AND migration_id = (SELECT migration_id FROM upg.migrations WHERE name = 'done');
CREATE TABLE probe_absent ();
SELECT probe_run('done', 'CREATE INDEX CONCURRENTLY probe_done ON probe_t (i); VACUUM probe_absent');
CALL upg_wait('done', '30 s');
SELECT state FROM upg_migration_state('done');
SELECT detail FROM upg_history('done') WHERE state = 'killed';
-- Half built by the one that was killed: cleared away, built anew.
SELECT probe_run('half', 'CREATE INDEX CONCURRENTLY probe_half ON probe_t (i); VACUUM probe_gone');
CALL upg_wait('half', '30 s');
SELECT state FROM upg_migration_state('half');
UPDATE upg.steps SET state = 'running' WHERE step = 1 AND migration_id = (SELECT migration_id FROM upg.migrations WHERE name = 'half');
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'probe_half'::regclass;
CREATE TABLE probe_gone ();
SELECT probe_run('half', 'CREATE INDEX CONCURRENTLY probe_half ON probe_t (i); VACUUM probe_gone');
CALL upg_wait('half', '30 s');
SELECT state FROM upg_migration_state('half');
SELECT detail FROM upg_history('half') WHERE state = 'killed';
SELECT indisvalid FROM pg_index WHERE indexrelid = 'probe_half'::regclass;
SELECT ok FROM upg_audit_verify();
DROP TABLE probe_t, probe_p, probe_p1, probe_absent, probe_gone;
DROP FUNCTION probe_run, probe_end;
DROP EXTENSION upg;
