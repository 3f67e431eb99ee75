/*-------------------------------------------------------------------------
 *
 * checksum.c
 *		The type upg_checksum_value: text and binary form, arithmetic,
 *		comparison.
 *
 * A value carries a header: version of the encoding, mode, names and types of
 * the columns, seed.  Values whose headers differ say nothing about each
 * other, so comparing or adding them is an error and never an answer.  The
 * checksum of no rows may have no header, because an aggregate that saw no row
 * has seen no column types either; it goes with any other.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/checksum.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "libpq/pqformat.h"
#include "utils/builtins.h"

#include "checksum.h"
#include "compat.h"
#include "errors.h"

PG_FUNCTION_INFO_V1(upg_checksum_value_in);
PG_FUNCTION_INFO_V1(upg_checksum_value_out);
PG_FUNCTION_INFO_V1(upg_checksum_value_recv);
PG_FUNCTION_INFO_V1(upg_checksum_value_send);
PG_FUNCTION_INFO_V1(upg_checksum_add);
PG_FUNCTION_INFO_V1(upg_checksum_subtract);
PG_FUNCTION_INFO_V1(upg_checksum_eq);
PG_FUNCTION_INFO_V1(upg_checksum_ne);
PG_FUNCTION_INFO_V1(upg_checksum_info);

/*
 * upg_checksum_header
 *		The header of checksums made with a plan.
 */
UpgChecksumHeader
upg_checksum_header(UpgCanonical *canon, UpgRowPlan *plan)
{
	UpgChecksumHeader header;

	memset(&header, 0, sizeof(header));
	header.signature = plan->signature;
	header.version = UPG_CANONICAL_VERSION;
	header.mode = canon->mode;
	header.known = true;
	if (canon->seed != 0)
		header.seed_tag = (uint32) XXH3_64bits(&canon->seed, sizeof(canon->seed)) | 1;
	return header;
}

/*
 * upg_checksum_header_conflict
 *		Why two checksums cannot be compared, as a sentence; NULL if they can.
 */
const char *
upg_checksum_header_conflict(const UpgChecksumHeader *a, const UpgChecksumHeader *b)
{
	if (!a->known || !b->known)
		return NULL;
	if (a->version != b->version)
		return "They were made by different versions of the encoding.";
	if (a->mode != b->mode)
		return "One was made in strict mode, the other in semantic mode.";
	if (a->signature != b->signature)
		return "The names or types of their columns differ.";
	if (a->seed_tag != b->seed_tag)
		return "They were made with different seeds.";
	return NULL;
}

static void
require_comparable(const UpgChecksum *a, const UpgChecksum *b)
{
	const char *why = upg_checksum_header_conflict(&a->header, &b->header);

	if (why)
		ereport(ERROR, (errcode(ERRCODE_UPG_NOT_COMPARABLE),
						errmsg("checksums are not comparable"), errdetail("%s", why),
						errhint("Make both with the same columns, mode and seed.")));
}

/*
 * upg_checksum_merge_into
 *		Add the rows of "other" to "state".
 */
void
upg_checksum_merge_into(UpgChecksum *state, const UpgChecksum *other)
{
	require_comparable(state, other);
	upg_sum_add(&state->sum, other->sum);
	state->rows += other->rows;
	if (!state->header.known)
		state->header = other->header;
}

/* Read "digits" hexadecimal digits followed by "end". */
static bool
read_hex(const char **s, int digits, char end, uint64 *value)
{
	uint64 v = 0;

	for (int i = 0; i < digits; i++, (*s)++)
	{
		char c = **s;

		if (c >= '0' && c <= '9')
			v = (v << 4) | (c - '0');
		else if (c >= 'a' && c <= 'f')
			v = (v << 4) | (c - 'a' + 10);
		else
			return false;
	}
	if (end == '\0')
	{
		*value = v;
		return true;
	}
	if (**s != end)
		return false;
	(*s)++;
	*value = v;
	return true;
}

/* Skip over a fixed word. */
static bool
read_word(const char **s, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(*s, word, len) != 0)
		return false;
	*s += len;
	return true;
}

/*
 * parse_checksum
 *		Read the text form; false if it is not one.
 */
static bool
parse_checksum(const char *s, UpgChecksum *result)
{
	uint64 v;
	char *end;
	long version;

	memset(result, 0, sizeof(*result));
	if (!read_word(&s, "upg") || *s < '0' || *s > '9')
		return false;
	version = strtol(s, &end, 10);
	if (*end != ':' || version < 1 || version > 127)
		return false;
	s = end + 1;
	result->header.version = (uint8) version;
	result->header.known = true;
	if (read_word(&s, "semantic:"))
		result->header.mode = UPG_MODE_SEMANTIC;
	else if (read_word(&s, "none:"))
		result->header.known = false;
	else if (!read_word(&s, "strict:"))
		return false;
	if (!read_hex(&s, 16, ':', &result->header.signature) || !read_hex(&s, 8, ':', &v))
		return false;
	result->header.seed_tag = (uint32) v;
	if (*s != '-' && (*s < '0' || *s > '9'))
		return false;
	errno = 0;
	result->rows = strtoll(s, &end, 10);
	if (errno != 0 || *end != ':')
		return false;
	s = end + 1;
	if (!read_hex(&s, 16, '\0', &result->sum.hi) ||
		!read_hex(&s, 16, '\0', &result->sum.lo) || *s != '\0')
		return false;

	/* without a header there can be nothing in it */
	if (!result->header.known &&
		(result->rows != 0 || result->sum.lo != 0 || result->sum.hi != 0 ||
		 result->header.signature != 0 || result->header.seed_tag != 0))
		return false;
	return true;
}

