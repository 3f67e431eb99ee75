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
	gone => <<'SQL',
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
	options => <<'SQL',
CREATE SCHEMA o;
CREATE TYPE o.rec AS (a int, b text);
CREATE TABLE o.typed OF o.rec;
CREATE TABLE o.stored (id int PRIMARY KEY WITH (fillfactor = 80), t text, u text UNIQUE DEFERRABLE INITIALLY DEFERRED, x int CHECK (x > 0) NO INHERIT)
  WITH (fillfactor = 70, toast.autovacuum_enabled = off);
CREATE UNLOGGED SEQUENCE o.useq AS smallint INCREMENT 3 CYCLE;
CREATE UNLOGGED TABLE o.unl (i int GENERATED BY DEFAULT AS IDENTITY (SEQUENCE NAME o.other_name), j int GENERATED ALWAYS AS IDENTITY (START 7 INCREMENT 2));
GRANT USAGE ON SEQUENCE o.other_name TO PUBLIC;
COMMENT ON SEQUENCE o.other_name IS 'of an identity';
ALTER TABLE o.stored ALTER t SET COMPRESSION pglz, ALTER t SET (n_distinct = 5), ALTER t SET STATISTICS 33;
CREATE INDEX stored_e ON o.stored ((id + 1), lower(t) text_pattern_ops DESC) INCLUDE (x) WITH (fillfactor = 60) WHERE id > 3;
ALTER INDEX o.stored_e ALTER COLUMN 1 SET STATISTICS 55;
COMMENT ON INDEX o.stored_e IS 'expression';
COMMENT ON INDEX o.stored_pkey IS 'of the key';
COMMENT ON CONSTRAINT stored_pkey ON o.stored IS 'the key';
CREATE UNIQUE INDEX stored_nnd ON o.stored (x) NULLS NOT DISTINCT;
ALTER TABLE o.stored CLUSTER ON stored_nnd, REPLICA IDENTITY USING INDEX stored_pkey;
CREATE TABLE o.excl (r int4range, k int, EXCLUDE USING gist (r WITH &&) WITH (fillfactor = 66) WHERE (k > 0));
ALTER TABLE o.excl ADD CONSTRAINT late CHECK (k > 1) NOT VALID;
ALTER TABLE o.excl REPLICA IDENTITY NOTHING;
CREATE TABLE o.pt (id int, region text DEFAULT 'none', v int, t text) PARTITION BY LIST (region);
CREATE INDEX pt_v ON o.pt (v);
ALTER TABLE o.pt ADD CONSTRAINT pt_pk PRIMARY KEY (id, region), ADD CHECK (v > 0);
CREATE TABLE o.pt_eu PARTITION OF o.pt FOR VALUES IN ('eu');
ALTER TABLE o.pt_eu ALTER region SET DEFAULT 'eu', ALTER v SET DEFAULT 1, ALTER v SET NOT NULL, ALTER t SET STORAGE EXTERNAL;
CREATE TABLE o.pt_us (region text, id int NOT NULL, t text, v int CONSTRAINT pt_v_check CHECK (v > 0), PRIMARY KEY (id, region));
ALTER TABLE o.pt ATTACH PARTITION o.pt_us FOR VALUES IN ('us');
CREATE TABLE o.pt_sub PARTITION OF o.pt FOR VALUES IN ('a', 'b') PARTITION BY RANGE (id);
CREATE TABLE o.pt_sub1 PARTITION OF o.pt_sub DEFAULT;
CREATE FUNCTION o.trg() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE TRIGGER each AFTER INSERT ON o.pt FOR EACH ROW EXECUTE FUNCTION o.trg();
ALTER TABLE o.pt_eu ENABLE ALWAYS TRIGGER each;
CREATE CONSTRAINT TRIGGER ct AFTER UPDATE OF t ON o.stored DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (new.id > 0) EXECUTE FUNCTION o.trg();
ALTER TABLE o.stored ENABLE REPLICA TRIGGER ct;
CREATE TRIGGER tt AFTER INSERT ON o.stored REFERENCING NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION o.trg();
CREATE TABLE o.base (a int DEFAULT 1 NOT NULL, b text CHECK (b <> ''));
CREATE TABLE o.child (c int) INHERITS (o.base);
ALTER TABLE o.child ALTER a SET DEFAULT 2;
CREATE TABLE o.child2 (a int NOT NULL, c int, b text CONSTRAINT base_b_check CHECK (b <> ''));
ALTER TABLE o.child2 INHERIT o.base;
CREATE POLICY pol ON o.stored AS RESTRICTIVE FOR UPDATE TO "Odd, role", CURRENT_USER USING (id > 0) WITH CHECK (id < 9);
CREATE POLICY pol2 ON o.stored;
ALTER TABLE o.stored ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE STATISTICS o.st (ndistinct, mcv) ON id, (x + 1) FROM o.stored;
ALTER STATISTICS o.st SET STATISTICS 44;
CREATE VIEW o.v WITH (security_barrier, security_invoker) AS SELECT id, t FROM o.stored WHERE id > 0 WITH LOCAL CHECK OPTION;
ALTER VIEW o.v ALTER t SET DEFAULT 'from the view';
COMMENT ON COLUMN o.v.t IS 'a column';
CREATE VIEW o.v2 AS SELECT t FROM o.v;
CREATE TRIGGER io INSTEAD OF INSERT ON o.v2 FOR EACH ROW EXECUTE FUNCTION o.trg();
CREATE RULE ru AS ON DELETE TO o.v2 DO INSTEAD NOTHING;
CREATE MATERIALIZED VIEW o.mv WITH (fillfactor = 90, toast.autovacuum_enabled = off) AS SELECT id, t FROM o.stored WITH NO DATA;
CREATE UNIQUE INDEX mv_id ON o.mv (id);
ALTER MATERIALIZED VIEW o.mv CLUSTER ON mv_id;
ALTER MATERIALIZED VIEW o.mv ALTER t SET STATISTICS 12;
CREATE MATERIALIZED VIEW o.mv2 AS SELECT count(*) AS n FROM o.v;
CREATE FOREIGN DATA WRAPPER ofdw;
CREATE SERVER "o srv" FOREIGN DATA WRAPPER ofdw;
CREATE TABLE o.fpt (i int) PARTITION BY LIST (i);
CREATE FOREIGN TABLE o.fp1 PARTITION OF o.fpt FOR VALUES IN (1) SERVER "o srv" OPTIONS (a 'b');
CREATE FOREIGN TABLE o.ft (i int NOT NULL, j text COLLATE "C" CHECK (j > '')) SERVER "o srv" OPTIONS (x 'y, z=1');
CREATE FOREIGN TABLE o.fc () INHERITS (o.base) SERVER "o srv";
GRANT SELECT (id), UPDATE (t) ON o.stored TO "Odd, role";
GRANT INSERT ON o.stored TO "Odd, role" WITH GRANT OPTION;
ALTER TABLE o.excl OWNER TO "Odd, role";
CREATE RULE off AS ON UPDATE TO o.excl WHERE old.k > 5 DO ALSO NOTHING;
ALTER TABLE o.excl DISABLE RULE off;
CREATE TABLE o.fk (a int REFERENCES o.stored ON DELETE CASCADE DEFERRABLE, b int, r text, FOREIGN KEY (b, r) REFERENCES o.pt);
SQL
	other_options => <<'SQL',
