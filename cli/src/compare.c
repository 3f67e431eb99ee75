/*-------------------------------------------------------------------------
 *
 * compare.c
 *		The directory compared with the ledger.
 * 
 *  A run with nothing to do costs one row: the checksum over all names and checksums
 *  in the ledger equals the same over the directory.  Only when they differ is the
 *  ledger read row by row.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/compare.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "exit_codes.h"
#include "log.h"
#include "run.h"

/*
 * compare_known
 *		qsort and bsearch callback: by name.
 */
static int
compare_known(const void *a, const void *b)
{
	return strcmp(((const UpgKnown *) a)->name, ((const UpgKnown *) b)->name);
}

/*
 * find_known
 *		What the ledger knows of a name, or NULL.
 */
static const UpgKnown *
find_known(const UpgCompare *compare, const char *name)
{
	UpgKnown key;

	key.name = name;
	if (compare->known_count == 0)
		return NULL;
	return bsearch(&key, compare->known, (size_t) compare->known_count, sizeof(UpgKnown),
				   compare_known);
}

/*
 * is_applied
 *		Is it applied?
 */
static bool
is_applied(const UpgKnown *known)
{
	return known != NULL && strcmp(known->state, "applied") == 0;
}

/* Did it stop half-way? */
static bool
is_half_done(const UpgKnown *known)
{
	return strcmp(known->state, "partial") == 0 || strcmp(known->state, "unknown") == 0;
}

/*
 * latest_repeat
 *		The last applied form of a repeatable script, or NULL.
 */
static const UpgKnown *
latest_repeat(const UpgCompare *compare, const char *name)
{
	const UpgKnown *latest = NULL;
	size_t n = strlen(name);

	for (int i = 0; i < compare->known_count; i++)
	{
		const UpgKnown *known = &compare->known[i];

		if (strncmp(known->name, name, n) == 0 && known->name[n] == '@' &&
			is_applied(known) && (latest == NULL || known->order > latest->order))
			latest = known;
	}
	return latest;
}

/*
 * judge
 *		Decide what is to be done with one entry.
 */
static void
judge(UpgContext *ctx, UpgCompare *compare, UpgTodo *todo)
{
	UpgEntry *entry = todo->entry;

	todo->name = entry->ledger;
	if (entry->repeatable)
	{
		const UpgKnown *latest = latest_repeat(compare, entry->name);

		todo->known = latest;
		if (latest != NULL && strcmp(latest->sha256, entry->sha256) == 0)
		{
			todo->name = latest->name;
			todo->action = UPG_ACT_NOTHING;
			return;
		}

		/* back to an earlier text: the old name is taken, the run is a new one */
		for (int k = 2; is_applied(find_known(compare, todo->name)); k++)
			todo->name = arena_printf(ctx->arena, "%s.%d", entry->ledger, k);
		todo->known = find_known(compare, todo->name);
		todo->action = UPG_ACT_APPLY;
		return;
	}
	todo->known = find_known(compare, entry->ledger);
	if (todo->known != NULL && strcmp(todo->known->state, "replaced") == 0)
		todo->action = UPG_ACT_NOTHING; /* another that stands for it is applied */
	else if (!is_applied(todo->known))
		todo->action = UPG_ACT_APPLY;
	else if (entry->problem == NULL && strcmp(todo->known->sha256, entry->sha256) == 0)
		todo->action = UPG_ACT_NOTHING;
	else
		todo->action = UPG_ACT_CHANGED;
}

/*
 * judge_baselines
 *		Flyway's B files: on a database without any migration the latest is run and
 *		stands for all versions up to its own; on others they do not count.
 */
static void
judge_baselines(UpgContext *ctx, UpgCompare *compare)
{
	const char *to = opt_get(ctx, OPT_TO);
	int limit = compare->todo_count;
	int chosen = -1;

	for (int i = 0; i < compare->todo_count && to != NULL; i++)
		if (entry_is_called(compare->todo[i].entry, to))
			limit = i + 1;
	for (int i = 0; i < compare->todo_count; i++)
	{
		const UpgTodo *todo = &compare->todo[i];

		if (!todo->entry->baseline)
			continue;
		if (todo->action != UPG_ACT_APPLY || (compare->applied == 0 && i < limit))
			chosen = i;
	}
	for (int i = 0; i < compare->todo_count; i++)
	{
		UpgTodo *todo = &compare->todo[i];

		if (todo->action == UPG_ACT_APPLY && !todo->entry->repeatable && i != chosen &&
			(todo->entry->baseline ||
			 (chosen >= 0 &&
			  (i < chosen ||
			   strcmp(todo->entry->number, compare->todo[chosen].entry->number) == 0))))
			todo->action = UPG_ACT_NOTHING;
	}
}

