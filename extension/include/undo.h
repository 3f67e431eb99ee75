/*-------------------------------------------------------------------------
 *
 * undo.h
 *		What a migration changed and how it is taken back: types shared by
 *		capture, the log, the proof and the rollback.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/undo.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_UNDO_H
#define UPG_UNDO_H

#include "access/htup.h"
#include "access/tupdesc.h"
#include "access/xlogdefs.h"
#include "catalog/pg_class.h"
#include "lib/stringinfo.h"
#include "nodes/bitmapset.h"
#include "nodes/pg_list.h"
#include "portability/instr_time.h"
#include "storage/block.h"
#include "storage/lock.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

#include "compat.h"

/* How much a migration wants its undo. */
typedef enum UpgUndoMode
{
	UPG_UNDO_REQUIRED,    /* not exact: the migration fails */
	UPG_UNDO_BEST_EFFORT, /* not exact: recorded as such */
	UPG_UNDO_NONE         /* no undo is kept */
} UpgUndoMode;

/* Which rows are "ours": those of one subtransaction and its children. */
typedef struct UpgOwnRows
{
	TransactionId first; /* xid of the capture's subtransaction */
	XLogRecPtr lsn;      /* nothing of ours was written before it */
} UpgOwnRows;

/* One row of one catalog before and after the migration; NULL is "no row". */
typedef struct UpgChange
{
	HeapTuple before;
	HeapTuple after;
	HeapTuple current; /* the row now, found by upg_undo_locate() */
	bool reinsert;     /* take out and put in again: a unique key moves */
} UpgChange;

typedef struct UpgCatalogChanges
{
	Oid catalog;
	List *changes; /* of UpgChange */
} UpgCatalogChanges;

/* Rows of one table. */
typedef struct UpgRelationRows
{
	Oid relation;
	char *name;       /* qualified, for messages */
	Oid filenumber;   /* the file that held the rows */
	bool switched;    /* that file is a kept one */
	int64 inserted;   /* rows of ours that were left in that file */
	int64 deleted;    /* pre-images in the log */
	int64 rows_after; /* rows of ours in the new file, or -1 */
} UpgRelationRows;

/* A file that was kept. */
typedef struct UpgKeptFile
{
	Oid relation; /* whose it was */
	char kind;    /* that relation's relkind */
	UpgRelFileLocator locator;
	char persistence;
	TransactionId frozenxid; /* horizons of its rows, for the caretaker */
	MultiXactId minmxid;
	Oid caretaker; /* pg_class row that owns it meanwhile */
	BlockNumber pages;
} UpgKeptFile;

typedef struct UpgSequenceState
{
	Oid sequence;
	int64 before_value;
	bool before_called;
	int64 after_value;
	bool after_called;
	bool switched; /* the file was changed, not only the value */
	bool used;     /* the new file, since; then its value now */
	int64 now_value;
	bool now_called;
} UpgSequenceState;

/* A copy of the values of a table's dropped columns. */
typedef struct UpgKeptColumns
{
	Oid relation;
	int16 *columns; /* that were dropped */
	int ncolumns;
	int16 *key; /* by which a row is found again */
	int nkey;
	bool unique; /* the primary key; else the rest of the row */
	int64 rows;
	int64 bytes;
	TupleDesc desc; /* of the rows of before, as the copy has them */
	List *patches;  /* rows of now and their values, see undo_columns.c */
	bool looked_up;
	int64 unknown;   /* rows of now that the copy does not know */
	List *strangers; /* of ItemPointer: these rows */
} UpgKeptColumns;

/* Everything that one captured step left, as read from the log. */
typedef struct UpgUndoLog
{
	int64 id;
	int64 migration;
	int32 step;
	char *state;
	char *verdict;
	TransactionId *xids; /* sorted by TransactionIdPrecedes-free value */
	int nxids;
	Snapshot finish;        /* what was committed when the capture ended */
	List *catalogs;         /* of UpgCatalogChanges */
	List *relations;        /* of UpgRelationRows */
	List *files;            /* of UpgKeptFile */
	List *sequences;        /* of UpgSequenceState */
	List *columns;          /* of UpgKeptColumns */
	List *exempt;           /* OIDs of objects that stay (toast tables) */
	List *violated;         /* found by the proof: constraints that did not hold before */
	bool merged;            /* of several transactions, all but the last committed */
	struct UpgMerge *merge; /* what to do about rows written since */
} UpgUndoLog;

/* A log as it is listed. */
typedef struct UpgUndoHead
{
	int64 id;
	int32 step;
	char *verdict;
} UpgUndoHead;

/* What is taken back at once. */
typedef struct UpgUndoUnit
{
	List *logs; /* of int64 *, the oldest first */
	int32 step;
} UpgUndoUnit;

/* The verdict of a log that is only a part of a command's change. */
#define UPG_VERDICT_PART "part"

