/*-------------------------------------------------------------------------
 *
 * apply.c
 *		Apply and register migrations.
 *
 * A migration whose script fits one transaction runs here, in the caller's
 * transaction and with the caller's rights, inside one subtransaction that
 * also holds its rows in the books: either all of it is there or nothing.
 * Settings that the script makes do not outlive it.
 *
 * Order of things: lock (footprint.c), look at the books, check, run, write
 * the books.  A refusal or failure rolls the subtransaction back, is recorded
 * by another process (worker.c), and goes on to the client.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/apply.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "tcop/utility.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "apply.h"
#include "audit.h"
#include "capture.h"
#include "compat.h"
#include "down_check.h"
#include "drift.h"
#include "errors.h"
#include "footprint.h"
#include "replace.h"
#include "steps.h"
#include "subxact.h"
#include "undo.h"
#include "upg.h"
#include "verify.h"
#include "worker.h"

PG_FUNCTION_INFO_V1(upg_apply);
PG_FUNCTION_INFO_V1(upg_register);
PG_FUNCTION_INFO_V1(upg_adopt);

/* Longest name of a migration, in characters. */
#define NAME_LENGTH 255

/* What is to be done with a definition. */
typedef enum Purpose
{
	PURPOSE_APPLY,
	PURPOSE_REGISTER,
	PURPOSE_ADOPT /* book as applied, without running it */
} Purpose;

/* A call of one of the SQL functions, for upg_guarded(). */
typedef struct ApplyCall
{
	UpgDefinition *def;
	UpgOptions *options;
	Purpose purpose;
} ApplyCall;

static Datum apply_function(FunctionCallInfo fcinfo, Purpose purpose,
							const char *function);
static void apply_action(void *arg, UpgCut *cut, UpgRun *volatile *run,
						 UpgResult *result);
static void apply_once(UpgDefinition *def, UpgOptions *options, Purpose purpose,
					   UpgCut *cut, UpgRun *volatile *run, UpgResult *result);
static bool settled_already(UpgDefinition *def, UpgMigration *before, UpgResult *result);
static bool worker_has_it(UpgMigration *before, UpgResult *result);
static void complete_definition(UpgDefinition *def, UpgMigration *before);
static void check_requirements(UpgDefinition *def);
static UpgCapture *begin_capture(const UpgScript *script, const UpgOptions *options,
								 UpgResult *result);
static void queue(UpgDefinition *def, UpgOptions *options, UpgMigration *before,
				  UpgScript *script, UpgCut *cut, UpgResult *result);
static void settle_undo(UpgDefinition *def, UpgOptions *options, UpgMigration *before,
						UpgScript *script, UpgResult *result);
static void record_failure(UpgRun *run, const char *migration, const char *direction,
						   ErrorData *edata, TimestampTz started, int64 upgrade,
						   bool refused);
static char *hex_of(const uint8 *sha256);

Datum
upg_apply(PG_FUNCTION_ARGS)
{
	return apply_function(fcinfo, PURPOSE_APPLY, "upg_apply()");
}

Datum
upg_register(PG_FUNCTION_ARGS)
{
	return apply_function(fcinfo, PURPOSE_REGISTER, "upg_register()");
}

Datum
upg_adopt(PG_FUNCTION_ARGS)
{
	return apply_function(fcinfo, PURPOSE_ADOPT, "upg_adopt()");
}

/*
 * apply_function
 *		Common part of the SQL functions: arguments in, result row out.
 */
