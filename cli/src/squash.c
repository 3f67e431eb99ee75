/*-------------------------------------------------------------------------
 *
 * squash.c
 *		upg squash: one migration that stands for a range of applied ones.
 *
 *	The new script is what pg_dump shows of a scratch database in which the range ran,
 *	if the range begins with the first migration; otherwise the scripts one after the
 *	other.  Either is believed only after it ran in a second scratch database and both
 *	dumps, rows included, are equal.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/squash.c
 *
 *-------------------------------------------------------------------------
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "dump.h"
#include "exit_codes.h"
#include "fsutil.h"
#include "interrupt.h"
#include "log.h"
#include "source_internal.h"
#include "squash.h"

/* A squash while it is worked on. */
typedef struct Squash
{
	int first;
	int last;
	const char *base; /* number and name of the new files */
	const char *name; /* of the new migration in the ledger */
	bool dumped;      /* the script is a dump, not the scripts in a row */
	const char *up;
	const char *down; /* or NULL */
	UpgBuf want;      /* dump after the range ran */
	UpgBuf before;    /* dump before it */
	SquashFiles files;
	UpgBuf dir; /* where the new directory is tried */
	bool down_proven;
} Squash;

/*
 * refuse
 *		The range cannot be squashed.
 */
static bool
refuse(const char *what, const char *name, const char *fix)
{
	err_set(UPG_EXIT_USAGE, "UPG-2034", what, name);
	err_fix("%s", fix);
	return false;
}

/*
 * find_named
 *		The entry of a name or number, or -1 with the error set.
 */
static int
find_named(UpgContext *ctx, const char *name)
{
	for (int i = 0; i < ctx->source->count; i++)
		if (entry_is_called(&ctx->source->entries[i], name))
			return i;
	err_set(UPG_EXIT_USAGE, "UPG-2016", "directory \"%s\" has no migration \"%s\"",
			ctx->source->dir, printable(ctx->arena, name));
	err_next("upg status %s", ctx->source->dir);
	return -1;
}

/*
 * choose_range
 *		Which migrations, and are all of them applied as they stand here?
 */
static bool
choose_range(UpgContext *ctx, UpgCompare *compare, Squash *squash)
{
	const char *from = opt_get(ctx, OPT_FROM);
	const char *to = opt_get(ctx, OPT_TO);
	int last = -1;

	for (int i = 0; i < compare->todo_count; i++)
		if (compare->todo[i].action != UPG_ACT_APPLY &&
			!compare->todo[i].entry->repeatable && !compare->todo[i].entry->baseline)
			last = i;
	squash->first = from ? find_named(ctx, from) : 0;
	squash->last = to ? find_named(ctx, to) : last;
	if ((from && squash->first < 0) || (to && squash->last < 0))
		return false;
	if (squash->last <= squash->first)
		return refuse("there are no two migrations to be made one%s", "",
					  "Give the range with --from and --to.");
	for (int i = 0; i <= squash->last; i++)
	{
		const UpgTodo *todo = &compare->todo[i];
		const UpgEntry *entry = todo->entry;

		if (entry->repeatable || entry->baseline)
			return refuse("\"%s\" is repeatable or a baseline", entry->name,
						  "It cannot be part of the range.");
		if (i >= squash->first && todo->action == UPG_ACT_APPLY)
		{
			refuse("migration \"%s\" of the range is not applied in this database",
				   printable(ctx->arena, todo->name),
				   "Apply the whole range first, or squash an earlier one with --to.");
			err_why("Only what has run as a whole can be replaced.");
			err_next("upg up %s", ctx->source->dir);
			return false;
		}
		if (source_problem(entry))
			return false;
	}
	squash->dumped = squash->first == 0;
	for (int i = squash->first; i <= squash->last && !squash->dumped; i++)
		if (ctx->source->entries[i].no_transaction)
		{
			refuse("migration \"%s\" is marked to run outside of a transaction",
				   ctx->source->entries[i].name,
				   "Begin the range with the first migration: then its effect is dumped, "
				   "and no script need be kept.");
			return false;
		}
	return true;
}

