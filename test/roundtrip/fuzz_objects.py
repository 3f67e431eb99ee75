"""fuzz_objects.py: random statements about views, functions, triggers, types, privileges and all other objects."""
from fuzz_gen import COMMON, kind
from fuzz_rows import insert, update_rows
from fuzz_tables import add_column, alter_column, alter_type, column, create_table

# -- views


def query(g):
    """A query that a view may have."""
    t = g.table('rpvm')
    if not t or not t['cols']:
        return None
    cols = g.some(t['cols'], 5)
    names = ', '.join('x.%s' % c['n'] for c in cols)
    what = g.r.random()
    if what < 0.1:
        return 'SELECT %s FROM %s x' % ('*', t['q'])
    if what < 0.5:
        return 'SELECT %s FROM %s x%s' % (names, t['q'], g.one(['', ' WHERE ' + g.test(t, 'x.')]))
    if what < 0.65:
        return 'SELECT x.%s AS g, count(*) AS n FROM %s x GROUP BY 1%s' % (cols[0]['n'], t['q'], g.one(['', ' HAVING count(*) > 0']))
    u = g.table('rpvm')
    if what < 0.85 and u['cols']:
        c = g.column(u)
        return 'SELECT x.%s AS a, y.%s AS b FROM %s x %s JOIN %s y ON x.%s::text = y.%s::text' % (
            cols[0]['n'], c['n'], t['q'], g.one(['', 'LEFT']), u['q'], cols[0]['n'], c['n'])
    fn = g.one(f for f in g.m['functions'] if f['kind'] == 'f' and f['types'] == ['integer'] and f['ret'] == 'integer')
    if fn:
        return 'SELECT %s(length(x.%s::text)) AS f, x.* FROM %s x' % (fn['n'], cols[0]['n'], t['q'])
    return 'WITH w AS (SELECT %s FROM %s x) SELECT *, 1 AS one FROM w UNION ALL SELECT *, 2 FROM w' % (names, t['q'])


@kind(5, 6)
def create_view(g):
    q = query(g)
    if q:
        return 'CREATE %sVIEW %s%s AS %s%s' % (g.one(['', 'OR REPLACE ']), g.new('v', 20), g.one(['', '', ' WITH (security_barrier)', ' WITH (security_invoker = true)']), q,
                                              g.one(['', '', '', ' WITH LOCAL CHECK OPTION', ' WITH CHECK OPTION']))


@kind(2, 2)
def create_matview(g):
    q = query(g)
    if q:
        return 'CREATE MATERIALIZED VIEW %s AS %s%s' % (g.new('mv', 20), q, g.one(['', '', '', ' WITH NO DATA']))


@kind(4, 1)
def alter_view(g):
    t = g.table('vm')
    if not t:
        return None
    if t['kind'] == 'm':
        return g.one(['REFRESH MATERIALIZED VIEW %s%s' % (t['q'], g.one(['', '', ' WITH NO DATA']))] * 2 + ['DROP MATERIALIZED VIEW %s CASCADE' % t['q'], 'REFRESH MATERIALIZED VIEW CONCURRENTLY ' + t['q'],
                     'ALTER MATERIALIZED VIEW %s SET (fillfactor = 80)' % t['q'], 'ALTER MATERIALIZED VIEW %s ALTER COLUMN %s SET STATISTICS 9' % (t['q'], g.column(t)['n'] if t['cols'] else 'x')])
    c = g.column(t)
    q = query(g)
    return g.one(['DROP VIEW %s CASCADE' % t['q'], 'DROP VIEW ' + t['q'], 'ALTER VIEW %s SET (security_barrier = true)' % t['q'], 'ALTER VIEW %s RESET (security_barrier)' % t['q'],
                  'CREATE OR REPLACE VIEW %s AS SELECT *, 7 AS more%d FROM (%s) z' % (t['q'], g.r.randint(1, 4), q or 'SELECT 1'),
                  "DO $d$DECLARE d text := pg_get_viewdef('%s'::regclass); BEGIN EXECUTE 'CREATE OR REPLACE VIEW %s AS SELECT z.*, 1 AS more%d FROM (' || rtrim(d, ';') || ') z'; END$d$" % (t['q'], t['q'], g.r.randint(1, 4)),
                  'ALTER VIEW %s ALTER COLUMN %s SET DEFAULT %s' % (t['q'], c['n'], g.constant(c['t'])) if c else None])


@kind(2, 2)
def create_rule(g):
    t = g.table('rpv')
    log = g.table('r')
    if t and log and t['cols']:
        event = g.one(['INSERT', 'UPDATE', 'DELETE'])
        action = g.one(['INSTEAD NOTHING', 'ALSO NOTHING', 'ALSO ' + insert(g, log, 1), 'INSTEAD UPDATE %s SET %s = NULL' % (log['q'], g.column(log)['n']) if log['cols'] else 'NOTHING',
                        'ALSO NOTIFY heard' if g.chance(0.02) else 'ALSO NOTHING'])
        where = '' if event == 'INSERT' and g.chance(0.5) else g.one(['', ' WHERE ' + g.test(t, 'OLD.' if event != 'INSERT' else 'NEW.')])
        return 'CREATE %sRULE %s AS ON %s TO %s%s DO %s' % (g.one(['', 'OR REPLACE ']), g.name('r', 9), event, t['q'], where, action)


# -- functions and triggers