static Datum
apply_function(FunctionCallInfo fcinfo, Purpose purpose, const char *function)
{
	UpgDefinition def = {0};
	UpgOptions *options;
	ApplyCall call;
	UpgCut cut = {0};
	UpgResult result = {0};
	TupleDesc desc;
	Datum values[UPG_RESULT_COLUMNS];
	bool nulls[UPG_RESULT_COLUMNS];

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	desc = BlessTupleDesc(desc);

	upg_require_writable(function);
	upg_worker_flush();
	upg_definition_of_args(fcinfo, &def);
	options = upg_options_parse(PG_ARGISNULL(4) ? NULL : PG_GETARG_JSONB_P(4),
								UPG_OPTION_APPLY);
	upg_definition_options(&def, options);

	call.def = &def;
	call.options = options;
	call.purpose = purpose;
	cut.each_alone = options->no_transaction;
	upg_guarded(def.name, "up", options, &cut, false, apply_action, &call, &result);

	upg_result_values(&result, values, nulls);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

/*
 * upg_require_writable
 *		Refuse on a standby, in a read-only transaction, and where library and
 *		install script are of different versions.
 */
void
upg_require_writable(const char *function)
{
	PreventCommandDuringRecovery(function);
	PreventCommandIfReadOnly(function);
	PreventCommandIfParallelMode(function);
	upg_require_same_version();
}

/*
 * upg_check_name
 *		Raise ERRCODE_UPG_INVALID_NAME unless this can name a migration.
 */
void
upg_check_name(const char *name)
{
	int length = pg_mbstrlen(name);

	if (length == 0 || length > NAME_LENGTH)
		ereport(ERROR, (errcode(ERRCODE_UPG_INVALID_NAME),
						length == 0
							? errmsg("the name of a migration is empty")
							: errmsg("the name of a migration has %d characters", length),
						errhint("A name has 1 to %d characters.", NAME_LENGTH)));
	for (const char *p = name; *p; p++)
	{
		if ((unsigned char) *p < ' ' || *p == 0x7f)
			ereport(
				ERROR,
				(errcode(ERRCODE_UPG_INVALID_NAME),
				 errmsg(
					 "the name of a migration holds the control character 0x%02x at byte "
					 "%d",
					 (unsigned char) *p, (int) (p - name) + 1),
				 errhint("Names may hold any printable characters.")));
	}
}

/*
 * upg_definition_of_args
 *		Read (name, up, down, requires) of a call into a definition.
 */
void
upg_definition_of_args(FunctionCallInfo fcinfo, UpgDefinition *def)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_UPG_INVALID_NAME),
						errmsg("the name of a migration is null")));
	def->name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	upg_check_name(def->name);
	if (!PG_ARGISNULL(1))
	{
		def->up = text_to_cstring(PG_GETARG_TEXT_PP(1));
		def->up_size = strlen(def->up);
		upg_script_checksums(def->up, def->up_size, &def->checksums);
	}
	if (!PG_ARGISNULL(2))
		def->down = text_to_cstring(PG_GETARG_TEXT_PP(2));
	if (!PG_ARGISNULL(3))
	{
		Datum *elements;
		bool *nulls;
		int n;

		deconstruct_array(PG_GETARG_ARRAYTYPE_P(3), TEXTOID, -1, false, TYPALIGN_INT,
						  &elements, &nulls, &n);
		for (int i = 0; i < n; i++)
		{
			char *name;

			if (nulls[i])
				ereport(ERROR, (errcode(ERRCODE_UPG_INVALID_NAME),
								errmsg("a name in \"requires\" is null")));
			name = TextDatumGetCString(elements[i]);
			upg_check_name(name);
			def->requires = lappend(def->requires, name);
		}
	}
}

/*
 * upg_definition_options
 *		What the options add to a definition.
 */
void
upg_definition_options(UpgDefinition *def, UpgOptions *options)
{
	def->options = options->given == NULL
					   ? DirectFunctionCall1(jsonb_in, CStringGetDatum("{}"))
					   : datumCopy(JsonbPGetDatum(options->given), false, -1);
	def->order_key = options->order_key;
	def->upgrade = options->upgrade;
}

/*
 * upg_result_warn
 *		Warn, and repeat the warning in the result row.
 */
void
upg_result_warn(UpgResult *result, const char *warning)
{
	ereport(WARNING, (errmsg("%s", warning)));
	result->warnings = lappend(result->warnings, pstrdup(warning));
}

