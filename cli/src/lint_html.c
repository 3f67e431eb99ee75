/*-------------------------------------------------------------------------
 *
 * lint_html.c
 *		The report of the lint as one page of HTML that needs nothing else.
 *
 * No script runs in it and nothing is fetched, so that it can be shown by any CI as
 * an artifact and sent by mail.  The files of what is not exact are in it, so that who
 * reads it need not look for them.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/lint_html.c
 *
 *-------------------------------------------------------------------------
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fsutil.h"
#include "lint.h"
#include "log.h"

/* Of a longer file the page shows the beginning. */
#define SOURCE_MAX 20000

static const char style[] =
	":root{--bg:#fff;--fg:#1d2733;--dim:#5d6b7a;--line:#dfe5ec;--card:#f6f8fa;"
	"--exact:#1a7f4b;--differs:#9a6700;--lossy:#c4320a;--fails:#a40e26;--none:#5d6b7a;"
	"--untested:#5d6b7a}\n"
	"@media(prefers-color-scheme:dark){:root{--bg:#12171d;--fg:#dbe3ec;--dim:#8fa0b2;"
	"--line:#2a343f;--card:#1a212a;--exact:#4cc38a;--differs:#e2b340;--lossy:#ff8b5e;"
	"--fails:#ff7b86;--none:#8fa0b2;--untested:#8fa0b2}}\n"
	"body{margin:0;background:var(--bg);color:var(--fg);font:15px/1.5 "
	"system-ui,sans-serif}\n"
	"main{max-width:62rem;margin:0 auto;padding:2rem 1.2rem 4rem}\n"
	"h1{font-size:1.5rem;margin:0 0 .2rem}h2{font-size:1.1rem;margin:2rem 0 .6rem}\n"
	".dim{color:var(--dim)}code,.name{font-family:ui-monospace,monospace;font-size:.92em}"
	"\n"
	".bar{display:flex;height:1.1rem;border-radius:.4rem;overflow:hidden;margin:1.2rem "
	"0}\n"
	".bar i{display:block}.tiles{display:flex;flex-wrap:wrap;gap:.6rem}\n"
	".tile{background:var(--card);border:1px solid var(--line);border-radius:.5rem;"
	"padding:.6rem .9rem;min-width:7rem;color:inherit;text-decoration:none}"
	"a.tile:hover{border-color:var(--dim)}.tile b{display:block;font-size:1.5rem}\n"
	"details{border-top:1px solid var(--line);padding:.45rem 0}"
	"summary::before{content:'\\25b8';color:var(--dim)}"
	"details[open]>summary::before{content:'\\25be'}"
	"summary{cursor:pointer;display:flex;gap:.8rem;align-items:baseline}\n"
	"summary .name{flex:1;overflow-wrap:anywhere}.tag{font-weight:600;min-width:5rem}\n"
	"ul{margin:.4rem 0 .4rem 7.2rem;padding-left:1rem}li{overflow-wrap:anywhere}\n"
	".exact{color:var(--exact)}.differs{color:var(--differs)}.lossy{color:var(--lossy)}"
	".fails{color:var(--fails)}.none{color:var(--none)}.untested{color:var(--untested)}\n"
	".bar .exact{background:var(--exact)}.bar .differs{background:var(--differs)}"
	".bar .lossy{background:var(--lossy)}.bar .fails{background:var(--fails)}"
	".bar .none,.bar .untested{background:var(--line)}\n"
	"table{border-collapse:collapse;margin:.3rem 0 .6rem 7.2rem;font-size:.92em}"
	"td,th{border:1px solid var(--line);padding:.2rem .6rem;text-align:left;"
	"vertical-align:top;overflow-wrap:anywhere}th{background:var(--card)}"
	"th,td:nth-child(2){white-space:nowrap}td pre{margin:0;white-space:pre-wrap}\n"
	"details details{border:0;margin-left:7.2rem;padding:.1rem 0}details details "
	"summary{color:var(--dim)}\n"
	".source{background:var(--card);border:1px solid var(--line);border-radius:.3rem;"
	"padding:.5rem .8rem;overflow-x:auto;margin:.3rem 0 .6rem;line-height:1.35;"
	"max-height:30rem}mark{background:#ffe8a3;color:#1d2733}\n"
	".result{font-weight:600}\n"
	"@media(max-width:40rem){ul,table,details details{margin-left:0}}";

/*
 * add_html
 *		Text inside of an element or of an attribute.
 */
static void
add_html(UpgBuf *out, const char *text)
{
	for (; *text; text++)
	{
		if (*text == '&')
			buf_add(out, "&amp;");
		else if (*text == '<')
			buf_add(out, "&lt;");
		else if (*text == '>')
			buf_add(out, "&gt;");
		else if (*text == '"')
			buf_add(out, "&quot;");
		else
			buf_addc(out, *text);
	}
}

/*
 * add_cell
 *		A cell of a table.
 */
