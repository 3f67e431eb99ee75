/*-------------------------------------------------------------------------
 *
 * capture_internal.h
 *		What the files of the capture share among themselves.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/capture_internal.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_CAPTURE_INTERNAL_H
#define UPG_CAPTURE_INTERNAL_H

#include "common/hashfn.h"
#include "utils/hsearch.h"

#include "capture.h"

/* How to accept that a migration cannot be taken back, for hints. */
#define UPG_UNDO_WAIVER                                             \
	"apply it with the option {\"undo\": \"best_effort\"} (upg up " \
	"--undo=best_effort) to accept that"

struct UpgCapture
{
	UpgUndoMode mode;
	UpgCaptureKind kind;
	UpgOwnRows own;
	SubTransactionId subid;
	int nest_level;
	List *touched;     /* OIDs of tables that were written */
	List *truncated;   /* OIDs of those whose file was let go by TRUNCATE or DROP */
	List *conversions; /* of UpgConversion */
	List *sequences;   /* of UpgSequenceState, or NIL */
	bool sequences_known;
	List *irreversible; /* of char *, flagged statements (best effort) */
	bool notified;      /* a trigger has notified somebody */
	int line;           /* of the statement in its script, if that is known */
	MemoryContext cxt;

	/* of a statement that commits inside only */
	int64 migration;
	int32 step;
	List *net; /* of UpgCatalogChanges, all commits together */
	UpgCaptureResult total;
};

/* in capture.c */
extern UpgCapture *upg_capture_watching(void);
extern void upg_capture_flag(UpgCapture *capture, const char *what, const char *why,
							 const char *instead);
extern List *upg_collect_catalogs(const UpgOwnRows *own, bool large_objects);
extern UpgCapture *upg_capture_open(UpgCaptureKind kind, UpgUndoMode mode,
									MemoryContext cxt);
extern UpgUndoLog *upg_capture_write(UpgCapture *capture, int64 migration, int32 step,
									 List **differences, UpgCaptureResult *result);
extern void upg_capture_settle(UpgCapture *capture, int64 log, List *differences,
							   const char *coverage, UpgCaptureResult *result);

/* in capture_commits.c */
extern void upg_capture_commit(UpgCapture *capture);

/* in capture_refuse.c */
extern void upg_capture_refuse(UpgCapture *capture, Node *statement);
extern bool upg_statement_may_use_sequences(Node *statement);

/* in capture_functions.c */
extern void upg_capture_functions_init(void);
extern bool upg_capture_notified(UpgCapture *capture);
extern void upg_capture_refuse_calls(UpgCapture *capture, Node *statement);

/* in capture_filter.c */
extern List *upg_exempt_objects(List **catalogs);
extern void upg_filter_objects(List **catalogs, List *seeds, bool temporary);

/* in capture_data.c */
extern uint64 upg_capture_data(UpgUndoLog *log, const UpgOwnRows *own, List *touched,
							   List *truncated, List *conversions, int64 *rows,
							   List **differences);

/* A column whose type was changed by an expression. */
typedef struct UpgConversion
{
	Oid relation;
	AttrNumber attnum;
} UpgConversion;

/* What follows the image of an updated row in its entry of the log. */
typedef struct UpgUpdateTail
{
	ItemPointerData tid; /* the row that replaced it */
	uint16 nwritten;     /* columns that differ, before this */
	uint8 key_moved;     /* a new key stands between them and this */
	uint8 padding;       /* bytes between the image and the columns */
} UpgUpdateTail;

/* in capture_rows.c */
typedef struct UpgRowNotes UpgRowNotes;
extern int upg_choose_key(Relation rel, AttrNumber *key);
extern UpgRowNotes *upg_notes_begin(UpgUndoLog *log, const UpgOwnRows *own, Relation rel,
									UpgChunkWriter *writer, bool written, bool truncated,
									List *using);
extern void upg_notes_inserted(UpgRowNotes *notes, HeapTuple row);
extern void upg_notes_deleted(UpgRowNotes *notes, HeapTuple row, HeapTuple whole);
extern void upg_notes_end(UpgRowNotes *notes);

/* in capture_columns.c */
extern bool upg_missing_value(HeapTuple attribute, Datum *value);
extern uint64 upg_columns_table_bytes(Relation rel);
extern bool upg_columns_are_copied(uint64 bytes);
extern uint64 upg_capture_columns(UpgUndoLog *log, const UpgOwnRows *own, List **notes);

#endif /* UPG_CAPTURE_INTERNAL_H */
