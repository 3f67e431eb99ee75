/*-------------------------------------------------------------------------
 *
 * table_diff.c
 *		Comparing one table in two databases: sketches, suspects, what differs.
 *
 *  Each side reads its table once, at the same time, into a sketch; the target keeps its
 *  own, is given the other's and tells the keys of the rows that are not in both.  If they
 *  are too many for the sketches, larger ones are made, then several, each of a part of
 *  the keys; of large tables each side first looks for a few rows of the other, which
 *  shows whether they will be.  The suspects are read again on both sides, and only what
 *  is seen then is reported.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/table_diff.c
 *
 *-------------------------------------------------------------------------
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "exit_codes.h"
#include "log.h"
#include "run.h"
#include "table_diff.h"

#define FIRST_CELLS 3072 /* enough for 1000 rows that changed */
#define MOST_CELLS  200000
#define MOST_PARTS  4096
#define CHUNK       1000 /* suspects that are read again at once */
#define GROUP       100  /* of which long values are asked for at once */

/*
 * Values up to so many bytes come with the rows, longer ones when they are wanted: of few
 * rows what is sent counts, of many how often each is looked up.
 */
#define SHORT_OF_FEW  16
#define SHORT_OF_MANY 64
#define LONG_VALUE    4096

/* Rows of the samples that must differ for more than chance. */
#define SURE_OF_MANY 4

const char *const diff_side_names[] = {"source", "target"};

/* A key that differs, and how: the hashes of its rows on both sides. */
typedef struct Suspect
{
	UpgBuf state; /* empty: the same rows on both sides */
	bool same;    /* as when it was looked at before */
} Suspect;

/* Parameters of a call behind those of a side; lengths of what is bytes, else -1. */
typedef struct Extra
{
	const char *values[3];
	int lengths[3];
} Extra;

#define OF_THE_TABLE                                         \
	"$1::pg_catalog.regclass, key => $2::pg_catalog.text[]," \
	" columns => $3::pg_catalog.text[], filter => $4,"       \
	" except_columns => $5::pg_catalog.text[], mode => $6,"  \
	" mapping => $8::pg_catalog.jsonb, seed => $7::pg_catalog.int8"
#define WITH_BYTES                                                        \
	"$1::pg_catalog.regclass, $9::pg_catalog.bytea,"                      \
	" key => $2::pg_catalog.text[], columns => $3::pg_catalog.text[],"    \
	" filter => $4, except_columns => $5::pg_catalog.text[], mode => $6," \
	" mapping => $8::pg_catalog.jsonb, seed => $7::pg_catalog.int8"
#define OF_SIZE                                                       \
	", cells => $9::pg_catalog.int4, bucket => $10::pg_catalog.int4," \
	" buckets => $11::pg_catalog.int4"

#define ROWS_CALL                                    \
	"SELECT @extschema@.upg_rows_packed(" WITH_BYTES \
	", longest => $10::pg_catalog.int4, shown => $11::pg_catalog.text[])"

#define SAMPLE_CALL "SELECT @extschema@.upg_table_sample(" OF_THE_TABLE ")"
#define MISSING_CALL                                                                \
	"SELECT m.missing::pg_catalog.text AS missing, m.rows::pg_catalog.text AS rows" \
	" FROM @extschema@.upg_sample_missing(" WITH_BYTES ") m"

static const char *const sketch_calls[] = {
	"SELECT s, (@extschema@.upg_checksum_info((@extschema@.upg_sketch_info(s)).checksum))"
	".row_count::pg_catalog.text FROM (SELECT @extschema@.upg_table_sketch(" OF_THE_TABLE
		OF_SIZE ") AS s OFFSET 0) x",
	"SELECT NULL, @extschema@.upg_sketch_keep(" OF_THE_TABLE OF_SIZE
	")::pg_catalog.text"};

#define TAKE_CALL                                                          \
	"SELECT t.complete::pg_catalog.text, t.cells_needed::pg_catalog.text," \
	" t.prints FROM @extschema@.upg_sketch_take($1::pg_catalog.bytea) t"

