/*-------------------------------------------------------------------------
 *
 * run.c
 *		Going up and down: driving migrations through the extension.
 * 
 *  Each migration is one call in a transaction of its own.  The state of a run is in
 *  the ledger alone: after a lost connection the same call is simply made again, and
 *  the ledger says "already" if it had happened.  Waiting for others is done here,
 *  outside of any transaction.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/run.c
 *
 *-------------------------------------------------------------------------
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exit_codes.h"
#include "log.h"
#include "run.h"

#define RECONNECT_MS 30000
#define IDLE_TRIES   3
#define ROW_COLUMNS                                        \
	"migration, state, statements, steps, undo, warnings," \
	" pg_catalog.date_part('epoch', duration) AS seconds"

/*
 * run_sleep
 *		Sleep, but not through a signal.
 */
void
run_sleep(int ms)
{
	if (upg_interrupted == 0)
		poll(NULL, 0, ms);
}

/*
 * interrupted
 *		Was a signal received, or is the time over?  Sets the error.
 */
static bool
interrupted(const UpgContext *ctx)
{
	if (upg_interrupted != 0)
		err_set(128 + upg_interrupted, "UPG-2020", "interrupted by signal %d",
				upg_interrupted);
	else if (ctx->deadline != 0 && now_ms() >= ctx->deadline)
		err_set(UPG_EXIT_DEADLINE, "UPG-2019", "time is over");
	else
		return false;
	err_why("What was committed stays; the ledger shows it.");
	err_next("upg status");
	return true;
}

/*
 * array_item
 *		The first item of a text[] literal, for warnings.
 */
static void
array_items(UpgContext *ctx, const char *value, UpgList *items)
{
	UpgBuf item;

	if (value == NULL || *value != '{')
		return;
	buf_init(&item);
	for (value++; *value && *value != '}';)
	{
		bool quoted = *value == '"';

		buf_reset(&item);
		if (quoted)
			value++;
		while (*value && (quoted ? *value != '"' : *value != ',' && *value != '}'))
		{
			if (*value == '\\' && value[1])
				value++;
			buf_addc(&item, *value++);
		}
		if (quoted && *value)
			value++;
		if (*value == ',')
			value++;
		list_add(items, arena_strndup(ctx->arena, item.data, item.len));
	}
	buf_free(&item);
}

/*
 * run_outcome
 *		Read a row of upg_apply(), upg_finish() or upg_rollback().
 */
void
run_outcome(UpgContext *ctx, const UpgRows *rows, int row, UpgOutcome *outcome)
{
	const char *seconds = rows_named(rows, row, "seconds");

	list_free(&outcome->warnings);
	memset(outcome, 0, sizeof(*outcome));
	outcome->name = arena_strdup(ctx->arena, rows_named(rows, row, "migration"));
	outcome->state = arena_strdup(ctx->arena, rows_named(rows, row, "state"));
	outcome->undo = arena_strdup(ctx->arena, rows_named(rows, row, "undo"));
	outcome->statements = rows_int(rows, row, "statements");
	outcome->steps = rows_int(rows, row, "steps");
	outcome->ms = seconds ? strtod(seconds, NULL) * 1000 : 0;
	array_items(ctx, rows_named(rows, row, "warnings"), &outcome->warnings);
	if (outcome->name == NULL)
		outcome->name = "";
	if (outcome->state == NULL)
		outcome->state = "";
}

/*
 * pad_numbers
 *		A key whose bytes sort as natural_compare() does: digits padded to 20.
 */
static char *
pad_numbers(const char *order)
{
	UpgBuf out;

	buf_init(&out);
	while (*order)
	{
		size_t n = strspn(order, "0123456789");

		if (n == 0)
		{
			buf_addc(&out, *order++);
			continue;
		}
		for (size_t i = n; i < 20; i++)
			buf_addc(&out, '0');
		buf_addn(&out, order, n);
		order += n;
	}
	return out.data;
}

/*
 * run_options
 *		The options of upg_apply() for an entry, as JSON (malloc'ed).
 */
char *
run_options(UpgContext *ctx, const UpgEntry *entry, const char *after, int64_t upgrade,
			const char *path)
{
	UpgBuf text;
	UpgJson json;
	const char *lock_timeout = opt_get(ctx, OPT_LOCK_TIMEOUT);

	buf_init(&text);
	json_start(&json, &text);
	json_object(&json, NULL);
	if (upgrade > 0)
		json_int(&json, "upgrade", upgrade);
	if (entry != NULL)
	{
		if (entry->no_transaction)
			json_bool(&json, "no_transaction", true);
		if (after != NULL)
			json_string(&json, "after", after);
		if (entry->number != NULL && !entry->repeatable)
		{
			char *key = pad_numbers(entry->order);

			json_string(&json, "order_key", key);
			free(key);
		}
		/* the policy was carried out here, with the whole directory in view */
		json_string(&json, "out_of_order", "allow");
		if (path != NULL)
			json_string(&json, "source", path);
	}
	if (lock_timeout != NULL)
		json_string(&json, "lock_timeout", lock_timeout);
	json_object_end(&json);
	return text.data;
}

