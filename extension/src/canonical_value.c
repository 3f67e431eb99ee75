/*-------------------------------------------------------------------------
 *
 * canonical_value.c
 *		The encoding of single values, type by type.
 *
 * Fixed-width kinds are their bytes, little-endian.  All others are framed: a
 * length and that many bytes, or, above UPG_CANONICAL_LIMIT bytes, the length
 * with its highest bit set and the digest of the bytes.  A frame ends where it
 * says, so two different values never give the same bytes.
 *
 * Functions here append to the buffer of the UpgCanonical and allocate what
 * they unpack in CurrentMemoryContext, which the callers reset after each row.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/canonical_value.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>
#include <sys/socket.h>

#include "access/detoast.h"
#include "access/htup_details.h"
#include "access/tupmacs.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "storage/itemptr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/geo_decls.h"
#include "utils/inet.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/multirangetypes.h"
#include "utils/rangetypes.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"
#include "utils/varbit.h"

#include "canonical.h"
#include "compat.h"
#include "errors.h"

/* Values stored out of line, uncompressed, above this are hashed in pieces. */
#define STREAM_ABOVE (1024 * 1024)
#define STREAM_PIECE (512 * 1024)

/* Set in the length of a frame that holds a digest. */
#define FRAME_DIGEST 0x80000000U

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

/* Frames: begin_frame() leaves room for the length, end_frame() fills it in. */
static inline Size
begin_frame(UpgCanonical *canon)
{
	Size start = canon->used;

	upg_canonical_reserve(canon, 4);
	canon->used += 4;
	return start;
}

static void
end_frame(UpgCanonical *canon, Size start)
{
	Size length = canon->used - start - 4;
	uint32 word = (uint32) length;

	if (length > UPG_CANONICAL_LIMIT)
	{
		UpgSum digest = upg_hash128(canon->data + start + 4, length, canon->seed);

		if (length >= FRAME_DIGEST)
			ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
							errmsg("the canonical form of a value is too long"),
							errdetail("It takes %zu bytes; the limit is %u.", length,
									  FRAME_DIGEST - 1)));
		word |= FRAME_DIGEST;
		upg_sum_to_bytes(digest, (unsigned char *) canon->data + start + 4);
		canon->used = start + 4 + 16;
	}
	upg_store32(canon->data + start, word);
}

static inline void
put8(UpgCanonical *canon, uint8 v)
{
	upg_canonical_reserve(canon, 1);
	canon->data[canon->used++] = (char) v;
}

static inline void
put16(UpgCanonical *canon, uint16 v)
{
	upg_canonical_reserve(canon, 2);
	upg_store16(canon->data + canon->used, v);
	canon->used += 2;
}

static inline void
put32(UpgCanonical *canon, uint32 v)
{
	upg_canonical_reserve(canon, 4);
	upg_store32(canon->data + canon->used, v);
	canon->used += 4;
}

static inline void
put64(UpgCanonical *canon, uint64 v)
{
	upg_canonical_reserve(canon, 8);
	upg_store64(canon->data + canon->used, v);
	canon->used += 8;
}

static inline void
put_raw(UpgCanonical *canon, const char *bytes, Size length)
{
	upg_canonical_reserve(canon, length);
	memcpy(canon->data + canon->used, bytes, length);
	canon->used += length;
}

/* Append bytes in a frame. */
static void
put_bytes(UpgCanonical *canon, const char *bytes, Size length)
{
	if (length > UPG_CANONICAL_LIMIT)
	{
		UpgSum digest = upg_hash128(bytes, length, canon->seed);

		put32(canon, (uint32) length | FRAME_DIGEST);
		upg_canonical_reserve(canon, 16);
		upg_sum_to_bytes(digest, (unsigned char *) canon->data + canon->used);
		canon->used += 16;
	}
	else
	{
		put32(canon, (uint32) length);
		put_raw(canon, bytes, length);
	}
}

static bool
all_ascii(const char *s, Size length)
{
	for (Size i = 0; i < length; i++)
		if (IS_HIGHBIT_SET(s[i]))
			return false;
	return true;
}

/*
 * put_text
 *		Append characters in a frame, as UTF-8.
 */
