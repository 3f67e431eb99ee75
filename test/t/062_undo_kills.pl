# Undo under fire: backends killed and the server stopped at once, at seeded points
# of apply (with capture and proof), rollback and finalize.  Whatever was running
# has happened or has not; a standby that followed all of it ends up the same.  What
# administrators do between two strikes changes nothing of that.
#
# UPG_UNDO_KILLS says how many times (default 6, 100 in full runs), UPG_SEED where
# the points lie.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use File::Temp qw(tempdir);
use IPC::Run qw(run);
use Test::More;
use Time::HiRes qw(sleep);
use UpgTest;

my $script = $ENV{UPG_SERVER_SCRIPT} // "$UpgTest::TOP/scripts/server.sh";
my @config = ('fsync=off', 'autovacuum=off', 'wal_keep_size=2GB', 'restart_after_crash=on');
my $server = server_start(@config);
my $db     = database('kills');
my $count  = $ENV{UPG_UNDO_KILLS} // ($ENV{UPG_FULL} ? 100 : 6);
my $seed   = $ENV{UPG_SEED} // 42;
srand($seed);

sub state_of
{
	return sql($db, q{
		SELECT upg_schema_fingerprint('{public}');
		SELECT md5(string_agg(x::text, ',' ORDER BY id)) FROM big x;
		SELECT md5(string_agg(x::text, ',' ORDER BY id)) FROM changed x;
		SELECT md5(string_agg(x::text, ',' ORDER BY id)) FROM wide x});
}

sub after_of
{
	return sql($db, q{
		SELECT upg_schema_fingerprint('{public}');
		SELECT md5(string_agg(x::text, ',' ORDER BY id)) FROM changed x;
		SELECT md5(string_agg(x::text, ',' ORDER BY id)) FROM wide x;
		SELECT md5(string_agg(x::text, ',' ORDER BY id)) FROM added x});
}

sub applied { return sql($db, q{SELECT to_regclass('added') IS NOT NULL}) eq 't' }

my $migration = q{
	UPDATE big SET v = 'u' WHERE id < 500;
	DROP TABLE big CASCADE;
	DELETE FROM changed WHERE id % 3 = 0;
	UPDATE changed SET v = v || '!';
	TRUNCATE wide;
	INSERT INTO wide VALUES (1, 'new');
	ALTER TABLE wide ALTER COLUMN id TYPE bigint;
	ALTER TABLE changed DROP COLUMN extra;
	ALTER TYPE mood ADD VALUE 'best';
	CREATE TABLE added AS SELECT * FROM changed;
	CREATE INDEX ON added (v);
};
my $objects = q{
	CREATE TYPE mood AS ENUM ('low', 'high');
	CREATE TABLE big (id serial PRIMARY KEY, v text);
	INSERT INTO big (v) SELECT 'row ' || i FROM generate_series(1, 5000) i;
	CREATE INDEX ON big (v);
	UPDATE big SET v = v || '.' WHERE id % 4 = 0;
	CREATE VIEW seen AS SELECT * FROM big;
	CREATE TABLE changed (id int PRIMARY KEY, v text, extra int DEFAULT 3, m mood DEFAULT 'low');
	INSERT INTO changed SELECT i, 'c' || i FROM generate_series(1, 3000) i;
	CREATE TABLE wide (id int PRIMARY KEY, v text);
	INSERT INTO wide SELECT i, (SELECT string_agg(md5((i * g)::text), '') FROM generate_series(1, 200) g) FROM generate_series(1, 50) i;
};
sql($db, "CREATE EXTENSION amcheck; $objects");

# a standby that follows
my $bin  = $ENV{PATH} =~ /^([^:]+)/ ? $1 : '';
my $copy = tempdir('upgcopy.XXXXXX', DIR => '/tmp');
my $user = $ENV{UPG_SERVER_USER} // 'postgres';
my @as   = $> == 0 ? ('runuser', '-u', $user, '--') : ();
chown((getpwnam($user))[ 2, 3 ], $copy) if @as;
chdir '/';
my ($out, $err);
run([ @as, "$bin/pg_basebackup", '-h', $server, '-p', $ENV{PGPORT}, '-U', 'postgres', '-D', "$copy/standby",
		'-X', 'stream', '--checkpoint=fast', '-R' ], \undef, \$out, \$err) or die "pg_basebackup: $err";
