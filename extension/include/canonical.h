/*-------------------------------------------------------------------------
 *
 * canonical.h
 *		The canonical encoding of values and rows, and hashes of it.
 *
 * docs/verification.md specifies the bytes.  Nothing here may change them
 * without a new UPG_CANONICAL_VERSION.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/canonical.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_CANONICAL_H
#define UPG_CANONICAL_H

#include "access/htup.h"
#include "access/htup_details.h"
#include "access/tupdesc.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "port/pg_bswap.h"
#include "utils/palloc.h"

#include "hash128.h"

#define UPG_CANONICAL_VERSION 1

/* Values longer than this are represented by length and digest. */
#define UPG_CANONICAL_LIMIT 1024

/* Most that one value of a finished row can take: frame, digest or short value. */
#define UPG_CANONICAL_VALUE_MAX (UPG_CANONICAL_LIMIT + 16)

typedef enum UpgCanonicalMode
{
	UPG_MODE_STRICT = 0,  /* equal = what dump and restore preserve */
	UPG_MODE_SEMANTIC = 1 /* equal = what the type's "=" says */
} UpgCanonicalMode;

/* How values of a type are encoded. */
typedef enum UpgEncoderKind
{
	UPG_ENC_RAW1,
	UPG_ENC_RAW2,
	UPG_ENC_RAW4,
	UPG_ENC_RAW8,
	UPG_ENC_WIDE2, /* integers in semantic mode: 8 bytes each */
	UPG_ENC_WIDE4,
	UPG_ENC_BOOL,
	UPG_ENC_BYTES, /* fixed number of bytes without byte order */
	UPG_ENC_FLOAT4,
	UPG_ENC_FLOAT8,
	UPG_ENC_POINTS, /* fixed number of float8 */
	UPG_ENC_TIMETZ,
	UPG_ENC_INTERVAL,
	UPG_ENC_TID,
	UPG_ENC_TEXT,
	UPG_ENC_BPCHAR,
	UPG_ENC_NAME,
	UPG_ENC_BYTEA,
	UPG_ENC_NUMERIC,
	UPG_ENC_BIT,
	UPG_ENC_INET,
	UPG_ENC_CIDR,
	UPG_ENC_PATH,
	UPG_ENC_POLYGON,
	UPG_ENC_JSONB,
	UPG_ENC_ARRAY,
	UPG_ENC_ENUM,
	UPG_ENC_COMPOSITE,
	UPG_ENC_RECORD,
	UPG_ENC_RANGE,
	UPG_ENC_MULTIRANGE,
	UPG_ENC_REG,
	UPG_ENC_SEND
} UpgEncoderKind;

struct UpgRowPlan;
struct UpgEnumLabels;
struct TypeCacheEntry;

typedef struct UpgEncoder
{
	UpgEncoderKind kind;
	int width; /* bytes in the tuple of fixed-width kinds */
	Oid typid; /* never a domain */
	int16 typlen;
	bool typbyval;
	char typalign;
	struct UpgEncoder *element; /* of an array, range or multirange */
	struct UpgRowPlan *row;     /* of a composite; of the last record seen */
	Oid record_type;            /* what "row" was built for, of a record */
	int32 record_typmod;
	UpgSum record_signature;
	struct TypeCacheEntry *typcache; /* of a range or multirange */
	struct UpgEnumLabels *labels;
	Oid catalog; /* where the OIDs of a reg* type live */
	FmgrInfo send;
} UpgEncoder;

/* One column of a row plan, in canonical order. */
typedef struct UpgColumn
{
	UpgEncoder *encoder;
	const char *name; /* the name it is ordered and compared under */
	int position;     /* index into the tuple or the datum arrays */
	int offset;       /* in every tuple without nulls, or -1 */
	uint8 kind;       /* the encoder's, where the loop over columns finds it */
	uint8 width;
} UpgColumn;

/* What walking over a physical tuple needs to know of one attribute. */
typedef struct UpgWalk
{
	int16 attlen;
	uint8 align;         /* less one */
	int offset;          /* while no attribute before it varies; or -1 */
	int distance;        /* from the last attribute that had to be aligned; or -1 */
	const char *missing; /* value of rows older than the column, or NULL */
} UpgWalk;