/*
 * excerpt
 *		The line of a script with a caret under the column.
 */
static void
excerpt(const char *text, int line, int col)
{
	const char *p = text;
	UpgBuf out;
	size_t len;
	size_t start = 0;

	for (int i = 1; i < line && p != NULL; i++)
		p = (p = strchr(p, '\n')) ? p + 1 : NULL;
	if (p == NULL || line < 1 || col < 1)
		return;
	len = strcspn(p, "\r\n");
	if (len > 120)
	{
		start = (size_t) col > 60 && (size_t) col <= len ? (size_t) col - 60 : 0;
		while (start > 0 && ((unsigned char) p[start] & 0xC0) == 0x80)
			start--;
		if (len - start > 120)
			len = start + 120;
	}
	buf_init(&out);
	buf_addn(&out, p + start, len - start);
	buf_addc(&out, '\n');
	for (size_t i = 1 + start; i < (size_t) col; i++)
		buf_addc(&out, p[i - 1] == '\t' ? '\t' : ' ');
	buf_addc(&out, '^');
	free(upg_error.excerpt);
	upg_error.excerpt = out.data;
}

/*
 * locate_error
 *		Add to the current error where it happened, from the attempt's record.
 */
static void
locate_error(UpgContext *ctx, const char *name, const UpgScript *script)
{
	UpgRows *rows = NULL;
	UpgJsonDoc *doc = NULL;

	if (upg_error.line == 0)
	{
		UpgError saved = upg_error;
		const char *params[1] = {name};
		bool shield = conn_shield(ctx->conn, true);

		memset(&upg_error, 0, sizeof(upg_error));
		rows = conn_query(ctx->conn,
						  "SELECT attempt FROM @extschema@.upg_migration_state($1)", 1,
						  params);
		conn_shield(ctx->conn, shield);
		err_clear();
		upg_error = saved;
		if (rows != NULL && rows_count(rows) > 0 && rows_get(rows, 0, 0) != NULL)
			doc = json_parse(rows_get(rows, 0, 0));
	}
	if (doc != NULL)
	{
		char number[32];
		const char *state = json_get(doc, "sqlstate", number, sizeof(number));
		const char *text;

		if (state != NULL &&
			(upg_error.sqlstate[0] == '\0' || strcmp(state, upg_error.sqlstate) == 0))
		{
			if ((text = json_get(doc, "statement", number, sizeof(number))) != NULL)
			{
				free(upg_error.statement);
				upg_error.statement = xstrdup(text);
			}
			if ((text = json_get(doc, "line", number, sizeof(number))) != NULL)
				upg_error.line = (int) strtol(text, NULL, 10);
			if ((text = json_get(doc, "col", number, sizeof(number))) != NULL)
				upg_error.col = (int) strtol(text, NULL, 10);
		}
		json_free(doc);
	}
	rows_free(rows);
	if (upg_error.line > 0 && script != NULL)
	{
		const char *file;
		int file_line;

		script_position(script, upg_error.line, &file, &file_line);
		err_where("%s:%d:%d", file, file_line, upg_error.col);
		if (script->text.data != NULL)
			excerpt(script->text.data, upg_error.line, upg_error.col);
	}
}

/*
 * failure_of
 *		Make an error of the last attempt of a migration that background work failed.
 */
static void
failure_of(const UpgRows *rows, const char *name, const char *state)
{
	const char *attempt = rows_named(rows, 0, "attempt");
	UpgJsonDoc *doc = attempt ? json_parse(attempt) : NULL;
	char number[32];
	const char *text = doc ? json_get(doc, "message", number, sizeof(number)) : NULL;
	bool partial = strcmp(state, "partial") == 0;
	bool unknown = strcmp(state, "unknown") == 0;

	err_set(unknown   ? UPG_EXIT_UNKNOWN
			: partial ? UPG_EXIT_INCOMPLETE
					  : UPG_EXIT_FAILED,
			unknown ? "UPG-0011" : "UPG-1000", "%s",
			text ? text : "the migration did not reach the state that was asked for");
	if (doc != NULL)
	{
		if ((text = json_get(doc, "sqlstate", number, sizeof(number))) != NULL)
			snprintf(upg_error.sqlstate, sizeof(upg_error.sqlstate), "%s", text);
		if ((text = json_get(doc, "detail", number, sizeof(number))) != NULL)
			err_why("%s", text);
		if ((text = json_get(doc, "hint", number, sizeof(number))) != NULL)
			err_fix("%s", text);
		if ((text = json_get(doc, "statement", number, sizeof(number))) != NULL)
			upg_error.statement = xstrdup(text);
	}
	json_free(doc);
	if (upg_error.why == NULL)
	{
		if (partial)
			err_why("%" PRId64 " of %" PRId64
					" steps of migration \"%s\" are done; the next run goes on there.",
					rows_int(rows, 0, "steps_done"), rows_int(rows, 0, "steps"), name);
		else
			err_why("The state of migration \"%s\" is \"%s\".", name, state);
	}
	if (unknown)
		err_next("upg repair %s --mark=applied|absent --reason=TEXT", name);
	err_next("upg history %s", name);
}

