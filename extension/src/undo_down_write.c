/*-------------------------------------------------------------------------
 *
 * undo_down_write.c
 *		The down as SQL: statements that put the rows of tables right.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/undo_down_write.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"

#include "compat.h"
#include "undo_down.h"
#include "upg.h"

/* So many rows in one statement. */
#define BATCH 100

static void
append_value(StringInfo sql, const char *value)
{
	appendStringInfoString(sql, value ? quote_literal_cstr(value) : "NULL");
}

static void
emit(UpgDownRun *run, UpgDownTable *table, StringInfo sql)
{
	UpgDownStatement *statement = upg_down_add(run, 51, table->image, sql->data);

	statement->rows = true;
	(void) upg_down_execute(run, statement);
	resetStringInfo(sql);
}

/* Conditions that find a row by all its columns; texts where types may lack "=". */
static void
append_like(StringInfo sql, UpgDownTable *table, UpgDownRow *row)
{
	for (int i = 0; i < table->ncolumns; i++)
	{
		appendStringInfo(sql, "%st.%s", i > 0 ? " AND " : "",
						 quote_identifier(table->columns[i]));
		if (row->values[i] == NULL)
			appendStringInfoString(sql, " IS NULL");
		else if (strncmp(table->types[i], "character(", 10) == 0)
			appendStringInfo(sql, " = %s", quote_literal_cstr(row->values[i]));
		else
			appendStringInfo(sql, "::text = %s", quote_literal_cstr(row->values[i]));
	}
}

static void
append_key(StringInfo sql, UpgDownTable *table, const char *prefix)
{
	int n = 0;

	for (int i = 0; i < table->ncolumns; i++)
		if (table->in_key[i])
			appendStringInfo(sql, "%s%s%s", n++ > 0 ? ", " : "", prefix,
							 quote_identifier(table->columns[i]));
}

static void
append_key_values(StringInfo sql, UpgDownTable *table, UpgDownRow *row, bool typed)
{
	int n = 0;

	for (int i = 0; i < table->ncolumns; i++)
		if (table->in_key[i])
		{
			appendStringInfoString(sql, n++ > 0 ? ", " : "");
			append_value(sql, row->values[i]);
			if (typed)
				appendStringInfo(sql, "::%s", table->types[i]);
		}
}

static void
write_deletes(UpgDownRun *run, UpgDownTable *table, List *gone)
{
	StringInfoData sql;
	int n = 0;
	ListCell *lc;

	initStringInfo(&sql);
	foreach (lc, gone)
	{
		UpgDownRow *row = lfirst(lc);

		if (row->matched)
			continue;
		if (!table->keyed)
		{
			appendStringInfo(&sql,
							 "DELETE FROM ONLY %s WHERE ctid = (SELECT t.ctid FROM ONLY"
							 " %s t WHERE ",
							 table->id, table->id);
			append_like(&sql, table, row);
			appendStringInfoString(&sql, " LIMIT 1)");
			emit(run, table, &sql);
			continue;
		}
		if (n == 0)
		{
			appendStringInfo(&sql, "DELETE FROM ONLY %s t WHERE (", table->id);
			append_key(&sql, table, "t.");
			appendStringInfoString(&sql, ") IN (");
		}
		appendStringInfoString(&sql, n > 0 ? ", (" : "(");
		append_key_values(&sql, table, row, true);
		appendStringInfoChar(&sql, ')');
		if (++n == BATCH)
		{
			appendStringInfoChar(&sql, ')');
			emit(run, table, &sql);
			n = 0;
		}
	}
	if (n > 0)
	{
		appendStringInfoChar(&sql, ')');
		emit(run, table, &sql);
	}
}

static void
write_inserts(UpgDownRun *run, UpgDownTable *table, List *come)
{
	StringInfoData sql;
	int n = 0;
	ListCell *lc;

	initStringInfo(&sql);
	foreach (lc, come)
	{
		UpgDownRow *row = lfirst(lc);

		if (row->matched)
			continue;
		if (n == 0)
		{
			appendStringInfo(&sql, "INSERT INTO %s (", table->id);
			for (int i = 0; i < table->ncolumns; i++)
				appendStringInfo(&sql, "%s%s", i > 0 ? ", " : "",
								 quote_identifier(table->columns[i]));
			appendStringInfoString(&sql, ") OVERRIDING SYSTEM VALUE VALUES");
		}
		appendStringInfoString(&sql, n > 0 ? ",\n\t(" : "\n\t(");
		for (int i = 0; i < table->ncolumns; i++)
		{
			appendStringInfoString(&sql, i > 0 ? ", " : "");
			append_value(&sql, row->values[i]);
		}
		appendStringInfoChar(&sql, ')');
		if (++n == BATCH)
		{
			emit(run, table, &sql);
			n = 0;
		}
	}
	if (n > 0)
		emit(run, table, &sql);
}

