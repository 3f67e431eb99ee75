/*-------------------------------------------------------------------------
 *
 * cmd_record.c
 *		Commands that record migrations without running them: register, adopt.
 *
 *	"upg adopt" learns what is applied from the history of the tool that applied it,
 *	if the database holds one.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/cmd_record.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "exit_codes.h"
#include "history.h"
#include "log.h"
#include "run.h"

/* How many names an error lists. */
#define NAMES_SHOWN 10

/* What is to be recorded of the directory. */
typedef struct Recording
{
	UpgCompare compare;
	UpgHistory history; /* tool NULL: by the files alone */
	const char **note;  /* by entry: when and by whom, or NULL: leave it out */
	UpgList missing;    /* in the history, not in the directory */
	int last;
	int count;
	int left;
} Recording;

/*
 * record_one
 *		Call a recording function for one entry.
 */
static bool
record_one(UpgContext *ctx, const UpgTodo *todo, const char *function, const char *from,
		   UpgOutcome *outcome)
{
	UpgScript up;
	UpgScript down;
	UpgBuf requires;
	UpgBuf options;
	char *base;
	const char *params[5];
	UpgRows *rows;
	bool has_down = entry_has_down(todo->entry);

	memset(&down, 0, sizeof(down));
	if (!script_load(ctx->source, todo->entry, false, &up))
		return false;
	if (has_down && !script_load(ctx->source, todo->entry, true, &down))
	{
		script_free(&up);
		return false;
	}
	buf_init(&requires);
	array_literal(&requires, &todo->entry->requires);
	base = run_options(ctx, todo->entry, NULL, 0, todo->entry->up.path);
	buf_init(&options);
	buf_addn(&options, base, strlen(base) - 1);
	if (from != NULL)
	{
		buf_add(&options, strlen(base) > 2 ? ",\"adopted_from\":" : "\"adopted_from\":");
		json_quote(&options, from);
	}
	buf_addc(&options, '}');
	params[0] = todo->name;
	params[1] = up.text.data;
	params[2] = has_down ? down.text.data : NULL;
	params[3] = requires.data;
	params[4] = options.data;
	rows =
		conn_query(ctx->conn,
				   arena_printf(ctx->arena,
								"SELECT " ROW_COLUMNS
								" FROM @extschema@.%s($1, $2, $3, $4::pg_catalog.text[],"
								" $5::pg_catalog.jsonb)",
								function),
				   5, params);
	if (rows != NULL)
	{
		run_outcome(ctx, rows, 0, outcome);
		outcome->ms = 0;
	}
	rows_free(rows);
	free(base);
	buf_free(&options);
	buf_free(&requires);
	script_free(&up);
	if (has_down)
		script_free(&down);
	return rows != NULL;
}

/*
 * names_for_people
 *		A list of names for a message; lives in the arena.
 */
static const char *
names_for_people(UpgArena *arena, const UpgList *names)
{
	UpgBuf text;
	const char *copy;

	buf_init(&text);
	for (int i = 0; i < names->count && i < NAMES_SHOWN; i++)
		buf_printf(&text, "%s%s", i > 0 ? ", " : "", printable(arena, names->items[i]));
	if (names->count > NAMES_SHOWN)
		buf_printf(&text, " and %d more", names->count - NAMES_SHOWN);
	copy = arena_strdup(arena, text.data);
	buf_free(&text);
	return copy;
}

/*
 * note_of
 *		"flyway, 2026-01-01 00:00:00+00, alice".
 */
static const char *
note_of(UpgContext *ctx, const UpgHistory *history, int row)
{
	const char *at = rows_named(history->rows, row, "at");
	const char *by = rows_named(history->rows, row, "by");

	return arena_printf(ctx->arena, "%s%s%s%s%s", history->tool->name, at ? ", " : "",
						at ? at : "", by ? ", " : "", by ? by : "");
}

/*
 * find_entry
 *		The entry that a line of the history means, or -1.
 *
 * A change of Sqitch that was reworked comes several times: the n-th line of a name
 * is its n-th form.
 */
