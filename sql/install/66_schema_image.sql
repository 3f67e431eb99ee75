-- The schema described object by object, so that two states of it can be
-- compared and the difference named.  The kinds that people use have attributes
-- with names of their own; an object of any other kind is one text, made as for
-- the fingerprint.  Members of extensions are left out: the extension stands for
-- them, as in pg_dump.
CREATE FUNCTION upg.image_acl(acl aclitem[], kind "char", owner oid)
    RETURNS text
    LANGUAGE C STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'upg_image_acl';
COMMENT ON FUNCTION upg.image_acl(aclitem[], "char", oid) IS 'privileges as sorted text, null if they are the default ones';
REVOKE ALL ON FUNCTION upg.image_acl(aclitem[], "char", oid) FROM PUBLIC;

CREATE FUNCTION upg.image_options(options text[])
    RETURNS text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'upg_image_options';
COMMENT ON FUNCTION upg.image_options(text[]) IS 'storage options as sorted text';
REVOKE ALL ON FUNCTION upg.image_options(text[]) FROM PUBLIC;

CREATE FUNCTION upg.image_foreign(options text[])
    RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT string_agg(CASE WHEN o ~ '[,"]' THEN '"' || replace(o, '"', '""') || '"' ELSE o END, ', ' ORDER BY o COLLATE "C") FROM unnest(options) o
$function$;
COMMENT ON FUNCTION upg.image_foreign(text[]) IS 'options of a foreign object, whose values may hold anything, as sorted text';
REVOKE ALL ON FUNCTION upg.image_foreign(text[]) FROM PUBLIC;

CREATE FUNCTION upg.image_relation(relation oid)
    RETURNS text
    LANGUAGE C STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'upg_image_relation';
COMMENT ON FUNCTION upg.image_relation(oid) IS 'what an image calls a relation';
REVOKE ALL ON FUNCTION upg.image_relation(oid) FROM PUBLIC;

CREATE FUNCTION upg.image_comment(class oid, object oid, sub integer DEFAULT 0)
    RETURNS text
    LANGUAGE C STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'upg_image_comment';
COMMENT ON FUNCTION upg.image_comment(oid, oid, integer) IS 'the comment on an object';
REVOKE ALL ON FUNCTION upg.image_comment(oid, oid, integer) FROM PUBLIC;

-- "anchor" is the object that a line belongs to: the relation of a column or an
-- index; 0 for what has none.  "id" and "sub" stay when a name changes.  Conditions
-- between the marks @...@ are for upg.image_objects_of() below.
CREATE FUNCTION upg.image_objects(schemas text[])
    RETURNS TABLE (object text, attributes jsonb, anchor oid, id oid, sub integer)
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    SET jit = off
    AS $function$
DECLARE
    spaces oid[];
    own oid[];
    r record;
    found_some boolean;
    labels boolean;
    /*@ relations boolean;
    indexes boolean;
    constraints boolean;
    triggers boolean;
    rules boolean;
    policies boolean;
    statistics boolean;
    spaces_too boolean;
    functions boolean;
    types boolean; @*/
