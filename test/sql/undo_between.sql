-- What an administrator does between apply and rollback does not stand in the way.
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS upg;
CREATE SCHEMA undo_between;
SET search_path = undo_between, public;
CREATE TABLE t (id int PRIMARY KEY, v text);
INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 5) g;

-- VACUUM FULL writes the constant default of a new column into the rows
SELECT verdict FROM upg.capture_run('undo_between_1', 'ALTER TABLE undo_between.t ADD COLUMN c int DEFAULT 7');
VACUUM FULL t;
SELECT atthasmissing FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'c';
SELECT data_rows FROM upg.capture_undo('undo_between_1');
SELECT * FROM t ORDER BY id;
ALTER TABLE t ADD COLUMN c text;
SELECT * FROM t ORDER BY id;
DROP SCHEMA undo_between CASCADE;
