/*-------------------------------------------------------------------------
 *
 * cmd_compare.c
 *		upg compare: one table in two databases, row by row.
 *
 *  Each side reads its table once, at the same time, into a sketch; the target takes
 *  both and tells the keys of the rows that are not in both.  If they are too many for
 *  the sketches, larger ones are made, then several, each of a part of the keys.  The
 *  suspects are read again on both sides, and only what is seen then is reported.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/cmd_compare.c
 *
 *-------------------------------------------------------------------------
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "exit_codes.h"
#include "journal.h"
#include "log.h"
#include "run.h"

#define FIRST_CELLS 4096
#define MOST_CELLS  200000
#define MOST_PARTS  4096
#define CHUNK       500 /* suspects that are read again at once */
#define MOST_RANGES 100000

/* What every call says first: the arguments of a side. */
enum
{
	ARG_TABLE,
	ARG_KEY,
	ARG_COLUMNS,
	ARG_FILTER,
	ARG_EXCEPT,
	ARG_MODE,
	ARG_SEED,
	ARG_MAPPING,
	ARG_COUNT
};

typedef enum Side
{
	SOURCE,
	TARGET
} Side;

static const char *const side_names[] = {"source", "target"};

/* Everything about one comparison. */
typedef struct Job
{
	UpgContext *ctx;
	UpgConn *conn[2];
	UpgRows *rows[2]; /* of the last question to both */
	const char *args[2][ARG_COUNT];
	const char *filter;  /* as given, before a range is added */
	const char *types;   /* of the columns of the target that are mapped, as JSON */
	UpgJournal *journal; /* or NULL */
	UpgBuf range_json;   /* differences of the current range, for the journal */
	UpgBuf range_text;
	UpgList hidden; /* columns whose values are not shown; "*" is all */
	int64_t rounds; /* of looking again */
	int64_t interval;
	int64_t ranges;            /* 0: the table as a whole */
	const char *key_in_source; /* what stands for the first column of the key */
	int64_t missing;
	int64_t extra;
	int64_t changed;
	int64_t unsettled; /* differ, but not twice in the same way */
	int64_t count[2];  /* rows */
} Job;

/* A key that differs, and how: the prints of its rows on both sides. */
typedef struct Suspect
{
	char *print;
	char *state; /* malloc'ed */
	bool same;   /* as when it was looked at before */
} Suspect;

#define ROWS_CALL                                                                     \
	"SELECT pg_catalog.encode(print, 'hex') AS print,"                                \
	" pg_catalog.encode(row_print, 'hex') AS row_print,"                              \
	" row_key::pg_catalog.text AS row_key, \"row\"::pg_catalog.text AS row,"          \
	" column_prints::pg_catalog.text AS column_prints, pg_catalog.count(*) AS copies" \
	" FROM @extschema@.upg_table_rows($1::pg_catalog.regclass,"                       \
	" (SELECT pg_catalog.array_agg(pg_catalog.decode(p, 'hex'))"                      \
	" FROM pg_catalog.unnest($9::pg_catalog.text[]) p),"                              \
	" key => $2::pg_catalog.text[], columns => $3::pg_catalog.text[],"                \
	" filter => $4, except_columns => $5::pg_catalog.text[], mode => $6,"             \
	" mapping => $8::pg_catalog.jsonb,"                                               \
	" seed => $7::pg_catalog.int8) r GROUP BY 1, 2, 3, 4, 5"                          \
	" ORDER BY pg_catalog.encode(r.print, 'hex') COLLATE \"C\","                      \
	" pg_catalog.encode(r.row_print, 'hex') COLLATE \"C\""

#define SKETCH_CALL                                                             \
	"SELECT s, (@extschema@.upg_checksum_info((@extschema@.upg_sketch_info(s))" \
	".checksum)).row_count FROM @extschema@.upg_table_sketch("                  \
	"$1::pg_catalog.regclass, key => $2::pg_catalog.text[],"                    \
	" columns => $3::pg_catalog.text[], filter => $4,"                          \
	" except_columns => $5::pg_catalog.text[], mode => $6,"                     \
	" mapping => $8::pg_catalog.jsonb,"                                         \
	" seed => $7::pg_catalog.int8, cells => $9::pg_catalog.int4,"               \
	" bucket => $10::pg_catalog.int4, buckets => $11::pg_catalog.int4) s"

/*
 * side_error
 *		Say on which side the current error happened.
 */
static bool
side_error(Side side)
{
	UpgBuf text;

	/* what cannot be compared is not different: an error of the question */
	if (strcmp(upg_error.sqlstate, "UP040") == 0 ||
		strcmp(upg_error.sqlstate, "UP041") == 0)
		upg_error.exit_code = UPG_EXIT_USAGE;
	buf_init(&text);
	buf_printf(&text, "%s: %s", side_names[side], upg_error.what);
	free(upg_error.what);
	upg_error.what = text.data;
	return false;
}

/*
 * forget
 *		Give the answers back.
 */
static void
forget(Job *job)
{
	for (int side = SOURCE; side <= TARGET; side++)
	{
		rows_free(job->rows[side]);
		job->rows[side] = NULL;
	}
}

/*
 * ask_both
 *		Ask both sides at once, each about its own table; the answers are in job->rows.
 *
 * The first "nargs" parameters are those of the side, "more" follow.  If one side
 * fails, the other is told to stop.
 */
static bool
ask_both(Job *job, const char *sql, int nargs, int nmore, const char *const *more)
{
	const char *params[ARG_COUNT + 4];

	forget(job);
	for (int side = SOURCE; side <= TARGET; side++)
	{
		memcpy(params, job->args[side], (size_t) nargs * sizeof(char *));
		for (int i = 0; i < nmore; i++)
			params[nargs + i] = more[i];
		if (!conn_send_params(job->conn[side], sql, nargs + nmore, params))
			return side_error((Side) side);
	}
	for (int side = SOURCE; side <= TARGET; side++)
	{
		job->rows[side] = conn_receive(job->conn[side]);
		if (job->rows[side] == NULL)
		{
			conn_cancel(job->conn[TARGET - side]);
			return side_error((Side) side);
		}
	}
	return true;
}

