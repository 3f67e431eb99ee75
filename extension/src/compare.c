/*-------------------------------------------------------------------------
 *
 * compare.c
 *		upg_compare(): the rows in which two relations of one database differ.
 *
 * One pass over each side makes a sketch; the difference of the two gives the
 * keys of the rows that differ, as long as they are not too many for it.  If
 * they are, the sketch itself says so and about how many there are, and the
 * passes are repeated with a larger one; beyond the size that fits a cache, in
 * several rounds that each look at a part of the keys.  Whatever resists (a row
 * that one side has sixteen times more often than the other) is found by
 * reading all rows that fall into the cells left over.  Then the rows are read
 * again on both sides, so nothing is reported that was not seen.
 *
 * Both sides are read with one snapshot.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/compare.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/genam.h"
#include "access/relation.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "compare.h"
#include "compat.h"
#include "errors.h"
#include "ledger.h"
#include "progress.h"
#include "source.h"

PG_FUNCTION_INFO_V1(upg_compare);

/* Cells of one round: as many as still fit a processor's cache, nearly. */
#define ROUND_CELLS (3 * 65536)

/* Leftover cells that are resolved by reading the rows that fall into them. */
#define FEW_CELLS 96

/* Rows of so many keys are held at a time, if they are looked up. */
#define KEYS_AT_ONCE 250

/* Rows of the samples that must differ for more than chance. */
#define SURE_OF_MANY 4

/* Columns of the result. */
#define RESULT_COLUMNS 7

typedef struct Comparison
{
	UpgSource *sources[2];
	UpgScanJob jobs[2];
	int workers;
	int scans;    /* so far, for the progress shown */
	List *hidden; /* names of columns whose values are not shown */
	ReturnSetInfo *result;
} Comparison;

/*
 * usable_key
 *		The columns of an index if they identify rows at all times, else NIL.
 */
static List *
usable_key(Relation rel, Relation index)
{
	Form_pg_index form = index->rd_index;
	TupleDesc desc = RelationGetDescr(rel);
	List *names = NIL;

	if (!form->indisunique || !form->indisvalid || !form->indimmediate ||
		RelationGetIndexPredicate(index) != NIL)
		return NIL;
	for (int i = 0; i < form->indnkeyatts; i++)
	{
		AttrNumber attnum = form->indkey.values[i];

		if (attnum <= 0 || !TupleDescAttr(desc, attnum - 1)->attnotnull)
			return NIL;
		names =
			lappend(names, pstrdup(NameStr(TupleDescAttr(desc, attnum - 1)->attname)));
	}
	return names;
}

/*
 * infer_key
 *		The primary key of a source, else another unique key without nulls, as
 *		names of the comparison; NIL if there is none among these.
 */
static List *
infer_key(UpgSource *source, const UpgScanJob *job)
{
	Relation rel = relation_open(source->relid, NoLock);
	List *indexes = RelationGetIndexList(rel);
	List *best = NIL;
	ListCell *lc;

	foreach (lc, indexes)
	{
		Relation index = index_open(lfirst_oid(lc), AccessShareLock);
		List *attributes = usable_key(rel, index);
		bool primary = index->rd_index->indisprimary;
		List *names = NIL;
		ListCell *lc2;

		index_close(index, AccessShareLock);
		foreach (lc2, attributes)
			for (int i = 0; i < job->ncolumns; i++)
				if (job->columns[i].expr == NULL &&
					strcmp(job->columns[i].attname, lfirst(lc2)) == 0)
					names = lappend(names, unconstify(char *, job->columns[i].name));
		if (list_length(names) != list_length(attributes) || names == NIL)
			continue;
		if (primary || best == NIL)
			best = names;
		if (primary)
			break;
	}
	relation_close(rel, NoLock);
	return best;
}

/* Append to a list that is being written as text. */
static void
append_item(StringInfo list, const char *item)
{
	appendStringInfo(list, "%s%s", list->len > 0 ? ", " : "", item);
}

static char *
signature_of(UpgCanonicalMode mode, Oid typid)
{
	StringInfoData s;

	initStringInfo(&s);
	upg_type_signature(&s, mode, typid);
	return s.data;
}

/*
 * match_columns
 *		Make sure that both sides have the columns, of comparable types.
 *
 * An expression is cast to the type of the column that it is compared with.
 */
