/*-------------------------------------------------------------------------
 *
 * probe.c
 *		What became of a statement that no transaction can hold.
 *
 * Before such a statement runs, its intent is committed: what it names and
 * what was there.  If the server dies in the middle, the next run compares the
 * catalogs with that and knows: done, nothing, or half done.  Only what was
 * not there before is ever cleared away.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/probe.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "errors.h"
#include "executor.h"
#include "probe.h"
#include "spi.h"

/* What kind of effect a statement has, for the purpose of finding it again. */
typedef enum EffectKind
{
	EFFECT_CREATE_INDEX,
	EFFECT_DROP_INDEX,
	EFFECT_REINDEX,
	EFFECT_DETACH,
	EFFECT_CREATE_SHARED, /* a database or tablespace */
	EFFECT_DROP_SHARED,
	EFFECT_CREATE_SUBSCRIPTION,
	EFFECT_DROP_SUBSCRIPTION,
	EFFECT_REPEATABLE, /* running it twice is running it once */
	EFFECT_OPAQUE      /* code that commits: anything */
} EffectKind;

static EffectKind effect_of(Node *stmt);
static char *intent_of(UpgStatement *stmt);
static bool made_here(const char *intent);
static char *query_text(const char *sql, const char *arg1, const char *arg2);
static char *shared_name(Node *stmt, bool *tablespace);
static const char *relation_identity(RangeVar *name, Oid *relid);
static PartitionCmd *detach_command(AlterTableStmt *stmt);
static UpgOutcome probe_create_index(const char *intent, MemoryContext lasting,
									 char **finding);
static UpgOutcome probe_reindex(const char *intent, MemoryContext lasting,
								char **finding);
static UpgOutcome probe_detach(AlterTableStmt *stmt, const char *intent,
							   MemoryContext lasting, char **finding);
static void run_in_own_transaction(const char *sql, MemoryContext lasting);

/*
 * effect_of
 *		The kind of effect that a statement has.
 */
static EffectKind
effect_of(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_IndexStmt:
			return EFFECT_CREATE_INDEX;
		case T_DropStmt:
			return EFFECT_DROP_INDEX;
		case T_ReindexStmt:
			return upg_statement_own_transaction(stmt) != NULL ? EFFECT_REINDEX
															   : EFFECT_REPEATABLE;
		case T_AlterTableStmt:
			return EFFECT_DETACH;
		case T_CreatedbStmt:
		case T_CreateTableSpaceStmt:
			return EFFECT_CREATE_SHARED;
		case T_DropdbStmt:
		case T_DropTableSpaceStmt:
			return EFFECT_DROP_SHARED;
		case T_CreateSubscriptionStmt:
			return EFFECT_CREATE_SUBSCRIPTION;
		case T_DropSubscriptionStmt:
			return EFFECT_DROP_SUBSCRIPTION;
		case T_VacuumStmt:
		case T_ClusterStmt:
		case T_AlterSystemStmt:
		case T_AlterDatabaseStmt:
		case T_DiscardStmt:
			return EFFECT_REPEATABLE;
		default:
			return EFFECT_OPAQUE;
	}
}

/*
 * upg_probe_intent
 *		Describe, as JSON, what a statement is about to do and what is there.
 *
 * Needs a transaction.  OIDs mean nothing in a database that a dump was
 * restored into, so the intent names the database that it was made in.
 */
char *
upg_probe_intent(UpgStatement *stmt)
{
	char *intent = intent_of(stmt);
	char *end = strrchr(intent, '}');

	return psprintf("%.*s%s\"cluster\": \"" UINT64_FORMAT "\", \"database\": \"%u\"}",
					(int) (end - intent), intent, strchr(intent, ':') != NULL ? ", " : "",
					GetSystemIdentifier(), MyDatabaseId);
}

/*
 * made_here
 *		Was this intent written in this database?
 *
 * Needs a transaction.
 */
static bool
made_here(const char *intent)
{
	char *answer = query_text(
		"SELECT ($1::pg_catalog.jsonb->>'cluster' = $2 AND"
		" $1::pg_catalog.jsonb->>'database' = (SELECT oid::pg_catalog.text FROM"
		" pg_catalog.pg_database WHERE datname ="
		" pg_catalog.current_database()))::pg_catalog.text",
		intent, psprintf(UINT64_FORMAT, GetSystemIdentifier()));

	return answer != NULL && strcmp(answer, "true") == 0;
}

