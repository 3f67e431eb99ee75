/*-------------------------------------------------------------------------
 *
 * hash128_avx2.c
 *		XXH3-128 of longer inputs, with 256-bit vectors.
 *
 * A file of its own, because the whole of it is compiled for processors that
 * have AVX2.  Elsewhere it says that it is of no use.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/hash128_avx2.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define UPG_USE_AVX2 1
#pragma GCC target("avx2")
#pragma GCC optimize("O3")
#define XXH_VECTOR XXH_AVX2
#endif

#include "hash128.h"

/*
 * upg_hash128_have_avx2
 *		Whether upg_hash128_avx2() can be called.
 */
bool
upg_hash128_have_avx2(void)
{
#ifdef UPG_USE_AVX2
	return __builtin_cpu_supports("avx2");
#else
	return false;
#endif
}

/*
 * upg_hash128_avx2
 *		Hash more than UPG_HASH_SHORT bytes with the secret of their seed.
 */
UpgSum
upg_hash128_avx2(const void *data, size_t length, const void *secret, uint64 seed)
{
	XXH128_hash_t h = XXH3_128bits_withSecretandSeed(data, length, secret,
													 XXH3_SECRET_DEFAULT_SIZE, seed);
	UpgSum result;

	result.lo = h.low64;
	result.hi = h.high64;
	return result;
}