static int
find_entry(const UpgContext *ctx, const UpgHistory *history, int row)
{
	const char *key = rows_named(history->rows, row, "key");
	int skip = 0;

	if (history->tool->key == UPG_KEY_CHANGE)
		for (int i = 0; i < row; i++)
			skip += strcmp(rows_named(history->rows, i, "key"), key) == 0;
	for (int i = 0; i < ctx->source->count; i++)
	{
		const UpgEntry *entry = &ctx->source->entries[i];
		const char *slash = strrchr(entry->up.path, '/');

		if (strcmp(rows_named(history->rows, row, "kind"), "repeatable") == 0)
		{
			if (entry->repeatable && strcmp(slash ? slash + 1 : entry->up.path, key) == 0)
				return i;
			continue;
		}
		if (history_same_key(history->tool, entry, key) && skip-- == 0)
			return i;
	}
	return -1;
}

/*
 * refuse_failed
 *		Is something half done in the history?  Then it is no ground to stand on.
 */
static bool
refuse_failed(UpgContext *ctx, const UpgHistory *history)
{
	UpgList failed = {NULL, 0, 0};
	bool ok = true;

	for (int i = 0; i < rows_count(history->rows); i++)
		if (strcmp(rows_named(history->rows, i, "state"), "failed") == 0)
			list_add(&failed, rows_named(history->rows, i, "key"));
	if (failed.count > 0)
	{
		ok = err_set(UPG_EXIT_FAILED, "UPG-2031",
					 "the history of %s says that a migration failed: %s",
					 history->tool->name, names_for_people(ctx->arena, &failed));
		err_why("What it left in the database is not known, so nothing was recorded.");
		err_where("%s", history->table);
		err_fix("%s", history->tool->mend ? history->tool->mend
										  : "Settle it with that tool first.");
	}
	list_free(&failed);
	return ok;
}

/*
 * mark_entry
 *		Note that the history says this entry is applied, unless the file is another.
 */
static bool
mark_entry(UpgContext *ctx, Recording *rec, int row, int index, UpgList *changed)
{
	UpgEntry *entry = &ctx->source->entries[index];
	const char *id = rows_named(rec->history.rows, row, "id");
	bool repeatable =
		strcmp(rows_named(rec->history.rows, row, "kind"), "repeatable") == 0;
	bool same = true;

	if (strcmp(rows_named(rec->history.rows, row, "kind"), "until") != 0 &&
		!history_checksum(rec->history.tool, ctx->source, entry,
						  rows_named(rec->history.rows, row, "checksum"), &same))
		return false;
	if (!same && repeatable)
		return true; /* it will run again, as it would there */
	if (same && rec->history.tool->key == UPG_KEY_CHANGE && entry->change_id != NULL &&
		id != NULL && strcmp(entry->change_id, id) != 0)
		log_warning(
			"change \"%s\" stands otherwise in the plan than when it was deployed",
			entry->name);
	if (!same)
		list_add(changed, entry->name);
	rec->note[index] = note_of(ctx, &rec->history, row);
	return true;
}

/*
 * match_history
 *		Which entries of the directory does the history call applied?
 */