run([ @as, "$bin/pg_ctl", '-D', "$copy/standby", '-w', '-l', "$copy/standby.log", '-o',
		"-k $copy -p 6013 -c listen_addresses= -c fsync=off", 'start' ], '>', '/dev/null') or die 'no standby';

my $before = state_of();
my $name = 'calm';

sub command
{
	my ($what) = @_;
	return "SELECT verdict FROM upg.capture_run('$name', \$m\$$migration\$m\$)" if $what eq 'apply';
	return "SELECT count(*) FROM upg.capture_undo('$name')" if $what eq 'rollback';
	return "SELECT upg.capture_finalize('$name')";
}

# how long each takes when nobody disturbs
my %takes;
my ($after, $number) = (undef, 0);
for my $step (qw(apply rollback apply))
{
	my $text = "\\timing on\n" . command($step) . ";\n";
	my ($told, $e);
	run([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $db ], \$text, \$told, \$e) or die $e;
	$takes{$step} = $told =~ /^Time: ([\d.]+)/m ? $1 / 1000 : die $told;
	$after = after_of() if $step eq 'apply';
	$name = 'calm2' if $step eq 'rollback';
}
is(kept_files($db) > 0, 1, 'files are kept');
$takes{finalize} = $takes{rollback} / 2;

sub postmaster
{
	open my $file, '<', "$server/data/postmaster.pid" or die "postmaster.pid: $!";
	return <$file> + 0;
}

# Run a command and strike after part of its time; true if it was still running.
sub strike
{
	my ($what, $how) = @_;
	my ($in, $o, $e) = ('', '', '');
	my $h = IPC::Run::start([ 'psql', '-XAtq', '-d', $db ], \$in, \$o, \$e);
	$in .= "SELECT pg_backend_pid();\n";
	$h->pump until $o =~ /(\d+)\n/;
	my $pid = $1;
	$in .= command($what) . ";\n\\echo finished\n";
	$h->pump_nb while length $in;
	sleep rand() * $takes{$what};
	# an immediate stop is this signal; a program that sends it comes too late
	kill $how eq 'kill' ? ('KILL', $pid) : ('QUIT', postmaster());
	eval { $h->finish };
	if ($how ne 'kill')
	{
		my ($so, $se);
		server_stop('immediate');
		run([ $script, 'start', $server, @config ], \undef, \$so, \$se) or die $se;
	}
	for (1 .. 300)
	{
		last if run([ 'psql', '-XAtqc', 'SELECT 1', '-d', $db ], \undef, \my $po, \my $pe);
		sleep 0.1;
	}
	my $hit = $o !~ /finished/;
	# caches are cold after a crash, other work comes and goes: keep up with it
	$takes{$what} *= $hit ? 1.04 : 0.8;
	return $hit;
}

# What is done to tables and database while a migration stands, or while none does.
my @between = ('VACUUM FREEZE', 'VACUUM FULL', 'VACUUM FULL changed', 'ANALYZE', 'REINDEX DATABASE kills', 'REINDEX TABLE CONCURRENTLY wide',
	'CLUSTER changed USING changed_pkey; ALTER TABLE changed SET WITHOUT CLUSTER', 'VACUUM (FREEZE, ANALYZE) changed', 'CHECKPOINT',
	'CREATE SCHEMA aside; ALTER TABLE wide SET SCHEMA aside; ALTER TABLE aside.wide SET SCHEMA public; DROP SCHEMA aside',
	'ALTER TABLE changed RENAME TO altered; ALTER TABLE altered RENAME TO changed',
	'CREATE ROLE kills_owner; ALTER TABLE wide OWNER TO kills_owner; ALTER TABLE wide OWNER TO postgres; DROP ROLE kills_owner');

