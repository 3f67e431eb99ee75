/*-------------------------------------------------------------------------
 *
 * verify_report.c
 *		The evidence of a verification: text, JSON, a page of HTML.
 *
 * The report is made from the books alone, and says whether they are what was
 * written into them: the digest over the checks is computed again and compared
 * with the one kept, which the audit trail holds too.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/verify_report.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/json.h"

#include "compat.h"
#include "errors.h"
#include "spi.h"
#include "verify.h"

PG_FUNCTION_INFO_V1(upg_verification_report);

/* Columns of the head of a report, as texts; NULL for null. */
typedef enum HeadColumn
{
	HEAD_ID,
	HEAD_MIGRATION,
	HEAD_DIRECTION,
	HEAD_LEVEL,
	HEAD_VERDICT,
	HEAD_BUDGET,
	HEAD_COVERAGE,
	HEAD_BASELINE,
	HEAD_STARTED,
	HEAD_FINISHED,
	HEAD_ACTOR,
	HEAD_SERVER,
	HEAD_DATABASE,
	HEAD_DIGEST,
	HEAD_INTACT,
	HEAD_COLUMNS
} HeadColumn;

static const char *const head_names[] = {
	"verification", "migration", "direction", "level",   "verdict",
	"budget",       "coverage",  "baseline",  "started", "finished",
	"actor",        "server",    "database",  "sha256",  "intact"};

/* Columns of a check. */
typedef enum CheckColumn
{
	CHECK_NO,
	CHECK_PHASE,
	CHECK_KIND,
	CHECK_NAME,
	CHECK_RELATION,
	CHECK_SEVERITY,
	CHECK_STATE,
	CHECK_VIOLATIONS,
	CHECK_COVERAGE,
	CHECK_MESSAGE,
	CHECK_DETAILS,
	CHECK_DURATION,
	CHECK_COLUMNS
} CheckColumn;

static const char *const check_names[] = {
	"check_no", "phase",      "kind",     "name",    "relation", "severity",
	"state",    "violations", "coverage", "message", "details",  "duration_ms"};

typedef struct Report
{
	char *head[HEAD_COLUMNS];
	int nchecks;
	char *(*checks)[CHECK_COLUMNS];
} Report;

static void read_report(Report *report, int64 id);
static char *as_json(const Report *report);
static char *as_text(const Report *report);
static char *as_html(const Report *report);

/*
 * upg_verification_report
 *		A verification, the latest by default, in one of three formats.
 */
Datum
upg_verification_report(PG_FUNCTION_ARGS)
{
	int64 id = PG_ARGISNULL(0) ? 0 : PG_GETARG_INT64(0);
	char *format = PG_ARGISNULL(1) ? "text" : text_to_cstring(PG_GETARG_TEXT_PP(1));
	Report report;

	if (strcmp(format, "text") != 0 && strcmp(format, "json") != 0 &&
		strcmp(format, "html") != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("unrecognized format of a report \"%s\"", format),
						errhint("It is \"text\", \"json\" or \"html\".")));
	read_report(&report, id);
	if (strcmp(format, "json") == 0)
		PG_RETURN_TEXT_P(cstring_to_text(as_json(&report)));
	if (strcmp(format, "html") == 0)
		PG_RETURN_TEXT_P(cstring_to_text(as_html(&report)));
	PG_RETURN_TEXT_P(cstring_to_text(as_text(&report)));
}

/*
 * read_report
 *		Read a verification from the books; 0 stands for the latest.
 */
