#!/usr/bin/env python3
"""cases.py: cases of migrations, each applied under capture, taken back, compared.

    cases.py [--every N] [--sample N] [--only TEXT] [--db NAME] FILE...

Each case runs on the same fixture (fixture.sql): applied in one session, rolled
back in another, every row of catalogs and tables compared, triggers and rules and
keys of the fixture tried (fire.sql); then the same again with VACUUM FREEZE in
between.  After every Nth case also pg_dump, globals, references between catalogs
and amcheck.  A case is SQL after a line "-- case: NAME" and these, all optional:

    -- setup: SQL      before it, outside of the capture
    -- expect: CODE    it is refused with this SQLSTATE, and nothing stays; "CODE until 15":
                       only by servers up to that one
    -- between: SQL    between apply and rollback, in another session
    -- undo: CODE TEXT the rollback is refused so, and changes nothing; what
                       stands in the way is then taken away by "clear", and it works
    -- clear: SQL
    -- after: SQL      after the rollback, to take back what setup and between did
    -- nothing: WHY    it leaves no trace
    -- fresh: WHY      setup and after do not meet, the fixture is made anew
"""
import argparse
import os
import re
import sys

from rtlib import PSQL, Dead, Session, command, differences, dump, error_of, globals_, look, must, quote

here = os.path.dirname(os.path.abspath(__file__))


class Failed(Exception):
    pass


class Case:
    def __init__(self, text):
        self.name, rest = text.split('\n', 1)
        self.head = {}
        while True:
            m = re.match(r'-- (setup|expect|between|undo|clear|after|nothing|fresh): (.*)\n', rest)
            if not m:
                break
            self.head[m.group(1)] = (self.head.get(m.group(1), '') + ' ' + m.group(2)).strip()
            rest = rest[m.end():]
        self.sql = rest

    def get(self, key):
        return self.head.get(key)

    def on(self, major):
        """Leave out what servers of this version do not refuse."""
        m = re.search(r' until (\d+)$', self.head.get('expect', ''))
        if m and major > int(m.group(1)):
            del self.head['expect']


