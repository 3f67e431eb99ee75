# upg compare: other names and types on the two sides, exported snapshots, what is said of
# the guarantee, and ranges with a journal that survives a kill.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use IPC::Run qw(start finish pump timeout);
use JSON::PP;
use Test::More;
use UpgTest;

server_start();
database($_) foreach qw(west east);
my ($rc, $out, $err);
my $work = workdir();

# mapping
sql('west', q{CREATE TABLE people (id integer PRIMARY KEY, mail text, born date, "full name" varchar(50)); INSERT INTO people SELECT g, 'A' || g || '@X.org', date '2000-01-01' + g, 'name ' || g FROM generate_series(1, 2000) g});
sql('east', q{CREATE TABLE persons (person_id bigint PRIMARY KEY, email text, born date, label text); INSERT INTO persons SELECT g, lower('A' || g || '@X.org'), date '2000-01-01' + g, 'name ' || g FROM generate_series(1, 2000) g});
my @map = ('--table=people', '--target-table=persons', '--mapping={"person_id": "id", "email": "lower(mail)", "label": "full name"}', '--except-columns=mail');
($rc, $out, $err) = upg('compare', 'west', 'east', @map);
is("$rc $out", "0 equal: 2000 rows\n", 'other names, types and an expression') or diag $err;
sql('west', q{UPDATE people SET mail = 'other' WHERE id = 5; DELETE FROM people WHERE id = 6});
($rc, $out, $err) = upg('compare', 'west', 'east', @map, '--json');
is($rc, 8, 'differences are found');
my $doc = decode_json($out);
is($doc->{target_table}, 'persons', 'the name in the target');
is_deeply([ map { "$_->{difference} $_->{key}{person_id}" } @{ $doc->{differences} } ], [ 'changed 5', 'extra 6' ], 'by the names of the target');
is_deeply($doc->{differences}[0]{source}, { email => 'other' }, 'with the column');
($rc, $out, $err) = upg('compare', 'west', 'east', @map[ 0 .. 2 ]);
is($rc, 2, 'a column that is only in the source is refused');
like($err, qr/column "mail" is only in the source/, 'and named');
($rc, $out, $err) = upg('compare', 'west', 'east', @map[ 0, 1 ], '--mapping={"nosuch": "id"}');
is($rc, 2, 'a mapping to a column that the target lacks');
like($err, qr/"nosuch", which the target does not have/, 'is told');
($rc, $out, $err) = upg('compare', 'west', 'east', @map[ 0, 1 ], '--mapping={"email": "(SELECT 1"}');
isnt($rc, 0, 'an expression that is none');
($rc, $out, $err) = upg('compare', 'west', 'east', @map[ 0, 1 ], '--mapping=[1');
isnt($rc, 0, 'a mapping that is no JSON');

