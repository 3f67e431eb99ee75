/*-------------------------------------------------------------------------
 *
 * subxact.h
 *		Work in a subtransaction that is kept, abandoned, or left by an error.
 *
 *		upg_subxact_begin(&sub, name);
 *		PG_TRY();
 *		{
 *			...
 *			upg_subxact_release(&sub);	(or upg_subxact_abandon)
 *		}
 *		PG_CATCH();
 *		{
 *			edata = upg_subxact_catch(&sub);
 *		}
 *		PG_END_TRY();
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/subxact.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_SUBXACT_H
#define UPG_SUBXACT_H

#include "utils/palloc.h"
#include "utils/resowner.h"

/* What was in force when the subtransaction began. */
typedef struct UpgSubxact
{
	MemoryContext context;
	ResourceOwner owner;
	int nesting;
} UpgSubxact;

extern void upg_subxact_mark(UpgSubxact *sub);
extern void upg_subxact_begin(UpgSubxact *sub, const char *name);
extern void upg_subxact_release(const UpgSubxact *sub);
extern void upg_subxact_abandon(const UpgSubxact *sub);
extern ErrorData *upg_subxact_catch(const UpgSubxact *sub);

#endif /* UPG_SUBXACT_H */
