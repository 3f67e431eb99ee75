/*-------------------------------------------------------------------------
 *
 * steps.c
 *		Migrations that do not fit one transaction: queueing, running, going on
 *		after a crash.
 *
 * The worker that runs a migration holds its footprint as session locks, from
 * before it looks at the books until it is done.  So "running" with the locks
 * free means that the worker is dead, whatever killed it, and two workers for
 * one migration are harmless: the second waits, sees the work done and leaves.
 *
 * A transaction step commits together with its row in upg.steps.  A step that
 * no transaction can hold has its intent committed first, its outcome after;
 * if the worker finds a step whose intent is there without an outcome, it asks
 * probe.c.
 *
 * A worker logs in as the session that queued the migration did, so it must
 * never run what another session has put in its place meanwhile: a script may
 * RESET ROLE.  Whoever queues a migration writes the number of his transaction
 * into the order, and a worker leaves alone an order that is not its own.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/steps.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "audit.h"
#include "compat.h"
#include "errors.h"
#include "footprint.h"
#include "probe.h"
#include "steps.h"
#include "undo.h"
#include "upg.h"
#include "worker.h"

/* Pause between two looks at a footprint that somebody else holds, in ms. */
#define FOOTPRINT_POLL 100

/* A migration in the hands of a worker; lives in a context of its own. */
typedef struct Job
{
	MemoryContext context;
	UpgMigration *migration;
	char *text;
	UpgScript *script;
	UpgCut cut;
	UpgRun *run;
	List *keys;
	List *footprint; /* declared, or NIL */
	char *role;
	List *settings; /* alternating name, value */
	char *reason;
	int64 upgrade;
	TransactionId order; /* transaction that queued it for us */
	TimestampTz started;
	bool down;
	bool taken_over; /* another worker died on it */
	char **states;   /* of each step, in the books when we began */
	char **intents;
} Job;

static void abandon(int64 migration_id, TransactionId order, ErrorData *edata);
static void back_to_before_down(UpgMigration *migration);
static Job *load_job(int64 migration_id, TransactionId order);
static bool order_stands(Job *job);
static void become_role(Job *job);
static void parse_job(Job *job);
static void lock_job(Job *job);
static bool claim_job(Job *job);
static void read_steps(Job *job);
static bool run_one_step(Job *job, UpgStep *step);
static bool settle_interrupted(Job *job, UpgStep *step);
static void run_transaction_step(Job *job, UpgStep *step);
static void run_autocommit_step(Job *job, UpgStep *step);
static bool cut_again(Job *job, ErrorData *edata);
static void fail_job(Job *job, UpgStep *step, ErrorData *edata);
static void try_to_finish(Job *job);
static void finish_job(Job *job);
static void mark_step(Job *job, UpgStep *step, const char *state, const char *intent);
static void note_attempt(Job *job, UpgStep *step, const char *state, const char *message,
						 const char *detail);
static int count_done(Job *job);
static void begin_transaction(void);
static void commit_transaction(void);
static List *integers_of(const char *json);
static void append_cut(StringInfo buf, const UpgCut *cut);

/*
 * upg_steps_write
 *		Write the steps of a script into the books, keeping those that are done.
 *
 * Steps that are done, or whose outcome is open, must still be there with the
 * same text; a correction of the script may change what comes after them only.
 */
void
upg_steps_write(int64 migration_id, const char *direction, const UpgScript *script)
{
	static UpgQuery kept = {"SELECT step, state, sha256 FROM upg.steps WHERE "
							"migration_id = $1 AND direction = $2"
							" AND state IN ('done', 'running', 'unknown') ORDER BY step",
							SPI_OK_SELECT,
							2,
							{INT8OID, TEXTOID}};
	static UpgQuery clear = {
		"DELETE FROM upg.steps WHERE migration_id = $1 AND direction = $2"
		" AND state NOT IN ('done', 'running', 'unknown')",
		SPI_OK_DELETE,
		2,
		{INT8OID, TEXTOID}};
	static UpgQuery insert = {
		"INSERT INTO upg.steps (migration_id, direction, step, kind, first_statement,"
		" last_statement, sha256, state) VALUES ($1, $2, $3, $4, $5, $6, $7, 'pending')"
		" ON CONFLICT (migration_id, direction, step) DO UPDATE"
		" SET first_statement = excluded.first_statement,"
		" last_statement = excluded.last_statement",
		SPI_OK_INSERT,
		7,
		{INT8OID, TEXTOID, INT4OID, TEXTOID, INT4OID, INT4OID, BYTEAOID}};
	Datum values[7] = {Int64GetDatum(migration_id), CStringGetTextDatum(direction)};
	uint8(*sums)[UPG_SHA256_LENGTH] = palloc(UPG_SHA256_LENGTH * Max(script->nsteps, 1));
	UpgBooks books;

	for (int i = 0; i < script->nsteps; i++)
	{
		char *text = upg_script_step_text(script, &script->steps[i]);

		upg_script_sha256(text, strlen(text), sums[i]);
		pfree(text);
	}

	upg_books_open(&books);
	upg_query_latest(&kept, values, NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		bool isnull;
		int step = DatumGetInt32(upg_result_datum(row, 1, &isnull));
		char *state = upg_result_text(row, 2);
		bytea *sha256 = DatumGetByteaPP(upg_result_datum(row, 3, &isnull));

		if (step > script->nsteps || VARSIZE_ANY_EXHDR(sha256) != UPG_SHA256_LENGTH ||
			memcmp(VARDATA_ANY(sha256), sums[step - 1], UPG_SHA256_LENGTH) != 0)
			ereport(
				ERROR,
				(errcode(ERRCODE_UPG_CHECKSUM_MISMATCH),
				 errmsg("step %d of the migration was changed after it had run", step),
				 errdetail("The step's state is \"%s\".", state),
				 errhint(
					 "Leave the statements that have run as they were, and change only "
					 "those that come after them.")));
	}
	upg_query(&clear, values, NULL);
	for (int i = 0; i < script->nsteps; i++)
	{
		const UpgStep *step = &script->steps[i];
		bytea *sum = palloc(VARHDRSZ + UPG_SHA256_LENGTH);

		SET_VARSIZE(sum, VARHDRSZ + UPG_SHA256_LENGTH);
		memcpy(VARDATA(sum), sums[i], UPG_SHA256_LENGTH);
		values[2] = Int32GetDatum(step->no);
		values[3] = CStringGetTextDatum(
			step->kind == UPG_STEP_AUTOCOMMIT ? "autocommit" : "transaction");
		values[4] = Int32GetDatum(step->first);
		values[5] = Int32GetDatum(step->last);
		values[6] = PointerGetDatum(sum);
		upg_query(&insert, values, NULL);
	}
	upg_books_close(&books);
	pfree(sums);
}

