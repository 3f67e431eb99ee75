-- Kinds of statements and shapes that real migrations are made of.
-- case: a new column in the middle of use: filled, checked, indexed
ALTER TABLE shop.orders ADD COLUMN currency char(3); UPDATE shop.orders SET currency = 'EUR'; ALTER TABLE shop.orders ALTER COLUMN currency SET NOT NULL, ADD CHECK (currency = upper(currency)); CREATE INDEX orders_currency ON shop.orders (currency, state);
-- case: many columns in one statement
ALTER TABLE shop.people ADD COLUMN a1 int, ADD COLUMN a2 text NOT NULL DEFAULT '', ADD COLUMN a3 boolean DEFAULT false, DROP COLUMN extra, ALTER COLUMN born SET DEFAULT current_date, ADD CONSTRAINT a3_known CHECK (a3 IS NOT NULL), ALTER COLUMN note TYPE varchar;
-- case: a column with a foreign key and an index on it
ALTER TABLE shop.items ADD COLUMN picker int REFERENCES shop.people (id) ON DELETE SET NULL; UPDATE shop.items SET picker = 1 + order_id % 60; CREATE INDEX ON shop.items (picker); ALTER TABLE shop.items ALTER COLUMN picker SET NOT NULL;
-- case: a table with keys of several columns
CREATE TABLE shop.prices (item bigint, line int, since date DEFAULT current_date, price numeric(10,2) NOT NULL CHECK (price >= 0), PRIMARY KEY (item, line, since), FOREIGN KEY (item, line) REFERENCES shop.items (order_id, line) MATCH FULL ON UPDATE CASCADE); INSERT INTO shop.prices (item, line, price) SELECT order_id, line, 3.5 FROM shop.items; COMMENT ON TABLE shop.prices IS 'what it costs'; CREATE INDEX prices_since ON shop.prices USING brin (since);
-- case: a join table replaces an array column
ALTER TABLE shop.people ADD COLUMN tags text[] DEFAULT '{a,b}'; CREATE TABLE shop.tags (person int REFERENCES shop.people ON DELETE CASCADE, tag text, UNIQUE (person, tag)); INSERT INTO shop.tags SELECT id, unnest(tags) FROM shop.people; ALTER TABLE shop.people DROP COLUMN tags;
-- case: json taken apart into columns
ALTER TABLE shop.people ADD COLUMN n int; UPDATE shop.people SET n = (extra->>'n')::int; UPDATE shop.people SET extra = extra - 'n' || jsonb_build_object('moved', true); DROP INDEX shop.people_extra; CREATE INDEX people_moved ON shop.people ((extra->>'moved')); ALTER TABLE shop.people ALTER COLUMN extra TYPE json;
-- case: text search column kept by a trigger
ALTER TABLE shop.people ADD COLUMN search tsvector; UPDATE shop.people SET search = to_tsvector('simple', name || ' ' || coalesce(note, '')); CREATE INDEX ON shop.people USING gin (search); CREATE TRIGGER search BEFORE INSERT OR UPDATE ON shop.people FOR EACH ROW EXECUTE FUNCTION tsvector_update_trigger(search, 'pg_catalog.simple', name, note); UPDATE shop.people SET name = name || ' s' WHERE id < 5;
-- case: primary key replaced by a uuid
ALTER TABLE shop.items DROP CONSTRAINT items_pkey; ALTER TABLE shop.items ADD COLUMN id uuid NOT NULL DEFAULT gen_random_uuid(); ALTER TABLE shop.items ADD PRIMARY KEY (id); ALTER TABLE shop.items ADD UNIQUE (order_id, line);
-- case: integer keys widened through foreign keys
DROP VIEW shop.v1 CASCADE; DROP MATERIALIZED VIEW shop.mv; ALTER TABLE shop.orders DROP CONSTRAINT orders_person_fkey; ALTER TABLE shop.people ALTER COLUMN id TYPE bigint; ALTER TABLE shop.orders ALTER COLUMN person TYPE bigint; ALTER TABLE shop.orders ADD CONSTRAINT orders_person_fkey FOREIGN KEY (person) REFERENCES shop.people ON DELETE CASCADE; ALTER SEQUENCE shop.people_id_seq AS bigint;
-- case: a type narrowed after cleaning the data
-- expect: 0A000
UPDATE shop.people SET name = left(name, 20), note = NULL WHERE length(note) > 50; ALTER TABLE shop.people ALTER COLUMN note TYPE varchar(50); ALTER TABLE shop.orders ALTER COLUMN total TYPE numeric(12,2);
-- case: a type narrowed after cleaning the data, no generated column over it
UPDATE shop.people SET note = NULL WHERE length(note) > 50; ALTER TABLE shop.people ALTER COLUMN note TYPE varchar(50); ALTER TABLE shop.items ALTER COLUMN what TYPE varchar(30), ALTER COLUMN what SET NOT NULL;
-- case: timestamps get a zone
ALTER TABLE shop.people ADD COLUMN seen timestamp DEFAULT '2024-01-01'; ALTER TABLE shop.people ALTER COLUMN seen TYPE timestamptz USING seen AT TIME ZONE 'UTC'; ALTER TABLE shop.people ALTER COLUMN seen SET DEFAULT now(); ALTER TABLE shop.log ALTER COLUMN at TYPE timestamp USING at AT TIME ZONE 'UTC';
-- case: money in cents
DROP VIEW shop.v1 CASCADE; ALTER TABLE shop.orders DROP COLUMN tax; ALTER TABLE shop.orders ALTER COLUMN total DROP DEFAULT; ALTER TABLE shop.orders ALTER COLUMN total TYPE bigint USING (total * 100)::bigint; ALTER TABLE shop.orders ALTER COLUMN total SET DEFAULT 0; ALTER TABLE shop.orders RENAME COLUMN total TO total_cents;
-- case: boolean replaced by an enum
ALTER TABLE shop.people ADD COLUMN active boolean NOT NULL DEFAULT true; CREATE TYPE shop.status AS ENUM ('active', 'gone'); ALTER TABLE shop.people ALTER COLUMN active DROP DEFAULT; ALTER TABLE shop.people ALTER COLUMN active TYPE shop.status USING CASE WHEN active THEN 'active' ELSE 'gone' END::shop.status; ALTER TABLE shop.people RENAME COLUMN active TO status; ALTER TABLE shop.people ALTER COLUMN status SET DEFAULT 'active';
-- case: text state replaced by a lookup table
CREATE TABLE shop.states (id smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text UNIQUE); INSERT INTO shop.states (name) SELECT DISTINCT state FROM shop.orders ORDER BY 1; ALTER TABLE shop.orders ADD COLUMN state_id smallint REFERENCES shop.states; UPDATE shop.orders o SET state_id = s.id FROM shop.states s WHERE s.name = o.state; ALTER TABLE shop.orders ALTER COLUMN state_id SET NOT NULL; ALTER TABLE shop.orders DROP COLUMN state;
-- case: one table divided in two, views in its place
ALTER TABLE shop.people RENAME TO persons; CREATE TABLE shop.profiles (person int PRIMARY KEY REFERENCES shop.persons, note text, extra jsonb); INSERT INTO shop.profiles SELECT id, note, extra FROM shop.persons; ALTER TABLE shop.persons DROP COLUMN note, DROP COLUMN extra; CREATE VIEW shop.people AS SELECT * FROM shop.persons LEFT JOIN shop.profiles ON person = id;
-- case: two tables made one
CREATE TABLE shop.everything AS SELECT o.*, i.line, i.what FROM shop.orders o LEFT JOIN shop.items i ON i.order_id = o.id; ALTER TABLE shop.everything ADD PRIMARY KEY (id); DROP TABLE shop.items; DROP TABLE shop.orders CASCADE; ALTER TABLE shop.everything RENAME TO orders; CREATE SEQUENCE shop.orders_seq OWNED BY shop.orders.id; SELECT setval('shop.orders_seq', max(id)) FROM shop.orders; ALTER TABLE shop.orders ALTER COLUMN id SET DEFAULT nextval('shop.orders_seq');
-- case: rows made unique, then a unique index
DELETE FROM shop.log a USING shop.log b WHERE a.ctid > b.ctid AND a.what = b.what; CREATE UNIQUE INDEX log_what ON shop.log (what); ALTER TABLE shop.log ALTER COLUMN at SET NOT NULL;
-- case: numbering by a window function
ALTER TABLE shop.orders ADD COLUMN nr int; WITH n AS (SELECT id, row_number() OVER (PARTITION BY person ORDER BY at, id) AS r FROM shop.orders) UPDATE shop.orders o SET nr = n.r FROM n WHERE n.id = o.id; ALTER TABLE shop.orders ADD UNIQUE (person, nr);
-- case: orphans deleted, then a foreign key
ALTER TABLE shop.items DROP CONSTRAINT items_order_id_fkey; DELETE FROM shop.orders WHERE id < 11; DELETE FROM shop.items WHERE NOT EXISTS (SELECT FROM shop.orders o WHERE o.id = order_id); ALTER TABLE shop.items ADD CONSTRAINT items_order_fk FOREIGN KEY (order_id) REFERENCES shop.orders ON DELETE RESTRICT;
-- case: defaults in all shapes
ALTER TABLE shop.people ALTER COLUMN note SET DEFAULT concat('made ', current_date::text), ALTER COLUMN score SET DEFAULT (1 + 2) * 3, ALTER COLUMN extra SET DEFAULT jsonb_build_object('a', ARRAY[1, 2]), ALTER COLUMN name SET DEFAULT NULL, ALTER COLUMN email DROP DEFAULT; INSERT INTO shop.people (id, name) VALUES (700, 'defaults');
-- case: a partial unique index in place of a constraint
ALTER TABLE shop.people DROP CONSTRAINT people_email_key; CREATE UNIQUE INDEX people_email_live ON shop.people (lower(email)) WHERE mood <> 'low'; DROP INDEX IF EXISTS shop.no_such_index;
-- case: indexes of every access method
CREATE INDEX ON shop.people USING btree (name text_pattern_ops DESC NULLS LAST, id); CREATE INDEX ON shop.people USING hash (email); CREATE INDEX ON shop.people USING gin (extra jsonb_path_ops); CREATE INDEX ON shop.people USING brin (id) WITH (pages_per_range = 4); CREATE INDEX ON shop.people USING spgist (note); CREATE INDEX ON shop.people (name COLLATE "C") WHERE email IS NOT NULL; CREATE INDEX ON shop.people ((extra->>'n'), (lower(email)));
-- case: a migration that makes an index only if it is not there
CREATE INDEX IF NOT EXISTS people_lower ON shop.people (lower(name)); CREATE UNIQUE INDEX IF NOT EXISTS brand_new ON shop.people (id, name); ALTER TABLE shop.people ADD COLUMN IF NOT EXISTS email text, ADD COLUMN IF NOT EXISTS phone text; DROP TABLE IF EXISTS shop.nobody, shop.log; CREATE SCHEMA IF NOT EXISTS shop; CREATE EXTENSION IF NOT EXISTS pgcrypto;
-- case: a trigger function replaced with its triggers
CREATE OR REPLACE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = shop AS $$BEGIN INSERT INTO log VALUES (now(), 'replaced'); RETURN NEW; END$$; DROP TRIGGER orders_touch ON shop.orders; CREATE TRIGGER orders_touch BEFORE UPDATE OR INSERT OR DELETE ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.touch(); UPDATE shop.orders SET total = 5 WHERE id = 9;
-- case: statement triggers with transition tables
CREATE FUNCTION shop.many_changed() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO shop.log SELECT now(), count(*)::text FROM fresh; RETURN NULL; END$$; CREATE TRIGGER counted AFTER UPDATE ON shop.items REFERENCING NEW TABLE AS fresh OLD TABLE AS stale FOR EACH STATEMENT EXECUTE FUNCTION shop.many_changed(); UPDATE shop.items SET what = 'counted' WHERE order_id < 50;
-- case: updated_at kept by one trigger a table, in a loop
CREATE FUNCTION shop.stamp() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.updated_at := now(); RETURN NEW; END$$; DO $$ DECLARE t text; BEGIN FOREACH t IN ARRAY ARRAY['people', 'orders', 'items', 'nokey'] LOOP EXECUTE format('ALTER TABLE shop.%I ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now()', t); EXECUTE format('CREATE TRIGGER stamp BEFORE UPDATE ON shop.%I FOR EACH ROW EXECUTE FUNCTION shop.stamp()', t); END LOOP; END $$; UPDATE shop.nokey SET b = 'stamped';
-- case: functions overloaded, one signature dropped
CREATE FUNCTION shop.add(a text, b text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT a || b'; CREATE FUNCTION shop.add(VARIADIC int[]) RETURNS int LANGUAGE sql AS 'SELECT 1'; DROP FUNCTION shop.add(int, int); CREATE FUNCTION shop.add(a int, b int, OUT c int, OUT d int) LANGUAGE plpgsql AS 'BEGIN c := a; d := b; END';
-- case: a function with every option
CREATE OR REPLACE FUNCTION shop.add(a int, b int DEFAULT 1) RETURNS int LANGUAGE sql STABLE STRICT LEAKPROOF SECURITY DEFINER PARALLEL SAFE COST 3 SET work_mem = '1MB' AS 'SELECT a'; ALTER FUNCTION shop.add(int, int) RESET ALL; ALTER FUNCTION shop.atomic(int) SET search_path = shop; GRANT EXECUTE ON FUNCTION shop.add(int, int) TO PUBLIC; CREATE FUNCTION shop.tab() RETURNS TABLE (x int, y text) LANGUAGE sql ROWS 7 AS 'SELECT 1, ''a''';
-- case: aggregates, ordinary, ordered and moving
CREATE AGGREGATE shop.total(numeric) (sfunc = numeric_add, stype = numeric, initcond = '0', combinefunc = numeric_add, parallel = safe); CREATE AGGREGATE shop.moving(int) (sfunc = int4pl, stype = int, msfunc = int4pl, minvfunc = int4mi, mstype = int, initcond = '0', minitcond = '0'); CREATE VIEW shop.totals AS SELECT person, shop.total(total) FROM shop.orders GROUP BY 1; CREATE OR REPLACE AGGREGATE shop.total(numeric) (sfunc = numeric_add, stype = numeric, initcond = '1');
-- case: an aggregate of long standing is dropped
-- setup: CREATE AGGREGATE shop.total(numeric) (sfunc = numeric_add, stype = numeric, initcond = '0'); CREATE VIEW shop.totals AS SELECT person, shop.total(total) FROM shop.orders GROUP BY 1
-- after: DROP AGGREGATE shop.total(numeric) CASCADE
DROP AGGREGATE shop.total(numeric) CASCADE;
-- case: operators with commutators and negators, and an index on them
CREATE FUNCTION shop.lt(shop.pair, shop.pair) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT ($1).a < ($2).a'; CREATE FUNCTION shop.ge(shop.pair, shop.pair) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT ($1).a >= ($2).a'; CREATE OPERATOR shop.<< (leftarg = shop.pair, rightarg = shop.pair, procedure = shop.lt, commutator = OPERATOR(shop.>>), negator = OPERATOR(shop.>>=), restrict = scalarltsel); CREATE OPERATOR shop.>>= (leftarg = shop.pair, rightarg = shop.pair, procedure = shop.ge, negator = OPERATOR(shop.<<)); ALTER OPERATOR shop.<< (shop.pair, shop.pair) SET (join = scalarltjoinsel); DROP OPERATOR shop.>>= (shop.pair, shop.pair);
-- case: a procedure and a call of it
CREATE PROCEDURE shop.archive(days int) LANGUAGE plpgsql AS $$BEGIN CREATE TABLE IF NOT EXISTS other.archive (LIKE shop.orders INCLUDING DEFAULTS); WITH gone AS (DELETE FROM shop.orders WHERE id % days = 0 RETURNING *) INSERT INTO other.archive OVERRIDING SYSTEM VALUE SELECT (g).* FROM gone g LIMIT 0; END$$; CALL shop.archive(4);
-- case: views over views replaced from below
DROP VIEW shop.v3, shop.v2; CREATE OR REPLACE VIEW shop.v1 AS SELECT id, name, mood, email FROM shop.people; CREATE VIEW shop.v2 AS SELECT v1.name, o.total, v1.email FROM shop.v1 JOIN shop.orders o ON o.person = v1.id; CREATE VIEW shop.v3 AS SELECT name, sum(total) AS total FROM shop.v2 GROUP BY name; GRANT SELECT ON shop.v3 TO PUBLIC; COMMENT ON VIEW shop.v3 IS 'new';
-- case: materialized views made with indexes, refreshed after a change
CREATE MATERIALIZED VIEW shop.mv2 AS SELECT state, count(*) AS n, sum(total) AS s FROM shop.orders GROUP BY state; CREATE UNIQUE INDEX ON shop.mv2 (state); UPDATE shop.orders SET state = 'gone' WHERE id % 3 = 0; REFRESH MATERIALIZED VIEW shop.mv2; REFRESH MATERIALIZED VIEW shop.mv; ALTER MATERIALIZED VIEW shop.mv2 RENAME COLUMN n TO count; CREATE VIEW shop.on_mv2 AS SELECT * FROM shop.mv2;
-- case: a materialized view replaced by a table
CREATE TABLE shop.mv_table AS TABLE shop.mv; DROP MATERIALIZED VIEW shop.mv; ALTER TABLE shop.mv_table RENAME TO mv; ALTER TABLE shop.mv ADD PRIMARY KEY (person);
-- case: sequences of all kinds
CREATE SEQUENCE shop.s1 AS smallint INCREMENT -1 MINVALUE -100 MAXVALUE -1 START -1 CACHE 3 CYCLE; SELECT nextval('shop.s1'), nextval('shop.s1'); ALTER SEQUENCE shop.s1 NO CYCLE CACHE 1; CREATE SEQUENCE shop.s2 OWNED BY shop.nokey.a; ALTER TABLE shop.nokey ALTER COLUMN a SET DEFAULT nextval('shop.s2'); INSERT INTO shop.nokey (b) VALUES ('numbered'); ALTER SEQUENCE shop.tickets START 200 RESTART; ALTER SEQUENCE shop.s1 SET LOGGED;
-- case: sequences of all kinds, restarted and dropped
CREATE SEQUENCE shop.s1 AS smallint INCREMENT -1 MINVALUE -100 MAXVALUE -1 START -1 CACHE 3 CYCLE; SELECT nextval('shop.s1'), nextval('shop.s1'); ALTER SEQUENCE shop.s1 NO CYCLE CACHE 1; CREATE SEQUENCE shop.s2 OWNED BY shop.nokey.a; ALTER TABLE shop.nokey ALTER COLUMN a SET DEFAULT nextval('shop.s2'); INSERT INTO shop.nokey (b) VALUES ('numbered'); ALTER SEQUENCE shop.tickets START 200 RESTART; SELECT nextval('shop.tickets'); DROP SEQUENCE shop.s2 CASCADE; DROP SEQUENCE shop.tickets;
-- case: serial columns made by hand, as old dumps do
CREATE SEQUENCE shop.hand_id_seq; CREATE TABLE shop.hand (id int NOT NULL DEFAULT nextval('shop.hand_id_seq'::regclass), v text); ALTER SEQUENCE shop.hand_id_seq OWNED BY shop.hand.id; ALTER TABLE ONLY shop.hand ADD CONSTRAINT hand_pkey PRIMARY KEY (id); INSERT INTO shop.hand (v) VALUES ('a'), ('b'); SELECT pg_catalog.setval('shop.hand_id_seq', 77, true);
-- case: grants as an application's installer writes them
-- setup: CREATE ROLE rt_app; CREATE ROLE rt_read
-- after: DROP ROLE rt_app, rt_read
-- fresh: lists of grants are written out now
GRANT USAGE ON SCHEMA shop TO rt_app, rt_read; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA shop TO rt_app; GRANT SELECT ON ALL TABLES IN SCHEMA shop TO rt_read; GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA shop TO rt_app; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA shop TO rt_app; ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO rt_read; REVOKE ALL ON shop.log FROM rt_read; GRANT rt_read TO rt_app WITH ADMIN OPTION; REVOKE CREATE ON SCHEMA public FROM PUBLIC;
-- case: roles made and changed inside
CREATE ROLE rt_in LOGIN PASSWORD 'x' VALID UNTIL '2031-01-01'; CREATE ROLE rt_in2 NOINHERIT; GRANT rt_in TO rt_in2; ALTER ROLE rt_in RENAME TO rt_in3; ALTER ROLE rt_in3 WITH CREATEDB CREATEROLE; ALTER GROUP rt_in3 ADD USER postgres; DROP ROLE rt_in2; CREATE SCHEMA AUTHORIZATION rt_in3; COMMENT ON ROLE rt_in3 IS 'inside';
-- case: row security for tenants
ALTER TABLE shop.orders ADD COLUMN tenant text NOT NULL DEFAULT current_user; ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY; CREATE POLICY tenant ON shop.orders USING (tenant = current_setting('app.tenant', true)) WITH CHECK (tenant = current_user::text); CREATE POLICY seen ON shop.items FOR SELECT USING (EXISTS (SELECT FROM shop.orders o WHERE o.id = order_id)); ALTER TABLE shop.items ENABLE ROW LEVEL SECURITY; DROP POLICY own ON shop.people; ALTER TABLE shop.people DISABLE ROW LEVEL SECURITY;
-- case: a table made partitioned, rows moved
ALTER TABLE shop.log RENAME TO log_old; CREATE TABLE shop.log (at timestamptz NOT NULL, what text) PARTITION BY RANGE (at); CREATE TABLE shop.log_2023 PARTITION OF shop.log FOR VALUES FROM ('2023-01-01') TO ('2024-01-01'); CREATE TABLE shop.log_2024 PARTITION OF shop.log FOR VALUES FROM ('2024-01-01') TO ('2025-01-01') WITH (fillfactor = 70); CREATE TABLE shop.log_rest PARTITION OF shop.log DEFAULT; INSERT INTO shop.log SELECT * FROM shop.log_old; DROP TABLE shop.log_old; CREATE INDEX ON shop.log (what);
-- case: partitions of partitions, by hash and list
CREATE TABLE shop.deep (a int, b text, c date, PRIMARY KEY (a, b)) PARTITION BY HASH (a); CREATE TABLE shop.deep0 PARTITION OF shop.deep FOR VALUES WITH (MODULUS 2, REMAINDER 0) PARTITION BY LIST (b); CREATE TABLE shop.deep1 PARTITION OF shop.deep FOR VALUES WITH (MODULUS 2, REMAINDER 1); CREATE TABLE shop.deep0x PARTITION OF shop.deep0 FOR VALUES IN ('x', 'y'); INSERT INTO shop.deep SELECT g, 'x', '2024-01-01' FROM generate_series(1, 40) g; ALTER TABLE shop.deep ADD COLUMN d int DEFAULT 5; CREATE INDEX ON shop.deep (c); DROP TABLE shop.deep1;
-- case: partitions of long standing under a new key and a check
ALTER TABLE shop.parts ADD CONSTRAINT v_not_empty CHECK (v <> ''); ALTER TABLE shop.parts DROP CONSTRAINT parts_pkey; ALTER TABLE shop.parts ADD COLUMN serial bigint GENERATED ALWAYS AS (id * 10) STORED; ALTER TABLE shop.parts ADD PRIMARY KEY (region, id); ALTER TABLE shop.parts ALTER COLUMN v SET NOT NULL;
-- case: inheritance, columns added to the parent, child dropped
ALTER TABLE shop.parent ADD COLUMN z int NOT NULL DEFAULT 1, ADD CHECK (z > 0); CREATE TABLE shop.grandchild (g int) INHERITS (shop.child); INSERT INTO shop.grandchild (a, g) VALUES (5, 6); ALTER TABLE shop.parent RENAME COLUMN b TO bb; ALTER TABLE shop.parent ALTER COLUMN a TYPE bigint; DROP TABLE shop.child CASCADE;
-- case: constraints renamed, replaced and made deferrable
ALTER TABLE shop.orders RENAME CONSTRAINT orders_person_fkey TO who; ALTER TABLE shop.orders ALTER CONSTRAINT who DEFERRABLE INITIALLY DEFERRED; ALTER TABLE shop.items DROP CONSTRAINT items_order_id_fkey, ADD CONSTRAINT items_order_id_fkey FOREIGN KEY (order_id) REFERENCES shop.orders ON DELETE CASCADE ON UPDATE SET NULL NOT VALID; ALTER TABLE shop.people DROP CONSTRAINT people_pkey CASCADE, ADD CONSTRAINT people_pkey PRIMARY KEY (id) INCLUDE (name);
-- case: a swap: new table, copied, old dropped, renamed, grants again
CREATE TABLE shop.orders_new (LIKE shop.orders INCLUDING ALL EXCLUDING IDENTITY); ALTER TABLE shop.orders_new ADD COLUMN version int DEFAULT 1; INSERT INTO shop.orders_new (id, person, total, state, amount, p, at) SELECT id, person, total, state, amount, p, at FROM shop.orders; DROP TABLE shop.orders CASCADE; ALTER TABLE shop.orders_new RENAME TO orders; ALTER INDEX shop.orders_new_pkey RENAME TO orders_pkey; ALTER TABLE shop.orders ADD FOREIGN KEY (person) REFERENCES shop.people; ALTER TABLE shop.items ADD FOREIGN KEY (order_id) REFERENCES shop.orders; GRANT SELECT ON shop.orders TO PUBLIC;
-- case: an enum replaced by way of text
ALTER TABLE shop.people ALTER COLUMN mood DROP DEFAULT; DROP VIEW shop.v1 CASCADE; DROP STATISTICS shop.people_stats; ALTER TABLE shop.people ALTER COLUMN mood TYPE text; DROP TYPE shop.mood; CREATE TYPE shop.mood AS ENUM ('bad', 'good'); UPDATE shop.people SET mood = CASE mood WHEN 'low' THEN 'bad' ELSE 'good' END; ALTER TABLE shop.people ALTER COLUMN mood TYPE shop.mood USING mood::shop.mood; ALTER TABLE shop.people ALTER COLUMN mood SET DEFAULT 'good'; CREATE VIEW shop.v1 AS SELECT id, name, mood FROM shop.people;
-- case: labels added twice over, each in its place
ALTER TYPE shop.mood ADD VALUE IF NOT EXISTS 'low'; ALTER TYPE shop.mood ADD VALUE 'lowest' BEFORE 'low'; ALTER TYPE shop.mood ADD VALUE IF NOT EXISTS 'lowest'; ALTER TYPE shop.mood ADD VALUE 'mid' AFTER 'low'; ALTER TYPE shop.mood ADD VALUE 'mid2' AFTER 'low'; ALTER TYPE shop.mood ADD VALUE 'mid3' BEFORE 'mid2';
-- case: domains made, changed and put to use
CREATE DOMAIN shop.mail AS text CHECK (VALUE ~ '@') NOT NULL DEFAULT 'a@b'; ALTER TABLE shop.people ADD COLUMN second shop.mail; ALTER DOMAIN shop.mail DROP NOT NULL; ALTER DOMAIN shop.mail ADD CONSTRAINT short CHECK (length(VALUE) < 100); ALTER TABLE shop.people ALTER COLUMN second TYPE text; DROP DOMAIN shop.mail; ALTER DOMAIN shop.positive RENAME TO plus; ALTER DOMAIN shop.plus SET SCHEMA other;
-- case: a domain of long standing is dropped with its column
DROP DOMAIN shop.positive CASCADE;
-- case: insert from select with conflict and returning
INSERT INTO shop.people (id, name, email) SELECT id, 'again', email FROM shop.people ON CONFLICT (id) DO UPDATE SET note = 'conflict', score = people.score + 1 WHERE people.id < 30; INSERT INTO shop.people (name, email) VALUES ('x y', 'p1@example.org') ON CONFLICT DO NOTHING;
-- case: update from a join, with a subquery and a default
UPDATE shop.orders o SET total = o.total + i.line, state = DEFAULT FROM shop.items i WHERE i.order_id = o.id AND o.person IN (SELECT id FROM shop.people WHERE score > 20); UPDATE shop.people p SET (note, score) = (SELECT string_agg(o.state, ','), sum(o.total) FROM shop.orders o WHERE o.person = p.id);
-- case: deletes with using and with cascades over three tables
DELETE FROM shop.orders o USING shop.people p WHERE p.id = o.person AND p.mood = 'low'; DELETE FROM shop.people WHERE id > 30;
-- case: a chain of data-modifying queries in one statement
WITH moved AS (DELETE FROM shop.nokey RETURNING a, b), logged AS (INSERT INTO shop.log SELECT now(), b FROM moved RETURNING what), up AS (UPDATE shop.items SET what = 'cte' WHERE order_id IN (1, 2) RETURNING order_id) INSERT INTO shop.nokey SELECT count(*)::int, 'moved' FROM moved;
-- case: a do block that looks at the catalogs before it acts
DO $$ BEGIN IF NOT EXISTS (SELECT FROM information_schema.columns WHERE table_schema = 'shop' AND table_name = 'people' AND column_name = 'phone') THEN ALTER TABLE shop.people ADD COLUMN phone text; END IF; IF EXISTS (SELECT FROM pg_constraint WHERE conname = 'name_len') THEN ALTER TABLE shop.people DROP CONSTRAINT name_len; END IF; IF NOT EXISTS (SELECT FROM pg_type WHERE typname = 'mood') THEN CREATE TYPE shop.mood AS ENUM ('never'); END IF; END $$;
-- case: a do block that works in portions
DO $$ DECLARE n int := 1; BEGIN ALTER TABLE shop.orders ADD COLUMN half numeric; WHILE n > 0 LOOP WITH portion AS (SELECT id FROM shop.orders WHERE half IS NULL LIMIT 37) UPDATE shop.orders o SET half = total / 2 FROM portion p WHERE p.id = o.id; GET DIAGNOSTICS n = ROW_COUNT; END LOOP; ALTER TABLE shop.orders ALTER COLUMN half SET NOT NULL; END $$;
-- case: a do block that swallows what exists already
DO $$ BEGIN BEGIN ALTER TABLE shop.people ADD COLUMN email text; EXCEPTION WHEN duplicate_column THEN NULL; END; BEGIN CREATE TYPE shop.mood AS ENUM ('x'); EXCEPTION WHEN duplicate_object THEN NULL; END; BEGIN ALTER TABLE shop.people ADD COLUMN phone text; EXCEPTION WHEN duplicate_column THEN NULL; END; BEGIN ALTER TABLE shop.people DROP CONSTRAINT nope; EXCEPTION WHEN undefined_object THEN INSERT INTO shop.log VALUES (NULL, 'no such'); END; END $$;
-- case: a function written, used by the migration and dropped
CREATE OR REPLACE FUNCTION pg_temp.slug(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT regexp_replace(lower($1), '[^a-z0-9]+', '-', 'g')$$; ALTER TABLE shop.people ADD COLUMN slug text; UPDATE shop.people SET slug = pg_temp.slug(name) || '-' || id; ALTER TABLE shop.people ADD UNIQUE (slug);
-- case: a function that alters a table in a cursor loop
CREATE FUNCTION shop.retype(t regclass) RETURNS int LANGUAGE plpgsql AS $$DECLARE c record; n int := 0; BEGIN FOR c IN SELECT attname FROM pg_attribute WHERE attrelid = t AND atttypid = 'text'::regtype AND attnum > 0 AND NOT attisdropped LOOP EXECUTE format('ALTER TABLE %s ALTER COLUMN %I TYPE varchar(90000)', t, c.attname); n := n + 1; END LOOP; RETURN n; END$$; SELECT shop.retype('shop.items'), shop.retype('shop.nokey'), shop.retype('shop.many'); DROP FUNCTION shop.retype;
-- case: recursive functions that make and drop tables
CREATE FUNCTION shop.grow(n int) RETURNS void LANGUAGE plpgsql AS $$BEGIN IF n > 0 THEN EXECUTE format('CREATE TABLE shop.grown_%s (id int PRIMARY KEY, up int)', n); EXECUTE format('INSERT INTO shop.grown_%s SELECT g, g FROM generate_series(1, 10) g', n); PERFORM shop.grow(n - 1); IF n % 2 = 0 THEN EXECUTE format('DROP TABLE shop.grown_%s', n); END IF; END IF; END$$; SELECT shop.grow(8);
-- case: triggers off, data moved, triggers on, constraints checked again
ALTER TABLE shop.orders DISABLE TRIGGER USER; ALTER TABLE shop.items DISABLE TRIGGER ALL; UPDATE shop.orders SET state = 'gone' WHERE state = 'new'; ALTER TABLE shop.items ENABLE TRIGGER ALL; ALTER TABLE shop.orders ENABLE TRIGGER USER; SET CONSTRAINTS ALL IMMEDIATE;
-- case: settings that leak, roles set and reset
SET LOCAL search_path = shop, public; SET client_min_messages = warning; CREATE TABLE found_by_path (id serial PRIMARY KEY, p int REFERENCES people); INSERT INTO found_by_path (p) SELECT id FROM people LIMIT 7; CREATE VIEW path_view AS SELECT * FROM found_by_path; SET check_function_bodies = false; CREATE FUNCTION late_bound() RETURNS int LANGUAGE sql AS 'SELECT nothing FROM nowhere';
-- case: what pg_dump writes at its head
SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET client_encoding = 'UTF8'; SET standard_conforming_strings = on; SELECT pg_catalog.set_config('search_path', '', false); SET xmloption = content; SET row_security = off; SET default_tablespace = ''; SET default_table_access_method = heap; CREATE TABLE shop.dumped (id integer NOT NULL, v character varying(255) DEFAULT NULL::character varying); ALTER TABLE shop.dumped OWNER TO postgres; ALTER TABLE ONLY shop.dumped ADD CONSTRAINT dumped_pkey PRIMARY KEY (id);
-- case: comments of all sorts around statements
/* block /* nested */ */ ALTER TABLE shop.nokey /* here */ ADD COLUMN c int; -- to the end
-- case: strings, dollar quotes and identifiers of all sorts
CREATE TABLE shop."Odd ""Name""" ("sp ace" int, "Ünï" text DEFAULT E'tab\tquote''', "select" int DEFAULT 1); INSERT INTO shop."Odd ""Name""" VALUES (1, $x$a $y$ b$x$, 2); CREATE INDEX "In dex" ON shop."Odd ""Name""" ("sp ace") WHERE "select" > 0; COMMENT ON COLUMN shop."Odd ""Name"""."Ünï" IS 'mit Ümläüten';
-- case: unlogged tables, fill factors, storage of columns
-- expect: 42601 until 15
CREATE UNLOGGED TABLE shop.cache (k text PRIMARY KEY, v bytea STORAGE EXTERNAL) WITH (fillfactor = 50, autovacuum_enabled = false); INSERT INTO shop.cache SELECT g::text, decode(repeat('ab', 5000), 'hex') FROM generate_series(1, 20) g; ALTER TABLE shop.cache SET LOGGED; ALTER TABLE shop.orders SET (fillfactor = 90); ALTER INDEX shop.people_lower SET (fillfactor = 70);
-- case: unlogged tables, fill factors, storage of columns, set later
CREATE UNLOGGED TABLE shop.cache (k text PRIMARY KEY, v bytea) WITH (fillfactor = 50, autovacuum_enabled = false); ALTER TABLE shop.cache ALTER COLUMN v SET STORAGE EXTERNAL; INSERT INTO shop.cache SELECT g::text, decode(repeat('ab', 5000), 'hex') FROM generate_series(1, 20) g; ALTER TABLE shop.cache SET LOGGED; ALTER TABLE shop.orders SET (fillfactor = 90); ALTER INDEX shop.people_lower SET (fillfactor = 70);
-- case: exclusion of overlapping periods
ALTER TABLE shop.orders ADD COLUMN during tstzrange; UPDATE shop.orders SET during = tstzrange('2024-01-01'::timestamptz + id * interval '1 day', '2024-01-01'::timestamptz + (id + 1) * interval '1 day'); ALTER TABLE shop.orders ADD CONSTRAINT no_overlap EXCLUDE USING gist (during WITH &&); UPDATE shop.orders SET during = NULL WHERE id > 100;
-- case: generated columns over functions, added and replaced
ALTER TABLE shop.people ADD COLUMN initials text GENERATED ALWAYS AS (upper(left(name, 1))) STORED; CREATE INDEX ON shop.people (initials); ALTER TABLE shop.people DROP COLUMN initials; ALTER TABLE shop.people ADD COLUMN initials text GENERATED ALWAYS AS (lower(left(name, 2))) STORED; ALTER TABLE shop.orders DROP COLUMN tax; ALTER TABLE shop.orders ADD COLUMN tax numeric GENERATED ALWAYS AS (total * 0.19) STORED;
-- case: a schema renamed, its objects used under the new name
ALTER SCHEMA shop RENAME TO store; INSERT INTO store.log VALUES (now(), 'in the store'); ALTER TABLE store.people ADD COLUMN x int; CREATE SCHEMA shop; CREATE VIEW shop.people AS SELECT * FROM store.people;
-- case: a schema of repeatable functions dropped and made again
-- setup: CREATE SCHEMA api; CREATE FUNCTION api.a() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE VIEW api.v AS SELECT * FROM shop.people; CREATE FUNCTION api.t() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER api_t BEFORE INSERT ON shop.nokey FOR EACH ROW EXECUTE FUNCTION api.t()
-- after: DROP SCHEMA api CASCADE
DROP SCHEMA api CASCADE; CREATE SCHEMA api; CREATE FUNCTION api.a() RETURNS int LANGUAGE sql AS 'SELECT 2'; CREATE FUNCTION api.t() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.b := ''t''; RETURN NEW; END'; CREATE TRIGGER api_t BEFORE INSERT ON shop.nokey FOR EACH ROW EXECUTE FUNCTION api.t(); INSERT INTO shop.nokey VALUES (3, 'a');
-- case: several hundred objects in one migration
DO $$ BEGIN FOR i IN 1..60 LOOP EXECUTE format('CREATE TABLE other.t%s (id serial PRIMARY KEY, v text UNIQUE, p int REFERENCES shop.people)', i); EXECUTE format('INSERT INTO other.t%s (v, p) VALUES (%L, 1)', i, i); EXECUTE format('CREATE VIEW other.v%s AS SELECT * FROM other.t%s', i, i); END LOOP; FOR i IN 1..30 LOOP EXECUTE format('DROP TABLE other.t%s CASCADE', i * 2); END LOOP; END $$;
-- case: everything at once
ALTER TABLE shop.people RENAME TO persons; ALTER TABLE shop.persons DROP COLUMN born, ADD COLUMN birth_year int; UPDATE shop.persons SET birth_year = 1990; TRUNCATE shop.items; ALTER TABLE shop.orders ALTER COLUMN amount TYPE bigint; DROP MATERIALIZED VIEW shop.mv; CREATE MATERIALIZED VIEW shop.mv AS SELECT birth_year, count(*) FROM shop.persons GROUP BY 1; ALTER TYPE shop.mood ADD VALUE 'super'; DROP TABLE shop.parts; CREATE TABLE shop.parts (id int); GRANT SELECT ON shop.parts TO PUBLIC; DROP FUNCTION shop.touch() CASCADE; SELECT setval('shop.tickets', 9999); COMMENT ON TABLE shop.persons IS 'renamed'; REFRESH MATERIALIZED VIEW shop.mv; DELETE FROM shop.persons WHERE id % 2 = 0;
-- case: a statement that fails leaves nothing
-- expect: 42P01
UPDATE shop.nokey SET a = 5; DROP TABLE shop.items; SELECT * FROM shop.not_there;
-- case: a constraint that fails at the end leaves nothing
-- expect: 23503
ALTER TABLE shop.items DROP CONSTRAINT items_order_id_fkey; ALTER TABLE shop.items ADD CONSTRAINT items_order_id_fkey FOREIGN KEY (order_id) REFERENCES shop.orders DEFERRABLE INITIALLY DEFERRED; INSERT INTO shop.items VALUES (-5, 1, 'nowhere');
-- case: a label used in the step that adds it
-- expect: 55P04
ALTER TYPE shop.mood ADD VALUE 'super'; UPDATE shop.people SET mood = 'super';
-- case: an index built concurrently is no step of a transaction
-- expect: 25001
CREATE INDEX CONCURRENTLY ON shop.people (name);
-- case: vacuum is no step of a transaction
-- expect: 25001
VACUUM shop.people;
-- case: copy to a program
-- expect: UP021
COPY shop.people TO PROGRAM 'cat >/dev/null';
-- case: copy to a file of the server
-- expect: UP021
COPY shop.people TO '/tmp/upg-roundtrip-never.txt';
-- case: copy with freeze
-- expect: UP021
CREATE TABLE shop.frz (a int); COPY shop.frz FROM '/dev/null' WITH (FREEZE);
-- case: 100 a prepared transaction
-- expect: 0A000
PREPARE TRANSACTION 'rt';
-- case: a subscription is altered
-- expect: UP021
ALTER SUBSCRIPTION nobody DISABLE;
-- case: upg itself is altered
-- expect: UP021
ALTER EXTENSION upg UPDATE;
-- case: the schema of upg is dropped
-- expect: 2BP01
DROP SCHEMA upg CASCADE;
-- case: the undo log is written to
-- expect: 42501
DELETE FROM upg.undo_log;
