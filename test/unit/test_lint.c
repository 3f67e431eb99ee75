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
	expect_schema("missing", NULL, "CREATE INDEX i\n ON t (a)", NULL,
				  "column t.c is not restored: CREATE INDEX i  ON t (a)");
	expect_schema("changed", "body", "a", "b",
				  "column t.c: body is not as before: was a, is b");
	expect_schema("changed", "body", "x\n  a := 1;\ny", "x\n  a := 2;\ny",
				  "column t.c: body is not as before in line 2: was a := 1;, is a := 2;");
	expect_schema("changed", "body", "x\n", "x\ny",
				  "column t.c: body is not as before in line 2: was an empty line, is y");
	expect_schema(
		"changed", "options", body, "b",
		"column t.c: options is not as before: was "
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx..., is b");
	/* one ends where the other goes on */
	expect_schema(
		"changed", "labels",
		"'alpha-with-a-long-name', 'beta-with-a-long-name', 'c-with-a-long-name'",
		"'alpha-with-a-long-name', 'beta-with-a-long-name', 'c-with-a-long-name', "
		"'d'",
		"column t.c: labels is not as before: was ...'c-with-a-long-name', is "
		"...'c-with-a-long-name', 'd'");
	/* of a long line the part where they differ, from the beginning of a word */
	expect_schema(
		"changed", "definition",
		"SELECT one, two, three, four, five, six, seven, eight FROM some_table WHERE "
		"old",
		"SELECT one, two, three, four, five, six, seven, eight FROM some_table WHERE "
		"new",
		"column t.c: definition is not as before: was ...some_table WHERE old, is "
		"...some_table WHERE new");
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
	for (int i = 0; i < 140; i++)
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
	/* nor where the two differ in the second half of a character */
	for (size_t at = 0; at < 200; at += 17)
	{
		char *other = xstrdup(was.data);

		other[at | 1] = '\xb6';
		f.is_now = other;
		buf_reset(&out);
		finding_text(&out, &f);
		assert_int_equal(utf8_invalid_at(out.data, out.len), out.len);
		free(other);
	}
	buf_free(&out);
	buf_free(&was);
}

static void
test_policies(void **state)
{
	static const struct
	{
		const char *fail_on;
		int count;
	} cases[] = {
		{"never", 0}, {"fails", 1}, {"lossy", 2}, {"differs", 3}, {"missing", 5}};
	UpgLintReport report;
	UpgLintResult results[UPG_VERDICTS];

	(void) state;
	memset(&report, 0, sizeof(report));
	memset(results, 0, sizeof(results));
	for (int i = 0; i < UPG_VERDICTS; i++)
		results[i].verdict = (UpgVerdict) i;
	report.results = results;
	report.count = UPG_VERDICTS;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		UpgLintPolicy policy = {cases[i].fail_on, false};

		assert_int_equal(lint_failures(&report, &policy), cases[i].count);
	}
}

