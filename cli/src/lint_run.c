/*-------------------------------------------------------------------------
 *
 * lint_run.c
 *		Trying each down script against the state before its migration.
 *
 * What one transaction can hold is tried in one: rows in, up, down, compare, and all
 * of it is given up; then the up is applied for good, without our rows.  So each
 * migration meets exactly the database that its authors expect, whatever the downs
 * before it did.  Scripts that commit are tried in a copy of the database.
 *
 * Rows that an up refuses are no fault of it: it is tried again without rows in the
 * table that the error names, then with fewer rows, at last with none.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/lint_run.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exit_codes.h"
#include "interrupt.h"
#include "lint.h"
#include "log.h"

/* How much is put into the tables; tried from the top. */
enum
{
	LEVEL_SPARSE, /* the last row of a table has nulls and defaults */
	LEVEL_FULL,
	LEVEL_ONE_ROW,
	LEVEL_NO_ROWS
};

#define MAX_SKIPPED 8  /* tables left out because an up refused their rows */
#define MAX_ROLES   10 /* roles made because a script wants them */

/* One migration that is being tried. */
typedef struct Trial
{
	UpgContext *ctx;
	UpgScratch *scratch;
	UpgEntry *entry;
	UpgLintResult *result;
	UpgLintScript up;
	UpgLintScript down;
	bool has_down;
	bool copy; /* in a copy of the database */
	int rows;
	int level;
	UpgList few;   /* tables that get one row */
	UpgList skip;  /* tables that get none */
	char *learned; /* statements that filled tables, to be kept */
	bool fatal;    /* the error that is set ends the whole run */
} Trial;

/*
 * is_fatal
 *		Is the current error one after which the run cannot go on?
 */
static bool
is_fatal(const Trial *trial)
{
	return upg_interrupted != 0 || upg_error.exit_code == UPG_EXIT_DEADLINE ||
		   upg_error.exit_code == UPG_EXIT_NO_DATABASE || trial->scratch->conn == NULL ||
		   conn_lost(trial->scratch->conn) || conn_lost(trial->scratch->admin);
}

/*
 * keep_fault
 *		Take the current error as the fault of a script.
 */
static void
keep_fault(Trial *trial, UpgScriptFault *fault)
{
	UpgArena *arena = trial->ctx->arena;

	fault->what = arena_strdup(arena, upg_error.what ? upg_error.what : "it fails");
	fault->where = upg_error.where ? arena_strdup(arena, upg_error.where) : NULL;
	fault->sqlstate =
		upg_error.sqlstate[0] ? arena_strdup(arena, upg_error.sqlstate) : NULL;
	fault->statement =
		upg_error.statement ? arena_strdup(arena, upg_error.statement) : NULL;
	err_clear();
}

/*
 * command
 *		A statement of ours in the scratch database.
 */
static bool
command(const Trial *trial, const char *sql)
{
	return conn_execute_text(trial->scratch->conn, sql) == UPG_EXEC_DONE;
}

/*
 * settle
 *		The end of a script: what it set ends, deferred checks are made.
 */
static bool
settle(const Trial *trial)
{
	return command(trial, "RESET SESSION AUTHORIZATION") &&
		   command(trial, "RESET ROLE") && command(trial, "RESET ALL") &&
		   command(trial, "SELECT upg.lint_settle()");
}

/*
 * begin_state
 *		Rows in, and a copy of everything kept.
 */
static bool
begin_state(Trial *trial)
{
	static const int rows_of[] = {0, -1, 1, 0};
	UpgBuf few;
	UpgBuf skip;
	char want[16];
	const char *params[4];
	UpgRows *rows;
	int n = trial->level == LEVEL_SPARSE ? trial->rows
			: trial->level == LEVEL_FULL ? trial->rows + rows_of[LEVEL_FULL]
										 : rows_of[trial->level];

	snprintf(want, sizeof(want), "%d", n);
	buf_init(&few);
	array_literal(&few, &trial->few);
	buf_init(&skip);
	array_literal(&skip, &trial->skip);
	params[0] = want;
	params[1] = trial->level == LEVEL_SPARSE ? "true" : "false";
	params[2] = few.data;
	params[3] = skip.data;
	rows = conn_query(trial->scratch->conn,
					  "SELECT tables, filled, empty, learned FROM upg.lint_begin("
					  "$1::pg_catalog.int4, $2::pg_catalog.bool, $3::pg_catalog.text[], "
					  "$4::pg_catalog.text[])",
					  4, params);
	buf_free(&few);
	buf_free(&skip);
	if (rows == NULL)
		return false;
	trial->result->tables = rows_int(rows, 0, "tables");
	trial->result->filled = rows_int(rows, 0, "filled");
	free(trial->learned);
	trial->learned = xstrdup(rows_named(rows, 0, "learned"));
	log_verbose("%s: %s of %s tables filled, empty: %s", trial->entry->name,
				rows_named(rows, 0, "filled"), rows_named(rows, 0, "tables"),
				rows_named(rows, 0, "empty"));
	rows_free(rows);
	return true;
}