static void
match_columns(Comparison *cmp, List *names[2])
{
	StringInfoData only[2];
	StringInfoData types;
	ListCell *lc;

	for (int side = 0; side < 2; side++)
	{
		initStringInfo(&only[side]);
		foreach (lc, names[side])
			if (!upg_name_in(names[1 - side], lfirst(lc)))
				append_item(&only[side], lfirst(lc));
	}
	if (only[0].len > 0 || only[1].len > 0)
		ereport(
			ERROR,
			(errcode(ERRCODE_UPG_NOT_COMPARABLE),
			 errmsg("%s and %s are not comparable: their columns differ",
					cmp->sources[0]->label, cmp->sources[1]->label),
			 errdetail("Only in the source: %s. Only in the target: %s.",
					   only[0].len > 0 ? only[0].data : "none",
					   only[1].len > 0 ? only[1].data : "none"),
			 errhint(
				 "Name what stands for a column with \"mapping\", or leave columns out "
				 "with \"except_columns\".")));

	initStringInfo(&types);
	for (int i = 0; i < cmp->jobs[0].ncolumns; i++)
	{
		UpgScanColumn *a = &cmp->jobs[0].columns[i];
		UpgScanColumn *b = &cmp->jobs[1].columns[i];
		Form_pg_attribute target = upg_source_attribute(cmp->sources[1], b->attname);
		Form_pg_attribute source;
		char *x, *y;

		if (a->expr)
		{
			a->expr = psprintf(
				"(%s\n)::%s", a->expr,
				format_type_extended(target->atttypid, -1, FORMAT_TYPE_FORCE_QUALIFY));
			continue;
		}
		source = upg_source_attribute(cmp->sources[0], a->attname);
		x = signature_of(cmp->jobs[0].mode, source->atttypid);
		y = signature_of(cmp->jobs[0].mode, target->atttypid);
		if (strcmp(x, y) != 0)
			append_item(&types,
						psprintf("%s (%s, %s)", b->name, format_type_be(source->atttypid),
								 format_type_be(target->atttypid)));
	}
	if (types.len > 0)
		ereport(
			ERROR,
			(errcode(ERRCODE_UPG_NOT_COMPARABLE),
			 errmsg("%s and %s are not comparable: the types of columns differ",
					cmp->sources[0]->label, cmp->sources[1]->label),
			 errdetail("Column (source type, target type): %s.", types.data),
			 errhint(
				 "Compare with mode => 'semantic' if the types differ only in width, or "
				 "convert with \"mapping\".")));
}

/* One row of the result; parts that are NULL are null. */
static void
put_difference(Comparison *cmp, const char *difference, Jsonb *key, ArrayType *columns,
			   Jsonb *source, Jsonb *target, int64 source_copies, int64 target_copies)
{
	Datum values[RESULT_COLUMNS];
	bool nulls[RESULT_COLUMNS] = {false};

	values[0] = CStringGetTextDatum(difference);
	values[1] = PointerGetDatum(key);
	values[2] = PointerGetDatum(columns);
	values[3] = PointerGetDatum(source);
	values[4] = PointerGetDatum(target);
	values[5] = Int64GetDatum(source_copies);
	values[6] = Int64GetDatum(target_copies);
	for (int i = 1; i < 5; i++)
		nulls[i] = DatumGetPointer(values[i]) == NULL;
	tuplestore_putvalues(cmp->result->setResult, cmp->result->setDesc, values, nulls);
}

/* A distinct row of one key, and how often each side has it. */
typedef struct DistinctRow
{
	UpgFoundRow *row;
	int64 copies[2];
} DistinctRow;

/*
 * distinct_rows
 *		The rows of a key that the sides do not have equally often.
 */
static DistinctRow *
distinct_rows(UpgFoundKey *entry, int *count)
{
	DistinctRow *rows;
	int n = 0, kept = 0;

	for (int side = 0; side < 2; side++)
		for (UpgFoundRow *r = entry->rows[side]; r; r = r->next)
			n++;
	rows = palloc(sizeof(DistinctRow) * Max(n, 1));
	n = 0;
	for (int side = 0; side < 2; side++)
	{
		for (UpgFoundRow *r = entry->rows[side]; r; r = r->next)
		{
			int i = 0;

			while (i < n && (rows[i].row->hash.lo != r->hash.lo ||
							 rows[i].row->hash.hi != r->hash.hi))
				i++;
			if (i == n)
			{
				rows[n].row = r;
				rows[n].copies[0] = rows[n].copies[1] = 0;
				n++;
			}
			rows[i].copies[side]++;
		}
	}
	for (int i = 0; i < n; i++)
		if (rows[i].copies[0] != rows[i].copies[1])
			rows[kept++] = rows[i];
	*count = kept;
	return rows;
}

