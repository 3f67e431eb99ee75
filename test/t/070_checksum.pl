# Checksums across databases, encodings, dumps and servers; two databases compared
# as a client does it; cancelling, a damaged table, a standby.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IPC::Run qw(run);
use Test::More;
use Time::HiRes qw(time sleep);

use Upg::Server;

my $server = Upg::Server->new('max_connections=40', 'wal_level=replica', 'max_wal_senders=4', 'max_worker_processes=16');
my $dir    = $server->dir;

sub sql { my ($db, $query) = @_; return $server->sql($query, '-d', $db) }
sub sum { my ($db, $table) = @_; return sql($db, "SELECT upg_table_checksum('$table')") }

# A table with something of everything, in UTF-8.
my $make = q{
    CREATE TYPE mood AS ENUM ('traurig', 'fröhlich');
    CREATE TYPE pair AS (a integer, b text);
    CREATE TABLE t (id integer PRIMARY KEY, txt text, c char(10), v varchar(30), n numeric, f float8, j jsonb, js json, a text[], m mood,
        p pair, by bytea, ts timestamptz, iv interval, r numrange, ip inet, rc regclass, nm name, x xml, tv tsvector);
    INSERT INTO t SELECT g, 'Größe ' || g, 'é' || g, 'ß', g / 3.0, g / 7.0, jsonb_build_object('schlüssel', g), '{"ä": 1}',
        ARRAY['ü', NULL, g::text], CASE WHEN g % 2 = 0 THEN 'fröhlich'::mood END, ROW(g, 'ñ')::pair, sha256(g::text::bytea), '2020-01-01 00:00+00'::timestamptz + g * interval '1 h',
        g * interval '1 min', numrange(g, g + 1), '10.0.0.0'::inet + g, 'pg_class', 'näme', '<a>é</a>', 'wört:1A'
    FROM generate_series(1, 2000) g;
};

# T46: databases of other encodings.
sql('postgres', q{CREATE DATABASE utf8 ENCODING 'UTF8' TEMPLATE template0});
sql('postgres', q{CREATE DATABASE latin1 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0});
sql('postgres', q{CREATE DATABASE ascii ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0});
for my $db (qw(utf8 latin1 ascii))
{
    sql($db, "CREATE EXTENSION upg; SET client_encoding = 'UTF8'; $make");
}
my $expected = sum('utf8', 't');
is((split /:/, $expected)[4], 2000, 'all rows are in the checksum');
is(sum('latin1', 't'), $expected, 'T46 LATIN1 and UTF-8 databases agree');
is(sql('latin1', 'SELECT upg_checksum_agg(t) FROM t'), $expected, 'T46 by rows, too');
is(sql('latin1', q{SET client_encoding = 'UTF8'; SELECT upg_table_checksum('t')}), $expected, 'T43 the client encoding does not matter');
like($server->error(q{SELECT upg_table_checksum('t')}, '-d', 'ascii'), qr/characters outside ASCII has no canonical form/, 'T46 SQL_ASCII is refused');
is(sql('ascii', q{SELECT upg_table_checksum('t', columns => '{id,n,f,by}')}), sql('utf8', q{SELECT upg_table_checksum('t', columns => '{id,n,f,by}')}),
    'columns without text agree even there');

# T14: dump and restore, text and custom format, and binary COPY.
sql('postgres', 'CREATE DATABASE restored');
run([ $server->bin('pg_dump'), '-d', 'utf8' ], '|', [ $server->bin('psql'), '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', 'restored' ], '>', \my $ignored, '2>', \my $err);
is(sum('restored', 't'), $expected, 'T14 dump and restore') or diag $err;
sql('utf8', q{CREATE TABLE binary_copy (LIKE t)});
run([ $server->bin('psql'), '-Xqc', 'COPY t TO STDOUT (FORMAT binary)', '-d', 'utf8' ], '|', [ $server->bin('psql'), '-Xqc', 'COPY binary_copy FROM STDIN (FORMAT binary)', '-d', 'utf8' ]);
is(sum('utf8', 'binary_copy'), $expected, 'T14 binary COPY');
sql('utf8', 'CREATE TABLE kept (c upg_checksum_value)');
sql('utf8', qq{INSERT INTO kept VALUES ('$expected')});
is(sql('utf8', q{SELECT upg_table_checksum('t') = c FROM kept}), 't', 'a checksum that was kept is compared');

