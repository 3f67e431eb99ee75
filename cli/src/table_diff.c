/*-------------------------------------------------------------------------
 *
 * table_diff.c
 *		Comparing one table in two databases: sketches, suspects, what differs.
 *
 *  Each side reads its table once, at the same time, into a sketch; the target takes
 *  both and tells the keys of the rows that are not in both.  If they are too many for
 *  the sketches, larger ones are made, then several, each of a part of the keys.  The
 *  suspects are read again on both sides, and only what is seen then is reported.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/table_diff.c
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

#define FIRST_CELLS 4096
#define MOST_CELLS  200000
#define MOST_PARTS  4096
#define CHUNK       500 /* suspects that are read again at once */

const char *const diff_side_names[] = {"source", "target"};

/* A key that differs, and how: the prints of its rows on both sides. */
typedef struct Suspect
{
	char *print;
	char *state; /* malloc'ed */
	bool same;   /* as when it was looked at before */
} Suspect;

#define ROWS_CALL                                                                     \
	"SELECT pg_catalog.encode(print, 'hex') AS print,"                                \
	" pg_catalog.encode(row_print, 'hex') AS row_print,"                              \
	" row_key::pg_catalog.text AS row_key, \"row\"::pg_catalog.text AS row,"          \
	" column_prints::pg_catalog.text AS column_prints, pg_catalog.count(*) AS copies" \
	" FROM @extschema@.upg_table_rows($1::pg_catalog.regclass,"                       \
	" (SELECT pg_catalog.array_agg(pg_catalog.decode(p, 'hex'))"                      \
	" FROM pg_catalog.unnest($9::pg_catalog.text[]) p),"                              \
	" key => $2::pg_catalog.text[], columns => $3::pg_catalog.text[],"                \
	" filter => $4, except_columns => $5::pg_catalog.text[], mode => $6,"             \
	" mapping => $8::pg_catalog.jsonb,"                                               \
	" seed => $7::pg_catalog.int8) r GROUP BY 1, 2, 3, 4, 5"                          \
	" ORDER BY pg_catalog.encode(r.print, 'hex') COLLATE \"C\","                      \
	" pg_catalog.encode(r.row_print, 'hex') COLLATE \"C\""

#define SKETCH_CALL                                                             \
	"SELECT s, (@extschema@.upg_checksum_info((@extschema@.upg_sketch_info(s))" \
	".checksum)).row_count::pg_catalog.text FROM @extschema@.upg_table_sketch(" \
	"$1::pg_catalog.regclass, key => $2::pg_catalog.text[],"                    \
	" columns => $3::pg_catalog.text[], filter => $4,"                          \
	" except_columns => $5::pg_catalog.text[], mode => $6,"                     \
	" mapping => $8::pg_catalog.jsonb,"                                         \
	" seed => $7::pg_catalog.int8, cells => $9::pg_catalog.int4,"               \
	" bucket => $10::pg_catalog.int4, buckets => $11::pg_catalog.int4) s"

/* Taken apart in the same call that says whether they can be: they are sent once. */
#define TAKE_APART_CALL                                                        \
	"SELECT e.complete, e.cells_needed,"                                       \
	" pg_catalog.encode(d.print, 'hex') COLLATE \"C\" AS print"                \
	" FROM @extschema@.upg_sketch_estimate($1::pg_catalog.bytea,"              \
	" $2::pg_catalog.bytea) e LEFT JOIN LATERAL (SELECT DISTINCT r.print FROM" \
	" @extschema@.upg_sketch_diff(CASE WHEN e.complete THEN $1 END, CASE WHEN" \
	" e.complete THEN $2 END) r) d ON true ORDER BY 3"

/*
 * diff_error
 *		Say on which side the current error happened.
 */
bool
diff_error(Side side)
{
	UpgBuf text;

	/* what cannot be compared is not different: an error of the question */
	if (strcmp(upg_error.sqlstate, "UP040") == 0 ||
		strcmp(upg_error.sqlstate, "UP041") == 0)
		upg_error.exit_code = UPG_EXIT_USAGE;
	buf_init(&text);
	buf_printf(&text, "%s: %s", diff_side_names[side], upg_error.what);
	free(upg_error.what);
	upg_error.what = text.data;
	return false;
}

/*
 * diff_forget
 *		Give the answers back.
 */
void
diff_forget(TableDiff *diff)
{
	for (int side = SOURCE; side <= TARGET; side++)
	{
		rows_free(diff->rows[side]);
		diff->rows[side] = NULL;
	}
}

/*
 * ask_both
 *		Ask both sides at once, each about its own table; the answers are in diff->rows,
 *		as text or as bytes.
 *
 * The first "nargs" parameters are those of the side, "more" follow.  If one side
 * fails, the other is told to stop.
 */
