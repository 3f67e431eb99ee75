/* upg: upgrades you can take back.  Built from sql/install/; do not edit the result. */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION upg" to load this file. \quit

-- Nothing below may be resolved through the installing user's search_path.
SET LOCAL search_path TO pg_catalog, pg_temp;
SET LOCAL check_function_bodies TO on;
