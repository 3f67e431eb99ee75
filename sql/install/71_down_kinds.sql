-- Readable downs, part 2: objects that are not relations.  Each has the statements
-- that make it in "create"; the plan adds owner, privileges, comment and labels.
CREATE FUNCTION upg.down_routines()
    RETURNS TABLE (key text, def jsonb)
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
    AS $function$
SELECT '1255:' || p.oid, jsonb_build_object(
    'kind', CASE p.prokind WHEN 'p' THEN 'PROCEDURE' WHEN 'a' THEN 'AGGREGATE' ELSE 'FUNCTION' END,
    'image', CASE p.prokind WHEN 'p' THEN 'procedure ' WHEN 'a' THEN 'aggregate ' ELSE 'function ' END
             || format('%I.%I(%s)', n.nspname, p.proname, oidvectortypes(p.proargtypes)),
    'id', format('%I.%I(%s)', n.nspname, p.proname, CASE WHEN p.prokind = 'a' AND g.aggkind <> 'n' THEN pg_get_function_identity_arguments(p.oid)
                 WHEN p.prokind = 'a' AND p.pronargs = 0 THEN '*' ELSE oidvectortypes(p.proargtypes) END),
    'name', p.proname, 'ns', n.oid, 'owner', quote_ident(pg_get_userbyid(p.proowner)),
    'acl', upg.down_acl(p.proacl, 'f', p.proowner), 'acl set', p.proacl IS NOT NULL,
    'comment', obj_description(p.oid, 'pg_proc'), 'labels', upg.down_labels(1255, p.oid, 0),
    'signature', concat_ws(' returns ', pg_get_function_identity_arguments(p.oid), pg_get_function_result(p.oid)), 'defaults', p.pronargdefaults,
    'create', jsonb_build_array(CASE WHEN p.prokind <> 'a' THEN rtrim(pg_get_functiondef(p.oid), E'\n') ELSE
        format('CREATE AGGREGATE %I.%I(%s) (%s)', n.nspname, p.proname,
               CASE WHEN p.pronargs = 0 THEN '*' ELSE pg_get_function_arguments(p.oid) END,
               concat_ws(', ', 'SFUNC = ' || g.aggtransfn::text, 'STYPE = ' || format_type(g.aggtranstype, NULL),
                   'SSPACE = ' || nullif(g.aggtransspace, 0),
                   'FINALFUNC = ' || nullif(g.aggfinalfn::text, '-'), CASE WHEN g.aggfinalextra THEN 'FINALFUNC_EXTRA' END,
                   'FINALFUNC_MODIFY = ' || CASE WHEN g.aggfinalfn <> 0 AND g.aggfinalmodify <> (CASE WHEN g.aggkind = 'n' THEN 'r' ELSE 'w' END)::"char" THEN
                       CASE g.aggfinalmodify WHEN 'r' THEN 'READ_ONLY' WHEN 's' THEN 'SHAREABLE' ELSE 'READ_WRITE' END END,
                   'COMBINEFUNC = ' || nullif(g.aggcombinefn::text, '-'), 'SERIALFUNC = ' || nullif(g.aggserialfn::text, '-'),
                   'DESERIALFUNC = ' || nullif(g.aggdeserialfn::text, '-'), 'INITCOND = ' || quote_literal(g.agginitval),
                   'MSFUNC = ' || nullif(g.aggmtransfn::text, '-'), 'MINVFUNC = ' || nullif(g.aggminvtransfn::text, '-'),
                   'MSTYPE = ' || format_type(nullif(g.aggmtranstype, 0), NULL), 'MSSPACE = ' || nullif(g.aggmtransspace, 0),
                   'MFINALFUNC = ' || nullif(g.aggmfinalfn::text, '-'), CASE WHEN g.aggmfinalextra THEN 'MFINALFUNC_EXTRA' END,
                   'MFINALFUNC_MODIFY = ' || CASE WHEN g.aggmfinalfn <> 0 AND g.aggmfinalmodify <> (CASE WHEN g.aggkind = 'n' THEN 'r' ELSE 'w' END)::"char" THEN
                       CASE g.aggmfinalmodify WHEN 'r' THEN 'READ_ONLY' WHEN 's' THEN 'SHAREABLE' ELSE 'READ_WRITE' END END,
                   'MINITCOND = ' || quote_literal(g.aggminitval),
                   'SORTOP = ' || (SELECT format('OPERATOR(%I.%s)', o_n.nspname, o.oprname) FROM pg_operator o
                                   JOIN pg_namespace o_n ON o_n.oid = o.oprnamespace WHERE o.oid = g.aggsortop),
                   CASE WHEN g.aggkind = 'h' THEN 'HYPOTHETICAL' END,
                   CASE p.proparallel WHEN 's' THEN 'PARALLEL = SAFE' WHEN 'r' THEN 'PARALLEL = RESTRICTED' END)) END))
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace LEFT JOIN pg_aggregate g ON g.aggfnoid = p.oid
WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'upg')
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype IN ('e', 'i')) /*@ AND p.oid = ANY (anchors) @*/
$function$;
COMMENT ON FUNCTION upg.down_routines() IS 'functions, procedures and aggregates, with what is needed to make them';
REVOKE ALL ON FUNCTION upg.down_routines() FROM PUBLIC;

CREATE FUNCTION upg.down_types()
    RETURNS TABLE (key text, def jsonb)
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
    AS $function$
