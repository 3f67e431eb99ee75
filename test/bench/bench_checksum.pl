#!/usr/bin/perl
# test/bench/bench_checksum.pl: what checksums and compare cost, as ratios within one run.
#
#   test/bench/bench_checksum.pl [--narrow ROWS] [--wide ROWS] [--toast ROWS] [--repeats N]
#                                [--full] [--keep] [--only REGEX]
#
# Starts a private server, or, with PGHOST set, uses that one, which must run on this machine.
# Cost is the CPU time of a warm backend, read from /proc/PID/schedstat, so other work on
# the machine does not count; only the parallel speed-up is wall time.  Queries are taken in
# turns and the median of the ratios of each round is shown.  Plans are pinned, tables frozen.
# --full takes 5 million narrow and 2 million wide rows; the default takes minutes.
# The exit status is 1 if a bar is not met.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use File::Temp qw(tempdir);
use Getopt::Long;
use IPC::Open2;
use Time::HiRes qw(time);

my $top = abs_path(dirname(__FILE__) . '/../..');
my $server;

my %opt = (narrow => 1_000_000, wide => 400_000, toast => 4_000, repeats => 7);
GetOptions(\%opt, 'narrow=i', 'wide=i', 'toast=i', 'repeats=i', 'full', 'keep', 'only=s')
  or die "usage: bench_checksum.pl [--narrow N] [--wide N] [--toast N] [--repeats N] [--full] [--keep] [--only REGEX]\n";
@opt{qw(narrow wide toast)} = (5_000_000, 2_000_000, 20_000) if $opt{full};

if (!$ENV{PGHOST})
{
    $server = tempdir('/tmp/upg-bench.XXXXXX');
    my $buffers = $opt{full} ? '4GB' : '1GB';
    system("$top/scripts/server.sh", 'start', $server, 'fsync=off', "shared_buffers=$buffers", 'autovacuum=off', 'jit=off', 'max_wal_size=8GB') == 0
      or die "the server did not start\n";
    foreach (qx("$top/scripts/server.sh" env "$server")) {
        while (/(PG\w+)='?([^' ]+)'?/g) { $ENV{$1} = $2 }
    }
    chomp(my $bindir = qx(\${PG_CONFIG:-pg_config} --bindir));
    $ENV{PATH} = "$bindir:$ENV{PATH}";
    $ENV{PGDATABASE} = 'postgres';
}

END {
    my $status = $?;
    system("$top/scripts/server.sh", 'destroy', $server) if defined $server;
    $? = $status;
}
$SIG{INT} = $SIG{TERM} = sub { exit 130 };

