-- How far scans have come, seen from another session.

CREATE FUNCTION @extschema@.upg_scan_progress(
        OUT pid integer,
        OUT task text,
        OUT relation regclass,
        OUT step integer,
        OUT steps integer,
        OUT blocks_done bigint,
        OUT blocks_total bigint,
        OUT percent double precision,
        OUT elapsed interval,
        OUT remaining interval)
    RETURNS SETOF record
    LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED ROWS 10
    AS 'MODULE_PATHNAME', 'upg_scan_progress';
COMMENT ON FUNCTION @extschema@.upg_scan_progress() IS
    'checksums, comparisons and verifications that run now in this database, and how far they are';
REVOKE ALL ON FUNCTION @extschema@.upg_scan_progress() FROM PUBLIC;
