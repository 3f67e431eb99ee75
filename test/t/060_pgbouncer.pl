# Several runs at once through PgBouncer in transaction mode.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Test::More;
use Time::HiRes qw(sleep);
use UpgTest;

my ($pgbouncer) = grep { -x } map { "$_/pgbouncer" } split(/:/, $ENV{PATH}), '/usr/sbin', '/usr/local/sbin';
plan skip_all => 'pgbouncer is not installed' unless $pgbouncer;

my $server = server_start('max_worker_processes=16');
my $db     = database('pooled');
my $dir    = files(workdir(), '01_log.sql' => 'CREATE TABLE log (n int);', '31_i.sql' => 'CREATE INDEX CONCURRENTLY logi ON log (n);',
	'32_c.sql' => "COPY log FROM stdin;\n99\n\\.\n", map { (sprintf('%02d_m.sql', $_) => "CREATE TABLE m$_ (i int); INSERT INTO log VALUES ($_);") } 2 .. 30);

# PgBouncer refuses root, too
my $pool = "$server/pool";
mkdir $pool;
files($pool, 'users' => qq("postgres" ""\n), 'pgbouncer.ini' => <<"INI");
[databases]
* = host=$server port=$ENV{PGPORT}
[pgbouncer]
listen_addr =
unix_socket_dir = $pool
listen_port = 6432
auth_type = trust
auth_file = $pool/users
pool_mode = transaction
default_pool_size = 3
logfile = $pool/log
pidfile = $pool/pid
INI
my @as = ();
if ($> == 0)
{
	my $user = $ENV{UPG_SERVER_USER} // 'postgres';
	system('chown', '-R', $user, $pool);
	@as = ('runuser', '-u', $user, '--');
}
system(@as, $pgbouncer, '-q', '-d', "$pool/pgbouncer.ini") == 0 or die 'pgbouncer does not start';
for (1 .. 50)
{
	last if -S "$pool/.s.PGSQL.6432";
	sleep 0.1;
}

{
	local @ENV{qw(PGHOST PGPORT)} = ($pool, 6432);
	my @all = map { [ upg_start('up', '-d', $db, $dir) ] } 1 .. 6;
	is(upg_finish(@all), 0, 'six runs through the pool end well');
	my ($rc, $out, $err) = upg('up', '-d', $db, $dir);
	like($out, qr/nothing to do: 32 applied/, 'and then there is nothing to do') or diag $err;
	($rc, $out, $err) = upg('down', '-d', $db, '--method=given', '32_c');
	is($rc, 1, 'an error comes back through the pool as it is');
	like($err, qr/UP006/, 'with its SQLSTATE');
}
is(sql($db, 'SELECT count(*), count(DISTINCT n) FROM log'), '30|30', 'each migration ran once');
kill 'TERM', slurp("$pool/pid") =~ /(\d+)/;
done_testing();