/* With a baseline only what is worse counts. */
static void
test_baseline(void **state)
{
	UpgLintPolicy policy = {"missing", true};
	UpgLintReport report;
	UpgLintResult results[UPG_VERDICTS];
	UpgVerdict names[UPG_VERDICTS];
	const char *list[] = {"0", "1", "2", "3", "4", "5", "gone"};
	UpgVerdict known[] = {UPG_VERDICT_EXACT, UPG_VERDICT_UNTESTED, UPG_VERDICT_DIFFERS,
						  UPG_VERDICT_NONE,  UPG_VERDICT_LOSSY,    UPG_VERDICT_LOSSY,
						  UPG_VERDICT_FAILS};
	UpgLintBaseline base;
	UpgArena *arena = arena_new();

	(void) state;
	memset(&report, 0, sizeof(report));
	memset(results, 0, sizeof(results));
	memset(&base, 0, sizeof(base));
	for (int i = 0; i < UPG_VERDICTS; i++)
	{
		results[i].verdict = (UpgVerdict) i;
		results[i].name = list[i];
		assert_true(lint_verdict_of(verdict_name((UpgVerdict) i),
									strlen(verdict_name((UpgVerdict) i)), &names[i]));
		assert_int_equal(names[i], i);
	}
	assert_false(lint_verdict_of("exact", 4, &names[0]));
	for (int i = 0; i < UPG_VERDICTS + 1; i++)
		list_add(&base.names, list[i]);
	base.verdicts = known;
	report.results = results;
	report.count = UPG_VERDICTS;
	lint_baseline_use(&base, arena, false, &report);
	/* 3 differs was none, 5 fails was lossy */
	assert_int_equal(lint_failures(&report, &policy), 2);
	assert_true(lint_breaks(&results[3], &policy));
	assert_true(lint_breaks(&results[5], &policy));
	assert_int_equal(report.better.count, 2);
	assert_string_equal(report.better.items[0], "2 is none now, was differs");
	assert_string_equal(report.better.items[1], "gone is no longer there");
	list_free(&report.better);
	lint_baseline_use(&base, arena, true, &report);
	assert_int_equal(report.better.count, 1);
	list_free(&report.better);
	list_free(&base.names);
	arena_free(arena);
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
	results[0].where = "1.down.sql:4";
	results[1].where = "2.down.sql:7";
	results[2].where = "3.up.sql:1";
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

/* Lines for editors and for GitHub Actions. */
static void
test_annotations(void **state)
{
	UpgLintPolicy policy = {"lossy", false};
	UpgLintReport report;
	UpgLintResult results[3];
	UpgFinding finding;
	UpgBuf out;

	(void) state;
	make_report(&report, results, &finding);
	results[1].down_fault.what = "100%\nbad";
	buf_init(&out);
	lint_annotate(&out, &report, &policy, "gcc");
	assert_string_equal(
		out.data, "1.down.sql:4: warning: differs: index \"a<b&c\" is not restored\n"
				  "2.down.sql:7: error: fails: the down fails: 2.down.sql:7: 100% bad\n");
	buf_reset(&out);
	policy.fail_on = "missing";
	lint_annotate(&out, &report, &policy, "github");
	assert_string_equal(
		out.data,
		"::error file=1.down.sql,line=4,title=down of 1_<script>%3A differs::index "
		"\"a<b&c\" is not restored\n"
		"::error file=2.down.sql,line=7,title=down of 2%3A fails::the down fails: "
		"2.down.sql:7: 100%25%0Abad\n"
		"::error file=3.up.sql,line=1,title=down of 3%3A none::there is no down\n");
	buf_free(&out);
}

static void
test_reports(void **state)
{
	UpgLintReport report;
	UpgLintResult results[3];
	UpgFinding finding;
	UpgLintPolicy lossy = {"lossy", false};
	UpgLintPolicy missing = {"missing", false};
	UpgBuf out;

	(void) state;
	make_report(&report, results, &finding);
	assert_int_equal(report.downs, 2);
	assert_int_equal(report.schema_exact, 0);
	assert_int_equal(report.destroying, 1);
	assert_int_equal(report.restored, 0);
	buf_init(&out);
	lint_html(&out, &report, &lossy);
	assert_non_null(strstr(out.data, "1 of 3 fail the check"));
	assert_null(strstr(out.data, "<script"));
	assert_non_null(strstr(out.data, "1_&lt;script&gt;"));
	assert_non_null(strstr(out.data, "dir &amp; more"));
	buf_reset(&out);
	lint_junit(&out, &report, &lossy);
	assert_non_null(strstr(out.data, "tests=\"3\" failures=\"1\""));
	assert_non_null(strstr(out.data, "index &quot;a&lt;b&amp;c&quot; is not restored"));
	assert_non_null(strstr(out.data, "the down fails: 2.down.sql:7: tab?"));
	assert_null(strchr(out.data, '\x01'));
	buf_reset(&out);
	lint_junit(&out, &report, &missing);
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
	assert_string_equal(lines.items[0], "3 migrations, 2 downs run in 0.0 s");
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
		cmocka_unit_test(test_baseline),     cmocka_unit_test(test_annotations),
		cmocka_unit_test(test_lines),        cmocka_unit_test(test_reaches_out),
		cmocka_unit_test(test_reports),      cmocka_unit_test(test_summary),
	};

	return cmocka_run_group_tests_name("lint", tests, NULL, NULL);
}
