"""fuzz_tables.py: random statements about tables, their columns, constraints and indexes."""
from fuzz_gen import kind

HASHABLE = {'integer', 'bigint', 'smallint', 'text', 'character varying', 'character', 'numeric', 'date', 'uuid', 'boolean',
            'timestamp without time zone', 'timestamp with time zone', 'inet', 'name', 'double precision'}


def column(g, name=None, type=None, table=True):
    """The definition of a column."""
    type = type or g.type()
    name = name or g.name('c', 12)
    out = '%s %s' % (name, type)
    if not table:
        return out
    if g.chance(0.08) and type in ('integer', 'bigint', 'smallint'):
        return out.replace(type, {'integer': 'serial', 'bigint': 'bigserial', 'smallint': 'smallserial'}[type])
    if type in ('text', 'character varying') and g.chance(0.1):
        out += ' COLLATE ' + g.one(['"C"', '"POSIX"', '"ucs_basic"'] + g.m['collations'])
    if type in ('text', 'jsonb', 'bytea', 'character varying') and g.chance(0.05):
        out += ' COMPRESSION pglz'
    what = g.r.random()
    if what < 0.2:
        out += ' DEFAULT ' + g.constant(type)
    elif what < 0.25 and type in ('timestamp with time zone', 'text', 'uuid', 'double precision'):
        out += ' DEFAULT ' + {'timestamp with time zone': 'now()', 'text': 'current_user', 'uuid': 'gen_random_uuid()', 'double precision': 'random()'}[type]
    elif what < 0.29 and type in ('integer', 'bigint', 'smallint'):
        out += ' GENERATED %s AS IDENTITY' % g.one(['ALWAYS', 'BY DEFAULT']) + g.one(['', ' (START 100 INCREMENT 5)'])
    elif what < 0.31 and type in ('integer', 'bigint') and g.m['sequences']:
        out += ' DEFAULT nextval(%s)' % g.quote(g.one(g.m['sequences'])['q'])
    if g.chance(0.1):
        out += ' NOT NULL'
    if g.chance(0.06):
        out += ' CHECK (%s IS NULL OR length(%s::text) < 100000)' % (name, name)
    if g.chance(0.05) and type.split('(')[0] in HASHABLE:
        out += ' UNIQUE'
    return out


def columns(g, n, **more):
    names = g.r.sample(['c%d' % i for i in range(1, 13)], n)
    return [column(g, name, **more) for name in names]


@kind(6, 26)
def create_table(g):
    name = g.new('t')
    cols = columns(g, g.r.randint(1, 6))
    key = g.r.random()
    if key < 0.55:
        cols.insert(0, 'id %s%s PRIMARY KEY' % (g.one(['integer', 'bigint', 'uuid', 'text']), ' ' if g.chance(0.9) else ' CONSTRAINT pk_%s' % g.name('k')))
    elif key < 0.65:
        cols = ['k1 integer', 'k2 text'] + cols + ['PRIMARY KEY (%s)%s' % (g.one(['k1, k2', 'k2, k1', 'k1']), g.one(['', ' INCLUDE (k2)']) if False else '')]
    head = 'CREATE %sTABLE ' % g.one([''] * 9 + ['UNLOGGED '])
    tail = ''
    if g.chance(0.12):
        parents = [t['q'] for t in g.m['tables'] if t['kind'] == 'r' and not t['part']]
        if parents:
            tail = ' INHERITS (%s)' % ', '.join(g.some(parents, 2))
    if g.chance(0.1):
        tail += ' WITH (%s)' % g.one(['fillfactor = 70', 'autovacuum_enabled = false', 'toast.autovacuum_enabled = false, fillfactor = 50', 'toast_tuple_target = 256'])
    return '%s%s (%s)%s' % (head, name, ', '.join(cols), tail)


@kind(1.5, 3)
def create_table_like(g):
    t = g.table('rpvm')
    if t:
        return 'CREATE TABLE %s (LIKE %s%s)' % (g.new('t'), t['q'], g.one(['', ' INCLUDING ALL', ' INCLUDING DEFAULTS INCLUDING INDEXES', ' INCLUDING ALL EXCLUDING INDEXES']))