static char *
intent_of(UpgStatement *stmt)
{
	Node *node = stmt->raw->stmt;
	bool tablespace;
	Oid relid;

	switch (effect_of(node))
	{
		case EFFECT_CREATE_INDEX:
		{
			IndexStmt *index = (IndexStmt *) node;

			(void) relation_identity(index->relation, &relid);
			return query_text(
				"SELECT pg_catalog.jsonb_build_object('table', $1::pg_catalog.text,"
				" 'name', $2::pg_catalog.text, 'before', (SELECT"
				" coalesce(pg_catalog.jsonb_agg(indexrelid::pg_catalog.int8), '[]')"
				" FROM pg_catalog.pg_index WHERE indrelid ="
				" $1::pg_catalog.text::pg_catalog.oid))::pg_catalog.text",
				psprintf("%u", relid), index->idxname);
		}
		case EFFECT_DROP_INDEX:
		{
			DropStmt *drop = (DropStmt *) node;
			RangeVar *name =
				makeRangeVarFromNameList(castNode(List, linitial(drop->objects)));

			(void) relation_identity(name, &relid);
			return psprintf("{\"index\": \"%u\"}", relid);
		}
		case EFFECT_REINDEX:
			return query_text(
				"SELECT pg_catalog.jsonb_build_object('invalid', (SELECT"
				" coalesce(pg_catalog.jsonb_agg(indexrelid::pg_catalog.int8), '[]')"
				" FROM pg_catalog.pg_index WHERE NOT indisvalid))::pg_catalog.text",
				NULL, NULL);
		case EFFECT_DETACH:
		{
			AlterTableStmt *alter = (AlterTableStmt *) node;
			PartitionCmd *detach = detach_command(alter);
			Oid child = InvalidOid;

			(void) relation_identity(alter->relation, &relid);
			if (detach != NULL)
				(void) relation_identity(detach->name, &child);
			return query_text(
				"SELECT pg_catalog.jsonb_build_object('parent', $1::pg_catalog.text,"
				" 'child', $2::pg_catalog.text, 'attached', EXISTS (SELECT FROM"
				" pg_catalog.pg_inherits WHERE inhparent ="
				" $1::pg_catalog.text::pg_catalog.oid AND inhrelid ="
				" $2::pg_catalog.text::pg_catalog.oid))::pg_catalog.text",
				psprintf("%u", relid), psprintf("%u", child));
		}
		case EFFECT_CREATE_SHARED:
		case EFFECT_DROP_SHARED:
		{
			char *name = shared_name(node, &tablespace);

			return query_text(
				tablespace
					? "SELECT pg_catalog.jsonb_build_object('name', $1::pg_catalog.text,"
					  " 'existed', EXISTS (SELECT FROM pg_catalog.pg_tablespace"
					  " WHERE spcname = $1::pg_catalog.text))::pg_catalog.text"
					: "SELECT pg_catalog.jsonb_build_object('name', $1::pg_catalog.text,"
					  " 'existed', EXISTS (SELECT FROM pg_catalog.pg_database"
					  " WHERE datname = $1::pg_catalog.text))::pg_catalog.text",
				name, NULL);
		}
		case EFFECT_CREATE_SUBSCRIPTION:
		case EFFECT_DROP_SUBSCRIPTION:
		{
			char *name = IsA(node, CreateSubscriptionStmt)
							 ? ((CreateSubscriptionStmt *) node)->subname
							 : ((DropSubscriptionStmt *) node)->subname;

			return query_text("SELECT pg_catalog.jsonb_build_object('name', "
							  "$1::pg_catalog.text, 'existed',"
							  " EXISTS (SELECT FROM pg_catalog.pg_subscription s"
							  " JOIN pg_catalog.pg_database d ON d.oid = s.subdbid"
							  " WHERE d.datname = pg_catalog.current_database()"
							  " AND s.subname = $1::pg_catalog.text))::pg_catalog.text",
							  name, NULL);
		}
		case EFFECT_REPEATABLE:
		case EFFECT_OPAQUE:
			break;
	}
	return pstrdup("{}");
}

