#!/usr/bin/env python3
"""histories.py: random histories of migrations and of an application that goes
on writing, rolled back and compared with a model, row by row.

    histories.py [--db NAME] [--count N] [--seed N] [--verbose]

A history is one to three migrations, each captured, with transactions of the
application after each of them (some rolled back, some vacuums); then the
migrations are taken back, the latest first, with the policy "keep".  The model
knows nothing of upg: it holds every row before and after each migration and
says which rows must be there in the end.  A history fails if one row more, one
less or another one is there.  A refusal (UP022) counts as right only where the
model says that the rows cannot be merged, and must have changed nothing.

Exit 0: every history came out as the model says.
"""
import argparse, copy, json, random, subprocess, sys, time
from decimal import Decimal, ROUND_HALF_UP

class Failed(Exception):
    pass

class Session:
    """One psql that stays."""
    def __init__(self, db):
        self.p = subprocess.Popen(['psql', '-X', '-q', '-A', '-t', '-d', db, '-v', 'VERBOSITY=verbose'],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.n = 0

    def run(self, sql, fails=False):
        self.n += 1
        mark = '=== %d ===' % self.n
        self.p.stdin.write((sql.rstrip().rstrip(';') + ';\n\\echo ' + mark + '\n').encode())
        self.p.stdin.flush()
        lines = []
        while True:
            line = self.p.stdout.readline().decode()
            if line == '':
                raise Failed('the session ended: ' + '\n'.join(lines))
            line = line.rstrip('\n')
            if line == mark:
                break
            lines.append(line)
        errors = [l for l in lines if l.startswith(('ERROR:', 'FATAL:'))]
        if errors and not fails:
            raise Failed('%s\n%s' % (sql, '\n'.join(lines)))
        return lines

    def rows(self, table):
        text = self.run('SELECT row_to_json(x) FROM %s x' % table)
        return [json.loads(l, parse_int=str, parse_float=str) for l in text]

    def close(self):
        self.p.stdin.close()
        self.p.wait()

def lit(value):
    return 'NULL' if value is None else "'" + value.replace("'", "''") + "'"

class Row:
    """A row: its values and when it was last written; the identity is the key of the dict."""
    __slots__ = ('vals', 'w')
    def __init__(self, vals, w):
        self.vals, self.w = vals, w

class Table:
    def __init__(self, name, types, keyed=True):
        self.name, self.types, self.keyed = name, dict(types), keyed
        self.rows = {}
        self.moved = 0                               # when rows last changed their places

    def by_key(self):
        return {r.vals['id']: rid for rid, r in self.rows.items()}

def forward(value, old, new):
    """A value as ALTER TYPE converts it."""
    if value is None or old == new:
        return value
    if new == 'numeric(12,1)':
        return str(Decimal(value).quantize(Decimal('0.1'), ROUND_HALF_UP))
    if new == 'numeric(10,2)':
        return str(Decimal(value).quantize(Decimal('0.01'), ROUND_HALF_UP))
    if new in ('integer', 'bigint') and old.startswith('numeric'):
        return str(Decimal(value).quantize(Decimal('1'), ROUND_HALF_UP))
    return value

def fits(value, kind):
    if value is None:
        return True
    if kind == 'integer':
        try:
            return -2**31 <= int(value) < 2**31
        except ValueError:
            return False
    return True

REWRITES = {'b': ['bigint', 'text'], 'c': ['numeric(12,1)', 'bigint'], 'id': ['bigint']}

class Migration:
    def __init__(self):
        self.sql, self.before, self.after, self.at = [], None, None, 0
        self.rewritten, self.truncated, self.dml, self.made = set(), set(), set(), set()
        self.moved = {}

class History:
    def __init__(self, number, seed, db):
        self.number = number
        self.rnd = random.Random(seed * 1000003 + number)
        self.s = Session(db)
        self.other = Session(db)
        self.schema = 'h%d_%x' % (number, int(time.time() * 1000) & 0xffffff)
        self.clock = 0
        self.next_rid = 0
        self.tables = {}
        self.log = []
        self.asides = 0

    # -- the model's rows
    def tick(self):
        self.clock += 1
        return self.clock

    def add(self, t, vals):
        self.next_rid += 1
        t.rows[self.next_rid] = Row(vals, self.tick())
        return self.next_rid

    def new_vals(self, t, key=None):
        r = self.rnd
        vals = {}
        for col, kind in t.types.items():
            if col == 'id':
                vals[col] = key
            elif col == 't_id':
                vals[col] = None
            elif kind == 'integer' or kind == 'bigint':
                vals[col] = r.choice([None, str(r.randint(0, 99)), str(r.randint(0, 99))])
            elif kind.startswith('numeric'):
                scale = int(kind[:-1].split(',')[1])
                vals[col] = r.choice([None, '%.*f' % (scale, r.randint(0, 9999) / 100)])
                if vals[col] is not None:
                    vals[col] = str(Decimal(vals[col]).quantize(Decimal(1).scaleb(-scale)))
            elif col == 'b':                         # an integer that became text
                vals[col] = str(r.randint(0, 99))
            else:
                vals[col] = r.choice(['x', 'y', 'a longer text', None, 'z%d' % r.randint(0, 999)])
        return vals

    def free_key(self, t):
        used = {row.vals['id'] for row in t.rows.values()}
        for _ in range(50):
            k = str(self.rnd.randint(1, 60))
            if k not in used:
                return k
        return str(1000 + self.tick())

    def q(self, t):
        return '%s.%s' % (self.schema, t.name)

    # -- statements, each returning SQL and changing the model
    def where(self, t, rid):
        row = t.rows[rid]
        if t.keyed:
            return 'id = %s' % row.vals['id']
        return 'ctid = (SELECT min(ctid) FROM %s WHERE %s)' % (
            self.q(t), ' AND '.join('%s IS NOT DISTINCT FROM %s' % (c, lit(v)) for c, v in row.vals.items()))

    def insert(self, t):
        vals = self.new_vals(t, self.free_key(t) if t.keyed else None)
        if t.name == 'ch':
            parents = list(self.tables['t'].rows.values())
            if parents and self.rnd.random() < 0.8:
                vals['t_id'] = self.rnd.choice(parents).vals['id']
        self.add(t, vals)
        return 'INSERT INTO %s (%s) VALUES (%s)' % (self.q(t), ', '.join(vals), ', '.join(lit(v) for v in vals.values()))

    def update(self, t, rid):
        where = self.where(t, rid)
        row = t.rows[rid]
        if not t.keyed:
            # equal rows cannot be told apart: change the one that was written last
            same = [i for i, r in t.rows.items() if r.vals == row.vals]
            if len(same) > 1:
                return None
        cols = [c for c in t.types if c not in ('id', 't_id')]
        cols = self.rnd.sample(cols, self.rnd.randint(1, min(2, len(cols))))
        new = self.new_vals(t)
        for c in cols:
            row.vals[c] = new[c]
        row.w = self.tick()
        return 'UPDATE %s SET %s WHERE %s' % (self.q(t), ', '.join('%s = %s' % (c, lit(row.vals[c])) for c in cols), where)

    def delete(self, t, rid):
        row = t.rows[rid]
        if not t.keyed and len([1 for r in t.rows.values() if r.vals == row.vals]) > 1:
            return None
        sql = 'DELETE FROM %s WHERE %s' % (self.q(t), self.where(t, rid))
        if t.name == 't':                            # ON DELETE CASCADE
            ch = self.tables['ch']
            for i in [i for i, r in ch.rows.items() if r.vals['t_id'] == row.vals['id']]:
                del ch.rows[i]
        del t.rows[rid]
        return sql

    def change_key(self, t, rid, app):
        row = t.rows[rid]
        if t.name == 't' and any(r.vals['t_id'] == row.vals['id'] for r in self.tables['ch'].rows.values()):
            return None
        key = self.free_key(t)
        sql = 'UPDATE %s SET id = %s WHERE id = %s' % (self.q(t), key, row.vals['id'])
        row.vals['id'] = key
        row.w = self.tick()
        if app:
            self.next_rid += 1
            t.rows[self.next_rid] = t.rows.pop(rid)
        return sql

    def application(self):
        """One transaction of the application."""
        saved = copy.deepcopy(self.tables)
        session = self.rnd.choice([self.s, self.other])
        sql = []
        for _ in range(self.rnd.choice([1, 1, 2, 4])):
            t = self.rnd.choice(list(self.tables.values()))
            kind = self.rnd.random()
            one = None
            if kind < 0.35 or not t.rows:
                one = self.insert(t)
            elif kind < 0.75:
                one = self.update(t, self.rnd.choice(list(t.rows)))
            elif kind < 0.93 or not t.keyed or t.name == 'ch':
                one = self.delete(t, self.rnd.choice(list(t.rows)))
            else:
                one = self.change_key(t, self.rnd.choice(list(t.rows)), True)
            if one:
                sql.append(one)
        if not sql:
            return
        self.log += ['-- application'] + sql
        if self.rnd.random() < 0.1:
            session.run('BEGIN; ' + '; '.join(sql) + '; ROLLBACK')
            self.tables = saved
        elif self.rnd.random() < 0.3:
            session.run('BEGIN; SAVEPOINT a; ' + '; RELEASE a; SAVEPOINT a; '.join(sql) + '; COMMIT')
        else:
            session.run('BEGIN; ' + '; '.join(sql) + '; COMMIT')

    def maintenance(self):
        kind = self.rnd.random()
        t = self.rnd.choice(list(self.tables.values()))
        if kind < 0.1:
            self.s.run('VACUUM FULL %s' % self.q(t))
            t.moved = self.tick()
            self.log.append('-- VACUUM FULL %s' % t.name)
        elif kind < 0.3:
            self.s.run('VACUUM FREEZE %s' % self.q(t))
        elif kind < 0.4:
            self.s.run('ANALYZE %s' % self.q(t))

    # -- migrations
    def migrate(self, n):
        m = Migration()
        m.name = '%s_%d' % (self.schema, n)
        m.before = copy.deepcopy(self.tables)
        for _ in range(self.rnd.choice([1, 1, 2, 3])):
            self.part(m)
        if not m.sql:
            self.part_dml(m, self.tables['t'])
        self.log += ['-- migration ' + m.name] + m.sql
        out = self.s.run("SELECT verdict FROM upg.capture_run('%s', %s)" % (m.name, '$upg$' + '; '.join(m.sql) + '$upg$'))
        if out != ['exact']:
            raise Failed('not exact: %s' % out)
        m.at = self.tick()
        for t in self.tables.values():
            for row in t.rows.values():
                row.w = min(row.w, m.at)
        m.after = copy.deepcopy(self.tables)
        return m

    def part(self, m):
        t = self.rnd.choice([x for x in self.tables.values()])
        kind = self.rnd.random()
        if kind < 0.5:
            self.part_dml(m, t)
        elif kind < 0.62:
            self.part_type(m, t)
        elif kind < 0.72:
            self.part_column(m, t)
        elif kind < 0.8:
            self.part_truncate(m, t)
        elif kind < 0.9:
            self.part_table(m)
        else:
            col = self.rnd.choice([c for c in t.types if c not in ('id', 't_id')])
            m.sql.append('CREATE INDEX ON %s (%s)' % (self.q(t), col))

    def part_dml(self, m, t):
        for _ in range(self.rnd.randint(1, 6)):
            kind = self.rnd.random()
            if kind < 0.3 or not t.rows:
                one = self.insert(t)
            elif kind < 0.75:
                one = self.update(t, self.rnd.choice(list(t.rows)))
            elif kind < 0.92 or not t.keyed or t.name == 'ch':
                one = self.delete(t, self.rnd.choice(list(t.rows)))
                if one and t.name == 't':
                    m.dml.add('ch')
            else:
                one = self.change_key(t, self.rnd.choice(list(t.rows)), False)
            if one:
                m.sql.append(one)
                m.dml.add(t.name)

    def part_type(self, m, t):
        cols = [c for c in REWRITES if c in t.types and t.name != 'ch' and not (c == 'id' and t.name == 't')]
        if not cols:
            return
        col = self.rnd.choice(cols)
        new = self.rnd.choice(REWRITES[col])
        old = t.types[col]
        if old == new or old in ('text', 'bigint') or (old.endswith(',1)')):
            return
        m.sql.append('ALTER TABLE %s ALTER %s TYPE %s' % (self.q(t), col, new))
        for row in t.rows.values():
            row.vals[col] = forward(row.vals[col], old, new)
        t.types[col] = new
        m.rewritten.add(t.name)

    def part_drop(self, m, t):
        cols = [c for c in t.types if c not in ('id', 't_id')]
        if len(cols) < 2 or not t.keyed:
            return
        col = self.rnd.choice(cols)
        m.sql.append('ALTER TABLE %s DROP %s' % (self.q(t), col))
        for row in t.rows.values():
            del row.vals[col]
        del t.types[col]

    def part_column(self, m, t):
        if self.rnd.random() < 0.5:
            return self.part_drop(m, t)
        col = 'n%d' % self.tick()
        default = self.rnd.choice([None, 'dflt'])
        m.sql.append('ALTER TABLE %s ADD %s text%s' % (self.q(t), col, " DEFAULT 'dflt'" if default else ''))
        for row in t.rows.values():
            row.vals[col] = default
        t.types[col] = 'text'

    def part_truncate(self, m, t):
        if t.name == 't':
            m.sql.append('TRUNCATE %s, %s' % (self.q(t), self.q(self.tables['ch'])))
            self.tables['ch'].rows.clear()
            m.truncated.add('ch')
        else:
            m.sql.append('TRUNCATE %s' % self.q(t))
        t.rows.clear()
        m.truncated.add(t.name)
        if self.rnd.random() < 0.4:
            self.part_dml(m, t)

    def part_table(self, m):
        name = 'new%d' % self.tick()
        t = Table(name, [('id', 'integer'), ('a', 'text'), ('b', 'integer')])
        m.sql.append('CREATE TABLE %s (id int PRIMARY KEY, a text, b int)' % self.q(t))
        self.tables[name] = t
        m.made.add(name)
        for _ in range(self.rnd.randint(0, 3)):
            m.sql.append(self.insert(t))

    # -- what must come out
    def expect(self, m):
        """The tables after the rollback of m, a reason why it is refused, one why it may be."""
        now, result, asides = self.tables, {}, [0, 0]
        refused = may_be = None
        for name, t in now.items():
            if name in m.made:
                n = sum(1 for r in t.rows.values() if r.w > m.at)
                asides = [asides[0] + n, asides[1] + n]
                continue
            before, after = m.before[name], m.after[name]
            out = Table(name, before.types, before.keyed)
            added = [c for c in after.types if c not in before.types]
            for r in t.rows.values():
                # a value that is the column's default need not be set aside
                asides[0] += r.w > m.at and any(r.vals[c] not in (None, 'dflt') for c in added)
                asides[1] += r.w > m.at and any(r.vals[c] is not None for c in added)
            touched = sum(1 for rid, r in after.rows.items()
                          if not (rid in t.rows and t.rows[rid].w <= m.at))
            if name in m.rewritten and name not in m.truncated and name in m.dml and touched:
                refused = 'rewritten and written'
            if not t.keyed and touched and t.moved > m.at:
                may_be = 'rows without a key were moved'
            out.moved = t.moved
            out.rows, why = self.merge(m, name, before, after, t)
            refused = refused or why
            result[name] = out
        self.keep_parents(m, result)
        for r in result['ch'].rows.values():
            if r.vals['t_id'] is not None and r.vals['t_id'] not in {x.vals['id'] for x in result['t'].rows.values()}:
                refused = refused or 'a foreign key'
        return result, asides, refused, may_be

    def back(self, before, after, row):
        """A row written since in the old form; second: it does not fit."""
        vals = {}
        for c, old in before.types.items():
            if c not in after.types:
                vals[c] = None                   # comes back; the default of a new row
                continue
            v = row.vals[c]
            if not fits(v, old) or forward(forward(v, after.types[c], old), old, after.types[c]) != v:
                return None, True
            vals[c] = forward(v, after.types[c], old)
        return Row(vals, row.w), False

    def merge(self, m, name, before, after, t):
        rows, why = {}, None
        opaque = name in m.truncated           # what was in the old file comes back, rows of now win
        written = name in m.dml or name in m.truncated
        if not t.keyed:
            for rid, r in t.rows.items():
                if r.w > m.at:
                    new, bad = self.back(before, after, r)
                    if bad:
                        why = 'a value does not fit'
                    else:
                        rows[rid] = new
                elif rid in before.rows:
                    rows[rid] = copy.deepcopy(before.rows[rid])
            for rid, r in before.rows.items():
                if rid not in after.rows:
                    rows[rid] = copy.deepcopy(r)
            return rows, why
        now = t.by_key()
        used = set()
        for rid, a in after.rows.items():
            key = a.vals['id']
            n = t.rows[now[key]] if key in now else None
            if n is not None:
                used.add(now[key])
            if n is not None and n.w <= m.at:
                if rid in before.rows:
                    rows[rid] = copy.deepcopy(before.rows[rid])
                continue
            if n is None:
                continue                        # deleted by the application, stays so
            if rid not in before.rows or opaque:
                new, bad = self.back(before, after, n)
                if bad:
                    why = 'a value does not fit'
                else:
                    rows[now[key]] = new
                continue
            vals, b = {}, before.rows[rid]
            for c, old in before.types.items():
                if c not in after.types or n.vals[c] == a.vals[c]:
                    vals[c] = b.vals[c]
                elif not fits(n.vals[c], old) or forward(forward(n.vals[c], after.types[c], old), old, after.types[c]) != n.vals[c]:
                    why = 'a value does not fit'
                    vals[c] = None
                else:
                    vals[c] = forward(n.vals[c], after.types[c], old)
            rows[rid] = Row(vals, self.tick())
        for rid, r in t.rows.items():
            if rid not in used and r.w > m.at:
                new, bad = self.back(before, after, r)
                if bad:
                    why = 'a value does not fit'
                else:
                    rows[rid] = new
        for rid, b in before.rows.items():
            if rid not in after.rows:
                key = b.vals['id']
                if not (key in now and t.rows[now[key]].w > m.at):
                    rows[rid] = copy.deepcopy(b)
        # a column that comes back takes its value from the row of before with that key
        old = {r.vals['id']: r for r in before.rows.values()}
        for row in rows.values():
            for c in before.types:
                if row.w > m.at and c not in after.types and row.vals['id'] in old and row.vals[c] is None:
                    row.vals[c] = old[row.vals['id']].vals[c]
        keys = [r.vals['id'] for r in rows.values()]
        if len(keys) != len(set(keys)):
            why = 'a key is taken'
        return rows, why

    def keep_parents(self, m, result):
        """Rows that the migration inserted stay if rows written since refer to them."""
        after, before, now = m.after['t'], m.before['t'], self.tables['t']
        wanted = {r.vals['t_id'] for r in self.tables['ch'].rows.values() if r.w > m.at}
        wanted |= {r.vals['t_id'] for i, r in self.tables['ch'].rows.items() if i in m.before['ch'].rows and
                   i in result['ch'].rows and result['ch'].rows[i].vals['t_id'] == r.vals['t_id']}
        if 't' in m.truncated or 't' in m.rewritten:
            return
        for rid, a in after.rows.items():
            if rid not in before.rows and rid in now.rows and now.rows[rid].w <= m.at and a.vals['id'] in wanted:
                result['t'].rows[rid] = copy.deepcopy(now.rows[rid])
                for c in list(result['t'].rows[rid].vals):
                    if c not in result['t'].types:
                        del result['t'].rows[rid].vals[c]

    @staticmethod
    def canonical(rows):
        return sorted(json.dumps(r, sort_keys=True) for r in rows)

    def check(self, what, tables):
        for name, t in tables.items():
            model = self.canonical([r.vals for r in t.rows.values()])
            real = self.canonical(self.s.rows(self.q(t)))
            if model != real:
                raise Failed('%s, table %s:\n  missing %s\n  too many %s' % (
                    what, name, [r for r in model if r not in real] or model, [r for r in real if r not in model] or real))

    def take_back(self, m):
        result, asides, refused, may_be = self.expect(m)
        dry = self.rnd.random() < 0.3
        planned = None
        if dry:
            planned = self.s.run("SELECT upg.capture_merge('%s', '{\"dry_run\": true}')->'tables'" % m.name, fails=True)
        out = self.s.run("SELECT x->'tables' FROM upg.capture_merge('%s') x" % m.name, fails=True)
        error = [l for l in out if l.startswith('ERROR:')]
        if error and 'UP022' not in error[0]:
            raise Failed('rollback of %s: %s' % (m.name, out))
        if error and not refused and not may_be:
            raise Failed('rollback of %s is refused: %s' % (m.name, out))
        if not error and refused:
            raise Failed('rollback of %s is not refused (%s)' % (m.name, refused))
        if error:
            self.check('after a refusal', self.tables)
            return False
        self.log.append('-- rollback of ' + m.name)
        self.tables = result
        for t in result.values():
            for r in t.rows.values():
                if r.w > m.at:
                    r.w = self.tick()
            if t.name in m.dml | m.truncated | m.rewritten:
                t.moved = self.tick()
        self.check('after the rollback of ' + m.name, result)
        if dry and planned and not planned[0].startswith('ERROR') and planned != out:
            raise Failed('the preview said %s and the rollback did %s' % (planned, out))
        kept = int(self.s.run("SELECT count(*) FROM upg.kept_rows WHERE table_name LIKE '%s.%%'" % self.schema)[0])
        if not self.asides + asides[0] <= kept <= self.asides + asides[1]:
            raise Failed('%d rows are set aside, not %s' % (kept - self.asides, asides))
        self.asides = kept
        return True

    def run(self):
        s = self.schema
        t = Table('t', [('id', 'integer'), ('a', 'text'), ('b', 'integer'), ('c', 'numeric(10,2)')])
        ch = Table('ch', [('id', 'integer'), ('t_id', 'integer'), ('v', 'text')])
        w = Table('w', [('id', 'integer'), ('b', 'integer'), ('c', 'numeric(10,2)'), ('d', 'text')])
        nk = Table('nk', [('a', 'text'), ('b', 'integer')], keyed=False)
        self.s.run("""SET client_min_messages = error; CREATE SCHEMA %s; SET search_path = %s;
            CREATE TABLE t (id int PRIMARY KEY, a text, b int, c numeric(10,2));
            CREATE TABLE ch (id int PRIMARY KEY, t_id int REFERENCES t ON DELETE CASCADE, v text);
            CREATE TABLE w (id int PRIMARY KEY, b int, c numeric(10,2), d text);
            CREATE TABLE nk (a text, b int); RESET search_path""" % (s, s))
        for x in (t, ch, w, nk):
            self.tables[x.name] = x
        for x in (t, w, nk, ch):
            for _ in range(self.rnd.randint(3, 15)):
                self.s.run(self.insert(x))
        stack = []
        for n in range(self.rnd.choice([1, 1, 2, 3])):
            stack.append(self.migrate(n))
            for _ in range(self.rnd.randint(0, 6)):
                self.application()
                self.maintenance()
        self.check('before the rollback', self.tables)
        done = 0
        while stack:
            m = stack.pop()
            if not self.take_back(m):
                break
            done += 1
            if stack and self.rnd.random() < 0.4:
                self.application()
                self.maintenance()
        self.s.run('SET client_min_messages = error; DROP SCHEMA %s CASCADE' % s)
        self.s.close()
        self.other.close()
        return done, stack == [] and done > 0

def main():
    ap = argparse.ArgumentParser()
    ap.add_argument('--db', default='postgres')
    ap.add_argument('--count', type=int, default=30)
    ap.add_argument('--seed', type=int, default=1)
    ap.add_argument('--first', type=int, default=0)
    ap.add_argument('--verbose', action='store_true')
    args = ap.parse_args()
    failed = rollbacks = whole = 0
    for i in range(args.first, args.first + args.count):
        h = History(i, args.seed, args.db)
        try:
            done, complete = h.run()
            rollbacks += done
            whole += complete
        except Failed as e:
            failed += 1
            print('history %d (seed %d) failed: %s' % (i, args.seed, e))
            if args.verbose:
                print('\n'.join(h.log))
    print('histories %d: %d failed, %d rolled back to the start, %d rollbacks' % (args.count, failed, whole, rollbacks))
    return 1 if failed else 0

if __name__ == '__main__':
    sys.exit(main())