@kind(4, 6)
def create_function(g):
    name = g.new('f', 12)
    t = g.table('rpv')
    head = 'CREATE OR REPLACE FUNCTION ' if g.chance(0.6) else 'CREATE FUNCTION '
    tail = g.one(['', '', ' STABLE', ' IMMUTABLE', ' STRICT', ' SECURITY DEFINER', " SET work_mem = '8MB'", ' COST 50', ' PARALLEL SAFE', ' LEAKPROOF' if g.chance(0.2) else ''])
    k = g.r.randint(1, 99)
    if t and t['cols']:
        c = g.column(t)
    forms = ['(a integer) RETURNS integer LANGUAGE sql IMMUTABLE AS $$SELECT a + %d$$' % k, '(a integer) RETURNS integer LANGUAGE sql IMMUTABLE BEGIN ATOMIC SELECT a + %d; END' % k,
             "(a integer, b text DEFAULT 'x%d') RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$BEGIN RETURN b || a; END$$" % k,
             '(a text) RETURNS text LANGUAGE sql IMMUTABLE RETURN upper(a)', '(VARIADIC a integer[]) RETURNS integer LANGUAGE sql AS $$SELECT cardinality(a)$$',
             '(OUT x integer, OUT y text) LANGUAGE sql AS $$SELECT 1, %s$$' % g.quote('k%d' % k), "() RETURNS TABLE (u integer, w text) LANGUAGE plpgsql AS $$BEGIN RETURN QUERY SELECT 1, 'x'; END$$"]
    if t and t['cols']:
        forms += ['() RETURNS SETOF %s LANGUAGE sql STABLE AS $$SELECT * FROM %s$$' % (t['q'], t['q']), '() RETURNS bigint LANGUAGE sql STABLE BEGIN ATOMIC SELECT count(x.%s) FROM %s x; END' % (c['n'], t['q']),
                  '(x %s) RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT $1::text$$' % t['q'], '(x %s) RETURNS %s LANGUAGE sql AS $$SELECT x$$' % (c['b'], c['b']),
                  '() RETURNS bigint LANGUAGE plpgsql AS $$DECLARE v %s.%s%%TYPE; n bigint; BEGIN SELECT count(*) INTO n FROM %s; RETURN n; END$$' % (t['q'], c['n'], t['q'])]
    return head + name + g.one(forms) + tail


@kind(2, 3)
def create_trigger_function(g):
    log = g.table('r')
    body = g.one(['RETURN NEW;', 'RETURN NULL;', 'IF TG_OP = \'DELETE\' THEN RETURN OLD; END IF; RETURN NEW;',
                  "BEGIN %s; EXCEPTION WHEN OTHERS THEN NULL; END; RETURN NEW;" % insert(g, log, 1) if log else 'RETURN NEW;'])
    return 'CREATE OR REPLACE FUNCTION %s() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN %s END$$' % (g.new('tf', 6), body)


@kind(4, 4)
def create_trigger(g):
    t = g.table('rpv')
    f = g.one(f for f in g.m['functions'] if f['ret'] == 'trigger')
    if not t or not f:
        return None
    events = ' OR '.join(g.some(['INSERT', 'UPDATE', 'DELETE'], 3))
    c = g.column(t)
    if t['kind'] == 'v':
        return 'CREATE TRIGGER %s INSTEAD OF %s ON %s FOR EACH ROW EXECUTE FUNCTION %s()' % (g.name('tr', 12), events, t['q'], f['n'])
    form = g.r.random()
    when = ''
    if c and events == 'UPDATE':
        when = g.one(['', ' WHEN (OLD.%s IS DISTINCT FROM NEW.%s)' % (c['n'], c['n']), ''])
        if g.chance(0.4):
            events = 'UPDATE OF ' + c['n']
    if form < 0.15:
        return 'CREATE CONSTRAINT TRIGGER %s AFTER %s ON %s %sFOR EACH ROW%s EXECUTE FUNCTION %s()' % (
            g.name('tr', 12), events, t['q'], g.one(['', 'DEFERRABLE INITIALLY DEFERRED ', 'DEFERRABLE ']), when, f['n'])
    if form < 0.3:
        event = g.one(['INSERT', 'UPDATE', 'DELETE'])
        refs = {'INSERT': 'NEW TABLE AS n', 'UPDATE': 'OLD TABLE AS o NEW TABLE AS n', 'DELETE': 'OLD TABLE AS o'}[event]
        return 'CREATE TRIGGER %s AFTER %s ON %s REFERENCING %s FOR EACH %s EXECUTE FUNCTION %s()' % (g.name('tr', 12), event, t['q'], refs, g.one(['ROW', 'STATEMENT', 'STATEMENT']), f['n'])
    if form < 0.5:
        return 'CREATE TRIGGER %s %s %s ON %s FOR EACH STATEMENT EXECUTE FUNCTION %s(%s)' % (g.name('tr', 12), g.one(['BEFORE', 'AFTER']), g.one([events, 'TRUNCATE']), t['q'], f['n'], g.one(['', "'x', 'y'"]))
    return 'CREATE %sTRIGGER %s %s %s ON %s FOR EACH ROW%s EXECUTE FUNCTION %s()' % (g.one(['', 'OR REPLACE ']), g.name('tr', 12), g.one(['BEFORE', 'AFTER']), events, t['q'], when, f['n'])


