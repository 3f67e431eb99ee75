/*-------------------------------------------------------------------------
 *
 * undo_rights.c
 *		May this role take back what a migration did?
 *
 * A rollback writes catalogs below all checks of the server, so the rights are
 * looked at here, row by row: a role may take back only what it could have
 * changed itself.  Each row of a catalog belongs to an object, and each object
 * to a role; the caller must have that role's privileges.
 *
 * Where the server asks less, less is asked here.  Whoever owns an extension may
 * drop and update it, though its members belong to the superuser who is said to
 * have made a trusted one.  Whoever makes a foreign key to another's table needs
 * not own that one, although triggers come to it.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/undo_rights.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_am.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_amproc.h"
#include "catalog/pg_cast.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_default_acl.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_description.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_largeobject.h"
#include "catalog/pg_largeobject_metadata.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_publication.h"
#include "catalog/pg_publication_namespace.h"
#include "catalog/pg_range.h"
#include "catalog/pg_seclabel.h"
#include "catalog/pg_sequence.h"
#include "catalog/pg_shdepend.h"
#include "catalog/pg_transform.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_ts_config.h"
#include "catalog/pg_ts_config_map.h"
#include "catalog/pg_ts_parser.h"
#include "catalog/pg_ts_template.h"
#include "catalog/pg_type.h"
#include "catalog/pg_user_mapping.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "undo_merge.h"

/* What one look at the rights of a rollback knows. */
typedef struct Rights
{
	UpgUndoLog *log;
	List *members; /* of ObjectAddress: parts of extensions that the caller owns */
	bool searched; /* members are found */
} Rights;

/* For use with return. */
static bool
set_object(ObjectAddress *object, Oid class, Oid id)
{
	ObjectAddressSet(*object, class, id);
	return true;
}

/*
 * row_object
 *		The object whose owner may change this row; false when there is none
 *		besides those that have rows of their own.
 */
static bool
row_object(Oid catalog, HeapTuple row, TupleDesc desc, ObjectAddress *object)
{
	Oid second;
	Oid relation = upg_row_relation(catalog, row, desc, &second);

	if (OidIsValid(relation))
		return set_object(object, RelationRelationId, relation);
	switch (catalog)
	{
		case AggregateRelationId:
			return set_object(object, ProcedureRelationId,
							  ((Form_pg_aggregate) GETSTRUCT(row))->aggfnoid);
		case AccessMethodOperatorRelationId:
			return set_object(object, OperatorFamilyRelationId,
							  ((Form_pg_amop) GETSTRUCT(row))->amopfamily);
		case AccessMethodProcedureRelationId:
			return set_object(object, OperatorFamilyRelationId,
							  ((Form_pg_amproc) GETSTRUCT(row))->amprocfamily);
		case ConstraintRelationId:
			return set_object(object, TypeRelationId,
							  ((Form_pg_constraint) GETSTRUCT(row))->contypid);
		case DescriptionRelationId:
			return set_object(object, ((Form_pg_description) GETSTRUCT(row))->classoid,
							  ((Form_pg_description) GETSTRUCT(row))->objoid);
		case SecLabelRelationId:
			return set_object(object, ((FormData_pg_seclabel *) GETSTRUCT(row))->classoid,
							  ((FormData_pg_seclabel *) GETSTRUCT(row))->objoid);
		case EnumRelationId:
			return set_object(object, TypeRelationId,
							  ((Form_pg_enum) GETSTRUCT(row))->enumtypid);
		case RangeRelationId:
			return set_object(object, TypeRelationId,
							  ((Form_pg_range) GETSTRUCT(row))->rngtypid);
		case TransformRelationId:
			return set_object(object, TypeRelationId,
							  ((Form_pg_transform) GETSTRUCT(row))->trftype);
		case ForeignTableRelationId:
			return set_object(object, RelationRelationId,
							  ((Form_pg_foreign_table) GETSTRUCT(row))->ftrelid);
		case SequenceRelationId:
			return set_object(object, RelationRelationId,
							  ((Form_pg_sequence) GETSTRUCT(row))->seqrelid);
		case LargeObjectRelationId:
			return set_object(object, LargeObjectRelationId,
							  ((Form_pg_largeobject) GETSTRUCT(row))->loid);
		case PublicationNamespaceRelationId:
			return set_object(object, PublicationRelationId,
							  ((Form_pg_publication_namespace) GETSTRUCT(row))->pnpubid);
		case TSConfigMapRelationId:
			return set_object(object, TSConfigRelationId,
							  ((Form_pg_ts_config_map) GETSTRUCT(row))->mapcfg);
		case UserMappingRelationId:
			return set_object(object, ForeignServerRelationId,
							  ((Form_pg_user_mapping) GETSTRUCT(row))->umserver);
		default:
			return false;
	}
}

/* The column of a catalog that names an owner, or InvalidAttrNumber. */
static AttrNumber
owner_column(Oid catalog)
{
	if (catalog == LargeObjectMetadataRelationId)
		return Anum_pg_largeobject_metadata_lomowner;
	if (catalog == DefaultAclRelationId)
		return Anum_pg_default_acl_defaclrole;
	return is_objectclass_supported(catalog) ? get_object_attnum_owner(catalog)
											 : InvalidAttrNumber;
}

