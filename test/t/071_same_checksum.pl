# The checksum of a table is the same wherever its rows go: logical replication as text
# and as binary, pg_upgrade into a new cluster, pages that were never written; it holds
# exactly what is committed, prepared transactions included.  A connection that is lost
# is an error and no difference.  (A table of more than a segment with UPG_FULL.)
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IPC::Run qw(run start finish);
use Test::More;

use Upg::Server;

my $server = Upg::Server->new('wal_level=logical', 'max_prepared_transactions=5', 'max_replication_slots=4', 'max_wal_senders=4', 'fsync=off');
my $dir = $server->dir;
my $top = Upg::Server::top();
my ($out, $err);

sub sql { my ($db, $query) = @_; return $server->sql($query, '-d', $db) }
sub sum { my ($db, $table) = @_; return sql($db, "SELECT upg_table_checksum('$table')") }

my $types = q{
    CREATE TYPE mood AS ENUM ('sad', 'happy');
    CREATE TYPE pair AS (a integer, b text);
};
my $table = q{
    CREATE TABLE t (id integer PRIMARY KEY, txt text, c char(10), n numeric, f4 real, f8 float8, j jsonb, js json, a text[], m mood, p pair,
        by bytea, ts timestamptz, d date, iv interval, r numrange, mr int4multirange, ip inet, b bit(5), nm name, big text, u uuid, mo money, tz timetz)};
my $rows = q{
    INSERT INTO t SELECT g, 'Größe ' || g, 'é' || g, g / 3.0, g / 3.0, CASE g % 50 WHEN 0 THEN 'NaN' WHEN 1 THEN '-0' ELSE g / 7.0 END,
        jsonb_build_object('k', g / 10.0), '{"ä":  1}', ARRAY['ü', NULL, g::text], CASE WHEN g % 2 = 0 THEN 'happy'::mood END, ROW(g, 'ñ')::pair, sha256(g::text::bytea),
        '2020-01-01 00:00+00'::timestamptz + g * interval '1 h', CASE WHEN g % 90 = 0 THEN 'infinity' ELSE '2020-01-01'::date + g END, g * interval '1 min 1 day',
        numrange(g, g + 1), int4multirange(int4range(g, g + 3)), '10.0.0.0'::inet + g, g::bit(5), 'näme', repeat(md5(g::text), g % 200), md5(g::text)::uuid, g::money, '12:00+02'
    FROM generate_series(1, 2000) g};

# T14: logical replication, text and binary.
sql('postgres', "CREATE DATABASE $_") foreach qw(origin as_text as_binary);
sql($_, "CREATE EXTENSION upg; $types; $table") foreach qw(origin as_text as_binary);
sql('origin', $rows);
sql('origin', 'CREATE PUBLICATION all_of_it FOR TABLE t');
for my $mode (qw(text binary))
{
    my $binary = $mode eq 'binary' ? 'true' : 'false';
    sql('origin', "SELECT pg_create_logical_replication_slot('sub_$mode', 'pgoutput')");
    sql("as_$mode", "CREATE SUBSCRIPTION sub_$mode CONNECTION 'host=$dir port=$ENV{PGPORT} user=postgres dbname=origin' PUBLICATION all_of_it WITH (create_slot = false, slot_name = 'sub_$mode', binary = $binary)");
    ok($server->wait_for(qq{SELECT count(*) = 0 FROM pg_subscription_rel WHERE srsubstate <> 'r'}, 60, '-d', "as_$mode"), "T14 the $mode subscription has its copy");
}
# what is copied at first, and what comes as changes
sql('origin', q{UPDATE t SET n = n + 0.10, j = j || '{"x": [1, null]}', f8 = '-0' WHERE id % 7 = 0; DELETE FROM t WHERE id % 11 = 0; UPDATE t SET id = id + 10000 WHERE id % 13 = 0});
my $lsn = sql('origin', 'SELECT pg_current_wal_lsn()');
for my $mode (qw(text binary))
{
    ok($server->wait_for(qq{SELECT confirmed_flush_lsn >= '$lsn' FROM pg_replication_slots WHERE slot_name = 'sub_$mode'}, 60), "T14 the $mode subscriber has caught up");
    is(sum("as_$mode", 't'), sum('origin', 't'), "T14 logical replication, $mode");
    sql("as_$mode", "ALTER SUBSCRIPTION sub_$mode DISABLE");
    sql("as_$mode", "ALTER SUBSCRIPTION sub_$mode SET (slot_name = NONE)");
    sql("as_$mode", "DROP SUBSCRIPTION sub_$mode");
    sql('origin', "SELECT pg_drop_replication_slot('sub_$mode')");
}
my $expected = sum('origin', 't');

