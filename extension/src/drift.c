/*-------------------------------------------------------------------------
 *
 * drift.c
 *		Drift around a migration: look for it before, record what the migration
 *		left after.
 *
 * What is recorded is brought up to date with what the migration itself wrote:
 * the rows of catalogs that carry its xid.  So what somebody else changes at
 * the same time is not taken for the migration's, and the cost is that of what
 * it touched, not of the schema.  A statement that commits inside has no xid of
 * its own; there everything that changed while it ran is taken for it.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/drift.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/catversion.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "audit.h"
#include "drift.h"
#include "drift_internal.h"
#include "errors.h"
#include "spi.h"
#include "tables.h"
#include "undo.h"

PG_FUNCTION_INFO_V1(upg_drift_record);
PG_FUNCTION_INFO_V1(upg_drift_forget);

/* Columns of upg.schema_record that tell where it was made. */
enum
{
	RECORD_SYSTEM = 4,
	RECORD_DATABASE,
	RECORD_VERSION,
	RECORD_NATTS = RECORD_VERSION
};

static const Oid record_types[] = {BOOLOID, TIMESTAMPTZOID, TEXTOID,
								   INT8OID, OIDOID,         INT4OID};
static const UpgTable record_table = {"schema_record", RECORD_NATTS, record_types};

struct UpgDrift
{
	UpgOwnRows own;
	UpgLook *look;
	char *live;    /* objects that have drifted, as they were before: jsonb text */
	char *drifted; /* OIDs of their anchors: oid[] text */
};

/*
 * upg_drift_mode_parse
 *		The policy by name, or -1.
 */
int
upg_drift_mode_parse(const char *name)
{
	if (strcmp(name, "off") == 0)
		return UPG_DRIFT_OFF;
	if (strcmp(name, "warn") == 0)
		return UPG_DRIFT_WARN;
	if (strcmp(name, "refuse") == 0)
		return UPG_DRIFT_REFUSE;
	return -1;
}

/* Is the state of the schema recorded, in this very database? */
static bool
is_recorded(void)
{
	Relation rel = upg_table_open(&record_table, AccessShareLock);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan = table_beginscan(rel, snapshot, 0, NULL);
	HeapTuple tuple = heap_getnext(scan, ForwardScanDirection);
	bool found = false;

	if (HeapTupleIsValid(tuple))
	{
		TupleDesc desc = RelationGetDescr(rel);
		bool isnull;

		found = DatumGetInt64(heap_getattr(tuple, RECORD_SYSTEM, desc, &isnull)) ==
					(int64) GetSystemIdentifier() &&
				DatumGetObjectId(heap_getattr(tuple, RECORD_DATABASE, desc, &isnull)) ==
					MyDatabaseId &&
				DatumGetInt32(heap_getattr(tuple, RECORD_VERSION, desc, &isnull)) ==
					CATALOG_VERSION_NO;
	}
	table_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(rel, AccessShareLock);
	return found;
}

/*
 * complain
 *		Say, as the policy wants it, what others have changed.
 */
static void
complain(UpgDriftMode mode, int count, const char *words, UpgResult *result)
{
	if (mode == UPG_DRIFT_REFUSE)
		ereport(ERROR,
				(errcode(ERRCODE_UPG_DRIFT),
				 errmsg_plural("the schema has drifted: %d object is not as the last "
							   "migration left it",
							   "the schema has drifted: %d objects are not as the last "
							   "migration left them",
							   count, count),
				 errdetail("%s", words),
				 errhint("upg_drift_script() writes the statements that restore what was "
						 "recorded, or a migration of what was changed; "
						 "upg_drift_record() accepts the schema as it is.")));
	upg_result_warn(
		result, psprintf("the schema has drifted since the last migration: %s", words));
}

/*
 * look
 *		What has drifted already; the number of objects, named in *words.
 */
static int
look(UpgDrift *drift, MemoryContext context, char **words)
{
	static UpgQuery check = {
		"SELECT objects, words, drifted, live FROM upg.drift_check(10)", SPI_OK_SELECT,
		0};
	UpgBooks books;
	MemoryContext oldcxt = MemoryContextSwitchTo(context);
	int count;

	drift->look = upg_look();
	count = list_length(upg_look_objects(upg_look_differing(drift->look)));
	MemoryContextSwitchTo(oldcxt);
	if (count == 0)
		return 0;

	upg_books_open(&books);
	upg_query(&check, NULL, NULL);
	count = atoi(upg_result_text(0, 1));
	if (count > 0)
	{
		*words = MemoryContextStrdup(context, upg_result_text(0, 2));
		drift->drifted = MemoryContextStrdup(context, upg_result_text(0, 3));
		drift->live = MemoryContextStrdup(context, upg_result_text(0, 4));
	}
	upg_books_close(&books);
	return count;
}

/*
 * upg_drift_look
 *		Before a step of a migration, in a transaction of its own; NULL if
 *		nothing is to be recorded after it.
 */
UpgDrift *
upg_drift_look(MemoryContext context)
{
	UpgDrift *drift;
	char *words;

	if (!is_recorded())
		return NULL;
	drift = MemoryContextAllocZero(context, sizeof(UpgDrift));
	(void) look(drift, context, &words);
	return drift;
}

/*
 * upg_drift_start
 *		From here on, rows of this transaction or subtransaction are the
 *		migration's.
 */
void
upg_drift_start(UpgDrift *drift)
{
	if (drift == NULL)
		return;
	drift->own.first = GetCurrentTransactionId();
	drift->own.lsn = GetXLogInsertRecPtr();
}

