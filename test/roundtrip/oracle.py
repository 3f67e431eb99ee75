"""oracle.py: what oracle.sql says, read again only where something was written.

The log says which pages were written since the last look.  Hashes of catalogs are
sums over their pages, so only such pages are read again, and only tables with one.
Nothing is remembered while a transaction is under way, as rows may then change
without a write to their page.  What is written without log escapes this, so from
time to time cold() reads everything and tells what is not the same.
"""
import json


class Oracle:
    def __init__(self, session, most):
        self.session, self.most = session, most
        self.forget()

    def forget(self):
        self.since, self.files, self.sums = None, {}, {}
        self.derived, self.tables = {}, {}

    def ask(self, since):
        known = json.dumps({name: stamp for name, (stamp, _) in self.tables.items() if stamp})
        # a commit, so that all of the log is on its way
        out = self.session.value("BEGIN\\; SELECT pg_logical_emit_message(true, 'look', '')\\; COMMIT;\n"
            'SELECT * FROM rt.changed(%s, %d, $known$%s$known$);' % ("'%s'" % since if since else 'NULL', self.most, known))
        return [l.split('\t') for l in out.split('\n') if '\t' in l]

    def look(self):
        """Hashes of the catalogs and of tables that are not too large, by name."""
        rows = self.ask(self.since)
        if self.since:
            catalogs = {r[1]: (r[2], int(r[3])) for r in rows if r[0] == 'catalog'}
            now, = [r for r in rows if r[0] == 'now']
            if now[2] != 'true' or any(k not in self.files or f != self.files[k][0] or n < self.files[k][1] for k, (f, n) in catalogs.items()) \
                    or any(r[0] in ('written', 'whole') and r[1] == 'pg_authid' for r in rows):
                # transactions under way; a catalog written anew; privileges are shown with the names of roles
                self.forget()
                rows = self.ask(None)
        tables = {}
        for kind, name, what, extent, block, total, count in rows:
            if kind == 'catalog':
                self.files[name] = what, int(extent)
            elif kind == 'whole':
                self.sums[name] = {}
            elif kind == 'written':
                for b in what.split(','):
                    self.sums[name].pop(int(b), None)
            elif kind == 'page':
                self.sums[name][int(block)] = int(total), int(count)
            elif kind == 'derived':
                self.derived[name] = what
            elif kind == 'table':
                tables[name] = what, self.tables.get(name, (None, None))[1]
            elif kind == 'row':
                tables[name] = tables[name][0], what
            elif kind == 'now':
                self.since, quiet = name, what == 'true'
        self.tables = tables
        found = dict(self.derived)
        for name, sums in self.sums.items():
            found[name] = '%d/%d' % (sum(t for t, _ in sums.values()), sum(n for _, n in sums.values()))
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
