/*-------------------------------------------------------------------------
 *
 * table_report.c
 *		Comparing one table in two databases: printing what differs.
 *
 *  Rows come with their short values; which of the long ones are wanted is known when it
 *  is known what differs, so a first pass over the rows of some keys only says that, and
 *  a second one prints.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/table_report.c
 *
 *-------------------------------------------------------------------------
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "run.h"
#include "table_diff.h"

/*
 * diff_report_begin
 *		Get ready for rows of these columns.
 */
void
diff_report_begin(TableDiff *diff)
{
	/* a side without rows does not say which columns they have */
	const PackedRows *packed =
		&diff->packed[diff->packed[SOURCE].count > 0 ? SOURCE : TARGET];
	size_t n = (size_t) packed->ncolumns + 1;

	diff_report_end(diff);
	diff->columns = packed;
	diff->hide = xmalloc(n * sizeof(bool));
	diff->wanted = xmalloc(n * sizeof(bool));
	diff->shown = xmalloc(n * sizeof(bool));
	for (int side = SOURCE; side <= TARGET; side++)
		diff->values[side] = xmalloc(n * sizeof(PackedValue));
	memset(diff->wanted, 0, n * sizeof(bool));
	for (int c = 0; c < packed->ncolumns; c++)
		diff->hide[c] =
			list_has(&diff->hidden, "*") || list_has(&diff->hidden, packed->names[c]);
}

/*
 * diff_report_end
 *		Give back what diff_report_begin() took.
 */
void
diff_report_end(TableDiff *diff)
{
	free(diff->hide);
	free(diff->wanted);
	free(diff->shown);
	free(diff->values[SOURCE]);
	free(diff->values[TARGET]);
	diff->hide = diff->wanted = diff->shown = NULL;
	diff->values[SOURCE] = diff->values[TARGET] = NULL;
}

/*
 * diff_show
 *		Print differences that are JSON objects and lines already; keep them for the
 *		journal, if there is one.
 */
void
diff_show(TableDiff *diff, const char *json, const char *text)
{
	if (diff->ctx->json && json[0] != '\0')
		json_raw(render_doc(), NULL, json);
	else if (!diff->ctx->json && text[0] != '\0')
		render_text(diff->ctx, "%s", text);
	if (diff->journal == NULL || json[0] == '\0')
		return;
	if (diff->range_json.len > 0)
		buf_addc(&diff->range_json, ',');
	buf_add(&diff->range_json, json);
	buf_add(&diff->range_text, text);
}

/*
 * get_values
 *		The columns of a row; what was left out is taken from where it was asked for
 *		since.
 */
static void
get_values(TableDiff *diff, Side side, int row)
{
	PackedValue *values = diff->values[side];
	const PackedRows *packed = &diff->packed[side];
	const PackedRows *longer = &diff->longer[side];
	bool left_out = false;

	packed_values(packed, row, values);
	for (int c = 0; c < packed->ncolumns; c++)
		left_out |= !values[c].null && values[c].text == NULL;
	if (left_out && longer->count > 0)
	{
		int again = packed_find(longer, &packed->rows[row]);
		PackedValue *all = xmalloc(((size_t) packed->ncolumns + 1) * sizeof(*all));

		if (again >= 0)
		{
			packed_values(longer, again, all);
			for (int c = 0; c < packed->ncolumns; c++)
				if (all[c].text != NULL)
					values[c].text = all[c].text;
		}
		free(all);
	}
}

/*
 * want
 *		Note which values have to be asked for to show these columns.
 */
static void
want(TableDiff *diff, Side side, const bool *which)
{
	for (int c = 0; c < diff->packed[side].ncolumns; c++)
	{
		const PackedValue *value = &diff->values[side][c];

		if ((which == NULL || which[c]) && !diff->hide[c] && !value->null &&
			value->text == NULL)
			diff->wanted[c] = diff->want_more = true;
	}
}

/*
 * put_columns
 *		Some columns of a row as a JSON object; hidden ones as their prints.
 */
static void
put_columns(UpgBuf *out, TableDiff *diff, Side side, const int *columns, int count,
			const bool *which)
{
	UpgJson json;

	buf_reset(out);
	json_start(&json, out);
	json_object(&json, NULL);
	for (int i = 0; i < count; i++)
	{
		int c = columns[i];
		const PackedValue *value = &diff->values[side][c];
		char hidden[32];

		if (which != NULL && !which[c])
			continue;
		snprintf(hidden, sizeof(hidden), "(hidden %016" PRIx64 ")", value->print);
		json_string(&json, diff->packed[side].names[c],
					value->null                            ? NULL
					: diff->hide[c] || value->text == NULL ? hidden
														   : value->text);
	}
	json_object_end(&json);
}

/*
 * print
 *		Print one difference, whose parts are there as text.
 */