/* What encoding and hashing share, for a row and all that is nested in it. */
typedef struct UpgCanonical
{
	UpgCanonicalMode mode;
	uint64 seed;
	bool convert;          /* the database's encoding is not UTF-8 */
	bool leader_only;      /* a send function cannot run in a parallel worker */
	MemoryContext keep;    /* lives as long as the plan */
	MemoryContext scratch; /* reset after each row */
	uint64 unpacked;       /* rows that needed it */
	char *data;
	Size used;
	Size size;
} UpgCanonical;

typedef struct UpgRowPlan
{
	UpgCanonical *canon;
	int ncolumns;
	UpgColumn *columns;
	int nwalk;  /* attributes to walk over */
	bool fixed; /* all columns have an offset: no walk without nulls */
	UpgWalk *walk;
	const char **where; /* value of each attribute of this row, NULL if null */
	int prefix_size;
	char *prefix;     /* version, mode, count, null map of a row without nulls */
	uint64 signature; /* digest of names and types of the columns */
} UpgRowPlan;

/* in canonical.c */
extern UpgCanonical *upg_canonical_create(UpgCanonicalMode mode, uint64 seed);
extern UpgCanonicalMode upg_canonical_mode(const char *name);
extern const char *upg_canonical_mode_name(UpgCanonicalMode mode);
extern UpgRowPlan *upg_row_plan(UpgCanonical *canon, TupleDesc desc, int ncolumns,
								const int *positions, const char *const *names,
								bool sort);
extern UpgRowPlan *upg_row_plan_all(UpgCanonical *canon, TupleDesc desc);
extern void upg_row_walk(UpgRowPlan *plan, HeapTupleHeader tuple);
extern void upg_row_datums(UpgRowPlan *plan, const Datum *values, const bool *nulls,
						   uint64 *store);
extern UpgSum upg_row_hash_walked(UpgRowPlan *plan);
extern UpgSum upg_row_hash(UpgRowPlan *plan, HeapTupleHeader tuple);
extern UpgSum upg_column_hash_walked(UpgRowPlan *plan, int column);
extern void upg_encode_row(UpgCanonical *canon, UpgRowPlan *plan);

/* in canonical_type.c */
extern UpgEncoder *upg_encoder_for_type(UpgCanonical *canon, Oid typid,
										const char *column);
extern void upg_type_signature(StringInfo out, UpgCanonicalMode mode, Oid typid);

/* in canonical_value.c */
extern void upg_encode_value(UpgCanonical *canon, UpgEncoder *enc, const char *value);

/* Make room for "more" bytes. */
extern void upg_canonical_grow(UpgCanonical *canon, Size more);

static inline void
upg_canonical_reserve(UpgCanonical *canon, Size more)
{
	if (unlikely(canon->size - canon->used < more))
		upg_canonical_grow(canon, more);
}

/* Numbers are little-endian in the canonical form. */
static inline void
upg_store16(char *out, uint16 v)
{
#ifdef WORDS_BIGENDIAN
	v = pg_bswap16(v);
#endif
	memcpy(out, &v, sizeof(v));
}

static inline void
upg_store32(char *out, uint32 v)
{
#ifdef WORDS_BIGENDIAN
	v = pg_bswap32(v);
#endif
	memcpy(out, &v, sizeof(v));
}

static inline void
upg_store64(char *out, uint64 v)
{
#ifdef WORDS_BIGENDIAN
	v = pg_bswap64(v);
#endif
	memcpy(out, &v, sizeof(v));
}

static inline uint32
upg_load32(const char *p)
{
	uint32 v;

	memcpy(&v, p, sizeof(v));
#ifdef WORDS_BIGENDIAN
	v = pg_bswap32(v);
#endif
	return v;
}

static inline uint64
upg_load64(const char *p)
{
	uint64 v;

	memcpy(&v, p, sizeof(v));
#ifdef WORDS_BIGENDIAN
	v = pg_bswap64(v);
#endif
	return v;
}

#endif /* UPG_CANONICAL_H */
