/*-------------------------------------------------------------------------
 *
 * packed_rows.c
 *		Reading the rows that upg_rows_packed() packed into one value.
 *
 *  The bytes are read where they lie; docs/verification.md specifies them.  All of them
 *  are gone through once, so that nothing later reads beyond their end.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/packed_rows.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "exit_codes.h"
#include "log.h"
#include "packed_rows.h"

#define MAGIC           "UPGRW1\n"
#define LENGTH_NULL     0xffff
#define LENGTH_LEFT_OUT 0xfffe

/* What is left to be read; "p" is NULL once something was missing. */
typedef struct Reader
{
	const unsigned char *p;
	const unsigned char *end;
} Reader;

static const unsigned char *
take(Reader *reader, size_t size)
{
	const unsigned char *p = reader->p;

	if (p == NULL || (size_t) (reader->end - p) < size)
	{
		reader->p = NULL;
		return NULL;
	}
	reader->p += size;
	return p;
}

/* A number, lowest byte first; 0 if it is not there. */
static uint64_t
take_number(Reader *reader, int size)
{
	const unsigned char *p = take(reader, (size_t) size);
	uint64_t v = 0;

	for (int i = size - 1; p != NULL && i >= 0; i--)
		v = v << 8 | p[i];
	return v;
}

/* A text of such a length, with a zero behind it. */
static const char *
take_text(Reader *reader, size_t length)
{
	const unsigned char *p = take(reader, length + 1);

	if (p != NULL && p[length] != '\0')
		reader->p = p = NULL;
	return (const char *) p;
}

static void
take_value(Reader *reader, PackedValue *value)
{
	uint64_t length = take_number(reader, 2);

	value->null = length == LENGTH_NULL;
	value->text = value->null || length == LENGTH_LEFT_OUT
					  ? NULL
					  : take_text(reader, (size_t) length);
	value->print = value->null ? 0 : take_number(reader, 8);
}

/*
 * order_columns
 *		Put the numbers of columns in the order of jsonb: short names first.
 */
static void
order_columns(const PackedRows *packed, int *columns, int count)
{
	for (int i = 1; i < count; i++)
	{
		int column = columns[i];
		const char *name = packed->names[column];
		int k = i;

		for (; k > 0; k--)
		{
			const char *other = packed->names[columns[k - 1]];
			size_t a = strlen(other);
			size_t b = strlen(name);

			if (a < b || (a == b && strcmp(other, name) < 0))
				break;
			columns[k] = columns[k - 1];
		}
		columns[k] = column;
	}
}

/*
 * read_columns
 *		Read what stands before the rows.
 */
static void
read_columns(PackedRows *packed, Reader *reader)
{
	packed->names = xmalloc(((size_t) packed->ncolumns + 1) * sizeof(char *));
	packed->order = xmalloc(((size_t) packed->ncolumns + 1) * sizeof(int));
	packed->keys = xmalloc(((size_t) packed->nkeys + 1) * sizeof(int));
	for (int c = 0; c < packed->ncolumns && reader->p != NULL; c++)
	{
		packed->names[c] = take_text(reader, (size_t) take_number(reader, 2));
		packed->order[c] = c;
	}
	for (int k = 0; k < packed->nkeys && reader->p != NULL; k++)
	{
		packed->keys[k] = (int) take_number(reader, 2);
		if (packed->keys[k] >= packed->ncolumns)
			reader->p = NULL;
	}
	if (reader->p == NULL)
		return;
	order_columns(packed, packed->order, packed->ncolumns);
	order_columns(packed, packed->keys, packed->nkeys);
}

/*
 * packed_read
 *		Take the rows from a result, which goes with them; false with the error set.
 */
bool
packed_read(PackedRows *packed, UpgRows *result)
{
	const unsigned char *data = (const unsigned char *) rows_get(result, 0, 0);
	Reader reader = {data, data == NULL ? NULL : data + rows_length(result, 0, 0)};
	const unsigned char *magic = take(&reader, sizeof(MAGIC));

	memset(packed, 0, sizeof(*packed));
	packed->result = result;
	if (magic == NULL || memcmp(magic, MAGIC, sizeof(MAGIC)) != 0)
		reader.p = NULL;
	packed->ncolumns = (int) take_number(&reader, 2);
	packed->nkeys = (int) take_number(&reader, 2);
	packed->count = (int) take_number(&reader, 4);
	read_columns(packed, &reader);
	if (reader.p != NULL &&
		(size_t) (reader.end - reader.p) / 36 < (size_t) packed->count)
		reader.p = NULL;
	packed->rows = xmalloc(((size_t) (reader.p == NULL ? 0 : packed->count) + 1) *
						   sizeof(PackedRow));
	for (int i = 0; i < packed->count && reader.p != NULL; i++)
	{
		PackedRow *row = &packed->rows[i];
		PackedValue value;

		row->print = take(&reader, PRINT_SIZE);
		row->hash = take(&reader, PRINT_SIZE);
		row->copies = (uint32_t) take_number(&reader, 4);
		row->columns = reader.p;
		for (int c = 0; c < packed->ncolumns; c++)
			take_value(&reader, &value);
	}
	if (reader.p != NULL)
		return true;
	packed_free(packed);
	return err_set(UPG_EXIT_BUG, "UPG-9999", "the server sent rows that cannot be read");
}

/*
 * packed_free
 *		Give the rows back.
 */
void
packed_free(PackedRows *packed)
{
	rows_free(packed->result);
	free(packed->names);
	free(packed->order);
	free(packed->keys);
	free(packed->rows);
	memset(packed, 0, sizeof(*packed));
}

/*
 * packed_values
 *		The columns of a row.
 */
void
packed_values(const PackedRows *packed, int row, PackedValue *values)
{
	Reader reader = {packed->rows[row].columns,
					 row + 1 < packed->count
						 ? packed->rows[row + 1].print
						 : (const unsigned char *) rows_get(packed->result, 0, 0) +
							   rows_length(packed->result, 0, 0)};

	for (int c = 0; c < packed->ncolumns; c++)
		take_value(&reader, &values[c]);
}

static int
compare_rows(const void *a, const void *b)
{
	const PackedRow *x = a;
	const PackedRow *y = b;
	int order = memcmp(x->print, y->print, PRINT_SIZE);

	return order != 0 ? order : memcmp(x->hash, y->hash, PRINT_SIZE);
}

/*
 * packed_find
 *		Where the very row of another set of rows is in this one; -1 if it is not.
 */
int
packed_find(const PackedRows *packed, const PackedRow *row)
{
	const PackedRow *found = packed->count == 0
								 ? NULL
								 : bsearch(row, packed->rows, (size_t) packed->count,
										   sizeof(PackedRow), compare_rows);

	return found == NULL ? -1 : (int) (found - packed->rows);
}
