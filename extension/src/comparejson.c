/*-------------------------------------------------------------------------
 *
 * comparejson.c
 *		Differing rows as JSON: values as text, in the order of the names.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		extension/src/comparejson.c
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/jsonb.h"

#include "compare.h"

static void
push_string(JsonbParseState **state, JsonbIteratorToken token, const char *s)
{
	JsonbValue v;

	v.type = jbvString;
	v.val.string.val = unconstify(char *, s);
	v.val.string.len = (int) strlen(s);
	(void) pushJsonbValue(state, token, &v);
}

static char *
hash_text(UpgSum hash)
{
	return psprintf("%016llx%016llx", (unsigned long long) hash.hi,
					(unsigned long long) hash.lo);
}

/* One column; a hidden one is shown by its hash, which still tells equal from different. */
static void
push_column(JsonbParseState **state, UpgRowFinder *finder, UpgFoundRow *row, int c,
			const bool *hidden)
{
	JsonbValue null;

	push_string(state, WJB_KEY, finder->names[c]);
	if (row->texts[c] == NULL)
	{
		null.type = jbvNull;
		(void) pushJsonbValue(state, WJB_VALUE, &null);
	}
	else if (hidden && hidden[c])
		push_string(state, WJB_VALUE,
					psprintf("(hidden %.16s)", hash_text(row->column_hashes[c])));
	else
		push_string(state, WJB_VALUE, row->texts[c]);
}

/*
 * upg_row_json
 *		The columns of a row, or those marked in "which".
 */
Jsonb *
upg_row_json(UpgRowFinder *finder, UpgFoundRow *row, const bool *which,
			 const bool *hidden)
{
	JsonbParseState *state = NULL;

	(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (int c = 0; c < finder->ncolumns; c++)
		if (which == NULL || which[c])
			push_column(&state, finder, row, c, hidden);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

/*
 * upg_key_json
 *		The key columns of a row.
 */
Jsonb *
upg_key_json(UpgRowFinder *finder, UpgFoundRow *row, const bool *hidden)
{
	JsonbParseState *state = NULL;

	(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (int k = 0; k < finder->nkeys; k++)
		push_column(&state, finder, row, finder->key_columns[k], hidden);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

/*
 * upg_column_hashes_json
 *		The hash of each column that is not null.
 */
Jsonb *
upg_column_hashes_json(UpgRowFinder *finder, UpgFoundRow *row)
{
	JsonbParseState *state = NULL;

	(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (int c = 0; c < finder->ncolumns; c++)
	{
		if (row->texts[c] == NULL)
			continue;
		push_string(&state, WJB_KEY, finder->names[c]);
		push_string(&state, WJB_VALUE, hash_text(row->column_hashes[c]));
	}
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}