/*
 * put_changed
 *		Report a row of the target that replaces one of the source.
 */
static void
put_changed(Comparison *cmp, UpgRowFinder *finder, const DistinctRow *a,
			const DistinctRow *b, const bool *hidden)
{
	bool *which = palloc0(sizeof(bool) * Max(finder->ncolumns, 1));
	Datum *names = palloc(sizeof(Datum) * Max(finder->ncolumns, 1));
	int n = 0;

	for (int c = 0; c < finder->ncolumns; c++)
	{
		UpgSum x = a->row->column_hashes[c];
		UpgSum y = b->row->column_hashes[c];

		which[c] = x.lo != y.lo || x.hi != y.hi ||
				   (a->row->texts[c] == NULL) != (b->row->texts[c] == NULL);
		if (which[c])
			names[n++] = CStringGetTextDatum(finder->names[c]);
	}
	put_difference(cmp, "changed", upg_key_json(finder, a->row, hidden),
				   construct_array(names, n, TEXTOID, -1, false, TYPALIGN_INT),
				   upg_row_json(finder, a->row, which, hidden),
				   upg_row_json(finder, b->row, which, hidden), a->copies[0],
				   b->copies[1]);
}

/*
 * report_key
 *		Report the rows of one key that differ.
 */
static void
report_key(Comparison *cmp, UpgRowFinder *finder, UpgFoundKey *entry, const bool *hidden)
{
	int n;
	DistinctRow *rows = distinct_rows(entry, &n);
	int a = 0, b = 0;

	/* a row gone and another come under one key are one row that has changed */
	while (finder->nkeys > 0)
	{
		while (a < n && rows[a].copies[1] != 0)
			a++;
		while (b < n && rows[b].copies[0] != 0)
			b++;
		if (a >= n || b >= n)
			break;
		put_changed(cmp, finder, &rows[a], &rows[b], hidden);
		rows[a].copies[0] = rows[b].copies[1] = 0;
		a++;
		b++;
	}
	for (int i = 0; i < n; i++)
	{
		Jsonb *key;
		Jsonb *row;

		if (rows[i].copies[0] == rows[i].copies[1])
			continue;
		key = finder->nkeys > 0 ? upg_key_json(finder, rows[i].row, hidden) : NULL;
		row = upg_row_json(finder, rows[i].row, NULL, hidden);
		if (rows[i].copies[0] > rows[i].copies[1])
			put_difference(cmp, "missing", key, NULL, row, NULL, rows[i].copies[0],
						   rows[i].copies[1]);
		else
			put_difference(cmp, "extra", key, NULL, NULL, row, rows[i].copies[0],
						   rows[i].copies[1]);
	}
}

/*
 * report_items
 *		Read the rows of some of the keys found, and report those that differ.
 *
 * With "left", also those that fall into its cells.
 */
static void
report_items(Comparison *cmp, const UpgDifference *items, int nitems,
			 const UpgSketch *left)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "upg differences",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	MemoryContext row_context =
		AllocSetContextCreate(context, "upg difference", ALLOCSET_DEFAULT_SIZES);
	UpgRowFinder *finder = upg_row_finder();
	UpgFoundKey **keys;
	bool *hidden = NULL;
	int n;

	finder->suspects = left;
	for (int i = 0; i < nitems; i++)
	{
		UpgFoundKey *entry = upg_row_finder_want(finder, items[i].element.key);

		entry->expected[items[i].copies > 0 ? 0 : 1] = true;
	}
	for (int side = 0; side < 2; side++)
		upg_row_finder_read(finder, cmp->sources[side], &cmp->jobs[side], side);

	if (cmp->hidden != NIL)
	{
		hidden = palloc0(sizeof(bool) * Max(finder->ncolumns, 1));
		for (int c = 0; c < finder->ncolumns; c++)
			hidden[c] = upg_name_in(cmp->hidden, finder->names[c]) ||
						upg_name_in(cmp->hidden, "*");
	}
	keys = upg_row_finder_sorted(finder, &n);
	MemoryContextSwitchTo(row_context);
	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		report_key(cmp, finder, keys[i], hidden);
		MemoryContextReset(row_context);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/* Order of two differences by their keys, which are written out. */
