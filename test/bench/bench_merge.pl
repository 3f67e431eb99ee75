#!/usr/bin/env perl
# test/bench/bench_merge.pl: what a rollback costs after the application went on writing.
#
# merge    a migration changed BENCH_ROWS rows and the application one in a hundred of
#          them since; beside the bare UPDATE that sets the same values, in turns
# alone    the same, but the migration also added a column: readers have to wait
# file     a migration rewrote BENCH_ROWS rows, and the application changed one in a
#          hundred since
# nothing  a migration rewrote BENCH_LARGE rows, and nobody has written since
#
# While a rollback runs, another session reads: its longest wait is shown beside what
# the preview said, the first time without an earlier rollback to go by.
#
# BENCH_ROUNDS changes the rounds, BENCH_PARTS is a list of the parts.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use List::Util qw(max min);
use Time::HiRes qw(sleep time);
use lib dirname(abs_path(__FILE__));
use Bench;

my $rows   = setting('ROWS', 1_000_000);
my $large  = setting('LARGE', 5_000_000);
my $rounds = setting('ROUNDS', 3);
my %parts  = map { $_ => 1 } split /[ ,]+/, setting('PARTS', 'merge,alone,file,nothing');
my $dir    = start_server();
say_host();

sub number { my ($db, $query) = @_; chomp(my $n = qx(psql -XAtqd $db -c "$query")); die "psql failed\n" if $?; return $n }

# Milliseconds of one statement, without the start of psql.
sub ms_of
{
	my ($db, $statement) = @_;
	open(my $fh, '>', "$dir/one.sql") or die $!;
	print $fh "SET client_min_messages = warning;\n\\timing on\n$statement;\n";
	close $fh;
	my $out = qx(psql -XAtq -v ON_ERROR_STOP=1 -d $db -f $dir/one.sql 2>&1);
	die $out if $?;
	return $out =~ /^Time: ([\d.]+) ms/m ? $1 : die "no time in $out";
}

# The longest wait in ms of a session that reads one row again and again until told to
# end, and the calls that it made.
sub reader
{
	my ($db) = @_;
	my $pid = open(my $fh, '-|') // die $!;
	return ($pid, $fh) if $pid;
	my ($longest, $n, $end) = (0, 0, 0);
	local $SIG{TERM} = sub { $end = 1 };
	open(my $psql, '|-', "psql -XAtq -d $db > $dir/reader.out 2>&1") or die $!;
	select((select($psql), $| = 1)[0]);
	print $psql "\\timing on\n";
	until ($end) { print $psql "SELECT balance FROM t WHERE id = 1;\n"; sleep 0.005; $n++ }
	close $psql;
	open(my $in, '<', "$dir/reader.out") or die $!;
	while (<$in>) { $longest = max($longest, $1) if /^Time: ([\d.]+) ms/ }
	print "$longest $n\n";
	exit 0;
}

# What the preview says of a rollback, the rollback while somebody reads, and how long
# he waited.
sub roll_back
{
	my ($db, $name) = @_;
	my $said = number($db, "SELECT p->>'readers_wait_ms' FROM upg_rollback_preview('$name') p");
	my ($pid, $fh) = reader($db);
	sleep 0.5;
	my $ms = ms_of($db, "SELECT state FROM upg_rollback('$name')");
	sleep 0.2;
	kill TERM => $pid;
	my $waited = (split ' ', <$fh>)[0];
	waitpid $pid, 0;
	return ($ms, $said, $waited);
}

sub say_waits
{
	my ($said, $waited) = @_;
	printf "  a reader waited at most        %s ms\n", join ' ', map { sprintf '%8.0f', $_ } @$waited;
	printf "  the preview said               %s ms\n\n", join ' ', map { sprintf '%8.0f', $_ } @$said;
}

