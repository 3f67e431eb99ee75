/*-------------------------------------------------------------------------
 *
 * lint_policy.c
 *		What makes the lint fail: --fail-on, and the baseline of what is known.
 *
 * A baseline is a text file with a verdict and a migration on each line.  A project
 * with years of down scripts begins with one, and from then on only a down that is
 * worse than its line breaks the build.
 *
 * SPDX-License-Identifier: PostgreSQL
 *
 * IDENTIFICATION
 *		cli/src/lint_policy.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "exit_codes.h"
#include "fsutil.h"
#include "lint.h"
#include "log.h"

#define BASELINE_MAX (16 * 1024 * 1024)

/*
 * lint_verdict_of
 *		The verdict of a name; false if there is none of that name.
 */
bool
lint_verdict_of(const char *name, size_t len, UpgVerdict *verdict)
{
	for (int i = 0; i < UPG_VERDICTS; i++)
	{
		const char *known = verdict_name((UpgVerdict) i);

		if (strlen(known) == len && strncmp(known, name, len) == 0)
		{
			*verdict = (UpgVerdict) i;
			return true;
		}
	}
	return false;
}

/*
 * counts
 *		Does the policy of --fail-on count a verdict?
 *
 * fails < lossy < differs < missing: each holds what stands before it.
 */
static bool
counts(UpgVerdict verdict, const char *fail_on)
{
	switch (verdict)
	{
		case UPG_VERDICT_FAILS:
			return strcmp(fail_on, "never") != 0;
		case UPG_VERDICT_LOSSY:
			return strcmp(fail_on, "never") != 0 && strcmp(fail_on, "fails") != 0;
		case UPG_VERDICT_DIFFERS:
			return strcmp(fail_on, "differs") == 0 || strcmp(fail_on, "missing") == 0;
		case UPG_VERDICT_NONE:
		case UPG_VERDICT_UNTESTED:
			return strcmp(fail_on, "missing") == 0;
		case UPG_VERDICT_EXACT:
			break;
	}
	return false;
}

/*
 * lint_breaks
 *		Does this migration make the command fail?
 */
bool
lint_breaks(const UpgLintResult *result, const UpgLintPolicy *policy)
{
	return counts(result->verdict, policy->fail_on) &&
		   !(policy->baseline && result->known && result->verdict <= result->known_as);
}

/*
 * lint_failures
 *		How many migrations make the command fail.
 */
int
lint_failures(const UpgLintReport *report, const UpgLintPolicy *policy)
{
	int count = 0;

	for (int i = 0; i < report->count; i++)
		count += lint_breaks(&report->results[i], policy);
	return count;
}

/*
 * lint_baseline_read
 *		Read what is known; false with the error set if a line cannot be understood.
 */
bool
lint_baseline_read(const char *path, UpgArena *arena, UpgLintBaseline *base)
{
	UpgBuf text;
	const char *p;
	int cap = 0;
	bool ok;

	memset(base, 0, sizeof(*base));
	buf_init(&text);
	ok = fs_read(path, &text, BASELINE_MAX);
	if (!ok)
		err_fix("Write it with \"upg lint --downs --write-baseline=%s\".", path);
	p = text.data;
	for (int line = 1; ok && *p; line++)
	{
		size_t len = strcspn(p, "\r\n");
		size_t word = strcspn(p, " \t\r\n");
		const char *name = p + word + strspn(p + word, " \t");
		UpgVerdict verdict;

		if (len > 0 && *p != '#')
		{
			if (!lint_verdict_of(p, word, &verdict) || name >= p + len)
			{
				err_set(UPG_EXIT_USAGE, "UPG-2052", "\"%s\" is not a line of a baseline",
						arena_strndup(arena, p, len));
				err_where("%s:%d", path, line);
				err_fix("Each line holds a verdict and a migration, like \"lossy "
						"0003_drop_nick\"; what begins with # is passed over.");
				ok = false;
				break;
			}
			if (base->names.count == cap)
			{
				cap = cap ? cap * 2 : 64;
				base->verdicts =
					xrealloc(base->verdicts, sizeof(UpgVerdict) * (size_t) cap);
			}
			base->verdicts[base->names.count] = verdict;
			list_add(&base->names, arena_strndup(arena, name, (size_t) (p + len - name)));
		}
		p += len;
		p += *p == '\r' && p[1] == '\n' ? 2 : *p != '\0';
	}
	buf_free(&text);
	return ok;
}

/*
 * lint_baseline_free
 *		Give back what is not in the arena.
 */
void
lint_baseline_free(UpgLintBaseline *base)
{
	list_free(&base->names);
	free(base->verdicts);
	base->verdicts = NULL;
}

/*
 * lint_baseline_use
 *		Mark what is known, and note the lines that nobody needs any more.
 *
 * With --latest or after an interrupt the report is a part: a migration that it does
 * not hold is not called gone.
 */
void
lint_baseline_use(const UpgLintBaseline *base, UpgArena *arena, bool part,
				  UpgLintReport *report)
{
	for (int i = 0; i < base->names.count; i++)
	{
		UpgLintResult *result = NULL;

		for (int k = 0; k < report->count && result == NULL; k++)
			if (strcmp(report->results[k].name, base->names.items[i]) == 0)
				result = &report->results[k];
		if (result == NULL)
		{
			if (!part)
				list_add(&report->better, arena_printf(arena, "%s is no longer there",
													   base->names.items[i]));
			continue;
		}
		result->known = true;
		result->known_as = base->verdicts[i];
		if (result->verdict < result->known_as)
			list_add(&report->better,
					 arena_printf(arena, "%s is %s now, was %s", result->name,
								  verdict_name(result->verdict),
								  verdict_name(result->known_as)));
	}
}

/*
 * lint_baseline_write
 *		Everything that is not exact, as a baseline; false with the error set.
 */
bool
lint_baseline_write(const char *path, const UpgLintReport *report)
{
	UpgBuf out;
	bool ok;

	buf_init(&out);
	buf_add(&out, "# Down scripts that are known not to be exact. With --baseline, \"upg "
				  "lint --downs\"\n# fails only on one that is worse than its line, or "
				  "that has none.\n");
	for (int i = 0; i < report->count; i++)
		if (report->results[i].verdict != UPG_VERDICT_EXACT)
			buf_printf(&out, "%-8s %s\n", verdict_name(report->results[i].verdict),
					   report->results[i].name);
	ok = fs_write(path, out.data, out.len);
	buf_free(&out);
	return ok;
}
