-- Invariants: declaring them, and upg_verify().
SET client_min_messages = warning;
CREATE EXTENSION upg;
CREATE SCHEMA verify_inv;
SET search_path = verify_inv, public;
CREATE TABLE account (id integer PRIMARY KEY, owner text NOT NULL, balance numeric NOT NULL);
CREATE TABLE entry (id integer PRIMARY KEY, account integer, amount numeric);
INSERT INTO account SELECT g, 'owner ' || g, 10 FROM generate_series(1, 100) g;
INSERT INTO entry SELECT g, g, 10 FROM generate_series(1, 100) g;

-- every kind
SELECT upg_invariant_declare('content', 'content', rel => 'account', columns => '{id,owner}');
SELECT upg_invariant_declare('empty', 'empty', $$SELECT id FROM verify_inv.account WHERE balance < 0 -- overdrawn$$);
SELECT upg_invariant_declare('equal', 'equal', 'SELECT id, owner FROM verify_inv.account WHERE id <= 3', key => '{id}', scope => '{account}');
SELECT upg_invariant_declare('foreign key', 'foreign_key', rel => 'entry', columns => '{account}', refs => 'account', ref_columns => '{id}');
SELECT upg_invariant_declare('not null', 'not_null', rel => 'entry', columns => '{account,amount}');
SELECT upg_invariant_declare('rows', 'row_count', rel => 'account');
SELECT upg_invariant_declare('sum', 'sum', rel => 'account', columns => '{balance}', description => 'no money is lost');
SELECT upg_invariant_declare('true', 'true', 'SELECT (SELECT sum(balance) FROM verify_inv.account) = (SELECT sum(amount) FROM verify_inv.entry)', scope => '{account,entry}', severity => 'warning');
SELECT upg_invariant_declare('unique', 'unique', rel => 'entry', columns => '{account}');
SELECT name, kind, verdict, query, relation, columns, key, scope, severity, description FROM upg.invariants ORDER BY name COLLATE "C";

SELECT check_no, kind, name, severity, state, violations, coverage, message, details FROM upg_verify('touched', '{account,entry}')
WHERE kind <> 'content' OR name = 'content' ORDER BY check_no;
SELECT verdict FROM upg.verifications ORDER BY verification_id DESC LIMIT 1;

-- against what was kept: nothing has changed
CREATE TABLE kept AS SELECT max(verification_id) AS id FROM upg.verifications;
SELECT state, count(*) FROM upg_verify('touched', '{account,entry}', baseline => (SELECT id FROM kept)) GROUP BY 1;

-- now break them all
UPDATE account SET balance = -1, owner = 'nobody' WHERE id = 2;
DELETE FROM account WHERE id = 3;
INSERT INTO entry VALUES (101, 5000, 1), (102, NULL, NULL), (103, 1, NULL);
SELECT kind, name, state, violations, message, CASE WHEN kind <> 'content' THEN details END
FROM upg_verify('touched', '{account,entry}', baseline => (SELECT id FROM kept)) WHERE state <> 'passed' ORDER BY check_no;
SELECT verdict FROM upg.verifications ORDER BY verification_id DESC LIMIT 1;
-- with values hidden
SELECT name, state, violations, details FROM upg_verify('touched', '{account,entry}', redact => true) WHERE name IN ('empty', 'equal') ORDER BY 1;
SELECT max(verification_id) AS id FROM upg.verifications \gset
SELECT name, state FROM upg_verify('touched', '{account,entry}', baseline => :id) WHERE name IN ('equal') ORDER BY 1;
UPDATE account SET owner = 'somebody' WHERE id = 2;
SELECT name, state, message FROM upg_verify('touched', '{account,entry}', baseline => :id) WHERE name IN ('equal') ORDER BY 1;

-- scope: what is not touched is not looked at; what has no scope always is
SELECT name FROM upg_verify('touched', '{entry}') WHERE kind <> 'content' AND relation IS NULL ORDER BY 1;
SELECT name FROM upg_verify('touched', script => 'UPDATE verify_inv.entry SET amount = 1') WHERE kind IN ('true', 'sum', 'row_count', 'content') ORDER BY 1;
-- a script that cannot be read may touch everything
SELECT count(*) > 9 AS everything FROM upg_verify('touched', script => 'DO $$ BEGIN END $$', dry_run => true);

