/*-------------------------------------------------------------------------
 *
 * undo_rights.c
 *		A role may take back only what it could have changed itself.
 *
 * Every row of a catalog that a rollback writes is a part of some object, and the
 * object's owner may change it; what only a superuser may change by command, only a
 * superuser takes back, and so is everything for which no rule is known here.  What
 * comes back needs, besides, what making it anew would need.
 *
 * Where the server asks less, less is asked here: of members of one's own extension
 * (undo_members.c), and of the triggers that a foreign key puts on the table referred to.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/undo_rights.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_cast.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_database.h"
#include "catalog/pg_db_role_setting.h"
#include "catalog/pg_default_acl.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_description.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_event_trigger.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_init_privs.h"
#include "catalog/pg_language.h"
#include "catalog/pg_largeobject.h"
#include "catalog/pg_largeobject_metadata.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_publication.h"
#include "catalog/pg_publication_rel.h"
#include "catalog/pg_range.h"
#include "catalog/pg_seclabel.h"
#include "catalog/pg_sequence.h"
#include "catalog/pg_shdepend.h"
#include "catalog/pg_shdescription.h"
#include "catalog/pg_tablespace.h"
#include "catalog/pg_transform.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_ts_config.h"
#include "catalog/pg_ts_config_map.h"
#include "catalog/pg_type.h"
#include "catalog/pg_user_mapping.h"
#include "commands/tablespace.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "compat.h"
#include "errors.h"
#include "undo_internal.h"

/* Whose right it is to change a row. */
typedef enum Right
{
	RIGHT_OWNER,     /* the owner's, who is told */
	RIGHT_SUPERUSER, /* nobody else's */
	RIGHT_ELSEWHERE  /* other rows of the log tell */
} Right;

static Right right_of_row(UpgMembers *members, Oid catalog, HeapTuple row, TupleDesc desc,
						  Oid *owner);

static bool
has_right(Right right, Oid owner)
{
	return right == RIGHT_ELSEWHERE ||
		   (right == RIGHT_OWNER && has_privs_of_role(GetUserId(), owner));
}

/* An object's row in what the migration changed of a catalog, or NULL. */
static HeapTuple
object_in_log(UpgMembers *members, Relation rel, AttrNumber oidcol, Oid object)
{
	ListCell *lc;

	foreach (lc, upg_change_list(members->log->catalogs, RelationGetRelid(rel)))
	{
		UpgChange *change = lfirst(lc);
		HeapTuple row = change->before ? change->before : change->after;
		bool isnull;

		if (DatumGetObjectId(heap_getattr(row, oidcol, RelationGetDescr(rel), &isnull)) ==
			object)
			return row;
	}
	return NULL;
}

/* Whose right is it to change an object?  One that is gone for good is nobody's. */
static Right
right_of_object(UpgMembers *members, Oid class, Oid object, Oid *owner)
{
	Relation rel;
	HeapTuple row = NULL;
	Right right = RIGHT_ELSEWHERE;

	if (upg_member_of_own(members, class, object))
		return RIGHT_ELSEWHERE;
	if (class == LargeObjectRelationId)
		class = LargeObjectMetadataRelationId;
	if (class == AttrDefaultRelationId)
	{
		ObjectAddress column = GetAttrDefaultColumnAddress(object);

		if (OidIsValid(column.objectId))
			return right_of_object(members, RelationRelationId, column.objectId, owner);
	}
	else if (!is_objectclass_supported(class))
		return RIGHT_SUPERUSER;
	rel = table_open(class, AccessShareLock);
	if (class == AttrDefaultRelationId)
		row = object_in_log(members, rel, Anum_pg_attrdef_oid, object);
	else
	{
		AttrNumber oidcol = get_object_attnum_oid(class);

		row = get_catalog_object_by_oid(rel, oidcol, object);
		if (!HeapTupleIsValid(row))
			row = object_in_log(members, rel, oidcol, object);
	}
	if (row != NULL)
		right = right_of_row(members, class, row, RelationGetDescr(rel), owner);
	table_close(rel, AccessShareLock);
	return right;
}