/*
 * upg_steps_forget
 *		Remove the steps of an earlier application or rollback.
 */
void
upg_steps_forget(int64 migration_id, const char *direction)
{
	static UpgQuery query = {
		"DELETE FROM upg.steps WHERE migration_id = $1 AND direction = $2",
		SPI_OK_DELETE,
		2,
		{INT8OID, TEXTOID}};
	Datum values[2] = {Int64GetDatum(migration_id), CStringGetTextDatum(direction)};
	UpgBooks books;

	upg_books_open(&books);
	upg_query(&query, values, NULL);
	upg_books_close(&books);
}

/*
 * upg_steps_done
 *		How many steps of a direction are done, or may be; -1 if there are none.
 */
int
upg_steps_done(int64 migration_id, const char *direction)
{
	static UpgQuery query = {
		"SELECT CASE WHEN pg_catalog.count(*) = 0 THEN -1 ELSE pg_catalog.count(*)"
		" FILTER (WHERE state IN ('done', 'running', 'unknown')) END::pg_catalog.int4"
		" FROM upg.steps WHERE migration_id = $1 AND direction = $2",
		SPI_OK_SELECT,
		2,
		{INT8OID, TEXTOID}};
	Datum values[2] = {Int64GetDatum(migration_id), CStringGetTextDatum(direction)};
	UpgBooks books;
	bool isnull;
	int done;

	upg_books_open(&books);
	upg_query_latest(&query, values, NULL);
	done = DatumGetInt32(upg_result_datum(0, 1, &isnull));
	upg_books_close(&books);

	return done;
}

/*
 * upg_steps_order
 *		What a worker must know to run a migration as its caller would, as JSON:
 *		whose order it is, role, settings of the session, how the script is
 *		cut, options.
 */
char *
upg_steps_order(const UpgCut *cut, const UpgOptions *options)
{
	StringInfoData buf;
	ListCell *lc;
	MemoryContext caller = CurrentMemoryContext;
	char *search_path;
	char *settings;
	int level;

	/*
	 * The session's own settings, read through pg_settings with the caller's
	 * rights.  search_path is read first, since the query runs with a safe one.
	 */
	search_path = pstrdup(GetConfigOption("search_path", false, false));
	level = NewGUCNestLevel();
	RestrictSearchPath();
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute(
			"SELECT coalesce(pg_catalog.jsonb_object_agg(name, setting), '{}')"
			"::pg_catalog.text FROM pg_catalog.pg_settings"
			" WHERE source IN ('session', 'client') AND context IN ('user', 'superuser')"
			" AND name NOT IN ('application_name', 'client_encoding', 'search_path',"
			" 'transaction_isolation', 'transaction_read_only', 'transaction_deferrable',"
			" 'default_transaction_read_only')",
			false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the session's settings");
	settings = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	settings = MemoryContextStrdup(caller, settings);
	SPI_finish();
	AtEOXact_GUC(false, level);

	if (GetUserId() != GetSessionUserId() &&
		!is_member_of_role(GetSessionUserId(), GetUserId()))
		ereport(
			ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("a migration of several steps cannot run as role \"%s\"",
					GetUserNameFromId(GetUserId(), false)),
			 errdetail(
				 "A background worker runs it, and the session's role \"%s\" is not a "
				 "member of that role.",
				 GetUserNameFromId(GetSessionUserId(), false)),
			 errhint("Do not call it from a SECURITY DEFINER function.")));

	initStringInfo(&buf);
	appendStringInfo(&buf, "{\"order\":\"%u\",\"session\":", GetTopTransactionId());
	escape_json(&buf, GetUserNameFromId(GetSessionUserId(), false));
	appendStringInfoString(&buf, ",\"role\":");
	escape_json(&buf, GetUserNameFromId(GetUserId(), false));
	appendStringInfoString(&buf, ",\"search_path\":");
	escape_json(&buf, search_path);
	appendStringInfo(&buf, ",\"settings\":%s", settings);
	appendStringInfoChar(&buf, ',');
	append_cut(&buf, cut);
	appendStringInfo(
		&buf, ",\"lock_timeout\":%d,\"lock_retries\":%d",
		options->lock_timeout >= 0 ? options->lock_timeout : upg_guc_lock_timeout,
		options->lock_retries >= 0 ? options->lock_retries : upg_guc_lock_retries);
	if (options->footprint != NIL)
	{
		appendStringInfoString(&buf, ",\"footprint\":[");
		foreach (lc, options->footprint)
		{
			if (foreach_current_index (lc) > 0)
				appendStringInfoChar(&buf, ',');
			escape_json(&buf, lfirst(lc));
		}
		appendStringInfoChar(&buf, ']');
	}
	if (options->reason != NULL)
	{
		appendStringInfoString(&buf, ",\"reason\":");
		escape_json(&buf, options->reason);
	}
	appendStringInfo(&buf, ",\"upgrade\":" INT64_FORMAT "}", options->upgrade);

	return buf.data;
}

