/*-------------------------------------------------------------------------
 *
 * capture.h
 *		Watching one step of a migration: begin, statements, finish.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/capture.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_CAPTURE_H
#define UPG_CAPTURE_H

#include "nodes/nodes.h"
#include "nodes/pg_list.h"

#include "undo.h"

typedef struct UpgCapture UpgCapture;

typedef struct UpgCaptureResult
{
	const char *verdict; /* exact, inexact or none */
	List *differences;   /* of char *, why it is not exact */
	char *coverage;      /* what the proof compared */
	int64 log;           /* row of upg.undo_log */
	int64 catalog_rows;
	int64 data_rows;
	double capture_ms;
	double proof_ms;
} UpgCaptureResult;

extern void upg_capture_init(void);
extern UpgCapture *upg_capture_begin(UpgUndoMode mode);
extern void upg_capture_before_statement(UpgCapture *capture, Node *statement);
extern void upg_capture_finish(UpgCapture *capture, int64 migration, int32 step,
							   UpgCaptureResult *result);

#endif /* UPG_CAPTURE_H */
