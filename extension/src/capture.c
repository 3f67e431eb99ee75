/*-------------------------------------------------------------------------
 *
 * capture.c
 *		Watching one step of a migration, and writing down what it changed.
 *
 * PostgreSQL has written the undo log already: in the headers of the rows of
 * its catalogs and tables.  So no statement is intercepted to learn what it
 * does.  At the end of the step, inside its subtransaction, every catalog row
 * and every row of a touched table is read whose xmax is ours (a pre-image)
 * or whose xmin is ours (what we left).  The files of dropped and rewritten
 * relations are still there too; they are kept, and read for rows changed
 * before they were let go.
 *
 * The hooks of this file do three small things while a capture is open, and
 * nothing otherwise: refuse what cannot be taken back, remember which tables
 * were written before a statement that drops or truncates resets the
 * counters, and remember the sequences' values before the first statement
 * that can move them.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/capture.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heaptoast.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_largeobject.h"
#include "catalog/pg_namespace.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "portability/instr_time.h"
#include "storage/lmgr.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/pgstat_internal.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "capture.h"
#include "capture_internal.h"
#include "errors.h"

static UpgCapture *active = NULL;
static bool finishing = false;

static ProcessUtility_hook_type prev_ProcessUtility = NULL;
static ExecutorStart_hook_type prev_ExecutorStart = NULL;

/*
 * note_touched
 *		Add the tables written since the capture began, as the server's own
 *		counters of this (sub)transaction and its open children know them.
 */
static void
note_touched(UpgCapture *capture)
{
	PgStat_SubXactStatus *level;
	MemoryContext oldcxt = MemoryContextSwitchTo(capture->cxt);

	for (level = pgstat_get_xact_stack_level(GetCurrentTransactionNestLevel());
		 level != NULL && level->nest_level >= capture->nest_level; level = level->prev)
	{
		for (PgStat_TableXactStatus *trans = level->first; trans; trans = trans->next)
		{
			if (trans->tuples_inserted + trans->tuples_updated + trans->tuples_deleted +
					trans->inserted_pre_truncdrop + trans->updated_pre_truncdrop +
					trans->deleted_pre_truncdrop >
				0)
				capture->touched = list_append_unique_oid(capture->touched,
														  UPG_TABSTAT_ID(trans->parent));
			if (trans->truncdropped)
				capture->truncated = list_append_unique_oid(
					capture->truncated, UPG_TABSTAT_ID(trans->parent));
		}
	}
	MemoryContextSwitchTo(oldcxt);
}

/* Is this expression the column itself, or a plain cast of it? */
static bool
is_plain_cast(Node *node, const char *column)
{
	if (node && IsA(node, TypeCast))
		node = ((TypeCast *) node)->arg;
	return node && IsA(node, ColumnRef) &&
		   list_length(((ColumnRef *) node)->fields) == 1 &&
		   IsA(linitial(((ColumnRef *) node)->fields), String) &&
		   strcmp(strVal(linitial(((ColumnRef *) node)->fields)), column) == 0;
}

/*
 * note_conversions
 *		Remember columns whose values are converted by an expression: what the
 *		migration wrote there cannot be computed from the old value.
 */
static void
note_conversions(UpgCapture *capture, AlterTableStmt *statement)
{
	Oid relid = RangeVarGetRelid(statement->relation, NoLock, true);
	MemoryContext oldcxt;
	List *relations;
	ListCell *lc;

	if (!OidIsValid(relid))
		return;
	oldcxt = MemoryContextSwitchTo(capture->cxt);
	relations = list_make1_oid(relid);
	foreach (lc, statement->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);
		ColumnDef *def = (ColumnDef *) cmd->def;
		ListCell *lc2;

		if (cmd->subtype != AT_AlterColumnType || def == NULL ||
			def->raw_default == NULL || cmd->name == NULL ||
			is_plain_cast(def->raw_default, cmd->name))
			continue;
		if (list_length(relations) == 1)
			relations = list_concat_unique_oid(relations,
											   find_all_inheritors(relid, NoLock, NULL));
		foreach (lc2, relations)
		{
			UpgConversion *conversion = palloc(sizeof(UpgConversion));

			conversion->relation = lfirst_oid(lc2);
			conversion->attnum = get_attnum(lfirst_oid(lc2), cmd->name);
			capture->conversions = lappend(capture->conversions, conversion);
		}
	}
	MemoryContextSwitchTo(oldcxt);
}

