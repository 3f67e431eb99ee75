# Two and twenty runs on one directory at once: each migration exactly once.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use IPC::Run qw(start finish);
use Test::More;
use Time::HiRes qw(sleep);
use UpgTest;

server_start('max_connections=100', 'max_worker_processes=32');

# The first two databases of a server get the extension at once: the roles of upg belong to
# all databases, so the second waits for the roles of the first, and takes them.
{
	my @new = map { database("new$_", bare => 1) } 1, 2;
	my @first = map { ('-c', $_) } 'BEGIN', 'CREATE EXTENSION upg', 'SELECT pg_sleep(2)', 'COMMIT';
	my $first = start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $new[0], @first ], '<', '/dev/null', '>', \my $out, '2>', \my $err);
	my $asleep = q{SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'};
	my $until  = time + 30;
	sleep 0.05 until sql('postgres', $asleep) || time > $until;
	is(sql('postgres', $asleep), 1, 'an installation waits with its transaction open');
	my ($rc, undef, $message) = upg('init', '-d', $new[1]);
	is($rc, 0, 'installed in two new databases at once: the second, too') or diag $message;
	ok(finish($first), '... and the first') or diag $err;
	is(sql($new[1], q{SELECT count(*) FROM pg_roles WHERE rolname LIKE 'upg\_%'}), 5, '... with one set of roles');
}

# Every migration leaves a row, so that running one twice shows.
sub many
{
	my ($n) = @_;
	return files(workdir(), '0_log.sql' => 'CREATE TABLE log (n int);',
		map { ("${_}_m.sql" => "CREATE TABLE m$_ (i int);\nINSERT INTO log VALUES ($_);\n") } 1 .. $n);
}

for my $runs (2, 20)
{
	my $db  = database("runs$runs");
	my $dir = many(30);
	my @all = map { [ upg_start('up', '-d', $db, $dir) ] } 1 .. $runs;
	is(upg_finish(@all), 0, "$runs runs: all end well");
	is(sql($db, 'SELECT count(*) || \' \' || count(DISTINCT n) FROM log'), '30 30', "$runs runs: each migration once");
	is(sql($db, q{SELECT count(*) FROM upg_status() WHERE state = 'applied'}), 31, "$runs runs: all in the books");
	is(sql($db, 'SELECT ok FROM upg_audit_verify()'), 't', "$runs runs: the audit chain is valid");
}

# the same with statements that no transaction can hold
my $db  = database('cic');
my $dir = files(workdir(), '1_t.sql' => 'CREATE TABLE t (i int); INSERT INTO t SELECT generate_series(1, 1000);',
	map { ("${_}_i.sql" => "CREATE INDEX CONCURRENTLY i$_ ON t (i);\n") } 2 .. 6);
my @all = map { [ upg_start('up', '-d', $db, $dir) ] } 1 .. 5;
is(upg_finish(@all), 0, 'five runs with CREATE INDEX CONCURRENTLY: all end well');
is(sql($db, q{SELECT count(*) FROM pg_index WHERE indrelid = 't'::regclass AND indisvalid}), 5, '... five valid indexes');

# a holder is named; --no-wait leaves
$db  = database('holder');
$dir = files(workdir(), '1_s.sql' => 'CREATE TABLE s (i int); SELECT pg_sleep(3);');
my ($h, $o, $e) = upg_start('up', '-d', $db, $dir);
for (1 .. 100)
{
	last if sql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE datname = '$db' AND wait_event = 'PgSleep'");
	sleep 0.1;
}
my ($rc, $out, $err) = upg('up', '-d', $db, '--no-wait', $dir);
is($rc, 6, '--no-wait: exit 6') or diag $out . $err;
like($err, qr/\d+/, '... the holder is named');
($rc, $out, $err) = upg('up', '-d', $db, $dir);
is($rc, 0, 'without it: waits') or diag $err;
like($out, qr/already     1_s|nothing to do/, '... and finds it done');
$h->finish;
is($h->full_result || 0, 0, 'the first run ends well') or diag $$e;
done_testing();
