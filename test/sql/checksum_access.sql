-- Who may read what: the direct scan gives nothing that SELECT would not give.
-- And the ways to say which rows and columns.
SET client_min_messages = warning;
CREATE EXTENSION upg;
CREATE SCHEMA checksum_access;
SET search_path = checksum_access, public;
CREATE ROLE checksum_reader;
GRANT USAGE ON SCHEMA checksum_access TO checksum_reader;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO checksum_reader;

CREATE TABLE secret (id integer PRIMARY KEY, owner name, salary numeric, note text);
INSERT INTO secret SELECT g, CASE WHEN g % 2 = 0 THEN 'checksum_reader' ELSE 'other' END, g * 100, 'n' || g FROM generate_series(1, 100) g;
CREATE TABLE copy AS SELECT * FROM secret;
CREATE VIEW filtered WITH (security_barrier) AS SELECT id, note FROM secret WHERE id > 50;

-- T87: column privileges.
SET ROLE checksum_reader;
SELECT upg_table_checksum('secret');
RESET ROLE;
GRANT SELECT (id, note) ON secret TO checksum_reader;
SET ROLE checksum_reader;
SELECT upg_table_checksum('secret');
SELECT upg_table_checksum('secret', columns => '{id,note}') = (SELECT upg_checksum_agg(ARRAY['id', 'note'], id, note) FROM secret) AS granted_columns;
SELECT upg_table_checksum('secret', columns => '{id,salary}');
SELECT upg_table_checksum('secret', columns => '{id}', filter => 'salary > 100');
SELECT * FROM upg_compare('secret', 'secret', columns => '{id,owner}');
SELECT upg_table_sketch('secret', key => '{id}', columns => '{id,salary}');
SELECT upg_table_checksum('filtered');
RESET ROLE;
GRANT SELECT ON secret, copy, filtered TO checksum_reader;
SET ROLE checksum_reader;
SELECT upg_table_checksum('filtered') = upg_table_checksum('secret', columns => '{id,note}', filter => 'id > 50') AS view_granted;
RESET ROLE;

-- T87: row-level security.
ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON secret FOR SELECT USING (owner = current_user);
SELECT (upg_checksum_info(upg_table_checksum('secret'))).row_count AS as_superuser;
SET ROLE checksum_reader;
SELECT (upg_checksum_info(upg_table_checksum('secret'))).row_count AS under_policy,
       upg_table_checksum('secret') = upg_table_checksum('copy', filter => 'owner = current_user') AS only_own;
SELECT count(*) AS differences FROM upg_compare('copy', 'secret', key => '{id}');
SELECT (upg_checksum_info((upg_sketch_info(upg_table_sketch('secret'))).checksum)).row_count AS in_sketch;
SET row_security = off;
SELECT upg_table_checksum('secret');
RESET row_security;
RESET ROLE;
ALTER TABLE secret FORCE ROW LEVEL SECURITY;
ALTER TABLE secret OWNER TO checksum_reader;
SET ROLE checksum_reader;
SELECT (upg_checksum_info(upg_table_checksum('secret'))).row_count AS owner_under_forced_policy;
RESET ROLE;

-- T87: a view that is a barrier shows no more than it does to SELECT.
CREATE VIEW barrier WITH (security_barrier) AS SELECT * FROM copy WHERE id <= 10;
GRANT SELECT ON barrier TO checksum_reader;
CREATE FUNCTION peek(integer) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$ BEGIN IF $1 > 10 THEN RAISE EXCEPTION 'seen %', $1; END IF; RETURN true; END $$;
SET ROLE checksum_reader;
SELECT (upg_checksum_info(upg_table_checksum('barrier', filter => 'checksum_access.peek(id)'))).row_count AS t87_barrier;
RESET ROLE;

