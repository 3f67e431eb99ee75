/*-------------------------------------------------------------------------
 *
 * undo_report.c
 *		The account of a rollback, before it (a preview) and after it, as JSON.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/undo_report.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/json.h"
#include "utils/lsyscache.h"

#include "ledger.h"
#include "undo_merge.h"

/* So many conflicts are in the report; all of them are in the books. */
#define MAX_REPORTED 100

static void
add_number(StringInfo buf, const char *name, int64 value)
{
	appendStringInfo(buf, ", \"%s\": " INT64_FORMAT, name, value);
}

static void
add_text(StringInfo buf, const char *name, const char *value)
{
	appendStringInfo(buf, ", \"%s\": ", name);
	if (value)
		escape_json(buf, value);
	else
		appendStringInfoString(buf, "null");
}

static const char *
kind_name(char kind)
{
	switch (kind)
	{
		case UPG_TABLE_SAME:
			return "keeps its file";
		case UPG_TABLE_FILE:
			return "gets back its file";
		case UPG_TABLE_GOES:
			return "goes away";
		default:
			return "comes back";
	}
}

static const char *
policy_name(UpgOnConflict policy)
{
	switch (policy)
	{
		case UPG_ON_CONFLICT_KEEP:
			return "keep";
		case UPG_ON_CONFLICT_DISCARD:
			return "discard";
		default:
			return "strict";
	}
}

static void
add_table(StringInfo buf, UpgMergeTable *table)
{
	appendStringInfoString(buf, "{\"table\": ");
	escape_json(buf, table->name);
	add_text(buf, "kind", kind_name(table->kind));
	add_text(buf, "policy", policy_name(table->policy));
	add_number(buf, "restored", table->restored);
	add_number(buf, "removed", table->removed);
	add_number(buf, "merged", table->merged);
	add_number(buf, "kept", table->kept);
	add_number(buf, "set_aside", table->aside);
	add_number(buf, "stay_deleted", table->gone);
	add_number(buf, "discarded", table->discarded);
	add_number(buf, "conflicts", table->conflicts);
	appendStringInfoChar(buf, '}');
}

static void
add_conflict(StringInfo buf, UpgMergeConflict *conflict)
{
	appendStringInfoString(buf, "{\"table\": ");
	escape_json(buf, conflict->table);
	appendStringInfo(buf, ", \"key\": %s", conflict->key ? conflict->key : "null");
	add_text(buf, "column", conflict->column);
	add_text(buf, "before", conflict->before);
	add_text(buf, "application", conflict->application);
	add_text(buf, "what", conflict->what);
	appendStringInfoChar(buf, '}');
}

/* A table of which not everything is as it was, in words. */
static void
note_table(UpgMergeTable *table, UpgUndoResult *result)
{
	struct
	{
		int64 count;
		const char *what;
	} parts[] = {
		{table->merged, "merged"},      {table->kept, "kept"},
		{table->aside, "set aside"},    {table->gone, "deleted since and left so"},
		{table->discarded, "given up"}, {table->conflicts, "in conflict"}};
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < lengthof(parts); i++)
		if (parts[i].count > 0)
			appendStringInfo(&buf, "%s" INT64_FORMAT " %s", buf.len > 0 ? ", " : "",
							 parts[i].count, parts[i].what);
	if (buf.len > 0)
		result->notes =
			lappend(result->notes, psprintf("rows of table %s written since: %s",
											table->name, buf.data));
}

/*
 * upg_report_add
 *		Add the account of one unit of a rollback to its result.
 */
void
upg_report_add(UpgMerge *merge, UpgUndoResult *result)
{
	ListCell *lc;

	foreach (lc, merge->tables)
	{
		UpgMergeTable *table = lfirst(lc);
		StringInfoData buf;

		initStringInfo(&buf);
		add_table(&buf, table);
		result->tables = lappend(result->tables, buf.data);
		note_table(table, result);
		result->work +=
			table->restored + table->removed + 2 * table->merged + table->aside;
		if (table->kind == UPG_TABLE_FILE)
			result->work += table->kept;
	}
	foreach (lc, merge->conflicts)
	{
		StringInfoData buf;

		if (list_length(result->found) >= MAX_REPORTED)
			break;
		initStringInfo(&buf);
		add_conflict(&buf, lfirst(lc));
		result->found = lappend(result->found, buf.data);
	}
	result->conflicts += list_length(merge->conflicts);
}

/*
 * upg_report_add_locks
 *		Add the names of what one unit locks, while the relations have them.
 */
void
upg_report_add_locks(const UpgUndoLocks *locks, UpgUndoResult *result)
{
	ListCell *lc;

	foreach (lc, locks->all)
	{
		char *name = upg_qualified_name(lfirst_oid(lc));
		List **names = list_member_oid(locks->alone, lfirst_oid(lc)) ? &result->locked
																	 : &result->written;

		if (!upg_name_in(*names, name))
			*names = lappend(*names, name);
	}
}

static void
add_list(StringInfo buf, const char *name, List *list, bool quoted)
{
	ListCell *lc;
	int n = 0;

	appendStringInfo(buf, "\"%s\": [", name);
	foreach (lc, list)
	{
		if (n++ > 0)
			appendStringInfoString(buf, ", ");
		if (quoted)
			escape_json(buf, lfirst(lc));
		else
			appendStringInfoString(buf, lfirst(lc));
	}
	appendStringInfoString(buf, "], ");
}

static char *
join_names(const char *title, List *names)
{
	StringInfoData buf;
	ListCell *lc;

	initStringInfo(&buf);
	foreach (lc, names)
		appendStringInfo(&buf, "%s%s", lc == list_head(names) ? title : ", ",
						 (char *) lfirst(lc));
	return buf.data;
}

/*
 * upg_report_locks
 *		The locks of a rollback, in words.
 */
List *
upg_report_locks(UpgUndoResult *result)
{
	List *lines = NIL;

	if (result->locked != NIL)
		lines = lappend(lines, join_names("locked against readers until all of this has "
										  "been tried: ",
										  result->locked));
	if (result->written != NIL)
		lines = lappend(lines, join_names("locked against writers until all of this has "
										  "been tried: ",
										  result->written));
	return lines;
}

/*
 * upg_report_json
 *		The account of a rollback as a JSON object.
 */
char *
upg_report_json(UpgUndoResult *result)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoChar(&buf, '{');
	add_list(&buf, "tables", result->tables, false);
	add_list(&buf, "conflicts", result->found, false);
	appendStringInfo(&buf, "\"conflict_count\": " INT64_FORMAT ", ", result->conflicts);
	add_list(&buf, "actions", result->actions, true);
	add_list(&buf, "notes", result->notes, true);
	add_list(&buf, "exclusive_locks", result->locked, true);
	add_list(&buf, "write_locks", result->written, true);
	appendStringInfo(&buf, "\"catalog_rows\": " INT64_FORMAT, result->catalog_rows);
	add_number(&buf, "rows_to_write", result->work);
	if (result->perform_ms > 0)
	{
		appendStringInfo(&buf, ", \"work_ms\": %.3f", result->work_ms);
		appendStringInfo(&buf, ", \"plan_ms\": %.3f", result->plan_ms);
		appendStringInfo(&buf, ", \"perform_ms\": %.3f", result->perform_ms);
		appendStringInfo(&buf, ", \"readers_waited_ms\": %.3f", result->alone_ms);
	}
	appendStringInfoChar(&buf, '}');
	return buf.data;
}
