/*-------------------------------------------------------------------------
 *
 * run_client.c
 *		Scripts that the client must drive: COPY data and very large files.
 * 
 *  BEGIN; upg_begin(); the statements; upg_finish(); COMMIT.  The books are the same
 *  as for any other migration and commit with it.  Only the statement at hand is in
 *  memory.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/run_client.c
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "exit_codes.h"
#include "log.h"
#include "run_internal.h"

/*
 * run_next_word
 *		The next word of a statement in lower case; comments are passed over.
 */
const char *
run_next_word(const char *p, char *word, size_t size)
{
	size_t n = 0;

	for (;;)
	{
		p += strspn(p, " \t\r\n\f\v(");
		if (p[0] == '-' && p[1] == '-')
			p += strcspn(p, "\n");
		else if (p[0] == '/' && p[1] == '*')
		{
			const char *end = strstr(p + 2, "*/");

			p = end ? end + 2 : p + strlen(p);
		}
		else
			break;
	}
	while ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || *p == '_' ||
		   (*p >= '0' && *p <= '9'))
	{
		if (n < size - 1)
			word[n++] = (char) (*p >= 'A' && *p <= 'Z' ? *p - 'A' + 'a' : *p);
		p++;
	}
	word[n] = '\0';
	if (n == 0 && *p)
		p++;
	return p;
}

/*
 * run_statement_kind
 *		What a statement means for the transaction that it is to run in.
 */
UpgStatementKind
run_statement_kind(const char *statement)
{
	char w[4][24];
	const char *p = statement;
	bool concurrently = false;

	for (int i = 0; i < 4; i++)
		p = run_next_word(p, w[i], sizeof(w[i]));
	for (int i = 0; i < 4; i++)
		concurrently |= strcmp(w[i], "concurrently") == 0;
	if (strcmp(w[0], "begin") == 0 ||
		(strcmp(w[0], "start") == 0 && strcmp(w[1], "transaction") == 0))
		return UPG_STMT_BEGIN;
	if (strcmp(w[0], "commit") == 0 || strcmp(w[0], "end") == 0)
		return strcmp(w[1], "prepared") == 0 ? UPG_STMT_CONTROL : UPG_STMT_COMMIT;
	if (strcmp(w[0], "rollback") == 0 && strcmp(w[1], "to") != 0)
		return UPG_STMT_CONTROL;
	if (strcmp(w[0], "abort") == 0 ||
		(strcmp(w[0], "prepare") == 0 && strcmp(w[1], "transaction") == 0))
		return UPG_STMT_CONTROL;
	if (strcmp(w[0], "vacuum") == 0 ||
		(strcmp(w[0], "alter") == 0 && strcmp(w[1], "system") == 0))
		return UPG_STMT_NO_TRANSACTION;
	if ((strcmp(w[0], "create") == 0 || strcmp(w[0], "drop") == 0) &&
		(strcmp(w[1], "database") == 0 || strcmp(w[1], "tablespace") == 0 ||
		 strcmp(w[1], "subscription") == 0))
		return UPG_STMT_NO_TRANSACTION;
	if (concurrently && (strcmp(w[0], "create") == 0 || strcmp(w[0], "drop") == 0 ||
						 strcmp(w[0], "reindex") == 0))
		return strcmp(w[1], "materialized") == 0 ? UPG_STMT_PLAIN
												 : UPG_STMT_NO_TRANSACTION;
	return UPG_STMT_PLAIN;
}

/*
 * run_client_check
 *		Refuse a client-driven script that one transaction cannot hold.
 */
bool
run_client_check(UpgContext *ctx, const UpgEntry *entry)
{
	UpgScan *scan = scan_open(&entry->up, &ctx->source->vars);
	UpgScanItem item;
	UpgScanKind kind;
	int count = 0;
	int commit_line = 0;
	bool outer = false;
	bool ok = true;

	if (scan == NULL)
		return false;
	while (ok && (kind = scan_next(scan, &item)) > UPG_SCAN_END)
	{
		UpgStatementKind what;

		if (kind == UPG_SCAN_REST)
			continue;
		what = run_statement_kind(item.statement);
		count++;
		if (commit_line > 0 || what == UPG_STMT_CONTROL ||
			(what == UPG_STMT_BEGIN && count > 1) || (what == UPG_STMT_COMMIT && !outer))
		{
			err_set(UPG_EXIT_USAGE, "UPG-2015",
					"a file with COPY data or of this size must be a single transaction");
			err_where("%s:%d:%d", item.file, commit_line > 0 ? commit_line : item.line,
					  item.col);
			err_fix(entry->streamed
						? "Split the file, or raise --stream-above over its size."
						: "Split the file: one with the data, one with the "
						  "rest.");
			ok = false;
		}
		else if (what == UPG_STMT_NO_TRANSACTION)
		{
			err_set(UPG_EXIT_USAGE, "UPG-2015",
					"a file with COPY data or of this size cannot hold this statement");
			err_where("%s:%d:%d", item.file, item.line, item.col);
			err_why(
				"The file is run in one transaction, which cannot hold the statement.");
			err_fix(entry->streamed
						? "Put the statement into a migration of its own, or raise "
						  "--stream-above over the size of the file."
						: "Put the statement into a migration of its own.");
			ok = false;
		}
		else if (what == UPG_STMT_BEGIN)
			outer = true;
		else if (what == UPG_STMT_COMMIT)
			commit_line = item.line;
		ok = ok && scan_skip_data(scan, &item);
		if (ok && kind == UPG_SCAN_COPY_FILE)
		{
			FILE *file = fopen(item.copy_path, "rb");

			if (file == NULL)
			{
				ok = err_set(UPG_EXIT_USAGE, "UPG-2005", "could not open file \"%s\": %s",
							 item.copy_path, strerror(errno));
				err_where("%s:%d", item.file, item.line);
			}
			else
				fclose(file);
		}
	}
	if (ok && kind == UPG_SCAN_ERROR)
		ok = false;
	scan_close(scan);
	return ok;
}

