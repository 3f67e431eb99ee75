/*-------------------------------------------------------------------------
 *
 * test_run.c
 *		Runs against a scripted server: waiting, reconnecting, taking back.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		test/unit/test_run.c
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

#include "conn_internal.h"
#include "exit_codes.h"
#include "fake_libpq.h"
#include "log.h"
#include "run.h"

#define APPLIED_COLUMNS "migration|state|statements|steps|undo|warnings|duration"
#define STATUS_COLUMNS  "migration|state|sha256|meaning|ord"
#define STATE_COLUMNS   "state|steps_done|steps|statement|attempt|worker_pid"
#define DIGEST                                                                       \
	{                                                                                \
		"upg_digest", FAKE_ROWS, "applied|unfinished|names_sha256", "0|0|none", NULL \
	}
#define NO_STATUS                                         \
	{                                                     \
		"upg_status", FAKE_ROWS, STATUS_COLUMNS, "", NULL \
	}
#define STARTED                                              \
	{                                                        \
		"upg_upgrade_start", FAKE_ROWS, "upgrade", "7", NULL \
	}
#define FINISHED                                        \
	{                                                   \
		"upg_upgrade_finish", FAKE_ROWS, "x", "~", NULL \
	}
#define OK(name)                                           \
	{                                                      \
		"upg_apply", FAKE_ROWS, APPLIED_COLUMNS,           \
			name "|applied|1|1|given|{}|00:00:00.01", NULL \
	}
#define COUNT(array) ((int) (sizeof(array) / sizeof((array)[0])))

static char dir[64];

static void
write_file(const char *name, const char *text)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

/* Run "upg up" or "upg down" against a script; the exit code. */
static int
run_script(const FakeReply *replies, int count, int argc, const char *const *extra)
{
	UpgContext ctx;
	UpgConnParams params;
	char *argv[12];
	int n = 0;
	int rc;

	memset(&ctx, 0, sizeof(ctx));
	memset(&params, 0, sizeof(params));
	fake_script(replies, count);
	ctx.arena = arena_new();
	argv[n++] = arena_strdup(ctx.arena, "upg");
	for (int i = 0; i < argc; i++)
		argv[n++] = arena_strdup(ctx.arena, extra[i]);
	assert_true(command_parse(&ctx, n, argv));
	upg_verbosity = -1;
	if (strcmp(ctx.command->name, "up") == 0)
	{
		ctx.source = source_open(dir, NULL, &ctx.vars, 1024 * 1024);
		assert_non_null(ctx.source);
	}
	ctx.conn = conn_open(&params);
	assert_non_null(ctx.conn);
	rc = ctx.source ? run_up(&ctx) : run_down(&ctx);
	if (fake_problem() != NULL)
		fail_msg("%s", fake_problem());
	assert_int_equal(fake_left(), 0);
	conn_close(ctx.conn);
	source_close(ctx.source);
	vars_free(&ctx.vars);
	list_free(&ctx.args);
	arena_free(ctx.arena);
	return rc;
}

static int
up(const FakeReply *replies, int count, const char *option)
{
	const char *argv[2] = {"up", option};

	return run_script(replies, count, option ? 2 : 1, argv);
}

static void
test_applies_in_order(void **state)
{
	const FakeReply replies[] = {DIGEST,    NO_STATUS, STARTED,
								 OK("1_a"), OK("2_b"), FINISHED};

	(void) state;
	assert_int_equal(up(replies, COUNT(replies), NULL), 0);
	assert_string_equal(fake_param(2, 0), "up");
	assert_string_equal(fake_param(2, 1), "{\"1_a\",\"2_b\"}");
	assert_string_equal(fake_param(3, 0), "1_a");
	assert_string_equal(fake_param(3, 1), "CREATE TABLE a (i int);\n");
	assert_string_equal(fake_param(3, 2), "DROP TABLE a;\n");
	assert_null(fake_param(4, 2));
	assert_non_null(strstr(fake_param(4, 4), "\"upgrade\":7"));
	assert_non_null(strstr(fake_param(4, 4), "\"after\":\"1_a\""));
	assert_string_equal(fake_param(5, 1), "completed");
	err_clear();
}

