/*-------------------------------------------------------------------------
 *
 * drift.h
 *		What others changed in the schema since the last migration.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/drift.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_DRIFT_H
#define UPG_DRIFT_H

#include "apply.h"

/* upg.drift: what to do about a schema that others changed. */
typedef enum UpgDriftMode
{
	UPG_DRIFT_OFF,
	UPG_DRIFT_WARN,
	UPG_DRIFT_REFUSE
} UpgDriftMode;

typedef struct UpgDrift UpgDrift;

extern int upg_guc_drift;

extern int upg_drift_mode_parse(const char *name);
extern UpgDrift *upg_drift_begin(UpgDriftMode mode, UpgResult *result);
extern UpgDrift *upg_drift_look(MemoryContext context);
extern void upg_drift_start(UpgDrift *drift);
extern void upg_drift_finish(UpgDrift *drift);
extern char *upg_drift_before_commits(MemoryContext context);
extern void upg_drift_after_commits(const char *before);

#endif /* UPG_DRIFT_H */