BEGIN
    SELECT array_agg(n.oid) INTO spaces FROM pg_namespace n
    WHERE n.nspname !~ '^pg_(toast|temp)' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'upg')
      AND (schemas IS NULL OR n.nspname = ANY (schemas));
    SELECT array_agg(d.objid) INTO own FROM pg_depend d
    WHERE d.classid = 'pg_class'::regclass AND d.deptype = 'e' /*@ AND d.objid = ANY (anchors) @*/;
    /*@ SELECT EXISTS (SELECT FROM pg_class c WHERE c.oid = ANY (anchors)),
               EXISTS (SELECT FROM pg_index i WHERE i.indrelid = ANY (anchors)),
               EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = ANY (anchors)) OR EXISTS (SELECT FROM pg_constraint k WHERE k.contypid = ANY (anchors)),
               EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = ANY (anchors)),
               EXISTS (SELECT FROM pg_rewrite w WHERE w.ev_class = ANY (anchors)),
               EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = ANY (anchors)),
               EXISTS (SELECT FROM pg_statistic_ext x WHERE x.stxrelid = ANY (anchors)),
               EXISTS (SELECT FROM pg_namespace n WHERE n.oid = ANY (anchors)),
               EXISTS (SELECT FROM pg_proc p WHERE p.oid = ANY (anchors)),
               EXISTS (SELECT FROM pg_type t WHERE t.oid = ANY (anchors)) OR EXISTS (SELECT FROM pg_class c WHERE c.oid = ANY (anchors) AND c.relkind = 'c')
    INTO relations, indexes, constraints, triggers, rules, policies, statistics, spaces_too, functions, types;
    IF spaces_too THEN @*/
    RETURN QUERY
    SELECT 'schema ' || quote_ident(n.nspname),
           jsonb_build_object('owner', pg_get_userbyid(n.nspowner), 'privileges', upg.image_acl(n.nspacl, 'n', n.nspowner),
                              'comment', upg.image_comment('pg_namespace'::regclass, n.oid)),
           n.oid, n.oid, 0
    FROM pg_namespace n
    WHERE n.oid = ANY (spaces) /*@ AND n.oid = ANY (anchors) @*/
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_namespace'::regclass AND d.objid = n.oid AND d.deptype = 'e');
    /*@ END IF; @*/

    -- tables, views, sequences
    /*@ IF relations THEN @*/
    RETURN QUERY
    SELECT upg.image_relation(c.oid),
           jsonb_build_object(
               'of', (SELECT 'column ' || format('%I.%I.%I', pn.nspname, p.relname, a.attname)
                      FROM pg_depend d JOIN pg_class p ON p.oid = d.refobjid JOIN pg_namespace pn ON pn.oid = p.relnamespace
                      JOIN pg_attribute a ON a.attrelid = p.oid AND a.attnum = d.refobjsubid
                      WHERE c.relkind = 'S' AND d.classid = 'pg_class'::regclass AND d.objid = c.oid
                        AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0 LIMIT 1),
               'owned by', (SELECT format('%s.%I', d.refobjid::regclass, a.attname)
                      FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                      WHERE c.relkind = 'S' AND d.classid = 'pg_class'::regclass AND d.objid = c.oid
                        AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0 LIMIT 1),
               'owner', pg_get_userbyid(c.relowner),
               'privileges', upg.image_acl(c.relacl, CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner),
               'comment', upg.image_comment('pg_class'::regclass, c.oid),
               'persistence', CASE c.relpersistence WHEN 'u' THEN 'unlogged' END,
               'access method', (SELECT amname FROM pg_am WHERE pg_am.oid = c.relam AND amname <> 'heap'),
               'tablespace', (SELECT spcname FROM pg_tablespace t WHERE t.oid = c.reltablespace),
               'options', upg.image_options(c.reloptions),
               'options of the toast table', (SELECT upg.image_options(t.reloptions) FROM pg_class t WHERE t.oid = c.reltoastrelid),
               'columns', CASE WHEN c.relkind <> 'S' THEN
                   (SELECT jsonb_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a
                    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) END,
               'inherits', (SELECT string_agg(i.inhparent::regclass::text, ', ' ORDER BY i.inhseqno) FROM pg_inherits i WHERE i.inhrelid = c.oid),
               'partition key', CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END,
               'partition bound', pg_get_expr(c.relpartbound, c.oid),
               'row security', CASE WHEN c.relrowsecurity THEN 'on' END,
               'forced row security', CASE WHEN c.relforcerowsecurity THEN 'on' END,
               'replica identity', CASE WHEN c.relkind IN ('r', 'p', 'm') THEN nullif(c.relreplident, 'd') END,
               'type', CASE WHEN c.reloftype <> 0 THEN format_type(c.reloftype, NULL) END,
               'definition', CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END,
               'populated', CASE WHEN c.relkind = 'm' AND NOT c.relispopulated THEN 'no' END,
               'foreign table', (SELECT concat_ws(' ', quote_ident(s.srvname), upg.image_foreign(f.ftoptions)) FROM pg_foreign_table f
                                 JOIN pg_foreign_server s ON s.oid = f.ftserver WHERE f.ftrelid = c.oid),
               'sequence', (SELECT concat_ws(' ', format_type(s.seqtypid, NULL), 'start', s.seqstart, 'increment', s.seqincrement,
                                             'min', s.seqmin, 'max', s.seqmax, 'cache', s.seqcache, CASE WHEN s.seqcycle THEN 'cycle' END)
                            FROM pg_sequence s WHERE s.seqrelid = c.oid)),
           c.oid, c.oid, 0
    FROM pg_class c
    WHERE c.relnamespace = ANY (spaces) /*@ AND c.oid = ANY (anchors) @*/ AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND c.oid <> ALL (coalesce(own, '{}'));
    /*@ END IF; @*/

    /*@ IF relations THEN @*/
    RETURN QUERY
    SELECT 'column ' || format('%I.%I.%I', n.nspname, c.relname, a.attname),
           jsonb_build_object(
               'of', upg.image_relation(c.oid),
               'type', format_type(a.atttypid, a.atttypmod),
               'collation', CASE WHEN a.attcollation <> t.typcollation THEN
                   (SELECT format('%I.%I', cn.nspname, co.collname) FROM pg_collation co
                    JOIN pg_namespace cn ON cn.oid = co.collnamespace WHERE co.oid = a.attcollation) END,
               'not null', CASE WHEN a.attnotnull THEN 'yes' END,
               CASE a.attgenerated WHEN '' THEN 'default' WHEN 'v' THEN 'virtual' ELSE 'generated' END,
               (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d
                WHERE a.atthasdef AND d.adrelid = a.attrelid AND d.adnum = a.attnum),
               'identity', CASE a.attidentity WHEN 'a' THEN 'always' WHEN 'd' THEN 'by default' END,
               'storage', CASE WHEN a.attstorage <> t.typstorage THEN
                   CASE a.attstorage WHEN 'p' THEN 'plain' WHEN 'e' THEN 'external' WHEN 'm' THEN 'main' ELSE 'extended' END END,
               'compression', nullif(a.attcompression::text, ''),
               'statistics target', nullif(a.attstattarget, -1),
               'options', upg.image_options(a.attoptions),
               'foreign options', upg.image_foreign(a.attfdwoptions),
               'privileges', CASE WHEN a.attacl IS NOT NULL THEN upg.image_acl(a.attacl, 'c', c.relowner) END,
               'inherited', CASE WHEN NOT a.attislocal THEN 'only' WHEN a.attinhcount > 0 THEN 'too' END,
               'comment', upg.image_comment('pg_class'::regclass, a.attrelid, a.attnum)),
           c.oid, c.oid, a.attnum::integer
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type t ON t.oid = a.atttypid
    WHERE c.relnamespace = ANY (spaces) /*@ AND c.oid = ANY (anchors) @*/ AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND c.oid <> ALL (coalesce(own, '{}'));
    /*@ END IF; @*/

    /*@ IF indexes THEN @*/
    RETURN QUERY
    SELECT upg.image_relation(c.oid),
           jsonb_build_object(
               'of', coalesce((SELECT format('constraint %I on %s', k.conname, upg.image_relation(k.conrelid)) FROM pg_constraint k
                               WHERE k.conindid = c.oid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u', 'x') LIMIT 1),
                              upg.image_relation(i.indrelid)),
               'definition', pg_get_indexdef(c.oid), 'options', upg.image_options(c.reloptions),
               'validity', CASE WHEN NOT i.indisvalid THEN 'invalid' END,
               'clustered', CASE WHEN i.indisclustered THEN 'yes' END,
               'replica identity', CASE WHEN i.indisreplident THEN 'yes' END,
               'tablespace', (SELECT spcname FROM pg_tablespace t WHERE t.oid = c.reltablespace),
               'partition of', (SELECT h.inhparent::regclass::text FROM pg_inherits h WHERE h.inhrelid = c.oid),
               'statistics targets', (SELECT string_agg(a.attnum || '=' || a.attstattarget, ', ' ORDER BY a.attnum) FROM pg_attribute a
                                      WHERE a.attrelid = c.oid AND a.attstattarget >= 0),
               'comment', upg.image_comment('pg_class'::regclass, c.oid)),
           i.indrelid, c.oid, 0
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE c.relnamespace = ANY (spaces) /*@ AND i.indrelid = ANY (anchors) @*/ AND i.indrelid <> ALL (coalesce(own, '{}'));
    /*@ END IF; @*/

    -- a not-null constraint with the server's own name says no more than its column, if
    -- nothing else is special about it; a foreign key to a partitioned table is one, not
    -- one for each partition
    /*@ IF constraints THEN @*/
    RETURN QUERY
    SELECT format('constraint %I on %s', k.conname, coalesce(upg.image_relation(k.conrelid),
                                                            'type ' || format_type(nullif(k.contypid, 0), NULL))),
           jsonb_build_object(
               'of', coalesce(upg.image_relation(k.conrelid),
                              (SELECT 'type ' || format('%I.%I', n.nspname, t.typname) FROM pg_type t
                               JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.oid = k.contypid)),
               'definition', pg_get_constraintdef(k.oid),
               'inherited', CASE WHEN NOT k.conislocal THEN 'only' WHEN k.coninhcount > 0 THEN 'too' END,
               'comment', upg.image_comment('pg_constraint'::regclass, k.oid)),
           CASE WHEN k.conrelid <> 0 THEN k.conrelid ELSE k.contypid END, k.oid, 0
    FROM pg_constraint k
    WHERE k.connamespace = ANY (spaces) /*@ AND k.oid IN (SELECT x.oid FROM pg_constraint x WHERE x.conrelid = ANY (anchors) AND x.conrelid <> 0
          UNION ALL SELECT x.oid FROM pg_constraint x WHERE x.contypid = ANY (anchors) AND x.contypid <> 0) @*/ AND k.contype <> 't' AND k.conrelid <> ALL (coalesce(own, '{}'))
      AND (k.conrelid = 0 OR NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = k.conrelid AND c.relkind IN ('i', 'I')))
      AND NOT (k.contype = 'f' AND k.conparentid <> 0 AND EXISTS (SELECT FROM pg_constraint p WHERE p.oid = k.conparentid AND p.conrelid = k.conrelid))
      AND NOT (k.contype = 'n' AND k.conrelid <> 0 AND k.conname =
               (SELECT c.relname || '_' || a.attname || '_not_null' FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
                WHERE c.oid = k.conrelid AND a.attnum = k.conkey[1])
               AND NOT k.connoinherit AND k.convalidated AND upg.image_comment('pg_constraint'::regclass, k.oid) IS NULL);
    /*@ END IF; @*/

    /*@ IF triggers THEN @*/
    RETURN QUERY
    SELECT format('trigger %I on %s', t.tgname, upg.image_relation(c.oid)),
           jsonb_build_object('of', upg.image_relation(c.oid), 'definition', pg_get_triggerdef(t.oid),
                              'inherited', CASE WHEN t.tgparentid <> 0 THEN 'only' END, 'enabled', nullif(t.tgenabled, 'O'), 'comment', upg.image_comment('pg_trigger'::regclass, t.oid)),
           c.oid, t.oid, 0
    FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
    WHERE c.relnamespace = ANY (spaces) /*@ AND c.oid = ANY (anchors) @*/ AND NOT t.tgisinternal AND c.oid <> ALL (coalesce(own, '{}'));
    /*@ END IF; @*/

    /*@ IF rules THEN @*/
    RETURN QUERY
    SELECT format('rule %I on %s', w.rulename, upg.image_relation(c.oid)),
           jsonb_build_object('of', upg.image_relation(c.oid), 'definition', pg_get_ruledef(w.oid),
                              'enabled', nullif(w.ev_enabled, 'O'), 'comment', upg.image_comment('pg_rewrite'::regclass, w.oid)),
           c.oid, w.oid, 0
    FROM pg_rewrite w JOIN pg_class c ON c.oid = w.ev_class
    WHERE c.relnamespace = ANY (spaces) /*@ AND c.oid = ANY (anchors) @*/ AND w.rulename <> '_RETURN' AND c.oid <> ALL (coalesce(own, '{}'));
    /*@ END IF; @*/

    /*@ IF policies THEN @*/
    RETURN QUERY
    SELECT format('policy %I on %s', p.polname, upg.image_relation(c.oid)),
           jsonb_build_object('of', upg.image_relation(c.oid), 'command', p.polcmd,
                              'permissive', CASE WHEN NOT p.polpermissive THEN 'no' END,
                              'roles', (SELECT string_agg(CASE WHEN o = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(o)) END, ', '
                                                          ORDER BY pg_get_userbyid(o)) FROM unnest(p.polroles) o),
                              'using', pg_get_expr(p.polqual, p.polrelid), 'with check', pg_get_expr(p.polwithcheck, p.polrelid),
                              'comment', upg.image_comment('pg_policy'::regclass, p.oid)),
           c.oid, p.oid, 0
    FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
    WHERE c.relnamespace = ANY (spaces) /*@ AND c.oid = ANY (anchors) @*/;
    /*@ END IF; @*/

    /*@ IF functions THEN @*/
    RETURN QUERY
    SELECT CASE p.prokind WHEN 'p' THEN 'procedure ' WHEN 'a' THEN 'aggregate ' ELSE 'function ' END
           || format('%I.%I(%s)', n.nspname, p.proname, oidvectortypes(p.proargtypes)),
           jsonb_build_object(
               'owner', pg_get_userbyid(p.proowner), 'privileges', upg.image_acl(p.proacl, 'f', p.proowner),
               'arguments', pg_get_function_arguments(p.oid), 'result', pg_get_function_result(p.oid),
               'language', (SELECT lanname FROM pg_language l WHERE l.oid = p.prolang),
               'body', coalesce(pg_get_function_sqlbody(p.oid), nullif(p.prosrc, 'aggregate_dummy')), 'library', p.probin,
               'volatility', CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' END,
               'parallel', CASE p.proparallel WHEN 's' THEN 'safe' WHEN 'r' THEN 'restricted' END,
               'strict', CASE WHEN p.proisstrict THEN 'yes' END, 'security definer', CASE WHEN p.prosecdef THEN 'yes' END,
               'leakproof', CASE WHEN p.proleakproof THEN 'yes' END, 'window', CASE WHEN p.prokind = 'w' THEN 'yes' END,
               'cost', p.procost, 'rows', nullif(p.prorows, 0), 'settings', upg.image_options(p.proconfig),
               'support', nullif(p.prosupport::text, '-'),
               'aggregate', (SELECT to_jsonb(g)::text FROM (SELECT aggkind, aggnumdirectargs, aggtransfn::text, aggfinalfn::text, aggcombinefn::text,
                                 aggserialfn::text, aggdeserialfn::text, aggmtransfn::text, aggminvtransfn::text, aggmfinalfn::text,
                                 aggfinalextra, aggmfinalextra, aggfinalmodify, aggmfinalmodify, aggsortop::regoperator::text,
                                 format_type(aggtranstype, NULL) AS state, aggtransspace, format_type(nullif(aggmtranstype, 0), NULL) AS mstate,
                                 aggmtransspace, agginitval, aggminitval FROM pg_aggregate WHERE aggfnoid = p.oid) g),
               'comment', upg.image_comment('pg_proc'::regclass, p.oid)),
           p.oid, p.oid, 0
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE p.pronamespace = ANY (spaces) /*@ AND p.oid = ANY (anchors) @*/
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype IN ('e', 'i'));
    /*@ END IF; @*/

    /*@ IF types THEN @*/
    RETURN QUERY
    SELECT 'type ' || format('%I.%I', n.nspname, t.typname),
           jsonb_build_object(
               'owner', pg_get_userbyid(t.typowner), 'privileges', upg.image_acl(t.typacl, 'T', t.typowner),
               'kind', CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'r' THEN 'range' WHEN 'c' THEN 'composite'
                                      WHEN 'p' THEN 'shell' ELSE 'base' END,
               'labels', (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid),
               'columns', (SELECT jsonb_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a
                           WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped),
               'base type', CASE WHEN t.typbasetype <> 0 THEN format_type(t.typbasetype, t.typtypmod) END,
               'default', t.typdefault, 'not null', CASE WHEN t.typnotnull THEN 'yes' END,
               'collation', CASE WHEN t.typtype = 'd' THEN nullif(t.typcollation, 0)::regcollation::text END,
               'range', (SELECT concat_ws(' ', format_type(g.rngsubtype, NULL), nullif(g.rngcollation, 0)::regcollation, nullif(g.rngcanonical::oid, 0)::regproc,
                                          nullif(g.rngsubdiff::oid, 0)::regproc, format_type(g.rngmultitypid, NULL)) FROM pg_range g WHERE g.rngtypid = t.oid),
               'functions', CASE WHEN t.typtype = 'b' THEN concat_ws(' ', t.typinput, t.typoutput, t.typreceive, t.typsend, t.typmodin, t.typmodout,
                                 t.typanalyze, t.typlen, t.typbyval, t.typalign, t.typstorage, t.typcategory, t.typispreferred, t.typdelim) END,
               'comment', upg.image_comment('pg_type'::regclass, t.oid)),
           CASE WHEN t.typrelid <> 0 THEN t.typrelid ELSE t.oid END, t.oid, 0
    FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
    WHERE t.typnamespace = ANY (spaces) /*@ AND t.oid IN (SELECT unnest(anchors) UNION ALL
          SELECT k.reltype FROM pg_class k WHERE k.oid = ANY (anchors) AND k.relkind = 'c') @*/ AND t.typtype <> 'm' AND NOT (t.typcategory = 'A' AND t.typelem <> 0)
      AND (t.typrelid = 0 OR EXISTS (SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c'))
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e');
    /*@ END IF; @*/

    /*@ IF statistics THEN @*/
    RETURN QUERY
    SELECT 'statistics ' || format('%I.%I', n.nspname, s.stxname),
           jsonb_build_object('of', upg.image_relation(s.stxrelid), 'owner', pg_get_userbyid(s.stxowner),
                              'definition', pg_get_statisticsobjdef(s.oid), 'target', nullif(s.stxstattarget, -1),
                              'comment', upg.image_comment('pg_statistic_ext'::regclass, s.oid)),
           s.stxrelid, s.oid, 0
    FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace
    WHERE s.stxnamespace = ANY (spaces) /*@ AND s.stxrelid = ANY (anchors) @*/;
    /*@ END IF; @*/

    -- only who uses a label provider pays for it
    SELECT EXISTS (SELECT FROM pg_seclabel) INTO labels;
    IF labels THEN
        RETURN QUERY
        SELECT format('security label of %I on %s %s', l.provider, i.type, i.identity),
               jsonb_build_object('of', CASE WHEN l.objsubid > 0 THEN 'column ' || i.identity WHEN l.classoid = 'pg_proc'::regclass THEN
                                            (SELECT format('%s %s.%I(%s)', i.type, p.pronamespace::regnamespace, p.proname, oidvectortypes(p.proargtypes)) FROM pg_proc p WHERE p.oid = l.objoid)
                                        ELSE i.type || ' ' || i.identity END,
                                  'label', l.label),
               a.anchor, 0::oid, 0
        FROM pg_seclabel l, LATERAL pg_identify_object(l.classoid, l.objoid, l.objsubid) i,
             LATERAL (SELECT CASE WHEN l.classoid IN ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_namespace'::regclass) THEN l.objoid
                                  WHEN l.classoid = 'pg_type'::regclass THEN
                                      (SELECT CASE WHEN t.typrelid <> 0 THEN t.typrelid ELSE t.oid END FROM pg_type t WHERE t.oid = l.objoid)
                                  ELSE 0 END) a (anchor)
        WHERE CASE WHEN i.type = 'schema' THEN EXISTS (SELECT FROM pg_namespace n WHERE n.oid = l.objoid AND n.oid = ANY (spaces))
                   WHEN i.schema IS NULL THEN schemas IS NULL
                   ELSE EXISTS (SELECT FROM pg_namespace n WHERE quote_ident(n.nspname) = i.schema AND n.oid = ANY (spaces)) END
          /*@ AND a.anchor = ANY (anchors) @*/
          AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = l.classoid AND d.objid = l.objoid AND d.deptype = 'e');
    END IF;

    /*@ IF 0 <> ALL (anchors) THEN
        RETURN;
    END IF; @*/
    IF schemas IS NULL THEN
        RETURN QUERY
        SELECT 'extension ' || quote_ident(e.extname),
               jsonb_build_object('schema', e.extnamespace::regnamespace, 'version', e.extversion, 'comment', upg.image_comment('pg_extension'::regclass, e.oid)),
               0::oid, 0::oid, 0
        FROM pg_extension e;
        RETURN QUERY
        SELECT concat_ws(' ', 'default privileges of', pg_get_userbyid(a.defaclrole),
                         'in ' || nullif(a.defaclnamespace, 0)::regnamespace, 'for',
                         CASE a.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions'
                                              WHEN 'T' THEN 'types' WHEN 'n' THEN 'schemas' ELSE a.defaclobjtype::text END),
               jsonb_build_object('privileges', (SELECT string_agg(x::text, ', ' ORDER BY x::text COLLATE "C") FROM unnest(a.defaclacl) x)),
               0::oid, 0::oid, 0
        FROM pg_default_acl a;
        RETURN QUERY
        SELECT concat_ws(' ', 'settings of', CASE WHEN s.setrole = 0 THEN 'the database' ELSE pg_get_userbyid(s.setrole)::text END),
               jsonb_build_object('settings', upg.image_options(s.setconfig)), 0::oid, 0::oid, 0
        FROM pg_db_role_setting s WHERE s.setdatabase = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database());
        RETURN QUERY
        SELECT 'privileges on ' || i.type || ' ' || i.identity,
               jsonb_build_object('privileges', (SELECT string_agg(x::text, ', ' ORDER BY x::text COLLATE "C") FROM unnest(a.acl) x)),
               0::oid, 0::oid, 0
        FROM (SELECT 'pg_class'::regclass AS class, c.oid, 0 AS sub, c.relacl AS acl, CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END AS kind, c.relowner AS owner
              FROM pg_class c WHERE c.oid < 16384
              UNION ALL SELECT 'pg_class'::regclass, t.attrelid, t.attnum, t.attacl, 'c', 10 FROM pg_attribute t WHERE t.attrelid < 16384 AND t.attacl IS NOT NULL
              UNION ALL SELECT 'pg_proc'::regclass, p.oid, 0, p.proacl, 'f', p.proowner FROM pg_proc p WHERE p.oid < 16384
              UNION ALL SELECT 'pg_type'::regclass, t.oid, 0, t.typacl, 'T', t.typowner FROM pg_type t WHERE t.oid < 16384 AND t.typacl IS NOT NULL
              UNION ALL SELECT 'pg_namespace'::regclass, n.oid, 0, n.nspacl, 'n', n.nspowner FROM pg_namespace n WHERE n.oid < 16384 AND n.oid <> ALL (spaces)
              UNION ALL SELECT 'pg_language'::regclass, l.oid, 0, l.lanacl, 'l', l.lanowner FROM pg_language l WHERE l.oid < 16384) a
        LEFT JOIN pg_init_privs b ON b.classoid = a.class AND b.objoid = a.oid AND b.objsubid = a.sub,
        LATERAL pg_identify_object(a.class, a.oid, a.sub) i
        -- a grant that is revoked again leaves what is given anyway, written out
        WHERE a.acl IS DISTINCT FROM b.initprivs
          AND ARRAY(SELECT x::text FROM unnest(coalesce(a.acl, acldefault(a.kind::"char", a.owner))) x ORDER BY x::text COLLATE "C")
              <> ARRAY(SELECT x::text FROM unnest(coalesce(b.initprivs, acldefault(a.kind::"char", a.owner))) x ORDER BY x::text COLLATE "C");
        -- options of a user mapping hold passwords: told apart, and that only to a superuser
        RETURN QUERY
        SELECT format('user mapping of %s for server %I', CASE WHEN m.umuser = 0 THEN 'public' ELSE quote_ident(pg_get_userbyid(m.umuser)) END, s.srvname),
               jsonb_build_object('options', CASE WHEN (SELECT u.rolsuper FROM pg_roles u WHERE u.rolname = session_user)
                                                  THEN encode(sha256(convert_to(m.umoptions::text, 'UTF8')), 'hex') END),
               0::oid, 0::oid, 0
        FROM pg_user_mapping m JOIN pg_foreign_server s ON s.oid = m.umserver;
        RETURN QUERY
        SELECT 'publication ' || quote_ident(p.pubname) || ' of ' || upg.image_relation(q.prrelid),
               jsonb_build_object('member', 'yes'), 0::oid, 0::oid, 0
        FROM pg_publication_rel q JOIN pg_publication p ON p.oid = q.prpubid;
    END IF;

    -- comments on what has none above
    RETURN QUERY
    SELECT 'comment on ' || i.type || ' ' || i.identity, jsonb_build_object('comment', d.description), 0::oid, 0::oid, 0
    FROM pg_description d, pg_identify_object(d.classoid, d.objoid, d.objsubid) i
    WHERE schemas IS NULL AND d.objoid >= 16384
      AND d.classoid::regclass::text NOT IN ('pg_class', 'pg_namespace', 'pg_constraint', 'pg_trigger', 'pg_rewrite', 'pg_policy', 'pg_proc',
                                             'pg_type', 'pg_statistic_ext', 'pg_extension')
      AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = d.classoid AND e.objid = d.objoid AND e.deptype = 'e');

    -- any other kind, as one text
    FOR r IN
        SELECT c.oid::regclass AS catalog
        FROM pg_class c
        WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind = 'r' AND c.oid < 12000 AND NOT c.relisshared
          AND c.relname NOT IN ('pg_class', 'pg_namespace', 'pg_constraint', 'pg_trigger', 'pg_rewrite', 'pg_policy', 'pg_proc', 'pg_type',
                                'pg_statistic_ext', 'pg_extension', 'pg_attrdef', 'pg_enum', 'pg_default_acl', 'pg_largeobject_metadata',
                                'pg_publication_rel', 'pg_subscription', 'pg_user_mapping')
          AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'oid')
        ORDER BY c.relname COLLATE "C"
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %s x WHERE x.oid >= 16384 AND NOT EXISTS (SELECT FROM pg_depend d'
                       ' WHERE d.classid = %s AND d.objid = x.oid AND d.deptype = ''e''))', r.catalog, r.catalog::oid) INTO found_some;
        IF found_some THEN
            RETURN QUERY EXECUTE format('SELECT o, jsonb_build_object(''definition'', string_agg(d, E''\n'' ORDER BY d)), 0::oid, 0::oid, 0 FROM (%s) x (o, d) GROUP BY o',
                                        upg.fp_query(r.catalog, true)) USING schemas;
        END IF;
    END LOOP;
