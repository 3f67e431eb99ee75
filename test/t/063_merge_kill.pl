# SIGKILL in the middle of a rollback that merges: afterwards all of it is done or
# nothing.  UPG_KILLS says how often (50 in the full run).
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use IPC::Run qw(start finish run);
use Test::More;
use Time::HiRes qw(sleep time);
use UpgTest;

my $kills  = $ENV{UPG_KILLS} // ($ENV{UPG_FULL} ? 50 : 6);
my $script = $ENV{UPG_SERVER_SCRIPT} // "$UpgTest::TOP/scripts/server.sh";
my $server = server_start('autovacuum=off');
my $db     = database('merge_kill');
my $seed   = $ENV{UPG_SEED} // 1;
srand($seed);

my $sum = q{SELECT (SELECT md5(string_agg(t::text, ',' ORDER BY id)) FROM t),
	(SELECT md5(string_agg(f::text, ',' ORDER BY id)) FROM f), to_regclass('n') IS NULL};

# 106 what the rollback of the merge is interrupted in.
# What the application writes, so that there is something to merge in every way.
sub build
{
	sql($db, q{
		SET client_min_messages = error;
		DROP TABLE IF EXISTS t, f, n;
		CREATE TABLE t (id int PRIMARY KEY, a text, b int);
		INSERT INTO t SELECT i, 'a' || i, i FROM generate_series(1, 20000) i;
		CREATE TABLE f (id int PRIMARY KEY, a text);
		INSERT INTO f SELECT i, 'a' || i FROM generate_series(1, 10000) i;
		SELECT upg.capture_finalize('k');
		SELECT verdict FROM upg.capture_run('k', $$UPDATE t SET a = 'm' || id; DELETE FROM t WHERE id % 100 = 0;
			ALTER TABLE f ALTER id TYPE bigint; CREATE TABLE n (id int PRIMARY KEY)$$);
		UPDATE t SET b = -1 WHERE id % 7 = 0;
		UPDATE t SET a = 'app' WHERE id % 70 = 1;
		DELETE FROM t WHERE id % 90 = 2;
		INSERT INTO t SELECT i, 'new', 0 FROM generate_series(30001, 30500) i;
		UPDATE f SET a = 'app' WHERE id % 9 = 0;
		DELETE FROM f WHERE id % 11 = 0;
		INSERT INTO n SELECT generate_series(1, 300)});
}

build();
my $before = sql($db, $sum);
my $start  = time;
sql($db, q{SELECT count(*) FROM upg.capture_merge('k')});
my $took  = time - $start;
my $after = sql($db, $sum);
isnt($after, $before, 'the rollback changes something');
my ($none, $all, $wrong) = (0, 0, 0);
build();
is(sql($db, $sum), $before, 'the same again');
for my $i (1 .. $kills)
{
	my ($out, $err) = ('', '');
	my $in = "SELECT pg_backend_pid();\nSELECT count(*) FROM upg.capture_merge('k');\n";
	my $h  = start([ 'psql', '-XAtqd', $db ], \$in, \$out, \$err);
	$h->pump until $out =~ /^(\d+)\n/;
	my ($pid) = $out =~ /^(\d+)\n/;
	sleep($took * rand(1.1));
	kill 'KILL', $pid;
	eval { $h->finish };
	# the server restarts its processes by itself
	for (1 .. 300)
	{
		last if run([ 'psql', '-XAtqd', $db, '-c', 'SELECT 1' ], \undef, \my $o, \my $e);
		sleep 0.1;
	}
	my $now = sql($db, $sum);
	if ($now eq $before) { $none++ }
	elsif ($now eq $after) { $all++; build() }
	else { $wrong++; diag("kill $i: $now"); build() }
}
is($wrong, 0, "$kills kills: nothing was done $none times, all $all times, half never (seed $seed)");
cmp_ok($none, '>', 0, 'some kills were in the middle');
sql($db, q{SELECT count(*) FROM upg.capture_merge('k')}) if sql($db, $sum) eq $before;
is(sql($db, $sum), $after, 'and the rollback still does what it did');
done_testing();
