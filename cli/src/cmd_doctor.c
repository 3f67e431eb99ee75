/*-------------------------------------------------------------------------
 *
 * cmd_doctor.c
 *		Commands that find out what is wrong: doctor, explain.
 *
 *  The doctor asks one question at a time and goes on after a bad answer, because at
 *  that hour all answers are wanted.  What the role may not see is "skipped", never
 *  "ok".
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/cmd_doctor.c
 *
 *-------------------------------------------------------------------------
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "exit_codes.h"
#include "fsutil.h"
#include "interrupt.h"
#include "log.h"
#include "run.h"

typedef enum Finding
{
	FINDING_OK,
	FINDING_WARNING, /* works, but look at it */
	FINDING_FAULT,   /* something is broken */
	FINDING_SKIPPED  /* could not be looked at */
} Finding;

static int faults;
static int warnings;

/*
 * find
 *		Print one finding; "fix" may be NULL.
 */
static void
find(UpgContext *ctx, Finding finding, const char *check, const char *what,
	 const char *fix)
{
	static const char *const words[] = {"ok", "warning", "fault", "skipped"};

	faults += finding == FINDING_FAULT;
	warnings += finding == FINDING_WARNING;
	if (ctx->json)
	{
		json_object(render_doc(), NULL);
		json_string(render_doc(), "check", check);
		json_string(render_doc(), "result", words[finding]);
		json_string(render_doc(), "what", what);
		json_string(render_doc(), "fix", fix);
		json_object_end(render_doc());
	}
	else
	{
		render_text(ctx, "%-8s %-10s %s\n", words[finding], check, what);
		if (fix != NULL && finding != FINDING_OK)
			render_text(ctx, "%20sdo: %s\n", "", fix);
	}
	render_flush();
}

/*
 * ask
 *		Rows for a check; NULL, and the finding printed, if the question fails.
 */
static UpgRows *
ask(UpgContext *ctx, const char *check, const char *sql)
{
	UpgRows *rows = conn_query(ctx->conn, sql, 0, NULL);

	if (rows == NULL)
	{
		bool denied = strcmp(upg_error.sqlstate, "42501") == 0;

		find(ctx, denied ? FINDING_SKIPPED : FINDING_FAULT, check,
			 arena_strdup(ctx->arena, upg_error.what),
			 upg_error.fix ? arena_strdup(ctx->arena, upg_error.fix) : NULL);
		err_clear();
	}
	return rows;
}

/* Is the server one that can be written to?  Who are we? */
static void
check_server(UpgContext *ctx)
{
	UpgRows *rows =
		ask(ctx, "server",
			"SELECT pg_catalog.current_setting('server_version'),"
			" pg_catalog.pg_is_in_recovery(),"
			" pg_catalog.current_setting('default_transaction_read_only') AS readonly");

	if (rows == NULL)
		return;
	if (rows_get(rows, 0, 1)[0] == 't')
		find(ctx, FINDING_FAULT, "server", "it is a standby: nothing can be upgraded",
			 "connect to the primary server");
	else if (strcmp(rows_named(rows, 0, "readonly"), "on") == 0)
		find(ctx, FINDING_FAULT, "server", "transactions are read-only by default",
			 "set default_transaction_read_only to off for this role or database");
	else
		find(ctx, FINDING_OK, "server",
			 arena_printf(ctx->arena, "PostgreSQL %s, %s", rows_get(rows, 0, 0),
						  conn_describe(ctx->conn)),
			 NULL);
	rows_free(rows);
}

/* Was upg tested with this server? */
static void
check_tested(UpgContext *ctx)
{
	UpgRows *rows = ask(ctx, "tested", "SELECT @extschema@.upg_server_untested() AS why");

	if (rows == NULL)
		return;
	if (rows_get(rows, 0, 0) != NULL)
		find(ctx, FINDING_WARNING, "tested",
			 arena_strdup(ctx->arena, rows_get(rows, 0, 0)),
			 "use a release of upg that was tested with it, or try rollbacks on a copy "
			 "first");
	rows_free(rows);
}

/* Do program, library and install script agree?  False: no use to go on. */
static bool
check_versions(UpgContext *ctx)
{
	if (conn_handshake(ctx->conn, NULL))
	{
		find(ctx, FINDING_OK, "versions",
			 "program, library and install script are " UPG_VERSION, NULL);
		return true;
	}
	find(ctx, FINDING_FAULT, "versions",
		 arena_printf(ctx->arena, "%s%s%s", upg_error.what, upg_error.why ? ". " : "",
					  upg_error.why ? upg_error.why : ""),
		 upg_error.fix ? arena_strdup(ctx->arena, upg_error.fix) : NULL);
	err_clear();
	return false;
}