@kind(1.5, 2)
def create_table_as(g):
    t = g.table('rpvm')
    if t and t['cols']:
        return 'CREATE %sTABLE %s AS SELECT %s FROM %s%s' % (g.one(['', '', 'UNLOGGED ']), g.new('t'), g.column_list(t, 4), t['q'], g.one(['', '', ' WITH NO DATA']))


@kind(0.7, 1)
def create_table_of(g):
    t = g.one(t for t in g.m['types'] if t['tt'] == 'c' and t['attrs'])
    if t:
        return 'CREATE TABLE %s OF %s%s' % (g.new('t'), t['q'], ' (%s NOT NULL)' % t['attrs'][0]['n'] if g.chance(0.3) else '')


def bound(g, t, i=None):
    """A partition bound that may fit; the statement fails if it does not."""
    method = t['method']
    if method == 'h':
        n = g.one([2, 2, 4])
        return 'FOR VALUES WITH (MODULUS %d, REMAINDER %d)' % (n, g.r.randint(0, n - 1))
    if g.chance(0.2):
        return 'DEFAULT'
    i = g.r.randint(0, 5) if i is None else i
    key = (t['key'] or '').split('(')[-1].split(',')[0].strip(') ').split(' ')[0]
    c = next((c for c in t['cols'] if c['n'] == key), None)
    type = c['b'] if c else 'integer'
    labels = next((x['labels'] for x in g.m['types'] if x['q'] == type and x['tt'] == 'e'), None)
    if method == 'l':
        if labels:
            return 'FOR VALUES IN (%s)' % ', '.join(g.quote(l) for l in g.some(labels, 2))
        if type in ('integer', 'bigint', 'smallint', 'numeric'):
            return 'FOR VALUES IN (%s)' % ', '.join(str(x) for x in range(i * 20, i * 20 + 20))
        return 'FOR VALUES IN (%s%s)' % (', '.join(g.quote('v%d' % x) for x in range(i * 10, i * 10 + 10)), g.one(['', ', NULL']))
    wide = ', MINVALUE' if ',' in (t['key'] or '') else ''
    if type in ('integer', 'bigint', 'smallint', 'numeric'):
        return 'FOR VALUES FROM (%s%s) TO (%s%s)' % (i * 100, wide, i * 100 + 100, wide)
    if type.startswith('timestamp') or type == 'date':
        return "FOR VALUES FROM ('2024-0%d-01'%s) TO ('2024-0%d-01'%s)" % (i + 1, wide, i + 2, wide)
    return "FOR VALUES FROM ('%s'%s) TO ('%s'%s)" % ('abcdefg'[i], wide, 'bcdefgz'[i], wide)


@kind(2.5, 6)
def create_partitioned(g):
    name = g.new('p', 8)
    keytype = g.one(['integer', 'integer', 'text', 'timestamp with time zone', 'bigint', 'date'] + [t['q'] for t in g.m['types'] if t['tt'] == 'e'][:2])
    method = g.one(['LIST', 'RANGE', 'HASH'])
    cols = ['k %s' % keytype] + columns(g, g.r.randint(1, 4))
    more = ''
    if method == 'RANGE' and g.chance(0.25):
        cols.append('k2 integer')
        more = ', k2'
    elif g.chance(0.4):
        cols.append('PRIMARY KEY (k)')
    elif g.chance(0.1):
        more = ''
        cols.append('UNIQUE (k)')
    out = ['CREATE TABLE %s (%s) PARTITION BY %s (k%s)' % (name, ', '.join(cols), method, more)]
    t = {'method': method[0].lower(), 'key': '%s (k%s)' % (method, more), 'cols': [{'n': 'k', 'b': keytype}]}
    for n in range(g.r.randint(0, 3)):
        out.append('CREATE TABLE %s PARTITION OF %s %s' % (g.new('q', 30), name, bound(g, t, n) if method != 'HASH' else
                                                        'FOR VALUES WITH (MODULUS 3, REMAINDER %d)' % n))
    return out


