/*-------------------------------------------------------------------------
 *
 * source_read.c
 *		Reading the files of a directory: checksums, parts, dependencies.
 *
 * Each file is read once when a directory is opened.  Its checksum is kept, and its
 * text too while all kept texts are small; other files are read again when they are to
 * be applied.  So memory is bounded, and what is applied is what was judged.
 *
 * Nearly all files are small, plain SQL.  These take a short way, which touches
 * nothing but its own entry, so that in a large directory two threads share them.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/source_read.c
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exit_codes.h"
#include "log.h"
#include "source_internal.h"

/* A file is kept in memory if it is not larger than the first and all together are
 * not larger than the second. */
#define KEEP_FILE ((size_t) 64 * 1024)
#define KEEP_ALL  ((size_t) 4 * 1024 * 1024)

/* Bytes of a streamed file that are read at once. */
#define STREAM_PIECE 65536

/* With so many files a second thread pays. */
#define SHARE_FILES 400

/* The entries that one thread reads. */
typedef struct Reader
{
	UpgEntry *entries;
	int count;
	UpgArena *arena;
	size_t kept; /* bytes of texts kept */
	UpgHash *hash;
	char *piece; /* STREAM_PIECE bytes */
} Reader;

/*
 * note_problem
 *		Move the current error into the entry: it matters only if the script is
 *		wanted.
 */
static void
note_problem(UpgEntry *entry)
{
	if (entry->problem != NULL)
		return;
	entry->problem = xstrdup(upg_error.what ? upg_error.what : "cannot be read");
	entry->problem_exit = upg_error.exit_code;
	memcpy(entry->problem_code, upg_error.code, sizeof(entry->problem_code));
	entry->problem_where = upg_error.where ? xstrdup(upg_error.where) : NULL;
	entry->problem_why = upg_error.why ? xstrdup(upg_error.why) : NULL;
	entry->problem_fix = upg_error.fix ? xstrdup(upg_error.fix) : NULL;
	entry->sha256[0] = '\0';
	err_clear();
}

/*
 * cut_by_markers
 *		Find the parts of a marker file, given its text or (NULL) by reading it.
 */
static bool
cut_by_markers(const UpgSource *source, UpgEntry *entry, const UpgBuf *text)
{
	Markers markers;

	markers_begin(&markers, source->layout);
	if (text != NULL)
	{
		const char *p = text->data;
		const char *end = text->data + text->len;

		while (p < end)
		{
			const char *eol = memchr(p, '\n', (size_t) (end - p));
			size_t len = eol ? (size_t) (eol - p) + 1 : (size_t) (end - p);

			markers_line(&markers, p, len);
			p += len;
		}
	}
	else
	{
		FILE *file = fopen(entry->up.path, "rb");
		char *line = NULL;
		size_t cap = 0;
		ssize_t len;

		if (file == NULL)
			return err_set(UPG_EXIT_USAGE, "UPG-2005", "could not open file \"%s\": %s",
						   entry->up.path, strerror(errno));
		while ((len = getline(&line, &cap, file)) > 0)
			markers_line(&markers, line, (size_t) len);
		free(line);
		fclose(file);
	}
	markers_end(&markers);
	if (markers.error != NULL)
	{
		err_set(UPG_EXIT_USAGE, "UPG-2014", "%s", markers.error);
		err_where("%s:%d", entry->up.path, markers.error_line);
		err_why("The directory is read as layout \"%s\".", source->layout);
		err_fix("Mend the markers, or choose another layout with --layout.");
		return false;
	}
	entry->up.offset = markers.up_start;
	entry->up.length = markers.up_end - markers.up_start;
	entry->up.first_line = markers.up_line;
	if (markers.down_start >= 0)
	{
		entry->down.path = entry->up.path;
		entry->down.text = entry->up.text;
		entry->down.text_len = entry->up.text_len;
		entry->down.offset = markers.down_start;
		entry->down.length = markers.down_end - markers.down_start;
		entry->down.first_line = markers.down_line;
	}
	entry->no_transaction |= markers.no_transaction;
	return true;
}

/*
 * needs_scan
 *		May the text differ from what psql would make of it?
 */
static bool
needs_scan(const UpgSource *source, const char *text, size_t len)
{
	if (memchr(text, '\\', len) != NULL)
		return true;
	return source->vars.count > 0 && memchr(text, ':', len) != NULL;
}

/*
 * keep_text
 *		Keep the text of a file, if it is small, so that it need not be read again.
 */
static void
keep_text(UpgSource *source, UpgPiece *piece, const UpgBuf *text)
{
	if (text->len == 0 || text->len > KEEP_FILE || source->kept + text->len > KEEP_ALL ||
		memchr(text->data, '\0', text->len) != NULL)
		return;
	piece->text = arena_strndup(source->arena, text->data, text->len);
	piece->text_len = text->len;
	source->kept += text->len;
}