/* What may the current role do? */
static void
check_rights(UpgContext *ctx)
{
	UpgRows *rows =
		ask(ctx, "rights",
			"SELECT current_user, pg_catalog.string_agg(r.rolname, ', ' ORDER BY"
			" r.rolname) AS roles, pg_catalog.bool_or(r.rolname IN ('upg_operator',"
			" 'upg_admin')) AS may_apply FROM pg_catalog.pg_roles r"
			" WHERE r.rolname IN ('upg_viewer', 'upg_operator', 'upg_approver',"
			" 'upg_admin', 'upg_auditor')"
			" AND pg_catalog.pg_has_role(r.oid, 'usage')");
	const char *roles;

	if (rows == NULL)
		return;
	roles = rows_named(rows, 0, "roles");
	if (rows_bool(rows, 0, "may_apply"))
		find(ctx, FINDING_OK, "rights",
			 arena_printf(ctx->arena, "role \"%s\" has %s", rows_get(rows, 0, 0), roles),
			 NULL);
	else
		find(ctx, FINDING_WARNING, "rights",
			 arena_printf(ctx->arena, "role \"%s\" may not apply migrations (it has %s)",
						  rows_get(rows, 0, 0), roles ? roles : "no upg role"),
			 arena_printf(ctx->arena, "GRANT upg_operator TO %s;", rows_get(rows, 0, 0)));
	rows_free(rows);
}

/* Is there room for a background worker? */
static void
check_workers(UpgContext *ctx)
{
	UpgRows *rows =
		ask(ctx, "workers",
			"SELECT pg_catalog.current_setting('max_worker_processes') AS slots,"
			" pg_catalog.current_setting('max_worker_processes')::pg_catalog.int4"
			" - pg_catalog.count(*) AS free FROM pg_catalog.pg_stat_activity"
			" WHERE backend_type NOT IN ('client backend', 'walsender', 'walreceiver',"
			" 'checkpointer', 'background writer', 'walwriter', 'archiver', 'startup',"
			" 'autovacuum launcher', 'autovacuum worker', 'walsummarizer',"
			" 'slotsync worker', 'io worker')");
	int64_t left;

	if (rows == NULL)
		return;
	left = rows_int(rows, 0, "free");
	find(ctx, left > 0 ? FINDING_OK : FINDING_FAULT, "workers",
		 arena_printf(ctx->arena,
					  "%" PRId64 " of %s slots of max_worker_processes are free", left,
					  rows_named(rows, 0, "slots")),
		 left > 0 ? NULL
				  : "wait, or raise max_worker_processes: migrations of several steps "
					"need one");
	rows_free(rows);
}

/*
 * check_killed_runs
 *		Runs that the books take for executing while their process is gone; false if
 *		there is none.
 *
 * Who may not see another's session is told its process, but not when it began.
 */
static bool
check_killed_runs(UpgContext *ctx)
{
	UpgRows *rows =
		ask(ctx, "unfinished",
			"SELECT u.upgrade_id, u.direction,"
			" pg_catalog.date_trunc('second', u.started_at), u.actor FROM upg.upgrades u"
			" WHERE u.state OPERATOR(pg_catalog.=) 'executing' AND NOT EXISTS ("
			" SELECT FROM pg_catalog.pg_stat_activity a"
			" WHERE a.pid OPERATOR(pg_catalog.=) u.backend_pid"
			" AND coalesce(a.backend_start OPERATOR(pg_catalog.=) u.backend_start, true))"
			" ORDER BY u.upgrade_id");
	bool found = rows == NULL || rows_count(rows) > 0;

	for (int i = 0; rows != NULL && i < rows_count(rows); i++)
		find(ctx, FINDING_WARNING, "unfinished",
			 arena_printf(ctx->arena,
						  "run %s (%s, begun %s by %s) was cut off: its process is gone",
						  rows_get(rows, i, 0), rows_get(rows, i, 1),
						  rows_get(rows, i, 2),
						  printable(ctx->arena, rows_get(rows, i, 3))),
			 "\"upg up\" writes down what became of it and goes on");
	rows_free(rows);
	return found;
}

