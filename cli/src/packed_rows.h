/*-------------------------------------------------------------------------
 *
 * packed_rows.h
 *		Rows that upg_rows_packed() sent.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/packed_rows.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_PACKED_ROWS_H
#define UPG_PACKED_ROWS_H

#include "conn.h"

#define PRINT_SIZE 16

/* One row, which is there so many times. */
typedef struct PackedRow
{
	const unsigned char *print; /* of its key */
	const unsigned char *hash;
	uint32_t copies;
	const unsigned char *columns;
} PackedRow;

/* A column of a row. */
typedef struct PackedValue
{
	uint64_t print;   /* 0 for null */
	const char *text; /* NULL for null, and if it was left out */
	bool null;
} PackedValue;

/* Rows in the order of their prints, then of their hashes. */
typedef struct PackedRows
{
	UpgRows *result; /* that holds all bytes */
	int ncolumns;
	const char **names;
	int *order; /* in which columns are shown */
	int nkeys;
	int *keys; /* key columns, in that order, too */
	int count;
	PackedRow *rows;
} PackedRows;

extern bool packed_read(PackedRows *packed, UpgRows *result);
extern void packed_free(PackedRows *packed);
extern void packed_values(const PackedRows *packed, int row, PackedValue *values);
extern int packed_find(const PackedRows *packed, const PackedRow *row);

#endif /* UPG_PACKED_ROWS_H */
