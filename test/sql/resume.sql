-- What goes on where it stopped: scripts that were cut while they ran, options given
-- at registration, a correction after a failure.
\set VERBOSITY terse
CREATE EXTENSION upg;
SET upg.undo = none;
SET client_min_messages = error;
CREATE TABLE resume_t (i int);
CREATE FUNCTION resume_kill() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. 600 LOOP
        PERFORM pg_stat_clear_snapshot();
        EXIT WHEN EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'upg migration'
                             AND wait_event = 'PgSleep' AND datname = current_database());
        PERFORM pg_sleep(0.05);
    END LOOP;
    PERFORM pg_terminate_backend(pid, 10000) FROM pg_stat_activity
      WHERE backend_type = 'upg migration' AND datname = current_database();
END $$;

-- A DO block that commits is found out by its failure, and split off.  Killed inside,
-- it is of the kind that nobody can tell; the rest is cut as before.
SELECT state, steps FROM upg_apply('cut', $m$
    INSERT INTO resume_t VALUES (1);
    DO $$BEGIN INSERT INTO resume_t VALUES (2); COMMIT; PERFORM pg_sleep(60); END$$;
    INSERT INTO resume_t VALUES (3);$m$);
SELECT resume_kill();
SELECT state, steps_done, steps FROM upg_migration_state('cut');
SELECT state FROM upg_apply('cut');
CALL upg_wait('cut', '30 s');
SELECT state, steps_done FROM upg_migration_state('cut');
SELECT state FROM upg_apply('cut');
SELECT state FROM upg_repair('cut', 'applied', 'the row is there');
CALL upg_wait('cut', '30 s');
SELECT state FROM upg_migration_state('cut');
SELECT * FROM resume_t ORDER BY i;
SELECT state FROM upg_apply('cut');

-- The worker itself cuts, when a later step turns out to need it.
TRUNCATE resume_t;
SELECT state, steps FROM upg_apply('cut late', $m$
    VACUUM resume_t;
    INSERT INTO resume_t VALUES (1);
    DO $$BEGIN INSERT INTO resume_t VALUES (2); COMMIT; PERFORM pg_sleep(60); END$$;
    INSERT INTO resume_t VALUES (3);$m$);
SELECT resume_kill();
SELECT state FROM upg_apply('cut late');
CALL upg_wait('cut late', '30 s');
SELECT state FROM upg_repair('cut late', 'applied', 'the row is there');
CALL upg_wait('cut late', '30 s');
SELECT state FROM upg_migration_state('cut late');
SELECT * FROM resume_t ORDER BY i;

-- A new enum value used at once, and a failure after it that is mended
TRUNCATE resume_t;
CREATE TYPE resume_e AS ENUM ('a');
SELECT state, steps FROM upg_apply('enum', $m$
    INSERT INTO resume_t VALUES (1);
    ALTER TYPE resume_e ADD VALUE 'b';
    CREATE TABLE resume_u AS SELECT 'b'::resume_e AS e;
    VACUUM resume_u;
    INSERT INTO resume_t SELECT i FROM resume_missing;$m$);
CALL upg_wait('enum', '30 s');
SELECT state, steps_done, steps FROM upg_migration_state('enum');
SELECT state FROM upg_rollback('enum');
CREATE TABLE resume_missing AS SELECT 2 AS i;
SELECT state FROM upg_apply('enum');
CALL upg_wait('enum', '30 s');
SELECT state FROM upg_migration_state('enum');
SELECT * FROM resume_t ORDER BY i;
SELECT count(*) FROM resume_u;

-- The script is corrected: what has run must be as it was, the rest may change.
TRUNCATE resume_t;
SELECT state FROM upg_apply('corrected', 'INSERT INTO resume_t VALUES (1); VACUUM resume_t; INSERT INTO resume_t VALUES (1 / 0)');
CALL upg_wait('corrected', '30 s');
SELECT state FROM upg_apply('corrected', 'INSERT INTO resume_t VALUES (9); VACUUM resume_t; INSERT INTO resume_t VALUES (2)');
SELECT state FROM upg_apply('corrected', 'INSERT INTO resume_t VALUES (1); VACUUM resume_t; INSERT INTO resume_t VALUES (2)');
CALL upg_wait('corrected', '30 s');
SELECT * FROM resume_t ORDER BY i;

-- Options of the registration hold when it is applied by name, unless given anew.
TRUNCATE resume_t;
SELECT state, steps FROM upg_register('registered', 'INSERT INTO resume_t VALUES (1); INSERT INTO resume_t VALUES (2)',
    'DELETE FROM resume_t', options => '{"no_transaction": true, "order_key": "0007", "source": "here"}');
SELECT state, steps FROM upg_apply('registered', options => '{"source": "there"}');
CALL upg_wait('registered', '30 s');
SELECT state, options, order_key FROM upg.migrations WHERE name = 'registered';

SELECT name, state, step, statement_no, sqlstate FROM upg_history() WHERE state <> 'succeeded' ORDER BY attempt_id;
SELECT ok, reason FROM upg_audit_verify();
DROP TABLE resume_t, resume_u, resume_missing;
DROP TYPE resume_e;
DROP FUNCTION resume_kill;
DROP EXTENSION upg;
