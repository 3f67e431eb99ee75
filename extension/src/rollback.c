/*-------------------------------------------------------------------------
 *
 * rollback.c
 *		Take migrations back: one, the latest, or all after a point.
 *
 * Rollback runs through the same executor, locks and books as apply.  A down
 * script of several steps is handed to a background worker like a script up;
 * the function then stops after that migration, because what comes before it
 * must not be touched until it is done.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/rollback.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "apply.h"
#include "audit.h"
#include "compat.h"
#include "drift.h"
#include "errors.h"
#include "footprint.h"
#include "spi.h"
#include "steps.h"
#include "subxact.h"
#include "undo.h"
#include "upg.h"
#include "verify.h"
#include "worker.h"

PG_FUNCTION_INFO_V1(upg_rollback);
PG_FUNCTION_INFO_V1(upg_rollback_order);
PG_FUNCTION_INFO_V1(upg_finalize);

/* One migration of a call, for upg_guarded(). */
typedef struct RollbackCall
{
	const char *name;
	List *batch;
	UpgOptions *options;
} RollbackCall;

static void note_unused(const UpgOptions *options, const char *first, UpgResult *result);
static List *choose(const char *name, const char *to_name, UpgOptions *options);
static List *with_dependents(const char *name, List *chosen, UpgOptions *options);
static void rollback_action(void *arg, UpgCut *cut, UpgRun *volatile *run,
							UpgResult *result);
static void rollback_once(const char *name, List *batch, UpgOptions *options, UpgCut *cut,
						  UpgRun *volatile *run, UpgResult *result);
static void rollback_by_undo(UpgMigration *migration, List *batch, UpgOptions *options,
							 UpgResult *result);
static bool choose_undo(UpgMigration *migration, const UpgOptions *options,
						UpgResult *result);
static void check_dependents(const char *name, List *batch);
static UpgMigration *find_to_roll_back(const char *name);

/*
 * upg_rollback
 *		Roll back, in the reverse order of application; one row a migration.
 */
Datum
upg_rollback(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	char *name = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	char *to_name = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	UpgOptions *options;
	UpgSubxact rehearsal;
	bool rehearse;
	List *names;
	ListCell *lc;

	upg_require_writable("upg_rollback()");
	upg_worker_flush();
	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(2))
		ereport(ERROR, (errcode(ERRCODE_UPG_INVALID_OPTION),
						errmsg("options must not be null")));
	options = upg_options_parse(PG_GETARG_JSONB_P(2), UPG_OPTION_ROLLBACK);
	if (name != NULL && to_name != NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("cannot roll back both one migration and to a point"),
						errhint("Give either \"name\" or \"to_name\".")));

	names = choose(name, to_name, options);
	upg_fills_check(options->fills);
	/* whether one can be taken back is known only when those after it are */
	rehearse = options->dry_run && list_length(names) > 1;
	if (rehearse)
		upg_subxact_begin(&rehearsal, "upg rehearsal");
	foreach (lc, names)
	{
		RollbackCall call = {lfirst(lc), names, options};
		UpgCut cut = {0};
		UpgResult result = {0};
		Datum values[UPG_RESULT_COLUMNS];
		bool nulls[UPG_RESULT_COLUMNS];

		CHECK_FOR_INTERRUPTS();
		upg_guarded(call.name, "down", options, &cut, options->dry_run, rollback_action,
					&call, &result);
		if (lnext(names, lc) == NULL || strcmp(result.state, "queued") == 0)
			note_unused(options, linitial(names), &result);
		upg_result_values(&result, values, nulls);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
		if (strcmp(result.state, "queued") == 0)
			break;
	}
	if (rehearse)
		upg_subxact_abandon(&rehearsal);

	return (Datum) 0;
}

/* Say which values for columns that come back were given in vain. */
static void
note_unused(const UpgOptions *options, const char *first, UpgResult *result)
{
	ListCell *lc;

	foreach (lc, upg_fills_unused(options->fills, first, options->upgrade))
		upg_result_warn(result, lfirst(lc));
}

