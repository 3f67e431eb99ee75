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

/* Longer values are cut when shown. */
#define UPG_MAX_SHOWN 4096

/* A row that was read again. */
typedef struct UpgFoundRow
{
	UpgSum hash;
	char **texts; /* of the columns in canonical order; NULL for null, or upg_left_out */
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

/* How a column is shown. */
typedef struct UpgOutput
{
	bool shown;
	Oid typid; /* that "function" is for */
	FmgrInfo function;
} UpgOutput;

/* What to look for, and what was found. */
typedef struct UpgRowFinder
{
	MemoryContext context;
	HTAB *keys;                /* of UpgFoundKey */
	int side;                  /* that is being read: 0 or 1 */
	const UpgSketch *suspects; /* also take rows all of whose cells are not empty */
	Size longest;              /* value that is shown; below UPG_MAX_SHOWN not even cut */
	bool all_shown;            /* all columns are, else only those in "shown" */
	List *shown;
	bool rows_only; /* nothing of the columns: neither text nor hash */
	/* learned from the first plan: columns and key, in canonical order */
	int ncolumns;
	const char **names;
	UpgOutput *outputs;
	int nkeys;
	int *key_columns;
	UpgEncoder **key_encoders;
	UpgKeyForm key_form;
} UpgRowFinder;

/* in sketch_sql.c */
extern UpgSource *upg_prepare_job(FunctionCallInfo fcinfo, int first, UpgScanJob *job);

/* in rowfinder.c */
extern char upg_left_out[];
extern bool upg_row_finder_by_index(UpgSource *source, const UpgScanJob *job, long keys);
extern int upg_row_finder_compare_direct(UpgSum a, UpgSum b, UpgEncoder *const *encoders,
										 int nkeys);
extern UpgRowFinder *upg_row_finder(void);
extern UpgFoundKey *upg_row_finder_want(UpgRowFinder *finder, UpgSum key);
extern void upg_row_finder_read(UpgRowFinder *finder, UpgSource *source,
								const UpgScanJob *job, int side);
extern void upg_row_finder_look_up(UpgRowFinder *finder, UpgSource *source,
								   const UpgScanJob *job);
extern UpgFoundKey **upg_row_finder_sorted(UpgRowFinder *finder, int *count);

/* in suspects.c */
extern bytea *upg_sample(UpgSource *source, const UpgScanJob *job);
extern int upg_sample_lookup(const bytea *sample, UpgSource *source,
							 const UpgScanJob *job, double *rows);

/* in comparejson.c */
extern Jsonb *upg_row_json(UpgRowFinder *finder, UpgFoundRow *row, const bool *which,
						   const bool *hidden);
extern Jsonb *upg_key_json(UpgRowFinder *finder, UpgFoundRow *row, const bool *hidden);
extern Jsonb *upg_column_hashes_json(UpgRowFinder *finder, UpgFoundRow *row);

#endif /* UPG_COMPARE_H */
