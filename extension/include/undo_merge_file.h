/*-------------------------------------------------------------------------
 *
 * undo_merge_file.h
 *		Merging a table that gets back its old file: what the plan and the
 *		conversion of rows share.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/undo_merge_file.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_UNDO_MERGE_FILE_H
#define UPG_UNDO_MERGE_FILE_H

#include "executor/executor.h"
#include "fmgr.h"
#include "utils/hsearch.h"

#include "undo_merge.h"

/* A cast as the server would do it. */
typedef struct UpgFormCast
{
	ExprState *expr; /* or NULL: through text */
	FmgrInfo output;
	FmgrInfo input;
	Oid ioparam;
	int32 typmod;
} UpgFormCast;

typedef enum UpgFormKind
{
	UPG_FORM_GONE,   /* in neither, or only in the new form */
	UPG_FORM_SAME,   /* of one type in both */
	UPG_FORM_CONVERT /* of another type */
} UpgFormKind;

typedef struct UpgFormColumn
{
	UpgFormKind kind;
	bool expression; /* converted by an expression of the migration's */
	UpgFormCast back;
	UpgFormCast forth;
	FmgrInfo equal;
	bool has_equal;
	Oid collation;
	bool has_missing; /* rows older than the column have this value */
	Datum missing;
} UpgFormColumn;

typedef struct UpgFilePlan
{
	UpgMerge *merge;
	UpgMergeTable *table;
	Relation rel;       /* with the new file */
	Relation caretaker; /* of the old one */
	TupleDesc now;
	TupleDesc old;
	int ncolumns; /* that both forms may have */
	UpgFormColumn *columns;
	bool converts;
	bool returns; /* columns come back */
	int nkey;
	AttrNumber key[INDEX_MAX_KEYS];
	bool truncated;
	bool whole_rows; /* there is no key: compare whole rows */
	int64 untouched;
	int64 nsince;
	int64 evidence; /* rows that show what the conversions do */
	bool contrary;  /* some show that they are no plain casts */
	HTAB *rows;     /* FileRow */
	EState *estate;
	MemoryContext rowcxt;
	int refusals;
} UpgFilePlan;

/* in undo_merge_form.c */
extern void upg_form_describe(UpgFilePlan *plan);
extern Datum upg_form_cast(UpgFilePlan *plan, UpgFormCast *cast, Datum value,
						   bool *isnull);
extern bool upg_form_equal(UpgFilePlan *plan, int at, Datum a, bool anull, Datum b,
						   bool bnull);
extern HeapTuple upg_form_whole(UpgFilePlan *plan, HeapTuple row);
extern HeapTuple upg_form_convert(UpgFilePlan *plan, HeapTuple row, HeapTuple before);
extern UpgSum upg_form_key(UpgFilePlan *plan, HeapTuple row);
extern UpgSum upg_form_content(UpgFilePlan *plan, HeapTuple row, bool is_old);

#endif /* UPG_UNDO_MERGE_FILE_H */