/*
 * stop_worker
 *		The user interrupts while a background worker runs: cancel its statement.
 */
static void
stop_worker(UpgContext *ctx, const char *pid)
{
	const char *params[1] = {pid};
	bool shield = conn_shield(ctx->conn, true);

	if (pid != NULL)
		conn_run(ctx->conn, "SELECT pg_catalog.pg_cancel_backend($1::pg_catalog.int4)", 1,
				 params);
	err_clear();
	conn_shield(ctx->conn, shield);
}

/*
 * reconnect
 *		Connect again, trying for a while; false with the error set.
 */
static bool
reconnect(UpgContext *ctx)
{
	int64_t until = now_ms() + RECONNECT_MS;
	int wait = 100;

	if (ctx->deadline != 0 && ctx->deadline < until)
		until = ctx->deadline;
	log_warning("the connection was lost; connecting again");
	for (;;)
	{
		err_clear();
		if (interrupted(ctx))
			return false;
		if (conn_reconnect(ctx->conn))
			return true;
		if (upg_error.exit_code != UPG_EXIT_NO_DATABASE || now_ms() + wait > until)
			return false;
		run_sleep(wait);
		wait = wait < 2000 ? wait * 2 : 2000;
	}
}

/*
 * run_wait_state
 *		Poll until a migration that background work runs has settled.
 *
 * True if it reached "wanted".  False without an error: nobody works on it any more,
 * the caller asks again.
 */
bool
run_wait_state(UpgContext *ctx, const char *name, const char *wanted, UpgOutcome *outcome)
{
	const char *params[1] = {name};
	int wait = 20;
	int64_t idle_since = 0;
	int64_t started = now_ms();

	for (;;)
	{
		UpgRows *rows =
			conn_query(ctx->conn,
					   "SELECT state, steps_done, steps, statement, attempt, worker_pid"
					   " FROM @extschema@.upg_migration_state($1)",
					   1, params);
		const char *state;
		const char *pid;

		if (rows == NULL)
		{
			if (conn_lost(ctx->conn) && upg_error.exit_code == UPG_EXIT_NO_DATABASE)
			{
				if (!reconnect(ctx))
					return false;
				continue;
			}
			return false;
		}
		state = rows_named(rows, 0, "state");
		pid = rows_named(rows, 0, "worker_pid");
		if (state == NULL)
		{
			err_set(UPG_EXIT_FAILED, "UPG-0001", "the ledger holds no migration \"%s\"",
					name);
			rows_free(rows);
			return false;
		}
		if (strcmp(state, wanted) == 0)
		{
			outcome->state = wanted;
			outcome->steps = rows_int(rows, 0, "steps");
			if (outcome->ms <= 0)
				outcome->ms = (double) (now_ms() - started);
			rows_free(rows);
			return true;
		}
		if (strcmp(state, "queued") != 0 && strcmp(state, "running") != 0)
		{
			failure_of(rows, name, state);
			rows_free(rows);
			return false;
		}
		if (interrupted(ctx))
		{
			UpgError saved = upg_error;

			memset(&upg_error, 0, sizeof(upg_error));
			if (upg_interrupted != 0)
				stop_worker(ctx, pid);
			upg_error = saved;
			rows_free(rows);
			return false;
		}
		if (pid != NULL)
			idle_since = 0;
		else if (idle_since == 0)
			idle_since = now_ms();
		else if (now_ms() - idle_since > 3000)
		{
			rows_free(rows);
			return false;
		}
		log_progress("%s: step %" PRId64 " of %" PRId64 "  %s", name,
					 rows_int(rows, 0, "steps_done") + 1, rows_int(rows, 0, "steps"),
					 rows_named(rows, 0, "statement") ? rows_named(rows, 0, "statement")
													  : "");
		rows_free(rows);
		run_sleep(wait);
		wait = wait < 200 ? wait * 2 : 200;
	}
}

/*
 * no_worker
 *		Nobody takes up the work, however often we ask: set the error.
 */
static bool
no_worker(const char *name)
{
	err_set(UPG_EXIT_WAITING, "UPG-0010",
			"no background worker takes up migration \"%s\"", name);
	err_why("Workers were started, but ended at once.");
	err_fix("The server's log tells why; max_worker_processes may be too small.");
	err_next("upg up");
	return false;
}

/*
 * wait_for_other
 *		After a conflict: say for whom we wait, once, and wait a moment.
 */
