/*-------------------------------------------------------------------------
 *
 * undo_merge_same.c
 *		Merging a table that keeps its file: the rows that the migration wrote,
 *		one by one.
 *
 * A row of the migration that nobody touched still carries its xid.  When all
 * of them do, at the places where the migration left them, nothing has to be
 * merged and no other row is read.  Else the table is read once, and rows that
 * were changed since are found again by their key.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/undo_merge_same.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/heaptoast.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_operator.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "undo_merge.h"

/* Where a key is found among the rows of now. */
typedef struct KeyPlace
{
	UpgSum key;
	ItemPointerData tid;
	int64 number; /* of a row of the migration */
} KeyPlace;

typedef struct SamePlan
{
	UpgMerge *merge;
	UpgMergeTable *table;
	Relation rel;
	TupleDesc desc; /* of now */
	TupleDesc old;  /* as it was before the migration */
	bool same_file;
	bool keyed;
	bool scanned;
	int64 nimages;
	int64 ndeleted; /* images of rows that the migration deleted */
	int64 ninserted;
	ItemPointerData *noted; /* TIDs in the log */
	int64 nnoted;
	int64 size_noted;
	ItemPointerData *put_back; /* where rollbacks of later migrations put rows of ours */
	int64 nput_back;
	int64 size_put_back;
	HTAB *since;  /* KeyPlace of rows written since */
	HTAB *strays; /* KeyPlace of our rows that are not where we left them */
	int64 nstrays;
	bool moved; /* rows of ours may be at other places than those noted */
	int64 nsince;
	int64 touched; /* rows of ours that were changed or deleted since */
	int64 matched; /* rows written since that stand for one of the log */
	int64 number;  /* of the image at hand */
	MemoryContext rowcxt;
} SamePlan;

static int
compare_tids(const void *a, const void *b)
{
	return ItemPointerCompare((ItemPointer) a, (ItemPointer) b);
}

static void
add_tid(ItemPointerData **array, int64 *n, int64 *size, ItemPointer tid)
{
	if (*n == *size)
	{
		*size = Max(*size * 2, 1024);
		*array = *array
					 ? repalloc_huge(*array, sizeof(ItemPointerData) * *size)
					 : palloc_extended(sizeof(ItemPointerData) * *size, MCXT_ALLOC_HUGE);
	}
	(*array)[(*n)++] = *tid;
}

