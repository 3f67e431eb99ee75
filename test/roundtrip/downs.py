#!/usr/bin/env python3
"""downs.py: portable downs of the cases of cases.py, run without upg.

    downs.py [--sample N] [--only TEXT] [--db NAME] [-v] FILE...

Each case is applied with upg_apply() to a copy of the fixture, its portable down
rendered, the extension dropped, the down run by psql, and pg_dump (schema and rows,
sorted inside of a table) and the roles compared with those before.  A case with
"between" is compared with what upg_rollback() leaves in another copy.  What counts:

    same      schema and rows are those of before
    honest    they are not, and the script says which statements are not exact
    WRONG     they are not, and the script calls everything exact; or it fails
    refused   the migration is refused, or has no undo in that state
"""
import argparse
import os
import re
import sys

from cases import Case, PSQL, here, must
from rtlib import command, differences, dump


def globals_():
    return [l for l in must(['pg_dumpall', '-g']).split('\n') if 'restrict' not in l]


def strip(lines):
    """Without the extension, its books, and comments."""
    out, books = [], False
    for l in lines:
        books = books or l.startswith('COPY upg.')
        if l and not books and not re.search(r"EXTENSION.* upg\b|^--|^SELECT pg_catalog.setval\('upg\.", l):
            out.append(l)
        books = books and l != '\\.'
    return out


