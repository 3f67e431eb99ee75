/*-------------------------------------------------------------------------
 *
 * render_text.c
 *		Printing results as text; the only writer of stdout.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/render_text.c
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "exit_codes.h"
#include "log.h"
#include "render.h"

static void put_spaces(int n);

static bool started = false;
static bool finished = false; /* one document at least */
static int write_errno = 0;   /* of the first write that failed */

/*
 * render_start
 *		Begin the output of a command.
 */
void
render_start(UpgContext *ctx)
{
	if (started)
		return;
	started = true;
	if (ctx->json)
		render_json_start(ctx);
}

/* render_finished: is a document there, and none begun? */
bool
render_finished(void)
{
	return finished && !started;
}

/*
 * render_raw
 *		Bytes as they are.  Errors are reported by render_finish().
 */
void
render_raw(const char *text, size_t len)
{
	if (fwrite(text, 1, len, stdout) < len && write_errno == 0)
		write_errno = errno;
}

/*
 * put_format
 *		A few bytes to stdout.
 */
static void UPG_PRINTF(1, 2) put_format(const char *fmt, ...)
{
	char text[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	render_raw(text, strlen(text));
}

/*
 * put_safe
 *		Text to stdout; control bytes but newline and tab as \xNN.
 */
static void
put_safe(const char *text)
{
	const char *span = text;

	for (; *text; text++)
	{
		unsigned char c = (unsigned char) *text;

		if ((c >= 32 && c != 127) || c == '\n' || c == '\t')
			continue;
		render_raw(span, (size_t) (text - span));
		put_format("\\x%02x", c);
		span = text + 1;
	}
	render_raw(span, (size_t) (text - span));
}

/*
 * render_text
 *		Text for people; nothing with --json.
 */
void
render_text(const UpgContext *ctx, const char *fmt, ...)
{
	va_list args;
	UpgBuf buf;

	if (ctx->json)
		return;
	buf_init(&buf);
	va_start(args, fmt);
	buf_vprintf(&buf, fmt, args);
	va_end(args);
	put_safe(buf.data);
	buf_free(&buf);
}

/*
 * width_of
 *		Number of characters of a cell: up to its first line end.
 */
static int
width_of(const char *text)
{
	int n = 0;

	for (; *text && *text != '\n'; text++)
		if (((unsigned char) *text & 0xC0) != 0x80)
			n++;
	return n;
}

/*
 * cell
 *		A value for people: NULL is empty, booleans are words, text is one line, a
 *		time stamp has no fraction.
 *
 * The result lives until the next call with the same buffer.
 */
static const char *
cell(UpgBuf *buf, const char *value, char type)
{
	const char *dot;
	size_t line;

	if (value == NULL)
		return "";
	if (type == 'b')
		return value[0] == 't' ? "yes" : "no";
	buf_reset(buf);
	if (type == 't' && (dot = strchr(value, '.')) != NULL)
	{
		buf_addn(buf, value, (size_t) (dot - value));
		buf_add(buf, dot + 1 + strspn(dot + 1, "0123456789"));
		return buf->data;
	}
	if (type == 'a' && value[0] == '{')
	{
		buf_addn(buf, value + 1, strlen(value) > 2 ? strlen(value) - 2 : 0);
		return buf->data;
	}
	line = strcspn(value, "\n");
	if (value[line] != '\0')
	{
		buf_addn(buf, value, line);
		buf_add(buf, " ...");
		return buf->data;
	}
	return value;
}

/*
 * render_rows
 *		A table: aligned columns for people, all columns as objects with --json.
 */
void
render_rows(const UpgContext *ctx, const UpgRows *rows, const char *key,
			const UpgColumn *columns)
{
	const char *titles[24];
	int widths[24];
	int cols[24];
	char types[24];
	int n = 0;
	UpgBuf buf;

	if (ctx->json)
	{
		render_json_rows(rows, key);
		return;
	}
	buf_init(&buf);
	for (const UpgColumn *c = columns; c->name != NULL && n < 24; c++)
	{
		int col = rows_column(rows, c->name);

		if (col < 0 || c->title == NULL)
			continue;
		titles[n] = c->title;
		cols[n] = col;
		types[n] = rows_type(rows, col);
		widths[n] = width_of(c->title);
		for (int row = 0; row < rows_count(rows); row++)
		{
			int w = width_of(cell(&buf, rows_get(rows, row, col), types[n]));

			if (w > widths[n])
				widths[n] = w;
		}
		if (widths[n] > 60)
			widths[n] = 60;
		n++;
	}
	for (int row = -1; row < rows_count(rows); row++)
	{
		for (int k = 0; k < n; k++)
		{
			const char *value =
				row < 0 ? titles[k] : cell(&buf, rows_get(rows, row, cols[k]), types[k]);

			put_safe(value);
			if (k < n - 1)
			{
				int pad = widths[k] - width_of(value);

				put_spaces(pad > 0 ? pad + 2 : 2);
			}
		}
		render_raw("\n", 1);
	}
	buf_free(&buf);
}

/*
 * render_found
 *		Begin the output of a command with its rows, or with what people are told when
 *		there are none.
 */
void
render_found(UpgContext *ctx, const UpgRows *rows, const char *key,
			 const UpgColumn *columns, const char *nothing)
{
	render_start(ctx);
	if (rows_count(rows) == 0 && !ctx->json)
		render_text(ctx, "%s\n", nothing);
	else
		render_rows(ctx, rows, key, columns);
}

/*
 * put_spaces
 *		So many spaces to stdout, at most 62.
 */
static void
put_spaces(int n)
{
	static const char spaces[] =
		"                                                              ";

	render_raw(spaces, (size_t) n);
}

/*
 * render_outcome
 *		A line for one migration.
 */
void
render_outcome(const UpgContext *ctx, const UpgOutcome *outcome)
{
	bool colour;

	log_progress_end();
	if (ctx->json)
	{
		render_json_outcome(outcome);
		return;
	}
	colour = log_colour(STDOUT_FILENO);
	put_format("%s%-11s%s ", colour ? "\033[32m" : "", outcome->state,
			   colour ? "\033[0m" : "");
	put_safe(outcome->name);
	if (outcome->ms > 0)
		put_format("  %.0f ms", outcome->ms);
	if (outcome->steps > 1)
		put_format("  %lld steps", (long long) outcome->steps);
	if (outcome->note != NULL)
	{
		render_raw("  ", 2);
		put_safe(outcome->note);
	}
	render_raw("\n", 1);
	render_flush();
}

/*
 * render_flush
 *		Let what was printed be seen now, on a pipe too.
 */
void
render_flush(void)
{
	if (fflush(stdout) != 0 && write_errno == 0)
		write_errno = errno;
}

/* render_reader_left: was the output a pipe that nobody reads any more? */
bool
render_reader_left(void)
{
	return write_errno == EPIPE;
}

/*
 * render_finish
 *		End the output; false if it could not be written (the error is set).
 */
bool
render_finish(const UpgContext *ctx, int exit_code)
{
	if (ctx->json && started)
		render_json_finish(exit_code);
	finished |= started;
	started = false;
	render_flush();
	if (write_errno != 0 || ferror(stdout))
	{
		err_set(UPG_EXIT_FAILED, "UPG-2021", "could not write the output: %s",
				strerror(write_errno != 0 ? write_errno : EIO));
		err_why("What was done stays done; only the report is incomplete.");
		err_next("upg status");
		return false;
	}
	return true;
}
