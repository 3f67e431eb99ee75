/*-------------------------------------------------------------------------
 *
 * undo_catalog.c
 *		Facts about system catalogs that capture, proof and rollback share:
 *		how a row is found again, which columns the server changes by itself,
 *		to which relation a row belongs.
 *
 * Keys come from the catalogs' own primary keys, so a new catalog needs no
 * code here.  Only pg_depend and pg_shdepend have none: their rows are a
 * multiset.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/undo_catalog.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heaptoast.h"
#include "access/htup_details.h"
#include "access/reloptions.h"
#include "access/skey.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "catalog/indexing.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_database.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_partitioned_table.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_publication_rel.h"
#include "catalog/pg_replication_origin.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_shdepend.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_statistic_ext_data.h"
#include "catalog/pg_subscription_rel.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "undo.h"

/* The option under which minor releases keep the version of an attribute. */
#define ATTVER_PREFIX "pg_attver="

static HTAB *catalog_infos = NULL;

static bool attoptions_equal(Datum a, bool anull, Datum b, bool bnull);

/*
 * is_derived
 *		Catalogs whose content is not part of the schema: statistics, and what
 *		replication keeps for itself.
 */
static bool
is_derived(Oid catalog)
{
	switch (catalog)
	{
		case StatisticRelationId:
		case StatisticExtDataRelationId:
		case ReplicationOriginRelationId:
		case SubscriptionRelRelationId:
			return true;
		default:
			return false;
	}
}

/*
 * upg_catalogs
 *		OIDs of all catalogs that are captured, shared ones included.
 *
 * The list is made once per backend: catalogs come with the server.
 */
const Oid *
upg_catalogs(int *n)
{
	static Oid *catalogs = NULL;
	static int ncatalogs = 0;

	if (catalogs == NULL)
	{
		Relation pgclass = table_open(RelationRelationId, AccessShareLock);
		Oid *list = MemoryContextAlloc(TopMemoryContext, 256 * sizeof(Oid));
		int count = 0;
		SysScanDesc scan = systable_beginscan(pgclass, InvalidOid, false, NULL, 0, NULL);
		HeapTuple tuple;

		while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		{
			Form_pg_class form = (Form_pg_class) GETSTRUCT(tuple);

			if (form->relnamespace == PG_CATALOG_NAMESPACE &&
				form->relkind == RELKIND_RELATION && form->oid < FirstUnpinnedObjectId &&
				!is_derived(form->oid))
			{
				if (count == 256)
					elog(ERROR, "too many catalogs");
				list[count++] = form->oid;
			}
		}
		systable_endscan(scan);
		table_close(pgclass, AccessShareLock);
		ncatalogs = count;
		catalogs = list;
	}
	*n = ncatalogs;
	return catalogs;
}

/* Add the columns that are moved by the server itself, by name. */
static void
mark_moving(UpgCatalogInfo *info, Relation rel, const char *const *names)
{
	for (; *names; names++)
	{
		AttrNumber attnum = get_attnum(RelationGetRelid(rel), *names);

		if (attnum != InvalidAttrNumber)
			info->moving = bms_add_member(info->moving, attnum);
	}
}

/*
 * upg_catalog_info
 *		How to find a row of this catalog again; cached for the backend's life.
 */
