-- Verification: declared invariants, constraints looked at again, evidence.
--
-- As in 20_tables.sql, only the extension's C code writes these tables.

CREATE TABLE upg.invariants (
    name text PRIMARY KEY,
    kind text NOT NULL,
    verdict text NOT NULL,
    query text NOT NULL,
    relation text,
    columns text[],
    key text[] NOT NULL DEFAULT '{}',
    scope text[] NOT NULL DEFAULT '{}',
    severity text NOT NULL,
    description text,
    owner text NOT NULL,
    declared_at timestamptz NOT NULL
);
COMMENT ON TABLE upg.invariants IS 'declared invariants: what must hold, or stay equal, through an upgrade';
COMMENT ON COLUMN upg.invariants.verdict IS 'how the result is judged: true, empty, equal or checksum';
COMMENT ON COLUMN upg.invariants.key IS 'columns of the result that tell its rows apart';
COMMENT ON COLUMN upg.invariants.scope IS 'relations it speaks of; empty: of the whole database';
COMMENT ON COLUMN upg.invariants.owner IS 'role whose rights the query runs with';

CREATE TABLE upg.verifications (
    verification_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    migration text,
    direction text,
    level text NOT NULL,
    verdict text NOT NULL,
    budget interval,
    coverage double precision,
    baseline bigint,
    started_at timestamptz NOT NULL,
    finished_at timestamptz NOT NULL,
    actor text NOT NULL,
    server text NOT NULL,
    upgrade_id bigint,
    digest bytea NOT NULL
);
COMMENT ON TABLE upg.verifications IS 'verifications: one row for each time that checks were run';
COMMENT ON COLUMN upg.verifications.verdict IS 'passed, failed, or incomplete: something could not be looked at';
COMMENT ON COLUMN upg.verifications.coverage IS 'part of what was to be looked at that was looked at, 0 to 1';
COMMENT ON COLUMN upg.verifications.digest IS 'SHA-256 over the checks; the audit trail holds it too';
CREATE INDEX verifications_migration ON upg.verifications (migration, verification_id);

CREATE TABLE upg.check_results (
    verification_id bigint NOT NULL,
    check_no integer NOT NULL,
    phase text NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    relation text,
    severity text NOT NULL,
    state text NOT NULL,
    violations bigint,
    coverage double precision,
    message text,
    details jsonb,
    started_at timestamptz NOT NULL,
    duration interval NOT NULL,
    PRIMARY KEY (verification_id, check_no)
);
COMMENT ON TABLE upg.check_results IS 'results of single checks';
COMMENT ON COLUMN upg.check_results.phase IS 'before or after a migration, or now';
COMMENT ON COLUMN upg.check_results.state IS 'passed, failed, error, skipped, or recorded: kept to be compared with later';
COMMENT ON COLUMN upg.check_results.details IS 'rows in violation by key, values before and after, checksums';

-- What an auditor can compute again from the rows.
CREATE FUNCTION upg.verification_digest(verification bigint)
    RETURNS bytea
    LANGUAGE sql STABLE STRICT PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET timezone = 'UTC'
    SET datestyle = 'ISO, YMD'
    AS $function$
SELECT sha256(convert_to(jsonb_build_object(
           'migration', v.migration, 'direction', v.direction, 'level', v.level,
           'verdict', v.verdict, 'started_at', v.started_at, 'finished_at', v.finished_at,
           'actor', v.actor, 'checks', coalesce((
               SELECT jsonb_agg(jsonb_build_array(c.check_no, c.phase, c.kind, c.name,
                          c.relation, c.severity, c.state, c.violations, c.coverage,
                          c.message, c.details) ORDER BY c.check_no)
                 FROM upg.check_results c
                WHERE c.verification_id = v.verification_id), '[]'))::text, 'UTF8'))
  FROM upg.verifications v
 WHERE v.verification_id = $1
$function$;
COMMENT ON FUNCTION upg.verification_digest(bigint) IS
    'SHA-256 over a verification and its checks, as upg.verifications.digest holds it';
REVOKE ALL ON FUNCTION upg.verification_digest(bigint) FROM PUBLIC;

SELECT pg_catalog.pg_extension_config_dump('upg.invariants', '');
SELECT pg_catalog.pg_extension_config_dump('upg.verifications', '');
SELECT pg_catalog.pg_extension_config_dump('upg.check_results', '');
SELECT pg_catalog.pg_extension_config_dump('upg.verifications_verification_id_seq', '');

