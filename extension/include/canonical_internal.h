/*-------------------------------------------------------------------------
 *
 * canonical_internal.h
 *		Writing canonical bytes; for the files that make up the encoding.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/canonical_internal.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_CANONICAL_INTERNAL_H
#define UPG_CANONICAL_INTERNAL_H

#include "port/pg_bitutils.h"

#include "canonical.h"

/* Set in the length of a frame that holds a digest. */
#define FRAME_DIGEST 0x80000000U

/* in canonical_frame.c */
extern void upg_end_frame(UpgCanonical *canon, Size start);
extern void upg_put_text(UpgCanonical *canon, const char *s, Size length);
extern const char *upg_unpack(const char *value, Size *length, struct varlena **copy);
extern struct varlena *upg_unpack_struct(const char *value);
extern void upg_encode_characters(UpgCanonical *canon, UpgEncoderKind kind,
								  const char *value);

/* in canonical_number.c */
extern void upg_put_float4(UpgCanonical *canon, float v);
extern void upg_encode_numeric(UpgCanonical *canon, const char *value);
extern char *upg_encode_short_number(UpgCanonical *canon, const char *value, char *out);
extern void upg_encode_interval(UpgCanonical *canon, const char *value);
extern void upg_encode_points(UpgCanonical *canon, const char *value, int count);

/* in canonical_nested.c */
extern void upg_encode_jsonb(UpgCanonical *canon, const char *value);
extern void upg_encode_array(UpgCanonical *canon, UpgEncoder *enc, const char *value);
extern void upg_encode_enum(UpgCanonical *canon, UpgEncoder *enc, const char *value);
extern void upg_encode_composite(UpgCanonical *canon, UpgEncoder *enc, const char *value);
extern void upg_encode_ranges(UpgCanonical *canon, UpgEncoder *enc, const char *value);

/* Frames: begin_frame() leaves room for the length, end_frame() fills it in. */
static inline Size
begin_frame(UpgCanonical *canon)
{
	Size start = canon->used;

	upg_canonical_reserve(canon, 4);
	canon->used += 4;
	return start;
}

static inline void
put8(UpgCanonical *canon, uint8 v)
{
	upg_canonical_reserve(canon, 1);
	canon->data[canon->used++] = (char) v;
}

static inline void
put16(UpgCanonical *canon, uint16 v)
{
	upg_canonical_reserve(canon, 2);
	upg_store16(canon->data + canon->used, v);
	canon->used += 2;
}

static inline void
put32(UpgCanonical *canon, uint32 v)
{
	upg_canonical_reserve(canon, 4);
	upg_store32(canon->data + canon->used, v);
	canon->used += 4;
}

static inline void
put64(UpgCanonical *canon, uint64 v)
{
	upg_canonical_reserve(canon, 8);
	upg_store64(canon->data + canon->used, v);
	canon->used += 8;
}

static inline void
put_raw(UpgCanonical *canon, const char *bytes, Size length)
{
	upg_canonical_reserve(canon, length);
	memcpy(canon->data + canon->used, bytes, length);
	canon->used += length;
}

/*
 * upg_copy_short
 *		Copy a few bytes without the cost of a call: in words that overlap.
 */
static inline void
upg_copy_short(char *out, const char *in, Size length)
{
	if (length > 256)
		memcpy(out, in, length);
	else if (length >= 16)
	{
		for (Size i = 0; i + 16 < length; i += 16)
			memcpy(out + i, in + i, 16);
		memcpy(out + length - 16, in + length - 16, 16);
	}
	else if (length >= 8)
	{
		memcpy(out, in, 8);
		memcpy(out + length - 8, in + length - 8, 8);
	}
	else if (length >= 4)
	{
		memcpy(out, in, 4);
		memcpy(out + length - 4, in + length - 4, 4);
	}
	else
	{
		for (Size i = 0; i < length; i++)
			out[i] = in[i];
	}
}

/* Write bytes in a frame; returns the end of what was written. */
static pg_attribute_always_inline char *
upg_write_frame(UpgCanonical *canon, char *out, const char *bytes, Size length)
{
	if (unlikely(length > UPG_CANONICAL_LIMIT))
	{
		upg_store32(out, (uint32) length | FRAME_DIGEST);
		upg_sum_to_bytes(upg_hash128(bytes, length, canon->seed),
						 (unsigned char *) out + 4);
		return out + 20;
	}
	upg_store32(out, (uint32) length);
	upg_copy_short(out + 4, bytes, length);
	return out + 4 + length;
}

/* Eight characters, the first in the lowest byte; those that are blanks are zero. */
static inline uint64
upg_load_blanked(const char *s)
{
	uint64 word;

	memcpy(&word, s, 8);
#ifdef WORDS_BIGENDIAN
	word = pg_bswap64(word);
#endif
	return word ^ UINT64CONST(0x2020202020202020);
}

/* Length of a string without the blanks at its end. */
static inline Size
upg_strip_blanks(const char *s, Size length)
{
	bool whole_word = length >= 8;
	uint64 word;

	while (length >= 32 &&
		   (upg_load_blanked(s + length - 8) | upg_load_blanked(s + length - 16) |
			upg_load_blanked(s + length - 24) | upg_load_blanked(s + length - 32)) == 0)
		length -= 32;
	while (length >= 8)
	{
		word = upg_load_blanked(s + length - 8);
		if (word != 0)
			return length - 7 + pg_leftmost_one_pos64(word) / 8;
		length -= 8;
	}
	if (!whole_word)
	{
		while (length > 0 && s[length - 1] == ' ')
			length--;
		return length;
	}
	/* what is left is the beginning of the first word */
	word = upg_load_blanked(s) & ((UINT64CONST(1) << (8 * length)) - 1);
	return word == 0 ? 0 : pg_leftmost_one_pos64(word) / 8 + 1;
}

/* Append bytes in a frame. */
static inline void
upg_put_bytes(UpgCanonical *canon, const char *bytes, Size length)
{
	upg_canonical_reserve(canon, UPG_CANONICAL_VALUE_MAX);
	canon->used =
		upg_write_frame(canon, canon->data + canon->used, bytes, length) - canon->data;
}

#endif /* UPG_CANONICAL_INTERNAL_H */
