/*-------------------------------------------------------------------------
 *
 * source_layouts.c
 *		Which layout a directory has, and which files of it are which migration.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/source_layouts.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "exit_codes.h"
#include "log.h"
#include "source_internal.h"

const UpgLayout upg_layouts[] = {
	{"plain", "plain SQL files",
	 "0001_name.sql, 20260102030405_name.sql; atlas.sum is ignored"},
	{"updown", "a file for each direction",
	 "1_name.up.sql and 1_name.down.sql (golang-migrate, sqlx); also "
	 "1_name.postgres.up.sql"},
	{"dodo", "do and undo files", "001.do.name.sql and 001.undo.name.sql (postgrator)"},
	{"dbmate", "dbmate", "\"-- migrate:up\" and \"-- migrate:down\" in one file"},
	{"goose", "goose", "\"-- +goose Up\" and \"-- +goose Down\" in one file"},
	{"sql-migrate", "sql-migrate",
	 "\"-- +migrate Up\" and \"-- +migrate Down\" in one file"},
	{"node-pg-migrate", "node-pg-migrate",
	 "\"-- Up Migration\" and \"-- Down Migration\" in one file"},
	{"flyway", "Flyway",
	 "V1.2__name.sql, U1.2__name.sql, R__name.sql, B2__name.sql, afterMigrate.sql"},
	{"sqitch", "Sqitch", "sqitch.plan with deploy/, revert/ and verify/"},
	{"prisma", "Prisma", "20260102030405_name/migration.sql (and down.sql)"},
	{"folder", "a folder for each migration",
	 "name/up.sql and name/down.sql (diesel, Hasura); metadata.toml"},
	{"graphile", "graphile-migrate", "committed/000001-name.sql"},
	{"liquibase", "Liquibase formatted SQL",
	 "\"--liquibase formatted sql\", \"--changeset author:id\", \"--rollback\""},
	{NULL, NULL, NULL}};

/* Words between the last dots of a name that say for which database a file is. */
static const char *const own_dialects[] = {"postgres", "postgresql", "pg", "psql", NULL};
static const char *const other_dialects[] = {
	"mysql",  "mariadb", "sqlite",    "sqlite3", "cockroach",  "cockroachdb",
	"crdb",   "mssql",   "sqlserver", "oracle",  "clickhouse", "snowflake",
	"duckdb", "tidb",    "spanner",   "db2",     NULL};

/*
 * in_words
 *		Is the word in the list?
 */
static bool
in_words(const char *const *words, const char *word)
{
	for (; *words; words++)
		if (strcasecmp(*words, word) == 0)
			return true;
	return false;
}

/*
 * cut_infix
 *		Cut ".word" off the end of a name if it is one of ours; what was it?
 *
 * 0 none, 1 our dialect, 2 another dialect, 3 autocommit.
 */
static int
cut_infix(char *name)
{
	char *dot = strrchr(name, '.');
	int kind;

	if (dot == NULL || dot == name)
		return 0;
	if (in_words(own_dialects, dot + 1))
		kind = 1;
	else if (in_words(other_dialects, dot + 1))
		kind = 2;
	else if (strcasecmp(dot + 1, "autocommit") == 0)
		kind = 3;
	else
		return 0;
	*dot = '\0';
	return kind;
}

/* A file of the updown and do/undo layouts, before files are joined to migrations. */
typedef struct Candidate
{
	const char *file;
	const char *base;
	bool down;
	int dialect; /* 0 none, 1 ours, 2 another */
	bool autocommit;
} Candidate;

/*
 * compare_candidates
 *		qsort callback: by migration, direction, then our dialect first.
 */
static int
compare_candidates(const void *a, const void *b)
{
	const Candidate *ca = a;
	const Candidate *cb = b;
	int cmp = strcmp(ca->base, cb->base);

	if (cmp != 0)
		return cmp;
	if (ca->down != cb->down)
		return ca->down ? 1 : -1;
	if (ca->dialect != cb->dialect)
		return ca->dialect == 1 || (ca->dialect == 0 && cb->dialect == 2) ? -1 : 1;
	return strcmp(ca->file, cb->file);
}

