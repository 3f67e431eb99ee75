/*-------------------------------------------------------------------------
 *
 * steps_order.c
 *		The order in which a session hands a migration to a background worker.
 *
 * It says whose order it is, as which role and with which settings the script
 * runs, and how it is cut into steps; it is kept with the migration, so that
 * whoever goes on after a crash does it the same way.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/steps_order.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "errors.h"
#include "steps.h"
#include "steps_internal.h"
#include "upg.h"
#include "worker.h"

/*
 * upg_steps_order
 *		What a worker must know to run a migration as its caller would, as JSON:
 *		whose order it is, role, settings of the session, how the script is
 *		cut, options.
 */
char *
upg_steps_order(const UpgCut *cut, const UpgOptions *options)
{
	StringInfoData buf;
	ListCell *lc;
	MemoryContext caller = CurrentMemoryContext;
	char *search_path;
	char *settings;
	int level;

	/*
	 * The session's own settings, read through pg_settings with the caller's
	 * rights.  search_path is read first, since the query runs with a safe one.
	 */
	search_path = pstrdup(GetConfigOption("search_path", false, false));
	level = NewGUCNestLevel();
	RestrictSearchPath();
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute(
			"SELECT coalesce(pg_catalog.jsonb_object_agg(name, setting), '{}')"
			"::pg_catalog.text FROM pg_catalog.pg_settings"
			" WHERE source IN ('session', 'client') AND context IN ('user', 'superuser')"
			" AND name NOT IN ('application_name', 'client_encoding', 'search_path',"
			" 'transaction_isolation', 'transaction_read_only', 'transaction_deferrable',"
			" 'default_transaction_read_only')",
			false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the session's settings");
	settings = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	settings = MemoryContextStrdup(caller, settings);
	SPI_finish();
	AtEOXact_GUC(false, level);

	if (GetUserId() != GetSessionUserId() &&
		!is_member_of_role(GetSessionUserId(), GetUserId()))
		ereport(
			ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("a migration of several steps cannot run as role \"%s\"",
					GetUserNameFromId(GetUserId(), false)),
			 errdetail(
				 "A background worker runs it, and the session's role \"%s\" is not a "
				 "member of that role.",
				 GetUserNameFromId(GetSessionUserId(), false)),
			 errhint("Do not call it from a SECURITY DEFINER function.")));

	initStringInfo(&buf);
	appendStringInfo(&buf, "{\"order\":\"%u\",\"session\":", GetTopTransactionId());
	escape_json(&buf, GetUserNameFromId(GetSessionUserId(), false));
	appendStringInfoString(&buf, ",\"role\":");
	escape_json(&buf, GetUserNameFromId(GetUserId(), false));
	appendStringInfoString(&buf, ",\"search_path\":");
	escape_json(&buf, search_path);
	appendStringInfo(&buf, ",\"settings\":%s", settings);
	appendStringInfoChar(&buf, ',');
	upg_cut_append(&buf, cut);
	appendStringInfo(&buf, ",\"undo\":\"%s\"", upg_undo_mode_name(options->undo));
	appendStringInfo(
		&buf, ",\"lock_timeout\":%d,\"lock_retries\":%d",
		options->lock_timeout >= 0 ? options->lock_timeout : upg_guc_lock_timeout,
		options->lock_retries >= 0 ? options->lock_retries : upg_guc_lock_retries);
	if (options->footprint != NIL)
	{
		appendStringInfoString(&buf, ",\"footprint\":[");
		foreach (lc, options->footprint)
		{
			if (foreach_current_index (lc) > 0)
				appendStringInfoChar(&buf, ',');
			escape_json(&buf, lfirst(lc));
		}
		appendStringInfoChar(&buf, ']');
	}
	if (options->reason != NULL)
	{
		appendStringInfoString(&buf, ",\"reason\":");
		escape_json(&buf, options->reason);
	}
	appendStringInfo(&buf, ",\"upgrade\":" INT64_FORMAT "}", options->upgrade);

	return buf.data;
}

/*
 * upg_cut_append
 *		How a script is cut, as members of a JSON object.
 */
