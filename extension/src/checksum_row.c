/*-------------------------------------------------------------------------
 *
 * checksum_row.c
 *		Checksums of rows handed over by the executor: the function
 *		upg_checksum() and the transition functions of the aggregates.
 *
 * There are two ways to hand over a row.  As a record, names and types come
 * with it.  As columns, names are given apart; that form exists because
 * postgres_fdw and Citus ship an aggregate over columns to where the data is,
 * but never a whole row.  Both give the same checksum for the same names.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/checksum_row.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "checksum.h"
#include "compat.h"
#include "errors.h"

PG_FUNCTION_INFO_V1(upg_checksum);
PG_FUNCTION_INFO_V1(upg_checksum_accum);
PG_FUNCTION_INFO_V1(upg_checksum_accum_as);
PG_FUNCTION_INFO_V1(upg_checksum_accum_columns);
PG_FUNCTION_INFO_V1(upg_checksum_accum_columns_as);

/* Kept in fn_extra from row to row. */
typedef struct RowState
{
	UpgCanonicalMode mode;
	int64 seed;
	Oid typid; /* of the record the plan is for */
	int32 typmod;
	ArrayType *names; /* of the columns the plan is for */
	UpgRowPlan *plan;
	UpgChecksumHeader header;
	MemoryContext context; /* holds the plan */
	Datum *values;
	bool *nulls;
	uint64 *store;
} RowState;

/*
 * row_state
 *		The state of this call site, with an emptied plan if mode or seed are
 *		not those of the last call.
 */
static RowState *
row_state(FunctionCallInfo fcinfo, UpgCanonicalMode mode, int64 seed)
{
	RowState *state = fcinfo->flinfo->fn_extra;

	if (state == NULL)
	{
		state = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(RowState));
		state->context = AllocSetContextCreate(fcinfo->flinfo->fn_mcxt, "upg row plan",
											   ALLOCSET_DEFAULT_SIZES);
		state->mode = mode;
		state->seed = seed;
		fcinfo->flinfo->fn_extra = state;
	}
	else if (state->mode != mode || state->seed != seed)
	{
		state->mode = mode;
		state->seed = seed;
		state->plan = NULL;
	}
	return state;
}

/* Start a new plan; the old one goes. */
static UpgCanonical *
new_plan_context(RowState *state)
{
	MemoryContextReset(state->context);
	MemoryContextSwitchTo(state->context);
	return upg_canonical_create(state->mode, (uint64) state->seed);
}

/*
 * hash_tuple
 *		Hash a record; its type decides the plan.
 */
static UpgSum
hash_tuple(RowState *state, HeapTupleHeader tuple)
{
	Oid typid = HeapTupleHeaderGetTypeId(tuple);
	int32 typmod = HeapTupleHeaderGetTypMod(tuple);

	if (state->plan == NULL || state->typid != typid || state->typmod != typmod)
	{
		MemoryContext old = CurrentMemoryContext;
		UpgCanonical *canon = new_plan_context(state);

		state->plan = upg_row_plan_all(canon, lookup_rowtype_tupdesc_copy(typid, typmod));
		state->header = upg_checksum_header(canon, state->plan);
		state->typid = typid;
		state->typmod = typmod;
		MemoryContextSwitchTo(old);
	}
	return upg_row_hash(state->plan, tuple);
}

/*
 * plan_columns
 *		Make a plan for the arguments from "first" on, named by "names".
 */
static void
plan_columns(FunctionCallInfo fcinfo, RowState *state, ArrayType *names, int first)
{
	MemoryContext old = CurrentMemoryContext;
	int ncolumns = PG_NARGS() - first;
	UpgCanonical *canon;
	TupleDesc desc;
	Datum *items;
	bool *nulls;
	int nitems;
	int *positions;
	const char **list;

	if (get_fn_expr_variadic(fcinfo->flinfo))
		ereport(
			ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("columns must be listed one by one, not given as a VARIADIC array")));

	state->plan = NULL;
	canon = new_plan_context(state);
	state->names = DatumGetArrayTypePCopy(PointerGetDatum(names));
	deconstruct_array(state->names, TEXTOID, -1, false, TYPALIGN_INT, &items, &nulls,
					  &nitems);
	if (nitems != ncolumns)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%d column names given for %d columns", nitems, ncolumns)));

	desc = CreateTemplateTupleDesc(ncolumns);
	positions = palloc(sizeof(int) * ncolumns);
	list = palloc(sizeof(char *) * ncolumns);
	for (int i = 0; i < ncolumns; i++)
	{
		Oid typid = get_fn_expr_argtype(fcinfo->flinfo, first + i);

		if (nulls[i])
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("a column name must not be null")));
		list[i] = TextDatumGetCString(items[i]);
		for (int k = 0; k < i; k++)
			if (strcmp(list[k], list[i]) == 0)
				ereport(ERROR, (errcode(ERRCODE_DUPLICATE_COLUMN),
								errmsg("column name \"%s\" given twice", list[i])));
		positions[i] = i;
		TupleDescInitEntry(desc, i + 1, list[i], typid, -1, 0);
	}
	state->values = palloc(sizeof(Datum) * ncolumns);
	state->nulls = palloc(sizeof(bool) * ncolumns);
	state->store = palloc(sizeof(uint64) * ncolumns);
	state->plan = upg_row_plan(canon, desc, ncolumns, positions, list, true);
	state->header = upg_checksum_header(canon, state->plan);
	MemoryContextSwitchTo(old);
}