/*
 * upg_capture_watching
 *		The open capture, while the migration's own statements run; else NULL.
 */
UpgCapture *
upg_capture_watching(void)
{
	return active && active->mode != UPG_UNDO_NONE && !finishing ? active : NULL;
}

/*
 * upg_capture_flag
 *		A statement cannot be taken back: refuse it, or write it down.
 */
void
upg_capture_flag(UpgCapture *capture, const char *what, const char *why,
				 const char *instead)
{
	if (capture->mode == UPG_UNDO_REQUIRED)
		ereport(
			ERROR,
			(errcode(ERRCODE_UPG_IRREVERSIBLE), errmsg("%s cannot be taken back", what),
			 errdetail("%s", why), errhint("%s  Or " UPG_UNDO_WAIVER ".", instead),
			 capture->line > 0 ? errcontext("line %d of the script", capture->line) : 0));
	if (capture->mode == UPG_UNDO_BEST_EFFORT)
	{
		MemoryContext oldcxt = MemoryContextSwitchTo(capture->cxt);
		char *complaint = psprintf("%s cannot be taken back: %s", what, why);
		ListCell *lc;
		bool known = false;

		foreach (lc, capture->irreversible)
			known |= strcmp(lfirst(lc), complaint) == 0;
		if (!known)
			capture->irreversible = lappend(capture->irreversible, complaint);
		MemoryContextSwitchTo(oldcxt);
	}
}

/*
 * upg_capture_before_statement
 *		Look at a statement, raw or analyzed or utility, before it runs.
 */
void
upg_capture_before_statement(UpgCapture *capture, Node *statement)
{
	if (capture->mode == UPG_UNDO_NONE || finishing)
		return;
	upg_capture_refuse(capture, statement);
	/* rows that a plan writes are counted as they should; only commands reset that */
	if (!IsA(statement, PlannedStmt))
		note_touched(capture);
	if (IsA(statement, AlterTableStmt))
		note_conversions(capture, (AlterTableStmt *) statement);
	if (!capture->sequences_known && upg_statement_may_use_sequences(statement))
	{
		MemoryContext oldcxt = MemoryContextSwitchTo(capture->cxt);

		capture->sequences_known = true;
		capture->sequences = upg_sequences_remember();
		MemoryContextSwitchTo(oldcxt);
	}
}

static void
capture_ProcessUtility(PlannedStmt *pstmt, const char *query, bool readonly,
					   ProcessUtilityContext context, ParamListInfo params,
					   QueryEnvironment *env, DestReceiver *dest, QueryCompletion *qc)
{
	if (active && IsTransactionState() && !IsAbortedTransactionBlockState())
		upg_capture_before_statement(active, pstmt->utilityStmt);
	if (prev_ProcessUtility)
		prev_ProcessUtility(pstmt, query, readonly, context, params, env, dest, qc);
	else
		standard_ProcessUtility(pstmt, query, readonly, context, params, env, dest, qc);
}

static void
capture_ExecutorStart(QueryDesc *desc, int eflags)
{
	if (active && !(eflags & EXEC_FLAG_EXPLAIN_ONLY))
		upg_capture_before_statement(active, (Node *) desc->plannedstmt);
	if (prev_ExecutorStart)
		prev_ExecutorStart(desc, eflags);
	else
		standard_ExecutorStart(desc, eflags);
}

