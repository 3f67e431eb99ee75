CREATE FUNCTION @extschema@.upg_library_version()
    RETURNS text
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'upg_library_version';
COMMENT ON FUNCTION @extschema@.upg_library_version() IS 'version of the loaded library';
REVOKE ALL ON FUNCTION @extschema@.upg_library_version() FROM PUBLIC;
