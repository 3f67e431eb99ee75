/*-------------------------------------------------------------------------
 *
 * run_hooks.c
 *		What runs around a migration: callbacks of Flyway, verify scripts, and the one
 *		transaction of --single-transaction.
 *
 *	A callback for each migration and the verify script run in the migration's own
 *	transaction, so that what fails there leaves nothing of it.  A migration of several
 *	steps has no such transaction: its callbacks run before and after it, and a verify
 *	script that fails leaves it applied.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/run_hooks.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exit_codes.h"
#include "interrupt.h"
#include "log.h"
#include "run_internal.h"

/*
 * run_roll_back
 *		Roll back what is open; keeps the current error.
 */
void
run_roll_back(UpgContext *ctx)
{
	UpgError saved;
	bool shield;

	if (ctx->single > 0)
		ctx->single = -1;
	if (conn_lost(ctx->conn))
		return;
	saved = err_take();
	shield = conn_shield(ctx->conn, true);
	conn_execute_text(ctx->conn, "ROLLBACK");
	conn_shield(ctx->conn, shield);
	err_put(saved);
}

/*
 * run_statements
 *		Send the statements of a script one by one, inside an open transaction.
 *
 * Transaction control is passed over if "verify", for verify scripts bring their own;
 * a callback may hold none.  The error tells file, line and column.
 */
static bool
run_statements(UpgContext *ctx, UpgScript *script, bool verify)
{
	UpgScan *scan = script_rescan(script);
	UpgScanItem item;
	UpgScanKind kind;
	bool ok = true;

	if (scan == NULL)
		return false;
	while (ok && (kind = scan_next(scan, &item)) > UPG_SCAN_END)
	{
		UpgStatementKind what;
		UpgExec result;
		const char *file;
		int line;

		if (kind == UPG_SCAN_REST)
			continue;
		what = run_statement_kind(item.statement);
		if (verify && what != UPG_STMT_PLAIN && what != UPG_STMT_NO_TRANSACTION)
			continue;
		if (what != UPG_STMT_PLAIN || kind != UPG_SCAN_STATEMENT)
		{
			ok = err_set(UPG_EXIT_USAGE, "UPG-2038",
						 "\"%s\" holds a statement that cannot "
						 "run inside a migration's transaction",
						 script->path);
			err_fix("Take transaction control, COPY data and statements that no "
					"transaction can hold out of it.");
		}
		else
		{
			result = conn_execute_text(ctx->conn, item.statement);
			if (result == UPG_EXEC_COPY_IN)
			{
				conn_copy_end(ctx->conn, "no data follows");
				err_set(UPG_EXIT_FAILED, "UPG-2038",
						"\"%s\" asks the client for data, but none follows",
						script->path);
			}
			ok = result == UPG_EXEC_DONE;
		}
		if (!ok && upg_error.where == NULL)
		{
			script_position(script, item.line, &file, &line);
			err_where("%s:%d:%d", file, line, item.col);
			if (upg_error.statement == NULL)
				upg_error.statement = xstrdup(item.statement);
		}
	}
	ok = ok && kind == UPG_SCAN_END;
	scan_close(scan);
	return ok;
}

/*
 * run_file
 *		Run a script that is no migration, inside an open transaction.
 */
static bool
run_file(UpgContext *ctx, const char *path, bool verify)
{
	UpgEntry entry;
	UpgScript script;
	bool ok;

	memset(&entry, 0, sizeof(entry));
	entry.name = path;
	entry.up.path = path;
	entry.up.length = -1;
	entry.up.first_line = 1;
	if (!script_load(ctx->source, &entry, false, &script))
		return false;
	ok = run_statements(ctx, &script, verify);
	script_free(&script);
	return ok;
}

/*
 * prefix_error
 *		Say in front of the current error what it happened in.
 */
static void
prefix_error(const char *code, const char *fmt, const char *name)
{
	UpgBuf text;

	if (strcmp(upg_error.code, "UPG-2018") == 0 ||
		strcmp(upg_error.code, "UPG-2038") == 0)
		return;
	buf_init(&text);
	buf_printf(&text, fmt, name);
	buf_printf(&text, ": %s", upg_error.what ? upg_error.what : "");
	free(upg_error.what);
	upg_error.what = text.data;
	if (strcmp(upg_error.code, "UPG-1000") == 0)
		snprintf(upg_error.code, sizeof(upg_error.code), "%s", code);
}

