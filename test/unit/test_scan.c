/*-------------------------------------------------------------------------
 *
 * test_scan.c
 *		The scanner: statements, variables, psql commands, positions.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		test/unit/test_scan.c
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
#include <unistd.h>

#include <cmocka.h>

#include "log.h"
#include "scan.h"

static char path[64];

/* Write a script to a file and open it. */
static UpgScan *
scan_text(const char *text, size_t len, const UpgVars *vars)
{
	UpgPiece piece = {path, 0, -1, 1, NULL, 0};
	FILE *file;
	int fd;

	if (path[0] == '\0')
	{
		snprintf(path, sizeof(path), "/tmp/upgscan.XXXXXX");
		fd = mkstemp(path);
		assert_true(fd >= 0);
		close(fd);
	}
	file = fopen(path, "wb");
	assert_non_null(file);
	fwrite(text, 1, len, file);
	fclose(file);
	return scan_open(&piece, vars);
}

/* Statements of a script, joined by '|'. */
static char *
statements(const char *text, const UpgVars *vars)
{
	UpgScan *scan = scan_text(text, strlen(text), vars);
	UpgScanItem item;
	UpgScanKind kind;
	UpgBuf out;

	buf_init(&out);
	assert_non_null(scan);
	while ((kind = scan_next(scan, &item)) > UPG_SCAN_END)
	{
		const char *data;
		size_t len;

		if (kind == UPG_SCAN_REST)
			continue;
		if (out.len > 0)
			buf_addc(&out, '|');
		buf_add(&out, item.statement);
		if (kind == UPG_SCAN_COPY)
			while (scan_copy_line(scan, &data, &len) > 0)
			{
				buf_add(&out, "<");
				buf_addn(&out, data, len - 1);
				buf_add(&out, ">");
			}
	}
	if (kind == UPG_SCAN_ERROR)
		buf_printf(&out, "!%s", upg_error.code);
	scan_close(scan);
	err_clear();
	return out.data;
}

static void
expect(const char *text, const char *want)
{
	char *got = statements(text, NULL);

	assert_string_equal(got, want);
	free(got);
}

static void
test_cuts(void **state)
{
	(void) state;
	expect("", "");
	expect("SELECT 1;SELECT 2", "SELECT 1;|SELECT 2");
	expect("-- a;\n/* b; /* c; */ ; */ SELECT 1;", "SELECT 1;");
	expect("SELECT 'a;''b';SELECT E'\\';';", "SELECT 'a;''b';|SELECT E'\\';';");
	expect("SELECT '\\';SELECT 2;", "SELECT '\\';|SELECT 2;");
	expect("SELECT \";\"\";\";x", "SELECT \";\"\";\";|x");
	expect("SELECT $$;$$, $a$;$$;$b$;$a$;y", "SELECT $$;$$, $a$;$$;$b$;$a$;|y");
	expect("SELECT a$b$;c$b$;", "SELECT a$b$;|c$b$;");
	expect("SELECT $1;z", "SELECT $1;|z");
	expect("CREATE RULE r AS ON INSERT TO t DO (a; b);c",
		   "CREATE RULE r AS ON INSERT TO t DO (a; b);|c");
	expect("CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN 1=1 "
		   "THEN 2 END; SELECT 2; END;x",
		   "CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN 1=1 "
		   "THEN 2 END; SELECT 2; END;|x");
	expect("BEGIN; SELECT 1; END;", "BEGIN;|SELECT 1;|END;");
}

static void
test_unterminated(void **state)
{
	(void) state;
	expect("SELECT 1; SELECT 'a", "SELECT 1;!UPG-2012");
	expect("SELECT \"a", "!UPG-2012");
	expect("DO $x$ a $y$;", "!UPG-2012");
	expect("/* /* */", "!UPG-2012");
}

static void
test_copy(void **state)
{
	(void) state;
	expect("COPY t (a, b) FROM STDIN;\n1\t;'\n\\.\nSELECT 1;",
		   "COPY t (a, b) FROM STDIN;\n<1\t;'>|SELECT 1;");
	expect("COPY t TO STDOUT;x", "COPY t TO STDOUT;|x");
	expect("COPY (SELECT a FROM stdin) TO 'x';y", "COPY (SELECT a FROM stdin) TO 'x';|y");
	expect("COPY t FROM '/x';y", "COPY t FROM '/x';|y");
	expect("\\copy t from stdin\n1\n\\.\n", "COPY t FROM STDIN;\n<1>");
}

