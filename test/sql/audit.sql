-- The audit trail: appended at commit, refused to SQL, broken entries found.
\set VERBOSITY terse
CREATE EXTENSION upg;

-- An empty trail is in order, and has a checkpoint too.
SELECT * FROM upg_audit_verify();
SELECT upg_audit_checkpoint() - 'at' - 'system_identifier' - 'database' AS empty_point;

-- Entries follow their subtransaction and their transaction.
BEGIN;
SELECT upg_audit_note('first', 'object "1"', '{"b":1,  "a":"é\n\"x\""}');
SAVEPOINT a;
SELECT upg_audit_note('lost');
SAVEPOINT b;
SELECT upg_audit_note('lost too');
RELEASE b;
ROLLBACK TO a;
SAVEPOINT c;
SELECT upg_audit_note('kept');
SAVEPOINT d;
SELECT upg_audit_note('kept too');
RELEASE d;
RELEASE c;
SELECT count(*) AS before_commit FROM upg.audit_log;
COMMIT;
BEGIN;
SELECT upg_audit_note('rolled back');
ROLLBACK;
DO $$
BEGIN
    PERFORM public.upg_audit_note('lost in a block');
    PERFORM 1 / 0;
EXCEPTION WHEN division_by_zero THEN
    PERFORM public.upg_audit_note('from the handler');
END $$;
CREATE PROCEDURE audit_two() LANGUAGE plpgsql AS $$
BEGIN
    PERFORM public.upg_audit_note('before an inner commit');
    COMMIT;
    PERFORM public.upg_audit_note('lost after an inner commit');
    ROLLBACK;
    PERFORM public.upg_audit_note('after an inner rollback');
END $$;
CALL audit_two();
DROP PROCEDURE audit_two();
SELECT seq, actor = session_user AS me, role = current_user AS my_role,
       pid = pg_backend_pid() AS here, at <= clock_timestamp() AS past,
       application_name = current_setting('application_name') AS app,
       action, object, before, length(hash) AS hash
  FROM upg.audit_log ORDER BY seq;
SELECT action, after FROM upg.audit_log WHERE action <> 'audit.checkpoint' AND after IS NOT NULL;
SELECT * FROM upg_audit_verify();

-- A deferred constraint that fails takes the entry with it.
CREATE TABLE audit_d (i int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED);
BEGIN;
SELECT upg_audit_note('lost to a constraint');
INSERT INTO audit_d VALUES (1), (1);
COMMIT;
DROP TABLE audit_d;
SELECT * FROM upg_audit_verify();

-- The role that counts is the one in effect.
CREATE ROLE regress_audit_user;
GRANT upg_auditor TO regress_audit_user;
SET ROLE regress_audit_user;
SELECT upg_audit_note('as another', NULL, '[]');
SELECT action, actor = session_user AS actor, role FROM upg.audit_log ORDER BY seq DESC LIMIT 1;
INSERT INTO upg.audit_log SELECT * FROM upg.audit_log;
DELETE FROM upg.audit_log;
RESET ROLE;

-- Bad input
SELECT upg_audit_note('');
SELECT upg_audit_note(NULL);
SELECT upg_audit_export('xml');
SELECT upg_audit_verify('[]');
SELECT upg_audit_verify('{"upg":2}');
SELECT upg_audit_verify('{"upg":1,"seq":"1"}');
SELECT upg_audit_verify('{"upg":1,"seq":-1}');
SELECT upg_audit_verify('{"upg":1,"seq":99999999999999999999}');
SELECT upg_audit_verify('{"upg":1,"seq":1,"hash":"xyz"}');
BEGIN READ ONLY;
SELECT upg_audit_note('read only');
ROLLBACK;

