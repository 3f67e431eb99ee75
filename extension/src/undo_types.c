/*-------------------------------------------------------------------------
 *
 * undo_types.c
 *		What would go away inside of values: labels of enums, attributes of
 *		composite types.
 *
 * The server knows which column has which type, but not which label or
 * attribute a value holds.  A label that goes away leaves values that nobody
 * can read, in rows and in expressions that are stored with defaults, checks,
 * views and the like; an attribute takes along what was written into it.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/undo_types.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/typcache.h"

#include "undo.h"
#include "undo_merge.h"
#include "verify.h"

/* Does this row of pg_attribute go away with its table or by itself? */
static bool
goes_away(UpgUndoLog *log, Form_pg_attribute att)
{
	UpgChange *class = upg_class_change(log, att->attrelid);
	ListCell *lc;

	if (class && class->before == NULL)
		return true;
	foreach (lc, upg_change_list(log->catalogs, AttributeRelationId))
	{
		UpgChange *change = lfirst(lc);
		Form_pg_attribute after;

		if (change->before || change->after == NULL)
			continue;
		after = (Form_pg_attribute) GETSTRUCT(change->after);
		if (after->attrelid == att->attrelid && after->attnum == att->attnum)
			return true;
	}
	return false;
}

/* Is this type one that the migration made? */
static bool
is_new_type(UpgUndoLog *log, Oid type)
{
	ListCell *lc;

	foreach (lc, upg_change_list(log->catalogs, TypeRelationId))
	{
		UpgChange *change = lfirst(lc);

		if (change->before == NULL && change->after &&
			((Form_pg_type) GETSTRUCT(change->after))->oid == type)
			return true;
	}
	return false;
}

/*
 * columns_with
 *		The stored columns whose values have this type in them, and that do not
 *		go away themselves: rows of pg_attribute.
 */
