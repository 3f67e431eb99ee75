/*-------------------------------------------------------------------------
 *
 * history.c
 *		The history tables of other migration tools: where they are, what they say.
 *
 *	Each tool is a row of a table here: how its history is recognized, the query
 *	that brings it into one shape, how it names a migration and which checksum it
 *	keeps.  Nothing of another tool is ever written.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/history.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exit_codes.h"
#include "fsutil.h"
#include "hash.h"
#include "history.h"
#include "log.h"

/* Files larger than this are not read to compare a checksum. */
#define LARGEST_FILE ((size_t) 1024 * 1024 * 1024)

/* What Flyway called its table before version 5. */
#define OLD_FLYWAY_TABLE "schema_version"

/*
 * The queries give: key, kind (one; until: this and all before it; repeatable;
 * program: not an SQL file), state (applied, failed, undone), checksum, at, by, id.
 */
const UpgTool upg_tools[] = {
	{"golang-migrate", "schema_migrations", NULL, "version dirty", NULL, "updown plain",
	 "SELECT version::pg_catalog.text AS key, 'until' AS kind,"
	 " CASE WHEN dirty THEN 'failed' ELSE 'applied' END AS state,"
	 " NULL::pg_catalog.text AS checksum, NULL::pg_catalog.text AS at,"
	 " NULL::pg_catalog.text AS by, NULL::pg_catalog.text AS id FROM %s LIMIT 1",
	 UPG_KEY_NUMBER, UPG_SUM_NONE,
	 "Bring the database to a state that one of the versions describes, then say so with "
	 "\"migrate force VERSION\"."},
	{"hasura", "schema_migrations", "hdb_catalog", "version dirty", NULL, "folder",
	 "SELECT version::pg_catalog.text AS key, 'one' AS kind,"
	 " CASE WHEN dirty THEN 'failed' ELSE 'applied' END AS state,"
	 " NULL::pg_catalog.text AS checksum, NULL::pg_catalog.text AS at,"
	 " NULL::pg_catalog.text AS by, NULL::pg_catalog.text AS id FROM %s ORDER BY version",
	 UPG_KEY_NUMBER, UPG_SUM_NONE,
	 "Finish or undo it by hand, then record it with \"hasura migrate apply --version N "
	 "--skip-execution\"."},
	{"hasura", "hdb_version", "hdb_catalog", "cli_state", NULL, "folder",
	 "SELECT m.key, 'one' AS kind, CASE WHEN m.value OPERATOR(pg_catalog.=) 'true'"
	 " THEN 'failed' ELSE 'applied' END AS state, NULL::pg_catalog.text AS checksum,"
	 " NULL::pg_catalog.text AS at, NULL::pg_catalog.text AS by, d.key AS id FROM %s v,"
	 " pg_catalog.jsonb_each(v.cli_state::pg_catalog.jsonb"
	 " OPERATOR(pg_catalog.->) 'migrations'::pg_catalog.text) d,"
	 " pg_catalog.jsonb_each_text(d.value) m ORDER BY d.key, m.key",
	 UPG_KEY_NUMBER, UPG_SUM_NONE,
	 "Finish or undo it by hand, then record it with \"hasura migrate apply --version N "
	 "--skip-execution\"."},
	{"dbmate", "schema_migrations", NULL, "version", "dirty", "dbmate plain",
	 "SELECT version::pg_catalog.text AS key, 'one' AS kind, 'applied' AS state,"
	 " NULL::pg_catalog.text AS checksum, NULL::pg_catalog.text AS at,"
	 " NULL::pg_catalog.text AS by, NULL::pg_catalog.text AS id FROM %s ORDER BY version",
	 UPG_KEY_NUMBER, UPG_SUM_NONE, NULL},
	{"flyway", "flyway_schema_history", NULL,
	 "installed_rank version script success type", NULL, "flyway",
	 "SELECT * FROM (SELECT DISTINCT ON (coalesce(version, '/' || script))"
	 " installed_rank, coalesce(version, pg_catalog.regexp_replace(script, '^.*/', ''))"
	 " AS key, CASE WHEN type IN ('BASELINE', 'SQL_BASELINE') THEN 'until'"
	 " WHEN version IS NULL THEN 'repeatable'"
	 " WHEN type IN ('SQL', 'UNDO_SQL', 'DELETE') THEN 'one' ELSE 'program' END AS kind,"
	 " CASE WHEN NOT success THEN 'failed'"
	 " WHEN type LIKE 'UNDO%%' OR type = 'DELETE' THEN 'undone' ELSE 'applied' END AS "
	 "state,"
	 " checksum::pg_catalog.text AS checksum, installed_on::pg_catalog.text AS at,"
	 " installed_by::pg_catalog.text AS by, NULL::pg_catalog.text AS id FROM %s"
	 " WHERE type NOT IN ('SCHEMA', 'TABLE')"
	 " ORDER BY coalesce(version, '/' || script), installed_rank DESC) h"
	 " ORDER BY installed_rank",
	 UPG_KEY_VERSION, UPG_SUM_CRC32,
	 "Remove what it left behind, then run \"flyway repair\"."},
	{"sqitch", "changes", NULL, "change_id script_hash change project committed_at", NULL,
	 "sqitch",
	 "SELECT change AS key, 'one' AS kind, 'applied' AS state,"
	 " nullif(script_hash, change_id) AS checksum, committed_at::pg_catalog.text AS at,"
	 " committer_name AS by, change_id AS id, project FROM %s ORDER BY committed_at",
	 UPG_KEY_CHANGE, UPG_SUM_SHA1, NULL},
	{"prisma", "_prisma_migrations", NULL,
	 "migration_name checksum finished_at rolled_back_at", NULL, "prisma",
	 "SELECT * FROM (SELECT DISTINCT ON (migration_name) started_at, migration_name AS "
	 "key,"
	 " 'one' AS kind, CASE WHEN rolled_back_at IS NOT NULL THEN 'undone'"
	 " WHEN finished_at IS NULL THEN 'failed' ELSE 'applied' END AS state, checksum,"
	 " finished_at::pg_catalog.text AS at, NULL::pg_catalog.text AS by,"
	 " NULL::pg_catalog.text AS id FROM %s ORDER BY migration_name, started_at DESC) h"
	 " ORDER BY started_at",
	 UPG_KEY_NAME, UPG_SUM_SHA256,
	 "Settle it with \"prisma migrate resolve --applied NAME\" or \"--rolled-back "
	 "NAME\"."},
	{"diesel", "__diesel_schema_migrations", NULL, "version run_on", NULL, "folder",
	 "SELECT version AS key, 'one' AS kind, 'applied' AS state,"
	 " NULL::pg_catalog.text AS checksum, run_on::pg_catalog.text AS at,"
	 " NULL::pg_catalog.text AS by, NULL::pg_catalog.text AS id FROM %s ORDER BY version",
	 UPG_KEY_NUMBER, UPG_SUM_NONE, NULL},
	{"goose", "goose_db_version", NULL, "id version_id is_applied tstamp", NULL,
	 "goose plain",
	 "SELECT * FROM (SELECT DISTINCT ON (version_id) version_id,"
	 " version_id::pg_catalog.text AS key, 'one' AS kind,"
	 " CASE WHEN is_applied THEN 'applied' ELSE 'undone' END AS state,"
	 " NULL::pg_catalog.text AS checksum, tstamp::pg_catalog.text AS at,"
	 " NULL::pg_catalog.text AS by, NULL::pg_catalog.text AS id FROM %s t"
	 " WHERE version_id > 0 ORDER BY version_id, t.id DESC) h ORDER BY version_id",
	 UPG_KEY_NUMBER, UPG_SUM_NONE, NULL},
	{"sql-migrate", "gorp_migrations", NULL, "id applied_at", NULL, "sql-migrate",
	 "SELECT id AS key, 'one' AS kind, 'applied' AS state,"
	 " NULL::pg_catalog.text AS checksum, applied_at::pg_catalog.text AS at,"
	 " NULL::pg_catalog.text AS by, NULL::pg_catalog.text AS id FROM %s ORDER BY id",
	 UPG_KEY_FILE, UPG_SUM_NONE, NULL},
	{"sqlx", "_sqlx_migrations", NULL, "version description success checksum", NULL,
	 "updown plain",
	 "SELECT version::pg_catalog.text AS key, 'one' AS kind,"
	 " CASE WHEN success THEN 'applied' ELSE 'failed' END AS state,"
	 " pg_catalog.encode(checksum, 'hex') AS checksum, installed_on::pg_catalog.text AS "
	 "at,"
	 " NULL::pg_catalog.text AS by, NULL::pg_catalog.text AS id FROM %s ORDER BY version",
	 UPG_KEY_NUMBER, UPG_SUM_SHA384,
	 "Remove what it left behind, then delete its row from the history."},
	{"node-pg-migrate", "pgmigrations", NULL, "id name run_on", NULL,
	 "node-pg-migrate plain",
	 "SELECT name AS key, 'one' AS kind, 'applied' AS state,"
	 " NULL::pg_catalog.text AS checksum, run_on::pg_catalog.text AS at,"
	 " NULL::pg_catalog.text AS by, NULL::pg_catalog.text AS id FROM %s ORDER BY id",
	 UPG_KEY_NAME, UPG_SUM_NONE, NULL},
	{NULL, NULL, NULL, NULL, NULL, NULL, NULL, UPG_KEY_NAME, UPG_SUM_NONE, NULL}};