/* Is anything half done? */
static void
check_unfinished(UpgContext *ctx)
{
	UpgRows *rows =
		ask(ctx, "unfinished",
			"SELECT s.migration, s.state, m.worker_pid FROM @extschema@.upg_status() s,"
			" LATERAL @extschema@.upg_migration_state(s.migration) m"
			" WHERE s.state IN ('queued', 'running', 'partial', 'unknown', 'failed')"
			" ORDER BY s.ord NULLS LAST, s.migration");

	if (rows == NULL)
		return;
	for (int i = 0; i < rows_count(rows); i++)
	{
		const char *name = printable(ctx->arena, rows_get(rows, i, 0));
		const char *state = rows_get(rows, i, 1);
		const char *pid = rows_get(rows, i, 2);

		if (pid != NULL)
			find(ctx, FINDING_OK, "unfinished",
				 arena_printf(ctx->arena, "migration \"%s\" is %s in process %s", name,
							  state, pid),
				 NULL);
		else if (strcmp(state, "unknown") == 0)
			find(ctx, FINDING_FAULT, "unfinished",
				 arena_printf(ctx->arena, "the outcome of migration \"%s\" is not known",
							  name),
				 arena_printf(ctx->arena,
							  "find it out, then: upg repair %s --mark=applied|absent "
							  "--reason=TEXT",
							  name));
		else
			find(ctx, FINDING_WARNING, "unfinished",
				 arena_printf(ctx->arena, "migration \"%s\" is %s and nobody works on it",
							  name, state),
				 arena_printf(ctx->arena,
							  "upg explain %s tells why; \"upg up\" goes on there",
							  name));
	}
	if (!check_killed_runs(ctx) && rows_count(rows) == 0)
		find(ctx, FINDING_OK, "unfinished", "no migration is half done", NULL);
	rows_free(rows);
}

/* What does CREATE INDEX CONCURRENTLY leave behind when it is killed? */
static void
check_indexes(UpgContext *ctx)
{
	UpgRows *rows =
		ask(ctx, "indexes",
			"SELECT i.indexrelid::pg_catalog.regclass::pg_catalog.text,"
			" i.indrelid::pg_catalog.regclass::pg_catalog.text"
			" FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c"
			" ON c.oid OPERATOR(pg_catalog.=) i.indexrelid"
			" WHERE NOT i.indisvalid AND c.relkind OPERATOR(pg_catalog.=) 'i'"
			" AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p"
			" WHERE p.index_relid OPERATOR(pg_catalog.=) i.indexrelid) ORDER BY 1");

	if (rows == NULL)
		return;
	for (int i = 0; i < rows_count(rows); i++)
		find(ctx, FINDING_WARNING, "indexes",
			 arena_printf(ctx->arena, "index %s on %s is invalid and nobody builds it",
						  rows_get(rows, i, 0), rows_get(rows, i, 1)),
			 arena_printf(ctx->arena,
						  "REINDEX INDEX CONCURRENTLY %s; or DROP INDEX CONCURRENTLY %s;",
						  rows_get(rows, i, 0), rows_get(rows, i, 0)));
	if (rows_count(rows) == 0)
		find(ctx, FINDING_OK, "indexes", "no invalid index is left", NULL);
	rows_free(rows);
}

/* Has the audit trail been touched? */
static void
check_audit(UpgContext *ctx)
{
	UpgRows *rows = ask(
		ctx, "audit",
		"SELECT ok, entries, first_bad, reason FROM @extschema@.upg_audit_verify(NULL)");

	if (rows == NULL)
		return;
	if (rows_bool(rows, 0, "ok"))
		find(ctx, FINDING_OK, "audit",
			 arena_printf(ctx->arena, "the trail is intact: %s entries",
						  rows_named(rows, 0, "entries")),
			 NULL);
	else
		find(ctx, FINDING_FAULT, "audit",
			 arena_printf(ctx->arena, "the trail does not verify: %s",
						  rows_named(rows, 0, "reason")),
			 "keep the database as it is; compare with an export made earlier");
	rows_free(rows);
}

