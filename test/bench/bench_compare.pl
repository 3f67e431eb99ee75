#!/usr/bin/env perl
# test/bench/bench_compare.pl: a table in two databases that differs in 20 rows, by every
# way to find them: upg compare, pg_comparator, SQL joins, the queries of data-diff.
#
#   BENCH_ROWS (1000000), BENCH_ROUNDS (3), BENCH_ONLY (which of the slow rivals, a regular
#   expression); BENCH_ROWS=5000000 is the case of the bars.
#
# Cost is the CPU time of all processes: clients, and backends as the postmaster
# reaps them, in ticks of 10 ms.  All begin with fresh backends.  FULL JOIN and EXCEPT
# need both tables in one database, so they have a copy there.  Every candidate must
# find what was planted.  data-diff cannot be installed from Debian; its queries and its
# bisection (32 segments, rows fetched below 16384) are done here in its place, without
# its Python.  The exit status is 1 if a bar is not met.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use IO::Select;
use IO::Socket::UNIX;
use IPC::Open2;
use POSIX qw(sysconf _SC_CLK_TCK);
use Time::HiRes qw(sleep time);
use lib dirname(abs_path(__FILE__));
use Bench;

my $here = dirname(abs_path(__FILE__));
my $upg = $ENV{UPG} // abs_path("$here/../../cli/upg");
my $rows = setting('ROWS', 1_000_000);
my $rounds = setting('ROUNDS', 3);
my $dir = start_server(
    'fsync=off', 'shared_buffers=' . ($rows > 2_000_000 ? '4GB' : '1GB'), 'autovacuum=off', 'jit=off',
    'max_wal_size=8GB', 'max_parallel_workers_per_gather=0', 'synchronize_seqscans=off');
my $socket = $ENV{PGHOST};
my %has = map { $_ => 1 } rivals('pg_comparator');
my $postmaster = do { local @ARGV = ("$socket/data/postmaster.pid"); <> };
chomp $postmaster;

# CPU seconds of the backends that have ended.
sub reaped
{
    open(my $fh, '<', "/proc/$postmaster/stat") or die "/proc/$postmaster/stat: $! (the server must run on this machine)\n";
    my @field = split(/ /, (<$fh> =~ /.*\) (.*)/)[0]);
    return ($field[13] + $field[14]) / sysconf(_SC_CLK_TCK);
}

