/*-------------------------------------------------------------------------
 *
 * footprint.c
 *		What a script touches, and the advisory locks that stand for it.
 *
 * A footprint keeps upgrades apart from each other; the application is kept
 * apart from them by the server's own locks.  Locks are tried, never waited
 * for, in the order of the objects' names; when one is refused all are given
 * back.  So nobody queues behind us, and a CREATE INDEX CONCURRENTLY in one
 * upgrade, which waits for every older transaction, can never wait for one
 * that waits for it.
 *
 * The locks are of the advisory kind with objsubid 85, a value that the SQL
 * functions for advisory locks never use, so they cannot meet locks of an
 * application, and the two numbers are a 64-bit hash of the object's name.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/footprint.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "commands/tablecmds.h"
#include "common/hashfn.h"
#include "common/pg_prng.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_relation.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "errors.h"
#include "footprint.h"
#include "spi.h"
#include "upg.h"

PG_FUNCTION_INFO_V1(upg_lock_key);

/* objsubid of our locks: 'U' */
#define UPG_LOCK_CLASS 85

/* First pause between two tries, in milliseconds; it doubles up to the second. */
#define POLL_FIRST 5
#define POLL_MAX   100

/* The longest pause after a lock timeout. */
#define RETRY_MAX 2000

/* A relation as a statement names it. */
typedef struct NamedRelation
{
	RangeVar *name;
	LOCKMODE mode;
} NamedRelation;

static bool relations_of(Node *stmt, List **named, List **schemas);
static bool relations_of_drop(DropStmt *stmt, List **named, List **schemas);
static void relations_of_alter_table(AlterTableStmt *stmt, List **named);
static void relations_of_constraint(Constraint *constraint, List **named);
static bool relations_of_query(Node *node, void *context);
static void add_name(List **named, RangeVar *name, LOCKMODE mode);
static void add_qualified(List **named, Node *object, int drop, LOCKMODE mode);
static bool changes_name_resolution(Node *stmt);
static List *add_relation(List *keys, RangeVar *name);
static uint64 object_hash(const char *object);
static void object_locktag(const char *object, LOCKTAG *tag);
static int key_cmp(const ListCell *a, const ListCell *b);

/*
 * upg_footprint_infer
 *		The footprint of a script, from its parse trees.
 *
 * If every statement is of a kind whose relations can be told, these are taken
 * exclusively and the database in shared mode.  Otherwise (a DO block, CREATE
 * FUNCTION, a search_path set on the way) the database is taken exclusively.
 */
List *
upg_footprint_infer(const UpgScript *script, const char *migration)
{
	List *keys = NIL;
	bool known = true;

	for (int i = 0; i < script->nstatements && known; i++)
	{
		Node *stmt = script->statements[i].raw->stmt;
		List *named = NIL;
		List *schemas = NIL;
		ListCell *lc;

		if (changes_name_resolution(stmt) || !relations_of(stmt, &named, &schemas))
		{
			known = false;
			break;
		}
		foreach (lc, named)
			keys = add_relation(keys, ((NamedRelation *) lfirst(lc))->name);
		foreach (lc, schemas)
			keys = upg_footprint_add(keys, psprintf("schema:%s", (char *) lfirst(lc)),
									 ExclusiveLock);
	}

	if (!known)
		keys = NIL;
	keys = upg_footprint_add(keys, "database", known ? ShareLock : ExclusiveLock);
	keys = upg_footprint_add(keys, psprintf("migration:%s", migration), ExclusiveLock);

	return keys;
}

/*
 * upg_footprint_add
 *		Add an object; a stronger mode replaces a weaker one.
 */
List *
upg_footprint_add(List *keys, const char *object, LOCKMODE mode)
{
	ListCell *lc;
	UpgKey *key;

	foreach (lc, keys)
	{
		key = lfirst(lc);
		if (strcmp(key->object, object) == 0)
		{
			key->mode = Max(key->mode, mode);
			return keys;
		}
	}

	key = palloc(sizeof(UpgKey));
	key->object = pstrdup(object);
	key->mode = mode;
	keys = lappend(keys, key);
	list_sort(keys, key_cmp);
	return keys;
}

