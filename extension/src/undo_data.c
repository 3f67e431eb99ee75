/*-------------------------------------------------------------------------
 *
 * undo_data.c
 *		Rows of user tables: taking out what the migration wrote, putting back
 *		what it changed or deleted.
 *
 * Rows are written below the executor: no trigger fires, no rule applies.
 * Index entries are made, unique keys checked; expressions run as the table's
 * owner in a security-restricted context.
 *
 * A row that is put back gets a new xmin.  So that an earlier migration still
 * knows its own rows, those are put back in a subtransaction of their own,
 * whose xid is noted as an alias.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/undo_data.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "as_owner.h"
#include "errors.h"
#include "subxact.h"
#include "undo_merge.h"
#include "upg.h"

/* Up to this size the proof looks whether constraints hold at all, in pages. */
#define SMALL_TABLE_PAGES 100

/*
 * skipped
 *		The proof leaves large tables alone; what it covers is stated.
 */
static bool
skipped(UpgRelationRows *rows, UpgUndoOptions *options)
{
	return options->proof && (upg_proof_is_large(rows->inserted + rows->deleted) ||
							  upg_data_unreachable(rows->relation, rows->deleted > 0));
}

/*
 * upg_proof_is_large
 *		Are these more rows than the proof compares one by one?
 */
bool
upg_proof_is_large(int64 rows)
{
	return upg_guc_undo_proof_rows >= 0 && rows > upg_guc_undo_proof_rows;
}

/* Does the relation cache say that this transaction dropped a relation? */
static bool
is_dropped(Oid relation)
{
	Relation rel = RelationIdGetRelation(relation);

	if (!RelationIsValid(rel))
		return true;
	RelationClose(rel);
	return false;
}

/*
 * upg_data_unreachable
 *		Has this transaction dropped a relation after giving it a new file?
 *
 * The relation cache then keeps an entry that says "dropped" until the
 * transaction ends, and no catalog row brings it back to life.  No row can be
 * read whose TOAST table is in that state.  One of which an index is can be read,
 * but nothing can be written to it or planned over it, and who wants that asks for
 * the "indexes" too.
 */
bool
upg_data_unreachable(Oid relation, bool indexes)
{
	Relation rel = RelationIdGetRelation(relation);
	bool unreachable = false;
	List *related = NIL;
	ListCell *lc;

	if (!RelationIsValid(rel))
		return true;
	if (indexes)
		related = RelationGetIndexList(rel);
	if (OidIsValid(rel->rd_rel->reltoastrelid))
		related = lappend_oid(related, rel->rd_rel->reltoastrelid);
	foreach (lc, related)
		unreachable = unreachable || is_dropped(lfirst_oid(lc));
	list_free(related);
	RelationClose(rel);
	return unreachable;
}

static void
note_tid(HeapTuple row, bool deleted, void *arg)
{
	List **tids = arg;
	ItemPointer tid;
	MemoryContext oldcxt;

	if (deleted)
		return;
	oldcxt = MemoryContextSwitchTo(GetMemoryChunkContext(tids));
	tid = palloc(sizeof(ItemPointerData));
	*tid = row->t_self;
	*tids = lappend(*tids, tid);
	MemoryContextSwitchTo(oldcxt);
}

/*
 * remove_own
 *		The proof's way: the rows are still ours, so only pages that we touched
 *		need to be read, and nobody has to be waited for.
 */
static void
remove_own(UpgRelationRows *rows, const UpgOwnRows *own)
{
	Relation rel = table_open(rows->relation, AccessShareLock);
	List **tids = palloc0(sizeof(List *));
	ListCell *lc;

	upg_harvest(rel, own, note_tid, tids);
	foreach (lc, *tids)
	{
		CHECK_FOR_INTERRUPTS();
		upg_row_hide(rel, lfirst(lc));
	}
	if (list_length(*tids) != rows->inserted)
		elog(ERROR, "%d rows of table %s found, " INT64_FORMAT " expected",
			 list_length(*tids), rows->name, rows->inserted);
	table_close(rel, NoLock);
}