/* Of two objects either owner will do. */
static Right
right_of_either(UpgMembers *members, Oid class, Oid one, Oid other, Oid *owner)
{
	Right right = right_of_object(members, class, one, owner);
	Oid second = InvalidOid;
	Right alternative;

	if (has_right(right, *owner))
		return right;
	alternative = right_of_object(members, class, other, &second);
	if (!has_right(alternative, second))
		return right;
	*owner = second;
	return alternative;
}

/* Is a constraint one that the migration made, changed or dropped? */
static bool
constraint_in_log(UpgMembers *members, Oid constraint)
{
	ListCell *lc;

	foreach (lc, upg_change_list(members->log->catalogs, ConstraintRelationId))
	{
		UpgChange *change = lfirst(lc);

		if (((Form_pg_constraint) GETSTRUCT(change->before ? change->before
														   : change->after))
				->oid == constraint)
			return true;
	}
	return false;
}

/*
 * right_of_trigger
 *		The triggers of a foreign key, one of which is on the table referred to, are
 *		the constraint's; else nobody but a superuser may touch them.
 */
static Right
right_of_trigger(UpgMembers *members, Form_pg_trigger trigger, Oid *owner)
{
	if (!trigger->tgisinternal)
		return right_of_object(members, RelationRelationId, trigger->tgrelid, owner);
	return constraint_in_log(members, trigger->tgconstraint) ? RIGHT_ELSEWHERE
															 : RIGHT_SUPERUSER;
}

/* Is this a function that comes with a range type, and belongs to nobody else? */
static bool
is_constructor(HeapTuple row, TupleDesc desc)
{
	static const char *const sources[] = {
		"range_constructor2",      "range_constructor3",      "multirange_constructor0",
		"multirange_constructor1", "multirange_constructor2", NULL};
	bool isnull;
	char *source;

	if (((Form_pg_proc) GETSTRUCT(row))->prolang != INTERNALlanguageId)
		return false;
	source = TextDatumGetCString(heap_getattr(row, Anum_pg_proc_prosrc, desc, &isnull));
	for (int i = 0; sources[i] != NULL; i++)
		if (strcmp(source, sources[i]) == 0)
			return true;
	return false;
}

/* What a row has in the column whose name ends like this, and refers to an object. */
static bool
find_by_suffix(HeapTuple row, TupleDesc desc, const char *suffix, Oid *object)
{
	for (int i = 0; i < desc->natts; i++)
	{
		const char *name = NameStr(TupleDescAttr(desc, i)->attname);
		size_t len = strlen(name);
		bool isnull;

		if (TupleDescAttr(desc, i)->atttypid == OIDOID && len > strlen(suffix) &&
			strcmp(name + len - strlen(suffix), suffix) == 0)
		{
			*object = DatumGetObjectId(heap_getattr(row, i + 1, desc, &isnull));
			return true;
		}
	}
	return false;
}

/*
 * right_of_row
 *		Whose right is it to change a row of a catalog by a command?
 */
