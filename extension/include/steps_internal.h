/*-------------------------------------------------------------------------
 *
 * steps_internal.h
 *		What the files of the steps share among themselves.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/steps_internal.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_STEPS_INTERNAL_H
#define UPG_STEPS_INTERNAL_H

#include "datatype/timestamp.h"
#include "lib/stringinfo.h"

#include "capture.h"
#include "executor.h"
#include "steps.h"

/* A migration in the hands of a worker; lives in a context of its own. */
typedef struct UpgJob
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
	UpgUndoMode undo; /* how much the migration wants its undo */
	bool taken_over;  /* another worker died on it */
	char **states;    /* of each step, in the books when we began */
	char **intents;
} UpgJob;

/* in steps_order.c */
extern void upg_cut_append(StringInfo buf, const UpgCut *cut);
extern List *upg_integers_of(const char *json);

/* in steps_job.c */
extern UpgJob *upg_job_load(int64 migration_id, TransactionId order);
extern void upg_job_lock(UpgJob *job);
extern bool upg_job_claim(UpgJob *job);
extern void upg_job_begin(void);
extern void upg_job_commit(void);

/* in steps_books.c */
extern void upg_job_read_steps(UpgJob *job);
extern void upg_job_mark_step(UpgJob *job, UpgStep *step, const char *state,
							  const char *intent);
extern void upg_job_note_attempt(UpgJob *job, UpgStep *step, const char *state,
								 const char *message, const char *detail);
extern int upg_job_count_done(UpgJob *job);

/* in steps_end.c */
extern void upg_job_abandon(int64 migration_id, TransactionId order, ErrorData *edata);
extern void upg_job_fail(UpgJob *job, UpgStep *step, ErrorData *edata);
extern void upg_job_finish(UpgJob *job);

/* in steps_undo.c */
extern void upg_job_finish_capture(UpgJob *job, UpgStep *step, UpgCapture *capture);
extern UpgCapture *upg_job_begin_capture(UpgJob *job, UpgStep *step);
extern void upg_job_capture_outside(UpgJob *job, UpgStep *step);
extern void upg_job_note_undo(UpgJob *job);
extern bool upg_job_take_back(UpgJob *job, ErrorData *edata, char **finding);

#endif /* UPG_STEPS_INTERNAL_H */