/*
 * keep_learned
 *		Keep the statements that filled tables: the next migration needs them again.
 */
static bool
keep_learned(Trial *trial)
{
	const char *params[1];

	if (trial->learned == NULL || strcmp(trial->learned, "{}") == 0)
		return true;
	params[0] = trial->learned;
	return conn_run(trial->scratch->conn, "SELECT upg.lint_learn($1::pg_catalog.jsonb)",
					1, params);
}

/*
 * text_of
 *		A column's text kept for the report, or NULL.
 */
static const char *
text_of(Trial *trial, const UpgRows *rows, int row, const char *column)
{
	const char *value = rows_named(rows, row, column);

	return value ? arena_strdup(trial->ctx->arena, value) : NULL;
}

/*
 * compare_state
 *		Everything that is not as it was becomes a finding.
 */
static bool
compare_state(Trial *trial)
{
	UpgLintResult *result = trial->result;
	UpgRows *rows = conn_query(trial->scratch->conn,
							   "SELECT * FROM upg.lint_found(true) ORDER BY part DESC, "
							   "object, change, attribute NULLS FIRST",
							   0, NULL);

	if (rows == NULL)
		return false;
	result->finding_count = rows_count(rows);
	result->findings = arena_alloc(trial->ctx->arena,
								   sizeof(UpgFinding) * (size_t) (rows_count(rows) + 1));
	for (int i = 0; i < rows_count(rows); i++)
	{
		UpgFinding *f = &result->findings[i];

		f->data = strcmp(rows_named(rows, i, "part"), "data") == 0;
		f->object = text_of(trial, rows, i, "object");
		f->change = text_of(trial, rows, i, "change");
		f->attribute = text_of(trial, rows, i, "attribute");
		f->was = text_of(trial, rows, i, "was");
		f->is_now = text_of(trial, rows, i, "is_now");
		f->turned = text_of(trial, rows, i, "turned");
		f->rows_was = rows_int(rows, i, "rows_was");
		f->lost = rows_int(rows, i, "lost");
		f->added = rows_int(rows, i, "added");
		f->changed = rows_int(rows, i, "changed");
		f->in_column =
			rows_named(rows, i, "in_column") ? rows_int(rows, i, "in_column") : 0;
	}
	rows_free(rows);
	return true;
}

/*
 * note_destruction
 *		Does the up change or drop rows that were there?
 */
static bool
note_destruction(Trial *trial)
{
	UpgRows *rows =
		conn_query(trial->scratch->conn,
				   "SELECT pg_catalog.bool_or(change <> 'rows' OR lost > 0 OR "
				   "changed > 0 OR attribute IS NOT NULL) AS destroys "
				   "FROM upg.lint_found(false)",
				   0, NULL);

	if (rows == NULL)
		return false;
	trial->result->destroys =
		rows_named(rows, 0, "destroys") != NULL && rows_bool(rows, 0, "destroys");
	rows_free(rows);
	return true;
}

/*
 * judge
 *		The verdict, from what was found.
 */
static void
judge(UpgLintResult *result, bool has_down)
{
	result->verdict = UPG_VERDICT_EXACT;
	if (result->up_fault.what != NULL)
		result->verdict = UPG_VERDICT_UNTESTED;
	else if (!has_down)
		result->verdict = UPG_VERDICT_NONE;
	else if (result->down_fault.what != NULL)
		result->verdict = UPG_VERDICT_FAILS;
	else
		for (int i = 0; i < result->finding_count; i++)
		{
			if (result->findings[i].data)
				result->verdict = UPG_VERDICT_LOSSY;
			else if (result->verdict == UPG_VERDICT_EXACT)
				result->verdict = UPG_VERDICT_DIFFERS;
		}
}

