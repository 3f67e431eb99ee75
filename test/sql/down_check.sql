-- A given down is tried when its migration is applied: what it does not give back
-- is named, or the migration is refused; what was tried leaves nothing.
\set VERBOSITY default
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS upg;
CREATE SCHEMA dc;
CREATE TABLE dc.users (id int PRIMARY KEY, name text NOT NULL, nick text DEFAULT 'none');
INSERT INTO dc.users SELECT i, 'name ' || i, 'nick ' || i FROM generate_series(1, 5) i;
CREATE TABLE dc.posts (id serial PRIMARY KEY, author int REFERENCES dc.users ON DELETE CASCADE, words text);
INSERT INTO dc.posts (author, words) SELECT i % 5 + 1, 'words ' || i FROM generate_series(1, 10) i;
CREATE INDEX users_nick ON dc.users (nick);
CREATE FUNCTION dc.try(name text, up text, down text, mode text) RETURNS TABLE (state text, warnings text[]) LANGUAGE sql AS $$
  SELECT state, warnings FROM public.upg_apply('dc ' || name, up, down, options => jsonb_build_object('down_check', mode)) $$;

-- exact ones say nothing
SELECT * FROM dc.try('table', 'CREATE TABLE dc.t (i int)', 'DROP TABLE dc.t', 'require');
SELECT * FROM dc.try('values', 'UPDATE dc.users SET name = upper(name) WHERE id > 3; ALTER TABLE dc.posts ADD x int',
                     'ALTER TABLE dc.posts DROP x; UPDATE dc.users SET name = lower(name) WHERE id > 3', 'require');
SELECT count(*) FILTER (WHERE name = upper(name)) AS names, (SELECT count(*) FROM information_schema.columns WHERE table_schema = 'dc' AND column_name = 'x') AS columns FROM dc.users;

-- what differs is named
SELECT * FROM dc.try('column', 'ALTER TABLE dc.users DROP nick', 'ALTER TABLE dc.users ADD nick text DEFAULT ''none''', 'warn');
SELECT * FROM dc.try('delete', 'DELETE FROM dc.users WHERE id = 1', 'INSERT INTO dc.users VALUES (1, ''name 1'')', 'warn');
SELECT * FROM dc.try('insert', 'INSERT INTO dc.users VALUES (7, ''seven'')', 'SELECT 1', 'warn');
SELECT * FROM dc.try('swap', $$UPDATE dc.users SET name = CASE id WHEN 2 THEN 'name 3' ELSE 'name 2' END WHERE id IN (2, 3)$$, '-- nothing', 'warn');
SELECT * FROM dc.try('dropped', 'DROP TABLE dc.posts', 'CREATE TABLE dc.posts (id serial PRIMARY KEY, author int, words text)', 'warn');
SELECT * FROM dc.try('fails', 'CREATE TABLE dc.f (i int)', E'SELECT 1;\nDROP TABLE dc.ff;', 'warn');
SELECT * FROM dc.try('settings', 'SET LOCAL search_path = dc; CREATE TABLE s (i int)', 'DROP TABLE s', 'warn');
SELECT * FROM dc.try('deferred', 'CREATE TABLE dc.d (i int REFERENCES dc.users DEFERRABLE INITIALLY DEFERRED)', 'INSERT INTO dc.d VALUES (99)', 'warn');

-- or the migration is refused, and nothing of it is there
\set VERBOSITY terse
SELECT * FROM dc.try('refused', 'ALTER TABLE dc.users ADD extra int', 'ALTER TABLE dc.users RENAME extra TO other', 'require');
SELECT * FROM dc.try('refused too', 'CREATE TABLE dc.r (i int)', 'DROP TABLE dc.rr', 'require');
SELECT count(*) FROM information_schema.columns WHERE table_schema = 'dc' AND column_name IN ('extra', 'other');
SELECT migration, state, sqlstate FROM upg.attempts WHERE migration LIKE 'dc refused%' ORDER BY 1;
\set VERBOSITY default

-- what cannot be checked is said
SELECT * FROM dc.try('steps', 'CREATE INDEX CONCURRENTLY stepwise ON dc.users (name)', 'DROP INDEX dc.stepwise', 'warn');
CALL public.upg_wait('dc steps', '1 minute');
SELECT * FROM dc.try('down steps', 'CREATE INDEX later ON dc.users (name)', 'DROP INDEX CONCURRENTLY dc.later', 'warn');
SELECT * FROM dc.try('sequence', 'SELECT 1', $$SELECT setval('dc.posts_id_seq', 1)$$, 'warn');
\set VERBOSITY terse
SELECT * FROM dc.try('sequence required', 'SELECT 1', $$SELECT setval('dc.posts_id_seq', 1)$$, 'require');
\set VERBOSITY default

BEGIN;
SELECT public.upg_begin('dc driven', 'SELECT 1', 'SELECT 1', options => '{"down_check": "require"}');
ROLLBACK;

-- the setting; a down that cannot be parsed; none at all
SET upg.down_check = 'warn';
SELECT warnings FROM public.upg_apply('dc setting', 'CREATE TABLE dc.g (i int)', 'SELECT 1');
SELECT warnings FROM public.upg_apply('dc override', 'CREATE TABLE dc.h (i int)', 'SELECT 1', options => '{"down_check": "off"}');
SELECT warnings FROM public.upg_apply('dc unparsable', 'CREATE TABLE dc.u (i int)', 'DRAP TABLE dc.u');
SELECT warnings FROM public.upg_apply('dc unparsable too', 'CREATE TABLE dc.u2 (i int)', 'DRAP TABLE dc.u2', options => '{"down_check": "require"}');
SELECT warnings FROM public.upg_apply('dc none', 'CREATE TABLE dc.n (i int)');
RESET upg.down_check;
\set VERBOSITY terse
SELECT public.upg_apply('dc option', 'SELECT 1', options => '{"down_check": "maybe"}');

-- together with capture: the undo that was recorded is still exact
SELECT undo, warnings FROM public.upg_apply('dc both', 'ALTER TABLE dc.users ADD both_ways int DEFAULT 3; DELETE FROM dc.users WHERE id = 7',
  'ALTER TABLE dc.users DROP both_ways', options => '{"down_check": "warn", "undo": "required"}');
SELECT state FROM public.upg_rollback('dc both', options => '{"method": "undo"}');
SELECT count(*) FROM dc.users WHERE id = 7;
-- and rows are read with the caller's rights
CREATE ROLE dc_operator;
GRANT upg_operator TO dc_operator;
GRANT USAGE, CREATE ON SCHEMA dc TO dc_operator;
SET ROLE dc_operator;
SELECT warnings FROM public.upg_apply('dc rights', 'CREATE TABLE dc.mine (users int)', 'DROP TABLE dc.mine', options => '{"down_check": "warn"}');
RESET ROLE;
DROP OWNED BY dc_operator;
DROP ROLE dc_operator;
DROP SCHEMA dc CASCADE;
