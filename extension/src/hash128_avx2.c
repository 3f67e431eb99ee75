/*-------------------------------------------------------------------------
 *
 * hash128_avx2.c
 *		XXH3-128 of longer inputs, with 256-bit vectors.
 *
 * The same values as the library gives, and faster for rows of some hundred
 * bytes: the eight accumulators stay in two registers from the first stripe to
 * the last, and nothing is left to the compiler's choice of what to inline.
 * Functions are compiled for AVX2 one by one, so that no other code of the
 * module can come to need it.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/hash128_avx2.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "hash128.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define UPG_USE_AVX2 1
#endif

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

#ifdef UPG_USE_AVX2

#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))

/* XXH3 reads its input in stripes; after a block of them it scrambles. */
#define STRIPE         64
#define SECRET_SIZE    192
#define SECRET_STEP    8 /* the secret moves by so much from stripe to stripe */
#define BLOCK_STRIPES  ((SECRET_SIZE - STRIPE) / SECRET_STEP)
#define BLOCK          (STRIPE * BLOCK_STRIPES)
#define LAST_SECRET    (SECRET_SIZE - STRIPE - 7)
#define MERGE_SECRET   11
#define SCRAMBLE_SHIFT 47
#define AVALANCHE      UINT64CONST(0x165667919E3779F9)

static const uint32 prime32[] = {0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D};
static const uint64 prime64[] = {
	UINT64CONST(0x9E3779B185EBCA87), UINT64CONST(0xC2B2AE3D27D4EB4F),
	UINT64CONST(0x165667B19E3779F9), UINT64CONST(0x85EBCA77C2B2AE63),
	UINT64CONST(0x27D4EB2F165667C5)};

typedef struct Accumulators
{
	__m256i a;
	__m256i b;
} Accumulators;

static inline AVX2 __m256i
load32(const char *p)
{
	return _mm256_loadu_si256((const __m256i *) p);
}

/* Add half of a stripe: the words, exchanged in pairs, and products of their halves. */
static inline AVX2 __m256i
add_half(__m256i acc, const char *data, const char *secret)
{
	__m256i words = load32(data);
	__m256i keyed = _mm256_xor_si256(words, load32(secret));
	__m256i product = _mm256_mul_epu32(keyed, _mm256_srli_epi64(keyed, 32));

	acc = _mm256_add_epi64(acc, _mm256_shuffle_epi32(words, _MM_SHUFFLE(1, 0, 3, 2)));
	return _mm256_add_epi64(acc, product);
}

static inline AVX2 Accumulators
add_stripe(Accumulators acc, const char *data, const char *secret)
{
	acc.a = add_half(acc.a, data, secret);
	acc.b = add_half(acc.b, data + STRIPE / 2, secret + STRIPE / 2);
	return acc;
}

static inline AVX2 Accumulators
add_stripes(Accumulators acc, const char *data, const char *secret, size_t count)
{
	for (size_t i = 0; i < count; i++)
		acc = add_stripe(acc, data + i * STRIPE, secret + i * SECRET_STEP);
	return acc;
}

/* Half of what follows on a block: fold, mix with the secret, multiply by a prime. */
static inline AVX2 __m256i
scramble_half(__m256i acc, const char *secret)
{
	__m256i prime = _mm256_set1_epi32((int) prime32[0]);
	__m256i x = _mm256_xor_si256(acc, _mm256_srli_epi64(acc, SCRAMBLE_SHIFT));
	__m256i high;

	x = _mm256_xor_si256(x, load32(secret));
	high = _mm256_mul_epu32(_mm256_srli_epi64(x, 32), prime);
	return _mm256_add_epi64(_mm256_mul_epu32(x, prime), _mm256_slli_epi64(high, 32));
}

/* The accumulators as one number. */
static inline uint64
merge(const uint64 *acc, const char *secret, uint64 start)
{
	uint64 result = start;
	uint64 key[8];

	memcpy(key, secret, sizeof(key));
	for (int i = 0; i < 8; i += 2)
	{
		unsigned __int128 product =
			(unsigned __int128) (acc[i] ^ key[i]) * (acc[i + 1] ^ key[i + 1]);

		result += (uint64) product ^ (uint64) (product >> 64);
	}
	result = (result ^ (result >> 37)) * AVALANCHE;
	return result ^ (result >> 32);
}

/*
 * upg_hash128_avx2
 *		Hash more than UPG_HASH_SHORT bytes with the secret of their seed.
 */
AVX2 UpgSum
upg_hash128_avx2(const void *input, size_t length, const void *secret_bytes)
{
	const char *data = input;
	const char *secret = secret_bytes;
	const char *last = data + length - STRIPE;
	size_t stripes = (length - 1) / STRIPE;
	uint64 acc[8] = {prime32[2], prime64[0], prime64[1], prime64[2],
					 prime64[3], prime32[1], prime64[4], prime32[0]};
	Accumulators sums;
	UpgSum result;

	sums.a = load32((const char *) acc);
	sums.b = load32((const char *) (acc + 4));
	for (; stripes >= BLOCK_STRIPES; stripes -= BLOCK_STRIPES, data += BLOCK)
	{
		sums = add_stripes(sums, data, secret, BLOCK_STRIPES);
		sums.a = scramble_half(sums.a, secret + SECRET_SIZE - STRIPE);
		sums.b = scramble_half(sums.b, secret + SECRET_SIZE - STRIPE / 2);
	}
	sums = add_stripes(sums, data, secret, stripes);
	sums = add_stripe(sums, last, secret + LAST_SECRET);
	_mm256_storeu_si256((__m256i *) acc, sums.a);
	_mm256_storeu_si256((__m256i *) (acc + 4), sums.b);

	result.lo = merge(acc, secret + MERGE_SECRET, (uint64) length * prime64[0]);
	result.hi = merge(acc, secret + SECRET_SIZE - STRIPE - MERGE_SECRET,
					  ~((uint64) length * prime64[1]));
	return result;
}

#else

/* Never called: upg_hash128_have_avx2() says no. */
UpgSum
upg_hash128_avx2(const void *input, size_t length, const void *secret_bytes)
{
	elog(ERROR, "this build has no code for AVX2");
}

#endif