/*
 * upg_probe
 *		Find out what became of a statement whose outcome was not recorded.
 *
 * Must be called outside a transaction, in a background worker; it uses
 * transactions of its own, also to clear away what is half done.  "finding",
 * for people, is allocated in "lasting".
 */
UpgOutcome
upg_probe(UpgStatement *stmt, const char *intent, MemoryContext lasting, char **finding)
{
	Node *node = stmt->raw->stmt;
	EffectKind effect = effect_of(node);
	UpgOutcome outcome = UPG_OUTCOME_ABSENT;
	bool tablespace;
	char *answer;

	*finding = MemoryContextStrdup(lasting, "nothing of it is there");
	if (intent == NULL)
		return UPG_OUTCOME_ABSENT;

	if (effect != EFFECT_REPEATABLE && effect != EFFECT_OPAQUE)
	{
		bool here;

		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		here = made_here(intent);
		CommitTransactionCommand();
		if (!here)
		{
			*finding = MemoryContextStrdup(
				lasting,
				"it ran in another database, of which this one is a copy, so how "
				"far it came cannot be told");
			return UPG_OUTCOME_UNKNOWN;
		}
	}

	switch (effect)
	{
		case EFFECT_CREATE_INDEX:
			return probe_create_index(intent, lasting, finding);
		case EFFECT_REINDEX:
			return probe_reindex(intent, lasting, finding);
		case EFFECT_DETACH:
			return probe_detach((AlterTableStmt *) node, intent, lasting, finding);
		case EFFECT_REPEATABLE:
			*finding = MemoryContextStrdup(lasting, "it can be run again without harm");
			return UPG_OUTCOME_ABSENT;
		case EFFECT_OPAQUE:
			*finding =
				MemoryContextStrdup(lasting, "it is code that commits by itself, so how "
											 "far it came cannot be told");
			return UPG_OUTCOME_UNKNOWN;
		default:
			break;
	}

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	switch (effect)
	{
		case EFFECT_DROP_INDEX:
			answer = query_text(
				"SELECT (NOT EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid ="
				" ($1::pg_catalog.jsonb->>'index')::pg_catalog.oid)"
				" AND ($1::pg_catalog.jsonb->>'index') <> '0')::pg_catalog.text",
				intent, NULL);
			break;
		case EFFECT_CREATE_SHARED:
		case EFFECT_DROP_SHARED:
			(void) shared_name(node, &tablespace);
			answer = query_text(
				tablespace ? "SELECT (EXISTS (SELECT FROM pg_catalog.pg_tablespace WHERE"
							 " spcname = $1::pg_catalog.jsonb->>'name') = ($2 = 'create')"
							 " AND ($1::pg_catalog.jsonb->>'existed')::pg_catalog.bool"
							 " = ($2 <> 'create'))::pg_catalog.text"
						   : "SELECT (EXISTS (SELECT FROM pg_catalog.pg_database WHERE"
							 " datname = $1::pg_catalog.jsonb->>'name') = ($2 = 'create')"
							 " AND ($1::pg_catalog.jsonb->>'existed')::pg_catalog.bool"
							 " = ($2 <> 'create'))::pg_catalog.text",
				intent, effect == EFFECT_CREATE_SHARED ? "create" : "drop");
			break;
		default: /* subscriptions */
			answer = query_text(
				"SELECT (EXISTS (SELECT FROM pg_catalog.pg_subscription s"
				" JOIN pg_catalog.pg_database d ON d.oid = s.subdbid"
				" WHERE d.datname = pg_catalog.current_database()"
				" AND s.subname = $1::pg_catalog.jsonb->>'name') = ($2 = 'create')"
				" AND ($1::pg_catalog.jsonb->>'existed')::pg_catalog.bool"
				" = ($2 <> 'create'))::pg_catalog.text",
				intent, effect == EFFECT_CREATE_SUBSCRIPTION ? "create" : "drop");
			break;
	}
	if (answer != NULL && strcmp(answer, "true") == 0)
	{
		outcome = UPG_OUTCOME_DONE;
		*finding = MemoryContextStrdup(lasting, "it had been completed");
	}
	CommitTransactionCommand();

	return outcome;
}

/*
 * probe_create_index
 *		A valid index that was not there before: done.  An invalid one: ours,
 *		half built, dropped.
 */
