/*-------------------------------------------------------------------------
 *
 * guc.c
 *		Settings of upg, in alphabetical order (test/lint checks it).
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/guc.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "utils/guc.h"

#include "down_check.h"
#include "drift.h"
#include "undo.h"
#include "upg.h"

/*
 * How long a migration polls for a footprint that another upgrade holds.  The
 * caller's transaction and its snapshot stay open meanwhile, so this is short;
 * who wants to wait longer polls from outside a transaction, as the CLI does.
 */
int upg_guc_conflict_timeout = 500;

/* Whether a down script that comes with a migration is tried when it is applied. */
int upg_guc_down_check = UPG_DOWN_CHECK_OFF;

/* What to do about a schema that others have changed since the last migration. */
int upg_guc_drift = UPG_DRIFT_OFF;

/* Seconds after which a way back is given up; -1: never. */
int upg_guc_expire_after = -1;

/* How often a statement that met its lock_timeout is tried again. */
int upg_guc_lock_retries = 20;

/*
 * lock_timeout of one try.  Short, because everybody who comes after us in the
 * lock queue waits as long as we do; and below the server's deadlock_timeout of
 * one second, so that of two that wait for each other we give way, and not a
 * session of the application.
 */
int upg_guc_lock_timeout = 500;

/* What to do with a migration that sorts before one that is already applied. */
int upg_guc_out_of_order = UPG_ORDER_WARN;

/* Seconds and kilobytes of what is kept for rollbacks that a migration warns of; -1: none. */
int upg_guc_retention_age = -1;
int upg_guc_retention_bytes = -1;

/*
 * Whether a migration is captured, so that it can be taken back without a down
 * script.  What cannot be is refused unless somebody accepts it: found out on
 * the night of the rollback it would be too late.
 */
int upg_guc_undo = UPG_UNDO_REQUIRED;
int upg_guc_undo_copy_limit = 64 * 1024;
int upg_guc_undo_proof_rows = 10000;

/* What a migration is verified by, when nobody says otherwise for it. */
int upg_guc_verify = UPG_VERIFY_NONE;

/* Seconds that a verification may take, before and again after a migration. */
int upg_guc_verify_budget = 120;

/* Keep no rows in the results of checks. */
bool upg_guc_verify_redact = false;

static const struct config_enum_entry verify_options[] = {
	{"none", UPG_VERIFY_NONE, false},
	{"touched", UPG_VERIFY_TOUCHED, false},
	{"all", UPG_VERIFY_ALL, false},
	{NULL, 0, false},
};

static const struct config_enum_entry down_check_options[] = {
	{"off", UPG_DOWN_CHECK_OFF, false},
	{"warn", UPG_DOWN_CHECK_WARN, false},
	{"require", UPG_DOWN_CHECK_REQUIRE, false},
	{NULL, 0, false},
};

static const struct config_enum_entry drift_options[] = {
	{"off", UPG_DRIFT_OFF, false},
	{"warn", UPG_DRIFT_WARN, false},
	{"refuse", UPG_DRIFT_REFUSE, false},
	{NULL, 0, false},
};

static const struct config_enum_entry undo_options[] = {
	{"none", UPG_UNDO_NONE, false},
	{"best_effort", UPG_UNDO_BEST_EFFORT, false},
	{"required", UPG_UNDO_REQUIRED, false},
	{NULL, 0, false},
};

static const struct config_enum_entry out_of_order_options[] = {
	{"allow", UPG_ORDER_ALLOW, false},
	{"warn", UPG_ORDER_WARN, false},
	{"refuse", UPG_ORDER_REFUSE, false},
	{NULL, 0, false},
};

/*
 * upg_guc_init
 *		Define the settings and reserve their prefix.
 */