static int
compare_items(const void *pa, const void *pb, void *arg)
{
	UpgScanPlan *plan = arg;
	UpgEncoder *encoders[16];
	UpgSum a = ((const UpgDifference *) pa)->element.key;
	UpgSum b = ((const UpgDifference *) pb)->element.key;

	for (int k = 0; k < plan->key->ncolumns; k++)
		encoders[k] = plan->key->columns[k].encoder;
	return upg_row_finder_compare_direct(a, b, encoders, plan->key->ncolumns);
}

/*
 * report
 *		Report all differences; the rows of a few keys at a time if they are looked up,
 *		so that what memory it takes does not grow with their number.
 */
static void
report(Comparison *cmp, UpgSketchDiff *diff, const UpgSketch *left)
{
	bool by_index = left == NULL;
	int n = diff->nitems;

	for (int side = 0; side < 2; side++)
		by_index = by_index &&
				   !upg_job_key_nullable(cmp->sources[side], &cmp->jobs[side]) &&
				   upg_row_finder_by_index(cmp->sources[side], &cmp->jobs[side], n);
	if (!by_index)
	{
		report_items(cmp, diff->items, n, left);
		return;
	}
	qsort_arg(diff->items, n, sizeof(UpgDifference), compare_items,
			  upg_scan_plan(&cmp->jobs[0], cmp->sources[0]->desc));
	for (int first = 0, next; first < n; first = next)
	{
		/* what the two sides have of one key stays together */
		for (next = Min(first + KEYS_AT_ONCE, n);
			 next < n &&
			 diff->items[next].element.key.lo == diff->items[next - 1].element.key.lo &&
			 diff->items[next].element.key.hi == diff->items[next - 1].element.key.hi;
			 next++)
			;
		report_items(cmp, diff->items + first, next - first, NULL);
	}
}

/*
 * compare_round
 *		Compare the keys of one bucket; returns about how many elements differ
 *		if they were too many, and then reports nothing, or -1 when done.
 *
 * With "must" the round is brought to an end whatever it costs.
 */
static double
compare_round(Comparison *cmp, int ncells, uint32 bucket, uint32 buckets, bool must)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "upg sketches",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	UpgSketch *sketches[2];
	UpgSketchDiff *diff;
	const char *why;
	double result = -1;

	for (int side = 0; side < 2; side++)
	{
		sketches[side] = upg_sketch_create(ncells, cmp->jobs[side].seed);
		sketches[side]->bucket = bucket;
		sketches[side]->buckets = buckets;
		cmp->scans++;
		upg_progress_task(UPG_TASK_COMPARE, cmp->scans, cmp->scans + (side == 0 ? 1 : 0));
		upg_source_scan(cmp->sources[side], &cmp->jobs[side], cmp->workers,
						&sketches[side]->total, sketches[side], NULL, NULL);
	}
	why = upg_sketch_conflict(sketches[0], sketches[1]);
	if (why)
		ereport(ERROR, (errcode(ERRCODE_UPG_NOT_COMPARABLE),
						errmsg("%s and %s are not comparable", cmp->sources[0]->label,
							   cmp->sources[1]->label),
						errdetail("%s", why)));

	diff = upg_sketch_subtract(sketches[0], sketches[1]);
	upg_sketch_free(sketches[1]);
	if (diff->left > FEW_CELLS && !must)
		result = Max(diff->estimate, 1);
	else if (diff->left > 0)
		report(cmp, diff, sketches[0]);
	else if (diff->nitems > 0)
	{
		upg_sketch_free(sketches[0]);
		report(cmp, diff, NULL);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return result;
}

/*
 * guess_differences
 *		About how many elements differ, if they are more than a small sketch can hold;
 *		else 0.
 *
 * Some rows of each side are looked for in the other.
 */
static double
guess_differences(Comparison *cmp)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "upg samples",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	double differences = 0;
	int hits = 0;

	for (int side = 0; side < 2; side++)
	{
		bytea *sample = upg_sample(cmp->sources[side], &cmp->jobs[side]);
		double rows;
		int missing = sample == NULL ? -1
									 : upg_sample_lookup(sample, cmp->sources[1 - side],
														 &cmp->jobs[1 - side], &rows);

		if (missing < 0)
		{
			hits = 0;
			break;
		}
		hits += missing;
		differences += missing * rows;
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);

	if (hits < SURE_OF_MANY || differences < 1.5 * UPG_SKETCH_DEFAULT_CELLS)
		return 0;

	/* there may be some more than the samples say */
	return differences * (1.25 + 2.0 / hits);
}

