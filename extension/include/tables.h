/*-------------------------------------------------------------------------
 *
 * tables.h
 *		Tables of the books, read and written below SQL.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/tables.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_TABLES_H
#define UPG_TABLES_H

#include "access/htup.h"
#include "access/sdir.h"
#include "storage/lockdefs.h"
#include "utils/relcache.h"

/* A table as the install script made it; its columns have these types. */
typedef struct UpgTable
{
	const char *name; /* in schema upg */
	int columns;
	const Oid *types;
} UpgTable;

extern Oid upg_relation_oid(const char *name, bool missing_ok);
extern Relation upg_table_open(const UpgTable *table, LOCKMODE mode);
extern void upg_table_insert(Relation rel, Datum *values, bool *nulls);
extern HeapTuple upg_table_find(Relation rel, const char *index, AttrNumber column,
								Datum key);
extern int64 upg_sequence_next(const char *name);

#endif /* UPG_TABLES_H */