static void
note_removed(UpgRelationRows *rows, int64 removed, UpgUndoResult *result)
{
	result->data_rows += removed;
	if (removed > 0)
		result->actions = lappend(result->actions,
								  psprintf(INT64_FORMAT " rows of table %s are taken out",
										   removed, rows->name));
}

/*
 * upg_data_remove
 *		Delete the rows that the migration wrote and nobody touched since.
 */
void
upg_data_remove(UpgUndoLog *log, UpgRelationRows *rows, UpgUndoOptions *options,
				UpgUndoResult *result)
{
	Relation rel;
	Snapshot snapshot;
	TableScanDesc scan;
	HeapTuple tuple;
	UpgMergeTable *table;
	int64 removed = 0;

	if (skipped(rows, options))
		return;
	if (options->proof)
	{
		remove_own(rows, options->own);
		return;
	}
	rel = table_open(rows->relation, NoLock);
	table = upg_merge_find(log, rows->relation);
	if (table && table->planned)
	{
		/* the plan has found them */
		for (int64 i = 0; i < table->nours; i++)
		{
			CHECK_FOR_INTERRUPTS();
			if (table->flags && table->flags[i] == UPG_OURS_STAYS)
				continue;
			simple_heap_delete(rel, &table->ours[i]);
			removed++;
		}
		for (int64 i = 0; i < table->ngiven_up; i++)
			simple_heap_delete(rel, &table->given_up[i]);
		table_close(rel, NoLock);
		note_removed(rows, removed, result);
		return;
	}
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	scan = table_beginscan(rel, snapshot, 0, NULL);
	while (removed < rows->inserted &&
		   (tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		TransactionId xid = HeapTupleHeaderGetRawXmin(tuple->t_data);
		ItemPointerData tid = tuple->t_self;

		CHECK_FOR_INTERRUPTS();
		if (!upg_log_has_xid(log, xid) && !upg_log_has_xid(log, upg_alias_origin(xid)))
			continue;
		simple_heap_delete(rel, &tid);
		removed++;
	}
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(rel, NoLock);
	if (removed != rows->inserted)
		ereport(ERROR,
				(errcode(ERRCODE_UPG_LATER_CHANGES),
				 errmsg("rows of table %s that the migration wrote are gone", rows->name),
				 errdetail("Of " INT64_FORMAT " rows " INT64_FORMAT " were found.",
						   rows->inserted, removed)));
	note_removed(rows, removed, result);
}

/* Whose row an image is, as far as the other kept logs care. */
typedef struct RowGroup
{
	int owner;            /* index of the log whose row it is, or -1 */
	uint64 since;         /* bit n: written after log n */
	TransactionId origin; /* first xid seen */
} RowGroup;

typedef struct Restorer
{
	UpgUndoLog *log;
	Relation rel;
	List *others;         /* of UpgUndoLog: heads of the other kept logs */
	List *groups;         /* of RowGroup */
	RowGroup *only;       /* put back rows of this group only */
	UpgMergeTable *table; /* the plan, or NULL */
	UpgRowWriter *writer;
	bool check;   /* a row with the same key may have been written since */
	int64 number; /* of the image at hand */
	int64 restored;
	int64 left; /* images that the plan does not put back, and clashes */
	MemoryContext rowcxt;
} Restorer;

static RowGroup
classify(Restorer *restorer, TransactionId xid)
{
	RowGroup group = {-1, 0, xid};
	int n = 0;
	ListCell *lc;

	xid = upg_alias_origin(xid);
	group.origin = xid;
	foreach (lc, restorer->others)
	{
		UpgUndoLog *other = lfirst(lc);

		if (upg_log_has_xid(other, xid))
			group.owner = n;
		else if (n < 64 && upg_log_written_since(other, xid))
			group.since |= UINT64CONST(1) << n;
		n++;
	}
	return group;
}

static void
find_group(Oid catalog, char op, HeapTuple row, void *arg)
{
	Restorer *restorer = arg;
	RowGroup group;
	RowGroup *copy;
	ListCell *lc;

	if (op != 'R' && op != 'U')
		return;
	group = classify(restorer, HeapTupleHeaderGetRawXmin(row->t_data));
	foreach (lc, restorer->groups)
	{
		RowGroup *known = lfirst(lc);

		if (known->owner == group.owner && known->since == group.since)
			return;
	}
	copy = palloc(sizeof(RowGroup));
	*copy = group;
	restorer->groups = lappend(restorer->groups, copy);
}

/* A row that the migration deleted, and whose key was taken since. */
static void
note_clash(Restorer *restorer, HeapTuple image, ItemPointer with)
{
	Relation rel = restorer->rel;
	TupleDesc desc = RelationGetDescr(rel);
	UpgMerge *merge = restorer->log->merge;
	MemoryContext oldcxt = MemoryContextSwitchTo(merge->cxt);
	UpgMergeTable *table = restorer->table;
	HeapTupleData now;
	Buffer buffer;
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	char *other = NULL;

	now.t_self = *with;
	if (heap_fetch(rel, snapshot, &now, &buffer, false))
	{
		other = upg_image_json(&now, desc, 0, NULL);
		ReleaseBuffer(buffer);
	}
	UnregisterSnapshot(snapshot);
	upg_merge_conflict(
		merge, table,
		table->head.nkey > 0
			? upg_image_json(image, desc, table->head.nkey, table->head.key)
			: NULL,
		NULL, upg_image_json(image, desc, 0, NULL), other,
		"the migration had deleted this row, and the application wrote "
		"one that excludes it; that one stays");
	table->restored--;
	MemoryContextSwitchTo(oldcxt);
}

static void
restore_row(Oid catalog, char op, HeapTuple entry, void *arg)
{
	Restorer *restorer = arg;
	UpgMergeTable *table = restorer->table;
	MemoryContext oldcxt;
	UpgImage image;
	ItemPointerData with;
	int64 number;

	if (op != 'R' && op != 'U')
		return;
	number = restorer->number++;
	if (restorer->only)
	{
		RowGroup group = classify(restorer, HeapTupleHeaderGetRawXmin(entry->t_data));

		if (group.owner != restorer->only->owner || group.since != restorer->only->since)
			return;
	}
	if (table && table->decisions && table->decisions[number] != UPG_IMAGE_RESTORE)
	{
		restorer->left++;
		return;
	}
	oldcxt = MemoryContextSwitchTo(restorer->rowcxt);
	upg_image_read(op, entry, &image);
	/* an image that points to values elsewhere would outlive them */
	if (HeapTupleHasExternal(&image.row))
		elog(ERROR, "row image of table \"%s\" is not complete",
			 RelationGetRelationName(restorer->rel));
	if (restorer->check && op == 'R' &&
		upg_writer_clashes(restorer->writer, &image.row, &with))
	{
		note_clash(restorer, &image.row, &with);
		restorer->left++;
	}
	else
	{
		upg_writer_insert(restorer->writer, &image.row, false);
		restorer->restored++;
	}
	MemoryContextSwitchTo(oldcxt);
	MemoryContextReset(restorer->rowcxt);
}

/*
 * upg_data_restore
 *		Put back the rows that the migration changed or deleted.
 */
void
upg_data_restore(UpgUndoLog *log, UpgRelationRows *rows, UpgUndoOptions *options,
				 UpgUndoResult *result)
{
	Restorer restorer = {0};
	ListCell *lc;

	if (skipped(rows, options))
		return;
	restorer.log = log;
	restorer.rel = table_open(rows->relation, options->proof ? AccessShareLock : NoLock);
	if (!options->proof)
		restorer.others = upg_undo_log_heads(log->id);
	if (restorer.others)
		upg_chunks_read("undo_chunks", log->id, rows->relation, find_group, &restorer);
	if (restorer.groups == NIL)
		restorer.groups = list_make1(NULL);
	restorer.table = upg_merge_find(log, rows->relation);
	restorer.check = restorer.table && restorer.table->policy == UPG_ON_CONFLICT_KEEP &&
					 (restorer.table->kept > 0 || restorer.table->merged > 0);
	restorer.rowcxt = AllocSetContextCreate(CurrentMemoryContext, "upg restore row",
											ALLOCSET_DEFAULT_SIZES);

	foreach (lc, restorer.groups)
	{
		RowGroup *group = lfirst(lc);
		bool alias = group && (group->owner >= 0 || group->since != UINT64CONST(0) ||
							   restorer.others);
		UpgSubxact sub;

		if (alias)
		{
			upg_subxact_begin(&sub, NULL);
			upg_alias_add(GetCurrentTransactionId(), group->origin);
		}
		restorer.only = group;
		restorer.number = 0;
		restorer.writer = upg_writer_begin(restorer.rel);
		upg_chunks_read("undo_chunks", log->id, rows->relation, restore_row, &restorer);
		upg_writer_end(restorer.writer, !options->proof);
		if (alias)
			upg_subxact_release(&sub);
	}
	MemoryContextDelete(restorer.rowcxt);
	table_close(restorer.rel, NoLock);

	if (restorer.restored + restorer.left != rows->deleted)
		ereport(
			ERROR,
			(errcode(ERRCODE_UPG_UNDO_UNUSABLE), errmsg("the undo log is damaged"),
			 errdetail("It should hold " INT64_FORMAT
					   " rows of table %s and has " INT64_FORMAT ".",
					   rows->deleted, rows->name, restorer.restored + restorer.left)));
	result->data_rows += restorer.restored;
	result->actions =
		lappend(result->actions, psprintf(INT64_FORMAT " rows of table %s are put back",
										  restorer.restored, rows->name));
}

/* Run a query as the owner of what it reads; returns its TIDs, if it has any. */
static List *
run_query(const char *query, Oid owner, long limit, uint64 *found)
{
	UpgAsOwner before;
	List *tids = NIL;
	MemoryContext cxt = CurrentMemoryContext;

	upg_as_owner_begin(&before, owner, SECURITY_NOFORCE_RLS);
	/* a constraint that came back must not be taken as the proof of itself */
	(void) set_config_option("constraint_exclusion", "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	SPI_connect();
	PushActiveSnapshot(GetLatestSnapshot());
	if (SPI_execute(query, true, limit) != SPI_OK_SELECT)
		elog(ERROR, "SPI_execute failed: %s", query);
	*found = SPI_processed;
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool isnull;
		MemoryContext oldcxt;
		ItemPointer tid;

		if (SPI_gettypeid(SPI_tuptable->tupdesc, 1) != TIDOID)
			break;
		oldcxt = MemoryContextSwitchTo(cxt);
		tid = palloc(sizeof(ItemPointerData));
		*tid = *(ItemPointer) DatumGetPointer(
			SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));
		tids = lappend(tids, tid);
		MemoryContextSwitchTo(oldcxt);
	}
	PopActiveSnapshot();
	SPI_finish();
	upg_as_owner_end(&before);
	return tids;
}

