/*-------------------------------------------------------------------------
 *
 * conn.c
 *		The connection to the database: the only part that calls libpq.
 * 
 *  Nothing here leaves state in a session: no named prepared statement, no SET, no
 *  session advisory lock.  So every call works through a pooler that changes the
 *  server connection between transactions.
 * 
 *  Waiting is done by poll(), so that a signal or the deadline can cancel the running
 *  statement; the books on the server stay right whichever way that race ends.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/conn.c
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "conn.h"
#include "exit_codes.h"
#include "log.h"

struct UpgConn
{
	PGconn *pg;
	UpgConnParams params;
	char *password; /* typed by the user, or NULL */
	char *schema;   /* of the extension, quoted; NULL until known */
	char *library;  /* versions, once known */
	char *script;
	bool show_notices;
	const char *subject; /* migration that notices are about, or NULL */
	bool lost;
	bool shielded;  /* finish this in spite of a signal or the deadline */
	bool cancelled; /* a cancel request was sent for the running statement */
	bool piped;     /* in pipeline mode, the answer after the next one ends it */
	UpgBuf sql;     /* statement with the schema filled in */
	char described[512];
};

/*
 * redact_password
 *		Overwrite passwords in a connection string or a message that quotes one.
 */
void
redact_password(char *text)
{
	char *p = text;

	while ((p = strstr(p, "://")) != NULL)
	{
		char *at;
		char *colon;
		size_t len = strcspn(p + 3, "/? \t\n\"'");

		p += 3;
		at = NULL;
		for (size_t i = 0; i < len; i++)
			if (p[i] == '@')
				at = p + i;
		if (at == NULL)
			continue;
		colon = memchr(p, ':', (size_t) (at - p));
		if (colon != NULL)
			memset(colon + 1, '*', (size_t) (at - colon - 1));
	}
	for (p = text; (p = strstr(p, "password")) != NULL;)
	{
		p += strlen("password");
		p += strspn(p, " ");
		if (*p != '=')
			continue;
		p++;
		p += strspn(p, " ");
		if (*p == '\'')
			for (p++; *p && *p != '\''; p++)
			{
				if (*p == '\\' && p[1])
					*p++ = '*';
				*p = '*';
			}
		else
			for (; *p && *p != ' ' && *p != '&' && *p != '"' && *p != '\n'; p++)
				*p = '*';
	}
}

/*
 * trim_message
 *		A copy of a libpq message without "ERROR: ", final newline and passwords.
 */
static char *
trim_message(const char *text)
{
	char *copy = xstrdup(text == NULL ? "" : text);
	size_t len = strlen(copy);

	while (len > 0 && (copy[len - 1] == '\n' || copy[len - 1] == ' '))
		copy[--len] = '\0';
	redact_password(copy);
	return copy;
}

/*
 * on_notice
 *		Show a notice of the server: warnings always, others when wanted.
 */
static void
on_notice(void *arg, const PGresult *res)
{
	const UpgConn *conn = arg;
	const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);
	const char *message = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
	const char *detail = PQresultErrorField(res, PG_DIAG_MESSAGE_DETAIL);
	const char *hint = PQresultErrorField(res, PG_DIAG_MESSAGE_HINT);

	if (message == NULL)
		return;
	if (severity != NULL && strcmp(severity, "WARNING") == 0)
	{
		if (conn->subject != NULL && strstr(message, conn->subject) == NULL)
			log_warning("migration \"%s\": %s", conn->subject, message);
		else
			log_warning("%s", message);
		if (detail != NULL)
			log_detail("%s", detail);
		if (hint != NULL)
			log_hint("%s", hint);
	}
	else if (conn->show_notices)
		log_info("%s%s%s", message, detail ? "\n" : "", detail ? detail : "");
	else
		log_verbose("notice: %s%s%s", message, detail ? "\n" : "", detail ? detail : "");
}

/*
 * ask_password
 *		Read a password from the terminal without echo; NULL without a terminal.
 */
