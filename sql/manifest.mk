# sql/manifest.mk: the parts of the install script, in the order they are concatenated.
UPG_SQL_PARTS = \
	00_guard.sql \
	10_schema.sql \
	20_tables.sql \
	25_undo.sql \
	26_undo_books.sql \
	30_ledger.sql \
	40_audit.sql \
	45_ledger_verify.sql \
	50_checksum.sql \
	55_compare.sql \
	56_progress.sql \
	57_verify.sql \
	65_fingerprint.sql \
	66_schema_image.sql \
	67_down_check.sql \
	70_down_objects.sql \
	71_down_kinds.sql \
	72_down_tables.sql \
	73_down_plan.sql \
	74_down_order.sql \
	75_down_state.sql \
	76_drift.sql \
	77_drift_definitions.sql \
	78_drift_renames.sql \
	79_drift_statements.sql \
	80_drift_report.sql \
	90_privileges.sql
