/*-------------------------------------------------------------------------
 *
 * source_new.c
 *		The files of a new migration, as each layout has them.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/source_new.c
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "source_internal.h"

/*
 * add_file
 *		A new file and its text.
 */
static void
add_file(UpgNewFiles *files, const char *name, const char *text)
{
	list_add(&files->names, name);
	list_add(&files->texts, text);
}

/*
 * layout_files
 *		Names and texts for a migration; "base" is its number and name as the layout
 *		writes them.  False if its tool lists migrations in a file of its own.
 *
 * "down" may be NULL, and is left out where a layout has none.  *files must be empty;
 * what is put there lives in the arena.
 */
bool
layout_files(UpgArena *arena, const char *layout, const char *base, const char *up,
			 const char *down, UpgNewFiles *files)
{
	const char *sql = arena_printf(arena, "%s.sql", base);

	if (strcmp(layout, "updown") == 0)
	{
		add_file(files, arena_printf(arena, "%s.up.sql", base), up);
		if (down != NULL)
			add_file(files, arena_printf(arena, "%s.down.sql", base), down);
	}
	else if (strcmp(layout, "dodo") == 0)
	{
		const char *dot = strchr(base, '.');
		int number = (int) (dot - base);

		add_file(files, arena_printf(arena, "%.*s.do%s.sql", number, base, dot), up);
		if (down != NULL)
			add_file(files, arena_printf(arena, "%.*s.undo%s.sql", number, base, dot),
					 down);
	}
	else if (markers_is_family(layout))
		add_file(files, sql, markers_text(arena, layout, up, down));
	else if (strcmp(layout, "flyway") == 0)
	{
		add_file(files, sql, up);
		if (down != NULL)
			add_file(files, arena_printf(arena, "U%s.sql", base + 1), down);
	}
	else if (strcmp(layout, "prisma") == 0 || strcmp(layout, "folder") == 0)
	{
		files->folder = base;
		add_file(files, strcmp(layout, "prisma") == 0 ? "migration.sql" : "up.sql", up);
		if (down != NULL)
			add_file(files, "down.sql", down);
	}
	else if (strcmp(layout, "plain") == 0 || strcmp(layout, "graphile") == 0)
		add_file(files, sql, up);
	else
		return false;
	return true;
}

/*
 * layout_files_free
 *		Give the lists back, and empty them.
 */
void
layout_files_free(UpgNewFiles *files)
{
	list_free(&files->names);
	list_free(&files->texts);
	files->folder = NULL;
}