static Right
right_of_row(UpgMembers *members, Oid catalog, HeapTuple row, TupleDesc desc, Oid *owner)
{
	void *form = GETSTRUCT(row);
	Oid second;
	Oid relation;

	switch (catalog)
	{
		case SharedDependRelationId:
			return RIGHT_ELSEWHERE;
		case DatabaseRelationId:
			*owner = ((Form_pg_database) form)->datdba;
			return RIGHT_OWNER;
		case SharedDescriptionRelationId:
			if (((Form_pg_shdescription) form)->classoid != DatabaseRelationId)
				return RIGHT_SUPERUSER;
			return right_of_object(members, DatabaseRelationId,
								   ((Form_pg_shdescription) form)->objoid, owner);
		case DbRoleSettingRelationId:
			if (!OidIsValid(((Form_pg_db_role_setting) form)->setrole))
				return right_of_object(members, DatabaseRelationId,
									   ((Form_pg_db_role_setting) form)->setdatabase,
									   owner);
			*owner = ((Form_pg_db_role_setting) form)->setrole;
			return *owner == GetUserId() ? RIGHT_OWNER : RIGHT_SUPERUSER;
		case DependRelationId:
			return right_of_object(members, ((Form_pg_depend) form)->classid,
								   ((Form_pg_depend) form)->objid, owner);
		case DescriptionRelationId:
			return right_of_object(members, ((Form_pg_description) form)->classoid,
								   ((Form_pg_description) form)->objoid, owner);
		case SecLabelRelationId:
			return right_of_object(members, ((FormData_pg_seclabel *) form)->classoid,
								   ((FormData_pg_seclabel *) form)->objoid, owner);
		case InitPrivsRelationId:
			return right_of_object(members, ((Form_pg_init_privs) form)->classoid,
								   ((Form_pg_init_privs) form)->objoid, owner);
		case EnumRelationId:
			return right_of_object(members, TypeRelationId,
								   ((Form_pg_enum) form)->enumtypid, owner);
		case RangeRelationId:
			return right_of_object(members, TypeRelationId,
								   ((Form_pg_range) form)->rngtypid, owner);
		case AggregateRelationId:
			return right_of_object(members, ProcedureRelationId,
								   ((Form_pg_aggregate) form)->aggfnoid, owner);
		case TSConfigMapRelationId:
			return right_of_object(members, TSConfigRelationId,
								   ((Form_pg_ts_config_map) form)->mapcfg, owner);
		case LargeObjectRelationId:
			return right_of_object(members, LargeObjectMetadataRelationId,
								   ((Form_pg_largeobject) form)->loid, owner);
		case TransformRelationId:
			return right_of_object(members, TypeRelationId,
								   ((Form_pg_transform) form)->trftype, owner);
		case PublicationRelRelationId:
			/* the table's owner besides: see check_second() */
			return right_of_object(members, PublicationRelationId,
								   ((Form_pg_publication_rel) form)->prpubid, owner);
		case DefaultAclRelationId:
			*owner = ((Form_pg_default_acl) form)->defaclrole;
			return RIGHT_OWNER;
		case UserMappingRelationId:
			*owner = ((Form_pg_user_mapping) form)->umuser;
			if (*owner == GetUserId() &&
				UPG_SERVER_ACLCHECK(((Form_pg_user_mapping) form)->umserver, GetUserId(),
									ACL_USAGE) == ACLCHECK_OK)
				return RIGHT_OWNER;
			return right_of_object(members, ForeignServerRelationId,
								   ((Form_pg_user_mapping) form)->umserver, owner);
		case CastRelationId:
			if (((Form_pg_cast) form)->castmethod == COERCION_METHOD_BINARY)
				return RIGHT_SUPERUSER;
			return right_of_either(members, TypeRelationId,
								   ((Form_pg_cast) form)->castsource,
								   ((Form_pg_cast) form)->casttarget, owner);
		case ConstraintRelationId:
			if (OidIsValid(((Form_pg_constraint) form)->conrelid))
				return right_of_object(members, RelationRelationId,
									   ((Form_pg_constraint) form)->conrelid, owner);
			return right_of_object(members, TypeRelationId,
								   ((Form_pg_constraint) form)->contypid, owner);
		case TriggerRelationId:
			return right_of_trigger(members, form, owner);
		case SequenceRelationId:
			return right_of_object(members, RelationRelationId,
								   ((Form_pg_sequence) form)->seqrelid, owner);
		case ForeignTableRelationId:
			return right_of_object(members, RelationRelationId,
								   ((Form_pg_foreign_table) form)->ftrelid, owner);
		case InheritsRelationId:
			/* the parent's owner besides */
			return right_of_object(members, RelationRelationId,
								   ((Form_pg_inherits) form)->inhrelid, owner);
		case ProcedureRelationId:
			if (is_constructor(row, desc))
				return right_of_object(members, TypeRelationId,
									   ((Form_pg_proc) form)->prorettype, owner);
			break;
		case LanguageRelationId:
		case ForeignDataWrapperRelationId:
		case EventTriggerRelationId:
			return RIGHT_SUPERUSER;
		default:
			break;
	}
	if (IsSharedRelation(catalog))
		return RIGHT_SUPERUSER;
	if (find_by_suffix(row, desc, "owner", owner))
		return RIGHT_OWNER;
	relation = upg_row_relation(catalog, row, desc, &second);
	if (OidIsValid(relation))
		return right_of_object(members, RelationRelationId, relation, owner);
	return RIGHT_SUPERUSER;
}

