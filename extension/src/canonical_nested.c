/*-------------------------------------------------------------------------
 *
 * canonical_nested.c
 *		The encoding of values that hold other values.
 *
 * jsonb, arrays, composites, records, ranges and multiranges; and enums, whose
 * value is a label that is looked up.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/canonical_nested.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/tupmacs.h"
#include "catalog/pg_enum.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/jsonb.h"
#include "utils/multirangetypes.h"
#include "utils/rangetypes.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "canonical_internal.h"
#include "compat.h"

/*
 * The labels of one enum type, found by OID: open addressing, a power of two.
 */
typedef struct UpgEnumLabels
{
	int used;
	int size;
	struct
	{
		Oid oid;
		NameData label;
	} * slots;
} UpgEnumLabels;

/*
 * upg_encode_jsonb
 *		The values in the order in which they are stored, which is one.
 */
void
upg_encode_jsonb(UpgCanonical *canon, const char *value)
{
	Jsonb *jb = (Jsonb *) upg_unpack_struct(value);
	JsonbIterator *it = JsonbIteratorInit(&jb->root);
	JsonbIteratorToken token;
	JsonbValue v;
	Size frame = begin_frame(canon);
	int n = 0;

	while ((token = JsonbIteratorNext(&it, &v, false)) != WJB_DONE)
	{
		if ((++n & 4095) == 0)
			CHECK_FOR_INTERRUPTS();
		switch (token)
		{
			case WJB_BEGIN_ARRAY:
				put8(canon, v.val.array.rawScalar ? 'S' : 'A');
				put32(canon, (uint32) v.val.array.nElems);
				break;
			case WJB_BEGIN_OBJECT:
				put8(canon, 'O');
				put32(canon, (uint32) v.val.object.nPairs);
				break;
			case WJB_KEY:
				upg_put_text(canon, v.val.string.val, v.val.string.len);
				break;
			case WJB_VALUE:
			case WJB_ELEM:
				switch (v.type)
				{
					case jbvNull:
						put8(canon, 'n');
						break;
					case jbvBool:
						put8(canon, v.val.boolean ? 't' : 'f');
						break;
					case jbvNumeric:
						put8(canon, '#');
						upg_encode_numeric(canon, (const char *) v.val.numeric);
						break;
					case jbvString:
						put8(canon, '"');
						upg_put_text(canon, v.val.string.val, v.val.string.len);
						break;
					default:
						elog(ERROR, "unexpected jsonb value type %d", (int) v.type);
				}
				break;
			default:
				break;
		}
	}
	upg_end_frame(canon, frame);
}

/*
 * upg_encode_array
 *		Dimensions, lower bounds, which elements are null, the others.
 *
 * The OID of the element type, and a null map without nulls, are not part of
 * the value.
 */
void
upg_encode_array(UpgCanonical *canon, UpgEncoder *enc, const char *value)
{
	ArrayType *a = (ArrayType *) upg_unpack_struct(value);
	UpgEncoder *elem = enc->element;
	int ndim = ARR_NDIM(a);
	int n = ArrayGetNItems(ndim, ARR_DIMS(a));
	bits8 *nulls = ARR_NULLBITMAP(a);
	const char *p = ARR_DATA_PTR(a);
	Size frame = begin_frame(canon);
	bool has_nulls = false;

	put8(canon, (uint8) ndim);
	for (int i = 0; i < ndim; i++)
	{
		put32(canon, (uint32) ARR_DIMS(a)[i]);
		put32(canon, (uint32) ARR_LBOUND(a)[i]);
	}
	for (int i = 0; nulls && i < n && !has_nulls; i++)
		has_nulls = att_isnull(i, nulls);
	put8(canon, has_nulls);
	if (has_nulls)
	{
		Size map = canon->used;

		upg_canonical_reserve(canon, (n + 7) / 8);
		memset(canon->data + map, 0, (n + 7) / 8);
		canon->used += (n + 7) / 8;
		for (int i = 0; i < n; i++)
			if (!att_isnull(i, nulls))
				canon->data[map + i / 8] |= 1 << (i % 8);
	}
	for (int i = 0; i < n; i++)
	{
		if ((i & 4095) == 4095)
			CHECK_FOR_INTERRUPTS();
		if (nulls && att_isnull(i, nulls))
			continue;
		upg_encode_value(canon, elem, p);
		p = att_addlength_pointer(p, elem->typlen, p);
		p = (const char *) att_align_nominal(p, elem->typalign);
	}
	upg_end_frame(canon, frame);
}

/*
 * enum_label
 *		The label of an enum value, remembered for the life of the plan.
 */
static const char *
enum_label(UpgCanonical *canon, UpgEncoder *enc, Oid oid)
{
	UpgEnumLabels *labels = enc->labels;
	HeapTuple tup;
	int i;

	if (labels)
	{
		for (i = oid & (labels->size - 1); OidIsValid(labels->slots[i].oid);
			 i = (i + 1) & (labels->size - 1))
			if (labels->slots[i].oid == oid)
				return NameStr(labels->slots[i].label);
	}

	if (labels == NULL || labels->used * 2 >= labels->size)
	{
		int size = labels ? labels->size * 2 : 16;
		UpgEnumLabels *grown = MemoryContextAllocZero(canon->keep, sizeof(UpgEnumLabels));

		grown->size = size;
		grown->slots = MemoryContextAllocZero(canon->keep, sizeof(*grown->slots) * size);
		for (int k = 0; labels && k < labels->size; k++)
		{
			if (!OidIsValid(labels->slots[k].oid))
				continue;
			for (i = labels->slots[k].oid & (size - 1); OidIsValid(grown->slots[i].oid);
				 i = (i + 1) & (size - 1))
				;
			grown->slots[i] = labels->slots[k];
			grown->used++;
		}
		enc->labels = labels = grown;
	}

	tup = SearchSysCache1(ENUMOID, ObjectIdGetDatum(oid));
	if (!HeapTupleIsValid(tup))
		ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
						errmsg("invalid internal value for enum: %u", oid)));
	for (i = oid & (labels->size - 1); OidIsValid(labels->slots[i].oid);
		 i = (i + 1) & (labels->size - 1))
		;
	labels->slots[i].oid = oid;
	labels->slots[i].label = ((Form_pg_enum) GETSTRUCT(tup))->enumlabel;
	labels->used++;
	ReleaseSysCache(tup);
	return NameStr(labels->slots[i].label);
}

