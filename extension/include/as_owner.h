/*-------------------------------------------------------------------------
 *
 * as_owner.h
 *		Evaluating what belongs to a table as the owner of the table.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/as_owner.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_AS_OWNER_H
#define UPG_AS_OWNER_H

/* What was there before. */
typedef struct UpgAsOwner
{
	Oid user;
	int context;
	int nestlevel;
} UpgAsOwner;

extern void upg_as_owner_begin(UpgAsOwner *before, Oid owner, int context);
extern void upg_as_owner_end(const UpgAsOwner *before);
extern void upg_catalog_first(void);

#endif /* UPG_AS_OWNER_H */