static void
test_variables(void **state)
{
	UpgVars vars = {NULL, 0, 0};
	char *got;

	(void) state;
	vars_set(&vars, "v", "it's");
	vars_set(&vars, "t", "tab");
	vars_set(&vars, "two", "1; SELECT 2");
	vars_set(&vars, "self", ":self");
	got = statements("SELECT :'v', :\"t\", :t.a, a::t, x[1:t2], ':t', :{?t}, :{?u}, :u;",
					 &vars);
	assert_string_equal(
		got, "SELECT 'it''s', \"tab\", tab.a, a::t, x[1:t2], ':t', TRUE, FALSE, :u;");
	free(got);
	got = statements("SELECT :two;", &vars);
	assert_string_equal(got, "SELECT 1;|SELECT 2;");
	free(got);
	got = statements("SELECT :self;", &vars);
	assert_string_equal(got, "SELECT :self;");
	free(got);
	vars_free(&vars);
}

static void
test_commands(void **state)
{
	(void) state;
	expect("\\set a 1 2 'x y'\nSELECT :a, :'a';\n", "SELECT 12x y, '12x y';");
	expect("\\set a 1\n\\unset a\nSELECT :a;\n", "SELECT :a;");
	expect("\\if 0\na;\n\\elif 1\nb;\n\\else\nc;\n\\endif\nd;", "b;|d;");
	expect("\\if 1\n\\if 0\na;\n\\else\nb;\n\\endif\n\\else\nc 'x;\n';\n\\endif\n", "b;");
	expect("\\if 1\na;", "a;!UPG-2013");
	expect("\\restrict x\na;\n\\unrestrict x\n", "a;");
	expect("a \\; b;", "a ; b;");
	expect("a;\n\\gset\n", "a;!UPG-2013");
	expect("\\set x `id`\n", "!UPG-2013");
}

static void
test_bytes(void **state)
{
	UpgScan *scan;
	UpgScanItem item;

	(void) state;
	expect("\xEF\xBB\xBFSELECT 1;", "SELECT 1;");
	scan = scan_text("SELECT 1;\n\0", 11, NULL);
	assert_null(scan);
	assert_string_equal(upg_error.code, "UPG-2011");
	assert_non_null(strstr(upg_error.where, ":2"));
	err_clear();
	scan = scan_text("a;\n\n'\xE9'", 7, NULL);
	assert_null(scan);
	assert_string_equal(upg_error.code, "UPG-2010");
	assert_non_null(strstr(upg_error.why, "offset 5"));
	err_clear();

	/* a multi-byte character on the border of a chunk */
	{
		size_t len = 65536 * 2 + 10;
		char *text = malloc(len);

		memset(text, 'x', len);
		memcpy(text + 65535, "\xF0\x9F\x98\x80", 4);
		text[len - 1] = ';';
		scan = scan_text(text, len, NULL);
		assert_non_null(scan);
		assert_int_equal(scan_next(scan, &item), UPG_SCAN_STATEMENT);
		assert_int_equal(item.len, len);
		assert_memory_equal(item.text, text, len);
		scan_close(scan);
		free(text);
	}
}

static void
test_positions(void **state)
{
	UpgScan *scan = scan_text("-- c\n\n  SELECT\n1;\nSELECT 2;", 27, NULL);
	UpgScanItem item;
	const char *file;
	int line;

	(void) state;
	assert_int_equal(scan_next(scan, &item), UPG_SCAN_STATEMENT);
	assert_int_equal(item.line, 3);
	assert_int_equal(item.col, 3);
	assert_int_equal(scan_next(scan, &item), UPG_SCAN_STATEMENT);
	assert_int_equal(item.line, 5);
	assert_int_equal(item.col, 1);
	scan_position(scan, 4, &file, &line);
	assert_int_equal(line, 4);
	assert_false(scan_changed_text(scan));
	scan_close(scan);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cuts),     cmocka_unit_test(test_unterminated),
		cmocka_unit_test(test_copy),     cmocka_unit_test(test_variables),
		cmocka_unit_test(test_commands), cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_positions)};
	int failed = cmocka_run_group_tests_name("scan", tests, NULL, NULL);

	unlink(path);
	return failed;
}