/*
 * source_fetch
 *		Read and keep the text of a piece that is wanted for the first time.
 *
 * What cannot be read or kept is left to the scanner, which reports faults.
 */
void
source_fetch(UpgSource *source, UpgPiece *piece)
{
	UpgBuf text;
	struct stat st;

	if (piece->text != NULL || source->kept >= KEEP_ALL || stat(piece->path, &st) != 0 ||
		!S_ISREG(st.st_mode) || (uint64_t) st.st_size > KEEP_FILE)
		return;
	buf_init(&text);
	if (fs_read(piece->path, &text, KEEP_FILE + 1))
		keep_text(source, piece, &text);
	else
		err_clear();
	buf_free(&text);
}

/*
 * digest_entry
 *		Read the entry's script once: parts, size, checksum.
 */
static void
digest_entry(UpgSource *source, UpgEntry *entry, UpgBuf *buf, UpgHash *hash)
{
	const char *text;
	size_t len;
	bool flyway = strcmp(source->layout, "flyway") == 0;
	bool large = false;

	buf_reset(buf);
	if (!fs_read(entry->up.path, buf, STREAM_PIECE))
	{
		note_problem(entry);
		return;
	}

	/* Of a file that is streamed, a piece to work with is enough. */
	if (buf->len == STREAM_PIECE)
	{
		struct stat st;

		large = stat(entry->up.path, &st) == 0 && S_ISREG(st.st_mode) &&
				st.st_size > source->stream_above;
		buf_reset(buf);
		if (!fs_read(entry->up.path, buf,
					 large ? STREAM_PIECE : (size_t) source->stream_above + 1))
		{
			note_problem(entry);
			return;
		}
	}
	entry->streamed = large || (int64_t) buf->len > source->stream_above;
	if (!entry->streamed)
		keep_text(source, &entry->up, buf);
	if (entry->up.length < 0 && markers_is_family(source->layout) &&
		!cut_by_markers(source, entry, entry->streamed ? NULL : buf))
	{
		note_problem(entry);
		return;
	}
	if (entry->streamed)
	{
		/* the bytes as they are: such a file is driven by the client, unexpanded */
		FILE *file = fopen(entry->up.path, "rb");
		int64_t left = entry->up.length;
		bool first = entry->up.offset == 0;
		size_t got = 0;

		buf_reserve(buf, STREAM_PIECE);
		if (file == NULL || fseeko(file, (off_t) entry->up.offset, SEEK_SET) != 0)
		{
			err_set(UPG_EXIT_USAGE, "UPG-2005", "could not open file \"%s\": %s",
					entry->up.path, strerror(errno));
			note_problem(entry);
			if (file != NULL)
				fclose(file);
			return;
		}
		do
		{
			size_t want = STREAM_PIECE;
			size_t skip = 0;

			if (left >= 0 && (int64_t) want > left)
				want = (size_t) left;
			got = want > 0 ? fread(buf->data, 1, want, file) : 0;
			if (first && got >= 3 && memcmp(buf->data, "\xEF\xBB\xBF", 3) == 0)
				skip = 3;
			first = false;
			hash_add(hash, buf->data + skip, got - skip);
			entry->size += (int64_t) (got - skip);
			if (left >= 0)
				left -= (int64_t) got;
		} while (got > 0);
		fclose(file);
		hash_final(hash, entry->sha256);
		return;
	}
	text = buf->data + entry->up.offset;
	len = entry->up.length < 0 ? buf->len : (size_t) entry->up.length;
	if (needs_scan(source, text, len) || (flyway && strstr(text, "${") != NULL))
	{
		UpgScript script;

		if (!script_load(source, entry, false, &script))
		{
			note_problem(entry);
			return;
		}
		hash_add(hash, script.text.data, script.text.len);
		entry->size = (int64_t) script.text.len;
		script_free(&script);
	}
	else
	{
		if (entry->up.offset == 0 && len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
		{
			text += 3;
			len -= 3;
		}
		hash_add(hash, text, len);
		entry->size = (int64_t) len;
	}
	hash_final(hash, entry->sha256);
}

/*
 * add_words
 *		Add the words of a line to a list.
 */
static void
add_words(UpgSource *source, UpgList *list, const char *line, size_t len)
{
	char *copy = arena_strndup(source->arena, line, len);
	char *save = NULL;

	for (char *word = strtok_r(copy, " ,\t\r", &save); word != NULL;
		 word = strtok_r(NULL, " ,\t\r", &save))
		list_add(list, word);
}

/*
 * find_requires
 *		What the file says on top: lines "-- upg:requires NAME...", "-- upg:replaces
 *		NAME..." and "-- upg:undo MODE".
 */
static void
find_requires(UpgSource *source, UpgEntry *entry, const UpgBuf *text)
{
	const char *p = text->data;

	while (str_starts(p, "--") || *p == '\n' || *p == '\r')
	{
		size_t len = strcspn(p, "\n");

		if (str_starts(p, "-- upg:requires "))
			add_words(source, &entry->requires, p + 16, len - 16);
		else if (str_starts(p, "-- upg:replaces "))
			add_words(source, &entry->replaces, p + 16, len - 16);
		else if (str_starts(p, "-- upg:undo "))
			entry->undo =
				arena_strndup(source->arena, p + 12, strcspn(p + 12, " \t\r\n"));
		p += len;
		if (*p == '\n')
			p++;
	}
}

/*
 * read_plain
 *		Read a small file of plain SQL; false if it has to go the long way.
 */
static bool
read_plain(Reader *reader, UpgEntry *entry)
{
	int fd;
	ssize_t got;
	size_t skip;

	if (entry->up.length >= 0 || entry->up.offset != 0 || entry->repeatable)
		return false;
	fd = open(entry->up.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return false;
	got = read(fd, reader->piece, STREAM_PIECE);
	close(fd);
	if (got < 0 || got >= STREAM_PIECE ||
		memchr(reader->piece, '\\', (size_t) got) != NULL ||
		memchr(reader->piece, '\0', (size_t) got) != NULL)
		return false;
	reader->piece[got] = '\0';
	if (strchr("-\r\n", reader->piece[0]) != NULL &&
		strstr(reader->piece, "-- upg:") != NULL)
		return false;

	skip = str_starts(reader->piece, "\xEF\xBB\xBF") ? 3 : 0;
	hash_add(reader->hash, reader->piece + skip, (size_t) got - skip);
	hash_final(reader->hash, entry->sha256);
	entry->size = (int64_t) ((size_t) got - skip);
	entry->ledger = entry->name;
	if (got > 0 && reader->kept + (size_t) got <= KEEP_ALL / 2)
	{
		entry->up.text = arena_strndup(reader->arena, reader->piece, (size_t) got);
		entry->up.text_len = (size_t) got;
		reader->kept += (size_t) got;
	}
	return true;
}

/*
 * read_share
 *		Read those of a share of the entries that are plain.  A thread's function.
 */
static void *
read_share(void *arg)
{
	Reader *reader = arg;

	reader->hash = hash_new();
	reader->piece = xmalloc(STREAM_PIECE + 1);
	for (int i = 0; i < reader->count; i++)
		(void) read_plain(reader, &reader->entries[i]);
	hash_free(reader->hash);
	free(reader->piece);
	return NULL;
}

/*
 * read_shares
 *		Read all plain entries, half of them in a second thread if they are many.
 */
static void
read_shares(UpgSource *source)
{
	Reader readers[2];
	pthread_t thread;
	sigset_t all;
	sigset_t before;
	bool shared = false;

	memset(readers, 0, sizeof(readers));
	readers[0].entries = source->entries;
	readers[0].count = source->count;
	readers[0].arena = source->arena;
	if (source->count >= SHARE_FILES)
	{
		readers[0].count = source->count / 2;
		readers[1].entries = source->entries + readers[0].count;
		readers[1].count = source->count - readers[0].count;
		source->more = arena_new();
		readers[1].arena = source->more;

		/* signals are for the thread that watches over the run */
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &before);
		shared = pthread_create(&thread, NULL, read_share, &readers[1]) == 0;
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	(void) read_share(&readers[0]);
	if (shared)
		pthread_join(thread, NULL);
	else if (readers[1].count > 0)
		(void) read_share(&readers[1]);
	source->kept = readers[0].kept + readers[1].kept;
}

/*
 * source_read
 *		Read each entry once.
 */
void
source_read(UpgSource *source)
{
	UpgBuf buf;
	UpgHash *hash = hash_new();

	if (!markers_is_family(source->layout) && strcmp(source->layout, "flyway") != 0 &&
		source->vars.count == 0)
		read_shares(source);
	buf_init(&buf);
	for (int i = 0; i < source->count; i++)
	{
		UpgEntry *entry = &source->entries[i];

		if (entry->sha256[0] != '\0')
			continue;
		digest_entry(source, entry, &buf, hash);
		if (entry->problem == NULL && !entry->streamed)
			find_requires(source, entry, &buf);
		entry->ledger = entry->name;
		if (entry->repeatable && entry->problem == NULL)
			entry->ledger =
				arena_printf(source->arena, "%s@%.8s", entry->name, entry->sha256);
	}
	hash_free(hash);
	buf_free(&buf);
}
