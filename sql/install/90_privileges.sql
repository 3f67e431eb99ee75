-- Who may call what.  test/pgtap/privileges.sql holds the same as a matrix, and
-- fails on a function that is missing there.
--
-- The grants are direct: roles belong to the cluster, and membership of one in
-- another, made here, would reach into other databases.  Functions of upg that
-- read the books run with the rights of their owner, or read a view that does, so
-- that nobody needs rights on the tables for them.

-- Everybody who has to do with upgrades: where things stand
GRANT EXECUTE ON FUNCTION
    @extschema@.upg_library_version(),
    @extschema@.upg_schema_fingerprint(text[]),
    @extschema@.upg_schema_fingerprint_parts(text[]),
    @extschema@.upg_schema_image(text[]),
    @extschema@.upg_schema_differences(jsonb, jsonb),
    @extschema@.upg_status(),
    @extschema@.upg_digest(),
    @extschema@.upg_migration_state(text),
    @extschema@.upg_history(text, integer),
    @extschema@.upg_progress(),
    @extschema@.upg_locks(),
    @extschema@.upg_retention(),
    @extschema@.upg_plan(text),
    @extschema@.upg_ledger_verify(),
    @extschema@.upg_script_info(text),
    @extschema@.upg_undo_cost(text),
    @extschema@.upg_server_untested(integer),
    @extschema@.upg_script_statements(text)
    TO upg_viewer, upg_operator, upg_approver, upg_admin, upg_auditor;
GRANT EXECUTE ON PROCEDURE @extschema@.upg_wait(text, interval)
    TO upg_viewer, upg_operator, upg_approver, upg_admin, upg_auditor;
GRANT USAGE ON SCHEMA upg TO upg_viewer, upg_operator, upg_approver, upg_admin, upg_auditor;
GRANT SELECT ON upg.status, upg.versions, upg.upgrades, upg.rollback_records
    TO upg_viewer, upg_operator, upg_approver, upg_admin, upg_auditor;

-- Scripts may hold what not everybody should see.
GRANT EXECUTE ON FUNCTION
    @extschema@.upg_down(text, boolean),
    @extschema@.upg_down_statements(text, boolean)
    TO upg_operator, upg_approver, upg_admin, upg_auditor;
GRANT SELECT ON upg.migrations, upg.steps, upg.attempts TO upg_admin, upg_auditor;

-- Rows that rollbacks set aside are data of the application.
GRANT EXECUTE ON FUNCTION
    @extschema@.upg_kept_rows(text),
    @extschema@.upg_rollback_conflicts(text)
    TO upg_operator, upg_admin;

-- To apply and to roll back
GRANT EXECUTE ON FUNCTION
    @extschema@.upg_apply(text, text, text, text[], jsonb),
    @extschema@.upg_register(text, text, text, text[], jsonb),
    @extschema@.upg_adopt(text, text, text, text[], jsonb),
    @extschema@.upg_rollback(text, text, jsonb),
    @extschema@.upg_finalize(text),
    @extschema@.upg_rollback_preview(text, jsonb),
    @extschema@.upg_rollback_order(text),
    @extschema@.upg_rollback_locks(text),
    @extschema@.upg_put_back(text, jsonb),
    @extschema@.upg_expire(interval, boolean),
    @extschema@.upg_begin(text, text, text, text[], jsonb),
    @extschema@.upg_finish(),
    @extschema@.upg_record_attempt(text, jsonb),
    @extschema@.upg_forget_registration(text),
    @extschema@.upg_upgrade_start(text, text[], text, jsonb),
    @extschema@.upg_upgrade_finish(bigint, text, text, text)
    TO upg_operator, upg_admin;

-- To settle what is unclear
GRANT EXECUTE ON FUNCTION @extschema@.upg_repair(text, text, text) TO upg_admin;

-- The audit trail: auditors read, check and export it; administrators check it.
GRANT SELECT ON upg.audit_log, upg.audit_checkpoints TO upg_auditor;
GRANT EXECUTE ON FUNCTION
    @extschema@.upg_audit_verify(jsonb),
    @extschema@.upg_audit_checkpoint(text),
    @extschema@.upg_audit_note(text, text, jsonb)
    TO upg_auditor, upg_admin;
GRANT EXECUTE ON FUNCTION @extschema@.upg_audit_export(text, bigint) TO upg_auditor;