static void
test_nothing_to_do_is_one_row(void **state)
{
	char rows[128];
	char hex[UPG_SHA256_HEX];
	UpgSource *source = source_open(dir, NULL, NULL, 1024 * 1024);
	FakeReply replies[] = {
		{"upg_digest", FAKE_ROWS, "applied|unfinished|names_sha256", rows, NULL}};

	(void) state;
	source_digest(source, hex);
	source_close(source);
	snprintf(rows, sizeof(rows), "2|0|%s", hex);
	assert_int_equal(up(replies, COUNT(replies), NULL), 0);
}

static void
test_waits_for_a_conflict(void **state)
{
	const FakeReply replies[] = {
		DIGEST,
		NO_STATUS,
		STARTED,
		{"upg_apply", FAKE_ERROR, "UP004", "migration \"1_a\" is held", NULL},
		{"upg_apply", FAKE_ERROR, "UP004", "migration \"1_a\" is held", NULL},
		{"upg_apply", FAKE_ROWS, APPLIED_COLUMNS, "1_a|already|1|1|given|{}|00:00:00.01",
		 NULL},
		OK("2_b"),
		FINISHED};

	(void) state;
	assert_int_equal(up(replies, COUNT(replies), NULL), 0);
}

static void
test_no_wait_leaves(void **state)
{
	const FakeReply replies[] = {DIGEST,
								 NO_STATUS,
								 STARTED,
								 {"upg_apply", FAKE_ERROR, "UP004", "held", NULL},
								 FINISHED};

	(void) state;
	assert_int_equal(up(replies, COUNT(replies), "--no-wait"), UPG_EXIT_CONFLICT);
	assert_string_equal(upg_error.code, "UPG-0004");
	assert_string_equal(fake_param(4, 1), "failed");
	err_clear();
}

/* A cancel request that comes before the statement has begun is passed over. */
static void
test_cancels_until_it_ends(void **state)
{
	const FakeReply replies[] = {{"pg_sleep", FAKE_ERROR, "57014", "canceling", NULL}};
	UpgConnParams params;
	UpgConn *conn;
	PGresult *res;

	(void) state;
	memset(&params, 0, sizeof(params));
	fake_script(replies, COUNT(replies));
	fake_busy(3);
	conn = conn_open(&params);
	assert_non_null(conn);
	conn->params.deadline = now_ms() + 1;
	assert_true(conn_send_statement(conn, "SELECT pg_sleep(60)", 0, NULL, NULL));
	res = conn_collect(conn);
	fake_busy(0);
	assert_non_null(res);
	conn_server_error(conn, res);
	assert_int_equal(upg_error.exit_code, UPG_EXIT_DEADLINE);
	assert_string_equal(upg_error.sqlstate, "57014");
	PQclear(res);
	conn_close(conn);
	err_clear();
}

static void
test_reconnects_and_asks_again(void **state)
{
	const FakeReply replies[] = {
		DIGEST,
		NO_STATUS,
		STARTED,
		{"upg_apply", FAKE_LOST, NULL, NULL, NULL},
		{"upg_apply", FAKE_ROWS, APPLIED_COLUMNS, "1_a|already|1|1|given|{}|~", NULL},
		OK("2_b"),
		FINISHED};

	(void) state;
	assert_int_equal(up(replies, COUNT(replies), NULL), 0);
	assert_int_equal(fake_connects(), 2);
}

static void
test_polls_background_work(void **state)
{
	const FakeReply replies[] = {
		DIGEST,
		NO_STATUS,
		STARTED,
		{"upg_apply", FAKE_ROWS, APPLIED_COLUMNS, "1_a|queued|2|2|none|{}|~", NULL},
		{"upg_migration_state", FAKE_ROWS, STATE_COLUMNS, "queued|0|2|~|~|~", NULL},
		{"upg_migration_state", FAKE_ROWS, STATE_COLUMNS,
		 "running|1|2|CREATE INDEX|~|4711", NULL},
		{"upg_migration_state", FAKE_ROWS, STATE_COLUMNS, "applied|2|2|~|~|~", NULL},
		OK("2_b"),
		FINISHED};

	(void) state;
	assert_int_equal(up(replies, COUNT(replies), NULL), 0);
}