/*
 * object_owner
 *		The role that owns an object, or InvalidOid for one that is gone: its
 *		own row is among those that are looked at.
 */
static Oid
object_owner(const ObjectAddress *object)
{
	Oid class = object->classId == LargeObjectRelationId ? LargeObjectMetadataRelationId
														 : object->classId;
	AttrNumber column = owner_column(class);
	AttrNumber oidcol = class == LargeObjectMetadataRelationId
							? Anum_pg_largeobject_metadata_oid
							: InvalidAttrNumber;
	Oid owner = InvalidOid;
	Relation rel;
	HeapTuple row;

	if (!OidIsValid(object->objectId))
		return InvalidOid;
	if (oidcol == InvalidAttrNumber)
	{
		if (!is_objectclass_supported(class))
			return InvalidOid;
		oidcol = get_object_attnum_oid(class);
	}
	rel = table_open(class, AccessShareLock);
	row = get_catalog_object_by_oid(rel, oidcol, object->objectId);
	if (HeapTupleIsValid(row))
	{
		ObjectAddress part;
		bool isnull;

		if (column != InvalidAttrNumber)
			owner = DatumGetObjectId(
				heap_getattr(row, column, RelationGetDescr(rel), &isnull));
		else if (row_object(class, row, RelationGetDescr(rel), &part))
			owner = object_owner(&part);
	}
	table_close(rel, AccessShareLock);
	return owner;
}

static bool
listed(List *objects, Oid class, Oid object)
{
	ListCell *lc;

	foreach (lc, objects)
	{
		ObjectAddress *known = lfirst(lc);

		if (known->classId == class && known->objectId == object)
			return true;
	}
	return false;
}

/* Note the object of a dependency on a part of an extension as a part, too. */
static void
add_part(Rights *rights, const ObjectAddress *on, Form_pg_depend dep)
{
	ObjectAddress *part;

	if (dep->refclassid != on->classId || dep->refobjid != on->objectId)
		return;
	if (on->classId == ExtensionRelationId
			? dep->deptype != DEPENDENCY_EXTENSION
			: dep->deptype != DEPENDENCY_INTERNAL && dep->deptype != DEPENDENCY_AUTO)
		return;
	if (listed(rights->members, dep->classid, dep->objid))
		return;
	part = palloc(sizeof(ObjectAddress));
	ObjectAddressSet(*part, dep->classid, dep->objid);
	rights->members = lappend(rights->members, part);
}

