/*-------------------------------------------------------------------------
 *
 * canonical.c
 *		Row plans: which columns a row is encoded from, in which order, and
 *		the hash of the encoding.
 *
 * A row is encoded as
 *
 *		version and mode (1 byte), number of columns (2), null map, values
 *
 * with the columns in the order of their names.  Nothing of the physical row
 * enters: dropped columns are skipped, columns added later are filled from
 * their stored default, and how a value is packed, compressed or moved out of
 * line does not matter.  Hence the two steps: a walk over the tuple that only
 * finds where each attribute is, then the encoding in canonical order.
 *
 * A plan belongs to one tuple descriptor.  It and everything it caches live in
 * the context that was current when it was made.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/canonical.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/tupmacs.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "port/pg_bswap.h"
#include "utils/memutils.h"

#include "canonical.h"
#include "compat.h"
#include "errors.h"

/*
 * upg_canonical_create
 *		Begin encoding in one mode with one seed.
 *
 * The result lives in CurrentMemoryContext, as do the plans made for it.
 */
UpgCanonical *
upg_canonical_create(UpgCanonicalMode mode, uint64 seed)
{
	UpgCanonical *canon = palloc0(sizeof(UpgCanonical));

	canon->mode = mode;
	canon->seed = seed;
	canon->convert = GetDatabaseEncoding() != PG_UTF8;
	canon->keep = CurrentMemoryContext;
	canon->scratch =
		AllocSetContextCreate(CurrentMemoryContext, "upg canonical row", ALLOCSET_SMALL_SIZES);
	canon->size = 8192;
	canon->data = palloc(canon->size);
	return canon;
}

/*
 * upg_canonical_grow
 *		Out of line part of upg_canonical_reserve().
 */
void
upg_canonical_grow(UpgCanonical *canon, Size more)
{
	Size		size = canon->size;

	while (size - canon->used < more)
		size *= 2;
	canon->data = repalloc_huge(canon->data, size);
	canon->size = size;
}

/*
 * upg_canonical_mode
 *		Read the name of a mode.
 */
UpgCanonicalMode
upg_canonical_mode(const char *name)
{
	if (strcmp(name, "strict") == 0)
		return UPG_MODE_STRICT;
	if (strcmp(name, "semantic") == 0)
		return UPG_MODE_SEMANTIC;
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("unrecognized checksum mode \"%s\"", name),
					errhint("Modes are \"strict\" and \"semantic\".")));
}

const char *
upg_canonical_mode_name(UpgCanonicalMode mode)
{
	return mode == UPG_MODE_STRICT ? "strict" : "semantic";
}

/* Order columns by name, then by position. */
static int
compare_columns(const void *a, const void *b)
{
	const UpgColumn *x = a;
	const UpgColumn *y = b;
	int			cmp = strcmp(x->name, y->name);

	if (cmp != 0)
		return cmp;
	return x->position < y->position ? -1 : x->position > y->position;
}

/*
 * plan_walk
 *		Note what the walk over a tuple needs to know of attribute "i".
 */
static void
plan_walk(UpgRowPlan *plan, TupleDesc desc, int i, int *offset)
{
	Form_pg_attribute att = TupleDescAttr(desc, i);
	UpgWalk    *walk = &plan->walk[i];

	walk->attlen = att->attlen;
	walk->attalign = att->attalign;
	walk->offset = -1;
	if (*offset >= 0 && att->attlen > 0)
	{
		*offset = att_align_nominal(*offset, att->attalign);
		walk->offset = *offset;
		*offset += att->attlen;
	}
	else
	{
		/* the first varying attribute still has a fixed place if no padding can precede it */
		if (*offset >= 0 && *offset == att_align_nominal(*offset, att->attalign))
			walk->offset = *offset;
		*offset = -1;
	}

	if (att->atthasmissing && !att->attisdropped)
	{
		bool		isnull;
		Datum		value = getmissingattr(desc, i + 1, &isnull);

		if (!isnull && att->attbyval)
		{
			char	   *store = palloc0(sizeof(Datum));

			store_att_byval(store, value, att->attlen);
			walk->missing = store;
		}
		else if (!isnull)
			walk->missing = DatumGetPointer(value);
	}
}

/*
 * upg_row_plan
 *		Plan the encoding of "ncolumns" attributes of "desc".
 *
 * "positions" are attribute numbers less one, "names" what the columns are
 * compared under, or NULL for their names in "desc".  With "sort" they are put in
 * the order of these names, else they stay in the order given.  A type that has no canonical form is an error
 * that names column and type.  "desc" must outlive the plan.
 */