static bool
finds_row(const char *query, Oid owner)
{
	uint64 found;

	(void) run_query(query, owner, 1, &found);
	return found > 0;
}

/*
 * upg_qualified_name
 *		The name of a relation as messages and the books show it.
 */
char *
upg_qualified_name(Oid relation)
{
	char *nsp = get_namespace_name(get_rel_namespace(relation));
	char *name = get_rel_name(relation);

	return quote_qualified_identifier(nsp ? nsp : "?", name ? name : "?");
}

/*
 * upg_relation_owner
 *		The role that owns a relation.
 */
Oid
upg_relation_owner(Oid relid)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relid);
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * upg_data_finds_row
 *		Does this query find anything?  Run as the owner of a relation.
 */
bool
upg_data_finds_row(const char *query, Oid relation)
{
	return finds_row(query, upg_relation_owner(relation));
}

/* May this role read all rows of a table, in spite of row security? */
static bool
reads_all(Oid role, Oid relation)
{
	return pg_class_aclcheck(relation, role, ACL_SELECT) == ACLCHECK_OK &&
		   (role == upg_relation_owner(relation) ||
			check_enable_rls(relation, role, true) != RLS_ENABLED);
}

/*
 * upg_data_find_tids
 *		The places of the rows of a relation that a query finds which compares them
 *		with those of another one, by the operators of a foreign key.
 *
 * Runs as the owner of one of them, or else as the caller; "foreign" tells whether
 * types of others are converted on the way, whose functions are not for the caller
 * to run.
 */
