/*-------------------------------------------------------------------------
 *
 * run_one.c
 *		One migration: apply it or take it back, and wait for its end.
 * 
 *  Each is one call in a transaction of its own.  After a lost connection the same call
 *  is simply made again, and the ledger says "already" if it had happened.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/run_one.c
 *
 *-------------------------------------------------------------------------
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "exit_codes.h"
#include "interrupt.h"
#include "log.h"
#include "run_internal.h"

#define IDLE_TRIES 3

/*
 * run_array_items
 *		The items of a text[] literal.
 */
void
run_array_items(UpgContext *ctx, const char *value, UpgList *items)
{
	UpgBuf item;
	bool quoted;

	buf_init(&item);
	while (value != NULL && array_next(&value, &item, &quoted))
		list_add(items, arena_strndup(ctx->arena, item.data, item.len));
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
	const char *duration = rows_named(rows, row, "duration");

	list_free(&outcome->warnings);
	memset(outcome, 0, sizeof(*outcome));
	outcome->name = arena_strdup(ctx->arena, rows_named(rows, row, "migration"));
	outcome->state = arena_strdup(ctx->arena, rows_named(rows, row, "state"));
	outcome->undo = arena_strdup(ctx->arena, rows_named(rows, row, "undo"));
	outcome->statements = rows_int(rows, row, "statements");
	outcome->steps = rows_int(rows, row, "steps");
	outcome->ms = 1000 * (seconds != NULL ? strtod(seconds, NULL)
						  : duration      ? interval_seconds(duration)
										  : 0);
	run_array_items(ctx, rows_named(rows, row, "warnings"), &outcome->warnings);
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
 * verify_options
 *		What --verify and --budget say, as options of the functions.
 */
static void
verify_options(UpgContext *ctx, UpgJson *json)
{
	const char *verify = opt_get(ctx, OPT_VERIFY);
	const char *budget = opt_get(ctx, OPT_BUDGET);
	int64_t ms;

	if (verify != NULL)
		json_string(json, "verify", verify);
	if (budget != NULL && parse_duration(budget, &ms))
		json_int(json, "verify_budget", ms);
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
		if (entry->replaces.count > 0)
		{
			json_array(&json, "replaces");
			for (int i = 0; i < entry->replaces.count; i++)
				json_string(&json, NULL, entry->replaces.items[i]);
			json_array_end(&json);
		}
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
	if (opt_get(ctx, OPT_UNDO) != NULL)
		json_string(&json, "undo", opt_get(ctx, OPT_UNDO));
	else if (entry != NULL && entry->undo != NULL)
		json_string(&json, "undo", entry->undo);
	if (opt_get(ctx, OPT_DOWN_CHECK) != NULL)
		json_string(&json, "down_check", opt_get(ctx, OPT_DOWN_CHECK));
	if (opt_get(ctx, OPT_DRIFT) != NULL)
		json_string(&json, "drift", opt_get(ctx, OPT_DRIFT));
	if (lock_timeout != NULL)
		json_string(&json, "lock_timeout", lock_timeout);
	verify_options(ctx, &json);
	json_object_end(&json);
	return text.data;
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
 * leave_nothing_temporary
 *		Temporary tables and functions end with their migration, as what it SETs does.
 *
 * The next one might make others of the same name, or mean a table that they
 * hide.  Asked only where the script, or a part of it that is not at hand, may
 * have made one: each question costs a round trip.
 */
static void
leave_nothing_temporary(UpgContext *ctx, const UpgScript *up)
{
	bool found = up->streamed;

	for (const char *p = up->text.data; !found && p != NULL && *p != '\0'; p++)
		found = (*p == 't' || *p == 'T') && strncasecmp(p, "temp", 4) == 0;
	if (found && conn_execute_text(ctx->conn, "DISCARD TEMP") != UPG_EXEC_DONE)
		err_clear(); /* the next statement will find out more */
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
	int64_t started = now_ms();
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
		if (run_interrupted(ctx))
			break;
		if (idle == 0)
			started = now_ms();
		if (up.client_driven)
			ok = run_client_driven(ctx, entry, &up, name, params[2], requires.data,
								   options, upgrade, outcome);
		else
		{
			UpgRows *rows = run_call_apply(ctx, entry, name, params, upgrade);

			ok = rows != NULL;
			if (ok)
				run_outcome(ctx, rows, 0, outcome);
			rows_free(rows);
		}
		if (ok && strcmp(outcome->state, "queued") == 0 && !opt_on(ctx, OPT_NO_WAIT))
		{
			ok = run_wait_state(ctx, name, "applied", outcome);
			outcome->ms = (double) (now_ms() - started);
			if (!ok && upg_error.exit_code == 0 &&
				(++idle < IDLE_TRIES || run_no_worker(name)))
				continue;
			/* of work that goes on, the last attempt is an older one */
			if (!ok && upg_error.exit_code != UPG_EXIT_WAITING &&
				upg_error.exit_code != UPG_EXIT_DEADLINE &&
				upg_error.exit_code != UPG_EXIT_NO_DATABASE && upg_interrupted == 0)
				run_locate_error(ctx, name, &up);
			ok = ok && run_after_background(ctx, entry);
			break;
		}
		if (ok)
			break;
		if (ctx->single == 0 && strcmp(upg_error.code, "UPG-0004") == 0 &&
			run_wait_for_other(ctx, &said, &wait))
			continue;
		if (ctx->single == 0 && conn_lost(ctx->conn) &&
			strcmp(upg_error.code, "UPG-2018") == 0)
		{
			/* what became of it is in the ledger: ask again, it says "already" if done */
			if (run_reconnect(ctx))
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
			run_locate_error(ctx, name, &up);
		if (upg_error.where == NULL && upg_error.exit_code == UPG_EXIT_FAILED)
			err_where("%s", entry->up.path);
		break;
	}
	conn_subject(ctx->conn, NULL);
	if (ok && strcmp(outcome->state, "applied") == 0)
		leave_nothing_temporary(ctx, &up);
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
	int64_t started = now_ms();
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
	verify_options(ctx, &json);
	if (!rollback_policy(ctx, &json))
	{
		buf_free(&text);
		return false;
	}
	json_object_end(&json);
	params[0] = name;
	params[1] = text.data;
	list_free(&outcome->warnings);
	memset(outcome, 0, sizeof(*outcome));
	for (;;)
	{
		UpgRows *rows;

		err_clear();
		if (run_interrupted(ctx))
			break;
		if (idle == 0)
			started = now_ms();
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
				outcome->ms = (double) (now_ms() - started);
				if (!ok && upg_error.exit_code == 0 &&
					(++idle < IDLE_TRIES || run_no_worker(name)))
					continue;
			}
			break;
		}
		if (strcmp(upg_error.code, "UPG-0004") == 0 &&
			run_wait_for_other(ctx, &said, &wait))
			continue;
		if (conn_lost(ctx->conn) && strcmp(upg_error.code, "UPG-2018") == 0)
		{
			const char *one[1] = {name};

			if (!run_reconnect(ctx))
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
			run_locate_error(ctx, name, NULL);
		break;
	}
	free(said);
	buf_free(&text);
	return ok;
}
