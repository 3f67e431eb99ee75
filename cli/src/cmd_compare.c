/*-------------------------------------------------------------------------
 *
 * cmd_compare.c
 *		upg compare: one table in two databases, row by row.
 *
 *  This file has the options, the two connections, and whether the two tables can be
 *  compared at all; table_diff.c compares them.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/cmd_compare.c
 *
 *-------------------------------------------------------------------------
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "exit_codes.h"
#include "log.h"
#include "run.h"
#include "table_diff.h"

/*
 * take_snapshot
 *		Read a side with one snapshot: one that was exported for us, or its own.
 *
 * To look again at what moves, a new one is needed each time.
 */
static bool
take_snapshot(TableDiff *diff, Side side)
{
	const char *id =
		opt_get(diff->ctx, side == SOURCE ? OPT_SOURCE_SNAPSHOT : OPT_TARGET_SNAPSHOT);
	UpgBuf sql;
	bool ok;

	if (diff->rounds > 0)
		return true;
	buf_init(&sql);
	buf_add(&sql, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
	ok = conn_run(diff->conn[side], sql.data, 0, NULL);
	if (ok && id != NULL)
	{
		buf_reset(&sql);
		buf_printf(&sql, "SET TRANSACTION SNAPSHOT '%s'", id);
		ok = conn_run(diff->conn[side], sql.data, 0, NULL);
	}
	buf_free(&sql);
	return ok || diff_error(side);
}

/*
 * open_side
 *		Connect to one side and compare versions.
 */
static bool
open_side(TableDiff *diff, Side side)
{
	UpgConnParams params;

	memset(&params, 0, sizeof(params));
	params.dbname = ctx_arg(diff->ctx, (int) side);
	params.deadline = diff->ctx->deadline;
	diff->conn[side] = conn_open(&params);
	if (diff->conn[side] == NULL || !conn_handshake(diff->conn[side], NULL))
		return diff_error(side);
	return take_snapshot(diff, side);
}

/*
 * choose_key
 *		--key, else the primary key of the target, another unique one, the source's.
 */
static bool
choose_key(TableDiff *diff)
{
	static const char sql[] =
		"SELECT pg_catalog.array_agg(a.attname::pg_catalog.text ORDER BY a.attnum)"
		" FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a"
		" ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::pg_catalog.int2[])"
		" WHERE i.indrelid = $1::pg_catalog.regclass AND i.indisunique AND i.indisvalid"
		" AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL"
		" AND i.indnkeyatts = i.indnatts"
		" GROUP BY i.indexrelid, i.indisprimary HAVING pg_catalog.bool_and(a.attnotnull)"
		" ORDER BY i.indisprimary DESC, pg_catalog.count(*), i.indexrelid LIMIT 1";
	const char *key = opt_array(diff->ctx, OPT_KEY);

	if (key == NULL)
	{
		if (!diff_ask_both(diff, sql, 1, 0, NULL))
			return false;
		key = rows_get(diff->rows[TARGET], 0, 0);
		if (key == NULL)
			key = rows_get(diff->rows[SOURCE], 0, 0);
		if (key == NULL)
			log_info("the table has no key: rows are compared by their contents");
		else
			key = arena_strdup(diff->ctx->arena, key);
	}
	else if (strcmp(key, "{}") == 0)
		key = NULL;
	diff->args[SOURCE][ARG_KEY] = diff->args[TARGET][ARG_KEY] = key;
	return true;
}

/*
 * read_mapping
 *		Make the mapping of the source from --mapping: what is not a column of the very
 *		type of the target's is an expression, cast to that type.
 */
static bool
read_mapping(TableDiff *diff)
{
	const char *params[3] = {diff->args[TARGET][ARG_TABLE],
							 opt_get(diff->ctx, OPT_MAPPING), NULL};
	UpgRows *rows;

	if (params[1] == NULL)
		return true;
	rows = conn_query(
		diff->conn[TARGET],
		"SELECT pg_catalog.jsonb_object_agg(k, pg_catalog.format_type(a.atttypid, NULL)),"
		" pg_catalog.max(k) FILTER (WHERE a.attname IS NULL)"
		" FROM pg_catalog.jsonb_object_keys($2::pg_catalog.jsonb) k"
		" LEFT JOIN pg_catalog.pg_attribute a"
		" ON a.attrelid = $1::pg_catalog.regclass AND a.attname = k"
		" AND a.attnum > 0 AND NOT a.attisdropped",
		2, params);
	if (rows == NULL)
		return diff_error(TARGET);
	if (rows_get(rows, 0, 1) != NULL)
	{
		err_set(UPG_EXIT_USAGE, "UPG-2000",
				"--mapping names the column \"%s\", which the "
				"target does not have",
				rows_get(rows, 0, 1));
		err_fix("Write --mapping='{\"column of the target\": \"column or expression of "
				"the source\"}'.");
		rows_free(rows);
		return false;
	}
	diff->types = rows_get(rows, 0, 0)
					  ? arena_strdup(diff->ctx->arena, rows_get(rows, 0, 0))
					  : "{}";
	rows_free(rows);
	params[0] = diff->args[SOURCE][ARG_TABLE];
	params[2] = diff->types;
	rows = conn_query(
		diff->conn[SOURCE],
		"SELECT pg_catalog.jsonb_object_agg(m.key, CASE"
		" WHEN a.attname IS NULL"
		" THEN '(' || m.value || E'\n)::' || ($3::pg_catalog.jsonb->>m.key)"
		" WHEN pg_catalog.format_type(a.atttypid, NULL) = $3::pg_catalog.jsonb->>m.key"
		" THEN m.value ELSE pg_catalog.quote_ident(m.value) || '::'"
		" || ($3::pg_catalog.jsonb->>m.key) END)"
		" FROM pg_catalog.jsonb_each_text($2::pg_catalog.jsonb) m"
		" LEFT JOIN pg_catalog.pg_attribute a"
		" ON a.attrelid = $1::pg_catalog.regclass AND a.attname = m.value"
		" AND a.attnum > 0 AND NOT a.attisdropped",
		3, params);
	if (rows == NULL)
		return diff_error(SOURCE);
	if (rows_get(rows, 0, 0) != NULL)
		diff->args[SOURCE][ARG_MAPPING] =
			arena_strdup(diff->ctx->arena, rows_get(rows, 0, 0));
	rows_free(rows);
	return true;
}

/*
 * check_columns
 *		Are the columns the same on both sides?  False with an error that lists them.
 */
static bool
check_columns(TableDiff *diff)
{
	static const char sql[] =
		"SELECT name, type FROM (SELECT attname::pg_catalog.text AS name,"
		" pg_catalog.format_type(atttypid, NULL) AS type"
		" FROM pg_catalog.pg_attribute WHERE attrelid = $1::pg_catalog.regclass"
		" AND attnum > 0 AND NOT attisdropped AND ($8::pg_catalog.jsonb IS NULL"
		" OR NOT (attname IN (SELECT k FROM pg_catalog.jsonb_object_keys("
		"$8::pg_catalog.jsonb) k) OR attname IN (SELECT v.value"
		" FROM pg_catalog.jsonb_each_text($10::pg_catalog.jsonb) v)))"
		" UNION ALL SELECT m.key, $9::pg_catalog.jsonb->>m.key"
		" FROM pg_catalog.jsonb_each_text($8::pg_catalog.jsonb) m) c"
		" WHERE ($3::pg_catalog.text[] IS NULL OR name = ANY ($3::pg_catalog.text[]))"
		" AND ($5::pg_catalog.text[] IS NULL OR NOT name = ANY"
		" ($5::pg_catalog.text[])) AND ($2::pg_catalog.text[] IS NULL OR true)"
		" AND ($4::pg_catalog.text IS NULL OR true)"
		" AND ($6::pg_catalog.text IS NULL OR true)"
		" AND ($7::pg_catalog.text IS NULL OR true) ORDER BY name COLLATE \"C\"";
	UpgBuf why;
	const char *mode = diff->args[TARGET][ARG_MODE];
	const char *more[2] = {diff->types, opt_get(diff->ctx, OPT_MAPPING)};
	bool semantic = mode != NULL && strcmp(mode, "semantic") == 0;
	int at[2] = {0, 0};

	if (!diff_ask_both(diff, sql, ARG_COUNT, 2, more))
		return false;
	buf_init(&why);
	while (at[SOURCE] < rows_count(diff->rows[SOURCE]) ||
		   at[TARGET] < rows_count(diff->rows[TARGET]))
	{
		const char *a = rows_get(diff->rows[SOURCE], at[SOURCE], 0);
		const char *b = rows_get(diff->rows[TARGET], at[TARGET], 0);
		int order = a == NULL ? 1 : b == NULL ? -1 : strcmp(a, b);

		if (order != 0)
			buf_printf(&why, "%scolumn \"%s\" is only in the %s", why.len > 0 ? "; " : "",
					   order < 0 ? a : b, diff_side_names[order < 0 ? SOURCE : TARGET]);
		else if (!semantic && strcmp(rows_get(diff->rows[SOURCE], at[SOURCE], 1),
									 rows_get(diff->rows[TARGET], at[TARGET], 1)) != 0)
			buf_printf(&why, "%scolumn \"%s\" is %s in the source, %s in the target",
					   why.len > 0 ? "; " : "", a,
					   rows_get(diff->rows[SOURCE], at[SOURCE], 1),
					   rows_get(diff->rows[TARGET], at[TARGET], 1));
		at[SOURCE] += order <= 0;
		at[TARGET] += order >= 0;
	}
	if (why.len > 0)
	{
		err_set(UPG_EXIT_USAGE, "UPG-2029", "the two tables cannot be compared");
		err_why("%s.", why.data);
		err_fix(
			"Leave columns out with --except-columns, say which with --columns, or what "
			"stands for them in the source with --mapping; "
			"--mode=semantic compares integers and texts of other types.");
	}
	buf_free(&why);
	if (upg_error.exit_code == 0 && diff->types != NULL)
	{
		UpgList names = {NULL, 0, 0};

		/* what is mapped from is no column of the comparison */
		for (int i = 0; i < rows_count(diff->rows[TARGET]); i++)
			list_add(&names, rows_get(diff->rows[TARGET], i, 0));
		diff->args[SOURCE][ARG_COLUMNS] = diff->args[TARGET][ARG_COLUMNS] =
			array_text(diff->ctx->arena, &names);
		list_free(&names);
	}
	return upg_error.exit_code == 0;
}

/*
 * guarantee
 *		What the result means while somebody writes.
 */
static const char *
guarantee(const TableDiff *diff)
{
	bool given = opt_get(diff->ctx, OPT_SOURCE_SNAPSHOT) != NULL ||
				 opt_get(diff->ctx, OPT_TARGET_SNAPSHOT) != NULL;

	if (diff->rounds > 0)
		return arena_printf(
			diff->ctx->arena,
			"what differed was looked at %" PRId64 " times, %" PRId64
			" ms apart: a difference stayed the same each time; rows that kept moving "
			"are "
			"counted as unsettled; rows written after they had been read are not seen",
			diff->rounds + 1, diff->interval);
	if (given)
		return "each side was read with the snapshot that it was given";
	return "each side was read with one snapshot of its own: rows written between the "
		   "two "
		   "may show as differences";
}

/*
 * prepare
 *		Read the options; false with the error set.
 */
static bool
prepare(TableDiff *diff)
{
	UpgContext *ctx = diff->ctx;
	const char *rounds = opt_count(ctx, OPT_RECHECK, "0", 9999);
	uint64_t seed;

	if (opt_get(ctx, OPT_TABLE) == NULL)
	{
		err_set(UPG_EXIT_USAGE, "UPG-2000", "\"upg compare\" needs --table");
		err_next("Try \"upg compare --help\" for more information.");
		return false;
	}
	if (rounds == NULL)
		return false;
	diff->rounds = strtol(rounds, NULL, 10);
	if (!config_number(ctx, OPT_INTERVAL, true, 2000, &diff->interval))
		return false;
	if (diff->rounds > 0 && (opt_get(ctx, OPT_SOURCE_SNAPSHOT) != NULL ||
							 opt_get(ctx, OPT_TARGET_SNAPSHOT) != NULL))
		return err_set(UPG_EXIT_USAGE, "UPG-2000",
					   "--recheck looks at what is there now, so it cannot go with a "
					   "snapshot");
	for (int side = SOURCE; side <= TARGET; side++)
	{
		const char *id =
			opt_get(ctx, side == SOURCE ? OPT_SOURCE_SNAPSHOT : OPT_TARGET_SNAPSHOT);

		if (id != NULL && id[strspn(id, "0123456789ABCDEFabcdef-")] != '\0')
			return err_set(UPG_EXIT_USAGE, "UPG-2000",
						   "\"%s\" is not the name of a snapshot", id);
	}
	if (!config_number(ctx, OPT_RANGES, false, 0, &diff->ranges))
		return false;
	if (diff->ranges < 0 || diff->ranges > MOST_RANGES)
		return err_set(UPG_EXIT_USAGE, "UPG-2000", "--ranges is a number from 1 to %d",
					   MOST_RANGES);
	if ((diff->ranges > 0) != (opt_get(ctx, OPT_JOURNAL) != NULL))
		return err_set(UPG_EXIT_USAGE, "UPG-2000", "--ranges and --journal go together");
	if (getrandom(&seed, sizeof(seed), 0) != (ssize_t) sizeof(seed))
		return err_set(UPG_EXIT_BUG, "UPG-9999", "no random number to be had");
	diff->filter = opt_get(ctx, OPT_FILTER);
	for (int side = SOURCE; side <= TARGET; side++)
	{
		diff->args[side][ARG_TABLE] = opt_get(ctx, OPT_TABLE);
		diff->args[side][ARG_COLUMNS] = opt_array(ctx, OPT_COLUMNS);
		diff->args[side][ARG_FILTER] = diff->filter;
		diff->args[side][ARG_EXCEPT] = opt_array(ctx, OPT_EXCEPT_COLUMNS);
		diff->args[side][ARG_MODE] =
			opt_get(ctx, OPT_MODE) ? opt_get(ctx, OPT_MODE) : "strict";
		diff->args[side][ARG_SEED] = arena_printf(ctx->arena, "%" PRIu64, seed >> 1);
	}
	if (opt_get(ctx, OPT_TARGET_TABLE) != NULL)
		diff->args[TARGET][ARG_TABLE] = opt_get(ctx, OPT_TARGET_TABLE);
	if (opt_get(ctx, OPT_REDACT) != NULL)
		list_split(&diff->hidden, ctx->arena, opt_get(ctx, OPT_REDACT));
	return true;
}

/* upg compare */
int
cmd_compare(UpgContext *ctx)
{
	TableDiff diff;
	bool ok;
	int64_t different;

	memset(&diff, 0, sizeof(diff));
	diff.ctx = ctx;
	buf_init(&diff.range_json);
	buf_init(&diff.range_text);
	buf_init(&diff.key_text);
	buf_init(&diff.row_text[SOURCE]);
	buf_init(&diff.row_text[TARGET]);
	buf_init(&diff.json_text);
	buf_init(&diff.line);
	ok = prepare(&diff) && open_side(&diff, SOURCE) && open_side(&diff, TARGET) &&
		 read_mapping(&diff) && choose_key(&diff) && check_columns(&diff) &&
		 diff_open_journal(&diff);
	if (ok)
	{
		render_start(ctx);
		if (ctx->json)
		{
			json_string(render_doc(), "table", diff.args[SOURCE][ARG_TABLE]);
			json_string(render_doc(), "target_table", diff.args[TARGET][ARG_TABLE]);
			json_string(render_doc(), "key", diff.args[TARGET][ARG_KEY]);
			json_array(render_doc(), "differences");
		}
		ok = diff.ranges > 0 ? diff_ranges(&diff) : diff_table(&diff);
		if (ctx->json)
			json_array_end(render_doc());
	}
	different = diff.missing + diff.extra + diff.changed;
	if (ok && ctx->json)
	{
		json_bool(render_doc(), "equal", different + diff.unsettled == 0);
		json_int(render_doc(), "source_rows", diff.count[SOURCE]);
		json_int(render_doc(), "target_rows", diff.count[TARGET]);
		json_int(render_doc(), "missing", diff.missing);
		json_int(render_doc(), "extra", diff.extra);
		json_int(render_doc(), "changed", diff.changed);
		json_int(render_doc(), "unsettled", diff.unsettled);
		json_string(render_doc(), "guarantee", guarantee(&diff));
	}
	else if (ok)
		log_info("%s", guarantee(&diff));
	if (ok && different > 0)
	{
		err_set(UPG_EXIT_VERIFICATION, "UPG-2028",
				"table \"%s\" differs: %" PRId64 " missing in the target, %" PRId64
				" extra, %" PRId64 " changed",
				diff.args[SOURCE][ARG_TABLE], diff.missing, diff.extra, diff.changed);
		if (diff.unsettled > 0)
			err_why("%" PRId64 " more keys differ, but are being written.",
					diff.unsettled);
	}
	else if (ok && diff.unsettled > 0)
	{
		err_set(UPG_EXIT_WAITING, "UPG-2028",
				"%" PRId64 " keys of table \"%s\" differ, but are being written",
				diff.unsettled, diff.args[SOURCE][ARG_TABLE]);
		err_fix("Compare again, with more rounds of --recheck or a longer --interval.");
	}
	else if (ok)
		render_text(ctx, "equal: %" PRId64 " rows\n", diff.count[SOURCE]);
	diff_forget(&diff);
	conn_close(diff.conn[SOURCE]);
	conn_close(diff.conn[TARGET]);
	journal_close(diff.journal);
	buf_free(&diff.range_json);
	buf_free(&diff.range_text);
	buf_free(&diff.key_text);
	buf_free(&diff.row_text[SOURCE]);
	buf_free(&diff.row_text[TARGET]);
	buf_free(&diff.json_text);
	buf_free(&diff.line);
	list_free(&diff.hidden);
	return upg_error.exit_code;
}