/*
 * has_callback
 *		Is there a callback for this event?
 */
static bool
has_callback(const UpgContext *ctx, const char *event)
{
	for (int i = 0; ctx->source != NULL && i < ctx->source->callback_count; i++)
		if (strcmp(ctx->source->callbacks[i].event, event) == 0)
			return true;
	return false;
}

/*
 * run_each
 *		Run the callbacks of an event inside an open transaction.
 */
static bool
run_each(UpgContext *ctx, const char *event)
{
	for (int i = 0; i < ctx->source->callback_count; i++)
	{
		const UpgCallback *callback = &ctx->source->callbacks[i];

		if (strcmp(callback->event, event) != 0)
			continue;
		log_verbose("callback %s: %s", event, callback->path);
		if (!run_file(ctx, callback->path, false))
		{
			prefix_error("UPG-2038", "callback \"%s\" failed", event);
			return false;
		}
	}
	return true;
}

/*
 * run_in_transaction
 *		Run the callbacks of an event in a transaction of their own.
 */
static bool
run_in_transaction(UpgContext *ctx, const char *event)
{
	if (conn_execute_text(ctx->conn, "BEGIN") == UPG_EXEC_DONE && run_each(ctx, event) &&
		conn_execute_text(ctx->conn, "COMMIT") == UPG_EXEC_DONE)
		return true;
	run_roll_back(ctx);
	return false;
}

/*
 * run_callbacks
 *		Run the callbacks of an event, if there are any, outside of migrations.
 *
 * For the events of errors: keeps the current error, and only warns if it fails.
 */
bool
run_callbacks(UpgContext *ctx, const char *event, bool after_error)
{
	UpgError saved;

	if (!has_callback(ctx, event) || conn_lost(ctx->conn))
		return true;
	log_info("callback %s", event);
	if (!after_error)
		return run_in_transaction(ctx, event);
	saved = err_take();
	if (!run_in_transaction(ctx, event))
		log_warning("%s", upg_error.what);
	err_put(saved);
	return true;
}

/*
 * verifies
 *		Is the verify script of this entry to be run after it?
 */
static bool
verifies(const UpgContext *ctx, const UpgEntry *entry)
{
	return entry->verify != NULL && opt_on(ctx, OPT_VERIFY_SCRIPTS);
}

/*
 * run_verify_script
 *		Run the verify script of an entry; nothing that it does stays.
 *
 * "inside": a transaction is open, and goes on after it.
 */
bool
run_verify_script(UpgContext *ctx, const UpgEntry *entry, bool inside)
{
	bool ok = conn_execute_text(ctx->conn, inside ? "SAVEPOINT upg_verify" : "BEGIN") ==
				  UPG_EXEC_DONE &&
			  run_file(ctx, entry->verify, true);

	if (!ok)
	{
		prefix_error("UPG-2037", "the verify script of \"%s\" fails", entry->name);
		if (!inside)
			run_roll_back(ctx);
		return false;
	}
	return conn_execute_text(ctx->conn, inside ? "ROLLBACK TO SAVEPOINT upg_verify;"
												 " RELEASE SAVEPOINT upg_verify"
											   : "ROLLBACK") == UPG_EXEC_DONE;
}

/*
 * run_before / run_after
 *		What belongs into the transaction of a migration, before and after it.
 */
bool
run_before(UpgContext *ctx)
{
	return !has_callback(ctx, "beforeEachMigrate") || run_each(ctx, "beforeEachMigrate");
}

bool
run_after(UpgContext *ctx, const UpgEntry *entry)
{
	if (has_callback(ctx, "afterEachMigrate") && !run_each(ctx, "afterEachMigrate"))
		return false;
	return !verifies(ctx, entry) || run_verify_script(ctx, entry, true);
}

/*
 * run_after_background
 *		The same for a migration that a worker has brought to its end.
 */
