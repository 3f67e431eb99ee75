#!/usr/bin/env perl
# test/bench/bench_merge.pl: what a rollback costs after the application went on writing.
#
# merge    a migration changed BENCH_ROWS rows and the application one in a hundred of
#          them since; beside the bare UPDATE that sets the same values, in turns
# nothing  a migration rewrote BENCH_LARGE rows, and nobody has written since
#
# While it merges, another session reads: the longest wait is shown beside what the
# preview said.
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
my %parts  = map { $_ => 1 } split /[ ,]+/, setting('PARTS', 'merge,nothing');
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
		push @said, number('merging', "SELECT p->>'estimated_ms' FROM upg_rollback_preview('m$round') p");
		my $bare = sub { push @bare, ms_of('merging', 'UPDATE bare SET balance = balance - 1') };
		my $back = sub {
			my ($pid, $fh) = reader('merging');
			sleep 0.5;
			push @merged, ms_of('merging', "SELECT state FROM upg_rollback('m$round')");
			sleep 0.2;
			kill TERM => $pid;
			push @waited, (split ' ', <$fh>)[0];
			waitpid $pid, 0;
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
	printf "  the preview said               %10s ms\n", join ' ', @said;
	printf "  a reader waited at most        %10s ms\n\n", join ' ', map { sprintf '%.0f', $_ } @waited;
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