static HTAB *
key_table(MemoryContext cxt, const char *name)
{
	HASHCTL ctl = {0};

	ctl.keysize = sizeof(UpgSum);
	ctl.entrysize = sizeof(KeyPlace);
	ctl.hcxt = cxt;
	return hash_create(name, 1024, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* First pass over the log: how many images, and where our rows should be. */
static void
note_entry(Oid catalog, char op, HeapTuple entry, void *arg)
{
	SamePlan *plan = arg;
	MemoryContext oldcxt = MemoryContextSwitchTo(plan->merge->cxt);

	if (op == 'U')
	{
		UpgImage image;

		upg_image_read(op, entry, &image);
		add_tid(&plan->noted, &plan->nnoted, &plan->size_noted, &image.tid);
		pfree(image.written);
		plan->nimages++;
	}
	else if (op == 'R')
	{
		plan->nimages++;
		plan->ndeleted++;
	}
	else if (op == 'K')
		upg_head_read(entry, &plan->table->head);
	else if (op == 'T')
	{
		UpgInserted *rows;
		int n = upg_inserted_read(entry, &rows);

		for (int i = 0; i < n; i++)
			add_tid(&plan->noted, &plan->nnoted, &plan->size_noted, &rows[i].tid);
		plan->ninserted += n;
	}
	MemoryContextSwitchTo(oldcxt);
}

/* Are all rows of the migration where it left them? */
static bool
all_in_place(SamePlan *plan)
{
	Snapshot snapshot;
	BlockNumber nblocks = RelationGetNumberOfBlocks(plan->rel);
	Buffer buffer = InvalidBuffer;
	bool result = true;

	if (!plan->same_file || plan->nnoted != plan->table->rows->inserted)
		return false;
	qsort(plan->noted, plan->nnoted, sizeof(ItemPointerData), compare_tids);
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	for (int64 i = 0; i < plan->nnoted && result; i++)
	{
		ItemPointer tid = &plan->noted[i];
		BlockNumber block = ItemPointerGetBlockNumber(tid);
		Page page;
		ItemId item;
		HeapTupleData tuple;

		CHECK_FOR_INTERRUPTS();
		if (block >= nblocks)
		{
			result = false;
			break;
		}
		if (!BufferIsValid(buffer) || BufferGetBlockNumber(buffer) != block)
		{
			if (BufferIsValid(buffer))
				UnlockReleaseBuffer(buffer);
			buffer = ReadBuffer(plan->rel, block);
			LockBuffer(buffer, BUFFER_LOCK_SHARE);
		}
		page = BufferGetPage(buffer);
		if (PageIsNew(page) ||
			ItemPointerGetOffsetNumber(tid) > PageGetMaxOffsetNumber(page))
		{
			result = false;
			break;
		}
		item = PageGetItemId(page, ItemPointerGetOffsetNumber(tid));
		if (!ItemIdIsNormal(item))
		{
			result = false;
			break;
		}
		tuple.t_data = (HeapTupleHeader) PageGetItem(page, item);
		tuple.t_len = ItemIdGetLength(item);
		tuple.t_tableOid = RelationGetRelid(plan->rel);
		tuple.t_self = *tid;
		/* one that a rollback put back stands for a row of ours, but not for this one */
		result =
			upg_log_has_xid(plan->merge->log, HeapTupleHeaderGetRawXmin(tuple.t_data)) &&
			HeapTupleSatisfiesVisibility(&tuple, snapshot, buffer);
	}
	if (BufferIsValid(buffer))
		UnlockReleaseBuffer(buffer);
	UnregisterSnapshot(snapshot);
	return result;
}

/* A row of now, for the slow way. */
static void
note_row(HeapTuple row, bool own, bool since, void *arg)
{
	SamePlan *plan = arg;
	MemoryContext oldcxt;

	if (own)
	{
		oldcxt = MemoryContextSwitchTo(plan->merge->cxt);
		if (!upg_log_has_xid(plan->merge->log, HeapTupleHeaderGetRawXmin(row->t_data)))
		{
			/* put back by the rollback of a later migration, wherever there was room */
			plan->moved = true;
			add_tid(&plan->put_back, &plan->nput_back, &plan->size_put_back,
					&row->t_self);
		}
		add_tid(&plan->table->ours, &plan->table->nours, &plan->table->size_ours,
				&row->t_self);
		MemoryContextSwitchTo(oldcxt);
		return;
	}
	if (!since)
		return;
	plan->nsince++;
	if (plan->keyed)
	{
		UpgSum key;
		KeyPlace *place;

		oldcxt = MemoryContextSwitchTo(plan->rowcxt);
		key =
			upg_key_hash(row, plan->desc, plan->table->head.nkey, plan->table->head.key);
		MemoryContextSwitchTo(oldcxt);
		MemoryContextReset(plan->rowcxt);
		place = hash_search(plan->since, &key, HASH_ENTER, NULL);
		place->tid = row->t_self;
	}
}

static void
note_since_only(HeapTuple row, bool own, bool since, void *arg)
{
	if (!own)
		note_row(row, own, since, arg);
}

/* The place of a row of ours in table->ours, or -1. */
static int64
find_ours(SamePlan *plan, ItemPointer tid)
{
	ItemPointer found;

	if (plan->table->nours == 0)
		return -1;
	found = bsearch(tid, plan->table->ours, plan->table->nours, sizeof(ItemPointerData),
					compare_tids);
	return found ? found - plan->table->ours : -1;
}

/*
 * The same for a place that the log noted, which says nothing after a rewrite, nor
 * if another row of ours was put back there.
 */
static int64
find_noted(SamePlan *plan, ItemPointer tid)
{
	if (!plan->same_file)
		return -1;
	if (plan->nput_back > 0 && bsearch(tid, plan->put_back, plan->nput_back,
									   sizeof(ItemPointerData), compare_tids))
		return -1;
	return find_ours(plan, tid);
}

/* Second pass over the log: which of our rows are where they should be. */
static void
mark_entry(Oid catalog, char op, HeapTuple entry, void *arg)
{
	SamePlan *plan = arg;

	if (op == 'U')
	{
		UpgImage image;
		int64 at;

		upg_image_read(op, entry, &image);
		at = find_noted(plan, &image.tid);
		if (at >= 0)
			plan->table->flags[at] = UPG_OURS_REPLACED;
		pfree(image.written);
	}
	else if (op == 'T')
	{
		UpgInserted *rows;
		int n = upg_inserted_read(entry, &rows);

		for (int i = 0; i < n; i++)
		{
			int64 at = find_noted(plan, &rows[i].tid);

			if (at >= 0)
				plan->table->flags[at] = UPG_OURS_INSERTED;
		}
	}
}

/*
 * upg_fetch_row
 *		A copy of the row at a place, as seen now; NULL if there is none.
 */
HeapTuple
upg_fetch_row(Relation rel, ItemPointer tid)
{
	HeapTupleData tuple;
	Buffer buffer;
	HeapTuple copy = NULL;
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());

	tuple.t_self = *tid;
	if (heap_fetch(rel, snapshot, &tuple, &buffer, false))
	{
		copy = heap_copytuple(&tuple);
		ReleaseBuffer(buffer);
	}
	UnregisterSnapshot(snapshot);
	return copy;
}

/* Rows of ours that moved (VACUUM FULL, an earlier rollback), by key. */
static void
find_strays(SamePlan *plan)
{
	for (int64 i = 0; i < plan->table->nours; i++)
	{
		HeapTuple row;
		UpgSum key;
		KeyPlace *place;

		if (plan->table->flags[i] != 0)
			continue;
		plan->nstrays++;
		if (!plan->keyed)
			continue;
		row = upg_fetch_row(plan->rel, &plan->table->ours[i]);
		if (row == NULL)
			continue;
		key =
			upg_key_hash(row, plan->desc, plan->table->head.nkey, plan->table->head.key);
		heap_freetuple(row);
		place = hash_search(plan->strays, &key, HASH_ENTER, NULL);
		place->tid = plan->table->ours[i];
		place->number = i;
	}
}

static char *
row_key(SamePlan *plan, HeapTuple row, TupleDesc desc)
{
	if (!plan->keyed)
		return NULL;
	return upg_image_json(row, desc, plan->table->head.nkey, plan->table->head.key);
}

/* The application deleted what the migration had updated, or we cannot tell. */
static void
image_is_gone(SamePlan *plan, UpgImage *image)
{
	UpgMergeTable *table = plan->table;

	if (plan->nstrays > 0 && !plan->keyed && plan->moved)
	{
		upg_merge_refuse(plan->merge,
						 psprintf("rows of table %s cannot be told apart: it has no key, "
								  "and its rows were moved since",
								  table->name));
		return;
	}
	if (table->policy == UPG_ON_CONFLICT_DISCARD && plan->keyed)
		return; /* comes back */
	table->decisions[plan->number] = UPG_IMAGE_SKIP;
	upg_merge_conflict(plan->merge, table, row_key(plan, &image->row, plan->old), NULL,
					   upg_image_json(&image->row, plan->old, 0, NULL), NULL,
					   plan->keyed ? "the application deleted a row that the migration "
									 "had changed; it stays deleted"
								   : "a row that the migration had changed was changed "
									 "or deleted since, and the table has no key");
	table->gone++;
}

/* The application changed what the migration had updated: merge. */
static void
image_was_changed(SamePlan *plan, UpgImage *image, ItemPointer tid)
{
	UpgMergeTable *table = plan->table;
	HeapTuple now;
	ItemPointer target;

	plan->matched++;
	if (table->policy == UPG_ON_CONFLICT_DISCARD)
	{
		add_tid(&table->given_up, &table->ngiven_up, &table->size_given_up, tid);
		table->discarded++;
		return;
	}
	now = upg_fetch_row(plan->rel, tid);
	if (now == NULL)
		elog(ERROR, "row (%u,%u) of table %s is gone", ItemPointerGetBlockNumber(tid),
			 ItemPointerGetOffsetNumber(tid), table->name);
	for (int i = 0; i < image->nwritten; i++)
	{
		AttrNumber attnum = image->written[i].attnum;
		bool isnull;
		Datum value = heap_getattr(now, attnum, plan->desc, &isnull);

		if (upg_value_hash(value, isnull, TupleDescAttr(plan->desc, attnum - 1)) ==
			image->written[i].hash)
			continue;
		upg_merge_conflict(
			plan->merge, table, row_key(plan, now, plan->desc),
			pstrdup(NameStr(TupleDescAttr(plan->old, attnum - 1)->attname)),
			upg_value_text(&image->row, plan->old, attnum),
			upg_value_text(now, plan->desc, attnum),
			"the application changed what the migration had written; "
			"its value stays");
	}
	table->decisions[plan->number] = UPG_IMAGE_MERGE;
	target = palloc(sizeof(ItemPointerData));
	*target = *tid;
	table->targets = lappend(table->targets, target);
	table->merged++;
	heap_freetuple(now);
}

/* Third pass: what becomes of each image. */
static void
decide_entry(Oid catalog, char op, HeapTuple entry, void *arg)
{
	SamePlan *plan = arg;
	UpgMergeTable *table = plan->table;
	MemoryContext oldcxt = MemoryContextSwitchTo(plan->merge->cxt);

	if (op == 'T' && plan->keyed)
	{
		UpgInserted *rows;
		int n = upg_inserted_read(entry, &rows);

		for (int i = 0; i < n; i++)
		{
			KeyPlace *place;

			if (find_noted(plan, &rows[i].tid) >= 0)
				continue;
			place = hash_search(plan->strays, &rows[i].key, HASH_FIND, NULL);
			if (place)
			{
				table->flags[place->number] = UPG_OURS_INSERTED;
				continue;
			}
			place = hash_search(plan->since, &rows[i].key, HASH_FIND, NULL);
			if (place == NULL)
				continue;
			if (table->policy == UPG_ON_CONFLICT_DISCARD)
			{
				add_tid(&table->given_up, &table->ngiven_up, &table->size_given_up,
						&place->tid);
				table->discarded++;
				plan->matched++;
			}
			else
			{
				HeapTuple now = upg_fetch_row(plan->rel, &place->tid);

				if (now)
					upg_merge_conflict(plan->merge, table, row_key(plan, now, plan->desc),
									   NULL, NULL,
									   upg_image_json(now, plan->desc, 0, NULL),
									   "the application changed a row that the migration "
									   "had inserted; it stays");
			}
		}
	}
	else if (op == 'U' || op == 'R')
	{
		UpgImage image;

		upg_image_read(op, entry, &image);
		if (op == 'R')
		{
			KeyPlace *place = NULL;

			if (plan->keyed)
			{
				UpgSum key = upg_key_hash(&image.row, plan->old, table->head.nkey,
										  table->head.key);

				place = hash_search(plan->since, &key, HASH_FIND, NULL);
			}
			if (place && table->policy == UPG_ON_CONFLICT_DISCARD)
			{
				add_tid(&table->given_up, &table->ngiven_up, &table->size_given_up,
						&place->tid);
				table->discarded++;
				plan->matched++;
			}
			else if (place)
			{
				HeapTuple now = upg_fetch_row(plan->rel, &place->tid);

				table->decisions[plan->number] = UPG_IMAGE_SKIP;
				if (now)
					upg_merge_conflict(plan->merge, table, row_key(plan, now, plan->desc),
									   NULL,
									   upg_image_json(&image.row, plan->old, 0, NULL),
									   upg_image_json(now, plan->desc, 0, NULL),
									   "the migration had deleted this row, and the "
									   "application wrote one with its key; that one "
									   "stays");
			}
		}
		else if ((plan->keyed || plan->touched != 0) && find_noted(plan, &image.tid) < 0)
		{
			UpgSum key = {0, 0};
			KeyPlace *stray = NULL;
			KeyPlace *place = NULL;

			if (plan->keyed)
			{
				key = image.key_moved ? image.new_key
									  : upg_key_hash(&image.row, plan->old,
													 table->head.nkey, table->head.key);
				stray = hash_search(plan->strays, &key, HASH_FIND, NULL);
				if (stray == NULL)
					place = hash_search(plan->since, &key, HASH_FIND, NULL);
			}
			if (stray)
				plan->table->flags[stray->number] = UPG_OURS_REPLACED;
			else if (place)
				image_was_changed(plan, &image, &place->tid);
			else
				image_is_gone(plan, &image);
		}
		if (image.written)
			pfree(image.written);
		plan->number++;
	}
	MemoryContextSwitchTo(oldcxt);
}

static char *
equality(Oid operator, const char * left, const char *right)
{
	HeapTuple tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(operator));
	char *result;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator %u", operator);
	result = psprintf("%s OPERATOR(%s.%s) %s", left,
					  quote_identifier(get_namespace_name(
						  ((Form_pg_operator) GETSTRUCT(tuple))->oprnamespace)),
					  NameStr(((Form_pg_operator) GETSTRUCT(tuple))->oprname), right);
	ReleaseSysCache(tuple);
	return result;
}