static bool
ask_both(TableDiff *diff, const char *sql, int nargs, int nmore, const char *const *more,
		 bool bytes)
{
	const char *params[ARG_COUNT + 4];

	diff_forget(diff);
	for (int side = SOURCE; side <= TARGET; side++)
	{
		memcpy(params, diff->args[side], (size_t) nargs * sizeof(char *));
		for (int i = 0; i < nmore; i++)
			params[nargs + i] = more[i];
		if (!(bytes ? conn_send_for_bytes : conn_send_params)(diff->conn[side], sql,
															  nargs + nmore, params))
			return diff_error((Side) side);
	}
	for (int side = SOURCE; side <= TARGET; side++)
	{
		diff->rows[side] = conn_receive(diff->conn[side]);
		if (diff->rows[side] == NULL)
		{
			conn_cancel(diff->conn[TARGET - side]);
			return diff_error((Side) side);
		}
	}
	return true;
}

/*
 * diff_ask_both
 *		The same for those who want text.
 */
bool
diff_ask_both(TableDiff *diff, const char *sql, int nargs, int nmore,
			  const char *const *more)
{
	return ask_both(diff, sql, nargs, nmore, more, false);
}

/*
 * column_hidden
 *		Is the value of a column not to be shown?
 */
static bool
column_hidden(const TableDiff *diff, const char *column)
{
	return list_has(&diff->hidden, "*") || list_has(&diff->hidden, column);
}

/*
 * shown_row
 *		A row's JSON with hidden values replaced by their prints; in the arena.
 *
 * "other": only members whose print differs from the one there.
 */
static const char *
shown_row(TableDiff *diff, const char *row, const char *prints, const char *other)
{
	UpgJsonDoc *doc = row ? json_parse(row) : NULL;
	UpgJsonDoc *mine = prints ? json_parse(prints) : NULL;
	UpgJsonDoc *theirs = other ? json_parse(other) : NULL;
	char number[32];
	const char *key;
	const char *value;
	const char *shown;
	UpgBuf text;
	UpgJson json;

	if (doc == NULL)
	{
		json_free(mine);
		json_free(theirs);
		return "null";
	}
	buf_init(&text);
	json_start(&json, &text);
	json_object(&json, NULL);
	for (int i = 0; json_member(doc, i, &key, &value); i++)
	{
		const char *print = mine ? json_get(mine, key, number, sizeof(number)) : NULL;
		const char *their = theirs ? json_get(theirs, key, number, sizeof(number)) : NULL;

		if (other != NULL &&
			(print == NULL ? their == NULL : their != NULL && strcmp(print, their) == 0))
			continue;
		if (value != NULL && column_hidden(diff, key))
			json_string(
				&json, key,
				arena_printf(diff->ctx->arena, "(hidden %.16s)", print ? print : ""));
		else
			json_string(&json, key, value);
	}
	json_object_end(&json);
	shown = arena_strdup(diff->ctx->arena, text.data);
	buf_free(&text);
	json_free(doc);
	json_free(mine);
	json_free(theirs);
	return shown;
}

/*
 * diff_show
 *		Print differences that are JSON objects and lines already; keep them for the
 *		journal, if there is one.
 */
void
diff_show(TableDiff *diff, const char *json, const char *text)
{
	if (json[0] == '\0')
		return;
	if (diff->ctx->json)
		json_raw(render_doc(), NULL, json);
	else
		render_text(diff->ctx, "%s", text);
	if (diff->journal == NULL)
		return;
	if (diff->range_json.len > 0)
		buf_addc(&diff->range_json, ',');
	buf_add(&diff->range_json, json);
	buf_add(&diff->range_text, text);
}

/*
 * report
 *		Print one difference; a row number of -1 means: not on that side.
 *
 * The same row on both sides: one has it more often.
 */
