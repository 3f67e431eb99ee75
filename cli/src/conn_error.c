/*-------------------------------------------------------------------------
 *
 * conn_error.c
 *		What the server says: notices, errors, and what they mean to a user.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/conn_error.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conn_internal.h"
#include "exit_codes.h"
#include "interrupt.h"
#include "log.h"

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
 * conn_trim_message
 *		A copy of a libpq message without "ERROR: ", final newline and passwords.
 */
char *
conn_trim_message(const char *text)
{
	char *copy = xstrdup(text == NULL ? "" : text);
	size_t len = strlen(copy);

	while (len > 0 && (copy[len - 1] == '\n' || copy[len - 1] == ' '))
		copy[--len] = '\0';
	redact_password(copy);
	return copy;
}

/*
 * conn_on_notice
 *		Show a notice of the server: warnings always, others when wanted.
 */
void
conn_on_notice(void *arg, const PGresult *res)
{
	const UpgConn *conn = arg;
	const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	const char *message = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
	const char *detail = PQresultErrorField(res, PG_DIAG_MESSAGE_DETAIL);
	const char *hint = PQresultErrorField(res, PG_DIAG_MESSAGE_HINT);

	if (message == NULL || conn->silent)
		return;
	if (state != NULL && strcmp(state, "UP015") == 0 && upg_verbosity == 0)
	{
		/* said while the server goes on trying */
		log_progress("%s%s%s%s%s", conn->subject ? conn->subject : "",
					 conn->subject ? ": " : "", message, detail ? ".  " : "",
					 detail ? detail : "");
		return;
	}
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
 * conn_interrupt_error
 *		Set the error for a signal or for the deadline.
 */
void
conn_interrupt_error(const char *what)
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
 * set_place
 *		Where in the statement the error is, and of which table it speaks.
 */
static void
set_place(const PGresult *res)
{
	const char *position = PQresultErrorField(res, PG_DIAG_STATEMENT_POSITION);
	const char *schema = PQresultErrorField(res, PG_DIAG_SCHEMA_NAME);
	const char *table = PQresultErrorField(res, PG_DIAG_TABLE_NAME);

	if (position != NULL)
		upg_error.position = atoi(position);
	if (schema != NULL && table != NULL)
	{
		snprintf(upg_error.schema, sizeof(upg_error.schema), "%s", schema);
		snprintf(upg_error.table, sizeof(upg_error.table), "%s", table);
	}
}

/*
 * conn_server_error
 *		Turn an error of the server into the current error.
 */
void
conn_server_error(UpgConn *conn, const PGresult *res)
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
		char *text = conn_trim_message(message ? message : PQerrorMessage(conn->pg));

		conn->lost = true;
		if ((upg_interrupted != 0 && !conn->shielded) ||
			(conn->cancelled && conn->params.deadline != 0 &&
			 now_ms() >= conn->params.deadline))
			conn_interrupt_error("and the connection was lost");
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
		conn_interrupt_error("while a statement ran; it was cancelled");
		snprintf(upg_error.sqlstate, sizeof(upg_error.sqlstate), "%s", state);
		return;
	}
	if (str_starts(state, "UP"))
	{
		snprintf(code, sizeof(code), "UPG-0%.3s", state + 2);
		if (strcmp(state, "UP004") == 0)
			exit_code = UPG_EXIT_CONFLICT;
		else if (strcmp(state, "UP002") == 0 || strcmp(state, "UP014") == 0)
			exit_code = UPG_EXIT_USAGE;
		else if (strcmp(state, "UP011") == 0)
			exit_code = UPG_EXIT_UNKNOWN;
		else if (strcmp(state, "UP012") == 0 || strcmp(state, "UP043") == 0)
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
	set_place(res);
	if (detail != NULL)
		err_why("%s", detail);
	if (hint != NULL)
		err_fix("%s", hint);
	else if (strcmp(state, "25006") == 0)
		err_fix("Connect to the primary server: a standby or a read-only session cannot "
				"be upgraded.");
	else if (strcmp(state, "42501") == 0 && detail == NULL && message != NULL &&
			 strstr(message, "upg") != NULL) /* a function or the schema of ours */
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