SELECT '1247:' || t.oid, jsonb_build_object(
    'kind', CASE WHEN t.typtype = 'd' THEN 'DOMAIN' ELSE 'TYPE' END, 'image', 'type ' || x.id, 'id', x.id, 'name', t.typname, 'ns', n.oid,
    'owner', quote_ident(pg_get_userbyid(t.typowner)), 'acl', upg.down_acl(t.typacl, 'T', t.typowner), 'acl set', t.typacl IS NOT NULL,
    'comment', obj_description(t.oid, 'pg_type'), 'labels', upg.down_labels(1247, t.oid, 0), 'typtype', t.typtype,
    'enum', (SELECT jsonb_agg(jsonb_build_array(e.oid, e.enumlabel) ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid),
    'attributes', CASE WHEN t.typtype = 'c' THEN upg.down_columns(t.typrelid) END,
    'default', CASE WHEN t.typtype = 'd' THEN t.typdefault END, 'notnull', CASE WHEN t.typtype = 'd' THEN t.typnotnull END,
    'base', CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END,
    'create', jsonb_build_array(CASE t.typtype
        WHEN 'e' THEN format('CREATE TYPE %s AS ENUM (%s)', x.id,
                             (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid))
        WHEN 'd' THEN concat_ws(' ', 'CREATE DOMAIN', x.id, 'AS', format_type(t.typbasetype, t.typtypmod),
                                'COLLATE ' || (SELECT format('%I.%I', cn.nspname, c.collname) FROM pg_collation c JOIN pg_namespace cn ON cn.oid = c.collnamespace
                                               WHERE c.oid = t.typcollation AND t.typcollation <> (SELECT b.typcollation FROM pg_type b WHERE b.oid = t.typbasetype)),
                                'DEFAULT ' || t.typdefault, CASE WHEN t.typnotnull THEN
                                  coalesce((SELECT format('CONSTRAINT %I ', k.conname) FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'n' AND k.conname <> t.typname || '_not_null'), '') || 'NOT NULL' END)
        WHEN 'c' THEN format('CREATE TYPE %s AS (%s)', x.id,
                             (SELECT string_agg(concat_ws(' ', quote_ident(c ->> 'name'), c ->> 'type', 'COLLATE ' || (c ->> 'collation')), ', ' ORDER BY o)
                              FROM jsonb_array_elements(upg.down_columns(t.typrelid)) WITH ORDINALITY u (c, o)))
        WHEN 'r' THEN (SELECT format('CREATE TYPE %s AS RANGE (%s)', x.id, concat_ws(', ', 'SUBTYPE = ' || format_type(g.rngsubtype, NULL),
                                'SUBTYPE_OPCLASS = ' || (SELECT format('%I.%I', cn.nspname, oc.opcname) FROM pg_opclass oc JOIN pg_namespace cn ON cn.oid = oc.opcnamespace
                                                         WHERE oc.oid = g.rngsubopc AND NOT oc.opcdefault),
                                'COLLATION = ' || (SELECT format('%I.%I', cn.nspname, c.collname) FROM pg_collation c JOIN pg_namespace cn ON cn.oid = c.collnamespace
                                                   WHERE c.oid = g.rngcollation AND g.rngcollation <> (SELECT b.typcollation FROM pg_type b WHERE b.oid = g.rngsubtype)),
                                'CANONICAL = ' || nullif(g.rngcanonical::text, '-'), 'SUBTYPE_DIFF = ' || nullif(g.rngsubdiff::text, '-'),
                                'MULTIRANGE_TYPE_NAME = ' || (SELECT format('%I.%I', mn.nspname, m.typname) FROM pg_type m
                                                              JOIN pg_namespace mn ON mn.oid = m.typnamespace WHERE m.oid = g.rngmultitypid)))
                       FROM pg_range g WHERE g.rngtypid = t.oid)
        WHEN 'p' THEN format('CREATE TYPE %s', x.id)
        ELSE format('CREATE TYPE %s (%s)', x.id, concat_ws(', ', 'INPUT = ' || t.typinput, 'OUTPUT = ' || t.typoutput, 'RECEIVE = ' || nullif(t.typreceive::text, '-'),
                    'SEND = ' || nullif(t.typsend::text, '-'), 'TYPMOD_IN = ' || nullif(t.typmodin::text, '-'), 'TYPMOD_OUT = ' || nullif(t.typmodout::text, '-'),
                    'ANALYZE = ' || nullif(t.typanalyze::text, '-'), 'INTERNALLENGTH = ' || CASE WHEN t.typlen < 0 THEN 'VARIABLE' ELSE t.typlen::text END,
                    CASE WHEN t.typbyval THEN 'PASSEDBYVALUE' END,
                    'ALIGNMENT = ' || CASE t.typalign WHEN 'c' THEN 'char' WHEN 's' THEN 'int2' WHEN 'i' THEN 'int4' ELSE 'double' END,
                    'STORAGE = ' || CASE t.typstorage WHEN 'p' THEN 'plain' WHEN 'e' THEN 'external' WHEN 'm' THEN 'main' ELSE 'extended' END,
                    'CATEGORY = ' || quote_literal(t.typcategory::text), CASE WHEN t.typispreferred THEN 'PREFERRED = true' END,
                    'DEFAULT = ' || quote_literal(t.typdefault), 'ELEMENT = ' || format_type(nullif(t.typelem, 0), NULL),
                    'DELIMITER = ' || quote_literal(t.typdelim::text), CASE WHEN t.typcollation <> 0 THEN 'COLLATABLE = true' END)) END))
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace, LATERAL (SELECT format('%I.%I', n.nspname, t.typname)) x (id)
WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'upg')
  AND t.typtype <> 'm' AND NOT (t.typcategory = 'A' AND t.typelem <> 0)
  AND (t.typrelid = 0 OR EXISTS (SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c'))
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
  /*@ AND t.oid IN (SELECT unnest(anchors) UNION ALL SELECT k.reltype FROM pg_class k WHERE k.oid = ANY (anchors) AND k.relkind = 'c') @*/
$function$;
COMMENT ON FUNCTION upg.down_types() IS 'types and domains, with what is needed to make them';
REVOKE ALL ON FUNCTION upg.down_types() FROM PUBLIC;

CREATE FUNCTION upg.down_operator(operator oid)
    RETURNS text
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT format('%I.%s (%s, %s)', n.nspname, o.oprname, coalesce(format_type(nullif(o.oprleft, 0), NULL), 'NONE'), format_type(o.oprright, NULL))
FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace WHERE o.oid = operator
$function$;
COMMENT ON FUNCTION upg.down_operator(oid) IS 'an operator as DDL names it';
REVOKE ALL ON FUNCTION upg.down_operator(oid) FROM PUBLIC;

-- Members of an operator family or class, as ALTER OPERATOR FAMILY … ADD takes them.
CREATE FUNCTION upg.down_members(family oid, class oid)
    RETURNS text
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT string_agg(line, ', ' ORDER BY n, line) FROM (
    SELECT 1, format('OPERATOR %s %s%s', a.amopstrategy, upg.down_operator(a.amopopr),
                     CASE WHEN a.amoppurpose = 'o' THEN ' FOR ORDER BY ' || (SELECT format('%I.%I', fn.nspname, f.opfname) FROM pg_opfamily f
                          JOIN pg_namespace fn ON fn.oid = f.opfnamespace WHERE f.oid = a.amopsortfamily) END)
    FROM pg_amop a WHERE a.amopfamily = family AND class = coalesce((SELECT d.refobjid FROM pg_depend d WHERE d.classid = 'pg_amop'::regclass AND d.objid = a.oid
                     AND d.refclassid = 'pg_opclass'::regclass AND d.deptype = 'i'), 0)
    UNION ALL
    SELECT 2, format('FUNCTION %s (%s, %s) %s', a.amprocnum, format_type(a.amproclefttype, NULL), format_type(a.amprocrighttype, NULL), a.amproc::regprocedure)
    FROM pg_amproc a WHERE a.amprocfamily = family AND class = coalesce((SELECT d.refobjid FROM pg_depend d WHERE d.classid = 'pg_amproc'::regclass AND d.objid = a.oid
                     AND d.refclassid = 'pg_opclass'::regclass AND d.deptype = 'i'), 0)) m (n, line)
$function$;
COMMENT ON FUNCTION upg.down_members(oid, oid) IS 'operators and functions of an operator family (class 0) or class';
REVOKE ALL ON FUNCTION upg.down_members(oid, oid) FROM PUBLIC;

-- Everything else that has a row of its own: catalog, oid, kind of object, name, owner,
-- privileges, statements.
CREATE FUNCTION upg.down_others()
    RETURNS TABLE (class oid, object oid, kind text, id text, name text, ns oid, owner oid, acl jsonb, acl_set boolean, statements text[])
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
    AS $function$
BEGIN
    RETURN QUERY
    SELECT 2615::oid, n.oid, 'SCHEMA', quote_ident(n.nspname), n.nspname::text, 0::oid, n.nspowner, upg.down_acl(n.nspacl, 'n', n.nspowner), n.nspacl IS NOT NULL,
           ARRAY['CREATE SCHEMA ' || quote_ident(n.nspname)]
    FROM pg_namespace n WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'upg');
    RETURN QUERY
    SELECT 3079::oid, e.oid, 'EXTENSION', quote_ident(e.extname), e.extname::text, 0::oid, 0::oid, NULL::jsonb, false,
           ARRAY[format('CREATE EXTENSION %I SCHEMA %I VERSION %L', e.extname, e.extnamespace::regnamespace::name, e.extversion)]
    FROM pg_extension e WHERE e.extname <> 'upg';
    RETURN QUERY
    SELECT 826::oid, a.oid, 'DEFAULT PRIVILEGES', concat_ws(' ', 'FOR ROLE', quote_ident(pg_get_userbyid(a.defaclrole)),
               'IN SCHEMA ' || nullif(a.defaclnamespace, 0)::regnamespace), '', 0::oid, 0::oid,
           (SELECT jsonb_build_object('on', CASE a.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS' WHEN 'T' THEN 'TYPES' ELSE 'SCHEMAS' END,
                                      'acl', upg.down_acl(a.defaclacl, a.defaclobjtype, a.defaclrole),
                                      'natural', CASE WHEN a.defaclnamespace = 0 THEN
                                          upg.down_acl(NULL, CASE a.defaclobjtype WHEN 'S' THEN 's' ELSE a.defaclobjtype END, a.defaclrole) END)), true, '{}'::text[]
    FROM pg_default_acl a;
    RETURN QUERY
    SELECT 2605::oid, c.oid, 'CAST', format('(%s AS %s)', format_type(c.castsource, NULL), format_type(c.casttarget, NULL)), '', 0::oid, 0::oid, NULL::jsonb, false,
           ARRAY[concat_ws(' ', format('CREATE CAST (%s AS %s)', format_type(c.castsource, NULL), format_type(c.casttarget, NULL)),
                           CASE c.castmethod WHEN 'f' THEN 'WITH FUNCTION ' || c.castfunc::regprocedure WHEN 'b' THEN 'WITHOUT FUNCTION' ELSE 'WITH INOUT' END,
                           CASE c.castcontext WHEN 'a' THEN 'AS ASSIGNMENT' WHEN 'i' THEN 'AS IMPLICIT' END)]
    FROM pg_cast c WHERE c.oid >= 16384 AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_cast'::regclass AND d.objid = c.oid AND d.deptype = 'i');
    RETURN QUERY
    SELECT 2617::oid, o.oid, 'OPERATOR', upg.down_operator(o.oid), '', o.oprnamespace, o.oprowner, NULL::jsonb, false,
           ARRAY[format('CREATE OPERATOR %I.%s (%s)', n.nspname, o.oprname, concat_ws(', ', 'FUNCTION = ' || o.oprcode,
               'LEFTARG = ' || format_type(nullif(o.oprleft, 0), NULL), 'RIGHTARG = ' || format_type(o.oprright, NULL),
               'COMMUTATOR = ' || (SELECT format('OPERATOR(%I.%s)', x.nspname, c.oprname) FROM pg_operator c JOIN pg_namespace x ON x.oid = c.oprnamespace WHERE c.oid = o.oprcom),
               'NEGATOR = ' || (SELECT format('OPERATOR(%I.%s)', x.nspname, c.oprname) FROM pg_operator c JOIN pg_namespace x ON x.oid = c.oprnamespace WHERE c.oid = o.oprnegate),
               'RESTRICT = ' || nullif(o.oprrest::text, '-'), 'JOIN = ' || nullif(o.oprjoin::text, '-'),
               CASE WHEN o.oprcanhash THEN 'HASHES' END, CASE WHEN o.oprcanmerge THEN 'MERGES' END))]
    FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace WHERE o.oid >= 16384 AND o.oprcode <> 0;
    RETURN QUERY
    SELECT 2753::oid, f.oid, 'OPERATOR FAMILY', format('%I.%I USING %I', n.nspname, f.opfname, am.amname), '', n.oid, f.opfowner, NULL::jsonb, false,
           array_remove(ARRAY[format('CREATE OPERATOR FAMILY %I.%I USING %I', n.nspname, f.opfname, am.amname),
                 format('ALTER OPERATOR FAMILY %I.%I USING %I ADD ', n.nspname, f.opfname, am.amname) || upg.down_members(f.oid, 0)], NULL)
    FROM pg_opfamily f JOIN pg_namespace n ON n.oid = f.opfnamespace JOIN pg_am am ON am.oid = f.opfmethod WHERE f.oid >= 16384;
    RETURN QUERY
    SELECT 2616::oid, c.oid, 'OPERATOR CLASS', format('%I.%I USING %I', n.nspname, c.opcname, am.amname), '', n.oid, c.opcowner, NULL::jsonb, false,
           ARRAY[format('CREATE OPERATOR CLASS %I.%I %s FOR TYPE %s USING %I FAMILY %s AS %s', n.nspname, c.opcname, CASE WHEN c.opcdefault THEN 'DEFAULT' ELSE '' END,
                        format_type(c.opcintype, NULL), am.amname,
                        (SELECT format('%I.%I', fn.nspname, f.opfname) FROM pg_opfamily f JOIN pg_namespace fn ON fn.oid = f.opfnamespace WHERE f.oid = c.opcfamily),
                        concat_ws(', ', 'STORAGE ' || format_type(coalesce(nullif(c.opckeytype, 0), c.opcintype), NULL), upg.down_members(c.opcfamily, c.oid)))]
    FROM pg_opclass c JOIN pg_namespace n ON n.oid = c.opcnamespace JOIN pg_am am ON am.oid = c.opcmethod WHERE c.oid >= 16384;
    RETURN QUERY
    SELECT 3456::oid, c.oid, 'COLLATION', format('%I.%I', n.nspname, c.collname), c.collname::text, n.oid, c.collowner, NULL::jsonb, false,
           ARRAY[format('CREATE COLLATION %I.%I (%s)', n.nspname, c.collname, concat_ws(', ',
               'PROVIDER = ' || CASE c.collprovider WHEN 'c' THEN 'libc' WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'default' END,
               (SELECT CASE WHEN coalesce(j.j ->> 'colllocale', j.j ->> 'colliculocale') IS NOT NULL
                            THEN 'LOCALE = ' || quote_literal(coalesce(j.j ->> 'colllocale', j.j ->> 'colliculocale'))
                            WHEN c.collcollate = c.collctype THEN 'LOCALE = ' || quote_literal(c.collcollate)
                            ELSE format('LC_COLLATE = %L, LC_CTYPE = %L', c.collcollate, c.collctype) END FROM (SELECT to_jsonb(c)) j (j)),
               CASE WHEN NOT c.collisdeterministic THEN 'DETERMINISTIC = false' END, 'VERSION = ' || quote_literal(c.collversion)))]
    FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace WHERE c.oid >= 16384;
    RETURN QUERY
    SELECT 2607::oid, c.oid, 'CONVERSION', format('%I.%I', n.nspname, c.conname), c.conname::text, n.oid, c.conowner, NULL::jsonb, false,
           ARRAY[format('CREATE %sCONVERSION %I.%I FOR %L TO %L FROM %s', CASE WHEN c.condefault THEN 'DEFAULT ' ELSE '' END, n.nspname, c.conname,
                        pg_encoding_to_char(c.conforencoding), pg_encoding_to_char(c.contoencoding), c.conproc)]
    FROM pg_conversion c JOIN pg_namespace n ON n.oid = c.connamespace WHERE c.oid >= 16384;
    RETURN QUERY
    SELECT 3600::oid, d.oid, 'TEXT SEARCH DICTIONARY', format('%I.%I', n.nspname, d.dictname), d.dictname::text, n.oid, d.dictowner, NULL::jsonb, false,
           ARRAY[format('CREATE TEXT SEARCH DICTIONARY %I.%I (%s)', n.nspname, d.dictname, concat_ws(', ',
               'TEMPLATE = ' || (SELECT format('%I.%I', tn.nspname, t.tmplname) FROM pg_ts_template t JOIN pg_namespace tn ON tn.oid = t.tmplnamespace WHERE t.oid = d.dicttemplate),
               nullif(d.dictinitoption, '')))]
    FROM pg_ts_dict d JOIN pg_namespace n ON n.oid = d.dictnamespace WHERE d.oid >= 16384;
    RETURN QUERY
    SELECT 3602::oid, c.oid, 'TEXT SEARCH CONFIGURATION', format('%I.%I', n.nspname, c.cfgname), c.cfgname::text, n.oid, c.cfgowner, NULL::jsonb, false,
           ARRAY[format('CREATE TEXT SEARCH CONFIGURATION %I.%I (PARSER = %s)', n.nspname, c.cfgname,
                        (SELECT format('%I.%I', pn.nspname, p.prsname) FROM pg_ts_parser p JOIN pg_namespace pn ON pn.oid = p.prsnamespace WHERE p.oid = c.cfgparser))]
           || ARRAY(SELECT format('ALTER TEXT SEARCH CONFIGURATION %I.%I ADD MAPPING FOR %I WITH %s', n.nspname, c.cfgname,
                                  (SELECT t.alias FROM ts_token_type(c.cfgparser) t WHERE t.tokid = m.maptokentype),
                                  string_agg((SELECT format('%I.%I', dn.nspname, d.dictname) FROM pg_ts_dict d JOIN pg_namespace dn ON dn.oid = d.dictnamespace
                                              WHERE d.oid = m.mapdict), ', ' ORDER BY m.mapseqno))
                    FROM pg_ts_config_map m WHERE m.mapcfg = c.oid GROUP BY m.maptokentype ORDER BY m.maptokentype)
    FROM pg_ts_config c JOIN pg_namespace n ON n.oid = c.cfgnamespace WHERE c.oid >= 16384;
    RETURN QUERY
    SELECT 3601::oid, p.oid, 'TEXT SEARCH PARSER', format('%I.%I', n.nspname, p.prsname), p.prsname::text, n.oid, 0::oid, NULL::jsonb, false,
           ARRAY[format('CREATE TEXT SEARCH PARSER %I.%I (%s)', n.nspname, p.prsname, concat_ws(', ', 'START = ' || p.prsstart, 'GETTOKEN = ' || p.prstoken,
                        'END = ' || p.prsend, 'LEXTYPES = ' || p.prslextype, 'HEADLINE = ' || nullif(p.prsheadline::text, '-')))]
    FROM pg_ts_parser p JOIN pg_namespace n ON n.oid = p.prsnamespace WHERE p.oid >= 16384;
    RETURN QUERY
    SELECT 3764::oid, t.oid, 'TEXT SEARCH TEMPLATE', format('%I.%I', n.nspname, t.tmplname), t.tmplname::text, n.oid, 0::oid, NULL::jsonb, false,
           ARRAY[format('CREATE TEXT SEARCH TEMPLATE %I.%I (%s)', n.nspname, t.tmplname, concat_ws(', ', 'INIT = ' || nullif(t.tmplinit::text, '-'), 'LEXIZE = ' || t.tmpllexize))]
    FROM pg_ts_template t JOIN pg_namespace n ON n.oid = t.tmplnamespace WHERE t.oid >= 16384;
    RETURN QUERY
    SELECT 2328::oid, w.oid, 'FOREIGN DATA WRAPPER', quote_ident(w.fdwname), w.fdwname::text, 0::oid, w.fdwowner, upg.down_acl(w.fdwacl, 'F', w.fdwowner), w.fdwacl IS NOT NULL,
           ARRAY[concat_ws(' ', 'CREATE FOREIGN DATA WRAPPER', quote_ident(w.fdwname), 'HANDLER ' || nullif(w.fdwhandler, 0)::regproc,
                           'VALIDATOR ' || nullif(w.fdwvalidator, 0)::regproc, upg.down_fdw_options(w.fdwoptions))]
    FROM pg_foreign_data_wrapper w;
    RETURN QUERY
    SELECT 1417::oid, s.oid, 'SERVER', quote_ident(s.srvname), s.srvname::text, 0::oid, s.srvowner, upg.down_acl(s.srvacl, 'S', s.srvowner), s.srvacl IS NOT NULL,
           ARRAY[concat_ws(' ', 'CREATE SERVER', quote_ident(s.srvname), 'TYPE ' || quote_literal(s.srvtype), 'VERSION ' || quote_literal(s.srvversion),
                           'FOREIGN DATA WRAPPER', (SELECT quote_ident(w.fdwname) FROM pg_foreign_data_wrapper w WHERE w.oid = s.srvfdw), upg.down_fdw_options(s.srvoptions))]
    FROM pg_foreign_server s;
    RETURN QUERY
    SELECT 1418::oid, m.umid, 'USER MAPPING', format('FOR %s SERVER %I', CASE WHEN m.umuser = 0 THEN 'PUBLIC' ELSE quote_ident(m.usename) END, m.srvname), '', 0::oid, 0::oid,
           NULL::jsonb, false, ARRAY[concat_ws(' ', format('CREATE USER MAPPING FOR %s SERVER %I', CASE WHEN m.umuser = 0 THEN 'PUBLIC' ELSE quote_ident(m.usename) END, m.srvname),
                                               upg.down_fdw_options(m.umoptions))]
    FROM pg_user_mappings m;
    RETURN QUERY
    SELECT 2612::oid, l.oid, 'LANGUAGE', quote_ident(l.lanname), l.lanname::text, 0::oid, l.lanowner, upg.down_acl(l.lanacl, 'l', l.lanowner), l.lanacl IS NOT NULL,
           ARRAY[concat_ws(' ', 'CREATE', CASE WHEN l.lanpltrusted THEN 'TRUSTED' END, 'LANGUAGE', quote_ident(l.lanname), 'HANDLER ' || nullif(l.lanplcallfoid, 0)::regproc,
                           'INLINE ' || nullif(l.laninline, 0)::regproc, 'VALIDATOR ' || nullif(l.lanvalidator, 0)::regproc)]
    FROM pg_language l WHERE l.oid >= 16384;
    RETURN QUERY
    SELECT 2601::oid, a.oid, 'ACCESS METHOD', quote_ident(a.amname), a.amname::text, 0::oid, 0::oid, NULL::jsonb, false,
           ARRAY[format('CREATE ACCESS METHOD %I TYPE %s HANDLER %s', a.amname, CASE a.amtype WHEN 't' THEN 'TABLE' ELSE 'INDEX' END, a.amhandler)]
    FROM pg_am a WHERE a.oid >= 16384;
    RETURN QUERY
    SELECT 3576::oid, t.oid, 'TRANSFORM', format('FOR %s LANGUAGE %I', format_type(t.trftype, NULL), l.lanname), '', 0::oid, 0::oid, NULL::jsonb, false,
           ARRAY[format('CREATE TRANSFORM FOR %s LANGUAGE %I (%s)', format_type(t.trftype, NULL), l.lanname,
                        concat_ws(', ', 'FROM SQL WITH FUNCTION ' || nullif(t.trffromsql, 0)::regprocedure, 'TO SQL WITH FUNCTION ' || nullif(t.trftosql, 0)::regprocedure))]
    FROM pg_transform t JOIN pg_language l ON l.oid = t.trflang WHERE t.oid >= 16384;
    RETURN QUERY
    SELECT 3466::oid, e.oid, 'EVENT TRIGGER', quote_ident(e.evtname), e.evtname::text, 0::oid, e.evtowner, NULL::jsonb, false,
           ARRAY[format('CREATE EVENT TRIGGER %I ON %I%s EXECUTE FUNCTION %s()', e.evtname, e.evtevent,
                        ' WHEN TAG IN (' || (SELECT string_agg(quote_literal(t), ', ') FROM unnest(e.evttags) t) || ')', e.evtfoid::regproc)]
           || CASE WHEN e.evtenabled <> 'O' THEN ARRAY[format('ALTER EVENT TRIGGER %I %s', e.evtname,
                        CASE e.evtenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END)] ELSE '{}' END
    FROM pg_event_trigger e;
    RETURN QUERY
    SELECT 6104::oid, p.oid, 'PUBLICATION', quote_ident(p.pubname), p.pubname::text, 0::oid, p.pubowner, NULL::jsonb, false,
           ARRAY[concat_ws(' ', 'CREATE PUBLICATION', quote_ident(p.pubname), CASE WHEN p.puballtables THEN 'FOR ALL TABLES' END,
                 'FOR ' || concat_ws(', ',
                     (SELECT 'TABLE ' || string_agg(concat_ws(' ', 'ONLY', format('%I.%I', n.nspname, c.relname),
                          '(' || (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a
                                  WHERE a.attrelid = c.oid AND a.attnum = ANY (r.prattrs::int2[])) || ')',
                          'WHERE (' || pg_get_expr(r.prqual, r.prrelid) || ')'), ', ' ORDER BY n.nspname, c.relname)
                      FROM pg_publication_rel r JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE r.prpubid = p.oid),
                     (SELECT 'TABLES IN SCHEMA ' || string_agg(quote_ident(n.nspname), ', ' ORDER BY n.nspname)
                      FROM pg_publication_namespace s JOIN pg_namespace n ON n.oid = s.pnnspid WHERE s.pnpubid = p.oid)),
                 format('WITH (publish = %L%s)', concat_ws(', ', CASE WHEN p.pubinsert THEN 'insert' END, CASE WHEN p.pubupdate THEN 'update' END,
                        CASE WHEN p.pubdelete THEN 'delete' END, CASE WHEN p.pubtruncate THEN 'truncate' END),
                        CASE WHEN p.pubviaroot THEN ', publish_via_partition_root = true' ELSE '' END))]
    FROM pg_publication p;
    RETURN QUERY
    SELECT 1260::oid, r.oid, 'ROLE', quote_ident(r.rolname), r.rolname::text, 0::oid, 0::oid, NULL::jsonb, false,
           ARRAY['CREATE ROLE ' || quote_ident(r.rolname), concat_ws(' ', 'ALTER ROLE', quote_ident(r.rolname), 'WITH',
                 CASE WHEN r.rolsuper THEN 'SUPERUSER' ELSE 'NOSUPERUSER' END, CASE WHEN r.rolinherit THEN 'INHERIT' ELSE 'NOINHERIT' END,
                 CASE WHEN r.rolcreaterole THEN 'CREATEROLE' ELSE 'NOCREATEROLE' END, CASE WHEN r.rolcreatedb THEN 'CREATEDB' ELSE 'NOCREATEDB' END,
                 CASE WHEN r.rolcanlogin THEN 'LOGIN' ELSE 'NOLOGIN' END, CASE WHEN r.rolreplication THEN 'REPLICATION' ELSE 'NOREPLICATION' END,
                 CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' ELSE 'NOBYPASSRLS' END, 'CONNECTION LIMIT ' || r.rolconnlimit,
                 'VALID UNTIL ' || quote_literal(r.rolvaliduntil))]
    FROM pg_roles r WHERE r.rolname !~ '^pg_';
    RETURN QUERY
    SELECT 1261::oid, m.roleid, 'MEMBERSHIP', format('%I TO %I', pg_get_userbyid(m.roleid), pg_get_userbyid(m.member)), m.member::text, 0::oid, 0::oid, NULL::jsonb, false,
           ARRAY[concat_ws(' ', 'GRANT', quote_ident(pg_get_userbyid(m.roleid)), 'TO', quote_ident(pg_get_userbyid(m.member)), CASE WHEN m.admin_option THEN 'WITH ADMIN OPTION' END)]
    FROM pg_auth_members m;
    RETURN QUERY
    SELECT 2964::oid, s.setrole, 'SETTINGS', CASE WHEN s.setrole = 0 THEN 'DATABASE' ELSE quote_ident(pg_get_userbyid(s.setrole)) END,
           CASE WHEN s.setdatabase = 0 THEN 'everywhere' ELSE 'here' END, 0::oid, 0::oid, to_jsonb(s.setconfig), true, '{}'::text[]
    FROM pg_db_role_setting s WHERE s.setdatabase IN (0, (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()));
END
$function$;
COMMENT ON FUNCTION upg.down_others() IS 'objects of the remaining kinds, with what is needed to make them';
REVOKE ALL ON FUNCTION upg.down_others() FROM PUBLIC;

CREATE FUNCTION upg.down_named_others()
    RETURNS TABLE (key text, def jsonb)
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
    AS $function$
SELECT x.class || ':' || x.object || CASE WHEN x.kind IN ('MEMBERSHIP', 'SETTINGS') THEN ':' || x.name ELSE '' END, jsonb_build_object(
    'kind', x.kind, 'id', x.id, 'name', x.name, 'ns', x.ns, 'owner', CASE WHEN x.owner <> 0 THEN quote_ident(pg_get_userbyid(x.owner)) END,
    'acl', x.acl, 'acl set', x.acl_set, 'create', to_jsonb(x.statements),
    'image', CASE x.kind WHEN 'SCHEMA' THEN 'schema ' || x.id WHEN 'EXTENSION' THEN 'extension ' || x.id
                         WHEN 'DEFAULT PRIVILEGES' THEN concat_ws(' ', 'default privileges of', pg_get_userbyid(a.defaclrole), 'in ' || nullif(a.defaclnamespace, 0)::regnamespace,
                                                                  'for', lower(x.acl ->> 'on'))
                         WHEN 'SETTINGS' THEN 'settings of ' || CASE WHEN x.object = 0 THEN 'the database' ELSE pg_get_userbyid(x.object)::text END
                         WHEN 'MEMBERSHIP' THEN 'membership ' || x.id
                         WHEN 'ROLE' THEN 'role ' || x.id
                         WHEN 'USER MAPPING' THEN 'user mapping ' || x.id
                         ELSE i.type || ' ' || i.identity END,
    'comment', CASE WHEN x.kind = 'ROLE' THEN shobj_description(x.object, 'pg_authid')
                    WHEN x.kind NOT IN ('MEMBERSHIP', 'SETTINGS') THEN (SELECT d.description FROM pg_description d WHERE d.classoid = x.class AND d.objoid = x.object AND d.objsubid = 0) END,
    'labels', CASE WHEN x.kind NOT IN ('ROLE', 'MEMBERSHIP', 'SETTINGS') THEN upg.down_labels(x.class, x.object, 0) END)
FROM upg.down_others() x LEFT JOIN pg_default_acl a ON x.kind = 'DEFAULT PRIVILEGES' AND a.oid = x.object
LEFT JOIN LATERAL pg_identify_object(CASE WHEN x.kind NOT IN ('MEMBERSHIP', 'SETTINGS', 'DEFAULT PRIVILEGES') THEN x.class END, x.object, 0) i ON true
WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = x.class AND d.objid = x.object AND d.deptype = 'e')
$function$;
COMMENT ON FUNCTION upg.down_named_others() IS 'objects of the remaining kinds, with their names and what is needed to make them';
REVOKE ALL ON FUNCTION upg.down_named_others() FROM PUBLIC;