/*
 * upg_result_values
 *		The result row: migration, state, statements, steps, undo, duration,
 *		warnings.
 */
void
upg_result_values(const UpgResult *result, Datum *values, bool *nulls)
{
	Interval *duration = palloc0(sizeof(Interval));
	Datum *warnings = palloc(sizeof(Datum) * Max(list_length(result->warnings), 1));
	ListCell *lc;
	int n = 0;

	memset(nulls, 0, sizeof(bool) * UPG_RESULT_COLUMNS);
	if (result->started != 0)
		duration->time = GetCurrentTimestamp() - result->started;
	foreach (lc, result->warnings)
		warnings[n++] = CStringGetTextDatum(lfirst(lc));
	values[0] = CStringGetTextDatum(result->migration);
	values[1] = CStringGetTextDatum(result->state);
	values[2] = Int32GetDatum(result->statements);
	values[3] = Int32GetDatum(result->steps);
	values[4] = CStringGetTextDatum(result->undo ? result->undo : "none");
	values[5] = IntervalPGetDatum(duration);
	values[6] =
		PointerGetDatum(construct_array(warnings, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/*
 * upg_guarded
 *		Run an action on a migration in a subtransaction; cut its script and try
 *		again where that helps; record what failed.
 *
 * Apply and rollback share this.  "dry" means that a failure changes nothing
 * worth a record.
 */
void
upg_guarded(const char *name, const char *direction, const UpgOptions *options,
			UpgCut *cut, bool dry, UpgAction action, void *arg, UpgResult *result)
{
	UpgSubxact sub;
	TimestampTz started = GetCurrentTimestamp();
	char *application = pstrdup(application_name);

	for (;;)
	{
		UpgRun *volatile run = NULL; /* set between PG_TRY and the error */
		ErrorData *volatile edata = NULL;
		int level = NewGUCNestLevel();

		result->warnings = NIL;
		result->migration = name;
		result->started = started;

		upg_subxact_begin(&sub, "upg");
		PG_TRY();
		{
			action(arg, cut, &run, result);
			upg_subxact_release(&sub);
		}
		PG_CATCH();
		{
			edata = upg_subxact_catch(&sub);
		}
		PG_END_TRY();

		/* Whatever the script SET, LOCAL or not, ends with it. */
		AtEOXact_GUC(false, level);
		pgstat_report_appname(application);

		if (edata == NULL)
			return;

		if (run != NULL && run->current != NULL &&
			upg_cut_extend(cut, run->current, edata->sqlerrcode) &&
			!upg_script_transactional(upg_script_parse(run->script->text, cut)))
		{
			FreeErrorData(edata);
			continue;
		}

		/* Waiting for another upgrade is not a failure; the caller tries again. */
		if (edata->sqlerrcode != ERRCODE_UPG_CONFLICT && !dry)
			record_failure(run, name, direction, edata, started, options->upgrade,
						   run == NULL);
		ReThrowError(edata);
	}
}

/*
 * record_failure
 *		Have a failed or refused try written down, whatever happens to the
 *		caller's transaction.
 */
static void
record_failure(UpgRun *run, const char *migration, const char *direction,
			   ErrorData *edata, TimestampTz started, int64 upgrade, bool refused)
{
	UpgAttempt attempt = {0};

	attempt.migration = migration;
	attempt.direction = direction;
	upg_attempt_failed(&attempt, edata);
	if (refused)
		attempt.state = "refused";
	attempt.started = started;
	attempt.upgrade = upgrade;
	if (run != NULL && run->current != NULL)
	{
		attempt.statement_no = run->current->no;
		attempt.line = run->error_line > 0 ? run->error_line : run->current->line;
		attempt.column = run->error_column > 0 ? run->error_column : run->current->column;
		attempt.statement = upg_script_excerpt(run->script, run->current);
		attempt.lock_waits = upg_run_lock_waits(run);
	}
	if (edata->sqlerrcode == ERRCODE_UPG_VERIFICATION)
		attempt.verification = upg_verify_take_failed();
	upg_worker_record(upg_attempt_json(&attempt), migration);
}

/* apply_once() as upg_guarded() calls it. */
static void
apply_action(void *arg, UpgCut *cut, UpgRun *volatile *run, UpgResult *result)
{
	ApplyCall *call = arg;

	apply_once(call->def, call->options, call->purpose, cut, run, result);
}

/*
 * apply_once
 *		Apply, register or adopt a migration.
 *
 * *run is set once statements of the script begin to run.
 */
static void
apply_once(UpgDefinition *def, UpgOptions *options, Purpose purpose, UpgCut *cut,
		   UpgRun *volatile *run, UpgResult *result)
{
	List *name_key =
		upg_footprint_add(NIL, psprintf("migration:%s", def->name), ExclusiveLock);
	UpgMigration *before;
	UpgScript *script;
	UpgAttempt attempt = {0};
	UpgKey *refused;
	List *holders;
	char *complaint = NULL;
	UpgCapture *capture = NULL;
	UpgVerification *verification = NULL;
	UpgDownCheck *check = NULL;
	UpgDrift *drift = NULL;
	List *replaced = NIL;
	bool locked;
	int64 id;
	ListCell *lc;

	/* Under the lock of the name, what the books say cannot change any more. */
	locked = upg_footprint_try(name_key, false, &refused, &holders);
	before = upg_ledger_find(def->name);
	if (settled_already(def, before, result) ||
		(!locked && worker_has_it(before, result)))
		return;
	if (!locked)
	{
		upg_footprint_acquire(name_key, false, def->name);
		before = upg_ledger_find(def->name);
		if (settled_already(def, before, result))
			return;
	}

	if (def->up == NULL && before != NULL)
	{
		/* What was said of it when it was registered holds, unless said otherwise. */
		*options = *upg_options_merge(before->options, options);
		upg_definition_options(def, options);
		cut->each_alone |= options->no_transaction;
	}
	complete_definition(def, before);
	if (options->replaces != NIL && purpose != PURPOSE_REGISTER)
	{
		replaced = upg_replace_find(def->name, options->replaces);
		if (replaced != NIL)
			purpose = PURPOSE_ADOPT; /* its effect is there already */
	}
	if (before != NULL && strcmp(before->direction, "up") == 0 &&
		(before->state == UPG_STATE_PARTIAL || before->state == UPG_STATE_QUEUED ||
		 before->state == UPG_STATE_RUNNING))
		upg_steps_recall_cut(before->id, cut);
	script = upg_script_parse(def->up, cut);
	if (def->down != NULL)
		complaint = upg_script_complaint(def->down);
	if (purpose == PURPOSE_APPLY)
		upg_footprint_acquire(upg_keys_for(script, options, def->name), false, def->name);

	foreach (lc, script->notes)
		upg_result_warn(result, lfirst(lc));
	check_requirements(def);
	result->statements = script->nstatements;
	result->steps = script->nsteps;
	result->undo = def->down != NULL && complaint == NULL ? "given" : "none";
	if (complaint != NULL)
		upg_result_warn(result,
						psprintf("the down script of migration \"%s\" cannot be run: %s",
								 def->name, complaint));

	if (complaint != NULL && purpose == PURPOSE_APPLY &&
		options->down_check == UPG_DOWN_CHECK_REQUIRE)
		upg_down_check_impossible(options->down_check, def->name,
								  psprintf("it cannot be run: %s.", complaint), result);

	if (purpose != PURPOSE_REGISTER)
	{
		List *missing = upg_ledger_missing_requirements(def->requires);

		if (missing != NIL)
			ereport(ERROR,
					(errcode(ERRCODE_UPG_DEPENDENCY),
					 errmsg("migration \"%s\" requires \"%s\", which is not applied",
							def->name, (char *) linitial(missing)),
					 errhint("Apply \"%s\" first.", (char *) linitial(missing))));
		upg_check_order(def, options, result);
	}

	if (purpose == PURPOSE_REGISTER)
	{
		(void) upg_ledger_write(before, def, UPG_STATE_REGISTERED, result->undo,
								script->nstatements, script->nsteps, result->started,
								NULL);
		result->state = "registered";
		return;
	}

	if (script->nstatements == 0)
		upg_result_warn(result, "the script holds no statement");

	if (purpose == PURPOSE_APPLY)
		drift = upg_drift_begin(options->drift, result);

	if (purpose == PURPOSE_APPLY &&
		(!upg_script_transactional(script) ||
		 (before != NULL &&
		  (before->state == UPG_STATE_PARTIAL || before->state == UPG_STATE_QUEUED ||
		   before->state == UPG_STATE_RUNNING))))
	{
		if (result->undo[0] == 'g')
			upg_down_check_impossible(options->down_check, def->name,
									  "the migration runs in steps that commit.", result);
		queue(def, options, before, script, cut, result);
		return;
	}

	if (purpose == PURPOSE_APPLY && script->nsteps > 0)
	{
		*run = upg_run_create(def->name, "up", script);
		if (options->lock_timeout >= 0)
			(*run)->lock_timeout = options->lock_timeout;
		if (options->lock_retries >= 0)
			(*run)->lock_retries = options->lock_retries;
		if (options->verify != UPG_VERIFY_NONE)
			verification = upg_verify_before(def->name, "up", options,
											 upg_keys_for(script, options, def->name));
		if (result->undo[0] == 'g')
			check =
				upg_down_check_begin(options->down_check, def->name, def->up, def->down);
		if (options->undo != UPG_UNDO_NONE)
			capture = begin_capture(script, options, result);
		upg_down_check_before_up(check);
		upg_run_step(*run, &script->steps[0]);
		upg_down_check_after_up(check);
	}
	else if (purpose == PURPOSE_APPLY && options->undo != UPG_UNDO_NONE)
		/* what did nothing is taken back by nothing, not by a down script */
		capture = begin_capture(script, options, result);

	id = upg_ledger_write(before, def, UPG_STATE_APPLIED, result->undo,
						  script->nstatements, script->nsteps, result->started, NULL);
	if (capture != NULL)
		upg_prove_undo(capture, id, result);
	upg_down_check_finish(check, options, result);
	upg_drift_finish(drift);
	attempt.migration = def->name;
	attempt.direction = "up";
	attempt.state = "succeeded";
	attempt.started = result->started;
	attempt.upgrade = def->upgrade;
	attempt.lock_waits = *run != NULL ? upg_run_lock_waits(*run) : NULL;
	upg_ledger_attempt(&attempt);
	upg_verify_after(verification, result);
	upg_replace_move(id, replaced);
	if (purpose == PURPOSE_APPLY)
		upg_retention_after(result);
	result->state = replaced != NIL ? "adopted" : "applied";
}

/*
 * begin_capture
 *		Watch what the script does.
 *
 * If the undo is required, what cannot be taken back by its kind is refused
 * now, before anything runs; the rest turns out while it runs.
 */
static UpgCapture *
begin_capture(const UpgScript *script, const UpgOptions *options, UpgResult *result)
{
	upg_warn_of_server(result);
	if (options->undo == UPG_UNDO_REQUIRED)
		upg_capture_check(script);
	return upg_capture_begin(options->undo);
}

/*
 * upg_warn_of_server
 *		Say once in a session that this server was not tested.
 */
void
upg_warn_of_server(UpgResult *result)
{
	static bool said = false;
	char *why;

	if (said)
		return;
	said = true;
	why = upg_untested_server(upg_server_version());
	if (why != NULL)
		upg_result_warn(result, why);
}

/*
 * upg_prove_undo
 *		Keep and prove the undo of what has run; say what came of it.
 */
void
upg_prove_undo(UpgCapture *capture, int64 migration_id, UpgResult *result)
{
	UpgCaptureResult captured;
	ListCell *lc;

	PushActiveSnapshot(GetTransactionSnapshot());
	upg_capture_finish(capture, migration_id, 1, &captured);
	PopActiveSnapshot();
	if (strcmp(captured.verdict, "none") != 0)
		result->undo = captured.verdict;
	foreach (lc, captured.differences)
		upg_result_warn(result,
						psprintf("rollback is not exact: %s", (char *) lfirst(lc)));
	foreach (lc, captured.notes)
		upg_result_warn(result, lfirst(lc));
	upg_ledger_set_undo(migration_id, result->undo, result->started);
}

/*
 * upg_keys_for
 *		The footprint of a call: declared in the options, or inferred.
 */
List *
upg_keys_for(const UpgScript *script, const UpgOptions *options, const char *name)
{
	List *keys = NIL;
	ListCell *lc;

	if (options->footprint == NIL)
		return upg_footprint_infer(script, name);

	keys = upg_footprint_add(keys, "database", ShareLock);
	foreach (lc, options->footprint)
		keys = upg_footprint_add(keys, lfirst(lc), ExclusiveLock);
	return upg_footprint_add(keys, psprintf("migration:%s", name), ExclusiveLock);
}

/*
 * upg_keys_for_client
 *		The footprint of a migration whose statements only a client can read: what
 *		they touch is not known, so nobody else may do anything.
 */
List *
upg_keys_for_client(const UpgOptions *options, const char *name)
{
	List *keys = NIL;

	if (options->footprint != NIL)
		return upg_keys_for(NULL, options, name);
	keys = upg_footprint_add(keys, "database", ExclusiveLock);
	return upg_footprint_add(keys, psprintf("migration:%s", name), ExclusiveLock);
}

/*
 * settled_already
 *		Is the migration applied?  Then compare what was given with the books.
 */
static bool
settled_already(UpgDefinition *def, UpgMigration *before, UpgResult *result)
{
	if (before != NULL && before->state == UPG_STATE_REPLACED)
	{
		result->state = "replaced"; /* another that stands for it is applied */
		result->statements = before->statements;
		result->steps = before->steps;
		result->undo = before->undo;
		return true;
	}
	if (before == NULL || before->state != UPG_STATE_APPLIED)
		return false;

	if (def->up != NULL &&
		memcmp(def->checksums.sha256, before->checksums.sha256, UPG_SHA256_LENGTH) != 0)
	{
		if (!def->checksums.has_meaning || !before->checksums.has_meaning ||
			before->meaning_version != UPG_MEANING_VERSION ||
			memcmp(def->checksums.meaning, before->checksums.meaning,
				   UPG_SHA256_LENGTH) != 0)
			ereport(
				ERROR,
				(errcode(ERRCODE_UPG_CHECKSUM_MISMATCH),
				 errmsg("migration \"%s\" was changed after it had been applied",
						def->name),
				 errdetail("SHA-256 when applied: %s; now: %s.",
						   hex_of(before->checksums.sha256),
						   hex_of(def->checksums.sha256)),
				 errhint("Restore the script, or write the change as a new migration.  "
						 "upg_history(%s) tells who applied it.",
						 quote_literal_cstr(def->name))));
		upg_result_warn(
			result,
			psprintf("only the layout or comments of migration \"%s\" changed since "
					 "it was applied; the books keep the new checksum",
					 def->name));
		upg_ledger_set_layout(before, def);
	}
	if (def->down != NULL)
		upg_ledger_set_down(before, def->down);

	result->state = "already";
	result->statements = before->statements;
	result->steps = before->steps;
	result->undo =
		def->down != NULL && strcmp(before->undo, "none") == 0 ? "given" : before->undo;
	return true;
}

/*
 * worker_has_it
 *		The migration is locked: by a worker that runs it?  Then there is nothing
 *		to do but wait.
 */
static bool
worker_has_it(UpgMigration *before, UpgResult *result)
{
	if (before == NULL ||
		(before->state != UPG_STATE_QUEUED && before->state != UPG_STATE_RUNNING))
		return false;

	result->state = "queued";
	result->statements = before->statements;
	result->steps = before->steps;
	result->undo = before->undo;
	return true;
}

/*
 * complete_definition
 *		Take from the books what the call left out.
 */
static void
complete_definition(UpgDefinition *def, UpgMigration *before)
{
	if (before != NULL && before->state == UPG_STATE_UNKNOWN)
		ereport(
			ERROR,
			(errcode(ERRCODE_UPG_UNKNOWN_OUTCOME),
			 errmsg("what became of a statement of migration \"%s\" is not known",
					def->name),
			 errdetail("It was interrupted, and it is of a kind whose effect cannot be "
					   "recognized."),
			 errhint(
				 "Look at the database, then call upg_repair(%s, 'applied' or 'absent', "
				 "reason).",
				 quote_literal_cstr(def->name))));
	if (before != NULL && before->state == UPG_STATE_PARTIAL &&
		strcmp(before->direction, "down") == 0)
		ereport(ERROR, (errcode(ERRCODE_UPG_ILLEGAL_STATE),
						errmsg("migration \"%s\" is half rolled back", def->name),
						errhint("Finish that with upg_rollback(%s) first.",
								quote_literal_cstr(def->name))));

	if (def->up != NULL)
		return;
	if (before == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UPG_MIGRATION_NOT_FOUND),
				 errmsg("migration \"%s\" is not registered", def->name),
				 errhint("Give its script, or register it with upg_register() first.")));
	def->up = upg_ledger_script(before->id, false);
	if (def->up == NULL)
		ereport(ERROR, (errcode(ERRCODE_UPG_INVALID_SCRIPT),
						errmsg("the books do not hold the script of migration \"%s\"",
							   def->name),
						errdetail("It was sent statement by statement by a client."),
						errhint("Apply it from its file again.")));
	def->up_size = strlen(def->up);
	upg_script_checksums(def->up, def->up_size, &def->checksums);
	if (def->down == NULL && before->has_down)
		def->down = upg_ledger_script(before->id, true);
	if (def->requires == NIL)
		def->requires = before->requires;
}

/*
 * check_requirements
 *		Unknown names and cycles among the requirements.
 */
static void
check_requirements(UpgDefinition *def)
{
	char *unknown;
	char *cycle;

	if (def->requires == NIL)
		return;
	upg_ledger_check_requirements(def->name, def->requires, &unknown, &cycle);
	if (cycle != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UPG_DEPENDENCY),
				 errmsg("the requirements of migration \"%s\" form a cycle", def->name),
				 errdetail("%s", cycle), errhint("Remove one of the requirements.")));
	if (unknown != NULL)
		ereport(ERROR, (errcode(ERRCODE_UPG_DEPENDENCY),
						errmsg("migration \"%s\" requires \"%s\", which is not known",
							   def->name, unknown),
						errhint("Register or apply \"%s\" first, or correct the name.",
								unknown)));
}