static void
capture_subxact(SubXactEvent event, SubTransactionId subid, SubTransactionId parent,
				void *arg)
{
	if (active &&
		(event == SUBXACT_EVENT_ABORT_SUB || event == SUBXACT_EVENT_COMMIT_SUB) &&
		subid == active->subid)
	{
		active = NULL;
		finishing = false;
	}
}

static void
capture_xact(XactEvent event, void *arg)
{
	bool commits = active && active->kind != UPG_CAPTURE_STEP;

	if (event == XACT_EVENT_PRE_COMMIT && commits && !finishing)
	{
		finishing = true;
		upg_capture_commit(active);
		finishing = false;
	}
	else if (event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE ||
			 (event == XACT_EVENT_COMMIT && !commits))
	{
		active = NULL;
		finishing = false;
	}
}

/*
 * upg_capture_init
 *		Install the hooks; they do nothing unless a capture is open.
 */
void
upg_capture_init(void)
{
	prev_ProcessUtility = ProcessUtility_hook;
	ProcessUtility_hook = capture_ProcessUtility;
	prev_ExecutorStart = ExecutorStart_hook;
	ExecutorStart_hook = capture_ExecutorStart;
	upg_capture_functions_init();
	RegisterSubXactCallback(capture_subxact, NULL);
	RegisterXactCallback(capture_xact, NULL);
}

/*
 * upg_capture_open
 *		Make a capture in "cxt" and let the hooks see it.
 */
UpgCapture *
upg_capture_open(UpgCaptureKind kind, UpgUndoMode mode, MemoryContext parent)
{
	MemoryContext cxt =
		AllocSetContextCreate(parent, "upg capture", ALLOCSET_DEFAULT_SIZES);
	UpgCapture *capture = MemoryContextAllocZero(cxt, sizeof(UpgCapture));

	if (active)
		ereport(ERROR, (errcode(ERRCODE_UPG_ILLEGAL_STATE),
						errmsg("a migration cannot run inside another one")));
	capture->mode = mode;
	capture->kind = kind;
	capture->cxt = cxt;
	capture->subid = GetCurrentSubTransactionId();
	capture->nest_level = GetCurrentTransactionNestLevel();
	capture->own.lsn = GetXLogInsertRecPtr();
	active = capture;
	return capture;
}

/*
 * upg_capture_begin
 *		Start watching; the caller has just begun the step's transaction or
 *		subtransaction.
 *
 * The capture lives in the transaction's memory and ends with the
 * subtransaction, whatever happens to it.
 */
UpgCapture *
upg_capture_begin(UpgUndoMode mode)
{
	UpgCapture *capture = upg_capture_open(UPG_CAPTURE_STEP, mode, TopTransactionContext);

	if (mode != UPG_UNDO_NONE)
	{
		/* the counters tell which tables are written */
		(void) set_config_option("track_counts", "on", PGC_SUSET, PGC_S_SESSION,
								 GUC_ACTION_LOCAL, true, 0, false);
	}
	capture->own.first = GetCurrentTransactionId();
	capture->own.lsn = GetXLogInsertRecPtr();
	return capture;
}

/*
 * upg_capture_stop
 *		Stop watching, if somebody does.
 */
void
upg_capture_stop(void)
{
	active = NULL;
	finishing = false;
}

/*
 * upg_capture_check
 *		Refuse a script that holds a statement which cannot be taken back by its
 *		kind, before anything of it runs.
 */
void
upg_capture_check(const UpgScript *script)
{
	UpgCapture capture = {.mode = UPG_UNDO_REQUIRED};

	for (int i = 0; i < script->nstatements; i++)
	{
		capture.line = script->statements[i].line;
		upg_capture_refuse(&capture, script->statements[i].raw->stmt);
		upg_capture_refuse_calls(&capture, script->statements[i].raw->stmt);
	}
}

/*
 * upg_capture_complaints
 *		What upg_capture_check() would refuse: every such statement, in words.
 */
