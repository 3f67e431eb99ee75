"""rtlib.py: sessions, dumps and comparisons that the harnesses share."""
import difflib
import os
import re
import select
import subprocess
import time


class Dead(Exception):
    pass


class Session:
    """A psql that lives as long as it is needed."""
    serial = 0

    def __init__(self, db, env):
        self.db, self.env = db, env
        self.p = None
        self.start()

    def start(self):
        self.p = subprocess.Popen(
            ['stdbuf', '-oL', 'psql', '-X', '-q', '-A', '-t', '-F', '\t', '-v', 'VERBOSITY=verbose',
             '-v', 'HIDE_TABLEAM=on', '-d', self.db], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=self.env)
        os.set_blocking(self.p.stdout.fileno(), False)
        self.posted = False

    def post(self, text):
        """Have it run without waiting; what it prints is lost."""
        try:
            self.p.stdin.write((text + '\n\\warn @@POSTED\n').encode())
        except BrokenPipeError:
            raise Dead('psql has left')
        self.posted = True

    def run(self, text, limit=240):
        self.posted = False
        Session.serial += 1
        mark = '@@END-%d-%d' % (os.getpid(), Session.serial)
        try:
            self.p.stdin.write((text + '\n\\warn ' + mark + '\n').encode())
            self.p.stdin.flush()
        except BrokenPipeError:
            raise Dead('psql has left')
        out, until = b'', time.time() + limit
        while mark.encode() not in out:
            ready, _, _ = select.select([self.p.stdout], [], [], max(0, until - time.time()))
            if not ready:
                self.p.kill()
                self.p.wait()
                self.start()
                raise Dead('no answer within %d s' % limit)
            piece = os.read(self.p.stdout.fileno(), 1 << 20)
            if not piece:
                raise Dead(out.decode('utf8', 'replace')[-500:])
            out += piece
        text = out.decode('utf8', 'replace').replace(mark, '')
        text = text[text.rfind('@@POSTED\n') + 9:] if '@@POSTED\n' in text else text
        if 'server closed the connection unexpectedly' in out.decode('utf8', 'replace') or 'connection to server was lost' in text:
            raise Dead(text)
        return text

    def value(self, sql):
        out = self.run(sql)
        if error_of(out):
            raise SystemExit('the harness itself failed: %s\n%s' % (sql[:300], out))
        return out.strip('\n')

    def close(self):
        if self.p:
            self.p.stdin.close()
            try:
                self.p.wait(20)
            except subprocess.TimeoutExpired:
                self.p.kill()
                self.p.wait()


def error_of(out):
    m = re.search(r'^(?:psql:[^\n]*?: )?(?:ERROR|FATAL|PANIC):\s+([0-9A-Z]{5}): (.*)', out, re.M)
    return (m.group(1), m.group(2)) if m else None


def quote(text):
    tag, n = '$rt$', 0
    while tag in text:
        n += 1
        tag = '$rt%d$' % n
    return tag + text + tag


def command(args, env=None):
    p = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
    if p.returncode:
        return None, p.stderr.decode('utf8', 'replace')
    return p.stdout.decode('utf8', 'replace'), ''


PSQL = ['psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d']


def must(args):
    out, err = command(args)
    if out is None:
        raise SystemExit('%s: %s' % (' '.join(args), err))
    return out


def globals_():
    return [l for l in must(['pg_dumpall', '-g']).split('\n') if 'restrict' not in l]


def dump(db):
    out, err = command(['pg_dump', '-d', db, '-N', 'rt', '-N', 'amchk', '-N', 'upg', '--load-via-partition-root'])
    if out is None:
        return ['pg_dump: ' + err]
    lines, block = [], None  # rows of a table are put in order
    for line in out.split('\n'):
        if re.match(r'\\(un)?restrict', line):
            continue
        if block is None:
            lines.append(line)
            if line.startswith('COPY ') and line.endswith('FROM stdin;'):
                block = []
        elif line == '\\.':
            lines += sorted(block) + [line]
            block = None
        else:
            block.append(line)
    return lines


def differences(a, b):
    return [l for l in difflib.unified_diff(a, b, lineterm='', n=0) if not l.startswith(('---', '+++', '@@'))]


def look(session, pages):
    """Hashes of the catalogs, and of tables up to so many pages."""
    out = session.value('SELECT * FROM rt.catalogs() UNION ALL SELECT * FROM rt.data(%d);' % pages)
    return dict(l.split('\t', 1) for l in out.split('\n') if '\t' in l)