/* Complain, and name what it is about. */
static void
deny(Oid catalog, HeapTuple row, TupleDesc desc, Right right, Oid owner)
{
	ereport(
		ERROR,
		(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
		 errmsg("permission denied to take back a change of %s",
				upg_catalog_describe(catalog, row, desc)),
		 right == RIGHT_OWNER
			 ? errdetail("It belongs to role \"%s\".", GetUserNameFromId(owner, true))
			 : errdetail("Only a superuser may change this."),
		 errhint("Let %s roll this migration back.",
				 right == RIGHT_OWNER ? "this role, or a superuser," : "a superuser")));
}

/* The other object that a row is a part of, whose owner has to agree, too. */
static void
check_second(UpgMembers *members, Oid catalog, HeapTuple row, TupleDesc desc)
{
	Oid relation = InvalidOid;
	Oid owner = InvalidOid;
	Right right;

	if (catalog == InheritsRelationId)
		relation = ((Form_pg_inherits) GETSTRUCT(row))->inhparent;
	else if (catalog == PublicationRelRelationId)
		relation = ((Form_pg_publication_rel) GETSTRUCT(row))->prrelid;
	if (!OidIsValid(relation))
		return;
	right = right_of_object(members, RelationRelationId, relation, &owner);
	if (!has_right(right, owner))
		deny(catalog, row, desc, right, owner);
}

/* May this role refer to all columns of a foreign key? */
static bool
may_refer(HeapTuple row, TupleDesc desc)
{
	Oid table = ((Form_pg_constraint) GETSTRUCT(row))->confrelid;
	bool isnull;
	Datum keys = heap_getattr(row, Anum_pg_constraint_confkey, desc, &isnull);
	Datum *columns;
	int n;

	if (isnull || get_rel_relkind(table) == '\0' ||
		pg_class_aclcheck(table, GetUserId(), ACL_REFERENCES) == ACLCHECK_OK)
		return true;
	deconstruct_array(DatumGetArrayTypeP(keys), INT2OID, sizeof(int16), true,
					  TYPALIGN_SHORT, &columns, NULL, &n);
	for (int i = 0; i < n; i++)
		if (pg_attribute_aclcheck(table, DatumGetInt16(columns[i]), GetUserId(),
								  ACL_REFERENCES) != ACLCHECK_OK)
			return false;
	return true;
}

/* Is this a function that only a superuser may make? */
static bool
is_dangerous(Form_pg_proc proc)
{
	HeapTuple language = SearchSysCache1(LANGOID, ObjectIdGetDatum(proc->prolang));
	bool trusted = false;

	if (HeapTupleIsValid(language))
	{
		trusted = ((Form_pg_language) GETSTRUCT(language))->lanpltrusted;
		ReleaseSysCache(language);
	}
	/* aggregates are written in "internal", and made by anybody */
	return (!trusted && proc->prokind != PROKIND_AGGREGATE) || proc->proleakproof ||
		   OidIsValid(proc->prosupport);
}

/* Do two descriptions of a function differ in what makes it dangerous? */
static bool
proc_differs(HeapTuple a, HeapTuple b, TupleDesc desc)
{
	static const AttrNumber columns[] = {
		Anum_pg_proc_prolang, Anum_pg_proc_proleakproof, Anum_pg_proc_prosupport,
		Anum_pg_proc_prosrc,  Anum_pg_proc_probin,       0};

	for (int i = 0; columns[i] != 0; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, columns[i] - 1);
		bool anull;
		bool bnull;
		Datum av = heap_getattr(a, columns[i], desc, &anull);
		Datum bv = heap_getattr(b, columns[i], desc, &bnull);

		if (anull != bnull ||
			(!anull && !datum_image_eq(av, bv, att->attbyval, att->attlen)))
			return true;
	}
	return false;
}