-- Checksums and compare read with the rights of their caller and show nothing that
-- the caller could not select, so whoever has to do with upgrades may call them.
GRANT EXECUTE ON FUNCTION
    @extschema@.upg_checksum(record, text, bigint),
    @extschema@.upg_checksum_agg(record),
    @extschema@.upg_checksum_agg(text[], VARIADIC "any"),
    @extschema@.upg_checksum_agg_as(text, bigint, record),
    @extschema@.upg_checksum_agg_as(text, bigint, text[], VARIADIC "any"),
    @extschema@.upg_checksum_merge(@extschema@.upg_checksum_value),
    @extschema@.upg_checksum_add(
        @extschema@.upg_checksum_value, @extschema@.upg_checksum_value),
    @extschema@.upg_checksum_subtract(
        @extschema@.upg_checksum_value, @extschema@.upg_checksum_value),
    @extschema@.upg_checksum_eq(
        @extschema@.upg_checksum_value, @extschema@.upg_checksum_value),
    @extschema@.upg_checksum_ne(
        @extschema@.upg_checksum_value, @extschema@.upg_checksum_value),
    @extschema@.upg_checksum_info(@extschema@.upg_checksum_value),
    @extschema@.upg_table_checksum(
        regclass, text[], text, text[], text, bigint, integer, boolean),
    @extschema@.upg_table_sketch(
        regclass, text[], text[], text, text[], jsonb, text, bigint, boolean, integer, integer,
        integer, integer),
    @extschema@.upg_table_rows(
        regclass, bytea[], text[], text[], text, text[], jsonb, text, bigint, boolean),
    @extschema@.upg_sketch_keep(
        regclass, text[], text[], text, text[], jsonb, text, bigint, boolean, integer, integer,
        integer, integer),
    @extschema@.upg_sketch_take(bytea),
    @extschema@.upg_rows_packed(
        regclass, bytea, text[], text[], text, text[], jsonb, text, bigint, boolean, integer,
        text[]),
    @extschema@.upg_table_sample(
        regclass, text[], text[], text, text[], jsonb, text, bigint, boolean),
    @extschema@.upg_sample_missing(
        regclass, bytea, text[], text[], text, text[], jsonb, text, bigint, boolean),
    @extschema@.upg_sketch_info(bytea),
    @extschema@.upg_sketch_estimate(bytea, bytea),
    @extschema@.upg_sketch_diff(bytea, bytea),
    @extschema@.upg_compare(
        regclass, regclass, text[], text[], text[], jsonb, text, text, integer, text[])
    TO upg_viewer, upg_operator, upg_approver, upg_admin, upg_auditor;

-- The fingerprint reads catalogs that everybody may read.
GRANT EXECUTE ON FUNCTION
    @extschema@.upg_schema_fingerprint(text[]),
    @extschema@.upg_schema_fingerprint_parts(text[])
    TO upg_viewer, upg_operator, upg_approver, upg_admin, upg_auditor;
GRANT EXECUTE ON FUNCTION
    upg.fp_identity(oid, oid),
    upg.fp_identities(oid, oid[]),
    upg.fp_columns(oid, int2[]),
    upg.fp_query(regclass, boolean)
    TO upg_viewer, upg_operator, upg_approver, upg_admin, upg_auditor;

-- Verification: operators and administrators declare and verify; what was found is for
-- all who have to do with upgrades, but the rows themselves are for few.
GRANT EXECUTE ON FUNCTION
    @extschema@.upg_invariant_declare(
        text, text, text, regclass, text[], regclass, text[], text[], text[], text, text),
    @extschema@.upg_invariant_drop(text),
    @extschema@.upg_verify(text, regclass[], text, bigint, interval, boolean, boolean)
    TO upg_operator, upg_admin;
GRANT EXECUTE ON FUNCTION
    @extschema@.upg_scan_progress(),
    @extschema@.upg_table_checksum_readable(regclass, text, bigint),
    @extschema@.upg_constraints_recheck(regclass[], integer, boolean),
    upg.recheck_queries(oid[])
    TO upg_viewer, upg_operator, upg_approver, upg_admin, upg_auditor;
GRANT EXECUTE ON FUNCTION @extschema@.upg_verification_report(bigint, text)
    TO upg_operator, upg_approver, upg_admin, upg_auditor;