/*
 * upg_check_order
 *		Does something that sorts later stand in the books as applied?
 */
void
upg_check_order(UpgDefinition *def, UpgOptions *options, UpgResult *result)
{
	char *later;

	if (def->order_key == NULL || options->out_of_order == UPG_ORDER_ALLOW)
		return;
	later = upg_ledger_later(def->order_key, def->name);
	if (later == NULL)
		return;
	if (options->out_of_order == UPG_ORDER_REFUSE)
		ereport(ERROR, (errcode(ERRCODE_UPG_OUT_OF_ORDER),
						errmsg("migration \"%s\" sorts before \"%s\", which is applied",
							   def->name, later),
						errhint("Rename it so that it sorts last, or set "
								"upg.out_of_order to \"warn\".")));
	upg_result_warn(result,
					psprintf("migration \"%s\" sorts before \"%s\", which was applied "
							 "earlier",
							 def->name, later));
}

/*
 * settle_undo
 *		May the steps of this migration be captured, together with those that
 *		are done already?
 */
static void
settle_undo(UpgDefinition *def, UpgOptions *options, UpgMigration *before,
			UpgScript *script, UpgResult *result)
{
	int done = before != NULL ? upg_steps_done(before->id, "up") : 0;
	bool kept =
		done > 0 && (upg_undo_is_kept(before->undo) || upg_steps_captured(before->id));

	if (options->undo != UPG_UNDO_NONE)
		upg_warn_of_server(result);
	if (options->undo == UPG_UNDO_REQUIRED)
		upg_capture_check(script);
	if (kept && options->undo == UPG_UNDO_NONE)
	{
		upg_undo_finalize(before->id);
		upg_result_warn(result, "the undo of the steps that are done is given up");
	}
	else if (kept)
		result->undo = before->undo;
	else if (done > 0 && options->undo == UPG_UNDO_REQUIRED)
		ereport(
			ERROR,
			(errcode(ERRCODE_UPG_IRREVERSIBLE),
			 errmsg("the steps of migration \"%s\" that are done were not captured",
					def->name),
			 errhint(
				 "Go on with the option {\"undo\": \"none\"} (upg up --undo=none).")));
	else if (done > 0 && options->undo == UPG_UNDO_BEST_EFFORT)
	{
		options->undo = UPG_UNDO_NONE;
		upg_result_warn(result, "no undo is kept: the steps that are done were not "
								"captured");
	}
}

