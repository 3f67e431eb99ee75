/*-------------------------------------------------------------------------
 *
 * conn_query.c
 *		Statements and COPY data over the connection.
 *
 * Waiting is done by poll(), so that a signal or the deadline can cancel the
 * running statement; the books on the server stay right whichever way that race
 * ends.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/conn_query.c
 *
 *-------------------------------------------------------------------------
 */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "conn_internal.h"
#include "interrupt.h"
#include "log.h"

/* How long a cancel request may take; how long before it is made again. */
#define CANCEL_SECONDS  3
#define CANCEL_AGAIN_MS 500

/* Parameters of a statement that has some that are bytes. */
#define MOST_PARAMS 16

/* A cancel request on its way; the last of the two that have it frees it. */
typedef struct CancelRequest
{
	pthread_mutex_t mutex;
	pthread_cond_t done;
	PGcancel *cancel;
	bool sent;
	bool finished;
	bool abandoned;
	char why[256];
} CancelRequest;

static void
free_request(CancelRequest *request)
{
	PQfreeCancel(request->cancel);
	pthread_cond_destroy(&request->done);
	pthread_mutex_destroy(&request->mutex);
	free(request);
}

static void *
send_cancel(void *arg)
{
	CancelRequest *request = arg;
	char why[256] = "";
	bool sent = PQcancel(request->cancel, why, sizeof(why)) != 0;
	bool abandoned;

	pthread_mutex_lock(&request->mutex);
	request->sent = sent;
	snprintf(request->why, sizeof(request->why), "%s", why);
	request->finished = true;
	abandoned = request->abandoned;
	pthread_cond_signal(&request->done);
	pthread_mutex_unlock(&request->mutex);
	if (abandoned)
		free_request(request);
	return NULL;
}

/*
 * cancel_running
 *		Ask the server to cancel what runs, for some seconds at most: was it asked?
 *
 * PQcancel() connects anew and cannot be given a time limit: where the link is cut
 * it would wait for minutes.  So a thread of its own calls it.
 */
static bool
cancel_running(UpgConn *conn)
{
	CancelRequest *request;
	PGcancel *cancel;
	pthread_t thread;
	struct timespec until;
	bool finished;
	bool sent;

	conn->cancelled = true;
	cancel = PQgetCancel(conn->pg);
	if (cancel == NULL)
		return false;
	request = xmalloc(sizeof(*request));
	memset(request, 0, sizeof(*request));
	request->cancel = cancel;
	pthread_mutex_init(&request->mutex, NULL);
	pthread_cond_init(&request->done, NULL);
	if (pthread_create(&thread, NULL, send_cancel, request) != 0)
	{
		free_request(request);
		return false;
	}
	pthread_detach(thread);

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += CANCEL_SECONDS;
	pthread_mutex_lock(&request->mutex);
	while (!request->finished &&
		   pthread_cond_timedwait(&request->done, &request->mutex, &until) == 0)
		;
	finished = request->finished;
	request->abandoned = !finished;
	sent = finished && request->sent;
	if (!finished)
		log_warning("could not send the cancel request: the server does not answer");
	else if (!request->sent)
		log_warning("could not send the cancel request: %s", request->why);
	pthread_mutex_unlock(&request->mutex);
	if (finished)
		free_request(request);
	return sent;
}

/*
 * conn_flush
 *		Send what libpq holds back.  A large script may not fit the socket at once.
 */
bool
conn_flush(UpgConn *conn)
{
	int rc;

	while ((rc = PQflush(conn->pg)) == 1)
	{
		if (!conn_wait_socket(conn, true))
			return false;
		if (!PQconsumeInput(conn->pg))
			return false;
	}
	return rc == 0;
}

/*
 * conn_collect
 *		Wait for the results of what was sent; returns the last one, or NULL.
 *
 * On a signal or after the deadline the statement is cancelled and its end waited
 * for, at most five seconds.  A server that has not begun the statement yet passes
 * over a cancel request, so it is made again until the statement ends.
 */
