/*-------------------------------------------------------------------------
 *
 * capture_data.c
 *		Pre-images of rows of user tables.
 *
 * A table that kept its file is read through its relcache entry.  Of a table
 * that was dropped, truncated or rewritten the file from before is read: it
 * still holds, with their headers, the rows that were changed before it was
 * let go.  Its description is put together from the catalog rows of before,
 * and values outside of a row are fetched from the kept file of its TOAST
 * table.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/capture_data.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/heapam.h"
#include "access/heaptoast.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/tupdesc_details.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlogutils.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "capture_internal.h"
#include "page_row.h"

typedef struct DataCollector
{
	UpgUndoLog *log;
	UpgChunkWriter *writer;
	UpgRowNotes *notes; /* of a table that keeps its file */
	UpgRelationRows *rows;
	TupleDesc desc;
	AttrMissing *defaults; /* what rows without a column have there, of "ndefaults" */
	int ndefaults;         /* columns up to the last one with such a default */
	List *outside;         /* pre-images with values outside, kept files only */
	MemoryContext cxt;
	MemoryContext longcxt;
} DataCollector;

/* One chunk of a value that was stored outside of its row. */
typedef struct ToastPiece
{
	Oid valueid;
	int32 seq;
	struct varlena *data;
} ToastPiece;

typedef struct ToastCollector
{
	List *wanted; /* OIDs of values */
	List *pieces; /* of ToastPiece */
	TupleDesc desc;
	MemoryContext cxt;
} ToastCollector;

/*
 * row_again
 *		Form a stored row of other values, with the header of the row that it was.
 *
 * heap_form_tuple() makes a composite value, which servers since 15.20 mark as one:
 * left there, the mark has xmin and the rest be read as the type of the value.
 */
static HeapTuple
row_again(HeapTuple row, TupleDesc desc, Datum *values, bool *nulls)
{
	HeapTuple result = heap_form_tuple(desc, values, nulls);

	result->t_data->t_choice.t_heap = row->t_data->t_choice.t_heap;
	result->t_data->t_ctid = row->t_data->t_ctid;
	result->t_data->t_infomask &= ~HEAP_XACT_MASK;
	result->t_data->t_infomask |= row->t_data->t_infomask & HEAP_XACT_MASK;
	return result;
}

/*
 * rebuild
 *		Form the row again with all values inside; "fetch" gives them.
 */
static HeapTuple
rebuild(HeapTuple row, TupleDesc desc, struct varlena *(*fetch)(struct varlena *, void *),
		void *arg)
{
	TupleDesc own = upg_image_desc(desc, HeapTupleHeaderGetNatts(row->t_data));
	Datum *values = palloc(sizeof(Datum) * Max(own->natts, 1));
	bool *nulls = palloc(sizeof(bool) * Max(own->natts, 1));

	heap_deform_tuple(row, own, values, nulls);
	for (int i = 0; i < own->natts; i++)
	{
		if (nulls[i] || TupleDescAttr(own, i)->attlen != -1 ||
			!VARATT_IS_EXTERNAL(DatumGetPointer(values[i])))
			continue;
		values[i] =
			PointerGetDatum(fetch((struct varlena *) DatumGetPointer(values[i]), arg));
	}
	return row_again(row, own, values, nulls);
}

/*
 * note_defaults
 *		What rows lack that are older than a column, as it was before.
 *
 * The description of today does not know it of a column that was dropped since,
 * nor may the image have columns that came since.
 */
static void
note_defaults(DataCollector *collector, UpgUndoLog *log, Form_pg_class before)
{
	TupleConstr *constr = collector->desc->constr;
	ListCell *lc;

	collector->defaults = palloc0(sizeof(AttrMissing) * (before->relnatts + 1));
	for (int i = 0; constr && constr->missing && i < before->relnatts; i++)
		collector->defaults[i] = constr->missing[i];
	foreach (lc, upg_change_list(log->catalogs, AttributeRelationId))
	{
		HeapTuple row = ((UpgChange *) lfirst(lc))->before;
		Form_pg_attribute att;
		AttrMissing *missing;

		if (row == NULL)
			continue;
		att = (Form_pg_attribute) GETSTRUCT(row);
		if (att->attrelid != before->oid || att->attnum <= 0)
			continue;
		missing = &collector->defaults[att->attnum - 1];
		missing->am_present = upg_missing_value(row, &missing->am_value);
	}
	for (int i = 0; i < before->relnatts; i++)
		if (collector->defaults[i].am_present)
			collector->ndefaults = i + 1;
}