CREATE FUNCTION upg.down_objects()
    RETURNS jsonb
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
    AS $function$
SELECT jsonb_object_agg(o.key, jsonb_strip_nulls(o.def)) FROM (
    SELECT * FROM upg.down_relations()
    UNION ALL SELECT * FROM upg.down_routines()
    UNION ALL SELECT * FROM upg.down_types()
    UNION ALL SELECT * FROM upg.down_named_others()) o
$function$;
COMMENT ON FUNCTION upg.down_objects() IS 'every object of the schema with what is needed to make it and to take it away';
REVOKE ALL ON FUNCTION upg.down_objects() FROM PUBLIC;

-- Routines and types for a few objects only, from the text of the functions above.
DO $make$
DECLARE
    f text;
BEGIN
    FOREACH f IN ARRAY '{down_routines,down_types}'::text[] LOOP
        EXECUTE replace(replace(replace(pg_get_functiondef(('upg.' || f || '()')::regprocedure),
            f || '()', f || '_of(anchors oid[])'), '/*@', ''), '@*/', '');
    END LOOP;
END
$make$;
ALTER FUNCTION upg.down_routines_of(oid[]) SET plan_cache_mode = force_generic_plan;
COMMENT ON FUNCTION upg.down_routines_of(oid[]) IS 'some functions, procedures and aggregates, with what is needed to make them';
REVOKE ALL ON FUNCTION upg.down_routines_of(oid[]) FROM PUBLIC;
ALTER FUNCTION upg.down_types_of(oid[]) SET plan_cache_mode = force_generic_plan;
COMMENT ON FUNCTION upg.down_types_of(oid[]) IS 'some types and domains, with what is needed to make them';
REVOKE ALL ON FUNCTION upg.down_types_of(oid[]) FROM PUBLIC;

