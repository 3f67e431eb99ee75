/*-------------------------------------------------------------------------
 *
 * undo_shape.c
 *		Do columns still have the types that what comes back takes them for?
 *
 * An index, a key and every stored expression name columns by number, and hold the
 * types of then.  When a column has another type since, by a later migration or by
 * hand, nothing in the catalogs says that they no longer fit; the server would take
 * values for what they are not, and an index build can bring it down.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/undo_shape.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "parser/parse_coerce.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "undo.h"
#include "verify.h"

/* A column as it will be after the rollback. */
typedef struct ColumnKey
{
	Oid relation;
	int32 attnum;
} ColumnKey;

typedef struct Column
{
	ColumnKey key;
	Oid type;
	Oid collation;
} Column;

typedef struct Shapes
{
	HTAB *returning; /* columns whose rows come back or change back */
	List *stack;     /* range tables around the node that is looked at */
	Oid relation;    /* whose columns an expression names, outside of any query */
	bool found;      /* a column with another type than the tree says */
	ColumnKey which;
	Oid expected;
} Shapes;

/* Note the columns that the log brings back as they were. */
static HTAB *
returning_columns(UpgUndoLog *log)
{
	HASHCTL ctl = {0};
	HTAB *result;
	ListCell *lc;

	ctl.keysize = sizeof(ColumnKey);
	ctl.entrysize = sizeof(Column);
	ctl.hcxt = CurrentMemoryContext;
	result = hash_create("upg columns", 256, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	foreach (lc, upg_change_list(log->catalogs, AttributeRelationId))
	{
		UpgChange *change = lfirst(lc);
		Form_pg_attribute att;
		ColumnKey key;
		Column *column;

		if (change->before == NULL)
			continue;
		att = (Form_pg_attribute) GETSTRUCT(change->before);
		key.relation = att->attrelid;
		key.attnum = att->attnum;
		column = hash_search(result, &key, HASH_ENTER, NULL);
		column->type = att->atttypid;
		column->collation = att->attcollation;
	}
	return result;
}

/* The column as it will be; false if there is none, which others look after. */
static bool
find_column(Shapes *shapes, Oid relation, AttrNumber attnum, Column *column)
{
	Column *known;
	HeapTuple row;

	column->key.relation = relation;
	column->key.attnum = attnum;
	known = hash_search(shapes->returning, &column->key, HASH_FIND, NULL);
	if (known)
	{
		*column = *known;
		return OidIsValid(column->type);
	}
	row = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relation), Int16GetDatum(attnum));
	if (!HeapTupleIsValid(row))
		return false;
	column->type = ((Form_pg_attribute) GETSTRUCT(row))->atttypid;
	column->collation = ((Form_pg_attribute) GETSTRUCT(row))->attcollation;
	ReleaseSysCache(row);
	return OidIsValid(column->type);
}

/* Note that a column has not the type that it was taken for. */
static void
note(Shapes *shapes, const Column *column, Oid expected)
{
	shapes->found = true;
	shapes->which = column->key;
	shapes->expected = expected;
}

/* The relation whose column a variable is, or InvalidOid. */
static Oid
relation_of(Shapes *shapes, const Var *var)
{
	List *rtable;
	RangeTblEntry *rte;

	if (shapes->stack == NIL)
		return shapes->relation;
	if ((int) var->varlevelsup >= list_length(shapes->stack))
		return InvalidOid;
	rtable = list_nth(shapes->stack, var->varlevelsup);
	if (var->varno < 1 || var->varno > list_length(rtable))
		return InvalidOid;
	rte = list_nth(rtable, var->varno - 1);
	return rte->rtekind == RTE_RELATION ? rte->relid : InvalidOid;
}

/* Look for a variable whose column has another type. */
static bool
walk_tree(Node *node, void *arg)
{
	Shapes *shapes = arg;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		bool found;

		shapes->stack = lcons(((Query *) node)->rtable, shapes->stack);
		found = query_tree_walker((Query *) node, walk_tree, arg, 0);
		shapes->stack = list_delete_first(shapes->stack);
		return found;
	}
	if (IsA(node, Var))
	{
		Var *var = (Var *) node;
		Oid relation = var->varattno > 0 ? relation_of(shapes, var) : InvalidOid;
		Column column;

		if (OidIsValid(relation) &&
			find_column(shapes, relation, var->varattno, &column) &&
			(column.type != var->vartype || column.collation != var->varcollid))
		{
			note(shapes, &column, var->vartype);
			return true;
		}
		return false;
	}
	return expression_tree_walker(node, walk_tree, arg);
}

/* Look at all stored expressions of a row. */
static void
look_at_trees(Shapes *shapes, Oid catalog, HeapTuple row, TupleDesc desc)
{
	Oid second;

	shapes->relation = upg_row_relation(catalog, row, desc, &second);
	for (int i = 0; i < desc->natts && !shapes->found; i++)
	{
		Datum value;
		bool isnull;

		if (TupleDescAttr(desc, i)->atttypid != PG_NODE_TREEOID)
			continue;
		value = heap_getattr(row, i + 1, desc, &isnull);
		if (isnull)
			continue;
		shapes->stack = NIL;
		(void) walk_tree(stringToNode(TextDatumGetCString(value)), shapes);
	}
}