static void
add_cell(UpgBuf *out, const char *text, bool code)
{
	buf_add(out, code ? "<td><pre>" : "<td>");
	add_html(out, text);
	buf_add(out, code ? "</pre></td>" : "</td>");
}

/* is_long: would a value be cut in a sentence? */
static bool
is_long(const char *value)
{
	return strlen(value) > LINT_VALUE_SHOWN || strchr(value, '\n') != NULL;
}

/*
 * add_changes
 *		A table of what was and what is, for values that the sentences had to cut.
 */
static void
add_changes(UpgBuf *out, const UpgLintResult *r)
{
	bool any = false;

	for (int i = 0; i < r->finding_count; i++)
	{
		const UpgFinding *f = &r->findings[i];

		if (f->data || strcmp(f->change, "changed") != 0 || f->was == NULL ||
			f->is_now == NULL || (!is_long(f->was) && !is_long(f->is_now)))
			continue;
		if (!any)
			buf_add(out, "<table><tr><th>object</th><th>attribute</th><th>before</th>"
						 "<th>after the down</th></tr>\n");
		any = true;
		buf_add(out, "<tr>");
		add_cell(out, f->object, false);
		add_cell(out, f->attribute, false);
		add_cell(out, f->was, true);
		add_cell(out, f->is_now, true);
		buf_add(out, "</tr>\n");
	}
	if (any)
		buf_add(out, "</table>\n");
}

/*
 * add_source
 *		A file, folded; the line that the findings are about is marked.
 */
static void
add_source(UpgBuf *out, const char *title, const char *path, int marked)
{
	UpgBuf text;
	UpgBuf line;
	const char *p;

	buf_init(&text);
	buf_init(&line);
	if (!fs_read(path, &text, SOURCE_MAX))
		err_clear();
	if (text.len >= SOURCE_MAX)
	{
		/* not in the middle of a character */
		text.len = utf8_invalid_at(text.data, text.len);
		text.data[text.len] = '\0';
	}
	if (text.len > 0 && utf8_invalid_at(text.data, text.len) == text.len)
	{
		buf_printf(out, "<details><summary>%s: ", title);
		add_html(out, path);
		buf_add(out, "</summary><pre class=\"source\">");
		p = text.data;
		for (int n = 1; *p; n++)
		{
			size_t len = strcspn(p, "\n");

			buf_reset(&line);
			buf_addn(&line, p, len);
			buf_add(out, n == marked ? "<mark>" : "");
			add_html(out, line.data);
			buf_add(out, n == marked ? "</mark>\n" : "\n");
			p += len + (p[len] == '\n');
		}
		buf_add(out, text.len > SOURCE_MAX - 4 ? "...</pre></details>\n"
											   : "</pre></details>\n");
	}
	buf_free(&line);
	buf_free(&text);
}

/*
 * add_sources
 *		Up and down of a migration that is not exact.
 */
static void
add_sources(UpgBuf *out, UpgArena *arena, const UpgLintResult *r)
{
	int line;
	const char *file = lint_file_of(arena, r->where, &line);
	bool two = r->down_file != NULL && strcmp(r->down_file, r->file) != 0;

	add_source(out, two ? "up" : "file", r->file, strcmp(file, r->file) == 0 ? line : 0);
	if (two)
		add_source(out, "down", r->down_file, strcmp(file, r->down_file) == 0 ? line : 0);
}

/*
 * add_result
 *		One migration, folded when there is nothing to say.
 */
static void
add_result(UpgBuf *out, UpgArena *arena, const UpgLintResult *r,
		   const UpgLintPolicy *policy)
{
	bool known = r->known && !lint_breaks(r, policy);
	UpgList lines;

	memset(&lines, 0, sizeof(lines));
	lint_lines(r, arena, &lines);
	buf_add(out, "<details id=\"m-");
	add_html(out, r->name);
	buf_printf(
		out, "\"%s><summary><span class=\"tag %s\">%s</span><span class=\"name\">",
		!known && (r->verdict == UPG_VERDICT_LOSSY || r->verdict == UPG_VERDICT_FAILS)
			? " open"
			: "",
		verdict_name(r->verdict), verdict_name(r->verdict));
	add_html(out, r->name);
	buf_printf(out,
			   "</span><span class=\"dim\">%s%" PRId64 " ms</span></summary>\n<ul>\n",
			   known ? "known to the baseline, " : "", r->ms);
	for (int i = 0; i < lines.count; i++)
	{
		buf_add(out, "<li>");
		add_html(out, lines.items[i]);
		buf_add(out, "</li>\n");
	}
	buf_add(out, "<li class=\"dim\">");
	add_html(out, r->where);
	if (r->verdict != UPG_VERDICT_NONE && r->verdict != UPG_VERDICT_UNTESTED)
		buf_printf(out, "; %" PRId64 " of %" PRId64 " tables had rows%s", r->filled,
				   r->tables, r->destroys ? "; the up changes or drops rows" : "");
	buf_add(out, "</li>\n</ul>\n");
	add_changes(out, r);
	if (r->verdict != UPG_VERDICT_EXACT)
		add_sources(out, arena, r);
	buf_add(out, "</details>\n");
	list_free(&lines);
}