-- what a check may do: nothing but read, with the rights of who declared it
SELECT upg_invariant_declare('writes', 'true', $$SELECT pg_catalog.setval('verify_inv.s', 5) > 0$$);
CREATE SEQUENCE s;
SELECT upg_invariant_declare('writes', 'true', $$SELECT pg_catalog.setval('verify_inv.s', 5) > 0$$);
SELECT state, message FROM upg_verify('touched', '{entry}') WHERE name = 'writes';
SELECT upg_invariant_drop('writes');
CREATE ROLE verify_declarer;
GRANT upg_operator TO verify_declarer;
GRANT USAGE ON SCHEMA verify_inv TO verify_declarer;
SET ROLE verify_declarer;
SELECT upg_invariant_declare('not mine to read', 'true', 'SELECT count(*) > 0 FROM verify_inv.account');
SELECT upg_invariant_declare('rows', 'row_count', rel => 'verify_inv.account');
SELECT upg_invariant_drop('rows');
RESET ROLE;
SELECT state, message FROM upg_verify('touched', '{entry}') WHERE name = 'not mine to read';
SELECT verdict FROM upg.verifications ORDER BY verification_id DESC LIMIT 1;
-- who could have planted a function for a superuser to run finds it run as himself
CREATE FUNCTION who() RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'it runs as %', current_user; END$$;
SET ROLE verify_declarer;
SELECT upg_invariant_declare('not mine to read', 'true', 'SELECT verify_inv.who()');
RESET ROLE;
SELECT state, message FROM upg_verify('touched', '{entry}') WHERE name = 'not mine to read';
SELECT upg_invariant_drop('not mine to read');

-- an error in one check does not end the others; results that are too large are refused
SELECT upg_invariant_declare('broken', 'true', 'SELECT 1 / (SELECT count(*) FROM verify_inv.entry WHERE id < 0) > 0');
SELECT upg_invariant_declare('large', 'equal', 'SELECT g FROM pg_catalog.generate_series(1, 10001) g');
SELECT upg_invariant_declare('no row', 'true', 'SELECT true WHERE false');
SELECT name, state, message FROM upg_verify('touched', '{entry}') WHERE name IN ('broken', 'large', 'no row') ORDER BY name;
SELECT upg_invariant_drop(name) FROM upg.invariants WHERE name IN ('broken', 'large', 'no row') ORDER BY name;

-- settings of the session do not enter the values that are kept
SELECT upg_invariant_declare('times', 'equal', $$SELECT '2020-01-01 12:00+00'::timestamptz AS t, interval '1 day' AS i, 1.1::float8 AS f$$);
SELECT details FROM upg_verify('touched', '{entry}') WHERE name = 'times';
SET TimeZone = 'Asia/Tokyo'; SET IntervalStyle = 'iso_8601'; SET DateStyle = 'German'; SET extra_float_digits = 0;
SELECT details FROM upg_verify('touched', '{entry}') WHERE name = 'times';
RESET TimeZone; RESET IntervalStyle; RESET DateStyle; RESET extra_float_digits;
SELECT upg_invariant_drop('times');

-- one snapshot; read-only transactions keep nothing
BEGIN READ ONLY;
SET LOCAL client_min_messages = notice;
SELECT count(*) > 0 AS some, bool_and(verification IS NULL) AS not_kept FROM upg_verify('touched', '{entry}');
COMMIT;

-- a budget that nothing fits, and one that is a part
SELECT state, count(*) > 0 AS some FROM upg_verify('touched', '{account}', budget => '1 microsecond') GROUP BY 1;
SELECT verdict, coverage FROM upg.verifications ORDER BY verification_id DESC LIMIT 1;
SELECT upg_invariant_declare('slow', 'true', 'SELECT pg_catalog.pg_sleep(20) IS NOT NULL');
SELECT kind, name, state, message FROM upg_verify('touched', '{account}', budget => '100 ms') WHERE name = 'slow';
SELECT upg_invariant_drop(name) FROM upg.invariants ORDER BY name;
-- a file that is large for its rows: taken for slow, but fast, so a part of it fits for certain
CREATE TABLE large (id integer PRIMARY KEY, v text NOT NULL, CHECK (id > 0));
ALTER TABLE large ALTER v SET STORAGE PLAIN;
INSERT INTO large SELECT g, repeat('x', 1000) FROM generate_series(1, 50000) g;
DELETE FROM large WHERE id % 50 <> 0;
VACUUM large;
CREATE TABLE sampled AS SELECT c.* FROM upg_verify('touched', '{large}', budget => '300 ms') c;
SELECT kind, state, coverage BETWEEN 0.01 AND 0.9 AS in_part, regexp_replace(message, '[0-9.]+', 'N') AS message FROM sampled ORDER BY check_no LIMIT 1;
SELECT verdict FROM upg.verifications ORDER BY verification_id DESC LIMIT 1;
-- a checksum of a part is compared with one of the same part
SELECT upg_invariant_declare('content of large', 'content', rel => 'large');
CREATE TABLE part AS SELECT c.* FROM upg_verify('touched', '{large}', budget => '300 ms') c WHERE c.name = 'content of large';
SELECT state, coverage BETWEEN 0.01 AND 0.9 AS in_part, regexp_replace(message, '[0-9.]+ %', 'N %') AS message, left(details ->> 'filter', 22) AS filter FROM part;
SELECT state FROM upg_verify('touched', '{large}', baseline => (SELECT verification FROM part)) WHERE name = 'content of large';
UPDATE large SET v = 'other' WHERE id = 50;
SELECT state FROM upg_verify('touched', '{large}', baseline => (SELECT verification FROM part)) WHERE name = 'content of large';
SELECT upg_invariant_drop('content of large');
SELECT kind, state, coverage BETWEEN 0.01 AND 0.9 AS in_part, message ~ '^[0-9]+ MB, about 0[.][0-9] seconds$' AS cost FROM upg_verify('touched', '{large}', budget => '300 ms', dry_run => true) ORDER BY check_no LIMIT 1;