static void
read_report(Report *report, int64 id)
{
	static UpgQuery head = {
		"SELECT v.verification_id, v.migration, v.direction, v.level, v.verdict,"
		" v.budget, pg_catalog.round(v.coverage::pg_catalog.numeric, 4), v.baseline,"
		" pg_catalog.to_char(v.started_at AT TIME ZONE 'UTC',"
		" 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),"
		" pg_catalog.to_char(v.finished_at AT TIME ZONE 'UTC',"
		" 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),"
		" v.actor, v.server, pg_catalog.current_database(),"
		" pg_catalog.encode(v.digest, 'hex'),"
		" CASE WHEN v.digest = upg.verification_digest(v.verification_id)"
		" THEN 'true' ELSE 'false' END"
		" FROM upg.verifications v WHERE $1 IN (0, v.verification_id)"
		" ORDER BY v.verification_id DESC LIMIT 1",
		SPI_OK_SELECT,
		1,
		{INT8OID}};
	static UpgQuery checks = {
		"SELECT check_no, phase, kind, name, relation, severity, state, violations,"
		" pg_catalog.round(coverage::pg_catalog.numeric, 4), message, details,"
		" pg_catalog.round((extract(epoch FROM duration) * 1000)::pg_catalog.numeric, 3)"
		" FROM upg.check_results WHERE verification_id = $1 ORDER BY check_no",
		SPI_OK_SELECT,
		1,
		{INT8OID}};
	MemoryContext caller = CurrentMemoryContext;
	Datum value = Int64GetDatum(id);
	UpgBooks books;
	MemoryContext old;
	bool isnull;

	upg_books_open(&books);
	upg_query(&head, &value, NULL);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UPG_INVARIANT),
				 id == 0 ? errmsg("nothing has been verified yet")
						 : errmsg("there is no verification " INT64_FORMAT, id),
				 errhint("upg.verifications lists them; upg_verify() makes one.")));
	old = MemoryContextSwitchTo(caller);
	for (int i = 0; i < HEAD_COLUMNS; i++)
		report->head[i] = upg_result_text(0, i + 1);
	value = upg_result_datum(0, 1, &isnull);
	MemoryContextSwitchTo(old);

	upg_query(&checks, &value, NULL);
	old = MemoryContextSwitchTo(caller);
	report->nchecks = (int) SPI_processed;
	report->checks = palloc(sizeof(*report->checks) * Max(report->nchecks, 1));
	for (int i = 0; i < report->nchecks; i++)
		for (int c = 0; c < CHECK_COLUMNS; c++)
			report->checks[i][c] = upg_result_text(i, c + 1);
	MemoryContextSwitchTo(old);
	upg_books_close(&books);
}

/* How many checks are in a state. */
static int
count_state(const Report *report, const char *state)
{
	int n = 0;

	for (int i = 0; i < report->nchecks; i++)
		n += strcmp(report->checks[i][CHECK_STATE], state) == 0;
	return n;
}

/* A sentence on what was not looked at; completeness is claimed or denied, never left open. */
static char *
completeness(const Report *report)
{
	int partly = 0;

	if (strcmp(report->head[HEAD_VERDICT], "pending") == 0)
		return "The second half of this verification is still to come.";
	for (int i = 0; i < report->nchecks; i++)
		partly += report->checks[i][CHECK_COVERAGE] != NULL &&
				  strtod(report->checks[i][CHECK_COVERAGE], NULL) < 1;
	if (partly == 0)
		return "Complete: every check read all that it speaks of.";
	return psprintf("Not complete: %d of %d checks were left out or read a part only.",
					partly, report->nchecks);
}

static void
json_value(StringInfo buf, const char *name, const char *value, bool raw)
{
	if (buf->data[buf->len - 1] != '{')
		appendStringInfoChar(buf, ',');
	escape_json(buf, name);
	appendStringInfoChar(buf, ':');
	if (value == NULL)
		appendStringInfoString(buf, "null");
	else if (raw)
		appendStringInfoString(buf, value);
	else
		escape_json(buf, value);
}

static char *
as_json(const Report *report)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoChar(&buf, '{');
	for (int i = 0; i < HEAD_COLUMNS; i++)
		json_value(&buf, head_names[i], report->head[i],
				   i == HEAD_ID || i == HEAD_COVERAGE || i == HEAD_BASELINE ||
					   i == HEAD_INTACT);
	json_value(&buf, "completeness", completeness(report), false);
	appendStringInfoString(&buf, ",\"checks\":[");
	for (int i = 0; i < report->nchecks; i++)
	{
		appendStringInfoString(&buf, i == 0 ? "{" : ",{");
		for (int c = 0; c < CHECK_COLUMNS; c++)
			json_value(&buf, check_names[c], report->checks[i][c],
					   c == CHECK_NO || c == CHECK_VIOLATIONS || c == CHECK_COVERAGE ||
						   c == CHECK_DETAILS || c == CHECK_DURATION);
		appendStringInfoChar(&buf, '}');
	}
	appendStringInfoString(&buf, "]}");
	return buf.data;
}