static void
test_partial_and_unknown(void **state)
{
	const FakeReply partial[] = {
		DIGEST,
		NO_STATUS,
		STARTED,
		{"upg_apply", FAKE_ROWS, APPLIED_COLUMNS, "1_a|queued|2|2|none|{}|~", NULL},
		{"upg_migration_state", FAKE_ROWS, STATE_COLUMNS,
		 "partial|1|2|~|{\"sqlstate\":\"23505\",\"message\":\"could not create unique "
		 "index\",\"line\":1,\"col\":3}|~",
		 NULL},
		{"upg_migration_state", FAKE_ROWS, "attempt",
		 "{\"sqlstate\":\"23505\",\"line\":1,\"col\":3}", NULL},
		FINISHED};
	const FakeReply unknown[] = {
		DIGEST,
		NO_STATUS,
		STARTED,
		{"upg_apply", FAKE_ROWS, APPLIED_COLUMNS, "1_a|queued|2|2|none|{}|~", NULL},
		{"upg_migration_state", FAKE_ROWS, STATE_COLUMNS, "unknown|1|2|~|~|~", NULL},
		{"upg_migration_state", FAKE_ROWS, "attempt", "~", NULL},
		FINISHED};

	(void) state;
	assert_int_equal(up(partial, COUNT(partial), NULL), UPG_EXIT_INCOMPLETE);
	assert_non_null(strstr(upg_error.what, "could not create unique index"));
	assert_non_null(strstr(upg_error.where, "1_a.up.sql:1:3"));
	err_clear();
	assert_int_equal(up(unknown, COUNT(unknown), NULL), UPG_EXIT_UNKNOWN);
	err_clear();
}

static void
test_failure_is_located(void **state)
{
	const FakeReply replies[] = {
		DIGEST,
		NO_STATUS,
		STARTED,
		OK("1_a"),
		{"upg_apply", FAKE_ERROR, "42P01", "relation \"x\" does not exist",
		 "script of migration \"2_b\", statement 1 of 1 (line 1, column 8)"},
		FINISHED};

	(void) state;
	assert_int_equal(up(replies, COUNT(replies), NULL), UPG_EXIT_FAILED);
	assert_string_equal(upg_error.sqlstate, "42P01");
	assert_non_null(strstr(upg_error.where, "2_b.up.sql:1:8"));
	assert_string_equal(upg_error.excerpt, "SELECT * FROM x;\n       ^");
	assert_true(upg_error.next.count >= 1);
	assert_string_equal(fake_param(5, 1), "failed");
	err_clear();
}

static void
test_on_fail_rollback(void **state)
{
	const FakeReply replies[] = {
		DIGEST,
		NO_STATUS,
		STARTED,
		OK("1_a"),
		{"upg_apply", FAKE_ERROR, "22012", "division by zero", "(line 1, column 1)"},
		FINISHED,
		STARTED,
		{"upg_rollback", FAKE_ROWS, APPLIED_COLUMNS,
		 "1_a|rolled_back|1|1|given|{}|00:00:00.01", NULL},
		FINISHED};
	const FakeReply stuck[] = {
		DIGEST,
		NO_STATUS,
		STARTED,
		OK("1_a"),
		{"upg_apply", FAKE_ERROR, "22012", "division by zero", "(line 1, column 1)"},
		FINISHED,
		STARTED,
		{"upg_rollback", FAKE_ERROR, "UP006", "no way back", "(line 1, column 1)"},
		FINISHED};

	(void) state;
	assert_int_equal(up(replies, COUNT(replies), "--on-fail=rollback"),
					 UPG_EXIT_ROLLED_BACK);
	assert_string_equal(upg_error.sqlstate, "22012");
	err_clear();
	assert_int_equal(up(stuck, COUNT(stuck), "--on-fail=rollback"), UPG_EXIT_INCOMPLETE);
	err_clear();
}