/*
 * run_send_copy
 *		Send the data that the server waits for: from the script, or from the file of a
 *		\copy; a statement that has none is an error.
 */
bool
run_send_copy(UpgContext *ctx, UpgScan *scan, const UpgScanItem *item)
{
	bool ok = true;

	if (item->kind == UPG_SCAN_STATEMENT)
	{
		conn_copy_end(ctx->conn, "no data follows");
		return err_set(UPG_EXIT_FAILED, "UPG-2013",
					   "the statement asks the client for data, but none follows");
	}
	if (item->kind == UPG_SCAN_COPY)
	{
		const char *data;
		size_t len;
		int rc;

		while (ok && (rc = scan_copy_line(scan, &data, &len)) != 0)
			ok = rc > 0 && conn_copy_data(ctx->conn, data, len);
	}
	else
	{
		FILE *file = fopen(item->copy_path, "rb");
		char *chunk = xmalloc(65536);
		size_t got;

		if (file == NULL)
			ok = err_set(UPG_EXIT_FAILED, "UPG-2005", "could not open file \"%s\": %s",
						 item->copy_path, strerror(errno));
		while (ok && (got = fread(chunk, 1, 65536, file)) > 0)
			ok = conn_copy_data(ctx->conn, chunk, got);
		if (ok && ferror(file))
			ok = err_set(UPG_EXIT_FAILED, "UPG-2005", "could not read file \"%s\": %s",
						 item->copy_path, strerror(errno));
		if (file != NULL)
			fclose(file);
		free(chunk);
	}
	if (ok)
		return conn_copy_end(ctx->conn, NULL);
	if (!conn_lost(ctx->conn))
	{
		UpgError saved = err_take();
		bool shield = conn_shield(ctx->conn, true);

		conn_copy_end(ctx->conn, "the client could not read the data");
		conn_shield(ctx->conn, shield);
		err_put(saved);
	}
	return false;
}

/*
 * drive
 *		Run the statements of the script inside the open transaction.
 */
static bool
drive(UpgContext *ctx, const UpgEntry *entry, UpgScan *scan, UpgScanItem *item,
	  int *number)
{
	UpgScanKind kind;

	while ((kind = scan_next(scan, item)) > UPG_SCAN_END)
	{
		UpgStatementKind what;
		UpgExec result;

		if (kind == UPG_SCAN_REST)
			continue;
		what = run_statement_kind(item->statement);
		if (what == UPG_STMT_BEGIN || what == UPG_STMT_COMMIT)
			continue; /* the outer pair; the transaction is ours */
		++*number;
		result = conn_execute_text(ctx->conn, item->statement);
		if (result == UPG_EXEC_FAILED)
			return false;
		if (result == UPG_EXEC_COPY_IN && !run_send_copy(ctx, scan, item))
			return false;
		log_progress("%s: statement %d", entry->name, *number);
	}
	return kind == UPG_SCAN_END;
}

/*
 * isolation_asked
 *		The isolation level that the script asks for before its first query, as BEGIN
 *		takes it; "" if it asks for none.
 *
 * upg_begin() takes a snapshot, after which SET TRANSACTION would come too late.
 */