/*
 * split_updown
 *		Read a file name of the updown layout.
 */
static bool
split_updown(UpgArena *arena, const char *file, Candidate *c)
{
	char *base;
	size_t len = strlen(file);
	int kind;

	memset(c, 0, sizeof(*c));
	c->file = file;
	if (str_ends(file, ".up.sql"))
		base = arena_strndup(arena, file, len - 7);
	else if (str_ends(file, ".down.sql"))
	{
		base = arena_strndup(arena, file, len - 9);
		c->down = true;
	}
	else
		base = arena_strndup(arena, file, len - 4);
	while ((kind = cut_infix(base)) != 0)
	{
		if (kind == 3)
			c->autocommit = true;
		else
			c->dialect = kind;
	}
	c->base = base;
	return true;
}

/*
 * split_dodo
 *		Read a file name of the do/undo layout: 001.do.name.sql.
 */
static bool
split_dodo(UpgArena *arena, const char *file, Candidate *c)
{
	const char *dot = strchr(file, '.');
	size_t skip;

	memset(c, 0, sizeof(*c));
	c->file = file;
	if (dot == NULL)
		return false;
	if (str_starts(dot, ".do."))
		skip = 4;
	else if (str_starts(dot, ".undo."))
	{
		skip = 6;
		c->down = true;
	}
	else
		return false;
	c->base = arena_printf(arena, "%.*s.%.*s", (int) (dot - file), file,
						   (int) (strlen(dot + skip) >= 4 ? strlen(dot + skip) - 4 : 0),
						   dot + skip);
	if (strcmp(dot + skip, "sql") == 0)
		c->base = arena_strndup(arena, file, (size_t) (dot - file));
	return true;
}

/*
 * adopt_orphan
 *		A down script without an up script of its name.
 *
 * golang-migrate joins the two by their number alone, so one migration of the same
 * number that has no way back takes it.  If the way forward is a program
 * (1_x.up.go), both are left out.
 */
static bool
adopt_orphan(UpgSource *source, const UpgDir *dir, const Candidate *down)
{
	const char *order;
	const char *number = number_of(source->arena, down->base, &order);
	const char *prefix = arena_printf(source->arena, "%s.up.", down->base);

	for (int i = 0; number != NULL && i < source->count; i++)
	{
		UpgEntry *entry = &source->entries[i];

		if (entry->number != NULL && strcmp(entry->number, number) == 0 &&
			entry->down.path == NULL)
		{
			entry->down.path = source_path(source, down->file);
			return true;
		}
	}
	for (int i = 0; i < dir->count; i++)
		if (str_starts(dir->items[i].name, prefix))
		{
			list_add(&source->warnings,
					 arena_printf(source->arena,
								  "\"%s\" is not SQL; it and \"%s\" are left out",
								  dir->items[i].name, down->file));
			return true;
		}
	err_set(UPG_EXIT_USAGE, "UPG-2008", "down script \"%s\" has no up script",
			printable(source->arena, down->file));
	err_why("There is no up script for \"%s\" in the directory.",
			printable(source->arena, down->base));
	err_where("%s", source_path(source, printable(source->arena, down->file)));
	err_fix("Add the up script, or remove the down script.");
	return false;
}

/*
 * join_candidates
 *		Make entries of files that belong together.
 */
