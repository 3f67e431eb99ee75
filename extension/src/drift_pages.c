/*-------------------------------------------------------------------------
 *
 * drift_pages.c
 *		Looking for drift page by page: only what was written since the last look
 *		is read again.
 *
 * What is recorded of a page of a catalog is, object by object, number and sum
 * of its rows (drift_scan.c).  Every write to a page moves its LSN forward, so a
 * page whose LSN is not past that of the last look is as it was then.  A look
 * leaves behind where it began in the WAL, the file and length of each catalog,
 * and the pages that must be looked at again whatever their LSN: those that
 * differ from the record, and those with rows of transactions that were open.  A
 * catalog with another file (VACUUM FULL) is looked at as a whole, and the pages
 * that a shorter one has lost are taken for empty ones.
 *
 * A page that is all-visible now, in a page of the visibility map that was not
 * written since the last look, has not been written either: whoever writes clears
 * the bit, and setting it again would have moved the LSN of the map.
 *
 * Rows of the record and of the catalogs are read with the same snapshot, and a
 * migration adds to the record what it wrote, in its own transaction: so both
 * sides of the comparison show the same transactions.  The record is only added
 * to, so migrations at the same time do not wait for each other; who holds the
 * lock on the table meanwhile sums up what has come together for a page.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/drift_pages.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/visibilitymap.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "catalog/catalog.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/pg_lsn.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "drift_internal.h"
#include "page_row.h"
#include "tables.h"

PG_FUNCTION_INFO_V1(upg_drift_stamps);
PG_FUNCTION_INFO_V1(upg_drift_take_stamps);

/* Columns of upg.schema_pages. */
enum
{
	PAGE_CATALOG = 1,
	PAGE_BLOCK,
	PAGE_OBJECTS,
	PAGE_NATTS = PAGE_OBJECTS
};

/* Columns of upg.schema_looks. */
enum
{
	LOOK_LSN = 1,
	LOOK_FILES,
	LOOK_PAGES,
	LOOK_NATTS = LOOK_PAGES
};

static const Oid pages_types[] = {OIDOID, INT8OID, BYTEAOID};
static const UpgTable pages_table = {"schema_pages", PAGE_NATTS, pages_types};
static const Oid looks_types[] = {PG_LSNOID, INT8ARRAYOID, INT8ARRAYOID};
static const UpgTable looks_table = {"schema_looks", LOOK_NATTS, looks_types};

/* So many rows of the record for one page are made one. */
#define ROWS_OF_A_PAGE 8

/* One page in an array of bigint: catalog and block. */
#define PAGE_NUMBER(catalog, block) (((int64) (catalog) << 32) | (block))

/* File and length of a catalog; in the array, catalog and file, then the length. */
typedef struct CatalogFile
{
	Oid catalog;
	Oid number;
	BlockNumber blocks;
} CatalogFile;

/* An object on a page as it is stored. */
typedef struct StoredSum
{
	uint32 anchor;
	int32 rows;
	int64 sum;
} StoredSum;

/* Numbers of pages, sorted once they are complete. */
typedef struct PageList
{
	int64 *pages;
	int n;
	int max;
} PageList;

struct UpgLook
{
	XLogRecPtr lsn;       /* of this look */
	List *files;          /* of CatalogFile: how it found them */
	PageList open;        /* pages that somebody is writing */
	PageList again;       /* these, and those that differ */
	UpgStamps *differing; /* what is there, less what is recorded */
};

/* The state of a look while it is made. */
typedef struct Looking
{
	UpgLook *look;
	UpgLook *last; /* NULL: everything is looked at */
	Snapshot snapshot;
	Relation record;
	Relation place; /* its index */
	MemoryContext page;
} Looking;

static int
compare_pages(const void *a, const void *b)
{
	int64 x = *(const int64 *) a;
	int64 y = *(const int64 *) b;

	return x < y ? -1 : x > y ? 1 : 0;
}

static void
list_page(PageList *list, int64 page)
{
	if (list->n == list->max)
	{
		list->max = Max(64, 2 * list->max);
		list->pages = list->pages == NULL
						  ? palloc(list->max * sizeof(int64))
						  : repalloc(list->pages, list->max * sizeof(int64));
	}
	list->pages[list->n++] = page;
}

static bool
has_page(const PageList *list, int64 page)
{
	return list->n > 0 &&
		   bsearch(&page, list->pages, list->n, sizeof(int64), compare_pages) != NULL;
}

