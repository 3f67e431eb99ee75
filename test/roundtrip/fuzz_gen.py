"""fuzz_gen.py: what random statements are made from: what exists, names, types, values."""
import random

KINDS = []


def kind(weight, base=None):
    """A function that makes a statement of one kind; how often, and how often while the base is made."""
    def note(function):
        KINDS.append((function.__name__, function, weight, weight if base is None else base))
        return function
    return note


TYPES = ['integer', 'bigint', 'smallint', 'text', 'character varying(40)', 'character(6)', 'numeric(12,2)', 'numeric', 'boolean',
         'date', 'timestamp without time zone', 'timestamp with time zone', 'jsonb', 'json', 'uuid', 'bytea', 'integer[]', 'text[]',
         'inet', 'int4range', 'tsvector', 'double precision', 'interval', 'bit varying(16)', 'point', 'name', 'time without time zone',
         'numrange', 'int4multirange', 'macaddr', 'oid', 'money', 'xid8', 'real', 'character varying', 'regclass']
COMMON = ['integer', 'bigint', 'text', 'character varying(40)', 'numeric(12,2)', 'boolean', 'timestamp with time zone', 'jsonb']
ODD = ['"Odd Name"', '"select"', '"a""b"', '"x.y"', "\"it's\"", '"ünï"']


