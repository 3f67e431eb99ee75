/*-------------------------------------------------------------------------
 *
 * hash128.c
 *		XXH3-128 of longer inputs, by the widest vectors the processor has.
 *
 * XXH3 gives the same values whatever it is computed with.  For a seed other
 * than zero it derives a secret of 192 bytes, which would be done anew for each
 * call; the last one is kept.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/hash128.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "hash128.h"

/* The secret of the seed used last. */
static bool kept = false;
static uint64 kept_seed;
static unsigned char kept_secret[XXH3_SECRET_DEFAULT_SIZE];

/*
 * upg_hash128_long
 *		Hash more than UPG_HASH_SHORT bytes.
 */
UpgSum
upg_hash128_long(const void *data, size_t length, uint64 seed)
{
	static int avx2 = -1;
	XXH128_hash_t h;
	UpgSum result;

	if (unlikely(!kept || seed != kept_seed))
	{
		if (avx2 < 0)
			avx2 = upg_hash128_have_avx2();
		XXH3_generateSecret_fromSeed(kept_secret, seed);
		kept_seed = seed;
		kept = true;
	}
	if (avx2)
		return upg_hash128_avx2(data, length, kept_secret);

	h = XXH3_128bits_withSecretandSeed(data, length, kept_secret, sizeof(kept_secret),
									   seed);
	result.lo = h.low64;
	result.hi = h.high64;
	return result;
}