static UpgOutcome
probe_create_index(const char *intent, MemoryContext lasting, char **finding)
{
	UpgOutcome outcome = UPG_OUTCOME_ABSENT;
	char *answer;
	char *name = NULL;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	answer = query_text(
		"SELECT CASE WHEN i.indisvalid THEN 'done ' ELSE 'half ' END ||"
		" pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname)"
		" FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid"
		" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
		" WHERE i.indrelid = ($1::pg_catalog.jsonb->>'table')::pg_catalog.oid"
		" AND ($1::pg_catalog.jsonb->>'name' IS NULL"
		"      OR c.relname = $1::pg_catalog.jsonb->>'name')"
		" AND NOT $1::pg_catalog.jsonb->'before' @>"
		"     pg_catalog.to_jsonb(i.indexrelid::pg_catalog.int8)"
		/* What somebody is building this moment is not what we left behind. */
		" AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p"
		"     WHERE p.index_relid = i.indexrelid)"
		" ORDER BY i.indisvalid LIMIT 1",
		intent, NULL);
	if (answer != NULL)
	{
		name = MemoryContextStrdup(lasting, answer + 5);
		outcome =
			strncmp(answer, "done ", 5) == 0 ? UPG_OUTCOME_DONE : UPG_OUTCOME_CLEANED;
	}
	CommitTransactionCommand();

	if (outcome == UPG_OUTCOME_DONE)
	{
		*finding =
			MemoryContextStrdup(lasting, psprintf("index %s had been built", name));
	}
	else if (outcome == UPG_OUTCOME_CLEANED)
	{
		MemoryContext old = MemoryContextSwitchTo(lasting);

		run_in_own_transaction(psprintf("DROP INDEX CONCURRENTLY %s", name), lasting);
		*finding = psprintf("index %s was left INVALID and has been dropped", name);
		MemoryContextSwitchTo(old);
	}
	return outcome;
}

/*
 * probe_reindex
 *		Drop the transient indexes that an interrupted REINDEX CONCURRENTLY left.
 *
 * It names them with the suffixes _ccnew and _ccold.  Those that were invalid
 * before, and those that somebody else is building now, are left alone.
 */
static UpgOutcome
probe_reindex(const char *intent, MemoryContext lasting, char **finding)
{
	int dropped = 0;

	for (;;)
	{
		char *answer;
		char *name = NULL;

		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		answer = query_text(
			"SELECT pg_catalog.quote_ident(n.nspname) || '.' || "
			"pg_catalog.quote_ident(c.relname)"
			" FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = "
			"i.indexrelid"
			" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
			" WHERE NOT i.indisvalid AND c.relname ~ '_cc(new|old)[0-9]*$'"
			" AND n.nspname <> 'pg_toast'"
			" AND NOT $1::pg_catalog.jsonb->'invalid' @>"
			"     pg_catalog.to_jsonb(i.indexrelid::pg_catalog.int8)"
			" AND NOT EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE l.relation = "
			"i.indrelid"
			"     AND l.database = (SELECT oid FROM pg_catalog.pg_database"
			"                       WHERE datname = pg_catalog.current_database())"
			"     AND l.mode = 'ShareUpdateExclusiveLock')"
			" ORDER BY c.oid LIMIT 1",
			intent, NULL);
		if (answer != NULL)
			name = MemoryContextStrdup(lasting, answer);
		CommitTransactionCommand();
		if (name == NULL)
			break;
		run_in_own_transaction(
			MemoryContextStrdup(lasting, psprintf("DROP INDEX CONCURRENTLY %s", name)),
			lasting);
		dropped++;
	}
	if (dropped == 0)
		return UPG_OUTCOME_ABSENT;
	*finding = MemoryContextStrdup(
		lasting,
		psprintf("%d transient indexes were left and have been dropped", dropped));
	return UPG_OUTCOME_CLEANED;
}

/*
 * probe_detach
 *		A pending detach is finalized; no inheritance left is done.
 */
