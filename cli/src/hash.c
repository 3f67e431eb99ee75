/*-------------------------------------------------------------------------
 *
 * hash.c
 *		SHA-256, by libcrypto.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/hash.c
 *
 *-------------------------------------------------------------------------
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "exit_codes.h"
#include "hash.h"
#include "util.h"

struct UpgHash
{
	EVP_MD_CTX *ctx;
};

/*
 * must
 *		libcrypto's digest calls fail only when it is broken or out of memory.
 */
static void
must(int ok)
{
	if (ok != 1)
	{
		fputs("upg: error: could not compute SHA-256\n", stderr);
		exit(UPG_EXIT_BUG);
	}
}

/*
 * hash_new
 *		Start a digest.  The object may be used again after hash_final().
 */
UpgHash *
hash_new(void)
{
	UpgHash *hash = xmalloc(sizeof(UpgHash));

	hash->ctx = EVP_MD_CTX_new();
	must(hash->ctx != NULL);
	must(EVP_DigestInit_ex(hash->ctx, EVP_sha256(), NULL));
	return hash;
}

/*
 * hash_add
 *		Add bytes.
 */
void
hash_add(UpgHash *hash, const void *data, size_t len)
{
	must(EVP_DigestUpdate(hash->ctx, data, len));
}

/*
 * hash_final
 *		Write the digest as hex and start anew.
 */
void
hash_final(UpgHash *hash, char hex[UPG_SHA256_HEX])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char raw[EVP_MAX_MD_SIZE];
	unsigned int len = 0;

	must(EVP_DigestFinal_ex(hash->ctx, raw, &len));
	for (unsigned int i = 0; i < len && i < 32; i++)
	{
		hex[2 * i] = digits[raw[i] >> 4];
		hex[2 * i + 1] = digits[raw[i] & 15];
	}
	hex[UPG_SHA256_HEX - 1] = '\0';
	must(EVP_DigestInit_ex(hash->ctx, NULL, NULL));
}

/*
 * hash_free
 *		Give the digest back.
 */
void
hash_free(UpgHash *hash)
{
	if (hash == NULL)
		return;
	EVP_MD_CTX_free(hash->ctx);
	free(hash);
}

/*
 * hash_hex_by
 *		Digest of one piece of memory by an algorithm that libcrypto knows.
 */
void
hash_hex_by(const char *digest, const void *data, size_t len, char hex[UPG_HASH_HEX])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char raw[EVP_MAX_MD_SIZE];
	unsigned int n = 0;
	const EVP_MD *md = EVP_get_digestbyname(digest);

	must(md != NULL);
	must(EVP_Digest(data, len, raw, &n, md, NULL));
	for (unsigned int i = 0; i < n; i++)
	{
		hex[2 * i] = digits[raw[i] >> 4];
		hex[2 * i + 1] = digits[raw[i] & 15];
	}
	hex[2 * n] = '\0';
}