@kind(3, 1)
def alter_attached(g):
    """Triggers, rules and policies go or get another name."""
    what, word = g.one([('triggers', 'TRIGGER'), ('rules', 'RULE'), ('policies', 'POLICY')])
    x = g.one(x for x in g.m[what] if x['t'] in g.by_oid)
    if x:
        t = g.by_oid[x['t']]['q']
        return g.one(['DROP %s %s ON %s' % (word, x['n'], t), 'ALTER %s %s ON %s RENAME TO %s' % (word, x['n'], t, g.name(x['n'].strip('"')[:2], 20)),
                      'ALTER POLICY %s ON %s USING (%s)' % (x['n'], t, g.test(g.by_oid[x['t']])) if word == 'POLICY' else
                      'ALTER TRIGGER %s ON %s DEPENDS ON EXTENSION %s' % (x['n'], t, g.one(g.m['extensions']) or 'plpgsql') if word == 'TRIGGER' else 'SELECT 1'])


@kind(4, 1)
def alter_function(g):
    f = g.one(g.m['functions'])
    if not f:
        return None
    word = {'f': 'FUNCTION', 'p': 'PROCEDURE', 'a': 'AGGREGATE', 'w': 'FUNCTION'}[f['kind']]
    sig = '%s %s(%s)' % (word, f['n'], f['args'])
    forms = ['DROP %s%s' % (sig, g.one(['', ' CASCADE'])), 'ALTER %s RENAME TO %s' % (sig, g.name('f', 12)), 'ALTER %s SET SCHEMA %s' % (sig, g.schema()), 'ALTER %s OWNER TO %s' % (sig, g.role())]
    if f['kind'] == 'f':
        forms += ['ALTER %s %s' % (sig, g.one(['STRICT', 'COST 7', 'STABLE', 'VOLATILE', 'SECURITY DEFINER', 'PARALLEL RESTRICTED', "SET search_path = s1, pg_temp", 'RESET ALL', 'CALLED ON NULL INPUT', 'LEAKPROOF']))] * 4
        forms += ['ALTER %s DEPENDS ON EXTENSION %s' % (sig, g.one(g.m['extensions']) or 'plpgsql')]
    return g.one(forms)


@kind(1, 1)
def create_procedure(g):
    t = g.table('r')
    name = g.new('pr', 6)
    out = ['CREATE OR REPLACE PROCEDURE %s(a integer) LANGUAGE plpgsql AS $$BEGIN %s; END$$' % (name, insert(g, t, 2) if t else 'NULL')]
    return out + (['CALL %s(1)' % name] if g.chance(0.6) else [])


@kind(1, 1)
def create_aggregate(g):
    f = g.one(f for f in g.m['functions'] if f['types'] == ['integer', 'integer'] and f['ret'] == 'integer')
    name = f['n'] if f else 'pg_catalog.int4pl'
    return 'CREATE AGGREGATE %s(integer) (SFUNC = %s, STYPE = integer%s)' % (g.new('ag', 5), name, g.one(['', ", INITCOND = '0'", ', COMBINEFUNC = pg_catalog.int4pl']))


@kind(1.5, 1)
def operators(g):
    s, n = g.schema(), g.one(['===', '<~>', '@@@', '+++'])
    op = g.one(g.m['operators'])
    forms = ['CREATE OPERATOR %s.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = %s)' % (s, n, a, a, f) for a, f in
             (('integer', 'pg_catalog.int4eq'), ('text', 'pg_catalog.texteq'), ('boolean', 'pg_catalog.booleq'))]
    if op:
        sig = '%s (%s, %s)' % (op['q'], op['l'], op['r'])
        forms += ['DROP OPERATOR %s CASCADE' % sig, 'ALTER OPERATOR %s SET (RESTRICT = eqsel, JOIN = eqjoinsel)' % sig, 'ALTER OPERATOR %s SET SCHEMA %s' % (sig, g.schema()),
                  'ALTER OPERATOR %s OWNER TO %s' % (sig, g.role())] * 2
    forms += ['CREATE OPERATOR FAMILY %s USING btree' % g.new('of', 4), 'DROP OPERATOR FAMILY %s USING btree CASCADE' % g.new('of', 4),
              'CREATE OPERATOR CLASS %s FOR TYPE integer USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint4cmp(integer, integer)' % g.new('oc', 4),
              'ALTER OPERATOR FAMILY %s USING btree ADD OPERATOR 1 < (integer, bigint), OPERATOR 3 = (integer, bigint), FUNCTION 1 (integer, bigint) btint48cmp(integer, bigint)' % g.new('of', 4)]
    return g.one(forms)


@kind(0.8, 0.5)
def casts(g):
    t = g.one(t for t in g.m['types'] if t['tt'] in 'ec')
    if g.m['casts'] and g.chance(0.5):
        return 'DROP CAST %s CASCADE' % g.one(g.m['casts'])
    if t:
        return 'CREATE CAST (%s AS %s) WITH INOUT%s' % (t['q'], g.one(['integer', 'text', 'jsonb']), g.one(['', ' AS ASSIGNMENT', ' AS IMPLICIT']))


# -- types