/* What becomes of what the application wrote since. */
typedef enum UpgOnConflict
{
	UPG_ON_CONFLICT_STRICT, /* refuse unless every row written since stays as it is */
	UPG_ON_CONFLICT_KEEP,   /* merge, and list what could not be */
	UPG_ON_CONFLICT_DISCARD /* the rows from before win */
} UpgOnConflict;

/* A policy for one table. */
typedef struct UpgTablePolicy
{
	Oid relation;
	UpgOnConflict policy;
} UpgTablePolicy;

/* A value for rows that have none in a column that comes back. */
typedef struct UpgFill
{
	Oid relation;
	char *table; /* its qualified name, for messages */
	char *column;
	char *value;
	bool comes_back; /* out: a rollback of this call brings the column back */
	bool used;       /* out: to a table with rows that have no value for it */
} UpgFill;

typedef struct UpgUndoOptions
{
	bool proof;            /* inside the migration, to be thrown away */
	const UpgOwnRows *own; /* for the proof: whose rows are ours */
	bool dry_run;
	bool locked;      /* what several units change is locked for all of them */
	bool has_down;    /* there is a down script, too: for hints */
	int lock_timeout; /* of each try to get all locks; 0: wait as long as it takes */
	int lock_retries;
	UpgOnConflict on_conflict;
	List *policies; /* of UpgTablePolicy */
	List *fills;    /* of UpgFill */
	List *unfilled; /* out: of char *, "schema.table.column" that "fill" would settle */
	int nstrict;    /* out: conflicts that the policy "strict" alone makes */
} UpgUndoOptions;

typedef struct UpgUndoResult
{
	List *actions; /* of char *, what is (or would be) done */
	List *notes;   /* of char *, what a person should know */
	int64 catalog_rows;
	int64 data_rows;
	int64 indexes_rebuilt;
	List *tables;  /* of char *, JSON: the account of every table */
	List *found;   /* of char *, JSON: the first of the conflicts */
	List *locked;  /* of char *, names of what nobody may read meanwhile */
	List *written; /* of char *, names of what nobody may write meanwhile */
	int64 conflicts;
	int64 work;        /* rows to write */
	double work_ms;    /* what doing it costs on a usual machine */
	double plan_ms;    /* what deciding about it took */
	double perform_ms; /* what doing it took */
	double alone_ms;   /* how long readers were kept out */
	bool alone;        /* they are by now, since: */
	instr_time alone_since;
} UpgUndoResult;

/* How long a rollback takes at most. */
typedef struct UpgEstimate
{
	double all_ms;
	double readers_ms; /* of that, how long readers are kept out */
	bool history;      /* earlier rollbacks went into it */
} UpgEstimate;

/* in undo_catalog.c: facts about catalogs */
typedef struct UpgCatalogInfo
{
	Oid catalog;
	Oid index; /* index to find a row by */
	int nkeys; /* columns of that index used as key */
	AttrNumber keys[8];
	Oid keyeq[8];
	bool multiset;      /* rows have no key: compare whole rows */
	AttrNumber oidcol;  /* column "oid", or 0 */
	Bitmapset *moving;  /* columns that the server changes by itself */
	Bitmapset *uniques; /* columns of unique indexes besides the key */
} UpgCatalogInfo;

extern const Oid *upg_catalogs(int *n);
extern UpgCatalogInfo *upg_catalog_info(Relation rel);
extern char *upg_catalog_key(UpgCatalogInfo *info, HeapTuple tuple, TupleDesc desc,
							 int *len);
extern HeapTuple upg_catalog_find(Relation rel, UpgCatalogInfo *info, HeapTuple like,
								  List **claimed);
extern Bitmapset *upg_catalog_diff(Relation rel, HeapTuple a, HeapTuple b);
extern HeapTuple upg_tuple_flatten(HeapTuple tuple, TupleDesc desc);
extern char *upg_catalog_describe(Oid catalog, HeapTuple tuple, TupleDesc desc);
extern void upg_append_column(StringInfo buf, HeapTuple tuple, AttrNumber attnum,
							  TupleDesc desc);
extern UpgCatalogChanges *upg_changes_of(List *catalogs, Oid catalog);
extern List *upg_change_list(List *catalogs, Oid catalog);
extern List *upg_dropped_columns(List *catalogs, Oid relation);
extern Oid upg_row_relation(Oid catalog, HeapTuple tuple, TupleDesc desc, Oid *second);
extern bool upg_type_contains(Oid type, Oid part);
extern bool upg_rel_is_populated(Oid relation);
extern Datum upg_attoptions_merge(Datum before, bool beforenull, Datum current,
								  bool currentnull, bool *isnull);