-- bad input
SELECT upg_invariant_declare('', 'true', 'SELECT true');
SELECT upg_invariant_declare(NULL, 'true', 'SELECT true');
SELECT upg_invariant_declare('x', NULL, 'SELECT true');
SELECT upg_invariant_declare('x', 'truth', 'SELECT true');
SELECT upg_invariant_declare('x', 'true');
SELECT upg_invariant_declare('x', 'true', 'SELECT 1');
SELECT upg_invariant_declare('x', 'true', 'SELECT true, true');
SELECT upg_invariant_declare('x', 'true', 'SELECT true; SELECT true');
SELECT upg_invariant_declare('x', 'true', 'SELECT true) AS q; DROP TABLE verify_inv.account; SELECT (true');
SELECT upg_invariant_declare('x', 'true', 'DELETE FROM verify_inv.account');
SELECT upg_invariant_declare('x', 'true', 'WITH d AS (DELETE FROM verify_inv.account RETURNING 1) SELECT count(*) > 0 FROM d');
SELECT upg_invariant_declare('x', 'true', 'SELECT true FROM account');
SELECT upg_invariant_declare('x', 'true', 'SELECT true', severity => 'fatal');
SELECT upg_invariant_declare('x', 'true', 'SELECT true', rel => 'account');
SELECT upg_invariant_declare('x', 'true', 'SELECT true', key => '{a}');
SELECT upg_invariant_declare('x', 'true', 'SELECT true', scope => '{nosuch}');
SELECT upg_invariant_declare('x', 'equal', 'SELECT 1 AS a', key => '{b}');
SELECT upg_invariant_declare('x', 'sum', 'SELECT 1', rel => 'account', columns => '{balance}');
SELECT upg_invariant_declare('x', 'sum', rel => 'account');
SELECT upg_invariant_declare('x', 'sum', rel => 'account', columns => '{owner}');
SELECT upg_invariant_declare('x', 'sum', rel => 'account', columns => '{nosuch}');
SELECT upg_invariant_declare('x', 'sum', columns => '{balance}');
SELECT upg_invariant_declare('x', 'foreign_key', rel => 'entry', columns => '{account}');
SELECT upg_invariant_declare('x', 'foreign_key', rel => 'entry', columns => '{account}', refs => 'account', ref_columns => '{id,owner}');
SELECT upg_invariant_declare('x', 'foreign_key', rel => 'entry', columns => '{account}', refs => 'account', ref_columns => '{nosuch}');
SELECT upg_invariant_declare('x', 'row_count', rel => 'account', refs => 'entry');
SELECT upg_invariant_drop('nosuch');
SELECT count(*) FROM upg_verify('some');
SELECT count(*) FROM upg_verify(NULL);
SELECT count(*) FROM upg_verify('touched');
SELECT count(*) FROM upg_verify('touched', '{account}', script => 'SELECT 1');
SELECT count(*) FROM upg_verify('touched', script => 'SELEC 1');
SELECT count(*) FROM upg_verify('touched', '{account}', baseline => 999999);
SELECT count(*) FROM upg_verify('touched', '{account}', budget => '-1 s');
SELECT count(*) AS none FROM upg_verify('none');
SELECT upg_verification_report(999999);
SELECT upg_verification_report(format => 'pdf');

DROP SCHEMA verify_inv CASCADE;
DROP OWNED BY verify_declarer;
DROP ROLE verify_declarer;
DROP EXTENSION upg;
