/*-------------------------------------------------------------------------
 *
 * undo_down_rights.c
 *		Whose rights a portable down needs.
 *
 * A script that puts rows back must not have triggers and rules of the tables
 * fire, nor foreign keys look at half of the rows.  Whoever owns the tables may
 * switch his triggers and rules off, and rows that are put back in the order of
 * the foreign keys satisfy them.  So the script is first tried that way.  Where
 * it does not work, because keys form a circle or act on rows of other tables,
 * or because an event trigger listens, session_replication_role is set, which
 * takes a superuser.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/undo_down_rights.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "nodes/makefuncs.h"
#include "pgstat.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/regproc.h"

#include "compat.h"
#include "undo_down.h"
#include "upg.h"

/* What the owner of tables and functions may not do, by the object's name. */
static const struct
{
	const char *prefix;
	const char *needs;
} kinds[] = {{"event trigger ", "a superuser"},
			 {"foreign-data wrapper ", "a superuser"},
			 {"operator class ", "a superuser"},
			 {"operator family ", "a superuser"},
			 {"access method ", "a superuser"},
			 {"language ", "a superuser"},
			 {"text search parser ", "a superuser"},
			 {"text search template ", "a superuser"},
			 {"role ", "CREATEROLE"},
			 {"membership ", "CREATEROLE"},
			 {"settings of ", "CREATEROLE, or the owner of the database"},
			 {"extension ", "a role that may make the extension"},
			 {"schema ", "CREATE on the database"}};

/*
 * upg_down_relation
 *		The table as it is called in the script, or InvalidOid.
 */
Oid
upg_down_relation(UpgDownTable *table)
{
	return RangeVarGetRelid(makeRangeVarFromNameList(upg_name_list(table->id)),
							AccessShareLock, true);
}

/* The tables whose rows are compared in the end, or all of a list, as oid[]. */
static Datum
relations_of(List *tables, bool compared)
{
	Datum *oids = palloc(sizeof(Datum) * Max(list_length(tables), 1));
	int n = 0;
	ListCell *lc;

	foreach (lc, tables)
	{
		UpgDownTable *table = lfirst(lc);
		Oid relation = upg_down_relation(table);

		if (OidIsValid(relation) && (!compared || strcmp(table->mode, "check") != 0))
			oids[n++] = ObjectIdGetDatum(relation);
	}
	return PointerGetDatum(
		construct_array(oids, n, OIDOID, sizeof(Oid), true, TYPALIGN_INT));
}

/* The first column of a query's first row, or NULL; an argument of 0 is null. */
static char *
first_value(UpgDownRun *run, const char *sql, int nargs, Oid *types, Datum *values)
{
	char *result = NULL;
	char nulls[8] = "       ";

	Assert(nargs < (int) sizeof(nulls));
	for (int i = 0; i < nargs; i++)
		nulls[i] = values[i] == (Datum) 0 ? 'n' : ' ';
	SPI_connect();
	if (SPI_execute_with_args(sql, nargs, types, values, nulls, false, 1) !=
		SPI_OK_SELECT)
		elog(ERROR, "the rights that a down needs cannot be looked up");
	if (SPI_processed > 0)
	{
		char *value = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);

		result = value ? MemoryContextStrdup(run->cxt, value) : NULL;
	}
	SPI_finish();
	return result;
}

/*
 * upg_down_listeners
 *		Why the whole script needs session_replication_role, or NULL.
 *
 * An event trigger would fire on the script's own DDL, and do what it does.
 */
char *
upg_down_listeners(UpgDownRun *run)
{
	char *name = first_value(run,
							 "SELECT evtname FROM pg_catalog.pg_event_trigger WHERE"
							 " evtenabled OPERATOR(pg_catalog.=) 'O' ORDER BY 1",
							 0, NULL, NULL);
	ListCell *lc;

	if (name != NULL)
		return psprintf("event trigger %s must not fire", quote_identifier(name));
	foreach (lc, run->statements)
	{
		UpgDownStatement *statement = lfirst(lc);

		if (strncmp(statement->image, "event trigger ", strlen("event trigger ")) == 0)
			return psprintf("%s must not fire", statement->image);
	}
	return NULL;
}

/*
 * upg_down_reach
 *		How many rows that nobody compares the foreign keys onto these tables have
 *		acted upon in this transaction: for each key a number, as a text.
 *
 * The server's own counters of the transaction tell.
 */
