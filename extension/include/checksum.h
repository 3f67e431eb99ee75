/*-------------------------------------------------------------------------
 *
 * checksum.h
 *		Checksums of sets of rows, as SQL sees them.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/checksum.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_CHECKSUM_H
#define UPG_CHECKSUM_H

#include "fmgr.h"

#include "canonical.h"

/*
 * What two checksums must agree on before they can be compared.
 */
typedef struct UpgChecksumHeader
{
	uint64 signature; /* digest of the names and types of the columns */
	uint32 seed_tag;  /* zero for the default seed, else a digest of it */
	uint8 version;    /* of the canonical encoding */
	uint8 mode;       /* UpgCanonicalMode */
	uint8 known;      /* false while no row has been seen */
	uint8 unused;
} UpgChecksumHeader;

/*
 * A value of type upg_checksum_value: a set of rows, by the sum of their
 * hashes modulo 2^128 and their number.  Fixed size, passed by reference.
 */
typedef struct UpgChecksum
{
	UpgSum sum;
	int64 rows;
	UpgChecksumHeader header;
} UpgChecksum;

#define DatumGetUpgChecksum(d)    ((UpgChecksum *) DatumGetPointer(d))
#define PG_GETARG_UPG_CHECKSUM(n) DatumGetUpgChecksum(PG_GETARG_DATUM(n))

/* in checksum.c */
extern UpgChecksumHeader upg_checksum_header(UpgCanonical *canon, UpgRowPlan *plan);
extern const char *upg_checksum_header_conflict(const UpgChecksumHeader *a,
												const UpgChecksumHeader *b);
extern void upg_checksum_merge_into(UpgChecksum *state, const UpgChecksum *other);

#endif /* UPG_CHECKSUM_H */
