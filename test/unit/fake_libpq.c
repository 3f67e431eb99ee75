/*-------------------------------------------------------------------------
 *
 * fake_libpq.c
 *		A libpq that answers from a script.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		test/unit/fake_libpq.c
 *
 *-------------------------------------------------------------------------
 */
#include <fcntl.h>
#include <libpq-fe.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_libpq.h"

#define MAX_STATEMENTS 64
#define MAX_PARAMS     6
#define MAX_FIELDS     400

struct pg_conn
{
	int fd;
	int bad;
	PGresult *ready;
};

struct pg_result
{
	FakeKind kind;
	char *columns;
	char *rows;
	char *names[16];
	int nnames;
	char *fields[MAX_FIELDS];
	int nfields;
	const char *context;
};

static const FakeReply *script;
static int script_count;
static int script_next;
static char problem[512];
static char *params[MAX_STATEMENTS][MAX_PARAMS];
static int statements;
static char copied[4096];
static int connects;
static int busy_cancels;
static int cancels;

/* fake_reset: forget everything. */
void
fake_reset(void)
{
	for (int i = 0; i < MAX_STATEMENTS; i++)
		for (int k = 0; k < MAX_PARAMS; k++)
		{
			free(params[i][k]);
			params[i][k] = NULL;
		}
	script = NULL;
	script_count = script_next = statements = connects = 0;
	problem[0] = copied[0] = '\0';
}

void
fake_script(const FakeReply *replies, int count)
{
	fake_reset();
	script = replies;
	script_count = count;
}

int
fake_left(void)
{
	return script_count - script_next;
}

const char *
fake_problem(void)
{
	return problem[0] ? problem : NULL;
}

const char *
fake_param(int statement, int param)
{
	return params[statement][param];
}

const char *
fake_copied(void)
{
	return copied;
}

int
fake_connects(void)
{
	return connects;
}

void
fake_busy(int until_cancels)
{
	busy_cancels = until_cancels;
	cancels = 0;
}

static int
split(char *text, const char *separators, char **out, int max)
{
	int n = 0;

	while (text != NULL && *text && n < max)
	{
		size_t len = strcspn(text, separators);
		char end = text[len];

		out[n++] = text;
		text[len] = '\0';
		text = end ? text + len + 1 : NULL;
	}
	return n;
}

static int
send_statement(PGconn *conn, const char *sql)
{
	const FakeReply *reply;
	PGresult *res;

	if (conn->bad)
		return 0;
	if (script_next >= script_count)
	{
		snprintf(problem, sizeof(problem), "unexpected statement: %.300s", sql);
		conn->bad = 1;
		return 0;
	}
	reply = &script[script_next++];
	if (strstr(sql, reply->expect) == NULL && problem[0] == '\0')
		snprintf(problem, sizeof(problem), "expected \"%s\", got: %.300s", reply->expect,
				 sql);
	if (reply->kind == FAKE_LOST)
	{
		conn->bad = 1;
		return 1;
	}
	res = calloc(1, sizeof(PGresult));
	res->kind = reply->kind;
	res->columns = strdup(reply->columns ? reply->columns : "");
	res->rows = strdup(reply->rows ? reply->rows : "");
	res->context = reply->context;
	if (reply->kind == FAKE_ROWS)
	{
		res->nnames = split(res->columns, "|", res->names, 16);
		res->nfields = split(res->rows, "|\n", res->fields, MAX_FIELDS);
	}
	conn->ready = res;
	return 1;
}

/* The functions of libpq that conn*.c call. */
PGconn *
PQconnectStartParams(const char *const *keywords, const char *const *values,
					 int expand_dbname)
{
	PGconn *conn = calloc(1, sizeof(PGconn));

	(void) keywords;
	(void) values;
	(void) expand_dbname;
	/* what is busy has nothing to read; all else is ready at once */
	conn->fd = busy_cancels > 0 ? eventfd(0, EFD_CLOEXEC) : open("/dev/null", O_RDWR);
	connects++;
	return conn;
}

ConnStatusType
PQstatus(const PGconn *conn)
{
	return conn->bad ? CONNECTION_BAD : CONNECTION_OK;
}

PostgresPollingStatusType
PQconnectPoll(PGconn *conn)
{
	(void) conn;
	return PGRES_POLLING_OK;
}

void
PQfinish(PGconn *conn)
{
	if (conn == NULL)
		return;
	PQclear(conn->ready);
	close(conn->fd);
	free(conn);
}

int
PQsocket(const PGconn *conn)
{
	return conn->fd;
}

char *
PQerrorMessage(const PGconn *conn)
{
	static char text[] = "server closed the connection unexpectedly\n";

	(void) conn;
	return text;
}

int
PQconnectionNeedsPassword(const PGconn *conn)
{
	(void) conn;
	return 0;
}

#define FAKE_NAME(function, value)     \
	char *function(const PGconn *conn) \
	{                                  \
		static char text[] = value;    \
                                       \
		(void) conn;                   \
		return text;                   \
	}

FAKE_NAME(PQuser, "tester")
FAKE_NAME(PQdb, "fake")
FAKE_NAME(PQhost, "/tmp")
FAKE_NAME(PQport, "5432")

