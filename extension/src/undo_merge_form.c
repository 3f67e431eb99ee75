/*-------------------------------------------------------------------------
 *
 * undo_merge_form.c
 *		The two forms of a rewritten table: rows of the new one brought into the
 *		old one.
 *
 * A value of a column whose type goes back must survive the way there and
 * back: what the old type cannot hold is an error, which the caller makes a
 * refusal that names the row.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/undo_merge_form.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heaptoast.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_index.h"
#include "nodes/makefuncs.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "undo_merge_file.h"

static void
cast_init(UpgFilePlan *plan, UpgFormCast *cast, Form_pg_attribute from,
		  Form_pg_attribute to)
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

/*
 * upg_form_cast
 *		A value of one type as one of another.
 */
Datum
upg_form_cast(UpgFilePlan *plan, UpgFormCast *cast, Datum value, bool *isnull)
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
find_old_key(UpgFilePlan *plan)
{
	List *indexes = NIL; /* of HeapTuple: pg_index rows of before */
	List *current = RelationGetIndexList(plan->rel);
	ListCell *lc;
	bool primary = false;

	foreach (lc, upg_change_list(plan->merge->log->catalogs, IndexRelationId))
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
				   plan->columns[attnum - 1].kind != UPG_FORM_GONE &&
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
find_missing(UpgFilePlan *plan)
{
	Relation rel = table_open(AttributeRelationId, AccessShareLock);
	ListCell *lc;

	foreach (lc, upg_change_list(plan->merge->log->catalogs, AttributeRelationId))
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

/*
 * upg_form_whole
 *		A copy of a row of the old file, with all of its columns.
 */
HeapTuple
upg_form_whole(UpgFilePlan *plan, HeapTuple row)
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
describe_columns(UpgFilePlan *plan)
{
	plan->ncolumns = Min(plan->now->natts, plan->old->natts);
	plan->columns = palloc0(sizeof(UpgFormColumn) * (plan->old->natts + 1));
	for (int i = 0; i < plan->old->natts; i++)
	{
		Form_pg_attribute old = TupleDescAttr(plan->old, i);
		Form_pg_attribute now = i < plan->ncolumns ? TupleDescAttr(plan->now, i) : NULL;
		UpgFormColumn *column = &plan->columns[i];
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
			column->kind = UPG_FORM_SAME;
			continue;
		}
		column->kind = UPG_FORM_CONVERT;
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

/*
 * upg_form_equal
 *		Are two values of the new type the same?
 */
bool
upg_form_equal(UpgFilePlan *plan, int at, Datum a, bool anull, Datum b, bool bnull)
{
	UpgFormColumn *column = &plan->columns[at];
	Form_pg_attribute att = TupleDescAttr(plan->now, at);

	if (anull || bnull)
		return anull && bnull;
	if (column->has_equal)
		return DatumGetBool(FunctionCall2Coll(&column->equal, column->collation, a, b));
	return upg_value_hash(a, false, att) == upg_value_hash(b, false, att);
}

/* A value brought back to its old type; raises an error if it does not survive. */
static Datum
bring_back(UpgFilePlan *plan, int at, Datum value, bool *isnull)
{
	UpgFormColumn *column = &plan->columns[at];
	bool null = *isnull;
	bool there = *isnull;
	Datum back;
	Datum again;

	back = upg_form_cast(plan, &column->back, value, &null);
	there = null;
	again = upg_form_cast(plan, &column->forth, back, &there);
	if (!upg_form_equal(plan, at, value, *isnull, again, there))
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
 * upg_form_convert
 *		A row of the new form in the old one; "before" is the row that it was,
 *		or NULL.  Columns that come back are left to the end.
 */
HeapTuple
upg_form_convert(UpgFilePlan *plan, HeapTuple row, HeapTuple before)
{
	Datum *values = palloc0(sizeof(Datum) * (plan->old->natts + 1));
	bool *nulls = palloc(sizeof(bool) * (plan->old->natts + 1));

	if (HeapTupleHasExternal(row))
		row = toast_flatten_tuple(row, plan->now);
	for (int i = 0; i < plan->old->natts; i++)
	{
		UpgFormColumn *column = &plan->columns[i];
		Datum value;
		bool isnull;

		nulls[i] = true;
		if (column->kind == UPG_FORM_GONE)
			continue;
		value = heap_getattr(row, i + 1, plan->now, &isnull);
		if (column->kind == UPG_FORM_SAME)
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
			again = upg_form_cast(plan, &column->forth, old_value, &there);
			if (upg_form_equal(plan, i, value, isnull, again, there))
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

/*
 * upg_form_key
 *		The old key of a row of the new form.
 */
UpgSum
upg_form_key(UpgFilePlan *plan, HeapTuple row)
{
	bool converted = false;

	for (int i = 0; i < plan->nkey; i++)
		if (plan->columns[plan->key[i] - 1].kind == UPG_FORM_CONVERT)
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
			if (plan->columns[at].kind == UPG_FORM_CONVERT)
				values[at] = bring_back(plan, at, values[at], &nulls[at]);
		}
		return upg_key_hash(heap_form_tuple(plan->old, values, nulls), plan->old,
							plan->nkey, plan->key);
	}
	return upg_key_hash(row, plan->now, plan->nkey, plan->key);
}

/*
 * upg_form_content
 *		All columns that both forms have, as the new form holds them.
 */
UpgSum
upg_form_content(UpgFilePlan *plan, HeapTuple row, bool is_old)
{
	AttrNumber *columns = palloc(sizeof(AttrNumber) * (plan->ncolumns + 1));
	Datum *values = palloc0(sizeof(Datum) * (plan->now->natts + 1));
	bool *nulls = palloc(sizeof(bool) * (plan->now->natts + 1));
	int n = 0;

	memset(nulls, true, sizeof(bool) * (plan->now->natts + 1));
	for (int i = 0; i < plan->ncolumns; i++)
	{
		if (plan->columns[i].kind == UPG_FORM_GONE)
			continue;
		columns[n++] = i + 1;
		values[i] = heap_getattr(row, i + 1, is_old ? plan->old : plan->now, &nulls[i]);
		if (is_old && !nulls[i] && TupleDescAttr(plan->old, i)->attlen == -1 &&
			VARATT_IS_EXTERNAL(DatumGetPointer(values[i])))
			ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
							errmsg("it has values stored out of line, and no key")));
		if (is_old && plan->columns[i].kind == UPG_FORM_CONVERT)
			values[i] =
				upg_form_cast(plan, &plan->columns[i].forth, values[i], &nulls[i]);
	}
	if (!is_old)
		return upg_key_hash(row, plan->now, n, columns);
	return upg_key_hash(heap_form_tuple(plan->now, values, nulls), plan->now, n, columns);
}

/*
 * upg_form_describe
 *		Compare the two forms of a table, and find the key that both have.
 */
void
upg_form_describe(UpgFilePlan *plan)
{
	describe_columns(plan);
	find_missing(plan);
	find_old_key(plan);
}