/*
 * add_tile
 *		A figure with its name; "part" is the part of the page that it leads to.
 */
static void
add_tile(UpgBuf *out, const char *part, const char *text, int figure, int whole)
{
	const char *element = *part ? "a" : "div";

	buf_printf(out, "<%s class=\"tile\"", element);
	if (*part)
		buf_printf(out, " href=\"#%s\"", part);
	buf_printf(out, "><b class=\"%s\">%d", part, figure);
	if (whole >= 0)
		buf_printf(out, "<span class=\"dim\"> / %d</span>", whole);
	buf_printf(out, "</b>%s</%s>\n", text, element);
}

/*
 * add_head
 *		What was tried, and whether it passes.
 */
static void
add_head(UpgBuf *out, const UpgLintReport *report, const UpgLintPolicy *policy)
{
	int failures = lint_failures(report, policy);
	time_t now = time(NULL);
	struct tm utc;
	char when[32];

	if (gmtime_r(&now, &utc) == NULL ||
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M UTC", &utc) == 0)
		when[0] = '\0';
	buf_add(out, "<h1>What the down scripts give back</h1>\n<p class=\"dim\"><code>");
	add_html(out, report->directory);
	buf_printf(
		out,
		"</code>, layout %s: %d migrations, %d downs run in %.1f s by upg %s, %s. Each "
		"was run from the state before its migration, on tables with rows.",
		report->layout, report->count, report->downs, (double) report->ms / 1000,
		UPG_VERSION, when);
	if (report->passed_over > 0)
		buf_printf(out, " %d earlier migrations were only applied.", report->passed_over);
	buf_add(out, "</p>\n<p class=\"result ");
	if (failures > 0)
		buf_printf(out, "fails\">%d of %d fail the check", failures, report->count);
	else
		buf_add(out, "exact\">The check passes");
	buf_printf(out, " <span class=\"dim\">(--fail-on=%s", policy->fail_on);
	if (policy->baseline)
		buf_printf(out, ", %d as bad as the baseline has it", report->known);
	buf_add(out, ")</span></p>\n");
}

/*
 * lint_html
 *		The page.
 */
void
lint_html(UpgBuf *out, const UpgLintReport *report, const UpgLintPolicy *policy)
{
	static const UpgVerdict order[] = {UPG_VERDICT_FAILS,    UPG_VERDICT_LOSSY,
									   UPG_VERDICT_DIFFERS,  UPG_VERDICT_NONE,
									   UPG_VERDICT_UNTESTED, UPG_VERDICT_EXACT};
	UpgArena *arena = arena_new();

	buf_add(out,
			"<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
			"<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
			"<title>Down scripts of ");
	add_html(out, report->directory);
	buf_printf(out, "</title>\n<style>\n%s\n</style></head>\n<body><main>\n", style);
	add_head(out, report, policy);
	buf_add(out, "<div class=\"bar\">");
	for (int i = UPG_VERDICTS - 1; i >= 0; i--)
		if (report->verdicts[order[i]] > 0)
			buf_printf(out, "<i class=\"%s\" style=\"flex:%d\" title=\"%s: %d\"></i>",
					   verdict_name(order[i]), report->verdicts[order[i]],
					   verdict_name(order[i]), report->verdicts[order[i]]);
	buf_add(out, "</div>\n<div class=\"tiles\">\n");
	for (int i = UPG_VERDICTS - 1; i >= 0; i--)
		if (report->verdicts[order[i]] > 0)
			add_tile(out, verdict_name(order[i]), verdict_name(order[i]),
					 report->verdicts[order[i]], -1);
	add_tile(out, "", "schema restored exactly", report->schema_exact, report->downs);
	if (report->destroying > 0)
		add_tile(out, "", "ups that change or drop rows, undone whole", report->restored,
				 report->destroying);
	buf_add(out, "</div>\n");
	for (int i = 0; i < UPG_VERDICTS; i++)
	{
		if (report->verdicts[order[i]] == 0)
			continue;
		buf_printf(out,
				   "<h2 id=\"%s\" class=\"%s\">%s <span class=\"dim\">(%d): "
				   "%s</span></h2>\n",
				   verdict_name(order[i]), verdict_name(order[i]), verdict_name(order[i]),
				   report->verdicts[order[i]], verdict_meaning(order[i]));
		for (int k = 0; k < report->count; k++)
			if (report->results[k].verdict == order[i])
				add_result(out, arena, &report->results[k], policy);
	}
	buf_add(out, "</main></body></html>\n");
	arena_free(arena);
}
