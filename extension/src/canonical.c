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

#include "canonical_internal.h"
#include "compat.h"
#include "errors.h"

/*
 * Where many rows have values to be unpacked, they go into a block of this size, which is
 * kept from row to row: values of tens of kilobytes then take no memory from the system
 * and give none back.
 */
#define SCRATCH_BLOCK  ((Size) 64 * 1024)
#define ROWS_FOR_BLOCK 32

/* A shorter prefix is copied as if it had this many bytes. */
#define PREFIX_COPY 16

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
	canon->scratch = AllocSetContextCreate(CurrentMemoryContext, "upg canonical row",
										   ALLOCSET_SMALL_SIZES);
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
	Size size = canon->size;

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
	int cmp = strcmp(x->name, y->name);

	if (cmp != 0)
		return cmp;
	return x->position < y->position ? -1 : x->position > y->position;
}

/* Bytes that a type is aligned to, less one. */
static uint8
align_mask(char attalign)
{
	switch (attalign)
	{
		case TYPALIGN_DOUBLE:
			return ALIGNOF_DOUBLE - 1;
		case TYPALIGN_INT:
			return ALIGNOF_INT - 1;
		case TYPALIGN_SHORT:
			return ALIGNOF_SHORT - 1;
		default:
			return 0;
	}
}

/*
 * plan_distance
 *		How far attribute "i", of fixed length, is from the last attribute that
 *		had to be aligned at least as much.
 *
 * After an attribute of varying length the next one of fixed length has to be
 * aligned in each tuple anew; those that follow it are at fixed distances.
 */
static void
plan_distance(UpgRowPlan *plan, int i)
{
	UpgWalk *walk = &plan->walk[i];
	const UpgWalk *before = walk - 1;
	int anchor = i - 1;
	int end;

	walk->distance = -1;
	if (i == 0 || walk->attlen <= 0 || before->attlen <= 0)
		return;
	while (anchor > 0 && plan->walk[anchor].distance >= 0)
		anchor--;
	if (plan->walk[anchor].align < walk->align)
		return;
	end = Max(before->distance, 0) + before->attlen;
	walk->distance = (end + walk->align) & ~walk->align;
}

/*
 * plan_walk
 *		Note what the walk over a tuple needs to know of attribute "i".
 *
 * *offset is where it begins if nothing before it varies in length, else -1.
 */