static char *
ask_password(const char *user)
{
	struct termios old;
	struct termios quiet;
	char line[1024];
	ssize_t len;
	int tty = open("/dev/tty", O_RDWR);

	if (tty < 0)
		return NULL;
	dprintf(tty, "Password%s%s: ", user ? " for user " : "", user ? user : "");
	if (tcgetattr(tty, &old) == 0)
	{
		quiet = old;
		quiet.c_lflag &= ~(tcflag_t) ECHO;
		tcsetattr(tty, TCSAFLUSH, &quiet);
		len = read(tty, line, sizeof(line) - 1);
		tcsetattr(tty, TCSAFLUSH, &old);
	}
	else
		len = read(tty, line, sizeof(line) - 1);
	dprintf(tty, "\n");
	close(tty);
	if (len < 0)
		return NULL;
	line[len] = '\0';
	line[strcspn(line, "\r\n")] = '\0';
	return xstrdup(line);
}

/*
 * interrupt_error
 *		Set the error for a signal or for the deadline.
 */
static void
interrupt_error(const char *what)
{
	if (upg_interrupted != 0)
		err_set(128 + upg_interrupted, "UPG-2020", "interrupted by signal %d %s",
				upg_interrupted, what);
	else
		err_set(UPG_EXIT_DEADLINE, "UPG-2019", "time is over %s", what);
	err_why("What was committed stays; the ledger shows it.");
	err_next("upg status");
}

/*
 * wait_socket
 *		Wait until the socket is ready; false when interrupted or out of time.
 */
static bool
wait_socket(const UpgConn *conn, bool write)
{
	struct pollfd fd;

	fd.fd = PQsocket(conn->pg);
	fd.events = write ? POLLIN | POLLOUT : POLLIN;
	for (;;)
	{
		int timeout = -1;
		int rc;

		if (upg_interrupted != 0 && !conn->shielded)
			return false;
		if (conn->params.deadline != 0 && !conn->shielded)
		{
			int64_t left = conn->params.deadline - now_ms();

			if (left <= 0)
				return false;
			timeout = left > 60000 ? 60000 : (int) left;
		}
		/* a signal between the test above and poll() is seen a second later */
		if (timeout < 0 || timeout > 1000)
			timeout = 1000;
		rc = poll(&fd, 1, timeout);
		if (rc > 0)
			return true;
		if (rc < 0 && errno != EINTR)
			return true;
	}
}

/*
 * connect_once
 *		One attempt to connect with the parameters we have.
 */
static bool
connect_once(UpgConn *conn)
{
	const char *keys[8];
	const char *values[8];
	int n = 0;
	PostgresPollingStatusType state;

#define ADD_PARAM(key, value)      \
	do                             \
	{                              \
		if ((value) != NULL)       \
		{                          \
			keys[n] = (key);       \
			values[n++] = (value); \
		}                          \
	} while (0)

	/* dbname first: what follows overrides the connection string in it */
	ADD_PARAM("dbname", conn->params.dbname);
	ADD_PARAM("host", conn->params.host);
	ADD_PARAM("port", conn->params.port);
	ADD_PARAM("user", conn->params.user);
	ADD_PARAM("password", conn->password);
	ADD_PARAM("fallback_application_name", "upg");
	ADD_PARAM("client_encoding", "UTF8");
	keys[n] = NULL;
	values[n] = NULL;

	conn->pg = PQconnectStartParams(keys, values, 1);
	if (conn->pg == NULL)
		return err_set(UPG_EXIT_BUG, "UPG-9999", "out of memory");
	state = PQstatus(conn->pg) == CONNECTION_BAD ? PGRES_POLLING_FAILED
												 : PGRES_POLLING_WRITING;
	while (state != PGRES_POLLING_OK && state != PGRES_POLLING_FAILED)
	{
		if (!wait_socket(conn, state == PGRES_POLLING_WRITING))
		{
			interrupt_error("while connecting");
			return false;
		}
		state = PQconnectPoll(conn->pg);
	}
	if (state == PGRES_POLLING_FAILED)
	{
		char *message = trim_message(PQerrorMessage(conn->pg));

		err_set(UPG_EXIT_NO_DATABASE, "UPG-2002", "could not connect to the database");
		err_why("%s", message);
		err_fix("Check -h, -p, -d, -U and the PG* variables; \"pg_isready\" shows "
				"whether the "
				"server accepts connections.");
		err_next("pg_isready");
		free(message);
		return false;
	}
	PQsetNoticeReceiver(conn->pg, on_notice, conn);
	return true;
}