/* Do directory and ledger agree? */
static void
check_directory(UpgContext *ctx)
{
	UpgCompare compare;
	int before = warnings;

	if (!run_compare(ctx, &compare, false, NULL))
	{
		find(ctx, FINDING_FAULT, "files", arena_strdup(ctx->arena, upg_error.what), NULL);
		err_clear();
		run_compare_free(&compare);
		return;
	}
	for (int i = 0; i < compare.todo_count; i++)
	{
		const UpgTodo *todo = &compare.todo[i];

		if (todo->action == UPG_ACT_CHANGED)
			find(ctx, FINDING_WARNING, "files",
				 arena_printf(ctx->arena, "\"%s\" differs from what was applied",
							  todo->entry->up.path),
				 "\"upg plan\" tells whether its meaning changed");
		else if (todo->out_of_order)
			find(ctx, FINDING_WARNING, "files",
				 arena_printf(ctx->arena,
							  "\"%s\" is pending and comes before applied ones",
							  todo->entry->up.path),
				 "rename it to come last, if it does not belong there");
		if (todo->action == UPG_ACT_APPLY && !run_read_scripts(ctx, todo->entry, true))
		{
			find(ctx, FINDING_WARNING, "files",
				 arena_printf(ctx->arena, "%s: %s",
							  upg_error.where ? upg_error.where : todo->entry->up.path,
							  upg_error.what),
				 upg_error.fix ? upg_error.fix
							   : "\"upg up\" cannot run before it is read");
			err_clear();
		}
	}
	for (int i = 0; i < compare.vanished.count; i++)
		find(ctx, FINDING_WARNING, "files",
			 arena_printf(ctx->arena, "migration \"%s\" is applied, but its file is gone",
						  printable(ctx->arena, compare.vanished.items[i])),
			 "restore it from version control");
	for (int i = 0; i < compare.orphans.count; i++)
		find(ctx, FINDING_WARNING, "files",
			 arena_printf(ctx->arena,
						  "migration \"%s\" is half done, but its file is gone",
						  printable(ctx->arena, compare.orphans.items[i])),
			 arena_printf(ctx->arena,
						  "put it back, or take back what is there: \"upg down %s\"",
						  printable(ctx->arena, compare.orphans.items[i])));
	if (warnings == before)
		find(ctx, FINDING_OK, "files",
			 arena_printf(ctx->arena,
						  "\"%s\": %" PRId64 " applied, %d pending, none "
						  "changed or missing",
						  ctx->source->dir, compare.applied, compare.pending),
			 NULL);
	run_compare_free(&compare);
}

/* upg doctor */
int
cmd_doctor(UpgContext *ctx)
{
	bool have = ctx_has_directory(ctx, 0);
	bool sound;

	faults = warnings = 0;
	if (!ctx_connect(ctx, false) || (have && !ctx_open_source(ctx, 0)))
		return upg_error.exit_code;
	render_start(ctx);
	if (ctx->json)
		json_array(render_doc(), "checks");
	check_server(ctx);
	sound = check_versions(ctx);
	if (conn_script_version(ctx->conn) != NULL)
		check_rights(ctx);
	if (sound)
	{
		check_tested(ctx);
		check_workers(ctx);
		check_unfinished(ctx);
		check_indexes(ctx);
		check_audit(ctx);
		if (have)
			check_directory(ctx);
	}
	if (ctx->json)
	{
		json_array_end(render_doc());
		json_int(render_doc(), "faults", faults);
		json_int(render_doc(), "warnings", warnings);
	}
	if (upg_interrupted != 0)
		return 128 + upg_interrupted;
	if (faults == 0)
	{
		render_text(ctx, "%s\n",
					warnings ? "nothing is broken, but see the warnings" : "all is well");
		return UPG_EXIT_OK;
	}
	err_set(UPG_EXIT_VERIFICATION, "UPG-2027", "%d fault%s found", faults,
			faults == 1 ? "" : "s");
	err_fix("Each is named above, with what to do.");
	return upg_error.exit_code;
}

static const UpgColumn run_columns[] = {{"upgrade", "run"},
										{"direction", "direction"},
										{"state", "state"},
										{"started_at", "began"},
										{"finished_at", "ended"},
										{"actor", "by"},
										{"version", "version"},
										{"planned", "planned"},
										{"detail", "why it ended so"},
										{NULL, NULL}};

/*
 * tell_attempt
 *		One attempt as sentences.
 */