/*
 * has_word
 *		Is the word among some that are separated by blanks?
 */
static bool
has_word(const char *words, const char *word)
{
	size_t n = strlen(word);

	while (*words)
	{
		size_t len = strcspn(words, " ");

		if (len == n && strncmp(words, word, n) == 0)
			return true;
		words += len;
		words += strspn(words, " ");
	}
	return false;
}

/*
 * has_columns
 *		Does a table with these columns look like the history of this tool?
 */
static bool
has_columns(const UpgTool *tool, const char *columns)
{
	const char *p = tool->columns;
	char word[64];

	if (tool->lacks != NULL && has_word(columns, tool->lacks))
		return false;
	while (*p)
	{
		size_t len = strcspn(p, " ");

		snprintf(word, sizeof(word), "%.*s", (int) len, p);
		if (!has_word(columns, word))
			return false;
		p += len;
		p += strspn(p, " ");
	}
	return true;
}

/*
 * holds_migrations
 *		Hasura makes hdb_version on every server: does it tell of migrations?
 */
static bool
holds_migrations(UpgConn *conn, UpgArena *arena, const char *table, bool *yes)
{
	UpgRows *rows = conn_query(
		conn,
		arena_printf(arena,
					 "SELECT pg_catalog.count(*) FROM %s v WHERE "
					 "coalesce(v.cli_state::pg_catalog.jsonb"
					 " OPERATOR(pg_catalog.->) 'migrations'::pg_catalog.text, '{}')"
					 " OPERATOR(pg_catalog.<>) '{}'",
					 table),
		0, NULL);

	if (rows == NULL)
		return false;
	*yes = strcmp(rows_get(rows, 0, 0), "0") != 0;
	rows_free(rows);
	return true;
}