/* The parts of an object, as they are now and as the log knows them. */
static void
add_parts(Rights *rights, const ObjectAddress *on, Relation depends)
{
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple row;
	ListCell *lc;

	ScanKeyInit(&key[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(on->classId));
	ScanKeyInit(&key[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(on->objectId));
	scan = systable_beginscan(depends, DependReferenceIndexId, true, NULL, 2, key);
	while (HeapTupleIsValid(row = systable_getnext(scan)))
		add_part(rights, on, (Form_pg_depend) GETSTRUCT(row));
	systable_endscan(scan);
	foreach (lc, upg_change_list(rights->log->catalogs, DependRelationId))
	{
		UpgChange *change = lfirst(lc);

		if (change->before)
			add_part(rights, on, (Form_pg_depend) GETSTRUCT(change->before));
		if (change->after)
			add_part(rights, on, (Form_pg_depend) GETSTRUCT(change->after));
	}
}

/*
 * part_of_own_extension
 *		Is an object part of an extension that the migration made, updated or
 *		dropped, and that the caller owns?
 */
static bool
part_of_own_extension(Rights *rights, const ObjectAddress *object)
{
	if (!rights->searched)
	{
		Relation depends = table_open(DependRelationId, AccessShareLock);
		ListCell *lc;

		foreach (lc, upg_change_list(rights->log->catalogs, ExtensionRelationId))
		{
			UpgChange *change = lfirst(lc);
			Form_pg_extension ext = (Form_pg_extension) GETSTRUCT(
				change->before ? change->before : change->after);
			ObjectAddress *root = palloc(sizeof(ObjectAddress));

			if (!has_privs_of_role(GetUserId(), ext->extowner))
				continue;
			ObjectAddressSet(*root, ExtensionRelationId, ext->oid);
			rights->members = lappend(rights->members, root);
		}
		for (int i = 0; i < list_length(rights->members); i++)
			add_parts(rights, list_nth(rights->members, i), depends);
		table_close(depends, AccessShareLock);
		rights->searched = true;
	}
	return listed(rights->members, object->classId, object->objectId);
}

/* Is this a trigger that a foreign key of the migration brought or took with it? */
static bool
belongs_to_key(Rights *rights, HeapTuple row)
{
	Form_pg_trigger trigger = (Form_pg_trigger) GETSTRUCT(row);
	ListCell *lc;

	if (!trigger->tgisinternal || !OidIsValid(trigger->tgconstraint))
		return false;
	foreach (lc, upg_change_list(rights->log->catalogs, ConstraintRelationId))
	{
		UpgChange *change = lfirst(lc);
		HeapTuple key = change->before ? change->before : change->after;

		if (((Form_pg_constraint) GETSTRUCT(key))->oid == trigger->tgconstraint)
			return true;
	}
	return false;
}

/* Did a relation only come to have triggers, as a foreign key's target does? */
static bool
only_has_triggers(Relation catalog, UpgChange *change)
{
	Bitmapset *columns;

	if (change->before == NULL || change->after == NULL)
		return false;
	columns = upg_catalog_diff(catalog, change->before, change->after);
	columns = bms_del_member(columns, Anum_pg_class_relhastriggers);
	return bms_is_empty(columns);
}

/* Does the role that a row belongs to let the caller act for it? */
static bool
may_change_row(Rights *rights, Oid catalog, HeapTuple row, TupleDesc desc, Oid *owner)
{
	AttrNumber column = owner_column(catalog);
	ObjectAddress object;
	bool isnull;

	*owner = InvalidOid;
	if (column != InvalidAttrNumber)
	{
		AttrNumber oidcol = catalog == LargeObjectMetadataRelationId
								? Anum_pg_largeobject_metadata_oid
								: get_object_attnum_oid(catalog);

		*owner = DatumGetObjectId(heap_getattr(row, column, desc, &isnull));
		ObjectAddressSet(object, catalog,
						 DatumGetObjectId(heap_getattr(row, oidcol, desc, &isnull)));
	}
	else if (catalog == CastRelationId)
	{
		/* whoever owns one of the types */
		Form_pg_cast cast = (Form_pg_cast) GETSTRUCT(row);
		ObjectAddress target;

		ObjectAddressSet(object, TypeRelationId, cast->castsource);
		ObjectAddressSet(target, TypeRelationId, cast->casttarget);
		*owner = object_owner(&target);
		if (!OidIsValid(*owner) || has_privs_of_role(GetUserId(), *owner))
			return true;
		*owner = object_owner(&object);
		ObjectAddressSet(object, CastRelationId, cast->oid);
	}
	else if (row_object(catalog, row, desc, &object))
		*owner = object_owner(&object);
	if (!OidIsValid(*owner) || has_privs_of_role(GetUserId(), *owner))
		return true;
	if (catalog == UserMappingRelationId &&
		((Form_pg_user_mapping) GETSTRUCT(row))->umuser == GetUserId())
		return true;
	return part_of_own_extension(rights, &object);
}

/* Catalogs whose rows belong to nobody, but to superusers. */
static bool
superusers_only(Oid catalog)
{
	return catalog == AccessMethodRelationId || catalog == TSParserRelationId ||
		   catalog == TSTemplateRelationId;
}

/*
 * check_catalog
 *		Look at all rows of one catalog that a rollback would change.
 */
static void
check_catalog(Rights *rights, UpgCatalogChanges *changes)
{
	Relation rel = table_open(changes->catalog, AccessShareLock);
	TupleDesc desc = RelationGetDescr(rel);
	ListCell *lc;

	if (changes->catalog != SharedDependRelationId &&
		(rel->rd_rel->relisshared || superusers_only(changes->catalog)))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to take back a change of catalog \"%s\"",
						RelationGetRelationName(rel)),
				 errhint("Let a superuser roll this migration back.")));
	foreach (lc, changes->changes)
	{
		UpgChange *change = lfirst(lc);
		HeapTuple rows[3] = {change->before, change->after, change->current};

		if (changes->catalog == RelationRelationId && only_has_triggers(rel, change))
			continue;
		for (int i = 0; i < 3; i++)
		{
			Oid owner;

			if (rows[i] == NULL || (changes->catalog == TriggerRelationId &&
									belongs_to_key(rights, rows[i])))
				continue;
			if (!may_change_row(rights, changes->catalog, rows[i], desc, &owner))
				ereport(ERROR,
						(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						 errmsg("permission denied to take back a change of %s",
								upg_catalog_describe(changes->catalog, rows[i], desc)),
						 errdetail("It belongs to role \"%s\".",
								   GetUserNameFromId(owner, true))));
		}
	}
	table_close(rel, AccessShareLock);
}

/*
 * upg_undo_check_privileges
 *		A role may take back only what it could have done itself.
 */
void
upg_undo_check_privileges(UpgUndoLog *log)
{
	Rights rights = {log, NIL, false};
	ListCell *lc;

	if (superuser())
		return;
	foreach (lc, log->catalogs)
		check_catalog(&rights, lfirst(lc));
	foreach (lc, log->relations)
	{
		UpgRelationRows *rows = lfirst(lc);
		ObjectAddress table;
		Oid owner;

		ObjectAddressSet(table, RelationRelationId, rows->relation);
		owner = object_owner(&table);
		if (OidIsValid(owner) && !has_privs_of_role(GetUserId(), owner) &&
			!part_of_own_extension(&rights, &table))
			ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
							errmsg("permission denied to take back rows of table %s",
								   rows->name)));
	}
}