static void
tell_attempt(UpgContext *ctx, const UpgRows *rows, int i)
{
	const char *text;
	const char *line = rows_named(rows, i, "line");

	const char *at = rows_named(rows, i, "at");

	render_text(ctx, "%.19s  %s \"%s\": %s", at ? at : "",
				strcmp(rows_named(rows, i, "direction"), "up") == 0 ? "apply"
																	: "take back",
				rows_named(rows, i, "name"), rows_named(rows, i, "state"));
	if ((text = rows_named(rows, i, "step")) != NULL)
		render_text(ctx, ", step %s", text);
	render_text(ctx, ", by %s", rows_named(rows, i, "actor"));
	if ((text = rows_named(rows, i, "upgrade")) != NULL)
		render_text(ctx, " in run %s", text);
	if ((text = rows_named(rows, i, "ms")) != NULL)
		render_text(ctx, ", %s ms", text);
	render_text(ctx, "\n");
	if ((text = rows_named(rows, i, "message")) != NULL)
		render_text(ctx, "    %s%s: %s\n", line ? "line " : "", line ? line : "why",
					text);
	if ((text = rows_named(rows, i, "sqlstate")) != NULL)
		render_text(ctx, "    sqlstate: %s\n", text);
	if ((text = rows_named(rows, i, "detail")) != NULL)
		render_text(ctx, "    detail: %s\n", text);
	if ((text = rows_named(rows, i, "hint")) != NULL)
		render_text(ctx, "    hint: %s\n", text);
	if ((text = rows_named(rows, i, "statement")) != NULL)
		render_text(ctx, "    statement: %s\n", text);
	if ((text = rows_named(rows, i, "waited_ms")) != NULL)
	{
		const char *blockers = rows_named(rows, i, "blockers");

		render_text(ctx, "    waited for locks: %s ms in %s tr%s%s%s\n", text,
					rows_named(rows, i, "waits"),
					rows_int(rows, i, "waits") == 1 ? "y" : "ies", blockers ? ", " : "",
					blockers ? blockers : "");
	}
}

/*
 * next_step
 *		What to do about a migration in this state, or NULL.
 */
static const char *
next_step(const char *state, bool worker, const char *sqlstate)
{
	if (strcmp(state, "failed") == 0 && sqlstate != NULL && run_passes(sqlstate))
		return "nothing of it is there; run \"upg up\" again when the cause has passed";
	if (strcmp(state, "failed") == 0 || strcmp(state, "registered") == 0)
		return "nothing of it is there; mend the script and run \"upg up\" again";
	if (strcmp(state, "partial") == 0)
		return "some of its steps are done; \"upg up\" goes on after them";
	if (strcmp(state, "unknown") == 0)
		return "find out whether the statement took effect, then \"upg repair\"";
	if (strcmp(state, "queued") == 0 || strcmp(state, "running") == 0)
		return worker ? "it runs now; \"upg wait\" waits for it"
					  : "nobody works on it; \"upg up\" goes on there";
	return NULL;
}

/*
 * tell_audit
 *		What the audit trail says of a migration, if the role may read it.
 */
static void
tell_audit(UpgContext *ctx, const char *name)
{
	const char *params[1] = {name};
	UpgRows *rows = conn_query(ctx->conn,
							   "SELECT e.entry FROM (SELECT l::pg_catalog.jsonb AS entry"
							   " FROM @extschema@.upg_audit_export('jsonl', 1) l) e"
							   " WHERE e.entry OPERATOR(pg_catalog.->>) 'object'"
							   " OPERATOR(pg_catalog.=) $1",
							   1, params);

	if (rows == NULL)
	{
		log_verbose("the audit trail is not shown: %s", upg_error.what);
		err_clear();
		if (ctx->json)
			json_null(render_doc(), "audit");
		return;
	}
	if (ctx->json)
		render_json_rows(rows, "audit");
	else if (rows_count(rows) > 0)
		render_text(ctx, "audit trail: %d entr%s (upg audit export)\n", rows_count(rows),
					rows_count(rows) == 1 ? "y" : "ies");
	rows_free(rows);
}

/*
 * attempts_of
 *		The attempts of a migration, or of a run, in order.
 */