/* The schema that a row says an object lies in, or InvalidOid. */
static Oid
schema_of(Oid catalog, HeapTuple row, TupleDesc desc)
{
	Oid schema = InvalidOid;

	if (catalog != ConstraintRelationId && catalog != DefaultAclRelationId)
		(void) find_by_suffix(row, desc, "namespace", &schema);
	return schema;
}

/*
 * check_return
 *		What comes back, as a whole or in part, needs what making it would need.
 */
static void
check_return(Oid catalog, UpgChange *change, TupleDesc desc)
{
	void *form = GETSTRUCT(change->before);
	HeapTuple after = change->after;
	Oid schema = schema_of(catalog, change->before, desc);
	bool denied = false;

	if (OidIsValid(schema) && !IsToastNamespace(schema) && !isAnyTempNamespace(schema) &&
		(after == NULL || schema_of(catalog, after, desc) != schema) &&
		SearchSysCacheExists1(NAMESPACEOID, ObjectIdGetDatum(schema)) &&
		UPG_NAMESPACE_ACLCHECK(schema, GetUserId(), ACL_CREATE) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_SCHEMA, get_namespace_name(schema));
	switch (catalog)
	{
		case RelationRelationId:
		{
			Oid space = ((Form_pg_class) form)->reltablespace;

			if (OidIsValid(space) &&
				(after == NULL ||
				 ((Form_pg_class) GETSTRUCT(after))->reltablespace != space) &&
				UPG_TABLESPACE_ACLCHECK(space, GetUserId(), ACL_CREATE) != ACLCHECK_OK)
				aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLESPACE,
							   get_tablespace_name(space));
			break;
		}
		case ProcedureRelationId:
			denied = is_dangerous(form) && !is_constructor(change->before, desc) &&
					 (after == NULL || proc_differs(change->before, after, desc));
			break;
		case TypeRelationId:
			denied = after == NULL && ((Form_pg_type) form)->typtype == TYPTYPE_BASE &&
					 !IsTrueArrayType((Form_pg_type) form);
			break;
		case PublicationRelationId:
			denied = ((Form_pg_publication) form)->puballtables &&
					 (after == NULL ||
					  !((Form_pg_publication) GETSTRUCT(after))->puballtables);
			break;
		case ForeignTableRelationId:
			if (after == NULL &&
				UPG_SERVER_ACLCHECK(((Form_pg_foreign_table) form)->ftserver, GetUserId(),
									ACL_USAGE) != ACLCHECK_OK)
				aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_FOREIGN_SERVER,
							   upg_catalog_describe(catalog, change->before, desc));
			break;
		case ConstraintRelationId:
			if (after == NULL && !may_refer(change->before, desc))
				aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE,
							   get_rel_name(((Form_pg_constraint) form)->confrelid));
			break;
		case TriggerRelationId:
			/* ALTER TABLE ... DISABLE TRIGGER ALL of what enforces keys */
			denied = ((Form_pg_trigger) form)->tgisinternal && after != NULL &&
					 ((Form_pg_trigger) form)->tgenabled !=
						 ((Form_pg_trigger) GETSTRUCT(after))->tgenabled;
			break;
		default:
			break;
	}
	if (denied)
		deny(catalog, change->before, desc, RIGHT_SUPERUSER, InvalidOid);
}

/* May the caller act for the owner of a relation? */
static bool
acts_for_owner(UpgMembers *members, Oid relation, Oid *owner)
{
	*owner = upg_relation_owner(relation);
	return has_privs_of_role(GetUserId(), *owner) ||
		   upg_member_of_own(members, RelationRelationId, relation);
}

/* Whoever takes rows out and puts rows in must own the table. */
static void
check_table(UpgMembers *members, const UpgRelationRows *rows)
{
	Oid owner;

	if (get_rel_relkind(rows->relation) == '\0' ||
		acts_for_owner(members, rows->relation, &owner))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to take back rows of table %s", rows->name),
			 errdetail("It belongs to role \"%s\".", GetUserNameFromId(owner, true)),
			 errhint("Let this role, or a superuser, roll this migration back.")));
}