/*
 * choose_name
 *		Number and name of the new migration: the number is that of the last one.
 */
static bool
choose_name(UpgContext *ctx, Squash *squash)
{
	const UpgEntry *last = &ctx->source->entries[squash->last];
	const char *layout = ctx->source->layout;
	const char *name = opt_get(ctx, OPT_NAME);
	UpgArena *arena = ctx->arena;

	if (strcmp(layout, "sqitch") == 0 || strcmp(layout, "liquibase") == 0 ||
		strcmp(layout, "graphile") == 0)
		return refuse("\"upg squash\" does not write layout \"%s\"", layout,
					  "Its migrations are listed in a file that belongs to its own tool; "
					  "edit it by hand.");
	if (name != NULL && (name[0] == '\0' || strchr(name, '/') != NULL || name[0] == '.' ||
						 strlen(name) > 200))
	{
		err_set(UPG_EXIT_USAGE, "UPG-2009", "\"%s\" cannot be the name of a migration",
				printable(arena, name));
		return false;
	}
	if (name == NULL)
		name = "squashed";
	if (strcmp(layout, "flyway") == 0)
		squash->base = arena_printf(arena, "V%s__%s", last->number, name);
	else if (last->number == NULL && strcmp(layout, "prisma") != 0)
		squash->base = name;
	else
	{
		/* the number as the last one writes it, dashes and all */
		size_t n = strcspn(last->name, "_.");
		const char *digits = last->name;

		squash->base =
			arena_printf(arena, strcmp(layout, "dodo") == 0 ? "%.*s.%s" : "%.*s_%s",
						 (int) n, digits, name);
	}
	squash->name = squash->base;
	for (int i = 0; i < ctx->source->count; i++)
		if (strcmp(ctx->source->entries[i].name, squash->name) == 0)
		{
			err_set(UPG_EXIT_USAGE, "UPG-2007", "migration \"%s\" exists already",
					squash->name);
			err_fix("Choose another name with --name.");
			return false;
		}
	return true;
}

/*
 * head_of
 *		The lines that say what the new file replaces.
 */
static void
head_of(UpgContext *ctx, const Squash *squash, UpgBuf *out)
{
	for (int i = squash->first; i <= squash->last; i++)
		buf_printf(out, "-- upg:replaces %s\n", ctx->source->entries[i].name);

	/* what they required outside of the range, it requires */
	for (int i = squash->first; i <= squash->last; i++)
		for (int k = 0; k < ctx->source->entries[i].requires.count; k++)
		{
			const char *name = ctx->source->entries[i].requires.items[k];
			bool inside = false;

			for (int j = squash->first; j <= squash->last; j++)
				inside |= strcmp(ctx->source->entries[j].name, name) == 0;
			if (!inside)
				buf_printf(out, "-- upg:requires %s\n", name);
		}
}

/*
 * add_script
 *		Append one direction of an entry.
 */
static bool
add_script(UpgContext *ctx, UpgEntry *entry, bool down, UpgBuf *out)
{
	UpgScript script;

	if (!script_load(ctx->source, entry, down, &script))
		return false;
	if (script.streamed || script.client_driven)
	{
		script_free(&script);
		return refuse("migration \"%s\" is driven by the client, with its data",
					  entry->name,
					  "Begin the range with the first migration, or leave it out.");
	}
	buf_printf(out, "\n-- %s\n", entry->name);
	for (const char *p = script.text.data; *p;)
	{
		size_t len = strcspn(p, "\n");

		/* what it says of others, the new file says on top */
		if (!str_starts(p, "-- upg:requires ") && !str_starts(p, "-- upg:replaces ") &&
			(!markers_is_family(ctx->source->layout) || markers_family(p, len) == NULL))
			buf_printf(out, "%.*s\n", (int) len, p);
		p += len + (p[len] == '\n');
	}
	script_free(&script);
	return true;
}