/*
 * with_defaults
 *		Form the row again with the defaults of columns that it lacks, and a note
 *		of how many columns it had.
 *
 * Not by heap_expand_tuple(): it leaves room behind the last value, which does no
 * harm to a row that is only read, but is taken for values once the row has been
 * stored and is expanded again.
 */
static HeapTuple
with_defaults(HeapTuple row, DataCollector *collector)
{
	TupleDesc desc = upg_image_desc(collector->desc, collector->ndefaults);
	Datum *values = palloc(sizeof(Datum) * desc->natts);
	bool *nulls = palloc(sizeof(bool) * desc->natts);
	int natts = HeapTupleHeaderGetNatts(row->t_data);
	HeapTuple result;

	heap_deform_tuple(row, desc, values, nulls);
	for (int i = natts; i < desc->natts; i++)
	{
		values[i] = collector->defaults[i].am_value;
		nulls[i] = !collector->defaults[i].am_present;
	}
	result = row_again(row, desc, values, nulls);
	upg_note_short(result, natts);
	return result;
}

static struct varlena *
fetch_live(struct varlena *pointer, void *arg)
{
	return detoast_external_attr(pointer);
}

static int
compare_pieces(const ListCell *a, const ListCell *b)
{
	const ToastPiece *pa = lfirst(a);
	const ToastPiece *pb = lfirst(b);

	if (pa->valueid != pb->valueid)
		return pa->valueid < pb->valueid ? -1 : 1;
	return pa->seq < pb->seq ? -1 : pa->seq > pb->seq;
}

/* Put a value together from the pieces of a kept TOAST file. */
static struct varlena *
fetch_kept(struct varlena *pointer, void *arg)
{
	ToastCollector *toast = arg;
	struct varatt_external external;
	struct varlena *result;
	Size size;
	Size have = 0;
	ListCell *lc;

	if (!VARATT_IS_EXTERNAL_ONDISK(pointer))
		return detoast_external_attr(pointer);
	VARATT_EXTERNAL_GET_POINTER(external, pointer);
	size = VARATT_EXTERNAL_GET_EXTSIZE(external);
	result = palloc(size + VARHDRSZ);
	if (VARATT_EXTERNAL_IS_COMPRESSED(external))
		SET_VARSIZE_COMPRESSED(result, size + VARHDRSZ);
	else
		SET_VARSIZE(result, size + VARHDRSZ);
	foreach (lc, toast->pieces)
	{
		ToastPiece *piece = lfirst(lc);
		Size length;

		if (piece->valueid != external.va_valueid)
			continue;
		length = VARSIZE_ANY_EXHDR(piece->data);
		if (have + length > size)
			elog(ERROR, "toasted value %u is too long", external.va_valueid);
		memcpy(VARDATA(result) + have, VARDATA_ANY(piece->data), length);
		have += length;
	}
	if (have != size)
		elog(ERROR, "toasted value %u is incomplete", external.va_valueid);
	return result;
}

static void
collect_data(HeapTuple row, bool deleted, void *arg)
{
	DataCollector *collector = arg;
	MemoryContext oldcxt;

	if (!deleted)
	{
		collector->rows->inserted++;
		if (collector->notes)
			upg_notes_inserted(collector->notes, row);
		return;
	}
	collector->rows->deleted++;
	if (collector->notes)
	{
		HeapTuple whole = row;

		oldcxt = MemoryContextSwitchTo(collector->cxt);
		/* a rewrite by others forgets the defaults of columns that it lacks */
		if (HeapTupleHeaderGetNatts(row->t_data) < collector->ndefaults)
			whole = with_defaults(row, collector);
		if (HeapTupleHasExternal(whole))
			whole = rebuild(whole, collector->desc, fetch_live, NULL);
		upg_notes_deleted(collector->notes, row, whole);
		MemoryContextSwitchTo(oldcxt);
		MemoryContextReset(collector->cxt);
		return;
	}
	if (HeapTupleHasExternal(row))
	{
		oldcxt = MemoryContextSwitchTo(collector->longcxt);
		collector->outside = lappend(collector->outside, heap_copytuple(row));
		MemoryContextSwitchTo(oldcxt);
		return;
	}
	upg_chunks_add(collector->writer, InvalidOid, 'R', row->t_data, row->t_len);
}

