-- The interface: what the extension makes, with its comments.  A change of it shows
-- as a difference here, and belongs into the changelog.
CREATE EXTENSION upg;
SET search_path = pg_catalog;
\pset format unaligned
\pset tuples_only on
SELECT p.oid::regprocedure || ' -> ' || pg_get_function_result(p.oid)
       || coalesce(E'\n    arguments: ' || nullif(pg_get_function_arguments(p.oid), ''), '')
       || E'\n    ' || (ARRAY['immutable', 'stable', 'volatile'])[strpos('isv', p.provolatile::text)]
       || CASE WHEN p.proisstrict THEN ', strict' ELSE '' END
       || CASE WHEN p.prosecdef THEN ', security definer' ELSE '' END
       || ', parallel ' || (ARRAY['safe', 'restricted', 'unsafe'])[strpos('sru', p.proparallel::text)]
       || E'\n    ' || coalesce(obj_description(p.oid, 'pg_proc'), 'NO COMMENT')
  FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
  JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid AND e.extname = 'upg'
  WHERE p.prokind <> 'p'
 ORDER BY p.oid::regprocedure::text COLLATE "C";
SELECT p.oid::regprocedure || ' (procedure)'
       || E'\n    arguments: ' || pg_get_function_arguments(p.oid)
       || E'\n    ' || coalesce(obj_description(p.oid, 'pg_proc'), 'NO COMMENT')
  FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
  JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid AND e.extname = 'upg'
  WHERE p.prokind = 'p'
 ORDER BY p.oid::regprocedure::text COLLATE "C";
SELECT c.oid::regclass || ' (' || string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
           || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END, ', ' ORDER BY a.attnum) || ')'
       || E'\n    ' || coalesce(obj_description(c.oid, 'pg_class'), 'NO COMMENT')
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relnamespace = 'upg'::regnamespace AND c.relkind IN ('r', 'v', 'm', 'p')
 GROUP BY c.oid ORDER BY c.oid::regclass::text COLLATE "C";
-- State survives a dump: every table's rows are dumped, but those named here.
SELECT 'not dumped: ' || c.oid::regclass
  FROM pg_class c WHERE c.relnamespace = 'upg'::regnamespace AND c.relkind IN ('r', 'S')
   AND NOT EXISTS (SELECT FROM pg_extension e WHERE e.extname = 'upg' AND c.oid = ANY (e.extconfig))
 ORDER BY c.oid::regclass::text COLLATE "C";
SELECT 'setting ' || name || ' = ' || coalesce(boot_val, '') || ' (' || context || '): ' || short_desc
  FROM pg_settings WHERE name ~ '^upg\.' ORDER BY name COLLATE "C";
DROP EXTENSION upg;