class Gen:
    """A random generator with a picture of the database, asked for again whenever something changed."""

    def __init__(self, seed, ask):
        self.r = random.Random(seed)
        self.ask = ask
        self.m = None
        # what a migration is about, mostly
        self.focus = set()
        self.base = self.application = False

    def look(self):
        self.m = self.ask()
        for k in self.m:
            self.m[k] = self.m[k] or []
        for t in self.m['tables']:
            t['cols'] = t['cols'] or []
            t['parents'] = t['parents'] or []
        self.by_oid = {t['oid']: t for t in self.m['tables']}

    def choose_focus(self):
        """Some tables and what hangs on them, so that statements meet."""
        self.focus = {t['oid'] for t in self.some(self.m['tables'], 3)}
        for t in self.m['tables']:
            if t['oid'] in self.focus or any(p in self.focus for p in t['parents']):
                self.focus |= {t['oid']} | set(t['parents'])

    # -- choices
    def chance(self, p):
        return self.r.random() < p

    def one(self, what):
        what = list(what)
        return self.r.choice(what) if what else None

    def some(self, what, most=3):
        what = list(what)
        return self.r.sample(what, self.r.randint(1, min(most, len(what)))) if what else []

    def table(self, kinds='rp', cond=None):
        found = [t for t in self.m['tables'] if t['kind'] in kinds and (cond is None or cond(t))]
        near = [t for t in found if t['oid'] in self.focus]
        if near and self.chance(0.6):
            return self.r.choice(near)
        # what was made lately is more often what a migration is about
        return found[-1 - int(self.r.random() ** 1.5 * len(found))] if found else None

    def column(self, t, cond=None):
        return self.one(c for c in t['cols'] if cond is None or cond(c))

    def of_table(self, what, t):
        return [x for x in self.m[what] if x['t'] == t['oid']]

    # -- names
    def schema(self):
        return self.one(s for s in self.m['schemas']) or 'public'

    def name(self, prefix, most=14):
        if self.chance(0.03):
            return self.one(ODD)
        return '%s%d' % (prefix, self.r.randint(1, most))

    def new(self, prefix, most=14):
        return self.schema() + '.' + self.name(prefix, most)

    def role(self):
        return self.one(self.m['roles']) or 'CURRENT_USER'

    # -- types and values
    def type(self, own=0.2):
        if self.chance(own) and self.m['types']:
            t = self.one(self.m['types'])
            return t['q'] + ('[]' if self.chance(0.15) else '')
        for ext, name in (('citext', 'citext'), ('hstore', 'hstore'), ('ltree', 'ltree')):
            if ext in self.m['extensions'] and self.chance(0.1):
                return 'public.' + name
        return self.one(COMMON if self.chance(0.6) else TYPES)

    def value(self, type, i='i', depth=0):
        """An expression of this type that depends on "i"."""
        r, k = self.r, self.r.randint(0, 9)
        base = type.split('(')[0].strip()
        own = next((t for t in self.m['types'] if t['q'] == type), None)
        if type.endswith('[]'):
            return "'{}'::%s" % type if depth or self.chance(0.3) else 'ARRAY[%s, NULL]::%s' % (self.value(type[:-2], i, 1), type)
        if own:
            if own['tt'] == 'e':
                return "%s::%s" % (self.quote(r.choice(own['labels'])), type) if own['labels'] else 'NULL::%s' % type
            if own['tt'] == 'd':
                return '(%s)::%s' % (self.value(own['base'], i, depth + 1), type) if depth < 4 else 'NULL'
            if own['tt'] == 'r':
                return "'empty'::%s" % type if self.chance(0.3) or own['sub'] not in ('integer', 'numeric', 'bigint') else "%s(%s, %s + 5)" % (type, i, i)
            if own['attrs'] is None or depth > 2:
                return 'NULL::%s' % type
            return 'ROW(%s)::%s' % (', '.join(self.value(a['t'], i, depth + 1) for a in own['attrs']), type)
        numbers = '%s * %d + %d' % (i, k + 1, r.randint(0, 50))
        text = r.choice(["'v' || %s" % i, "'word %d'" % k, "md5((%s + %d)::text)" % (i, k), "repeat('long ' || %s, 900)" % i,
                         "(SELECT string_agg(md5((g + %s)::text), '') FROM generate_series(1, 150) g)" % i, "'%d'" % k])
        simple = {
            'integer': numbers, 'bigint': numbers, 'smallint': '((%s) %% 1000)::smallint' % numbers, 'oid': '(%s)::oid' % numbers,
            'text': text, 'character varying': text if base == type else 'left(%s, 5)' % text, 'character': "left('c' || %s, 5)" % i, 'name': "('n' || %s)::name" % i,
            'numeric': '((%s) %% 9999) * 1.25' % numbers, 'double precision': '((%s) * 0.5)::float8' % numbers, 'real': '((%s) * 0.5)::float4' % numbers,
            'boolean': '(%s) %% %d = 0' % (i, k % 3 + 2), 'date': "date '2024-01-01' + (%s)::int" % numbers,
            'timestamp without time zone': "timestamp '2024-01-01' + (%s) * interval '1 hour'" % numbers,
            'timestamp with time zone': "timestamptz '2024-01-01 00:00+00' + (%s) * interval '1 hour'" % numbers,
            'time without time zone': "time '10:00'", 'interval': "(%s) * interval '1 minute'" % numbers,
            'jsonb': "jsonb_build_object('n', %s, 'k', %d)" % (i, k), 'json': "json_build_object('n', %s)" % i,
            'uuid': "md5((%s)::text)::uuid" % numbers, 'bytea': "decode(md5((%s)::text), 'hex')" % numbers,
            'inet': "('10.0.%d.' || (%s) %% 250)::inet" % (k, i), 'macaddr': "'08:00:2b:01:02:0%d'::macaddr" % k,
            'int4range': 'int4range((%s)::int, (%s)::int + 3)' % (i, i), 'numrange': 'numrange(%d, %d)' % (k, k + 5),
            'int4multirange': "'{[1,%d)}'::int4multirange" % (k + 3), 'tsvector': "to_tsvector('simple', %s)" % text,
            'bit varying': "B'101'", 'point': 'point(%s, %d)' % (i, k), 'money': '(%s)::money' % numbers, 'xid8': "'%d'::xid8" % k,
            'regclass': "'pg_class'::regclass", 'public.citext': "('Ci' || %s)::public.citext" % i, 'public.hstore': "public.hstore('k', (%s)::text)" % i,
            'public.ltree': "('a.b' || (%s))::public.ltree" % i,
        }
        found = simple.get(type) or simple.get(base) or "NULL"
        return 'CASE WHEN (%s) %% %d = 1 THEN NULL ELSE %s END' % (i, k + 4, found) if not depth and self.chance(0.12) else found

    def constant(self, type):
        return self.value(type, str(self.r.randint(1, 40)))

    @staticmethod
    def quote(text):
        return "'" + text.replace("'", "''") + "'"

    # -- expressions over columns
    def test(self, t, prefix='', col=None):
        """A condition over a row that is true of some."""
        c = col or self.column(t)
        if not c:
            return 'true'
        q = prefix + c['n']
        return self.one([
            'hashtext(%s::text) %% %d = %d' % (q, self.r.randint(2, 4), self.r.randint(-1, 1)), '%s IS NOT NULL' % q, '%s IS NULL' % q,
            'length(%s::text) > %d' % (q, self.r.randint(1, 6)), '%s::text <> %s' % (q, self.quote('v%d' % self.r.randint(1, 30)))])

    def immutable(self, c):
        """An expression over a column that an index or a generated column may have."""
        q, t = c['n'], c['b']
        if t in ('text', 'character varying', 'character', 'name'):
            return self.one(['lower(%s::text)', 'length(%s::text)', "(%s::text || 'x')", 'md5(%s::text)', 'upper(left(%s::text, 20))']) % q
        if t in ('integer', 'bigint', 'smallint', 'numeric'):
            return self.one(['(%s + 1)', '(%s * 2)', '(-%s)', 'abs(%s)', '(%s %% 10)']) % q
        if t == 'jsonb':
            return self.one(["(%s ->> 'n')", "(%s -> 'k')"]) % q
        if t in ('integer[]', 'text[]'):
            return 'cardinality(%s)' % q
        return self.one(['(%s IS NULL)', 'coalesce(%s, NULL)']) % q

    def column_list(self, t, most=3, cond=None):
        return ', '.join(c['n'] for c in self.some((c for c in t['cols'] if cond is None or cond(c)), most))
