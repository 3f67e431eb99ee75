/*-------------------------------------------------------------------------
 *
 * test_source.c
 *		Directories, JSON, options and small helpers.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		test/unit/test_source.c
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
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "command.h"
#include "fake_libpq.h"
#include "json.h"
#include "log.h"
#include "source.h"

/* The names of a fixture directory in order, or the code of the error. */
static void
expect_dir(const char *name, const char *layout, const char *want)
{
	char path[512];
	UpgBuf out;
	UpgSource *source;

	snprintf(path, sizeof(path), "%s/%s", FIXTURES, name);
	source = source_open(path, NULL, NULL, 1024);
	buf_init(&out);
	if (source == NULL)
		buf_add(&out, upg_error.code);
	else
	{
		assert_string_equal(source->layout, layout);
		for (int i = 0; i < source->count; i++)
			buf_printf(&out, "%s%s%s%s", i ? " " : "", source->entries[i].name,
					   entry_has_down(&source->entries[i]) ? "-" : "",
					   source->entries[i].no_transaction ? "!" : "");
	}
	assert_string_equal(out.data, want);
	buf_free(&out);
	source_close(source);
	err_clear();
}

static void
test_layouts(void **state)
{
	(void) state;
	expect_dir("plain", "plain", "1_a 2_b 10_c");
	expect_dir("updown", "updown", "1_a- 2_b");
	expect_dir("dialects", "updown", "1_a- 2_b!");
	expect_dir("goose", "goose", "1_a- 2_b-!");
	expect_dir("dbmate", "dbmate", "1_a-");
	expect_dir("flyway", "flyway", "V1.2__b V1.10__c- R__v");
	expect_dir("sqitch", "sqitch", "a@v1 b a-");
	expect_dir("folder", "folder", "2026-01-01-000000_a- 2026-01-02-000000_b!");
	expect_dir("liquibase", "liquibase", "x:me:1- x:me:2!");
	expect_dir("nosuch", NULL, "UPG-2005");
	expect_dir("duplicate", NULL, "UPG-2007");
	expect_dir("orphan", NULL, "UPG-2008");
	expect_dir("notsql", NULL, "UPG-2025");
}

static void
test_natural(void **state)
{
	(void) state;
	assert_true(natural_compare("2_a", "10_a") < 0);
	assert_true(natural_compare("02_a", "2_b") < 0);
	assert_true(natural_compare("1.2", "1.10") < 0);
	assert_true(natural_compare("1", "1.1") < 0);
	assert_true(natural_compare("99999999999999999999999", "100000000000000000000000") <
				0);
	assert_int_equal(natural_compare("a1", "a1"), 0);
	assert_int_equal(edit_distance("stauts", "status"), 2);
}

static void
test_utf8(void **state)
{
	(void) state;
	assert_int_equal(utf8_invalid_at("a\xC3\xA9", 3), 3);
	assert_int_equal(utf8_invalid_at("\xC0\x80", 2), 0);
	assert_int_equal(utf8_invalid_at("a\xED\xA0\x80", 4), 1);
	assert_int_equal(utf8_invalid_at("\xF4\x90\x80\x80", 4), 0);
	assert_int_equal(utf8_invalid_at("ab\xE2\x82", 4), 2);
}

static void
test_numbers(void **state)
{
	int64_t v;

	(void) state;
	assert_true(parse_duration("500ms", &v) && v == 500);
	assert_true(parse_duration("1.5", &v) && v == 1500);
	assert_true(parse_duration("2min", &v) && v == 120000);
	assert_false(parse_duration("soon", &v));
	assert_false(parse_duration("-1s", &v));
	assert_true(parse_size("16MB", &v) && v == 16777216);
	assert_false(parse_size("16XB", &v));
}

static void
test_json(void **state)
{
	UpgBuf out;
	UpgJson json;
	UpgJsonDoc *doc;
	char number[32];

	(void) state;
	buf_init(&out);
	json_start(&json, &out);
	json_object(&json, NULL);
	json_string(&json, "s", "a\"\\\n\x01\xFF\xC3\xA9");
	json_int(&json, "i", INT64_C(9223372036854775807));
	json_array(&json, "a");
	json_bool(&json, NULL, true);
	json_null(&json, NULL);
	json_array_end(&json);
	json_raw(&json, "r", "{\"x\":1}");
	json_object_end(&json);
	assert_string_equal(
		out.data,
		"{\"s\":\"a\\\"\\\\\\n\\u0001\xEF\xBF\xBD\xC3\xA9\",\"i\":9223372036854775807,"
		"\"a\":[true,null],\"r\":{\"x\":1}}");
	doc = json_parse(out.data);
	assert_non_null(doc);
	assert_non_null(json_get(doc, "s", number, sizeof(number)));
	assert_null(json_get(doc, "zzz", number, sizeof(number)));
	json_free(doc);
	assert_null(json_parse("{} x"));
	assert_null(json_parse("{"));
	buf_free(&out);
}

