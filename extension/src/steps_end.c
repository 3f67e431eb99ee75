/*-------------------------------------------------------------------------
 *
 * steps_end.c
 *		How a migration of several steps ends: done, failed, or not begun.
 *
 * Each way writes an attempt and leaves the migration in a state from which it
 * can be taken up again.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/steps_end.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "errors.h"
#include "footprint.h"
#include "probe.h"
#include "steps.h"
#include "steps_internal.h"
#include "undo.h"
#include "verify.h"

static void back_to_before_down(UpgMigration *migration);
static void finish_job(UpgJob *job);

/*
 * upg_job_abandon
 *		The migration could not even be started: say so in the books.
 */
void
upg_job_abandon(int64 migration_id, TransactionId order, ErrorData *edata)
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

	upg_job_begin();
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
		upg_attempt_failed(&attempt, edata);
		attempt.started = GetCurrentTimestamp();
		upg_ledger_attempt(&attempt);
		if (upg_steps_done(migration->id, migration->direction) > 0)
			upg_ledger_move(migration, UPG_STATE_PARTIAL, NULL, NULL);
		else if (strcmp(migration->direction, "down") == 0)
			back_to_before_down(migration);
		else
			upg_ledger_move(migration, UPG_STATE_FAILED, NULL, NULL);
	}
	upg_job_commit();
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
 * upg_job_fail
 *		Record a failure, and leave the migration where it can be taken up again.
 */
void
upg_job_fail(UpgJob *job, UpgStep *step, ErrorData *edata)
{
	UpgAttempt attempt = {0};
	UpgStatement *volatile stmt = job->run->current;
	char *finding = NULL;
	char *volatile intent = NULL;
	int done;
	volatile bool gone = false;
	volatile UpgOutcome outcome = UPG_OUTCOME_ABSENT;

	/*
	 * A statement that failed half-way may have left something behind; and one
	 * that was cancelled at the last moment, or whose success could not be
	 * written down, has done all.
	 */
	if (step->kind == UPG_STEP_AUTOCOMMIT)
	{
		upg_job_begin();
		upg_job_read_steps(job);
		if (job->states[step->no - 1] != NULL &&
			strcmp(job->states[step->no - 1], "running") == 0)
		{
			intent = job->intents[step->no - 1];
			stmt = &job->script->statements[step->first - 1];
		}
		upg_job_commit();
	}
	if (intent != NULL)
	{
		PG_TRY();
		{
			(void) upg_job_begin_capture(job, step);
			outcome = upg_probe(stmt, intent, job->context, &finding);
			upg_capture_stop();
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

	if (outcome != UPG_OUTCOME_UNKNOWN)
		gone = upg_job_take_back(job, edata, &finding);

	upg_job_begin();
	attempt.migration = job->migration->name;
	attempt.direction = job->down ? "down" : "up";
	upg_attempt_failed(&attempt, edata);
	attempt.step = step->no;
	if (stmt != NULL)
	{
		attempt.statement_no = stmt->no;
		attempt.line = job->run->error_line > 0 ? job->run->error_line : stmt->line;
		attempt.column =
			job->run->error_column > 0 ? job->run->error_column : stmt->column;
		attempt.statement = upg_script_excerpt(job->script, stmt);
	}
	if (finding != NULL)
		attempt.detail =
			psprintf("%s%sAfter the failure: %s.", edata->detail ? edata->detail : "",
					 edata->detail ? "\n" : "", finding);
	attempt.lock_waits = upg_run_lock_waits(job->run);
	attempt.started = job->started;
	attempt.upgrade = job->upgrade;
	upg_ledger_attempt(&attempt);
	upg_job_commit();

	if (gone)
		return;

	/* Apart from the record, which must stay even if the books are damaged. */
	upg_job_begin();
	if (outcome != UPG_OUTCOME_UNKNOWN)
		upg_job_mark_step(job, step, outcome == UPG_OUTCOME_DONE ? "done" : "failed",
						  NULL);

	done = upg_job_count_done(job);
	if (done > 0 || outcome == UPG_OUTCOME_UNKNOWN)
		upg_ledger_move(job->migration, UPG_STATE_PARTIAL, NULL, NULL);
	else if (job->down)
		back_to_before_down(job->migration);
	else
		upg_ledger_move(job->migration, UPG_STATE_FAILED, NULL, NULL);
	upg_job_commit();
}

/*
 * upg_job_finish
 *		Book the migration as done; if the books refuse, say why in them.
 *
 * All steps are done, so that the next run only has to book it.
 */
void
upg_job_finish(UpgJob *job)
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

	upg_job_begin();
	attempt.migration = job->migration->name;
	attempt.direction = job->down ? "down" : "up";
	upg_attempt_failed(&attempt, edata);
	attempt.started = job->started;
	attempt.upgrade = job->upgrade;
	if (edata->sqlerrcode == ERRCODE_UPG_VERIFICATION)
	{
		UpgMigration *now = upg_ledger_find(job->migration->name);

		/* nothing runs any more; who waits must not wait for ever */
		attempt.verification = upg_verify_take_failed();
		if (now != NULL && now->state == UPG_STATE_RUNNING)
			upg_ledger_move(now, UPG_STATE_PARTIAL, NULL, NULL);
	}
	upg_ledger_attempt(&attempt);
	upg_job_commit();
}

static void
finish_job(UpgJob *job)
{
	UpgAttempt attempt = {0};
	UpgVerification *verification;

	upg_job_begin();
	upg_job_note_undo(job);
	if (job->down && upg_undo_is_kept(job->migration->undo))
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
	verification =
		upg_verify_resume(job->migration->name, job->down ? "down" : "up",
						  upg_footprint_infer(job->script, job->migration->name));
	upg_verify_after(verification, NULL);
	upg_job_commit();
}