static UpgOutcome
probe_detach(AlterTableStmt *stmt, const char *intent, MemoryContext lasting,
			 char **finding)
{
	UpgOutcome outcome = UPG_OUTCOME_ABSENT;
	char *answer;
	char *sql = NULL;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	answer =
		query_text("SELECT CASE WHEN NOT ($1::pg_catalog.jsonb->>'attached')"
				   "::pg_catalog.bool THEN 'absent'"
				   " WHEN i.inhrelid IS NULL THEN 'done'"
				   " WHEN i.inhdetachpending THEN 'pending' ELSE 'absent' END"
				   " FROM (SELECT) AS one LEFT JOIN pg_catalog.pg_inherits i"
				   " ON i.inhparent = ($1::pg_catalog.jsonb->>'parent')::pg_catalog.oid"
				   " AND i.inhrelid = ($1::pg_catalog.jsonb->>'child')::pg_catalog.oid",
				   intent, NULL);
	if (answer != NULL && strcmp(answer, "done") == 0)
	{
		outcome = UPG_OUTCOME_DONE;
		*finding = MemoryContextStrdup(lasting, "the partition had been detached");
	}
	else if (answer != NULL && strcmp(answer, "pending") == 0)
	{
		Oid parent;
		Oid child;
		PartitionCmd *detach = detach_command(stmt);

		outcome = UPG_OUTCOME_DONE;
		sql = MemoryContextStrdup(lasting,
								  psprintf("ALTER TABLE %s DETACH PARTITION %s FINALIZE",
										   relation_identity(stmt->relation, &parent),
										   relation_identity(detach->name, &child)));
		*finding =
			MemoryContextStrdup(lasting, "the detach was pending and has been finalized");
	}
	CommitTransactionCommand();
	if (sql != NULL)
		run_in_own_transaction(sql, lasting);
	return outcome;
}

/*
 * query_text
 *		The first column of a query's first row, as text; NULL if none.
 */
static char *
query_text(const char *sql, const char *arg1, const char *arg2)
{
	MemoryContext caller = CurrentMemoryContext;
	Oid types[2] = {TEXTOID, TEXTOID};
	Datum values[2] = {0, 0};
	char nulls[2] = {'n', 'n'};
	char *answer = NULL;
	UpgBooks books;
	int nargs = strstr(sql, "$2") != NULL ? 2 : strstr(sql, "$1") != NULL ? 1 : 0;

	if (arg1 != NULL)
	{
		values[0] = CStringGetTextDatum(arg1);
		nulls[0] = ' ';
	}
	if (arg2 != NULL)
	{
		values[1] = CStringGetTextDatum(arg2);
		nulls[1] = ' ';
	}
	upg_books_open(&books);
	if (SPI_execute_with_args(sql, nargs, types, values, nulls, false, 1) !=
		SPI_OK_SELECT)
		elog(ERROR, "unexpected result of a query on the catalogs");
	if (SPI_processed > 0)
	{
		MemoryContext old = MemoryContextSwitchTo(caller);

		answer = upg_result_text(0, 1);
		MemoryContextSwitchTo(old);
	}
	upg_books_close(&books);

	return answer;
}

static char *
shared_name(Node *stmt, bool *tablespace)
{
	*tablespace = IsA(stmt, CreateTableSpaceStmt) || IsA(stmt, DropTableSpaceStmt);
	switch (nodeTag(stmt))
	{
		case T_CreatedbStmt:
			return ((CreatedbStmt *) stmt)->dbname;
		case T_DropdbStmt:
			return ((DropdbStmt *) stmt)->dbname;
		case T_CreateTableSpaceStmt:
			return ((CreateTableSpaceStmt *) stmt)->tablespacename;
		default:
			return ((DropTableSpaceStmt *) stmt)->tablespacename;
	}
}

/* Qualified name of a relation, and its OID (0 if it does not exist). */
static const char *
relation_identity(RangeVar *name, Oid *relid)
{
	*relid = RangeVarGetRelid(name, NoLock, true);
	if (!OidIsValid(*relid))
		return quote_qualified_identifier(name->schemaname, name->relname);
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(*relid)),
									  get_rel_name(*relid));
}

static PartitionCmd *
detach_command(AlterTableStmt *stmt)
{
	ListCell *lc;

	foreach (lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (cmd->subtype == AT_DetachPartition)
			return castNode(PartitionCmd, cmd->def);
	}
	return NULL;
}

/*
 * run_in_own_transaction
 *		Run a statement of ours that no transaction can hold.
 */
static void
run_in_own_transaction(const char *sql, MemoryContext lasting)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	upg_run_sql(sql, true, lasting);
	CommitTransactionCommand();
}