UpgCatalogInfo *
upg_catalog_info(Relation rel)
{
	static const char *const class_moving[] = {
		"relpages",   "reltuples",   "relallvisible", "relallfrozen",   "relfrozenxid",
		"relminmxid", "relhasindex", "relhasrules",   "relhastriggers", "relhassubclass",
		NULL};
	static const char *const database_moving[] = {"datfrozenxid", "datminmxid", NULL};
	static const char *const index_moving[] = {"indcheckxmin", NULL};
	Oid catalog = RelationGetRelid(rel);
	UpgCatalogInfo *info;
	MemoryContext oldcxt;
	bool found;

	if (catalog_infos == NULL)
	{
		HASHCTL ctl = {0};

		ctl.keysize = sizeof(Oid);
		ctl.entrysize = sizeof(UpgCatalogInfo);
		ctl.hcxt = TopMemoryContext;
		catalog_infos =
			hash_create("upg catalogs", 128, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	info = hash_search(catalog_infos, &catalog, HASH_FIND, NULL);
	if (info)
		return info;

	{
		UpgCatalogInfo build = {0};
		List *indexes;
		ListCell *lc;

		oldcxt = MemoryContextSwitchTo(TopMemoryContext);
		build.catalog = catalog;
		build.oidcol = get_attnum(catalog, "oid");
		if (catalog == DependRelationId || catalog == SharedDependRelationId)
		{
			build.multiset = true;
			build.index = catalog == DependRelationId ? DependDependerIndexId
													  : SharedDependDependerIndexId;
		}
		else
			build.index = upg_primary_key_index(rel);
		if (!OidIsValid(build.index))
			elog(ERROR, "catalog \"%s\" has no primary key",
				 RelationGetRelationName(rel));

		indexes = RelationGetIndexList(rel);
		foreach (lc, indexes)
		{
			Relation index = index_open(lfirst_oid(lc), AccessShareLock);
			Form_pg_index form = index->rd_index;

			for (int i = 0; i < form->indnkeyatts; i++)
			{
				AttrNumber attnum = form->indkey.values[i];

				if (lfirst_oid(lc) == build.index)
				{
					if (build.nkeys >= 8)
						elog(ERROR, "too many key columns in catalog \"%s\"",
							 RelationGetRelationName(rel));
					build.keys[build.nkeys] = attnum;
					build.keyeq[build.nkeys] =
						lookup_type_cache(
							TupleDescAttr(RelationGetDescr(rel), attnum - 1)->atttypid,
							TYPECACHE_EQ_OPR_FINFO)
							->eq_opr_finfo.fn_oid;
					build.nkeys++;
				}
				else if (form->indisunique)
					build.uniques = bms_add_member(build.uniques, attnum);
			}
			index_close(index, AccessShareLock);
		}
		list_free(indexes);
		if (catalog == RelationRelationId)
			mark_moving(&build, rel, class_moving);
		else if (catalog == DatabaseRelationId)
			mark_moving(&build, rel, database_moving);
		else if (catalog == IndexRelationId)
			mark_moving(&build, rel, index_moving);
		MemoryContextSwitchTo(oldcxt);

		info = hash_search(catalog_infos, &catalog, HASH_ENTER, &found);
		*info = build;
	}
	return info;
}

/*
 * upg_tuple_flatten
 *		A copy of a tuple that holds all of its values itself.
 */
HeapTuple
upg_tuple_flatten(HeapTuple tuple, TupleDesc desc)
{
	if (HeapTupleHasExternal(tuple))
		return toast_flatten_tuple(tuple, desc);
	return heap_copytuple(tuple);
}

/*
 * upg_append_column
 *		Append the bytes of a column, so that equal bytes mean equal values.
 */
void
upg_append_column(StringInfo buf, HeapTuple tuple, AttrNumber attnum, TupleDesc desc)
{
	Form_pg_attribute att = TupleDescAttr(desc, attnum - 1);
	bool isnull;
	Datum value = heap_getattr(tuple, attnum, desc, &isnull);

	appendStringInfoChar(buf, isnull ? 0 : 1);
	if (isnull)
		return;
	if (att->attbyval)
		appendBinaryStringInfo(buf, (char *) &value, sizeof(Datum));
	else if (att->attlen == -1)
	{
		struct varlena *v = PG_DETOAST_DATUM_PACKED(value);
		int32 size = VARSIZE_ANY_EXHDR(v);

		appendBinaryStringInfo(buf, (char *) &size, sizeof(size));
		appendBinaryStringInfo(buf, VARDATA_ANY(v), size);
	}
	else
		appendBinaryStringInfo(buf, DatumGetPointer(value),
							   datumGetSize(value, false, att->attlen));
}

/*
 * upg_catalog_key
 *		Bytes that identify a row within its catalog.
 */
char *
upg_catalog_key(UpgCatalogInfo *info, HeapTuple tuple, TupleDesc desc, int *len)
{
	StringInfoData buf;
	int n = info->multiset ? desc->natts : info->nkeys;

	initStringInfo(&buf);
	for (int i = 0; i < n; i++)
	{
		AttrNumber attnum = info->multiset ? i + 1 : info->keys[i];

		upg_append_column(&buf, tuple, attnum, desc);
	}
	*len = buf.len;
	return buf.data;
}

/*
 * upg_catalog_diff
 *		Columns in which two rows differ, or NULL.
 */
Bitmapset *
upg_catalog_diff(Relation rel, HeapTuple a, HeapTuple b)
{
	TupleDesc desc = RelationGetDescr(rel);
	Bitmapset *result = NULL;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		bool anull;
		bool bnull;
		Datum avalue = heap_getattr(a, i + 1, desc, &anull);
		Datum bvalue = heap_getattr(b, i + 1, desc, &bnull);

		if (RelationGetRelid(rel) == AttributeRelationId &&
			i + 1 == Anum_pg_attribute_attoptions)
		{
			if (!attoptions_equal(avalue, anull, bvalue, bnull))
				result = bms_add_member(result, i + 1);
			continue;
		}
		if (anull != bnull ||
			(!anull && !datum_image_eq(avalue, bvalue, att->attbyval, att->attlen)))
			result = bms_add_member(result, i + 1);
	}
	return result;
}

/*
 * upg_catalog_find
 *		The current row that has the same key as "like" (the same content, in a
 *		catalog without key), flattened, or NULL.
 *
 * Rows whose TIDs are in *claimed are passed over, and the TID found is added:
 * equal rows of a multiset are told apart so.  "claimed" may be NULL.
 */
HeapTuple
upg_catalog_find(Relation rel, UpgCatalogInfo *info, HeapTuple like, List **claimed)
{
	TupleDesc desc = RelationGetDescr(rel);
	ScanKeyData keys[8];
	SysScanDesc scan;
	HeapTuple tuple;
	HeapTuple result = NULL;

	for (int i = 0; i < info->nkeys; i++)
	{
		bool isnull;
		Datum value = heap_getattr(like, info->keys[i], desc, &isnull);

		if (isnull)
			elog(ERROR, "null in the key of catalog \"%s\"",
				 RelationGetRelationName(rel));
		ScanKeyInit(&keys[i], info->keys[i], BTEqualStrategyNumber, info->keyeq[i],
					value);
	}
	scan = systable_beginscan(rel, info->index, true, NULL, info->nkeys, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		if (info->multiset)
		{
			bool taken = false;
			ListCell *lc;

			if (upg_catalog_diff(rel, tuple, like) != NULL)
				continue;
			if (claimed)
				foreach (lc, *claimed)
					if (ItemPointerEquals(lfirst(lc), &tuple->t_self))
						taken = true;
			if (taken)
				continue;
		}
		result = upg_tuple_flatten(tuple, desc);
		result->t_self = tuple->t_self;
		if (info->multiset && claimed)
		{
			ItemPointer tid = palloc(sizeof(ItemPointerData));

			*tid = tuple->t_self;
			*claimed = lappend(*claimed, tid);
		}
		break;
	}
	systable_endscan(scan);
	return result;
}

/*
 * upg_changes_of
 *		The changes of one catalog, or NULL.
 */
UpgCatalogChanges *
upg_changes_of(List *catalogs, Oid catalog)
{
	ListCell *lc;

	foreach (lc, catalogs)
	{
		UpgCatalogChanges *changes = lfirst(lc);

		if (changes->catalog == catalog)
			return changes;
	}
	return NULL;
}

/*
 * upg_change_list
 *		The changes of one catalog, one by one; NIL if there are none.
 */
List *
upg_change_list(List *catalogs, Oid catalog)
{
	UpgCatalogChanges *changes = upg_changes_of(catalogs, catalog);

	return changes ? changes->changes : NIL;
}

/*
 * upg_dropped_columns
 *		The columns of a table that the migration dropped: their rows of
 *		pg_attribute from before.
 */
List *
upg_dropped_columns(List *catalogs, Oid relation)
{
	List *result = NIL;
	ListCell *lc;

	foreach (lc, upg_change_list(catalogs, AttributeRelationId))
	{
		UpgChange *change = lfirst(lc);
		Form_pg_attribute before;

		if (change->before == NULL || change->after == NULL)
			continue;
		before = (Form_pg_attribute) GETSTRUCT(change->before);
		if (before->attrelid == relation && !before->attisdropped &&
			((Form_pg_attribute) GETSTRUCT(change->after))->attisdropped)
			result = lappend(result, change->before);
	}
	return result;
}

/*
 * upg_row_relation
 *		The relation whose cached description a catalog row is part of, and
 *		possibly a second one; InvalidOid when there is none.
 */
Oid
upg_row_relation(Oid catalog, HeapTuple tuple, TupleDesc desc, Oid *second)
{
	*second = InvalidOid;
	switch (catalog)
	{
		case RelationRelationId:
			return ((Form_pg_class) GETSTRUCT(tuple))->oid;
		case AttributeRelationId:
			return ((Form_pg_attribute) GETSTRUCT(tuple))->attrelid;
		case AttrDefaultRelationId:
			return ((Form_pg_attrdef) GETSTRUCT(tuple))->adrelid;
		case IndexRelationId:
			*second = ((Form_pg_index) GETSTRUCT(tuple))->indexrelid;
			return ((Form_pg_index) GETSTRUCT(tuple))->indrelid;
		case TriggerRelationId:
			return ((Form_pg_trigger) GETSTRUCT(tuple))->tgrelid;
		case RewriteRelationId:
			return ((Form_pg_rewrite) GETSTRUCT(tuple))->ev_class;
		case PolicyRelationId:
			return ((Form_pg_policy) GETSTRUCT(tuple))->polrelid;
		case InheritsRelationId:
			*second = ((Form_pg_inherits) GETSTRUCT(tuple))->inhrelid;
			return ((Form_pg_inherits) GETSTRUCT(tuple))->inhparent;
		case PartitionedRelationId:
			return ((Form_pg_partitioned_table) GETSTRUCT(tuple))->partrelid;
		case ConstraintRelationId:
			*second = ((Form_pg_constraint) GETSTRUCT(tuple))->confrelid;
			return ((Form_pg_constraint) GETSTRUCT(tuple))->conrelid;
		case PublicationRelRelationId:
			return ((Form_pg_publication_rel) GETSTRUCT(tuple))->prrelid;
		case StatisticExtRelationId:
			return ((Form_pg_statistic_ext) GETSTRUCT(tuple))->stxrelid;
		default:
			return InvalidOid;
	}
}

/*
 * upg_catalog_describe
 *		What a row is, in words for a message: catalog and a name if it has one.
 */
char *
upg_catalog_describe(Oid catalog, HeapTuple tuple, TupleDesc desc)
{
	char *catname = get_rel_name(catalog);
	Oid second;
	Oid relation = upg_row_relation(catalog, tuple, desc, &second);
	char *relname = OidIsValid(relation) ? get_rel_name(relation) : NULL;
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "%s", catname ? catname : "catalog");
	if (relname && catalog != RelationRelationId)
		appendStringInfo(&buf, " of \"%s\"", relname);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->atttypid == NAMEOID)
		{
			bool isnull;
			Datum value = heap_getattr(tuple, i + 1, desc, &isnull);

			if (!isnull)
				appendStringInfo(&buf, " \"%s\"", NameStr(*DatumGetName(value)));
			break;
		}
	}
	if (catalog == DependRelationId)
	{
		Form_pg_depend dep = (Form_pg_depend) GETSTRUCT(tuple);

		appendStringInfo(&buf, " (%u,%u,%d on %u,%u,%d %c)", dep->classid, dep->objid,
						 dep->objsubid, dep->refclassid, dep->refobjid, dep->refobjsubid,
						 dep->deptype);
	}
	return buf.data;
}

