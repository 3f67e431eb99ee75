/*-------------------------------------------------------------------------
 *
 * replace.h
 *		A migration that stands for several older ones.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/replace.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_REPLACE_H
#define UPG_REPLACE_H

#include "ledger.h"

extern List *upg_replace_find(const char *name, List *names);
extern void upg_replace_move(int64 id, List *replaced);

#endif /* UPG_REPLACE_H */
