/*-------------------------------------------------------------------------
 *
 * canonical_type.c
 *		Which encoding each type has, and the names types are compared under.
 *
 * Types that come with the server are encoded from their stored form.  Others
 * go through their binary send function, which must not be volatile.  A type
 * with neither, or whose binary form holds OIDs or other things that mean
 * something only where they are, is refused.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/canonical_type.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_range.h"
#include "catalog/pg_ts_config.h"
#include "catalog/pg_ts_dict.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "canonical.h"
#include "compat.h"
#include "errors.h"

/* A type of the server and its encoding; width is of UPG_ENC_BYTES and _POINTS. */
typedef struct BuiltinType
{
	Oid typid;
	UpgEncoderKind kind;
	int width;
} BuiltinType;

static const BuiltinType builtin_types[] = {
	{BOOLOID, UPG_ENC_BOOL, 1},
	{CHAROID, UPG_ENC_RAW1, 1},
	{INT2OID, UPG_ENC_RAW2, 2},
	{INT4OID, UPG_ENC_RAW4, 4},
	{INT8OID, UPG_ENC_RAW8, 8},
	{OIDOID, UPG_ENC_RAW4, 4},
	{XIDOID, UPG_ENC_RAW4, 4},
	{CIDOID, UPG_ENC_RAW4, 4},
	{XID8OID, UPG_ENC_RAW8, 8},
	{PG_LSNOID, UPG_ENC_RAW8, 8},
	{CASHOID, UPG_ENC_RAW8, 8},
	{DATEOID, UPG_ENC_RAW4, 4},
	{TIMEOID, UPG_ENC_RAW8, 8},
	{TIMESTAMPOID, UPG_ENC_RAW8, 8},
	{TIMESTAMPTZOID, UPG_ENC_RAW8, 8},
	{TIMETZOID, UPG_ENC_TIMETZ, 12},
	{INTERVALOID, UPG_ENC_INTERVAL, 16},
	{FLOAT4OID, UPG_ENC_FLOAT4, 4},
	{FLOAT8OID, UPG_ENC_FLOAT8, 8},
	{NUMERICOID, UPG_ENC_NUMERIC, 0},
	{TEXTOID, UPG_ENC_TEXT, 0},
	{VARCHAROID, UPG_ENC_TEXT, 0},
	{BPCHAROID, UPG_ENC_BPCHAR, 0},
	{NAMEOID, UPG_ENC_NAME, NAMEDATALEN},
	{JSONOID, UPG_ENC_TEXT, 0},
	{XMLOID, UPG_ENC_TEXT, 0},
	{JSONPATHOID, UPG_ENC_SEND, 0},
	{BYTEAOID, UPG_ENC_BYTEA, 0},
	{JSONBOID, UPG_ENC_JSONB, 0},
	{UUIDOID, UPG_ENC_BYTES, 16},
	{MACADDROID, UPG_ENC_BYTES, 6},
	{MACADDR8OID, UPG_ENC_BYTES, 8},
	{INETOID, UPG_ENC_INET, 0},
	{CIDROID, UPG_ENC_CIDR, 0},
	{BITOID, UPG_ENC_BIT, 0},
	{VARBITOID, UPG_ENC_BIT, 0},
	{TIDOID, UPG_ENC_TID, 6},
	{POINTOID, UPG_ENC_POINTS, 2},
	{LSEGOID, UPG_ENC_POINTS, 4},
	{BOXOID, UPG_ENC_POINTS, 4},
	{LINEOID, UPG_ENC_POINTS, 3},
	{CIRCLEOID, UPG_ENC_POINTS, 3},
	{PATHOID, UPG_ENC_PATH, 0},
	{POLYGONOID, UPG_ENC_POLYGON, 0},
	{RECORDOID, UPG_ENC_RECORD, 0},
};

/* Types whose values are OIDs of objects, and the catalog of these objects. */
static const struct
{
	Oid typid;
	Oid catalog;
} reg_types[] = {
	{REGCLASSOID, RelationRelationId},
	{REGPROCOID, ProcedureRelationId},
	{REGPROCEDUREOID, ProcedureRelationId},
	{REGOPEROID, OperatorRelationId},
	{REGOPERATOROID, OperatorRelationId},
	{REGTYPEOID, TypeRelationId},
	{REGROLEOID, AuthIdRelationId},
	{REGNAMESPACEOID, NamespaceRelationId},
	{REGCOLLATIONOID, CollationRelationId},
	{REGCONFIGOID, TSConfigRelationId},
	{REGDICTIONARYOID, TSDictionaryRelationId},
};