static void
test_changed_script_is_refused(void **state)
{
	const FakeReply changed[] = {
		DIGEST,
		{"upg_status", FAKE_ROWS, STATUS_COLUMNS, "1_a|applied|00|m1|1", NULL},
		{"upg_script_info", FAKE_ROWS, "meaning", "m2", NULL}};
	const FakeReply layout[] = {
		DIGEST,
		{"upg_status", FAKE_ROWS, STATUS_COLUMNS, "1_a|applied|00|m1|1", NULL},
		{"upg_script_info", FAKE_ROWS, "meaning", "m1", NULL},
		STARTED,
		OK("2_b"),
		FINISHED};

	(void) state;
	assert_int_equal(up(changed, COUNT(changed), NULL), UPG_EXIT_USAGE);
	assert_string_equal(upg_error.code, "UPG-0002");
	err_clear();
	assert_int_equal(up(layout, COUNT(layout), NULL), 0);
}

static void
test_client_driven(void **state)
{
	const FakeReply replies[] = {
		DIGEST,
		NO_STATUS,
		STARTED,
		OK("1_a"),
		OK("2_b"),
		{"BEGIN", FAKE_COMMAND, NULL, NULL, NULL},
		{"SAVEPOINT upg", FAKE_COMMAND, NULL, NULL, NULL},
		{"upg_begin", FAKE_ROWS, "x", "~", NULL},
		{"COPY a FROM stdin;", FAKE_COPY_IN, NULL, NULL, NULL},
		{"copy end", FAKE_COMMAND, NULL, NULL, NULL},
		{"upg_finish", FAKE_ROWS, APPLIED_COLUMNS, "3_c|applied|1|1|none|{}|00:00:00.01",
		 NULL},
		{"RELEASE SAVEPOINT upg", FAKE_COMMAND, NULL, NULL, NULL},
		{"COMMIT", FAKE_COMMAND, NULL, NULL, NULL},
		FINISHED};
	const FakeReply failing[] = {
		DIGEST,
		NO_STATUS,
		STARTED,
		OK("1_a"),
		OK("2_b"),
		{"BEGIN", FAKE_COMMAND, NULL, NULL, NULL},
		{"SAVEPOINT upg", FAKE_COMMAND, NULL, NULL, NULL},
		{"upg_begin", FAKE_ROWS, "x", "~", NULL},
		{"COPY a FROM stdin;", FAKE_ERROR, "42P01", "no such table", NULL},
		{"ROLLBACK", FAKE_COMMAND, NULL, NULL, NULL},
		{"upg_record_attempt", FAKE_ROWS, "x", "~", NULL},
		FINISHED};
	char path[128];

	(void) state;
	write_file("3_c.up.sql", "COPY a FROM stdin;\n1\n2\n\\.\n");
	assert_int_equal(up(replies, COUNT(replies), NULL), 0);
	assert_string_equal(fake_copied(), "1\n2\n");
	assert_int_equal(up(failing, COUNT(failing), NULL), UPG_EXIT_FAILED);
	assert_non_null(strstr(fake_param(10, 1), "\"sqlstate\":\"42P01\""));
	assert_non_null(strstr(fake_param(10, 1), "\"line\":1"));
	err_clear();
	snprintf(path, sizeof(path), "%s/3_c.up.sql", dir);
	unlink(path);
}

static void
test_down(void **state)
{
	const FakeReply replies[] = {
		{"upg_rollback_order", FAKE_ROWS, "migration", "2_b\n1_a", NULL},
		STARTED,
		{"upg_rollback", FAKE_ROWS, APPLIED_COLUMNS, "2_b|queued|1|2|given|{}|~", NULL},
		{"upg_migration_state", FAKE_ROWS, STATE_COLUMNS, "rolled_back|2|2|~|~|~", NULL},
		{"upg_rollback", FAKE_ROWS, APPLIED_COLUMNS,
		 "1_a|rolled_back|1|1|given|{}|00:00:00.01", NULL},
		FINISHED};
	const FakeReply stops[] = {
		{"upg_rollback_order", FAKE_ROWS, "migration", "2_b\n1_a", NULL},
		STARTED,
		{"upg_rollback", FAKE_ROWS, APPLIED_COLUMNS,
		 "2_b|rolled_back|1|1|given|{}|00:00:00.01", NULL},
		{"upg_rollback", FAKE_ERROR, "UP006", "no way back", "(line 1, column 1)"},
		FINISHED};
	const char *argv[3] = {"down", "--all", "--yes"};

	(void) state;
	assert_int_equal(run_script(replies, COUNT(replies), 3, argv), 0);
	assert_string_equal(fake_param(1, 0), "down");
	assert_int_equal(run_script(stops, COUNT(stops), 3, argv), UPG_EXIT_INCOMPLETE);
	err_clear();
}

