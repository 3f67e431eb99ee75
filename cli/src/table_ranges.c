/*-------------------------------------------------------------------------
 *
 * table_ranges.c
 *		Comparing one table in two databases range by range, with a journal.
 *
 *  The boundaries are taken from the target once and kept in the journal, so that a
 *  comparison that goes on cuts the keys in the same places.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/table_ranges.c
 *
 *-------------------------------------------------------------------------
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "exit_codes.h"
#include "log.h"
#include "run.h"
#include "table_diff.h"

/*
 * range_bounds
 *		The boundaries of the ranges, as the target's index has them; false with the
 *		error set.
 *
 * Only types that are in the same order everywhere can be cut into ranges.
 */
static bool
range_bounds(TableDiff *diff, UpgList *bounds)
{
	UpgContext *ctx = diff->ctx;
	const char *params[4] = {diff->args[TARGET][ARG_TABLE], diff->args[TARGET][ARG_KEY],
							 arena_printf(ctx->arena, "%" PRId64, diff->ranges), NULL};
	const char *kept = journal_get(diff->journal, "ranges", "count");
	const char *column;
	const char *type;
	const char *table;
	const char *pairs[2 * 4 + 1];
	int n = 0;
	UpgRows *rows;

	if (kept != NULL)
	{
		int count = atoi(kept);

		for (int i = 0; i < count; i++)
		{
			const char *bound = journal_get(
				diff->journal, arena_printf(ctx->arena, "bound %d", i), "value");

			if (bound == NULL)
				return err_set(UPG_EXIT_USAGE, "UPG-2061",
							   "the journal lacks a boundary: remove it and begin anew");
			list_add(bounds, bound);
		}
		return true;
	}
	if (params[1] == NULL)
		return err_set(UPG_EXIT_USAGE, "UPG-2000", "--ranges needs a key");
	rows = conn_query(
		diff->conn[TARGET],
		"SELECT pg_catalog.quote_ident(a.attname), pg_catalog.format_type(a.atttypid,"
		" a.atttypmod), coalesce(a.attcollation = 0 OR co.collcollate IN ('C', 'POSIX'), "
		"false),"
		" ($1::pg_catalog.regclass)::pg_catalog.text"
		" FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_collation co"
		" ON co.oid = a.attcollation WHERE a.attrelid = $1::pg_catalog.regclass"
		" AND a.attname = ($2::pg_catalog.text[])[1]",
		2, params);
	if (rows == NULL)
		return diff_error(TARGET);
	if (rows_count(rows) == 0 || strcmp(rows_get(rows, 0, 2), "t") != 0)
	{
		rows_free(rows);
		err_set(UPG_EXIT_USAGE, "UPG-2000",
				"the first column of the key cannot be cut into ranges");
		err_why("Two databases may not sort its values in the same way.");
		err_fix("Use --key with a number, date, uuid or text of collation C first, or "
				"compare without --ranges.");
		return false;
	}
	column = arena_strdup(ctx->arena, rows_get(rows, 0, 0));
	type = arena_strdup(ctx->arena, rows_get(rows, 0, 1));
	table = arena_strdup(ctx->arena, rows_get(rows, 0, 3));
	params[0] = params[2];
	rows_free(rows);
	rows = conn_query(
		diff->conn[TARGET],
		arena_printf(
			ctx->arena,
			"SELECT d.k::pg_catalog.text FROM (SELECT DISTINCT s.k FROM (SELECT %s AS k,"
			" pg_catalog.row_number() OVER (ORDER BY %s) AS n,"
			" pg_catalog.count(*) OVER () AS total FROM %s) s"
			" WHERE n %% GREATEST(pg_catalog.ceil(total / $1::pg_catalog.float8), 1)"
			"::pg_catalog.int8 = 0 AND s.k IS NOT NULL) d"
			" ORDER BY d.k",
			column, column, table),
		1, params);
	if (rows == NULL)
		return diff_error(TARGET);
	for (int i = 0; i < rows_count(rows) && bounds->count < MOST_RANGES; i++)
		list_add(bounds, arena_strdup(ctx->arena, rows_get(rows, i, 0)));
	rows_free(rows);
	for (int i = 0; i < bounds->count; i++)
	{
		const char *pair[3] = {"value", bounds->items[i], NULL};

		if (!journal_put(diff->journal, arena_printf(ctx->arena, "bound %d", i), pair))
			return false;
	}
	pairs[n++] = "column";
	pairs[n++] = column;
	pairs[n++] = "type";
	pairs[n++] = type;
	pairs[n++] = "count";
	pairs[n++] = arena_printf(ctx->arena, "%d", bounds->count);
	pairs[n] = NULL;
	return journal_put(diff->journal, "ranges", pairs);
}

/*
 * set_range
 *		Restrict both sides to the keys between two boundaries.
 */