/*
 * find_vanished
 *		Applied migrations that the directory no longer has.
 */
static void
find_vanished(UpgContext *ctx, UpgCompare *compare)
{
	const UpgSource *source = ctx->source;
	char *seen = xmalloc((size_t) compare->known_count + 1);

	memset(seen, 0, (size_t) compare->known_count + 1);
	for (int i = 0; i < compare->todo_count; i++)
	{
		const UpgEntry *entry = compare->todo[i].entry;
		size_t n = strlen(entry->name);

		if (compare->todo[i].known != NULL)
			seen[compare->todo[i].known - compare->known] = 1;
		for (int k = 0; entry->repeatable && k < compare->known_count; k++)
			if (strncmp(compare->known[k].name, entry->name, n) == 0 &&
				compare->known[k].name[n] == '@')
				seen[k] = 1;
	}
	for (int i = 0; i < compare->todo_count; i++)
		for (int k = 0; k < compare->todo[i].entry->replaces.count; k++)
		{
			const UpgKnown *known =
				find_known(compare, compare->todo[i].entry->replaces.items[k]);

			if (known != NULL)
				seen[known - compare->known] = 1;
		}
	for (int k = 0; source != NULL && k < compare->known_count; k++)
		if (!seen[k] && is_applied(&compare->known[k]))
			list_add(&compare->vanished, compare->known[k].name);
		else if (!seen[k] && is_half_done(&compare->known[k]))
			list_add(&compare->orphans, compare->known[k].name);
	free(seen);
}

/* The question whose answer run_compare() takes; asked before the directory is read. */
const char run_digest_query[] =
	"SELECT applied, unfinished, names_sha256 FROM @extschema@.upg_digest()";

/*
 * run_compare
 *		Compare ctx->source (NULL: none) with the ledger; false with the error set.
 *
 * "given": the rows of upg_status(), if the caller has them; they are owned by the
 * comparison from here on.
 */
bool
run_compare(UpgContext *ctx, UpgCompare *compare, bool allow_shortcut, UpgRows *given)
{
	const UpgSource *source = ctx->source;
	bool later_applied = false;
	int name;
	int state;
	int sha256;
	int meaning;

	memset(compare, 0, sizeof(*compare));
	if (allow_shortcut && source != NULL)
	{
		char hex[UPG_SHA256_HEX];
		UpgRows *rows;
		const char *digest;

		if (!ctx->asked && !conn_send(ctx->conn, run_digest_query))
			return false;
		ctx->asked = false;
		rows = conn_receive(ctx->conn);
		if (rows == NULL)
			return false;
		source_digest(source, hex);
		compare->applied = rows_int(rows, 0, "applied");
		digest = rows_named(rows, 0, "names_sha256");
		compare->up_to_date = digest != NULL && rows_int(rows, 0, "unfinished") == 0 &&
							  compare->applied == source->count &&
							  strcmp(digest, hex) == 0;
		rows_free(rows);
		if (compare->up_to_date)
			return true;
	}
	compare->rows = given;
	if (given == NULL)
		compare->rows = conn_query(ctx->conn,
								   "SELECT migration, state, sha256, meaning"
								   " FROM @extschema@.upg_status()",
								   0, NULL);
	if (compare->rows == NULL)
		return false;
	name = rows_column(compare->rows, "migration");
	state = rows_column(compare->rows, "state");
	sha256 = rows_column(compare->rows, "sha256");
	meaning = rows_column(compare->rows, "meaning");
	compare->known_count = rows_count(compare->rows);
	compare->known = xmalloc((size_t) (compare->known_count + 1) * sizeof(UpgKnown));
	compare->applied = 0;
	for (int i = 0; i < compare->known_count; i++)
	{
		UpgKnown *known = &compare->known[i];
		const char *value;

		known->name = rows_get(compare->rows, i, name);
		known->state = (value = rows_get(compare->rows, i, state)) ? value : "";
		known->sha256 = (value = rows_get(compare->rows, i, sha256)) ? value : "";
		known->meaning = rows_get(compare->rows, i, meaning);
		known->order = i; /* upg_status() is in the order of application */
		compare->applied += is_applied(known);
	}
	sort_array(compare->known, compare->known_count, sizeof(UpgKnown), compare_known);

	compare->todo_count = source ? source->count : 0;
	compare->todo = xmalloc((size_t) (compare->todo_count + 1) * sizeof(UpgTodo));
	memset(compare->todo, 0, (size_t) (compare->todo_count + 1) * sizeof(UpgTodo));
	for (int i = 0; i < compare->todo_count; i++)
	{
		compare->todo[i].entry = &source->entries[i];
		judge(ctx, compare, &compare->todo[i]);
	}
	judge_baselines(ctx, compare);
	for (int i = compare->todo_count - 1; i >= 0; i--)
	{
		UpgTodo *todo = &compare->todo[i];

		if (todo->action == UPG_ACT_APPLY)
		{
			compare->pending++;
			todo->out_of_order = later_applied && !todo->entry->repeatable;
			compare->out_of_order += todo->out_of_order;
		}
		else if (!todo->entry->repeatable && is_applied(todo->known))
			later_applied = true;
		compare->changed += todo->action == UPG_ACT_CHANGED;
	}
	find_vanished(ctx, compare);
	return true;
}

