/*-------------------------------------------------------------------------
 *
 * drift_internal.h
 *		Stamps of objects, shared by the files that look for drift.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/drift_internal.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_DRIFT_INTERNAL_H
#define UPG_DRIFT_INTERNAL_H

#include "access/htup.h"
#include "nodes/pg_list.h"
#include "utils/hsearch.h"
#include "utils/relcache.h"

/* Number and sum of the rows of catalogs that belong to an object. */
typedef struct UpgStamp
{
	Oid anchor; /* 0: what is not a relation, type, function or schema */
	int64 rows;
	int64 sum;
} UpgStamp;

typedef struct UpgStamps
{
	HTAB *by_anchor; /* of UpgStamp */
	HTAB *temporary; /* OIDs of temporary relations */
	bool any_temporary;
	UpgStamp *last; /* that was counted for */
	Oid extension;  /* our own */
} UpgStamps;

extern UpgStamps *upg_stamps_create(void);
extern void upg_stamps_add(UpgStamps *stamps, Relation rel, HeapTuple tuple, int sign);
extern List *upg_stamp_catalogs(void);

#endif /* UPG_DRIFT_INTERNAL_H */
