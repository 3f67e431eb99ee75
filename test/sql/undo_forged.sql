-- Nothing of a kept log can be changed or taken out without being found: a superuser, who
-- can switch off the triggers that guard it, tries every column and every row.
\set VERBOSITY terse
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS upg;
CREATE SCHEMA forged;
CREATE TABLE forged.t (id int PRIMARY KEY, a text, b int);
INSERT INTO forged.t SELECT i, i, i FROM generate_series(1, 50) i;
CREATE TABLE forged.r (id serial PRIMARY KEY, a text);
INSERT INTO forged.r (a) SELECT i FROM generate_series(1, 50) i;
CREATE TABLE forged.g (id int);
INSERT INTO forged.g VALUES (1);
SELECT undo FROM upg_apply('forged', $$UPDATE forged.t SET a = 'x' WHERE id < 9; ALTER TABLE forged.t DROP b;
    SELECT nextval('forged.r_id_seq'); ALTER TABLE forged.r ALTER a TYPE varchar(9); DROP TABLE forged.g; TRUNCATE forged.r$$);
CREATE FUNCTION forged.attempt(forgery text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  n int;
BEGIN
  EXECUTE forgery;
  GET DIAGNOSTICS n = ROW_COUNT;
  IF n = 0 THEN
    RETURN 'nothing to forge';
  END IF;
  PERFORM upg_rollback('forged');
  RAISE EXCEPTION USING ERRCODE = 'UP999', MESSAGE = 'taken back';
EXCEPTION
  WHEN SQLSTATE 'UP999' THEN RETURN 'taken back';
  WHEN SQLSTATE 'UP023' THEN RETURN 'refused as damaged';
  WHEN SQLSTATE 'UP006' THEN RETURN 'refused as gone';
  WHEN integrity_constraint_violation THEN RETURN 'is a key';
END $$;
DO $$
DECLARE
  t record;
BEGIN
  FOR t IN SELECT oid::regclass AS name FROM pg_class WHERE relnamespace = 'upg'::regnamespace AND relname ~ '^undo_' AND relkind = 'r' LOOP
    EXECUTE format('ALTER TABLE %s DISABLE TRIGGER ALL', t.name);
  END LOOP;
END $$;
CREATE TEMP TABLE tables AS SELECT oid, relname FROM pg_class WHERE relnamespace = 'upg'::regnamespace AND relname ~ '^undo_' AND relname <> 'undo_aliases' AND relkind = 'r';
CREATE TEMP TABLE kept AS SELECT l.id FROM upg.undo_log l JOIN upg.migrations m ON m.migration_id = l.migration WHERE m.name = 'forged' AND l.state = 'kept';

-- every column but those that only describe the log
SELECT outcome, string_agg(relname || '.' || attname, ' ' ORDER BY relname, attnum) FILTER (WHERE outcome <> 'refused as damaged') AS columns, count(*)
FROM (SELECT t.relname, a.attname, a.attnum, forged.attempt(format('UPDATE upg.%I SET %I = %s WHERE %s = %s', t.relname, a.attname,
        replace(CASE a.atttypid::regtype::text
          WHEN 'oid' THEN '((@::int8) + 1)::oid'
          WHEN 'xid' THEN '((@::text::int8) + 1)::text::xid'
          WHEN 'boolean' THEN 'NOT @'
          WHEN 'text' THEN '@ || ''x'''
          WHEN 'bytea' THEN 'set_byte(@, length(@) / 2, (get_byte(@, length(@) / 2) + 1) % 256)'
          WHEN 'timestamp with time zone' THEN '@ + interval ''1 s'''
          WHEN '"char"' THEN '''q'''
          WHEN 'oid[]' THEN '@ || 1::oid'
          WHEN 'smallint[]' THEN '@ || 1::int2'
          WHEN 'text[]' THEN '@ || ''x''::text'
          ELSE '@ + 1' END, '@', a.attname),
        CASE t.relname WHEN 'undo_log' THEN 'id' ELSE 'log' END, (SELECT id FROM kept))) AS outcome
      FROM tables t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped) x
GROUP BY outcome ORDER BY outcome;
-- every row
CREATE TEMP TABLE rows (relname name, id tid);
DO $$
DECLARE
  t record;
BEGIN
  FOR t IN SELECT relname FROM tables LOOP
    EXECUTE format('INSERT INTO rows SELECT %L, ctid FROM upg.%I WHERE %s = (SELECT id FROM kept)', t.relname, t.relname, CASE t.relname WHEN 'undo_log' THEN 'id' ELSE 'log' END);
  END LOOP;
END $$;
SELECT relname, outcome, count(*) > 0 AS tried
FROM (SELECT relname, forged.attempt(format('DELETE FROM upg.%I WHERE ctid = %L', relname, id)) AS outcome FROM rows) x GROUP BY 1, 2 ORDER BY 1, 2;
-- the rows of another log in its place
SELECT undo FROM upg_apply('forged too', 'UPDATE forged.t SET a = ''y''');
SELECT relname, forged.attempt(format('DELETE FROM upg.%1$I WHERE log = %2$s; UPDATE upg.%1$I SET log = %2$s WHERE log = (SELECT max(id) FROM upg.undo_log)', relname, (SELECT id FROM kept)))
FROM tables WHERE relname IN ('undo_chunks', 'undo_relations') ORDER BY 1;

DO $$
DECLARE
  t record;
BEGIN
  FOR t IN SELECT tgrelid::regclass AS name, tgname FROM pg_trigger WHERE tgrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'upg'::regnamespace AND relname ~ '^undo_') AND NOT tgisinternal LOOP
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', t.name, t.tgname);
  END LOOP;
END $$;
\echo # untouched it is taken back
SELECT migration, state FROM upg_rollback('forged', options => '{"cascade": true}');
SELECT sum(b), count(*) FILTER (WHERE a <> id::text), (SELECT count(*) FROM forged.r), (SELECT count(*) FROM forged.g) FROM forged.t;
DROP SCHEMA forged CASCADE;