static int
key_cmp(const ListCell *a, const ListCell *b)
{
	return strcmp(((UpgKey *) lfirst(a))->object, ((UpgKey *) lfirst(b))->object);
}

static List *
add_relation(List *keys, RangeVar *name)
{
	Oid relid = RangeVarGetRelid(name, NoLock, true);
	char *nspname;
	char *relname;

	if (OidIsValid(relid))
	{
		/* An index stands for its table. */
		if (get_rel_relkind(relid) == RELKIND_INDEX ||
			get_rel_relkind(relid) == RELKIND_PARTITIONED_INDEX)
			relid = IndexGetRelation(relid, true);
		nspname = get_namespace_name(get_rel_namespace(relid));
		relname = get_rel_name(relid);
		if (nspname == NULL || relname == NULL)
			return keys; /* dropped this moment */
	}
	else
	{
		nspname = name->schemaname;
		if (nspname == NULL)
		{
			List *path = fetch_search_path(false);

			nspname = path == NIL ? pstrdup("") : get_namespace_name(linitial_oid(path));
			if (nspname == NULL)
				nspname = pstrdup("");
		}
		relname = name->relname;
	}

	keys = upg_footprint_add(keys, psprintf("schema:%s", nspname), ShareLock);
	return upg_footprint_add(
		keys, psprintf("relation:%s", quote_qualified_identifier(nspname, relname)),
		ExclusiveLock);
}

/*
 * changes_name_resolution
 *		After such a statement, names of later ones may mean something else.
 */
static bool
changes_name_resolution(Node *stmt)
{
	VariableSetStmt *set;

	if (!IsA(stmt, VariableSetStmt))
		return false;
	set = (VariableSetStmt *) stmt;
	return set->kind == VAR_RESET_ALL ||
		   (set->name != NULL &&
			(strcmp(set->name, "search_path") == 0 || strcmp(set->name, "role") == 0 ||
			 strcmp(set->name, "session_authorization") == 0));
}

/*
 * relations_of
 *		The relations that a statement names, with the lock mode it takes on
 *		them, and the schemas it makes or drops.
 *
 * False if the kind of statement is not known to touch only what it names.
 */