/* Types with a send function whose bytes mean nothing in another database. */
static const Oid local_types[] = {
	PG_NODE_TREEOID, PG_NDISTINCTOID,          PG_DEPENDENCIESOID,
	PG_MCV_LISTOID,  PG_BRIN_BLOOM_SUMMARYOID, PG_BRIN_MINMAX_MULTI_SUMMARYOID,
};

/*
 * no_canonical_form
 *		Refuse a column for its type.
 */
static void
no_canonical_form(const char *column, Oid typid, const char *why)
{
	ereport(ERROR,
			(errcode(ERRCODE_UPG_NO_CANONICAL_FORM),
			 errmsg("column \"%s\" of type %s has no canonical form", column,
					format_type_be_qualified(typid)),
			 errdetail("%s", why),
			 errhint("Leave the column out, or convert it to a type that has one.")));
}

/*
 * plan_send
 *		Encode a type through its send function, if that is dependable.
 */
static void
plan_send(UpgCanonical *canon, UpgEncoder *enc, Oid typid, const char *column)
{
	HeapTuple tup = SearchSysCache1(TYPEOID, ObjectIdGetDatum(typid));
	Oid send;
	Oid out_of_type = InvalidOid;

	if (!HeapTupleIsValid(tup))
		elog(ERROR, "cache lookup failed for type %u", typid);
	send = ((Form_pg_type) GETSTRUCT(tup))->typsend;
	if (((Form_pg_type) GETSTRUCT(tup))->typtype == TYPTYPE_PSEUDO)
		out_of_type = typid;
	ReleaseSysCache(tup);

	if (OidIsValid(out_of_type))
		no_canonical_form(column, typid,
						  "It is a pseudo-type, whose values cannot be stored.");
	if (!OidIsValid(send))
		no_canonical_form(column, typid, "The type has no binary send function.");
	if (func_volatile(send) == PROVOLATILE_VOLATILE)
		no_canonical_form(column, typid,
						  "The binary send function of the type is volatile.");

	enc->kind = UPG_ENC_SEND;
	if (func_parallel(send) != PROPARALLEL_SAFE)
		canon->leader_only = true;
	fmgr_info(send, &enc->send);

	/* citext and the like are text with other operators */
	if (enc->typlen == -1 && enc->send.fn_addr == textsend)
		enc->kind = UPG_ENC_TEXT;
}

/*
 * plan_composite
 *		Plan the attributes of a named composite type, in their own order:
 *		comparison of such values goes by it.
 */
static UpgRowPlan *
plan_composite(UpgCanonical *canon, Oid typid)
{
	TupleDesc desc = lookup_rowtype_tupdesc_copy(typid, -1);
	int *positions = palloc(sizeof(int) * Max(desc->natts, 1));
	int n = 0;

	for (int i = 0; i < desc->natts; i++)
		if (!TupleDescAttr(desc, i)->attisdropped)
			positions[n++] = i;
	return upg_row_plan(canon, desc, n, positions, NULL, false);
}

/* In semantic mode the integers compare as one type. */
static UpgEncoderKind
widen(UpgCanonicalMode mode, UpgEncoderKind kind, Oid typid)
{
	if (mode == UPG_MODE_SEMANTIC && typid == INT2OID)
		return UPG_ENC_WIDE2;
	if (mode == UPG_MODE_SEMANTIC && typid == INT4OID)
		return UPG_ENC_WIDE4;
	/* blanks at the end count in varchar and text, so only their names are joined */
	return kind;
}

/*
 * plan_builtin
 *		Look the type up among those known by OID; false if it is not there.
 */
static bool
plan_builtin(UpgCanonical *canon, UpgEncoder *enc, const char *column)
{
	for (int i = 0; i < lengthof(builtin_types); i++)
	{
		if (builtin_types[i].typid != enc->typid)
			continue;
		enc->kind = widen(canon->mode, builtin_types[i].kind, enc->typid);
		enc->width = builtin_types[i].width;
		if (enc->kind == UPG_ENC_SEND)
			plan_send(canon, enc, enc->typid, column);
		return true;
	}
	for (int i = 0; i < lengthof(reg_types); i++)
	{
		if (reg_types[i].typid != enc->typid)
			continue;
		enc->kind = UPG_ENC_REG;
		enc->catalog = reg_types[i].catalog;
		return true;
	}
	for (int i = 0; i < lengthof(local_types); i++)
		if (local_types[i] == enc->typid)
			no_canonical_form(column, enc->typid,
							  "Its values mean something only in this database.");
	return false;
}

