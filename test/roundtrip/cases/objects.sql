-- case: create indexes
CREATE INDEX ON shop.orders (state); CREATE UNIQUE INDEX ON shop.orders (id, person); CREATE INDEX ON shop.orders USING hash (total); CREATE INDEX ON shop.orders ((total + 1)) WHERE total > 5; CREATE INDEX ON shop.people (name) INCLUDE (email);
-- case: drop indexes
DROP INDEX shop.people_lower, shop.people_partial, shop.people_extra;
-- case: index renamed, options
ALTER INDEX shop.people_lower RENAME TO pl; ALTER INDEX shop.pl SET (fillfactor = 50); ALTER INDEX shop.people_partial SET (fillfactor = 60);
-- case: reindex
-- nothing: an index is built anew
REINDEX TABLE shop.people;
-- case: index attach
CREATE INDEX parts_v ON ONLY shop.parts (v); CREATE INDEX eu_v ON shop.parts_eu (v); ALTER INDEX shop.parts_v ATTACH PARTITION shop.eu_v;
-- case: add check not valid, validate
ALTER TABLE shop.people ADD CONSTRAINT c CHECK (score >= 0) NOT VALID; ALTER TABLE shop.people VALIDATE CONSTRAINT c;
-- case: add foreign keys
ALTER TABLE shop.items ADD CONSTRAINT f FOREIGN KEY (order_id) REFERENCES shop.orders DEFERRABLE INITIALLY DEFERRED; ALTER TABLE shop.people ADD COLUMN boss int REFERENCES shop.people ON DELETE SET NULL;
-- case: fk not valid and validate
ALTER TABLE shop.orders DROP CONSTRAINT orders_person_fkey; ALTER TABLE shop.orders ADD CONSTRAINT fk FOREIGN KEY (person) REFERENCES shop.people NOT VALID; ALTER TABLE shop.orders VALIDATE CONSTRAINT fk;
-- case: fk to partitioned table
CREATE TABLE shop.ref (id int, r text, FOREIGN KEY (id, r) REFERENCES shop.parts); INSERT INTO shop.ref VALUES (2, 'eu');
-- case: drop primary key cascade
ALTER TABLE shop.people DROP CONSTRAINT people_pkey CASCADE;
-- case: drop unique constraint
ALTER TABLE shop.people DROP CONSTRAINT people_email_key;
-- case: drop check constraint
ALTER TABLE shop.people DROP CONSTRAINT name_len;
-- case: replace in-list check
ALTER TABLE shop.orders DROP CONSTRAINT orders_state_check; ALTER TABLE shop.orders ADD CONSTRAINT orders_state_check CHECK (state IN ('new', 'paid', 'gone', 'lost'));
-- case: unique using index
CREATE UNIQUE INDEX q ON shop.items (what); ALTER TABLE shop.items ADD CONSTRAINT items_what UNIQUE USING INDEX q;
-- case: nulls not distinct
CREATE UNIQUE INDEX nnd ON shop.people (mood, id) NULLS NOT DISTINCT;
-- case: rename constraint
ALTER TABLE shop.people RENAME CONSTRAINT name_len TO nl; ALTER TABLE shop.people RENAME CONSTRAINT people_pkey TO pk;
-- case: alter constraint deferrable
ALTER TABLE shop.orders ALTER CONSTRAINT orders_person_fkey DEFERRABLE INITIALLY DEFERRED;
-- case: no inherit check
ALTER TABLE shop.parent ADD CONSTRAINT ni CHECK (a > 0) NO INHERIT; ALTER TABLE shop.parent ADD CONSTRAINT inherited CHECK (a > 0);
-- case: exclusion constraint
ALTER TABLE shop.scratch ADD COLUMN r int4range; ALTER TABLE shop.scratch ADD EXCLUDE USING gist (r WITH &&);
-- case: replace view with more columns
CREATE OR REPLACE VIEW shop.v3 AS SELECT name, sum(total) AS total, count(*) AS n FROM shop.v2 GROUP BY name;
-- case: drop and recreate view chain
DROP VIEW shop.v1 CASCADE; CREATE VIEW shop.v1 AS SELECT id, name FROM shop.people; CREATE VIEW shop.v2 AS SELECT name FROM shop.v1;
-- case: view options, default, check option
ALTER VIEW shop.v1 SET (security_barrier); ALTER VIEW shop.v1 ALTER COLUMN name SET DEFAULT 'x'; CREATE OR REPLACE VIEW shop.v1 AS SELECT id, name, mood FROM shop.people WHERE score > 6 WITH CHECK OPTION; ALTER VIEW shop.v2 RENAME COLUMN total TO t;
-- case: materialized view made and dropped
CREATE MATERIALIZED VIEW shop.mv2 AS SELECT 1 AS a; DROP MATERIALIZED VIEW shop.mv;
-- case: refresh materialized view
INSERT INTO shop.orders (person) VALUES (1); REFRESH MATERIALIZED VIEW shop.mv;
-- case: refresh with no data
REFRESH MATERIALIZED VIEW shop.mv WITH NO DATA;
-- case: matview without data
CREATE MATERIALIZED VIEW shop.mv3 AS SELECT * FROM shop.people WITH NO DATA;
-- case: replace function
CREATE OR REPLACE FUNCTION shop.add(a int, b int DEFAULT 5) RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN RETURN a * b; END'; ALTER FUNCTION shop.add(int, int) COST 7;
-- case: drop function and create another
DROP FUNCTION shop.add(int, int); CREATE FUNCTION shop.add(a int, b int) RETURNS text LANGUAGE sql AS 'SELECT (a + b)::text';
-- case: atomic function replaced
CREATE OR REPLACE FUNCTION shop.atomic(a int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT count(*)::int + a FROM shop.people; END;
-- case: procedure, aggregate, operator
CREATE PROCEDURE shop.p() LANGUAGE sql AS 'SELECT 1'; CREATE AGGREGATE shop.agg (int) (sfunc = int4pl, stype = int, initcond = '0'); CREATE FUNCTION shop.eq(int, int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 = $2'; CREATE OPERATOR shop.=== (leftarg = int, rightarg = int, procedure = shop.eq, commutator = OPERATOR(shop.===));
-- case: operator class and family
CREATE OPERATOR FAMILY shop.fam USING btree; CREATE FUNCTION shop.cmp(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 - $2'; CREATE OPERATOR CLASS shop.oc FOR TYPE int USING btree FAMILY shop.fam AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 shop.cmp(int, int); CREATE INDEX oi ON shop.items (line shop.oc);
-- case: drop function used by trigger, cascade
DROP FUNCTION shop.touch() CASCADE;
-- case: triggers made, replaced, disabled
CREATE TRIGGER a BEFORE INSERT ON shop.people FOR EACH ROW WHEN (NEW.score > 3) EXECUTE FUNCTION suppress_redundant_updates_trigger(); CREATE OR REPLACE TRIGGER orders_touch AFTER UPDATE OF total ON shop.orders FOR EACH STATEMENT EXECUTE FUNCTION shop.touch(); ALTER TABLE shop.items DISABLE TRIGGER ALL; CREATE CONSTRAINT TRIGGER ct AFTER INSERT ON shop.items DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION shop.touch();
-- case: drop trigger
DROP TRIGGER orders_touch ON shop.orders;
-- case: rename trigger, disable trigger
ALTER TRIGGER orders_touch ON shop.orders RENAME TO renamed; ALTER TABLE shop.orders DISABLE TRIGGER renamed;
-- case: partition triggers
CREATE TRIGGER pt AFTER INSERT ON shop.parts FOR EACH ROW EXECUTE FUNCTION shop.touch(); INSERT INTO shop.parts VALUES (99, 'eu', 'n');
-- case: rules
CREATE RULE r AS ON INSERT TO shop.log DO ALSO NOTHING; DROP RULE log_no_delete ON shop.log;
-- case: event trigger
CREATE FUNCTION shop.et() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER et ON ddl_command_end EXECUTE FUNCTION shop.et(); CREATE TABLE shop.under_et (a int);
-- case: enum add values
ALTER TYPE shop.mood ADD VALUE 'best'; ALTER TYPE shop.mood ADD VALUE 'mid' BEFORE 'high'; ALTER TYPE shop.mood ADD VALUE IF NOT EXISTS 'ok';
-- case: enum rename value
ALTER TYPE shop.mood RENAME VALUE 'ok' TO 'fine';
-- case: new enum used at once
CREATE TYPE shop.color AS ENUM ('r', 'g'); ALTER TABLE shop.people ADD COLUMN color shop.color DEFAULT 'r';
-- case: enum replaced by a new one
ALTER TYPE shop.mood RENAME TO mood_old; CREATE TYPE shop.mood AS ENUM ('low', 'high'); DROP VIEW shop.v1 CASCADE; ALTER TABLE shop.people ALTER COLUMN mood DROP DEFAULT; ALTER TABLE shop.people ALTER COLUMN mood TYPE shop.mood USING (CASE mood::text WHEN 'ok' THEN 'low' ELSE mood::text END)::shop.mood; ALTER TABLE shop.people ALTER COLUMN mood SET DEFAULT 'low'; DROP TYPE shop.mood_old;
-- case: drop type cascade
DROP TYPE shop.mood CASCADE;
-- case: composite changed under stored values
ALTER TYPE shop.pair ADD ATTRIBUTE c int CASCADE; ALTER TYPE shop.pair RENAME ATTRIBUTE b TO bb;
-- case: composite attribute dropped
ALTER TYPE shop.pair DROP ATTRIBUTE b CASCADE;
-- case: composite dropped cascade
DROP TYPE shop.pair CASCADE;
-- case: domain constraints
ALTER DOMAIN shop.positive ADD CONSTRAINT small CHECK (VALUE < 100000) NOT VALID; ALTER DOMAIN shop.positive DROP CONSTRAINT positive_check; ALTER DOMAIN shop.positive SET DEFAULT 3; ALTER DOMAIN shop.positive VALIDATE CONSTRAINT small;
-- case: domain over domain and array
CREATE DOMAIN shop.d2 AS shop.positive CHECK (VALUE > 1); CREATE TABLE shop.dt (a shop.d2[], b shop.span); INSERT INTO shop.dt VALUES ('{2,3}', '[1,4)');
-- case: range type
CREATE TYPE shop.trange AS RANGE (subtype = time, multirange_type_name = tmr); DROP TYPE shop.span;
-- case: shell type completed
CREATE TYPE shop.sh; CREATE FUNCTION shop.shin(cstring) RETURNS shop.sh LANGUAGE internal IMMUTABLE STRICT AS 'int4in'; CREATE FUNCTION shop.shout(shop.sh) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out'; CREATE TYPE shop.sh (INPUT = shop.shin, OUTPUT = shop.shout, LIKE = int4);
-- case: cast and conversion and collation
CREATE CAST (shop.pair AS text) WITH inout; CREATE COLLATION shop.coll (locale = 'C'); CREATE CONVERSION shop.conv FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
-- case: text search
CREATE TEXT SEARCH CONFIGURATION shop.cfg (COPY = simple); CREATE TEXT SEARCH DICTIONARY shop.dict (TEMPLATE = simple); ALTER TEXT SEARCH CONFIGURATION shop.cfg ALTER MAPPING FOR asciiword WITH shop.dict;
-- case: sequences
CREATE SEQUENCE shop.s2 OWNED BY shop.people.id; ALTER SEQUENCE shop.tickets INCREMENT 10 MAXVALUE 100000 CYCLE; SELECT nextval('shop.tickets'); SELECT setval('shop.people_id_seq', 900);
-- case: sequence restarted
ALTER SEQUENCE shop.tickets RESTART WITH 5000;
-- case: drop sequence used by default
DROP SEQUENCE shop.people_id_seq CASCADE;
-- case: sequence only used
SELECT nextval('shop.tickets'), nextval('shop.people_id_seq'); SELECT setval('shop.tickets', 7, false);
-- case: rename sequence, type, index, function, view
ALTER SEQUENCE shop.tickets RENAME TO t1; ALTER TYPE shop.mood RENAME TO m1; ALTER FUNCTION shop.add(int, int) RENAME TO plus; ALTER VIEW shop.v2 RENAME TO vv2; ALTER MATERIALIZED VIEW shop.mv RENAME TO mmv; ALTER SCHEMA other RENAME TO another;
-- case: comments
COMMENT ON TABLE shop.people IS 'new'; COMMENT ON COLUMN shop.people.email IS NULL; COMMENT ON FUNCTION shop.add(int, int) IS 'f'; COMMENT ON CONSTRAINT name_len ON shop.people IS 'c'; COMMENT ON INDEX shop.people_lower IS 'i'; COMMENT ON DATABASE upg_roundtrip IS 'd'; COMMENT ON SCHEMA shop IS 's';
-- case: grants
GRANT UPDATE ON shop.people TO PUBLIC; REVOKE SELECT ON shop.people FROM PUBLIC; GRANT SELECT ON shop.people TO PUBLIC; GRANT UPDATE (note) ON shop.people TO PUBLIC; REVOKE ALL ON FUNCTION shop.add(int, int) FROM PUBLIC; GRANT USAGE ON SCHEMA shop TO PUBLIC; GRANT USAGE ON TYPE shop.mood TO PUBLIC;
-- case: grant on system function
REVOKE EXECUTE ON FUNCTION pg_catalog.pg_sleep(float8) FROM PUBLIC; GRANT SELECT ON pg_catalog.pg_proc TO PUBLIC;
-- case: default privileges
ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO PUBLIC; ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC; CREATE TABLE shop.dp (a int);
-- case: roles
CREATE ROLE rt_new; GRANT SELECT ON shop.people TO rt_new; ALTER TABLE shop.log OWNER TO rt_new; CREATE ROLE rt_two IN ROLE rt_new; ALTER ROLE rt_two SET work_mem = '1MB'; COMMENT ON ROLE rt_two IS 'x'; CREATE POLICY pr ON shop.people TO rt_new USING (true);
-- case: owner changes
CREATE ROLE rt_owner; ALTER TABLE shop.people OWNER TO rt_owner; ALTER SCHEMA shop OWNER TO rt_owner; ALTER FUNCTION shop.add(int, int) OWNER TO rt_owner; ALTER TYPE shop.mood OWNER TO rt_owner;
-- case: reassign and drop owned
CREATE ROLE rt_a; CREATE ROLE rt_b; ALTER TABLE shop.nokey OWNER TO rt_a; REASSIGN OWNED BY rt_a TO rt_b; DROP OWNED BY rt_b CASCADE;
-- case: database settings
ALTER DATABASE upg_roundtrip SET work_mem = '2MB'; GRANT CONNECT ON DATABASE upg_roundtrip TO PUBLIC; ALTER DATABASE upg_roundtrip CONNECTION LIMIT 50;
-- case: policies and row security
CREATE POLICY p2 ON shop.people FOR UPDATE USING (id > 3) WITH CHECK (id > 4); ALTER POLICY own ON shop.people USING (id = 1); ALTER TABLE shop.people DISABLE ROW LEVEL SECURITY; ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY; ALTER TABLE shop.orders FORCE ROW LEVEL SECURITY;
-- case: drop policy
DROP POLICY own ON shop.people;
-- case: publications
CREATE PUBLICATION p2 FOR TABLE shop.orders (id, total) WHERE (total > 5); ALTER PUBLICATION pub ADD TABLES IN SCHEMA other; DROP PUBLICATION pub;
-- case: publication for all tables
CREATE PUBLICATION pall FOR ALL TABLES;
-- case: extended statistics
ALTER STATISTICS shop.people_stats SET STATISTICS 500; CREATE STATISTICS shop.s3 (ndistinct) ON (lower(name)), born FROM shop.people; DROP STATISTICS shop.people_stats;
-- case: create extension
CREATE EXTENSION hstore SCHEMA shop; ALTER TABLE shop.people ADD COLUMN h shop.hstore DEFAULT ''; CREATE INDEX ON shop.people USING gin (h);
-- case: drop extension cascade
ALTER TABLE shop.people ALTER COLUMN note SET DEFAULT encode(gen_random_bytes(3), 'hex'); DROP EXTENSION pgcrypto CASCADE;
-- case: extension member added
CREATE FUNCTION shop.mem() RETURNS int LANGUAGE sql AS 'SELECT 1'; ALTER EXTENSION pgcrypto ADD FUNCTION shop.mem();
-- case: large objects
SELECT lo_from_bytea(5001, '\x0102'); SELECT lo_put(5001, 0, '\xff'); COMMENT ON LARGE OBJECT 5001 IS 'lo'; GRANT SELECT ON LARGE OBJECT 5001 TO PUBLIC;
-- case: transform and language
-- nothing: made and dropped
CREATE FUNCTION shop.fs(internal) RETURNS internal LANGUAGE internal AS 'int4in'; DROP FUNCTION shop.fs(internal);