bool
run_after_background(UpgContext *ctx, const UpgEntry *entry)
{
	if (!run_callbacks(ctx, "afterEachMigrate", false))
		return false;
	if (!verifies(ctx, entry) || run_verify_script(ctx, entry, false))
		return true;
	if (strcmp(upg_error.code, "UPG-2037") == 0)
	{
		upg_error.exit_code = UPG_EXIT_VERIFICATION;
		err_fix(
			"The migration has several steps and stays applied; mend it with a new one, "
			"or take it back: upg down %s",
			entry->name);
	}
	return false;
}

/*
 * run_record_failure
 *		Tell the ledger what failed, after the ROLLBACK.  Keeps the current error.
 *
 * "item" is the statement that the client was at, its number is "number"; NULL if it
 * was at none of the migration's.
 */
void
run_record_failure(UpgContext *ctx, const char *name, int64_t upgrade,
				   const UpgScanItem *item, int number)
{
	UpgError saved;
	UpgBuf text;
	UpgJson json;
	const char *params[2];
	bool shield;

	if (conn_lost(ctx->conn))
		return;
	saved = err_take();
	shield = conn_shield(ctx->conn, true);
	buf_init(&text);
	json_start(&json, &text);
	json_object(&json, NULL);
	json_string(&json, "direction", "up");
	json_string(&json, "state", "failed");
	if (item != NULL)
	{
		json_int(&json, "statement_no", number);
		json_int(&json, "line", item->line);
		json_int(&json, "col", item->col);
		if (item->len - (size_t) (item->statement - item->text) < 100000)
			json_string(&json, "statement", item->statement);
	}
	else if (saved.statement != NULL)
		json_string(&json, "statement", saved.statement);
	if (saved.sqlstate[0] != '\0')
		json_string(&json, "sqlstate", saved.sqlstate);
	json_string(&json, "message", saved.what);
	if (saved.why != NULL)
		json_string(&json, "detail", saved.why);
	if (saved.fix != NULL)
		json_string(&json, "hint", saved.fix);
	if (upgrade > 0)
		json_int(&json, "upgrade", upgrade);
	json_object_end(&json);
	params[0] = name;
	params[1] = text.data;
	if (!conn_run(ctx->conn,
				  "SELECT @extschema@.upg_record_attempt($1, $2::pg_catalog.jsonb)", 2,
				  params))
		log_warning("could not record the failed attempt: %s", upg_error.what);
	conn_shield(ctx->conn, shield);
	buf_free(&text);
	err_put(saved);
}

/*
 * run_call_apply
 *		Call upg_apply(), with what belongs around it; NULL with the error set.
 */
UpgRows *
run_call_apply(UpgContext *ctx, const UpgEntry *entry, const char *name,
			   const char *const *params, int64_t upgrade)
{
	static const char call[] = "SELECT * FROM @extschema@.upg_apply($1, $2, $3, $4, $5)";
	static const unsigned types[5] = {CONN_TEXT, CONN_TEXT, CONN_TEXT, CONN_TEXT_ARRAY,
									  CONN_JSONB};
	bool around = has_callback(ctx, "beforeEachMigrate") ||
				  has_callback(ctx, "afterEachMigrate") || verifies(ctx, entry);
	bool single = ctx->single > 0;
	bool queued = false;
	bool called = false;
	UpgRows *rows = NULL;
	bool ok;

	if (!around && !single)
	{
		rows = conn_query_typed(ctx->conn, call, 5, types, params);
		if (rows == NULL)
			run_callbacks(ctx, "afterEachMigrateError", true);
		return rows;
	}
	ok = (single || conn_execute_text(ctx->conn, "BEGIN") == UPG_EXEC_DONE) &&
		 run_before(ctx);
	if (ok)
	{
		called = true;
		rows = conn_query_typed(ctx->conn, call, 5, types, params);
		ok = rows != NULL;
	}
	if (ok)
	{
		const char *state = rows_named(rows, 0, "state");

		called = false;
		queued = strcmp(state, "queued") == 0;
		if (queued && single)
		{
			ok = err_set(UPG_EXIT_USAGE, "UPG-2039",
						 "migration \"%s\" cannot share a transaction with others", name);
			err_where("%s", entry->up.path);
			err_why(
				"It has statements or transactions of its own that no transaction can "
				"hold.");
			err_fix("Run without --single-transaction.");
			called = true; /* nothing of it failed: no record */
		}
		else if (strcmp(state, "applied") == 0)
			ok = run_after(ctx, entry);
	}
	if (ok && !single)
	{
		called = true;
		ok = conn_execute_text(ctx->conn, "COMMIT") == UPG_EXEC_DONE;
	}
	if (ok)
		return rows;
	run_roll_back(ctx);
	if (!called)
		run_record_failure(ctx, name, upgrade, NULL, 0);
	run_callbacks(ctx, "afterEachMigrateError", true);
	rows_free(rows);
	return NULL;
}

