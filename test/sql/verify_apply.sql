-- Verification around a migration and its rollback.
SET client_min_messages = warning;
CREATE EXTENSION upg;
CREATE SCHEMA verify_apply;
SET search_path = verify_apply, public;
CREATE TABLE account (id integer PRIMARY KEY, owner text NOT NULL, balance numeric NOT NULL CONSTRAINT solvent CHECK (balance >= 0));
CREATE TABLE other (id integer PRIMARY KEY, v text);
INSERT INTO account SELECT g, 'owner ' || g, 10 FROM generate_series(1, 50) g;
INSERT INTO other SELECT g, 'v' FROM generate_series(1, 50) g;
SELECT upg_invariant_declare('money', 'sum', rel => 'account', columns => '{balance}');
SELECT upg_invariant_declare('owners', 'equal', 'SELECT id, owner FROM verify_apply.account WHERE id IN (1, 3)', key => '{id}', scope => '{account}', severity => 'warning');
CREATE VIEW latest AS
SELECT v.migration, v.direction, v.level, v.verdict, c.phase, c.kind, c.name, c.state, c.message
FROM upg.verifications v JOIN upg.check_results c USING (verification_id)
WHERE v.verification_id = (SELECT max(verification_id) FROM upg.verifications) ORDER BY c.check_no;

-- none is the default
SELECT state FROM upg_apply('quiet', 'UPDATE verify_apply.account SET balance = balance', 'SELECT 1');
SELECT count(*) FROM upg.verifications;

-- what is harmless passes; what it does not touch is not looked at
SELECT state, warnings FROM upg_apply('harmless', 'UPDATE verify_apply.other SET v = ''w'' WHERE id = 7', 'UPDATE verify_apply.other SET v = ''v'' WHERE id = 7', options => '{"verify": "touched"}');
SELECT * FROM latest;

-- a warning warns, an error undoes the migration and is remembered
SELECT state, warnings FROM upg_apply('rename', 'UPDATE verify_apply.account SET owner = upper(owner) WHERE id = 3', 'UPDATE verify_apply.account SET owner = lower(owner) WHERE id = 3', options => '{"verify": "touched"}');
SELECT state FROM upg_apply('steal', 'UPDATE verify_apply.account SET balance = balance - 1 WHERE id = 3', options => '{"verify": "touched"}');
SELECT balance FROM account WHERE id = 3;
SELECT state FROM upg_migration_state('steal');
SELECT state, sqlstate, message FROM upg.attempts WHERE migration = 'steal';
SELECT * FROM latest;

-- by a trigger, in a function, behind the parser: the locks show what was touched
CREATE TABLE bystander (id integer PRIMARY KEY REFERENCES other);
CREATE FUNCTION reach() RETURNS void LANGUAGE sql AS $$INSERT INTO verify_apply.bystander VALUES (1)$$;
SELECT state FROM upg_apply('behind', 'SET LOCAL session_replication_role = replica; INSERT INTO verify_apply.bystander VALUES (999)', options => '{"verify": "touched", "footprint": ["x"]}');
SELECT kind, name, state FROM latest WHERE phase = 'after' AND state <> 'recorded';

-- before: what does not hold is not the migration's fault, and it does not run
ALTER TABLE account DROP CONSTRAINT solvent;
UPDATE account SET balance = -5 WHERE id = 9;
SELECT upg_invariant_declare('not overdrawn', 'empty', 'SELECT id FROM verify_apply.account WHERE balance < 0', scope => '{account}');
SELECT state FROM upg_apply('late', 'UPDATE verify_apply.account SET owner = owner', options => '{"verify": "touched"}');
SELECT verdict, phase, name, state, message FROM latest WHERE state = 'failed';
UPDATE account SET balance = 10 WHERE id = 9;

-- rollback: contents are what they were, by checksum
SELECT state FROM upg_rollback('rename', options => '{"verify": "touched"}');
SELECT phase, kind, name, state, message FROM latest WHERE kind = 'content';
-- a down script that does not restore is found out
SELECT state FROM upg_rollback('harmless', options => '{"verify": "touched"}');
SELECT state FROM upg_apply('loses', 'UPDATE verify_apply.other SET v = ''w''', 'UPDATE verify_apply.other SET v = ''V''', options => '{"verify": "touched"}');
SELECT state FROM upg_rollback('loses', options => '{"verify": "touched", "method": "given"}');
SELECT state FROM upg_migration_state('loses');
SELECT phase, kind, name, state, message FROM latest WHERE kind = 'content';
-- unless somebody wrote in between: then nothing can be proven, and that is said
UPDATE other SET v = 'x' WHERE id = 1;
SELECT state FROM upg_rollback('loses', options => '{"verify": "touched", "method": "given"}');
SELECT phase, kind, name, state, message FROM latest WHERE kind = 'content';
-- a table that was dropped and is put back
SELECT state FROM upg_apply('drops', 'DROP TABLE verify_apply.bystander', 'CREATE TABLE verify_apply.bystander (id integer PRIMARY KEY REFERENCES verify_apply.other)', options => '{"verify": "all"}');
SELECT state FROM upg_rollback('drops', options => '{"verify": "all"}');
SELECT phase, kind, name, state FROM latest WHERE name LIKE '%bystander' ORDER BY phase, kind;