class Cases:
    def __init__(self, args):
        self.a = args
        self.base = args.db + '_base'
        self.count = dict(exact=0, refused=0, wrong=0, failed=0)
        self.kinds = dict(back=0, refused_up_front=0, refused_undo=0)

    def prepare(self):
        must(PSQL + ['postgres', '-c', 'DROP DATABASE IF EXISTS %s' % self.base])
        must(PSQL + ['postgres', '-c', 'CREATE DATABASE %s TEMPLATE template0' % self.base])
        for sql in ('CREATE EXTENSION upg', 'CREATE SCHEMA amchk', 'CREATE EXTENSION amcheck SCHEMA amchk'):
            must(PSQL + [self.base, '-c', sql])
        for f in ('check.sql', 'oracle.sql', 'fire.sql', 'fixture.sql'):
            must(PSQL + [self.base, '-f', os.path.join(here, f)])
        self.fresh()
        self.globals = globals_()

    def fresh(self):
        """The fixture anew."""
        for s in getattr(self, 'sessions', []):
            s.close()
        must(PSQL + ['postgres', '-c', 'DROP DATABASE IF EXISTS %s WITH (FORCE)' % self.a.db])
        must(PSQL + ['postgres', '-c', 'CREATE DATABASE %s TEMPLATE %s' % (self.a.db, self.base)])
        self.sessions = self.A, self.B, self.C = [Session(self.a.db, os.environ) for _ in range(3)]
        self.C.run('SET jit = off;')
        for s in (self.A, self.B):
            # plans and caches that a rollback has to invalidate
            s.run('SELECT count(*) FROM rt.fire();')
        self.state = look(self.C, self.a.pages)
        self.fire = self.C.value('SELECT * FROM rt.fire();')
        self.dump = dump(self.a.db)

    def same(self, state, what):
        now = look(self.C, self.a.pages)
        changed = sorted(k for k in set(now) | set(state) if now.get(k) != state.get(k))
        if changed:
            raise Failed('%s: differ: %s %s' % (what, ', '.join(changed), ' | '.join(differences(self.dump, dump(self.a.db))[:12])))

    def plain(self, session, sql, what):
        if sql:
            for statement in sql.split(';;'):
                out = session.run(statement + '\n;')
                if error_of(out):
                    raise Failed('%s: %s' % (what, out))

    def discarding(self, session, sql):
        if self.a.discard:
            sql = 'SET debug_discard_caches = 1;\n%s\nRESET debug_discard_caches;' % sql
        return session.run(sql, 900)

    def capture(self, case):
        return self.discarding(self.A, 'SELECT verdict FROM upg.capture_run(%s, %s);' % (quote(case.name), quote(case.sql)))

    def undo(self, case):
        return self.discarding(self.B, 'SELECT count(*) FROM upg.capture_undo(%s);' % quote(case.name))

    def one(self, case, full):
        state = self.state
        if case.get('setup'):
            self.plain(self.C, case.get('setup'), 'setup')
            state = look(self.C, self.a.pages)
        for turn in range(1 if self.a.discard else 2):
            out = self.capture(case)
            error = error_of(out)
            if case.get('expect'):
                if not error:
                    raise Failed('was not refused')
                if error[0] != case.get('expect').split()[0]:
                    raise Failed('refused otherwise: ' + out)
                self.same(state, 'after the refusal')
                self.kinds['refused_up_front'] += 1
                break
            if error:
                raise Failed(('turn %d: ' % turn) + out)
            if turn == 0:
                after = look(self.C, self.a.pages)
                if (after == state) != bool(case.get('nothing')):
                    raise Failed('leaves no trace, or should leave none')
            self.plain(self.C, case.get('between'), 'between')
            if case.get('undo'):
                here = look(self.C, self.a.pages)
                out = self.undo(case)
                error = error_of(out)
                code, text = (case.get('undo') + ' ').split(' ', 1)
                if not error or code not in ('*', error[0]) or text.strip() not in out:
                    raise Failed('the rollback was not refused so: ' + out)
                self.same(here, 'after the refused rollback')
                self.plain(self.C, case.get('clear'), 'clear')
                self.kinds['refused_undo'] += turn == 0
                if not case.get('clear'):
                    raise Dead('beyond repair by intent')
            if not case.get('between') and (turn or full):
                self.plain(self.C, 'VACUUM FREEZE' if turn else 'VACUUM', 'vacuum')
            out = self.undo(case)
            if error_of(out):
                raise Failed(('rollback %d: ' % turn) + out)
            if case.get('between'):
                self.plain(self.C, case.get('after'), 'after')
            if not case.get('fresh'):
                self.same(self.state if case.get('between') and case.get('after') else state, 'turn %d' % turn)
            if case.get('setup') and case.get('between') and case.get('after') and turn == 0:
                self.plain(self.C, case.get('setup'), 'setup')
            self.kinds['back'] += turn == 0
        if not case.get('between'):
            self.plain(self.C, case.get('after'), 'after')
        if case.get('fresh'):
            return self.fresh()
        self.same(self.state, 'at the end')
        fire = self.C.value('SELECT * FROM rt.fire();')
        if fire != self.fire:
            raise Failed('acts otherwise: ' + ' | '.join(differences(self.fire.split('\n'), fire.split('\n'))[:10]))
        if full:
            found = differences(self.dump, dump(self.a.db))[:12]
            found += differences(self.globals, globals_())[:6]
            found += [l for l in self.C.run('SELECT * FROM rt.check();').split('\n') if l.strip()][:10]
            if found:
                raise Failed('in full: ' + ' | '.join(found))

    def run(self):
        self.prepare()
        cases, names = [], set()
        major = int(self.C.value('SHOW server_version_num;')) // 10000
        for f in self.a.files:
            for text in re.split(r'^-- case: ', open(f).read(), flags=re.M)[1:]:
                case = Case(text)
                if case.name in names:
                    raise SystemExit('two cases are named "%s"' % case.name)
                names.add(case.name)
                case.on(major)
                cases.append(case)
        if self.a.only:
            cases = [c for c in cases if self.a.only in c.name]
        cases = cases[self.a.skip:]
        if self.a.sample > 1:
            cases = cases[::self.a.sample]
        for number, case in enumerate(cases):
            full = self.a.every and number % self.a.every == self.a.every - 1 or number == len(cases) - 1
            try:
                self.one(case, full)
                self.count['exact'] += 1
                if self.a.verbose:
                    print('exact        ' + case.name, flush=True)
            except Failed as e:
                text = ' '.join(str(e).split())[:1500]
                kind = 'refused' if re.search(r'ERROR: UP02[01]', text) else 'wrong' if 'differ' in text or 'in full' in text else 'failed'
                self.count[kind] += 1
                print('%-12s %s\n             %s' % (kind, case.name, text), flush=True)
                self.roles()
                self.fresh()
            except Dead as e:
                if str(e) == 'beyond repair by intent':
                    self.count['exact'] += 1
                    if case.get('setup') or case.get('after'):
                        self.plain(self.C, case.get('after'), 'after')
                    self.fresh()
                    continue
                raise
        left = self.C.value("SELECT count(*) FROM pg_class WHERE relname ~ '^upg_kept_';")
        if left != '0':
            print('kept files left: ' + left)
            self.count['wrong'] += 1
        for s in self.sessions:
            s.close()
        must(PSQL + ['postgres', '-c', 'DROP DATABASE %s WITH (FORCE)' % self.a.db])
        must(PSQL + ['postgres', '-c', 'DROP DATABASE %s' % self.base])
        print('what they show: ' + ', '.join('%s %d' % (k.replace('_', ' '), v) for k, v in self.kinds.items()))
        print('cases %d: ' % len(cases) + ', '.join('%s %d' % kv for kv in self.count.items()), flush=True)
        return 1 if self.count['exact'] != len(cases) or not cases or left != '0' else 0

    def roles(self):
        """Roles that a failed case left."""
        have = set(re.findall(r'^CREATE ROLE (\S+);', '\n'.join(globals_()), re.M))
        want = set(re.findall(r'^CREATE ROLE (\S+);', '\n'.join(self.globals), re.M))
        for r in have - want:
            command(PSQL + [self.a.db, '-c', 'DROP OWNED BY %s CASCADE' % r])
        for r in have - want:
            command(PSQL + [self.a.db, '-c', 'DROP ROLE %s' % r])


ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument('files', nargs='+')
ap.add_argument('--db', default='upg_roundtrip')
ap.add_argument('--every', type=int, default=8, help='look at everything after every Nth case')
ap.add_argument('--sample', type=int, default=1, help='only every Nth case')
ap.add_argument('--pages', type=int, default=1000, help='compare tables up to this size by rows')
ap.add_argument('--discard', action='store_true', help='with debug_discard_caches = 1 around apply and rollback, once each')
ap.add_argument('--skip', type=int, default=0, help='leave out the first so many')
ap.add_argument('--only', help='only cases whose name contains this')
ap.add_argument('-v', '--verbose', action='store_true')
if __name__ == '__main__':
    sys.exit(Cases(ap.parse_args()).run())
