/*-------------------------------------------------------------------------
 *
 * touched.c
 *		Which relations a migration touches.
 *
 * Before it runs, the footprint of its script tells, as far as the script can
 * be read.  After it has run, the locks tell that this backend holds: whatever
 * changed a relation, by a trigger or in a function, has locked it.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/touched.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "footprint.h"
#include "source.h"
#include "spi.h"
#include "verify.h"

#define USER_RELATION                             \
	" n.nspname !~ '^pg_' AND n.nspname <> 'upg'" \
	" AND n.nspname <> 'information_schema'"      \
	" AND c.relkind IN ('r', 'p', 'm')"           \
	" AND (c.relpersistence <> 't'"               \
	" OR c.relnamespace = pg_catalog.pg_my_temp_schema())"

/* Run a query whose one column is an OID. */
static List *
oids_of(UpgQuery *query, const Datum *values)
{
	MemoryContext caller = CurrentMemoryContext;
	List *oids = NIL;
	UpgBooks books;

	upg_books_open(&books);
	upg_query(query, values, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool isnull;
		Oid oid = DatumGetObjectId(upg_result_datum(i, 1, &isnull));
		MemoryContext old = MemoryContextSwitchTo(caller);

		oids = lappend_oid(oids, oid);
		MemoryContextSwitchTo(old);
	}
	upg_books_close(&books);
	return oids;
}

/*
 * upg_touched_by_keys
 *		The relations of a footprint that exist; *unknown is set if the script
 *		may touch others, and then all are given.
 */
List *
upg_touched_by_keys(List *keys, bool *unknown)
{
	static UpgQuery query = {
		"SELECT DISTINCT c.oid FROM pg_catalog.pg_class c"
		" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
		" WHERE (pg_catalog.format('relation:%I.%I', n.nspname, c.relname) = ANY ($1)"
		" OR 'schema:' || n.nspname = ANY ($1)) AND" USER_RELATION " ORDER BY 1",
		SPI_OK_SELECT,
		1,
		{TEXTARRAYOID}};
	Datum *items = palloc(sizeof(Datum) * Max(list_length(keys), 1));
	Datum value;
	ListCell *lc;
	int n = 0;

	*unknown = false;
	foreach (lc, keys)
	{
		UpgKey *key = lfirst(lc);

		if (strcmp(key->object, "database") == 0 && key->mode == ExclusiveLock)
			*unknown = true;
		/* a shared lock on a schema says that something in it is touched, not all */
		if (strncmp(key->object, "schema:", 7) == 0 && key->mode != ExclusiveLock)
			continue;
		items[n++] = CStringGetTextDatum(key->object);
	}
	if (*unknown)
		return upg_user_tables();
	value = PointerGetDatum(construct_array(items, n, TEXTOID, -1, false, TYPALIGN_INT));
	return oids_of(&query, &value);
}

/*
 * upg_touched_by_locks
 *		The relations that this transaction has changed, or may have.
 */
List *
upg_touched_by_locks(void)
{
	static UpgQuery query = {
		"SELECT DISTINCT c.oid FROM pg_catalog.pg_locks l"
		" JOIN pg_catalog.pg_class c ON c.oid = l.relation"
		" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
		" WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation'"
		" AND l.granted AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d"
		" WHERE d.datname = pg_catalog.current_database())"
		" AND l.mode NOT IN ('AccessShareLock', 'RowShareLock') AND" USER_RELATION
		" ORDER BY 1",
		SPI_OK_SELECT,
		0,
		{0}};

	return oids_of(&query, NULL);
}

/*
 * upg_user_tables
 *		All tables but those of the system and of upg.
 */
List *
upg_user_tables(void)
{
	static UpgQuery query = {
		"SELECT c.oid FROM pg_catalog.pg_class c"
		" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE" USER_RELATION
		" ORDER BY 1",
		SPI_OK_SELECT,
		0,
		{0}};

	return oids_of(&query, NULL);
}