char *
upg_down_reach(UpgDownRun *run, List *tables)
{
	static const char sql[] =
		"SELECT pg_catalog.jsonb_object_agg("
		"pg_catalog.format('foreign key %I on %I.%I', c.conname, n.nspname, r.relname),"
		" pg_catalog.pg_stat_get_xact_tuples_deleted(r.oid) OPERATOR(pg_catalog.+)"
		" pg_catalog.pg_stat_get_xact_tuples_updated(r.oid))"
		" FROM pg_catalog.pg_constraint c"
		" JOIN pg_catalog.pg_class r ON r.oid OPERATOR(pg_catalog.=) c.conrelid"
		" JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) r.relnamespace"
		" WHERE c.contype OPERATOR(pg_catalog.=) 'f'"
		" AND c.confrelid OPERATOR(pg_catalog.=) ANY ($1)"
		" AND r.relkind OPERATOR(pg_catalog.<>) 'p'"
		" AND (c.confdeltype OPERATOR(pg_catalog.=) ANY ('{c,n,d}') OR"
		" c.confupdtype OPERATOR(pg_catalog.=) ANY ('{c,n,d}'))"
		" AND c.conrelid OPERATOR(pg_catalog.<>) ALL ($2)";
	Oid types[] = {OIDARRAYOID, OIDARRAYOID};
	Datum values[] = {relations_of(tables, false), relations_of(run->tables, true)};

	return first_value(run, sql, lengthof(types), types, values);
}

/*
 * upg_down_reached_out
 *		Has a foreign key acted since?  Then says so, else NULL.
 */
char *
upg_down_reached_out(UpgDownRun *run, List *tables, const char *before)
{
	Oid types[] = {TEXTOID, TEXTOID};
	Datum values[2];
	char *after = upg_down_reach(run, tables);
	char *key;

	if (before == NULL || after == NULL)
		return NULL;
	values[0] = CStringGetTextDatum(before);
	values[1] = CStringGetTextDatum(after);
	/* a server that does not count says nothing, so that is no proof */
	key = first_value(run,
					  pgstat_track_counts
						  ? "SELECT e.key FROM pg_catalog.jsonb_each($1::jsonb) e"
							" WHERE e.value OPERATOR(pg_catalog.<>)"
							" ($2::jsonb OPERATOR(pg_catalog.->) e.key) ORDER BY 1"
						  : "SELECT e.key FROM pg_catalog.jsonb_each($1::jsonb) e"
							" WHERE $2 IS NOT NULL ORDER BY 1",
					  2, types, values);
	return key ? psprintf("%s must not act on rows of another table", key) : NULL;
}

/*
 * upg_down_in_order
 *		Sort tables so that each comes after those that its foreign keys refer to.
 *
 * In a circle any order is as good as another.
 */
