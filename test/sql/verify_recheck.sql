-- upg_constraints_recheck: rows that came in behind the back of a constraint are named.
SET client_min_messages = warning;
CREATE EXTENSION upg;
CREATE SCHEMA recheck;
SET search_path = recheck, public;

CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE DOMAIN small AS positive CHECK (VALUE < 1000);
CREATE TABLE parent (a integer, b integer, PRIMARY KEY (a, b));
CREATE TABLE child (id integer PRIMARY KEY, a integer, b integer, full_a integer, full_b integer,
    name text NOT NULL, n integer CONSTRAINT n_positive CHECK (n > 0), code text,
    amount small,
    CONSTRAINT simple FOREIGN KEY (a, b) REFERENCES parent,
    CONSTRAINT both_or_none FOREIGN KEY (full_a, full_b) REFERENCES parent MATCH FULL);
CREATE UNIQUE INDEX code_lower ON child (lower(code)) WHERE id > 0;
CREATE UNIQUE INDEX code_n ON child (code, n) NULLS NOT DISTINCT;
CREATE TABLE booking (room integer, during int4range, EXCLUDE USING gist (int4range(room, room, '[]') WITH =, during WITH &&));
CREATE TABLE log (at integer NOT NULL, what text) PARTITION BY RANGE (at);
CREATE TABLE log_old PARTITION OF log FOR VALUES FROM (0) TO (100);
CREATE TABLE "odd name" ("a ""key" integer PRIMARY KEY, "Value" integer NOT NULL CHECK ("Value" <> 7));
INSERT INTO parent VALUES (1, 1), (2, 2);
INSERT INTO child VALUES (1, 1, 1, 1, 1, 'one', 1, 'A', 1), (2, NULL, 7, NULL, NULL, 'two', NULL, NULL, NULL);
INSERT INTO booking VALUES (1, '[1,5)'), (1, '[5,9)'), (2, '[1,5)');
INSERT INTO log VALUES (1, 'x');
INSERT INTO "odd name" VALUES (1, 1);

-- all is well
SELECT relation, constraint_name, kind, state, violations, message FROM upg_constraints_recheck()
WHERE relation LIKE 'recheck.%' ORDER BY relation COLLATE "C", kind, constraint_name COLLATE "C";

-- foreign keys: rows loaded with triggers off
SET session_replication_role = replica;
INSERT INTO child VALUES (3, 9, 9, 1, NULL, 'three', 1, 'c', 3), (4, 1, 1, 8, 8, 'four', 1, 'd', 3);
DELETE FROM parent WHERE a = 1;
RESET session_replication_role;
SELECT constraint_name, kind, violations, rows_in_violation FROM upg_constraints_recheck('{child}')
WHERE state <> 'passed' ORDER BY kind, constraint_name;
INSERT INTO parent VALUES (1, 1);
DELETE FROM child WHERE id IN (3, 4);

-- NOT NULL, CHECK and domains: the catalog was made to claim what was never looked at
ALTER TABLE child ALTER name DROP NOT NULL, DROP CONSTRAINT n_positive;
ALTER DOMAIN positive DROP CONSTRAINT positive_check;
INSERT INTO child VALUES (5, 1, 1, 1, 1, NULL, -5, 'e', -5), (6, 1, 1, 1, 1, NULL, 0, 'f', 6);
UPDATE pg_attribute SET attnotnull = true WHERE attrelid = 'child'::regclass AND attname = 'name';
ALTER TABLE child ADD CONSTRAINT n_positive CHECK (n > 0) NOT VALID;
ALTER DOMAIN positive ADD CONSTRAINT positive_check CHECK (VALUE > 0) NOT VALID;
SELECT constraint_name, state, violations, message FROM upg_constraints_recheck('{child}')
WHERE kind IN ('check', 'domain') ORDER BY 1;
UPDATE pg_constraint SET convalidated = true WHERE conname IN ('n_positive', 'positive_check');
SELECT constraint_name, kind, violations, rows_in_violation, message FROM upg_constraints_recheck('{child}')
WHERE state <> 'passed' ORDER BY kind, constraint_name;
-- some of them, none of them, hidden
SELECT constraint_name, violations, rows_in_violation FROM upg_constraints_recheck('{child}', max_rows => 1) WHERE kind = 'not_null';
SELECT constraint_name, violations, rows_in_violation FROM upg_constraints_recheck('{child}', max_rows => 0) WHERE kind = 'not_null';
SELECT constraint_name, violations, rows_in_violation FROM upg_constraints_recheck('{child}', redact => true) WHERE kind = 'not_null';
DELETE FROM child WHERE id > 4;

-- unique: the index did not see the rows, so it must not be asked
UPDATE pg_index SET indisready = false, indislive = false WHERE indexrelid IN ('child_pkey'::regclass, 'code_lower'::regclass, 'code_n'::regclass);
INSERT INTO child VALUES (7, 1, 1, 1, 1, 'x', 1, 'G', 1), (7, 1, 1, 1, 1, 'y', 2, 'g', 1), (8, 1, 1, 1, 1, 'z', NULL, NULL, 1);
UPDATE pg_index SET indisready = true, indislive = true WHERE indexrelid IN ('child_pkey'::regclass, 'code_lower'::regclass, 'code_n'::regclass);
SELECT constraint_name, kind, violations, rows_in_violation FROM upg_constraints_recheck('{child}')
WHERE state <> 'passed' ORDER BY kind, constraint_name;
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'code_n'::regclass;
SELECT constraint_name, state, message FROM upg_constraints_recheck('{child}') WHERE constraint_name = 'code_n';

-- exclusion, likewise
UPDATE pg_index SET indisready = false, indislive = false WHERE indrelid = 'booking'::regclass;
INSERT INTO booking VALUES (1, '[4,6)');
UPDATE pg_index SET indisready = true, indislive = true WHERE indrelid = 'booking'::regclass;
SELECT kind, violations, jsonb_array_length(rows_in_violation) FROM upg_constraints_recheck('{booking}');

-- a partition with rows that do not belong there; asked of the parent
UPDATE pg_class SET relispartition = false WHERE oid = 'log_old'::regclass;
INSERT INTO log_old VALUES (500, 'astray');
UPDATE pg_class SET relispartition = true WHERE oid = 'log_old'::regclass;
SELECT relation, kind, state, violations FROM upg_constraints_recheck('{log}') ORDER BY kind;

-- rights: what the caller cannot read is not looked at, and row security is not bypassed
CREATE ROLE recheck_reader;
GRANT USAGE ON SCHEMA recheck TO recheck_reader;
GRANT upg_viewer TO recheck_reader;
GRANT SELECT ON child TO recheck_reader;
GRANT SELECT ON booking TO recheck_reader;
ALTER TABLE booking ENABLE ROW LEVEL SECURITY;
SET ROLE recheck_reader;
SELECT constraint_name, kind, state, message FROM upg_constraints_recheck('{child,booking,"\"odd name\""}')
WHERE state = 'error' ORDER BY kind, constraint_name;
RESET ROLE;

-- bad input
SELECT * FROM upg_constraints_recheck('{nosuch}');
SELECT * FROM upg_constraints_recheck(ARRAY[NULL]::regclass[]);
SELECT * FROM upg_constraints_recheck('{child}', max_rows => -1);
SELECT count(*) AS nothing FROM upg_constraints_recheck('{}');
SELECT count(*) AS no_table FROM upg_constraints_recheck(ARRAY[999999999]::regclass[]);

DROP SCHEMA recheck CASCADE;
DROP OWNED BY recheck_reader;
DROP ROLE recheck_reader;
DROP EXTENSION upg;