-- by the setting, and the option over the setting
SET upg.verify = 'all';
SELECT state FROM upg_apply('by setting', 'SELECT 1');
SELECT level, verdict FROM upg.verifications ORDER BY verification_id DESC LIMIT 1;
SELECT state FROM upg_apply('by option', 'SELECT 1', options => '{"verify": "none"}');
SELECT max(migration) FROM latest;
RESET upg.verify;

-- steps that commit one by one: the worker looks afterwards
SELECT state FROM upg_apply('steps', 'CREATE INDEX CONCURRENTLY other_v ON verify_apply.other (v); UPDATE verify_apply.account SET owner = owner', options => '{"verify": "touched"}');
CALL upg_wait('steps');
SELECT migration, verdict FROM upg.verifications ORDER BY verification_id DESC LIMIT 1;
SELECT state FROM upg_apply('steps that steal', 'CREATE INDEX CONCURRENTLY other_v2 ON verify_apply.other (v); UPDATE verify_apply.account SET balance = 11 WHERE id = 1', options => '{"verify": "touched"}');
\set VERBOSITY terse
CALL upg_wait('steps that steal');
\set VERBOSITY default
SELECT state, attempt ->> 'sqlstate' AS sqlstate, attempt ->> 'message' AS message FROM upg_migration_state('steps that steal');
SELECT verdict, count(*) FROM upg.verifications WHERE migration = 'steps that steal' GROUP BY 1 ORDER BY 1;
-- mended, it goes on where it stopped, measured by what was there before
UPDATE account SET balance = 10 WHERE id = 1;
SELECT state FROM upg_apply('steps that steal', options => '{"verify": "touched"}');
CALL upg_wait('steps that steal');
SELECT verdict, count(*) FROM upg.verifications WHERE migration = 'steps that steal' GROUP BY 1 ORDER BY 1;

-- a client that sends the statements itself
BEGIN;
SELECT upg_begin('client', options => '{"verify": "all", "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "size": 0}');
UPDATE account SET owner = 'client' WHERE id = 1;
SELECT state, warnings FROM upg_finish();
COMMIT;
SELECT migration, verdict FROM upg.verifications ORDER BY verification_id DESC LIMIT 1;
BEGIN;
SELECT upg_begin('client steals', options => '{"verify": "all", "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "size": 0}');
UPDATE account SET balance = 0 WHERE id = 1;
\set VERBOSITY terse
SELECT state FROM upg_finish();
\set VERBOSITY default
ROLLBACK;
SELECT state FROM upg_apply('flush', 'SELECT 1');
SELECT migration, verdict FROM upg.verifications WHERE migration LIKE 'client%' ORDER BY verification_id;
-- a client cannot make results up
SELECT upg_record_attempt('forged', '{"state": "failed", "verification": {"level": "all", "verdict": "passed"}}');
SELECT count(*) AS forged FROM upg.verifications WHERE migration IS NULL;

-- the evidence: complete, sealed, and a change of it shows
SELECT max(verification_id) AS id FROM upg.verifications WHERE migration = 'steal' \gset
SELECT regexp_replace(regexp_replace(upg_verification_report(:id), '\d{4}-\d\d-\d\dT[0-9:.]+Z', 'TIME', 'g'), '[0-9a-f]{64}|by [^\n]*', '...', 'g');
SELECT r ->> 'verdict' AS verdict, r ->> 'intact' AS intact, r ->> 'completeness' AS completeness, jsonb_array_length(r -> 'checks') AS checks
FROM (SELECT upg_verification_report(:id, 'json')::jsonb AS r) AS x;
SELECT upg_verification_report(:id, 'html') LIKE '<!DOCTYPE html>%failed%</html>' || chr(10) AS page, upg_verification_report(:id, 'html') ~ '(src|href)=' AS fetches;
SELECT a.after_state ->> 'sha256' = encode(v.digest, 'hex') AS in_the_trail FROM upg.verifications v
CROSS JOIN LATERAL (SELECT l.after::jsonb AS after_state FROM upg.audit_log l WHERE l.action = 'verification.failed' AND (l.after::jsonb ->> 'verification')::bigint = v.verification_id) a
WHERE v.verification_id = :id;
UPDATE upg.check_results SET state = 'passed' WHERE verification_id = :id AND state = 'failed';
SELECT upg_verification_report(:id) LIKE '%THE RESULTS WERE CHANGED%' AS shows, upg_verification_report(:id, 'json')::jsonb ->> 'intact' AS intact;
-- names and values cannot break out of the page
CREATE TABLE "<script>alert(1)</script>" (id integer PRIMARY KEY);
SELECT count(*) > 0 AS some FROM upg_verify('touched', '{"\"<script>alert(1)</script>\""}');
SELECT upg_verification_report(format => 'html') LIKE '%<script%' AS broken;

-- bad input
SELECT state FROM upg_apply('x', 'SELECT 1', options => '{"verify": "some"}');
SELECT state FROM upg_apply('x', 'SELECT 1', options => '{"verify": true}');
SELECT state FROM upg_apply('x', 'SELECT 1', options => '{"verify_budget": "soon"}');
SET upg.verify = 'some';

DROP SCHEMA verify_apply CASCADE;
DROP EXTENSION upg;