static void
report(TableDiff *diff, int source, int target)
{
	const UpgRows *a = diff->rows[SOURCE];
	const UpgRows *b = diff->rows[TARGET];
	int64_t copies_a = source >= 0 ? rows_int(a, source, "copies") : 0;
	int64_t copies_b = target >= 0 ? rows_int(b, target, "copies") : 0;
	bool both = source >= 0 && target >= 0;
	bool same = both && strcmp(rows_get(a, source, 1), rows_get(b, target, 1)) == 0;
	bool changed = both && !same;
	bool missing = !changed && copies_a > copies_b;
	const char *prints_a = source >= 0 ? rows_named(a, source, "column_prints") : NULL;
	const char *prints_b = target >= 0 ? rows_named(b, target, "column_prints") : NULL;
	const char *key = diff->args[TARGET][ARG_KEY] == NULL ? NULL
					  : source >= 0 ? rows_named(a, source, "row_key")
									: rows_named(b, target, "row_key");
	const char *shown_key =
		key ? shown_row(diff, key, prints_a ? prints_a : prints_b, NULL) : NULL;
	const char *row_a = NULL;
	const char *row_b = NULL;
	UpgBuf text;
	UpgBuf line;
	UpgJson json;

	if (changed || missing)
		row_a = shown_row(diff, rows_named(a, source, "row"), prints_a,
						  changed ? prints_b : NULL);
	if (!missing)
		row_b = shown_row(diff, rows_named(b, target, "row"), prints_b,
						  changed ? prints_a : NULL);
	diff->changed += changed;
	diff->missing += missing ? copies_a - copies_b : 0;
	diff->extra += !changed && !missing ? copies_b - copies_a : 0;
	buf_init(&text);
	json_start(&json, &text);
	json_object(&json, NULL);
	json_string(&json, "difference", changed ? "changed" : missing ? "missing" : "extra");
	json_raw(&json, "key", shown_key);
	json_raw(&json, "source", row_a);
	json_raw(&json, "target", row_b);
	json_int(&json, "source_copies", copies_a);
	json_int(&json, "target_copies", copies_b);
	json_object_end(&json);
	buf_init(&line);
	buf_printf(&line, "%-8s %s%s",
			   changed   ? "changed"
			   : missing ? "missing"
						 : "extra",
			   shown_key ? shown_key : "", shown_key ? "  " : "");
	if (changed)
		buf_printf(&line, "%s -> %s", row_a, row_b);
	else
		buf_add(&line, row_a ? row_a : row_b);
	if (copies_a > 1 || copies_b > 1)
		buf_printf(&line, "  (%" PRId64 " in the source, %" PRId64 " in the target)",
				   copies_a, copies_b);
	buf_addc(&line, '\n');
	diff_show(diff, text.data, line.data);
	buf_free(&text);
	buf_free(&line);
}

/*
 * state_of
 *		The rows of one key on both sides, as text that can be compared; NULL: equal.
 *
 * "at" moves behind them.
 */
static char *
state_of(const TableDiff *diff, const char *print, int at[2])
{
	UpgBuf sides[2];
	bool equal;

	for (int side = SOURCE; side <= TARGET; side++)
	{
		const UpgRows *rows = diff->rows[side];

		buf_init(&sides[side]);
		for (; at[side] < rows_count(rows) &&
			   strcmp(rows_get(rows, at[side], 0), print) == 0;
			 at[side]++)
			buf_printf(&sides[side], "%s*%s ", rows_get(rows, at[side], 1),
					   rows_named(rows, at[side], "copies"));
	}
	equal = strcmp(sides[SOURCE].data, sides[TARGET].data) == 0;
	buf_addc(&sides[SOURCE], '/');
	buf_add(&sides[SOURCE], sides[TARGET].data);
	buf_free(&sides[TARGET]);
	if (!equal)
		return sides[SOURCE].data;
	buf_free(&sides[SOURCE]);
	return NULL;
}

/*
 * report_key
 *		Print what differs among the rows of one key, which begin at "at".
 */
static void
report_key(TableDiff *diff, const char *print, const int at[2])
{
	const UpgRows *a = diff->rows[SOURCE];
	const UpgRows *b = diff->rows[TARGET];
	int i = at[SOURCE];
	int k = at[TARGET];
	int one = -1;
	int other = -1;
	int ones = 0;
	int others = 0;

	for (int pass = 0; pass < 2; pass++)
	{
		i = at[SOURCE];
		k = at[TARGET];
		for (;;)
		{
			bool more_a = i < rows_count(a) && strcmp(rows_get(a, i, 0), print) == 0;
			bool more_b = k < rows_count(b) && strcmp(rows_get(b, k, 0), print) == 0;
			int order;

			if (!more_a && !more_b)
				break;
			order = !more_a   ? 1
					: !more_b ? -1
							  : strcmp(rows_get(a, i, 1), rows_get(b, k, 1));
			if (order == 0 && rows_int(a, i, "copies") == rows_int(b, k, "copies"))
				;
			else if (pass == 1 && order == 0)
				report(diff, i, k); /* not as often */
			else if (pass == 1)
				report(diff, order < 0 ? i : -1, order < 0 ? -1 : k);
			else
			{
				ones += order <= 0;
				others += order >= 0;
				one = order <= 0 ? i : one;
				other = order >= 0 ? k : other;
			}
			i += order <= 0;
			k += order >= 0;
		}
		if (pass == 0 && diff->args[TARGET][ARG_KEY] != NULL && ones == 1 && others == 1)
		{
			report(diff, one, other);
			return;
		}
	}
}

/*
 * look_again
 *		Read the suspects on both sides, as often as told, and report what differs.
 */