/*
 * go_back_to
 *		Give up what came after a savepoint, or with "ROLLBACK" all of it; an error that
 *		is set stays.
 *
 * Of a copy only the whole can be given up: it is dropped.
 */
static bool
go_back_to(const Trial *trial, const char *sql)
{
	UpgError saved = err_take();
	bool ok = true;

	if (!trial->copy)
		ok = command(trial, sql);
	else if (strcmp(sql, "ROLLBACK") == 0)
		ok = scratch_uncopy(trial->scratch);
	if (ok)
		err_put(saved);
	return ok;
}

/*
 * try_down
 *		Run the down and compare; false if the run cannot go on.
 */
static bool
try_down(Trial *trial)
{
	UpgLintResult *result = trial->result;
	bool whole = !trial->copy;

	if (whole && !command(trial, "SAVEPOINT upg_lint"))
		return false;
	if (!lint_script_run(trial->ctx, &trial->down, trial->scratch, whole) ||
		!settle(trial))
	{
		if (is_fatal(trial))
			return false;
		keep_fault(trial, &result->down_fault);
		return go_back_to(trial, "ROLLBACK TO upg_lint");
	}
	if (!compare_state(trial))
		return false;
	if (result->finding_count == 0)
		return true;

	/* A down that leaves something behind may stand in the way of the up. */
	if (whole && !command(trial, "SAVEPOINT upg_lint_again"))
		return false;
	if (!lint_script_run(trial->ctx, &trial->up, trial->scratch, whole) || !settle(trial))
	{
		if (is_fatal(trial))
			return false;
		keep_fault(trial, &result->again_fault);
		return go_back_to(trial, "ROLLBACK TO upg_lint_again");
	}
	return true;
}

/*
 * try_once
 *		Up and down on the state of now; false with the error set if the up fails, and
 *		"fatal" if anything else does.
 */
static bool
try_once(Trial *trial)
{
	bool whole = !trial->copy;
	bool ok;

	trial->fatal = true;
	memset(&trial->result->down_fault, 0, sizeof(UpgScriptFault));
	memset(&trial->result->again_fault, 0, sizeof(UpgScriptFault));
	trial->result->finding_count = 0;
	trial->result->outside = trial->copy;
	if (trial->copy && !scratch_copy(trial->scratch))
		return false;
	if (whole && !command(trial, "BEGIN"))
		return false;
	if (!begin_state(trial))
		return false;
	ok = lint_script_run(trial->ctx, &trial->up, trial->scratch, whole) && settle(trial);
	if (!ok)
		trial->fatal = is_fatal(trial);
	else if (!note_destruction(trial) || (trial->has_down && !try_down(trial)))
		return false;
	else
		trial->fatal = false;
	if (trial->fatal)
		return false;
	if (!go_back_to(trial, "ROLLBACK"))
	{
		trial->fatal = true;
		return false;
	}
	if (ok && !keep_learned(trial))
	{
		trial->fatal = true;
		return false;
	}
	return ok;
}

/*
 * wanted_role
 *		The role that an error says is missing, or NULL.
 */
static const char *
wanted_role(UpgContext *ctx, const char *sqlstate, const char *what)
{
	static const char begin[] = "role \"";
	const char *end;

	if (sqlstate == NULL || strcmp(sqlstate, "42704") != 0 || what == NULL ||
		!str_starts(what, begin) || (end = strstr(what, "\" does not exist")) == NULL)
		return NULL;
	what += sizeof(begin) - 1;
	return arena_strndup(ctx->arena, what, (size_t) (end - what));
}

/*
 * needs_commit
 *		Is it an error that comes of being in one transaction with what went before?
 */
static bool
needs_commit(const char *sqlstate)
{
	return sqlstate != NULL &&
		   (strcmp(sqlstate, "55P04") == 0 || strcmp(sqlstate, "55006") == 0 ||
			strcmp(sqlstate, "25001") == 0 || strcmp(sqlstate, "2D000") == 0 ||
			strcmp(sqlstate, "0A000") == 0);
}

/*
 * next_try
 *		After an up that failed: change what can be changed; false if nothing is left.
 */
