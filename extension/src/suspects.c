/*-------------------------------------------------------------------------
 *
 * suspects.c
 *		Rows for clients that compare two databases: those of the keys that a
 *		sketch gave, packed into one value, and a sample of rows, from which such
 *		a client guesses how large a sketch must be.
 *
 * docs/verification.md specifies the bytes.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/suspects.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "common/pg_prng.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/predicate.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compare.h"
#include "compat.h"
#include "errors.h"

PG_FUNCTION_INFO_V1(upg_rows_packed);
PG_FUNCTION_INFO_V1(upg_table_sample);
PG_FUNCTION_INFO_V1(upg_sample_missing);

/* Begins packed rows; the digit is the version of the layout. */
#define ROWS_MAGIC "UPGRW1\n"

/* In place of the length of a text. */
#define LENGTH_NULL     0xffff
#define LENGTH_LEFT_OUT 0xfffe

/* A sample has a row of each so many blocks, and not more than so many rows. */
#define BLOCKS_PER_ROW 64
#define MIN_SAMPLE     32
#define MAX_SAMPLE     2000

/* Bytes of a stored sample: its header, and for each row print and part of a hash. */
#define SAMPLE_HEADER 12
#define SAMPLE_ENTRY  20

/* One row that was found, and its key. */
typedef struct PackedRow
{
	UpgSum key;
	UpgFoundRow *row;
} PackedRow;

static void
put_16(StringInfo out, uint16 v)
{
	char bytes[2];

	upg_store16(bytes, v);
	appendBinaryStringInfo(out, bytes, sizeof(bytes));
}

static void
put_32(StringInfo out, uint32 v)
{
	char bytes[4];

	upg_store32(bytes, v);
	appendBinaryStringInfo(out, bytes, sizeof(bytes));
}

static void
put_64(StringInfo out, uint64 v)
{
	char bytes[8];

	upg_store64(bytes, v);
	appendBinaryStringInfo(out, bytes, sizeof(bytes));
}

static void
put_print(StringInfo out, UpgSum print)
{
	unsigned char bytes[16];

	upg_sum_to_bytes(print, bytes);
	appendBinaryStringInfo(out, (char *) bytes, sizeof(bytes));
}

/* A text in the client's encoding: its length, and the bytes with a zero behind. */
static void
put_text(StringInfo out, char *text)
{
	int length = (int) strlen(text);
	char *sent = pg_server_to_client(text, length);

	if (sent != text)
		length = (int) strlen(sent);
	if (length >= LENGTH_LEFT_OUT)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("a text of %d bytes is too long to be shown", length)));
	put_16(out, (uint16) length);
	appendBinaryStringInfo(out, sent, length + 1);
	if (sent != text)
		pfree(sent);
}

static int
compare_sums(UpgSum a, UpgSum b)
{
	if (a.hi != b.hi)
		return a.hi < b.hi ? -1 : 1;
	return a.lo < b.lo ? -1 : a.lo > b.lo;
}

static int
compare_packed(const void *pa, const void *pb)
{
	const PackedRow *a = pa;
	const PackedRow *b = pb;
	int cmp = compare_sums(a->key, b->key);

	return cmp != 0 ? cmp : compare_sums(a->row->hash, b->row->hash);
}

/*
 * collect_rows
 *		The rows that were found, in the order of the prints of their keys and of
 *		their own.
 */
static PackedRow *
collect_rows(UpgRowFinder *finder, int *count)
{
	int size = 256;
	PackedRow *rows = palloc(sizeof(PackedRow) * size);
	HASH_SEQ_STATUS seq;
	UpgFoundKey *entry;

	*count = 0;
	hash_seq_init(&seq, finder->keys);
	while ((entry = hash_seq_search(&seq)) != NULL)
		for (UpgFoundRow *row = entry->rows[0]; row; row = row->next)
		{
			if (*count == size)
			{
				size *= 2;
				rows = repalloc_huge(rows, sizeof(PackedRow) * size);
			}
			rows[*count].key = entry->key;
			rows[(*count)++].row = row;
		}
	qsort(rows, *count, sizeof(PackedRow), compare_packed);
	return rows;
}

/*
 * pack_row
 *		Append a row that is there so many times.
 */
static void
pack_row(StringInfo out, UpgRowFinder *finder, const PackedRow *packed, uint32 copies)
{
	UpgFoundRow *row = packed->row;

	put_print(out, packed->key);
	put_print(out, row->hash);
	put_32(out, copies);
	for (int c = 0; c < finder->ncolumns; c++)
	{
		if (row->texts[c] == NULL)
		{
			put_16(out, LENGTH_NULL);
			continue;
		}
		if (row->texts[c] == upg_left_out)
			put_16(out, LENGTH_LEFT_OUT);
		else
			put_text(out, row->texts[c]);
		put_64(out, row->column_hashes[c].hi);
	}
}

/*
 * pack_rows
 *		All rows that were found, as one value.
 */