List *
upg_data_find_tids(const char *query, Oid relation, Oid other, bool foreign)
{
	Oid role = upg_relation_owner(relation);
	uint64 found;

	if (!reads_all(role, other))
		role = upg_relation_owner(other);
	if (!reads_all(role, relation) && !foreign)
		role = GetUserId();
	if (!reads_all(role, relation) || !reads_all(role, other))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("rows of table %s that refer to table %s cannot be looked for",
						upg_qualified_name(other), upg_qualified_name(relation)),
				 errdetail("Neither owner may read all rows of both, nor may role "
						   "\"%s\".",
						   GetUserNameFromId(GetUserId(), true)),
				 errhint("Let a superuser roll this migration back. Nothing was "
						 "changed.")));
	return run_query(query, role, 0, &found);
}

static void
violated(const char *what, const char *name, Oid relid)
{
	ereport(ERROR, (errcode(ERRCODE_UPG_LATER_CHANGES),
					errmsg("rows written since stand in the way of the rollback"),
					errdetail("%s \"%s\" of table %s would be violated.", what, name,
							  upg_qualified_name(relid)),
					errhint("Correct these rows, then roll back again.")));
}

/*
 * parent_refers_elsewhere
 *		Is this foreign key the copy of one that refers to a partitioned table?
 */
