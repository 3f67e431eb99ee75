/*-------------------------------------------------------------------------
 *
 * source_markers.c
 *		Files that hold both directions under markers: dbmate, goose, sql-migrate,
 *		node-pg-migrate.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/source_markers.c
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>
#include <strings.h>

#include "source_internal.h"

/* How a family writes its markers, after the two dashes and white space. */
typedef struct Family
{
	const char *layout;
	const char *up;
	const char *down;
	const char *no_transaction; /* a line of its own, or NULL */
	const char *refused;        /* a marker that we cannot carry out, or NULL */
} Family;

static const Family families[] = {
	{"dbmate", "migrate:up", "migrate:down", NULL, NULL},
	{"goose", "+goose Up", "+goose Down", "+goose NO TRANSACTION", "+goose ENVSUB ON"},
	{"sql-migrate", "+migrate Up", "+migrate Down", NULL, NULL},
	{"node-pg-migrate", "Up Migration", "Down Migration", NULL, NULL}};

#define FAMILY_COUNT (sizeof(families) / sizeof(families[0]))

/*
 * find_family
 *		The family of a layout, or NULL.
 */
static const Family *
find_family(const char *layout)
{
	for (size_t i = 0; i < FAMILY_COUNT; i++)
		if (strcmp(families[i].layout, layout) == 0)
			return &families[i];
	return NULL;
}

/* markers_is_family: does this layout hold markers? */
bool
markers_is_family(const char *layout)
{
	return find_family(layout) != NULL;
}

/*
 * marker_of
 *		The comment on this line without dashes and white space, or NULL.
 */
static const char *
marker_of(const char *line, size_t len, size_t *rest)
{
	size_t i = 0;

	while (i < len && (line[i] == ' ' || line[i] == '\t'))
		i++;
	if (len - i >= 3 && memcmp(line + i, "\xEF\xBB\xBF", 3) == 0)
		i += 3;
	if (len - i < 3 || line[i] != '-' || line[i + 1] != '-')
		return NULL;
	i += 2;
	while (i < len && (line[i] == ' ' || line[i] == '\t'))
		i++;
	*rest = len - i;
	return line + i;
}

/*
 * is_marker
 *		Does the comment begin with this marker, as a whole word?
 */
static bool
is_marker(const char *text, size_t len, const char *marker)
{
	size_t n = strlen(marker);

	if (len < n || strncasecmp(text, marker, n) != 0)
		return false;
	return len == n || text[n] == ' ' || text[n] == '\t' || text[n] == '\r' ||
		   text[n] == '\n' || text[n] == ',';
}

/*
 * markers_family
 *		Which family's markers does this text hold?  NULL: none.
 */
const char *
markers_family(const char *text, size_t len)
{
	const char *end = text + len;

	while (text < end)
	{
		const char *eol = memchr(text, '\n', (size_t) (end - text));
		size_t n = eol ? (size_t) (eol - text) + 1 : (size_t) (end - text);
		size_t rest;
		const char *comment = marker_of(text, n, &rest);

		if (comment != NULL)
		{
			if (rest >= 23 && strncasecmp(comment, "liquibase formatted sql", 23) == 0)
				return "liquibase";
			for (size_t i = 0; i < FAMILY_COUNT; i++)
				if (is_marker(comment, rest, families[i].up) ||
					is_marker(comment, rest, families[i].down))
					return families[i].layout;
		}
		text += n;
	}
	return NULL;
}

/*
 * markers_begin
 *		Start to cut a file of this layout.
 */
void
markers_begin(Markers *markers, const char *family)
{
	memset(markers, 0, sizeof(*markers));
	markers->family = family;
	markers->up_start = markers->down_start = -1;
	markers->line = 1;
}

/*
 * close_part
 *		The part being read ends here.
 */
static void
close_part(Markers *markers)
{
	if (markers->part == 1)
		markers->up_end = markers->pos;
	else if (markers->part == 2)
		markers->down_end = markers->pos;
}

/*
 * markers_line
 *		Feed the next line, with its line end.
 *
 * What stands before the first marker belongs to the first part, so that marks on
 * top of the file ("NO TRANSACTION") travel with it.
 */
void
markers_line(Markers *markers, const char *line, size_t len)
{
	const Family *family = find_family(markers->family);
	size_t rest;
	const char *comment = marker_of(line, len, &rest);

	if (comment != NULL && family != NULL && markers->error == NULL)
	{
		bool up = is_marker(comment, rest, family->up);
		bool down = !up && is_marker(comment, rest, family->down);

		if ((up && markers->up_start >= 0) || (down && markers->down_start >= 0))
		{
			markers->error = "a marker stands twice in the file";
			markers->error_line = markers->line;
		}
		else if (up || down)
		{
			int64_t start = markers->part == 0 ? 0 : markers->pos;
			int first = markers->part == 0 ? 1 : markers->line;

			close_part(markers);
			markers->part = up ? 1 : 2;
			if (up)
			{
				markers->up_start = start;
				markers->up_line = first;
			}
			else
			{
				markers->down_start = start;
				markers->down_line = first;
			}
		}
		else if (family->no_transaction != NULL &&
				 is_marker(comment, rest, family->no_transaction))
			markers->no_transaction = true;
		else if (family->refused != NULL && is_marker(comment, rest, family->refused))
		{
			markers->error =
				"the file asks for environment variables to be put in, which is not "
				"supported";
			markers->error_line = markers->line;
		}
	}
	markers->pos += (int64_t) len;
	markers->line++;
}

/*
 * markers_end
 *		The file ended.
 */
void
markers_end(Markers *markers)
{
	close_part(markers);
	if (markers->error != NULL || markers->up_start >= 0)
		return;

	/* node-pg-migrate reads a file without markers as an up script */
	if (strcmp(markers->family, "node-pg-migrate") == 0 && markers->down_start < 0)
	{
		markers->up_start = 0;
		markers->up_end = markers->pos;
		markers->up_line = 1;
		return;
	}
	markers->error = "the file holds no marker of an up migration";
	markers->error_line = 1;
}

/*
 * markers_text
 *		Both directions in one file, under the markers of a layout; "down" may be NULL.
 */
const char *
markers_text(UpgArena *arena, const char *layout, const char *up, const char *down)
{
	const Family *family = find_family(layout);

	return arena_printf(arena, "-- %s\n%s%s%s%s%s", family->up, up, down ? "\n-- " : "",
						down ? family->down : "", down ? "\n" : "", down ? down : "");
}