static bytea *
pack_rows(UpgRowFinder *finder)
{
	StringInfoData out;
	PackedRow *rows;
	uint32 distinct = 0;
	int count_at;
	int n;

	initStringInfo(&out);
	appendStringInfoSpaces(&out, VARHDRSZ);
	appendBinaryStringInfo(&out, ROWS_MAGIC, 8);
	put_16(&out, (uint16) finder->ncolumns);
	put_16(&out, (uint16) finder->nkeys);
	count_at = out.len;
	put_32(&out, 0);
	for (int c = 0; c < finder->ncolumns; c++)
		put_text(&out, unconstify(char *, finder->names[c]));
	for (int k = 0; k < finder->nkeys; k++)
		put_16(&out, (uint16) finder->key_columns[k]);

	rows = collect_rows(finder, &n);
	for (int i = 0; i < n;)
	{
		int first = i;

		while (i < n && compare_packed(&rows[first], &rows[i]) == 0)
			i++;
		pack_row(&out, finder, &rows[first], (uint32) (i - first));
		distinct++;
	}
	upg_store32(out.data + count_at, distinct);
	SET_VARSIZE(out.data, out.len);
	return (bytea *) out.data;
}

/*
 * want_prints
 *		Look for keys whose prints lie "step" bytes apart.
 */
static void
want_prints(UpgRowFinder *finder, const char *prints, int count, int step, bool expected)
{
	for (int i = 0; i < count; i++)
	{
		UpgSum key = upg_sum_from_bytes((const unsigned char *) prints + (Size) step * i);

		upg_row_finder_want(finder, key)->expected[0] = expected;
	}
}

/*
 * upg_rows_packed
 *		The rows of the given keys, with what is needed to compare and to show them.
 *
 * Arguments: relation, prints, key, columns, filter, except_columns, mapping,
 * mode, seed, only_this, longest, shown.
 */
Datum
upg_rows_packed(PG_FUNCTION_ARGS)
{
	UpgScanJob job;
	UpgSource *source;
	UpgRowFinder *finder;
	bytea *prints;
	Size length;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(10))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("prints and longest must not be null")));
	prints = PG_GETARG_BYTEA_PP(1);
	length = VARSIZE_ANY_EXHDR(prints);
	if (length % 16 != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("a print is 16 bytes long, and %zu bytes are no number of "
							   "prints",
							   length)));
	if (PG_GETARG_INT32(10) < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("longest must not be negative")));
	source = upg_prepare_job(fcinfo, 2, &job);
	finder = upg_row_finder();
	finder->longest = Min(PG_GETARG_INT32(10), UPG_MAX_SHOWN);
	finder->all_shown = PG_ARGISNULL(11);
	finder->shown = upg_names_argument(fcinfo, 11, "shown");

	/* a null in a key makes a fingerprint of it, which no index finds */
	want_prints(finder, VARDATA_ANY(prints), (int) (length / 16), 16,
				upg_job_key_nullable(source, &job));
	if (length > 0)
		upg_row_finder_read(finder, source, &job, 0);
	PG_RETURN_BYTEA_P(pack_rows(finder));
}

/*
 * put_sampled
 *		Append some row of a block, if there is one; returns how many rows are there.
 */
static int
put_sampled(StringInfo out, UpgScanPlan *plan, Relation rel, BlockNumber block,
			pg_prng_state *random)
{
	OffsetNumber offsets[MaxHeapTuplesPerPage];
	Buffer buffer = ReadBuffer(rel, block);
	int n = upg_list_visible(GetActiveSnapshot(), rel, buffer, offsets);

	if (n > 0)
	{
		OffsetNumber chosen = offsets[pg_prng_uint64_range(random, 0, (uint64) n - 1)];
		Page page = BufferGetPage(buffer);
		HeapTupleHeader tuple =
			(HeapTupleHeader) PageGetItem(page, PageGetItemId(page, chosen));
		UpgSum hash = upg_row_hash(plan->row, tuple);

		upg_row_walk(plan->row, tuple);
		put_print(out, upg_scan_key(plan, hash));
		put_32(out, (uint32) hash.lo);
	}
	ReleaseBuffer(buffer);
	return n;
}

/*
 * sample_member
 *		Append rows of one heap table, one of each BLOCKS_PER_ROW blocks or fewer;
 *		returns about how many rows the table has.
 */
static double
sample_member(StringInfo out, const UpgScanJob *job, Oid relid, double share,
			  pg_prng_state *random)
{
	Relation rel = table_open(relid, NoLock);
	UpgScanPlan *plan = upg_scan_plan(job, RelationGetDescr(rel));
	BlockNumber nblocks = RelationGetNumberOfBlocks(rel);
	int wanted = (int) (nblocks * share);
	double rows = 0;

	PredicateLockRelation(rel, GetActiveSnapshot());
	for (int i = 0; i < wanted; i++)
	{
		/* somewhere in each of as many stretches of the table */
		uint64 first = (uint64) nblocks * i / wanted;
		uint64 last = (uint64) nblocks * (i + 1) / wanted - 1;

		CHECK_FOR_INTERRUPTS();
		rows +=
			put_sampled(out, plan, rel,
						(BlockNumber) pg_prng_uint64_range(random, first, last), random);
	}
	table_close(rel, NoLock);
	return wanted > 0 ? rows / wanted * nblocks : 0;
}

