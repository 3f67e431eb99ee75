/*-------------------------------------------------------------------------
 *
 * undo_write.c
 *		Writing rows into a table below the executor, for a rollback.
 *
 * No trigger fires and no rule applies: what they did when the row was first
 * written is in the tables already.  Index entries are made, constraints
 * checked and generated columns computed; expressions run as the table's owner
 * in a security-restricted context.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/undo_write.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/heaptoast.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tupdesc_details.h"
#include "access/tupconvert.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/pg_attribute.h"
#include "executor/executor.h"
#include "executor/nodeModifyTable.h"
#include "miscadmin.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "as_owner.h"
#include "capture_internal.h"
#include "errors.h"
#include "undo_merge.h"

struct UpgRowWriter
{
	Relation rel;
	EState *estate;
	ResultRelInfo *info;
	TupleTableSlot *slot;
	List *arbiters; /* unique indexes that can be asked before */
	List *recheck;  /* indexes of deferrable constraints, to be built again */
	ExprState **defaults;
	bool *defaults_known;
	AttrMissing *dropped; /* what old rows have in dropped columns, as kept logs say */
	MemoryContext rowcxt;
	UpgAsOwner before;
};

/*
 * upg_writer_begin
 *		Get ready to write rows into a table that the caller has opened.
 */
UpgRowWriter *
upg_writer_begin(Relation rel)
{
	UpgRowWriter *writer = palloc0(sizeof(UpgRowWriter));

	writer->rel = rel;
	upg_as_owner_begin(&writer->before, rel->rd_rel->relowner, 0);
	writer->rowcxt = AllocSetContextCreate(CurrentMemoryContext, "upg write row",
										   ALLOCSET_DEFAULT_SIZES);
	writer->estate = CreateExecutorState();
	writer->info = makeNode(ResultRelInfo);
	InitResultRelInfo(writer->info, rel, 1, NULL, 0);
	ExecOpenIndices(writer->info, true);
	for (int i = 0; i < writer->info->ri_NumIndices; i++)
	{
		Relation index = writer->info->ri_IndexRelationDescs[i];

		if ((index->rd_index->indisunique || index->rd_index->indisexclusion) &&
			index->rd_index->indimmediate && index->rd_index->indisvalid)
			writer->arbiters = lappend_oid(writer->arbiters, RelationGetRelid(index));
	}
	writer->slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsHeapTuple);
	return writer;
}

/*
 * upg_writer_clashes
 *		Would this row violate a unique or exclusion constraint?  Says with which
 *		row.
 */
bool
upg_writer_clashes(UpgRowWriter *writer, HeapTuple row, ItemPointer with)
{
	bool clashes;
	MemoryContext oldcxt;

	if (writer->arbiters == NIL)
		return false;
	oldcxt = MemoryContextSwitchTo(writer->rowcxt);
	ExecStoreHeapTuple(row, writer->slot, false);
	writer->slot->tts_tableOid = RelationGetRelid(writer->rel);
	ItemPointerSetInvalid(&writer->slot->tts_tid);
	clashes = !upg_exec_check_indexes(writer->info, writer->slot, writer->estate, with,
									  writer->arbiters);
	ExecClearTuple(writer->slot);
	ResetPerTupleExprContext(writer->estate);
	MemoryContextSwitchTo(oldcxt);
	MemoryContextReset(writer->rowcxt);
	return clashes;
}

/*
 * as_short
 *		A copy of a row of the log that lacks the columns which it lacked before.
 *
 * Such a row has a default in each of them.  While the table gives the same, the
 * row is stored as it was: another column that it lacks may be a dropped one, whose
 * default comes back with it, but not to a row that has a null there.
 */
static HeapTuple
as_short(HeapTuple row, TupleDesc desc)
{
	int natts = HeapTupleHeaderGetNatts(row->t_data);
	int had = upg_short_natts(row);
	Datum *values;
	bool *nulls;
	HeapTuple result;

	if (had < 0 || had >= natts || natts > desc->natts)
		return heap_copytuple(row);
	values = palloc(sizeof(Datum) * desc->natts);
	nulls = palloc(sizeof(bool) * desc->natts);
	heap_deform_tuple(row, desc, values, nulls);
	for (int i = had; i < natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		AttrMissing none = {false, (Datum) 0};
		AttrMissing *missing =
			desc->constr && desc->constr->missing ? &desc->constr->missing[i] : &none;

		if (att->attisdropped)
			continue;
		if (missing->am_present == nulls[i] ||
			(!nulls[i] &&
			 !datum_image_eq(values[i], missing->am_value, att->attbyval, att->attlen)))
			return heap_copytuple(row);
	}
	result = heap_form_tuple(upg_image_desc(desc, had), values, nulls);
	result->t_self = row->t_self;
	return result;
}