/*
 * diff_error
 *		Say on which side the current error happened.
 */
bool
diff_error(Side side)
{
	UpgBuf text;

	/* what cannot be compared is not different: an error of the question */
	if (strcmp(upg_error.sqlstate, "UP040") == 0 ||
		strcmp(upg_error.sqlstate, "UP041") == 0)
		upg_error.exit_code = UPG_EXIT_USAGE;
	buf_init(&text);
	buf_printf(&text, "%s: %s", diff_side_names[side], upg_error.what);
	free(upg_error.what);
	upg_error.what = text.data;
	return false;
}

/*
 * diff_forget
 *		Give the answers back.
 */
void
diff_forget(TableDiff *diff)
{
	for (int side = SOURCE; side <= TARGET; side++)
	{
		rows_free(diff->rows[side]);
		diff->rows[side] = NULL;
	}
}

/*
 * ask_both
 *		Ask both sides at once, each about its own table; the answers are in diff->rows,
 *		as text or as bytes.
 *
 * The first "nargs" parameters are those of the side, "nmore" of "extra" follow.  If one
 * side fails, the other is told to stop.
 */
static bool
ask_both(TableDiff *diff, const char *const sql[2], int nargs, int nmore,
		 const Extra extra[2], bool bytes)
{
	const char *params[ARG_COUNT + 3];
	int lengths[ARG_COUNT + 3];

	diff_forget(diff);
	for (int side = SOURCE; side <= TARGET; side++)
	{
		for (int i = 0; i < nargs + nmore; i++)
		{
			params[i] = i < nargs ? diff->args[side][i] : extra[side].values[i - nargs];
			lengths[i] = i < nargs ? -1 : extra[side].lengths[i - nargs];
		}
		if (!(bytes
				  ? conn_send_for_bytes(diff->conn[side], sql[side], nargs + nmore,
										params, lengths)
				  : conn_send_params(diff->conn[side], sql[side], nargs + nmore, params)))
			return diff_error((Side) side);
	}
	for (int side = SOURCE; side <= TARGET; side++)
	{
		diff->rows[side] = conn_receive(diff->conn[side]);
		if (diff->rows[side] == NULL)
		{
			conn_cancel(diff->conn[TARGET - side]);
			return diff_error((Side) side);
		}
	}
	return true;
}

/*
 * diff_ask_both
 *		The same for those who ask both sides the same and want text.
 */
bool
diff_ask_both(TableDiff *diff, const char *sql, int nargs, int nmore,
			  const char *const *more)
{
	const char *const calls[2] = {sql, sql};
	Extra extra[2];

	for (int i = 0; i < nmore; i++)
	{
		extra[SOURCE].values[i] = extra[TARGET].values[i] = more[i];
		extra[SOURCE].lengths[i] = extra[TARGET].lengths[i] = -1;
	}
	return ask_both(diff, calls, nargs, nmore, extra, false);
}

/*
 * read_rows
 *		Read the rows of keys on both sides, with values up to so many bytes of these
 *		columns, or all.
 */
static bool
read_rows(TableDiff *diff, PackedRows packed[2], const char *prints, int n, int longest,
		  const char *columns)
{
	static const char *const calls[] = {ROWS_CALL, ROWS_CALL};
	char number[16];
	const Extra extra = {{prints, number, columns}, {n * PRINT_SIZE, -1, -1}};
	const Extra both[2] = {extra, extra};

	packed_free(&packed[SOURCE]);
	packed_free(&packed[TARGET]);
	snprintf(number, sizeof(number), "%d", longest);
	if (!ask_both(diff, calls, ARG_COUNT, 3, both, true))
		return false;
	for (int side = SOURCE; side <= TARGET; side++)
	{
		UpgRows *rows = diff->rows[side];

		diff->rows[side] = NULL;
		if (!packed_read(&packed[side], rows))
			return diff_error((Side) side);
	}
	return true;
}

