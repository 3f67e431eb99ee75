#!/usr/bin/env python3
"""regression.py: PostgreSQL's own regression scripts, statement by statement.

    regression.py [options] DIRECTORY [SCRIPT...]

DIRECTORY is src/test/regress of a server's sources of the same major version.
Each script runs in a database of its own, made from one that holds what
test_setup.sql makes.  A group is a statement, or what stands between BEGIN and
COMMIT.  Each group that writes anything is run under capture in one session,
rolled back in another, compared, and run again plainly in the first, which has
to work.  Compared is every row of the catalogs, shared ones included, and of the
tables, of which only what was written since is read again (oracle.py).  After every
Nth group (--every), at the end and wherever something differs, all of it is read,
with references between catalogs and amcheck; pg_dump runs around every Nth (--dump).

Not groups: statements that change no row, that no transaction can hold, and
blocks that are rolled back or hold savepoints.  Lines of KNOWN (known.tsv: script,
number of the group or *, expression on what is printed, reason) are counted apart.

At the end: what is refused or known, by reason.

Exit 0: nothing that is not known, at least --least per cent exact.
"""
import argparse
import fcntl
import os
import re
import subprocess
import sys
import time

import psqlscript
from oracle import Oracle
from rtlib import Dead, Session, command, differences, dump, error_of, look, quote

here = os.path.dirname(os.path.abspath(__file__))
NEEDS = {
    'multirangetypes': ['rangetypes'], 'aggregates': ['create_aggregate'], 'join': ['create_misc'],
    'psql': ['create_am'], 'select_views': ['create_view'], 'with': ['create_misc'],
    'inherit': ['create_misc'], 'updatable_views': [], 'rules': [], 'hash_index': [],
    'alter_table': ['create_index'], 'cluster': [], 'object_address': [], 'create_view': ['create_index'],
    'alter_generic': [], 'drop_operator': ['create_operator'], 'alter_operator': ['create_operator'],
    'polymorphism': ['create_aggregate'], 'geometry': ['point', 'lseg', 'line', 'box', 'path', 'polygon', 'circle'],
    'sanity_check': ['create_index'], 'typed_table': [], 'triggers': ['create_misc'], 'misc': ['create_misc'],
    'plpgsql': [], 'create_index': ['create_misc'], 'select_parallel': ['create_misc'], 'stats': ['create_index'],
}
# the first is in the database that all others begin with; the others test psql, not the server
SKIP = set('test_setup psql psql_crosstab'.split())
PLAIN = set('''set reset show declare fetch close move prepare deallocate vacuum checkpoint listen unlisten
    discard load savepoint release rollback abort commit end lock'''.split())
PROBE = set('select values table with execute explain ( call'.split())


def first_word(text):
    m = re.match(r'\s*(\(|\w+)', text)
    return m.group(1).lower() if m else ''