/*
 * upg_encoder_for_type
 *		Find out how values of a type are encoded; allocates in
 *		CurrentMemoryContext.
 *
 * "column" is named in the error for a type that has no canonical form.
 */
UpgEncoder *
upg_encoder_for_type(UpgCanonical *canon, Oid typid, const char *column)
{
	UpgEncoder *enc = palloc0(sizeof(UpgEncoder));
	Oid element;

	check_stack_depth();

	enc->typid = getBaseType(typid);
	get_typlenbyvalalign(enc->typid, &enc->typlen, &enc->typbyval, &enc->typalign);
	if (plan_builtin(canon, enc, column))
		return enc;

	element = get_element_type(enc->typid);
	if (OidIsValid(element))
	{
		enc->kind = UPG_ENC_ARRAY;
		enc->element = upg_encoder_for_type(canon, element, column);
		return enc;
	}

	switch (get_typtype(enc->typid))
	{
		case TYPTYPE_ENUM:
			enc->kind = UPG_ENC_ENUM;
			break;
		case TYPTYPE_COMPOSITE:
			enc->kind = UPG_ENC_COMPOSITE;
			enc->row = plan_composite(canon, enc->typid);
			break;
		case TYPTYPE_RANGE:
			enc->kind = UPG_ENC_RANGE;
			enc->typcache = lookup_type_cache(enc->typid, TYPECACHE_RANGE_INFO);
			enc->element =
				upg_encoder_for_type(canon, enc->typcache->rngelemtype->type_id, column);
			break;
		case TYPTYPE_MULTIRANGE:
			enc->kind = UPG_ENC_MULTIRANGE;
			enc->typcache = lookup_type_cache(enc->typid, TYPECACHE_MULTIRANGE_INFO);
			enc->element = upg_encoder_for_type(
				canon, enc->typcache->rngtype->rngelemtype->type_id, column);
			break;
		default:
			plan_send(canon, enc, enc->typid, column);
			break;
	}
	return enc;
}

/*
 * upg_type_signature
 *		Append the name a type is compared under.
 *
 * Domains go by their base type, composites by their attributes, enums by
 * being enums: their labels are a part of each value.  Schemas are left out,
 * because extensions may live in different ones on the two sides.
 */
void
upg_type_signature(StringInfo out, UpgCanonicalMode mode, Oid typid)
{
	Oid base = getBaseType(typid);
	Oid element = get_element_type(base);

	check_stack_depth();

	if (OidIsValid(element))
	{
		upg_type_signature(out, mode, element);
		appendStringInfoString(out, "[]");
		return;
	}
	if (mode == UPG_MODE_SEMANTIC)
	{
		if (base == INT2OID || base == INT4OID || base == INT8OID)
		{
			appendStringInfoString(out, "integer");
			return;
		}
		if (base == TEXTOID || base == VARCHAROID || base == BPCHAROID)
		{
			appendStringInfoString(out, "text");
			return;
		}
	}

	switch (get_typtype(base))
	{
		case TYPTYPE_ENUM:
			appendStringInfoString(out, "enum");
			break;
		case TYPTYPE_RANGE:
			appendStringInfoString(out, "range(");
			upg_type_signature(out, mode, get_range_subtype(base));
			appendStringInfoChar(out, ')');
			break;
		case TYPTYPE_MULTIRANGE:
			appendStringInfoString(out, "multirange(");
			upg_type_signature(out, mode, get_range_subtype(get_multirange_range(base)));
			appendStringInfoChar(out, ')');
			break;
		case TYPTYPE_COMPOSITE:
		{
			TupleDesc desc = lookup_rowtype_tupdesc_copy(base, -1);
			const char *separator = "";

			appendStringInfoString(out, "row(");
			for (int i = 0; i < desc->natts; i++)
			{
				Form_pg_attribute att = TupleDescAttr(desc, i);

				if (att->attisdropped)
					continue;
				appendStringInfo(out, "%s%s ", separator,
								 quote_identifier(NameStr(att->attname)));
				upg_type_signature(out, mode, att->atttypid);
				separator = ", ";
			}
			appendStringInfoChar(out, ')');
			FreeTupleDesc(desc);
			break;
		}
		default:
		{
			HeapTuple tup = SearchSysCache1(TYPEOID, ObjectIdGetDatum(base));

			if (!HeapTupleIsValid(tup))
				elog(ERROR, "cache lookup failed for type %u", base);
			appendStringInfoString(
				out, quote_identifier(NameStr(((Form_pg_type) GETSTRUCT(tup))->typname)));
			ReleaseSysCache(tup);
			break;
		}
	}
}