/*
 * write_scripts
 *		The text of the new migration; "dump" is what the range left, or NULL.
 */
static bool
write_scripts(UpgContext *ctx, Squash *squash, const UpgBuf *dump)
{
	UpgBuf up;
	UpgBuf down;
	bool has_down = true;
	bool ok = true;

	buf_init(&up);
	buf_init(&down);
	head_of(ctx, squash, &up);
	if (dump != NULL)
	{
		buf_addc(&up, '\n');
		buf_addn(&up, dump->data, dump->len);
	}
	for (int i = squash->first; ok && dump == NULL && i <= squash->last; i++)
		ok = add_script(ctx, &ctx->source->entries[i], false, &up);
	for (int i = squash->last; ok && has_down && i >= squash->first; i--)
	{
		has_down = entry_has_down(&ctx->source->entries[i]);
		if (has_down)
			ok = add_script(ctx, &ctx->source->entries[i], true, &down);
	}
	squash->up = arena_strndup(ctx->arena, up.data, up.len);
	squash->down = has_down ? arena_strndup(ctx->arena, down.data, down.len) : NULL;
	buf_free(&up);
	buf_free(&down);
	return ok;
}

/*
 * run_range
 *		Run the old migrations in a scratch database and see what they leave.
 *
 * For a range that begins with the first, *dump and *owned get what a new file
 * would say, without and with owners.
 */
static bool
run_range(UpgContext *ctx, Squash *squash, UpgBuf *dump, UpgBuf *owned)
{
	Scratch scratch;
	bool ok =
		squash_scratch(ctx, &scratch, "a") &&
		squash_apply(&scratch, ctx->source, 0, squash->first - 1) &&
		dump_database(&scratch.ctx, UPG_DUMP_DATA | UPG_DUMP_OWNERS, &squash->before) &&
		squash_apply(&scratch, ctx->source, squash->first, squash->last) &&
		dump_database(&scratch.ctx, UPG_DUMP_DATA | UPG_DUMP_OWNERS, &squash->want);

	if (ok && squash->dumped)
		ok = dump_database(&scratch.ctx, UPG_DUMP_DATA | UPG_DUMP_RIGHTS, dump) &&
			 dump_database(&scratch.ctx, UPG_DUMP_DATA | UPG_DUMP_OWNERS, owned);
	squash_scratch_drop(ctx, &scratch);
	return ok;
}

/*
 * not_equal
 *		The proof failed.
 */
static bool
not_equal(const Squash *squash, int line, const UpgBuf *want, const UpgBuf *got)
{
	err_set(UPG_EXIT_VERIFICATION, "UPG-2034",
			"the squashed migration would not have the effect of those it replaces");
	err_why("Line %d of the dumps: the range leaves: %s\nthe new one leaves: %s", line,
			want->len > 0 ? want->data : "(nothing)",
			got->len > 0 ? got->data : "(nothing)");
	err_fix(
		squash->dumped
			? "Something that pg_dump does not carry over as it is; squash a shorter "
			  "range."
			: "A setting of one script reaches into the next; squash a shorter range.");
	return false;
}

/*
 * prove
 *		Run the new directory in a second scratch database: is what it leaves the same,
 *		and does its way back lead back?
 *
 * *equal is the answer; false means that it could not be found out.
 */