PGresult *
conn_collect(UpgConn *conn)
{
	PGresult *last = NULL;
	int64_t give_up = 0;
	int64_t ask_again = 0;

	for (;;)
	{
		PGresult *res;

		while (PQisBusy(conn->pg))
		{
			if (!conn->cancelled)
			{
				if (!conn_wait_socket(conn, false))
				{
					ask_again = cancel_running(conn) ? now_ms() + CANCEL_AGAIN_MS : 0;
					give_up = now_ms() + 5000;
					continue;
				}
			}
			else
			{
				struct pollfd fd = {PQsocket(conn->pg), POLLIN, 0};

				if (now_ms() > give_up)
				{
					PQclear(last);
					return NULL;
				}
				if (poll(&fd, 1, 200) <= 0)
				{
					if (ask_again != 0 && now_ms() >= ask_again)
						ask_again = cancel_running(conn) ? now_ms() + CANCEL_AGAIN_MS : 0;
					continue;
				}
			}
			if (!PQconsumeInput(conn->pg))
				break;
		}
		res = PQgetResult(conn->pg);
		if (res == NULL)
			return last;

		/* the first error is the one that counts */
		if (last != NULL && PQresultStatus(last) == PGRES_FATAL_ERROR)
			PQclear(res);
		else
		{
			PQclear(last);
			last = res;
		}
		if (PQresultStatus(res) == PGRES_COPY_IN)
			return res;
		if (PQstatus(conn->pg) == CONNECTION_BAD)
			return last;
	}
}

/*
 * fill_schema
 *		Replace @extschema@ in a statement; the result lives in the connection.
 */
static const char *
fill_schema(UpgConn *conn, const char *sql)
{
	const char *mark;

	buf_reset(&conn->sql);
	while ((mark = strstr(sql, "@extschema@")) != NULL)
	{
		buf_addn(&conn->sql, sql, (size_t) (mark - sql));
		buf_add(&conn->sql, conn->schema ? conn->schema : "public");
		sql = mark + strlen("@extschema@");
	}
	buf_add(&conn->sql, sql);
	return conn->sql.data;
}

/*
 * send_statement
 *		Send one statement; false with the error set.
 *
 * "types": OIDs of the parameters, or NULL: as the server infers.  "lengths": how long
 * those are that are bytes, -1 for text; or NULL: all are text.  "bytes": the result is
 * to come as bytes.
 */
static bool
send_statement(UpgConn *conn, const char *sql, int nparams, const unsigned *types,
			   const char *const *params, const int *lengths, bool bytes)
{
	int formats[MOST_PARAMS];

	for (int i = 0; lengths != NULL && i < nparams; i++)
		formats[i] = lengths[i] >= 0;
	conn->cancelled = false;
	if (!PQsendQueryParams(conn->pg, fill_schema(conn, sql), nparams, types, params,
						   lengths, lengths ? formats : NULL, bytes) ||
		(!conn->piped && !conn_flush(conn) && upg_interrupted == 0))
	{
		conn_server_error(conn, NULL);
		return false;
	}
	return true;
}

/*
 * conn_send_statement
 *		Send one statement with parameters as text; false with the error set.
 */
bool
conn_send_statement(UpgConn *conn, const char *sql, int nparams, const unsigned *types,
					const char *const *params)
{
	return send_statement(conn, sql, nparams, types, params, NULL, false);
}

/*
 * conn_send
 *		Send a statement and do not wait: the client has other work meanwhile.
 *
 * The next call must be conn_receive(), or conn_close().
 */
bool
conn_send(UpgConn *conn, const char *sql)
{
	return conn_send_statement(conn, sql, 0, NULL, NULL);
}

/*
 * conn_send_params
 *		The same with parameters as text.
 */
bool
conn_send_params(UpgConn *conn, const char *sql, int nparams, const char *const *params)
{
	return conn_send_statement(conn, sql, nparams, NULL, params);
}

/*
 * conn_send_for_bytes
 *		The same; the values of the result come as bytes, which of text are text, and
 *		parameters whose length is not -1 are bytes as well.
 */
bool
conn_send_for_bytes(UpgConn *conn, const char *sql, int nparams,
					const char *const *params, const int *lengths)
{
	return send_statement(conn, sql, nparams, NULL, params, lengths, true);
}

/*
 * conn_cancel
 *		Nobody waits for what runs there any more: ask the server to stop it.
 */
void
conn_cancel(UpgConn *conn)
{
	(void) cancel_running(conn);
}

/*
 * conn_end_pipeline
 *		Pass over what is left of a pipeline, up to its end.
 *
 * Two results in turn that are none: the connection is gone.
 */
