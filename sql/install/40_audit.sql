-- The audit trail: a hash chain in the order of commits.

CREATE TABLE upg.audit_log (
    seq              bigint      NOT NULL CONSTRAINT audit_log_pkey PRIMARY KEY,
    at               timestamptz NOT NULL,
    actor            text        NOT NULL,
    role             text        NOT NULL,
    pid              integer     NOT NULL,
    application_name text,
    client_addr      text,
    action           text        NOT NULL,
    object           text,
    before           json,
    after            json,
    prev             bytea       NOT NULL,
    hash             bytea       NOT NULL
);
COMMENT ON TABLE upg.audit_log IS 'who did what, as a hash chain in the order of commits';
COMMENT ON COLUMN upg.audit_log.seq IS 'place in the chain, from 1, without gaps';
COMMENT ON COLUMN upg.audit_log.at IS 'when the action happened; its place in the chain is that of its commit';
COMMENT ON COLUMN upg.audit_log.actor IS 'role that logged in';
COMMENT ON COLUMN upg.audit_log.role IS 'role whose rights applied';
COMMENT ON COLUMN upg.audit_log.client_addr IS 'address of the client; null on a Unix socket and in background workers';
COMMENT ON COLUMN upg.audit_log.prev IS 'hash of the entry before, 32 zero bytes in the first';
COMMENT ON COLUMN upg.audit_log.hash IS 'SHA-256 over the previous hash and the other columns';
REVOKE ALL ON TABLE upg.audit_log FROM PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('upg.audit_log', '');

CREATE TABLE upg.audit_checkpoints (
    seq   bigint      NOT NULL CHECK (seq >= 0),
    hash  bytea       NOT NULL CHECK (length(hash) = 32),
    at    timestamptz NOT NULL,
    actor text        NOT NULL,
    note  text
);
COMMENT ON TABLE upg.audit_checkpoints IS 'ends of the audit trail as they were; the copy that counts is the one kept elsewhere';
REVOKE ALL ON TABLE upg.audit_checkpoints FROM PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('upg.audit_checkpoints', '');

CREATE FUNCTION upg.audit_refuse()
    RETURNS trigger
    LANGUAGE C
    AS 'MODULE_PATHNAME', 'upg_audit_refuse';
COMMENT ON FUNCTION upg.audit_refuse() IS 'refuses changes of the audit trail by SQL';
REVOKE ALL ON FUNCTION upg.audit_refuse() FROM PUBLIC;

CREATE TRIGGER audit_refuse
    BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON upg.audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION upg.audit_refuse();
ALTER TABLE upg.audit_log ENABLE ALWAYS TRIGGER audit_refuse;
CREATE TRIGGER audit_refuse
    BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON upg.audit_checkpoints
    FOR EACH STATEMENT EXECUTE FUNCTION upg.audit_refuse();
ALTER TABLE upg.audit_checkpoints ENABLE ALWAYS TRIGGER audit_refuse;

CREATE FUNCTION @extschema@.upg_audit_verify(
    checkpoint jsonb DEFAULT NULL,
    OUT ok boolean, OUT entries bigint, OUT first_bad bigint, OUT reason text)
    RETURNS record
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_audit_verify';
COMMENT ON FUNCTION @extschema@.upg_audit_verify(jsonb) IS
    'first broken entry of the audit trail, also against a checkpoint kept elsewhere';
REVOKE ALL ON FUNCTION @extschema@.upg_audit_verify(jsonb) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_audit_export(format text DEFAULT 'jsonl', from_seq bigint DEFAULT 1)
    RETURNS SETOF text
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE ROWS 10000
    AS 'MODULE_PATHNAME', 'upg_audit_export';
COMMENT ON FUNCTION @extschema@.upg_audit_export(text, bigint) IS
    'audit trail as JSON Lines or CSV, which can be verified without a server';
REVOKE ALL ON FUNCTION @extschema@.upg_audit_export(text, bigint) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_audit_checkpoint(note text DEFAULT NULL)
    RETURNS jsonb
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_audit_checkpoint';
COMMENT ON FUNCTION @extschema@.upg_audit_checkpoint(text) IS
    'end of the audit trail as it is now, to be kept elsewhere';
REVOKE ALL ON FUNCTION @extschema@.upg_audit_checkpoint(text) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_audit_note(action text, object text DEFAULT NULL, detail jsonb DEFAULT NULL)
    RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_audit_note';
COMMENT ON FUNCTION @extschema@.upg_audit_note(text, text, jsonb) IS
    'adds a remark to the audit trail, as action "note.<action>"';
REVOKE ALL ON FUNCTION @extschema@.upg_audit_note(text, text, jsonb) FROM PUBLIC;
