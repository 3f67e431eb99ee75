/*-------------------------------------------------------------------------
 *
 * progress.h
 *		How far a scan has come, for other sessions to see.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/progress.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_PROGRESS_H
#define UPG_PROGRESS_H

/* What the scans of this backend are for. */
typedef enum UpgTask
{
	UPG_TASK_CHECKSUM,
	UPG_TASK_SKETCH,
	UPG_TASK_COMPARE,
	UPG_TASK_VERIFY
} UpgTask;

extern void upg_progress_task(UpgTask task, int step, int steps);
extern bool upg_progress_start(Oid relid, uint64 total);
extern void upg_progress_update(uint64 done);
extern void upg_progress_end(void);

#endif /* UPG_PROGRESS_H */
