-- 90_privileges

-- Audit: auditors read, check and export the trail; administrators check it.
GRANT USAGE ON SCHEMA upg TO upg_auditor;
GRANT SELECT ON upg.audit_log, upg.audit_checkpoints TO upg_auditor;
GRANT EXECUTE ON FUNCTION
    @extschema@.upg_audit_verify(jsonb),
    @extschema@.upg_audit_checkpoint(text),
    @extschema@.upg_audit_note(text, text, jsonb)
    TO upg_auditor, upg_admin;
GRANT EXECUTE ON FUNCTION @extschema@.upg_audit_export(text, bigint) TO upg_auditor;