static bool
prove(UpgContext *ctx, Squash *squash, bool *equal)
{
	Scratch scratch;
	UpgSource *source;
	UpgBuf got;
	UpgBuf in_want;
	UpgBuf in_got;
	int line;
	bool ok;

	*equal = false;
	if (!squash_files(ctx, squash->first, squash->last, squash->base, squash->up,
					  squash->down, &squash->files))
		return false;
	buf_reset(&squash->dir);
	if (!squash_preview(ctx, &squash->files, &squash->dir))
		return false;
	source = source_open(squash->dir.data, ctx->source->layout, &ctx->vars,
						 ctx->source->stream_above);
	if (source == NULL)
		return false;
	if (source->count <= squash->first ||
		strcmp(source->entries[squash->first].name, squash->name) != 0)
	{
		refuse("a migration called \"%s\" would not stand in the place of the range",
			   squash->name, "Choose another name with --name.");
		source_close(source);
		return false;
	}
	if (source->entries[squash->first].streamed)
	{
		refuse("the squashed migration \"%s\" would be too large", squash->name,
			   "Give a larger --stream-above, or a shorter range.");
		source_close(source);
		return false;
	}
	buf_init(&got);
	buf_init(&in_want);
	buf_init(&in_got);

	/* nothing is there that it could stand for: it must run */
	ok = squash_scratch(ctx, &scratch, "b") &&
		 squash_apply(&scratch, source, 0, squash->first) &&
		 dump_database(&scratch.ctx, UPG_DUMP_DATA | UPG_DUMP_OWNERS, &got);
	if (ok)
	{
		*equal = !dump_difference(squash->want.data, got.data, &line, &in_want, &in_got);
		if (!*equal)
			not_equal(squash, line, &in_want, &in_got);
	}
	if (ok && *equal && squash->down != NULL)
	{
		UpgOutcome outcome;
		UpgBuf back;

		memset(&outcome, 0, sizeof(outcome));
		buf_init(&back);
		scratch.ctx.source = source;
		squash->down_proven =
			run_rollback_one(&scratch.ctx, squash->name, 0, &outcome) &&
			dump_database(&scratch.ctx, UPG_DUMP_DATA | UPG_DUMP_OWNERS, &back) &&
			strcmp(back.data, squash->before.data) == 0;
		if (upg_interrupted != 0)
			ok = false;
		else
			err_clear();
		list_free(&outcome.warnings);
		buf_free(&back);
	}
	squash_scratch_drop(ctx, &scratch);
	buf_free(&got);
	buf_free(&in_want);
	buf_free(&in_got);
	source_close(source);
	return ok;
}

/*
 * make_and_prove
 *		Find a script that has the effect of the range.
 */
static bool
make_and_prove(UpgContext *ctx, Squash *squash)
{
	UpgBuf dump;
	UpgBuf owned;
	bool equal = false;
	bool ok;

	buf_init(&dump);
	buf_init(&owned);
	log_info("running the range in a scratch database");
	ok = run_range(ctx, squash, &dump, &owned) &&
		 write_scripts(ctx, squash, squash->dumped ? &dump : NULL);
	if (ok)
		log_info("proving the squashed migration in another one");
	ok = ok && prove(ctx, squash, &equal);
	if (ok && !equal && squash->dumped)
	{
		/* the range gives things to other roles: say so in the file, too */
		squash_preview_remove(squash->dir.data);
		err_clear();
		ok = write_scripts(ctx, squash, &owned) && prove(ctx, squash, &equal);
	}
	if (ok && equal && squash->down != NULL && !squash->down_proven)
	{
		log_warning(
			"the way back of the range does not lead back exactly; the new migration "
			"has none");
		squash_preview_remove(squash->dir.data);
		squash->down = NULL;
		ok = prove(ctx, squash, &equal);
	}
	buf_free(&dump);
	buf_free(&owned);
	return ok && equal;
}

/*
 * put_in_place
 *		Change the directory, then tell the ledger.
 */