-- What has no entry of its own and belongs to an object that has one.
CREATE FUNCTION upg.down_owners()
    RETURNS TABLE (class oid, object oid, key text)
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
    AS $function$
SELECT 2604::oid, oid, '1259:' || adrelid FROM pg_attrdef
UNION ALL SELECT 2618::oid, oid, '1259:' || ev_class FROM pg_rewrite WHERE rulename = '_RETURN'
UNION ALL SELECT 1247::oid, t.oid, CASE WHEN c.relkind = 'c' THEN '1247:' || t.oid ELSE '1259:' || c.oid END
          FROM pg_type t JOIN pg_class c ON c.oid = t.typrelid
UNION ALL SELECT 1247::oid, a.oid, CASE WHEN c.oid IS NULL OR c.relkind = 'c' THEN '1247:' || e.oid ELSE '1259:' || c.oid END
          FROM pg_type e JOIN pg_type a ON a.oid = e.typarray LEFT JOIN pg_class c ON c.oid = e.typrelid
UNION ALL SELECT 1247::oid, rngmultitypid, '1247:' || rngtypid FROM pg_range
UNION ALL SELECT 1259::oid, c.oid, '1247:' || c.reltype FROM pg_class c WHERE c.relkind = 'c'
UNION ALL SELECT 1259::oid, k.conindid, '2606:' || k.oid FROM pg_constraint k
          WHERE k.contype IN ('p', 'u', 'x') AND k.conindid <> 0
