/*-------------------------------------------------------------------------
 *
 * steps_job.c
 *		Taking over a queued migration: order, role, script, locks.
 *
 * The worker that runs a migration holds its footprint as session locks, from
 * before it looks at the books until it is done.  So "running" with the locks
 * free means that the worker is dead, whatever killed it, and two workers for
 * one migration are harmless: the second waits, sees the work done and leaves.
 *
 * A worker logs in as the session that queued the migration did, so it must
 * never run what another session has put in its place meanwhile: a script may
 * RESET ROLE.  Whoever queues a migration writes the number of his transaction
 * into the order, and a worker leaves alone an order that is not its own.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/steps_job.c
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
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "errors.h"
#include "footprint.h"
#include "steps.h"
#include "steps_internal.h"
#include "upg.h"

/* Pause between two looks at a footprint that somebody else holds, in ms. */
#define FOOTPRINT_POLL 100

static void become_role(UpgJob *job);
static void parse_job(UpgJob *job);
static bool order_stands(UpgJob *job);

/*
 * upg_job_load
 *		Read the order from the books; NULL if there is nothing to do.
 */
UpgJob *
upg_job_load(int64 migration_id, TransactionId order)
{
	static UpgQuery query = {
		"SELECT name, run->>'role', run->>'search_path', run->>'each_alone', "
		"run->>'before',"
		" run->>'own', run->>'lock_timeout', run->>'lock_retries', run->>'reason',"
		" run->>'upgrade', direction, state,"
		" CASE direction WHEN 'up' THEN up_sql ELSE down_sql END, "
		"options->>'no_transaction', run->>'undo'"
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
	UpgJob *job = NULL;
	Datum value = Int64GetDatum(migration_id);
	Datum values[3] = {value};
	UpgBooks books;
	char *name = NULL;

	upg_job_begin();
	values[1] = CStringGetTextDatum(psprintf("%u", order));
	values[2] = CStringGetTextDatum(GetUserNameFromId(GetSessionUserId(), false));
	upg_books_open(&books);
	upg_query(&query, values, NULL);
	if (SPI_processed == 1)
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		char *text;

		job = palloc0(sizeof(UpgJob));
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
		job->cut.before = upg_integers_of(upg_result_text(0, 5));
		job->cut.own = upg_integers_of(upg_result_text(0, 6));
		job->reason = upg_result_text(0, 9);
		text = upg_result_text(0, 10);
		job->upgrade = text != NULL ? strtoll(text, NULL, 10) : 0;
		job->down = strcmp(upg_result_text(0, 11), "down") == 0;
		job->taken_over = strcmp(upg_result_text(0, 12), "running") == 0;
		job->text = upg_result_text(0, 13);
		text = upg_result_text(0, 15);
		job->undo =
			text != NULL && !job->down ? upg_undo_mode_parse(text) : UPG_UNDO_NONE;
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
	upg_job_commit();

	if (job == NULL)
		return NULL;
	if (job->text == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UPG_LEDGER_DAMAGED),
				 errmsg("the script of migration \"%s\" vanished from the ledger", name),
				 errhint("Apply the migration with its script again.")));

	upg_job_begin();
	become_role(job);
	upg_job_commit();
	parse_job(job);

	return job;
}

/*
 * become_role
 *		Take on the role and settings of the session that queued the migration.
 */
static void
become_role(UpgJob *job)
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
parse_job(UpgJob *job)
{
	MemoryContext old;

	upg_job_begin();
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
	upg_job_commit();
}

/*
 * upg_job_lock
 *		Take the footprint for the session, however long that takes.
 *
 * Polls from outside a transaction, so that nobody waits for us meanwhile.
 */
void
upg_job_lock(UpgJob *job)
{
	for (;;)
	{
		UpgKey *refused = NULL;
		List *holders = NIL;
		MemoryContext old;
		bool taken;

		upg_job_begin();
		old = MemoryContextSwitchTo(CurTransactionContext);
		taken = upg_footprint_try(job->keys, true, &refused, &holders);
		if (!taken)
			pgstat_report_activity(
				STATE_RUNNING,
				psprintf("waiting for %s, held by %s", refused->object,
						 holders == NIL ? "nobody any more"
										: upg_holder_describe(linitial(holders))));
		MemoryContextSwitchTo(old);
		upg_job_commit();
		if (taken)
			return;

		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 FOOTPRINT_POLL, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/*
 * upg_job_claim
 *		Under the locks, look at the books again, and say that we run it.
 */
bool
upg_job_claim(UpgJob *job)
{
	UpgMigration *now;
	MemoryContext old;
	bool claimed = false;

	upg_job_begin();
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
		upg_job_read_steps(job);
	}
	MemoryContextSwitchTo(old);
	upg_job_commit();

	return claimed;
}

/*
 * order_stands
 *		Is the order in the books still the one that we have read?
 */
static bool
order_stands(UpgJob *job)
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

/* A transaction for the books, whatever the role or the script set for its own. */
void
upg_job_begin(void)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	XactReadOnly = false;
	XactIsoLevel = XACT_READ_COMMITTED;
	PushActiveSnapshot(GetTransactionSnapshot());
}

void
upg_job_commit(void)
{
	PopActiveSnapshot();
	CommitTransactionCommand();
}