/* Note what old rows have in a column as it was before a migration. */
static void
note_dropped(Oid catalog, char op, HeapTuple row, void *arg)
{
	UpgRowWriter *writer = arg;
	Form_pg_attribute att = (Form_pg_attribute) GETSTRUCT(row);
	AttrMissing *dropped;
	MemoryContext oldcxt;

	if (catalog != AttributeRelationId || op != 'B' ||
		att->attrelid != RelationGetRelid(writer->rel) || att->attnum <= 0 ||
		att->attnum > RelationGetDescr(writer->rel)->natts)
		return;
	dropped = &writer->dropped[att->attnum - 1];
	if (dropped->am_present || !upg_missing_value(row, &dropped->am_value))
		return;
	oldcxt = MemoryContextSwitchTo(writer->estate->es_query_cxt);
	dropped->am_value = datumCopy(dropped->am_value, att->attbyval, att->attlen);
	dropped->am_present = true;
	MemoryContextSwitchTo(oldcxt);
}

/*
 * find_dropped
 *		What rows that are older than a dropped column had in it, from the logs of
 *		the migrations that dropped one.
 */
static void
find_dropped(UpgRowWriter *writer)
{
	ListCell *lc;

	writer->dropped = MemoryContextAllocZero(writer->estate->es_query_cxt,
											 sizeof(AttrMissing) *
												 RelationGetDescr(writer->rel)->natts);
	foreach (lc, upg_undo_log_heads(0))
		upg_chunks_read("undo_chunks", ((UpgUndoLog *) lfirst(lc))->id, InvalidOid,
						note_dropped, writer);
}

/*
 * with_dropped
 *		A row that is too long to stay as short as it is: the server stores part of
 *		it elsewhere, and completes it.  It would put nulls into dropped columns, so
 *		here it gets what it had there.
 */
static HeapTuple
with_dropped(UpgRowWriter *writer, HeapTuple row)
{
	TupleDesc desc = RelationGetDescr(writer->rel);
	int natts = HeapTupleHeaderGetNatts(row->t_data);
	Datum *values;
	bool *nulls;
	bool found = false;

	for (int i = natts; i < desc->natts; i++)
		found |= TupleDescAttr(desc, i)->attisdropped;
	if (!found)
		return row;
	if (writer->dropped == NULL)
		find_dropped(writer);
	values = palloc(sizeof(Datum) * desc->natts);
	nulls = palloc(sizeof(bool) * desc->natts);
	heap_deform_tuple(row, desc, values, nulls);
	for (int i = natts; i < desc->natts; i++)
		if (TupleDescAttr(desc, i)->attisdropped && writer->dropped[i].am_present)
		{
			values[i] = writer->dropped[i].am_value;
			nulls[i] = false;
		}
	return heap_form_tuple(upg_image_desc(desc, desc->natts), values, nulls);
}

/*
 * upg_writer_insert
 *		Insert a row; with "check", generated columns are computed anew and the
 *		table's constraints checked: for rows that were not in it like this
 *		before.
 */
void
upg_writer_insert(UpgRowWriter *writer, HeapTuple row, bool check)
{
	MemoryContext oldcxt = MemoryContextSwitchTo(writer->rowcxt);
	Relation rel = writer->rel;
	HeapTuple stored = check ? heap_copytuple(row) : as_short(row, RelationGetDescr(rel));

	CHECK_FOR_INTERRUPTS();
	if (!check && stored->t_len > TOAST_TUPLE_THRESHOLD)
		stored = with_dropped(writer, stored);
	stored->t_tableOid = RelationGetRelid(rel);
	if (check)
	{
		TupleConstr *constr = RelationGetDescr(rel)->constr;

		ExecStoreHeapTuple(stored, writer->slot, false);
		writer->slot->tts_tableOid = RelationGetRelid(rel);
		if (constr && constr->has_generated_stored)
			ExecComputeStoredGenerated(writer->info, writer->estate, writer->slot,
									   CMD_INSERT);
		if (constr)
			ExecConstraints(writer->info, writer->slot, writer->estate);
		if (rel->rd_rel->relispartition)
			(void) ExecPartitionCheck(writer->info, writer->slot, writer->estate, true);
		stored = ExecCopySlotHeapTuple(writer->slot);
		stored->t_tableOid = RelationGetRelid(rel);
		ExecClearTuple(writer->slot);
	}
	heap_insert(rel, stored, GetCurrentCommandId(true), 0, NULL);
	if (writer->info->ri_NumIndices > 0)
	{
		List *recheck;

		ExecStoreHeapTuple(stored, writer->slot, false);
		writer->slot->tts_tableOid = RelationGetRelid(rel);
		recheck =
			upg_exec_insert_index_tuples(writer->info, writer->slot, writer->estate);
		MemoryContextSwitchTo(oldcxt);
		writer->recheck = list_concat_unique_oid(writer->recheck, recheck);
		MemoryContextSwitchTo(writer->rowcxt);
		ExecClearTuple(writer->slot);
	}
	ResetPerTupleExprContext(writer->estate);
	MemoryContextSwitchTo(oldcxt);
	MemoryContextReset(writer->rowcxt);
}

