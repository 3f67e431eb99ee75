/*-------------------------------------------------------------------------
 *
 * test_lint.c
 *		The pure parts of the lint: words, figures, policies, reports.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		test/unit/test_lint.c
 *
 *-------------------------------------------------------------------------
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lint.h"

/* The text of a finding about an object. */
static void
expect_schema(const char *change, const char *attribute, const char *was,
			  const char *is_now, const char *text)
{
	UpgFinding f;
	UpgBuf out;

	memset(&f, 0, sizeof(f));
	f.object = "column t.c";
	f.change = change;
	f.attribute = attribute;
	f.was = was;
	f.is_now = is_now;
	buf_init(&out);
	finding_text(&out, &f);
	assert_string_equal(out.data, text);
	buf_free(&out);
}

static void
test_schema_words(void **state)
{
	char body[200];

	(void) state;
	memset(body, 'x', sizeof(body) - 1);
	body[sizeof(body) - 1] = '\0';
	expect_schema("missing", NULL, NULL, NULL, "column t.c is not restored");
	expect_schema("extra", NULL, NULL, NULL, "column t.c is left behind");
	expect_schema("changed", "default", "'x'", NULL, "column t.c: default 'x' is lost");
	expect_schema("changed", "default", NULL, "5", "column t.c: default 5 is new");
	expect_schema("changed", "not null", "yes", NULL, "column t.c: not null is lost");
	expect_schema("changed", "not null", NULL, "yes", "column t.c: not null is new");
	expect_schema("changed", "type", "text", "int", "column t.c: type was text, is int");
	expect_schema("changed", "comment", "two\nlines", NULL,
				  "column t.c: comment two lines is lost");
	expect_schema("changed", "body", "a", "b", "column t.c: body is not as before");
	expect_schema("changed", "options", body, "b",
				  "column t.c: options is not as before");
}

/* The text of a finding about rows. */
static void
expect_data(const UpgFinding *finding, const char *text)
{
	UpgFinding f = *finding;
	UpgBuf out;

	f.data = true;
	f.object = "s.t";
	if (f.change == NULL)
		f.change = "rows";
	buf_init(&out);
	finding_text(&out, &f);
	assert_string_equal(out.data, text);
	buf_free(&out);
}

static void
test_data_words(void **state)
{
	(void) state;
	expect_data(&(UpgFinding){.rows_was = 3, .lost = 2}, "table s.t: 2 of 3 rows lost");
	expect_data(&(UpgFinding){.rows_was = 3, .added = 1}, "table s.t: 1 row left behind");
	expect_data(&(UpgFinding){.rows_was = 1, .lost = 1, .added = 2},
				"table s.t: 1 of 1 row lost, 2 rows left behind");
	expect_data(&(UpgFinding){.change = "table", .rows_was = 3, .lost = 3},
				"table s.t is gone with its 3 rows");
	expect_data(&(UpgFinding){.change = "sequence", .was = "4", .is_now = "1"},
				"sequence s.t goes on at 1, was at 4");
	expect_data(
		&(UpgFinding){.rows_was = 3, .attribute = "c", .turned = "null", .in_column = 3},
		"table s.t, column c: 3 of 3 values lost, null now");
	expect_data(&(UpgFinding){.rows_was = 3,
							  .attribute = "c",
							  .turned = "one value",
							  .in_column = 2,
							  .is_now = "x"},
				"table s.t, column c: 2 of 3 values lost, all are now x");
	expect_data(&(UpgFinding){.rows_was = 3,
							  .attribute = "c",
							  .turned = "several values",
							  .in_column = 2,
							  .was = "a",
							  .is_now = "x"},
				"table s.t, column c: 2 of 3 values changed, for example from a to x");
	expect_data(
		&(UpgFinding){.rows_was = 3, .attribute = "c", .turned = "gone", .in_column = 1},
		"table s.t, column c: gone with 1 value");
}

/* Text is cut between characters, never inside of one. */
static void
test_long_values(void **state)
{
	UpgFinding f;
	UpgBuf out;
	UpgBuf was;

	(void) state;
	buf_init(&was);
	for (int i = 0; i < 40; i++)
		buf_add(&was, "\xc3\xa4");
	memset(&f, 0, sizeof(f));
	f.object = "x";
	f.change = "changed";
	f.attribute = "comment";
	f.was = was.data;
	buf_init(&out);
	finding_text(&out, &f);
	assert_int_equal(utf8_invalid_at(out.data, out.len), out.len);
	assert_non_null(strstr(out.data, "..."));
	buf_free(&out);
	buf_free(&was);
}

static void
test_policies(void **state)
{
	static const struct
	{
		const char *policy;
		int count;
	} cases[] = {
		{"never", 0}, {"fails", 1}, {"lossy", 3}, {"differs", 6}, {"missing", 15}};
	UpgLintReport report;
	int count;

	(void) state;
	memset(&report, 0, sizeof(report));
	report.verdicts[UPG_VERDICT_EXACT] = 100;
	report.verdicts[UPG_VERDICT_FAILS] = 1;
	report.verdicts[UPG_VERDICT_LOSSY] = 2;
	report.verdicts[UPG_VERDICT_DIFFERS] = 3;
	report.verdicts[UPG_VERDICT_NONE] = 4;
	report.verdicts[UPG_VERDICT_UNTESTED] = 5;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		assert_int_equal(lint_fails(&report, cases[i].policy, &count),
						 cases[i].count > 0);
		assert_int_equal(count, cases[i].count);
	}
}