/* Split attoptions into what a user set and the hidden version, if any. */
static List *
split_options(Datum options, bool isnull, char **version)
{
	List *result = NIL;
	ArrayType *array;
	Datum *elems;
	bool *nulls;
	int n;

	*version = NULL;
	if (isnull)
		return NIL;
	array = DatumGetArrayTypeP(options);
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elems, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		char *option = TextDatumGetCString(elems[i]);

		if (strncmp(option, ATTVER_PREFIX, strlen(ATTVER_PREFIX)) == 0)
			*version = option;
		else
			result = lappend(result, option);
	}
	return result;
}

/*
 * attoptions_equal
 *		Are two attoptions the same, the hidden attribute version apart?
 */
static bool
attoptions_equal(Datum a, bool anull, Datum b, bool bnull)
{
	char *version;
	List *alist = split_options(a, anull, &version);
	List *blist = split_options(b, bnull, &version);
	ListCell *la;
	ListCell *lb;

	if (list_length(alist) != list_length(blist))
		return false;
	forboth (la, alist, lb, blist)
		if (strcmp(lfirst(la), lfirst(lb)) != 0)
			return false;
	return true;
}

/*
 * upg_attoptions_merge
 *		The user's options of "before" with the attribute version of "current".
 *
 * A version never goes back: values stored since carry the newer one.
 */