@kind(2.5, 5)
def create_partition(g):
    t = g.table('p')
    if not t:
        return None
    sub = ''
    if g.chance(0.2):
        c = g.column(t)
        if c:
            sub = ' PARTITION BY %s (%s)' % (g.one(['LIST', 'RANGE', 'HASH']), c['n'])
    return 'CREATE TABLE %s PARTITION OF %s %s%s' % (g.new('q', 30), t['q'], bound(g, t), sub)


@kind(2, 3)
def attach(g):
    t = g.table('p')
    if not t:
        return None
    c = g.table('rp', lambda x: not x['part'] and {k['n'] for k in x['cols']} == {k['n'] for k in t['cols']} and x['oid'] != t['oid'])
    if c and g.chance(0.7):
        return 'ALTER TABLE %s ATTACH PARTITION %s %s' % (t['q'], c['q'], bound(g, t))
    name = g.new('q', 30)
    cols = ['%s %s%s' % (x['n'], x['t'], ' NOT NULL' if x['nn'] else '') for x in t['cols']]
    g.r.shuffle(cols)
    if g.chance(0.4):
        cols.insert(g.r.randint(0, len(cols)), 'gone integer')
        out = ['CREATE TABLE %s (%s)' % (name, ', '.join(cols)), 'ALTER TABLE %s DROP COLUMN gone' % name]
    else:
        out = ['CREATE TABLE %s (%s)' % (name, ', '.join(cols))]
    return out + ['ALTER TABLE %s ATTACH PARTITION %s %s' % (t['q'], name, bound(g, t))]


@kind(1.5, 0.5)
def detach(g):
    t = g.table('rp', lambda x: x['part'] and x['parents'] and x['parents'][0] in g.by_oid)
    if t:
        return 'ALTER TABLE %s DETACH PARTITION %s' % (g.by_oid[t['parents'][0]]['q'], t['q'])


@kind(2, 0.5)
def drop_table(g):
    t = g.table('rp')
    if t:
        return 'DROP TABLE %s%s' % (', '.join([t['q']] + ([g.table('rp')['q']] if g.chance(0.15) else [])), g.one(['', ' CASCADE', ' CASCADE']))


@kind(9, 4)
def add_column(g):
    t = g.table()
    if t:
        n = g.one([1, 1, 1, 2])
        return 'ALTER TABLE %s%s %s' % (g.one(['', '', '', 'IF EXISTS ']), t['q'], ', '.join('ADD COLUMN ' + c for c in columns(g, n)))


@kind(1, 1)
def add_generated(g):
    t = g.table()
    c = t and g.column(t, lambda c: not c['gen'])
    if c:
        e = g.immutable(c)
        type = 'text' if c['b'] in ('text', 'character varying') and 'length' not in e else None
        type = type or (c['b'] if c['b'] in ('integer', 'bigint', 'numeric') else 'boolean' if 'IS NULL' in e else 'integer' if 'cardinality' in e or 'length' in e else c['t'])
        return 'ALTER TABLE %s ADD COLUMN %s %s GENERATED ALWAYS AS (%s) STORED' % (t['q'], g.name('g', 5), type, e)


@kind(6, 1)
def drop_column(g):
    t = g.table()
    c = t and g.column(t)
    if c:
        return 'ALTER TABLE %s DROP COLUMN %s%s' % (t['q'], c['n'], g.one(['', ' CASCADE']))


@kind(2, 0.5)
def drop_and_add(g):
    t = g.table()
    c = t and g.column(t)
    if c:
        type = g.one([c['t'], g.type()])
        out = ['ALTER TABLE %s DROP COLUMN %s CASCADE' % (t['q'], c['n']), 'ALTER TABLE %s ADD COLUMN %s %s' % (t['q'], c['n'], type)]
        return out + (['UPDATE %s SET %s = %s' % (t['q'], c['n'], g.constant(type))] if g.chance(0.5) else [])