/*
 * connect_with_password
 *		Connect, and ask for a password if the server wants one and we may.
 */
static bool
connect_with_password(UpgConn *conn)
{
	if (conn->params.password > 0 && conn->password == NULL)
		conn->password = ask_password(conn->params.user);
	if (connect_once(conn))
		return true;
	if (PQconnectionNeedsPassword(conn->pg) && conn->password == NULL &&
		conn->params.password == 0 && isatty(STDIN_FILENO))
	{
		conn->password = ask_password(PQuser(conn->pg));
		if (conn->password != NULL)
		{
			PQfinish(conn->pg);
			return connect_once(conn);
		}
	}
	return false;
}

/*
 * conn_open
 *		Connect; NULL with the error set if that fails.
 */
UpgConn *
conn_open(const UpgConnParams *params)
{
	UpgConn *conn = xmalloc(sizeof(UpgConn));

	memset(conn, 0, sizeof(*conn));
	conn->params = *params;
	buf_init(&conn->sql);
	if (!connect_with_password(conn))
	{
		conn_close(conn);
		return NULL;
	}
	return conn;
}

/*
 * conn_reconnect
 *		Connect again after the connection was lost; one attempt.
 */
bool
conn_reconnect(UpgConn *conn)
{
	PQfinish(conn->pg);
	conn->pg = NULL;
	conn->piped = false;
	if (!connect_once(conn))
		return false;
	conn->lost = false;
	return true;
}

/*
 * conn_close
 *		Close and free; NULL is allowed.
 */
void
conn_close(UpgConn *conn)
{
	if (conn == NULL)
		return;
	PQfinish(conn->pg);
	if (conn->password != NULL)
		memset(conn->password, 0, strlen(conn->password));
	free(conn->password);
	free(conn->schema);
	free(conn->library);
	free(conn->script);
	buf_free(&conn->sql);
	free(conn);
}

/*
 * conn_describe
 *		Where we are connected, for messages; never with a password.
 */
const char *
conn_describe(UpgConn *conn)
{
	snprintf(conn->described, sizeof(conn->described),
			 "database \"%s\" on %s port %s as user \"%s\"", PQdb(conn->pg),
			 PQhost(conn->pg) && PQhost(conn->pg)[0] ? PQhost(conn->pg) : "local socket",
			 PQport(conn->pg), PQuser(conn->pg));
	return conn->described;
}

/* conn_database, conn_server_version, conn_lost: facts about the connection. */
const char *
conn_database(const UpgConn *conn)
{
	return PQdb(conn->pg);
}

int
conn_server_version(const UpgConn *conn)
{
	return PQserverVersion(conn->pg);
}

bool
conn_lost(const UpgConn *conn)
{
	return conn->lost;
}

const char *
conn_library_version(const UpgConn *conn)
{
	return conn->library;
}

const char *
conn_script_version(const UpgConn *conn)
{
	return conn->script;
}

/*
 * conn_shield
 *		While on, calls are finished in spite of a signal or the deadline: for the
 *		short ones that settle the books.  Returns the former setting.
 */
bool
conn_shield(UpgConn *conn, bool on)
{
	bool former = conn->shielded;

	conn->shielded = on;
	return former;
}

/*
 * conn_subject
 *		Name the migration that the next notices are about; NULL: none.
 *
 * The name must outlive the calls.
 */
void
conn_subject(UpgConn *conn, const char *name)
{
	conn->subject = name;
}

/*
 * conn_show_notices
 *		Show notices of the server at the normal level from now on, or not.
 */
void
conn_show_notices(UpgConn *conn, bool show)
{
	conn->show_notices = show;
}

