/*-------------------------------------------------------------------------
 *
 * drift_scan.c
 *		Stamps: which objects of the schema have other catalog rows than before?
 *
 * A row of a catalog that is changed becomes a new version with a new xmin, and
 * freezing leaves the xmin where it is.  So the rows of an object are summed up
 * by their xmin: number and sum are the object's stamp.  Equal stamps mean that
 * nobody has changed it; different ones that somebody may have, and then the
 * definitions are compared (sql/install/76_drift.sql).  What the server does by
 * itself to statistics and horizons overwrites rows in place and does not show.
 *
 * An object is a relation with all that belongs to it, or a type, function or
 * schema; everything else, and what came with the server, is object 0.  Sums are
 * kept by page and object, so that a page that nobody has written need not be
 * read again (drift_pages.c).
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/drift_scan.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_db_role_setting.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_description.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_largeobject.h"
#include "catalog/pg_largeobject_metadata.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_range.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_seclabel.h"
#include "catalog/pg_sequence.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "drift_internal.h"
#include "undo.h"

/* Objects that have comments and memberships counted with them. */
static bool
has_anchor(Oid class)
{
	switch (class)
	{
		case RelationRelationId:
		case ProcedureRelationId:
		case TypeRelationId:
		case NamespaceRelationId:
		case ConstraintRelationId:
		case TriggerRelationId:
		case RewriteRelationId:
		case PolicyRelationId:
		case StatisticExtRelationId:
			return true;
		default:
			return false;
	}
}

/* The object that a dependency tells something about, beyond that it is one. */
static bool
depend_anchor(const UpgStamps *stamps, Form_pg_depend form, Oid *anchor)
{
	switch (form->deptype)
	{
		case DEPENDENCY_EXTENSION:
		case DEPENDENCY_AUTO_EXTENSION:
			/* files that are kept for undo come and go */
			if (form->refobjid == stamps->extension &&
				form->classid == RelationRelationId)
				return false;
			*anchor = has_anchor(form->classid) ? form->objid : InvalidOid;
			return true;
		case DEPENDENCY_AUTO:
		case DEPENDENCY_INTERNAL:
			/* a sequence and the column that it belongs to */
			*anchor = form->objid;
			return form->classid == RelationRelationId &&
				   form->refclassid == RelationRelationId && form->refobjsubid != 0;
		default:
			return false;
	}
}

/*
 * is_temporary
 *		Is an object a temporary relation?  One that is gone is not known to have
 *		been one, unless its row was counted.
 */
static bool
is_temporary(UpgStamps *stamps, Oid anchor)
{
	bool found;
	UpgTemporary *known = hash_search(stamps->temporary, &anchor, HASH_ENTER, &found);

	if (!found)
	{
		HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(anchor));

		known->temporary = false;
		if (HeapTupleIsValid(tuple))
		{
			known->temporary =
				((Form_pg_class) GETSTRUCT(tuple))->relpersistence == RELPERSISTENCE_TEMP;
			ReleaseSysCache(tuple);
		}
	}
	return known->temporary;
}

/*
 * anchor_of
 *		The object that a row of a catalog belongs to; false: to none of the
 *		schema.
 */
static bool
anchor_of(UpgStamps *stamps, Oid catalog, HeapTuple tuple, TupleDesc desc, Oid *anchor)
{
	Oid second;

	*anchor = InvalidOid;
	switch (catalog)
	{
		case RelationRelationId:
		{
			Form_pg_class form = (Form_pg_class) GETSTRUCT(tuple);

			*anchor = form->oid;
			if (form->relpersistence == RELPERSISTENCE_TEMP)
			{
				UpgTemporary *known =
					hash_search(stamps->temporary, &form->oid, HASH_ENTER, NULL);

				known->temporary = true;
				return false;
			}
			/* who keeps a file for undo */
			return form->relkind != RELKIND_TOASTVALUE || form->relnatts > 0;
		}
		case TypeRelationId:
		{
			Form_pg_type form = (Form_pg_type) GETSTRUCT(tuple);

			*anchor = OidIsValid(form->typrelid) ? form->typrelid : form->oid;
			if (form->oid >= FirstNormalObjectId &&
				((OidIsValid(form->typelem) && form->typcategory == TYPCATEGORY_ARRAY) ||
				 form->typtype == TYPTYPE_MULTIRANGE ||
				 (!OidIsValid(form->typrelid) && isAnyTempNamespace(form->typnamespace))))
				return false;
			break;
		}
		case ProcedureRelationId:
		{
			Form_pg_proc form = (Form_pg_proc) GETSTRUCT(tuple);

			*anchor = form->oid;
			if (form->oid >= FirstNormalObjectId &&
				isAnyTempNamespace(form->pronamespace))
				return false;
			break;
		}
		case NamespaceRelationId:
		{
			Form_pg_namespace form = (Form_pg_namespace) GETSTRUCT(tuple);

			*anchor = form->oid;
			if (strncmp(NameStr(form->nspname), "pg_temp_", 8) == 0 ||
				strncmp(NameStr(form->nspname), "pg_toast_temp_", 14) == 0)
				return false;
			break;
		}
		case ConstraintRelationId:
		{
			Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

			*anchor = OidIsValid(form->conrelid) ? form->conrelid : form->contypid;
			break;
		}
		case DescriptionRelationId:
		{
			Form_pg_description form = (Form_pg_description) GETSTRUCT(tuple);

			if (has_anchor(form->classoid))
				*anchor = form->objoid;
			break;
		}
		case SecLabelRelationId:
		{
			FormData_pg_seclabel *form = (FormData_pg_seclabel *) GETSTRUCT(tuple);

			if (has_anchor(form->classoid))
				*anchor = form->objoid;
			break;
		}
		case DependRelationId:
			if (!depend_anchor(stamps, (Form_pg_depend) GETSTRUCT(tuple), anchor))
				return false;
			break;
		case InheritsRelationId:
			*anchor = ((Form_pg_inherits) GETSTRUCT(tuple))->inhrelid;
			break;
		case EnumRelationId:
			*anchor = ((Form_pg_enum) GETSTRUCT(tuple))->enumtypid;
			break;
		case RangeRelationId:
			*anchor = ((Form_pg_range) GETSTRUCT(tuple))->rngtypid;
			break;
		case AggregateRelationId:
			*anchor = ((Form_pg_aggregate) GETSTRUCT(tuple))->aggfnoid;
			break;
		case SequenceRelationId:
			*anchor = ((Form_pg_sequence) GETSTRUCT(tuple))->seqrelid;
			break;
		case ForeignTableRelationId:
			*anchor = ((Form_pg_foreign_table) GETSTRUCT(tuple))->ftrelid;
			break;
		case DbRoleSettingRelationId:
			return ((Form_pg_db_role_setting) GETSTRUCT(tuple))->setdatabase ==
				   MyDatabaseId;
		case LargeObjectRelationId:
		case LargeObjectMetadataRelationId:
			return false;
		default:
			*anchor = upg_row_relation(catalog, tuple, desc, &second);
			break;
	}
	return catalog == RelationRelationId || *anchor < FirstNormalObjectId ||
		   !is_temporary(stamps, *anchor);
}