class Script:
    def __init__(self, run, name):
        self.run_, self.name, self.a = run, name, run.a
        self.db = run.a.db
        self.count = dict.fromkeys('exact refused known unexplained inexact conflict wrong crash again'.split(), 0)
        self.other = dict(nothing=0, same_error=0, not_one_step=0, plain=0)
        self.group = 0
        self.branches = []
        self.since_check = self.since_dump = 0

    def open(self):
        self.run_.database(self.db, self.run_.template(NEEDS.get(self.name, [])))
        self.A = Session(self.db, self.run_.env)
        self.B = Session(self.db, os.environ)
        self.C = Session(self.db, os.environ)
        self.C.run('SET jit = off;')
        self.oracle = Oracle(self.C, self.a.pages)
        self.state = self.look()

    def look(self):
        if self.A.posted:
            self.A.run('')
        return self.oracle.look()

    def say(self, kind, text, detail):
        line = '%s:%d %s' % (self.name, self.group, ' '.join(text.split())[:self.a.width])
        detail = ' '.join(detail.split())[:1200]
        why = self.run_.known(self.name, kind, line + ' ' + detail)
        if why:
            known = 'refused' if kind == 'refused' else 'known'
            self.count[known] += 1
            self.run_.reasons.setdefault((known, why), []).append('%s:%d' % (self.name, self.group))
            if self.a.verbose:
                print('%-12s %s\n             %s' % (known, line, why), flush=True)
            return
        if kind == 'refused':
            kind = 'unexplained'
        self.count[kind] += 1
        print('%-12s %s\n             %s' % (kind, line, detail), flush=True)

    def reconnect(self):
        for s in (self.A, self.B, self.C):
            s.p.kill()
            s.p.wait()
        for _ in range(120):
            out, err = command(['psql', '-X', '-d', 'postgres', '-c', 'SELECT 1'])
            if out:
                break
            time.sleep(0.5)
        for s in (self.A, self.B, self.C):
            s.start()
        self.C.run('SET jit = off;')
        self.oracle.forget()

    def plain(self, text):
        return self.A.run(text + ('' if text.startswith('\\') else '\n;'))

    def variables(self, text):
        """Put in the values of psql's variables."""
        def value(m):
            if m.group(1):
                return m.group(0)
            name = m.group(3)
            out = self.A.run('\\echo :' + name).strip('\n')
            if out == ':' + name:
                return m.group(0)
            if m.group(2) == "'":
                return "'" + out.replace("'", "''") + "'"
            if m.group(2) == '"':
                return '"' + out.replace('"', '""') + '"'
            return out
        if ':' not in text:
            return text
        return re.sub(r"""(?<![:\w])(?:('(?:[^']|'')*')|:(['"]?)([A-Za-z_]\w*)(?:\2))""", value, text)

    def prepared(self):
        """Are there prepared transactions?  What needs a lock on every table would wait for them."""
        return self.two_phase and self.C.value('SELECT count(*) FROM pg_prepared_xacts WHERE database = current_database();') != '0'

    def full(self, before, text):
        """Everything that is too slow for each group; before: dump to compare with."""
        if self.prepared():
            return []
        self.since_check = 0
        found = []
        if before is not None:
            self.since_dump = 0
            found = dump(self.db)
            # temporary objects that live move others about in a dump
            found = [] if sorted(found) == sorted(before) else differences(before, found)[:12]
        self.state, unlogged = self.oracle.cold()
        if unlogged:
            found.append('written without log: ' + ', '.join(unlogged))
        out = self.C.run('SELECT * FROM rt.check();')
        found += [l for l in out.split('\n') if l.strip()][:6]
        return found

    def one(self, script, again, opening=None):
        """A group: script as one text, again as what runs it plainly; opening: the BEGIN, if it says how."""
        self.group += 1
        number = '%s:%d' % (self.name, self.group)
        if self.a.group and self.group not in self.a.group:
            for t in again:
                self.plain(t)
            return
        if self.a.group:
            # those before it ran plainly
            self.state = self.look()
        self.since_check += 1
        self.since_dump += 1
        nth = self.a.every and self.since_check >= self.a.every and not self.prepared()
        before = dump(self.db) if self.a.dump and self.since_dump >= self.a.dump and not self.prepared() else None
        call = ('SELECT verdict, catalog_rows + data_rows FROM upg.capture_run(%s, %s, %s);'
                % (quote(number), quote(script), quote(self.a.mode)))
        self.discard(self.A, 1)
        out = self.A.run('%s;\n%s\nCOMMIT;' % (opening, call) if opening else call)
        self.discard(self.A, 0)
        error = error_of(out)
        if error:
            if self.a.trace:
                print('  error', number, error)
            plain = ''
            for t in again:
                plain += self.plain(t)
            other = error_of(plain)
            if error[0] == 'UP021' and other:
                # nothing to refuse
                self.other['same_error'] += 1
            elif error[0] in ('UP020', 'UP021'):
                self.say('inexact' if error[0] == 'UP020' else 'refused', script, out)
            elif other:
                self.other['same_error'] += 1
                if other[0] != error[0] and error[0].startswith(('UP', 'XX')):
                    self.say('inexact', script, 'another error: %s, plainly %s' % (error, other))
                if other[0] != error[0] or re.search(r'\bconcurrently\b', script, re.I):
                    # what runs plainly in several transactions leaves some of itself when it fails
                    self.state = self.look()
                else:
                    # what failed may have used up values of a sequence
                    self.state.update(self.sequences())
                return
            elif error[0] in ('25001', '0A000', '2D000', '25P01', '55P04', '42601', '42501'):
                self.other['not_one_step'] += 1
                if self.a.verbose:
                    print('not one step %s %s %s' % (number, ' '.join(script.split())[:100], error))
            else:
                self.say('inexact', script, 'only under capture: ' + out)
            self.state = self.look()
            return
        row = [l for l in out.split('\n') if l.count('\t') == 1]
        verdict, rows = (row[-1].split('\t') + ['0'])[:2] if row else ('?', '0')
        self.discard(self.B, 1)
        back = self.B.run('SELECT count(*) FROM upg.capture_undo(%s);' % quote(number))
        self.discard(self.B, 0)
        error = error_of(back)
        if error:
            self.say('conflict', script, back)
            self.state = self.look()
            return
        now = self.look()
        if set(self.state) - set(now):
            # a table that was emptied again keeps its pages, and is now too large to be looked at
            large = look(self.C, 1 << 20)
            now.update((k, large[k]) for k in set(self.state) - set(now) if k in large)
        changed = sorted(k for k in set(now) | set(self.state) if now.get(k) != self.state.get(k))
        if changed or nth or before is not None:
            found = self.full(before, script)
            if changed:
                found.append('hashes: ' + ', '.join(changed))
            if found:
                self.say('wrong', script, ' | '.join(found))
                for t in again:
                    self.plain(t)
                self.state = self.look()
                return
        sequence = re.search(r'\b(next|set)val\b', script, re.I)
        if rows == '0' and not sequence and not re.search(r'\bset\b', script, re.I):
            # nothing, or temporary objects, which no rollback brings back
            self.other['nothing'] += 1
            self.state = now
            return
        plain = ''
        for t in again:
            plain += self.plain(t)
        error = error_of(plain)
        if error and rows != '0' and not re.search(r'\btemp(orary)?\b', script, re.I):
            self.say('again', script, plain)
        elif rows == '0' and not sequence:
            self.other['nothing'] += 1
        else:
            self.count['exact'] += 1
        self.state = self.look() if rows != '0' or error or sequence else now

    def discard(self, session, on):
        if self.a.discard:
            session.run('SET debug_discard_caches = %d;' % on)

    def sequences(self):
        out = self.C.value("SELECT * FROM rt.data(-1);")
        return dict(l.split('\t', 1) for l in out.split('\n') if '\t' in l)

    def writes(self, text):
        """Does a query write?  It runs, and what it wrote is rolled back."""
        if re.search(r'\b(next|set)val\b', text, re.I):
            return True
        out = self.A.run('BEGIN;\n%s\n;\n\\set upg_wrote false\nSELECT pg_current_xact_id_if_assigned() IS NOT NULL AS upg_wrote \\gset\n'
                         '\\if :upg_wrote\nROLLBACK;\n\\warn @@WROTE\n\\else\nCOMMIT;\n\\endif' % text)
        return '@@WROTE' in out

    def copy_file(self, text, data):
        """COPY from a file instead of from the client."""
        path = os.path.join(self.run_.tmp, 'copy-%d-%d' % (os.getpid(), self.group))
        with open(path, 'w', encoding='utf8', errors='surrogateescape') as f:
            f.write(data)
        os.chmod(path, 0o644)
        return re.sub(r'\bfrom\s+std(in|out)\b', "FROM '%s'" % path, text, count=1, flags=re.I)

    def branch(self, it):
        """Is this \\if, \\elif, \\else or \\endif?  Then which branch runs is decided here,
        as psql would not answer in one that does not run."""
        m = re.match(r'\\(if|elif|else|endif)\b(.*)', it.text) if it.kind == 'meta' else None
        if not m:
            return False
        word, condition = m.groups()
        outer = self.branches[:-1] if word != 'if' else self.branches
        if word == 'endif':
            self.branches.pop()
            return True
        before = self.branches.pop() if word != 'if' else 'waits'
        if before != 'waits' or not all(b == 'runs' for b in outer):
            self.branches.append('done')
        elif word == 'else' or '@@TRUE' in self.A.run('\\if %s\n\\warn @@TRUE\n\\endif' % condition):
            self.branches.append('runs')
        else:
            self.branches.append('waits')
        return True

    def item(self, it):
        if it.kind == 'meta':
            if re.match(r'\\set\s+(VERBOSITY|SHOW_CONTEXT|HIDE_TABLEAM|ON_ERROR_STOP|QUIET)\b', it.text):
                # errors are read from what psql prints
                return
            if re.match(r'\\(set|unset|gexec|gset|getenv|c|connect|pset|a|t|x|copy|i|ir)\b', it.text):
                self.plain(it.text)
                if it.text.startswith('\\pset') or re.match(r'\\(a|t|x)\b', it.text):
                    self.A.run('\\pset format unaligned\n\\pset tuples_only on\n\\pset expanded off\n\\pset fieldsep \'\\t\'\n\\pset null \'\'')
                if re.match(r'\\(c|connect|copy)\b', it.text):
                    self.state = self.look()
            return
        if it.kind == 'gmeta':
            self.A.run(it.text + ' ' + it.extra)
            self.other['plain'] += 1
            self.state = self.look()
            return
        word = first_word(it.text)
        text = self.variables(it.text)
        if it.kind == 'copy':
            text = self.copy_file(text, it.extra)
            return self.one(text, [text])
        if word in PLAIN or word in ('analyze',) or re.match(r'reindex\s+(\([^)]*\)\s*)?(database|system)|(create|drop)\s+database|alter\s+system', text, re.I):
            self.other['plain'] += 1
            self.A.post(text + '\n;')
            if word in ('vacuum', 'create', 'drop') or re.match(r'(commit|rollback)\s+prepared\b', text, re.I):
                # a table may be small enough now to be looked at; a database has rows in shared catalogs
                self.state = self.look()
            return
        if word in PROBE and not re.search(r'\binto\b', text, re.I):
            if word == 'explain' and not re.search(r'\banalyze\b', text, re.I):
                return
            if word in ('select', 'values', 'table') and '(' not in text:
                return
            if not self.writes(text):
                self.other['plain'] += 1
                return
        self.one(text, [text])

    def block(self, items):
        """BEGIN ... COMMIT.  True if it was dealt with as a group."""
        last = items[-1].text.lower()
        inner = items[1:-1]
        bad = re.compile(r'\s*(savepoint|release|rollback|abort|declare|fetch|move|close|prepare\s+transaction|set\s+transaction'
                         r'|set\s+(local\s+)?(session\s+authorization|role)|reset|begin|start|commit|end)\b', re.I)
        if re.match(r'(rollback|abort|prepare)', last) \
                or any(i.kind in ('meta', 'gmeta') for i in inner) or any(bad.match(i.text) for i in inner):
            for i in items:
                if i.kind == 'copy':
                    self.plain(self.copy_file(self.variables(i.text), i.extra))
                elif i.kind == 'gmeta':
                    self.A.run(i.text + ' ' + i.extra)
                elif i.kind == 'sql' or re.match(r'\\(set|gset|gexec)\b', i.text):
                    self.plain(i.text)
            self.other['plain'] += 1
            self.state = self.look()
            return
        texts = [self.copy_file(self.variables(i.text), i.extra) if i.kind == 'copy' else self.variables(i.text) for i in inner]
        if texts:
            modes = re.search(r'\b(read|isolation)\b', items[0].text, re.I)
            self.one(';\n'.join(texts), [items[0].text] + texts + ['COMMIT'], items[0].text if modes else None)

    def run(self):
        raw = open('%s/sql/%s.sql' % (self.run_.dir, self.name), encoding='utf8', errors='surrogateescape').read()
        items = psqlscript.split(raw)
        self.two_phase = bool(re.search(r'\bprepare\s+transaction\b', raw, re.I))
        begun = time.time()
        self.open()
        i = 0
        while i < len(items):
            it = items[i]
            if self.a.limit and self.group >= self.a.limit:
                break
            if self.branch(it) or not all(b == 'runs' for b in self.branches):
                i += 1
                continue
            if it.kind == 'meta' and it.text == '\\quit':
                # the script is not for this encoding
                break
            try:
                if it.kind == 'sql' and re.match(r'(begin|start\s+transaction)\b[^;]*;', it.text, re.I):
                    # several statements in one message, with a transaction of their own
                    i += 1
                    self.plain(it.text)
                    self.other['plain'] += 1
                    self.state = self.look()
                elif it.kind == 'sql' and re.match(r'(begin|start\s+transaction)\b', it.text, re.I):
                    j = i + 1
                    while j < len(items) and not (items[j].kind == 'sql' and re.match(
                            r'(?!.*\band\s+chain)(commit|end|abort|rollback(?!\s+(work\s+|transaction\s+)?to\b)|prepare\s+transaction)\b', items[j].text, re.I)):
                        j += 1
                    block = items[i:j + 1]
                    i = j + 1
                    self.block(block)
                else:
                    i += 1
                    self.item(it)
            except Dead as e:
                self.say('crash', it.text, str(e))
                self.reconnect()
                self.state = self.look()
        found = self.full(None, '')
        if found:
            self.say('wrong', 'at the end of the script', ' | '.join(found))
        for s in (self.A, self.B, self.C):
            s.close()
        tried = sum(self.count.values())
        print('%-24s %4d groups: %s; %s; %.0f s' % (self.name, tried, ', '.join('%s %d' % kv for kv in self.count.items() if kv[1]),
              ', '.join('%s %d' % kv for kv in self.other.items() if kv[1]), time.time() - begun), flush=True)
        return self.count


