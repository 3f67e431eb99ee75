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
#define LATEST_MAX   1000000

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
	json_string(doc, "where", f->where);
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
json_result(const UpgLintResult *r, const UpgLintPolicy *policy)
{
	UpgJson *doc = render_doc();

	json_object(doc, NULL);
	json_string(doc, "name", r->name);
	json_string(doc, "file", r->file);
	json_string(doc, "down_file", r->down_file);
	json_string(doc, "where", r->where);
	json_string(doc, "verdict", verdict_name(r->verdict));
	json_string(doc, "known", r->known ? verdict_name(r->known_as) : NULL);
	json_bool(doc, "breaks", lint_breaks(r, policy));
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
show_json(const UpgLintReport *report, const UpgLintPolicy *policy)
{
	UpgJson *doc = render_doc();

	json_string(doc, "directory", report->directory);
	json_string(doc, "layout", report->layout);
	json_array(doc, "migrations");
	for (int i = 0; i < report->count; i++)
		json_result(&report->results[i], policy);
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
	json_int(doc, "passed_over", report->passed_over);
	json_int(doc, "known", report->known);
	json_int(doc, "breaking", lint_failures(report, policy));
	json_int(doc, "duration_ms", report->ms);
	json_object_end(doc);
}

/*
 * show_text
 *		The report for people: what is not exact, then the figures.
 */
static void
show_text(UpgContext *ctx, const UpgLintReport *report, const UpgLintPolicy *policy)
{
	const char *form = opt_get(ctx, OPT_ANNOTATE);
	UpgList lines;
	int shown = 0;

	if (form != NULL)
	{
		UpgBuf out;

		buf_init(&out);
		lint_annotate(&out, report, policy, form);
		render_text(ctx, "%s", out.data);
		shown = out.len > 0;
		buf_free(&out);
	}
	for (int i = 0; form == NULL && i < report->count; i++)
	{
		const UpgLintResult *r = &report->results[i];

		if (r->verdict == UPG_VERDICT_EXACT && r->notes.count == 0 && upg_verbosity < 1)
			continue;
		if (r->verdict == UPG_VERDICT_NONE && upg_verbosity < 0)
			continue;
		if (r->known && !lint_breaks(r, policy) && upg_verbosity < 1)
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
write_reports(UpgContext *ctx, const UpgLintReport *report, const UpgLintPolicy *policy)
{
	const char *html = opt_get(ctx, OPT_HTML);
	const char *junit = opt_get(ctx, OPT_JUNIT);
	UpgBuf out;
	bool ok = true;

	buf_init(&out);
	if (html != NULL)
	{
		lint_html(&out, report, policy);
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
 * wanted_number
 *		The number that an option gives, or -1 with the error set if it is not valid.
 */
static int
wanted_number(const UpgContext *ctx, UpgOpt option, const char *name, int least, int most,
			  int otherwise)
{
	const char *value = opt_get(ctx, option);
	char *end;
	long number;

	if (value == NULL)
		return otherwise;
	errno = 0;
	number = strtol(value, &end, 10);
	if (errno != 0 || *value == '\0' || *end != '\0' || number < least || number > most)
	{
		err_set(UPG_EXIT_USAGE, "UPG-2000", "invalid value \"%s\" of option --%s", value,
				name);
		err_fix("Give a number from %d to %d.", least, most);
		return -1;
	}
	return (int) number;
}

/*
 * show_report
 *		The report in every form that was asked for; the exit code.
 */
static int
show_report(UpgContext *ctx, const UpgLintReport *report, const UpgLintPolicy *policy)
{
	int count = lint_failures(report, policy);

	render_start(ctx);
	if (ctx->json)
		show_json(report, policy);
	else
		show_text(ctx, report, policy);
	if (opt_get(ctx, OPT_SCRATCH) != NULL)
		log_info("the scratch database \"%s\" is left for you to look at",
				 opt_get(ctx, OPT_SCRATCH));
	if (!write_reports(ctx, report, policy))
		return upg_error.exit_code;
	if (count == 0 || opt_get(ctx, OPT_WRITE_BASELINE) != NULL)
		return UPG_EXIT_OK;
	err_set(UPG_EXIT_VERIFICATION, "UPG-2051",
			"%d of %d migrations cannot be taken back as --fail-on=%s wants it", count,
			report->count, policy->fail_on);
	err_fix("Mend the downs named above, or let upg take them back without a down: \"upg "
			"up --undo=required\".%s",
			policy->baseline ? ""
							 : " What cannot be mended any more goes into a baseline: "
							   "--write-baseline=FILE, then --baseline=FILE.");
	return UPG_EXIT_VERIFICATION;
}

/*
 * show_part
 *		What was found before the run ended with an error, which stays the error.
 */
static int
show_part(UpgContext *ctx, const UpgLintReport *report, const UpgLintPolicy *policy)
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

/*
 * use_baseline
 *		Compare with the baseline, and write a new one if that is wanted; false with the
 *		error set.
 */
static bool
use_baseline(UpgContext *ctx, const UpgLintBaseline *base, bool whole,
			 UpgLintReport *report, UpgLintPolicy *policy)
{
	const char *path = opt_get(ctx, OPT_WRITE_BASELINE);

	policy->baseline = opt_get(ctx, OPT_BASELINE) != NULL;
	if (policy->baseline)
		lint_baseline_use(base, ctx->arena, !whole || report->passed_over > 0, report);
	for (int i = 0; i < report->count; i++)
		report->known += report->results[i].verdict != UPG_VERDICT_EXACT &&
						 report->results[i].known &&
						 !lint_breaks(&report->results[i], policy);
	return !whole || path == NULL || lint_baseline_write(path, report);
}

/* upg lint */
int
cmd_lint(UpgContext *ctx)
{
	UpgScratch scratch;
	UpgLintReport report;
	UpgLintBaseline base;
	UpgLintPolicy policy;
	const char *baseline = opt_get(ctx, OPT_BASELINE);
	int rows = wanted_number(ctx, OPT_ROWS, "rows", 2, ROWS_MAX, ROWS_DEFAULT);
	int latest = wanted_number(ctx, OPT_LATEST, "latest", 1, LATEST_MAX, 0);
	int exit_code;
	bool ok;

	if (!opt_on(ctx, OPT_DOWNS))
	{
		err_set(UPG_EXIT_USAGE, "UPG-2000", "say what to check: --downs");
		err_next("upg lint --help");
		return UPG_EXIT_USAGE;
	}
	if (latest > 0 && opt_get(ctx, OPT_WRITE_BASELINE) != NULL)
	{
		err_set(UPG_EXIT_USAGE, "UPG-2000", "--write-baseline does not go with --latest");
		err_why("The baseline would hold the last migrations only.");
		return UPG_EXIT_USAGE;
	}
	if (ctx->json && opt_get(ctx, OPT_ANNOTATE) != NULL)
	{
		err_set(UPG_EXIT_USAGE, "UPG-2000", "--annotate does not go with --json");
		err_fix("The JSON has file and line of each finding in \"where\".");
		return UPG_EXIT_USAGE;
	}
	memset(&report, 0, sizeof(report));
	memset(&base, 0, sizeof(base));
	policy.fail_on = opt_get(ctx, OPT_FAIL_ON) ? opt_get(ctx, OPT_FAIL_ON) : "lossy";
	policy.baseline = false;
	if (rows < 0 || latest < 0 ||
		(baseline != NULL && !lint_baseline_read(baseline, ctx->arena, &base)) ||
		!ctx_open_source(ctx, 0) || !ctx_connect(ctx, false))
	{
		lint_baseline_free(&base);
		return upg_error.exit_code;
	}
	ok = scratch_make(&scratch, ctx->conn, ctx->arena, opt_get(ctx, OPT_SCRATCH)) &&
		 lint_downs(ctx, &scratch, rows, latest, &report);
	log_progress_end();
	scratch_end(&scratch);
	lint_summarize(&report);
	if (!use_baseline(ctx, &base, ok, &report, &policy))
		exit_code = upg_error.exit_code;
	else if (ok)
		exit_code = show_report(ctx, &report, &policy);
	else
		exit_code = show_part(ctx, &report, &policy);
	lint_baseline_free(&base);
	lint_report_free(&report);
	return exit_code;
}
