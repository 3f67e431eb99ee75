# A full disk, under a table, under the server's log of changes and under our own
# output; a link that is cut, by a reset and by silence.  Each ends in a clear error or
# a wait within its time limit, nothing is lost, and the same again finishes.
#
# The small file systems and the network of its own need root; without, these cases
# are skipped, and the link is cut by a proxy alone.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use IPC::Run qw(finish run);
use Socket qw(SOL_SOCKET SO_LINGER);
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);
use UpgTest;

$SIG{TERM} = $SIG{INT} = sub { exit 143 };    # so that no mount is left
my $dir  = server_start('restart_after_crash=off', 'max_wal_size=32MB');
my $work = workdir();
my ($rc, $out, $err, @mounts);

END { my $status = $?; server_stop('immediate') if $dir && @mounts; system('umount', '-l', $_) for @mounts; $? = $status; }

# A small file system at a directory; false if it cannot be had.
sub small
{
	my ($path, $size) = @_;
	mkdir $path;
	return 0 if $> != 0 || system("mount -t tmpfs -o size=$size tmpfs $path 2>/dev/null");
	push @mounts, $path;
	chown((stat "$dir/data")[ 4, 5 ], $path);
	return 1;
}

sub fill
{
	my ($path, $leave) = @_;
	open(my $fh, '>', "$path/ballast") or die;
	binmode $fh;
	1 while syswrite($fh, "\0" x 65536);
	close $fh;
	truncate "$path/ballast", (-s "$path/ballast") - $leave if $leave;
	return;
}

