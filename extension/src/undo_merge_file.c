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
 * A value of a column whose type goes back must survive the way there and
 * back: what the old type cannot hold is refused, with the row's key.
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
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_index.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "storage/bufmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "capture_internal.h"
#include "errors.h"
#include "subxact.h"
#include "undo_merge.h"

#define MAX_REFUSALS 20

/* A cast as the server would do it. */
typedef struct Cast
{
	ExprState *expr; /* or NULL: through text */
	FmgrInfo output;
	FmgrInfo input;
	Oid ioparam;
	int32 typmod;
} Cast;

typedef enum ColumnKind
{
	COLUMN_GONE,   /* in neither, or only in the new form */
	COLUMN_SAME,   /* of one type in both */
	COLUMN_CONVERT /* of another type */
} ColumnKind;

typedef struct Column
{
	ColumnKind kind;
	bool expression; /* converted by an expression of the migration's */
	Cast back;
	Cast forth;
	FmgrInfo equal;
	bool has_equal;
	Oid collation;
	bool has_missing; /* rows older than the column have this value */
	Datum missing;
} Column;

/* A row written since, or the key of one that nobody touched. */
typedef struct FileRow
{
	UpgSum key;
	ItemPointerData tid; /* in the new file; invalid: untouched */
	int64 count;         /* of equal rows, where there is no key */
	bool matched;
} FileRow;

typedef struct FilePlan
{
	UpgMerge *merge;
	UpgMergeTable *table;
	Relation rel;       /* with the new file */
	Relation caretaker; /* of the old one */
	TupleDesc now;
	TupleDesc old;
	int ncolumns; /* that both forms may have */
	Column *columns;
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
} FilePlan;

static void
cast_init(FilePlan *plan, Cast *cast, Form_pg_attribute from, Form_pg_attribute to)
{
	CaseTestExpr *arg = makeNode(CaseTestExpr);
	Node *expr;
	Oid function;
	bool varlena;

	arg->typeId = from->atttypid;
	arg->typeMod = from->atttypmod;
	arg->collation = from->attcollation;
	cast->typmod = to->atttypmod;
	expr =
		coerce_to_target_type(NULL, (Node *) arg, from->atttypid, to->atttypid,
							  to->atttypmod, COERCION_EXPLICIT, COERCE_EXPLICIT_CAST, -1);
	if (expr)
	{
		assign_expr_collations(NULL, expr);
		cast->expr = ExecPrepareExpr((Expr *) expr, plan->estate);
		return;
	}
	getTypeOutputInfo(from->atttypid, &function, &varlena);
	fmgr_info_cxt(function, &cast->output, plan->merge->cxt);
	getTypeInputInfo(to->atttypid, &function, &cast->ioparam);
	fmgr_info_cxt(function, &cast->input, plan->merge->cxt);
}

static Datum
cast_value(FilePlan *plan, Cast *cast, Datum value, bool *isnull)
{
	ExprContext *econtext = GetPerTupleExprContext(plan->estate);
	Datum result;

	if (cast->expr == NULL)
		return *isnull ? (Datum) 0
					   : InputFunctionCall(&cast->input,
										   OutputFunctionCall(&cast->output, value),
										   cast->ioparam, cast->typmod);
	econtext->caseValue_datum = value;
	econtext->caseValue_isNull = *isnull;
	result = ExecEvalExpr(cast->expr, econtext, isnull);
	return result;
}