@kind(3, 5)
def create_type(g):
    name = g.new('ty', 12)
    what = g.r.random()
    if what < 0.4:
        return "CREATE TYPE %s AS ENUM (%s)" % (name, ', '.join("'%s'" % l for l in ['v1', 'v2', 'v3', 'v4', 'v5'][:g.r.randint(0, 5)]))
    if what < 0.6:
        return 'CREATE TYPE %s AS (%s)' % (name, ', '.join('a%d %s' % (i, g.type()) for i in range(1, g.r.randint(2, 5))))
    if what < 0.68:
        return 'CREATE TYPE %s AS RANGE (SUBTYPE = %s%s)' % (name, g.one(['integer', 'numeric', 'text', 'bigint']), g.one(['', ', MULTIRANGE_TYPE_NAME = %s' % g.new('mr', 9)]))
    if what < 0.7:
        return 'CREATE TYPE %s' % name
    base = g.type(0.3)
    return 'CREATE DOMAIN %s AS %s%s' % (name, base, g.one(['', ' NOT NULL', " CHECK (VALUE IS NULL OR length(VALUE::text) < 100000)", ' DEFAULT ' + g.constant(base),
                                                           " CONSTRAINT dk1 CHECK (VALUE::text <> 'never')"]))


@kind(7, 1)
def alter_type_object(g):
    t = g.one(g.m['types'])
    if not t:
        return None
    q = t['q']
    common = [('DROP %s %s%s' % ('DOMAIN' if t['tt'] == 'd' else 'TYPE', q, g.one(['', ' CASCADE', ' CASCADE']))), 'ALTER TYPE %s RENAME TO %s' % (q, g.name('ty', 12)), 'ALTER TYPE %s SET SCHEMA %s' % (q, g.schema()),
              'ALTER TYPE %s OWNER TO %s' % (q, g.role())]
    if t['tt'] == 'e':
        labels = t['labels'] or []
        forms = ["ALTER TYPE %s ADD VALUE '%s'" % (q, 'v%d' % g.r.randint(1, 30))] * 4
        if labels:
            l = g.quote(g.one(labels))
            forms += ["ALTER TYPE %s ADD VALUE IF NOT EXISTS '%s' %s %s" % (q, 'n%d' % g.r.randint(1, 30), g.one(['BEFORE', 'AFTER']), l), "ALTER TYPE %s RENAME VALUE %s TO '%s'" % (q, l, 'x%d' % g.r.randint(1, 30))] * 3
    elif t['tt'] == 'd':
        k = g.one(k for k in g.m['constraints'] if k['d'] == t['oid'])
        forms = ['ALTER DOMAIN %s SET DEFAULT %s' % (q, g.constant(t['base'])), 'ALTER DOMAIN %s DROP DEFAULT' % q, 'ALTER DOMAIN %s SET NOT NULL' % q, 'ALTER DOMAIN %s DROP NOT NULL' % q,
                 "ALTER DOMAIN %s ADD CHECK (VALUE::text <> 'nope%d')%s" % (q, g.r.randint(1, 9), g.one(['', ' NOT VALID']))] * 2
        if k:
            forms += ['ALTER DOMAIN %s DROP CONSTRAINT %s' % (q, k['n']), 'ALTER DOMAIN %s VALIDATE CONSTRAINT %s' % (q, k['n']), 'ALTER DOMAIN %s RENAME CONSTRAINT %s TO %s' % (q, k['n'], g.name('dk', 9))] * 3
    elif t['tt'] == 'c':
        a = g.one(t['attrs'] or [])
        forms = ['ALTER TYPE %s ADD ATTRIBUTE %s %s%s' % (q, g.name('a', 12), g.type(), g.one(['', ' CASCADE']))] * 3
        if a:
            forms += ['ALTER TYPE %s DROP ATTRIBUTE %s%s' % (q, a['n'], g.one(['', ' CASCADE'])), 'ALTER TYPE %s ALTER ATTRIBUTE %s TYPE %s%s' % (q, a['n'], g.one(['text', 'bigint', g.type()]), g.one(['', ' CASCADE'])),
                      'ALTER TYPE %s RENAME ATTRIBUTE %s TO %s%s' % (q, a['n'], g.name('a', 12), g.one(['', ' CASCADE']))] * 2
    else:
        forms = ['ALTER TYPE %s RENAME TO %s' % (q, g.name('ty', 12))]
    return g.one(common + forms)


# -- sequences, schemas


@kind(2, 3)
def create_sequence(g):
    t = g.table('r')
    c = t and g.column(t)
    return 'CREATE %sSEQUENCE %s%s%s' % (g.one(['', '', '', 'UNLOGGED ']), g.new('sq', 9), g.one(['', ' AS smallint', ' START 50 INCREMENT 3', ' MAXVALUE 9999 CYCLE', ' CACHE 5']),
                                        ' OWNED BY %s.%s' % (t['q'], c['n']) if c and g.chance(0.2) else '')


@kind(5, 2)
def alter_sequence(g):
    s = g.one(g.m['sequences'])
    if not s:
        return None
    q, t = s['q'], g.table('r')
    c = t and g.column(t)
    return g.one(['SELECT setval(%s, %d%s)' % (g.quote(q), g.r.randint(50, 900), g.one(['', ', false'])), 'SELECT nextval(%s)' % g.quote(q), 'SELECT nextval(%s) FROM generate_series(1, 40)' % g.quote(q),
                  'ALTER SEQUENCE %s RESTART' % q, 'ALTER SEQUENCE %s RESTART WITH %d' % (q, g.r.randint(5, 99)), 'ALTER SEQUENCE %s INCREMENT BY 4 MINVALUE -5' % q, 'ALTER SEQUENCE %s AS bigint' % q, 'DROP SEQUENCE %s%s' % (q, g.one(['', ' CASCADE'])),
                  'ALTER SEQUENCE %s RENAME TO %s' % (q, g.name('sq', 9)), 'ALTER SEQUENCE %s SET SCHEMA %s' % (q, g.schema()), 'ALTER SEQUENCE %s OWNED BY NONE' % q, 'ALTER SEQUENCE %s OWNER TO %s' % (q, g.role()),
                  'ALTER SEQUENCE %s OWNED BY %s.%s' % (q, t['q'], c['n']) if c else None, 'ALTER SEQUENCE %s SET %s' % (q, g.one(['LOGGED', 'UNLOGGED'])), 'ALTER SEQUENCE %s CACHE 9' % q]) or None


