/*-------------------------------------------------------------------------
 *
 * runs.c
 *		Runs (upg.upgrades): a client drives a list of migrations.
 *
 * A run writes its plan before it starts, so the next one can tell which
 * migration a killed one was at.  A run holds no lock: each migration takes
 * its own, so several runs may work on one directory, and a pooler may give
 * every statement another backend.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/runs.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "access/htup_details.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "apply.h"
#include "audit.h"
#include "compat.h"
#include "errors.h"
#include "footprint.h"
#include "ledger.h"
#include "steps.h"
#include "worker.h"

PG_FUNCTION_INFO_V1(upg_upgrade_start);
PG_FUNCTION_INFO_V1(upg_upgrade_finish);
PG_FUNCTION_INFO_V1(upg_repair);
PG_FUNCTION_INFO_V1(upg_forget_registration);

/*
 * A run whose backend is gone, or has been idle for long, is not driven by
 * anybody.  A client that waits asks the server several times a second.
 */
#define IDLE_LIMIT "1 minute"

/* A run that was killed, and the migration it was at. */
typedef struct KilledRun
{
	int64 id;
	char *direction;
	char *pid;
	TimestampTz since;
	char *at; /* NULL: all was done */
} KilledRun;

static void settle_killed_runs(void);
static void settle_killed_run(const KilledRun *run);
static char *direction_arg(text *arg);

/*
 * upg_upgrade_start
 *		Begin a run: settle those that were killed, then write down the plan.
 */
Datum
upg_upgrade_start(PG_FUNCTION_ARGS)
{
	static UpgQuery query = {"INSERT INTO upg.upgrades (direction, state, plan, target, "
							 "actor, client, backend_pid,"
							 " backend_start, started_at, last_seen) VALUES ($1, "
							 "'executing', $2, $3, $4, $5, $6, $7,"
							 " $8, $8) RETURNING upgrade_id",
							 SPI_OK_INSERT_RETURNING,
							 8,
							 {TEXTOID, TEXTARRAYOID, TEXTOID, TEXTOID, JSONBOID, INT4OID,
							  TIMESTAMPTZOID, TIMESTAMPTZOID}};
	char *direction;
	ArrayType *plan;
	Datum values[8];
	char nulls[8] = {' ', ' ', ' ', ' ', ' ', ' ', ' ', ' '};
	UpgBooks books;
	bool isnull;
	int64 id;

	upg_require_writable("upg_upgrade_start()");
	upg_worker_flush();
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(3))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("direction, plan and client must not be null")));
	direction = direction_arg(PG_GETARG_TEXT_PP(0));
	plan = PG_GETARG_ARRAYTYPE_P(1);
	if (array_contains_nulls(plan))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("a name in the plan is null")));

	settle_killed_runs();

	values[0] = CStringGetTextDatum(direction);
	values[1] = PointerGetDatum(plan);
	if (PG_ARGISNULL(2))
		nulls[2] = 'n';
	else
		values[2] = PG_GETARG_DATUM(2);
	values[3] = CStringGetTextDatum(upg_actor());
	values[4] = PG_GETARG_DATUM(3);
	values[5] = Int32GetDatum(MyProcPid);
	values[6] = TimestampTzGetDatum(MyStartTimestamp);
	values[7] = TimestampTzGetDatum(GetCurrentTimestamp());
	upg_books_open(&books);
	upg_query(&query, values, nulls);
	id = DatumGetInt64(upg_result_datum(0, 1, &isnull));
	upg_books_close(&books);
	upg_audit_add("upgrade.started", psprintf(INT64_FORMAT, id), NULL,
				  psprintf("{\"direction\":\"%s\",\"migrations\":%d}", direction,
						   ArrayGetNItems(ARR_NDIM(plan), ARR_DIMS(plan))));

	PG_RETURN_INT64(id);
}

static char *
direction_arg(text *arg)
{
	char *direction = text_to_cstring(arg);

	if (strcmp(direction, "up") != 0 && strcmp(direction, "down") != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("invalid direction \"%s\"", direction),
						errhint("It is \"up\" or \"down\".")));
	return direction;
}

/*
 * settle_killed_runs
 *		Write down what killed runs were at, and what became of it.
 */