static bool
relations_of(Node *stmt, List **named, List **schemas)
{
	ListCell *lc;

	switch (nodeTag(stmt))
	{
		case T_CreateStmt:
		{
			CreateStmt *create = (CreateStmt *) stmt;

			add_name(named, create->relation, AccessExclusiveLock);
			foreach (lc, create->inhRelations)
				add_name(named, lfirst_node(RangeVar, lc), ShareUpdateExclusiveLock);
			foreach (lc, create->tableElts)
			{
				Node *element = lfirst(lc);

				if (IsA(element, Constraint))
					relations_of_constraint((Constraint *) element, named);
				else if (IsA(element, ColumnDef))
				{
					ListCell *lc2;

					foreach (lc2, ((ColumnDef *) element)->constraints)
					{
						if (IsA(lfirst(lc2), Constraint))
							relations_of_constraint(lfirst(lc2), named);
					}
				}
				else if (IsA(element, TableLikeClause))
					add_name(named, ((TableLikeClause *) element)->relation,
							 AccessShareLock);
			}
			return true;
		}
		case T_AlterTableStmt:
			relations_of_alter_table((AlterTableStmt *) stmt, named);
			return true;
		case T_IndexStmt:
			add_name(named, ((IndexStmt *) stmt)->relation,
					 ((IndexStmt *) stmt)->concurrent ? ShareUpdateExclusiveLock
													  : ShareLock);
			return true;
		case T_DropStmt:
			return relations_of_drop((DropStmt *) stmt, named, schemas);
		case T_CreateSchemaStmt:
			if (((CreateSchemaStmt *) stmt)->schemaElts != NIL ||
				((CreateSchemaStmt *) stmt)->schemaname == NULL)
				return false;
			*schemas = lappend(*schemas, ((CreateSchemaStmt *) stmt)->schemaname);
			return true;
		case T_ViewStmt:
			add_name(named, ((ViewStmt *) stmt)->view, AccessExclusiveLock);
			(void) relations_of_query(((ViewStmt *) stmt)->query, named);
			return true;
		case T_CreateTableAsStmt:
			add_name(named, ((CreateTableAsStmt *) stmt)->into->rel, AccessExclusiveLock);
			(void) relations_of_query(((CreateTableAsStmt *) stmt)->query, named);
			return true;
		case T_RefreshMatViewStmt:
			add_name(named, ((RefreshMatViewStmt *) stmt)->relation, AccessExclusiveLock);
			return true;
		case T_RenameStmt:
			if (((RenameStmt *) stmt)->relation == NULL)
				return false;
			add_name(named, ((RenameStmt *) stmt)->relation, AccessExclusiveLock);
			return true;
		case T_CreateTrigStmt:
			add_name(named, ((CreateTrigStmt *) stmt)->relation, ShareRowExclusiveLock);
			if (((CreateTrigStmt *) stmt)->constrrel != NULL)
				add_name(named, ((CreateTrigStmt *) stmt)->constrrel,
						 ShareRowExclusiveLock);
			return true;
		case T_RuleStmt:
			add_name(named, ((RuleStmt *) stmt)->relation, AccessExclusiveLock);
			return true;
		case T_CreatePolicyStmt:
			add_name(named, ((CreatePolicyStmt *) stmt)->table, AccessExclusiveLock);
			return true;
		case T_AlterPolicyStmt:
			add_name(named, ((AlterPolicyStmt *) stmt)->table, AccessExclusiveLock);
			return true;
		case T_CreateSeqStmt:
			add_name(named, ((CreateSeqStmt *) stmt)->sequence, AccessExclusiveLock);
			return true;
		case T_AlterSeqStmt:
			add_name(named, ((AlterSeqStmt *) stmt)->sequence, ShareRowExclusiveLock);
			return true;
		case T_CreateStatsStmt:
			foreach (lc, ((CreateStatsStmt *) stmt)->relations)
			{
				if (!IsA(lfirst(lc), RangeVar))
					return false;
				add_name(named, lfirst(lc), ShareUpdateExclusiveLock);
			}
			return true;
		case T_TruncateStmt:
			foreach (lc, ((TruncateStmt *) stmt)->relations)
				add_name(named, lfirst_node(RangeVar, lc), AccessExclusiveLock);
			return true;
		case T_LockStmt:
			foreach (lc, ((LockStmt *) stmt)->relations)
				add_name(named, lfirst_node(RangeVar, lc), ((LockStmt *) stmt)->mode);
			return true;
		case T_CommentStmt:
		{
			CommentStmt *comment = (CommentStmt *) stmt;

			switch (comment->objtype)
			{
				case OBJECT_TABLE:
				case OBJECT_VIEW:
				case OBJECT_MATVIEW:
				case OBJECT_SEQUENCE:
				case OBJECT_INDEX:
					add_qualified(named, comment->object, 0, ShareUpdateExclusiveLock);
					return true;
				case OBJECT_COLUMN:
				case OBJECT_TABCONSTRAINT:
				case OBJECT_TRIGGER:
				case OBJECT_POLICY:
				case OBJECT_RULE:
					add_qualified(named, comment->object, 1, ShareUpdateExclusiveLock);
					return true;
				default:
					return false;
			}
		}
		case T_GrantStmt:
			if (((GrantStmt *) stmt)->targtype != ACL_TARGET_OBJECT ||
				(((GrantStmt *) stmt)->objtype != OBJECT_TABLE &&
				 ((GrantStmt *) stmt)->objtype != OBJECT_SEQUENCE))
				return false;
			foreach (lc, ((GrantStmt *) stmt)->objects)
				add_name(named, lfirst_node(RangeVar, lc), AccessShareLock);
			return true;
		case T_VacuumStmt:
			if (((VacuumStmt *) stmt)->rels == NIL)
				return false;
			foreach (lc, ((VacuumStmt *) stmt)->rels)
				add_name(named, lfirst_node(VacuumRelation, lc)->relation,
						 ShareUpdateExclusiveLock);
			return true;
		case T_ReindexStmt:
			if (((ReindexStmt *) stmt)->relation == NULL)
				return false;
			add_name(named, ((ReindexStmt *) stmt)->relation,
					 upg_statement_own_transaction(stmt) != NULL
						 ? ShareUpdateExclusiveLock
						 : ShareLock);
			return true;
		case T_ClusterStmt:
			if (((ClusterStmt *) stmt)->relation == NULL)
				return false;
			add_name(named, ((ClusterStmt *) stmt)->relation, AccessExclusiveLock);
			return true;
		case T_CopyStmt:
			if (((CopyStmt *) stmt)->relation != NULL)
				add_name(named, ((CopyStmt *) stmt)->relation, RowExclusiveLock);
			else
				(void) relations_of_query(((CopyStmt *) stmt)->query, named);
			return true;
		case T_InsertStmt:
		case T_UpdateStmt:
		case T_DeleteStmt:
		case T_MergeStmt:
		case T_SelectStmt:
			(void) relations_of_query(stmt, named);
			return true;
		case T_TransactionStmt:
		case T_VariableSetStmt:
		case T_VariableShowStmt:
		case T_ConstraintsSetStmt:
		case T_CheckPointStmt:
			return true;
		default:
			return false;
	}
}

