/*-------------------------------------------------------------------------
 *
 * history.h
 *		The history tables of other migration tools.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/history.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_HISTORY_H
#define UPG_HISTORY_H

#include "conn.h"
#include "source.h"

/* How a line of a history names the migration. */
typedef enum UpgPastKey
{
	UPG_KEY_NUMBER,  /* by its number, leading zeros do not count */
	UPG_KEY_VERSION, /* by a version of several numbers */
	UPG_KEY_NAME,    /* by the name that the ledger takes */
	UPG_KEY_FILE,    /* by the name of its file */
	UPG_KEY_CHANGE   /* by a name that may come again: the n-th form of it */
} UpgPastKey;

/* What a tool keeps of a script, to tell whether the file is the same. */
typedef enum UpgPastSum
{
	UPG_SUM_NONE,
	UPG_SUM_CRC32, /* of the lines without their ends, as a signed number */
	UPG_SUM_SHA1,
	UPG_SUM_SHA256,
	UPG_SUM_SHA384
} UpgPastSum;

typedef struct UpgTool
{
	const char *name;    /* for --from */
	const char *table;   /* its usual name */
	const char *schema;  /* its only schema, or NULL */
	const char *columns; /* that it has, separated by blanks */
	const char *lacks;   /* a column that it has not, or NULL */
	const char *layouts; /* that it goes with, separated by blanks */
	const char *query;   /* %s stands for the table */
	UpgPastKey key;
	UpgPastSum sum;
	const char *mend; /* what to do about a migration that failed there */
} UpgTool;

/* A history that was found. */
typedef struct UpgHistory
{
	const UpgTool *tool;
	const char *table; /* quoted, with its schema */
	UpgRows *rows;     /* key, kind, state, checksum, at, by, id */
} UpgHistory;

extern const UpgTool upg_tools[];
extern bool history_find(UpgConn *conn, UpgArena *arena, const UpgSource *source,
						 const char *wanted, const char *table, UpgHistory *history);
extern bool history_read(UpgConn *conn, UpgArena *arena, const UpgSource *source,
						 UpgHistory *history);
extern bool history_same_key(const UpgTool *tool, const UpgEntry *entry, const char *key);
extern int history_compare_versions(const char *a, const char *b);
extern bool history_checksum(const UpgTool *tool, UpgSource *source, UpgEntry *entry,
							 const char *wanted, bool *same);

#endif /* UPG_HISTORY_H */