static bool
parse(UpgContext *ctx, const char *line)
{
	char *argv[16];
	int argc = 0;
	char *save = NULL;

	memset(ctx, 0, sizeof(*ctx));
	ctx->arena = arena_new();
	for (char *w = strtok_r(arena_strdup(ctx->arena, line), " ", &save); w != NULL;
		 w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	return command_parse(ctx, argc, argv);
}

static void
done(UpgContext *ctx)
{
	vars_free(&ctx->vars);
	list_free(&ctx->args);
	arena_free(ctx->arena);
	err_clear();
	upg_verbosity = 0;
}

static void
test_options(void **state)
{
	static const char *const wrong[] = {"upg",
										"upg nonsense",
										"upg up --nonsense",
										"upg up a b",
										"upg status --all",
										"upg up --to",
										"upg audit",
										"upg audit x",
										"upg up --layout=x",
										"upg up --json=1",
										"upg up --set x",
										NULL};
	UpgContext ctx;

	(void) state;
	assert_true(parse(&ctx, "upg -d x -qv up --to=5 DIR --set a=b --set c=d=e --json"));
	assert_string_equal(ctx.command->name, "up");
	assert_string_equal(opt_get(&ctx, OPT_DBNAME), "x");
	assert_string_equal(opt_get(&ctx, OPT_TO), "5");
	assert_string_equal(vars_get(&ctx.vars, "c"), "d=e");
	assert_true(ctx.json);
	assert_int_equal(ctx.args.count, 1);
	done(&ctx);
	assert_true(parse(&ctx, "upg rollback -dmydb -- -x"));
	assert_string_equal(ctx.command->name, "down");
	assert_string_equal(opt_get(&ctx, OPT_DBNAME), "mydb");
	assert_string_equal(ctx.args.items[0], "-x");
	done(&ctx);
	assert_true(parse(&ctx, "upg audit verify"));
	assert_string_equal(ctx.parent->name, "audit");
	setenv("UPG_LOCK_TIMEOUT", "3s", 1);
	assert_string_equal(opt_get(&ctx, OPT_LOCK_TIMEOUT), "3s");
	unsetenv("UPG_LOCK_TIMEOUT");
	done(&ctx);
	for (int i = 0; wrong[i] != NULL; i++)
	{
		assert_false(parse(&ctx, wrong[i]));
		assert_int_equal(upg_error.exit_code, 2);
		done(&ctx);
	}
}

static void
test_redaction(void **state)
{
	char a[] = "could not parse postgresql://u:se@cret@h/db?x";
	char b[] = "host=x password=secret user=y";
	char c[] = "password = 'se\\'cret' host=x";

	(void) state;
	redact_password(a);
	assert_null(strstr(a, "cret"));
	assert_non_null(strstr(a, "@h/db"));
	redact_password(b);
	assert_null(strstr(b, "secret"));
	assert_non_null(strstr(b, "user=y"));
	redact_password(c);
	assert_null(strstr(c, "cret"));
}

static void
test_help(void **state)
{
	UpgBuf out;

	(void) state;
	buf_init(&out);
	help_markdown(&out);
	help_man(&out);
	for (const UpgCommand *c = upg_commands; c->name != NULL; c++)
		assert_non_null(strstr(out.data, c->summary));
	for (const UpgErrorCode *e = upg_error_codes; e->code != NULL; e++)
		assert_non_null(strstr(out.data, e->code));
	assert_true(help_completion(&out, "bash"));
	assert_false(help_completion(&out, "csh"));
	buf_free(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layouts),   cmocka_unit_test(test_natural),
		cmocka_unit_test(test_utf8),      cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_json),      cmocka_unit_test(test_options),
		cmocka_unit_test(test_redaction), cmocka_unit_test(test_help)};

	return cmocka_run_group_tests_name("source", tests, NULL, NULL);
}
