#!/usr/bin/env python3
"""roundtrip.py: apply each SQL file of a directory under capture, roll it back
from another session, compare, apply again; at the end roll the whole chain back.

    roundtrip.py [--db NAME] [--first FILE] [--downs] [--no-seed] [--no-chain]
                 [--chain-only] [--from N] [--limit N] PATH...

A PATH is a file, or a directory whose *.sql files (down files left out) are
taken in order.  The server is the one that PGHOST and friends name; it must
have the extensions upg and amcheck.  Exit 0: nothing was silently wrong and
nothing failed that should not.  One line per file that was not exact.
"""
import argparse, os, re, subprocess, sys, time
from rtlib import Session, error_of, look, quote

here = os.path.dirname(os.path.abspath(__file__))

class SQLError(Exception):
    def __init__(self, text):
        self.text = text
        m = re.search(r'(?:ERROR|FATAL):\s+([0-9A-Z]{5}): (.*)', text)
        self.code = m.group(1) if m else '?????'
        self.message = m.group(2) if m else text.strip()
        super().__init__(self.code + ' ' + self.message)

def psql(db, sql, args=()):
    p = subprocess.run(['psql', '-X', '-q', '-A', '-t', '-F', '\t', '-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=verbose',
                        '-d', db, *args], input=sql.encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if p.returncode != 0:
        raise SQLError(p.stderr.decode('utf8', 'replace'))
    return p.stdout.decode('utf8', 'replace')

spent = {}

def timed(what):
    """Add up what a kind of work takes."""
    def wrap(f):
        def g(*args):
            start = time.time()
            try:
                return f(*args)
            finally:
                spent[what] = spent.get(what, 0) + time.time() - start
        return g
    return wrap

@timed('dump')
def dump(db):
    p = subprocess.run(['pg_dump', '-d', db, '-N', 'rt', '-N', 'amchk', '-N', 'upg'],
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if p.returncode != 0:
        raise SystemExit('pg_dump failed: ' + p.stderr.decode())
    out, block = [], None
    for line in p.stdout.decode('utf8', 'replace').split('\n'):
        if line.startswith('\\restrict') or line.startswith('\\unrestrict'):
            continue
        if block is not None:
            if line == '\\.':
                out += sorted(block) + [line]
                block = None
            else:
                block.append(line)
        else:
            out.append(line)
            if line.startswith('COPY ') and line.endswith(' FROM stdin;'):
                block = []
    return out

def globals_():
    p = subprocess.run(['pg_dumpall', '-g'], stdout=subprocess.PIPE, check=True)
    return [l for l in p.stdout.decode().split('\n') if 'restrict' not in l]

def difference(a, b):
    import difflib
    return [l for l in difflib.unified_diff(a, b, lineterm='', n=0) if not l.startswith(('---', '+++', '@@'))]

def for_postgres(name, names):
    """Of the same migration for several servers, the one for ours."""
    if re.search(r'\.(cockroach|mysql|mariadb|sqlite3?|mssql|oracle)\.', name):
        return False
    m = re.fullmatch(r'(.*?)((?:\.autocommit)?(?:\.up)?\.sql)', name)
    return '.postgres.' in name or m.group(1) + '.postgres' + m.group(2) not in names

def files_of(path):
    if os.path.isfile(path):
        return [path]
    found = []
    for root, dirs, names in os.walk(path):
        dirs.sort()
        for n in sorted(names):
            if n.endswith('.sql') and not re.search(r'(\bdown|\.undo|_down)\.sql$', n):
                found.append(os.path.join(root, n))
    names = {os.path.relpath(f, path) for f in found}
    found = [f for f in found if for_postgres(os.path.relpath(f, path), names)]
    def key(f):
        rel = os.path.relpath(f, path)
        if rel.endswith('/migration.sql'):
            return (0, rel)  # Prisma sorts by text
        m = re.match(r'\D{0,2}([\d-]+)', rel)
        digits = (m.group(1).replace('-', '') or '0')[:14] if m else '0'
        if m and len(digits) > 8 and re.match(r'\d{4}-\d\d-', m.group(1)):
            digits = digits.ljust(14, '0')  # a time that lacks digits
        return (int(digits), rel)
    return sorted(found, key=key)

DOWN = r'^--\s*(migrate:down|\+goose\s+Down|\+migrate\s+Down|//@UNDO)'

def up_of(text):
    """A two-way file without its down half."""
    m = re.search(DOWN, text.lstrip('\ufeff'), re.M | re.I)
    return text.lstrip('\ufeff')[:m.start()] if m else text.lstrip('\ufeff')

def unwrap(text):
    """Take off one outer BEGIN ... COMMIT, and the down half of a two-way file."""
    text = up_of(text)
    m = re.match(r'((?:\s|--[^\n]*\n|/\*.*?\*/)*)(BEGIN|START TRANSACTION)(\s+(WORK|TRANSACTION))?\s*;', text, re.I | re.S)
    e = re.search(r'\b(COMMIT|END)(\s+(WORK|TRANSACTION))?\s*;(\s|--[^\n]*(\n|$))*$', text, re.I)
    if m and e and e.start() > m.end():
        text = text[:m.end(1)] + text[m.end():e.start()]
    return text

def down_of(path, text):
    """The rollback that its author wrote: a file beside it, or its second half."""
    for up, down in ((r'\bup\.sql$', 'down.sql'), (r'\.up\.sql$', '.down.sql'), (r'_up\.sql$', '_down.sql'), (r'\.sql$', '.undo.sql'), (r'\.sql$', '.down.sql')):
        if re.search(up, path):
            other = re.sub(up, down, path)
            if os.path.exists(other):
                return open(other, 'rb').read().decode('utf8', 'replace')
    m = re.search(DOWN + r'[^\n]*\n', text, re.M | re.I)
    return text[m.end():] if m else None

class Run:
    def __init__(self, args):
        self.a = args
        self.db = args.db
        self.count = dict(exact=0, applied=0, refused=0, unsupported=0, wrong=0, failed=0, script_error=0)
        self.chain = []
        self.downs = {'exact': 0, 'schema only': 0, 'schema differs': 0, 'fails': 0}
        self.lines = []
        self.stepped = set()
        self.times = []
        self.sessions = {}

    def ask(self, which, sql):
        """One of three sessions: A applies, B rolls back, C looks."""
        if which not in self.sessions:
            self.sessions[which] = Session(self.db, dict(os.environ, PGOPTIONS='-c client_min_messages=error'))
        out = self.sessions[which].run(sql)
        if error_of(out):
            raise SQLError(out)
        return out.strip('\n')

    def leave(self):
        for session in self.sessions.values():
            session.close()
        self.sessions = {}

    def say(self, kind, name, text=''):
        self.count[kind] += 1
        if kind not in ('exact', 'applied') or self.a.verbose:
            print('%-12s %s  %s' % (kind, name, text[:1500]), flush=True)

    @timed('capture')
    def capture(self, name, sql):
        try:
            out = self.ask('A', 'SELECT verdict, capture_ms, proof_ms FROM upg.capture_run(%s, %s);' % (quote(name), quote(sql)))
            self.times.append([float(x) for x in out.split('\n')[-1].split('\t')[1:3]])
        finally:
            self.ask('A', 'DISCARD ALL;')

    @timed('undo')
    def undo(self, name):
        if name in self.stepped:
            return self.call(name, 'upg_rollback(%s)' % quote(name), 'rolled_back')
        return self.ask('B', 'SELECT * FROM upg.capture_undo(%s);' % quote(name))

    def call(self, name, call, wanted):
        """Apply or roll back by the books, and wait for the worker that a migration of several steps has."""
        self.ask('B', 'SELECT state FROM %s;' % call)
        until = time.time() + 600
        while True:
            state, error = self.ask('B', """SELECT state, coalesce(attempt->>'sqlstate', '') || ': ' || coalesce(attempt->>'message', '')
                FROM upg_migration_state(%s);""" % quote(name)).split('\t')[:2]
            if state == wanted:
                return
            if state not in ('queued', 'running') or time.time() > until:
                raise SQLError('ERROR:  %s (%s)' % (error, state))
            time.sleep(0.02)

    @timed('steps')
    def apply_steps(self, name, raw):
        """What one transaction cannot hold: as a user applies it."""
        self.stepped.add(name)
        self.call(name, 'upg_apply(%s, %s)' % (quote(name), quote(up_of(raw))), 'applied')

    @timed('check')
    def check(self, catalogs=True):
        return self.ask('C', 'SELECT * FROM rt.check(true, %s);' % catalogs)

    def differs(self, was):
        now = self.look() if was is not None else was
        return 'hashes: ' + ' '.join(k for k in {**was, **now} if was.get(k) != now.get(k)) if now != was else ''

    @timed('look')
    def look(self):
        """Hashes of all catalog rows, with their OIDs, and of all rows of tables."""
        return look(self.sessions['C'], 1000) if 'C' in self.sessions else (self.ask('C', ''), self.look())[1]

    def apply(self, name, raw):
        """As one captured step, or, if one transaction cannot hold it, in steps by a worker."""
        if name not in self.stepped:
            try:
                return self.capture(name, unwrap(raw))
            except SQLError as e:
                if e.code not in ('25001', '25P01', '2D000', '55P04') and 'transaction control' not in e.message:
                    raise
        self.apply_steps(name, raw)

    def withdraw(self, name):
        """The steps of a failed migration that are done."""
        if name in self.stepped:
            self.stepped.discard(name)
            if self.ask('B', 'SELECT state FROM upg_migration_state(%s);' % quote(name)) == 'partial':
                self.call(name, 'upg_rollback(%s)' % quote(name), 'rolled_back')

    def link(self, name, raw, before, was):
        """Apply as a link of the chain; remember what was there before, as far as it was looked at."""
        self.apply(name, raw)
        self.chain.append((name, before, was))

    def reset_sequences(self, was):
        """What fails under capture uses up values of sequences, as it does without."""
        now = self.look()
        for name in now:
            if name in was and was[name] != now[name] and re.fullmatch(r'-?\d+/(true|false)', was[name]):
                if self.ask('C', "SELECT relkind = 'S' FROM pg_class WHERE oid = to_regclass(%s);" % quote(name)) == 't':
                    value, called = was[name].split('/')
                    self.ask('C', 'SELECT setval(%s, %s, %s);' % (quote(name), value, called))

    def empty(self, name, before, was):
        """Give up our rows, as a link of the chain of its own."""
        self.link(name + '+empty', """DO $$ DECLARE t text; BEGIN
            SELECT string_agg(format('%I.%I', n.nspname, c.relname), ', ') INTO t
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind = 'r' AND n.nspname !~ '^(pg_|information_schema$|upg$|rt$|amchk$)'
              AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e');
            PERFORM set_config('session_replication_role', 'replica', true); -- no trigger has a say in it
            IF t IS NOT NULL THEN EXECUTE 'TRUNCATE ' || t || ' CASCADE'; END IF; END $$;""", before, was)
        self.emptied = name + '+empty'

    def given_down(self, path, raw):
        """Up and down as people wrote them, in a copy of the database."""
        down = down_of(path, raw)
        if down is None:
            return
        copy = self.db + '_down'
        self.leave()
        psql('postgres', 'DROP DATABASE IF EXISTS %s WITH (FORCE);' % copy)
        while True:
            try:
                psql('postgres', 'CREATE DATABASE %s TEMPLATE %s;' % (copy, self.db))
                break
            except SQLError as e:
                if e.code != '55006':  # a worker that is about to leave
                    raise
        before = dump(copy)
        try:
            psql(copy, up_of(raw), ['-o', '/dev/null'])
        except SQLError:
            return
        try:
            psql(copy, down, ['-o', '/dev/null'])
        except SQLError:
            self.downs['fails'] += 1
            return
        back = dump(copy)
        rows = lambda d: re.sub(r'(?ms)^COPY .*?^\\\.$', '', '\n'.join(d))
        if back == before:
            self.downs['exact'] += 1
        elif rows(back) == rows(before):
            self.downs['schema only'] += 1
        else:
            self.downs['schema differs'] += 1

    def bare(self, raw):
        """As psql applies it."""
        try:
            psql(self.db, up_of(raw), ['-o', '/dev/null', '-1'])
        except SQLError as e:
            if e.code != '25001':
                raise
            psql(self.db, up_of(raw), ['-o', '/dev/null'])

    def one(self, path, name, before, was):
        raw = open(path, 'rb').read().decode('utf8', 'replace')
        try:
            self.apply(name, raw)
        except SQLError as e:
            try:
                self.withdraw(name)
            except SQLError as e2:
                self.say('failed', name, e.text + 'and the steps done stay: ' + e2.text)
                return None
            self.reset_sequences(was)
            if self.a.seed and not self.emptied and (e.code[:2] in ('22', '23') or e.code == 'P0001'
                                                     or e.code == '42601' and 'at or near' not in e.message):
                # our rows, not the file, are at fault: once more on empty tables
                try:
                    if self.differs(was):
                        self.say('wrong', name, 'what failed left ' + self.differs(was))
                        return None
                    self.empty(name, before, was)
                except SQLError as e2:
                    self.say('failed', name + '+empty', e2.text)
                    return None
                return self.one(path, name, dump(self.db) if before else None, self.look())
            kind = 'failed'
            if e.code in ('UP020', 'UP021'):
                kind = 'refused'
            elif e.code in ('25001', '0A000', '2D000', '55P04', '42601') or 'transaction block' in e.message:
                kind = 'unsupported'
            try:
                self.bare(raw)
            except SQLError as e2:
                if kind != 'refused':
                    self.say('script_error', name, str(e2) if e2.message == e.message else '%s; under capture: %s' % (e2, e))
                    return None
            self.say(kind, name, str(e) if kind == 'unsupported' else e.text)
            self.emptied = ''  # psql went on from there
            return None
        self.emptied = ''
        if self.a.chain_only:
            self.chain.append((name, before, was))
            self.say('applied', name)
            return dump(self.db) if before else None
        after = dump(self.db) if before else None
        if self.a.vacuum:
            psql(self.db, 'VACUUM;')
        try:
            self.undo(name)
        except SQLError as e:
            self.say('failed', name, 'rollback: ' + e.text)
            return None
        # where every catalog row is as it was, no reference can have gone astray
        found = self.differs(was) or self.check(before is not None)
        back = dump(self.db) if before else None
        if back != before:
            self.say('wrong', name, ' | '.join(difference(before, back)[:20]))
            return None
        if found:
            self.say('wrong', name, found)
            return None
        if self.a.downs:
            self.given_down(path, raw)
        try:
            self.link(name, raw, before, was)
        except SQLError as e:
            self.say('failed', name, 're-apply: ' + e.text)
            return None
        again = dump(self.db) if before else None
        if again != after:
            # values of clocks and random functions differ by nature
            self.lines.append('re-apply of %s differs: %s' % (name, ' | '.join(difference(after, again)[:4])))
        self.say('exact', name)
        return again

    def prepare(self):
        psql('postgres', 'DROP DATABASE IF EXISTS %s; ' % self.db)
        psql('postgres', 'CREATE DATABASE %s TEMPLATE template0;' % self.db)
        psql(self.db, 'CREATE EXTENSION upg; CREATE SCHEMA amchk; CREATE EXTENSION amcheck SCHEMA amchk;')
        for part in ('check.sql', 'oracle.sql'):
            psql(self.db, open(os.path.join(here, part)).read(), ['-o', '/dev/null'])
        if self.a.first:
            psql(self.db, open(self.a.first).read(), ['-o', '/dev/null'])

    def run(self):
        files = []
        for p in self.a.paths:
            files += files_of(p)
        if self.a.limit:
            files = files[:self.a.limit]
        self.prepare()
        seed = open(os.path.join(here, 'seed.sql')).read()
        globals0 = globals_()
        began = time.time()
        for path in files[:self.a.start - 1]:
            self.bare(open(path, 'rb').read().decode('utf8', 'replace'))
        before = dump(self.db)
        was = self.look()
        for i, path in enumerate(files[self.a.start - 1:], self.a.start - 1):
            name = '%04d:%s' % (i + 1, os.path.relpath(path, self.a.paths[0] if os.path.isdir(self.a.paths[0]) else '.'))
            self.emptied = ''
            self.number = i + 1
            after = self.one(path, name, before, was)
            if (not self.chain or self.chain[-1][0] not in (name, self.emptied)) and self.look() != was:
                # the database went on without a link: the chain starts anew
                if self.chain:
                    print('chain starts anew after %s, %d links so far' % (name, len(self.chain)), flush=True)
                self.chain = []
            if self.a.seed:
                try:
                    self.link(name + '+seed', seed, after, None)
                except SQLError as e:
                    self.say('failed', name + '+seed', e.text)
            before = dump(self.db) if self.number % self.a.every == 0 else None
            settings, was = was.get('pg_db_role_setting'), self.look()
            if was.get('pg_db_role_setting') != settings:
                self.leave()  # a session has the settings of its start
        if self.a.chain:
            total = len(self.chain)
            done = since = 0
            while self.chain:
                name, want, was = self.chain.pop()
                if done % 7 == 3:
                    psql(self.db, 'VACUUM;' if done % 2 else 'VACUUM FREEZE;')
                try:
                    self.undo(name)
                except SQLError as e:
                    self.say('failed', 'chain at ' + name, e.text)
                    break
                done += 1
                since += 1
                found = self.differs(was)
                if want is not None and (since >= self.a.every or not self.chain):
                    since = 0
                    got = dump(self.db)
                    found = ' | '.join(difference(want, got)[:20]) or found or self.check()
                if found:
                    self.say('wrong', 'chain at ' + name, found)
                    break
            print('chain: %d of %d links rolled back' % (done, total))
            if done == total and not self.count['refused'] + self.count['unsupported'] + self.count['failed'] + self.count['script_error']:
                if globals_() != globals0:
                    self.say('wrong', 'globals', ' | '.join(difference(globals0, globals_())[:10]))
        for l in self.lines[:20]:
            print(l[:400])
        if self.times:
            c = sorted(t[0] for t in self.times)
            p = sorted(t[1] for t in self.times)
            print('capture ms median %.1f max %.1f; proof ms median %.1f max %.1f' % (c[len(c) // 2], c[-1], p[len(p) // 2], p[-1]))
        print('seconds: ' + ', '.join('%s %.0f' % kv for kv in sorted(spent.items())) + ', in all %.0f' % (time.time() - began)
              + ('; %d files in steps' % len(self.stepped) if self.stepped else ''))
        if self.a.downs:
            psql('postgres', 'DROP DATABASE IF EXISTS %s_down WITH (FORCE);' % self.db)
            n = sum(self.downs.values())
            print('given downs %d: ' % n + ', '.join('%s %d' % kv for kv in self.downs.items())
                  + (' (%.0f per cent exact)' % (100.0 * self.downs['exact'] / n) if n else ''))
        print('files %d: ' % (len(files) - self.a.start + 1) + ', '.join('%s %d' % kv for kv in self.count.items()), flush=True)
        return 1 if self.count['wrong'] or self.count['failed'] else 0

ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument('paths', nargs='+')
ap.add_argument('--db', default='upg_roundtrip')
ap.add_argument('--no-seed', dest='seed', action='store_false')
ap.add_argument('--no-chain', dest='chain', action='store_false')
ap.add_argument('--chain-only', action='store_true', help='only apply, and roll the whole chain back at the end')
ap.add_argument('--vacuum', action='store_true', help='VACUUM between apply and rollback')
ap.add_argument('--every', type=int, default=5, help='compare dumps, too, of every Nth file, and of the chain at about every Nth link; hashes of all rows at each')
ap.add_argument('--first', help='a file that makes what the migrations expect: roles, schemas, functions')
ap.add_argument('--limit', type=int, default=0)
ap.add_argument('--from', dest='start', type=int, default=1, help='apply the files before the Nth with psql, without looking')
ap.add_argument('--downs', action='store_true', help='also run the down files that are there, and say how far they reach')
ap.add_argument('-v', '--verbose', action='store_true')
sys.exit(Run(ap.parse_args()).run())