CREATE FUNCTION @extschema@.upg_invariant_declare(
        name text,
        kind text,
        query text DEFAULT NULL,
        rel regclass DEFAULT NULL,
        columns text[] DEFAULT NULL,
        refs regclass DEFAULT NULL,
        ref_columns text[] DEFAULT NULL,
        key text[] DEFAULT NULL,
        scope text[] DEFAULT NULL,
        severity text DEFAULT 'error',
        description text DEFAULT NULL)
    RETURNS void
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_invariant_declare';
COMMENT ON FUNCTION @extschema@.upg_invariant_declare(
    text, text, text, regclass, text[], regclass, text[], text[], text[], text, text) IS
    'declare what must hold, or stay equal, through an upgrade';
REVOKE ALL ON FUNCTION @extschema@.upg_invariant_declare(
    text, text, text, regclass, text[], regclass, text[], text[], text[], text, text)
    FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_invariant_drop(name text)
    RETURNS void
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_invariant_drop';
COMMENT ON FUNCTION @extschema@.upg_invariant_drop(text) IS
    'take back the declaration of an invariant';
REVOKE ALL ON FUNCTION @extschema@.upg_invariant_drop(text) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_constraints_recheck(
        relations regclass[] DEFAULT NULL,
        max_rows integer DEFAULT 20,
        redact boolean DEFAULT NULL,
        OUT relation text,
        OUT constraint_name text,
        OUT kind text,
        OUT state text,
        OUT violations bigint,
        OUT rows_in_violation jsonb,
        OUT message text)
    RETURNS SETOF record
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_constraints_recheck';
COMMENT ON FUNCTION @extschema@.upg_constraints_recheck(regclass[], integer, boolean) IS
    'whether the rows that are there meet the constraints that the catalog claims for them';
REVOKE ALL ON FUNCTION @extschema@.upg_constraints_recheck(regclass[], integer, boolean)
    FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_verify(
        level text DEFAULT 'all',
        relations regclass[] DEFAULT NULL,
        script text DEFAULT NULL,
        baseline bigint DEFAULT NULL,
        budget interval DEFAULT NULL,
        dry_run boolean DEFAULT false,
        redact boolean DEFAULT NULL,
        OUT verification bigint,
        OUT check_no integer,
        OUT kind text,
        OUT name text,
        OUT relation text,
        OUT severity text,
        OUT state text,
        OUT violations bigint,
        OUT coverage double precision,
        OUT message text,
        OUT details jsonb,
        OUT duration interval)
    RETURNS SETOF record
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_verify';
COMMENT ON FUNCTION @extschema@.upg_verify(
    text, regclass[], text, bigint, interval, boolean, boolean) IS
    'run the invariants, look at the constraints again, take checksums, and keep the results';
REVOKE ALL ON FUNCTION @extschema@.upg_verify(
    text, regclass[], text, bigint, interval, boolean, boolean) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_verification_report(
        verification bigint DEFAULT NULL,
        format text DEFAULT 'text')
    RETURNS text
    LANGUAGE C STABLE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_verification_report';
COMMENT ON FUNCTION @extschema@.upg_verification_report(bigint, text) IS
    'evidence of a verification, the latest by default, as text, json or html';
REVOKE ALL ON FUNCTION @extschema@.upg_verification_report(bigint, text) FROM PUBLIC;

-- What the catalog claims about rows, as queries whose rows are violations.  The
-- row's table stands under its own name, because stored expressions name it so.
-- Nothing here may be simplified by what the catalog claims: hence num_nulls() and not
-- IS NULL, which newer planners take as false for a column that is NOT NULL.
CREATE FUNCTION upg.recheck_queries(relations oid[])
    RETURNS TABLE (relid oid, relation text, name text, kind text, query text,
        sample_query text, heap_only boolean, bytes double precision, skip text)
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
    SET jit = off
    AS $function$