/*
 * append_cut
 *		How a script is cut, as members of a JSON object.
 */
static void
append_cut(StringInfo buf, const UpgCut *cut)
{
	ListCell *lc;

	appendStringInfo(buf, "\"each_alone\":%s", cut->each_alone ? "true" : "false");
	appendStringInfoString(buf, ",\"before\":[");
	foreach (lc, cut->before)
		appendStringInfo(buf, "%s%d", foreach_current_index (lc) > 0 ? "," : "",
						 lfirst_int(lc));
	appendStringInfoString(buf, "],\"own\":[");
	foreach (lc, cut->own)
		appendStringInfo(buf, "%s%d", foreach_current_index (lc) > 0 ? "," : "",
						 lfirst_int(lc));
	appendStringInfoChar(buf, ']');
}

/*
 * upg_steps_recall_cut
 *		Add to a cut how an unfinished migration was cut when it was run last.
 *
 * Its steps that are done must come out the same when it goes on.
 */
void
upg_steps_recall_cut(int64 migration_id, UpgCut *cut)
{
	static UpgQuery query = {"SELECT run->>'each_alone', run->>'before', run->>'own'"
							 " FROM upg.migrations WHERE migration_id = $1",
							 SPI_OK_SELECT,
							 1,
							 {INT8OID}};
	MemoryContext caller = CurrentMemoryContext;
	Datum value = Int64GetDatum(migration_id);
	UpgBooks books;

	upg_books_open(&books);
	upg_query_latest(&query, &value, NULL);
	if (SPI_processed == 1)
	{
		MemoryContext old = MemoryContextSwitchTo(caller);
		char *text = upg_result_text(0, 1);

		if (text != NULL && strcmp(text, "true") == 0)
			cut->each_alone = true;
		cut->before =
			list_concat_unique_int(cut->before, integers_of(upg_result_text(0, 2)));
		cut->own = list_concat_unique_int(cut->own, integers_of(upg_result_text(0, 3)));
		MemoryContextSwitchTo(old);
	}
	upg_books_close(&books);
}

/*
 * upg_steps_reorder
 *		Queue a migration again as it was ordered, whoever asks for it now.
 *
 * The worker logs in as the session that gave the order: a person who settles
 * an outcome does not lend his rights to the rest of the script.
 */
void
upg_steps_reorder(UpgMigration *migration)
{
	static UpgQuery query = {
		"SELECT run->>'session' FROM upg.migrations WHERE migration_id = $1",
		SPI_OK_SELECT,
		1,
		{INT8OID}};
	MemoryContext caller = CurrentMemoryContext;
	Datum value = Int64GetDatum(migration->id);
	char *session;
	Oid user;
	UpgBooks books;

	upg_books_open(&books);
	upg_query_latest(&query, &value, NULL);
	session = upg_result_text(0, 1);
	if (session != NULL)
		session = MemoryContextStrdup(caller, session);
	upg_books_close(&books);

	user = session != NULL ? get_role_oid(session, true) : InvalidOid;
	if (!OidIsValid(user))
		ereport(
			ERROR,
			(errcode(ERRCODE_UPG_ILLEGAL_STATE),
			 errmsg("migration \"%s\" cannot go on as role \"%s\", which does not exist",
					migration->name, session != NULL ? session : ""),
			 errhint("Create the role again, and drop it when the migration is done.")));

	upg_ledger_move(migration, UPG_STATE_QUEUED, NULL,
					psprintf("{\"order\":\"%u\"}", GetTopTransactionId()));
	upg_worker_request(migration->id, user);
}

/*
 * upg_steps_run
 *		Run a queued migration to its end.  Main part of a background worker.
 */
void
upg_steps_run(int64 migration_id, TransactionId order)
{
	Job *volatile job = NULL;
	volatile bool claimed = false;
	volatile bool ok = true;
	MemoryContext context = CurrentMemoryContext;
	ErrorData *edata = NULL;

	PG_TRY();
	{
		job = load_job(migration_id, order);
		if (job != NULL)
		{
			lock_job(job);
			claimed = claim_job(job);
		}
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
		FlushErrorState();
		AbortCurrentTransaction();
		MemoryContextSwitchTo(context);
		abandon(migration_id, order, edata);
	}
	PG_END_TRY();

	if (claimed)
	{
		for (int i = 0; ok && i < job->script->nsteps; i++)
			ok = run_one_step(job, &job->script->steps[i]);
		if (ok)
			try_to_finish(job);
	}
	pgstat_report_activity(STATE_IDLE, NULL);
	pgstat_report_stat(true);
}