UNION ALL SELECT 2606::oid, k.oid, '1259:' || k.conrelid FROM pg_constraint k WHERE k.contype = 'n' AND k.conrelid <> 0
UNION ALL SELECT 1259::oid, d.objid, '1259:' || d.refobjid FROM pg_depend d JOIN pg_class s ON s.oid = d.objid
          WHERE d.classid = 1259 AND d.refclassid = 1259 AND d.deptype = 'i' AND s.relkind = 'S'
UNION ALL SELECT 2602::oid, a.oid, coalesce('2616:' || (SELECT d.refobjid FROM pg_depend d WHERE d.classid = 2602 AND d.objid = a.oid AND d.refclassid = 2616
                                                        AND d.deptype = 'i'), '2753:' || a.amopfamily) FROM pg_amop a WHERE a.oid >= 16384
UNION ALL SELECT 2603::oid, a.oid, coalesce('2616:' || (SELECT d.refobjid FROM pg_depend d WHERE d.classid = 2603 AND d.objid = a.oid AND d.refclassid = 2616
                                                        AND d.deptype = 'i'), '2753:' || a.amprocfamily) FROM pg_amproc a WHERE a.oid >= 16384
UNION ALL SELECT 6106::oid, oid, '6104:' || prpubid FROM pg_publication_rel
UNION ALL SELECT 6237::oid, oid, '6104:' || pnpubid FROM pg_publication_namespace
$function$;
COMMENT ON FUNCTION upg.down_owners() IS 'what belongs to an object of upg.down_objects()';
REVOKE ALL ON FUNCTION upg.down_owners() FROM PUBLIC;