/* How to find the rows that others refer to by one foreign key. */
typedef struct KeyQuery
{
	char *query;
	Oid from;       /* the table that refers */
	bool converted; /* are values converted before they are compared? */
} KeyQuery;

/* Is a column of another type than its side of the operator? */
static bool
is_converted(Oid operator, Oid relation, AttrNumber attnum, Oid from, AttrNumber fromnum)
{
	Oid left;
	Oid right;

	op_input_types(operator, & left, &right);
	return !IsBinaryCoercible(get_atttype(relation, attnum), left) ||
		   !IsBinaryCoercible(get_atttype(from, fromnum), right);
}

/*
 * keep_referenced
 *		Rows that the migration inserted and that rows written since refer to
 *		must stay.
 */
static void
keep_referenced(SamePlan *plan)
{
	UpgMergeTable *table = plan->table;
	Relation conrel;
	SysScanDesc scan;
	HeapTuple tuple;
	List *queries = NIL;
	char *xids = upg_log_xid_list(plan->merge->log);
	ListCell *lc;

	if (!plan->rel->rd_rel->relhastriggers)
		return;
	conrel = table_open(ConstraintRelationId, AccessShareLock);
	scan = systable_beginscan(conrel, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint con = (Form_pg_constraint) GETSTRUCT(tuple);
		UpgChange *change;
		AttrNumber conkey[INDEX_MAX_KEYS];
		AttrNumber confkey[INDEX_MAX_KEYS];
		Oid operators[INDEX_MAX_KEYS];
		int n;
		StringInfoData query;
		KeyQuery *key;

		if (con->contype != CONSTRAINT_FOREIGN || con->confrelid != table->relation)
			continue;
		change = upg_class_change(plan->merge->log, con->conrelid);
		if (change && change->before == NULL)
			continue;
		DeconstructFkConstraintRow(tuple, &n, conkey, confkey, operators, NULL, NULL,
								   NULL, NULL);
		initStringInfo(&query);
		appendStringInfo(&query,
						 "SELECT p.ctid FROM ONLY %s p WHERE p.xmin::text = ANY "
						 "('%s'::text[]) AND EXISTS (SELECT 1 FROM %s f WHERE NOT "
						 "f.xmin::text = ANY ('%s'::text[])",
						 table->name, xids, upg_qualified_name(con->conrelid), xids);
		key = palloc0(sizeof(KeyQuery));
		for (int i = 0; i < n; i++)
		{
			appendStringInfo(
				&query, " AND %s",
				equality(operators[i],
						 psprintf("p.%s", quote_identifier(get_attname(
											  table->relation, confkey[i], false))),
						 psprintf("f.%s", quote_identifier(get_attname(
											  con->conrelid, conkey[i], false)))));
			key->converted |= is_converted(operators[i], table->relation, confkey[i],
										   con->conrelid, conkey[i]);
		}
		appendStringInfoChar(&query, ')');
		key->query = query.data;
		key->from = con->conrelid;
		queries = lappend(queries, key);
	}
	systable_endscan(scan);
	table_close(conrel, AccessShareLock);
	foreach (lc, queries)
	{
		KeyQuery *key = lfirst(lc);
		List *tids =
			upg_data_find_tids(key->query, table->relation, key->from, key->converted);
		ListCell *lc2;

		foreach (lc2, tids)
		{
			ItemPointer tid = lfirst(lc2);
			int64 at = find_ours(plan, tid);
			HeapTuple now;

			if (at < 0 || plan->table->flags[at] == UPG_OURS_REPLACED ||
				plan->table->flags[at] == UPG_OURS_STAYS)
				continue;
			if (table->policy == UPG_ON_CONFLICT_DISCARD)
			{
				upg_merge_refuse(plan->merge,
								 psprintf("rows written since refer to rows that the "
										  "migration inserted into table %s",
										  table->name));
				return;
			}
			now = upg_fetch_row(plan->rel, tid);
			upg_merge_conflict(plan->merge, table, row_key(plan, now, plan->desc), NULL,
							   NULL, upg_image_json(now, plan->desc, 0, NULL),
							   "rows written since refer to this row of the migration; "
							   "it stays");
			table->flags[at] = UPG_OURS_STAYS;
			table->kept++;
			table->removed--;
			heap_freetuple(now);
		}
	}
}

