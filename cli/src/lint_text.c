/*-------------------------------------------------------------------------
 *
 * lint_text.c
 *		Words for what a down script leaves behind; the summary.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/lint_text.c
 *
 *-------------------------------------------------------------------------
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lint.h"

/* Values longer than this are shown by their beginning. */
#define SHOWN_STATEMENT 200 /* of what would make an object again */

static const struct
{
	const char *name;
	const char *meaning;
} verdicts[UPG_VERDICTS] = {
	{"exact", "schema and rows are what they were before"},
	{"untested", "the up does not apply here, so nothing can be said"},
	{"none", "there is no down"},
	{"differs", "all rows are back, but the schema is not what it was"},
	{"lossy", "rows or values are lost, changed or left behind"},
	{"fails", "the down does not run"},
};

/* verdict_name, verdict_meaning: a verdict in a word, and in a sentence. */
const char *
verdict_name(UpgVerdict verdict)
{
	return verdicts[verdict].name;
}

const char *
verdict_meaning(UpgVerdict verdict)
{
	return verdicts[verdict].meaning;
}

/*
 * add_part
 *		The first bytes of a text, on one line and not more than "most".
 */
static void
add_part(UpgBuf *out, const char *text, size_t len, size_t most)
{
	bool cut = len > most;

	if (cut)
	{
		len = most;
		while (len > 0 && ((unsigned char) text[len] & 0xC0) == 0x80)
			len--;
	}
	for (size_t i = 0; i < len; i++)
		buf_addc(out,
				 text[i] == '\n' || text[i] == '\t' || text[i] == '\r' ? ' ' : text[i]);
	if (cut)
		buf_add(out, "...");
}

/*
 * add_value
 *		A value, on one line and not too long.
 */
static void
add_value(UpgBuf *out, const char *value)
{
	add_part(out, value, strlen(value), LINT_VALUE_SHOWN);
}

/*
 * add_around
 *		The line of "text" that holds the byte "at"; of a long one the part around it.
 */
static void
add_around(UpgBuf *out, const char *text, size_t at)
{
	size_t begin = at;
	size_t end = at + strcspn(text + at, "\n");

	while (begin > 0 && text[begin - 1] != '\n')
		begin--;
	begin += strspn(text + begin, " \t");
	if (end - begin > LINT_VALUE_SHOWN && at > begin + LINT_VALUE_SHOWN / 3)
	{
		size_t word = at - LINT_VALUE_SHOWN / 3;

		/* from the beginning of a word, if there is one */
		begin = word;
		while (word < at && text[word] != ' ')
			word++;
		if (word + 1 < at)
			begin = word + 1;
		while (begin > 0 && ((unsigned char) text[begin] & 0xC0) == 0x80)
			begin--;
		buf_add(out, "...");
	}
	if (end <= begin)
		buf_add(out, "an empty line");
	else
		add_part(out, text + begin, end - begin, LINT_VALUE_SHOWN);
}

/*
 * add_difference
 *		Where two long texts, like the bodies of functions, part.
 */
static void
add_difference(UpgBuf *out, const char *was, const char *is_now)
{
	size_t at = 0;
	int line = 1;

	while (was[at] != '\0' && was[at] == is_now[at])
		line += was[at++] == '\n';
	if (strchr(was, '\n') != NULL || strchr(is_now, '\n') != NULL)
		buf_printf(out, " in line %d", line);
	buf_add(out, ": was ");
	add_around(out, was, at);
	buf_add(out, ", is ");
	add_around(out, is_now, at);
}

/*
 * schema_text
 *		A finding about an object.
 */
