"""oracle.py: what oracle.sql says, read again only where something was written.

The log says which pages were written since the last look.  Hashes of catalogs are
sums over their pages, so only such pages are read again, and only tables with one.
Nothing is remembered while a transaction is under way, as rows may then change
without a write to their page.  What is written without log escapes this, so from
time to time cold() reads everything and tells what is not the same.
"""
import re

DERIVED = {
    'dead triggers': ['pg_trigger', 'pg_class'], 'dead rules': ['pg_rewrite', 'pg_class'], 'unseen indexes': ['pg_index', 'pg_class'],
    'unseen children': ['pg_inherits', 'pg_class'], 'columns': ['pg_attribute', 'pg_class'], 'large objects': None,
}
BLOCK = re.compile(r'rel \d+/(\d+)/(\d+) fork main blk (\d+)')
FAR = 4 << 20  # so much log takes longer to read than everything else


def number(lsn):
    high, low = lsn.split('/')
    return (int(high, 16) << 32) + int(low, 16)


class Oracle:
    def __init__(self, session, most):
        self.session, self.most = session, most
        self.rules, self.queries = {}, {}
        for name, expression, condition in self.ask('SELECT catalog, hash, filter FROM rt.oracle WHERE hash IS NOT NULL;'):
            self.rules[name] = expression, condition
        for name, query in self.ask('SELECT catalog, query FROM rt.oracle WHERE hash IS NULL;'):
            self.queries[name] = query
        self.forget()

    def forget(self):
        self.since, self.stamps, self.sums = None, {}, {}
        self.derived, self.tables = {}, {}

    def ask(self, sql):
        return [l.split('\t') for l in self.session.value(sql).split('\n') if '\t' in l]

    def written(self, now, database):
        """The blocks that were written since the last look, by file."""
        files = {}
        out = self.session.value("SELECT block_ref FROM amchk.pg_get_wal_records_info('%s', '%s') "
                                 "WHERE resource_manager NOT IN ('Btree', 'Hash', 'Gin', 'Gist', 'SPGist') AND block_ref <> '';" % (self.since, now))
        for where, file, block in BLOCK.findall(out):
            if where in ('0', database):
                files.setdefault(file, set()).add(int(block))
        return files

    def look(self):
        """Hashes of the catalogs and of tables that are not too large, by name."""
        # a commit, so that all of the log is on its way
        self.session.value("SELECT pg_logical_emit_message(true, 'look', '');")
        rows = self.ask('SELECT * FROM rt.stamps(%d);' % self.most)
        (_, now, quiet, database), = [r for r in rows if r[0] == 'now']
        catalogs = {r[1]: (r[2], int(r[3])) for r in rows if r[0] == 'catalog'}
        quiet = quiet == 'true'
        if not quiet or not self.since or number(now) - number(self.since) > FAR:
            self.forget()
        files = self.written(now, database) if self.since else {}
        if catalogs['pg_authid'][0] in files:
            # privileges are shown with the names of roles
            self.stamps = {}
        queries, touched = [], set()
        for name, stamp in catalogs.items():
            expression, condition = self.rules[name]
            before = self.stamps.get(name)
            blocks = sorted(files.get(stamp[0], ()))
            known = before and before[0] == stamp[0] and before[1] <= stamp[1]
            if known and not blocks:
                continue
            touched.add(name)
            if known and len(blocks) <= 20:
                ranges = ["AND x.ctid >= '(%d,0)' AND x.ctid < '(%d,0)'" % (b, b + 1) for b in blocks]
                for b in blocks:
                    self.sums[name].pop(b, None)
            else:
                ranges = ['']
                self.sums[name] = {}
            for r in ranges:
                queries.append("SELECT '%s', (x.ctid::text::point)[0]::text, sum((%s)::numeric), count(*) FROM pg_catalog.%s x WHERE (%s) %s GROUP BY 2"
                               % (name, expression, name, condition, r))
        again = [d for d, of in DERIVED.items() if d not in self.derived or of is None or touched & set(of)]
        queries += ['SELECT q.*, NULL, NULL FROM (%s) q' % self.queries[d] for d in again]
        for name, first, total, count in self.ask('SET datestyle = iso; SET search_path = pg_catalog; WITH hidden AS MATERIALIZED (TABLE rt.hidden) '
                + '\nUNION ALL '.join(queries)
                + '; RESET datestyle; RESET search_path;'):
            if name in self.rules:
                self.sums[name][int(first)] = int(total), int(count)
            else:
                self.derived[name] = first
        found = dict(self.derived)
        for name in self.rules:
            found[name] = '%d/%d' % (sum(t for t, _ in self.sums[name].values()), sum(n for _, n in self.sums[name].values()))
        self.stamps, self.since = catalogs, now

        tables, read = {}, []
        for _, name, stamp, oid in [r for r in rows if r[0] == 'table']:
            before = self.tables.get(name)
            if stamp and before and before[0] == stamp and not any(f in files for f in stamp.split('/')[:2]):
                tables[name] = before
            else:
                read.append(oid)
                tables[name] = stamp, None
        if read:
            for name, value in self.ask("SELECT * FROM rt.data(%d, '{%s}');" % (self.most, ','.join(read))):
                tables[name] = tables[name][0] if name in tables else '', value
        self.tables = tables
        found.update((name, value) for name, (_, value) in tables.items() if value is not None)
        if not quiet:
            self.forget()
        return found

    def cold(self):
        """Read everything: what is there, and what is not as remembered although nothing was logged."""
        warm = self.look()
        self.forget()
        cold = self.look()
        return cold, sorted(k for k in set(warm) | set(cold) if warm.get(k) != cold.get(k))
