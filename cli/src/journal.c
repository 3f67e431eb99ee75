/*-------------------------------------------------------------------------
 *
 * journal.c
 *		A file in which a long comparison writes down what is done.
 *
 *  One line is one JSON object.  The first says what is compared, so that a journal
 *  cannot be taken for that of another comparison.  A line that was cut off when the
 *  program was killed is removed; what it stood for is done again.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/journal.c
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exit_codes.h"
#include "fsutil.h"
#include "journal.h"
#include "log.h"

/* No journal is larger: it holds boundaries, counts and differences. */
#define MOST_BYTES ((size_t) 1024 * 1024 * 1024)

struct UpgJournal
{
	FILE *file;
	const char *path;
	UpgJsonDoc **lines;
	int count;
	int cap;
};

/*
 * keep
 *		Parse a line and keep it; false if it is not one of ours.
 */
static bool
keep(UpgJournal *journal, const char *line)
{
	UpgJsonDoc *doc = json_parse(line);

	if (doc == NULL)
		return false;
	if (journal->count == journal->cap)
	{
		journal->cap = journal->cap == 0 ? 64 : journal->cap * 2;
		journal->lines =
			xrealloc(journal->lines, (size_t) journal->cap * sizeof(UpgJsonDoc *));
	}
	journal->lines[journal->count++] = doc;
	return true;
}

/*
 * read_lines
 *		Read what is there; returns the length of its whole lines.
 */
static size_t
read_lines(UpgJournal *journal, char *text)
{
	size_t good = 0;
	char *line = text;

	for (;;)
	{
		char *end = strchr(line, '\n');

		if (end == NULL)
			break;
		*end = '\0';
		if (!keep(journal, line))
			break;
		line = end + 1;
		good = (size_t) (line - text);
	}
	return good;
}

/*
 * journal_open
 *		Open a journal or begin one; NULL with the error set.
 *
 * "what" describes the comparison; a journal of another one is refused.
 */
UpgJournal *
journal_open(const char *path, const char *what)
{
	UpgJournal *journal = xmalloc(sizeof(UpgJournal));
	UpgBuf text;
	size_t good = 0;
	const char *pairs[3] = {"what", what, NULL};

	memset(journal, 0, sizeof(*journal));
	journal->path = path;
	buf_init(&text);
	if (fs_is_file(path))
	{
		if (!fs_read(path, &text, MOST_BYTES))
		{
			buf_free(&text);
			free(journal);
			return NULL;
		}
		good = read_lines(journal, text.data);
	}
	buf_free(&text);
	if (journal->count > 0)
	{
		const char *of = journal_get(journal, "head", "what");

		if (of == NULL || strcmp(of, what) != 0)
		{
			err_set(UPG_EXIT_USAGE, "UPG-2061", "\"%s\" is the journal of something else",
					path);
			err_why("It was begun for: %s. This is: %s.", of ? of : "(no comparison)",
					what);
			err_fix("Name another file, or remove this one to begin anew.");
			journal_close(journal);
			return NULL;
		}
	}
	journal->file = fopen(path, "a");
	if (journal->file == NULL || ftruncate(fileno(journal->file), (off_t) good) != 0)
	{
		err_set(UPG_EXIT_USAGE, "UPG-2061", "could not write the journal \"%s\": %s",
				path, strerror(errno));
		journal_close(journal);
		return NULL;
	}
	if (journal->count == 0 && !journal_put(journal, "head", pairs))
	{
		journal_close(journal);
		return NULL;
	}
	return journal;
}

/*
 * journal_get
 *		A value of an entry; NULL if there is no such entry or value.
 */
const char *
journal_get(const UpgJournal *journal, const char *entry, const char *key)
{
	char number[32];

	for (int i = 0; i < journal->count; i++)
	{
		const char *name = json_get(journal->lines[i], "entry", number, sizeof(number));

		if (name != NULL && strcmp(name, entry) == 0)
			return json_get(journal->lines[i], key, number, sizeof(number));
	}
	return NULL;
}

/*
 * journal_put
 *		Write an entry, and make sure that it is on disk; false with the error set.
 *
 * "pairs" are keys and values in turn, ended by NULL.
 */
bool
journal_put(UpgJournal *journal, const char *entry, const char *const *pairs)
{
	UpgBuf text;
	UpgJson json;
	bool ok;

	buf_init(&text);
	json_start(&json, &text);
	json_object(&json, NULL);
	json_string(&json, "entry", entry);
	for (; *pairs != NULL; pairs += 2)
		json_string(&json, pairs[0], pairs[1]);
	json_object_end(&json);
	ok = keep(journal, text.data);
	buf_addc(&text, '\n');
	ok = ok && fwrite(text.data, 1, text.len, journal->file) == text.len &&
		 fflush(journal->file) == 0 && fsync(fileno(journal->file)) == 0;
	buf_free(&text);
	if (!ok)
		err_set(UPG_EXIT_FAILED, "UPG-2061", "could not write the journal \"%s\": %s",
				journal->path, strerror(errno));
	return ok;
}

void
journal_close(UpgJournal *journal)
{
	if (journal == NULL)
		return;
	for (int i = 0; i < journal->count; i++)
		json_free(journal->lines[i]);
	free(journal->lines);
	if (journal->file != NULL)
		fclose(journal->file);
	free(journal);
}
