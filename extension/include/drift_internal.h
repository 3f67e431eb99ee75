/*-------------------------------------------------------------------------
 *
 * drift_internal.h
 *		Stamps of objects and pages, shared by the files that look for drift.
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
#include "storage/block.h"
#include "utils/hsearch.h"
#include "utils/relcache.h"

/* Number and sum of the rows of catalogs that belong to an object. */
typedef struct UpgStamp
{
	Oid anchor; /* 0: what is not a relation, type, function or schema */
	int64 rows;
	int64 sum;
} UpgStamp;

/* An object on a page of a catalog. */
typedef struct UpgPagePlace
{
	Oid catalog;
	BlockNumber block;
	Oid anchor;
} UpgPagePlace;

typedef struct UpgPageSum
{
	UpgPagePlace place;
	int64 rows;
	int64 sum;
} UpgPageSum;

typedef struct UpgTemporary
{
	Oid relation;
	bool temporary;
} UpgTemporary;

typedef struct UpgStamps
{
	HTAB *by_page;    /* of UpgPageSum */
	HTAB *temporary;  /* of UpgTemporary: what is known */
	UpgPageSum *last; /* that was counted for */
	Oid extension;    /* our own */
} UpgStamps;

typedef struct UpgLook UpgLook;

/* in drift_scan.c */
extern UpgStamps *upg_stamps_create(void);
extern void upg_stamps_add(UpgStamps *stamps, Relation rel, HeapTuple tuple, int sign);
extern void upg_stamps_sum(UpgStamps *stamps, Oid catalog, BlockNumber block, Oid anchor,
						   int64 rows, int64 sum);
extern List *upg_stamp_catalogs(void);

/* in drift_pages.c */
extern UpgLook *upg_look(void);
extern UpgStamps *upg_look_differing(UpgLook *look);
extern List *upg_look_objects(UpgStamps *stamps);
extern void upg_look_store(const UpgLook *look, bool taken);
extern void upg_pages_add(UpgStamps *stamps);

#endif /* UPG_DRIFT_INTERNAL_H */
