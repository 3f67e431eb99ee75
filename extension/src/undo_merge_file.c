/*-------------------------------------------------------------------------
 *
 * undo_merge_file.c
 *		Merging a table that gets back its old file: rewritten or truncated.
 *
 * The old file is as it was; what the application wrote since is in the new
 * one.  Rows written since are brought into the old form and matched with the
 * rows of the old file by their key: one that is found replaces its old
 * version, one that is not is added, and a row of the old file whose copy the
 * application deleted is deleted.  All of that is decided here, before
 * anything is changed; only as much is read as has to be.
 *
 * What the old type of a column cannot hold is refused, with the row's key.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/undo_merge_file.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/heaptoast.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "as_owner.h"
#include "capture_internal.h"
#include "errors.h"
#include "subxact.h"
#include "undo_merge_file.h"

#define MAX_REFUSALS 20

/* A row written since, or the key of one that nobody touched. */
typedef struct FileRow
{
	UpgSum key;
	ItemPointerData tid; /* in the new file; invalid: untouched */
	int64 count;         /* of equal rows, where there is no key */
	bool matched;
} FileRow;

static void
refuse_row(UpgFilePlan *plan, HeapTuple row, TupleDesc desc, const char *why)
{
	char *key = plan->nkey > 0 ? upg_image_json(row, desc, plan->nkey, plan->key)
							   : upg_image_json(row, desc, 0, NULL);

	if (plan->refusals++ < MAX_REFUSALS)
		upg_merge_refuse(plan->merge, psprintf("row %s of table %s cannot be merged: %s",
											   key, plan->table->name, why));
}

typedef void (*RowAction)(UpgFilePlan *plan, HeapTuple row, void *arg);

/*
 * with_row
 *		Do something with a row that may fail; a failure is a refusal that names
 *		the row.
 */
static void
with_row(UpgFilePlan *plan, HeapTuple row, TupleDesc desc, RowAction action, void *arg)
{
	MemoryContext cxt = CurrentMemoryContext;
	char *volatile why = NULL;

	MemoryContextSwitchTo(plan->rowcxt);
	if (!plan->converts && !plan->whole_rows)
		action(plan, row, arg);
	else
	{
		UpgSubxact sub;

		upg_subxact_begin(&sub, NULL);
		PG_TRY();
		{
			action(plan, row, arg);
			upg_subxact_release(&sub);
		}
		PG_CATCH();
		{
			ErrorData *edata = upg_subxact_catch(&sub);

			if (upg_error_is_final(edata->sqlerrcode))
				ReThrowError(edata);
			why = edata->message;
		}
		PG_END_TRY();
	}
	MemoryContextSwitchTo(plan->merge->cxt);
	if (why)
		refuse_row(plan, row, desc, why);
	MemoryContextSwitchTo(cxt);
	MemoryContextReset(plan->rowcxt);
	ResetPerTupleExprContext(plan->estate);
}

/* ---------------------------------------------------------------------
 * The passes
 * ---------------------------------------------------------------------
 */

/* What is there: rows that nobody touched, rows written since. */
static void
count_row(HeapTuple row, bool own, bool since, void *arg)
{
	UpgFilePlan *plan = arg;

	if (since)
		plan->nsince++;
	else
		plan->untouched++;
}

static void
note_since(UpgFilePlan *plan, HeapTuple row, void *arg)
{
	UpgSum key = upg_form_key(plan, row);
	FileRow *entry = hash_search(plan->rows, &key, HASH_ENTER, NULL);

	entry->tid = row->t_self;
	entry->matched = false;
}

static void
note_untouched(UpgFilePlan *plan, HeapTuple row, void *arg)
{
	UpgSum key =
		plan->whole_rows ? upg_form_content(plan, row, false) : upg_form_key(plan, row);
	bool found;
	FileRow *entry = hash_search(plan->rows, &key, HASH_ENTER, &found);

	if (!found)
		entry->count = 0;
	entry->count++;
	ItemPointerSetInvalid(&entry->tid);
}