static bool
next_try(Trial *trial, int *roles)
{
	const char *role = wanted_role(trial->ctx, upg_error.sqlstate, upg_error.what);
	UpgArena *arena = trial->ctx->arena;

	if (role != NULL && (*roles)++ < MAX_ROLES)
	{
		err_clear();
		list_add(&trial->result->notes,
				 arena_printf(arena, "role \"%s\" was made for the run", role));
		trial->fatal = !scratch_make_role(trial->scratch, role);
		return !trial->fatal;
	}
	if (!trial->copy && needs_commit(upg_error.sqlstate))
	{
		trial->copy = true;
		err_clear();
		return true;
	}
	if (trial->level == LEVEL_NO_ROWS)
		return false;
	if (upg_error.table[0] != '\0' && trial->skip.count < MAX_SKIPPED &&
		str_starts(upg_error.sqlstate, "23"))
	{
		UpgBuf name;

		/* as upg.lint_tables() writes it: quoted where that is needed */
		const char *params[2] = {upg_error.schema, upg_error.table};
		UpgRows *rows;

		buf_init(&name);
		rows = conn_query(trial->scratch->conn,
						  "SELECT pg_catalog.format('%I.%I', $1::pg_catalog.text, "
						  "$2::pg_catalog.text)",
						  2, params);
		if (rows != NULL)
			buf_add(&name, rows_get(rows, 0, 0));
		rows_free(rows);
		if (name.len > 0 && !list_has(&trial->skip, name.data))
		{
			list_add(list_has(&trial->few, name.data) ? &trial->skip : &trial->few,
					 arena_strdup(arena, name.data));
			buf_free(&name);
			err_clear();
			return true;
		}
		buf_free(&name);
	}
	/* a table or function that does not exist is missing with fewer rows, too */
	trial->level =
		str_starts(upg_error.sqlstate, "42") ? LEVEL_NO_ROWS : trial->level + 1;
	err_clear();
	return true;
}

/*
 * end_session
 *		What a script set, prepared or holds ends, as with its tool's connection.
 *
 * Not by DISCARD ALL: the plans of our own functions stay.
 */
static bool
end_session(const Trial *trial)
{
	static const char *const statements[] = {
		"RESET SESSION AUTHORIZATION",
		"RESET ROLE",
		"RESET ALL",
		"CLOSE ALL",
		"UNLISTEN *",
		"DEALLOCATE ALL",
		"DISCARD TEMP",
		"DISCARD SEQUENCES",
		"SELECT pg_catalog.pg_advisory_unlock_all()"};

	for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++)
		if (!command(trial, statements[i]))
			return false;
	return true;
}

/*
 * apply_for_good
 *		Apply the up to the database itself, which has none of our rows.
 */
static bool
apply_for_good(Trial *trial)
{
	bool whole = trial->up.single && !trial->copy;
	bool ok = !whole || command(trial, "BEGIN");

	ok = ok && lint_script_run(trial->ctx, &trial->up, trial->scratch, whole);
	if (!ok && is_fatal(trial))
	{
		trial->fatal = true;
		return false;
	}
	if (!ok)
	{
		keep_fault(trial, &trial->result->up_fault);
		if (whole)
			command(trial, "ROLLBACK");
	}
	else if (whole && !command(trial, "COMMIT"))
		keep_fault(trial, &trial->result->up_fault);
	trial->fatal = !end_session(trial) ||
				   !scratch_note_roles(trial->scratch, trial->up.script.text.data);
	return !trial->fatal;
}

/*
 * try_migration
 *		One migration: try it until it runs or nothing is left to try, then go on.
 */