# Two databases, one pass over each, as a client puts it together.
sql('restored', q{UPDATE t SET txt = 'anders' WHERE id IN (7, 1999); DELETE FROM t WHERE id = 100; INSERT INTO t (id, txt) VALUES (5000, 'neu')});
my $args = q{key => '{id}', seed => 123456789};
my %sketch = map { $_ => sql($_, "SELECT encode(upg_table_sketch('t', $args), 'base64')") =~ s/\n//gr } qw(utf8 restored);
cmp_ok(length($sketch{utf8}) * 3 / 4, '<', 200_000, 'T13 a sketch is small');
my $pair = "decode('$sketch{utf8}', 'base64'), decode('$sketch{restored}', 'base64')";
is(sql('postgres', 'SELECT 1') && sql('utf8', "SELECT complete, differences FROM upg_sketch_estimate($pair)"), 't|6', 'six elements differ');
my $prints = sql('utf8', "SELECT array_agg(DISTINCT print) FROM upg_sketch_diff($pair)");
my %rows = map { $_ => { map { split /\|/, $_, 2 } split /\n/, sql($_, "SELECT row_key ->> 'id', row_print FROM upg_table_rows('t', '$prints', $args)") } } qw(utf8 restored);
is_deeply([ sort { $a <=> $b } keys %{ $rows{utf8} } ], [ 7, 100, 1999 ], 'rows of the source');
is_deeply([ sort { $a <=> $b } keys %{ $rows{restored} } ], [ 7, 1999, 5000 ], 'rows of the target');
isnt($rows{utf8}{7}, $rows{restored}{7}, 'and their prints differ');
is(sql('utf8', "SELECT count(*) FROM upg_sketch_diff(" . join(', ', map { "decode('$sketch{utf8}', 'base64')" } 1, 2) . ")"), 0, 'nothing differs from itself');

# T84: cancelling is seen at once, even inside a value of 100 MB, and leaves nothing.
sql('utf8', q{CREATE TABLE big (id integer, v bytea); ALTER TABLE big ALTER v SET STORAGE EXTERNAL;
    INSERT INTO big SELECT g, decode(repeat('ab', 100000000), 'hex') FROM generate_series(1, 2) g});
my ($status, $out);
for my $timeout (5, 20, 60)
{
    my $start = time;
    ($status, $out, $err) = $server->psql("SET statement_timeout = $timeout; SELECT upg_table_checksum('big', workers => 0)", '-d', 'utf8');
    like($err, qr/canceling statement due to statement timeout/, "T84 stopped after $timeout ms");
    cmp_ok(time - $start, '<', 0.5 + $timeout / 1000, 'T84 at once');
}
($status, $out, $err) = $server->psql(q{SET statement_timeout = 30; SELECT upg_table_checksum('big', workers => 2)}, '-d', 'utf8');
like($err, qr/canceling statement due to statement timeout/, 'T84 with workers');
ok($server->wait_for(q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'parallel worker'}), 'T84 and they are gone');

