-- What an administrator or an application does between apply and rollback.
-- case: dropped column, VACUUM FULL since
-- between: VACUUM FULL shop.people
ALTER TABLE shop.people ADD COLUMN x int DEFAULT 4; UPDATE shop.people SET note = 'n' WHERE id < 9;
-- case: dropped table, VACUUM FULL of the database since
-- between: VACUUM FULL
DROP TABLE shop.items; TRUNCATE shop.log; ALTER TABLE shop.nokey ALTER COLUMN a TYPE bigint; DROP TABLE shop.many;
-- case: dropped table, VACUUM FREEZE of the database since
-- between: VACUUM FREEZE
DROP TABLE shop.items; TRUNCATE shop.log; UPDATE shop.nokey SET b = 'frozen'; DELETE FROM shop.people WHERE id = 3;
-- case: rows changed, table clustered since
-- between: CLUSTER shop.people USING people_pkey;; ALTER TABLE shop.people SET WITHOUT CLUSTER
UPDATE shop.people SET note = 'c' WHERE id % 5 = 0; DELETE FROM shop.people WHERE id % 7 = 0; INSERT INTO shop.people (id, name) VALUES (500, 'five hundred');
-- case: rows changed, VACUUM FULL of the table since
-- between: VACUUM FULL shop.orders
UPDATE shop.orders SET total = 0 WHERE id % 5 = 0; DELETE FROM shop.orders WHERE id % 7 = 0;
-- case: everything changed, ANALYZE and REINDEX since
-- between: ANALYZE;; REINDEX DATABASE upg_roundtrip
ALTER TABLE shop.people ADD COLUMN x int, DROP COLUMN born; CREATE INDEX ON shop.people (x); DROP INDEX shop.people_lower; TRUNCATE shop.parts; UPDATE shop.orders SET total = 3; DROP TABLE shop.many;
-- case: indexes dropped, REINDEX SYSTEM since
-- between: REINDEX SYSTEM upg_roundtrip
DROP INDEX shop.people_lower, shop.people_partial; ALTER TABLE shop.people DROP CONSTRAINT people_email_key; CREATE UNIQUE INDEX q ON shop.people (name);
-- case: a table altered, moved to another schema since
-- between: ALTER TABLE shop.people SET SCHEMA other
-- after: ALTER TABLE other.people SET SCHEMA shop
ALTER TABLE shop.people ADD COLUMN x int DEFAULT 3; ALTER TABLE shop.people DROP CONSTRAINT name_len; UPDATE shop.people SET score = 1;
-- case: a table altered, renamed since
-- between: ALTER TABLE shop.people RENAME TO folk
-- after: ALTER TABLE shop.folk RENAME TO people
ALTER TABLE shop.people ADD COLUMN x int DEFAULT 3; DROP INDEX shop.people_lower; UPDATE shop.people SET score = 1 WHERE id > 40; DELETE FROM shop.orders WHERE id < 5;
-- case: a column added, another renamed since
-- between: ALTER TABLE shop.people RENAME COLUMN note TO remark
-- after: ALTER TABLE shop.people RENAME COLUMN remark TO note
ALTER TABLE shop.people ADD COLUMN x int DEFAULT 3; ALTER TABLE shop.people ALTER COLUMN born SET NOT NULL;
-- case: 103 a column renamed, renamed again since
-- between: ALTER TABLE shop.people RENAME COLUMN remark TO comment
-- undo: UP022 was changed since
-- clear: ALTER TABLE shop.people RENAME COLUMN comment TO remark
ALTER TABLE shop.people RENAME COLUMN note TO remark;
-- case: a table created, renamed since
-- between: ALTER TABLE shop.made RENAME TO made2
-- undo: UP022 was changed since
-- clear: ALTER TABLE shop.made2 RENAME TO made
CREATE TABLE shop.made AS SELECT * FROM shop.people;
-- case: a table created, something depends on it since
-- between: CREATE VIEW shop.over AS SELECT * FROM shop.made
-- undo: UP022 depends on
-- clear: DROP VIEW shop.over
CREATE TABLE shop.made AS SELECT * FROM shop.people;
-- case: a column added, a view uses it since
-- between: CREATE VIEW shop.over AS SELECT x FROM shop.people
-- undo: UP022 depends on
-- clear: DROP VIEW shop.over
ALTER TABLE shop.people ADD COLUMN x int DEFAULT 3;
-- case: a function created, a trigger calls it since
-- between: CREATE TRIGGER uses AFTER INSERT ON shop.log FOR EACH ROW EXECUTE FUNCTION shop.late()
-- undo: UP022 depends on
-- clear: DROP TRIGGER uses ON shop.log
CREATE FUNCTION shop.late() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
-- case: a type created, a column has it since
-- between: ALTER TABLE shop.nokey ADD COLUMN h shop.hue
-- undo: UP022 depends on
-- clear: ALTER TABLE shop.nokey DROP COLUMN h
CREATE TYPE shop.hue AS ENUM ('red');
-- case: a role created, it owns something since
-- between: CREATE TABLE shop.his (a int);; ALTER TABLE shop.his OWNER TO rt_late
-- undo: UP022 owns objects
-- clear: DROP TABLE shop.his
CREATE ROLE rt_late;
-- case: 104 a table dropped, its name taken since
-- between: CREATE TABLE shop.items (other int)
-- undo: UP022 is taken
-- clear: DROP TABLE shop.items
DROP TABLE shop.items;
-- case: a function dropped, made anew since
-- between: CREATE FUNCTION shop.add(a int, b int DEFAULT 1) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'
-- undo: UP022 already exists
-- clear: DROP FUNCTION shop.add(int, int)
DROP FUNCTION shop.add(int, int);
-- case: an index dropped, its name taken since
-- between: CREATE INDEX people_lower ON shop.people (upper(name))
-- undo: UP022 is taken
-- clear: DROP INDEX shop.people_lower
DROP INDEX shop.people_lower;
-- case: owner of a dropped table is gone since
-- setup: CREATE ROLE rt_owner; ALTER TABLE shop.nokey OWNER TO rt_owner
-- between: DROP ROLE rt_owner
-- undo: UP022
-- fresh: its owner cannot come back
DROP TABLE shop.nokey;
-- case: a function replaced, replaced again since
-- between: CREATE OR REPLACE FUNCTION shop.add(a int, b int DEFAULT 1) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 99'
-- undo: UP022 was changed since
-- clear: CREATE OR REPLACE FUNCTION shop.add(a int, b int DEFAULT 1) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a - b'
CREATE OR REPLACE FUNCTION shop.add(a int, b int DEFAULT 1) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a - b';
-- case: a function's body replaced, its cost changed since
-- between: ALTER FUNCTION shop.add(int, int) COST 55
-- after: ALTER FUNCTION shop.add(int, int) COST 100
CREATE OR REPLACE FUNCTION shop.add(a int, b int DEFAULT 1) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a - b';
-- case: a table altered, its owner changed since
-- setup: CREATE ROLE rt_o2
-- between: ALTER TABLE shop.people OWNER TO rt_o2
-- fresh: lists of grants are written out now
-- after: ALTER TABLE shop.people OWNER TO postgres; DROP ROLE rt_o2
ALTER TABLE shop.people ADD COLUMN x int; DROP INDEX shop.people_lower; UPDATE shop.people SET score = 2 WHERE id < 9;
-- case: a column dropped, another added since
-- between: ALTER TABLE shop.nokey ADD COLUMN late int DEFAULT 3
-- after: ALTER TABLE shop.nokey DROP COLUMN late
ALTER TABLE shop.nokey ADD COLUMN mine int DEFAULT 1; ALTER TABLE shop.nokey ALTER COLUMN b SET DEFAULT 'z';
-- case: a label added, used since
-- between: UPDATE shop.people SET mood = 'super' WHERE id = 5
-- undo: UP022 super
-- clear: UPDATE shop.people SET mood = 'high' WHERE id = 5
ALTER TYPE shop.mood ADD VALUE 'super';
-- case: a check dropped, broken since
-- between: INSERT INTO shop.people (id, name) VALUES (-7, '')
-- undo: * name_len
-- clear: DELETE FROM shop.people WHERE id = -7
ALTER TABLE shop.people DROP CONSTRAINT name_len;
-- case: a foreign key dropped, broken since
-- between: INSERT INTO shop.items VALUES (-1, -1, 'nowhere')
-- undo: * items_order_id_fkey
-- clear: DELETE FROM shop.items WHERE order_id = -1
ALTER TABLE shop.items DROP CONSTRAINT items_order_id_fkey;
-- case: a unique key dropped, duplicates since
-- between: INSERT INTO shop.people (id, name, email) VALUES (-7, 'twice', 'p3@example.org')
-- undo: * people_email_key
-- clear: DELETE FROM shop.people WHERE id = -7
ALTER TABLE shop.people DROP CONSTRAINT people_email_key;
-- case: not null dropped, null since
-- between: UPDATE shop.people SET name = NULL WHERE id = 4
-- undo: * name
-- clear: UPDATE shop.people SET name = 'person 4' WHERE id = 4
ALTER TABLE shop.people ALTER COLUMN name DROP NOT NULL;
-- case: an index of the migration is used to cluster the table since
-- between: CLUSTER shop.people USING mine;; ALTER TABLE shop.people SET WITHOUT CLUSTER
CREATE INDEX mine ON shop.people (score);
-- case: a rewritten table, VACUUM FULL since
-- between: VACUUM FULL shop.items
ALTER TABLE shop.items ALTER COLUMN line TYPE bigint; UPDATE shop.items SET what = 'w' WHERE order_id < 9;
-- case: a truncated table is analyzed and vacuumed since
-- between: VACUUM ANALYZE shop.people;; VACUUM FREEZE shop.orders
TRUNCATE shop.people CASCADE;
-- case: constraints dropped, a trigger and a comment added since
-- between: COMMENT ON TABLE shop.orders IS 'since';; CREATE TRIGGER since AFTER DELETE ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.touch()
-- after: COMMENT ON TABLE shop.orders IS NULL;; DROP TRIGGER since ON shop.orders
ALTER TABLE shop.orders DROP CONSTRAINT orders_state_check, DROP CONSTRAINT orders_person_fkey; DROP TRIGGER orders_touch ON shop.orders;
-- case: last trigger and rule dropped, table vacuumed since
-- between: VACUUM shop.orders;; VACUUM shop.log;; VACUUM FULL shop.log
DROP TRIGGER orders_touch ON shop.orders; ALTER TABLE shop.items DROP CONSTRAINT items_order_id_fkey; ALTER TABLE shop.orders DROP CONSTRAINT orders_person_fkey; DROP RULE log_no_delete ON shop.log;
-- case: a view replaced, its columns granted and commented since
-- between: COMMENT ON VIEW shop.v3 IS 'since'
-- after: COMMENT ON VIEW shop.v3 IS NULL
CREATE OR REPLACE VIEW shop.v3 AS SELECT name, sum(total) + 1 AS total FROM shop.v2 GROUP BY name;
-- case: a statistics object dropped, ANALYZE since
-- between: ANALYZE shop.people
DROP STATISTICS shop.people_stats; CREATE STATISTICS shop.others ON born, score FROM shop.people;
-- case: a partition detached, attached elsewhere since
-- between: CREATE TABLE shop.elsewhere (LIKE shop.parts) PARTITION BY LIST (region);; ALTER TABLE shop.elsewhere ATTACH PARTITION shop.parts_eu DEFAULT
-- undo: UP022
-- clear: ALTER TABLE shop.elsewhere DETACH PARTITION shop.parts_eu;; DROP TABLE shop.elsewhere
ALTER TABLE shop.parts DETACH PARTITION shop.parts_eu;
-- case: an extension dropped, installed again since
-- between: CREATE EXTENSION pgcrypto
-- undo: UP022
-- clear: DROP EXTENSION pgcrypto
DROP EXTENSION pgcrypto;
-- case: a schema dropped, made again since
-- between: CREATE SCHEMA other
-- undo: UP022
-- clear: DROP SCHEMA other
DROP SCHEMA other;
-- case: a schema made, filled since
-- between: CREATE TABLE fresh.filled (a int)
-- undo: UP022 depends on
-- clear: DROP TABLE fresh.filled
CREATE SCHEMA fresh;
-- case: a publication made, tables added since
-- between: ALTER PUBLICATION made ADD TABLE shop.nokey
-- undo: UP022
-- clear: ALTER PUBLICATION made DROP TABLE shop.nokey
CREATE PUBLICATION made FOR TABLE shop.log;
-- case: grants changed, changed again since
-- between: GRANT DELETE ON shop.log TO PUBLIC
-- undo: UP022 relacl
-- clear: REVOKE DELETE ON shop.log FROM PUBLIC
GRANT SELECT ON shop.log TO PUBLIC;
-- case: a comment changed, changed again since
-- between: COMMENT ON TABLE shop.people IS 'third'
-- undo: UP022
-- clear: COMMENT ON TABLE shop.people IS 'second'
COMMENT ON TABLE shop.people IS 'second';
-- case: a large object made, changed since
-- between: SELECT lo_put(555, 0, 'x')
-- undo: UP022
-- clear: SELECT lo_put(555, 0, 'd')
SELECT lo_from_bytea(555, 'def');