List *
upg_capture_complaints(const UpgScript *script)
{
	UpgCapture capture = {.mode = UPG_UNDO_BEST_EFFORT, .cxt = CurrentMemoryContext};
	List *complaints = NIL;
	ListCell *lc;

	for (int i = 0; i < script->nstatements; i++)
	{
		capture.irreversible = NIL;
		upg_capture_refuse(&capture, script->statements[i].raw->stmt);
		upg_capture_refuse_calls(&capture, script->statements[i].raw->stmt);
		foreach (lc, capture.irreversible)
			complaints =
				lappend(complaints, psprintf("line %d: %s", script->statements[i].line,
											 (char *) lfirst(lc)));
	}
	return complaints;
}

/* ---------------------------------------------------------------------
 * Collecting catalog rows
 * ---------------------------------------------------------------------
 */
typedef struct Collector
{
	Relation rel;
	UpgCatalogInfo *info;
	HTAB *keys;
	List *changes;
	MemoryContext cxt;
} Collector;

typedef struct KeyEntry
{
	uint32 hash;
	List *changes; /* of UpgChange with this hash */
} KeyEntry;

static void
collect_row(HeapTuple tuple, bool deleted, void *arg)
{
	Collector *collector = arg;
	TupleDesc desc = RelationGetDescr(collector->rel);
	MemoryContext oldcxt = MemoryContextSwitchTo(collector->cxt);
	HeapTuple flat = upg_tuple_flatten(tuple, desc);
	int len;
	char *key = upg_catalog_key(collector->info, flat, desc, &len);
	uint32 hash = hash_bytes((unsigned char *) key, len);
	KeyEntry *entry;
	UpgChange *mate = NULL;
	bool found;
	ListCell *lc;

	entry = hash_search(collector->keys, &hash, HASH_ENTER, &found);
	if (!found)
		entry->changes = NIL;
	foreach (lc, entry->changes)
	{
		UpgChange *change = lfirst(lc);
		HeapTuple other = deleted ? change->after : change->before;
		int otherlen;
		char *otherkey;

		if (other == NULL || (deleted ? change->before : change->after) != NULL)
			continue;
		otherkey = upg_catalog_key(collector->info, other, desc, &otherlen);
		if (otherlen == len && memcmp(otherkey, key, len) == 0)
		{
			mate = change;
			break;
		}
	}
	if (mate == NULL)
	{
		mate = palloc0(sizeof(UpgChange));
		entry->changes = lappend(entry->changes, mate);
		collector->changes = lappend(collector->changes, mate);
	}
	if (deleted)
		mate->before = flat;
	else
		mate->after = flat;
	MemoryContextSwitchTo(oldcxt);
}

/*
 * upg_collect_catalogs
 *		All catalog rows of ours, before and after, paired by key.
 *
 * Rows that ended as they had begun are left out.
 */