static bool
try_migration(Trial *trial)
{
	UpgLintResult *result = trial->result;
	UpgScriptFault unread; /* of a down that cannot be read, and so not be tried */
	int roles = 0;
	bool ok;

	memset(&unread, 0, sizeof(unread));
	if (!lint_script_load(trial->ctx, trial->entry, false, trial->scratch, &trial->up))
	{
		keep_fault(trial, &result->up_fault);
		judge(result, trial->has_down);
		return true;
	}
	if (trial->has_down &&
		!lint_script_load(trial->ctx, trial->entry, true, trial->scratch, &trial->down))
	{
		keep_fault(trial, &unread);
		trial->has_down = false;
	}
	for (int i = 0; i < trial->up.notes.count; i++)
		list_add(&result->notes, trial->up.notes.items[i]);
	for (int i = 0; i < trial->down.notes.count; i++)
		list_add(&result->notes, trial->down.notes.items[i]);
	result->down_empty = trial->has_down && trial->down.statements == 0;
	trial->copy = !trial->up.single || (trial->has_down && !trial->down.single);

	while (!(ok = try_once(trial)) && !trial->fatal && next_try(trial, &roles))
		;
	if (!ok && trial->fatal)
		return false;
	/* a down that only fails inside the same transaction as its up does not fail */
	if (ok && !trial->copy &&
		(needs_commit(result->down_fault.sqlstate) ||
		 needs_commit(result->again_fault.sqlstate)))
	{
		trial->copy = true;
		ok = try_once(trial);
		if (!ok && trial->fatal)
			return false;
	}
	if (!ok)
		keep_fault(trial, &result->up_fault);
	else if (result->down_fault.what != NULL && trial->has_down &&
			 trial->level < LEVEL_NO_ROWS)
	{
		/* is it the rows? */
		UpgScriptFault fault = result->down_fault;
		int level = trial->level;
		int64_t filled = result->filled;
		bool destroys = result->destroys;

		trial->level = LEVEL_NO_ROWS;
		if (!try_once(trial))
		{
			if (trial->fatal)
				return false;
			err_clear();
		}
		else if (result->down_fault.what == NULL)
			list_add(&result->notes, "the down runs while all tables are empty");
		result->down_fault = fault;
		result->finding_count = 0;
		memset(&result->again_fault, 0, sizeof(UpgScriptFault));
		result->filled = filled;
		result->destroys = destroys;
		trial->level = level;
	}
	if (result->up_fault.what == NULL && trial->skip.count > 0)
	{
		UpgBuf names;

		buf_init(&names);
		for (int i = 0; i < trial->skip.count; i++)
			buf_printf(&names, "%s%s", i ? ", " : "", trial->skip.items[i]);
		list_add(&result->notes,
				 arena_printf(trial->ctx->arena,
							  "tried without rows in %s: the up refuses ours",
							  names.data));
		buf_free(&names);
	}
	if (result->up_fault.what == NULL && trial->level == LEVEL_NO_ROWS &&
		result->tables > 0)
		list_add(&result->notes, "tried on empty tables: the up refuses our rows");
	if (result->up_fault.what == NULL && !apply_for_good(trial))
		return false;
	if (unread.what != NULL)
		result->down_fault = unread;
	judge(result, trial->has_down || unread.what != NULL);
	return true;
}

/*
 * bare_name
 *		The name that a reference like public."T".c or public.f(integer) ends with.
 */
static const char *
bare_name(UpgArena *arena, const char *reference)
{
	const char *begin = reference;
	const char *p = reference;
	bool quoted = false;

	for (; *p && (quoted || (*p != '(' && *p != ' ')); p++)
	{
		quoted ^= *p == '"';
		if (!quoted && *p == '.')
			begin = p + 1;
	}
	if (*begin == '"' && p - begin > 2)
		return arena_strndup(arena, begin + 1, (size_t) (p - begin) - 2);
	return arena_strndup(arena, begin, (size_t) (p - begin));
}

/*
 * place_findings
 *		Where in the files somebody would look who is to mend the down.
 *
 * Of an object that the down names there; of one that it forgets, at its table.
 */
static void
place_findings(Trial *trial)
{
	UpgLintResult *result = trial->result;
	UpgArena *arena = trial->ctx->arena;
	bool readable = trial->down.script.path != NULL;

	for (int i = 0; i < result->finding_count && readable; i++)
	{
		UpgFinding *f = &result->findings[i];
		const char *words[2] = {NULL, NULL};

		if (f->data)
		{
			words[0] = f->attribute;
			words[1] = bare_name(arena, f->object);
		}
		else
		{
			/* "column public.t.c", "trigger x on table public.t" */
			const char *space = strchr(f->object, ' ');
			const char *on = strstr(f->object, " on ");

			words[0] = bare_name(arena, space ? space + 1 : f->object);
			if (on != NULL && (space = strchr(on + 4, ' ')) != NULL)
				words[1] = bare_name(arena, space + 1);
		}
		f->where = lint_script_place(&trial->down, arena, words, 2);
		if (result->where == NULL || (f->data && !result->findings[i - 1].data))
			result->where = f->where;
	}
	if (result->down_fault.what != NULL)
		result->where = result->down_fault.where;
	if (result->up_fault.what != NULL)
		result->where = result->up_fault.where;
	if (result->where == NULL)
		result->where = arena_printf(
			arena, "%s:1", result->down_file ? result->down_file : result->file);
}

