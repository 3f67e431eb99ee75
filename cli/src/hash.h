/*-------------------------------------------------------------------------
 *
 * hash.h
 *		SHA-256, and other digests by name.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/hash.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_HASH_H
#define UPG_HASH_H

#include <stddef.h>

#define UPG_SHA256_HEX 65  /* with the terminating zero */
#define UPG_HASH_HEX   129 /* of any digest */

typedef struct UpgHash UpgHash;

extern UpgHash *hash_new(void);
extern void hash_add(UpgHash *hash, const void *data, size_t len);
extern void hash_final(UpgHash *hash, char hex[UPG_SHA256_HEX]);
extern void hash_free(UpgHash *hash);
extern void hash_hex_by(const char *digest, const void *data, size_t len,
						char hex[UPG_HASH_HEX]);

#endif /* UPG_HASH_H */