/*
 * server_error
 *		Turn an error of the server into the current error.
 */
static void
server_error(UpgConn *conn, const PGresult *res)
{
	const char *state = res ? PQresultErrorField(res, PG_DIAG_SQLSTATE) : NULL;
	const char *message = res ? PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY) : NULL;
	const char *detail = res ? PQresultErrorField(res, PG_DIAG_MESSAGE_DETAIL) : NULL;
	const char *hint = res ? PQresultErrorField(res, PG_DIAG_MESSAGE_HINT) : NULL;
	const char *context = res ? PQresultErrorField(res, PG_DIAG_CONTEXT) : NULL;
	const char *query = res ? PQresultErrorField(res, PG_DIAG_INTERNAL_QUERY) : NULL;
	const char *severity =
		res ? PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED) : NULL;
	char code[12];
	int exit_code = UPG_EXIT_FAILED;

	if (PQstatus(conn->pg) != CONNECTION_OK || state == NULL ||
		(severity != NULL && strcmp(severity, "FATAL") == 0))
	{
		char *text = trim_message(message ? message : PQerrorMessage(conn->pg));

		conn->lost = true;
		if ((upg_interrupted != 0 && !conn->shielded) ||
			(conn->cancelled && conn->params.deadline != 0 &&
			 now_ms() >= conn->params.deadline))
			interrupt_error("and the connection was lost");
		else
		{
			err_set(UPG_EXIT_NO_DATABASE, "UPG-2018",
					"the connection to the database was lost");
			err_why("%s", text);
			err_next("upg status");
		}
		free(text);
		return;
	}
	if (conn->cancelled && strcmp(state, "57014") == 0)
	{
		interrupt_error("while a statement ran; it was cancelled");
		snprintf(upg_error.sqlstate, sizeof(upg_error.sqlstate), "%s", state);
		return;
	}
	if (str_starts(state, "UP"))
	{
		snprintf(code, sizeof(code), "UPG-0%.3s", state + 2);
		if (strcmp(state, "UP004") == 0)
			exit_code = UPG_EXIT_CONFLICT;
		else if (strcmp(state, "UP011") == 0)
			exit_code = UPG_EXIT_UNKNOWN;
		else if (strcmp(state, "UP012") == 0)
			exit_code = UPG_EXIT_VERIFICATION;
	}
	else if (strcmp(state, "42501") == 0)
	{
		snprintf(code, sizeof(code), "UPG-1001");
		exit_code = UPG_EXIT_DENIED;
	}
	else if (strcmp(state, "25006") == 0)
		snprintf(code, sizeof(code), "UPG-1002");
	else
		snprintf(code, sizeof(code), "UPG-1000");
	err_set(exit_code, code, "%s", message ? message : "the server reported an error");
	snprintf(upg_error.sqlstate, sizeof(upg_error.sqlstate), "%s", state);
	if (detail != NULL)
		err_why("%s", detail);
	if (hint != NULL)
		err_fix("%s", hint);
	else if (strcmp(state, "25006") == 0)
		err_fix("Connect to the primary server: a standby or a read-only session cannot "
				"be upgraded.");
	else if (strcmp(state, "42501") == 0)
		err_fix("Ask for membership in the role that the function needs (upg_viewer, "
				"upg_operator, "
				"upg_admin or upg_auditor).");
	if (context != NULL)
	{
		const char *place = strstr(context, "line ");

		/* the extension says "... line N, column N" of the script */
		while (place != NULL &&
			   sscanf(place, "line %d, column %d", &upg_error.line, &upg_error.col) != 2)
		{
			upg_error.line = 0;
			place = strstr(place + 1, "line ");
		}
		log_verbose("context: %s", context);
	}
	if (query != NULL && upg_error.line > 0)
		upg_error.statement = xstrdup(query);
}

/*
 * cancel_running
 *		Ask the server to cancel what runs; once.
 */
