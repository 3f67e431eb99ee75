/*-------------------------------------------------------------------------
 *
 * conn.c
 *		The connection to the database: making it, facts about it, the comparison
 *		of versions.
 *
 * Only the files named conn*.c call libpq.
 *
 * Nothing in them leaves state in a session: no named prepared statement, no SET,
 * no session advisory lock.  So every call works through a pooler that changes the
 * server connection between transactions.
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
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "conn_internal.h"
#include "exit_codes.h"
#include "interrupt.h"
#include "log.h"

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
	bool silenced;
	bool answered;
	int tty = open("/dev/tty", O_RDWR);

	if (tty < 0)
		return NULL;
	/* Quiet first: what is typed the moment the question shows must not be echoed. */
	silenced = tcgetattr(tty, &old) == 0;
	if (silenced)
	{
		quiet = old;
		quiet.c_lflag &= ~(tcflag_t) ECHO;
		tcsetattr(tty, TCSAFLUSH, &quiet);
	}
	dprintf(tty, "Password%s%s: ", user ? " for user " : "", user ? user : "");
	answered = interrupt_read_line(tty, line, sizeof(line));
	if (silenced)
		tcsetattr(tty, TCSAFLUSH, &old);
	dprintf(tty, "\n");
	close(tty);
	return answered ? xstrdup(line) : NULL;
}

/*
 * conn_wait_socket
 *		Wait until the socket is ready; false when interrupted or out of time.
 */
bool
conn_wait_socket(const UpgConn *conn, bool write)
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
		rc = conn->shielded ? poll(&fd, 1, timeout) : interrupt_poll(&fd, 1, timeout);
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
	const char *keys[12];
	const char *values[12];
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
	ADD_PARAM("dbname", conn->params.database);
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
		if (!conn_wait_socket(conn, state == PGRES_POLLING_WRITING))
		{
			conn_interrupt_error("while connecting");
			return false;
		}
		state = PQconnectPoll(conn->pg);
	}
	if (state == PGRES_POLLING_FAILED)
	{
		char *message = conn_trim_message(PQerrorMessage(conn->pg));

		err_set(UPG_EXIT_NO_DATABASE, "UPG-2002", "could not connect to the database");
		err_why("%s", message);
		err_fix("Check -h, -p, -d, -U and the PG* variables; \"pg_isready\" shows "
				"whether the "
				"server accepts connections.");
		err_next("pg_isready");
		free(message);
		return false;
	}
	PQsetNoticeReceiver(conn->pg, conn_on_notice, conn);
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
			err_clear(); /* that there was none is no news any more */
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
 * conn_open_beside
 *		Connect in the same way to another database of the same server.
 */
UpgConn *
conn_open_beside(const UpgConn *like, const char *database)
{
	UpgConn *conn = xmalloc(sizeof(UpgConn));

	memset(conn, 0, sizeof(*conn));
	conn->params = like->params;
	conn->params.database = database;
	conn->shielded = like->shielded;
	if (like->password != NULL)
		conn->password = xstrdup(like->password);
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
 * conn_silence
 *		Show neither notices nor warnings of the server from now on.
 */
void
conn_silence(UpgConn *conn)
{
	conn->silent = true;
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
	ok = conn_send_statement(conn, sql, 0, NULL, NULL);
	if (ok && conn->piped)
		ok = conn_send_statement(conn, also, 0, NULL, NULL) && PQpipelineSync(conn->pg) &&
			 (conn_flush(conn) || upg_interrupted != 0);
	if (ok)
		res = conn_collect(conn);
	if (res != NULL && PQresultStatus(res) == PGRES_TUPLES_OK)
	{
		conn->library = xstrdup(rows_get((UpgRows *) res, 0, 0));
		PQclear(res);
		return also == NULL || conn->piped || conn_send(conn, also);
	}
	conn_server_error(conn, res);
	if (res != NULL)
		conn_end_pipeline(conn);
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

/* conn_schema: the schema of the extension, quoted; NULL while it is not known. */
const char *
conn_schema(const UpgConn *conn)
{
	return conn->schema;
}

/*
 * conn_environment
 *		Put how we are connected into this process's environment, for a program that
 *		it is about to become.
 */
void
conn_environment(const UpgConn *conn)
{
	PQconninfoOption *options = PQconninfo(conn->pg);

	for (PQconninfoOption *o = options; o != NULL && o->keyword != NULL; o++)
		if (o->envvar != NULL && o->val != NULL && o->val[0] != '\0')
			setenv(o->envvar, o->val, 1);
	unsetenv("PGSERVICE"); /* it was read already */
	unsetenv("PGCLIENTENCODING");
	PQconninfoFree(options);
}