static void
settle_killed_runs(void)
{
	static UpgQuery find = {
		"SELECT u.upgrade_id, u.direction, u.backend_pid,"
		" coalesce((SELECT pg_catalog.max(a.finished_at) FROM upg.attempts a"
		"   WHERE a.upgrade_id = u.upgrade_id), u.started_at),"
		" (SELECT p.name FROM pg_catalog.unnest(u.plan) WITH ORDINALITY AS p(name, ord)"
		"   WHERE NOT EXISTS (SELECT FROM upg.migrations m WHERE m.name = p.name"
		"     AND m.state = CASE u.direction WHEN 'up' THEN 'applied' ELSE 'rolled_back' "
		"END)"
		"   ORDER BY p.ord LIMIT 1) AS at"
		" FROM upg.upgrades u WHERE u.state = 'executing' AND NOT EXISTS ("
		"   SELECT FROM pg_catalog.pg_stat_activity s WHERE s.pid = u.backend_pid"
		"   AND s.backend_start = u.backend_start AND (s.state IS DISTINCT FROM 'idle'"
		"     OR s.state_change > pg_catalog.clock_timestamp() - interval '" IDLE_LIMIT
		"'))"
		" ORDER BY u.upgrade_id FOR UPDATE OF u SKIP LOCKED",
		SPI_OK_SELECT,
		0,
		{0}};
	MemoryContext caller = CurrentMemoryContext;
	List *runs = NIL;
	ListCell *lc;
	UpgBooks books;

	upg_books_open(&books);
	upg_query(&find, NULL, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(caller);
		KilledRun *run = palloc0(sizeof(KilledRun));
		bool isnull;

		run->id = DatumGetInt64(upg_result_datum(i, 1, &isnull));
		run->direction = upg_result_text(i, 2);
		run->pid = upg_result_text(i, 3);
		run->since = DatumGetTimestampTz(upg_result_datum(i, 4, &isnull));
		run->at = upg_result_text(i, 5);
		runs = lappend(runs, run);
		MemoryContextSwitchTo(old);
	}
	upg_books_close(&books);

	/* With the books closed, so that the trail names who settles them. */
	foreach (lc, runs)
		settle_killed_run(lfirst(lc));
}

/*
 * settle_killed_run
 *		Write down one of them.
 */
static void
settle_killed_run(const KilledRun *run)
{
	static UpgQuery close = {
		"UPDATE upg.upgrades SET state = 'killed', finished_at = $2, detail = $3"
		" WHERE upgrade_id = $1",
		SPI_OK_UPDATE,
		3,
		{INT8OID, TIMESTAMPTZOID, TEXTOID}};
	UpgMigration *migration = run->at != NULL ? upg_ledger_find(run->at) : NULL;
	char *became;
	Datum values[3];
	UpgBooks books;

	if (run->at == NULL)
		became = pstrdup("everything it had planned was done");
	else if (migration != NULL && (migration->state == UPG_STATE_QUEUED ||
								   migration->state == UPG_STATE_RUNNING))
		became = psprintf("a background worker had been given \"%s\"", run->at);
	else
		became = psprintf("the transaction of \"%s\", if it had begun, was rolled back",
						  run->at);

	if (run->at != NULL)
	{
		UpgAttempt attempt = {0};

		attempt.migration = run->at;
		attempt.direction = run->direction;
		attempt.state = "killed";
		attempt.message =
			psprintf("run " INT64_FORMAT " ended without saying so", run->id);
		attempt.detail =
			psprintf("Its backend, process %s, is gone or idle; %s.", run->pid, became);
		attempt.started = run->since;
		attempt.upgrade = run->id;
		upg_ledger_attempt(&attempt);
	}
	values[0] = Int64GetDatum(run->id);
	values[1] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[2] = CStringGetTextDatum(became);
	upg_books_open(&books);
	upg_query(&close, values, NULL);
	upg_books_close(&books);
	upg_audit_add("upgrade.killed", psprintf(INT64_FORMAT, run->id),
				  "{\"state\":\"executing\"}", "{\"state\":\"killed\"}");
	ereport(NOTICE, (errmsg("run " INT64_FORMAT " was killed: %s", run->id, became)));
}