ALTER TABLE o.typed NOT OF;
ALTER TABLE o.stored RESET (fillfactor, toast.autovacuum_enabled), SET (autovacuum_enabled = off, toast.vacuum_truncate = off), REPLICA IDENTITY FULL, SET WITHOUT CLUSTER;
ALTER TABLE o.stored NO FORCE ROW LEVEL SECURITY;
ALTER INDEX o.stored_pkey SET (fillfactor = 50);
ALTER INDEX o.stored_e SET (fillfactor = 61);
ALTER INDEX o.stored_e ALTER COLUMN 1 SET STATISTICS -1, ALTER COLUMN 2 SET STATISTICS 3;
COMMENT ON INDEX o.stored_pkey IS NULL;
ALTER SEQUENCE o.useq SET LOGGED;
ALTER SEQUENCE o.useq OWNED BY o.stored.x;
ALTER TABLE o.unl SET LOGGED, ALTER i SET GENERATED ALWAYS SET INCREMENT 9, ALTER j DROP IDENTITY;
REVOKE USAGE ON SEQUENCE o.other_name FROM PUBLIC;
COMMENT ON SEQUENCE o.other_name IS 'still';
ALTER TABLE o.excl VALIDATE CONSTRAINT late;
ALTER TABLE o.excl OWNER TO CURRENT_USER;
ALTER TABLE o.excl ENABLE ALWAYS RULE off;
ALTER TABLE o.stored ALTER t SET COMPRESSION default, ALTER t RESET (n_distinct), ALTER t SET STATISTICS -1, ALTER t SET STORAGE MAIN;
ALTER TABLE o.pt_eu ALTER region SET DEFAULT 'none', ALTER v DROP NOT NULL;
ALTER TABLE o.pt_us ENABLE REPLICA TRIGGER each;
ALTER TABLE o.pt_eu ENABLE TRIGGER each;
DROP INDEX o.pt_v;
CREATE INDEX pt_v ON o.pt (v DESC);
ALTER TABLE o.pt DETACH PARTITION o.pt_sub;
CREATE TABLE o.pt_new PARTITION OF o.pt FOR VALUES IN ('new');
CREATE TABLE o.pt_late (LIKE o.pt);
CREATE INDEX named_by_me ON o.pt_late (v DESC);
ALTER TABLE o.pt_late ADD CONSTRAINT pt_v_check CHECK (v > 0);
ALTER TABLE o.pt ATTACH PARTITION o.pt_late FOR VALUES IN ('late');
ALTER TABLE o.fk ALTER CONSTRAINT fk_a_fkey DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE o.base ADD COLUMN d int DEFAULT 4 NOT NULL;
ALTER TABLE o.child ALTER d SET DEFAULT 5;