GRANT EXECUTE ON FUNCTION upg.verification_digest(bigint)
    TO upg_operator, upg_approver, upg_admin, upg_auditor;
GRANT SELECT ON upg.verifications
    TO upg_viewer, upg_operator, upg_approver, upg_admin, upg_auditor;
GRANT SELECT ON upg.invariants, upg.check_results
    TO upg_operator, upg_approver, upg_admin, upg_auditor;
-- The check of a down script reads with the rights of who applies the migration.
GRANT EXECUTE ON FUNCTION
    upg.down_check_tables(text),
    upg.down_check_rows(regclass, bigint),
    upg.down_check_state(text, jsonb, bigint),
    upg.down_check_differences(jsonb, jsonb),
    upg.down_check_unseen(jsonb)
    TO upg_operator, upg_admin;

-- Drift: everybody who has to do with upgrades may look; to accept it is for those who
-- apply.
GRANT EXECUTE ON FUNCTION
    @extschema@.upg_drift(),
    @extschema@.upg_drift_statements(text),
    @extschema@.upg_drift_script(text)
    TO upg_viewer, upg_operator, upg_approver, upg_admin, upg_auditor;
GRANT EXECUTE ON FUNCTION
    @extschema@.upg_drift_record(),
    @extschema@.upg_drift_forget()
    TO upg_operator, upg_admin;
-- A readable down is made with the rights of who asks for it.
GRANT EXECUTE ON FUNCTION
    upg.image_options(text[]),
    upg.down_acl(aclitem[], "char", oid),
    upg.down_labels(oid, oid, integer),
    upg.down_reparse(text),
    upg.down_sequence_options(oid),
    upg.down_columns(oid),
    upg.down_identity(jsonb),
    upg.down_own_identity(jsonb),
    upg.down_not_null(jsonb),
    upg.down_column(jsonb, boolean, boolean),
    upg.down_column_made(jsonb, boolean, boolean, boolean),
    upg.down_fdw_options(text[]),
    upg.down_fdw_changes(jsonb, jsonb),
    upg.down_policy(boolean, text, text, text, text),
    upg.down_foreign_keys_last("char"),
    upg.down_relations(),
    upg.down_routines(),
    upg.down_types(),
    upg.down_operator(oid),
    upg.down_members(oid, oid),
    upg.down_others(),
    upg.down_objects(),
    upg.down_owners(),
    upg.down_keys(text[]),
    upg.down_depends(),
    upg.down_set(jsonb, text),
    upg.down_set_clauses(jsonb, jsonb),
    upg.down_privileges(jsonb),
    upg.down_usual_acl(jsonb),
    upg.down_named_others(),
    upg.down_grants(text, jsonb, jsonb, text, text[]),
    upg.down_decor(jsonb, jsonb, text[]),
    upg.down_is_part(jsonb),
    upg.down_create_table(jsonb, jsonb, boolean),
    upg.down_can_set_expression(),
    upg.down_column_changes(jsonb, jsonb, jsonb, boolean, boolean),
    upg.down_index_changes(jsonb, jsonb),
    upg.down_relation_changes(jsonb, jsonb),
    upg.down_early(jsonb),
    upg.down_renamed(text, jsonb, jsonb),
    upg.down_firm(jsonb),
    upg.down_anew(jsonb, jsonb),
    upg.down_nameless(text, jsonb),
    upg.down_actions(jsonb, jsonb, jsonb, jsonb, text[]),
    upg.down_ranks(text[], jsonb, jsonb),
    upg.down_make(jsonb, jsonb, boolean),
    upg.down_drop(jsonb),
    upg.down_alter(jsonb, jsonb),
    upg.down_settings(jsonb, jsonb),
    upg.down_renames(jsonb, jsonb, jsonb, jsonb, boolean, integer),
    upg.down_without_indexes(jsonb, text[]),
    upg.down_object(text, jsonb, jsonb, jsonb, boolean, jsonb, jsonb, text[]),
    upg.down_plan(jsonb, jsonb, jsonb, jsonb, text[]),
    upg.down_state(text[]),
    upg.down_tables(jsonb, jsonb, jsonb, oid[], oid[]),
    upg.down_differences(jsonb, jsonb, jsonb, jsonb),
    upg.down_summary(jsonb, jsonb)
    TO upg_operator, upg_approver, upg_admin, upg_auditor;
