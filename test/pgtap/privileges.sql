-- Who may call what: every function of the extension against every role, as
-- granted and as it turns out when it is called.  A function without a row in
-- the matrix fails the test.
CREATE EXTENSION pgtap;
CREATE EXTENSION upg;
SELECT * FROM no_plan();

-- v viewer, o operator, p approver, a admin, u auditor, n everybody, whom that includes;
-- "-": nobody but superusers.
CREATE TABLE matrix (function text PRIMARY KEY, roles text NOT NULL);
INSERT INTO matrix VALUES
    ('upg_adopt', 'oa'),
    ('upg_apply', 'oa'),
    ('upg_audit_checkpoint', 'au'),
    ('upg_audit_export', 'u'),
    ('upg_audit_note', 'au'),
    ('upg_audit_verify', 'au'),
    ('upg_begin', 'oa'),
    ('upg_checksum', 'vopau'),
    ('upg_checksum_accum', '-'),
    ('upg_checksum_accum_as', '-'),
    ('upg_checksum_accum_columns', '-'),
    ('upg_checksum_accum_columns_as', '-'),
    ('upg_checksum_add', 'vopau'),
    ('upg_checksum_agg', 'vopau'),
    ('upg_checksum_agg_as', 'vopau'),
    ('upg_checksum_eq', 'vopau'),
    ('upg_checksum_info', 'vopau'),
    ('upg_checksum_merge', 'vopau'),
    ('upg_checksum_ne', 'vopau'),
    ('upg_checksum_subtract', 'vopau'),
    ('upg_checksum_value_in', '-'),
    ('upg_checksum_value_out', '-'),
    ('upg_checksum_value_recv', '-'),
    ('upg_checksum_value_send', '-'),
    ('upg_compare', 'vopau'),
    ('upg_constraints_recheck', 'vopau'),
    ('upg_digest', 'vopau'),
    ('upg_down', 'opau'),
    ('upg_down_statements', 'opau'),
    ('upg_finalize', 'oa'),
    ('upg_rollback_preview', 'oa'),
    ('upg_rollback_locks', 'oa'),
    ('upg_rollback_order', 'oa'),
    ('upg_put_back', 'oa'),
    ('upg_expire', 'oa'),
    ('upg_kept_rows', 'oa'),
    ('upg_rollback_conflicts', 'oa'),
    ('upg_retention', 'vopau'),
    ('upg_finish', 'oa'),
    ('upg_forget_registration', 'oa'),
    ('upg_history', 'vopau'),
    ('upg_invariant_declare', 'oa'),
    ('upg_invariant_drop', 'oa'),
    ('upg_library_version', 'vopau'),
    ('upg_locks', 'vopau'),
    ('upg_migration_state', 'vopau'),
    ('upg_plan', 'vopau'),
    ('upg_progress', 'vopau'),
    ('upg_record_attempt', 'oa'),
    ('upg_register', 'oa'),
    ('upg_repair', 'a'),
    ('upg_rollback', 'oa'),
    ('upg_scan_progress', 'vopau'),
    ('upg_drift', 'vopau'),
    ('upg_drift_statements', 'vopau'),
    ('upg_drift_script', 'vopau'),
    ('upg_drift_record', 'oa'),
    ('upg_drift_forget', 'oa'),
    ('upg_schema_fingerprint', 'vopau'),
    ('upg_schema_differences', 'vopau'),
    ('upg_schema_fingerprint_parts', 'vopau'),
    ('upg_schema_image', 'vopau'),
    ('upg_script_info', 'vopau'),
    ('upg_undo_cost', 'vopau'),
    ('upg_server_untested', 'vopau'),
    ('upg_script_statements', 'vopau'),
    ('upg_sketch_diff', 'vopau'),
    ('upg_sketch_estimate', 'vopau'),
    ('upg_sketch_info', 'vopau'),
    ('upg_sketch_keep', 'vopau'),
    ('upg_sketch_take', 'vopau'),
    ('upg_rows_packed', 'vopau'),
    ('upg_sample_missing', 'vopau'),
    ('upg_table_sample', 'vopau'),
    ('upg_status', 'vopau'),
    ('upg_table_checksum', 'vopau'),
    ('upg_table_checksum_readable', 'vopau'),
    ('upg_table_rows', 'vopau'),
    ('upg_table_sketch', 'vopau'),
    ('upg_upgrade_finish', 'oa'),
    ('upg_upgrade_start', 'oa'),
    ('upg_verification_report', 'opau'),
    ('upg_verify', 'oa'),
    ('upg_ledger_verify', 'vopau'),
    ('upg_wait', 'vopau');