/* The ledger says what became of a rollback whose answer was lost. */
static void
test_down_after_a_lost_connection(void **state)
{
	const FakeReply done[] = {
		STARTED,
		{"upg_rollback", FAKE_LOST, NULL, NULL, NULL},
		{"upg_migration_state", FAKE_ROWS, "state", "rolled_back", NULL},
		FINISHED};
	const FakeReply undone[] = {
		STARTED,
		{"upg_rollback", FAKE_LOST, NULL, NULL, NULL},
		{"upg_migration_state", FAKE_ROWS, "state", "applied", NULL},
		{"upg_rollback", FAKE_ROWS, APPLIED_COLUMNS,
		 "2_b|rolled_back|1|1|given|{}|00:00:00.01", NULL},
		FINISHED};
	const char *argv[2] = {"down", "2_b"};

	(void) state;
	assert_int_equal(run_script(done, COUNT(done), 2, argv), 0);
	assert_int_equal(fake_connects(), 2);
	assert_string_equal(fake_param(2, 0), "2_b");
	assert_string_equal(fake_param(3, 1), "completed");
	assert_int_equal(run_script(undone, COUNT(undone), 2, argv), 0);
	assert_string_equal(fake_param(3, 0), "2_b");
	assert_string_equal(fake_param(4, 1), "completed");
}

static void
test_down_waits_for_a_conflict(void **state)
{
	const FakeReply replies[] = {
		{"upg_upgrade_start", FAKE_ERROR, "UP004", "another run is under way", NULL},
		STARTED,
		{"upg_rollback", FAKE_ERROR, "UP004", "table a is held", NULL},
		{"upg_rollback", FAKE_ROWS, APPLIED_COLUMNS,
		 "2_b|rolled_back|1|1|given|{}|00:00:00.01", NULL},
		FINISHED};
	const FakeReply leaves[] = {
		STARTED,
		{"upg_rollback", FAKE_ERROR, "UP004", "table a is held", "(line 1, column 1)"},
		FINISHED};
	const char *argv[3] = {"down", "2_b", "--no-wait"};

	(void) state;
	assert_int_equal(run_script(replies, COUNT(replies), 2, argv), 0);
	assert_int_equal(run_script(leaves, COUNT(leaves), 3, argv), UPG_EXIT_CONFLICT);
	assert_string_equal(upg_error.what, "table a is held");
	assert_string_equal(fake_param(2, 1), "failed");
	err_clear();
}

/* Somebody else has taken it back since it was listed. */
static void
test_down_of_nothing(void **state)
{
	const FakeReply replies[] = {
		STARTED, {"upg_rollback", FAKE_ROWS, APPLIED_COLUMNS, "", NULL}, FINISHED};
	const char *argv[2] = {"down", "2_b"};

	(void) state;
	assert_int_equal(run_script(replies, COUNT(replies), 2, argv), 0);
	assert_string_equal(fake_param(2, 1), "completed");
}

