/*-------------------------------------------------------------------------
 *
 * conn_internal.h
 *		What the files of the connection share.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/conn_internal.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_CONN_INTERNAL_H
#define UPG_CONN_INTERNAL_H

#include <libpq-fe.h>

#include "conn.h"

struct UpgConn
{
	PGconn *pg;
	UpgConnParams params;
	char *password; /* typed by the user, or NULL */
	char *schema;   /* of the extension, quoted; NULL until known */
	char *library;  /* versions, once known */
	char *script;
	bool show_notices;
	bool silent;         /* warnings are not shown either */
	const char *subject; /* migration that notices are about, or NULL */
	bool lost;
	bool shielded;  /* finish this in spite of a signal or the deadline */
	bool cancelled; /* a cancel request was sent for the running statement */
	bool piped;     /* in pipeline mode, the answer after the next one ends it */
	UpgBuf sql;     /* statement with the schema filled in */
	char described[512];
};

/* conn.c */
extern bool conn_wait_socket(const UpgConn *conn, bool write);

/* conn_error.c */
extern char *conn_trim_message(const char *text);
extern void conn_on_notice(void *arg, const PGresult *res);
extern void conn_interrupt_error(const char *what);
extern void conn_server_error(UpgConn *conn, const PGresult *res);

/* conn_query.c */
extern bool conn_send_statement(UpgConn *conn, const char *sql, int nparams,
								const unsigned *types, const char *const *params);
extern bool conn_flush(UpgConn *conn);
extern PGresult *conn_collect(UpgConn *conn);
extern void conn_end_pipeline(UpgConn *conn);

#endif /* UPG_CONN_INTERNAL_H */
