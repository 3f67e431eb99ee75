/*-------------------------------------------------------------------------
 *
 * fsutil.c
 *		Files and directories.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/fsutil.c
 *
 *-------------------------------------------------------------------------
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exit_codes.h"
#include "fsutil.h"
#include "log.h"

/*
 * compare_items
 *		qsort callback: natural order of names.
 *
 * Nearly all names begin with a number, and nearly always that tells them apart.
 */
static int
compare_items(const void *a, const void *b)
{
	const UpgDirItem *ia = a;
	const UpgDirItem *ib = b;

	if (ia->number != ib->number && ia->number != 0 && ib->number != 0)
		return ia->number < ib->number ? -1 : 1;
	return natural_compare(ia->name, ib->name);
}

/*
 * leading_number
 *		The number that a name begins with; 0 if it does not, or is too large.
 */
static uint64_t
leading_number(const char *name)
{
	uint64_t number = 0;

	for (; *name >= '0' && *name <= '9'; name++)
	{
		if (number > UINT64_MAX / 100)
			return 0;
		number = number * 10 + (uint64_t) (*name - '0');
	}
	return number;
}

/*
 * fs_list
 *		Read a directory; false with the error set.
 */
bool
fs_list(UpgArena *arena, const char *path, UpgDir *dir)
{
	DIR *handle = opendir(path);
	struct dirent *item;

	memset(dir, 0, sizeof(*dir));
	if (handle == NULL)
	{
		int saved = errno;

		err_set(UPG_EXIT_USAGE, "UPG-2005", "could not open directory \"%s\": %s", path,
				strerror(saved));
		err_where("%s", path);
		if (saved == ENOTDIR)
			err_fix(
				"Give a directory; a single file is applied with \"upg apply FILE\".");
		else if (saved == ENOENT)
			err_fix("Give the directory of the migrations, or set UPG_DIR.");
		return false;
	}
	for (;;)
	{
		UpgDirItem *slot;
		struct stat st;

		errno = 0;
		item = readdir(handle);
		if (item == NULL)
			break;
		if (item->d_name[0] == '.')
			continue;
		if (dir->count == dir->cap)
		{
			dir->cap = dir->cap ? dir->cap * 2 : 64;
			dir->items = xrealloc(dir->items, (size_t) dir->cap * sizeof(UpgDirItem));
		}
		slot = &dir->items[dir->count++];
		slot->name = arena_strdup(arena, item->d_name);
		slot->number = leading_number(slot->name);
		if (item->d_type == DT_REG || item->d_type == DT_DIR)
			slot->is_dir = item->d_type == DT_DIR;
		else
			slot->is_dir =
				fstatat(dirfd(handle), item->d_name, &st, 0) == 0 && S_ISDIR(st.st_mode);
	}
	if (errno != 0)
	{
		err_set(UPG_EXIT_USAGE, "UPG-2005", "could not read directory \"%s\": %s", path,
				strerror(errno));
		closedir(handle);
		fs_list_free(dir);
		return false;
	}
	closedir(handle);
	sort_array(dir->items, dir->count, sizeof(UpgDirItem), compare_items);
	return true;
}

/*
 * fs_list_free
 *		Give the list back; the names live in the arena.
 */
void
fs_list_free(UpgDir *dir)
{
	free(dir->items);
	memset(dir, 0, sizeof(*dir));
}

/*
 * fs_has
 *		Does the directory hold this name?
 */
bool
fs_has(const UpgDir *dir, const char *name)
{
	for (int i = 0; i < dir->count; i++)
		if (strcmp(dir->items[i].name, name) == 0)
			return true;
	return false;
}

/*
 * fs_read
 *		Append at most "limit" bytes of a file; false with the error set.
 */
bool
fs_read(const char *path, UpgBuf *out, size_t limit)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t got;

	if (fd < 0)
	{
		err_set(UPG_EXIT_USAGE, "UPG-2005", "could not open file \"%s\": %s", path,
				strerror(errno));
		err_where("%s", path);
		return false;
	}
	while (limit > 0)
	{
		size_t want = limit < 65536 ? limit : 65536;

		buf_reserve(out, want);
		got = read(fd, out->data + out->len, want);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
		{
			err_set(UPG_EXIT_USAGE, "UPG-2005", "could not read file \"%s\": %s", path,
					strerror(errno));
			err_where("%s", path);
			close(fd);
			return false;
		}
		if (got == 0)
			break;
		out->len += (size_t) got;
		out->data[out->len] = '\0';
		limit -= (size_t) got;
		if ((size_t) got < want)
			break; /* the end of a regular file */
	}
	close(fd);
	return true;
}

/* fs_is_file, fs_is_dir: what a path is, symbolic links followed. */
bool
fs_is_file(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

bool
fs_is_dir(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/*
 * fs_write
 *		Write a file whole: whoever reads it sees the old text or the new one.
 */
bool
fs_write(const char *path, const char *text, size_t len)
{
	UpgBuf temp;
	int fd;
	bool ok = true;
	int saved = 0;

	buf_init(&temp);
	buf_printf(&temp, "%s.%d.tmp", path, (int) getpid());
	fd = open(temp.data, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	ok = fd >= 0;
	for (size_t done = 0; ok && done < len;)
	{
		ssize_t put = write(fd, text + done, len - done);

		if (put < 0 && errno == EINTR)
			continue;
		ok = put >= 0;
		done += ok ? (size_t) put : 0;
	}
	ok = ok && fsync(fd) == 0;
	if (!ok)
		saved = errno;
	if (fd >= 0 && close(fd) != 0 && ok)
	{
		saved = errno;
		ok = false;
	}
	if (ok && rename(temp.data, path) != 0)
	{
		saved = errno;
		ok = false;
	}
	if (!ok)
	{
		if (fd >= 0)
			unlink(temp.data);
		err_set(UPG_EXIT_FAILED, "UPG-2021", "could not write file \"%s\": %s", path,
				strerror(saved));
		err_where("%s", path);
	}
	buf_free(&temp);
	return ok;
}