static void
note_new_row(HeapTuple row, bool own, bool since, void *arg)
{
	UpgFilePlan *plan = arg;

	if (since && !plan->whole_rows)
		with_row(plan, row, plan->now, note_since, NULL);
	else if (!since && !plan->truncated)
		with_row(plan, row, plan->now, note_untouched, NULL);
}

static void
put_pending(UpgFilePlan *plan, HeapTuple row, ItemPointer replaced)
{
	UpgMergeTable *table = plan->table;
	MemoryContext oldcxt = MemoryContextSwitchTo(plan->merge->cxt);
	ItemPointer copy = NULL;

	if (table->pending == NULL)
	{
		table->pending = tuplestore_begin_heap(false, false, work_mem);
		table->pending_desc = CreateTupleDescCopy(plan->old);
	}
	tuplestore_puttuple(table->pending, row);
	if (replaced)
	{
		copy = palloc(sizeof(ItemPointerData));
		*copy = *replaced;
	}
	table->replaced = lappend(table->replaced, copy);
	MemoryContextSwitchTo(oldcxt);
}

static HeapTuple
fetch_now(UpgFilePlan *plan, ItemPointer tid)
{
	HeapTupleData tuple;
	Buffer buffer;
	HeapTuple copy = NULL;
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());

	tuple.t_self = *tid;
	if (heap_fetch(plan->rel, snapshot, &tuple, &buffer, false))
	{
		copy = heap_copytuple(&tuple);
		ReleaseBuffer(buffer);
	}
	UnregisterSnapshot(snapshot);
	if (copy == NULL)
		elog(ERROR, "row is gone from table %s", plan->table->name);
	return copy;
}

/* One row of the old file. */
static void
match_old(UpgFilePlan *plan, HeapTuple old, void *arg)
{
	UpgMergeTable *table = plan->table;
	UpgSum key;
	FileRow *entry;
	HeapTuple now;

	key = plan->whole_rows ? upg_form_content(plan, old, true)
						   : upg_key_hash(old, plan->old, plan->nkey, plan->key);
	entry = hash_search(plan->rows, &key, HASH_FIND, NULL);
	if (entry && !ItemPointerIsValid(&entry->tid) && entry->count > 0)
	{
		entry->count--;
		return;
	}
	if (entry == NULL || !ItemPointerIsValid(&entry->tid))
	{
		MemoryContext oldcxt;
		ItemPointer tid;

		if (plan->truncated)
			return;
		oldcxt = MemoryContextSwitchTo(plan->merge->cxt);
		tid = palloc(sizeof(ItemPointerData));
		*tid = old->t_self;
		table->deleted = lappend(table->deleted, tid);
		table->gone++;
		MemoryContextSwitchTo(oldcxt);
		return;
	}
	now = fetch_now(plan, &entry->tid);
	entry->matched = true;
	if (plan->truncated)
	{
		MemoryContext oldcxt = MemoryContextSwitchTo(plan->merge->cxt);

		upg_merge_conflict(
			plan->merge, table, upg_image_json(old, plan->old, plan->nkey, plan->key),
			NULL,
			HeapTupleHasExternal(old) ? NULL : upg_image_json(old, plan->old, 0, NULL),
			upg_image_json(now, plan->now, 0, NULL),
			"the migration had emptied the table, and the application "
			"wrote a row with this key; that one stays");
		MemoryContextSwitchTo(oldcxt);
		put_pending(plan, upg_form_convert(plan, now, NULL), &old->t_self);
	}
	else
		put_pending(plan, upg_form_convert(plan, now, old), &old->t_self);
	table->merged++;
}

