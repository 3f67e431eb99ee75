-- Apply, register, adopt: what the books say, what is refused, what does not leak.
CREATE EXTENSION upg;
SET upg.undo = none;
SET client_min_messages = warning;
CREATE VIEW tries AS
    SELECT name, direction, state, step, statement_no, line, col, statement, sqlstate, message
      FROM upg_history() ORDER BY attempt_id;

-- applied, applied again, edited in layout, edited in meaning
SELECT migration, state, statements, steps, undo, warnings FROM upg_apply('m1',
    'CREATE TABLE t1 (a int); INSERT INTO t1 SELECT generate_series(1, 3)', 'DROP TABLE t1');
SELECT count(*) FROM t1;
SELECT state FROM upg_apply('m1', 'CREATE TABLE t1 (a int); INSERT INTO t1 SELECT generate_series(1, 3)');
SELECT state FROM upg_apply('m1');
SELECT state, warnings FROM upg_apply('m1',
    E'-- now with a comment\ncreate table T1 (A int);\nINSERT INTO t1 SELECT /* three */ generate_series(1, 3)');
SELECT state, warnings FROM upg_apply('m1',
    E'-- now with a comment\ncreate table T1 (A int);\nINSERT INTO t1 SELECT /* three */ generate_series(1, 3)');
SELECT state FROM upg_apply('m1', 'CREATE TABLE t1 (a bigint)');
SELECT count(*) FROM t1;

-- a failure takes everything back but its record, which names the place
SELECT state FROM upg_apply('bad', E'CREATE TABLE t2 (a int);\nINSERT INTO t2 VALUES (1);\n  SELECT 1/0;\nSELECT 2');
SELECT state FROM upg_apply('bad', E'CREATE TABLE t2 (a int);\nSELECT nosuch FROM t2;');
SELECT state FROM upg_apply('bad', E'CREATE TABLE t2 (a int);\nCREAT TABLE t3 ();\nSELECT 1');
SELECT state FROM upg_apply('bad', E'SELECT ''unterminated');
SELECT state FROM upg_apply('bad', E'SELECT $x$ unterminated');
SELECT to_regclass('t2');
TABLE tries;

-- registered, then applied with what the books hold
SELECT state, undo FROM upg_register('r1', 'CREATE TABLE r1 ()', 'DROP TABLE r1');
SELECT state, undo FROM upg_register('r2', 'CREATE TABLE r2 ()', NULL, '{r1}');
SELECT ord, migration, action, requires, statements, transactional, state FROM upg_plan();
SELECT ord, migration, action FROM upg_plan('r2');
SELECT state FROM upg_apply('r2');
SELECT state FROM upg_apply('r1');
SELECT state FROM upg_apply('r2');
SELECT state FROM upg_apply('unheard of');
SELECT state FROM upg_register('gone', 'SELECT 1');
SELECT upg_forget_registration('gone');
SELECT upg_forget_registration('gone');
SELECT upg_forget_registration('r1');

-- dependencies: unknown, not applied, of itself, in a circle
SELECT state FROM upg_apply('d1', 'SELECT 1', NULL, '{nosuch}');
SELECT state FROM upg_apply('d1', 'SELECT 1', NULL, '{d1}');
SELECT state FROM upg_register('c1', 'SELECT 1');
SELECT state FROM upg_register('c2', 'SELECT 1', NULL, '{c1}');
SELECT state FROM upg_register('c3', 'SELECT 1', NULL, '{c2,m1}');
SELECT state FROM upg_register('c1', 'SELECT 1', NULL, '{c3}');

-- names
SELECT state FROM upg_apply('', 'SELECT 1');
SELECT state FROM upg_apply(NULL, 'SELECT 1');
SELECT state FROM upg_apply(E'new\nline', 'SELECT 1');
SELECT state FROM upg_apply(repeat('x', 256), 'SELECT 1');
SELECT state FROM upg_apply(repeat('ä', 255), 'SELECT 1');
SELECT migration, state FROM upg_apply('q"u''o\te; DROP TABLE t1 -- ../🐘', 'SELECT 1');

-- an empty script, and one of comments only
SELECT state, statements, warnings FROM upg_apply('empty', '');
SELECT state, statements FROM upg_apply('comments', '-- nothing' || chr(10) || '/* at all */ ;');

-- options
SELECT state FROM upg_apply('o1', 'SELECT 1', options => '{"nosuch": 1}');
SELECT state FROM upg_apply('o1', 'SELECT 1', options => '[]');
SELECT state FROM upg_apply('o1', 'SELECT 1', options => '{"lock_timeout": "soon"}');
SELECT state FROM upg_apply('o1', 'SELECT 1', options => '{"footprint": "x"}');
SELECT state FROM upg_apply('o1', 'SELECT 1', options => '{"lock_timeout": "1s", "lock_retries": 2, "footprint": ["database"]}');