/*
 * hash_columns
 *		Hash the row made of the arguments after the names in argument
 *		"names_arg".
 */
static UpgSum
hash_columns(FunctionCallInfo fcinfo, RowState *state, int names_arg)
{
	int first = names_arg + 1;

	if (PG_ARGISNULL(names_arg))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("the column names must not be null")));
	if (state->plan == NULL)
		plan_columns(fcinfo, state, PG_GETARG_ARRAYTYPE_P(names_arg), first);
	else if (!get_fn_expr_arg_stable(fcinfo->flinfo, names_arg))
	{
		ArrayType *names = PG_GETARG_ARRAYTYPE_P(names_arg);

		if (VARSIZE(names) != VARSIZE(state->names) ||
			memcmp(names, state->names, VARSIZE(names)) != 0)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("the column names must be the same for every row")));
	}

	for (int i = 0; i < state->plan->ncolumns; i++)
	{
		state->values[i] = PG_GETARG_DATUM(first + i);
		state->nulls[i] = PG_ARGISNULL(first + i);
	}
	upg_row_datums(state->plan, state->values, state->nulls, state->store);
	return upg_row_hash_walked(state->plan);
}

/*
 * accumulate
 *		Add one row to the state in argument 0.
 */
static Datum
accumulate(FunctionCallInfo fcinfo, RowState *state, UpgSum hash)
{
	UpgChecksum *sum = PG_GETARG_UPG_CHECKSUM(0);

	if (!AggCheckCallContext(fcinfo, NULL))
	{
		UpgChecksum *copy = palloc(sizeof(UpgChecksum));

		*copy = *sum;
		sum = copy;
	}
	if (!sum->header.known)
		sum->header = state->header;
	else if (memcmp(&sum->header, &state->header, sizeof(UpgChecksumHeader)) != 0)
		ereport(ERROR, (errcode(ERRCODE_UPG_NOT_COMPARABLE),
						errmsg("the rows of a set must all have the same columns"),
						errdetail("%s", upg_checksum_header_conflict(&sum->header,
																	 &state->header))));
	upg_sum_add(&sum->sum, hash);
	sum->rows++;
	PG_RETURN_POINTER(sum);
}

/* The mode and seed in arguments "arg" and "arg" + 1. */
static RowState *
row_state_as(FunctionCallInfo fcinfo, int arg)
{
	RowState *state = fcinfo->flinfo->fn_extra;
	text *mode;
	const char *name;

	if (PG_ARGISNULL(arg) || PG_ARGISNULL(arg + 1))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("mode and seed of a checksum must not be null")));
	mode = PG_GETARG_TEXT_PP(arg);
	if (state && state->seed == PG_GETARG_INT64(arg + 1))
	{
		name = upg_canonical_mode_name(state->mode);
		if (VARSIZE_ANY_EXHDR(mode) == strlen(name) &&
			memcmp(VARDATA_ANY(mode), name, strlen(name)) == 0)
			return state;
	}
	return row_state(fcinfo, upg_canonical_mode(text_to_cstring(mode)),
					 PG_GETARG_INT64(arg + 1));
}

/*
 * upg_checksum
 *		The checksum of one row.
 */
Datum
upg_checksum(PG_FUNCTION_ARGS)
{
	HeapTupleHeader tuple = PG_GETARG_HEAPTUPLEHEADER(0);
	RowState *state = row_state_as(fcinfo, 1);
	UpgChecksum *result = palloc0(sizeof(UpgChecksum));

	result->sum = hash_tuple(state, tuple);
	result->rows = 1;
	result->header = state->header;
	PG_RETURN_POINTER(result);
}

/*
 * upg_checksum_accum
 *		Transition function: state, record.
 */
Datum
upg_checksum_accum(PG_FUNCTION_ARGS)
{
	HeapTupleHeader tuple = PG_GETARG_HEAPTUPLEHEADER(1);
	RowState *state = row_state(fcinfo, UPG_MODE_STRICT, 0);

	return accumulate(fcinfo, state, hash_tuple(state, tuple));
}

/*
 * upg_checksum_accum_as
 *		Transition function: state, mode, seed, record.
 */
Datum
upg_checksum_accum_as(PG_FUNCTION_ARGS)
{
	RowState *state = row_state_as(fcinfo, 1);
	HeapTupleHeader tuple = PG_GETARG_HEAPTUPLEHEADER(3);

	return accumulate(fcinfo, state, hash_tuple(state, tuple));
}

/*
 * upg_checksum_accum_columns
 *		Transition function: state, names, columns.
 */
Datum
upg_checksum_accum_columns(PG_FUNCTION_ARGS)
{
	RowState *state = row_state(fcinfo, UPG_MODE_STRICT, 0);

	return accumulate(fcinfo, state, hash_columns(fcinfo, state, 1));
}

/*
 * upg_checksum_accum_columns_as
 *		Transition function: state, mode, seed, names, columns.
 */
Datum
upg_checksum_accum_columns_as(PG_FUNCTION_ARGS)
{
	RowState *state = row_state_as(fcinfo, 1);

	return accumulate(fcinfo, state, hash_columns(fcinfo, state, 3));
}
