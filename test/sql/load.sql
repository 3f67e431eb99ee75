-- The extension loads, and library and install script agree.
CREATE EXTENSION upg;
SELECT upg_library_version() = extversion AS same_version FROM pg_extension WHERE extname = 'upg';
DROP EXTENSION upg;