static void
schema_text(UpgBuf *out, const UpgFinding *f)
{
	buf_add(out, f->object);
	if (strcmp(f->change, "missing") == 0)
	{
		buf_add(out, " is not restored");
		if (f->was != NULL)
		{
			buf_add(out, ": ");
			add_part(out, f->was, strlen(f->was), SHOWN_STATEMENT);
		}
		return;
	}
	if (strcmp(f->change, "extra") == 0)
	{
		buf_add(out, " is left behind");
		return;
	}
	if (f->was != NULL && f->is_now != NULL &&
		(strcmp(f->attribute, "body") == 0 || strcmp(f->attribute, "definition") == 0 ||
		 strlen(f->was) > LINT_VALUE_SHOWN || strlen(f->is_now) > LINT_VALUE_SHOWN))
	{
		buf_printf(out, ": %s is not as before", f->attribute);
		add_difference(out, f->was, f->is_now);
		return;
	}
	buf_printf(out, ": %s ", f->attribute);
	if (f->is_now == NULL)
	{
		if (strcmp(f->was, "yes") != 0)
			add_value(out, f->was);
		buf_add(out, strcmp(f->was, "yes") != 0 ? " is lost" : "is lost");
	}
	else if (f->was == NULL)
	{
		if (strcmp(f->is_now, "yes") != 0)
			add_value(out, f->is_now);
		buf_add(out, strcmp(f->is_now, "yes") != 0 ? " is new" : "is new");
	}
	else
	{
		buf_add(out, "was ");
		add_value(out, f->was);
		buf_add(out, ", is ");
		add_value(out, f->is_now);
	}
}

/*
 * data_text
 *		A finding about rows.
 */
static void
data_text(UpgBuf *out, const UpgFinding *f)
{
	const char *mark = ": ";

	if (strcmp(f->change, "sequence") == 0)
	{
		buf_printf(out, "sequence %s goes on at %s, was at %s", f->object, f->is_now,
				   f->was);
		return;
	}
	buf_printf(out, "table %s", f->object);
	if (strcmp(f->change, "table") == 0)
	{
		buf_printf(out, " is gone with its %" PRId64 " row%s", f->rows_was,
				   f->rows_was == 1 ? "" : "s");
		return;
	}
	if (f->attribute == NULL)
	{
		if (f->lost > 0)
		{
			buf_printf(out, "%s%" PRId64 " of %" PRId64 " row%s lost", mark, f->lost,
					   f->rows_was, f->rows_was == 1 ? "" : "s");
			mark = ", ";
		}
		if (f->added > 0)
			buf_printf(out, "%s%" PRId64 " row%s left behind", mark, f->added,
					   f->added == 1 ? "" : "s");
		return;
	}
	buf_printf(out, ", column %s: ", f->attribute);
	if (strcmp(f->turned, "gone") == 0)
	{
		buf_printf(out, "gone with %" PRId64 " value%s", f->in_column,
				   f->in_column == 1 ? "" : "s");
		return;
	}
	buf_printf(out, "%" PRId64 " of %" PRId64 " value%s ", f->in_column, f->rows_was,
			   f->rows_was == 1 ? "" : "s");
	if (strcmp(f->turned, "null") == 0)
		buf_add(out, "lost, null now");
	else if (strcmp(f->turned, "one value") == 0 && f->in_column > 1)
	{
		buf_add(out, "lost, all are now ");
		add_value(out, f->is_now ? f->is_now : "null");
	}
	else
	{
		buf_add(out, "changed");
		buf_add(out, ", for example from ");
		add_value(out, f->was ? f->was : "null");
		buf_add(out, " to ");
		add_value(out, f->is_now ? f->is_now : "null");
	}
}

/*
 * finding_text
 *		One finding as a sentence without a period.
 */
void
finding_text(UpgBuf *out, const UpgFinding *finding)
{
	if (finding->data)
		data_text(out, finding);
	else
		schema_text(out, finding);
}

/*
 * has_words
 *		Does the finding say anything that its neighbours do not?
 *
 * Of a table whose rows only changed, each column has a finding of its own.
 */
static bool
has_words(const UpgFinding *f)
{
	return !f->data || f->attribute != NULL || strcmp(f->change, "table") == 0 ||
		   f->lost > 0 || f->added > 0;
}

/*
 * add_fault
 *		A line for a script that does not run.
 */
static void
add_fault(UpgArena *arena, UpgList *lines, const char *script,
		  const UpgScriptFault *fault)
{
	list_add(lines,
			 arena_printf(arena, "%s: %s%s%s", script, fault->where ? fault->where : "",
						  fault->where ? ": " : "", fault->what));
}

/*
 * lint_lines
 *		All that is to be said of one migration, a line each.
 */