/*
 * order_to
 *		What is taken back to come to a point, or all of it (NULL), in order.
 */
static List *
order_to(const char *to_name)
{
	UpgMigration *point;

	if (to_name == NULL)
		return upg_ledger_applied_after(0);
	point = upg_ledger_find(to_name);
	if (point == NULL)
		ereport(ERROR, (errcode(ERRCODE_UPG_MIGRATION_NOT_FOUND),
						errmsg("migration \"%s\" is not in the books", to_name),
						errhint("upg_status() lists what is.")));
	if (point->state != UPG_STATE_APPLIED)
		ereport(ERROR,
				(errcode(ERRCODE_UPG_ILLEGAL_STATE),
				 errmsg("cannot roll back to migration \"%s\", because it is not applied",
						to_name),
				 errdetail("Its state is \"%s\".", upg_state_name(point->state))));
	return upg_ledger_applied_after(point->applied_order);
}

/*
 * upg_rollback_order
 *		The same for clients that take back one after the other.
 */
Datum
upg_rollback_order(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell *lc;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	foreach (lc, order_to(PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0))))
	{
		Datum value = CStringGetTextDatum(lfirst(lc));
		bool isnull = false;

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &value, &isnull);
	}
	return (Datum) 0;
}

/*
 * choose
 *		The migrations to take back, in order.
 */
static List *
choose(const char *name, const char *to_name, UpgOptions *options)
{
	List *applied;

	if (name != NULL)
	{
		(void) find_to_roll_back(name);
		return with_dependents(name, NIL, options);
	}

	applied = order_to(to_name);
	if (to_name != NULL)
		return applied;
	if (applied == NIL)
		ereport(ERROR, (errcode(ERRCODE_UPG_MIGRATION_NOT_FOUND),
						errmsg("there is nothing to roll back"),
						errdetail("No migration is applied.")));
	return with_dependents(linitial(applied), NIL, options);
}

/*
 * with_dependents
 *		With {"cascade": true}, put before a migration what requires it, and what
 *		later ones did to the same objects and rows.
 */
static List *
with_dependents(const char *name, List *chosen, UpgOptions *options)
{
	if (options->cascade)
	{
		UpgMigration *migration = upg_ledger_find(name);
		List *dependents = upg_ledger_dependents(name);
		ListCell *lc;

		/* and what changed the same */
		if (migration != NULL && upg_migration_has_undo(migration) &&
			options->method != UPG_METHOD_GIVEN)
			dependents = list_concat(dependents, upg_order_overlapping(migration->id));
		foreach (lc, dependents)
		{
			if (!upg_name_in(chosen, lfirst(lc)))
				chosen = with_dependents(lfirst(lc), chosen, options);
		}
	}
	if (!upg_name_in(chosen, name))
		chosen = lappend(chosen, pstrdup(name));
	return chosen;
}

/* rollback_once() as upg_guarded() calls it. */
static void
rollback_action(void *arg, UpgCut *cut, UpgRun *volatile *run, UpgResult *result)
{
	RollbackCall *call = arg;

	rollback_once(call->name, call->batch, call->options, cut, run, result);
}

/*
 * choose_undo
 *		Is this migration taken back by its undo, or by its down script?
 *
 * Unless somebody says otherwise, the undo: it was proven to restore what was
 * there, and rows written since are merged into it.  A log stays behind in the
 * database that it was written in; in a copy of it the down script is the way.
 */
