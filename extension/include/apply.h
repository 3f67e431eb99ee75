/*-------------------------------------------------------------------------
 *
 * apply.h
 *		The row that apply, register and rollback return.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/apply.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_APPLY_H
#define UPG_APPLY_H

#include "capture.h"
#include "access/tupdesc.h"
#include "access/htup.h"
#include "fmgr.h"

#include "executor.h"
#include "ledger.h"
#include "options.h"

typedef struct UpgResult
{
	const char *migration;
	const char *state;
	int statements;
	int steps;
	const char *undo;
	TimestampTz started;
	List *warnings; /* of char * */
} UpgResult;

#define UPG_RESULT_COLUMNS 7

/* What upg_guarded() runs; *run is set once statements of a script begin to run. */
typedef void (*UpgAction)(void *arg, UpgCut *cut, UpgRun *volatile *run,
						  UpgResult *result);

/* in apply.c */
extern void upg_result_values(const UpgResult *result, Datum *values, bool *nulls);
extern void upg_result_warn(UpgResult *result, const char *warning);
extern List *upg_keys_for(const UpgScript *script, const UpgOptions *options,
						  const char *name);
extern List *upg_keys_for_client(const UpgOptions *options, const char *name);
extern void upg_warn_of_server(UpgResult *result);
extern void upg_prove_undo(UpgCapture *capture, int64 migration_id, UpgResult *result);
extern void upg_require_writable(const char *function);
extern void upg_check_name(const char *name);
extern void upg_definition_of_args(FunctionCallInfo fcinfo, UpgDefinition *def);
extern void upg_definition_options(UpgDefinition *def, UpgOptions *options);
extern void upg_check_order(UpgDefinition *def, UpgOptions *options, UpgResult *result);
extern void upg_guarded(const char *name, const char *direction,
						const UpgOptions *options, UpgCut *cut, bool dry,
						UpgAction action, void *arg, UpgResult *result);

/* in retention.c */
extern void upg_retention_after(UpgResult *result);

#endif /* UPG_APPLY_H */
