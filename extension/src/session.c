/*-------------------------------------------------------------------------
 *
 * session.c
 *		Migrations whose statements a client sends itself: upg_begin(),
 *		upg_finish(), upg_record_attempt().
 *
 * For scripts that only a client can run, such as those with COPY data:
 * BEGIN; SELECT upg_begin(...); the statements; SELECT upg_finish(); COMMIT.
 * The books are the same as upg_apply()'s.  If the transaction fails, the
 * session remembers the error and writes it down at its next call of an upg
 * function, unless the client reports it itself with more detail.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/session.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/elog.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "apply.h"
#include "capture.h"
#include "compat.h"
#include "down_check.h"
#include "drift.h"
#include "errors.h"
#include "footprint.h"
#include "session.h"
#include "upg.h"
#include "verify.h"
#include "worker.h"

PG_FUNCTION_INFO_V1(upg_begin);
PG_FUNCTION_INFO_V1(upg_finish);
PG_FUNCTION_INFO_V1(upg_record_attempt);

/* The migration that is open in this transaction. */
typedef struct Open
{
	UpgDefinition def;
	UpgMigration *before;
	TimestampTz started;
	SubTransactionId subid;
	int level;     /* of nesting, at upg_begin() */
	int guc_level; /* what the script SETs is above it */
	char *actor;
	UpgCapture *capture;           /* or NULL: no undo is kept */
	UpgDrift *drift;               /* or NULL: the schema is not recorded */
	UpgVerification *verification; /* its first half, or NULL */
} Open;

/* The last error while one was open; survives the transaction. */
typedef struct LastError
{
	bool set;
	int sqlstate;
	char message[1024];
	char detail[1024];
} LastError;

static Open *current = NULL; /* in TopTransactionContext */
static LastError last_error;
static emit_log_hook_type prev_emit_log_hook = NULL;

static void xact_callback(XactEvent event, void *arg);
static void subxact_callback(SubXactEvent event, SubTransactionId subid,
							 SubTransactionId parent, void *arg);
static UpgCapture *begin_capture(const char *name, const UpgOptions *options, bool fresh);
static char *attempt_state(Jsonb *given);
static void remember_error(ErrorData *edata);

/*
 * upg_session_init
 *		Called once, when the library is loaded.
 */
void
upg_session_init(void)
{
	RegisterXactCallback(xact_callback, NULL);
	RegisterSubXactCallback(subxact_callback, NULL);
	prev_emit_log_hook = emit_log_hook;
	emit_log_hook = remember_error;
}

/*
 * upg_begin
 *		Open a migration: what follows in this transaction belongs to it.
 */
Datum
upg_begin(PG_FUNCTION_ARGS)
{
	MemoryContext old;
	UpgDefinition def = {0};
	UpgOptions *options;
	UpgMigration *before;
	UpgResult result = {0};
	List *keys;
	List *missing;
	char *unknown;
	char *cycle;
	bool fresh;

	upg_require_writable("upg_begin()");
	/* before the books of earlier failures are written */
	fresh = !TransactionIdIsValid(GetCurrentTransactionIdIfAny());
	if (current != NULL)
		ereport(ERROR, (errcode(ERRCODE_UPG_ILLEGAL_STATE),
						errmsg("migration \"%s\" is open in this transaction",
							   current->def.name),
						errhint("Call upg_finish() first.")));
	upg_worker_flush();

	old = MemoryContextSwitchTo(TopTransactionContext);
	upg_definition_of_args(fcinfo, &def);
	if (PG_ARGISNULL(4))
		ereport(ERROR, (errcode(ERRCODE_UPG_INVALID_OPTION),
						errmsg("options must not be null")));
	options = upg_options_parse(PG_GETARG_JSONB_P_COPY(4), UPG_OPTION_BEGIN);
	upg_definition_options(&def, options);
	if (def.up == NULL)
	{
		if (options->sha256 == NULL)
			ereport(ERROR, (errcode(ERRCODE_UPG_INVALID_OPTION),
							errmsg("migration \"%s\" has neither a script nor a checksum",
								   def.name),
							errhint("Give the script, or the option \"sha256\" with that "
									"of its bytes.")));
		memcpy(def.checksums.sha256, options->sha256, UPG_SHA256_LENGTH);
		def.up_size = options->size;
	}

	keys = upg_keys_for_client(options, def.name);
	upg_footprint_acquire(keys, false, def.name);

	before = upg_ledger_find(def.name);
	if (before != NULL && before->state == UPG_STATE_APPLIED)
		ereport(ERROR, (errcode(ERRCODE_UPG_ILLEGAL_STATE),
						errmsg("migration \"%s\" is already applied", def.name)));
	upg_state_check(def.name, before != NULL ? before->state : UPG_STATE_NONE,
					UPG_STATE_APPLIED);
	upg_ledger_check_requirements(def.name, def.requires, &unknown, &cycle);
	missing = upg_ledger_missing_requirements(def.requires);
	if (unknown != NULL || cycle != NULL || missing != NIL)
		ereport(ERROR, (errcode(ERRCODE_UPG_DEPENDENCY),
						errmsg("migration \"%s\" requires what is not applied", def.name),
						cycle != NULL
							? errdetail("%s", cycle)
							: errdetail("\"%s\" is not applied.",
										unknown != NULL ? unknown
														: (char *) linitial(missing))));
	upg_check_order(&def, options, &result);
	if (def.down != NULL)
		upg_down_check_impossible(options->down_check, def.name,
								  "the client drives the migration.", &result);

	current = palloc0(sizeof(Open));
	current->def = def;
	current->before = before;
	current->started = GetCurrentTimestamp();
	current->subid = GetCurrentSubTransactionId();
	current->level = GetCurrentTransactionNestLevel();
	current->actor = upg_actor();
	current->verification = upg_verify_before(def.name, "up", options, keys);
	last_error.set = false;
	MemoryContextSwitchTo(old);
	current->drift = upg_drift_begin(options->drift, &result);
	if (options->undo != UPG_UNDO_NONE)
		upg_warn_of_server(&result);
	if (options->undo != UPG_UNDO_NONE)
		current->capture = begin_capture(def.name, options, fresh);
	current->guc_level = NewGUCNestLevel();

	PG_RETURN_VOID();
}