static bool
wait_for_other(UpgContext *ctx, char **said, int *wait)
{
	if (opt_on(ctx, OPT_NO_WAIT))
		return false;
	if (*said == NULL || strcmp(*said, upg_error.what) != 0)
	{
		log_info("waiting: %s%s%s", upg_error.what, upg_error.why ? "\n" : "",
				 upg_error.why ? upg_error.why : "");
		free(*said);
		*said = xstrdup(upg_error.what);
	}
	err_clear();
	if (interrupted(ctx))
		return false;

	/* spread, so that twenty runs do not knock at the same moment */
	run_sleep(*wait + (int) ((now_ms() ^ getpid()) % 20));
	*wait = *wait < 500 ? *wait * 2 : 500;
	return !interrupted(ctx);
}

/*
 * already_applied
 *		After an error: is the migration applied all the same (by another run)?
 */
static bool
already_applied(UpgContext *ctx, const char *name, UpgOutcome *outcome)
{
	const char *params[1] = {name};
	UpgRows *rows;
	bool applied;

	if (strcmp(upg_error.sqlstate, "UP009") != 0)
		return false;
	rows = conn_query(ctx->conn, "SELECT state FROM @extschema@.upg_migration_state($1)",
					  1, params);
	if (rows == NULL)
		return false;
	applied =
		rows_get(rows, 0, 0) != NULL && strcmp(rows_get(rows, 0, 0), "applied") == 0;
	rows_free(rows);
	if (applied)
	{
		err_clear();
		outcome->name = arena_strdup(ctx->arena, name);
		outcome->state = "already";
	}
	return applied;
}

/*
 * run_apply_one
 *		Apply one migration and wait for its end; false with the error set.
 */
bool
run_apply_one(UpgContext *ctx, UpgEntry *entry, const char *name, const char *after,
			  int64_t upgrade, UpgOutcome *outcome)
{
	UpgScript up;
	UpgScript down;
	UpgBuf requires;
	char *options;
	char *said = NULL;
	int wait = 20;
	int idle = 0;
	bool ok = false;
	bool has_down = entry_has_down(entry);
	const char *params[5];

	if (!script_load(ctx->source, entry, false, &up))
		return false;
	memset(&down, 0, sizeof(down));
	if (has_down && !script_load(ctx->source, entry, true, &down))
	{
		script_free(&up);
		return false;
	}
	for (int i = 0; up.scan != NULL && i < scan_messages(up.scan)->count; i++)
		log_info("%s", scan_messages(up.scan)->items[i]);
	buf_init(&requires);
	array_literal(&requires, &entry->requires);
	options = run_options(ctx, entry, after, upgrade, entry->up.path);
	if (up.client_driven)
	{
		UpgBuf with;

		/* the same options, with what the server cannot see: size and checksum */
		buf_init(&with);
		options[strlen(options) - 1] = '\0';
		buf_add(&with, options);
		if (up.streamed)
			buf_printf(&with, "%s\"sha256\":\"%s\",\"size\":%" PRId64,
					   strlen(options) > 1 ? "," : "", entry->sha256, entry->size);
		buf_addc(&with, '}');
		free(options);
		options = with.data;
	}
	params[0] = name;
	params[1] = up.text.data;
	params[2] = has_down ? down.text.data : NULL;
	params[3] = requires.data;
	params[4] = options;
	list_free(&outcome->warnings);
	memset(outcome, 0, sizeof(*outcome));
	conn_subject(ctx->conn, name);
	for (;;)
	{
		err_clear();
		if (interrupted(ctx))
			break;
		if (up.client_driven)
			ok = run_client_driven(ctx, entry, &up, name, params[2], requires.data,
								   options, upgrade, outcome);
		else
		{
			UpgRows *rows =
				conn_query(ctx->conn,
						   "SELECT " ROW_COLUMNS " FROM @extschema@.upg_apply($1, $2, $3,"
						   " $4::pg_catalog.text[], $5::pg_catalog.jsonb)",
						   5, params);

			ok = rows != NULL;
			if (ok)
				run_outcome(ctx, rows, 0, outcome);
			rows_free(rows);
		}
		if (ok && strcmp(outcome->state, "queued") == 0 && !opt_on(ctx, OPT_NO_WAIT))
		{
			ok = run_wait_state(ctx, name, "applied", outcome);
			if (!ok && upg_error.exit_code == 0 &&
				(++idle < IDLE_TRIES || no_worker(name)))
				continue;
			if (!ok && upg_error.exit_code != UPG_EXIT_WAITING &&
				upg_error.exit_code != UPG_EXIT_NO_DATABASE && upg_interrupted == 0)
				locate_error(ctx, name, &up);
			break;
		}
		if (ok)
			break;
		if (strcmp(upg_error.code, "UPG-0004") == 0 && wait_for_other(ctx, &said, &wait))
			continue;
		if (conn_lost(ctx->conn) && strcmp(upg_error.code, "UPG-2018") == 0)
		{
			/* what became of it is in the ledger: ask again, it says "already" if done */
			if (reconnect(ctx))
				continue;
			break;
		}
		if (already_applied(ctx, name, outcome))
		{
			ok = true;
			break;
		}
		if (upg_error.where == NULL && !conn_lost(ctx->conn) &&
			strcmp(upg_error.code, "UPG-0004") != 0)
			locate_error(ctx, name, &up);
		if (upg_error.where == NULL && upg_error.exit_code == UPG_EXIT_FAILED)
			err_where("%s", entry->up.path);
		break;
	}
	conn_subject(ctx->conn, NULL);
	if (ok && !up.client_driven && up.statements == 0)
		outcome->note = "(no statement)";
	free(said);
	free(options);
	buf_free(&requires);
	script_free(&up);
	if (has_down)
		script_free(&down);
	return ok;
}

