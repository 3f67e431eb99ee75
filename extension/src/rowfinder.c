/*-------------------------------------------------------------------------
 *
 * rowfinder.c
 *		Reading again the rows whose keys a sketch gave.
 *
 * A few keys that are written out in the sketch are looked up through an index.
 * Otherwise, and for keys that are fingerprints, the relation is scanned once
 * more and each row's key looked up in a hash table.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/rowfinder.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/tupmacs.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "access/relation.h"

#include "compare.h"
#include "compat.h"
#include "errors.h"
#include "ledger.h"

/* Looking up a key costs about as much as scanning this many rows. */
#define ROWS_PER_LOOKUP 100

/* As many keys as this are looked up however small the relation. */
#define MIN_LOOKUPS 1000

/* More keys than this are looked up in several queries. */
#define LOOKUP_BATCH 5000

/* In place of the text of a value that is not to be shown. */
char upg_left_out[] = "";

/*
 * upg_row_finder
 *		A finder that looks for nothing yet, in CurrentMemoryContext.
 */
UpgRowFinder *
upg_row_finder(void)
{
	UpgRowFinder *finder = palloc0(sizeof(UpgRowFinder));
	HASHCTL ctl;

	finder->context = CurrentMemoryContext;
	finder->longest = UPG_MAX_SHOWN;
	finder->all_shown = true;
	memset(&ctl, 0, sizeof(ctl));
	ctl.keysize = sizeof(UpgSum);
	ctl.entrysize = sizeof(UpgFoundKey);
	ctl.hcxt = CurrentMemoryContext;
	finder->keys =
		hash_create("upg keys to find", 256, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	return finder;
}

/*
 * upg_row_finder_want
 *		Look for a key.
 */
UpgFoundKey *
upg_row_finder_want(UpgRowFinder *finder, UpgSum key)
{
	bool found;
	UpgFoundKey *entry = hash_search(finder->keys, &key, HASH_ENTER, &found);

	if (!found)
	{
		memset(entry->expected, 0, sizeof(entry->expected));
		entry->rows[0] = entry->rows[1] = NULL;
	}
	return entry;
}

/*
 * learn_columns
 *		Remember names and key columns from a plan; both sides have the same.
 */
static void
learn_columns(UpgRowFinder *finder, UpgScanPlan *plan)
{
	UpgRowPlan *row = plan->row;
	MemoryContext old;

	if (finder->names)
		return;
	old = MemoryContextSwitchTo(finder->context);
	finder->ncolumns = row->ncolumns;
	finder->names = palloc(sizeof(char *) * Max(row->ncolumns, 1));
	finder->outputs = palloc0(sizeof(UpgOutput) * Max(row->ncolumns, 1));
	for (int c = 0; c < row->ncolumns; c++)
	{
		finder->names[c] = pstrdup(row->columns[c].name);
		finder->outputs[c].shown =
			finder->all_shown || upg_name_in(finder->shown, finder->names[c]);
	}
	finder->key_form = plan->key_form;
	finder->nkeys = plan->key ? plan->key->ncolumns : 0;
	finder->key_columns = palloc(sizeof(int) * Max(finder->nkeys, 1));
	finder->key_encoders = palloc(sizeof(UpgEncoder *) * Max(finder->nkeys, 1));
	for (int k = 0; k < finder->nkeys; k++)
	{
		finder->key_encoders[k] = palloc(sizeof(UpgEncoder));
		*finder->key_encoders[k] = *plan->key->columns[k].encoder;
		for (int c = 0; c < row->ncolumns; c++)
			if (row->columns[c].position == plan->key->columns[k].position)
				finder->key_columns[k] = c;
	}
	MemoryContextSwitchTo(old);
}

/*
 * show_value
 *		A value as text; a long one is left out, or cut, and says so.
 */
static char *
show_value(UpgRowFinder *finder, int c, UpgEncoder *enc, const char *value)
{
	UpgOutput *output = &finder->outputs[c];
	bool leave_out = finder->longest < UPG_MAX_SHOWN;
	char *text;
	Size length;

	if (!output->shown ||
		(leave_out && enc->typlen == -1 &&
		 toast_raw_datum_size(PointerGetDatum(value)) > finder->longest + VARHDRSZ))
		return upg_left_out;
	if (output->typid != enc->typid)
	{
		Oid function;
		bool varlena;

		getTypeOutputInfo(enc->typid, &function, &varlena);
		fmgr_info_cxt(function, &output->function, finder->context);
		output->typid = enc->typid;
	}
	text = OutputFunctionCall(&output->function,
							  fetch_att(value, enc->typbyval, enc->typlen));
	length = strlen(text);
	if (length <= finder->longest)
		return text;
	if (!leave_out)
	{
		int clipped = pg_mbcliplen(text, (int) length, UPG_MAX_SHOWN - 64);
		char *cut = psprintf("%.*s... (%zu bytes)", clipped, text, length);

		pfree(text);
		return cut;
	}
	pfree(text);
	return upg_left_out;
}

/*
 * take_row
 *		Keep a row that has just been hashed.
 */
static void
take_row(UpgRowFinder *finder, UpgFoundKey *entry, UpgScanPlan *plan, UpgSum hash)
{
	MemoryContext old = MemoryContextSwitchTo(finder->context);
	UpgFoundRow *found = palloc0(sizeof(UpgFoundRow));
	UpgRowPlan *row = plan->row;

	learn_columns(finder, plan);
	found->hash = hash;
	found->next = entry->rows[finder->side];
	entry->rows[finder->side] = found;
	if (finder->rows_only)
	{
		MemoryContextSwitchTo(old);
		return;
	}
	found->texts = palloc0(sizeof(char *) * Max(row->ncolumns, 1));
	found->column_hashes = palloc0(sizeof(UpgSum) * Max(row->ncolumns, 1));
	for (int c = 0; c < row->ncolumns; c++)
	{
		const char *value = row->where[row->columns[c].position];

		if (value == NULL)
			continue;
		found->column_hashes[c] = upg_column_hash_walked(row, c);
		found->texts[c] = show_value(finder, c, row->columns[c].encoder, value);
	}
	MemoryContextSwitchTo(old);
}

/* Row callback of the scans. */
static void
consider_row(void *arg, UpgScanPlan *plan, UpgSum hash, HeapTuple tuple)
{
	UpgRowFinder *finder = arg;
	UpgSum key = upg_scan_key(plan, hash);
	UpgFoundKey *entry = hash_search(finder->keys, &key, HASH_FIND, NULL);

	if (entry == NULL && finder->suspects)
	{
		const UpgSketch *left = finder->suspects;
		UpgSketchPlace place;

		if (left->buckets > 1 &&
			upg_sketch_bucket(key, left->seed, left->buckets) != left->bucket)
			return;
		place = upg_sketch_place(hash, (uint32) left->ncells / 3);
		for (int i = 0; i < 3; i++)
			if (upg_sketch_cell_is_empty(&left->cells[place.cell[i]]))
				return;
		entry = upg_row_finder_want(finder, key);
	}
	if (entry)
		take_row(finder, entry, plan, hash);
}

/*
 * has_key_index
 *		Whether some index finds rows by exactly these columns.
 */
static bool
has_key_index(UpgSource *source, const UpgScanJob *job)
{
	Relation rel = relation_open(source->relid, NoLock);
	List *indexes = RelationGetIndexList(rel);
	bool found = false;
	ListCell *lc;

	foreach (lc, indexes)
	{
		Relation index = index_open(lfirst_oid(lc), AccessShareLock);
		Form_pg_index form = index->rd_index;
		int matched = 0;

		if (form->indisvalid && index->rd_rel->relam == BTREE_AM_OID &&
			form->indnkeyatts >= job->nkeys && RelationGetIndexPredicate(index) == NIL)
		{
			for (int i = 0; i < job->nkeys; i++)
			{
				AttrNumber attnum = form->indkey.values[i];

				for (int k = 0; k < job->nkeys; k++)
					if (attnum != 0 &&
						attnum ==
							get_attnum(source->relid, job->columns[job->keys[k]].attname))
						matched++;
			}
			found = matched == job->nkeys;
		}
		index_close(index, AccessShareLock);
		if (found)
			break;
	}
	relation_close(rel, NoLock);
	return found;
}

/*
 * decode_key
 *		The values of a key that is written out; false if this relation's types
 *		cannot hold them.
 */
static bool
decode_key(UpgSum key, UpgScanPlan *plan, Datum *values)
{
	char bytes[16];
	const char *p = bytes;

	upg_store64(bytes, key.lo);
	upg_store64(bytes + 8, key.hi);
	for (int k = 0; k < plan->key->ncolumns; k++)
	{
		UpgEncoder *enc = plan->key->columns[k].encoder;
		uint64 raw = 0;
		int width = upg_scan_key_width(enc);

		if (enc->kind == UPG_ENC_BYTES)
		{
			values[k] = PointerGetDatum(memcpy(palloc(width), p, width));
			p += width;
			continue;
		}
		for (int i = 0; i < width; i++)
			raw |= (uint64) (unsigned char) p[i] << (8 * i);
		p += width;
		switch (enc->typlen)
		{
			case 1:
				values[k] = CharGetDatum((char) raw);
				break;
			case 2:
				if (enc->kind == UPG_ENC_WIDE2 && (int64) raw != (int16) raw)
					return false;
				values[k] = Int16GetDatum((int16) raw);
				break;
			case 4:
				if (enc->kind == UPG_ENC_WIDE4 && (int64) raw != (int32) raw)
					return false;
				values[k] = Int32GetDatum((int32) raw);
				break;
			default:
				values[k] = Int64GetDatum((int64) raw);
				break;
		}
	}
	return true;
}

/*
 * look_up_batch
 *		Fetch rows by "count" keys, given as one array of values per key column.
 */
static void
look_up_batch(UpgRowFinder *finder, UpgSource *source, const UpgScanJob *job,
			  UpgScanPlan *plan, Datum **columns, int count)
{
	Oid *types = palloc(sizeof(Oid) * job->nkeys);
	Datum *args = palloc(sizeof(Datum) * job->nkeys);
	UpgChecksum ignored;
	StringInfoData where;

	initStringInfo(&where);
	for (int k = 0; k < job->nkeys; k++)
	{
		UpgEncoder *enc = plan->key->columns[k].encoder;

		types[k] = get_array_type(enc->typid);
		args[k] = PointerGetDatum(construct_array(
			columns[k], count, enc->typid, enc->typlen, enc->typbyval, enc->typalign));
	}
	if (job->nkeys == 1)
		appendStringInfo(&where, "%s OPERATOR(pg_catalog.=) ANY ($1)",
						 quote_identifier(job->columns[job->keys[0]].attname));
	else
	{
		appendStringInfoString(&where, "EXISTS (SELECT FROM ROWS FROM (");
		for (int k = 0; k < job->nkeys; k++)
			appendStringInfo(&where, "%spg_catalog.unnest($%d)", k > 0 ? ", " : "",
							 k + 1);
		appendStringInfoString(&where, ") AS upg_wanted(");
		for (int k = 0; k < job->nkeys; k++)
			appendStringInfo(&where, "%supg_k%d", k > 0 ? ", " : "", k);
		appendStringInfoString(&where, ") WHERE ");
		for (int k = 0; k < job->nkeys; k++)
			appendStringInfo(&where, "%s%s.%s OPERATOR(pg_catalog.=) upg_wanted.upg_k%d",
							 k > 0 ? " AND " : "",
							 quote_identifier(get_rel_name(source->relid)),
							 quote_identifier(job->columns[job->keys[k]].attname), k);
		appendStringInfoChar(&where, ')');
	}
	memset(&ignored, 0, sizeof(ignored));
	upg_source_query_scan(source, job, where.data, job->nkeys, types, args, &ignored,
						  NULL, consider_row, finder);
	pfree(where.data);
}

/*
 * upg_row_finder_look_up
 *		Fetch the wanted keys of side 0, or the one being read, through an index.
 */
void
upg_row_finder_look_up(UpgRowFinder *finder, UpgSource *source, const UpgScanJob *job)
{
	UpgScanPlan *plan = upg_scan_plan(job, source->desc);
	Datum **columns = palloc(sizeof(Datum *) * job->nkeys);
	Datum *values = palloc(sizeof(Datum) * job->nkeys);
	HASH_SEQ_STATUS seq;
	UpgFoundKey *entry;
	int count = 0;

	for (int k = 0; k < job->nkeys; k++)
		columns[k] = palloc(sizeof(Datum) * LOOKUP_BATCH);
	hash_seq_init(&seq, finder->keys);
	while ((entry = hash_seq_search(&seq)) != NULL)
	{
		if (!decode_key(entry->key, plan, values))
			continue;
		for (int k = 0; k < job->nkeys; k++)
			columns[k][count] = values[k];
		if (++count == LOOKUP_BATCH)
		{
			look_up_batch(finder, source, job, plan, columns, count);
			count = 0;
		}
	}
	if (count > 0)
		look_up_batch(finder, source, job, plan, columns, count);
}

/* Forget the rows of one side. */
static void
forget_side(UpgRowFinder *finder, int side)
{
	HASH_SEQ_STATUS seq;
	UpgFoundKey *entry;

	hash_seq_init(&seq, finder->keys);
	while ((entry = hash_seq_search(&seq)) != NULL)
		entry->rows[side] = NULL;
}

/* Whether a key that must be on this side was not found there. */
static bool
something_missing(UpgRowFinder *finder, int side)
{
	HASH_SEQ_STATUS seq;
	UpgFoundKey *entry;
	bool missing = false;

	hash_seq_init(&seq, finder->keys);
	while ((entry = hash_seq_search(&seq)) != NULL)
		if (entry->expected[side] && entry->rows[side] == NULL)
			missing = true;
	return missing;
}

/* How many keys are cheaper to look up than to find by a scan. */
static double
most_lookups(UpgSource *source)
{
	double rows = 0;
	ListCell *lc;

	foreach (lc, source->members)
	{
		Relation rel = relation_open(lfirst_oid(lc), NoLock);

		rows += Max(rel->rd_rel->reltuples, 0);
		relation_close(rel, NoLock);
	}
	return Max(MIN_LOOKUPS, rows / ROWS_PER_LOOKUP);
}

/*
 * upg_row_finder_by_index
 *		Whether so many keys of this source are looked up and not looked for.
 */
bool
upg_row_finder_by_index(UpgSource *source, const UpgScanJob *job, long keys)
{
	return upg_source_is_direct(source, job) && keys <= most_lookups(source) &&
		   upg_scan_plan(job, source->desc)->key_form == UPG_KEY_DIRECT &&
		   has_key_index(source, job);
}

/*
 * upg_row_finder_read
 *		Read the wanted rows of one side.
 */
void
upg_row_finder_read(UpgRowFinder *finder, UpgSource *source, const UpgScanJob *job,
					int side)
{
	UpgChecksum ignored;

	finder->side = side;
	if (finder->suspects == NULL &&
		upg_row_finder_by_index(source, job, hash_get_num_entries(finder->keys)))
	{
		upg_row_finder_look_up(finder, source, job);
		if (!something_missing(finder, side))
			return;

		/* the key of some row has a null in it, so it is a fingerprint after all */
		forget_side(finder, side);
	}
	memset(&ignored, 0, sizeof(ignored));
	upg_source_scan(source, job, 0, &ignored, NULL, consider_row, finder);
}

/* Any row of a key, to read the key's values from. */
static UpgFoundRow *
any_row(const UpgFoundKey *entry)
{
	return entry->rows[0] ? entry->rows[0] : entry->rows[1];
}

/* One column of two keys that are written out: signed numbers, or bytes. */
static int
compare_column(const UpgEncoder *enc, const char **a, const char **b)
{
	int width = upg_scan_key_width(enc);
	int cmp = 0;

	if (enc->kind == UPG_ENC_BYTES)
		cmp = memcmp(*a, *b, width);
	else
	{
		for (int i = width - 1; i >= 0 && cmp == 0; i--)
		{
			int x = i == width - 1 ? (signed char) (*a)[i] : (unsigned char) (*a)[i];
			int y = i == width - 1 ? (signed char) (*b)[i] : (unsigned char) (*b)[i];

			cmp = x - y;
		}
	}
	*a += width;
	*b += width;
	return cmp;
}

/*
 * upg_row_finder_compare_direct
 *		Order of two keys that are written out.
 */
int
upg_row_finder_compare_direct(UpgSum a, UpgSum b, UpgEncoder *const *encoders, int nkeys)
{
	char xa[16], xb[16];
	const char *p = xa;
	const char *q = xb;
	int cmp = 0;

	upg_store64(xa, a.lo);
	upg_store64(xa + 8, a.hi);
	upg_store64(xb, b.lo);
	upg_store64(xb + 8, b.hi);
	for (int k = 0; k < nkeys && cmp == 0; k++)
		cmp = compare_column(encoders[k], &p, &q);
	return cmp;
}

static int
compare_keys(const void *pa, const void *pb, void *arg)
{
	UpgRowFinder *finder = arg;
	const UpgFoundKey *a = *(UpgFoundKey *const *) pa;
	const UpgFoundKey *b = *(UpgFoundKey *const *) pb;
	UpgFoundRow *ra = any_row(a);
	UpgFoundRow *rb = any_row(b);
	int cmp = 0;

	if (finder->key_form == UPG_KEY_DIRECT)
		cmp = upg_row_finder_compare_direct(a->key, b->key, finder->key_encoders,
											finder->nkeys);
	else
	{
		for (int k = 0; k < finder->nkeys && cmp == 0; k++)
		{
			const char *x = ra->texts[finder->key_columns[k]];
			const char *y = rb->texts[finder->key_columns[k]];

			cmp = x && y ? strcmp(x, y) : (x == NULL) - (y == NULL);
		}
		for (int c = 0; finder->nkeys == 0 && c < finder->ncolumns && cmp == 0; c++)
			cmp = ra->texts[c] && rb->texts[c]
					  ? strcmp(ra->texts[c], rb->texts[c])
					  : (ra->texts[c] == NULL) - (rb->texts[c] == NULL);
	}
	if (cmp == 0)
		cmp = a->key.hi < b->key.hi ? -1 : a->key.hi > b->key.hi;
	if (cmp == 0)
		cmp = a->key.lo < b->key.lo ? -1 : a->key.lo > b->key.lo;
	return cmp;
}

/*
 * upg_row_finder_sorted
 *		The keys of which rows were found, in a stable order: numbers and dates
 *		in theirs, other keys by their text.
 */
UpgFoundKey **
upg_row_finder_sorted(UpgRowFinder *finder, int *count)
{
	UpgFoundKey **list = MemoryContextAllocHuge(
		CurrentMemoryContext,
		sizeof(UpgFoundKey *) * Max(hash_get_num_entries(finder->keys), 1));
	HASH_SEQ_STATUS seq;
	UpgFoundKey *entry;

	*count = 0;
	hash_seq_init(&seq, finder->keys);
	while ((entry = hash_seq_search(&seq)) != NULL)
		if (any_row(entry))
			list[(*count)++] = entry;
	qsort_arg(list, *count, sizeof(UpgFoundKey *), compare_keys, finder);
	return list;
}
