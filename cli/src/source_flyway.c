/*-------------------------------------------------------------------------
 *
 * source_flyway.c
 *		The layout of Flyway: versions, undos, repeatables, baselines, callbacks, and the
 *		placeholders of its configuration.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/source_flyway.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "exit_codes.h"
#include "log.h"
#include "source_internal.h"

/* Events at which "upg up" runs callbacks. */
static const char *const events[] = {"beforeMigrate",     "beforeEachMigrate",
									 "afterEachMigrate",  "afterEachMigrateError",
									 "beforeRepeatables", "afterVersioned",
									 "afterMigrate",      "afterMigrateApplied",
									 "afterMigrateError", NULL};

/* Events that upg has, too, but at which it cannot run them. */
static const char *const other_events[] = {"beforeEachMigrateStatement",
										   "afterEachMigrateStatement",
										   "afterEachMigrateStatementError",
										   "beforeUndo",
										   "beforeEachUndo",
										   "beforeEachUndoStatement",
										   "afterEachUndoStatement",
										   "afterEachUndoStatementError",
										   "afterEachUndo",
										   "afterEachUndoError",
										   "afterUndo",
										   "afterUndoError",
										   "beforeConnect",
										   "createSchema",
										   "beforeCreateSchema",
										   NULL};

/*
 * event_of
 *		The event that a file is the callback of, among some; NULL: none.
 */
static const char *
event_of(const char *file, const char *const *among)
{
	for (; *among != NULL; among++)
	{
		size_t n = strlen(*among);

		if (strncmp(file, *among, n) == 0 &&
			(strcmp(file + n, ".sql") == 0 || str_starts(file + n, "__")))
			return *among;
	}
	return NULL;
}

/*
 * add_callback
 *		Remember a callback; those of one event run in the order of their names.
 */
static void
add_callback(UpgSource *source, const char *event, const char *file)
{
	source->callbacks = xrealloc(
		source->callbacks, (size_t) (source->callback_count + 1) * sizeof(UpgCallback));
	source->callbacks[source->callback_count].event = event;
	source->callbacks[source->callback_count++].path = source_path(source, file);
}

/*
 * version_of
 *		"1_2" in V1_2__name.sql as 1.2.
 */
static char *
version_of(UpgArena *arena, const char *file)
{
	const char *sep = strstr(file, "__");
	char *version = arena_strndup(arena, file + 1, (size_t) (sep - file - 1));

	for (char *p = version; *p; p++)
		if (*p == '_')
			*p = '.';
	return version;
}

/*
 * read_conf
 *		V1__x.sql.conf: may the script run in a transaction?
 */
static bool
read_conf(UpgSource *source, const UpgDir *dir, const char *file, UpgEntry *entry)
{
	const char *name = arena_printf(source->arena, "%s.conf", file);
	UpgBuf conf;

	if (!fs_has(dir, name))
		return true;
	buf_init(&conf);
	if (!fs_read(source_path(source, name), &conf, 65536))
	{
		buf_free(&conf);
		return false;
	}
	if (strstr(conf.data, "executeInTransaction=false") != NULL)
		entry->no_transaction = true;
	buf_free(&conf);
	return true;
}

/*
 * read_placeholders
 *		"flyway.placeholders.NAME = VALUE" of a configuration; what the caller has set
 *		stays.  In a .toml the names stand in a section [flyway.placeholders].
 */
static bool
read_placeholders(UpgSource *source, const char *path)
{
	static const char prefix[] = "flyway.placeholders.";
	bool section = false;
	UpgBuf text;

	if (!fs_is_file(path))
		return true;
	buf_init(&text);
	if (!fs_read(path, &text, 1024 * 1024))
	{
		buf_free(&text);
		return false;
	}
	for (const char *p = text.data; *p;)
	{
		size_t len = strcspn(p, "\n");
		char *line = arena_strndup(source->arena, p, len);
		char *value;
		size_t n;

		p += len + (p[len] == '\n');
		line += strspn(line, " \t");
		n = strlen(line);
		while (n > 0 && strchr(" \t\r", line[n - 1]) != NULL)
			line[--n] = '\0';
		if (*line == '[')
		{
			section = strcmp(line, "[flyway.placeholders]") == 0;
			continue;
		}
		value = strchr(line, '=');
		if (*line == '#' || value == NULL || (!section && !str_starts(line, prefix)))
			continue;
		line += section ? 0 : strlen(prefix);
		n = strcspn(line, " \t=");
		*value++ = '\0';
		value += strspn(value, " \t");
		line[n] = '\0';
		n = strlen(value);
		if (section && n >= 2 && (value[0] == '"' || value[0] == '\'') &&
			value[n - 1] == value[0])
		{
			value[n - 1] = '\0';
			value++;
		}
		if (vars_get(&source->vars, line) == NULL)
			vars_set(&source->vars, line, value);
	}
	buf_free(&text);
	return true;
}

/*
 * join_undo
 *		U1__x.sql is the way back of V1__....sql.
 */
static bool
join_undo(UpgSource *source, const char *file)
{
	const char *version = version_of(source->arena, file);

	for (int k = 0; k < source->count; k++)
		if (source->entries[k].number != NULL && !source->entries[k].baseline &&
			strcmp(source->entries[k].number, version) == 0)
		{
			source->entries[k].down.path = source_path(source, file);
			return true;
		}
	err_set(UPG_EXIT_USAGE, "UPG-2008", "down script \"%s\" has no up script", file);
	err_why("There is no file V%s__....sql in the directory.", version);
	err_where("%s", source_path(source, file));
	return false;
}

/*
 * layout_flyway
 *		V, U, R and B files, and callbacks.
 */
bool
layout_flyway(UpgSource *source, const UpgDir *dir)
{
	UpgArena *arena = source->arena;

	/* Flyway looks in the directory that it is started in */
	if (!read_placeholders(source, source_path(source, "flyway.conf")) ||
		!read_placeholders(source, source_path(source, "flyway.toml")) ||
		!read_placeholders(source, "flyway.conf") ||
		!read_placeholders(source, "flyway.toml"))
		return false;
	for (int i = 0; i < dir->count; i++)
	{
		const char *file = dir->items[i].name;
		const char *sep = strstr(file, "__");
		const char *event;
		UpgEntry *entry;
		char *name;

		if (dir->items[i].is_dir || !str_ends(file, ".sql"))
			continue;
		if ((event = event_of(file, events)) != NULL)
		{
			add_callback(source, event, file);
			continue;
		}
		if (event_of(file, other_events) != NULL)
		{
			list_add(&source->warnings,
					 arena_printf(arena,
								  "callback \"%s\" is left out: upg does not run "
								  "callbacks at this event",
								  file));
			continue;
		}
		if (sep == NULL)
			continue;
		name = arena_strndup(arena, file, strlen(file) - 4);
		if (file[0] == 'R' && sep == file + 1)
		{
			entry = source_add(source, name, source_path(source, file));
			entry->repeatable = true;
			continue;
		}
		if ((file[0] != 'V' && file[0] != 'B') || file[1] < '0' || file[1] > '9')
			continue;
		entry = source_add(source, name, source_path(source, file));
		entry->number = version_of(arena, file);
		entry->order = entry->number;
		entry->baseline = file[0] == 'B';
		if (!read_conf(source, dir, file, entry))
			return false;
	}
	for (int i = 0; i < dir->count; i++)
	{
		const char *file = dir->items[i].name;

		if (file[0] == 'U' && file[1] >= '0' && file[1] <= '9' &&
			strstr(file, "__") != NULL && str_ends(file, ".sql") &&
			!join_undo(source, file))
			return false;
	}
	return true;
}
