/*-------------------------------------------------------------------------
 *
 * lint_html.c
 *		The report of the lint as one page of HTML that needs nothing else.
 *
 * No script runs in it and nothing is fetched, so that it can be shown by any CI as
 * an artifact and sent by mail.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/lint_html.c
 *
 *-------------------------------------------------------------------------
 */
#include <inttypes.h>
#include <string.h>

#include "lint.h"

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
	"padding:.6rem .9rem;min-width:7rem}.tile b{display:block;font-size:1.5rem}\n"
	"details{border-top:1px solid var(--line);padding:.45rem 0}"
	"summary{cursor:pointer;display:flex;gap:.8rem;align-items:baseline}\n"
	"summary .name{flex:1;overflow-wrap:anywhere}.tag{font-weight:600;min-width:5rem}\n"
	"ul{margin:.4rem 0 .4rem 5.8rem;padding-left:1rem}li{overflow-wrap:anywhere}\n"
	".exact{color:var(--exact)}.differs{color:var(--differs)}.lossy{color:var(--lossy)}"
	".fails{color:var(--fails)}.none{color:var(--none)}.untested{color:var(--untested)}\n"
	".bar .exact{background:var(--exact)}.bar .differs{background:var(--differs)}"
	".bar .lossy{background:var(--lossy)}.bar .fails{background:var(--fails)}"
	".bar .none,.bar .untested{background:var(--line)}\n"
	"table{border-collapse:collapse;margin:.3rem 0 .6rem 5.8rem;font-size:.92em}"
	"td,th{border:1px solid var(--line);padding:.2rem .6rem;text-align:left;"
	"vertical-align:top;overflow-wrap:anywhere}th{background:var(--card)}\n"
	"@media(max-width:40rem){ul,table{margin-left:0}}";

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
 *		A cell of a table; no value is a dash.
 */
static void
add_cell(UpgBuf *out, const char *text)
{
	buf_add(out, "<td>");
	add_html(out, text != NULL ? text : "\xe2\x80\x93");
	buf_add(out, "</td>");
}

/*
 * add_changes
 *		A table of what was and what is, for the attributes that changed.
 */
static void
add_changes(UpgBuf *out, const UpgLintResult *r)
{
	bool any = false;

	for (int i = 0; i < r->finding_count; i++)
	{
		const UpgFinding *f = &r->findings[i];

		if (f->data || strcmp(f->change, "changed") != 0)
			continue;
		if (!any)
			buf_add(out, "<table><tr><th>object</th><th>attribute</th><th>before</th>"
						 "<th>after the down</th></tr>\n");
		any = true;
		buf_add(out, "<tr>");
		add_cell(out, f->object);
		add_cell(out, f->attribute);
		add_cell(out, f->was);
		add_cell(out, f->is_now);
		buf_add(out, "</tr>\n");
	}
	if (any)
		buf_add(out, "</table>\n");
}

/*
 * add_result
 *		One migration, folded when there is nothing to say.
 */
static void
add_result(UpgBuf *out, UpgArena *arena, const UpgLintResult *r)
{
	UpgList lines;

	memset(&lines, 0, sizeof(lines));
	lint_lines(r, arena, &lines);
	buf_printf(
		out, "<details%s><summary><span class=\"tag %s\">%s</span><span class=\"name\">",
		r->verdict == UPG_VERDICT_LOSSY || r->verdict == UPG_VERDICT_FAILS ? " open" : "",
		verdict_name(r->verdict), verdict_name(r->verdict));
	add_html(out, r->name);
	buf_printf(out, "</span><span class=\"dim\">%" PRId64 " ms</span></summary>\n<ul>\n",
			   r->ms);
	for (int i = 0; i < lines.count; i++)
	{
		buf_add(out, "<li>");
		add_html(out, lines.items[i]);
		buf_add(out, "</li>\n");
	}
	buf_add(out, "<li class=\"dim\">");
	if (r->verdict == UPG_VERDICT_NONE || r->verdict == UPG_VERDICT_UNTESTED)
		add_html(out, r->file);
	else
	{
		add_html(out, r->down_file ? r->down_file : r->file);
		buf_printf(out, "; %" PRId64 " of %" PRId64 " tables had rows%s", r->filled,
				   r->tables, r->destroys ? "; the up changes or drops rows" : "");
	}
	buf_add(out, "</li>\n</ul>\n");
	add_changes(out, r);
	buf_add(out, "</details>\n");
	list_free(&lines);
}

/*
 * add_tile
 *		A figure with its name.
 */
static void
add_tile(UpgBuf *out, const char *class, const char *text, int figure, int whole)
{
	buf_printf(out, "<div class=\"tile\"><b class=\"%s\">%d", class, figure);
	if (whole >= 0)
		buf_printf(out, "<span class=\"dim\"> / %d</span>", whole);
	buf_printf(out, "</b>%s</div>\n", text);
}

/*
 * lint_html
 *		The page.
 */
void
lint_html(UpgBuf *out, const UpgLintReport *report)
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
	buf_add(out, "<h1>What the down scripts give back</h1>\n<p class=\"dim\"><code>");
	add_html(out, report->directory);
	buf_printf(
		out,
		"</code>, layout %s: %d migrations, %d downs run in %.1f s by upg %s. Each was "
		"run from the state before its migration, on tables with rows.</p>\n",
		report->layout, report->count, report->downs, (double) report->ms / 1000,
		UPG_VERSION);
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
		add_tile(out, "", "ups that change rows get them back", report->restored,
				 report->destroying);
	buf_add(out, "</div>\n");
	for (int i = 0; i < UPG_VERDICTS; i++)
	{
		if (report->verdicts[order[i]] == 0)
			continue;
		buf_printf(out, "<h2 class=\"%s\">%s <span class=\"dim\">(%d): %s</span></h2>\n",
				   verdict_name(order[i]), verdict_name(order[i]),
				   report->verdicts[order[i]], verdict_meaning(order[i]));
		for (int k = 0; k < report->count; k++)
			if (report->results[k].verdict == order[i])
				add_result(out, arena, &report->results[k]);
	}
	buf_add(out, "</main></body></html>\n");
	arena_free(arena);
}