/* What was verified, in a few words. */
static char *
subject(const Report *report)
{
	const char *migration = report->head[HEAD_MIGRATION];

	if (migration == NULL)
		return psprintf("database \"%s\"", report->head[HEAD_DATABASE]);
	return psprintf("%s of migration \"%s\"",
					strcmp(report->head[HEAD_DIRECTION], "up") == 0 ? "application"
																	: "rollback",
					migration);
}

static char *
as_text(const Report *report)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "Verification %s: %s\n", report->head[HEAD_ID],
					 report->head[HEAD_VERDICT]);
	appendStringInfo(&buf, "  of        %s, level %s\n", subject(report),
					 report->head[HEAD_LEVEL]);
	appendStringInfo(&buf, "  when      %s to %s\n", report->head[HEAD_STARTED],
					 report->head[HEAD_FINISHED]);
	appendStringInfo(&buf, "  by        %s, PostgreSQL %s\n", report->head[HEAD_ACTOR],
					 report->head[HEAD_SERVER]);
	if (report->head[HEAD_BASELINE] != NULL)
		appendStringInfo(&buf, "  against   verification %s\n",
						 report->head[HEAD_BASELINE]);
	appendStringInfo(&buf,
					 "  checks    %d: %d passed, %d failed, %d errors, %d skipped, %d "
					 "recorded\n",
					 report->nchecks, count_state(report, "passed"),
					 count_state(report, "failed"), count_state(report, "error"),
					 count_state(report, "skipped"), count_state(report, "recorded"));
	appendStringInfo(&buf, "  coverage  %s; %s\n", report->head[HEAD_COVERAGE],
					 completeness(report));
	appendStringInfo(&buf, "  sha256    %s (%s)\n\n", report->head[HEAD_DIGEST],
					 strcmp(report->head[HEAD_INTACT], "true") == 0
						 ? "the results are as they were written"
						 : "THE RESULTS WERE CHANGED AFTER THEY WERE WRITTEN");
	for (int i = 0; i < report->nchecks; i++)
	{
		char **check = report->checks[i];

		appendStringInfo(&buf, "%-8s %-6s %-11s %s", check[CHECK_STATE],
						 check[CHECK_PHASE], check[CHECK_KIND], check[CHECK_NAME]);
		if (check[CHECK_RELATION] != NULL &&
			strcmp(check[CHECK_RELATION], check[CHECK_NAME]) != 0)
			appendStringInfo(&buf, " of %s", check[CHECK_RELATION]);
		if (check[CHECK_MESSAGE] != NULL)
			appendStringInfo(&buf, ": %s", check[CHECK_MESSAGE]);
		appendStringInfoChar(&buf, '\n');
		if (check[CHECK_DETAILS] != NULL)
			appendStringInfo(&buf, "         %s\n", check[CHECK_DETAILS]);
	}
	return buf.data;
}

/* Text in HTML: names and values may hold anything. */
static void
html(StringInfo buf, const char *text)
{
	for (const char *p = text ? text : ""; *p; p++)
	{
		switch (*p)
		{
			case '<':
				appendStringInfoString(buf, "&lt;");
				break;
			case '>':
				appendStringInfoString(buf, "&gt;");
				break;
			case '&':
				appendStringInfoString(buf, "&amp;");
				break;
			case '"':
				appendStringInfoString(buf, "&quot;");
				break;
			case '\'':
				appendStringInfoString(buf, "&#39;");
				break;
			default:
				appendStringInfoCharMacro(buf, *p);
		}
	}
}