class Run:
    def __init__(self, args):
        self.a = args
        self.dir = os.path.abspath(args.directory)
        self.base = args.db + '_base'
        self.tmp = args.tmp
        os.makedirs(self.tmp, exist_ok=True)
        os.chmod(self.tmp, 0o777)
        self.env = dict(os.environ, PG_ABS_SRCDIR=self.dir, PG_ABS_BUILDDIR=self.tmp, PG_LIBDIR=self.tmp, PG_DLSUFFIX='.so',
                        PGTZ='PST8PDT', PGDATESTYLE='Postgres, MDY')
        os.makedirs(self.tmp + '/results', exist_ok=True)
        os.chmod(self.tmp + '/results', 0o777)
        self.rules, self.reasons, self.made = [], {}, {}
        if os.path.exists(args.known):
            for line in open(args.known):
                if line.strip() and not line.startswith('#'):
                    script, kind, pattern, why = line.rstrip('\n').split('\t')
                    self.rules.append((script, kind, re.compile(pattern), why))

    def known(self, script, kind, text):
        for s, k, pattern, why in self.rules:
            if s in ('*', script) and k in ('*', kind) and pattern.search(text):
                return why
        return None

    def prepare(self):
        psql = ['psql', '-X', '-q', '-d']
        config = os.environ.get('PG_CONFIG', 'pg_config')
        include = command([config, '--includedir-server'])[0].strip()
        out, err = command(['cc', '-O1', '-w', '-shared', '-fPIC', '-I', include, '-I', self.dir, '-o', self.tmp + '/regress.so', self.dir + '/regress.c'])
        if out is None:
            print('regress.c does not compile, statements that need it will fail: ' + err[:300])
        command(psql + ['postgres', '-c', 'DROP DATABASE IF EXISTS %s WITH (FORCE)' % self.base])
        for sql in ('CREATE DATABASE %s TEMPLATE template0' % self.base,):
            out, err = command(psql + ['postgres', '-c', sql])
            if out is None:
                raise SystemExit(err)
        p = subprocess.run(psql + [self.base, '-f', self.dir + '/sql/test_setup.sql'], env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        if p.stderr.strip():
            print('test_setup.sql: ' + p.stderr.decode()[:500])
        for sql in ('CREATE EXTENSION upg', 'CREATE SCHEMA amchk', 'CREATE EXTENSION amcheck SCHEMA amchk', 'CREATE EXTENSION pg_walinspect SCHEMA amchk',
                    'GRANT USAGE ON SCHEMA upg TO PUBLIC', 'GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA upg TO PUBLIC'):
            out, err = command(psql + [self.base, '-c', sql])
            if out is None:
                raise SystemExit(err)
        for f in ('check.sql', 'oracle.sql'):
            out, err = command(psql + [self.base, '-v', 'ON_ERROR_STOP=1', '-f', os.path.join(here, f)])
            if out is None:
                raise SystemExit(err)

    def database(self, name, template):
        """A new database with the settings that pg_regress gives it."""
        settings = '''lc_messages='C' bytea_output='hex' timezone='PST8PDT' datestyle='Postgres,MDY'
            timezone_abbreviations='Default' lc_monetary='C' lc_numeric='C' lc_time='C' '''.split()
        sql = ['DROP DATABASE IF EXISTS %s WITH (FORCE)' % name, 'CREATE DATABASE %s TEMPLATE %s' % (name, template)]
        sql += ['ALTER DATABASE %s SET %s' % (name, s.replace('=', ' TO ', 1)) for s in settings]
        args = ['psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', 'postgres']
        for line in sql:
            args += ['-c', line]
        out, err = command(args)
        if out is None:
            raise SystemExit(err)

    def template(self, needs):
        """The database that holds what other scripts make, made once."""
        if not needs:
            return self.base
        name = self.base + '_' + '_'.join(needs)[:24]
        if name not in self.made:
            self.database(name, self.base)
            for n in needs:
                command(['psql', '-X', '-q', '-d', name, '-f', '%s/sql/%s.sql' % (self.dir, n)], self.env)
            self.made[name] = needs
        return name

    def queue(self):
        """The next script of a list that other runs share, until none is left."""
        while True:
            with open(self.a.queue, 'r+') as f:
                fcntl.flock(f, fcntl.LOCK_EX)
                names = f.read().split()
                f.seek(0)
                f.truncate()
                f.write('\n'.join(names[1:]))
            if not names:
                return
            yield names[0]

    def scripts(self):
        if self.a.queue:
            return self.queue()
        if self.a.scripts:
            return self.a.scripts
        found = []
        for line in open(self.dir + '/parallel_schedule'):
            if line.startswith('test:'):
                found += line.split()[1:]
        return [s for s in found if s not in SKIP and os.path.exists('%s/sql/%s.sql' % (self.dir, s))]

    def all(self):
        self.prepare()
        total = {}
        for name in self.scripts():
            for k, v in Script(self, name).run().items():
                total[k] = total.get(k, 0) + v
        tried = sum(total.values())
        good = 100.0 * (total['exact']) / tried if tried else 0
        print('groups %d: %s; %.2f per cent exact' % (tried, ', '.join('%s %d' % kv for kv in total.items()), good), flush=True)
        for (kind, why), groups in sorted(self.reasons.items()):
            print('%-8s %3d  %s: %s' % (kind, len(groups), why, ' '.join(groups)))
        bad = tried - total.get('exact', 0) - total.get('refused', 0) - total.get('known', 0)
        return 1 if bad or not tried or good < self.a.least else 0


ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument('directory')
ap.add_argument('scripts', nargs='*')
ap.add_argument('--db', default='upg_regression')
ap.add_argument('--every', type=int, default=25, help='references, amcheck and all catalogs anew after every Nth group (0: at the end only)')
ap.add_argument('--dump', type=int, default=100, help='pg_dump before and after every Nth group (0: never)')
ap.add_argument('--pages', type=int, default=5000, help='hash tables up to this size after each group')
ap.add_argument('--limit', type=int, default=0, help='stop a script after so many groups')
ap.add_argument('--group', type=lambda s: [int(x) for x in s.split(',')], help='only these groups; the others run plainly')
ap.add_argument('--queue', help='take scripts from this file, beside runs on other servers that do the same')
ap.add_argument('--discard', action='store_true', help='debug_discard_caches=1 around capture, proof and rollback')
ap.add_argument('--mode', default='required')
ap.add_argument('--least', type=float, default=99.0)
ap.add_argument('--width', type=int, default=160)
ap.add_argument('--known', default=os.path.join(here, 'known.tsv'))
ap.add_argument('--tmp', default='/tmp/upg-regression-%d' % os.getpid())
ap.add_argument('--trace', action='store_true')
ap.add_argument('-v', '--verbose', action='store_true')
if __name__ == '__main__':
    sys.exit(Run(ap.parse_args()).all())