List *
upg_down_in_order(List *tables)
{
	static const char sql[] =
		"SELECT DISTINCT c.conrelid, c.confrelid FROM pg_catalog.pg_constraint c"
		" WHERE c.contype OPERATOR(pg_catalog.=) 'f'"
		" AND c.conrelid OPERATOR(pg_catalog.<>) c.confrelid"
		" AND c.conrelid OPERATOR(pg_catalog.=) ANY ($1)"
		" AND c.confrelid OPERATOR(pg_catalog.=) ANY ($1) ORDER BY 1, 2";
	Oid types[] = {OIDARRAYOID};
	Datum values[] = {relations_of(tables, false)};
	int n = list_length(tables);
	bool *refers = palloc0(sizeof(bool) * Max(n * n, 1));
	Oid *oids = palloc(sizeof(Oid) * Max(n, 1));
	bool *placed = palloc0(sizeof(bool) * Max(n, 1));
	List *result = NIL;

	for (int i = 0; i < n; i++)
		oids[i] = upg_down_relation(list_nth(tables, i));
	SPI_connect();
	if (SPI_execute_with_args(sql, 1, types, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "the foreign keys of a down cannot be looked up");
	for (uint64 k = 0; k < SPI_processed; k++)
	{
		bool isnull;
		TupleDesc desc = SPI_tuptable->tupdesc;
		HeapTuple row = SPI_tuptable->vals[k];
		Oid from = DatumGetObjectId(SPI_getbinval(row, desc, 1, &isnull));
		Oid to = DatumGetObjectId(SPI_getbinval(row, desc, 2, &isnull));

		for (int i = 0; i < n; i++)
			for (int j = 0; j < n; j++)
				if (oids[i] == from && oids[j] == to)
					refers[i * n + j] = true;
	}
	SPI_finish();
	while (list_length(result) < n)
	{
		int next = -1;

		/* the first one whose tables are all placed, else the first one */
		for (int i = n - 1; i >= 0; i--)
		{
			bool ready = true;

			if (placed[i])
				continue;
			for (int j = 0; j < n; j++)
				ready &= !refers[i * n + j] || placed[j];
			if (ready)
				next = i;
		}
		for (int i = 0; i < n && next < 0; i++)
			if (!placed[i])
				next = i;
		placed[next] = true;
		result = lappend(result, list_nth(tables, next));
	}
	return result;
}

/* Is there a planned statement with this text in it? */
static bool
is_mentioned(UpgDownRun *run, const char *text)
{
	ListCell *lc;

	foreach (lc, run->statements)
	{
		List *ways = ((UpgDownStatement *) lfirst(lc))->ways;

		if (ways != NIL && strstr(linitial(ways), text) != NULL)
			return true;
	}
	foreach (lc, run->tables)
		if (strcmp(((UpgDownTable *) lfirst(lc))->id, text) == 0)
			return true;
	return false;
}

/*
 * upg_down_unforce
 *		Plan that tables which hide rows from their owner do not while the script
 *		runs: rows that are read, and keys that are validated, must be all of them.
 */
void
upg_down_unforce(UpgDownRun *run)
{
	static const char sql[] =
		"SELECT a.value OPERATOR(pg_catalog.->>) 'image',"
		" a.value OPERATOR(pg_catalog.->>) 'id',"
		" CASE WHEN (b.value OPERATOR(pg_catalog.->>) 'force rls')::boolean"
		" THEN b.value OPERATOR(pg_catalog.->>) 'image' END,"
		" b.value OPERATOR(pg_catalog.->>) 'id'"
		" FROM pg_catalog.jsonb_each($1) a LEFT JOIN pg_catalog.jsonb_each($2) b"
		" ON b.key OPERATOR(pg_catalog.=) a.key"
		" WHERE (a.value OPERATOR(pg_catalog.->>) 'force rls')::boolean ORDER BY 1";
	Oid types[] = {JSONBOID, JSONBOID};
	Datum values[] = {run->now.objects, run->before.objects};
	List *first = NIL;
	MemoryContext oldcxt;

	SPI_connect();
	if (SPI_execute_with_args(sql, 2, types, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "tables with forced row security cannot be looked up");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;
		char *image = SPI_getvalue(row, desc, 1);
		char *id = SPI_getvalue(row, desc, 2);
		char *forced = SPI_getvalue(row, desc, 3);
		char *was = SPI_getvalue(row, desc, 4);
		char *again = psprintf("ALTER TABLE %s FORCE ROW LEVEL SECURITY", was ? was : id);

		if (!is_mentioned(run, id) && (was == NULL || !is_mentioned(run, was)))
			continue;
		if (forced != NULL && !is_mentioned(run, again))
			(void) upg_down_add(run, 90, forced, again);
		(void) upg_down_add(run, 1, image,
							psprintf("ALTER TABLE %s NO FORCE ROW LEVEL SECURITY", id));
		oldcxt = MemoryContextSwitchTo(run->cxt);
		first = lappend(first, llast(run->statements));
		run->statements = list_delete_last(run->statements);
		MemoryContextSwitchTo(oldcxt);
	}
	SPI_finish();
	oldcxt = MemoryContextSwitchTo(run->cxt);
	run->statements = list_concat(first, run->statements);
	MemoryContextSwitchTo(oldcxt);
}

/*
 * upg_down_guard
 *		Switch off what of a table's own would fire in this trial.
 *
 * Returns the texts of the statements that switch it on again.
 */
List *
upg_down_guard(UpgDownRun *run, UpgDownTable *table)
{
	static const char sql[] =
		"SELECT pg_catalog.concat('ALTER TABLE ', $2, ' DISABLE ', x.what),"
		" pg_catalog.concat('ALTER TABLE ', $2, ' ENABLE ',"
		" CASE x.how WHEN 'A' THEN 'ALWAYS ' WHEN 'R' THEN 'REPLICA ' END, x.what) FROM ("
		"SELECT pg_catalog.format('TRIGGER %I', t.tgname) AS what, t.tgenabled AS how"
		" FROM pg_catalog.pg_trigger t"
		" WHERE t.tgrelid OPERATOR(pg_catalog.=) $1 AND NOT t.tgisinternal"
		" UNION ALL SELECT pg_catalog.format('RULE %I', w.rulename), w.ev_enabled"
		" FROM pg_catalog.pg_rewrite w WHERE w.ev_class OPERATOR(pg_catalog.=) $1"
		" AND w.ev_type OPERATOR(pg_catalog.<>) '1') x"
		" WHERE x.how OPERATOR(pg_catalog.=) ANY ($3) ORDER BY 1";
	Oid types[] = {OIDOID, TEXTOID, CHARARRAYOID};
	Datum fires[] = {CharGetDatum('A'), CharGetDatum(run->as_owner ? 'O' : 'R')};
	Datum values[] = {
		ObjectIdGetDatum(upg_down_relation(table)), CStringGetTextDatum(table->id),
		PointerGetDatum(construct_array(fires, 2, CHAROID, 1, true, TYPALIGN_CHAR))};
	MemoryContext caller = CurrentMemoryContext;
	List *off = NIL;
	List *on = NIL;
	ListCell *lc;

	SPI_connect();
	if (SPI_execute_with_args(sql, 3, types, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "the triggers of a table cannot be looked up");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple row = SPI_tuptable->vals[i];
		TupleDesc desc = SPI_tuptable->tupdesc;
		char *first = SPI_getvalue(row, desc, 1);
		char *second = SPI_getvalue(row, desc, 2);
		MemoryContext oldcxt = MemoryContextSwitchTo(caller);

		off = lappend(off, pstrdup(first));
		on = lappend(on, pstrdup(second));
		MemoryContextSwitchTo(oldcxt);
	}
	SPI_finish();
	foreach (lc, off)
		(void) upg_down_execute(run, upg_down_add(run, 51, table->image, lfirst(lc)));
	return on;
}

/*
 * upg_down_deferrable
 *		May keys of these tables wait until all rows are there?
 */
bool
upg_down_deferrable(UpgDownRun *run, List *tables)
{
	Oid types[] = {OIDARRAYOID};
	Datum values[] = {relations_of(tables, false)};

	return first_value(run,
					   "SELECT true FROM pg_catalog.pg_constraint c"
					   " WHERE c.condeferrable AND"
					   " (c.conrelid OPERATOR(pg_catalog.=) ANY ($1)"
					   " OR c.confrelid OPERATOR(pg_catalog.=) ANY ($1))",
					   1, types, values) != NULL;
}

/* The owners of what the migration touched, as a list of names; NULL: none. */
static char *
owners(UpgDownRun *run)
{
	static const char sql[] =
		"SELECT pg_catalog.string_agg(DISTINCT e.value OPERATOR(pg_catalog.->>) 'owner',"
		" ', ') FROM (SELECT * FROM pg_catalog.jsonb_each($1)"
		" UNION ALL SELECT * FROM pg_catalog.jsonb_each($2)) e"
		" WHERE e.key OPERATOR(pg_catalog.=) ANY (COALESCE($3, '{}')"
		" OPERATOR(pg_catalog.||) COALESCE($4, '{}') OPERATOR(pg_catalog.||)"
		" ARRAY(SELECT pg_catalog.concat('1259:', r) FROM pg_catalog.unnest($5) r))";
	Oid types[] = {JSONBOID, JSONBOID, TEXTARRAYOID, TEXTARRAYOID, OIDARRAYOID};
	Datum values[] = {run->now.objects, run->before.objects, run->now.keys,
					  run->before.keys, relations_of(run->tables, false)};

	return first_value(run, sql, lengthof(types), types, values);
}

/*
 * upg_down_rights
 *		In words: who may run the script.
 */
char *
upg_down_rights(UpgDownRun *run)
{
	StringInfoData text;
	char *names = owners(run);
	const char *said = "";
	ListCell *lc;

	initStringInfo(&text);
	if (!run->as_owner)
		appendStringInfo(&text,
						 "Needs a superuser, or a role that may set"
						 " session_replication_role, because %s.",
						 run->superuser);
	else
		appendStringInfo(&text, "Needs the rights of %s.",
						 names ? psprintf("who owns what it changes (%s)", names)
							   : "who owns what it changes");
	foreach (lc, run->statements)
	{
		UpgDownStatement *statement = lfirst(lc);

		if (statement->text == NULL || strcmp(statement->image, said) == 0)
			continue;
		for (int i = 0; i < lengthof(kinds); i++)
			if (strncmp(statement->image, kinds[i].prefix, strlen(kinds[i].prefix)) == 0)
			{
				appendStringInfo(&text, " For %s: %s.", statement->image, kinds[i].needs);
				said = statement->image;
			}
	}
	return text.data;
}