/*
 * run_rollback_one
 *		Take one migration back and wait for its end; false with the error set.
 */
bool
run_rollback_one(UpgContext *ctx, const char *name, int64_t upgrade, UpgOutcome *outcome)
{
	UpgBuf text;
	UpgJson json;
	const char *params[2];
	const char *lock_timeout = opt_get(ctx, OPT_LOCK_TIMEOUT);
	const char *reason = opt_get(ctx, OPT_REASON);
	char *said = NULL;
	int wait = 20;
	int idle = 0;
	bool ok = false;

	buf_init(&text);
	json_start(&json, &text);
	json_object(&json, NULL);
	if (upgrade > 0)
		json_int(&json, "upgrade", upgrade);
	if (lock_timeout != NULL)
		json_string(&json, "lock_timeout", lock_timeout);
	if (reason != NULL)
		json_string(&json, "reason", reason);
	json_object_end(&json);
	params[0] = name;
	params[1] = text.data;
	list_free(&outcome->warnings);
	memset(outcome, 0, sizeof(*outcome));
	for (;;)
	{
		UpgRows *rows;

		err_clear();
		if (interrupted(ctx))
			break;
		rows =
			conn_query(ctx->conn,
					   "SELECT " ROW_COLUMNS
					   " FROM @extschema@.upg_rollback($1, NULL, $2::pg_catalog.jsonb)",
					   2, params);
		if (rows != NULL)
		{
			ok = true;
			if (rows_count(rows) > 0)
				run_outcome(ctx, rows, rows_count(rows) - 1, outcome);
			else
			{
				outcome->name = arena_strdup(ctx->arena, name);
				outcome->state = "already";
			}
			rows_free(rows);
			if (strcmp(outcome->state, "queued") == 0 && !opt_on(ctx, OPT_NO_WAIT))
			{
				ok = run_wait_state(ctx, name, "rolled_back", outcome);
				if (!ok && upg_error.exit_code == 0 &&
					(++idle < IDLE_TRIES || no_worker(name)))
					continue;
			}
			break;
		}
		if (strcmp(upg_error.code, "UPG-0004") == 0 && wait_for_other(ctx, &said, &wait))
			continue;
		if (conn_lost(ctx->conn) && strcmp(upg_error.code, "UPG-2018") == 0)
		{
			const char *one[1] = {name};

			if (!reconnect(ctx))
				break;
			rows = conn_query(ctx->conn,
							  "SELECT state FROM @extschema@.upg_migration_state($1)", 1,
							  one);
			if (rows == NULL)
				break;
			if (rows_get(rows, 0, 0) != NULL &&
				strcmp(rows_get(rows, 0, 0), "rolled_back") == 0)
			{
				outcome->name = arena_strdup(ctx->arena, name);
				outcome->state = "rolled_back";
				ok = true;
			}
			rows_free(rows);
			if (ok)
				break;
			continue;
		}
		if (upg_error.where == NULL && !conn_lost(ctx->conn))
			locate_error(ctx, name, NULL);
		break;
	}
	free(said);
	buf_free(&text);
	return ok;
}

/*
 * start_upgrade
 *		Tell the ledger what is planned; its number, or 0 with the error set.
 */
static int64_t
start_upgrade(UpgContext *ctx, const char *direction, const UpgList *plan)
{
	UpgBuf names;
	UpgBuf client;
	UpgJson json;
	const char *params[4];
	UpgRows *rows;
	char *said = NULL;
	int wait = 20;
	int64_t id = 0;

	buf_init(&names);
	array_literal(&names, plan);
	buf_init(&client);
	json_start(&json, &client);
	json_object(&json, NULL);
	json_string(&json, "program", "upg");
	json_string(&json, "version", UPG_VERSION);
	json_int(&json, "pid", getpid());
	if (ctx->source != NULL)
	{
		json_string(&json, "directory", ctx->source->dir);
		json_string(&json, "layout", ctx->source->layout);
	}
	json_object_end(&json);
	params[0] = direction;
	params[1] = names.data;
	params[2] = opt_get(ctx, OPT_TO);
	params[3] = client.data;
	conn_show_notices(ctx->conn, true);
	for (;;)
	{
		rows = conn_query(
			ctx->conn,
			"SELECT @extschema@.upg_upgrade_start($1, $2::pg_catalog.text[], $3,"
			" $4::pg_catalog.jsonb) AS upgrade",
			4, params);
		if (rows != NULL || strcmp(upg_error.code, "UPG-0004") != 0 ||
			!wait_for_other(ctx, &said, &wait))
			break;
	}
	conn_show_notices(ctx->conn, false);
	if (rows != NULL)
		id = rows_int(rows, 0, "upgrade");
	rows_free(rows);
	free(said);
	buf_free(&names);
	buf_free(&client);
	return id;
}