/* What the conversions did to rows that nobody touched. */
static void
look_at_conversion(UpgFilePlan *plan, HeapTuple old, void *arg)
{
	HeapTuple now = arg;

	for (int i = 0; i < plan->ncolumns; i++)
	{
		bool old_null;
		bool isnull;
		Datum old_value;
		Datum value;

		if (!plan->columns[i].expression)
			continue;
		old_value = heap_getattr(old, i + 1, plan->old, &old_null);
		if (!old_null && TupleDescAttr(plan->old, i)->attlen == -1 &&
			VARATT_IS_EXTERNAL(DatumGetPointer(old_value)))
			continue;
		value = heap_getattr(now, i + 1, plan->now, &isnull);
		old_value = upg_form_cast(plan, &plan->columns[i].forth, old_value, &old_null);
		if (!upg_form_equal(plan, i, value, isnull, old_value, old_null))
			plan->contrary = true;
		else if (!isnull)
			plan->evidence++;
	}
}

/* Call back for every row of the old file that is not the migration's. */
static void
scan_old(UpgFilePlan *plan, RowAction action, void *arg)
{
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = table_beginscan(plan->caretaker, snapshot, 0, NULL);
	HeapTuple tuple;

	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		HeapTuple copy;

		CHECK_FOR_INTERRUPTS();
		if (upg_log_has_xid(plan->merge->log, HeapTupleHeaderGetRawXmin(tuple->t_data)))
			continue;
		copy = upg_form_whole(plan, tuple);
		with_row(plan, copy, plan->old, action, arg);
		heap_freetuple(copy);
	}
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
}

/* For columns converted by an expression: is it a plain cast after all? */
typedef struct Evidence
{
	UpgFilePlan *plan;
	HTAB *rows;
} Evidence;

static void
note_evidence(HeapTuple row, bool own, bool since, void *arg)
{
	UpgFilePlan *plan = arg;

	if (!since)
	{
		UpgSum key = upg_form_key(plan, row);
		FileRow *entry = hash_search(plan->rows, &key, HASH_ENTER, NULL);

		entry->tid = row->t_self;
	}
}

static void
check_evidence(UpgFilePlan *plan, HeapTuple old, void *arg)
{
	UpgSum key = upg_key_hash(old, plan->old, plan->nkey, plan->key);
	FileRow *entry = hash_search(plan->rows, &key, HASH_FIND, NULL);

	if (entry)
		look_at_conversion(plan, old, fetch_now(plan, &entry->tid));
}