CREATE TABLE roles (letter text, role text PRIMARY KEY);
INSERT INTO roles VALUES ('v', 'upg_viewer'), ('o', 'upg_operator'), ('p', 'upg_approver'),
    ('a', 'upg_admin'), ('u', 'upg_auditor'), ('n', 'regress_pgtap_nobody');
CREATE ROLE regress_pgtap_nobody;

CREATE VIEW functions AS
    SELECT p.oid, p.proname::text AS function, p.prokind, p.prosecdef, p.proconfig, p.prosqlbody, n.nspname, l.lanname,
           NOT EXISTS (SELECT FROM unnest(p.proargtypes) a JOIN pg_type t ON t.oid = a
                        WHERE t.typtype = 'p') AS plain
      FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
      JOIN pg_language l ON l.oid = p.prolang
      JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
      JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid
     WHERE e.extname = 'upg';

-- The matrix is complete, and nothing in it is gone.
SELECT set_eq($$SELECT DISTINCT function FROM functions WHERE nspname <> 'upg'$$,
              'SELECT function FROM matrix', 'every function has a row in the matrix');
SELECT ok(function ~ '^upg_[a-z_]+$', 'name of ' || function) FROM functions
 WHERE nspname <> 'upg' ORDER BY oid;

-- As granted
SELECT is(has_function_privilege(r.role, f.oid, 'EXECUTE'), m.roles ~ r.letter,
          format('%s %s execute %s', r.role, CASE WHEN m.roles ~ r.letter THEN 'may' ELSE 'may not' END,
                 f.oid::regprocedure))
  FROM functions f JOIN matrix m USING (function) CROSS JOIN roles r
 ORDER BY f.function, f.oid, r.role;