/*
 * finish_upgrade
 *		Tell the ledger how the run ended.  Keeps the current error.
 */
static void
finish_upgrade(UpgContext *ctx, int64_t upgrade, const char *state, const char *version)
{
	char id[32];
	const char *params[4];
	UpgError saved = upg_error;
	bool shield;

	if (upgrade == 0 || conn_lost(ctx->conn))
		return;
	shield = conn_shield(ctx->conn, true);
	snprintf(id, sizeof(id), "%" PRId64, upgrade);
	params[0] = id;
	params[1] = state;
	params[2] = saved.what;
	params[3] = version;
	memset(&upg_error, 0, sizeof(upg_error));
	if (!conn_run(
			ctx->conn,
			"SELECT @extschema@.upg_upgrade_finish($1::pg_catalog.int8, $2, $3, $4)", 4,
			params))
	{
		if (saved.exit_code == 0)
		{
			saved = upg_error;
			memset(&upg_error, 0, sizeof(upg_error));
		}
		else
			log_warning("could not close the run in the ledger: %s", upg_error.what);
	}
	err_clear();
	upg_error = saved;
	conn_shield(ctx->conn, shield);
}

/*
 * end_state
 *		How a run that failed is called in the ledger.
 */
static const char *
end_state(void)
{
	if (upg_error.exit_code == 0)
		return "completed";
	if (upg_error.exit_code == UPG_EXIT_SIGINT ||
		upg_error.exit_code == UPG_EXIT_SIGTERM ||
		upg_error.exit_code == UPG_EXIT_DEADLINE)
		return "cancelled";
	return "failed";
}

/*
 * take_back
 *		--on-fail=rollback: take this run's migrations back, latest first.
 *
 * Keeps the error of the failure and sets the exit code: 3 all taken back, 4 not.
 */
static void
take_back(UpgContext *ctx, const UpgList *applied)
{
	UpgError saved = upg_error;
	UpgList plan = {NULL, 0, 0};
	int64_t upgrade;
	int done = 0;

	memset(&upg_error, 0, sizeof(upg_error));
	for (int i = applied->count - 1; i >= 0; i--)
		list_add(&plan, applied->items[i]);
	upgrade = start_upgrade(ctx, "down", &plan);
	for (; upgrade > 0 && done < plan.count; done++)
	{
		UpgOutcome outcome;
		bool ok;

		memset(&outcome, 0, sizeof(outcome));
		ok = run_rollback_one(ctx, plan.items[done], upgrade, &outcome);
		if (ok)
			render_outcome(ctx, &outcome);
		list_free(&outcome.warnings);
		if (!ok)
			break;
	}
	finish_upgrade(ctx, upgrade, end_state(), NULL);
	if (done == plan.count && upg_error.exit_code == 0)
		saved.exit_code = UPG_EXIT_ROLLED_BACK;
	else
	{
		saved.exit_code = UPG_EXIT_INCOMPLETE;
		log_warning("could not take everything back: %s",
					upg_error.what ? upg_error.what : "");
		if (upg_error.fix != NULL)
			log_hint("%s", upg_error.fix);
	}
	err_clear();
	upg_error = saved;
	list_free(&plan);
}

/*
 * explain_stop
 *		Complete the error of a run that stopped: what is there, what to do.
 */
static void
explain_stop(UpgContext *ctx, const char *name, const UpgTodo *todo, int applied)
{
	if (upg_error.exit_code != UPG_EXIT_CONFLICT && !str_starts(upg_error.code, "UPG-20"))
	{
		UpgBuf text;

		buf_init(&text);
		buf_printf(&text, "migration \"%s\" failed: %s", printable(ctx->arena, name),
				   upg_error.what);
		free(upg_error.what);
		upg_error.what = text.data;
	}
	log_info("%d applied, stopped at \"%s\"", applied, printable(ctx->arena, name));
	if (upg_error.exit_code == UPG_EXIT_FAILED ||
		upg_error.exit_code == UPG_EXIT_INCOMPLETE)
	{
		err_next("mend %s, then run \"upg up %s\" again; it goes on there",
				 todo->entry->up.path, ctx->source->dir);
		err_next("upg history %s", printable(ctx->arena, name));
	}
}

