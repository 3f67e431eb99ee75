/*-------------------------------------------------------------------------
 *
 * lint_scratch.c
 *		The scratch database in which down scripts are tried.
 *
 * It is made by us, carries a comment that says so, and is dropped at the end,
 * after an interrupt too.  A database without that comment is never touched.
 * Roles belong to the server: those that a script makes are dropped with it.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/lint_scratch.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exit_codes.h"
#include "lint.h"
#include "log.h"

#define MARK "scratch database of upg lint"

static const char lint_sql[] =
#include "lint.sql.h"
	;

/*
 * admin_run
 *		A statement outside of the scratch database.
 */
static bool
admin_run(UpgScratch *scratch, const char *sql)
{
	return conn_execute_text(scratch->admin, sql) == UPG_EXEC_DONE;
}

/*
 * connect_to
 *		Connect to a database of ours.
 */
static bool
connect_to(UpgScratch *scratch, const char *database)
{
	conn_close(scratch->conn);
	scratch->conn = conn_open_beside(scratch->admin, database);
	if (scratch->conn == NULL)
		return false;
	conn_silence(scratch->conn);
	return true;
}

/*
 * read_roles
 *		The names of all roles; false with the error set.
 */
static bool
read_roles(UpgScratch *scratch, UpgList *roles)
{
	UpgRows *rows = conn_query(
		scratch->admin, "SELECT rolname FROM pg_catalog.pg_roles ORDER BY 1", 0, NULL);

	if (rows == NULL)
		return false;
	for (int i = 0; i < rows_count(rows); i++)
		list_add(roles, arena_strdup(scratch->arena, rows_get(rows, i, 0)));
	rows_free(rows);
	return true;
}

/*
 * take_name
 *		Make sure that the name is free, or a database that we once made.
 */
static bool
take_name(UpgScratch *scratch)
{
	const char *params[1];
	UpgRows *rows;
	bool ok = true;

	params[0] = scratch->name;
	rows = conn_query(scratch->admin,
					  "SELECT pg_catalog.shobj_description(oid, 'pg_database') = '" MARK
					  "' AS ours, datname = pg_catalog.current_database() AS here"
					  " FROM pg_catalog.pg_database WHERE datname = $1",
					  1, params);
	if (rows == NULL)
		return false;
	if (rows_count(rows) > 0 &&
		(!rows_bool(rows, 0, "ours") || rows_bool(rows, 0, "here")))
	{
		ok = err_set(UPG_EXIT_USAGE, "UPG-2050",
					 "database \"%s\" is not a scratch database", scratch->name);
		err_why("It exists, and upg lint did not make it.");
		err_fix(
			"Name one that does not exist yet; it is made, and left for you to look at.");
	}
	else if (rows_count(rows) > 0)
		ok = admin_run(scratch,
					   arena_printf(scratch->arena, "DROP DATABASE %s",
									quote_identifier(scratch->arena, scratch->name)));
	rows_free(rows);
	return ok;
}

/*
 * scratch_make
 *		Make the database, with the extension and what the lint needs in it.
 *
 * "name" NULL: one of our own choice, dropped at the end.  scratch_end() must follow,
 * whatever the result.
 */
bool
scratch_make(UpgScratch *scratch, UpgConn *admin, UpgArena *arena, const char *name)
{
	memset(scratch, 0, sizeof(*scratch));
	scratch->admin = admin;
	scratch->arena = arena;
	scratch->keep = name != NULL;
	scratch->name = name != NULL
						? name
						: arena_printf(arena, "upg_lint_%ld_%lx", (long) getpid(),
									   (unsigned long) (now_ms() & 0xffffff));
	conn_silence(admin);
	if (!read_roles(scratch, &scratch->roles) || !take_name(scratch))
		return false;
	scratch->roles_known = true;
	scratch->made = true; /* an interrupt may come when it is */
	if (!admin_run(scratch, arena_printf(arena, "CREATE DATABASE %s TEMPLATE template0",
										 quote_identifier(arena, scratch->name))))
	{
		if (strcmp(upg_error.sqlstate, "42501") == 0)
			err_fix("The role needs the right to create databases, and extension upg a "
					"superuser; use a server that is there for tests.");
		return false;
	}
	return admin_run(scratch, arena_printf(arena, "COMMENT ON DATABASE %s IS '" MARK "'",
										   quote_identifier(arena, scratch->name))) &&
		   connect_to(scratch, scratch->name) &&
		   conn_execute_text(scratch->conn, "CREATE SCHEMA upg_ext") == UPG_EXEC_DONE &&
		   conn_execute_text(scratch->conn, "CREATE EXTENSION upg SCHEMA upg_ext") ==
			   UPG_EXEC_DONE &&
		   conn_handshake(scratch->conn, NULL) &&
		   conn_execute_text(scratch->conn, lint_sql) == UPG_EXEC_DONE;
}

