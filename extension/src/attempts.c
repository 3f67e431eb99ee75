/*-------------------------------------------------------------------------
 *
 * attempts.c
 *		The books on tries: what was tried, failed and killed.
 *
 * A try that succeeded is written by the transaction that it happened in.  Any
 * other is put into JSON, so that another process can write it down in a
 * transaction of its own (worker.c).
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/attempts.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/timestamp.h"

#include "audit.h"
#include "json.h"
#include "ledger.h"
#include "tables.h"
#include "verify.h"

/* Columns of upg.attempts, from zero. */
typedef enum AttemptColumn
{
	COL_ID,
	COL_MIGRATION,
	COL_DIRECTION,
	COL_STATE,
	COL_STEP,
	COL_STATEMENT_NO,
	COL_LINE,
	COL_COL,
	COL_STATEMENT,
	COL_SQLSTATE,
	COL_MESSAGE,
	COL_DETAIL,
	COL_HINT,
	COL_CONTEXT,
	COL_LOCK_WAITS,
	COL_STARTED_AT,
	COL_FINISHED_AT,
	COL_ACTOR,
	COL_BACKEND_PID,
	COL_UPGRADE_ID,
	ATTEMPT_COLUMNS
} AttemptColumn;

static const Oid attempt_types[ATTEMPT_COLUMNS] = {
	[COL_ID] = INT8OID,
	[COL_MIGRATION] = TEXTOID,
	[COL_DIRECTION] = TEXTOID,
	[COL_STATE] = TEXTOID,
	[COL_STEP] = INT4OID,
	[COL_STATEMENT_NO] = INT4OID,
	[COL_LINE] = INT4OID,
	[COL_COL] = INT4OID,
	[COL_STATEMENT] = TEXTOID,
	[COL_SQLSTATE] = TEXTOID,
	[COL_MESSAGE] = TEXTOID,
	[COL_DETAIL] = TEXTOID,
	[COL_HINT] = TEXTOID,
	[COL_CONTEXT] = TEXTOID,
	[COL_LOCK_WAITS] = JSONBOID,
	[COL_STARTED_AT] = TIMESTAMPTZOID,
	[COL_FINISHED_AT] = TIMESTAMPTZOID,
	[COL_ACTOR] = TEXTOID,
	[COL_BACKEND_PID] = INT4OID,
	[COL_UPGRADE_ID] = INT8OID,
};

static const UpgTable attempts = {"attempts", ATTEMPT_COLUMNS, attempt_types};

static void set(Datum *values, bool *nulls, AttemptColumn column, Datum value);
static void json_number(StringInfo buf, const char *name, int64 value);

/*
 * upg_attempt_failed
 *		Note in an attempt that it failed, and of what.
 */
void
upg_attempt_failed(UpgAttempt *attempt, const ErrorData *edata)
{
	attempt->state = "failed";
	attempt->sqlstate = unpack_sql_state(edata->sqlerrcode);
	attempt->message = edata->message;
	attempt->detail = edata->detail;
	attempt->hint = edata->hint;
	attempt->context = edata->context;
}

/*
 * upg_ledger_attempt
 *		Write down one try.
 */
void
upg_ledger_attempt(const UpgAttempt *attempt)
{
	Datum values[ATTEMPT_COLUMNS];
	bool nulls[ATTEMPT_COLUMNS];
	Relation rel;

	if (strcmp(attempt->state, "succeeded") != 0)
	{
		upg_ledger_attempt_json(upg_attempt_json(attempt), false);
		return;
	}

	memset(nulls, true, sizeof(nulls));
	rel = upg_table_open(&attempts, RowExclusiveLock);
	set(values, nulls, COL_ID,
		Int64GetDatum(upg_sequence_next("attempts_attempt_id_seq")));
	set(values, nulls, COL_MIGRATION, CStringGetTextDatum(attempt->migration));
	set(values, nulls, COL_DIRECTION, CStringGetTextDatum(attempt->direction));
	set(values, nulls, COL_STATE, CStringGetTextDatum(attempt->state));
	set(values, nulls, COL_STARTED_AT, TimestampTzGetDatum(attempt->started));
	set(values, nulls, COL_FINISHED_AT, TimestampTzGetDatum(GetCurrentTimestamp()));
	set(values, nulls, COL_ACTOR, CStringGetTextDatum(upg_actor()));
	set(values, nulls, COL_BACKEND_PID, Int32GetDatum(MyProcPid));
	if (attempt->upgrade != 0)
		set(values, nulls, COL_UPGRADE_ID, Int64GetDatum(attempt->upgrade));
	if (attempt->step != 0)
		set(values, nulls, COL_STEP, Int32GetDatum(attempt->step));
	if (attempt->statement_no != 0)
		set(values, nulls, COL_STATEMENT_NO, Int32GetDatum(attempt->statement_no));
	if (attempt->statement != NULL)
		set(values, nulls, COL_STATEMENT, CStringGetTextDatum(attempt->statement));
	if (attempt->lock_waits != NULL)
		set(values, nulls, COL_LOCK_WAITS,
			DirectFunctionCall1(jsonb_in, CStringGetDatum(attempt->lock_waits)));
	upg_table_insert(rel, values, nulls);
	table_close(rel, NoLock);
	CommandCounterIncrement();
}

/* Set a column of a row to be inserted. */
static void
set(Datum *values, bool *nulls, AttemptColumn column, Datum value)
{
	values[column] = value;
	nulls[column] = false;
}