static bool
match_history(UpgContext *ctx, Recording *rec)
{
	const UpgHistory *history = &rec->history;
	UpgList changed = {NULL, 0, 0};
	int programs = 0;
	int found = 0;
	bool ok = true;

	for (int row = 0; ok && row < rows_count(history->rows); row++)
	{
		const char *kind = rows_named(history->rows, row, "kind");
		const char *key = rows_named(history->rows, row, "key");
		int index;

		if (strcmp(rows_named(history->rows, row, "state"), "applied") != 0)
			continue;
		if (strcmp(kind, "program") == 0)
		{
			programs++;
			continue;
		}
		index = find_entry(ctx, history, row);
		if (strcmp(kind, "until") == 0)
		{
			for (int i = 0; i < ctx->source->count; i++)
			{
				const UpgEntry *entry = &ctx->source->entries[i];

				if (!entry->repeatable && !entry->baseline && entry->number != NULL &&
					history_compare_versions(entry->number, key) <= 0)
				{
					rec->note[i] = note_of(ctx, history, row);
					found++;
				}
			}
			/* the baseline of Flyway need not be a file */
			if (index >= 0 || history->tool->key == UPG_KEY_VERSION)
				continue;
		}
		if (index < 0)
		{
			list_add(&rec->missing, key);
			continue;
		}
		found++;
		ok = mark_entry(ctx, rec, row, index, &changed);
	}
	if (ok && programs > 0)
		log_warning(
			"%d migrations of the history are programs, not SQL; they are left out",
			programs);
	if (ok && rec->missing.count > 0 && (found == 0 || !opt_on(ctx, OPT_ALLOW_MISSING)))
	{
		ok = err_set(UPG_EXIT_VERIFICATION, "UPG-2032",
					 "directory \"%s\" lacks migrations that %s has applied: %s",
					 ctx->source->dir, history->tool->name,
					 names_for_people(ctx->arena, &rec->missing));
		err_why("%d of %d are there.", found, found + rec->missing.count);
		err_where("%s", history->table);
		err_fix(found == 0
					? "Give the directory that this database was made from."
					: "Put the files back; or, if they were removed on purpose, go on "
					  "without them with --allow-missing.");
	}
	else if (ok && changed.count > 0 && !opt_on(ctx, OPT_ALLOW_CHANGED))
	{
		ok = err_set(UPG_EXIT_VERIFICATION, "UPG-2032",
					 "files differ from what %s has applied: %s", history->tool->name,
					 names_for_people(ctx->arena, &changed));
		err_why("The checksum that %s keeps is not that of the file.",
				history->tool->name);
		err_where("%s", history->table);
		err_fix(
			"Restore the files; or, if the difference is known to be harmless, record "
			"them as they are with --allow-changed.");
	}
	list_free(&changed);
	return ok;
}

/*
 * look_into_history
 *		"upg adopt": find and read the history of another tool, if that is wanted.
 */
static bool
look_into_history(UpgContext *ctx, Recording *rec)
{
	const char *from = opt_get(ctx, OPT_FROM);
	const char *table = opt_get(ctx, OPT_HISTORY_TABLE);
	bool known = from == NULL || strcmp(from, "files") == 0;
	const UpgTool *tool;
	UpgBuf names;

	for (tool = upg_tools; !known && tool->name != NULL; tool++)
		known = strcmp(tool->name, from) == 0;
	if (!known)
	{
		err_set(UPG_EXIT_USAGE, "UPG-2000", "upg does not know the history of \"%s\"",
				printable(ctx->arena, from));
		buf_init(&names);
		for (tool = upg_tools; tool->name != NULL; tool++)
			if (tool == upg_tools || strcmp(tool->name, tool[-1].name) != 0)
				buf_printf(&names, ", %s", tool->name);
		err_fix("It must be one of: files%s.", names.data);
		buf_free(&names);
		err_next("Try \"upg adopt --help\" for more information.");
		return false;
	}
	if (from != NULL && strcmp(from, "files") == 0)
	{
		if (table == NULL)
			return true;
		err_set(UPG_EXIT_USAGE, "UPG-2000",
				"--from=files and --history-table exclude each other");
		err_next("Try \"upg adopt --help\" for more information.");
		return false;
	}

	/* --to alone says by itself what is applied */
	if (from == NULL && table == NULL && opt_get(ctx, OPT_TO) != NULL)
		return true;
	if (!history_find(ctx->conn, ctx->arena, ctx->source, from, table, &rec->history))
		return false;
	if (rec->history.tool == NULL)
		return true;
	if (!history_read(ctx->conn, ctx->arena, ctx->source, &rec->history))
		return false;
	log_info("%s: the history of %s in %s has %d lines", ctx->source->dir,
			 rec->history.tool->name, rec->history.table, rows_count(rec->history.rows));
	return refuse_failed(ctx, &rec->history) && match_history(ctx, rec);
}

/*
 * wanted
 *		Is this entry to be recorded?
 */
static bool
wanted(const Recording *rec, int i)
{
	return rec->compare.todo[i].action == UPG_ACT_APPLY &&
		   (rec->history.tool == NULL || rec->note[i] != NULL);
}

