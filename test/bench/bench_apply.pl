#!/usr/bin/env perl
# test/bench/bench_apply.pl: 500 small migrations, a transaction each.
#
# The floor is one psql process that runs the same files, each between BEGIN and
# COMMIT.  The extension is created before the clock runs, as the rivals' programs
# are installed before it does; the rivals make their own tables inside.
# BENCH_N and BENCH_ROUNDS change size and rounds.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use lib dirname(abs_path(__FILE__));
use Bench;

my $here = dirname(abs_path(__FILE__));
my $upg = $ENV{UPG} // abs_path("$here/../../cli/upg");
my $n = setting('N', 500);
my $rounds = setting('ROUNDS', 6);
my $dir = start_server();
system("$here/generate.pl", $n, $dir) == 0 or exit 1;
my %has = map { $_ => 1 } rivals('dbmate', 'sqitch');
my $socket = $ENV{PGHOST};

my %commands = (
    psql => [ 'psql', '-XAtqd', 'bench', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/floor.sql" ],
    'upg up --undo=none' => [ $upg, 'up', '-d', 'bench', '--undo=none', "$dir/golang" ],
    'upg up' => [ $upg, 'up', '-d', 'bench', "$dir/golang" ],
    'dbmate up' => [
        'dbmate', '--url', "postgres://postgres\@:$ENV{PGPORT}/bench?host=$socket&sslmode=disable",
        '--migrations-dir', "$dir/dbmate", '--no-dump-schema', 'up'
    ],
    'sqitch deploy' => [ 'sqitch', 'deploy', '--no-verify', "db:pg://postgres\@/bench?host=$socket" ],
);
my %setup = map { $_ => ['CREATE EXTENSION upg'] } 'upg up --undo=none', 'upg up';
my %env = ('sqitch deploy' => { dir => "$dir/sqitch" });

sub candidate
{
    my ($name) = @_;
    return sub {
        fresh_database('bench', @{ $setup{$name} // [] }, 'CHECKPOINT');
        return timed($commands{$name}, %{ $env{$name} // {} });
    };
}

say_host();
my @names = ('psql', 'upg up --undo=none', 'upg up');
push @names, 'dbmate up' if $has{dbmate};
push @names, 'sqitch deploy' if $has{sqitch};
my $results = interleave($rounds, map { [ $_, candidate($_), $_ eq 'sqitch deploy' ? 4 : 1 ] } @names);
print "$n small migrations, a transaction each; floor: one psql process\n";
my $ratios = print_ratios($results, 'psql', 's', @names);

print "peak memory, MB\n";
foreach my $name (@names)
{
    fresh_database('bench', @{ $setup{$name} // [] });
    my $peak = peak_kb($commands{$name}, %{ $env{$name} // {} });
    printf "%-34s %8.1f\n", $name, $peak / 1024 if defined $peak;
}
print "\n";
