/*-------------------------------------------------------------------------
 *
 * steps_undo.c
 *		The undo of a migration of several steps.
 *
 * Every step is captured and proven in the transaction that commits it, so
 * what is done can always be taken back, also when a later step fails.  What
 * the migration's way back is as a whole is read from its logs.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/steps_undo.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "drift.h"
#include "errors.h"
#include "steps_internal.h"
#include "upg.h"

/*
 * upg_job_begin_capture
 *		Watch a statement that commits inside, or what the probe clears away
 *		after one; NULL if there is nothing to watch.
 */
UpgCapture *
upg_job_begin_capture(UpgJob *job, UpgStep *step)
{
	UpgStatement *stmt = &job->script->statements[step->first - 1];
	UpgCaptureKind kind = upg_capture_kind(stmt->raw->stmt);

	if (job->undo == UPG_UNDO_NONE ||
		(kind != UPG_CAPTURE_MERGED && kind != UPG_CAPTURE_COMMITS))
		return NULL;
	return upg_capture_begin_commits(kind, job->undo, job->migration->id, step->no);
}

/*
 * upg_job_finish_capture
 *		Write down and prove what a transaction step has done, in its own
 *		transaction.
 */
void
upg_job_finish_capture(UpgJob *job, UpgStep *step, UpgCapture *capture)
{
	UpgCaptureResult captured;

	PushActiveSnapshot(GetTransactionSnapshot());
	upg_capture_finish(capture, job->migration->id, step->no, &captured);
	PopActiveSnapshot();
	upg_job_note_undo(job);
}

/*
 * upg_job_capture_outside
 *		A statement has run that leaves nothing in the catalogs: note that there
 *		is nothing to take back, or that it cannot be.
 */
void
upg_job_capture_outside(UpgJob *job, UpgStep *step)
{
	UpgStatement *stmt = &job->script->statements[step->first - 1];
	UpgCaptureKind kind = upg_capture_kind(stmt->raw->stmt);
	UpgCapture *capture;

	if (job->undo == UPG_UNDO_NONE ||
		(kind != UPG_CAPTURE_NOTHING && kind != UPG_CAPTURE_OUTSIDE))
		return;
	capture = upg_capture_begin(job->undo);
	if (kind == UPG_CAPTURE_OUTSIDE)
		upg_capture_before_statement(capture, stmt->raw->stmt);
	upg_job_finish_capture(job, step, capture);
}

/*
 * upg_job_note_undo
 *		Write into the books what the way back is, so far.
 */
void
upg_job_note_undo(UpgJob *job)
{
	const char *verdict = NULL;
	ListCell *lc;

	if (job->undo == UPG_UNDO_NONE)
		return;
	foreach (lc, upg_undo_log_list(job->migration->id))
	{
		UpgUndoHead *head = lfirst(lc);

		if (verdict == NULL || strcmp(head->verdict, "inexact") == 0)
			verdict = strcmp(head->verdict, "inexact") == 0 ? "inexact" : "exact";
	}
	if (verdict == NULL || strcmp(verdict, job->migration->undo) == 0)
		return;
	upg_ledger_set_undo(job->migration->id, verdict, 0);
	job->migration->undo = MemoryContextStrdup(job->context, verdict);
}

/*
 * upg_job_take_back
 *		A step cannot be taken back exactly, and must be: take back those that
 *		are done.  True if nothing of the migration is left.
 *
 * "finding" says in words what came of it.
 */
bool
upg_job_take_back(UpgJob *job, ErrorData *edata, char **finding)
{
	ErrorData *volatile failure = NULL;

	if (job->undo != UPG_UNDO_REQUIRED || (edata->sqlerrcode != ERRCODE_UPG_NOT_EXACT &&
										   edata->sqlerrcode != ERRCODE_UPG_IRREVERSIBLE))
		return false;

	PG_TRY();
	{
		UpgUndoOptions options = {0};
		UpgUndoResult result;
		UpgDrift *drift;

		options.lock_timeout = upg_guc_lock_timeout;
		options.lock_retries = upg_guc_lock_retries;
		upg_job_begin();
		drift = upg_drift_begin(UPG_DRIFT_OFF, NULL);
		if (upg_undo_log_list(job->migration->id) != NIL)
			upg_undo_rollback(job->migration->id, &options, &result);
		upg_drift_finish(drift);
		upg_steps_forget(job->migration->id, "up");
		upg_ledger_set_undo(job->migration->id,
							job->migration->has_down ? "given" : "none", 0);
		upg_ledger_move(job->migration, UPG_STATE_FAILED, NULL, NULL);
		upg_job_commit();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(job->context);
		failure = CopyErrorData();
		FlushErrorState();
		AbortCurrentTransaction();
		MemoryContextSwitchTo(job->context);
		job->migration->state = UPG_STATE_RUNNING;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(job->context);

	if (failure != NULL)
	{
		*finding =
			psprintf("the steps done could not be taken back: %s%s%s", failure->message,
					 failure->detail ? ": " : "", failure->detail ? failure->detail : "");
		return false;
	}
	*finding = "the steps done were taken back";
	return true;
}