static void
put_text(UpgCanonical *canon, const char *s, Size length)
{
	if (canon->convert && !all_ascii(s, length))
	{
		char *utf8;

		if (GetDatabaseEncoding() == PG_SQL_ASCII)
			ereport(
				ERROR,
				(errcode(ERRCODE_UPG_NO_CANONICAL_FORM),
				 errmsg("a text value with characters outside ASCII has no canonical "
						"form in "
						"a SQL_ASCII database"),
				 errdetail("The encoding of these bytes is not known, so they cannot be "
						   "compared with another database."),
				 errhint("Compare the column as bytea.")));
		utf8 = (char *) pg_do_encoding_conversion((unsigned char *) unconstify(char *, s),
												  (int) length, GetDatabaseEncoding(),
												  PG_UTF8);
		put_bytes(canon, utf8, strlen(utf8));
		return;
	}
	put_bytes(canon, s, length);
}

/*
 * put_streamed
 *		Hash a large value stored out of line piece by piece.
 *
 * Memory stays constant, and a cancel request is seen between the pieces.
 */
static void
put_streamed(UpgCanonical *canon, struct varlena *attr, Size length)
{
	XXH3_state_t state = {{0}};
	XXH128_hash_t h;
	UpgSum digest;

	XXH3_128bits_reset_withSeed(&state, canon->seed);
	for (Size offset = 0; offset < length; offset += STREAM_PIECE)
	{
		Size size = Min(STREAM_PIECE, length - offset);
		struct varlena *piece = detoast_attr_slice(attr, (int32) offset, (int32) size);

		CHECK_FOR_INTERRUPTS();
		if (VARSIZE_ANY_EXHDR(piece) != size)
			ereport(
				ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("a value stored out of line is shorter than its header says")));
		XXH3_128bits_update(&state, VARDATA_ANY(piece), size);
		pfree(piece);
	}
	h = XXH3_128bits_digest(&state);
	digest.lo = h.low64;
	digest.hi = h.high64;

	put32(canon, (uint32) length | FRAME_DIGEST);
	upg_canonical_reserve(canon, 16);
	upg_sum_to_bytes(digest, (unsigned char *) canon->data + canon->used);
	canon->used += 16;
}

/*
 * unpack
 *		A varlena's bytes, decompressed and fetched if need be.
 *
 * *copy is what to free afterwards, or NULL.
 */
static const char *
unpack(const char *value, Size *length, struct varlena **copy)
{
	struct varlena *v = (struct varlena *) unconstify(char *, value);

	*copy = NULL;
	if (VARATT_IS_COMPRESSED(v) || VARATT_IS_EXTERNAL(v))
	{
		/* an expanded object may be flattened in place: free only what is new */
		struct varlena *flat = detoast_attr(v);

		if (flat != v)
			*copy = flat;
		v = flat;
	}
	*length = VARSIZE_ANY_EXHDR(v);
	return VARDATA_ANY(v);
}

/* A varlena with an aligned four-byte header, for types that are structs. */
static struct varlena *
unpack_struct(const char *value)
{
	struct varlena *v = pg_detoast_datum((struct varlena *) unconstify(char *, value));

	/* a value inside another one may lie anywhere */
	if ((uintptr_t) v != MAXALIGN(v))
	{
		Size size = VARSIZE(v);

		v = memcpy(palloc(size), v, size);
	}
	return v;
}

static void
encode_characters(UpgCanonical *canon, UpgEncoderKind kind, const char *value)
{
	Size length;
	struct varlena *copy;
	const char *s;

	if (VARATT_IS_EXTERNAL_ONDISK(value) && kind != UPG_ENC_BPCHAR &&
		(kind == UPG_ENC_BYTEA || !canon->convert))
	{
		struct varatt_external pointer;

		VARATT_EXTERNAL_GET_POINTER(pointer, value);
		if (!VARATT_EXTERNAL_IS_COMPRESSED(pointer) &&
			pointer.va_rawsize - VARHDRSZ > STREAM_ABOVE)
		{
			put_streamed(canon, (struct varlena *) unconstify(char *, value),
						 pointer.va_rawsize - VARHDRSZ);
			return;
		}
	}

	s = unpack(value, &length, &copy);
	if (kind == UPG_ENC_BPCHAR)
		while (length > 0 && s[length - 1] == ' ')
			length--;
	if (kind == UPG_ENC_BYTEA)
		put_bytes(canon, s, length);
	else
		put_text(canon, s, length);
	if (copy)
		pfree(copy);
}