/*
 * upg_old_desc
 *		Physical description of a relation's rows as it was before.
 */
TupleDesc
upg_old_desc(UpgUndoLog *log, Form_pg_class form)
{
	TupleDesc desc = CreateTemplateTupleDesc(form->relnatts);
	bool *done = palloc0(sizeof(bool) * (form->relnatts + 1));
	ListCell *lc;

	foreach (lc, upg_change_list(log->catalogs, AttributeRelationId))
	{
		UpgChange *change = lfirst(lc);
		Form_pg_attribute att;

		if (change->before == NULL)
			continue;
		att = (Form_pg_attribute) GETSTRUCT(change->before);
		if (att->attrelid != form->oid || att->attnum <= 0)
			continue;
		memcpy(TupleDescAttr(desc, att->attnum - 1), att, ATTRIBUTE_FIXED_PART_SIZE);
		done[att->attnum] = true;
	}
	for (int i = 1; i <= form->relnatts; i++)
	{
		HeapTuple tuple;

		if (done[i])
			continue;
		tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(form->oid), Int16GetDatum(i));
		if (!HeapTupleIsValid(tuple))
			elog(ERROR, "column %d of relation %u is not known", i, form->oid);
		memcpy(TupleDescAttr(desc, i - 1), GETSTRUCT(tuple), ATTRIBUTE_FIXED_PART_SIZE);
		ReleaseSysCache(tuple);
	}
	for (int i = 0; i < form->relnatts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		upg_forget_offset(att);
		att->atthasmissing = false;
		att->atthasdef = false;
		upg_populate_compact(desc, i);
	}
	return desc;
}

/* A relcache entry good enough to read the pages of a kept file. */
static Relation
open_kept(UpgKeptFile *file)
{
	Relation rel = CreateFakeRelcacheEntry(file->locator);

	/* page LSNs say nothing in an unlogged file, or at the lowest WAL level */
	rel->rd_rel->relpersistence =
		XLogIsNeeded() ? file->persistence : RELPERSISTENCE_UNLOGGED;
	rel->rd_id = file->relation;
	/* a kind with a file but no access method: its size is asked of the file */
	rel->rd_rel->relkind = RELKIND_SEQUENCE;
	return rel;
}

static void
collect_toast(HeapTuple row, ToastCollector *toast)
{
	bool isnull;
	Oid valueid = DatumGetObjectId(heap_getattr(row, 1, toast->desc, &isnull));
	ToastPiece *piece;
	MemoryContext oldcxt;

	if (!list_member_oid(toast->wanted, valueid))
		return;
	oldcxt = MemoryContextSwitchTo(toast->cxt);
	piece = palloc(sizeof(ToastPiece));
	piece->valueid = valueid;
	piece->seq = DatumGetInt32(heap_getattr(row, 2, toast->desc, &isnull));
	piece->data =
		(struct varlena *) DatumGetPointer(heap_getattr(row, 3, toast->desc, &isnull));
	{
		Size size = VARSIZE_ANY(piece->data);
		struct varlena *copy = palloc(size);

		memcpy(copy, piece->data, size);
		piece->data = copy;
	}
	toast->pieces = lappend(toast->pieces, piece);
	MemoryContextSwitchTo(oldcxt);
}

/* Read all pieces of the wanted values from a kept TOAST file. */
static void
scan_kept_toast(UpgKeptFile *file, ToastCollector *toast)
{
	Relation rel = open_kept(file);
	BlockNumber nblocks = RelationGetNumberOfBlocks(rel);

	for (BlockNumber block = 0; block < nblocks; block++)
	{
		Buffer buffer = ReadBufferExtended(rel, MAIN_FORKNUM, block, RBM_NORMAL, NULL);
		Page page;
		OffsetNumber max;

		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		page = BufferGetPage(buffer);
		max = PageIsNew(page) ? 0 : PageGetMaxOffsetNumber(page);
		for (OffsetNumber off = FirstOffsetNumber; off <= max; off++)
		{
			HeapTupleData row;

			if (!upg_page_row(page, block, off, file->relation, &row))
				continue;
			if (HeapTupleHeaderXminInvalid(row.t_data))
				continue;
			collect_toast(&row, toast);
		}
		UnlockReleaseBuffer(buffer);
	}
	FreeFakeRelcacheEntry(rel);
	list_sort(toast->pieces, compare_pieces);
}

