-- Migrations whose statements the client sends itself.
CREATE EXTENSION upg;
SET upg.undo = none;
SET client_min_messages = warning;
BEGIN;
SELECT upg_begin('c1', E'CREATE TABLE cs (a int);\nCOPY cs FROM stdin;\n1\n2\n\\.\n', 'DROP TABLE cs');
CREATE TABLE cs (a int);
COPY cs FROM stdin;
1
2
\.
SELECT migration, state, undo FROM upg_finish();
COMMIT;
SELECT count(*) FROM cs;
SELECT migration, state, meaning IS NULL AS no_meaning FROM upg_status();

-- what the script sets ends with it, also where savepoints come and go
CREATE ROLE upg_test_session_role;
GRANT upg_operator TO upg_test_session_role;
SET work_mem = '5MB';
BEGIN;
SELECT upg_begin('set', 'whatever');
SELECT set_config('search_path', '', false), set_config('own.word', 'x', false);
SET work_mem = '6MB';
SAVEPOINT s;
SET LOCAL statement_timeout = '7min';
RELEASE s;
SAVEPOINT s;
SET work_mem = '8MB';
ROLLBACK TO s;
RELEASE s;
SET ROLE upg_test_session_role;
SELECT current_user, current_setting('work_mem') AS work_mem, current_setting('statement_timeout') AS timeout;
SELECT migration, state FROM public.upg_finish();
SELECT current_user = session_user AS myself, current_setting('work_mem') AS work_mem, current_setting('statement_timeout') AS timeout,
    current_setting('search_path') AS search_path, current_setting('own.word', true) AS other;
COMMIT;
SELECT current_user = session_user AS myself, current_setting('work_mem') AS work_mem, current_setting('search_path') AS search_path;
RESET work_mem;
DROP OWNED BY upg_test_session_role;
DROP ROLE upg_test_session_role;

-- what is wrong
SELECT upg_finish();
SELECT upg_begin('c2', 'SELECT 1');
BEGIN; SELECT upg_begin('c1', 'SELECT 1'); ROLLBACK;
BEGIN; SELECT upg_begin('c2', 'SELECT 1'); SELECT upg_begin('c3', 'SELECT 1'); ROLLBACK;
BEGIN; SELECT upg_begin('c2', 'SELECT 1', NULL, '{nosuch}'); ROLLBACK;
BEGIN; SELECT upg_begin('c2'); ROLLBACK;
BEGIN; SELECT upg_begin('c2', options => '{"sha256": "zz"}'); ROLLBACK;
BEGIN; SELECT upg_begin('c2', 'SELECT 1'); COMMIT;

-- streamed: only the checksum is kept
BEGIN;
SELECT upg_begin('big', options => jsonb_build_object('sha256', repeat('ab', 32), 'size', 123456789));
SELECT migration, state FROM upg_finish();
COMMIT;
SELECT sha256 FROM upg_status() WHERE migration = 'big';
SELECT state FROM upg_apply('big');

-- a failure is remembered by the session, and written at its next call
BEGIN;
SELECT upg_begin('c4', 'whatever');
SELECT 1/0;
ROLLBACK;
SELECT count(*) FROM upg_history('c4');
SELECT state FROM upg_apply('next', 'SELECT 1');
SELECT state, sqlstate, message FROM upg_history('c4');
-- or reported by the client with more detail, then only once
BEGIN;
SELECT upg_begin('c5', 'whatever');
SELECT 1/0;
ROLLBACK;
SELECT upg_record_attempt('c5', '{"state": "failed", "statement_no": 7, "line": 3, "col": 1, "statement": "SELECT 1/0",
    "sqlstate": "22012", "message": "division by zero", "actor": "forged", "backend_pid": -1}');
SELECT state, statement_no, line, statement, sqlstate, message, actor = session_user AS true_actor, pid = pg_backend_pid() AS true_pid FROM upg_history('c5');
SELECT upg_record_attempt('c5', '[]');
SELECT upg_record_attempt('c5', '{"state": "succeeded?"}');

-- nothing is left open by a rolled back savepoint
BEGIN;
SAVEPOINT s;
SELECT upg_begin('c6', 'SELECT 1');
ROLLBACK TO s;
COMMIT;
SELECT state FROM upg_migration_state('c6');

SELECT ok FROM upg_audit_verify();
DROP TABLE cs;
DROP EXTENSION upg;
DROP SCHEMA IF EXISTS upg CASCADE;