/*
 * pass_key
 *		Move "at" behind the rows of a key; are they the same on both sides?
 *
 * What they are is appended to "state", unless it is NULL or they are.
 */
static bool
pass_key(const TableDiff *diff, const unsigned char *print, int at[2], UpgBuf *state)
{
	int from[2] = {at[SOURCE], at[TARGET]};
	bool same;

	for (int side = SOURCE; side <= TARGET; side++)
	{
		const PackedRows *packed = &diff->packed[side];

		while (at[side] < packed->count &&
			   memcmp(packed->rows[at[side]].print, print, PRINT_SIZE) == 0)
			at[side]++;
	}
	same = at[SOURCE] - from[SOURCE] == at[TARGET] - from[TARGET];
	for (int i = 0; same && i < at[SOURCE] - from[SOURCE]; i++)
	{
		const PackedRow *a = &diff->packed[SOURCE].rows[from[SOURCE] + i];
		const PackedRow *b = &diff->packed[TARGET].rows[from[TARGET] + i];

		same = a->copies == b->copies && memcmp(a->hash, b->hash, PRINT_SIZE) == 0;
	}
	for (int side = SOURCE; !same && state != NULL && side <= TARGET; side++)
	{
		buf_addc(state, (char) ('0' + side));
		for (int i = from[side]; i < at[side]; i++)
		{
			const PackedRow *row = &diff->packed[side].rows[i];

			buf_addn(state, (const char *) row->hash, PRINT_SIZE);
			buf_addn(state, (const char *) &row->copies, sizeof(row->copies));
		}
	}
	return same;
}

/*
 * report_group
 *		Report what differs of some suspects; "at" moves behind their rows.
 *
 * Long values that are to be shown are asked for first.
 */
static bool
report_group(TableDiff *diff, const char *prints, const Suspect *suspects, int n,
			 int at[2])
{
	const unsigned char *print = (const unsigned char *) prints;
	int from[2] = {at[SOURCE], at[TARGET]};
	UpgList columns = {NULL, 0, 0};
	UpgBuf literal;
	UpgBuf wanting;
	bool ok = true;

	buf_init(&literal);
	buf_init(&wanting);
	packed_free(&diff->longer[SOURCE]);
	packed_free(&diff->longer[TARGET]);
	memset(diff->wanted, 0, (size_t) diff->columns->ncolumns * sizeof(bool));
	for (int pass = 0; ok && pass < 2; pass++)
	{
		memcpy(at, from, sizeof(from));
		for (int i = 0; i < n; i++)
		{
			int begin[2] = {at[SOURCE], at[TARGET]};

			pass_key(diff, print + (size_t) i * PRINT_SIZE, at, NULL);
			if (suspects[i].state.len == 0)
				continue;
			diff->want_more = false;
			if (suspects[i].same)
				diff_report_key(diff, print + (size_t) i * PRINT_SIZE, begin, pass == 0);
			else if (pass == 1)
				diff->unsettled++;
			if (diff->want_more)
				buf_addn(&wanting, prints + (size_t) i * PRINT_SIZE, PRINT_SIZE);
		}
		if (pass == 1 || wanting.len == 0)
			continue;
		for (int c = 0; c < diff->columns->ncolumns; c++)
			if (diff->wanted[c])
				list_add(&columns, diff->columns->names[c]);
		array_literal(&literal, &columns);
		ok = read_rows(diff, diff->longer, wanting.data, (int) wanting.len / PRINT_SIZE,
					   LONG_VALUE, literal.data);
	}
	buf_free(&literal);
	buf_free(&wanting);
	list_free(&columns);
	return ok;
}

/*
 * look_again
 *		Read the suspects on both sides, as often as told, and report what differs.
 *
 * Values up to "longest" bytes come with them.
 * Rows may change from one time to the next if they are to be looked at more often, so
 * then long values come with them.
 */