static CatalogFile *
file_of(const UpgLook *look, Oid catalog)
{
	ListCell *lc;

	foreach (lc, look->files)
	{
		CatalogFile *file = lfirst(lc);

		if (file->catalog == catalog)
			return file;
	}
	return NULL;
}

static int64 *
read_array(Datum value, int *n)
{
	ArrayType *array = DatumGetArrayTypePCopy(value);

	*n = ARR_NDIM(array) == 0 ? 0 : ARR_DIMS(array)[0];
	return (int64 *) ARR_DATA_PTR(array);
}

static Datum
make_array(const int64 *values, int n)
{
	Datum *elems = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		elems[i] = Int64GetDatum(values[i]);
	return PointerGetDatum(construct_array(elems, n, INT8OID, sizeof(int64),
										   FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/*
 * last_look
 *		The latest look that was recorded; NULL if there is none that can be
 *		relied upon.
 */
static UpgLook *
last_look(Snapshot snapshot, XLogRecPtr now)
{
	Relation rel = upg_table_open(&looks_table, AccessShareLock);
	TupleDesc desc = RelationGetDescr(rel);
	TableScanDesc scan = table_beginscan(rel, snapshot, 0, NULL);
	UpgLook *last = NULL;
	HeapTuple tuple;

	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		bool isnull;
		XLogRecPtr lsn = DatumGetLSN(heap_getattr(tuple, LOOK_LSN, desc, &isnull));
		int64 *files;
		int n;

		/* the WAL of pg_resetwal may begin anew */
		if ((last != NULL && lsn <= last->lsn) || lsn > now)
			continue;
		if (last == NULL)
			last = palloc0(sizeof(UpgLook));
		last->lsn = lsn;
		last->again.pages =
			read_array(heap_getattr(tuple, LOOK_PAGES, desc, &isnull), &last->again.n);
		files = read_array(heap_getattr(tuple, LOOK_FILES, desc, &isnull), &n);
		last->files = NIL;
		for (int i = 0; i + 1 < n; i += 2)
		{
			CatalogFile *file = palloc(sizeof(CatalogFile));

			file->catalog = (Oid) ((uint64) files[i] >> 32);
			file->number = (Oid) files[i];
			file->blocks = (BlockNumber) files[i + 1];
			last->files = lappend(last->files, file);
		}
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	return last;
}

/* Add what a row of the record says, or take it away. */
static void
add_stored(UpgStamps *stamps, Oid catalog, BlockNumber block, const char *data, Size size,
		   int sign)
{
	for (Size at = 0; at + sizeof(StoredSum) <= size; at += sizeof(StoredSum))
	{
		StoredSum stored;

		memcpy(&stored, data + at, sizeof(stored));
		upg_stamps_sum(stamps, catalog, block, stored.anchor, sign * stored.rows,
					   sign * stored.sum);
	}
}

/*
 * scan_record
 *		Begin to read what is recorded of a page, or of all pages from one on.
 */
static SysScanDesc
scan_record(Relation record, Relation place, Snapshot snapshot, Oid catalog,
			BlockNumber block, bool from)
{
	ScanKeyData keys[2];

	ScanKeyInit(&keys[0], PAGE_CATALOG, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(catalog));
	ScanKeyInit(&keys[1], PAGE_BLOCK,
				from ? BTGreaterEqualStrategyNumber : BTEqualStrategyNumber,
				from ? F_INT8GE : F_INT8EQ, Int64GetDatum((int64) block));
	return systable_beginscan(record, RelationGetRelid(place), true, snapshot, 2, keys);
}

static void
take_recorded(Looking *at, Oid catalog, BlockNumber block, bool from)
{
	TupleDesc desc = RelationGetDescr(at->record);
	SysScanDesc scan =
		scan_record(at->record, at->place, at->snapshot, catalog, block, from);
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool isnull;
		int64 which = DatumGetInt64(heap_getattr(tuple, PAGE_BLOCK, desc, &isnull));
		bytea *stored = DatumGetByteaPP(heap_getattr(tuple, PAGE_OBJECTS, desc, &isnull));

		add_stored(at->look->differing, catalog, (BlockNumber) which, VARDATA_ANY(stored),
				   VARSIZE_ANY_EXHDR(stored), -1);
	}
	systable_endscan(scan);
}

/* Is this the xid of somebody whose transaction the snapshot does not show? */
static bool
is_open(TransactionId xid, Snapshot snapshot)
{
	return TransactionIdIsNormal(xid) && !TransactionIdPrecedes(xid, snapshot->xmin) &&
		   !TransactionIdIsCurrentTransactionId(xid) && XidInMVCCSnapshot(xid, snapshot);
}

static bool
has_open_writer(HeapTupleHeader header, Snapshot snapshot)
{
	if (!HeapTupleHeaderXminInvalid(header) && !HeapTupleHeaderXminFrozen(header) &&
		is_open(HeapTupleHeaderGetRawXmin(header), snapshot))
		return true;
	return !(header->t_infomask & HEAP_XMAX_INVALID) &&
		   !HEAP_XMAX_IS_LOCKED_ONLY(header->t_infomask) &&
		   is_open(HeapTupleHeaderGetUpdateXid(header), snapshot);
}

/*
 * look_at_page
 *		Count the rows of a page, unless nobody has written it since the last
 *		look.
 */
static void
look_at_page(Looking *at, Relation rel, BlockNumber block, XLogRecPtr since)
{
	UpgLook *look = at->look;
	Oid catalog = RelationGetRelid(rel);
	Buffer buffer = ReadBuffer(rel, block);
	bool open = false;
	List *rows = NIL;
	ListCell *lc;
	MemoryContext oldcxt;
	Page page;

	/* who writes holds the lock until the LSN is set */
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	page = BufferGetPage(buffer);
	if (since != InvalidXLogRecPtr && PageGetLSN(page) <= since)
	{
		UnlockReleaseBuffer(buffer);
		return;
	}
	oldcxt = MemoryContextSwitchTo(at->page);
	if (!PageIsNew(page))
	{
		OffsetNumber max = PageGetMaxOffsetNumber(page);

		for (OffsetNumber off = FirstOffsetNumber; off <= max; off++)
		{
			HeapTupleData tuple;

			if (!upg_page_row(page, block, off, catalog, &tuple))
				continue;
			open = open || has_open_writer(tuple.t_data, at->snapshot);
			if (HeapTupleSatisfiesVisibility(&tuple, at->snapshot, buffer))
				rows = lappend(rows, heap_copytuple(&tuple));
		}
	}
	UnlockReleaseBuffer(buffer);
	MemoryContextSwitchTo(oldcxt);

	/* this reads catalogs */
	foreach (lc, rows)
		upg_stamps_add(look->differing, rel, lfirst(lc), 1);
	take_recorded(at, catalog, block, false);
	MemoryContextReset(at->page);
	if (open)
		list_page(&look->open, PAGE_NUMBER(catalog, block));
}

/*
 * read_map
 *		A copy of the page of the visibility map that tells of a block, if
 *		nobody has written it since the last look; NULL otherwise.
 */
static char *
read_map(Relation rel, BlockNumber block, Buffer *vmbuffer, XLogRecPtr since, char *copy)
{
	bool unchanged;

	(void) visibilitymap_get_status(rel, block, vmbuffer);
	if (!BufferIsValid(*vmbuffer))
		return NULL;
	LockBuffer(*vmbuffer, BUFFER_LOCK_SHARE);
	unchanged = PageGetLSN(BufferGetPage(*vmbuffer)) <= since;
	if (unchanged)
		memcpy(copy, BufferGetPage(*vmbuffer), BLCKSZ);
	LockBuffer(*vmbuffer, BUFFER_LOCK_UNLOCK);
	return unchanged ? copy : NULL;
}

static void
look_at_catalog(Looking *at, Oid catalog)
{
	/* two bits a block, the lower one of which is "all visible" */
	const BlockNumber per_map = (BLCKSZ - MAXALIGN(SizeOfPageHeaderData)) * 4;
	Relation rel = table_open(catalog, AccessShareLock);
	CatalogFile *file = palloc(sizeof(CatalogFile));
	CatalogFile *last = at->last != NULL ? file_of(at->last, catalog) : NULL;
	XLogRecPtr since = InvalidXLogRecPtr;
	Buffer vmbuffer = InvalidBuffer;
	PGAlignedBlock copy;
	char *map = NULL;

	file->catalog = catalog;
	file->number = UPG_LOCATOR_NUMBER(UPG_REL_LOCATOR(rel));
	file->blocks = RelationGetNumberOfBlocks(rel);
	at->look->files = lappend(at->look->files, file);
	if (last != NULL && last->number == file->number)
		since = at->last->lsn;

	for (BlockNumber block = 0; block < file->blocks; block++)
	{
		bool again =
			at->last != NULL && has_page(&at->last->again, PAGE_NUMBER(catalog, block));

		CHECK_FOR_INTERRUPTS();
		if (since != InvalidXLogRecPtr && block % per_map == 0)
			map = read_map(rel, block, &vmbuffer, since, copy.data);
		if (map != NULL && !again)
		{
			BlockNumber within = block % per_map;
			uint8 bits = (uint8) PageGetContents(map)[within / 4];

			if (bits & (VISIBILITYMAP_ALL_VISIBLE << (within % 4 * 2)))
				continue;
		}
		look_at_page(at, rel, block, again ? InvalidXLogRecPtr : since);
	}
	if (BufferIsValid(vmbuffer))
		ReleaseBuffer(vmbuffer);

	/* pages that are gone */
	if (at->last == NULL || since == InvalidXLogRecPtr || file->blocks < last->blocks)
		take_recorded(at, catalog, file->blocks, true);
	else
		for (int i = 0; i < at->last->again.n; i++)
		{
			int64 number = at->last->again.pages[i];

			if ((Oid) ((uint64) number >> 32) == catalog &&
				(BlockNumber) number >= file->blocks)
				take_recorded(at, catalog, (BlockNumber) number, false);
		}
	table_close(rel, AccessShareLock);
}

/* Sort a list, and leave each page in it but once. */
static void
sort_pages(PageList *list)
{
	int n = 0;

	if (list->n == 0)
		return;
	qsort(list->pages, list->n, sizeof(int64), compare_pages);
	for (int i = 0; i < list->n; i++)
	{
		if (n == 0 || list->pages[n - 1] != list->pages[i])
			list->pages[n++] = list->pages[i];
	}
	list->n = n;
}

/*
 * upg_look
 *		What differs from the record, by page and object, and what the next look
 *		may pass over.
 *
 * In the caller's memory context.
 */
UpgLook *
upg_look(void)
{
	UpgLook *look = palloc0(sizeof(UpgLook));
	HASH_SEQ_STATUS status;
	UpgPageSum *sum;
	Looking at = {0};
	ListCell *lc;

	at.look = look;
	/* before the snapshot: what is written from here on has a later one */
	look->lsn = RecoveryInProgress() ? GetXLogReplayRecPtr(NULL) : GetXLogInsertRecPtr();
	at.snapshot = RegisterSnapshot(GetLatestSnapshot());
	at.last = last_look(at.snapshot, look->lsn);
	at.record = upg_table_open(&pages_table, AccessShareLock);
	at.place = index_open(upg_relation_oid("schema_pages_place", false), AccessShareLock);
	at.page = AllocSetContextCreate(CurrentMemoryContext, "upg look page",
									ALLOCSET_DEFAULT_SIZES);
	look->differing = upg_stamps_create();
	foreach (lc, upg_stamp_catalogs())
		look_at_catalog(&at, lfirst_oid(lc));
	MemoryContextDelete(at.page);
	index_close(at.place, AccessShareLock);
	table_close(at.record, AccessShareLock);
	UnregisterSnapshot(at.snapshot);

	hash_seq_init(&status, look->differing->by_page);
	while ((sum = hash_seq_search(&status)) != NULL)
	{
		if (sum->rows == 0 && sum->sum == 0)
			(void) hash_search(look->differing->by_page, &sum->place, HASH_REMOVE, NULL);
		else
			list_page(&look->again, PAGE_NUMBER(sum->place.catalog, sum->place.block));
	}
	for (int i = 0; i < look->open.n; i++)
		list_page(&look->again, look->open.pages[i]);
	sort_pages(&look->again);
	sort_pages(&look->open);
	return look;
}

/*
 * upg_look_objects
 *		The objects that differ, of which rows and sums are not zero over all
 *		pages; NIL if there are none.  A list of UpgStamp.
 */
List *
upg_look_objects(UpgStamps *stamps)
{
	HASHCTL ctl = {.keysize = sizeof(Oid),
				   .entrysize = sizeof(UpgStamp),
				   .hcxt = CurrentMemoryContext};
	HTAB *objects;
	HASH_SEQ_STATUS status;
	UpgPageSum *sum;
	UpgStamp *stamp;
	List *list = NIL;

	if (hash_get_num_entries(stamps->by_page) == 0)
		return NIL;
	objects = hash_create("upg objects", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	hash_seq_init(&status, stamps->by_page);
	while ((sum = hash_seq_search(&status)) != NULL)
	{
		bool found;

		stamp = hash_search(objects, &sum->place.anchor, HASH_ENTER, &found);
		if (!found)
			stamp->rows = stamp->sum = 0;
		stamp->rows += sum->rows;
		stamp->sum += sum->sum;
	}
	hash_seq_init(&status, objects);
	while ((stamp = hash_seq_search(&status)) != NULL)
	{
		if (stamp->rows != 0 || stamp->sum != 0)
			list = lappend(list, stamp);
	}
	return list;
}

static int
compare_sums(const void *a, const void *b)
{
	const UpgPageSum *x = *(UpgPageSum *const *) a;
	const UpgPageSum *y = *(UpgPageSum *const *) b;

	if (x->place.catalog != y->place.catalog)
		return x->place.catalog < y->place.catalog ? -1 : 1;
	if (x->place.block != y->place.block)
		return x->place.block < y->place.block ? -1 : 1;
	return x->place.anchor < y->place.anchor ? -1 : x->place.anchor > y->place.anchor;
}

static void
append_sum(StringInfo objects, Oid anchor, int64 rows, int64 sum)
{
	StoredSum stored = {anchor, (int32) rows, sum};

	if (rows != 0 || sum != 0)
		appendBinaryStringInfo(objects, (char *) &stored, sizeof(stored));
}

/*
 * collect
 *		If there are many rows of the record for a page, remove them, and add
 *		what they say to what is to be recorded.
 *
 * Only under the lock that keeps others from doing the same.
 */
static void
collect(Relation record, Relation place, Oid catalog, BlockNumber block,
		StringInfo objects)
{
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	SysScanDesc scan = scan_record(record, place, snapshot, catalog, block, false);
	UpgStamps *sums;
	HASH_SEQ_STATUS status;
	UpgPageSum *sum;
	List *rows = NIL;
	ListCell *lc;
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		rows = lappend(rows, heap_copytuple(tuple));
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	if (list_length(rows) < ROWS_OF_A_PAGE)
		return;

	sums = upg_stamps_create();
	add_stored(sums, catalog, block, objects->data + VARHDRSZ, objects->len - VARHDRSZ,
			   1);
	foreach (lc, rows)
	{
		bool isnull;
		bytea *stored;

		tuple = lfirst(lc);
		stored = DatumGetByteaPP(
			heap_getattr(tuple, PAGE_OBJECTS, RelationGetDescr(record), &isnull));
		add_stored(sums, catalog, block, VARDATA_ANY(stored), VARSIZE_ANY_EXHDR(stored),
				   1);
		simple_heap_delete(record, &tuple->t_self);
	}
	objects->len = VARHDRSZ;
	hash_seq_init(&status, sums->by_page);
	while ((sum = hash_seq_search(&status)) != NULL)
		append_sum(objects, sum->place.anchor, sum->rows, sum->sum);
}

/*
 * upg_pages_add
 *		Add to what is recorded of pages.
 */
void
upg_pages_add(UpgStamps *stamps)
{
	Relation record = upg_table_open(&pages_table, RowExclusiveLock);
	Relation place =
		index_open(upg_relation_oid("schema_pages_place", false), RowExclusiveLock);
	bool alone = ConditionalLockRelation(record, ShareUpdateExclusiveLock);
	int n = hash_get_num_entries(stamps->by_page);
	UpgPageSum **sums = palloc(sizeof(UpgPageSum *) * Max(n, 1));
	StringInfoData objects;
	HASH_SEQ_STATUS status;
	UpgPageSum *sum;
	int i = 0;

	hash_seq_init(&status, stamps->by_page);
	while ((sum = hash_seq_search(&status)) != NULL)
		sums[i++] = sum;
	qsort(sums, n, sizeof(UpgPageSum *), compare_sums);

	initStringInfo(&objects);
	for (int first = 0, next; first < n; first = next)
	{
		const UpgPagePlace *page = &sums[first]->place;
		bool nulls[PAGE_NATTS] = {false};
		Datum values[PAGE_NATTS];

		resetStringInfo(&objects);
		appendStringInfoSpaces(&objects, VARHDRSZ);
		for (next = first; next < n && sums[next]->place.catalog == page->catalog &&
						   sums[next]->place.block == page->block;
			 next++)
			append_sum(&objects, sums[next]->place.anchor, sums[next]->rows,
					   sums[next]->sum);
		if (alone)
			collect(record, place, page->catalog, page->block, &objects);
		if (objects.len == VARHDRSZ)
			continue;
		SET_VARSIZE(objects.data, objects.len);
		values[PAGE_CATALOG - 1] = ObjectIdGetDatum(page->catalog);
		values[PAGE_BLOCK - 1] = Int64GetDatum((int64) page->block);
		values[PAGE_OBJECTS - 1] = PointerGetDatum(objects.data);
		upg_table_insert(record, values, nulls);
	}
	index_close(place, NoLock);
	table_close(record, NoLock);
}

/*
 * upg_look_store
 *		Leave behind how far a look came, for the next one.  "taken": what it
 *		found to differ is recorded.
 */
void
upg_look_store(const UpgLook *look, bool taken)
{
	const PageList *again = taken ? &look->open : &look->again;
	Relation rel = upg_table_open(&looks_table, RowExclusiveLock);
	bool nulls[LOOK_NATTS] = {false};
	Datum values[LOOK_NATTS];
	int64 *files = palloc(sizeof(int64) * 2 * list_length(look->files));
	ListCell *lc;
	int n = 0;

	/* earlier ones tell nothing any more; one of many at a time removes them */
	if (ConditionalLockRelation(rel, ShareUpdateExclusiveLock))
	{
		Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
		TableScanDesc scan = table_beginscan(rel, snapshot, 0, NULL);
		HeapTuple tuple;

		while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
		{
			bool isnull;

			if (DatumGetLSN(heap_getattr(tuple, LOOK_LSN, RelationGetDescr(rel),
										 &isnull)) <= look->lsn)
				simple_heap_delete(rel, &tuple->t_self);
		}
		table_endscan(scan);
		UnregisterSnapshot(snapshot);
	}
	foreach (lc, look->files)
	{
		CatalogFile *file = lfirst(lc);

		files[n++] = PAGE_NUMBER(file->catalog, file->number);
		files[n++] = file->blocks;
	}
	values[LOOK_LSN - 1] = LSNGetDatum(look->lsn);
	values[LOOK_FILES - 1] = make_array(files, n);
	values[LOOK_PAGES - 1] = make_array(again->pages, again->n);
	upg_table_insert(rel, values, nulls);
	table_close(rel, NoLock);
}

/*
 * upg_look_differing
 *		What a look found to differ from the record.
 */
UpgStamps *
upg_look_differing(UpgLook *look)
{
	return look->differing;
}

/*
 * upg_drift_stamps
 *		Objects with other rows of catalogs than recorded: how many more, and the
 *		difference of their sums.
 */
Datum
upg_drift_stamps(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell *lc;

	InitMaterializedSRF(fcinfo, 0);
	foreach (lc, upg_look_objects(upg_look()->differing))
	{
		UpgStamp *stamp = lfirst(lc);
		Datum values[3] = {ObjectIdGetDatum(stamp->anchor), Int64GetDatum(stamp->rows),
						   Int64GetDatum(stamp->sum)};
		bool nulls[3] = {false, false, false};

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * upg_drift_take_stamps
 *		Record the rows of catalogs that some objects have now; NULL: of all.
 */
Datum
upg_drift_take_stamps(PG_FUNCTION_ARGS)
{
	UpgLook *look = upg_look();

	bool all = PG_ARGISNULL(0);

	if (!all)
	{
		ArrayType *array = PG_GETARG_ARRAYTYPE_P(0);
		Oid *anchors = (Oid *) ARR_DATA_PTR(array);
		int n = ARR_NDIM(array) == 0 ? 0 : ARR_DIMS(array)[0];
		HASH_SEQ_STATUS status;
		UpgPageSum *sum;

		hash_seq_init(&status, look->differing->by_page);
		while ((sum = hash_seq_search(&status)) != NULL)
		{
			bool found = false;

			for (int i = 0; i < n && !found; i++)
				found = anchors[i] == sum->place.anchor;
			if (!found)
				(void) hash_search(look->differing->by_page, &sum->place, HASH_REMOVE,
								   NULL);
		}
	}
	upg_pages_add(look->differing);
	upg_look_store(look, all);
	PG_RETURN_VOID();
}
