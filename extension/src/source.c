/*-------------------------------------------------------------------------
 *
 * source.c
 *		Relations to be verified, and the ways to read them.
 *
 * Heap tables are scanned directly (tablescan.c).  Everything else goes through
 * the executor: views, foreign tables, other access methods, row-level
 * security, filters, expressions.  Both see the active snapshot, and both give
 * what the current user may read and nothing more: the direct scan checks the
 * privileges that the executor would, and is not used where a policy applies.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/source.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "commands/tablecmds.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "errors.h"
#include "source.h"

/* Rows fetched from the executor at a time. */
#define FETCH_ROWS 1000

/* Let a syntax error point into the expression, not into the query that passed it. */
static void
expression_error_context(void *arg)
{
	int position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery((const char *) arg);
	}
}

/*
 * upg_check_expression
 *		Make sure that a text is one SQL expression and nothing besides, so that
 *		it can stand in parentheses in a query.
 */
void
upg_check_expression(const char *text, const char *what)
{
	ErrorContextCallback callback;
	List *parsed;
	SelectStmt *select;
	ResTarget *target;
	bool plain;

	callback.callback = expression_error_context;
	callback.arg = unconstify(char *, text);
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	parsed = raw_parser(text, RAW_PARSE_PLPGSQL_EXPR);
	error_context_stack = callback.previous;
	select = (SelectStmt *) linitial_node(RawStmt, parsed)->stmt;

	plain = IsA(select, SelectStmt) && select->op == SETOP_NONE &&
			select->distinctClause == NIL && select->intoClause == NULL &&
			list_length(select->targetList) == 1 && select->fromClause == NIL &&
			select->whereClause == NULL && select->groupClause == NIL &&
			select->havingClause == NULL && select->windowClause == NIL &&
			select->valuesLists == NIL && select->sortClause == NIL &&
			select->limitOffset == NULL && select->limitCount == NULL &&
			select->lockingClause == NIL && select->withClause == NULL;
	if (plain)
	{
		target = linitial_node(ResTarget, select->targetList);
		plain = target->name == NULL && target->val != NULL;
	}
	if (!plain)
		ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR),
						errmsg("%s is not a single SQL expression: %s", what, text)));
}

/*
 * check_snapshot
 *		Refuse a table whose storage is not the one that the snapshot knows.
 *
 * TRUNCATE and commands that rewrite a table do not keep old row versions for
 * older snapshots.  Reading on would give an answer about other rows than those
 * that the snapshot stands for, most often about none.
 */
static void
check_snapshot(Relation rel)
{
	Relation catalog;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;
	bool same = false;

	catalog = table_open(RelationRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_class_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(RelationGetRelid(rel)));
	scan =
		systable_beginscan(catalog, ClassOidIndexId, true, GetActiveSnapshot(), 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		same =
			((Form_pg_class) GETSTRUCT(tuple))->relfilenode == rel->rd_rel->relfilenode;
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);

	if (!same)
		ereport(
			ERROR,
			(errcode(ERRCODE_UPG_RELATION_CHANGED),
			 errmsg(
				 "relation \"%s\" was created, truncated or rewritten after the snapshot "
				 "of this transaction was taken",
				 RelationGetRelationName(rel)),
			 errdetail("The rows that belong to the snapshot may no longer exist."),
			 errhint("Run this again in a new transaction.")));
}

/*
 * scannable
 *		Whether a relation is a heap table that this process can scan itself.
 */
static bool
scannable(Relation rel)
{
	TupleDesc desc = RelationGetDescr(rel);

	if (rel->rd_rel->relkind != RELKIND_RELATION &&
		rel->rd_rel->relkind != RELKIND_MATVIEW)
		return false;
	if (rel->rd_tableam != GetHeapamTableAmRoutine() || !rel->rd_rel->relispopulated ||
		RELATION_IS_OTHER_TEMP(rel))
		return false;

	/* columns that are computed when read are not in the tuple */
	for (int i = 0; i < desc->natts; i++)
	{
		char generated = TupleDescAttr(desc, i)->attgenerated;

		if (generated != '\0' && generated != ATTRIBUTE_GENERATED_STORED)
			return false;
	}
	return true;
}