static bool
parent_refers_elsewhere(Form_pg_constraint con, HeapTuple *parent)
{
	*parent = SearchSysCacheCopy1(CONSTROID, ObjectIdGetDatum(con->conparentid));
	return HeapTupleIsValid(*parent) &&
		   ((Form_pg_constraint) GETSTRUCT(*parent))->confrelid != con->confrelid;
}

/*
 * check_constraint
 *		A constraint that came back must hold for the rows of now.
 */
static void
check_constraint(Form_pg_constraint con, HeapTuple row)
{
	HeapTuple parent = NULL;
	StringInfoData query;
	bool isnull;
	char *name = NameStr(con->conname);

	if (!con->convalidated || !OidIsValid(con->conrelid))
		return;
	if (get_rel_relkind(con->conrelid) != RELKIND_RELATION &&
		!(con->contype == CONSTRAINT_FOREIGN &&
		  get_rel_relkind(con->conrelid) == RELKIND_PARTITIONED_TABLE))
		return;
	initStringInfo(&query);
	if (con->contype == CONSTRAINT_CHECK)
	{
		Datum bin = SysCacheGetAttr(CONSTROID, row, Anum_pg_constraint_conbin, &isnull);
		char *expr;
		int nestlevel;

		if (isnull)
			return;
		/* names are written as they will be read: with nothing but pg_catalog */
		nestlevel = NewGUCNestLevel();
		RestrictSearchPath();
		expr = TextDatumGetCString(
			DirectFunctionCall2(pg_get_expr, bin, ObjectIdGetDatum(con->conrelid)));
		AtEOXact_GUC(false, nestlevel);
		appendStringInfo(&query, "SELECT 1 FROM ONLY %s WHERE NOT (%s) LIMIT 1",
						 upg_qualified_name(con->conrelid), expr);
		if (finds_row(query.data, upg_relation_owner(con->conrelid)))
			violated("Constraint", name, con->conrelid);
	}
	else if (con->contype == CONSTRAINT_FOREIGN && OidIsValid(con->conparentid) &&
			 parent_refers_elsewhere(con, &parent))
	{
		/* to one partition of the referenced table: the whole one counts */
		check_constraint((Form_pg_constraint) GETSTRUCT(parent), parent);
	}
	else if (con->contype == CONSTRAINT_FOREIGN)
	{
		Trigger trigger = {0};
		Relation fk = table_open(con->conrelid, AccessShareLock);
		Relation pk = table_open(con->confrelid, AccessShareLock);
		Oid saved_user;
		int saved_context;

		trigger.tgname = name;
		trigger.tgenabled = TRIGGER_FIRES_ON_ORIGIN;
		trigger.tgisinternal = true;
		trigger.tgconstrrelid = con->confrelid;
		trigger.tgconstrindid = con->conindid;
		trigger.tgconstraint = con->oid;
		trigger.tgdeferrable = false;
		trigger.tginitdeferred = false;
		GetUserIdAndSecContext(&saved_user, &saved_context);
		SetUserIdAndSecContext(fk->rd_rel->relowner, saved_context |
														 SECURITY_RESTRICTED_OPERATION |
														 SECURITY_NOFORCE_RLS);
		PushActiveSnapshot(GetLatestSnapshot());
		if (!RI_Initial_Check(&trigger, fk, pk))
		{
			PopActiveSnapshot();
			SetUserIdAndSecContext(saved_user, saved_context);
			PushActiveSnapshot(GetLatestSnapshot());
			if (!RI_Initial_Check(&trigger, fk, pk))
				ereport(ERROR,
						(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						 errmsg("foreign key \"%s\" of table %s cannot be verified", name,
								upg_qualified_name(con->conrelid)),
						 errhint("Let a superuser roll this migration back.")));
		}
		PopActiveSnapshot();
		SetUserIdAndSecContext(saved_user, saved_context);
		table_close(pk, AccessShareLock);
		table_close(fk, AccessShareLock);
	}
}

