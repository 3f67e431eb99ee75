# Names of every kind, tables as wide as they get, and directories and scripts as
# large as they get (UPG_FULL=1 for the largest); the command line stays small.
use strict;
use warnings;
use utf8;
use FindBin;

# UpgTest clears the environment of UPG_...
my $full;
BEGIN { $full = $ENV{UPG_FULL} || 0 }

use lib $FindBin::Bin;
use Test::More;
use Time::HiRes qw(time);
use UpgTest;

binmode Test::More->builder->$_, ':encoding(UTF-8)' for qw(output failure_output);
server_start('max_wal_size=4GB');

# A sanitizer's own memory counts, too.
my $most = $ENV{ASAN_OPTIONS} ? 200 : 20;

# Run upg; exit code and peak memory in MB.
sub measured
{
	my (@args) = @_;
	my $report = workdir() . '/time';
	my ($rc, $err) = (0, '');
	# GNU time reports what wait4() says of the largest of its children, here one.
	system("/usr/bin/time -f 'peak %M' -o $report $UPG @args >$report.out 2>&1");
	$rc = $? >> 8;
	my ($peak) = slurp($report) =~ /^peak (\d+)/m;
	diag slurp("$report.out") if $rc;
	return ($rc, $peak / 1024);
}

# Names with everything in them, in steps and in one transaction
my $db = database('names');
my %odd = ('quote' => q{O'Hara "x"}, 'umlaut' => 'Größe', 'kanji' => '顧客 表', 'emoji' => '🙂', 'dollar' => '$1 $$', 'back' => 'a\\b', 'percent' => '%s%n%d', 'long' => 'ü' x 31, 'dot' => 'a.b');
my %scripts;
for my $kind (sort keys %odd)
{
	(my $id = $odd{$kind}) =~ s/"/""/g;
	my %text = ('1_%s.up' => qq{CREATE SCHEMA "s $id"; CREATE TABLE "s $id"."$id" ("$id" int);}, '1_%s.down' => qq{DROP SCHEMA "s $id" CASCADE;},
		'2_%s.up' => qq{CREATE INDEX CONCURRENTLY "i $id" ON "s $id"."$id" ("$id");\nVACUUM "s $id"."$id";}, '2_%s.down' => qq{DROP INDEX "s $id"."i $id";});
	for (keys %text)
	{
		utf8::encode(my $bytes = $text{$_});
		$scripts{ ($_ =~ s/%s/$kind/r =~ s/^(\d)/$1 . sprintf('%02d', scalar grep { $_ lt $kind } keys %odd)/er) . '.sql' } = $bytes;
	}
}
my $dir = files(workdir(), %scripts);
my ($rc, $out, $err) = upg('up', '-d', $db, $dir);
is($rc, 0, 'names of every kind: up') or diag $err;
is(sql($db, q{SELECT count(*), bool_and(indisvalid) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE c.relnamespace::regnamespace::text LIKE '"s %'}),
	scalar(keys %odd) . '|t', '... the indexes are there');
($rc, $out, $err) = upg('down', '-d', $db, '--all');
is($rc, 0, '... down') or diag $err;
is(sql($db, q{SELECT count(*) FROM pg_namespace WHERE nspname LIKE 's %'}), 0, '... nothing is left');

# 1600 columns, and one too many
$db = database('wide');
my $columns = join ', ', map { "c$_ int" } 1 .. 1600;
$dir = files(workdir(), '1_wide.up.sql' => "CREATE TABLE wide ($columns);\nINSERT INTO wide (c1600) VALUES (1);", '1_wide.down.sql' => 'DROP TABLE wide;',
	'2_more.sql' => 'ALTER TABLE wide ADD c1601 int;');
($rc, $out, $err) = upg('up', '-d', $db, $dir);
is($rc, 1, 'a column more than there can be: exit 1');
like($err, qr/tables can have at most 1600 columns/, '... with the reason');
is(sql($db, 'SELECT c1600 FROM wide'), 1, 'a table of 1600 columns is there');
($rc, $out, $err) = upg('down', '-d', $db, '1_wide');
is($rc, 0, '... and can be taken back') or diag $err;

# A long script
my $mb = $full ? 100 : 20;   # above the size from which a script is streamed
$db  = database('long');
$dir = workdir();
open my $fh, '>:raw', "$dir/1_long.sql" or die;
print $fh "CREATE TABLE long (i int, t text);\nCOPY long FROM stdin;\n";
my $row = 'x' x 990;
my $rows = $mb * 1048;
printf $fh "%d\t%s\n", $_, $row for 1 .. $rows;
print $fh "\\.\nSELECT count(*) FROM long;\n";
close $fh;
my $began = time;
($rc, my $peak) = measured('up', '-d', $db, $dir);
is($rc, 0, sprintf('a script of %d MB: up (%.1f s)', (-s "$dir/1_long.sql") >> 20, time - $began));
is(sql($db, 'SELECT count(*) FROM long'), $rows, '... all rows are there');
cmp_ok($peak, '<', $most, sprintf('... the command line needs %.1f MB', $peak));

# Many files
my $many = $full ? 10_000 : 500;
$db  = database('many');
$dir = files(workdir(), map { (sprintf('%05d_m.sql', $_) => "SELECT $_;") } 1 .. $many);
$began = time;
($rc, $peak) = measured('up', '-d', $db, $dir);
is($rc, 0, sprintf('%d files: up (%.1f s)', $many, time - $began));
is(sql($db, 'SELECT applied FROM upg_digest()'), $many, '... all are applied');
cmp_ok($peak, '<', $most, sprintf('... the command line needs %.1f MB', $peak));
$began = time;
($rc, $peak) = measured('up', '-d', $db, $dir);
is($rc, 0, sprintf('... nothing left to do (%.2f s)', time - $began));
cmp_ok($peak, '<', $most, sprintf('... needs %.1f MB', $peak));
is(sql($db, 'SELECT ok FROM upg_audit_verify()'), 't', 'the audit trail is whole');
done_testing();