CREATE FUNCTION upg.down_keys(addresses text[])
    RETURNS text[]
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
    AS $function$
SELECT array_agg(DISTINCT coalesce(o.key, a)) FROM unnest(addresses) a
LEFT JOIN upg.down_owners() o ON o.class || ':' || o.object = a
$function$;
COMMENT ON FUNCTION upg.down_keys(text[]) IS 'keys of the objects that addresses belong to';
REVOKE ALL ON FUNCTION upg.down_keys(text[]) FROM PUBLIC;

-- Which object needs which: pairs of keys, the column needed, and the kind of dependency.
CREATE FUNCTION upg.down_depends()
    RETURNS jsonb
    LANGUAGE sql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
    AS $function$
WITH owners (class, object, key) AS MATERIALIZED (
    SELECT * FROM upg.down_owners()
)
SELECT coalesce(jsonb_agg(DISTINCT jsonb_build_array(p.a, p.b, p.sub, p.deptype, p.obj)), '[]') FROM (
    SELECT coalesce(o.key, d.classid || ':' || d.objid) AS a, coalesce(r.key, d.refclassid || ':' || d.refobjid) AS b, d.refobjsubid AS sub, d.deptype,
           CASE WHEN d.classid = 1259 THEN d.objsubid WHEN d.classid = 2604 THEN (SELECT f.adnum::int FROM pg_attrdef f WHERE f.oid = d.objid) ELSE 0 END AS obj
    FROM pg_depend d LEFT JOIN owners o ON o.class = d.classid AND o.object = d.objid
    LEFT JOIN owners r ON r.class = d.refclassid AND r.object = d.refobjid
    WHERE d.refobjid >= 16384 AND d.objid >= 16384) p
WHERE p.a <> p.b
$function$;
COMMENT ON FUNCTION upg.down_depends() IS 'which object needs which';
REVOKE ALL ON FUNCTION upg.down_depends() FROM PUBLIC;
