-- The undo log.  It is as powerful as a superuser, so only the extension's C
-- code writes it: the triggers below fire always and refuse every statement,
-- whoever sends it.  The tables are not registered for pg_dump: a log is
-- worthless in any other database.
CREATE TABLE upg.undo_log (
    id bigint PRIMARY KEY,
    migration bigint NOT NULL,
    step integer NOT NULL,
    state text NOT NULL,
    mode text NOT NULL,
    verdict text NOT NULL,
    differences text[] NOT NULL DEFAULT '{}',
    coverage text,
    xids bytea NOT NULL,
    snapshot bytea NOT NULL,
    exempt oid[] NOT NULL,
    catalog_rows bigint NOT NULL,
    data_rows bigint NOT NULL,
    system_identifier bigint NOT NULL,
    database oid NOT NULL,
    catalog_version integer NOT NULL,
    server_version integer NOT NULL,
    digest bigint NOT NULL,
    captured_at timestamptz NOT NULL,
    capture_ms double precision,
    proof_ms double precision
);
COMMENT ON TABLE upg.undo_log IS 'one captured step of a migration, with the verdict of its proof';
CREATE INDEX undo_log_migration ON upg.undo_log (migration, step);
CREATE SEQUENCE upg.undo_log_id OWNED BY upg.undo_log.id;

CREATE TABLE upg.undo_chunks (
    log bigint NOT NULL,
    relation oid NOT NULL,
    chunk integer NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (log, relation, chunk)
);
ALTER TABLE upg.undo_chunks ALTER COLUMN data SET STORAGE EXTERNAL;
COMMENT ON TABLE upg.undo_chunks IS 'row images of a captured step: of catalogs (relation 0) and of tables';

CREATE TABLE upg.undo_relations (
    log bigint NOT NULL,
    relation oid NOT NULL,
    name text NOT NULL,
    filenumber oid NOT NULL,
    switched boolean NOT NULL,
    inserted bigint NOT NULL,
    deleted bigint NOT NULL,
    rows_after bigint NOT NULL,
    PRIMARY KEY (log, relation)
);
COMMENT ON TABLE upg.undo_relations IS 'tables whose rows a captured step changed';

CREATE TABLE upg.undo_files (
    log bigint NOT NULL,
    relation oid NOT NULL,
    kind "char" NOT NULL,
    tablespace oid NOT NULL,
    filenumber oid NOT NULL,
    persistence "char" NOT NULL,
    pages bigint NOT NULL,
    caretaker oid NOT NULL,
    PRIMARY KEY (log, relation)
);
COMMENT ON TABLE upg.undo_files IS 'files of dropped, truncated and rewritten relations that are kept for undo';

CREATE TABLE upg.undo_sequences (
    log bigint NOT NULL,
    sequence oid NOT NULL,
    before_value bigint NOT NULL,
    before_called boolean NOT NULL,
    after_value bigint NOT NULL,
    after_called boolean NOT NULL,
    switched boolean NOT NULL,
    PRIMARY KEY (log, sequence)
);
COMMENT ON TABLE upg.undo_sequences IS 'sequences that a captured step advanced or set';

CREATE TABLE upg.undo_columns (
    log bigint NOT NULL,
    relation oid NOT NULL,
    columns smallint[] NOT NULL,
    key smallint[] NOT NULL,
    is_primary boolean NOT NULL,
    rows bigint NOT NULL,
    bytes bigint NOT NULL,
    PRIMARY KEY (log, relation)
);
COMMENT ON TABLE upg.undo_columns IS 'tables whose dropped columns were copied, and by which columns a row is found again';

CREATE TABLE upg.undo_values (
    log bigint NOT NULL,
    relation oid NOT NULL,
    chunk integer NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (log, relation, chunk)
);
ALTER TABLE upg.undo_values ALTER COLUMN data SET STORAGE EXTERNAL;
COMMENT ON TABLE upg.undo_values IS 'copies of the values of dropped columns';

-- What rollbacks could not leave where it was.  The values are texts: the types
-- that they had may be gone.
CREATE TABLE upg.kept_rows (
    migration bigint NOT NULL,
    log bigint NOT NULL,
    table_name text NOT NULL,
    kind "char" NOT NULL,
    key jsonb,
    data jsonb NOT NULL,
    kept_at timestamptz NOT NULL
);
COMMENT ON TABLE upg.kept_rows IS 'rows (r) and values of rows (v) that a rollback set aside, because their table or column went away';
CREATE INDEX kept_rows_migration ON upg.kept_rows (migration);

CREATE TABLE upg.rollback_conflicts (
    migration bigint NOT NULL,
    log bigint NOT NULL,
    table_name text NOT NULL,
    key jsonb,
    column_name text,
    before text,
    application text,
    what text NOT NULL,
    found_at timestamptz NOT NULL
);
COMMENT ON TABLE upg.rollback_conflicts IS 'rows and values that both the migration and the application had changed, and that a rollback could not merge';
CREATE INDEX rollback_conflicts_migration ON upg.rollback_conflicts (migration);

