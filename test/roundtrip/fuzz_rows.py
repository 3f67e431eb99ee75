"""fuzz_rows.py: random statements about rows, sequences and large objects."""
from fuzz_gen import kind


def writable(c):
    return not c['gen'] and c['id'] != 'a'


def values(g, t, most=8):
    """Columns and expressions to be written, those that must have a value among them."""
    cols = [c for c in t['cols'] if writable(c) and (c['nn'] and not c['def'] or g.chance(0.7))]
    return cols, [g.value(c['t'], depth=1 if c['nn'] else 0) for c in cols]


def insert(g, t, rows=None):
    cols, exprs = values(g, t)
    start = g.r.randint(5000, 9000) if g.application else g.r.randint(1, 400)
    if not cols:
        return 'INSERT INTO %s DEFAULT VALUES' % t['q']
    return 'INSERT INTO %s (%s) SELECT %s FROM generate_series(%d, %d) i' % (
        t['q'], ', '.join(c['n'] for c in cols), ', '.join(exprs), start, start + (rows or g.one([0, 1, 3, 10, 30])))


@kind(10, 16)
def insert_rows(g):
    t = g.table('rp') if g.chance(0.95) else g.table('v')
    if t:
        conflict = g.one([''] * 5 + [' ON CONFLICT DO NOTHING'])
        return insert(g, t) + conflict


@kind(9, 2)
def update_rows(g):
    t = g.table('rp')
    cols = t and g.some((c for c in t['cols'] if writable(c)), 2)
    if cols:
        return 'UPDATE %s%s SET %s WHERE %s' % (g.one(['', '', '', 'ONLY ']), t['q'], ', '.join('%s = %s' % (c['n'], g.value(c['t'], g.one(['3', '17', 'length(%s::text)' % cols[0]['n']])))
                                             for c in cols), g.one(['true', g.test(t), g.test(t)]))


@kind(5, 1)
def delete_rows(g):
    t = g.table('rp')
    if t:
        return 'DELETE FROM %s%s WHERE %s' % (g.one(['', '', '', 'ONLY ']), t['q'], g.one(['true', g.test(t), g.test(t), g.test(t)]))


@kind(3, 0.3)
def truncate(g):
    t = g.table('rp')
    if t:
        more = [g.table('rp')['q']] if g.chance(0.2) else []
        return 'TRUNCATE %s%s%s%s' % (g.one(['', '', 'ONLY ']), ', '.join([t['q']] + more), g.one(['', ' RESTART IDENTITY', ' CONTINUE IDENTITY']), g.one(['', ' CASCADE', ' CASCADE']))


@kind(2, 0.3)
def merge(g):
    t = g.table('rp', lambda t: any(c['n'] in ('id', 'k', 'k1') for c in t['cols']))
    if not t:
        return None
    key = next(c for c in t['cols'] if c['n'] in ('id', 'k', 'k1'))
    cols, exprs = values(g, t)
    set_ = g.one(c for c in t['cols'] if writable(c) and c['n'] != key['n'])
    when = []
    if set_:
        when.append('WHEN MATCHED AND s.i %% 2 = 0 THEN UPDATE SET %s = %s' % (set_['n'], g.value(set_['t'], 's.i')))
    when.append('WHEN MATCHED AND s.i % 3 = 0 THEN DELETE')
    if cols:
        when.append('WHEN NOT MATCHED THEN INSERT (%s) VALUES (%s)' % (', '.join(c['n'] for c in cols), ', '.join(g.value(c['t'], 's.i', 1) for c in cols)))
    g.r.shuffle(when)
    return 'MERGE INTO %s m USING (SELECT DISTINCT ON (k::text) %s AS k, i FROM generate_series(1, 40) i ORDER BY k::text, i) s ON m.%s::text = s.k::text %s' % (
        t['q'], g.value(key['t'], 'i', 1), key['n'], ' '.join(when))


@kind(2, 0.3)
def upsert(g):
    i = g.one(i for i in g.m['indexes'] if i['uniq'] and i['con'] and i['t'] in g.by_oid)
    if not i:
        return None
    t = g.by_oid[i['t']]
    con = next(c for c in g.m['constraints'] if c['n'] == i['con'] and c['t'] == i['t'])
    c = g.column(t, lambda c: writable(c) and c['n'] not in (con['cols'] or []))
    if c and t['kind'] in 'rp':
        return insert(g, t, 20) + ' ON CONFLICT (%s) DO UPDATE SET %s = %s%s' % (', '.join(con['cols'] or []), c['n'], g.one(['EXCLUDED.' + c['n'], g.constant(c['t'])]),
                                                                            g.one(['', ' WHERE %s' % g.test(t, t['name'] + '.')]))


@kind(2, 0.3)
def move_rows(g):
    a, b = g.table('rp'), g.table('rp')
    if a and b:
        same = [c for c in a['cols'] if any(c['n'] == d['n'] and c['t'] == d['t'] and writable(d) for d in b['cols'])]
        if same:
            cols = ', '.join(c['n'] for c in same)
            return 'WITH gone AS (DELETE FROM %s WHERE %s RETURNING *) INSERT INTO %s (%s) SELECT %s FROM gone%s' % (
                a['q'], g.test(a), b['q'], cols, cols, g.one(['', ' ON CONFLICT DO NOTHING']))


@kind(1, 0)
def rewrite_rows(g):
    """Every row twice, and a round trip of a key."""
    t = g.table('rp')
    c = t and g.column(t, lambda c: writable(c) and c['b'] in ('integer', 'bigint'))
    if c:
        return ['UPDATE %s SET %s = %s + 100000' % (t['q'], c['n'], c['n']), 'UPDATE %s SET %s = %s - %d' % (t['q'], c['n'], c['n'], g.one([100000, 99999]))]


@kind(1.5, 0.5)
def row_locks(g):
    t = g.table('r')
    if t:
        return 'DO $$BEGIN PERFORM 1 FROM %s FOR %s; END$$' % (t['q'], g.one(['UPDATE', 'SHARE', 'KEY SHARE', 'NO KEY UPDATE']))


def application(g):
    """What an application writes; rows of its own, mostly."""
    t = g.table('rp')
    if not t:
        return None
    what = g.r.random()
    if what < 0.7:
        return insert(g, t, g.one([0, 1, 4])) + ' ON CONFLICT DO NOTHING'
    return update_rows(g) if what < 0.9 else delete_rows(g)