static bool
join_candidates(UpgSource *source, const UpgDir *dir, Candidate *list, int count)
{
	const Candidate **orphans = xmalloc((size_t) (count + 1) * sizeof(*orphans));
	int orphan_count = 0;
	bool ok = true;

	/* In a directory "down" comes before "up": put that right, and most are sorted. */
	for (int i = 1; i < count; i++)
		if (list[i - 1].down && !list[i].down &&
			strcmp(list[i - 1].base, list[i].base) == 0)
		{
			Candidate down = list[i - 1];

			list[i - 1] = list[i];
			list[i] = down;
		}
	sort_array(list, count, sizeof(Candidate), compare_candidates);
	for (int i = 0; i < count;)
	{
		const Candidate *up = NULL;
		const Candidate *down = NULL;
		bool foreign = false;
		int k = i;

		for (; k < count && strcmp(list[k].base, list[i].base) == 0; k++)
		{
			const Candidate **slot = list[k].down ? &down : &up;

			if (list[k].dialect == 2)
			{
				foreign = true;
				continue;
			}
			if (*slot == NULL)
				*slot = &list[k];
			else if ((*slot)->dialect == list[k].dialect)
			{
				err_set(
					UPG_EXIT_USAGE, "UPG-2007", "two files are the %s script of \"%s\"",
					list[k].down ? "down" : "up", printable(source->arena, list[k].base));
				err_why("They are \"%s\" and \"%s\".",
						printable(source->arena, (*slot)->file),
						printable(source->arena, list[k].file));
				err_where("%s", source->dir);
				err_fix("Remove or rename one of them.");
				free(orphans);
				return false;
			}
		}
		if (up != NULL)
		{
			UpgEntry *entry = source_add(source, up->base, source_path(source, up->file));

			entry->number = number_of(source->arena, up->base, &entry->order);
			entry->no_transaction = up->autocommit;
			if (down != NULL)
				entry->down.path = source_path(source, down->file);
		}
		else if (down != NULL && !foreign)
			orphans[orphan_count++] = down;
		i = k;
	}
	for (int i = 0; ok && i < orphan_count; i++)
		ok = adopt_orphan(source, dir, orphans[i]);
	free(orphans);
	return ok;
}

/*
 * read_pairs
 *		The updown and do/undo layouts.
 */
static bool
read_pairs(UpgSource *source, const UpgDir *dir, bool dodo)
{
	Candidate *list = xmalloc((size_t) (dir->count + 1) * sizeof(Candidate));
	int count = 0;
	int skipped = 0;
	bool ok;

	for (int i = 0; i < dir->count; i++)
	{
		if (dir->items[i].is_dir || !str_ends(dir->items[i].name, ".sql"))
			continue;
		if (dodo ? split_dodo(source->arena, dir->items[i].name, &list[count])
				 : split_updown(source->arena, dir->items[i].name, &list[count]))
		{
			skipped += list[count].dialect == 2;
			count++;
		}
	}
	ok = join_candidates(source, dir, list, count);
	if (ok && skipped > 0)
		list_add(&source->warnings,
				 arena_printf(source->arena,
							  "%d files are for other databases and are left out",
							  skipped));
	free(list);
	return ok;
}

/*
 * read_folders
 *		A folder for each migration: Prisma, diesel, Hasura.
 */
static bool
read_folders(UpgSource *source, const UpgDir *dir, const char *up_name)
{
	UpgArena *arena = source->arena;

	for (int i = 0; i < dir->count; i++)
	{
		const char *name = dir->items[i].name;
		const char *up = source_path(source, arena_printf(arena, "%s/%s", name, up_name));
		const char *down = source_path(source, arena_printf(arena, "%s/down.sql", name));
		const char *meta =
			source_path(source, arena_printf(arena, "%s/metadata.toml", name));
		UpgEntry *entry;

		if (!dir->items[i].is_dir)
			continue;
		if (!fs_is_file(up))
		{
			if (fs_is_file(down))
			{
				err_set(UPG_EXIT_USAGE, "UPG-2008", "down script \"%s\" has no up script",
						down);
				err_where("%s", down);
				err_fix("Add %s beside it, or remove it.", up_name);
				return false;
			}
			continue;
		}
		entry = source_add(source, name, up);
		entry->number = number_of(arena, name, &entry->order);
		if (strcmp(source->layout, "prisma") == 0)
		{
			/* a date of eight digits comes after a time stamp of an earlier day */
			entry->number = NULL;
			entry->by_bytes = true;
		}
		if (fs_is_file(down))
			entry->down.path = down;
		if (fs_is_file(meta))
		{
			UpgBuf text;
			const char *p;

			buf_init(&text);
			if (!fs_read(meta, &text, 65536))
			{
				buf_free(&text);
				return false;
			}
			p = strstr(text.data, "run_in_transaction");
			if (p != NULL)
			{
				p += strlen("run_in_transaction");
				p += strspn(p, " \t=");
				entry->no_transaction = str_starts(p, "false");
			}
			buf_free(&text);
		}
	}
	return true;
}