void
upg_cut_append(StringInfo buf, const UpgCut *cut)
{
	ListCell *lc;

	appendStringInfo(buf, "\"each_alone\":%s", cut->each_alone ? "true" : "false");
	appendStringInfoString(buf, ",\"before\":[");
	foreach (lc, cut->before)
		appendStringInfo(buf, "%s%d", foreach_current_index (lc) > 0 ? "," : "",
						 lfirst_int(lc));
	appendStringInfoString(buf, "],\"own\":[");
	foreach (lc, cut->own)
		appendStringInfo(buf, "%s%d", foreach_current_index (lc) > 0 ? "," : "",
						 lfirst_int(lc));
	appendStringInfoChar(buf, ']');
}

/*
 * upg_steps_recall_cut
 *		Add to a cut how an unfinished migration was cut when it was run last.
 *
 * Its steps that are done must come out the same when it goes on.
 */
void
upg_steps_recall_cut(int64 migration_id, UpgCut *cut)
{
	static UpgQuery query = {"SELECT run->>'each_alone', run->>'before', run->>'own'"
							 " FROM upg.migrations WHERE migration_id = $1",
							 SPI_OK_SELECT,
							 1,
							 {INT8OID}};
	MemoryContext caller = CurrentMemoryContext;
	Datum value = Int64GetDatum(migration_id);
	UpgBooks books;

	upg_books_open(&books);
	upg_query_latest(&query, &value, NULL);
	if (SPI_processed == 1)
	{
		MemoryContext old = MemoryContextSwitchTo(caller);
		char *text = upg_result_text(0, 1);

		if (text != NULL && strcmp(text, "true") == 0)
			cut->each_alone = true;
		cut->before =
			list_concat_unique_int(cut->before, upg_integers_of(upg_result_text(0, 2)));
		cut->own =
			list_concat_unique_int(cut->own, upg_integers_of(upg_result_text(0, 3)));
		MemoryContextSwitchTo(old);
	}
	upg_books_close(&books);
}

/*
 * upg_steps_captured
 *		Was an unfinished migration captured when it was run last?
 */
bool
upg_steps_captured(int64 migration_id)
{
	static UpgQuery query = {"SELECT run->>'undo' FROM upg.migrations"
							 " WHERE migration_id = $1",
							 SPI_OK_SELECT,
							 1,
							 {INT8OID}};
	Datum value = Int64GetDatum(migration_id);
	UpgBooks books;
	char *mode;
	bool captured;

	upg_books_open(&books);
	upg_query_latest(&query, &value, NULL);
	mode = SPI_processed == 1 ? upg_result_text(0, 1) : NULL;
	captured = mode != NULL && upg_undo_mode_parse(mode) != UPG_UNDO_NONE;
	upg_books_close(&books);
	return captured;
}

/*
 * upg_steps_reorder
 *		Queue a migration again as it was ordered, whoever asks for it now.
 *
 * The worker logs in as the session that gave the order: a person who settles
 * an outcome does not lend his rights to the rest of the script.
 */
void
upg_steps_reorder(UpgMigration *migration)
{
	static UpgQuery query = {
		"SELECT run->>'session' FROM upg.migrations WHERE migration_id = $1",
		SPI_OK_SELECT,
		1,
		{INT8OID}};
	MemoryContext caller = CurrentMemoryContext;
	Datum value = Int64GetDatum(migration->id);
	char *session;
	Oid user;
	UpgBooks books;

	upg_books_open(&books);
	upg_query_latest(&query, &value, NULL);
	session = upg_result_text(0, 1);
	if (session != NULL)
		session = MemoryContextStrdup(caller, session);
	upg_books_close(&books);

	user = session != NULL ? get_role_oid(session, true) : InvalidOid;
	if (!OidIsValid(user))
		ereport(
			ERROR,
			(errcode(ERRCODE_UPG_ILLEGAL_STATE),
			 errmsg("migration \"%s\" cannot go on as role \"%s\", which does not exist",
					migration->name, session != NULL ? session : ""),
			 errhint("Create the role again, and drop it when the migration is done.")));

	upg_ledger_move(migration, UPG_STATE_QUEUED, NULL,
					psprintf("{\"order\":\"%u\"}", GetTopTransactionId()));
	upg_worker_request(migration->id, user);
}

/* The numbers in a JSON array of integers. */
List *
upg_integers_of(const char *json)
{
	List *numbers = NIL;

	while (json != NULL && *json != '\0')
	{
		if (isdigit((unsigned char) *json))
		{
			char *end;

			numbers = lappend_int(numbers, (int) strtol(json, &end, 10));
			json = end;
		}
		else
			json++;
	}
	return numbers;
}
