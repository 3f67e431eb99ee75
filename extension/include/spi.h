/*-------------------------------------------------------------------------
 *
 * spi.h
 *		Access to the books: saved plans, run as the owner of schema upg.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/include/spi.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_SPI_H
#define UPG_SPI_H

#include "executor/spi.h"

#define UPG_QUERY_MAX_ARGS 20

/*
 * A query on the books.  Declared static at its place of use; the plan is
 * made at the first execution and kept for the life of the backend.
 */
typedef struct UpgQuery
{
	const char *sql; /* all names qualified */
	int expected;    /* SPI_OK_... that it must return */
	int nargs;
	Oid argtypes[UPG_QUERY_MAX_ARGS];
	SPIPlanPtr plan; /* NULL until first used */
} UpgQuery;

/* What upg_books_open() changed, for upg_books_close(). */
typedef struct UpgBooks
{
	Oid user;
	int sec_context;
	int guc_level;
	bool snapshot;
} UpgBooks;

extern Oid upg_books_owner(void);
extern void upg_books_open(UpgBooks *books);
extern void upg_books_close(UpgBooks *books);
extern void upg_query(UpgQuery *query, const Datum *values, const char *nulls);
extern void upg_query_latest(UpgQuery *query, const Datum *values, const char *nulls);
extern char *upg_query_text(UpgQuery *query, const Datum *values);
extern List *upg_query_names(UpgQuery *query, const Datum *values);
extern char *upg_result_text(uint64 row, int column);
extern Datum upg_result_datum(uint64 row, int column, bool *isnull);
extern Datum upg_text_array(List *texts);
extern Datum upg_bytea(const void *data, Size size);

#endif /* UPG_SPI_H */