/*
 * not_found
 *		There is no history of the tool that was asked for.
 */
static bool
not_found(const char *wanted, const char *table)
{
	const UpgTool *tool = upg_tools;

	while (tool->name != NULL && (wanted == NULL || strcmp(tool->name, wanted) != 0))
		tool++;
	if (table != NULL)
		err_set(UPG_EXIT_FAILED, "UPG-2030",
				"table %s is not the history of a tool that upg knows", table);
	else
		err_set(UPG_EXIT_FAILED, "UPG-2030", "the database holds no history of %s",
				wanted);
	if (tool->name != NULL)
		err_why("Its table is called \"%s\" and has the columns %s.", tool->table,
				tool->columns);
	err_fix("If the table has another name, give it with --history-table; with "
			"--from=files the migrations are recorded by their files alone.");
	return false;
}

/*
 * history_find
 *		Look for a history; history->tool is NULL if there is none and none was wanted.
 *
 * Of several, one that goes with the directory's layout counts, then one that the
 * search path shows; if that does not settle it, it is an error.  "table" is a name
 * as SQL has it, or NULL.
 */
bool
history_find(UpgConn *conn, UpgArena *arena, const UpgSource *source, const char *wanted,
			 const char *table, UpgHistory *history)
{
	const char *params[2];
	UpgList usual_names = {NULL, 0, 0};
	UpgRows *rows;
	int best = -1;
	int best_score = 0;
	int rivals = 0;
	UpgBuf seen;
	bool ok = true;

	memset(history, 0, sizeof(*history));
	for (const UpgTool *tool = upg_tools; tool->name != NULL; tool++)
		list_add(&usual_names, tool->table);
	list_add(&usual_names, OLD_FLYWAY_TABLE);
	params[0] = table;
	params[1] = array_text(arena, &usual_names);
	rows = conn_query(
		conn,
		"SELECT n.nspname, c.relname, pg_catalog.format('%I.%I', n.nspname, c.relname),"
		" pg_catalog.pg_table_is_visible(c.oid),"
		" (SELECT pg_catalog.string_agg(a.attname, ' ') FROM pg_catalog.pg_attribute a"
		" WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attnum"
		" OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped)"
		" FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n"
		" ON n.oid OPERATOR(pg_catalog.=) c.relnamespace"
		" WHERE c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,v}')"
		" AND n.nspname OPERATOR(pg_catalog.!~) '^pg_(toast|temp)'"
		" AND CASE WHEN $1::pg_catalog.text IS NULL THEN c.relname"
		" OPERATOR(pg_catalog.=) ANY ($2::pg_catalog.name[])"
		" ELSE c.oid OPERATOR(pg_catalog.=)"
		" pg_catalog.to_regclass($1::pg_catalog.text) END ORDER BY 1, 2",
		2, params);
	list_free(&usual_names);
	if (rows == NULL)
		return false;
	buf_init(&seen);
	for (int i = 0; ok && i < rows_count(rows); i++)
	{
		const char *schema = rows_get(rows, i, 0);
		const char *name = rows_get(rows, i, 1);

		for (const UpgTool *tool = upg_tools; ok && tool->name != NULL; tool++)
		{
			int score = 1;
			bool usual =
				strcmp(name, tool->table) == 0 || (strcmp(tool->name, "flyway") == 0 &&
												   strcmp(name, OLD_FLYWAY_TABLE) == 0);

			if ((wanted != NULL && strcmp(wanted, tool->name) != 0) ||
				(table == NULL && !usual) ||
				(tool->schema != NULL && strcmp(tool->schema, schema) != 0) ||
				(tool->schema == NULL && table == NULL &&
				 strcmp(schema, "hdb_catalog") == 0) ||
				!has_columns(tool, rows_get(rows, i, 4)))
				continue;
			if (strcmp(tool->table, "hdb_version") == 0)
			{
				bool yes = false;

				ok = holds_migrations(conn, arena, rows_get(rows, i, 2), &yes);
				if (!ok || !yes)
					continue;
			}
			score += has_word(tool->layouts, source->layout) ? 4 : 0;
			score += rows_get(rows, i, 3)[0] == 't' ? 2 : 0;
			buf_printf(&seen, "%s%s (%s)", seen.len > 0 ? ", " : "", rows_get(rows, i, 2),
					   tool->name);
			rivals = score == best_score ? rivals + 1 : score > best_score ? 1 : rivals;
			if (score > best_score)
			{
				best = i;
				best_score = score;
				history->tool = tool;
				history->table = arena_strdup(arena, rows_get(rows, i, 2));
			}
			if (table != NULL)
				break; /* a table that was named is of one tool: the first that fits */
		}
	}
	rows_free(rows);
	if (ok && best < 0 && (wanted != NULL || table != NULL))
		ok = not_found(wanted, table);
	else if (ok && rivals > 1)
	{
		ok = err_set(UPG_EXIT_USAGE, "UPG-2030",
					 "the database holds the histories of several tools");
		err_why("They are %s.", seen.data);
		err_fix("Choose one with --from or --history-table; with --from=files the "
				"migrations are recorded by their files alone.");
	}
	buf_free(&seen);
	return ok;
}