END
$function$;
COMMENT ON FUNCTION upg.image_objects(text[]) IS 'every object of the schema with its attributes';
REVOKE ALL ON FUNCTION upg.image_objects(text[]) FROM PUBLIC;

-- The same for a few objects, found through indexes: made from the text of the
-- function above, so that there is one description of what an object is.
DO $make$
BEGIN
    EXECUTE replace(replace(replace(
        pg_get_functiondef('upg.image_objects(text[])'::regprocedure),
        'upg.image_objects(schemas text[])', 'upg.image_objects_of(schemas text[], anchors oid[])'),
        '/*@', ''), '@*/', '');
END
$make$;
ALTER FUNCTION upg.image_objects_of(text[], oid[]) SET plan_cache_mode = force_generic_plan;
COMMENT ON FUNCTION upg.image_objects_of(text[], oid[]) IS 'some objects of the schema with their attributes, by the OIDs of their anchors; 0 is what has no anchor';
REVOKE ALL ON FUNCTION upg.image_objects_of(text[], oid[]) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_schema_image(schemas text[] DEFAULT NULL)
    RETURNS jsonb
    LANGUAGE sql STABLE SECURITY DEFINER PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
SELECT coalesce(jsonb_object_agg(o.object, jsonb_strip_nulls(o.attributes)), '{}') FROM upg.image_objects(schemas) o
WHERE o.object IS NOT NULL
$function$;
COMMENT ON FUNCTION @extschema@.upg_schema_image(text[]) IS 'the schema described object by object, of the whole database or of some schemas';
REVOKE ALL ON FUNCTION @extschema@.upg_schema_image(text[]) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_schema_differences(before jsonb, after jsonb)
    RETURNS TABLE (object text, change text, attribute text, was text, is_now text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    AS $function$
WITH pairs AS MATERIALIZED (
    SELECT key, b.value AS was, a.value AS is_now
    FROM jsonb_each(before) b FULL JOIN jsonb_each(after) a USING (key)
    WHERE b.value IS DISTINCT FROM a.value
), missing AS MATERIALIZED (
    SELECT key, was ->> 'of' AS parent FROM pairs WHERE is_now IS NULL
), extra AS MATERIALIZED (
    SELECT key, is_now ->> 'of' AS parent FROM pairs WHERE was IS NULL
), changed AS (
    SELECT p.key, k.key AS attribute, p.was -> k.key AS was, p.is_now -> k.key AS is_now
    FROM pairs p, LATERAL (SELECT jsonb_object_keys(p.was) UNION SELECT jsonb_object_keys(p.is_now)) k (key)
    WHERE p.was IS NOT NULL AND p.is_now IS NOT NULL AND k.key NOT IN ('of', 'columns')
      AND (p.was -> k.key) IS DISTINCT FROM (p.is_now -> k.key)
), orders AS (
    SELECT p.key,
           (SELECT string_agg(c, ', ' ORDER BY n) FROM jsonb_array_elements_text(p.was -> 'columns') WITH ORDINALITY u (c, n)
            WHERE p.is_now -> 'columns' ? c) AS was,
           (SELECT string_agg(c, ', ' ORDER BY n) FROM jsonb_array_elements_text(p.is_now -> 'columns') WITH ORDINALITY u (c, n)
            WHERE p.was -> 'columns' ? c) AS is_now
    FROM pairs p WHERE p.was -> 'columns' IS NOT NULL AND p.is_now -> 'columns' IS NOT NULL
)
SELECT * FROM (
    SELECT m.key, 'missing', NULL, NULL, NULL FROM missing m
    WHERE m.parent IS NULL OR m.parent NOT IN (SELECT key FROM missing)
    UNION ALL
    SELECT e.key, 'extra', NULL, NULL, NULL FROM extra e
    WHERE e.parent IS NULL OR e.parent NOT IN (SELECT key FROM extra)
    UNION ALL
    SELECT c.key, 'changed', c.attribute, c.was #>> '{}', c.is_now #>> '{}' FROM changed c
    UNION ALL
    SELECT o.key, 'changed', 'column order', o.was, o.is_now FROM orders o WHERE o.was IS DISTINCT FROM o.is_now
) d (object, change, attribute, was, is_now)
ORDER BY 1, 2, 3
$function$;
COMMENT ON FUNCTION @extschema@.upg_schema_differences(jsonb, jsonb) IS 'what differs between two images of a schema; what belongs to a missing object is not named again';
REVOKE ALL ON FUNCTION @extschema@.upg_schema_differences(jsonb, jsonb) FROM PUBLIC;