/* in harvest.c */
typedef void (*UpgRowCallback)(HeapTuple tuple, bool deleted, void *arg);
extern void upg_harvest(Relation rel, const UpgOwnRows *own, UpgRowCallback callback,
						void *arg);
extern bool upg_own_xid(const UpgOwnRows *own, TransactionId xid);

/* in undo_chunk.c */
typedef struct UpgChunkWriter UpgChunkWriter;
extern UpgChunkWriter *upg_chunks_begin(const char *table, int64 log, Oid relation);
extern void upg_chunks_add(UpgChunkWriter *writer, Oid catalog, char op,
						   HeapTupleHeader data, uint32 len);
extern uint64 upg_chunks_end(UpgChunkWriter *writer);
typedef void (*UpgChunkCallback)(Oid catalog, char op, HeapTuple tuple, void *arg);
extern uint64 upg_chunks_read(const char *table, int64 log, Oid relation,
							  UpgChunkCallback callback, void *arg);
extern Relation upg_undo_table(const char *name, LOCKMODE lockmode);
extern void upg_undo_insert(const char *table, Datum *values, bool *nulls);

/* in undo_log.c and undo_log_read.c */
extern int64 upg_undo_log_new_id(void);
extern void upg_undo_log_write(UpgUndoLog *log, const char *mode, uint64 digest,
							   int64 catalog_rows, int64 data_rows);
extern void upg_undo_log_verdict(int64 id, const char *verdict, List *differences,
								 const char *coverage, double capture_ms,
								 double proof_ms);
extern void upg_undo_log_exempt(int64 id, List *oids);
extern void upg_undo_log_state(int64 id, const char *state);
extern UpgUndoLog *upg_undo_log_read(int64 id, bool own);
extern List *upg_undo_log_list(int64 migration);
extern char *upg_undo_guard(int64 migration);
extern void upg_undo_log_erase(int64 id);
extern List *upg_undo_log_heads(int64 except);
extern List *upg_undo_log_kept(int64 migration);

/* in undo_alias.c */
extern void upg_alias_add(TransactionId xid, TransactionId origin);
extern void upg_alias_load(void);
extern TransactionId upg_alias_origin(TransactionId xid);
extern bool upg_log_has_xid(UpgUndoLog *log, TransactionId xid);
extern char *upg_log_xid_list(UpgUndoLog *log);
extern bool upg_log_written_since(UpgUndoLog *log, TransactionId xid);
extern void upg_alias_forget(void);

/* in keep.c */
extern List *upg_keep_files(List *catalogs);
extern void upg_keep_adopt(List *files);
extern void upg_keep_release(UpgKeptFile *file);
extern void upg_keep_destroy(UpgKeptFile *file);
extern HeapTuple upg_keep_caretaker(UpgKeptFile *file);
extern UpgChange *upg_file_owner(UpgCatalogChanges *classes, Form_pg_class file,
								 bool before, Oid except);
extern UpgKeptFile *upg_keep_find(List *files, Oid relation);
extern Oid upg_index_table(List *catalogs, Oid index);

/* in options.c */
extern const char *upg_undo_mode_name(int mode);
extern int upg_undo_mode_parse(const char *name);

/* in undo.c */
extern void upg_undo_perform(UpgUndoLog *log, UpgUndoOptions *options,
							 UpgUndoResult *result);
extern void upg_undo_rollback(int64 migration, UpgUndoOptions *options,
							  UpgUndoResult *result);
extern void upg_undo_finalize(int64 migration);
extern UpgChange *upg_class_change(UpgUndoLog *log, Oid relation);
extern bool upg_class_switched(UpgChange *change);

/* in undo_unit.c */
extern List *upg_changes_merge(List *net, List *later);
extern List *upg_undo_units(int64 migration);
extern UpgUndoLog *upg_undo_unit_read(UpgUndoUnit *unit, bool own);

/* in undo_order.c */
extern List *upg_order_later(UpgUndoLog *log);
extern List *upg_order_overlapping(int64 migration);

/* in undo_lock.c */
typedef struct UpgUndoLocks
{
	List *all;   /* OIDs of relations, in the order in which they are locked */
	List *alone; /* those of them that nobody may read meanwhile */
} UpgUndoLocks;

typedef enum UpgUndoStage
{
	UPG_UNDO_LOOK,   /* a preview: nobody waits */
	UPG_UNDO_PLAN,   /* all is decided: writers wait */
	UPG_UNDO_PERFORM /* all is done: readers of some relations wait, too */
} UpgUndoStage;

/* Tries that failed, of all stages together. */
typedef struct UpgUndoTries
{
	int count;
	int pause;
} UpgUndoTries;

extern void upg_undo_locks(UpgUndoLog *log, UpgUndoLocks *locks);
extern void upg_undo_locks_of(List *units, UpgUndoLocks *locks);
extern void upg_undo_lock(const UpgUndoLocks *locks, UpgUndoStage stage,
						  const UpgUndoOptions *options, UpgUndoTries *tries);