/*
 * run_compare_free
 *		Give the comparison back.
 */
void
run_compare_free(UpgCompare *compare)
{
	if (compare->rows != NULL)
		rows_free(compare->rows);
	free(compare->known);
	free(compare->todo);
	list_free(&compare->vanished);
	list_free(&compare->orphans);
	memset(compare, 0, sizeof(*compare));
}

/*
 * run_check_changed
 *		An applied script has other bytes: is its meaning another, too?
 *
 * 0 layout only, 1 changed, -1 error set.
 */
int
run_check_changed(UpgContext *ctx, const UpgTodo *todo)
{
	UpgScript script;
	const char *params[1];
	UpgRows *rows;
	const char *meaning;
	int result;

	if (todo->entry->problem != NULL || todo->known->meaning == NULL)
		return 1;
	if (!script_load(ctx->source, todo->entry, false, &script))
		return -1;
	if (script.client_driven)
	{
		script_free(&script);
		return 1;
	}
	params[0] = script.text.data;
	rows = conn_query(ctx->conn, "SELECT meaning FROM @extschema@.upg_script_info($1)", 1,
					  params);
	script_free(&script);
	if (rows == NULL)
	{
		/* what the parser cannot read is certainly not what was applied */
		if (strcmp(upg_error.sqlstate, "UP008") != 0)
			return -1;
		err_clear();
		return 1;
	}
	meaning = rows_named(rows, 0, "meaning");
	result = meaning == NULL || strcmp(meaning, todo->known->meaning) != 0;
	rows_free(rows);
	return result;
}

/*
 * run_check_changes
 *		Warn of layout edits and vanished files, refuse changed scripts.
 */
bool
run_check_changes(UpgContext *ctx, UpgCompare *compare)
{
	for (int i = 0; i < compare->todo_count && compare->changed > 0; i++)
	{
		UpgTodo *todo = &compare->todo[i];
		int changed;

		if (todo->action != UPG_ACT_CHANGED)
			continue;
		changed = run_check_changed(ctx, todo);
		if (changed < 0)
			return false;
		if (changed == 0)
		{
			log_warning("migration \"%s\" was edited after it was applied; its meaning "
						"is the same",
						todo->name);
			log_detail("Only layout or comments differ in \"%s\" (SHA-256 %.12s..., "
					   "applied: %.12s...).",
					   todo->entry->up.path, todo->entry->sha256, todo->known->sha256);
			continue;
		}
		if (source_problem(todo->entry))
			return false;
		err_set(UPG_EXIT_USAGE, "UPG-0002",
				"migration \"%s\" was changed after it was applied",
				printable(ctx->arena, todo->name));
		err_where("%s", todo->entry->up.path);
		err_why("SHA-256 of the file: %s, of what was applied: %s.", todo->entry->sha256,
				todo->known->sha256);
		err_fix("Restore the file and put the change into a new migration; \"upg show\" "
				"prints what "
				"was applied.");
		err_next("upg show %s", printable(ctx->arena, todo->name));
		return false;
	}
	for (int i = 0; i < compare->orphans.count; i++)
	{
		log_warning("migration \"%s\" is half done, and not in directory \"%s\"",
					printable(ctx->arena, compare->orphans.items[i]), ctx->source->dir);
		log_hint("Put its file back, or take back what is there of it: \"upg down %s\".",
				 printable(ctx->arena, compare->orphans.items[i]));
	}
	for (int i = 0; i < compare->vanished.count; i++)
	{
		if (i == 3 && compare->vanished.count > 4)
		{
			log_warning("and %d more applied migrations are not in the directory",
						compare->vanished.count - 3);
			break;
		}
		log_warning("migration \"%s\" is applied but not in directory \"%s\"",
					printable(ctx->arena, compare->vanished.items[i]), ctx->source->dir);
	}
	return true;
}

/*
 * run_select
 *		Apply --to and --out-of-order; *last is the last entry to look at, or -1.
 */
