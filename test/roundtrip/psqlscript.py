"""psqlscript.py: split a psql script into what psql would send, one by one.

split(text) gives a list of Item(kind, text, extra):
    sql    a statement (several, if joined by a backslash and semicolon)
    copy   COPY ... FROM STDIN; extra is the data
    gmeta  a statement ended by \\gset, \\gexec, ...; extra is that command
    meta   a backslash command on a line of its own
"""
import collections
import re

Item = collections.namedtuple('Item', 'kind text extra')

# what standard_conforming_strings is set to decides where a string ends
CONFORMING = re.compile(r'(?:re)?set\s+(?:session\s+)?standard_conforming_strings\b(?:\s*(?:=|to)\s*(\w+))?\s*$', re.I)
ESCAPES = re.compile(r"""'(?:[^'\\]|\\.|'')*'""", re.S)

TOKEN = re.compile(r"""
    (?P<line>--[^\n]*)
  | (?P<block>/\*)
  | (?P<escape>\b[eE]'(?:[^'\\]|\\.|'')*')
  | (?P<string>'(?:[^']|'')*')
  | (?P<ident>"(?:[^"]|"")*")
  | (?P<dollar>(?<![\w$])\$(?:[A-Za-z_\x80-\uffff][\w\x80-\uffff]*)?\$)
  | (?P<word>[A-Za-z_\x80-\uffff][\w$\x80-\uffff]*)
  | (?P<joined>\\;)
  | (?P<back>\\[^\n]*)
  | (?P<other>.)
""", re.X | re.S)


def end_of_comment(text, at):
    depth = 0
    for m in re.finditer(r'/\*|\*/', text[at:]):
        depth += 1 if m.group() == '/*' else -1
        if depth == 0:
            return at + m.end()
    return len(text)


def split(text):
    items, buf = [], []
    parens = atomic = at = 0
    conforming = True
    while at < len(text):
        m = TOKEN.match(text, at)
        kind, word = m.lastgroup, m.group()
        if kind == 'string' and not conforming and text[max(0, m.start() - 2):m.start()].lower() != 'u&':
            m = ESCAPES.match(text, at)
            word = m.group()
        at = m.end()
        if kind == 'line':
            continue
        if kind == 'block':
            at = end_of_comment(text, m.start())
            buf.append(' ')
            continue
        if kind == 'dollar':
            end = text.find(word, at)
            end = len(text) if end < 0 else end + len(word)
            buf.append(text[m.start():end])
            at = end
            continue
        if kind == 'joined':
            buf.append(';')
            continue
        if kind == 'back':
            so_far = ''.join(buf).strip()
            end = text.find('\n\\.', at) + 1
            if not so_far and end and re.match(r'\\copy\b.*\bfrom\s+stdin\b', word, re.I):
                # for the server the same
                items.append(Item('copy', word[1:].strip(), text[at + 1:end]))
                at = end + 2
            elif not so_far:
                items.append(Item('meta', word.strip(), None))
                buf = []
            elif re.match(r'\\(g|gx|gset|gexec|gdesc|crosstabview)\b', word):
                items.append(Item('gmeta', so_far, word.strip()))
                buf, parens, atomic = [], 0, 0
            else:
                items.append(Item('meta', word.strip(), None))
            continue
        if kind == 'word':
            low = word.lower()
            if low == 'atomic' and re.search(r'\bbegin\s+$', ''.join(buf[-3:]), re.I):
                atomic = 1
            elif atomic and low == 'case':
                atomic += 1
            elif atomic and low == 'end':
                atomic -= 1
        elif word == '(':
            parens += 1
        elif word == ')':
            parens = max(0, parens - 1)
        elif word == ';' and parens == 0 and atomic == 0:
            statement = ''.join(buf).strip()
            buf = []
            if not statement:
                continue
            if re.match(r'copy\b.*\bfrom\s+std(in|out)\b', statement, re.I | re.S):
                start = text.find('\n', at) + 1
                if text.startswith('\\.', start):
                    end = start
                else:
                    end = text.find('\n\\.', start) + 1
                if start == 0 or end == 0 or text.startswith('\n', start):
                    # meant to fail, so no data follow
                    continue
                items.append(Item('copy', statement, text[start:end]))
                at = end + 2
            else:
                setting = CONFORMING.match(statement)
                if setting:
                    conforming = (setting.group(1) or 'on').lower() not in ('off', 'false', 'no', '0')
                items.append(Item('sql', statement, None))
            continue
        buf.append(word)
    rest = ''.join(buf).strip()
    if rest:
        items.append(Item('sql', rest, None))
    return items