/* Which line of a statement, by the server's position in characters. */
static void
test_lines(void **state)
{
	(void) state;
	assert_int_equal(lint_line_of("SELECT 1", 7, 0), 7);
	assert_int_equal(lint_line_of("SELECT 1", 7, 8), 7);
	assert_int_equal(lint_line_of("DROP\nTABLE\n  x", 7, 1), 7);
	assert_int_equal(lint_line_of("DROP\nTABLE\n  x", 7, 6), 8);
	assert_int_equal(lint_line_of("DROP\nTABLE\n  x", 7, 14), 9);
	assert_int_equal(lint_line_of("-- \xc3\xa4\xc3\xa4\nx y", 1, 7), 2);
	assert_int_equal(lint_line_of("short", 3, 100), 3);
}

static void
test_reaches_out(void **state)
{
	static const struct
	{
		const char *statement;
		bool out;
	} cases[] = {{"CREATE TABLE t ()", false},
				 {"ALTER SYSTEM SET work_mem = '1GB'", true},
				 {"-- x\n alter database d set x = y", true},
				 {"DROP DATABASE d", true},
				 {"CREATE TABLESPACE t LOCATION '/x'", true},
				 {"CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p", true},
				 {"CREATE ROLE there", true},
				 {"CREATE ROLE \"There\"", false},
				 {"CREATE ROLE THERE", true},
				 {"CREATE USER other", false},
				 {"DROP ROLE IF EXISTS there", true},
				 {"DROP ROLE other", false},
				 {"ALTER USER there WITH PASSWORD 'x'", true},
				 {"CREATE USER MAPPING FOR there SERVER s", false},
				 {"SELECT 'DROP DATABASE d'", false}};
	UpgScratch scratch;

	(void) state;
	memset(&scratch, 0, sizeof(scratch));
	list_add(&scratch.roles, "there");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (lint_reaches_out(cases[i].statement, &scratch) != cases[i].out)
			fail_msg("%s", cases[i].statement);
	list_free(&scratch.roles);
}

/* A report of three migrations, with characters that HTML and XML must not see. */
static void
make_report(UpgLintReport *report, UpgLintResult *results, UpgFinding *finding)
{
	memset(report, 0, sizeof(*report));
	memset(results, 0, sizeof(*results) * 3);
	memset(finding, 0, sizeof(*finding));
	finding->object = "index \"a<b&c\"";
	finding->change = "missing";
	results[0].name = "1_<script>";
	results[0].file = "1.up.sql";
	results[0].down_file = "1.down.sql";
	results[0].verdict = UPG_VERDICT_DIFFERS;
	results[0].findings = finding;
	results[0].finding_count = 1;
	results[1].name = "2";
	results[1].file = "2.up.sql";
	results[1].down_file = "2.down.sql";
	results[1].verdict = UPG_VERDICT_FAILS;
	results[1].down_fault.what = "tab\x01";
	results[1].down_fault.where = "2.down.sql:7";
	results[1].destroys = true;
	results[2].name = "3";
	results[2].file = "3.up.sql";
	results[2].verdict = UPG_VERDICT_NONE;
	report->directory = "dir & more";
	report->layout = "updown";
	report->results = results;
	report->count = 3;
	lint_summarize(report);
}

static void
test_reports(void **state)
{
	UpgLintReport report;
	UpgLintResult results[3];
	UpgFinding finding;
	UpgBuf out;

	(void) state;
	make_report(&report, results, &finding);
	assert_int_equal(report.downs, 2);
	assert_int_equal(report.schema_exact, 0);
	assert_int_equal(report.destroying, 1);
	assert_int_equal(report.restored, 0);
	buf_init(&out);
	lint_html(&out, &report);
	assert_null(strstr(out.data, "<script"));
	assert_non_null(strstr(out.data, "1_&lt;script&gt;"));
	assert_non_null(strstr(out.data, "dir &amp; more"));
	buf_reset(&out);
	lint_junit(&out, &report, "lossy");
	assert_non_null(strstr(out.data, "tests=\"3\" failures=\"1\""));
	assert_non_null(strstr(out.data, "index &quot;a&lt;b&amp;c&quot; is not restored"));
	assert_non_null(strstr(out.data, "the down fails: 2.down.sql:7: tab?"));
	assert_null(strchr(out.data, '\x01'));
	buf_reset(&out);
	lint_junit(&out, &report, "missing");
	assert_non_null(strstr(out.data, "failures=\"3\""));
	buf_free(&out);
}

static void
test_summary(void **state)
{
	UpgLintReport report;
	UpgLintResult results[3];
	UpgFinding finding;
	UpgArena *arena = arena_new();
	UpgList lines;

	(void) state;
	memset(&lines, 0, sizeof(lines));
	make_report(&report, results, &finding);
	lint_summary(&report, arena, &lines);
	assert_string_equal(lines.items[0], "3 migrations, 2 downs run");
	assert_string_equal(lines.items[lines.count - 2],
						"the schema is exactly restored by 0 of 2 (0%)");
	assert_string_equal(lines.items[lines.count - 1],
						"ups that change or drop rows: 1, of which 0 get them back (0%)");
	list_free(&lines);
	arena_free(arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_schema_words), cmocka_unit_test(test_data_words),
		cmocka_unit_test(test_long_values),  cmocka_unit_test(test_policies),
		cmocka_unit_test(test_lines),        cmocka_unit_test(test_reaches_out),
		cmocka_unit_test(test_reports),      cmocka_unit_test(test_summary),
	};

	return cmocka_run_group_tests_name("lint", tests, NULL, NULL);
}