/*
 * find_members
 *		The heap tables that a relation consists of, locked; NIL if it has
 *		parts that cannot be scanned directly.
 */
static List *
find_members(Relation rel, bool only)
{
	List *all;
	List *members = NIL;
	ListCell *lc;

	if (only || !rel->rd_rel->relhassubclass)
		all = list_make1_oid(RelationGetRelid(rel));
	else
		all = find_all_inheritors(RelationGetRelid(rel), AccessShareLock, NULL);

	foreach (lc, all)
	{
		Relation member = table_open(lfirst_oid(lc), NoLock);
		bool partitioned = member->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
		bool usable = partitioned || scannable(member);

		if (usable && !partitioned)
		{
			check_snapshot(member);
			members = lappend_oid(members, RelationGetRelid(member));
		}
		table_close(member, NoLock);
		if (!usable)
			return NIL;
	}
	return members;
}

/*
 * upg_source_open
 *		Lock a relation and see how it can be read.
 *
 * The lock is ACCESS SHARE, kept until the transaction ends, on the relation
 * and, if it has them, on its partitions or children.
 */
UpgSource *
upg_source_open(Oid relid, bool only, const char *filter)
{
	UpgSource *source = palloc0(sizeof(UpgSource));
	Relation rel = try_relation_open(relid, AccessShareLock);

	if (rel == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("relation with OID %u does not exist", relid)));
	source->relid = relid;
	source->only = only;
	source->relkind = rel->rd_rel->relkind;
	source->label = quote_qualified_identifier(
		get_namespace_name(RelationGetNamespace(rel)), RelationGetRelationName(rel));
	source->desc = CreateTupleDescCopyConstr(RelationGetDescr(rel));

	switch (source->relkind)
	{
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
		case RELKIND_MATVIEW:
		case RELKIND_VIEW:
		case RELKIND_FOREIGN_TABLE:
			break;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("\"%s\" has no rows that can be verified",
							RelationGetRelationName(rel)),
					 errdetail("It is not a table, view, materialized view or foreign "
							   "table.")));
	}
	if (filter)
	{
		upg_check_expression(filter, "filter");
		source->filter = pstrdup(filter);
	}
	if (source->filter == NULL && check_enable_rls(relid, InvalidOid, true) == RLS_NONE)
		source->members = find_members(rel, only);
	else if (RELKIND_HAS_STORAGE(source->relkind))
		check_snapshot(rel);
	relation_close(rel, NoLock);
	return source;
}

/*
 * upg_source_is_direct
 *		Whether the job will be done by scanning the source directly.
 */
bool
upg_source_is_direct(UpgSource *source, const UpgScanJob *job)
{
	if (source->members == NIL)
		return false;
	for (int i = 0; i < job->ncolumns; i++)
		if (job->columns[i].expr)
			return false;
	return true;
}

/*
 * check_column
 *		Whether the current user may read a column.
 */
static void
check_column(UpgSource *source, const char *name)
{
	AttrNumber attnum = get_attnum(source->relid, name);

	if (attnum == InvalidAttrNumber)
		elog(ERROR, "column \"%s\" of relation %s vanished", name, source->label);
	if (pg_attribute_aclcheck(source->relid, attnum, GetUserId(), ACL_SELECT) !=
		ACLCHECK_OK)
		aclcheck_error_col(ACLCHECK_NO_PRIV, OBJECT_COLUMN, get_rel_name(source->relid),
						   name);
}

/*
 * upg_source_check_privileges
 *		Require what the executor would require of a SELECT of these columns.
 *
 * As there, privileges on a parent are enough for its children.
 */
void
upg_source_check_privileges(UpgSource *source, const UpgScanJob *job)
{
	Oid user = GetUserId();

	if (pg_class_aclcheck(source->relid, user, ACL_SELECT) == ACLCHECK_OK)
		return;
	if (job->ncolumns == 0 && pg_attribute_aclcheck_all(source->relid, user, ACL_SELECT,
														ACLMASK_ANY) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, get_relkind_objtype(source->relkind),
					   get_rel_name(source->relid));
	for (int i = 0; i < job->ncolumns; i++)
		check_column(source, job->columns[i].attname);
}

/*
 * upg_source_from
 *		The source as it stands in a FROM clause.
 */