static bool
put_in_place(UpgContext *ctx, const Squash *squash, UpgOutcome *outcome)
{
	const char *dir = arena_strdup(ctx->arena, ctx->source->dir);
	UpgSource *source;

	if (!squash_place(ctx, &squash->files, squash->name))
		return false;
	source = source_open(dir, ctx->source->layout, &ctx->vars, ctx->source->stream_above);
	if (source == NULL)
		return false;
	source_close(ctx->source);
	ctx->source = source;
	for (int i = 0; i < source->count; i++)
		if (strcmp(source->entries[i].name, squash->name) == 0)
			return run_apply_one(ctx, &source->entries[i], squash->name, NULL, 0,
								 outcome);
	err_set(UPG_EXIT_BUG, "UPG-9999", "the new migration \"%s\" is not in the directory",
			squash->name);
	return false;
}

/*
 * report
 *		What was done, or would be.
 */
static void
report(UpgContext *ctx, const Squash *squash, bool ok, const UpgOutcome *outcome)
{
	bool dry_run = opt_on(ctx, OPT_DRY_RUN);
	int count = squash->last - squash->first + 1;

	render_start(ctx);
	if (ctx->json)
	{
		json_bool(render_doc(), "dry_run", dry_run);
		json_string(render_doc(), "name", squash->name);
		json_array(render_doc(), "replaces");
		for (int i = 0; i < squash->files.old.count; i++)
			json_string(render_doc(), NULL, squash->files.old.items[i]);
		json_array_end(render_doc());
		json_array(render_doc(), "files");
		for (int i = 0; i < squash->files.made.names.count; i++)
			json_string(render_doc(), NULL, squash->files.made.names.items[i]);
		json_array_end(render_doc());
		json_string(render_doc(), "method", squash->dumped ? "dump" : "scripts");
		json_bool(render_doc(), "equal", ok);
		json_bool(render_doc(), "down", squash->down != NULL);
		json_string(render_doc(), "state",
					ok ? (dry_run ? "planned" : outcome->state) : NULL);
	}
	if (!ok)
		return;
	render_text(ctx, "%s \"%s\" stands for %d migrations: same schema, same rows\n",
				dry_run ? "would be squashed:" : "squashed:", squash->name, count);
	for (int i = 0; i < squash->files.made.names.count; i++)
		render_text(ctx, "  %s%s%s/%s\n", ctx->source->dir,
					squash->files.made.folder ? "/" : "",
					squash->files.made.folder ? squash->files.made.folder : "",
					squash->files.made.names.items[i]);
	if (!dry_run)
		render_text(ctx, "the old files are in %s/.squashed/%s\n", ctx->source->dir,
					squash->name);
}

/* upg squash */
int
cmd_squash(UpgContext *ctx)
{
	UpgCompare compare;
	UpgOutcome outcome;
	Squash squash;
	bool ok;

	memset(&squash, 0, sizeof(squash));
	memset(&outcome, 0, sizeof(outcome));
	if (!ctx_open_source(ctx, 0) || !ctx_connect(ctx, true))
		return upg_error.exit_code;
	buf_init(&squash.want);
	buf_init(&squash.before);
	buf_init(&squash.dir);
	memset(&compare, 0, sizeof(compare));
	ok = run_compare(ctx, &compare, false, NULL) && run_check_changes(ctx, &compare) &&
		 choose_range(ctx, &compare, &squash) && choose_name(ctx, &squash) &&
		 make_and_prove(ctx, &squash);
	squash_preview_remove(squash.dir.data);
	if (ok && !opt_on(ctx, OPT_DRY_RUN))
		ok = ctx_confirm(ctx, arena_printf(ctx->arena,
										   "Replace %d migrations by \"%s\" in \"%s\"?",
										   squash.last - squash.first + 1, squash.name,
										   ctx->source->dir)) &&
			 put_in_place(ctx, &squash, &outcome);
	report(ctx, &squash, ok, &outcome);
	list_free(&outcome.warnings);
	list_free(&squash.files.old);
	layout_files_free(&squash.files.made);
	run_compare_free(&compare);
	buf_free(&squash.want);
	buf_free(&squash.before);
	buf_free(&squash.dir);
	return upg_error.exit_code;
}
