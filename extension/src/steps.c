/*-------------------------------------------------------------------------
 *
 * steps.c
 *		Migrations that do not fit one transaction: running, going on after a
 *		crash.
 *
 * A transaction step commits together with its row in upg.steps.  A step that
 * no transaction can hold has its intent committed first, its outcome after;
 * if the worker finds a step whose intent is there without an outcome, it asks
 * probe.c.
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
#include "pgstat.h"
#include "utils/timestamp.h"

#include "drift.h"
#include "footprint.h"
#include "probe.h"
#include "steps.h"
#include "steps_internal.h"

static bool run_one_step(UpgJob *job, UpgStep *step);
static bool settle_interrupted(UpgJob *job, UpgStep *step);
static void run_transaction_step(UpgJob *job, UpgStep *step);
static void run_autocommit_step(UpgJob *job, UpgStep *step);
static bool cut_again(UpgJob *job, ErrorData *edata);

/*
 * upg_steps_run
 *		Run a queued migration to its end.  Main part of a background worker.
 */
void
upg_steps_run(int64 migration_id, TransactionId order)
{
	UpgJob *volatile job = NULL;
	volatile bool claimed = false;
	volatile bool ok = true;
	MemoryContext context = CurrentMemoryContext;
	ErrorData *edata = NULL;

	PG_TRY();
	{
		job = upg_job_load(migration_id, order);
		if (job != NULL)
		{
			upg_job_lock(job);
			claimed = upg_job_claim(job);
		}
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
		FlushErrorState();
		AbortCurrentTransaction();
		MemoryContextSwitchTo(context);
		upg_job_abandon(migration_id, order, edata);
	}
	PG_END_TRY();

	if (claimed)
	{
		for (int i = 0; ok && i < job->script->nsteps; i++)
			ok = run_one_step(job, &job->script->steps[i]);
		if (ok)
			upg_job_finish(job);
	}
	pgstat_report_activity(STATE_IDLE, NULL);
	pgstat_report_stat(true);
}

/*
 * run_one_step
 *		Run a step unless it is done; false if the migration cannot go on.
 */
static bool
run_one_step(UpgJob *job, UpgStep *step)
{
	const char *state = job->states[step->no - 1];
	MemoryContext context = job->context;
	ErrorData *volatile edata = NULL;
	volatile bool settled = false;

	if (state != NULL && strcmp(state, "done") == 0)
	{
		upg_job_begin();
		for (int no = step->first; no <= step->last; no++)
		{
			Node *node = job->script->statements[no - 1].raw->stmt;

			/* A session of its own has lost what earlier steps set. */
			if (IsA(node, VariableSetStmt))
				upg_run_settings(job->run, no);
		}
		upg_job_commit();
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
	upg_job_fail(job, step, edata);
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
settle_interrupted(UpgJob *job, UpgStep *step)
{
	UpgStatement *stmt = &job->script->statements[step->first - 1];
	char *finding;
	UpgOutcome outcome;

	/* what it clears away belongs to the step */
	(void) upg_job_begin_capture(job, step);
	outcome = upg_probe(stmt, job->intents[step->no - 1], job->context, &finding);
	upg_capture_stop();

	upg_job_begin();
	job->run->current = stmt;
	switch (outcome)
	{
		case UPG_OUTCOME_DONE:
			upg_job_note_attempt(job, step, "killed", "the statement was interrupted",
								 finding);
			upg_job_capture_outside(job, step);
			upg_drift_after_commits(NULL);
			upg_job_mark_step(job, step, "done", NULL);
			upg_job_note_undo(job);
			break;
		case UPG_OUTCOME_ABSENT:
		case UPG_OUTCOME_CLEANED:
			upg_job_note_attempt(job, step, "killed", "the statement was interrupted",
								 finding);
			upg_job_mark_step(job, step, "pending", NULL);
			break;
		case UPG_OUTCOME_UNKNOWN:
			upg_job_note_attempt(job, step, "killed", "the statement was interrupted",
								 finding);
			upg_job_mark_step(job, step, "unknown", NULL);
			upg_ledger_move(job->migration, UPG_STATE_UNKNOWN, NULL, NULL);
			break;
	}
	job->run->current = NULL;
	upg_job_commit();

	return outcome == UPG_OUTCOME_DONE || outcome == UPG_OUTCOME_UNKNOWN;
}

static void
run_transaction_step(UpgJob *job, UpgStep *step)
{
	UpgCapture *capture = NULL;
	UpgDrift *drift;

	upg_job_begin();
	drift = upg_drift_look(job->context);
	upg_job_commit();

	/* No snapshot yet: the step may begin with SET TRANSACTION. */
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	if (step->isolation >= 0)
		XactIsoLevel = step->isolation;
	pgstat_report_activity(STATE_RUNNING, job->run->migration);
	if (job->undo != UPG_UNDO_NONE)
		capture = upg_capture_begin(job->undo);
	upg_drift_start(drift);
	upg_run_step(job->run, step);
	if (capture != NULL)
		upg_job_finish_capture(job, step, capture);
	upg_drift_finish(drift);
	upg_job_mark_step(job, step, "done", NULL);
	upg_job_note_attempt(job, step, "succeeded", NULL, NULL);
	CommitTransactionCommand();
}

static void
run_autocommit_step(UpgJob *job, UpgStep *step)
{
	UpgStatement *stmt = &job->script->statements[step->first - 1];
	UpgCapture *capture;
	UpgCaptureResult captured;
	char *drift;

	upg_job_begin();
	drift = upg_drift_before_commits(job->context);
	upg_job_mark_step(job, step, "running", upg_probe_intent(stmt));
	upg_job_commit();

	/* Nothing else may happen in this transaction: the statement ends it itself. */
	SetCurrentStatementStartTimestamp();
	pgstat_report_activity(STATE_RUNNING, upg_script_excerpt(job->script, stmt));
	StartTransactionCommand();
	capture = upg_job_begin_capture(job, step);
	upg_run_alone(job->run, stmt, job->context);
	if (capture != NULL)
		upg_capture_finish_commits(capture, &captured);
	CommitTransactionCommand();

	upg_job_begin();
	upg_job_capture_outside(job, step);
	upg_drift_after_commits(drift);
	upg_job_mark_step(job, step, "done", NULL);
	upg_job_note_undo(job);
	job->run->current = stmt;
	upg_job_note_attempt(job, step, "succeeded", NULL, NULL);
	job->run->current = NULL;
	upg_job_commit();
}

/*
 * cut_again
 *		Cut the script anew where a statement turned out to need it.
 *
 * True if the failed step can be run again, cut smaller.
 */
static bool
cut_again(UpgJob *job, ErrorData *edata)
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

	upg_job_begin();
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
		upg_cut_append(&run, &job->cut);
		appendStringInfoChar(&run, '}');
		upg_ledger_move(job->migration, UPG_STATE_RUNNING, NULL, run.data);
		upg_books_open(&books);
		upg_query(&count, values, NULL);
		upg_books_close(&books);
		upg_job_read_steps(job);
	}
	MemoryContextSwitchTo(old);
	upg_job_commit();

	return smaller;
}