/*
 * abandon
 *		The migration could not even be started: say so in the books.
 */
static void
abandon(int64 migration_id, TransactionId order, ErrorData *edata)
{
	static UpgQuery query = {
		"SELECT name FROM upg.migrations WHERE migration_id = $1 AND state = 'queued'"
		" AND run->>'order' = $2",
		SPI_OK_SELECT,
		2,
		{INT8OID, TEXTOID}};
	Datum values[2] = {Int64GetDatum(migration_id)};
	UpgMigration *migration = NULL;
	UpgAttempt attempt = {0};
	UpgBooks books;
	char *name = NULL;

	begin_transaction();
	values[1] = CStringGetTextDatum(psprintf("%u", order));
	upg_books_open(&books);
	upg_query(&query, values, NULL);
	if (SPI_processed == 1)
		name = MemoryContextStrdup(TopTransactionContext, upg_result_text(0, 1));
	upg_books_close(&books);
	if (name != NULL)
		migration = upg_ledger_find(name);
	if (migration != NULL)
	{
		attempt.migration = name;
		attempt.direction = migration->direction;
		attempt.state = "failed";
		attempt.sqlstate = unpack_sql_state(edata->sqlerrcode);
		attempt.message = edata->message;
		attempt.detail = edata->detail;
		attempt.hint = edata->hint;
		attempt.context = edata->context;
		attempt.started = GetCurrentTimestamp();
		upg_ledger_attempt(&attempt);
		if (upg_steps_done(migration->id, migration->direction) > 0)
			upg_ledger_move(migration, UPG_STATE_PARTIAL, NULL, NULL);
		else if (strcmp(migration->direction, "down") == 0)
			back_to_before_down(migration);
		else
			upg_ledger_move(migration, UPG_STATE_FAILED, NULL, NULL);
	}
	commit_transaction();
}

/*
 * back_to_before_down
 *		A rollback failed before any of its steps was done.
 */
static void
back_to_before_down(UpgMigration *migration)
{
	bool was_applied = migration->applied_order > 0;

	upg_ledger_move(migration, was_applied ? UPG_STATE_APPLIED : UPG_STATE_PARTIAL, "up",
					NULL);
}

/*
 * load_job
 *		Read the order from the books; NULL if there is nothing to do.
 */
static Job *
load_job(int64 migration_id, TransactionId order)
{
	static UpgQuery query = {
		"SELECT name, run->>'role', run->>'search_path', run->>'each_alone', "
		"run->>'before',"
		" run->>'own', run->>'lock_timeout', run->>'lock_retries', run->>'reason',"
		" run->>'upgrade', direction, state,"
		" CASE direction WHEN 'up' THEN up_sql ELSE down_sql END, "
		"options->>'no_transaction'"
		" FROM upg.migrations WHERE migration_id = $1 AND state IN ('queued', 'running')"
		" AND run->>'order' = $2 AND run->>'session' = $3",
		SPI_OK_SELECT,
		3,
		{INT8OID, TEXTOID, TEXTOID}};
	static UpgQuery settings = {
		"SELECT s.key, s.value FROM upg.migrations m,"
		" pg_catalog.jsonb_each_text(m.run->'settings') AS s WHERE m.migration_id = $1",
		SPI_OK_SELECT,
		1,
		{INT8OID}};
	static UpgQuery footprint = {
		"SELECT f FROM upg.migrations m,"
		" pg_catalog.jsonb_array_elements_text(m.run->'footprint') AS f"
		" WHERE m.migration_id = $1",
		SPI_OK_SELECT,
		1,
		{INT8OID}};
	MemoryContext context =
		AllocSetContextCreate(TopMemoryContext, "upg job", ALLOCSET_DEFAULT_SIZES);
	Job *job = NULL;
	Datum value = Int64GetDatum(migration_id);
	Datum values[3] = {value};
	UpgBooks books;
	char *name = NULL;

	begin_transaction();
	values[1] = CStringGetTextDatum(psprintf("%u", order));
	values[2] = CStringGetTextDatum(GetUserNameFromId(GetSessionUserId(), false));
	upg_books_open(&books);
	upg_query(&query, values, NULL);
	if (SPI_processed == 1)
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		char *text;

		job = palloc0(sizeof(Job));
		job->context = context;
		job->started = GetCurrentTimestamp();
		job->order = order;
		name = upg_result_text(0, 1);
		job->role = upg_result_text(0, 2);
		job->settings = list_make2(pstrdup("search_path"), upg_result_text(0, 3));
		text = upg_result_text(0, 4);
		job->cut.each_alone = text != NULL && strcmp(text, "true") == 0;
		text = upg_result_text(0, 14);
		if (text != NULL && strcmp(text, "true") == 0)
			job->cut.each_alone = true;
		job->cut.before = integers_of(upg_result_text(0, 5));
		job->cut.own = integers_of(upg_result_text(0, 6));
		job->reason = upg_result_text(0, 9);
		text = upg_result_text(0, 10);
		job->upgrade = text != NULL ? strtoll(text, NULL, 10) : 0;
		job->down = strcmp(upg_result_text(0, 11), "down") == 0;
		job->taken_over = strcmp(upg_result_text(0, 12), "running") == 0;
		job->text = upg_result_text(0, 13);
		text = upg_result_text(0, 7);
		if (text != NULL)
			upg_guc_lock_timeout = pg_strtoint32(text);
		text = upg_result_text(0, 8);
		if (text != NULL)
			upg_guc_lock_retries = pg_strtoint32(text);
		MemoryContextSwitchTo(old);

		upg_query(&settings, &value, NULL);
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			old = MemoryContextSwitchTo(context);
			job->settings = lappend(job->settings, upg_result_text(i, 1));
			job->settings = lappend(job->settings, upg_result_text(i, 2));
			MemoryContextSwitchTo(old);
		}
		upg_query(&footprint, &value, NULL);
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			old = MemoryContextSwitchTo(context);
			job->footprint = lappend(job->footprint, upg_result_text(i, 1));
			MemoryContextSwitchTo(old);
		}
	}
	upg_books_close(&books);
	if (job != NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(context);

		job->migration = upg_ledger_find(name);
		MemoryContextSwitchTo(old);
	}
	commit_transaction();

	if (job == NULL)
		return NULL;
	if (job->text == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UPG_LEDGER_DAMAGED),
				 errmsg("the script of migration \"%s\" vanished from the ledger", name),
				 errhint("Apply the migration with its script again.")));

	begin_transaction();
	become_role(job);
	commit_transaction();
	parse_job(job);

	return job;
}