/*
 * queue
 *		Hand a migration over to a background worker, which starts when the
 *		caller's transaction has committed.
 */
static void
queue(UpgDefinition *def, UpgOptions *options, UpgMigration *before, UpgScript *script,
	  UpgCut *cut, UpgResult *result)
{
	bool resume =
		before != NULL &&
		(before->state == UPG_STATE_PARTIAL || before->state == UPG_STATE_QUEUED ||
		 before->state == UPG_STATE_RUNNING || before->state == UPG_STATE_FAILED);
	int64 id;

	settle_undo(def, options, before, script, result);

	/* Running without a worker is as good as queued; worker.c notes the death. */
	id = upg_ledger_write(before, def,
						  before != NULL && before->state == UPG_STATE_RUNNING
							  ? UPG_STATE_RUNNING
							  : UPG_STATE_QUEUED,
						  result->undo, script->nstatements, script->nsteps,
						  result->started, upg_steps_order(cut, options));
	upg_verify_queue(def->name, "up", options, upg_keys_for(script, options, def->name),
					 resume);
	if (!resume)
		upg_steps_forget(id, "up");
	upg_steps_write(id, "up", script);
	upg_worker_request(id, GetSessionUserId());

	result->state = "queued";
	if (cut->before != NIL || cut->own != NIL)
		upg_result_warn(result,
						psprintf("the script does not fit one transaction after all; it "
								 "was cut into %d step%s",
								 script->nsteps, script->nsteps == 1 ? "" : "s"));
	ereport(
		NOTICE,
		(script->nsteps == 1
			 ? errmsg("migration \"%s\" needs a transaction of its own", def->name)
			 : errmsg("migration \"%s\" has %d steps that cannot share a transaction",
					  def->name, script->nsteps),
		 errdetail("A background worker runs it when this transaction commits."),
		 errhint("Wait for it with CALL upg_wait(%s).", quote_literal_cstr(def->name))));
}

static char *
hex_of(const uint8 *sha256)
{
	char *hex = palloc(2 * UPG_SHA256_LENGTH + 1);

	hex[hex_encode((const char *) sha256, UPG_SHA256_LENGTH, hex)] = '\0';
	return hex;
}