SELECT pg_catalog.pg_extension_config_dump('upg.kept_rows', '');
SELECT pg_catalog.pg_extension_config_dump('upg.rollback_conflicts', '');

CREATE TABLE upg.undo_aliases (
    xid xid NOT NULL,
    origin xid NOT NULL,
    added_at timestamptz NOT NULL,
    log bigint NOT NULL
);
COMMENT ON TABLE upg.undo_aliases IS 'transactions of rollbacks, and whose rows they put back';

CREATE FUNCTION upg.refuse_dml()
    RETURNS trigger
    LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
BEGIN
    RAISE EXCEPTION 'cannot change "%.%" by SQL', TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege',
              HINT = 'The undo log is written by upg alone; upg_finalize() gives it up.';
END
$function$;
COMMENT ON FUNCTION upg.refuse_dml() IS 'refuses every change of a table that only the extension may write';
REVOKE ALL ON FUNCTION upg.refuse_dml() FROM PUBLIC;

DO $refuse$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['undo_log', 'undo_chunks', 'undo_relations', 'undo_files',
                             'undo_sequences', 'undo_columns', 'undo_values',
                             'undo_aliases']
    LOOP
        EXECUTE format('CREATE TRIGGER refuse_dml BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE '
                       'ON upg.%I FOR EACH STATEMENT EXECUTE FUNCTION upg.refuse_dml()', t);
        EXECUTE format('ALTER TABLE upg.%I ENABLE ALWAYS TRIGGER refuse_dml', t);
        EXECUTE format('REVOKE ALL ON upg.%I FROM PUBLIC', t);
    END LOOP;
END
$refuse$;

CREATE FUNCTION upg.capture_run(name text, script text, mode text DEFAULT 'required',
                                OUT log bigint, OUT verdict text, OUT differences text[],
                                OUT coverage text, OUT catalog_rows bigint, OUT data_rows bigint,
                                OUT capture_ms double precision, OUT proof_ms double precision)
    RETURNS record
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_capture_run';
COMMENT ON FUNCTION upg.capture_run(text, text, text) IS 'run a script under capture without any books; for tests of the undo engine';
REVOKE ALL ON FUNCTION upg.capture_run(text, text, text) FROM PUBLIC;

CREATE FUNCTION upg.capture_undo(name text, dry_run boolean DEFAULT false, discard boolean DEFAULT false,
                                 OUT actions text[], OUT notes text[], OUT catalog_rows bigint,
                                 OUT data_rows bigint, OUT indexes_rebuilt bigint)
    RETURNS record
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_capture_undo';
COMMENT ON FUNCTION upg.capture_undo(text, boolean, boolean) IS 'take back what upg.capture_run() did; for tests of the undo engine';
REVOKE ALL ON FUNCTION upg.capture_undo(text, boolean, boolean) FROM PUBLIC;

CREATE FUNCTION upg.capture_merge(name text, options jsonb DEFAULT '{}')
    RETURNS jsonb
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_capture_merge';
COMMENT ON FUNCTION upg.capture_merge(text, jsonb) IS 'take back what upg.capture_run() did, with the options of a rollback; for tests of the undo engine';
REVOKE ALL ON FUNCTION upg.capture_merge(text, jsonb) FROM PUBLIC;

CREATE FUNCTION upg.capture_finalize(name text)
    RETURNS void
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_capture_finalize';
COMMENT ON FUNCTION upg.capture_finalize(text) IS 'give up the undo of what upg.capture_run() did; for tests of the undo engine';
REVOKE ALL ON FUNCTION upg.capture_finalize(text) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_finalize(name text)
    RETURNS void
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_finalize';
COMMENT ON FUNCTION @extschema@.upg_finalize(text) IS
    'give up the undo of a migration, and what it keeps on disk';
REVOKE ALL ON FUNCTION @extschema@.upg_finalize(text) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_undo_cost(script text, OUT line integer, OUT "table" text, OUT bytes bigint,
    OUT rows bigint, OUT copied boolean)
    RETURNS SETOF record
    LANGUAGE C STABLE STRICT PARALLEL SAFE ROWS 5
    AS 'MODULE_PATHNAME', 'upg_undo_cost';
COMMENT ON FUNCTION @extschema@.upg_undo_cost(text) IS
    'tables from which a script drops columns: what copying their values for the undo would read, and whether it is done';
REVOKE ALL ON FUNCTION @extschema@.upg_undo_cost(text) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_server_untested(version integer DEFAULT NULL)
    RETURNS text
    LANGUAGE C STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'upg_server_untested';
COMMENT ON FUNCTION @extschema@.upg_server_untested(integer) IS
    'why the server, or one of this version, is one that upg was not tested with; NULL if it was';
REVOKE ALL ON FUNCTION @extschema@.upg_server_untested(integer) FROM PUBLIC;
