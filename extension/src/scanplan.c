/*-------------------------------------------------------------------------
 *
 * scanplan.c
 *		How the rows of one tuple descriptor are hashed, and how the key of a
 *		row is written into a sketch.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/scanplan.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "port/pg_bswap.h"
#include "utils/memutils.h"

#include "errors.h"
#include "tablescan.h"

/*
 * find_attribute
 *		Position of a live attribute in "desc".
 */
static int
find_attribute(TupleDesc desc, const char *name)
{
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped && strcmp(NameStr(att->attname), name) == 0)
			return i;
	}
	ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
					errmsg("column \"%s\" does not exist", name)));
}

/*
 * upg_scan_key_width
 *		Bytes that a value takes in a key that is written out; 0 if it cannot.
 */
int
upg_scan_key_width(const UpgEncoder *enc)
{
	switch (enc->kind)
	{
		case UPG_ENC_RAW1:
		case UPG_ENC_BOOL:
			return 1;
		case UPG_ENC_RAW2:
			return 2;
		case UPG_ENC_RAW4:
			return 4;
		case UPG_ENC_RAW8:
		case UPG_ENC_WIDE2:
		case UPG_ENC_WIDE4:
			return 8;
		case UPG_ENC_BYTES:
			return enc->width;
		default:
			return 0;
	}
}

/*
 * upg_scan_plan
 *		Plan hashing rows of "desc"; allocates in CurrentMemoryContext.
 *
 * Whether a key is written out or fingerprinted follows from the types of its
 * columns alone, so two relations agree on it.
 */
UpgScanPlan *
upg_scan_plan(const UpgScanJob *job, TupleDesc desc)
{
	UpgScanPlan *plan = palloc0(sizeof(UpgScanPlan));
	int *positions = palloc(sizeof(int) * Max(Max(job->ncolumns, job->nkeys), 1));
	const char **names = palloc(sizeof(char *) * Max(Max(job->ncolumns, job->nkeys), 1));
	int width = 0;

	plan->key_offset = -1;
	plan->canon = upg_canonical_create(job->mode, job->seed);
	for (int i = 0; i < job->ncolumns; i++)
	{
		positions[i] = find_attribute(desc, job->columns[i].attname);
		names[i] = job->columns[i].name;
	}
	plan->row = upg_row_plan(plan->canon, desc, job->ncolumns, positions, names, true);
	if (job->nkeys == 0)
		return plan;

	for (int i = 0; i < job->nkeys; i++)
	{
		positions[i] = find_attribute(desc, job->columns[job->keys[i]].attname);
		names[i] = job->columns[job->keys[i]].name;
	}
	plan->key = upg_row_plan(plan->canon, desc, job->nkeys, positions, names, false);
	plan->key_form = UPG_KEY_DIRECT;
	for (int i = 0; i < job->nkeys; i++)
	{
		int w = upg_scan_key_width(plan->key->columns[i].encoder);

		if (w == 0)
			plan->key_form = UPG_KEY_PRINT;
		width += w;
	}
	if (width > 16)
		plan->key_form = UPG_KEY_PRINT;

	if (job->nkeys == 1 && (plan->key->columns[0].kind == UPG_ENC_RAW4 ||
							plan->key->columns[0].kind == UPG_ENC_RAW8))
	{
		plan->key_offset = plan->key->columns[0].offset;
		plan->key_width = plan->key->columns[0].encoder->typlen;
		plan->key_position = plan->key->columns[0].position;
	}

	/* one walk serves both: the longer one covers the shorter */
	if (plan->key->nwalk > plan->row->nwalk)
	{
		plan->row->nwalk = plan->key->nwalk;
		plan->row->walk = plan->key->walk;
		plan->row->where = plan->key->where;
	}
	else
		plan->key->where = plan->row->where;
	return plan;
}

/*
 * upg_scan_key
 *		The key of the row that has just been hashed to "hash".
 *
 * A key with a null in it is always fingerprinted; a reader who takes that for
 * values finds no such row, and looks for the fingerprint instead.
 */
UpgSum
upg_scan_key(UpgScanPlan *plan, UpgSum hash)
{
	UpgCanonical *canon = plan->canon;
	UpgRowPlan *key = plan->key;
	MemoryContext old;
	UpgSum result;

	if (key == NULL)
		return hash;

	if (plan->key_form == UPG_KEY_DIRECT)
	{
		char bytes[16] = {0};
		bool null = false;

		canon->used = 0;
		for (int c = 0; c < key->ncolumns && !null; c++)
		{
			const char *value = key->where[key->columns[c].position];

			if (value == NULL)
				null = true;
			else if (key->columns[c].encoder->kind == UPG_ENC_RAW4)
			{
				memcpy(canon->data + canon->used, value, 4);
#ifdef WORDS_BIGENDIAN
				upg_store32(canon->data + canon->used,
							*(uint32 *) (canon->data + canon->used));
#endif
				canon->used += 4;
			}
			else
				upg_encode_value(canon, key->columns[c].encoder, value);
		}
		if (!null)
		{
			memcpy(bytes, canon->data, canon->used);
			memcpy(&result.lo, bytes, 8);
			memcpy(&result.hi, bytes + 8, 8);
#ifdef WORDS_BIGENDIAN
			result.lo = pg_bswap64(result.lo);
			result.hi = pg_bswap64(result.hi);
#endif
			return result;
		}
	}

	old = MemoryContextSwitchTo(canon->scratch);
	canon->used = 0;
	upg_encode_row(canon, key);
	result = upg_hash128(canon->data, canon->used, canon->seed);
	MemoryContextSwitchTo(old);
	if (!canon->scratch->isReset)
		MemoryContextReset(canon->scratch);
	return result;
}
