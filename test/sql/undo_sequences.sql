-- Sequences that a migration moves before it gives them another file or drops them.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS upg;
CREATE SCHEMA undo_sequences;
SET search_path = undo_sequences, public;
CREATE TABLE t (a int, b bigint GENERATED ALWAYS AS IDENTITY, c serial, d serial, n int);
INSERT INTO t (a) SELECT generate_series(1, 11);
CREATE TABLE u (a int, b serial);
INSERT INTO u SELECT 1 FROM generate_series(1, 5);
CREATE SEQUENCE s;
CREATE FUNCTION values_now() RETURNS text LANGUAGE sql AS $$
    SELECT format('b %s %s, c %s %s, d %s %s, u %s, s %s %s', b.last_value, b.is_called, c.last_value, c.is_called, d.last_value, d.is_called,
                  u.last_value, s.last_value, s.is_called) FROM t_b_seq b, t_c_seq c, t_d_seq d, u_b_seq u, s $$;
SELECT values_now();

\echo # moved, then altered, restarted or dropped
\set script 'INSERT INTO t VALUES (20); INSERT INTO u VALUES (1); SELECT nextval(\'s\'); ALTER SEQUENCE s INCREMENT 2; ALTER SEQUENCE t_b_seq CACHE 9; ALTER SEQUENCE t_c_seq RESTART WITH 500; TRUNCATE t RESTART IDENTITY; DROP FUNCTION values_now(); DROP TABLE u'
SELECT verdict FROM upg.capture_run('us1', :'script');
SELECT last_value, is_called FROM t_d_seq;
SELECT notes FROM upg.capture_undo('us1');
SELECT values_now();

\echo # the new file was used since: what it gave out is not given out again
SELECT verdict FROM upg.capture_run('us1', 'SELECT nextval(''s''); ALTER SEQUENCE s INCREMENT 2; ALTER SEQUENCE t_c_seq RESTART WITH 500; ALTER SEQUENCE t_d_seq RESTART');
SELECT nextval('s'), nextval('t_c_seq'), nextval('t_d_seq');
SELECT notes FROM upg.capture_undo('us1');
SELECT values_now();

\echo # going down
ALTER SEQUENCE s INCREMENT -1 MINVALUE -100 MAXVALUE 100 RESTART WITH 50;
SELECT nextval('s');
SELECT verdict FROM upg.capture_run('us2', 'SELECT nextval(''s''); ALTER SEQUENCE s CACHE 2');
SELECT nextval('s');
SELECT notes FROM upg.capture_undo('us2');
SELECT nextval('s');

DROP SCHEMA undo_sequences CASCADE;