/* Fold what "=" cannot tell apart, and the many bit patterns of NaN. */
static void
put_float8(UpgCanonical *canon, double v)
{
	uint64 bits;

	if (isnan(v))
		bits = UINT64CONST(0x7ff8000000000000);
	else
	{
		if (v == 0 && canon->mode == UPG_MODE_SEMANTIC)
			v = 0;
		memcpy(&bits, &v, sizeof(bits));
	}
	put64(canon, bits);
}

static void
put_float4(UpgCanonical *canon, float v)
{
	uint32 bits;

	if (isnan(v))
		bits = 0x7fc00000;
	else
	{
		if (v == 0 && canon->mode == UPG_MODE_SEMANTIC)
			v = 0;
		memcpy(&bits, &v, sizeof(bits));
	}
	put32(canon, bits);
}

/* The parts of numeric's stored form, which has been the same since 9.1. */
#define STORED_SIGN_MASK       0xC000
#define STORED_NEGATIVE        0x4000
#define STORED_SHORT           0x8000
#define STORED_SPECIAL         0xC000
#define STORED_SPECIAL_MASK    0xF000
#define STORED_NAN             0xC000
#define STORED_PLUS_INF        0xD000
#define STORED_SHORT_SIGN      0x2000
#define STORED_SHORT_SCALE(h)  (((h) &0x1F80) >> 7)
#define STORED_SHORT_WEIGHT(h) ((int) ((h) &0x003F) - (((h) &0x0040) ? 0x0040 : 0))
#define STORED_LONG_SCALE(h)   ((h) &0x3FFF)

/* Classes of a canonical number. */
enum
{
	NUMBER_POSITIVE,
	NUMBER_NEGATIVE,
	NUMBER_NAN,
	NUMBER_PLUS_INF,
	NUMBER_MINUS_INF
};

/*
 * encode_numeric
 *		Sign, display scale (strict mode only), weight, base-10000 digits
 *		without zeros at either end.
 */
static void
encode_numeric(UpgCanonical *canon, const char *value)
{
	Size length;
	struct varlena *copy;
	const char *s = unpack(value, &length, &copy);
	Size frame = begin_frame(canon);
	uint16 header;

	memcpy(&header, s, 2);
	if ((header & STORED_SIGN_MASK) == STORED_SPECIAL)
	{
		uint16 special = header & STORED_SPECIAL_MASK;

		put8(canon, special == STORED_NAN        ? NUMBER_NAN
					: special == STORED_PLUS_INF ? NUMBER_PLUS_INF
												 : NUMBER_MINUS_INF);
	}
	else
	{
		bool negative;
		int scale, weight, first = 0, ndigits;
		const char *digits;
		uint16 digit;

		if (header & STORED_SHORT)
		{
			negative = (header & STORED_SHORT_SIGN) != 0;
			scale = STORED_SHORT_SCALE(header);
			weight = STORED_SHORT_WEIGHT(header);
			digits = s + 2;
		}
		else
		{
			int16 w;

			negative = (header & STORED_SIGN_MASK) == STORED_NEGATIVE;
			scale = STORED_LONG_SCALE(header);
			memcpy(&w, s + 2, 2);
			weight = w;
			digits = s + 4;
		}
		ndigits = (int) ((length - (digits - s)) / 2);

		for (; first < ndigits; first++, weight--)
		{
			memcpy(&digit, digits + 2 * first, 2);
			if (digit != 0)
				break;
		}
		while (ndigits > first)
		{
			memcpy(&digit, digits + 2 * (ndigits - 1), 2);
			if (digit != 0)
				break;
			ndigits--;
		}
		if (ndigits == first)
		{
			negative = false;
			weight = 0;
		}

		upg_canonical_reserve(canon, 5 + 2 * (Size) (ndigits - first));
		put8(canon, negative ? NUMBER_NEGATIVE : NUMBER_POSITIVE);
		if (canon->mode == UPG_MODE_STRICT)
			put16(canon, (uint16) scale);
		put16(canon, (uint16) weight);
		for (int i = first; i < ndigits; i++)
		{
			memcpy(&digit, digits + 2 * i, 2);
			put16(canon, digit);
		}
	}
	end_frame(canon, frame);
	if (copy)
		pfree(copy);
}