/* Exit code and code of an error go by its SQLSTATE, whatever its text. */
static void
test_codes_of_errors(void **state)
{
	static const struct
	{
		const char *sqlstate;
		int exit_code;
		const char *code;
		const char *fix; /* that its hint must hold, or NULL */
	} errors[] = {{"UP004", UPG_EXIT_CONFLICT, "UPG-0004", NULL},
				  {"UP006", UPG_EXIT_FAILED, "UPG-0006", NULL},
				  {"UP011", UPG_EXIT_UNKNOWN, "UPG-0011", NULL},
				  {"UP012", UPG_EXIT_VERIFICATION, "UPG-0012", NULL},
				  {"UP043", UPG_EXIT_VERIFICATION, "UPG-0043", NULL},
				  {"42501", UPG_EXIT_DENIED, "UPG-1001", NULL},
				  {"25006", UPG_EXIT_FAILED, "UPG-1002", "primary"},
				  {"23505", UPG_EXIT_FAILED, "UPG-1000", NULL}};

	(void) state;
	for (int i = 0; i < COUNT(errors); i++)
	{
		const FakeReply replies[] = {
			{"SELECT 1", FAKE_ERROR, errors[i].sqlstate, "it is so", NULL}};
		UpgConnParams params;
		UpgConn *conn;

		memset(&params, 0, sizeof(params));
		fake_script(replies, COUNT(replies));
		conn = conn_open(&params);
		assert_false(conn_run(conn, "SELECT 1", 0, NULL));
		assert_int_equal(upg_error.exit_code, errors[i].exit_code);
		assert_string_equal(upg_error.code, errors[i].code);
		assert_string_equal(upg_error.sqlstate, errors[i].sqlstate);
		assert_string_equal(upg_error.what, "it is so");
		if (errors[i].fix != NULL)
			assert_non_null(strstr(upg_error.fix, errors[i].fix));
		else
			assert_null(upg_error.fix);
		assert_false(conn_lost(conn));
		conn_close(conn);
		err_clear();
	}
}

/* What happens on the way may not take the place of the error that is told. */
static void
test_error_is_kept(void **state)
{
	UpgError saved;

	(void) state;
	err_set(UPG_EXIT_FAILED, "UPG-1000", "the first");
	err_fix("mend it");
	saved = err_take();
	assert_int_equal(upg_error.exit_code, 0);
	assert_null(upg_error.what);
	err_set(UPG_EXIT_BUG, "UPG-9999", "the second");
	err_put(saved);
	assert_int_equal(upg_error.exit_code, UPG_EXIT_FAILED);
	assert_string_equal(upg_error.what, "the first");
	assert_string_equal(upg_error.fix, "mend it");
	err_clear();
}

/* The duration of a migration comes in the IntervalStyle of the session. */
static void
test_interval_styles(void **state)
{
	(void) state;
	assert_true(interval_seconds("00:00:00.25") == 0.25);
	assert_true(interval_seconds("26:01:02.5") == 93662.5);
	assert_true(interval_seconds("0") == 0);
	assert_true(interval_seconds("@ 0") == 0);
	assert_true(interval_seconds("@ 1 hour 2 mins 3.5 secs") == 3723.5);
	assert_true(interval_seconds("PT26H1M2.5S") == 93662.5);
	assert_true(interval_seconds("PT0S") == 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_applies_in_order),
		cmocka_unit_test(test_nothing_to_do_is_one_row),
		cmocka_unit_test(test_interval_styles),
		cmocka_unit_test(test_waits_for_a_conflict),
		cmocka_unit_test(test_no_wait_leaves),
		cmocka_unit_test(test_cancels_until_it_ends),
		cmocka_unit_test(test_reconnects_and_asks_again),
		cmocka_unit_test(test_polls_background_work),
		cmocka_unit_test(test_partial_and_unknown),
		cmocka_unit_test(test_failure_is_located),
		cmocka_unit_test(test_on_fail_rollback),
		cmocka_unit_test(test_changed_script_is_refused),
		cmocka_unit_test(test_client_driven),
		cmocka_unit_test(test_down),
		cmocka_unit_test(test_down_after_a_lost_connection),
		cmocka_unit_test(test_down_waits_for_a_conflict),
		cmocka_unit_test(test_down_of_nothing),
		cmocka_unit_test(test_codes_of_errors),
		cmocka_unit_test(test_error_is_kept)};
	int failed;
	char path[128];

	snprintf(dir, sizeof(dir), "/tmp/upgrun.XXXXXX");
	if (mkdtemp(dir) == NULL)
		return 1;
	write_file("1_a.up.sql", "CREATE TABLE a (i int);\n");
	write_file("1_a.down.sql", "DROP TABLE a;\n");
	write_file("2_b.up.sql", "SELECT * FROM x;\n");
	failed = cmocka_run_group_tests_name("run", tests, NULL, NULL);
	fake_reset();
	for (int i = 0; i < 3; i++)
	{
		static const char *const names[] = {"1_a.up.sql", "1_a.down.sql", "2_b.up.sql"};

		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
	return failed;
}
