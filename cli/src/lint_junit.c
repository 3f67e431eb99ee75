/*-------------------------------------------------------------------------
 *
 * lint_junit.c
 *		The report of the lint as JUnit XML.
 *
 * A test case is a migration.  What breaks the policy of --fail-on is a failure, a
 * migration that could not be tried is skipped, and what is found but allowed is
 * printed as output of its case.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/lint_junit.c
 *
 *-------------------------------------------------------------------------
 */
#include <inttypes.h>
#include <string.h>

#include "lint.h"

/*
 * add_xml
 *		Text inside of an element or of an attribute; what XML cannot hold is a "?".
 */
static void
add_xml(UpgBuf *out, const char *text)
{
	for (; *text; text++)
	{
		unsigned char c = (unsigned char) *text;

		if (c == '&')
			buf_add(out, "&amp;");
		else if (c == '<')
			buf_add(out, "&lt;");
		else if (c == '>')
			buf_add(out, "&gt;");
		else if (c == '"')
			buf_add(out, "&quot;");
		else if (c == '\n')
			buf_add(out, "&#10;");
		else
			buf_addc(out, c < 32 && c != '\t' ? '?' : (char) c);
	}
}

/*
 * lint_junit
 *		The report as one test suite.
 */
void
lint_junit(UpgBuf *out, const UpgLintReport *report, const UpgLintPolicy *policy)
{
	UpgArena *arena = arena_new();
	int failures = lint_failures(report, policy);
	int skipped = 0;

	for (int i = 0; i < report->count; i++)
		skipped += report->results[i].verdict == UPG_VERDICT_UNTESTED &&
				   !lint_breaks(&report->results[i], policy);
	buf_add(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
	buf_printf(out,
			   "<testsuites tests=\"%d\" failures=\"%d\" skipped=\"%d\" time=\"%.3f\">\n",
			   report->count, failures, skipped, (double) report->ms / 1000);
	buf_add(out, "<testsuite name=\"");
	add_xml(out, report->directory);
	buf_printf(out,
			   "\" tests=\"%d\" failures=\"%d\" errors=\"0\" skipped=\"%d\" "
			   "time=\"%.3f\">\n",
			   report->count, failures, skipped, (double) report->ms / 1000);
	for (int i = 0; i < report->count; i++)
	{
		const UpgLintResult *r = &report->results[i];
		UpgList lines;
		int line;
		bool failed = lint_breaks(r, policy);
		const char *element = failed                               ? "failure"
							  : r->verdict == UPG_VERDICT_UNTESTED ? "skipped"
																   : "system-out";

		memset(&lines, 0, sizeof(lines));
		lint_lines(r, arena, &lines);
		buf_add(out, "<testcase classname=\"downs\" name=\"");
		add_xml(out, r->name);
		buf_add(out, "\" file=\"");
		add_xml(out, lint_file_of(arena, r->where, &line));
		buf_printf(out, "\" line=\"%d\" time=\"%.3f\"", line, (double) r->ms / 1000);
		if (!failed && lines.count == 0 && r->verdict != UPG_VERDICT_UNTESTED)
			buf_add(out, "/>\n");
		else
		{
			buf_printf(out, ">\n<%s", element);
			if (strcmp(element, "system-out") != 0)
			{
				buf_add(out, " message=\"");
				add_xml(out, verdict_meaning(r->verdict));
				if (lines.count > 0)
				{
					buf_add(out, ": ");
					add_xml(out, lines.items[0]);
				}
				buf_addc(out, '"');
			}
			if (failed)
				buf_printf(out, " type=\"%s\"", verdict_name(r->verdict));
			buf_addc(out, '>');
			for (int k = 0; k < lines.count; k++)
			{
				add_xml(out, lines.items[k]);
				buf_addc(out, '\n');
			}
			buf_printf(out, "</%s>\n</testcase>\n", element);
		}
		list_free(&lines);
	}
	buf_add(out, "</testsuite>\n</testsuites>\n");
	arena_free(arena);
}
