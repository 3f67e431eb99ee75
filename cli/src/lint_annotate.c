/*-------------------------------------------------------------------------
 *
 * lint_annotate.c
 *		The findings of the lint as lines that editors and CI show beside the code.
 *
 * "gcc": FILE:LINE: error: TEXT, which editors and problem matchers understand.
 * "github": workflow commands of GitHub Actions.  One line for each migration that is
 * not exact: an error if it makes the command fail, else a warning.  What the baseline
 * knows, and a down that nobody wants, are passed over.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/lint_annotate.c
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>
#include <unistd.h>

#include "lint.h"

#define PATH_SIZE 4096

/*
 * file_here
 *		A path below the current directory made relative: in CI that is the root of the
 *		repository, and annotations are found by such paths only.
 */
static const char *
file_here(const char *file)
{
	char here[PATH_SIZE];

	if (*file == '/' && getcwd(here, sizeof(here)) != NULL && str_starts(file, here) &&
		file[strlen(here)] == '/')
		file += strlen(here) + 1;
	return str_starts(file, "./") ? file + 2 : file;
}

/*
 * add_command
 *		Text inside of a workflow command; in a property ":" and "," mean something.
 */
static void
add_command(UpgBuf *out, const char *text, bool property)
{
	for (; *text; text++)
		if (*text == '%' || *text == '\r' || *text == '\n' ||
			(property && (*text == ':' || *text == ',')))
			buf_printf(out, "%%%02X", (unsigned char) *text);
		else
			buf_addc(out, *text);
}

/*
 * add_line
 *		One migration.
 */
static void
add_line(UpgBuf *out, UpgArena *arena, const UpgLintResult *r, bool failed, bool github)
{
	int line;
	const char *file = file_here(lint_file_of(arena, r->where, &line));
	UpgList lines;
	UpgBuf text;

	memset(&lines, 0, sizeof(lines));
	lint_lines(r, arena, &lines);
	buf_init(&text);
	for (int i = 0; i < lines.count; i++)
		buf_printf(&text, "%s%s", i == 0 ? "" : github ? "\n" : "; ", lines.items[i]);
	if (lines.count == 0)
		buf_add(&text, verdict_meaning(r->verdict));
	list_free(&lines);
	if (github)
	{
		buf_printf(out, "::%s file=", failed ? "error" : "warning");
		add_command(out, file, true);
		buf_printf(out, ",line=%d,title=", line);
		add_command(
			out, arena_printf(arena, "down of %s: %s", r->name, verdict_name(r->verdict)),
			true);
		buf_add(out, "::");
		add_command(out, text.data, false);
	}
	else
	{
		buf_printf(out, "%s:%d: %s: %s: ", file, line, failed ? "error" : "warning",
				   verdict_name(r->verdict));
		for (const char *p = text.data; *p; p++)
			buf_addc(out, *p == '\n' || *p == '\r' ? ' ' : *p);
	}
	buf_addc(out, '\n');
	buf_free(&text);
}

/*
 * lint_annotate
 *		All of it.
 */
void
lint_annotate(UpgBuf *out, const UpgLintReport *report, const UpgLintPolicy *policy,
			  const char *form)
{
	UpgArena *arena = arena_new();

	for (int i = 0; i < report->count; i++)
	{
		const UpgLintResult *r = &report->results[i];

		bool failed = lint_breaks(r, policy);

		if (r->verdict == UPG_VERDICT_EXACT ||
			(!failed && (r->known || r->verdict == UPG_VERDICT_NONE)))
			continue;
		add_line(out, arena, r, failed, strcmp(form, "github") == 0);
	}
	arena_free(arena);
}