/*
 * upg_upgrade_finish
 *		End a run, and name the version it brought the database to.
 */
Datum
upg_upgrade_finish(PG_FUNCTION_ARGS)
{
	static UpgQuery close = {
		"UPDATE upg.upgrades SET state = $2, finished_at = $3, last_seen = $3, detail = "
		"$4,"
		" version = $5 WHERE upgrade_id = $1 AND state IN ('executing', 'killed')",
		SPI_OK_UPDATE,
		5,
		{INT8OID, TEXTOID, TIMESTAMPTZOID, TEXTOID, TEXTOID}};
	static UpgQuery leave = {"UPDATE upg.versions SET state = 'previous', left_at = $1 "
							 "WHERE state = 'current'",
							 SPI_OK_UPDATE,
							 1,
							 {TIMESTAMPTZOID}};
	static UpgQuery reach = {
		"INSERT INTO upg.versions (version, state, head, reached_at, reached_by, "
		"upgrade_id)"
		" VALUES ($1, 'current', (SELECT name FROM upg.migrations WHERE state = 'applied'"
		" ORDER BY applied_order DESC LIMIT 1), $2, $3, $4)",
		SPI_OK_INSERT,
		4,
		{TEXTOID, TIMESTAMPTZOID, TEXTOID, INT8OID}};
	int64 id;
	char *state;
	TimestampTz now = GetCurrentTimestamp();
	Datum values[5];
	char nulls[5] = {' ', ' ', ' ', ' ', ' '};
	UpgBooks books;
	StringInfoData after;

	upg_require_writable("upg_upgrade_finish()");
	upg_worker_flush();
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("upgrade and state must not be null")));
	id = PG_GETARG_INT64(0);
	state = text_to_cstring(PG_GETARG_TEXT_PP(1));
	if (strcmp(state, "completed") != 0 && strcmp(state, "failed") != 0 &&
		strcmp(state, "cancelled") != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("invalid state \"%s\" for the end of a run", state),
						errhint("It is \"completed\", \"failed\" or \"cancelled\".")));

	values[0] = Int64GetDatum(id);
	values[1] = CStringGetTextDatum(state);
	values[2] = TimestampTzGetDatum(now);
	if (PG_ARGISNULL(2))
		nulls[3] = 'n';
	else
		values[3] = PG_GETARG_DATUM(2);
	if (PG_ARGISNULL(3))
		nulls[4] = 'n';
	else
		values[4] = PG_GETARG_DATUM(3);

	upg_books_open(&books);
	upg_query(&close, values, nulls);
	if (SPI_processed != 1)
		ereport(ERROR, (errcode(ERRCODE_UPG_ILLEGAL_STATE),
						errmsg("run " INT64_FORMAT " is not executing", id)));
	if (!PG_ARGISNULL(3) && strcmp(state, "completed") == 0)
	{
		Datum version[4] = {PG_GETARG_DATUM(3), TimestampTzGetDatum(now),
							CStringGetTextDatum(upg_actor()), Int64GetDatum(id)};

		upg_query(&leave, &values[2], NULL);
		upg_query(&reach, version, NULL);
	}
	upg_books_close(&books);

	initStringInfo(&after);
	appendStringInfo(&after, "{\"state\":\"%s\"", state);
	if (!PG_ARGISNULL(3))
	{
		appendStringInfoString(&after, ",\"version\":");
		escape_json(&after, text_to_cstring(PG_GETARG_TEXT_PP(3)));
	}
	appendStringInfoChar(&after, '}');
	upg_audit_add(psprintf("upgrade.%s", state), psprintf(INT64_FORMAT, id),
				  "{\"state\":\"executing\"}", after.data);

	PG_RETURN_VOID();
}

/*
 * claim
 *		A migration of the books, with nobody else at it until the transaction ends.
 */
static UpgMigration *
claim(const char *name)
{
	UpgMigration *migration;

	upg_footprint_acquire(
		upg_footprint_add(NIL, psprintf("migration:%s", name), ExclusiveLock), false,
		name);
	migration = upg_ledger_find(name);
	if (migration == NULL)
		ereport(ERROR, (errcode(ERRCODE_UPG_MIGRATION_NOT_FOUND),
						errmsg("migration \"%s\" is not in the books", name)));
	return migration;
}