/* The pre-images of a kept file that have values outside. */
static void
write_outside(DataCollector *collector)
{
	ToastCollector toast = {0};
	List *toastrels = NIL;
	ListCell *lc;

	toast.cxt = collector->longcxt;
	toast.desc = CreateTemplateTupleDesc(3);
	TupleDescInitEntry(toast.desc, 1, "chunk_id", OIDOID, -1, 0);
	TupleDescInitEntry(toast.desc, 2, "chunk_seq", INT4OID, -1, 0);
	TupleDescInitEntry(toast.desc, 3, "chunk_data", BYTEAOID, -1, 0);

	foreach (lc, collector->outside)
	{
		HeapTuple row = lfirst(lc);
		TupleDesc own =
			upg_image_desc(collector->desc, HeapTupleHeaderGetNatts(row->t_data));
		Datum *values = palloc(sizeof(Datum) * own->natts);
		bool *nulls = palloc(sizeof(bool) * own->natts);

		heap_deform_tuple(row, own, values, nulls);
		for (int i = 0; i < own->natts; i++)
		{
			struct varatt_external external;

			if (nulls[i] || TupleDescAttr(own, i)->attlen != -1 ||
				!VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(values[i])))
				continue;
			VARATT_EXTERNAL_GET_POINTER(external, DatumGetPointer(values[i]));
			toast.wanted = list_append_unique_oid(toast.wanted, external.va_valueid);
			toastrels = list_append_unique_oid(toastrels, external.va_toastrelid);
		}
	}
	foreach (lc, toastrels)
	{
		UpgKeptFile *file = upg_keep_find(collector->log->files, lfirst_oid(lc));

		if (file == NULL)
			elog(ERROR, "the TOAST file of relation %u was not kept",
				 collector->rows->relation);
		scan_kept_toast(file, &toast);
	}
	foreach (lc, collector->outside)
	{
		HeapTuple row = rebuild(lfirst(lc), collector->desc, fetch_kept, &toast);

		upg_chunks_add(collector->writer, InvalidOid, 'R', row->t_data, row->t_len);
	}
}

/* Rows of a table as this transaction sees them now. */
static int64
count_rows(Relation rel)
{
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = table_beginscan(rel, snapshot, 0, NULL);
	int64 count = 0;

	while (heap_getnext(scan, ForwardScanDirection) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		count++;
	}
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	return count;
}

static char *
qualified_name(Oid nsp, const char *relname)
{
	char *nspname = get_namespace_name(nsp);

	return quote_qualified_identifier(nspname ? nspname : "?", relname);
}

/* Tables that were there before and lose or get a column. */
static List *
tables_with_changed_columns(UpgUndoLog *log)
{
	List *result = NIL;
	ListCell *lc;

	foreach (lc, upg_change_list(log->catalogs, AttributeRelationId))
	{
		UpgChange *change = lfirst(lc);
		Form_pg_attribute after;

		if (change->after == NULL)
			continue;
		after = (Form_pg_attribute) GETSTRUCT(change->after);
		if (after->attnum > 0 && after->attrelid >= FirstNormalObjectId &&
			(change->before == NULL ||
			 (!((Form_pg_attribute) GETSTRUCT(change->before))->attisdropped &&
			  after->attisdropped)))
			result = list_append_unique_oid(result, after->attrelid);
	}
	return result;
}

static List *
conversions_of(List *conversions, Oid relation)
{
	List *result = NIL;
	ListCell *lc;

	foreach (lc, conversions)
	{
		UpgConversion *conversion = lfirst(lc);

		if (conversion->relation == relation)
			result = list_append_unique_int(result, conversion->attnum);
	}
	return result;
}

/* Is this the heap, or another name for it? */
static bool
stored_as_heap(Oid method)
{
	HeapTuple tuple;
	bool heap;

	if (method == HEAP_TABLE_AM_OID)
		return true;
	tuple = SearchSysCache1(AMOID, ObjectIdGetDatum(method));
	if (!HeapTupleIsValid(tuple))
		return false;
	heap = ((Form_pg_am) GETSTRUCT(tuple))->amhandler == F_HEAP_TABLEAM_HANDLER;
	ReleaseSysCache(tuple);
	return heap;
}

/*
 * upg_capture_data
 *		Write the pre-images of all tables in "touched" and of all whose file
 *		was let go; fills log->relations and returns the digest.
 */