# 106 each time something that ran is over or has not happened
my (%inside, %done, %meanwhile, %since, @wrong);
for my $i (1 .. $count)
{
	my $was  = applied();
	my $what = !$was ? 'apply' : ($i % 5 == 4 ? 'finalize' : 'rollback');
	my $how  = rand() < 0.5 ? 'kill' : 'immediate';
	if (!$was) { $name = 'm' . ++$number }
	my $hit = strike($what, $how);
	my $now = applied();
	my $where = "$i: $what, $how, seed $seed";
	$inside{$what}++ if $hit;
	if ($now) { push @wrong, "$where: neither before nor after" if after_of() ne $after }
	else { push @wrong, "$where: not as before" if state_of() ne $before }
	push @wrong, "$where: " . damage($db) if damage($db) ne '';
	push @wrong, "$where: files are kept for nothing" if !$now && kept_files($db) ne '0';
	if ($what eq 'finalize')
	{
		# given up or not, there is no half; then everything is made anew
		my $logs = sql($db, q{SELECT count(*) FROM upg.undo_log WHERE state NOT IN ('rolled_back', 'finalized')});
		push @wrong, "$where: log and kept files disagree" if ($logs eq '0') != (kept_files($db) eq '0');
		if ($logs eq '0')
		{
			$done{finalize}++;
			sql($db, "DROP TABLE added, changed, wide CASCADE; DROP TYPE mood; $objects");
			push @wrong, "$where: not as before when made anew" if state_of() ne $before;
		}
	}
	$done{$what}++ if $now != $was;
	%since = () if !$now;
	last if @wrong;
	next if rand() < 0.5;
	my $admin = $between[ rand @between ];
	sql($db, $_) for split /; /, $admin;
	$meanwhile{$admin}++;
	$since{$admin}++ if $now;
	push @wrong, "$where, then $admin: " . damage($db) if damage($db) ne '';
}
is(join("\n", @wrong), '', "$count strikes: what ran had happened or had not, tables and indexes are sound");
my $inside = 0;
$inside += $_ for values %inside;
diag("$inside of $count strikes inside a command: " . join(', ', map { "$_ $inside{$_}" } sort keys %inside)
	  . '; done: ' . join(', ', map { "$_ $done{$_}" } sort keys %done));
diag('in between: ' . join(', ', map { "$_ x $meanwhile{$_}" } sort keys %meanwhile));
cmp_ok($inside, '>=', $count < 50 ? 1 : 0.6 * $count, 'enough of them hit');

# and the standby
my $state = applied() ? after_of() : state_of();
my $up = applied();
my $lsn = sql($db, 'SELECT pg_current_wal_lsn()');
local $ENV{PGHOST} = $copy;
local $ENV{PGPORT} = 6013;
for (1 .. 600)
{
	last if sql($db, "SELECT pg_last_wal_replay_lsn() >= '$lsn'") eq 't';
	sleep 0.1;
}
is($up ? after_of() : state_of(), $state, 'the standby is where the primary is');
run([ @as, "$bin/pg_ctl", '-D', "$copy/standby", '-w', 'promote' ], '>', '/dev/null');
is(damage($db), '', '... promoted, it is sound');
if ($up)
{
	# indexes with other OIDs are no longer those that the migration made or changed
	my ($said, $e);
	my $rolled_back = run([ 'psql', '-XAtqc', command('rollback'), '-d', $db ], \undef, \$said, \$e);
	if (grep { /REINDEX TABLE CONCURRENTLY/ } keys %since)
	{
		ok(!$rolled_back && $e =~ /later changes stand in the way.*"wide_pkey" is gone or was changed/s, '... and refuses by name') or diag $e;
		is(after_of(), $after, '... without a change');
	}
	else { is(state_of(), $before, '... and rolls back') or diag $e }
}
run([ @as, "$bin/pg_ctl", '-D', "$copy/standby", '-m', 'immediate', 'stop' ], '>', '/dev/null');
run([ @as, 'rm', '-rf', "$copy/standby" ]);
done_testing();
