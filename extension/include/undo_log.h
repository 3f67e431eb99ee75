/*-------------------------------------------------------------------------
 *
 * undo_log.h
 *		What the files of the undo log share among themselves.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/undo_log.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_UNDO_LOG_H
#define UPG_UNDO_LOG_H

#include "access/genam.h"

#include "undo.h"

/* Columns of upg.undo_log. */
enum
{
	LOG_ID = 1,
	LOG_MIGRATION,
	LOG_STEP,
	LOG_STATE,
	LOG_MODE,
	LOG_VERDICT,
	LOG_DIFFERENCES,
	LOG_COVERAGE,
	LOG_XIDS,
	LOG_SNAPSHOT,
	LOG_EXEMPT,
	LOG_CATALOG_ROWS,
	LOG_DATA_ROWS,
	LOG_SYSTEM,
	LOG_DATABASE,
	LOG_CATVERSION,
	LOG_SERVER,
	LOG_DIGEST,
	LOG_CAPTURED_AT,
	LOG_CAPTURE_MS,
	LOG_PROOF_MS,
	LOG_NATTS = LOG_PROOF_MS
};

/* in undo_chunk.c */
extern SysScanDesc upg_undo_scan(Relation rel, int64 log);
extern uint64 upg_digest_mix(uint64 digest, const void *data, int length);
extern void upg_undo_damaged(int64 log, const char *what);

/* in undo_log.c */
extern uint64 upg_undo_digest(UpgUndoLog *log);
extern uint64 upg_undo_head_digest(Datum snapshot, const char *verdict);

#endif /* UPG_UNDO_LOG_H */