@kind(2, 2)
def schemas(g):
    s = g.one(s for s in g.m['schemas'] if s != 'public')
    forms = ['CREATE SCHEMA %s' % g.name('s', 6), 'CREATE SCHEMA IF NOT EXISTS %s AUTHORIZATION %s' % (g.name('s', 6), g.role()), 'CREATE SCHEMA %s CREATE TABLE st (id integer PRIMARY KEY, b text) CREATE VIEW sv AS SELECT b FROM st' % g.name('s', 6)]
    if s and not g.base:
        forms += ['ALTER SCHEMA %s RENAME TO %s' % (s, g.name('s', 6)), 'DROP SCHEMA %s%s' % (s, g.one([' CASCADE', ''])), 'ALTER SCHEMA %s OWNER TO %s' % (s, g.role())]
    return g.one(forms)


# -- comments, privileges, roles


def anything(g):
    """Something that a comment or a grant can be about: a word and a name."""
    t, f, y, q, i = g.table('rpvm'), g.one(g.m['functions']), g.one(g.m['types']), g.one(g.m['sequences']), g.one(g.m['indexes'])
    out = [('SCHEMA', g.schema())]
    if t:
        out += [({'r': 'TABLE', 'p': 'TABLE', 'v': 'VIEW', 'm': 'MATERIALIZED VIEW'}[t['kind']], t['q'])] * 3
        if t['cols']:
            out += [('COLUMN', t['q'] + '.' + g.column(t)['n'])] * 2
    if f:
        out.append(({'f': 'FUNCTION', 'p': 'PROCEDURE', 'a': 'AGGREGATE', 'w': 'FUNCTION'}[f['kind']], '%s(%s)' % (f['n'], f['args'])))
    if y:
        out.append(('TYPE', y['q']))
    if q:
        out.append(('SEQUENCE', q['q']))
    if i:
        out.append(('INDEX', i['q']))
    for what, word in (('triggers', 'TRIGGER'), ('rules', 'RULE'), ('policies', 'POLICY'), ('constraints', 'CONSTRAINT')):
        x = g.one(x for x in g.m[what] if x['t'] in g.by_oid)
        if x:
            out.append((word, '%s ON %s' % (x['n'], g.by_oid[x['t']]['q'])))
    for what, word in (('stats', 'STATISTICS'), ('extensions', 'EXTENSION'), ('event_triggers', 'EVENT TRIGGER'), ('roles', 'ROLE'), ('lobs', 'LARGE OBJECT'), ('collations', 'COLLATION'), ('casts', 'CAST')):
        x = g.one(g.m[what])
        if x:
            out.append((word, x))
    return g.one(out)


@kind(3, 3)
def comment(g):
    word, name = anything(g)
    return 'COMMENT ON %s %s IS %s' % (word, name, g.one(["'about %d'" % g.r.randint(1, 99), "'it''s\nlonger'", 'NULL']))


@kind(5, 4)
def grant(g):
    t, f = g.table('rpvm'), g.one(g.m['functions'])
    role = g.one([g.role(), g.role(), 'PUBLIC'])
    verb, prep = g.one([('GRANT', 'TO'), ('GRANT', 'TO'), ('REVOKE', 'FROM')])
    more = ' WITH GRANT OPTION' if verb == 'GRANT' and role != 'PUBLIC' and g.chance(0.15) else ' CASCADE' if verb == 'REVOKE' and g.chance(0.3) else ''
    forms = ['USAGE%s ON SCHEMA %s' % (g.one(['', ', CREATE']), g.schema()), 'SELECT ON ALL TABLES IN SCHEMA s1', 'EXECUTE ON ALL FUNCTIONS IN SCHEMA s2', 'USAGE ON ALL SEQUENCES IN SCHEMA s1']
    if t:
        forms += ['%s ON %s' % (g.one(['ALL', 'SELECT', 'SELECT, INSERT', 'UPDATE, DELETE', 'TRIGGER', 'REFERENCES', 'TRUNCATE']), t['q'])] * 4
        if t['cols']:
            forms += ['%s (%s) ON %s' % (g.one(['SELECT', 'UPDATE', 'INSERT', 'REFERENCES']), g.column_list(t, 3), t['q'])] * 3
    if f and f['kind'] == 'f':
        forms.append('EXECUTE ON FUNCTION %s(%s)' % (f['n'], f['args']))
    if g.m['types']:
        forms.append('USAGE ON TYPE %s' % g.one(g.m['types'])['q'])
    if g.m['sequences']:
        forms.append('USAGE, SELECT ON SEQUENCE %s' % g.one(g.m['sequences'])['q'])
    if g.m['lobs']:
        forms.append('SELECT ON LARGE OBJECT %d' % g.one(g.m['lobs']))
    if g.chance(0.1):
        return '%s %s %s %s' % (verb, g.role(), prep, g.role())
    if g.chance(0.05):
        forms = ['CONNECT ON DATABASE {db}' if False else 'EXECUTE ON FUNCTION pg_catalog.pg_sleep(double precision)', 'SELECT ON pg_catalog.pg_authid', 'USAGE ON LANGUAGE plpgsql', 'SET ON PARAMETER work_mem']
    return '%s %s %s %s%s' % (verb, g.one(forms), prep, role, more)