/*
 * compare_all
 *		Compare all keys, in as many rounds as it takes.
 */
static void
compare_all(Comparison *cmp)
{
	double estimate = guess_differences(cmp);
	double cells = upg_sketch_cells_for(estimate);
	uint32 buckets = 1;

	/* a small sketch first, unless it is known to be too small */
	if (cells <= UPG_SKETCH_DEFAULT_CELLS)
	{
		estimate = compare_round(cmp, UPG_SKETCH_DEFAULT_CELLS, 0, 1, false);
		if (estimate < 0)
			return;
		cells = upg_sketch_cells_for(estimate);
	}
	if (cells > ROUND_CELLS)
	{
		buckets = (uint32) Min(ceil(cells / ROUND_CELLS), 1000000);
		cells = ROUND_CELLS;
	}
	for (uint32 bucket = 0; bucket < buckets; bucket++)
	{
		int size = upg_sketch_round_cells((int64) cells);

		while (compare_round(cmp, size, bucket, buckets, size >= UPG_SKETCH_MAX_CELLS) >=
			   0)
			size = upg_sketch_round_cells((int64) size * 2);
	}
}

/*
 * upg_compare
 *		One row for each key whose rows differ.
 *
 * Arguments: source, target, key, columns, except_columns, mapping, filter,
 * mode, workers, redact.
 */
Datum
upg_compare(PG_FUNCTION_ARGS)
{
	Comparison *cmp = palloc0(sizeof(Comparison));
	Jsonb *mapping = PG_ARGISNULL(5) ? NULL : PG_GETARG_JSONB_P(5);
	char *filter = PG_ARGISNULL(6) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(6));
	List *columns = upg_names_argument(fcinfo, 3, "columns");
	List *except = upg_names_argument(fcinfo, 4, "except_columns");
	List *key = upg_names_argument(fcinfo, 2, "key");
	List *names[2];
	List *common = NIL;
	UpgCanonicalMode mode;
	uint64 seed;
	ListCell *lc;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(7))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("source, target and mode must not be null")));
	if (!PG_ARGISNULL(8) && PG_GETARG_INT32(8) < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("number of workers must not be negative")));
	InitMaterializedSRF(fcinfo, 0);
	cmp->result = (ReturnSetInfo *) fcinfo->resultinfo;
	cmp->workers = PG_ARGISNULL(8) ? -1 : PG_GETARG_INT32(8);
	cmp->hidden = upg_names_argument(fcinfo, 9, "redact");
	mode = upg_canonical_mode(text_to_cstring(PG_GETARG_TEXT_PP(7)));

	/* a seed of this run alone, so that nobody can have prepared collisions for it */
	if (!pg_strong_random(&seed, sizeof(seed)))
		ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
						errmsg("could not generate a random seed")));

	for (int side = 0; side < 2; side++)
	{
		cmp->sources[side] = upg_source_open(PG_GETARG_OID(side), false, filter);
		names[side] = upg_job_names(cmp->sources[side], columns, except,
									side == 0 ? mapping : NULL);
	}
	foreach (lc, names[1])
		if (upg_name_in(names[0], lfirst(lc)))
			common = lappend(common, lfirst(lc));
	foreach (lc, except)
		if (get_attnum(cmp->sources[0]->relid, lfirst(lc)) == InvalidAttrNumber)
			(void) upg_source_attribute(cmp->sources[1], lfirst(lc));
	for (int side = 0; side < 2; side++)
	{
		cmp->jobs[side].mode = mode;
		cmp->jobs[side].seed = seed;
		upg_job_columns(&cmp->jobs[side], cmp->sources[side], common,
						side == 0 ? mapping : NULL);
	}
	match_columns(cmp, names);

	if (PG_ARGISNULL(2))
	{
		key = infer_key(cmp->sources[1], &cmp->jobs[1]);
		if (key == NIL)
			key = infer_key(cmp->sources[0], &cmp->jobs[0]);
		if (key == NIL)
			ereport(
				NOTICE,
				(errmsg("no unique key without nulls: comparing rows by their contents"),
				 errhint("Name the columns that identify a row with \"key\".")));
	}
	for (int side = 0; side < 2; side++)
		upg_job_keys(&cmp->jobs[side], key);

	compare_all(cmp);
	return (Datum) 0;
}