ALTER POLICY pol ON o.stored TO PUBLIC USING (id > 1);
ALTER STATISTICS o.st SET STATISTICS -1;
ALTER TABLE o.stored ADD COLUMN g int GENERATED ALWAYS AS (id * 2) STORED, ADD COLUMN idt bigint GENERATED ALWAYS AS IDENTITY;
DROP VIEW o.v CASCADE;
CREATE VIEW o.v WITH (security_barrier) AS SELECT id::bigint AS id, t, g FROM o.stored;
ALTER VIEW o.v ALTER t SET DEFAULT 'from the view';
COMMENT ON COLUMN o.v.t IS 'a column';
CREATE VIEW o.v2 AS SELECT t FROM o.v;
CREATE TRIGGER io INSTEAD OF INSERT ON o.v2 FOR EACH ROW EXECUTE FUNCTION o.trg();
CREATE RULE ru AS ON DELETE TO o.v2 DO INSTEAD NOTHING;
CREATE MATERIALIZED VIEW o.mv2 AS SELECT count(*) AS n FROM o.v;
REFRESH MATERIALIZED VIEW o.mv;
ALTER MATERIALIZED VIEW o.mv SET (fillfactor = 80);
ALTER FOREIGN TABLE o.ft OPTIONS (DROP x, ADD w 'a"b,c=d');
ALTER FOREIGN TABLE o.fp1 OPTIONS (SET a 'c');
ALTER TABLE o.fpt DETACH PARTITION o.fp1;
ALTER TABLE o.stored DISABLE TRIGGER ct;
REVOKE INSERT ON o.stored FROM "Odd, role";
GRANT SELECT (x) ON o.stored TO PUBLIC;
ALTER TABLE o.base RENAME CONSTRAINT base_b_check TO base_b_checked;
ALTER TABLE o.base RENAME COLUMN b TO bb;
ALTER TRIGGER each ON o.pt RENAME TO every;
SQL
	no_options => <<'SQL',
DROP TABLE o.fk;
ALTER TABLE o.stored DROP CONSTRAINT stored_pkey, ALTER x TYPE bigint;
ALTER TABLE o.stored ADD CONSTRAINT stored_pkey PRIMARY KEY (id, idt);
DROP TRIGGER every ON o.pt;
DROP INDEX o.pt_v;
ALTER TABLE o.pt DROP CONSTRAINT pt_pk;
ALTER TABLE o.pt ATTACH PARTITION o.pt_sub DEFAULT;
DROP TABLE o.child;
DROP MATERIALIZED VIEW o.mv;
ALTER SEQUENCE o.useq OWNED BY NONE;
DROP VIEW o.v CASCADE;
DROP TRIGGER ct ON o.stored;
ALTER TABLE o.stored ALTER t TYPE varchar(20), DROP COLUMN g;
CREATE CONSTRAINT TRIGGER ct AFTER UPDATE OF t ON o.stored DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (new.id > 0) EXECUTE FUNCTION o.trg();
ALTER TABLE o.stored DISABLE TRIGGER ct;
CREATE VIEW o.v AS SELECT id, t FROM o.stored;
DROP TABLE o.unl;
DROP FOREIGN TABLE o.ft, o.fp1;
ALTER TABLE o.typed OF o.rec;
DROP STATISTICS o.st;
DROP POLICY pol2 ON o.stored;
SQL
	routines => <<'SQL',
CREATE SCHEMA f;
CREATE FUNCTION f.dflt() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TABLE f.t (a int DEFAULT f.dflt(), b text);
CREATE FUNCTION f.all_of() RETURNS SETOF f.t LANGUAGE sql AS 'SELECT * FROM f.t';
CREATE VIEW f.v AS SELECT a FROM f.all_of();
CREATE FUNCTION f.of_view(f.v) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
CREATE FUNCTION f.counted() RETURNS bigint LANGUAGE sql SET search_path = f AS 'SELECT count(*) FROM t';
ALTER TABLE f.t ADD n bigint DEFAULT f.counted();
CREATE FUNCTION f.atomic() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM f.t; END;
CREATE VIEW f.v2 AS SELECT f.atomic() AS n;
CREATE VIEW f.v1 AS SELECT n FROM f.v2;
CREATE OR REPLACE VIEW f.v AS SELECT a, (SELECT n FROM f.v1) AS n FROM f.all_of();
SQL
	no_routines => <<'SQL',