@kind(6, 1)
def alter_type(g):
    t = g.table()
    c = t and g.column(t, lambda c: not c['inh'])
    if not c:
        return None
    new = g.one(['bigint', 'text', 'numeric', 'character varying', 'text', 'character varying(80)', 'jsonb', c['t'], g.type()])
    using = g.one(['', '', ' USING %s::text::%s' % (c['n'], new), ' USING %s' % g.constant(new), ' USING NULL', ' USING %s::%s' % (c['n'], new)])
    return 'ALTER TABLE %s %sALTER COLUMN %s TYPE %s%s' % (t['q'], ('ALTER COLUMN %s DROP DEFAULT, ' % c['n']) if c['def'] and not c['gen'] and g.chance(0.5) else '', c['n'], new, using)


@kind(7, 2)
def alter_column(g):
    t = g.table()
    c = t and g.column(t)
    if not c:
        return None
    return 'ALTER TABLE %s%s ALTER COLUMN %s %s' % (g.one(['', '', '', 'ONLY ']), t['q'], c['n'], g.one([
        'SET DEFAULT ' + g.constant(c['t']), 'DROP DEFAULT', 'SET NOT NULL', 'DROP NOT NULL', 'SET STATISTICS %d' % g.one([-1, 0, 500]),
        'SET STORAGE ' + g.one(['PLAIN', 'EXTERNAL', 'EXTENDED', 'MAIN']), 'SET COMPRESSION ' + g.one(['pglz', 'lz4', 'default']),
        'SET (n_distinct = %d)' % g.r.randint(1, 9), 'RESET (n_distinct)', 'SET (n_distinct_inherited = 5)',
        'ADD GENERATED %s AS IDENTITY' % g.one(['ALWAYS', 'BY DEFAULT']), 'DROP IDENTITY', 'DROP IDENTITY IF EXISTS', 'DROP EXPRESSION', 'DROP EXPRESSION IF EXISTS',
        'SET GENERATED BY DEFAULT', 'SET INCREMENT BY 7', 'RESTART WITH 500', 'SET GENERATED ALWAYS SET START 9 RESTART']))


@kind(2, 0.5)
def alter_many(g):
    """Several changes of one table in one statement."""
    t = g.table()
    if not t or len(t['cols']) < 2:
        return None
    a, b = g.r.sample(t['cols'], 2)
    return 'ALTER TABLE %s %s' % (t['q'], ', '.join(g.some([
        'ADD COLUMN %s' % column(g, 'm%d' % g.r.randint(1, 9)), 'DROP COLUMN %s CASCADE' % a['n'], 'ALTER COLUMN %s TYPE text' % b['n'],
        'ALTER COLUMN %s DROP NOT NULL' % b['n'], 'ADD CHECK (%s IS NULL OR true)' % b['n'], 'ALTER COLUMN %s SET DEFAULT NULL' % b['n'],
        'ADD CONSTRAINT many%d UNIQUE (%s)' % (g.r.randint(1, 9), b['n']), 'SET (fillfactor = 90)', 'ENABLE ROW LEVEL SECURITY',
        'ALTER COLUMN %s TYPE character varying USING left(%s::text, 8)' % (b['n'], b['n'])], 4)))