void
lint_lines(const UpgLintResult *result, UpgArena *arena, UpgList *lines)
{
	if (result->up_fault.what != NULL)
		add_fault(arena, lines, "the up does not apply", &result->up_fault);
	if (result->down_fault.what != NULL)
		add_fault(arena, lines, "the down fails", &result->down_fault);
	if (result->down_empty && result->verdict != UPG_VERDICT_EXACT)
		list_add(lines, "the down holds no statement");
	for (int i = 0; i < result->finding_count; i++)
	{
		const UpgFinding *f = &result->findings[i];
		UpgFinding rows = *f;
		UpgBuf text;

		buf_init(&text);
		/* rows lost or left behind are told once, before the columns */
		rows.attribute = NULL;
		if (f->data && f->attribute != NULL && has_words(&rows) &&
			(i == 0 || !result->findings[i - 1].data ||
			 strcmp(result->findings[i - 1].object, f->object) != 0))
		{
			finding_text(&text, &rows);
			list_add(lines, arena_strdup(arena, text.data));
			buf_reset(&text);
		}
		if (has_words(f))
		{
			finding_text(&text, f);
			list_add(lines, arena_strdup(arena, text.data));
		}
		buf_free(&text);
	}
	if (result->again_fault.what != NULL)
		add_fault(arena, lines, "the up cannot be applied again after the down",
				  &result->again_fault);
	for (int i = 0; i < result->notes.count; i++)
		list_add(lines, arena_printf(arena, "note: %s", result->notes.items[i]));
}

/*
 * lint_file_of
 *		File and line of "file:line".
 */
const char *
lint_file_of(UpgArena *arena, const char *where, int *line)
{
	const char *colon = strrchr(where, ':');

	*line = 1;
	if (colon == NULL || colon[1] == '\0' ||
		strspn(colon + 1, "0123456789") < strlen(colon + 1))
		return where;
	*line = atoi(colon + 1);
	return arena_strndup(arena, where, (size_t) (colon - where));
}

/*
 * percent
 *		A share in whole percents, rounded.
 */
static int
percent(int part, int whole)
{
	return whole == 0 ? 0 : (part * 200 + whole) / (2 * whole);
}

/*
 * lint_summary
 *		The figures of the whole directory.
 */
void
lint_summary(const UpgLintReport *report, UpgArena *arena, UpgList *lines)
{
	const int *v = report->verdicts;

	list_add(lines,
			 arena_printf(arena, "%d migration%s, %d down%s run in %.1f s", report->count,
						  report->count == 1 ? "" : "s", report->downs,
						  report->downs == 1 ? "" : "s", (double) report->ms / 1000));
	if (report->passed_over > 0)
		list_add(lines,
				 arena_printf(arena, "%d before them only applied", report->passed_over));
	for (int i = 0; i < UPG_VERDICTS; i++)
	{
		if (v[i] == 0)
			continue;
		if (i == UPG_VERDICT_UNTESTED || i == UPG_VERDICT_NONE)
			list_add(lines, arena_printf(arena, "%6d       %-8s  %s", v[i],
										 verdict_name((UpgVerdict) i),
										 verdict_meaning((UpgVerdict) i)));
		else
			list_add(lines, arena_printf(arena, "%6d %3d%%  %-8s  %s", v[i],
										 percent(v[i], report->downs),
										 verdict_name((UpgVerdict) i),
										 verdict_meaning((UpgVerdict) i)));
	}
	if (report->downs > 0)
		list_add(lines,
				 arena_printf(arena, "the schema is exactly restored by %d of %d (%d%%)",
							  report->schema_exact, report->downs,
							  percent(report->schema_exact, report->downs)));
	if (report->destroying > 0)
		list_add(lines, arena_printf(
							arena,
							"ups that change or drop rows: %d, of which %d get them back "
							"(%d%%)",
							report->destroying, report->restored,
							percent(report->restored, report->destroying)));
	if (report->without_rows > 0)
		list_add(lines,
				 arena_printf(arena,
							  "%d could only be tried on empty tables: what they do to "
							  "rows is not known",
							  report->without_rows));
	if (report->known > 0)
		list_add(lines,
				 arena_printf(arena, "%d as bad as the baseline has it, not counted",
							  report->known));
	for (int i = 0; i < report->better.count; i++)
		list_add(lines,
				 arena_printf(arena, "the baseline is old: %s", report->better.items[i]));
}