/*
 * list_option
 *		An option "a,b,c" as a text[] literal; NULL if it is not given.
 */
static const char *
list_option(UpgContext *ctx, UpgOpt id, UpgList *items)
{
	const char *text = opt_get(ctx, id);
	UpgList own = {NULL, 0, 0};
	UpgList *list = items ? items : &own;
	UpgBuf out;
	const char *literal;

	if (text == NULL)
		return NULL;
	while (*text)
	{
		size_t n = strcspn(text, ",");

		if (n > 0)
			list_add(list, arena_strndup(ctx->arena, text, n));
		text += n + (text[n] == ',');
	}
	buf_init(&out);
	array_literal(&out, list);
	literal = arena_strdup(ctx->arena, out.data);
	buf_free(&out);
	list_free(&own);
	return literal;
}

/*
 * take_snapshot
 *		Read a side with one snapshot: one that was exported for us, or its own.
 *
 * To look again at what moves, a new one is needed each time.
 */
static bool
take_snapshot(Job *job, Side side)
{
	const char *id =
		opt_get(job->ctx, side == SOURCE ? OPT_SOURCE_SNAPSHOT : OPT_TARGET_SNAPSHOT);
	UpgBuf sql;
	bool ok;

	if (job->rounds > 0)
		return true;
	buf_init(&sql);
	buf_add(&sql, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
	ok = conn_run(job->conn[side], sql.data, 0, NULL);
	if (ok && id != NULL)
	{
		buf_reset(&sql);
		buf_printf(&sql, "SET TRANSACTION SNAPSHOT '%s'", id);
		ok = conn_run(job->conn[side], sql.data, 0, NULL);
	}
	buf_free(&sql);
	return ok || side_error(side);
}

/*
 * open_side
 *		Connect to one side and compare versions.
 */
static bool
open_side(Job *job, Side side)
{
	UpgConnParams params;

	memset(&params, 0, sizeof(params));
	params.dbname = ctx_arg(job->ctx, (int) side);
	params.deadline = job->ctx->deadline;
	job->conn[side] = conn_open(&params);
	if (job->conn[side] == NULL || !conn_handshake(job->conn[side], NULL))
		return side_error(side);
	return take_snapshot(job, side);
}

/*
 * choose_key
 *		--key, else the primary key of the target, another unique one, the source's.
 */
static bool
choose_key(Job *job)
{
	static const char sql[] =
		"SELECT pg_catalog.array_agg(a.attname::pg_catalog.text ORDER BY a.attnum)"
		" FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a"
		" ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::pg_catalog.int2[])"
		" WHERE i.indrelid = $1::pg_catalog.regclass AND i.indisunique AND i.indisvalid"
		" AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL"
		" AND i.indnkeyatts = i.indnatts"
		" GROUP BY i.indexrelid, i.indisprimary HAVING pg_catalog.bool_and(a.attnotnull)"
		" ORDER BY i.indisprimary DESC, pg_catalog.count(*), i.indexrelid LIMIT 1";
	UpgList given = {NULL, 0, 0};
	const char *key = list_option(job->ctx, OPT_KEY, &given);

	if (key == NULL)
	{
		if (!ask_both(job, sql, 1, 0, NULL))
			return false;
		key = rows_get(job->rows[TARGET], 0, 0);
		if (key == NULL)
			key = rows_get(job->rows[SOURCE], 0, 0);
		if (key == NULL)
			log_info("the table has no key: rows are compared by their contents");
		else
			key = arena_strdup(job->ctx->arena, key);
	}
	else if (given.count == 0)
		key = NULL;
	list_free(&given);
	job->args[SOURCE][ARG_KEY] = job->args[TARGET][ARG_KEY] = key;
	return true;
}

/*
 * read_mapping
 *		Make the mapping of the source from --mapping: what is not a column of the very
 *		type of the target's is an expression, cast to that type.
 */
static bool
read_mapping(Job *job)
{
	const char *params[3] = {job->args[TARGET][ARG_TABLE], opt_get(job->ctx, OPT_MAPPING),
							 NULL};
	UpgRows *rows;

	if (params[1] == NULL)
		return true;
	rows = conn_query(
		job->conn[TARGET],
		"SELECT pg_catalog.jsonb_object_agg(k, pg_catalog.format_type(a.atttypid, NULL)),"
		" pg_catalog.max(k) FILTER (WHERE a.attname IS NULL)"
		" FROM pg_catalog.jsonb_object_keys($2::pg_catalog.jsonb) k"
		" LEFT JOIN pg_catalog.pg_attribute a"
		" ON a.attrelid = $1::pg_catalog.regclass AND a.attname = k"
		" AND a.attnum > 0 AND NOT a.attisdropped",
		2, params);
	if (rows == NULL)
		return side_error(TARGET);
	if (rows_get(rows, 0, 1) != NULL)
	{
		err_set(UPG_EXIT_USAGE, "UPG-2000",
				"--mapping names the column \"%s\", which the "
				"target does not have",
				rows_get(rows, 0, 1));
		err_fix("Write --mapping='{\"column of the target\": \"column or expression of "
				"the source\"}'.");
		rows_free(rows);
		return false;
	}
	job->types =
		rows_get(rows, 0, 0) ? arena_strdup(job->ctx->arena, rows_get(rows, 0, 0)) : "{}";
	rows_free(rows);
	params[0] = job->args[SOURCE][ARG_TABLE];
	params[2] = job->types;
	rows = conn_query(
		job->conn[SOURCE],
		"SELECT pg_catalog.jsonb_object_agg(m.key, CASE"
		" WHEN a.attname IS NULL"
		" THEN '(' || m.value || E'\n)::' || ($3::pg_catalog.jsonb->>m.key)"
		" WHEN pg_catalog.format_type(a.atttypid, NULL) = $3::pg_catalog.jsonb->>m.key"
		" THEN m.value ELSE pg_catalog.quote_ident(m.value) || '::'"
		" || ($3::pg_catalog.jsonb->>m.key) END)"
		" FROM pg_catalog.jsonb_each_text($2::pg_catalog.jsonb) m"
		" LEFT JOIN pg_catalog.pg_attribute a"
		" ON a.attrelid = $1::pg_catalog.regclass AND a.attname = m.value"
		" AND a.attnum > 0 AND NOT a.attisdropped",
		3, params);
	if (rows == NULL)
		return side_error(SOURCE);
	if (rows_get(rows, 0, 0) != NULL)
		job->args[SOURCE][ARG_MAPPING] =
			arena_strdup(job->ctx->arena, rows_get(rows, 0, 0));
	rows_free(rows);
	return true;
}

/*
 * check_columns
 *		Are the columns the same on both sides?  False with an error that lists them.
 */
static bool
check_columns(Job *job)
{
	static const char sql[] =
		"SELECT name, type FROM (SELECT attname::pg_catalog.text AS name,"
		" pg_catalog.format_type(atttypid, NULL) AS type"
		" FROM pg_catalog.pg_attribute WHERE attrelid = $1::pg_catalog.regclass"
		" AND attnum > 0 AND NOT attisdropped AND ($8::pg_catalog.jsonb IS NULL"
		" OR NOT (attname IN (SELECT k FROM pg_catalog.jsonb_object_keys("
		"$8::pg_catalog.jsonb) k) OR attname IN (SELECT v.value"
		" FROM pg_catalog.jsonb_each_text($10::pg_catalog.jsonb) v)))"
		" UNION ALL SELECT m.key, $9::pg_catalog.jsonb->>m.key"
		" FROM pg_catalog.jsonb_each_text($8::pg_catalog.jsonb) m) c"
		" WHERE ($3::pg_catalog.text[] IS NULL OR name = ANY ($3::pg_catalog.text[]))"
		" AND ($5::pg_catalog.text[] IS NULL OR NOT name = ANY"
		" ($5::pg_catalog.text[])) AND ($2::pg_catalog.text[] IS NULL OR true)"
		" AND ($4::pg_catalog.text IS NULL OR true)"
		" AND ($6::pg_catalog.text IS NULL OR true)"
		" AND ($7::pg_catalog.text IS NULL OR true) ORDER BY name COLLATE \"C\"";
	UpgBuf why;
	const char *mode = job->args[TARGET][ARG_MODE];
	const char *more[2] = {job->types, opt_get(job->ctx, OPT_MAPPING)};
	bool semantic = mode != NULL && strcmp(mode, "semantic") == 0;
	int at[2] = {0, 0};

	if (!ask_both(job, sql, ARG_COUNT, 2, more))
		return false;
	buf_init(&why);
	while (at[SOURCE] < rows_count(job->rows[SOURCE]) ||
		   at[TARGET] < rows_count(job->rows[TARGET]))
	{
		const char *a = rows_get(job->rows[SOURCE], at[SOURCE], 0);
		const char *b = rows_get(job->rows[TARGET], at[TARGET], 0);
		int order = a == NULL ? 1 : b == NULL ? -1 : strcmp(a, b);

		if (order != 0)
			buf_printf(&why, "%scolumn \"%s\" is only in the %s", why.len > 0 ? "; " : "",
					   order < 0 ? a : b, side_names[order < 0 ? SOURCE : TARGET]);
		else if (!semantic && strcmp(rows_get(job->rows[SOURCE], at[SOURCE], 1),
									 rows_get(job->rows[TARGET], at[TARGET], 1)) != 0)
			buf_printf(&why, "%scolumn \"%s\" is %s in the source, %s in the target",
					   why.len > 0 ? "; " : "", a,
					   rows_get(job->rows[SOURCE], at[SOURCE], 1),
					   rows_get(job->rows[TARGET], at[TARGET], 1));
		at[SOURCE] += order <= 0;
		at[TARGET] += order >= 0;
	}
	if (why.len > 0)
	{
		err_set(UPG_EXIT_USAGE, "UPG-2029", "the two tables cannot be compared");
		err_why("%s.", why.data);
		err_fix(
			"Leave columns out with --except-columns, say which with --columns, or what "
			"stands for them in the source with --mapping; "
			"--mode=semantic compares integers and texts of other types.");
	}
	buf_free(&why);
	if (upg_error.exit_code == 0 && job->types != NULL)
	{
		UpgList names = {NULL, 0, 0};
		UpgBuf literal;

		/* what is mapped from is no column of the comparison */
		for (int i = 0; i < rows_count(job->rows[TARGET]); i++)
			list_add(&names, rows_get(job->rows[TARGET], i, 0));
		buf_init(&literal);
		array_literal(&literal, &names);
		job->args[SOURCE][ARG_COLUMNS] = job->args[TARGET][ARG_COLUMNS] =
			arena_strdup(job->ctx->arena, literal.data);
		buf_free(&literal);
		list_free(&names);
	}
	return upg_error.exit_code == 0;
}

/*
 * column_hidden
 *		Is the value of a column not to be shown?
 */
static bool
column_hidden(const Job *job, const char *column)
{
	return list_has(&job->hidden, "*") || list_has(&job->hidden, column);
}

/*
 * shown_row
 *		A row's JSON with hidden values replaced by their prints; in the arena.
 *
 * "other": only members whose print differs from the one there.
 */
static const char *
shown_row(Job *job, const char *row, const char *prints, const char *other)
{
	UpgJsonDoc *doc = row ? json_parse(row) : NULL;
	UpgJsonDoc *mine = prints ? json_parse(prints) : NULL;
	UpgJsonDoc *theirs = other ? json_parse(other) : NULL;
	char number[32];
	const char *key;
	const char *value;
	const char *shown;
	UpgBuf text;
	UpgJson json;

	if (doc == NULL)
	{
		json_free(mine);
		json_free(theirs);
		return "null";
	}
	buf_init(&text);
	json_start(&json, &text);
	json_object(&json, NULL);
	for (int i = 0; json_member(doc, i, &key, &value); i++)
	{
		const char *print = mine ? json_get(mine, key, number, sizeof(number)) : NULL;
		const char *their = theirs ? json_get(theirs, key, number, sizeof(number)) : NULL;

		if (other != NULL &&
			(print == NULL ? their == NULL : their != NULL && strcmp(print, their) == 0))
			continue;
		if (value != NULL && column_hidden(job, key))
			json_string(
				&json, key,
				arena_printf(job->ctx->arena, "(hidden %.16s)", print ? print : ""));
		else
			json_string(&json, key, value);
	}
	json_object_end(&json);
	shown = arena_strdup(job->ctx->arena, text.data);
	buf_free(&text);
	json_free(doc);
	json_free(mine);
	json_free(theirs);
	return shown;
}

/*
 * show
 *		Print differences that are JSON objects and lines already; keep them for the
 *		journal, if there is one.
 */
static void
show(Job *job, const char *json, const char *text)
{
	if (json[0] == '\0')
		return;
	if (job->ctx->json)
		json_raw(render_doc(), NULL, json);
	else
		render_text(job->ctx, "%s", text);
	if (job->journal == NULL)
		return;
	if (job->range_json.len > 0)
		buf_addc(&job->range_json, ',');
	buf_add(&job->range_json, json);
	buf_add(&job->range_text, text);
}

/*
 * report
 *		Print one difference; a row number of -1 means: not on that side.
 *
 * The same row on both sides: one has it more often.
 */
static void
report(Job *job, int source, int target)
{
	const UpgRows *a = job->rows[SOURCE];
	const UpgRows *b = job->rows[TARGET];
	int64_t copies_a = source >= 0 ? rows_int(a, source, "copies") : 0;
	int64_t copies_b = target >= 0 ? rows_int(b, target, "copies") : 0;
	bool both = source >= 0 && target >= 0;
	bool same = both && strcmp(rows_get(a, source, 1), rows_get(b, target, 1)) == 0;
	bool changed = both && !same;
	bool missing = !changed && copies_a > copies_b;
	const char *prints_a = source >= 0 ? rows_named(a, source, "column_prints") : NULL;
	const char *prints_b = target >= 0 ? rows_named(b, target, "column_prints") : NULL;
	const char *key = job->args[TARGET][ARG_KEY] == NULL ? NULL
					  : source >= 0 ? rows_named(a, source, "row_key")
									: rows_named(b, target, "row_key");
	const char *shown_key =
		key ? shown_row(job, key, prints_a ? prints_a : prints_b, NULL) : NULL;
	const char *row_a = NULL;
	const char *row_b = NULL;
	UpgBuf text;
	UpgBuf line;
	UpgJson json;

	if (changed || missing)
		row_a = shown_row(job, rows_named(a, source, "row"), prints_a,
						  changed ? prints_b : NULL);
	if (!missing)
		row_b = shown_row(job, rows_named(b, target, "row"), prints_b,
						  changed ? prints_a : NULL);
	job->changed += changed;
	job->missing += missing ? copies_a - copies_b : 0;
	job->extra += !changed && !missing ? copies_b - copies_a : 0;
	buf_init(&text);
	json_start(&json, &text);
	json_object(&json, NULL);
	json_string(&json, "difference", changed ? "changed" : missing ? "missing" : "extra");
	json_raw(&json, "key", shown_key);
	json_raw(&json, "source", row_a);
	json_raw(&json, "target", row_b);
	json_int(&json, "source_copies", copies_a);
	json_int(&json, "target_copies", copies_b);
	json_object_end(&json);
	buf_init(&line);
	buf_printf(&line, "%-8s %s%s",
			   changed   ? "changed"
			   : missing ? "missing"
						 : "extra",
			   shown_key ? shown_key : "", shown_key ? "  " : "");
	if (changed)
		buf_printf(&line, "%s -> %s", row_a, row_b);
	else
		buf_add(&line, row_a ? row_a : row_b);
	if (copies_a > 1 || copies_b > 1)
		buf_printf(&line, "  (%" PRId64 " in the source, %" PRId64 " in the target)",
				   copies_a, copies_b);
	buf_addc(&line, '\n');
	show(job, text.data, line.data);
	buf_free(&text);
	buf_free(&line);
}

/*
 * state_of
 *		The rows of one key on both sides, as text that can be compared; NULL: equal.
 *
 * "at" moves behind them.
 */
static char *
state_of(const Job *job, const char *print, int at[2])
{
	UpgBuf sides[2];
	bool equal;

	for (int side = SOURCE; side <= TARGET; side++)
	{
		const UpgRows *rows = job->rows[side];

		buf_init(&sides[side]);
		for (; at[side] < rows_count(rows) &&
			   strcmp(rows_get(rows, at[side], 0), print) == 0;
			 at[side]++)
			buf_printf(&sides[side], "%s*%s ", rows_get(rows, at[side], 1),
					   rows_named(rows, at[side], "copies"));
	}
	equal = strcmp(sides[SOURCE].data, sides[TARGET].data) == 0;
	buf_addc(&sides[SOURCE], '/');
	buf_add(&sides[SOURCE], sides[TARGET].data);
	buf_free(&sides[TARGET]);
	if (!equal)
		return sides[SOURCE].data;
	buf_free(&sides[SOURCE]);
	return NULL;
}

/*
 * report_key
 *		Print what differs among the rows of one key, which begin at "at".
 */
static void
report_key(Job *job, const char *print, const int at[2])
{
	const UpgRows *a = job->rows[SOURCE];
	const UpgRows *b = job->rows[TARGET];
	int i = at[SOURCE];
	int k = at[TARGET];
	int one = -1;
	int other = -1;
	int ones = 0;
	int others = 0;

	for (int pass = 0; pass < 2; pass++)
	{
		i = at[SOURCE];
		k = at[TARGET];
		for (;;)
		{
			bool more_a = i < rows_count(a) && strcmp(rows_get(a, i, 0), print) == 0;
			bool more_b = k < rows_count(b) && strcmp(rows_get(b, k, 0), print) == 0;
			int order;

			if (!more_a && !more_b)
				break;
			order = !more_a   ? 1
					: !more_b ? -1
							  : strcmp(rows_get(a, i, 1), rows_get(b, k, 1));
			if (order == 0 && rows_int(a, i, "copies") == rows_int(b, k, "copies"))
				;
			else if (pass == 1 && order == 0)
				report(job, i, k); /* not as often */
			else if (pass == 1)
				report(job, order < 0 ? i : -1, order < 0 ? -1 : k);
			else
			{
				ones += order <= 0;
				others += order >= 0;
				one = order <= 0 ? i : one;
				other = order >= 0 ? k : other;
			}
			i += order <= 0;
			k += order >= 0;
		}
		if (pass == 0 && job->args[TARGET][ARG_KEY] != NULL && ones == 1 && others == 1)
		{
			report(job, one, other);
			return;
		}
	}
}

/*
 * look_again
 *		Read the suspects on both sides, as often as told, and report what differs.
 */
static bool
look_again(Job *job, const char *const *prints, int n)
{
	Suspect *suspects = xmalloc((size_t) n * sizeof(Suspect));
	UpgList wanted = {NULL, 0, 0};
	UpgBuf literal;
	const char *more;
	bool ok = true;
	int at[2] = {0, 0};

	memset(suspects, 0, (size_t) n * sizeof(Suspect));
	for (int i = 0; i < n; i++)
		list_add(&wanted, prints[i]);
	buf_init(&literal);
	array_literal(&literal, &wanted);
	more = literal.data;
	for (int64_t round = 0; ok && round <= job->rounds; round++)
	{
		if (round > 0)
			run_sleep((int) job->interval);
		ok = ask_both(job, ROWS_CALL, ARG_COUNT, 1, &more);
		at[SOURCE] = at[TARGET] = 0;
		for (int i = 0; ok && i < n; i++)
		{
			char *state = state_of(job, prints[i], at);

			suspects[i].same =
				round == 0 || (state != NULL && suspects[i].state != NULL &&
							   strcmp(state, suspects[i].state) == 0);
			free(suspects[i].state);
			suspects[i].state = state;
		}
	}
	at[SOURCE] = at[TARGET] = 0;
	for (int i = 0; ok && i < n; i++)
	{
		int from[2] = {at[SOURCE], at[TARGET]};

		free(state_of(job, prints[i], at));
		if (suspects[i].state == NULL)
			continue;
		if (suspects[i].same)
			report_key(job, prints[i], from);
		else
			job->unsettled++;
	}
	for (int i = 0; i < n; i++)
		free(suspects[i].state);
	free(suspects);
	buf_free(&literal);
	list_free(&wanted);
	return ok;
}

/*
 * compare_part
 *		Compare one part of the keys; *need is set if the sketches were too small.
 */
static bool
compare_part(Job *job, int64_t cells, int part, int parts, int64_t *need)
{
	const char *more[3];
	const char *sketches[2];
	UpgArena *arena = job->ctx->arena;
	UpgRows *rows;
	UpgList prints = {NULL, 0, 0};
	bool ok;
	UpgRows *kept[2];

	*need = 0;
	more[0] = arena_printf(arena, "%" PRId64, cells);
	more[1] = arena_printf(arena, "%d", part);
	more[2] = arena_printf(arena, "%d", parts);
	if (!ask_both(job, SKETCH_CALL, ARG_COUNT, 3, more))
		return false;
	for (int side = SOURCE; side <= TARGET; side++)
	{
		kept[side] = job->rows[side];
		job->rows[side] = NULL;
		sketches[side] = rows_get(kept[side], 0, 0);
	}
	rows = conn_query(job->conn[TARGET],
					  "SELECT complete, cells_needed FROM"
					  " @extschema@.upg_sketch_estimate($1::pg_catalog.bytea,"
					  " $2::pg_catalog.bytea)",
					  2, sketches);
	ok = rows != NULL;
	if (ok && !rows_bool(rows, 0, "complete"))
	{
		*need = rows_int(rows, 0, "cells_needed");
		if (*need <= cells)
			*need = cells * 2;
	}
	rows_free(rows);
	if (ok && *need == 0)
	{
		for (int side = SOURCE; side <= TARGET; side++)
			job->count[side] += rows_int(kept[side], 0, "row_count");
		rows = conn_query(job->conn[TARGET],
						  "SELECT DISTINCT pg_catalog.encode(print, 'hex') COLLATE \"C\""
						  " FROM @extschema@.upg_sketch_diff($1::pg_catalog.bytea,"
						  " $2::pg_catalog.bytea) ORDER BY 1",
						  2, sketches);
		ok = rows != NULL;
		for (int i = 0; ok && i < rows_count(rows); i++)
			list_add(&prints, rows_get(rows, i, 0));
		for (int i = 0; ok && i < prints.count; i += CHUNK)
			ok = look_again(job, prints.items + i,
							prints.count - i < CHUNK ? prints.count - i : CHUNK);
		list_free(&prints);
		rows_free(rows);
	}
	else if (!ok)
		side_error(TARGET);
	rows_free(kept[SOURCE]);
	rows_free(kept[TARGET]);
	return ok;
}

/*
 * compare_all
 *		The whole table: one part, or as many as it takes.
 */
static bool
compare_all(Job *job)
{
	int64_t cells = FIRST_CELLS;
	int parts = 1;

	for (int part = 0; part < parts;)
	{
		int64_t need;

		if (!compare_part(job, cells, part, parts, &need))
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

/*
 * range_bounds
 *		The boundaries of the ranges, as the target's index has them; false with the
 *		error set.
 *
 * Only types that are in the same order everywhere can be cut into ranges.
 */
static bool
range_bounds(Job *job, int64_t ranges, UpgList *bounds)
{
	UpgContext *ctx = job->ctx;
	const char *params[4] = {job->args[TARGET][ARG_TABLE], job->args[TARGET][ARG_KEY],
							 arena_printf(ctx->arena, "%" PRId64, ranges), NULL};
	const char *kept = journal_get(job->journal, "ranges", "count");
	const char *column;
	const char *type;
	const char *table;
	const char *pairs[2 * 4 + 1];
	int n = 0;
	UpgRows *rows;

	if (kept != NULL)
	{
		int count = atoi(kept);

		for (int i = 0; i < count; i++)
		{
			const char *bound = journal_get(
				job->journal, arena_printf(ctx->arena, "bound %d", i), "value");

			if (bound == NULL)
				return err_set(UPG_EXIT_USAGE, "UPG-2061",
							   "the journal lacks a boundary: remove it and begin anew");
			list_add(bounds, bound);
		}
		return true;
	}
	if (params[1] == NULL)
		return err_set(UPG_EXIT_USAGE, "UPG-2000", "--ranges needs a key");
	rows = conn_query(
		job->conn[TARGET],
		"SELECT pg_catalog.quote_ident(a.attname), pg_catalog.format_type(a.atttypid,"
		" a.atttypmod), coalesce(a.attcollation = 0 OR co.collcollate IN ('C', 'POSIX'), "
		"false),"
		" ($1::pg_catalog.regclass)::pg_catalog.text"
		" FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_collation co"
		" ON co.oid = a.attcollation WHERE a.attrelid = $1::pg_catalog.regclass"
		" AND a.attname = ($2::pg_catalog.text[])[1]",
		2, params);
	if (rows == NULL)
		return side_error(TARGET);
	if (rows_count(rows) == 0 || strcmp(rows_get(rows, 0, 2), "t") != 0)
	{
		rows_free(rows);
		err_set(UPG_EXIT_USAGE, "UPG-2000",
				"the first column of the key cannot be cut into ranges");
		err_why("Two databases may not sort its values in the same way.");
		err_fix("Use --key with a number, date, uuid or text of collation C first, or "
				"compare without --ranges.");
		return false;
	}
	column = arena_strdup(ctx->arena, rows_get(rows, 0, 0));
	type = arena_strdup(ctx->arena, rows_get(rows, 0, 1));
	table = arena_strdup(ctx->arena, rows_get(rows, 0, 3));
	params[0] = params[2];
	rows_free(rows);
	rows = conn_query(
		job->conn[TARGET],
		arena_printf(
			ctx->arena,
			"SELECT d.k::pg_catalog.text FROM (SELECT DISTINCT s.k FROM (SELECT %s AS k,"
			" pg_catalog.row_number() OVER (ORDER BY %s) AS n,"
			" pg_catalog.count(*) OVER () AS total FROM %s) s"
			" WHERE n %% GREATEST(pg_catalog.ceil(total / $1::pg_catalog.float8), 1)"
			"::pg_catalog.int8 = 0 AND s.k IS NOT NULL) d"
			" ORDER BY d.k",
			column, column, table),
		1, params);
	if (rows == NULL)
		return side_error(TARGET);
	for (int i = 0; i < rows_count(rows) && bounds->count < MOST_RANGES; i++)
		list_add(bounds, arena_strdup(ctx->arena, rows_get(rows, i, 0)));
	rows_free(rows);
	for (int i = 0; i < bounds->count; i++)
	{
		const char *pair[3] = {"value", bounds->items[i], NULL};

		if (!journal_put(job->journal, arena_printf(ctx->arena, "bound %d", i), pair))
			return false;
	}
	pairs[n++] = "column";
	pairs[n++] = column;
	pairs[n++] = "type";
	pairs[n++] = type;
	pairs[n++] = "count";
	pairs[n++] = arena_printf(ctx->arena, "%d", bounds->count);
	pairs[n] = NULL;
	return journal_put(job->journal, "ranges", pairs);
}

/*
 * set_range
 *		Restrict both sides to the keys between two boundaries.
 */
static void
set_range(Job *job, const UpgList *bounds, int i)
{
	const char *column = journal_get(job->journal, "ranges", "column");
	const char *type = journal_get(job->journal, "ranges", "type");

	for (int side = SOURCE; side <= TARGET; side++)
	{
		const char *what = column;
		UpgBuf filter;
		UpgBuf literal;

		/* in the source the key may be called otherwise, or be an expression */
		if (side == SOURCE && job->key_in_source != NULL)
			what = job->key_in_source;
		buf_init(&filter);
		buf_init(&literal);
		if (job->filter != NULL)
			buf_printf(&filter, "(%s\n) AND ", job->filter);
		if (i == 0)
			buf_printf(&filter, "(%s IS NULL OR ", what);
		buf_add(&filter, "(true");
		for (int end = 0; end < 2; end++)
		{
			int bound = i - 1 + end;

			if (bound < 0 || bound >= bounds->count)
				continue;
			buf_reset(&literal);
			for (const char *p = bounds->items[bound]; *p; p++)
			{
				if (*p == '\'')
					buf_addc(&literal, '\'');
				buf_addc(&literal, *p);
			}
			buf_printf(&filter, " AND %s %s '%s'::%s", what, end == 0 ? ">=" : "<",
					   literal.data, type);
		}
		buf_add(&filter, i == 0 ? "))" : ")");
		job->args[side][ARG_FILTER] = arena_strdup(job->ctx->arena, filter.data);
		buf_free(&filter);
		buf_free(&literal);
	}
}

/*
 * compare_ranges
 *		Compare range by range, and write down each that is done.
 */
static bool
compare_ranges(Job *job, int64_t ranges)
{
	UpgArena *arena = job->ctx->arena;
	UpgList bounds = {NULL, 0, 0};
	bool ok = range_bounds(job, ranges, &bounds);
	int skipped = 0;

	for (int i = 0; ok && i <= bounds.count; i++)
	{
		const char *entry = arena_printf(arena, "range %d", i);
		int64_t *counts[] = {&job->count[SOURCE], &job->count[TARGET], &job->missing,
							 &job->extra,         &job->changed,       &job->unsettled};
		static const char *const names[] = {"source_rows", "target_rows", "missing",
											"extra",       "changed",     "unsettled"};
		const char *pairs[2 * 8 + 1];
		int64_t before[6];
		int n = 0;

		if (journal_get(job->journal, entry, "source_rows") != NULL)
		{
			for (int c = 0; c < 6; c++)
				*counts[c] +=
					strtoll(journal_get(job->journal, entry, names[c]), NULL, 10);
			show(job, journal_get(job->journal, entry, "json"),
				 journal_get(job->journal, entry, "text"));
			skipped++;
			continue;
		}
		buf_reset(&job->range_json);
		buf_reset(&job->range_text);
		for (int c = 0; c < 6; c++)
			before[c] = *counts[c];
		set_range(job, &bounds, i);
		ok = compare_all(job);
		if (!ok)
			break;
		for (int c = 0; c < 6; c++)
		{
			pairs[n++] = names[c];
			pairs[n++] = arena_printf(arena, "%" PRId64, *counts[c] - before[c]);
		}
		pairs[n++] = "json";
		pairs[n++] = job->range_json.data ? job->range_json.data : "";
		pairs[n++] = "text";
		pairs[n++] = job->range_text.data ? job->range_text.data : "";
		pairs[n] = NULL;
		ok = journal_put(job->journal, entry, pairs);
		log_verbose("range %d of %d is done", i + 1, bounds.count + 1);
	}
	if (skipped > 0)
		log_info("%d of %d ranges were done before", skipped, bounds.count + 1);
	list_free(&bounds);
	return ok;
}

/*
 * open_journal
 *		Open the journal of --journal; false with the error set.
 */
static bool
open_journal(Job *job)
{
	UpgContext *ctx = job->ctx;
	const char *path = opt_get(ctx, OPT_JOURNAL);
	const char *key = job->args[TARGET][ARG_KEY];
	UpgJsonDoc *mapping;
	const char *name;
	const char *value;

	if (path == NULL)
		return true;
	job->journal = journal_open(
		path,
		arena_printf(
			ctx->arena,
			"table %s in %s, %s in %s, key %s, columns %s, without %s, filter %s, "
			"mode %s, mapping %s",
			job->args[SOURCE][ARG_TABLE], conn_database(job->conn[SOURCE]),
			job->args[TARGET][ARG_TABLE], conn_database(job->conn[TARGET]),
			key ? key : "none",
			job->args[TARGET][ARG_COLUMNS] ? job->args[TARGET][ARG_COLUMNS] : "all",
			job->args[TARGET][ARG_EXCEPT] ? job->args[TARGET][ARG_EXCEPT] : "none",
			job->filter ? job->filter : "none", job->args[TARGET][ARG_MODE],
			job->args[SOURCE][ARG_MAPPING] ? job->args[SOURCE][ARG_MAPPING] : "none"));
	if (job->journal == NULL)
		return false;
	if (job->args[SOURCE][ARG_MAPPING] == NULL || key == NULL)
		return true;

	/* the first column of the key, which the literal {a,b} begins with */
	mapping = json_parse(job->args[SOURCE][ARG_MAPPING]);
	for (int i = 0; mapping != NULL && json_member(mapping, i, &name, &value); i++)
	{
		size_t len = strlen(name);

		if (value != NULL && key[0] == '{' && strncmp(key + 1, name, len) == 0 &&
			(key[len + 1] == ',' || key[len + 1] == '}'))
			job->key_in_source = arena_printf(ctx->arena, "(%s\n)", value);
	}
	json_free(mapping);
	return true;
}

/*
 * guarantee
 *		What the result means while somebody writes.
 */
static const char *
guarantee(const Job *job)
{
	bool given = opt_get(job->ctx, OPT_SOURCE_SNAPSHOT) != NULL ||
				 opt_get(job->ctx, OPT_TARGET_SNAPSHOT) != NULL;

	if (job->rounds > 0)
		return arena_printf(
			job->ctx->arena,
			"what differed was looked at %" PRId64 " times, %" PRId64
			" ms apart: a difference stayed the same each time; rows that kept moving "
			"are "
			"counted as unsettled; rows written after they had been read are not seen",
			job->rounds + 1, job->interval);
	if (given)
		return "each side was read with the snapshot that it was given";
	return "each side was read with one snapshot of its own: rows written between the "
		   "two "
		   "may show as differences";
}

/*
 * prepare
 *		Read the options; false with the error set.
 */
static bool
prepare(Job *job)
{
	UpgContext *ctx = job->ctx;
	const char *rounds = opt_get(ctx, OPT_RECHECK);
	uint64_t seed;

	if (opt_get(ctx, OPT_TABLE) == NULL)
	{
		err_set(UPG_EXIT_USAGE, "UPG-2000", "\"upg compare\" needs --table");
		err_next("Try \"upg compare --help\" for more information.");
		return false;
	}
	if (rounds != NULL &&
		(rounds[strspn(rounds, "0123456789")] != '\0' || strlen(rounds) > 4))
		return err_set(UPG_EXIT_USAGE, "UPG-2000",
					   "invalid value \"%s\" of option --recheck", rounds);
	job->rounds = rounds ? strtol(rounds, NULL, 10) : 0;
	if (!config_number(ctx, OPT_INTERVAL, true, 2000, &job->interval))
		return false;
	if (job->rounds > 0 && (opt_get(ctx, OPT_SOURCE_SNAPSHOT) != NULL ||
							opt_get(ctx, OPT_TARGET_SNAPSHOT) != NULL))
		return err_set(UPG_EXIT_USAGE, "UPG-2000",
					   "--recheck looks at what is there now, so it cannot go with a "
					   "snapshot");
	for (int side = SOURCE; side <= TARGET; side++)
	{
		const char *id =
			opt_get(ctx, side == SOURCE ? OPT_SOURCE_SNAPSHOT : OPT_TARGET_SNAPSHOT);

		if (id != NULL && id[strspn(id, "0123456789ABCDEFabcdef-")] != '\0')
			return err_set(UPG_EXIT_USAGE, "UPG-2000",
						   "\"%s\" is not the name of a snapshot", id);
	}
	if (!config_number(ctx, OPT_RANGES, false, 0, &job->ranges))
		return false;
	if (job->ranges < 0 || job->ranges > MOST_RANGES)
		return err_set(UPG_EXIT_USAGE, "UPG-2000", "--ranges is a number from 1 to %d",
					   MOST_RANGES);
	if ((job->ranges > 0) != (opt_get(ctx, OPT_JOURNAL) != NULL))
		return err_set(UPG_EXIT_USAGE, "UPG-2000", "--ranges and --journal go together");
	if (getrandom(&seed, sizeof(seed), 0) != (ssize_t) sizeof(seed))
		return err_set(UPG_EXIT_BUG, "UPG-9999", "no random number to be had");
	job->filter = opt_get(ctx, OPT_FILTER);
	for (int side = SOURCE; side <= TARGET; side++)
	{
		job->args[side][ARG_TABLE] = opt_get(ctx, OPT_TABLE);
		job->args[side][ARG_COLUMNS] = list_option(ctx, OPT_COLUMNS, NULL);
		job->args[side][ARG_FILTER] = job->filter;
		job->args[side][ARG_EXCEPT] = list_option(ctx, OPT_EXCEPT_COLUMNS, NULL);
		job->args[side][ARG_MODE] =
			opt_get(ctx, OPT_MODE) ? opt_get(ctx, OPT_MODE) : "strict";
		job->args[side][ARG_SEED] = arena_printf(ctx->arena, "%" PRIu64, seed >> 1);
	}
	if (opt_get(ctx, OPT_TARGET_TABLE) != NULL)
		job->args[TARGET][ARG_TABLE] = opt_get(ctx, OPT_TARGET_TABLE);
	list_option(ctx, OPT_REDACT, &job->hidden);
	return true;
}

/* upg compare */
int
cmd_compare(UpgContext *ctx)
{
	Job job;
	bool ok;
	int64_t different;

	memset(&job, 0, sizeof(job));
	job.ctx = ctx;
	buf_init(&job.range_json);
	buf_init(&job.range_text);
	ok = prepare(&job) && open_side(&job, SOURCE) && open_side(&job, TARGET) &&
		 read_mapping(&job) && choose_key(&job) && check_columns(&job) &&
		 open_journal(&job);
	if (ok)
	{
		render_start(ctx);
		if (ctx->json)
		{
			json_string(render_doc(), "table", job.args[SOURCE][ARG_TABLE]);
			json_string(render_doc(), "target_table", job.args[TARGET][ARG_TABLE]);
			json_string(render_doc(), "key", job.args[TARGET][ARG_KEY]);
			json_array(render_doc(), "differences");
		}
		ok = job.ranges > 0 ? compare_ranges(&job, job.ranges) : compare_all(&job);
		if (ctx->json)
			json_array_end(render_doc());
	}
	different = job.missing + job.extra + job.changed;
	if (ok && ctx->json)
	{
		json_bool(render_doc(), "equal", different + job.unsettled == 0);
		json_int(render_doc(), "source_rows", job.count[SOURCE]);
		json_int(render_doc(), "target_rows", job.count[TARGET]);
		json_int(render_doc(), "missing", job.missing);
		json_int(render_doc(), "extra", job.extra);
		json_int(render_doc(), "changed", job.changed);
		json_int(render_doc(), "unsettled", job.unsettled);
		json_string(render_doc(), "guarantee", guarantee(&job));
	}
	else if (ok)
		log_info("%s", guarantee(&job));
	if (ok && different > 0)
	{
		err_set(UPG_EXIT_VERIFICATION, "UPG-2028",
				"table \"%s\" differs: %" PRId64 " missing in the target, %" PRId64
				" extra, %" PRId64 " changed",
				job.args[SOURCE][ARG_TABLE], job.missing, job.extra, job.changed);
		if (job.unsettled > 0)
			err_why("%" PRId64 " more keys differ, but are being written.",
					job.unsettled);
	}
	else if (ok && job.unsettled > 0)
	{
		err_set(UPG_EXIT_WAITING, "UPG-2028",
				"%" PRId64 " keys of table \"%s\" differ, but are being written",
				job.unsettled, job.args[SOURCE][ARG_TABLE]);
		err_fix("Compare again, with more rounds of --recheck or a longer --interval.");
	}
	else if (ok)
		render_text(ctx, "equal: %" PRId64 " rows\n", job.count[SOURCE]);
	forget(&job);
	conn_close(job.conn[SOURCE]);
	conn_close(job.conn[TARGET]);
	journal_close(job.journal);
	buf_free(&job.range_json);
	buf_free(&job.range_text);
	list_free(&job.hidden);
	return upg_error.exit_code;
}
