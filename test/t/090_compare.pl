# upg compare: two databases, planted differences, every kind of key; what cannot be
# compared is never called different, and what moves is not called different either.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use IPC::Run qw(start finish);
use JSON::PP;
use Test::More;
use UpgTest;

server_start();
database($_) foreach qw(west east);
database('bare', bare => 1);
my ($rc, $out, $err);

sub both
{
	my ($query) = @_;
	sql($_, $query) foreach qw(west east);
}

sub compare
{
	return upg('compare', 'west', 'dbname=east', '--table', @_);
}

# equal, whatever the order of rows and columns
both('CREATE TABLE plain (id int PRIMARY KEY, v text, n numeric)');
sql('west', q{INSERT INTO plain SELECT g, 'v' || g, g * 1.50 FROM generate_series(1, 5000) g});
sql('east', q{INSERT INTO plain SELECT g, 'v' || g, g * 1.50 FROM generate_series(5000, 1, -1) g});
($rc, $out, $err) = compare('plain');
is($rc, 0, 'equal tables exit 0') or diag $err;
is($out, "equal: 5000 rows\n", 'and it is said of how many rows');

# planted differences
sql('east', q{UPDATE plain SET v = 'other' WHERE id = 17; UPDATE plain SET n = NULL WHERE id = 18;
  DELETE FROM plain WHERE id = 4000; INSERT INTO plain VALUES (6000, 'secret', 1)});
($rc, $out, $err) = compare('plain');
is($rc, 8, 'different tables exit 8');
is($out, <<'E', 'each difference with its columns and values') or diag $err;
changed  {"id":"17"}  {"v":"v17"} -> {"v":"other"}
changed  {"id":"18"}  {"n":"27.00"} -> {"n":null}
missing  {"id":"4000"}  {"n":"6000.00","v":"v4000","id":"4000"}
extra    {"id":"6000"}  {"n":"1","v":"secret","id":"6000"}
E
like($err, qr/differs: 1 missing in the target, 1 extra, 2 changed/, 'and counted');
($rc, $out, $err) = compare('plain', '--json');
my $doc = decode_json($out);
is($rc, 8, '--json exits 8');
is($doc->{equal}, JSON::PP::false, '--json says so');
is_deeply([ map { $_->{difference} } @{ $doc->{differences} } ], [qw(changed changed missing extra)], 'and has all');
is_deeply($doc->{differences}[0]{key}, { id => '17' }, 'with keys');
is($doc->{error}{code}, 'UPG-2028', 'and the code');
($rc, $out, $err) = compare('plain', '--redact=v,n');
unlike("$out$err", qr/secret|other|v17|27\./, '--redact hides values');
like($out, qr/^changed +\{"id":"17"\} +\{"v":"\(hidden [0-9a-f]{16}\)"\} ->/m, 'and shows that they differ');
($rc, $out, $err) = compare('plain', '--redact=*');
unlike("$out$err", qr/secret|other|v17|"6000"/, '--redact=* hides the key, too');
($rc, $out, $err) = compare('plain', '--columns=id,n', '--filter', 'id < 18');
is($rc, 0, 'columns and filter choose what is compared') or diag $err;
($rc, $out, $err) = compare('plain', '--except-columns=v', '--filter', 'id < 19');
is($rc, 8, 'so do columns left out');
like($out, qr/\Achanged +\{"id":"18"\}[^\n]*\n\z/, 'and only they count');

# other keys
both('CREATE TABLE words (k text PRIMARY KEY, v text)');
both(q{INSERT INTO words VALUES ('it''s "quoted"', 'a'), (E'two\nlines', 'b'), ('', 'c'), (E'\u00fcn\u00ef {x,y} \\\\ \U0001f642', 'd')});
sql('east', q{UPDATE words SET v = 'z'});
($rc, $out, $err) = compare('words', '--json');
$doc = decode_json($out);
is_deeply(
	[ sort map { $_->{key}{k} } @{ $doc->{differences} } ],
	[ sort 'it\'s "quoted"', "two\nlines", '', "\x{fc}n\x{ef} {x,y} \\ \x{1f642}" ],
	'keys of any text');
is($doc->{changed}, 4, 'all changed');
both('CREATE TABLE pairs (a int, b text, v int, PRIMARY KEY (b, a))');
both(q{INSERT INTO pairs SELECT g, 'x', g FROM generate_series(1, 100) g});
sql('east', q{UPDATE pairs SET v = 0 WHERE a = 7; DELETE FROM pairs WHERE a = 8});
($rc, $out, $err) = compare('pairs');
like($out, qr/^changed  \{.*"a":"7".*\}  \{"v":"7"\} -> \{"v":"0"\}$/m, 'a key of two columns') or diag $err;
like($out, qr/^missing  .*"a":"8"/m, 'and a missing row');
both('CREATE TABLE "Odd Name" ("The Key" int NOT NULL UNIQUE, "v,w" int)');
both('INSERT INTO "Odd Name" VALUES (1, 1)');
sql('east', 'UPDATE "Odd Name" SET "v,w" = 2');
($rc, $out, $err) = compare('"Odd Name"');
like($out, qr/^changed  \{"The Key":"1"\}  \{"v,w":"1"\} -> \{"v,w":"2"\}$/m, 'a unique key and odd names') or diag $err;