/*
 * upg_encode_enum
 *		An enum by its label; OIDs differ from database to database.
 */
void
upg_encode_enum(UpgCanonical *canon, UpgEncoder *enc, const char *value)
{
	Oid oid;
	const char *label;

	memcpy(&oid, value, sizeof(oid));
	label = enum_label(canon, enc, oid);
	upg_put_text(canon, label, strlen(label));
}

/*
 * plan_record
 *		Plan the fields of an anonymous record and digest their types, which no
 *		column list names.
 */
static void
plan_record(UpgCanonical *canon, UpgEncoder *enc, Oid typid, int32 typmod)
{
	MemoryContext old = MemoryContextSwitchTo(canon->keep);
	TupleDesc desc = lookup_rowtype_tupdesc_copy(typid, typmod);
	int *positions = palloc(sizeof(int) * Max(desc->natts, 1));
	StringInfoData sig;
	int n = 0;

	initStringInfo(&sig);
	for (int i = 0; i < desc->natts; i++)
	{
		if (TupleDescAttr(desc, i)->attisdropped)
			continue;
		positions[n++] = i;
		upg_type_signature(&sig, canon->mode, TupleDescAttr(desc, i)->atttypid);
		appendStringInfoChar(&sig, '\0');
	}
	enc->row = upg_row_plan(canon, desc, n, positions, NULL, false);
	enc->record_signature = upg_hash128(sig.data, sig.len, canon->seed);
	enc->record_type = typid;
	enc->record_typmod = typmod;
	MemoryContextSwitchTo(old);
}

/*
 * upg_encode_composite
 *		A row in a frame; before that of a record, the digest of its types.
 */
void
upg_encode_composite(UpgCanonical *canon, UpgEncoder *enc, const char *value)
{
	HeapTupleHeader tuple = (HeapTupleHeader) upg_unpack_struct(value);
	Size frame;

	if (enc->kind == UPG_ENC_RECORD)
	{
		Oid typid = HeapTupleHeaderGetTypeId(tuple);
		int32 typmod = HeapTupleHeaderGetTypMod(tuple);

		if (enc->row == NULL || enc->record_type != typid || enc->record_typmod != typmod)
			plan_record(canon, enc, typid, typmod);
	}

	frame = begin_frame(canon);
	if (enc->kind == UPG_ENC_RECORD)
	{
		upg_canonical_reserve(canon, 16);
		upg_sum_to_bytes(enc->record_signature,
						 (unsigned char *) canon->data + canon->used);
		canon->used += 16;
	}
	upg_row_walk(enc->row, tuple);
	upg_encode_row(canon, enc->row);
	upg_end_frame(canon, frame);
}

static void
encode_datum(UpgCanonical *canon, UpgEncoder *enc, Datum value)
{
	if (enc->typbyval)
	{
		uint64 store = 0;

		store_att_byval(&store, value, enc->typlen);
		upg_encode_value(canon, enc, (const char *) &store);
	}
	else
		upg_encode_value(canon, enc, DatumGetPointer(value));
}

/* Which of a range's properties a flag byte says. */
#define RANGE_FLAG_EMPTY     1
#define RANGE_FLAG_LOWER_INC 2
#define RANGE_FLAG_UPPER_INC 4
#define RANGE_FLAG_LOWER_INF 8
#define RANGE_FLAG_UPPER_INF 16

static void
encode_range(UpgCanonical *canon, UpgEncoder *enc, TypeCacheEntry *typcache,
			 const RangeType *range)
{
	RangeBound lower, upper;
	bool empty;

	range_deserialize(typcache, range, &lower, &upper, &empty);
	if (empty)
	{
		put8(canon, RANGE_FLAG_EMPTY);
		return;
	}
	put8(canon, (lower.inclusive ? RANGE_FLAG_LOWER_INC : 0) |
					(upper.inclusive ? RANGE_FLAG_UPPER_INC : 0) |
					(lower.infinite ? RANGE_FLAG_LOWER_INF : 0) |
					(upper.infinite ? RANGE_FLAG_UPPER_INF : 0));
	if (!lower.infinite)
		encode_datum(canon, enc->element, lower.val);
	if (!upper.infinite)
		encode_datum(canon, enc->element, upper.val);
}

/*
 * upg_encode_ranges
 *		A range, or a multirange with the number of its ranges.
 */
void
upg_encode_ranges(UpgCanonical *canon, UpgEncoder *enc, const char *value)
{
	struct varlena *v = upg_unpack_struct(value);
	Size frame = begin_frame(canon);

	if (enc->kind == UPG_ENC_RANGE)
		encode_range(canon, enc, enc->typcache, (RangeType *) v);
	else
	{
		int32 count;
		RangeType **ranges;

		multirange_deserialize(enc->typcache->rngtype, (MultirangeType *) v, &count,
							   &ranges);
		put32(canon, (uint32) count);
		for (int i = 0; i < count; i++)
			encode_range(canon, enc, enc->typcache->rngtype, ranges[i]);
	}
	upg_end_frame(canon, frame);
}
