/*-------------------------------------------------------------------------
 *
 * canonical_value.c
 *		The encoding of single values, type by type.
 *
 * Fixed-width kinds are their bytes, little-endian.  All others are framed
 * (canonical_frame.c).  A frame ends where it says, so two different values never
 * give the same bytes.
 *
 * Functions here append to the buffer of the UpgCanonical and allocate what
 * they unpack in CurrentMemoryContext, which the callers reset after each row.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/canonical_value.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"
#include "postgres.h"

#include <sys/socket.h>

#include "access/tupmacs.h"
#include "catalog/objectaddress.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/itemptr.h"
#include "utils/builtins.h"
#include "utils/geo_decls.h"
#include "utils/inet.h"
#include "utils/varbit.h"

#include "canonical_internal.h"
#include "compat.h"
#include "errors.h"

static void
encode_inet(UpgCanonical *canon, const char *value, bool cidr)
{
	inet *v =
		(inet *) pg_detoast_datum_packed((struct varlena *) unconstify(char *, value));
	Size frame = begin_frame(canon);

	put8(canon, ip_family(v) == PGSQL_AF_INET ? 4 : 6);
	put8(canon, ip_bits(v));
	put8(canon, cidr);
	put_raw(canon, (const char *) ip_addr(v), ip_addrsize(v));
	upg_end_frame(canon, frame);
}

/*
 * encode_reg
 *		An object by its full name; OIDs differ from database to database.
 */
static void
encode_reg(UpgCanonical *canon, UpgEncoder *enc, const char *value)
{
	Size frame = begin_frame(canon);
	ObjectAddress address;
	char *identity;
	Oid oid;

	memcpy(&oid, value, sizeof(Oid));
	ObjectAddressSet(address, enc->catalog, oid);
	identity = OidIsValid(oid) ? getObjectIdentity(&address, true) : NULL;
	if (identity)
	{
		put8(canon, 1);
		upg_put_text(canon, identity, strlen(identity));
	}
	else if (OidIsValid(oid))
	{
		/* names nothing here; its text form is the number, so that is the value */
		put8(canon, 2);
		put32(canon, oid);
	}
	else
		put8(canon, 0);
	upg_end_frame(canon, frame);
}

/*
 * encode_by_send
 *		Whatever the type's send function gives.
 *
 * Send functions convert text to the client's encoding, which is none of our
 * business: let it be UTF-8 meanwhile.
 */