Datum
upg_attoptions_merge(Datum before, bool beforenull, Datum current, bool currentnull,
					 bool *isnull)
{
	char *ignored;
	char *version;
	List *options = split_options(before, beforenull, &ignored);
	Datum *elems;
	int n = 0;
	ListCell *lc;

	(void) split_options(current, currentnull, &version);
	elems = palloc(sizeof(Datum) * (list_length(options) + 1));
	if (version == NULL && !beforenull)
		version = ignored;
	foreach (lc, options)
		elems[n++] = CStringGetTextDatum(lfirst(lc));
	if (version)
		elems[n++] = CStringGetTextDatum(version);
	*isnull = n == 0;
	if (n == 0)
		return (Datum) 0;
	return PointerGetDatum(construct_array(elems, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/*
 * upg_type_contains
 *		Is "part" an ingredient of this type: element, base, field, subtype?
 */
bool
upg_type_contains(Oid type, Oid part)
{
	Oid element;
	Oid relation;

	check_stack_depth();
	if (type == part)
		return true;
	if (type < FirstNormalObjectId)
		return false;
	element = get_element_type(type);
	if (OidIsValid(element))
		return upg_type_contains(element, part);
	switch (get_typtype(type))
	{
		case TYPTYPE_DOMAIN:
			return upg_type_contains(getBaseType(type), part);
		case TYPTYPE_RANGE:
			return upg_type_contains(get_range_subtype(type), part);
		case TYPTYPE_MULTIRANGE:
			return upg_type_contains(get_multirange_range(type), part);
		case TYPTYPE_COMPOSITE:
			relation = get_typ_typrelid(type);
			for (AttrNumber i = 1;; i++)
			{
				HeapTuple tuple =
					SearchSysCache2(ATTNUM, ObjectIdGetDatum(relation), Int16GetDatum(i));
				Form_pg_attribute att;
				bool found;

				if (!HeapTupleIsValid(tuple))
					return false;
				att = (Form_pg_attribute) GETSTRUCT(tuple);
				found = !att->attisdropped && upg_type_contains(att->atttypid, part);
				ReleaseSysCache(tuple);
				if (found)
					return true;
			}
		default:
			return false;
	}
}

/*
 * upg_rel_is_populated
 *		May a materialized view be read?
 */
bool
upg_rel_is_populated(Oid relation)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	bool result;

	if (!HeapTupleIsValid(tuple))
		return false;
	result = ((Form_pg_class) GETSTRUCT(tuple))->relispopulated;
	ReleaseSysCache(tuple);
	return result;
}