sub wait_sql
{
	my ($db, $query) = @_;
	for (1 .. 600)
	{
		return 1 if (eval { sql($db, $query) } // '') eq 't';
		sleep 0.05;
	}
	return 0;
}

SKIP:
{
	skip 'a small file system needs root', 1 unless small("$work/space", '8m');
	chmod 0755, $work;

	# under a table
	database('disk');
	sql('disk', "CREATE TABLESPACE small LOCATION '$work/space'");
	files("$work/table", '1_ok.sql' => 'CREATE TABLE ok (i int);',
		'2_big.sql' => "CREATE TABLE big (i int, t text) TABLESPACE small;\nINSERT INTO big SELECT i, repeat('x', 100) FROM generate_series(1, 200000) i;\n");
	($rc, $out, $err) = upg('up', '-d', 'disk', "$work/table");
	is($rc, 1, 'a full disk under a table: exit 1') or diag $err;
	like($err, qr/could not extend file.*No space left on device/, '... with the reason');
	like($err, qr/2_big\.sql:2/, '... and the place');
	is(sql('disk', q{SELECT statement_no, sqlstate FROM upg_history('2_big') WHERE state = 'failed'}), '2|53100', '... in the history');
	is(sql('disk', q{SELECT to_regclass('ok') IS NOT NULL, to_regclass('big') IS NULL}), 't|t', '... what was applied stays, nothing of the other');

	# under an index that no transaction can hold
	files("$work/index", '3_index.sql' => "CREATE TABLE wide AS SELECT i, md5(i::text) || md5((-i)::text) AS t FROM generate_series(1, 200000) i;\nCREATE INDEX CONCURRENTLY wide_t ON wide (t) TABLESPACE small;\n");
	($rc, $out, $err) = upg('up', '-d', 'disk', "$work/index");
	is($rc, 4, 'a full disk under a concurrent index: exit 4') or diag $err;
	like($err, qr/No space left on device/, '... with the reason');
	is(sql('disk', q{SELECT state FROM upg_migration_state('3_index')}), 'partial', '... the step before it is done');
	system('mount', '-o', 'remount,size=200m', "$work/space") == 0 or die;
	($rc, $out, $err) = upg('up', '-d', 'disk', "$work/index");
	is($rc, 0, '... with room again, the same goes on') or diag $err;
	is(sql('disk', q{SELECT string_agg(indisvalid::text, ',') FROM pg_index WHERE indrelid = 'wide'::regclass}), 'true', '... one index, valid');
	is(sql('disk', 'SELECT count(*) FROM wide'), 200000, '... and the step before it was not done again');
	($rc, $out, $err) = upg('up', '-d', 'disk', "$work/table");
	is($rc, 0, '... the table, too') or diag $err;

	# under our own output
	small("$work/out", '64k');
	fill("$work/out", 0);
	files("$work/report", map { ("$_.sql" => 'SELECT 1;') } 4 .. 6);
	is(system("$UPG up -d disk $work/report > $work/out/report 2> $work/err") >> 8, 1, 'a full disk under the report: exit 1');
	like(slurp("$work/err"), qr/could not write the output: No space left on device.*What was done stays done/s, '... is said');
	is(sql('disk', q{SELECT count(*) FROM upg_status() WHERE state = 'applied'}), 6, '... and the run goes on to its end');
	is(system("$UPG audit export -d disk > $work/out/export 2> $work/err") >> 8, 1, 'a full disk under an export: exit 1');
	like(slurp("$work/err"), qr/No space left on device/, '... is said');
	unlink "$work/out/report", "$work/out/export";
	($rc, $out, $err) = upg('new', '--layout=goose', 'x', "$work/out");
	is($rc, 1, 'a full disk under a new file: exit 1') or diag $out;
	like($err, qr/No space left on device/, '... is said');
	is(join(' ', grep { !/ballast/ } glob "$work/out/*"), '', '... and no half of it is left');
}

# under the log of changes: the server stops at once, and comes back with room
SKIP:
{
	skip 'a small file system needs root', 1 unless @mounts;
	server_stop();
	small("$work/wal", '160m');
	system('cp', '-a', "$dir/data/pg_wal/.", "$work/wal") == 0 or die;
	system('rm', '-rf', "$dir/data/pg_wal");
	symlink "$work/wal", "$dir/data/pg_wal";
	system("$UpgTest::TOP/scripts/server.sh start $dir restart_after_crash=off max_wal_size=1GB >/dev/null 2>&1") == 0 or die 'no server';
	fill("$work/wal", 20 * 1024 * 1024);
	files("$work/log", map { ("$_.sql" => "INSERT INTO fills SELECT $_, repeat('x', 1000) FROM generate_series(1, 4000);") } 21 .. 36);
	sql('disk', 'CREATE TABLE fills (n int, t text)');
	my $begun = time;
	($rc, $out, $err) = upg('up', '-d', 'disk', '--timeout', '8s', "$work/log");
	ok($rc == 11 || $rc == 124, 'no room for the log of changes: the server stops, the run leaves at its time limit') or diag "$rc $err";
	cmp_ok(time - $begun, '<', 40, '... and does not hang');
	like(slurp("$dir/server.log"), qr/PANIC:.*No space left on device/, '... it was the log');
	unlink "$work/wal/ballast";
	system("$UpgTest::TOP/scripts/server.sh start $dir restart_after_crash=on max_wal_size=64MB >/dev/null 2>&1") == 0 or die 'no server';
	($rc, $out, $err) = upg('up', '-d', 'disk', "$work/log");
	is($rc, 0, '... with room again, the same finishes') or diag $err;
	is(sql('disk', 'SELECT count(*), count(DISTINCT n) FROM (SELECT n FROM fills GROUP BY n HAVING count(*) = 4000) f'), '16|16', '... every effect once');
	is(sql('disk', 'SELECT ok FROM upg_audit_verify()'), 't', '... the audit trail is whole');
}

# A proxy between TCP and the server's socket.  Files tell it what to do: "cut" resets
# what is open, "mute" keeps all open and passes nothing on.
my $listen = IO::Socket::INET->new(Listen => 20, LocalAddr => '127.0.0.1', ReuseAddr => 1) or die "listen: $!";
my $port   = $listen->sockport;
my $proxy  = fork // die "fork: $!";
if ($proxy == 0)
{
	my $parent = getppid;
	my %other;
	my $select = IO::Select->new($listen);
	$SIG{PIPE} = 'IGNORE';
	while (getppid == $parent)
	{
		if (-e "$work/cut")
		{
			for my $end (grep { $other{$_} } $select->handles)
			{
				setsockopt($end, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0)) if $end->isa('IO::Socket::INET');
				$select->remove($end);
				close $end;
			}
			%other = ();
			rename "$work/cut", "$work/cut.done";
		}
		if (-e "$work/mute") { sleep 0.05; next }
		for my $ready ($select->can_read(0.05))
		{
			if ($ready == $listen)
			{
				my $client = $listen->accept or next;
				my $server = IO::Socket::UNIX->new(Peer => "$dir/.s.PGSQL.$ENV{PGPORT}") or do { close $client; next };
				@other{ $client, $server } = ($server, $client);
				$select->add($client, $server);
				next;
			}
			my $peer = $other{$ready} or next;
			my $data;
			if (!sysread($ready, $data, 65536))
			{
				$select->remove($ready, $peer);
				delete @other{ $ready, $peer };
				close $_ for $ready, $peer;
				next;
			}
			syswrite($peer, $data);
		}
	}
	POSIX::_exit(0);
}
close $listen;
END { my $status = $?; kill 'TERM', $proxy if $proxy; $? = $status; }

my $link = "host=127.0.0.1 port=$port dbname=";