/*
 * lint_summarize
 *		Count the verdicts.
 */
void
lint_summarize(UpgLintReport *report)
{
	for (int i = 0; i < report->count; i++)
	{
		const UpgLintResult *r = &report->results[i];
		bool schema = true;
		bool data = true;
		bool run = r->verdict != UPG_VERDICT_UNTESTED && r->verdict != UPG_VERDICT_NONE;

		report->verdicts[r->verdict]++;
		report->ms += r->ms;
		if (!run)
			continue;
		for (int k = 0; k < r->finding_count; k++)
			*(r->findings[k].data ? &data : &schema) = false;
		report->downs++;
		report->schema_exact += r->verdict != UPG_VERDICT_FAILS && schema;
		report->destroying += r->destroys;
		report->restored += r->destroys && r->verdict != UPG_VERDICT_FAILS && data;
		report->without_rows += r->tables > 0 && r->filled == 0;
	}
}

/*
 * pass_over
 *		Apply a migration whose down is not wanted; false if the run cannot go on.
 */
static bool
pass_over(Trial *trial)
{
	UpgScriptFault *fault = &trial->result->up_fault;
	const char *role;
	int roles = 0;

	if (!lint_script_load(trial->ctx, trial->entry, false, trial->scratch, &trial->up))
		keep_fault(trial, fault);
	else if (!apply_for_good(trial))
		return false;
	while (fault->what != NULL && trial->up.single && roles++ < MAX_ROLES &&
		   (role = wanted_role(trial->ctx, fault->sqlstate, fault->what)) != NULL)
	{
		memset(fault, 0, sizeof(*fault));
		if (!scratch_make_role(trial->scratch, role) || !apply_for_good(trial))
			return false;
	}
	if (fault->what != NULL)
		log_warning("the up of \"%s\" does not apply here: %s%s%s", trial->result->name,
					fault->where ? fault->where : "", fault->where ? ": " : "",
					fault->what);
	return true;
}

/*
 * lint_report_free
 *		Give back what is not in the arena.
 */
void
lint_report_free(UpgLintReport *report)
{
	for (int i = 0; report->results != NULL && i <= report->count; i++)
		list_free(&report->results[i].notes);
}

/*
 * lint_downs
 *		Try the down of every migration of the directory; false with the error set if
 *		the run could not be finished.
 *
 * "latest" other than 0: only of so many, the last ones; those before are applied.
 */
bool
lint_downs(UpgContext *ctx, UpgScratch *scratch, int rows, int latest,
		   UpgLintReport *report)
{
	UpgSource *source = ctx->source;

	report->directory = source->dir;
	report->layout = source->layout;
	report->results =
		arena_alloc(ctx->arena, sizeof(UpgLintResult) * (size_t) (source->count + 1));
	memset(report->results, 0, sizeof(UpgLintResult) * (size_t) (source->count + 1));
	for (int i = 0; i < source->count; i++)
	{
		UpgLintResult *result = &report->results[report->count];
		bool wanted = latest == 0 || i >= source->count - latest;
		int64_t started = now_ms();
		Trial trial;
		bool ok;

		memset(&trial, 0, sizeof(trial));
		trial.ctx = ctx;
		trial.scratch = scratch;
		trial.entry = &source->entries[i];
		trial.result = result;
		trial.rows = rows;
		trial.has_down = entry_has_down(trial.entry);
		result->name = trial.entry->name;
		result->file = trial.entry->up.path;
		result->down_file = !trial.has_down                  ? NULL
							: trial.entry->down.path != NULL ? trial.entry->down.path
															 : trial.entry->up.path;
		log_progress("%d of %d: %s", i + 1, source->count, trial.entry->name);
		ok = wanted ? try_migration(&trial) : pass_over(&trial);
		place_findings(&trial);
		lint_script_free(&trial.up);
		lint_script_free(&trial.down);
		list_free(&trial.few);
		list_free(&trial.skip);
		free(trial.learned);
		result->ms = now_ms() - started;
		if (!ok)
			return false;
		if (!wanted)
		{
			memset(result, 0, sizeof(*result)); /* the next one's */
			report->passed_over++;
		}
		else
			report->count++;
	}
	return true;
}
