/*-------------------------------------------------------------------------
 *
 * test_util.c
 *		Strings, lists and arrays that every file uses.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		test/unit/test_util.c
 *
 *-------------------------------------------------------------------------
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conn.h"
#include "util.h"

#define COUNT(array) ((int) (sizeof(array) / sizeof((array)[0])))

/* What is written as text[] is read as it was, whatever it holds. */
static void
test_arrays_there_and_back(void **state)
{
	static const char *const items[] = {"plain", "",         "with, comma", "{braces}",
										"NULL",  "\"quotes", "back\\slash", "Größe\n"};
	UpgArena *arena = arena_new();
	UpgList list = {NULL, 0, 0};
	const char *literal;
	UpgBuf item;
	bool quoted;
	int n = 0;

	(void) state;
	for (int i = 0; i < COUNT(items); i++)
		list_add(&list, items[i]);
	literal = array_text(arena, &list);
	buf_init(&item);
	for (; array_next(&literal, &item, &quoted); n++)
	{
		assert_true(n < COUNT(items));
		assert_string_equal(item.data, items[n]);
		assert_true(quoted);
	}
	assert_int_equal(n, COUNT(items));
	buf_free(&item);
	list_free(&list);
	arena_free(arena);
}

/* The server quotes only what needs it, and writes a null as NULL. */
static void
test_arrays_of_the_server(void **state)
{
	const char *literal = "{a,NULL,\"b c\",\"NULL\"}";
	UpgBuf item;
	bool quoted;

	(void) state;
	buf_init(&item);
	assert_true(array_next(&literal, &item, &quoted));
	assert_string_equal(item.data, "a");
	assert_true(array_next(&literal, &item, &quoted));
	assert_string_equal(item.data, "NULL");
	assert_false(quoted);
	assert_true(array_next(&literal, &item, &quoted));
	assert_string_equal(item.data, "b c");
	assert_true(array_next(&literal, &item, &quoted));
	assert_string_equal(item.data, "NULL");
	assert_true(quoted);
	assert_false(array_next(&literal, &item, &quoted));
	literal = "{}";
	assert_false(array_next(&literal, &item, &quoted));
	literal = "";
	assert_false(array_next(&literal, &item, &quoted));
	buf_free(&item);
}

static void
test_lists(void **state)
{
	UpgArena *arena = arena_new();
	UpgList list = {NULL, 0, 0};

	(void) state;
	list_split(&list, arena, "a,,bc,");
	assert_int_equal(list.count, 2);
	assert_string_equal(list.items[0], "a");
	assert_string_equal(list.items[1], "bc");
	assert_true(list_has(&list, "bc"));
	assert_false(list_has(&list, "b"));
	list_split(&list, arena, "");
	assert_int_equal(list.count, 2);
	list_free(&list);
	assert_string_equal(quote_identifier(arena, "Odd \"name\""), "\"Odd \"\"name\"\"\"");
	arena_free(arena);
}

static void
test_order_of_names(void **state)
{
	/* each before the next */
	static const char *const names[] = {"",     "1_a",  "2_a",   "2_b",
										"10_a", "10_b", "010_c", "20260102030405_x",
										"a",    "a2",   "a10",   "b"};

	(void) state;
	for (int i = 0; i < COUNT(names); i++)
		for (int k = 0; k < COUNT(names); k++)
		{
			int order = natural_compare(names[i], names[k]);

			assert_int_equal((order > 0) - (order < 0), (i > k) - (i < k));
		}
}

static void
test_what_is_utf8(void **state)
{
	static const struct
	{
		const char *text;
		size_t bad; /* offset of the first bad byte, or the length */
	} texts[] = {{"plain", 5},
				 {"Gr\xc3\xb6\xc3\x9f\x65", 7},
				 {"\xf0\x9f\x98\x80", 4},
				 {"ab\xe9", 2},           /* Latin 1 */
				 {"a\xc0\xaf", 1},        /* overlong */
				 {"\xe0\x80\xaf", 0},     /* overlong */
				 {"\xed\xa0\x80", 0},     /* a surrogate */
				 {"\xf4\x90\x80\x80", 0}, /* above U+10FFFF */
				 {"ok\xe2\x82", 2}};      /* cut off */

	(void) state;
	for (int i = 0; i < COUNT(texts); i++)
		assert_int_equal(utf8_invalid_at(texts[i].text, strlen(texts[i].text)),
						 texts[i].bad);
}

static void
test_passwords_are_hidden(void **state)
{
	static const char *const texts[][2] = {
		{"postgres://me:secret@host/db", "postgres://me:******@host/db"},
		{"postgres://me:p@ss@host/db", "postgres://me:****@host/db"},
		{"postgres://me@host/db", "postgres://me@host/db"},
		{"host=h password=secret dbname=x", "host=h password=****** dbname=x"},
		{"password = 'it\\'s x' dbname=x", "password = '*******' dbname=x"},
		{"postgres://host/db?user=me&password=secret&x=1",
		 "postgres://host/db?user=me&password=******&x=1"},
		{"no password supplied", "no password supplied"}};

	(void) state;
	for (int i = 0; i < COUNT(texts); i++)
	{
		char *text = xstrdup(texts[i][0]);

		redact_password(text);
		assert_string_equal(text, texts[i][1]);
		free(text);
	}
}

static void
test_durations_and_sizes(void **state)
{
	int64_t value;

	(void) state;
	assert_true(parse_duration("500ms", &value) && value == 500);
	assert_true(parse_duration("1.5", &value) && value == 1500);
	assert_true(parse_duration("2min", &value) && value == 120000);
	assert_true(parse_duration("1h", &value) && value == 3600000);
	assert_false(parse_duration("", &value));
	assert_false(parse_duration("-1s", &value));
	assert_false(parse_duration("soon", &value));
	assert_false(parse_duration("1 day", &value));
	assert_true(parse_size("64kB", &value) && value == 65536);
	assert_true(parse_size("1gb", &value) && value == 1073741824);
	assert_true(parse_size("17", &value) && value == 17);
	assert_false(parse_size("many", &value));
	assert_false(parse_size("1TiB", &value));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_arrays_there_and_back),
									   cmocka_unit_test(test_arrays_of_the_server),
									   cmocka_unit_test(test_lists),
									   cmocka_unit_test(test_order_of_names),
									   cmocka_unit_test(test_what_is_utf8),
									   cmocka_unit_test(test_passwords_are_hidden),
									   cmocka_unit_test(test_durations_and_sizes)};

	return cmocka_run_group_tests_name("util", tests, NULL, NULL);
}