WITH RECURSIVE wanted (oid) AS (
    SELECT c.oid
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE CASE WHEN relations IS NULL
                THEN n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'upg')
                ELSE c.oid = ANY (relations) END
    UNION
    SELECT i.inhrelid FROM wanted w JOIN pg_inherits i ON i.inhparent = w.oid
), tables AS MATERIALIZED (
    SELECT c.oid, c.relname, c.relkind, c.relispartition,
           format('%I.%I', n.nspname, c.relname) AS label,
           coalesce(pg_relation_size(c.oid), 0)::double precision AS bytes,
           coalesce((
               SELECT string_agg(format('%I.%I', c.relname, a.attname), ', ' ORDER BY k.n)
                 FROM (SELECT i.indkey, i.indnkeyatts FROM pg_index i
                        WHERE i.indrelid = c.oid AND i.indisunique AND i.indimmediate
                          AND i.indisvalid AND i.indpred IS NULL
                          AND NOT 0 = ANY (i.indkey::int2[])
                          AND NOT EXISTS (SELECT FROM pg_attribute a
                               WHERE a.attrelid = c.oid AND NOT a.attnotnull
                                 AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]))
                        ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid LIMIT 1) AS i
                CROSS JOIN LATERAL unnest((i.indkey::int2[])[0:i.indnkeyatts - 1])
                      WITH ORDINALITY AS k (attnum, n)
                 JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum),
               format('%I.ctid', c.relname)) AS key
      FROM wanted w
      JOIN pg_class c ON c.oid = w.oid
      JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'm')
       AND (c.relpersistence <> 't' OR c.relnamespace = pg_my_temp_schema())
), constraints AS MATERIALIZED (
    SELECT t.oid, t.relname, t.label, t.bytes, t.key, c.oid AS conoid, c.conname,
           c.contype, c.convalidated, c.conindid, c.confrelid, c.confmatchtype, c.conbin,
           c.conexclop,
           coalesce((to_jsonb(c) ->> 'conperiod')::boolean, false) AS period,
           (SELECT string_agg(format('%I.%I', t.relname, a.attname), ', ' ORDER BY k.n)
              FROM unnest(c.conkey) WITH ORDINALITY AS k (attnum, n)
              JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.attnum) AS columns,
           cardinality(c.conkey) AS width,
           (SELECT string_agg(format('upg_r.%I OPERATOR(%I.%s) %I.%I', r.attname, on_.nspname,
                                     o.oprname, t.relname, a.attname), ' AND ' ORDER BY k.n)
              FROM unnest(c.conkey, c.confkey, c.conpfeqop)
                   WITH ORDINALITY AS k (attnum, refnum, op, n)
              JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.attnum
              JOIN pg_attribute r ON r.attrelid = c.confrelid AND r.attnum = k.refnum
              JOIN pg_operator o ON o.oid = k.op
              JOIN pg_namespace on_ ON on_.oid = o.oprnamespace) AS matches
      FROM tables t
      JOIN pg_constraint c ON c.conrelid = t.oid
     WHERE c.contype IN ('c', 'f', 'x')
       AND NOT EXISTS (SELECT FROM pg_constraint p
                        WHERE p.oid = c.conparentid AND p.conrelid = c.conrelid)
), indexes AS MATERIALIZED (
    SELECT t.oid, t.relname, t.label, t.bytes, i.indexrelid, x.relname AS index,
           i.indisvalid, i.indnullsnotdistinct, i.indnkeyatts,
           co.conexclop, pg_get_expr(i.indpred, i.indrelid) AS predicate,
           (SELECT array_agg(format('(%s)%s', pg_get_indexdef(i.indexrelid, k.n::integer, true),
                       CASE WHEN k.coll <> 0
                            THEN (SELECT format(' COLLATE %I.%I', n.nspname, l.collname)
                                    FROM pg_collation l JOIN pg_namespace n ON n.oid = l.collnamespace
                                   WHERE l.oid = k.coll)
                            ELSE '' END) ORDER BY k.n)
              FROM unnest(i.indcollation::oid[]) WITH ORDINALITY AS k (coll, n)
             WHERE k.n <= i.indnkeyatts) AS exprs,
           (SELECT array_agg(CASE WHEN k.attnum > 0 THEN quote_ident(a.attname)
                             ELSE quote_ident(pg_get_indexdef(i.indexrelid, k.n::integer, true)) END
                             ORDER BY k.n)
              FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, n)
              LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
             WHERE k.n <= i.indnkeyatts) AS names
      FROM tables t
      JOIN pg_index i ON i.indrelid = t.oid
      JOIN pg_class x ON x.oid = i.indexrelid
      LEFT JOIN pg_constraint co ON co.conindid = i.indexrelid AND co.conexclop IS NOT NULL
     WHERE i.indisunique OR i.indisexclusion
), found AS (
    -- columns that are NOT NULL: one pass over the table for all of them
    SELECT t.oid, t.label, t.bytes, string_agg(a.attname, ', ' ORDER BY a.attnum) AS name,
           'not_null' AS kind,
           format('%s, array_remove(ARRAY[%s], NULL) AS "(null columns)"', t.key,
                  string_agg(format('CASE WHEN num_nulls(%I.%I) = 1 THEN %L END', t.relname,
                                    a.attname, a.attname), ', ' ORDER BY a.attnum)) AS head,
           t.relname,
           format(' WHERE num_nulls(%s) > 0',
                  string_agg(format('%I.%I', t.relname, a.attname), ', ' ORDER BY a.attnum)) AS tail,
           NULL AS whole, true AS sampleable, true AS heap_only, NULL AS skip
      FROM tables t
      JOIN pg_attribute a ON a.attrelid = t.oid
     WHERE a.attnotnull AND a.attnum > 0 AND NOT a.attisdropped
       AND NOT EXISTS (SELECT FROM pg_constraint c
                        WHERE c.conrelid = t.oid AND c.contype = 'n'
                          AND NOT c.convalidated AND a.attnum = c.conkey[1])
     GROUP BY t.oid, t.label, t.bytes, t.key, t.relname
    UNION ALL
    SELECT c.oid, c.label, c.bytes, c.conname, 'check',
           concat_ws(', ', c.key, c.columns), c.relname,
           format(' WHERE (%s) IS FALSE', pg_get_expr(c.conbin, c.oid)),
           NULL, true, true,
           CASE WHEN NOT c.convalidated THEN 'it is NOT VALID, so the catalog claims nothing' END
      FROM constraints c WHERE c.contype = 'c'
    UNION ALL
    SELECT c.oid, c.label, c.bytes + coalesce(pg_relation_size(c.confrelid), 0), c.conname,
           'foreign_key', concat_ws(', ', c.key, c.columns), c.relname,
           format(' WHERE num_nulls(%s) = 0 AND NOT EXISTS (SELECT FROM %s%I.%I AS upg_r WHERE %s)',
                  c.columns, CASE r.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END, n.nspname,
                  r.relname, c.matches),
           NULL, true, true,
           CASE WHEN NOT c.convalidated THEN 'it is NOT VALID, so the catalog claims nothing'
                WHEN c.period THEN 'foreign keys over periods are not looked at' END
      FROM constraints c
      JOIN pg_class r ON r.oid = c.confrelid
      JOIN pg_namespace n ON n.oid = r.relnamespace
     WHERE c.contype = 'f'
    UNION ALL
    SELECT c.oid, c.label, c.bytes, c.conname, 'match_full',
           concat_ws(', ', c.key, c.columns), c.relname,
           format(' WHERE num_nulls(%s) BETWEEN 1 AND %s', c.columns, c.width - 1),
           NULL, true, true,
           CASE WHEN NOT c.convalidated THEN 'it is NOT VALID, so the catalog claims nothing' END
      FROM constraints c
     WHERE c.contype = 'f' AND c.confmatchtype = 'f' AND c.width > 1
    UNION ALL
    SELECT i.oid, i.label, i.bytes, i.index, 'unique', NULL, i.relname, NULL,
           format('SELECT %s, count(*) AS "(copies)" FROM ONLY %s WHERE %s%s GROUP BY %s HAVING count(*) > 1',
                  (SELECT string_agg(e.expr || ' AS ' || e.name, ', ' ORDER BY e.n)
                     FROM unnest(i.exprs, i.names) WITH ORDINALITY AS e (expr, name, n)),
                  i.label,
                  CASE WHEN i.indnullsnotdistinct THEN 'true'
                       ELSE format('num_nulls(%s) = 0', array_to_string(i.exprs, ', ')) END,
                  ' AND (' || i.predicate || ')',
                  array_to_string(i.exprs, ', ')),
           false, true, CASE WHEN NOT i.indisvalid THEN 'the index is not valid' END
      FROM indexes i WHERE i.conexclop IS NULL
    UNION ALL
    SELECT i.oid, i.label, i.bytes, i.index, 'exclusion', NULL, i.relname, NULL,
           format('SELECT a.upg_row AS "(row)", b.upg_row AS "(other row)", %s'
                  ' FROM (%s) AS a JOIN (%s) AS b ON a.upg_row < b.upg_row AND %s',
                  (SELECT string_agg(format('a.k%s AS %s', e.n, e.name), ', ' ORDER BY e.n)
                     FROM unnest(i.names) WITH ORDINALITY AS e (name, n)),
                  s.part, s.part,
                  (SELECT string_agg(format('a.k%s OPERATOR(%I.%s) b.k%s', e.n, n.nspname,
                                            o.oprname, e.n), ' AND ' ORDER BY e.n)
                     FROM unnest(i.conexclop) WITH ORDINALITY AS e (op, n)
                     JOIN pg_operator o ON o.oid = e.op
                     JOIN pg_namespace n ON n.oid = o.oprnamespace)),
           -- each row against each other: with the index where there are many rows
           false, i.bytes < 8 * 1024 * 1024,
           CASE WHEN NOT i.indisvalid THEN 'the index is not valid' END
      FROM indexes i
     CROSS JOIN LATERAL (
           SELECT format('SELECT %I.ctid AS upg_row, %s FROM ONLY %s%s', i.relname,
                         (SELECT string_agg(format('%s AS k%s', e.expr, e.n), ', ' ORDER BY e.n)
                            FROM unnest(i.exprs) WITH ORDINALITY AS e (expr, n)),
                         i.label, ' WHERE ' || i.predicate) AS part) AS s
     WHERE i.conexclop IS NOT NULL
    UNION ALL
    SELECT t.oid, t.label, t.bytes, t.relname, 'partition', t.key, t.relname,
           format(' WHERE (%s) IS NOT TRUE', pg_get_partition_constraintdef(t.oid)),
           NULL, true, true, NULL
      FROM tables t
     WHERE t.relispartition AND pg_get_partition_constraintdef(t.oid) IS NOT NULL
    UNION ALL
    -- a domain's check calls the value VALUE, so the column is given that name
    SELECT t.oid, t.label, t.bytes, d.conname, 'domain', NULL, t.relname, NULL,
           format('SELECT %s, %L AS "(column)" FROM (SELECT %s, %I.%I::%s AS value FROM ONLY %s) AS %I WHERE (%s) IS FALSE',
                  t.key, a.attname, t.key, t.relname, a.attname,
                  format_type(d.base, NULL), t.label, t.relname, d.expr),
           false, true,
           CASE WHEN NOT d.convalidated THEN 'it is NOT VALID, so the catalog claims nothing' END
      FROM tables t
      JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
     CROSS JOIN LATERAL (
           WITH RECURSIVE chain (typid) AS (
               SELECT y.oid FROM pg_type y WHERE y.oid = a.atttypid AND y.typtype = 'd'
               UNION ALL
               SELECT y.typbasetype FROM chain JOIN pg_type y ON y.oid = chain.typid
                WHERE y.typtype = 'd'
           )
           SELECT c.conname, c.convalidated, pg_get_expr(c.conbin, 0) AS expr,
                  (SELECT b.typid FROM chain b JOIN pg_type z ON z.oid = b.typid
                    WHERE z.typtype <> 'd') AS base
             FROM chain
             JOIN pg_type y ON y.oid = chain.typid
             JOIN pg_constraint c ON c.contypid = y.oid AND c.contype = 'c') AS d
     WHERE NOT EXISTS (SELECT FROM pg_attribute v WHERE v.attrelid = t.oid
                          AND v.attname = 'value' AND v.attnum > 0)
)
SELECT f.oid, f.label, f.name, f.kind,
       coalesce(f.whole, format('SELECT %s FROM ONLY %s%s', f.head, f.label, f.tail)),
       CASE WHEN f.sampleable
            THEN format('SELECT %s FROM ONLY %s TABLESAMPLE SYSTEM ($1)%s', f.head, f.label, f.tail)
       END,
       f.heap_only, f.bytes, f.skip
  FROM found f
 ORDER BY f.bytes, f.label, f.kind, f.name
$function$;
COMMENT ON FUNCTION upg.recheck_queries(oid[]) IS
    'what the catalog claims about rows, as queries whose rows are violations';
REVOKE ALL ON FUNCTION upg.recheck_queries(oid[]) FROM PUBLIC;

-- A damaged table.

CREATE FUNCTION @extschema@.upg_table_checksum_readable(
        rel regclass,
        mode text DEFAULT 'strict',
        seed bigint DEFAULT 0,
        OUT checksum @extschema@.upg_checksum_value,
        OUT damaged bigint,
        OUT damage jsonb)
    RETURNS record
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_table_checksum_readable';
COMMENT ON FUNCTION @extschema@.upg_table_checksum_readable(regclass, text, bigint) IS
    'checksum of the rows that can be read of a damaged table, and which cannot';
REVOKE ALL ON FUNCTION @extschema@.upg_table_checksum_readable(regclass, text, bigint)
    FROM PUBLIC;