/*
 * read_plain
 *		One file for each migration.
 */
static bool
read_plain(UpgSource *source, const UpgDir *dir)
{
	for (int i = 0; i < dir->count; i++)
	{
		const char *file = dir->items[i].name;
		char *name;
		UpgEntry *entry;
		int kind;

		if (dir->items[i].is_dir || !str_ends(file, ".sql"))
			continue;
		name = arena_strndup(source->arena, file, strlen(file) - 4);
		kind = cut_infix(name);
		if (kind == 2)
			continue;
		entry = source_add(source, name, source_path(source, file));
		entry->number = number_of(source->arena, name, &entry->order);
		entry->no_transaction = kind == 3;
	}
	return true;
}

/*
 * layout_by_name
 *		Fill the entries for the layout that was found.
 */
bool
layout_by_name(UpgSource *source, const UpgDir *dir)
{
	if (strcmp(source->layout, "updown") == 0)
		return read_pairs(source, dir, false);
	if (strcmp(source->layout, "dodo") == 0)
		return read_pairs(source, dir, true);
	if (strcmp(source->layout, "flyway") == 0)
		return layout_flyway(source, dir);
	if (strcmp(source->layout, "prisma") == 0)
		return read_folders(source, dir, "migration.sql");
	if (strcmp(source->layout, "folder") == 0)
		return read_folders(source, dir, "up.sql");
	if (strcmp(source->layout, "graphile") == 0)
	{
		const char *committed = source_path(source, "committed");
		UpgDir inner;
		bool ok;

		if (!fs_is_dir(committed))
			return read_plain(source, dir);
		source->dir = committed;
		if (!fs_list(source->arena, committed, &inner))
			return false;
		ok = read_plain(source, &inner);
		fs_list_free(&inner);
		return ok;
	}
	return read_plain(source, dir);
}

/*
 * set_layout
 *		Remember the layout by its name; false if there is none of that name.
 */
static bool
set_layout(UpgSource *source, const char *name)
{
	for (const UpgLayout *layout = upg_layouts; layout->name != NULL; layout++)
		if (strcmp(layout->name, name) == 0)
		{
			source->layout = layout->name;
			source->layout_text = layout->text;
			return true;
		}
	return false;
}

/*
 * detect_by_content
 *		Look into the first files for markers.
 */
static const char *
detect_by_content(UpgSource *source, const UpgDir *dir)
{
	int looked = 0;
	const char *found = NULL;
	UpgBuf text;

	buf_init(&text);
	for (int i = 0; i < dir->count && looked < 5 && found == NULL; i++)
	{
		if (dir->items[i].is_dir || !str_ends(dir->items[i].name, ".sql"))
			continue;
		looked++;
		buf_reset(&text);
		if (!fs_read(source_path(source, dir->items[i].name), &text, 16384))
		{
			err_clear(); /* said again when the file is read */
			continue;
		}
		found = markers_family(text.data, text.len);
		if (found == NULL && str_starts(text.data, "--! Previous:"))
			found = "graphile";
	}
	buf_free(&text);
	return found;
}

/*
 * not_sql
 *		Refuse a directory of migrations that are not SQL.
 */
static bool
not_sql(const UpgSource *source, const UpgDir *dir)
{
	static const char *const endings[] = {
		".py",  ".js", ".ts",  ".rb",   ".go", ".xml", ".yaml", ".yml",
		".php", ".ex", ".exs", ".java", ".kt", ".cs",  ".json", NULL};

	for (int i = 0; i < dir->count; i++)
		for (int k = 0; endings[k] != NULL; k++)
			if (!dir->items[i].is_dir && str_ends(dir->items[i].name, endings[k]))
			{
				err_set(UPG_EXIT_USAGE, "UPG-2025", "directory \"%s\" holds no SQL files",
						source->dir);
				err_why(
					"It holds files such as \"%s\", which need the tool that they were "
					"written for.",
					dir->items[i].name);
				err_where("%s", source->dir);
				err_fix("Let that tool print its SQL (for example alembic upgrade --sql, "
						"liquibase update-sql) and keep the result as SQL files.");
				return false;
			}
	return true;
}