/*
 * begin_capture
 *		Watch what the client does until upg_finish().
 *
 * What is ours is told by the number of the transaction, or of the savepoint
 * that holds the migration, so nothing else may have been written in it.
 */
static UpgCapture *
begin_capture(const char *name, const UpgOptions *options, bool fresh)
{
	if (fresh)
		return upg_capture_begin(options->undo);
	if (options->undo == UPG_UNDO_REQUIRED)
		ereport(
			ERROR,
			(errcode(ERRCODE_UPG_IRREVERSIBLE),
			 errmsg("what migration \"%s\" changes cannot be told from what this "
					"transaction has changed before",
					name),
			 errhint(
				 "Call upg_begin() first in its transaction or savepoint, or give the "
				 "option {\"undo\": \"none\"} (upg up --undo=none).")));
	ereport(WARNING, (errmsg("no undo is kept of migration \"%s\"", name),
					  errdetail("The transaction had changed something before.")));
	return NULL;
}

/*
 * upg_finish
 *		The open migration is complete: write the books.
 */
Datum
upg_finish(PG_FUNCTION_ARGS)
{
	UpgResult result = {0};
	UpgAttempt attempt = {0};
	TupleDesc desc;
	Datum values[UPG_RESULT_COLUMNS];
	bool nulls[UPG_RESULT_COLUMNS];
	int64 id;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	desc = BlessTupleDesc(desc);
	upg_require_writable("upg_finish()");
	if (current == NULL)
		ereport(ERROR, (errcode(ERRCODE_UPG_ILLEGAL_STATE),
						errmsg("no migration is open in this transaction"),
						errhint("Open one with upg_begin(), in the same transaction.")));

	result.migration = current->def.name;
	result.state = "applied";
	result.steps = 1;
	result.undo = current->def.down != NULL ? "given" : "none";
	result.started = current->started;
	if (current->capture != NULL && GetCurrentTransactionNestLevel() != current->level)
		ereport(ERROR,
				(errcode(ERRCODE_UPG_IRREVERSIBLE),
				 errmsg("migration \"%s\" ends inside a savepoint", current->def.name),
				 errhint("RELEASE the savepoints of the script before upg_finish(), or "
						 "give upg_begin() the option {\"undo\": \"none\"} (upg up "
						 "--undo=none).")));
	if (current->capture != NULL)
		upg_constraints_immediate();
	id = upg_ledger_write(current->before, &current->def, UPG_STATE_APPLIED, result.undo,
						  0, 1, current->started, NULL);
	if (current->capture != NULL)
		upg_prove_undo(current->capture, id, &result);
	upg_drift_finish(current->drift);
	attempt.migration = current->def.name;
	attempt.direction = "up";
	attempt.state = "succeeded";
	attempt.started = current->started;
	attempt.upgrade = current->def.upgrade;
	upg_ledger_attempt(&attempt);
	upg_verify_after(current->verification, &result);

	/* Whatever the script SET, LOCAL or not, ends with it, as in upg_apply(). */
	if (GetCurrentTransactionNestLevel() == current->level)
		AtEOXact_GUC(false, current->guc_level);
	current = NULL;

	upg_result_values(&result, values, nulls);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

/*
 * upg_record_attempt
 *		A client reports how a migration that it drove itself failed.
 */
Datum
upg_record_attempt(PG_FUNCTION_ARGS)
{
	char *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	Jsonb *given = PG_GETARG_JSONB_P(1);
	StringInfoData buf;
	char *text;
	char *state;

	upg_require_writable("upg_record_attempt()");
	upg_check_name(name);
	if (!JB_ROOT_IS_OBJECT(given))
		ereport(ERROR, (errcode(ERRCODE_UPG_INVALID_OPTION),
						errmsg("an attempt must be a JSON object")));
	upg_worker_forget(name);
	upg_worker_flush();

	/* What went well is written by upg itself. */
	state = attempt_state(given);
	if (state != NULL && strcmp(state, "failed") != 0 && strcmp(state, "killed") != 0 &&
		strcmp(state, "refused") != 0)
		ereport(ERROR, (errcode(ERRCODE_UPG_INVALID_OPTION),
						errmsg("a client cannot report the state \"%s\"", state),
						errhint("It is \"failed\", \"killed\" or \"refused\".")));

	/* Who reports, and when, is not for the client to say: later keys win. */
	text = JsonbToCString(NULL, &given->root, VARSIZE(given));
	initStringInfo(&buf);
	appendBinaryStringInfo(&buf, text, strlen(text) - 1);
	if (strcmp(text, "{}") != 0)
		appendStringInfoChar(&buf, ',');
	appendStringInfoString(&buf, "\"migration\":");
	escape_json(&buf, name);
	appendStringInfoString(&buf, ",\"actor\":");
	escape_json(&buf, upg_actor());
	/* nor what a verification found */
	appendStringInfoString(&buf, ",\"verification\":null");
	appendStringInfo(&buf, ",\"backend_pid\":%d,\"finished_at\":", MyProcPid);
	escape_json(&buf, timestamptz_to_str(GetCurrentTimestamp()));
	appendStringInfoChar(&buf, '}');
	upg_ledger_attempt_json(buf.data, false);

	PG_RETURN_VOID();
}

/* The member "state" of an attempt, or NULL. */
static char *
attempt_state(Jsonb *given)
{
	JsonbValue buf;
	JsonbValue *value = getKeyJsonValueFromContainer(&given->root, "state", 5, &buf);

	if (value == NULL || value->type != jbvString)
		return NULL;
	return pnstrdup(value->val.string.val, value->val.string.len);
}

static void
remember_error(ErrorData *edata)
{
	if (prev_emit_log_hook != NULL)
		prev_emit_log_hook(edata);
	if (current == NULL || edata->elevel < ERROR)
		return;
	last_error.set = true;
	last_error.sqlstate = edata->sqlerrcode;
	strlcpy(last_error.message, edata->message ? edata->message : "",
			sizeof(last_error.message));
	strlcpy(last_error.detail, edata->detail ? edata->detail : "",
			sizeof(last_error.detail));
}

/*
 * remember_failed
 *		The open migration goes with its transaction or savepoint: note that, to
 *		be written down later.
 */
static void
remember_failed(void)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "{\"direction\":\"up\",\"state\":\"failed\"");
	appendStringInfoString(&buf, ",\"migration\":");
	escape_json(&buf, current->def.name);
	appendStringInfo(&buf, ",\"backend_pid\":%d,\"actor\":", MyProcPid);
	escape_json(&buf, current->actor);
	if (last_error.set)
	{
		appendStringInfo(&buf, ",\"sqlstate\":\"%s\",\"message\":",
						 unpack_sql_state(last_error.sqlstate));
		escape_json(&buf, last_error.message);
		appendStringInfoString(&buf, ",\"detail\":");
		escape_json(&buf, last_error.detail);
	}
	else
		appendStringInfoString(&buf, ",\"message\":\"the client rolled it back\"");
	if (last_error.set && last_error.sqlstate == ERRCODE_UPG_VERIFICATION)
	{
		char *verification = upg_verify_take_failed();

		if (verification != NULL)
			appendStringInfo(&buf, ",\"verification\":%s", verification);
	}
	appendStringInfoString(&buf, ",\"started_at\":");
	escape_json(&buf, timestamptz_to_str(current->started));
	appendStringInfoString(&buf, ",\"finished_at\":");
	escape_json(&buf, timestamptz_to_str(GetCurrentTimestamp()));
	appendStringInfoChar(&buf, '}');
	upg_worker_remember(buf.data, current->def.name);
	current = NULL;
}

static void
xact_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			if (current != NULL)
				ereport(
					ERROR,
					(errcode(ERRCODE_UPG_ILLEGAL_STATE),
					 errmsg("migration \"%s\" is still open", current->def.name),
					 errdetail(
						 "Without upg_finish() its changes would be in the database, but "
						 "not in the books."),
					 errhint(
						 "Call upg_begin() and upg_finish() in one transaction block.")));
			break;
		case XACT_EVENT_ABORT:
			/* No catalog can be read here, so the books are written later. */
			if (current != NULL)
				remember_failed();
			break;
		case XACT_EVENT_COMMIT:
			current = NULL;
			break;
		default:
			break;
	}
}

static void
subxact_callback(SubXactEvent event, SubTransactionId subid, SubTransactionId parent,
				 void *arg)
{
	if (current == NULL || current->subid != subid)
		return;
	if (event == SUBXACT_EVENT_COMMIT_SUB)
		current->subid = parent;
	else if (event == SUBXACT_EVENT_ABORT_SUB)
		remember_failed();
}