static bool
look_again(TableDiff *diff, const char *prints, int n, int longest)
{
	Suspect *suspects = xmalloc((size_t) n * sizeof(Suspect));
	bool ok = true;
	int at[2] = {0, 0};

	for (int i = 0; i < n; i++)
		buf_init(&suspects[i].state);
	for (int64_t round = 0; ok && round <= diff->rounds; round++)
	{
		if (round > 0)
			run_sleep((int) diff->interval);
		ok = read_rows(diff, diff->packed, prints, n,
					   diff->rounds == 0 ? longest : LONG_VALUE, NULL);
		at[SOURCE] = at[TARGET] = 0;
		for (int i = 0; ok && i < n; i++)
		{
			UpgBuf before = suspects[i].state;
			UpgBuf *now = &suspects[i].state;

			buf_init(now);
			pass_key(diff, (const unsigned char *) prints + (size_t) i * PRINT_SIZE, at,
					 now);
			suspects[i].same =
				round == 0 || (now->len > 0 && now->len == before.len &&
							   memcmp(now->data, before.data, now->len) == 0);
			buf_free(&before);
		}
	}
	at[SOURCE] = at[TARGET] = 0;
	if (ok)
		diff_report_begin(diff);
	for (int i = 0; ok && i < n; i += GROUP)
		ok = report_group(diff, prints + (size_t) i * PRINT_SIZE, suspects + i,
						  n - i < GROUP ? n - i : GROUP, at);
	diff_report_end(diff);
	for (int side = SOURCE; side <= TARGET; side++)
	{
		packed_free(&diff->packed[side]);
		packed_free(&diff->longer[side]);
	}
	for (int i = 0; i < n; i++)
		buf_free(&suspects[i].state);
	free(suspects);
	return ok;
}

/*
 * make_sketches
 *		Make the sketches of one part of the keys and take them apart; NULL with the
 *		error set.
 *
 * The target keeps its own for as long as a transaction lasts.
 */
static UpgRows *
make_sketches(TableDiff *diff, int64_t cells, int part, int parts, int64_t count[2])
{
	char numbers[3][32];
	const Extra extra = {{numbers[0], numbers[1], numbers[2]}, {-1, -1, -1}};
	const Extra both[2] = {extra, extra};
	UpgRows *rows;

	snprintf(numbers[0], sizeof(numbers[0]), "%" PRId64, cells);
	snprintf(numbers[1], sizeof(numbers[1]), "%d", part);
	snprintf(numbers[2], sizeof(numbers[2]), "%d", parts);
	if (diff->rounds > 0 && !conn_run(diff->conn[TARGET], "BEGIN READ ONLY", 0, NULL))
	{
		diff_error(TARGET);
		return NULL;
	}
	if (!ask_both(diff, sketch_calls, ARG_COUNT, 3, both, true))
		return NULL;
	for (int side = SOURCE; side <= TARGET; side++)
		count[side] = strtoll(rows_get(diff->rows[side], 0, 1), NULL, 10);
	rows = conn_query_bytes(diff->conn[TARGET], TAKE_CALL,
							rows_get(diff->rows[SOURCE], 0, 0),
							rows_length(diff->rows[SOURCE], 0, 0));
	diff_forget(diff);
	if (rows == NULL ||
		(diff->rounds > 0 && !conn_run(diff->conn[TARGET], "COMMIT", 0, NULL)))
	{
		rows_free(rows);
		diff_error(TARGET);
		return NULL;
	}
	return rows;
}

/*
 * compare_part
 *		Compare one part of the keys; *need is set if the sketches were too small.
 */