void
conn_end_pipeline(UpgConn *conn)
{
	int nothing = 0;

	while (conn->piped && nothing < 2 && PQstatus(conn->pg) == CONNECTION_OK)
	{
		PGresult *res = PQgetResult(conn->pg);

		nothing = res == NULL ? nothing + 1 : 0;
		if (PQresultStatus(res) == PGRES_PIPELINE_SYNC)
			conn->piped = !PQexitPipelineMode(conn->pg);
		PQclear(res);
	}
	conn->piped = false;
}

/*
 * conn_receive
 *		The rows of what was sent; NULL with the error set.
 */
UpgRows *
conn_receive(UpgConn *conn)
{
	PGresult *res = conn_collect(conn);
	ExecStatusType status = res ? PQresultStatus(res) : PGRES_FATAL_ERROR;

	if (res != NULL)
		conn_end_pipeline(conn);
	if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
		return (UpgRows *) res;
	conn_server_error(conn, res);
	PQclear(res);
	return NULL;
}

/*
 * conn_query_bytes
 *		Run one statement with a parameter as bytes, and the result as bytes, too; NULL
 *		with the error set.
 */
UpgRows *
conn_query_bytes(UpgConn *conn, const char *sql, const char *param, int length)
{
	if (!send_statement(conn, sql, 1, NULL, &param, &length, true))
		return NULL;
	return conn_receive(conn);
}

/*
 * conn_query
 *		Run one statement with parameters as text; NULL with the error set.
 */
UpgRows *
conn_query(UpgConn *conn, const char *sql, int nparams, const char *const *params)
{
	return conn_send_statement(conn, sql, nparams, NULL, params) ? conn_receive(conn)
																 : NULL;
}

/*
 * conn_query_typed
 *		The same with the types of the parameters, which spares the server casts.
 */
UpgRows *
conn_query_typed(UpgConn *conn, const char *sql, int nparams, const unsigned *types,
				 const char *const *params)
{
	return conn_send_statement(conn, sql, nparams, types, params) ? conn_receive(conn)
																  : NULL;
}

/*
 * conn_run
 *		The same when the rows do not matter.
 */
bool
conn_run(UpgConn *conn, const char *sql, int nparams, const char *const *params)
{
	UpgRows *rows = conn_query(conn, sql, nparams, params);

	if (rows == NULL)
		return false;
	rows_free(rows);
	return true;
}

/*
 * conn_execute_text
 *		Run statements of a script as they are (simple protocol).
 */
UpgExec
conn_execute_text(UpgConn *conn, const char *sql)
{
	PGresult *res;
	ExecStatusType status;

	conn->cancelled = false;
	if (!PQsendQuery(conn->pg, sql) || (!conn_flush(conn) && upg_interrupted == 0))
	{
		conn_server_error(conn, NULL);
		return UPG_EXEC_FAILED;
	}
	res = conn_collect(conn);
	status = res ? PQresultStatus(res) : PGRES_FATAL_ERROR;
	if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK ||
		status == PGRES_EMPTY_QUERY)
	{
		PQclear(res);
		return UPG_EXEC_DONE;
	}
	if (status == PGRES_COPY_IN)
	{
		PQclear(res);
		return UPG_EXEC_COPY_IN;
	}
	conn_server_error(conn, res);
	PQclear(res);
	return UPG_EXEC_FAILED;
}

/*
 * conn_copy_data
 *		Send COPY data; waits for the socket, so memory stays bounded.
 */
bool
conn_copy_data(UpgConn *conn, const char *data, size_t len)
{
	if (PQputCopyData(conn->pg, data, (int) len) != 1)
	{
		conn_server_error(conn, NULL);
		return false;
	}
	if (upg_interrupted != 0 && !conn->shielded)
	{
		conn_interrupt_error("while data was copied");
		return false;
	}
	return true;
}

/*
 * conn_copy_end
 *		End COPY; with a message: make the server abort it.
 */
bool
conn_copy_end(UpgConn *conn, const char *abort_message)
{
	PGresult *res;
	bool ok;

	if (PQputCopyEnd(conn->pg, abort_message) != 1)
	{
		conn_server_error(conn, NULL);
		return false;
	}
	res = conn_collect(conn);
	ok = res != NULL && PQresultStatus(res) == PGRES_COMMAND_OK;
	if (!ok)
		conn_server_error(conn, res);
	PQclear(res);
	return ok;
}