/*
 * record_all
 *		Record the entries that are to be, in the directory's order.
 */
static bool
record_all(UpgContext *ctx, Recording *rec, const char *function)
{
	bool dry_run = opt_on(ctx, OPT_DRY_RUN);

	for (int i = 0; i <= rec->last; i++)
	{
		UpgTodo *todo = &rec->compare.todo[i];
		UpgOutcome outcome;
		bool ok;

		if (!wanted(rec, i))
		{
			rec->left += todo->action == UPG_ACT_APPLY;
			continue;
		}
		memset(&outcome, 0, sizeof(outcome));
		if (dry_run)
		{
			outcome.name = todo->name;
			outcome.state = "planned";
			ok = true;
		}
		else
			ok = record_one(ctx, todo, function, rec->note[i], &outcome);
		if (ok && rec->note[i] != NULL)
			outcome.note = arena_printf(ctx->arena, "(%s)", rec->note[i]);
		if (ok)
			render_outcome(ctx, &outcome);
		list_free(&outcome.warnings);
		if (!ok)
			return false;
		rec->count += !dry_run;
	}
	rec->left += rec->compare.todo_count - 1 - rec->last;
	return true;
}

/*
 * record
 *		The command: compare, decide, ask, record, report.
 */
static int
record(UpgContext *ctx, const char *function, bool adopt)
{
	Recording rec;
	bool dry_run = opt_on(ctx, OPT_DRY_RUN);
	bool ok;

	memset(&rec, 0, sizeof(rec));
	rec.last = -1;
	if (!ctx_open_source(ctx, 0) || !ctx_connect(ctx, true))
		return upg_error.exit_code;
	rec.note = xmalloc((size_t) (ctx->source->count + 1) * sizeof(char *));
	memset(rec.note, 0, (size_t) (ctx->source->count + 1) * sizeof(char *));
	ok = run_compare(ctx, &rec.compare, false, NULL) &&
		 run_check_changes(ctx, &rec.compare) &&
		 run_select(ctx, &rec.compare, &rec.last) &&
		 (!adopt || look_into_history(ctx, &rec));
	for (int i = 0; ok && i <= rec.last; i++)
		if (wanted(&rec, i) && source_problem(rec.compare.todo[i].entry))
			ok = false;
	if (ok && adopt && !dry_run)
		ok = ctx_confirm(ctx, "Record these migrations as applied without running them?");
	render_start(ctx);
	if (ctx->json)
	{
		json_string(render_doc(), "tool",
					rec.history.tool != NULL ? rec.history.tool->name : NULL);
		json_string(render_doc(), "table", rec.history.table);
		json_bool(render_doc(), "dry_run", dry_run);
		json_array(render_doc(), "migrations");
	}
	if (ok)
		ok = record_all(ctx, &rec, function);
	if (ctx->json)
	{
		json_array_end(render_doc());
		json_array(render_doc(), "missing");
		for (int i = 0; i < rec.missing.count; i++)
			json_string(render_doc(), NULL, rec.missing.items[i]);
		json_array_end(render_doc());
		json_int(render_doc(), "recorded", rec.count);
		json_int(render_doc(), "left", rec.left);
	}
	else if (ok && rec.count == 0 && !dry_run)
		render_text(ctx, "nothing to record\n");
	else if (ok && !dry_run && upg_verbosity >= 0)
		render_text(ctx, "%d recorded, %d left for \"upg up\"\n", rec.count, rec.left);
	for (int i = 0; ok && i < rec.missing.count && i < NAMES_SHOWN; i++)
		log_warning("%s has applied \"%s\", which is not in the directory",
					rec.history.tool->name, printable(ctx->arena, rec.missing.items[i]));
	run_compare_free(&rec.compare);
	rows_free(rec.history.rows);
	list_free(&rec.missing);
	free(rec.note);
	return upg_error.exit_code;
}

/* upg register */
int
cmd_register(UpgContext *ctx)
{
	return record(ctx, "upg_register", false);
}

/* upg adopt */
int
cmd_adopt(UpgContext *ctx)
{
	return record(ctx, "upg_adopt", true);
}