/*
 * deeper
 *		Refuse a directory that holds its migrations in folders below: that none
 *		of them is seen must not look like "nothing to do".
 */
static bool
deeper(const UpgSource *source, const UpgDir *dir)
{
	bool ok = true;

	for (int i = 0; i < dir->count && ok; i++)
	{
		const char *path = source_path(source, dir->items[i].name);
		UpgDir inner;

		if (!dir->items[i].is_dir || dir->items[i].name[0] == '.')
			continue;
		if (!fs_list(source->arena, path, &inner))
			return false;
		for (int k = 0; k < inner.count && ok; k++)
			if (!inner.items[k].is_dir && str_ends(inner.items[k].name, ".sql"))
			{
				ok = err_set(UPG_EXIT_USAGE, "UPG-2025",
							 "directory \"%s\" holds no SQL files", source->dir);
				err_why("They are in folders below it, such as \"%s/%s\".", path,
						inner.items[k].name);
				err_where("%s", source->dir);
				err_fix("Name the folder itself, one after the other if there are "
						"several, or put their files into one.");
			}
		fs_list_free(&inner);
	}
	return ok;
}

/*
 * detect_folders
 *		Is there a folder for each migration?
 */
static const char *
detect_folders(UpgSource *source, const UpgDir *dir)
{
	for (int i = 0; i < dir->count; i++)
	{
		const char *path = source_path(source, dir->items[i].name);

		if (!dir->items[i].is_dir)
			continue;
		if (fs_is_file(arena_printf(source->arena, "%s/migration.sql", path)))
			return "prisma";
		if (fs_is_file(arena_printf(source->arena, "%s/up.sql", path)) ||
			fs_is_file(arena_printf(source->arena, "%s/down.sql", path)))
			return "folder";
	}
	return NULL;
}

/*
 * layout_detect
 *		Choose the layout; "wanted" overrides what is seen.
 */
bool
layout_detect(UpgSource *source, const UpgDir *dir, const char *wanted)
{
	bool sql = false;
	bool numbered = false; /* some SQL file begins with a digit */
	const char *found = NULL;

	if (wanted != NULL)
	{
		if (set_layout(source, wanted))
			return true;
		err_set(UPG_EXIT_USAGE, "UPG-2006", "unrecognized layout \"%s\"", wanted);
		err_fix("\"upg help layouts\" lists the layouts.");
		return false;
	}
	if (fs_has(dir, "sqitch.plan"))
		return set_layout(source, "sqitch");
	if (fs_has(dir, "committed") && fs_is_dir(source_path(source, "committed")))
		return set_layout(source, "graphile");
	for (int i = 0; i < dir->count && found == NULL; i++)
	{
		const char *name = dir->items[i].name;

		if (dir->items[i].is_dir)
			continue;
		if (!str_ends(name, ".sql"))
			continue;
		sql = true;
		numbered |= name[0] >= '0' && name[0] <= '9';
		if (str_ends(name, ".up.sql") || str_ends(name, ".down.sql"))
			found = "updown";
		else if (((name[0] == 'V' || name[0] == 'B') && name[1] >= '0' &&
				  name[1] <= '9' && strstr(name, "__")) ||
				 str_starts(name, "R__"))
			found = "flyway";
		else if (name[0] >= '0' && name[0] <= '9' &&
				 str_starts(name + strspn(name, "0123456789"), ".do."))
			found = "dodo";
	}
	if (found == NULL && (!sql || !numbered))
		found = detect_folders(source, dir);
	if (found == NULL && sql)
		found = detect_by_content(source, dir);
	if (found == NULL && !sql)
	{
		if (!not_sql(source, dir) || !deeper(source, dir))
			return false;
		list_add(&source->warnings, "the directory holds no migrations");
	}
	return set_layout(source, found ? found : "plain");
}