static void
set_range(TableDiff *diff, const UpgList *bounds, int i)
{
	const char *column = journal_get(diff->journal, "ranges", "column");
	const char *type = journal_get(diff->journal, "ranges", "type");

	for (int side = SOURCE; side <= TARGET; side++)
	{
		const char *what = column;
		UpgBuf filter;
		UpgBuf literal;

		/* in the source the key may be called otherwise, or be an expression */
		if (side == SOURCE && diff->key_in_source != NULL)
			what = diff->key_in_source;
		buf_init(&filter);
		buf_init(&literal);
		if (diff->filter != NULL)
			buf_printf(&filter, "(%s\n) AND ", diff->filter);
		if (i == 0)
			buf_printf(&filter, "(%s IS NULL OR ", what);
		buf_add(&filter, "(true");
		for (int end = 0; end < 2; end++)
		{
			int bound = i - 1 + end;

			if (bound < 0 || bound >= bounds->count)
				continue;
			buf_reset(&literal);
			for (const char *p = bounds->items[bound]; *p; p++)
			{
				if (*p == '\'')
					buf_addc(&literal, '\'');
				buf_addc(&literal, *p);
			}
			buf_printf(&filter, " AND %s %s '%s'::%s", what, end == 0 ? ">=" : "<",
					   literal.data, type);
		}
		buf_add(&filter, i == 0 ? "))" : ")");
		diff->args[side][ARG_FILTER] = arena_strdup(diff->ctx->arena, filter.data);
		buf_free(&filter);
		buf_free(&literal);
	}
}

/*
 * diff_ranges
 *		Compare range by range, and write down each that is done.
 */
bool
diff_ranges(TableDiff *diff)
{
	UpgArena *arena = diff->ctx->arena;
	UpgList bounds = {NULL, 0, 0};
	bool ok = range_bounds(diff, &bounds);
	int skipped = 0;

	for (int i = 0; ok && i <= bounds.count; i++)
	{
		const char *entry = arena_printf(arena, "range %d", i);
		int64_t *counts[] = {&diff->count[SOURCE], &diff->count[TARGET],
							 &diff->missing,       &diff->extra,
							 &diff->changed,       &diff->unsettled};
		static const char *const names[] = {"source_rows", "target_rows", "missing",
											"extra",       "changed",     "unsettled"};
		const char *pairs[2 * 8 + 1];
		int64_t before[6];
		int n = 0;

		if (journal_get(diff->journal, entry, "source_rows") != NULL)
		{
			for (int c = 0; c < 6; c++)
				*counts[c] +=
					strtoll(journal_get(diff->journal, entry, names[c]), NULL, 10);
			diff_show(diff, journal_get(diff->journal, entry, "json"),
					  journal_get(diff->journal, entry, "text"));
			skipped++;
			continue;
		}
		buf_reset(&diff->range_json);
		buf_reset(&diff->range_text);
		for (int c = 0; c < 6; c++)
			before[c] = *counts[c];
		set_range(diff, &bounds, i);
		ok = diff_table(diff);
		if (!ok)
			break;
		for (int c = 0; c < 6; c++)
		{
			pairs[n++] = names[c];
			pairs[n++] = arena_printf(arena, "%" PRId64, *counts[c] - before[c]);
		}
		pairs[n++] = "json";
		pairs[n++] = diff->range_json.data ? diff->range_json.data : "";
		pairs[n++] = "text";
		pairs[n++] = diff->range_text.data ? diff->range_text.data : "";
		pairs[n] = NULL;
		ok = journal_put(diff->journal, entry, pairs);
		log_verbose("range %d of %d is done", i + 1, bounds.count + 1);
	}
	if (skipped > 0)
		log_info("%d of %d ranges were done before", skipped, bounds.count + 1);
	list_free(&bounds);
	return ok;
}

/*
 * diff_open_journal
 *		Open the journal of --journal; false with the error set.
 */
bool
diff_open_journal(TableDiff *diff)
{
	UpgContext *ctx = diff->ctx;
	const char *path = opt_get(ctx, OPT_JOURNAL);
	const char *key = diff->args[TARGET][ARG_KEY];
	UpgJsonDoc *mapping;
	const char *name;
	const char *value;

	if (path == NULL)
		return true;
	diff->journal = journal_open(
		path,
		arena_printf(
			ctx->arena,
			"table %s in %s, %s in %s, key %s, columns %s, without %s, filter %s, "
			"mode %s, mapping %s",
			diff->args[SOURCE][ARG_TABLE], conn_database(diff->conn[SOURCE]),
			diff->args[TARGET][ARG_TABLE], conn_database(diff->conn[TARGET]),
			key ? key : "none",
			diff->args[TARGET][ARG_COLUMNS] ? diff->args[TARGET][ARG_COLUMNS] : "all",
			diff->args[TARGET][ARG_EXCEPT] ? diff->args[TARGET][ARG_EXCEPT] : "none",
			diff->filter ? diff->filter : "none", diff->args[TARGET][ARG_MODE],
			diff->args[SOURCE][ARG_MAPPING] ? diff->args[SOURCE][ARG_MAPPING] : "none"));
	if (diff->journal == NULL)
		return false;
	if (diff->args[SOURCE][ARG_MAPPING] == NULL || key == NULL)
		return true;

	/* the first column of the key, which the literal {a,b} begins with */
	mapping = json_parse(diff->args[SOURCE][ARG_MAPPING]);
	for (int i = 0; mapping != NULL && json_member(mapping, i, &name, &value); i++)
	{
		size_t len = strlen(name);

		if (value != NULL && key[0] == '{' && strncmp(key + 1, name, len) == 0 &&
			(key[len + 1] == ',' || key[len + 1] == '}'))
			diff->key_in_source = arena_printf(ctx->arena, "(%s\n)", value);
	}
	json_free(mapping);
	return true;
}