static bool
compare_part(TableDiff *diff, int64_t cells, int part, int parts, int64_t *need)
{
	int64_t count[2];
	UpgRows *rows = make_sketches(diff, cells, part, parts, count);
	bool ok = rows != NULL;

	*need = 0;
	if (ok && !rows_bool(rows, 0, "complete"))
	{
		*need = rows_int(rows, 0, "cells_needed");
		if (*need <= cells)
			*need = cells * 2;
	}
	else if (ok)
	{
		const char *prints = rows_named(rows, 0, "prints");
		int n = rows_length(rows, 0, rows_column(rows, "prints")) / PRINT_SIZE;

		diff->count[SOURCE] += count[SOURCE];
		diff->count[TARGET] += count[TARGET];
		for (int i = 0; ok && i < n; i += CHUNK)
			ok = look_again(diff, prints + (size_t) i * PRINT_SIZE,
							n - i < CHUNK ? n - i : CHUNK,
							n <= CHUNK ? SHORT_OF_FEW : SHORT_OF_MANY);
	}
	rows_free(rows);
	return ok;
}

/*
 * guess_cells
 *		How large the first sketches should be; false with the error set.
 *
 * Each side looks for some rows of the other.  Where many of them are missing a small
 * sketch would be made for nothing; where there are hardly any it is as good as any.
 */
static bool
guess_cells(TableDiff *diff, int64_t *cells)
{
	static const char *const samples[] = {SAMPLE_CALL, SAMPLE_CALL};
	static const char *const missing[] = {MISSING_CALL, MISSING_CALL};
	UpgRows *kept[2];
	Extra extra[2];
	int64_t hits = 0;
	int64_t rows = 0;
	bool both = true;
	bool ok;

	*cells = FIRST_CELLS;
	if (diff->args[SOURCE][ARG_FILTER] != NULL)
		return true;
	if (!ask_both(diff, samples, ARG_COUNT, 0, NULL, true))
		return false;
	for (int side = SOURCE; side <= TARGET; side++)
	{
		kept[side] = diff->rows[side];
		diff->rows[side] = NULL;
		extra[TARGET - side].values[0] = rows_get(kept[side], 0, 0);
		extra[TARGET - side].lengths[0] = rows_length(kept[side], 0, 0);
		both &= extra[TARGET - side].values[0] != NULL;
	}
	ok = !both || ask_both(diff, missing, ARG_COUNT, 1, extra, true);
	for (int side = SOURCE; ok && both && side <= TARGET; side++)
	{
		hits += rows_int(diff->rows[side], 0, "missing");
		rows += rows_int(diff->rows[side], 0, "rows");
	}
	if (ok && hits >= SURE_OF_MANY && rows > FIRST_CELLS + FIRST_CELLS / 2)
	{
		/* there may be some more than the samples say, and cells are not all used */
		double most = (double) rows * (1.25 + 2.0 / (double) hits) * 1.4;

		log_verbose("about %" PRId64 " rows differ, by samples", rows);
		*cells = (int64_t) most;
	}
	rows_free(kept[SOURCE]);
	rows_free(kept[TARGET]);
	return ok;
}

/*
 * diff_table
 *		The whole table: one part, or as many as it takes.
 */
bool
diff_table(TableDiff *diff)
{
	int64_t cells;
	int parts = 1;

	if (!guess_cells(diff, &cells))
		return false;
	for (int part = 0; part < parts;)
	{
		int64_t need = cells;

		/* what was guessed may already be too much for one part */
		if ((cells <= MOST_CELLS || parts > 1) &&
			!compare_part(diff, cells, part, parts, &need))
			return false;
		if (need == 0)
			part++;
		else if (need <= MOST_CELLS)
			cells = need;
		else if (parts == 1)
		{
			/* nothing was reported yet: begin anew, by parts of the keys */
			parts = (int) (need / (MOST_CELLS / 2) + 1 < MOST_PARTS
							   ? need / (MOST_CELLS / 2) + 1
							   : MOST_PARTS);
			cells = MOST_CELLS;
		}
		else
		{
			err_set(UPG_EXIT_FAILED, "UPG-2029",
					"the tables differ in too many rows to list them");
			err_why("Part %d of %d of the keys alone needs %" PRId64 " cells.", part,
					parts, need);
			err_fix("Compare parts of the table with --filter.");
			return false;
		}
		if (need > 0)
			log_verbose("the sketches were too small: %" PRId64 " cells, %d parts", cells,
						parts);
	}
	return true;
}
