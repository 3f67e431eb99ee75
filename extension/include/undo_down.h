/*-------------------------------------------------------------------------
 *
 * undo_down.h
 *		The down of a migration as SQL: what the files of it share.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/undo_down.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_UNDO_DOWN_H
#define UPG_UNDO_DOWN_H

#include "lib/stringinfo.h"

#include "undo.h"

/* One statement of a portable down, or something that none can be given for. */
typedef struct UpgDownStatement
{
	int phase;
	char *image;     /* object that it is about, as upg_schema_image() names it */
	List *ways;      /* of char *: texts of which the first that works is taken */
	char *text;      /* the one taken; NULL: there is none */
	const char *tag; /* exact, inexact, impossible */
	char *reason;    /* or NULL */
	bool rows;       /* is about rows */
} UpgDownStatement;

/* The schema at one moment; jsonb and arrays, in the run's memory. */
typedef struct UpgDownState
{
	Datum objects;
	Datum depends;
	Datum image;
	Datum keys;      /* text[]: objects that the migration touched */
	List *positions; /* of UpgDownPosition */
} UpgDownState;

typedef struct UpgDownPosition
{
	Oid sequence;
	char *name;
	int64 value;
	bool called;
} UpgDownPosition;

/* A row: texts of its columns, NULL for null. */
typedef struct UpgDownRow
{
	uint32 hash;
	bool matched;
	char *values[FLEXIBLE_ARRAY_MEMBER];
} UpgDownRow;

/* A row to be changed, and the one that it was. */
typedef struct UpgDownPair
{
	UpgDownRow *now;
	UpgDownRow *before;
	char *columns; /* one letter a column: 'y' if it changes */
} UpgDownPair;

/* A table whose rows have to be put right. */
typedef struct UpgDownTable
{
	Oid relation;
	char *image;
	char *id;
	char *mode; /* new, whole, rows, check */
	int ncolumns;
	char **columns;
	char **types;
	int *numbers; /* attribute numbers, before and now the same */
	bool *in_key;
	bool has_key;
	bool keyed;      /* in this trial; so are the following ones */
	bool none_stays; /* all rows of now go */
	List *goes;      /* of UpgDownRow: rows of now */
	List *pairs;     /* of UpgDownPair: rows of now with those that they were */
	List *before;    /* of UpgDownRow: rows as they were ("rows": those that come) */
	List *gone;      /* of UpgDownRow, "rows" only: those that go */
	uint64 bytes;    /* of all rows read */
	bool too_large;
} UpgDownTable;

typedef struct UpgDownRun
{
	MemoryContext cxt; /* outlives the subtransactions */
	int64 migration;
	Datum addresses; /* text[]: what the logs touched */
	Datum written;   /* oid[]: tables with changed rows */
	Datum switched;  /* oid[]: tables with another file */
	bool large_objects;
	bool shared; /* something of the cluster that no statement is made for */
	UpgDownState now;
	UpgDownState before;
	UpgUndoResult done;    /* account of the rollback */
	UpgOwnRows trial;      /* whose rows are those of the trial */
	bool as_owner;         /* this trial does without session_replication_role */
	const char *superuser; /* why that does not do, or NULL */
	List *tables;          /* of UpgDownTable */
	List *statements;      /* of UpgDownStatement */
} UpgDownRun;

/* in undo_down_run.c */
extern void upg_down_settings(UpgDownRun *run, StringInfo script);
extern UpgDownRun *upg_down_look(int64 migration, bool portable);
extern void upg_down_try(UpgDownRun *run);
extern UpgDownStatement *upg_down_add(UpgDownRun *run, int phase, const char *image,
									  const char *text);
extern bool upg_down_execute(UpgDownRun *run, UpgDownStatement *statement);

/* in undo_down_state.c */
extern void upg_down_logs(UpgDownRun *run);
extern void upg_down_read(UpgDownRun *run, UpgDownState *state);
extern void upg_down_plan(UpgDownRun *run);
extern void upg_down_judge(UpgDownRun *run, UpgDownState *after);

/* in undo_down_rows.c */
extern void upg_down_rows_before(UpgDownRun *run, const UpgOwnRows *own);
extern List *upg_down_rows_differing(UpgDownRun *run);
extern void upg_down_rows_check(UpgDownRun *run);

/* in undo_down_write.c */
extern void upg_down_rows_write(UpgDownRun *run);

/* in undo_down_rights.c */
extern Oid upg_down_relation(UpgDownTable *table);
extern char *upg_down_listeners(UpgDownRun *run);
extern char *upg_down_reach(UpgDownRun *run, List *tables);
extern char *upg_down_reached_out(UpgDownRun *run, List *tables, const char *before);
extern List *upg_down_in_order(List *tables);
extern void upg_down_unforce(UpgDownRun *run);
extern List *upg_down_guard(UpgDownRun *run, UpgDownTable *table);
extern bool upg_down_deferrable(UpgDownRun *run, List *tables);
extern char *upg_down_rights(UpgDownRun *run);

#endif /* UPG_UNDO_DOWN_H */