@kind(4, 2)
def alter_table(g):
    t = g.table()
    if not t:
        return None
    index = g.one(i for i in g.of_table('indexes', t))
    trigger = g.one(g.of_table('triggers', t))
    rule = g.one(g.of_table('rules', t))
    parent = g.table('r', lambda x: x['oid'] != t['oid'])
    forms = ['SET (fillfactor = %d)' % g.one([60, 75, 100]), 'RESET (fillfactor)', 'SET (autovacuum_vacuum_threshold = 500, toast.autovacuum_enabled = false)',
             'SET (parallel_workers = 3)', 'RESET (autovacuum_vacuum_threshold)', 'SET LOGGED', 'SET UNLOGGED', 'SET WITHOUT CLUSTER', 'REPLICA IDENTITY FULL',
             'REPLICA IDENTITY NOTHING', 'REPLICA IDENTITY DEFAULT', 'ENABLE ROW LEVEL SECURITY', 'DISABLE ROW LEVEL SECURITY', 'FORCE ROW LEVEL SECURITY',
             'NO FORCE ROW LEVEL SECURITY', 'DISABLE TRIGGER ALL', 'ENABLE TRIGGER USER', 'DISABLE TRIGGER USER', 'ENABLE TRIGGER ALL', 'NOT OF', 'SET WITHOUT OIDS',
             'SET ACCESS METHOD heap', 'SET TABLESPACE pg_default']
    if index:
        forms += ['CLUSTER ON %s' % index['name'], 'REPLICA IDENTITY USING INDEX %s' % index['name']] * 3
    if trigger:
        forms += ['%s TRIGGER %s' % (g.one(['DISABLE', 'ENABLE', 'ENABLE ALWAYS', 'ENABLE REPLICA']), trigger['n'])] * 4
    if rule:
        forms += ['%s RULE %s' % (g.one(['DISABLE', 'ENABLE', 'ENABLE ALWAYS', 'ENABLE REPLICA']), rule['n'])] * 4
    if parent:
        forms += ['INHERIT ' + parent['q']]
    if t['parents'] and not t['part'] and t['parents'][0] in g.by_oid:
        forms += ['NO INHERIT ' + g.by_oid[p]['q'] for p in t['parents'] if p in g.by_oid] * 3
    of = g.one(x for x in g.m['types'] if x['tt'] == 'c')
    if of:
        forms += ['OF ' + of['q']]
    return 'ALTER TABLE %s%s %s' % (g.one(['', '', '', 'ONLY ']), t['q'], g.one(forms))


@kind(1, 1)
def inherit(g):
    """A child of the same columns, taken in or let go."""
    t = g.table('r', lambda x: not x['part'])
    if t:
        name = g.new('h')
        return ['CREATE TABLE %s (LIKE %s INCLUDING ALL)' % (name, t['q']), 'ALTER TABLE %s INHERIT %s' % (name, t['q'])]


@kind(5, 0.5)
def rename(g):
    t = g.table('rpvm')
    if not t:
        return None
    what = {'r': 'TABLE', 'p': 'TABLE', 'v': 'VIEW', 'm': 'MATERIALIZED VIEW'}[t['kind']]
    c, index, con = g.column(t), g.one(g.of_table('indexes', t)), g.one(g.of_table('constraints', t))
    forms = ['ALTER %s %s RENAME TO %s' % (what, t['q'], g.name('t')), 'ALTER %s %s SET SCHEMA %s' % (what, t['q'], g.schema())]
    if c:
        forms += ['ALTER %s %s RENAME COLUMN %s TO %s' % (what, t['q'], c['n'], g.name('c', 20))] * 3
    if index:
        forms.append('ALTER INDEX %s RENAME TO %s' % (index['q'], g.name('i', 30)))
    if con:
        forms.append('ALTER TABLE %s RENAME CONSTRAINT %s TO %s' % (t['q'], con['n'], g.name('k', 30)))
    return g.one(forms)


@kind(1, 0)
def swap_names(g):
    a, b = g.table('r'), g.table('r')
    if a and b and a['oid'] != b['oid'] and a['s'] == b['s']:
        return ['ALTER TABLE %s RENAME TO swap_tmp' % a['q'], 'ALTER TABLE %s RENAME TO %s' % (b['q'], a['name']), 'ALTER TABLE %s.swap_tmp RENAME TO %s' % (a['s'], b['name'])]