/*
 * apply_all
 *		Apply the pending migrations up to "last"; number of those applied.
 */
static int
apply_all(UpgContext *ctx, UpgCompare *compare, int last, int64_t upgrade,
		  UpgList *applied)
{
	int count = 0;
	const char *after = NULL;

	for (int i = 0; i <= last; i++)
	{
		UpgTodo *todo = &compare->todo[i];
		UpgOutcome outcome;

		if (todo->action == UPG_ACT_APPLY)
		{
			bool ok;

			memset(&outcome, 0, sizeof(outcome));
			log_progress("applying %s (%d of %d)", todo->name, count + 1,
						 compare->pending);
			ok = run_apply_one(ctx, todo->entry, todo->name, after, upgrade, &outcome);
			if (ok)
			{
				render_outcome(ctx, &outcome);
				if (strcmp(outcome.state, "applied") == 0)
				{
					list_add(applied, todo->name);
					count++;
				}
			}
			list_free(&outcome.warnings);
			if (!ok)
			{
				explain_stop(ctx, todo->name, todo, count);
				return count;
			}
			if (strcmp(outcome.state, "queued") == 0)
			{
				err_set(UPG_EXIT_WAITING, "UPG-2022",
						"migration \"%s\" runs in the background", todo->name);
				err_next("upg wait %s", todo->name);
				return count;
			}
		}
		after = todo->name;
	}
	return count;
}

/*
 * run_up
 *		Bring the database to what the directory says.
 */
int
run_up(UpgContext *ctx)
{
	UpgCompare compare;
	UpgList plan = {NULL, 0, 0};
	UpgList applied = {NULL, 0, 0};
	int last = -1;
	int64_t upgrade = 0;
	const char *version = opt_get(ctx, OPT_RELEASE);
	const char *on_fail = opt_get(ctx, OPT_ON_FAIL);
	bool ok = run_compare(ctx, &compare, opt_get(ctx, OPT_TO) == NULL, NULL);
	bool dry_run = opt_on(ctx, OPT_DRY_RUN);
	int count = 0;

	if (ok && !compare.up_to_date)
		ok = run_check_changes(ctx, &compare) && run_select(ctx, &compare, &last) &&
			 run_preflight(ctx, &compare, last);
	render_start(ctx);
	if (ctx->json)
	{
		json_string(render_doc(), "database", conn_database(ctx->conn));
		json_string(render_doc(), "directory", ctx->source->dir);
		json_string(render_doc(), "layout", ctx->source->layout);
		json_bool(render_doc(), "dry_run", dry_run);
		json_array(render_doc(), "migrations");
	}
	for (int i = 0; ok && i <= last; i++)
		if (compare.todo[i].action == UPG_ACT_APPLY)
			list_add(&plan, compare.todo[i].name);
	if (ok && dry_run)
		for (int i = 0; i < plan.count; i++)
		{
			UpgOutcome outcome = {plan.items[i], "planned", NULL, 0, 0, 0,
								  {NULL, 0, 0},  NULL};

			render_outcome(ctx, &outcome);
		}
	else if (ok && (plan.count > 0 || version != NULL))
	{
		upgrade = start_upgrade(ctx, "up", &plan);
		if (upgrade > 0)
		{
			count = apply_all(ctx, &compare, last, upgrade, &applied);
			finish_upgrade(ctx, upgrade, end_state(),
						   upg_error.exit_code == 0 ? version : NULL);
			if (upg_error.exit_code != 0 && upg_interrupted == 0 &&
				!conn_lost(ctx->conn) && upg_error.exit_code != UPG_EXIT_WAITING &&
				on_fail != NULL && strcmp(on_fail, "rollback") == 0)
				take_back(ctx, &applied);
		}
	}
	if (ctx->json)
	{
		json_array_end(render_doc());
		if (upgrade > 0)
			json_int(render_doc(), "upgrade", upgrade);
		json_int(render_doc(), "applied", count);
		json_int(render_doc(), "pending", plan.count - (dry_run ? 0 : count));
	}
	else if (ok && plan.count == 0)
		render_text(ctx, "nothing to do: %" PRId64 " applied\n", compare.applied);
	else if (ok && upg_error.exit_code == 0 && !dry_run && upg_verbosity >= 0)
		render_text(ctx, "%d applied%s%s\n", count, version ? ", version " : "",
					version ? version : "");
	list_free(&plan);
	list_free(&applied);
	run_compare_free(&compare);
	return upg_error.exit_code;
}

/*
 * choose_down
 *		The migrations to take back, latest first; false with the error set.
 */
