/*-------------------------------------------------------------------------
 *
 * capture_commits.c
 *		Watching a statement that commits inside.
 *
 * Some statements no transaction can hold: CREATE INDEX CONCURRENTLY and its
 * like commit several times on their way, and so may a DO block or CALL.  Only
 * while a transaction is open can be told what it changed, so each is written
 * down just before it commits.
 *
 * What a command of the server's own commits is one change: its parts are
 * merged, row by row, into the first state before and the last one after.  In
 * between lie states such as an index that is not valid yet, to which nobody
 * wants to go back.  The parts are in the log from the moment they commit, so
 * a command that is interrupted and run again, or whose remains are cleared
 * away, is merged with what came before.
 *
 * What a script's own code commits may be anything, tables and rows included;
 * each of its transactions is captured, and proven, for itself.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/capture_commits.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "portability/instr_time.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "capture_internal.h"

/*
 * upg_capture_begin_commits
 *		Start watching a statement that commits inside, in a background worker.
 *
 * The capture outlives the transactions, until upg_capture_finish_commits() or
 * an error.
 */
UpgCapture *
upg_capture_begin_commits(UpgCaptureKind kind, UpgUndoMode mode, int64 migration,
						  int32 step)
{
	UpgCapture *capture = upg_capture_open(kind, mode, TopMemoryContext);

	/* for the session, which is the migration's own */
	(void) set_config_option("track_counts", "on", PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_SET, true, 0, false);
	capture->nest_level = 1;
	capture->migration = migration;
	capture->step = step;
	capture->total.verdict = "exact";
	return capture;
}

/* Forget what belongs to the transaction that is about to commit. */
static void
turn_page(UpgCapture *capture)
{
	MemoryContext oldcxt = MemoryContextSwitchTo(capture->cxt);

	capture->touched = NIL;
	if (capture->kind == UPG_CAPTURE_COMMITS)
		capture->irreversible = NIL;
	if (capture->sequences_known)
		capture->sequences = upg_sequences_remember();
	capture->own.lsn = GetXLogInsertRecPtr();
	MemoryContextSwitchTo(oldcxt);
}

/* Keep the net change for the proof, beside what is in the log. */
static void
note_net(UpgCapture *capture, UpgUndoLog *log)
{
	MemoryContext oldcxt = MemoryContextSwitchTo(capture->cxt);

	capture->net = upg_changes_merge(capture->net, log->catalogs);
	MemoryContextSwitchTo(oldcxt);
}

/* A transaction of the script's own code: a log, a proof. */
static void
capture_whole(UpgCapture *capture)
{
	UpgUndoLog *log;
	UpgCaptureResult result = {0};
	List *differences = NIL;
	char *coverage = NULL;
	instr_time start;
	instr_time end;
	MemoryContext oldcxt;
	ListCell *lc;

	log = upg_capture_write(capture, capture->migration, capture->step, &differences,
							&result);
	INSTR_TIME_SET_CURRENT(start);
	foreach (lc, capture->irreversible)
		differences = lappend(differences, lfirst(lc));
	differences = list_concat(differences,
							  upg_prove(log, &capture->own, capture->touched, &coverage));
	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_SUBTRACT(end, start);
	result.proof_ms = INSTR_TIME_GET_MILLISEC(end);
	upg_capture_settle(capture, log->id, differences, coverage, &result);
	upg_undo_log_exempt(log->id, log->violated);

	capture->total.log = log->id;
	oldcxt = MemoryContextSwitchTo(capture->cxt);
	if (differences != NIL)
		capture->total.verdict = "inexact";
	foreach (lc, differences)
		capture->total.differences =
			lappend(capture->total.differences, pstrdup(lfirst(lc)));
	MemoryContextSwitchTo(oldcxt);
}

/* A transaction of a command of the server's own: a part of the change. */
static void
capture_part(UpgCapture *capture)
{
	UpgUndoLog *log;
	List *differences = NIL;

	log = upg_capture_write(capture, capture->migration, capture->step, &differences,
							&capture->total);
	note_net(capture, log);
	upg_undo_log_verdict(log->id, UPG_VERDICT_PART, differences, "", 0, 0);
}

/*
 * upg_capture_commit
 *		Write down what the present transaction changed; it is about to commit.
 */
void
upg_capture_commit(UpgCapture *capture)
{
	MemoryContext cxt;
	MemoryContext oldcxt;

	if (capture->irreversible != NIL && capture->kind == UPG_CAPTURE_COMMITS)
		(void) GetTopTransactionId(); /* an effect outside needs no row of ours */
	capture->own.first = GetTopTransactionIdIfAny();
	if (TransactionIdIsValid(capture->own.first))
	{
		oldcxt = CurrentMemoryContext;
		cxt = AllocSetContextCreate(capture->cxt, "upg capture commit",
									ALLOCSET_DEFAULT_SIZES);
		MemoryContextSwitchTo(cxt);
		PushActiveSnapshot(GetTransactionSnapshot());
		if (capture->kind == UPG_CAPTURE_MERGED)
			capture_part(capture);
		else
			capture_whole(capture);
		PopActiveSnapshot();
		MemoryContextSwitchTo(oldcxt);
		MemoryContextDelete(cxt);
	}
	turn_page(capture);
}

/*
 * upg_capture_finish_commits
 *		The statement is over, its last transaction still open: write down what
 *		that one changed, prove the whole, stop watching.
 */
void
upg_capture_finish_commits(UpgCapture *capture, UpgCaptureResult *result)
{
	MemoryContext oldcxt = CurrentMemoryContext;
	ListCell *lc;

	if (capture->kind == UPG_CAPTURE_MERGED)
	{
		UpgUndoLog *log;
		List *differences = NIL;
		char *coverage = NULL;
		List *irreversible = capture->irreversible;
		MemoryContext cxt = AllocSetContextCreate(capture->cxt, "upg capture commit",
												  ALLOCSET_DEFAULT_SIZES);

		MemoryContextSwitchTo(cxt);
		PushActiveSnapshot(GetTransactionSnapshot());
		capture->own.first = GetTopTransactionId();
		log = upg_capture_write(capture, capture->migration, capture->step, &differences,
								&capture->total);
		note_net(capture, log);
		foreach (lc, irreversible)
			differences = lappend(differences, lfirst(lc));
		differences = list_concat(
			differences, upg_prove_merged(log, capture->net, &capture->own, &coverage));
		upg_capture_settle(capture, log->id, differences, coverage, &capture->total);
		PopActiveSnapshot();
		MemoryContextSwitchTo(capture->cxt);
		foreach (lc, differences)
			capture->total.differences =
				lappend(capture->total.differences, pstrdup(lfirst(lc)));
		MemoryContextSwitchTo(oldcxt);
	}
	else
	{
		/* what changed nothing at all has a way back, too: nothing */
		if (capture->total.log == 0)
			(void) GetTopTransactionId();
		upg_capture_commit(capture);
	}

	*result = capture->total;
	result->coverage = NULL;
	result->differences = NIL;
	result->notes = NIL;
	foreach (lc, capture->total.differences)
		result->differences = lappend(result->differences, pstrdup(lfirst(lc)));
	upg_capture_stop();
	MemoryContextDelete(capture->cxt);
}
