# test/bench/Bench.pm: what the benchmarks share.
#
# A benchmark measures its candidates interleaved, in one run, on one private
# server with stock settings (fsync on), and compares each with the floor of the
# same round: ratios survive a noisy machine, seconds do not.  The order changes
# from round to round, and a checkpoint precedes every measurement that writes.
package Bench;
use strict;
use warnings;
use Cwd qw(abs_path);
use Exporter 'import';
use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use List::Util qw(min);
use Time::HiRes qw(time);

our @EXPORT = qw(start_server setting command_of rivals fresh_database sql timed peak_kb median
  interleave print_ratios say_host);

my $top = abs_path(dirname(__FILE__) . '/../..');
my ($server, $owner);
$| = 1;

# A number from the environment, or its default.
sub setting
{
    my ($name, $default) = @_;
    return $ENV{"BENCH_$name"} // $default;
}

# Start the server of this run, with settings (NAME=VALUE) if any are given; PGHOST
# and friends lead to it.  Returns a directory for files that goes away with it.
sub start_server
{
    my @settings = @_;
    $server = tempdir('/tmp/upg-bench.XXXXXX');
    $owner = $$;
    system("$top/scripts/server.sh", 'start', $server, @settings) == 0 or die "the server did not start\n";
    foreach (qx("$top/scripts/server.sh" env "$server"))
    {
        while (/(PG\w+)='?([^' ]+)'?/g) { $ENV{$1} = $2 unless $1 eq 'PATH'; }
    }
    chomp(my $bindir = qx(\${PG_CONFIG:-pg_config} --bindir));
    # Not Debian's wrapper, which takes four times as long as psql itself.
    # And dbmate itself, not the script by which npm starts it.
    my ($dbmate) = glob("$top/build/tools/node_modules/\@dbmate/*/bin");
    $ENV{PATH} = join(':', $bindir, $ENV{PATH}, $dbmate // ());
    $ENV{LC_ALL} = 'C.UTF-8';
    delete @ENV{qw(PGDATABASE PGSERVICE PGOPTIONS DATABASE_URL)};
    mkdir "$server/files" or die "$server/files: $!\n";
    return "$server/files";
}

END
{
    my $status = $?;
    system("$top/scripts/server.sh", 'destroy', $server)
      if defined $server && defined $owner && $owner == $$;
    $? = $status;
}
$SIG{INT} = $SIG{TERM} = sub { exit 130 };

sub command_of
{
    my ($name) = @_;
    foreach my $dir (split(/:/, $ENV{PATH})) { return "$dir/$name" if -x "$dir/$name"; }
    return undef;
}

# The rivals that are installed; what is missing is said, not passed over.
sub rivals
{
    my @found;
    foreach my $name (@_)
    {
        if (command_of($name)) { push @found, $name; }
        else { print "$name is not installed, so it is not measured (make deps SETS=bench)\n"; }
    }
    return @found;
}

sub say_host
{
    my $version = qx(psql -XAtd postgres -c 'show server_version');
    chomp $version;
    open(my $fh, '<', '/proc/cpuinfo');
    my $cpus = $fh ? grep { /^processor/ } <$fh> : '?';
    print "PostgreSQL $version, $cpus CPUs, fsync on, Unix socket; * = median (least)\n\n";
}

sub sql
{
    my ($database, @commands) = @_;
    my @args = map { ('-c', $_) } 'SET client_min_messages = warning', @commands;
    system('psql', '-XAtqd', $database, '-v', 'ON_ERROR_STOP=1', @args) == 0
      or die "psql failed: @commands\n";
}

sub fresh_database
{
    my ($name, @commands) = @_;
    sql('postgres', "DROP DATABASE IF EXISTS $name", "CREATE DATABASE $name TEMPLATE template0");
    sql($name, @commands) if @commands;
    return $name;
}

# Run a command with its output in a file; die with that output if it fails.
# Returns the wall time and the processor time of the client, in seconds.
sub timed
{
    my ($command, %env) = @_;
    my @before = times;
    my $begun = time;
    my $pid = fork // die "fork: $!\n";
    if (!$pid)
    {
        $ENV{$_} = $env{$_} foreach grep { $_ ne 'dir' } keys %env;
        chdir $env{dir} or die "$env{dir}: $!\n" if $env{dir};
        open(STDIN, '<', '/dev/null');
        open(STDOUT, '>', "$server/output");
        open(STDERR, '>&', \*STDOUT);
        exec @$command or die "exec $command->[0]: $!\n";
    }
    waitpid($pid, 0);
    my $wall = time - $begun;
    my @after = times;
    if ($?)
    {
        system('tail', '-n', '20', "$server/output");
        die "failed: @$command\n";
    }
    return ($wall, $after[2] + $after[3] - $before[2] - $before[3]);
}

# Peak resident memory of a command, in kB; the largest of its processes.
sub peak_kb
{
    my ($command, %env) = @_;
    my $time = command_of('time') // return undef;
    timed([ $time, '-f', '%M', '-o', "$server/peak", @$command ], %env);
    open(my $fh, '<', "$server/peak") or die "$server/peak: $!\n";
    chomp(my $peak = <$fh>);
    return $peak;
}

sub median
{
    my @sorted = sort { $a <=> $b } @_;
    return undef unless @sorted;
    return @sorted % 2 ? $sorted[ $#sorted / 2 ] : ($sorted[ @sorted / 2 - 1 ] + $sorted[ @sorted / 2 ]) / 2;
}

# interleave(rounds, [name, sub, every], ...): run each candidate once a round
# ("every" = only each so many rounds), in an order that moves on.  A candidate
# returns (wall, cpu).  Returns { name => [ [wall, cpu] or undef, ... ] }.
sub interleave
{
    my ($rounds, @candidates) = @_;
    my %results;
    foreach my $round (0 .. $rounds - 1)
    {
        foreach my $k (0 .. $#candidates)
        {
            my ($name, $run, $every) = @{ $candidates[ ($k + $round) % @candidates ] };
            next if $round % ($every // 1);
            $results{$name}[$round] = [ $run->() ];
        }
    }
    return \%results;
}

# One line a candidate: wall, ratio to the floor of the same round, CPU.
sub print_ratios
{
    my ($results, $floor, $unit, @order) = @_;
    my $scale = $unit eq 'ms' ? 1000 : 1;
    my $width = 34;
    printf "%-${width}s %16s %16s %12s %7s\n", '', "wall $unit *", 'x floor *', "CPU $unit", 'rounds';
    my %medians;
    foreach my $name (@order)
    {
        my $rows = $results->{$name} or next;
        my (@wall, @cpu, @ratio);
        foreach my $round (0 .. $#$rows)
        {
            my $row = $rows->[$round] or next;
            push @wall, $row->[0] * $scale;
            push @cpu, $row->[1] * $scale;
            my $base = $results->{$floor}[$round];
            push @ratio, $row->[0] / $base->[0] if $base;
        }
        $medians{$name} = median(@ratio);
        printf "%-${width}s %8.*f (%5.*f) %8.2f (%5.2f) %12.*f %7d\n", $name,
          $scale == 1 ? 2 : 1, median(@wall), $scale == 1 ? 2 : 1, min(@wall),
          median(@ratio), min(@ratio), $scale == 1 ? 2 : 1, median(@cpu), scalar @wall;
    }
    print "\n";
    return \%medians;
}

1;
