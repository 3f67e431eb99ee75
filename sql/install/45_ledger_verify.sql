-- Are the records of the migrations what upg wrote, and is none half done?

CREATE FUNCTION @extschema@.upg_ledger_verify(OUT migration text, OUT fault text, OUT fix text)
    RETURNS SETOF record
    LANGUAGE sql STABLE SECURITY DEFINER PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp ROWS 10
    AS $sql$
    SELECT m.name, f.fault, f.fix
      FROM upg.migrations m
     CROSS JOIN LATERAL (VALUES
           (m.up_sql IS NOT NULL
                AND (sha256(convert_to(m.up_sql, getdatabaseencoding()::text)) <> m.up_sha256
                     OR octet_length(m.up_sql) <> m.up_size),
            'the script in the books is not the one of its checksum',
            'compare with an export of the audit trail: the books were changed by hand'),
           (m.down_sql IS NOT NULL
                AND sha256(convert_to(m.down_sql, getdatabaseencoding()::text))
                    IS DISTINCT FROM m.down_sha256,
            'the down script in the books is not the one of its checksum',
            'compare with an export of the audit trail: the books were changed by hand'),
           (m.state NOT IN ('registered', 'queued', 'running', 'applied', 'partial', 'failed',
                            'unknown', 'rolled_back', 'replaced'),
            format('its state is "%s", which upg does not write', m.state),
            'compare with an export of the audit trail: the books were changed by hand'),
           (m.state = 'applied' AND (m.applied_order IS NULL OR m.applied_at IS NULL),
            'it counts as applied, but not when',
            'compare with an export of the audit trail: the books were changed by hand'),
           (m.state = 'applied' AND m.name NOT IN (
                SELECT a.object FROM upg.audit_log a
                 WHERE a.action = 'migration.applied' AND a.object IS NOT NULL),
            'it counts as applied, but the audit trail knows nothing of it',
            'ask who wrote into the books: upg audit verify'),
           (m.state = 'partial', 'some of its steps are done, others are not',
            'apply it again: it goes on where it stopped'),
           (m.state = 'unknown', 'what became of one of its statements is not known',
            'look, then upg_repair()'),
           (m.state IN ('queued', 'running') AND NOT EXISTS (
                SELECT FROM pg_stat_activity w WHERE w.backend_type = 'upg migration'
                   AND w.datname = current_database()),
            format('it is %s, but no background worker is at it', m.state),
            'apply it again: it goes on where it stopped'),
           (m.state IN ('applied', 'partial', 'queued', 'running') AND EXISTS (
                SELECT FROM unnest(m.requires) r(name)
                 WHERE NOT EXISTS (SELECT FROM upg.migrations n WHERE n.name = r.name
                          AND n.state NOT IN ('registered', 'failed', 'rolled_back'))
                   AND NOT EXISTS (SELECT FROM upg.migrations n
                        WHERE n.options->'replaces' ? r.name)),
            'something that it requires is not applied',
            'apply what it requires, or take it back')) AS f(found, fault, fix)
     WHERE f.found
     ORDER BY m.applied_order NULLS LAST, m.migration_id
$sql$;
COMMENT ON FUNCTION @extschema@.upg_ledger_verify() IS
    'records of migrations that are damaged or half done';
REVOKE ALL ON FUNCTION @extschema@.upg_ledger_verify() FROM PUBLIC;
