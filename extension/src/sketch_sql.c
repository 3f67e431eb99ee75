/*-------------------------------------------------------------------------
 *
 * sketch_sql.c
 *		Sketches as SQL functions, for clients that compare two databases.
 *
 * Such a client asks each side for the sketch of its relation with a common
 * seed, brings the two together with upg_sketch_diff() on either side, and
 * fetches the rows named with upg_table_rows() from both.  If upg_sketch_info()
 * and upg_sketch_estimate() say that the sketch was too small, it asks for a
 * larger one, or for one bucket of the keys after the other.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/sketch_sql.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "compare.h"
#include "compat.h"
#include "errors.h"
#include "progress.h"
#include "source.h"

PG_FUNCTION_INFO_V1(upg_table_sketch);
PG_FUNCTION_INFO_V1(upg_sketch_keep);
PG_FUNCTION_INFO_V1(upg_sketch_take);
PG_FUNCTION_INFO_V1(upg_sketch_info);
PG_FUNCTION_INFO_V1(upg_sketch_estimate);
PG_FUNCTION_INFO_V1(upg_sketch_diff);
PG_FUNCTION_INFO_V1(upg_table_rows);

/*
 * upg_prepare_job
 *		What sketches and rows of a relation have in common: arguments
 *		key, columns, filter, except_columns, mapping, mode, seed, only_this,
 *		which begin at "first".
 */
UpgSource *
upg_prepare_job(FunctionCallInfo fcinfo, int first, UpgScanJob *job)
{
	UpgSource *source;
	List *key;
	List *columns;
	List *except;
	Jsonb *mapping = NULL;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(first + 5) || PG_ARGISNULL(first + 6) ||
		PG_ARGISNULL(first + 7))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("relation, mode, seed and only_this must not be null")));
	key = upg_names_argument(fcinfo, first, "key");
	columns = upg_names_argument(fcinfo, first + 1, "columns");
	except = upg_names_argument(fcinfo, first + 3, "except_columns");
	if (!PG_ARGISNULL(first + 4))
		mapping = PG_GETARG_JSONB_P(first + 4);

	memset(job, 0, sizeof(*job));
	job->mode = upg_canonical_mode(text_to_cstring(PG_GETARG_TEXT_PP(first + 5)));
	job->seed = (uint64) PG_GETARG_INT64(first + 6);
	source = upg_source_open(
		PG_GETARG_OID(0), PG_GETARG_BOOL(first + 7),
		PG_ARGISNULL(first + 2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(first + 2)));
	upg_job_columns(job, source, upg_job_names(source, columns, except, mapping),
					mapping);
	upg_job_keys(job, key);
	return source;
}

/*
 * make_sketch
 *		The sketch of a relation, in CurrentMemoryContext.
 *
 * Arguments: relation, key, columns, filter, except_columns, mapping, mode,
 * seed, only_this, workers, cells, bucket, buckets.
 */
static UpgSketch *
make_sketch(FunctionCallInfo fcinfo)
{
	UpgScanJob job;
	UpgSource *source = upg_prepare_job(fcinfo, 1, &job);
	UpgSketch *sketch;

	if (PG_ARGISNULL(10) || PG_ARGISNULL(11) || PG_ARGISNULL(12))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("cells, bucket and buckets must not be null")));
	if (PG_GETARG_INT32(10) < 1 || PG_GETARG_INT32(10) > UPG_SKETCH_MAX_CELLS)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("number of cells must be between 1 and %d",
							   UPG_SKETCH_MAX_CELLS)));
	if (PG_GETARG_INT32(12) < 1 || PG_GETARG_INT32(11) < 0 ||
		PG_GETARG_INT32(11) >= PG_GETARG_INT32(12))
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("bucket must be at least 0 and less than the number of buckets")));
	if (!PG_ARGISNULL(9) && PG_GETARG_INT32(9) < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("number of workers must not be negative")));

	sketch = upg_sketch_create(PG_GETARG_INT32(10), job.seed);
	sketch->bucket = (uint32) PG_GETARG_INT32(11);
	sketch->buckets = (uint32) PG_GETARG_INT32(12);
	upg_progress_task(UPG_TASK_SKETCH, 1, 1);
	upg_source_scan(source, &job, PG_ARGISNULL(9) ? -1 : PG_GETARG_INT32(9),
					&sketch->total, sketch, NULL, NULL);
	return sketch;
}

/*
 * upg_table_sketch
 *		The sketch of a relation, in its stored form.
 */
