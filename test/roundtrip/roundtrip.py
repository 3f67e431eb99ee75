#!/usr/bin/env python3
"""roundtrip.py: apply each SQL file of a directory under capture, roll it back
from another session, compare, apply again; at the end roll the whole chain back.

    roundtrip.py [--db NAME] [--downs] [--no-seed] [--no-chain] [--limit N] PATH...

A PATH is a file, or a directory whose *.sql files (down files left out) are
taken in order.  The server is the one that PGHOST and friends name; it must
have the extensions upg and amcheck.  Exit 0: nothing was silently wrong and
nothing failed that should not.  One line per file that was not exact.
"""
import argparse, hashlib, os, re, subprocess, sys, time

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

def quote(text):
    tag = '$rt$'
    n = 0
    while tag in text:
        n += 1
        tag = '$rt%d$' % n
    return tag + text + tag

def dump(db, exclude=()):
    p = subprocess.run(['pg_dump', '-d', db, '-N', 'rt', '-N', 'amchk', *exclude],
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

def files_of(path):
    if os.path.isfile(path):
        return [path]
    found = []
    for root, dirs, names in os.walk(path):
        dirs.sort()
        for n in sorted(names):
            if n.endswith('.sql') and not re.search(r'(\bdown|\.undo|_down)\.sql$', n):
                found.append(os.path.join(root, n))
    def key(f):
        rel = os.path.relpath(f, path)
        m = re.match(r'\D{0,2}([\d-]+)', rel)
        return (int((m.group(1).replace('-', '') or '0')[:14]) if m else 0, rel)
    return sorted(found, key=key)

def unwrap(text):
    """Take off one outer BEGIN ... COMMIT, and the down half of a two-way file."""
    text = text.lstrip('\ufeff')
    m = re.search(r'^--\s*(migrate:down|\+goose\s+Down|\+migrate\s+Down)', text, re.M | re.I)
    if m:
        text = text[:m.start()]
    m = re.match(r'((?:\s|--[^\n]*\n|/\*.*?\*/)*)(BEGIN|START TRANSACTION)(\s+(WORK|TRANSACTION))?\s*;', text, re.I | re.S)
    e = re.search(r'\b(COMMIT|END)(\s+(WORK|TRANSACTION))?\s*;\s*((--[^\n]*)?\s*)*$', text, re.I)
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
    m = re.search(r'^--\s*(migrate:down|\+goose\s+Down|\+migrate\s+Down)[^\n]*\n', text, re.M | re.I)
    return text[m.end():] if m else None

class Run:
    def __init__(self, args):
        self.a = args
        self.db = args.db
        self.count = dict(exact=0, refused=0, unsupported=0, wrong=0, failed=0, script_error=0)
        self.chain = []
        self.downs = {'exact': 0, 'schema only': 0, 'schema differs': 0, 'fails': 0}
        self.lines = []

    def say(self, kind, name, text=''):
        self.count[kind] += 1
        if kind != 'exact' or self.a.verbose:
            print('%-12s %s  %s' % (kind, name, text[:1500]), flush=True)

    def capture(self, name, sql):
        out = psql(self.db, 'SET client_min_messages = error; SELECT verdict, capture_ms, proof_ms FROM upg.capture_run(%s, %s);' % (quote(name), quote(sql)))
        self.ms = [float(x) for x in out.strip().split('\n')[-1].split('\t')[1:3]]
        self.times.append(self.ms)

    def undo(self, name):
        return psql(self.db, 'SELECT * FROM upg.capture_undo(%s);' % quote(name))

    def check(self):
        return psql(self.db, 'SELECT * FROM rt.check();').strip()

    def link(self, name, sql, before):
        """Apply as a link of the chain; remember what was there before."""
        self.capture(name, sql)
        self.chain.append((name, before))

    def empty(self):
        psql(self.db, """DO $$ DECLARE t text; BEGIN
            SELECT string_agg(format('%I.%I', n.nspname, c.relname), ', ') INTO t
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind = 'r' AND n.nspname !~ '^(pg_|information_schema$|upg$|rt$|amchk$)'
              AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e');
            IF t IS NOT NULL THEN EXECUTE 'TRUNCATE ' || t || ' CASCADE'; END IF; END $$;""")

    def given_down(self, path, raw, before):
        """Up and down as people wrote them, in a copy of the database."""
        down = down_of(path, raw)
        if down is None:
            return
        copy = self.db + '_down'
        psql('postgres', 'DROP DATABASE IF EXISTS %s WITH (FORCE);' % copy)
        psql('postgres', 'CREATE DATABASE %s TEMPLATE %s;' % (copy, self.db))
        up = re.split(r'^--\s*(?:migrate:down|\+goose\s+Down|\+migrate\s+Down)', raw, flags=re.M | re.I)[0]
        try:
            psql(copy, up, ['-o', '/dev/null'])
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

    def one(self, path, name, before):
        raw = open(path, 'rb').read().decode('utf8', 'replace')
        sql = unwrap(raw)
        try:
            self.capture(name, sql)
        except SQLError as e:
            if e.code[:2] in ('23', '22') and self.a.seed and not self.emptied:
                # our rows, not the file, are at fault: once more on empty tables
                self.empty()
                self.chain = []
                self.emptied = True
                return self.one(path, name, dump(self.db))
            kind = None
            if e.code == '25001' and 'CONCURRENTLY' in sql.upper():
                # what a worker runs as steps of its own; here as one step, plainly
                plain = os.path.join('/tmp', 'rt-%d.sql' % os.getpid())
                with open(plain, 'w') as f:
                    f.write(re.sub(r'\bCONCURRENTLY\b', '', sql, flags=re.I))
                try:
                    return self.one(plain, name, before)
                finally:
                    os.unlink(plain)
            if e.code in ('UP020', 'UP021'):
                kind = 'refused'
            elif e.code in ('25001', '0A000', '2D000', '55P04', '42601') or 'transaction block' in e.message:
                kind = 'unsupported'
            try:
                psql(self.db, raw, ['-o', '/dev/null'])
            except SQLError as e2:
                if kind != 'refused':
                    self.say('script_error', name, str(e2))
                    return None
            self.say(kind or 'failed', name, e.text if kind in (None, 'refused') else str(e))
            return None
        after = dump(self.db)
        if self.a.vacuum:
            psql(self.db, 'VACUUM;')
        try:
            self.undo(name)
        except SQLError as e:
            self.say('failed', name, 'rollback: ' + e.text)
            return None
        back = dump(self.db)
        found = self.check() if self.a.check else ''
        if back != before:
            self.say('wrong', name, ' | '.join(difference(before, back)[:20]))
            return None
        if found:
            self.say('wrong', name, found)
            return None
        if self.a.downs:
            self.given_down(path, raw, before)
        try:
            self.link(name, sql, before)
        except SQLError as e:
            self.say('failed', name, 're-apply: ' + e.text)
            return None
        again = dump(self.db)
        if again != after:
            # values of clocks and random functions differ by nature
            d = [l for l in difference(after, again)]
            self.lines.append('re-apply of %s differs: %s' % (name, ' | '.join(d[:4])))
        self.say('exact', name)
        return again

    def prepare(self):
        psql('postgres', 'DROP DATABASE IF EXISTS %s; ' % self.db)
        psql('postgres', 'CREATE DATABASE %s TEMPLATE template0;' % self.db)
        psql(self.db, 'CREATE EXTENSION upg; CREATE SCHEMA amchk; CREATE EXTENSION amcheck SCHEMA amchk;')
        psql(self.db, open(os.path.join(here, 'check.sql')).read())

    def run(self):
        self.times = []
        files = []
        for p in self.a.paths:
            files += files_of(p)
        if self.a.limit:
            files = files[:self.a.limit]
        self.prepare()
        seed = open(os.path.join(here, 'seed.sql')).read()
        globals0 = globals_()
        first = before = dump(self.db)
        broken = False
        for i, path in enumerate(files):
            name = '%04d:%s' % (i + 1, os.path.relpath(path, self.a.paths[0] if os.path.isdir(self.a.paths[0]) else '.'))
            self.emptied = False
            after = self.one(path, name, before)
            if after is None:
                # the database went on without a link: the chain starts anew
                self.chain = []
                after = dump(self.db)
                first = after
            if self.a.seed:
                try:
                    self.link(name + '+seed', seed, after)
                    after = dump(self.db)
                except SQLError as e:
                    self.say('failed', name + '+seed', e.text)
            before = after
        if self.a.chain:
            total = len(self.chain)
            done = 0
            while self.chain:
                name, want = self.chain.pop()
                if done % 7 == 3:
                    psql(self.db, 'VACUUM;' if done % 2 else 'VACUUM FREEZE;')
                try:
                    self.undo(name)
                except SQLError as e:
                    self.say('failed', 'chain at ' + name, e.text)
                    break
                done += 1
                if done % self.a.every == 0 or not self.chain:
                    got = dump(self.db)
                    if got != want:
                        self.say('wrong', 'chain at ' + name, ' | '.join(difference(want, got)[:20]))
                        break
                    found = self.check()
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
        if self.a.downs:
            psql('postgres', 'DROP DATABASE IF EXISTS %s_down WITH (FORCE);' % self.db)
            n = sum(self.downs.values())
            print('given downs %d: ' % n + ', '.join('%s %d' % kv for kv in self.downs.items())
                  + (' (%.0f per cent exact)' % (100.0 * self.downs['exact'] / n) if n else ''))
        print('files %d: ' % len(files) + ', '.join('%s %d' % kv for kv in self.count.items()), flush=True)
        return 1 if self.count['wrong'] or self.count['failed'] else 0

ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument('paths', nargs='+')
ap.add_argument('--db', default='upg_roundtrip')
ap.add_argument('--no-seed', dest='seed', action='store_false')
ap.add_argument('--no-chain', dest='chain', action='store_false')
ap.add_argument('--no-check', dest='check', action='store_false')
ap.add_argument('--vacuum', action='store_true', help='VACUUM between apply and rollback')
ap.add_argument('--every', type=int, default=5, help='compare every Nth link of the chain')
ap.add_argument('--limit', type=int, default=0)
ap.add_argument('--downs', action='store_true', help='also run the down files that are there, and say how far they reach')
ap.add_argument('-v', '--verbose', action='store_true')
sys.exit(Run(ap.parse_args()).run())