/* May the operators of this class be used for a column as it will be? */
static void
look_at_key(Shapes *shapes, Oid opclass, const Column *column, Oid index, int no)
{
	HeapTuple row = SearchSysCache1(CLAOID, ObjectIdGetDatum(opclass));
	ColumnKey key = {index, no};
	Column *part = hash_search(shapes->returning, &key, HASH_FIND, NULL);
	Oid input;
	bool stored;

	if (!HeapTupleIsValid(row))
		return;
	input = ((Form_pg_opclass) GETSTRUCT(row))->opcintype;
	stored = OidIsValid(((Form_pg_opclass) GETSTRUCT(row))->opckeytype);
	ReleaseSysCache(row);
	if (!stored && part != NULL && part->type != column->type)
		note(shapes, column, part->type);
	else if (!IsBinaryCoercible(column->type, input))
		note(shapes, column, input);
}

/* Look at the columns of an index. */
static void
look_at_index(Shapes *shapes, HeapTuple row, TupleDesc desc)
{
	Form_pg_index form = (Form_pg_index) GETSTRUCT(row);
	bool isnull;
	oidvector *classes = (oidvector *) DatumGetPointer(
		heap_getattr(row, Anum_pg_index_indclass, desc, &isnull));

	for (int i = 0; i < form->indnatts && !shapes->found; i++)
	{
		AttrNumber attnum = form->indkey.values[i];
		Column column;

		if (attnum <= 0 || !find_column(shapes, form->indrelid, attnum, &column))
			continue;
		if (i < form->indnkeyatts)
			look_at_key(shapes, classes->values[i], &column, form->indexrelid, i + 1);
		else
		{
			ColumnKey key = {form->indexrelid, i + 1};
			Column *part = hash_search(shapes->returning, &key, HASH_FIND, NULL);

			if (part != NULL && part->type != column.type)
				note(shapes, &column, part->type);
		}
	}
}

/* Look at the columns of a foreign key, by the operators that compare them. */
static void
look_at_foreign_key(Shapes *shapes, HeapTuple row, TupleDesc desc)
{
	Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(row);
	Datum arrays[3];
	static const AttrNumber columns[3] = {Anum_pg_constraint_conkey,
										  Anum_pg_constraint_confkey,
										  Anum_pg_constraint_conpfeqop};
	bool isnull;
	int n;

	for (int i = 0; i < 3; i++)
	{
		arrays[i] = heap_getattr(row, columns[i], desc, &isnull);
		if (isnull)
			return;
	}
	n = ARR_DIMS(DatumGetArrayTypeP(arrays[0]))[0];
	for (int i = 0; i < n && !shapes->found; i++)
	{
		AttrNumber *key = (AttrNumber *) ARR_DATA_PTR(DatumGetArrayTypeP(arrays[0]));
		AttrNumber *target = (AttrNumber *) ARR_DATA_PTR(DatumGetArrayTypeP(arrays[1]));
		Oid *operators = (Oid *) ARR_DATA_PTR(DatumGetArrayTypeP(arrays[2]));
		Column column;
		Oid left;
		Oid right;

		op_input_types(operators[i], &left, &right);
		if (find_column(shapes, form->confrelid, target[i], &column) &&
			!IsBinaryCoercible(column.type, left))
			note(shapes, &column, left);
		else if (find_column(shapes, form->conrelid, key[i], &column) &&
				 !IsBinaryCoercible(column.type, right) &&
				 !can_coerce_type(1, &column.type, &right, COERCION_IMPLICIT))
			note(shapes, &column, right);
	}
}

/*
 * upg_undo_check_shapes
 *		List what would come back for columns of other types than they will have.
 */
void
upg_undo_check_shapes(UpgUndoLog *log, List **conflicts)
{
	Shapes shapes = {0};
	List *found = NIL;
	ListCell *lc;

	shapes.returning = returning_columns(log);
	foreach (lc, log->catalogs)
	{
		UpgCatalogChanges *changes = lfirst(lc);
		Relation rel = table_open(changes->catalog, AccessShareLock);
		TupleDesc desc = RelationGetDescr(rel);
		ListCell *lc2;

		foreach (lc2, changes->changes)
		{
			UpgChange *change = lfirst(lc2);

			if (change->before == NULL)
				continue;
			shapes.found = false;
			look_at_trees(&shapes, changes->catalog, change->before, desc);
			if (!shapes.found && changes->catalog == IndexRelationId)
				look_at_index(&shapes, change->before, desc);
			if (!shapes.found && changes->catalog == ConstraintRelationId &&
				((Form_pg_constraint) GETSTRUCT(change->before))->contype ==
					CONSTRAINT_FOREIGN)
				look_at_foreign_key(&shapes, change->before, desc);
			if (shapes.found)
				found = lappend(
					found,
					psprintf(
						"%s comes back for a column \"%s\" of type %s, which is "
						"now of another type in table %s",
						upg_catalog_describe(changes->catalog, change->before, desc),
						get_attname(shapes.which.relation, shapes.which.attnum, true),
						format_type_be(shapes.expected),
						upg_qualified_name(shapes.which.relation)));
		}
		table_close(rel, AccessShareLock);
	}
	hash_destroy(shapes.returning);
	list_sort(found, upg_text_cmp); /* not as the catalogs happen to lie */
	*conflicts = list_concat(*conflicts, found);
}