/* What one version of a row adds to the sum of its object. */
static int64
row_sum(Oid catalog, HeapTuple tuple)
{
	uint64 hash = ((uint64) catalog << 32) | HeapTupleHeaderGetRawXmin(tuple->t_data);

	hash = (hash ^ (hash >> 30)) * UINT64CONST(0xbf58476d1ce4e5b9);
	hash = (hash ^ (hash >> 27)) * UINT64CONST(0x94d049bb133111eb);
	/* millions of rows do not overflow */
	return (int64) ((hash ^ (hash >> 31)) >> 24);
}

/*
 * upg_stamps_sum
 *		Add to what an object has on a page.
 */
void
upg_stamps_sum(UpgStamps *stamps, Oid catalog, BlockNumber block, Oid anchor, int64 rows,
			   int64 sum)
{
	UpgPagePlace place = {catalog, block, anchor};
	UpgPageSum *entry = stamps->last;
	bool found;

	/* rows of an object mostly lie together */
	if (entry == NULL || memcmp(&entry->place, &place, sizeof(place)) != 0)
	{
		entry = hash_search(stamps->by_page, &place, HASH_ENTER, &found);
		if (!found)
			entry->rows = entry->sum = 0;
		stamps->last = entry;
	}
	entry->rows += rows;
	entry->sum += sum;
}

/*
 * upg_stamps_add
 *		Count a row of a catalog for its object: 1, or -1 for one that is gone.
 */
void
upg_stamps_add(UpgStamps *stamps, Relation rel, HeapTuple tuple, int sign)
{
	Oid catalog = RelationGetRelid(rel);
	Oid anchor;

	if (!anchor_of(stamps, catalog, tuple, RelationGetDescr(rel), &anchor))
		return;
	if (anchor < FirstNormalObjectId)
		anchor = InvalidOid;
	upg_stamps_sum(stamps, catalog, ItemPointerGetBlockNumber(&tuple->t_self), anchor,
				   sign, sign * row_sum(catalog, tuple));
}

/*
 * upg_stamps_create
 *		Stamps of nothing yet.
 */
UpgStamps *
upg_stamps_create(void)
{
	UpgStamps *stamps = palloc0(sizeof(UpgStamps));
	HASHCTL ctl = {0};

	ctl.keysize = sizeof(UpgPagePlace);
	ctl.entrysize = sizeof(UpgPageSum);
	ctl.hcxt = CurrentMemoryContext;
	stamps->by_page =
		hash_create("upg stamps", 256, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(UpgTemporary);
	stamps->temporary =
		hash_create("upg temporary", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	stamps->extension = get_extension_oid("upg", true);
	return stamps;
}

/*
 * upg_stamp_catalogs
 *		The catalogs that stamps count, pg_class first.
 */
List *
upg_stamp_catalogs(void)
{
	List *list = list_make1_oid(RelationRelationId);
	int n;
	const Oid *catalogs = upg_catalogs(&n);

	for (int i = 0; i < n; i++)
	{
		if (catalogs[i] != RelationRelationId &&
			(catalogs[i] == DbRoleSettingRelationId || !IsSharedRelation(catalogs[i])))
			list = lappend_oid(list, catalogs[i]);
	}
	return list;
}
