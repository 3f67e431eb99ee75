-- What comes back for a column that has another type since is refused by name: by a later migration
-- or by hand, in indexes, keys and stored expressions.  An index of the wrong type would bring the server down.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS upg;
CREATE SCHEMA undo_shape;
SET search_path = undo_shape, public;
\set SHOW_CONTEXT never
CREATE TABLE t(id int primary key, name text);
CREATE INDEX t_n on t(name);
CREATE VIEW v as select id from t;
INSERT INTO t select i, i::text from generate_series(1,50) i;
SELECT undo FROM upg_apply('shape u2','drop index t_n');
SELECT undo FROM upg_apply('shape u6','alter table t alter name type int using name::int');
SELECT state FROM upg_rollback('shape u2');
SELECT undo FROM upg_apply('shape w0','alter table t add c text');
SELECT undo FROM upg_apply('shape w1','create view vv as select name, c from t');
SELECT undo FROM upg_apply('shape w2','drop view vv');
SELECT undo FROM upg_apply('shape w3','alter table t alter c type int using c::int');
SELECT state FROM upg_rollback('shape w2');
SELECT state FROM upg_rollback('shape w2', options=>'{"cascade":true}');
select * from vv limit 1;
SELECT undo FROM upg_apply('shape x1','alter table t add constraint cc check (c>''0'')');
SELECT undo FROM upg_apply('shape x2','alter table t drop constraint cc');
DROP VIEW vv;
ALTER TABLE t alter c type bigint using 0;
SELECT state FROM upg_rollback('shape x2');
SELECT undo FROM upg_apply('shape y1','alter table t add constraint uq unique (name) include (c)');
SELECT undo FROM upg_apply('shape y2','alter table t drop constraint uq');
ALTER TABLE t alter c type int;
SELECT state FROM upg_rollback('shape y2');
CREATE TABLE f (i int references t);
SELECT undo FROM upg_apply('shape z1','alter table f drop constraint f_i_fkey');
ALTER TABLE f alter i type bigint;
SELECT state FROM upg_rollback('shape z1');
ALTER TABLE f alter i type text using i::text;
SELECT undo FROM upg_apply('shape z2','create table n(a int, b text)');
CREATE TRIGGER tr before update on n for each row when (old.b <> new.b) execute function suppress_redundant_updates_trigger();
CREATE POLICY p on n using (a > 0);
CREATE STATISTICS st on a, (b||'x') from n;
SELECT undo FROM upg_apply('shape z3','drop trigger tr on n; drop policy p on n; drop statistics st;');
ALTER TABLE n alter a type numeric;
ALTER TABLE n alter b type varchar(10);
SELECT state FROM upg_rollback('shape z3');
-- the same type again, and what does not name the column
ALTER TABLE n ALTER a TYPE int, ALTER b TYPE text;
SELECT state FROM upg_rollback('shape z3');
SELECT tgname FROM pg_trigger WHERE tgrelid = 'n'::regclass;
ALTER TABLE n ADD c int, ADD d text;
CREATE INDEX n_c ON n (c);
SELECT undo FROM upg_apply('shape z4', 'drop index n_c');
SELECT undo FROM upg_apply('shape z5', 'alter table n alter d type varchar(10)');
SELECT state FROM upg_rollback('shape z4');
SELECT state FROM upg_rollback('shape z5');
\d n
DROP SCHEMA undo_shape CASCADE;
SELECT count(upg_finalize(migration)) > 0 AS finalized FROM upg_status() WHERE migration LIKE 'shape %' AND state = 'applied';