/*
 * become_role
 *		Take on the role and settings of the session that queued the migration.
 */
static void
become_role(Job *job)
{
	GucContext rights = superuser() ? PGC_SUSET : PGC_USERSET;

	for (int i = 0; i + 1 < list_length(job->settings); i += 2)
	{
		char *name = list_nth(job->settings, i);
		char *value = list_nth(job->settings, i + 1);

		if (value == NULL)
			continue;
		(void) set_config_option(name, value, rights, PGC_S_SESSION, GUC_ACTION_SET, true,
								 WARNING, false);
	}
	if (job->role != NULL &&
		strcmp(job->role, GetUserNameFromId(GetUserId(), false)) != 0)
		(void) set_config_option("role", job->role, PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SET, true, ERROR, false);
}

/*
 * parse_job
 *		Parse the script and work out the footprint.
 */
static void
parse_job(Job *job)
{
	MemoryContext old;

	begin_transaction();
	old = MemoryContextSwitchTo(job->context);
	job->script = upg_script_parse(job->text, &job->cut);
	job->run =
		upg_run_create(job->migration->name, job->down ? "down" : "up", job->script);
	job->keys = NIL;
	if (job->footprint != NIL)
	{
		ListCell *lc;

		job->keys = upg_footprint_add(job->keys, "database", ShareLock);
		foreach (lc, job->footprint)
			job->keys = upg_footprint_add(job->keys, lfirst(lc), ExclusiveLock);
		job->keys = upg_footprint_add(
			job->keys, psprintf("migration:%s", job->migration->name), ExclusiveLock);
	}
	else
		job->keys = upg_footprint_infer(job->script, job->migration->name);
	MemoryContextSwitchTo(old);
	commit_transaction();
}

/*
 * lock_job
 *		Take the footprint for the session, however long that takes.
 *
 * Polls from outside a transaction, so that nobody waits for us meanwhile.
 */