static int
compare_pairs(const ListCell *a, const ListCell *b)
{
	return strcmp(((UpgDownPair *) lfirst(a))->columns,
				  ((UpgDownPair *) lfirst(b))->columns);
}

/* Updates of rows that change in the same columns, in one statement. */
static void
write_updates(UpgDownRun *run, UpgDownTable *table, List *pairs)
{
	StringInfoData sql;
	StringInfoData values;
	UpgDownPair *first = NULL;
	int n = 0;
	ListCell *lc;

	initStringInfo(&sql);
	initStringInfo(&values);
	list_sort(pairs, compare_pairs);
	foreach (lc, pairs)
	{
		UpgDownPair *pair = lfirst(lc);
		ListCell *next = lnext(pairs, lc);

		if (n == 0)
			first = pair;
		appendStringInfoString(&values, n > 0 ? ",\n\t(" : "\n\t(");
		append_key_values(&values, table, pair->before, n == 0);
		for (int i = 0; i < table->ncolumns; i++)
			if (first->columns[i] == 'y')
			{
				appendStringInfoString(&values, ", ");
				append_value(&values, pair->before->values[i]);
				if (n == 0)
					appendStringInfo(&values, "::%s", table->types[i]);
			}
		appendStringInfoChar(&values, ')');
		if (++n < BATCH && next != NULL &&
			strcmp(((UpgDownPair *) lfirst(next))->columns, first->columns) == 0)
			continue;

		appendStringInfo(&sql, "UPDATE ONLY %s t SET ", table->id);
		for (int i = 0, k = 0; i < table->ncolumns; i++)
			if (first->columns[i] == 'y')
			{
				appendStringInfo(&sql, "%s%s = v.n%d", k++ > 0 ? ", " : "",
								 quote_identifier(table->columns[i]), i);
			}
		appendStringInfo(&sql, " FROM (VALUES%s) v (", values.data);
		for (int i = 0, k = 0; i < table->ncolumns; i++)
			if (table->in_key[i])
				appendStringInfo(&sql, "%sk%d", k++ > 0 ? ", " : "", i);
		for (int i = 0; i < table->ncolumns; i++)
			if (first->columns[i] == 'y')
				appendStringInfo(&sql, ", n%d", i);
		appendStringInfoString(&sql, ") WHERE ");
		for (int i = 0, k = 0; i < table->ncolumns; i++)
			if (table->in_key[i])
			{
				appendStringInfo(&sql, "%st.%s = v.k%d", k++ > 0 ? " AND " : "",
								 quote_identifier(table->columns[i]), i);
			}
		emit(run, table, &sql);
		resetStringInfo(&values);
		n = 0;
	}
}

/* All of a table's rows go, or those of them that are not among those of before. */
static void
write_goes(UpgDownRun *run, UpgDownTable *table)
{
	StringInfoData sql;

	if (!table->none_stays)
	{
		write_deletes(run, table, table->goes);
		return;
	}
	initStringInfo(&sql);
	appendStringInfo(&sql, "DELETE FROM ONLY %s", table->id);
	emit(run, table, &sql);
}

/* A statement about all tables whose rows are written. */
static void
write_text(UpgDownRun *run, List *tables, const char *text)
{
	UpgDownTable *table = linitial(tables);

	(void) upg_down_execute(run, upg_down_add(run, 51, table->image, text));
}

/*
 * upg_down_rows_write
 *		Add and run the statements about rows.
 *
 * Rows that refer to others go first and come last, so that the foreign
 * keys hold at each statement; who has no right to silence triggers and keys
 * altogether silences those that are his.
 */
void
upg_down_rows_write(UpgDownRun *run)
{
	List *tables = upg_down_in_order(upg_down_rows_differing(run));
	List *guards = NIL;
	char *reach;
	bool deferrable;
	ListCell *lc;

	if (tables == NIL)
		return;
	deferrable = run->as_owner && upg_down_deferrable(run, tables);
	reach = run->as_owner ? upg_down_reach(run, tables) : NULL;
	foreach (lc, tables)
		guards = lappend(guards, upg_down_guard(run, lfirst(lc)));
	if (deferrable)
		write_text(run, tables, "SET CONSTRAINTS ALL DEFERRED");
	for (int i = list_length(tables) - 1; i >= 0; i--)
		write_goes(run, list_nth(tables, i));
	foreach (lc, tables)
	{
		UpgDownTable *table = lfirst(lc);

		if (table->pairs != NIL)
			write_updates(run, table, table->pairs);
		write_inserts(run, table, table->before);
	}
	if (deferrable)
		write_text(run, tables, "SET CONSTRAINTS ALL IMMEDIATE");
	if (run->as_owner)
		run->superuser = upg_down_reached_out(run, tables, reach);
	foreach (lc, guards)
	{
		UpgDownTable *table = list_nth(tables, foreach_current_index (lc));
		ListCell *lc2;

		foreach (lc2, lfirst(lc))
			(void) upg_down_execute(run,
									upg_down_add(run, 51, table->image, lfirst(lc2)));
	}
}