bool
run_select(UpgContext *ctx, UpgCompare *compare, int *last)
{
	const char *to = opt_get(ctx, OPT_TO);
	const char *policy = opt_get(ctx, OPT_OUT_OF_ORDER);

	*last = compare->todo_count - 1;
	if (to != NULL)
	{
		const char *best = NULL;
		int least = 4;
		bool found = false;

		for (int i = 0; i < compare->todo_count && !found; i++)
		{
			const UpgEntry *entry = compare->todo[i].entry;
			int d;

			if (entry_is_called(entry, to) || strcmp(compare->todo[i].name, to) == 0)
			{
				*last = i;
				found = true;
			}
			else if ((d = edit_distance(entry->name, to)) < least)
			{
				least = d;
				best = entry->name;
			}
		}
		if (!found)
		{
			err_set(UPG_EXIT_USAGE, "UPG-2016",
					"directory \"%s\" has no migration \"%s\"", ctx->source->dir,
					printable(ctx->arena, to));
			if (best != NULL)
				err_fix("Did you mean \"%s\"?", best);
			err_next("upg status %s", ctx->source->dir);
			return false;
		}
	}
	for (int i = 0; i <= *last; i++)
	{
		const UpgTodo *todo = &compare->todo[i];

		if (!todo->out_of_order || (policy != NULL && strcmp(policy, "allow") == 0))
			continue;
		if (policy != NULL && strcmp(policy, "refuse") == 0)
		{
			err_set(UPG_EXIT_USAGE, "UPG-2017",
					"migration \"%s\" comes before ones that are applied",
					printable(ctx->arena, todo->name));
			err_where("%s", todo->entry->up.path);
			err_why("The policy is --out-of-order=refuse.");
			err_fix("Rename it to come last, or run with --out-of-order=warn.");
			return false;
		}
		log_warning("migration \"%s\" comes before ones that are applied already",
					printable(ctx->arena, todo->name));
	}
	return true;
}

/*
 * run_check_driven
 *		What the client must drive has limits: are they kept?  False with the error set.
 */
bool
run_check_driven(UpgContext *ctx, const UpgEntry *entry, bool down,
				 const UpgScript *script)
{
	if (!script->client_driven)
		return true;
	if (!down && entry->replaces.count > 0)
	{
		err_set(UPG_EXIT_USAGE, "UPG-2015",
				"a migration that replaces others cannot be driven by the client");
		err_where("%s", entry->up.path);
		err_why("The file holds COPY data, or it is larger than --stream-above.");
		err_fix("Write rows as INSERT, or give a larger --stream-above.");
		return false;
	}
	if (!down)
		return run_client_check(ctx, entry);
	err_set(UPG_EXIT_USAGE, "UPG-2013", "a down script cannot hold COPY ... FROM stdin");
	err_where("%s", entry->down.path ? entry->down.path : entry->up.path);
	err_why("The down script is kept in the ledger and run there.");
	err_fix("Use INSERT, or COPY from a file that the server can read.");
	return false;
}

/*
 * leave_out_down
 *		Go on without a down script that nobody could run, with a warning; false
 *		where it would be the only way back.
 *
 * The server says the same of one with a syntax error.  Here a quote or a comment
 * is not closed, or the bytes are no text.
 */
static bool
leave_out_down(UpgContext *ctx, UpgEntry *entry)
{
	const char *undo = opt_get(ctx, OPT_UNDO);

	if (entry->down.path == NULL || entry->down_text != NULL ||
		strcmp(entry->down.path, entry->up.path) == 0 ||
		(undo != NULL && strcmp(undo, "none") == 0))
		return false;
	log_warning("the down script of migration \"%s\" cannot be run: %s", entry->name,
				upg_error.what);
	err_clear();
	entry->down.path = NULL;
	return true;
}

/*
 * run_read_scripts
 *		Read what an entry would run, in both directions; false with the error set.
 *		A down script that is not needed is left out, unless both have to be sound.
 */
bool
run_read_scripts(UpgContext *ctx, UpgEntry *entry, bool sound)
{
	if (source_problem(entry))
		return false;
	for (int down = 0; down <= (entry_has_down(entry) ? 1 : 0); down++)
	{
		UpgScript script;
		bool ok;

		if (!script_load(ctx->source, entry, down, &script))
		{
			if (!down || sound || !leave_out_down(ctx, entry))
				return false;
			break;
		}
		ok = run_check_driven(ctx, entry, down, &script);
		script_free(&script);
		if (!ok)
			return false;
	}
	return true;
}

/*
 * run_preflight
 *		Read every script that is to run, so that faults show before anything runs.
 */
bool
run_preflight(UpgContext *ctx, UpgCompare *compare, int last)
{
	for (int i = 0; i <= last; i++)
		if (compare->todo[i].action == UPG_ACT_APPLY &&
			!run_read_scripts(ctx, compare->todo[i].entry, false))
			return false;
	return true;
}