char *
upg_source_from(UpgSource *source)
{
	return psprintf("%s%s", source->only ? "ONLY " : "", source->label);
}

/*
 * upg_source_column_sql
 *		A column as it stands in a select list.
 */
char *
upg_source_column_sql(const UpgScanColumn *column)
{
	/* the line break ends a comment that the expression may end with */
	if (column->expr)
		return psprintf("(%s\n)", column->expr);
	return pstrdup(quote_identifier(column->attname));
}

/*
 * upg_source_query_scan
 *		Hash the rows of a source through the executor.
 *
 * "where" is one more condition, made by us, whose parameters are "args".  The
 * columns are selected under names of our own, which no expression can clash
 * with.
 */
void
upg_source_query_scan(UpgSource *source, const UpgScanJob *job, const char *where,
					  int nargs, Oid *argtypes, Datum *args, UpgChecksum *total,
					  UpgSketch *sketch, UpgScanRowFunc func, void *arg)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "upg query scan",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	UpgScanJob inner = *job;
	StringInfoData sql;
	const char *separator = "";
	Portal portal;
	UpgScanPlan *plan;
	UpgSketchQueue queue;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT ");
	inner.columns = palloc0(sizeof(UpgScanColumn) * Max(job->ncolumns, 1));
	for (int i = 0; i < job->ncolumns; i++)
	{
		inner.columns[i].attname = psprintf("c%d", i);
		inner.columns[i].name = job->columns[i].name;
		appendStringInfo(&sql, "%s%s AS c%d", separator,
						 upg_source_column_sql(&job->columns[i]), i);
		separator = ", ";
	}
	appendStringInfo(&sql, " FROM %s", upg_source_from(source));
	if (source->filter || where)
		appendStringInfoString(&sql, " WHERE ");
	if (source->filter)
		appendStringInfo(&sql, "(%s\n)", source->filter);
	if (source->filter && where)
		appendStringInfoString(&sql, " AND ");
	if (where)
		appendStringInfo(&sql, "(%s)", where);

	SPI_connect();
	portal =
		SPI_cursor_open_with_args(NULL, sql.data, nargs, argtypes, args, NULL, true, 0);
	MemoryContextSwitchTo(context);
	plan = upg_scan_plan(&inner, CreateTupleDescCopy(portal->tupDesc));
	upg_checksum_merge_into(
		total, &(UpgChecksum){.header = upg_checksum_header(plan->canon, plan->row)});
	if (sketch)
	{
		sketch->key_form = plan->key_form;
		sketch->key_signature = plan->key ? plan->key->signature : 0;
		upg_sketch_begin(&queue, sketch);
	}
	for (;;)
	{
		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		MemoryContextSwitchTo(context);
		if (SPI_processed == 0)
			break;
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			HeapTuple tuple = SPI_tuptable->vals[i];
			UpgSum hash;

			upg_row_walk(plan->row, tuple->t_data);
			hash = upg_row_hash_walked(plan->row);
			if (sketch)
			{
				UpgSum key = upg_scan_key(plan, hash);

				if (sketch->buckets > 1 &&
					upg_sketch_bucket(key, sketch->seed, sketch->buckets) !=
						sketch->bucket)
					continue;
				upg_sketch_add(&queue, key, hash);
			}
			upg_sum_add(&total->sum, hash);
			total->rows++;
			if (func)
				func(arg, plan, hash, tuple);
		}
		SPI_freetuptable(SPI_tuptable);
	}
	if (sketch)
		upg_sketch_end(&queue);
	SPI_cursor_close(portal);
	SPI_finish();
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/*
 * upg_source_scan
 *		Hash all rows of a source, the fastest way it allows.
 *
 * As upg_scan_heap(), which see.
 */
void
upg_source_scan(UpgSource *source, const UpgScanJob *job, int workers, UpgChecksum *total,
				UpgSketch *sketch, UpgScanRowFunc func, void *arg)
{
	if (upg_source_is_direct(source, job))
	{
		upg_source_check_privileges(source, job);
		upg_scan_heap(job, source->members, workers, total, sketch, func, arg);
	}
	else
		upg_source_query_scan(source, job, NULL, 0, NULL, NULL, total, sketch, func, arg);
}
