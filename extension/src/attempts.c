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

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/timestamp.h"

#include "audit.h"
#include "ledger.h"

static void json_text(StringInfo buf, const char *name, const char *value);
static void json_number(StringInfo buf, const char *name, int64 value);

/*
 * upg_ledger_attempt
 *		Write down one try.
 */
void
upg_ledger_attempt(const UpgAttempt *attempt)
{
	static UpgQuery query = {
		"INSERT INTO upg.attempts (migration, direction, state, started_at, finished_at, "
		"actor,"
		" backend_pid, upgrade_id, step, lock_waits, statement_no, statement)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::pg_catalog.jsonb, $11, $12)",
		SPI_OK_INSERT,
		12,
		{TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, INT4OID,
		 INT8OID, INT4OID, TEXTOID, INT4OID, TEXTOID}};
	Datum values[12];
	char nulls[12] = {' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' '};
	UpgBooks books;

	if (strcmp(attempt->state, "succeeded") != 0)
	{
		upg_ledger_attempt_json(upg_attempt_json(attempt), false);
		return;
	}

	values[0] = CStringGetTextDatum(attempt->migration);
	values[1] = CStringGetTextDatum(attempt->direction);
	values[2] = CStringGetTextDatum(attempt->state);
	values[3] = TimestampTzGetDatum(attempt->started);
	values[4] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[5] = CStringGetTextDatum(upg_actor());
	values[6] = Int32GetDatum(MyProcPid);
	values[7] = Int64GetDatum(attempt->upgrade);
	values[8] = Int32GetDatum(attempt->step);
	if (attempt->upgrade == 0)
		nulls[7] = 'n';
	if (attempt->step == 0)
		nulls[8] = 'n';
	if (attempt->lock_waits != NULL)
		values[9] = CStringGetTextDatum(attempt->lock_waits);
	else
		nulls[9] = 'n';
	values[10] = Int32GetDatum(attempt->statement_no);
	if (attempt->statement_no == 0)
		nulls[10] = 'n';
	if (attempt->statement != NULL)
		values[11] = CStringGetTextDatum(attempt->statement);
	else
		nulls[11] = 'n';

	upg_books_open(&books);
	upg_query(&query, values, nulls);
	upg_books_close(&books);
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
	json_text(&buf, "session", GetUserNameFromId(GetSessionUserId(), true));
	json_text(&buf, "role", GetUserNameFromId(GetUserId(), true));
	json_number(&buf, "backend_pid", MyProcPid);
	json_text(&buf, "migration", attempt->migration);
	json_text(&buf, "direction", attempt->direction);
	json_text(&buf, "state", attempt->state);
	json_number(&buf, "step", attempt->step);
	json_number(&buf, "statement_no", attempt->statement_no);
	json_number(&buf, "line", attempt->line);
	json_number(&buf, "col", attempt->column);
	json_text(&buf, "statement", attempt->statement);
	json_text(&buf, "sqlstate", attempt->sqlstate);
	json_text(&buf, "message", attempt->message);
	json_text(&buf, "detail", attempt->detail);
	json_text(&buf, "hint", attempt->hint);
	json_text(&buf, "context", attempt->context);
	json_number(&buf, "upgrade", attempt->upgrade);
	if (attempt->lock_waits != NULL)
		appendStringInfo(&buf, ",\"lock_waits\":%s", attempt->lock_waits);
	json_text(&buf, "started_at", timestamptz_to_str(attempt->started));
	json_text(&buf, "finished_at", timestamptz_to_str(GetCurrentTimestamp()));
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
		" $1::pg_catalog.jsonb->>'session', $1::pg_catalog.jsonb->>'role'",
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
	initStringInfo(&after);
	appendStringInfoString(&after, "{\"by\":");
	escape_json(&after, upg_result_text(0, 5));
	json_text(&after, "sqlstate", upg_result_text(0, 3));
	json_text(&after, "message", upg_result_text(0, 4));
	appendStringInfoChar(&after, '}');
	MemoryContextSwitchTo(old);
	upg_books_close(&books);

	/* The trail names who acted, not the process that writes it down for him. */
	if (of_another && session != NULL && role != NULL)
		upg_audit_add_for(session, role, pid, psprintf("attempt.%s", state), migration,
						  NULL, after.data);
	else
		upg_audit_add(psprintf("attempt.%s", state), migration, NULL, after.data);
}

static void
json_text(StringInfo buf, const char *name, const char *value)
{
	if (value == NULL)
		return;
	appendStringInfo(buf, ",\"%s\":", name);
	escape_json(buf, value);
}

static void
json_number(StringInfo buf, const char *name, int64 value)
{
	if (value == 0)
		return;
	appendStringInfo(buf, ",\"%s\":" INT64_FORMAT, name, value);
}