void
upg_guc_init(void)
{
	DefineCustomIntVariable(
		"upg.conflict_timeout",
		"Sets the time a migration polls for a footprint held by another upgrade.",
		"Zero tries once.", &upg_guc_conflict_timeout, 500, 0, INT_MAX, PGC_USERSET,
		GUC_UNIT_MS, NULL, NULL, NULL);

	DefineCustomEnumVariable(
		"upg.down_check",
		"Sets whether a down script is tried when its migration is applied.",
		"\"warn\" names what it does not give back, \"require\" refuses the migration.",
		&upg_guc_down_check, UPG_DOWN_CHECK_OFF, down_check_options, PGC_USERSET, 0, NULL,
		NULL, NULL);

	DefineCustomEnumVariable(
		"upg.drift",
		"Sets what a migration does about a schema that others have changed.",
		"\"warn\" names what differs from what the last migration left, \"refuse\" "
		"refuses the migration.",
		&upg_guc_drift, UPG_DRIFT_OFF, drift_options, PGC_USERSET, 0, NULL, NULL, NULL);

	DefineCustomIntVariable(
		"upg.expire_after",
		"Sets the age at which the way back of a migration is given up.",
		"It is looked at after each migration.  -1 never gives one up.",
		&upg_guc_expire_after, -1, -1, INT_MAX, PGC_SUSET, GUC_UNIT_S, NULL, NULL, NULL);

	DefineCustomIntVariable(
		"upg.lock_retries",
		"Sets how often a statement is tried again after its lock timeout.", NULL,
		&upg_guc_lock_retries, 20, 0, 1000, PGC_USERSET, 0, NULL, NULL, NULL);

	DefineCustomIntVariable(
		"upg.lock_timeout",
		"Sets the lock timeout of each try of a statement in a migration.",
		"Zero leaves lock_timeout as it is and disables retries.", &upg_guc_lock_timeout,
		500, 0, INT_MAX, PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);

	DefineCustomEnumVariable(
		"upg.out_of_order",
		"Sets the policy for a migration that sorts before an applied one.", NULL,
		&upg_guc_out_of_order, UPG_ORDER_WARN, out_of_order_options, PGC_USERSET, 0, NULL,
		NULL, NULL);

	DefineCustomIntVariable(
		"upg.retention_age",
		"Sets the age of what is kept for rollbacks above which a migration warns.",
		"-1 does not warn.", &upg_guc_retention_age, -1, -1, INT_MAX, PGC_USERSET,
		GUC_UNIT_S, NULL, NULL, NULL);

	DefineCustomIntVariable(
		"upg.retention_bytes",
		"Sets the size of what is kept for rollbacks above which a migration warns.",
		"-1 does not warn.", &upg_guc_retention_bytes, -1, -1, INT_MAX, PGC_USERSET,
		GUC_UNIT_KB, NULL, NULL, NULL);

	DefineCustomEnumVariable(
		"upg.undo",
		"Sets whether migrations are captured, to be taken back without a down script.",
		"\"required\" refuses a migration whose rollback is not proven exact.",
		&upg_guc_undo, UPG_UNDO_REQUIRED, undo_options, PGC_USERSET, 0, NULL, NULL, NULL);

	DefineCustomIntVariable(
		"upg.undo_copy_limit",
		"Sets the size of a table up to which values of dropped columns are copied.",
		"-1 copies whatever the size, zero never; what is not copied is kept in place.",
		&upg_guc_undo_copy_limit, 64 * 1024, -1, INT_MAX, PGC_USERSET, GUC_UNIT_KB, NULL,
		NULL, NULL);

	DefineCustomIntVariable(
		"upg.undo_proof_rows",
		"Sets how many changed rows of a table the proof compares one by one.",
		"-1 compares all; above the limit rows are counted.", &upg_guc_undo_proof_rows,
		10000, -1, INT_MAX, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable(
		"upg.verify", "Sets what is verified before and after a migration or a rollback.",
		"\"touched\" verifies what it touches, \"all\" the whole database.",
		&upg_guc_verify, UPG_VERIFY_NONE, verify_options, PGC_USERSET, 0, NULL, NULL,
		NULL);

	DefineCustomIntVariable(
		"upg.verify_budget",
		"Sets the time that a verification may take, before and again after a migration.",
		"What does not fit is sampled or left out, and said so.  Zero is no limit.",
		&upg_guc_verify_budget, 120, 0, INT_MAX / 1000, PGC_USERSET, GUC_UNIT_S, NULL,
		NULL, NULL);

	DefineCustomBoolVariable(
		"upg.verify_redact", "Sets whether results of checks are kept without rows.",
		NULL, &upg_guc_verify_redact, false, PGC_USERSET, 0, NULL, NULL, NULL);

	MarkGUCPrefixReserved("upg");
}
