-- Differences between two relations, named by key.

CREATE FUNCTION @extschema@.upg_compare(
        source regclass,
        target regclass,
        key text[] DEFAULT NULL,
        columns text[] DEFAULT NULL,
        except_columns text[] DEFAULT NULL,
        mapping jsonb DEFAULT NULL,
        filter text DEFAULT NULL,
        mode text DEFAULT 'strict',
        workers integer DEFAULT NULL,
        redact text[] DEFAULT NULL,
        OUT difference text,
        OUT row_key jsonb,
        OUT changed_columns text[],
        OUT source_row jsonb,
        OUT target_row jsonb,
        OUT source_copies bigint,
        OUT target_copies bigint)
    RETURNS SETOF record
    LANGUAGE C STABLE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_compare';
COMMENT ON FUNCTION @extschema@.upg_compare(
    regclass, regclass, text[], text[], text[], jsonb, text, text, integer, text[]) IS
    'rows in which two relations differ: missing in the target, extra in it, or changed';
REVOKE ALL ON FUNCTION @extschema@.upg_compare(
    regclass, regclass, text[], text[], text[], jsonb, text, text, integer, text[]) FROM PUBLIC;

-- The parts that a client puts together to compare two databases.

CREATE FUNCTION @extschema@.upg_table_sketch(
        rel regclass,
        key text[] DEFAULT NULL,
        columns text[] DEFAULT NULL,
        filter text DEFAULT NULL,
        except_columns text[] DEFAULT NULL,
        mapping jsonb DEFAULT NULL,
        mode text DEFAULT 'strict',
        seed bigint DEFAULT 0,
        only_this boolean DEFAULT false,
        workers integer DEFAULT NULL,
        cells integer DEFAULT 4096,
        bucket integer DEFAULT 0,
        buckets integer DEFAULT 1)
    RETURNS bytea
    LANGUAGE C STABLE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_table_sketch';
COMMENT ON FUNCTION @extschema@.upg_table_sketch(
    regclass, text[], text[], text, text[], jsonb, text, bigint, boolean, integer, integer,
    integer, integer) IS
    'sketch of the rows of a relation: subtracted from another, it gives the keys that differ';
REVOKE ALL ON FUNCTION @extschema@.upg_table_sketch(
    regclass, text[], text[], text, text[], jsonb, text, bigint, boolean, integer, integer,
    integer, integer) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_sketch_info(
        sketch bytea,
        OUT checksum @extschema@.upg_checksum_value,
        OUT cells integer,
        OUT key_form text,
        OUT bucket integer,
        OUT buckets integer)
    RETURNS record
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'upg_sketch_info';
COMMENT ON FUNCTION @extschema@.upg_sketch_info(bytea) IS
    'checksum of the rows in a sketch, and its layout';
REVOKE ALL ON FUNCTION @extschema@.upg_sketch_info(bytea) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_sketch_estimate(
        source bytea,
        target bytea,
        OUT complete boolean,
        OUT differences bigint,
        OUT unresolved_cells integer,
        OUT cells_needed bigint)
    RETURNS record
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'upg_sketch_estimate';
COMMENT ON FUNCTION @extschema@.upg_sketch_estimate(bytea, bytea) IS
    'whether two sketches give all differences between their sets, and about how many there are';
REVOKE ALL ON FUNCTION @extschema@.upg_sketch_estimate(bytea, bytea) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_sketch_diff(
        source bytea,
        target bytea,
        OUT print bytea,
        OUT row_print bytea,
        OUT copies integer)
    RETURNS SETOF record
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'upg_sketch_diff';
COMMENT ON FUNCTION @extschema@.upg_sketch_diff(bytea, bytea) IS
    'keys of the rows that one set has more often (copies > 0) or less often than the other';
REVOKE ALL ON FUNCTION @extschema@.upg_sketch_diff(bytea, bytea) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_table_rows(
        rel regclass,
        prints bytea[],
        key text[] DEFAULT NULL,
        columns text[] DEFAULT NULL,
        filter text DEFAULT NULL,
        except_columns text[] DEFAULT NULL,
        mapping jsonb DEFAULT NULL,
        mode text DEFAULT 'strict',
        seed bigint DEFAULT 0,
        only_this boolean DEFAULT false,
        OUT print bytea,
        OUT row_print bytea,
        OUT row_key jsonb,
        OUT "row" jsonb,
        OUT column_prints jsonb)
    RETURNS SETOF record
    LANGUAGE C STABLE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_table_rows';
COMMENT ON FUNCTION @extschema@.upg_table_rows(
    regclass, bytea[], text[], text[], text, text[], jsonb, text, bigint, boolean) IS
    'rows of the keys that upg_sketch_diff() gave, and a print of each of their columns';
