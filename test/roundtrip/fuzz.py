#!/usr/bin/env python3
"""fuzz.py: random migrations, applied, taken back from another session, compared.

    fuzz.py [--seeds A-B] [--minutes M] [--size N] [--out DIR] [--db NAME] [-v]
    fuzz.py --replay FILE [--shrink]

A scenario is a schema of random objects with rows, and a chain of one to five
migrations of random statements.  Each statement is tried beforehand and left out
if it fails, so a migration holds only what works.  Each migration is applied by
upg_apply(), taken back, applied again; in the end all are taken back, the latest
first.  Every time catalogs and rows must be what they were, by hashes with OIDs
and by pg_dump; what triggers, keys, rules and views do must be the same; in the
end globals, references between catalogs and amcheck are looked at.  Between the
links the tables are vacuumed, rewritten and analyzed, and in some scenarios an
application writes rows, none of which may be lost or invented.

What fails is shrunk (statements are left out while it still fails so) and
written to DIR, from where --replay runs it again.  The server needs
autovacuum=off.  Exit 0: nothing failed.
"""
import argparse
import collections
import json
import os
import random
import re
import sys
import time

from rtlib import Dead, Session, command, differences, dump, error_of, globals_, look, must, quote, PSQL
from fuzz_gen import KINDS, Gen
import fuzz_objects
import fuzz_rows
import fuzz_tables

here = os.path.dirname(os.path.abspath(__file__))
# what a migration may be refused for, by what its text says
RIGHTLY = [(r'\bnever matches\b', r'x')]
ROWS = {'insert_rows', 'update_rows', 'delete_rows', 'truncate', 'merge', 'upsert', 'move_rows', 'rewrite_rows', 'row_locks', 'comment', 'settings', 'grant'}
CARE = ['VACUUM', 'VACUUM FREEZE', 'VACUUM FULL', 'ANALYZE', 'REINDEX SCHEMA s1', 'REINDEX DATABASE {db}', 'CLUSTER', 'CHECKPOINT', 'VACUUM ANALYZE']


class Failure(Exception):
    """What should not be: a kind, and what tells it from others."""
    def __init__(self, kind, text, link=None):
        super().__init__(text)
        self.kind, self.text, self.link = kind, text, link

    def sign(self):
        text = re.sub(r'"[^"]*"|\$\$.*?\$\$|\d+', '#', self.text.split('\n')[0])
        return self.kind, re.sub(r'\b[a-z]+#(\.\w+#)?', '#', text)[:60]


class Rights(Exception):
    """What its owner did needs a superuser to be taken back: shared catalogs."""


class Scenario:
    """What is run: the base, and the links of the chain."""
    def __init__(self, seed=0, size=1.0):
        self.seed, self.size = seed, size
        self.base, self.links = [], []
        self.user = self.path = None
        self.rows = self.globals = False

    def to_json(self):
        return json.dumps(self.__dict__, indent=1)

    @staticmethod
    def from_json(text):
        s = Scenario()
        s.__dict__.update(json.loads(text))
        return s

    def copy(self):
        return Scenario.from_json(self.to_json())

    def count(self):
        return len(self.base) + sum(len(l['units']) + len(l['between']) for l in self.links)


