/*-------------------------------------------------------------------------
 *
 * undo_down_run.c
 *		A portable down: looked at before and after the undo, then tried.
 *
 * First the undo runs in a subtransaction, so that the server's own deparsers
 * describe what was there before; it is abandoned.  Then the statements made
 * of the difference run in another one, from the state of now; what they leave
 * is compared with what the undo had left, and a statement about anything that
 * differs is not called exact.  That subtransaction is abandoned, too.
 *
 * A statement that fails here is no statement of the script.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/undo_down_run.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "compat.h"
#include "subxact.h"
#include "undo_down.h"

/* What the script sets, and what its trial runs under. */
static const struct
{
	const char *name;
	const char *value;
} settings[] = {{"search_path", ""},
				{"check_function_bodies", "off"},
				{"client_min_messages", "warning"},
				{"row_security", "off"},
				{"default_tablespace", ""},
				{"default_table_access_method", "heap"},
				{"DateStyle", "ISO, YMD"},
				{"IntervalStyle", "postgres"},
				{"extra_float_digits", "1"},
				{"bytea_output", "hex"},
				{"xmloption", "content"},
				{"standard_conforming_strings", "on"}};

/*
 * upg_down_settings
 *		The statements that begin a script: settings of its transaction.
 */
void
upg_down_settings(UpgDownRun *run, StringInfo script)
{
	for (int i = 0; i < lengthof(settings); i++)
		appendStringInfo(script, "SET LOCAL %s = '%s';\n", settings[i].name,
						 settings[i].value);
	if (!run->as_owner)
		appendStringInfoString(script, "SET LOCAL session_replication_role = replica;\n");
}

