/*-------------------------------------------------------------------------
 *
 * canonical_number.c
 *		The encoding of numbers and intervals.
 *
 * Numeric is written from its stored form, which has been the same since 9.1:
 * a header with sign, display scale and weight, then digits to the base 10000.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/canonical_number.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "utils/timestamp.h"

#include "canonical_internal.h"

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
 * put_float8
 *		Append a float; what "=" cannot tell apart, and the many bit patterns of
 *		NaN, are folded.
 */
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

/* As put_float8. */
void
upg_put_float4(UpgCanonical *canon, float v)
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

/*
 * write_number
 *		Write class, display scale (strict mode only), weight and the digits
 *		without zeros at either end; returns the end of what was written.
 *
 * There must be room for five bytes more than the digits take.
 */
static inline char *
write_number(UpgCanonical *canon, char *out, bool negative, int scale, int weight,
			 const char *digits, int ndigits)
{
	uint16 digit;

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

	*out++ = negative && ndigits > 0 ? NUMBER_NEGATIVE : NUMBER_POSITIVE;
	if (canon->mode == UPG_MODE_STRICT)
	{
		upg_store16(out, (uint16) scale);
		out += 2;
	}
	upg_store16(out, (uint16) weight);
	out += 2;
	for (int i = 0; i < ndigits; i++, out += 2)
	{
		memcpy(&digit, digits + 2 * i, 2);
		upg_store16(out, digit);
	}
	return out;
}

/*
 * upg_encode_numeric
 *		Append a numeric, in whatever form it is stored.
 */
void
upg_encode_numeric(UpgCanonical *canon, const char *value)
{
	Size length;
	struct varlena *copy;
	const char *s = upg_unpack(value, &length, &copy);
	Size frame = begin_frame(canon);
	uint16 header;
	char *end;

	memcpy(&header, s, 2);
	upg_canonical_reserve(canon, length + 5);
	if ((header & STORED_SIGN_MASK) == STORED_SPECIAL)
	{
		uint16 special = header & STORED_SPECIAL_MASK;

		put8(canon, special == STORED_NAN        ? NUMBER_NAN
					: special == STORED_PLUS_INF ? NUMBER_PLUS_INF
												 : NUMBER_MINUS_INF);
	}
	else
	{
		if (header & STORED_SHORT)
			end = write_number(canon, canon->data + canon->used,
							   (header & STORED_SHORT_SIGN) != 0,
							   STORED_SHORT_SCALE(header), STORED_SHORT_WEIGHT(header),
							   s + 2, (int) ((length - 2) / 2));
		else
		{
			int16 weight;

			memcpy(&weight, s + 2, 2);
			end = write_number(canon, canon->data + canon->used,
							   (header & STORED_SIGN_MASK) == STORED_NEGATIVE,
							   STORED_LONG_SCALE(header), weight, s + 4,
							   (int) ((length - 4) / 2));
		}
		canon->used = end - canon->data;
	}
	upg_end_frame(canon, frame);
	if (copy)
		pfree(copy);
}

/*
 * upg_encode_short_number
 *		As upg_encode_numeric, for a value stored inline, into room that is
 *		there; NULL if it is not that simple.
 */
char *
upg_encode_short_number(UpgCanonical *canon, const char *value, char *out)
{
	const char *s = VARDATA_ANY(value);
	Size length = VARSIZE_ANY_EXHDR(value);
	uint16 header;
	char *end;

	memcpy(&header, s, 2);
	if (length > 64 || (header & STORED_SIGN_MASK) != STORED_SHORT)
		return NULL;
	end = write_number(canon, out + 4, (header & STORED_SHORT_SIGN) != 0,
					   STORED_SHORT_SCALE(header), STORED_SHORT_WEIGHT(header), s + 2,
					   (int) (length - 2) / 2);
	upg_store32(out, (uint32) (end - out - 4));
	return end;
}

/*
 * upg_encode_interval
 *		Months, days and microseconds; or, in semantic mode, the span that
 *		comparison reduces them to, with months of 30 days of 24 hours.
 */
void
upg_encode_interval(UpgCanonical *canon, const char *value)
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

/*
 * upg_encode_points
 *		Append "count" floats of eight bytes.
 */
void
upg_encode_points(UpgCanonical *canon, const char *value, int count)
{
	for (int i = 0; i < count; i++)
	{
		double v;

		memcpy(&v, value + i * sizeof(double), sizeof(double));
		put_float8(canon, v);
	}
}
