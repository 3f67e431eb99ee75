/*-------------------------------------------------------------------------
 *
 * conn_rows.c
 *		Rows of a result: thin names for what libpq holds.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/conn_rows.c
 *
 *-------------------------------------------------------------------------
 */
#include <libpq-fe.h>
#include <stdlib.h>

#include "conn.h"

int
rows_count(const UpgRows *rows)
{
	return PQntuples((const PGresult *) rows);
}

int
rows_columns(const UpgRows *rows)
{
	return PQnfields((const PGresult *) rows);
}

const char *
rows_name(const UpgRows *rows, int col)
{
	return PQfname((const PGresult *) rows, col);
}

int
rows_column(const UpgRows *rows, const char *name)
{
	return PQfnumber((const PGresult *) rows, name);
}

/*
 * rows_type
 *		What a column holds: n number, b boolean, j JSON, a array of text, t time stamp,
 *		s other.
 */
char
rows_type(const UpgRows *rows, int col)
{
	switch (PQftype((const PGresult *) rows, col))
	{
		case 16:
			return 'b';
		case 20:
		case 21:
		case 23:
		case 26:
		case 700:
		case 701:
			return 'n';
		case 114:
		case 3802:
			return 'j';
		case 1009:
			return 'a';
		case 1184:
			return 't';
		default:
			return 's';
	}
}

/*
 * rows_get
 *		A value, or NULL.
 */
const char *
rows_get(const UpgRows *rows, int row, int col)
{
	const PGresult *res = (const PGresult *) rows;

	if (col < 0 || row < 0 || row >= PQntuples(res) || col >= PQnfields(res) ||
		PQgetisnull(res, row, col))
		return NULL;
	return PQgetvalue(res, row, col);
}

/*
 * rows_length
 *		Bytes that a value takes, of one that came as bytes.
 */
int
rows_length(const UpgRows *rows, int row, int col)
{
	return PQgetlength((const PGresult *) rows, row, col);
}

const char *
rows_named(const UpgRows *rows, int row, const char *name)
{
	return rows_get(rows, row, rows_column(rows, name));
}

int64_t
rows_int(const UpgRows *rows, int row, const char *name)
{
	const char *value = rows_named(rows, row, name);

	return value == NULL ? 0 : strtoll(value, NULL, 10);
}

bool
rows_bool(const UpgRows *rows, int row, const char *name)
{
	const char *value = rows_named(rows, row, name);

	return value != NULL && value[0] == 't';
}

void
rows_free(UpgRows *rows)
{
	PQclear((PGresult *) rows);
}