static void
plan_walk(UpgRowPlan *plan, TupleDesc desc, int i, int *offset)
{
	Form_pg_attribute att = TupleDescAttr(desc, i);
	UpgWalk *walk = &plan->walk[i];

	walk->attlen = att->attlen;
	walk->align = align_mask(att->attalign);
	walk->offset = -1;
	if (*offset >= 0 && att->attlen > 0)
	{
		*offset = (*offset + walk->align) & ~walk->align;
		walk->offset = *offset;
		*offset += att->attlen;
	}
	else
	{
		/* the first varying attribute still has a fixed place if no padding can precede it */
		if (*offset >= 0 && (*offset & walk->align) == 0)
			walk->offset = *offset;
		*offset = -1;
	}
	plan_distance(plan, i);

	if (att->atthasmissing && !att->attisdropped)
	{
		bool isnull;
		Datum value = getmissingattr(desc, i + 1, &isnull);

		if (!isnull && att->attbyval)
		{
			char *store = palloc0(sizeof(Datum));

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
	int offset = 0;

	plan->canon = canon;
	plan->ncolumns = ncolumns;
	plan->columns = palloc0(sizeof(UpgColumn) * Max(ncolumns, 1));
	for (int c = 0; c < ncolumns; c++)
	{
		UpgColumn *col = &plan->columns[c];
		Form_pg_attribute att = TupleDescAttr(desc, positions[c]);

		col->position = positions[c];
		col->name = pstrdup(names ? names[c] : NameStr(att->attname));
		col->encoder = upg_encoder_for_type(canon, att->atttypid, col->name);
		col->kind = col->encoder->kind;
		col->width = (uint8) col->encoder->width;
		plan->nwalk = Max(plan->nwalk, positions[c] + 1);
	}
	if (sort)
		qsort(plan->columns, ncolumns, sizeof(UpgColumn), compare_columns);

	plan->walk = palloc0(sizeof(UpgWalk) * Max(plan->nwalk, 1));
	plan->where = palloc0(sizeof(char *) * Max(plan->nwalk, 1));
	for (int i = 0; i < plan->nwalk; i++)
		plan_walk(plan, desc, i, &offset);
	plan->fixed = true;
	for (int c = 0; c < ncolumns; c++)
	{
		plan->columns[c].offset = plan->walk[plan->columns[c].position].offset;
		plan->fixed &= plan->columns[c].offset >= 0;
	}

	plan->prefix_size = 3 + (ncolumns + 7) / 8;
	plan->prefix = palloc0(Max(plan->prefix_size, PREFIX_COPY));
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
	int *positions = palloc(sizeof(int) * Max(desc->natts, 1));
	const char **names = palloc(sizeof(char *) * Max(desc->natts, 1));
	int n = 0;
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
 * skip_padding
 *		Where an attribute begins that follows on one that ends at "p".
 *
 * A byte that is not zero is no padding but the header of a short value.
 */
static inline const char *
skip_padding(const char *data, const char *p, const UpgWalk *walk)
{
	if (walk->attlen == -1 && *p != 0)
		return p;
	return data + (((p - data) + walk->align) & ~(Size) walk->align);
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
	int stored = Min(HeapTupleHeaderGetNatts(tuple), plan->nwalk);
	const UpgWalk *walk = plan->walk;
	const char **where = plan->where;
	const char *p = data;
	int i = 0;

	if (nulls == NULL)
	{
		const char *anchor = NULL;

		/* the first attributes are where they always are */
		for (; i < stored && walk[i].offset >= 0; i++)
			where[i] = p = data + walk[i].offset;
		if (i > 0)
			p = att_addlength_pointer(p, walk[i - 1].attlen, p);
		for (; i < stored; i++)
		{
			int len = walk[i].attlen;

			if (walk[i].distance >= 0)
			{
				where[i] = anchor + walk[i].distance;
				p = where[i] + len;
				continue;
			}
			p = skip_padding(data, p, &walk[i]);
			where[i] = anchor = p;
			if (len > 0)
				p += len;
			else if (len == -1)
				p += VARSIZE_ANY(p);
			else
				p += strlen(p) + 1;
		}
	}
	for (; i < stored; i++)
	{
		if (att_isnull(i, nulls))
		{
			where[i] = NULL;
			continue;
		}
		where[i] = p = skip_padding(data, p, &walk[i]);
		p = att_addlength_pointer(p, walk[i].attlen, p);
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
		int i = plan->columns[c].position;
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
 *		Write the kinds that ordinary rows are made of; returns the end of what
 *		was written, or NULL if this value needs the general code.
 *
 * There is room for UPG_CANONICAL_VALUE_MAX bytes.  The bytes are those that
 * upg_encode_value() would write.
 */
static pg_attribute_always_inline char *
encode_short(UpgCanonical *canon, const UpgColumn *col, const char *value, char *out)
{
	uint64 v64;
	uint32 v32;
	uint16 v16;
	Size length;

	switch (col->kind)
	{
		case UPG_ENC_RAW1:
			*out = *value;
			return out + 1;
		case UPG_ENC_BOOL:
			*out = *value != 0;
			return out + 1;
		case UPG_ENC_RAW2:
			memcpy(&v16, value, 2);
			upg_store16(out, v16);
			return out + 2;
		case UPG_ENC_RAW4:
			memcpy(&v32, value, 4);
			upg_store32(out, v32);
			return out + 4;
		case UPG_ENC_RAW8:
			memcpy(&v64, value, 8);
			upg_store64(out, v64);
			return out + 8;
		case UPG_ENC_FLOAT8:
			memcpy(&v64, value, 8);
			/* zeros and NaNs have more than one form */
			if (((v64 << 1) == 0 && canon->mode == UPG_MODE_SEMANTIC) ||
				(v64 << 1) > UINT64CONST(0xffe0000000000000))
				return NULL;
			upg_store64(out, v64);
			return out + 8;
		case UPG_ENC_BYTES:
			if (col->width != 16)
				return NULL;
			memcpy(out, value, 16);
			return out + 16;
		case UPG_ENC_TEXT:
		case UPG_ENC_BPCHAR:
			if (canon->convert)
				return NULL;
			/* FALLTHROUGH */
		case UPG_ENC_BYTEA:
			if (VARATT_IS_EXTERNAL(value) || VARATT_IS_COMPRESSED(value))
				return NULL;
			length = VARSIZE_ANY_EXHDR(value);
			value = VARDATA_ANY(value);
			if (col->kind == UPG_ENC_BPCHAR)
				length = upg_strip_blanks(value, length);
			return upg_write_frame(canon, out, value, length);
		case UPG_ENC_NUMERIC:
			if (VARATT_IS_EXTERNAL(value) || VARATT_IS_COMPRESSED(value))
				return NULL;
			return upg_encode_short_number(canon, value, out);
		default:
			return NULL;
	}
}

/*
 * encode_columns
 *		Append the encoding of a row.
 *
 * With "base", where the attributes of a tuple begin, columns are taken from
 * their offsets; without, from where the plan has walked to.
 */
static pg_attribute_always_inline void
encode_columns(UpgCanonical *canon, UpgRowPlan *plan, const char *base)
{
	Size start = canon->used;
	const UpgColumn *columns = plan->columns;
	const char **where = plan->where;
	int ncolumns = plan->ncolumns;
	char *out;

	upg_canonical_reserve(canon, plan->prefix_size + PREFIX_COPY +
									 (Size) ncolumns * UPG_CANONICAL_VALUE_MAX);
	out = canon->data + start;
	if (plan->prefix_size <= PREFIX_COPY)
		memcpy(out, plan->prefix, PREFIX_COPY);
	else
		memcpy(out, plan->prefix, plan->prefix_size);
	out += plan->prefix_size;

	for (int c = 0; c < ncolumns; c++)
	{
		const UpgColumn *col = &columns[c];
		const char *value = base ? base + col->offset : where[col->position];
		char *end;

		if (!base && value == NULL)
		{
			canon->data[start + 3 + c / 8] &= ~(1 << (c % 8));
			continue;
		}
		end = encode_short(canon, col, value, out);
		if (end != NULL)
			out = end;
		else
		{
			canon->used = out - canon->data;
			upg_encode_value(canon, col->encoder, value);

			/* it may have used room that was reserved for later columns, and moved it */
			upg_canonical_reserve(canon, (Size) (ncolumns - c) * UPG_CANONICAL_VALUE_MAX +
											 PREFIX_COPY);
			out = canon->data + canon->used;
		}
	}
	canon->used = out - canon->data;
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
	encode_columns(canon, plan, NULL);
}

/*
 * forget_unpacked
 *		Forget what was unpacked for a row; if that happens often, make room for it that
 *		is kept.
 */
static pg_noinline void
forget_unpacked(UpgCanonical *canon)
{
	MemoryContext parent;

	MemoryContextReset(canon->scratch);
	if (++canon->unpacked != ROWS_FOR_BLOCK)
		return;
	parent = MemoryContextGetParent(canon->scratch);
	MemoryContextDelete(canon->scratch);
	canon->scratch = GenerationContextCreate(parent, "upg canonical row", 0,
											 SCRATCH_BLOCK, 8 * SCRATCH_BLOCK);
}

/* Hash the row that has been encoded, and forget what that took. */
static inline UpgSum
finish_row(UpgCanonical *canon)
{
	UpgSum hash = upg_hash128(canon->data, canon->used, canon->seed);

	if (!canon->scratch->isReset)
		forget_unpacked(canon);
	return hash;
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

	canon->used = 0;
	encode_columns(canon, plan, NULL);
	MemoryContextSwitchTo(old);
	return finish_row(canon);
}

/*
 * upg_row_hash
 *		Hash a tuple.
 *
 * The plan has walked over it only if plan->fixed is false; who wants that
 * afterwards calls upg_row_walk().
 */
UpgSum
upg_row_hash(UpgRowPlan *plan, HeapTupleHeader tuple)
{
	UpgCanonical *canon = plan->canon;
	MemoryContext old = MemoryContextSwitchTo(canon->scratch);

	canon->used = 0;
	if (plan->fixed && !(tuple->t_infomask & HEAP_HASNULL) &&
		HeapTupleHeaderGetNatts(tuple) >= plan->nwalk)
		encode_columns(canon, plan, (const char *) tuple + tuple->t_hoff);
	else
	{
		upg_row_walk(plan, tuple);
		encode_columns(canon, plan, NULL);
	}
	MemoryContextSwitchTo(old);
	return finish_row(canon);
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
	UpgSum hash = {0, 0};

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