-- As it turns out: call it, with nulls if it takes them (a strict function would not
-- be called at all).  Whoever may not is told 42501, by name of the function; whoever
-- may gets an answer, or another error.
CREATE FUNCTION call_as(target oid, who text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    arguments text := (SELECT coalesce(string_agg(
                                  CASE t WHEN 'record'::regtype THEN 'ROW(1)' WHEN '"any"'::regtype THEN 'NULL::text'
                                         WHEN 'upg_checksum_value'::regtype THEN quote_literal(
                                             'upg1:none:0000000000000000:00000000:0:' || repeat('0', 32)) || '::upg_checksum_value'
                                         ELSE
                                  format('%L::%s', CASE WHEN NOT p.proisstrict THEN NULL
                                                        WHEN t = 'jsonb'::regtype OR format_type(t, NULL) ~ '\[\]$' THEN '{}'
                                                        WHEN t = 'text'::regtype THEN 'nothing of this name'
                                                        ELSE '0' END, format_type(t, NULL)) END,
                                  ', ' ORDER BY n), '')
                         FROM pg_proc p, unnest(p.proargtypes) WITH ORDINALITY AS u(t, n)
                        WHERE p.oid = target);
    command text := (SELECT format('%s %s(%s)', CASE prokind WHEN 'p' THEN 'CALL' ELSE 'SELECT' END,
                                   oid::regproc, arguments)
                       FROM pg_proc WHERE oid = target);
    outcome text := 'allowed';
BEGIN
    PERFORM set_config('role', who, true);
    BEGIN
        EXECUTE command;
    EXCEPTION
        WHEN insufficient_privilege THEN
            outcome := CASE WHEN SQLERRM ~ '^permission denied for (function|procedure) '
                            THEN 'denied' ELSE 'not enough: ' || SQLERRM END;
        WHEN OTHERS THEN
            outcome := 'allowed';
    END;
    PERFORM set_config('role', 'none', true);
    RETURN outcome;
END $$;
SELECT is(call_as(f.oid, r.role), CASE WHEN m.roles ~ r.letter THEN 'allowed' ELSE 'denied' END,
          format('%s calls %s', r.role, f.function))
  FROM functions f JOIN pg_proc p USING (oid) JOIN matrix m USING (function) CROSS JOIN roles r
 WHERE f.prokind <> 'a' AND NOT 'internal'::regtype = ANY (p.proargtypes)
 ORDER BY f.function, f.oid, r.role;

-- Nothing else is left to PUBLIC, in no schema.
SELECT is_empty($$SELECT f.oid::regprocedure FROM functions f JOIN pg_proc p USING (oid),
                         aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
                   WHERE a.grantee = 0
                     AND f.function NOT IN (SELECT m.function FROM matrix m WHERE m.roles ~ 'n')$$,
                'no other function is granted to PUBLIC');

-- Definer functions, and all in SQL or PL/pgSQL, pin their search_path, unless
-- their body was parsed when it was created.
SELECT ok(f.proconfig::text ~ 'search_path=pg_catalog, pg_temp', format('%s pins its search_path', f.oid::regprocedure))
  FROM functions f WHERE f.prosecdef OR (f.lanname IN ('sql', 'plpgsql') AND f.prokind <> 'p' AND f.prosqlbody IS NULL)
 ORDER BY f.function;
-- A procedure that commits cannot, so it runs with the rights of its caller.
SELECT ok(NOT f.prosecdef AND f.proconfig IS NULL, format('%s runs with the rights of its caller', f.oid::regprocedure))
  FROM functions f WHERE f.prokind = 'p' ORDER BY f.function;
SELECT isnt(obj_description(f.oid, 'pg_proc'), NULL, format('%s has a comment', f.oid::regprocedure))
  FROM functions f ORDER BY f.function;

-- Relations: nobody writes them, and only those who are named read them.
CREATE VIEW relations AS
    SELECT c.oid, c.relkind FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'upg'
     WHERE c.relkind IN ('r', 'v', 'm', 'p', 'S');
SELECT cmp_ok(count(*)::int, '>', 5, 'there are relations in schema upg') FROM relations;
SELECT ok(NOT has_table_privilege(r.role, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER'),
          format('%s may not write %s', r.role, c.oid::regclass))
  FROM relations c CROSS JOIN roles r WHERE c.relkind <> 'S' ORDER BY c.oid::regclass::text, r.role;
SELECT ok(NOT has_sequence_privilege(r.role, c.oid, 'USAGE, UPDATE'),
          format('%s may not advance %s', r.role, c.oid::regclass))
  FROM relations c CROSS JOIN roles r WHERE c.relkind = 'S' ORDER BY c.oid::regclass::text, r.role;
SELECT is(has_table_privilege(r.role, t.name, 'SELECT'), t.roles ~ r.letter,
          format('%s %s read %s', r.role, CASE WHEN t.roles ~ r.letter THEN 'may' ELSE 'may not' END, t.name))
  FROM (SELECT c.oid::regclass::text, coalesce(t.roles, '-')
          FROM relations c LEFT JOIN (VALUES
               ('upg.audit_log', 'u'), ('upg.audit_checkpoints', 'u'),
               ('upg.status', 'vopau'), ('upg.verifications', 'vopau'), ('upg.invariants', 'opau'), ('upg.check_results', 'opau'),
               ('upg.versions', 'vopau'), ('upg.upgrades', 'vopau'), ('upg.rollback_records', 'vopau'),
               ('upg.migrations', 'au'), ('upg.steps', 'au'), ('upg.attempts', 'au')) AS t(name, roles)
            ON t.name = c.oid::regclass::text
         WHERE c.relkind <> 'S') AS t(name, roles)
 CROSS JOIN roles r ORDER BY t.name, r.role;
SELECT ok(NOT has_table_privilege('regress_pgtap_nobody', c.oid, 'SELECT'),
          format('a role of no group may not read %s', c.oid::regclass))
  FROM relations c WHERE c.relkind <> 'S' ORDER BY c.oid::regclass::text;
SELECT ok(NOT has_schema_privilege(r.role, 'upg', 'CREATE'), r.role || ' may not create in schema upg')
  FROM roles r ORDER BY r.role;
SELECT ok(NOT has_schema_privilege('regress_pgtap_nobody', 'upg', 'USAGE'),
          'a role of no group may not use schema upg');

-- The roles themselves carry no power over the server.
SELECT ok(NOT rolcanlogin AND NOT rolsuper AND NOT rolcreaterole AND NOT rolcreatedb
          AND NOT rolreplication AND NOT rolbypassrls, rolname || ' is a plain group')
  FROM pg_roles WHERE rolname ~ '^upg_' ORDER BY rolname;

-- A new function, were it forgotten here, would be noticed.
SELECT isnt_empty($$SELECT 'upg_new' EXCEPT SELECT function FROM matrix$$, 'the check of the matrix works');

SELECT * FROM finish();
DROP EXTENSION upg;
DROP OWNED BY regress_pgtap_nobody;
DROP ROLE regress_pgtap_nobody;