static List *
columns_with(UpgUndoLog *log, Oid part)
{
	Relation rel = table_open(AttributeRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple tuple;
	List *result = NIL;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_attribute att = (Form_pg_attribute) GETSTRUCT(tuple);
		char relkind;

		if (att->attisdropped || att->attnum <= 0 || att->atttypid < FirstNormalObjectId)
			continue;
		relkind = get_rel_relkind(att->attrelid);
		if (relkind != RELKIND_RELATION && relkind != RELKIND_MATVIEW)
			continue;
		if (get_rel_persistence(att->attrelid) == RELPERSISTENCE_TEMP)
			continue;
		if (relkind == RELKIND_MATVIEW && !upg_rel_is_populated(att->attrelid))
			continue;
		if (upg_type_contains(att->atttypid, part) && !goes_away(log, att))
			result = lappend(result, heap_copytuple(tuple));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

/*
 * uses_label
 *		A condition: does this column, of an enum or of something made from it,
 *		hold this label?  Ranges inside of other values are known by their looks.
 */
static char *
uses_label(Oid type, Oid enumtype, const char *column, const char *label)
{
	type = getBaseType(type);
	if (type == enumtype)
		return psprintf("%s::text = %s", column, label);
	if (type_is_range(type) && getBaseType(get_range_subtype(type)) == enumtype)
		return psprintf("%s IN (pg_catalog.lower(%s)::text, pg_catalog.upper(%s)::text)",
						label, column, column);
	if (type_is_multirange(type) &&
		getBaseType(get_range_subtype(get_multirange_range(type))) == enumtype)
		return psprintf("EXISTS (SELECT FROM pg_catalog.unnest(%s) u WHERE %s IN "
						"(pg_catalog.lower(u)::text, pg_catalog.upper(u)::text))",
						column, label);
	return psprintf(
		"pg_catalog.jsonb_path_exists(pg_catalog.to_jsonb(%s), '$.** ? (@ == $label)', "
		"pg_catalog.jsonb_build_object('label', %s::text)) OR "
		"pg_catalog.to_jsonb(%s)::text "
		"~ '\"[[({]' AND pg_catalog.strpos(%s::text, %s) > 0",
		column, label, column, column, label);
}

/* A label that would go away, and how it looks in the text of an expression. */
typedef struct WantedLabel
{
	Form_pg_enum label;
	char *wanted;
} WantedLabel;

/*
 * want_label
 *		In the text of a tree a constant is its bytes, one number each; four of them
 *		are the label's OID, also inside of an array or a row.
 */
static List *
want_label(List *labels, Form_pg_enum label)
{
	const char *bytes = (const char *) &label->oid;
	WantedLabel *entry = palloc(sizeof(WantedLabel));

	entry->label = label;
	entry->wanted = psprintf(" %d %d %d %d ", bytes[0], bytes[1], bytes[2], bytes[3]);
	return lappend(labels, entry);
}

/* List the labels that a row has as constants of its stored expressions. */
static void
check_row(List *labels, Oid catalog, HeapTuple row, TupleDesc desc, List **conflicts)
{
	List *used = NIL; /* of WantedLabel */
	ListCell *lc;

	for (int c = 0; c < desc->natts; c++)
	{
		Datum value;
		bool isnull;
		char *tree;

		if (TupleDescAttr(desc, c)->atttypid != PG_NODE_TREEOID)
			continue;
		value = heap_getattr(row, c + 1, desc, &isnull);
		if (isnull)
			continue;
		tree = TextDatumGetCString(value);
		foreach (lc, labels)
			if (strstr(tree, ((WantedLabel *) lfirst(lc))->wanted) != NULL)
				used = list_append_unique_ptr(used, lfirst(lc));
		pfree(tree);
	}
	foreach (lc, used)
	{
		Form_pg_enum label = ((WantedLabel *) lfirst(lc))->label;

		*conflicts =
			lappend(*conflicts,
					psprintf("value \"%s\" of enum %s is used in %s",
							 NameStr(label->enumlabel), format_type_be(label->enumtypid),
							 upg_catalog_describe(catalog, row, desc)));
	}
}

/*
 * check_expressions
 *		Are enum labels that would go away constants of stored expressions?
 */
static void
check_expressions(List *labels, List **conflicts)
{
	int ncatalogs;
	const Oid *catalogs = upg_catalogs(&ncatalogs);

	for (int i = 0; i < ncatalogs; i++)
	{
		Relation rel = table_open(catalogs[i], AccessShareLock);
		TupleDesc desc = RelationGetDescr(rel);
		AttrNumber oid = get_attnum(catalogs[i], "oid");
		SysScanDesc scan = NULL;
		HeapTuple tuple;

		for (int c = 0; c < desc->natts; c++)
			if (TupleDescAttr(desc, c)->atttypid == PG_NODE_TREEOID && scan == NULL)
				scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
		while (scan && HeapTupleIsValid(tuple = systable_getnext(scan)))
		{
			bool isnull;

			if (oid == InvalidAttrNumber ||
				DatumGetObjectId(heap_getattr(tuple, oid, desc, &isnull)) >=
					FirstNormalObjectId)
				check_row(labels, catalogs[i], tuple, desc, conflicts);
		}
		if (scan)
			systable_endscan(scan);
		table_close(rel, AccessShareLock);
	}
}

/*
 * check_label
 *		Do rows hold an enum label that would go away?
 */
static void
check_label(UpgUndoLog *log, Form_pg_enum label, List **conflicts)
{
	char *text = pstrdup(NameStr(label->enumlabel));
	ListCell *lc;

	foreach (lc, columns_with(log, label->enumtypid))
	{
		Form_pg_attribute att = (Form_pg_attribute) GETSTRUCT((HeapTuple) lfirst(lc));
		char *query = psprintf("SELECT 1 FROM ONLY %s WHERE %s LIMIT 1",
							   upg_qualified_name(att->attrelid),
							   uses_label(att->atttypid, label->enumtypid,
										  quote_identifier(NameStr(att->attname)),
										  quote_literal_cstr(text)));

		if (upg_data_finds_row(query, att->attrelid))
			*conflicts = lappend(
				*conflicts,
				psprintf("value \"%s\" of enum %s is used in column \"%s\" of table %s",
						 text, format_type_be(label->enumtypid), NameStr(att->attname),
						 upg_qualified_name(att->attrelid)));
	}
}

/* Rows written since that hold a value in an attribute that would go away. */
typedef struct AttributeScan
{
	Oid type;        /* the composite type */
	AttrNumber gone; /* its attribute */
	AttrNumber attnum;
	Oid atttype; /* of the column */
	TupleDesc desc;
	int64 rows;
} AttributeScan;

/* Does this value hold one in the attribute? */
static bool
holds_attribute(const AttributeScan *scan, Oid type, Datum value)
{
	Oid element;
	bool found = false;

	check_stack_depth();
	type = getBaseType(type);
	element = get_element_type(type);
	if (OidIsValid(element))
	{
		int16 len;
		bool byval;
		char align;
		Datum *values;
		bool *nulls;
		int n;

		get_typlenbyvalalign(element, &len, &byval, &align);
		deconstruct_array(DatumGetArrayTypeP(value), element, len, byval, align, &values,
						  &nulls, &n);
		for (int i = 0; i < n && !found; i++)
			found = !nulls[i] && holds_attribute(scan, element, values[i]);
	}
	else if (get_typtype(type) == TYPTYPE_COMPOSITE)
	{
		HeapTupleHeader header = DatumGetHeapTupleHeader(value);
		TupleDesc desc = lookup_rowtype_tupdesc(type, -1);
		HeapTupleData row = {0};

		row.t_len = HeapTupleHeaderGetDatumLength(header);
		row.t_data = header;
		for (int i = 0; i < desc->natts && !found; i++)
		{
			Form_pg_attribute att = TupleDescAttr(desc, i);
			bool wanted = type == scan->type && att->attnum == scan->gone;
			Datum field;
			bool isnull;

			if (att->attisdropped ||
				(!wanted && !upg_type_contains(att->atttypid, scan->type)))
				continue;
			field = heap_getattr(&row, att->attnum, desc, &isnull);
			found = !isnull && (wanted || holds_attribute(scan, att->atttypid, field));
		}
		ReleaseTupleDesc(desc);
	}
	return found;
}

static void
count_holding(HeapTuple row, bool own, bool since, void *arg)
{
	AttributeScan *scan = arg;
	bool isnull;
	Datum value;

	if (!since)
		return;
	value = heap_getattr(row, scan->attnum, scan->desc, &isnull);
	if (!isnull && holds_attribute(scan, scan->atttype, value))
		scan->rows++;
}

/* Does anything but its array type depend on this type? */
static bool
is_type_used(Oid type)
{
	Relation rel = table_open(DependRelationId, AccessShareLock);
	Oid array = get_array_type(type);
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple tuple;
	bool result = false;

	ScanKeyInit(&key[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(TypeRelationId));
	ScanKeyInit(&key[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(type));
	scan = systable_beginscan(rel, DependReferenceIndexId, true, NULL, 2, key);
	while (!result && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);

		result = !(form->classid == TypeRelationId && form->objid == array);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result || (OidIsValid(array) && is_type_used(array));
}

/*
 * check_attribute
 *		Was something written since into an attribute that would go away?
 */
static void
check_attribute(UpgUndoLog *log, UpgUndoOptions *options, Form_pg_attribute gone,
				List **conflicts)
{
	AttributeScan scan = {0};
	ListCell *lc;

	scan.type = get_rel_type_id(gone->attrelid);
	scan.gone = gone->attnum;
	if (!OidIsValid(scan.type) || !is_type_used(scan.type))
		return;
	foreach (lc, columns_with(log, scan.type))
	{
		Form_pg_attribute att = (Form_pg_attribute) GETSTRUCT((HeapTuple) lfirst(lc));
		Relation rel;

		if (upg_policy_of(options, att->attrelid) == UPG_ON_CONFLICT_DISCARD ||
			get_rel_relkind(att->attrelid) != RELKIND_RELATION)
			continue;
		rel = table_open(att->attrelid, AccessShareLock);
		scan.attnum = att->attnum;
		scan.atttype = att->atttypid;
		scan.desc = RelationGetDescr(rel);
		scan.rows = 0;
		upg_since_scan(rel, log, NULL, count_holding, &scan);
		table_close(rel, NoLock);
		if (scan.rows > 0)
			*conflicts = lappend(
				*conflicts,
				psprintf(INT64_FORMAT " rows of table %s were written since with a value "
									  "in attribute \"%s\" of type %s, column \"%s\"",
						 scan.rows, upg_qualified_name(att->attrelid),
						 NameStr(gone->attname), format_type_be(scan.type),
						 NameStr(att->attname)));
	}
}

/*
 * upg_undo_check_types
 *		List what is in use inside of values and would go away.
 */
void
upg_undo_check_types(UpgUndoLog *log, UpgUndoOptions *options, List **conflicts)
{
	List *found = NIL;
	List *labels = NIL; /* of WantedLabel */
	ListCell *lc;

	foreach (lc, upg_change_list(log->catalogs, EnumRelationId))
	{
		UpgChange *change = lfirst(lc);
		Form_pg_enum label;

		if (change->before || change->current == NULL)
			continue;
		label = (Form_pg_enum) GETSTRUCT(change->current);
		if (!is_new_type(log, label->enumtypid))
		{
			check_label(log, label, &found);
			labels = want_label(labels, label);
		}
	}
	if (labels != NIL)
		check_expressions(labels, &found);
	foreach (lc, upg_change_list(log->catalogs, AttributeRelationId))
	{
		UpgChange *change = lfirst(lc);
		Form_pg_attribute gone;
		UpgChange *class;

		if (change->before || change->current == NULL)
			continue;
		gone = (Form_pg_attribute) GETSTRUCT(change->current);
		class = upg_class_change(log, gone->attrelid);
		if (gone->attnum > 0 && !gone->attisdropped && !(class && class->before == NULL))
			check_attribute(log, options, gone, &found);
	}
	list_sort(found, upg_text_cmp); /* not by OID */
	*conflicts = list_concat(*conflicts, found);
}