/* The key of the table as it was: its primary key, or a unique one. */
static void
find_old_key(FilePlan *plan)
{
	UpgCatalogChanges *changes =
		upg_changes_of(plan->merge->log->catalogs, IndexRelationId);
	List *indexes = NIL; /* of HeapTuple: pg_index rows of before */
	List *current = RelationGetIndexList(plan->rel);
	ListCell *lc;
	bool primary = false;

	if (changes)
		foreach (lc, changes->changes)
		{
			UpgChange *change = lfirst(lc);

			if (change->after)
				current = list_delete_oid(
					current, ((Form_pg_index) GETSTRUCT(change->after))->indexrelid);
			if (change->before && ((Form_pg_index) GETSTRUCT(change->before))->indrelid ==
									  plan->table->relation)
				indexes = lappend(indexes, change->before);
		}
	foreach (lc, current)
	{
		HeapTuple tuple =
			SearchSysCacheCopy1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(lc)));

		if (HeapTupleIsValid(tuple))
			indexes = lappend(indexes, tuple);
	}
	foreach (lc, indexes)
	{
		HeapTuple tuple = lfirst(lc);
		Form_pg_index form = (Form_pg_index) GETSTRUCT(tuple);
		bool good = form->indisunique && form->indisvalid && form->indimmediate &&
					heap_attisnull(tuple, Anum_pg_index_indpred, NULL) &&
					heap_attisnull(tuple, Anum_pg_index_indexprs, NULL);

		for (int i = 0; good && i < form->indnkeyatts; i++)
		{
			AttrNumber attnum = form->indkey.values[i];

			good = attnum > 0 && attnum <= plan->ncolumns &&
				   plan->columns[attnum - 1].kind != COLUMN_GONE &&
				   !plan->columns[attnum - 1].expression &&
				   TupleDescAttr(plan->old, attnum - 1)->attnotnull;
		}
		if (!good || primary || (plan->nkey > 0 && !form->indisprimary))
			continue;
		primary = form->indisprimary;
		plan->nkey = form->indnkeyatts;
		for (int i = 0; i < plan->nkey; i++)
			plan->key[i] = form->indkey.values[i];
	}
}

/* What rows of the old file have in columns that are younger than they. */
static void
find_missing(FilePlan *plan)
{
	UpgCatalogChanges *changes =
		upg_changes_of(plan->merge->log->catalogs, AttributeRelationId);
	Relation rel = table_open(AttributeRelationId, AccessShareLock);
	ListCell *lc;

	if (changes)
		foreach (lc, changes->changes)
		{
			UpgChange *change = lfirst(lc);
			Form_pg_attribute att;
			Datum array;
			bool isnull;
			int one = 1;

			if (change->before == NULL)
				continue;
			att = (Form_pg_attribute) GETSTRUCT(change->before);
			if (att->attrelid != plan->table->relation || att->attnum <= 0 ||
				att->attnum > plan->old->natts || !att->atthasmissing)
				continue;
			array = heap_getattr(change->before, Anum_pg_attribute_attmissingval,
								 RelationGetDescr(rel), &isnull);
			if (isnull)
				continue;
			plan->columns[att->attnum - 1].missing = array_get_element(
				array, 1, &one, -1, att->attlen, att->attbyval, att->attalign, &isnull);
			plan->columns[att->attnum - 1].has_missing = !isnull;
		}
	table_close(rel, AccessShareLock);
}

/* A copy of a row of the old file, with all of its columns. */
static HeapTuple
whole_old(FilePlan *plan, HeapTuple row)
{
	int natts = HeapTupleHeaderGetNatts(row->t_data);
	Datum *values;
	bool *nulls;
	HeapTuple result;
	bool missing = false;

	for (int i = natts; plan->columns && i < plan->old->natts; i++)
		missing |= plan->columns[i].has_missing;
	if (!missing)
		return heap_copytuple(row);
	values = palloc(sizeof(Datum) * plan->old->natts);
	nulls = palloc(sizeof(bool) * plan->old->natts);
	heap_deform_tuple(row, plan->old, values, nulls);
	for (int i = natts; i < plan->old->natts; i++)
		if (plan->columns[i].has_missing)
		{
			values[i] = plan->columns[i].missing;
			nulls[i] = false;
		}
	result = heap_form_tuple(plan->old, values, nulls);
	result->t_self = row->t_self;
	pfree(values);
	pfree(nulls);
	return result;
}

