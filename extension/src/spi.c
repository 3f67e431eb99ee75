/*-------------------------------------------------------------------------
 *
 * spi.c
 *		Access to the books: saved plans, run as the owner of schema upg.
 *
 * A migration's statements run with the caller's rights; what upg writes about
 * them does not.  Between upg_books_open() and upg_books_close() the current
 * user is the owner of schema upg and search_path is pg_catalog, pg_temp.
 * Nothing that a user wrote may be executed in between: the tables have no
 * triggers, defaults or constraints but our own.
 *
 * An error leaves without closing.  That is safe: the abort of the (sub)
 * transaction restores user and settings and releases the SPI connection.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/spi.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "compat.h"
#include "errors.h"
#include "spi.h"

static void prepare(UpgQuery *query);

/*
 * upg_books_owner
 *		The role that owns schema upg.
 */
Oid
upg_books_owner(void)
{
	Oid nspid = get_namespace_oid("upg", true);
	HeapTuple tup;
	Oid owner;

	if (!OidIsValid(nspid))
		ereport(
			ERROR,
			(errcode(ERRCODE_UPG_LEDGER_DAMAGED), errmsg("schema \"upg\" does not exist"),
			 errdetail("The books of the extension are gone."),
			 errhint("Restore the schema from a backup, or DROP EXTENSION upg and create "
					 "it anew.")));

	tup = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(nspid));
	if (!HeapTupleIsValid(tup))
		elog(ERROR, "cache lookup failed for namespace %u", nspid);
	owner = ((Form_pg_namespace) GETSTRUCT(tup))->nspowner;
	ReleaseSysCache(tup);

	return owner;
}

/*
 * upg_books_open
 *		Connect to SPI as the owner of the books.
 *
 * Pairs nest.  Results of queries live until upg_books_close(); copy out with
 * SPI_palloc() or into a context of the caller's what must live longer.
 */
void
upg_books_open(UpgBooks *books)
{
	Oid owner = upg_books_owner();

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");

	/* Between the statements of a worker there may be none. */
	books->snapshot = !ActiveSnapshotSet();
	if (books->snapshot)
		PushActiveSnapshot(GetTransactionSnapshot());

	GetUserIdAndSecContext(&books->user, &books->sec_context);
	books->guc_level = NewGUCNestLevel();
	SetUserIdAndSecContext(owner, books->sec_context | SECURITY_LOCAL_USERID_CHANGE);
	RestrictSearchPath();
}

/*
 * upg_books_close
 *		Back to the user and settings of before.
 */
void
upg_books_close(UpgBooks *books)
{
	AtEOXact_GUC(false, books->guc_level);
	SetUserIdAndSecContext(books->user, books->sec_context);
	if (books->snapshot)
		PopActiveSnapshot();
	SPI_finish();
}

/*
 * upg_query
 *		Run a query on the books; the result is in SPI_tuptable/SPI_processed.
 *
 * Uses the transaction's snapshot rules (a fresh one per query under READ
 * COMMITTED).  Raises an internal error when the result is not as declared.
 */
void
upg_query(UpgQuery *query, const Datum *values, const char *nulls)
{
	int rc;

	prepare(query);
	rc = SPI_execute_plan(query->plan, (Datum *) values, nulls, false, 0);
	if (rc != query->expected)
		elog(ERROR, "unexpected result %s of a query on the books",
			 SPI_result_code_string(rc));
}

/*
 * upg_query_latest
 *		As upg_query(), with a snapshot of this moment at every isolation level.
 *
 * For reads that decide what to do: under REPEATABLE READ the transaction's
 * own snapshot may not show yet what another upgrade has committed.
 */
void
upg_query_latest(UpgQuery *query, const Datum *values, const char *nulls)
{
	int rc;
	Snapshot snapshot;

	prepare(query);
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	rc = SPI_execute_snapshot(query->plan, (Datum *) values, nulls, snapshot,
							  InvalidSnapshot, true, false, 0);
	UnregisterSnapshot(snapshot);
	if (rc != query->expected)
		elog(ERROR, "unexpected result %s of a query on the books",
			 SPI_result_code_string(rc));
}

/*
 * upg_query_text
 *		The first column of the first row of a query, asked as of this moment, in the
 *		caller's memory; NULL without a row.  Opens and closes the books.
 */
char *
upg_query_text(UpgQuery *query, const Datum *values)
{
	List *names = upg_query_names(query, values);

	return names != NIL ? linitial(names) : NULL;
}

/*
 * upg_query_names
 *		As upg_query_text(), of all rows.
 */
List *
upg_query_names(UpgQuery *query, const Datum *values)
{
	MemoryContext caller = CurrentMemoryContext;
	List *names = NIL;
	UpgBooks books;

	upg_books_open(&books);
	upg_query_latest(query, values, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(caller);

		names = lappend(names, upg_result_text(i, 1));
		MemoryContextSwitchTo(old);
	}
	upg_books_close(&books);

	return names;
}

/*
 * prepare
 *		Make the plan of a query, once per backend.
 */
static void
prepare(UpgQuery *query)
{
	SPIPlanPtr plan;

	if (query->plan != NULL)
		return;

	plan = SPI_prepare(query->sql, query->nargs, query->argtypes);
	if (plan == NULL)
		elog(ERROR, "could not prepare a query on the books: %s",
			 SPI_result_code_string(SPI_result));
	if (SPI_keepplan(plan) != 0)
		elog(ERROR, "could not keep the plan of a query on the books");
	query->plan = plan;
}

/*
 * upg_result_text
 *		A column of the current result as text, palloc'd; NULL if it is null.
 */
char *
upg_result_text(uint64 row, int column)
{
	return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
}

/*
 * upg_result_datum
 *		A column of the current result; pass by reference points into it.
 */
Datum
upg_result_datum(uint64 row, int column, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, isnull);
}

/*
 * upg_text_array
 *		A list of strings as text[].
 */
Datum
upg_text_array(List *texts)
{
	Datum *elements = palloc(sizeof(Datum) * Max(list_length(texts), 1));
	ListCell *lc;
	int n = 0;

	foreach (lc, texts)
		elements[n++] = CStringGetTextDatum(lfirst(lc));
	return PointerGetDatum(
		construct_array(elements, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/*
 * upg_bytea
 *		Some bytes as bytea.
 */
Datum
upg_bytea(const void *data, Size size)
{
	bytea *result = palloc(VARHDRSZ + size);

	SET_VARSIZE(result, VARHDRSZ + size);
	memcpy(VARDATA(result), data, size);
	return PointerGetDatum(result);
}