Datum
upg_checksum_value_in(PG_FUNCTION_ARGS)
{
	const char *s = PG_GETARG_CSTRING(0);
	UpgChecksum *result = palloc(sizeof(UpgChecksum));

	if (!parse_checksum(s, result))
		ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
						errmsg("invalid input syntax for type %s: \"%s\"",
							   "upg_checksum_value", s)));
	PG_RETURN_POINTER(result);
}

Datum
upg_checksum_value_out(PG_FUNCTION_ARGS)
{
	UpgChecksum *v = PG_GETARG_UPG_CHECKSUM(0);

	PG_RETURN_CSTRING(psprintf(
		"upg%d:%s:%016llx:%08x:%lld:%016llx%016llx", v->header.version,
		v->header.known ? upg_canonical_mode_name(v->header.mode) : "none",
		(unsigned long long) v->header.signature, v->header.seed_tag, (long long) v->rows,
		(unsigned long long) v->sum.hi, (unsigned long long) v->sum.lo));
}

Datum
upg_checksum_value_recv(PG_FUNCTION_ARGS)
{
	StringInfo buf = (StringInfo) PG_GETARG_POINTER(0);
	UpgChecksum *v = palloc0(sizeof(UpgChecksum));

	v->header.version = pq_getmsgbyte(buf);
	v->header.mode = pq_getmsgbyte(buf);
	v->header.known = pq_getmsgbyte(buf);
	v->header.signature = pq_getmsgint64(buf);
	v->header.seed_tag = pq_getmsgint(buf, 4);
	v->rows = pq_getmsgint64(buf);
	v->sum.hi = pq_getmsgint64(buf);
	v->sum.lo = pq_getmsgint64(buf);
	if (v->header.version < 1 || v->header.mode > UPG_MODE_SEMANTIC ||
		v->header.known > 1 ||
		(!v->header.known && (v->rows != 0 || v->sum.lo != 0 || v->sum.hi != 0)))
		ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
						errmsg("invalid binary form of a checksum")));
	PG_RETURN_POINTER(v);
}

Datum
upg_checksum_value_send(PG_FUNCTION_ARGS)
{
	UpgChecksum *v = PG_GETARG_UPG_CHECKSUM(0);
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendbyte(&buf, v->header.version);
	pq_sendbyte(&buf, v->header.mode);
	pq_sendbyte(&buf, v->header.known);
	pq_sendint64(&buf, v->header.signature);
	pq_sendint32(&buf, v->header.seed_tag);
	pq_sendint64(&buf, v->rows);
	pq_sendint64(&buf, v->sum.hi);
	pq_sendint64(&buf, v->sum.lo);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

/*
 * upg_checksum_add
 *		The checksum of the union of two sets; also combines the states of the
 *		aggregates, then in place.
 */
Datum
upg_checksum_add(PG_FUNCTION_ARGS)
{
	UpgChecksum *a = PG_GETARG_UPG_CHECKSUM(0);
	UpgChecksum *result = a;

	if (!AggCheckCallContext(fcinfo, NULL))
	{
		result = palloc(sizeof(UpgChecksum));
		*result = *a;
	}
	upg_checksum_merge_into(result, PG_GETARG_UPG_CHECKSUM(1));
	PG_RETURN_POINTER(result);
}

Datum
upg_checksum_subtract(PG_FUNCTION_ARGS)
{
	UpgChecksum *a = PG_GETARG_UPG_CHECKSUM(0);
	UpgChecksum *b = PG_GETARG_UPG_CHECKSUM(1);
	UpgChecksum *result = palloc(sizeof(UpgChecksum));

	require_comparable(a, b);
	*result = *a;
	upg_sum_sub(&result->sum, b->sum);
	result->rows -= b->rows;
	if (!a->header.known)
		result->header = b->header;
	PG_RETURN_POINTER(result);
}

static bool
checksums_equal(const UpgChecksum *a, const UpgChecksum *b)
{
	require_comparable(a, b);
	return a->rows == b->rows && a->sum.lo == b->sum.lo && a->sum.hi == b->sum.hi;
}

Datum
upg_checksum_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(checksums_equal(PG_GETARG_UPG_CHECKSUM(0), PG_GETARG_UPG_CHECKSUM(1)));
}

Datum
upg_checksum_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(
		!checksums_equal(PG_GETARG_UPG_CHECKSUM(0), PG_GETARG_UPG_CHECKSUM(1)));
}

/*
 * upg_checksum_info
 *		The parts of a checksum.
 */
Datum
upg_checksum_info(PG_FUNCTION_ARGS)
{
	UpgChecksum *v = PG_GETARG_UPG_CHECKSUM(0);
	TupleDesc desc;
	Datum values[7];
	bool nulls[7] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = CStringGetTextDatum("xxh3-128");
	values[1] = Int32GetDatum(v->header.version);
	values[2] = CStringGetTextDatum(upg_canonical_mode_name(v->header.mode));
	values[3] = CStringGetTextDatum(
		psprintf("%016llx", (unsigned long long) v->header.signature));
	nulls[2] = nulls[3] = !v->header.known;
	values[4] = BoolGetDatum(v->header.seed_tag != 0);
	values[5] = Int64GetDatum(v->rows);
	values[6] =
		CStringGetTextDatum(psprintf("%016llx%016llx", (unsigned long long) v->sum.hi,
									 (unsigned long long) v->sum.lo));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}