static bool
relations_of_drop(DropStmt *stmt, List **named, List **schemas)
{
	ListCell *lc;

	switch (stmt->removeType)
	{
		case OBJECT_TABLE:
		case OBJECT_VIEW:
		case OBJECT_MATVIEW:
		case OBJECT_SEQUENCE:
		case OBJECT_INDEX:
		case OBJECT_FOREIGN_TABLE:
			foreach (lc, stmt->objects)
				add_qualified(named, lfirst(lc), 0, AccessExclusiveLock);
			break;
		case OBJECT_TRIGGER:
		case OBJECT_POLICY:
		case OBJECT_RULE:
			foreach (lc, stmt->objects)
				add_qualified(named, lfirst(lc), 1, AccessExclusiveLock);
			break;
		case OBJECT_SCHEMA:
			foreach (lc, stmt->objects)
				*schemas = lappend(*schemas, strVal(lfirst(lc)));
			break;
		default:
			return false;
	}

	/* What CASCADE takes along is not in the parse tree. */
	return stmt->behavior != DROP_CASCADE || stmt->removeType == OBJECT_SCHEMA;
}

static void
relations_of_alter_table(AlterTableStmt *stmt, List **named)
{
	ListCell *lc;

	add_name(named, stmt->relation, AlterTableGetLockLevel(stmt->cmds));
	foreach (lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (cmd->def == NULL)
			continue;
		if (IsA(cmd->def, Constraint))
			relations_of_constraint((Constraint *) cmd->def, named);
		else if (IsA(cmd->def, PartitionCmd))
			add_name(named, ((PartitionCmd *) cmd->def)->name, AccessExclusiveLock);
		else if (IsA(cmd->def, RangeVar))
			add_name(named, (RangeVar *) cmd->def, ShareUpdateExclusiveLock);
		else if (IsA(cmd->def, ColumnDef))
		{
			ListCell *lc2;

			foreach (lc2, ((ColumnDef *) cmd->def)->constraints)
			{
				if (IsA(lfirst(lc2), Constraint))
					relations_of_constraint(lfirst(lc2), named);
			}
		}
	}
}

static void
relations_of_constraint(Constraint *constraint, List **named)
{
	if (constraint->contype == CONSTR_FOREIGN && constraint->pktable != NULL)
		add_name(named, constraint->pktable, ShareRowExclusiveLock);
}

/* Walks a query and collects every relation in it; "context" is a List **. */
static bool
relations_of_query(Node *node, void *context)
{
	List **named = context;

	if (node == NULL)
		return false;
	if (IsA(node, RangeVar))
		add_name(named, (RangeVar *) node, RowExclusiveLock);
	return raw_expression_tree_walker(node, relations_of_query, context);
}

static void
add_name(List **named, RangeVar *name, LOCKMODE mode)
{
	NamedRelation *entry = palloc(sizeof(NamedRelation));

	if (name == NULL)
		return;
	entry->name = name;
	entry->mode = mode;
	*named = lappend(*named, entry);
}