/*
 * only_this_source
 *		Hasura and Sqitch keep several projects in one table: which one is ours?
 *
 * The query is wrapped so that only its lines are left.
 */
static bool
only_this_source(UpgConn *conn, UpgArena *arena, const UpgSource *source,
				 const UpgHistory *history, const char *query, const char **wrapped)
{
	bool sqitch = history->tool->key == UPG_KEY_CHANGE;
	const char *column = sqitch ? "project" : "id";
	const char *ours = sqitch ? source->project : NULL;
	UpgRows *rows;
	UpgBuf names;
	bool found = false;

	*wrapped = query;
	if (!sqitch && strcmp(history->tool->table, "hdb_version") != 0)
		return true;
	rows = conn_query(
		conn,
		arena_printf(arena, "SELECT DISTINCT h.%s FROM (%s) h ORDER BY 1", column, query),
		0, NULL);
	if (rows == NULL)
		return false;
	if (!sqitch)
	{
		/* migrations/NAME is the directory of the database NAME */
		const char *slash;
		char *dir = arena_strdup(arena, source->dir);

		while (strlen(dir) > 1 && str_ends(dir, "/"))
			dir[strlen(dir) - 1] = '\0';
		slash = strrchr(dir, '/');
		ours = rows_count(rows) == 1 ? arena_strdup(arena, rows_get(rows, 0, 0))
									 : (slash ? slash + 1 : dir);
	}
	buf_init(&names);
	for (int i = 0; i < rows_count(rows); i++)
	{
		found |= ours != NULL && strcmp(rows_get(rows, i, 0), ours) == 0;
		buf_printf(&names, "%s\"%s\"", i > 0 ? ", " : "", rows_get(rows, i, 0));
	}
	if (!found && rows_count(rows) > 0)
	{
		err_set(UPG_EXIT_VERIFICATION, "UPG-2032", "the history in %s knows no %s \"%s\"",
				history->table, sqitch ? "project" : "database", ours ? ours : "");
		err_why("It knows %s.", names.data);
		err_fix("Give the directory that belongs to this database.");
	}
	else if (rows_count(rows) > 0)
	{
		UpgBuf literal;

		buf_init(&literal);
		for (const char *p = ours; *p; p++)
		{
			if (*p == '\'')
				buf_addc(&literal, '\'');
			buf_addc(&literal, *p);
		}
		*wrapped = arena_printf(arena,
								"SELECT * FROM (%s) h WHERE h.%s OPERATOR(pg_catalog.=) "
								"'%s'::pg_catalog.text",
								query, column, literal.data);
		buf_free(&literal);
	}
	buf_free(&names);
	rows_free(rows);
	return upg_error.exit_code == 0;
}