@kind(2, 1)
def default_privileges(g):
    verb, prep = g.one([('GRANT', 'TO'), ('GRANT', 'TO'), ('REVOKE', 'FROM')])
    return 'ALTER DEFAULT PRIVILEGES%s%s %s %s %s %s' % (g.one(['', ' FOR ROLE ' + g.role()]), g.one(['', ' IN SCHEMA ' + g.schema()]), verb,
           g.one(['SELECT ON TABLES', 'ALL ON TABLES', 'EXECUTE ON FUNCTIONS', 'USAGE ON SEQUENCES', 'USAGE ON TYPES']), prep, g.one([g.role(), 'PUBLIC']))


@kind(3, 2)
def owner(g):
    word, name = anything(g)
    if word in ('COLUMN', 'INDEX', 'TRIGGER', 'RULE', 'POLICY', 'CONSTRAINT', 'ROLE', 'EXTENSION', 'CAST'):
        return 'REASSIGN OWNED BY %s TO %s' % (g.role(), g.role()) if g.chance(0.15) else 'DROP OWNED BY %s%s' % (g.role(), g.one(['', ' CASCADE'])) if g.chance(0.05) and not g.base else None
    return 'ALTER %s %s OWNER TO %s' % (word, name, g.role())


@kind(2, 1)
def roles(g):
    r = g.name('fz_r', 5)
    mine = g.one(r for r in g.m['roles'] if r not in ('fz_owner', 'fz_a', 'fz_b'))
    forms = ['CREATE ROLE %s %s' % (r, g.one(['', 'LOGIN', 'NOINHERIT', "PASSWORD 'x'", 'ROLE fz_a', 'IN ROLE fz_b', "VALID UNTIL '2030-01-01'", 'CONNECTION LIMIT 5']))] * 2
    if mine and not g.base:
        forms += ['DROP ROLE %s' % mine, 'ALTER ROLE %s RENAME TO %s' % (mine, r), 'ALTER ROLE %s %s' % (mine, g.one(['CREATEDB', 'NOLOGIN', 'LOGIN', 'NOINHERIT'])), "ALTER ROLE %s SET work_mem = '9MB'" % mine,
                  "ALTER ROLE %s IN DATABASE upg_fuzz SET work_mem = '7MB'" % mine, 'ALTER ROLE %s RESET ALL' % mine, "COMMENT ON ROLE %s IS 'role'" % mine]
    if not g.base:
        forms += ["ALTER DATABASE upg_fuzz SET %s" % g.one(["work_mem = '6MB'", 'search_path = public, s1', 'lock_timeout = 9000']), 'ALTER DATABASE upg_fuzz RESET ALL', "COMMENT ON DATABASE upg_fuzz IS 'db %d'" % g.r.randint(1, 9),
                  'ALTER DATABASE upg_fuzz CONNECTION LIMIT 90', 'GRANT CONNECT ON DATABASE upg_fuzz TO fz_a', 'REVOKE TEMPORARY ON DATABASE upg_fuzz FROM PUBLIC']
    return g.one(forms)


# -- the rest


@kind(2, 2)
def policies(g):
    t = g.table('rp')
    if t and t['cols']:
        return 'CREATE POLICY %s ON %s%s%s TO %s %s' % (g.name('po', 9), t['q'], g.one(['', ' AS RESTRICTIVE']), g.one(['', ' FOR SELECT', ' FOR UPDATE']), g.one([g.role(), 'PUBLIC']), 'USING (%s)' % g.test(t))


@kind(2, 2)
def statistics(g):
    t = g.table('rpm')
    if g.m['stats'] and g.chance(0.5):
        return g.one(['DROP STATISTICS %s', 'ALTER STATISTICS %%s SET STATISTICS %d' % g.r.randint(0, 99), 'ALTER STATISTICS %%s RENAME TO %s' % g.name('st', 9), 'ALTER STATISTICS %%s SET SCHEMA %s' % g.schema()]) % g.one(g.m['stats'])
    if t and len(t['cols']) > 1:
        a, b = g.r.sample(t['cols'], 2)
        return 'CREATE STATISTICS %s%s ON %s, %s FROM %s' % (g.new('st', 9), g.one(['', ' (ndistinct)', ' (dependencies, mcv)']), a['n'], g.one([b['n'], '(%s::text)' % b['n'] if b['b'] in COMMON[:3] else b['n']]), t['q'])


@kind(2, 1)
def publications(g):
    p, t = g.one(g.m['pubs']), g.table('rp')
    if not t:
        return None
    spec = 'TABLE %s%s%s' % (g.one(['', 'ONLY ']), t['q'], g.one(['', '', ' (%s)' % g.column_list(t, 3) if t['cols'] else '', " WHERE (%s IS NOT NULL)" % g.column(t)['n'] if t['cols'] else '']))
    schema = 'TABLES IN SCHEMA ' + g.schema()
    forms = ['CREATE PUBLICATION %s FOR %s' % (g.name('pub', 4), g.one([spec, spec, schema, 'ALL TABLES'])) + g.one(['', " WITH (publish = 'insert')", ' WITH (publish_via_partition_root)'])]
    if p:
        forms += ['ALTER PUBLICATION %s %s %s' % (p['n'], g.one(['ADD', 'SET', 'DROP']), g.one([spec, spec, 'TABLE ' + t['q'], schema]))] * 3 + ['DROP PUBLICATION ' + p['n'], "ALTER PUBLICATION %s SET (publish = 'insert, update')" % p['n'],
                  'ALTER PUBLICATION %s RENAME TO %s' % (p['n'], g.name('pub', 4)), 'ALTER PUBLICATION %s OWNER TO %s' % (p['n'], g.role())]
    return g.one(forms)