static void
fill_context(void *arg)
{
	errcontext("option \"fill\" for column \"%s\"", (char *) arg);
}

/* A value that a person gave, in the type of the column. */
static Datum
filled_value(Relation rel, Form_pg_attribute att, const char *fill)
{
	ErrorContextCallback context = {error_context_stack, fill_context,
									psprintf("%s.%s",
											 upg_qualified_name(RelationGetRelid(rel)),
											 NameStr(att->attname))};
	Oid input;
	Oid ioparam;
	Datum value;

	getTypeInputInfo(att->atttypid, &input, &ioparam);
	error_context_stack = &context;
	value = OidInputFunctionCall(input, (char *) fill, ioparam, att->atttypmod);
	error_context_stack = context.previous;
	return value;
}

/*
 * upg_writer_defaults
 *		A copy of the row with the given columns set to what was asked for, or
 *		to their defaults.
 */
HeapTuple
upg_writer_defaults(UpgRowWriter *writer, HeapTuple row, Bitmapset *columns, List *fills)
{
	TupleDesc desc = RelationGetDescr(writer->rel);
	Datum *values = palloc0(sizeof(Datum) * desc->natts);
	bool *nulls = palloc(sizeof(bool) * desc->natts);
	int attnum = -1;
	HeapTuple result;

	if (writer->defaults == NULL)
	{
		MemoryContext oldcxt = MemoryContextSwitchTo(writer->estate->es_query_cxt);

		writer->defaults = palloc0(sizeof(ExprState *) * desc->natts);
		writer->defaults_known = palloc0(sizeof(bool) * desc->natts);
		MemoryContextSwitchTo(oldcxt);
	}
	heap_deform_tuple(row, desc, values, nulls);
	while ((attnum = bms_next_member(columns, attnum)) >= 0)
	{
		Form_pg_attribute att = TupleDescAttr(desc, attnum - 1);
		const char *fill;

		if (att->attisdropped || att->attgenerated != '\0')
			continue;
		fill =
			upg_fill_value(fills, RelationGetRelid(writer->rel), NameStr(att->attname));
		if (fill)
		{
			values[attnum - 1] = filled_value(writer->rel, att, fill);
			nulls[attnum - 1] = false;
			continue;
		}
		if (!writer->defaults_known[attnum - 1])
		{
			MemoryContext oldcxt = MemoryContextSwitchTo(writer->estate->es_query_cxt);
			Expr *expr = (Expr *) build_column_default(writer->rel, attnum);

			if (expr)
				writer->defaults[attnum - 1] = ExecPrepareExpr(expr, writer->estate);
			writer->defaults_known[attnum - 1] = true;
			MemoryContextSwitchTo(oldcxt);
		}
		nulls[attnum - 1] = true;
		if (writer->defaults[attnum - 1])
		{
			values[attnum - 1] =
				ExecEvalExpr(writer->defaults[attnum - 1],
							 GetPerTupleExprContext(writer->estate), &nulls[attnum - 1]);
			if (!nulls[attnum - 1])
				values[attnum - 1] =
					datumCopy(values[attnum - 1], att->attbyval, att->attlen);
		}
	}
	result = heap_form_tuple(desc, values, nulls);
	ResetPerTupleExprContext(writer->estate);
	pfree(values);
	pfree(nulls);
	return result;
}

/*
 * upg_writer_end
 *		Give everything back; "recheck" checks deferrable constraints by building
 *		their indexes again.
 */
void
upg_writer_end(UpgRowWriter *writer, bool recheck)
{
	ListCell *lc;

	ExecDropSingleTupleTableSlot(writer->slot);
	ExecCloseIndices(writer->info);
	FreeExecutorState(writer->estate);
	MemoryContextDelete(writer->rowcxt);
	upg_as_owner_end(&writer->before);
	CommandCounterIncrement();
	if (recheck)
		foreach (lc, writer->recheck)
			upg_index_rebuild(lfirst_oid(lc));
	pfree(writer);
}
