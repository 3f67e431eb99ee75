# Checksums in places where a table seldom is: hint bits that are wrong, values of 200 MB,
# a standby that has to take back what is being read, numbers of the other byte order.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Temp qw(tempdir);
use IPC::Run qw(run);
use POSIX ();
use Test::More;

use Upg::Server;

my $server = Upg::Server->new('autovacuum=off', 'fsync=off', 'wal_level=replica', 'max_wal_senders=4', 'max_wal_size=4GB');
my $dir = $server->dir;
my $top = Upg::Server::top();
my ($out, $err);

sub sql { my ($query) = @_; return $server->sql($query) }
sub sum { my ($table) = @_; return sql("SELECT upg_table_checksum('$table')") }
sub by_rows { my ($table) = @_; return sql("SELECT upg_checksum_agg(t) FROM $table t") }

sql('CREATE EXTENSION upg');

# T15: hint bits.  They only say what the transaction log says, too, so with all of them
# gone nothing changes; where one lies, both ways of reading believe it alike.
sql(q{CREATE TABLE hints (id integer, v text); INSERT INTO hints SELECT g, md5(g::text) FROM generate_series(1, 500) g;
    DELETE FROM hints WHERE id % 5 = 0; UPDATE hints SET v = 'new' WHERE id % 7 = 0});
$server->psql(q{BEGIN; INSERT INTO hints SELECT g, 'aborted' FROM generate_series(1001, 1100) g; ROLLBACK});
sql('SELECT count(*) FROM hints; CHECKPOINT');
my $expected = sum('hints');
is($expected, by_rows('hints'), 'T15 a table with dead and aborted rows');
my $file = sql(q{SELECT current_setting('data_directory') || '/' || pg_relation_filepath('hints')});
is(sql('SHOW data_checksums'), 'off', 'pages can be changed by hand');

# Change the infomask of every row in the file, while the server is down.
sub change_hints
{
    my ($change) = @_;
    $server->script('stop', 'fast');
    open my $fh, '+<:raw', $file or die "$file: $!";
    my $data = do { local $/; <$fh> };
    my $changed = 0;
    for (my $page = 0; $page < length $data; $page += 8192)
    {
        my $lower = unpack('S', substr($data, $page + 12, 2));
        for (my $item = 24; $item < $lower; $item += 4)
        {
            my $pointer = unpack('L', substr($data, $page + $item, 4));
            next unless (($pointer >> 15) & 3) == 1;
            my $at = $page + ($pointer & 0x7fff) + 20;
            my $mask = unpack('S', substr($data, $at, 2));
            my $now = $change->($mask);
            $changed++ if $now != $mask;
            substr($data, $at, 2) = pack('S', $now);
        }
    }
    seek $fh, 0, 0;
    print $fh $data;
    close $fh;
    $server->restart;
    return $changed;
}
cmp_ok(change_hints(sub { return $_[0] & ~0x0f00 }), '>', 500, 'T15 no row has hint bits now');
is(sum('hints'), $expected, 'T15 the same checksum without hint bits');
is(sum('hints'), $expected, 'T15 and again, when reading has set them');
my $seen = sql('SELECT count(*) FROM hints');
sql('CHECKPOINT');
cmp_ok(change_hints(sub { return $_[0] & 0x0200 ? ($_[0] & ~0x0200) | 0x0100 : $_[0] }), '>=', 100, 'T15 rows that were aborted say that they are committed');
is(sql('SELECT count(*) FROM hints'), $seen + 100, 'T15 which the server believes');
isnt(sum('hints'), $expected, 'T15 so that they count');
is(sum('hints'), by_rows('hints'), 'T15 in both ways of reading');

# T33: a value of 200 MB, out of line as it is, out of line and compressed.
sql(q{CREATE TABLE huge (v text); ALTER TABLE huge ALTER v SET STORAGE EXTERNAL; CREATE TABLE packed (v text); CREATE TABLE changed (v text);
    INSERT INTO huge SELECT repeat('0123456789abcdef', 13107200); INSERT INTO packed SELECT repeat('0123456789abcdef', 13107200);
    INSERT INTO changed SELECT overlay(repeat('0123456789abcdef', 13107200) PLACING 'x' FROM 104857600 FOR 1)});
is(sql(q{SELECT length(v), pg_column_size(v) FROM huge}), '209715200|209715200', 'T33 a value of 200 MB');
cmp_ok(sql('SELECT pg_column_size(v) FROM packed'), '<', 10 << 20, 'T33 and the same compressed');
my $large = sum('huge');
is(sum('packed'), $large, 'T33 equal however it is stored');
isnt(sum('changed'), $large, 'T33 one byte in the middle is a difference');
is(sql(q{SELECT difference, source_copies, length(source_row ->> 'v') < 5000 FROM upg_compare('huge', 'changed', key => '{}') ORDER BY 1}), "extra|0|\nmissing|1|t", 'T33 which is shown cut');
is(by_rows('huge'), $large, 'T33 the same by rows');
sql('DROP TABLE huge, packed, changed');

