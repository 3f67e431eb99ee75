/*-------------------------------------------------------------------------
 *
 * tablescan.h
 *		Scans that hash every visible row of heap tables, without the executor.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/tablescan.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_TABLESCAN_H
#define UPG_TABLESCAN_H

#include "nodes/pg_list.h"
#include "storage/buf.h"
#include "storage/itemptr.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

#include "canonical.h"
#include "checksum.h"
#include "sketch.h"

/* A column to be hashed: where it comes from and what it is called. */
typedef struct UpgScanColumn
{
	const char *attname; /* in the relation scanned */
	const char *name;    /* that it is ordered and compared under */
	const char *expr;    /* SQL expression instead of an attribute, or NULL */
} UpgScanColumn;

/*
 * What is read, and how it is hashed.
 */
typedef struct UpgScanJob
{
	UpgCanonicalMode mode;
	uint64 seed;
	int ncolumns;
	UpgScanColumn *columns;
	int nkeys;
	int *keys; /* indexes into columns, in the order of the key */
} UpgScanJob;

/* Plans for one tuple descriptor, both fed by one walk over the tuple. */
typedef struct UpgScanPlan
{
	UpgCanonical *canon;
	UpgRowPlan *row;
	UpgRowPlan *key; /* NULL without a key */
	UpgKeyForm key_form;
	int key_offset; /* of a key of one column of 4 or 8 bytes, or -1 */
	int key_width;
	int key_position;
} UpgScanPlan;

/*
 * Called for each row, after the hash has been added to the total.  "tuple" is
 * valid only during the call.
 */
typedef void (*UpgScanRowFunc)(void *arg, UpgScanPlan *plan, UpgSum hash,
							   HeapTuple tuple);

/* in scanplan.c */
extern UpgScanPlan *upg_scan_plan(const UpgScanJob *job, TupleDesc desc);
extern int upg_scan_key_width(const UpgEncoder *enc);
extern UpgSum upg_scan_key(UpgScanPlan *plan, UpgSum hash);

/* in tablescan.c */
extern int upg_list_visible(Snapshot snapshot, Relation rel, Buffer buffer,
							OffsetNumber *offsets);
extern void upg_scan_heap(const UpgScanJob *job, List *members, int workers,
						  UpgChecksum *total, UpgSketch *sketch, UpgScanRowFunc func,
						  void *arg);

#endif /* UPG_TABLESCAN_H */
