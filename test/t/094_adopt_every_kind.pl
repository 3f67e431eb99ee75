# upg adopt-drift: DDL of every kind of object, made, changed and dropped by somebody
# else, becomes a migration that makes the same of a copy at the recorded state, and
# whose down makes it what it was.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Test::More;
use UpgTest;

my %foreign = (
	made => <<'SQL',
CREATE SCHEMA k;
CREATE FUNCTION k.inc(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'select $1+$2';
CREATE AGGREGATE k.agg(int) (SFUNC = k.inc, STYPE = int, INITCOND = '0');
CREATE TYPE k.rng AS RANGE (subtype = int4);
CREATE TYPE k.shell;
CREATE OPERATOR k.=== (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq);
CREATE OPERATOR FAMILY k.fam USING btree;
CREATE OPERATOR CLASS k.cls FOR TYPE int4 USING btree FAMILY k.fam AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint4cmp(int4, int4);
CREATE TYPE k.pair AS (a int, b int);
CREATE FUNCTION k.topair(text) RETURNS k.pair LANGUAGE plpgsql IMMUTABLE AS $$begin return null; end$$;
CREATE CAST (text AS k.pair) WITH FUNCTION k.topair(text);
CREATE COLLATION k.coll (provider = libc, locale = 'C');
CREATE CONVERSION k.conv FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE TEXT SEARCH DICTIONARY k.dict (TEMPLATE = simple);
CREATE TEXT SEARCH CONFIGURATION k.cfg (COPY = simple);
CREATE TEXT SEARCH TEMPLATE k.tmpl (LEXIZE = dsimple_lexize);
CREATE TEXT SEARCH PARSER k.prs (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype);
CREATE FOREIGN DATA WRAPPER kfdw;
CREATE SERVER ksrv FOREIGN DATA WRAPPER kfdw OPTIONS (host 'x');
CREATE USER MAPPING FOR postgres SERVER ksrv OPTIONS (password 'x');
CREATE FOREIGN TABLE k.ft (a int OPTIONS (c 'd')) SERVER ksrv OPTIONS (t 'u');
CREATE LANGUAGE klang HANDLER plpgsql_call_handler;
CREATE ACCESS METHOD kam TYPE TABLE HANDLER heap_tableam_handler;
CREATE TABLE k.t (a int primary key, b text);
CREATE PUBLICATION kpub FOR TABLE k.t (a) WHERE (a > 0);
CREATE FUNCTION k.evt() RETURNS event_trigger LANGUAGE plpgsql AS 'begin end';
CREATE EVENT TRIGGER kevt ON ddl_command_end WHEN TAG IN ('DROP SEQUENCE') EXECUTE FUNCTION k.evt();
ALTER EVENT TRIGGER kevt DISABLE;
ALTER DEFAULT PRIVILEGES IN SCHEMA k GRANT SELECT ON TABLES TO PUBLIC;
ALTER DATABASE live SET work_mem = '5MB';
CREATE FUNCTION k.from_sql(internal) RETURNS internal IMMUTABLE LANGUAGE internal AS 'byteasend';
CREATE TRANSFORM FOR k.pair LANGUAGE plpgsql (FROM SQL WITH FUNCTION k.from_sql(internal));
COMMENT ON OPERATOR k.=== (int, int) IS 'eq';
COMMENT ON SERVER ksrv IS 'srv';
GRANT USAGE ON FOREIGN SERVER ksrv TO PUBLIC;
GRANT EXECUTE ON FUNCTION pg_ls_logdir() TO PUBLIC;
CREATE TABLE k.par (id int NOT NULL);
CREATE TABLE k.chi (id int NOT NULL, x int);
CREATE TABLE k.pt (i int PRIMARY KEY) PARTITION BY RANGE (i);
CREATE TABLE k.pt1 PARTITION OF k.pt FOR VALUES FROM (0) TO (10);
SQL
	changed => <<'SQL',
CREATE TYPE k.color AS ENUM ('red', 'blue');
CREATE DOMAIN k.pos AS int CHECK (value > 0);
CREATE OR REPLACE FUNCTION k.inc(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'select $1+$2+1';
CREATE OR REPLACE AGGREGATE k.agg(int) (SFUNC = k.inc, STYPE = int, INITCOND = '7');
COMMENT ON AGGREGATE k.agg(int) IS 'seven';
ALTER OPERATOR k.=== (int, int) SET (RESTRICT = eqsel);
COMMENT ON OPERATOR k.=== (int, int) IS NULL;
ALTER OPERATOR FAMILY k.fam USING btree RENAME TO fam2;
ALTER COLLATION k.coll RENAME TO coll2;
COMMENT ON COLLATION k.coll2 IS 'c';
ALTER CONVERSION k.conv RENAME TO conv2;
ALTER TEXT SEARCH DICTIONARY k.dict (accept = false);
ALTER TEXT SEARCH CONFIGURATION k.cfg ALTER MAPPING FOR asciiword WITH k.dict;
COMMENT ON TEXT SEARCH CONFIGURATION k.cfg IS 'cfg';
ALTER SERVER ksrv RENAME TO ksrv2;
GRANT USAGE ON FOREIGN DATA WRAPPER kfdw TO PUBLIC;
REVOKE USAGE ON FOREIGN SERVER ksrv2 FROM PUBLIC;
ALTER FOREIGN TABLE k.ft OPTIONS (SET t 'v', ADD w 'x y');
ALTER FOREIGN TABLE k.ft ADD COLUMN b text OPTIONS (e 'f');
ALTER FOREIGN TABLE k.ft ALTER a OPTIONS (DROP c);
ALTER PUBLICATION kpub SET (publish = 'insert');
CREATE TABLE k.t2 (i int PRIMARY KEY, e k.color, p k.pos, s serial);
ALTER PUBLICATION kpub ADD TABLE k.t2;
ALTER EVENT TRIGGER kevt ENABLE;
ALTER DEFAULT PRIVILEGES IN SCHEMA k GRANT INSERT ON TABLES TO PUBLIC;
ALTER DATABASE live SET work_mem = '6MB';
ALTER DATABASE live SET search_path = k, public;
ALTER TYPE k.pair RENAME ATTRIBUTE b TO bb;
ALTER TYPE k.pair ADD ATTRIBUTE c text;
COMMENT ON COLUMN k.pair.bb IS 'attribute';
ALTER TYPE k.rng RENAME TO rng2;
REVOKE EXECUTE ON FUNCTION k.inc(int, int) FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION pg_ls_logdir() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pg_ls_waldir() TO PUBLIC;
ALTER SCHEMA k RENAME TO kk;
COMMENT ON SCHEMA kk IS 'renamed';
ALTER TABLE kk.t ADD COLUMN z int GENERATED ALWAYS AS IDENTITY;
ALTER TABLE kk.t ALTER b SET STORAGE external, ALTER b SET STATISTICS 20, ALTER b SET DEFAULT 'q', ALTER b SET NOT NULL;
GRANT SELECT (a), UPDATE (a) ON kk.t TO PUBLIC;
CREATE INDEX t_b ON kk.t (b);
ALTER TABLE kk.t CLUSTER ON t_b;
ALTER TABLE kk.t REPLICA IDENTITY FULL;
CREATE VIEW kk.v AS SELECT a FROM kk.t;
GRANT SELECT ON kk.v TO PUBLIC;
CREATE PROCEDURE kk.p(INOUT x int) LANGUAGE plpgsql AS 'begin x := 1; end';
ALTER TABLE kk.chi INHERIT kk.par;
ALTER TABLE kk.pt DETACH PARTITION kk.pt1;
SQL
	gone => <<'SQL');
DROP TRANSFORM FOR kk.pair LANGUAGE plpgsql;
ALTER TYPE kk.color ADD VALUE 'green' BEFORE 'blue';
ALTER TYPE kk.color RENAME VALUE 'red' TO 'rouge';
ALTER DOMAIN kk.pos SET DEFAULT 3;
ALTER DOMAIN kk.pos DROP CONSTRAINT pos_check;
ALTER TYPE kk.pair ALTER ATTRIBUTE a TYPE bigint;
ALTER PROCEDURE kk.p(int) RENAME TO pp;
DROP EVENT TRIGGER kevt;
DROP PUBLICATION kpub;
DROP CAST (text AS kk.pair);
DROP FUNCTION kk.topair(text), kk.evt(), kk.from_sql(internal);
DROP AGGREGATE kk.agg(int);
DROP FUNCTION kk.inc(int, int);
DROP OPERATOR kk.=== (int, int);
DROP OPERATOR CLASS kk.cls USING btree;
DROP OPERATOR FAMILY kk.fam2 USING btree;
DROP COLLATION kk.coll2;
DROP CONVERSION kk.conv2;
DROP TEXT SEARCH CONFIGURATION kk.cfg;
DROP TEXT SEARCH DICTIONARY kk.dict;
DROP TEXT SEARCH PARSER kk.prs;
DROP TEXT SEARCH TEMPLATE kk.tmpl;
DROP FOREIGN TABLE kk.ft;
DROP USER MAPPING FOR postgres SERVER ksrv2;
DROP SERVER ksrv2;
DROP FOREIGN DATA WRAPPER kfdw;
DROP LANGUAGE klang;
DROP ACCESS METHOD kam;
DROP TYPE kk.rng2;
DROP TYPE kk.shell;
ALTER DEFAULT PRIVILEGES IN SCHEMA kk REVOKE SELECT, INSERT ON TABLES FROM PUBLIC;
ALTER DATABASE live RESET search_path;
ALTER DATABASE live RESET work_mem;
REVOKE EXECUTE ON FUNCTION pg_ls_waldir() FROM PUBLIC;
ALTER TABLE kk.t ALTER b DROP NOT NULL, ALTER b DROP DEFAULT, ALTER b TYPE varchar(20);
ALTER TABLE kk.t ALTER z DROP IDENTITY;
REVOKE SELECT (a), UPDATE (a) ON kk.t FROM PUBLIC;
DROP INDEX kk.t_b;
ALTER TABLE kk.chi NO INHERIT kk.par;
ALTER TABLE kk.pt ATTACH PARTITION kk.pt1 FOR VALUES FROM (0) TO (20);
SQL

# every object with what is compared of it
my $objects = q{SELECT o.object || ' ' || replace((o.attributes - 'ddl')::text, E'\n', ' ') FROM upg.drift_objects(NULL) o ORDER BY 1};

sub objects
{
	my ($db) = @_;
	return [ split /\n/, sql($db, $objects) ];
}

server_start('wal_level=logical');
my $work = workdir();
my ($rc, $out, $err);
database('live');
files("$work/m", '0001_first.up.sql' => 'CREATE TABLE first (id int PRIMARY KEY);', '0001_first.down.sql' => 'DROP TABLE first;');
upg('up', '-d', 'live', "$work/m");
is((upg('drift', '--record', '-d', 'live'))[0], 0, 'recorded');

foreach my $stage (qw(made changed gone))
{
	sql('postgres', 'DROP DATABASE IF EXISTS copy');
	sql('postgres', 'CREATE DATABASE copy TEMPLATE live');
	is((upg('drift', '--record', '-d', 'copy'))[0], 0, "$stage: a copy at the recorded state");
	my $before = objects('copy');
	sql('live', $foreign{$stage});
	is((upg('drift', '-d', 'live'))[0], 8, "$stage: drift");
	($rc, $out, $err) = upg('adopt-drift', $stage, "$work/m", '--book', '-d', 'live');
	is($rc, 0, "$stage: adopted") or diag $err;
	($rc, $out, $err) = upg('drift', '-d', 'live');
	is($rc, 0, '... and nothing differs') or diag $out;

	my ($name) = map { m{/(\d+_$stage)\.up} } glob "$work/m/*_$stage.up.sql";
	my $up = slurp("$work/m/$name.up.sql");
	($rc, $out, $err) = upg('up', '-d', 'copy', "$work/m");
	is($rc, 0, '... the copy gets it by a run') or diag $err, $up;
	($rc, $out, $err) = upg('drift', '-d', 'copy');
	is($rc, 0, '... has no drift') or diag $out;
	is_deeply(objects('copy'), objects('live'), '... and the same objects');

	($rc, $out, $err) = upg('down', $name, '--method=given', '-d', 'copy');
	is($rc, 0, '... goes back') or diag $err, slurp("$work/m/$name.down.sql");
	# a database's settings are not copied with it, and labels of an enum stay
	is_deeply([ grep { !/^settings of|^type kk\.color/ } @{ objects('copy') } ], [ grep { !/^settings of|^type kk\.color/ } @$before ], '... to what was recorded');
	unlike($up, qr/^-- .* (is to go|is to be made|was .* is to be)/m, '... and nothing was left to a person');
	like($up, qr/^-- its options are to be added: they may hold a password/m, '... but the options of a user mapping') if $stage eq 'made';
}

# what cannot be rendered is said
sql('live', q{CREATE TYPE kk.more AS ENUM ('a', 'b')});
upg('drift', '--record', '-d', 'live');
sql('live', q{ALTER TYPE kk.more ADD VALUE 'c'});
($rc, $out, $err) = upg('drift', '--script=restore', '-d', 'live');
like($out, qr/^-- labels of an enum cannot be taken away or moved: was 'a', 'b', 'c', is to be 'a', 'b'$/m, 'labels of an enum are left to a person');

done_testing();