static UpgRows *
attempts_of(UpgContext *ctx, const char *name, bool run)
{
#define ATTEMPT_COLUMNS                                                                \
	"*, pg_catalog.round(pg_catalog.date_part('epoch',"                                \
	" duration)::pg_catalog.numeric OPERATOR(pg_catalog.*) 1000) AS ms,"               \
	" (SELECT pg_catalog.sum(w::pg_catalog.numeric) FROM"                              \
	" pg_catalog.jsonb_path_query(lock_waits, '$[*].waited_ms') w) AS waited_ms,"      \
	" pg_catalog.jsonb_array_length(lock_waits) AS waits,"                             \
	" (SELECT pg_catalog.string_agg(DISTINCT pg_catalog.format('%s is held by process" \
	" %s of role \"%s\" (%s), %s since %s: %s',"                                       \
	" pg_catalog.jsonb_extract_path_text(b, 'relation'),"                              \
	" pg_catalog.jsonb_extract_path_text(b, 'pid'),"                                   \
	" pg_catalog.jsonb_extract_path_text(b, 'user'),"                                  \
	" pg_catalog.jsonb_extract_path_text(b, 'application'),"                           \
	" pg_catalog.jsonb_extract_path_text(b, 'state'),"                                 \
	" pg_catalog.jsonb_extract_path_text(b, 'since'),"                                 \
	" pg_catalog.jsonb_extract_path_text(b, 'query')), '; ')"                          \
	" FROM pg_catalog.jsonb_path_query(lock_waits, '$[*].blockers[*]') b) AS blockers"
	static const char of_migration[] =
		"SELECT " ATTEMPT_COLUMNS
		" FROM @extschema@.upg_history($1, 1000) ORDER BY attempt_id";
	static const char of_run[] =
		"SELECT " ATTEMPT_COLUMNS " FROM @extschema@.upg_history(NULL, 1000000)"
		" WHERE upgrade OPERATOR(pg_catalog.=) $1::pg_catalog.int8 ORDER BY attempt_id";
	const char *params[1] = {name};

	return conn_query(ctx->conn, run ? of_run : of_migration, 1, params);
}

/*
 * tell_state
 *		What a migration is now, and what to do next.
 */
static void
tell_state(UpgContext *ctx, const char *name, const UpgRows *rows,
		   const UpgRows *attempts)
{
	const char *state = rows_get(rows, 0, 0);
	int tries = rows_count(attempts);
	const char *advice =
		next_step(state ? state : "failed", rows_named(rows, 0, "worker_pid") != NULL,
				  tries > 0 ? rows_named(attempts, tries - 1, "sqlstate") : NULL);

	if (ctx->json)
	{
		render_json_rows(rows, "migration");
		json_string(render_doc(), "advice", advice);
	}
	render_text(ctx, "migration \"%s\" is %s", name, state ? state : "not applied");
	if (rows_int(rows, 0, "steps") > 1)
		render_text(ctx, ", %s of %s steps done", rows_named(rows, 0, "steps_done"),
					rows_named(rows, 0, "steps"));
	render_text(ctx, "%s%s\n", advice ? ": " : "", advice ? advice : "");
}

/* upg explain */
int
cmd_explain(UpgContext *ctx)
{
	const char *name = ctx_arg(ctx, 0);
	const char *params[1] = {name};
	bool number = strlen(name) < 10 && name[strspn(name, "0123456789")] == '\0';
	UpgRows *now = NULL;
	UpgRows *run = NULL;
	UpgRows *attempts = NULL;

	if (ctx_connect(ctx, true))
		now = conn_query(ctx->conn,
						 "SELECT state, steps_done, steps, statement, worker_pid"
						 " FROM @extschema@.upg_migration_state($1)",
						 1, params);
	if (now != NULL)
		attempts = attempts_of(ctx, name, false);
	if (attempts != NULL && rows_get(now, 0, 0) == NULL && rows_count(attempts) == 0 &&
		number)
	{
		rows_free(attempts);
		attempts = NULL;
		run = conn_query(ctx->conn,
						 "SELECT upgrade_id AS upgrade, direction, state, started_at,"
						 " finished_at, actor, version,"
						 " pg_catalog.cardinality(plan) AS planned, plan, target, detail"
						 " FROM upg.upgrades WHERE upgrade_id OPERATOR(pg_catalog.=)"
						 " $1::pg_catalog.int8",
						 1, params);
		if (run != NULL)
			attempts = attempts_of(ctx, name, true);
	}
	if (attempts != NULL && rows_get(now, 0, 0) == NULL && rows_count(attempts) == 0 &&
		(run == NULL || rows_count(run) == 0))
	{
		err_set(UPG_EXIT_FAILED, "UPG-0001",
				"the ledger holds no migration%s \"%s\", nor an attempt of it",
				number ? " and no run" : "", printable(ctx->arena, name));
		err_next("upg status");
	}
	else if (attempts != NULL)
	{
		render_start(ctx);
		if (run != NULL)
			render_rows(ctx, run, "run", run_columns);
		else
			tell_state(ctx, name, now, attempts);
		if (ctx->json)
			render_json_rows(attempts, "attempts");
		for (int i = 0; i < rows_count(attempts) && !ctx->json; i++)
			tell_attempt(ctx, attempts, i);
		if (run == NULL)
			tell_audit(ctx, name);
	}
	rows_free(attempts);
	rows_free(run);
	rows_free(now);
	return upg_error.exit_code;
}