# no key
both('CREATE TABLE heap (v text)');
sql('west', q{INSERT INTO heap VALUES ('a'), ('a'), ('a'), ('b'), ('c'), ('c')});
sql('east', q{INSERT INTO heap VALUES ('a'), ('b'), ('c'), ('c'), ('d'), ('d')});
($rc, $out, $err) = compare('heap', '--json');
$doc = decode_json($out);
is_deeply(
	[ sort map { "$_->{difference} " . ($_->{source} // $_->{target})->{v} } @{ $doc->{differences} } ],
	[ 'extra d', 'missing a' ],
	'without a key rows are compared with their number') or diag $out;
my ($copies) = grep { $_->{difference} eq 'missing' } @{ $doc->{differences} };
is_deeply([ @$copies{qw(source_copies target_copies)} ], [ 3, 1 ], 'copies are told');
like($err, qr/has no key/, 'and that there is no key');
($rc, $out, $err) = compare('plain', '--key=');
is(scalar(() = $out =~ /^missing/mg), 3, '--key= compares by contents, too');

# more than the first sketch holds
both('CREATE TABLE wide (id int PRIMARY KEY, v int)');
sql('west', 'INSERT INTO wide SELECT g, g FROM generate_series(1, 30000) g');
sql('east', 'INSERT INTO wide SELECT g, CASE WHEN g % 2 = 0 THEN g ELSE 0 END FROM generate_series(1, 30000) g');
($rc, $out, $err) = compare('wide', '--json');
$doc = decode_json($out);
is($doc->{changed}, 15000, 'larger sketches are made when needed');
is($doc->{source_rows}, 30000, 'rows are counted once');
sql('west', 'TRUNCATE wide; INSERT INTO wide SELECT g, g FROM generate_series(1, 200000) g');
sql('east', 'TRUNCATE wide');
($rc, $out, $err) = compare('wide', '-v');
my %seen = map { $_ => 1 } $out =~ /^missing  \{"id":"(\d+)"\}/mg;
is(scalar(keys %seen), 200000, 'and several, when one cannot hold all');
is($out =~ tr/\n//, 200000, 'each row is told once');
like($err, qr/cells, \d+ parts/, 'which -v tells');

# not comparable is not different
sql('west', 'CREATE TABLE shape (id int PRIMARY KEY, a int, w int)');
sql('east', 'CREATE TABLE shape (id int PRIMARY KEY, a bigint, e int)');
($rc, $out, $err) = compare('shape');
is($rc, 2, 'tables of other columns exit 2, not 8');
like($err, qr/cannot be compared/, 'as not comparable');
like(
	$err,
	qr/"a" is integer in the source, bigint in the target; column "e" is only in the target; column "w" is only in the source/,
	'and each column is named');
($rc, $out, $err) = compare('shape', '--columns=id,a', '--mode=semantic');
is($rc, 0, 'the hint works') or diag $err;
both('CREATE TABLE rights (id int PRIMARY KEY, a aclitem)');
($rc, $out, $err) = compare('rights');
is($rc, 2, 'a type without a canonical form exits 2') or diag $err;

# while writes go on
both('CREATE TABLE live (id int PRIMARY KEY, v int)');
both('INSERT INTO live SELECT g, 0 FROM generate_series(1, 100) g');
sql('east', 'UPDATE live SET v = -1 WHERE id = 50');
my $loop = q{DO $$ BEGIN FOR i IN 1..3000 LOOP UPDATE live SET v = v + 1 WHERE id = 10; COMMIT; PERFORM pg_sleep(0.01); END LOOP; END $$};
my ($wout, $werr) = ('', '');
my $writer = start([ 'psql', '-XAtq', '-d', 'west', '-c', $loop ], \undef, \$wout, \$werr);
select(undef, undef, undef, 0.5);
($rc, $out, $err) = compare('live', '--recheck=3', '--interval=200ms', '--json');
$doc = decode_json($out);
is($doc->{changed}, 1, 'a difference that stays is confirmed');
is($doc->{differences}[0]{key}{id}, '50', 'the right one');
is($doc->{unsettled}, 1, 'one that moves is told apart');
sql('east', 'UPDATE live SET v = 0 WHERE id = 50');
($rc, $out, $err) = compare('live', '--recheck=2', '--interval=200ms');
is($rc, 5, 'nothing but moving rows: exit 5, not settled') or diag "$out$err";
$writer->kill_kill;

# wrong usage and unreachable sides
($rc, $out, $err) = upg('compare', 'west', 'east');
is($rc, 2, 'no --table exits 2');
($rc, $out, $err) = compare('plain', '--recheck=x');
is($rc, 2, 'an invalid number exits 2');
($rc, $out, $err) = compare('nonesuch');
is($rc, 1, 'a missing table exits 1');
like($err, qr/source: relation "nonesuch" does not exist/, 'and the side is named');
($rc, $out, $err) = upg('compare', 'west', 'bare', '--table', 'plain');
is($rc, 1, 'a side without the extension exits 1');
like($err, qr/target: extension "upg" is not installed/, 'and is named');
($rc, $out, $err) = upg('compare', 'postgresql://u:geheim@/nonesuch', 'east', '--table', 'plain');
is($rc, 11, 'a side that is not there exits 11');
unlike("$out$err", qr/geheim/, 'without its password');

done_testing();
