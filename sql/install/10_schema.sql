-- The books live in a schema of their own.  A plain CREATE: a schema of this
-- name that somebody made before must stop the installation, not be adopted.
CREATE SCHEMA upg;
COMMENT ON SCHEMA upg IS 'ledger, undo log and audit trail of the extension upg';
REVOKE ALL ON SCHEMA upg FROM PUBLIC;

-- Roles are cluster-wide, so a second database finds them made already.
DO $roles$
DECLARE
    r record;
BEGIN
    FOR r IN
        VALUES ('upg_viewer', 'reads status, history and progress of upg'),
               ('upg_operator', 'applies and rolls back migrations with upg'),
               ('upg_approver', 'approves plans of upg'),
               ('upg_admin', 'repairs, finalizes and configures upg'),
               ('upg_auditor', 'reads, verifies and exports the audit trail of upg')
    LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = r.column1) THEN
            BEGIN
                EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', r.column1);
                EXECUTE pg_catalog.format('COMMENT ON ROLE %I IS %L', r.column1, r.column2);
            EXCEPTION
                WHEN unique_violation OR duplicate_object THEN
                    NULL; -- roles belong to all databases: another one has just made it
            END;
        END IF;
    END LOOP;
END
$roles$;