-- order
SELECT state FROM upg_apply('k2', 'SELECT 1', options => '{"order_key": "0002"}');
SELECT state, warnings FROM upg_apply('k1', 'SELECT 1', options => '{"order_key": "0001"}');
SELECT state FROM upg_apply('k0', 'SELECT 1', options => '{"order_key": "0000", "out_of_order": "refuse"}');
SELECT state, warnings FROM upg_apply('k0', 'SELECT 1', options => '{"order_key": "0000", "out_of_order": "allow"}');

-- settings, roles and savepoints do not leak
SELECT state FROM upg_apply('s1', $$
    SET search_path = pg_catalog;
    SET LOCAL work_mem = '123MB';
    SET ROLE pg_monitor;
    SELECT set_config('statement_timeout', '77s', false);
    RESET ROLE;
    CREATE TABLE public.s1 (a int);
    SAVEPOINT one; INSERT INTO public.s1 VALUES (1);
    SAVEPOINT two; INSERT INTO public.s1 VALUES (2); ROLLBACK TO two; INSERT INTO public.s1 VALUES (3);
    RELEASE one; INSERT INTO public.s1 VALUES (4)$$);
SELECT array_agg(a ORDER BY a) FROM s1;
SHOW search_path; SHOW work_mem; SHOW role; SHOW statement_timeout;
SELECT state FROM upg_apply('s2', 'SET work_mem = ''99MB''; SELECT 1/0');
SHOW work_mem;

-- constraints that are deferred are checked with the migration
SELECT state FROM upg_apply('f1', $$
    CREATE TABLE parent (id int PRIMARY KEY);
    CREATE TABLE child (id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED)$$);
SELECT state FROM upg_apply('f2', 'INSERT INTO child VALUES (1); INSERT INTO parent VALUES (1)');
SELECT state FROM upg_apply('f3', 'INSERT INTO child VALUES (2)');

-- two in one transaction; the second fails and takes only itself along
BEGIN;
SELECT state FROM upg_apply('x1', 'CREATE TABLE x1 ()');
SAVEPOINT s;
SELECT state FROM upg_apply('x2', 'CREATE TABLE x2 (); SELECT 1/0');
ROLLBACK TO s;
SELECT state FROM upg_apply('x3', 'CREATE TABLE x3 ()');
COMMIT;
SELECT to_regclass('x1') IS NOT NULL AS x1, to_regclass('x2') IS NOT NULL AS x2, to_regclass('x3') IS NOT NULL AS x3;
BEGIN;
SELECT state FROM upg_apply('x4', 'CREATE TABLE x4 ()');
ROLLBACK;
SELECT migration, state FROM upg_status() WHERE migration LIKE 'x_';

-- read-only
BEGIN READ ONLY;
SELECT state FROM upg_apply('ro', 'SELECT 1');
ROLLBACK;

-- adopted: in the books, not run
SELECT state FROM upg_adopt('a1', 'CREATE TABLE adopted ()', 'DROP TABLE adopted');
SELECT to_regclass('adopted');

-- a down script that cannot be read is worth a warning
SELECT state, undo, warnings FROM upg_apply('w1', 'SELECT 1', 'DRP TABLE x');

-- the meaning of a script: known answers, the same on every major
SELECT statements, steps, transactional, left(sha256, 16) AS sha256, left(meaning, 16) AS meaning, meaning_version
  FROM upg_script_info($$ SELECT "A", E'x\n', U&'\0041', B'1', X'F', 1.5, 42, $x$y$x$ FROM t WHERE a <= b AND c :: int <> 1 $$);
SELECT count(DISTINCT meaning) FROM unnest(ARRAY['SELECT a FROM b', 'select A  from B', 'SELECT a /* x */ FROM b -- y'])
    AS s, upg_script_info(s);
SELECT count(DISTINCT meaning) FROM unnest(ARRAY['SELECT a FROM b', 'SELECT "A" FROM b', 'SELECT a FROM b;', 'SELECT ''a'' FROM b', 'SELECT a+b', 'SELECT a-b', 'SELECT ab'])
    AS s, upg_script_info(s);

SELECT ok FROM upg_audit_verify();
DROP VIEW tries;
DROP TABLE t1, r1, r2, s1, child, parent, x1, x3;
DROP EXTENSION upg;
DROP SCHEMA IF EXISTS upg CASCADE;