List *
upg_collect_catalogs(const UpgOwnRows *own, bool large_objects)
{
	List *result = NIL;
	int n;
	const Oid *catalogs = upg_catalogs(&n);

	for (int i = 0; i < n; i++)
	{
		Collector collector = {0};
		HASHCTL ctl = {0};
		List *kept = NIL;
		ListCell *lc;

		if (catalogs[i] == LargeObjectRelationId && !large_objects)
			continue;
		collector.rel = table_open(catalogs[i], AccessShareLock);
		collector.info = upg_catalog_info(collector.rel);
		collector.cxt = CurrentMemoryContext;
		ctl.keysize = sizeof(uint32);
		ctl.entrysize = sizeof(KeyEntry);
		ctl.hcxt = CurrentMemoryContext;
		collector.keys =
			hash_create("upg rows", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
		upg_harvest(collector.rel, own, collect_row, &collector);
		hash_destroy(collector.keys);
		foreach (lc, collector.changes)
		{
			UpgChange *change = lfirst(lc);

			if (change->before && change->after &&
				bms_is_subset(
					upg_catalog_diff(collector.rel, change->before, change->after),
					collector.info->moving))
				continue;
			kept = lappend(kept, change);
		}
		table_close(collector.rel, AccessShareLock);
		if (kept)
		{
			UpgCatalogChanges *changes = palloc0(sizeof(UpgCatalogChanges));

			changes->catalog = catalogs[i];
			changes->changes = kept;
			result = lappend(result, changes);
		}
	}
	return result;
}

/* Write the catalog rows and return their digest. */
static uint64
write_catalogs(UpgUndoLog *log, int64 *rows)
{
	UpgChunkWriter *writer;
	ListCell *lc;

	if (log->catalogs == NIL)
		return 0;
	writer = upg_chunks_begin("undo_chunks", log->id, InvalidOid);
	foreach (lc, log->catalogs)
	{
		UpgCatalogChanges *changes = lfirst(lc);
		ListCell *lc2;

		foreach (lc2, changes->changes)
		{
			UpgChange *change = lfirst(lc2);

			if (change->before)
				upg_chunks_add(writer, changes->catalog, change->after ? 'B' : 'D',
							   change->before->t_data, change->before->t_len);
			if (change->after)
				upg_chunks_add(writer, changes->catalog, change->before ? 'A' : 'I',
							   change->after->t_data, change->after->t_len);
			(*rows)++;
		}
	}
	return upg_chunks_end(writer);
}

static int
compare_xids(const void *a, const void *b)
{
	TransactionId xa = *(const TransactionId *) a;
	TransactionId xb = *(const TransactionId *) b;

	return xa < xb ? -1 : xa > xb;
}

static double
elapsed_ms(instr_time start)
{
	instr_time now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, start);
	return INSTR_TIME_GET_MILLISEC(now);
}

/*
 * upg_capture_write
 *		Write down what was changed in the transaction or subtransaction whose
 *		rows are capture->own.
 */
UpgUndoLog *
upg_capture_write(UpgCapture *capture, int64 migration, int32 step, List **differences,
				  UpgCaptureResult *result)
{
	UpgUndoLog *log = palloc0(sizeof(UpgUndoLog));
	TransactionId *children;
	int nchildren;
	uint64 digest;
	instr_time start;

	INSTR_TIME_SET_CURRENT(start);
	CommandCounterIncrement();
	note_touched(capture);
	if (!pgstat_track_counts)
		ereport(
			ERROR,
			(errcode(ERRCODE_UPG_IRREVERSIBLE),
			 errmsg("the migration switched off \"track_counts\""),
			 errhint(
				 "Leave that setting alone, or keep no undo, with the option {\"undo\": "
				 "\"none\"} (upg up --undo=none).")));

	log->id = upg_undo_log_new_id();
	log->migration = migration;
	log->step = step;
	nchildren = xactGetCommittedChildren(&children);
	log->nxids = nchildren + 1;
	log->xids = palloc(sizeof(TransactionId) * log->nxids);
	log->xids[0] = capture->own.first;
	if (nchildren > 0)
		memcpy(log->xids + 1, children, sizeof(TransactionId) * nchildren);
	qsort(log->xids, log->nxids, sizeof(TransactionId), compare_xids);
	log->finish = GetLatestSnapshot();

	log->catalogs = upg_collect_catalogs(
		&capture->own, list_member_oid(capture->touched, LargeObjectRelationId));
	log->exempt = upg_exempt_objects(&log->catalogs);
	log->files = upg_keep_files(log->catalogs);
	upg_keep_adopt(log->files);
	log->sequences = upg_sequences_changed(capture->sequences, log->catalogs);

	digest = write_catalogs(log, &result->catalog_rows);
	digest += upg_capture_data(log, &capture->own, capture->touched, capture->truncated,
							   capture->conversions, &result->data_rows, differences);
	digest += upg_capture_columns(log, &capture->own, &result->notes);
	if (capture->notified)
		result->notes = lappend(
			result->notes, "triggers have notified the application; nobody is told of "
						   "a rollback, which fires no trigger");
	upg_undo_log_write(log,
					   capture->mode == UPG_UNDO_REQUIRED ? "required" : "best_effort",
					   digest, result->catalog_rows, result->data_rows);
	result->log = log->id;
	result->capture_ms += elapsed_ms(start);
	return log;
}

