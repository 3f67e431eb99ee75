-- case: insert, update, delete
INSERT INTO shop.people (name) VALUES ('fresh'); UPDATE shop.people SET name = name || '!' WHERE id < 10; DELETE FROM shop.people WHERE id = 20;
-- case: update everything twice
UPDATE shop.orders SET total = total + 1; UPDATE shop.orders SET total = total * 2;
-- case: delete cascade
DELETE FROM shop.people WHERE id < 20;
-- case: delete all
DELETE FROM shop.items; DELETE FROM shop.log;
-- case: duplicates without key
DELETE FROM shop.nokey WHERE ctid IN (SELECT ctid FROM shop.nokey LIMIT 4); UPDATE shop.nokey SET b = 'up' WHERE ctid IN (SELECT ctid FROM shop.nokey LIMIT 2);
-- case: merge
MERGE INTO shop.items t USING (SELECT 1::bigint AS o, 1 AS l UNION ALL SELECT 2, 7) s ON t.order_id = s.o AND t.line = s.l WHEN MATCHED THEN UPDATE SET what = 'merged' WHEN NOT MATCHED THEN INSERT VALUES (s.o, s.l, 'ins');
-- case: on conflict
INSERT INTO shop.items VALUES (1, 1, 'c'), (1, 2, 'd') ON CONFLICT (order_id, line) DO UPDATE SET what = excluded.what || '+'; INSERT INTO shop.scratch VALUES (1), (9) ON CONFLICT DO NOTHING;
-- case: data-modifying cte
WITH gone AS (DELETE FROM shop.items WHERE order_id < 5 RETURNING *) INSERT INTO shop.log SELECT '2024-05-05', what FROM gone;
-- case: do block with dynamic sql
DO $$ DECLARE r record; BEGIN FOR r IN SELECT relname FROM pg_class WHERE relnamespace = 'shop'::regnamespace AND relkind = 'r' AND NOT relispartition ORDER BY 1 LOOP EXECUTE format('ALTER TABLE shop.%I ADD COLUMN IF NOT EXISTS dyn int', r.relname); END LOOP; END $$;
-- case: exception block
DO $$ BEGIN UPDATE shop.people SET score = 1; BEGIN DELETE FROM shop.people; ALTER TABLE shop.people ADD COLUMN zz int; RAISE EXCEPTION 'x'; EXCEPTION WHEN OTHERS THEN INSERT INTO shop.log VALUES ('2024-01-01', 'caught'); END; UPDATE shop.people SET note = 'n' WHERE id = 3; END $$;
-- case: exception block around a rewrite
DO $$ BEGIN UPDATE shop.nokey SET a = 2; BEGIN ALTER TABLE shop.nokey ALTER COLUMN a TYPE bigint; TRUNCATE shop.items; RAISE EXCEPTION 'x'; EXCEPTION WHEN OTHERS THEN NULL; END; BEGIN ALTER TABLE shop.nokey ALTER COLUMN a TYPE numeric; EXCEPTION WHEN OTHERS THEN NULL; END; END $$;
-- case: function that runs ddl
CREATE FUNCTION shop.migrate() RETURNS void LANGUAGE plpgsql AS $$ BEGIN DROP TABLE shop.nokey; CREATE TABLE shop.nokey (z int); INSERT INTO shop.nokey VALUES (1); UPDATE shop.items SET what = 'f'; DROP TABLE shop.items; END $$; SELECT shop.migrate(); DROP FUNCTION shop.migrate();
-- case: triggers disabled meanwhile
ALTER TABLE shop.orders DISABLE TRIGGER ALL; UPDATE shop.orders SET total = 9; ALTER TABLE shop.orders ENABLE TRIGGER ALL;
-- case: replica role
SET session_replication_role = replica; DELETE FROM shop.people WHERE id < 4; SET session_replication_role = origin;
-- case: insert select with serial
INSERT INTO shop.people (name, email) SELECT 'copy', 'c' || email FROM shop.people;
-- case: backfill then not null then drop old
ALTER TABLE shop.people ADD COLUMN full_name text; UPDATE shop.people SET full_name = name; ALTER TABLE shop.people ALTER COLUMN full_name SET NOT NULL; DROP VIEW shop.v1 CASCADE; DROP POLICY own ON shop.people; ALTER TABLE shop.people DROP COLUMN name;
-- case: split table
CREATE TABLE shop.contacts AS SELECT id AS person, email FROM shop.people; ALTER TABLE shop.contacts ADD PRIMARY KEY (person); ALTER TABLE shop.contacts ADD FOREIGN KEY (person) REFERENCES shop.people; ALTER TABLE shop.people DROP COLUMN email;
-- case: deferred constraint
ALTER TABLE shop.items ADD CONSTRAINT dfk FOREIGN KEY (order_id) REFERENCES shop.orders DEFERRABLE INITIALLY DEFERRED; INSERT INTO shop.orders (id, person) OVERRIDING SYSTEM VALUE VALUES (900, 1); INSERT INTO shop.items VALUES (900, 1, 'x');
-- case: update key
UPDATE shop.scratch SET a = a + 100; UPDATE shop.scratch SET a = a - 99;
-- case: update toasted values
UPDATE shop.many SET big = big || big WHERE id < 6; DELETE FROM shop.many WHERE id > 8; INSERT INTO shop.many VALUES (77, repeat('abc', 100000));
-- case: lock and set
LOCK TABLE shop.people IN EXCLUSIVE MODE; SET work_mem = '3MB'; SET search_path = shop; UPDATE people SET note = 'sp' WHERE id = 1;
-- case: rows come and go
-- nothing: rows that nobody saw
INSERT INTO shop.nokey VALUES (99, 'tmp'); DELETE FROM shop.nokey WHERE a = 99;
-- case: matview refreshed concurrently
INSERT INTO shop.orders (person) VALUES (2); REFRESH MATERIALIZED VIEW CONCURRENTLY shop.mv;
-- case: copy program
-- expect: UP021
COPY shop.nokey FROM PROGRAM 'true';
-- case: notify
-- expect: UP021
NOTIFY somebody;
-- case: notify inside a function
-- expect: UP021
DO $$ BEGIN EXECUTE 'NOTIFY somebody'; END $$;
-- case: subscription
-- expect: UP021
CREATE SUBSCRIPTION s CONNECTION 'dbname=x' PUBLICATION p WITH (connect = false);
-- case: drop the undo
-- expect: UP021
DROP EXTENSION upg CASCADE;
-- case: counters off
-- expect: UP021
SET track_counts = off; UPDATE shop.nokey SET a = 2;
-- case: catalog changed by hand
SET allow_system_table_mods = on; UPDATE pg_catalog.pg_proc SET prosrc = 'SELECT a - b' WHERE proname = 'add' AND pronamespace = 'shop'::regnamespace;
-- case: truncate a partition that a foreign key refers to
CREATE TABLE shop.fkp (id int, r text, FOREIGN KEY (id, r) REFERENCES shop.parts); INSERT INTO shop.fkp VALUES (2, 'eu'), (1, 'us'); UPDATE shop.parts SET v = 'w' WHERE id = 2; TRUNCATE shop.parts_eu CASCADE;
