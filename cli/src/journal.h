/*-------------------------------------------------------------------------
 *
 * journal.h
 *		A file in which a long comparison writes down what is done.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/journal.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef UPG_JOURNAL_H
#define UPG_JOURNAL_H

#include "json.h"
#include "util.h"

typedef struct UpgJournal UpgJournal;

extern UpgJournal *journal_open(const char *path, const char *what);
extern const char *journal_get(const UpgJournal *journal, const char *entry,
							   const char *key);
extern bool journal_put(UpgJournal *journal, const char *entry, const char *const *pairs);
extern void journal_close(UpgJournal *journal);

#endif /* UPG_JOURNAL_H */
