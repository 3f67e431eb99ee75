#!/usr/bin/env perl
# test/bench/bench_idle.pl: a run with nothing to do, and status.
#
# With 500 and with 10,000 migrations applied, against the real psql binary's
# "select 1": what a tool costs when it is called at each start of a program.
# BENCH_SIZES and BENCH_ROUNDS change sizes and rounds.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use lib dirname(abs_path(__FILE__));
use Bench;

my $here = dirname(abs_path(__FILE__));
my $upg = $ENV{UPG} // abs_path("$here/../../cli/upg");
my $rounds = setting('ROUNDS', 20);
my $dir = start_server();
my %has = map { $_ => 1 } rivals('dbmate', 'sqitch');
my $socket = $ENV{PGHOST};

sub dbmate
{
    my ($size, @args) = @_;
    return [
        'dbmate', '--url', "postgres://postgres\@:$ENV{PGPORT}/dbmate_$size?host=$socket&sslmode=disable",
        '--migrations-dir', "$dir/$size/dbmate", '--no-dump-schema', @args
    ];
}

say_host();
foreach my $size (split(/[ ,]+/, setting('SIZES', '500,10000')))
{
    mkdir "$dir/$size";
    system("$here/generate.pl", $size, "$dir/$size") == 0 or exit 1;
    my $files = "$dir/$size/golang";
    # Filling is not what is measured here.
    my @fast = (PGOPTIONS => '-c synchronous_commit=off');
    fresh_database("upg_$size", 'CREATE EXTENSION upg');
    timed([ $upg, 'up', '-d', "upg_$size", $files ], @fast);
    my @candidates = (
        [ 'psql select 1', [ 'psql', '-XAtqd', "upg_$size", '-c', 'select 1' ] ],
        [ 'upg up, nothing to do', [ $upg, 'up', '-d', "upg_$size", $files ] ],
        [ 'upg status', [ $upg, 'status', '-d', "upg_$size", $files ] ],
    );
    if ($has{dbmate})
    {
        fresh_database("dbmate_$size");
        timed(dbmate($size, 'up'), @fast);
        push @candidates, [ 'dbmate up, nothing to do', dbmate($size, 'up') ],
          [ 'dbmate status', dbmate($size, 'status') ];
    }
    # Sqitch needs minutes to deploy 10,000.
    if ($has{sqitch} && $size <= 500)
    {
        fresh_database("sqitch_$size");
        my $target = "db:pg://postgres\@/sqitch_$size?host=$socket";
        my %env = (dir => "$dir/$size/sqitch");
        timed([ 'sqitch', 'deploy', '--no-verify', $target ], @fast, %env);
        push @candidates, [ 'sqitch deploy, nothing to do', [ 'sqitch', 'deploy', $target ], \%env, 5 ],
          [ 'sqitch status', [ 'sqitch', 'status', $target ], \%env, 5 ];
    }
    my $results = interleave($rounds,
        map { my $c = $_; [ $c->[0], sub { timed($c->[1], %{ $c->[2] // {} }) }, $c->[3] ] } @candidates);
    print "$size applied; floor: psql -c 'select 1'\n";
    print_ratios($results, 'psql select 1', 'ms', map { $_->[0] } @candidates);
    print "peak memory, MB\n";
    foreach my $c (@candidates)
    {
        my $peak = peak_kb($c->[1], %{ $c->[2] // {} });
        printf "%-34s %8.1f\n", $c->[0], $peak / 1024 if defined $peak;
    }
    print "\n";
}