if ($parts{merge})
{
	my (@bare, @merged, @said, @waited);
	fresh_database('merging', 'CREATE EXTENSION upg',
		map({ ("CREATE TABLE $_ (id int PRIMARY KEY, branch int, balance int, filler char(84))",
			"INSERT INTO $_ SELECT g, g % 10, 0, '' FROM generate_series(1, $rows) g") } qw(bare t)));
	for my $round (1 .. $rounds)
	{
		my $both = sub { sql('merging', map { sprintf($_[0], $_) } qw(bare t)) };
		sql('merging', 'UPDATE bare SET balance = balance + 1',
			"SELECT state FROM upg_apply('m$round', 'UPDATE t SET balance = balance + 1', NULL, '{}', '{\"undo\": \"required\"}')");
		$both->('UPDATE %s SET branch = branch + 100 WHERE id %% 100 = 7');
		$both->('VACUUM %s');
		sql('merging', 'CHECKPOINT');
		my $bare = sub { push @bare, ms_of('merging', 'UPDATE bare SET balance = balance - 1') };
		my $back = sub {
			my ($ms, $say, $wait) = roll_back('merging', "m$round");
			push @merged, $ms;
			push @said, $say;
			push @waited, $wait;
		};
		$_->() for $round % 2 ? ($bare, $back) : ($back, $bare);
		die "rows are wrong\n"
		  if number('merging', "SELECT count(*) FROM bare b JOIN t USING (id) WHERE b.balance <> t.balance OR b.branch <> t.branch") > 0;
		$both->('VACUUM %s');
	}
	my @ratio = map { $merged[$_] / $bare[$_] } 0 .. $#bare;
	printf "rollback that merges, %d rows of which 1 %% were changed since (must: 2.5 x)\n", $rows;
	printf "  bare UPDATE of the same values %10.0f ms (%.0f)\n", median(@bare), min(@bare);
	printf "  rollback                       %10.0f ms (%.0f) %8.2f x (%s)\n", median(@merged), min(@merged), median(@ratio), join ' ', map { sprintf '%.2f', $_ } @ratio;
	say_waits(\@said, \@waited);
}

my %keeps_out = (
	alone => ['ALTER TABLE t ADD added int; UPDATE t SET balance = balance + 1', 'and a column added'],
	file => ['ALTER TABLE t ALTER balance TYPE bigint', 'by a rewrite']);
for my $part (grep { $parts{$_} } qw(alone file))
{
	my ($script, $how) = @{ $keeps_out{$part} };
	my (@back, @said, @waited);

	fresh_database($part, 'CREATE EXTENSION upg', 'CREATE TABLE t (id int PRIMARY KEY, branch int, balance int, filler char(84))',
		"INSERT INTO t SELECT g, g % 10, 0, '' FROM generate_series(1, $rows) g");
	for my $round (1 .. $rounds)
	{
		sql($part, "SELECT state FROM upg_apply('$part$round', '$script', NULL, '{}', '{\"undo\": \"required\"}')",
			'UPDATE t SET branch = branch + 100 WHERE id % 100 = 7', 'VACUUM t', 'CHECKPOINT');
		my ($ms, $say, $wait) = roll_back($part, "$part$round");
		push @back, $ms;
		push @said, $say;
		push @waited, $wait;
		sql($part, 'VACUUM t');
	}
	printf "rollback that keeps readers out, %d rows changed %s, 1 %% of them changed since\n", $rows, $how;
	printf "  rollback                       %s ms\n", join ' ', map { sprintf '%8.0f', $_ } @back;
	say_waits(\@said, \@waited);
}

if ($parts{nothing})
{
	my @back;
	fresh_database('nothing', 'CREATE EXTENSION upg', 'CREATE TABLE t (id int PRIMARY KEY, v int)',
		"INSERT INTO t SELECT g, g FROM generate_series(1, $large) g");
	for my $round (1 .. min($rounds, 2))
	{
		sql('nothing', "SELECT state FROM upg_apply('n$round', 'ALTER TABLE t ALTER v TYPE bigint', NULL, '{}', '{\"undo\": \"required\"}')", 'CHECKPOINT');
		push @back, ms_of('nothing', "SELECT state FROM upg_rollback('n$round')");
	}
	printf "rollback with nothing written since, %d rows rewritten (must: 1000 ms): %s ms\n", $large, join ' ', map { sprintf '%.0f', $_ } @back;
}
