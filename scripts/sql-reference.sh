#!/bin/sh
# scripts/sql-reference.sh: print docs/sql-reference.md, from the catalogs of a server.
#
# Functions, tables and views of the extension with their COMMENTs, as CREATE
# EXTENSION makes them on a private server; so the page cannot say otherwise.
set -eu

cd "$(dirname "$0")/.."
dir=$(mktemp -d /tmp/upg.XXXXXX)
trap 'scripts/server.sh destroy "$dir"' EXIT
trap 'exit 130' INT TERM
scripts/server.sh start "$dir" fsync=off
eval "$(scripts/server.sh env "$dir")"
cat <<'END'
<!-- made by scripts/sql-reference.sh; do not edit -->
# SQL reference

Functions are in the schema that the extension was created in (default `public`), relations in schema `upg`. Arguments can be given by name; `OUT` arguments are the columns of the result. `EXECUTE` is granted to the roles named last; a role not named there cannot call the function.

## Functions

END
psql -XAtq -v ON_ERROR_STOP=1 -d postgres <<'END'
CREATE EXTENSION upg;
SELECT pg_catalog.format(E'### `%s`\n\n%s%s\n\n```\n%s(%s)%s\n```\n%s',
    -- Overloads share a name; the anchor of the first is the name's.
    p.proname, initcap(left(d.description, 1)), substr(d.description, 2) || '.', p.proname,
    CASE WHEN a.args = '' THEN '' ELSE E'\n    ' || replace(a.args, '§', E',\n    ') || E'\n' END,
    CASE WHEN p.proargmodes IS NULL AND p.prokind <> 'p'
         THEN ' returns ' || pg_get_function_result(p.oid) ELSE '' END,
    coalesce(E'\nGranted to ' || g.roles || E'.\n', ''))
FROM pg_proc p
JOIN pg_depend e ON e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e'
JOIN pg_extension x ON x.oid = e.refobjid AND x.extname = 'upg' AND x.extnamespace = p.pronamespace
LEFT JOIN pg_description d ON d.classoid = 'pg_proc'::regclass AND d.objoid = p.oid
CROSS JOIN LATERAL (
    SELECT regexp_replace(
        regexp_replace(pg_get_function_arguments(p.oid), '::[a-z ]+(\[\])?', '', 'g'), ', (?=(OUT |IN |VARIADIC |[a-z_]+ [a-z]))',
        '§', 'g') AS args) a
CROSS JOIN LATERAL (
    SELECT string_agg('`' || CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END || '`', ', '
                      ORDER BY grantee::regrole::text) AS roles
    FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner)))
    WHERE grantee <> p.proowner) g
WHERE p.proname LIKE 'upg\_%' AND NOT EXISTS (
    -- What types and aggregates are made of is nobody's to call.
    SELECT FROM pg_type t WHERE p.oid IN (t.typinput, t.typoutput, t.typreceive, t.typsend))
ORDER BY p.proname, p.oid;
\echo '## Relations\n'
SELECT pg_catalog.format(E'### `%s`\n\n%s%s.\n\n| column | type | |\n|---|---|---|\n%s\n',
    c.oid::regclass, initcap(left(d.description, 1)), substr(d.description, 2),
    (SELECT string_agg(pg_catalog.format('| `%s` | %s | %s |', t.attname, format_type(t.atttypid, t.atttypmod),
                                         coalesce(col_description(c.oid, t.attnum), '')), E'\n' ORDER BY t.attnum)
     FROM pg_attribute t WHERE t.attrelid = c.oid AND t.attnum > 0 AND NOT t.attisdropped))
FROM pg_class c
JOIN pg_depend e ON e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e'
JOIN pg_extension x ON x.oid = e.refobjid AND x.extname = 'upg'
LEFT JOIN pg_description d ON d.classoid = 'pg_class'::regclass AND d.objoid = c.oid AND d.objsubid = 0
WHERE c.relkind IN ('r', 'p', 'v', 'm')
ORDER BY c.oid::regclass::text;
END
