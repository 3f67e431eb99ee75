/*-------------------------------------------------------------------------
 *
 * dependencies.c
 *		What the books say about the order of migrations: which one requires
 *		which, and which came after which.
 *
 * All of it decides what to do, so it is read as of this moment (ledger.c).
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/dependencies.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "ledger.h"

/*
 * upg_ledger_missing_requirements
 *		Those of some names that are not applied.
 */
List *
upg_ledger_missing_requirements(List *requires)
{
	/* CASE keeps the order: only for what the index does not find are all rows read. */
	static UpgQuery query = {
		"SELECT r.name FROM pg_catalog.unnest($1) WITH ORDINALITY AS r(name, ord)"
		" WHERE CASE WHEN EXISTS (SELECT FROM upg.migrations m WHERE m.name = r.name"
		" AND m.state = 'applied') THEN false ELSE NOT EXISTS ("
		"SELECT FROM upg.migrations m WHERE m.state = 'applied'"
		" AND m.options->'replaces' ? r.name) END ORDER BY r.ord",
		SPI_OK_SELECT,
		1,
		{TEXTARRAYOID}};
	Datum value;

	if (requires == NIL)
		return NIL;
	value = upg_text_array(requires);
	return upg_query_names(&query, &value);
}

/*
 * upg_ledger_check_requirements
 *		Look for a requirement that the books do not know, and for a cycle.
 *
 * Sets *unknown to a name and *cycle to the cycle in words, or both to NULL.
 */
void
upg_ledger_check_requirements(const char *name, List *requires, char **unknown,
							  char **cycle)
{
	static UpgQuery unknown_query = {
		"SELECT r FROM pg_catalog.unnest($2) AS r WHERE CASE WHEN r = $1"
		" OR EXISTS (SELECT FROM upg.migrations m WHERE m.name = r) THEN false ELSE"
		" NOT EXISTS (SELECT FROM upg.migrations m WHERE m.options->'replaces' ? r) END"
		" LIMIT 1",
		SPI_OK_SELECT,
		2,
		{TEXTOID, TEXTARRAYOID}};

	/* UNION, not UNION ALL: a name is followed once, however many ways lead to it. */
	static UpgQuery cycle_query = {
		"WITH RECURSIVE reach(name, via) AS ("
		" SELECT r, NULL::pg_catalog.text FROM pg_catalog.unnest($2) AS r"
		" UNION SELECT q, reach.name FROM reach JOIN upg.migrations m ON m.name = "
		"reach.name"
		" CROSS JOIN pg_catalog.unnest(m.requires) AS q WHERE reach.name <> $1)"
		" SELECT name, via FROM reach",
		SPI_OK_SELECT,
		2,
		{TEXTOID, TEXTARRAYOID}};
	MemoryContext caller = CurrentMemoryContext;
	Datum values[2] = {CStringGetTextDatum(name), upg_text_array(requires)};
	UpgBooks books;
	StringInfoData words;
	const char *at = name;
	bool closed = false;

	*unknown = NULL;
	*cycle = NULL;
	upg_books_open(&books);
	upg_query_latest(&unknown_query, values, NULL);
	if (SPI_processed > 0)
	{
		MemoryContext old = MemoryContextSwitchTo(caller);

		*unknown = upg_result_text(0, 1);
		MemoryContextSwitchTo(old);
	}

	/* Walk back from the name itself to a requirement that led there. */
	upg_query_latest(&cycle_query, values, NULL);
	initStringInfo(&words);
	appendStringInfo(&words, "\"%s\"", name);
	for (uint64 hops = 0; hops <= SPI_processed && !closed; hops++)
	{
		bool found = false;

		for (uint64 row = 0; row < SPI_processed && !found; row++)
		{
			char *via;

			if (strcmp(upg_result_text(row, 1), at) != 0)
				continue;
			found = true;
			via = upg_result_text(row, 2);
			closed = via == NULL;
			at = closed ? name : via;
		}
		if (!found)
			break;
		{
			StringInfoData longer;

			initStringInfo(&longer);
			appendStringInfo(&longer, "\"%s\" requires %s", at, words.data);
			words = longer;
		}
	}
	if (closed)
		*cycle = MemoryContextStrdup(caller, psprintf("%s.", words.data));
	upg_books_close(&books);
}

/*
 * upg_ledger_dependents
 *		Applied migrations that require this one, latest first.
 */
List *
upg_ledger_dependents(const char *name)
{
	static UpgQuery query = {"SELECT name FROM upg.migrations"
							 " WHERE (requires @> ARRAY[$1] OR requires && ARRAY("
							 "SELECT pg_catalog.jsonb_array_elements_text("
							 "r.options->'replaces') FROM upg.migrations r"
							 " WHERE r.name = $1 AND r.options ? 'replaces'))"
							 " AND state NOT IN ('registered', 'rolled_back', 'failed',"
							 " 'replaced') ORDER BY applied_order DESC NULLS FIRST",
							 SPI_OK_SELECT,
							 1,
							 {TEXTOID}};
	Datum value = CStringGetTextDatum(name);

	return upg_query_names(&query, &value);
}

/*
 * upg_ledger_later
 *		An applied migration that sorts after this place, or NULL.
 */
char *
upg_ledger_later(const char *order_key, const char *name)
{
	static UpgQuery query = {
		"SELECT name FROM upg.migrations WHERE state = 'applied' AND order_key > $1"
		" AND name <> $2 ORDER BY order_key DESC LIMIT 1",
		SPI_OK_SELECT,
		2,
		{TEXTOID, TEXTOID}};
	Datum values[2] = {CStringGetTextDatum(order_key), CStringGetTextDatum(name)};

	return upg_query_text(&query, values);
}

/*
 * upg_ledger_applied_after
 *		Names of the migrations applied after a point, latest first.
 *
 * What stopped half-way after it comes first: it is what was done last, and it
 * stands on those below it.
 */
List *
upg_ledger_applied_after(int64 applied_order)
{
	static UpgQuery query = {
		"SELECT name FROM upg.migrations m WHERE state = 'applied' AND applied_order > $1"
		" OR state IN ('partial', 'unknown') AND ($1 = 0 OR EXISTS"
		" (SELECT FROM upg.migrations p JOIN upg.attempts a"
		" ON a.finished_at > p.applied_at"
		" WHERE p.applied_order = $1 AND a.migration = m.name))"
		" ORDER BY state = 'applied', applied_order DESC, migration_id DESC",
		SPI_OK_SELECT,
		1,
		{INT8OID}};
	Datum value = Int64GetDatum(applied_order);

	return upg_query_names(&query, &value);
}

/*
 * upg_name_in
 *		Is a name in a list?
 */
bool
upg_name_in(List *names, const char *name)
{
	ListCell *lc;

	foreach (lc, names)
	{
		if (strcmp(lfirst(lc), name) == 0)
			return true;
	}
	return false;
}