extern bool upg_undo_lock_alone(const UpgUndoLocks *locks, const UpgUndoOptions *options);

/* in undo_image.c */
extern TupleDesc upg_image_desc(TupleDesc desc, int natts);
extern void upg_note_short(HeapTuple image, int natts);
extern int upg_short_natts(HeapTuple image);

/* in undo_rights.c */
extern void upg_undo_check_privileges(UpgUndoLog *log);

/* in undo_after.c */
extern void upg_index_rebuild(Oid index);

/* in undo_fill.c */
extern const char *upg_fill_value(List *fills, Oid relation, const char *column);
extern void upg_fills_check(List *fills);
extern void upg_fills_note(UpgUndoLog *log, List *fills);
extern List *upg_fills_unused(List *fills, const char *name, int64 upgrade);

/* in undo_check.c */
extern void upg_undo_locate(UpgUndoLog *log, UpgUndoOptions *options, List **conflicts);
extern void upg_undo_check_dependents(UpgUndoLog *log, List **conflicts);
extern void upg_undo_check_rows(UpgUndoLog *log, UpgUndoOptions *options,
								List **conflicts);
extern void upg_undo_check_references(UpgUndoLog *log);

/* in undo_shape.c */
extern void upg_undo_check_shapes(UpgUndoLog *log, List **conflicts);

/* in undo_types.c */
extern void upg_undo_check_types(UpgUndoLog *log, UpgUndoOptions *options,
								 List **conflicts);

/* in undo_hide.c */
extern void upg_row_hide(Relation rel, ItemPointer tid);

/* in undo_data.c */
extern bool upg_proof_is_large(int64 rows);
extern void upg_data_remove(UpgUndoLog *log, UpgRelationRows *rows,
							UpgUndoOptions *options, UpgUndoResult *result);
extern void upg_data_restore(UpgUndoLog *log, UpgRelationRows *rows,
							 UpgUndoOptions *options, UpgUndoResult *result);
extern void upg_data_revalidate(UpgUndoLog *log, UpgUndoResult *result);
extern double upg_data_rows_to_check(UpgUndoLog *log);
extern List *upg_data_violated(UpgUndoLog *log);
extern bool upg_data_unreachable(Oid relation, bool indexes);
extern bool upg_data_finds_row(const char *query, Oid relation);
extern List *upg_data_find_tids(const char *query, Oid relation, Oid other, bool foreign);
extern char *upg_qualified_name(Oid relation);
extern Oid upg_relation_owner(Oid relation);
extern void upg_data_check_keys(List *relations);

/* in undo_aside.c */
extern int64 upg_aside_forget(int64 migration);

/* in undo_estimate.c */
extern double upg_ms_since(instr_time start);
extern void upg_estimate_alone(UpgUndoResult *result, const UpgUndoLocks *locks);
extern void upg_estimate_done(UpgUndoResult *result);
extern double upg_estimate_work(UpgUndoLog *log);
extern double upg_estimate_rows(Oid table);
extern void upg_estimate(const UpgUndoResult *result, UpgEstimate *estimate);

/* in undo_report.c */
extern void upg_report_add_locks(const UpgUndoLocks *locks, UpgUndoResult *result);
extern List *upg_report_locks(UpgUndoResult *result);
extern char *upg_report_json(UpgUndoResult *result);

/* in capture_data.c and capture_columns.c */
extern TupleDesc upg_old_desc(UpgUndoLog *log, Form_pg_class form);
extern TupleDesc upg_columns_desc(UpgUndoLog *log, Oid relation);
extern int upg_columns_primary_key(Relation rel, int16 *columns);

/* in undo_columns.c */
extern UpgKeptColumns *upg_columns_find(UpgUndoLog *log, Oid relation);
extern int64 upg_columns_match(UpgUndoLog *log, UpgKeptColumns *kept, bool rewritten);
extern void upg_columns_restore(UpgUndoLog *log, UpgUndoResult *result);
extern void upg_columns_fill(UpgUndoLog *log, UpgUndoOptions *options,
							 UpgUndoResult *result);

/* in undo_sequence.c */
extern List *upg_sequences_remember(void);
extern List *upg_sequences_changed(List *before, List *catalogs);
extern void upg_sequences_look(UpgUndoLog *log);
extern void upg_sequences_restore(UpgUndoLog *log, UpgUndoResult *result);
extern bool upg_sequence_read(Oid sequence, int64 *value, bool *called);

/* in proof.c */
extern List *upg_prove(UpgUndoLog *log, const UpgOwnRows *own, List *touched,
					   char **coverage);

extern List *upg_prove_merged(UpgUndoLog *log, List *net, const UpgOwnRows *own,
							  char **coverage);

#endif /* UPG_UNDO_H */
