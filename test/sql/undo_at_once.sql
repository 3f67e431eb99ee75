-- Rows that the application writes in the very transaction that rolls back, and
-- several migrations taken back in one transaction: nothing is lost or invented.
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS upg;
SET upg.undo = required;
SELECT state FROM upg_apply('at_once_1', 'CREATE TABLE at_once (a int PRIMARY KEY, b text); INSERT INTO at_once VALUES (1, ''migration'')');
BEGIN;
INSERT INTO at_once VALUES (2, 'application');
SELECT state FROM upg_rollback('at_once_1');
COMMIT;
SELECT migration, table_name, key, data FROM upg_kept_rows() WHERE migration LIKE 'at_once%';

CREATE TABLE at_once_kept (a int PRIMARY KEY, v int);
INSERT INTO at_once_kept SELECT g, g FROM generate_series(1, 5) g;
SELECT state FROM upg_apply('at_once_2', 'UPDATE at_once_kept SET v = v + 10');
SELECT state FROM upg_apply('at_once_3', 'UPDATE at_once_kept SET v = v * 2 WHERE a > 2');
SELECT state FROM upg_apply('at_once_4', 'DELETE FROM at_once_kept WHERE a = 1');
BEGIN;
UPDATE at_once_kept SET v = 1000 WHERE a = 5;
INSERT INTO at_once_kept VALUES (6, 6);
SELECT state FROM upg_rollback('at_once_4');
SELECT state FROM upg_rollback('at_once_3');
SELECT state FROM upg_rollback('at_once_2');
COMMIT;
SELECT * FROM at_once_kept ORDER BY a;
SELECT migration, key, column_name, before, application, what FROM upg_rollback_conflicts() WHERE migration LIKE 'at_once%' ORDER BY migration DESC;
DROP TABLE at_once_kept;
-- what a transaction has made itself and a migration in it drops cannot come back in it
BEGIN;
CREATE TABLE at_once_made (a int PRIMARY KEY);
SELECT undo FROM upg_apply('at_once_made', 'DROP TABLE at_once_made');
SAVEPOINT made;
SELECT upg_rollback('at_once_made');
ROLLBACK TO made;
COMMIT;
SELECT state FROM upg_rollback('at_once_made');
TABLE at_once_made;
BEGIN;
CREATE INDEX at_once_index ON at_once_made (a);
SELECT undo FROM upg_apply('at_once_index', 'DROP INDEX at_once_index');
SELECT upg_rollback('at_once_index');
ROLLBACK;
BEGIN;
SELECT undo FROM upg_apply('at_once_made', 'DROP TABLE at_once_made');
SELECT state FROM upg_rollback('at_once_made');
TABLE at_once_made;
COMMIT;
DROP TABLE at_once_made;