UpgRowPlan *
upg_row_plan(UpgCanonical *canon, TupleDesc desc, int ncolumns, const int *positions,
			 const char *const *names, bool sort)
{
	MemoryContext old = MemoryContextSwitchTo(canon->keep);
	UpgRowPlan *plan = palloc0(sizeof(UpgRowPlan));
	StringInfoData sig;
	int			offset = 0;

	plan->canon = canon;
	plan->ncolumns = ncolumns;
	plan->columns = palloc0(sizeof(UpgColumn) * Max(ncolumns, 1));
	for (int c = 0; c < ncolumns; c++)
	{
		UpgColumn  *col = &plan->columns[c];
		Form_pg_attribute att = TupleDescAttr(desc, positions[c]);

		col->position = positions[c];
		col->name = pstrdup(names ? names[c] : NameStr(att->attname));
		col->encoder = upg_encoder_for_type(canon, att->atttypid, col->name);
		plan->nwalk = Max(plan->nwalk, positions[c] + 1);
	}
	if (sort)
		qsort(plan->columns, ncolumns, sizeof(UpgColumn), compare_columns);

	plan->walk = palloc0(sizeof(UpgWalk) * Max(plan->nwalk, 1));
	plan->where = palloc0(sizeof(char *) * Max(plan->nwalk, 1));
	for (int i = 0; i < plan->nwalk; i++)
		plan_walk(plan, desc, i, &offset);

	plan->prefix_size = 3 + (ncolumns + 7) / 8;
	plan->prefix = palloc0(plan->prefix_size);
	plan->prefix[0] = (char) (UPG_CANONICAL_VERSION << 1 | canon->mode);
	upg_store16(plan->prefix + 1, (uint16) ncolumns);
	for (int c = 0; c < ncolumns; c++)
		plan->prefix[3 + c / 8] |= 1 << (c % 8);

	initStringInfo(&sig);
	for (int c = 0; c < ncolumns; c++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, plan->columns[c].position);

		appendStringInfoString(&sig, plan->columns[c].name);
		appendStringInfoChar(&sig, '\0');
		upg_type_signature(&sig, canon->mode, att->atttypid);
		appendStringInfoChar(&sig, '\0');
	}
	plan->signature = upg_hash128(sig.data, sig.len, 0).lo;
	pfree(sig.data);

	MemoryContextSwitchTo(old);
	return plan;
}

/*
 * upg_row_plan_all
 *		Plan the encoding of all live columns of "desc", ordered by name.
 */
UpgRowPlan *
upg_row_plan_all(UpgCanonical *canon, TupleDesc desc)
{
	int		   *positions = palloc(sizeof(int) * Max(desc->natts, 1));
	const char **names = palloc(sizeof(char *) * Max(desc->natts, 1));
	int			n = 0;
	UpgRowPlan *plan;

	for (int i = 0; i < desc->natts; i++)
	{
		if (TupleDescAttr(desc, i)->attisdropped)
			continue;
		positions[n] = i;
		names[n++] = NameStr(TupleDescAttr(desc, i)->attname);
	}
	plan = upg_row_plan(canon, desc, n, positions, names, true);
	pfree(positions);
	pfree(names);
	return plan;
}

/*
 * upg_row_walk
 *		Find the attributes of a tuple; the tuple must stay where it is until
 *		the row has been encoded.
 */
void
upg_row_walk(UpgRowPlan *plan, HeapTupleHeader tuple)
{
	const char *data = (const char *) tuple + tuple->t_hoff;
	const bits8 *nulls = (tuple->t_infomask & HEAP_HASNULL) ? tuple->t_bits : NULL;
	int			stored = Min(HeapTupleHeaderGetNatts(tuple), plan->nwalk);
	const UpgWalk *walk = plan->walk;
	const char **where = plan->where;
	Size		offset = 0;
	bool		fixed = nulls == NULL;
	int			i;

	for (i = 0; i < stored; i++)
	{
		int16		len = walk[i].attlen;

		if (nulls && att_isnull(i, nulls))
		{
			where[i] = NULL;
			continue;
		}
		if (fixed && walk[i].offset >= 0)
			offset = walk[i].offset;
		else
		{
			fixed = false;
			offset = att_align_pointer(offset, walk[i].attalign, len, data + offset);
		}
		where[i] = data + offset;
		offset = att_addlength_pointer(offset, len, data + offset);
	}
	for (; i < plan->nwalk; i++)
		where[i] = walk[i].missing;
}

/*
 * upg_row_datums
 *		Take a row from arrays of datums instead of a tuple.
 *
 * "store" has room for one uint64 per value; it and the arrays must stay until
 * the row has been encoded.
 */
void
upg_row_datums(UpgRowPlan *plan, const Datum *values, const bool *nulls, uint64 *store)
{
	for (int c = 0; c < plan->ncolumns; c++)
	{
		int			i = plan->columns[c].position;
		UpgEncoder *enc = plan->columns[c].encoder;

		if (nulls[i])
			plan->where[i] = NULL;
		else if (enc->typbyval)
		{
			store_att_byval(&store[i], values[i], enc->typlen);
			plan->where[i] = (const char *) &store[i];
		}
		else
			plan->where[i] = DatumGetPointer(values[i]);
	}
}

/*
 * encode_short
 *		Encode the kinds that ordinary rows are made of; false if this one
 *		needs the general code.
 *
 * The caller has reserved UPG_CANONICAL_VALUE_MAX bytes.
 */
