/*-------------------------------------------------------------------------
 *
 * compare.h
 *		Fetching the rows in which two sets differ.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/compare.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_COMPARE_H
#define UPG_COMPARE_H

#include "utils/hsearch.h"
#include "utils/jsonb.h"

#include "sketch.h"
#include "source.h"

/* A row that was read again. */
typedef struct UpgFoundRow
{
	UpgSum hash;
	char **texts; /* of the columns in canonical order, NULL for null */
	UpgSum *column_hashes;
	struct UpgFoundRow *next;
} UpgFoundRow;

/* The rows of one key. */
typedef struct UpgFoundKey
{
	UpgSum key;       /* as in the sketch; must be first */
	bool expected[2]; /* on which side there must be such a row */
	UpgFoundRow *rows[2];
} UpgFoundKey;

/* What to look for, and what was found. */
typedef struct UpgRowFinder
{
	MemoryContext context;
	HTAB *keys;                /* of UpgFoundKey */
	int side;                  /* that is being read: 0 or 1 */
	const UpgSketch *suspects; /* also take rows all of whose cells are not empty */
	/* learned from the first plan: columns and key, in canonical order */
	int ncolumns;
	const char **names;
	int nkeys;
	int *key_columns;
	UpgEncoder *key_encoders;
	UpgKeyForm key_form;
} UpgRowFinder;

/* in rowfinder.c */
extern UpgRowFinder *upg_row_finder(void);
extern UpgFoundKey *upg_row_finder_want(UpgRowFinder *finder, UpgSum key);
extern void upg_row_finder_read(UpgRowFinder *finder, UpgSource *source,
								const UpgScanJob *job, int side);
extern UpgFoundKey **upg_row_finder_sorted(UpgRowFinder *finder, int *count);

/* in comparejson.c */
extern Jsonb *upg_row_json(UpgRowFinder *finder, UpgFoundRow *row, const bool *which,
						   const bool *hidden);
extern Jsonb *upg_key_json(UpgRowFinder *finder, UpgFoundRow *row, const bool *hidden);
extern Jsonb *upg_column_hashes_json(UpgRowFinder *finder, UpgFoundRow *row);

#endif /* UPG_COMPARE_H */
