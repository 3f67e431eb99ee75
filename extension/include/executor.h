/*-------------------------------------------------------------------------
 *
 * executor.h
 *		Runs the statements of one step of a script.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/executor.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_EXECUTOR_H
#define UPG_EXECUTOR_H

#include "datatype/timestamp.h"
#include "lib/stringinfo.h"

#include "script.h"

/*
 * What is known of a script while it runs.  Lives in a context that outlasts
 * the transactions of the script, so that a failure can still be described.
 */
typedef struct UpgRun
{
	MemoryContext context; /* the run's own memory */
	const char *migration;
	const char *direction; /* up or down */
	const UpgScript *script;
	int lock_timeout; /* ms of one try; 0: leave lock_timeout alone */
	int lock_retries;
	UpgStatement *current; /* statement in hand, NULL before and after */
	int error_line;        /* place of an error, once it is known */
	int error_column;
	StringInfo lock_waits; /* JSON objects, separated by commas */
	TimestampTz started;
	List *savepoints; /* of char *: open savepoints of the script */
} UpgRun;

extern UpgRun *upg_run_create(const char *migration, const char *direction,
							  const UpgScript *script);
extern void upg_run_step(UpgRun *run, const UpgStep *step);
extern void upg_run_alone(UpgRun *run, UpgStatement *stmt, MemoryContext lasting);
extern void upg_run_disarm(void);
extern void upg_run_settings(UpgRun *run, int last_statement);
extern void upg_run_sql(const char *sql, bool top_level, MemoryContext lasting);
extern void upg_constraints_immediate(void);
extern char *upg_run_lock_waits(UpgRun *run);

#endif /* UPG_EXECUTOR_H */