static inline bool
encode_short(UpgCanonical *canon, UpgEncoder *enc, const char *value)
{
	char	   *out = canon->data + canon->used;
	Size		len;

	switch (enc->kind)
	{
		case UPG_ENC_RAW4:
		{
			uint32		v;

			memcpy(&v, value, 4);
			upg_store32(out, v);
			canon->used += 4;
			return true;
		}
		case UPG_ENC_RAW8:
		{
			uint64		v;

			memcpy(&v, value, 8);
			upg_store64(out, v);
			canon->used += 8;
			return true;
		}
		case UPG_ENC_BYTES:
			memcpy(out, value, enc->width);
			canon->used += enc->width;
			return true;
		case UPG_ENC_TEXT:
			if (canon->convert)
				return false;
			/* FALLTHROUGH */
		case UPG_ENC_BYTEA:
			if (VARATT_IS_EXTERNAL(value) || VARATT_IS_COMPRESSED(value))
				return false;
			len = VARSIZE_ANY_EXHDR(value);
			value = VARDATA_ANY(value);
			break;
		case UPG_ENC_BPCHAR:
			if (canon->convert || VARATT_IS_EXTERNAL(value) || VARATT_IS_COMPRESSED(value))
				return false;
			len = VARSIZE_ANY_EXHDR(value);
			value = VARDATA_ANY(value);
			/* blanks eight at a time, then one by one */
			while (len >= 8)
			{
				uint64		tail;

				memcpy(&tail, value + len - 8, 8);
				if (tail != UINT64CONST(0x2020202020202020))
					break;
				len -= 8;
			}
			while (len > 0 && value[len - 1] == ' ')
				len--;
			break;
		default:
			return false;
	}

	if (unlikely(len > UPG_CANONICAL_LIMIT))
	{
		upg_store32(out, (uint32) len | 0x80000000U);
		upg_sum_to_bytes(upg_hash128(value, len, canon->seed), (unsigned char *) out + 4);
		canon->used += 20;
	}
	else
	{
		upg_store32(out, (uint32) len);
		memcpy(out + 4, value, len);
		canon->used += 4 + len;
	}
	return true;
}

/*
 * upg_encode_row
 *		Append the encoding of the row that the plan has walked over.
 *
 * Uses CurrentMemoryContext for what it must unpack.
 */
void
upg_encode_row(UpgCanonical *canon, UpgRowPlan *plan)
{
	Size		start = canon->used;

	upg_canonical_reserve(canon, plan->prefix_size +
									 (Size) plan->ncolumns * UPG_CANONICAL_VALUE_MAX);
	memcpy(canon->data + start, plan->prefix, plan->prefix_size);
	canon->used += plan->prefix_size;

	for (int c = 0; c < plan->ncolumns; c++)
	{
		const UpgColumn *col = &plan->columns[c];
		const char *value = plan->where[col->position];

		if (value == NULL)
			canon->data[start + 3 + c / 8] &= ~(1 << (c % 8));
		else if (!encode_short(canon, col->encoder, value))
		{
			upg_encode_value(canon, col->encoder, value);

			/* it may have used room that was reserved for later columns */
			upg_canonical_reserve(canon, (Size) (plan->ncolumns - c) * UPG_CANONICAL_VALUE_MAX);
		}
	}
}

/*
 * upg_row_hash_walked
 *		Hash the row that the plan has walked over.
 */
UpgSum
upg_row_hash_walked(UpgRowPlan *plan)
{
	UpgCanonical *canon = plan->canon;
	MemoryContext old = MemoryContextSwitchTo(canon->scratch);
	UpgSum		hash;

	canon->used = 0;
	upg_encode_row(canon, plan);
	hash = upg_hash128(canon->data, canon->used, canon->seed);
	MemoryContextSwitchTo(old);
	if (!canon->scratch->isReset)
		MemoryContextReset(canon->scratch);
	return hash;
}

/*
 * upg_row_hash
 *		Hash a tuple.
 */
UpgSum
upg_row_hash(UpgRowPlan *plan, HeapTupleHeader tuple)
{
	upg_row_walk(plan, tuple);
	return upg_row_hash_walked(plan);
}

/*
 * upg_column_hash_walked
 *		Hash one column of the row that the plan has walked over; a null hashes
 *		to zero.
 */
UpgSum
upg_column_hash_walked(UpgRowPlan *plan, int column)
{
	UpgCanonical *canon = plan->canon;
	const char *value = plan->where[plan->columns[column].position];
	MemoryContext old;
	UpgSum		hash = {0, 0};

	if (value == NULL)
		return hash;
	old = MemoryContextSwitchTo(canon->scratch);
	canon->used = 0;
	upg_encode_value(canon, plan->columns[column].encoder, value);
	hash = upg_hash128(canon->data, canon->used, canon->seed);
	MemoryContextSwitchTo(old);
	MemoryContextReset(canon->scratch);
	return hash;
}