/*
 * history_read
 *		Read the history that was found into history->rows.
 */
bool
history_read(UpgConn *conn, UpgArena *arena, const UpgSource *source, UpgHistory *history)
{
	const char *mark;
	UpgBuf sql;
	const char *query;

	buf_init(&sql);
	for (const char *p = history->tool->query; *p; p++)
	{
		/* "%s" is the table, "%%" a percent sign */
		mark = p;
		if (mark[0] == '%' && mark[1] == 's')
		{
			buf_add(&sql, history->table);
			p++;
			continue;
		}
		if (mark[0] == '%' && mark[1] == '%')
			p++;
		buf_addc(&sql, *p);
	}

	/* nothing on the search path can stand in for what the query means */
	if (conn_execute_text(conn, "BEGIN READ ONLY; SET LOCAL search_path = pg_catalog, "
								"pg_temp") == UPG_EXEC_DONE &&
		only_this_source(conn, arena, source, history, sql.data, &query))
		history->rows = conn_query(conn, query, 0, NULL);
	buf_free(&sql);
	if (history->rows != NULL)
		return conn_execute_text(conn, "ROLLBACK") == UPG_EXEC_DONE;
	if (strcmp(upg_error.sqlstate, "42501") == 0)
		err_fix("Ask for SELECT on %s.", history->table);
	return false; /* the command ends here, and the transaction with it */
}

/*
 * history_compare_versions
 *		Versions of several numbers: 1.2 before 1.10, and 1.0 is 1.
 */
int
history_compare_versions(const char *a, const char *b)
{
	while (*a || *b)
	{
		size_t na;
		size_t nb;

		a += strspn(a, "0");
		b += strspn(b, "0");
		na = strspn(a, "123456789") ? strspn(a, "0123456789") : 0;
		nb = strspn(b, "123456789") ? strspn(b, "0123456789") : 0;
		if (na != nb)
			return na < nb ? -1 : 1;
		if (na > 0 && strncmp(a, b, na) != 0)
			return strncmp(a, b, na) < 0 ? -1 : 1;
		a += na;
		b += nb;
		if (*a && !(*a >= '0' && *a <= '9'))
			a++;
		if (*b && !(*b >= '0' && *b <= '9'))
			b++;
	}
	return 0;
}

/*
 * digits_of
 *		A number without dashes and leading zeros.
 */
static void
digits_of(const char *number, char *out, size_t size)
{
	size_t n = 0;

	for (; *number && n < size - 1; number++)
		if (*number >= '0' && *number <= '9' && !(n == 0 && *number == '0'))
			out[n++] = *number;
	out[n] = '\0';
}

/*
 * history_same_key
 *		Does a line of the history mean this entry of the directory?
 */
