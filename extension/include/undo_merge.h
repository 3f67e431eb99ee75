/*-------------------------------------------------------------------------
 *
 * undo_merge.h
 *		Rolling back after the application went on writing: what the files of
 *		the merge share among themselves.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/undo_merge.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_UNDO_MERGE_H
#define UPG_UNDO_MERGE_H

#include "executor/tuptable.h"
#include "lib/stringinfo.h"
#include "storage/itemptr.h"
#include "utils/tuplestore.h"

#include "hash128.h"
#include "undo.h"

/*
 * What the capture knew about a table besides its row images; the entry 'K' of
 * the log.
 */
typedef struct UpgTableHead
{
	uint32 flags;
	BlockNumber nblocks; /* of the file, when the capture ended */
	XLogRecPtr lsn;      /* pages that are not newer are as we left them; or 0 */
	int64 moved;         /* rows that the migration moved to other partitions */
	int nkey;            /* columns of the key; 0: there is none */
	AttrNumber key[INDEX_MAX_KEYS];
	int nusing;
	AttrNumber using[64]; /* columns that were converted by an expression */
} UpgTableHead;

#define UPG_HEAD_WRITTEN   1 /* rows were written besides the rewrite */
#define UPG_HEAD_TRUNCATED 2
#define UPG_HEAD_KEYLESS   4 /* more "using" columns than fit: trust none */

/* What the migration wrote into one column of a row that it updated. */
typedef struct UpgWritten
{
	AttrNumber attnum;
	uint64 hash;
} UpgWritten;

/* A pre-image together with what is known of the row that replaced it. */
typedef struct UpgImage
{
	HeapTupleData row; /* t_len without what follows the row */
	bool updated;      /* else the row was deleted */
	ItemPointerData tid;
	int nwritten;
	UpgWritten *written;
	bool key_moved;
	UpgSum new_key; /* if the key was changed */
} UpgImage;

/* A row that the migration inserted. */
typedef struct UpgInserted
{
	ItemPointerData tid;
	UpgSum key;
} UpgInserted;

/* One thing that a person should look at after a merge. */
typedef struct UpgMergeConflict
{
	const char *table;
	char *key;         /* JSON object, or NULL */
	char *column;      /* or NULL: the whole row */
	char *before;      /* text of the value, JSON of the row, or NULL: none */
	char *application; /* the same, of now */
	const char *what;  /* a sentence */
} UpgMergeConflict;

/* One table in a rollback: the plan, then the account of it. */
typedef struct UpgMergeTable
{
	Oid relation;
	char *name;
	char kind; /* of UPG_TABLE_... */
	UpgOnConflict policy;
	UpgRelationRows *rows; /* or NULL */
	UpgTableHead head;

	/* the account */
	int64 restored;  /* rows put back as they were */
	int64 removed;   /* rows of the migration taken out */
	int64 merged;    /* rows of both, merged column by column */
	int64 kept;      /* rows of the application that stay */
	int64 aside;     /* rows, or values of rows, set aside */
	int64 gone;      /* rows that the application had deleted and that stay so */
	int64 discarded; /* rows of the application given up */
	int64 conflicts;
	int64 bytes; /* read or written, a guess */

	/* same file: rows of the migration to take out; what to do with each image */
	bool planned;
	ItemPointerData *ours;
	char *flags; /* one per row of ours, or NULL */
	int64 nours;
	int64 size_ours;
	ItemPointerData *given_up; /* rows of the application that go ("discard") */
	int64 ngiven_up;
	int64 size_given_up;
	char *decisions; /* one per image: UPG_IMAGE_...; NULL: all are restored */
	int64 ndecisions;
	List *targets; /* of ItemPointer: rows to merge with, in the images' order */

	/* another file: rows for the old file */
	Tuplestorestate *pending;
	TupleDesc pending_desc;
	List *replaced; /* of ItemPointer, or of NULL: row of the old file, by pending row */
	List *deleted; /* of ItemPointer: rows of the old file that the application deleted */
} UpgMergeTable;

#define UPG_TABLE_SAME    's' /* keeps its file */
#define UPG_TABLE_FILE    'f' /* gets back its file */
#define UPG_TABLE_GOES    'g' /* was made by the migration */
#define UPG_TABLE_RETURNS 'r' /* was dropped by the migration */