# T86: a standby has to take back what is being read.
my $standby = "$dir/standby";
my @as = $> == 0 ? ('runuser', '-u', $ENV{UPG_SERVER_USER} // 'postgres', '--') : ();
sql(q{CREATE TABLE moving (id integer PRIMARY KEY, v text); INSERT INTO moving SELECT g, md5(g::text) FROM generate_series(1, 20000) g; CHECKPOINT});
run([ @as, $server->bin('pg_basebackup'), '-h', $dir, '-p', $ENV{PGPORT} // 5999, '-U', 'postgres', '-D', $standby, '-R', '-X', 'stream', '-c', 'fast' ], '>', \$out, '2>', \$err) or diag $err;
run([ @as, $server->bin('pg_ctl'), '-D', $standby, '-w', '-t', 60, '-l', "$dir/standby.log", '-o', '-c port=5998 -c hot_standby=on -c max_standby_streaming_delay=100ms', 'start' ], '>', \$out, '2>', \$err) or diag $err;
my $before = sum('moving');
open my $script, '>', "$dir/reader.sql" or die "reader.sql: $!";
print $script q{\set VERBOSITY verbose
SELECT upg_table_checksum('moving');
SELECT count(upg_table_checksum('moving', seed => g)) FROM generate_series(1, 1000000) g;
};
close $script;
my $reader = fork // die "fork: $!";
if (!$reader)
{
    open(STDOUT, '>', "$dir/reader.out");
    open(STDERR, '>', "$dir/reader.err");
    exec($server->bin('psql'), '-XAtq', '-h', $dir, '-p', 5998, '-U', 'postgres', '-d', 'postgres', '-f', "$dir/reader.sql") or POSIX::_exit(127);
}
ok($server->wait_for(q{SELECT count(*) = 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT count(upg_table_checksum%'}, 30, '-p', 5998), 'T86 a standby reads a table');
sql(q{DELETE FROM moving WHERE id % 2 = 0});
sql(q{VACUUM moving});
waitpid($reader, 0);
my ($result, $trouble) = map { local (@ARGV, $/) = ("$dir/reader.$_"); <> // '' } qw(out err);
# (if the conflict goes on for longer, the server ends the connection as well)
like($trouble, qr/(ERROR|FATAL):  40001: (canceling statement|terminating connection) due to conflict with recovery/, 'T86 a conflict with recovery is the error of the server');
is($result, "$before\n", 'T86 and no part of an answer');
ok($server->wait_for(q{SELECT bool_and(replay_lsn >= pg_current_wal_lsn()) FROM pg_stat_replication}), 'T86 the standby goes on');
is($server->sql(q{SELECT upg_table_checksum('moving')}, '-p', 5998), sum('moving'), 'T86 and reads what is there now');
run([ @as, $server->bin('pg_ctl'), '-D', $standby, '-m', 'immediate', 'stop' ], '>', \$out, '2>', \$err);

# T91: the bytes that a machine of the other byte order writes.  What is between memory
# and memory is compiled as for such a machine and given what its memory would hold.
SKIP:
{
skip 'this machine is one: checksum_types has the known values', 2 if unpack('C', pack('S', 1)) == 0;
my $work = tempdir(CLEANUP => 1);
open my $c, '>', "$work/order.c" or die "order.c: $!";
print $c <<'E';
#include "postgres.h"

#define WORDS_BIGENDIAN 1
#include "canonical_internal.h"

static const unsigned char lowest_first[8] = {0xf8, 0xe7, 0xd6, 0xc5, 0xb4, 0xa3, 0x92, 0x81};
static const unsigned char highest_first[8] = {0x81, 0x92, 0xa3, 0xb4, 0xc5, 0xd6, 0xe7, 0xf8};

static int
check(const char *what, const void *got, const void *wanted, size_t size)
{
	if (memcmp(got, wanted, size) == 0)
		return 0;
	puts(what);
	return 1;
}

int
main(void)
{
	char out[8];
	uint16 v16;
	uint32 v32;
	uint64 v64;
	uint64 blanked;
	char backwards[9] = "     cba";
	int bad = 0;

	memcpy(&v16, highest_first + 6, 2);
	upg_store16(out, v16);
	bad += check("2 bytes", out, lowest_first, 2);
	memcpy(&v32, highest_first + 4, 4);
	upg_store32(out, v32);
	bad += check("4 bytes", out, lowest_first, 4);
	memcpy(&v64, highest_first, 8);
	upg_store64(out, v64);
	bad += check("8 bytes", out, lowest_first, 8);
	v32 = upg_load32((const char *) lowest_first);
	bad += check("4 bytes, read", &v32, highest_first + 4, 4);
	v64 = upg_load64((const char *) lowest_first);
	bad += check("8 bytes, read", &v64, highest_first, 8);
	blanked = upg_load_blanked(backwards);
	bad += blanked != (UINT64CONST(0x0000000000636261) ^ UINT64CONST(0x202020));
	return bad;
}
E
close $c;
my $config = $ENV{PG_CONFIG} // 'pg_config';
chomp(my $include = qx($config --includedir-server));
ok(run([ 'cc', '-O1', '-I', $include, '-I', "$top/extension/include", '-o', "$work/order", "$work/order.c" ], '>', \$out, '2>', \$err), 'T91 compiled for the other byte order') or diag $err;
ok(run([ "$work/order" ], '>', \$out, '2>', \$err), 'T91 numbers of the other byte order give the same bytes') or diag $out;
}

done_testing();