class Fuzz:
    def __init__(self, args):
        self.a = args
        self.template = args.db + '_base'
        self.kinds = collections.Counter()
        self.n = collections.Counter()
        self.spent = collections.Counter()
        self.sessions = []
        self.deep = {}
        self.said = collections.Counter()

    # -- the database
    def prepare(self):
        must(PSQL + ['postgres', '-c', 'DROP DATABASE IF EXISTS %s WITH (FORCE)' % self.a.db])
        must(PSQL + ['postgres', '-c', 'DROP DATABASE IF EXISTS %s' % self.template])
        must(PSQL + ['postgres', '-c', 'CREATE DATABASE %s TEMPLATE template0' % self.template])
        for sql in ('CREATE EXTENSION upg', 'CREATE SCHEMA amchk', 'CREATE EXTENSION amcheck SCHEMA amchk'):
            must(PSQL + [self.template, '-c', sql])
        for f in ('check.sql', 'oracle.sql', 'fuzz.sql'):
            must(PSQL + [self.template, '-f', os.path.join(here, f)])
        self.roles()
        for role, more in (('fz_owner', 'LOGIN'), ('fz_a', ''), ('fz_b', '')):
            must(PSQL + ['postgres', '-c', 'CREATE ROLE %s %s' % (role, more)])
        must(PSQL + [self.template, '-c', 'GRANT upg_operator TO fz_owner; GRANT fz_a TO fz_owner; GRANT CREATE, USAGE ON SCHEMA public TO fz_owner, fz_a'])
        must(PSQL + [self.template, '-c', 'CREATE SCHEMA s1 AUTHORIZATION fz_owner; CREATE SCHEMA s2 AUTHORIZATION fz_owner'])
        self.shared_was = self.shared()

    def shared(self):
        """What scenarios could leave in catalogs that databases share."""
        return must(['psql', '-XAtq', '-d', 'postgres', '-c', """SELECT md5(string_agg(x::text, '' ORDER BY x::text)) FROM (SELECT a::text FROM pg_authid a
            UNION ALL SELECT (roleid, member, admin_option)::text FROM pg_auth_members UNION ALL SELECT p::text FROM pg_parameter_acl p
            UNION ALL SELECT s::text FROM pg_db_role_setting s UNION ALL SELECT d::text FROM pg_shdescription d) x"""])

    def roles(self, keep=()):
        """Drop the roles that we or a failed scenario left."""
        out = must(['psql', '-XAtq', '-d', 'postgres', '-c', "SELECT quote_ident(rolname) FROM pg_roles WHERE rolname ~ '^fz_'"])
        left = [r for r in out.split('\n') if r and r not in keep]
        for r in left:
            for db in (self.template, 'postgres'):
                command(PSQL + [db, '-c', 'DROP OWNED BY %s CASCADE' % r])
        for r in left:
            command(PSQL + ['postgres', '-c', 'DROP ROLE %s' % r])

    def leave(self):
        for s in self.sessions:
            s.close()
        self.sessions = []

    def fresh(self, s):
        self.leave()
        self.user = s.user
        must(PSQL + ['postgres', '-c', 'DROP DATABASE IF EXISTS %s WITH (FORCE)' % self.a.db])
        if self.shared() != self.shared_was:
            self.prepare()
        must(PSQL + ['postgres', '-c', 'CREATE DATABASE %s TEMPLATE %s' % (self.a.db, self.template)])
        env = dict(os.environ, PGOPTIONS='-c client_min_messages=error')
        mine = dict(env, PGUSER=s.user) if s.user else env
        # T tries, A applies, B takes back, C looks
        self.T, self.A, self.B = [Session(self.a.db, mine) for _ in range(3)]
        self.C = Session(self.a.db, env)
        self.sessions = [self.T, self.A, self.B, self.C]
        self.C.run('SET jit = off;')
        self.T.run("SET statement_timeout = '20s';")
        if s.path:
            self.B.run('SET search_path = %s;' % s.path)
            if not s.user:
                self.B.run("SET datestyle = 'SQL, DMY'; SET intervalstyle = 'iso_8601'; SET timezone = 'Asia/Tokyo'; SET bytea_output = 'escape'; SET extra_float_digits = -5;")

    def timed(self, what, call):
        start = time.time()
        try:
            return call()
        finally:
            self.spent[what] += time.time() - start

    def model(self):
        out = self.timed('model', lambda: self.T.run('SELECT rt.model();'))
        line = next((l for l in out.split('\n') if l.startswith('{')), None)
        if line is None:
            raise Failure('harness', 'no model: ' + out)
        return json.loads(line)

    def look(self):
        return self.timed('look', lambda: look(self.C, 1000))

    def rows(self, catalogs):
        """The rows of these catalogs, to tell which of them differ."""
        out = {}
        for name in catalogs:
            filter_ = self.C.value("SELECT filter FROM rt.oracle WHERE catalog = %s;" % quote(name))
            if filter_:
                out[name] = self.C.value('WITH hidden AS MATERIALIZED (TABLE rt.hidden) SELECT x::text FROM pg_catalog.%s x WHERE %s;' % (name, filter_)).split('\n')
        return out

    def dump(self):
        return self.timed('dump', lambda: dump(self.a.db))

    def act(self):
        out = self.timed('act', lambda: self.B.run('SELECT * FROM rt.act();'))
        if error_of(out):
            raise Failure('act', out)
        return [l for l in out.split('\n') if l]

    # -- statements
    def attempt(self, unit):
        """Try a unit inside of the transaction that is open in T."""
        out = self.timed('try', lambda: self.T.run('SAVEPOINT fz;\n' + ''.join(s + '\n;\n' for s in unit['s'])))
        if error_of(out):
            self.T.run('ROLLBACK TO fz;')
            return False
        self.T.run('RELEASE fz;')
        return True

    def generate(self, g, n):
        """n units that work, or as many as there are after so many tries."""
        units, names, changed = [], [k[0] for k in KINDS], False
        weights = [k[3] if g.base else k[2] for k in KINDS]
        g.look()
        g.focus = set()
        if not g.base:
            g.choose_focus()
        for _ in range(n * 4):
            if len(units) >= n:
                break
            at = g.r.choices(range(len(KINDS)), weights)[0]
            made = KINDS[at][1](g)
            if not made:
                continue
            unit = {'k': names[at], 's': [made] if isinstance(made, str) else made}
            self.n['tried'] += 1
            if self.attempt(unit):
                units.append(unit)
                self.kinds[names[at]] += 1
                self.n['statements'] += len(unit['s'])
                changed = changed or names[at] not in ROWS
                if changed and (not g.base or g.chance(0.6)):
                    g.look()
                    changed = False
        return units

    def trial(self, g, units, n):
        """The units of a migration that work, made by the generator or given."""
        values = self.C.value('SELECT rt.sequences();')
        self.T.run('BEGIN;')
        if units is None:
            units = self.generate(g, n)
        else:
            units = [u for u in units if self.attempt(u)]
        out = self.T.run('SET CONSTRAINTS ALL IMMEDIATE;')
        self.T.run('ROLLBACK;')
        self.C.value('SELECT rt.put_sequences(%s);' % quote(values))
        return [] if error_of(out) else units

    @staticmethod
    def text(units):
        return ';\n'.join(s for u in units for s in u['s']) + ';\n'

    # -- the parts of a scenario
    def make_base(self, s, g):
        if g:
            g.base = True
            for _ in range(6):
                self.T.run('BEGIN;')
                units = self.generate(g, int(5 * s.size) + 1)
                out = self.T.run('COMMIT;')
                if not error_of(out):
                    s.base += units
            g.base = False
        else:
            for unit in s.base:
                self.T.run('BEGIN;')
                self.attempt(unit)
                self.T.run('COMMIT;')

    def same(self, want, dumped, kind, link):
        now = self.look()
        changed = sorted(k for k in set(now) | set(want) if now.get(k) != want.get(k))
        found = differences(dumped, self.dump()) if dumped else []
        if changed and self.deep:
            here = self.rows(changed)
            found += [l for k in changed for l in differences(sorted(self.deep.get(k, [])), sorted(here.get(k, [])))]
        if changed or found:
            raise Failure(kind, 'differ: %s | %s' % (', '.join(changed), ' | '.join(found[:30])))

    def apply(self, name, units):
        out = self.timed('apply', lambda: self.A.run('SELECT state, undo FROM public.upg_apply(%s, %s);' % (quote(name), quote(self.text(units)))))
        self.n['applies'] += 1
        error = error_of(out)
        if error:
            if error[0] == 'UP021' and any(re.search(a, error[1]) and re.search(b, self.text(units)) for a, b in RIGHTLY):
                return 'refused'
            raise Failure('apply', '%s %s\n%s' % (error[0], error[1], out))
        if out.strip('\n') != 'applied\texact':
            raise Failure('apply', 'result: ' + out)
        return 'applied'

    def expect_rights(self, error, out):
        """A role that is no superuser may be refused what needs one, if that is said."""
        said = ('Only a superuser may', 'Let a superuser roll this', 'belongs to role "postgres"')
        if error[0] == '42501' and self.user and any(s in out for s in said):
            raise Rights()

    def take_back(self, name, options='{}'):
        out = self.timed('rollback', lambda: self.B.run("SELECT state FROM public.upg_rollback(%s, NULL, '%s');" % (quote(name), options)))
        self.n['rollbacks'] += 1
        error = error_of(out)
        if error:
            self.expect_rights(error, out)
            raise Failure('rollback', '%s %s\n%s' % (error[0], error[1], out))
        if out.strip('\n') != 'rolled_back':
            raise Failure('rollback', 'result: ' + out)

    def care(self, between):
        for sql in between:
            out = self.timed('care', lambda: self.C.run(sql.format(db=self.a.db) + ';'))
            # the schema may be gone; what nobody may cluster or index is not our fault
            if (error_of(out) or ['00'])[0][:2] in ('XX', '57', '58'):
                raise Failure('care', '%s: %s' % (sql, out))

    # -- rows that an application writes meanwhile
    def write(self, g, link, key):
        """Some transactions of an application; what fails is left out."""
        if g:
            g.look()
            g.application = True
            made = [fuzz_rows.application(g) for _ in range(g.r.randint(0, 6))]
            link[key] = [x for x in made if isinstance(x, str)]
            g.application = False
        for sql in link.get(key, []):
            if not error_of(self.C.run('SET statement_timeout = 9000; %s; RESET statement_timeout;' % sql)):
                self.n['application'] += 1

    def table_rows(self):
        out = self.timed('rows', lambda: self.C.value('SELECT * FROM rt.rows();'))
        tables = [json.loads(l) for l in out.split('\n') if l.startswith('{')]
        return {t['oid']: t for t in tables}

    def catalogs(self):
        """What hashes say, but for rows and values of sequences."""
        return {k: v for k, v in self.look().items() if '.' not in k and k != 'large objects'}

    @staticmethod
    def project(t, cols, generated):
        at = [i for i, c in enumerate(t['cols']) if c in cols and int(c.split()[0]) not in generated]
        return collections.Counter(tuple(r[i] for i in at) for r in t['rows'])

    def judge_rows(self, was, after, now, back, told):
        """Is every row there that was there before and that the application wrote, and no other?  Of tables in which the
        application changed or deleted rows, or with something told about them, only that none was invented."""
        for oid, t in was.items():
            if oid not in back:
                raise Failure('rows', 'table %s is not back' % t['q'])
            if oid not in now:
                want = collections.Counter(tuple(r) for r in t['rows'])
                got = collections.Counter(tuple(r) for r in back[oid]['rows'])
                if want != got:
                    raise Failure('rows', 'table %s that was dropped: missing %s, too many %s' % (t['q'], list(want - got)[:3], list(got - want)[:3]))
                continue
            if oid not in after:
                continue
            cols = set(t['cols']) & set(after[oid]['cols']) & set(now[oid]['cols']) & set(back[oid]['cols'])
            made = set(t['made'] + after[oid]['made'] + back[oid]['made'])
            w, a, n, b = [self.project(x[oid], cols, made) for x in (was, after, now, back)]
            gone, more = a - n, n - a
            missing, extra = w + more - b, b - (w + more)
            if gone or t['q'] in told:
                continue
            if missing or extra:
                raise Failure('rows', 'table %s: missing %s, too many %s' % (t['q'], list(missing)[:3], list(extra)[:3]))
            self.n['judged'] += 1

    def take_back_rows(self, name, link, stored):
        """Take back what an application has written into since; False if that is refused, rightly."""
        catalogs, was, after, self.deep = stored
        now = self.table_rows()
        look_was = self.look()
        out = self.timed('rollback', lambda: self.B.run("SELECT state FROM public.upg_rollback(%s, NULL, '%s');" % (quote(name), link.get('options', '{}'))))
        self.n['rollbacks'] += 1
        error = error_of(out)
        if error:
            self.expect_rights(error, out)
            if error[0] != 'UP022':
                raise Failure('rollback', '%s %s\n%s' % (error[0], error[1], out))
            if self.look() != look_was:
                raise Failure('rollback', 'refused, and changed something: ' + out)
            self.n['refused later'] += 1
            self.said[re.sub(r'"[^"]*"|\d+', '#', ' '.join(l for l in out.split('\n') if l.startswith('DETAIL')))[:110]] += 1
            self.last_refusal = out
            return False
        here = self.catalogs()
        changed = sorted(k for k in set(here) | set(catalogs) if here.get(k) != catalogs.get(k))
        if changed:
            found = []
            if self.deep:
                rows = self.rows(changed)
                found = [l for k in changed for l in differences(sorted(self.deep.get(k, [])), sorted(rows.get(k, [])))]
            raise Failure('after rows', 'differ: %s | %s' % (', '.join(changed), ' | '.join(found[:20])))
        told = set(self.C.value("SELECT DISTINCT table_name FROM public.upg_rollback_conflicts(%s);" % quote(name)).split('\n'))
        if 'discard' not in link.get('options', ''):
            self.judge_rows(was, after, now, self.table_rows(), told)
        return True

    def link_rows(self, s, number, link, g):
        """As link(), with an application that writes."""
        name = 'm%d' % number
        self.T.run('DISCARD ALL;')
        for turn in ('app1', 'app2'):
            catalogs, was = self.catalogs(), self.table_rows()
            if self.a.replay:
                self.deep = self.rows(catalogs)
            if turn == 'app2' and g is None and not self.attempt_all(link['units']):
                return None
            if turn == 'app2' and g and not self.attempt_all(link['units']):
                return None
            if self.apply(name, link['units']) == 'refused':
                return None
            self.n['migrations'] += turn == 'app1'
            stored = catalogs, was, self.table_rows(), self.deep
            if turn == 'app2':
                if g and g.chance(0.5):
                    link['put_back'] = True
                if link.get('put_back'):
                    out = self.B.run('SELECT count(*) FROM public.upg_put_back(%s);' % quote(name))
                    if error_of(out) and error_of(out)[0] not in ('UP022', 'UP006', 'UP009'):
                        raise Failure('put back', out)
            self.write(g, link, turn)
            self.care(link['between'] if turn == 'app1' else [])
            if turn == 'app1' and not self.take_back_rows(name, link, stored):
                return None
        return name, stored

    def attempt_all(self, units):
        """Do all of these still work?  The application's rows may stand in their way."""
        return len(self.trial(None, units, 0)) == len(units)

    def link(self, s, number, link):
        """Apply, take back, apply again; what was there before, or None if nothing was done."""
        name = 'm%d' % number
        self.T.run('DISCARD ALL;')
        before, dumped = self.look(), self.dump() if link['dump'] or not number else None
        if self.a.replay:
            self.deep = self.rows(before)
        acted = self.act() if link['act'] else None
        if self.apply(name, link['units']) == 'refused':
            self.same(before, dumped, 'refused', link)
            self.n['refused'] += 1
            return None
        self.n['migrations'] += 1
        after = self.dump() if link['dump'] else None
        self.care(link['between'])
        if link['dry']:
            was = self.look()
            out = self.B.run("SELECT state FROM public.upg_rollback(%s, NULL, '{\"dry_run\": true}');" % quote(name))
            if error_of(out):
                raise Failure('dry run', out)
            self.same(was, after, 'dry run', link)
        self.take_back(name)
        self.same(before, link['dump'] and dumped, 'after', link)
        if acted is not None:
            now = self.act()
            if now != acted:
                raise Failure('act', 'acts otherwise: ' + ' | '.join(differences(acted, now)[:10]))
        if self.apply(name, link['units']) != 'applied':
            raise Failure('again', 'refused')
        found = differences(after, self.dump()) if after else []
        if found and not re.search(r'now\(\)|random|gen_random|clock|lo_from|current_|lo_creat', self.text(link['units']) + ' '.join(after)):
            raise Failure('again', 'differ: ' + ' | '.join(found[:30]))
        return name, before, dumped, self.deep

    def execute(self, s, generating):
        """Run a scenario; while it is generated it is written into s."""
        self.fresh(s)
        g = Gen(s.seed, self.model) if generating else None
        number = 0
        try:
            self.make_base(s, g)
            globals_were = globals_() if s.globals else None
            stack, stuck = [], False
            total = g.one([1, 2, 3, 4, 4, 5, 5]) if g else len(s.links)
            for number in range(total):
                if g:
                    units = self.trial(g, None, max(1, int(g.one([1, 1, 2, 3, 4, 6, 8, 12, 15]) * s.size)))
                    link = {'units': units, 'options': g.one(['{}', '{}', '{"on_conflict": "discard"}']) if s.rows else '{}', 'between': g.some(CARE, 2) if g.chance(0.5) else [], 'dry': g.chance(0.2), 'act': g.chance(0.4),
                            'dump': g.chance(0.12)}
                    s.links.append(link)
                else:
                    link = dict(s.links[number], units=self.trial(None, s.links[number]['units'], 0))
                if not link['units']:
                    continue
                if s.rows:
                    done = self.link_rows(s, number, link, g)
                    if not done:
                        # it may still be applied
                        stack, stuck = [], True
                        break
                    stack.append((number, link, done))
                    continue
                done = self.link(s, number, link)
                if done:
                    stack.append((number, link, done))
                    if g and g.chance(0.5):
                        link['later'] = g.some(CARE, 2)
                    self.care(link.get('later', []))
            while stack:
                number, link, done = stack.pop()
                if s.rows:
                    if self.take_back_rows(done[0], link, done[1]):
                        continue
                    stuck = True
                    break
                name, before, dumped, self.deep = done
                self.take_back(name)
                self.same(before, dumped, 'chain', link)
            found = [l for l in self.C.run('SELECT * FROM rt.check();').split('\n') if l.strip()][:10]
            if found:
                raise Failure('check', ' | '.join(found))
            found = differences(globals_were, globals_()) if s.globals and not stuck else []
            if found:
                raise Failure('globals', ' | '.join(found[:6]))
            self.n['scenarios'] += 1
        except SystemExit as e:
            # a query of the harness itself, which reads every row
            raise Failure('reading', str(e), number)
        except Rights:
            self.n['for superusers'] += 1
            self.n['scenarios'] += 1
        except Dead as e:
            self.sessions = []
            self.revive()
            raise Failure('crash', str(e), number)
        except Failure as e:
            e.link = number
            raise

    def revive(self):
        for _ in range(60):
            if command(PSQL + ['postgres', '-c', 'SELECT 1'])[0] is not None:
                return
            time.sleep(1)

    # -- failures
    def fails_so(self, s, sign):
        try:
            self.execute(s, False)
        except Failure as e:
            return e.sign() == sign
        return False

    def shrink(self, s, failure, seconds):
        """Leave out what is not needed for it to fail so."""
        until = time.time() + seconds
        sign = failure.sign()
        s = s.copy()
        for l in s.links:
            l['dump'] = True
        if failure.link is not None:
            s.links = s.links[:failure.link + 1] or s.links
        if not self.fails_so(s, sign):
            return None

        def lists(x):
            yield lambda y: y.links
            for i in range(len(x.links)):
                yield lambda y, i=i: y.links[i]['units']
            yield lambda y: y.base
            for i in range(len(x.links)):
                for k in ('between', 'later'):
                    yield lambda y, i=i, k=k: y.links[i].get(k, [])
        again = True
        while again and time.time() < until:
            again = False
            for get in list(lists(s)):
                try:
                    size = max(1, len(get(s)) // 2)
                except IndexError:
                    continue
                while size and time.time() < until:
                    at = 0
                    while at < len(get(s)) and time.time() < until:
                        less = s.copy()
                        del get(less)[at:at + size]
                        if less.links and self.fails_so(less, sign):
                            s, again = less, True
                        else:
                            at += size
                    size //= 2
        return s

    def show(self, s):
        out = ['-- as %s, path %s, rows %s' % (s.user or 'superuser', s.path, s.rows)] + ['%s;' % x for u in s.base for x in u['s']]
        for i, l in enumerate(s.links):
            out += ['-- migration m%d%s' % (i, ' (dry run first)' if l['dry'] else '')] + ['%s;' % x for u in l['units'] for x in u['s']]
            out += ['-- between: %s; later: %s' % (l['between'], l.get('later'))]
        return '\n'.join(out) + '\n'

    def report(self, s, failure):
        self.n['failures'] += 1
        os.makedirs(self.a.out, exist_ok=True)
        stem = os.path.join(self.a.out, 'seed%d_%s' % (s.seed, failure.kind.replace(' ', '_')))
        print('seed %d: %s at link %s: %s' % (s.seed, failure.kind, failure.link, failure.text[:600].replace('\n', ' ')), flush=True)
        with open(stem + '.json', 'w') as f:
            f.write(s.to_json())
        small = self.shrink(s, failure, self.a.shrink) if self.a.shrink else None
        if small:
            with open(stem + '.small.json', 'w') as f:
                f.write(small.to_json())
            with open(stem + '.sql', 'w') as f:
                f.write('-- %s: %s\n' % (failure.kind, failure.text.replace('\n', '\n-- ')) + self.show(small))
            print('  shrunk from %d to %d units: %s.sql' % (s.count(), small.count(), stem), flush=True)
        else:
            print('  not shrunk: %s.json' % stem, flush=True)

    def scenario(self, seed):
        s = Scenario(seed, self.a.size)
        r = random.Random(seed * 7919)
        s.user = 'fz_owner' if r.random() < 0.2 else None
        s.globals = r.random() < 0.2
        s.rows = r.random() < self.a.rows
        s.path = r.choice([None, None, 'pg_catalog', 's2, s1', "''"])
        try:
            self.execute(s, True)
        except Failure as e:
            self.report(s, e)

    def run(self):
        self.prepare()
        if self.a.replay:
            s = Scenario.from_json(open(self.a.replay).read())
            try:
                self.execute(s, False)
                print('it does not fail')
                return 0
            except Failure as e:
                print('%s at link %s: %s' % (e.kind, e.link, e.text))
                if self.a.shrink_replay:
                    self.report(s, e)
                return 1
        first, last = (int(x) for x in (self.a.seeds + '-' + self.a.seeds).split('-')[:2])
        until = time.time() + self.a.minutes * 60
        began = time.time()
        for seed in range(first, last + 1):
            if time.time() > until:
                break
            self.scenario(seed)
            self.n['seeds'] += 1
            if self.a.verbose:
                print('seed %d done, %.1f s, %s' % (seed, time.time() - began, dict(self.n)), flush=True)
        self.leave()
        must(PSQL + ['postgres', '-c', 'DROP DATABASE IF EXISTS %s WITH (FORCE)' % self.a.db])
        must(PSQL + ['postgres', '-c', 'DROP DATABASE IF EXISTS %s' % self.template])
        self.roles()
        print('kinds: ' + ', '.join('%s %d' % kv for kv in sorted(self.kinds.items())))
        never = [k[0] for k in KINDS if not self.kinds[k[0]]]
        if never:
            print('never: ' + ', '.join(never))
        for text, n in self.said.most_common(25):
            print('refused since rows were written: %d x %s' % (n, text))
        print('seconds: ' + ', '.join('%s %.0f' % kv for kv in sorted(self.spent.items())) + ', in all %.0f' % (time.time() - began))
        print('seeds %d: ' % self.n['seeds'] + ', '.join('%s %d' % (k, self.n[k]) for k in
              ('scenarios', 'migrations', 'statements', 'tried', 'applies', 'rollbacks', 'refused', 'failures')), flush=True)
        return 1 if self.n['failures'] or not self.n['scenarios'] else 0


ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument('--seeds', default='1-1000000')
ap.add_argument('--minutes', type=float, default=1)
ap.add_argument('--size', type=float, default=1.0, help='how many statements, as a factor')
ap.add_argument('--out', default='build/fuzz', help='where reproducers are written')
ap.add_argument('--db', default='upg_fuzz')
ap.add_argument('--shrink', type=float, default=120, help='seconds spent on making a failing scenario smaller')
ap.add_argument('--replay', help='run the scenario in this file again')
ap.add_argument('--shrink-replay', action='store_true', help='and make it smaller')
ap.add_argument('--rows', type=float, default=0.3, help='share of scenarios in which an application writes')
ap.add_argument('-v', '--verbose', action='store_true')
if __name__ == '__main__':
    sys.exit(Fuzz(ap.parse_args()).run())
