-- Checksums of rows and of sets of rows.

CREATE TYPE @extschema@.upg_checksum_value;

CREATE FUNCTION @extschema@.upg_checksum_value_in(cstring)
    RETURNS @extschema@.upg_checksum_value
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'upg_checksum_value_in';
COMMENT ON FUNCTION @extschema@.upg_checksum_value_in(cstring) IS 'I/O';
REVOKE ALL ON FUNCTION @extschema@.upg_checksum_value_in(cstring) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_checksum_value_out(@extschema@.upg_checksum_value)
    RETURNS cstring
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'upg_checksum_value_out';
COMMENT ON FUNCTION @extschema@.upg_checksum_value_out(@extschema@.upg_checksum_value) IS 'I/O';
REVOKE ALL ON FUNCTION @extschema@.upg_checksum_value_out(@extschema@.upg_checksum_value)
    FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_checksum_value_recv(internal)
    RETURNS @extschema@.upg_checksum_value
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'upg_checksum_value_recv';
COMMENT ON FUNCTION @extschema@.upg_checksum_value_recv(internal) IS 'I/O';
REVOKE ALL ON FUNCTION @extschema@.upg_checksum_value_recv(internal) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_checksum_value_send(@extschema@.upg_checksum_value)
    RETURNS bytea
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'upg_checksum_value_send';
COMMENT ON FUNCTION @extschema@.upg_checksum_value_send(@extschema@.upg_checksum_value) IS 'I/O';
REVOKE ALL ON FUNCTION @extschema@.upg_checksum_value_send(@extschema@.upg_checksum_value)
    FROM PUBLIC;

CREATE TYPE @extschema@.upg_checksum_value (
    INPUT = @extschema@.upg_checksum_value_in,
    OUTPUT = @extschema@.upg_checksum_value_out,
    RECEIVE = @extschema@.upg_checksum_value_recv,
    SEND = @extschema@.upg_checksum_value_send,
    INTERNALLENGTH = 40,
    ALIGNMENT = double
);
COMMENT ON TYPE @extschema@.upg_checksum_value IS
    'checksum of a set of rows: header, number of rows, sum of their hashes modulo 2^128';

CREATE FUNCTION @extschema@.upg_checksum_add(
        a @extschema@.upg_checksum_value, b @extschema@.upg_checksum_value)
    RETURNS @extschema@.upg_checksum_value
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'upg_checksum_add';
COMMENT ON FUNCTION @extschema@.upg_checksum_add(
    @extschema@.upg_checksum_value, @extschema@.upg_checksum_value) IS
    'checksum of the union of two sets of rows, duplicates kept';
REVOKE ALL ON FUNCTION @extschema@.upg_checksum_add(@extschema@.upg_checksum_value, @extschema@.upg_checksum_value)
    FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_checksum_subtract(
        a @extschema@.upg_checksum_value, b @extschema@.upg_checksum_value)
    RETURNS @extschema@.upg_checksum_value
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'upg_checksum_subtract';
COMMENT ON FUNCTION @extschema@.upg_checksum_subtract(
    @extschema@.upg_checksum_value, @extschema@.upg_checksum_value) IS
    'checksum of a set of rows without those of another';
REVOKE ALL ON FUNCTION @extschema@.upg_checksum_subtract(@extschema@.upg_checksum_value, @extschema@.upg_checksum_value)
    FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_checksum_eq(
        a @extschema@.upg_checksum_value, b @extschema@.upg_checksum_value)
    RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'upg_checksum_eq';
COMMENT ON FUNCTION @extschema@.upg_checksum_eq(
    @extschema@.upg_checksum_value, @extschema@.upg_checksum_value) IS
    'whether two sets of rows have the same checksum; an error if they cannot be compared';
REVOKE ALL ON FUNCTION @extschema@.upg_checksum_eq(@extschema@.upg_checksum_value, @extschema@.upg_checksum_value)
    FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_checksum_ne(
        a @extschema@.upg_checksum_value, b @extschema@.upg_checksum_value)
    RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'upg_checksum_ne';
COMMENT ON FUNCTION @extschema@.upg_checksum_ne(
    @extschema@.upg_checksum_value, @extschema@.upg_checksum_value) IS
    'whether two sets of rows have different checksums; an error if they cannot be compared';
REVOKE ALL ON FUNCTION @extschema@.upg_checksum_ne(@extschema@.upg_checksum_value, @extschema@.upg_checksum_value)
    FROM PUBLIC;

CREATE OPERATOR @extschema@.+ (
    LEFTARG = @extschema@.upg_checksum_value,
    RIGHTARG = @extschema@.upg_checksum_value,
    FUNCTION = @extschema@.upg_checksum_add,
    COMMUTATOR = OPERATOR(@extschema@.+)
);
COMMENT ON OPERATOR @extschema@.+ (
    @extschema@.upg_checksum_value, @extschema@.upg_checksum_value) IS 'union';