/*
 * upg_encode_short_number
 *		As encode_numeric, for a value stored inline, into room that is there;
 *		NULL if it is not that simple.
 */
char *
upg_encode_short_number(UpgCanonical *canon, const char *value, char *out)
{
	const char *digits = VARDATA_ANY(value);
	Size length = VARSIZE_ANY_EXHDR(value);
	char *start = out;
	uint16 header;
	uint16 digit;
	int ndigits;
	int weight;

	memcpy(&header, digits, 2);
	if (length > 64 || (header & STORED_SIGN_MASK) != STORED_SHORT)
		return NULL;
	weight = STORED_SHORT_WEIGHT(header);
	digits += 2;
	ndigits = (int) (length - 2) / 2;
	while (ndigits > 0)
	{
		memcpy(&digit, digits, 2);
		if (digit != 0)
			break;
		digits += 2;
		ndigits--;
		weight--;
	}
	while (ndigits > 0)
	{
		memcpy(&digit, digits + 2 * (ndigits - 1), 2);
		if (digit != 0)
			break;
		ndigits--;
	}
	if (ndigits == 0)
		weight = 0;

	out += 4;
	*out++ =
		ndigits > 0 && (header & STORED_SHORT_SIGN) ? NUMBER_NEGATIVE : NUMBER_POSITIVE;
	if (canon->mode == UPG_MODE_STRICT)
	{
		upg_store16(out, STORED_SHORT_SCALE(header));
		out += 2;
	}
	upg_store16(out, (uint16) weight);
	out += 2;
	for (int i = 0; i < ndigits; i++, out += 2)
	{
		memcpy(&digit, digits + 2 * i, 2);
		upg_store16(out, digit);
	}
	upg_store32(start, (uint32) (out - start - 4));
	return out;
}

/*
 * encode_interval
 *		Months, days and microseconds; or, in semantic mode, the span that
 *		comparison reduces them to, with months of 30 days of 24 hours.
 */
static void
encode_interval(UpgCanonical *canon, const char *value)
{
	Interval v;

	memcpy(&v, value, sizeof(v));
	if (canon->mode == UPG_MODE_SEMANTIC)
	{
		int64 days = (int64) v.month * INT64CONST(30) + v.day;
		UpgSum span;
		uint64 low = (uint64) days;
		uint64 product_lo, product_hi;

		/* schoolbook product, days times microseconds of a day, as a signed 128-bit number */
		uint64 usecs = (uint64) USECS_PER_DAY;
		uint64 a = low & 0xffffffff, b = low >> 32, c = usecs & 0xffffffff,
			   d = usecs >> 32;
		uint64 mid = a * d + ((a * c) >> 32);
		uint64 mid2 = b * c + (mid & 0xffffffff);

		product_lo = (mid2 << 32) | ((a * c) & 0xffffffff);
		product_hi = b * d + (mid >> 32) + (mid2 >> 32);
		if (days < 0)
			product_hi -= usecs;
		span.lo = product_lo;
		span.hi = product_hi;
		upg_sum_add(&span, (UpgSum){(uint64) v.time, v.time < 0 ? ~UINT64CONST(0) : 0});
		put64(canon, span.lo);
		put64(canon, span.hi);
		return;
	}
	put64(canon, (uint64) v.time);
	put32(canon, (uint32) v.day);
	put32(canon, (uint32) v.month);
}

static void
encode_points(UpgCanonical *canon, const char *value, int count)
{
	for (int i = 0; i < count; i++)
	{
		double v;

		memcpy(&v, value + i * sizeof(double), sizeof(double));
		put_float8(canon, v);
	}
}

static void
encode_inet(UpgCanonical *canon, const char *value, bool cidr)
{
	inet *v =
		(inet *) pg_detoast_datum_packed((struct varlena *) unconstify(char *, value));
	Size frame = begin_frame(canon);

	put8(canon, ip_family(v) == PGSQL_AF_INET ? 4 : 6);
	put8(canon, ip_bits(v));
	put8(canon, cidr);
	put_raw(canon, (const char *) ip_addr(v), ip_addrsize(v));
	end_frame(canon, frame);
}

