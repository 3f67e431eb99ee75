-- Only the extension's C code writes these tables; nobody is granted more than
-- SELECT (90_privileges.sql).  States are changed by one function, in ledger.c, and
-- what is read is checked there.  The tables that every migration writes have no
-- CHECK: the server would read its definition anew at each insert.  None has a
-- foreign key: it would lock the row of the run, and pg_restore, which loads the
-- tables of an extension in any order, would fail on it.

CREATE TABLE upg.upgrades (
    upgrade_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    direction text NOT NULL CHECK (direction IN ('up', 'down')),
    state text NOT NULL CHECK (state IN ('executing', 'completed', 'failed', 'cancelled', 'killed')),
    plan text[] NOT NULL,
    target text,
    version text,
    actor text NOT NULL,
    client jsonb NOT NULL DEFAULT '{}',
    backend_pid integer NOT NULL,
    backend_start timestamptz NOT NULL,
    started_at timestamptz NOT NULL,
    last_seen timestamptz NOT NULL,
    finished_at timestamptz,
    detail text
);
COMMENT ON TABLE upg.upgrades IS 'runs: an ordered list of migrations driven in one direction';
COMMENT ON COLUMN upg.upgrades.plan IS 'names of the migrations, in the order they are to run';
COMMENT ON COLUMN upg.upgrades.last_seen IS 'when the run last did something';
CREATE INDEX upgrades_executing ON upg.upgrades (upgrade_id) WHERE state = 'executing';

CREATE TABLE upg.migrations (
    migration_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL CONSTRAINT migrations_name_key UNIQUE,
    state text NOT NULL,
    direction text NOT NULL DEFAULT 'up',
    up_sql text,
    up_size bigint NOT NULL,
    up_sha256 bytea NOT NULL,
    up_meaning bytea,
    meaning_version smallint NOT NULL,
    down_sql text,
    down_sha256 bytea,
    requires text[] NOT NULL DEFAULT '{}',
    options jsonb NOT NULL DEFAULT '{}',
    order_key text COLLATE "C",
    undo text NOT NULL DEFAULT 'none',
    run jsonb,
    statements integer,
    steps integer,
    registered_at timestamptz NOT NULL,
    registered_by text NOT NULL,
    applied_order bigint,
    applied_at timestamptz,
    applied_by text,
    duration interval,
    upgrade_id bigint
);
COMMENT ON TABLE upg.migrations IS 'migrations: script, checksums, dependencies, state';
COMMENT ON COLUMN upg.migrations.direction IS 'where a queued or running migration is heading';
COMMENT ON COLUMN upg.migrations.up_sql IS 'the script; null when the client streamed it';
COMMENT ON COLUMN upg.migrations.up_meaning IS 'SHA-256 over the tokens; null when the server cannot scan the script alone';
COMMENT ON COLUMN upg.migrations.run IS 'role and settings that a background worker runs it with';
COMMENT ON COLUMN upg.migrations.applied_order IS 'grows with each application';
CREATE UNIQUE INDEX migrations_applied_order ON upg.migrations (applied_order);
CREATE INDEX migrations_order_key ON upg.migrations (order_key);

CREATE SEQUENCE upg.applied_order OWNED BY upg.migrations.applied_order;
COMMENT ON SEQUENCE upg.applied_order IS 'order of application';

CREATE TABLE upg.steps (
    migration_id bigint NOT NULL,
    direction text NOT NULL,
    step integer NOT NULL,
    kind text NOT NULL,
    first_statement integer NOT NULL,
    last_statement integer NOT NULL,
    sha256 bytea NOT NULL,
    state text NOT NULL,
    intent jsonb,
    backend_pid integer,
    backend_start timestamptz,
    started_at timestamptz,
    finished_at timestamptz,
    PRIMARY KEY (migration_id, direction, step)
);
COMMENT ON TABLE upg.steps IS 'steps of migrations that do not fit one transaction';
COMMENT ON COLUMN upg.steps.sha256 IS 'SHA-256 of the step''s part of the script';
COMMENT ON COLUMN upg.steps.intent IS 'what was there before an autocommit step, to tell later what became of it';

CREATE TABLE upg.attempts (
    attempt_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    migration text NOT NULL,
    direction text NOT NULL,
    state text NOT NULL,
    step integer,
    statement_no integer,
    line integer,
    col integer,
    statement text,
    sqlstate text,
    message text,
    detail text,
    hint text,
    context text,
    lock_waits jsonb,
    started_at timestamptz NOT NULL,
    finished_at timestamptz NOT NULL,
    actor text NOT NULL,
    backend_pid integer NOT NULL,
    upgrade_id bigint
);
COMMENT ON TABLE upg.attempts IS 'every try of a migration or of one of its steps, failures included';
COMMENT ON COLUMN upg.attempts.lock_waits IS 'who kept a statement from its locks, and how long';
CREATE INDEX attempts_migration ON upg.attempts (migration, attempt_id);

CREATE TABLE upg.versions (
    version_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version text NOT NULL,
    state text NOT NULL CHECK (state IN ('current', 'previous', 'rolled_back')),
    head text,
    reached_at timestamptz NOT NULL,
    reached_by text NOT NULL,
    left_at timestamptz,
    upgrade_id bigint
);
COMMENT ON TABLE upg.versions IS 'named versions that runs brought the database to';
COMMENT ON COLUMN upg.versions.head IS 'the last migration that was applied when the version was reached';
CREATE UNIQUE INDEX versions_current ON upg.versions (state) WHERE state = 'current';

CREATE TABLE upg.rollback_records (
    rollback_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    migration text NOT NULL,
    method text NOT NULL CHECK (method IN ('given', 'undo')),
    started_at timestamptz NOT NULL,
    finished_at timestamptz NOT NULL,
    actor text NOT NULL,
    was_applied_at timestamptz,
    was_applied_by text,
    was_order bigint,
    statements integer,
    reason text,
    upgrade_id bigint,
    details jsonb NOT NULL DEFAULT '{}'
);
COMMENT ON TABLE upg.rollback_records IS 'migrations that were taken back';
COMMENT ON COLUMN upg.rollback_records.method IS 'given: by the down script; undo: by what upg recorded';

-- A dump carries the books with it.
SELECT pg_catalog.pg_extension_config_dump('upg.upgrades', '');
SELECT pg_catalog.pg_extension_config_dump('upg.migrations', '');
SELECT pg_catalog.pg_extension_config_dump('upg.applied_order', '');
SELECT pg_catalog.pg_extension_config_dump('upg.steps', '');
SELECT pg_catalog.pg_extension_config_dump('upg.attempts', '');
SELECT pg_catalog.pg_extension_config_dump('upg.versions', '');
SELECT pg_catalog.pg_extension_config_dump('upg.rollback_records', '');
SELECT pg_catalog.pg_extension_config_dump('upg.upgrades_upgrade_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('upg.migrations_migration_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('upg.attempts_attempt_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('upg.versions_version_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('upg.rollback_records_rollback_id_seq', '');