-- SQL is refused to a superuser, in replica mode, and whatever the command.
INSERT INTO upg.audit_log SELECT * FROM upg.audit_log;
UPDATE upg.audit_log SET action = 'x';
DELETE FROM upg.audit_log WHERE false;
TRUNCATE upg.audit_log;
SET session_replication_role = replica;
UPDATE upg.audit_log SET action = 'x';
DELETE FROM upg.audit_checkpoints;
RESET session_replication_role;
INSERT INTO upg.audit_checkpoints SELECT * FROM upg.audit_checkpoints;

-- Export: lines and their form
SELECT count(*), bool_and(line::json ->> 'hash' ~ '^[0-9a-f]{64}$') AS hashes,
       bool_and(line::json ->> 'at' ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$') AS times
  FROM upg_audit_export() AS line;
SELECT line::json ->> 'object' AS object, (line::json ->> 'after')::json AS after
  FROM upg_audit_export('jsonl', 2) AS line LIMIT 1;
SELECT line FROM upg_audit_export('csv') AS line LIMIT 1;
SELECT regexp_replace(line, '^.*,(note\..*),[0-9a-f]{64},[0-9a-f]{64}$', '\1') AS first
  FROM upg_audit_export('csv', 2) AS line LIMIT 1 OFFSET 1;
SELECT min((line::json ->> 'seq')::int) FROM upg_audit_export('jsonl', 3) AS line;

-- What a superuser does behind the triggers.  Each case is undone.
SELECT upg_audit_checkpoint('before tampering') AS point \gset
SELECT upg_audit_note('after the point');
ALTER TABLE upg.audit_log DISABLE TRIGGER audit_refuse;
CREATE FUNCTION audit_case(tamper text, point jsonb DEFAULT NULL) RETURNS text
    LANGUAGE plpgsql AS $$
DECLARE
    r record;
BEGIN
    BEGIN
        EXECUTE tamper;
        SELECT * INTO r FROM public.upg_audit_verify(point);
        RAISE EXCEPTION USING errcode = 'RB000', message =
            format('ok %s, first bad %s: %s', r.ok, r.first_bad, r.reason);
    EXCEPTION WHEN SQLSTATE 'RB000' THEN
        RETURN SQLERRM;
    END;
END $$;
-- upg_audit_verify reads what is committed, or this transaction's own changes.
SELECT audit_case('SELECT 1', :'point');
SELECT audit_case($$UPDATE upg.audit_log SET object = 'other' WHERE seq = 1$$);
SELECT audit_case($$UPDATE upg.audit_log SET at = at + interval '1 microsecond' WHERE seq = 2$$);
SELECT audit_case($$UPDATE upg.audit_log SET at = 'infinity' WHERE seq = 2$$);
SELECT audit_case($$UPDATE upg.audit_log SET hash = sha256('x') WHERE seq = 3$$);
SELECT audit_case($$UPDATE upg.audit_log SET hash = 'x' WHERE seq = 3$$);
SELECT audit_case($$UPDATE upg.audit_log SET before = 'null' WHERE seq = 3$$);
SELECT audit_case($$UPDATE upg.audit_log SET after = '{"b":1,  "a":"é\n\"x\""}' WHERE seq = 1$$);
SELECT audit_case($$DELETE FROM upg.audit_log WHERE seq = 1$$);
SELECT audit_case($$DELETE FROM upg.audit_log WHERE seq IN (3, 4)$$);
SELECT audit_case($$DELETE FROM upg.audit_log WHERE seq = 4; UPDATE upg.audit_log SET seq = seq - 1 WHERE seq > 4$$);
SELECT audit_case($$UPDATE upg.audit_log SET seq = 0 WHERE seq = 1$$);
-- A tail that is cut leaves a sound chain: only a checkpoint knows more.
ALTER TABLE upg.audit_checkpoints DISABLE TRIGGER audit_refuse;
SELECT audit_case($$DELETE FROM upg.audit_log WHERE seq > 5; DELETE FROM upg.audit_checkpoints$$);
SELECT audit_case($$DELETE FROM upg.audit_log WHERE seq > 5; DELETE FROM upg.audit_checkpoints$$, :'point');
SELECT audit_case($$DELETE FROM upg.audit_log WHERE seq > 5$$);
SELECT audit_case($$DELETE FROM upg.audit_log; DELETE FROM upg.audit_checkpoints$$, :'point');

-- Somebody who knows the format and stamps the chain anew from an entry on.
CREATE FUNCTION audit_ns(value text) RETURNS text LANGUAGE sql AS
    $$SELECT coalesce(octet_length(convert_to(value, 'UTF8')) || ':' || value, '-') || ','$$;
CREATE FUNCTION audit_restamp(from_seq bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    r upg.audit_log;
    last bytea := (SELECT a.hash FROM upg.audit_log a WHERE a.seq = from_seq - 1);
BEGIN
    FOR r IN SELECT * FROM upg.audit_log a WHERE a.seq >= from_seq ORDER BY a.seq LOOP
        r.prev := last;
        last := sha256(convert_to(audit_ns('upg-audit-1') || audit_ns(encode(r.prev, 'hex')) ||
            audit_ns(r.seq::text) ||
            audit_ns(((extract(epoch FROM r.at) * 1000000)::bigint)::text) ||
            audit_ns(r.actor) || audit_ns(r.role) || audit_ns(r.pid::text) ||
            audit_ns(r.application_name) || audit_ns(r.client_addr) || audit_ns(r.action) ||
            audit_ns(r.object) || audit_ns(r.before::text) || audit_ns(r.after::text), 'UTF8'));
        UPDATE upg.audit_log a SET prev = r.prev, hash = last WHERE a.seq = r.seq;
    END LOOP;
END $$;
SELECT audit_case($$SELECT audit_restamp(3)$$, :'point');
SELECT audit_case($$UPDATE upg.audit_log SET object = 'other' WHERE seq = 3; SELECT audit_restamp(3); DELETE FROM upg.audit_checkpoints$$);
SELECT audit_case($$UPDATE upg.audit_log SET object = 'other' WHERE seq = 3; SELECT audit_restamp(3); DELETE FROM upg.audit_checkpoints$$, :'point');
SELECT audit_case($$UPDATE upg.audit_log SET object = 'other' WHERE seq = 3; SELECT audit_restamp(3)$$);
ALTER TABLE upg.audit_checkpoints ENABLE ALWAYS TRIGGER audit_refuse;
ALTER TABLE upg.audit_log ENABLE ALWAYS TRIGGER audit_refuse;
SELECT ok, first_bad, reason FROM upg_audit_verify(:'point');

-- A table that was altered is refused, not misread.
BEGIN;
ALTER TABLE upg.audit_log ADD COLUMN extra int;
SELECT upg_audit_verify();
ROLLBACK;
BEGIN;
ALTER TABLE upg.audit_log DROP CONSTRAINT audit_log_pkey;
SELECT upg_audit_note('without the index');
COMMIT;

-- Indexes that somebody added are kept up too, expressions and predicates included.
CREATE INDEX audit_extra ON upg.audit_log ((after ->> 'k')) WHERE after IS NOT NULL;
SELECT upg_audit_note('indexed', NULL, '{"k": "here"}');
SET enable_seqscan = off;
SELECT action FROM upg.audit_log WHERE after IS NOT NULL AND after ->> 'k' = 'here';
RESET enable_seqscan;
DROP INDEX upg.audit_extra;

-- Large values go out of line.
SELECT upg_audit_note('large', repeat('o', 10000),
                      jsonb_build_object('v', (SELECT string_agg(sha256(i::text::bytea)::text, '') FROM generate_series(1, 2000) i)));
SELECT ok, first_bad, reason FROM upg_audit_verify(:'point');

-- Dropped in the same transaction: nothing is left to write to.
DROP FUNCTION audit_restamp, audit_ns, audit_case;
BEGIN;
SELECT upg_audit_note('last words');
DROP EXTENSION upg;
COMMIT;
SELECT to_regnamespace('upg') AS schema_gone;
DROP ROLE regress_audit_user;
