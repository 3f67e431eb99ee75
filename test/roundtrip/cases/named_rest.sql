-- case: 34 a label before another, unused
ALTER TYPE shop.mood ADD VALUE 'a' BEFORE 'low'; ALTER TYPE shop.mood ADD VALUE 'b' BEFORE 'ok'; ALTER TYPE shop.mood ADD VALUE 'c' AFTER 'b'; ALTER TYPE shop.mood ADD VALUE 'd' AFTER 'high';
-- case: 36 a label of an array, a domain, a composite, a default and a check
CREATE DOMAIN shop.dm AS shop.mood CHECK (VALUE <> 'low'); CREATE TYPE shop.cm AS (m shop.mood, n int); CREATE TABLE shop.t36 (a shop.mood[] DEFAULT '{ok}', d shop.dm DEFAULT 'high', c shop.cm, e shop.mood CHECK (e IN ('ok', 'low'))) ; INSERT INTO shop.t36 VALUES (DEFAULT, DEFAULT, ROW('low', 1), 'ok'); ALTER TYPE shop.mood RENAME VALUE 'ok' TO 'okay';
-- case: 36 a label of a partition bound
CREATE TABLE shop.pm (m shop.mood, n int) PARTITION BY LIST (m); CREATE TABLE shop.pm1 PARTITION OF shop.pm FOR VALUES IN ('low', 'ok'); INSERT INTO shop.pm VALUES ('ok', 1); ALTER TYPE shop.mood RENAME VALUE 'ok' TO 'fair';
-- case: 37 all labels renamed
ALTER TYPE shop.mood RENAME VALUE 'low' TO 'x'; ALTER TYPE shop.mood RENAME VALUE 'high' TO 'low'; ALTER TYPE shop.mood RENAME VALUE 'x' TO 'high';
-- case: 38 attributes of a composite under stored values
ALTER TYPE shop.pair ADD ATTRIBUTE c text CASCADE, DROP ATTRIBUTE a CASCADE; ALTER TYPE shop.pair ADD ATTRIBUTE a int CASCADE;
-- case: 38 a row written with the new shape of a composite
ALTER TYPE shop.pair ADD ATTRIBUTE c int CASCADE; UPDATE shop.orders SET p = ROW(1, 'x', 3)::shop.pair WHERE id = 1; INSERT INTO shop.orders (person, p) VALUES (3, ROW(5, 'y', 6));
-- case: 38 a composite that nobody stores changes its types
CREATE TYPE shop.free AS (a int, b text); ALTER TYPE shop.free ALTER ATTRIBUTE b TYPE varchar(5), DROP ATTRIBUTE a; ALTER TYPE shop.free RENAME ATTRIBUTE b TO bee;
-- case: 39 a domain's constraint not valid, then validated
ALTER DOMAIN shop.positive ADD CONSTRAINT few CHECK (VALUE < 1000) NOT VALID; ALTER DOMAIN shop.positive VALIDATE CONSTRAINT few; ALTER DOMAIN shop.positive RENAME CONSTRAINT positive_check TO pos; ALTER DOMAIN shop.positive SET NOT NULL;
-- case: 40 a domain over a domain over an array
CREATE DOMAIN shop.ints AS int[] CHECK (cardinality(VALUE) < 5); CREATE DOMAIN shop.fewer AS shop.ints CHECK (cardinality(VALUE) < 4) DEFAULT '{1}'; CREATE TABLE shop.t40 (a shop.fewer, b shop.positive[]); INSERT INTO shop.t40 VALUES (DEFAULT, '{3,4}'); ALTER DOMAIN shop.ints ADD CHECK (VALUE[1] > 0); ALTER DOMAIN shop.fewer DROP DEFAULT;
-- case: 41 a range with a canonical function and a multirange name
CREATE TYPE shop.dr AS RANGE (subtype = float8, subtype_diff = float8mi, multirange_type_name = shop.many_dr); CREATE TABLE shop.t41 (r shop.dr, m shop.many_dr, EXCLUDE USING gist (r WITH &&)); INSERT INTO shop.t41 VALUES ('[1,2)', '{[1,2)}'); ALTER TYPE shop.dr RENAME TO dr2; ALTER TYPE shop.span RENAME TO spans;
-- case: 42 a shell type completed, with operators on it
CREATE TYPE shop.my; CREATE FUNCTION shop.my_in(cstring) RETURNS shop.my LANGUAGE internal IMMUTABLE STRICT AS 'int4in'; CREATE FUNCTION shop.my_out(shop.my) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out'; CREATE TYPE shop.my (INPUT = shop.my_in, OUTPUT = shop.my_out, LIKE = int4, DEFAULT = '7'); CREATE TABLE shop.t42 (a shop.my, b shop.my[]); INSERT INTO shop.t42 VALUES ('3', '{1,2}'); ALTER TYPE shop.my SET (STORAGE = plain); DROP TYPE shop.my CASCADE;
-- case: 42 a type that exists is dropped with its functions
-- setup: CREATE TYPE shop.my; CREATE FUNCTION shop.my_in(cstring) RETURNS shop.my LANGUAGE internal IMMUTABLE STRICT AS 'int4in'; CREATE FUNCTION shop.my_out(shop.my) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out'; CREATE TYPE shop.my (INPUT = shop.my_in, OUTPUT = shop.my_out, LIKE = int4); CREATE TABLE shop.t42 (a shop.my, n int); INSERT INTO shop.t42 VALUES ('3', 4)
-- after: DROP TABLE shop.t42; DROP TYPE shop.my CASCADE
DROP TYPE shop.my CASCADE; UPDATE shop.t42 SET n = 5;
-- case: 43 a table's row type as argument of its own default and check
CREATE TABLE shop.t43 (a int, b int); CREATE FUNCTION shop.f43(shop.t43) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'; ALTER TABLE shop.t43 ADD CHECK (shop.f43(t43) > 0); INSERT INTO shop.t43 VALUES (1, 2); ALTER TABLE shop.t43 ADD COLUMN c int DEFAULT 3; CREATE FUNCTION shop.g43() RETURNS SETOF shop.people LANGUAGE sql AS 'SELECT * FROM shop.people';
-- case: 44 a check over a list of words replaced
ALTER TABLE shop.people ADD COLUMN kind varchar(10) DEFAULT 'a' CHECK (kind IN ('a', 'b')); ALTER TABLE shop.people DROP CONSTRAINT people_kind_check; ALTER TABLE shop.people ADD CONSTRAINT people_kind_check CHECK (kind IN ('a', 'b', 'c')); CREATE INDEX ON shop.people (id) WHERE kind IN ('a', 'c'); CREATE VIEW shop.v44 AS SELECT * FROM shop.people WHERE kind IN ('a', 'b');
-- case: 45 check and foreign key not valid, then validated
ALTER TABLE shop.items ADD CHECK (line > 0) NOT VALID, ADD CONSTRAINT f2 FOREIGN KEY (order_id) REFERENCES shop.orders NOT VALID; ALTER TABLE shop.items VALIDATE CONSTRAINT items_line_check; ALTER TABLE shop.items VALIDATE CONSTRAINT f2; ALTER TABLE shop.orders ADD CHECK (total >= 0) NOT VALID;
-- case: 46 a foreign key to itself, one to a partitioned table, a cycle of two
CREATE TABLE shop.a46 (id int PRIMARY KEY, b int, up int REFERENCES shop.a46 DEFERRABLE); CREATE TABLE shop.b46 (id int PRIMARY KEY, a int REFERENCES shop.a46); ALTER TABLE shop.a46 ADD FOREIGN KEY (b) REFERENCES shop.b46 ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED; INSERT INTO shop.a46 VALUES (1, 1, 1); INSERT INTO shop.b46 VALUES (1, 1); ALTER TABLE shop.parts ADD COLUMN a int REFERENCES shop.a46 ON UPDATE CASCADE; UPDATE shop.parts SET a = 1 WHERE id = 4;
-- case: 46 a cycle of long standing loses its keys
-- setup: CREATE TABLE shop.a46 (id int PRIMARY KEY, b int); CREATE TABLE shop.b46 (id int PRIMARY KEY, a int REFERENCES shop.a46); ALTER TABLE shop.a46 ADD FOREIGN KEY (b) REFERENCES shop.b46; INSERT INTO shop.a46 VALUES (1, NULL); INSERT INTO shop.b46 VALUES (1, 1); UPDATE shop.a46 SET b = 1
-- after: DROP TABLE shop.a46, shop.b46 CASCADE
ALTER TABLE shop.a46 DROP CONSTRAINT a46_pkey CASCADE; DELETE FROM shop.a46; DROP TABLE shop.b46 CASCADE; DROP TABLE shop.a46;
-- case: 47 exclusion constraint over existing rows, with a predicate
CREATE EXTENSION btree_gist; ALTER TABLE shop.items ADD CONSTRAINT no_two EXCLUDE USING gist (order_id WITH =, line WITH =) WHERE (line > 0); INSERT INTO shop.items VALUES (3, 8, 'z'); ALTER TABLE shop.items DROP CONSTRAINT no_two; ALTER TABLE shop.items ADD CONSTRAINT no_two EXCLUDE USING btree (order_id WITH =, line WITH =) DEFERRABLE;
-- case: 48 unique with nulls not distinct, replaced
ALTER TABLE shop.people ADD COLUMN k int; UPDATE shop.people SET k = id WHERE id > 1; ALTER TABLE shop.people ADD CONSTRAINT u48 UNIQUE NULLS NOT DISTINCT (k); ALTER TABLE shop.people DROP CONSTRAINT people_email_key; ALTER TABLE shop.people ADD CONSTRAINT people_email_key UNIQUE (email) INCLUDE (name);
-- case: 49 primary key from an index, which it renames
CREATE UNIQUE INDEX plain ON shop.people (id); ALTER TABLE shop.orders DROP CONSTRAINT orders_person_fkey; ALTER TABLE shop.people DROP CONSTRAINT people_pkey; ALTER TABLE shop.people ADD CONSTRAINT fresh_pkey PRIMARY KEY USING INDEX plain;
-- case: 52 merged by inheritance, and it fails
-- expect: 23502
ALTER TABLE shop.child ADD CONSTRAINT m52 CHECK (a > -1); ALTER TABLE shop.parent ADD CONSTRAINT m52 CHECK (a > -1); ALTER TABLE shop.child ADD COLUMN d int; ALTER TABLE shop.parent ADD COLUMN d int; ALTER TABLE shop.parent ALTER COLUMN d SET NOT NULL;
-- case: 52 columns and constraints merged by inheritance
ALTER TABLE shop.child ADD CONSTRAINT m52 CHECK (a > -1); ALTER TABLE shop.parent ADD CONSTRAINT m52 CHECK (a > -1); ALTER TABLE shop.child ADD COLUMN d int; ALTER TABLE shop.parent ADD COLUMN d int; UPDATE shop.parent SET d = 1; ALTER TABLE shop.parent ALTER COLUMN d SET NOT NULL; ALTER TABLE shop.parent DROP COLUMN b;
-- case: 53 checks that are not inherited
ALTER TABLE ONLY shop.parent ADD CONSTRAINT n53 CHECK (a < 9) NO INHERIT; CREATE TABLE shop.c53 () INHERITS (shop.parent); INSERT INTO shop.c53 VALUES (50, 'free');
-- case: 54 statistics over expressions
CREATE STATISTICS shop.s54 (mcv, dependencies) ON (lower(name)), (score * 2), mood FROM shop.people; ALTER STATISTICS shop.s54 RENAME TO s54b; ALTER STATISTICS shop.people_stats SET SCHEMA other; ANALYZE shop.people;
-- case: 62 update, rewrite, update, rewrite, update
UPDATE shop.items SET what = 'one' WHERE line = 1; ALTER TABLE shop.items ALTER COLUMN line TYPE bigint; UPDATE shop.items SET what = what || ' two'; ALTER TABLE shop.items ALTER COLUMN line TYPE numeric; DELETE FROM shop.items WHERE order_id % 2 = 0; INSERT INTO shop.items VALUES (1, 99, 'three');
-- case: 63 delete, insert, then drop
DELETE FROM shop.many WHERE id > 2; INSERT INTO shop.many VALUES (90, repeat('q', 20000)); UPDATE shop.many SET id = id + 1000; DROP TABLE shop.many;
-- case: 64 rows with values of a sequence
INSERT INTO shop.people (name) SELECT 'seq ' || g FROM generate_series(1, 40) g; SELECT nextval('shop.tickets') FROM generate_series(1, 40);
-- case: 64 the sequence was used since
-- between: SELECT nextval('shop.people_id_seq')
-- after: SELECT setval('shop.people_id_seq', 60, true)
INSERT INTO shop.people (name) VALUES ('gone again');
-- case: 65 merge with all kinds of actions
MERGE INTO shop.people t USING (SELECT g AS id, 'm' || g AS name FROM generate_series(50, 70) g) s ON t.id = s.id WHEN MATCHED AND t.id % 2 = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET name = s.name || '!' WHEN NOT MATCHED THEN INSERT (id, name) VALUES (s.id, s.name);
-- case: 65 on conflict with a predicate, returning
WITH i AS (INSERT INTO shop.people (id, name, email) SELECT g, 'n' || g, 'p' || g || '@example.org' FROM generate_series(55, 75) g ON CONFLICT (email) DO UPDATE SET note = excluded.name WHERE people.id > 57 RETURNING id) INSERT INTO shop.log SELECT '2024-01-01', id::text FROM i;
-- case: 66 copy from a file of the server
-- setup: COPY (SELECT g, 'copied ' || g FROM generate_series(1, 50) g) TO '/tmp/upg-roundtrip-66.txt'
COPY shop.nokey FROM '/tmp/upg-roundtrip-66.txt';
-- case: 67 foreign keys that cascade, set null and set defaults
CREATE TABLE shop.sets (a int DEFAULT 1 REFERENCES shop.people ON DELETE SET DEFAULT ON UPDATE CASCADE, b int REFERENCES shop.people ON DELETE SET NULL ON UPDATE CASCADE); INSERT INTO shop.sets SELECT id, id FROM shop.people; DELETE FROM shop.people WHERE id BETWEEN 5 AND 15; ALTER TABLE shop.orders DROP CONSTRAINT orders_person_fkey; UPDATE shop.people SET id = id + 10000 WHERE id > 50;
-- case: 68 a side table written by a trigger
UPDATE shop.orders SET total = total + 1 WHERE id <= 50; DELETE FROM shop.log WHERE what = 'same' AND ctid = (SELECT min(ctid) FROM shop.log);
-- case: 69 a replica's session skips triggers and keys
SET session_replication_role = replica; DELETE FROM shop.orders WHERE id < 20; UPDATE shop.orders SET total = 1; SET session_replication_role = origin;
-- case: 70 all triggers off, and on again
ALTER TABLE shop.orders DISABLE TRIGGER ALL; DELETE FROM shop.orders WHERE id > 150; ALTER TABLE shop.orders ENABLE TRIGGER ALL; ALTER TABLE shop.orders ENABLE ALWAYS TRIGGER orders_touch; ALTER TABLE shop.log DISABLE RULE log_no_delete;
-- case: 71 half of the work is undone inside
DO $$ BEGIN INSERT INTO shop.nokey VALUES (2, 'stays'); BEGIN INSERT INTO shop.nokey VALUES (3, 'goes'); ALTER TABLE shop.nokey ADD COLUMN z int; TRUNCATE shop.log; ALTER TABLE shop.nokey ALTER COLUMN a TYPE bigint; RAISE EXCEPTION 'undo'; EXCEPTION WHEN raise_exception THEN UPDATE shop.nokey SET b = 'handled' WHERE a = 2; END; DELETE FROM shop.nokey WHERE ctid = (SELECT min(ctid) FROM shop.nokey); END $$;
-- case: 71 a table dropped inside what is undone, then dropped for good
DO $$ BEGIN BEGIN DROP TABLE shop.nokey; RAISE EXCEPTION 'undo'; EXCEPTION WHEN raise_exception THEN NULL; END; UPDATE shop.nokey SET a = 4; BEGIN TRUNCATE shop.items; RAISE EXCEPTION 'undo'; EXCEPTION WHEN raise_exception THEN NULL; END; DELETE FROM shop.items WHERE order_id = 7; DROP TABLE shop.nokey; DROP TABLE shop.items; END $$;
-- case: 72 a loop with an exception block around each row
DO $$ DECLARE i int; BEGIN FOR i IN 1..80 LOOP BEGIN INSERT INTO shop.people (id, name, email) VALUES (i + 20, 'loop', 'l' || i); EXCEPTION WHEN unique_violation THEN UPDATE shop.people SET note = 'met ' || i WHERE id = i + 20; END; END LOOP; END $$;
-- case: 74 duplicates without a key are changed one by one
DO $$ DECLARE t tid; BEGIN FOR t IN SELECT ctid FROM shop.nokey LIMIT 5 LOOP UPDATE shop.nokey SET b = 'one of them' WHERE ctid = t; END LOOP; DELETE FROM shop.nokey WHERE ctid IN (SELECT ctid FROM shop.nokey WHERE b = 'dup' LIMIT 3); INSERT INTO shop.nokey VALUES (1, 'dup'), (1, 'dup'); END $$;
-- case: 75 every row twice, keys moved
UPDATE shop.items SET line = line + 1; UPDATE shop.items SET line = line - 1, what = what || '?'; UPDATE shop.scratch SET a = a + 1000; UPDATE shop.scratch SET a = -a;
-- case: 76 toasted rows of more than a megabyte
INSERT INTO shop.many SELECT 1000 + g, (SELECT string_agg(md5((g * i)::text), '') FROM generate_series(1, 40000) i) FROM generate_series(1, 2) g; UPDATE shop.many SET id = id + 5000; UPDATE shop.many SET big = substr(big, 1, 100000) || big WHERE id > 1000; DELETE FROM shop.many WHERE id = 5;
-- case: 76 a toasted row unchanged by an update of its neighbour column, then the table is rewritten
ALTER TABLE shop.many ADD COLUMN n int DEFAULT 0; UPDATE shop.many SET n = 1; UPDATE shop.many SET n = 2 WHERE id < 4; ALTER TABLE shop.many ALTER COLUMN n TYPE text; UPDATE shop.many SET n = 'three' WHERE id < 2;
-- case: 77 large objects made, changed and removed
-- setup: SELECT lo_from_bytea(777, decode(repeat('0a', 5000), 'hex')); SELECT lo_from_bytea(9, 'nine')
-- after: SELECT lo_unlink(777); SELECT lo_unlink(9)
SELECT lo_put(777, 100, 'changed'); SELECT lo_unlink(9); SELECT lo_from_bytea(10, 'ten'); DO $$ BEGIN PERFORM lo_truncate(lo_open(777, 131072), 2500); END $$; COMMENT ON LARGE OBJECT 777 IS 'c'; GRANT SELECT ON LARGE OBJECT 777 TO PUBLIC;
-- case: 78 truncate with restarted sequences, cascading
TRUNCATE shop.orders, shop.people RESTART IDENTITY CASCADE; INSERT INTO shop.people (name) VALUES ('first again'); INSERT INTO shop.orders (person) VALUES (1);
-- case: 79 truncate of a partition and of the whole
TRUNCATE ONLY shop.parts_eu; INSERT INTO shop.parts VALUES (1, 'eu', 'again'); TRUNCATE shop.parts; INSERT INTO shop.parts VALUES (2, 'us', 'and again');
-- case: 80 an unlogged table changed, truncated, dropped
UPDATE shop.scratch SET a = a + 5; TRUNCATE shop.scratch; INSERT INTO shop.scratch VALUES (7); CREATE UNLOGGED TABLE shop.s2 AS SELECT * FROM shop.scratch; DROP TABLE shop.scratch;
-- case: 81 order of grants, grant options, columns, a system function
-- fresh: lists of grants are written out now
-- setup: CREATE ROLE rt_g1; CREATE ROLE rt_g2; GRANT SELECT ON shop.orders TO rt_g1 WITH GRANT OPTION; GRANT SELECT, UPDATE ON shop.orders TO rt_g2
-- after: REVOKE ALL ON shop.orders FROM rt_g1 CASCADE; REVOKE ALL ON shop.orders FROM rt_g2; DROP ROLE rt_g1, rt_g2
REVOKE SELECT ON shop.orders FROM rt_g1; GRANT SELECT ON shop.orders TO rt_g1; GRANT UPDATE (total, state) ON shop.orders TO rt_g1; SET ROLE rt_g1; RESET ROLE; REVOKE SELECT (state) ON shop.orders FROM PUBLIC; GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_file(text) TO rt_g2; GRANT ALL ON SCHEMA shop TO rt_g2 WITH GRANT OPTION; GRANT USAGE ON SEQUENCE shop.tickets TO rt_g1; GRANT SET ON PARAMETER log_statement TO rt_g1;
-- case: 82 default privileges changed twice
-- setup: CREATE ROLE rt_dp; ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO rt_dp
-- after: ALTER DEFAULT PRIVILEGES IN SCHEMA shop REVOKE SELECT ON TABLES FROM rt_dp; DROP ROLE rt_dp
ALTER DEFAULT PRIVILEGES IN SCHEMA shop REVOKE SELECT ON TABLES FROM rt_dp; ALTER DEFAULT PRIVILEGES FOR ROLE rt_dp GRANT USAGE ON TYPES TO PUBLIC; ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO rt_dp; CREATE TABLE shop.dp82 (a serial);
-- case: 83 comments on everything
-- setup: CREATE ROLE rt_83
-- after: DROP ROLE rt_83
COMMENT ON ROLE rt_83 IS 'r'; COMMENT ON TYPE shop.mood IS 't'; COMMENT ON DOMAIN shop.positive IS 'd'; COMMENT ON SEQUENCE shop.tickets IS 's'; COMMENT ON VIEW shop.v1 IS 'v'; COMMENT ON MATERIALIZED VIEW shop.mv IS 'm'; COMMENT ON TRIGGER orders_touch ON shop.orders IS 't'; COMMENT ON RULE log_no_delete ON shop.log IS 'r'; COMMENT ON POLICY own ON shop.people IS 'p'; COMMENT ON STATISTICS shop.people_stats IS 's'; COMMENT ON PUBLICATION pub IS 'p'; COMMENT ON EXTENSION pgcrypto IS 'e'; COMMENT ON TABLE shop.people IS NULL; COMMENT ON CONSTRAINT positive_check ON DOMAIN shop.positive IS 'c'; COMMENT ON COLUMN shop.v1.name IS 'n'; COMMENT ON LANGUAGE plpgsql IS 'l'; COMMENT ON CAST (int AS bigint) IS 'c'; COMMENT ON OPERATOR + (int, int) IS 'o';
-- case: 84 row security, policies for roles
-- setup: CREATE ROLE rt_84; CREATE ROLE rt_84b
-- after: DROP ROLE rt_84, rt_84b
ALTER TABLE shop.people FORCE ROW LEVEL SECURITY; ALTER POLICY own ON shop.people TO rt_84; ALTER POLICY own ON shop.people RENAME TO mine; CREATE POLICY p84 ON shop.orders AS RESTRICTIVE FOR ALL TO rt_84, rt_84b USING (EXISTS (SELECT FROM shop.people WHERE id = person)); ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY;
-- case: 85 a view gets columns, rules come and go
CREATE OR REPLACE VIEW shop.v1 AS SELECT id, name, mood, born, email FROM shop.people WHERE score > 5; CREATE RULE v1_i AS ON INSERT TO shop.v1 DO INSTEAD INSERT INTO shop.log VALUES (NULL, NEW.name); CREATE OR REPLACE RULE log_no_delete AS ON DELETE TO shop.log DO INSTEAD SELECT 1; INSERT INTO shop.v1 (name) VALUES ('by rule');
-- case: 86 check option, defaults and options of views
CREATE OR REPLACE VIEW shop.v1 WITH (security_invoker = true, check_option = local) AS SELECT id, name, mood FROM shop.people WHERE score > 5; ALTER VIEW shop.v1 ALTER COLUMN mood SET DEFAULT 'low'; ALTER VIEW shop.v1 RESET (security_invoker); CREATE RECURSIVE VIEW shop.rv (n) AS SELECT 1 UNION ALL SELECT n + 1 FROM rv WHERE n < 5;
-- case: 87 an event trigger writes while the migration runs
-- setup: CREATE TABLE shop.ddl_log (tag text); CREATE FUNCTION shop.on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO shop.ddl_log VALUES (tg_tag); END'; CREATE EVENT TRIGGER on_ddl ON ddl_command_end EXECUTE FUNCTION shop.on_ddl()
-- after: DROP EVENT TRIGGER on_ddl; DROP FUNCTION shop.on_ddl(); DROP TABLE shop.ddl_log
CREATE TABLE shop.t87 (a int); ALTER TABLE shop.t87 ADD COLUMN b int; DROP TABLE shop.nokey; ALTER EVENT TRIGGER on_ddl DISABLE;
-- case: 87 an event trigger that drops are told to
-- setup: CREATE TABLE shop.ddl_log (tag text); CREATE FUNCTION shop.on_drop() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO shop.ddl_log SELECT object_identity FROM pg_event_trigger_dropped_objects(); END'; CREATE EVENT TRIGGER on_drop ON sql_drop EXECUTE FUNCTION shop.on_drop()
-- after: DROP EVENT TRIGGER on_drop; DROP FUNCTION shop.on_drop(); DROP TABLE shop.ddl_log
DROP TABLE shop.parts CASCADE; ALTER TABLE shop.people DROP COLUMN born; DROP EVENT TRIGGER on_drop;
-- case: 88 publications with row filters, column lists and schemas
CREATE PUBLICATION p88 FOR TABLE shop.people (id, name) WHERE (score > 3), shop.orders; ALTER PUBLICATION p88 SET TABLE shop.people (id, email); ALTER PUBLICATION p88 SET (publish = 'insert'); CREATE PUBLICATION p88s FOR TABLES IN SCHEMA other; ALTER PUBLICATION pub DROP TABLE shop.people; ALTER PUBLICATION pub RENAME TO pub2;
-- case: 90 options of wrapper, server, mapping and foreign table
-- setup: CREATE FOREIGN DATA WRAPPER w90 OPTIONS (debug '1'); CREATE SERVER s90 TYPE 't' VERSION '1' FOREIGN DATA WRAPPER w90; CREATE USER MAPPING FOR PUBLIC SERVER s90 OPTIONS (u 'x'); CREATE FOREIGN TABLE shop.f90 (a int OPTIONS (c '1'), b text) SERVER s90 OPTIONS (t 'y')
-- after: DROP FOREIGN DATA WRAPPER w90 CASCADE
ALTER FOREIGN DATA WRAPPER w90 OPTIONS (SET debug '0', ADD more '2'); ALTER SERVER s90 VERSION '2' OPTIONS (host 'h'); ALTER USER MAPPING FOR PUBLIC SERVER s90 OPTIONS (DROP u); ALTER FOREIGN TABLE shop.f90 ALTER COLUMN a OPTIONS (SET c '2'), ADD COLUMN d int, OPTIONS (DROP t); ALTER FOREIGN TABLE shop.f90 DROP COLUMN b; ALTER SERVER s90 RENAME TO s91;
-- case: 90 a wrapper and all that hangs on it is dropped
-- setup: CREATE FOREIGN DATA WRAPPER w90; CREATE SERVER s90 FOREIGN DATA WRAPPER w90; CREATE USER MAPPING FOR PUBLIC SERVER s90; CREATE FOREIGN TABLE shop.f90 (a int) SERVER s90
-- after: DROP FOREIGN DATA WRAPPER w90 CASCADE
DROP FOREIGN DATA WRAPPER w90 CASCADE;
-- case: 91 text search mappings and members of an operator family
CREATE TEXT SEARCH CONFIGURATION shop.ts (COPY = english); ALTER TEXT SEARCH CONFIGURATION shop.ts DROP MAPPING FOR email, url; ALTER TEXT SEARCH CONFIGURATION shop.ts ALTER MAPPING REPLACE english_stem WITH simple; CREATE TEXT SEARCH DICTIONARY shop.td (TEMPLATE = simple, STOPWORDS = english); ALTER TEXT SEARCH DICTIONARY shop.td (ACCEPT = false); CREATE OPERATOR FAMILY shop.of USING btree; ALTER OPERATOR FAMILY shop.of USING btree ADD OPERATOR 1 < (int, int), OPERATOR 3 = (int, int), FUNCTION 1 (int, int) btint4cmp(int, int); ALTER OPERATOR FAMILY shop.of USING btree DROP OPERATOR 3 (int, int); ALTER TABLE shop.people ADD COLUMN tv tsvector GENERATED ALWAYS AS (to_tsvector('english', name)) STORED;
-- case: 92 transform, cast, conversion
CREATE FUNCTION shop.m2i(shop.mood) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT length($1::text)'; CREATE CAST (shop.mood AS int) WITH FUNCTION shop.m2i(shop.mood) AS ASSIGNMENT; ALTER TABLE shop.people ADD COLUMN ml int; UPDATE shop.people SET ml = mood; CREATE DEFAULT CONVERSION shop.c92 FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8; DROP CAST (shop.mood AS int);
-- case: 93 settings of roles and databases
-- setup: CREATE ROLE rt_93 LOGIN; ALTER ROLE rt_93 SET work_mem = '3MB'
-- after: DROP ROLE rt_93
ALTER ROLE rt_93 SET search_path = shop, other; ALTER ROLE rt_93 IN DATABASE upg_roundtrip SET statement_timeout = 5; ALTER ROLE rt_93 NOLOGIN CONNECTION LIMIT 3 VALID UNTIL '2030-01-01' PASSWORD NULL; ALTER DATABASE upg_roundtrip SET lock_timeout = 9; ALTER ROLE ALL SET deadlock_timeout = '2s'; ALTER ROLE rt_93 RESET work_mem;
-- case: 94 a setting of the server
-- expect: UP021
ALTER SYSTEM SET work_mem = '5MB';
-- case: 95 an extension made at an old version and updated, members come and go
CREATE EXTENSION hstore SCHEMA other VERSION '1.4'; ALTER EXTENSION hstore UPDATE; CREATE TABLE shop.t95 (h other.hstore); INSERT INTO shop.t95 VALUES ('a=>1'); ALTER EXTENSION hstore DROP FUNCTION other.akeys(other.hstore); ALTER EXTENSION pgcrypto ADD TABLE shop.nokey; ALTER EXTENSION hstore SET SCHEMA shop;
-- case: 95 an extension of long standing is updated
-- setup: CREATE EXTENSION hstore SCHEMA other VERSION '1.4'; CREATE TABLE shop.t95 (h other.hstore); INSERT INTO shop.t95 VALUES ('a=>1'); CREATE INDEX ON shop.t95 USING gist (h)
-- after: DROP TABLE shop.t95; DROP EXTENSION hstore
ALTER EXTENSION hstore UPDATE;
-- case: 96 functions with a body of SQL, over views and types that change
CREATE FUNCTION shop.at1(p shop.pair) RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT (p).b; END; CREATE FUNCTION shop.at2() RETURNS SETOF shop.v1 LANGUAGE sql BEGIN ATOMIC SELECT * FROM shop.v1; END; CREATE PROCEDURE shop.at3(n int) LANGUAGE sql BEGIN ATOMIC INSERT INTO shop.log VALUES (NULL, n::text); DELETE FROM shop.log WHERE what = n::text; END; CALL shop.at3(4); ALTER FUNCTION shop.atomic(int) RENAME TO atom; ALTER TABLE shop.people RENAME COLUMN mood TO feeling;
-- case: 97 a procedure that commits cannot be part of a step
-- expect: 2D000
DO $$ BEGIN UPDATE shop.nokey SET a = 0; COMMIT; END $$;
-- case: 98 changes as a role that is not a superuser
-- fresh: lists of grants are written out now
-- setup: CREATE ROLE rt_98; GRANT ALL ON SCHEMA shop TO rt_98; ALTER TABLE shop.nokey OWNER TO rt_98
-- after: ALTER TABLE shop.nokey OWNER TO postgres; REVOKE ALL ON SCHEMA shop FROM rt_98; DROP ROLE rt_98
SET ROLE rt_98; ALTER TABLE shop.nokey ADD COLUMN c int DEFAULT 3; CREATE TABLE shop.t98 (a int); INSERT INTO shop.t98 VALUES (1); DROP TABLE shop.nokey; RESET ROLE;
-- case: 99 a temporary table and a view over it
CREATE TEMP TABLE tmp99 AS SELECT id, name FROM shop.people; CREATE TEMP VIEW tv99 AS SELECT * FROM tmp99 JOIN shop.nokey ON true; UPDATE shop.people p SET note = t.name FROM tmp99 t WHERE t.id = p.id AND p.id > 55; DROP TABLE tmp99 CASCADE;
-- case: 100 a database
-- expect: UP021
CREATE DATABASE rt_never;
-- case: 100 a tablespace
-- expect: UP021
CREATE TABLESPACE rt_never LOCATION '';