@kind(1.5, 1)
def text_search(g):
    x = g.one(g.m['ts'])
    forms = ['CREATE TEXT SEARCH CONFIGURATION %s (COPY = pg_catalog.%s)' % (g.new('ts', 4), g.one(['simple', 'english'])), 'CREATE TEXT SEARCH DICTIONARY %s (TEMPLATE = pg_catalog.simple, ACCEPT = false)' % g.new('td', 4)]
    if x:
        forms += ['ALTER TEXT SEARCH %s %s RENAME TO %s' % (x['k'], x['q'], g.name('ts', 4)), 'DROP TEXT SEARCH %s %s CASCADE' % (x['k'], x['q']), 'ALTER TEXT SEARCH %s %s SET SCHEMA %s' % (x['k'], x['q'], g.schema())]
        d = g.one(d for d in g.m['ts'] if d['k'] == 'DICTIONARY')
        if x['k'] == 'CONFIGURATION':
            forms += ['ALTER TEXT SEARCH CONFIGURATION %s %s' % (x['q'], g.one(['DROP MAPPING FOR email', 'ALTER MAPPING FOR word WITH %s' % (d['q'] if d else 'simple'), 'ALTER MAPPING REPLACE simple WITH english_stem', 'ADD MAPPING FOR email WITH simple']))] * 3
        else:
            forms += ['ALTER TEXT SEARCH DICTIONARY %s (ACCEPT = true)' % x['q']] * 2
    return g.one(forms)


@kind(1.5, 1)
def extensions(g):
    e = g.one(g.m['extensions'])
    forms = ['CREATE EXTENSION %s SCHEMA public' % g.one(['citext', 'hstore', 'pg_trgm', 'ltree', 'btree_gist', 'intarray', 'seg'])] * 2
    if e and not g.base:
        t = g.table('r')
        forms += ['DROP EXTENSION %s CASCADE' % e, 'DROP EXTENSION %s' % e, 'ALTER EXTENSION %s ADD TABLE %s' % (e, t['q']) if t else 'SELECT 1', "COMMENT ON EXTENSION %s IS 'mine'" % e, 'ALTER EXTENSION %s SET SCHEMA %s' % (e, g.schema())]
    return g.one(forms)


@kind(1, 0.4)
def event_triggers(g):
    e = g.one(g.m['event_triggers'])
    if e and not (g.base and g.chance(0.7)):
        return g.one(['DROP EVENT TRIGGER %s' % e, 'ALTER EVENT TRIGGER %s %s' % (e, g.one(['DISABLE', 'ENABLE', 'ENABLE ALWAYS', 'RENAME TO ' + g.name('et', 4)]))])
    log = g.table('r')
    f = g.new('ef', 3)
    return ['CREATE OR REPLACE FUNCTION %s() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN %s; END$$' % (f, "BEGIN %s; EXCEPTION WHEN OTHERS THEN NULL; END" % insert(g, log, 1) if log and g.chance(0.5) else 'NULL'),
            'CREATE EVENT TRIGGER %s ON %s EXECUTE FUNCTION %s()' % (g.name('et', 4), g.one(['ddl_command_start', 'ddl_command_end', 'sql_drop', 'table_rewrite']), f)]


@kind(1.5, 1)
def large_objects(g):
    o = g.one(g.m['lobs'])
    forms = ['SELECT lo_create(%d)' % g.r.randint(5001, 5009), "SELECT lo_from_bytea(%d, decode(repeat('ab', %d), 'hex'))" % (g.r.randint(5001, 5009), g.one([3, 3000, 9000]))]
    if o:
        forms += ["SELECT lo_put(%d, %d, '\\x0102')" % (o, g.one([0, 1, 2047, 5000])), 'SELECT lo_unlink(%d)' % o, 'SELECT lo_truncate(lo_open(%d, 131072), %d)' % (o, g.one([0, 7, 3000]))] * 2
    return g.one(forms)


@kind(1, 0.7)
def collations(g):
    c = g.one(g.m['collations'])
    forms = ["CREATE COLLATION %s (LOCALE = 'C')" % g.new('co', 4), "CREATE COLLATION %s FROM \"C\"" % g.new('co', 4), 'CREATE DEFAULT CONVERSION %s FOR \'LATIN1\' TO \'UTF8\' FROM iso8859_1_to_utf8' % g.new('cv', 4)]
    if c:
        forms += ['DROP COLLATION %s CASCADE' % c, 'ALTER COLLATION %s RENAME TO %s' % (c, g.name('co', 4)), 'ALTER COLLATION %s REFRESH VERSION' % c]
    return g.one(forms)