# Inside the second of three; $steps: in a background worker
sub cut_files
{
	my ($name, $steps) = @_;
	my $alone = $steps ? "VACUUM ${name}_1;" : '';
	return files("$work/$name", "1_$name.sql" => "CREATE TABLE ${name}_1 (i int);",
		"2_$name.sql" => "CREATE TABLE ${name}_2 (i int);\n$alone\nSELECT pg_sleep(3);\nINSERT INTO ${name}_2 VALUES (1);\n", "3_$name.sql" => "CREATE TABLE ${name}_3 (i int);");
}
my $asleep = q{SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'PgSleep'};
database('link');
for my $steps (0, 1)
{
	my $what  = $steps ? 'several steps' : 'one transaction';
	my $name  = "reset_$steps";
	my $files = cut_files($name, $steps);
	my ($run, $o, $e) = upg_start('up', '-d', $link . 'link', $files);
	ok(wait_sql('link', $asleep), "$what: the run is inside a migration");
	files($work, cut => '');
	finish($run);
	is($run->full_result >> 8, 0, "a link that is reset, $what: the run connects again and finishes") or diag $$e;
	like($$e, qr/connection was lost; connecting again/, '... and says so') unless $steps;
	is(sql('link', "SELECT count(*) FROM ${name}_2"), 1, '... every effect is there once');

	# Silence: the time limit holds, whatever the link does.
	$name  = "mute_$steps";
	$files = cut_files($name, $steps);
	my $begun = time;
	($run, $o, $e) = upg_start('up', '-d', $link . 'link', '--timeout', '20s', $files);
	ok(wait_sql('link', $asleep), "$what: the run is inside a migration");
	files($work, mute => '');
	finish($run);
	is($run->full_result >> 8, 124, "a silent link, $what: the run leaves at its time limit") or diag $$e;
	cmp_ok(time - $begun, '<', 40, '... and not much later');
	like($$e, qr/time is over/, '... which it says');
	unlink "$work/mute";
	($rc, $out, $err) = upg('up', '-d', $link . 'link', '--timeout', '60s', $files);
	is($rc, 0, '... with the link back, the same finishes') or diag $err;
	is(sql('link', "SELECT count(*) FROM ${name}_2"), 1, '... every effect is there once');
}

# The same with a network of its own, whose cable is pulled: no reset, no silence that
# somebody keeps up, packets are gone.
SKIP:
{
	my $ns = "upg$$";
	skip 'a network of its own needs root and ip(8)', 1
	  if $> != 0 || system("ip netns add $ns 2>/dev/null && ip link add ${ns}a type veth peer name ${ns}b netns $ns 2>/dev/null");
	my ($us, $them) = map { sprintf '10.%d.%d.%d', 200 + $$ % 50, ($$ >> 6) % 250, $_ } 1, 2;
	system("ip addr add $us/24 dev ${ns}a && ip link set ${ns}a up && ip netns exec $ns ip addr add $them/24 dev ${ns}b && ip netns exec $ns ip link set ${ns}b up && ip netns exec $ns ip link set lo up") == 0 or die 'no network';
	open(my $fh, '>>', "$dir/data/pg_hba.conf") or die;
	print $fh "host all all $them/32 trust\n";
	close $fh;
	server_stop();
	system("$UpgTest::TOP/scripts/server.sh start $dir listen_addresses=$us >/dev/null 2>&1") == 0 or die 'no server';
	my $files = cut_files('cable', 0);
	my $begun = time;
	my ($o, $e) = ('', '');
	my $run = IPC::Run::start([ 'ip', 'netns', 'exec', $ns, $UPG, 'up', '-d', "host=$us dbname=link", '--timeout', '12s', $files ], \undef, \$o, \$e);
	ok(wait_sql('link', $asleep), 'over a network: the run is inside a migration');
	system("ip link set ${ns}a down");
	finish($run);
	is($run->full_result >> 8, 124, 'a pulled cable: the run leaves at its time limit') or diag $e;
	cmp_ok(time - $begun, '<', 35, '... and not much later');
	system("ip link set ${ns}a up");
	$run = IPC::Run::start([ 'ip', 'netns', 'exec', $ns, $UPG, 'up', '-d', "host=$us dbname=link", '--timeout', '60s', $files ], \undef, \$o, \$e);
	finish($run);
	is($run->full_result >> 8, 0, '... with the cable back, the same finishes') or diag $e;
	is(sql('link', 'SELECT count(*) FROM cable_2'), 1, '... every effect is there once');
	system("ip netns del $ns; ip link del ${ns}a 2>/dev/null");
}
is(sql('link', 'SELECT ok FROM upg_audit_verify()'), 't', 'the audit trail is whole');
done_testing();