/*
 * upg_sample
 *		Some rows, to be looked for in another table; NULL if the table is small, or
 *		if rows of this one are not looked up through an index.
 */
bytea *
upg_sample(UpgSource *source, const UpgScanJob *job)
{
	pg_prng_state random;
	StringInfoData out;
	double blocks = 0;
	double rows = 0;
	double share;
	ListCell *lc;

	if (!upg_row_finder_by_index(source, job, 1))
		return NULL;
	upg_source_check_privileges(source, job);
	foreach (lc, source->members)
	{
		Relation rel = table_open(lfirst_oid(lc), NoLock);

		blocks += RelationGetNumberOfBlocks(rel);
		table_close(rel, NoLock);
	}
	if (blocks < MIN_SAMPLE * BLOCKS_PER_ROW)
		return NULL;
	share = Min(MAX_SAMPLE / blocks, 1.0 / BLOCKS_PER_ROW);

	initStringInfo(&out);
	appendStringInfoSpaces(&out, VARHDRSZ + SAMPLE_HEADER);
	pg_prng_seed(&random, job->seed);
	foreach (lc, source->members)
		rows += sample_member(&out, job, lfirst_oid(lc), share, &random);
	upg_store64(out.data + VARHDRSZ, (uint64) rows);
	upg_store32(out.data + VARHDRSZ + 8,
				(uint32) ((out.len - VARHDRSZ - SAMPLE_HEADER) / SAMPLE_ENTRY));
	SET_VARSIZE(out.data, out.len);
	return (bytea *) out.data;
}

/* Is a row with this part of a hash among those of a key? */
static bool
has_row(const UpgFoundKey *key, const char *part)
{
	for (const UpgFoundRow *row = key->rows[0]; row; row = row->next)
	{
		char bytes[4];

		upg_store32(bytes, (uint32) row->hash.lo);
		if (memcmp(bytes, part, sizeof(bytes)) == 0)
			return true;
	}
	return false;
}

/*
 * upg_sample_lookup
 *		How many rows of a sample of another table this one does not have; -1 if they
 *		cannot be looked up through an index.
 *
 * *rows is about how many there are in all of the other table, for each one missing.
 */
int
upg_sample_lookup(const bytea *sample, UpgSource *source, const UpgScanJob *job,
				  double *rows)
{
	Size size = VARSIZE_ANY_EXHDR(sample);
	const char *bytes = VARDATA_ANY(sample);
	const char *entries = bytes + SAMPLE_HEADER;
	UpgRowFinder *finder;
	int count;
	int missing = 0;

	if (size < SAMPLE_HEADER || (size - SAMPLE_HEADER) % SAMPLE_ENTRY != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION), errmsg("invalid sample"),
				 errhint("Make it with upg_table_sample().")));
	count = (int) ((size - SAMPLE_HEADER) / SAMPLE_ENTRY);
	*rows = count > 0 ? (double) upg_load64(bytes) / count : 0;
	if (!upg_row_finder_by_index(source, job, 1))
		return -1;

	finder = upg_row_finder();
	finder->rows_only = true;
	want_prints(finder, entries, count, SAMPLE_ENTRY, false);
	upg_row_finder_look_up(finder, source, job);
	for (int i = 0; i < count; i++)
	{
		const char *entry = entries + (Size) SAMPLE_ENTRY * i;
		UpgSum key = upg_sum_from_bytes((const unsigned char *) entry);

		missing += !has_row(upg_row_finder_want(finder, key), entry + 16);
	}
	return missing;
}

/*
 * upg_table_sample
 *		upg_sample() as a function.
 *
 * Arguments: relation, key, columns, filter, except_columns, mapping, mode,
 * seed, only_this.
 */
Datum
upg_table_sample(PG_FUNCTION_ARGS)
{
	UpgScanJob job;
	UpgSource *source = upg_prepare_job(fcinfo, 1, &job);
	bytea *sample = upg_sample(source, &job);

	if (sample == NULL)
		PG_RETURN_NULL();
	PG_RETURN_BYTEA_P(sample);
}

/*
 * upg_sample_missing
 *		About how many rows of the table that a sample is of are not in this one, and
 *		by how many rows of the sample that is known.
 *
 * Arguments: relation, sample, key, columns, filter, except_columns, mapping, mode,
 * seed, only_this.
 */
Datum
upg_sample_missing(PG_FUNCTION_ARGS)
{
	TupleDesc desc;
	UpgScanJob job;
	UpgSource *source;
	Datum values[2];
	bool nulls[2] = {false};
	double rows;
	int missing;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (PG_ARGISNULL(1))
		PG_RETURN_NULL();
	source = upg_prepare_job(fcinfo, 2, &job);
	missing = upg_sample_lookup(PG_GETARG_BYTEA_PP(1), source, &job, &rows);
	if (missing < 0)
		PG_RETURN_NULL();
	values[0] = Int32GetDatum(missing);
	values[1] = Int64GetDatum((int64) (missing * rows));
	PG_RETURN_DATUM(
		HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