static void
html_row(StringInfo buf, const char *name, const char *value)
{
	appendStringInfo(buf, "<tr><th scope=\"row\">%s</th><td>", name);
	html(buf, value);
	appendStringInfoString(buf, "</td></tr>\n");
}

/*
 * as_html
 *		One page that needs nothing from elsewhere: no script, no style sheet.
 */
static char *
as_html(const Report *report)
{
	static const char *const titles[] = {"State", "Phase",    "Check",       "Relation",
										 "Found", "Coverage", "Duration, ms"};
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(
		&buf,
		"<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<title>");
	html(&buf, psprintf("Verification %s: %s", report->head[HEAD_ID],
						report->head[HEAD_VERDICT]));
	appendStringInfoString(
		&buf,
		"</title>\n<style>\n"
		"body{font:16px/1.5 sans-serif;margin:2em auto;max-width:75em;padding:0 1em;"
		"color:#111;background:#fff}\n"
		"table{border-collapse:collapse;width:100%;margin:1em 0}\n"
		"th,td{border:1px solid #999;padding:.3em .6em;text-align:left;"
		"vertical-align:top}\n"
		"pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:0}\n"
		".passed{background:#e3f4e3}.failed{background:#fbdcdc}.error{background:#fbdcdc}"
		".skipped,.incomplete,.pending{background:#fdf3d0}\n"
		"</style></head><body>\n<h1>");
	html(&buf, psprintf("Verification %s: %s", report->head[HEAD_ID],
						report->head[HEAD_VERDICT]));
	appendStringInfo(&buf, "</h1>\n<p class=\"%s\">", report->head[HEAD_VERDICT]);
	html(&buf, completeness(report));
	appendStringInfoString(&buf, "</p>\n<table>\n");
	html_row(&buf, "Of", subject(report));
	html_row(&buf, "Level", report->head[HEAD_LEVEL]);
	html_row(&buf, "From", report->head[HEAD_STARTED]);
	html_row(&buf, "To", report->head[HEAD_FINISHED]);
	html_row(&buf, "By", report->head[HEAD_ACTOR]);
	html_row(&buf, "Server", report->head[HEAD_SERVER]);
	if (report->head[HEAD_BASELINE] != NULL)
		html_row(&buf, "Against verification", report->head[HEAD_BASELINE]);
	html_row(&buf, "Coverage", report->head[HEAD_COVERAGE]);
	html_row(&buf, "SHA-256 of the results", report->head[HEAD_DIGEST]);
	html_row(&buf, "Results as written",
			 strcmp(report->head[HEAD_INTACT], "true") == 0 ? "yes"
															: "NO, they were changed");
	appendStringInfoString(&buf, "</table>\n<table>\n<tr>");
	for (int i = 0; i < lengthof(titles); i++)
		appendStringInfo(&buf, "<th scope=\"col\">%s</th>", titles[i]);
	appendStringInfoString(&buf, "</tr>\n");
	for (int i = 0; i < report->nchecks; i++)
	{
		char **check = report->checks[i];

		appendStringInfo(&buf, "<tr class=\"%s\"><td>%s</td><td>%s</td><td>%s ",
						 check[CHECK_STATE], check[CHECK_STATE], check[CHECK_PHASE],
						 check[CHECK_KIND]);
		html(&buf, check[CHECK_NAME]);
		appendStringInfoString(&buf, "</td><td>");
		html(&buf, check[CHECK_RELATION]);
		appendStringInfoString(&buf, "</td><td>");
		html(&buf, check[CHECK_MESSAGE]);
		if (check[CHECK_DETAILS] != NULL)
		{
			appendStringInfoString(&buf, "<pre>");
			html(&buf, check[CHECK_DETAILS]);
			appendStringInfoString(&buf, "</pre>");
		}
		appendStringInfo(&buf, "</td><td>%s</td><td>%s</td></tr>\n",
						 check[CHECK_COVERAGE] ? check[CHECK_COVERAGE] : "",
						 check[CHECK_DURATION] ? check[CHECK_DURATION] : "");
	}
	appendStringInfoString(&buf, "</table>\n</body></html>\n");
	return buf.data;
}