static void
describe_columns(FilePlan *plan)
{
	plan->ncolumns = Min(plan->now->natts, plan->old->natts);
	plan->columns = palloc0(sizeof(Column) * (plan->old->natts + 1));
	for (int i = 0; i < plan->old->natts; i++)
	{
		Form_pg_attribute old = TupleDescAttr(plan->old, i);
		Form_pg_attribute now = i < plan->ncolumns ? TupleDescAttr(plan->now, i) : NULL;
		Column *column = &plan->columns[i];
		TypeCacheEntry *type;

		if (old->attisdropped)
			continue;
		if (now == NULL || now->attisdropped)
		{
			plan->returns = true;
			continue;
		}
		if (now->atttypid == old->atttypid && now->atttypmod == old->atttypmod)
		{
			column->kind = COLUMN_SAME;
			continue;
		}
		column->kind = COLUMN_CONVERT;
		plan->converts = true;
		column->collation =
			OidIsValid(now->attcollation) ? now->attcollation : DEFAULT_COLLATION_OID;
		for (int k = 0; k < plan->table->head.nusing; k++)
			if (plan->table->head.using[k] == i + 1)
				column->expression = true;
		if (plan->table->head.flags & UPG_HEAD_KEYLESS)
			column->expression = true;
		cast_init(plan, &column->back, now, old);
		cast_init(plan, &column->forth, old, now);
		type = lookup_type_cache(now->atttypid, TYPECACHE_EQ_OPR_FINFO);
		if (OidIsValid(type->eq_opr_finfo.fn_oid))
		{
			fmgr_info_cxt(type->eq_opr_finfo.fn_oid, &column->equal, plan->merge->cxt);
			column->has_equal = true;
		}
	}
}

/* Are two values of the new type the same? */
static bool
equal_values(FilePlan *plan, int at, Datum a, bool anull, Datum b, bool bnull)
{
	Column *column = &plan->columns[at];
	Form_pg_attribute att = TupleDescAttr(plan->now, at);

	if (anull || bnull)
		return anull && bnull;
	if (column->has_equal)
		return DatumGetBool(FunctionCall2Coll(&column->equal, column->collation, a, b));
	return upg_value_hash(a, false, att) == upg_value_hash(b, false, att);
}

/* A value brought back to its old type; raises an error if it does not survive. */
static Datum
bring_back(FilePlan *plan, int at, Datum value, bool *isnull)
{
	Column *column = &plan->columns[at];
	bool null = *isnull;
	bool there = *isnull;
	Datum back;
	Datum again;

	back = cast_value(plan, &column->back, value, &null);
	there = null;
	again = cast_value(plan, &column->forth, back, &there);
	if (!equal_values(plan, at, value, *isnull, again, there))
		ereport(
			ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("its value of column \"%s\" does not fit the type %s",
					NameStr(TupleDescAttr(plan->old, at)->attname),
					format_type_with_typemod(TupleDescAttr(plan->old, at)->atttypid,
											 TupleDescAttr(plan->old, at)->atttypmod))));
	*isnull = null;
	return back;
}

/*
 * convert
 *		A row of the new form in the old one; "before" is the row that it was,
 *		or NULL.  Columns that come back are left to the end.
 */
static HeapTuple
convert(FilePlan *plan, HeapTuple row, HeapTuple before)
{
	Datum *values = palloc0(sizeof(Datum) * (plan->old->natts + 1));
	bool *nulls = palloc(sizeof(bool) * (plan->old->natts + 1));

	if (HeapTupleHasExternal(row))
		row = toast_flatten_tuple(row, plan->now);
	for (int i = 0; i < plan->old->natts; i++)
	{
		Column *column = &plan->columns[i];
		Datum value;
		bool isnull;

		nulls[i] = true;
		if (column->kind == COLUMN_GONE)
			continue;
		value = heap_getattr(row, i + 1, plan->now, &isnull);
		if (column->kind == COLUMN_SAME)
		{
			values[i] = value;
			nulls[i] = isnull;
			continue;
		}
		if (before && HeapTupleHeaderGetNatts(before->t_data) > i)
		{
			bool old_null;
			bool there;
			Datum old_value = heap_getattr(before, i + 1, plan->old, &old_null);
			Datum again;

			if (!old_null && TupleDescAttr(plan->old, i)->attlen == -1 &&
				VARATT_IS_EXTERNAL(DatumGetPointer(old_value)))
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("the old value of column \"%s\" is stored out of line",
								NameStr(TupleDescAttr(plan->old, i)->attname))));
			there = old_null;
			again = cast_value(plan, &column->forth, old_value, &there);
			if (equal_values(plan, i, value, isnull, again, there))
			{
				values[i] = old_value;
				nulls[i] = old_null;
				continue;
			}
		}
		if (column->expression && (plan->contrary || plan->evidence == 0))
			ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
							errmsg("column \"%s\" was converted by an expression, whose "
								   "reverse is not known",
								   NameStr(TupleDescAttr(plan->old, i)->attname))));
		values[i] = bring_back(plan, i, value, &isnull);
		nulls[i] = isnull;
	}
	return heap_form_tuple(plan->old, values, nulls);
}