REVOKE ALL ON FUNCTION @extschema@.upg_table_rows(
    regclass, bytea[], text[], text[], text, text[], jsonb, text, bigint, boolean) FROM PUBLIC;

-- The same parts for a client that goes over the network: what is sent is small, and packed.

CREATE FUNCTION @extschema@.upg_sketch_keep(
        rel regclass,
        key text[] DEFAULT NULL,
        columns text[] DEFAULT NULL,
        filter text DEFAULT NULL,
        except_columns text[] DEFAULT NULL,
        mapping jsonb DEFAULT NULL,
        mode text DEFAULT 'strict',
        seed bigint DEFAULT 0,
        only_this boolean DEFAULT false,
        workers integer DEFAULT NULL,
        cells integer DEFAULT 4096,
        bucket integer DEFAULT 0,
        buckets integer DEFAULT 1)
    RETURNS bigint
    LANGUAGE C VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_sketch_keep';
COMMENT ON FUNCTION @extschema@.upg_sketch_keep(
    regclass, text[], text[], text, text[], jsonb, text, bigint, boolean, integer, integer,
    integer, integer) IS
    'make the sketch of a relation and keep it until the transaction ends; number of rows';
REVOKE ALL ON FUNCTION @extschema@.upg_sketch_keep(
    regclass, text[], text[], text, text[], jsonb, text, bigint, boolean, integer, integer,
    integer, integer) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_sketch_take(
        source bytea,
        OUT complete boolean,
        OUT cells_needed bigint,
        OUT prints bytea)
    RETURNS record
    LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_sketch_take';
COMMENT ON FUNCTION @extschema@.upg_sketch_take(bytea) IS
    'keys of the rows that are not both in a sketch and in the one that upg_sketch_keep() made';
REVOKE ALL ON FUNCTION @extschema@.upg_sketch_take(bytea) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_rows_packed(
        rel regclass,
        prints bytea,
        key text[] DEFAULT NULL,
        columns text[] DEFAULT NULL,
        filter text DEFAULT NULL,
        except_columns text[] DEFAULT NULL,
        mapping jsonb DEFAULT NULL,
        mode text DEFAULT 'strict',
        seed bigint DEFAULT 0,
        only_this boolean DEFAULT false,
        longest integer DEFAULT 4096,
        shown text[] DEFAULT NULL)
    RETURNS bytea
    LANGUAGE C STABLE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_rows_packed';
COMMENT ON FUNCTION @extschema@.upg_rows_packed(
    regclass, bytea, text[], text[], text, text[], jsonb, text, bigint, boolean, integer, text[]) IS
    'rows of the keys that upg_sketch_take() gave, packed into one value';
REVOKE ALL ON FUNCTION @extschema@.upg_rows_packed(
    regclass, bytea, text[], text[], text, text[], jsonb, text, bigint, boolean, integer, text[]) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_table_sample(
        rel regclass,
        key text[] DEFAULT NULL,
        columns text[] DEFAULT NULL,
        filter text DEFAULT NULL,
        except_columns text[] DEFAULT NULL,
        mapping jsonb DEFAULT NULL,
        mode text DEFAULT 'strict',
        seed bigint DEFAULT 0,
        only_this boolean DEFAULT false)
    RETURNS bytea
    LANGUAGE C STABLE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_table_sample';
COMMENT ON FUNCTION @extschema@.upg_table_sample(
    regclass, text[], text[], text, text[], jsonb, text, bigint, boolean) IS
    'some rows of a large table, to be looked for in another; null if it is small or has no index';
REVOKE ALL ON FUNCTION @extschema@.upg_table_sample(
    regclass, text[], text[], text, text[], jsonb, text, bigint, boolean) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_sample_missing(
        rel regclass,
        sample bytea,
        key text[] DEFAULT NULL,
        columns text[] DEFAULT NULL,
        filter text DEFAULT NULL,
        except_columns text[] DEFAULT NULL,
        mapping jsonb DEFAULT NULL,
        mode text DEFAULT 'strict',
        seed bigint DEFAULT 0,
        only_this boolean DEFAULT false,
        OUT missing integer,
        OUT rows bigint)
    RETURNS record
    LANGUAGE C STABLE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_sample_missing';
COMMENT ON FUNCTION @extschema@.upg_sample_missing(
    regclass, bytea, text[], text[], text, text[], jsonb, text, bigint, boolean) IS
    'how many rows of a sample of another table this one does not have, and about how many of all; null without an index';
REVOKE ALL ON FUNCTION @extschema@.upg_sample_missing(
    regclass, bytea, text[], text[], text, text[], jsonb, text, bigint, boolean) FROM PUBLIC;
