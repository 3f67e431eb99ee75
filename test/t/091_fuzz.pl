# Random migrations of all kinds, applied, taken back from another session, compared;
# in some of them an application writes meanwhile.  A fixed set of seeds; UPG_FULL
# goes on for half an hour, UPG_SEED begins elsewhere.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use File::Temp qw(tempdir);
use IPC::Run qw(run);
use Test::More;
use UpgTest;

server_start('fsync=off', 'autovacuum=off', 'allow_in_place_tablespaces=on', 'wal_level=logical');
my $top   = "$FindBin::Bin/../..";
my $first = $ENV{UPG_SEED} // 1;
my $last  = $first + ($ENV{UPG_FULL} ? 100_000 : 11);
my $dir   = tempdir('upgfuzz.XXXXXX', TMPDIR => 1);    # reproducers stay
my ($out, $err) = ('', '');
my $ok = run([ 'python3', "$top/test/roundtrip/fuzz.py", '--seeds', "$first-$last",
	'--minutes', $ENV{UPG_FULL} ? 30 : 0.6, '--shrink', $ENV{UPG_FULL} ? 300 : 0, '--out', $dir ],
	\undef, \$out, \$err);
ok($ok, "nothing is wrong, and nothing refused that should not (seeds from $first)") or diag($out, $err);
my ($scenarios, $migrations, $failures) = $out =~ /^seeds \d+: scenarios (\d+), migrations (\d+),.* failures (\d+)/m;
diag($1) if $out =~ /^(seeds \d.*)$/m;
cmp_ok($scenarios // 0, '>', 0, 'scenarios were run to their end');
cmp_ok($migrations // 0, '>=', $scenarios // 1, 'with migrations in them');
is($failures, 0, 'none failed') or diag("reproducers are in $dir: fuzz.py --replay FILE");
rmdir $dir;
done_testing();