static void
encode_by_send(UpgCanonical *canon, UpgEncoder *enc, const char *value)
{
	Datum datum = fetch_att(value, enc->typbyval, enc->typlen);
	int client = pg_get_client_encoding();
	bytea *bytes;

	if (client == PG_UTF8 || (client == GetDatabaseEncoding() && !canon->convert))
		bytes = SendFunctionCall(&enc->send, datum);
	else
	{
		if (PrepareClientEncoding(PG_UTF8) < 0)
			ereport(
				ERROR,
				(errcode(ERRCODE_UPG_NO_CANONICAL_FORM),
				 errmsg("type %s has no canonical form in a database of encoding %s",
						format_type_be_qualified(enc->typid), GetDatabaseEncodingName()),
				 errdetail("There is no conversion from that encoding to UTF-8.")));
		PG_TRY();
		{
			SetClientEncoding(PG_UTF8);
			bytes = SendFunctionCall(&enc->send, datum);
		}
		PG_CATCH();
		{
			SetClientEncoding(client);
			PG_RE_THROW();
		}
		PG_END_TRY();
		SetClientEncoding(client);
	}
	upg_put_bytes(canon, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
}

/* Structs with a varying part. */
static void
encode_struct(UpgCanonical *canon, UpgEncoder *enc, const char *value)
{
	struct varlena *v = upg_unpack_struct(value);
	Size frame = begin_frame(canon);

	if (enc->kind == UPG_ENC_BIT)
	{
		put32(canon, (uint32) VARBITLEN(v));
		put_raw(canon, (const char *) VARBITS(v), VARBITBYTES(v));
	}
	else if (enc->kind == UPG_ENC_PATH)
	{
		PATH *path = (PATH *) v;

		put8(canon, path->closed != 0);
		put32(canon, (uint32) path->npts);
		upg_encode_points(canon, (const char *) path->p, path->npts * 2);
	}
	else
	{
		POLYGON *polygon = (POLYGON *) v;

		put32(canon, (uint32) polygon->npts);
		upg_encode_points(canon, (const char *) polygon->p, polygon->npts * 2);
	}
	upg_end_frame(canon, frame);
}

/*
 * upg_encode_value
 *		Append the encoding of one value.
 *
 * "value" points at the value as it lies in a tuple or an array.
 */
void
upg_encode_value(UpgCanonical *canon, UpgEncoder *enc, const char *value)
{
	uint16 v16;
	uint32 v32;
	uint64 v64;

	switch (enc->kind)
	{
		case UPG_ENC_RAW1:
			put8(canon, (uint8) *value);
			break;
		case UPG_ENC_RAW2:
			memcpy(&v16, value, 2);
			put16(canon, v16);
			break;
		case UPG_ENC_RAW4:
			memcpy(&v32, value, 4);
			put32(canon, v32);
			break;
		case UPG_ENC_RAW8:
			memcpy(&v64, value, 8);
			put64(canon, v64);
			break;
		case UPG_ENC_WIDE2:
			memcpy(&v16, value, 2);
			put64(canon, (uint64) (int64) (int16) v16);
			break;
		case UPG_ENC_WIDE4:
			memcpy(&v32, value, 4);
			put64(canon, (uint64) (int64) (int32) v32);
			break;
		case UPG_ENC_BOOL:
			put8(canon, *value != 0);
			break;
		case UPG_ENC_BYTES:
			put_raw(canon, value, enc->width);
			break;
		case UPG_ENC_FLOAT4:
		{
			float v;

			memcpy(&v, value, sizeof(v));
			upg_put_float4(canon, v);
			break;
		}
		case UPG_ENC_FLOAT8:
			upg_encode_points(canon, value, 1);
			break;
		case UPG_ENC_POINTS:
			upg_encode_points(canon, value, enc->width);
			break;
		case UPG_ENC_TIMETZ:
			memcpy(&v64, value, 8);
			memcpy(&v32, value + 8, 4);
			put64(canon, v64);
			put32(canon, v32);
			break;
		case UPG_ENC_INTERVAL:
			upg_encode_interval(canon, value);
			break;
		case UPG_ENC_TID:
		{
			ItemPointerData tid;

			memcpy(&tid, value, sizeof(tid));
			put32(canon, ItemPointerGetBlockNumberNoCheck(&tid));
			put16(canon, ItemPointerGetOffsetNumberNoCheck(&tid));
			break;
		}
		case UPG_ENC_TEXT:
		case UPG_ENC_BPCHAR:
		case UPG_ENC_BYTEA:
			upg_encode_characters(canon, enc->kind, value);
			break;
		case UPG_ENC_NAME:
			upg_put_text(canon, value, strnlen(value, NAMEDATALEN));
			break;
		case UPG_ENC_NUMERIC:
			upg_encode_numeric(canon, value);
			break;
		case UPG_ENC_BIT:
		case UPG_ENC_PATH:
		case UPG_ENC_POLYGON:
			encode_struct(canon, enc, value);
			break;
		case UPG_ENC_INET:
		case UPG_ENC_CIDR:
			encode_inet(canon, value, enc->kind == UPG_ENC_CIDR);
			break;
		case UPG_ENC_JSONB:
			upg_encode_jsonb(canon, value);
			break;
		case UPG_ENC_ARRAY:
			upg_encode_array(canon, enc, value);
			break;
		case UPG_ENC_ENUM:
			upg_encode_enum(canon, enc, value);
			break;
		case UPG_ENC_COMPOSITE:
		case UPG_ENC_RECORD:
			check_stack_depth();
			upg_encode_composite(canon, enc, value);
			break;
		case UPG_ENC_RANGE:
		case UPG_ENC_MULTIRANGE:
			upg_encode_ranges(canon, enc, value);
			break;
		case UPG_ENC_REG:
			encode_reg(canon, enc, value);
			break;
		case UPG_ENC_SEND:
			encode_by_send(canon, enc, value);
			break;
	}
}