/*
 * drop
 *		Drop a database of ours; who is still connected is thrown out.
 */
static bool
drop(UpgScratch *scratch, const char *name)
{
	return admin_run(scratch, arena_printf(scratch->arena,
										   "DROP DATABASE IF EXISTS %s WITH (FORCE)",
										   quote_identifier(scratch->arena, name)));
}

/*
 * scratch_copy
 *		Go on in a copy of the database, for scripts that commit.
 */
bool
scratch_copy(UpgScratch *scratch)
{
	const char *name = arena_printf(scratch->arena, "%.50s_copy", scratch->name);

	conn_close(scratch->conn);
	scratch->conn = NULL;
	if (!drop(scratch, name))
		return false;
	scratch->copy = name;
	return admin_run(scratch,
					 arena_printf(scratch->arena, "CREATE DATABASE %s TEMPLATE %s",
								  quote_identifier(scratch->arena, name),
								  quote_identifier(scratch->arena, scratch->name))) &&
		   admin_run(scratch,
					 arena_printf(scratch->arena, "COMMENT ON DATABASE %s IS '" MARK "'",
								  quote_identifier(scratch->arena, name))) &&
		   connect_to(scratch, name);
}

/*
 * scratch_uncopy
 *		Drop the copy and go on in the database itself.
 */
bool
scratch_uncopy(UpgScratch *scratch)
{
	conn_close(scratch->conn);
	scratch->conn = NULL;
	if (scratch->copy != NULL && !drop(scratch, scratch->copy))
		return false;
	scratch->copy = NULL;
	return connect_to(scratch, scratch->name);
}

/*
 * scratch_make_role
 *		Make a role that a script takes for granted.
 */
bool
scratch_make_role(UpgScratch *scratch, const char *role)
{
	if (!admin_run(scratch, arena_printf(scratch->arena, "CREATE ROLE %s NOLOGIN",
										 quote_identifier(scratch->arena, role))))
		return false;
	list_add(&scratch->made_roles, arena_strdup(scratch->arena, role));
	return true;
}

/*
 * scratch_note_roles
 *		Which roles did this script make?  They are dropped at the end.
 *
 * Others may make roles meanwhile: only one that the script names is taken for its own.
 */
bool
scratch_note_roles(UpgScratch *scratch, const char *script)
{
	UpgList now;
	bool ok;

	memset(&now, 0, sizeof(now));
	ok = read_roles(scratch, &now);
	for (int i = 0; ok && i < now.count; i++)
		if (!list_has(&scratch->roles, now.items[i]) &&
			!list_has(&scratch->made_roles, now.items[i]) &&
			strstr(script, now.items[i]) != NULL)
			list_add(&scratch->made_roles, now.items[i]);
	list_free(&now);
	return ok;
}

/*
 * scratch_end
 *		Drop what was made, whatever happened; an error that is set stays.
 */
void
scratch_end(UpgScratch *scratch)
{
	UpgError saved = err_take();
	bool shield;

	conn_close(scratch->conn);
	scratch->conn = NULL;
	if (scratch->admin != NULL && conn_lost(scratch->admin) && scratch->made)
		conn_reconnect(scratch->admin);
	err_clear();
	shield = scratch->admin != NULL && conn_shield(scratch->admin, true);
	if (scratch->copy != NULL && !drop(scratch, scratch->copy))
		log_warning("could not drop the database \"%s\": %s", scratch->copy,
					upg_error.what);
	if (scratch->made && !scratch->keep)
	{
		if (!drop(scratch, scratch->name))
			log_warning("could not drop the database \"%s\": %s", scratch->name,
						upg_error.what);
		if (scratch->roles_known)
			scratch_note_roles(scratch, "upg_viewer upg_operator upg_approver upg_admin "
										"upg_auditor");
		for (int i = 0; i < scratch->made_roles.count; i++)
		{
			err_clear();
			if (!admin_run(scratch,
						   arena_printf(scratch->arena, "DROP ROLE IF EXISTS %s",
										quote_identifier(scratch->arena,
														 scratch->made_roles.items[i]))))
				log_verbose("role \"%s\" stays: %s", scratch->made_roles.items[i],
							upg_error.what);
		}
	}
	if (scratch->admin != NULL)
		conn_shield(scratch->admin, shield);
	list_free(&scratch->roles);
	list_free(&scratch->made_roles);
	err_put(saved);
}