uint64
upg_capture_data(UpgUndoLog *log, const UpgOwnRows *own, List *touched, List *truncated,
				 List *conversions, int64 *rows, List **differences)
{
	uint64 digest = 0;
	List *tables = list_copy(touched);
	ListCell *lc;
	List *changed;
	Oid upgnsp = get_namespace_oid("upg", true);

	foreach (lc, log->files)
	{
		UpgKeptFile *file = lfirst(lc);

		if (file->kind == RELKIND_RELATION || file->kind == RELKIND_MATVIEW)
			tables = list_append_unique_oid(tables, file->relation);
	}

	/* columns that went or came: a rollback has to know who wrote to them */
	changed = tables_with_changed_columns(log);
	tables = list_concat_unique_oid(tables, changed);
	/* they come in the order of a hash table of locks */
	list_sort(tables, list_oid_cmp);

	foreach (lc, tables)
	{
		Oid relid = lfirst_oid(lc);
		UpgChange *change = upg_class_change(log, relid);
		UpgKeptFile *file = upg_keep_find(log->files, relid);
		bool written = list_member_oid(touched, relid);
		DataCollector collector = {0};
		UpgRelationRows *entry;
		Form_pg_class form;
		HeapTuple current = NULL;
		Relation rel = NULL;

		if (relid < FirstNormalObjectId)
			continue;
		if (change && change->before == NULL)
			continue; /* created: goes away as a whole */
		current = SearchSysCacheCopy1(RELOID, ObjectIdGetDatum(relid));
		if (change)
			form = (Form_pg_class) GETSTRUCT(change->before);
		else if (HeapTupleIsValid(current))
			form = (Form_pg_class) GETSTRUCT(current);
		else
			continue; /* came and went */
		if ((form->relkind != RELKIND_RELATION && form->relkind != RELKIND_MATVIEW) ||
			form->relpersistence == RELPERSISTENCE_TEMP || form->relnamespace == upgnsp)
			continue;
		if (!stored_as_heap(form->relam))
		{
			*differences = lappend(
				*differences,
				psprintf("rows of table %s cannot be captured: it does not use the "
						 "access method \"heap\"",
						 qualified_name(form->relnamespace, NameStr(form->relname))));
			continue;
		}

		entry = palloc0(sizeof(UpgRelationRows));
		entry->relation = relid;
		entry->name = qualified_name(form->relnamespace, NameStr(form->relname));
		entry->filenumber = form->relfilenode;
		entry->switched = file != NULL;
		entry->rows_after = -1;
		collector.log = log;
		collector.rows = entry;
		collector.longcxt = CurrentMemoryContext;
		collector.cxt = AllocSetContextCreate(CurrentMemoryContext, "upg row",
											  ALLOCSET_DEFAULT_SIZES);
		if (file == NULL)
		{
			rel = table_open(relid, AccessShareLock);
			collector.desc = RelationGetDescr(rel);
			note_defaults(&collector, log, form);
			collector.writer = upg_chunks_begin("undo_chunks", log->id, relid);
			collector.notes =
				upg_notes_begin(log, own, rel, collector.writer, written, false, NIL);
			if (written)
				upg_harvest(rel, own, collect_data, &collector);
			upg_notes_end(collector.notes);
			table_close(rel, NoLock);
		}
		else
		{
			collector.writer = upg_chunks_begin("undo_chunks", log->id, relid);
			if (written)
			{
				rel = open_kept(file);
				collector.desc = upg_old_desc(log, form);
				upg_harvest(rel, own, collect_data, &collector);
				FreeFakeRelcacheEntry(rel);
				if (collector.outside)
					write_outside(&collector);
			}
			if (HeapTupleIsValid(current) && form->relkind == RELKIND_RELATION)
			{
				/* an untouched rewrite need not be counted: see undo_check.c */
				rel = table_open(relid, AccessShareLock);
				if (written || RelationGetNumberOfBlocks(rel) == 0)
					entry->rows_after = count_rows(rel);
				upg_notes_end(upg_notes_begin(log, own, rel, collector.writer, written,
											  list_member_oid(truncated, relid),
											  conversions_of(conversions, relid)));
				table_close(rel, NoLock);
			}
		}
		if (collector.writer)
			digest += upg_chunks_end(collector.writer);
		MemoryContextDelete(collector.cxt);
		*rows += entry->inserted + entry->deleted;
		log->relations = lappend(log->relations, entry);
	}
	return digest;
}