static bool
look_again(TableDiff *diff, const char *const *prints, int n)
{
	Suspect *suspects = xmalloc((size_t) n * sizeof(Suspect));
	UpgList wanted = {NULL, 0, 0};
	UpgBuf literal;
	const char *more;
	bool ok = true;
	int at[2] = {0, 0};

	memset(suspects, 0, (size_t) n * sizeof(Suspect));
	for (int i = 0; i < n; i++)
		list_add(&wanted, prints[i]);
	buf_init(&literal);
	array_literal(&literal, &wanted);
	more = literal.data;
	for (int64_t round = 0; ok && round <= diff->rounds; round++)
	{
		if (round > 0)
			run_sleep((int) diff->interval);
		ok = diff_ask_both(diff, ROWS_CALL, ARG_COUNT, 1, &more);
		at[SOURCE] = at[TARGET] = 0;
		for (int i = 0; ok && i < n; i++)
		{
			char *state = state_of(diff, prints[i], at);

			suspects[i].same =
				round == 0 || (state != NULL && suspects[i].state != NULL &&
							   strcmp(state, suspects[i].state) == 0);
			free(suspects[i].state);
			suspects[i].state = state;
		}
	}
	at[SOURCE] = at[TARGET] = 0;
	for (int i = 0; ok && i < n; i++)
	{
		int from[2] = {at[SOURCE], at[TARGET]};

		free(state_of(diff, prints[i], at));
		if (suspects[i].state == NULL)
			continue;
		if (suspects[i].same)
			report_key(diff, prints[i], from);
		else
			diff->unsettled++;
	}
	for (int i = 0; i < n; i++)
		free(suspects[i].state);
	free(suspects);
	buf_free(&literal);
	list_free(&wanted);
	return ok;
}

/*
 * compare_part
 *		Compare one part of the keys; *need is set if the sketches were too small.
 */
static bool
compare_part(TableDiff *diff, int64_t cells, int part, int parts, int64_t *need)
{
	const char *more[3];
	const char *sketches[2];
	int lengths[2];
	UpgArena *arena = diff->ctx->arena;
	UpgRows *rows;
	UpgList prints = {NULL, 0, 0};
	bool ok;
	UpgRows *kept[2];

	*need = 0;
	more[0] = arena_printf(arena, "%" PRId64, cells);
	more[1] = arena_printf(arena, "%d", part);
	more[2] = arena_printf(arena, "%d", parts);
	if (!ask_both(diff, SKETCH_CALL, ARG_COUNT, 3, more, true))
		return false;
	for (int side = SOURCE; side <= TARGET; side++)
	{
		kept[side] = diff->rows[side];
		diff->rows[side] = NULL;
		sketches[side] = rows_get(kept[side], 0, 0);
		lengths[side] = rows_length(kept[side], 0, 0);
	}
	rows = conn_query_bytes(diff->conn[TARGET], TAKE_APART_CALL, sketches, lengths);
	ok = rows != NULL || diff_error(TARGET);
	if (ok && !rows_bool(rows, 0, "complete"))
	{
		*need = rows_int(rows, 0, "cells_needed");
		if (*need <= cells)
			*need = cells * 2;
	}
	else if (ok)
	{
		for (int side = SOURCE; side <= TARGET; side++)
			diff->count[side] += rows_int(kept[side], 0, "row_count");
		for (int i = 0; i < rows_count(rows) && rows_named(rows, i, "print"); i++)
			list_add(&prints, rows_named(rows, i, "print"));
		for (int i = 0; ok && i < prints.count; i += CHUNK)
			ok = look_again(diff, prints.items + i,
							prints.count - i < CHUNK ? prints.count - i : CHUNK);
		list_free(&prints);
	}
	rows_free(rows);
	rows_free(kept[SOURCE]);
	rows_free(kept[TARGET]);
	return ok;
}

/*
 * diff_table
 *		The whole table: one part, or as many as it takes.
 */
bool
diff_table(TableDiff *diff)
{
	int64_t cells = FIRST_CELLS;
	int parts = 1;

	for (int part = 0; part < parts;)
	{
		int64_t need;

		if (!compare_part(diff, cells, part, parts, &need))
			return false;
		if (need == 0)
			part++;
		else if (need <= MOST_CELLS)
			cells = need;
		else if (parts == 1)
		{
			/* nothing was reported yet: begin anew, by parts of the keys */
			parts = (int) (need / (MOST_CELLS / 2) + 1 < MOST_PARTS
							   ? need / (MOST_CELLS / 2) + 1
							   : MOST_PARTS);
			cells = MOST_CELLS;
		}
		else
		{
			err_set(UPG_EXIT_FAILED, "UPG-2029",
					"the tables differ in too many rows to list them");
			err_why("Part %d of %d of the keys alone needs %" PRId64 " cells.", part,
					parts, need);
			err_fix("Compare parts of the table with --filter.");
			return false;
		}
		if (need > 0)
			log_verbose("the sketches were too small: %" PRId64 " cells, %d parts", cells,
						parts);
	}
	return true;
}