static bool
choose_undo(UpgMigration *migration, const UpgOptions *options, UpgResult *result)
{
	if (options->method == UPG_METHOD_GIVEN)
		return false;
	if (!upg_migration_has_undo(migration))
	{
		if (options->method == UPG_METHOD_UNDO)
			ereport(
				ERROR,
				(errcode(ERRCODE_UPG_NO_UNDO),
				 errmsg("no undo is kept of migration \"%s\"", migration->name),
				 errdetail("Its way back is \"%s\".", migration->undo),
				 migration->has_down
					 ? errhint("Leave out the option \"method\" to run its down script.")
					 : 0));
		return false;
	}
	if (upg_undo_log_list(migration->id) != NIL)
		return true;
	if (options->method == UPG_METHOD_UNDO || !migration->has_down)
		ereport(
			ERROR,
			(errcode(ERRCODE_UPG_NO_UNDO),
			 errmsg("the undo of migration \"%s\" is not in this database",
					migration->name),
			 errdetail("It stayed where the migration was applied; this database was "
					   "restored from a dump of that one."),
			 errhint("Give a down script with upg_apply(name => %s, down => ...), then "
					 "roll back by it.",
					 quote_literal_cstr(migration->name))));
	upg_result_warn(
		result, psprintf("the undo of migration \"%s\" stayed in the database where it "
						 "was applied; its down script is run",
						 migration->name));
	return false;
}

/*
 * rollback_once
 *		Check, run the down script, write the books.
 */
static void
rollback_once(const char *name, List *batch, UpgOptions *options, UpgCut *cut,
			  UpgRun *volatile *run, UpgResult *result)
{
	UpgMigration *migration = find_to_roll_back(name);
	UpgScript *script;
	UpgAttempt attempt = {0};
	UpgVerification *verification = NULL;
	UpgDrift *drift;
	char *down;
	List *key;
	UpgKey *refused;
	List *holders;

	/* A living worker that is taking it back already needs no second one. */
	key = upg_footprint_add(NIL, psprintf("migration:%s", name), ExclusiveLock);
	if ((migration->state == UPG_STATE_QUEUED || migration->state == UPG_STATE_RUNNING) &&
		strcmp(migration->direction, "down") == 0 &&
		!upg_footprint_try(key, false, &refused, &holders))
	{
		result->state = "queued";
		result->undo = migration->undo;
		return;
	}

	if (choose_undo(migration, options, result))
	{
		rollback_by_undo(migration, batch, options, result);
		return;
	}
	if (!migration->has_down)
		ereport(
			ERROR,
			(errcode(ERRCODE_UPG_NO_UNDO),
			 errmsg(
				 "migration \"%s\" cannot be rolled back, because it has no down script",
				 name),
			 strcmp(migration->undo, "finalized") == 0
				 ? errdetail("Its undo was given up by upg_finalize() or upg_expire().")
				 : errdetail("It has no undo, either."),
			 errhint("Give one with upg_apply(name => %s, down => ...), then roll back.",
					 quote_literal_cstr(name))));
	down = upg_ledger_script(migration->id, true);
	if (strcmp(migration->direction, "down") == 0)
		upg_steps_recall_cut(migration->id, cut);
	script = upg_script_parse(down, cut);
	result->statements = script->nstatements;
	result->steps = script->nsteps;
	result->undo = "given";

	upg_footprint_acquire(upg_keys_for(script, options, name), false, name);
	migration = find_to_roll_back(name);
	check_dependents(name, batch);

	if (options->dry_run)
	{
		result->state = "planned";
		return;
	}

	if (!upg_script_transactional(script) || migration->state == UPG_STATE_QUEUED ||
		migration->state == UPG_STATE_RUNNING ||
		(migration->state == UPG_STATE_PARTIAL &&
		 strcmp(migration->direction, "down") == 0))
	{
		upg_verify_queue(name, "down", options, upg_keys_for(script, options, name),
						 strcmp(migration->direction, "down") == 0);
		if (strcmp(migration->direction, "down") != 0)
			upg_steps_forget(migration->id, "down");
		/* Running without a worker is as good as queued, but the order is ours now. */
		upg_ledger_move(migration,
						migration->state == UPG_STATE_RUNNING ? UPG_STATE_RUNNING
															  : UPG_STATE_QUEUED,
						"down", upg_steps_order(cut, options));
		upg_steps_write(migration->id, "down", script);
		upg_worker_request(migration->id, GetSessionUserId());
		result->state = "queued";
		return;
	}

	if (options->verify != UPG_VERIFY_NONE)
		verification =
			upg_verify_before(name, "down", options, upg_keys_for(script, options, name));
	drift = upg_drift_begin(UPG_DRIFT_OFF, result);
	if (script->nsteps > 0)
	{
		*run = upg_run_create(name, "down", script);
		if (options->lock_timeout >= 0)
			(*run)->lock_timeout = options->lock_timeout;
		if (options->lock_retries >= 0)
			(*run)->lock_retries = options->lock_retries;
		upg_run_step(*run, &script->steps[0]);
	}
	if (upg_migration_has_undo(migration))
		upg_undo_finalize(migration->id); /* it describes a state that is gone */
	upg_drift_finish(drift);
	upg_ledger_rolled_back(migration, "given", result->started, script->nstatements,
						   options->reason, options->upgrade);
	attempt.migration = name;
	attempt.direction = "down";
	attempt.state = "succeeded";
	attempt.started = result->started;
	attempt.upgrade = options->upgrade;
	attempt.lock_waits = *run != NULL ? upg_run_lock_waits(*run) : NULL;
	upg_ledger_attempt(&attempt);
	upg_verify_after(verification, result);
	result->state = "rolled_back";
}