/*
 * upg_attempt_json
 *		A try as JSON, so that another process can write it down.
 *
 * Carries actor and process of the caller, and the time of now as its end.
 */
char *
upg_attempt_json(const UpgAttempt *attempt)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "{\"actor\":");
	escape_json(&buf, upg_actor());
	upg_json_member(&buf, "session", GetUserNameFromId(GetSessionUserId(), true));
	upg_json_member(&buf, "role", GetUserNameFromId(GetUserId(), true));
	json_number(&buf, "backend_pid", MyProcPid);
	upg_json_member(&buf, "migration", attempt->migration);
	upg_json_member(&buf, "direction", attempt->direction);
	upg_json_member(&buf, "state", attempt->state);
	json_number(&buf, "step", attempt->step);
	json_number(&buf, "statement_no", attempt->statement_no);
	json_number(&buf, "line", attempt->line);
	json_number(&buf, "col", attempt->column);
	upg_json_member(&buf, "statement", attempt->statement);
	upg_json_member(&buf, "sqlstate", attempt->sqlstate);
	upg_json_member(&buf, "message", attempt->message);
	upg_json_member(&buf, "detail", attempt->detail);
	upg_json_member(&buf, "hint", attempt->hint);
	upg_json_member(&buf, "context", attempt->context);
	json_number(&buf, "upgrade", attempt->upgrade);
	if (attempt->lock_waits != NULL)
		appendStringInfo(&buf, ",\"lock_waits\":%s", attempt->lock_waits);
	upg_json_member(&buf, "started_at", timestamptz_to_str(attempt->started));
	upg_json_member(&buf, "finished_at", timestamptz_to_str(GetCurrentTimestamp()));
	if (attempt->verification != NULL)
		appendStringInfo(&buf, ",\"verification\":%s", attempt->verification);
	appendStringInfoChar(&buf, '}');

	return buf.data;
}

/*
 * upg_ledger_attempt_json
 *		Write down a try that upg_attempt_json() described.
 *
 * "of_another": it was another process's, and the JSON came from there, not from
 * a user, so what it says of the actor is true.
 */
void
upg_ledger_attempt_json(const char *json, bool of_another)
{
	static UpgQuery query = {
		"INSERT INTO upg.attempts (migration, direction, state, step, statement_no, "
		"line, col,"
		" statement, sqlstate, message, detail, hint, context, lock_waits, started_at,"
		" finished_at, actor, backend_pid, upgrade_id)"
		" SELECT r.migration, coalesce(r.direction, 'up'), coalesce(r.state, 'failed'),"
		" r.step, r.statement_no, r.line, r.col, r.statement, r.sqlstate, r.message, "
		"r.detail,"
		" r.hint, r.context, r.lock_waits, coalesce(r.started_at, r.finished_at),"
		" r.finished_at, r.actor, r.backend_pid, r.upgrade"
		" FROM pg_catalog.jsonb_to_record($1::pg_catalog.jsonb) AS r(migration text,"
		" direction text, state text, step integer, statement_no integer, line integer,"
		" col integer, statement text, sqlstate text, message text, detail text, hint "
		"text,"
		" context text, lock_waits jsonb, started_at timestamptz, finished_at "
		"timestamptz,"
		" actor text, backend_pid integer, upgrade bigint)"
		" RETURNING migration, state, sqlstate, message, actor, backend_pid,"
		" $1::pg_catalog.jsonb->>'session', $1::pg_catalog.jsonb->>'role',"
		" $1::pg_catalog.jsonb->>'verification'",
		SPI_OK_INSERT_RETURNING,
		1,
		{TEXTOID}};
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext old;
	Datum value = CStringGetTextDatum(json);
	UpgBooks books;
	StringInfoData after;
	char *migration;
	char *state;
	char *session;
	char *role;
	char *verification;
	int pid;
	bool isnull;

	upg_books_open(&books);
	upg_query(&query, &value, NULL);
	old = MemoryContextSwitchTo(caller);
	migration = upg_result_text(0, 1);
	state = upg_result_text(0, 2);
	pid = DatumGetInt32(upg_result_datum(0, 6, &isnull));
	session = upg_result_text(0, 7);
	role = upg_result_text(0, 8);
	verification = upg_result_text(0, 9);
	initStringInfo(&after);
	appendStringInfoString(&after, "{\"by\":");
	escape_json(&after, upg_result_text(0, 5));
	upg_json_member(&after, "sqlstate", upg_result_text(0, 3));
	upg_json_member(&after, "message", upg_result_text(0, 4));
	appendStringInfoChar(&after, '}');
	MemoryContextSwitchTo(old);
	upg_books_close(&books);

	/* The trail names who acted, not the process that writes it down for him. */
	if (of_another && session != NULL && role != NULL)
		upg_audit_add_for(session, role, pid, psprintf("attempt.%s", state), migration,
						  NULL, after.data);
	else
		upg_audit_add(psprintf("attempt.%s", state), migration, NULL, after.data);
	if (verification != NULL)
		(void) upg_verification_store(verification, of_another ? session : NULL,
									  of_another ? role : NULL, pid);
}

static void
json_number(StringInfo buf, const char *name, int64 value)
{
	if (value == 0)
		return;
	appendStringInfo(buf, ",\"%s\":" INT64_FORMAT, name, value);
}