/*
 * upg_repair
 *		A person says what became of a statement that upg cannot tell; the
 *		migration goes on from there.
 */
Datum
upg_repair(PG_FUNCTION_ARGS)
{
	static UpgQuery settle = {"UPDATE upg.steps SET state = CASE $2 WHEN 'applied' THEN "
							  "'done' ELSE 'pending' END,"
							  " finished_at = CASE $2 WHEN 'applied' THEN $3 END"
							  " WHERE migration_id = $1 AND state = 'unknown'",
							  SPI_OK_UPDATE,
							  3,
							  {INT8OID, TEXTOID, TIMESTAMPTZOID}};
	UpgMigration *migration;
	UpgResult result = {0};
	UpgBooks books;
	char *name;
	char *mark;
	char *reason;
	Datum values[UPG_RESULT_COLUMNS];
	bool nulls[UPG_RESULT_COLUMNS];
	Datum args[3];
	StringInfoData after;
	TupleDesc desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	desc = BlessTupleDesc(desc);
	upg_require_writable("upg_repair()");
	upg_worker_flush();
	name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	mark = text_to_cstring(PG_GETARG_TEXT_PP(1));
	reason = text_to_cstring(PG_GETARG_TEXT_PP(2));
	if (strcmp(mark, "applied") != 0 && strcmp(mark, "absent") != 0)
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid mark \"%s\"", mark),
			 errhint(
				 "It is \"applied\" if the statement's effect is there, \"absent\" if "
				 "nothing of it is.")));
	if (reason[0] == '\0')
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a repair needs a reason"),
						errhint("It is kept in the audit trail.")));

	migration = claim(name);
	if (migration->state != UPG_STATE_UNKNOWN)
		ereport(ERROR,
				(errcode(ERRCODE_UPG_ILLEGAL_STATE),
				 errmsg("migration \"%s\" needs no repair", name),
				 errdetail("Its state is \"%s\".", upg_state_name(migration->state))));

	args[0] = Int64GetDatum(migration->id);
	args[1] = CStringGetTextDatum(mark);
	args[2] = TimestampTzGetDatum(GetCurrentTimestamp());
	upg_books_open(&books);
	upg_query(&settle, args, NULL);
	upg_books_close(&books);
	upg_steps_reorder(migration);

	initStringInfo(&after);
	appendStringInfo(&after, "{\"mark\":\"%s\",\"reason\":", mark);
	escape_json(&after, reason);
	appendStringInfoChar(&after, '}');
	upg_audit_add("migration.repaired", name, NULL, after.data);

	result.migration = name;
	result.state = "queued";
	result.statements = migration->statements;
	result.steps = migration->steps;
	result.undo = migration->undo;
	result.started = GetCurrentTimestamp();
	upg_result_values(&result, values, nulls);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

/*
 * upg_forget_registration
 *		Remove a migration that was registered but never applied.
 */
Datum
upg_forget_registration(PG_FUNCTION_ARGS)
{
	static UpgQuery query = {"DELETE FROM upg.migrations WHERE migration_id = $1",
							 SPI_OK_DELETE,
							 1,
							 {INT8OID}};
	char *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	UpgMigration *migration;
	UpgBooks books;
	Datum value;

	upg_require_writable("upg_forget_registration()");
	migration = claim(name);
	if (migration->state != UPG_STATE_REGISTERED)
		ereport(ERROR,
				(errcode(ERRCODE_UPG_ILLEGAL_STATE),
				 errmsg("migration \"%s\" is more than registered", name),
				 errdetail("Its state is \"%s\".", upg_state_name(migration->state)),
				 errhint("What has run stays in the books.")));
	value = Int64GetDatum(migration->id);
	upg_books_open(&books);
	upg_query(&query, &value, NULL);
	upg_books_close(&books);
	upg_steps_forget(migration->id, "up");
	upg_steps_forget(migration->id, "down");
	upg_audit_add("migration.forgotten", name, "{\"state\":\"registered\"}", NULL);

	PG_RETURN_VOID();
}