/* Keep the account of a rollback with its record. */
static void
note_account(const char *name, const char *account)
{
	static UpgQuery query = {
		"UPDATE upg.rollback_records SET details = $2::pg_catalog.jsonb"
		" WHERE rollback_id OPERATOR(pg_catalog.=) (SELECT pg_catalog.max(rollback_id)"
		" FROM upg.rollback_records WHERE migration OPERATOR(pg_catalog.=) $1)",
		SPI_OK_UPDATE,
		2,
		{TEXTOID, TEXTOID}};
	Datum values[2] = {CStringGetTextDatum(name), CStringGetTextDatum(account)};
	UpgBooks books;

	upg_books_open(&books);
	upg_query(&query, values, NULL);
	upg_books_close(&books);
}

/*
 * rollback_by_undo
 *		Take back what was captured when the migration was applied.
 */
static void
rollback_by_undo(UpgMigration *migration, List *batch, UpgOptions *options,
				 UpgResult *result)
{
	UpgUndoOptions undo = {0};
	UpgUndoResult done;
	UpgAttempt attempt = {0};
	UpgVerification *verification = NULL;
	UpgDrift *drift = NULL;
	char *up = upg_ledger_script(migration->id, false);
	List *keys;
	ListCell *lc;

	if (up != NULL && upg_script_complaint(up) == NULL)
		keys = upg_keys_for(upg_script_parse(up, NULL), options, migration->name);
	else
		keys = upg_keys_for_client(options, migration->name);

	upg_footprint_acquire(keys, false, migration->name);
	migration = find_to_roll_back(migration->name);
	check_dependents(migration->name, batch);

	if (options->undo_digest != NULL &&
		strcmp(options->undo_digest, upg_undo_guard(migration->id)) != 0)
		ereport(ERROR, (errcode(ERRCODE_UPG_UNDO_UNUSABLE),
						errmsg("the undo of migration \"%s\" is not the one that this "
							   "script was made of",
							   migration->name),
						errdetail("The migration was taken back and applied again "
								  "meanwhile."),
						errhint("Make the script anew with upg_down().")));
	if (!options->dry_run)
		verification = upg_verify_before(migration->name, "down", options, keys);
	upg_options_of_undo(options, &undo);
	if (!options->dry_run)
		drift = upg_drift_begin(UPG_DRIFT_OFF, result);
	undo.has_down = migration->has_down;
	upg_undo_rollback(migration->id, &undo, &done);
	upg_drift_finish(drift);
	result->undo = migration->undo;
	result->statements = 0;
	result->steps = migration->steps;
	if (options->dry_run)
	{
		result->warnings = list_concat(done.actions, done.notes);
		result->state = "planned";
		if (list_length(batch) > 1)
		{
			result->warnings = list_concat(result->warnings, upg_report_locks(&done));
			/* given up together with the rehearsal */
			undo.dry_run = false;
			upg_undo_rollback(migration->id, &undo, &done);
		}
		return;
	}
	foreach (lc, done.notes)
		upg_result_warn(result, lfirst(lc));
	upg_ledger_rolled_back(migration, "undo", result->started, 0, options->reason,
						   options->upgrade);
	note_account(migration->name, upg_report_json(&done));
	attempt.migration = migration->name;
	attempt.direction = "down";
	attempt.state = "succeeded";
	attempt.started = result->started;
	attempt.upgrade = options->upgrade;
	upg_ledger_attempt(&attempt);
	upg_verify_after(verification, result);
	result->state = "rolled_back";
}