PQconninfoOption *
PQconninfo(PGconn *conn)
{
	(void) conn;
	return NULL;
}

void
PQconninfoFree(PQconninfoOption *options)
{
	(void) options;
}

int
PQserverVersion(const PGconn *conn)
{
	(void) conn;
	return 150020;
}

PQnoticeReceiver
PQsetNoticeReceiver(PGconn *conn, PQnoticeReceiver proc, void *arg)
{
	(void) conn;
	(void) proc;
	(void) arg;
	return NULL;
}

PGcancel *
PQgetCancel(PGconn *conn)
{
	return (PGcancel *) conn;
}

int
PQcancel(PGcancel *cancel, char *errbuf, int errbufsize)
{
	(void) cancel;
	(void) errbuf;
	(void) errbufsize;
	cancels++;
	return 1;
}

void
PQfreeCancel(PGcancel *cancel)
{
	(void) cancel;
}

int
PQflush(PGconn *conn)
{
	(void) conn;
	return 0;
}

int
PQconsumeInput(PGconn *conn)
{
	(void) conn;
	return 1;
}

int
PQisBusy(PGconn *conn)
{
	(void) conn;
	return cancels < busy_cancels;
}

PGresult *
PQgetResult(PGconn *conn)
{
	PGresult *res = conn->ready;

	conn->ready = NULL;
	return res;
}

int
PQsendQueryParams(PGconn *conn, const char *command, int nParams, const Oid *paramTypes,
				  const char *const *paramValues, const int *paramLengths,
				  const int *paramFormats, int resultFormat)
{
	(void) paramTypes;
	(void) paramLengths;
	(void) paramFormats;
	(void) resultFormat;
	for (int i = 0; i < nParams && i < MAX_PARAMS && statements < MAX_STATEMENTS; i++)
		params[statements][i] = paramValues[i] ? strdup(paramValues[i]) : NULL;
	statements++;
	return send_statement(conn, command);
}

/* No pipelines: the caller sends one after the other. */
int
PQenterPipelineMode(PGconn *conn)
{
	(void) conn;
	return 0;
}

int
PQexitPipelineMode(PGconn *conn)
{
	(void) conn;
	return 1;
}

int
PQpipelineSync(PGconn *conn)
{
	(void) conn;
	return 1;
}

int
PQsendQuery(PGconn *conn, const char *query)
{
	statements++;
	return send_statement(conn, query);
}

int
PQputCopyData(PGconn *conn, const char *buffer, int nbytes)
{
	(void) conn;
	strncat(copied, buffer, (size_t) nbytes);
	return 1;
}

int
PQputCopyEnd(PGconn *conn, const char *errormsg)
{
	return send_statement(conn, errormsg ? "copy aborted" : "copy end");
}

void
PQclear(PGresult *res)
{
	if (res == NULL)
		return;
	free(res->columns);
	free(res->rows);
	free(res);
}

ExecStatusType
PQresultStatus(const PGresult *res)
{
	switch (res->kind)
	{
		case FAKE_ROWS:
			return PGRES_TUPLES_OK;
		case FAKE_COMMAND:
			return PGRES_COMMAND_OK;
		case FAKE_COPY_IN:
			return PGRES_COPY_IN;
		default:
			return PGRES_FATAL_ERROR;
	}
}

char *
PQresultErrorField(const PGresult *res, int fieldcode)
{
	static char severity[] = "ERROR";
	static char context[256];

	if (res == NULL || res->kind != FAKE_ERROR)
		return NULL;
	if (fieldcode == PG_DIAG_SQLSTATE)
		return res->columns;
	if (fieldcode == PG_DIAG_MESSAGE_PRIMARY)
		return res->rows;
	if (fieldcode == PG_DIAG_SEVERITY_NONLOCALIZED)
		return severity;
	if (fieldcode == PG_DIAG_CONTEXT && res->context != NULL)
	{
		snprintf(context, sizeof(context), "%s", res->context);
		return context;
	}
	return NULL;
}

int
PQntuples(const PGresult *res)
{
	return res->nnames > 0 ? res->nfields / res->nnames : 0;
}

int
PQnfields(const PGresult *res)
{
	return res->nnames;
}

char *
PQfname(const PGresult *res, int field_num)
{
	return res->names[field_num];
}

int
PQfnumber(const PGresult *res, const char *field_name)
{
	for (int i = 0; i < res->nnames; i++)
		if (strcmp(res->names[i], field_name) == 0)
			return i;
	return -1;
}

Oid
PQftype(const PGresult *res, int field_num)
{
	(void) res;
	(void) field_num;
	return 25;
}

int
PQgetisnull(const PGresult *res, int tup_num, int field_num)
{
	return strcmp(res->fields[tup_num * res->nnames + field_num], "~") == 0;
}

char *
PQgetvalue(const PGresult *res, int tup_num, int field_num)
{
	return res->fields[tup_num * res->nnames + field_num];
}

int
PQgetlength(const PGresult *res, int tup_num, int field_num)
{
	return (int) strlen(PQgetvalue(res, tup_num, field_num));
}