@kind(1, 0.5)
def foreign_data(g):
    n = g.r.randint(1, 3)
    return g.one(['CREATE FOREIGN DATA WRAPPER fw%d' % n, 'CREATE SERVER fs%d FOREIGN DATA WRAPPER fw%d OPTIONS (a \'1\')' % (n, n), 'CREATE USER MAPPING FOR %s SERVER fs%d' % (g.role(), n),
                  'CREATE FOREIGN TABLE %s (a integer, b text) SERVER fs%d OPTIONS (x \'y\')' % (g.new('ft', 4), n), 'ALTER SERVER fs%d OPTIONS (SET a \'2\')' % n, 'ALTER FOREIGN TABLE %s ADD COLUMN c integer OPTIONS (p \'q\')' % g.new('ft', 4),
                  'DROP FOREIGN DATA WRAPPER fw%d CASCADE' % n, 'DROP SERVER fs%d CASCADE' % n, 'DROP FOREIGN TABLE ' + g.new('ft', 4), 'ALTER FOREIGN DATA WRAPPER fw%d OPTIONS (k \'v\')' % n])


# -- how statements are run


def some_statement(g):
    for _ in range(5):
        made = g.one([create_table, add_column, alter_column, alter_type, update_rows, create_view, create_function, grant, alter_type_object])(g)
        if made:
            return made if isinstance(made, str) else '; '.join(made)
    return 'SELECT 1'


@kind(2, 0.3)
def do_block(g):
    """Statements of a block, one of which may fail and is swallowed."""
    one, two = some_statement(g), some_statement(g)
    form = g.r.random()
    if form < 0.5:
        return 'DO $do$BEGIN BEGIN %s; %s; %sEXCEPTION WHEN OTHERS THEN NULL; END; END$do$' % (one, two, g.one(['', 'RAISE EXCEPTION \'no\'; ', 'PERFORM 1 / 0; ']))
    if form < 0.75:
        return 'DO $do$BEGIN FOR i IN 1..3 LOOP BEGIN %s; IF i < 3 THEN RAISE EXCEPTION \'again\'; END IF; EXCEPTION WHEN raise_exception THEN NULL; END; END LOOP; END$do$' % one
    return 'DO $do$BEGIN EXECUTE %s; EXECUTE %s; END$do$' % (g.quote(one), g.quote(two))


@kind(2, 0)
def savepoint(g):
    form = g.one(['ROLLBACK TO SAVEPOINT sp', 'RELEASE SAVEPOINT sp'])
    return ['SAVEPOINT sp', some_statement(g), some_statement(g), form] + ([some_statement(g), 'RELEASE sp'] if 'ROLLBACK' in form else [])


@kind(2, 0)
def settings(g):
    what = g.one([('SET LOCAL search_path = %s' % g.one(['s2, s1', 'pg_catalog', "''", 's1, pg_catalog']), 'RESET search_path'), ('SET LOCAL session_replication_role = replica', 'SET LOCAL session_replication_role = origin'),
                  ('SET CONSTRAINTS ALL DEFERRED', 'SET CONSTRAINTS ALL IMMEDIATE'), ('SET LOCAL ROLE fz_owner', 'RESET ROLE'), ("SET LOCAL datestyle = 'SQL, DMY'", 'RESET datestyle'), ('SET LOCAL default_toast_compression = pglz', 'SELECT 1'),
                  ('SET LOCAL check_function_bodies = off', 'SELECT 1'), ('SET LOCAL standard_conforming_strings = off', 'SET LOCAL standard_conforming_strings = on'), ('SET LOCAL row_security = off', 'SELECT 1'),
                  ('SET LOCAL default_table_access_method = heap', 'SELECT 1'), ('SET LOCAL synchronize_seqscans = off', 'SELECT 1'), ("SET LOCAL extra_float_digits = -3", 'SELECT 1'), ('SET LOCAL plan_cache_mode = force_generic_plan', 'SELECT 1')])
    return [what[0], some_statement(g), some_statement(g), what[1]]


@kind(1, 0)
def temporary(g):
    t = g.table('rp')
    n = g.name('tmp', 5)
    if t and t['cols']:
        return g.one([['CREATE TEMP TABLE %s ON COMMIT DROP AS SELECT * FROM %s' % (n, t['q']), 'UPDATE %s SET %s = NULL' % (n, g.column(t)['n']), 'INSERT INTO %s SELECT * FROM pg_temp.%s ON CONFLICT DO NOTHING' % (t['q'], n)],
                      ['CREATE TEMP TABLE %s (a integer PRIMARY KEY, b text)' % n, "INSERT INTO %s VALUES (1, 'x')" % n, 'DROP TABLE pg_temp.%s' % n],
                      ['CREATE TEMP VIEW %s AS SELECT * FROM %s' % (n, t['q']), 'DROP VIEW pg_temp.%s' % n]])


@kind(1, 0.3)
def labels_by_rows(g):
    """Rows of a generated function that writes: a data migration by a function that goes again."""
    t = g.table('r')
    if t:
        f = g.new('once', 3)
        return ['CREATE FUNCTION %s() RETURNS void LANGUAGE plpgsql AS $$BEGIN %s; END$$' % (f, insert(g, t, 3)), 'SELECT %s()' % f, 'DROP FUNCTION %s()' % f]


@kind(0.7, 0.5)
def like_column(g):
    """A column of the row type of another table."""
    t, o = g.table('rp'), g.table('rp')
    if t and o and t['oid'] != o['oid']:
        return 'ALTER TABLE %s ADD COLUMN %s' % (t['q'], column(g, g.name('w', 5), o['q']))