bool
history_same_key(const UpgTool *tool, const UpgEntry *entry, const char *key)
{
	const char *slash = strrchr(entry->up.path, '/');
	char a[64];
	char b[64];

	switch (tool->key)
	{
		case UPG_KEY_NUMBER:
			if (entry->number == NULL)
				return false;
			digits_of(entry->number, a, sizeof(a));
			digits_of(key, b, sizeof(b));
			return strcmp(a, b) == 0;
		case UPG_KEY_VERSION:
			return entry->number != NULL && !entry->repeatable && !entry->baseline &&
				   history_compare_versions(entry->number, key) == 0;
		case UPG_KEY_FILE:
			return strcmp(slash ? slash + 1 : entry->up.path, key) == 0;
		case UPG_KEY_CHANGE:
		{
			/* an earlier form of a reworked change is NAME@TAG */
			size_t n = strlen(key);

			return strncmp(entry->name, key, n) == 0 &&
				   (entry->name[n] == '\0' || entry->name[n] == '@');
		}
		case UPG_KEY_NAME:
			break;
	}
	return strcmp(entry->name, key) == 0;
}

/*
 * crc32_add
 *		The CRC of zip files, bit by bit: some kilobytes in all.
 */
static uint32_t
crc32_add(uint32_t crc, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
	{
		crc ^= (unsigned char) data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (0xEDB88320U & (0U - (crc & 1U)));
	}
	return crc;
}

/*
 * crc32_of_lines
 *		Flyway's checksum: all lines without their ends, the byte order mark left out.
 */
static void
crc32_of_lines(const char *text, size_t len, char *out, size_t size)
{
	uint32_t crc = 0xFFFFFFFFU;
	size_t start = len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;

	for (size_t i = start; i <= len; i++)
		if (i == len || text[i] == '\n' || text[i] == '\r')
		{
			crc = crc32_add(crc, text + start, i - start);
			start = i + 1;
		}
	snprintf(out, size, "%d", (int) (int32_t) ~crc);
}

/*
 * other_line_ends
 *		Copy text, each CR LF made an LF, or each LF a CR LF.
 */
static void
other_line_ends(const UpgBuf *text, UpgBuf *out)
{
	bool crlf = memchr(text->data, '\r', text->len) != NULL;

	for (size_t i = 0; i < text->len; i++)
	{
		if (crlf && text->data[i] == '\r' && text->data[i + 1] == '\n')
			continue;
		if (!crlf && text->data[i] == '\n')
			buf_addc(out, '\r');
		buf_addc(out, text->data[i]);
	}
}

/*
 * history_checksum
 *		Is the entry's file what the tool has applied?  False with the error set if it
 *		cannot be read.
 *
 * A repeatable of Flyway counts with its placeholders put in.  Prisma does not mind
 * how lines end.
 */
bool
history_checksum(const UpgTool *tool, UpgSource *source, UpgEntry *entry,
				 const char *wanted, bool *same)
{
	UpgBuf text;
	char sum[UPG_HASH_HEX];
	static const char *const digests[] = {[UPG_SUM_SHA1] = "SHA1",
										  [UPG_SUM_SHA256] = "SHA256",
										  [UPG_SUM_SHA384] = "SHA384"};

	*same = true;
	if (tool->sum == UPG_SUM_NONE || wanted == NULL || wanted[0] == '\0')
		return true;
	buf_init(&text);
	if (entry->repeatable)
	{
		UpgScript script;

		if (!script_load(source, entry, false, &script))
		{
			buf_free(&text);
			return false;
		}
		buf_addn(&text, script.text.data, script.text.len);
		script_free(&script);
	}
	else if (!fs_read(entry->up.path, &text, LARGEST_FILE))
	{
		buf_free(&text);
		return false;
	}
	if (tool->sum == UPG_SUM_CRC32)
	{
		crc32_of_lines(text.data, text.len, sum, sizeof(sum));
		*same = strcmp(sum, wanted) == 0;
	}
	else
	{
		hash_hex_by(digests[tool->sum], text.data, text.len, sum);
		*same = strcmp(sum, wanted) == 0;
		if (!*same && tool->sum == UPG_SUM_SHA256)
		{
			UpgBuf other;

			buf_init(&other);
			other_line_ends(&text, &other);
			hash_hex_by(digests[tool->sum], other.data, other.len, sum);
			*same = strcmp(sum, wanted) == 0;
			buf_free(&other);
		}
	}
	buf_free(&text);
	return true;
}