# Processes that the postmaster has; when nobody is connected, its own.
sub children
{
    open(my $fh, '<', "/proc/$postmaster/task/$postmaster/children") or die "children of the postmaster: $!\n";
    return scalar split(' ', <$fh> // '');
}
my $own = do { sleep 1; children() };

sub settle
{
    my $tries = 0;
    sleep 0.02 while children() > $own && $tries++ < 250;
}

# Run something; its wall time, and the CPU time of all that took part in it.
sub cost
{
    my ($run) = @_;
    settle();
    my $before = reaped();
    my @times = times;
    my $begun = time;
    my $found = $run->();
    my $wall = time - $begun;
    my @after = times;
    settle();
    return ($wall, reaped() - $before + ($after[0] + $after[1] + $after[2] + $after[3]) - ($times[0] + $times[1] + $times[2] + $times[3]), $found);
}

sub output_of
{
    my @command = @_;
    open(my $fh, '-|', @command) or die "$command[0]: $!\n";
    my @lines = <$fh>;
    close $fh;
    return @lines;
}

my $pin = 'SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off; SET client_min_messages = warning; ';

sub one_value
{
    my ($database, $query, $settings) = @_;
    my ($value) = output_of('psql', '-XAtqd', $database, '-v', 'ON_ERROR_STOP=1', '-c', ($settings // $pin) . $query);
    chomp $value;
    return $value;
}

# data-diff, as its published queries do it: checksums of segments of the key, divided
# into 32 as long as they differ and have rows enough, then the rows themselves.
package Session
{
    sub new
    {
        my ($class, $database) = @_;
        my $pid = IPC::Open2::open2(my $out, my $in, 'psql', '-XqAtd', $database, '-v', 'ON_ERROR_STOP=1');
        $in->autoflush(1);
        return bless { in => $in, out => $out, pid => $pid }, $class;
    }

    sub ask
    {
        my ($self, $query) = @_;
        print { $self->{in} } "$query;\n\\echo ---done---\n";
        my @lines;
        while (defined(my $line = readline $self->{out}))
        {
            chomp $line;
            return @lines if $line eq '---done---';
            push @lines, $line;
        }
        die "psql ended while running: $query\n";
    }

    sub end
    {
        my ($self) = @_;
        close $self->{in};
        waitpid($self->{pid}, 0);
    }
}

package main;

my $md5_row = "md5(concat(coalesce(aid::decimal(38)::varchar, '<null>'), '|', coalesce(bid::decimal(38)::varchar, '<null>'), '|', coalesce(abalance::decimal(38)::varchar, '<null>'), '|', coalesce(trim(filler)::varchar, '<null>')))";

sub data_diff
{
    my @sides = map { Session->new($_) } 'src', 'dst';
    my @ends = map { [ split(/\|/, ($_->ask('SELECT min(aid), max(aid) FROM n'))[0]) ] } @sides;
    my ($low) = sort { $a <=> $b } map { $_->[0] } @ends;
    my ($high) = sort { $b <=> $a } map { $_->[1] } @ends;
    my %different;
    my $divide = sub {
        my ($from, $to) = @_;
        my $step = ($to - $from) / 32;
        return map { [ int($from + $step * $_), int($from + $step * ($_ + 1)) ] } 0 .. 31;
    };
    my @work = $divide->($low, $high + 1);
    while (my $segment = shift @work)
    {
        my ($from, $to) = @$segment;
        my $where = "aid >= $from AND aid < $to";
        my @sums = map { ($_->ask("SELECT count(*), sum(('x' || substring($md5_row, 18))::bit(60)::bigint) FROM n WHERE $where"))[0] } @sides;
        next if $sums[0] eq $sums[1];
        my ($most) = sort { $b <=> $a } map { (split /\|/)[0] } @sums;
        if ($most < 16384)
        {
            my %row;
            foreach my $side (0, 1)
            {
                $row{$_} += $side ? -1 : 1
                  foreach $sides[$side]->ask("SELECT aid::varchar, bid::varchar, abalance::varchar, trim(filler) FROM n WHERE $where");
            }
            $different{ (split /\|/)[0] } = 1 foreach grep { $row{$_} != 0 } keys %row;
            next;
        }
        push @work, $divide->($from, $to);
    }
    $_->end foreach @sides;
    return scalar keys %different;
}

my $differ = 'n.bid IS DISTINCT FROM o.bid OR n.abalance IS DISTINCT FROM o.abalance OR n.filler IS DISTINCT FROM o.filler';
my %ways = (
    'two checksums' => sub { one_value($_, q{SELECT upg_table_checksum('n', workers => 0)}) foreach 'src', 'dst'; return undef },
    'upg compare' => sub { return scalar grep { /^(changed|missing|extra) / } output_of($upg, 'compare', 'src', 'dst', '--table=n') },
    'upg_compare()' => sub { return one_value('src', q{SELECT count(*) FROM upg_compare('n', 'o', workers => 0)}, '') },
    'FULL JOIN, hash' => sub { return one_value('src', "SELECT count(*) FROM n FULL JOIN o USING (aid) WHERE $differ") },
    'FULL JOIN, merge' => sub { return one_value('src', "SELECT count(*) FROM n FULL JOIN o USING (aid) WHERE $differ", 'SET enable_hashjoin = off; ') },
    'EXCEPT both ways' => sub { return one_value('src', 'SELECT count(DISTINCT aid) FROM ((TABLE n EXCEPT TABLE o) UNION ALL (TABLE o EXCEPT TABLE n)) x') },
    'md5 of string_agg' => sub { one_value($_, 'SELECT md5(string_agg(md5(n::text), NULL ORDER BY aid)) FROM n') foreach 'src', 'dst'; return undef },
    'data-diff, its SQL' => \&data_diff,
);
foreach my $key ('', ' --use-key')
{
    $ways{"pg_comparator$key"} = sub {
        return scalar grep { /^(UPDATE|INSERT|DELETE) / } output_of('pg_comparator', split(' ', $key),
            "pgsql://postgres\@:$ENV{PGPORT}/src/n?aid:bid,abalance,filler", "pgsql://postgres\@:$ENV{PGPORT}/dst/");
    };
}

# Candidates in turns; cost of each round.
sub measure
{
    my ($expected, $times, @names) = @_;
    my %cpu;
    foreach my $round (1 .. $times)
    {
        foreach my $name (@names)
        {
            my ($wall, $cpu, $found) = cost($ways{$name});
            die "$name found $found differences of $expected\n" if defined $found && $found != $expected;
            push @{ $cpu{$name} }, $cpu;
            push @{ $cpu{"$name wall"} }, $wall;
        }
    }
    printf "%-24s %10s %10s\n", defined $expected ? "$expected differences" : '', 'CPU s', 'wall s';
    printf "%-24s %10.2f %10.2f\n", $_, median(@{ $cpu{$_} }), median(@{ $cpu{"$_ wall"} }) foreach @names;
    return \%cpu;
}

my $missed = 0;

sub bar
{
    my ($what, $value, $must, $up) = @_;
    my $ok = $up ? $value >= $must : $value <= $must;
    $missed++ unless $ok;
    printf "%-58s %8.2f  must %s %-6s %s\n", $what, $value, $up ? '>=' : '<=', $must, $ok ? 'met' : 'NOT MET';
}

sub ratio
{
    my ($cpu, $name, $to) = @_;
    return median(map { $cpu->{$name}[$_] / ($cpu->{$to}[$_] || 0.01) } 0 .. $#{ $cpu->{$name} });
}

# Bytes that go through a socket between here and the server, while something runs: a
# process for each connection, or one that waits would hold up the other.
sub bytes_on_the_wire
{
    my ($run) = @_;
    mkdir "$dir/proxy";
    unlink "$dir/proxy/.s.PGSQL.$ENV{PGPORT}";
    my $listen = IO::Socket::UNIX->new(Local => "$dir/proxy/.s.PGSQL.$ENV{PGPORT}", Listen => 8) or die "proxy: $!\n";
    pipe(my $read, my $write);
    my $pid = fork // die "fork: $!\n";
    if (!$pid)
    {
        local $SIG{CHLD} = 'IGNORE';
        local $SIG{TERM} = 'DEFAULT';
        while (1)
        {
            my $client = $listen->accept or next;
            next if fork;
            forward($client, IO::Socket::UNIX->new(Peer => "$socket/.s.PGSQL.$ENV{PGPORT}"), $write);
            POSIX::_exit(0);
        }
    }
    close $write;
    { local $ENV{PGHOST} = "$dir/proxy"; $run->(); }
    kill 'TERM', $pid;
    waitpid($pid, 0);
    my $bytes = 0;
    $bytes += $_ while <$read>;
    return $bytes;
}

# Pass on what comes from either side until one ends; say how much it was.
sub forward
{
    my ($client, $server, $write) = @_;
    my %peer = ($client => $server, $server => $client);
    my $select = IO::Select->new($client, $server);
    my $bytes = 0;
    while (my @ready = $select->can_read)
    {
        foreach my $side (@ready)
        {
            my $got = sysread($side, my $data, 65536);
            if (!$got)
            {
                syswrite($write, "$bytes\n");
                return;
            }
            $bytes += $got;
            for (my $sent = 0; $sent < $got;) { $sent += syswrite($peer{$side}, $data, $got - $sent, $sent) // return; }
        }
    }
}

# Most private memory (kB) that a backend takes more for a query than before it.
sub extra_memory
{
    my ($database, $query) = @_;
    my $session = Session->new($database);
    my ($pid) = $session->ask('SELECT pg_backend_pid()');
    my $anon = sub { open(my $fh, '<', "/proc/$pid/status") or return 0; return (join('', <$fh>) =~ /RssAnon:\s+(\d+)/)[0] };
    $session->ask('SET client_min_messages = warning');
    $session->ask(q{SELECT upg_table_checksum('n', workers => 0)});
    my $before = $anon->();
    my $most = $before;
    print { $session->{in} } "$query;\n\\echo ---done---\n";
    my $select = IO::Select->new($session->{out});
    until ($select->can_read(0.002))
    {
        my $now = $anon->();
        $most = $now if $now > $most;
    }
    1 while readline($session->{out}) ne "---done---\n";
    $session->end;
    return $most - $before;
}

say_host();
print "two copies of $rows rows of pgbench_accounts\n\n";
foreach my $database ('src', 'dst')
{
    fresh_database($database, 'CREATE EXTENSION upg', $has{pg_comparator} ? 'CREATE EXTENSION pgcmp' : (),
        'CREATE TABLE n (aid integer NOT NULL, bid integer, abalance integer, filler char(84))',
        "INSERT INTO n SELECT g, 1, 0, '' FROM generate_series(1, $rows) g", 'ALTER TABLE n ADD PRIMARY KEY (aid)', 'CHECKPOINT');
}
my @plant = (
    "UPDATE n SET abalance = 1 WHERE aid IN (SELECT (i * 0.1 * $rows)::integer FROM generate_series(1, 8) i)",
    "DELETE FROM n WHERE aid IN (SELECT (i * 0.07 * $rows)::integer + 1 FROM generate_series(1, 6) i)",
    "INSERT INTO n SELECT -i, 1, 0, '' FROM generate_series(1, 6) i");
sql('dst', @plant, 'VACUUM (FREEZE, ANALYZE) n');
sql('src', 'CREATE TABLE o (LIKE n INCLUDING ALL)', 'INSERT INTO o SELECT * FROM n', (map { s/\bn SET/o SET/r =~ s/FROM n WHERE/FROM o WHERE/r =~ s/INTO n/INTO o/r } @plant),
    'VACUUM (FREEZE, ANALYZE) n', 'VACUUM (FREEZE, ANALYZE) o', 'CHECKPOINT');

my @quick = ('two checksums', 'upg compare', 'upg_compare()', 'FULL JOIN, hash', 'FULL JOIN, merge');
my $only = setting('ONLY', '.');
my @slow = grep { /$only/ } ('EXCEPT both ways', 'data-diff, its SQL', $has{pg_comparator} ? ('pg_comparator', 'pg_comparator --use-key') : ());
my $cpu = measure(20, $rounds, @quick, @slow);
{
    my $md5 = measure(undef, 1, 'md5 of string_agg');
    printf "two checksums: %.1f times less than md5 of string_agg on both sides\n", $md5->{'md5 of string_agg'}[0] / median(@{ $cpu->{'two checksums'} });
}
print "\n";
if ($cpu->{pg_comparator})
{
    bar('20 differences: less than pg_comparator', ratio($cpu, 'pg_comparator', 'upg compare'), 24, 1);
    bar('20 differences: less than pg_comparator --use-key', ratio($cpu, 'pg_comparator --use-key', 'upg compare'), 17, 1);
}
bar('20 differences: less than data-diff, its SQL alone', ratio($cpu, 'data-diff, its SQL', 'upg compare'), 35, 1)
  if $cpu->{'data-diff, its SQL'};
bar('20 differences: less than FULL JOIN, hash', ratio($cpu, 'FULL JOIN, hash', 'upg compare'), 9, 1);
printf "%-58s %8.2f  (where both tables lie in the order of the key)\n", 'the same, FULL JOIN, merge', ratio($cpu, 'FULL JOIN, merge', 'upg compare');
bar('20 differences: less than EXCEPT both ways', ratio($cpu, 'EXCEPT both ways', 'upg compare'), 19, 1)
  if $cpu->{'EXCEPT both ways'};
printf "%-58s %8.2f  (warm backends: bench_checksum.pl)\n", 'upg_compare(), one fresh backend, less than FULL JOIN, hash', ratio($cpu, 'FULL JOIN, hash', 'upg_compare()');
bar('20 differences: upg compare / two checksums, CPU', ratio($cpu, 'upg compare', 'two checksums'), 1.3);
print "\n";

# 1000 differing rows: memory and bytes
my $fixed = bytes_on_the_wire(sub { $ways{'upg compare'}->() });
sql('dst', "UPDATE n SET abalance = 3 WHERE aid > 1000 AND aid <= 1980 AND aid % 10 <> 1", 'VACUUM (FREEZE, ANALYZE) n');
my $expected = one_value('src', "SELECT 20 + count(*) FROM generate_series(1001, 1980) i WHERE i % 10 <> 1");
my $bytes = bytes_on_the_wire(sub { my $found = $ways{'upg compare'}->(); die "found $found of $expected\n" if $found != $expected });
bar('20 differences: MB on the wire, both connections', $fixed / 1048576, 1);
bar("$expected differences: MB on the wire, their rows included", $bytes / 1048576, 1);
printf "%-58s %8.0f\n", 'bytes on the wire for each more, both rows included', ($bytes - $fixed) / ($expected - 20);
sql('src', "UPDATE o SET abalance = 3 WHERE aid > 1000 AND aid <= 1980 AND aid % 10 <> 1", 'VACUUM (FREEZE, ANALYZE) o');
bar("$expected differences: MB of memory, making a sketch", extra_memory('src', q{SELECT length(upg_table_sketch('n', key => '{aid}', workers => 0))}) / 1024, 1);
printf "%-58s %8.2f  (rows shown included)\n", "$expected differences: MB of memory, upg_compare()", extra_memory('src', q{SELECT count(*) FROM upg_compare('n', 'o', workers => 0)}) / 1024;

# 1 in 250: many
my $many = int($rows / 250);
sql($_->[0], "UPDATE $_->[1] SET abalance = 2 WHERE aid > 10000 AND aid <= 10000 + $many", "VACUUM (FREEZE, ANALYZE) $_->[1]") foreach [ 'dst', 'n' ], [ 'src', 'o' ];
$expected = one_value('src', "SELECT count(*) FROM n FULL JOIN o USING (aid) WHERE $differ");
print "\n";
$cpu = measure($expected, $rounds, @quick);
print "\n";
bar("$expected differences: upg compare less than FULL JOIN, hash", ratio($cpu, 'FULL JOIN, hash', 'upg compare'), 4, 1);
bar("$expected differences: upg_compare() less than FULL JOIN, hash", ratio($cpu, 'FULL JOIN, hash', 'upg_compare()'), 4, 1);
printf "%-58s %8.2f\n", 'the same, FULL JOIN, merge', ratio($cpu, 'FULL JOIN, merge', 'upg_compare()');
printf "# %d bars not met\n", $missed;
exit($missed ? 1 : 0);
