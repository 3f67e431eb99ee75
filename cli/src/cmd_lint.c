/*-------------------------------------------------------------------------
 *
 * cmd_lint.c
 *		The command lint: what do the down scripts of a directory leave behind?
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/cmd_lint.c
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "exit_codes.h"
#include "fsutil.h"
#include "lint.h"
#include "log.h"
#include "render.h"

#define ROWS_DEFAULT 3
#define ROWS_MAX     100

/*
 * json_finding
 *		One finding as an object.
 */
static void
json_finding(const UpgFinding *f)
{
	UpgJson *doc = render_doc();
	UpgBuf text;

	buf_init(&text);
	finding_text(&text, f);
	json_object(doc, NULL);
	json_string(doc, "part", f->data ? "data" : "schema");
	json_string(doc, "object", f->object);
	json_string(doc, "change", f->change);
	json_string(doc, f->data ? "column" : "attribute", f->attribute);
	json_string(doc, "was", f->was);
	json_string(doc, "now", f->is_now);
	if (f->data)
	{
		json_int(doc, "rows", f->rows_was);
		json_int(doc, "lost", f->lost);
		json_int(doc, "left_behind", f->added);
		json_int(doc, "changed", f->changed);
		json_int(doc, "values_changed", f->in_column);
	}
	json_string(doc, "text", text.data);
	json_object_end(doc);
	buf_free(&text);
}

/*
 * json_script_fault
 *		Why a script does not run, or null.
 */
static void
json_script_fault(const char *key, const UpgScriptFault *fault)
{
	UpgJson *doc = render_doc();

	if (fault->what == NULL)
	{
		json_null(doc, key);
		return;
	}
	json_object(doc, key);
	json_string(doc, "what", fault->what);
	json_string(doc, "where", fault->where);
	json_string(doc, "sqlstate", fault->sqlstate);
	json_string(doc, "statement", fault->statement);
	json_object_end(doc);
}

/*
 * json_result
 *		One migration as an object.
 */
static void
json_result(const UpgLintResult *r)
{
	UpgJson *doc = render_doc();

	json_object(doc, NULL);
	json_string(doc, "name", r->name);
	json_string(doc, "file", r->file);
	json_string(doc, "down_file", r->down_file);
	json_string(doc, "verdict", verdict_name(r->verdict));
	json_bool(doc, "down_empty", r->down_empty);
	json_bool(doc, "destroys", r->destroys);
	json_bool(doc, "in_copy", r->outside);
	json_int(doc, "tables", r->tables);
	json_int(doc, "tables_with_rows", r->filled);
	json_script_fault("up_error", &r->up_fault);
	json_script_fault("down_error", &r->down_fault);
	json_script_fault("again_error", &r->again_fault);
	json_array(doc, "findings");
	for (int i = 0; i < r->finding_count; i++)
		json_finding(&r->findings[i]);
	json_array_end(doc);
	json_array(doc, "notes");
	for (int i = 0; i < r->notes.count; i++)
		json_string(doc, NULL, r->notes.items[i]);
	json_array_end(doc);
	json_int(doc, "duration_ms", r->ms);
	json_object_end(doc);
}

/*
 * show_json
 *		The report as members of the document.
 */
static void
show_json(const UpgLintReport *report)
{
	UpgJson *doc = render_doc();

	json_string(doc, "directory", report->directory);
	json_string(doc, "layout", report->layout);
	json_array(doc, "migrations");
	for (int i = 0; i < report->count; i++)
		json_result(&report->results[i]);
	json_array_end(doc);
	json_object(doc, "summary");
	json_int(doc, "migrations", report->count);
	json_int(doc, "downs", report->downs);
	for (int i = 0; i < UPG_VERDICTS; i++)
		json_int(doc, verdict_name((UpgVerdict) i), report->verdicts[i]);
	json_int(doc, "schema_exact", report->schema_exact);
	json_int(doc, "destroying", report->destroying);
	json_int(doc, "restored", report->restored);
	json_int(doc, "without_rows", report->without_rows);
	json_int(doc, "duration_ms", report->ms);
	json_object_end(doc);
}

/*
 * show_text
 *		The report for people: what is not exact, then the figures.
 */
static void
show_text(UpgContext *ctx, const UpgLintReport *report)
{
	UpgList lines;
	int shown = 0;

	for (int i = 0; i < report->count; i++)
	{
		const UpgLintResult *r = &report->results[i];

		if (r->verdict == UPG_VERDICT_EXACT && r->notes.count == 0 && upg_verbosity < 1)
			continue;
		if (r->verdict == UPG_VERDICT_NONE && upg_verbosity < 0)
			continue;
		memset(&lines, 0, sizeof(lines));
		lint_lines(r, ctx->arena, &lines);
		render_text(ctx, "%-9s %s\n", verdict_name(r->verdict), r->name);
		for (int k = 0; k < lines.count; k++)
			render_text(ctx, "          %s\n", lines.items[k]);
		list_free(&lines);
		shown++;
	}
	memset(&lines, 0, sizeof(lines));
	lint_summary(report, ctx->arena, &lines);
	if (shown > 0)
		render_text(ctx, "\n");
	for (int k = 0; k < lines.count; k++)
		render_text(ctx, "%s\n", lines.items[k]);
	list_free(&lines);
}