@kind(5, 4)
def add_constraint(g):
    t = g.table()
    if not t or not t['cols']:
        return None
    name = 'CONSTRAINT %s ' % g.name('k', 30) if g.chance(0.6) else ''
    defer = g.one(['', '', '', ' DEFERRABLE', ' DEFERRABLE INITIALLY DEFERRED'])
    cols = g.column_list(t, 2)
    c = g.column(t)
    index = g.one(i for i in g.of_table('indexes', t) if i['uniq'] and not i['con'] and not i['pred'])
    forms = ['CHECK (%s)' % g.one(['%s IS NOT NULL' % c['n'], 'length(%s::text) < 9000000' % c['n'], 'num_nulls(%s) < 9' % cols, "%s::text <> 'never'" % c['n']])
             + g.one(['', '', ' NOT VALID', ' NO INHERIT'])] * 2
    forms += ['UNIQUE %s(%s)%s' % (g.one(['', '', 'NULLS NOT DISTINCT ']), cols, g.one(['', '', ' INCLUDE (%s)' % c['n']])) + defer, 'PRIMARY KEY (%s)' % cols + defer,
              'EXCLUDE USING %s (%s WITH =)%s' % (g.one(['btree', 'hash', 'gist']), c['n'], g.one(['', ' WHERE (%s IS NOT NULL)' % c['n']])) + defer]
    ranges = g.column(t, lambda c: c['b'] in ('int4range', 'numrange', 'point', 'inet'))
    if ranges:
        forms.append('EXCLUDE USING gist (%s WITH %s)' % (ranges['n'], {'point': '~=', 'inet': '='}.get(ranges['b'], '&&')))
    if index:
        forms += ['%s USING INDEX %s' % (g.one(['UNIQUE', 'PRIMARY KEY']), index['name']) + defer] * 3
    return 'ALTER TABLE %s%s ADD %s%s' % (g.one(['', '', '', 'ONLY ']), t['q'], name, g.one(forms))


@kind(4, 5)
def add_foreign_key(g):
    keys = [i for i in g.m['indexes'] if i['uniq'] and i['imm'] and not i['pred'] and not i['expr'] and i['t'] in g.by_oid and i['con']]
    i = g.one(keys)
    if not i:
        return None
    p = g.by_oid[i['t']]
    con = next(c for c in g.m['constraints'] if c['n'] == i['con'] and c['t'] == i['t'])
    t = g.table() if g.chance(0.85) else p
    types = [next((c['t'] for c in p['cols'] if c['n'] == n), 'integer') for n in con['cols'] or []]
    act = ' ' + g.one(['', '', 'ON DELETE CASCADE', 'ON DELETE SET NULL', 'ON DELETE SET DEFAULT', 'ON UPDATE CASCADE', 'ON DELETE CASCADE ON UPDATE CASCADE'])
    tail = g.one(['', '', ' DEFERRABLE INITIALLY DEFERRED', ' NOT VALID', ' MATCH FULL'])
    if tail == ' MATCH FULL':
        act, tail = tail + act, ''
    fits = [[c['n'] for c in t['cols'] if c['t'] == type] for type in types]
    if g.chance(0.5) and all(fits):
        return 'ALTER TABLE %s ADD %sFOREIGN KEY (%s) REFERENCES %s (%s)%s%s' % (t['q'], g.one(['', 'CONSTRAINT %s ' % g.name('f', 20)]),
               ', '.join(g.one(f) for f in fits), p['q'], ', '.join(con['cols']), act, tail)
    if len(types) == 1:
        return 'ALTER TABLE %s ADD COLUMN %s %s REFERENCES %s (%s)%s%s' % (t['q'], g.name('r', 9), types[0], p['q'], con['cols'][0], act, tail.replace(' NOT VALID', ''))


@kind(4, 1)
def alter_constraint(g):
    k = g.one(k for k in g.m['constraints'] if k['t'] in g.by_oid and (not g.chance(0.3) or k['type'] == 'f' or not k['valid']))
    if k:
        return 'ALTER TABLE %s %s' % (g.by_oid[k['t']]['q'], g.one([
            'DROP CONSTRAINT %s%s' % (k['n'], g.one(['', ' CASCADE'])), 'VALIDATE CONSTRAINT %s' % k['n'],
            'ALTER CONSTRAINT %s %s' % (k['n'], g.one(['DEFERRABLE INITIALLY DEFERRED', 'NOT DEFERRABLE', 'DEFERRABLE INITIALLY IMMEDIATE']))]))