static bool
choose_down(UpgContext *ctx, UpgRows **rows, UpgList *plan)
{
	const char *to = opt_get(ctx, OPT_TO);
	const char *name = ctx_arg(ctx, 0);
	bool all = opt_on(ctx, OPT_ALL);
	bool found = false;

	*rows = NULL;
	if ((name != NULL) + (to != NULL) + all > 1)
	{
		err_set(UPG_EXIT_USAGE, "UPG-2000", "NAME, --to and --all exclude each other");
		err_next("Try \"upg down --help\" for more information.");
		return false;
	}
	*rows = conn_query(ctx->conn,
					   "SELECT migration, requires FROM @extschema@.upg_status()"
					   " WHERE state OPERATOR(pg_catalog.=) 'applied' ORDER BY ord DESC",
					   0, NULL);
	if (*rows == NULL)
		return false;
	if (name != NULL)
	{
		const char *params[1] = {name};
		UpgRows *dry;

		if (!opt_on(ctx, OPT_CASCADE))
		{
			list_add(plan, name);
			return true;
		}
		dry = conn_query(ctx->conn,
						 "SELECT migration FROM @extschema@.upg_rollback($1, NULL,"
						 " '{\"dry_run\": true, \"cascade\": true}')",
						 1, params);
		if (dry == NULL)
			return false;
		for (int i = 0; i < rows_count(dry); i++)
			list_add(plan, arena_strdup(ctx->arena, rows_get(dry, i, 0)));
		rows_free(dry);
		return true;
	}
	for (int i = 0; i < rows_count(*rows); i++)
	{
		const char *one = rows_get(*rows, i, 0);

		if (to != NULL && strcmp(one, to) == 0)
		{
			found = true;
			break;
		}
		list_add(plan, one);
		if (to == NULL && !all)
			break;
	}
	if (to != NULL && !found)
	{
		err_set(UPG_EXIT_USAGE, "UPG-2016", "migration \"%s\" is not applied",
				printable(ctx->arena, to));
		err_fix("--to names the migration that stays; \"upg status\" lists them.");
		return false;
	}
	return true;
}

/*
 * run_down
 *		Take migrations back, latest first, each in a transaction of its own.
 */
int
run_down(UpgContext *ctx)
{
	UpgRows *rows = NULL;
	UpgList plan = {NULL, 0, 0};
	bool ok = choose_down(ctx, &rows, &plan);
	bool dry_run = opt_on(ctx, OPT_DRY_RUN);
	int64_t upgrade = 0;
	int count = 0;

	if (ok && !dry_run && plan.count > 1)
		ok = ctx_confirm(
			ctx, arena_printf(ctx->arena, "Take back %d migrations?", plan.count));
	render_start(ctx);
	if (ctx->json)
	{
		json_string(render_doc(), "database", conn_database(ctx->conn));
		json_bool(render_doc(), "dry_run", dry_run);
		json_array(render_doc(), "migrations");
	}
	if (ok && !dry_run && plan.count > 0)
		upgrade = start_upgrade(ctx, "down", &plan);
	for (int i = 0; ok && i < plan.count && (dry_run || upgrade > 0); i++)
	{
		UpgOutcome outcome = {plan.items[i], "planned", NULL, 0, 0, 0,
							  {NULL, 0, 0},  NULL};

		if (dry_run)
		{
			const char *params[1] = {plan.items[i]};
			UpgRows *row = NULL;

			/* only the first can be tried: the others depend on it being gone */
			if (i == 0)
				row = conn_query(
					ctx->conn,
					"SELECT " ROW_COLUMNS
					" FROM @extschema@.upg_rollback($1, NULL, '{\"dry_run\": true}')",
					1, params);
			if (i == 0 && row == NULL)
				break;
			if (row != NULL && rows_count(row) > 0)
				run_outcome(ctx, row, 0, &outcome);
			if (row != NULL)
				rows_free(row);
			render_outcome(ctx, &outcome);
			list_free(&outcome.warnings);
			continue;
		}
		ok = run_rollback_one(ctx, plan.items[i], upgrade, &outcome);
		if (ok)
		{
			render_outcome(ctx, &outcome);
			count++;
		}
		list_free(&outcome.warnings);
		if (ok && strcmp(outcome.state, "queued") == 0)
		{
			err_set(UPG_EXIT_WAITING, "UPG-2022",
					"migration \"%s\" is taken back in the background", plan.items[i]);
			ok = false;
		}
		else if (!ok && count > 0)
		{
			log_info("%d taken back, stopped at \"%s\"", count, plan.items[i]);
			if (upg_error.exit_code == UPG_EXIT_FAILED)
				upg_error.exit_code = UPG_EXIT_INCOMPLETE;
		}
	}
	finish_upgrade(ctx, upgrade, end_state(), NULL);
	if (ctx->json)
	{
		json_array_end(render_doc());
		if (upgrade > 0)
			json_int(render_doc(), "upgrade", upgrade);
		json_int(render_doc(), "rolled_back", count);
	}
	else if (ok && plan.count == 0)
		render_text(ctx, "nothing to take back\n");
	list_free(&plan);
	rows_free(rows);
	return upg_error.exit_code;
}