/*
 * upg_merge_plan_same
 *		Decide what becomes of every image and of every row of the migration.
 */
void
upg_merge_plan_same(UpgMerge *merge, UpgMergeTable *table)
{
	SamePlan plan = {0};
	UpgRelationRows *rows = table->rows;
	UpgChange *change = upg_class_change(merge->log, table->relation);
	MemoryContext oldcxt = MemoryContextSwitchTo(merge->cxt);
	HeapTuple class;
	int64 touched;

	plan.merge = merge;
	plan.table = table;
	plan.rel = table_open(table->relation, NoLock);
	plan.desc = RelationGetDescr(plan.rel);
	if (change && change->before)
		class = change->before;
	else
		class = SearchSysCacheCopy1(RELOID, ObjectIdGetDatum(table->relation));
	plan.old = upg_old_desc(merge->log, (Form_pg_class) GETSTRUCT(class));
	plan.same_file = UPG_LOCATOR_NUMBER(UPG_REL_LOCATOR(plan.rel)) == rows->filenumber;
	plan.moved = !plan.same_file;
	plan.rowcxt =
		AllocSetContextCreate(merge->cxt, "upg merge row", ALLOCSET_DEFAULT_SIZES);

	upg_chunks_read("undo_chunks", merge->log->id, table->relation, note_entry, &plan);
	plan.keyed = table->head.nkey > 0;
	for (int i = 0; i < table->head.nkey; i++)
		if (table->head.key[i] > plan.desc->natts ||
			table->head.key[i] > plan.old->natts ||
			TupleDescAttr(plan.desc, table->head.key[i] - 1)->attisdropped)
			plan.keyed = false;
	table->planned = true;
	table->bytes += plan.nimages * 200;
	plan.since = key_table(merge->cxt, "upg rows written since");
	plan.strays = key_table(merge->cxt, "upg rows moved");
	if (all_in_place(&plan))
	{
		table->ours = plan.noted;
		table->nours = plan.nnoted;
		table->size_ours = plan.size_noted;
		/* a row with the key of a deleted one may have been written since */
		if (plan.ndeleted > 0 && !upg_table_quiet(plan.rel, &table->head))
			upg_since_scan(plan.rel, merge->log, plan.same_file ? &table->head : NULL,
						   note_since_only, &plan);
	}
	else
	{
		plan.scanned = true;
		upg_since_scan(plan.rel, merge->log, NULL, note_row, &plan);
	}

	touched = rows->inserted - table->nours;
	plan.touched = touched;
	if (table->policy == UPG_ON_CONFLICT_STRICT)
	{
		if (touched != 0)
			upg_merge_refuse_strictly(
				merge, psprintf(INT64_FORMAT " rows of table %s that the migration "
											 "wrote were changed or deleted since",
								touched, table->name));
		table->restored = plan.nimages;
		table->removed = table->nours;
	}
	else
	{
		if (touched != 0 && table->head.moved > 0)
			upg_merge_refuse(
				merge, psprintf("the migration moved rows of table %s to other "
								"partitions, and rows that it wrote were changed since",
								table->name));
		table->flags =
			palloc_extended(Max(table->nours, 1), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
		if (touched != 0 || plan.nsince > 0 || plan.scanned || plan.ninserted > 0)
		{
			upg_chunks_read("undo_chunks", merge->log->id, table->relation, mark_entry,
							&plan);
			find_strays(&plan);
		}
		if (touched != 0 || plan.nsince > 0 || plan.nstrays > 0)
		{
			table->decisions = palloc_extended(Max(plan.nimages, 1), MCXT_ALLOC_HUGE);
			memset(table->decisions, UPG_IMAGE_RESTORE, plan.nimages);
			table->ndecisions = plan.nimages;
			upg_chunks_read("undo_chunks", merge->log->id, table->relation, decide_entry,
							&plan);
		}
		table->removed = table->nours;
		if (rows->inserted > plan.nimages - plan.ndeleted)
			keep_referenced(&plan);
		table->kept += plan.nsince - plan.matched;
		table->restored = plan.nimages - table->merged;
		for (int64 i = 0; i < table->ndecisions; i++)
			if (table->decisions[i] == UPG_IMAGE_SKIP)
				table->restored--;
	}
	table_close(plan.rel, NoLock);
	MemoryContextDelete(plan.rowcxt);
	MemoryContextSwitchTo(oldcxt);
}

/* ---------------------------------------------------------------------
 * Rows of both
 * ---------------------------------------------------------------------
 */
typedef struct SameApply
{
	UpgMergeTable *table;
	Relation rel;
	UpgRowWriter *writer;
	Bitmapset *returned; /* columns that the migration had dropped */
	int64 number;
	ListCell *target;
	MemoryContext cxt;
} SameApply;

static void
merge_entry(Oid catalog, char op, HeapTuple entry, void *arg)
{
	SameApply *apply = arg;
	TupleDesc desc = RelationGetDescr(apply->rel);
	MemoryContext oldcxt;
	UpgImage image;
	HeapTuple now;
	HeapTuple merged;
	Datum *values;
	bool *nulls;

	if (op != 'U' && op != 'R')
		return;
	if (apply->table->decisions[apply->number++] != UPG_IMAGE_MERGE)
		return;
	oldcxt = MemoryContextSwitchTo(apply->cxt);
	upg_image_read(op, entry, &image);
	now = upg_fetch_row(apply->rel, lfirst(apply->target));
	apply->target = lnext(apply->table->targets, apply->target);
	if (now == NULL)
		elog(ERROR, "row to merge with is gone from table %s", apply->table->name);
	values = palloc(sizeof(Datum) * desc->natts);
	nulls = palloc(sizeof(bool) * desc->natts);
	heap_deform_tuple(now, desc, values, nulls);
	for (int i = 0; i < image.nwritten; i++)
	{
		int at = image.written[i].attnum - 1;

		if (upg_value_hash(values[at], nulls[at], TupleDescAttr(desc, at)) ==
			image.written[i].hash)
			values[at] = heap_getattr(&image.row, at + 1, desc, &nulls[at]);
	}
	for (int at = bms_next_member(apply->returned, -1); at >= 0;
		 at = bms_next_member(apply->returned, at))
		values[at - 1] = heap_getattr(&image.row, at, desc, &nulls[at - 1]);
	merged = heap_form_tuple(desc, values, nulls);
	/* values that lie outside go with the row that they belong to */
	if (HeapTupleHasExternal(merged))
		merged = toast_flatten_tuple(merged, desc);
	simple_heap_delete(apply->rel, &now->t_self);
	upg_writer_insert(apply->writer, merged, true);
	MemoryContextSwitchTo(oldcxt);
	MemoryContextReset(apply->cxt);
}

/*
 * upg_merge_apply_same
 *		Write the rows that are of both; the catalogs are back by now.
 */
void
upg_merge_apply_same(UpgMerge *merge, UpgMergeTable *table)
{
	SameApply apply = {0};

	if (table->targets == NIL)
		return;
	apply.table = table;
	apply.rel = table_open(table->relation, NoLock);
	apply.writer = upg_writer_begin(apply.rel);
	apply.returned = upg_returned_columns(merge->log, table->relation);
	apply.target = list_head(table->targets);
	apply.cxt = AllocSetContextCreate(CurrentMemoryContext, "upg merge row",
									  ALLOCSET_DEFAULT_SIZES);
	upg_chunks_read("undo_chunks", merge->log->id, table->relation, merge_entry, &apply);
	upg_writer_end(apply.writer, true);
	MemoryContextDelete(apply.cxt);
	table_close(apply.rel, NoLock);
}
