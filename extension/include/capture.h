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

#include "script.h"
#include "undo.h"

typedef struct UpgCapture UpgCapture;

/* How the changes of a statement reach the catalogs. */
typedef enum UpgCaptureKind
{
	UPG_CAPTURE_STEP,    /* in one transaction or subtransaction */
	UPG_CAPTURE_MERGED,  /* in several, of the server's own: all are one change */
	UPG_CAPTURE_COMMITS, /* in several, of the script's: each is a change */
	UPG_CAPTURE_NOTHING, /* it leaves nothing that could be taken back */
	UPG_CAPTURE_OUTSIDE  /* outside of the database's transactions */
} UpgCaptureKind;

typedef struct UpgCaptureResult
{
	const char *verdict; /* exact, inexact or none */
	List *differences;   /* of char *, why it is not exact */
	List *notes;         /* of char *, what a person should know */
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
extern void upg_capture_check(const UpgScript *script);
extern List *upg_capture_complaints(const UpgScript *script);
extern UpgCaptureKind upg_capture_kind(Node *statement);
extern void upg_capture_finish(UpgCapture *capture, int64 migration, int32 step,
							   UpgCaptureResult *result);

/* in capture_commits.c */
extern UpgCapture *upg_capture_begin_commits(UpgCaptureKind kind, UpgUndoMode mode,
											 int64 migration, int32 step);
extern void upg_capture_finish_commits(UpgCapture *capture, UpgCaptureResult *result);
extern void upg_capture_stop(void);

#endif /* UPG_CAPTURE_H */
