/*-------------------------------------------------------------------------
 *
 * undo_cost.c
 *		What keeping the undo of a script would cost beyond the script itself.
 *
 * Files of dropped and rewritten relations are kept at no cost that grows with
 * them, and what rows are changed is known only when they are.  What can be told
 * beforehand is the copy of dropped columns: it reads the table.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/undo_cost.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

#include "capture_internal.h"
#include "script.h"

PG_FUNCTION_INFO_V1(upg_undo_cost);

/* Does the statement drop a column? */
static bool
drops_column(AlterTableStmt *statement)
{
	ListCell *lc;

	foreach (lc, statement->cmds)
		if (lfirst_node(AlterTableCmd, lc)->subtype == AT_DropColumn)
			return true;
	return false;
}

/* One table whose dropped columns would be copied, or would not. */
static void
put_table(ReturnSetInfo *rsinfo, int line, Oid relation)
{
	Relation rel = try_relation_open(relation, AccessShareLock);
	Datum values[5];
	bool nulls[5] = {false};
	uint64 bytes;

	if (rel == NULL)
		return;
	if (rel->rd_rel->relkind == RELKIND_RELATION)
	{
		bytes = upg_columns_table_bytes(rel);
		values[0] = Int32GetDatum(line);
		values[1] = CStringGetTextDatum(upg_qualified_name(relation));
		values[2] = Int64GetDatum((int64) bytes);
		values[3] = Int64GetDatum((int64) rel->rd_rel->reltuples);
		nulls[3] = rel->rd_rel->reltuples < 0; /* never analyzed */
		values[4] = BoolGetDatum(upg_columns_are_copied(bytes));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	relation_close(rel, AccessShareLock);
}

/*
 * upg_undo_cost
 *		The tables that a script drops columns from, with what copying their
 *		values would read.
 *
 * Only tables that are there now and that the script names, with their
 * partitions and children.
 */
Datum
upg_undo_cost(PG_FUNCTION_ARGS)
{
	UpgScript *script = upg_script_parse(text_to_cstring(PG_GETARG_TEXT_PP(0)), NULL);

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < script->nstatements; i++)
	{
		Node *node = script->statements[i].raw->stmt;
		AlterTableStmt *statement = (AlterTableStmt *) node;
		Oid relation;
		ListCell *lc;

		CHECK_FOR_INTERRUPTS();
		if (!IsA(node, AlterTableStmt) || !drops_column(statement))
			continue;
		relation = RangeVarGetRelid(statement->relation, NoLock, true);
		if (!OidIsValid(relation))
			continue;
		foreach (lc, find_all_inheritors(relation, NoLock, NULL))
			put_table((ReturnSetInfo *) fcinfo->resultinfo, script->statements[i].line,
					  lfirst_oid(lc));
	}

	return (Datum) 0;
}