/*
 * foreign_keys_of
 *		The constraints that are foreign keys from or to some tables.
 *
 * Each has triggers on both sides, so a table without triggers costs nothing.
 */
static List *
foreign_keys_of(List *relations)
{
	Relation rel;
	List *oids = NIL;
	List *found = NIL;
	ListCell *lc;

	if (relations == NIL)
		return NIL;
	rel = table_open(TriggerRelationId, AccessShareLock);
	foreach (lc, relations)
	{
		ScanKeyData key;
		SysScanDesc scan;
		HeapTuple tuple;

		ScanKeyInit(&key, Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ,
					ObjectIdGetDatum(lfirst_oid(lc)));
		scan = systable_beginscan(rel, TriggerRelidNameIndexId, true, NULL, 1, &key);
		while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		{
			Form_pg_trigger trigger = (Form_pg_trigger) GETSTRUCT(tuple);

			if (OidIsValid(trigger->tgconstraint))
				oids = list_append_unique_oid(oids, trigger->tgconstraint);
		}
		systable_endscan(scan);
	}
	table_close(rel, AccessShareLock);
	foreach (lc, oids)
	{
		HeapTuple tuple =
			SearchSysCacheCopy1(CONSTROID, ObjectIdGetDatum(lfirst_oid(lc)));

		if (HeapTupleIsValid(tuple) &&
			((Form_pg_constraint) GETSTRUCT(tuple))->contype == CONSTRAINT_FOREIGN)
			found = lappend(found, tuple);
	}
	return found;
}

/*
 * upg_data_check_keys
 *		All foreign keys from and to some tables must hold.
 */
void
upg_data_check_keys(List *relations)
{
	ListCell *lc;

	foreach (lc, foreign_keys_of(relations))
		check_constraint((Form_pg_constraint) GETSTRUCT((HeapTuple) lfirst(lc)),
						 lfirst(lc));
}

