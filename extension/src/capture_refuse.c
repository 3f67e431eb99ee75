/*-------------------------------------------------------------------------
 *
 * capture_refuse.c
 *		What no rollback can take back, seen from the statement alone.
 *
 * A statement is looked at before it runs, wherever it runs: at top level, in
 * a function, in a DO block.  What reaches outside of this database's
 * transaction is refused, or written down when the migration asked for the
 * best effort only.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/capture_refuse.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
#include "utils/lsyscache.h"

#include "capture_internal.h"

static bool
has_true_option(List *options, const char *name)
{
	ListCell *lc;

	foreach (lc, options)
	{
		DefElem *option = lfirst(lc);

		if (strcmp(option->defname, name) == 0)
			return defGetBoolean(option);
	}
	return false;
}

/* Rows written to another server are not ours to take back. */
static void
refuse_foreign_rows(UpgCapture *capture, PlannedStmt *plan)
{
	ListCell *lc;

	foreach (lc, plan->resultRelations)
	{
		RangeTblEntry *rte = list_nth(plan->rtable, lfirst_int(lc) - 1);

		if (rte->relkind == RELKIND_FOREIGN_TABLE)
			upg_capture_flag(
				capture,
				psprintf("writing to foreign table \"%s\"", get_rel_name(rte->relid)),
				"The rows live on another server.", "Change them where they live.");
	}
}

/* Is this a DROP or ALTER of the extension upg itself? */
static bool
is_own_extension(Node *statement)
{
	ListCell *lc;

	if (IsA(statement, AlterExtensionStmt))
		return strcmp(((AlterExtensionStmt *) statement)->extname, "upg") == 0;
	if (IsA(statement, DropStmt) &&
		((DropStmt *) statement)->removeType == OBJECT_EXTENSION)
		foreach (lc, ((DropStmt *) statement)->objects)
			if (strcmp(strVal(lfirst(lc)), "upg") == 0)
				return true;
	return false;
}

/*
 * upg_capture_kind
 *		How the changes of a statement that no transaction can hold are watched.
 */
UpgCaptureKind
upg_capture_kind(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_IndexStmt:
		case T_DropStmt:
		case T_AlterTableStmt:
			return UPG_CAPTURE_MERGED;
		case T_ReindexStmt:
			/* without CONCURRENTLY an index gets another file, nothing else */
			return has_true_option(((ReindexStmt *) statement)->params, "concurrently")
					   ? UPG_CAPTURE_MERGED
					   : UPG_CAPTURE_NOTHING;
		case T_VacuumStmt:
		case T_ClusterStmt:
		case T_DiscardStmt:
		case T_CheckPointStmt:
			return UPG_CAPTURE_NOTHING;
		case T_AlterSystemStmt:
		case T_CreatedbStmt:
		case T_DropdbStmt:
		case T_AlterDatabaseStmt:
		case T_CreateTableSpaceStmt:
		case T_DropTableSpaceStmt:
		case T_CreateSubscriptionStmt:
		case T_AlterSubscriptionStmt:
		case T_DropSubscriptionStmt:
			return UPG_CAPTURE_OUTSIDE;
		default:
			return UPG_CAPTURE_COMMITS;
	}
}

/*
 * upg_capture_refuse
 *		Refuse, or write down, a statement that cannot be taken back.
 */