static const char *
isolation_asked(UpgContext *ctx, const UpgEntry *entry)
{
	static const char *const levels[][3] = {
		{"read", "uncommitted", " ISOLATION LEVEL READ UNCOMMITTED"},
		{"read", "committed", " ISOLATION LEVEL READ COMMITTED"},
		{"repeatable", "read", " ISOLATION LEVEL REPEATABLE READ"},
		{"serializable", "", " ISOLATION LEVEL SERIALIZABLE"}};
	UpgScan *scan = scan_open(&entry->up, &ctx->source->vars);
	const char *asked = "";
	UpgScanItem item;
	UpgScanKind kind;

	if (scan == NULL)
		return asked;
	while ((kind = scan_next(scan, &item)) > UPG_SCAN_END)
	{
		char w[4][24];
		const char *p = item.statement;

		if (kind == UPG_SCAN_REST)
			continue;
		p = run_next_word(p, w[0], sizeof(w[0]));
		p = run_next_word(p, w[1], sizeof(w[1]));
		if (strcmp(w[0], "begin") != 0 && strcmp(w[0], "start") != 0 &&
			strcmp(w[0], "set") != 0)
			break;
		if (strcmp(w[0], "set") == 0 && strcmp(w[1], "transaction") != 0)
			continue;
		if (strcmp(w[1], "work") == 0 || strcmp(w[1], "transaction") == 0)
			p = run_next_word(p, w[1], sizeof(w[1]));
		p = run_next_word(p, w[2], sizeof(w[2]));
		if (strcmp(w[1], "isolation") != 0 || strcmp(w[2], "level") != 0)
			continue;
		p = run_next_word(p, w[2], sizeof(w[2]));
		run_next_word(p, w[3], sizeof(w[3]));
		for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		{
			if (strcmp(w[2], levels[i][0]) == 0 &&
				(levels[i][1][0] == '\0' || strcmp(w[3], levels[i][1]) == 0))
				asked = levels[i][2];
		}
	}
	if (kind == UPG_SCAN_ERROR)
		err_clear(); /* the run itself will meet it, and say where */
	scan_close(scan);
	return asked;
}

/*
 * run_client_driven
 *		Apply one script by driving it; false with the error set, nothing of it left.
 */
bool
run_client_driven(UpgContext *ctx, UpgEntry *entry, UpgScript *script, const char *name,
				  const char *down, const char *requires, const char *options,
				  int64_t upgrade, UpgOutcome *outcome)
{
	const char *params[5];
	UpgScan *scan;
	UpgScanItem item;
	UpgRows *rows;
	int number = 0;
	bool ok;
	int64_t started = now_ms();
	char begin[64];

	memset(&item, 0, sizeof(item));
	item.kind = UPG_SCAN_END;
	scan = scan_open(&entry->up, &ctx->source->vars);
	if (scan == NULL)
		return false;
	params[0] = name;
	params[1] = script->streamed ? NULL : script->text.data;
	params[2] = down;
	params[3] = requires;
	params[4] = options;
	/* a savepoint tells its changes from those of the migrations before it */
	snprintf(begin, sizeof(begin), "BEGIN%s", isolation_asked(ctx, entry));
	ok = ctx->single > 0 || conn_execute_text(ctx->conn, begin) == UPG_EXEC_DONE;
	ok = ok && run_before(ctx);
	ok = ok && conn_execute_text(ctx->conn, "SAVEPOINT upg") == UPG_EXEC_DONE;
	ok = ok && conn_run(ctx->conn,
						"SELECT @extschema@.upg_begin($1, $2, $3, $4::pg_catalog.text[],"
						" $5::pg_catalog.jsonb)",
						5, params);
	if (!ok)
	{
		run_roll_back(ctx);
		scan_close(scan);
		return false;
	}
	ok = drive(ctx, entry, scan, &item, &number);
	if (ok)
	{
		item.kind = UPG_SCAN_END;
		rows = conn_query(
			ctx->conn, "SELECT " ROW_COLUMNS " FROM @extschema@.upg_finish()", 0, NULL);
		ok = rows != NULL;
		if (ok)
			run_outcome(ctx, rows, 0, outcome);
		rows_free(rows);
		ok = ok && conn_execute_text(ctx->conn, "RELEASE SAVEPOINT upg") == UPG_EXEC_DONE;
		ok = ok && run_after(ctx, entry);
		ok = ok &&
			 (ctx->single > 0 || conn_execute_text(ctx->conn, "COMMIT") == UPG_EXEC_DONE);
	}
	if (ok)
	{
		if (outcome->ms <= 0)
			outcome->ms = (double) (now_ms() - started);
	}
	else
	{
		run_roll_back(ctx);
		run_record_failure(ctx, name, upgrade, item.kind > UPG_SCAN_END ? &item : NULL,
						   number);
		run_callbacks(ctx, "afterEachMigrateError", true);
		if (item.kind > UPG_SCAN_END && item.file != NULL && upg_error.where == NULL)
		{
			err_where("%s:%d:%d", item.file, item.line, item.col);
			if (upg_error.statement == NULL && item.statement != NULL)
				upg_error.statement = xstrdup(item.statement);
		}
	}
	scan_close(scan);
	return ok;
}
