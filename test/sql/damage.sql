-- The books, changed by hand behind upg's back: a clear error, nothing lost, no hang.
CREATE EXTENSION upg;
SET client_min_messages = error;
CREATE TABLE damage_t (i int);
CREATE FUNCTION damage_try(what text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    hint text;
BEGIN
    EXECUTE what;
    RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
    RETURN SQLSTATE || ': ' || SQLERRM || coalesce(' / ' || nullif(hint, ''), '');
END $$;
CREATE FUNCTION damage_wait(name text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    s text;
BEGIN
    -- A second without a worker: none will come.
    FOR i IN 1 .. 20 LOOP
        SELECT state INTO s FROM upg_migration_state(name);
        EXIT WHEN s NOT IN ('queued', 'running');
        PERFORM pg_sleep(0.1);
    END LOOP;
    RETURN s;
END $$;
SELECT state FROM upg_apply('one', 'CREATE TABLE damage_one (i int)', 'DROP TABLE damage_one');
SELECT state FROM upg_register('two', 'CREATE TABLE damage_two (i int)');

-- A state that there is not
UPDATE upg.migrations SET state = 'perhaps' WHERE name = 'one';
SELECT damage_try($$SELECT upg_apply('one')$$);
SELECT damage_try($$SELECT upg_rollback('one')$$);
SELECT damage_try($$SELECT upg_register('one', 'SELECT 1')$$);
SELECT damage_try($$SELECT upg_repair('one', 'applied', 'x')$$);
SELECT damage_try($$SELECT upg_forget_registration('one')$$);
SELECT migration, state FROM upg_status() ORDER BY migration;
SELECT damage_try($$SELECT upg_apply('two')$$);
UPDATE upg.migrations SET state = 'applied' WHERE name = 'one';

-- Checksums of another length
UPDATE upg.migrations SET up_sha256 = '\x00' WHERE name = 'one';
SELECT damage_try($$SELECT upg_apply('one')$$);
SELECT damage_try($$SELECT upg_rollback('one')$$);
UPDATE upg.migrations SET up_sha256 = sha256(convert_to(up_sql, 'UTF8')), up_meaning = '\x' WHERE name = 'one';
SELECT damage_try($$SELECT upg_apply('one')$$);
UPDATE upg.migrations SET up_meaning = NULL WHERE name = 'one';
SELECT damage_try($$SELECT upg_apply('one', 'CREATE TABLE damage_one (i int)')$$);

-- Options and requirements that upg did not write
UPDATE upg.migrations SET options = '[1]' WHERE name = 'two';
UPDATE upg.migrations SET state = 'registered' WHERE name = 'two';
SELECT damage_try($$SELECT upg_apply('two')$$);
UPDATE upg.migrations SET options = '{}', requires = '{nobody}' WHERE name = 'two';
SELECT damage_try($$SELECT upg_apply('two')$$);
UPDATE upg.migrations SET requires = ARRAY[NULL]::text[] WHERE name = 'two';
SELECT damage_try($$SELECT upg_apply('two')$$);
UPDATE upg.migrations SET requires = '{{two,one},{one,two}}' WHERE name = 'two';
SELECT damage_try($$SELECT upg_apply('two')$$);
UPDATE upg.migrations SET requires = '{}', direction = 'sideways' WHERE name = 'two';
SELECT damage_try($$SELECT upg_apply('two')$$);
SELECT damage_try($$SELECT upg_rollback('one')$$);

-- Steps that vanish, or are not what they were
SELECT state FROM upg_apply('three', 'VACUUM damage_t; INSERT INTO damage_t VALUES (1); VACUUM damage_missing; INSERT INTO damage_t VALUES (2)');
CALL upg_wait('three', '20 s');
SELECT state FROM upg_migration_state('three');
UPDATE upg.steps SET sha256 = '\x01' WHERE migration_id = (SELECT migration_id FROM upg.migrations WHERE name = 'three') AND step = 1;
SELECT damage_try($$SELECT upg_apply('three')$$);
DELETE FROM upg.steps WHERE migration_id = (SELECT migration_id FROM upg.migrations WHERE name = 'three') AND step = 1;
UPDATE upg.steps SET state = 'perhaps' WHERE migration_id = (SELECT migration_id FROM upg.migrations WHERE name = 'three') AND step > 2;
CREATE TABLE damage_missing (i int);
SELECT state FROM upg_apply('three');
CALL upg_wait('three', '20 s');
SELECT state FROM upg_migration_state('three');
SELECT * FROM damage_t ORDER BY i;

-- What a worker is to run, while it waits
CREATE FUNCTION damage_queue(name text, damage text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    s text;
BEGIN
    -- The worker starts when this commits, and finds what is here by then.
    PERFORM upg_apply(name, 'VACUUM damage_t; INSERT INTO damage_t VALUES (10)');
    EXECUTE damage USING name;
    RETURN 'queued';
END $$;
SELECT damage_queue('run empty', $$UPDATE upg.migrations SET run = '{}' WHERE name = $1$$);
SELECT damage_wait('run empty');
SELECT state FROM upg_apply('run empty');
CALL upg_wait('run empty', '20 s');
SELECT damage_queue('run numbers', $$UPDATE upg.migrations SET run = run - 'lock_timeout' - 'lock_retries' - 'search_path' - 'role' - 'before' WHERE name = $1$$);
SELECT damage_wait('run numbers');
SELECT damage_queue('run words', $$UPDATE upg.migrations SET run = run || '{"lock_timeout": "soon"}' WHERE name = $1$$);
SELECT damage_wait('run words');
SELECT sqlstate, message FROM upg_history('run words');
SELECT damage_queue('run settings', $$UPDATE upg.migrations SET run = run || '{"settings": [1]}' WHERE name = $1$$);
SELECT damage_wait('run settings');
SELECT damage_queue('run role', $$UPDATE upg.migrations SET run = run || '{"role": "nobody of that name"}' WHERE name = $1$$);
SELECT damage_wait('run role');
SELECT sqlstate, message FROM upg_history('run role');
SELECT damage_queue('no script', $$UPDATE upg.migrations SET up_sql = NULL WHERE name = $1$$);
SELECT damage_wait('no script');
SELECT sqlstate, message, hint FROM upg_history('no script');
SELECT damage_queue('bad script', $$UPDATE upg.migrations SET up_sql = 'SELEC 1' WHERE name = $1$$);
SELECT damage_wait('bad script');
SELECT sqlstate, message FROM upg_history('bad script');
SELECT damage_queue('no steps', $$DELETE FROM upg.steps WHERE migration_id = (SELECT migration_id FROM upg.migrations WHERE name = $1)$$);
SELECT damage_wait('no steps');
SELECT DISTINCT sqlstate, message, hint FROM upg_history('no steps') WHERE state = 'failed';
SELECT state FROM upg_apply('no steps');
CALL upg_wait('no steps', '20 s');
SELECT state FROM upg_migration_state('no steps');
SELECT damage_queue('no row', $$DELETE FROM upg.migrations WHERE name = $1$$);
SELECT damage_wait('no row');

-- The row of a running migration vanishes: what ran is in the history, and why it
-- could not be booked.
SELECT state FROM upg_apply('vanishing', 'VACUUM damage_t; INSERT INTO damage_t VALUES (20); SELECT pg_sleep(1); DELETE FROM upg.migrations WHERE name = ''vanishing''');
SELECT damage_wait('vanishing');
SELECT name, state, step, sqlstate, message FROM upg_history('vanishing') ORDER BY attempt_id;
SELECT state FROM upg_apply('own goal', 'DELETE FROM upg.migrations WHERE name = ''two''; TRUNCATE upg.attempts, upg.steps');

-- Without the schema of the books
BEGIN;
ALTER SCHEMA upg RENAME TO hidden;
SELECT damage_try($$SELECT upg_apply('x', 'SELECT 1')$$);
ROLLBACK;
BEGIN;
ALTER TABLE upg.migrations RENAME TO hidden;
SELECT damage_try($$SELECT upg_apply('y', 'SELECT 1')$$);
ROLLBACK;
SELECT ok FROM upg_audit_verify();
SELECT state FROM upg_apply('after', 'SELECT 1');
DROP TABLE damage_t, damage_two, damage_missing;
DROP FUNCTION damage_try, damage_wait, damage_queue;
DROP EXTENSION upg;