-- Privileges on a parent are enough for its partitions, as in SELECT.
CREATE TABLE whole (id integer, v text) PARTITION BY LIST (id);
CREATE TABLE half1 PARTITION OF whole FOR VALUES IN (1);
CREATE TABLE half2 PARTITION OF whole FOR VALUES IN (2);
INSERT INTO whole VALUES (1, 'a'), (2, 'b');
GRANT SELECT ON whole TO checksum_reader;
SET ROLE checksum_reader;
SELECT upg_table_checksum('whole') = (SELECT upg_checksum_agg(w) FROM whole w) AS parent_granted;
SELECT upg_table_checksum('half1');
RESET ROLE;

-- T64: columns, exceptions, filters.
SELECT upg_table_checksum('copy', columns => '{salary,id}') = upg_table_checksum('copy', except_columns => '{note,owner}') AS t64_columns;
SELECT upg_table_checksum('copy', filter => 'id <= 30') + upg_table_checksum('copy', filter => 'id > 30') = upg_table_checksum('copy') AS t64_filter;
SELECT upg_table_checksum('copy', filter => 'id <= 30 -- a comment') = upg_table_checksum('copy', filter => 'id <= 30') AS t64_comment;
SELECT (upg_checksum_info(upg_table_checksum('copy', filter => 'false'))).columns_digest = (upg_checksum_info(upg_table_checksum('copy'))).columns_digest AS t64_no_rows_keep_header;
SELECT upg_table_checksum('copy', columns => '{id,nope}');
SELECT upg_table_checksum('copy', except_columns => '{nope}');
SELECT upg_table_checksum('copy', columns => '{id,id}');
SELECT upg_table_checksum('copy', columns => '{}');
SELECT upg_table_checksum('copy', columns => '{id,NULL}');
SELECT upg_table_checksum('copy', columns => '{xmin}');
SELECT upg_table_checksum('copy', mode => 'lax');
SELECT upg_table_checksum('copy', workers => -1);
SELECT upg_table_checksum(NULL) IS NULL AS null_in_null_out;

-- A filter is one expression.
SELECT upg_table_checksum('copy', filter => 'true) UNION ALL SELECT (upg_checksum(ROW(1))');
SELECT upg_table_checksum('copy', filter => 'true; DROP TABLE copy');
SELECT upg_table_checksum('copy', filter => 'true LIMIT 1');
SELECT upg_table_checksum('copy', filter => 'true, false');
SELECT upg_table_checksum('copy', filter => '');
SELECT upg_table_checksum('copy', filter => '1');
-- A filter sees what its caller sees and does what its caller may do.
CREATE FUNCTION whoami() RETURNS boolean LANGUAGE sql AS $$ SELECT current_user = 'checksum_reader' $$;
SET ROLE checksum_reader;
SELECT (upg_checksum_info(upg_table_checksum('copy', filter => 'whoami()'))).row_count AS as_caller;
RESET ROLE;

-- Names that need quoting.
CREATE SCHEMA "Odd Schema";
CREATE TABLE "Odd Schema"."Ta""ble" ("Col ""1" integer, "select" text, "é" text);
INSERT INTO "Odd Schema"."Ta""ble" VALUES (1, 'x', 'y');
SELECT upg_table_checksum('"Odd Schema"."Ta""ble"') = upg_table_checksum('"Odd Schema"."Ta""ble"', filter => '"Col ""1" = 1') AS quoted;
SELECT * FROM upg_compare('"Odd Schema"."Ta""ble"', '"Odd Schema"."Ta""ble"', key => ARRAY['Col "1']);

-- Nobody but those who were granted it may call these.
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM checksum_reader;
SET ROLE checksum_reader;
SELECT upg_table_checksum('copy');
SELECT upg_checksum_agg(c) FROM copy c;
RESET ROLE;
SELECT p.oid::regprocedure AS executable_by_public FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass
WHERE d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'upg') AND has_function_privilege('checksum_reader', p.oid, 'EXECUTE')
  AND (p.proname LIKE 'upg_checksum%' OR p.proname LIKE 'upg_table%' OR p.proname LIKE 'upg_sketch%' OR p.proname = 'upg_compare')
ORDER BY p.proname;

DROP SCHEMA "Odd Schema" CASCADE;
DROP SCHEMA checksum_access CASCADE;
DROP EXTENSION upg;
DROP ROLE checksum_reader;