/*
 * upg_capture_settle
 *		Say what the proof found: an error (UP020) if the undo must be exact and
 *		is not.
 */
void
upg_capture_settle(UpgCapture *capture, int64 log, List *differences,
				   const char *coverage, UpgCaptureResult *result)
{
	ListCell *lc;

	result->verdict = differences == NIL ? "exact" : "inexact";
	if (differences != NIL && capture->mode == UPG_UNDO_REQUIRED)
	{
		StringInfoData detail;
		int n = 0;

		initStringInfo(&detail);
		foreach (lc, differences)
		{
			if (++n > 20)
			{
				appendStringInfo(&detail, "\nand %d more", list_length(differences) - 20);
				break;
			}
			appendStringInfo(&detail, "%s%s", n > 1 ? "\n" : "", (char *) lfirst(lc));
		}
		ereport(ERROR,
				(errcode(ERRCODE_UPG_NOT_EXACT),
				 errmsg("the migration cannot be taken back exactly"),
				 errdetail("%s", detail.data),
				 errhint("Nothing was changed.  Change the migration, or " UPG_UNDO_WAIVER
						 ".")));
	}
	upg_undo_log_verdict(log, result->verdict, differences, coverage ? coverage : "",
						 result->capture_ms, result->proof_ms);
}

/*
 * upg_capture_finish
 *		Write down what the step changed, prove that it can be taken back, and
 *		stop watching.
 *
 * Called inside the step's subtransaction, after deferred constraints were
 * made immediate.  With the mode "required" a step whose undo is not exact is
 * an error (UP020), so the subtransaction goes back and nothing has happened.
 */
void
upg_capture_finish(UpgCapture *capture, int64 migration, int32 step,
				   UpgCaptureResult *result)
{
	UpgUndoLog *log;
	MemoryContext cxt;
	MemoryContext oldcxt;
	instr_time start;
	List *differences = NIL;
	char *coverage = NULL;
	ListCell *lc;

	if (capture != active || capture->subid != GetCurrentSubTransactionId())
		elog(ERROR, "capture is not open in this subtransaction");
	memset(result, 0, sizeof(*result));
	if (capture->mode == UPG_UNDO_NONE)
	{
		active = NULL;
		result->verdict = "none";
		return;
	}

	finishing = true;
	oldcxt = CurrentMemoryContext;
	cxt =
		AllocSetContextCreate(capture->cxt, "upg capture finish", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(cxt);
	log = upg_capture_write(capture, migration, step, &differences, result);

	INSTR_TIME_SET_CURRENT(start);
	foreach (lc, capture->irreversible)
		differences = lappend(differences, lfirst(lc));
	differences = list_concat(differences,
							  upg_prove(log, &capture->own, capture->touched, &coverage));
	result->proof_ms = elapsed_ms(start);
	upg_capture_settle(capture, log->id, differences, coverage, result);
	upg_undo_log_exempt(log->id, log->violated);

	/* the caller's memory gets copies */
	MemoryContextSwitchTo(oldcxt);
	foreach (lc, differences)
		result->differences = lappend(result->differences, pstrdup(lfirst(lc)));
	foreach (lc, result->notes)
		lfirst(lc) = pstrdup(lfirst(lc));
	result->notes = list_copy(result->notes);
	result->coverage = pstrdup(coverage ? coverage : "");
	MemoryContextDelete(cxt);
	upg_capture_stop();
}