class Downs:
    def __init__(self, args):
        self.a = args
        self.base = args.db + '_base'
        self.count = dict(same=0, honest=0, WRONG=0, refused=0)
        self.tags = dict(exact=0, inexact=0, impossible=0)
        self.pessimistic = 0
        self.superuser = 0

    def admin(self, *sql):
        must(PSQL + ['postgres'] + [x for s in sql for x in ('-c', s)])

    def prepare(self):
        self.admin('DROP DATABASE IF EXISTS %s WITH (FORCE)' % self.base, 'CREATE DATABASE %s TEMPLATE template0' % self.base)
        must(PSQL + [self.base, '-c', 'CREATE EXTENSION upg', '-f', os.path.join(here, 'fixture.sql')])
        self.before = strip(dump(self.base))
        self.globals = globals_()

    def copy(self, name, of):
        self.admin('DROP DATABASE IF EXISTS %s WITH (FORCE)' % name, 'CREATE DATABASE %s TEMPLATE %s' % (name, of))

    def sql(self, db, text):
        p = os.path.join(self.a.work, 'case.sql')
        with open(p, 'w') as f:
            f.write(text)
        return command(PSQL + [db, '-A', '-t', '-v', 'VERBOSITY=verbose', '-f', p])

    def one(self, case):
        db = self.a.db
        self.copy(db, self.base)
        before = self.before
        if case.get('setup'):
            out, err = self.sql(db, case.get('setup').replace(';;', ';\n') + ';')
            if out is None:
                return 'refused', 'setup: ' + err
            before = strip(dump(db))
        have = globals_()
        tag = '$case$'
        out, err = self.sql(db, "SET client_min_messages = error;\nSELECT state FROM upg_apply('c', %s%s%s, NULL, '{}', '{\"undo\": \"required\"}');\n" % (tag, case.sql, tag))
        if out is None:
            return 'refused', err
        if 'queued' in out:
            out, err = self.sql(db, "CALL upg_wait('c', '60 s');")
        if case.get('between'):
            out, err = self.sql(db, case.get('between').replace(';;', ';\n') + ';')
            if out is None:
                return 'refused', 'between: ' + err
        out, err = self.sql(db, "SET client_min_messages = error;\nSELECT upg_down('c', true);")
        if out is None:
            return ('refused' if re.search(r'UP0(06|20|21|22|23)', err) else 'WRONG'), 'upg_down: ' + err
        script = os.path.join(self.a.work, 'down.sql')
        with open(script, 'w') as f:
            f.write(out)
        tags = re.findall(r'^-- (exact|inexact|impossible)\b', out, re.M)
        for t in tags:
            self.tags[t] += 1
        superuser = re.search(r'^-- Needs a superuser.*', out, re.M)
        self.superuser += bool(superuser)
        if superuser and self.a.verbose:
            print('         %s: %s' % (case.name, superuser.group(0)), flush=True)
        if case.get('between'):
            # an undo is good in its own database only, so the script runs in the copy
            self.copy(db + '_ref', db)
            done, err = self.sql(db, "SET client_min_messages = error;\nSELECT upg_rollback('c');\nDROP EXTENSION upg;")
            if done is None:
                return 'refused', 'upg_rollback: ' + err
            before = strip(dump(db))
            db += '_ref'
        must(PSQL + [db, '-c', 'SET client_min_messages = error', '-c', 'DROP EXTENSION upg'])
        done, err = command(PSQL + [db, '-f', script])
        if done is None:
            return 'WRONG', 'the script fails: ' + err
        found = differences(before, strip(dump(db))) + ([] if case.get('between') else differences(have, globals_()))
        honest = set(tags) - {'exact'}
        if not found:
            self.pessimistic += bool(honest)
            return 'same', ''
        return ('honest' if honest else 'WRONG'), ' | '.join(found[:12]) + ' ## ' + ' | '.join(
            re.findall(r'^-- ((?:inexact|impossible): .*)', out, re.M)[:6])

    def run(self):
        self.prepare()
        cases = []
        for f in self.a.files:
            for text in re.split(r'^-- case: ', open(f).read(), flags=re.M)[1:]:
                cases.append(Case(text))
        cases = [c for c in cases if not c.get('expect') and not c.get('undo')]
        if self.a.only:
            cases = [c for c in cases if any(o in c.name for o in self.a.only)]
        cases = cases[self.a.skip::max(self.a.sample, 1)]
        for case in cases:
            try:
                kind, why = self.one(case)
            finally:
                self.roles()
            self.count[kind] += 1
            if kind != 'same' or self.a.verbose:
                print('%-8s %s%s' % (kind, case.name, '\n         ' + ' '.join(why.split())[:1500] if why else ''), flush=True)
        for name in (self.a.db, self.a.db + '_ref', self.base):
            self.admin('DROP DATABASE IF EXISTS %s WITH (FORCE)' % name)
        tried = self.count['same'] + self.count['honest'] + self.count['WRONG']
        print('tags: ' + ', '.join('%s %d' % kv for kv in self.tags.items()) + '; scripts more modest than need be: %d; that set session_replication_role: %d' % (self.pessimistic, self.superuser))
        print('downs %d: same %d (%.1f%%), honest %d, wrong %d, refused %d' % (
            tried, self.count['same'], 100.0 * self.count['same'] / max(tried, 1), self.count['honest'], self.count['WRONG'], self.count['refused']), flush=True)
        return 1 if self.count['WRONG'] or self.count['same'] < 0.9 * tried or not tried else 0

    def roles(self):
        """Roles that a case left."""
        if globals_() == self.globals:
            return
        have = set(re.findall(r'^CREATE ROLE (\S+);', '\n'.join(globals_()), re.M))
        want = set(re.findall(r'^CREATE ROLE (\S+);', '\n'.join(self.globals), re.M))
        for db in (self.a.db, self.a.db + '_ref'):
            self.admin('DROP DATABASE IF EXISTS %s WITH (FORCE)' % db)
        for r in have - want:
            command(PSQL + ['postgres', '-c', 'DROP OWNED BY %s CASCADE' % r])
        for r in have - want:
            command(PSQL + ['postgres', '-c', 'DROP ROLE %s' % r])


ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument('files', nargs='+')
ap.add_argument('--db', default='upg_roundtrip')
ap.add_argument('--work', default=os.environ.get('TMPDIR', '/tmp'), help='directory for the scripts')
ap.add_argument('--sample', type=int, default=1, help='only every Nth case')
ap.add_argument('--skip', type=int, default=0, help='leave out the first so many')
ap.add_argument('--only', action='append', help='only cases whose name contains this; repeatable')
ap.add_argument('-v', '--verbose', action='store_true')
if __name__ == '__main__':
    sys.exit(Downs(ap.parse_args()).run())