# T02: a transaction that is prepared has not happened yet.
sql('origin', q{BEGIN; INSERT INTO t (id, txt) VALUES (-1, 'prepared'); DELETE FROM t WHERE id = 2; PREPARE TRANSACTION 'waiting'});
is(sum('origin', 't'), $expected, 'T02 a prepared transaction is not seen');
sql('origin', q{COMMIT PREPARED 'waiting'});
my $after = sum('origin', 't');
isnt($after, $expected, 'T02 once committed it is');
is(sql('origin', q{SELECT upg_checksum_agg(t) FROM t}), $after, 'T02 as by rows');

# T10: pages that were added and never written.
sql('origin', q{CREATE TABLE holes AS SELECT g AS id, md5(g::text) AS v FROM generate_series(1, 3000) g});
my $whole = sum('origin', 'holes');
my $file = sql('origin', q{SELECT current_setting('data_directory') || '/' || pg_relation_filepath('holes')});
$server->script('stop', 'fast');
open my $fh, '>>', $file or die "$file: $!";
print $fh "\0" x (8192 * 5);
close $fh;
$server->restart;
is(sum('origin', 'holes'), $whole, 'T10 pages of zeros at the end');
sql('origin', q{INSERT INTO holes SELECT g, md5(g::text) FROM generate_series(3001, 9000) g});
is(sum('origin', 'holes'), sql('origin', q{SELECT upg_checksum_agg(h) FROM holes h}), 'T10 and when they are filled');

SKIP:
{
    skip 'more than a gigabyte: UPG_FULL', 1 unless $ENV{UPG_FULL};
    sql('origin', q{CREATE TABLE large (id integer, v text); ALTER TABLE large ALTER v SET STORAGE PLAIN; INSERT INTO large SELECT g, repeat('f', 8100) FROM generate_series(1, 140000) g});
    is(sql('origin', q{SELECT pg_relation_size('large') > 1 << 30, upg_table_checksum('large') = (SELECT upg_checksum_agg(l) FROM large l)}), 't|t', 'T10 more than one segment');
    sql('origin', 'DROP TABLE large');
}

# T89: a connection that is lost while comparing.
sql('origin', q{CREATE TABLE long AS SELECT g AS id, md5(g::text) AS v FROM generate_series(1, 200000) g; CREATE FUNCTION slow(integer) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.001); RETURN true; END'});
sql('as_text', q{CREATE TABLE long AS SELECT g AS id, md5(g::text) AS v FROM generate_series(1, 200000) g; CREATE FUNCTION slow(integer) RETURNS boolean LANGUAGE sql AS 'SELECT true'});
my $h = start([ "$top/cli/upg", 'compare', 'origin', 'as_text', '--table=long', '--filter=public.slow(id)' ], \undef, \$out, \$err);
ok($server->wait_for(q{SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = 'origin' AND state = 'active' AND query LIKE '%upg_table_sketch%'}), 'T89 a comparison runs');
sql('origin', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'origin' AND query LIKE '%upg_table_sketch%' AND pid <> pg_backend_pid()});
finish $h;
isnt($h->result >> 0, 8, 'T89 a lost connection is not "different"');
isnt($h->result >> 0, 0, 'T89 nor is it "equal"');
like($err, qr/source: .*(terminating|lost|closed)/, 'T89 it is an error that says so') or diag $err;

# T14: pg_upgrade, into a cluster of the version that is here.
my ($unknown, $staged) = $server->psql('SHOW extension_destdir');
SKIP:
{
    skip 'the staged extension cannot be named to pg_upgrade on this version', 2 if $unknown;
    my $kept = sql('origin', q{SELECT upg_table_checksum('t')::text});
    my @as = $> == 0 ? ('runuser', '-u', $ENV{UPG_SERVER_USER} // 'postgres', '--') : ();
    my $new = "$dir/new";
    sql('postgres', 'DROP DATABASE as_binary');
    $server->script('stop', 'fast');
    run([ @as, $server->bin('initdb'), '-D', $new, '-A', 'trust', '-N', '--locale=C.UTF-8', '-U', 'postgres' ], '>', \$out, '2>', \$err) or diag $err;
    my $options = "-c extension_destdir=$staged -c max_prepared_transactions=5 -c fsync=off";
    chdir $dir;
    my $ok = run([ @as, $server->bin('pg_upgrade'), '-b', $server->{bindir}, '-B', $server->{bindir}, '-d', "$dir/data", '-D', $new, '-s', $dir, '-p', 5996, '-P', 5997,
        '-U', 'postgres', '-o', $options, '-O', $options ], '>', \$out, '2>', \$err);
    ok($ok, 'T14 pg_upgrade') or diag "$out$err";
    run([ @as, $server->bin('pg_ctl'), '-D', $new, '-w', '-l', "$dir/new.log", '-o', "-k $dir -p 5998 -c listen_addresses= $options", 'start' ], '>', \$out, '2>', \$err) or diag "$out$err";
    is($server->sql(q{SELECT upg_table_checksum('t')}, '-d', 'origin', '-p', 5998), $kept, 'T14 the checksum after pg_upgrade');
    run([ @as, $server->bin('pg_ctl'), '-D', $new, '-m', 'immediate', 'stop' ], '>', \$out, '2>', \$err);
}

done_testing();