/* Flags of the migration's rows found in the table. */
#define UPG_OURS_REPLACED 1 /* replaced a row of the log */
#define UPG_OURS_INSERTED 2
#define UPG_OURS_STAYS    3 /* is referred to by rows written since */

#define UPG_IMAGE_RESTORE 'r'
#define UPG_IMAGE_SKIP    's'
#define UPG_IMAGE_MERGE   'm'

typedef struct UpgMerge
{
	UpgUndoLog *log;
	UpgUndoOptions *options;
	List *tables;    /* of UpgMergeTable */
	List *conflicts; /* of UpgMergeConflict */
	List **refusals; /* of char *: why there will be no rollback */
	MemoryContext cxt;
} UpgMerge;

/* in undo_order.c */
extern void upg_order_check_rows(UpgMerge *merge);

/* in undo_image.c */
extern uint64 upg_value_hash(Datum value, bool isnull, Form_pg_attribute att);
extern UpgSum upg_key_hash(HeapTuple row, TupleDesc desc, int nkey,
						   const AttrNumber *key);
extern void upg_image_read(char op, HeapTuple entry, UpgImage *image);
extern int upg_inserted_read(HeapTuple entry, UpgInserted **rows);
extern void upg_head_read(HeapTuple entry, UpgTableHead *head);
extern char *upg_image_json(HeapTuple row, TupleDesc desc, int ncolumns,
							const AttrNumber *columns);
extern char *upg_value_text(HeapTuple row, TupleDesc desc, AttrNumber attnum);

/* Calls back for visible rows; "own" are rows of the migration. */
typedef void (*UpgSinceCallback)(HeapTuple row, bool own, bool since, void *arg);
extern bool upg_since_scan(Relation rel, UpgUndoLog *log, const UpgTableHead *head,
						   UpgSinceCallback callback, void *arg);
extern bool upg_table_quiet(Relation rel, const UpgTableHead *head);

/* in undo_merge.c */
extern UpgOnConflict upg_policy_of(UpgUndoOptions *options, Oid relation);
extern UpgMergeTable *upg_merge_find(UpgUndoLog *log, Oid relation);
extern void upg_merge_conflict(UpgMerge *merge, UpgMergeTable *table, char *key,
							   char *column, char *before, char *application,
							   const char *what);
extern void upg_merge_refuse(UpgMerge *merge, char *why);
extern void upg_merge_refuse_strictly(UpgMerge *merge, char *why);
extern Bitmapset *upg_returned_columns(UpgUndoLog *log, Oid relation);
extern void upg_merge_plan(UpgUndoLog *log, UpgUndoOptions *options, List **refusals);
extern void upg_merge_forget(UpgMerge *merge);
extern void upg_merge_before(UpgUndoLog *log);
extern void upg_merge_files(UpgUndoLog *log);
extern void upg_merge_after(UpgUndoLog *log);

/* in undo_merge_same.c */
extern HeapTuple upg_fetch_row(Relation rel, ItemPointer tid);
extern void upg_merge_plan_same(UpgMerge *merge, UpgMergeTable *table);
extern void upg_merge_apply_same(UpgMerge *merge, UpgMergeTable *table);

/* in undo_merge_file.c */
extern void upg_merge_plan_file(UpgMerge *merge, UpgMergeTable *table);
extern void upg_merge_apply_file(UpgMerge *merge, UpgMergeTable *table);

/* in undo_aside.c */
extern void upg_aside_add(UpgUndoLog *log, Oid relation, const char *name, char kind,
						  const char *key, const char *data);
extern void upg_conflicts_write(UpgMerge *merge);

/* in undo_report.c */
extern void upg_report_add(UpgMerge *merge, UpgUndoResult *result);

/* in undo_write.c: rows into tables, below the executor */
typedef struct UpgRowWriter UpgRowWriter;
extern UpgRowWriter *upg_writer_begin(Relation rel);
extern bool upg_writer_clashes(UpgRowWriter *writer, HeapTuple row, ItemPointer with);
extern void upg_writer_insert(UpgRowWriter *writer, HeapTuple row, bool check);
extern HeapTuple upg_writer_defaults(UpgRowWriter *writer, HeapTuple row,
									 Bitmapset *columns, List *fills);
extern void upg_writer_end(UpgRowWriter *writer, bool recheck);

#endif /* UPG_UNDO_MERGE_H */