static HTAB *
row_table(UpgFilePlan *plan)
{
	HASHCTL ctl = {0};

	ctl.keysize = sizeof(UpgSum);
	ctl.entrysize = sizeof(FileRow);
	ctl.hcxt = plan->merge->cxt;
	return hash_create("upg rows of a file", 1024, &ctl,
					   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* A row written since that had no row before. */
static void
add_new(UpgFilePlan *plan, HeapTuple row, void *arg)
{
	if (!plan->whole_rows && plan->nkey > 0)
	{
		UpgSum key = upg_form_key(plan, row);
		FileRow *entry = hash_search(plan->rows, &key, HASH_FIND, NULL);

		if (entry && entry->matched)
			return;
	}
	put_pending(plan, upg_form_convert(plan, row, NULL), NULL);
	plan->table->kept++;
}

static void
add_new_row(HeapTuple row, bool own, bool since, void *arg)
{
	if (since)
		with_row(arg, row, ((UpgFilePlan *) arg)->now, add_new, NULL);
}

static void
plan_merge(UpgFilePlan *plan, int64 expected)
{
	UpgMerge *merge = plan->merge;
	UpgMergeTable *table = plan->table;
	int64 touched = plan->truncated ? 0 : expected - plan->untouched;
	bool expressions = false;

	for (int i = 0; i < plan->ncolumns; i++)
		expressions |= plan->columns[i].expression;
	if ((table->head.flags & UPG_HEAD_WRITTEN) && !plan->truncated && touched != 0)
	{
		upg_merge_refuse(merge,
						 psprintf("the migration both rewrote table %s and changed its "
								  "rows, and " INT64_FORMAT
								  " of these were changed or deleted since",
								  table->name, touched));
		return;
	}
	plan->whole_rows = plan->nkey == 0 && touched != 0;
	if (plan->whole_rows && (plan->returns || expressions))
	{
		upg_merge_refuse(merge,
						 psprintf("table %s has no key that could tell which of its "
								  "rows were changed since",
								  table->name));
		return;
	}
	plan->rows = row_table(plan);
	if (expressions && plan->nsince > 0 && plan->nkey > 0)
	{
		upg_since_scan(plan->rel, merge->log, NULL, note_evidence, plan);
		scan_old(plan, check_evidence, NULL);
		hash_destroy(plan->rows);
		plan->rows = row_table(plan);
	}
	if (touched != 0 || (plan->truncated && plan->nkey > 0 && plan->nsince > 0))
	{
		upg_since_scan(plan->rel, merge->log, NULL, note_new_row, plan);
		if (plan->refusals == 0)
			scan_old(plan, match_old, NULL);
	}
	if (plan->nsince > 0 && plan->refusals == 0)
		upg_since_scan(plan->rel, merge->log, NULL, add_new_row, plan);
	hash_destroy(plan->rows);
	if (plan->refusals > MAX_REFUSALS)
		upg_merge_refuse(merge, psprintf("and %d more rows of table %s",
										 plan->refusals - MAX_REFUSALS, table->name));
}

static void
count_old(UpgFilePlan *plan, HeapTuple row, void *arg)
{
	(*(int64 *) arg)++;
}

/*
 * upg_merge_plan_file
 *		Decide what becomes of the rows written since.
 */
void
upg_merge_plan_file(UpgMerge *merge, UpgMergeTable *table)
{
	UpgFilePlan plan = {0};
	UpgChange *change = upg_class_change(merge->log, table->relation);
	UpgKeptFile *file = upg_keep_find(merge->log->files, table->relation);
	MemoryContext oldcxt;
	UpgAsOwner before;
	int64 expected;

	plan.rel = table_open(table->relation, NoLock);
	if (upg_table_quiet(plan.rel, &table->head))
	{
		table_close(plan.rel, NoLock);
		return;
	}
	oldcxt = MemoryContextSwitchTo(merge->cxt);
	plan.merge = merge;
	plan.table = table;
	plan.truncated = (table->head.flags & UPG_HEAD_TRUNCATED) != 0;
	plan.now = RelationGetDescr(plan.rel);
	plan.old = upg_old_desc(merge->log, (Form_pg_class) GETSTRUCT(change->before));
	plan.estate = CreateExecutorState();
	plan.rowcxt =
		AllocSetContextCreate(merge->cxt, "upg merge row", ALLOCSET_DEFAULT_SIZES);
	upg_since_scan(plan.rel, merge->log, NULL, count_row, &plan);
	heap_freetuple(upg_keep_caretaker(file));
	plan.caretaker = table_open(file->caretaker, AccessShareLock);
	expected = table->rows->rows_after;
	if (expected < 0)
	{
		expected = 0;
		scan_old(&plan, count_old, &expected);
	}
	table->bytes += (int64) file->pages * BLCKSZ;

	if (table->policy == UPG_ON_CONFLICT_STRICT)
	{
		if (plan.nsince > 0)
			upg_merge_refuse_strictly(merge, psprintf("table %s holds " INT64_FORMAT
													  " rows written since",
													  table->name, plan.nsince));
		if (plan.untouched != expected)
			upg_merge_refuse_strictly(
				merge,
				psprintf(INT64_FORMAT " rows of table %s were changed or deleted since",
						 expected - plan.untouched, table->name));
	}
	else if (table->policy == UPG_ON_CONFLICT_DISCARD)
		table->discarded = plan.nsince;
	else if (plan.nsince > 0 || plan.untouched != expected)
	{
		upg_as_owner_begin(&before, plan.rel->rd_rel->relowner, 0);
		upg_form_describe(&plan);
		plan_merge(&plan, expected);
		upg_as_owner_end(&before);
	}
	table_close(plan.caretaker, AccessShareLock);
	table_close(plan.rel, NoLock);
	FreeExecutorState(plan.estate);
	MemoryContextDelete(plan.rowcxt);
	MemoryContextSwitchTo(oldcxt);
}

/* The row of the old file that goes, with its columns that come back. */
static HeapTuple
take_returned(Relation rel, ItemPointer tid, HeapTuple row, Bitmapset *returned)
{
	TupleDesc desc = RelationGetDescr(rel);
	HeapTupleData old;
	Buffer buffer;
	Datum *values = palloc(sizeof(Datum) * desc->natts);
	bool *nulls = palloc(sizeof(bool) * desc->natts);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	HeapTuple result;
	int attnum = -1;

	old.t_self = *tid;
	if (!heap_fetch(rel, snapshot, &old, &buffer, false))
		elog(ERROR, "row (%u,%u) of the old file of table \"%s\" is gone",
			 ItemPointerGetBlockNumber(tid), ItemPointerGetOffsetNumber(tid),
			 RelationGetRelationName(rel));
	heap_deform_tuple(row, desc, values, nulls);
	while ((attnum = bms_next_member(returned, attnum)) >= 0)
		values[attnum - 1] = heap_getattr(&old, attnum, desc, &nulls[attnum - 1]);
	result = heap_form_tuple(desc, values, nulls);
	if (HeapTupleHasExternal(result))
		result = toast_flatten_tuple(result, desc);
	ReleaseBuffer(buffer);
	UnregisterSnapshot(snapshot);
	return result;
}

/*
 * upg_merge_apply_file
 *		The old file is back: write into it what the application wrote since.
 */
void
upg_merge_apply_file(UpgMerge *merge, UpgMergeTable *table)
{
	Relation rel;
	UpgRowWriter *writer;
	Bitmapset *returned;
	TupleTableSlot *slot = NULL;
	MemoryContext cxt;
	MemoryContext oldcxt;
	ListCell *lc;

	if (table->pending == NULL && table->deleted == NIL)
		return;
	rel = table_open(table->relation, AccessExclusiveLock);
	returned = upg_returned_columns(merge->log, table->relation);
	cxt = AllocSetContextCreate(CurrentMemoryContext, "upg merge row",
								ALLOCSET_DEFAULT_SIZES);
	foreach (lc, table->deleted)
		simple_heap_delete(rel, lfirst(lc));
	/* keys may be exchanged between rows: all old ones go before new ones come */
	if (table->pending)
	{
		Tuplestorestate *rows = tuplestore_begin_heap(false, false, work_mem);

		slot = MakeSingleTupleTableSlot(table->pending_desc, &TTSOpsMinimalTuple);
		foreach (lc, table->replaced)
		{
			HeapTuple row;

			CHECK_FOR_INTERRUPTS();
			if (!tuplestore_gettupleslot(table->pending, true, false, slot))
				elog(ERROR, "rows written since are gone");
			oldcxt = MemoryContextSwitchTo(cxt);
			row = ExecCopySlotHeapTuple(slot);
			if (lfirst(lc))
			{
				row = take_returned(rel, lfirst(lc), row, returned);
				simple_heap_delete(rel, lfirst(lc));
			}
			MemoryContextSwitchTo(oldcxt);
			tuplestore_puttuple(rows, row);
			MemoryContextReset(cxt);
		}
		tuplestore_end(table->pending);
		table->pending = rows;
	}
	CommandCounterIncrement();
	if (table->pending)
	{
		writer = upg_writer_begin(rel);
		foreach (lc, table->replaced)
		{
			HeapTuple row;

			if (!tuplestore_gettupleslot(table->pending, true, false, slot))
				elog(ERROR, "rows written since are gone");
			oldcxt = MemoryContextSwitchTo(cxt);
			row = ExecCopySlotHeapTuple(slot);
			if (lfirst(lc) == NULL && returned)
				row = upg_writer_defaults(writer, row, returned, merge->options->fills);
			upg_writer_insert(writer, row, true);
			MemoryContextSwitchTo(oldcxt);
			MemoryContextReset(cxt);
		}
		upg_writer_end(writer, true);
		ExecDropSingleTupleTableSlot(slot);
		tuplestore_end(table->pending);
		table->pending = NULL;
	}
	MemoryContextDelete(cxt);
	table_close(rel, NoLock);
}