static void
encode_jsonb(UpgCanonical *canon, const char *value)
{
	Jsonb *jb = (Jsonb *) unpack_struct(value);
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
				put_text(canon, v.val.string.val, v.val.string.len);
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
						encode_numeric(canon, (const char *) v.val.numeric);
						break;
					case jbvString:
						put8(canon, '"');
						put_text(canon, v.val.string.val, v.val.string.len);
						break;
					default:
						elog(ERROR, "unexpected jsonb value type %d", (int) v.type);
				}
				break;
			default:
				break;
		}
	}
	end_frame(canon, frame);
}

/*
 * encode_array
 *		Dimensions, lower bounds, which elements are null, the others.
 *
 * The OID of the element type, and a null map without nulls, are not part of
 * the value.
 */
static void
encode_array(UpgCanonical *canon, UpgEncoder *enc, const char *value)
{
	ArrayType *a = (ArrayType *) unpack_struct(value);
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
	end_frame(canon, frame);
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

static void
encode_composite(UpgCanonical *canon, UpgEncoder *enc, const char *value)
{
	HeapTupleHeader tuple = (HeapTupleHeader) unpack_struct(value);
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
	end_frame(canon, frame);
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

static void
encode_ranges(UpgCanonical *canon, UpgEncoder *enc, const char *value)
{
	struct varlena *v = unpack_struct(value);
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
	end_frame(canon, frame);
}

/*
 * encode_reg
 *		An object by its full name; OIDs differ from database to database.
 */
static void
encode_reg(UpgCanonical *canon, UpgEncoder *enc, const char *value)
{
	Size frame = begin_frame(canon);
	ObjectAddress address;
	char *identity;
	Oid oid;

	memcpy(&oid, value, sizeof(Oid));
	ObjectAddressSet(address, enc->catalog, oid);
	identity = OidIsValid(oid) ? getObjectIdentity(&address, true) : NULL;
	if (identity)
	{
		put8(canon, 1);
		put_text(canon, identity, strlen(identity));
	}
	else if (OidIsValid(oid))
	{
		/* names nothing here; its text form is the number, so that is the value */
		put8(canon, 2);
		put32(canon, oid);
	}
	else
		put8(canon, 0);
	end_frame(canon, frame);
}

/*
 * encode_by_send
 *		Whatever the type's send function gives.
 *
 * Send functions convert text to the client's encoding, which is none of our
 * business: let it be UTF-8 meanwhile.
 */
static void
encode_by_send(UpgCanonical *canon, UpgEncoder *enc, const char *value)
{
	Datum datum = fetch_att(value, enc->typbyval, enc->typlen);
	int client = pg_get_client_encoding();
	bytea *bytes;

	if (client == PG_UTF8 || (client == GetDatabaseEncoding() && !canon->convert))
		bytes = SendFunctionCall(&enc->send, datum);
	else
	{
		if (PrepareClientEncoding(PG_UTF8) < 0)
			ereport(
				ERROR,
				(errcode(ERRCODE_UPG_NO_CANONICAL_FORM),
				 errmsg("type %s has no canonical form in a database of encoding %s",
						format_type_be_qualified(enc->typid), GetDatabaseEncodingName()),
				 errdetail("There is no conversion from that encoding to UTF-8.")));
		PG_TRY();
		{
			SetClientEncoding(PG_UTF8);
			bytes = SendFunctionCall(&enc->send, datum);
		}
		PG_CATCH();
		{
			SetClientEncoding(client);
			PG_RE_THROW();
		}
		PG_END_TRY();
		SetClientEncoding(client);
	}
	put_bytes(canon, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
}

/* Structs with a varying part. */
static void
encode_struct(UpgCanonical *canon, UpgEncoder *enc, const char *value)
{
	struct varlena *v = unpack_struct(value);
	Size frame = begin_frame(canon);

	if (enc->kind == UPG_ENC_BIT)
	{
		put32(canon, (uint32) VARBITLEN(v));
		put_raw(canon, (const char *) VARBITS(v), VARBITBYTES(v));
	}
	else if (enc->kind == UPG_ENC_PATH)
	{
		PATH *path = (PATH *) v;

		put8(canon, path->closed != 0);
		put32(canon, (uint32) path->npts);
		encode_points(canon, (const char *) path->p, path->npts * 2);
	}
	else
	{
		POLYGON *polygon = (POLYGON *) v;

		put32(canon, (uint32) polygon->npts);
		encode_points(canon, (const char *) polygon->p, polygon->npts * 2);
	}
	end_frame(canon, frame);
}

/*
 * upg_encode_value
 *		Append the encoding of one value.
 *
 * "value" points at the value as it lies in a tuple or an array.
 */
void
upg_encode_value(UpgCanonical *canon, UpgEncoder *enc, const char *value)
{
	uint16 v16;
	uint32 v32;
	uint64 v64;

	switch (enc->kind)
	{
		case UPG_ENC_RAW1:
			put8(canon, (uint8) *value);
			break;
		case UPG_ENC_RAW2:
			memcpy(&v16, value, 2);
			put16(canon, v16);
			break;
		case UPG_ENC_RAW4:
			memcpy(&v32, value, 4);
			put32(canon, v32);
			break;
		case UPG_ENC_RAW8:
			memcpy(&v64, value, 8);
			put64(canon, v64);
			break;
		case UPG_ENC_WIDE2:
			memcpy(&v16, value, 2);
			put64(canon, (uint64) (int64) (int16) v16);
			break;
		case UPG_ENC_WIDE4:
			memcpy(&v32, value, 4);
			put64(canon, (uint64) (int64) (int32) v32);
			break;
		case UPG_ENC_BOOL:
			put8(canon, *value != 0);
			break;
		case UPG_ENC_BYTES:
			put_raw(canon, value, enc->width);
			break;
		case UPG_ENC_FLOAT4:
		{
			float v;

			memcpy(&v, value, sizeof(v));
			put_float4(canon, v);
			break;
		}
		case UPG_ENC_FLOAT8:
			encode_points(canon, value, 1);
			break;
		case UPG_ENC_POINTS:
			encode_points(canon, value, enc->width);
			break;
		case UPG_ENC_TIMETZ:
			memcpy(&v64, value, 8);
			memcpy(&v32, value + 8, 4);
			put64(canon, v64);
			put32(canon, v32);
			break;
		case UPG_ENC_INTERVAL:
			encode_interval(canon, value);
			break;
		case UPG_ENC_TID:
		{
			ItemPointerData tid;

			memcpy(&tid, value, sizeof(tid));
			put32(canon, ItemPointerGetBlockNumberNoCheck(&tid));
			put16(canon, ItemPointerGetOffsetNumberNoCheck(&tid));
			break;
		}
		case UPG_ENC_TEXT:
		case UPG_ENC_BPCHAR:
		case UPG_ENC_BYTEA:
			encode_characters(canon, enc->kind, value);
			break;
		case UPG_ENC_NAME:
			put_text(canon, value, strnlen(value, NAMEDATALEN));
			break;
		case UPG_ENC_NUMERIC:
			encode_numeric(canon, value);
			break;
		case UPG_ENC_BIT:
		case UPG_ENC_PATH:
		case UPG_ENC_POLYGON:
			encode_struct(canon, enc, value);
			break;
		case UPG_ENC_INET:
		case UPG_ENC_CIDR:
			encode_inet(canon, value, enc->kind == UPG_ENC_CIDR);
			break;
		case UPG_ENC_JSONB:
			encode_jsonb(canon, value);
			break;
		case UPG_ENC_ARRAY:
			encode_array(canon, enc, value);
			break;
		case UPG_ENC_ENUM:
		{
			const char *label;

			memcpy(&v32, value, 4);
			label = enum_label(canon, enc, (Oid) v32);
			put_text(canon, label, strlen(label));
			break;
		}
		case UPG_ENC_COMPOSITE:
		case UPG_ENC_RECORD:
			check_stack_depth();
			encode_composite(canon, enc, value);
			break;
		case UPG_ENC_RANGE:
		case UPG_ENC_MULTIRANGE:
			encode_ranges(canon, enc, value);
			break;
		case UPG_ENC_REG:
			encode_reg(canon, enc, value);
			break;
		case UPG_ENC_SEND:
			encode_by_send(canon, enc, value);
			break;
	}
}