/* The old key of a row of the new form. */
static UpgSum
key_of_now(FilePlan *plan, HeapTuple row)
{
	bool converted = false;

	for (int i = 0; i < plan->nkey; i++)
		if (plan->columns[plan->key[i] - 1].kind == COLUMN_CONVERT)
			converted = true;
	if (converted)
	{
		Datum *values = palloc0(sizeof(Datum) * (plan->old->natts + 1));
		bool *nulls = palloc(sizeof(bool) * (plan->old->natts + 1));

		memset(nulls, true, sizeof(bool) * (plan->old->natts + 1));
		for (int i = 0; i < plan->nkey; i++)
		{
			int at = plan->key[i] - 1;

			values[at] = heap_getattr(row, at + 1, plan->now, &nulls[at]);
			if (plan->columns[at].kind == COLUMN_CONVERT)
				values[at] = bring_back(plan, at, values[at], &nulls[at]);
		}
		return upg_key_hash(heap_form_tuple(plan->old, values, nulls), plan->old,
							plan->nkey, plan->key);
	}
	return upg_key_hash(row, plan->now, plan->nkey, plan->key);
}

/* All columns that both forms have, as the new form holds them. */
static UpgSum
content_of_now(FilePlan *plan, HeapTuple row, bool is_old)
{
	AttrNumber *columns = palloc(sizeof(AttrNumber) * (plan->ncolumns + 1));
	Datum *values = palloc0(sizeof(Datum) * (plan->now->natts + 1));
	bool *nulls = palloc(sizeof(bool) * (plan->now->natts + 1));
	int n = 0;

	memset(nulls, true, sizeof(bool) * (plan->now->natts + 1));
	for (int i = 0; i < plan->ncolumns; i++)
	{
		if (plan->columns[i].kind == COLUMN_GONE)
			continue;
		columns[n++] = i + 1;
		values[i] = heap_getattr(row, i + 1, is_old ? plan->old : plan->now, &nulls[i]);
		if (is_old && !nulls[i] && TupleDescAttr(plan->old, i)->attlen == -1 &&
			VARATT_IS_EXTERNAL(DatumGetPointer(values[i])))
			ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
							errmsg("it has values stored out of line, and no key")));
		if (is_old && plan->columns[i].kind == COLUMN_CONVERT)
			values[i] = cast_value(plan, &plan->columns[i].forth, values[i], &nulls[i]);
	}
	if (!is_old)
		return upg_key_hash(row, plan->now, n, columns);
	return upg_key_hash(heap_form_tuple(plan->now, values, nulls), plan->now, n, columns);
}

static void
refuse_row(FilePlan *plan, HeapTuple row, TupleDesc desc, const char *why)
{
	char *key = plan->nkey > 0 ? upg_image_json(row, desc, plan->nkey, plan->key)
							   : upg_image_json(row, desc, 0, NULL);

	if (plan->refusals++ < MAX_REFUSALS)
		upg_merge_refuse(plan->merge, psprintf("row %s of table %s cannot be merged: %s",
											   key, plan->table->name, why));
}

typedef void (*RowAction)(FilePlan *plan, HeapTuple row, void *arg);

/*
 * with_row
 *		Do something with a row that may fail; a failure is a refusal that names
 *		the row.
 */
static void
with_row(FilePlan *plan, HeapTuple row, TupleDesc desc, RowAction action, void *arg)
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
	FilePlan *plan = arg;

	if (since)
		plan->nsince++;
	else
		plan->untouched++;
}

static void
note_since(FilePlan *plan, HeapTuple row, void *arg)
{
	UpgSum key = key_of_now(plan, row);
	FileRow *entry = hash_search(plan->rows, &key, HASH_ENTER, NULL);

	entry->tid = row->t_self;
	entry->matched = false;
}

static void
note_untouched(FilePlan *plan, HeapTuple row, void *arg)
{
	UpgSum key =
		plan->whole_rows ? content_of_now(plan, row, false) : key_of_now(plan, row);
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
	FilePlan *plan = arg;

	if (since && !plan->whole_rows)
		with_row(plan, row, plan->now, note_since, NULL);
	else if (!since && !plan->truncated)
		with_row(plan, row, plan->now, note_untouched, NULL);
}