# One psql, kept open, and the process that serves it.
sub session {
    my $pid = open2(my $out, my $in, 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1') or die "psql: $!";
    $in->autoflush(1);
    my $self = { in => $in, out => $out, pid => $pid };
    $self->{backend} = run($self, 'SELECT pg_backend_pid()');
    run($self, "SET max_parallel_workers_per_gather = 0; SET jit = off; SET enable_indexonlyscan = off;
        SET enable_indexscan = off; SET enable_bitmapscan = off; SET client_min_messages = warning;
        SET synchronize_seqscans = off");
    return $self;
}

sub run {
    my ($s, $sql) = @_;
    print { $s->{in} } "$sql;\n\\echo ---done---\n";
    my @lines;
    while (defined(my $line = readline $s->{out})) {
        chomp $line;
        return join "\n", @lines if $line eq '---done---';
        push @lines, $line;
    }
    die "psql ended while running: $sql\n";
}

# CPU time of a process so far, in seconds.
sub cpu {
    my ($pid) = @_;
    open my $f, '<', "/proc/$pid/schedstat" or die "/proc/$pid/schedstat: $! (the server must run on this machine)\n";
    my ($ns) = split ' ', <$f>;
    return $ns / 1e9;
}

sub median {
    my @v = sort { $a <=> $b } @_;
    return $v[@v / 2];
}

my $s = session();
my (%cost, %wall, %rounds);

# Measure named queries in turns.
sub measure {
    my (%queries) = @_;
    my @names = sort keys %queries;
    my (%c, %w);
    for my $name (@names) { run($s, $queries{$name}) }
    for (1 .. $opt{repeats}) {
        for my $name (@names) {
            my ($c0, $w0) = (cpu($s->{backend}), time);
            run($s, $queries{$name});
            push @{ $c{$name} }, cpu($s->{backend}) - $c0;
            push @{ $w{$name} }, time - $w0;
        }
    }
    for my $name (@names) { $cost{$name} = median(@{ $c{$name} }); $wall{$name} = median(@{ $w{$name} }); $rounds{$name} = $c{$name} }
}

# How many times as much one query costs as another: the median over the rounds if they
# were measured in turns, so that what disturbs the machine disturbs both.
sub ratio {
    my ($a, $b) = @_;
    return $cost{$a} / $cost{$b} if @{ $rounds{$a} } != @{ $rounds{$b} };
    return median(map { $rounds{$a}[$_] / $rounds{$b}[$_] } 0 .. $#{ $rounds{$a} });
}

my @report;

# One bar: value, what it must be, what it might be; "up" if more is better.
sub bar {
    my ($id, $what, $value, $must, $moonshot, $up) = @_;
    my $ok = $up ? $value >= $must : $value <= $must;
    push @report, [ $id, $what, $value, $must, $moonshot, $ok ? 'met' : 'NOT MET' ];
    printf "%-4s %-58s %8.2f  must %s %-6s moonshot %-6s %s\n", $id, $what, $value, $up ? '>=' : '<=', $must, $moonshot, $ok ? 'met' : 'NOT MET';
}

# The aggregate over whole rows: the executor forms each row before it is called, so
# count() of the whole row, which hashes nothing, shows how fast it could be at most.
sub record_form {
    my ($t, $must) = @_;
    my $name = $t eq 'n' ? 'narrow' : 'wide';
    bar('B8', "$name: record aggregate faster than hash_record", ratio("$t hash_record", "$t record"), $must, 3, 1);
    printf "     %-58s %8.2f\n", "$name: count(whole row) faster than hash_record", ratio("$t hash_record", "$t whole");
}

sub wanted { return !defined $opt{only} || $_[0] =~ /$opt{only}/ }

$| = 1;
printf "# narrow %d rows, wide %d, toast %d, %d repeats; %s\n", @opt{qw(narrow wide toast repeats)}, run($s, "SELECT split_part(version(), ' on ', 1)");
run($s, 'CREATE EXTENSION IF NOT EXISTS upg; DROP SCHEMA IF EXISTS upg_bench CASCADE; CREATE SCHEMA upg_bench; SET search_path = upg_bench, public');

if (wanted('narrow')) {
    run($s, "CREATE TABLE n (aid integer NOT NULL, bid integer, abalance integer, filler char(84)) WITH (fillfactor = 100);
        INSERT INTO n SELECT g, 1, 0, '' FROM generate_series(1, $opt{narrow}) g; ALTER TABLE n ADD PRIMARY KEY (aid); CHECKPOINT");
    run($s, 'VACUUM (FREEZE, ANALYZE) n');
    my $agg = "upg_checksum_agg(ARRAY['aid','bid','abalance','filler'], aid, bid, abalance, filler)";
    measure(
        'n count' => 'SELECT count(*) FROM n', 'n upg' => q{SELECT upg_table_checksum('n', workers => 0)},
        'n agg' => "SELECT $agg FROM n", 'n record' => 'SELECT upg_checksum_agg(n) FROM n', 'n whole' => 'SELECT count(n) FROM n',
        'n hash_record' => 'SELECT sum(hash_record_extended(n, 0)) FROM n', 'n hashtext' => 'SELECT sum(hashtextextended(n::text, 0)) FROM n',
        'n sketch' => q{SELECT length(upg_table_sketch('n', key => '{aid}', workers => 0))});
    measure('n md5' => 'SELECT md5(string_agg(md5(n::text), NULL ORDER BY aid)) FROM n');
    bar('B1', 'narrow: checksum / count(*)', ratio('n upg', 'n count'), 1.20, 0.95);
    bar('B3', 'narrow: faster than sum(hash_record_extended)', ratio('n hash_record', 'n upg'), 5, 7, 1);
    bar('B4', 'narrow: faster than hashtext(t::text)', ratio('n hashtext', 'n upg'), 8, 11, 1);
    bar('B5', 'narrow: faster than md5 of string_agg', ratio('n md5', 'n upg'), 32, 43, 1);
    bar('B8', 'narrow: column aggregate faster than hash_record', ratio('n hash_record', 'n agg'), 1.9, 3, 1);
    record_form('n', 1.9);
    bar('B9', 'narrow: sketch / plain checksum', ratio('n sketch', 'n upg'), 1.25, 1.10);
    printf "     ns/row: count %.0f, upg %.0f, sketch %.0f, agg %.0f, record %.0f, hash_record %.0f\n",
      map { $cost{"n $_"} / $opt{narrow} * 1e9 } qw(count upg sketch agg record hash_record);
}

if (wanted('wide')) {
    run($s, "CREATE TABLE w (id bigint NOT NULL, grp integer, amount numeric(12,2), created timestamptz, flag boolean, code varchar(20), who uuid, score float8, day date,
        title text, body text, last integer);
        INSERT INTO w SELECT g, g % 1000, g * 1.37, '2020-01-01'::timestamptz + g * interval '1 min', g % 2 = 0, 'code-' || g % 997, md5(g::text)::uuid, g / 7.0, '2020-01-01'::date + g % 3000,
        'title of row number ' || g, substr(repeat(md5(g::text), 12), 1, 330 + g % 50), g FROM generate_series(1, $opt{wide}) g; CHECKPOINT");
    run($s, 'VACUUM (FREEZE, ANALYZE) w');
    my $cols = 'id, grp, amount, created, flag, code, who, score, day, title, body, last';
    (my $names = $cols) =~ s/(\w+)/'$1'/g;
    measure(
        'w count' => 'SELECT count(*) FROM w', 'w last' => 'SELECT count(last) FROM w', 'w upg' => q{SELECT upg_table_checksum('w', workers => 0)},
        'w agg' => "SELECT upg_checksum_agg(ARRAY[$names], $cols) FROM w", 'w record' => 'SELECT upg_checksum_agg(w) FROM w', 'w whole' => 'SELECT count(w) FROM w',
        'w hash_record' => 'SELECT sum(hash_record_extended(w, 0)) FROM w', 'w hashtext' => 'SELECT sum(hashtextextended(w::text, 0)) FROM w',
        'w sketch' => q{SELECT length(upg_table_sketch('w', key => '{id}', workers => 0))});
    measure('w md5' => 'SELECT md5(string_agg(md5(w::text), NULL ORDER BY id)) FROM w');
    bar('B2', 'wide: checksum / count(last column)', ratio('w upg', 'w last'), 0.75, 0.52);
    bar('B2', 'wide: checksum / count(*)', ratio('w upg', 'w count'), 3.2, 2.2);
    bar('B3', 'wide: faster than sum(hash_record_extended)', ratio('w hash_record', 'w upg'), 5.5, 8.5, 1);
    bar('B4', 'wide: faster than hashtext(t::text)', ratio('w hashtext', 'w upg'), 13, 18, 1);
    bar('B5', 'wide: faster than md5 of string_agg', ratio('w md5', 'w upg'), 20, 28, 1);
    bar('B8', 'wide: column aggregate faster than hash_record', ratio('w hash_record', 'w agg'), 1.8, 3, 1);
    record_form('w', 1.8);
    bar('B9', 'wide: sketch / plain checksum', ratio('w sketch', 'w upg'), 1.25, 1.10);
    printf "     ns/row: count %.0f, count(last) %.0f, upg %.0f, sketch %.0f, agg %.0f, record %.0f, hash_record %.0f\n",
      map { $cost{"w $_"} / $opt{wide} * 1e9 } qw(count last upg sketch agg record hash_record);
}

if (wanted('toast')) {
    run($s, "CREATE TABLE c (id integer, v text); ALTER TABLE c ALTER v SET STORAGE EXTERNAL;
        INSERT INTO c SELECT g, substr(string_agg(md5(g::text || i), ''), 1, 20000) FROM generate_series(1, $opt{toast}) g, generate_series(1, 625) i GROUP BY g;
        CREATE TABLE z (id integer, v text); INSERT INTO z SELECT g, repeat(md5(g::text), 625) FROM generate_series(1, $opt{toast} * 5) g; CHECKPOINT");
    run($s, "VACUUM (FREEZE, ANALYZE) $_") for 'c', 'z';
    measure(
        'c detoast' => 'SELECT sum(pg_column_size(v || NULL::text)), sum(length(v)) FROM c', 'c upg' => q{SELECT upg_table_checksum('c', workers => 0)},
        'c size' => 'SELECT sum(hashtext(left(v, 0))), sum(octet_length(substr(v, 1, 20000))) FROM c',
        'c row' => 'SELECT sum(pg_column_size(c.*)) FROM c', 'c md5' => 'SELECT md5(string_agg(md5(c::text), NULL ORDER BY id)) FROM c',
        'z upg' => q{SELECT upg_table_checksum('z', workers => 0)}, 'z hash_record' => 'SELECT sum(hash_record_extended(z, 0)) FROM z',
        'z copy' => q{COPY z TO '/dev/null' (FORMAT binary)});
    bar('B6', 'toast: checksum / forced detoast of the row', ratio('c upg', 'c row'), 1.05, 0.50);
    bar('B6', 'toast: faster than md5 of string_agg', ratio('c md5', 'c upg'), 9, 20, 1);
    bar('B7', 'compressed: checksum / COPY binary', ratio('z upg', 'z copy'), 0.85, 0.65);
    bar('B7', 'compressed: faster than hash_record', ratio('z hash_record', 'z upg'), 3.5, 4.6, 1);
    printf "     us/row: toast upg %.2f, detoast %.2f; compressed upg %.2f, copy %.2f\n", $cost{'c upg'} / $opt{toast} * 1e6, $cost{'c row'} / $opt{toast} * 1e6,
      $cost{'z upg'} / $opt{toast} / 5 * 1e6, $cost{'z copy'} / $opt{toast} / 5 * 1e6;
}

if (wanted('parallel') && wanted('narrow')) {
    measure(map { ("p $_" => "SELECT upg_table_checksum('n', workers => $_)") } 0, 1, 2);
    bar('B14', 'narrow: wall, no worker / 2 workers', $wall{'p 0'} / $wall{'p 2'}, 1.35, 1.5, 1);
}

if (wanted('compare') && wanted('narrow')) {
    run($s, "CREATE TABLE n2 (LIKE n INCLUDING ALL); INSERT INTO n2 SELECT * FROM n; CHECKPOINT");
    run($s, "UPDATE n2 SET abalance = 1 WHERE aid IN (SELECT (i * 0.1 * $opt{narrow})::integer FROM generate_series(1, 8) i);
        DELETE FROM n2 WHERE aid IN (SELECT (i * 0.07 * $opt{narrow})::integer + 1 FROM generate_series(1, 6) i); INSERT INTO n2 SELECT -i, 1, 0, '' FROM generate_series(1, 6) i");
    run($s, "VACUUM (FREEZE, ANALYZE) n2");
    my $found = run($s, "SELECT count(*) FROM upg_compare('n', 'n2', workers => 0)");
    print "     differences found: $found of 20\n";
    run($s, 'SET enable_indexscan = on; SET enable_bitmapscan = on');
    measure(
        'd compare' => q{SELECT count(*) FROM upg_compare('n', 'n2', workers => 0)},
        'd sums' => q{SELECT upg_table_checksum('n', workers => 0) = upg_table_checksum('n2', workers => 0)});
    {
        # a hash join; where both tables lie in the order of an index, a merge join is cheaper
        run($s, 'SET enable_indexscan = off; SET enable_bitmapscan = off');
        local $opt{repeats} = 3;
        measure(
            'd join' => 'SELECT count(*) FROM n FULL JOIN n2 USING (aid) WHERE n.bid IS DISTINCT FROM n2.bid OR n.abalance IS DISTINCT FROM n2.abalance OR n.filler IS DISTINCT FROM n2.filler',
            'd except' => 'SELECT count(*) FROM ((TABLE n EXCEPT TABLE n2) UNION ALL (TABLE n2 EXCEPT TABLE n)) x');
    }
    run($s, 'SET enable_indexscan = on; SET enable_bitmapscan = on');
    bar('B11', 'compare, 20 differences: faster than FULL JOIN', ratio('d join', 'd compare'), 9, 13, 1);
    bar('B11', 'compare, 20 differences: faster than EXCEPT both ways', ratio('d except', 'd compare'), 19, 30, 1);
    bar('B12', 'compare / the two plain checksums', ratio('d compare', 'd sums'), 1.3, 1.10);
    my $many = int($opt{narrow} / 250);
    run($s, "UPDATE n2 SET abalance = 2 WHERE aid > 100 AND aid <= 100 + $many; VACUUM (FREEZE, ANALYZE) n2");
    $found = run($s, "SELECT count(*) FROM upg_compare('n', 'n2', workers => 0)");
    measure('m compare' => q{SELECT count(*) FROM upg_compare('n', 'n2', workers => 0)});
    bar('3', "compare, $found differences: faster than FULL JOIN", ratio('d join', 'm compare'), 4, 4, 1);
}

run($s, 'DROP SCHEMA upg_bench CASCADE') unless $opt{keep};
my $missed = grep { $_->[5] ne 'met' } @report;
printf "# %d bars, %d not met\n", scalar @report, $missed;
exit($missed ? 1 : 0);