/* The same for this backend, until the nest level ends. */
static int
begin_settings(bool as_owner)
{
	int level = NewGUCNestLevel();

	for (int i = 0; i < lengthof(settings); i++)
		(void) set_config_option(settings[i].name, settings[i].value, PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("jit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
	(void) set_config_option("client_min_messages", "error", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("session_replication_role", as_owner ? "origin" : "replica",
							 PGC_SUSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return level;
}

/*
 * upg_down_add
 *		Add a statement; "text" may come later.  It is exact until proven otherwise.
 */
UpgDownStatement *
upg_down_add(UpgDownRun *run, int phase, const char *image, const char *text)
{
	MemoryContext oldcxt = MemoryContextSwitchTo(run->cxt);
	UpgDownStatement *statement = palloc0(sizeof(UpgDownStatement));

	statement->phase = phase;
	statement->image = pstrdup(image);
	statement->tag = "exact";
	if (text != NULL)
		statement->ways = list_make1(pstrdup(text));
	run->statements = lappend(run->statements, statement);
	MemoryContextSwitchTo(oldcxt);
	return statement;
}

/* One way to say it: true if it ran; else why not, in the run's memory. */
static bool
run_one(UpgDownRun *run, const char *text, char **why)
{
	UpgSubxact sub;
	volatile bool done = false;

	upg_subxact_begin(&sub, NULL);
	PG_TRY();
	{
		SPI_connect();
		if (SPI_execute(text, false, 0) < 0)
			elog(ERROR, "statement cannot be run");
		SPI_finish();
		upg_subxact_release(&sub);
		CommandCounterIncrement();
		done = true;
	}
	PG_CATCH();
	{
		ErrorData *edata = upg_subxact_catch(&sub);

		if (edata->sqlerrcode == ERRCODE_QUERY_CANCELED ||
			edata->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN ||
			edata->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE ||
			edata->sqlerrcode == ERRCODE_OUT_OF_MEMORY)
			ReThrowError(edata);
		*why = MemoryContextStrdup(run->cxt, edata->message);
	}
	PG_END_TRY();
	return done;
}

/*
 * upg_down_execute
 *		Run a statement; what cannot be run is marked as impossible.
 */
bool
upg_down_execute(UpgDownRun *run, UpgDownStatement *statement)
{
	char *why = NULL;
	ListCell *lc;

	foreach (lc, statement->ways)
	{
		char *reason = NULL;

		CHECK_FOR_INTERRUPTS();
		if (run_one(run, lfirst(lc), &reason))
		{
			statement->text = lfirst(lc);
			return true;
		}
		if (why == NULL)
			why = reason;
	}
	statement->tag = "impossible";
	statement->reason = why;
	return false;
}

/* What is done in a subtransaction, and given up. */
typedef void (*TrialCallback)(UpgDownRun *run, bool portable);

/*
 * in_trial
 *		Call back in a subtransaction under the script's settings; abandon it.
 *
 * An error leaves the subtransaction, too, for callers that catch it.
 */
static void
in_trial(UpgDownRun *run, TrialCallback callback, bool portable)
{
	UpgSubxact sub;
	int nestlevel = begin_settings(run->as_owner);

	upg_subxact_begin(&sub, "upg_down");
	PG_TRY();
	{
		callback(run, portable);
		upg_subxact_abandon(&sub);
	}
	PG_CATCH();
	{
		ReThrowError(upg_subxact_catch(&sub));
	}
	PG_END_TRY();
	AtEOXact_GUC(false, nestlevel);
}

/* Run the undo, look at what it leaves. */
static void
look_before(UpgDownRun *run, bool portable)
{
	UpgUndoOptions options = {0};
	UpgOwnRows own;

	options.on_conflict = UPG_ON_CONFLICT_KEEP;
	own.first = GetCurrentTransactionId();
	own.lsn = GetXLogInsertRecPtr();
	upg_undo_rollback(run->migration, &options, &run->done);
	CommandCounterIncrement();
	upg_down_read(run, &run->before);
	if (portable)
	{
		upg_down_plan(run);
		upg_down_rows_before(run, &own);
		upg_down_unforce(run);
	}
}

/*
 * upg_down_look
 *		What the rollback of a migration changes, and with "portable" the
 *		statements for it.
 *
 * Takes the locks of the rollback, and lets them go.  Raises what the rollback
 * would raise.
 */
UpgDownRun *
upg_down_look(int64 migration, bool portable)
{
	UpgDownRun *run = palloc0(sizeof(UpgDownRun));
	int nestlevel = begin_settings(false);

	run->cxt = CurrentMemoryContext;
	run->migration = migration;
	upg_down_logs(run);
	upg_down_read(run, &run->now);
	AtEOXact_GUC(false, nestlevel);
	in_trial(run, look_before, portable);
	return run;
}

/* Run the script; rows come after the tables and before keys and triggers. */
static void
run_script(UpgDownRun *run, bool portable)
{
	List *planned = run->statements;
	bool rows = false;
	UpgDownState after = {0};
	ListCell *lc;

	run->trial.first = GetCurrentTransactionId();
	run->trial.lsn = GetXLogInsertRecPtr();
	run->statements = NIL;
	foreach (lc, planned)
	{
		UpgDownStatement *statement = lfirst(lc);
		MemoryContext oldcxt;

		if (statement->phase > 50 && !rows)
		{
			upg_down_rows_write(run);
			rows = true;
		}
		oldcxt = MemoryContextSwitchTo(run->cxt);
		run->statements = lappend(run->statements, statement);
		MemoryContextSwitchTo(oldcxt);
		(void) upg_down_execute(run, statement);
	}
	if (!rows)
		upg_down_rows_write(run);
	if (run->as_owner && run->superuser != NULL)
		return; /* it takes a superuser, which is tried next */
	upg_down_read(run, &after);
	upg_down_judge(run, &after);
}

/* Try statements of which none has run. */
static void
try_fresh(UpgDownRun *run, List *planned)
{
	MemoryContext oldcxt = MemoryContextSwitchTo(run->cxt);
	ListCell *lc;

	run->statements = NIL;
	foreach (lc, planned)
	{
		UpgDownStatement *copy = palloc(sizeof(UpgDownStatement));

		*copy = *(UpgDownStatement *) lfirst(lc);
		run->statements = lappend(run->statements, copy);
	}
	MemoryContextSwitchTo(oldcxt);
	in_trial(run, run_script, true);
}

/* How many statements are not exact; are there any about rows? */
static int
flaws(UpgDownRun *run, bool *rows)
{
	int n = 0;
	ListCell *lc;

	foreach (lc, run->statements)
	{
		UpgDownStatement *statement = lfirst(lc);

		*rows |= statement->rows;
		n += strcmp(statement->tag, "exact") != 0;
	}
	return n;
}

/*
 * upg_down_try
 *		Run the statements, compare, give it all up.
 *
 * As their owner would; if that does not give back all rows, as a superuser
 * would, without triggers and foreign keys.
 */
void
upg_down_try(UpgDownRun *run)
{
	List *planned = run->statements;
	List *by_owner;
	bool rows = false;
	bool maybe;
	int left;

	run->superuser = upg_down_listeners(run);
	run->as_owner = run->superuser == NULL;
	try_fresh(run, planned);
	if (!run->as_owner)
		return;
	left = flaws(run, &rows);
	maybe = run->superuser == NULL;
	if (maybe && (left == 0 || !rows))
		return;
	by_owner = run->statements;
	run->as_owner = false;
	if (maybe)
		run->superuser = "rows are put back that foreign keys or triggers do not let in";
	try_fresh(run, planned);
	if (maybe && flaws(run, &rows) >= left)
	{
		run->statements = by_owner;
		run->as_owner = true;
		run->superuser = NULL;
	}
}