/* A relation given as a list of names, of which the last "drop" are not its own. */
static void
add_qualified(List **named, Node *object, int drop, LOCKMODE mode)
{
	List *names;

	if (!IsA(object, List))
		return;
	names =
		list_truncate(list_copy((List *) object), list_length((List *) object) - drop);
	if (names == NIL || list_length(names) > 3)
		return;
	add_name(named, makeRangeVarFromNameList(names), mode);
}

/*
 * upg_statement_locks
 *		The existing relations that a statement locks, as far as it names them.
 */
List *
upg_statement_locks(Node *stmt)
{
	List *named = NIL;
	List *schemas = NIL;
	List *locks = NIL;
	ListCell *lc;

	(void) relations_of(stmt, &named, &schemas);
	foreach (lc, named)
	{
		NamedRelation *entry = lfirst(lc);
		Oid relid = RangeVarGetRelid(entry->name, NoLock, true);
		UpgRelationLock *lock;

		if (!OidIsValid(relid))
			continue;
		lock = palloc(sizeof(UpgRelationLock));
		lock->relid = relid;
		lock->mode = entry->mode;
		locks = lappend(locks, lock);

		/* DROP INDEX and friends lock the table, too. */
		if (get_rel_relkind(relid) == RELKIND_INDEX)
		{
			UpgRelationLock *heap = palloc(sizeof(UpgRelationLock));

			heap->relid = IndexGetRelation(relid, true);
			heap->mode = entry->mode;
			if (OidIsValid(heap->relid))
				locks = lappend(locks, heap);
		}
	}
	return locks;
}

static uint64
object_hash(const char *object)
{
	return hash_bytes_extended((const unsigned char *) object, strlen(object),
							   UPG_LOCK_CLASS);
}

static void
object_locktag(const char *object, LOCKTAG *tag)
{
	uint64 hash = object_hash(object);

	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, (uint32) (hash >> 32), (uint32) hash,
						 UPG_LOCK_CLASS);
}

/*
 * upg_lock_key
 *		The number that stands for an object in pg_locks: classid is its upper
 *		half, objid its lower, objsubid is 85.
 */
Datum
upg_lock_key(PG_FUNCTION_ARGS)
{
	char *object = text_to_cstring(PG_GETARG_TEXT_PP(0));

	PG_RETURN_INT64((int64) object_hash(object));
}

/*
 * upg_footprint_try
 *		Try to take all locks of a footprint, once.
 *
 * On refusal gives back what it took, sets *refused to the object and *holders
 * (list of UpgHolder) to those who hold it, and returns false.
 */
bool
upg_footprint_try(List *keys, bool session, UpgKey **refused, List **holders)
{
	ListCell *lc;

	foreach (lc, keys)
	{
		UpgKey *key = lfirst(lc);
		LOCKTAG tag;

		object_locktag(key->object, &tag);
		if (LockAcquire(&tag, key->mode, session, true) == LOCKACQUIRE_NOT_AVAIL)
		{
			*refused = key;
			*holders = upg_lock_holders(&tag, key->mode);
			for (int i = 0; i < foreach_current_index (lc); i++)
			{
				UpgKey *taken = list_nth(keys, i);

				object_locktag(taken->object, &tag);
				(void) LockRelease(&tag, taken->mode, session);
			}
			return false;
		}
	}
	return true;
}

/*
 * upg_footprint_acquire
 *		Take a footprint, polling for upg.conflict_timeout.
 *
 * Raises ERRCODE_UPG_CONFLICT, which names object and holder.
 */
void
upg_footprint_acquire(List *keys, bool session, const char *migration)
{
	TimestampTz start = GetCurrentTimestamp();
	long pause = POLL_FIRST;
	UpgKey *refused = NULL;
	List *holders = NIL;

	while (!upg_footprint_try(keys, session, &refused, &holders))
	{
		if (TimestampDifferenceExceeds(start, GetCurrentTimestamp(),
									   upg_guc_conflict_timeout))
			ereport(ERROR,
					(errcode(ERRCODE_UPG_CONFLICT),
					 errmsg("migration \"%s\" conflicts with another upgrade on %s",
							migration, refused->object),
					 holders == NIL ? errdetail("The holder ended this moment.")
									: errdetail("It is held by %s.",
												upg_holder_describe(linitial(holders))),
					 errhint("Wait for it and try again, or end it with "
							 "pg_terminate_backend().")));

		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, pause,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		pause = Min(pause * 2, POLL_MAX);
	}
}