static void
put_pending(FilePlan *plan, HeapTuple row, ItemPointer replaced)
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
fetch_now(FilePlan *plan, ItemPointer tid)
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
match_old(FilePlan *plan, HeapTuple old, void *arg)
{
	UpgMergeTable *table = plan->table;
	UpgSum key;
	FileRow *entry;
	HeapTuple now;

	key = plan->whole_rows ? content_of_now(plan, old, true)
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
		put_pending(plan, convert(plan, now, NULL), &old->t_self);
	}
	else
		put_pending(plan, convert(plan, now, old), &old->t_self);
	table->merged++;
}

/* What the conversions did to rows that nobody touched. */
static void
look_at_conversion(FilePlan *plan, HeapTuple old, void *arg)
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
		old_value = cast_value(plan, &plan->columns[i].forth, old_value, &old_null);
		if (!equal_values(plan, i, value, isnull, old_value, old_null))
			plan->contrary = true;
		else if (!isnull)
			plan->evidence++;
	}
}

/* Call back for every row of the old file that is not the migration's. */
static void
scan_old(FilePlan *plan, RowAction action, void *arg)
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
		copy = whole_old(plan, tuple);
		with_row(plan, copy, plan->old, action, arg);
		heap_freetuple(copy);
	}
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
}

/* For columns converted by an expression: is it a plain cast after all? */
typedef struct Evidence
{
	FilePlan *plan;
	HTAB *rows;
} Evidence;

static void
note_evidence(HeapTuple row, bool own, bool since, void *arg)
{
	FilePlan *plan = arg;

	if (!since)
	{
		UpgSum key = key_of_now(plan, row);
		FileRow *entry = hash_search(plan->rows, &key, HASH_ENTER, NULL);

		entry->tid = row->t_self;
	}
}

static void
check_evidence(FilePlan *plan, HeapTuple old, void *arg)
{
	UpgSum key = upg_key_hash(old, plan->old, plan->nkey, plan->key);
	FileRow *entry = hash_search(plan->rows, &key, HASH_FIND, NULL);

	if (entry)
		look_at_conversion(plan, old, fetch_now(plan, &entry->tid));
}

static HTAB *
row_table(FilePlan *plan)
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
add_new(FilePlan *plan, HeapTuple row, void *arg)
{
	if (!plan->whole_rows && plan->nkey > 0)
	{
		UpgSum key = key_of_now(plan, row);
		FileRow *entry = hash_search(plan->rows, &key, HASH_FIND, NULL);

		if (entry && entry->matched)
			return;
	}
	put_pending(plan, convert(plan, row, NULL), NULL);
	plan->table->kept++;
}

static void
add_new_row(HeapTuple row, bool own, bool since, void *arg)
{
	if (since)
		with_row(arg, row, ((FilePlan *) arg)->now, add_new, NULL);
}

static void
plan_merge(FilePlan *plan, int64 expected)
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
count_old(FilePlan *plan, HeapTuple row, void *arg)
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
	FilePlan plan = {0};
	UpgChange *change = upg_class_change(merge->log, table->relation);
	UpgKeptFile *file = upg_keep_find(merge->log->files, table->relation);
	MemoryContext oldcxt;
	Oid saved_user;
	int saved_context;
	int nestlevel;
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
			upg_merge_refuse(merge, psprintf("table %s holds " INT64_FORMAT
											 " rows written since",
											 table->name, plan.nsince));
		if (plan.untouched != expected)
			upg_merge_refuse(merge,
							 psprintf(INT64_FORMAT
									  " rows of table %s were changed or deleted since",
									  expected - plan.untouched, table->name));
	}
	else if (table->policy == UPG_ON_CONFLICT_DISCARD)
		table->discarded = plan.nsince;
	else if (plan.nsince > 0 || plan.untouched != expected)
	{
		GetUserIdAndSecContext(&saved_user, &saved_context);
		SetUserIdAndSecContext(plan.rel->rd_rel->relowner,
							   saved_context | SECURITY_RESTRICTED_OPERATION);
		nestlevel = NewGUCNestLevel();
		RestrictSearchPath();
		describe_columns(&plan);
		find_missing(&plan);
		find_old_key(&plan);
		plan_merge(&plan, expected);
		AtEOXact_GUC(false, nestlevel);
		SetUserIdAndSecContext(saved_user, saved_context);
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
				row = upg_writer_defaults(writer, row, returned, merge->options->fills,
										  table->name);
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