static void
lock_job(Job *job)
{
	for (;;)
	{
		UpgKey *refused = NULL;
		List *holders = NIL;
		MemoryContext old;
		bool taken;

		begin_transaction();
		old = MemoryContextSwitchTo(CurTransactionContext);
		taken = upg_footprint_try(job->keys, true, &refused, &holders);
		if (!taken)
			pgstat_report_activity(
				STATE_RUNNING,
				psprintf("waiting for %s, held by %s", refused->object,
						 holders == NIL ? "nobody any more"
										: upg_holder_describe(linitial(holders))));
		MemoryContextSwitchTo(old);
		commit_transaction();
		if (taken)
			return;

		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 FOOTPRINT_POLL, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/*
 * claim_job
 *		Under the locks, look at the books again, and say that we run it.
 */
static bool
claim_job(Job *job)
{
	UpgMigration *now;
	MemoryContext old;
	bool claimed = false;

	begin_transaction();
	old = MemoryContextSwitchTo(job->context);
	now = upg_ledger_find(job->migration->name);
	if (now != NULL && now->id == job->migration->id &&
		(now->state == UPG_STATE_QUEUED || now->state == UPG_STATE_RUNNING) &&
		strcmp(now->direction, job->down ? "down" : "up") == 0 && order_stands(job))
	{
		claimed = true;
		job->taken_over = now->state == UPG_STATE_RUNNING;
		job->migration = now;
		if (job->taken_over)
		{
			UpgAttempt attempt = {0};

			attempt.migration = now->name;
			attempt.direction = now->direction;
			attempt.state = "killed";
			attempt.message =
				"the background worker that ran the migration ended without an "
				"outcome";
			attempt.detail = "Its locks are free, so it does not run any more.";
			attempt.started = job->started;
			attempt.upgrade = job->upgrade;
			upg_ledger_attempt(&attempt);
		}
		upg_ledger_move(now, UPG_STATE_RUNNING, NULL,
						psprintf("{\"pid\":%d}", MyProcPid));
		read_steps(job);
	}
	MemoryContextSwitchTo(old);
	commit_transaction();

	return claimed;
}

/*
 * order_stands
 *		Is the order in the books still the one that we have read?
 */
static bool
order_stands(Job *job)
{
	static UpgQuery query = {
		"SELECT 1 FROM upg.migrations WHERE migration_id = $1 AND run->>'order' = $2",
		SPI_OK_SELECT,
		2,
		{INT8OID, TEXTOID}};
	Datum values[2] = {Int64GetDatum(job->migration->id),
					   CStringGetTextDatum(psprintf("%u", job->order))};
	UpgBooks books;
	bool stands;

	upg_books_open(&books);
	upg_query_latest(&query, values, NULL);
	stands = SPI_processed == 1;
	upg_books_close(&books);

	return stands;
}

/*
 * read_steps
 *		What the books say of the steps.
 */
static void
read_steps(Job *job)
{
	static UpgQuery query = {"SELECT step, state, intent::pg_catalog.text FROM upg.steps "
							 "WHERE migration_id = $1"
							 " AND direction = $2 ORDER BY step",
							 SPI_OK_SELECT,
							 2,
							 {INT8OID, TEXTOID}};
	Datum values[2] = {Int64GetDatum(job->migration->id),
					   CStringGetTextDatum(job->down ? "down" : "up")};
	UpgBooks books;

	job->states =
		MemoryContextAllocZero(job->context, sizeof(char *) * (job->script->nsteps + 1));
	job->intents =
		MemoryContextAllocZero(job->context, sizeof(char *) * (job->script->nsteps + 1));
	upg_books_open(&books);
	upg_query(&query, values, NULL);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		MemoryContext old = MemoryContextSwitchTo(job->context);
		bool isnull;
		int step = DatumGetInt32(upg_result_datum(row, 1, &isnull));

		if (step >= 1 && step <= job->script->nsteps)
		{
			job->states[step - 1] = upg_result_text(row, 2);
			job->intents[step - 1] = upg_result_text(row, 3);
		}
		MemoryContextSwitchTo(old);
	}
	upg_books_close(&books);
}

/*
 * run_one_step
 *		Run a step unless it is done; false if the migration cannot go on.
 */
static bool
run_one_step(Job *job, UpgStep *step)
{
	const char *state = job->states[step->no - 1];
	MemoryContext context = job->context;
	ErrorData *volatile edata = NULL;
	volatile bool settled = false;

	if (state != NULL && strcmp(state, "done") == 0)
	{
		begin_transaction();
		for (int no = step->first; no <= step->last; no++)
		{
			Node *node = job->script->statements[no - 1].raw->stmt;

			/* A session of its own has lost what earlier steps set. */
			if (IsA(node, VariableSetStmt))
				upg_run_settings(job->run, no);
		}
		commit_transaction();
		return true;
	}

	PG_TRY();
	{
		if (state != NULL && strcmp(state, "running") == 0)
			settled = settle_interrupted(job, step);
		if (!settled)
		{
			if (step->kind == UPG_STEP_TRANSACTION)
				run_transaction_step(job, step);
			else
				run_autocommit_step(job, step);
		}
	}
	PG_CATCH();
	{
		upg_run_disarm();
		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
		FlushErrorState();
		AbortCurrentTransaction();
		MemoryContextSwitchTo(context);
	}
	PG_END_TRY();

	if (edata == NULL)
		return job->migration->state == UPG_STATE_RUNNING;

	if (cut_again(job, edata))
		return run_one_step(job, &job->script->steps[step->no - 1]);
	fail_job(job, step, edata);
	return false;
}

/*
 * settle_interrupted
 *		A step whose intent is in the books without an outcome: find out.
 *
 * True if nothing is left to run: it is done, or cannot be told (then the
 * migration's state says so).
 */
static bool
settle_interrupted(Job *job, UpgStep *step)
{
	UpgStatement *stmt = &job->script->statements[step->first - 1];
	char *finding;
	UpgOutcome outcome =
		upg_probe(stmt, job->intents[step->no - 1], job->context, &finding);

	begin_transaction();
	job->run->current = stmt;
	switch (outcome)
	{
		case UPG_OUTCOME_DONE:
			note_attempt(job, step, "killed", "the statement was interrupted", finding);
			mark_step(job, step, "done", NULL);
			break;
		case UPG_OUTCOME_ABSENT:
		case UPG_OUTCOME_CLEANED:
			note_attempt(job, step, "killed", "the statement was interrupted", finding);
			mark_step(job, step, "pending", NULL);
			break;
		case UPG_OUTCOME_UNKNOWN:
			note_attempt(job, step, "killed", "the statement was interrupted", finding);
			mark_step(job, step, "unknown", NULL);
			upg_ledger_move(job->migration, UPG_STATE_UNKNOWN, NULL, NULL);
			break;
	}
	job->run->current = NULL;
	commit_transaction();

	return outcome == UPG_OUTCOME_DONE || outcome == UPG_OUTCOME_UNKNOWN;
}

static void
run_transaction_step(Job *job, UpgStep *step)
{
	/* No snapshot yet: the step may begin with SET TRANSACTION. */
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	pgstat_report_activity(STATE_RUNNING, job->run->migration);
	upg_run_step(job->run, step);
	mark_step(job, step, "done", NULL);
	note_attempt(job, step, "succeeded", NULL, NULL);
	CommitTransactionCommand();
}

static void
run_autocommit_step(Job *job, UpgStep *step)
{
	UpgStatement *stmt = &job->script->statements[step->first - 1];

	begin_transaction();
	mark_step(job, step, "running", upg_probe_intent(stmt));
	commit_transaction();

	/* Nothing else may happen in this transaction: the statement ends it itself. */
	SetCurrentStatementStartTimestamp();
	pgstat_report_activity(STATE_RUNNING, upg_script_excerpt(job->script, stmt));
	StartTransactionCommand();
	upg_run_alone(job->run, stmt, job->context);
	CommitTransactionCommand();

	begin_transaction();
	mark_step(job, step, "done", NULL);
	job->run->current = stmt;
	note_attempt(job, step, "succeeded", NULL, NULL);
	job->run->current = NULL;
	commit_transaction();
}

/*
 * cut_again
 *		Cut the script anew where a statement turned out to need it.
 *
 * True if the failed step can be run again, cut smaller.
 */
static bool
cut_again(Job *job, ErrorData *edata)
{
	static UpgQuery count = {
		"UPDATE upg.migrations SET steps = $2 WHERE migration_id = $1",
		SPI_OK_UPDATE,
		2,
		{INT8OID, INT4OID}};
	Datum values[2] = {Int64GetDatum(job->migration->id)};
	UpgBooks books;
	UpgStatement *stmt = job->run->current;
	UpgCut cut = job->cut;
	UpgScript *script;
	StringInfoData run;
	MemoryContext old;
	bool smaller;

	if (stmt == NULL || !upg_cut_extend(&cut, stmt, edata->sqlerrcode))
		return false;

	begin_transaction();
	old = MemoryContextSwitchTo(job->context);
	script = upg_script_parse(job->text, &cut);
	smaller =
		script->nsteps > job->script->nsteps ||
		script->steps[stmt->step - 1].kind != job->script->steps[stmt->step - 1].kind;
	if (smaller)
	{
		job->cut = cut;
		job->script = script;
		job->run->script = script;
		job->run->current = NULL;
		upg_steps_write(job->migration->id, job->down ? "down" : "up", script);
		values[1] = Int32GetDatum(script->nsteps);
		/* Whoever goes on after a crash must cut it the same way. */
		initStringInfo(&run);
		appendStringInfoChar(&run, '{');
		append_cut(&run, &job->cut);
		appendStringInfoChar(&run, '}');
		upg_ledger_move(job->migration, UPG_STATE_RUNNING, NULL, run.data);
		upg_books_open(&books);
		upg_query(&count, values, NULL);
		upg_books_close(&books);
		read_steps(job);
	}
	MemoryContextSwitchTo(old);
	commit_transaction();

	return smaller;
}

/*
 * fail_job
 *		Record a failure, and leave the migration where it can be taken up again.
 */
static void
fail_job(Job *job, UpgStep *step, ErrorData *edata)
{
	UpgAttempt attempt = {0};
	UpgStatement *volatile stmt = job->run->current;
	char *finding = NULL;
	char *volatile intent = NULL;
	int done;
	volatile UpgOutcome outcome = UPG_OUTCOME_ABSENT;

	/*
	 * A statement that failed half-way may have left something behind; and one
	 * that was cancelled at the last moment, or whose success could not be
	 * written down, has done all.
	 */
	if (step->kind == UPG_STEP_AUTOCOMMIT)
	{
		begin_transaction();
		read_steps(job);
		if (job->states[step->no - 1] != NULL &&
			strcmp(job->states[step->no - 1], "running") == 0)
		{
			intent = job->intents[step->no - 1];
			stmt = &job->script->statements[step->first - 1];
		}
		commit_transaction();
	}
	if (intent != NULL)
	{
		PG_TRY();
		{
			outcome = upg_probe(stmt, intent, job->context, &finding);
		}
		PG_CATCH();
		{
			MemoryContextSwitchTo(job->context);
			FlushErrorState();
			AbortCurrentTransaction();
			finding =
				"what it left behind could not be cleared away; the next run tries again";
			outcome = UPG_OUTCOME_UNKNOWN;
		}
		PG_END_TRY();
	}

	begin_transaction();
	attempt.migration = job->migration->name;
	attempt.direction = job->down ? "down" : "up";
	attempt.state = "failed";
	attempt.step = step->no;
	if (stmt != NULL)
	{
		attempt.statement_no = stmt->no;
		attempt.line = job->run->error_line > 0 ? job->run->error_line : stmt->line;
		attempt.column =
			job->run->error_column > 0 ? job->run->error_column : stmt->column;
		attempt.statement = upg_script_excerpt(job->script, stmt);
	}
	attempt.sqlstate = unpack_sql_state(edata->sqlerrcode);
	attempt.message = edata->message;
	attempt.detail = edata->detail != NULL || finding == NULL
						 ? edata->detail
						 : psprintf("After the failure: %s.", finding);
	attempt.hint = edata->hint;
	attempt.context = edata->context;
	attempt.lock_waits = upg_run_lock_waits(job->run);
	attempt.started = job->started;
	attempt.upgrade = job->upgrade;
	upg_ledger_attempt(&attempt);
	commit_transaction();

	/* Apart from the record, which must stay even if the books are damaged. */
	begin_transaction();
	if (outcome != UPG_OUTCOME_UNKNOWN)
		mark_step(job, step, outcome == UPG_OUTCOME_DONE ? "done" : "failed", NULL);

	done = count_done(job);
	if (done > 0 || outcome == UPG_OUTCOME_UNKNOWN)
		upg_ledger_move(job->migration, UPG_STATE_PARTIAL, NULL, NULL);
	else if (job->down)
		back_to_before_down(job->migration);
	else
		upg_ledger_move(job->migration, UPG_STATE_FAILED, NULL, NULL);
	commit_transaction();
}

/*
 * try_to_finish
 *		Book the migration as done; if the books refuse, say why in them.
 *
 * All steps are done, so that the next run only has to book it.
 */
static void
try_to_finish(Job *job)
{
	UpgAttempt attempt = {0};
	ErrorData *volatile edata = NULL;

	PG_TRY();
	{
		finish_job(job);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(job->context);
		edata = CopyErrorData();
		FlushErrorState();
		AbortCurrentTransaction();
		MemoryContextSwitchTo(job->context);
	}
	PG_END_TRY();
	if (edata == NULL)
		return;

	begin_transaction();
	attempt.migration = job->migration->name;
	attempt.direction = job->down ? "down" : "up";
	attempt.state = "failed";
	attempt.sqlstate = unpack_sql_state(edata->sqlerrcode);
	attempt.message = edata->message;
	attempt.detail = edata->detail;
	attempt.hint = edata->hint;
	attempt.context = edata->context;
	attempt.started = job->started;
	attempt.upgrade = job->upgrade;
	upg_ledger_attempt(&attempt);
	commit_transaction();
}

static void
finish_job(Job *job)
{
	UpgAttempt attempt = {0};

	begin_transaction();
	if (job->down && upg_migration_has_undo(job->migration))
		upg_undo_finalize(job->migration->id); /* it describes a state that is gone */
	if (job->down)
		upg_ledger_rolled_back(job->migration, "given", job->started,
							   job->script->nstatements, job->reason, job->upgrade);
	else
		upg_ledger_applied(job->migration, job->started);
	attempt.migration = job->migration->name;
	attempt.direction = job->down ? "down" : "up";
	attempt.state = "succeeded";
	attempt.started = job->started;
	attempt.upgrade = job->upgrade;
	attempt.lock_waits = upg_run_lock_waits(job->run);
	upg_ledger_attempt(&attempt);
	commit_transaction();
}

/*
 * mark_step
 *		Write the state of a step; an intent is kept until it is overwritten.
 */
static void
mark_step(Job *job, UpgStep *step, const char *state, const char *intent)
{
	static UpgQuery query = {
		"UPDATE upg.steps SET state = $4, intent = coalesce($5::pg_catalog.jsonb, "
		"intent),"
		" backend_pid = $6,"
		" started_at = CASE WHEN $4 = 'running' THEN $7 ELSE coalesce(started_at, $7) "
		"END,"
		" finished_at = CASE WHEN $4 IN ('done', 'failed') THEN $7 END"
		" WHERE migration_id = $1 AND direction = $2 AND step = $3",
		SPI_OK_UPDATE,
		7,
		{INT8OID, TEXTOID, INT4OID, TEXTOID, TEXTOID, INT4OID, TIMESTAMPTZOID}};
	Datum values[7] = {Int64GetDatum(job->migration->id),
					   CStringGetTextDatum(job->down ? "down" : "up"),
					   Int32GetDatum(step->no),
					   CStringGetTextDatum(state),
					   0,
					   Int32GetDatum(MyProcPid),
					   TimestampTzGetDatum(GetCurrentTimestamp())};
	char nulls[7] = {' ', ' ', ' ', ' ', intent != NULL ? ' ' : 'n', ' ', ' '};
	UpgBooks books;

	if (intent != NULL)
		values[4] = CStringGetTextDatum(intent);
	upg_books_open(&books);
	upg_query(&query, values, nulls);
	if (SPI_processed != 1)
		ereport(ERROR, (errcode(ERRCODE_UPG_LEDGER_DAMAGED),
						errmsg("step %d of migration \"%s\" is not in the ledger",
							   step->no, job->migration->name),
						errhint("Was upg.steps changed by hand?  Apply the migration "
								"again; it goes on where it stopped.")));
	upg_books_close(&books);
	job->states[step->no - 1] = MemoryContextStrdup(job->context, state);
}

static void
note_attempt(Job *job, UpgStep *step, const char *state, const char *message,
			 const char *detail)
{
	UpgAttempt attempt = {0};
	UpgStatement *stmt = job->run->current;

	attempt.migration = job->migration->name;
	attempt.direction = job->down ? "down" : "up";
	attempt.state = state;
	attempt.step = step->no;
	if (stmt != NULL)
	{
		attempt.statement_no = stmt->no;
		attempt.line = stmt->line;
		attempt.column = stmt->column;
		attempt.statement = upg_script_excerpt(job->script, stmt);
	}
	attempt.message = message;
	attempt.detail = detail;
	attempt.started = job->started;
	attempt.upgrade = job->upgrade;
	upg_ledger_attempt(&attempt);
}

static int
count_done(Job *job)
{
	int done = 0;

	for (int i = 0; i < job->script->nsteps; i++)
	{
		if (job->states[i] != NULL && strcmp(job->states[i], "done") == 0)
			done++;
	}
	return done;
}

/* A transaction for the books, whatever the role or the script set for its own. */
static void
begin_transaction(void)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	XactReadOnly = false;
	XactIsoLevel = XACT_READ_COMMITTED;
	PushActiveSnapshot(GetTransactionSnapshot());
}

static void
commit_transaction(void)
{
	PopActiveSnapshot();
	CommitTransactionCommand();
}

/* The numbers in a JSON array of integers. */
static List *
integers_of(const char *json)
{
	List *numbers = NIL;

	while (json != NULL && *json != '\0')
	{
		if (isdigit((unsigned char) *json))
		{
			char *end;

			numbers = lappend_int(numbers, (int) strtol(json, &end, 10));
			json = end;
		}
		else
			json++;
	}
	return numbers;
}