/*
 * upg_drift_begin
 *		Before a migration or a rollback: warn of drift, or refuse it.
 *
 * NULL if nothing is to be recorded after it.  A record that is there is kept
 * up to date whatever the policy.
 */
UpgDrift *
upg_drift_begin(UpgDriftMode mode, UpgResult *result)
{
	static UpgQuery record = {"SELECT upg.drift_record()", SPI_OK_SELECT, 0};
	UpgDrift *drift;
	UpgBooks books;
	char *words;
	int count = 0;

	if (!is_recorded())
	{
		if (mode == UPG_DRIFT_OFF)
			return NULL;
		/* the first one to be asked for: what is there now is what was left */
		upg_books_open(&books);
		upg_query(&record, NULL, NULL);
		upg_books_close(&books);
	}
	drift = MemoryContextAllocZero(TopTransactionContext, sizeof(UpgDrift));
	count = look(drift, TopTransactionContext, &words);
	if (count > 0 && mode != UPG_DRIFT_OFF)
		complain(mode, count, words, result);
	upg_drift_start(drift);
	return drift;
}

/* Call back for a row of a catalog that is ours, or that we removed. */
typedef struct Touched
{
	UpgStamps *stamps;
	Relation rel;
} Touched;

static void
touch(HeapTuple tuple, bool deleted, void *arg)
{
	Touched *touched = arg;

	upg_stamps_add(touched->stamps, touched->rel, tuple, deleted ? -1 : 1);
}

/*
 * upg_drift_finish
 *		After a migration or a rollback: record what it has left.
 *
 * In the same subtransaction as the begin.
 */
void
upg_drift_finish(UpgDrift *drift)
{
	static UpgQuery note = {"SELECT upg.drift_take_objects($1, $2::oid[], $3::jsonb)",
							SPI_OK_SELECT,
							3,
							{OIDARRAYOID, TEXTOID, TEXTOID}};
	Touched touched;
	ListCell *lc;
	List *objects;

	if (drift == NULL)
		return;
	CommandCounterIncrement();
	touched.stamps = upg_stamps_create();
	foreach (lc, upg_stamp_catalogs())
	{
		touched.rel = table_open(lfirst_oid(lc), AccessShareLock);
		upg_harvest(touched.rel, &drift->own, touch, &touched);
		table_close(touched.rel, AccessShareLock);
	}
	objects = upg_look_objects(touched.stamps);
	if (objects != NIL)
	{
		Datum *anchors = palloc(sizeof(Datum) * list_length(objects));
		Datum values[3];
		UpgBooks books;
		int n = 0;

		foreach (lc, objects)
			anchors[n++] = ObjectIdGetDatum(((UpgStamp *) lfirst(lc))->anchor);
		values[0] = PointerGetDatum(
			construct_array(anchors, n, OIDOID, sizeof(Oid), true, TYPALIGN_INT));
		values[1] = CStringGetTextDatum(drift->drifted ? drift->drifted : "{}");
		values[2] = CStringGetTextDatum(drift->live ? drift->live : "{}");
		upg_books_open(&books);
		upg_query(&note, values, NULL);
		upg_books_close(&books);
	}
	upg_pages_add(touched.stamps);
	upg_look_store(drift->look, false);
}

/*
 * upg_drift_before_commits
 *		Before a statement that commits inside: what differs from the record
 *		already, as text for upg_drift_after_commits(); NULL if there is none.
 */
char *
upg_drift_before_commits(MemoryContext context)
{
	static UpgQuery query = {"SELECT upg.drift_differing()::text", SPI_OK_SELECT, 0};
	UpgBooks books;
	char *before;

	if (!is_recorded())
		return NULL;
	upg_books_open(&books);
	upg_query(&query, NULL, NULL);
	before = MemoryContextStrdup(context, upg_result_text(0, 1));
	upg_books_close(&books);
	return before;
}

/*
 * upg_drift_after_commits
 *		After it: what has come to differ is its work.
 */
void
upg_drift_after_commits(const char *before)
{
	static UpgQuery query = {
		"SELECT upg.drift_take($1::jsonb)", SPI_OK_SELECT, 1, {TEXTOID}};
	Datum value = CStringGetTextDatum(before ? before : "{}");
	UpgBooks books;

	if (!is_recorded())
		return;
	upg_books_open(&books);
	upg_query(&query, &value, NULL);
	upg_books_close(&books);
}

/*
 * upg_drift_record
 *		Accept the schema as it is.
 */
Datum
upg_drift_record(PG_FUNCTION_ARGS)
{
	static UpgQuery query = {"SELECT upg.drift_record()", SPI_OK_SELECT, 0};
	UpgBooks books;
	int64 objects;
	bool isnull;

	upg_require_writable("upg_drift_record()");
	upg_books_open(&books);
	upg_query(&query, NULL, NULL);
	objects = DatumGetInt64(upg_result_datum(0, 1, &isnull));
	upg_books_close(&books);
	upg_audit_add("schema.recorded", NULL, NULL, NULL);
	PG_RETURN_INT64(objects);
}

/*
 * upg_drift_forget
 *		Give up the record of the schema; nothing is looked for from here on
 *		unless the policy asks for it.
 */
Datum
upg_drift_forget(PG_FUNCTION_ARGS)
{
	static UpgQuery query = {"SELECT upg.drift_forget()", SPI_OK_SELECT, 0};
	UpgBooks books;

	upg_require_writable("upg_drift_forget()");
	upg_books_open(&books);
	upg_query(&query, NULL, NULL);
	upg_books_close(&books);
	upg_audit_add("schema.forgotten", NULL, NULL, NULL);
	PG_RETURN_VOID();
}