Datum
upg_table_sketch(PG_FUNCTION_ARGS)
{
	UpgSketch *sketch = make_sketch(fcinfo);
	bytea *result = upg_sketch_serialize(sketch);

	upg_sketch_free(sketch);
	PG_RETURN_BYTEA_P(result);
}

/*
 * The sketch that this transaction keeps for upg_sketch_take(), so that only the
 * other side's has to travel.  It goes with its context.
 */
static UpgSketch *kept_sketch = NULL;
static MemoryContext kept_context = NULL;

static void
forget_kept(void *arg)
{
	kept_sketch = NULL;
	kept_context = NULL;
}

/*
 * upg_sketch_keep
 *		Make the sketch of a relation and keep it until the transaction ends;
 *		returns the number of rows.
 */
Datum
upg_sketch_keep(PG_FUNCTION_ARGS)
{
	MemoryContextCallback *callback;
	MemoryContext old;
	UpgSketch *sketch;

	if (kept_context)
		MemoryContextDelete(kept_context);
	kept_context = AllocSetContextCreate(TopTransactionContext, "upg sketch kept",
										 ALLOCSET_SMALL_SIZES);
	callback = MemoryContextAlloc(kept_context, sizeof(MemoryContextCallback));
	callback->func = forget_kept;
	callback->arg = NULL;
	MemoryContextRegisterResetCallback(kept_context, callback);
	old = MemoryContextSwitchTo(kept_context);
	sketch = make_sketch(fcinfo);
	MemoryContextSwitchTo(old);
	kept_sketch = sketch;
	PG_RETURN_INT64(sketch->total.rows);
}

static void
require_comparable(const UpgSketch *a, const UpgSketch *b)
{
	const char *why = upg_sketch_conflict(a, b);

	if (why)
		ereport(ERROR, (errcode(ERRCODE_UPG_NOT_COMPARABLE),
						errmsg("sketches are not comparable"), errdetail("%s", why)));
}

static int
compare_prints(const void *a, const void *b)
{
	return memcmp(a, b, 16);
}

/*
 * upg_sketch_take
 *		Take the sketch that is kept out of another one, which is given: the prints of
 *		the keys that are not in both sets, one behind the other in their order, or how
 *		many cells it would take.
 */
Datum
upg_sketch_take(PG_FUNCTION_ARGS)
{
	const bytea *given = PG_GETARG_BYTEA_PP(0);
	TupleDesc desc;
	UpgSketchDiff *diff;
	Datum values[3];
	bool nulls[3] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (kept_sketch == NULL)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("this transaction keeps no sketch"),
						errhint("Call upg_sketch_keep() first, in the same "
								"transaction.")));
	require_comparable(upg_sketch_header(given), kept_sketch);
	diff = upg_sketch_subtract_from(given, kept_sketch);
	values[0] = BoolGetDatum(diff->left == 0);
	values[1] = Int64GetDatum(upg_sketch_cells_for(diff->estimate));
	nulls[2] = diff->left > 0;
	if (diff->left == 0)
	{
		bytea *prints = palloc(VARHDRSZ + (Size) 16 * diff->nitems);
		unsigned char *first = (unsigned char *) VARDATA(prints);
		unsigned char *end = first;

		for (int i = 0; i < diff->nitems; i++)
			upg_sum_to_bytes(diff->items[i].element.key, first + (Size) 16 * i);
		qsort(first, diff->nitems, 16, compare_prints);
		for (int i = 0; i < diff->nitems; i++)
			if (i == 0 || memcmp(end - 16, first + (Size) 16 * i, 16) != 0)
			{
				memmove(end, first + (Size) 16 * i, 16);
				end += 16;
			}
		SET_VARSIZE(prints, (char *) end - (char *) prints);
		values[2] = PointerGetDatum(prints);
	}
	MemoryContextDelete(kept_context);
	PG_RETURN_DATUM(
		HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}

static Datum
print_datum(UpgSum print)
{
	bytea *result = palloc(VARHDRSZ + 16);

	SET_VARSIZE(result, VARHDRSZ + 16);
	upg_sum_to_bytes(print, (unsigned char *) VARDATA(result));
	return PointerGetDatum(result);
}

static TupleDesc
result_desc(FunctionCallInfo fcinfo)
{
	TupleDesc desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return BlessTupleDesc(desc);
}

/*
 * upg_sketch_info
 *		What a sketch says of its set.
 */