# one snapshot a side, or those that were exported
sql($_, 'CREATE TABLE t (id integer PRIMARY KEY, v integer); INSERT INTO t SELECT g, g FROM generate_series(1, 1000) g') foreach qw(west east);
($rc, $out, $err) = upg('compare', 'west', 'east', '--table=t', '--json');
like(decode_json($out)->{guarantee}, qr/one snapshot of its own/, 'by default one snapshot a side');
my @held;
for my $db (qw(west east))
{
	my ($in, $o, $e) = ("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_export_snapshot();\n", '', '');
	my $h = start([ 'psql', '-XAtq', '-d', $db ], \$in, \$o, \$e, timeout(60));
	pump $h until $o =~ /\n/;
	push @held, [ $h, $o =~ /(\S+)/, \$in ];
}
sql('west', 'UPDATE t SET v = 0 WHERE id = 1');
($rc, $out, $err) = upg('compare', 'west', 'east', '--table=t');
is($rc, 8, 'what was written since differs');
($rc, $out, $err) = upg('compare', 'west', 'east', '--table=t', "--source-snapshot=$held[0][1]", "--target-snapshot=$held[1][1]", '--json');
is($rc, 0, 'with the snapshots of before it does not') or diag "$out$err";
like(decode_json($out)->{guarantee}, qr/the snapshot that it was given/, 'and it says so');
for (@held) { ${ $_->[2] } .= "\\q\n"; finish $_->[0] }
($rc, $out, $err) = upg('compare', 'west', 'east', '--table=t', "--source-snapshot=$held[0][1]");
isnt($rc, 0, 'a snapshot that has gone');
($rc, $out, $err) = upg('compare', 'west', 'east', '--table=t', q{--source-snapshot=x'; DROP TABLE t; --});
is($rc, 2, 'what is no snapshot is not sent');
($rc, $out, $err) = upg('compare', 'west', 'east', '--table=t', '--source-snapshot=1-1', '--recheck=1');
is($rc, 2, 'a snapshot and --recheck');
sql('west', 'UPDATE t SET v = 1 WHERE id = 1');

# ranges
sql('east', 'ANALYZE t; UPDATE t SET v = -1 WHERE id IN (10, 500, 1000); DELETE FROM t WHERE id = 501');
my $journal = "$work/journal";
my @ranges = ('--table=t', '--ranges=10', "--journal=$journal");
($rc, $out, $err) = upg('compare', 'west', 'east', @ranges);
is($rc, 8, 'in ranges');
is($out, <<'E', 'the same differences') or diag $err;
changed  {"id":"10"}  {"v":"10"} -> {"v":"-1"}
changed  {"id":"500"}  {"v":"500"} -> {"v":"-1"}
missing  {"id":"501"}  {"v":"501","id":"501"}
changed  {"id":"1000"}  {"v":"1000"} -> {"v":"-1"}
E
my @lines = split /\n/, slurp($journal);
cmp_ok(scalar(grep { /"entry":"range \d+"/ } @lines), '>=', 10, 'each range is in the journal');
ok(!(grep { !eval { decode_json($_) } } @lines), 'a line is JSON');
my $whole = $out;
($rc, $out, $err) = upg('compare', 'west', 'east', @ranges);
is("$rc $out", "8 $whole", 'what is done is not done again, and told in full');
like($err, qr/(\d+) of \1 ranges were done before/, 'that is said');
# cut off in the middle of a line, as by a kill
my $text = slurp($journal);
my @keep = @lines[ 0 .. $#lines - 4 ];
open(my $fh, '>', $journal) or die $!;
print $fh join("\n", @keep), "\n", substr($lines[ $#lines - 3 ], 0, 20);
close $fh;
sql('east', 'UPDATE t SET v = 10 WHERE id = 10; UPDATE t SET v = -2 WHERE id = 1000');
($rc, $out, $err) = upg('compare', 'west', 'east', @ranges, '--json');
$doc = decode_json($out);
is($rc, 8, 'it goes on where it stopped');
is_deeply([ map { $_->{key}{id} } @{ $doc->{differences} } ], [ 10, 500, 501, 1000 ], 'with what was found before');
is($doc->{differences}[3]{target}{v}, '-2', 'and what is found now');
is_deeply([ @$doc{qw(source_rows target_rows missing extra changed)} ], [ 1000, 999, 1, 0, 3 ], 'and counted once');
# killed while it runs
unlink $journal;
sql($_, 'CREATE TABLE big (id integer PRIMARY KEY, v text); INSERT INTO big SELECT g, repeat(md5(g::text), 10) FROM generate_series(1, 20000) g; ANALYZE big') foreach qw(west east);
sql('east', q{UPDATE big SET v = 'x' WHERE id IN (1, 10000, 20000)});
my ($h) = upg_start('compare', 'west', 'east', '--table=big', '--ranges=40', "--journal=$journal");
my $until = time + 30;
select(undef, undef, undef, 0.02) until (-e $journal && slurp($journal) =~ /"range 3"/) || time > $until;
$h->kill_kill(grace => 0);
my $done = () = slurp($journal) =~ /"entry":"range/g;
($rc, $out, $err) = upg('compare', 'west', 'east', '--table=big', '--ranges=40', "--journal=$journal");
is($rc, 8, 'after a SIGKILL it goes on');
is(scalar(() = $out =~ /^changed/mg), 3, 'and all is found');
like($err, qr/of \d+ ranges were done before/, "not from the start ($done ranges were done)") or diag $err;
# refusals
($rc, $out, $err) = upg('compare', 'west', 'east', '--table=t', '--ranges=10', "--journal=$journal");
is($rc, 2, 'the journal of another comparison');
like($err, qr/journal of something else/, 'is refused');
($rc, $out, $err) = upg('compare', 'west', 'east', '--table=t', '--ranges=10');
is($rc, 2, '--ranges without --journal');
($rc, $out, $err) = upg('compare', 'west', 'east', '--table=t', '--ranges=0x', "--journal=$work/x");
is($rc, 2, 'a number that is none');
sql($_, q{CREATE TABLE words (w text COLLATE "en_US.utf8" PRIMARY KEY)}) foreach sql('west', q{SELECT 1 FROM pg_collation WHERE collname = 'en_US.utf8'}) ? qw(west east) : ();
sql($_, q{CREATE COLLATION german (provider = icu, locale = 'de'); CREATE TABLE woerter (w text COLLATE german PRIMARY KEY)}) foreach qw(west east);
($rc, $out, $err) = upg('compare', 'west', 'east', '--table=woerter', '--ranges=2', "--journal=$work/y");
is($rc, 2, 'a key whose order is a matter of taste');
like($err, qr/may not sort its values in the same way/, 'cannot be cut into ranges');
sql($_, q{CREATE TABLE nokey (v integer)}) foreach qw(west east);
($rc, $out, $err) = upg('compare', 'west', 'east', '--table=nokey', '--ranges=2', "--journal=$work/z");
is($rc, 2, 'without a key there are no ranges');
# a mapped key in ranges
($rc, $out, $err) = upg('compare', 'west', 'east', @map, '--ranges=3', "--journal=$work/mapped");
is(scalar(() = $out =~ /^(changed|extra)/mg), 2, 'a mapped key in ranges') or diag "$out$err";

done_testing();
