/*-------------------------------------------------------------------------
 *
 * canonical_frame.c
 *		Frames of bytes and of text, and unpacking what is stored packed.
 *
 * A frame is a length and that many bytes, or, above UPG_CANONICAL_LIMIT bytes,
 * the length with its highest bit set and the digest of the bytes.
 *
 * What is unpacked is allocated in CurrentMemoryContext.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/canonical_frame.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"

#include "canonical_internal.h"
#include "compat.h"
#include "errors.h"

/* Values stored out of line, uncompressed, above this are hashed in pieces. */
#define STREAM_ABOVE (1024 * 1024)
#define STREAM_PIECE (512 * 1024)

/*
 * upg_end_frame
 *		Fill in the length of the frame that begins at "start", or put its digest
 *		in its place.
 */
void
upg_end_frame(UpgCanonical *canon, Size start)
{
	Size length = canon->used - start - 4;
	uint32 word = (uint32) length;

	if (length > UPG_CANONICAL_LIMIT)
	{
		UpgSum digest = upg_hash128(canon->data + start + 4, length, canon->seed);

		if (length >= FRAME_DIGEST)
			ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
							errmsg("the canonical form of a value is too long"),
							errdetail("It takes %zu bytes; the limit is %u.", length,
									  FRAME_DIGEST - 1)));
		word |= FRAME_DIGEST;
		upg_sum_to_bytes(digest, (unsigned char *) canon->data + start + 4);
		canon->used = start + 4 + 16;
	}
	upg_store32(canon->data + start, word);
}

static bool
all_ascii(const char *s, Size length)
{
	for (Size i = 0; i < length; i++)
		if (IS_HIGHBIT_SET(s[i]))
			return false;
	return true;
}

/*
 * upg_put_text
 *		Append characters in a frame, as UTF-8.
 */
void
upg_put_text(UpgCanonical *canon, const char *s, Size length)
{
	if (canon->convert && !all_ascii(s, length))
	{
		char *utf8;

		if (GetDatabaseEncoding() == PG_SQL_ASCII)
			ereport(
				ERROR,
				(errcode(ERRCODE_UPG_NO_CANONICAL_FORM),
				 errmsg("a text value with characters outside ASCII has no canonical "
						"form in "
						"a SQL_ASCII database"),
				 errdetail("The encoding of these bytes is not known, so they cannot be "
						   "compared with another database."),
				 errhint("Compare the column as bytea.")));
		utf8 = (char *) pg_do_encoding_conversion((unsigned char *) unconstify(char *, s),
												  (int) length, GetDatabaseEncoding(),
												  PG_UTF8);
		upg_put_bytes(canon, utf8, strlen(utf8));
		return;
	}
	upg_put_bytes(canon, s, length);
}

/*
 * put_streamed
 *		Hash a large value stored out of line piece by piece.
 *
 * Memory stays constant, and a cancel request is seen between the pieces.
 */
static void
put_streamed(UpgCanonical *canon, struct varlena *attr, Size length)
{
	XXH3_state_t state = {{0}};
	XXH128_hash_t h;
	UpgSum digest;

	XXH3_128bits_reset_withSeed(&state, canon->seed);
	for (Size offset = 0; offset < length; offset += STREAM_PIECE)
	{
		Size size = Min(STREAM_PIECE, length - offset);
		struct varlena *piece = detoast_attr_slice(attr, (int32) offset, (int32) size);

		CHECK_FOR_INTERRUPTS();
		if (VARSIZE_ANY_EXHDR(piece) != size)
			ereport(
				ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("a value stored out of line is shorter than its header says")));
		XXH3_128bits_update(&state, VARDATA_ANY(piece), size);
		pfree(piece);
	}
	h = XXH3_128bits_digest(&state);
	digest.lo = h.low64;
	digest.hi = h.high64;

	put32(canon, (uint32) length | FRAME_DIGEST);
	upg_canonical_reserve(canon, 16);
	upg_sum_to_bytes(digest, (unsigned char *) canon->data + canon->used);
	canon->used += 16;
}

/*
 * upg_unpack
 *		A varlena's bytes, decompressed and fetched if need be.
 *
 * *copy is what to free afterwards, or NULL.
 */
const char *
upg_unpack(const char *value, Size *length, struct varlena **copy)
{
	struct varlena *v = (struct varlena *) unconstify(char *, value);

	*copy = NULL;
	if (VARATT_IS_COMPRESSED(v) || VARATT_IS_EXTERNAL(v))
	{
		/* an expanded object may be flattened in place: free only what is new */
		struct varlena *flat = detoast_attr(v);

		if (flat != v)
			*copy = flat;
		v = flat;
	}
	*length = VARSIZE_ANY_EXHDR(v);
	return VARDATA_ANY(v);
}

/*
 * upg_unpack_struct
 *		A varlena with an aligned four-byte header, for types that are structs.
 */
struct varlena *
upg_unpack_struct(const char *value)
{
	struct varlena *v = pg_detoast_datum((struct varlena *) unconstify(char *, value));

	/* a value inside another one may lie anywhere */
	if ((uintptr_t) v != MAXALIGN(v))
	{
		Size size = VARSIZE(v);

		v = memcpy(palloc(size), v, size);
	}
	return v;
}

/*
 * upg_encode_characters
 *		Append text, char(n) or bytea.
 */
void
upg_encode_characters(UpgCanonical *canon, UpgEncoderKind kind, const char *value)
{
	Size length;
	struct varlena *copy;
	const char *s;

	if (VARATT_IS_EXTERNAL_ONDISK(value) && kind != UPG_ENC_BPCHAR &&
		(kind == UPG_ENC_BYTEA || !canon->convert))
	{
		struct varatt_external pointer;

		VARATT_EXTERNAL_GET_POINTER(pointer, value);
		if (!VARATT_EXTERNAL_IS_COMPRESSED(pointer) &&
			pointer.va_rawsize - VARHDRSZ > STREAM_ABOVE)
		{
			put_streamed(canon, (struct varlena *) unconstify(char *, value),
						 pointer.va_rawsize - VARHDRSZ);
			return;
		}
	}

	s = upg_unpack(value, &length, &copy);
	if (kind == UPG_ENC_BPCHAR)
		length = upg_strip_blanks(s, length);
	if (kind == UPG_ENC_BYTEA)
		upg_put_bytes(canon, s, length);
	else
		upg_put_text(canon, s, length);
	if (copy)
		pfree(copy);
}