/* Whoever sets a sequence must own it or have the right to set it. */
static void
check_sequence(UpgMembers *members, const UpgSequenceState *state)
{
	Oid owner;

	if (get_rel_relkind(state->sequence) != RELKIND_SEQUENCE ||
		acts_for_owner(members, state->sequence, &owner) ||
		pg_class_aclcheck(state->sequence, GetUserId(), ACL_UPDATE) == ACLCHECK_OK)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to set back sequence %s",
					upg_qualified_name(state->sequence)),
			 errdetail("It belongs to role \"%s\".", GetUserNameFromId(owner, true)),
			 errhint("Let this role, or a superuser, roll this migration back.")));
}

/* Did a relation only come to have triggers, as a foreign key's target does? */
static bool
only_has_triggers(Relation catalog, UpgChange *change)
{
	Bitmapset *columns;

	if (RelationGetRelid(catalog) != RelationRelationId || change->before == NULL ||
		change->after == NULL)
		return false;
	columns = upg_catalog_diff(catalog, change->before, change->after);
	columns = bms_del_member(columns, Anum_pg_class_relhastriggers);
	return bms_is_empty(columns);
}

/* Is what a row describes itself a member of an extension of the caller's? */
static bool
is_own_member(UpgMembers *members, Oid catalog, HeapTuple row, TupleDesc desc)
{
	bool isnull;

	if (catalog == AttrDefaultRelationId)
		return upg_member_of_own(members, catalog,
								 ((Form_pg_attrdef) GETSTRUCT(row))->oid);
	if (!is_objectclass_supported(catalog))
		return false;
	return upg_member_of_own(members, catalog,
							 DatumGetObjectId(heap_getattr(
								 row, get_object_attnum_oid(catalog), desc, &isnull)));
}

/* Look at all rows of one catalog that a rollback would change. */
static void
check_catalog(UpgMembers *members, UpgCatalogChanges *changes)
{
	Relation rel = table_open(changes->catalog, AccessShareLock);
	TupleDesc desc = RelationGetDescr(rel);
	ListCell *lc;

	foreach (lc, changes->changes)
	{
		UpgChange *change = lfirst(lc);
		HeapTuple rows[3] = {change->before, change->after, change->current};

		if (only_has_triggers(rel, change) ||
			is_own_member(members, changes->catalog,
						  change->before ? change->before : change->after, desc))
			continue;
		for (int i = 0; i < 3; i++)
		{
			Oid owner = InvalidOid;
			Right right;

			if (rows[i] == NULL)
				continue;
			right = right_of_row(members, changes->catalog, rows[i], desc, &owner);
			if (!has_right(right, owner))
				deny(changes->catalog, rows[i], desc, right, owner);
			check_second(members, changes->catalog, rows[i], desc);
		}
		if (change->before)
			check_return(changes->catalog, change, desc);
	}
	table_close(rel, AccessShareLock);
}

/*
 * upg_undo_check_privileges
 *		A role may take back only what it could have done itself.
 *
 * That holds for what was there before, for what the migration left and for what
 * there is now: whose it was, whose it became.
 */
void
upg_undo_check_privileges(UpgUndoLog *log)
{
	UpgMembers members = {log, NIL, false};
	ListCell *lc;

	if (superuser())
		return;
	/* dependencies last: a message had better name an object */
	foreach (lc, log->catalogs)
		if (((UpgCatalogChanges *) lfirst(lc))->catalog != DependRelationId)
			check_catalog(&members, lfirst(lc));
	foreach (lc, log->catalogs)
		if (((UpgCatalogChanges *) lfirst(lc))->catalog == DependRelationId)
			check_catalog(&members, lfirst(lc));
	foreach (lc, log->relations)
		check_table(&members, lfirst(lc));
	foreach (lc, log->sequences)
		check_sequence(&members, lfirst(lc));
}
