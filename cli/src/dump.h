/*-------------------------------------------------------------------------
 *
 * dump.h
 *		The schema of a database as pg_dump shows it.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/dump.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_DUMP_H
#define UPG_DUMP_H

#include "command.h"

/* What to dump. */
#define UPG_DUMP_DATA   1 /* rows too, as INSERT */
#define UPG_DUMP_OWNERS 2 /* owners and privileges */
#define UPG_DUMP_RIGHTS 4 /* privileges only */

extern bool dump_database(UpgContext *ctx, int what, UpgBuf *out);
extern bool dump_difference(const char *a, const char *b, int *line, UpgBuf *in_a,
							UpgBuf *in_b);

#endif /* UPG_DUMP_H */