/*
 * write_reports
 *		The files that were asked for; false with the error set.
 */
static bool
write_reports(UpgContext *ctx, const UpgLintReport *report, const char *policy)
{
	const char *html = opt_get(ctx, OPT_HTML);
	const char *junit = opt_get(ctx, OPT_JUNIT);
	UpgBuf out;
	bool ok = true;

	buf_init(&out);
	if (html != NULL)
	{
		lint_html(&out, report);
		ok = fs_write(html, out.data, out.len);
	}
	buf_reset(&out);
	if (ok && junit != NULL)
	{
		lint_junit(&out, report, policy);
		ok = fs_write(junit, out.data, out.len);
	}
	buf_free(&out);
	return ok;
}

/*
 * wanted_rows
 *		How many rows a table gets; 0 with the error set if the option is not valid.
 */
static int
wanted_rows(const UpgContext *ctx)
{
	const char *value = opt_get(ctx, OPT_ROWS);
	char *end;
	long rows;

	if (value == NULL)
		return ROWS_DEFAULT;
	errno = 0;
	rows = strtol(value, &end, 10);
	if (errno != 0 || *value == '\0' || *end != '\0' || rows < 2 || rows > ROWS_MAX)
	{
		err_set(UPG_EXIT_USAGE, "UPG-2000", "invalid value \"%s\" of option --rows",
				value);
		err_fix("Give a number from 2 to %d.", ROWS_MAX);
		return 0;
	}
	return (int) rows;
}

/*
 * show_report
 *		The report in every form that was asked for; the exit code.
 */
static int
show_report(UpgContext *ctx, const UpgLintReport *report, const char *policy)
{
	int count;

	render_start(ctx);
	if (ctx->json)
		show_json(report);
	else
		show_text(ctx, report);
	if (opt_get(ctx, OPT_SCRATCH) != NULL)
		log_info("the scratch database \"%s\" is left for you to look at",
				 opt_get(ctx, OPT_SCRATCH));
	if (!write_reports(ctx, report, policy))
		return upg_error.exit_code;
	if (!lint_fails(report, policy, &count))
		return UPG_EXIT_OK;
	err_set(UPG_EXIT_VERIFICATION, "UPG-2051",
			"%d of %d migrations cannot be taken back as --fail-on=%s wants it", count,
			report->count, policy);
	err_fix("Mend the downs named above, or let upg take them back without a down: \"upg "
			"up --undo=required\".");
	return UPG_EXIT_VERIFICATION;
}

/*
 * show_part
 *		What was found before the run ended with an error, which stays the error.
 */
static int
show_part(UpgContext *ctx, const UpgLintReport *report, const char *policy)
{
	UpgError saved;

	if (report->count == 0)
		return upg_error.exit_code;
	saved = err_take();
	log_info("the run ended early; of %d migrations %d were tried", ctx->source->count,
			 report->count);
	(void) show_report(ctx, report, policy);
	err_put(saved);
	return upg_error.exit_code;
}

/* upg lint */
int
cmd_lint(UpgContext *ctx)
{
	UpgScratch scratch;
	UpgLintReport report;
	const char *policy = opt_get(ctx, OPT_FAIL_ON);
	int rows;
	int exit_code;
	bool ok;

	if (!opt_on(ctx, OPT_DOWNS))
	{
		err_set(UPG_EXIT_USAGE, "UPG-2000", "say what to check: --downs");
		err_next("upg lint --help");
		return UPG_EXIT_USAGE;
	}
	if (policy == NULL)
		policy = "lossy";
	rows = wanted_rows(ctx);
	if (rows == 0 || !ctx_open_source(ctx, 0) || !ctx_connect(ctx, false))
		return upg_error.exit_code;
	memset(&report, 0, sizeof(report));
	ok = scratch_make(&scratch, ctx->conn, ctx->arena, opt_get(ctx, OPT_SCRATCH)) &&
		 lint_downs(ctx, &scratch, rows, &report);
	log_progress_end();
	scratch_end(&scratch);
	lint_summarize(&report);
	if (ok)
		exit_code = show_report(ctx, &report, policy);
	else
		exit_code = show_part(ctx, &report, policy);
	lint_report_free(&report);
	return exit_code;
}