static void
cancel_running(UpgConn *conn)
{
	PGcancel *cancel;
	char why[256];

	if (conn->cancelled)
		return;
	conn->cancelled = true;
	cancel = PQgetCancel(conn->pg);
	if (cancel != NULL)
	{
		if (!PQcancel(cancel, why, sizeof(why)))
			log_warning("could not send the cancel request: %s", why);
		PQfreeCancel(cancel);
	}
}

/*
 * flush_all
 *		Send what libpq holds back.  A large script may not fit the socket at once.
 */
static bool
flush_all(UpgConn *conn)
{
	int rc;

	while ((rc = PQflush(conn->pg)) == 1)
	{
		if (!wait_socket(conn, true))
			return false;
		if (!PQconsumeInput(conn->pg))
			return false;
	}
	return rc == 0;
}

/*
 * collect
 *		Wait for the results of what was sent; returns the last one, or NULL.
 *
 * On a signal or after the deadline the statement is cancelled and its end waited
 * for, at most five seconds.
 */
static PGresult *
collect(UpgConn *conn)
{
	PGresult *last = NULL;
	int64_t give_up = 0;

	for (;;)
	{
		PGresult *res;

		while (PQisBusy(conn->pg))
		{
			if (!conn->cancelled)
			{
				if (!wait_socket(conn, false))
				{
					cancel_running(conn);
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
					continue;
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
 *		Send one statement with parameters as text; false with the error set.
 */
static bool
send_statement(UpgConn *conn, const char *sql, int nparams, const char *const *params)
{
	conn->cancelled = false;
	if (!PQsendQueryParams(conn->pg, fill_schema(conn, sql), nparams, NULL, params, NULL,
						   NULL, 0) ||
		(!conn->piped && !flush_all(conn) && upg_interrupted == 0))
	{
		server_error(conn, NULL);
		return false;
	}
	return true;
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
	return send_statement(conn, sql, 0, NULL);
}

/*
 * conn_send_params
 *		The same with parameters as text.
 */
bool
conn_send_params(UpgConn *conn, const char *sql, int nparams, const char *const *params)
{
	return send_statement(conn, sql, nparams, params);
}

/*
 * conn_cancel
 *		Nobody waits for what runs there any more: ask the server to stop it.
 */
void
conn_cancel(UpgConn *conn)
{
	conn->cancelled = false;
	cancel_running(conn);
}

/*
 * end_pipeline
 *		Pass over what is left of a pipeline, up to its end.
 *
 * Two results in turn that are none: the connection is gone.
 */
static void
end_pipeline(UpgConn *conn)
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
	PGresult *res = collect(conn);
	ExecStatusType status = res ? PQresultStatus(res) : PGRES_FATAL_ERROR;

	if (res != NULL)
		end_pipeline(conn);
	if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
		return (UpgRows *) res;
	server_error(conn, res);
	PQclear(res);
	return NULL;
}

/*
 * conn_query
 *		Run one statement with parameters as text; NULL with the error set.
 */
UpgRows *
conn_query(UpgConn *conn, const char *sql, int nparams, const char *const *params)
{
	return send_statement(conn, sql, nparams, params) ? conn_receive(conn) : NULL;
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
	if (!PQsendQuery(conn->pg, sql) || (!flush_all(conn) && upg_interrupted == 0))
	{
		server_error(conn, NULL);
		return UPG_EXEC_FAILED;
	}
	res = collect(conn);
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
	server_error(conn, res);
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
		server_error(conn, NULL);
		return false;
	}
	if (upg_interrupted != 0 && !conn->shielded)
	{
		interrupt_error("while data was copied");
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
		server_error(conn, NULL);
		return false;
	}
	res = collect(conn);
	ok = res != NULL && PQresultStatus(res) == PGRES_COMMAND_OK;
	if (!ok)
		server_error(conn, res);
	PQclear(res);
	return ok;
}

/*
 * conn_find_extension
 *		Is the extension there?  *version is NULL if not; learns its schema.
 */
bool
conn_find_extension(UpgConn *conn, const char **version)
{
	UpgRows *rows = conn_query(conn,
							   "SELECT extversion, extnamespace::pg_catalog.regnamespace"
							   " FROM pg_catalog.pg_extension"
							   " WHERE extname OPERATOR(pg_catalog.=) 'upg'",
							   0, NULL);

	*version = NULL;
	if (rows == NULL)
		return false;
	if (rows_count(rows) == 1)
	{
		free(conn->script);
		free(conn->schema);
		conn->script = xstrdup(rows_get(rows, 0, 0));
		conn->schema = xstrdup(rows_get(rows, 0, 1));
		*version = conn->script;
	}
	rows_free(rows);
	return true;
}

/*
 * ask_library
 *		Learn the library's version; false with the error set.
 *
 * "also" travels in the same packet; its answer is left for conn_receive().
 */
static bool
ask_library(UpgConn *conn, const char *also)
{
	static const char sql[] = "SELECT @extschema@.upg_library_version()";
	PGresult *res = NULL;
	bool ok;

	free(conn->library);
	conn->library = NULL;
	conn->piped = also != NULL && PQenterPipelineMode(conn->pg);
	ok = send_statement(conn, sql, 0, NULL);
	if (ok && conn->piped)
		ok = send_statement(conn, also, 0, NULL) && PQpipelineSync(conn->pg) &&
			 (flush_all(conn) || upg_interrupted != 0);
	if (ok)
		res = collect(conn);
	if (res != NULL && PQresultStatus(res) == PGRES_TUPLES_OK)
	{
		conn->library = xstrdup(rows_get((UpgRows *) res, 0, 0));
		PQclear(res);
		return also == NULL || conn->piped || conn_send(conn, also);
	}
	server_error(conn, res);
	if (res != NULL)
		end_pipeline(conn);
	PQclear(res);

	/* a function that is not there, or a library that refuses the script: told below */
	return strcmp(upg_error.sqlstate, "42883") == 0 ||
		   strcmp(upg_error.sqlstate, "UP013") == 0;
}

/*
 * conn_handshake
 *		Compare the versions of program, library and install script.
 *
 * False with the error set if the extension is missing or they differ.  "also", if not
 * NULL, is sent along, so that it costs no round trip of its own; the next call must
 * then be conn_receive(), or conn_close().
 */
bool
conn_handshake(UpgConn *conn, const char *also)
{
	const char *script;
	int major = PQserverVersion(conn->pg) / 10000;

	if (!conn_find_extension(conn, &script))
		return false;
	if (script == NULL)
	{
		err_set(UPG_EXIT_FAILED, "UPG-2003",
				"extension \"upg\" is not installed in database \"%s\"", PQdb(conn->pg));
		err_why("The server is PostgreSQL %d; the books live in the database itself.",
				major);
		err_fix("Run \"upg init\" as a superuser.");
		err_next("upg init");
		return false;
	}
	if (!ask_library(conn, also))
		return false;
	if (conn->library != NULL && strcmp(conn->library, UPG_VERSION) == 0 &&
		strcmp(script, UPG_VERSION) == 0)
		return true;

	err_set(UPG_EXIT_FAILED, "UPG-2004",
			"program, library and install script differ in version");
	err_why("The program upg is %s, the server's library is %s, the install script in "
			"database "
			"\"%s\" is %s.",
			UPG_VERSION, conn->library ? conn->library : "of another version",
			PQdb(conn->pg), script);
	if (conn->library != NULL && strcmp(conn->library, script) != 0)
	{
		err_fix("Run: ALTER EXTENSION upg UPDATE TO '%s';", conn->library);
		err_next("psql -d %s -c \"ALTER EXTENSION upg UPDATE TO '%s'\"", PQdb(conn->pg),
				 conn->library);
	}
	else
	{
		err_fix("Install upg %s on the server, start a new session, then run: ALTER "
				"EXTENSION upg "
				"UPDATE TO '%s'; or use the program upg of version %s.",
				UPG_VERSION, UPG_VERSION, script);
		err_next("psql -d %s -c \"ALTER EXTENSION upg UPDATE TO '%s'\"", PQdb(conn->pg),
				 UPG_VERSION);
	}
	return false;
}

/* Rows: thin names for what libpq holds. */
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
