-- What goes away inside of values: labels of enums, attributes of composite types.
-- Nothing written since is lost, and no value is left that nobody can read.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS upg;
CREATE SCHEMA undo_types;
SET search_path = undo_types, public;
CREATE FUNCTION take_back(migration text, options jsonb DEFAULT '{}') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
BEGIN
    PERFORM upg.capture_merge(migration, options);
    RETURN CASE WHEN options ? 'dry_run' THEN 'possible' ELSE 'done' END;
EXCEPTION WHEN SQLSTATE 'UP022' THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN detail;
END
$$;
CREATE TYPE e AS ENUM ('v22', 'z');
CREATE TYPE c AS (a text, e e);
CREATE DOMAIN d AS e;
CREATE TYPE r AS RANGE (SUBTYPE = e);
CREATE TABLE t (id int PRIMARY KEY, e e, ea e[], c c, ca c[], d d, da d[], r r, mr r_multirange);
INSERT INTO t VALUES (1, 'v22', '{v22,NULL}', ROW('v2', 'v22'), ARRAY[ROW('it''s', 'v22')::c], 'v22', '{v22}', '[v22,z]', '{[v22,v22]}');

\echo # a label that is part of another one is not that one; a table that goes away may use it
SELECT verdict FROM upg.capture_run('ut1', $$ALTER TYPE e ADD VALUE '2'; CREATE TABLE other (a int, e e, ea e[])$$);
INSERT INTO other VALUES (1, '2', '{2}');
SELECT take_back('ut1');

\echo # a migration that makes other types, too: the label is looked for all the same
SELECT verdict FROM upg.capture_run('ut2', $$ALTER TYPE e ADD VALUE 'v3"q'; CREATE TABLE other (a int)$$);
INSERT INTO t (id, e) VALUES (2, 'v3"q');
SELECT take_back('ut2', '{"on_conflict": "discard"}');
UPDATE t SET e = NULL, ea = ARRAY['v3"q'::e] WHERE id = 2;
SELECT take_back('ut2');
UPDATE t SET ea = NULL, c = ROW('a', 'v3"q') WHERE id = 2;
SELECT take_back('ut2');
UPDATE t SET c = NULL, ca = ARRAY[ROW('a', 'v3"q')::c] WHERE id = 2;
SELECT take_back('ut2');
UPDATE t SET ca = NULL, d = 'v3"q' WHERE id = 2;
SELECT take_back('ut2');
UPDATE t SET d = NULL, da = ARRAY['v3"q'::d] WHERE id = 2;
SELECT take_back('ut2');
UPDATE t SET da = NULL, r = r('v22', 'v3"q', '[]') WHERE id = 2;
SELECT take_back('ut2');
UPDATE t SET r = NULL, mr = r_multirange(r('v22', 'v3"q', '[]')) WHERE id = 2;
SELECT take_back('ut2');
DELETE FROM t WHERE id = 2;

\echo # nor may an expression keep it
ALTER TABLE t ALTER e SET DEFAULT 'v3"q';
SELECT take_back('ut2');
ALTER TABLE t ALTER e DROP DEFAULT;
CREATE VIEW v AS SELECT * FROM t WHERE e = 'v3"q';
CREATE FUNCTION f(e[] DEFAULT ARRAY['z', 'v3"q']::e[]) RETURNS int LANGUAGE sql AS 'SELECT 1';
ALTER TABLE t ADD CHECK (c <> ROW('a', 'v3"q')::c);
SELECT take_back('ut2');
DROP VIEW v;
DROP FUNCTION f;
ALTER TABLE t DROP CONSTRAINT t_c_check;
SELECT take_back('ut2');
SELECT enum_range(NULL::e);

\echo # values in attributes that go away
CREATE TABLE whole (id int PRIMARY KEY, x int);
CREATE TABLE holder (id int PRIMARY KEY, w whole, wa whole[]);
SELECT verdict FROM upg.capture_run('ut3', $$ALTER TYPE c ADD ATTRIBUTE n text; ALTER TABLE whole ADD y int;
    UPDATE t SET c.n = 'ours'; CREATE TABLE other (c c)$$);
INSERT INTO other VALUES (ROW('x', 'z', 'y'));
INSERT INTO t (id, c) VALUES (3, ROW('a', 'z', NULL));
SELECT take_back('ut3', '{"dry_run": true}');
UPDATE t SET c.n = 'since' WHERE id = 3;
SELECT take_back('ut3');
UPDATE t SET c.n = NULL, ca = ARRAY[ROW('a', 'z', NULL), ROW('a', 'z', 'since')]::c[] WHERE id = 3;
SELECT take_back('ut3');
UPDATE t SET ca = NULL WHERE id = 3;
INSERT INTO holder VALUES (1, ROW(1, 2, NULL), ARRAY[ROW(1, 2, NULL)::whole]);
SELECT take_back('ut3', '{"dry_run": true}');
UPDATE holder SET wa = ARRAY[ROW(1, 2, 3)::whole];
SELECT take_back('ut3');
SELECT take_back('ut3', '{"on_conflict": "discard"}');
SELECT * FROM holder;
SELECT id, c FROM t ORDER BY id;

RESET client_min_messages;
SET client_min_messages = error;
DROP SCHEMA undo_types CASCADE;