Datum
upg_sketch_info(PG_FUNCTION_ARGS)
{
	UpgSketch *sketch = upg_sketch_header(PG_GETARG_BYTEA_PP(0));
	TupleDesc desc = result_desc(fcinfo);
	static const char *const forms[] = {"none", "direct", "print"};
	Datum values[5];
	bool nulls[5] = {false};

	values[0] = PointerGetDatum(&sketch->total);
	values[1] = Int32GetDatum(sketch->ncells);
	values[2] = CStringGetTextDatum(forms[sketch->key_form]);
	values[3] = Int32GetDatum((int32) sketch->bucket);
	values[4] = Int32GetDatum((int32) sketch->buckets);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

/* The two sketches in arguments 0 and 1, taken apart. */
static UpgSketchDiff *
diff_arguments(FunctionCallInfo fcinfo)
{
	UpgSketch *b = upg_sketch_deserialize(PG_GETARG_BYTEA_PP(1));
	const bytea *a = PG_GETARG_BYTEA_PP(0);

	require_comparable(upg_sketch_header(a), b);
	return upg_sketch_subtract_from(a, b);
}

/*
 * upg_sketch_estimate
 *		Whether two sketches give all differences, about how many there are, and
 *		how many cells would do.
 */
Datum
upg_sketch_estimate(PG_FUNCTION_ARGS)
{
	UpgSketchDiff *diff = diff_arguments(fcinfo);
	TupleDesc desc = result_desc(fcinfo);
	Datum values[4];
	bool nulls[4] = {false};

	values[0] = BoolGetDatum(diff->left == 0);
	values[1] = Int64GetDatum((int64) diff->estimate);
	values[2] = Int32GetDatum(diff->left);
	values[3] = Int64GetDatum(upg_sketch_cells_for(diff->estimate));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

/*
 * upg_sketch_diff
 *		The elements in which two sets differ; an error if the sketches do not
 *		give all of them.
 */
Datum
upg_sketch_diff(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	UpgSketchDiff *diff;

	InitMaterializedSRF(fcinfo, 0);
	diff = diff_arguments(fcinfo);
	if (diff->left > 0)
		ereport(
			ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("the sketches are too small for the differences between the sets"),
			 errdetail("About %.0f rows differ; %d cells could not be resolved.",
					   diff->estimate, diff->left),
			 errhint("Make sketches of at least " INT64_FORMAT
					 " cells, or of one bucket of "
					 "the keys at a time.",
					 upg_sketch_cells_for(diff->estimate))));
	for (int i = 0; i < diff->nitems; i++)
	{
		Datum values[3];
		bool nulls[3] = {false};

		values[0] = print_datum(diff->items[i].element.key);
		values[1] = print_datum(diff->items[i].element.hash);
		values[2] = Int32GetDatum(diff->items[i].copies);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * upg_table_rows
 *		The rows of the given keys, with what is needed to compare them.
 *
 * Arguments: relation, prints, key, columns, filter, except_columns, mapping,
 * mode, seed, only_this.
 */
Datum
upg_table_rows(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	UpgScanJob job;
	UpgSource *source;
	UpgRowFinder *finder;
	UpgFoundKey **keys;
	Datum *prints;
	bool *print_nulls;
	bool nullable;
	int n;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(1))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("prints must not be null")));
	source = upg_prepare_job(fcinfo, 2, &job);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), BYTEAOID, -1, false, TYPALIGN_INT,
					  &prints, &print_nulls, &n);
	finder = upg_row_finder();
	nullable = upg_job_key_nullable(source, &job);
	for (int i = 0; i < n; i++)
	{
		UpgFoundKey *entry;
		bytea *print;

		if (print_nulls[i])
			continue;
		print = DatumGetByteaPP(prints[i]);
		if (VARSIZE_ANY_EXHDR(print) != 16)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("a print is 16 bytes long, not %d",
								   (int) VARSIZE_ANY_EXHDR(print))));
		entry = upg_row_finder_want(
			finder, upg_sum_from_bytes((const unsigned char *) VARDATA_ANY(print)));

		/* a null in a key makes a fingerprint of it, which no index finds */
		entry->expected[0] = nullable;
	}
	if (n == 0)
		return (Datum) 0;
	upg_row_finder_read(finder, source, &job, 0);

	keys = upg_row_finder_sorted(finder, &n);
	for (int i = 0; i < n; i++)
	{
		for (UpgFoundRow *row = keys[i]->rows[0]; row; row = row->next)
		{
			Datum values[5];
			bool nulls[5] = {false};

			values[0] = print_datum(keys[i]->key);
			values[1] = print_datum(row->hash);
			values[2] = PointerGetDatum(upg_key_json(finder, row, NULL));
			values[3] = PointerGetDatum(upg_row_json(finder, row, NULL, NULL));
			values[4] = PointerGetDatum(upg_column_hashes_json(finder, row));
			tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		}
	}
	return (Datum) 0;
}