@kind(7, 7)
def create_index(g):
    t = g.table('rpm')
    c = t and g.column(t)
    if not c:
        return None
    name = g.name('i', 40) if g.chance(0.7) else ''
    am = g.one(['btree'] * 6 + ['hash', 'gin', 'gist', 'brin', 'spgist'])
    b = c['b']
    if am == 'gin':
        c = g.column(t, lambda c: c['b'] in ('jsonb', 'tsvector', 'integer[]', 'text[]')) or c
        keys = c['n']
        if c['b'] == 'text' and 'pg_trgm' in g.m['extensions']:
            keys += ' public.gin_trgm_ops'
        elif c['b'] == 'jsonb' and g.chance(0.4):
            keys += ' jsonb_path_ops'
    elif am in ('gist', 'spgist'):
        c = g.column(t, lambda c: c['b'] in ('int4range', 'point', 'inet', 'tsvector', 'numrange')) or c
        keys = c['n'] + (' inet_ops' if c['b'] == 'inet' else '')
        if c['b'] == 'text' and 'pg_trgm' in g.m['extensions'] and am == 'gist':
            keys += ' public.gist_trgm_ops'
    elif am == 'hash':
        keys = c['n']
    else:
        parts = []
        for c in g.some(t['cols'], 3):
            e = c['n'] if g.chance(0.75) else g.immutable(c)
            if e == c['n'] and c['b'] in ('text', 'character varying') and g.chance(0.15):
                e += g.one([' COLLATE "C"', ' COLLATE "POSIX"', ' text_pattern_ops'])
            parts.append(e + (g.one(['', '', '', ' DESC', ' DESC NULLS LAST', ' NULLS FIRST']) if am == 'btree' else ''))
        keys = ', '.join(parts)
    tail = ''
    unique = am == 'btree' and g.chance(0.2)
    if am in ('btree', 'gist') and g.chance(0.12):
        tail += ' INCLUDE (%s)' % g.column(t)['n']
    if unique and g.chance(0.25):
        tail += ' NULLS NOT DISTINCT'
    if am == 'btree' and g.chance(0.1):
        tail += ' WITH (fillfactor = 70)'
    if g.chance(0.15):
        c = g.column(t)
        tail += ' WHERE %s' % g.one(['%s IS NOT NULL' % c['n'], "length(%s::text) > 2" % c['n'] if c['b'] == 'text' else '%s IS NULL' % c['n']])
    return 'CREATE %sINDEX %s ON %s%s USING %s (%s)%s' % ('UNIQUE ' if unique else '', name, g.one(['', '', '', '', 'ONLY ']) if t['kind'] == 'p' else '', t['q'], am, keys, tail)


@kind(4, 0.7)
def alter_index(g):
    i = g.one(g.m['indexes'])
    if not i:
        return None
    forms = ['DROP INDEX %s%s' % (i['q'], g.one(['', ' CASCADE']))] * 3 + ['ALTER INDEX %s RENAME TO %s' % (i['q'], g.name('i', 40)), 'ALTER INDEX %s SET (fillfactor = 55)' % i['q'],
             'REINDEX INDEX ' + i['q'], 'ALTER INDEX %s ALTER COLUMN 1 SET STATISTICS 300' % i['q'], 'ALTER INDEX %s RESET (fillfactor)' % i['q']]
    t = g.by_oid.get(i['t'])
    if t and t['kind'] in 'rm':
        forms += ['CLUSTER %s USING %s' % (t['q'], i['name']), 'REINDEX TABLE ' + t['q']]
    if i['kind'] == 'I':
        other = g.one(x for x in g.m['indexes'] if x['kind'] in 'iI' and not x['part'] and x['q'] != i['q'] and x['am'] == i['am'])
        if other:
            forms += ['ALTER INDEX %s ATTACH PARTITION %s' % (i['q'], other['q'])] * 3
    return g.one(forms)
