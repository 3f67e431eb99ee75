/*-------------------------------------------------------------------------
 *
 * fake_libpq.h
 *		A libpq that answers from a script.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		test/unit/fake_libpq.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef FAKE_LIBPQ_H
#define FAKE_LIBPQ_H

typedef enum FakeKind
{
	FAKE_ROWS,    /* columns and rows */
	FAKE_COMMAND, /* a command without rows */
	FAKE_ERROR,   /* sqlstate and message */
	FAKE_LOST,    /* the connection breaks */
	FAKE_COPY_IN
} FakeKind;

/* Fields are separated by '|', rows by '\n'; "~" is NULL. */
typedef struct FakeReply
{
	const char *expect; /* the statement must contain this */
	FakeKind kind;
	const char *columns; /* or sqlstate */
	const char *rows;    /* or message */
	const char *context; /* of an error, or NULL */
} FakeReply;

extern void fake_script(const FakeReply *replies, int count);
extern int fake_left(void);
extern const char *fake_problem(void);
extern const char *fake_param(int statement, int param);
extern const char *fake_copied(void);
extern int fake_connects(void);
extern void fake_busy(int until_cancels); /* no result before so many requests */
extern void fake_reset(void);

#endif /* FAKE_LIBPQ_H */
