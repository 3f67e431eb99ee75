/*-------------------------------------------------------------------------
 *
 * hash128.h
 *		XXH3-128, inlined, and arithmetic on 128-bit sums.
 *
 * The hash is a part of the canonical format: XXH3 is frozen since xxHash
 * 0.8.0, so every later version of the header gives the same values.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/hash128.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_HASH128_H
#define UPG_HASH128_H

#define XXH_INLINE_ALL
#include <xxhash.h>

#if XXH_VERSION_NUMBER < 801
#error "upg needs xxHash 0.8.1 or later"
#endif

/* A number modulo 2^128. */
typedef struct UpgSum
{
	uint64 lo;
	uint64 hi;
} UpgSum;

/* Up to here XXH3 reads its input in a few words; beyond, block by block. */
#define UPG_HASH_SHORT 240

/* in hash128.c, hash128_avx2.c */
extern UpgSum upg_hash128_long(const void *data, size_t length, uint64 seed);
extern UpgSum upg_hash128_avx2(const void *input, size_t length,
							   const void *secret_bytes);
extern bool upg_hash128_have_avx2(void);

static inline UpgSum
upg_hash128(const void *data, size_t length, uint64 seed)
{
	XXH128_hash_t h;
	UpgSum result;

	if (length > UPG_HASH_SHORT)
		return upg_hash128_long(data, length, seed);
	h = XXH3_128bits_withSeed(data, length, seed);

	result.lo = h.low64;
	result.hi = h.high64;
	return result;
}

static inline void
upg_sum_add(UpgSum *sum, UpgSum term)
{
	sum->lo += term.lo;
	sum->hi += term.hi + (sum->lo < term.lo);
}

static inline void
upg_sum_sub(UpgSum *sum, UpgSum term)
{
	uint64 borrow = sum->lo < term.lo;

	sum->lo -= term.lo;
	sum->hi -= term.hi + borrow;
}

/* Write a sum as 16 bytes, most significant first: the order of its hex digits. */
static inline void
upg_sum_to_bytes(UpgSum sum, unsigned char *out)
{
	for (int i = 0; i < 8; i++)
	{
		out[i] = (unsigned char) (sum.hi >> (56 - 8 * i));
		out[8 + i] = (unsigned char) (sum.lo >> (56 - 8 * i));
	}
}

static inline UpgSum
upg_sum_from_bytes(const unsigned char *in)
{
	UpgSum sum = {0, 0};

	for (int i = 0; i < 8; i++)
	{
		sum.hi = (sum.hi << 8) | in[i];
		sum.lo = (sum.lo << 8) | in[8 + i];
	}
	return sum;
}

#endif /* UPG_HASH128_H */