void
upg_capture_refuse(UpgCapture *capture, Node *statement)
{
	static const char outside[] = "Its effect is outside of this transaction.";
	static const char elsewhere[] = "Run it outside of the migration.";

	if (statement == NULL)
		return;
	if (IsA(statement, RawStmt))
		statement = ((RawStmt *) statement)->stmt;
	if (IsA(statement, PlannedStmt))
	{
		if (((PlannedStmt *) statement)->utilityStmt == NULL)
		{
			refuse_foreign_rows(capture, (PlannedStmt *) statement);
			return;
		}
		statement = ((PlannedStmt *) statement)->utilityStmt;
	}

	switch (nodeTag(statement))
	{
		case T_CreatedbStmt:
			upg_capture_flag(capture, "CREATE DATABASE", outside, elsewhere);
			break;
		case T_DropdbStmt:
			upg_capture_flag(capture, "DROP DATABASE", outside, elsewhere);
			break;
		case T_AlterDatabaseStmt:
			if (upg_statement_own_transaction(statement) != NULL)
				upg_capture_flag(capture, "ALTER DATABASE ... SET TABLESPACE",
								 "It moves the files of the database.", elsewhere);
			break;
		case T_CreateTableSpaceStmt:
			upg_capture_flag(capture, "CREATE TABLESPACE",
							 "It makes a directory on the server.", elsewhere);
			break;
		case T_DropTableSpaceStmt:
			upg_capture_flag(capture, "DROP TABLESPACE",
							 "It removes a directory on the server.", elsewhere);
			break;
		case T_AlterSystemStmt:
			upg_capture_flag(capture, "ALTER SYSTEM", "It writes a file of the server.",
							 elsewhere);
			break;
		case T_NotifyStmt:
			if (!upg_capture_notified(capture))
				upg_capture_flag(capture, "NOTIFY", "Who has heard it cannot forget it.",
								 "Let the application send it after the upgrade.");
			break;
		case T_CreateSubscriptionStmt:
		case T_AlterSubscriptionStmt:
		case T_DropSubscriptionStmt:
			upg_capture_flag(capture, "changing a subscription",
							 "It acts on the publishing server.", elsewhere);
			break;
		case T_TransactionStmt:
			if (((TransactionStmt *) statement)->kind == TRANS_STMT_PREPARE)
				upg_capture_flag(capture, "PREPARE TRANSACTION",
								 "The migration would end in another session.",
								 elsewhere);
			break;
		case T_CopyStmt:
		{
			CopyStmt *copy = (CopyStmt *) statement;

			if (copy->is_program)
				upg_capture_flag(capture, "COPY ... PROGRAM",
								 "The program's effect is outside of the database.",
								 elsewhere);
			else if (!copy->is_from && copy->filename)
				upg_capture_flag(capture, "COPY ... TO a file",
								 "It writes a file on the server.", elsewhere);
			if (copy->is_from && has_true_option(copy->options, "freeze"))
				upg_capture_flag(capture, "COPY ... FREEZE",
								 "Frozen rows cannot be told from older ones.",
								 "Leave out FREEZE.");
			break;
		}
		case T_VariableSetStmt:
		{
			VariableSetStmt *set = (VariableSetStmt *) statement;

			if (set->name && strcmp(set->name, "track_counts") == 0)
				upg_capture_flag(capture, "SET track_counts",
								 "Capture needs the counters to find changed tables.",
								 "Leave that setting alone.");
			break;
		}
		case T_DropStmt:
		case T_AlterExtensionStmt:
			if (is_own_extension(statement))
				upg_capture_flag(capture, "changing the extension upg",
								 "It holds the undo.", elsewhere);
			break;
		case T_CreateExtensionStmt:
			break;
		default:
			break;
	}
}

/*
 * upg_statement_may_use_sequences
 *		Can this statement call nextval() or setval() on a sequence that was
 *		there before?
 *
 * Plain DDL cannot: it makes sequences, but their files are new.  Whatever may
 * evaluate an expression or run a query can.
 */
bool
upg_statement_may_use_sequences(Node *statement)
{
	if (statement == NULL)
		return false;
	switch (nodeTag(statement))
	{
		case T_CreateEnumStmt:
		case T_CompositeTypeStmt:
		case T_CreateFunctionStmt:
		case T_AlterFunctionStmt:
		case T_ViewStmt:
		case T_CreateTrigStmt:
		case T_RuleStmt:
		case T_CreateStmt:
		case T_CreateSchemaStmt:
		case T_CreatePolicyStmt:
		case T_AlterPolicyStmt:
		case T_CommentStmt:
		case T_GrantStmt:
		case T_GrantRoleStmt:
		case T_AlterDefaultPrivilegesStmt:
		case T_AlterOwnerStmt:
		case T_AlterEnumStmt:
		case T_RenameStmt:
		case T_AlterObjectSchemaStmt:
		case T_VariableSetStmt:
		case T_CreateSeqStmt:
		case T_DropStmt:
		case T_DefineStmt:
		case T_CreateRoleStmt:
		case T_AlterRoleStmt:
		case T_LockStmt:
		case T_CreateStatsStmt:
		case T_TransactionStmt:
		case T_ConstraintsSetStmt:
			return false;
		case T_IndexStmt:
			return ((IndexStmt *) statement)->whereClause != NULL;
		case T_AlterTableStmt:
		{
			ListCell *lc;

			foreach (lc, ((AlterTableStmt *) statement)->cmds)
			{
				AlterTableCmd *cmd = lfirst(lc);

				switch (cmd->subtype)
				{
					case AT_AddColumn:
					case AT_AlterColumnType:
					case AT_AddConstraint:
					case AT_ValidateConstraint:
					case AT_AddIdentity:
						return true;
					default:
						break;
				}
			}
			return false;
		}
		default:
			return true;
	}
}