/*
 * constraints_to_check
 *		The constraints that must hold for the rows of now when a step has been
 *		taken back: those that came back, and foreign keys of tables whose rows
 *		came back.
 */
static List *
constraints_to_check(UpgUndoLog *log)
{
	List *written = NIL;
	List *found;
	ListCell *lc;

	foreach (lc, log->relations)
	{
		UpgRelationRows *rows = lfirst(lc);

		if ((rows->switched || rows->inserted > 0 || rows->deleted > 0) &&
			get_rel_relkind(rows->relation) == RELKIND_RELATION)
			written = lappend_oid(written, rows->relation);
	}
	found = foreign_keys_of(written);

	foreach (lc, upg_change_list(log->catalogs, ConstraintRelationId))
	{
		UpgChange *change = lfirst(lc);
		Form_pg_constraint con;
		bool known = false;
		ListCell *lc2;

		if (change->before == NULL)
			continue;
		con = (Form_pg_constraint) GETSTRUCT(change->before);
		/* a table whose file came back holds the rows that it held */
		if (upg_keep_find(log->files, con->conrelid) && con->contype == CONSTRAINT_CHECK)
			continue;
		if (change->after &&
			((Form_pg_constraint) GETSTRUCT(change->after))->convalidated ==
				con->convalidated &&
			con->contype != CONSTRAINT_CHECK)
			continue;
		foreach (lc2, found)
			if (((Form_pg_constraint) GETSTRUCT((HeapTuple) lfirst(lc2)))->oid ==
				con->oid)
				known = true;
		if (!known)
			found = lappend(found, change->before);
	}
	return found;
}

/*
 * upg_data_rows_to_check
 *		About how many rows upg_data_revalidate() reads for constraints.
 */
double
upg_data_rows_to_check(UpgUndoLog *log)
{
	double rows = 0;
	ListCell *lc;

	foreach (lc, constraints_to_check(log))
	{
		Form_pg_constraint con = (Form_pg_constraint) GETSTRUCT((HeapTuple) lfirst(lc));

		if (con->convalidated &&
			(con->contype == CONSTRAINT_FOREIGN || con->contype == CONSTRAINT_CHECK))
			rows += upg_estimate_rows(con->conrelid) + upg_estimate_rows(con->confrelid);
	}
	return rows;
}

/*
 * is_small
 *		Is a table small enough to look at all of its rows on the way?
 *
 * One whose rows the proof has not put back is not what it was.  One that
 * somebody has locked against readers is passed over: the migration did not
 * need to wait for him.
 */
static bool
is_small(UpgUndoLog *log, Oid relation)
{
	Relation rel;
	bool small;
	ListCell *lc;

	foreach (lc, log->relations)
	{
		UpgRelationRows *rows = lfirst(lc);

		if (rows->relation == relation &&
			upg_proof_is_large(rows->inserted + rows->deleted))
			return false;
	}

	if (!OidIsValid(relation))
		return true;
	if (get_rel_relkind(relation) != RELKIND_RELATION ||
		!ConditionalLockRelationOid(relation, AccessShareLock) ||
		upg_data_unreachable(relation, true))
		return false;
	rel = table_open(relation, NoLock);
	small = RelationGetNumberOfBlocks(rel) <= SMALL_TABLE_PAGES;
	table_close(rel, NoLock);
	return small;
}

/*
 * upg_data_violated
 *		OIDs of constraints that do not hold, small tables only.
 *
 * The proof calls it when everything is as it was before the migration: a
 * constraint that is violated then must come back all the same, because it was
 * there.
 */