# T84: a worker that is killed is an error, and not a part of an answer.
sql('utf8', q{CREATE TABLE long AS SELECT g AS id, md5(g::text) AS v, pg_catalog.repeat('x', 100) AS w FROM generate_series(1, 300000) g});
my $killed = 0;
for (1 .. 20)
{
    my $pid = $server->background(qq{\\c utf8\n} . q{SELECT count(upg_table_checksum('long', workers => 2, seed => g)) FROM generate_series(1, 30) g}, 'killed worker');
    $killed = $server->wait_for(q{SELECT bool_or(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE backend_type = 'parallel worker'}, 5);
    my @result = $server->reap($pid);
    last if $killed && "@result" =~ /(terminating|connection to parallel worker)/ && ($out = "@result");
}
like($out, qr/terminating|parallel worker/, 'T84 a killed worker is an error');

# T86: a standby reads the same, and only reads.
my $standby = "$dir/standby";
my @as = $> == 0 ? ('runuser', '-u', $ENV{UPG_SERVER_USER} // 'postgres', '--') : ();
$server->sql('CHECKPOINT');
run([ @as, $server->bin('pg_basebackup'), '-h', $dir, '-p', $ENV{PGPORT} // 5999, '-U', 'postgres', '-D', $standby, '-R', '-X', 'stream', '-c', 'fast' ], '>', \$out, '2>', \$err) or diag $err;
run([ @as, $server->bin('pg_ctl'), '-D', $standby, '-w', '-t', 60, '-l', "$dir/standby.log", '-o', '-c port=5998 -c hot_standby=on', 'start' ], '>', \$out, '2>', \$err) or diag $err;
my $on_standby = sub { return $server->sql($_[0], '-d', 'utf8', '-p', 5998) };
is($on_standby->('SELECT pg_is_in_recovery()'), 't', 'the standby is one');
is($on_standby->(q{SELECT upg_table_checksum('t')}), $expected, 'T86 checksum on a standby');
is($on_standby->(q{SELECT upg_table_checksum('t', workers => 2)}), $expected, 'T86 with workers');
is($on_standby->(q{SELECT count(*) FROM upg_compare('t', 'binary_copy')}), 0, 'T86 compare on a standby');
sql('utf8', q{UPDATE binary_copy SET txt = 'x' WHERE id = 11});
ok($server->wait_for(q{SELECT bool_and(replay_lsn >= pg_current_wal_lsn()) FROM pg_stat_replication}), 'the standby has caught up');
is($on_standby->(q{SELECT difference, row_key ->> 'id' FROM upg_compare('t', 'binary_copy')}), 'changed|11', 'T86 a difference is named there');
run([ @as, $server->bin('pg_ctl'), '-D', $standby, '-m', 'immediate', 'stop' ], '>', \$out, '2>', \$err);

# T88: a value whose chunks are gone is an error that names the row.
sql('utf8', q{CREATE TABLE damaged (id integer PRIMARY KEY, v text); ALTER TABLE damaged ALTER v SET STORAGE EXTERNAL; INSERT INTO damaged VALUES (1, 'small'), (2, repeat('x', 50000)), (3, 'small'); CREATE TABLE pages (id integer PRIMARY KEY, v text); INSERT INTO pages SELECT g, 'v' || g FROM generate_series(1, 5000) g; CHECKPOINT});
my $file = sql('utf8', q{SELECT current_setting('data_directory') || '/' || pg_relation_filepath(reltoastrelid) FROM pg_class WHERE relname = 'damaged'});
my $pages = sql('utf8', q{SELECT current_setting('data_directory') || '/' || pg_relation_filepath('pages')});
my $lost = sql('utf8', q{SELECT count(*) FROM pages WHERE (ctid::text::point)[0] = 3});
my $sound = sql('utf8', q{SELECT upg_checksum_agg(p) FROM pages p WHERE (ctid::text::point)[0] <> 3});
$server->script('stop', 'fast');
open my $fh, '+<', $file or die "$file: $!";
print $fh "\0" x 8192;
close $fh;
open $fh, '+<', $pages or die "$pages: $!";
seek $fh, 3 * 8192, 0;
print $fh "\1" x 8192;
close $fh;
$server->restart;
$err = $server->error(q{SELECT upg_table_checksum('damaged')}, '-d', 'utf8');
like($err, qr/(missing|unexpected) chunk number/, 'T88 a missing chunk is an error');
like($err, qr/reading row \(0,2\) of relation "damaged"/, 'T88 that names the row');
is(sql('utf8', q{SELECT checksum = (SELECT upg_checksum_agg(q) FROM (VALUES (1, 'small'), (3, 'small')) q (id, v)), damaged, damage -> 0 ->> 'ctid', damage -> 0 -> 'key', damage -> 0 ->> 'sqlstate' FROM upg_table_checksum_readable('damaged')}),
	't|1|(0,2)|{"id": 2}|XX001', 'T88 skipped, counted, and named by place and key');
like($server->error(q{SELECT upg_table_checksum('pages')}, '-d', 'utf8'), qr/invalid page in block 3/, 'T88 a bad page is an error');
is(sql('utf8', qq{SELECT checksum = '$sound', damaged, damage -> 0 ->> 'block', damage -> 0 ->> 'relation' FROM upg_table_checksum_readable('pages')}),
	't|1|3|public.pages', "T88 a bad page is skipped ($lost rows) and named");
is(sql('utf8', q{SELECT checksum = upg_table_checksum('t'), damaged, damage FROM upg_table_checksum_readable('t')}), 't|0|[]', 'T88 a sound table');
like($server->error(q{CREATE VIEW v AS SELECT 1; SELECT upg_table_checksum_readable('v')}, '-d', 'utf8'), qr/cannot be read block by block/, 'a view has no blocks');
is(sum('utf8', 't'), $expected, 'and the rest is as it was');

# the same from the command line
sub damage
{
	my @args = @_;
	my $ok = run([ $ENV{UPG_PROGRAM} // "$FindBin::Bin/../../cli/upg", 'data', 'damage', '-h', $dir, '-p', $ENV{PGPORT} // 5999, '-U', 'postgres', '-d', 'utf8', @args ], \undef, \my $said, \my $told);
	return ($? >> 8, $said, $told);
}
my ($rc, $said, $told) = damage('damaged');
is($rc, 8, 'data damage: what cannot be read exits 8') or diag $told;
like($said, qr/^public\.damaged +row \(0,2\) +\{"id": 2\} +XX001 +.*chunk/m, '... row, key and why are told');
like($said, qr/^checksum of the rest: /m, '... and the checksum of the others');
like($told, qr/1 place of table "damaged" cannot be read.*hint: Take these rows from a backup/s, '... and what to do');
($rc, $said, $told) = damage('pages');
like($said, qr/^public\.pages +block 3 +XX001 /m, 'data damage: a bad page');
($rc, $said, $told) = damage('--json', 'damaged');
like($said, qr/"damaged":1,"damage":\[\{"key": \{"id": 2\}, "ctid": "\(0,2\)"/, 'data damage --json');
($rc, $said, $told) = damage('t');
is($rc, 0, 'data damage: a sound table exits 0') or diag $told;
is($said, "checksum of all rows: $expected\n", '... with its checksum');
($rc, $said, $told) = damage('nonesuch');
is($rc, 1, 'data damage: no such table');
like($told, qr/relation "nonesuch" does not exist/, '... is named');

# T60: what an oid may stand for is not read, and that is said.
sql('utf8', 'CREATE TABLE lobs (id integer PRIMARY KEY, o oid)');
unlike($server->error(q{SELECT upg_table_checksum('lobs')}, '-d', 'utf8'), qr/WARNING/, 'T60 without large objects there is nothing to warn of');
sql('utf8', q{INSERT INTO lobs VALUES (1, lo_from_bytea(0, 'x'))});
like($server->error(q{SELECT upg_table_checksum('lobs')}, '-d', 'utf8'), qr/WARNING:  column "o" of relation public.lobs may refer to large objects/, 'T60 with some there is');

done_testing();