DROP SCHEMA f CASCADE;
SQL
	constraints => <<'SQL',
CREATE SCHEMA n;
CREATE TABLE n.t (a int CONSTRAINT a_is_there NOT NULL, b int NOT NULL NO INHERIT, c int, d int NOT NULL, v int GENERATED ALWAYS AS (a + 1) VIRTUAL, s int GENERATED ALWAYS AS (a + 2) STORED, i int GENERATED ALWAYS AS IDENTITY CONSTRAINT ident NOT NULL);

COMMENT ON CONSTRAINT t_d_not_null ON n.t IS 'commented';
CREATE TABLE n.child () INHERITS (n.t); ALTER TABLE n.child NO INHERIT n.t; ALTER TABLE n.t ADD CONSTRAINT later NOT NULL c NOT VALID;
CREATE TABLE n.pk (id int PRIMARY KEY, z int CHECK (z > 0) NOT ENFORCED);
CREATE TABLE n.fk (id int REFERENCES n.pk NOT ENFORCED);
CREATE TABLE n.room (r int4range, valid daterange, CONSTRAINT room_pk PRIMARY KEY (r, valid WITHOUT OVERLAPS));
CREATE TABLE n.booked (r int4range, valid daterange, FOREIGN KEY (r, PERIOD valid) REFERENCES n.room (r, PERIOD valid));
CREATE TABLE n.pt (id int CONSTRAINT named_nn NOT NULL, g int GENERATED ALWAYS AS IDENTITY, x int) PARTITION BY RANGE (id);
CREATE TABLE n.pt1 PARTITION OF n.pt FOR VALUES FROM (0) TO (10);
CREATE TABLE n.pt2 (x int, id int CONSTRAINT named_nn NOT NULL, g int NOT NULL);
ALTER TABLE n.pt ATTACH PARTITION n.pt2 FOR VALUES FROM (10) TO (20);
CREATE DOMAIN n.dom AS int CONSTRAINT dom_nn NOT NULL CHECK (value > 0);
CREATE TABLE n.old_name (k int NOT NULL);
ALTER TABLE n.old_name RENAME TO new_name;
SQL
	other_constraints => <<'SQL');
ALTER TABLE n.t RENAME CONSTRAINT a_is_there TO a_is_here;
ALTER TABLE n.t ALTER CONSTRAINT t_b_not_null INHERIT;
ALTER TABLE n.t VALIDATE CONSTRAINT later;
COMMENT ON CONSTRAINT t_d_not_null ON n.t IS NULL;
ALTER TABLE n.t ALTER d DROP NOT NULL;
ALTER TABLE n.t ALTER v SET EXPRESSION AS (a + 10), ALTER s SET EXPRESSION AS (a + 20);
ALTER TABLE n.fk ALTER CONSTRAINT fk_id_fkey ENFORCED;
ALTER TABLE n.pt DETACH PARTITION n.pt1;
ALTER TABLE n.room RENAME TO rooms;
ALTER TABLE n.rooms RENAME COLUMN r TO rr;
ALTER TABLE n.pt SET ACCESS METHOD heap;
SQL

# every object with what is compared of it; a column that comes back is the last one
my $objects = q{SELECT o.object || ' ' || replace((o.attributes - 'ddl')::text, E'\n', ' ') FROM upg.drift_objects(NULL) o ORDER BY 1};

sub objects
{
	my ($db) = @_;
	return [ split /\n/, sql($db, $objects) ];
}

server_start('wal_level=logical');
my $work = workdir();
sql('postgres', 'CREATE ROLE "Odd, role"');
my ($rc, $out, $err);
database('live');
files("$work/m", '0001_first.up.sql' => 'CREATE TABLE first (id int PRIMARY KEY);', '0001_first.down.sql' => 'DROP TABLE first;');
upg('up', '-d', 'live', "$work/m");
is((upg('drift', '--record', '-d', 'live'))[0], 0, 'recorded');

my @stages = qw(made changed gone options other_options no_options routines no_routines);
# where NOT NULL is a constraint
push @stages, qw(constraints other_constraints) if sql('postgres', 'SHOW server_version_num') >= 180000;
foreach my $stage (@stages)
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
	my $known = sub { [ map { s/("columns": \[)([^]]*)/$1 . join ', ', sort split m{, }, $2/er } grep { !/^settings of|^type kk\.color/ } @{ $_[0] } ] };
	is_deeply($known->(objects('copy')), $known->($before), '... to what was recorded');
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
