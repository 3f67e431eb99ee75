#!/usr/bin/env perl
# test/bench/bench_undo.pl: what capture, proof and rollback cost.
#
# Times are those of psql's \timing, so that starting psql does not count; variants
# of one question take turns.  "Capture" holds capture and proof; the proof's own
# share, from the undo log, is shown beside it.
#
# BENCH_ROWS, BENCH_TABLES, BENCH_LARGE, BENCH_ROUNDS change sizes and rounds,
# BENCH_PARTS is a list of: update one ddl drift files many pgbench.
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname);
use List::Util qw(min sum);
use lib dirname(abs_path(__FILE__));
use Bench;

my $here   = dirname(abs_path(__FILE__));
my $upg    = $ENV{UPG} // abs_path("$here/../../cli/upg");
my $rows   = setting('ROWS', 1_000_000);
my $rounds = setting('ROUNDS', 5);
my %parts  = map { $_ => 1 } split /[ ,]+/, setting('PARTS', 'update,one,ddl,drift,files,many,pgbench');
my $dir    = start_server();

# Times in ms of the statements of a script that one psql runs.  Lines that begin
# with a "-" are run untimed; results of timed ones are not looked at.
sub times_of
{
	my ($db, @lines) = @_;
	open(my $fh, '>', "$dir/script.sql") or die $!;
	print $fh "SET client_min_messages = warning;\n";
	for my $line (@lines)
	{
		if ($line =~ s/^-//) { print $fh "\\timing off\n$line;\n" }
		else { print $fh "\\timing on\n$line;\n" }
	}
	close $fh;
	my @out = qx(psql -XAtq -v ON_ERROR_STOP=1 -d $db -f $dir/script.sql 2>&1);
	die join('', @out) if $?;
	return map { /^Time: ([\d.]+) ms/ ? $1 : () } @out;
}

sub number { my ($db, $query) = @_; chomp(my $n = qx(psql -XAtqd $db -c "$query")); return $n }

sub report
{
	my ($title, $floor, %times) = @_;
	print "$title\n";
	my @floor = @{ $times{$floor} };
	for my $name ($floor, sort grep { $_ ne $floor } keys %times)
	{
		my @t = @{ $times{$name} };
		my @ratio = map { $floor[$_] ? $t[$_] / $floor[$_] : () } 0 .. min($#t, $#floor);
		my @more  = map { $t[$_] - $floor[$_] } 0 .. min($#t, $#floor);
		printf "  %-44s %10.1f ms (%9.1f) %8.2f x %+9.1f ms\n", $name, median(@t), min(@t), median(@ratio), median(@more);
	}
	print "\n";
}

sub capture { my ($name, $sql) = @_; return "SELECT verdict FROM upg.capture_run('$name', \$m\$$sql\$m\$)" }

sub apply_ddl { my ($name, $sql) = @_; return "SELECT state FROM upg_apply('$name', '$sql')" }

# A database with upg and so many tables.
sub many_tables
{
	my ($db, $tables) = @_;
	fresh_database($db, 'CREATE EXTENSION upg');
	for my $part (0 .. $tables / 500 - 1)
	{
		sql($db, sprintf q{DO $$BEGIN FOR i IN %d..%d LOOP EXECUTE format('CREATE TABLE t%%s (id int PRIMARY KEY, v text)', i); END LOOP; END$$}, $part * 500 + 1, $part * 500 + 500);
	}
	sql($db, 'VACUUM ANALYZE');
}

say_host();

if ($parts{update})
{
	my (%t, $n);
	fresh_database('updates', 'CREATE EXTENSION upg',
		map({ ("CREATE TABLE $_ (id int PRIMARY KEY, branch int, balance int, filler char(84))",
			"INSERT INTO $_ SELECT g, g % 10, 0, '' FROM generate_series(1, $rows) g") } qw(bare captured audited)),
		'CREATE TABLE audit (at timestamptz, op text, old jsonb, new jsonb)',
		q{CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO audit VALUES (now(), TG_OP, to_jsonb(OLD), to_jsonb(NEW)); RETURN NULL; END$$},
		'CREATE TRIGGER note AFTER UPDATE ON audited FOR EACH ROW EXECUTE FUNCTION note()');
	sql('updates', 'VACUUM ANALYZE', 'CHECKPOINT');
	for my $round (1 .. min($rounds, 3))
	{
		my %run = (
			bare => ['UPDATE bare SET balance = balance + 1'],
			'captured and proven' => [ capture("u$round", 'UPDATE captured SET balance = balance + 1') ],
			'row trigger into an audit table' => ['UPDATE audited SET balance = balance + 1']);
		for my $k (sort { ($a cmp $b) * ($round % 2 ? 1 : -1) } keys %run)
		{
			push @{ $t{$k} }, times_of('updates', '-CHECKPOINT', @{ $run{$k} });
		}
		my $proof = number('updates', "SELECT proof_ms FROM upg.undo_log ORDER BY id DESC LIMIT 1");
		push @{ $t{'captured, without the proof'} }, $t{'captured and proven'}[-1] - $proof;
		sql('updates', "SELECT upg.capture_finalize('u$round')", 'TRUNCATE audit', 'VACUUM bare', 'VACUUM captured', 'VACUUM audited');
	}
	report("UPDATE of $rows rows (must: 1.35 x)", 'bare', %t);
}

if ($parts{one})
{
	my %t;
	fresh_database('ones', 'CREATE EXTENSION upg', 'CREATE TABLE t (id int PRIMARY KEY, v int)',
		"INSERT INTO t SELECT g, g FROM generate_series(1, $rows) g");
	sql('ones', 'VACUUM ANALYZE t');
	my @lines = ('-' . capture('warm', 'UPDATE t SET v = 0 WHERE id = 1'));
	for my $i (1 .. 10 * $rounds)
	{
		my $id = 1 + $i * 997 % $rows;
		push @lines, "UPDATE t SET v = v + 1 WHERE id = $id", capture("one$i", "UPDATE t SET v = v + 1 WHERE id = $id");
		push @lines, '-VACUUM t' if $i % 10 == 0;
	}
	my @times = times_of('ones', @lines);
	while (my ($bare, $captured) = splice @times, 0, 2)
	{
		push @{ $t{bare} }, $bare;
		push @{ $t{'captured and proven'} }, $captured;
	}
	report("UPDATE of one row of $rows (must: + 5 ms)", 'bare', %t);
}

if ($parts{ddl})
{
	for my $tables (split /[ ,]+/, setting('TABLES', '1000,10000'))
	{
		many_tables("ddl_$tables", $tables);
		my @lines = ('-' . capture('warm', 'ALTER TABLE t1 ADD COLUMN w int'), '-ALTER TABLE t2 ADD COLUMN w int');
		for my $i (1 .. 8 * $rounds)
		{
			my ($a, $b) = (10 + 2 * $i, 11 + 2 * $i);
			push @lines, "ALTER TABLE t$a ADD COLUMN x int", capture("c$i", "ALTER TABLE t$b ADD COLUMN x int"),
			  "CREATE INDEX i$a ON t$a (v)", capture("i$i", "CREATE INDEX i$b ON t$b (v)"),
			  "CREATE TABLE n$a (id int PRIMARY KEY, v text)", capture("n$i", "CREATE TABLE n$b (id int PRIMARY KEY, v text)");
		}
		my @times = times_of("ddl_$tables", @lines);
		my @kinds = ('ADD COLUMN', 'CREATE INDEX', 'CREATE TABLE');
		my %t;
		while (my @six = splice @times, 0, 6)
		{
			for my $kind (@kinds)
			{
				my ($bare, $captured) = splice @six, 0, 2;
				push @{ $t{$kind}{bare} }, $bare;
				push @{ $t{$kind}{'captured and proven'} }, $captured;
			}
		}
		report("$_; $tables tables (must: + 10 ms)", 'bare', %{ $t{$_} }) for @kinds;
	}
}

if ($parts{drift})
{
	for my $tables (split /[ ,]+/, setting('TABLES', '1000,10000'))
	{
		my (%t, %first);
		many_tables("plain_$tables", $tables);
		sql('postgres', "DROP DATABASE IF EXISTS recorded_$tables", "CREATE DATABASE recorded_$tables TEMPLATE plain_$tables");
		sql("recorded_$tables", 'DO $$BEGIN PERFORM upg_drift_record(); END$$', 'VACUUM ANALYZE');
		for my $round (1 .. $rounds)
		{
			my %run = ('applied, captured and proven' => "plain_$tables", 'the same, drift looked for and recorded' => "recorded_$tables");
			for my $name (sort { ($a cmp $b) * ($round % 2 ? 1 : -1) } keys %run)
			{
				# the first of a session plans everything
				my @lines = ("-SET upg.drift = " . ($run{$name} =~ /^rec/ ? 'refuse' : 'off'), apply_ddl("first $round", "ALTER TABLE t$round ADD COLUMN y int"));
				for my $i (1 .. 8)
				{
					my $n = 20 * $round + 2 * $i + 20;
					# a bare one would be drift
					push @lines, "ALTER TABLE t$n ADD COLUMN x int" if $run{$name} =~ /^plain/;
					push @lines, apply_ddl("m $round $i", 'ALTER TABLE t' . ($n + 1) . ' ADD COLUMN x int');
				}
				my @times = times_of($run{$name}, @lines);
				push @{ $first{$name} }, shift @times;
				while (@times)
				{
					push @{ $t{'bare ALTER TABLE'} }, shift @times if $run{$name} =~ /^plain/;
					push @{ $t{$name} }, shift @times;
				}
			}
		}
		report("a small migration with a record of the schema; $tables tables (must: + 10 ms)", 'bare ALTER TABLE', %t);
		report("the same, the first of a session", 'applied, captured and proven', %first);
	}
}

if ($parts{files})
{
	my (%t, %more);
	my @sizes = (50_000, setting('LARGE', 5_000_000));
	for my $n (@sizes)
	{
		for my $what (qw(drop truncate rewrite))
		{
			fresh_database('files', 'CREATE EXTENSION upg', 'CREATE TABLE small (a int)', "SELECT verdict FROM upg.capture_run('warm', 'DROP TABLE small')");
			my %statement = (
				drop     => 'DROP TABLE %s',
				truncate => 'TRUNCATE %s',
				rewrite  => 'ALTER TABLE %s ALTER COLUMN v TYPE bigint');
			for my $round (1 .. ($n > 1_000_000 ? 2 : 3))
			{
				sql('files', map({ ("DROP TABLE IF EXISTS $_", "CREATE TABLE $_ (id int, v int)", "INSERT INTO $_ SELECT g, g FROM generate_series(1, $n) g",
					"CREATE INDEX ON $_ (id)") } qw(bare kept)), 'CHECKPOINT');
				my ($bare, $kept, $back) = times_of('files', sprintf($statement{$what}, 'bare'), capture("f$round", sprintf($statement{$what}, 'kept')),
					"SELECT count(*) FROM upg.capture_undo('f$round')");
				push @{ $t{"$what, $n rows: bare"} }, $bare;
				push @{ $t{"$what, $n rows: captured and proven"} }, $kept;
				push @{ $t{"$what, $n rows: rolled back"} }, $back;
				push @{ $more{$what}{$n} }, $kept - $bare;
			}
		}
	}
	print "files that are kept (must: the same within 20 ms over the bare statement; rolled back < 1000 ms)\n";
	printf "  %-52s %10.1f ms (%9.1f)\n", $_, median(@{ $t{$_} }), min(@{ $t{$_} }) for sort keys %t;
	for my $what (sort keys %more)
	{
		my ($small, $large) = map { median(@{ $more{$what}{$_} }) } @sizes;
		printf "  %-8s over the bare statement: %+.1f and %+.1f ms, the larger one %+.1f ms more (must: + 20)\n", $what, $small, $large, $large - $small;
	}
	print "\n";
}

if ($parts{many})
{
	my $size = setting('SIZE', 500);
	mkdir "$dir/many";
	system("$here/generate.pl", $size, "$dir/many") == 0 or exit 1;
	my $run = sub {
		my ($db, $extra, @command) = @_;
		return sub { fresh_database($db, @$extra); sql('postgres', 'CHECKPOINT'); return timed(@command) };
	};
	my $results = interleave($rounds,
		[ 'psql, a transaction each', $run->('floor', [], [ 'psql', '-Xqd', 'floor', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/many/floor.sql" ]) ],
		[ 'upg up, no undo', $run->('without', ['CREATE EXTENSION upg'], [ $upg, 'up', '-d', 'without', "$dir/many/golang" ]) ],
		[ 'upg up, captured and proven', $run->('proven', ['CREATE EXTENSION upg', 'ALTER DATABASE proven SET upg.undo = required'], [ $upg, 'up', '-d', 'proven', "$dir/many/golang" ]) ]);
	print "$size small migrations (must: 6 x)\n";
	print_ratios($results, 'psql, a transaction each', 's', 'psql, a transaction each', 'upg up, no undo', 'upg up, captured and proven');
}

if ($parts{pgbench})
{
	my (%t, $seconds);
	$seconds = setting('SECONDS', 6);
	fresh_database('off');
	fresh_database('loaded', 'CREATE EXTENSION upg');
	# a staged library is not where the server looks for what it loads by itself
	my $staged  = number('loaded', q{SELECT current_setting('extension_destdir', true)});
	my $library = $staged eq '' ? 'upg' : "$staged/" . number('loaded', q{SELECT setting FROM pg_config WHERE name = 'PKGLIBDIR'}) . '/upg';
	sql('loaded', "ALTER DATABASE loaded SET session_preload_libraries = '$library'");
	for my $db (qw(off loaded))
	{
		my $out = qx(pgbench -iqs 5 $db 2>&1);
		die "pgbench -i failed: $out" if $?;
	}
	for my $round (1 .. $rounds)
	{
		for my $db ($round % 2 ? qw(off loaded) : qw(loaded off))
		{
			my $out = qx(pgbench -n -c 2 -T $seconds $db 2>/dev/null);
			push @{ $t{$db} }, $1 if $out =~ /tps = ([\d.]+)/;
		}
	}
	my @ratio = map { $t{loaded}[$_] / $t{off}[$_] } 0 .. $#{ $t{off} };
	printf "pgbench, nothing captured: %.0f tps without the library, %.0f with it: %.3f x\n", median(@{ $t{off} }), median(@{ $t{loaded} }), median(@ratio);
}