static void
print(TableDiff *diff, const char *what, const char *key, const char *row_a,
	  const char *row_b, uint32_t copies_a, uint32_t copies_b)
{
	UpgBuf *text = &diff->json_text;
	UpgBuf *line = &diff->line;
	UpgJson json;

	buf_reset(text);
	buf_reset(line);
	buf_add(text, "");
	buf_add(line, "");
	if (diff->ctx->json || diff->journal != NULL)
	{
		json_start(&json, text);
		json_object(&json, NULL);
		json_string(&json, "difference", what);
		json_raw(&json, "key", key);
		json_raw(&json, "source", row_a ? row_a : "null");
		json_raw(&json, "target", row_b ? row_b : "null");
		json_int(&json, "source_copies", copies_a);
		json_int(&json, "target_copies", copies_b);
		json_object_end(&json);
	}
	if (!diff->ctx->json || diff->journal != NULL)
	{
		buf_add(line, what);
		while (line->len < 9)
			buf_addc(line, ' ');
		if (key != NULL)
		{
			buf_add(line, key);
			buf_add(line, "  ");
		}
		buf_add(line, row_a ? row_a : row_b);
		if (row_a != NULL && row_b != NULL)
		{
			buf_add(line, " -> ");
			buf_add(line, row_b);
		}
		if (copies_a > 1 || copies_b > 1)
			buf_printf(line, "  (%" PRIu32 " in the source, %" PRIu32 " in the target)",
					   copies_a, copies_b);
		buf_addc(line, '\n');
	}
	diff_show(diff, text->data, line->data);
}

/*
 * report
 *		Print one difference, or say which long values are wanted for that; a row number
 *		of -1 means: not on that side.
 *
 * The same row on both sides: one has it more often.
 */
static void
report(TableDiff *diff, int source, int target, bool only_want)
{
	const PackedRows *a = &diff->packed[SOURCE];
	const PackedRows *b = &diff->packed[TARGET];
	uint32_t copies_a = source >= 0 ? a->rows[source].copies : 0;
	uint32_t copies_b = target >= 0 ? b->rows[target].copies : 0;
	bool both = source >= 0 && target >= 0;
	bool changed =
		both && memcmp(a->rows[source].hash, b->rows[target].hash, PRINT_SIZE) != 0;
	bool missing = !changed && copies_a > copies_b;
	Side side = source >= 0 ? SOURCE : TARGET;
	bool keyed = diff->args[TARGET][ARG_KEY] != NULL;
	const bool *which = changed ? diff->shown : NULL;

	if (source >= 0)
		get_values(diff, SOURCE, source);
	if (target >= 0)
		get_values(diff, TARGET, target);
	for (int c = 0; changed && c < a->ncolumns; c++)
	{
		const PackedValue *x = &diff->values[SOURCE][c];
		const PackedValue *y = &diff->values[TARGET][c];

		diff->shown[c] = x->null != y->null || x->print != y->print;
	}
	if (only_want)
	{
		if (changed || missing)
			want(diff, SOURCE, which);
		if (!missing)
			want(diff, TARGET, which);
		for (int k = 0; keyed && k < a->nkeys; k++)
			if (changed && diff->values[side][a->keys[k]].text == NULL &&
				!diff->values[side][a->keys[k]].null && !diff->hide[a->keys[k]])
				diff->wanted[a->keys[k]] = diff->want_more = true;
		return;
	}
	if (keyed)
		put_columns(&diff->key_text, diff, side, diff->packed[side].keys,
					diff->packed[side].nkeys, NULL);
	if (changed || missing)
		put_columns(&diff->row_text[SOURCE], diff, SOURCE, a->order, a->ncolumns, which);
	if (!missing)
		put_columns(&diff->row_text[TARGET], diff, TARGET, b->order, b->ncolumns, which);
	diff->changed += changed;
	diff->missing += missing ? copies_a - copies_b : 0;
	diff->extra += !changed && !missing ? copies_b - copies_a : 0;
	print(diff,
		  changed   ? "changed"
		  : missing ? "missing"
					: "extra",
		  keyed ? diff->key_text.data : NULL,
		  changed || missing ? diff->row_text[SOURCE].data : NULL,
		  missing ? NULL : diff->row_text[TARGET].data, copies_a, copies_b);
}

/*
 * diff_report_key
 *		Print what differs among the rows of one key, which begin at "at"; or only say
 *		which long values are wanted.
 */
void
diff_report_key(TableDiff *diff, const unsigned char *print, const int at[2],
				bool only_want)
{
	const PackedRows *a = &diff->packed[SOURCE];
	const PackedRows *b = &diff->packed[TARGET];
	int one = -1;
	int other = -1;
	int ones = 0;
	int others = 0;

	for (int pass = 0; pass < 2; pass++)
	{
		int i = at[SOURCE];
		int k = at[TARGET];

		for (;;)
		{
			bool more_a =
				i < a->count && memcmp(a->rows[i].print, print, PRINT_SIZE) == 0;
			bool more_b =
				k < b->count && memcmp(b->rows[k].print, print, PRINT_SIZE) == 0;
			int order;

			if (!more_a && !more_b)
				break;
			order = !more_a   ? 1
					: !more_b ? -1
							  : memcmp(a->rows[i].hash, b->rows[k].hash, PRINT_SIZE);
			if (order == 0 && a->rows[i].copies == b->rows[k].copies)
				;
			else if (pass == 1 && order == 0)
				report(diff, i, k, only_want); /* not as often */
			else if (pass == 1)
				report(diff, order < 0 ? i : -1, order < 0 ? -1 : k, only_want);
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
			report(diff, one, other, only_want);
			return;
		}
	}
}
