/*-------------------------------------------------------------------------
 *
 * run_internal.h
 *		What the files of run share.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/run_internal.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_RUN_INTERNAL_H
#define UPG_RUN_INTERNAL_H

#include "run.h"

/* What a statement means for the transaction that it is to run in. */
typedef enum UpgStatementKind
{
	UPG_STMT_PLAIN,
	UPG_STMT_BEGIN,
	UPG_STMT_COMMIT,
	UPG_STMT_CONTROL,       /* other transaction control */
	UPG_STMT_NO_TRANSACTION /* cannot run in a transaction block */
} UpgStatementKind;

extern const char *run_next_word(const char *p, char *word, size_t size);
extern bool run_send_copy(UpgContext *ctx, UpgScan *scan, const UpgScanItem *item);
extern UpgStatementKind run_statement_kind(const char *statement);
extern void run_roll_back(UpgContext *ctx);
extern void run_record_failure(UpgContext *ctx, const char *name, int64_t upgrade,
							   const UpgScanItem *item, int number);
extern bool run_callbacks(UpgContext *ctx, const char *event, bool after_error);
extern bool run_before(UpgContext *ctx);
extern bool run_after(UpgContext *ctx, const UpgEntry *entry);
extern bool run_after_background(UpgContext *ctx, const UpgEntry *entry);
extern UpgRows *run_call_apply(UpgContext *ctx, const UpgEntry *entry, const char *name,
							   const char *const *params, int64_t upgrade);
extern bool run_between(UpgContext *ctx, const UpgEntry *entry, bool *versioned);
extern void run_end_callbacks(UpgContext *ctx, int applied);
extern void run_show_outcome(UpgContext *ctx, const UpgOutcome *outcome);
extern void run_show_held(UpgContext *ctx, bool committed);
extern void run_show_progress(const char *name, int done, int total, int64_t started);
extern void run_show_step(UpgContext *ctx, const char *name, int64_t step, int64_t steps,
						  const char *statement, const char *pid);
extern bool run_single_begin(UpgContext *ctx);
extern bool run_single_end(UpgContext *ctx);
extern bool run_interrupted(const UpgContext *ctx);
extern void run_array_items(UpgContext *ctx, const char *value, UpgList *items);
extern void run_locate_error(UpgContext *ctx, const char *name, const UpgScript *script);
extern bool run_reconnect(UpgContext *ctx);
extern bool run_no_worker(const char *name);
extern bool run_wait_for_other(UpgContext *ctx, char **said, int *wait);

/* in cmd_undo.c */
extern bool rollback_policy(UpgContext *ctx, UpgJson *json);
extern bool rollback_preview(UpgContext *ctx, const char *name, const char *options);
extern void rollback_locks(UpgContext *ctx, const UpgList *names);

#endif /* UPG_RUN_INTERNAL_H */
