# Round trips: each case is applied under capture, taken back from another session
# and compared.  All of them take several minutes; without UPG_FULL every fourth runs.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use IPC::Run qw(run);
use Test::More;
use UpgTest;

server_start('fsync=off', 'autovacuum=off', 'allow_in_place_tablespaces=on', 'wal_level=logical');
my $top   = "$FindBin::Bin/../..";
my @cases = sort glob "$top/test/roundtrip/cases/*.sql";
my @only  = $ENV{UPG_FULL} ? ('--every', 4) : ('--sample', 4);
my ($out, $err) = ('', '');
my $ok = run([ 'python3', "$top/test/roundtrip/cases.py", @only, @cases ], \undef, \$out, \$err);
ok($ok, 'round trips: nothing is silently wrong, nothing fails that should not') or diag($out, $err);
my ($tried, $exact) = $out =~ /^cases (\d+): exact (\d+)/m;
diag($1) if $out =~ /^(cases .*)$/m;
cmp_ok($tried // 0, '>', $ENV{UPG_FULL} ? 400 : 100, 'cases were tried');
is($exact, $tried, 'all of them as expected') or diag($out);
done_testing();
