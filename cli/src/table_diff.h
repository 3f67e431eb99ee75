/*-------------------------------------------------------------------------
 *
 * table_diff.h
 *		The comparison of one table in two databases: what its files share.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/table_diff.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_TABLE_DIFF_H
#define UPG_TABLE_DIFF_H

#include "command.h"
#include "journal.h"
#include "packed_rows.h"

#define MOST_RANGES 100000

/* What every call says first: the arguments of a side. */
enum
{
	ARG_TABLE,
	ARG_KEY,
	ARG_COLUMNS,
	ARG_FILTER,
	ARG_EXCEPT,
	ARG_MODE,
	ARG_SEED,
	ARG_MAPPING,
	ARG_COUNT
};

typedef enum Side
{
	SOURCE,
	TARGET
} Side;

extern const char *const diff_side_names[];

/* Everything about one comparison. */
typedef struct TableDiff
{
	UpgContext *ctx;
	UpgConn *conn[2];
	UpgRows *rows[2]; /* of the last question to both */
	const char *args[2][ARG_COUNT];
	const char *filter;  /* as given, before a range is added */
	const char *types;   /* of the columns of the target that are mapped, as JSON */
	UpgJournal *journal; /* or NULL */
	UpgBuf range_json;   /* differences of the current range, for the journal */
	UpgBuf range_text;
	UpgList hidden; /* columns whose values are not shown; "*" is all */
	int64_t rounds; /* of looking again */
	int64_t interval;
	int64_t ranges;            /* 0: the table as a whole */
	const char *key_in_source; /* what stands for the first column of the key */
	/* rows that are looked at again, and what is known of them meanwhile */
	PackedRows packed[2];
	PackedRows longer[2]; /* the same with values that were left out at first */
	PackedValue *values[2];
	const PackedRows *columns; /* which there are */
	bool *hide;                /* columns whose values are not shown */
	bool *wanted;              /* columns whose long values are */
	bool *shown;               /* columns that differ */
	bool want_more;
	UpgBuf key_text;
	UpgBuf row_text[2];
	UpgBuf json_text;
	UpgBuf line;
	int64_t missing;
	int64_t extra;
	int64_t changed;
	int64_t unsettled; /* differ, but not twice in the same way */
	int64_t count[2];  /* rows */
} TableDiff;

/* table_diff.c */
extern bool diff_error(Side side);
extern void diff_forget(TableDiff *diff);
extern bool diff_ask_both(TableDiff *diff, const char *sql, int nargs, int nmore,
						  const char *const *more);
extern bool diff_table(TableDiff *diff);

/* table_report.c */
extern void diff_report_begin(TableDiff *diff);
extern void diff_report_end(TableDiff *diff);
extern void diff_report_key(TableDiff *diff, const unsigned char *print, const int at[2],
							bool only_want);
extern void diff_show(TableDiff *diff, const char *json, const char *text);

/* table_ranges.c */
extern bool diff_open_journal(TableDiff *diff);
extern bool diff_ranges(TableDiff *diff);

#endif /* UPG_TABLE_DIFF_H */
