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

/* The columns that run_outcome() reads. */
#define ROW_COLUMNS                                        \
	"migration, state, statements, steps, undo, warnings," \
	" pg_catalog.date_part('epoch', duration) AS seconds"

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
extern UpgStatementKind run_classify(const char *statement);
extern bool run_send_copy(UpgContext *ctx, UpgScan *scan, const UpgScanItem *item);
extern bool run_interrupted(const UpgContext *ctx);
extern void run_locate_error(UpgContext *ctx, const char *name, const UpgScript *script);
extern bool run_reconnect(UpgContext *ctx);
extern bool run_no_worker(const char *name);
extern bool run_wait_for_other(UpgContext *ctx, char **said, int *wait);

#endif /* UPG_RUN_INTERNAL_H */