/*
 * upg_finalize
 *		Give up the undo of a migration: from here on there is no way back but
 *		a down script.
 */
Datum
upg_finalize(PG_FUNCTION_ARGS)
{
	char *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	UpgMigration *migration;

	upg_require_writable("upg_finalize()");
	upg_worker_flush();
	upg_footprint_acquire(
		upg_footprint_add(NIL, psprintf("migration:%s", name), ExclusiveLock), false,
		name);
	migration = upg_ledger_find(name);
	if (migration && migration->state == UPG_STATE_ROLLED_BACK)
	{
		/* what its rollback set aside is all that is left of it */
		if (upg_aside_forget(migration->id) > 0)
			upg_audit_add("migration.finalized", name, NULL, NULL);
		PG_RETURN_VOID();
	}
	migration = find_to_roll_back(name);
	if (!upg_migration_has_undo(migration))
		ereport(ERROR, (errcode(ERRCODE_UPG_NO_UNDO),
						errmsg("migration \"%s\" has no undo to give up", name),
						errdetail("Its way back is \"%s\".", migration->undo)));
	upg_undo_finalize(migration->id);
	(void) upg_aside_forget(migration->id);
	upg_ledger_set_undo(migration->id, migration->has_down ? "given" : "finalized", 0);
	upg_audit_add("migration.finalized", name, NULL, NULL);

	PG_RETURN_VOID();
}

/*
 * check_dependents
 *		Refuse if something applied requires this one and stays.
 */
static void
check_dependents(const char *name, List *batch)
{
	List *dependents = upg_ledger_dependents(name);
	StringInfoData names;
	ListCell *lc;
	int n = 0;

	initStringInfo(&names);
	/* In a dry run, those that would have gone before are still there. */
	foreach (lc, dependents)
	{
		if (upg_name_in(batch, lfirst(lc)))
			continue;
		if (n++ < 10)
			appendStringInfo(&names, "%s\"%s\"", names.len > 0 ? ", " : "",
							 (char *) lfirst(lc));
	}
	if (n > 0)
		ereport(
			ERROR,
			(errcode(ERRCODE_UPG_DEPENDENTS),
			 errmsg_plural("%d applied migration requires \"%s\"",
						   "%d applied migrations require \"%s\"", n, n, name),
			 errdetail("Required by: %s.", names.data),
			 errhint("Roll these back first, or give the option {\"cascade\": true}.")));
}

/*
 * find_to_roll_back
 *		The migration, if its state allows to roll it back.
 */
static UpgMigration *
find_to_roll_back(const char *name)
{
	UpgMigration *migration = upg_ledger_find(name);

	if (migration == NULL)
		ereport(ERROR, (errcode(ERRCODE_UPG_MIGRATION_NOT_FOUND),
						errmsg("migration \"%s\" is not in the books", name),
						errhint("upg_status() lists what is.")));
	switch (migration->state)
	{
		case UPG_STATE_APPLIED:
		case UPG_STATE_PARTIAL:
			return migration;
		case UPG_STATE_QUEUED:
		case UPG_STATE_RUNNING:
			if (strcmp(migration->direction, "down") == 0)
				return migration;
			break;
		default:
			break;
	}
	ereport(ERROR,
			(errcode(ERRCODE_UPG_ILLEGAL_STATE),
			 errmsg("migration \"%s\" cannot be rolled back, because it is not applied",
					name),
			 errdetail("Its state is \"%s\".", upg_state_name(migration->state))));
}