CREATE OPERATOR @extschema@.- (
    LEFTARG = @extschema@.upg_checksum_value,
    RIGHTARG = @extschema@.upg_checksum_value,
    FUNCTION = @extschema@.upg_checksum_subtract
);
COMMENT ON OPERATOR @extschema@.- (
    @extschema@.upg_checksum_value, @extschema@.upg_checksum_value) IS 'difference';

CREATE OPERATOR @extschema@.= (
    LEFTARG = @extschema@.upg_checksum_value,
    RIGHTARG = @extschema@.upg_checksum_value,
    FUNCTION = @extschema@.upg_checksum_eq,
    COMMUTATOR = OPERATOR(@extschema@.=),
    NEGATOR = OPERATOR(@extschema@.<>),
    RESTRICT = eqsel,
    JOIN = eqjoinsel
);
COMMENT ON OPERATOR @extschema@.= (
    @extschema@.upg_checksum_value, @extschema@.upg_checksum_value) IS 'equal';

CREATE OPERATOR @extschema@.<> (
    LEFTARG = @extschema@.upg_checksum_value,
    RIGHTARG = @extschema@.upg_checksum_value,
    FUNCTION = @extschema@.upg_checksum_ne,
    COMMUTATOR = OPERATOR(@extschema@.<>),
    NEGATOR = OPERATOR(@extschema@.=),
    RESTRICT = neqsel,
    JOIN = neqjoinsel
);
COMMENT ON OPERATOR @extschema@.<> (
    @extschema@.upg_checksum_value, @extschema@.upg_checksum_value) IS 'not equal';

CREATE FUNCTION @extschema@.upg_checksum_info(
        checksum @extschema@.upg_checksum_value,
        OUT algorithm text, OUT version integer, OUT mode text, OUT columns_digest text,
        OUT seeded boolean, OUT row_count bigint, OUT sum text)
    RETURNS record
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'upg_checksum_info';
COMMENT ON FUNCTION @extschema@.upg_checksum_info(@extschema@.upg_checksum_value) IS
    'parts of a checksum: algorithm, version, mode, columns, rows, sum';
REVOKE ALL ON FUNCTION @extschema@.upg_checksum_info(@extschema@.upg_checksum_value)
    FROM PUBLIC;

-- One row.

CREATE FUNCTION @extschema@.upg_checksum(
        "row" record, mode text DEFAULT 'strict', seed bigint DEFAULT 0)
    RETURNS @extschema@.upg_checksum_value
    LANGUAGE C STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'upg_checksum';
COMMENT ON FUNCTION @extschema@.upg_checksum(record, text, bigint) IS
    'checksum of one row, independent of machine, version, physical layout and settings';
REVOKE ALL ON FUNCTION @extschema@.upg_checksum(record, text, bigint) FROM PUBLIC;

-- Sets of rows.  The state is the result, so partial results of workers, of
-- foreign servers and of ranges of a table are added up by the same function.

CREATE FUNCTION @extschema@.upg_checksum_accum(
        state @extschema@.upg_checksum_value, "row" record)
    RETURNS @extschema@.upg_checksum_value
    LANGUAGE C STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'upg_checksum_accum';
COMMENT ON FUNCTION @extschema@.upg_checksum_accum(
    @extschema@.upg_checksum_value, record) IS 'transition function of upg_checksum_agg';
REVOKE ALL ON FUNCTION @extschema@.upg_checksum_accum(
    @extschema@.upg_checksum_value, record) FROM PUBLIC;