/*
 * run_single_begin / run_single_end
 *		--single-transaction: open it; commit it, or see that it is gone.
 *
 * run_single_end() returns false with the error set if nothing of the run is there.
 */
bool
run_single_begin(UpgContext *ctx)
{
	if (!opt_on(ctx, OPT_SINGLE_TRANSACTION))
		return true;
	if (conn_execute_text(ctx->conn, "BEGIN") != UPG_EXEC_DONE)
		return false;
	ctx->single = 1;
	return true;
}

bool
run_single_end(UpgContext *ctx)
{
	bool ok = ctx->single > 0 && upg_error.exit_code == 0;

	if (ctx->single == 0)
		return true;
	if (ok)
		ok = conn_execute_text(ctx->conn, "COMMIT") == UPG_EXEC_DONE;
	if (!ok && ctx->single > 0)
		run_roll_back(ctx);
	ctx->single = 0;
	if (ok)
		return true;
	if (upg_error.exit_code == UPG_EXIT_FAILED ||
		upg_error.exit_code == UPG_EXIT_INCOMPLETE)
		log_info("all of it is taken back: it was one transaction");
	return false;
}

/*
 * run_between
 *		Callbacks at the border between versions and repeatables, before this entry.
 *
 * *versioned says whether a version was to be applied before.
 */
bool
run_between(UpgContext *ctx, const UpgEntry *entry, bool *versioned)
{
	static const char *const last = "repeatable";

	if (!entry->repeatable)
	{
		*versioned = true;
		return true;
	}
	if (ctx->between == last)
		return true;
	ctx->between = last;
	if (ctx->single > 0) /* inside the one transaction */
		return (!*versioned || run_each(ctx, "afterVersioned")) &&
			   run_each(ctx, "beforeRepeatables");
	return (!*versioned || run_callbacks(ctx, "afterVersioned", false)) &&
		   run_callbacks(ctx, "beforeRepeatables", false);
}

/*
 * run_end_callbacks
 *		Callbacks at the end of a run.
 */
void
run_end_callbacks(UpgContext *ctx, int applied)
{
	if (upg_error.exit_code != 0)
	{
		if (upg_interrupted == 0)
			run_callbacks(ctx, "afterMigrateError", true);
		return;
	}
	if (applied > 0 && ctx->between == NULL &&
		!run_callbacks(ctx, "afterVersioned", false))
		return;
	if (applied > 0 && !run_callbacks(ctx, "afterMigrateApplied", false))
		return;
	run_callbacks(ctx, "afterMigrate", false);
}

/* Outcomes that are true only once the one transaction has committed. */
static UpgOutcome *held;
static int held_count;

/*
 * run_show_outcome
 *		Print what became of a migration, or keep it until that is certain.
 */
void
run_show_outcome(UpgContext *ctx, const UpgOutcome *outcome)
{
	if (ctx->single == 0)
	{
		render_outcome(ctx, outcome);
		return;
	}
	held = xrealloc(held, (size_t) (held_count + 1) * sizeof(UpgOutcome));
	held[held_count] = *outcome;
	memset(&held[held_count].warnings, 0, sizeof(UpgList));
	for (int i = 0; i < outcome->warnings.count; i++)
		list_add(&held[held_count].warnings, outcome->warnings.items[i]);
	held_count++;
}

/*
 * run_show_held
 *		The one transaction has ended: print the outcomes, or forget them.
 */
void
run_show_held(UpgContext *ctx, bool committed)
{
	for (int i = 0; i < held_count; i++)
	{
		if (committed)
			render_outcome(ctx, &held[i]);
		list_free(&held[i].warnings);
	}
	free(held);
	held = NULL;
	held_count = 0;
}