/*
 * upg_lock_holders
 *		Sessions that hold a lock which conflicts with this one.
 *
 * A list of UpgHolder in the current memory context.  Details are read as the
 * owner of the books, because the history names the blocker's query even when
 * its session belongs to another role.
 */
List *
upg_lock_holders(const LOCKTAG *tag, LOCKMODE mode)
{
	static UpgQuery query = {
		"SELECT a.usename::pg_catalog.text, a.application_name,"
		" pg_catalog.to_char(coalesce(a.xact_start, a.backend_start),"
		" 'YYYY-MM-DD HH24:MI:SS.MSTZH:TZM'), a.state,"
		" pg_catalog.left(a.query, 500)"
		" FROM pg_catalog.pg_stat_activity a WHERE a.pid = $1",
		SPI_OK_SELECT,
		1,
		{INT4OID}};
	MemoryContext caller = CurrentMemoryContext;
	LockData *locks = GetLockStatusData();
	List *holders = NIL;
	List *pids = NIL;

	for (int i = 0; i < locks->nelements; i++)
	{
		LockInstanceData *lock = &locks->locks[i];
		bool conflicts = false;

		if (memcmp(&lock->locktag, tag, sizeof(LOCKTAG)) != 0 || lock->pid == MyProcPid)
			continue;
		for (LOCKMODE held = 1; held <= MaxLockMode; held++)
		{
			if ((lock->holdMask & LOCKBIT_ON(held)) && DoLockModesConflict(held, mode))
				conflicts = true;
		}
		if (conflicts)
			pids = list_append_unique_int(pids, lock->pid);
	}

	if (pids != NIL)
	{
		UpgBooks books;
		ListCell *lc;

		upg_books_open(&books);
		foreach (lc, pids)
		{
			Datum value = Int32GetDatum(lfirst_int(lc));
			UpgHolder *holder;
			MemoryContext old;

			/* Statistics views keep a copy per transaction; the blocker may be newer. */
			pgstat_clear_snapshot();
			upg_query(&query, &value, NULL);
			old = MemoryContextSwitchTo(caller);
			holder = palloc0(sizeof(UpgHolder));
			holder->pid = lfirst_int(lc);
			if (SPI_processed > 0)
			{
				holder->user = upg_result_text(0, 1);
				holder->application = upg_result_text(0, 2);
				holder->since = upg_result_text(0, 3);
				holder->state = upg_result_text(0, 4);
				holder->query = upg_result_text(0, 5);
			}
			holders = lappend(holders, holder);
			MemoryContextSwitchTo(old);
		}
		upg_books_close(&books);
	}
	pfree(locks);

	return holders;
}

/*
 * upg_holder_describe
 *		A holder in words, for messages.
 */
char *
upg_holder_describe(const UpgHolder *holder)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "process %d", holder->pid);
	if (holder->user != NULL)
		appendStringInfo(&buf, " of role \"%s\"", holder->user);
	if (holder->application != NULL && holder->application[0] != '\0')
		appendStringInfo(&buf, " (%s)", holder->application);
	if (holder->since != NULL)
		appendStringInfo(&buf, ", since %s", holder->since);
	if (holder->query != NULL && holder->query[0] != '\0')
		appendStringInfo(&buf, ", running: %.200s", holder->query);
	return buf.data;
}

/*
 * upg_retry_say
 *		Tell the client at once for whom it waits, and that another try follows.
 *
 * The command line knows the notice by its code.
 */
void
upg_retry_say(int try, int tries, const char *blockers)
{
	ereport(NOTICE, (errcode(ERRCODE_UPG_LOCK_TIMEOUT),
					 errmsg("waiting for locks: try %d of %d failed", try, tries),
					 errdetail("%s", blockers)));
}

/*
 * upg_retry_pause
 *		Wait before the next try to get locks, a random time that grows from
 *		UPG_RETRY_FIRST on.
 */
void
upg_retry_pause(int *pause)
{
	long jitter = (long) (*pause * (0.5 + pg_prng_double(&pg_global_prng_state)));

	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, jitter,
					 PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	*pause = Min(*pause * 2, RETRY_MAX);
}