CREATE AGGREGATE @extschema@.upg_checksum_agg("row" record) (
    SFUNC = @extschema@.upg_checksum_accum,
    STYPE = @extschema@.upg_checksum_value,
    COMBINEFUNC = @extschema@.upg_checksum_add,
    INITCOND = 'upg1:none:0000000000000000:00000000:0:00000000000000000000000000000000',
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.upg_checksum_agg(record) IS
    'checksum of a set of rows, given as records';
REVOKE ALL ON FUNCTION @extschema@.upg_checksum_agg(record) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_checksum_accum_columns(
        state @extschema@.upg_checksum_value, names text[], VARIADIC "any")
    RETURNS @extschema@.upg_checksum_value
    LANGUAGE C STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'upg_checksum_accum_columns';
COMMENT ON FUNCTION @extschema@.upg_checksum_accum_columns(
    @extschema@.upg_checksum_value, text[], "any") IS 'transition function of upg_checksum_agg';
REVOKE ALL ON FUNCTION @extschema@.upg_checksum_accum_columns(
    @extschema@.upg_checksum_value, text[], "any") FROM PUBLIC;

CREATE AGGREGATE @extschema@.upg_checksum_agg(names text[], VARIADIC "any") (
    SFUNC = @extschema@.upg_checksum_accum_columns,
    STYPE = @extschema@.upg_checksum_value,
    COMBINEFUNC = @extschema@.upg_checksum_add,
    INITCOND = 'upg1:none:0000000000000000:00000000:0:00000000000000000000000000000000',
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.upg_checksum_agg(text[], VARIADIC "any") IS
    'checksum of a set of rows, given as columns and their names';
REVOKE ALL ON FUNCTION @extschema@.upg_checksum_agg(text[], VARIADIC "any") FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_checksum_accum_as(
        state @extschema@.upg_checksum_value, mode text, seed bigint, "row" record)
    RETURNS @extschema@.upg_checksum_value
    LANGUAGE C STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'upg_checksum_accum_as';
COMMENT ON FUNCTION @extschema@.upg_checksum_accum_as(
    @extschema@.upg_checksum_value, text, bigint, record) IS
    'transition function of upg_checksum_agg_as';
REVOKE ALL ON FUNCTION @extschema@.upg_checksum_accum_as(
    @extschema@.upg_checksum_value, text, bigint, record) FROM PUBLIC;

CREATE AGGREGATE @extschema@.upg_checksum_agg_as(mode text, seed bigint, "row" record) (
    SFUNC = @extschema@.upg_checksum_accum_as,
    STYPE = @extschema@.upg_checksum_value,
    COMBINEFUNC = @extschema@.upg_checksum_add,
    INITCOND = 'upg1:none:0000000000000000:00000000:0:00000000000000000000000000000000',
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.upg_checksum_agg_as(text, bigint, record) IS
    'checksum of a set of rows in a mode and with a seed, given as records';
REVOKE ALL ON FUNCTION @extschema@.upg_checksum_agg_as(text, bigint, record) FROM PUBLIC;

CREATE FUNCTION @extschema@.upg_checksum_accum_columns_as(
        state @extschema@.upg_checksum_value, mode text, seed bigint, names text[],
        VARIADIC "any")
    RETURNS @extschema@.upg_checksum_value
    LANGUAGE C STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'upg_checksum_accum_columns_as';
COMMENT ON FUNCTION @extschema@.upg_checksum_accum_columns_as(
    @extschema@.upg_checksum_value, text, bigint, text[], "any") IS
    'transition function of upg_checksum_agg_as';
REVOKE ALL ON FUNCTION @extschema@.upg_checksum_accum_columns_as(
    @extschema@.upg_checksum_value, text, bigint, text[], "any") FROM PUBLIC;

CREATE AGGREGATE @extschema@.upg_checksum_agg_as(
        mode text, seed bigint, names text[], VARIADIC "any") (
    SFUNC = @extschema@.upg_checksum_accum_columns_as,
    STYPE = @extschema@.upg_checksum_value,
    COMBINEFUNC = @extschema@.upg_checksum_add,
    INITCOND = 'upg1:none:0000000000000000:00000000:0:00000000000000000000000000000000',
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.upg_checksum_agg_as(text, bigint, text[], VARIADIC "any") IS
    'checksum of a set of rows in a mode and with a seed, given as columns and their names';
REVOKE ALL ON FUNCTION
    @extschema@.upg_checksum_agg_as(text, bigint, text[], VARIADIC "any") FROM PUBLIC;

CREATE AGGREGATE @extschema@.upg_checksum_merge(part @extschema@.upg_checksum_value) (
    SFUNC = @extschema@.upg_checksum_add,
    STYPE = @extschema@.upg_checksum_value,
    COMBINEFUNC = @extschema@.upg_checksum_add,
    INITCOND = 'upg1:none:0000000000000000:00000000:0:00000000000000000000000000000000',
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE @extschema@.upg_checksum_merge(@extschema@.upg_checksum_value) IS
    'checksum of the union of sets of rows, from their checksums';
REVOKE ALL ON FUNCTION @extschema@.upg_checksum_merge(@extschema@.upg_checksum_value)
    FROM PUBLIC;

-- Whole relations.  Parallel unsafe, because the function starts workers itself.

CREATE FUNCTION @extschema@.upg_table_checksum(
        rel regclass,
        columns text[] DEFAULT NULL,
        filter text DEFAULT NULL,
        except_columns text[] DEFAULT NULL,
        mode text DEFAULT 'strict',
        seed bigint DEFAULT 0,
        workers integer DEFAULT NULL,
        only_this boolean DEFAULT false)
    RETURNS @extschema@.upg_checksum_value
    LANGUAGE C STABLE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'upg_table_checksum';
COMMENT ON FUNCTION @extschema@.upg_table_checksum(
    regclass, text[], text, text[], text, bigint, integer, boolean) IS
    'checksum of the rows of a relation, by a scan of its own where that is possible';
REVOKE ALL ON FUNCTION @extschema@.upg_table_checksum(
    regclass, text[], text, text[], text, bigint, integer, boolean) FROM PUBLIC;