List *
upg_data_violated(UpgUndoLog *log)
{
	List *volatile result = NIL;
	ListCell *lc;

	foreach (lc, constraints_to_check(log))
	{
		HeapTuple row = lfirst(lc);
		Form_pg_constraint con = (Form_pg_constraint) GETSTRUCT(row);
		UpgSubxact sub;

		if (!con->convalidated ||
			(con->contype != CONSTRAINT_FOREIGN && con->contype != CONSTRAINT_CHECK) ||
			!is_small(log, con->conrelid) || !is_small(log, con->confrelid))
			continue;
		upg_subxact_begin(&sub, NULL);
		PG_TRY();
		{
			check_constraint(con, row);
			upg_subxact_abandon(&sub);
		}
		PG_CATCH();
		{
			ErrorData *edata = upg_subxact_catch(&sub);

			/* what this role may not look at passes for sound; whoever rolls back may */
			if (edata->sqlerrcode == ERRCODE_FOREIGN_KEY_VIOLATION ||
				edata->sqlerrcode == ERRCODE_UPG_LATER_CHANGES)
				result = lappend_oid(result, con->oid);
			else if (edata->sqlerrcode != ERRCODE_INSUFFICIENT_PRIVILEGE)
				ReThrowError(edata);
		}
		PG_END_TRY();
	}
	return result;
}

/*
 * upg_data_revalidate
 *		What came back must hold for rows written since: constraints, NOT NULL,
 *		narrower types, foreign keys of rows put back.
 */
void
upg_data_revalidate(UpgUndoLog *log, UpgUndoResult *result)
{
	ListCell *lc;

	foreach (lc, constraints_to_check(log))
	{
		HeapTuple row = lfirst(lc);
		Form_pg_constraint con = (Form_pg_constraint) GETSTRUCT(row);

		if (list_member_oid(log->exempt, con->oid))
			result->notes = lappend(
				result->notes,
				psprintf("constraint \"%s\" of table %s was violated before "
						 "the migration, and comes back as it was",
						 NameStr(con->conname), upg_qualified_name(con->conrelid)));
		else
			check_constraint(con, row);
	}

	foreach (lc, upg_change_list(log->catalogs, AttributeRelationId))
	{
		UpgChange *change = lfirst(lc);
		Form_pg_attribute before;
		Form_pg_attribute after;
		StringInfoData query;
		char *column;

		if (change->before == NULL || change->after == NULL)
			continue;
		before = (Form_pg_attribute) GETSTRUCT(change->before);
		after = (Form_pg_attribute) GETSTRUCT(change->after);
		if (before->attisdropped || before->attnum <= 0 ||
			upg_keep_find(log->files, before->attrelid) ||
			get_rel_relkind(before->attrelid) != RELKIND_RELATION ||
			get_rel_persistence(before->attrelid) == RELPERSISTENCE_TEMP)
			continue;
		column = pstrdup(quote_identifier(NameStr(before->attname)));
		initStringInfo(&query);
		if (before->attnotnull && !after->attnotnull)
		{
			/* a function, because the planner knows what IS NULL means for NOT NULL */
			appendStringInfo(
				&query,
				"SELECT 1 FROM ONLY %s WHERE pg_catalog.num_nulls(%s) > 0 LIMIT 1",
				upg_qualified_name(before->attrelid), column);
			if (finds_row(query.data, upg_relation_owner(before->attrelid)))
				violated("NOT NULL of column", NameStr(before->attname),
						 before->attrelid);
		}
		if (!after->attisdropped && before->atttypmod >= 0 &&
			before->atttypmod != after->atttypmod)
		{
			char *type = format_type_extended(before->atttypid, before->atttypmod,
											  FORMAT_TYPE_TYPEMOD_GIVEN |
												  FORMAT_TYPE_FORCE_QUALIFY);

			resetStringInfo(&query);
			appendStringInfo(
				&query,
				"SELECT 1 FROM ONLY %s WHERE %s::pg_catalog.text IS DISTINCT FROM"
				" (%s::pg_catalog.text::%s)::pg_catalog.text LIMIT 1",
				upg_qualified_name(before->attrelid), column, column, type);
			if (finds_row(query.data, upg_relation_owner(before->attrelid)))
				violated(psprintf("Type %s of column", type), NameStr(before->attname),
						 before->attrelid);
		}
	}
}
