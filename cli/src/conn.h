/*-------------------------------------------------------------------------
 *
 * conn.h
 *		The connection to the database: the only part that calls libpq.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/conn.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_CONN_H
#define UPG_CONN_H

#include "util.h"

/* Types of parameters, for conn_query_typed(). */
#define CONN_TEXT       25
#define CONN_TEXT_ARRAY 1009
#define CONN_JSONB      3802

typedef struct UpgConn UpgConn;
typedef struct UpgRows UpgRows;

/* How to connect; NULL means: as libpq decides. */
typedef struct UpgConnParams
{
	const char *dbname;   /* name, connection string or URI */
	const char *database; /* another database than that names, or NULL */
	const char *host;
	const char *port;
	const char *user;
	int password;     /* -1 never ask, 0 when needed, 1 always ask */
	int64_t deadline; /* now_ms() after which to give up, or 0 */
} UpgConnParams;

typedef enum UpgExec
{
	UPG_EXEC_DONE,
	UPG_EXEC_COPY_IN, /* the server waits for COPY data */
	UPG_EXEC_FAILED   /* the error is set */
} UpgExec;

extern UpgConn *conn_open(const UpgConnParams *params);
extern UpgConn *conn_open_beside(const UpgConn *like, const char *database);
extern bool conn_reconnect(UpgConn *conn);
extern void conn_close(UpgConn *conn);
extern const char *conn_describe(UpgConn *conn);
extern const char *conn_database(const UpgConn *conn);
extern void conn_environment(const UpgConn *conn);
extern const char *conn_schema(const UpgConn *conn);
extern int conn_server_version(const UpgConn *conn);
extern bool conn_lost(const UpgConn *conn);
extern bool conn_find_extension(UpgConn *conn, const char **version);
extern bool conn_handshake(UpgConn *conn, const char *also);
extern const char *conn_library_version(const UpgConn *conn);
extern const char *conn_script_version(const UpgConn *conn);
extern bool conn_shield(UpgConn *conn, bool on);
extern void conn_subject(UpgConn *conn, const char *name);
extern void conn_show_notices(UpgConn *conn, bool show);
extern void conn_silence(UpgConn *conn);

/* In "sql", "@extschema@" stands for the schema of the extension. */
extern UpgRows *conn_query(UpgConn *conn, const char *sql, int nparams,
						   const char *const *params);
extern UpgRows *conn_query_typed(UpgConn *conn, const char *sql, int nparams,
								 const unsigned *types, const char *const *params);
extern bool conn_send(UpgConn *conn, const char *sql);
extern bool conn_send_params(UpgConn *conn, const char *sql, int nparams,
							 const char *const *params);
extern bool conn_send_for_bytes(UpgConn *conn, const char *sql, int nparams,
								const char *const *params, const int *lengths);
extern UpgRows *conn_query_bytes(UpgConn *conn, const char *sql, const char *param,
								 int length);
extern void conn_cancel(UpgConn *conn);
extern UpgRows *conn_receive(UpgConn *conn);
extern bool conn_run(UpgConn *conn, const char *sql, int nparams,
					 const char *const *params);
extern UpgExec conn_execute_text(UpgConn *conn, const char *sql);
extern bool conn_copy_data(UpgConn *conn, const char *data, size_t len);
extern bool conn_copy_end(UpgConn *conn, const char *abort_message);

extern int rows_count(const UpgRows *rows);
extern int rows_column(const UpgRows *rows, const char *name);
extern int rows_columns(const UpgRows *rows);
extern const char *rows_name(const UpgRows *rows, int col);
extern char rows_type(const UpgRows *rows, int col);
extern const char *rows_get(const UpgRows *rows, int row, int col);
extern int rows_length(const UpgRows *rows, int row, int col);
extern const char *rows_named(const UpgRows *rows, int row, const char *name);
extern int64_t rows_int(const UpgRows *rows, int row, const char *name);
extern bool rows_bool(const UpgRows *rows, int row, const char *name);
extern void rows_free(UpgRows *rows);

extern void redact_password(char *text);

#endif /* UPG_CONN_H */
